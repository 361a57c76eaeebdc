//! The fake world around the supervisor: it carries out actions on scripted processes and reports what comes of it, in
//! order, on a clock that jumps from one moment of interest to the next. The same services, scripts and signals give the
//! same run, always.

use crate::checker::Checker;
use crate::script::{Answer, OnStop, Said, Script, Svc, spawn_error};
use horust::model::{Exit, Hook, HookId, Mono, Plan, ProbeId, RunId, ServiceId, Settings, Signal};
use horust::supervisor::{Action, Command, Event, Report, StopCause, Supervisor, Target};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Something that will happen.
#[derive(Clone, Debug)]
enum Coming {
    /// The supervisor learns of it.
    Told(Event),
    Execs(RunId),
    LeaderEnds(RunId, Exit),
    HelperEnds(RunId, usize),
    HookEnds(HookId, Result<(), String>),
}

/// The processes of one run.
#[derive(Clone, Debug)]
struct Run {
    script: Script,
    leader: bool,
    executed: bool,
    /// Which helpers are alive.
    helpers: Vec<bool>,
    /// The whole tree has had SIGKILL: whoever is found later gets it too.
    killing: bool,
}

pub struct World {
    pub supervisor: Supervisor,
    pub plan: Plan,
    pub now: Mono,
    /// All actions, and when.
    pub log: Vec<(Mono, Action)>,
    /// The code of the last action.
    pub exit: Option<u8>,
    pub steps: usize,
    scripts: Vec<Vec<Script>>,
    /// By name: for services of a plan that is about to be adopted.
    new_scripts: BTreeMap<String, Vec<Script>>,
    runs: BTreeMap<RunId, Run>,
    /// Hooks that are running.
    running_hooks: BTreeSet<HookId>,
    coming: BTreeMap<(Mono, u64), Coming>,
    sequence: u64,
    /// Milliseconds from a fact to its event.
    latency: u64,
    checker: Checker,
}

impl World {
    /// These services, at the moment before their start.
    pub fn new(services: Vec<Svc>) -> World {
        World::with(services, Settings::default(), 1, 0)
    }

    /// A world that has just been booted.
    pub fn up(services: Vec<Svc>) -> World {
        let mut world = World::new(services);
        world.boot();
        world
    }

    pub fn with(services: Vec<Svc>, settings: Settings, seed: u64, latency: u64) -> World {
        let scripts = services.iter().map(|svc| svc.scripts.clone()).collect();
        let plan = plan(services, settings);
        World {
            supervisor: Supervisor::new(&plan, seed),
            now: Mono(0),
            log: Vec::new(),
            exit: None,
            steps: 0,
            scripts,
            new_scripts: BTreeMap::new(),
            runs: BTreeMap::new(),
            running_hooks: BTreeSet::new(),
            coming: BTreeMap::new(),
            sequence: 0,
            latency,
            checker: Checker::new(&plan),
            plan,
        }
    }

    pub fn boot(&mut self) {
        self.tell(Event::Boot);
    }

    /// The configuration has been read again: ids in it are places in this list.
    pub fn reload(&mut self, services: Vec<Svc>) -> &mut World {
        self.new_scripts.extend(services.iter().map(|svc| (svc.spec.name.clone(), svc.scripts.clone())));
        let read = Arc::new(plan(services, self.plan.settings.clone()));
        self.tell(Event::Loaded(read));
        self
    }

    /// The id of a service, if there is one of this name.
    pub fn find(&self, name: &str) -> Option<ServiceId> {
        self.plan.iter().find(|(_, spec)| spec.name == name).map(|(id, _)| id)
    }

    pub fn signal(&mut self, signal: Signal) {
        self.tell(Event::Signalled(signal));
    }

    /// A process that would not die does now: its disk is there again, say.
    pub fn release(&mut self, id: RunId) -> &mut World {
        self.later(0, Coming::LeaderEnds(id, Exit::Signal(Signal::KILL)));
        self
    }

    /// Somebody asks for something by hand.
    pub fn command(&mut self, command: Command) -> &mut World {
        self.tell(Event::Commanded(command));
        self
    }

