//! Directories of the cgroup v2 hierarchy (Documentation/admin-guide/cgroup-v2.rst in the kernel's sources): where we
//! are in it, and what can be asked of one group. Nothing here waits; `subtree` makes groups for others.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::process::{kill_pid, own_pid};
use super::tree::{self, ProcId};
use super::{Errno, SysError};

/// A group can be killed by looking and killing this often, where there is no `cgroup.kill`: a capped fork bomb is gone
/// by then, and another can't be caught up with.
const KILL_ROUNDS: usize = 16;

/// With more groups than this /proc is faster.
const MANY: usize = 64;

/// A cgroup, by its directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    path: PathBuf,
}

/// Our own place in the hierarchy.
#[derive(Debug, Clone)]
pub struct Own {
    /// Our group.
    pub group: Group,
    /// The topmost group that we can see.
    pub top: Group,
}

/// How often the kernel killed processes of a group for want of memory (`memory.events`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OomCounts {
    /// Processes killed, whoever's memory had run out.
    pub kills: u64,
    /// Times at which the group's own memory had.
    pub own: u64,
}

impl Own {
    /// Finds it. The error says in plain words why there is none.
    pub fn find() -> Result<Self, String> {
        Self::find_with_members().map(|(own, _)| own)
    }

    /// Finds it, and the processes in it, of which we are one.
    fn find_with_members() -> Result<(Self, Vec<u32>), String> {
        let cannot = |what: &str, error: io::Error| format!("cannot read {what}: {}", errno(&error).desc());
        let groups = fs::read("/proc/self/cgroup").map_err(|e| cannot("/proc/self/cgroup", e))?;
        let mounts = fs::read("/proc/self/mountinfo").map_err(|e| cannot("/proc/self/mountinfo", e))?;
        let mounts = mounts_of_v2(&mounts);
        if mounts.is_empty() {
            return Err("no cgroup v2 is mounted".to_owned());
        }
        let within = own_path(&groups).ok_or("the kernel has no cgroup v2 for Horust")?;
        let mut visible = mounts.iter().rev().filter_map(|mount| {
            let below = within.strip_prefix(&mount.root).ok()?;
            let top = Group { path: mount.point.clone() };
            // Not `join` of an empty path, which would leave a slash at the end.
            let path = if below.as_os_str().is_empty() { top.path.clone() } else { top.path.join(below) };
            let group = Group { path };
            // Another mount may hide this one, or be of another namespace with the same names: we must be in it.
            let members = group.processes().ok().filter(|pids| pids.contains(&own_pid()))?;
            Some((Self { group, top }, members))
        });
        visible.next().ok_or_else(|| "Horust's own cgroup is not below the mounted cgroup v2".to_owned())
    }
}

/// All processes that we can see, zombies left out, if the hierarchy has few groups, as in containers. The kernel makes these lists
/// faster than that of /proc, and keeps nothing of them: what /proc has shown of a process makes its end dearer.
pub fn everybody() -> Option<Vec<u32>> {
    let (own, mut pids) = Own::find_with_members().ok()?;
    let mut groups = vec![own.top];
    let mut walked = 0_usize;
    while let Some(group) = groups.get(walked) {
        if *group != own.group {
            pids.extend(group.processes().ok()?);
        }
        groups.extend(group.children());
        if groups.len() > MANY {
            return None;
        }
        walked = walked.saturating_add(1);
    }
    pids.retain(|pid| *pid != 0);
    Some(pids)
}

/// The path of the v2 hierarchy's line (cgroups(7)).
fn own_path(groups: &[u8]) -> Option<PathBuf> {
    let line = groups.split(|&byte| byte == b'\n').find_map(|line| line.strip_prefix(b"0::"))?;
    Some(PathBuf::from(OsStr::from_bytes(line)))
}

struct Mount {
    root: PathBuf,
    point: PathBuf,
}

/// Mounts of the v2 hierarchy (proc_pid_mountinfo(5)): `id parent device root point options [tag…] - type …`.
fn mounts_of_v2(mountinfo: &[u8]) -> Vec<Mount> {
    let parse = |line: &[u8]| {
        let mut fields = line.split(|&byte| byte == b' ');
        let root = unescape(fields.nth(3)?);
        let point = unescape(fields.next()?);
        let mut rest = fields.skip_while(|field| *field != b"-");
        (rest.nth(1)? == b"cgroup2").then_some(Mount { root: root.into(), point: point.into() })
    };
    mountinfo.split(|&byte| byte == b'\n').filter_map(parse).collect()
}

