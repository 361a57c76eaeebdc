//! A kernel that refuses: system calls that old kernels do not know, that sandboxes forbid, and that fail when something has
//! run out. A seccomp filter plays it; whom this thread starts inherits it.

use crate::serv::with_serv;
use crate::support::*;
use nix::libc;
use nix::sys::signal::Signal;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};
use std::collections::BTreeMap;
use std::thread;

/// Calls that Horust can do without.
const MODERN: [i64; 5] = [
    libc::SYS_clone3,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_send_signal,
    libc::SYS_memfd_create,
    libc::SYS_close_range,
];

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Starts Horust below a kernel that answers these calls with this error.
fn refusing(builder: Builder, error: i32, rules: Rules) -> Horust {
    let answer = SeccompAction::Errno(error.unsigned_abs());
    let machine = std::env::consts::ARCH.try_into().unwrap();
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, answer, machine).unwrap();
    let filter: BpfProgram = filter.try_into().unwrap();
    let body = move || {
        seccompiler::apply_filter(&filter).unwrap();
        builder.start()
    };
    thread::Builder::new().spawn(body).unwrap().join().unwrap()
}

fn all(calls: &[i64]) -> Rules {
    calls.iter().map(|call| (*call, vec![])).collect()
}

const CRASHES_ONCE: &str = "echo up; [ -e @DIR@/once ] && exec sleep 1000; touch @DIR@/once; exit 3";
const RESTART: &str = "[restart]\nstrategy = \"on-failure\"\n";

/// Starts, restarts, and the stop of what was left behind: all of it goes on, by other calls.
#[test]
fn what_old_kernels_do_not_know_is_done_without() {
    let leaves = "setsid sleep 1000 & echo left; exec sleep 1000";
    let builder = horust().bash("crashes", CRASHES_ONCE, RESTART).bash("leaves", leaves, "");
    let horust = refusing(builder, libc::ENOSYS, all(&MODERN));
    horust.wait_for_count("up", 2);
    horust.wait_for("left");
    let (done, took) = horust.stop(Signal::SIGTERM);
    done.assert_code(0);
    assert!(took < BEFORE_KILL, "{took:?}");
}

/// As PID 1 the whole namespace is ours.
#[test]
fn pid_1_does_without_it_as_well() {
    if needs_root() {
        return;
    }
    let horust = refusing(horust().pid1().bash("crashes", CRASHES_ONCE, RESTART), libc::ENOSYS, all(&MODERN));
    horust.wait_for_count("up", 2);
    horust.stop(Signal::SIGTERM).0.assert_code(0);
}

/// But for clone3, without which the C library starts nothing if it is told so.
#[test]
fn what_sandboxes_forbid_is_done_without() {
    for calls in [&MODERN[1..], &[libc::SYS_prctl], &[libc::SYS_prlimit64], &[libc::SYS_getrandom]] {
        goes_on(libc::EPERM, calls);
    }
}

/// And what has run out, or what a filter says instead of "not permitted".
#[test]
fn what_has_run_out_is_done_without() {
    for error in [libc::EAGAIN, libc::EMFILE, libc::ENOMEM] {
        goes_on(error, &MODERN[1..]);
    }
    for error in [libc::EAGAIN, libc::ENOSYS] {
        goes_on(error, &[libc::SYS_prctl, libc::SYS_prlimit64]);
    }
}

fn goes_on(error: i32, calls: &[i64]) {
    let horust = refusing(horust().bash("crashes", CRASHES_ONCE, RESTART), error, all(calls));
    horust.wait_for_count("up", 2);
    horust.stop(Signal::SIGTERM).0.assert_code(0);
}

