//! What processes have in memory, and have had of processor time, as /proc tells it. Reading the shares can wait for a process that is busy with its own
//! memory, so it is no work for a thread that must not wait.

use std::fs;
use std::time::Duration;

use nix::unistd::{SysconfVar, sysconf};

use super::tree;

/// What one process has in memory, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Resident {
    /// All of it, whoever else has it too.
    pub all: u64,
    /// What is not from files.
    pub anonymous: u64,
}

/// What this process has in memory; nothing if it is gone.
pub fn resident(pid: u32) -> Resident {
    let Some(text) = tree::proc().and_then(|proc| fs::read_to_string(proc.join(format!("{pid}/status"))).ok()) else {
        return Resident::default();
    };
    Resident { all: kilobytes(&text, "VmRSS:"), anonymous: kilobytes(&text, "RssAnon:") }
}

/// The same, where what several have counts for each by its share (Linux 4.14). None if we may not know.
pub fn share(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(tree::proc()?.join(format!("{pid}/smaps_rollup"))).ok()?;
    Some(kilobytes(&text, "Pss:"))
}

/// The processor time that this process has had, its own and the kernel's on its behalf, and that of the children that it
/// has waited for; none if it is gone.
pub fn cpu_time(pid: u32) -> Option<Duration> {
    let text = fs::read_to_string(tree::proc()?.join(format!("{pid}/stat"))).ok()?;
    // The name, in parentheses, may hold anything; utime, stime, cutime and cstime are the 12th to 15th word after it.
    let (_, rest) = text.rsplit_once(')')?;
    let words = rest.split_ascii_whitespace().skip(11).take(4).map_while(|word| word.parse::<u64>().ok());
    let ticks = words.fold(0, u64::saturating_add);
    let per_second = sysconf(SysconfVar::CLK_TCK).ok()??;
    Some(Duration::from_millis(ticks.saturating_mul(1000) / u64::try_from(per_second).ok()?.max(1)))
}

/// A line `NAME 123 kB`, in bytes.
fn kilobytes(text: &str, name: &str) -> u64 {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.split_ascii_whitespace().next()?.parse().ok());
    value.unwrap_or(0_u64).saturating_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_grows_with_work() {
        let own = std::process::id();
        let before = cpu_time(own).unwrap();
        let mut turns = 0_u64;
        while cpu_time(own).unwrap() < before + Duration::from_millis(30) {
            turns = std::hint::black_box(turns.wrapping_add(1));
        }
        assert!(turns > 0);
        assert_eq!(cpu_time(u32::MAX), None);
    }

    #[test]
    fn our_own_memory_is_more_than_nothing() {
        let block = std::hint::black_box(vec![1_u8; 8 << 20]);
        let own = resident(std::process::id());
        assert!(own.anonymous >= 8 << 20 && own.all >= own.anonymous, "{own:?}");
        let share = share(std::process::id()).unwrap();
        assert!(share >= 8 << 20, "{share}");
        assert_eq!(resident(u32::MAX), Resident::default());
        drop(block);
    }
}
