//! Configuration: what loads, what is refused, and what the user reads about it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)] // also in helpers

#[path = "config/broken.rs"]
mod broken;
#[path = "config/compose.rs"]
mod compose;
#[path = "config/effective.rs"]
mod effective;
#[path = "config/files.rs"]
mod files;
#[path = "config/health.rs"]
mod health;
#[path = "config/keys.rs"]
mod keys;
#[path = "config/lint.rs"]
mod lint;
#[path = "config/process.rs"]
mod process;
#[path = "config/schemas.rs"]
mod schemas;
#[path = "config/support.rs"]
mod support;
#[path = "config/valid.rs"]
mod valid;
#[path = "config/waits.rs"]
mod waits;
