//! What an exec stage tells the process that started it: nothing if its exec took place, else where it failed. The
//! pipe's writing end is close-on-exec, so end of file is the good news. (Also the news of a stage that was killed
//! before it could speak; its exit follows.)

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::{pipe2, read, write};

use super::SysError;

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
pub(super) fn report(to: &OwnedFd, stage: &str, errno: i32, message: &str) {
    let mut text = format!("{stage}\0{errno}\0{message}").into_bytes();
    text.truncate(REPORT);
    let _nobody_listens = write(to, &text);
}

fn decode(report: &[u8]) -> StageStatus {
    if report.is_empty() {
        return StageStatus::Executed;
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
        report(&writer, "user", libc::EPERM, "no such user");
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
        report(&writer, "exec", 0, &"é".repeat(9000));
        drop(writer);
        assert!(matches!(reader.read(), StageStatus::Failed { stage, message, errno: 0 }
            if stage == "exec" && message.len() > 3000 && message.len() <= REPORT));
    }
}
