//! What a service waits for before it starts.

use super::ServiceId;
use std::fmt;

/// One service that another one waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Need {
    /// Which service.
    pub service: ServiceId,
    /// What has to be true of it.
    pub condition: Condition,
    /// If not, it is about the order only: what fails, or is not even wanted, is not waited for.
    pub required: bool,
}

/// What has to be true of a service before another one starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Condition {
    /// Its program runs, or has finished.
    Started,
    /// It is ready, or has finished.
    Ready,
    /// Its health checks pass.
    Healthy,
    /// It has finished or has failed for good.
    Completed,
    /// It has finished.
    CompletedSuccessfully,
    /// It has failed for good.
    Failed,
}

impl Need {
    /// What a plain name in `start-after` means.
    pub fn ready(service: ServiceId) -> Need {
        Need { service, condition: Condition::Ready, required: true }
    }

    /// Whether the one that waits is harmed if the service fails for good.
    pub fn is_harmed_by_failure(&self) -> bool {
        self.required && !matches!(self.condition, Condition::Completed | Condition::Failed)
    }
}

impl Condition {
    /// All of them.
    pub const ALL: [Condition; 6] = [
        Condition::Started,
        Condition::Ready,
        Condition::Healthy,
        Condition::Completed,
        Condition::CompletedSuccessfully,
        Condition::Failed,
    ];
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Condition::Started => "started",
            Condition::Ready => "ready",
            Condition::Healthy => "healthy",
            Condition::Completed => "completed",
            Condition::CompletedSuccessfully => "completed-successfully",
            Condition::Failed => "failed",
        })
    }
}
