//! The project's routines, the same for a person and for CI. `cargo xtask test` is the one test command.
//!
//! A part that can't run on this machine says so in one line and counts as skipped, never as passed. With `CI=true` a skip
//! is a failure.

#![allow(clippy::disallowed_types, reason = "a developer's tool; the ban on std's Command is for the supervisor")]

mod bench;
mod counts;
mod coverage;
mod docker;
mod fuzz;
mod images;
mod layout;
mod parts;
#[path = "../../tests/e2e/poll.rs"]
mod poll;
mod process;
mod real;
mod sim;
mod soak;
mod tools;
mod vm;

use parts::{Outcome, PARTS};
use std::process::ExitCode;
use std::time::Instant;

const USAGE: &str = "\
usage: cargo xtask test [PART…]   run all parts that need no outside database, or only these
       cargo xtask ci-list        list the parts
       cargo xtask sim [--steps N] [--seed S]   simulate for longer: 100,000,000 steps from seed 0
       cargo xtask fuzz [TARGET…] [--seconds N]   feed readers of foreign bytes: each for a minute
       cargo xtask soak [--minutes N]   200 services that crash and are steered: an hour of it
       cargo xtask coverage [ARGUMENT…]   which lines `cargo test ARGUMENT…` runs
       cargo xtask bench [OPTION…]   beside other supervisors: tables and a chart; `bench help` tells the options
       cargo xtask layout         order the code in the binary by what runs (see .cargo/layout.ld)";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["test", chosen @ ..] => test(chosen),
        ["ci-list"] => {
            for part in PARTS {
                println!("{:<10} {}", part.name, part.about);
            }
            ExitCode::SUCCESS
        }
        ["sim", args @ ..] => done(sim::long(args)),
        ["fuzz", args @ ..] => done(fuzz::long(args)),
        ["soak", "probes"] => done(real::soak_probes()),
        ["soak", args @ ..] => done(soak::long(args)),
        ["coverage", args @ ..] => done(coverage::measure(args)),
        ["bench", args @ ..] => done(bench::run(args)),
        ["layout"] => done(layout::write()),
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(64)
        }
    }
}

fn done(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn test(chosen: &[&str]) -> ExitCode {
    if let Some(unknown) = chosen.iter().find(|name| !PARTS.iter().any(|part| part.name == **name)) {
        eprintln!("there is no part {unknown:?}; `cargo xtask ci-list` lists them");
        return ExitCode::from(64);
    }
    let ci = std::env::var("CI").is_ok_and(|v| v == "true");
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    let mut summary = Vec::new();
    for part in PARTS.iter().filter(|part| if chosen.is_empty() { part.always } else { chosen.contains(&part.name) }) {
        println!("\n== {}: {}", part.name, part.about);
        let start = Instant::now();
        let word = match (part.run)() {
            Ok(Outcome::Passed) => {
                passed += 1;
                "passed".to_owned()
            }
            Ok(Outcome::Skipped(why)) if ci => {
                failed += 1;
                format!("FAILED: skipped, which CI does not allow: {why}")
            }
            Ok(Outcome::Skipped(why)) => {
                skipped += 1;
                format!("skipped: {why}")
            }
            Err(e) => {
                failed += 1;
                format!("FAILED: {e:#}")
            }
        };
        summary.push(format!("{:<10} {:>6.1}s  {word}", part.name, start.elapsed().as_secs_f64()));
        println!("== {}: {word}", part.name);
    }
    println!("\n{}\n\n{passed} passed, {failed} failed, {skipped} skipped", summary.join("\n"));
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
