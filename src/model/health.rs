//! When a service counts as ready, and what watches it after that.

use super::Command;
use std::path::PathBuf;
use std::time::Duration;

/// One question to a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// An HTTP HEAD request (GET if HEAD is not allowed): a 2xx answer passes.
    Http(String),
    /// The same through a socket of the file system.
    HttpUnix {
        /// The socket.
        socket: PathBuf,
        /// What is asked for.
        path: String,
    },
    /// A connection to this host and port is accepted.
    Tcp(String),
    /// A connection to this socket is accepted.
    Unix(PathBuf),
    /// This file exists. It is removed before each start.
    File(PathBuf),
    /// This command exits with 0.
    Command(Command),
}

/// Rounds of probes. A round passes when all of its probes pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rounds {
    /// At least one.
    pub probes: Vec<Probe>,
    /// Between the end of a round and the start of the next.
    pub interval: Duration,
    /// Of one probe.
    pub timeout: Duration,
    /// Before the first round.
    pub initial_delay: Duration,
    /// This many rounds in a row must pass.
    pub success_threshold: u32,
}

impl Default for Rounds {
    fn default() -> Rounds {
        Rounds {
            probes: Vec::new(),
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            initial_delay: Duration::ZERO,
            success_threshold: 1,
        }
    }
}

/// What watches a service that is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// What is asked, and how often.
    pub rounds: Rounds,
    /// More than this many failed rounds in a row are unhealthy.
    pub max_failed: u32,
    /// What then happens.
    pub on_unhealthy: OnUnhealthy,
}

impl Default for Health {
    fn default() -> Health {
        Health { rounds: Rounds::default(), max_failed: 3, on_unhealthy: OnUnhealthy::Restart }
    }
}

/// What happens to an unhealthy service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnUnhealthy {
    /// It is stopped and has failed: the restart policy decides.
    Restart,
    /// It is said and shown, nothing more.
    Report,
}

/// What makes a service Running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// The successful exec.
    Exec,
    /// The first pass of all health probes.
    Health,
    /// Signs of its own.
    Signs(Box<Signs>),
}

/// What must all be there for a service to be ready.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signs {
    /// Probes that must pass.
    pub rounds: Option<Rounds>,
    /// It says `READY=1` (sd_notify(3)).
    pub notify: bool,
    /// It writes a newline to this descriptor, as s6 has it.
    pub notify_fd: Option<i32>,
    /// It prints a line that this regular expression matches.
    pub log_line: Option<String>,
}

/// A sign of readiness that a service gives by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sign {
    /// `READY=1`.
    Notify,
    /// A newline on its `notify-fd`.
    NotifyFd,
    /// The line of its `log-line`.
    LogLine,
}

impl Sign {
    /// What is said of a service that has not given it.
    pub fn missing(self) -> &'static str {
        match self {
            Sign::Notify => "it has not said READY=1",
            Sign::NotifyFd => "it has written no newline to its notify-fd",
            Sign::LogLine => "it has not printed its log-line",
        }
    }
}

impl Readiness {
    /// Its own signs, if it has any.
    pub fn signs(&self) -> Option<&Signs> {
        match self {
            Readiness::Signs(signs) => Some(signs),
            Readiness::Exec | Readiness::Health => None,
        }
    }

    /// The signs that the service has to give by itself.
    pub fn awaited(&self) -> impl Iterator<Item = Sign> + '_ {
        let signs = self.signs();
        let is_awaited = move |sign: &Sign| {
            signs.is_some_and(|signs| match sign {
                Sign::Notify => signs.notify,
                Sign::NotifyFd => signs.notify_fd.is_some(),
                Sign::LogLine => signs.log_line.is_some(),
            })
        };
        [Sign::Notify, Sign::NotifyFd, Sign::LogLine].into_iter().filter(is_awaited)
    }
}
