//! From the start to the end of a set of services, and what a service finds itself in.

use crate::support::*;
use nix::sys::signal::Signal;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// The README's first command, as a person uses it: start, look, Ctrl-C.
#[test]
fn quickstart_runs_and_ctrl_c_stops_it_in_reverse_order() {
    let user = format!("e2e-{}", std::process::id());
    let mark = format!("/tmp/horust-quickstart-{user}");
    let quickstart = Path::new(env!("CARGO_MANIFEST_DIR")).join("example_services/quickstart");
    let horust = horust().no_services_path().arg("--services-path").arg(quickstart.to_str().unwrap());
    let horust = horust.env("USER", &user).mark(&mark).start();
    horust.wait_for("flaky: third run");
    horust.wait_for("visitor: the clock is up");
    horust.wait_for("clock: it is");
    let (done, took) = horust.stop(Signal::SIGINT);
    let _ = fs::remove_dir_all(&mark);
    done.assert_code(0);
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert_order(&done.stdout, &["prepare: making", "clock: started", "visitor: the clock is up", "clock: stopped"]);
    assert_order(&done.stdout, &["visitor: stopped", "clock: stopped"]);
    assert_eq!(done.stdout.matches("flaky: crashing").count(), 2, "{}", done.stdout);
}

/// Horust 0.1 hung with 30 services of `/bin/true`.
#[test]
fn a_thousand_short_services_all_end_thirty_times() {
    for round in 0..30 {
        let mut builder = horust();
        for n in 0..1000 {
            builder = builder.service(&format!("true-{n}"), "command = \"/bin/true\"\n");
        }
        let done = builder.run();
        done.assert_code(0);
        assert_eq!(done.stderr, "", "round {round}");
    }
}

#[test]
fn a_thousand_long_services_start_and_stop() {
    let mut builder = horust();
    for n in 0..1000 {
        builder = builder.service(&format!("sleep-{n}"), "command = \"sleep 1000\"\n");
    }
    let horust = builder.start();
    horust.wait_until("1,000 sleeps", |h| h.left().iter().filter(|l| l.contains("sleep 1000")).count() == 1000);
    let (done, took) = horust.stop(Signal::SIGTERM);
    done.assert_code(0);
    assert!(took < BEFORE_KILL, "{took:?}");
}

/// Nothing polls: a supervisor with nothing to do does not wake up.
#[test]
fn idle_means_no_wake_up_at_all() {
    let mut builder = horust();
    for n in 0..100 {
        builder = builder.service(&format!("sleep-{n}"), "command = \"sleep 1000\"\n");
    }
    let horust = builder.start();
    horust.wait_until("100 sleeps", |h| h.left().iter().filter(|l| l.contains("sleep 1000")).count() == 100);
    let switches = || {
        let pid = horust.pid();
        (sum_of_threads(pid, "voluntary_ctxt_switches"), sum_of_threads(pid, "nonvoluntary_ctxt_switches"))
    };
    // It may still be busy with its last starts, and with `reset-after` (10 s), whose end is one wake-up for each service.
    let mut before = switches();
    let mut since = Instant::now();
    horust.wait_until("ten seconds without a wake-up", |_| {
        if switches() != before {
            before = switches();
            since = Instant::now();
        }
        since.elapsed() >= Duration::from_secs(10)
    });
    horust.stop(Signal::SIGTERM).0.assert_code(0);
}

#[test]
fn a_service_finds_clean_signals_fds_and_stdin() {
    let shown = "cat /proc/self/status; echo fds $(ls /proc/self/fd | wc -l); readlink /proc/self/fd/0";
    // What Horust itself was given must not reach them: ignored and blocked signals, an open file.
    let horust = horust()
        .bash("show", shown, "")
        .service("direct", "command = \"cat /proc/self/status\"\nstdout = \"@DIR@/direct\"\n")
        .service(
            "user",
            "command = \"cat /proc/self/status\"\nstdout = \"@DIR@/user\"\nuser = \"@UID@\"\n"
                .replace("@UID@", &nix::unistd::geteuid().to_string())
                .as_str(),
        )
        .wrapper(&["bash", "-c", "trap '' PIPE HUP USR1 INT; exec 9</dev/null; exec \"$@\"", "bash"])
        .start();
    let dir = horust.dir().to_owned();
    let done = {
        let mut horust = horust;
        horust.wait_exit().code().unwrap();
        let files = ["stdout", "direct", "user"].map(|f| fs::read_to_string(dir.join(f)).unwrap());
        horust.end().assert_code(0);
        files
    };
    for status in &done {
        for field in ["SigBlk", "SigIgn"] {
            assert_eq!(status_field(status, field).trim_start_matches('0'), "", "{field} in {status}");
        }
    }
    // ls has one more open: the directory.
    assert!(done[0].contains("fds 4\n") && done[0].ends_with("/dev/null\n"), "{}", done[0]);
}

