//! A second opinion: follows the supervisor's actions from outside, in their order, and holds them to what users were
//! promised. It shares no code with the supervisor.

use horust::model::{Condition, Hook, HookId, Kind, Need, Plan, RunId, ServiceId};
use horust::supervisor::{Action, Command, Report, Status, StopCause};
use std::collections::BTreeSet;

/// What is known of one service from the outside.
#[derive(Clone, Debug, Default)]
struct Seen {
    generation: u32,
    started: bool,
    ready: bool,
    finished: bool,
    failed: bool,
    /// By hand: that it is over counts for nobody.
    stopped: bool,
    /// It would not die, and was given up as such.
    abandoned: bool,
    /// The last run whose `before-start` has passed.
    prepared: u32,
    /// The last run whose `after-stop` has begun.
    cleared: u32,
}

#[derive(Clone, Debug)]
pub struct Checker {
    plan: Plan,
    seen: Vec<Seen>,
    /// For each service, all that must have stopped before it.
    stop_before: Vec<BTreeSet<ServiceId>>,
    stopping: bool,
    killing: bool,
    /// Somebody has asked for something by hand.
    commanded: bool,
}

impl Checker {
    pub fn new(plan: &Plan) -> Checker {
        Checker {
            plan: plan.clone(),
            seen: vec![Seen::default(); plan.services.len()],
            stop_before: stop_before(plan),
            stopping: false,
            killing: false,
            commanded: false,
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
            Action::StartHook(hook, _) => self.hook_starts(*hook, alive),
            Action::StartProbe(_) | Action::CancelProbe(_) | Action::CancelHook(_) => {}
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
        for need in self.plan.services[id.index()].start_after.iter().filter(|need| need.required) {
            assert!(self.is_met(*need), "{run} starts before {need:?}");
        }
        let spec = &self.plan.services[id.index()];
        let (prepared, cleared) = (self.seen[id.index()].prepared, self.seen[id.index()].cleared);
        if spec.hook(Hook::BeforeStart).is_some() {
            assert_eq!(prepared, run.generation, "{run} starts after its before-start");
        }
        if spec.hook(Hook::AfterStop).is_some() {
            assert_eq!(cleared, run.generation - 1, "{run} starts after what is done after the last one");
        }
        let commanded = self.commanded;
        let seen = &mut self.seen[id.index()];
        assert!(run.generation > seen.generation, "{run}: runs are counted");
        assert!(commanded || !(seen.finished || seen.failed), "{run}: what is over stays so");
        let abandoned = seen.abandoned;
        *seen = Seen { generation: run.generation, abandoned, prepared, cleared, ..Seen::default() };
    }

    /// `before-start` of this run has passed.
    pub fn prepared(&mut self, run: RunId) {
        self.seen[run.service.index()].prepared = run.generation;
    }

    fn hook_starts(&mut self, HookId { run, hook }: HookId, alive: impl Fn(ServiceId) -> bool) {
        assert!(!self.killing, "{run}: no {hook} while everything is killed");
        let seen = &mut self.seen[run.service.index()];
        if let Hook::AfterStop | Hook::OnFailure = hook {
            assert!(!alive(run.service), "{run}: {hook} while it still lives");
        }
        if hook == Hook::AfterStop {
            seen.cleared = run.generation;
        }
        if hook == Hook::BeforeStart {
            assert!(!self.stopping, "{run}: no {hook} during a shutdown");
        }
    }

    fn is_met(&self, need: Need) -> bool {
        let seen = &self.seen[need.service.index()];
        let daemon = self.plan.services[need.service.index()].kind == Kind::Daemon;
        let finished = seen.finished && !seen.stopped;
        match need.condition {
            Condition::Started => seen.started || finished,
            Condition::Ready => (seen.ready && daemon) || finished,
            Condition::Healthy => seen.ready,
            Condition::Completed => finished || seen.failed,
            Condition::CompletedSuccessfully => finished,
            Condition::Failed => seen.failed,
        }
    }

    /// Somebody asks for something.
    pub fn command(&mut self, command: Command) {
        self.commanded = true;
        match command {
            Command::Stop(id) => {
                if let Some(seen) = self.seen.get_mut(id.index()) {
                    seen.stopped |= !(seen.finished || seen.failed);
                }
            }
            Command::Start(id) | Command::Restart(id) => {
                self.seen.get_mut(id.index()).into_iter().for_each(|seen| seen.stopped = false);
            }
            Command::Signal(..) | Command::Shutdown => {}
        }
    }

    fn reported(&mut self, report: &Report, alive: impl Fn(ServiceId) -> bool) {
        match report {
            Report::Started(run) => self.seen[run.service.index()].started = true,
            Report::Ready(run, _) => self.seen[run.service.index()].ready = true,
            Report::Ended(run, _) => self.not_up(run.service),
            Report::Stopping(run, cause) => {
                self.not_up(run.service);
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
            Report::Finished(id) | Report::NotNeeded(id, _) => self.seen[id.index()].finished = true,
            Report::GaveUp(id, _) => {
                self.not_up(*id);
                self.seen[id.index()].failed = true;
            }
            Report::Unkillable(run) => self.seen[run.service.index()].abandoned = true,
            Report::Shutdown(_) => self.stopping = true,
            Report::KillAll(_) => self.killing = true,
            Report::Bug(what, run) => panic!("{run}: {what}"),
            Report::Restarting(_, _, None)
            | Report::Stopped(..)
            | Report::Throttled(_)
            | Report::Unhealthy(..)
            | Report::Recovered(_)
            | Report::NotReadyYet(..)
            | Report::TooLate(..)
            | Report::HookFailed(..)
            | Report::Killing(..)
            | Report::IgnoredSignal(_) => {}
        }
    }

    fn not_up(&mut self, id: ServiceId) {
        let seen = &mut self.seen[id.index()];
        (seen.started, seen.ready) = (false, false);
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
            let gone =
                |need: &&Need| status[need.service.index()].state == "FinishedFailed" && need.is_harmed_by_failure();
            let failed = spec.start_after.iter().find(gone);
            assert!(!waits || failed.is_none(), "{id:?} waits for {failed:?}, which has given up");
        }
    }
}

/// The reverse of the start order, and `shutdown-after`, through any number of services between.
fn stop_before(plan: &Plan) -> Vec<BTreeSet<ServiceId>> {
    let mut before: Vec<BTreeSet<ServiceId>> = plan.services.iter().map(|_| BTreeSet::new()).collect();
    for (id, spec) in plan.ids().zip(&plan.services) {
        before[id.index()].extend(&spec.shutdown_after);
        for need in &spec.start_after {
            before[need.service.index()].insert(id);
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
