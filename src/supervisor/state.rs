//! What a service is doing: one variant for each thing it can do, with what is true only then. Which change follows
//! which is told in `service`.

use super::event::Reason;
use super::health::Probing;
use super::stop::Ladder;
use crate::model::Mono;

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
    /// Its spawn has been ordered.
    Spawning,
    /// Its program runs, but is not ready.
    Started {
        /// Asks whether it is ready.
        probing: Probing,
    },
    /// Its program is ready.
    Running {
        /// When it became so.
        since: Mono,
        /// Asks whether it is healthy.
        probing: Probing,
    },
    /// Its processes are being stopped.
    Stopping(Ladder),
    /// Waits to be started again.
    Backoff {
        /// When its gate is looked at again.
        until: Mono,
        /// After a failure, or after a success.
        failed: bool,
    },
    /// It is over.
    Finished,
    /// It has given up.
    FinishedFailed {
        /// Why.
        reason: Reason,
    },
}

impl State {
    /// Whether processes of this service may exist.
    pub fn is_live(&self) -> bool {
        match self {
            State::Spawning | State::Started { .. } | State::Running { .. } | State::Stopping(_) => true,
            State::Initial
            | State::Delay { .. }
            | State::Backoff { .. }
            | State::Finished
            | State::FinishedFailed { .. } => false,
        }
    }

    /// Whether something will happen to this service without anything happening to another one first.
    pub(super) fn is_active(&self) -> bool {
        self.is_live() || matches!(self, State::Delay { .. } | State::Backoff { .. })
    }

    /// Whether the next thing to happen to it is a start.
    pub(super) fn awaits_start(&self) -> bool {
        matches!(self, State::Initial | State::Delay { .. } | State::Backoff { .. })
    }

    /// Horust's word for it.
    pub fn name(&self) -> &'static str {
        match self {
            State::Initial => "Initial",
            State::Delay { .. } | State::Spawning => "Starting",
            State::Started { .. } => "Started",
            State::Running { .. } => "Running",
            State::Stopping(_) => "InKilling",
            State::Backoff { failed: true, .. } => "Failed",
            State::Backoff { failed: false, .. } => "Success",
            State::Finished => "Finished",
            State::FinishedFailed { .. } => "FinishedFailed",
        }
    }

    /// When something must be done about it.
    pub(super) fn deadline(&self) -> Option<Mono> {
        match self {
            State::Delay { until } | State::Backoff { until, .. } => Some(*until),
            State::Started { probing } | State::Running { probing, .. } => probing.deadline(),
            State::Stopping(ladder) => Some(ladder.until),
            State::Initial | State::Spawning | State::Finished | State::FinishedFailed { .. } => None,
        }
    }
}
