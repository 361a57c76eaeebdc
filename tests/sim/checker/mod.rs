//! A second opinion: follows what the supervisor is told and what it orders, in their order and from outside, and holds it
//! to what users were promised. It shares no code with the supervisor.

mod restarts;
mod why;

use horust::model::{
    Condition, Exit, Hook, HookId, Kind, Mono, Need, Plan, ProbeId, Readiness, RunId, ServiceId, ServiceSpec, Sign,
    Signal,
};
use horust::supervisor::{Action, Command, Event, Reason, Report, Status, StopCause, Supervisor, Target};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What is known of one service from the outside.
#[derive(Clone, Debug, Default)]
struct Seen {
    generation: u32,
    /// The latest run of which anything has begun, if only a hook.
    begun: u32,
    /// Its program was ordered, and nobody has told that all of it is gone.
    program: bool,
    /// How its main process ended.
    leader_over: Option<Exit>,
    started: bool,
    /// Since when it is ready.
    ready: Option<Mono>,
    /// As many rounds of its health checks in a row as are asked for have passed since then, or have made it ready.
    well: bool,
    passes: u32,
    /// What that was before the configuration was read again, which gives up the round under way.
    passes_before: u32,
    sick: bool,
    finished: bool,
    failed: Option<Reason>,
    /// By hand: that it is over counts for nobody.
    stopped: bool,
    /// It would not die, and was given up as such.
    abandoned: bool,
    /// ... and nobody has told that it has gone since.
    remains: bool,
    /// When it began to be stopped.
    stopping: Option<Mono>,
    /// The last run whose `before-start` has passed.
    prepared: u32,
    /// The last run whose `after-stop` has begun.
    cleared: u32,
    /// The last run in which its keys have changed: it may have begun without a hook that it has now.
    changed: u32,
    /// A reload has removed it. These must have stopped before it does.
    leaves: Option<BTreeSet<ServiceId>>,
    hook: Option<HookId>,
    signs: BTreeSet<Sign>,
    probes: BTreeSet<ProbeId>,
    restarts: restarts::Restarts,
}

/// What only a reload changes.
#[derive(Debug)]
struct Fixed {
    plan: Plan,
    /// For each service, all that must have stopped before it.
    stop_before: Vec<BTreeSet<ServiceId>>,
}

#[derive(Clone, Debug)]
pub struct Checker {
    fixed: Arc<Fixed>,
    now: Mono,
    seen: Vec<Seen>,
    stopping: bool,
    killing: bool,
    over: bool,
    step: Step,
}

/// What is only of interest while one event is dealt with.
#[derive(Clone, Debug, Default)]
struct Step {
    /// What somebody has asked for, to be answered at once.
    asked: Option<Command>,
    /// ... and whether its program ran then.
    ran: bool,
    signalled: Vec<RunId>,
    /// The signal that Horust has received, and whether everything was being stopped by then.
    received: Option<Signal>,
    was_stopping: bool,
    /// How often something was done that answers a request.
    loads: usize,
    ignored: usize,
    shutdowns: usize,
}

impl Checker {
    pub fn new(plan: &Plan) -> Checker {
        Checker {
            fixed: Arc::new(Fixed { plan: plan.clone(), stop_before: stop_before(plan, &|_| false) }),
            now: Mono(0),
            seen: vec![Seen::default(); plan.services.len()],
            stopping: false,
            killing: false,
            over: false,
            step: Step::default(),
        }
    }

