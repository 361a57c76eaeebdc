//! The stop ladder of one run: its `before-stop` hook, its stop command, its stop signal, its `wait`, SIGKILL to the
//! whole tree, and the confession that something would not die.

use super::event::{Action, Reason, Report, StopCause, Target};
use super::service::{Outcome, outcome_of};
use super::shutdown::Phase;
use super::state::State;
use super::{Supervisor, never};
use crate::limits;
use crate::model::{Exit, Hook, Mono, RunId, Scope, ServiceId, ServiceSpec, Signal};
use std::time::Duration;

/// Where a run stands on the ladder.
#[derive(Clone, Debug, PartialEq)]
pub struct Ladder {
    /// Why it is being stopped.
    pub cause: StopCause,
    /// What has been done so far.
    pub rung: Rung,
    /// When the next rung is taken.
    pub until: Mono,
    /// How long it has before it is killed: a reload can only shorten that.
    pub wait: Duration,
    /// How the main process ended, once it has.
    pub exit: Option<Exit>,
}

/// What has been done to stop a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rung {
    /// Nothing: it goes by itself.
    Itself,
    /// Its `before-stop` hook runs.
    Leave,
    /// Its stop command runs.
    Command,
    /// Its stop command has succeeded.
    Told,
    /// These have got the stop signal.
    Asked(Target),
    /// All have got SIGKILL.
    Killed,
}

/// What the end of a run counts as that was stopped for this reason. `exit` is how its main process ended, if it ever ran.
fn outcome(cause: &StopCause, spec: &ServiceSpec, exit: Option<Exit>) -> Outcome {
    match (cause, exit) {
        (StopCause::Shutdown | StopCause::Asked, _) => Outcome::Stopped,
        (StopCause::Restart | StopCause::Renewed(_), _) => Outcome::Renewed,
        (StopCause::DiedWith(other), _) => Outcome::GivenUp(Reason::DiedWith(*other)),
        (StopCause::Unhealthy(why), exit) => Outcome::Failure(Reason::Unhealthy(why.clone(), exit)),
        (StopCause::TooLate(why), exit) => Outcome::Failure(Reason::TooLate(why.clone(), exit)),
        (StopCause::Leftovers | StopCause::Itself, Some(exit)) => outcome_of(exit, spec),
        (StopCause::Leftovers | StopCause::Itself, None) => Outcome::Stopped,
    }
}

impl Ladder {
    /// Whether it goes by itself: nobody has asked it to, and its main process is still there.
    pub(super) fn is_its_own(&self) -> bool {
        self.cause == StopCause::Itself && self.rung == Rung::Itself && self.exit.is_none()
    }

    /// What the end of this run counts as.
    pub fn outcome(&self, spec: &ServiceSpec, exit: Option<Exit>) -> Outcome {
        outcome(&self.cause, spec, exit)
    }
}

impl Supervisor {
    /// Stops the live run of `id`, or changes the cause of the stop that is under way.
    pub(super) fn stop(&mut self, id: ServiceId, cause: StopCause, out: &mut Vec<Action>) {
        let service = &mut self.services[id];
        match &mut service.state {
            // It may have taken all the time it likes for a stop of its own.
            State::Stopping(ladder) if ladder.is_its_own() => {}
            State::Stopping(ladder) => return ladder.cause = cause,
            State::Clearing(clearing) => {
                clearing.outcome = outcome(&cause, &service.spec, None);
                if matches!(self.phase, Phase::Killing(_)) {
                    self.cancel_hook(id, out);
                    self.ended(id, Outcome::Stopped, out);
                }
                return;
            }
            State::Initial
            | State::Delay { .. }
            | State::Preparing { .. }
            | State::Spawning { .. }
            | State::Started(_)
            | State::Running(_)
            | State::Backoff { .. }
            | State::Finished
            | State::FinishedFailed { .. } => {}
        }
        out.push(Action::Report(Report::Stopping(service.run(id), cause.clone())));
        self.cancel_probes(id, out);
        self.cancel_hook(id, out);
        self.wipe_streak(id);
        let service = &self.services[id];
        if let State::Preparing { .. } = service.state {
            let outcome = outcome(&cause, &service.spec, None);
            return self.run_over(id, outcome, out);
        }
        // Before its exec it can't be told but by a signal.
        let executed = !matches!(service.state, State::Spawning { .. });
        self.set_ladder(id, cause, None, Rung::Itself);
        match executed {
            true => self.leave(id, out),
            false => self.ask(id, out),
        }
    }

