//! Probe rounds: when to ask, and what the answers mean. Who carries out a probe is not known here.

use super::Supervisor;
use super::event::{Action, Report, StopCause};
use super::state::State;
use crate::model::{Health, Mono, ProbeId, ServiceId, ServiceSpec};
use std::time::Duration;

/// Rounds of probes for one run. A round passes when all probes pass, and fails when the first one fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probing {
    phase: Phase,
    round: u32,
    passes: u32,
    failures: u32,
    healthy: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Off,
    /// The next round starts then.
    Resting(Mono),
    /// This many answers are awaited until then.
    Asking(u32, Mono),
}

impl Probing {
    /// Nothing is asked.
    pub fn off() -> Probing {
        Probing { phase: Phase::Off, round: 0, passes: 0, failures: 0, healthy: false }
    }

    /// The first round starts then.
    pub fn from(at: Mono) -> Probing {
        Probing { phase: Phase::Resting(at), ..Probing::off() }
    }

    /// As `from`, for a service whose checks have just made it ready.
    pub fn healthy_from(at: Mono) -> Probing {
        Probing { healthy: true, ..Probing::from(at) }
    }

    /// Whether the last rounds have passed, as many as are asked for.
    pub fn is_healthy(&self) -> bool {
        self.healthy
    }

    /// When something must be done.
    pub fn deadline(&self) -> Option<Mono> {
        match self.phase {
            Phase::Off => None,
            Phase::Resting(at) | Phase::Asking(_, at) => Some(at),
        }
    }
}

/// The rhythm of a service: its own, or the defaults for a readiness probe without health checks.
fn rhythm(spec: &ServiceSpec) -> (Duration, Duration, u32, u32) {
    let rhythm = |h: &Health| (h.interval, h.timeout, h.success_threshold, h.max_failed);
    spec.health.as_deref().map_or_else(|| rhythm(&Health::default()), rhythm)
}

impl Supervisor {
    /// A round is due, or the answers of one are overdue.
    pub(super) fn on_probe_deadline(&mut self, id: ServiceId, out: &mut Vec<Action>) {
        let (_, timeout, _, _) = rhythm(&self.services[id].spec);
        let Some(probing) = self.probing(id) else { return };
        match probing.phase {
            Phase::Off => {}
            Phase::Resting(_) => self.ask(id, out),
            Phase::Asking(..) => {
                let why = format!("no answer within {}", humantime::format_duration(timeout));
                self.round_failed(id, why, out);
            }
        }
    }

    fn ask(&mut self, id: ServiceId, out: &mut Vec<Action>) {
        let (now, run) = (self.now, self.services[id].run(id));
        let ready = matches!(self.services[id].state, State::Running { .. });
        let count = u32::try_from(self.services[id].spec.probes(ready).len()).unwrap_or(u32::MAX);
        let (_, timeout, _, _) = rhythm(&self.services[id].spec);
        let Some(probing) = self.probing(id) else { return };
        probing.round = probing.round.wrapping_add(1);
        probing.phase = Phase::Asking(count, now.after(timeout));
        let round = probing.round;
        out.extend((0..count).map(|probe| Action::StartProbe(ProbeId { run, round, probe, ready })));
        self.rearm(id);
    }

    pub(super) fn on_probed(&mut self, probe: ProbeId, answer: Result<(), String>, out: &mut Vec<Action>) {
        let id = probe.run.service;
        if !self.is_current(probe.run) || probe.ready != matches!(self.services[id].state, State::Running { .. }) {
            return;
        }
        let Some(probing) = self.probing(id) else { return };
        let Phase::Asking(awaited, until) = probing.phase else { return };
        if probing.round != probe.round {
            return;
        }
        match answer {
            Err(why) => self.round_failed(id, why, out),
            Ok(()) if awaited > 1 => probing.phase = Phase::Asking(awaited.saturating_sub(1), until),
            Ok(()) => self.round_passed(id, out),
        }
    }

    fn round_passed(&mut self, id: ServiceId, out: &mut Vec<Action>) {
        let (now, (interval, _, success_threshold, _)) = (self.now, rhythm(&self.services[id].spec));
        let Some(probing) = self.probing(id) else { return };
        probing.failures = 0;
        probing.passes = probing.passes.saturating_add(1);
        probing.phase = Phase::Resting(now.after(interval));
        let enough = probing.passes >= success_threshold;
        let news = enough && !probing.healthy;
        probing.healthy |= enough;
        match matches!(self.services[id].state, State::Started { .. }) && enough {
            true => self.ready(id, out),
            false => {
                self.rearm(id);
                if news {
                    self.touch_neighbours(id);
                }
            }
        }
    }

    fn round_failed(&mut self, id: ServiceId, why: String, out: &mut Vec<Action>) {
        self.cancel_probes(id, out);
        let (now, (interval, _, _, max_failed)) = (self.now, rhythm(&self.services[id].spec));
        let Some(probing) = self.probing(id) else { return };
        probing.passes = 0;
        probing.failures = probing.failures.saturating_add(1);
        probing.phase = Phase::Resting(now.after(interval));
        let too_many = probing.failures > max_failed;
        // Before it is ready a service can't be sick yet.
        if matches!(self.services[id].state, State::Running { .. }) && too_many {
            out.push(Action::Report(Report::Unhealthy(self.services[id].run(id), why.clone())));
            self.stop(id, StopCause::Unhealthy(why), out);
        } else {
            self.rearm(id);
        }
    }

    /// The answers of the round under way, if any, are of no interest any more.
    pub(super) fn cancel_probes(&mut self, id: ServiceId, out: &mut Vec<Action>) {
        let run = self.services[id].run(id);
        let ready = matches!(self.services[id].state, State::Running { .. });
        let count = u32::try_from(self.services[id].spec.probes(ready).len()).unwrap_or(u32::MAX);
        let Some(probing) = self.probing(id) else { return };
        if let Phase::Asking(..) = probing.phase {
            let round = probing.round;
            out.extend((0..count).map(|probe| Action::CancelProbe(ProbeId { run, round, probe, ready })));
        }
    }

    fn probing(&mut self, id: ServiceId) -> Option<&mut Probing> {
        match &mut self.services[id].state {
            State::Started { probing } | State::Running { probing, .. } => Some(probing),
            State::Initial
            | State::Delay { .. }
            | State::Spawning
            | State::Stopping(_)
            | State::Backoff { .. }
            | State::Finished
            | State::FinishedFailed { .. } => None,
        }
    }
}
