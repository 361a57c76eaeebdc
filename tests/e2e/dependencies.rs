//! The order of starts and stops.

use crate::support::*;
use nix::sys::signal::Signal;
use std::time::Duration;

const STOPPABLE: &str = "trap 'echo NAME: stopped; exit 0' TERM; echo NAME: up; while true; do sleep 1000 & wait; done";

fn stoppable(name: &str) -> String {
    STOPPABLE.replace("NAME", name)
}

#[test]
fn a_chain_of_a_hundred_starts_in_order_and_stops_in_reverse() {
    let mut builder = horust();
    let name = |n: usize| format!("link-{n:03}");
    for n in 0..100 {
        let rest = if n == 0 { String::new() } else { format!("start-after = [\"{}.toml\"]", name(n - 1)) };
        builder = builder.bash(&name(n), &stoppable(&name(n)), &rest);
    }
    let horust = builder.start();
    horust.wait_for_count(": up", 100);
    let (done, _) = horust.stop(Signal::SIGTERM);
    done.assert_code(0);
    // A process that says "up" is not in step with one that starts after its exec; the stop order is exact.
    let stops: Vec<String> = (0..100).rev().map(|n| format!("{}: stopped", name(n))).collect();
    assert_order(&done.stdout, &stops.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn shutdown_after_is_kept_on_top_of_the_reverse_order() {
    let horust = horust()
        .bash("a", &stoppable("a"), "shutdown-after = [\"b\"]")
        .bash("b", &stoppable("b"), "")
        .bash("c", &stoppable("c"), "start-after = [\"a\"]\n")
        .start();
    horust.wait_for_count(": up", 3);
    let (done, _) = horust.stop(Signal::SIGTERM);
    done.assert_code(0);
    assert_order(&done.stdout, &["b: stopped", "a: stopped"]);
    assert_order(&done.stdout, &["c: stopped", "a: stopped"]);
}

#[test]
fn a_failed_dependency_fails_its_dependents_and_says_why() {
    let done = horust()
        .arg("--unsuccessful-exit-finished-failed")
        .bash("base", "exit 4", "kind = \"oneshot\"")
        .bash("middle", "echo must not run", "start-after = [\"base\"]")
        .bash("top", "echo must not run", "start-after = [\"middle\"]")
        .bash("apart", "echo apart", "")
        .run();
    done.assert_code(101);
    assert_eq!(done.stdout, "apart\n");
    for service in ["base", "middle", "top"] {
        assert!(done.stderr.contains(service), "{service} in {}", done.stderr);
    }
}

#[test]
fn a_oneshot_holds_back_what_starts_after_it() {
    let done = horust()
        .bash("first", "sleep 0.3; echo first", "kind = \"oneshot\"")
        .bash("second", "echo second", "start-after = [\"first\"]")
        .run();
    done.assert_code(0);
    assert_order(&done.stdout, &["first", "second"]);
}

#[test]
fn a_dependent_waits_for_the_first_passing_health_check() {
    let done = horust()
        .bash("base", "sleep 0.3; echo base is up; touch @DIR@/up; trap 'exit 0' TERM; while true; do sleep 1000 & wait; done",
            "[healthiness]\nfile-path = \"@DIR@/up\"\ninterval = \"50ms\"\nmax-failed = 1000\n[termination]\ndie-if-failed = [\"last\"]")
        .bash("last", "echo last; exit 1", "start-after = [\"base\"]")
        .run();
    done.assert_code(0);
    assert_order(&done.stdout, &["base is up", "last"]);
}

#[test]
fn kill_dependents_stops_those_that_start_after_it() {
    let horust = horust()
        .bash(
            "base",
            "echo base: up; until [ -e @DIR@/fail ]; do sleep 0.05; done; exit 1",
            "[failure]\nstrategy = \"kill-dependents\"",
        )
        .bash("dependent", &stoppable("dependent"), "start-after = [\"base\"]")
        .bash("apart", &stoppable("apart"), "")
        .start();
    horust.wait_for_count(": up", 3);
    std::fs::write(horust.dir().join("fail"), "").unwrap();
    horust.wait_for("dependent: stopped");
    let (done, _) = horust.stop(Signal::SIGTERM);
    assert_order(&done.stdout, &["dependent: stopped", "apart: stopped"]);
}

/// Stop during start: no deadlock (pebble#502), and nothing is started after it.
#[test]
fn a_stop_while_services_wait_for_each_other() {
    let horust = horust()
        .bash("base", &stoppable("base"), "[healthiness]\nfile-path = \"@DIR@/never\"\nmax-failed = 100000")
        .bash("next", "echo must not run", "start-after = [\"base\"]")
        .start();
    horust.wait_for("base: up");
    let (done, took) = horust.stop(Signal::SIGTERM);
    done.assert_code(0);
    assert!(took < BEFORE_KILL, "{took:?}");
    assert!(done.stdout.ends_with("base: stopped\n"), "{}", done.stdout);
}

/// A restart while a dependent waits: no wedge, and never two copies (process-compose#530).
#[test]
fn a_dependency_that_comes_up_at_its_third_try() {
    let script = "echo run >> @DIR@/runs; [ $(wc -l < @DIR@/runs) -ge 3 ] || exit 1; echo base at last";
    let done = horust()
        .bash("base", script, "kind = \"oneshot\"\n[restart]\nstrategy = \"on-failure\"\nbackoff = \"20ms\"")
        .bash("next", "echo next", "start-after = [\"base\"]")
        .run();
    done.assert_code(0);
    assert_eq!(done.stdout, "base at last\nnext\n");
}

/// A dependency that was killed is no longer ready (finit#475).
#[test]
fn a_killed_dependency_is_not_ready_until_it_is_back() {
    let base = "echo base $$; exec sleep 1000";
    let horust = horust()
        .bash("base", base, "[restart]\nstrategy = \"always\"\nbackoff = \"300ms\"")
        .bash(
            "next",
            "sleep 0.1; echo next; exit 1",
            "start-after = [\"base\"]\n[restart]\nstrategy = \"always\"\nbackoff = \"1ms\"\nattempts = 0",
        )
        .start();
    horust.wait_for_count("next", 1);
    let text = horust.stdout();
    let pid: i32 = text.lines().find_map(|l| l.strip_prefix("base ")).unwrap().parse().unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    horust.wait_for_count("base", 2);
    horust.wait_for_count("next", 5);
    let (done, took) = horust.stop(Signal::SIGTERM);
    done.assert_code(0);
    assert!(took < Duration::from_secs(4));
}

#[test]
fn conditions_are_about_what_really_happens() {
    let after =
        |name: &str, condition: &str| format!("start-after = [{{ name = \"{name}\", condition = \"{condition}\" }}]");
    let done = horust()
        .bash("good", "echo good", "kind = \"oneshot\"")
        .bash("bad", "echo bad; exit 3", "")
        .bash("a", "echo after the success", &after("good", "completed-successfully"))
        .bash("b", "echo after the failure", &after("bad", "failed"))
        .bash("c", "echo after either", &after("bad", "completed"))
        .bash("d", "echo must not run", &after("good", "failed"))
        .bash("e", "echo must not run", &after("bad", "completed-successfully"))
        .bash("f", "echo alone", "start-after = [{ name = \"nobody\", required = false }]")
        .run();
    done.assert_code(0);
    for line in ["after the success", "after the failure", "after either", "alone"] {
        assert_eq!(done.stdout.matches(line).count(), 1, "{}", done.stdout);
    }
    assert_order(&done.stdout, &["good", "after the success"]);
    assert!(!done.stdout.contains("must not run"), "{}", done.stdout);
    assert!(done.stderr.contains(" e: failed for good") && !done.stderr.contains(" d: failed"), "{}", done.stderr);
}

#[test]
fn a_failed_start_is_told_with_its_first_cause_and_where_it_stands() {
    let done = horust()
        .bash("db", "exit 4", "kind = \"oneshot\"")
        .bash("app", "echo must not run", "start-after = [\"db\"]")
        .bash("web", "echo must not run", "start-after = [\"app\"]")
        .run();
    done.assert_code(0);
    let line = |start: &str| {
        let line = done.stderr.lines().find(|line| line.contains(start));
        line.unwrap_or_else(|| panic!("no {start} in {}", done.stderr)).to_owned()
    };
    let web = line(" web: failed for good: starts after app, which has failed (");
    assert!(web.contains("services/web.toml:1); db failed ") && web.contains(" ago: exited with code 4 ("), "{web}");
    assert!(web.ends_with("services/db.toml:1)"), "{web}");
    assert!(line(" db: failed for good: exited with code 4 (").ends_with("services/db.toml:1)"));
    assert_eq!(done.stderr.lines().count(), 3, "{}", done.stderr);
}

/// Nothing waits silently: after half a minute Horust says what for.
#[test]
fn a_service_that_is_not_ready_for_long_is_mentioned_with_what_it_lacks() {
    let horust = horust()
        .bash("db", "exec sleep 1000", "[readiness]\nunix-socket = \"@DIR@/db.sock\"")
        .bash("app", "echo must not run", "start-after = [\"db\"]")
        .bash("web", "echo must not run", "start-after = [\"db\", \"app\"]")
        .start();
    horust.wait_until("it is mentioned", |h| h.stderr().contains("db: not ready after 30s: cannot connect to "));
    let (done, _) = horust.stop(Signal::SIGTERM);
    done.assert_code(0);
    assert!(done.stderr.contains("services/db.toml:1); waited for by app and web\n"), "{}", done.stderr);
    assert_eq!(done.stderr.lines().count(), 1, "{}", done.stderr);
}

/// A dependency that flaps with ten dependents, for some seconds of real time (`tests/supervisor` has it flap for a minute): a
/// lock that each run takes tells of a second one beside it, and nobody is forgotten once it holds still.
#[test]
fn a_storm_of_restarts_doubles_and_loses_nothing() {
    let alone = |name: &str| format!("exec 9>@DIR@/{name}.lock; flock --nonblock 9 || echo {name}: doubled");
    let flaps = "if [ -e @DIR@/calm ]; then echo db: calm; touch @DIR@/up; exec sleep 1000; fi
        echo db: run; touch @DIR@/up; sleep 0.05; exit 1";
    let mut builder = horust().bash(
        "db",
        &format!("{}\n{flaps}", alone("db")),
        "[readiness]\nfile-path = \"@DIR@/up\"\ninterval = \"10ms\"\n[restart]\nstrategy = \"always\"\nbackoff = \"1ms\"\n\
         growth = \"constant\"\n[failure]\nstrategy = \"restart-dependents\"",
    );
    // Every other one fails by itself as well.
    for n in 0..10 {
        let name = format!("web{n}");
        let then = if n % 2 == 0 { "exec sleep 1000" } else { "sleep 0.03; exit 1" };
        let script = format!("{}; echo {name}: run; {then}", alone(&name));
        let rest =
            "start-after = [\"db\"]\n[restart]\nstrategy = \"always\"\nbackoff = \"20ms\"\ngrowth = \"constant\"";
        builder = builder.bash(&name, &script, rest);
    }
    let horust = builder.start();
    horust.wait_for_count("db: run", 40);
    std::fs::write(horust.dir().join("calm"), "").unwrap();
    horust.wait_until("all are run again", |h| {
        let text = h.stdout();
        let after = text.split_once("db: calm").map_or("", |(_, after)| after);
        (0..10).all(|n| after.contains(&format!("web{n}: run")))
    });
    let (done, took) = horust.stop(Signal::SIGTERM);
    done.assert_code(0);
    assert!(took < BEFORE_KILL, "{took:?}");
    assert!(!done.stdout.contains("doubled"), "{}", done.stdout);
    let runs = |name: &str| done.stdout.matches(&format!("{name}: run")).count();
    for n in (0..10).step_by(2) {
        let name = format!("web{n}");
        assert!(runs(&name) <= runs("db") + 1, "{name}: {} runs, {} of db", runs(&name), runs("db"));
    }
    // A failure is told once.
    assert!(done.stderr.lines().count() <= done.stdout.lines().count(), "{}", done.stderr);
}
