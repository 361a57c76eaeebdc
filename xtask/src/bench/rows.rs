//! What is measured. A group is a kind of trial, which gives numbers for one or more rows of the table.

use super::peers::{PEERS, Peer};
use super::results::Results;
use super::trial::{Kind, Kit, Services, Trial, now};
use crate::poll::polled;
use crate::process::{cpu, cpu_of_children, memory, signal, switches};
use crate::tools::capture;
use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How numbers of a row become one.
#[derive(Clone, Copy, PartialEq)]
pub enum Statistic {
    Median,
    P99,
}

pub struct Row {
    /// Under this name the numbers are kept; rows of another statistic share them.
    pub samples: &'static str,
    pub label: &'static str,
    pub unit: &'static str,
    pub statistic: Statistic,
    pub more_is_better: bool,
    pub charted: bool,
}

const fn row(samples: &'static str, label: &'static str, unit: &'static str) -> Row {
    Row { samples, label, unit, statistic: Statistic::Median, more_is_better: false, charted: false }
}

const fn charted(samples: &'static str, label: &'static str, unit: &'static str) -> Row {
    Row { charted: true, ..row(samples, label, unit) }
}

const fn more(row: Row) -> Row {
    Row { more_is_better: true, ..row }
}

pub const ROWS: &[Row] = &[
    charted("cold", "start of one service, from exec to its first instruction", "ms"),
    charted("command", "start of one command, by `-- COMMAND`", "ms"),
    charted("start-1000", "start of 1,000 services", "ms"),
    row("sessions-1000", "the floor's, if it makes each a session", "ms"),
    row("cpu-1000", "processor time for that, of all processes", "ms"),
    row("users-1000", "start of 1,000 services with user and limits", "ms"),
    charted("restart", "restart after SIGKILL, one of 100 services, median", "µs"),
    Row { statistic: Statistic::P99, ..row("restart", "restart after SIGKILL, 99th percentile", "µs") },
    more(charted("crash", "a service that ends at once: starts per second", "1/s")),
    row("crash-cpu", "processor time for each of these, of all processes", "µs"),
    row("pss-1", "memory (PSS) with 1 service", "KiB"),
    charted("pss-100", "memory (PSS) with 100 services", "KiB"),
    row("pss-1000", "memory (PSS) with 1,000 services", "KiB"),
    row("idle-switches-1", "context switches in 10 idle seconds, 1 service", ""),
    row("idle-switches-1000", "context switches in 10 idle seconds, 1,000 services", ""),
    row("idle-cpu-1000", "processor time in 10 idle seconds, 1,000 services", "ms"),
    row("stop-1", "stop of one service, and the end", "ms"),
    charted("stop-1000", "stop of 1,000 services, and the end", "ms"),
    row("stop-command", "stop of a command, and the end", "ms"),
    row("orphans", "10,000 orphans end at once: until none is left", "ms"),
    row("signal", "a signal to the command", "µs"),
    more(charted("log-blocks", "captured, rotated log, 64 KiB writes", "MB/s")),
    row("log-blocks-cpu", "processor time for that, without the writer", "s/GB"),
    row("log-blocks-all", "the same, with the writer", "s/GB"),
    more(row("log-lines", "captured, rotated log, a write for each line of 100 bytes", "MB/s")),
    row("log-lines-cpu", "processor time for that, without the writer", "s/GB"),
    row("log-lines-all", "the same, with the writer", "s/GB"),
];

/// How many services the table of growth has in its columns.
pub const GROWTH: [usize; 5] = [1, 10, 100, 1000, 10_000];
/// Its rows: name of the samples, label, unit.
pub const GROWTH_ROWS: [(&str, &str, &str); 7] = [
    ("growth-start", "start of all", "ms"),
    ("growth-captured", "start of all, output captured", "ms"),
    ("growth-cpu", "processor time for that, of all processes", "ms"),
    ("growth-pss", "memory (PSS)", "KiB"),
    ("growth-status", "`horust status`", "ms"),
    ("growth-restart", "restart of one after SIGKILL", "µs"),
    ("growth-stop", "stop of all, and the end", "ms"),
];

/// Named numbers of one trial.
pub type Samples = Vec<(String, f64)>;

pub struct Group {
    pub name: &'static str,
    pub about: &'static str,
    pub peers: fn(Peer) -> bool,
    /// How often, and how often with `--quick`.
    pub rounds: (usize, usize),
    /// A peer that has used so many seconds, and has done three rounds, is done.
    pub budget: u64,
    pub trial: TrialOf,
}

type TrialOf = fn(&Kit, Peer, bool, &mut Samples) -> Result<()>;

