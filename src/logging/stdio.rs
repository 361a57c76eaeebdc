//! Horust's own standard output and error as the logger writes to them: never waiting for a reader, and without a change
//! that others who hold the same pipe or terminal would notice.

use memchr::{memchr, memrchr};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::libc::PIPE_BUF;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, send};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};
use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// One of the two.
pub struct Stdio {
    fd: OwnedFd,
    how: How,
    /// Whether colours make sense.
    pub terminal: bool,
}

/// How to write without waiting.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    /// It never waits, or says that it would.
    Plain,
    /// A pipe, in pieces that go in whole or not at all (pipe(7), PIPE_BUF): others write to it too.
    Pieces,
    /// A socket, told with each call.
    Socket,
    /// A pipe or terminal that can't be opened anew: only when it says that there is room.
    Careful,
}

/// Whether both are the same pipe, file or terminal: then lines of both have to go one way, or they would mix.
pub fn are_one() -> bool {
    let key = |stat: FileStat| (stat.st_dev, stat.st_ino, stat.st_rdev);
    match (fstat(io::stdout()), fstat(io::stderr())) {
        (Ok(out), Ok(err)) => key(out) == key(err),
        _ => false,
    }
}

impl Stdio {
    /// Standard output.
    pub fn out() -> Result<Stdio, Errno> {
        Stdio::new(io::stdout().as_fd(), io::stdout().is_terminal())
    }

    /// Standard error.
    pub fn err() -> Result<Stdio, Errno> {
        Stdio::new(io::stderr().as_fd(), io::stderr().is_terminal())
    }

    fn new(own: BorrowedFd<'_>, terminal: bool) -> Result<Stdio, Errno> {
        let kind = SFlag::from_bits_truncate(fstat(own)?.st_mode & SFlag::S_IFMT.bits());
        // O_NONBLOCK belongs to what all holders of a descriptor share, so it is set on one of our own: proc_pid_fd(5).
        let reopen = || {
            let path = format!("/proc/self/fd/{}", own.as_raw_fd());
            let flags = OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
            open(path.as_str(), flags, Mode::empty())
        };
        let same = || own.try_clone_to_owned().map_err(|error| super::file::errno(&error));
        let (fd, how) = match kind {
            SFlag::S_IFIFO => reopen().map_or((None, How::Careful), |fd| (Some(fd), How::Pieces)),
            SFlag::S_IFCHR if terminal => reopen().map_or((None, How::Careful), |fd| (Some(fd), How::Plain)),
            SFlag::S_IFSOCK => (None, How::Socket),
            // A file is not opened anew: a second descriptor would have a place of its own in it.
            _ => (None, How::Plain),
        };
        Ok(Stdio { fd: fd.map_or_else(same, Ok)?, how, terminal })
    }

    /// What can be polled for room.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Writes lines. On an error, which may be that there is no room now, says how many bytes had been written.
    pub fn write(&self, lines: &[u8]) -> Result<(), (usize, Errno)> {
        let mut done: usize = 0;
        while let Some(rest) = lines.get(done..).filter(|rest| !rest.is_empty()) {
            match self.write_some(rest) {
                Ok(count) => done = done.saturating_add(count),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err((done, errno)),
            }
        }
        Ok(())
    }

    fn write_some(&self, lines: &[u8]) -> Result<usize, Errno> {
        match self.how {
            How::Plain => nix::unistd::write(&self.fd, lines),
            How::Pieces => nix::unistd::write(&self.fd, piece(lines)),
            How::Socket => send(self.fd.as_raw_fd(), lines, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL),
            How::Careful => {
                let mut asked = [PollFd::new(self.fd.as_fd(), PollFlags::POLLOUT)];
                match poll(&mut asked, PollTimeout::ZERO)? {
                    0 => Err(Errno::EAGAIN),
                    _ => nix::unistd::write(&self.fd, lines.get(..PIPE_BUF).unwrap_or(lines)),
                }
            }
        }
    }
}

/// As many whole lines as go into a pipe at once; or the first, if it is larger.
fn piece(lines: &[u8]) -> &[u8] {
    let Some(fitting) = lines.get(..PIPE_BUF) else { return lines };
    let end = memrchr(b'\n', fitting).or_else(|| memchr(b'\n', lines));
    end.and_then(|at| lines.get(..=at)).unwrap_or(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_end_with_lines() {
        let line = [&[b'x'; 99][..], b"\n"].concat();
        assert_eq!(piece(&line.repeat(100)).len(), 4000);
        assert_eq!(piece(&line.repeat(40)).len(), 4000);
        assert_eq!(piece(b"abc").len(), 3);
        let long = [&[b'x'; 10_000][..], b"\nab\n"].concat();
        assert_eq!(piece(&long).len(), 10_001);
        assert_eq!(piece(&[b'x'; 10_000]).len(), 10_000);
    }
}
