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
    /// The last run in which its keys have changed: it may have begun without a hook that it has now.
    changed: u32,
    /// A reload has removed it. These must have stopped before it does.
    leaves: Option<BTreeSet<ServiceId>>,
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
            stop_before: stop_before(plan, &|_| false),
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
            Action::Adopt(plan) => self.adopt(plan),
            Action::StartProbe(_) | Action::CancelProbe(_) | Action::CancelHook(_) | Action::Load => {}
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
        assert!(self.seen[id.index()].leaves.is_none(), "{run}: what was removed is not started");
        for need in self.plan.services[id.index()].start_after.iter().filter(|need| need.required) {
            assert!(self.is_met(*need), "{run} starts before {need:?}");
        }
        let spec = &self.plan.services[id.index()];
        let Seen { prepared, cleared, changed, .. } = self.seen[id.index()];
        if spec.hook(Hook::BeforeStart).is_some() {
            assert_eq!(prepared, run.generation, "{run} starts after its before-start");
        }
        if spec.hook(Hook::AfterStop).is_some() && changed + 1 < run.generation {
            assert_eq!(cleared, run.generation - 1, "{run} starts after what is done after the last one");
        }
        let commanded = self.commanded;
        let seen = &mut self.seen[id.index()];
        assert!(run.generation > seen.generation, "{run}: runs are counted");
        assert!(commanded || !(seen.finished || seen.failed), "{run}: what is over stays so");
        let abandoned = seen.abandoned;
        *seen = Seen { generation: run.generation, abandoned, prepared, cleared, changed, ..Seen::default() };
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

    /// The configuration has been read again.
    pub fn reload(&mut self, read: &Plan) {
        self.commanded = true;
        if self.stopping {
            return;
        }
        self.seen.iter_mut().for_each(|seen| seen.leaves = None);
        let names: BTreeSet<&str> = read.services.iter().map(|spec| spec.name.as_str()).collect();
        let leave = |id: &ServiceId| !names.contains(self.plan.services[id.index()].name.as_str());
        let leaving: BTreeSet<ServiceId> = self.plan.ids().filter(leave).collect();
        for id in self.plan.ids().collect::<Vec<_>>() {
            let dependents =
                self.plan.iter().filter(|(_, spec)| spec.start_after.iter().any(|need| need.service == id));
            let first: BTreeSet<ServiceId> = dependents
                .map(|(id, _)| id)
                .chain(self.plan.services[id.index()].shutdown_after.iter().copied())
                .filter(|id| leaving.contains(id))
                .collect();
            self.seen[id.index()].leaves = leaving.contains(&id).then_some(first);
        }
    }

    /// Ids mean the services of this plan.
    fn adopt(&mut self, plan: &Plan) {
        self.seen.resize(plan.services.len(), Seen::default());
        for (id, spec) in plan.iter() {
            let seen = &mut self.seen[id.index()];
            match self.plan.services.get(id.index()) {
                Some(old) if old.name != spec.name => {
                    // Runs of who had the id before are counted on.
                    let generation = seen.generation;
                    *seen = Seen { generation, changed: generation, ..Seen::default() };
                }
                Some(old) if old == spec => {}
                Some(_) | None => seen.changed = seen.generation,
            }
        }
        self.plan = plan.clone();
        let leaves = |id: ServiceId| self.seen[id.index()].leaves.is_some();
        self.stop_before = stop_before(&self.plan, &leaves);
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
                let leaves = self.seen[run.service.index()].leaves.as_ref();
                let in_order = match cause {
                    StopCause::Shutdown => !self.killing,
                    // What is only being prepared goes at once.
                    StopCause::Asked => leaves.is_some() && alive(run.service),
                    _ => false,
                };
                if in_order {
                    let first = leaves.unwrap_or(&self.stop_before[run.service.index()]);
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
    pub fn between_steps(&self, status: impl Fn(ServiceId) -> Option<Status>, alive: impl Fn(ServiceId) -> bool) {
        for (id, spec) in self.plan.iter() {
            let own = status(id).unwrap_or_else(|| panic!("{id:?} is in the plan"));
            let waits = match own.state {
                "Initial" => spec.autostart && own.wanted,
                "Starting" => !alive(id) && own.run.is_none(),
                "Failed" | "Success" => true,
                _ => false,
            };
            let has_failed = |id| status(id).is_some_and(|status| status.state == "FinishedFailed");
            let gone = |need: &&Need| has_failed(need.service) && need.is_harmed_by_failure();
            let failed = spec.start_after.iter().find(gone);
            assert!(!waits || failed.is_none(), "{id:?} waits for {failed:?}, which has given up");
        }
    }
}

/// The reverse of the start order, and `shutdown-after`, through any number of services between.
fn stop_before(plan: &Plan, leaves: &impl Fn(ServiceId) -> bool) -> Vec<BTreeSet<ServiceId>> {
    let mut before: Vec<BTreeSet<ServiceId>> = plan.services.iter().map(|_| BTreeSet::new()).collect();
    for (id, spec) in plan.iter().filter(|(id, _)| !leaves(*id)) {
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