    /// What the supervisor is about to be told.
    pub fn event(&mut self, now: Mono, event: &Event) {
        self.now = self.now.max(now);
        let received = match event {
            Event::Signalled(signal) => Some(*signal),
            _ => None,
        };
        self.step = Step { received, was_stopping: self.stopping || self.over, ..Step::default() };
        match event {
            Event::Commanded(command) => self.command(*command),
            Event::Exited { run, exit, left } => {
                if let Some(seen) = self.current(*run) {
                    seen.leader_over = Some(*exit);
                    seen.program = *left;
                }
            }
            Event::TreeEmpty(run) | Event::SpawnFailed(run, _) => {
                self.current(*run).into_iter().for_each(|seen| seen.program = false);
            }
            Event::Probed(id, answer) => {
                let health = self.fixed.plan.services.get(id.run.service.index()).and_then(|spec| spec.health.as_ref());
                if let Some(seen) = self.seen.get_mut(id.run.service.index())
                    && seen.probes.remove(id)
                    && id.ready
                {
                    let passed = answer.is_ok() && seen.probes.is_empty();
                    seen.passes = if answer.is_ok() { seen.passes + u32::from(passed) } else { 0 };
                    seen.well |= health.is_some_and(|health| seen.passes >= health.rounds.success_threshold);
                }
            }
            Event::HookEnded(id, answer) => {
                if let Some(seen) = self.seen.get_mut(id.run.service.index())
                    && seen.hook == Some(*id)
                {
                    seen.hook = None;
                    if id.hook == Hook::BeforeStart && answer.is_ok() {
                        seen.prepared = id.run.generation;
                    }
                }
            }
            Event::Signed(run, sign) => self.current(*run).into_iter().for_each(|seen| seen.signs.extend([*sign])),
            Event::Notified(run, notice) if notice.ready => {
                self.current(*run).into_iter().for_each(|seen| seen.signs.extend([Sign::Notify]));
            }
            Event::Loaded(plan) => self.reload(plan),
            Event::Boot | Event::Tick | Event::Signalled(_) | Event::Spawned(_) | Event::Notified(..) => {}
        }
    }

    fn current(&mut self, run: RunId) -> Option<&mut Seen> {
        self.seen.get_mut(run.service.index()).filter(|seen| seen.generation == run.generation && seen.program)
    }

    /// Judges one action. `alive` tells whether a service truly has a process.
    pub fn action(&mut self, action: &Action, alive: impl Fn(ServiceId) -> bool) {
        let ignored = matches!(action, Action::Report(Report::IgnoredSignal(_)));
        assert!(!self.over || ignored, "nothing after the end: {action:?}");
        match action {
            Action::Spawn(run) => self.spawned(*run, alive),
            Action::Report(report) => self.reported(report, alive),
            Action::Signal { run, to, .. } => {
                let seen = &self.seen[run.service.index()];
                assert_eq!(run.generation, seen.generation, "{run}: signals go to the current run");
                assert!(seen.program, "{run}: no signals to what is known to be gone");
                self.step.signalled.extend((*to == Target::Leader).then_some(*run));
            }
            Action::StartHook(hook, _) => self.hook_starts(*hook, alive),
            Action::CancelHook(id) => {
                let was = self.seen[id.run.service.index()].hook.take();
                assert_eq!(was, Some(*id), "only a hook that runs is cancelled");
            }
            Action::StartProbe(id) => {
                let seen = &mut self.seen[id.run.service.index()];
                assert_eq!(id.run.generation, seen.generation, "{id:?}: the current run is asked");
                assert!(seen.program && seen.leader_over.is_none(), "{id:?}: who is gone is not asked");
                assert_eq!(id.ready, seen.ready.is_some(), "{id:?}: asked in its own time");
                assert!(seen.probes.insert(*id), "{id:?}: asked once");
            }
            Action::CancelProbe(id) => {
                let seen = &mut self.seen[id.run.service.index()];
                assert_eq!(id.run.generation, seen.generation, "{id:?}: of the current run");
                seen.probes.remove(id);
                seen.passes = 0;
            }
            Action::Adopt(plan) => self.adopt(plan),
            Action::Load => self.step.loads += 1,
            Action::Exit(_) => {
                let left = self.fixed.plan.ids().find(|id| {
                    let seen = &self.seen[id.index()];
                    !seen.abandoned && (seen.program || alive(*id))
                });
                assert_eq!(left, None, "Horust ends after its services");
                self.over = true;
            }
        }
    }

