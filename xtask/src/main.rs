//! The project's routines behind one door: `cargo xtask test` is what a person and CI both run.
fn main() {}
