//! What went wrong in the field, in Horust 0.1 and in its peers, as far as no other file here is about it.

use crate::support::*;
use nix::sys::signal::Signal;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

const FOREVER: &str = "echo up; exec sleep 1000";

/// A web server of the test's own: healthy as long as the flag says so. It counts the requests.
fn web(healthy: &Arc<AtomicBool>) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (healthy, count) = (Arc::clone(healthy), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&count);
    thread::Builder::new()
        .spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 1024]);
                let status = if healthy.load(Ordering::SeqCst) { "200 OK" } else { "503 No" };
                let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
                counted.fetch_add(1, Ordering::SeqCst);
            }
        })
        .unwrap();
    (port, count)
}

/// A probe failure under a restart policy restarts; it does not end the service for good (process-compose#403).
#[test]
fn an_unhealthy_service_is_restarted() {
    let healthy = Arc::new(AtomicBool::new(true));
    let (port, asked) = web(&healthy);
    let rest = format!(
        "[restart]\nstrategy = \"always\"\n[healthiness]\nhttp-endpoint = \"http://localhost:{port}/\"\nmax-failed = 1\ninterval = \"50ms\"\n"
    );
    let horust = horust().bash("web", FOREVER, &rest).start();
    horust.wait_for("up");
    horust.wait_until("it was found healthy", |_| asked.load(Ordering::SeqCst) >= 2);
    healthy.store(false, Ordering::SeqCst);
    horust.wait_for_count("up", 2);
    healthy.store(true, Ordering::SeqCst);
    let (done, _) = horust.stop(Signal::SIGTERM);
    done.assert_code(0);
}

/// Only failures in a row count.
#[test]
fn single_failures_do_not_add_up() {
    let healthy = Arc::new(AtomicBool::new(true));
    let (port, asked) = web(&healthy);
    let rest = format!(
        "[healthiness]\nhttp-endpoint = \"http://localhost:{port}/\"\nmax-failed = 2\ninterval = \"20ms\"\n[failure]\nstrategy = \"shutdown\"\n"
    );
    let mut horust = horust().bash("web", FOREVER, &rest).start();
    horust.wait_for("up");
    for _ in 0..8 {
        for state in [false, true] {
            healthy.store(state, Ordering::SeqCst);
            let before = asked.load(Ordering::SeqCst);
            // The answer after the switch, and for a healthy server the next one too: that it was asked for again.
            horust.wait_until("asked", |_| asked.load(Ordering::SeqCst) > before + usize::from(state));
        }
    }
    assert!(horust.running(), "{}", horust.stderr());
    assert_eq!(horust.stdout(), "up\n");
    horust.stop(Signal::SIGTERM).0.assert_code(0);
}

/// Horust 0.1 waited for a health command that never ends, and so did not end either.
#[test]
fn a_hanging_health_command_does_not_hold_up_the_stop() {
    let rest = "[healthiness]\ncommand = \"bash -c 'trap \\\"\\\" TERM; touch @DIR@/asked; sleep 1000'\"\n";
    let horust = horust().bash("service", FOREVER, rest).start();
    horust.wait_until("the command of the check runs", |h| h.dir().join("asked").exists());
    let (done, took) = horust.stop(Signal::SIGTERM);
    done.assert_code(0);
    assert!(took < BEFORE_KILL, "{took:?}");
}

#[test]
fn a_health_command_decides() {
    let rest = "[healthiness]\ncommand = \"test -e @DIR@/ok\"\nmax-failed = 100000\ninterval = \"20ms\"\n";
    let horust = horust().bash("base", FOREVER, rest).bash("next", "echo next", "start-after = [\"base\"]").start();
    horust.wait_for("up");
    assert!(!horust.stdout().contains("next"));
    std::fs::write(horust.dir().join("ok"), "").unwrap();
    horust.wait_for("next");
    horust.stop(Signal::SIGTERM).0.assert_code(0);
}

