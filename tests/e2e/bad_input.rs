//! Bad input: a clear error with file and line, exit 78 and nothing started; or a failed start that says why.

use crate::support::*;
use std::fs;
use std::os::unix::fs::PermissionsExt;

const GOOD: &str = "command = \"bash -c 'echo must not run'\"\n";

/// The set does not load: exit 78, all these texts on stderr, nothing run.
#[track_caller]
fn refused(builder: Builder, texts: &[&str]) {
    let done = builder.service("good", GOOD).run();
    done.assert_code(78);
    for text in texts {
        assert!(done.stderr.contains(text), "no {text:?} in:\n{}", done.stderr);
    }
    assert!(!done.stderr.contains("panicked"), "{}", done.stderr);
    assert_eq!(done.stdout, "");
}

/// One bad service; the texts have to say where.
#[track_caller]
fn refused_service(text: &str, texts: &[&str]) {
    refused(horust().service("bad", text), texts);
}

#[test]
fn a_mistake_in_a_file_is_shown_with_its_line() {
    refused_service("command = \"true\"\nthis is no toml\n", &["bad.toml", "2"]);
    refused_service("command = \"true\"\nstart-delay = 5\n", &["bad.toml", "2", "start-delay"]);
    refused_service("command = \"true\"\n\nstart-dealy = \"1s\"\n", &["bad.toml", "3", "start-dealy", "start-delay"]);
    refused_service("command = \"true\"\nstart-after = [\"nobody\"]\n", &["bad.toml", "2", "nobody"]);
    refused_service("command = \"true\"\nstart-after = [\"god\"]\n", &["bad.toml", "2", "god", "good"]);
    refused_service("command = \"  \"\n", &["bad.toml", "1", "command"]);
    refused_service("command = []\n", &["bad.toml", "1", "command"]);
    refused_service("command = \"echo 'open\"\n", &["bad.toml", "1", "command"]);
    refused_service("name = \"x\"\n", &["bad.toml", "command"]);
    refused_service("", &["bad.toml", "command"]);
    refused_service("command = \"true\"\n[termination]\nsignal = \"SIGNOPE\"\n", &["bad.toml", "3", "SIGNOPE"]);
    refused_service("command = \"true\"\n[restart]\nbackoff = \"-1s\"\n", &["bad.toml", "3", "backoff"]);
    refused_service(
        "command = \"true\"\n[restart]\nbackoff = \"99999999999999999999y\"\n",
        &["bad.toml", "3", "backoff"],
    );
    refused_service("command = \"true\"\n[restart]\nattempts = -1\n", &["bad.toml", "3", "attempts"]);
    refused_service("command = \"true\"\n[restart]\nstrategy = \"alwais\"\n", &["bad.toml", "3", "alwais", "always"]);
    refused_service("command = \"echo $NO_SUCH_VARIABLE\"\n", &["bad.toml", "1", "NO_SUCH_VARIABLE"]);
    refused_service("command = \"true\"\nuser = 12345678901\n", &["bad.toml", "2", "user"]);
}

#[test]
fn every_mistake_of_every_file_is_shown_at_once() {
    let set = horust()
        .service("one", "command = \"true\"\nstart-dealy = \"1s\"\nworking-dir = 1\n")
        .service("two", "command = 1\n")
        .service("three", "command = \"true\"\n[restart]\nstrategy = \"x\"\n");
    refused(set, &["one.toml", "start-dealy", "working-dir", "two.toml", "three.toml", "strategy"]);
}

#[test]
fn a_cycle_is_shown_with_its_whole_path() {
    let set = horust()
        .service("a", "command = \"true\"\nstart-after = [\"b\"]\n")
        .service("b", "command = \"true\"\n\nstart-after = [\"c\"]\n")
        .service("c", "command = \"true\"\n\n\nstart-after = [\"a\"]\n");
    refused(set, &["a.toml", "b.toml", "c.toml", "2", "3", "4"]);
    refused(horust().service("me", "command = \"true\"\nstart-after = [\"me\"]\n"), &["me.toml", "2"]);
}