const fn group(name: &'static str, about: &'static str, peers: fn(Peer) -> bool, trial: TrialOf) -> Group {
    Group { name, about, peers, rounds: (3, 1), budget: 15, trial }
}

pub const GROUPS: &[Group] = &[
    Group {
        rounds: (15, 3),
        ..group("one", "start, memory and stop of one service", Peer::supervises, |kit, peer, _, samples| {
            life(kit, peer, 1, samples)
        })
    },
    Group {
        budget: 10,
        ..group("hundred", "memory of 100 services", Peer::supervises, |kit, peer, _, samples| {
            life(kit, peer, 100, samples)
        })
    },
    Group {
        rounds: (5, 1),
        ..group("thousand", "start, memory and stop of 1,000 services", Peer::supervises, thousand)
    },
    Group {
        rounds: (21, 5),
        budget: 10,
        ..group("command", "start, signals and stop of one command", Peer::runs_commands, command)
    },
    Group {
        rounds: (5, 1),
        ..group("users", "1,000 services with user and limits; floor: without", Peer::limits, users)
    },
    group("restart", "each of 100 services killed in turn", Peer::supervises, restart),
    group("crash", "a service that ends at once", Peer::supervises, crash),
    group("orphans", "10,000 orphans end at once", |_| true, orphans),
    Group { budget: 20, ..group("log", "a service whose output is captured", Peer::supervises, log) },
    Group {
        budget: 60,
        ..group("ten-thousand", "from 1 to 10,000 services", |peer| matches!(peer, Peer::Floor | Peer::Horust), growth)
    },
];

/// The group that is measured for all peers at one time; see [`idle`].
pub const IDLE: &str = "idle";

/// Runs the trials of a group, each peer in turn, so that what else the machine does meets them alike. A peer that fails
/// takes no further part, and the results say why.
pub fn measure(kit: &Kit, group: &Group, peers: &[Peer], quick: bool, results: &mut Results) {
    let mut peers: Vec<(Peer, Duration)> =
        peers.iter().filter(|peer| (group.peers)(**peer)).map(|peer| (*peer, Duration::ZERO)).collect();
    for round in 0..if quick { group.rounds.1 } else { group.rounds.0 } {
        peers.retain_mut(|(peer, spent)| {
            if round >= 3 && spent.as_secs() >= group.budget {
                return false;
            }
            let (begun, mut samples) = (Instant::now(), Samples::new());
            let outcome = (group.trial)(kit, *peer, quick, &mut samples);
            *spent += begun.elapsed();
            results.add(*peer, samples);
            if let Err(why) = &outcome {
                results.fail(group.name, *peer, format!("{why:#}"));
            }
            outcome.is_ok()
        });
        // Who comes first is another one each time.
        if !peers.is_empty() {
            peers.rotate_left(1);
        }
    }
}

/// Waits until a supervisor has done what it does after a start.
fn settle() {
    sleep(Duration::from_millis(200));
}

fn life(kit: &Kit, peer: Peer, count: usize, samples: &mut Samples) -> Result<()> {
    let mut trial = Trial::services(kit, peer, &Services::waiting(count))?;
    let start = trial.await_starts(count)?;
    settle();
    let (supervisors, services) = trial.processes(kit);
    if count == 1 {
        samples.push(("cold".to_owned(), start));
    } else {
        samples.push((format!("start-{count}"), start));
        samples.push((format!("cpu-{count}"), cpu(&supervisors) + cpu(&services)));
    }
    samples.push((format!("pss-{count}"), memory(&supervisors)? as f64));
    samples.push((format!("stop-{count}"), trial.stop(count)?));
    Ok(())
}

fn thousand(kit: &Kit, peer: Peer, _: bool, samples: &mut Samples) -> Result<()> {
    if peer == Peer::Floor {
        let services = Services { sessions: true, ..Services::waiting(1000) };
        samples.push(("sessions-1000".to_owned(), Trial::services(kit, peer, &services)?.await_starts(1000)?));
    }
    life(kit, peer, 1000, samples)
}

fn command(kit: &Kit, peer: Peer, _: bool, samples: &mut Samples) -> Result<()> {
    let mut trial = Trial::command(kit, peer, "wait", 0)?;
    samples.push(("command".to_owned(), trial.await_starts(1)?));
    settle();
    for number in 1..=20 {
        let sent = now();
        signal(trial.pid, Signal::USR1)?;
        trial.await_records(2 + number, Duration::from_secs(5))?;
        let got = trial.times(Kind::Signalled).last().copied().context("no signal has come")?;
        samples.push(("signal".to_owned(), (got - sent) as f64 / 1e3));
    }
    samples.push(("stop-command".to_owned(), trial.stop(1)?));
    Ok(())
}

