//! The life cycle of one service: the canonical account.
//!
//! ```text
//! Initial ─gate open─► Delay ─start-delay─► Preparing ─before-start─► Spawning ─exec─► Started ─ready─► Running
//!    ▲                                          │                         │               │               │
//!    │                                          └─hook failed─────────────┴─spawn failed──┴───────exit────┤
//!    │                                                                                                    ▼
//!    └─ Backoff ◄─ by the restart policy ◄─ Clearing: after-stop, on-failure ◄─ tree is empty, or Stopping until it is
//!                              └──► Finished | FinishedFailed
//! ```
//!
//! * A service starts when it is wanted and its gate is open: of everything in its `start-after` the condition is true.
//!   What can't come true any more is decided at once: the service gives up, or is not needed.
//! * It is Running when its readiness says so: by default as soon as its program has been executed.
//! * A run has ended when its whole process tree is gone. If the main process leaves others behind, they are stopped by
//!   the same ladder as a service that is asked to stop: its stop signal, `wait`, SIGKILL.
//! * A failure (exit code, signal, failed spawn or hook, late start, bad health) is counted and followed by another run
//!   after a delay, or by FinishedFailed once `attempts` are used up. A run that was Running for `reset-after` wipes the
//!   count.
//! * A stop that Horust asked for is no failure.
//! * What even SIGKILL does not end is given up, and can't be started again before the last of it has gone: there is never a
//!   second run beside it.
//! * States without their hook are skipped.
//!
//! What a user wants (`wanted`, `stop_asked`) and what is (`state`) are separate. Each variant of `State` carries what is
//! true in that state only. A fact about an older run is dropped before it comes here.

use super::depend::{Gate, Never};
use super::event::{Action, Cause, Reason, Report, StopCause};
use super::restart::{Next, is_success};
use super::state::State;
use super::{Supervisor, never};
use crate::canary::{self, Canary};
use crate::limits;
use crate::model::{Exit, FailureStrategy, Hook, RunId, ServiceId, ServiceSpec};

/// How a run has ended, in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// By itself, and well.
    Success,
    /// By itself, and not well; or its start failed.
    Failure(Reason),
    /// Horust stopped it for good.
    Stopped,
    /// Horust stopped it to run it again.
    Renewed,
    /// It takes no part any more: no restart.
    GivenUp(Reason),
}

impl Outcome {
    /// Whether the restart policy decides what follows, or another run does.
    pub(super) fn goes_on(&self) -> bool {
        match self {
            Outcome::Success | Outcome::Failure(_) | Outcome::Renewed => true,
            Outcome::Stopped | Outcome::GivenUp(_) => false,
        }
    }
}

impl Supervisor {
    /// The one place where a state changes.
    pub(super) fn set_state(&mut self, id: ServiceId, state: State) {
        let now = self.now;
        let service = &mut self.services[id];
        let (was, is) = (service.state.is_active(), state.is_active());
        service.first.note(&state, service.spec.kind, service.wanted, now);
        if service.state.is_live() && !state.is_live() {
            self.dirty.extend(service.holds.drain(..));
        }
        self.dirty.extend(service.leaves().then_some(id));
        service.state = state;
        service.since = now;
        match (was, is) {
            (false, true) => self.active = self.active.saturating_add(1),
            (true, false) => self.active = self.active.saturating_sub(1),
            (true, true) | (false, false) => {}
        }
        self.rearm(id);
        self.touch_neighbours(id);
    }

    /// The deadline follows the state, always.
    pub(super) fn rearm(&mut self, id: ServiceId) {
        self.timers.arm(id, self.services[id].state.deadline());
    }

    /// Something near `id` has changed: may it start, must it stop?
    pub(super) fn reconsider(&mut self, id: ServiceId, out: &mut Vec<Action>) {
        match self.services.get(id) {
            None => return,
            Some(service) if service.leaves() && self.phase.is_up() => return self.leave_in_turn(id, out),
            Some(_) => {}
        }
        if let Some(cause) = self.services[id].doom.take() {
            self.die_with(id, cause, out);
        }
        if !self.phase.is_up() {
            return self.stop_in_turn(id, out);
        }
        self.renew_in_turn(id, out);
        let service = &self.services[id];
        if service.wanted && service.state.awaits_start() {
            let gate = self.start_gate(id);
            self.note_wait(id, gate);
            match gate {
                Gate::Open if self.services[id].state == State::Initial => self.begin(id, out),
                // Its `start-delay` or backoff has to pass first.
                Gate::Open | Gate::Shut(_) => {}
                Gate::Never(never) => self.never_starts(id, never, out),
            }
        }
    }