    /// Lets the supervisor take one step, now.
    pub fn tell(&mut self, event: Event) {
        let mut actions = Vec::new();
        self.checker.event(self.now, &event);
        self.supervisor.step(self.now, event, &mut actions);
        self.steps += 1;
        assert_eq!(self.supervisor.check(), Ok(()));
        for action in actions {
            self.log.push((self.now, action.clone()));
            self.carry_out(action);
        }
        self.checker.settled(&self.supervisor, |id| self.runs.keys().any(|run| run.service == id));
    }

    /// Jumps to the next moment at which anything happens, unless that is later than `end`. Facts come before
    /// deadlines, as they do in Horust.
    pub fn next(&mut self, end: Mono) -> bool {
        let fact = self.coming.first_key_value().map(|((at, _), _)| *at);
        let deadline = self.supervisor.next_deadline();
        let Some(at) = fact.into_iter().chain(deadline).min().filter(|at| *at <= end) else { return false };
        if self.exit.is_some() {
            return false;
        }
        self.now = self.now.max(at);
        if fact != Some(at) {
            self.tell(Event::Tick);
        } else if let Some((_, coming)) = self.coming.pop_first() {
            self.happen(coming);
        }
        true
    }

    /// Until this many milliseconds after the beginning.
    pub fn until(&mut self, ms: u64) -> &mut World {
        let end = Mono(ms * 1_000_000);
        while self.next(end) {}
        self.now = self.now.max(end);
        self
    }

    /// Until Horust ends; returns its code.
    #[track_caller]
    pub fn end(&mut self) -> u8 {
        let most = self.steps + 100_000;
        while self.steps < most && self.next(Mono(u64::MAX)) {}
        self.exit.unwrap_or_else(|| panic!("no end: {:?}", self.supervisor.snapshot()))
    }

    fn carry_out(&mut self, action: Action) {
        self.checker.action(&action, |id| self.runs.keys().any(|run| run.service == id));
        match action {
            Action::Spawn(run) => self.spawn(run),
            Action::Signal { run, signal, to } => self.deliver(run, signal, to),
            Action::StartProbe(probe) => self.probe(probe),
            Action::StartHook(id, _) => self.hook(id),
            Action::CancelHook(id) => {
                // It may have ended, and nobody has heard of it yet.
                self.later(0, Coming::HookEnds(id, Err("killed".into())));
            }
            Action::Adopt(plan) => self.adopt(&plan),
            Action::CancelProbe(_) | Action::Load | Action::Report(_) => {}
            Action::Exit(code) => {
                assert_eq!(self.exit, None, "one end is enough");
                self.exit = Some(code);
            }
        }
    }

    fn adopt(&mut self, plan: &Plan) {
        self.scripts.resize(plan.services.len(), vec![]);
        for (id, spec) in plan.iter() {
            if let Some(scripts) = self.new_scripts.get(&spec.name) {
                self.scripts[id.index()].clone_from(scripts);
            }
        }
        self.plan = plan.clone();
    }

    fn later(&mut self, ms: u64, coming: Coming) {
        let at = Mono(self.now.0.saturating_add(ms * 1_000_000));
        self.sequence += 1;
        self.coming.insert((at, self.sequence), coming);
    }

    fn spawn(&mut self, id: RunId) {
        let script = self.script(id);
        let after = script.spawn_ms;
        let helpers = vec![false; script.helpers.len()];
        self.runs.insert(id, Run { script, leader: true, executed: false, helpers, killing: false });
        self.later(after, Coming::Execs(id));
    }

    fn script(&self, run: RunId) -> Script {
        let scripts = &self.scripts[run.service.index()];
        let starts = self.supervisor.status(run.service).map_or(run.generation, |status| status.starts);
        scripts[(starts as usize - 1).min(scripts.len() - 1)].clone()
    }

