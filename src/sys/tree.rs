//! Processes other than ours, as /proc shows them: who descends from whom, and signals that can't hit a stranger. Nothing
//! here is atomic, for /proc is not: a process that forks while it is being looked at may be missed, so callers look again
//! until they find nobody.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use super::process::{PidFd, kill_pid};
use super::{Errno, SysError};

pub use super::process::group_exists;

/// A line of /proc/pid/stat is some 350 bytes and can't reach this: 52 numbers and a name of at most 64.
const STAT: usize = 1536;
/// Room for a list of pids, which most are shorter than.
const LIST: usize = 256;

/// A process that can't be mistaken for another: a pid that is given out again comes with a later start time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProcId {
    /// Its process id.
    pub pid: u32,
    /// When it started, in clock ticks since boot.
    pub starttime: u64,
}

/// What /proc/pid/stat tells (proc_pid_stat(5)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// The parent.
    pub ppid: u32,
    /// The process group.
    pub pgrp: u32,
    /// The session.
    pub session: u32,
    /// `R`, `S`, `D`, `Z` and so on.
    pub state: u8,
    /// When it started, in clock ticks since boot.
    pub starttime: u64,
}

impl Stat {
    /// Whether it has ended: a zombie, or about to vanish.
    pub fn is_dead(&self) -> bool {
        matches!(self.state, b'Z' | b'X' | b'x')
    }
}

/// One process's stat; none if it is gone or /proc isn't there.
pub fn stat(pid: u32) -> Option<Stat> {
    stat_in(proc()?, pid)
}

/// /proc, if it is there and of our own pid namespace. A foreign one (`unshare --pid` without a mount of its own, as
/// careless containers have it) speaks of other processes by the same numbers, and we would signal strangers.
pub(super) fn proc() -> Option<&'static Path> {
    static OURS: AtomicBool = AtomicBool::new(false);
    let proc = Path::new("/proc");
    // A no is asked again, for it may be mounted later.
    if !OURS.load(Ordering::Relaxed) {
        let own = std::fs::read_link("/proc/self").ok()?;
        if number(own.as_os_str().as_encoded_bytes()) != Some(super::process::own_pid()) {
            return None;
        }
        OURS.store(true, Ordering::Relaxed);
    }
    Some(proc)
}

