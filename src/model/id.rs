//! Names for services, runs and probes that stay true when pids are reused.

use super::Hook;
use std::fmt;

/// A service: its index in [`Plan::services`](super::Plan::services).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceId(pub u32);

impl ServiceId {
    /// The index into `Plan::services`.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// One run of a service, from its spawn to the end of its whole process tree. A fact about an older generation is stale
/// and dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId {
    /// The service that runs.
    pub service: ServiceId,
    /// Counts the runs of this service, from 1.
    pub generation: u32,
}

/// One execution of one health probe of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProbeId {
    /// The run that is probed.
    pub run: RunId,
    /// Counts the probe rounds of this run, from 1.
    pub round: u32,
    /// Index into the probe list of the service.
    pub probe: u32,
    /// Whether it watches a service that is ready, or asks whether it is.
    pub ready: bool,
}

/// One execution of a hook of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HookId {
    /// The run that it belongs to.
    pub run: RunId,
    /// Which of its hooks.
    pub hook: Hook,
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.service.0, self.generation)
    }
}