    fn hook(&mut self, id: HookId) {
        assert!(self.running_hooks.insert(id), "{id:?} runs once");
        let script = self.script(id.run);
        let ends = script.hooks.iter().find(|(hook, _)| *hook == id.hook).map_or(Answer::Pass(0), |(_, ends)| *ends);
        match ends {
            Answer::Pass(after) => self.later(after, Coming::HookEnds(id, Ok(()))),
            Answer::Fail(after) => self.later(after, Coming::HookEnds(id, Err("scripted".into()))),
            Answer::Never => {}
        }
    }

    fn hook_ends(&mut self, id: HookId, answer: Result<(), String>) {
        // It may have been killed before.
        if self.running_hooks.remove(&id) {
            self.later(self.latency, Coming::Told(Event::HookEnded(id, answer)));
        }
    }

    fn happen(&mut self, coming: Coming) {
        match coming {
            Coming::Told(event) => self.tell(event),
            Coming::Execs(id) => self.exec(id),
            Coming::LeaderEnds(id, exit) => self.leader_ends(id, exit),
            Coming::HelperEnds(id, nth) => self.helper_ends(id, nth),
            Coming::HookEnds(id, answer) => self.hook_ends(id, answer),
        }
    }

    fn exec(&mut self, id: RunId) {
        // Killed before its exec: nobody hears of an exec then.
        let Some(run) = self.runs.get_mut(&id).filter(|run| run.leader) else { return };
        let fact = match run.script.spawn_error {
            Some(code) => {
                self.runs.remove(&id);
                Event::SpawnFailed(id, spawn_error(code))
            }
            None => {
                run.executed = true;
                run.helpers.fill(true);
                let script = run.script.clone();
                if let Some((after, exit)) = script.ends {
                    self.later(after, Coming::LeaderEnds(id, exit));
                }
                for (after, said) in script.says {
                    let event = match said {
                        Said::Notice(notice) => Event::Notified(id, notice),
                        Said::Sign(sign) => Event::Signed(id, sign),
                    };
                    self.later(after + self.latency, Coming::Told(event));
                }
                Event::Spawned(id)
            }
        };
        self.later(self.latency, Coming::Told(fact));
    }

    fn leader_ends(&mut self, id: RunId, exit: Exit) {
        let Some(run) = self.runs.get_mut(&id).filter(|run| run.leader) else { return };
        run.leader = false;
        let left = run.helpers.contains(&true);
        let (killing, helpers) = (run.killing, run.helpers.len());
        if !left {
            self.runs.remove(&id);
        } else if killing {
            (0..helpers).for_each(|nth| self.later(0, Coming::HelperEnds(id, nth)));
        }
        self.later(self.latency, Coming::Told(Event::Exited { run: id, exit, left }));
    }

    fn helper_ends(&mut self, id: RunId, nth: usize) {
        let Some(run) = self.runs.get_mut(&id).filter(|run| run.helpers[nth]) else { return };
        run.helpers[nth] = false;
        if !run.leader && !run.helpers.contains(&true) {
            self.runs.remove(&id);
            self.later(self.latency, Coming::Told(Event::TreeEmpty(id)));
        }
    }

    fn deliver(&mut self, id: RunId, signal: Signal, to: Target) {
        let Some(run) = self.runs.get_mut(&id) else { return };
        run.killing |= signal == Signal::KILL && to == Target::Tree;
        let run = run.clone();
        if to != Target::Strays && run.leader && !(signal == Signal::KILL && run.script.unkillable) {
            // Before its exec a process has no handlers yet.
            let on_stop = if run.executed { run.script.on_stop } else { OnStop::Dies(0) };
            if let Some((after, exit)) = reaction(signal, on_stop) {
                self.later(after, Coming::LeaderEnds(id, exit));
            }
        }
        for (nth, helper) in run.script.helpers.iter().enumerate().filter(|(nth, _)| run.helpers[*nth]) {
            let hit = match to {
                Target::Leader => false,
                Target::Group => !helper.stray,
                Target::Strays => helper.stray,
                Target::Tree => true,
            };
            if let Some((after, _)) = reaction(signal, helper.on_stop).filter(|_| hit) {
                self.later(after, Coming::HelperEnds(id, nth));
            }
        }
    }

