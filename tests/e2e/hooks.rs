//! Hooks, the stop command and its scope, and what a failed service does to those that need it: with real processes.

use crate::support::*;
use nix::sys::signal::Signal;
use nix::unistd::User;
use std::fs;

/// Each hook writes its name.
const ALL: &str = "[hooks]\nbefore-start = \"bash -c 'echo $$HORUST_HOOK of $$HORUST_SERVICE'\"\n\
    after-ready = \"bash -c 'echo $$HORUST_HOOK'\"\nbefore-stop = \"bash -c 'echo $$HORUST_HOOK'\"\n\
    after-stop = \"bash -c 'echo $$HORUST_HOOK'\"\non-failure = \"bash -c 'echo $$HORUST_HOOK: $$HORUST_REASON'\"\n";

#[test]
fn all_hooks_of_a_life_in_their_order() {
    let script = "trap 'echo stopped; exit 0' TERM; echo up; while true; do sleep 1000 & wait; done";
    let horust = horust().bash("a", script, ALL).start();
    horust.wait_for("up\n");
    horust.wait_for("after-ready");
    let (done, _) = horust.stop(Signal::SIGTERM);
    done.assert_code(0);
    assert_order(&done.stdout, &["before-start of a", "up", "before-stop", "stopped", "after-stop"]);
    assert!(!done.stdout.contains("on-failure"), "{}", done.stdout);
    assert_eq!(done.stderr, "");
}

#[test]
fn a_failure_runs_its_hooks_before_the_next_run() {
    let done = horust().bash("a", "echo run; exit 3", &format!("{ALL}[restart]\nattempts = 1\n")).run();
    done.assert_code(0);
    let lines: Vec<&str> = done.stdout.lines().filter(|line| *line != "after-ready").collect();
    let once = ["before-start of a", "run", "after-stop", "on-failure: exited with code 3"];
    assert_eq!(lines, [once, once].concat());
}

#[test]
fn a_failed_before_start_fails_the_start() {
    let done = horust()
        .arg("--unsuccessful-exit-finished-failed")
        .bash(
            "a",
            "echo must not run",
            "[hooks]\nbefore-start = [\"bash\", \"-c\", \"echo tried; exit 4\"]\n[restart]\nattempts = 1",
        )
        .bash("missing", "echo must not run", "[hooks]\nbefore-start = \"no-such-program\"")
        .bash("after", "echo must not run", "start-after = [\"a\"]")
        .run();
    done.assert_code(101);
    assert_eq!(done.stdout, "tried\ntried\n");
    assert!(done.stderr.contains("a: failed for good: its before-start failed: exited with code 4"), "{}", done.stderr);
    assert!(done.stderr.contains("missing: failed for good: its before-start failed: "), "{}", done.stderr);
}

#[test]
fn hooks_run_as_the_service_in_its_directory_and_environment() {
    if needs_root() {
        return;
    }
    let nobody = User::from_name("nobody").unwrap().unwrap();
    let hook = "[\"bash\", \"-c\", \"id -u; pwd; echo $$FOO\"]";
    let rest = format!(
        "user = \"nobody\"\nworking-directory = \"/tmp\"\nstdout = \"@DIR@/out\"\n[environment]\nFOO = \"bar\"\n[hooks]\nbefore-start = {hook}"
    );
    let horust = horust();
    fs::write(horust.dir().join("out"), "").unwrap();
    let horust = horust.bash("a", "true", &rest).start();
    horust.wait_until("it has spoken", |h| h.read("out").lines().count() == 3);
    assert_eq!(horust.read("out"), format!("{}\n/tmp\nbar\n", nobody.uid));
    horust.end().assert_code(0);
}

/// What the exec stage of a hook or a probe could not do is told as that of a service is.
#[test]
fn a_program_that_is_not_there_is_named_also_through_the_exec_stage() {
    if needs_root() {
        return;
    }
    let probe = "user = \"nobody\"\n[readiness]\ncommand = \"no-such-probe\"\nstart-timeout = \"200ms\"";
    let done = horust()
        .bash("a", "true", "user = \"nobody\"\n[hooks]\nbefore-start = \"no-such-program\"")
        .bash("b", "sleep 1000", probe)
        .run();
    done.assert_code(0);
    let spawn = "Failed spawning the process: Program \"no-such-";
    for words in
        [format!("its before-start failed: {spawn}program\" not found"), format!("200ms: {spawn}probe\" not found")]
    {
        assert!(done.stderr.contains(&words), "{words}: {}", done.stderr);
    }
}

#[test]
fn a_hook_that_hangs_is_killed_with_its_children() {
    let hang = "[\"bash\", \"-c\", \"sleep 1000 & sleep 1000\"]";
    let done = horust()
        .bash("a", "echo run", &format!("[hooks]\nafter-stop = {hang}\ntimeout = \"200ms\""))
        .bash("b", "echo must not run", &format!("[hooks]\nbefore-start = {hang}\ntimeout = \"200ms\""))
        .run();
    done.assert_code(0);
    assert_eq!(done.stdout, "run\n");
    assert_eq!(done.stderr.matches("failed: took longer than 200ms").count(), 3, "{}", done.stderr);
}

