//! The supervisor in a fake Linux: processes with a life of their own, six process numbers, a clock that jumps, and
//! everything that goes wrong in the field, drawn at random from a seed. DEVELOPMENT.md tells how to run it for longer and
//! how to see a failure again. Nothing here starts a process or sleeps.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)] // also in the helpers of tests

#[cfg(feature = "canary")]
mod canary;
mod checker;
mod dice;
#[path = "../supervisor/docs.rs"]
mod docs;
mod every;
mod failure;
mod faults;
mod journal;
mod kernel;
mod life;
mod main_thread;
mod plan;
mod seeds;
mod states;
mod world;

use std::sync::OnceLock;

/// A number from the environment.
fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// All seeds, once for all tests of this binary.
fn lives() -> &'static seeds::Seen {
    static LIVES: OnceLock<seeds::Seen> = OnceLock::new();
    LIVES.get_or_init(|| {
        let first = number("HORUST_SIM_SEED").unwrap_or(0);
        let steps = match std::env::var_os("HORUST_SIM_SEED") {
            Some(_) => 1,
            None => number("HORUST_SIM_STEPS").unwrap_or(1_000_000),
        };
        let first = number("HORUST_SIM_FIRST").unwrap_or(first);
        seeds::many(first, steps).unwrap_or_else(|failure| panic!("{}", failure.report()))
    })
}

#[test]
fn random_lives_keep_every_promise() {
    assert!(lives().seeds > 0);
}

/// A journal of a running Horust, or of one that has failed: `HORUST_SIM_JOURNAL=FILE cargo test --test sim journal -- --nocapture`.
#[test]
fn a_journal_is_lived_again() {
    let Some(file) = std::env::var_os("HORUST_SIM_JOURNAL") else { return };
    let text = std::fs::read_to_string(file).unwrap();
    let story = journal::parse(&text).expect("this is no journal of this version of Horust");
    println!("{}", journal::tell(&story));
    journal::live_again(&story).unwrap_or_else(|differs| panic!("{differs}"));
}
