//! The fake Linux and the fake threads around the supervisor, on a clock that jumps from one moment of interest to the
//! next. What `runtime/core.rs` does is done here; what the main thread does is in `main_thread`.

use crate::checker::Checker;
use crate::dice::Dice;
use crate::faults::{Faults, Said, strikes};
use crate::journal::live_again;
use crate::kernel::{Kernel, Proc};
use crate::main_thread::Table;
use crate::plan::Files;
use crate::states::States;
use horust::model::{Exit, Mono, Plan, Probe, ProbeId, RunId, ServiceId, Signal};
use horust::supervisor::{Action, Command, Event, Story, Supervisor};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Something that will happen.
#[derive(Clone, Debug)]
pub enum Coming {
    /// The main thread takes a turn.
    Main,
    /// The runtime thread does.
    Runtime,
    /// The exec of a staged process.
    Exec(Proc, RunId),
    Ends(Proc, Exit),
    Says(Proc, RunId, Said),
    /// The pool has an answer.
    Answers(ProbeId, Result<(), String>),
    /// The configuration is read again.
    Loads,
    /// A program that behaves says WATCHDOG=1.
    Barks(Proc, RunId),
}

/// The longest sequence of events of one life.
pub const MOST_STEPS: usize = 20_000;

pub struct World {
    pub files: Files,
    /// What the supervisor has said that ids mean.
    pub plan: Plan,
    pub first_plan: Plan,
    pub seed: u64,
    pub supervisor: Supervisor,
    pub checker: Checker,
    pub dice: Dice,
    pub faults: Faults,
    /// Phase two: all behave.
    pub calm: bool,
    pub now: Mono,
    pub kernel: Kernel,
    pub table: Table,
    /// For the runtime thread.
    pub inbox: VecDeque<Event>,
    pub calls: VecDeque<Command>,
    /// For the main thread.
    pub received: Vec<Signal>,
    pub pending: VecDeque<Action>,
    pub exit: Option<u8>,
    /// All that the supervisor was told, and what it did about it.
    pub told: Vec<(Mono, Event)>,
    pub log: Vec<(Mono, Action)>,
    pub transitions: BTreeSet<(&'static str, &'static str)>,
    /// Is checked; the second time, only the actions are compared.
    pub checked: bool,
    /// At this step the supervisor is put away, and another one goes on from its checkpoint.
    pub resume_at: Option<usize>,
    coming: BTreeMap<(Mono, u64), Coming>,
    sequence: u64,
    main_at: Option<Mono>,
    runtime_at: Option<Mono>,
    states: States,
}

impl World {
    pub fn new(files: Files, faults: Faults, seed: u64, dice: Dice) -> World {
        let plan = files.plan();
        let limit = if faults.few_pids { 6 } else { 64 };
        let mut supervisor = Supervisor::new(&plan, seed);
        // Of some lives all of it is kept, of others little.
        supervisor.keep_journal([100, 1000, 100_000][(seed % 3) as usize]);
        World {
            files,
            first_plan: plan.clone(),
            supervisor,
            checker: Checker::new(&plan),
            seed,
            dice,
            faults,
            calm: false,
            // Not zero: a monotonic clock begins somewhere.
            now: Mono(1_000_000_000),
            kernel: Kernel::new(limit),
            table: Table::new(plan.services.len()),
            inbox: VecDeque::new(),
            calls: VecDeque::new(),
            received: Vec::new(),
            pending: VecDeque::new(),
            exit: None,
            told: Vec::new(),
            log: Vec::new(),
            transitions: BTreeSet::new(),
            checked: true,
            resume_at: None,
            coming: BTreeMap::new(),
            sequence: 0,
            main_at: None,
            runtime_at: None,
            states: States::new(&plan),
            plan,
        }
    }

    pub fn boot(&mut self) {
        self.inbox.push_back(Event::Boot);
        self.runtime_turn();
    }

    pub fn later(&mut self, ms: u64, coming: Coming) {
        self.at(Mono(self.now.0.saturating_add(ms * 1_000_000)), coming);
    }

