//! Hands the order of the code to the linker of the release build: see `xtask/src/layout.rs`.

#![allow(clippy::print_stdout, reason = "how a build script talks to cargo")]

fn main() {
    let layout = concat!(env!("CARGO_MANIFEST_DIR"), "/.cargo/layout.ld");
    println!("cargo:rerun-if-changed={layout}");
    if std::env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        println!("cargo:rustc-link-arg-bins=-Wl,-T,{layout}");
    }
}
