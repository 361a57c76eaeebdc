//! What a service's processes use, read from /proc when somebody asks. Not by the main thread: there may be many.

use super::logger;
use crate::control::Lost;
use crate::control::wire::Usage;
use crate::limits;
use crate::logging;
use crate::sys::{memory, tree};

/// What this process and its descendants use.
pub fn usage(pid: u32) -> Usage {
    let below = tree::descendants(pid, limits::TREE);
    let mut usage = Usage::default();
    for pid in std::iter::once(pid).chain(below.into_iter().map(|process| process.pid)) {
        let Some(cpu) = memory::cpu_time(pid) else { continue };
        usage.processes = usage.processes.saturating_add(1);
        usage.memory_bytes = usage.memory_bytes.saturating_add(memory::resident(pid).all);
        usage.cpu_ms = usage.cpu_ms.saturating_add(u64::try_from(cpu.as_millis()).unwrap_or(u64::MAX));
    }
    usage
}

/// What was dropped since the start.
pub fn lost() -> Lost {
    let (limited, refused) = logging::dropped();
    Lost { limited, refused, messages: logger::dropped() }
}
