//! What the machine may lack or do to Horust: no /proc, nothing left to have, a full `/run`, a terminal that stands still, time
//! that passes without it.

use crate::client::speaks;
use crate::control::{controlled, ok, verb};
use crate::support::*;
use nix::pty::openpty;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::time::{Duration, Instant};

const AGAIN: &str = "[restart]\nstrategy = \"always\"\n";

/// Processor time that Horust itself has used, in ticks of a hundredth of a second (proc(5)).
fn cpu_ticks(horust: &Horust) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", horust.pid())).unwrap();
    let (_, rest) = stat.rsplit_once(") ").unwrap();
    rest.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum()
}

/// Starts, settings that take the exec stage, restarts, orphans and what is left of a run: all of it without /proc.
#[test]
fn pid_1_without_proc() {
    if needs_root() {
        return;
    }
    let hide = [
        "unshare",
        "--mount",
        "bash",
        "-c",
        "while umount --recursive --lazy /proc 2>/dev/null; do :; done; exec \"$@\"",
        "bash",
    ];
    let crash = "echo crash; sleep 1000 & exit 3";
    let horust = controlled()
        .pid1()
        .wrapper(&hide)
        .bash("crash", crash, "[restart]\nstrategy = \"on-failure\"\nattempts = 2\n[termination]\nwait = \"200ms\"")
        .bash("stage", "[ -e /proc/self ] || echo no proc; exec sleep 1000", "nice = 3")
        .bash("leaves", "setsid sleep 1000 & (setsid bash -c 'exit 3' &); echo left; exec sleep 1000", "")
        .bash("log", "echo line; exec sleep 1000", "log.format = \"prefix\"")
        .start();
    horust.wait_for_count("crash", 3);
    horust.wait_for("no proc");
    horust.wait_for("left");
    horust.wait_for("log | line");
    horust.wait_until("it is told", |h| h.stderr().contains("crash: failed for good: exited with code 3"));
    ok(&verb(&horust, &["stop", "stage", "--wait"]));
    let (done, _) = horust.stop(Signal::SIGTERM);
    done.assert_code(0);
    assert!(!done.stderr.contains("even SIGKILL"), "{}", done.stderr);
}

/// Everything that happens while Horust stands still is seen once it goes on: exits, messages, signals, requests.
#[test]
fn what_happens_while_horust_stands_still_is_not_lost() {
    let exits = "echo up $NAME; until [ -e @DIR@/go ]; do sleep 0.02; done; [ -e once-$NAME ] && exec sleep 1000; touch once-$NAME; exit 1";
    let mut builder = controlled();
    for n in 0..20 {
        let rest = format!("working-directory = \"@DIR@\"\n{AGAIN}[environment]\nNAME = \"s{n}.\"");
        builder = builder.bash(&format!("s{n}"), exits, &rest);
    }
    let horust = builder
        .bash(
            "log",
            "until [ -e @DIR@/go ]; do sleep 0.02; done; seq 1 100; exec sleep 1000",
            "log.format = \"prefix\"",
        )
        .start();
    horust.wait_for_count("up", 20);
    let status = verb(&horust, &["status"]);
    ok(&status);
    let pid = horust.pid();
    horust.signal(Signal::SIGSTOP);
    fs::write(horust.dir().join("go"), "").unwrap();
    let dead = || processes().iter().filter(|p| p.parent == pid.as_raw() && p.state == 'Z').count();
    horust.wait_until("all have ended", |_| dead() == 20);
    horust.signal(Signal::SIGUSR1);
    horust.signal(Signal::SIGCONT);
    horust.wait_for_count("up", 40);
    horust.wait_for("log | 100\n");
    horust.wait_until("no zombie", |_| dead() == 0);
    for n in 0..20 {
        assert_eq!(horust.stdout().matches(&format!("up s{n}.\n")).count(), 2, "{}", horust.stdout());
    }
    horust.stop(Signal::SIGTERM).0.assert_code(0);
}

/// Waits until so much time has passed since then: what is waited for is the time.
fn wait_since(begin: Instant, time: Duration) {
    wait_until("time passes", || begin.elapsed() >= time);
}