    fn spawned(&mut self, run: RunId, alive: impl Fn(ServiceId) -> bool) {
        let id = run.service;
        let seen = &self.seen[id.index()];
        assert!(!seen.program && !seen.remains && !alive(id), "{run}: at most one live run per service");
        assert!(!self.stopping, "{run}: nothing starts during a shutdown");
        assert!(seen.leaves.is_none(), "{run}: what was removed is not started");
        let spec = &self.fixed.plan.services[id.index()];
        for need in spec.start_after.iter().filter(|need| need.required) {
            assert!(self.is_met(*need), "{run} starts before {need:?}");
        }
        if spec.hook(Hook::BeforeStart).is_some() {
            assert_eq!(seen.prepared, run.generation, "{run} starts after its before-start");
        }
        if spec.hook(Hook::AfterStop).is_some() && !seen.abandoned && seen.changed + 1 < run.generation {
            assert_eq!(seen.cleared, run.generation - 1, "{run} starts after what is done after the last one");
        }
        assert_eq!(seen.hook, None, "{run} starts while a hook runs");
        assert!(run.generation > seen.generation, "{run}: runs are counted");
        let again = seen.restarts.may_begin_after_the_end();
        assert!(again || !(seen.finished || seen.failed.is_some()), "{run}: what is over stays so");
        let mut restarts = seen.restarts.clone();
        restarts.spawned(run, self.now);
        let Seen { prepared, cleared, changed, .. } = *seen;
        let generation = run.generation;
        let begun = generation;
        let fresh = Seen { generation, begun, program: true, prepared, cleared, changed, restarts, ..Seen::default() };
        self.seen[id.index()] = fresh;
    }

    fn hook_starts(&mut self, id: HookId, alive: impl Fn(ServiceId) -> bool) {
        let HookId { run, hook } = id;
        assert!(!self.killing, "{run}: no {hook} while everything is killed");
        let seen = &mut self.seen[run.service.index()];
        assert_eq!(seen.hook.replace(id), None, "{run}: one hook at a time");
        seen.begun = seen.begun.max(run.generation);
        if let Hook::AfterStop | Hook::OnFailure = hook {
            assert!(!alive(run.service), "{run}: {hook} while it still lives");
            assert!(!seen.program, "{run}: {hook} before all of it is gone");
        }
        if hook == Hook::AfterStop {
            seen.cleared = run.generation;
        }
        if hook == Hook::BeforeStart {
            assert!(!self.stopping, "{run}: no {hook} during a shutdown");
            assert!(!seen.program && !seen.remains, "{run}: {hook} while the last run lives");
        }
    }

    fn is_met(&self, need: Need) -> bool {
        let seen = &self.seen[need.service.index()];
        let spec = &self.fixed.plan.services[need.service.index()];
        let (finished, failed) = (seen.finished && !seen.stopped, seen.failed.is_some());
        match need.condition {
            Condition::Started => seen.started || finished,
            Condition::Ready => (seen.ready.is_some() && spec.kind == Kind::Daemon) || finished,
            Condition::Healthy => seen.ready.is_some() && seen.well && !seen.sick,
            Condition::Completed => finished || failed,
            Condition::CompletedSuccessfully => finished,
            Condition::Failed => failed,
        }
    }

    fn command(&mut self, command: Command) {
        let leaves = |id: ServiceId| self.seen.get(id.index()).is_some_and(|seen| seen.leaves.is_some());
        // To people, what a reload has removed is not there any more.
        if self.stopping || self.over || command.service().is_some_and(leaves) {
            return;
        }
        self.step.asked = Some(command);
        match command {
            Command::Stop(id) => {
                if let Some(seen) = self.seen.get_mut(id.index()) {
                    seen.stopped |= !(seen.finished || seen.failed.is_some());
                }
            }
            Command::Start(id) | Command::Restart(id) => self.started_by_hand(id),
            Command::Signal(id, _) => self.step.ran = self.seen.get(id.index()).is_some_and(|seen| seen.program),
            Command::Shutdown => {}
        }
    }

