//! Stopping: in order, within the time given, and whole process trees.

use crate::cgroup::{cgroup, without_cgroups};
use crate::control::{assert_code, controlled, ok, verb};
use crate::support::*;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::process::{Child, Command};
use std::time::Duration;

/// What `wait` may be exceeded by on a busy machine.
const SLACK: Duration = Duration::from_secs(4);

/// The leader exits on TERM, a child in its group ignores it: KILL after the wait (process-compose#520).
#[test]
fn a_group_child_that_ignores_the_signal_is_killed_after_the_wait() {
    let script =
        "(trap '' TERM; echo child; while true; do sleep 1000; done) &\ntrap 'echo leader ends; exit 0' TERM\nwait";
    let horust = horust().bash("tree", script, "[termination]\nwait = \"500ms\"").start();
    horust.wait_for("child");
    let (done, took) = horust.stop(Signal::SIGTERM);
    done.assert_code(0);
    assert!(done.stdout.contains("leader ends"), "{}", done.stdout);
    assert!(took >= Duration::from_millis(500) && took < Duration::from_millis(500) + SLACK, "{took:?}");
}

#[test]
fn a_grandchild_with_a_session_of_its_own_is_stopped_too() {
    let script =
        "setsid bash -c 'trap \"\" TERM HUP; echo far $(basename @DIR@); while true; do sleep 1000; done' &\nwait";
    let horust = horust().bash("tree", script, "[termination]\nwait = \"500ms\"").start();
    horust.wait_for("far");
    let (done, took) = horust.stop(Signal::SIGTERM);
    done.assert_code(0);
    assert!(took < Duration::from_millis(500) + SLACK * 2, "{took:?}");
}

/// `wait` was rounded in Horust 0.1.
#[test]
fn wait_is_exact() {
    for (wait, ms) in [("0s", 0), ("300ms", 300), ("1s", 1000)] {
        let horust = horust()
            .bash(
                "stubborn",
                "trap '' TERM; echo up; while true; do sleep 1000; done",
                &format!("[termination]\nwait = \"{wait}\""),
            )
            .start();
        horust.wait_for("up");
        let (done, took) = horust.stop(Signal::SIGTERM);
        done.assert_code(0);
        assert!(took >= Duration::from_millis(ms) && took < Duration::from_millis(ms) + SLACK, "{wait}: {took:?}");
    }
}

/// Main starts services one after the other. A stop that comes meanwhile must not wait until it has started them all.
#[test]
fn a_stop_takes_back_the_starts_that_still_wait() {
    const SERVICES: usize = 300;
    // Each end is a line of the log. The shell may be so late, on a machine that stands still, that all have started.
    let taken_back = (0..5).any(|_| {
        let mut horust = horust().env("HORUST_LOG", "debug");
        horust = horust.service("a", "command = [\"sh\", \"-c\", \"kill $$PPID; exec sleep 1000\"]");
        for nth in 1..SERVICES {
            horust = horust.service(&format!("b{nth}"), "command = \"sleep 1000\"");
        }
        let done = horust.start().end();
        done.assert_code(0);
        assert_eq!(done.stderr.matches(": finished").count(), SERVICES, "{}", done.stderr);
        let ended = done.stderr.matches(": was killed by ").count();
        println!("{ended} of {SERVICES} were started");
        ended < SERVICES
    });
    assert!(taken_back);
}

#[test]
fn the_stop_signal_is_the_services_own() {
    let script = "trap 'echo got QUIT; exit 0' QUIT; trap 'echo got TERM; exit 1' TERM; echo up; while true; do sleep 1000 & wait; done";
    let horust = horust().bash("quits", script, "[termination]\nsignal = \"SIGQUIT\"").start();
    horust.wait_for("up");
    let (done, _) = horust.stop(Signal::SIGINT);
    done.assert_code(0);
    assert_eq!(done.stdout, "up\ngot QUIT\n");
}