/// What a service has said in time counts, though Horust was not there to hear it in time: it is no reason to kill it.
#[test]
fn who_has_spoken_in_time_is_not_late_because_horust_stood_still() {
    let speaks = |name: &str| {
        let steps = format!("touch @DIR@/up-{name}; await @DIR@/go; say READY=1; touch @DIR@/said-{name}");
        speaks(&steps, "[readiness]\nnotify = true\nstart-timeout = \"3s\"")
    };
    let begin = Instant::now();
    let horust = horust()
        .service("one", &speaks("one"))
        .service("two", &speaks("two"))
        .bash("after", "echo after", "start-after = [\"one\", \"two\"]")
        .start();
    let both =
        |h: &Horust, what: &str| ["one", "two"].iter().all(|name| h.dir().join(format!("{what}-{name}")).exists());
    horust.wait_until("they run", |h| both(h, "up"));
    horust.signal(Signal::SIGSTOP);
    fs::write(horust.dir().join("go"), "").unwrap();
    horust.wait_until("they have spoken", |h| both(h, "said"));
    wait_since(begin, Duration::from_millis(5500));
    horust.signal(Signal::SIGCONT);
    horust.wait_for("after");
    let (done, _) = horust.stop(Signal::SIGTERM);
    done.assert_code(0);
    assert_eq!(done.stderr, "");
}

/// `docker pause` stops all of a container. When it goes on nobody is late, though a watchdog would say so.
#[test]
fn what_stood_still_together_with_horust_is_not_late() {
    let rest = "[readiness]\nnotify = true\n[watchdog]\ntimeout = \"1s\"";
    let horust = controlled()
        .service("pings", &speaks("echo up; say READY=1; ping 100", rest))
        .bash("after", "echo after; exec sleep 1000", "start-after = [\"pings\"]")
        .start();
    horust.wait_for("after");
    let own = horust.pid().as_raw();
    let all: Vec<i32> = processes().iter().filter(|p| p.parent == own).map(|p| p.pid).chain([own]).collect();
    let send = |signal| all.iter().for_each(|pid| kill(Pid::from_raw(*pid), signal).unwrap());
    send(Signal::SIGSTOP);
    wait_since(Instant::now(), Duration::from_secs(3));
    send(Signal::SIGCONT);
    let resumed = Instant::now();
    wait_since(resumed, Duration::from_secs(3));
    assert_eq!(horust.stderr(), "");
    // It still has a watchdog.
    let pid = processes().iter().find(|p| p.parent == own && p.command.contains("ping")).unwrap().pid;
    kill(Pid::from_raw(pid), Signal::SIGSTOP).unwrap();
    horust.wait_until("that is late", |h| h.stderr().contains("pings: "));
    horust.stop(Signal::SIGTERM).0.assert_code(0);
}

/// A service that is stopped by SIGSTOP still has its time to answer, and goes on after SIGCONT as if nothing had been.
#[test]
fn a_service_that_stands_still_goes_on() {
    let horust = controlled()
        .bash(
            "frozen",
            "echo up; while read -r line; do :; done < <(while :; do echo; sleep 0.05; done); echo gone",
            "",
        )
        .start();
    horust.wait_for("up");
    let pid = || {
        let own = horust.pid().as_raw();
        Pid::from_raw(processes().iter().find(|p| p.parent == own).unwrap().pid)
    };
    let before = pid();
    kill(before, Signal::SIGSTOP).unwrap();
    let status = ok(&verb(&horust, &["status", "frozen"]));
    assert!(status.contains("Running"), "{status}");
    kill(before, Signal::SIGCONT).unwrap();
    assert_eq!(pid(), before);
    let (done, _) = horust.stop(Signal::SIGTERM);
    done.assert_code(0);
    assert_eq!(done.stderr, "");
}

