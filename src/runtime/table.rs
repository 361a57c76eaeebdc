//! The processes that exist because of us: which pid belongs to which run or probe, and which processes of a run
//! outlive its main process. Only the main thread has it. A pid in this table has not been waited for, so the kernel
//! can't have given its number to anybody else: signals by pid are safe (wait(2)).

use super::cgroups::Leaf;
use super::launch::{Started, stage_failed};
use crate::limits;
use crate::model::{Exit, HookId, Mono, Oom, ProbeId, RunId, Signal};
use crate::supervisor::{SpawnError, Target};
use crate::sys::process;
use crate::sys::spawn::{StageStatus, StatusPipe};
use crate::sys::tree::{self, ProcId, Stat};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::os::fd::{BorrowedFd, OwnedFd};

/// What a child of ours is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Child {
    /// The main process of a run.
    Leader(RunId),
    /// A command probe.
    Probe(ProbeId),
    /// A hook.
    Hook(HookId),
}

/// A run with at least one process left.
pub struct Run {
    /// Which one.
    pub id: RunId,
    /// Its session and process group: the pid of the process that was started.
    pub pid: u32,
    /// The pid of its main process.
    pub leader: u32,
    /// Who is its main process once this one has ended (`MAINPID=`).
    pub next_leader: Option<u32>,
    /// It may say what it is doing.
    pub notifies: bool,
    /// Where it writes a newline once it is ready.
    pub newline: Option<OwnedFd>,
    /// Its exec stage, until the exec.
    pub stage: Option<StatusPipe>,
    /// How its main process ended, once it has.
    pub exit: Option<Exit>,
    /// Descendants that were seen outside its session before a signal.
    pub strays: Vec<ProcId>,
    /// Whatever is found of it gets SIGKILL.
    pub killing: bool,
    /// Its cgroup, if it has one: then that tells what belongs to it.
    pub leaf: Option<Box<Leaf>>,
    /// It was killed because it had too much memory.
    pub oversized: bool,
}

/// Fast, and good enough: it is the kernel that deals out pids, mostly in a row.
#[derive(Default)]
struct PidHasher(u64);

