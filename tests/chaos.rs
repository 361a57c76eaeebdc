//! What becomes of the services when a thread of Horust fails: supervision goes on, or rescue stops everything in order.
//! `cargo xtask test chaos` runs these tests on a binary whose threads panic when they are told to.

#![allow(clippy::disallowed_types, reason = "these tests are the parent of Horust, not Horust")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail so")]
#![allow(clippy::print_stderr, reason = "a skipped test says so")]

#[allow(dead_code, reason = "the end-to-end tests use all of it")]
#[path = "e2e/client.rs"]
mod client;
#[allow(dead_code, reason = "the end-to-end tests use all of it")]
#[path = "sim/journal.rs"]
mod replay;
#[allow(dead_code, reason = "the end-to-end tests use all of it")]
#[path = "e2e/support.rs"]
mod support;

use client::speaks;

use nix::sys::signal::Signal;
use std::fs;
use std::process::Command;
use support::*;

/// Says that it is up, and on TERM that it goes.
const POLITE: &str = "trap 'echo $NAME goes; exit 0' TERM; echo $NAME is up; while true; do sleep 1000 & wait; done";

/// A chain of services, the last of which starts last, and a Horust that listens to [`fail`].
fn chain(length: usize) -> Builder {
    let mut builder = horust().env("HORUST_CHAOS", "@DIR@/chaos").file("chaos/README", "");
    for i in 0..length {
        let before = if i == 0 { String::new() } else { format!("start-after = [\"s{}\"]\n", i - 1) };
        builder = builder.bash(&format!("s{i}"), POLITE, &format!("{before}[environment]\nNAME = \"s{i}\""));
    }
    builder
}

/// Has a thread fail when it looks next.
fn fail(horust: &Horust, thread: &str) {
    fs::write(horust.dir().join("chaos").join(thread), "").unwrap();
}

/// Makes main or the runtime thread look: one by a signal that harms nobody, the other by a question.
fn rouse(horust: &Horust, thread: &str) {
    match thread {
        "main" => horust.signal(Signal::SIGWINCH),
        _ => drop(ask(horust, &["status"])),
    }
}

/// The lines in which services say that they go.
fn goodbyes(done: &Done) -> Vec<&str> {
    done.stdout.lines().filter_map(|line| line.strip_suffix(" goes")).collect()
}

/// Without rescue the kernel would kill all of them at once when PID 1 ends.
#[test]
fn pid_1_is_rescued_and_stops_twenty_services_in_order() {
    if needs_root() {
        return;
    }
    for (place, thread) in [("main", "main"), ("runtime", "runtime"), ("turn", "main")] {
        let orphan =
            "(setsid bash -c 'trap \"\" TERM; echo orphan; while true; do sleep 1000; done' &); exec sleep 1000";
        let horust = chain(20).bash("forks", orphan, "").arg("--uds-folder-path").arg("@DIR@/run").pid1().start();
        horust.wait_for("s19 is up");
        horust.wait_for("orphan");
        fail(&horust, place);
        rouse(&horust, thread);
        let done = horust.end();
        done.assert_code(70);
        let wanted: Vec<String> = (0..20).rev().map(|i| format!("s{i}")).collect();
        assert_eq!(goodbyes(&done), wanted, "{}", done.stderr);
        assert!(done.stderr.contains(&format!("bug in thread {thread}: panicked at")), "{}", done.stderr);
        assert!(done.stderr.contains("Horust itself has failed; all services are being stopped"), "{}", done.stderr);
    }
}

#[test]
fn a_horust_that_is_not_pid_1_is_rescued_too() {
    let horust = chain(3).arg("--uds-folder-path").arg("@DIR@/run").start();
    horust.wait_for("s2 is up");
    fail(&horust, "runtime");
    rouse(&horust, "runtime");
    let done = horust.end();
    done.assert_code(70);
    assert_eq!(goodbyes(&done), ["s2", "s1", "s0"]);
    // It has said what had led there.
    let story = replay::parse(&done.stderr).expect("there is a journal");
    assert!(story.steps.len() > 3, "{}", replay::tell(&story));
    replay::live_again(&story).unwrap_or_else(|differs| panic!("{differs}"));
}

#[test]
fn rescue_kills_who_does_not_go_in_time() {
    let stubborn = "trap '' TERM; echo stubborn; while true; do sleep 1000; done";
    let horust = chain(1).bash("rock", stubborn, "[termination]\nwait = \"300ms\"").start();
    horust.wait_for("stubborn");
    horust.wait_for("s0 is up");
    fail(&horust, "main");
    horust.signal(Signal::SIGWINCH);
    let done = horust.end();
    done.assert_code(70);
    assert_eq!(goodbyes(&done), ["s0"]);
}