/// A user who has no process left to have: starts fail, and succeed once there is room again.
#[test]
fn no_process_is_left_to_have() {
    if needs_root() {
        return;
    }
    let limited = [
        "setpriv",
        "--reuid",
        "23456",
        "--regid",
        "23456",
        "--clear-groups",
        "bash",
        "-c",
        "ulimit -u 60; exec \"$@\"",
        "bash",
    ];
    // A shell would try again and again.
    let hog = "python3 -c 'import subprocess, time\nall = []\ntry:\n  while True: all.append(subprocess.Popen([\"sleep\", \"1000\"]))\nexcept BlockingIOError: print(\"full\", flush=True)\ntime.sleep(1000)'";
    let rest = format!("start-delay = \"1s\"\n{AGAIN}backoff = \"100ms\"");
    let builder = controlled().copied();
    fs::set_permissions(builder.dir(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let horust = builder
        .wrapper(&limited)
        .bash("hog", hog, "")
        .bash("late", "until [ -e @DIR@/go ]; do exit 1; done; echo late is up; exec sleep 1000", &rest)
        .start();
    horust.wait_for("full");
    horust.wait_until("it is told", |h| {
        h.stderr().contains("late: Failed spawning") && h.stderr().contains("the limit of processes is reached")
    });
    fs::write(horust.dir().join("go"), "").unwrap();
    let answer = verb(&horust, &["stop", "hog", "--wait"]);
    ok(&answer);
    horust.wait_for("late is up");
    let (done, _) = horust.stop(Signal::SIGTERM);
    done.assert_code(0);
}

/// No descriptor is left for the output of one more service, nor for a client: both are told or wait, and Horust does not
/// turn in circles meanwhile.
#[test]
fn no_descriptor_is_left_to_have() {
    let mut builder = controlled().wrapper(&["bash", "-c", "ulimit -n 48; exec \"$@\"", "bash"]);
    for n in 0..40 {
        builder = builder.bash(&format!("s{n:02}"), "echo up; exec sleep 1000", "log.format = \"prefix\"");
    }
    let horust = builder.start();
    horust.wait_until("some run, and some can't", |h| {
        h.stdout().matches("up").count() + h.stderr().matches("failed for good").count() == 40
    });
    assert!(horust.stderr().contains("Too many open files"), "{}", horust.stderr());
    assert!(horust.stdout().matches("up").count() >= 5, "{}", horust.stdout());
    // Whoever asks may have to go away again.
    for _ in 0..5 {
        let _told =
            horust.binary().args(["status", "--uds-folder-path"]).arg(horust.dir().join("run")).output().unwrap();
    }
    let before = cpu_ticks(&horust);
    std::thread::sleep(Duration::from_secs(1));
    assert!(cpu_ticks(&horust) - before < 50, "it turns in circles");
    let (done, _) = horust.stop(Signal::SIGTERM);
    done.assert_code(0);
}

/// A `/run` without any room for a socket: services run all the same.
#[test]
fn a_full_run_directory_costs_the_control_socket_only() {
    if needs_root() {
        return;
    }
    let full = "mkdir @DIR@/run && mount -t tmpfs -o size=4k,nr_inodes=2 none @DIR@/run && touch @DIR@/run/x; \
                head -c 4096 /dev/zero > @DIR@/run/x; exec \"$@\"";
    let horust = controlled()
        .wrapper(&["unshare", "--mount", "bash", "-c", full, "bash"])
        .bash("one", "echo up; exec sleep 1000", "log.format = \"prefix\"")
        .start();
    horust.wait_for("up");
    horust.wait_until("it is told", |h| h.stderr().contains("No space left on device"));
    horust.stop(Signal::SIGTERM).0.assert_code(0);
}

/// Standard output is a terminal that takes nothing more, as one whose window hangs does: who writes there waits, and nobody
/// else.
#[test]
fn a_terminal_that_stands_still_holds_up_nobody_else() {
    let pty = openpty(None, None).unwrap();
    let flood = "exec seq -f '%099.0f' 1 1000000000";
    let terminal = pty.slave.try_clone().unwrap();
    let mut horust = horust()
        .stdout_to(pty.slave)
        .bash("through", flood, "")
        .bash("captured", flood, "log.format = \"prefix\"")
        .bash("crash", "echo run >> @DIR@/runs; exit 1", AGAIN)
        .start();
    horust.wait_until("twenty restarts", |h| h.read("runs").matches("run").count() >= 20);
    horust.signal(Signal::SIGTERM);
    assert_eq!(horust.wait_exit().code(), Some(0), "{}", horust.stderr());
    assert!(horust.left().is_empty(), "{:?}", horust.left());
    drop((terminal, pty.master));
}