    fn at(&mut self, at: Mono, coming: Coming) {
        self.sequence += 1;
        self.coming.insert((at, self.sequence), coming);
    }

    /// The main thread has something to do; how soon it gets to it is up to the machine.
    pub fn wake_main(&mut self) {
        let late = self.lateness(self.faults.slow_main);
        let at = Mono(self.now.0 + late);
        if self.main_at.is_none_or(|other| other > at || other < self.now) {
            self.main_at = Some(at);
            self.at(at, Coming::Main);
        }
    }

    pub fn wake_runtime(&mut self) {
        let late = self.lateness(self.faults.slow_runtime);
        self.runtime_by(Mono(self.now.0 + late));
    }

    fn runtime_by(&mut self, at: Mono) {
        if self.runtime_at.is_none_or(|other| other > at || other < self.now) {
            self.runtime_at = Some(at);
            self.at(at, Coming::Runtime);
        }
    }

    fn lateness(&mut self, most: u64) -> u64 {
        // Nothing takes no time at all.
        const LEAST: u64 = 50_000;
        if most == 0 { LEAST } else { LEAST + self.dice.below(most * 1_000_000) }
    }

    pub fn command(&mut self, command: Command) {
        self.calls.push_back(command);
        self.wake_runtime();
    }

    pub fn signal(&mut self, signal: Signal) {
        self.received.push(signal);
        self.wake_main();
    }

    /// The moment of what comes next.
    pub fn next_at(&self) -> Option<Mono> {
        self.coming.first_key_value().map(|((at, _), _)| *at)
    }

    /// Jumps to the next moment at which anything happens, unless that is later than `end`.
    pub fn next(&mut self, end: Mono) -> bool {
        if self.exit.is_some() || self.next_at().is_none_or(|at| at > end) {
            return false;
        }
        let Some(((at, _), coming)) = self.coming.pop_first() else { return false };
        self.now = self.now.max(at);
        self.happen(coming);
        assert!(self.told.len() <= MOST_STEPS, "this never ends");
        true
    }

    pub fn until(&mut self, end: Mono) {
        self.until_steps(end, MOST_STEPS);
    }

    /// The same, but not beyond so many steps.
    pub fn until_steps(&mut self, end: Mono, most: usize) {
        while self.told.len() <= most && self.next(end) {}
        self.now = self.now.max(end);
    }

    fn happen(&mut self, coming: Coming) {
        match coming {
            Coming::Main => {
                self.main_at = self.main_at.filter(|at| *at > self.now);
                self.main_turn();
            }
            Coming::Runtime => {
                self.runtime_at = self.runtime_at.filter(|at| *at > self.now);
                self.runtime_turn();
            }
            Coming::Exec(proc, run) => self.exec(proc, run),
            Coming::Ends(proc, exit) => {
                if self.kernel.end(proc, exit) {
                    self.table.more_dead = true;
                    self.wake_main();
                }
            }
            Coming::Says(proc, run, said) => self.says(proc, run, said),
            Coming::Answers(probe, answer) => {
                self.inbox.push_back(Event::Probed(probe, answer));
                self.wake_runtime();
            }
            // Nobody writes files in phase two.
            Coming::Loads if self.calm => {}
            Coming::Loads => {
                if strikes(&mut self.dice, self.faults.reloads) {
                    self.files.edit(&mut self.dice);
                }
                self.inbox.push_back(Event::Loaded(Arc::new(self.files.plan())));
                self.wake_runtime();
            }
            Coming::Barks(proc, run) => self.bark(proc, run),
        }
    }

    /// As `Core::run`: what has come, or else a look at the deadlines.
    fn runtime_turn(&mut self) {
        let due = self.supervisor.next_deadline().is_some_and(|at| at <= self.now);
        if self.inbox.is_empty() && self.calls.is_empty() && due {
            self.inbox.push_back(Event::Tick);
        }
        while let Some(event) = self.inbox.pop_front() {
            self.tell(event);
        }
        while let Some(command) = self.calls.pop_front() {
            self.tell(Event::Commanded(command));
        }
        if let Some(at) = self.supervisor.next_deadline() {
            let late = self.lateness(self.faults.slow_runtime);
            self.runtime_by(Mono(at.max(self.now).0 + late));
        }
    }

