//! How a process ended.

use super::Signal;
use std::fmt;

/// The end of a process, as wait(2) tells it, and why it was killed where that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Exit {
    /// It called exit with this code, 0 to 255.
    Code(u8),
    /// A signal killed it.
    Signal(Signal),
    /// SIGKILL killed it, because memory had run out.
    OutOfMemory(Oom),
}

/// Whose memory had run out, and who killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Oom {
    /// The service's own `memory`; the kernel.
    Limit,
    /// The container's or the machine's; the kernel.
    Shared,
    /// The service's own `memory`; Horust, which watches it where the kernel can't limit it.
    Watched,
}

impl Exit {
    /// The code by which a shell would report this end: the code itself, or 128 + the signal's number.
    pub fn shell_code(self) -> u8 {
        match self {
            Exit::Code(code) => code,
            Exit::Signal(signal) => 128u8.saturating_add(signal.number()),
            Exit::OutOfMemory(_) => Exit::Signal(Signal::KILL).shell_code(),
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Code(code) => write!(f, "exited with code {code}"),
            Exit::Signal(signal) => write!(f, "was killed by {signal}"),
            Exit::OutOfMemory(Oom::Limit) => f.write_str("was killed by the kernel: out of memory"),
            Exit::OutOfMemory(Oom::Shared) => {
                f.write_str("was killed by the kernel: the container or the machine is out of memory")
            }
            Exit::OutOfMemory(Oom::Watched) => f.write_str("was killed by Horust: out of memory"),
        }
    }
}
