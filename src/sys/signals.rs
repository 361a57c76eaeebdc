//! Signals as file descriptor events: everything that can be blocked is, and arrives through a signalfd. Nothing here
//! decides what a signal means.

use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigSet, SigmaskHow, Signal, pthread_sigmask};
use nix::sys::signalfd::{SfdFlags, SignalFd as NixSignalFd};

use super::SysError;
use super::raw::{self, Disposition};

/// Faults of the running instruction. Blocked, they would kill the process anyway (sigprocmask(2): the result is
/// undefined), without the panic hook's or a debugger's chance to see them.
const SYNCHRONOUS: [Signal; 7] =
    [Signal::SIGSEGV, Signal::SIGBUS, Signal::SIGFPE, Signal::SIGILL, Signal::SIGTRAP, Signal::SIGABRT, Signal::SIGSYS];

/// What a shell's Ctrl-Z and a terminal do to a job.
const JOB_CONTROL: [Signal; 3] = [Signal::SIGTSTP, Signal::SIGTTIN, Signal::SIGTTOU];

/// One signal that came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignalInfo {
    /// Its number; real-time signals come as well.
    pub signo: i32,
    /// The process that sent it; none if the kernel did, or a process outside of our pid namespace.
    pub sender: Option<u32>,
}

/// The queue of blocked signals.
#[derive(Debug)]
pub struct SignalFd(NixSignalFd);

/// Blocks every signal but the synchronous faults and, with `keep_job_control`, those of a terminal's job control.
/// Call it before the first thread starts: threads inherit the mask. As PID 1 this also makes signals with a default
/// action reach us, which the kernel drops otherwise (signals to init; blocked ones are queued all the same).
///
/// SIGCHLD is set to its default: inherited as ignored, the kernel would reap our children and throw their exit
/// statuses away (wait(2)). SIGPIPE is ignored, for a write to a closed pipe has to fail and no more.
pub fn block(keep_job_control: bool) -> Result<SignalFd, SysError> {
    let failed = |op| move |errno| SysError::new(op, "signals", errno);
    raw::set_disposition(libc::SIGCHLD, Disposition::Default).map_err(failed("reset"))?;
    raw::set_disposition(libc::SIGPIPE, Disposition::Ignore).map_err(failed("ignore"))?;
    let mut mask = SigSet::all();
    for signal in SYNCHRONOUS {
        mask.remove(signal);
    }
    if keep_job_control {
        for signal in JOB_CONTROL {
            mask.remove(signal);
        }
    }
    pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&mask), None).map_err(failed("block"))?;
    let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
    NixSignalFd::with_flags(&mask, flags).map(SignalFd).map_err(failed("open a queue for"))
}

impl SignalFd {
    /// The next signal, if there is one. Never blocks.
    pub fn read(&self) -> Option<SignalInfo> {
        let info = self.0.read_signal().ok().flatten()?;
        let signo = i32::try_from(info.ssi_signo).ok()?;
        // A user's signals have codes of zero and below (sigaction(2): SI_USER, SI_QUEUE, SI_TKILL); pid 0 stands for a
        // sender that has no pid here.
        let sender = (info.ssi_code <= 0 && info.ssi_pid != 0).then_some(info.ssi_pid);
        Some(SignalInfo { signo, sender })
    }
}

impl AsFd for SignalFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // nix's SignalFd lends its descriptor through AsFd.
        self.0.as_fd()
    }
}
