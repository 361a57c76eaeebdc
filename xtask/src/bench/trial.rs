//! One supervisor at work, as PID 1 of a pid namespace of its own with its own /proc, as in a container. What happens when is
//! told by the processes themselves, in the journal of the trial: the launcher right before it executes the supervisor, and
//! services at their first instruction. So it does not matter when this process looks.

use super::peers::Peer;
use crate::poll::polled;
use crate::process;
use crate::tools::{self, capture};
use anyhow::{Context, Result, bail, ensure};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{PidfdFlags, Signal, pidfd_open};
use rustix::time::{ClockId, Timespec, clock_gettime};
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// After that a supervisor counts as stuck.
const PATIENCE: Duration = Duration::from_secs(60);
const RECORD: usize = 16;
/// The name of the directory of a benchmark, up to its pid.
const HOME: &str = "horust-bench-";

/// The programs of a benchmark, and the place of its files.
pub struct Kit {
    pub home: PathBuf,
    pub probe: PathBuf,
    pub floor: PathBuf,
    pub horust: PathBuf,
    cgroup: Option<PathBuf>,
}

impl Kit {
    /// Compiles what is needed, and finds a place for it: in memory if that can be, so that no disk is measured.
    pub fn new(horust: PathBuf) -> Result<Kit> {
        tools::need("cc", "gcc")?;
        tools::need("unshare", "util-linux")?;
        let mut tried = Vec::new();
        for base in [PathBuf::from("/dev/shm"), std::env::temp_dir()] {
            clean(&base);
            let home = base.join(format!("{HOME}{}", std::process::id()));
            if fs::create_dir(&home).is_err() {
                continue;
            }
            let (probe, floor) = (home.join("probe"), home.join("floor"));
            let kit = Kit { home, probe, floor, horust: horust.clone(), cgroup: enter_cgroup() };
            compile(&kit.probe, include_str!("probe.c"), &["-O1", "-nostdlib", "-ffreestanding", "-fno-builtin"])?;
            compile(&kit.floor, include_str!("floor.c"), &["-O2"])?;
            match capture(&mut Command::new(&kit.probe)) {
                Ok(_) => return Ok(kit),
                Err(why) => tried.push(format!("{why:#}")),
            }
        }
        bail!("there is no directory whose programs may be executed: {}", tried.join("; "))
    }
}

/// Removes what killed benchmarks have left.
fn clean(base: &Path) {
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(HOME));
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            // A cgroup has files, but none that could be removed.
            let _ = fs::remove_dir(entry.path()).or_else(|_| fs::remove_dir_all(entry.path()));
        }
    }
}

/// Moves this process, and so all that it starts, into a cgroup of its own, as a container's is. In the root cgroup Linux weighs
/// sessions against each other, and whoever makes one for each service would wait for all else that runs.
fn enter_cgroup() -> Option<PathBuf> {
    let cgroup = ["cpu", ""].iter().find_map(|hierarchy| {
        let above = Path::new("/sys/fs/cgroup").join(hierarchy);
        clean(&above);
        let cgroup = above.join(format!("{HOME}{}", std::process::id()));
        fs::create_dir(&cgroup).ok()?;
        if cgroup.join("cpu.weight").exists() || cgroup.join("cpu.shares").exists() {
            return Some(cgroup);
        }
        let _ = fs::remove_dir(&cgroup);
        None
    });
    let entered = cgroup.filter(|cgroup| fs::write(cgroup.join("cgroup.procs"), "0").is_ok());
    if entered.is_none() {
        println!("without a cpu cgroup of its own: sessions are weighed against all else that runs");
    }
    entered
}

impl Drop for Kit {
    fn drop(&mut self) {
        if let Some(cgroup) = &self.cgroup {
            let _ = fs::write(cgroup.with_file_name("cgroup.procs"), "0");
            let _ = fs::remove_dir(cgroup);
        }
        let _ = fs::remove_dir_all(&self.home);
    }
}

