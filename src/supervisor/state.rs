//! What a service is doing: one variant for each thing it can do, with what is true only then. Which change follows
//! which is told in `service`.

use super::event::Reason;
use super::health::Probing;
use super::hooks::Clearing;
use super::service::Outcome;
use super::stop::{Ladder, Rung};
use crate::model::{Hook, Mono, ServiceId, Sign};
use std::time::Duration;

/// What a service is doing.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// Waits until it is wanted and its gate is open.
    Initial,
    /// Waits out its `start-delay`.
    Delay {
        /// When it is spawned.
        until: Mono,
    },
    /// Its `before-start` hook runs.
    Preparing {
        /// When that has taken too long.
        until: Mono,
    },
    /// Its spawn has been ordered.
    Spawning {
        /// When its start has taken too long.
        late: Option<Mono>,
    },
    /// Its program runs, but is not ready.
    Started(Starting),
    /// Its program is ready.
    Running(Up),
    /// Its processes are being stopped.
    Stopping(Ladder),
    /// Its processes are gone, and its last hooks run.
    Clearing(Clearing),
    /// Waits to be started again.
    Backoff {
        /// When its gate is looked at again.
        until: Mono,
        /// Why its last run has failed, if it has.
        failure: Option<Reason>,
    },
    /// It is over.
    Finished,
    /// It has given up.
    FinishedFailed {
        /// Why.
        reason: Reason,
    },
}

/// A program on its way to be ready.
#[derive(Clone, Debug, PartialEq)]
pub struct Starting {
    /// Asks whether it is ready.
    pub probing: Probing,
    /// The signs that it has given.
    pub given: Vec<Sign>,
    /// When its start has taken too long.
    pub late: Option<Mono>,
    /// When people are told that it is not ready yet.
    pub nag: Option<Mono>,
}

/// A program that is ready.
#[derive(Clone, Debug, PartialEq)]
pub struct Up {
    /// Since when.
    pub since: Mono,
    /// Asks whether it is healthy.
    pub probing: Probing,
    /// When it has to be heard of again, and how long after that.
    pub watchdog: Option<(Mono, Duration)>,
    /// When it has taken too long: a oneshot's start is its whole run.
    pub late: Option<Mono>,
    /// Its `after-ready` hook runs, until then at the latest.
    pub hook: Option<Mono>,
}

impl State {
    /// Whether processes of this service may exist.
    pub fn is_live(&self) -> bool {
        match self {
            State::Preparing { .. }
            | State::Spawning { .. }
            | State::Started(_)
            | State::Running(_)
            | State::Stopping(_)
            | State::Clearing(_) => true,
            State::Initial
            | State::Delay { .. }
            | State::Backoff { .. }
            | State::Finished
            | State::FinishedFailed { .. } => false,
        }
    }

    /// Whether its program may be running.
    pub(super) fn has_program(&self) -> bool {
        self.is_live() && !matches!(self, State::Preparing { .. } | State::Clearing(_))
    }

    /// Whether something will happen to this service without anything happening to another one first.
    pub(super) fn is_active(&self) -> bool {
        self.is_live() || matches!(self, State::Delay { .. } | State::Backoff { .. })
    }

    /// Whether the next thing to happen to it is a start.
    pub(super) fn awaits_start(&self) -> bool {
        matches!(self, State::Initial | State::Delay { .. } | State::Backoff { .. })
    }

    /// Whether it is ready.
    pub(super) fn is_ready(&self) -> bool {
        matches!(self, State::Running(_))
    }

    /// Horust's word for it.
    pub fn name(&self) -> &'static str {
        match self {
            State::Initial => "Initial",
            State::Delay { .. } | State::Preparing { .. } | State::Spawning { .. } => "Starting",
            State::Started(_) => "Started",
            State::Running(_) => "Running",
            State::Stopping(_) | State::Clearing(_) => "InKilling",
            State::Backoff { failure: Some(_), .. } => "Failed",
            State::Backoff { failure: None, .. } => "Success",
            State::Finished => "Finished",
            State::FinishedFailed { .. } => "FinishedFailed",
        }
    }

    /// The other service that is a reason for what it is doing.
    pub(super) fn mentions(&self) -> Option<ServiceId> {
        match self {
            State::Stopping(ladder) => ladder.cause.mentions(),
            State::Clearing(clearing) => match &clearing.outcome {
                Outcome::Failure(reason) | Outcome::GivenUp(reason) => reason.mentions(),
                Outcome::Success | Outcome::Stopped | Outcome::Renewed => None,
            },
            State::Backoff { failure, .. } => failure.as_ref().and_then(Reason::mentions),
            State::FinishedFailed { reason } => reason.mentions(),
            State::Initial
            | State::Delay { .. }
            | State::Preparing { .. }
            | State::Spawning { .. }
            | State::Started(_)
            | State::Running(_)
            | State::Finished => None,
        }
    }

    /// When something must be done about it.
    pub(super) fn deadline(&self) -> Option<Mono> {
        match self {
            State::Delay { until } | State::Preparing { until } | State::Backoff { until, .. } => Some(*until),
            State::Spawning { late } => *late,
            State::Started(starting) => {
                [starting.probing.deadline(), starting.late, starting.nag].into_iter().flatten().min()
            }
            State::Running(up) => {
                [up.probing.deadline(), up.watchdog.map(|(at, _)| at), up.late, up.hook].into_iter().flatten().min()
            }
            State::Stopping(ladder) => Some(ladder.until),
            State::Clearing(clearing) => Some(clearing.until),
            State::Initial | State::Finished | State::FinishedFailed { .. } => None,
        }
    }

    /// When its start, or what has been done to stop it, has taken too long.
    pub(super) fn patience(&mut self) -> Option<&mut Mono> {
        match self {
            State::Spawning { late } => late.as_mut(),
            State::Started(starting) => starting.late.as_mut(),
            State::Running(up) => up.late.as_mut(),
            State::Stopping(ladder) if ladder.rung != Rung::Killed => Some(&mut ladder.until),
            State::Initial
            | State::Delay { .. }
            | State::Preparing { .. }
            | State::Stopping(_)
            | State::Clearing(_)
            | State::Backoff { .. }
            | State::Finished
            | State::FinishedFailed { .. } => None,
        }
    }

    /// The rounds of probes that are going on.
    pub(super) fn probing(&mut self) -> Option<&mut Probing> {
        match self {
            State::Started(starting) => Some(&mut starting.probing),
            State::Running(up) => Some(&mut up.probing),
            State::Initial
            | State::Delay { .. }
            | State::Preparing { .. }
            | State::Spawning { .. }
            | State::Stopping(_)
            | State::Clearing(_)
            | State::Backoff { .. }
            | State::Finished
            | State::FinishedFailed { .. } => None,
        }
    }

    /// The hook that runs.
    pub(super) fn hook(&self) -> Option<Hook> {
        match self {
            State::Preparing { .. } => Some(Hook::BeforeStart),
            State::Running(up) => up.hook.map(|_| Hook::AfterReady),
            State::Stopping(ladder) => match ladder.rung {
                Rung::Leave => Some(Hook::BeforeStop),
                Rung::Command => Some(Hook::Stop),
                Rung::Itself | Rung::Told | Rung::Asked(_) | Rung::Killed => None,
            },
            State::Clearing(clearing) => Some(clearing.hook),
            State::Initial
            | State::Delay { .. }
            | State::Spawning { .. }
            | State::Started(_)
            | State::Backoff { .. }
            | State::Finished
            | State::FinishedFailed { .. } => None,
        }
    }
}