#[test]
fn a_second_signal_kills_at_once() {
    let horust = horust()
        .bash(
            "stubborn",
            "trap 'echo got TERM' TERM; echo up; while true; do sleep 1000 & wait; done",
            "[termination]\nwait = \"1h\"",
        )
        .start();
    horust.wait_for("up");
    horust.signal(Signal::SIGTERM);
    horust.wait_for("got TERM");
    let (done, took) = horust.stop(Signal::SIGTERM);
    assert!(took < BEFORE_KILL, "{took:?}");
    assert!(done.status.code().is_some(), "{}", done.status);
}

/// A second TERM right after the first counts, though the kernel merges two that are pending at once.
#[test]
fn two_signals_at_once_end_it() {
    let horust = horust()
        .bash("stubborn", "trap '' TERM; echo up; while true; do sleep 1000; done", "[termination]\nwait = \"1h\"")
        .start();
    horust.wait_for("up");
    horust.signal(Signal::SIGTERM);
    let (_, took) = horust.stop(Signal::SIGINT);
    assert!(took < BEFORE_KILL, "{took:?}");
}

/// A grandchild that is still busy in its TERM handler is waited for (tini#180).
#[test]
fn a_grandchild_busy_with_its_clean_up_is_waited_for() {
    let script = "bash -c \"trap 'sleep 0.5; echo cleaned up; exit 0' TERM; echo up; while true; do sleep 1000 & wait; done\" &\ntrap 'exit 0' TERM\nwait";
    let horust = horust().bash("tree", script, "").start();
    horust.wait_for("up");
    let (done, took) = horust.stop(Signal::SIGTERM);
    done.assert_code(0);
    assert_eq!(done.stdout, "up\ncleaned up\n");
    assert!(took < BEFORE_KILL, "{took:?}");
}

#[test]
fn a_stopped_service_is_stopped_too() {
    let horust = horust().bash("frozen", "echo up $$; kill -STOP $$", "[termination]\nwait = \"1s\"").start();
    horust.wait_for("up");
    let pid: i32 = horust.stdout().split_whitespace().last().unwrap().parse().unwrap();
    wait_until("it is frozen", || processes().iter().any(|p| p.pid == pid && p.state == 'T'));
    let (done, took) = horust.stop(Signal::SIGTERM);
    done.assert_code(0);
    assert!(took < BEFORE_KILL, "{took:?}");
}

/// Four ordered services within the ten seconds that `docker stop` gives: not 137.
#[test]
fn four_ordered_services_end_in_good_time() {
    let slow = "trap 'sleep 0.3; exit 0' TERM; echo up; while true; do sleep 1000 & wait; done";
    let mut builder = horust().bash("s0", slow, "");
    for n in 1..4 {
        builder = builder.bash(&format!("s{n}"), slow, &format!("start-after = [\"s{}\"]", n - 1));
    }
    let horust = builder.start();
    horust.wait_for_count("up", 4);
    let (done, took) = horust.stop(Signal::SIGTERM);
    done.assert_code(0);
    assert!(took >= Duration::from_millis(1200) && took < Duration::from_secs(5), "{took:?}");
}

/// What outlives its service, which ended by itself, does not outlive Horust.
#[test]
fn nothing_survives_a_service_that_ended_by_itself() {
    let done = horust().bash("parent", "setsid sleep 1000 & sleep 1000 & disown -a; echo bye", "").run();
    done.assert_code(0);
    assert_eq!(done.stdout, "bye\n");
}

/// A process that is in no group and no session of its service any more, and does not end on TERM.
const STRAY: &str = "setsid bash -c 'trap \"\" TERM HUP; echo $$ > @DIR@/stray; while true; do sleep 0.05; done' &\n\
                     until [ -s @DIR@/stray ]; do sleep 0.01; done\n";

