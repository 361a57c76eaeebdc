//! Horust as a real PID 1: everybody's parent.

use crate::support::*;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use std::time::Duration;

/// The zombies whose parent is this process.
fn zombies(parent: i32) -> usize {
    processes().iter().filter(|p| p.parent == parent && p.state == 'Z').count()
}

/// Processor time of a process, in ticks of a hundredth of a second (proc(5)).
fn cpu_ticks(pid: Pid) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, rest) = stat.rsplit_once(") ").unwrap();
    rest.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum()
}

#[test]
fn ten_thousand_orphans_leave_no_zombie() {
    for way in pid1_ways() {
        // Each ( … & ) is an orphan as soon as its subshell has ended.
        let script =
            "for i in {1..100}; do (for j in {1..100}; do (:) & done) & done; wait; sleep 0.2; echo all are orphans";
        let horust = way(horust()).bash("storm", script, "").bash("stays", "exec sleep 1000", "").start();
        horust.wait_for("all are orphans");
        let pid = horust.pid();
        horust.wait_until("no zombie", |_| zombies(pid.as_raw()) == 0);
        let (done, _) = horust.stop(Signal::SIGTERM);
        done.assert_code(0);
        assert_eq!(done.stderr, "");
    }
}

/// So many that whoever looks at all of them for each of them is busy for minutes. Horust is stopped until all have died.
#[test]
fn eighteen_thousand_orphans_at_once_are_reaped_in_good_time() {
    if needs_root() || std::process::Command::new("perl").arg("-v").output().is_err() {
        return;
    }
    // A shell would wait for some of its children in passing.
    let script = "echo up; until [ -e @DIR@/go ]; do sleep 0.01; done\n\
                  perl -e 'for (1..18000) { exit unless fork // die }' && echo all are orphans; exec sleep 1000";
    let horust = horust().pid1().bash("storm", script, "").start();
    horust.wait_for("up");
    let pid = horust.pid();
    horust.signal(Signal::SIGSTOP);
    std::fs::write(horust.dir().join("go"), "").unwrap();
    horust.wait_for("all are orphans");
    horust.wait_until("all are dead", |_| zombies(pid.as_raw()) >= 18_000);
    let before = cpu_ticks(pid);
    horust.signal(Signal::SIGCONT);
    horust.wait_until("no zombie", |_| zombies(pid.as_raw()) == 0);
    let ticks = cpu_ticks(pid) - before;
    // A quarter of a second was seen.
    assert!(ticks < 1000, "{ticks} ticks");
    let (done, _) = horust.stop(Signal::SIGTERM);
    done.assert_code(0);
    assert_eq!(done.stderr, "");
}

/// The end of a double-forked child must not be taken for that of a service (Supervisor#936).
#[test]
fn a_double_forked_child_that_exits_disturbs_nothing() {
    for way in pid1_ways() {
        let script = "(setsid bash -c 'sleep 0.1; exit 3' &) ; (sleep 0.1; kill -KILL $BASHPID) & disown; sleep 0.5; echo still here; exec sleep 1000";
        let mut horust = way(horust()).bash("forks", script, "[failure]\nstrategy = \"shutdown\"").start();
        horust.wait_for("still here");
        assert!(horust.running());
        let (done, _) = horust.stop(Signal::SIGTERM);
        done.assert_code(0);
        assert!(!done.stderr.contains("did not stop within"), "{}", done.stderr);
    }
}

/// Outside of a container orphans go to PID 1, unless Horust takes them as their subreaper.
#[test]
fn orphans_are_adopted_without_being_pid_1() {
    let script = "(setsid sleep 1000 &); sleep 0.1; echo up; exec sleep 1000";
    let horust = horust().bash("forks", script, "").start();
    horust.wait_for("up");
    let pid = horust.pid().as_raw();
    horust.wait_until("the orphan has a new parent", |_| {
        processes().iter().filter(|p| p.parent == pid && p.command.starts_with("sleep 1000")).count() == 2
    });
    let (done, took) = horust.stop(Signal::SIGTERM);
    done.assert_code(0);
    assert!(took < Duration::from_secs(8), "{took:?}");
}

#[test]
fn pid_1_outlives_hup_and_usr1_and_stops_on_term() {
    for way in pid1_ways() {
        let script =
            "trap 'echo got USR1' USR1; trap 'echo bye; exit 0' TERM; echo up; while true; do sleep 1000 & wait; done";
        let mut horust = way(horust()).bash("service", script, "").start();
        horust.wait_for("up");
        horust.signal(Signal::SIGHUP);
        horust.signal(Signal::SIGUSR1);
        horust.wait_for("got USR1");
        assert!(horust.running());
        horust.stop(Signal::SIGTERM).0.assert_code(0);
    }
}

#[test]
fn pid_1_ends_what_no_service_owns() {
    for way in pid1_ways() {
        let script = "setsid setsid bash -c 'trap \"\" TERM; echo up; while true; do sleep 1000; done' & disown -a; sleep 0.2; exit 0";
        let mut horust = way(horust()).bash("service", script, "").start();
        horust.wait_exit();
        horust.end().assert_code(0);
    }
}