    /// What it can't start without may be started with it.
    fn started_by_hand(&mut self, id: ServiceId) {
        let mut wanted = vec![id];
        let mut known = BTreeSet::new();
        while let Some(id) = wanted.pop() {
            let Some(seen) = self.seen.get_mut(id.index()).filter(|_| known.insert(id)) else { continue };
            seen.restarts.excuse();
            if known.len() == 1 {
                seen.stopped = false;
            }
            let needs = &self.fixed.plan.services[id.index()].start_after;
            wanted.extend(needs.iter().filter(|need| need.required).map(|need| need.service));
        }
    }

    fn reported(&mut self, report: &Report, alive: impl Fn(ServiceId) -> bool) {
        let now = self.now;
        match report {
            Report::Started(run) => self.seen[run.service.index()].started = true,
            Report::Ready(run, _) => self.ready(*run),
            Report::Ended(run, _) => self.not_up(run.service),
            Report::Stopping(run, cause) => {
                self.seen[run.service.index()].stopping.get_or_insert(now);
                self.not_up(run.service);
                self.in_turn(*run, cause, alive);
            }
            Report::Killing(run, wait) => {
                let seen = &self.seen[run.service.index()];
                let begun = seen.stopping.unwrap_or(now);
                assert!(seen.leader_over.is_some() || now.since(begun) >= *wait, "{run} is killed before its time");
            }
            Report::Restarting(id, delay, failure) => self.restarting(*id, *delay, failure.as_ref()),
            Report::Finished(id) | Report::NotNeeded(id, _) => {
                // Who is told that it is not needed has been wanted again.
                self.seen[id.index()].stopped &= matches!(report, Report::Finished(_));
                self.not_up(*id);
                self.finishes(*id);
                self.seen[id.index()].finished = true;
            }
            Report::GaveUp(id, reason) => {
                self.not_up(*id);
                self.gives_up(*id, reason);
                self.seen[id.index()].failed = Some(reason.clone());
            }
            Report::Unkillable(run) => {
                let seen = &mut self.seen[run.service.index()];
                (seen.abandoned, seen.remains, seen.program) = (true, true, false);
            }
            Report::Vanished(run) => {
                let seen = &mut self.seen[run.service.index()];
                assert!(seen.remains && !alive(run.service), "{run} has gone, and is there");
                seen.remains = false;
            }
            Report::Unhealthy(run, _) => {
                let seen = &mut self.seen[run.service.index()];
                (seen.sick, seen.well) = (true, false);
            }
            Report::Recovered(run) => {
                let seen = &mut self.seen[run.service.index()];
                assert!(seen.passes > 0, "{run} is well again, and no check has passed");
                (seen.sick, seen.well) = (false, true);
            }
            Report::Shutdown(_) => {
                assert!(!self.stopping, "everything is stopped once");
                self.stopping = true;
                self.step.shutdowns += 1;
            }
            Report::IgnoredSignal(_) => self.step.ignored += 1,
            Report::KillAll(_) => self.killing = true,
            Report::Bug(what, run) => panic!("{run}: {what}"),
            Report::Stopped(..)
            | Report::Throttled(_)
            | Report::NotReadyYet(..)
            | Report::TooLate(..)
            | Report::HookFailed(..) => {}
        }
    }

    fn ready(&mut self, run: RunId) {
        let spec = &self.fixed.plan.services[run.service.index()];
        let seen = &mut self.seen[run.service.index()];
        assert!(seen.started && seen.leader_over.is_none(), "{run} is ready and does not run");
        for sign in spec.readiness.awaited() {
            assert!(seen.signs.contains(&sign), "{run} is ready without {sign:?}");
        }
        (seen.ready, seen.well, seen.sick) = (Some(self.now), spec.readiness == Readiness::Health, false);
        seen.passes = 0;
    }

