//! A second opinion: follows the supervisor's actions from outside, in their order, and holds them to what users were
//! promised. It shares no code with the supervisor.

use horust::model::{Kind, Plan, RunId, ServiceId};
use horust::supervisor::{Action, Report, Status, StopCause};
use std::collections::BTreeSet;

/// What is known of one service from the outside.
#[derive(Clone, Debug, Default)]
struct Seen {
    generation: u32,
    ready: bool,
    finished: bool,
    /// It would not die, and was given up as such.
    abandoned: bool,
}

#[derive(Clone, Debug)]
pub struct Checker {
    plan: Plan,
    seen: Vec<Seen>,
    /// For each service, all that must have stopped before it.
    stop_before: Vec<BTreeSet<ServiceId>>,
    stopping: bool,
    killing: bool,
}

impl Checker {
    pub fn new(plan: &Plan) -> Checker {
        Checker {
            plan: plan.clone(),
            seen: vec![Seen::default(); plan.services.len()],
            stop_before: stop_before(plan),
            stopping: false,
            killing: false,
        }
    }

    /// Judges one action. `alive` tells whether a service has a process.
    pub fn action(&mut self, action: &Action, alive: impl Fn(ServiceId) -> bool) {
        match action {
            Action::Spawn(run) => self.spawned(*run, alive),
            Action::Report(report) => self.reported(report, alive),
            Action::Signal { run, .. } => {
                assert_eq!(run.generation, self.seen[run.service.index()].generation, "signals go to the current run");
            }
            Action::StartProbe(_) | Action::CancelProbe(_) => {}
            Action::Exit(_) => {
                let left = self.plan.ids().find(|id| alive(*id) && !self.seen[id.index()].abandoned);
                assert_eq!(left, None, "Horust ends after its services");
            }
        }
    }

    fn spawned(&mut self, run: RunId, alive: impl Fn(ServiceId) -> bool) {
        let id = run.service;
        assert!(!alive(id), "{run}: at most one live run per service");
        assert!(!self.stopping, "{run}: nothing starts during a shutdown");
        for needed in &self.plan.services[id.index()].start_after {
            let seen = &self.seen[needed.index()];
            let daemon = self.plan.services[needed.index()].kind == Kind::Daemon;
            assert!(seen.finished || (daemon && seen.ready), "{run} starts while {needed:?} is not ready");
        }
        let seen = &mut self.seen[id.index()];
        assert_eq!(run.generation, seen.generation + 1, "runs are counted one by one");
        assert!(!seen.finished, "{run}: what has finished stays so");
        seen.generation = run.generation;
    }

    fn reported(&mut self, report: &Report, alive: impl Fn(ServiceId) -> bool) {
        match report {
            Report::Ready(run, _) => self.seen[run.service.index()].ready = true,
            Report::Ended(run, _) => self.seen[run.service.index()].ready = false,
            Report::Stopping(run, cause) => {
                self.seen[run.service.index()].ready = false;
                if *cause == StopCause::Shutdown && !self.killing {
                    let first = &self.stop_before[run.service.index()];
                    let early = first.iter().find(|id| alive(**id) && !self.seen[id.index()].abandoned);
                    assert_eq!(early, None, "{run} is stopped before what started after it");
                }
            }
            Report::Restarting(id, _, Some((_, nth))) => {
                let attempts = self.plan.services[id.index()].restart.attempts;
                assert!(attempts == 0 || *nth <= attempts, "{id:?}: restart {nth} of {attempts}");
            }
            Report::Finished(id) => self.seen[id.index()].finished = true,
            Report::Unkillable(run) => self.seen[run.service.index()].abandoned = true,
            Report::Shutdown(_) => self.stopping = true,
            Report::KillAll(_) => self.killing = true,
            Report::Bug(what, run) => panic!("{run}: {what}"),
            Report::Started(_)
            | Report::Restarting(_, _, None)
            | Report::Throttled(_)
            | Report::GaveUp(..)
            | Report::Unhealthy(..)
            | Report::Killing(..)
            | Report::IgnoredSignal(_) => {}
        }
    }

    /// What readers may see after a step: nobody waits for something that has given up.
    pub fn between_steps(&self, status: &[Status], alive: impl Fn(ServiceId) -> bool) {
        for (id, spec) in self.plan.ids().zip(&self.plan.services) {
            let waits = match status[id.index()].state {
                "Initial" => spec.autostart,
                "Starting" => !alive(id) && status[id.index()].run.is_none(),
                "Failed" | "Success" => true,
                _ => false,
            };
            let failed = spec.start_after.iter().find(|needed| status[needed.index()].state == "FinishedFailed");
            assert!(!waits || failed.is_none(), "{id:?} waits for {failed:?}, which has given up");
        }
    }
}

/// The reverse of the start order, and `shutdown-after`, through any number of services between.
fn stop_before(plan: &Plan) -> Vec<BTreeSet<ServiceId>> {
    let mut before: Vec<BTreeSet<ServiceId>> = plan.services.iter().map(|_| BTreeSet::new()).collect();
    for (id, spec) in plan.ids().zip(&plan.services) {
        before[id.index()].extend(&spec.shutdown_after);
        for needed in &spec.start_after {
            before[needed.index()].insert(id);
        }
    }
    loop {
        let further: Vec<BTreeSet<ServiceId>> =
            before.iter().map(|first| first.iter().flat_map(|id| before[id.index()].clone()).collect()).collect();
        let known: usize = before.iter().map(BTreeSet::len).sum();
        before.iter_mut().zip(further).for_each(|(first, more)| first.extend(more));
        if known == before.iter().map(BTreeSet::len).sum::<usize>() {
            return before;
        }
    }
}