/// What a main process leaves behind is known from then on, and may leave the session as well: it was forgotten, nothing
/// looked again, and the service ended as one that can't be killed.
#[test]
fn what_leaves_the_session_after_the_main_process_is_stopped_with_its_service() {
    let script = "(trap '' TERM HUP; echo $BASHPID >> @DIR@/strays; until [ -e @DIR@/go ]; do sleep 0.01; done; exec setsid sleep 1000) &\n\
                  until [ -s @DIR@/strays ]; do sleep 0.01; done; exit 1";
    let rest = "[restart]\nstrategy = \"always\"\nattempts = 2\n[termination]\nwait = \"300ms\"";
    let horust = horust().bash("leaver", script, rest).bash("other", "exec sleep 1000", "").start();
    horust.wait_until("the main process has left something", |h| h.read("strays").lines().count() == 1);
    let session = |pid: i32| nix::unistd::getsid(Some(nix::unistd::Pid::from_raw(pid))).map(|sid| sid.as_raw());
    let stray: i32 = horust.read("strays").trim().parse().unwrap();
    horust.wait_until("the main process is gone", |_| processes().iter().all(|p| Ok(p.pid) != session(stray)));
    std::fs::write(horust.dir().join("go"), "").unwrap();
    horust.wait_until("the service has failed for good", |h| h.stderr().contains("leaver: failed for good"));
    let (stderr, strays) = (horust.stderr(), horust.read("strays"));
    assert!(!stderr.contains("even SIGKILL"), "{stderr}");
    assert!(stderr.contains("restart 2"), "{stderr}");
    let first: i32 = strays.lines().next().unwrap().parse().unwrap();
    assert!(processes().iter().all(|p| p.pid != first), "{stderr}");
    horust.stop(Signal::SIGTERM).0.assert_code(0);
}

/// While Horust goes on: no final sweep, so the stop of the service itself has to find the stray.
#[test]
fn a_stray_is_stopped_with_its_service_while_others_go_on() {
    let mut horust = horust()
        .bash(
            "base",
            "until [ -e @DIR@/fail ]; do sleep 0.02; done; exit 1",
            "[failure]\nstrategy = \"kill-dependents\"",
        )
        .bash("tree", &format!("{STRAY}echo up; wait"), "start-after = [\"base\"]\n[termination]\nwait = \"300ms\"")
        .bash("other", "echo up; exec sleep 1000", "")
        .start();
    horust.wait_for_count("up", 2);
    let stray: i32 = horust.read("stray").trim().parse().unwrap();
    std::fs::write(horust.dir().join("fail"), "").unwrap();
    horust.wait_until("the stray is gone", |_| !processes().iter().any(|p| p.pid == stray));
    assert!(horust.running());
    horust.stop(Signal::SIGTERM).0.assert_code(0);
}

/// Says whether the stray is there still when it is stopped itself.
const BASE: &str = "trap '[ -e /proc/$(cat @DIR@/stray) ] && echo too early; echo base stops; exit 0' TERM; echo up; while true; do sleep 1000 & wait; done";

/// A service has stopped when its tree is empty: only then may the one before it be stopped.
#[test]
fn a_stray_is_gone_before_the_next_service_is_stopped() {
    let horust = horust()
        .bash("base", BASE, "")
        .bash("tree", &format!("{STRAY}echo up; wait"), "start-after = [\"base\"]\n[termination]\nwait = \"300ms\"")
        .start();
    horust.wait_for_count("up", 2);
    let (done, _) = horust.stop(Signal::SIGTERM);
    done.assert_code(0);
    assert_eq!(done.stdout, "up\nup\nbase stops\n");
}

/// Where many are stopped at once all processes are listed, by their cgroups, or by /proc if that can't be.
#[test]
fn a_stray_is_found_among_many() {
    if needs_root() {
        return;
    }
    let many = |mut builder: Builder, first: &str| {
        for n in 0..40 {
            let other = "command = \"sleep 1000\"\nstart-after = [\"base\"]\n";
            builder = builder.service(&format!("other{n}"), other);
        }
        let rest = "start-after = [\"base\"]\n[termination]\nwait = \"300ms\"";
        let script = format!("{first}{STRAY}echo up; wait");
        let horust = builder.bash("base", BASE, "").bash("tree", &script, rest).start();
        horust.wait_for_count("up", 2);
        horust.wait_until("all run", |h| processes().iter().filter(|p| p.parent == h.pid().as_raw()).count() == 42);
        let (done, _) = horust.stop(Signal::SIGTERM);
        done.assert_code(0);
        assert_eq!(done.stdout, "up\nup\nbase stops\n");
    };
    many(without_cgroups(), "");
    let Some(parent) = cgroup() else { return };
    let group = parent.join(format!("horust-test-many-{}", std::process::id()));
    many(horust(), &format!("mkdir {0}; echo $$ > {0}/cgroup.procs; ", group.display()));
    std::fs::remove_dir(&group).unwrap();
}

