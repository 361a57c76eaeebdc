//! The command line beside supervising.

use crate::support::*;

#[test]
fn the_sample_service_is_a_valid_service() {
    let sample = horust().no_services_path().arg("--sample-service").run();
    sample.assert_code(0);
    assert_eq!(sample.stderr, "");
    let checked =
        horust().service("sample", &sample.stdout).no_services_path().arg("check").arg("@DIR@/services").run();
    checked.assert_code(0);
}

#[test]
fn check_starts_nothing() {
    let set = horust().service("good", "command = \"echo must not run\"\n");
    let done = set.no_services_path().arg("check").arg("@DIR@/services").run();
    done.assert_code(0);
    assert!(!done.stdout.contains("must not run\n") && done.stdout.contains('1'), "{}", done.stdout);
    let set = horust().service("bad", "command = 1\n").service("worse", "nonsense = 1\n");
    let done = set.no_services_path().arg("check").arg("@DIR@/services").run();
    done.assert_code(78);
    assert!(done.stdout.contains("bad.toml") && done.stdout.contains("worse.toml"), "{}", done.stdout);
}

#[test]
fn help_and_version_are_answers() {
    let help = horust().no_services_path().arg("--help").run();
    help.assert_code(0);
    for word in ["--services-path", "--skip-invalid", "--sample-service", "check", "COMMAND"] {
        assert!(help.stdout.contains(word), "{word} in {}", help.stdout);
    }
    let version = horust().no_services_path().arg("--version").run();
    version.assert_code(0);
    assert_eq!(version.stdout, format!("horust {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn several_paths_are_one_set() {
    let done = horust()
        .file("one/first.toml", "command = \"echo first\"\nkind = \"oneshot\"\n")
        .file("second.toml", "command = \"echo second\"\nstart-after = [\"first\"]\n")
        .no_services_path()
        .arg("--services-path")
        .arg("@DIR@/one")
        .arg("--services-path")
        .arg("@DIR@/second.toml")
        .run();
    done.assert_code(0);
    assert_eq!(done.stdout, "first\nsecond\n");
}

/// The README's promise: everything that stands under `example_services` loads, and has nothing to complain of.
#[test]
fn the_examples_load() {
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/example_services");
    for path in [format!("{examples}/quickstart"), format!("{examples}/sample_service.toml")] {
        horust().no_services_path().arg("check").arg("--strict").arg(&path).run().assert_code(0);
    }
    // It would be told here that programs are missing. `tests/real` complains of all else.
    horust().no_services_path().arg("check").arg(&format!("{examples}/web-stack")).run().assert_code(0);
}
