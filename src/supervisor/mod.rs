//! The supervisor: a pure state machine. Events in, actions out, the time passed in. It does no I/O, knows no pids and
//! never waits, so that it can be simulated, replayed and proved. Start reading at [`service`].
#![deny(clippy::wildcard_enum_match_arm, clippy::arithmetic_side_effects)]
#![allow(
    clippy::indexing_slicing,
    reason = "only `Services` is indexed, by ids of the plan or checked by `is_current`"
)]

mod checkpoint;
mod coded;
mod command;
mod depend;
mod event;
mod explain;
mod first;
mod health;
mod hooks;
mod invariants;
mod journal;
mod ready;
mod reload;
mod restart;
mod service;
mod services;
mod shutdown;
mod state;
mod stop;
mod timers;

pub use checkpoint::{Checkpoint, Memory};
pub use depend::stop_turns;
pub use event::{
    Action, Cause, Command, Event, Notice, Reason, Report, SpawnError, Status, StopCause, Target, Watchdog,
};
pub use explain::{Link, Why};
pub use first::{First, Milestone};
pub use health::{Asking, Probing, Verdict};
pub use hooks::Clearing;
pub use invariants::Broken;
pub use journal::{Step, Story};
pub use reload::{Changed, Difference};
pub use service::Outcome;
pub use services::Member;
pub use shutdown::Phase;
pub use state::{Starting, State, Up};
pub use stop::{Ladder, Rung};

use crate::canary::{self, Canary};
use crate::model::{Mono, Plan, RunId, ServiceId, Settings};
use depend::Links;
use journal::Journal;
use services::Services;
use std::collections::VecDeque;
use timers::Timers;

/// The state of everything, and the rules by which it changes.
#[derive(Clone, Debug)]
pub struct Supervisor {
    now: Mono,
    /// When services could start for the first time.
    boot: Mono,
    services: Services,
    links: Links,
    timers: Timers,
    /// Services whose gates may have opened. A queue instead of recursion: a chain of a thousand is no deep stack.
    dirty: VecDeque<ServiceId>,
    phase: Phase,
    /// How many services are neither waiting for others nor over.
    active: usize,
    settings: Settings,
    /// Services have been forgotten since the last plan was given out.
    forgotten: bool,
    random: u64,
    journal: Option<Box<Journal>>,
}

impl Supervisor {
    /// A supervisor for this plan. `seed` decides the jitter of backoffs, and nothing else.
    pub fn new(plan: &Plan, seed: u64) -> Supervisor {
        let services = Services::new(plan);
        Supervisor {
            now: Mono::default(),
            boot: Mono::default(),
            links: Links::new(&services),
            services,
            timers: Timers::new(plan.services.len()),
            dirty: VecDeque::new(),
            phase: Phase::Up,
            active: 0,
            settings: plan.settings.clone(),
            forgotten: false,
            random: seed | 1,
            journal: None,
        }
    }

    /// Takes in one event and appends what must be done about it. Facts come before deadlines: a process that has
    /// ended is never found late as well.
    pub fn step(&mut self, now: Mono, event: Event, out: &mut Vec<Action>) {
        let said = out.len();
        self.begin_entry(now, &event);
        self.now = self.now.max(now);
        self.handle(event, out);
        self.settle(out);
        while let Some(id) = self.timers.pop_due(self.now) {
            self.on_deadline(id, out);
            self.settle(out);
        }
        self.tidy(out);
        self.conclude(out);
        self.end_entry(out.get(said..));
        debug_assert_eq!(self.check(), Ok(()));
    }

    /// When [`step`](Supervisor::step) must be called at the latest, with [`Event::Tick`].
    pub fn next_deadline(&self) -> Option<Mono> {
        self.timers.next()
    }

    /// What readers may know, in the plan's order.
    pub fn snapshot(&self) -> Vec<Status> {
        self.services.ids().map(|id| self.services[id].status(id)).collect()
    }

    /// The same of one service.
    pub fn status(&self, id: ServiceId) -> Option<Status> {
        self.services.get(id).map(|service| service.status(id))
    }

    /// The name of a service.
    pub fn name(&self, id: ServiceId) -> Option<&str> {
        self.services.get(id).map(|service| service.spec.name.as_str())
    }

    /// Whether services may start; else everything is being stopped.
    pub fn is_up(&self) -> bool {
        self.phase.is_up()
    }

    fn handle(&mut self, event: Event, out: &mut Vec<Action>) {
        match event {
            Event::Boot => {
                self.boot = self.now;
                let all: Vec<ServiceId> = self.services.ids().collect();
                all.iter().for_each(|id| self.services[*id].since = self.now);
                self.dirty.extend(all);
            }
            Event::Tick => {}
            Event::Signalled(signal) => self.on_signal(signal, out),
            Event::Spawned(run) => self.on_spawned(run, out),
            Event::SpawnFailed(run, error) => self.on_spawn_failed(run, error, out),
            Event::Exited { run, exit, left } => self.on_exited(run, exit, left, out),
            Event::TreeEmpty(run) => self.on_tree_empty(run, out),
            Event::Probed(probe, answer) => self.on_probed(probe, answer, out),
            Event::Signed(run, sign) => self.on_signed(run, sign, out),
            Event::Notified(run, notice) => self.on_notified(run, notice, out),
            Event::HookEnded(hook, answer) => self.on_hook_ended(hook, answer, out),
            Event::Commanded(command) => self.on_command(command, out),
            Event::Loaded(plan) => self.on_loaded(&plan, out),
        }
    }

    /// Looks at every service whose gate may have opened, until nothing changes any more.
    fn settle(&mut self, out: &mut Vec<Action>) {
        while let Some(id) = self.dirty.pop_front() {
            self.reconsider(id, out);
        }
    }

    /// Whether a fact about this run is still of interest.
    fn is_current(&self, run: RunId) -> bool {
        let stale = canary::sings(Canary::StaleFact);
        let is_this = |generation| generation == run.generation || stale;
        self.services.get(run.service).is_some_and(|s| is_this(s.generation) && s.state.is_live())
    }

    /// The next pseudo-random number from -1 to 1 (xorshift64): jitter needs spread, not secrecy.
    fn noise(&mut self) -> f64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let fraction = f64::from(u32::try_from(self.random >> 32).unwrap_or(0)) / f64::from(u32::MAX);
        fraction * 2.0 - 1.0
    }
}

/// Says that something impossible has happened: stops a debug build, tells people in a release.
macro_rules! never {
    ($what:literal, $run:expr, $out:expr) => {{
        debug_assert!(false, "{}: {:?}", $what, $run);
        $out.push($crate::supervisor::Action::Report($crate::supervisor::Report::Bug($what, $run)));
    }};
}
use never;