/// A process in somebody else's pid namespace whose parent is not there, and does not wait for it.
struct Guest {
    parent: Child,
    host: Pid,
}

impl Guest {
    /// Of the namespace that a service has made by `unshare --pid --fork sleep`.
    fn of(horust: &Horust) -> Guest {
        let children = |of: i32| processes().into_iter().filter(move |p| p.parent == of);
        let mut host = None;
        horust.wait_until("the namespace is there", |h| {
            let of_services = children(h.pid().as_raw()).flat_map(|p| children(p.pid));
            host = of_services.filter(|p| p.command.starts_with("sleep")).map(|p| Pid::from_raw(p.pid)).next_back();
            host.is_some()
        });
        let host = host.unwrap();
        let parent = Command::new("nsenter").args(["--target", &host.to_string(), "--pid", "sleep", "100000"]).spawn();
        let guest = Guest { parent: parent.unwrap(), host };
        let pid = Pid::from_raw(guest.parent.id() as i32);
        horust.wait_until("the guest is there", |_| children(pid.as_raw()).count() == 1);
        kill(pid, Signal::SIGSTOP).unwrap();
        guest
    }

    /// The parent of the guest, which has been killed, waits for it at last.
    fn leave(&mut self) {
        kill(Pid::from_raw(self.parent.id() as i32), Signal::SIGCONT).unwrap();
        self.parent.wait().unwrap();
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        if self.parent.try_wait().is_ok_and(|status| status.is_none()) {
            let _ = kill(self.host, Signal::SIGKILL);
            self.leave();
        }
    }
}

/// What even SIGKILL does not end: the first process of a pid namespace stays until all others of it have been waited for
/// (pid_namespaces(7)).
#[test]
fn what_would_not_die_gets_no_second_run_beside_it() {
    if needs_root() {
        return;
    }
    let stuck = "command = \"unshare --pid --fork sleep 100000\"\n[termination]\nwait = \"100ms\"\n";
    let horust = controlled().service("stuck", stuck).bash("other", "exec sleep 1000", "").start();
    let mut guest = Guest::of(&horust);
    ok(&verb(&horust, &["stop", "stuck", "--wait"]));
    for again in ["start", "restart"] {
        let refused = assert_code(&verb(&horust, &[again, "stuck"]), 1);
        assert!(refused.contains("cannot start stuck: processes of its last run are still there"), "{refused}");
    }
    let why = String::from_utf8(verb(&horust, &["why", "stuck"]).stdout).unwrap();
    assert!(why.contains("even SIGKILL does not end them; it can be started once they are gone"), "{why}");
    guest.leave();
    horust.wait_until("they are gone", |h| {
        h.stderr().contains("stuck: the processes that even SIGKILL did not end are gone")
    });
    ok(&verb(&horust, &["start", "stuck", "--wait"]));
    horust.stop(Signal::SIGTERM).0.assert_code(0);
}

/// The runtime thread sleeps until the next deadline that it knows, and one may come up in a turn of main's. It was told by a
/// message that main itself could take in its next turn: it slept on, and the kill never came.
#[test]
fn a_kill_comes_in_time_though_something_happens_right_after_it_was_planned() {
    let leaves_one_deaf = "(trap '' TERM; echo up; exec sleep 1000) & exec sleep 1000";
    for _ in 0..100 {
        let horust = horust().bash("s", leaves_one_deaf, "[termination]\nwait = \"10ms\"").start();
        horust.wait_for("up");
        horust.stop(Signal::SIGTERM).0.assert_code(0);
    }
}
