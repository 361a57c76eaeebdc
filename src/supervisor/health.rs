//! Probe rounds: when to ask, and what the answers mean. Who carries out a probe is not known here.

use super::Supervisor;
use super::event::{Action, Report, StopCause};
use super::state::State;
use crate::model::{Mono, OnUnhealthy, ProbeId, Rounds, ServiceId};

/// Rounds of probes for one run. A round passes when all probes pass, and fails when the first one fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probing {
    /// What is awaited.
    pub phase: Asking,
    /// Counts the rounds of this run.
    pub round: u32,
    /// Rounds in a row that have passed.
    pub passes: u32,
    /// Rounds in a row that have failed.
    pub failures: u32,
    /// What the rounds say so far.
    pub verdict: Verdict,
    /// Why the last failed round failed, and when.
    pub error: Option<(Mono, String)>,
}

/// What the rounds say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing yet.
    Unknown,
    /// As many rounds in a row have passed as are asked for, and no more have failed since than are forgiven.
    Healthy,
    /// More rounds in a row have failed than are forgiven.
    Unhealthy,
}

impl Verdict {
    /// A word for it.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Unknown => "unknown",
            Verdict::Healthy => "healthy",
            Verdict::Unhealthy => "unhealthy",
        }
    }
}

/// What is awaited of the rounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asking {
    /// Nothing.
    Off,
    /// The next round starts then.
    Resting(Mono),
    /// This many answers are awaited until then.
    Answers(u32, Mono),
}

impl Probing {
    /// Nothing is asked.
    pub fn off() -> Probing {
        Probing { phase: Asking::Off, round: 0, passes: 0, failures: 0, verdict: Verdict::Unknown, error: None }
    }

    /// The first round starts then.
    pub fn from(at: Mono) -> Probing {
        Probing { phase: Asking::Resting(at), ..Probing::off() }
    }

    /// As `from`, for a service whose health checks have just made it ready.
    pub fn healthy_from(at: Mono) -> Probing {
        Probing { verdict: Verdict::Healthy, ..Probing::from(at) }
    }

    /// The rounds are others from now on. A round that is under way is of no interest any more.
    pub fn adapt(&mut self, now: Mono, rounds: Option<&Rounds>, same_probes: bool) {
        let was_off = self.phase == Asking::Off;
        self.phase = match rounds {
            None => Asking::Off,
            Some(rounds) if was_off => Asking::Resting(now.after(rounds.initial_delay)),
            Some(_) => Asking::Resting(now),
        };
        if !same_probes {
            (self.passes, self.failures, self.error) = (0, 0, None);
            // What was well counts as such until something speaks against it.
            if rounds.is_none() || self.verdict == Verdict::Unhealthy {
                self.verdict = Verdict::Unknown;
            }
        }
    }

    /// What the rounds say so far.
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Why the last failed round failed, and when.
    pub fn error(&self) -> Option<&(Mono, String)> {
        self.error.as_ref()
    }

    /// Whether as many rounds in a row have passed as are asked for; so it is, too, if nothing is asked.
    pub fn has_passed(&self, rounds: Option<&Rounds>) -> bool {
        rounds.is_none_or(|rounds| self.passes >= rounds.success_threshold)
    }

    /// When something must be done.
    pub fn deadline(&self) -> Option<Mono> {
        match self.phase {
            Asking::Off => None,
            Asking::Resting(at) | Asking::Answers(_, at) => Some(at),
        }
    }
}

impl Supervisor {
    /// If a round is due, it begins; if the answers of one are overdue, it has failed.
    pub(super) fn on_probe_deadline(&mut self, id: ServiceId, out: &mut Vec<Action>) {
        let (now, ready) = (self.now, self.services[id].state.is_ready());
        let service = &mut self.services[id];
        let Some(probing) = service.state.probing() else { return };
        if probing.deadline().is_none_or(|at| at > now) {
            return;
        }
        match probing.phase {
            Asking::Off => {}
            Asking::Resting(_) => self.begin_round(id, out),
            Asking::Answers(..) => {
                let timeout = service.spec.rounds(ready).map_or_else(Default::default, |rounds| rounds.timeout);
                let why = format!("no answer within {}", humantime::format_duration(timeout));
                self.round_failed(id, why, out);
            }
        }
    }

    fn begin_round(&mut self, id: ServiceId, out: &mut Vec<Action>) {
        let now = self.now;
        let service = &mut self.services[id];
        let (run, ready) = (service.run(id), service.state.is_ready());
        let Some(rounds) = service.spec.rounds(ready) else { return };
        let count = u32::try_from(rounds.probes.len()).unwrap_or(u32::MAX);
        let Some(probing) = service.state.probing() else { return };
        probing.round = probing.round.wrapping_add(1);
        probing.phase = Asking::Answers(count, now.after(rounds.timeout));
        let round = probing.round;
        out.extend((0..count).map(|probe| Action::StartProbe(ProbeId { run, round, probe, ready })));
        self.rearm(id);
    }

