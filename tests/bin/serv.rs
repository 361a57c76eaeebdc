//! A daemon that misbehaves as it is told to, for tests: `serv deaf leak 100 sleep`. Each word is a misdeed, done in turn, and
//! some take an argument. An example in the manifest's sense, so that it is built with the tests and installed nowhere.

#![allow(clippy::disallowed_types, reason = "it starts processes, and is not Horust")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "who tells it nonsense shall see it"
)]
#![allow(clippy::print_stdout, clippy::exit, clippy::disallowed_methods, reason = "a program of its own")]

use nix::libc;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, sigprocmask};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, sendto, socket};
use nix::unistd::{Pid, dup, setsid};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};
use std::collections::VecDeque;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, exit};
use std::time::Duration;

fn main() {
    let mut words: VecDeque<String> = std::env::args().skip(1).collect();
    while let Some(word) = words.pop_front() {
        let mut number =
            || words.pop_front().and_then(|n| n.parse::<u64>().ok()).expect("a number comes after the word");
        match word.as_str() {
            "exit" => exit(number().try_into().unwrap()),
            "die" => die(number()),
            "deaf" => deaf(),
            "slow" => slow(Duration::from_millis(number())),
            "eat" => eat(number()),
            "leak" => (0..number()).for_each(|_| leak()),
            "zombies" => (0..number()).for_each(|_| drop(serv(&["exit", "0"]))),
            "children" => (0..number()).for_each(|_| drop(serv(&["sleep"]))),
            "relay" => (0..number()).for_each(|_| drop(serv(&["runner"]))),
            "far-relay" => (0..number()).for_each(|_| drop(serv(&["far-runner"]))),
            "runner" => run_on(&["deaf", "runner"]),
            "far-runner" => run_on(&["setsid", "deaf", "far-runner"]),
            // Whoever leads a process group can't leave its session: a child can.
            "setsid" => drop(setsid().expect("setsid")),
            "daemon" => daemon(words.make_contiguous()),
            "lie" => lie(),
            "masquerade" => std::fs::write("/proc/self/comm", ") Z 1 1 (").unwrap(),
            "forkless" => forkless(number(), words.make_contiguous()),
            "kill-all" => kill(Pid::from_raw(-1), Signal::SIGKILL).expect("kill -1"),
            "signal-init" => signal_init(),
            "say" => println!("{}", words.pop_front().expect("something to say")),
            "sleep" => sleep(),
            other => panic!("serv knows no {other}"),
        }
    }
}

/// Another one of this program.
fn serv(words: &[&str]) -> Child {
    Command::new(std::env::current_exe().unwrap()).args(words).spawn().expect("another one")
}

fn sleep() -> ! {
    loop {
        std::thread::sleep(Duration::from_secs(1000));
    }
}

fn die(signal: u64) {
    kill(Pid::this(), Signal::try_from(i32::try_from(signal).unwrap()).unwrap()).unwrap();
    sleep()
}

/// To all signals that one can be deaf to.
fn deaf() {
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None).unwrap();
}

/// Ends so long after TERM as it is told, with success.
fn slow(time: Duration) -> ! {
    let mut term = SigSet::empty();
    term.add(Signal::SIGTERM);
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&term), None).unwrap();
    println!("slow is up");
    term.wait().unwrap();
    std::thread::sleep(time);
    println!("slow goes");
    exit(0)
}

/// So many MiB, and holds them.
fn eat(mib: u64) {
    std::mem::forget(vec![1u8; usize::try_from(mib << 20).unwrap()]);
}

/// A descriptor that its children inherit.
fn leak() {
    std::mem::forget(dup(std::io::stdin()).expect("one more descriptor"));
}

/// Nobody can tell its pid for long: it hands on to a child as soon as it lives.
fn run_on(words: &[&str]) {
    // Below all there is a limit to processes: rather one runner less than none that says why.
    match Command::new(std::env::current_exe().unwrap()).args(words).spawn() {
        Ok(_) | Err(_) => exit(0),
    }
}

/// As daemons of old: a child in a session of its own has a child that stays, and both parents end.
fn daemon(words: &mut [String]) -> ! {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.split_first() {
        Some((&"two", rest)) => drop(serv(rest)),
        _ => drop(serv(&[&["setsid", "daemon", "two"], words.as_slice()].concat())),
    }
    exit(0)
}

/// Becomes another program, on whose behalf the kernel makes no process: it answers with this error.
fn forkless(error: u64, command: &[String]) -> ! {
    let flag = u64::try_from(libc::CLONE_THREAD).unwrap();
    let is_process = SeccompCondition::new(0, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(flag), 0).unwrap();
    let rules = [
        ([(libc::SYS_clone3, vec![])], libc::ENOSYS.unsigned_abs()),
        ([(libc::SYS_clone, vec![SeccompRule::new(vec![is_process]).unwrap()])], u32::try_from(error).unwrap()),
    ];
    for (rules, error) in rules {
        let (no, machine) = (SeccompAction::Errno(error), std::env::consts::ARCH.try_into().unwrap());
        let filter = SeccompFilter::new(rules.into(), SeccompAction::Allow, no, machine).unwrap();
        let filter: BpfProgram = filter.try_into().unwrap();
        seccompiler::apply_filter(&filter).unwrap();
    }
    panic!("{}", Command::new(&command[0]).args(&command[1..]).exec())
}

/// What is not so, and what can't be, to whom Horust listens.
fn lie() {
    let address = std::env::var("NOTIFY_SOCKET").expect("nobody listens");
    let address = UnixAddr::new_abstract(address.trim_start_matches('@').as_bytes()).unwrap();
    let socket = socket(AddressFamily::Unix, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None).unwrap();
    let parent = nix::unistd::getppid();
    let lies = [
        "MAINPID=1".to_owned(),
        "MAINPID=0".to_owned(),
        "MAINPID=-1".to_owned(),
        "MAINPID=4294967295".to_owned(),
        format!("MAINPID={parent}"),
        "EXTEND_TIMEOUT_USEC=18446744073709551615".to_owned(),
        "WATCHDOG_USEC=18446744073709551615".to_owned(),
        "WATCHDOG_USEC=1".to_owned(),
        "WATCHDOG=trigger".to_owned(),
        "RELOADING=1\nSTOPPING=1\nREADY=1".to_owned(),
        "READY=1\nSTATUS=\u{1b}[2Jall is well\0".to_owned(),
    ];
    for lie in lies {
        sendto(socket.as_raw_fd(), lie.as_bytes(), &address, MsgFlags::empty()).expect("nobody listens");
    }
}

/// Every signal to the first process, but those that ask it to stop, and those that end whoever gets them.
fn signal_init() {
    let stops = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT];
    for signal in Signal::iterator().filter(|signal| !stops.contains(signal)) {
        kill(Pid::from_raw(1), signal).expect("kill 1");
    }
}
