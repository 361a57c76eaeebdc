//! What waits for any child, or changes the whole process: one test after the other, in a process of their own.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // helpers of tests

#[path = "sys/common.rs"]
#[allow(dead_code)]
mod common;

use std::collections::BTreeSet;
use std::os::fd::AsFd;
use std::time::Duration;

use common::*;
use horust::sys::reap::{self, Ended, Peek, Reaped, peek, reap};
use horust::sys::signals::{self, SignalInfo};
use horust::sys::wake::EventFd;
use horust::sys::{fds, poll, process, tree};
use nix::fcntl::OFlag;
use nix::sys::signal::{SigHandler, Signal, raise};
use nix::sys::stat::Mode;

/// One test function, for they would run at once else.
#[test]
fn one_after_the_other() {
    let queue = signals_come_through_the_queue();
    children_are_seen_before_they_are_reaped();
    two_hundred_children_are_reaped_once_each();
    orphans_are_adopted();
    what_others_left_open_does_not_leak();
    wake_ups_are_never_lost();
    drop(queue);
    assert_eq!(peek().unwrap(), Peek::NoChildren);
}

#[allow(unsafe_code)]
fn signals_come_through_the_queue() -> signals::SignalFd {
    // As a careless parent may leave it: children would be reaped by the kernel.
    // SAFETY: no handler of ours is installed, and this process's only other thread waits for this one.
    unsafe { nix::sys::signal::signal(Signal::SIGCHLD, SigHandler::SigIgn) }.unwrap();
    let queue = signals::block(true).unwrap();
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    let bits = |name| u64::from_str_radix(&field(&status, name), 16).unwrap();
    let bit = |signo: i32| 1_u64 << (signo - 1);
    assert_eq!(bits("SigIgn") & bit(libc::SIGPIPE), bit(libc::SIGPIPE));
    assert_eq!(bits("SigIgn") & bit(libc::SIGCHLD), 0);
    let free = [4, 5, 6, 7, 8, 11, 31, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU, libc::SIGKILL, libc::SIGSTOP];
    // The C library keeps 32 and 33 to itself.
    let free = free.into_iter().chain([32, 33]).map(bit).sum::<u64>();
    assert_eq!(bits("SigBlk"), !free);

    assert_eq!(queue.read(), None);
    raise(Signal::SIGUSR1).unwrap();
    raise(Signal::SIGTERM).unwrap();
    assert_eq!(poll::wait(&[queue.as_fd()]).unwrap(), [true]);
    let own = Some(std::process::id());
    assert_eq!(queue.read(), Some(SignalInfo { signo: libc::SIGUSR1, sender: own }));
    assert_eq!(queue.read(), Some(SignalInfo { signo: libc::SIGTERM, sender: own }));
    // SAFETY: a real-time signal to this very thread, which blocks it.
    assert_eq!(unsafe { libc::pthread_kill(libc::pthread_self(), 40) }, 0);
    assert_eq!(queue.read(), Some(SignalInfo { signo: 40, sender: own }));
    assert_eq!(queue.read(), None);
    queue
}

fn children_are_seen_before_they_are_reaped() {
    assert_eq!(peek().unwrap(), Peek::NoChildren);
    let spawner = spawner();
    let live = spawner.spawn(&request(&program(&["/bin/sleep", "60"]))).unwrap();
    let _guard = Guard(live);
    assert_eq!(peek().unwrap(), Peek::None);
    assert_eq!(reap(live).unwrap_err().errno, horust::sys::Errno::EAGAIN);
    let busy = spawner.spawn(&request(&sh("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; exit 200"))).unwrap();
    let dead = until("a dead child", || match peek().unwrap() {
        Peek::Dead(pid) => Some(pid),
        Peek::None => None,
        Peek::NoChildren => panic!("there are two"),
    });
    // It stays until it is reaped, and then it is gone.
    assert_eq!((dead, peek().unwrap()), (busy, Peek::Dead(busy)));
    assert_eq!(reap(busy).unwrap(), Ended::Code(200));
    assert_eq!(reap(busy).unwrap_err().errno, horust::sys::Errno::ECHILD);
    process::kill_pid(live, libc::SIGKILL).unwrap();
    assert_eq!(wait(live), Ended::Signal(9));
}

