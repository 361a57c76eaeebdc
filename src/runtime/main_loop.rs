//! The main thread: the only one that spawns, signals and waits. It sleeps in poll(2), until a deadline at most that its own
//! turns of the supervisor have brought, and takes what has happened in one order: signals, exits, execs, and only then the
//! supervisor's actions, so that nothing is done to a process that is known to be gone.

use super::End;
use super::cgroups::{Cgroups, Leaf};
use super::core::{Core, Sleeper, log_journal, probe};
use super::launch::{Launcher, cannot, stage_failed};
use super::logger;
use super::notify::{self, Notices};
use super::report;
use super::rescue;
use super::sweep;
use super::table::{Child, Orphans, Table};
use crate::chaos;
use crate::control::Pids;
use crate::limits;
use crate::model::{Exit, HookId, Mono, Plan, Probe, ProbeId, RunId, Sign, Signal};
use crate::supervisor::{Action, Event, Reason, SpawnError, Target};
use crate::sys::SysError;
use crate::sys::exe::Image;
use crate::sys::reap::{self, Ended, Peek, Reaped};
use crate::sys::signals::SignalFd;
use crate::sys::spawn::StageStatus;
use crate::sys::wake::EventFd;
use crate::sys::{poll, process, tree};
use crossbeam_channel::{Receiver, Sender, TryRecvError, TrySendError};
use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long main waits for room in the runtime thread's queue before it tries again. Only ever under overload.
const RETRY: Duration = Duration::from_millis(1);

/// How the main thread and the others reach each other.
pub struct Queues {
    /// The runtime: main takes its turns itself while nobody else is at one.
    pub core: Arc<Mutex<Core>>,
    /// To the runtime thread.
    pub events: Sender<Vec<Event>>,
    /// From it.
    pub actions: Receiver<Vec<Action>>,
    /// From the logger: runs that have printed their `log-line`.
    pub lines: Receiver<RunId>,
}

/// The main thread's state.
pub struct MainLoop<'a> {
    plan: Arc<Plan>,
    launcher: &'a mut Launcher,
    signals: &'a SignalFd,
    wake: &'a Arc<EventFd>,
    notices: Option<Notices>,
    queues: Queues,
    table: Table,
    cgroups: Cgroups,
    /// Events that the supervisor has not been told of yet.
    outbox: Vec<Event>,
    /// A deadline that the runtime thread does not know of.
    due: Option<Mono>,
    /// Actions that are not carried out yet.
    pending: VecDeque<Action>,
    /// All processes, as they were when the actions under way arrived; read when first needed.
    processes: Option<tree::Table>,
    /// Our children that are no main processes, as they were when the newest actions arrived; likewise.
    adopted: Option<Orphans>,
    /// There may be more dead children than one turn took.
    more_dead: bool,
    exit: Option<u8>,
    /// The runtime thread is gone, and the supervisor with it.
    orphaned: bool,
    /// The kernel has told of Ctrl-Alt-Delete.
    reboot: bool,
    /// For readers.
    pids: Option<Arc<Pids>>,
    /// Ended processes that belonged to nobody: for readers too.
    orphans: Arc<AtomicU64>,
}

