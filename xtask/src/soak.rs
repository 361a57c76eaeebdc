//! `cargo xtask soak`: two hundred services that crash, flap, log and are steered at random for as long as is asked for. At the
//! end Horust must have no more memory and files than at the beginning, no zombie, and leave no process behind.

use crate::parts::ensure;
use crate::process;
use crate::tools::{built, capture, root};
use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

const SERVICES: u64 = 200;
/// By then all have been started, changed and stopped, and the memories of output and of events are full: what is measured from
/// there on has no reason to grow. Until all files had been changed once, after half an hour, it did.
const WARM_UP: Duration = Duration::from_secs(180);
/// What all processes of a run have in their environment.
const MARK: &str = "HORUST_SOAK";

/// A service of each kind in turn. Their memories of output are small, so that they are full before the first sample counts.
const KINDS: [(&str, &str); 8] = [
    ("steady", "command = \"sleep 100000\""),
    (
        "crashes",
        "command = [\"sh\", \"-c\", \"sleep 1.3; exit 7\"]\n[restart]\nstrategy = \"always\"\nbackoff = \"200ms\"\nbackoff-max = \"2s\"",
    ),
    (
        "flaps",
        "command = \"sleep 100000\"\n[restart]\nstrategy = \"always\"\n[healthiness]\ncommand = [\"sh\", \"-c\", \"exit $$(( $$(date +%s) % 10 == 0 ))\"]\n\
         interval = \"1s\"\ntimeout = \"20s\"\nfailure-threshold = 1",
    ),
    (
        "logs",
        "command = [\"sh\", \"-c\", \"i=0; while true; do i=$$((i+1)); echo line $$i of a service that logs; [ $$((i % 50)) = 0 ] && sleep 1; done\"]\n\
         stdout = \"@DIR@/@NAME@.log\"\n[log]\nformat = \"json\"\nrotate-size = \"64KiB\"\nkeep = 2\nbuffer = \"16KiB\"",
    ),
    (
        "deaf",
        "command = [\"sh\", \"-c\", \"trap '' TERM; while true; do sleep 2; done\"]\n[termination]\nwait = \"300ms\"",
    ),
    (
        "forks",
        "command = [\"sh\", \"-c\", \"sleep 1000 & setsid sleep 100 & sleep 3\"]\n[restart]\nstrategy = \"always\"\nbackoff = \"500ms\"",
    ),
    (
        "task",
        "command = [\"sh\", \"-c\", \"sleep 0.5\"]\nkind = \"oneshot\"\n[restart]\nstrategy = \"always\"\nbackoff = \"2s\"\nthrottle = true\n\
         [hooks]\nbefore-start = \"true\"\nafter-stop = \"true\"",
    ),
    ("waits", "command = \"sleep 100000\"\nstart-after = [\"@BEFORE@\"]\n[restart]\nstrategy = \"always\""),
];

/// What Horust has at one moment; memory in KiB.
#[derive(Clone, Copy, Debug, Default)]
struct Sample {
    rss: f64,
    anonymous: f64,
    files: f64,
    threads: f64,
}

/// `cargo xtask soak [--minutes N]`.
pub fn long(args: &[&str]) -> Result<()> {
    let minutes: u64 = match args {
        [] => 60,
        ["--minutes", n] => n.parse().context("--minutes needs a number")?,
        _ => bail!("soak takes --minutes N, or `probes`"),
    };
    let binary = match std::env::var_os("HORUST_SOAK_BINARY") {
        Some(binary) => PathBuf::from(binary),
        None => built()?,
    };
    let dir = std::env::temp_dir().join(format!("horust-soak-{}", std::process::id()));
    fs::create_dir_all(dir.join("services")).context("cannot make the directory of the services")?;
    let result = Soak::start(&binary, &dir).and_then(|soak| soak.go(Duration::from_secs(minutes * 60)));
    fs::remove_dir_all(&dir).context("cannot remove the directory of the services")?;
    result
}

struct Soak {
    binary: PathBuf,
    dir: PathBuf,
    horust: Child,
    random: u64,
    asked: u64,
    refused: u64,
}