    fn note_wait(&mut self, id: ServiceId, gate: Gate) {
        let (now, service) = (self.now, &mut self.services[id]);
        let needed = if let Gate::Shut(need) = gate { Some(need.service) } else { None };
        service.first.waits(now, needed);
    }

    fn never_starts(&mut self, id: ServiceId, never: Never, out: &mut Vec<Action>) {
        match never {
            Never::Failed(needed) => self.give_up(id, Reason::Dependency(needed), out),
            Never::Over(needed) => self.give_up(id, Reason::DependencyOver(needed), out),
            Never::Unneeded(needed) => {
                out.push(Action::Report(Report::NotNeeded(id, needed)));
                self.set_state(id, State::Finished);
            }
        }
    }

    fn die_with(&mut self, id: ServiceId, cause: ServiceId, out: &mut Vec<Action>) {
        let service = &self.services[id];
        match service.state {
            State::Preparing { .. }
            | State::Spawning { .. }
            | State::Started(_)
            | State::Running(_)
            | State::Stopping(_)
            | State::Clearing(_) => self.stop(id, StopCause::DiedWith(cause), out),
            State::Initial if !service.wanted => {}
            State::Initial | State::Delay { .. } | State::Backoff { .. } => {
                self.give_up(id, Reason::DiedWith(cause), out);
            }
            State::Finished | State::FinishedFailed { .. } => {}
        }
    }

    fn begin(&mut self, id: ServiceId, out: &mut Vec<Action>) {
        let delay = self.services[id].spec.start_delay;
        match delay.is_zero() {
            true => self.launch(id, out),
            false => self.set_state(id, State::Delay { until: self.now.after(delay) }),
        }
    }

    /// A new run of `id` begins.
    fn launch(&mut self, id: ServiceId, out: &mut Vec<Action>) {
        let now = self.now;
        let service = &mut self.services[id];
        service.generation = service.generation.saturating_add(1);
        service.started = now;
        (service.reloading, service.says, service.renew) = (false, None, None);
        match self.start_hook(id, Hook::BeforeStart, out) {
            Some(until) => self.set_state(id, State::Preparing { until }),
            None => self.spawn(id, out),
        }
    }

    /// What comes before the program is done. If what it needs has gone meanwhile, it is done again later.
    pub(super) fn prepared(&mut self, id: ServiceId, out: &mut Vec<Action>) {
        match self.start_gate(id) {
            _ if !self.phase.is_up() => self.run_over(id, Outcome::Stopped, out),
            Gate::Open => self.spawn(id, out),
            Gate::Shut(_) if canary::sings(Canary::ShutGate) => self.spawn(id, out),
            Gate::Shut(_) | Gate::Never(_) => self.run_over(id, Outcome::Renewed, out),
        }
    }

    fn spawn(&mut self, id: ServiceId, out: &mut Vec<Action>) {
        let service = &self.services[id];
        let late = service.spec.start_timeout.map(|timeout| self.now.after(timeout));
        out.push(Action::Spawn(service.run(id)));
        if service.generation == 2 && canary::sings(Canary::DoubleStart) {
            out.push(Action::Spawn(service.run(id)));
        }
        self.set_state(id, State::Spawning { late });
    }

    /// A deadline of `id` has come.
    pub(super) fn on_deadline(&mut self, id: ServiceId, out: &mut Vec<Action>) {
        match self.services[id].state {
            State::Delay { .. } => match self.start_gate(id) {
                Gate::Open => self.launch(id, out),
                // What it needs has gone while it waited.
                Gate::Shut(_) | Gate::Never(_) => self.await_gate(id),
            },
            State::Backoff { .. } => self.await_gate(id),
            State::Spawning { .. } | State::Started(_) | State::Running(_) => self.on_run_deadline(id, out),
            State::Stopping(_) => self.climb(id, out),
            State::Preparing { .. } | State::Clearing(_) => self.on_hook_deadline(id, out),
            State::Initial | State::Finished | State::FinishedFailed { .. } => {
                never!("a deadline without a reason", self.services[id].run(id), out);
            }
        }
    }

    pub(super) fn await_gate(&mut self, id: ServiceId) {
        self.set_state(id, State::Initial);
        self.dirty.push_back(id);
    }

    pub(super) fn on_exited(&mut self, run: RunId, exit: Exit, left: bool, out: &mut Vec<Action>) {
        if run.generation.is_multiple_of(3) && canary::sings(Canary::LostExit) {
            return;
        }
        if !self.is_current(run) {
            if !left {
                self.vanish(run, out);
            }
            return;
        }
        let id = run.service;
        self.services[id].last_exit = Some(exit);
        match &self.services[id].state {
            State::Stopping(_) => self.on_exited_stopping(id, exit, left, out),
            State::Spawning { .. } | State::Started(_) | State::Running(_) => {
                out.push(Action::Report(Report::Ended(run, exit)));
                self.cancel_probes(id, out);
                self.cancel_hook(id, out);
                self.wipe_streak(id);
                match left {
                    true => self.stop_leftovers(id, exit, out),
                    false => self.run_over(id, outcome_of(exit, &self.services[id].spec), out),
                }
            }
            State::Initial
            | State::Delay { .. }
            | State::Preparing { .. }
            | State::Clearing(_)
            | State::Backoff { .. }
            | State::Finished
            | State::FinishedFailed { .. } => never!("an exit without a run", run, out),
        }
    }

