//! What the main thread does (`runtime/main_loop.rs`, `runtime/table.rs`), against the fake kernel: one turn takes the dead,
//! the execs, what services say and the signals, sends that as one batch, and then carries out the supervisor's actions.

use crate::faults::{Behaviour, Faults, OnStop, Said, refusal, strikes};
use crate::kernel::{Owner, Proc};
use crate::world::{Coming, World};
use horust::model::{Exit, HookId, Kind, ProbeId, RestartStrategy, RunId, Sign, Signal};
use horust::supervisor::{Action, Event, Notice, SpawnError, Target, Watchdog};

/// What a child is, as far as main knows.
#[derive(Clone, Copy, Debug)]
enum Child {
    Leader(RunId),
    Hook(HookId),
    Probe(ProbeId),
}

/// A run with at least one process left.
#[derive(Clone, Debug)]
struct Run {
    id: RunId,
    pid: usize,
    /// What the exec stage has written; none while it has not.
    stage: Option<Option<Result<(), SpawnError>>>,
    exit: Option<Exit>,
    killing: bool,
}

#[derive(Clone, Debug, Default)]
pub struct Table {
    children: Vec<Option<Child>>,
    runs: Vec<Option<Run>>,
    heard: Vec<Event>,
    /// From the logger.
    lines: Vec<RunId>,
    outbox: Vec<Event>,
    pub more_dead: bool,
}

impl Table {
    pub fn new(services: usize) -> Table {
        Table { runs: vec![None; services], ..Table::default() }
    }

    /// There are so many services now.
    pub fn grow(&mut self, services: usize) {
        self.runs.resize(services, None);
    }

    fn run(&mut self, id: RunId) -> Option<&mut Run> {
        self.runs[id.service.index()].as_mut().filter(|run| run.id == id)
    }

    fn end_run(&mut self, id: RunId) {
        let slot = &mut self.runs[id.service.index()];
        if slot.as_ref().is_some_and(|run| run.id == id) {
            *slot = None;
        }
    }

    fn adopt(&mut self, pid: usize, child: Child) {
        if self.children.len() <= pid {
            self.children.resize(pid + 1, None);
        }
        self.children[pid] = Some(child);
    }

    fn pid_of(&self, is: impl Fn(Child) -> bool) -> Option<usize> {
        self.children.iter().position(|child| child.is_some_and(&is))
    }

    fn read_stages(&mut self) {
        for index in 0..self.runs.len() {
            let Some(run) = &mut self.runs[index] else { continue };
            let id = run.id;
            if let Some(Some(read)) = run.stage.take_if(|stage| stage.is_some()) {
                match read {
                    Ok(()) => self.outbox.push(Event::Spawned(id)),
                    Err(error) => {
                        self.end_run(id);
                        self.outbox.push(Event::SpawnFailed(id, error));
                    }
                }
            }
        }
    }

    fn listen(&mut self) {
        if !self.heard.is_empty() {
            self.read_stages();
            self.outbox.append(&mut self.heard);
        }
    }
}

impl World {
    pub fn main_turn(&mut self) {
        let signals = std::mem::take(&mut self.received);
        self.table.outbox.extend(signals.into_iter().map(Event::Signalled));
        self.reap();
        self.table.read_stages();
        self.table.listen();
        self.send();
        let lines = std::mem::take(&mut self.table.lines);
        if !lines.is_empty() {
            self.table.read_stages();
            self.table.outbox.extend(lines.into_iter().map(|run| Event::Signed(run, Sign::LogLine)));
        }
        self.act();
        self.send();
        if self.table.more_dead {
            self.wake_main();
        }
    }

    fn send(&mut self) {
        if !self.table.outbox.is_empty() {
            self.inbox.extend(self.table.outbox.drain(..));
            self.wake_runtime();
        }
    }