impl Soak {
    fn start(binary: &Path, dir: &Path) -> Result<Soak> {
        for nth in 0..SERVICES {
            write(dir, nth, "")?;
        }
        let mark = format!("[environment]\n{MARK} = \"{}\"\n", dir.display());
        fs::write(dir.join("services/_defaults.toml"), mark).context("cannot write what services have in common")?;
        let log = fs::File::create(dir.join("horust.log")).context("cannot make the log")?;
        let mut command = Command::new(binary);
        command.arg("--services-path").arg(dir.join("services")).arg("--uds-folder-path").arg(dir);
        command.env(MARK, dir).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let horust = command.spawn().context("cannot start Horust")?;
        let soak = Soak { binary: binary.to_owned(), dir: dir.to_owned(), horust, random: 1, asked: 0, refused: 0 };
        if !root() {
            println!("not root: Horust runs as this user");
        }
        Ok(soak)
    }

    fn go(mut self, time: Duration) -> Result<()> {
        println!("{SERVICES} services for {} minutes", time.as_secs() / 60);
        self.warm_up()?;
        let begin = Instant::now();
        let (mut samples, mut zombies, mut longest) = (Vec::new(), BTreeSet::new(), 0u32);
        let mut stays = 0u32;
        while begin.elapsed() < time {
            let second = Instant::now();
            for _ in 0..3 {
                self.steer()?;
            }
            if let Some(status) = self.horust.try_wait()? {
                bail!("Horust ended with {status}: {}", self.log());
            }
            samples.push(self.sample()?);
            let now = self.zombies();
            stays = if now.intersection(&zombies).next().is_some() { stays + 1 } else { 0 };
            (zombies, longest) = (now, longest.max(stays));
            if samples.len().is_multiple_of(300) {
                println!("{:>5.0} s: {:?}", begin.elapsed().as_secs_f64(), samples[samples.len() - 1]);
            }
            sleep(Duration::from_secs(1).saturating_sub(second.elapsed()));
        }
        let starts = self.starts()?;
        self.end()?;
        println!("{} requests, {} of them refused; {starts} starts of services", self.asked, self.refused);
        println!("a zombie was seen in {longest} samples in a row at most");
        report(&samples)?;
        // Main reaps at once; a busy machine may let it wait for its turn.
        ensure(longest < 10, || "a zombie stays".to_owned())
    }

    fn warm_up(&mut self) -> Result<()> {
        let begin = Instant::now();
        sleep(Duration::from_secs(20));
        for nth in 0..SERVICES {
            write(&self.dir, nth, "start-delay = \"2ms\"\n")?;
        }
        self.ask(&["reload"])?;
        while begin.elapsed() < WARM_UP {
            self.steer()?;
            sleep(Duration::from_millis(200));
        }
        Ok(())
    }

    fn roll(&mut self, below: u64) -> u64 {
        // xorshift64
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % below
    }

    /// Something that a person would ask for.
    fn steer(&mut self) -> Result<()> {
        let nth = self.roll(SERVICES);
        let name = name(nth);
        let words: &[&str] = match self.roll(12) {
            0 | 1 => &["stop", &name],
            2..5 => &["start", &name],
            5 | 6 => &["restart", &name],
            7 => &["status"],
            8 => &["logs", &name],
            9 => &["why", &name],
            10 => &["events"],
            _ => {
                let delay = self.roll(2);
                write(&self.dir, nth, &format!("start-delay = \"{delay}ms\"\n"))?;
                &["reload"]
            }
        };
        self.ask(words)
    }

    fn ask(&mut self, words: &[&str]) -> Result<()> {
        let mut command = Command::new(&self.binary);
        command.args(words).arg("--uds-folder-path").arg(&self.dir).env(MARK, &self.dir);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let done = command.status().context("cannot ask Horust")?;
        (self.asked, self.refused) = (self.asked + 1, self.refused + u64::from(!done.success()));
        Ok(())
    }

