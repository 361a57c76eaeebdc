//! The OOM score adjustment of processes (proc(5)): how soon the kernel kills them when memory is short. A child inherits
//! its parent's.

use std::fs::File;
use std::os::unix::fs::FileExt;

use nix::errno::Errno;

use super::status::Failure;

const OWN: &str = "/proc/self/oom_score_adj";

/// Sets our own. Everybody may raise it; going below what a privileged process has set needs CAP_SYS_RESOURCE.
pub(super) fn set_own(score: i16) -> Result<(), Failure> {
    std::fs::write(OWN, score.to_string()).map_err(|error| {
        let errno = Errno::from_raw(error.raw_os_error().unwrap_or(0));
        Failure::of("oom-score-adj", &format!("cannot set oom-score-adj to {score}"), errno, "CAP_SYS_RESOURCE")
    })
}

/// The score that we began with. Who started us meant it for all that runs below us (a container runtime gives it to the
/// whole container), but a change that somebody makes later is meant for us alone.
#[derive(Debug)]
pub struct Score {
    file: Option<File>,
    at_start: Option<i16>,
}

impl Score {
    /// Reads it. Without /proc there is none.
    pub fn read() -> Self {
        let file = File::open(OWN).ok();
        let at_start = file.as_ref().and_then(read);
        Self { file, at_start }
    }

    /// Gives a new child what we began with, if we have another by now. Best effort: by then it may have ended.
    pub fn pass_on(&self, child: u32) {
        let (Some(file), Some(at_start)) = (&self.file, self.at_start) else { return };
        if read(file) != self.at_start {
            let _ended = std::fs::write(format!("/proc/{child}/oom_score_adj"), at_start.to_string());
        }
    }
}

fn read(file: &File) -> Option<i16> {
    let mut text = [0; 8];
    let length = file.read_at(&mut text, 0).ok()?;
    std::str::from_utf8(text.get(..length)?).ok()?.trim().parse().ok()
}