#[test]
fn a_stop_ends_what_prepares_the_start() {
    let hang = "[hooks]\nbefore-start = [\"bash\", \"-c\", \"echo preparing; exec sleep 1000\"]\nafter-stop = \"echo cleaned\"";
    let horust = horust().bash("a", "echo must not run", hang).start();
    horust.wait_for("preparing");
    let (done, took) = horust.stop(Signal::SIGTERM);
    done.assert_code(0);
    assert_eq!(done.stdout, "preparing\ncleaned\n");
    assert!(took < BEFORE_KILL, "{took:?}");
}

#[test]
fn a_stop_command_comes_before_the_signal() {
    let script = "trap 'echo got TERM; exit 1' TERM; echo up; until [ -e stop ]; do sleep 0.01; done; echo told";
    let rest = "[termination]\ncommand = \"touch stop\"\nwait = \"60s\"";
    let horust = horust().bash("a", script, rest).start();
    horust.wait_for("up");
    let (done, _) = horust.stop(Signal::SIGTERM);
    done.assert_code(0);
    assert_eq!(done.stdout, "up\ntold\n");
}

#[test]
fn a_stop_command_that_fails_is_followed_by_the_signal_at_once() {
    let script = "trap 'echo got TERM; exit 0' TERM; echo up; while true; do sleep 1000 & wait; done";
    let horust = horust().bash("a", script, "[termination]\ncommand = \"false\"\nwait = \"60s\"").start();
    horust.wait_for("up");
    let (done, took) = horust.stop(Signal::SIGTERM);
    done.assert_code(0);
    assert_eq!(done.stdout, "up\ngot TERM\n");
    assert!(took < LONG / 2, "{took:?}");
    assert!(done.stderr.contains("its termination command failed: exited with code 1"), "{}", done.stderr);
}

#[test]
fn the_scope_of_the_signal() {
    // A helper in the group, and one outside of it; both say which signal they got before the main process ends.
    let helper = "trap 'echo NAME got TERM; exit' TERM; echo NAME up; while true; do sleep 1000 & wait; done";
    let (near, far) = (helper.replace("NAME", "near"), helper.replace("NAME", "far"));
    let script = format!(
        "trap 'while [ ! -e go ]; do sleep 0.01; done; exit 0' TERM\nbash -c \"{near}\" & setsid bash -c \"{far}\" &\nwhile true; do sleep 1000 & wait $!; done"
    );
    for (scope, told, untold) in
        [("group", &["near"][..], &["far"][..]), ("main", &[], &["near", "far"]), ("tree", &["near", "far"], &[])]
    {
        let rest = format!("[termination]\nscope = \"{scope}\"\nwait = \"60s\"");
        let horust = horust().bash("a", &script, &rest).start();
        horust.wait_for("near up");
        horust.wait_for("far up");
        horust.signal(Signal::SIGTERM);
        told.iter().for_each(|name| horust.wait_for(&format!("{name} got TERM")));
        let early = horust.stdout();
        untold.iter().for_each(|name| assert!(!early.contains(&format!("{name} got TERM")), "{scope}: {early}"));
        // Once the main process has ended, the others get it too.
        fs::write(horust.dir().join("go"), "").unwrap();
        let done = horust.end();
        done.assert_code(0);
        for name in ["near", "far"] {
            assert!(done.stdout.contains(&format!("{name} got TERM")), "{scope}: {}", done.stdout);
        }
    }
}

#[test]
fn dependents_are_run_again_with_what_they_need() {
    let db = "echo db up; until [ -e fail ]; do sleep 0.01; done; rm fail; exit 1";
    let web = "trap 'exit 0' TERM; echo web up; while true; do sleep 1000 & wait; done";
    let horust = horust()
        .bash("db", db, "[restart]\nstrategy = \"on-failure\"\n[failure]\nstrategy = \"restart-dependents\"")
        .bash("web", web, "start-after = [\"db\"]")
        .bash("other", "echo other up; exec sleep 1000", "")
        .start();
    for round in 1..4 {
        horust.wait_for_count("db up", round);
        horust.wait_for_count("web up", round);
        fs::write(horust.dir().join("fail"), "").unwrap();
    }
    horust.wait_for_count("web up", 4);
    let (done, _) = horust.stop(Signal::SIGTERM);
    done.assert_code(0);
    assert_eq!((done.stdout.matches("web up").count(), done.stdout.matches("other up").count()), (4, 1));
}

#[test]
fn a_shutdown_at_the_first_failure_has_its_code() {
    let done = horust()
        .bash(
            "a",
            "echo run; exit 9",
            "[restart]\nstrategy = \"always\"\n[failure]\nstrategy = \"shutdown\"\non = \"every-failure\"",
        )
        .bash("b", "exec sleep 1000", "")
        .run();
    done.assert_code(9);
    assert_eq!(done.stdout, "run\n");
}