    fn reap(&mut self) {
        if !std::mem::take(&mut self.table.more_dead) {
            return;
        }
        let mut dead = Vec::new();
        while let Some((pid, exit)) = self.kernel.wait() {
            self.bury(pid, exit, &mut dead);
        }
        for index in 0..self.table.runs.len() {
            let Some(Run { id, exit: Some(exit), killing, .. }) = self.table.runs[index].clone() else { continue };
            let left = !self.kernel.others(id).is_empty();
            if left && killing {
                self.send_signal(id, Signal::KILL, Target::Tree);
            }
            match (dead.contains(&id), left) {
                (true, _) => self.table.outbox.push(Event::Exited { run: id, exit, left }),
                (false, true) => continue,
                (false, false) => self.table.outbox.push(Event::TreeEmpty(id)),
            }
            if !left {
                self.table.end_run(id);
            }
        }
    }

    fn bury(&mut self, pid: usize, exit: Exit, dead: &mut Vec<RunId>) {
        self.table.read_stages();
        self.table.listen();
        let well = if exit == Exit::Code(0) { Ok(()) } else { Err(exit.to_string()) };
        match self.table.children.get_mut(pid).and_then(Option::take) {
            Some(Child::Leader(id)) => {
                let Some(run) = self.table.run(id) else { return };
                run.exit = Some(exit);
                // Its end closes the pipe of its exec stage, which looks like an exec.
                if run.stage.take().is_some() {
                    self.table.outbox.push(Event::Spawned(id));
                }
                dead.push(id);
            }
            Some(Child::Hook(id)) => self.table.outbox.push(Event::HookEnded(id, well)),
            Some(Child::Probe(id)) => self.table.outbox.push(Event::Probed(id, well)),
            None => {}
        }
    }

    fn act(&mut self) {
        while let Some(action) = self.pending.pop_front() {
            match action {
                Action::Spawn(run) => self.spawn(run),
                Action::Signal { run, signal, to } => self.send_signal(run, signal, to),
                Action::StartProbe(id) => self.start_probe(id),
                Action::StartHook(id, _) => self.start_hook(id),
                Action::CancelProbe(id) => {
                    let pid = self.table.pid_of(|child| matches!(child, Child::Probe(other) if other == id));
                    self.kill(pid, Signal::KILL, |owner| owner == Owner::Probe(id));
                }
                Action::CancelHook(id) => {
                    let pid = self.table.pid_of(|child| matches!(child, Child::Hook(other) if other == id));
                    self.kill(pid, Signal::KILL, |owner| owner == Owner::Hook(id));
                }
                Action::Exit(code) => {
                    assert_eq!(self.exit, None, "one end is enough");
                    self.exit = Some(code);
                }
                Action::Load | Action::Adopt(_) | Action::Report(_) => {}
            }
        }
    }

    fn spawn(&mut self, id: RunId) {
        let refused = strikes(&mut self.dice, self.faults.spawn).then(|| refusal(&mut self.dice));
        let full = || SpawnError { message: "EAGAIN".into(), code: 126 };
        let forked = match refused {
            Some(error) => Err(error),
            None => self.kernel.fork(Owner::Leader(id)).ok_or_else(full),
        };
        let proc = match forked {
            Ok(proc) => proc,
            Err(error) => return self.table.outbox.push(Event::SpawnFailed(id, error)),
        };
        let staged = self.dice.one_in(2);
        let run = Run { id, pid: proc.pid, stage: staged.then_some(None), exit: None, killing: false };
        self.table.adopt(proc.pid, Child::Leader(id));
        self.table.runs[id.service.index()] = Some(run);
        if !staged {
            self.table.outbox.push(Event::Spawned(id));
            self.begin(proc, id);
        } else if !strikes(&mut self.dice, self.faults.stuck) {
            let after = if self.calm { 1 } else { self.dice.pick(&[1, 2, 30]) };
            self.later(after, Coming::Exec(proc, id));
        }
    }

