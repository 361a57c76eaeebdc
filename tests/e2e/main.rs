//! End-to-end tests: the real binary, real processes, real signals; as PID 1 in a namespace of its own where that
//! matters. Services are bash and coreutils. Nothing sleeps to wait: conditions are polled, with a deadline.

#![allow(clippy::disallowed_types, reason = "these tests are the parent of Horust, not Horust")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail so")]
#![allow(clippy::print_stderr, reason = "a skipped test says so")]

#[path = "../sim/journal.rs"]
mod replay;
mod snapshot;
mod support;

mod bad_input;
mod cgroup;
mod check;
mod client;
mod command_mode;
mod completion;
mod control;
mod dependencies;
mod environment;
mod faults;
mod field_bugs;
mod health;
mod hooks;
mod journal;
mod lifecycle;
mod openapi;
mod output;
mod output_trouble;
mod pid1;
mod process_settings;
mod readiness;
mod refused;
mod reload;
mod reload_keys;
mod restart;
mod rotation;
mod serv;
mod stop;
mod streams;
mod told;
mod users;
mod verbs;
mod watch;
mod web;
