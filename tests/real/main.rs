//! Real programs below Horust: PostgreSQL, Redis, nginx, gunicorn, systemd-notify and s6's tools, from Debian's packages; and
//! many probes at once. `cargo xtask test real` installs what these tests need and runs them; `cargo test` alone does not.

#![allow(clippy::disallowed_types, reason = "these tests are the parent of Horust, not Horust")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail so")]
#![allow(clippy::print_stderr, reason = "a skipped test says so")]

#[allow(dead_code, reason = "the end-to-end tests use all of it")]
#[path = "../e2e/support.rs"]
mod support;

mod needs;
mod nginx;
mod postgres;
mod probes;
mod redis;
mod s6;
mod sd_notify;
mod web;
mod web_stack;