    /// A staged process tells what has become of it.
    pub fn exec(&mut self, proc: Proc, id: RunId) {
        let waits = self.table.run(id).is_some_and(|run| run.stage == Some(None));
        if self.kernel.alive(proc).is_none() || !waits {
            return;
        }
        let failed = strikes(&mut self.dice, self.faults.exec);
        let result = if failed { Err(refusal(&mut self.dice)) } else { Ok(()) };
        if let Some(run) = self.table.run(id) {
            run.stage = Some(Some(result));
        }
        match failed {
            true => {
                self.kernel.alive(proc).into_iter().for_each(|process| process.owner = Owner::Nobody);
                self.later(0, Coming::Ends(proc, Exit::Code(126)));
            }
            false => self.begin(proc, id),
        }
        self.wake_main();
    }

    /// The program runs.
    fn begin(&mut self, proc: Proc, id: RunId) {
        let behaviour = if self.calm { Behaviour::good() } else { Behaviour::random(&mut self.dice, &self.faults) };
        let Some(process) = self.kernel.alive(proc) else { return };
        process.on_stop = behaviour.on_stop;
        process.unkillable |= behaviour.unkillable;
        for stray in behaviour.children {
            let child = self.kernel.fork(Owner::Other(id, stray));
            let on_stop = OnStop::random(&mut self.dice, &self.faults);
            if let Some(process) = child.and_then(|child| self.kernel.alive(child)) {
                process.on_stop = on_stop;
            }
        }
        if let Some((after, exit)) = behaviour.ends {
            self.later(after, Coming::Ends(proc, exit));
        }
        if self.calm {
            return self.settle_down(proc, id);
        }
        for (after, said) in behaviour.says {
            self.later(after, Coming::Says(proc, id, said));
        }
        if self.plan.services[id.service.index()].watchdog.is_some() {
            self.keep_barking(proc, id, 1);
        }
    }

    pub fn says(&mut self, proc: Proc, run: RunId, said: Said) {
        let odd = matches!(&said, Said::Notice(notice) if !notice.ready && notice.watchdog != Some(Watchdog::Alive));
        if self.kernel.alive(proc).is_none() || (odd && self.calm) {
            return;
        }
        match said {
            Said::Notice(notice) => self.table.heard.push(Event::Notified(run, notice)),
            Said::Sign(Sign::LogLine) => self.table.lines.push(run),
            Said::Sign(sign) => self.table.heard.push(Event::Signed(run, sign)),
        }
        self.wake_main();
    }

    /// WATCHDOG=1, until it is forgotten.
    pub fn bark(&mut self, proc: Proc, run: RunId) {
        let Some(process) = self.kernel.alive(proc) else { return };
        process.barks = false;
        if self.calm || !self.dice.one_in(12) {
            let notice = Notice { watchdog: Some(Watchdog::Alive), ..Notice::default() };
            self.says(proc, run, Said::Notice(notice));
            self.keep_barking(proc, run, 45);
        }
    }

    /// Phase two begins: whoever lives behaves from now on, and what has been waited for comes.
    pub fn reform(&mut self) {
        self.calm = true;
        self.inbox.retain(|event| !matches!(event, Event::Loaded(_)));
        self.faults = Faults::default();
        self.kernel.limit = 64;
        for (proc, owner) in self.kernel.everybody() {
            let Some(process) = self.kernel.alive(proc) else { continue };
            process.on_stop = OnStop::Ends(0, None);
            let was_unkillable = std::mem::take(&mut process.unkillable);
            let Some(id) = owner.run() else { continue };
            let run = self.table.run(id).map(|run| (run.killing, run.stage == Some(None)));
            match run {
                Some((false, true)) if matches!(owner, Owner::Leader(_)) => self.later(1, Coming::Exec(proc, id)),
                Some((false, false)) if matches!(owner, Owner::Leader(_)) => self.settle_down(proc, id),
                Some((true, _)) | None if was_unkillable => {
                    self.later(0, Coming::Ends(proc, Exit::Signal(Signal::KILL)));
                }
                Some(_) | None => {}
            }
        }
    }

