//! Resource limits by the names of prlimit(1), set on ourselves.

use std::fmt;
use std::str::FromStr;

use nix::errno::Errno;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};

use super::status::Failure;

/// A limit to set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// Its name.
    pub name: String,
    /// What holds; `u64::MAX` is no limit.
    pub soft: u64,
    /// How far that can be raised without privilege.
    pub hard: u64,
}

const RESOURCES: [(&str, Resource); 16] = [
    ("as", Resource::RLIMIT_AS),
    ("core", Resource::RLIMIT_CORE),
    ("cpu", Resource::RLIMIT_CPU),
    ("data", Resource::RLIMIT_DATA),
    ("fsize", Resource::RLIMIT_FSIZE),
    ("locks", Resource::RLIMIT_LOCKS),
    ("memlock", Resource::RLIMIT_MEMLOCK),
    ("msgqueue", Resource::RLIMIT_MSGQUEUE),
    ("nice", Resource::RLIMIT_NICE),
    ("nofile", Resource::RLIMIT_NOFILE),
    ("nproc", Resource::RLIMIT_NPROC),
    ("rss", Resource::RLIMIT_RSS),
    ("rtprio", Resource::RLIMIT_RTPRIO),
    ("rttime", Resource::RLIMIT_RTTIME),
    ("sigpending", Resource::RLIMIT_SIGPENDING),
    ("stack", Resource::RLIMIT_STACK),
];

/// The most descriptors that any process may have, privileged or not (proc(5)).
const NR_OPEN: &str = "/proc/sys/fs/nr_open";

impl fmt::Display for Limit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}:{}", self.name, self.soft, self.hard)
    }
}

impl FromStr for Limit {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (name, values) = text.split_once(':').ok_or(())?;
        let (soft, hard) = values.split_once(':').ok_or(())?;
        let number = |text: &str| text.parse().map_err(drop);
        Ok(Self { name: name.to_owned(), soft: number(soft)?, hard: number(hard)? })
    }
}

impl Limit {
    /// Sets it on this process. Lowering is for everybody; raising the hard limit needs CAP_SYS_RESOURCE.
    pub(super) fn apply(&self) -> Result<(), Failure> {
        let failed = |errno, why: &str| {
            let what = format!("cannot set the limit {} to {}", self.name, shown(self.soft, self.hard));
            Failure { stage: "limits", errno, message: format!("{what}: {why}") }
        };
        let Some((name, resource)) = RESOURCES.iter().find(|(name, _)| *name == self.name) else {
            return Err(failed(Errno::EINVAL, "there is no such limit"));
        };
        // "No limit" of files is the most that the kernel allows, for it refuses more even to root.
        let most = if *name == "nofile" { nr_open() } else { None };
        let clamp = |value| if value == RLIM_INFINITY { most.unwrap_or(value) } else { value };
        match setrlimit(*resource, clamp(self.soft), clamp(self.hard)) {
            Ok(()) => Ok(()),
            Err(Errno::EPERM) if most.is_some_and(|most| clamp(self.hard) > most) => {
                let why = format!("no process may have more than {} files (fs.nr_open)", most.unwrap_or_default());
                Err(failed(Errno::EPERM, &why))
            }
            Err(Errno::EPERM) => {
                let now = getrlimit(*resource).map_or_else(|_| "lower".into(), |(_, hard)| shown(hard, hard));
                Err(failed(Errno::EPERM, &format!("the hard limit is {now} (raising it needs CAP_SYS_RESOURCE)")))
            }
            Err(errno) => Err(failed(errno, errno.desc())),
        }
    }
}

fn nr_open() -> Option<u64> {
    std::fs::read_to_string(NR_OPEN).ok()?.trim().parse().ok()
}

fn shown(soft: u64, hard: u64) -> String {
    let one = |value| if value == RLIM_INFINITY { "unlimited".to_owned() } else { format!("{value}") };
    if soft == hard { one(soft) } else { format!("{}:{}", one(soft), one(hard)) }
}