    /// The configuration has been read again.
    fn reload(&mut self, read: &Plan) {
        if self.stopping || self.over {
            return;
        }
        for seen in &mut self.seen {
            (seen.leaves, seen.passes_before) = (None, seen.passes);
        }
        let fixed = Arc::clone(&self.fixed);
        let names: BTreeSet<&str> = read.iter().map(|(_, spec)| spec.name.as_str()).collect();
        let gone = fixed.plan.iter().filter(|(_, spec)| !names.contains(spec.name.as_str()));
        let leaving: BTreeSet<ServiceId> = gone.map(|(id, _)| id).collect();
        for (id, spec) in fixed.plan.iter() {
            let after = |other: &ServiceSpec| other.start_after.iter().any(|need| need.service == id);
            let dependents = fixed.plan.iter().filter(|(_, other)| after(other)).map(|(other, _)| other);
            let first = dependents.chain(spec.shutdown_after.iter().copied()).filter(|id| leaving.contains(id));
            if leaving.contains(&id) {
                // If it comes back, it begins anew.
                let seen = &mut self.seen[id.index()];
                seen.restarts.excuse();
                // As by hand, until it is wanted again.
                seen.stopped |= !(seen.finished || seen.failed.is_some());
                seen.leaves = Some(first.collect());
            }
        }
    }

    /// Ids mean the services of this plan.
    fn adopt(&mut self, plan: &Plan) {
        let mut mended = BTreeSet::new();
        self.seen.resize(plan.services.len(), Seen::default());
        for (id, spec) in plan.iter() {
            let seen = &mut self.seen[id.index()];
            match self.fixed.plan.services.get(id.index()) {
                Some(old) if old.name != spec.name => {
                    // Runs of who had the id before are counted on.
                    let (generation, begun) = (seen.generation, seen.begun);
                    *seen = Seen { generation, begun, changed: begun, ..Seen::default() };
                }
                Some(old) if old == spec => {}
                Some(_) | None => {
                    mended.insert(id);
                    let asked = |spec: &ServiceSpec| spec.health.as_ref().map(|health| health.rounds.probes.clone());
                    let before = self.fixed.plan.services.get(id.index()).and_then(|old| asked(old));
                    if before == asked(spec) {
                        seen.passes = seen.passes_before;
                    } else {
                        // What other checks have said counts no more.
                        seen.passes = 0;
                        if seen.sick || spec.health.is_none() {
                            (seen.well, seen.sick) = (false, false);
                        }
                    }
                    seen.changed = seen.begun;
                    // Other keys are a reason to try again.
                    seen.restarts.excuse();
                }
            }
        }
        self.excuse_who_failed_with(mended);
        let leaves = |id: ServiceId| self.seen[id.index()].leaves.is_some();
        let stop_before = stop_before(plan, &leaves);
        self.fixed = Arc::new(Fixed { plan: plan.clone(), stop_before });
    }

    /// Who has given up because of another one, which is tried again, is tried again with it.
    fn excuse_who_failed_with(&mut self, mut mended: BTreeSet<ServiceId>) {
        let mut more = true;
        while std::mem::take(&mut more) {
            for (id, seen) in (0..).map(ServiceId).zip(&mut self.seen) {
                let other = seen.failed.as_ref().and_then(Reason::mentions);
                if other.is_some_and(|other| mended.contains(&other)) && mended.insert(id) {
                    seen.restarts.excuse();
                    more = true;
                }
            }
        }
    }

    fn in_turn(&self, run: RunId, cause: &StopCause, alive: impl Fn(ServiceId) -> bool) {
        let leaves = self.seen[run.service.index()].leaves.as_ref();
        let in_order = match cause {
            StopCause::Shutdown => !self.killing,
            // What is only being prepared goes at once.
            StopCause::Asked => leaves.is_some() && alive(run.service),
            _ => false,
        };
        if in_order {
            let first = leaves.unwrap_or(&self.fixed.stop_before[run.service.index()]);
            let lives = |id: &ServiceId| {
                let seen = &self.seen[id.index()];
                !seen.abandoned && (seen.program || alive(*id))
            };
            let early = first.iter().find(|id| lives(id));
            assert_eq!(early, None, "{run} is stopped before what started after it");
        }
    }

