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
    /// The service's own `memory`, in bytes; the kernel.
    Limit(u64),
    /// The container's or the machine's; the kernel.
    Shared,
    /// The service's own `memory`, in bytes; Horust, which watches where the kernel can't limit.
    Watched(u64),
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
            Exit::OutOfMemory(Oom::Limit(bytes)) => {
                write!(f, "was killed by the kernel: out of memory (limit {})", size(*bytes))
            }
            Exit::OutOfMemory(Oom::Shared) => {
                f.write_str("was killed by the kernel: the container or the machine is out of memory")
            }
            Exit::OutOfMemory(Oom::Watched(bytes)) => {
                write!(f, "was killed by Horust: out of memory (limit {})", size(*bytes))
            }
        }
    }
}

/// A number of bytes as a person would write it.
fn size(bytes: u64) -> String {
    let units = [(1 << 30, "GiB"), (1_000_000_000, "GB"), (1 << 20, "MiB"), (1_000_000, "MB"), (1 << 10, "KiB")];
    let whole = units.into_iter().find(|(unit, _)| bytes > 0 && bytes.is_multiple_of(*unit));
    whole.map_or_else(
        || format!("{bytes} bytes"),
        |(unit, name)| format!("{} {name}", bytes.checked_div(unit).unwrap_or(0)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_as_they_are_written() {
        for (bytes, text) in [
            (64 << 20, "64 MiB"),
            (1 << 30, "1 GiB"),
            (3 << 29, "1536 MiB"),
            (500_000_000, "500 MB"),
            (100_000, "100000 bytes"),
            (100 << 10, "100 KiB"),
            (0, "0 bytes"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn out_of_memory_is_a_kill() {
        let exit = Exit::OutOfMemory(Oom::Limit(64 << 20));
        assert_eq!(exit.shell_code(), 137);
        assert_eq!(exit.to_string(), "was killed by the kernel: out of memory (limit 64 MiB)");
    }
}
