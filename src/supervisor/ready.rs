//! From the exec to being ready: what has to be seen first, how long that may take, and what a service says about itself.

use super::event::{Action, Notice, Reason, Report, SpawnError, StopCause, Watchdog};
use super::health::Probing;
use super::service::Outcome;
use super::state::{Starting, State, Up};
use super::{Supervisor, never};
use crate::limits;
use crate::model::{Hook, Kind, Mono, Readiness, Rounds, RunId, ServiceId, ServiceSpec, Sign};
use std::sync::Arc;
use std::time::Duration;

impl Supervisor {
    pub(super) fn on_spawned(&mut self, run: RunId, out: &mut Vec<Action>) {
        if !self.is_current(run) {
            return;
        }
        let id = run.service;
        match self.services[id].state {
            State::Spawning { late } => {
                out.push(Action::Report(Report::Started(run)));
                match self.services[id].spec.readiness {
                    Readiness::Exec => self.ready(id, out),
                    Readiness::Health | Readiness::Signs(_) => self.await_signs(id, late, out),
                }
            }
            State::Stopping(_) => {}
            State::Initial
            | State::Delay { .. }
            | State::Preparing { .. }
            | State::Started(_)
            | State::Running(_)
            | State::Clearing(_)
            | State::Backoff { .. }
            | State::Finished
            | State::FinishedFailed { .. } => never!("spawned twice", run, out),
        }
    }

    pub(super) fn on_spawn_failed(&mut self, run: RunId, error: SpawnError, out: &mut Vec<Action>) {
        if !self.is_current(run) {
            return;
        }
        match &self.services[run.service].state {
            State::Spawning { .. } => self.run_over(run.service, Outcome::Failure(Reason::Spawn(error)), out),
            State::Stopping(ladder) => {
                let outcome = ladder.outcome(&self.services[run.service].spec, None);
                self.run_over(run.service, outcome, out);
            }
            State::Initial
            | State::Delay { .. }
            | State::Preparing { .. }
            | State::Started(_)
            | State::Running(_)
            | State::Clearing(_)
            | State::Backoff { .. }
            | State::Finished
            | State::FinishedFailed { .. } => never!("a spawn failed after it had succeeded", run, out),
        }
    }

    fn await_signs(&mut self, id: ServiceId, late: Option<Mono>, out: &mut Vec<Action>) {
        let now = self.now;
        let (probing, delay) = match self.services[id].spec.rounds(false) {
            Some(rounds) => (Probing::from(now.after(rounds.initial_delay)), rounds.initial_delay),
            None => (Probing::off(), Duration::MAX),
        };
        // A start that may not take long speaks for itself in the end.
        let nag = late.is_none().then(|| now.after(limits::NOT_READY_NAG));
        self.set_state(id, State::Started(Starting { probing, given: Vec::new(), late, nag }));
        if delay.is_zero() {
            self.on_probe_deadline(id, out);
        }
    }

    /// The run has given one of the signs of being ready.
    pub(super) fn on_signed(&mut self, run: RunId, sign: Sign, out: &mut Vec<Action>) {
        if !self.is_current(run) {
            return;
        }
        if let State::Started(starting) = &mut self.services[run.service].state {
            if !starting.given.contains(&sign) {
                starting.given.push(sign);
            }
            self.look_whether_ready(run.service, out);
        }
    }

    /// Its keys have changed while it starts or runs, and it goes on: what it is held to is what they say now.
    pub(super) fn adapt(&mut self, id: ServiceId, old: &ServiceSpec, out: &mut Vec<Action>) {
        let now = self.now;
        let service = &mut self.services[id];
        let new = Arc::clone(&service.spec);
        let (started, ready) = (service.started, service.state.is_ready());
        if old.start_timeout != new.start_timeout {
            let late = new.start_timeout.map(|timeout| started.after(timeout).max(now));
            match &mut service.state {
                State::Spawning { late: at } => *at = late,
                State::Started(starting) => {
                    starting.late = late;
                    starting.nag = late.is_none().then(|| now.after(limits::NOT_READY_NAG));
                }
                State::Running(up) if new.kind == Kind::Oneshot => up.late = late,
                State::Running(_)
                | State::Initial
                | State::Delay { .. }
                | State::Preparing { .. }
                | State::Stopping(_)
                | State::Clearing(_)
                | State::Backoff { .. }
                | State::Finished
                | State::FinishedFailed { .. } => {}
            }
        }
        let (before, rounds) = (old.rounds(ready), new.rounds(ready));
        if before != rounds
            && let Some(probing) = service.state.probing()
        {
            let probes = |rounds: Option<&Rounds>| rounds.map(|rounds| rounds.probes.clone());
            probing.adapt(now, rounds, probes(before) == probes(rounds));
        }
        self.rearm(id);
        self.look_whether_ready(id, out);
    }

    /// It is ready once the last rounds have passed and all signs were given.
    pub(super) fn look_whether_ready(&mut self, id: ServiceId, out: &mut Vec<Action>) {
        let service = &self.services[id];
        let State::Started(starting) = &service.state else { return };
        let signed = service.spec.readiness.awaited().all(|sign| starting.given.contains(&sign));
        if signed && starting.probing.has_passed(service.spec.rounds(false)) {
            self.ready(id, out);
        }
    }