/// A file left from before is no sign of health: Horust removes it before the start.
#[test]
fn a_stale_health_file_is_removed() {
    let rest = "[healthiness]\nfile-path = \"@DIR@/up\"\ninterval = \"20ms\"\nmax-failed = 100000\n";
    let horust = horust()
        .file("up", "from before")
        .bash("base", "[ -e @DIR@/up ] && echo stale; echo base; exec sleep 1000", rest)
        .bash("next", "echo next", "start-after = [\"base\"]")
        .start();
    horust.wait_for("base");
    std::fs::write(horust.dir().join("up"), "").unwrap();
    horust.wait_for("next");
    let (done, _) = horust.stop(Signal::SIGTERM);
    done.assert_code(0);
    assert_eq!(done.stdout, "base\nnext\n");
}

/// Supervisor#489 and #1082: with select(2) or a pipe for each service there is an end at 1,024.
#[test]
fn five_hundred_services_with_few_file_descriptors() {
    let mut builder = horust().wrapper(&["bash", "-c", "ulimit -n 1200; exec \"$@\"", "bash"]);
    for n in 0..500 {
        builder = builder.bash(&format!("service-{n}"), FOREVER, "");
    }
    let horust = builder.start();
    horust.wait_for_count("up", 500);
    let (done, took) = horust.stop(Signal::SIGTERM);
    done.assert_code(0);
    assert_eq!(done.stderr, "");
    assert!(took < Duration::from_secs(20), "{took:?}");
}

/// Supervisor#749: output goes through untouched: a very long line, and a last line without its end.
#[test]
fn output_is_passed_through_untouched() {
    let done = horust().bash("long", "head -c 1048576 /dev/zero | tr '\\0' x; echo; printf end", "").run();
    done.assert_code(0);
    assert_eq!(done.stdout, format!("{}\nend", "x".repeat(1 << 20)));
}

/// SIGPIPE was ignored in what Horust 0.1 started.
#[test]
fn a_broken_pipe_ends_its_writer() {
    let done = horust().bash("pipe", "yes | head -n 1; echo ${PIPESTATUS[0]}", "").run();
    done.assert_code(0);
    assert_eq!(done.stdout, "y\n141\n");
}

/// HUP and USR1 killed Horust 0.1.
#[test]
fn signals_that_are_no_stop_do_not_end_horust() {
    let script =
        "trap 'echo got USR1' USR1; trap 'echo got USR2' USR2; echo up; while true; do sleep 1000 & wait; done";
    let mut horust = horust().bash("service", script, "signal-rewrite = \"12:10\"").start();
    horust.wait_for("up");
    for (signal, count) in [(Signal::SIGHUP, 0), (Signal::SIGUSR1, 1), (Signal::SIGUSR2, 2), (Signal::SIGWINCH, 2)] {
        horust.signal(signal);
        horust.wait_for_count("got USR1", count);
    }
    assert!(horust.running());
    // bash dies of the TERM: a stop that was asked for, and no failure.
    let (done, _) = horust.stop(Signal::SIGTERM);
    done.assert_code(0);
    assert!(!done.stdout.contains("USR2"), "{}", done.stdout);
}

/// No flood of messages when the stop is asked for again and again (pebble#211).
#[test]
fn repeated_stops_are_quiet() {
    let horust = horust()
        .bash(
            "slow",
            "trap 'echo got TERM; sleep 0.3; exit 0' TERM; echo up; while true; do sleep 1000 & wait; done",
            "",
        )
        .start();
    horust.wait_for("up");
    horust.signal(Signal::SIGTERM);
    for _ in 0..50 {
        // It may have ended by now.
        let _ = nix::sys::signal::kill(horust.pid(), Signal::SIGTERM);
    }
    let done = horust.end();
    assert!(done.stderr.lines().count() < 10, "{}", done.stderr);
}

/// A quiet run is quiet: scripts around Horust 0.1 lean on it.
#[test]
fn a_run_without_trouble_says_nothing_of_its_own() {
    let horust = horust().bash("service", FOREVER, "").bash("oneshot", "exit 0", "kind = \"oneshot\"").start();
    horust.wait_for("up");
    let (done, _) = horust.stop(Signal::SIGTERM);
    done.assert_code(0);
    assert_eq!((done.stdout.as_str(), done.stderr.as_str()), ("up\n", ""));
}