/// Blanks and the like are written as a backslash and three octal digits.
fn unescape(field: &[u8]) -> OsString {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, tail)) = rest.split_first() {
        let octal = tail.get(..3).filter(|_| first == b'\\').and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = tail.get(3..).unwrap_or_default();
            }
            None => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    OsString::from_vec(bytes)
}

impl Group {
    /// The group of this directory.
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Its directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The group of this name in it.
    pub fn child(&self, name: &str) -> Self {
        Self { path: self.path.join(name) }
    }

    /// The group that it is in, which may be beyond what is mounted.
    pub fn parent(&self) -> Option<Self> {
        self.path.parent().map(|path| Self { path: path.to_owned() })
    }

    /// The groups in it.
    pub fn children(&self) -> Vec<Self> {
        let entries = self.path.read_dir().into_iter().flatten().flatten();
        let groups = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        groups.map(|entry| Self { path: entry.path() }).collect()
    }

    /// Whether it is the root of the hierarchy, which no limits apply to. (That of a cgroup namespace is not.)
    pub fn is_root(&self) -> bool {
        !self.path.join("cgroup.type").exists()
    }

    /// Makes it. False if it is there already.
    pub fn create(&self) -> Result<bool, SysError> {
        match fs::create_dir(&self.path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(self.failed("create", &error)),
        }
    }

    /// Removes it and those in it. False if a process is in one of them.
    pub fn remove(&self) -> bool {
        match fs::remove_dir(&self.path) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => true,
            // The kernel says EBUSY for groups in it as well as for processes.
            Err(_) => {
                let mut empty = true;
                for child in self.children() {
                    empty &= child.remove();
                }
                empty && fs::remove_dir(&self.path).is_ok()
            }
        }
    }

    /// Writes one of its files.
    pub fn set(&self, file: &str, value: &str) -> Result<(), SysError> {
        let path = self.path.join(file);
        let write = || File::options().write(true).open(&path).and_then(|file| file.write_at(value.as_bytes(), 0));
        write()
            .map(drop)
            .map_err(|error| SysError::new("write", format!("{value:?} to {}", path.display()), errno(&error)))
    }

    /// The words of one of its files; none if it can't be read.
    pub fn words(&self, file: &str) -> Vec<String> {
        let text = fs::read_to_string(self.path.join(file)).unwrap_or_default();
        text.split_ascii_whitespace().map(str::to_owned).collect()
    }

    /// The processes in it and not in groups below it. 0 stands for each that our pid namespace does not have.
    pub fn processes(&self) -> Result<Vec<u32>, SysError> {
        let text = fs::read_to_string(self.path.join("cgroup.procs")).map_err(|error| self.failed("read", &error))?;
        Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
    }

    /// The processes in it and in all groups below it, as many as `max`.
    pub fn members(&self, max: usize) -> Vec<u32> {
        let mut found = self.processes().unwrap_or_default();
        for child in self.children() {
            if found.len() >= max {
                break;
            }
            found.extend(child.members(max.saturating_sub(found.len())));
        }
        found.truncate(max);
        found
    }

    /// The same as processes that can't be mistaken for others; those of other pid namespaces are left out.
    pub fn member_ids(&self, max: usize) -> Vec<ProcId> {
        self.members(max).into_iter().filter(|pid| *pid != 0).filter_map(tree::identify).collect()
    }

    /// Sends SIGKILL to all that is in it and below it. Those forked meanwhile get it too, by `cgroup.kill` (Linux 5.14);
    /// without, as many as can be caught up with.
    pub fn kill(&self) {
        if self.set("cgroup.kill", "1").is_err() {
            self.kill_one_by_one();
        }
    }

    /// The same without `cgroup.kill`.
    pub fn kill_one_by_one(&self) {
        for _ in 0..KILL_ROUNDS {
            let mut found = false;
            for pid in self.members(usize::MAX) {
                // Between the list and the signal it could have been reaped by its parent and its pid given out again,
                // if all of the pid space was used in this moment.
                found |=
                    pid != 0 && tree::stat(pid).is_some_and(|s| !s.is_dead()) && kill_pid(pid, libc::SIGKILL).is_ok();
            }
            if !found {
                return;
            }
        }
    }

    /// How often the kernel killed in it for want of memory; zero without the memory controller.
    pub fn oom_counts(&self) -> OomCounts {
        // What happens in groups below is not its own (Linux 5.2).
        let mut words = self.words("memory.events.local");
        if words.is_empty() {
            words = self.words("memory.events");
        }
        let count = |name: &str| {
            let mut values = words.iter().skip_while(|word| *word != name);
            values.nth(1).and_then(|value| value.parse().ok()).unwrap_or(0_u64)
        };
        OomCounts { kills: count("oom_kill").max(count("oom_group_kill")), own: count("oom") }
    }

    fn failed(&self, op: &'static str, error: &io::Error) -> SysError {
        SysError::new(op, self.path.display().to_string(), errno(error))
    }
}