fn compile(program: &Path, text: &str, flags: &[&str]) -> Result<()> {
    let source = program.with_extension("c");
    fs::write(&source, text)?;
    capture(Command::new("cc").args(["-static", "-fno-stack-protector", "-o"]).arg(program).args(flags).arg(source))?;
    Ok(())
}

/// What a supervisor is to run.
#[derive(Clone, Copy, Default)]
pub struct Services {
    pub count: usize,
    /// What `probe.c` is told, with the count and the chunk that go with it.
    pub act: &'static str,
    pub act_count: usize,
    pub act_chunk: usize,
    /// Output is captured and rotated every 10 MB, five files being kept.
    pub log: bool,
    /// Output is captured, and goes on to that of the supervisor.
    pub captured: bool,
    /// Run as nobody, with limits.
    pub limited: bool,
    /// The floor gives each a session of its own, as most supervisors do anyway.
    pub sessions: bool,
}

impl Services {
    pub fn waiting(count: usize) -> Services {
        Services { count, act: "wait", ..Services::default() }
    }

    /// The one argument of the probe.
    pub fn argument(&self, dir: &Path, id: usize) -> String {
        format!("{},{id},{},{},{}", self.act, self.act_count, self.act_chunk, dir.join("journal").display())
    }
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Kind {
    Launched = 1,
    Started,
    ToldToEnd,
    Signalled,
    Began,
    Done,
}

pub struct Trial {
    pub peer: Peer,
    pub dir: PathBuf,
    unshare: Child,
    /// The supervisor, as it is called outside of its namespace.
    pub pid: u32,
}

impl Trial {
    /// A supervisor of these services.
    pub fn services(kit: &Kit, peer: Peer, services: &Services) -> Result<Trial> {
        let dir = directory(kit)?;
        let command = peer.services(kit, &dir, services)?;
        launch(kit, peer, dir, &command)
    }

    /// One command, which does `act`, below a supervisor.
    pub fn command(kit: &Kit, peer: Peer, act: &'static str, count: usize) -> Result<Trial> {
        let dir = directory(kit)?;
        let act = Services { act, act_count: count, ..Services::waiting(1) };
        let command = peer.command(kit, &[kit.probe.display().to_string(), act.argument(&dir, 0)])?;
        launch(kit, peer, dir, &command)
    }

    /// When these things have happened, in nanoseconds, in order.
    pub fn times(&self, kind: Kind) -> Vec<u64> {
        let journal = fs::read(self.dir.join("journal")).unwrap_or_default();
        let mut times: Vec<u64> = journal
            .chunks_exact(RECORD)
            .filter(|record| u32::from_ne_bytes([record[8], record[9], record[10], record[11]]) == kind as u32)
            .filter_map(|record| Some(u64::from_ne_bytes(record.get(..8)?.try_into().ok()?)))
            .collect();
        times.sort_unstable();
        times
    }

    /// Waits until so many things have been told in all, the launch included.
    pub fn await_records(&mut self, count: usize, limit: Duration) -> Result<()> {
        let journal = self.dir.join("journal");
        let told = || fs::metadata(&journal).map_or(0, |m| m.len() as usize / RECORD);
        let pause = Duration::from_micros(if count < 1000 { 200 } else { 2000 });
        let mut ended = None;
        let enough = polled(limit, pause, || {
            ended = self.unshare.try_wait().ok().flatten();
            told() >= count || ended.is_some()
        });
        if enough && told() >= count {
            return Ok(());
        }
        let how = ended.map_or(format!("after {limit:?}"), |status| format!("and has ended with {status}"));
        bail!("{} has done {} of {count} things {how}; it says {:?}", self.peer.name(), told(), self.said())
    }

    /// Waits until so many services have started. Gives the milliseconds since the supervisor was executed.
    pub fn await_starts(&mut self, count: usize) -> Result<f64> {
        self.await_records(count + 1, PATIENCE)?;
        let begun = self.times(Kind::Launched).first().copied().context("the supervisor was not executed")?;
        let last = self.times(Kind::Started).get(count - 1).copied().context("not all services have started")?;
        Ok((last - begun) as f64 / 1e6)
    }

