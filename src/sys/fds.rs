//! The descriptors that we came with, and how many we may have.

use std::os::fd::{IntoRawFd, RawFd};

use nix::fcntl::{OFlag, open};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::Mode;

use super::{SysError, raw};

/// The last resort of `cloexec_from` tries this many numbers and no more: a limit may be a billion (systemd's is).
const LOOP_BOUND: u64 = 65_536;

/// Marks every descriptor from `first` on close-on-exec: what a careless parent left open must not reach our children.
/// By close_range(2) where there is one (Linux 5.11 for this flag), else by /proc, else by trying every number.
pub fn cloexec_from(first: u32) {
    if raw::close_range_cloexec(first).is_err() {
        let first = RawFd::try_from(first).unwrap_or(RawFd::MAX);
        if !cloexec_by_proc(first) {
            cloexec_by_number(first);
        }
    }
}

/// False without /proc.
fn cloexec_by_proc(first: RawFd) -> bool {
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else { return false };
    for fd in entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()) {
        if fd >= first {
            let _closed_since = raw::set_cloexec(fd);
        }
    }
    true
}

fn cloexec_by_number(first: RawFd) {
    let end = nofile().map_or(LOOP_BOUND, |(soft, _)| soft.min(LOOP_BOUND));
    for fd in first..RawFd::try_from(end).unwrap_or(RawFd::MAX) {
        let _not_open = raw::set_cloexec(fd);
    }
}

/// Opens /dev/null on each of 0 to 2 that is closed. Else the first socket or log file we open would become somebody's
/// stdout. Best effort: an image without /dev/null keeps the hole.
pub fn ensure_std() {
    for fd in 0..=2 {
        if !raw::is_open(fd)
            // The lowest free number is given out (open(2)), and those below are open, so it is this one. It stays
            // open for good and is not close-on-exec, as standard streams are.
            && let Ok(null) = open("/dev/null", OFlag::O_RDWR, Mode::empty())
        {
            let _stays_open = null.into_raw_fd();
        }
    }
}

/// RLIMIT_NOFILE: soft and hard.
pub fn nofile() -> Result<(u64, u64), SysError> {
    getrlimit(Resource::RLIMIT_NOFILE).map_err(SysError::on("read", "the limit of open files"))
}

/// Sets our soft RLIMIT_NOFILE, which may not exceed the hard one.
///
/// The trade: children inherit it, and a program that closes every possible descriptor, or uses select(2), suffers
/// from a high one. A child gets the original back only by way of the exec stage (`Setup::limits`), which costs it a
/// second exec. Raise it only when our own descriptors would not fit.
pub fn set_nofile_soft(soft: u64) -> Result<(), SysError> {
    let (_, hard) = nofile()?;
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).map_err(SysError::on("set", "the limit of open files"))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use nix::fcntl::{FcntlArg, fcntl};

    use super::*;

    #[test]
    fn every_way_of_marking_descriptors_works() {
        let by_proc: fn(RawFd) = |first| assert!(cloexec_by_proc(first));
        for mark in [by_proc, cloexec_by_number] {
            let fd = open("/dev/null", OFlag::O_RDONLY, Mode::empty()).unwrap();
            let flags = || fcntl(&fd, FcntlArg::F_GETFD).unwrap();
            // From beyond it, it stays as it is. (It is the only test here that opens anything without the mark.)
            mark(fd.as_raw_fd() + 1);
            assert_eq!(flags(), 0);
            mark(fd.as_raw_fd());
            assert_eq!(flags(), libc::FD_CLOEXEC);
        }
    }
}
