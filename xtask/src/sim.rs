//! The simulation: for longer than `cargo test` has time for, and on a supervisor that has bugs on purpose.

use crate::parts::{Outcome, cargo, ensure};
use crate::tools::{capture, run};
use anyhow::{Context, Result, bail};

/// The steps of a long run.
const STEPS: u64 = 100_000_000;

/// `cargo xtask sim [--steps N] [--seed S]`: so many steps from this seed on, on all processors, optimised.
pub fn long(args: &[&str]) -> Result<()> {
    let (mut steps, mut seed) = (STEPS, 0);
    for pair in args.chunks(2) {
        let number = pair.get(1).and_then(|number| number.replace('_', "").parse().ok());
        let number = number.with_context(|| format!("{} needs a number", pair[0]))?;
        match pair[0] {
            "--steps" => steps = number,
            "--seed" => seed = number,
            other => bail!("there is no option {other}; there are --steps N and --seed S"),
        }
    }
    println!("{steps} steps from seed {seed} on");
    let mut test =
        cargo(&["test", "--locked", "--profile", "sim", "--test", "sim", "random_lives", "--", "--nocapture"]);
    run(test.env("HORUST_SIM_STEPS", steps.to_string()).env("HORUST_SIM_FIRST", seed.to_string()))
}

/// The part `canary`: each bug that is compiled in must be found.
pub fn canary() -> Result<Outcome> {
    const TEST: &str = "every_canary_is_found";
    let target = ["--locked", "--features", "canary", "--test", "sim"];
    run(cargo(&["clippy"]).args(target).args(["--", "-D", "warnings"]))?;
    let said = capture(cargo(&["test"]).args(target).args([TEST, "--", "--nocapture"]))?;
    said.lines().filter(|line| line.contains(" found: ")).for_each(|line| println!("{line}"));
    // A name that matches no test would pass as well.
    ensure(said.contains("1 passed"), || format!("the test did not run:\n{said}"))?;
    Ok(Outcome::Passed)
}
