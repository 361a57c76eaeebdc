//! Processes: what /proc tells of them, and signals to them.

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::path::{Path, PathBuf};

/// All that there are.
pub fn all() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Those that it has started, or has been given, and has not waited for.
pub fn children(pid: u32) -> Result<Vec<u32>> {
    let text = read(format!("/proc/{pid}/task/{pid}/children"))?;
    Ok(text.split_whitespace().filter_map(|child| child.parse().ok()).collect())
}

/// The directory of each of its threads.
pub fn threads(pid: u32) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten().map(|thread| thread.path())
}

/// The number behind this key, in a file of a line for each.
pub fn number(file: impl AsRef<Path>, key: &str) -> Result<u64> {
    let (file, text) = (file.as_ref(), read(file.as_ref())?);
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    let word = value.and_then(|value| value.split_whitespace().next());
    word.and_then(|word| word.parse().ok()).with_context(|| format!("there is no {key} in {}", file.display()))
}

/// What `stat` tells after its name: the state, the parent and so on.
pub fn stat(pid: u32) -> Result<Vec<String>> {
    let text = read(format!("/proc/{pid}/stat"))?;
    let (_, fields) = text.rsplit_once(") ").with_context(|| format!("process {pid} has no name"))?;
    Ok(fields.split_whitespace().map(str::to_owned).collect())
}

/// Of these processes, in KiB, each page shared out among all that use it.
pub fn memory(pids: &[u32]) -> Result<u64> {
    pids.iter().map(|pid| number(format!("/proc/{pid}/smaps_rollup"), "Pss")).sum()
}

/// Milliseconds for which threads of these processes have had a processor.
pub fn cpu(pids: &[u32]) -> f64 {
    let of = |thread: PathBuf| {
        let text = fs::read_to_string(thread.join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<f64>().ok()
    };
    pids.iter().flat_map(|pid| threads(*pid)).filter_map(of).sum::<f64>() / 1e6
}

/// Milliseconds of those children that it has waited for, in steps of a tick.
pub fn cpu_of_children(pid: u32) -> Result<f64> {
    let fields = stat(pid)?;
    let ticks = fields[13].parse::<f64>()? + fields[14].parse::<f64>()?;
    Ok(ticks * 1000.0 / rustix::param::clock_ticks_per_second() as f64)
}

/// How often threads of these processes have gone to sleep, ...
pub fn sleeps(pids: &[u32]) -> Result<u64> {
    sum_of_threads(pids, "voluntary_ctxt_switches")
}

/// ... and how often they have been taken from a processor in all.
pub fn switches(pids: &[u32]) -> Result<u64> {
    Ok(sleeps(pids)? + sum_of_threads(pids, "nonvoluntary_ctxt_switches")?)
}

fn sum_of_threads(pids: &[u32], key: &str) -> Result<u64> {
    pids.iter().flat_map(|pid| threads(*pid)).map(|thread| number(thread.join("status"), key)).sum()
}

/// A number that is one.
pub fn pid(number: u32) -> Result<Pid> {
    i32::try_from(number).ok().and_then(Pid::from_raw).with_context(|| format!("{number} is no pid"))
}

pub fn signal(number: u32, signal: Signal) -> Result<()> {
    kill_process(pid(number)?, signal).with_context(|| format!("cannot signal process {number}"))
}

fn read(file: impl AsRef<Path>) -> Result<String> {
    let file = file.as_ref();
    fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}
