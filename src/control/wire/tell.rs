//! What is told of how things came about: reasons, the graph. Part of the API, so the same rules hold as in `wire`.

use serde::{Deserialize, Serialize};

/// Why services are not what is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whys {
    /// In the order in which they were loaded.
    pub services: Vec<Why>,
}

/// Why a service is not what is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Why {
    /// Its name.
    pub service: String,
    /// Whether it is what is wanted: up, finished, or not wanted at all.
    pub well: bool,
    /// What it is, in one sentence without a full stop.
    pub text: String,
    /// From the service to what has to change first. Empty if there is nothing to explain.
    pub chain: Vec<Link>,
    /// How many links were left out before the last one, because the chain is long.
    pub omitted: usize,
    /// The services that wait for it.
    pub waiting: Vec<String>,
}

/// One service of such a chain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Its name.
    pub service: String,
    /// Since when it is so: RFC 3339.
    pub since: String,
    /// What it is, in one sentence without a full stop.
    pub text: String,
    /// The file that defines it.
    pub file: Option<String>,
    /// The line in that file.
    pub line: Option<u32>,
}

/// Which services start after which.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Graph {
    /// The services, in the order in which they were loaded.
    pub nodes: Vec<Node>,
    /// What they start after.
    pub edges: Vec<Edge>,
}

/// One service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// What it is doing. A running Horust always says so; there is none if only files were read.
    pub state: Option<String>,
    /// Whether it is to run.
    pub wanted: bool,
}

/// One entry of a `start-after`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edge {
    /// The service that waits.
    pub from: String,
    /// The service that it waits for.
    pub to: String,
    /// What has to be true of that one: started, ready, healthy, completed, completed-successfully or failed.
    pub condition: String,
    /// If not, it is about the order only.
    pub required: bool,
}

/// How services came up after Horust had started. All times are in milliseconds since `boot`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Timeline {
    /// When services could start for the first time: RFC 3339.
    pub boot: String,
    /// How long ago that is.
    pub now_ms: f64,
    /// When the last of the services that start with Horust was ready; none if some of them are not there yet.
    pub ready_ms: Option<f64>,
    /// The services, in the order in which they were loaded.
    pub services: Vec<Course>,
}

/// How one service came up for the first time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Course {
    /// Its name.
    pub name: String,
    /// What it is doing now.
    pub state: String,
    /// One after the other. None if nobody has wanted it yet.
    pub phases: Vec<Phase>,
    /// Whether the last service would have been ready earlier if this one had been.
    pub critical: bool,
    /// Of the services that it waited for, the one that came last.
    pub waited_for: Option<String>,
}

/// A part of that.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Phase {
    /// waiting (for others), delayed (`start-delay`), preparing (`before-start`), executing, starting (its program runs and
    /// is not ready; that of a oneshot until it has finished), retrying (its first run ended before it was ready) or ready.
    pub phase: String,
    /// When it began.
    pub from_ms: f64,
    /// When it ended; none if it goes on.
    pub to_ms: Option<f64>,
}
