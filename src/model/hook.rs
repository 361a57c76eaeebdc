//! Commands that run beside a service, before and after what happens to it.

use super::Command;
use std::fmt;
use std::time::Duration;

/// The hooks of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hooks {
    /// Which command runs when; each at most once.
    pub commands: Vec<(Hook, Command)>,
    /// How long each may take.
    pub timeout: Duration,
}

/// When a command runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hook {
    /// Before the program is started. If it fails, so does the start.
    BeforeStart,
    /// Once it is ready.
    AfterReady,
    /// Before it is asked to stop.
    BeforeStop,
    /// To ask it to stop: `command` in `[termination]`.
    Stop,
    /// Once nothing of it is left.
    AfterStop,
    /// After that, if it has failed.
    OnFailure,
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Hook::BeforeStart => "before-start",
            Hook::AfterReady => "after-ready",
            Hook::BeforeStop => "before-stop",
            Hook::Stop => "termination command",
            Hook::AfterStop => "after-stop",
            Hook::OnFailure => "on-failure",
        })
    }
}