    fn tell(&mut self, event: Event) {
        if self.exit.is_some() {
            return;
        }
        if self.resume_at == Some(self.told.len()) {
            self.supervisor = Supervisor::resume(&self.plan, self.supervisor.checkpoint());
        }
        // For a moment the clock says what it said before.
        let back = if strikes(&mut self.dice, self.faults.clock) { self.dice.below(50_000_000) } else { 0 };
        let now = Mono(self.now.0 - back);
        self.told.push((now, event.clone()));
        if self.checked {
            self.checker.event(now, &event);
        }
        let mut actions = Vec::new();
        self.supervisor.step(now, event, &mut actions);
        let kernel = &self.kernel;
        if self.checked {
            assert_eq!(self.supervisor.check(), Ok(()));
            for action in &actions {
                self.checker.action(action, |id| lives(kernel, id));
            }
            let changes = self.states.look(&self.supervisor);
            self.transitions.extend(changes.into_iter().map(|(_, old, new)| (old, new)));
            self.checker.settled(&self.supervisor, |id| lives(kernel, id));
        }
        for action in actions {
            self.log.push((self.now, action.clone()));
            self.carry_out(action);
        }
        // The second life has none, and must be the same all the same.
        if self.checked && (self.exit.is_some() || self.told.len() as u64 % 100 == self.seed % 100) {
            self.check_journal();
        }
    }

    /// The journal leads from where it begins to here, by the same actions.
    fn check_journal(&mut self) {
        let story = Story::read(&self.supervisor.journal()).unwrap();
        let tail = self.told.len() - story.steps.len();
        let lived: Vec<_> = story.steps.iter().map(|step| (step.now, step.event.clone())).collect();
        assert_eq!(self.told[tail..], lived, "these are other events");
        live_again(&story).unwrap_or_else(|differs| panic!("the journal does not lead here: {differs}"));
    }

    /// As `Core::carry_out`: a probe that is no command is given to the pool, the rest to main.
    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Report(_) => {}
            Action::Load => {
                let after = self.dice.below(50);
                self.later(after, Coming::Loads);
            }
            Action::Adopt(plan) => {
                self.table.grow(plan.services.len());
                self.plan = Plan::clone(&plan);
            }
            Action::StartProbe(id) if !self.is_command(id) => {
                if let Some((after, answer)) = self.answer(id) {
                    self.later(after, Coming::Answers(id, answer));
                }
            }
            Action::CancelProbe(id) if !self.is_command(id) => {}
            other => {
                self.pending.push_back(other);
                self.wake_main();
            }
        }
    }

    fn is_command(&self, id: ProbeId) -> bool {
        let rounds = self.plan.services[id.run.service.index()].rounds(id.ready).unwrap();
        matches!(rounds.probes[id.probe as usize], Probe::Command(_))
    }

    /// What a probe will say, and how many milliseconds later; none if it hangs.
    pub fn answer(&mut self, id: ProbeId) -> Option<(u64, Result<(), String>)> {
        let (dice, faults) = (&mut self.dice, &self.faults);
        if strikes(dice, faults.hang) {
            return None;
        }
        // Sick for some runs, and for some rounds of the others.
        let unwell = strikes(dice, faults.unready) || (faults.unready > 0 && id.run.generation.is_multiple_of(4));
        let answer = if unwell { Err("scripted".to_owned()) } else { Ok(()) };
        Some((if self.calm { 1 } else { 1 + dice.below(60) }, answer))
    }
}

/// Whether a process of this service is alive.
pub fn lives(kernel: &Kernel, id: ServiceId) -> bool {
    kernel.living().any(|process| process.owner.run().is_some_and(|run| run.service == id))
}