impl<'a> MainLoop<'a> {
    /// A loop that has not run yet.
    pub fn new(
        plan: Arc<Plan>,
        launcher: &'a mut Launcher,
        signals: &'a SignalFd,
        wake: &'a Arc<EventFd>,
        queues: Queues,
        notices: Option<Notices>,
        cgroups: Cgroups,
    ) -> MainLoop<'a> {
        MainLoop {
            plan,
            launcher,
            signals,
            wake,
            notices,
            queues,
            table: Table::default(),
            cgroups,
            outbox: vec![Event::Boot],
            due: None,
            pending: VecDeque::new(),
            processes: None,
            adopted: None,
            more_dead: true,
            exit: None,
            orphaned: false,
            reboot: false,
            pids: None,
            orphans: Arc::default(),
        }
    }

    /// Main processes are written here, and orphans counted.
    pub fn tell_pids(mut self, pids: Arc<Pids>, orphans: Arc<AtomicU64>) -> Self {
        self.pids = Some(pids);
        self.orphans = orphans;
        self
    }

    fn tell_pid(&self, run: RunId, pid: u32) {
        if let Some(pids) = &self.pids {
            pids.set(run.service, pid);
        }
    }

    /// Runs until the supervisor orders the exit. Returns with no process left behind. If this thread or
    /// the supervisor fails, [`rescue`] takes over. `begun` is called once the first services have been started.
    pub fn run(mut self, image: &Image, begun: impl FnOnce()) -> End {
        let turns = catch_unwind(AssertUnwindSafe(|| {
            self.turn();
            begun();
            while self.exit.is_none() && !self.orphaned {
                self.wait();
                self.turn();
            }
        }));
        if turns.is_err() || self.orphaned {
            log_journal(&self.queues.core);
            logger::flush();
            let charges = rescue::charges(&self.plan, self.table.runs());
            let error = rescue::enter(image, self.plan.settings.when_init, &charges);
            log::error!("cannot stop in order: {error}");
        }
        sweep::all(self.signals);
        self.cgroups.release();
        End { code: self.exit.unwrap_or(super::INTERNAL), reboot: self.reboot }
    }

    fn turn(&mut self) {
        chaos::point("main");
        self.take_signals();
        self.reap();
        self.read_stages();
        self.listen();
        self.decide();
        self.wake.drain();
        self.take_lines();
        self.receive();
        self.kill_oversized();
        self.act();
        self.decide();
    }

    fn wait(&mut self) {
        let mut fds: Vec<BorrowedFd<'_>> = vec![self.signals.as_fd(), self.wake.as_fd()];
        fds.extend(self.table.stages().map(AsFd::as_fd));
        fds.extend(self.table.newlines().map(AsFd::as_fd));
        fds.extend(self.notices.as_ref().and_then(Notices::to_wait_for));
        let held_up = self.held_up();
        let busy = self.more_dead || (!self.pending.is_empty() && held_up.is_none());
        let emptying: Vec<BorrowedFd<'_>> = self.table.emptying().chain(self.cgroups.retired()).collect();
        let left = self.due.map(|due| due.since(Mono(process::mono_now()))).into_iter().chain(held_up).min();
        let woken = match (busy, self.outbox.is_empty()) {
            (true, _) => return,
            (false, false) => poll::wait_changes(&fds, &emptying, Some(RETRY)),
            (false, true) => poll::wait_changes(&fds, &emptying, left),
        };
        if self.due.take_if(|due| *due <= Mono(process::mono_now())).is_some() {
            self.outbox.push(Event::Tick);
        }
        match woken {
            // Whoever was the last in a cgroup need not be a child of ours: nobody else tells of its end.
            Ok(woken) => self.more_dead |= woken.get(fds.len()..).is_some_and(|changed| changed.contains(&true)),
            Err(error) => {
                log::error!("{error}");
                std::thread::sleep(RETRY);
            }
        }
    }

    fn take_signals(&mut self) {
        while let Some(info) = self.signals.read() {
            match Signal::new(info.signo) {
                Some(Signal::CHLD) => self.more_dead = true,
                Some(signal) => {
                    // Of a machine's init it is the keyboard that the kernel tells of, of any other process the terminal.
                    self.reboot |= signal == Signal::INT && info.sender.is_none();
                    self.outbox.push(Event::Signalled(signal));
                }
                None => {}
            }
        }
    }

    /// Takes the dead, a bounded number a turn, and looks what they left behind.
    fn reap(&mut self) {
        if !self.more_dead {
            return;
        }
        let mut dead = Vec::new();
        let mut alone = false;
        for _ in 0..limits::REAPS_PER_TURN {
            match self.next_dead() {
                Ok(Reaped::Dead(pid, ended)) => self.bury(pid, ended, &mut dead),
                Ok(nobody @ (Reaped::None | Reaped::NoChildren)) => {
                    self.more_dead = false;
                    alone = nobody == Reaped::NoChildren;
                    break;
                }
                Err(error) => {
                    log::error!("{error}");
                    self.more_dead = false;
                    break;
                }
            }
        }
        self.look_for_survivors(&dead, alone);
        self.cgroups.tidy();
    }

    fn next_dead(&mut self) -> Result<Reaped, SysError> {
        if self.notices.is_none() {
            return reap::next();
        }
        // Messages come with a pid, and are believed as long as nobody else can have it.
        Ok(match reap::peek()? {
            Peek::Dead(pid) => {
                self.listen();
                Reaped::Dead(pid, reap::reap(pid)?)
            }
            Peek::None => Reaped::None,
            Peek::NoChildren => Reaped::NoChildren,
        })
    }

    fn bury(&mut self, pid: u32, ended: Ended, dead: &mut Vec<RunId>) {
        // Its last words come before its end.
        self.read_stages();
        let newlines = self.newlines();
        self.outbox.extend(newlines);
        let exit = super::exit_of(ended);
        match self.table.forget(pid) {
            Some(Child::Leader(run)) => {
                if self.table.hand_over(run) {
                    let leader = self.table.run(run).map_or(0, |run| run.leader);
                    self.tell_pid(run, leader);
                } else if self.table.lose_leader(run, exit) {
                    self.tell_pid(run, 0);
                    dead.push(run);
                }
            }
            Some(Child::Probe(id)) => {
                let _ = process::kill_group(pid, libc::SIGKILL);
                let answer = match (self.table.exec_failure(pid), exit) {
                    (Some(error), _) => Err(error.message),
                    (None, Exit::Code(0)) => Ok(()),
                    (None, exit) => Err(format!("the command of the check {exit}")),
                };
                self.outbox.push(Event::Probed(id, answer));
            }
            Some(Child::Hook(id)) => {
                let _ = process::kill_group(pid, libc::SIGKILL);
                let answer = match (self.table.exec_failure(pid), exit) {
                    (Some(error), _) => Err(error.message),
                    (None, Exit::Code(0)) => Ok(()),
                    (None, exit) => Err(exit.to_string()),
                };
                self.outbox.push(Event::HookEnded(id, answer));
            }
            None => {
                self.orphans.fetch_add(1, Ordering::Relaxed);
                log::trace!("reaped the orphan {pid}");
            }
        }
    }

    /// Tells the end of each run whose main process has ended, or that others of it are still there.
    fn look_for_survivors(&mut self, dead: &[RunId], alone: bool) {
        let bereft = self.table.bereft().to_vec();
        if bereft.is_empty() {
            return;
        }
        // Most leave nothing, as their numbers tell; then the list of all our children need not be read.
        let (wake, table) = (self.wake, &mut self.table);
        let may_be_left = |id: &RunId| {
            table.run(*id).is_some_and(|run| !run.strays.is_empty() || process::number_in_use(wake, run.pid))
        };
        let doubtful: Vec<bool> = bereft.iter().map(may_be_left).collect();
        let orphans = match !alone && doubtful.contains(&true) {
            true => Orphans::look(&self.table),
            false => Orphans::default(),
        };
        for (id, doubtful) in bereft.into_iter().zip(doubtful) {
            let Some(run) = self.table.run(id) else { continue };
            let Some(exit) = run.exit else { continue };
            let left = orphans.any_of(run, doubtful);
            orphans.note(run);
            if left && run.killing {
                orphans.kill(run);
            }
            match (dead.contains(&id), left) {
                (true, _) => self.outbox.push(Event::Exited { run: id, exit, left }),
                (false, true) => continue,
                (false, false) => self.outbox.push(Event::TreeEmpty(id)),
            }
            if !left {
                self.end_run(id);
            }
        }
    }

    fn end_run(&mut self, id: RunId) {
        let leaf = self.table.end_run(id);
        self.cgroups.retire(id, leaf);
    }

    /// Kills those whose memory is beyond a limit that the kernel does not enforce.
    fn kill_oversized(&mut self) {
        for id in self.cgroups.over() {
            // A main process that has not been waited for: what was measured was this run.
            if let Some(run) = self.table.run(id).filter(|run| run.exit.is_none()) {
                run.oversized = true;
                self.signal(id, Signal::KILL, Target::Tree);
            }
        }
    }

    /// Takes what services say about themselves.
    fn listen(&mut self) {
        let mut heard = self.notices.as_mut().map_or_else(Vec::new, |notices| notices.read(&mut self.table));
        heard.extend(self.newlines());
        if !heard.is_empty() {
            // Who speaks has been executed, and that comes first.
            self.read_stages();
            self.outbox.append(&mut heard);
        }
    }

    /// Takes what the logger has found.
    fn take_lines(&mut self) {
        let mut heard: Vec<Event> = self.queues.lines.try_iter().map(|run| Event::Signed(run, Sign::LogLine)).collect();
        if !heard.is_empty() {
            self.read_stages();
            self.outbox.append(&mut heard);
        }
    }

    fn newlines(&mut self) -> Vec<Event> {
        let mut heard = Vec::new();
        if self.table.silent().is_empty() {
            return heard;
        }
        let pipes: Vec<BorrowedFd<'_>> = self.table.newlines().map(AsFd::as_fd).collect();
        let readable = poll::wait_timeout(&pipes, Duration::ZERO).unwrap_or_default();
        let runs = self.table.silent().to_vec();
        for (id, _) in runs.into_iter().zip(readable).filter(|(_, readable)| *readable) {
            let Some(pipe) = self.table.run(id).and_then(|run| run.newline.as_ref()) else { continue };
            if let Some(came) = notify::newline(pipe) {
                heard.extend(came.then_some(Event::Signed(id, Sign::NotifyFd)));
                self.table.unsilence(id);
            }
        }
        heard
    }

    fn read_stages(&mut self) {
        for (id, _) in self.table.staged().to_vec() {
            let status = self.table.run(id).and_then(|run| Some(run.stage.as_mut()?.read()));
            let event = match status {
                None | Some(StageStatus::Pending) => continue,
                Some(StageStatus::Executed) => {
                    self.table.unstage(id);
                    Event::Spawned(id)
                }
                Some(StageStatus::Failed { message, errno, .. }) => {
                    // The stage itself still has to be waited for; it is nobody's run any more.
                    self.end_run(id);
                    self.tell_pid(id, 0);
                    Event::SpawnFailed(id, stage_failed(&message, errno))
                }
            };
            self.outbox.push(event);
        }
    }

    /// Tells the supervisor what has happened: at once, or by way of the runtime thread if that is at something.
    fn decide(&mut self) {
        let core = Arc::clone(&self.queues.core);
        while !self.outbox.is_empty()
            && let Ok(mut core) = core.try_lock()
        {
            // What it has ordered before comes first.
            self.receive();
            let (events, mut orders) = (std::mem::take(&mut self.outbox), Vec::new());
            core.turn(events, Vec::new(), &mut |actions| orders.push(actions));
            orders.into_iter().for_each(|actions| self.obey(actions));
            self.due = core.sleep(Sleeper::Main).map(|left| Mono(process::mono_now()).after(left));
        }
        if self.outbox.is_empty() {
            return;
        }
        match self.queues.events.try_send(std::mem::take(&mut self.outbox)) {
            Ok(()) => {}
            Err(TrySendError::Full(events) | TrySendError::Disconnected(events)) => self.outbox = events,
        }
    }

    /// Has these carried out after those that wait already.
    fn obey(&mut self, actions: Vec<Action>) {
        recall(&mut self.pending, &actions, &mut self.outbox);
        self.pending.extend(actions);
        self.adopted = None;
    }

    fn receive(&mut self) {
        loop {
            match self.queues.actions.try_recv() {
                Ok(actions) => self.obey(actions),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => {
                    self.orphaned = self.pending.is_empty();
                    return;
                }
            }
        }
    }

    /// How long the next action, a spawn, has to wait for an exec stage to make room, or for one to be known to hang.
    fn held_up(&self) -> Option<Duration> {
        let Some(Action::Spawn(_)) = self.pending.front() else { return None };
        let staged = self.table.staged();
        let (_, since) = staged.iter().rev().nth(limits::STAGES.saturating_sub(1))?;
        if staged.len() >= limits::STAGES_MOST {
            return Some(limits::STAGE_HELD_UP);
        }
        let left = since.after(limits::STAGE_HELD_UP).since(Mono(process::mono_now()));
        Some(left).filter(|left| !left.is_zero())
    }

    /// Carries out actions in their order, a bounded number a turn.
    fn act(&mut self) {
        let mut left = limits::ACTIONS_PER_TURN.saturating_mul(limits::SIGNALS_PER_ACTION);
        while left > 0 && self.held_up().is_none() {
            let action = self.pending.pop_front();
            let signal = matches!(action, Some(Action::Signal { .. }));
            left = left.saturating_sub(if signal { 1 } else { limits::SIGNALS_PER_ACTION });
            match action {
                None => {
                    self.processes = None;
                    self.adopted = None;
                    // The starts of thousands take room that is not needed again.
                    self.pending.shrink_to(limits::ACTIONS_PER_TURN);
                    return;
                }
                Some(Action::Spawn(run)) => self.spawn(run),
                Some(Action::Signal { run, signal, to }) => self.signal(run, signal, to),
                Some(Action::StartProbe(id)) => self.start_probe(id),
                Some(Action::CancelProbe(id)) => {
                    if let Some(pid) = self.table.probe(id) {
                        let _ = process::kill_group_of_child(pid, libc::SIGKILL);
                    }
                }
                Some(Action::StartHook(id, reason)) => self.start_hook(id, reason),
                Some(Action::CancelHook(id)) => {
                    if let Some(pid) = self.table.hook(id) {
                        let _ = process::kill_group_of_child(pid, libc::SIGKILL);
                    }
                }
                Some(Action::Adopt(plan)) => self.adopt(plan),
                Some(Action::Exit(code)) => self.exit = Some(code),
                Some(Action::Report(_) | Action::Load) => {}
            }
        }
    }

    /// What follows is about the services of this plan. Runs go on as they were started.
    fn adopt(&mut self, plan: Arc<Plan>) {
        if self.notices.is_none() && plan.iter().any(|(_, spec)| spec.notifies()) {
            match Notices::new(Arc::clone(self.wake)) {
                Ok(notices) => {
                    self.launcher.notify_at(Some(notices.address()));
                    self.notices = Some(notices);
                }
                Err(error) => log::error!("{error}: services can't say that they are ready"),
            }
        }
        self.launcher.adopt(&plan);
        self.cgroups.adopt(&plan);
        self.plan = plan;
    }

    fn spawn(&mut self, run: RunId) {
        let plan = Arc::clone(&self.plan);
        let Some(spec) = plan.get(run.service) else { return };
        let leaf = match self.cgroups.leaf(&plan, spec) {
            Ok(leaf) => leaf,
            Err(why) => return self.outbox.push(Event::SpawnFailed(run, cannot(why))),
        };
        match self.launcher.service(spec, run, leaf.as_deref().map(Leaf::path)) {
            Ok(started) => {
                if started.stage.is_none() {
                    self.outbox.push(Event::Spawned(run));
                }
                self.cgroups.watch(run, started.pid, spec, leaf.as_deref());
                self.tell_pid(run, started.pid);
                self.table.add_run(run, started, leaf, spec.notifies());
            }
            Err(error) => {
                self.cgroups.retire(run, leaf);
                self.outbox.push(Event::SpawnFailed(run, error));
            }
        }
    }

    fn start_probe(&mut self, id: ProbeId) {
        let Some(spec) = self.plan.get(id.run.service) else { return };
        let Some((Probe::Command(command), _)) = probe(&self.plan, id) else { return };
        match self.launcher.probe(spec, command) {
            Ok(started) => self.table.add_probe(id, started),
            Err(SpawnError { message, .. }) => self.outbox.push(Event::Probed(id, Err(message))),
        }
    }

    fn start_hook(&mut self, id: HookId, reason: Option<Reason>) {
        let Some(spec) = self.plan.get(id.run.service) else { return };
        let Some((command, _)) = spec.hook(id.hook) else { return };
        let reason = reason.map(|reason| report::reason_of(&self.plan, id.run.service, &reason));
        match self.launcher.hook(spec, id.hook, command, reason) {
            Ok(started) => self.table.add_hook(id, started),
            Err(SpawnError { message, .. }) => self.outbox.push(Event::HookEnded(id, Err(message))),
        }
    }

    fn signal(&mut self, id: RunId, signal: Signal, to: Target) {
        let number = i32::from(signal.number());
        if let Some(run) = self.table.run(id).filter(|run| run.leaf.is_some()) {
            return run.signal_in_cgroup(number, to);
        }
        if matches!(to, Target::Group | Target::Tree) {
            self.note_strays(id);
        }
        let orphans = match to {
            Target::Strays | Target::Tree => Some(self.adopted.take().unwrap_or_else(|| Orphans::look(&self.table))),
            Target::Leader | Target::Group => None,
        };
        let Some(run) = self.table.run(id) else { return };
        run.killing |= signal == Signal::KILL && to == Target::Tree;
        if to == Target::Leader && run.exit.is_none() {
            let _ = process::kill_pid(run.leader, number);
        }
        if matches!(to, Target::Group | Target::Tree) {
            run.signal_group(number);
        }
        if let Some(orphans) = &orphans {
            orphans.signal_strays(run, number);
        }
        if to == Target::Tree {
            for stray in &run.strays {
                let _ = tree::signal(*stray, number);
            }
        }
        // What was left of it may have left its session unseen; of that no exit tells.
        self.more_dead |= run.exit.is_some();
        self.adopted = orphans.or(self.adopted.take());
    }

    /// Remembers which descendants have left the session of the run, while they can still be told by their parents.
    fn note_strays(&mut self, id: RunId) {
        let Some(pid) = self.table.run(id).filter(|run| run.exit.is_none()).map(|run| run.leader) else { return };
        let table = &self.table;
        // Below a few services it is cheaper to ask each than to list all processes.
        let below = match self.processes.is_some() || self.pending.len() >= limits::ACTIONS_PER_TURN {
            false => tree::descendants(pid, limits::TREE),
            true => {
                let read = || tree::Table::read_listed(|pid| table.knows(pid)).unwrap_or_default();
                self.processes.get_or_insert_with(read).descendants(pid, limits::TREE)
            }
        };
        let Some(run) = self.table.run(id) else { return };
        for process in below {
            let strayed = tree::stat(process.pid).is_some_and(|stat| stat.session != run.pid);
            if strayed && !run.strays.contains(&process) {
                run.strays.push(process);
            }
        }
    }
}

