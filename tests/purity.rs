//! Holds the sources to the rules of the architecture (DEVELOPMENT.md names them): who may import what, where unsafe code
//! may stand, how large a file may grow, and what must not be in the repository at all.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

/// A source file: its path from the root of the repository, and its lines without comments and tests.
struct Source {
    path: String,
    code: Vec<(usize, String)>,
    lines: usize,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files below a directory, but for what is built or is git's.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if path.is_dir() {
            if name != "target" && name != ".git" {
                found.extend(files(&path));
            }
        } else if name != ".git" {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

fn sources(below: &str) -> Vec<Source> {
    let rust = files(&root().join(below)).into_iter().filter(|p| p.extension().is_some_and(|e| e == "rs"));
    rust.map(|path| source(relative(&path), &fs::read_to_string(&path).unwrap())).collect()
}

fn source(path: String, text: &str) -> Source {
    // House style: the tests are the last item of a file, or a file of their own.
    let end = text.find("\n#[cfg(test)]\nmod ").filter(|at| text[*at..].contains("{\n")).unwrap_or(text.len());
    let tests_only = path.ends_with("/tests.rs") || path.contains("/tests/");
    let code = if tests_only { "" } else { &text[..end] };
    let code = code.lines().enumerate().map(|(i, line)| (i + 1, line.split("//").next().unwrap().to_owned())).collect();
    let lines = text[..end].lines().count();
    Source { path, code, lines }
}

/// Each line that holds one of these words, as `file:line: text`.
fn uses(source: &Source, words: &[&str]) -> Vec<String> {
    let hit = |line: &str| words.iter().any(|word| has_word(line, word));
    let lines = source.code.iter().filter(|(_, line)| hit(line));
    lines.map(|(number, line)| format!("{}:{number}: {}", source.path, line.trim())).collect()
}

/// Whether the text holds the word, and not as a part of a longer name.
fn has_word(text: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| !text[..at].ends_with(part) && !text[at + word.len()..].starts_with(part))
}

#[track_caller]
fn assert_none(found: &[String], rule: &str) {
    assert!(found.is_empty(), "{rule}:\n{}", found.join("\n"));
}

#[test]
fn supervisor_and_model_are_pure() {
    let impure = [
        "std::fs",
        "std::net",
        "std::io",
        "std::thread",
        "std::process",
        "std::env",
        "std::sync::mpsc",
        "Instant",
        "SystemTime",
        "log",
        "nix",
        "libc",
        "crossbeam_channel",
        "reqwest",
        "HashMap",
        "HashSet",
        "serde",
        "toml",
        "println",
        "eprintln",
    ];
    for source in sources("src/supervisor").iter().chain(&sources("src/model")) {
        // `use std::{fs, …}` would hide the path.
        let grouped: Vec<String> = uses(source, &["std::{"]);
        assert_none(&grouped, "write one `use` for each module of std here, so that this test can read them");
        let imports = |word: &str| ["log", "nix", "libc", "toml", "serde"].contains(&word);
        for word in impure {
            let word = if imports(word) { format!("{word}::") } else { word.to_owned() };
            assert_none(
                &uses(source, &[&word]),
                "the supervisor and the model do no I/O, read no clock and iterate in a fixed order",
            );
        }
    }
}

