//! `[resource-limit]`: a cgroup for each service that asks for limits, and what takes its place where there is none to
//! write to. Nothing is touched when no service asks.

use super::memory::{Watched, Watcher};
use crate::limits;
use crate::model::{Oom, Plan, ResourceLimit, RunId, ServiceSpec};
use crate::sys::cgroup::{Emptiness, Group, OomCounts};
use crate::sys::subtree::Subtree;
use crate::sys::tree::{self, ProcId};
use crate::sys::wake::EventFd;
use crate::sys::{SysError, process};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::Arc;

/// The name of our part of the hierarchy.
const NAME: &str = "horust";
/// What the kernel divides processor time by: 100 ms, its own default.
const CPU_PERIOD_US: u64 = 100_000;
/// `pids.max` takes no more (PID_MAX_LIMIT, 2^22).
const PIDS: u32 = 1 << 22;

/// A key of `[resource-limit]` and the controller that enforces it.
const CONTROLLERS: [(&str, &str); 3] = [("cpu", "cpu"), ("memory", "memory"), ("pids-max", "pids")];

/// The cgroups of all services.
pub struct Cgroups {
    subtree: Option<Result<Subtree, String>>,
    /// Of runs that are over, while the kernel still counts somebody in.
    retired: Vec<(Group, Emptiness)>,
    watcher: Option<Watcher>,
    wake: Arc<EventFd>,
    /// The keys of which has been said that they can't be enforced.
    confessed: Vec<&'static str>,
}

/// The cgroup of one run.
pub struct Leaf {
    group: Group,
    /// Before the run: the group may be older.
    before: OomCounts,
    /// Whether the kernel enforces a limit of its memory.
    memory: bool,
    emptiness: Option<Emptiness>,
}

impl Cgroups {
    /// None yet.
    pub fn new(wake: Arc<EventFd>) -> Cgroups {
        Cgroups { subtree: None, retired: Vec::new(), watcher: None, wake, confessed: Vec::new() }
    }

    /// Makes room for the cgroups that the services of the plan want. What can't be enforced is said here, in one line.
    /// Not before the first of them starts: a service may have to mount the hierarchy, and others may never start.
    fn set_up(&mut self, plan: &Plan) {
        let wanted = wanted(plan);
        let subtree = Subtree::claim(NAME, &controllers(&wanted), limits::CGROUP_PATIENCE);
        if let Ok(subtree) = &subtree
            && !subtree.leftovers().is_empty()
        {
            log::warn!("killed what an earlier Horust had left running: {}", subtree.leftovers().join(", "));
        }
        self.subtree = Some(subtree);
        self.confess(&wanted);
    }

    /// These are the services now.
    pub fn adopt(&mut self, plan: &Plan) {
        let wanted = wanted(plan);
        if let Some(Ok(subtree)) = &mut self.subtree {
            subtree.want(&controllers(&wanted));
        }
        if self.subtree.is_some() {
            self.confess(&wanted);
        }
    }

    fn confess(&mut self, wanted: &[&ResourceLimit]) {
        let lenient = || wanted.iter().filter(|limits| !limits.strict);
        let mut missing = self.missing();
        missing.retain(|key| lenient().any(|limits| asks(limits, key)) && !self.confessed.contains(key));
        self.confessed.extend(&missing);
        let memory = missing.contains(&"memory");
        missing.retain(|key| *key != "memory");
        let others = (!missing.is_empty()).then(|| format!("{} not enforced", enumerate(&missing)));
        let memory = memory.then(|| "memory is only looked at every second".to_owned());
        let parts: Vec<String> = others.into_iter().chain(memory).collect();
        if !parts.is_empty() {
            log::warn!("[resource-limit]: {}: {}", parts.join(", "), self.why());
        }
    }

    /// The keys that can't be enforced by a cgroup here.
    fn missing(&self) -> Vec<&'static str> {
        let offered = |controller| matches!(&self.subtree, Some(Ok(subtree)) if subtree.offers(controller));
        CONTROLLERS.into_iter().filter(|(_, controller)| !offered(controller)).map(|(key, _)| key).collect()
    }

    fn why(&self) -> &str {
        match &self.subtree {
            Some(Ok(subtree)) => subtree.shortfall(),
            Some(Err(why)) => why,
            None => "",
        }
    }

    /// The cgroup for a run of this service, with its limits in force. None if it has none.
    pub fn leaf(&mut self, plan: &Plan, spec: &ServiceSpec) -> Result<Option<Box<Leaf>>, String> {
        let Some(limits) = spec.resources() else { return Ok(None) };
        if self.subtree.is_none() {
            self.set_up(plan);
        }
        let mut missing = self.missing();
        missing.retain(|key| asks(limits, key));
        if limits.strict && !missing.is_empty() {
            return Err(format!("cannot limit {}, and `strict` is set: {}", missing.join(", "), self.why()));
        }
        let Some(Ok(subtree)) = &self.subtree else { return Ok(None) };
        let group = subtree.leaf(&spec.name);
        match prepare(&group, limits, &missing) {
            Ok(()) => {
                let memory = limits.memory.is_some() && !missing.contains(&"memory");
                Ok(Some(Box::new(Leaf { before: group.oom_counts(), group, memory, emptiness: None })))
            }
            Err(error) => {
                group.remove();
                Err(error.to_string())
            }
        }
    }

    /// A run of this service has begun: if the kernel does not limit its memory, it is watched.
    pub fn watch(&mut self, run: RunId, pid: u32, spec: &ServiceSpec, leaf: Option<&Leaf>) {
        let Some(limit) = spec.resources().and_then(|limits| limits.memory) else { return };
        if leaf.is_some_and(|leaf| leaf.memory) {
            return;
        }
        if self.watcher.is_none() {
            self.watcher = Watcher::start(Arc::clone(&self.wake));
        }
        let watched = Watched { run, pid, group: leaf.map(|leaf| leaf.group.clone()), limit };
        if !self.watcher.as_ref().is_some_and(|watcher| watcher.watch(watched)) {
            log::error!("{}: nobody can look at its memory", spec.name);
        }
    }

    /// Runs that were found to use more memory than they may.
    pub fn over(&self) -> Vec<RunId> {
        self.watcher.as_ref().map(|watcher| watcher.over().collect()).unwrap_or_default()
    }

    /// The run is over.
    pub fn retire(&mut self, run: RunId, leaf: Option<Box<Leaf>>) {
        if let Some(watcher) = &self.watcher {
            watcher.forget(run);
        }
        let Some(leaf) = leaf else { return };
        if !leaf.group.remove()
            && let Ok(emptiness) = Emptiness::of(&leaf.group)
        {
            self.retired.push((leaf.group, emptiness));
            // Only from a look on is a change told.
            self.tidy();
        }
    }

    /// Removes the cgroups of ended runs that have become empty.
    pub fn tidy(&mut self) {
        self.retired.retain(|(group, emptiness)| !(emptiness.look() && group.remove()));
    }

    /// What wakes main when there is something to tidy.
    pub fn retired(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.retired.iter().map(|(_, emptiness)| emptiness.as_fd())
    }

    /// All is over.
    pub fn release(self) {
        if let Some(Ok(subtree)) = self.subtree {
            subtree.release(limits::CGROUP_PATIENCE);
        }
    }
}