/// A closed or full stderr must not end Horust or hold it up.
#[test]
fn a_stderr_that_nobody_reads() {
    for redirection in ["2>&-", "2>/dev/full", "2> >(exec sleep 1000)"] {
        let mut builder =
            horust().wrapper(&["bash", "-c", &format!("exec \"$@\" {redirection}"), "bash"]).env("HORUST_LOG", "trace");
        for n in 0..50 {
            builder =
                builder.service(&format!("absent-{n}"), "command = \"/no/such/program\"\n[restart]\nattempts = 20\n");
        }
        let mut horust = builder.start();
        let status = horust.wait_exit();
        assert_eq!(status.code(), Some(0), "{redirection}: {status}");
    }
}

/// Horust 0.1 grew with each health check. Here: memory and file descriptors after a thousand probes, and after many more.
#[test]
fn forty_health_checks_leak_nothing() {
    let healthy = Arc::new(AtomicBool::new(true));
    let (port, asked) = web(&healthy);
    let mut builder = horust();
    for n in 0..40 {
        let probe = match n % 4 {
            0 => "file-path = \"@DIR@/up\"".to_owned(),
            1 => "command = \"true\"".to_owned(),
            _ => format!("http-endpoint = \"http://localhost:{port}/\""),
        };
        builder = builder.bash(&format!("s{n}"), FOREVER, &format!("[healthiness]\n{probe}\ninterval = \"1ms\"\n"));
    }
    let horust = builder.start();
    let after = |probes: usize| {
        horust.wait_until("so many probes", |_| asked.load(Ordering::SeqCst) >= probes);
        let status = std::fs::read_to_string(format!("/proc/{}/status", horust.pid())).unwrap();
        let kib: u64 = status_field(&status, "VmRSS").trim_end_matches(" kB").parse().unwrap();
        let fds = std::fs::read_dir(format!("/proc/{}/fd", horust.pid())).unwrap().count();
        (kib, fds)
    };
    let (kib_before, fds_before) = after(1500);
    let (kib, fds) = after(9000);
    assert!(kib < kib_before + 1024, "{kib_before} KiB grew to {kib} KiB");
    // Each of 20 services may be asked by HTTP at this moment.
    assert!(fds <= fds_before + 40, "{fds_before} file descriptors became {fds}");
    horust.stop(Signal::SIGTERM).0.assert_code(0);
}

/// What a crashed run leaves behind is gone before the next run starts: never two copies.
#[test]
fn a_restart_waits_until_the_last_run_is_gone() {
    let script = "[ -e @DIR@/child ] && [ -e /proc/$(cat @DIR@/child) ] && echo two copies\n\
                  bash -c 'trap \"\" TERM; echo $$ > @DIR@/child; echo ready; while true; do sleep 0.05; done' &\n\
                  until [ -s @DIR@/child ]; do sleep 0.01; done; echo run; exit 1";
    let rest = "[restart]\nstrategy = \"always\"\nattempts = 3\n[termination]\nwait = \"200ms\"";
    let done = horust().bash("forks", script, rest).run();
    done.assert_code(0);
    assert!(!done.stdout.contains("two copies"), "{}", done.stdout);
    assert_eq!(done.stdout.matches("run\n").count(), 4, "{}", done.stdout);
}

/// A flood of signals is no reason to miss the end of a child.
#[test]
fn a_flood_of_signals_loses_no_exit() {
    let mut builder =
        horust().bash("main", "trap : USR1; echo up; while [ ! -e @DIR@/enough ]; do sleep 0.05; done", "");
    for n in 0..20 {
        // bash would die of it before its trap is set.
        let rest = "signal-rewrite = \"USR1:0\"\n[restart]\nstrategy = \"on-failure\"\nattempts = 10\n";
        builder = builder.bash(&format!("s{n}"), "echo x >> @DIR@/runs; exit 1", rest);
    }
    let horust = builder.start();
    horust.wait_for("up");
    horust.wait_until("all runs", |h| {
        for _ in 0..50 {
            h.signal(Signal::SIGUSR1);
        }
        h.read("runs").lines().count() == 20 * 11
    });
    std::fs::write(horust.dir().join("enough"), "").unwrap();
    horust.end().assert_code(0);
}