fn users(kit: &Kit, peer: Peer, _: bool, samples: &mut Samples) -> Result<()> {
    let count = 1000;
    let services = Services { limited: true, ..Services::waiting(count) };
    let mut trial = Trial::services(kit, peer, &services)?;
    samples.push(("users-1000".to_owned(), trial.await_starts(count)?));
    Ok(())
}

fn restart(kit: &Kit, peer: Peer, quick: bool, samples: &mut Samples) -> Result<()> {
    let count = 100;
    let mut trial = Trial::services(kit, peer, &Services::waiting(count))?;
    trial.await_starts(count)?;
    // What has run for less than a second is run again later by s6 and runit.
    sleep(Duration::from_millis(1200));
    let limit = Duration::from_secs(if quick { 3 } else { 6 });
    let latencies = kill_each(kit, &mut trial, count, count, limit)?;
    samples.extend(latencies.into_iter().map(|time| ("restart".to_owned(), time)));
    Ok(())
}

/// Kills services one after the other, so many or until the time is over. Gives the microseconds from each kill to the first
/// instruction of what comes after.
fn kill_each(kit: &Kit, trial: &mut Trial, of: usize, kills: usize, limit: Duration) -> Result<Vec<f64>> {
    let (_, services) = trial.processes(kit);
    ensure!(services.len() == of, "there are {} services of {of}", services.len());
    let begun = Instant::now();
    let mut latencies = Vec::new();
    for (killed, pid) in services.iter().step_by(of / kills).enumerate() {
        if begun.elapsed() > limit {
            break;
        }
        let sent = now();
        signal(*pid, Signal::KILL)?;
        trial.await_records(2 + of + killed, Duration::from_secs(10))?;
        let again = trial.times(Kind::Started).last().copied().context("nothing was started")?;
        latencies.push((again - sent) as f64 / 1e3);
    }
    Ok(latencies)
}

fn crash(kit: &Kit, peer: Peer, quick: bool, samples: &mut Samples) -> Result<()> {
    let mut trial = Trial::services(kit, peer, &Services { act: "exit", ..Services::waiting(1) })?;
    trial.await_starts(1)?;
    sleep(Duration::from_millis(500));
    let (supervisors, _) = trial.processes(kit);
    let state = || -> Result<(u64, f64, f64)> {
        let children: Vec<f64> = supervisors.iter().flat_map(|pid| cpu_of_children(*pid)).collect();
        let starts = trial.times(Kind::Started).len() as f64;
        Ok((now(), starts, cpu(&supervisors) + children.iter().sum::<f64>()))
    };
    let before = state()?;
    sleep(Duration::from_secs(if quick { 1 } else { 3 }));
    let after = state()?;
    let starts = after.1 - before.1;
    samples.push(("crash".to_owned(), starts / ((after.0 - before.0) as f64 / 1e9)));
    // With one start or two a second there is less to see than a tick.
    if starts > 100.0 {
        samples.push(("crash-cpu".to_owned(), (after.2 - before.2) * 1e3 / starts));
    }
    Ok(())
}

fn orphans(kit: &Kit, peer: Peer, quick: bool, samples: &mut Samples) -> Result<()> {
    let count = 10_000;
    let mut trial = if peer.runs_commands() {
        Trial::command(kit, peer, "orphans", count)?
    } else {
        Trial::services(kit, peer, &Services { act: "orphans", act_count: count, ..Services::waiting(1) })?
    };
    trial.await_starts(1)?;
    settle();
    let before = trial.population();
    let (_, services) = trial.processes(kit);
    signal(*services.first().context("there is no service")?, Signal::USR2)?;
    trial.await_records(4, Duration::from_secs(30))?;
    let dead = trial.times(Kind::Began).first().copied().context("there were no orphans")?;
    let limit = Duration::from_secs(if quick { 5 } else { 20 });
    let reaped = polled(limit, Duration::from_millis(2), || trial.population() <= before);
    let time = (now() - dead) as f64 / 1e6;
    ensure!(reaped, "after {limit:?} there are still {} of {count} orphans", trial.population() - before);
    samples.push(("orphans".to_owned(), time));
    Ok(())
}

