//! The supervisor without a world: scripted processes and a clock that jumps stand in for Linux, so that hours of
//! supervision take milliseconds and every run can be repeated exactly. Nothing here starts a process or sleeps.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)] // also in the helpers of tests

#[path = "sim/checker/mod.rs"]
mod checker;
#[path = "supervisor/conditions.rs"]
mod conditions;
#[path = "supervisor/depend.rs"]
mod depend;
#[path = "supervisor/docs.rs"]
mod docs;
#[path = "supervisor/explain.rs"]
mod explain;
#[path = "supervisor/first.rs"]
mod first;
#[path = "supervisor/hand.rs"]
mod hand;
#[path = "supervisor/health.rs"]
mod health;
#[path = "supervisor/hooks.rs"]
mod hooks;
#[path = "supervisor/invariants.rs"]
mod invariants;
#[path = "supervisor/ready.rs"]
mod ready;
#[path = "supervisor/reload.rs"]
mod reload;
#[path = "supervisor/restart.rs"]
mod restart;
#[path = "supervisor/script.rs"]
mod script;
#[path = "supervisor/shutdown.rs"]
mod shutdown;
#[path = "supervisor/stop.rs"]
mod stop;
#[path = "supervisor/strategies.rs"]
mod strategies;
#[path = "supervisor/world.rs"]
mod world;
