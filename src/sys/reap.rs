//! Children that have ended. They are reaped as they come, or first looked at, by who has something to do while the pid is
//! still theirs. Nobody else in the program waits.

use nix::errno::Errno;

use super::{SysError, raw};

/// What a look at our children shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peek {
    /// There are children and all live.
    None,
    /// There are no children.
    NoChildren,
    /// This one has ended and waits to be reaped.
    Dead(u32),
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By exit, with this code.
    Code(u8),
    /// By this signal.
    Signal(u8),
}

/// A child that has ended, if there is one; it stays a zombie, and the next look shows it again.
pub fn peek() -> Result<Peek, SysError> {
    match raw::peek_dead() {
        Ok(Some(pid)) => Ok(Peek::Dead(pid)),
        Ok(None) => Ok(Peek::None),
        Err(Errno::ECHILD) => Ok(Peek::NoChildren),
        Err(errno) => Err(SysError::new("look for", "ended children", errno)),
    }
}

/// What reaping any child has brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaped {
    /// There are children and all live.
    None,
    /// There are no children.
    NoChildren,
    /// This one had ended, and its pid is free.
    Dead(u32, Ended),
}

/// Reaps a child that has ended, if there is one: one system call where a look and `reap` are two.
pub fn next() -> Result<Reaped, SysError> {
    match raw::waitpid(-1) {
        Ok(Some((pid, status))) => Ok(Reaped::Dead(pid, ended(status))),
        Ok(None) => Ok(Reaped::None),
        Err(Errno::ECHILD) => Ok(Reaped::NoChildren),
        Err(errno) => Err(SysError::new("look for", "ended children", errno)),
    }
}

/// Reaps one child that has ended. EAGAIN: it lives. ECHILD: it is no child of ours, or was reaped before.
pub fn reap(pid: u32) -> Result<Ended, SysError> {
    let failed = SysError::on("reap process", &pid);
    // 0 and below would mean any child.
    let Some(number) = i32::try_from(pid).ok().filter(|&pid| pid > 0) else { return Err(failed(Errno::ECHILD)) };
    match raw::waitpid(number) {
        Ok(Some((_, status))) => Ok(ended(status)),
        Ok(None) => Err(failed(Errno::EAGAIN)),
        Err(errno) => Err(failed(errno)),
    }
}

fn ended(status: i32) -> Ended {
    // Without WUNTRACED and WCONTINUED there are only these two (wait(2)); both fit: 8 and 7 bits.
    if libc::WIFSIGNALED(status) {
        Ended::Signal(u8::try_from(libc::WTERMSIG(status)).unwrap_or(u8::MAX))
    } else {
        Ended::Code(u8::try_from(libc::WEXITSTATUS(status)).unwrap_or(u8::MAX))
    }
}
