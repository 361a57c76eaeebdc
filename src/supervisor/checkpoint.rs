//! All that a supervisor remembers, as plain data, so that a journal need not begin with the boot. Nothing is decided here.

use super::Supervisor;
use super::coded::{Coded, Writer};
use super::depend::Links;
use super::first::First;
use super::restart::Streak;
use super::services::{Member, Service};
use super::shutdown::Phase;
use super::state::State;
use crate::model::{Exit, Mono, Plan, RunId, ServiceId, ServiceSpec};
use std::sync::Arc;

/// What a supervisor remembers between two steps, beside its plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// The latest moment that it was told of.
    pub now: Mono,
    /// When services could start for the first time.
    pub boot: Mono,
    /// What the next jitter follows from.
    pub random: u64,
    /// What Horust as a whole is doing.
    pub phase: Phase,
    /// By id.
    pub services: Vec<Memory>,
}

/// What it remembers of one service.
#[derive(Clone, Debug, PartialEq)]
pub struct Memory {
    /// Whether it is part of the configuration.
    pub member: Member,
    /// Services that leave, and wait for the end of its run.
    pub holds: Vec<ServiceId>,
    /// The generation before its first run.
    pub born: u32,
    /// Whether it is to run.
    pub wanted: bool,
    /// It must stop as soon as its turn comes.
    pub stop_asked: bool,
    /// In a shutdown: it has stopped, and so has all that must stop before it.
    pub gone: bool,
    /// What it is doing.
    pub state: State,
    /// Since when.
    pub since: Mono,
    /// The current or the last run; generation 0 before the first.
    pub run: RunId,
    /// When that was ordered.
    pub started: Mono,
    /// Consecutive restarts after failure.
    pub failures: u32,
    /// Consecutive runs that ended at once.
    pub quick: u32,
    /// It is to run again once this one is there again.
    pub renew: Option<ServiceId>,
    /// Processes of its last run that would not die are still there.
    pub remains: bool,
    /// How its last run ended.
    pub last_exit: Option<Exit>,
    /// It says that it reads its configuration again.
    pub reloading: bool,
    /// What it says that it is doing.
    pub says: Option<String>,
    /// How it came up for the first time.
    pub first: First,
}

impl Supervisor {
    /// What it remembers now.
    pub fn checkpoint(&self) -> Checkpoint {
        let services = self.services.all().map(|(id, service)| service.memory(id)).collect();
        Checkpoint { now: self.now, boot: self.boot, random: self.random, phase: self.phase, services }
    }

    /// That as it is written, likewise.
    pub(super) fn note(&self, to: &mut Writer) {
        self.now.write(to);
        self.boot.write(to);
        self.random.write(to);
        self.phase.write(to);
        to.number(self.services.slots() as u64);
        self.services.all().for_each(|(id, service)| service.note(id, to));
    }

    /// A supervisor that goes on where another one with this plan was.
    pub fn resume(plan: &Plan, checkpoint: Checkpoint) -> Supervisor {
        let mut supervisor = Supervisor::new(plan, 0);
        supervisor.now = checkpoint.now;
        supervisor.boot = checkpoint.boot;
        supervisor.random = checkpoint.random;
        supervisor.phase = checkpoint.phase;
        for ((id, spec), memory) in (0..).map(ServiceId).zip(&plan.services).zip(checkpoint.services) {
            supervisor.active = supervisor.active.saturating_add(usize::from(memory.state.is_active()));
            supervisor.services[id] = Service::recall(spec, memory);
            supervisor.rearm(id);
        }
        // Nobody waits for what leaves.
        supervisor.links = Links::new(&supervisor.services);
        supervisor
    }
}

impl Service {
    fn memory(&self, id: ServiceId) -> Memory {
        // Without `..`: a new field that is forgotten here does not compile. A doom is acted on within its step.
        let Service {
            spec: _,
            ref member,
            ref holds,
            born,
            wanted,
            stop_asked,
            gone,
            doom: _,
            ref state,
            since,
            generation: _,
            started,
            streak: Streak { failures, quick },
            renew,
            remains,
            last_exit,
            reloading,
            ref says,
            first,
            noted: _,
        } = *self;
        let (state, says, run) = (state.clone(), says.clone(), self.run(id));
        Memory {
            member: member.clone(),
            holds: holds.clone(),
            born,
            wanted,
            stop_asked,
            gone,
            state,
            since,
            run,
            started,
            failures,
            quick,
            renew,
            remains,
            last_exit,
            reloading,
            says,
            first,
        }
    }

    /// As a [`Memory`] is written, without being one: a copy would cost more than all the rest. What is forgotten here, the simulation
    /// finds.
    pub(super) fn note(&self, id: ServiceId, to: &mut Writer) {
        self.member.write(to);
        self.holds.write(to);
        self.born.write(to);
        self.wanted.write(to);
        self.stop_asked.write(to);
        self.gone.write(to);
        self.state.write(to);
        self.since.write(to);
        self.run(id).write(to);
        self.started.write(to);
        self.streak.failures.write(to);
        self.streak.quick.write(to);
        self.renew.write(to);
        self.remains.write(to);
        self.last_exit.write(to);
        self.reloading.write(to);
        self.says.write(to);
    }

    fn recall(spec: &Arc<ServiceSpec>, memory: Memory) -> Service {
        Service {
            spec: Arc::clone(spec),
            member: memory.member,
            holds: memory.holds,
            born: memory.born,
            wanted: memory.wanted,
            stop_asked: memory.stop_asked,
            gone: memory.gone,
            doom: None,
            state: memory.state,
            since: memory.since,
            generation: memory.run.generation,
            started: memory.started,
            streak: Streak { failures: memory.failures, quick: memory.quick },
            renew: memory.renew,
            remains: memory.remains,
            last_exit: memory.last_exit,
            reloading: memory.reloading,
            says: memory.says,
            first: memory.first,
            noted: false,
        }
    }
}
