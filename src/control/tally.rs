//! What is counted while Horust runs, for `/metrics`. The runtime has the tally and counts what passes through it
//! anyway; here is only what is counted and how, and nothing of how it is shown.

use crate::model::{Exit, Mono, Plan, ProbeId, ServiceId};
use crate::supervisor::{Action, Event, Report};
use std::collections::HashMap;
use std::time::Duration;

/// Everything that the runtime counts.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// By service, as far as something has happened to any.
    services: Vec<ServiceTally>,
    /// The probes that are under way.
    asked: HashMap<ProbeId, Mono>,
    /// How long the runtime has taken each time that it had something to do.
    pub steps: Histogram<5>,
}

/// What is counted of one service.
#[derive(Clone, Debug, Default)]
pub struct ServiceTally {
    /// Ends of its runs, by [`End`].
    pub exits: [u32; End::ALL.len()],
    /// Rounds of probes that have failed.
    pub probe_failures: u32,
    /// How long its last start took, from the spawn until it was ready.
    pub start: Option<Duration>,
    /// How long its probes take, if it has any.
    pub probes: Option<Box<Histogram<6>>>,
}

/// How a run can end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With exit code 0.
    Success,
    /// With another one.
    Code,
    /// By a signal.
    Signal,
    /// For want of memory.
    OutOfMemory,
    /// Before it began: its program could not be executed.
    Spawn,
}

impl End {
    /// All of them, in the order in which they are counted.
    pub const ALL: [End; 5] = [End::Success, End::Code, End::Signal, End::OutOfMemory, End::Spawn];

    /// The name in the metrics.
    pub fn name(self) -> &'static str {
        match self {
            End::Success => "success",
            End::Code => "code",
            End::Signal => "signal",
            End::OutOfMemory => "oom",
            End::Spawn => "spawn",
        }
    }

    fn of(exit: Exit) -> End {
        match exit {
            Exit::Code(0) => End::Success,
            Exit::Code(_) => End::Code,
            Exit::Signal(_) => End::Signal,
            Exit::OutOfMemory(_) => End::OutOfMemory,
        }
    }
}

/// Durations, by how long they were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Histogram<const N: usize> {
    /// How many were no longer than each bound, and longer than the one before.
    counts: [u64; N],
    /// All of them, the longer ones included.
    pub count: u64,
    /// Their sum.
    pub sum: Duration,
}

impl<const N: usize> Default for Histogram<N> {
    fn default() -> Self {
        Histogram { counts: [0; N], count: 0, sum: Duration::ZERO }
    }
}

impl<const N: usize> Histogram<N> {
    /// The bounds: powers of ten, the last of which is ten seconds.
    pub fn bounds() -> impl Iterator<Item = Duration> {
        (0..N).rev().map(|steps| Duration::from_secs(10) / 10_u32.saturating_pow(u32::try_from(steps).unwrap_or(9)))
    }

    /// One more.
    pub fn add(&mut self, duration: Duration) {
        let at = Self::bounds().position(|bound| duration <= bound);
        if let Some(count) = at.and_then(|at| self.counts.get_mut(at)) {
            *count = count.wrapping_add(1);
        }
        self.count = self.count.wrapping_add(1);
        self.sum = self.sum.saturating_add(duration);
    }

    /// Each bound, and how many were no longer than that.
    pub fn up_to(&self) -> impl Iterator<Item = (Duration, u64)> {
        let mut all = 0_u64;
        Self::bounds().zip(self.counts).map(move |(bound, count)| {
            all = all.wrapping_add(count);
            (bound, all)
        })
    }
}

impl Tally {
    /// What was counted of a service, if anything.
    pub fn service(&self, id: ServiceId) -> Option<&ServiceTally> {
        self.services.get(id.index())
    }

    fn of(&mut self, id: ServiceId) -> Option<&mut ServiceTally> {
        if self.services.len() <= id.index() {
            self.services.resize_with(id.index().saturating_add(1), ServiceTally::default);
        }
        self.services.get_mut(id.index())
    }

    /// The ids mean services of this plan from now on: what was counted of another one that had the id is forgotten.
    pub fn rename(&mut self, old: &Plan, new: &Plan) {
        for (id, spec) in new.iter() {
            let same = old.get(id).is_some_and(|old| old.name == spec.name);
            if let Some(service) = self.services.get_mut(id.index()).filter(|_| !same) {
                *service = ServiceTally::default();
            }
        }
    }

    /// Something has happened.
    pub fn happened(&mut self, now: Mono, event: &Event) {
        match event {
            Event::Exited { run, exit, .. } => self.ended(run.service, End::of(*exit)),
            Event::SpawnFailed(run, _) => self.ended(run.service, End::Spawn),
            Event::Probed(id, answer) => {
                let Some(since) = self.asked.remove(id) else { return };
                if let Some(service) = self.of(id.run.service) {
                    service.probe_failures = service.probe_failures.wrapping_add(answer.is_err().into());
                    service.probes.get_or_insert_default().add(now.since(since));
                }
            }
            _ => {}
        }
    }

    fn ended(&mut self, id: ServiceId, end: End) {
        if let Some(count) = self.of(id).and_then(|service| service.exits.get_mut(end as usize)) {
            *count = count.wrapping_add(1);
        }
    }

    /// Something is about to be done.
    pub fn ordered(&mut self, now: Mono, action: &Action) {
        match action {
            Action::StartProbe(id) => drop(self.asked.insert(*id, now)),
            Action::CancelProbe(id) => drop(self.asked.remove(id)),
            Action::Report(Report::Ready(run, took)) => {
                if let Some(service) = self.of(run.service) {
                    service.start = Some(*took);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::model::RunId;

    #[test]
    fn durations_are_counted_by_their_length() {
        let mut histogram = Histogram::<3>::default();
        for ms in [1, 100, 101, 10_000, 10_001] {
            histogram.add(Duration::from_millis(ms));
        }
        let seen: Vec<(f64, u64)> = histogram.up_to().map(|(bound, count)| (bound.as_secs_f64(), count)).collect();
        assert_eq!(seen, [(0.1, 2), (1.0, 3), (10.0, 4)]);
        assert_eq!((histogram.count, histogram.sum.as_millis()), (5, 20_203));
    }

    #[test]
    fn a_probe_is_timed_from_order_to_answer_and_a_cancelled_one_is_not() {
        let run = RunId { service: ServiceId(2), generation: 1 };
        let id = |round| ProbeId { run, round, probe: 0, ready: false };
        let mut tally = Tally::default();
        tally.ordered(Mono(0), &Action::StartProbe(id(1)));
        tally.ordered(Mono(0), &Action::StartProbe(id(2)));
        tally.ordered(Mono(1), &Action::CancelProbe(id(2)));
        tally.happened(Mono(5_000_000), &Event::Probed(id(1), Err("no".to_owned())));
        tally.happened(Mono(9_000_000), &Event::Probed(id(2), Ok(())));
        let service = tally.service(ServiceId(2)).unwrap();
        assert_eq!(service.probe_failures, 1);
        let probes = service.probes.as_ref().unwrap();
        assert_eq!((probes.count, probes.sum), (1, Duration::from_millis(5)));
        assert!(tally.asked.is_empty());
        assert!(tally.service(ServiceId(3)).is_none());
    }
}