    pub(super) fn on_probed(&mut self, probe: ProbeId, answer: Result<(), String>, out: &mut Vec<Action>) {
        let id = probe.run.service;
        if !self.is_current(probe.run) || probe.ready != self.services[id].state.is_ready() {
            return;
        }
        let Some(probing) = self.services[id].state.probing() else { return };
        let Asking::Answers(awaited, until) = probing.phase else { return };
        if probing.round != probe.round {
            return;
        }
        match answer {
            Err(why) => self.round_failed(id, why, out),
            Ok(()) if awaited > 1 => probing.phase = Asking::Answers(awaited.saturating_sub(1), until),
            Ok(()) => self.round_passed(id, out),
        }
    }

    fn round_passed(&mut self, id: ServiceId, out: &mut Vec<Action>) {
        let now = self.now;
        let service = &mut self.services[id];
        let (run, ready) = (service.run(id), service.state.is_ready());
        let Some(rounds) = service.spec.rounds(ready) else { return };
        let Some(probing) = service.state.probing() else { return };
        probing.failures = 0;
        probing.passes = probing.passes.saturating_add(1);
        probing.phase = Asking::Resting(now.after(rounds.interval));
        if !ready {
            self.rearm(id);
            return self.look_whether_ready(id, out);
        }
        if probing.has_passed(Some(rounds)) && probing.verdict != Verdict::Healthy {
            let recovered = std::mem::replace(&mut probing.verdict, Verdict::Healthy) == Verdict::Unhealthy;
            out.extend(recovered.then_some(Action::Report(Report::Recovered(run))));
            self.touch_neighbours(id);
        }
        self.rearm(id);
    }

    fn round_failed(&mut self, id: ServiceId, why: String, out: &mut Vec<Action>) {
        self.cancel_probes(id, out);
        let now = self.now;
        let service = &mut self.services[id];
        let (run, ready) = (service.run(id), service.state.is_ready());
        let Some(rounds) = service.spec.rounds(ready) else { return };
        let Some(probing) = service.state.probing() else { return };
        probing.passes = 0;
        probing.failures = probing.failures.saturating_add(1);
        probing.phase = Asking::Resting(now.after(rounds.interval));
        probing.error = Some((now, why.clone()));
        // Before it is ready a service can't be sick yet.
        let health = service.spec.health.as_ref().filter(|_| ready);
        let sick = health.filter(|health| probing.failures > health.max_failed);
        match sick.map(|health| health.on_unhealthy) {
            Some(OnUnhealthy::Restart) => {
                out.push(Action::Report(Report::Unhealthy(run, why.clone())));
                self.stop(id, StopCause::Unhealthy(why), out);
            }
            Some(OnUnhealthy::Report) if probing.verdict != Verdict::Unhealthy => {
                probing.verdict = Verdict::Unhealthy;
                out.push(Action::Report(Report::Unhealthy(run, why)));
                self.touch_neighbours(id);
                self.rearm(id);
            }
            Some(OnUnhealthy::Report) | None => self.rearm(id),
        }
    }

    /// The answers of the round under way, if any, are of no interest any more.
    pub(super) fn cancel_probes(&mut self, id: ServiceId, out: &mut Vec<Action>) {
        let service = &mut self.services[id];
        let (run, ready) = (service.run(id), service.state.is_ready());
        let count = service.spec.rounds(ready).map_or(0, |rounds| rounds.probes.len());
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let Some(probing) = service.state.probing() else { return };
        if let Asking::Answers(..) = probing.phase {
            let round = probing.round;
            out.extend((0..count).map(|probe| Action::CancelProbe(ProbeId { run, round, probe, ready })));
        }
    }
}

impl State {
    /// What the last round of probes that failed said.
    pub(super) fn probe_error(&self) -> Option<&str> {
        let probing = match self {
            State::Started(starting) => &starting.probing,
            State::Running(up) => &up.probing,
            State::Initial
            | State::Delay { .. }
            | State::Preparing { .. }
            | State::Clearing(_)
            | State::Spawning { .. }
            | State::Stopping(_)
            | State::Backoff { .. }
            | State::Finished
            | State::FinishedFailed { .. } => return None,
        };
        probing.error().map(|(_, why)| why.as_str())
    }

    /// What its health checks say. `None` unless it is ready.
    pub(super) fn verdict(&self) -> Option<Verdict> {
        match self {
            State::Running(up) => Some(up.probing.verdict),
            State::Initial
            | State::Delay { .. }
            | State::Preparing { .. }
            | State::Spawning { .. }
            | State::Started(_)
            | State::Stopping(_)
            | State::Clearing(_)
            | State::Backoff { .. }
            | State::Finished
            | State::FinishedFailed { .. } => None,
        }
    }
}
