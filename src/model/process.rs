//! What a process becomes between its creation and its exec: its rights, limits and priorities. Data only; `sys` makes a
//! process of it.

use super::ResourceLimit;

/// What a process becomes between its creation and its exec. What is none stays as it is with Horust itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// Whose rights it runs with.
    pub user: Option<IdOrName>,
    /// Its group, instead of the user's.
    pub group: Option<IdOrName>,
    /// Further groups: with a user beside that user's own, without one instead of Horust's.
    pub supplementary_groups: Option<Vec<IdOrName>>,
    /// The permissions that new files don't get: umask(2).
    pub umask: Option<u16>,
    /// -20 to 19: nice(2).
    pub nice: Option<i8>,
    /// -1000 to 1000: `oom_score_adj` in proc(5).
    pub oom_score_adj: Option<i16>,
    /// Neither set-user-id programs nor file capabilities give it any rights.
    pub no_new_privileges: bool,
    /// Which of root's powers it has.
    pub capabilities: Option<Capabilities>,
    /// Resource limits by the names of prlimit(1).
    pub limits: Vec<(&'static str, Limit)>,
    /// What it and all that it starts may use together.
    pub resources: Option<ResourceLimit>,
}

/// A user or a group: by number (which need not be in the database) or by name (looked up at each start).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdOrName {
    /// A numeric id.
    Id(u32),
    /// A name.
    Name(String),
}

/// A resource limit: getrlimit(2). `u64::MAX` is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What holds.
    pub soft: u64,
    /// How far the process may raise it by itself; no less than `soft`.
    pub hard: u64,
}

/// Which capabilities a process has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Those that it can have at all, whatever it executes.
    pub bounding: CapSet,
    /// Those that it has from the start, also as an ordinary user. A part of `bounding`.
    pub ambient: CapSet,
}

/// A set of capabilities, as bits by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CapSet(pub u64);

/// By number: capabilities(7), `linux/capability.h`.
#[rustfmt::skip]
const NAMES: [&str; 41] = [
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
    "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
    "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
    "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
    "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
    "CHECKPOINT_RESTORE",
];

impl CapSet {
    /// No capability.
    pub const NONE: CapSet = CapSet(0);
    /// Every capability that the kernel knows, also those that this program does not.
    pub const ALL: CapSet = CapSet(u64::MAX);

    /// The names of all that can be named, without `CAP_`.
    pub fn names() -> &'static [&'static str] {
        &NAMES
    }

    /// One capability by its name, in capitals and without `CAP_`.
    pub fn named(name: &str) -> Option<CapSet> {
        let number = NAMES.iter().position(|known| *known == name)?;
        Some(CapSet(1 << number))
    }

    /// As a list of words: names, or "all" and the names of those that are missing, each after a `-`.
    pub fn words(self) -> Vec<String> {
        match self.made_from_all() {
            true => {
                let missing = CapSet::ALL.0 & !self.0;
                let less = named(missing).map(|name| format!("-{name}"));
                std::iter::once("all".to_owned()).chain(less).collect()
            }
            false => named(self.0).map(str::to_owned).collect(),
        }
    }

    fn made_from_all(self) -> bool {
        self.0 >> 63 == 1
    }

    /// Its capabilities that are not in `other`, as a list of names. A set that was made from "all" means all there are,
    /// so it never lacks any.
    pub fn beyond(self, other: CapSet) -> Vec<&'static str> {
        if self.made_from_all() { Vec::new() } else { named(self.0 & !other.0).collect() }
    }
}

fn named(bits: u64) -> impl Iterator<Item = &'static str> {
    NAMES.iter().enumerate().filter(move |(number, _)| bits >> number & 1 == 1).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_kernel() {
        for (name, number) in [("CHOWN", 0), ("NET_BIND_SERVICE", 10), ("SYS_RESOURCE", 24), ("CHECKPOINT_RESTORE", 40)]
        {
            assert_eq!(CapSet::named(name), Some(CapSet(1 << number)));
        }
        assert_eq!(CapSet::named("NET"), None);
    }

    #[test]
    fn what_is_beyond_is_named() {
        let two = CapSet(1 << 10 | 1 << 12);
        assert_eq!(two.beyond(CapSet::NONE), ["NET_BIND_SERVICE", "NET_ADMIN"]);
        assert_eq!(two.beyond(CapSet(1 << 10)), ["NET_ADMIN"]);
        assert_eq!(two.words(), ["NET_BIND_SERVICE", "NET_ADMIN"]);
        assert_eq!(CapSet(CapSet::ALL.0 & !two.0).words(), ["all", "-NET_BIND_SERVICE", "-NET_ADMIN"]);
        assert!(two.beyond(CapSet::ALL).is_empty() && CapSet::ALL.beyond(CapSet::NONE).is_empty());
    }
}
