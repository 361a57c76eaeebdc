//! `sys` with real processes. Each test waits for its own children by pid, so they run side by side; what waits for any
//! child is in `sys_reap.rs`.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)] // helpers of tests

#[path = "sys/cgroup.rs"]
mod cgroup;
#[path = "sys/common.rs"]
mod common;
#[path = "sys/explain.rs"]
mod explain;
#[path = "sys/spawn.rs"]
mod spawn;
#[path = "sys/stage.rs"]
mod stage;
#[path = "sys/tree.rs"]
mod tree;