impl Hasher for PidHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u32(u32::from(*byte)));
    }

    fn write_u32(&mut self, pid: u32) {
        // The golden ratio, as Knuth has it: every bit of the pid moves the highest ones.
        self.0 = (self.0 ^ u64::from(pid)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// All of them.
#[derive(Default)]
pub struct Table {
    children: HashMap<u32, Child, BuildHasherDefault<PidHasher>>,
    /// By service.
    runs: Vec<Option<Box<Run>>>,
    probes: HashMap<ProbeId, u32>,
    hooks: HashMap<HookId, u32>,
    /// Of probes and hooks, which end soon: what tells at their end whether it was their exec that failed.
    stages: HashMap<u32, StatusPipe>,
    /// Runs whose exec is still open, and since when. Few, and looked at in every turn.
    staged: Vec<(RunId, Mono)>,
    /// Runs whose main process has ended.
    bereft: Vec<RunId>,
    /// Runs whose newline is awaited.
    silent: Vec<RunId>,
}

impl Table {
    /// A run has begun.
    pub fn add_run(&mut self, id: RunId, started: Started, leaf: Option<Box<Leaf>>, notifies: bool) {
        let Started { pid, stage, newline } = started;
        self.children.insert(pid, Child::Leader(id));
        if stage.is_some() {
            self.staged.push((id, Mono(process::mono_now())));
        }
        if newline.is_some() {
            self.silent.push(id);
        }
        let index = id.service.index();
        if self.runs.len() <= index {
            self.runs.resize_with(index.saturating_add(1), || None);
        }
        if let Some(slot) = self.runs.get_mut(index) {
            let run = Run {
                id,
                pid,
                leader: pid,
                next_leader: None,
                notifies,
                newline,
                stage,
                exit: None,
                strays: Vec::new(),
                killing: false,
                leaf,
                oversized: false,
            };
            *slot = Some(Box::new(run));
        }
    }

    /// A command probe has begun.
    pub fn add_probe(&mut self, id: ProbeId, Started { pid, stage, .. }: Started) {
        self.stages.extend(stage.map(|stage| (pid, stage)));
        self.children.insert(pid, Child::Probe(id));
        self.probes.insert(id, pid);
    }

    /// A hook has begun.
    pub fn add_hook(&mut self, id: HookId, Started { pid, stage, .. }: Started) {
        self.stages.extend(stage.map(|stage| (pid, stage)));
        self.children.insert(pid, Child::Hook(id));
        self.hooks.insert(id, pid);
    }

    /// Why the exec of this probe or hook, which has ended, did not take place.
    pub fn exec_failure(&mut self, pid: u32) -> Option<SpawnError> {
        match self.stages.remove(&pid)?.read() {
            StageStatus::Failed { message, errno, .. } => Some(stage_failed(&message, errno)),
            StageStatus::Pending | StageStatus::Executed => None,
        }
    }

    /// This pid has been waited for: it means nothing any more.
    pub fn forget(&mut self, pid: u32) -> Option<Child> {
        let child = self.children.remove(&pid);
        match child {
            Some(Child::Probe(id)) => drop(self.probes.remove(&id)),
            Some(Child::Hook(id)) => drop(self.hooks.remove(&id)),
            Some(Child::Leader(_)) | None => {}
        }
        child
    }

    /// Whether this pid is a main process or a probe.
    pub fn knows(&self, pid: u32) -> bool {
        self.children.contains_key(&pid)
    }

    /// The run, if it is the service's current one.
    pub fn run(&mut self, id: RunId) -> Option<&mut Run> {
        self.runs.get_mut(id.service.index())?.as_deref_mut().filter(|run| run.id == id)
    }

    /// All runs.
    pub fn runs(&self) -> impl Iterator<Item = &Run> {
        self.runs.iter().filter_map(Option::as_deref)
    }

    fn peek(&self, id: RunId) -> Option<&Run> {
        self.runs.get(id.service.index())?.as_deref().filter(|run| run.id == id)
    }

    /// The run is over. Its cgroup is handed back.
    pub fn end_run(&mut self, id: RunId) -> Option<Box<Leaf>> {
        self.unstage(id);
        self.silent.retain(|other| *other != id);
        self.bereft.retain(|other| *other != id);
        let slot = self.runs.get_mut(id.service.index()).filter(|run| run.as_ref().is_some_and(|r| r.id == id));
        slot?.take()?.leaf
    }

    /// Its exec has taken place.
    pub fn unstage(&mut self, id: RunId) {
        self.staged.retain(|(other, _)| *other != id);
        if let Some(run) = self.run(id) {
            run.stage = None;
        }
    }

    /// Its main process has ended.
    pub fn lose_leader(&mut self, id: RunId, exit: Exit) -> bool {
        let Some(run) = self.run(id) else { return false };
        run.exit = Some(run.explain(exit));
        self.bereft.push(id);
        true
    }

    /// The run that may say what it is doing and that this process is part of: its main process, one of its session, or
    /// one that descends from them.
    pub fn notifier(&self, pid: u32) -> Option<RunId> {
        let mut pid = pid;
        for _ in 0..limits::PARENTS {
            let stat = match self.children.get(&pid) {
                Some(child) => return self.notifying(*child),
                None => tree::stat(pid)?,
            };
            if let Some(child) = self.children.get(&stat.session) {
                return self.notifying(*child);
            }
            pid = stat.ppid;
        }
        None
    }

    fn notifying(&self, child: Child) -> Option<RunId> {
        match child {
            Child::Leader(id) => self.peek(id).filter(|run| run.notifies).map(|run| run.id),
            Child::Probe(_) | Child::Hook(_) => None,
        }
    }

    /// The run says that this process of it will be its main process.
    pub fn set_next_leader(&mut self, id: RunId, pid: u32) {
        if let Some(run) = self.run(id) {
            run.next_leader = Some(pid).filter(|pid| *pid != run.leader);
        }
    }

    /// The main process of the run has ended. If it has named another one, and that lives and is our child now, the run
    /// goes on with it.
    pub fn hand_over(&mut self, id: RunId) -> bool {
        let Some(pid) = self.run(id).and_then(|run| run.next_leader.take()) else { return false };
        let stat = tree::stat(pid).filter(|stat| !stat.is_dead() && stat.ppid == process::own_pid());
        let (Some(stat), false) = (stat, self.knows(pid)) else { return false };
        let Some(run) = self.run(id) else { return false };
        // A daemon that has made a session of its own is known by that from now on.
        (run.leader, run.pid) = (pid, stat.session);
        self.children.insert(pid, Child::Leader(id));
        true
    }

    /// Runs whose newline is awaited.
    pub fn silent(&self) -> &[RunId] {
        &self.silent
    }

    /// The pipes of these.
    pub fn newlines(&self) -> impl Iterator<Item = &OwnedFd> {
        self.silent.iter().filter_map(|id| self.peek(*id)?.newline.as_ref())
    }

    /// The newline of this run has come, or never will.
    pub fn unsilence(&mut self, id: RunId) {
        self.silent.retain(|other| *other != id);
        if let Some(run) = self.run(id) {
            run.newline = None;
        }
    }

    /// The process of a probe.
    pub fn probe(&self, id: ProbeId) -> Option<u32> {
        self.probes.get(&id).copied()
    }

    /// The process of a hook.
    pub fn hook(&self, id: HookId) -> Option<u32> {
        self.hooks.get(&id).copied()
    }

    /// Runs whose exec is still open, and since when, the oldest first.
    pub fn staged(&self) -> &[(RunId, Mono)] {
        &self.staged
    }

    /// What tells whether their execs have taken place.
    pub fn stages(&self) -> impl Iterator<Item = &StatusPipe> {
        self.staged.iter().filter_map(|(id, _)| self.runs.get(id.service.index())?.as_ref()?.stage.as_ref())
    }

    /// What tells that nobody is left of such a run.
    pub fn emptying(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.bereft.iter().filter_map(|id| self.runs.get(id.service.index())?.as_ref()?.leaf.as_ref()?.emptiness())
    }

    /// Runs whose main process has ended while others may be left.
    pub fn bereft(&self) -> &[RunId] {
        &self.bereft
    }
}

impl Run {
    /// Sends a signal to processes of a run that has a cgroup.
    pub fn signal_in_cgroup(&mut self, signal: i32, to: Target) {
        let Some(leaf) = &self.leaf else { return };
        if to == Target::Leader && self.exit.is_none() {
            let _ = process::kill_pid(self.leader, signal);
        }
        if matches!(to, Target::Group | Target::Tree) {
            // Also the exec stage that has not joined the cgroup yet.
            self.signal_group(signal);
        }
        if to == Target::Tree && signal == libc::SIGKILL {
            self.killing = true;
            return leaf.kill();
        }
        if matches!(to, Target::Strays | Target::Tree) {
            for id in leaf.outside(self.pid) {
                let _ = tree::signal(id, signal);
            }
        }
    }

    /// Signals its process group.
    pub fn signal_group(&self, signal: i32) {
        // While a process is in the group its number is nobody else's; when none is, this says ESRCH.
        let _ = match self.exit.is_none() && self.leader == self.pid {
            true => process::kill_group_of_child(self.pid, signal),
            false => process::kill_group(self.pid, signal),
        };
    }

    /// Tells a kill for want of memory from others.
    fn explain(&self, exit: Exit) -> Exit {
        let oom = match exit {
            Exit::Signal(Signal::KILL) if self.oversized => Some(Oom::Watched),
            Exit::Signal(Signal::KILL) if !self.killing => self.leaf.as_ref().and_then(|leaf| leaf.oom()),
            Exit::Signal(_) | Exit::Code(_) | Exit::OutOfMemory(_) => None,
        };
        oom.map_or(exit, Exit::OutOfMemory)
    }
}

/// What has lost its parent and become a child of ours, found in one look.
#[derive(Default)]
pub struct Orphans {
    known: Vec<(ProcId, Stat)>,
    /// /proc is not there: only process groups can be asked for.
    blind: bool,
}

impl Orphans {
    /// Looks at all children of ours that are no main process and no probe. What outlives a main process is among
    /// them, or a descendant of one of them: it has no other parent left (PR_SET_CHILD_SUBREAPER in prctl(2)).
    pub fn look(table: &Table) -> Orphans {
        let children = tree::children_of_self();
        let blind = children.is_none();
        let unknown = children.unwrap_or_default().into_iter().filter(|pid| !table.knows(*pid));
        let identify = |pid| {
            let stat = tree::stat(pid).filter(|stat| !stat.is_dead())?;
            Some((ProcId { pid, starttime: stat.starttime }, stat))
        };
        Orphans { known: unknown.filter_map(identify).collect(), blind }
    }

    /// Whether anything of this run is left. `doubtful`: its number is in use, or it has had processes elsewhere.
    pub fn any_of(&self, run: &mut Run, doubtful: bool) -> bool {
        run.leaf.as_mut().is_some_and(|leaf| leaf.is_alive())
            || doubtful
                && (self.of(run).next().is_some()
                    // Who hands on its pid for ever may have been passed by on the way.
                    || (process::group_exists(run.pid) && (self.blind || tree::session_lives(run.pid))))
    }

    /// Kills all that is left of this run.
    pub fn kill(&self, run: &Run) {
        let signal = libc::SIGKILL;
        if let Some(leaf) = &run.leaf {
            leaf.kill();
        }
        let _ = process::kill_group(run.pid, signal);
        self.signal_strays(run, signal);
    }

    /// Sends a signal to what is left of this run outside its process group.
    pub fn signal_strays(&self, run: &Run, signal: i32) {
        for (id, stat) in self.of(run) {
            let below = tree::descendants(id.pid, limits::TREE);
            if stat.pgrp != run.pid {
                let _ = tree::signal(*id, signal);
            }
            for other in below.into_iter().filter(|id| tree::stat(id.pid).is_some_and(|stat| stat.pgrp != run.pid)) {
                let _ = tree::signal(other, signal);
            }
        }
    }

    /// Remembers what is in the run's session now: it may leave it.
    pub fn note(&self, run: &mut Run) {
        for (id, stat) in &self.known {
            if stat.session == run.pid && !run.strays.contains(id) && run.strays.len() < limits::NOTED {
                run.strays.push(*id);
            }
        }
    }

    /// Those that belong to this run: in its session, or seen below it before.
    fn of<'a>(&'a self, run: &'a Run) -> impl Iterator<Item = &'a (ProcId, Stat)> {
        self.known.iter().filter(|(id, stat)| stat.session == run.pid || run.strays.contains(id))
    }
}
