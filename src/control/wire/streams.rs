//! What services have written, and what has happened to them.

use super::Usage;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What services use, for whoever watches them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usages {
    /// By name; only those that have processes.
    pub usage: BTreeMap<String, Usage>,
}

/// Lines of output.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logs {
    /// The oldest first.
    pub lines: Vec<LogLine>,
    /// What else is to be said about them.
    pub notes: Vec<Note>,
}

/// One line that a service has written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// Which service.
    pub service: String,
    /// By which stream: stdout or stderr.
    pub stream: String,
    /// When Horust has read it: RFC 3339.
    pub ts: String,
    /// The line, without its end.
    pub text: String,
    /// It was no UTF-8: each byte that is none is `\xNN`, and each backslash two. Left out if false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub escaped: bool,
    /// The line goes on in the next one of this stream. Left out if false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
}

/// Something that a reader should know of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Which service it is about, if it is about one.
    pub service: Option<String>,
    /// For people.
    pub text: String,
    /// So many bytes of output, or events, are lost to this reader.
    pub lost: u64,
}

/// What has happened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Events {
    /// The oldest first.
    pub events: Vec<Event>,
    /// How many were asked for but are not kept any more.
    pub lost: u64,
}

/// Something that has happened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its number. They count up from 1, for as long as this Horust lives.
    pub seq: u64,
    /// When: RFC 3339.
    pub ts: String,
    /// To which service; none if to Horust as a whole.
    pub service: Option<String>,
    /// What: started, ready, exited, restarting, throttled, finished, not-needed, failed, unhealthy, recovered, not-ready,
    /// too-late, hook-failed, stopping, killing, unkillable, vanished, shutdown, kill-all, ignored-signal, bug. There may
    /// be more.
    pub kind: String,
    /// For people.
    pub text: String,
}
