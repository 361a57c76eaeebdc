//! A silent simulation proves nothing: here the supervisor has bugs, compiled in by the feature `canary`, and each must be
//! found. `cargo xtask test canary` runs this.

use crate::seeds;
use horust::canary::{Canary, release};

/// Each must be found within so many steps, which is what `cargo test` takes.
const STEPS: u64 = 1_000_000;

#[test]
fn every_canary_is_found() {
    let silent: Vec<Canary> = Canary::ALL.into_iter().filter(|canary| !is_found(*canary)).collect();
    release(None);
    assert!(silent.is_empty(), "not found within {STEPS} steps: {silent:?}");
    seeds::many(0, STEPS).unwrap_or_else(|failure| panic!("without a canary: {}", failure.report()));
}

/// Whether the simulation breaks with this bug.
fn is_found(canary: Canary) -> bool {
    release(Some(canary));
    let Err(failure) = seeds::many(0, STEPS) else { return false };
    let report = failure.report();
    println!("{canary:?} found: {}", report.lines().next().unwrap_or_default());
    true
}
