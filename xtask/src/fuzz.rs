//! The fuzz targets (`fuzz/`), built by the Rust that is there: what they need of the compiler are flags of its stable release.

use crate::parts::{Outcome, cargo};
use crate::tools::{self, run};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Each target, and where it begins beside its own corpus.
const TARGETS: &[(&str, &[&str])] = &[
    ("service", &["example_services", "tests/config/cases"]),
    ("template", &[]),
    ("dotenv", &[]),
    ("notify", &[]),
    ("api", &[]),
    ("lines", &[]),
    ("values", &[]),
];

/// What cargo-fuzz gives the compiler, but for the address sanitizer: there is next to no unsafe code.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
                     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
                     -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing";

/// Seconds for each target as a part of all tests.
const SHORT: u64 = 8;

/// The part `fuzz`.
pub fn part() -> Result<Outcome> {
    if let Err(e) = tools::need("g++", "g++") {
        return Ok(Outcome::Skipped(format!("{e:#}")));
    }
    targets(TARGETS, SHORT)?;
    Ok(Outcome::Passed)
}

/// `cargo xtask fuzz [TARGET…] [--seconds N]`: these or all, so long each.
pub fn long(args: &[&str]) -> Result<()> {
    let (names, seconds) = match args {
        [names @ .., "--seconds", n] => (names, n.parse().context("--seconds needs a number")?),
        names => (names, 60),
    };
    if let Some(unknown) = names.iter().find(|name| !TARGETS.iter().any(|(known, _)| known == *name)) {
        let known: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
        bail!("there is no target {unknown}; there are {}", known.join(", "));
    }
    tools::need("g++", "g++")?;
    let chosen = TARGETS.iter().filter(|(name, _)| names.is_empty() || names.contains(name));
    targets(&chosen.copied().collect::<Vec<_>>(), seconds)
}

fn targets(targets: &[(&str, &[&str])], seconds: u64) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask is nowhere")?;
    let dir = root.join("target/fuzz");
    let mut build = cargo(&["build", "--release", "--locked", "--manifest-path", "fuzz/Cargo.toml", "--target-dir"]);
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    build.arg(&dir).args(["--target", &target]);
    run(build.env("RUSTFLAGS", FLAGS).env_remove("CARGO_TARGET_DIR").current_dir(root))?;
    for (name, begins) in targets {
        let program = dir.join(&target).join("release").join(name);
        println!("{name}: {} executions", fuzz(root, &dir, &program, begins, seconds)?);
    }
    Ok(())
}

/// Runs one target, and returns how many inputs it was given.
fn fuzz(root: &Path, dir: &Path, program: &Path, begins: &[&str], seconds: u64) -> Result<u64> {
    let name = program.file_name().unwrap_or_default();
    let (found, crashes) = (dir.join("found").join(name), dir.join("crashes").join(name));
    for dir in [&found, &crashes] {
        fs::create_dir_all(dir).context("cannot make a directory for what is found")?;
    }
    let corpus = [PathBuf::from("fuzz/corpus").join(name)].into_iter().chain(begins.iter().map(PathBuf::from));
    let begin = corpus.map(|dir| root.join(dir)).filter(|dir| dir.exists());
    let mut fuzzer = Command::new(program);
    fuzzer.arg(&found).args(begin).arg(format!("-max_total_time={seconds}")).current_dir(root);
    fuzzer.args(["-timeout=20", "-rss_limit_mb=1024", "-print_final_stats=1", "-verbosity=0"]);
    fuzzer.arg(format!("-artifact_prefix={}/", crashes.display()));
    let done = fuzzer.stdin(Stdio::null()).output().with_context(|| format!("cannot run {}", program.display()))?;
    let said = String::from_utf8_lossy(&done.stderr);
    if !done.status.success() {
        bail!("{said}\n{} has failed; again: {} FILE-ABOVE", name.display(), program.display());
    }
    let count = said.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:")?.trim().parse().ok());
    count.with_context(|| format!("{} does not say what it has done: {said}", name.display()))
}