    fn sample(&self) -> Result<Sample> {
        let pid = self.horust.id();
        let count = |what: &str| -> Result<f64> { Ok(fs::read_dir(format!("/proc/{pid}/{what}"))?.count() as f64) };
        let kib = |key| process::number(format!("/proc/{pid}/status"), key).map(|kib| kib as f64);
        Ok(Sample { rss: kib("VmRSS")?, anonymous: kib("RssAnon")?, files: count("fd")?, threads: count("task")? })
    }

    /// Children of Horust that have ended, and that it has not waited for.
    fn zombies(&self) -> BTreeSet<u32> {
        let parent = self.horust.id().to_string();
        let is_zombie = |pid: &u32| process::stat(*pid).is_ok_and(|fields| fields[0] == "Z" && fields[1] == parent);
        process::all().filter(is_zombie).collect()
    }

    /// How often services have been started, by what Horust says.
    fn starts(&self) -> Result<u64> {
        let mut status = Command::new(&self.binary);
        let json = capture(status.args(["status", "--format", "json", "--uds-folder-path"]).arg(&self.dir))?;
        let status: Value = serde_json::from_str(&json)?;
        Ok(status["services"].as_array().into_iter().flatten().filter_map(|one| one["starts"].as_u64()).sum())
    }

    fn end(&mut self) -> Result<()> {
        let asked = Instant::now();
        process::signal(self.horust.id(), Signal::TERM)?;
        let status = self.horust.wait()?;
        println!("stopped within {:.1} s: {status}", asked.elapsed().as_secs_f64());
        ensure(status.success(), || format!("Horust ended with {status}: {}", self.log()))?;
        let mark = format!("{MARK}={}", self.dir.display());
        let marked = |pid: &u32| {
            let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environ.split(|byte| *byte == 0).any(|entry| entry == mark.as_bytes())
        };
        let left: Vec<u32> = process::all().filter(marked).collect();
        ensure(left.is_empty(), || format!("still there: {left:?}"))
    }

    /// The last words of Horust.
    fn log(&self) -> String {
        let text = fs::read_to_string(self.dir.join("horust.log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Soak {
    fn drop(&mut self) {
        let _ = self.horust.kill();
        let _ = self.horust.wait();
    }
}

fn name(nth: u64) -> String {
    format!("{}{nth}", KINDS[nth as usize % KINDS.len()].0)
}

/// Writes a service file, with further keys at its beginning.
fn write(dir: &Path, nth: u64, keys: &str) -> Result<()> {
    let before = name(nth.saturating_sub(7));
    let text = KINDS[nth as usize % KINDS.len()].1;
    let text =
        text.replace("@DIR@", &dir.display().to_string()).replace("@NAME@", &name(nth)).replace("@BEFORE@", &before);
    fs::write(dir.join(format!("services/{}.toml", name(nth))), format!("{keys}{text}\n"))
        .context("cannot write a service")
}

fn report(samples: &[Sample]) -> Result<()> {
    let quarter = samples.len().div_ceil(4);
    let mean = |part: &[Sample], of: fn(&Sample) -> f64| part.iter().map(of).sum::<f64>() / part.len() as f64;
    let (first, last) = (&samples[..quarter], &samples[samples.len() - quarter..]);
    println!("{:<14} {:>14} {:>14}", "means of the", "first quarter", "last quarter");
    let row = |what: &str, of: fn(&Sample) -> f64| {
        let (first, last) = (mean(first, of), mean(last, of));
        println!("{what:<14} {first:>14.1} {last:>14.1}");
        (first, last)
    };
    let rss = row("RSS, KiB", |s| s.rss);
    row("its own, KiB", |s| s.anonymous);
    let files = row("open files", |s| s.files);
    let threads = row("threads", |s| s.threads);
    ensure(rss.1 <= rss.0 * 1.05, || format!("memory grows: {rss:?}"))?;
    // Pipes of runs and probes under way come and go.
    ensure(files.1 <= files.0 + 8.0, || format!("open files grow: {files:?}"))?;
    ensure(threads.1 <= threads.0 + 2.0, || format!("threads grow: {threads:?}"))
}
