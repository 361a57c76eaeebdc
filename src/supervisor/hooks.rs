//! The commands that run beside a service: when they begin, how long they may take, and what follows. Of one service at
//! most one runs at a time; its state says which.

use super::Supervisor;
use super::event::{Action, Reason, Report};
use super::service::Outcome;
use super::shutdown::Phase;
use super::state::State;
use super::stop::Rung;
use crate::model::{Hook, HookId, Mono, ServiceId};

/// A run that is over but for its hooks.
#[derive(Clone, Debug, PartialEq)]
pub struct Clearing {
    /// Which runs: `after-stop` or `on-failure`.
    pub hook: Hook,
    /// How the run has ended.
    pub outcome: Outcome,
    /// When the hook has taken too long.
    pub until: Mono,
}

impl Supervisor {
    /// Starts this hook, if there is one; tells when it has taken too long.
    pub(super) fn start_hook(&self, id: ServiceId, hook: Hook, out: &mut Vec<Action>) -> Option<Mono> {
        self.start_hook_because(id, hook, None, out)
    }

    fn start_hook_because(
        &self,
        id: ServiceId,
        hook: Hook,
        reason: Option<&Reason>,
        out: &mut Vec<Action>,
    ) -> Option<Mono> {
        let service = &self.services[id];
        let (_, timeout) = service.spec.hook(hook)?;
        out.push(Action::StartHook(HookId { run: service.run(id), hook }, reason.cloned()));
        Some(self.now.after(timeout))
    }

    /// What a hook that is still running does is of no interest any more.
    pub(super) fn cancel_hook(&mut self, id: ServiceId, out: &mut Vec<Action>) {
        let service = &self.services[id];
        let run = service.run(id);
        if let Some(hook) = service.state.hook() {
            out.push(Action::CancelHook(HookId { run, hook }));
        }
        self.hook_is_over(id);
    }

    /// Forgets the hook that ran beside or before something else: it is not cancelled once more.
    fn hook_is_over(&mut self, id: ServiceId) {
        match &mut self.services[id].state {
            State::Running(up) => up.hook = None,
            State::Stopping(ladder) if matches!(ladder.rung, Rung::Leave | Rung::Command) => ladder.rung = Rung::Itself,
            State::Stopping(_)
            | State::Initial
            | State::Delay { .. }
            | State::Preparing { .. }
            | State::Spawning { .. }
            | State::Started(_)
            | State::Clearing(_)
            | State::Backoff { .. }
            | State::Finished
            | State::FinishedFailed { .. } => {}
        }
    }

    pub(super) fn on_hook_ended(&mut self, id: HookId, answer: Result<(), String>, out: &mut Vec<Action>) {
        let HookId { run, hook } = id;
        if !self.is_current(run) || self.services[run.service].state.hook() != Some(hook) {
            return;
        }
        self.hook_over(run.service, hook, answer, out);
    }

    /// A hook has taken too long.
    pub(super) fn on_hook_deadline(&mut self, id: ServiceId, out: &mut Vec<Action>) {
        let Some(hook) = self.services[id].state.hook() else { return };
        let timeout = self.services[id].spec.hook(hook).map(|(_, timeout)| timeout).unwrap_or_default();
        self.cancel_hook(id, out);
        let why = format!("took longer than {}", humantime::format_duration(timeout));
        self.hook_over(id, hook, Err(why), out);
    }

    fn hook_over(&mut self, id: ServiceId, hook: Hook, answer: Result<(), String>, out: &mut Vec<Action>) {
        if let Err(why) = &answer {
            out.push(Action::Report(Report::HookFailed(self.services[id].run(id), hook, why.clone())));
        }
        self.hook_is_over(id);
        match &mut self.services[id].state {
            State::Preparing { .. } => match answer {
                Ok(()) => self.prepared(id, out),
                Err(why) => self.run_over(id, Outcome::Failure(Reason::Hook(hook, why)), out),
            },
            State::Running(_) => self.rearm(id),
            State::Stopping(ladder) => match (hook, answer) {
                // It has been told; it gets the rest of its time before it gets the signal too.
                (Hook::Stop, Ok(())) => ladder.rung = Rung::Told,
                (Hook::Stop, Err(_)) => self.ask(id, out),
                _ => self.tell(id, out),
            },
            State::Clearing(clearing) => {
                let outcome = clearing.outcome.clone();
                match hook == Hook::AfterStop {
                    true => self.clear(id, Hook::OnFailure, outcome, out),
                    false => self.ended(id, outcome, out),
                }
            }
            State::Initial
            | State::Delay { .. }
            | State::Spawning { .. }
            | State::Started(_)
            | State::Backoff { .. }
            | State::Finished
            | State::FinishedFailed { .. } => {}
        }
    }

    /// The run of `id` and all its processes are gone: its last hooks run.
    pub(super) fn run_over(&mut self, id: ServiceId, outcome: Outcome, out: &mut Vec<Action>) {
        // What it said of itself was true of that run.
        let service = &mut self.services[id];
        (service.reloading, service.says) = (false, None);
        self.clear(id, Hook::AfterStop, outcome, out);
    }

    fn clear(&mut self, id: ServiceId, first: Hook, outcome: Outcome, out: &mut Vec<Action>) {
        if matches!(self.phase, Phase::Killing(_)) {
            return self.ended(id, outcome, out);
        }
        let failure = match &outcome {
            Outcome::Failure(reason) if self.phase.is_up() => Some(reason),
            Outcome::Failure(_) | Outcome::Success | Outcome::Stopped | Outcome::Renewed | Outcome::GivenUp(_) => None,
        };
        let after_stop = Some(Hook::AfterStop).filter(|hook| *hook == first);
        let on_failure = failure.map(|_| Hook::OnFailure);
        for hook in [after_stop, on_failure].into_iter().flatten() {
            if let Some(until) = self.start_hook_because(id, hook, failure, out) {
                return self.set_state(id, State::Clearing(Clearing { hook, outcome, until }));
            }
        }
        self.ended(id, outcome, out);
    }
}