fn log(kit: &Kit, peer: Peer, quick: bool, samples: &mut Samples) -> Result<()> {
    for (name, mebibytes, chunk) in [("log-blocks", 512, 65_500), ("log-lines", 128, 100)] {
        let mebibytes = if quick { mebibytes / 4 } else { mebibytes };
        let services =
            Services { act: "print", act_count: mebibytes, act_chunk: chunk, log: true, ..Services::waiting(1) };
        let mut trial = Trial::services(kit, peer, &services)?;
        trial.await_starts(1)?;
        settle();
        let (supervisors, writer) = trial.processes(kit);
        let (before, writer_before) = (cpu(&supervisors), cpu(&writer));
        signal(*writer.first().context("there is no service")?, Signal::USR2)?;
        trial.await_records(4, Duration::from_secs(60))?;
        let (began, done) = (trial.times(Kind::Began), trial.times(Kind::Done));
        let bytes = ((mebibytes << 20) / chunk * chunk) as f64;
        samples.push((name.to_owned(), bytes / 1e6 / ((done[0] - began[0]) as f64 / 1e9)));
        // What is still in the pipe has to be written, too.
        let mut last = 0.0;
        polled(Duration::from_secs(5), Duration::from_millis(50), || {
            let now = cpu(&supervisors);
            std::mem::replace(&mut last, now) == now
        });
        let (own, writer) = (last - before, cpu(&writer) - writer_before);
        samples.push((format!("{name}-cpu"), own / 1e3 / (bytes / 1e9)));
        samples.push((format!("{name}-all"), (own + writer) / 1e3 / (bytes / 1e9)));
    }
    Ok(())
}

/// What supervisors do when there is nothing to do: all of them at one time, since they don't disturb each other.
pub fn idle(kit: &Kit, peers: &[Peer], quick: bool, results: &mut Results) {
    for count in [1, 1000] {
        let mut trials = Vec::new();
        for peer in PEERS.into_iter().filter(|peer| peers.contains(peer)) {
            if !peer.supervises() && count > 1 {
                continue;
            }
            let trial = match peer.supervises() {
                true => Trial::services(kit, peer, &Services::waiting(count)),
                false => Trial::command(kit, peer, "wait", 0),
            };
            match trial.and_then(|mut trial| trial.await_starts(count).map(|_| trial)) {
                Ok(trial) => trials.push(trial),
                Err(why) => results.fail(IDLE, peer, format!("{why:#}")),
            }
        }
        // supervisord looks after a start for some seconds.
        sleep(Duration::from_secs(if quick { 2 } else { 5 }));
        let all: Vec<Vec<u32>> = trials.iter().map(|trial| trial.processes(kit).0).collect();
        let state = || all.iter().map(|pids| (switches(pids), cpu(pids))).collect::<Vec<_>>();
        let seconds = if quick { 3 } else { 10 };
        let before = state();
        sleep(Duration::from_secs(seconds));
        for ((trial, before), after) in trials.iter().zip(before).zip(state()) {
            let per_ten = 10.0 / seconds as f64;
            let mut samples = vec![(format!("idle-cpu-{count}"), (after.1 - before.1) * per_ten)];
            match (before.0, after.0) {
                (Ok(before), Ok(after)) => {
                    samples.push((format!("idle-switches-{count}"), (after - before) as f64 * per_ten));
                }
                (Err(why), _) | (_, Err(why)) => results.fail(IDLE, trial.peer, format!("{why:#}")),
            }
            results.add(trial.peer, samples);
        }
    }
}

fn growth(kit: &Kit, peer: Peer, quick: bool, samples: &mut Samples) -> Result<()> {
    for count in GROWTH {
        if quick && count > 1000 {
            break;
        }
        let mut trial = Trial::services(kit, peer, &Services::waiting(count))?;
        let start = trial.await_starts(count)?;
        settle();
        let (supervisors, services) = trial.processes(kit);
        let mut add = |row: &str, value| samples.push((format!("growth-{row}-{count}"), value));
        add("start", start);
        add("cpu", cpu(&supervisors) + cpu(&services));
        add("pss", memory(&supervisors)? as f64);
        if peer == Peer::Horust {
            let begun = now();
            capture(Command::new(&kit.horust).args(["status", "--uds-folder-path"]).arg(trial.dir.join("uds")))?;
            add("status", (now() - begun) as f64 / 1e6);
        }
        let kills = count.min(10);
        for latency in kill_each(kit, &mut trial, count, kills, Duration::from_secs(5))? {
            add("restart", latency);
        }
        add("stop", trial.stop(count)?);
        // Each takes two open files. Few users may have 20,000.
        if peer == Peer::Horust && count < 10_000 {
            let services = Services { captured: true, ..Services::waiting(count) };
            add("captured", Trial::services(kit, peer, &services)?.await_starts(count)?);
        }
    }
    Ok(())
}
