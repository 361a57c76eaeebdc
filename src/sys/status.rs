//! What an exec stage tells the process that started it: nothing if its exec took place, else where it failed. The
//! pipe's writing end is close-on-exec, so end of file is the good news. (Also the news of a stage that was killed
//! before it could speak; its exit follows.)

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::{pipe2, read, write};

use super::{SysError, program};

/// A report is shorter than PIPE_BUF (4096), so it is written whole or not at all (pipe(7)).
const REPORT: usize = 3072;

/// How far an exec stage has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StageStatus {
    /// Still at work.
    Pending,
    /// The service's program runs.
    Executed,
    /// It could not be run, and the process is about to end.
    Failed {
        /// What was being done: `user`, `groups`, `cwd`, `exec`.
        stage: String,
        /// The whole problem, in plain words.
        message: String,
        /// The kernel's reason; 0 if it was not the kernel who refused.
        errno: i32,
    },
}

/// The reading end.
#[derive(Debug)]
pub struct StatusPipe {
    fd: OwnedFd,
    report: Vec<u8>,
}

/// Why a stage ends without its exec.
#[derive(Debug)]
pub(super) struct Failure {
    /// What was being done.
    pub stage: &'static str,
    /// The kernel's reason.
    pub errno: Errno,
    /// The whole problem, in plain words.
    pub message: String,
}

impl Failure {
    /// A refusal by the kernel; `needs` is the capability that was missing if it was a lack of rights.
    pub fn of(stage: &'static str, what: &str, errno: Errno, needs: &str) -> Self {
        let denied = matches!(errno, Errno::EPERM | Errno::EACCES) && !needs.is_empty();
        let needs = if denied { format!(" (needs {needs})") } else { String::new() };
        Self { stage, errno, message: format!("{what}: {}{needs}", errno.desc()) }
    }
}

/// A new pipe: what the parent keeps, and what the stage gets.
pub(super) fn pipe() -> Result<(StatusPipe, OwnedFd), SysError> {
    let (fd, writer) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).map_err(SysError::on("open", "a status pipe"))?;
    Ok((StatusPipe { fd, report: Vec::new() }, writer))
}

impl StatusPipe {
    /// How far the stage is. Never blocks. After an answer other than `Pending` there is nothing more to come.
    pub fn read(&mut self) -> StageStatus {
        let mut buffer = [0; REPORT];
        loop {
            match read(&self.fd, &mut buffer) {
                Ok(count) if count > 0 && self.report.len() < REPORT => {
                    self.report.extend_from_slice(buffer.get(..count).unwrap_or_default());
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return StageStatus::Pending,
                // The end; or a writer who doesn't stop, which no stage of ours is.
                Ok(_) | Err(_) => return decode(&self.report),
            }
        }
    }
}

impl AsFd for StatusPipe {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Tells the parent. Best effort: if nobody listens, the exit code has to do.
pub(super) fn report(to: &OwnedFd, failure: &Failure) {
    let Failure { stage, errno, message } = failure;
    let mut text = format!("{stage}\0{}\0{message}", *errno as i32).into_bytes();
    text.truncate(REPORT);
    let _nobody_listens = write(to, &text);
}

fn decode(report: &[u8]) -> StageStatus {
    if report.is_empty() {
        return StageStatus::Executed;
    }
    if let Ok(errno) = <[u8; 4]>::try_from(report) {
        // A child that can't even execute the stage has no more to say.
        let errno = Errno::from_raw(i32::from_ne_bytes(errno));
        let what = if errno == Errno::EAGAIN { program::TOO_MANY } else { errno.desc() };
        let message = format!("cannot start the exec stage: {what}");
        return StageStatus::Failed { stage: "exec".to_owned(), message, errno: errno as i32 };
    }
    let text = String::from_utf8_lossy(report);
    let mut parts = text.splitn(3, '\0');
    let mut next = || parts.next().unwrap_or_default().to_owned();
    let (stage, errno, message) = (next(), next(), next());
    StageStatus::Failed { stage, message, errno: errno.parse().unwrap_or(0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_arrives_whole_after_the_writer_is_gone() {
        let (mut reader, writer) = pipe().unwrap();
        assert_eq!(reader.read(), StageStatus::Pending);
        report(&writer, &Failure { stage: "user", errno: Errno::EPERM, message: "no such user".into() });
        assert_eq!(reader.read(), StageStatus::Pending);
        drop(writer);
        let failed = StageStatus::Failed { stage: "user".into(), message: "no such user".into(), errno: libc::EPERM };
        assert_eq!(reader.read(), failed);
        assert_eq!(reader.read(), failed);
    }

    #[test]
    fn silence_is_success_and_a_long_report_is_cut() {
        let (mut reader, writer) = pipe().unwrap();
        drop(writer);
        assert_eq!(reader.read(), StageStatus::Executed);
        let (mut reader, writer) = pipe().unwrap();
        report(&writer, &Failure { stage: "exec", errno: Errno::UnknownErrno, message: "é".repeat(9000) });
        drop(writer);
        assert!(matches!(reader.read(), StageStatus::Failed { stage, message, errno: 0 }
            if stage == "exec" && message.len() > 3000 && message.len() <= REPORT));
    }
}
