//! What Horust costs, in counts that don't depend on how busy a machine is: instructions, system calls, wake-ups, memory,
//! size. `xtask/counts.txt` bounds each a little above what it was when the bound was set.

use crate::parts::Outcome;
use crate::process::{self, sleeps};
use crate::tools::{built, need};
use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const BOUNDS: &str = "xtask/counts.txt";
/// How many services are started; the cost of one is the difference to a start of one, by this.
const STARTS: u64 = 300;
const RESTARTS: u64 = 300;
const IDLE: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_secs(60);

pub fn part() -> Result<Outcome> {
    if !cfg!(target_arch = "x86_64") {
        return Ok(Outcome::Skipped("the bounds are those of x86_64".to_owned()));
    }
    let valgrind = match need("valgrind", "valgrind") {
        Ok(valgrind) => valgrind,
        Err(why) => return Ok(Outcome::Skipped(format!("{why:#}"))),
    };
    let strace = match need("strace", "strace") {
        Ok(strace) => strace,
        Err(why) => return Ok(Outcome::Skipped(format!("{why:#}"))),
    };
    let lives = Lives { horust: built()?, dir: "target/counts".into() };
    let instructions = |services: &Path| lives.instructions(&valgrind, services);
    let calls = |services: &Path| lives.calls(&strace, services);
    let (one, many, again) = (lives.ending(1)?, lives.ending(STARTS + 1)?, lives.restarting()?);
    let (first, first_calls) = (instructions(&one)?, calls(&one)?);
    let few = lives.idle(1)?;
    let lot = lives.idle(STARTS + 1)?;
    within_bounds(&[
        ("instructions-first-service", first),
        ("instructions-per-start", instructions(&many)?.saturating_sub(first) / STARTS),
        ("instructions-per-restart", instructions(&again)?.saturating_sub(first) / RESTARTS),
        ("system-calls-first-service", first_calls),
        ("system-calls-per-start", calls(&many)?.saturating_sub(first_calls) / STARTS),
        ("system-calls-per-restart", calls(&again)?.saturating_sub(first_calls) / RESTARTS),
        ("idle-wake-ups", few.wake_ups + lot.wake_ups),
        ("private-bytes-per-service", lot.private.saturating_sub(few.private) / STARTS),
        ("binary-kib", fs::metadata(&lives.horust)?.len() / 1024),
    ])
}

/// Prints each count beside its bound.
fn within_bounds(counts: &[(&str, u64)]) -> Result<Outcome> {
    let text = fs::read_to_string(BOUNDS).with_context(|| format!("cannot read {BOUNDS}"))?;
    let bound = |name: &str| {
        let words = text.lines().filter_map(|line| line.split_once(' '));
        words.filter(|(key, _)| *key == name).find_map(|(_, value)| value.trim().parse::<u64>().ok())
    };
    let mut over = Vec::new();
    for (name, count) in counts {
        let bound = bound(name).with_context(|| format!("{BOUNDS} has no bound for {name}"))?;
        println!("{name:<28} {count:>10}   at most {bound:>10}");
        if *count > bound {
            over.push(*name);
        }
    }
    if !over.is_empty() {
        bail!(
            "over the bound: {}. Find what costs more; if it is worth it, say why and raise the bound in {BOUNDS}",
            over.join(", ")
        );
    }
    Ok(Outcome::Passed)
}

struct Lives {
    horust: PathBuf,
    dir: PathBuf,
}

struct Idle {
    wake_ups: u64,
    /// Bytes of memory that are no page of a file. ("Private_Dirty" has pages of a program just built that are not yet written
    /// to the disk, too.)
    private: u64,
}

impl Lives {
    /// Services that end at once.
    fn ending(&self, count: u64) -> Result<PathBuf> {
        self.services("ending", count, "command = \"/bin/true\"\n")
    }

