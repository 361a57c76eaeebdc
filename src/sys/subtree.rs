//! A part of the cgroup hierarchy that is ours: one group for each of many programs, below our own group.
//!
//! ```text
//! BASE            our own group: a container's, a unit's
//! └─ NAME         locked by us; NAME-2, NAME-3 … when others share our group
//!    ├─ init      ourselves, if a group that hands out controllers may hold no process (all but the root)
//!    ├─ a.service
//!    └─ b.service
//! ```
//!
//! The lock, flock(2) on the directory, ends with us however we end. A subtree without one is what a predecessor has left,
//! and is taken over: what still runs in it is killed. A process in `init` that wants a subtree of its own gets it
//! beside `init`.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};

use super::cgroup::{Emptiness, Group, Own};
use super::process::{is_pid1, own_pid};
use super::{poll, tree};

/// The group of ourselves.
const INIT: &str = "init";
/// Ends the names of the others, so that none is that of a file of the kernel's.
const SUFFIX: &str = ".service";
/// As many subtrees beside each other; more is a mistake.
const NEIGHBOURS: usize = 64;
/// Processes are moved until none is left; a program that forks may be looked at again this often.
const MOVES: usize = 16;

/// A subtree that is ours.
#[derive(Debug)]
pub struct Subtree {
    base: Group,
    top: Group,
    _lock: Flock<File>,
    /// What the groups in it can be limited by.
    offered: Vec<String>,
    /// What was asked for.
    asked: Vec<String>,
    /// What we, or a predecessor, have enabled in the base.
    enabled: Vec<String>,
    /// Why not all is offered that was wanted.
    shortfall: String,
    /// The groups in which a predecessor had left processes.
    leftovers: Vec<String>,
}

impl Subtree {
    /// Makes one below our own group, or takes over what a predecessor has left, whose processes get `patience` to die.
    /// As many of the controllers as possible are enabled for the groups in it; without any, nobody is moved. The error
    /// says in plain words why there can be none.
    pub fn claim(name: &str, controllers: &[&str], patience: Duration) -> Result<Self, String> {
        let own = Own::find()?;
        let Place { base, top, lock: held, inherited } = place(&own, name)?;
        let mut leftovers = clear(&top, patience);
        for neighbour in base.children().into_iter().filter(|group| *group != top && is_named(group, name)) {
            // Those of predecessors who had to live beside each other.
            if is_like_ours(&neighbour, name)
                && let Some(_lock) = lock(&neighbour)
            {
                leftovers.extend(clear(&neighbour, patience));
                neighbour.remove();
            }
        }
        let mut subtree = Self {
            base,
            top,
            _lock: held,
            offered: vec![],
            asked: vec![],
            enabled: vec![],
            shortfall: String::new(),
            leftovers,
        };
        subtree.enable(&own, controllers, inherited);
        Ok(subtree)
    }

    /// Enables these as well, those that are new, as far as that is possible.
    pub fn want(&mut self, controllers: &[&str]) {
        let new: Vec<&str> =
            controllers.iter().copied().filter(|one| !self.asked.iter().any(|old| old == one)).collect();
        if new.is_empty() {
            return;
        }
        match Own::find() {
            Ok(own) => self.enable(&own, &new, false),
            Err(why) => self.shortfall = why,
        }
    }

    /// The group of this name, which need not exist.
    pub fn leaf(&self, name: &str) -> Group {
        self.top.child(&format!("{name}{SUFFIX}"))
    }

    /// Whether groups in it can be limited by this controller.
    pub fn offers(&self, controller: &str) -> bool {
        self.offered.iter().any(|offered| offered == controller)
    }

    /// Why not all that was wanted is offered.
    pub fn shortfall(&self) -> &str {
        &self.shortfall
    }

    /// The groups in which a predecessor had left processes, which were killed.
    pub fn leftovers(&self) -> &[String] {
        &self.leftovers
    }

    /// Ends what is still in it and removes it, as far as that is possible within `patience`, and goes back to the base.
    pub fn release(self, patience: Duration) {
        clear(&self.top, patience);
        // The other way round than it was made: a group with controllers for those below takes no process.
        for controller in self.top.words("cgroup.subtree_control") {
            let _ = self.top.set("cgroup.subtree_control", &format!("-{controller}"));
        }
        // Whoever else is in the base may have set limits since.
        if self.base.children() == [self.top.clone()] {
            for controller in &self.enabled {
                let _ = self.base.set("cgroup.subtree_control", &format!("-{controller}"));
            }
        }
        let init = self.top.child(INIT);
        for pid in init.processes().unwrap_or_default().into_iter().filter(|pid| *pid != 0) {
            let _ = self.base.set("cgroup.procs", &pid.to_string());
        }
        self.top.remove();
    }

    fn enable(&mut self, own: &Own, controllers: &[&str], inherited: bool) {
        self.asked.extend(controllers.iter().map(|one| (*one).to_owned()));
        let available = self.base.words("cgroup.controllers");
        let (wanted, missing): (Vec<&str>, Vec<&str>) =
            controllers.iter().partition(|wanted| available.iter().any(|available| available == *wanted));
        if !missing.is_empty() {
            let (s, are) = if missing.len() == 1 { ("", "is") } else { ("s", "are") };
            let place = self.base.path().display();
            self.shortfall = format!("the controller{s} {} {are} not available in {place}", missing.join(", "));
        }
        if wanted.is_empty() {
            return;
        }
        if let Err(why) = self.vacate_base(own) {
            self.shortfall = why;
            return;
        }
        let already = self.base.words("cgroup.subtree_control");
        for controller in wanted {
            let new = !already.iter().any(|enabled| enabled == controller);
            let order = format!("+{controller}");
            // One by one: a controller that is refused must not take the others with it.
            let done = if new { self.base.set("cgroup.subtree_control", &order) } else { Ok(()) };
            if (new || inherited) && done.is_ok() {
                self.enabled.push(controller.to_owned());
            }
            match done.and_then(|()| self.top.set("cgroup.subtree_control", &order)) {
                Ok(()) => self.offered.push(controller.to_owned()),
                Err(error) => self.shortfall = error.to_string(),
            }
        }
    }

