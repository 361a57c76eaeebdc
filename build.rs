//! Compresses the page for the browser (`src/control/ui`), and hands the order of the code to the linker of the release
//! build: see `xtask/src/layout.rs`.

#![allow(clippy::print_stdout, reason = "how a build script talks to cargo")]

use flate2::{Compression, write::GzEncoder};
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

fn main() -> io::Result<()> {
    let layout = concat!(env!("CARGO_MANIFEST_DIR"), "/.cargo/layout.ld");
    println!("cargo:rerun-if-changed={layout}");
    if std::env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        println!("cargo:rustc-link-arg-bins=-Wl,-T,{layout}");
    }
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/src/control/ui");
    println!("cargo:rerun-if-changed={page}");
    let into = std::env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?;
    // Where only the dependencies are built, in the Dockerfile, there are no files yet.
    for entry in fs::read_dir(page).into_iter().flatten() {
        let path = entry?.path();
        let name = path.file_name().map(OsStr::to_string_lossy).unwrap_or_default();
        compress(&path, &Path::new(&into).join(format!("{name}.gz")))?;
    }
    Ok(())
}

fn compress(from: &Path, to: &Path) -> io::Result<()> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&fs::read(from)?)?;
    fs::write(to, encoder.finish()?)
}
