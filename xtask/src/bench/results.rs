//! The numbers of a run: kept as JSON, told as tables in Markdown.

use super::peers::{PEERS, Peer};
use super::rows::{GROWTH, GROWTH_ROWS, ROWS, Row, Samples, Statistic};
use super::trial::Kit;
use crate::tools::capture;
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Where the numbers are kept.
pub const FILE: &str = "target/bench/results.json";

#[derive(Default)]
pub struct Results {
    /// When, on which machine, with how much else to do.
    pub about: String,
    /// By the name of a peer.
    versions: BTreeMap<String, String>,
    /// By the name of a row's samples, then that of a peer.
    samples: BTreeMap<String, BTreeMap<String, Vec<f64>>>,
    /// Why something could not be measured, by group and peer.
    failures: BTreeMap<String, String>,
}

/// The middle of some numbers, and what half of them lie between.
pub struct Summary {
    pub value: f64,
    low: f64,
    high: f64,
    count: usize,
}

impl Results {
    pub fn add(&mut self, peer: Peer, samples: Samples) {
        for (row, value) in samples {
            self.samples.entry(row).or_default().entry(peer.name().to_owned()).or_default().push(value);
        }
    }

    pub fn fail(&mut self, group: &str, peer: Peer, why: String) {
        println!("{group}: {}: {why}", peer.name());
        self.failures.insert(format!("{group}, {}", peer.name()), why);
    }

    pub fn describe(&mut self, kit: &Kit, peers: &[Peer], load_before: &str) -> Result<()> {
        self.versions = peers.iter().map(|peer| (peer.name().to_owned(), peer.version(kit))).collect();
        let date = capture(Command::new("date").args(["-u", "+%F"]))?;
        self.about =
            format!("{}; {}; load average {load_before} before and {} after", date.trim(), machine()?, load_average()?);
        Ok(())
    }

    /// Takes over what a run of some groups and peers has found. The rest stays as it is.
    pub fn update(&mut self, newer: Results, groups: &[&str], peers: &[&str]) {
        let again = |what: &str| what.split_once(", ").is_some_and(|(g, p)| groups.contains(&g) && peers.contains(&p));
        self.failures.retain(|what, _| !again(what));
        self.about = newer.about;
        self.versions.extend(newer.versions);
        self.failures.extend(newer.failures);
        for (row, values) in newer.samples {
            self.samples.entry(row).or_default().extend(values);
        }
    }

    pub fn load() -> Result<Results> {
        let Ok(text) = fs::read_to_string(FILE) else { return Ok(Results::default()) };
        let value: Value = serde_json::from_str(&text).with_context(|| format!("{FILE} is broken; remove it"))?;
        let texts = |key: &str| {
            let pairs = value[key].as_object().into_iter().flatten();
            pairs.map(|(k, v)| (k.clone(), v.as_str().unwrap_or_default().to_owned())).collect()
        };
        let mut results =
            Results { about: value["about"].as_str().unwrap_or_default().to_owned(), ..Results::default() };
        (results.versions, results.failures) = (texts("versions"), texts("failures"));
        for (row, peers) in value["samples"].as_object().into_iter().flatten() {
            for (peer, numbers) in peers.as_object().into_iter().flatten() {
                let numbers = numbers.as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
                results.samples.entry(row.clone()).or_default().insert(peer.clone(), numbers);
            }
        }
        Ok(results)
    }

    pub fn save(&self) -> Result<()> {
        fs::create_dir_all(Path::new(FILE).parent().context("no directory")?)?;
        let value = json!({
            "about": self.about, "versions": self.versions, "samples": self.samples, "failures": self.failures,
        });
        fs::write(FILE, serde_json::to_string_pretty(&value)?).with_context(|| format!("cannot write {FILE}"))
    }

    pub fn summary(&self, row: &Row, peer: Peer) -> Option<Summary> {
        self.summary_of(row.samples, row.statistic, peer)
    }

    fn summary_of(&self, samples: &str, statistic: Statistic, peer: Peer) -> Option<Summary> {
        let mut numbers = self.samples.get(samples)?.get(peer.name())?.clone();
        numbers.sort_by(f64::total_cmp);
        let last = numbers.len().checked_sub(1)? as f64;
        let at = |index: f64| numbers.get(index as usize).copied();
        let value = match statistic {
            Statistic::Median => at((last * 0.5).round())?,
            Statistic::P99 => at((last * 0.99).round())?,
        };
        let (low, high) = (at((last * 0.25).floor())?, at((last * 0.75).ceil())?);
        Some(Summary { value, low, high, count: numbers.len() })
    }

    /// The best of all but the floor.
    fn best(&self, row: &Row) -> Option<f64> {
        let values = PEERS.into_iter().skip(1).filter_map(|peer| Some(self.summary(row, peer)?.value));
        if row.more_is_better { values.reduce(f64::max) } else { values.reduce(f64::min) }
    }

    /// A row for each thing measured, a column for each peer.
    pub fn table(&self, rows: impl Fn(&Row) -> bool, spread: bool) -> String {
        let peers: Vec<Peer> = PEERS.into_iter().filter(|peer| self.versions.contains_key(peer.name())).collect();
        let names = peers.iter().map(|peer| format!(" {} |", peer.name()));
        let mut text = format!("| |{}\n|---|{}\n", names.collect::<String>(), "---|".repeat(peers.len()));
        for row in ROWS.iter().filter(|row| rows(row)) {
            if !self.samples.contains_key(row.samples) {
                continue;
            }
            text += &format!("| {} |", [row.label, row.unit].join(if row.unit.is_empty() { "" } else { ", " }));
            let best = self.best(row);
            for peer in &peers {
                let cell = self.summary(row, *peer).map_or(String::new(), |summary| {
                    let value = shown(summary.value);
                    let is_best = *peer != Peer::Floor && best.is_some_and(|best| shown(best) == value);
                    let value = if is_best { format!("**{value}**") } else { value };
                    let known = spread && row.statistic == Statistic::Median && summary.count > 1;
                    let around = format!(" ({}–{})", shown(summary.low), shown(summary.high));
                    value + if known { &around } else { "" }
                });
                let _ = write!(text, " {cell} |");
            }
            text.push('\n');
        }
        text
    }

