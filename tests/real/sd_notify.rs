//! systemd's own client of the sd_notify protocol.

use crate::needs::{ask, lacks};
use crate::support::*;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::time::{Duration, Instant};

const NEEDS: &[&str] = &["systemd-notify"];

#[test]
fn ready_is_what_systemd_notify_says() {
    if lacks(NEEDS) {
        return;
    }
    let script = "systemd-notify --status='loading'; echo loading
until test -e @DIR@/late; do sleep 0.02; done
systemd-notify --ready --status='serving'; exec sleep 1000";
    let horust = horust()
        .bash("db", script, "[readiness]\nnotify = true")
        .bash("after", "test -e @DIR@/late && echo in time || echo too early", "start-after = [\"db\"]")
        .arg("--uds-folder-path")
        .arg("@DIR@/run")
        .start();
    let says = |horust: &Horust, text: &str| ask(&horust.dir().join("run"), &["status", "db"]).contains(text);
    horust.wait_for("loading");
    horust.wait_until("its words are passed on", |h| says(h, "loading"));
    fs::write(horust.dir().join("late"), "").unwrap();
    horust.wait_for("in time");
    horust.wait_until("its last words are passed on", |h| says(h, "serving"));
    let (done, _) = horust.stop(Signal::SIGTERM);
    done.assert_code(0);
    assert!(!done.stdout.contains("too early"), "{}", done.stdout);
}

/// systemd-notify sends in the name of its parent where it may, and in its own where it may not: as another user.
#[test]
fn a_service_of_another_user_is_heard_too() {
    if lacks(NEEDS) {
        return;
    }
    let horust = horust()
        .bash("db", "systemd-notify --ready; exec sleep 1000", "user = \"nobody\"\n[readiness]\nnotify = true")
        .bash("after", "echo after", "start-after = [\"db\"]")
        .start();
    horust.wait_for("after");
    horust.stop(Signal::SIGTERM).0.assert_code(0);
}

#[test]
fn a_client_that_pings_lives_and_one_that_stops_is_restarted() {
    if lacks(NEEDS) {
        return;
    }
    let script = "systemd-notify --ready; echo began
while test ! -e @DIR@/silent; do systemd-notify WATCHDOG=1; echo ping; sleep 0.2; done
rm @DIR@/silent; echo silent; exec sleep 1000";
    let timeout = Duration::from_secs(3);
    let rest = "[readiness]\nnotify = true\n[watchdog]\ntimeout = \"3s\"\n[restart]\nstrategy = \"on-failure\"";
    let horust = horust().bash("db", script, rest).start();
    horust.wait_for("began");
    let start = Instant::now();
    horust.wait_until("it has pinged for longer than the timeout", |_| start.elapsed() > 2 * timeout);
    assert_eq!(horust.stdout().matches("began").count(), 1, "{}", horust.stderr());
    fs::write(horust.dir().join("silent"), "").unwrap();
    horust.wait_for("silent");
    let start = Instant::now();
    horust.wait_for_count("began", 2);
    assert!(start.elapsed() > timeout / 2, "{:?}", start.elapsed());
    horust.wait_until("its end is explained", |h| h.stderr().contains("db: unhealthy: no WATCHDOG=1 within 3s"));
    horust.stop(Signal::SIGTERM).0.assert_code(0);
}

/// A daemon that goes into the background tells its new main process, whose end is the service's.
#[test]
fn the_pid_that_systemd_notify_names_is_the_main_process() {
    if lacks(NEEDS) {
        return;
    }
    let script = "sleep 1000 & echo \"main $! of run\"; systemd-notify --ready --pid=$!; exit 0";
    let horust = horust()
        .bash("db", script, "[readiness]\nnotify = true\n[restart]\nstrategy = \"on-failure\"")
        .bash("after", "echo after", "start-after = [\"db\"]")
        .start();
    horust.wait_for("after");
    let main = |horust: &Horust, run: usize| -> i32 {
        let text = horust.stdout();
        let line = text.lines().filter(|line| line.ends_with("of run")).nth(run).unwrap();
        line.split(' ').nth(1).unwrap().parse().unwrap()
    };
    let first = main(&horust, 0);
    assert!(horust.left().iter().any(|p| p.starts_with(&format!("{first} "))), "{:?}", horust.left());
    kill(Pid::from_raw(first), Signal::SIGKILL).unwrap();
    horust.wait_for_count("of run", 2);
    horust.wait_until("the restart is explained", |h| h.stderr().contains("db: was killed by SIGKILL; restart 1"));
    assert_ne!(main(&horust, 1), first);
    let (done, took) = horust.stop(Signal::SIGTERM);
    done.assert_code(0);
    assert!(took < BEFORE_KILL, "{took:?}");
}