/// `docker stop` must not have to wait for its own SIGKILL.
#[test]
fn a_term_during_rescue_kills_at_once() {
    let stubborn = "trap 'echo told' TERM; echo stubborn; while true; do sleep 1000 & wait; done";
    let horust = chain(0).bash("rock", stubborn, "[termination]\nwait = \"1h\"").start();
    horust.wait_for("stubborn");
    fail(&horust, "main");
    horust.signal(Signal::SIGWINCH);
    horust.wait_for("told");
    horust.stop(Signal::SIGTERM).0.assert_code(70);
}

#[test]
fn a_failed_output_thread_goes_on() {
    let horust = chain(0).bash("talks", PUPPET, "[log]\nformat = \"prefix\"\n[environment]\nNAME = \"a\"").start();
    horust.tell("a", "one\\n");
    horust.wait_for("talks | one");
    fail(&horust, "output");
    horust.tell("a", "two\\n");
    horust.wait_for("talks | two");
    horust.tell("a", "three\\n");
    horust.wait_for("talks | three");
    let (done, _) = horust.stop(Signal::SIGTERM);
    done.assert_code(0);
    assert!(done.stderr.contains("bug in thread output: panicked at"), "{}", done.stderr);
}

#[test]
fn a_failed_probe_costs_one_answer() {
    let rest = "[environment]\nNAME = \"sick\"\n[healthiness]\nfile-path = \"@DIR@/well\"\ninterval = \"20ms\"";
    let horust = chain(0)
        .bash("sick", &format!("touch well; {POLITE}"), rest)
        .bash("after", "echo it is ready", "start-after = [\"sick\"]")
        .start();
    horust.wait_for("it is ready");
    fail(&horust, "probe");
    horust.wait_until("it has failed", |h| h.stderr().contains("bug in thread probe-0: panicked at"));
    // Asked again, and told apart from one that is well.
    fs::remove_file(horust.dir().join("well")).unwrap();
    horust.wait_until("it is found sick", |h| h.stderr().contains("sick: unhealthy"));
    horust.stop(Signal::SIGTERM);
}

fn ask(horust: &Horust, words: &[&str]) -> std::process::Output {
    horust.binary().args(words).arg("--uds-folder-path").arg(horust.dir().join("run")).output().unwrap()
}

/// The client whose request fails is told so, or finds nobody; the next one is served, at each door.
#[test]
fn a_failed_request_costs_one_client() {
    for thread in ["control", "admit"] {
        let horust = chain(1).arg("--uds-folder-path").arg("@DIR@/run").start();
        horust.wait_for("s0 is up");
        horust.wait_until("it answers", |h| ask(h, &["status"]).status.success());
        fail(&horust, thread);
        assert!(!ask(&horust, &["status"]).status.success(), "{thread}");
        for _ in 0..3 {
            assert!(ask(&horust, &["status"]).status.success(), "{thread}: {}", horust.stderr());
        }
        let (done, _) = horust.stop(Signal::SIGTERM);
        done.assert_code(0);
        assert!(done.stderr.contains("bug in thread control: panicked at"), "{}", done.stderr);
    }
}

#[test]
fn a_failed_reload_keeps_nobody_from_the_next() {
    let horust = chain(1).start();
    horust.wait_for("s0 is up");
    fail(&horust, "reload");
    horust.signal(Signal::SIGHUP);
    horust.wait_until("it has failed", |h| h.stderr().contains("bug in thread reload: panicked at"));
    let new = "command = [\"bash\", \"-c\", \"echo new; exec sleep 1000\"]\n";
    fs::write(horust.dir().join("services/new.toml"), new).unwrap();
    horust.signal(Signal::SIGHUP);
    horust.wait_for("new");
    horust.stop(Signal::SIGTERM).0.assert_code(0);
}

#[test]
fn memory_is_watched_after_a_failed_look() {
    if needs_root() {
        return;
    }
    let hide = "umount --recursive --lazy /sys/fs/cgroup; exec \"$@\"";
    let grows = "until [ -e @DIR@/go ]; do sleep 0.05; done; x=$(head -c 60M /dev/zero | tr '\\0' x); read -r _ < <(sleep 1000)";
    let horust = chain(1)
        .wrapper(&["unshare", "--mount", "bash", "-c", hide, "bash"])
        .bash("grows", grows, "[resource-limit]\nmemory = \"40MiB\"")
        .start();
    fail(&horust, "memory");
    horust.wait_until("it has failed", |h| h.stderr().contains("bug in thread memory: panicked at"));
    fs::write(horust.dir().join("go"), "").unwrap();
    horust.wait_until("it is killed", |h| {
        h.stderr().contains("grows: failed for good: was killed by Horust: out of memory")
    });
    horust.stop(Signal::SIGTERM).0.assert_code(0);
}

