//! Waiting for descriptors without polling in the other sense: no timeout unless one is asked for.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::time::TimeSpec;

use super::SysError;

/// Waits until at least one descriptor is readable, closed by its peer or broken; says which, in the order given.
pub fn wait(fds: &[BorrowedFd<'_>]) -> Result<Vec<bool>, SysError> {
    poll(fds, &[], None)
}

/// As `wait`, but gives up after `timeout`, when all answers are false.
pub fn wait_timeout(fds: &[BorrowedFd<'_>], timeout: Duration) -> Result<Vec<bool>, SysError> {
    poll(fds, &[], Some(timeout))
}

/// Whether at least one byte can be written now; a pipe then takes PIPE_BUF bytes (pipe(7)). An error counts as yes, as
/// whoever writes finds out what it is.
pub fn is_writable(fd: BorrowedFd<'_>) -> bool {
    let mut polled = [PollFd::new(fd, PollFlags::POLLOUT)];
    nix::poll::poll(&mut polled, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}

/// As `wait`, and also until the contents of one of the files `changing` are no longer what they were when read last
/// (POLLPRI: files of the kernel's that say so). They come after the others in the answer.
pub fn wait_changes(
    fds: &[BorrowedFd<'_>],
    changing: &[BorrowedFd<'_>],
    timeout: Option<Duration>,
) -> Result<Vec<bool>, SysError> {
    poll(fds, changing, timeout)
}

fn poll(fds: &[BorrowedFd<'_>], changing: &[BorrowedFd<'_>], timeout: Option<Duration>) -> Result<Vec<bool>, SysError> {
    let readable = fds.iter().map(|fd| PollFd::new(*fd, PollFlags::POLLIN));
    let changing = changing.iter().map(|fd| PollFd::new(*fd, PollFlags::POLLPRI));
    let mut polled: Vec<PollFd<'_>> = readable.chain(changing).collect();
    let start = Instant::now();
    loop {
        let left = timeout.map(|timeout| timeout.saturating_sub(start.elapsed()));
        match nix::poll::ppoll(&mut polled, left.map(TimeSpec::from_duration), None) {
            // An error state is an answer too: the reader finds out what it is.
            Ok(_) => return Ok(polled.iter().map(|fd| fd.any().unwrap_or(true)).collect()),
            // A stop and continue interrupts it even though all signals are blocked (signal(7)).
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(SysError::new("wait for", "events", errno)),
        }
    }
}
