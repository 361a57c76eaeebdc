//! Horust as PID 1, root's and that of a user without rights, with services that misbehave: `tests/bin/serv.rs`.

use crate::control::{ok, verb};
use crate::support::*;
use nix::sys::signal::Signal;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

/// The program. `cargo test` has built it, unless it was asked for this file's target only.
fn built() -> &'static Path {
    static BUILT: OnceLock<std::path::PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let dir = Path::new(env!("CARGO_BIN_EXE_horust")).parent().unwrap();
        let profile = if dir.ends_with("debug") { "dev" } else { dir.file_name().unwrap().to_str().unwrap() };
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--locked", "--quiet", "--example", "serv", "--profile", profile]);
        assert!(cargo.status().unwrap().success());
        dir.join("examples/serv")
    })
}

/// Horust, which can be asked, beside a copy of the program that anybody may run.
pub fn with_serv() -> Builder {
    let builder = horust().arg("--uds-folder-path").arg("@DIR@/run");
    // By another process: see `Builder::copied`.
    assert!(Command::new("cp").arg(built()).arg(builder.dir().join("serv")).status().unwrap().success());
    builder
}

/// A service that does these misdeeds.
fn serv(words: &str, rest: &str) -> String {
    format!("command = \"@DIR@/serv {words}\"\n{rest}\n")
}

const AGAIN: &str = "[restart]\nstrategy = \"always\"\n";
const SOON: &str = "[termination]\nwait = \"300ms\"\n";

/// The processes that run the program, or are it no more but not waited for.
fn servs(horust: &Horust) -> usize {
    let ours = horust.dir().join("serv").display().to_string();
    processes().iter().filter(|p| p.command.starts_with(&ours)).count()
}

fn zombies(horust: &Horust) -> usize {
    let pid = horust.pid().as_raw();
    processes().iter().filter(|p| p.parent == pid && p.state == 'Z').count()
}

#[test]
fn all_misdeeds_at_once_leave_the_others_alone_and_nothing_behind() {
    for way in pid1_ways() {
        let horust = way(with_serv())
            .service("witness", &serv("say witness slow 0", ""))
            .service("exits", &serv("exit 7", ""))
            .service("dies", &serv("die 6", ""))
            .service("deaf", &serv("deaf children 5 sleep", SOON))
            .service("deaf-daemon", &serv("daemon deaf children 5 sleep", ""))
            .service("slow", &serv("slow 700", ""))
            .service("relay", &serv("relay 3 sleep", SOON))
            .service("far-relay", &serv("far-relay 3 sleep", SOON))
            .service("zombies", &serv("zombies 50 exit 0", ""))
            .service("masked", &serv("masquerade daemon masquerade children 3 sleep", ""))
            .service("leaks", &serv("leak 1000 children 3 say leaked sleep", ""))
            .start();
        horust.wait_for("witness");
        horust.wait_for("leaked");
        horust.wait_for("slow is up");
        horust.wait_until("exits is told", |h| h.stderr().contains("exits: failed for good: exited with code 7"));
        horust.wait_until("dies is told", |h| h.stderr().contains("dies: failed for good: was killed by SIGABRT"));
        horust.wait_until("no zombie", |h| zombies(h) == 0);
        let (done, _) = horust.stop(Signal::SIGTERM);
        done.assert_code(0);
        assert!(done.stdout.contains("slow goes"), "{}", done.stdout);
        assert!(!done.stderr.contains("slow: did not stop within"), "{}", done.stderr);
        assert!(!done.stderr.contains("even SIGKILL"), "{}", done.stderr);
    }
}

/// A service has stopped when nobody is left of it, whoever its pids are at the moment.
#[test]
fn who_hands_on_its_pid_for_ever_is_stopped_by_hand() {
    for way in pid1_ways() {
        let horust = way(with_serv())
            .service("relay", &serv("relay 1 say up sleep", SOON))
            .service("deaf", &serv("daemon deaf children 5 sleep", SOON))
            .service("witness", &serv("say witness sleep", ""))
            .start();
        horust.wait_for("witness");
        for round in 1..=10 {
            horust.wait_for_count("up", round);
            ok(&verb(&horust, &["stop", "relay", "--wait"]));
            let runner = horust.dir().join("serv deaf runner").display().to_string();
            assert_eq!(processes().iter().filter(|p| p.command.starts_with(&runner)).count(), 0);
            ok(&verb(&horust, &["start", "relay"]));
        }
        horust.stop(Signal::SIGTERM).0.assert_code(0);
    }
}