    fn settle_down(&mut self, proc: Proc, id: RunId) {
        for (after, said) in Behaviour::good().says {
            self.later(after, Coming::Says(proc, id, said));
        }
        let spec = &self.plan.services[id.service.index()];
        let (oneshot, watched) = (spec.kind == Kind::Oneshot, spec.watchdog.is_some());
        if oneshot {
            // One that is run again and again has to leave time to others.
            let after = if spec.restart.strategy == RestartStrategy::Always { 1000 } else { 5 };
            self.later(after, Coming::Ends(proc, Exit::Code(0)));
        }
        if watched {
            self.keep_barking(proc, id, 1);
        }
    }

    fn keep_barking(&mut self, proc: Proc, id: RunId, after: u64) {
        if let Some(process) = self.kernel.alive(proc).filter(|process| !process.barks) {
            process.barks = true;
            self.later(after, Coming::Barks(proc, id));
        }
    }

    fn start_probe(&mut self, id: ProbeId) {
        let Some(proc) = self.kernel.fork(Owner::Probe(id)) else {
            return self.table.outbox.push(Event::Probed(id, Err("EAGAIN".into())));
        };
        self.table.adopt(proc.pid, Child::Probe(id));
        if let Some((after, answer)) = self.answer(id) {
            self.later(after, Coming::Ends(proc, Exit::Code(u8::from(answer.is_err()))));
        }
    }

    fn start_hook(&mut self, id: HookId) {
        let Some(proc) = self.kernel.fork(Owner::Hook(id)) else {
            return self.table.outbox.push(Event::HookEnded(id, Err("EAGAIN".into())));
        };
        self.table.adopt(proc.pid, Child::Hook(id));
        let bad = strikes(&mut self.dice, self.faults.hook);
        if !(bad && self.dice.one_in(2)) {
            let after = if self.calm { 1 } else { self.dice.below(60) };
            self.later(after, Coming::Ends(proc, Exit::Code(u8::from(bad))));
        }
    }

    fn send_signal(&mut self, id: RunId, signal: Signal, to: Target) {
        let Some(run) = self.table.run(id) else { return };
        run.killing |= signal == Signal::KILL && to == Target::Tree;
        let leader = Some(run.pid).filter(|_| run.exit.is_none() && to != Target::Strays);
        self.table.more_dead |= self.table.run(id).is_some_and(|run| run.exit.is_some());
        self.kill(leader, signal, |owner| owner == Owner::Leader(id));
        for (pid, stray) in self.kernel.others(id) {
            let hit = match to {
                Target::Leader => false,
                Target::Group => !stray,
                Target::Strays => stray,
                Target::Tree => true,
            };
            self.kill(Some(pid).filter(|_| hit), signal, |owner| owner == Owner::Other(id, stray));
        }
    }

    fn kill(&mut self, pid: Option<usize>, signal: Signal, meant: impl Fn(Owner) -> bool) {
        let Some(pid) = pid else { return };
        // Main forgets a number when it has waited for it, and nobody else can wait: ESRCH would be a bug.
        let (proc, owner, ends) = self.kernel.kill(pid, signal).unwrap();
        assert!(meant(owner), "a signal hits {owner:?}, which has the number of another one now");
        if !self.calm
            && matches!(owner, Owner::Leader(_) | Owner::Other(..))
            && strikes(&mut self.dice, self.faults.kill)
        {
            // It has become another user's (EPERM). Once it has withstood SIGKILL, nothing will end it.
            if signal == Signal::KILL
                && let Some(process) = self.kernel.alive(proc)
            {
                process.unkillable = true;
            }
            return;
        }
        if let Some((after, exit)) = ends {
            self.later(after, Coming::Ends(proc, exit));
        }
    }
}
