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