    /// A run that was Running for long enough wipes the count of failures. Looked at when it ends: no timer is needed.
    pub(super) fn wipe_streak(&mut self, id: ServiceId) {
        let (now, service) = (self.now, &mut self.services[id]);
        if let State::Running(up) = &service.state
            && now.since(up.since) >= service.spec.restart.reset_after
        {
            service.streak.failures = 0;
        }
    }

    /// The run of `id`, all its processes and its hooks are over: what now?
    pub(super) fn ended(&mut self, id: ServiceId, outcome: Outcome, out: &mut Vec<Action>) {
        if !self.phase.is_up() {
            // Whatever ends now was told to, by us or by whoever told us.
            return self.finish(id, out);
        }
        if self.services[id].leaves() && outcome != Outcome::GivenUp(Reason::Unkillable) {
            // However it ended: nobody wants it any more.
            return self.finish(id, out);
        }
        let noise = self.noise();
        let service = &mut self.services[id];
        let lasted = self.now.since(service.started);
        let policy = &service.spec.restart;
        let (next, failure) = match outcome {
            Outcome::Stopped => return self.finish(id, out),
            Outcome::Renewed => return self.await_gate(id),
            Outcome::GivenUp(reason) => return self.give_up(id, reason, out),
            Outcome::Success => (service.streak.after_success(policy), None),
            Outcome::Failure(reason) if service.spec.failure.shuts_down_at_once() => {
                return self.give_up(id, reason, out);
            }
            Outcome::Failure(reason) => (service.streak.after_failure(policy, noise), Some(reason)),
        };
        let Next::Again(mut delay) = next else {
            return match failure {
                None => self.finish(id, out),
                Some(reason) => self.give_up(id, reason, out),
            };
        };
        if service.streak.throttled(policy, lasted) {
            delay = delay.max(limits::THROTTLE_RUN.saturating_sub(lasted));
            if service.streak.quick == limits::THROTTLE_COUNT {
                out.push(Action::Report(Report::Throttled(id)));
            }
        }
        let reported = failure.clone().map(|reason| (reason, service.streak.failures));
        out.push(Action::Report(Report::Restarting(id, delay, reported)));
        if failure.is_some() {
            self.failed_for_now(id);
        }
        match delay.is_zero() {
            true => self.await_gate(id),
            false => {
                self.set_state(id, State::Backoff { until: self.now.after(delay), failure });
                // What it needs may have given up while it ran: then it waits for nothing.
                self.dirty.push_back(id);
            }
        }
    }

    pub(super) fn finish(&mut self, id: ServiceId, out: &mut Vec<Action>) {
        out.push(Action::Report(Report::Finished(id)));
        self.set_state(id, State::Finished);
    }

    /// `id` has given up; its failure strategy acts, and those that need it are told.
    pub(super) fn give_up(&mut self, id: ServiceId, reason: Reason, out: &mut Vec<Action>) {
        out.push(Action::Report(Report::GaveUp(id, reason.clone())));
        let code = reason.code();
        self.set_state(id, State::FinishedFailed { reason });
        if self.services[id].leaves() {
            return;
        }
        let spec = &self.services[id].spec;
        let (strategy, required) = (spec.failure.strategy, spec.required);
        self.doom_mortals(id);
        self.act_on_dependents(id, strategy);
        if required || strategy == FailureStrategy::Shutdown {
            self.begin_shutdown(Cause::Service(id, code), out);
        }
    }

    /// `id` has failed and will be run again. (A shutdown at each failure does not come here: then it has given up.)
    fn failed_for_now(&mut self, id: ServiceId) {
        let failure = &self.services[id].spec.failure;
        // Those that are to run again once this one is ready again would else hear of it never.
        if failure.every_failure || failure.strategy == FailureStrategy::RestartDependents {
            self.act_on_dependents(id, failure.strategy);
        }
    }
}

/// What the end of a main process means by itself.
pub fn outcome_of(exit: Exit, spec: &ServiceSpec) -> Outcome {
    match is_success(exit, &spec.failure.codes) {
        true => Outcome::Success,
        false => Outcome::Failure(Reason::Exit(exit)),
    }
}
