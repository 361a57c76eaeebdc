//! How the output of a service is captured. A service without a [`Log`] writes straight to where its streams go.

use std::time::Duration;

/// What is kept of a service's output in memory, unless it says otherwise.
const BUFFER: usize = 1 << 20;

/// How the output of one service is captured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// What its lines become.
    pub format: LogFormat,
    /// The time before each line, or the precision of the one in JSON.
    pub timestamp: Option<Precision>,
    /// When standard output's file is followed by the next.
    pub stdout: Rotation,
    /// The same for standard error's.
    pub stderr: Rotation,
    /// How many lines are let through.
    pub rate_limit: Option<Rate>,
    /// Bytes of its latest output that are kept in memory.
    pub buffer: usize,
}

/// What a line becomes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Itself.
    #[default]
    Plain,
    /// `name | line`.
    Prefix,
    /// A JSON object; a line that is one already gets more fields.
    Json,
}

/// The precision of a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// Three digits after the second.
    Milliseconds,
    /// Six.
    Microseconds,
}

/// A number of lines in a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// At most so many lines ...
    pub lines: u32,
    /// ... in this time.
    pub per: Duration,
}

/// The files of one stream: when the next is begun, and what becomes of the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rotation {
    /// Once the file would grow larger than this.
    pub size: Option<u64>,
    /// Once it is this old.
    pub age: Option<Duration>,
    /// How many files there may be; all if none.
    pub keep: Option<u32>,
    /// Compress those that are complete.
    pub compress: bool,
    /// The names hold the time of the service's start.
    pub stamp: bool,
}

impl Default for Log {
    fn default() -> Log {
        Log {
            format: LogFormat::Plain,
            timestamp: None,
            stdout: Rotation::default(),
            stderr: Rotation::default(),
            rate_limit: None,
            buffer: BUFFER,
        }
    }
}

impl Rotation {
    /// Whether one file is ever followed by another.
    pub fn rotates(&self) -> bool {
        self.size.is_some() || self.age.is_some() || self.stamp
    }
}