    /// Stops it in order, and makes sure that each service was told. Gives the milliseconds until it was gone.
    pub fn stop(&mut self, services: usize) -> Result<f64> {
        let handle = pidfd_open(process::pid(self.pid)?, PidfdFlags::empty()).context("cannot watch the supervisor")?;
        let asked = now();
        self.peer.stop(&self.dir, self.pid)?;
        let mut ended = [PollFd::new(&handle, PollFlags::IN)];
        let limit = Timespec { tv_sec: PATIENCE.as_secs().try_into()?, tv_nsec: 0 };
        ensure!(poll(&mut ended, Some(&limit))? == 1, "{} did not stop within {PATIENCE:?}", self.peer.name());
        let time = (now() - asked) as f64 / 1e6;
        let told = self.times(Kind::ToldToEnd).len();
        ensure!(told >= services, "{} told only {told} of {services} services to stop", self.peer.name());
        Ok(time)
    }

    /// All processes of the namespace: first the supervisor's own, then services.
    pub fn processes(&self, kit: &Kit) -> (Vec<u32>, Vec<u32>) {
        let namespace = |pid: u32| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
        let ours = namespace(self.pid);
        process::all()
            .filter(|pid| ours.is_some() && namespace(*pid) == ours)
            .partition(|pid| fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe != kit.probe))
    }

    /// How many processes there are in the namespace, ended ones that nobody has waited for included.
    pub fn population(&self) -> usize {
        let inside = fs::read_dir(format!("/proc/{}/root/proc", self.pid)).into_iter().flatten().flatten();
        inside.filter(|entry| entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit)).count()
    }

    /// The last line that it has written.
    fn said(&self) -> String {
        let text = fs::read(self.dir.join("said")).unwrap_or_default();
        String::from_utf8_lossy(&text).lines().next_back().unwrap_or_default().chars().take(200).collect()
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        // With PID 1 all others of the namespace end.
        if self.unshare.try_wait().is_ok_and(|ended| ended.is_none()) {
            if process::signal(self.pid, Signal::KILL).is_err() {
                let _ = self.unshare.kill();
            }
            let _ = self.unshare.wait();
        }
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn directory(kit: &Kit) -> Result<PathBuf> {
    let dir = kit.home.join("trial");
    let free = (0..).map(|number| dir.with_extension(number.to_string())).find(|dir| !dir.exists());
    let dir = free.context("there is no free name")?;
    fs::create_dir(&dir)?;
    // Services of other users write to the journal, too.
    fs::write(dir.join("journal"), "")?;
    fs::set_permissions(dir.join("journal"), std::os::unix::fs::PermissionsExt::from_mode(0o666))?;
    Ok(dir)
}

fn launch(kit: &Kit, peer: Peer, dir: PathBuf, command: &[String]) -> Result<Trial> {
    let launcher = Services { act: "launch", ..Services::waiting(1) };
    // Whatever ends this process, even a kill, ends the trial.
    let mut unshare = Command::new("setpriv");
    unshare.args(["--pdeathsig", "KILL", "unshare"]);
    if !tools::root() {
        unshare.args(["--user", "--map-root-user"]);
    }
    unshare.args(["--pid", "--fork", "--kill-child", "--mount-proc"]);
    unshare.arg(&kit.probe).arg(launcher.argument(&dir, 0)).args(command);
    unshare.env_clear().envs([("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"), ("LANG", "C")]);
    let said = fs::File::create(dir.join("said"))?;
    unshare.current_dir(&dir).stdin(Stdio::null()).stdout(said.try_clone()?).stderr(said).process_group(0);
    let unshare = unshare.spawn().context("cannot run unshare")?;
    let mut trial = Trial { peer, dir, unshare, pid: 0 };
    trial.await_records(1, PATIENCE)?;
    let child = process::children(trial.unshare.id())?.first().copied();
    trial.pid = child.with_context(|| format!("{} has ended at once: {:?}", peer.name(), trial.said()))?;
    Ok(trial)
}

/// The time of the journal: CLOCK_MONOTONIC, in nanoseconds.
pub fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    (time.tv_sec * 1_000_000_000 + time.tv_nsec).unsigned_abs()
}
