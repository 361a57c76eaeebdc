//! What the user reads about broken input, word for word.

use super::cases::CASES;
use super::support::Set;
use std::fmt::Write as _;

/// The cases stand in `cases.rs`: their files, and the page that must come out. To accept new pages after a look at the
/// difference, run with `HORUST_PRINT_CASES=1` and take over what is printed.
#[test]
fn broken_input_is_explained_word_for_word() {
    let mut wrong = String::new();
    for (name, files, wanted) in CASES.iter().chain(super::waits::CASES).chain(super::health::CASES) {
        let set = Set::new(files);
        let loaded = set.load();
        let seen = set.shown(&loaded);
        if std::env::var_os("HORUST_PRINT_CASES").is_some() {
            println!("@@{name}\n{seen}@@");
        }
        if seen.trim() != wanted.trim() {
            let _ = writeln!(wrong, "== {name}, seen:\n{seen}\n== wanted:\n{wanted}");
        }
        let error = seen.contains("error");
        assert_eq!(loaded.refused, error, "{name}");
        assert_eq!(loaded.plan.services.is_empty(), error, "{name}");
    }
    assert!(wrong.is_empty(), "{wrong}");
}