    /// A group that hands out controllers may hold no process but if it is the root: those in the base are moved, if
    /// they are ours to move.
    fn vacate_base(&self, own: &Own) -> Result<(), String> {
        if self.base.is_root() {
            return Ok(());
        }
        // Whoever is in the only group that can be seen from here belongs to the same container.
        let all_ours = is_pid1() || own.group == own.top;
        let mut created = false;
        for _ in 0..MOVES {
            let inside = self.base.processes().map_err(|error| error.to_string())?;
            if inside.is_empty() {
                return Ok(());
            }
            let below = if all_ours { vec![] } else { tree::descendants(own_pid(), usize::MAX) };
            let ours = |pid: u32| pid == own_pid() || all_ours || below.iter().any(|id| id.pid == pid);
            // 0 is a process of another pid namespace; written, it would mean ourselves.
            if inside.iter().any(|pid| *pid == 0 || !ours(*pid)) {
                return Err(format!("there are other processes in Horust's cgroup {}", self.base.path().display()));
            }
            let init = self.top.child(INIT);
            if !created {
                init.create().map_err(|error| error.to_string())?;
                created = true;
            }
            for pid in inside {
                match init.set("cgroup.procs", &pid.to_string()) {
                    // Gone meanwhile; or not ours to move, which the next round finds.
                    Err(error) if pid == own_pid() => return Err(error.to_string()),
                    _ => {}
                }
            }
        }
        Err(format!("processes appear in {} faster than they can be moved", self.base.path().display()))
    }
}

/// Where a subtree is to be.
struct Place {
    base: Group,
    top: Group,
    lock: Flock<File>,
    /// It was there already.
    inherited: bool,
}

fn place(own: &Own, name: &str) -> Result<Place, String> {
    let mut base = own.group.clone();
    if file_name(&own.group) == INIT
        && own.group != own.top
        && let Some(above) = own.group.parent()
        && is_named(&above, name)
    {
        // We were started by the owner of a subtree, or after one who has not come to move us back.
        if above != own.top
            && let (Some(lock), Some(beyond)) = (lock(&above), above.parent())
        {
            return Ok(Place { base: beyond, top: above, lock, inherited: true });
        }
        base = above;
    }
    for number in 1..=NEIGHBOURS {
        let top = base.child(&if number == 1 { name.to_owned() } else { format!("{name}-{number}") });
        let new = top.create().map_err(|error| error.to_string())?;
        if (new || is_like_ours(&top, name))
            && let Some(lock) = lock(&top)
        {
            return Ok(Place { base, top, lock, inherited: !new });
        }
    }
    Err(format!("there are {NEIGHBOURS} others in {}", base.path().display()))
}

/// None if somebody else has it, or it was removed by somebody meanwhile.
fn lock(group: &Group) -> Option<Flock<File>> {
    let directory = File::open(group.path()).ok()?;
    let lock = Flock::lock(directory, FlockArg::LockExclusiveNonblock).ok()?;
    let (locked, now) = (lock.metadata().ok()?, fs::metadata(group.path()).ok()?);
    (locked.ino() == now.ino()).then_some(lock)
}

fn file_name(group: &Group) -> &str {
    group.path().file_name().and_then(OsStr::to_str).unwrap_or_default()
}

fn is_named(group: &Group, name: &str) -> bool {
    let number = file_name(group).strip_prefix(name).map(|rest| rest.strip_prefix('-').unwrap_or(rest));
    number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Whether this group, which bears our name, is of our making: what is in another is not ours to kill.
fn is_like_ours(top: &Group, name: &str) -> bool {
    let known = |group: &Group| file_name(group) == INIT || file_name(group).ends_with(SUFFIX) || is_named(group, name);
    top.processes().is_ok_and(|pids| pids.is_empty()) && top.children().iter().all(known)
}

/// Ends what is in the groups of programs, and removes them. Says in which there was somebody.
fn clear(top: &Group, patience: Duration) -> Vec<String> {
    let leaves: Vec<Group> = top.children().into_iter().filter(|group| file_name(group).ends_with(SUFFIX)).collect();
    let mut dying = Vec::new();
    for leaf in leaves {
        if leaf.remove() {
            continue;
        }
        leaf.kill();
        dying.push(leaf);
    }
    let end = std::time::Instant::now().checked_add(patience);
    for leaf in &dying {
        let Ok(emptiness) = Emptiness::of(leaf) else { continue };
        let left = || end.map_or(patience, |end| end.saturating_duration_since(std::time::Instant::now()));
        while !emptiness.look() && !left().is_zero() {
            let _ = poll::wait_changes(&[], &[emptiness.as_fd()], Some(left()));
        }
        leaf.remove();
    }
    let name = |leaf: &Group| file_name(leaf).strip_suffix(SUFFIX).unwrap_or_default().to_owned();
    dying.iter().map(name).collect()
}
