//! Resource limits by the names of prlimit(1), set on ourselves.

use std::fmt;
use std::str::FromStr;

use nix::errno::Errno;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};

use super::raw::Change;
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
    /// What setting it takes. None if there is no such limit.
    pub(super) fn change(&self) -> Option<Change> {
        let (resource, soft, hard) = self.numbers()?;
        Some(Change::Limit(resource as libc::c_int, soft, hard))
    }

    /// "No limit" of files is the most that the kernel allows, for it refuses more even to root.
    fn numbers(&self) -> Option<(Resource, u64, u64)> {
        let (name, resource) = RESOURCES.iter().find(|(name, _)| *name == self.name)?;
        let most = if *name == "nofile" && self.hard == RLIM_INFINITY { nr_open() } else { None };
        let clamp = |value| if value == RLIM_INFINITY { most.unwrap_or(value) } else { value };
        Some((*resource, clamp(self.soft), clamp(self.hard)))
    }

    /// Sets it on this process. Lowering is for everybody; raising the hard limit needs CAP_SYS_RESOURCE.
    pub(super) fn apply(&self) -> Result<(), Failure> {
        let failed = |errno, why: &str| {
            let what = format!("cannot set the limit {} to {}", self.name, shown(self.soft, self.hard));
            Failure { stage: "limits", errno, message: format!("{what}: {why}") }
        };
        let Some((resource, soft, hard)) = self.numbers() else {
            return Err(failed(Errno::EINVAL, "there is no such limit"));
        };
        let Err(errno) = setrlimit(resource, soft, hard) else { return Ok(()) };
        match (errno, nr_open()) {
            (Errno::EPERM, Some(most)) if self.name == "nofile" && hard > most => {
                Err(failed(Errno::EPERM, &format!("no process may have more than {most} files (fs.nr_open)")))
            }
            (Errno::EPERM, _) => {
                let now = getrlimit(resource).map_or_else(|_| "lower".into(), |(_, hard)| shown(hard, hard));
                Err(failed(Errno::EPERM, &format!("the hard limit is {now} (raising it needs CAP_SYS_RESOURCE)")))
            }
            (errno, _) => Err(failed(errno, errno.desc())),
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