/// Each start fails, is told and tried again; Horust itself goes on to the end of what was asked for.
#[test]
fn a_kernel_that_makes_no_process_fails_services_and_not_horust() {
    for error in [libc::EAGAIN, libc::ENOMEM, libc::EPERM, libc::ENOSYS] {
        let rest = "[restart]\nattempts = 2";
        let done = with_serv()
            .wrapper(&["@DIR@/serv", "forkless", &error.to_string()])
            .arg("--unsuccessful-exit-finished-failed")
            .bash("plain", "touch @DIR@/started", rest)
            .bash("staged", "touch @DIR@/started", &format!("nice = 1\n{rest}"))
            .bash("probed", "exec sleep 1000", "start-after = [\"plain\"]\n[healthiness]\ncommand = \"true\"")
            .run();
        done.assert_code(101);
        for name in ["plain", "staged"] {
            assert_eq!(
                done.stderr.matches(&format!("{name}: Failed spawning the process: ")).count(),
                2,
                "{}",
                done.stderr
            );
            assert!(done.stderr.contains(&format!("{name}: failed for good: ")), "{}", done.stderr);
        }
        assert!(!done.stderr.contains("bug in"), "{}", done.stderr);
    }
}

#[test]
fn a_setting_that_is_refused_fails_its_service_says_so_and_harms_no_other() {
    for error in [libc::EPERM, libc::ENOSYS] {
        let nice = "command = \"touch @DIR@/started\"\nnice = 5\n";
        let builder = horust().service("polite", nice).bash("plain", "echo up; exec sleep 1000", "");
        let horust = refusing(builder, error, all(&[libc::SYS_setpriority]));
        horust.wait_for("up");
        horust.wait_until("it is told", |h| h.stderr().contains("polite: "));
        assert!(horust.stderr().contains("nice"), "{}", horust.stderr());
        assert!(!horust.dir().join("started").exists());
        horust.stop(Signal::SIGTERM).0.assert_code(0);
    }
}

/// Without threads there is no supervision: that is said, and nothing is started half.
#[test]
fn a_horust_that_gets_no_threads_says_so_and_ends() {
    let flag = u64::try_from(libc::CLONE_THREAD).unwrap();
    let is_thread = SeccompCondition::new(0, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(flag), flag).unwrap();
    let clone = (libc::SYS_clone, vec![SeccompRule::new(vec![is_thread]).unwrap()]);
    // What the C library asks for first is another filter's: it must not be there at all.
    let body = move || {
        let none = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
        let machine = std::env::consts::ARCH.try_into().unwrap();
        let filter = SeccompFilter::new(all(&[libc::SYS_clone3]), SeccompAction::Allow, none, machine).unwrap();
        let filter: BpfProgram = filter.try_into().unwrap();
        let again = SeccompAction::Errno(libc::EAGAIN.unsigned_abs());
        let threads = SeccompFilter::new([clone].into(), SeccompAction::Allow, again, machine).unwrap();
        let threads: BpfProgram = threads.try_into().unwrap();
        seccompiler::apply_filter(&filter).unwrap();
        seccompiler::apply_filter(&threads).unwrap();
        horust().bash("never", "touch @DIR@/started", "").run()
    };
    let done = thread::Builder::new().spawn(body).unwrap().join().unwrap();
    assert!(done.status.code().is_some_and(|code| code != 0), "{}", done.status);
    let said = done.stderr.contains("cannot") && !done.stderr.contains("panicked");
    assert!(said, "{}: {:?}", done.status, done.stderr);
}

/// What a service writes line after line is read by way of splice(2), where that is allowed.
#[test]
fn output_is_read_without_splice_as_well() {
    const LINES: usize = 50_000;
    let script =
        format!("for n in {{1..{LINES}}}; do echo $n is a line that is neither long nor short, but one of many; done");
    for error in [libc::ENOSYS, libc::EPERM, libc::EAGAIN] {
        let horust = horust().bash("many", &script, "log.capture = true");
        let done = refusing(horust, error, all(&[libc::SYS_splice])).end();
        done.assert_code(0);
        let numbers = done.stdout.lines().filter_map(|line| line.split_once(" is a line")?.0.parse::<usize>().ok());
        assert!(numbers.eq(1..=LINES), "{error}: {} bytes", done.stdout.len());
    }
}
