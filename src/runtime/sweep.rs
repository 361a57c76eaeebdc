//! The last thing Horust does: ends whatever is still there after all services have stopped, and waits for it, so that
//! no process and no zombie is left.

use crate::limits;
use crate::model::Mono;
use crate::sys::reap::{self, Reaped};
use crate::sys::signals::SignalFd;
use crate::sys::{poll, process, tree};
use std::os::fd::AsFd;
use std::time::Duration;

/// Asks what is left to end, then kills it. Bounded in time: what even SIGKILL does not end goes with the container.
pub fn all(signals: &SignalFd) {
    if gone(signals, Duration::ZERO, || {}) {
        return;
    }
    send(libc::SIGTERM);
    if gone(signals, limits::LEFTOVER_GRACE, || {}) {
        return;
    }
    send(libc::SIGKILL);
    // Whatever was being forked meanwhile is killed when its parent's end brings it to us.
    if !gone(signals, limits::LEFTOVER_KILL, || send(libc::SIGKILL)) {
        log::error!("some processes did not end even by SIGKILL");
    }
}

/// Waits until we have no child any more. `again` is called whenever some have ended and others have not.
fn gone(signals: &SignalFd, patience: Duration, again: impl Fn()) -> bool {
    let end = Mono(process::mono_now()).after(patience);
    loop {
        loop {
            match reap::next() {
                Ok(Reaped::Dead(..)) => {}
                Ok(Reaped::NoChildren) | Err(_) => return true,
                Ok(Reaped::None) => break,
            }
        }
        let left = end.since(Mono(process::mono_now()));
        if left.is_zero() {
            return false;
        }
        again();
        let _ = poll::wait_timeout(&[signals.as_fd()], left);
        while signals.read().is_some() {}
    }
}

/// Signals everybody: as PID 1 all there are (kill(2): all but ourselves), else our descendants.
fn send(signal: i32) {
    if process::is_pid1() {
        let _ = process::kill_all(signal);
        return;
    }
    for id in tree::descendants(process::own_pid(), limits::TREE) {
        let _ = tree::signal(id, signal);
    }
}