fn two_hundred_children_are_reaped_once_each() {
    let (spawner, program) = (spawner(), sh("exit 1"));
    let mut expected: BTreeSet<u32> = (0..200).map(|_| spawner.spawn(&request(&program)).unwrap()).collect();
    while expected.len() > 100 {
        if let Peek::Dead(pid) = until("dead children", || Some(peek().unwrap()).filter(|seen| *seen != Peek::None)) {
            assert_eq!(reap(pid).unwrap(), Ended::Code(1));
            assert!(expected.remove(&pid));
        }
    }
    // Without a look before.
    let next = || Some(reap::next().unwrap()).filter(|found| *found != Reaped::None);
    while let Reaped::Dead(pid, ended) = until("the others", next) {
        assert_eq!(ended, Ended::Code(1));
        assert!(expected.remove(&pid));
    }
    assert_eq!((expected.len(), reap::next().unwrap()), (0, Reaped::NoChildren));
    assert_eq!(peek().unwrap(), Peek::NoChildren);
}

fn orphans_are_adopted() {
    process::become_subreaper().unwrap();
    assert!(!process::is_pid1());
    let (ended, text) = run(&spawner(), &sh("setsid sleep 60 >/dev/null & echo $!"));
    assert_eq!(ended, Ended::Code(0));
    let orphan: u32 = text.trim().parse().unwrap();
    until("adoption", || tree::stat(orphan).filter(|stat| stat.ppid == std::process::id()));
    assert_eq!(tree::children_of_self().unwrap(), [orphan]);
    let id = tree::identify(orphan).unwrap();
    assert!(tree::signal(id, libc::SIGKILL).unwrap());
    until("its death", || (peek().unwrap() == Peek::Dead(orphan)).then_some(()));
    assert!(!tree::alive(id));
    assert_eq!(reap(orphan).unwrap(), Ended::Signal(9));
}

fn what_others_left_open_does_not_leak() {
    let spawner = spawner();
    let leak = nix::fcntl::open("/dev/null", OFlag::O_RDONLY, Mode::empty()).unwrap();
    let number = std::os::fd::AsRawFd::as_raw_fd(&leak);
    let program = sh(&format!("[ -e /proc/$$/fd/{number} ]"));
    let leaks = || wait(spawner.spawn(&request(&program)).unwrap()) == Ended::Code(0);
    assert!(leaks());
    fds::cloexec_from(3);
    assert!(!leaks());
    fds::ensure_std();
    let (soft, hard) = fds::nofile().unwrap();
    fds::set_nofile_soft(soft - 1).unwrap();
    assert_eq!(fds::nofile().unwrap(), (soft - 1, hard));
    fds::set_nofile_soft(soft).unwrap();
}

fn wake_ups_are_never_lost() {
    let wake = EventFd::new().unwrap();
    let quiet = || poll::wait_timeout(&[wake.as_fd()], Duration::ZERO).unwrap() == [false];
    assert!(quiet());
    std::thread::scope(|scope| {
        std::thread::Builder::new().spawn_scoped(scope, || wake.wake()).unwrap();
        assert_eq!(poll::wait(&[wake.as_fd()]).unwrap(), [true]);
    });
    wake.wake();
    wake.drain();
    assert!(quiet());
    wake.drain();
    let start = std::time::Instant::now();
    assert_eq!(poll::wait_timeout(&[wake.as_fd()], Duration::from_millis(20)).unwrap(), [false]);
    assert!(start.elapsed() >= Duration::from_millis(20));
}