    /// The run is ready: from now on it is watched.
    fn ready(&mut self, id: ServiceId, out: &mut Vec<Action>) {
        self.cancel_probes(id, out);
        let (now, service) = (self.now, &mut self.services[id]);
        out.push(Action::Report(Report::Ready(service.run(id), now.since(service.started))));
        let spec = &service.spec;
        let probing = match &spec.health {
            None => Probing::off(),
            Some(health) if spec.readiness == Readiness::Health => {
                Probing::healthy_from(now.after(health.rounds.interval))
            }
            Some(health) => Probing::from(now.after(health.rounds.initial_delay)),
        };
        let watchdog = spec.watchdog.map(|every| (now.after(every), every));
        let oneshot = spec.kind == Kind::Oneshot;
        let late = service.state.patience().copied().filter(|_| oneshot);
        let hook = self.start_hook(id, Hook::AfterReady, out);
        self.set_state(id, State::Running(Up { since: now, probing, watchdog, late, hook }));
    }

    /// A deadline of a run has come that is not one of its probes.
    pub(super) fn on_run_deadline(&mut self, id: ServiceId, out: &mut Vec<Action>) {
        let (now, run) = (self.now, self.services[id].run(id));
        let service = &mut self.services[id];
        if service.state.patience().is_some_and(|late| *late <= now) {
            return self.too_late(id, out);
        }
        match &mut service.state {
            State::Started(starting) if starting.nag.is_some_and(|at| at <= now) => {
                starting.nag = None;
                out.push(Action::Report(Report::NotReadyYet(run, now.since(service.started))));
            }
            State::Running(Up { watchdog: Some((at, every)), .. }) if *at <= now => {
                let why = format!("no WATCHDOG=1 within {}", humantime::format_duration(*every));
                return self.bark(id, why, out);
            }
            State::Started(_)
            | State::Running(_)
            | State::Initial
            | State::Delay { .. }
            | State::Preparing { .. }
            | State::Spawning { .. }
            | State::Stopping(_)
            | State::Clearing(_)
            | State::Backoff { .. }
            | State::Finished
            | State::FinishedFailed { .. } => {}
        }
        if let State::Running(Up { hook: Some(at), .. }) = service.state
            && at <= now
        {
            self.on_hook_deadline(id, out);
        }
        self.on_probe_deadline(id, out);
        self.rearm(id);
    }

    /// Its start has taken longer than it may.
    fn too_late(&mut self, id: ServiceId, out: &mut Vec<Action>) {
        let service = &mut self.services[id];
        let timeout = humantime::format_duration(service.spec.start_timeout.unwrap_or_default());
        let what = if service.state.is_ready() { "finished" } else { "ready" };
        let missing =
            |sign: &Sign| matches!(&service.state, State::Started(starting) if !starting.given.contains(sign));
        let mut lacks: Vec<&str> = service.spec.readiness.awaited().filter(missing).map(Sign::missing).collect();
        lacks.extend(service.state.probe_error());
        let mut why = format!("not {what} within {timeout}");
        if !lacks.is_empty() {
            why = format!("{why}: {}", lacks.join("; "));
        }
        out.push(Action::Report(Report::TooLate(service.run(id), why.clone())));
        self.stop(id, StopCause::TooLate(why), out);
    }

    fn bark(&mut self, id: ServiceId, why: String, out: &mut Vec<Action>) {
        out.push(Action::Report(Report::Unhealthy(self.services[id].run(id), why.clone())));
        self.stop(id, StopCause::Unhealthy(why), out);
    }

    /// The run says something about itself (sd_notify(3)).
    pub(super) fn on_notified(&mut self, run: RunId, notice: Notice, out: &mut Vec<Action>) {
        if !self.is_current(run) {
            return;
        }
        let (now, id) = (self.now, run.service);
        let service = &mut self.services[id];
        service.reloading = notice.reloading || (service.reloading && !notice.ready);
        if let Some(status) = notice.status {
            service.says = Some(status).filter(|text| !text.is_empty());
        }
        if let State::Running(Up { watchdog: Some((at, every)), .. }) = &mut self.services[id].state {
            if let Some(new) = notice.watchdog_every {
                *every = new;
            }
            if notice.watchdog == Some(Watchdog::Alive) || notice.watchdog_every.is_some() {
                *at = now.after(*every);
                self.rearm(id);
            }
            if notice.watchdog == Some(Watchdog::Trigger) {
                self.bark(id, "it says WATCHDOG=trigger".to_owned(), out);
            }
        }
        if notice.ready {
            self.on_signed(run, Sign::Notify, out);
        }
        if notice.stopping && self.phase.is_up() {
            self.stops_itself(id, out);
        }
        // After that, for it may be the stop that takes longer.
        if let Some(more) = notice.extend {
            self.extend(id, now.after(more));
        }
    }

    /// It needs more time, for its start or its stop.
    fn extend(&mut self, id: ServiceId, until: Mono) {
        if let Some(deadline) = self.services[id].state.patience() {
            *deadline = (*deadline).max(until);
            self.rearm(id);
        }
    }
}