/// What tells that the last process of a group has gone: `cgroup.events`, which poll(2) reports by POLLPRI.
#[derive(Debug)]
pub struct Emptiness {
    events: File,
}

impl Emptiness {
    /// Of this group and all below it.
    pub fn of(group: &Group) -> Result<Self, SysError> {
        let events = File::open(group.path.join("cgroup.events")).map_err(|error| group.failed("watch", &error))?;
        Ok(Self { events })
    }

    /// Whether nobody is in it. From this look on a change wakes who polls.
    pub fn look(&self) -> bool {
        let mut text = [0; 256];
        match self.events.read_at(&mut text, 0) {
            Ok(length) => !text.get(..length).unwrap_or_default().starts_with(b"populated 1"),
            // ENODEV: the group has been removed.
            Err(_) => true,
        }
    }
}

impl AsFd for Emptiness {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.events.as_fd()
    }
}

fn errno(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mounts_of_version_two_are_found() {
        let text = b"22 27 0:21 / /proc rw,relatime - proc proc rw\n\
            37 31 0:34 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n\
            41 31 0:38 /a\\040b /sys/fs/cgroup/uni\\134fied rw,relatime shared:9 master:2 - cgroup2 cgroup2 rw\n\
            broken\n";
        let mounts = mounts_of_v2(text);
        assert_eq!(mounts.len(), 1);
        assert_eq!(mounts[0].root, Path::new("/a b"));
        assert_eq!(mounts[0].point, Path::new("/sys/fs/cgroup/uni\\fied"));
        assert_eq!(own_path(b"4:memory:/x\n0::/a b/c\n"), Some("/a b/c".into()));
        assert_eq!(own_path(b"4:memory:/x\n"), None);
    }

    /// The files of a group as a directory of plain files.
    fn fake(files: &[(&str, &str)]) -> (tempfile::TempDir, Group) {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let group = Group { path: dir.path().to_owned() };
        (dir, group)
    }

    #[test]
    fn kills_for_want_of_memory_are_counted() {
        let none = "low 0\nhigh 0\nmax 3\noom 0\noom_kill 0\noom_group_kill 0\n";
        let (_dir, group) = fake(&[("memory.events", none)]);
        assert_eq!(group.oom_counts(), OomCounts::default());
        let below = "low 0\nhigh 0\nmax 3\noom 1\noom_kill 2\noom_group_kill 1\n";
        let (_dir, group) = fake(&[("memory.events", below), ("memory.events.local", none)]);
        assert_eq!(group.oom_counts(), OomCounts::default());
        let (_dir, group) = fake(&[("memory.events", below)]);
        assert_eq!(group.oom_counts(), OomCounts { kills: 2, own: 1 });
        let (_dir, group) = fake(&[]);
        assert_eq!(group.oom_counts(), OomCounts::default());
    }

    #[test]
    fn the_members_of_groups_below_count() {
        let (_dir, group) = fake(&[("cgroup.procs", ""), ("a/cgroup.procs", "7\n0\n"), ("a/b/cgroup.procs", "9\n")]);
        assert_eq!(group.processes().unwrap(), Vec::<u32>::new());
        assert_eq!(group.members(9), [7, 0, 9]);
        assert_eq!(group.members(1), [7]);
    }
}
