//! Compresses what Horust sends as it is, the page for the browser (`src/control/ui`) and the OpenAPI document, and hands the
//! order of the code to the linker of the release build: see `xtask/src/layout.rs`.

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
        let of = |what: &str| std::env::var(format!("CARGO_CFG_TARGET_{what}")).unwrap_or_default();
        if fs::metadata(layout).is_ok_and(|file| file.len() == 0) {
            // `cargo xtask layout` looks where each function is. All else is as in any release: the compiler names functions
            // that are alike by the first of them, and which that is depends on how it is called.
            println!("cargo:rustc-link-arg-bins=-Wl,-Map={}/target/layout/map", env!("CARGO_MANIFEST_DIR"));
        } else if of("ARCH") == "x86_64" && of("ENV") == "gnu" {
            // The linker that Rust brings for this target can keep functions once that have the same code: 22 KiB.
            println!("cargo:rustc-link-arg-bins=-Wl,--icf=all");
        }
    }
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/src/control/ui");
    println!("cargo:rerun-if-changed={page}");
    let into = std::env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?;
    // Where only the dependencies are built, in the Dockerfile, there are no files yet.
    for entry in fs::read_dir(page).into_iter().flatten() {
        let path = entry?.path();
        let name = path.file_name().map(OsStr::to_string_lossy).unwrap_or_default();
        compress(&fs::read(&path)?, &Path::new(&into).join(format!("{name}.gz")))?;
    }
    let api = concat!(env!("CARGO_MANIFEST_DIR"), "/src/control/openapi.json");
    println!("cargo:rerun-if-changed={api}");
    match fs::read(api) {
        Ok(text) => compress(&dense(&text), &Path::new(&into).join("openapi.json.gz")),
        Err(_) => Ok(()),
    }
}

fn compress(bytes: &[u8], to: &Path) -> io::Result<()> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    fs::write(to, encoder.finish()?)
}

/// JSON without the blanks between its words.
fn dense(json: &[u8]) -> Vec<u8> {
    let (mut quoted, mut escaped) = (false, false);
    let keep = |byte: &u8| {
        let keep = quoted || !byte.is_ascii_whitespace();
        quoted ^= *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        keep
    };
    json.iter().copied().filter(keep).collect()
}
