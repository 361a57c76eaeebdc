//! A pipe of the logger's own. What waits in the pipe of a service that writes much is moved into it, whole pages at a time and
//! without being copied (splice(2)), and copied from there: a pipe can't be written to while it is read from, and so the
//! service does not have to wait for the copy.

use super::source::enlarge;
use nix::errno::Errno;
use nix::fcntl::{OFlag, SpliceFFlags, splice};
use nix::unistd::{pipe2, read};
use std::os::fd::OwnedFd;

/// The pipe. It is empty but while something is read by way of it.
pub struct Relay {
    out: OwnedFd,
    into: OwnedFd,
}

impl Relay {
    /// None if it may not be as large as a service's pipe: then it would be slower than without.
    pub fn new() -> Option<Relay> {
        let (out, into) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).ok()?;
        enlarge(&into).then_some(Relay { out, into })
    }

    /// As read(2) of `pipe`, which does not block; and no more than that where splice(2) is refused.
    pub fn read(&self, pipe: &OwnedFd, space: &mut [u8]) -> Result<usize, Errno> {
        let moved = match splice(pipe, None, &self.into, None, space.len(), SpliceFFlags::SPLICE_F_NONBLOCK) {
            Err(errno) if ![Errno::EAGAIN, Errno::EINTR].contains(&errno) => return read(pipe, space),
            moved => moved?,
        };
        let mut done: usize = 0;
        while done < moved {
            let Some(rest) = space.get_mut(done..moved) else { break };
            match read(&self.out, rest) {
                Ok(count) if count > 0 => done = done.saturating_add(count),
                Err(Errno::EINTR) => {}
                // It holds what was moved.
                Ok(_) | Err(_) => break,
            }
        }
        Ok(done)
    }
}