    /// A service that fails at once, until its attempts are used up.
    fn restarting(&self) -> Result<PathBuf> {
        let restart = format!(
            "[restart]\nstrategy = \"on-failure\"\nbackoff = \"0s\"\nattempts = {RESTARTS}\nthrottle = false\n"
        );
        self.services("restarting", 1, &format!("command = \"/bin/false\"\n{restart}"))
    }

    fn services(&self, kind: &str, count: u64, text: &str) -> Result<PathBuf> {
        let dir = self.dir.join(format!("{kind}-{count}"));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir)?;
        for number in 0..count {
            fs::write(dir.join(format!("s{number}.toml")), text)?;
        }
        Ok(dir)
    }

    fn arguments(&self, services: &Path) -> Vec<PathBuf> {
        vec!["--services-path".into(), services.into(), "--uds-folder-path".into(), self.dir.join("uds")]
    }

    /// The instructions of all threads of Horust, its children's not.
    fn instructions(&self, valgrind: &Path, services: &Path) -> Result<u64> {
        let mut command = Command::new(valgrind);
        command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(&self.horust);
        let out =
            command.args(self.arguments(services)).stdin(Stdio::null()).output().context("cannot run valgrind")?;
        let said = String::from_utf8_lossy(&out.stderr);
        let count = said.lines().rev().find_map(|line| line.split_once("Collected :"));
        count.and_then(|(_, n)| n.trim().parse().ok()).with_context(|| format!("valgrind counted nothing: {said}"))
    }

    /// The system calls of all threads of Horust, and of its children up to the exec of their program.
    fn calls(&self, strace: &Path, services: &Path) -> Result<u64> {
        let logs = self.dir.join("strace");
        let _ = fs::remove_dir_all(&logs);
        fs::create_dir_all(&logs)?;
        let mut command = Command::new(strace);
        command.args(["-ff", "-o"]).arg(logs.join("of")).arg(&self.horust).args(self.arguments(services));
        // It ends with that of Horust, which a failed service may decide.
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .context("cannot run strace")?;
        let mut calls = 0;
        for log in fs::read_dir(&logs)? {
            let text = String::from_utf8_lossy(&fs::read(log?.path())?).into_owned();
            let lines = || text.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase() || c == '_'));
            // The exec in a first line is that of Horust itself.
            let end = lines().skip(1).position(|line| line.starts_with("execve(")).map_or(usize::MAX, |at| at + 2);
            calls += lines().take(end).count() as u64;
        }
        Ok(calls)
    }

    /// Lets services run that do nothing.
    fn idle(&self, count: u64) -> Result<Idle> {
        let services = self.services("idle", count, "command = \"/bin/sleep 1000\"\n")?;
        let mut horust = Command::new(&self.horust).args(self.arguments(&services)).spawn()?;
        let idle = settled(&mut horust, count).and_then(|()| {
            let before = sleeps(&[horust.id()])?;
            std::thread::sleep(IDLE);
            let private = process::number(format!("/proc/{}/smaps_rollup", horust.id()), "Anonymous")? * 1024;
            Ok(Idle { wake_ups: sleeps(&[horust.id()])? - before, private })
        });
        // Who has ended by itself is told of above.
        let _ = process::signal(horust.id(), Signal::TERM);
        horust.wait()?;
        idle
    }
}

/// Waits until all services are there and nothing has happened for a while.
fn settled(horust: &mut Child, count: u64) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let (mut last, mut since) = (u64::MAX, Instant::now());
    while Instant::now() < deadline {
        if let Some(status) = horust.try_wait()? {
            bail!("Horust ended with {status}");
        }
        let now = sleeps(&[horust.id()])?;
        if now != last || (process::children(horust.id())?.len() as u64) < count {
            (last, since) = (now, Instant::now());
        }
        if since.elapsed() > Duration::from_secs(2) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    bail!("{count} idle services were not at rest within {PATIENCE:?}: something wakes Horust up")
}