/// The controllers that enforce these limits.
fn controllers(wanted: &[&ResourceLimit]) -> Vec<&'static str> {
    let asked = CONTROLLERS.into_iter().filter(|(key, _)| wanted.iter().any(|limits| asks(limits, key)));
    asked.map(|(_, controller)| controller).collect()
}

fn wanted(plan: &Plan) -> Vec<&ResourceLimit> {
    plan.iter().filter_map(|(_, spec)| spec.resources()).collect()
}

fn asks(limits: &ResourceLimit, key: &str) -> bool {
    match key {
        "cpu" => limits.cpu.is_some(),
        "memory" => limits.memory.is_some(),
        _ => limits.pids_max.is_some(),
    }
}

fn enumerate(keys: &[&str]) -> String {
    let verb = if keys.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", keys.join(" and "))
}

/// Makes the group and sets its limits.
fn prepare(group: &Group, limits: &ResourceLimit, missing: &[&str]) -> Result<(), SysError> {
    if !group.create()? {
        // The last run's. If somebody is still in it, the kernel has not buried him yet, or he can't be killed.
        group.remove();
        group.create()?;
    }
    if let Some(thousandths) = limits.cpu.filter(|_| !missing.contains(&"cpu")) {
        let quota = u64::from(thousandths).saturating_mul(CPU_PERIOD_US) / 1000;
        group.set("cpu.max", &format!("{quota} {CPU_PERIOD_US}"))?;
    }
    if let Some(bytes) = limits.memory.filter(|_| !missing.contains(&"memory")) {
        group.set("memory.max", &bytes.to_string())?;
        // Not there: a kernel before Linux 4.19, or one that does not count swap. The limit holds all the same.
        let _ = group.set("memory.oom.group", "1");
        let _ = group.set("memory.swap.max", "0");
    }
    if let Some(pids) = limits.pids_max.filter(|_| !missing.contains(&"pids-max")) {
        group.set("pids.max", &pids.min(PIDS).to_string())?;
    }
    Ok(())
}

impl Leaf {
    /// Its directory.
    pub fn path(&self) -> &Path {
        self.group.path()
    }

    /// Whether somebody in it is alive. A change of that wakes who polls its [`emptiness`](Leaf::emptiness).
    pub fn is_alive(&mut self) -> bool {
        if self.emptiness.is_none() {
            self.emptiness = Emptiness::of(&self.group).ok();
        }
        match &self.emptiness {
            Some(emptiness) if emptiness.look() => false,
            // Some kernels count a process in for a moment after its parent has reaped it.
            _ => self.group.members(limits::TREE).into_iter().any(is_alive),
        }
    }

    /// What tells that nobody is in it any more, once somebody has asked.
    pub fn emptiness(&self) -> Option<BorrowedFd<'_>> {
        self.emptiness.as_ref().map(AsFd::as_fd)
    }

    /// Those in it that are not in this process group.
    pub fn outside(&self, pgrp: u32) -> impl Iterator<Item = ProcId> {
        let outside = move |id: &ProcId| tree::stat(id.pid).is_some_and(|stat| stat.pgrp != pgrp && !stat.is_dead());
        self.group.member_ids(limits::TREE).into_iter().filter(outside)
    }

    /// SIGKILL for all of it.
    pub fn kill(&self) {
        self.group.kill();
    }

    /// Whether the kernel has killed in it because memory had run out, and whose.
    pub fn oom(&self) -> Option<Oom> {
        let now = self.group.oom_counts();
        if now.kills <= self.before.kills {
            return None;
        }
        Some(if self.memory && now.own > self.before.own { Oom::Limit } else { Oom::Shared })
    }
}

/// 0 is a process of another pid namespace, of which nothing else can be known.
fn is_alive(pid: u32) -> bool {
    pid == 0 || tree::stat(pid).map_or_else(|| process::kill_pid(pid, 0).is_ok(), |stat| !stat.is_dead())
}