/// kill(2) with -1 spares the first process and the caller: all other services end at once, and come back.
#[test]
fn a_service_that_kills_everybody_is_survived() {
    for way in pid1_ways() {
        let mut builder = way(with_serv());
        for n in 0..10 {
            builder = builder.service(&format!("victim{n}"), &serv("say up children 2 sleep", AGAIN));
        }
        let killer = "command = [\"bash\", \"-c\", \"until [ -e @DIR@/go ]; do sleep 0.02; done; rm @DIR@/go; exec @DIR@/serv kill-all say killed exit 0\"]\n";
        let horust = builder.service("killer", killer).start();
        horust.wait_for_count("up", 10);
        fs::write(horust.dir().join("go"), "").unwrap();
        horust.wait_for_count("up", 20);
        horust.wait_for("killed");
        horust.wait_until("three of each, and no zombie", |h| servs(h) == 30 && zombies(h) == 0);
        horust.stop(Signal::SIGTERM).0.assert_code(0);
    }
}

#[test]
fn no_signal_of_a_service_but_those_that_ask_for_it_ends_the_first_process() {
    for way in pid1_ways() {
        let signals = "command = [\"bash\", \"-c\", \"until [ -e @DIR@/go ]; do sleep 0.02; done; exec @DIR@/serv deaf signal-init say signalled exit 0\"]\n";
        let horust = way(with_serv())
            .service("witness", &serv("deaf say witness sleep", SOON))
            .service("signals", signals)
            .start();
        // Not before it is deaf: Horust forwards some of them.
        horust.wait_for("witness");
        fs::write(horust.dir().join("go"), "").unwrap();
        horust.wait_for("signalled");
        // What comes after the signals is answered after them.
        let status = ok(&verb(&horust, &["status", "witness"]));
        assert!(status.contains("Running"), "{status}");
        assert_eq!(horust.stdout().matches("witness").count(), 1, "{}", horust.stdout());
        horust.stop(Signal::SIGTERM).0.assert_code(0);
    }
}

/// A main process that is not its own is not followed, times that can't be do not wrap round, and no text reaches a terminal
/// as it is.
#[test]
fn lies_about_itself_harm_the_liar_alone() {
    for way in pid1_ways() {
        let rest = format!("{AGAIN}backoff = \"50ms\"\n[readiness]\nnotify = true\ntimeout = \"1m\"\n");
        let horust = way(with_serv())
            .service("liar", &serv("lie lie say lied sleep", &rest))
            .service("witness", &serv("say witness sleep", ""))
            .start();
        horust.wait_for("witness");
        horust.wait_for("lied");
        let status = ok(&verb(&horust, &["status"]));
        assert!(!status.contains('\u{1b}'), "{status}");
        ok(&verb(&horust, &["stop", "liar", "--wait"]));
        let witness = ok(&verb(&horust, &["status", "witness"]));
        assert!(witness.contains("Running"), "{witness}");
        horust.wait_until("the witness is left", |h| servs(h) == 1);
        horust.stop(Signal::SIGTERM).0.assert_code(0);
    }
}

/// Descriptors that a service has opened are its own: no other service, and no next run of it, gets one of them.
#[test]
fn leaked_descriptors_stay_with_who_leaked_them() {
    for way in pid1_ways() {
        let count = "ls /proc/self/fd | wc -l > @DIR@/count.new && mv @DIR@/count.new @DIR@/count; exec sleep 1000";
        let horust = way(with_serv())
            .service("leaks", &serv("leak 500 children 1 say leaked sleep", ""))
            .bash("counts", count, "start-delay = \"100ms\"\nstart-after = [\"leaks\"]")
            .start();
        horust.wait_for("leaked");
        let own = |h: &Horust| fs::read_dir(format!("/proc/{}/fd", h.pid())).unwrap().count();
        horust.wait_until("they are counted", |h| h.dir().join("count").exists());
        // Its three, and the directory that ls reads.
        assert_eq!(horust.read("count").trim(), "4");
        assert!(own(&horust) < 40, "{}", own(&horust));
        horust.stop(Signal::SIGTERM).0.assert_code(0);
    }
}

/// Without a cgroup memory is watched, as far as a user without rights can see it.
#[test]
fn a_memory_eater_is_ended_and_told() {
    for way in pid1_ways() {
        let horust = way(with_serv())
            .service("eats", &serv("eat 100 children 2 sleep", "[resource-limit]\nmemory = \"40MiB\""))
            .service("witness", &serv("say witness eat 1 sleep", "[resource-limit]\nmemory = \"40MiB\""))
            .start();
        horust.wait_for("witness");
        horust.wait_until("it is told", |h| h.stderr().contains("eats: failed for good: was killed by"));
        assert!(horust.stderr().contains("out of memory (limit 40 MiB)"), "{}", horust.stderr());
        horust.wait_until("the witness is left", |h| servs(h) == 1);
        horust.stop(Signal::SIGTERM).0.assert_code(0);
    }
}