#[test]
fn the_environment_is_clean_unless_asked_for() {
    let done = horust()
        .env("SECRET", "s1").env("WANTED", "w1").env("SIZE", "12")
        .service("clean", "command = \"env\"\nstdout = \"@DIR@/clean\"\n")
        .service("some", "command = \"env\"\nstdout = \"@DIR@/some\"\n[environment]\nre-export = [\"WANTED\"]\nadditional = { EXTRA = \"e-${SIZE}-${NONE:-x}\" }\n")
        .service("all", "command = \"env\"\nstdout = \"@DIR@/all\"\n[environment]\nkeep-env = true\n")
        .start();
    let dir = done.dir().to_owned();
    let mut done = done;
    done.wait_exit();
    let [clean, some, all] = ["clean", "some", "all"].map(|f| fs::read_to_string(dir.join(f)).unwrap());
    done.end().assert_code(0);
    for name in ["PATH=", "USER=", "HOME=", "HOSTNAME=", "TERM="] {
        assert!(clean.lines().any(|l| l.starts_with(name)), "{name} in {clean}");
    }
    assert!(!clean.contains("SECRET") && !clean.contains("WANTED"), "{clean}");
    assert!(some.contains("WANTED=w1\n") && some.contains("EXTRA=e-12-x\n") && !some.contains("SECRET"), "{some}");
    assert!(all.contains("SECRET=s1\n"), "{all}");
}

#[test]
fn output_goes_where_the_service_says() {
    let horust = horust()
        .file("log", "first\n")
        .bash("both", "echo out; echo err >&2", "stdout = \"@DIR@/log\"\nstderr = \"@DIR@/log\"")
        .bash("swapped", "echo to-stderr; echo to-stdout >&2", "stdout = \"STDERR\"\nstderr = \"STDOUT\"")
        .bash("none", "echo nothing; echo nothing >&2", "stdout = \"NULL\"\nstderr = \"NULL\"")
        .start();
    let dir = horust.dir().to_owned();
    let mut horust = horust;
    horust.wait_exit();
    let log = fs::read_to_string(dir.join("log")).unwrap();
    let done = horust.end();
    done.assert_code(0);
    assert_eq!(log, "first\nout\nerr\n");
    assert_eq!((done.stdout.as_str(), done.stderr.as_str()), ("to-stdout\n", "to-stderr\n"));
}

/// A oneshot that ends within 5 ms keeps its output and counts as completed (pebble#495).
#[test]
fn a_very_short_oneshot_is_completed_and_heard() {
    let mut builder = horust();
    for n in 0..20 {
        builder = builder.service(&format!("one-{n}"), &format!("command = \"echo one-{n}.\"\nkind = \"oneshot\"\n"));
        builder = builder
            .service(&format!("two-{n}"), &format!("command = \"echo two-{n}.\"\nstart-after = [\"one-{n}\"]\n"));
    }
    let done = builder.run();
    done.assert_code(0);
    for n in 0..20 {
        assert_order(&done.stdout, &[&format!("one-{n}."), &format!("two-{n}.")]);
    }
}

#[test]
fn a_working_directory_and_a_bare_program_name() {
    let horust = horust()
        .file("bin/hello", "#!/bin/bash\necho hello from $PWD\n")
        .bash("mode", "chmod +x @DIR@/bin/hello", "kind = \"oneshot\"")
        .service("hello", "command = \"hello\"\nstart-after = [\"mode\"]\nworking-directory = \"/\"\n[environment]\nadditional = { PATH = \"@DIR@/bin:/usr/bin:/bin\" }\n");
    let done = horust.run();
    done.assert_code(0);
    assert_eq!(done.stdout, "hello from /\n");
}

#[test]
fn start_delay_is_waited_before_the_start() {
    let start = Instant::now();
    let done = horust().service("late", "command = \"echo late\"\nstart-delay = \"700ms\"\n").run();
    done.assert_code(0);
    assert!(start.elapsed() >= Duration::from_millis(700), "{:?}", start.elapsed());
}

#[test]
fn a_required_service_that_gives_up_ends_everything_with_its_code() {
    let done =
        horust().service("other", "command = \"sleep 1000\"\n").bash("needed", "exit 9", "required = true").run();
    done.assert_code(9);
    let done = horust()
        .service("other", "command = \"sleep 1000\"\n")
        .bash("needed", "kill -KILL $$", "[failure]\nstrategy = \"shutdown\"")
        .run();
    done.assert_code(137);
}

#[test]
fn the_exit_flag_counts_failures_but_no_clean_stop() {
    let flag = "--unsuccessful-exit-finished-failed";
    horust().bash("bad", "exit 3", "").run().assert_code(0);
    horust().arg(flag).bash("bad", "exit 3", "").run().assert_code(101);
    horust().arg(flag).bash("good", "exit 3", "[failure]\nsuccessful-exit-code = [0, 3]").run().assert_code(0);
    // Horust 0.1 counted a service that was told to stop as failed.
    let horust = horust().arg(flag).bash("up", "echo up; exec sleep 1000", "").start();
    horust.wait_for("up");
    horust.stop(Signal::SIGTERM).0.assert_code(0);
}
