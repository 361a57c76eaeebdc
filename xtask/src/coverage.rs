//! Which lines the tests run, by `cargo llvm-cov`. The end-to-end tests run the instrumented binary. What it does before it
//! executes another program, or is killed, is not counted.

use crate::parts::{cargo, ensure};
use crate::tools::{self, capture, run};
use anyhow::{Context, Result, bail};
use std::process::Command;

/// How much of what must be run by the tests, in percent of the lines.
const WANTED: [(&str, u64); 2] = [("src/supervisor/", 98), ("src/", 90)];

/// `cargo xtask coverage [ARGUMENT…]`: all of `cargo test`, or what these arguments of it choose. Tells how much of each file is
/// run; fails if all tests together run less than is wanted.
pub fn measure(args: &[&str]) -> Result<()> {
    tools::llvm_cov()?;
    // What `.cargo/config.toml` calls host-tuple; cargo-llvm-cov does not know that word.
    let target = capture(Command::new("rustc").args(["--print", "host-tuple"]))?;
    let dir = std::env::current_dir()?.join("target/llvm-cov-target");
    let llvm_cov = |command: &[&str]| {
        let mut llvm_cov = cargo(&["llvm-cov"]);
        llvm_cov.args(command).env("CARGO_BUILD_TARGET", target.trim());
        // The latter is for a test that has cargo build a daemon.
        llvm_cov.env("CARGO_LLVM_COV_TARGET_DIR", &dir).env("CARGO_TARGET_DIR", &dir);
        // A few files for all processes, which add to them in turn; by default each would leave one of a megabyte.
        llvm_cov.env("LLVM_PROFILE_FILE_NAME", "horust-%8m.profraw");
        llvm_cov
    };
    // Older test binaries as well: their lines would count as not run.
    run(&mut llvm_cov(&["clean", "--workspace"]))?;
    // Whether they pass is told elsewhere: a process that has given up its rights can't write its counts, and says so.
    run(llvm_cov(&["--no-report", "--ignore-run-fail", "--locked"]).args(args))?;
    // From programs whose environment does not say where to write.
    for entry in std::fs::read_dir(".")?.flatten() {
        if entry.path().extension().is_some_and(|extension| extension == "profraw") {
            std::fs::remove_file(entry.path())?;
        }
    }
    let files = files(&capture(&mut llvm_cov(&["report", "--lcov"]))?)?;
    for (name, lines) in &files {
        println!("{:>5} of {:>5} lines  {:>6.2} %  {name}", lines.run, lines.all, lines.percent());
    }
    let mut missing = Vec::new();
    for (of, wanted) in WANTED {
        let mut sum = Lines::default();
        files.iter().filter(|(name, _)| name.starts_with(of)).for_each(|(_, lines)| sum.add(*lines));
        ensure(sum.all > 0, || format!("no file of {of} was measured"))?;
        println!("{of}: {:.2} % of {} lines", sum.percent(), sum.all);
        if sum.run * 100 < sum.all * wanted {
            missing.push(format!("{of}: {wanted} % are wanted"));
        }
    }
    if args.is_empty() && !missing.is_empty() {
        let show = "cargo llvm-cov report --show-missing-lines";
        bail!("{}; see them by `CARGO_BUILD_TARGET={} {show}`", missing.join(", "), target.trim());
    }
    Ok(())
}

#[derive(Clone, Copy, Default)]
struct Lines {
    all: u64,
    run: u64,
}

impl Lines {
    fn add(&mut self, other: Lines) {
        self.all += other.all;
        self.run += other.run;
    }

    fn percent(self) -> f64 {
        100.0 * self.run as f64 / self.all.max(1) as f64
    }
}

/// The source files of lcov's format, from `src/` on, and how much of each was run.
fn files(lcov: &str) -> Result<Vec<(String, Lines)>> {
    let mut files: Vec<(String, Lines)> = Vec::new();
    for line in lcov.lines() {
        let Some((key, value)) = line.split_once(':') else { continue };
        let number = || value.parse().with_context(|| format!("{line} has no number"));
        match (key, files.last_mut()) {
            ("SF", _) => {
                let name = value.rfind("/src/").map_or(value, |at| &value[at + 1..]);
                files.push((name.to_owned(), Lines::default()));
            }
            ("LF", Some((_, lines))) => lines.all = number()?,
            ("LH", Some((_, lines))) => lines.run = number()?,
            _ => {}
        }
    }
    Ok(files)
}