#[test]
fn modules_import_only_what_lies_below_them() {
    // `limits` and `connect` are for all; `sys` knows nothing else of ours.
    let modules = ["model", "config", "supervisor", "sys", "runtime", "healthcheck", "logging", "control", "cli"];
    let allowed: &[(&str, &[&str])] = &[
        ("model", &[]),
        ("config", &["model"]),
        ("supervisor", &["model"]),
        ("sys", &[]),
        ("healthcheck", &["model"]),
        ("logging", &["model"]),
        ("control", &["model", "supervisor"]),
        ("runtime", &["model", "config", "supervisor", "sys", "healthcheck", "logging", "control"]),
        ("cli", &["model", "config", "runtime", "control"]),
    ];
    for (module, below) in allowed {
        let dir = root().join("src").join(module);
        if !dir.exists() {
            continue; // A later step's.
        }
        for source in sources(&format!("src/{module}")) {
            for other in modules.iter().filter(|other| *other != module && !below.contains(other)) {
                let paths = [format!("crate::{other}"), format!("super::super::{other}")];
                let found = uses(&source, &[&paths[0], &paths[1]]);
                assert_none(&found, &format!("{module} must not import {other}"));
            }
            assert_none(
                &uses(&source, &["crate::{"]),
                "write one `use crate::` for each module, so that this test can read them",
            );
        }
    }
}

#[test]
fn unsafe_code_stands_in_one_file() {
    for source in sources("src").iter().filter(|s| s.path != "src/sys/raw.rs") {
        let found: Vec<String> = uses(source, &["unsafe", "allow(unsafe_code"]);
        let found: Vec<String> = found
            .into_iter()
            .filter(|l| !(source.path == "src/sys/mod.rs" && l.contains("allow(unsafe_code")))
            .collect();
        assert_none(&found, "unsafe code belongs into src/sys/raw.rs");
    }
}

#[test]
fn only_main_ends_the_process() {
    for source in sources("src").iter().filter(|s| s.path != "src/main.rs" && s.path != "src/sys/raw.rs") {
        assert_none(&uses(source, &["process::exit", "process::abort", "_exit"]), "only main.rs ends the process");
    }
}

#[test]
fn files_stay_readable() {
    for source in sources("src").iter().chain(&sources("xtask")) {
        assert!(source.lines <= 700, "{} has {} lines; 700 is the limit, 400 the aim", source.path, source.lines);
    }
    for path in files(&root().join("src")).iter().filter(|p| p.extension().is_some_and(|e| e == "rs")) {
        let text = fs::read_to_string(path).unwrap();
        assert!(text.starts_with("//!"), "{} does not say what it is", relative(path));
    }
}

#[test]
fn no_test_is_ignored() {
    // Put together here, so that this line is no find.
    let attribute = ["#[", "ignore"].concat();
    for path in files(root()).iter().filter(|p| p.extension().is_some_and(|e| e == "rs")) {
        let text = fs::read_to_string(path).unwrap();
        assert!(!text.contains(&attribute), "{} ignores a test", relative(path));
    }
}

/// A build must not depend on one machine, and the repository names no registry: that is the tools' own business.
#[test]
fn no_machine_path_and_no_registry_host() {
    let hosts = ["crates.io", "deb.debian.org", "docker.io/", "ghcr.io", "pypi.org", "npmjs", "security.debian"];
    let paths = ["/root/.", "/home/"];
    // A lock file has to name its source; this file names what it looks for.
    let exempt = ["Cargo.lock", "tests/purity.rs"];
    for path in files(root()) {
        let name = relative(&path);
        let Ok(text) = fs::read_to_string(&path) else { continue };
        if exempt.contains(&name.as_str()) || name.ends_with("/Cargo.lock") {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let bad = hosts.iter().find(|h| line.contains(**h)).or_else(|| paths.iter().find(|p| line.contains(**p)));
            assert!(bad.is_none(), "{name}:{}: {:?} does not belong here: {line}", number + 1, bad.unwrap());
        }
    }
}

#[test]
fn the_rules_catch_what_they_are_for() {
    let text = "//! x\nuse std::fs;\nlet a = my_log::b(); // Instant\n#[cfg(test)]\nmod tests {\nuse std::net;\n}\n";
    let source = source("src/model/x.rs".to_owned(), text);
    assert_eq!(uses(&source, &["std::fs", "Instant", "log::", "std::net"]), ["src/model/x.rs:2: use std::fs;"]);
    assert_eq!(source.lines, 3);
}