    fn probe(&mut self, probe: ProbeId) {
        let Some(run) = self.runs.get(&probe.run) else { return };
        let nth = (probe.round as usize - 1).min(run.script.answers.len() - 1);
        let (after, answer) = match run.script.answers[nth] {
            Answer::Pass(after) => (after, Ok(())),
            Answer::Fail(after) => (after, Err("scripted".to_owned())),
            Answer::Never => return,
        };
        self.later(after + self.latency, Coming::Told(Event::Probed(probe, answer)));
    }
}

fn plan(services: Vec<Svc>, settings: Settings) -> Plan {
    Plan { services: services.into_iter().map(|svc| Arc::new(svc.spec)).collect(), listed: None, settings }
}

fn reaction(signal: Signal, on_stop: OnStop) -> Option<(u64, Exit)> {
    match (signal, on_stop) {
        (Signal::KILL, _) => Some((0, Exit::Signal(signal))),
        (Signal::TERM | Signal::INT | Signal::QUIT, OnStop::Dies(after)) => Some((after, Exit::Signal(signal))),
        (Signal::TERM | Signal::INT | Signal::QUIT, OnStop::Exits(after, code)) => Some((after, Exit::Code(code))),
        _ => None,
    }
}

/// What tests ask.
impl World {
    pub fn state(&self, id: u32) -> &'static str {
        self.supervisor.status(ServiceId(id)).map_or("gone", |status| status.state)
    }

    fn times<T>(&self, pick: impl Fn(&Action) -> Option<T>) -> Vec<(u64, T)> {
        self.log.iter().filter_map(|(at, action)| Some((at.0 / 1_000_000, pick(action)?))).collect()
    }

    /// When the runs of this service were ordered, in milliseconds.
    pub fn spawns(&self, id: u32) -> Vec<u64> {
        let pick = |action: &Action| matches!(action, Action::Spawn(run) if run.service.0 == id).then_some(());
        self.times(pick).into_iter().map(|(at, ())| at).collect()
    }

    /// When which hooks of this service began.
    pub fn hooks(&self, id: u32) -> Vec<(u64, Hook)> {
        let pick = |action: &Action| match action {
            Action::StartHook(hook, _) if hook.run.service.0 == id => Some(hook.hook),
            _ => None,
        };
        self.times(pick)
    }

    /// The services in the order of their runs.
    pub fn spawn_order(&self) -> Vec<u32> {
        let pick = |action: &Action| if let Action::Spawn(run) = action { Some(run.service.0) } else { None };
        self.times(pick).into_iter().map(|(_, id)| id).collect()
    }

    /// The services in the order in which they were asked to stop.
    pub fn stop_order(&self) -> Vec<u32> {
        let stops = self.reports().into_iter().filter_map(|(_, report)| match report {
            Report::Stopping(run, StopCause::Shutdown) => Some(run.service.0),
            _ => None,
        });
        stops.collect()
    }

    /// What was sent to this service, and when.
    pub fn signals(&self, id: u32) -> Vec<(u64, Signal, Target)> {
        let pick = |action: &Action| match action {
            Action::Signal { run, signal, to } if run.service.0 == id => Some((*signal, *to)),
            _ => None,
        };
        self.times(pick).into_iter().map(|(at, (signal, to))| (at, signal, to)).collect()
    }

    pub fn reports(&self) -> Vec<(u64, Report)> {
        self.times(|action| if let Action::Report(report) = action { Some(report.clone()) } else { None })
    }

    #[track_caller]
    pub fn assert_reported(&self, at: u64, report: &Report) {
        assert!(self.reports().contains(&(at, report.clone())), "no {report:?} at {at} in {:#?}", self.reports());
    }

    /// Services with a process that is alive.
    pub fn alive(&self) -> Vec<ServiceId> {
        self.runs.keys().map(|run| run.service).collect()
    }
}

/// The n-th run of a service.
pub fn run(service: u32, generation: u32) -> RunId {
    RunId { service: ServiceId(service), generation }
}