    /// The run of `id` says that it goes by itself: it gets the time for it.
    pub(super) fn stops_itself(&mut self, id: ServiceId, out: &mut Vec<Action>) {
        if let State::Started(_) | State::Running(_) = self.services[id].state {
            self.cancel_probes(id, out);
            self.cancel_hook(id, out);
            self.wipe_streak(id);
            out.push(Action::Report(Report::Stopping(self.services[id].run(id), StopCause::Itself)));
            self.set_ladder(id, StopCause::Itself, None, Rung::Itself);
        }
    }

    /// The main process of `id` has ended by itself and left others behind: they are stopped.
    pub(super) fn stop_leftovers(&mut self, id: ServiceId, exit: Exit, out: &mut Vec<Action>) {
        let signal = self.services[id].spec.termination.signal;
        self.set_ladder(id, StopCause::Leftovers, Some(exit), Rung::Itself);
        self.send(id, Some(signal), Target::Tree, out);
    }

    fn set_ladder(&mut self, id: ServiceId, cause: StopCause, exit: Option<Exit>, rung: Rung) {
        let wait = self.services[id].spec.termination.wait;
        let until = self.now.after(wait);
        self.set_state(id, State::Stopping(Ladder { cause, rung, until, wait, exit }));
    }

    /// Takes this rung, for so long.
    fn take_rung(&mut self, id: ServiceId, to: Rung, then: Mono) {
        if let State::Stopping(ladder) = &mut self.services[id].state {
            (ladder.rung, ladder.until) = (to, then);
            self.rearm(id);
        }
    }

    /// The first rung: its `before-stop` hook.
    fn leave(&mut self, id: ServiceId, out: &mut Vec<Action>) {
        if !matches!(self.phase, Phase::Killing(_))
            && let Some(until) = self.start_hook(id, Hook::BeforeStop, out)
        {
            return self.take_rung(id, Rung::Leave, until);
        }
        self.tell(id, out);
    }

    /// The next: its stop command.
    pub(super) fn tell(&mut self, id: ServiceId, out: &mut Vec<Action>) {
        let wait = self.services[id].spec.termination.wait;
        if !matches!(self.phase, Phase::Killing(_))
            && !wait.is_zero()
            && let Some(until) = self.start_hook(id, Hook::Stop, out)
        {
            return self.take_rung(id, Rung::Command, until);
        }
        self.ask(id, out);
    }

    /// The next: its stop signal.
    pub(super) fn ask(&mut self, id: ServiceId, out: &mut Vec<Action>) {
        let to = match self.services[id].spec.termination.scope {
            Scope::Group => Target::Group,
            Scope::Main => Target::Leader,
            Scope::Tree => Target::Tree,
        };
        self.send(id, self.stop_signal(id), to, out);
    }

    fn send(&mut self, id: ServiceId, signal: Option<Signal>, to: Target, out: &mut Vec<Action>) {
        let (run, wait) = (self.services[id].run(id), self.services[id].spec.termination.wait);
        if wait.is_zero() || matches!(self.phase, Phase::Killing(_)) {
            return self.kill(id, out);
        }
        if let State::Stopping(ladder) = &mut self.services[id].state {
            ladder.wait = wait;
        }
        self.take_rung(id, signal.map_or(Rung::Itself, |_| Rung::Asked(to)), self.now.after(wait));
        out.extend(signal.map(|signal| Action::Signal { run, signal, to }));
    }

