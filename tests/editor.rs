//! What an editor shows of a service file: taplo, whose language server editors use for TOML, reads the schema that `horust
//! schema` prints by the line `#:schema`. `cargo xtask test editor` installs it, names it in `HORUST_TAPLO` and runs these
//! tests; `cargo test` alone does not.

#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "these tests are the parent of Horust, not Horust"
)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail so")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Files below a line that names the schema.
struct Folder {
    dir: tempfile::TempDir,
}

impl Folder {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let schema = Command::new(env!("CARGO_BIN_EXE_horust")).arg("schema").output().unwrap();
        fs::write(dir.path().join("service.schema.json"), schema.stdout).unwrap();
        Self { dir }
    }

    fn put(&self, name: &str, text: &str) {
        fs::write(self.dir.path().join(name), format!("#:schema ./service.schema.json\n{text}")).unwrap();
    }

    /// Whether there is nothing wrong with all files, and what was said.
    fn lint(&self) -> (bool, String) {
        let taplo = std::env::var_os("HORUST_TAPLO");
        let taplo = taplo.expect("`cargo xtask test editor` runs these tests");
        let out =
            Command::new(taplo).args(["lint", "--colors", "never"]).current_dir(self.dir.path()).output().unwrap();
        (out.status.success(), String::from_utf8(out.stderr).unwrap())
    }
}

fn examples(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(examples(&path)),
            // Defaults need no command; they have a schema of their own.
            false if path.ends_with("_defaults.toml") => {}
            false if path.extension().is_some_and(|e| e == "toml") => found.push(path),
            false => {}
        }
    }
    found
}

#[test]
fn an_editor_has_nothing_against_the_examples() {
    let folder = Folder::new();
    let all = examples(&Path::new(env!("CARGO_MANIFEST_DIR")).join("example_services"));
    assert!(all.len() > 5, "{all:?}");
    for (number, path) in all.iter().enumerate() {
        folder.put(&format!("{number}.toml"), &fs::read_to_string(path).unwrap());
    }
    let (right, said) = folder.lint();
    assert!(right, "{said}");
    assert!(said.contains(&format!("total={}", all.len())), "it looked at all: {said}");
}

#[test]
fn an_editor_marks_what_is_wrong_where_it_is() {
    for (text, place, says) in [
        ("command = \"true\"\nstart-dely = \"1s\"\n", "a.toml:3:", "start-dely"),
        ("command = \"true\"\n[restart]\nattempts = \"many\"\n", "a.toml:4:12", "\"many\" is not of type"),
        ("command = \"true\"\n[restart]\nstrategy = \"sometimes\"\n", "a.toml:4:12", "sometimes"),
        ("command = true\n", "a.toml:2:11", "true is not"),
    ] {
        let folder = Folder::new();
        folder.put("a.toml", text);
        let (right, said) = folder.lint();
        assert!(!right && said.contains(place) && said.contains(says), "{text}{said}");
    }
}
