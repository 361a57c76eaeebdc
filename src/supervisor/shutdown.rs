//! The end of everything: who asked for it, in which order services stop, and the code Horust exits with.

use super::Supervisor;
use super::event::{Action, Cause, Report, StopCause, Target};
use super::state::State;
use super::stop::Rung;
use crate::canary::{self, Canary};
use crate::limits;
use crate::model::{ServiceId, Signal};

/// What Horust as a whole is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Services are wanted.
    Up,
    /// Everything is stopped.
    Stopping {
        /// Why.
        cause: Cause,
        /// A person or the container runtime has asked for it; the next time, everything is killed.
        asked: bool,
    },
    /// Everything is killed.
    Killing(Cause),
    /// The exit has been ordered.
    Over,
}

impl Phase {
    /// Whether services may start.
    pub fn is_up(self) -> bool {
        self == Phase::Up
    }

    /// Why everything is stopped, while it is.
    pub fn cause(self) -> Option<Cause> {
        match self {
            Phase::Stopping { cause, .. } | Phase::Killing(cause) => Some(cause),
            Phase::Up | Phase::Over => None,
        }
    }
}

impl Supervisor {
    /// Horust itself received a signal.
    pub(super) fn on_signal(&mut self, signal: Signal, out: &mut Vec<Action>) {
        match signal {
            Signal::TERM | Signal::INT => self.on_stop_signal(signal, out),
            Signal::HUP if self.phase.is_up() => {
                out.push(Action::Load);
                if canary::sings(Canary::TwoAnswers) && self.services.slots() > self.services.ids().count() {
                    out.push(Action::Load);
                }
            }
            Signal::HUP => out.push(Action::Report(Report::IgnoredSignal(signal))),
            _ => self.forward(signal, out),
        }
    }

    fn on_stop_signal(&mut self, signal: Signal, out: &mut Vec<Action>) {
        match self.phase {
            Phase::Up => self.begin_shutdown(Cause::Signal(signal), out),
            Phase::Stopping { cause, asked: false } => self.phase = Phase::Stopping { cause, asked: true },
            Phase::Stopping { cause, asked: true } => {
                self.phase = Phase::Killing(cause);
                out.push(Action::Report(Report::KillAll(signal)));
                self.kill_all(out);
            }
            Phase::Killing(_) | Phase::Over => {}
        }
    }

    /// Stops everything, in the reverse of the start order.
    pub(super) fn begin_shutdown(&mut self, cause: Cause, out: &mut Vec<Action>) {
        if !self.phase.is_up() {
            return;
        }
        self.phase = Phase::Stopping { cause, asked: matches!(cause, Cause::Signal(_)) };
        out.push(Action::Report(Report::Shutdown(cause)));
        for id in self.services.ids() {
            self.dirty.push_back(id);
            match &mut self.services[id].state {
                State::Initial | State::Delay { .. } | State::Backoff { .. } => self.finish(id, out),
                State::Preparing { .. }
                | State::Spawning { .. }
                | State::Started(_)
                | State::Running(_)
                | State::Clearing(_) => self.services[id].stop_asked = true,
                State::Stopping(ladder) if ladder.is_its_own() => self.services[id].stop_asked = true,
                State::Stopping(ladder) => ladder.cause = StopCause::Shutdown,
                State::Finished | State::FinishedFailed { .. } => {}
            }
        }
    }

    /// Kills everything at once, in no order.
    fn kill_all(&mut self, out: &mut Vec<Action>) {
        for id in self.services.ids() {
            match &self.services[id].state {
                State::Preparing { .. }
                | State::Spawning { .. }
                | State::Started(_)
                | State::Running(_)
                | State::Clearing(_) => {
                    self.services[id].stop_asked = false;
                    self.stop(id, StopCause::Shutdown, out);
                }
                State::Stopping(ladder) if ladder.rung != Rung::Killed => self.kill(id, out),
                State::Stopping(_)
                | State::Initial
                | State::Delay { .. }
                | State::Backoff { .. }
                | State::Finished
                | State::FinishedFailed { .. } => {}
            }
        }
    }

    /// Passes a signal on to the main process of every live service, rewritten as each one wants it.
    fn forward(&mut self, signal: Signal, out: &mut Vec<Action>) {
        for id in self.services.ids() {
            let service = &self.services[id];
            if let Some(signal) = self.rewritten(id, signal).unwrap_or(Some(signal))
                && service.state.has_program()
            {
                out.push(Action::Signal { run: service.run(id), signal, to: Target::Leader });
            }
        }
    }

    /// The signal that stops `id`: its own, unless the signal that Horust received is rewritten for it. None: it is
    /// not told at all, and killed after its `wait`.
    pub(super) fn stop_signal(&self, id: ServiceId) -> Option<Signal> {
        let rewritten = match self.phase.cause() {
            Some(Cause::Signal(received)) => self.rewritten(id, received),
            Some(Cause::Asked | Cause::Service(..)) | None => None,
        };
        rewritten.unwrap_or(Some(self.services[id].spec.termination.signal))
    }

    fn rewritten(&self, id: ServiceId, received: Signal) -> Option<Option<Signal>> {
        let rules = &self.services[id].spec.signal_rewrite;
        rules.iter().find(|(from, _)| *from == received).map(|(_, to)| *to)
    }

    /// Orders the exit once nothing can happen any more.
    pub(super) fn conclude(&mut self, out: &mut Vec<Action>) {
        if self.active > 0 || self.phase == Phase::Over || (self.phase.is_up() && self.any_stopped_by_hand()) {
            return;
        }
        let code = match self.phase.cause() {
            _ if self.settings.unsuccessful_exit_finished_failed && self.any_gave_up() => limits::EXIT_FINISHED_FAILED,
            Some(Cause::Service(_, code)) => code,
            Some(Cause::Asked | Cause::Signal(_)) | None => 0,
        };
        self.phase = Phase::Over;
        out.push(Action::Exit(code));
    }

    /// Who stops the only service does not want to be thrown out of the container: it may be started again.
    fn any_stopped_by_hand(&self) -> bool {
        self.services.iter().any(|s| !s.wanted && s.state == State::Finished)
    }

    fn any_gave_up(&self) -> bool {
        self.services.iter().any(|s| matches!(s.state, State::FinishedFailed { .. }))
    }
}