/// Takes back starts that still wait and that newer orders already stop, as failed ones: a stop must not wait for thousands of
/// starts. A signal to a main process alone is none, it may be one that is passed on.
fn recall(pending: &mut VecDeque<Action>, orders: &[Action], outbox: &mut Vec<Event>) {
    if pending.is_empty() {
        return;
    }
    // By service, the generation that is stopped.
    let mut stopped: Vec<Option<u32>> = Vec::new();
    for order in orders {
        if let Action::Signal { run, to: Target::Group | Target::Tree, .. } = order {
            let at = run.service.index();
            stopped.resize(stopped.len().max(at + 1), None);
            stopped.get_mut(at).into_iter().for_each(|slot| *slot = Some(run.generation));
        }
    }
    pending.retain(|action| match action {
        Action::Spawn(run) if stopped.get(run.service.index()) == Some(&Some(run.generation)) => {
            outbox.push(Event::SpawnFailed(*run, SpawnError { message: String::new(), code: 0 }));
            false
        }
        _ => true,
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ServiceId;

    fn run(service: u32, generation: u32) -> RunId {
        RunId { service: ServiceId(service), generation }
    }

    #[test]
    fn a_start_that_waits_is_taken_back_by_a_stop_of_that_run_alone() {
        let mut pending: VecDeque<Action> =
            [run(1, 1), run(2, 1), run(3, 2), run(4, 1)].map(Action::Spawn).into_iter().collect();
        let orders = [(run(2, 1), Target::Group), (run(3, 1), Target::Tree), (run(4, 1), Target::Leader)];
        let orders = orders.map(|(run, to)| Action::Signal { run, signal: Signal::TERM, to });
        let mut outbox = Vec::new();
        recall(&mut pending, &orders, &mut outbox);
        assert!(matches!(outbox.as_slice(), [Event::SpawnFailed(recalled, _)] if *recalled == run(2, 1)), "{outbox:?}");
        assert_eq!(pending, [run(1, 1), run(3, 2), run(4, 1)].map(Action::Spawn));
    }
}