    fn not_up(&mut self, id: ServiceId) {
        let now = self.now;
        let spec = &self.fixed.plan.services[id.index()];
        let seen = &mut self.seen[id.index()];
        if let Some(since) = seen.ready.take() {
            seen.restarts.was_ready_for(now.since(since), spec);
        }
        (seen.started, seen.well, seen.sick) = (false, false, false);
    }

    /// What readers may see after a step.
    pub fn settled(&mut self, supervisor: &Supervisor, alive: impl Fn(ServiceId) -> bool) {
        let status: Vec<Option<Status>> =
            (0..).map(ServiceId).take(self.seen.len()).map(|id| supervisor.status(id)).collect();
        for (seen, status) in self.seen.iter_mut().zip(&status) {
            let Some(status) = status else { continue };
            // What was over may be wanted again.
            seen.finished &= status.state == "Finished";
            seen.failed.take_if(|_| status.state != "FinishedFailed");
            seen.stopped &= !status.wanted;
        }
        self.nobody_waits_for_the_impossible(&status, alive);
        self.request_is_answered(&status);
        self.signal_is_answered_once();
        if !self.over {
            self.explained(supervisor, &status);
        }
    }

    fn nobody_waits_for_the_impossible(&self, status: &[Option<Status>], alive: impl Fn(ServiceId) -> bool) {
        for (id, spec) in self.fixed.plan.iter() {
            let own = status[id.index()].as_ref().unwrap_or_else(|| panic!("{id:?} is in the plan"));
            let waits = match own.state {
                "Initial" => own.wanted,
                "Starting" => !alive(id) && own.run.is_none(),
                "Failed" | "Success" => true,
                _ => false,
            };
            let has_failed =
                |id: ServiceId| status[id.index()].as_ref().is_some_and(|other| other.state == "FinishedFailed");
            let gone = |need: &&Need| has_failed(need.service) && need.is_harmed_by_failure();
            let failed = spec.start_after.iter().find(gone);
            assert!(!waits || failed.is_none(), "{id:?} waits for {failed:?}, which has given up");
        }
    }

    /// A wish has its effect in the step that takes it in.
    fn request_is_answered(&self, status: &[Option<Status>]) {
        let of = |id: ServiceId| status.get(id.index()).and_then(Option::as_ref);
        match self.step.asked {
            _ if self.stopping => {}
            Some(Command::Start(id) | Command::Restart(id)) => {
                let wanted = of(id).is_none_or(|status| status.wanted);
                assert!(wanted, "{id:?} was asked for and is not wanted");
            }
            Some(Command::Stop(id)) => {
                let Some(status) = of(id) else { return };
                let idle = ["InKilling", "Finished", "FinishedFailed"].contains(&status.state);
                assert!(idle, "{id:?} was to stop and is {}", status.state);
            }
            Some(Command::Signal(id, _)) => {
                let times = self.step.signalled.iter().filter(|run| run.service == id).count();
                assert!(times >= usize::from(self.step.ran), "{id:?} was to get a signal");
                // It may have to be stopped at the same moment.
                let stops = self.seen.get(id.index()).is_some_and(|seen| seen.stopping.is_some());
                assert!(times <= usize::from(self.step.ran) + usize::from(stops), "{id:?} was to get one signal");
            }
            Some(Command::Shutdown) => assert!(self.over, "everything was to stop"),
            None => {}
        }
    }

    /// Neither lost nor taken twice.
    fn signal_is_answered_once(&self) {
        let Step { asked, loads, ignored, shutdowns, received, was_stopping, .. } = self.step;
        let asks_to_load = received == Some(Signal::HUP);
        assert_eq!(loads, usize::from(asks_to_load && !was_stopping), "who asks for a reload gets one");
        assert_eq!(ignored, usize::from(asks_to_load && was_stopping), "who is not listened to is told so, once");
        let stops = matches!(received, Some(Signal::TERM | Signal::INT)) || asked == Some(Command::Shutdown);
        assert!(was_stopping || !stops || shutdowns == 1, "who asks for the end gets it, once");
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
