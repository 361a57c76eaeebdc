//! The stop ladder of one run: its stop signal, its `wait`, SIGKILL to the whole tree, and the confession that something
//! would not die.

use super::event::{Action, Reason, Report, StopCause, Target};
use super::service::{Outcome, outcome_of};
use super::shutdown::Phase;
use super::state::State;
use super::{Supervisor, never};
use crate::limits;
use crate::model::{Exit, Mono, RunId, ServiceId, ServiceSpec, Signal};

/// Where a run stands on the ladder.
#[derive(Clone, Debug, PartialEq)]
pub struct Ladder {
    /// Why it is being stopped.
    pub cause: StopCause,
    /// What has been done so far.
    pub rung: Rung,
    /// When the next rung is taken.
    pub until: Mono,
    /// How the main process ended, once it has.
    pub exit: Option<Exit>,
}

/// What has been done to stop a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rung {
    /// Nothing: it goes by itself.
    Itself,
    /// These have got the stop signal.
    Asked(Target),
    /// All have got SIGKILL.
    Killed,
}

impl Ladder {
    /// What the end of this run counts as. `exit` is how its main process ended, if it ever ran.
    pub fn outcome(&self, spec: &ServiceSpec, exit: Option<Exit>) -> Outcome {
        match (&self.cause, exit) {
            (StopCause::Shutdown | StopCause::Asked, _) => Outcome::Stopped,
            (StopCause::Restart, _) => Outcome::Renewed,
            (StopCause::DiedWith(other), _) => Outcome::GivenUp(Reason::DiedWith(*other)),
            (StopCause::Unhealthy(why), exit) => Outcome::Failure(Reason::Unhealthy(why.clone(), exit)),
            (StopCause::TooLate(why), exit) => Outcome::Failure(Reason::TooLate(why.clone(), exit)),
            (StopCause::Leftovers | StopCause::Itself, Some(exit)) => outcome_of(exit, spec),
            (StopCause::Leftovers | StopCause::Itself, None) => Outcome::Stopped,
        }
    }
}

impl Supervisor {
    /// Stops the live run of `id`, or changes the cause of the stop that is under way.
    pub(super) fn stop(&mut self, id: ServiceId, cause: StopCause, out: &mut Vec<Action>) {
        if let State::Stopping(ladder) = &mut self.services[id].state {
            ladder.cause = cause;
            return;
        }
        self.cancel_probes(id, out);
        self.wipe_streak(id);
        out.push(Action::Report(Report::Stopping(self.services[id].run(id), cause.clone())));
        let signal = self.stop_signal(id);
        self.ascend(id, cause, None, signal.map(|s| (s, Target::Group)), out);
    }

    /// The run of `id` says that it goes by itself: it gets the time for it.
    pub(super) fn stops_itself(&mut self, id: ServiceId, out: &mut Vec<Action>) {
        if let State::Started(_) | State::Running(_) = self.services[id].state {
            self.cancel_probes(id, out);
            self.wipe_streak(id);
            out.push(Action::Report(Report::Stopping(self.services[id].run(id), StopCause::Itself)));
            self.ascend(id, StopCause::Itself, None, None, out);
        }
    }

    /// The main process of `id` has ended by itself and left others behind: they are stopped.
    pub(super) fn stop_leftovers(&mut self, id: ServiceId, exit: Exit, out: &mut Vec<Action>) {
        let signal = self.services[id].spec.termination.signal;
        self.ascend(id, StopCause::Leftovers, Some(exit), Some((signal, Target::Tree)), out);
    }

    fn ascend(
        &mut self,
        id: ServiceId,
        cause: StopCause,
        exit: Option<Exit>,
        first: Option<(Signal, Target)>,
        out: &mut Vec<Action>,
    ) {
        let run = self.services[id].run(id);
        let wait = self.services[id].spec.termination.wait;
        let rung = first.map_or(Rung::Itself, |(_, to)| Rung::Asked(to));
        self.set_state(id, State::Stopping(Ladder { cause, rung, until: self.now.after(wait), exit }));
        if wait.is_zero() || matches!(self.phase, Phase::Killing(_)) {
            return self.kill(id, out);
        }
        if let Some((signal, to)) = first {
            out.push(Action::Signal { run, signal, to });
        }
    }

    /// SIGKILL for every process of `id`.
    pub(super) fn kill(&mut self, id: ServiceId, out: &mut Vec<Action>) {
        let (now, run) = (self.now, self.services[id].run(id));
        if let State::Stopping(ladder) = &mut self.services[id].state {
            ladder.rung = Rung::Killed;
            ladder.until = now.after(limits::UNKILLABLE_AFTER);
            out.push(Action::Signal { run, signal: Signal::KILL, to: Target::Tree });
            self.rearm(id);
        }
    }

    /// The time on this rung is up.
    pub(super) fn climb(&mut self, id: ServiceId, out: &mut Vec<Action>) {
        let (run, wait) = (self.services[id].run(id), self.services[id].spec.termination.wait);
        let State::Stopping(ladder) = &self.services[id].state else { return };
        if ladder.rung == Rung::Killed {
            out.push(Action::Report(Report::Unkillable(run)));
            // Never a second copy beside one that would not die.
            self.ended(id, Outcome::GivenUp(Reason::Unkillable), out);
        } else {
            out.push(Action::Report(Report::Killing(run, wait)));
            self.kill(id, out);
        }
    }

    /// The main process of `id` has ended while it was being stopped.
    pub(super) fn on_exited_stopping(&mut self, id: ServiceId, exit: Exit, left: bool, out: &mut Vec<Action>) {
        let run = self.services[id].run(id);
        let signal = self.stop_signal(id);
        let service = &mut self.services[id];
        let State::Stopping(ladder) = &mut service.state else { return };
        ladder.exit = Some(exit);
        if left {
            // Those of its processes that have not had the stop signal get it now.
            let to = match ladder.rung {
                Rung::Itself | Rung::Asked(Target::Leader) => Some(Target::Tree),
                Rung::Asked(Target::Group) => Some(Target::Strays),
                Rung::Asked(Target::Tree | Target::Strays) | Rung::Killed => None,
            };
            if let (Some(signal), Some(to)) = (signal, to) {
                out.push(Action::Signal { run, signal, to });
                ladder.rung = Rung::Asked(Target::Tree);
            }
        } else {
            let outcome = ladder.outcome(&service.spec, Some(exit));
            self.ended(id, outcome, out);
        }
    }

    pub(super) fn on_tree_empty(&mut self, run: RunId, out: &mut Vec<Action>) {
        if !self.is_current(run) {
            return;
        }
        match &self.services[run.service].state {
            State::Stopping(ladder) if ladder.exit.is_some() => {
                let outcome = ladder.outcome(&self.services[run.service].spec, ladder.exit);
                self.ended(run.service, outcome, out);
            }
            State::Stopping(_)
            | State::Spawning { .. }
            | State::Started(_)
            | State::Running(_)
            | State::Initial
            | State::Delay { .. }
            | State::Backoff { .. }
            | State::Finished
            | State::FinishedFailed { .. } => never!("an empty tree with its main process alive", run, out),
        }
    }
}
