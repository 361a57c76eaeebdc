//! Configuration: what loads, what is refused, and what the user reads about it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // also in the helpers of tests

#[path = "config/broken.rs"]
mod broken;
#[path = "config/cases.rs"]
mod cases;
#[path = "config/files.rs"]
mod files;
#[path = "config/health.rs"]
mod health;
#[path = "config/support.rs"]
mod support;
#[path = "config/valid.rs"]
mod valid;
#[path = "config/waits.rs"]
mod waits;
