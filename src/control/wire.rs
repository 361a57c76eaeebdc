//! What goes over the wire: the JSON of version 1 of the API. Fields are added, never renamed or removed.

mod streams;
mod tell;

pub use streams::{Event, Events, LogLine, Logs, Note, Usages};
pub use tell::{Course, Edge, Graph, Link, Node, Phase, Timeline, Why, Whys};

use serde::{Deserialize, Serialize};

/// `application/problem+json`, RFC 9457. `type` is left out: it is `about:blank`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The HTTP status in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong, for people.
    pub detail: String,
}

/// Horust itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Horust {
    /// Its version.
    pub version: String,
    /// Its pid, in its own pid namespace.
    pub pid: u32,
    /// Whether services may start; else everything is being stopped.
    pub up: bool,
    /// How many services there are.
    pub services: usize,
    /// When it was started: RFC 3339. Empty if it is too old to say so.
    #[serde(default)]
    pub started: String,
}

/// What may be done over this connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// Whether services may be looked at.
    pub reading: bool,
    /// Whether anything may be changed.
    pub writing: bool,
    /// The file with the token that allows both; none if there is none, or none is needed.
    pub token_at: Option<String>,
}

/// Several services.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Services {
    /// In the order in which they were loaded.
    pub services: Vec<Service>,
}

/// One service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// What it is doing: Initial, Starting, Started, Running, InKilling, Success, Failed, Finished or FinishedFailed.
    pub state: String,
    /// Whether it is to run.
    pub wanted: bool,
    /// Since when it has been in this state: RFC 3339.
    pub since: String,
    /// The same, as the number of milliseconds that have passed.
    pub for_ms: u64,
    /// Its main process, while it has one.
    pub pid: Option<u32>,
    /// How often it has been started.
    pub starts: u32,
    /// How often it has failed in a row.
    pub failures: u32,
    /// What it lacks to be ready, while it runs and is not.
    pub lacks: Option<String>,
    /// What its health checks say: unknown, healthy or unhealthy. None without such checks, and while it is not ready.
    pub health: Option<String>,
    /// What the last probe that failed said.
    pub last_probe_error: Option<String>,
    /// It is reading its configuration again.
    pub reloading: bool,
    /// What it says that it is doing (sd_notify's `STATUS=`).
    pub says: Option<String>,
    /// How its last run ended.
    pub last_exit: Option<Exit>,
    /// Why it has failed for good.
    pub reason: Option<String>,
    /// What its processes use, if it has any.
    pub usage: Option<Usage>,
}

/// Whether all is well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// The answer.
    pub healthy: bool,
    /// Whether services may start; else everything is being stopped.
    pub up: bool,
    /// Services that are not well.
    pub troubles: Vec<Trouble>,
}

/// A service that is not well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// Its name.
    pub service: String,
    /// What is wrong.
    pub why: String,
}

/// What a configuration that was read again changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reload {
    /// Whether it is in force now.
    pub applied: bool,
    /// Services that are new.
    pub added: Vec<String>,
    /// Services that are no more.
    pub removed: Vec<String>,
    /// Services whose keys have other values.
    pub changed: Vec<Changed>,
    /// Keys of `horust.toml` that have other values, and count from the next start of Horust on.
    pub at_next_start: Vec<String>,
    /// What is wrong with it, as `horust check --format json` has it, with the text that is pointed at. Then nothing is
    /// changed.
    pub errors: Vec<serde_json::Value>,
    /// What is worth reading, in the same form.
    pub warnings: Vec<serde_json::Value>,
}

/// A service whose keys have other values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// Its name.
    pub name: String,
    /// Which keys.
    pub keys: Vec<String>,
    /// Whether it has to run again for them.
    pub restart: bool,
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Exit {
    /// Its exit code.
    pub code: Option<u8>,
    /// The number of the signal that killed it.
    pub signal: Option<u8>,
    /// In words.
    pub text: String,
}

/// What the main process and its descendants use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Usage {
    /// How many there are.
    pub processes: usize,
    /// What they have in memory; what several of them share counts for each.
    pub memory_bytes: u64,
    /// The processor time that they have had.
    pub cpu_ms: u64,
}

impl Service {
    /// Whether it has processes, or is about to.
    pub fn is_live(&self) -> bool {
        matches!(self.state.as_str(), "Starting" | "Started" | "Running" | "InKilling")
    }
}