/// Who asks whether all it has said was read (a barrier) hears of it, but for the one time.
#[test]
fn descriptors_are_closed_after_a_failure() {
    let steps = "touch @DIR@/up; await @DIR@/go; barrier; barrier; say READY=1";
    let horust = chain(0)
        .service("speaks", &speaks(steps, "[readiness]\nnotify = true"))
        .bash("after", "echo after; exec sleep 1000", "start-after = [\"speaks\"]")
        .start();
    horust.wait_until("it is there", |h| h.dir().join("up").exists());
    fail(&horust, "closer");
    fs::write(horust.dir().join("go"), "").unwrap();
    horust.wait_for("after");
    let (done, _) = horust.stop(Signal::SIGTERM);
    done.assert_code(0);
    assert!(done.stderr.contains("bug in thread closer: panicked at"), "{}", done.stderr);
}

#[test]
fn messages_are_written_after_a_failure() {
    let crash = "[restart]\nstrategy = \"always\"\nbackoff = \"50ms\"\ngrowth = \"constant\"";
    let horust = chain(0).bash("crash", "exit 3", crash).start();
    horust.wait_until("it speaks", |h| h.stderr().contains("crash: exited with code 3; restart 1"));
    fail(&horust, "log");
    horust.wait_until("it has failed", |h| h.stderr().contains("bug in thread log: panicked at"));
    let before = horust.stderr().len();
    horust.wait_until("it speaks on", |h| h.stderr()[before..].contains("crash: exited with code 3; restart"));
    horust.stop(Signal::SIGTERM).0.assert_code(0);
}

#[test]
fn log_files_are_tidied_after_a_failure() {
    let rest = "stdout = \"@DIR@/talks.log\"\nworking-directory = \"@DIR@\"\n[log]\nrotate-size = \"1KiB\"\nkeep = 2\n[environment]\nNAME = \"a\"";
    let horust = chain(0).bash("talks", PUPPET, rest).start();
    let line = format!("{}\\n", "x".repeat(600));
    let files = |h: &Horust| {
        let names = fs::read_dir(h.dir()).unwrap().flatten();
        names.filter(|entry| entry.file_name().to_string_lossy().starts_with("talks.log")).count()
    };
    fail(&horust, "log-files");
    for _ in 0..10 {
        horust.tell("a", &line);
    }
    horust.wait_until("it has failed", |h| h.stderr().contains("bug in thread log-files: panicked at"));
    for _ in 0..4 {
        horust.tell("a", &line);
    }
    horust.wait_until("two are kept", |h| files(h) == 2);
    horust.stop(Signal::SIGTERM).0.assert_code(0);
}

#[test]
fn changes_are_seen_after_a_failure() {
    let horust = chain(1).arg("--watch").start();
    horust.wait_for("s0 is up");
    let add = |name: &str| {
        let text = format!("command = [\"bash\", \"-c\", \"echo {name} is up; exec sleep 1000\"]");
        fs::write(horust.dir().join(format!("services/{name}.toml")), text).unwrap();
    };
    fail(&horust, "watch");
    add("first");
    horust.wait_until("it has failed", |h| h.stderr().contains("bug in thread watch: panicked at"));
    add("second");
    horust.wait_for("first is up");
    horust.wait_for("second is up");
    horust.stop(Signal::SIGTERM).0.assert_code(0);
}

/// A panic must be told even if nobody reads stderr, and must not wait for that.
#[test]
fn a_full_stderr_does_not_hold_up_rescue() {
    let horust = chain(1).wrapper(&["bash", "-c", "exec \"$@\" 2> >(exec -a reader-of-@DIR@ sleep 1000)", "-"]).start();
    horust.wait_for("s0 is up");
    let stderr = horust.dir().join("fill");
    // Fills the pipe that is Horust's stderr.
    let script = format!(
        "dd if=/dev/zero of=/proc/{}/fd/2 oflag=nonblock bs=4096 count=64 2> {}",
        horust.pid(),
        stderr.display()
    );
    let _full_in_the_end = Command::new("bash").args(["-c", &script]).status().unwrap();
    fail(&horust, "main");
    horust.signal(Signal::SIGWINCH);
    let mut horust = horust;
    assert_eq!(horust.wait_exit().code(), Some(70));
    assert!(horust.stdout().contains("s0 goes"));
}
