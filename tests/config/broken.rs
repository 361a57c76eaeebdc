//! What the user reads about broken input, word for word.

use super::support::{Set, root};
use horust::config::Loaded;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// One file below `cases/` or `checks/`: service files and `settings`, which is `horust.toml`, each after a line `==== NAME`, and after `==== page` what the user reads.
/// A file whose line ends in `: bad shape` is one that the JSON Schema refuses too.
pub struct Case {
    /// The file of the case.
    pub path: PathBuf,
    /// Names, texts, and whether the shape is bad.
    pub files: Vec<(String, String, bool)>,
    /// The page.
    pub page: String,
}

/// All cases of a directory, sorted.
pub fn cases(directory: &str) -> Vec<Case> {
    let directory = root().join("tests/config").join(directory);
    let mut paths: Vec<_> = directory.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| case(path)).collect()
}

fn case(path: &Path) -> Case {
    let text = std::fs::read_to_string(path).unwrap();
    let mut case = Case { path: path.to_owned(), files: Vec::new(), page: String::new() };
    for section in text.strip_prefix("==== ").unwrap().split("\n==== ") {
        let (head, body) = section.split_once('\n').unwrap_or((section, ""));
        let body = if body.is_empty() || body.ends_with('\n') { body.to_owned() } else { format!("{body}\n") };
        match head {
            "page" => case.page = body,
            _ => {
                let bad_shape = head.ends_with(": bad shape");
                case.files.push((head.trim_end_matches(": bad shape").to_owned(), body, bad_shape));
            }
        }
    }
    case
}

impl Case {
    fn set(&self) -> Set {
        let files: Vec<_> = self.files.iter().map(|(name, text, _)| (name.as_str(), text.as_str())).collect();
        Set::new(&files)
    }

    fn with_page(&self, page: &str) -> String {
        let mut text = String::new();
        for (name, body, bad_shape) in &self.files {
            let _ = write!(text, "==== {name}{}\n{body}", if *bad_shape { ": bad shape" } else { "" });
        }
        text + "==== page\n" + page
    }
}

/// Compares all pages. Read the difference, then take over what is right with `UPDATE_DOCS=1`.
pub fn assert_pages(directory: &str, load: impl Fn(&Set, Option<&Path>) -> Loaded) {
    let mut wrong = String::new();
    for case in cases(directory) {
        let set = case.set();
        let settings = set.path("settings");
        let loaded = load(&set, settings.exists().then_some(settings.as_path()));
        let seen = set.shown(&loaded);
        if seen != case.page {
            if std::env::var_os("UPDATE_DOCS").is_some() {
                std::fs::write(&case.path, case.with_page(&seen)).unwrap();
            }
            let _ = writeln!(wrong, "== {}, seen:\n{seen}\n== wanted:\n{}", case.path.display(), case.page);
        }
        let error = seen.contains("error:");
        assert_eq!(loaded.refused, error, "{}", case.path.display());
        assert_eq!(loaded.plan.services.is_empty(), error, "{}", case.path.display());
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn broken_input_is_explained_word_for_word() {
    assert!(cases("cases").len() >= 47);
    assert_pages("cases", |set, config| set.load_with(&[set.dir.path().to_owned()], config, false));
}