fn stat_in(proc: &Path, pid: u32) -> Option<Stat> {
    let mut buffer = [0; STAT];
    let mut file = File::open(proc.join(format!("{pid}/stat"))).ok()?;
    let mut length = 0_usize;
    loop {
        match file.read(buffer.get_mut(length..)?) {
            Ok(0) => break,
            Ok(count) => length = length.checked_add(count)?,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
    parse_stat(buffer.get(..length)?)
}

/// The name, in parentheses, is the process's own choice and may hold blanks and parentheses: its end is the last one.
fn parse_stat(text: &[u8]) -> Option<Stat> {
    let end = text.iter().rposition(|&byte| byte == b')')?;
    let mut fields = std::str::from_utf8(text.get(end.checked_add(1)?..)?).ok()?.split_ascii_whitespace();
    Some(Stat {
        state: *fields.next()?.as_bytes().first()?,
        ppid: fields.next()?.parse().ok()?,
        pgrp: fields.next()?.parse().ok()?,
        session: fields.next()?.parse().ok()?,
        // Field 22 of the line; the state is field 3.
        starttime: fields.nth(15)?.parse().ok()?,
    })
}

/// Direct children, zombies included. None if it can't be told: the process is gone, or the kernel keeps no lists of children
/// (CONFIG_PROC_CHILDREN, Linux 3.5; most have it, some small ones do not).
fn children_in(proc: &Path, pid: &str) -> Option<Vec<u32>> {
    let tasks = proc.join(pid).join("task");
    // A thread's file lists the children which that thread made or was given (proc_tid_children(5)). Most have one thread, as
    // the links to the directory tell: its own two, and one from each thread's.
    if tasks.metadata().ok()?.nlink() == 3
        && let Some(children) = children_of_task(&tasks.join(pid))
    {
        return Some(children);
    }
    let lists = tasks.read_dir().ok()?.flatten().filter_map(|task| children_of_task(&task.path()));
    lists.reduce(|mut all, more| {
        all.extend(more);
        all
    })
}

fn children_of_task(task: &Path) -> Option<Vec<u32>> {
    let mut text = Vec::with_capacity(LIST);
    // Not of the file itself, which would ask how long it is first: 0, as all here.
    File::open(task.join("children")).ok()?.take(u64::MAX).read_to_end(&mut text).ok()?;
    Some(text.split(|&byte| byte == b' ').filter_map(number).collect())
}

fn number(text: &[u8]) -> Option<u32> {
    std::str::from_utf8(text).ok()?.trim_ascii().parse().ok()
}

/// All our direct children, orphans that we adopted and zombies included. None if /proc isn't mounted
/// or is another pid namespace's.
pub fn children_of_self() -> Option<Vec<u32>> {
    children_in(proc()?, "self").or_else(|| {
        let own = super::process::own_pid();
        Table::read(|_| false).map(|table| table.children(own).iter().map(|child| child.pid).collect())
    })
}

/// Everybody below `pid`, which is not included, as many as `max`, parents before their children; zombies are left out. Where the
/// kernel keeps no lists of children all of /proc is read: then read a `Table` once for many questions.
pub fn descendants(pid: u32, max: usize) -> Vec<ProcId> {
    let Some(proc) = proc() else { return Vec::new() };
    match children_in(proc, &pid.to_string()) {
        Some(children) => descendants_in(proc, children, max),
        None => Table::read(|_| false).map(|table| table.descendants(pid, max)).unwrap_or_default(),
    }
}

fn descendants_in(proc: &Path, mut children: Vec<u32>, max: usize) -> Vec<ProcId> {
    let mut found: Vec<ProcId> = Vec::new();
    let mut walked = 0_usize;
    loop {
        for child in children {
            if found.len() >= max {
                return found;
            }
            // A child moves to another parent when its own dies, perhaps between two reads: it may come twice.
            if let Some(stat) = stat_in(proc, child).filter(|stat| !stat.is_dead())
                && !found.iter().any(|known| known.pid == child)
            {
                found.push(ProcId { pid: child, starttime: stat.starttime });
            }
        }
        let Some(next) = found.get(walked) else { return found };
        children = children_in(proc, &next.pid.to_string()).unwrap_or_default();
        walked = walked.saturating_add(1);
    }
}

/// The pids that /proc lists, each read when it is asked for. A /proc that isn't one is an empty directory; the real one
/// shows us at least ourselves.
fn listed(proc: &Path) -> Option<impl Iterator<Item = u32>> {
    let mut pids = proc.read_dir().ok()?.flatten().filter_map(|entry| number(entry.file_name().as_encoded_bytes()));
    let first = pids.next()?;
    Some(std::iter::once(first).chain(pids))
}

/// All processes at one moment, more or less: one reading of /proc that answers many questions.
#[derive(Debug, Clone, Default)]
pub struct Table {
    stats: HashMap<u32, Stat>,
    children: HashMap<u32, Vec<ProcId>>,
}

impl Table {
    /// Reads the stat of every process but those that `skip` names; they may still be asked about as parents. Skip the
    /// leaders of services: when nobody else is there, one list of pids is all it takes. None if /proc isn't mounted.
    pub fn read(skip: impl Fn(u32) -> bool) -> Option<Self> {
        let proc = proc()?;
        Some(Self::of(proc, listed(proc)?.filter(|&pid| !skip(pid))))
    }

    /// The same, faster: of a list that the cgroups give, where they can. It is whole before the first process is looked at,
    /// so who hands on its pid meanwhile is missed.
    pub fn read_listed(skip: impl Fn(u32) -> bool) -> Option<Self> {
        let proc = proc()?;
        match super::cgroup::everybody() {
            Some(pids) => Some(Self::of(proc, pids.into_iter().filter(|&pid| !skip(pid)))),
            None => Self::read(skip),
        }
    }

    fn of(proc: &Path, pids: impl Iterator<Item = u32>) -> Self {
        let mut table = Self::default();
        for pid in pids {
            if let Some(stat) = stat_in(proc, pid) {
                table.stats.insert(pid, stat);
                table.children.entry(stat.ppid).or_default().push(ProcId { pid, starttime: stat.starttime });
            }
        }
        table
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Stat)> {
        self.stats.iter().map(|(pid, stat)| (*pid, stat))
    }

    /// Direct children, zombies included.
    pub fn children(&self, pid: u32) -> &[ProcId] {
        self.children.get(&pid).map(Vec::as_slice).unwrap_or_default()
    }

    /// As the function of that name.
    pub fn descendants(&self, pid: u32, max: usize) -> Vec<ProcId> {
        let mut found: Vec<ProcId> = Vec::new();
        let mut next = Some(pid);
        let mut walked = 0_usize;
        while let Some(parent) = next {
            for child in self.children(parent) {
                if found.len() >= max {
                    return found;
                }
                // Parents read at different moments could seem to form a circle; pid 0 is the parent of init.
                let live = self.stats.get(&child.pid).is_some_and(|stat| !stat.is_dead());
                if live && child.pid != pid && !found.contains(child) {
                    found.push(*child);
                }
            }
            next = found.get(walked).map(|id| id.pid);
            walked = walked.saturating_add(1);
        }
        found
    }
}

/// Whether somebody of this session lives, all of /proc being read. Pids are read in ascending order, and so are they given
/// out: even who hands on its own all the time is caught up with, but for a moment when they begin anew, which on a busy
/// machine comes every few seconds, and may come twice.
pub fn session_lives(session: u32) -> bool {
    let lives = |table: Table| table.iter().any(|(_, stat)| stat.session == session && !stat.is_dead());
    (0..4).any(|_| Table::read(|_| false).is_some_and(lives))
}

/// The process as it is now; none if it is gone.
pub fn identify(pid: u32) -> Option<ProcId> {
    stat(pid).map(|stat| ProcId { pid, starttime: stat.starttime })
}

/// Whether this very process still runs; a zombie does not.
pub fn alive(id: ProcId) -> bool {
    stat(id.pid).is_some_and(|stat| stat.starttime == id.starttime && !stat.is_dead())
}

/// Signals this very process and no other that got its pid since: the pidfd is opened first and the start time compared
/// after, when the descriptor can no longer come to mean somebody else. False if it is gone. On a kernel without pidfds
/// (before Linux 5.3) the comparison and the kill are two steps, with a moment in between.
pub fn signal(id: ProcId, signo: i32) -> Result<bool, SysError> {
    let pidfd = match PidFd::open(id.pid) {
        Ok(pidfd) => Some(pidfd),
        // EINVAL: not a process but one of a process's threads, so the pid is another's now.
        Err(error) if matches!(error.errno, Errno::ESRCH | Errno::EINVAL) => return Ok(false),
        Err(_) => None,
    };
    if !alive(id) {
        return Ok(false);
    }
    let sent = match &pidfd {
        // Old seccomp profiles know pidfd_open and not pidfd_send_signal, or the other way round.
        Some(pidfd) => pidfd.signal(signo).or_else(|error| match error.errno {
            Errno::ENOSYS => kill_pid(id.pid, signo),
            _ => Err(error),
        }),
        None => kill_pid(id.pid, signo),
    };
    match sent {
        Err(error) if error.errno == Errno::ESRCH => Ok(false),
        done => done.map(|()| true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Task = (u32, &'static str);

    /// A /proc of files, with children lists: not every kernel that runs the tests has them.
    fn fake(processes: &[(u32, &str, char, &[Task])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (pid, name, state, tasks) in processes {
            let at = folder.path().join(pid.to_string());
            for (task, children) in *tasks {
                std::fs::create_dir_all(at.join(format!("task/{task}"))).unwrap();
                std::fs::write(at.join(format!("task/{task}/children")), children).unwrap();
            }
            let rest = "1 2 3 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0";
            std::fs::create_dir_all(&at).unwrap();
            std::fs::write(at.join("stat"), format!("{pid} ({name}) {state} {rest} {pid}00 9 9\n")).unwrap();
        }
        folder
    }

    #[test]
    fn the_children_of_every_thread_are_walked() {
        let folder = fake(&[
            (10, "leader", 'S', &[(10, "11 12 "), (15, "13 "), (16, "")]),
            (11, "a) (b", 'R', &[(11, "14 ")]),
            (12, "dead", 'Z', &[]),
            (13, "x", 'D', &[(13, "")]),
            (14, "deep", 'S', &[(14, "11 ")]),
        ]);
        let mut children = children_in(folder.path(), "10").unwrap();
        children.sort_unstable();
        assert_eq!(children, [11, 12, 13]);
        let mut found: Vec<(u32, u64)> =
            descendants_in(folder.path(), children, 9).iter().map(|id| (id.pid, id.starttime)).collect();
        found.sort_unstable();
        assert_eq!(found, [(11, 1100), (13, 1300), (14, 1400)]);
        assert_eq!(descendants_in(folder.path(), vec![11, 12, 13], 1).len(), 1);
        assert_eq!(children_in(folder.path(), "99"), None);
    }

    #[test]
    fn a_table_needs_a_real_proc() {
        assert!(listed(tempfile::tempdir().unwrap().path()).is_none());
        let folder = fake(&[(7, "seven", 'S', &[])]);
        assert_eq!(listed(folder.path()).unwrap().collect::<Vec<_>>(), [7]);
        let table = Table::of(folder.path(), [7, 8].into_iter());
        assert_eq!(table.children(1), [ProcId { pid: 7, starttime: 700 }]);
        assert_eq!(table.descendants(1, 9), [ProcId { pid: 7, starttime: 700 }]);
    }

    #[test]
    fn broken_lines_are_nothing() {
        for text in ["", "1", "1 (a", "1 (a)", "1 (a) S", "1 (a) S 1 2 3", "1 (a) S -1 2 3 0 0 0 0"] {
            assert_eq!(parse_stat(text.as_bytes()), None, "{text}");
        }
    }
}