    /// How cost grows with the number of services: Horust, and the floor beside.
    pub fn growth(&self) -> String {
        let heads = GROWTH.map(|count| format!(" {} |", grouped(&count.to_string())));
        let mut text = format!("| services |{}\n|---|{}\n", heads.concat(), "---|".repeat(GROWTH.len()));
        for (samples, label, unit) in GROWTH_ROWS {
            for (peer, whose) in [(Peer::Horust, ""), (Peer::Floor, "; floor")] {
                let cells = GROWTH.map(|count| {
                    let summary = self.summary_of(&format!("{samples}-{count}"), Statistic::Median, peer);
                    format!(" {} |", summary.map_or(String::new(), |summary| shown(summary.value)))
                });
                if cells.iter().any(|cell| cell != "  |") {
                    let _ = writeln!(text, "| {label}, {unit}{whose} |{}", cells.concat());
                }
            }
        }
        text
    }

    /// What the numbers are of.
    pub fn notes(&self) -> String {
        let versions = self.versions.iter().filter(|(_, version)| !version.is_empty());
        let versions: Vec<String> = versions.map(|(name, version)| format!("{name} {version}")).collect();
        let mut text = format!("{}. {}.\n", self.about, versions.join(", "));
        for (what, why) in &self.failures {
            let _ = writeln!(text, "Not measured: {what}: {why}.");
        }
        text
    }
}

/// Three digits that count.
pub fn shown(value: f64) -> String {
    let decimals = match value.abs() {
        v if v >= 99.95 || v == 0.0 => 0,
        v if v >= 9.995 => 1,
        _ => 2,
    };
    let text = format!("{value:.decimals$}");
    let (whole, rest) = text.split_once('.').map_or((text.as_str(), None), |(whole, rest)| (whole, Some(rest)));
    rest.map_or(grouped(whole), |rest| format!("{}.{rest}", grouped(whole)))
}

/// Digits, with a comma before each three.
fn grouped(digits: &str) -> String {
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Of 1, 5 and 15 minutes.
pub fn load_average() -> Result<String> {
    let text = fs::read_to_string("/proc/loadavg").context("cannot read the load average")?;
    Ok(text.split(' ').take(3).collect::<Vec<_>>().join(" "))
}

fn machine() -> Result<String> {
    let cpu = fs::read_to_string("/proc/cpuinfo").context("cannot read what the processor is")?;
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let is_virtual = cpu.lines().any(|line| line.starts_with("flags") && line.contains(" hypervisor"));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let memory = fs::read_to_string("/proc/meminfo")?;
    let memory = memory.split_whitespace().nth(1).and_then(|kib| kib.parse::<f64>().ok()).unwrap_or_default();
    Ok(format!(
        "{} processors{}{}, {:.0} GiB, Linux {}",
        std::thread::available_parallelism()?,
        model.map_or(String::new(), |(_, model)| format!(" ({model})")),
        if is_virtual { ", virtual" } else { "" },
        memory / (1024.0 * 1024.0),
        kernel.trim().split('-').next().unwrap_or_default(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_that_count() {
        let all = [0.0, 0.061, 1.0, 9.99, 9.999, 99.9, 99.99, 1234.5, 10_000.0, 1_234_567.0];
        let expected = ["0", "0.06", "1.00", "9.99", "10.0", "99.9", "100", "1,234", "10,000", "1,234,567"];
        assert_eq!(all.map(shown), expected);
    }

    #[test]
    fn the_best_peer_is_marked_and_the_floor_is_none() {
        let mut results = Results::default();
        for (peer, values) in [(Peer::Floor, [0.5, 0.4, 0.6]), (Peer::Horust, [1.1, 0.9, 1.0]), (Peer::S6, [2.0; 3])] {
            results.versions.insert(peer.name().to_owned(), String::new());
            results.add(peer, values.map(|value| ("cold".to_owned(), value)).to_vec());
        }
        let table = results.table(|row| row.samples == "cold", true);
        assert_eq!(
            table.lines().last(),
            Some(
                "| start of one service, from exec to its first instruction, ms | 0.50 (0.40–0.60) | \
                 **1.00** (0.90–1.10) | 2.00 (2.00–2.00) |"
            )
        );
    }

    #[test]
    fn a_run_of_some_groups_and_peers_leaves_the_others() {
        let mut old = Results::default();
        old.add(Peer::Horust, vec![("cold".to_owned(), 1.0), ("orphans".to_owned(), 1.0)]);
        old.add(Peer::S6, vec![("cold".to_owned(), 3.0)]);
        for what in ["one, s6", "one, horust", "orphans, horust"] {
            old.failures.insert(what.to_owned(), "old".to_owned());
        }
        let mut new = Results::default();
        new.add(Peer::Horust, vec![("cold".to_owned(), 2.0)]);
        old.update(new, &["one"], &["horust"]);
        let value = |samples, peer| old.summary_of(samples, Statistic::Median, peer).map(|summary| summary.value);
        assert_eq!([value("cold", Peer::Horust), value("cold", Peer::S6)], [Some(2.0), Some(3.0)]);
        assert_eq!(value("orphans", Peer::Horust), Some(1.0));
        assert_eq!(old.failures.keys().collect::<Vec<_>>(), ["one, s6", "orphans, horust"]);
    }
}
