//! What people want of single services: start, stop, restart by hand. Wishes only; the life cycle is in `service`.

use super::Supervisor;
use super::event::{Action, Cause, Command, StopCause, Target};
use super::restart::Streak;
use super::service::Outcome;
use super::state::State;
use crate::model::{Need, ServiceId, Signal};

impl Supervisor {
    /// Somebody has asked for this.
    pub(super) fn on_command(&mut self, command: Command, out: &mut Vec<Action>) {
        let known = |id: ServiceId| self.services.get(id).is_some_and(|service| !service.leaves());
        let up = self.phase.is_up();
        match command {
            Command::Start(id) if up && known(id) => self.start_by_hand(id),
            Command::Stop(id) if up && known(id) => self.stop_by_hand(id, out),
            Command::Restart(id) if up && known(id) => self.restart_by_hand(id, out),
            Command::Signal(id, signal) if known(id) => self.signal_by_hand(id, signal, out),
            Command::Shutdown => self.begin_shutdown(Cause::Asked, out),
            Command::Start(_) | Command::Stop(_) | Command::Restart(_) | Command::Signal(..) => {}
        }
    }

    fn signal_by_hand(&mut self, id: ServiceId, signal: Signal, out: &mut Vec<Action>) {
        let service = &self.services[id];
        if service.state.has_program() {
            out.push(Action::Signal { run: service.run(id), signal, to: Target::Leader });
        }
    }

    /// `id` is wanted now, and so is all that it can't start without.
    fn start_by_hand(&mut self, id: ServiceId) {
        let mut wanted = vec![id];
        while let Some(id) = wanted.pop() {
            self.want(id);
            let needs = &self.services[id].spec.start_after;
            wanted.extend(needs.iter().filter(|need| self.must_be_asked_for(**need)).map(|need| need.service));
        }
    }

    /// Whether what is needed comes only if it is started by hand, too.
    fn must_be_asked_for(&self, need: Need) -> bool {
        let service = &self.services[need.service];
        let failed = matches!(service.state, State::FinishedFailed { .. });
        need.required && (!service.wanted || (failed && need.is_harmed_by_failure()))
    }

    /// From now on `id` is to run. Not beside what is left of a run that would not die.
    pub(super) fn want(&mut self, id: ServiceId) {
        let service = &mut self.services[id];
        service.wanted = true;
        service.doom = None;
        if service.remains {
            return;
        }
        match &mut service.state {
            State::Initial => self.dirty.push_back(id),
            State::Finished | State::FinishedFailed { .. } | State::Backoff { .. } => {
                service.streak = Streak::default();
                self.await_gate(id);
            }
            State::Stopping(ladder) => match ladder.cause {
                StopCause::Asked | StopCause::DiedWith(_) => ladder.cause = StopCause::Restart,
                StopCause::Leftovers
                | StopCause::Unhealthy(_)
                | StopCause::TooLate(_)
                | StopCause::Itself
                | StopCause::Restart
                | StopCause::Renewed(_)
                | StopCause::Shutdown => {}
            },
            State::Clearing(clearing) => match clearing.outcome {
                Outcome::Stopped | Outcome::GivenUp(_) => clearing.outcome = Outcome::Renewed,
                Outcome::Success | Outcome::Failure(_) | Outcome::Renewed => {}
            },
            State::Delay { .. }
            | State::Preparing { .. }
            | State::Spawning { .. }
            | State::Started(_)
            | State::Running(_) => {}
        }
    }

    fn stop_by_hand(&mut self, id: ServiceId, out: &mut Vec<Action>) {
        match &self.services[id].state {
            // It is over as it is; whether it did well is still of interest to others.
            State::Finished | State::FinishedFailed { .. } => return,
            State::Initial | State::Delay { .. } | State::Backoff { .. } => {
                self.services[id].wanted = false;
                self.finish(id, out);
            }
            State::Preparing { .. }
            | State::Spawning { .. }
            | State::Started(_)
            | State::Running(_)
            | State::Stopping(_)
            | State::Clearing(_) => {
                self.services[id].wanted = false;
                self.stop(id, StopCause::Asked, out);
            }
        }
        self.services[id].doom = None;
    }

    fn restart_by_hand(&mut self, id: ServiceId, out: &mut Vec<Action>) {
        if !self.services[id].state.is_live() {
            return self.start_by_hand(id);
        }
        let service = &mut self.services[id];
        service.wanted = true;
        service.streak = Streak::default();
        self.stop(id, StopCause::Restart, out);
    }
}
