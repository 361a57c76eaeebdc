//! A service file: whatever stands in it, it loads or is refused with errors that can be shown, and what has loaded is
//! printed as a file that means the same.
#![no_main]

use horust::config::{self, Loaded, Options, Severity};
use horust::model::Mono;
use horust::supervisor::{Event, Supervisor};
use libfuzzer_sys::fuzz_target;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

static DIR: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir_in("/dev/shm").unwrap());

fn load(path: &Path) -> Loaded {
    let env = |name: &str| matches!(name, "A" | "HOME").then(|| "1 \"'$\n".into());
    let services = [path.to_owned()];
    config::load(&Options { services: &services, config: None, skip_invalid: false, env: &env })
}

fn written(name: &str, text: &[u8]) -> PathBuf {
    let path = DIR.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fuzz_target!(|data: &[u8]| {
    let loaded = load(&written("a.toml", data));
    let errors = loaded.diagnostics.iter().filter(|one| one.severity == Severity::Error).count();
    assert_eq!(loaded.refused, errors > 0);
    for colour in [false, true] {
        assert_eq!(config::render(&loaded.diagnostics, colour).is_empty(), loaded.diagnostics.is_empty());
    }
    let json: serde_json::Value = serde_json::from_str(&config::json(&loaded.diagnostics)).unwrap();
    assert_eq!(json.as_array().map(Vec::len), Some(loaded.diagnostics.len()));
    if loaded.refused {
        return;
    }
    let page = config::effective(&loaded.plan, &loaded.plan.services[0], &[]);
    let again = load(&written("b.toml", page.as_bytes()));
    assert!(!again.refused, "{page}\n{}", config::render(&again.diagnostics, false));
    let same = config::effective(&again.plan, &again.plan.services[0], &[]);
    // But for the first line, which names the file.
    assert_eq!(same.split_once('\n').map(|(_, rest)| rest), page.split_once('\n').map(|(_, rest)| rest));
    let mut supervisor = Supervisor::new(&loaded.plan, 1);
    supervisor.step(Mono(1), Event::Boot, &mut Vec::new());
});
