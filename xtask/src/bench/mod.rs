//! `cargo xtask bench`: Horust beside the supervisors that Debian packages, and beside the least that one can do. The numbers
//! go to `target/bench`; with `--write` tables and chart go into the documents, too.

mod chart;
mod peers;
mod results;
mod rows;
mod trial;

use crate::tools::{built, root};
use anyhow::{Context, Result, bail, ensure};
use peers::{PEERS, Peer};
use results::Results;
use rows::{GROUPS, IDLE};
use std::fs;
use std::path::PathBuf;
use std::time::Instant;
use trial::Kit;

pub const USAGE: &str = "\
usage: cargo xtask bench [OPTION…]   about eight minutes, on a machine that does nothing else
       --quick             fewer and shorter trials: about a minute and a half
       --only GROUP,…      these groups of trials; other rows stay as they were
       --peers PEER,…      these supervisors
       --horust FILE       this binary, instead of building one
       --write             put tables and chart into docs/performance.md, docs/performance.svg and README.md
       --report            measure nothing, tell the last results again";

const CHART: &str = "docs/performance.svg";

#[derive(Default)]
struct Options {
    quick: bool,
    write: bool,
    report: bool,
    only: Vec<String>,
    peers: Vec<String>,
    horust: Option<PathBuf>,
}

pub fn run(args: &[&str]) -> Result<()> {
    let options = options(args)?;
    let mut results = Results::load()?;
    if !options.report {
        results = measure(&options, results)?;
        results.save()?;
    }
    println!("\n{}\n{}\n{}", results.notes(), results.table(|_| true, true), results.growth());
    let chart = chart::draw(&results);
    if options.write { write(&results, &chart) } else { Ok(fs::write("target/bench/chart.svg", chart)?) }
}

fn options(args: &[&str]) -> Result<Options> {
    let mut options = Options::default();
    let mut words = args.iter();
    let list = |word: Option<&&str>, known: &[&str]| -> Result<Vec<String>> {
        let names: Vec<String> = word.context(USAGE)?.split(',').map(str::to_owned).collect();
        match names.iter().find(|name| !known.contains(&name.as_str())) {
            Some(unknown) => bail!("{unknown:?} is none of {}", known.join(", ")),
            None => Ok(names),
        }
    };
    while let Some(word) = words.next() {
        match *word {
            "--quick" => options.quick = true,
            "--write" => options.write = true,
            "--report" => options.report = true,
            "--only" => options.only = list(words.next(), &groups())?,
            "--peers" => options.peers = list(words.next(), &PEERS.map(Peer::name))?,
            "--horust" => options.horust = Some(PathBuf::from(words.next().context(USAGE)?)),
            _ => bail!(USAGE),
        }
    }
    Ok(options)
}

/// The names of all groups of trials.
fn groups() -> Vec<&'static str> {
    GROUPS.iter().map(|group| group.name).chain([IDLE]).collect()
}

/// Gives the new results, with what `old` has of groups and peers that are not measured now.
fn measure(options: &Options, mut old: Results) -> Result<Results> {
    let horust = match &options.horust {
        Some(horust) => fs::canonicalize(horust).with_context(|| format!("there is no {}", horust.display()))?,
        None => built()?,
    };
    let chosen = |list: &[String], name: &str| list.is_empty() || list.iter().any(|chosen| chosen == name);
    let mut peers = Vec::new();
    for peer in PEERS.into_iter().filter(|peer| chosen(&options.peers, peer.name())) {
        match peer.need() {
            Ok(()) => peers.push(peer),
            Err(why) => println!("without {}: {why:#}", peer.name()),
        }
    }
    ensure!(!peers.is_empty(), "there is nobody to measure");
    let users = root();
    if !users {
        println!("not root: in a user namespace, and without services of other users");
    }
    let kit = Kit::new(horust)?;
    let before = results::load_average()?;
    println!("load average {before}; for numbers to keep, let the machine do nothing else");
    let mut results = Results::default();
    for group in GROUPS.iter().filter(|group| chosen(&options.only, group.name) && (users || group.name != "users")) {
        timed(group.name, group.about, || rows::measure(&kit, group, &peers, options.quick, &mut results));
    }
    if chosen(&options.only, IDLE) {
        timed(IDLE, "nothing to do", || rows::idle(&kit, &peers, options.quick, &mut results));
    }
    results.describe(&kit, &peers, &before)?;
    if options.only.is_empty() && options.peers.is_empty() {
        return Ok(results);
    }
    let groups: Vec<&str> = groups().into_iter().filter(|name| chosen(&options.only, name)).collect();
    old.update(results, &groups, &peers.iter().map(|peer| peer.name()).collect::<Vec<_>>());
    Ok(old)
}

fn timed(name: &str, about: &str, work: impl FnOnce()) {
    let begun = Instant::now();
    work();
    println!("{name:<14} {:>6.1} s  {about}", begun.elapsed().as_secs_f64());
}

/// Puts tables and chart into the documents.
fn write(results: &Results, chart: &str) -> Result<()> {
    fs::write(CHART, chart).with_context(|| format!("cannot write {CHART}"))?;
    let notes = results.notes();
    let full = format!("{notes}\n{}", results.table(|_| true, true));
    fill("docs/performance.md", "table", &full)?;
    fill("docs/performance.md", "growth", &results.growth())?;
    fill("README.md", "table", &format!("{}\n{}.\n", results.table(|row| row.charted, false), results.about))
}

/// Replaces what is between two marks in a document.
fn fill(path: &str, mark: &str, text: &str) -> Result<()> {
    let document = fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    fs::write(path, filled(&document, mark, text).with_context(|| format!("{path} has no marks for {mark}"))?)?;
    Ok(())
}

fn filled(document: &str, mark: &str, text: &str) -> Option<String> {
    let (open, close) = (format!("<!-- bench: {mark} -->\n"), "<!-- bench: end -->");
    let (before, rest) = document.split_once(&open)?;
    let (_, after) = rest.split_once(close)?;
    Some(format!("{before}{open}{text}{close}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_keeps_all_but_what_is_between_the_marks() {
        let old =
            "a\n<!-- bench: table -->\nold\n<!-- bench: end -->\nb\n<!-- bench: growth -->\nx\n<!-- bench: end -->\n";
        let new = old.replace("old\n", "new\n");
        assert_eq!(filled(old, "table", "new\n"), Some(new));
        assert_eq!(filled(old, "chart", "new\n"), None);
    }

    #[test]
    fn options_are_checked() {
        let read = options(&["--quick", "--only", "one,idle", "--peers", "floor,horust"]).unwrap();
        assert!(read.quick && !read.write);
        assert_eq!((read.only.len(), read.peers.len()), (2, 2));
        for wrong in [&["--only", "nothing"][..], &["--peers", "systemd"], &["--peers"], &["quick"]] {
            assert!(options(wrong).is_err(), "{wrong:?}");
        }
    }
}
