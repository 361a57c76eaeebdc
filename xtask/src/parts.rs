//! The parts of `cargo xtask test`, in the order in which they run: the quick ones first.

use crate::tools::{self, root};
use crate::{counts, docker, fuzz, real, sim, tools::run, vm};
use anyhow::{Context, Result, bail};
use std::fs;
use std::process::Command;

pub enum Outcome {
    Passed,
    /// It can't run here, for this reason.
    Skipped(String),
}

pub struct Part {
    pub name: &'static str,
    pub about: &'static str,
    pub run: fn() -> Result<Outcome>,
    /// Whether it runs without being named.
    pub always: bool,
}

pub const PARTS: &[Part] = &[
    Part { name: "fmt", about: "the code is formatted", run: fmt, always: true },
    Part { name: "clippy", about: "no lint, in any target", run: clippy, always: true },
    Part { name: "deny", about: "licenses, bans and sources of the dependencies", run: deny, always: true },
    // The database of advisories is outside of the package registry, and may be out of reach where the rest is not.
    Part { name: "advisories", about: "no dependency has a known hole", run: advisories, always: false },
    Part { name: "test", about: "unit and end-to-end tests", run: test, always: true },
    Part { name: "chaos", about: "a thread of Horust fails, the services are rescued", run: chaos, always: true },
    Part {
        name: "counts",
        about: "instructions, system calls, wake-ups, memory and size are within bounds",
        run: counts::part,
        always: true,
    },
    Part {
        name: "canary",
        about: "the simulation finds bugs that are made on purpose",
        run: sim::canary,
        always: true,
    },
    Part { name: "editor", about: "a TOML language server with the schema", run: editor, always: true },
    Part { name: "fuzz", about: "readers of foreign bytes bear what comes", run: fuzz::part, always: true },
    Part { name: "web", about: "the page in a real browser", run: web, always: true },
    Part { name: "real", about: "PostgreSQL, Redis, nginx and others below Horust", run: real::part, always: true },
    Part { name: "vm", about: "Horust as the init of a booted kernel", run: vm::part, always: true },
    Part { name: "docker", about: "the built image in a real Docker daemon", run: docker::part, always: true },
];

pub fn cargo(args: &[&str]) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.args(args);
    cargo
}

fn fmt() -> Result<Outcome> {
    run(&mut cargo(&["fmt", "--all", "--check"]))?;
    run(&mut cargo(&["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"]))?;
    Ok(Outcome::Passed)
}

fn clippy() -> Result<Outcome> {
    run(&mut cargo(&["clippy", "--workspace", "--locked", "--all-targets", "--", "-D", "warnings"]))?;
    Ok(Outcome::Passed)
}

fn deny() -> Result<Outcome> {
    if let Err(e) = tools::cargo_tool("cargo-deny") {
        return Ok(Outcome::Skipped(format!("{e:#}")));
    }
    run(&mut cargo(&["deny", "--locked", "check", "bans", "licenses", "sources"]))?;
    Ok(Outcome::Passed)
}

fn advisories() -> Result<Outcome> {
    if let Err(e) = tools::cargo_tool("cargo-deny") {
        return Ok(Outcome::Skipped(format!("{e:#}")));
    }
    let fetched = cargo(&["deny", "--locked", "fetch", "db"]).output().context("cannot run cargo deny")?;
    if !fetched.status.success() {
        return Ok(Outcome::Skipped("the advisory database cannot be fetched".to_owned()));
    }
    run(&mut cargo(&["deny", "--locked", "check", "--disable-fetch", "advisories"]))?;
    Ok(Outcome::Passed)
}

fn test() -> Result<Outcome> {
    if root() {
        tools::need("unshare", "util-linux")?;
        tools::need("setpriv", "util-linux")?;
    }
    // The docs have examples for curl, shells are asked to complete, and man shows its pages; where one can't be had its
    // test says so.
    for (program, package) in [("curl", "curl"), ("zsh", "zsh"), ("fish", "fish"), ("man", "man-db")] {
        if let Err(why) = tools::need(program, package) {
            println!("{why:#}");
        }
    }
    // Reads what `/metrics` says; where it can't be had the test of that says so.
    let parser = || Command::new("/usr/bin/python3").args(["-c", "import prometheus_client"]).output();
    let there = || parser().is_ok_and(|out| out.status.success());
    if let Err(why) = tools::install_unless(there, "parser of metrics", "python3-prometheus-client") {
        println!("{why:#}");
    }
    // Eight clients send verbs at random for so long, beside the other tests.
    counting_skips(cargo(&["test", "--workspace", "--locked"]).env("HORUST_VERBS_SECONDS", "60"))
}

fn chaos() -> Result<Outcome> {
    let test = ["--locked", "--features", "chaos", "--test", "chaos"];
    run(cargo(&["clippy"]).args(test).args(["--", "-D", "warnings"]))?;
    counting_skips(cargo(&["test"]).args(test))
}

fn editor() -> Result<Outcome> {
    let taplo = match tools::npm("@taplo/cli", "0.7.0", "taplo") {
        Ok(taplo) => taplo,
        Err(e) => return Ok(Outcome::Skipped(format!("{e:#}"))),
    };
    let test = ["--locked", "--test", "editor"];
    run(cargo(&["clippy"]).args(test).args(["--", "-D", "warnings"]))?;
    run(cargo(&["test"]).args(test).env("HORUST_TAPLO", taplo))?;
    Ok(Outcome::Passed)
}

fn web() -> Result<Outcome> {
    for (program, package) in [("chromium", "chromium"), ("chromedriver", "chromium-driver")] {
        if let Err(e) = tools::need(program, package) {
            return Ok(Outcome::Skipped(format!("{e:#}")));
        }
    }
    // It is not among `--all-targets` either.
    run(&mut cargo(&["clippy", "--locked", "--test", "browser", "--", "-D", "warnings"]))?;
    counting_skips(&mut cargo(&["test", "--locked", "--test", "browser"]))
}

/// Runs a `cargo test`. A test that needs more than this machine has (see `tests/e2e/support`) says so in a file.
pub fn counting_skips(tests: &mut Command) -> Result<Outcome> {
    let skips = std::env::temp_dir().join(format!("horust-skips-{}", std::process::id()));
    fs::write(&skips, "").context("cannot write the list of skipped tests")?;
    let result = run(tests.env("HORUST_TEST_SKIPS", &skips));
    let list = fs::read_to_string(&skips).unwrap_or_default();
    let _ = fs::remove_file(&skips);
    result?;
    let mut reasons: Vec<&str> = list.lines().collect();
    let count = reasons.len();
    if count == 0 {
        return Ok(Outcome::Passed);
    }
    for reason in &reasons {
        println!("skipped: {reason}");
    }
    reasons.sort_unstable();
    reasons.dedup();
    Ok(Outcome::Skipped(format!("all tests that ran passed, but {count} did not run: {}", reasons.join("; "))))
}

/// One check of a suite that is not cargo's: says what it shows, how it went and how long it took.
pub fn check(name: &str, body: impl FnOnce() -> Result<()>) -> bool {
    let start = std::time::Instant::now();
    let result = body();
    let seconds = start.elapsed().as_secs_f64();
    match &result {
        Ok(()) => println!("docker: {name} ... ok ({seconds:.1}s)"),
        Err(e) => println!("docker: {name} ... FAILED ({seconds:.1}s): {e:#}"),
    }
    result.is_ok()
}

/// Fails unless `true`, with this text.
pub fn ensure(condition: bool, text: impl FnOnce() -> String) -> Result<()> {
    if !condition {
        bail!(text());
    }
    Ok(())
}