#[test]
fn two_services_of_one_name_are_both_shown() {
    let set = horust()
        .service("one", "name = \"same\"\ncommand = \"true\"\n")
        .service("two", "name = \"same\"\ncommand = \"true\"\n");
    refused(set, &["one.toml", "two.toml", "same"]);
}

#[test]
fn a_directory_or_file_that_is_not_there() {
    for path in ["@DIR@/nowhere", "@DIR@/nowhere.toml"] {
        let done = horust().no_services_path().arg("--services-path").arg(path).run();
        done.assert_code(78);
        assert!(done.stderr.contains("nowhere"), "{}", done.stderr);
    }
}

#[test]
fn a_file_that_is_not_text_or_far_too_large() {
    let set = horust().service("bad", "");
    fs::write(set.dir().join("services/bad.toml"), b"command = \"\xff\xfe\"\n").unwrap();
    refused(set, &["bad.toml", "UTF-8"]);
    refused_service(&format!("command = \"true\" # {}\n", "x".repeat(10 << 20)), &["bad.toml"]);
    let set = horust().service("bad", "");
    fs::remove_file(set.dir().join("services/bad.toml")).unwrap();
    fs::create_dir(set.dir().join("services/bad.toml")).unwrap();
    let done = set.service("good", "command = \"true\"\n").run();
    assert!(matches!(done.status.code(), Some(0 | 78)), "{}: {}", done.status, done.stderr);
}

#[test]
fn a_file_that_may_not_be_read() {
    if needs_root() {
        return;
    }
    let set = horust().service("bad", "command = \"true\"\n");
    fs::set_permissions(set.dir().join("services/bad.toml"), fs::Permissions::from_mode(0o000)).unwrap();
    let set = set.copied().wrapper(&["setpriv", "--reuid", "12345", "--regid", "12345", "--clear-groups"]);
    refused(set, &["bad.toml", "ermission denied"]);
}

#[test]
fn skip_invalid_starts_the_rest_and_says_so() {
    let done = horust()
        .arg("--skip-invalid")
        .service("bad", "command = 1\n")
        .service("good", "command = \"echo good\"\n")
        .run();
    done.assert_code(0);
    assert_eq!(done.stdout, "good\n");
    assert!(done.stderr.contains("bad"), "{}", done.stderr);
}

/// The service fails to start and says why; the others are not touched.
#[track_caller]
fn start_fails(text: &str, texts: &[&str]) {
    let done = horust()
        .arg("--unsuccessful-exit-finished-failed")
        .service("bad", text)
        .service("other", "command = \"echo other\"\n")
        .run();
    done.assert_code(101);
    assert_eq!(done.stdout, "other\n", "{}", done.stderr);
    let stderr = done.stderr.to_lowercase();
    for text in texts {
        assert!(stderr.contains(&text.to_lowercase()), "no {text:?} in:\n{}", done.stderr);
    }
    assert!(!stderr.contains("panicked"), "{}", done.stderr);
}

#[test]
fn a_service_that_cannot_be_started_says_why() {
    start_fails(
        "command = \"no-such-program\"\n",
        &["bad", "Program \"no-such-program\" not found in any of the PATH directories"],
    );
    start_fails("command = \"/no/such/program\"\n", &["bad", "/no/such/program", "does not exist"]);
    start_fails("command = \"/etc/passwd\"\n", &["bad", "/etc/passwd", "not executable"]);
    start_fails("command = \"/etc\"\n", &["bad", "/etc", "is a directory"]);
    start_fails(
        "command = \"true\"\nworking-directory = \"/no/such/dir\"\n",
        &["bad", "/no/such/dir", "does not exist"],
    );
    start_fails("command = \"true\"\nstdout = \"/no/such/dir/file\"\n", &["bad", "/no/such/dir"]);
    start_fails("command = \"true\"\nuser = \"no-such-user\"\n", &["bad", "no-such-user"]);
}

#[test]
fn wrong_usage_is_64() {
    let done = horust().arg("--no-such-flag").run();
    done.assert_code(64);
    assert!(done.stderr.contains("--no-such-flag"), "{}", done.stderr);
    assert_eq!(done.stdout, "");
}
