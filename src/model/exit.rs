//! How a process ended.

use super::Signal;
use std::fmt;

/// The end of a process, as wait(2) tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Exit {
    /// It called exit with this code, 0 to 255.
    Code(u8),
    /// A signal killed it.
    Signal(Signal),
}

impl Exit {
    /// The code by which a shell would report this end: the code itself, or 128 + the signal's number.
    pub fn shell_code(self) -> u8 {
        match self {
            Exit::Code(code) => code,
            Exit::Signal(signal) => 128u8.saturating_add(signal.number()),
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Code(code) => write!(f, "exited with code {code}"),
            Exit::Signal(signal) => write!(f, "was killed by {signal}"),
        }
    }
}
