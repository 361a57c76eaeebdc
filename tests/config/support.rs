//! A set of service files in a directory of their own, and what loading it says.

use horust::config::{Loaded, Options, load, render};
use horust::model::ServiceSpec;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Whether a committed page is what the program makes of its declarations. `UPDATE_DOCS=1` writes it anew.
#[track_caller]
pub fn assert_page(path: &str, page: &str) {
    let path = root().join(path);
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    if committed != page && std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, page).unwrap();
    }
    let different = committed.lines().zip(page.lines()).find(|(old, new)| old != new);
    let lengths = (committed.len(), page.len());
    assert!(committed == page, "{} is out of date: {different:?} {lengths:?}; UPDATE_DOCS=1 writes it", path.display());
}

/// Files in a temporary directory.
pub struct Set {
    /// The directory.
    pub dir: tempfile::TempDir,
}

impl Set {
    /// Writes these files: (name, text).
    pub fn new(files: &[(&str, &str)]) -> Set {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Set { dir }
    }

    /// A path inside it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Loads its services.
    pub fn load(&self) -> Loaded {
        self.load_with(&[self.dir.path().to_owned()], None, false)
    }

    /// Loads its services with a `horust.toml` that is one of its files.
    pub fn load_by(&self, config: &str) -> Loaded {
        self.load_with(&[self.dir.path().to_owned()], Some(&self.path(config)), false)
    }

    /// Loads some of it.
    pub fn load_with(&self, services: &[PathBuf], config: Option<&Path>, skip_invalid: bool) -> Loaded {
        load(&Options { services, config, skip_invalid, env: &environment })
    }

    /// What the user reads, without the name of the temporary directory.
    pub fn shown(&self, loaded: &Loaded) -> String {
        let directory = self.dir.path().to_str().unwrap();
        render(&loaded.diagnostics, false).replace(&format!("{directory}/"), "").replace(directory, "DIR")
    }

    /// The services of a set without errors.
    pub fn services(&self) -> Vec<ServiceSpec> {
        let loaded = self.load();
        assert!(!loaded.refused, "{}", self.shown(&loaded));
        loaded.plan.services.iter().map(|spec| (**spec).clone()).collect()
    }
}

/// The one service of a text that must load without a word.
pub fn one(text: &str) -> ServiceSpec {
    let set = Set::new(&[("one.toml", text)]);
    let loaded = set.load();
    assert_eq!(set.shown(&loaded), "", "{text}");
    (*loaded.plan.services[0]).clone()
}

/// The warnings of one text that must load.
pub fn warnings(text: &str) -> Vec<String> {
    let set = Set::new(&[("one.toml", text)]);
    let loaded = set.load();
    assert!(!loaded.refused, "{}", set.shown(&loaded));
    loaded.diagnostics.into_iter().map(|d| d.message).collect()
}

/// The variables that the tests know.
pub fn environment(name: &str) -> Option<OsString> {
    match name {
        "HOME" => Some("/root".into()),
        "N" => Some("3".into()),
        "BLANK" => Some("  ".into()),
        "EVIL" => Some("x\"\nuser = \"root".into()),
        "TWO_LINES" => Some("1\nrequired = true".into()),
        _ => None,
    }
}

/// Service files of real projects, each with what is wanted of it; they are not part of this repository.
pub fn corpus() -> Option<Vec<(PathBuf, String)>> {
    let shared = std::env::var_os("HORUST_SHARED").map_or_else(|| PathBuf::from("../shared"), PathBuf::from);
    let Ok(index) = std::fs::read_to_string(shared.join("corpus/INDEX.md")) else {
        println!("skipped: there is no corpus in {}", shared.display());
        return None;
    };
    let files = index.lines().filter(|line| line.contains(".toml |")).map(|line| {
        let cells: Vec<_> = line.split(" | ").map(|cell| cell.trim_matches(['|', ' '])).collect();
        (shared.join("corpus").join(cells[0]), cells[2].to_owned())
    });
    Some(files.collect())
}
