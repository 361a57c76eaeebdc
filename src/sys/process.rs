//! This process and others, by pid, group and pidfd. Sends signals; never waits (see `reap`).

use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::unistd::Pid;

use super::{SysError, raw};

/// Whether we are the init of our pid namespace.
pub fn is_pid1() -> bool {
    Pid::this().as_raw() == 1
}

/// Our own pid.
pub fn own_pid() -> u32 {
    std::process::id()
}

/// Makes orphans of our descendants our children, as PID 1 has it by nature (PR_SET_CHILD_SUBREAPER(2const)).
pub fn become_subreaper() -> Result<(), SysError> {
    nix::sys::prctl::set_child_subreaper(true).map_err(SysError::on("become", "the reaper of orphans"))
}

/// Nanoseconds of CLOCK_MONOTONIC: the clock that is the same in every process, unlike an `Instant` it is a number.
pub fn mono_now() -> u64 {
    raw::monotonic()
}

/// So many bytes that nobody can guess, as hexadecimal digits.
pub fn secret(bytes: usize) -> Result<String, SysError> {
    let mut noise = vec![0; bytes];
    raw::random(&mut noise).map_err(SysError::on("get", "random bytes"))?;
    Ok(noise.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A process that can't be mistaken for another, whatever becomes of its pid.
#[derive(Debug)]
pub struct PidFd {
    fd: OwnedFd,
    pid: u32,
}

impl PidFd {
    /// pidfd_open(2), Linux 5.3. ENOSYS, or EPERM under an old seccomp profile: use `kill_pid`, which is as safe for a
    /// child that has not been reaped, since its pid is not given out again before that, and only we reap.
    pub fn open(pid: u32) -> Result<Self, SysError> {
        let fd = positive(pid).and_then(raw::pidfd_open).map_err(SysError::on("open process", &pid))?;
        Ok(Self { fd, pid })
    }

    /// ESRCH once the process has been reaped; a signal to a zombie succeeds and does nothing, as kill(2) has it.
    pub fn signal(&self, signo: i32) -> Result<(), SysError> {
        raw::pidfd_send_signal(self.fd.as_fd(), signo).map_err(SysError::on("signal process", &self.pid))
    }

    /// The pid it was opened for.
    pub fn pid(&self) -> u32 {
        self.pid
    }
}

/// kill(2) of one process. Pids that would mean a group or everybody are refused.
pub fn kill_pid(pid: u32, signo: i32) -> Result<(), SysError> {
    positive(pid).and_then(|pid| raw::kill(pid, signo)).map_err(SysError::on("signal process", &pid))
}

/// kill(2) of a process group.
pub fn kill_group(pgid: u32, signo: i32) -> Result<(), SysError> {
    positive(pgid)
        // kill(-1) is everybody: group 1, init's own, can't be addressed this way.
        .and_then(|pgid| if pgid == 1 { Err(Errno::EINVAL) } else { raw::kill(pgid.saturating_neg(), signo) })
        .map_err(SysError::on("signal process group", &pgid))
}

/// Signals the process group of a child that has not been reaped. Before one that was forked has come to making a group there
/// is that child alone.
pub fn kill_group_of_child(pid: u32, signo: i32) -> Result<(), SysError> {
    kill_group(pid, signo).or_else(|_| kill_pid(pid, signo))
}

/// kill(-1): every process that we may signal but init and, on Linux, ourselves. Only for the end of a PID 1.
pub fn kill_all(signo: i32) -> Result<(), SysError> {
    raw::kill(-1, signo).map_err(SysError::on("signal", "all processes"))
}

/// Whether the group has a member, dead ones that nobody has reaped included: the group id can't be reused till then.
pub fn group_exists(pgid: u32) -> bool {
    match kill_group(pgid, 0) {
        Ok(()) => true,
        Err(error) => error.errno == Errno::EPERM,
    }
}

/// Whether the number of a process that has been reaped is still taken: by its process group, its session, or, once
/// reused, by anybody. F_SETOWN of fcntl(2) looks a number up whatever it means, as no other call does; on Linux before
/// 4.14 it finds all. `fd` is any of ours without O_ASYNC: who owns such a one has no meaning.
pub fn number_in_use(fd: impl AsFd, pid: u32) -> bool {
    positive(pid).and_then(|pid| raw::set_owner(fd.as_fd(), pid.saturating_neg())) != Err(Errno::ESRCH)
}

fn positive(pid: u32) -> Result<i32, Errno> {
    i32::try_from(pid).ok().filter(|&pid| pid > 0).ok_or(Errno::ESRCH)
}

/// Keeps the heap small. Call it before the first large allocation and the first thread.
pub fn small_heap() {
    raw::small_heap();
}