    /// SIGKILL for every process of `id`.
    pub(super) fn kill(&mut self, id: ServiceId, out: &mut Vec<Action>) {
        let run = self.services[id].run(id);
        self.cancel_hook(id, out);
        out.push(Action::Signal { run, signal: Signal::KILL, to: Target::Tree });
        self.take_rung(id, Rung::Killed, self.now.after(limits::UNKILLABLE_AFTER));
    }

    /// Its `wait` is another one now: nobody waits for longer than that from here on.
    pub(super) fn hurry(&mut self, id: ServiceId) {
        let wait = self.services[id].spec.termination.wait;
        let until = self.now.after(wait);
        if let State::Stopping(ladder) = &mut self.services[id].state
            && let Rung::Itself | Rung::Command | Rung::Told | Rung::Asked(_) = ladder.rung
        {
            (ladder.until, ladder.wait) = (ladder.until.min(until), ladder.wait.min(wait));
            self.rearm(id);
        }
    }

    /// The time on this rung is up.
    pub(super) fn climb(&mut self, id: ServiceId, out: &mut Vec<Action>) {
        let run = self.services[id].run(id);
        let State::Stopping(ladder) = &self.services[id].state else { return };
        match ladder.rung {
            Rung::Leave | Rung::Command => self.on_hook_deadline(id, out),
            Rung::Told => self.ask(id, out),
            Rung::Itself | Rung::Asked(_) => {
                out.push(Action::Report(Report::Killing(run, ladder.wait)));
                self.kill(id, out);
            }
            Rung::Killed => {
                out.push(Action::Report(Report::Unkillable(run)));
                // Never a second copy beside one that would not die.
                self.services[id].remains = true;
                self.ended(id, Outcome::GivenUp(Reason::Unkillable), out);
            }
        }
    }

    /// The main process of `id` has ended while it was being stopped.
    pub(super) fn on_exited_stopping(&mut self, id: ServiceId, exit: Exit, left: bool, out: &mut Vec<Action>) {
        let (run, signal) = (self.services[id].run(id), self.stop_signal(id));
        let State::Stopping(Ladder { rung, .. }) = self.services[id].state else { return };
        self.cancel_hook(id, out);
        let service = &mut self.services[id];
        let State::Stopping(ladder) = &mut service.state else { return };
        ladder.exit = Some(exit);
        out.push(Action::Report(Report::Stopped(run, exit)));
        if !left {
            let outcome = ladder.outcome(&service.spec, Some(exit));
            return self.run_over(id, outcome, out);
        }
        // Those of its processes that have not had the stop signal get it now.
        let to = match rung {
            Rung::Leave | Rung::Command => return self.send(id, signal, Target::Tree, out),
            Rung::Itself | Rung::Told | Rung::Asked(Target::Leader) => Target::Tree,
            Rung::Asked(Target::Group) => Target::Strays,
            Rung::Asked(Target::Tree | Target::Strays) | Rung::Killed => return,
        };
        if let Some(signal) = signal {
            ladder.rung = Rung::Asked(Target::Tree);
            out.push(Action::Signal { run, signal, to });
        }
    }

    /// Nothing is left of a run that was given up as one that would not die.
    pub(super) fn vanish(&mut self, run: RunId, out: &mut Vec<Action>) {
        let Some(service) = self.services.with_remains(run) else { return };
        service.remains = false;
        if self.phase != Phase::Over {
            out.push(Action::Report(Report::Vanished(run)));
        }
    }

    pub(super) fn on_tree_empty(&mut self, run: RunId, out: &mut Vec<Action>) {
        if !self.is_current(run) {
            return self.vanish(run, out);
        }
        match &self.services[run.service].state {
            State::Stopping(ladder) if ladder.exit.is_some() => {
                let outcome = ladder.outcome(&self.services[run.service].spec, ladder.exit);
                self.run_over(run.service, outcome, out);
            }
            State::Stopping(_)
            | State::Preparing { .. }
            | State::Clearing(_)
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
