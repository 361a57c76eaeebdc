//! An eventfd by which any thread wakes the one that polls. It carries no data: what there is to do stands in a queue.

use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::eventfd::{EfdFlags, EventFd as NixEventFd};

use super::SysError;

/// A wake-up call that any thread can make and that is never lost: calls before the next `drain` count as one.
#[derive(Debug)]
pub struct EventFd(NixEventFd);

impl EventFd {
    /// A quiet one.
    pub fn new() -> Result<Self, SysError> {
        NixEventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)
            .map(Self)
            .map_err(SysError::on("open", "an eventfd"))
    }

    /// Makes the poller's next `wait` return. Never blocks; the only error there is, a full counter, means that the
    /// poller has been woken already.
    pub fn wake(&self) {
        let _already_awake = self.0.write(1);
    }

    /// Quiet again. Call it before looking into the queue, else a wake-up between the two is lost.
    pub fn drain(&self) {
        let _already_quiet = self.0.read();
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
