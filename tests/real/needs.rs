//! What the tests need of the machine, and what they have in common.

use std::path::{Path, PathBuf};

/// Whether the calling test has to be skipped because this is not root, or one of these programs is missing.
pub fn lacks(programs: &[&str]) -> bool {
    let missing = programs.iter().find(|program| find(program).is_none());
    if let Some(missing) = missing {
        crate::support::skip(&format!("needs {missing}"));
    }
    missing.is_some() || crate::support::needs_root()
}

/// Where a program is: in the `PATH` of the tests, or where Debian keeps what is not for everybody's.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .chain(postgres_bin())
        .map(|dir| dir.join(program))
        .find(|file| file.is_file())
}

/// The directory of PostgreSQL's programs: the newest of those that Debian installs beside each other.
pub fn postgres_bin() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let number = |dir: &Path| dir.file_name().and_then(|n| n.to_str()).and_then(|n| n.parse::<u32>().ok());
    versions.map(|e| e.path()).max_by_key(|dir| number(dir)).map(|dir| dir.join("bin"))
}

/// What a verb answers about the Horust whose control socket is in this directory.
pub fn ask(folder: &Path, words: &[&str]) -> String {
    let mut verb = std::process::Command::new(env!("CARGO_BIN_EXE_horust"));
    let out = verb.args(words).arg("--uds-folder-path").arg(folder).output().unwrap();
    String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned()
}
