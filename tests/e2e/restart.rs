//! When a service is run again, and when no more.

use crate::support::*;
use nix::sys::signal::Signal;
use std::fs;
use std::time::{Duration, Instant};

/// The start times of a service, in milliseconds.
fn starts(text: &str) -> Vec<u64> {
    text.lines().map(|l| l.parse::<u64>().unwrap() / 1_000_000).collect()
}

const RUN: &str = "date +%s%N >> @DIR@/starts\n";

/// Runs one service to its end and returns its start times.
fn run(script: &str, rest: &str, code: i32) -> Vec<u64> {
    let mut horust =
        horust().arg("--unsuccessful-exit-finished-failed").bash("service", &format!("{RUN}{script}"), rest).start();
    horust.wait_exit();
    let times = starts(&horust.read("starts"));
    horust.end().assert_code(code);
    times
}

#[track_caller]
fn assert_gaps(times: &[u64], wanted: &[u64]) {
    assert_eq!(times.len(), wanted.len() + 1, "{times:?}");
    for (pair, wanted) in times.windows(2).zip(wanted) {
        let gap = pair[1] - pair[0];
        // The lower bound is the promise; the upper one allows for a busy machine.
        assert!(gap >= *wanted && gap < wanted + 2000, "{gap} ms instead of {wanted}; {times:?}");
    }
}

/// Horust#318: `backoff` and `attempts` did nothing.
#[test]
fn backoff_and_attempts_do_what_they_say_for_each_strategy() {
    for strategy in ["never", "on-failure", "always"] {
        let rest = format!("[restart]\nstrategy = \"{strategy}\"\nbackoff = \"200ms\"\nattempts = 3\n");
        assert_gaps(&run("exit 1", &rest, 101), &[200, 400, 600]);
    }
}

#[test]
fn growth_is_bounded() {
    let rest = "[restart]\nstrategy = \"on-failure\"\nbackoff = \"50ms\"\nattempts = 4\n";
    assert_gaps(&run("exit 1", &format!("{rest}growth = \"constant\"\n"), 101), &[50, 50, 50, 50]);
    let exponential = format!("{rest}growth = \"exponential\"\nbackoff-max = \"150ms\"\n");
    assert_gaps(&run("exit 1", &exponential, 101), &[50, 100, 150, 150]);
}

#[test]
fn without_a_strategy_and_attempts_there_is_one_run() {
    assert_eq!(run("exit 1", "", 101).len(), 1);
    assert_eq!(run("exit 0", "[restart]\nstrategy = \"on-failure\"\n", 0).len(), 1);
}

#[test]
fn a_failure_is_what_the_service_says_it_is() {
    let rest = "[restart]\nstrategy = \"on-failure\"\nattempts = 2\n";
    assert_eq!(run("exit 3", &format!("{rest}[failure]\nsuccessful-exit-code = [3]\n"), 0).len(), 1);
    assert_eq!(run("exit 0", &format!("{rest}[failure]\nsuccessful-exit-code = [3]\n"), 0).len(), 1);
    assert_eq!(run("kill -KILL $$", rest, 101).len(), 3);
    // The seed's word: the only codes that are failures.
    assert_eq!(run("exit 5", &format!("{rest}[failure]\nexit_code = \"10,20\"\n"), 0).len(), 1);
    assert_eq!(run("exit 20", &format!("{rest}[failure]\nexit_code = \"10,20\"\n"), 101).len(), 3);
}

#[test]
fn a_run_that_lives_long_enough_starts_the_count_afresh() {
    let rest = "[restart]\nstrategy = \"on-failure\"\nattempts = 2\nbackoff = \"1ms\"\nreset-after = \"200ms\"\n";
    // Five runs that live for longer, then three that don't: the last of them is one more than two attempts allow.
    let script = "if [ $(wc -l < @DIR@/starts) -le 5 ]; then sleep 0.4; fi\nexit 1";
    assert_eq!(run(script, rest, 101).len(), 5 + 2);
}

#[test]
fn a_command_that_cannot_be_started_uses_up_the_attempts() {
    let done = horust()
        .arg("--unsuccessful-exit-finished-failed")
        .service("absent", "command = \"/no/such/program\"\n[restart]\nstrategy = \"always\"\nattempts = 2\n")
        .run();
    done.assert_code(101);
    assert!(done.stderr.contains("/no/such/program"), "{}", done.stderr);
}

#[test]
fn always_restarts_after_success_without_a_delay_but_does_not_spin() {
    let horust = horust().bash("quick", RUN, "[restart]\nstrategy = \"always\"\nbackoff = \"60s\"\n").start();
    let begun = Instant::now();
    let dir = horust.dir().to_owned();
    let count = || fs::read_to_string(dir.join("starts")).unwrap_or_default().lines().count();
    horust.wait_until("thirty starts", |_| count() >= 30);
    // Ten at full speed, then no more than ten a second.
    assert!(begun.elapsed() > Duration::from_millis(1500), "{:?}", begun.elapsed());
    horust.stop(Signal::SIGTERM).0.assert_code(0);
}

#[test]
fn a_stop_during_backoff_is_a_stop() {
    let horust =
        horust().bash("bad", "echo run; exit 1", "[restart]\nstrategy = \"always\"\nbackoff = \"1h\"\n").start();
    horust.wait_for("run");
    let (done, took) = horust.stop(Signal::SIGTERM);
    done.assert_code(0);
    assert!(took < BEFORE_KILL, "{took:?}");
    assert_eq!(done.stdout, "run\n");
}
