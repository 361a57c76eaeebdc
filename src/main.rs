//! Picks the mode: supervise, run one command, client verb, exec stage. The only place that ends the process.

fn main() {}
