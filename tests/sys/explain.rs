//! Each way in which a program can't be run, in words, after a real failure.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use horust::sys::Errno;
use horust::sys::spawn::{Request, Spawner, explain};

use super::common::*;

/// Starts it, and explains why that failed.
fn problem_with(spawner: &Spawner, program: &Path, cwd: Option<&Path>) -> String {
    let wanted = super::common::program(&[program.to_str().unwrap(), "secret"]);
    let directory = cwd.map(|cwd| c(cwd.to_str().unwrap()));
    let error = spawner.spawn(&Request { cwd: directory.as_deref(), ..request(&wanted) }).unwrap_err();
    let text = explain(program, cwd, error.errno);
    assert!(!text.contains("secret"));
    text
}

#[test]
fn each_failure_in_words() {
    let spawner = spawner();
    let problem = |program: &Path, cwd: Option<&Path>| problem_with(&spawner, program, cwd);
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let file = |name: &str, content: &[u8], mode: u32| {
        std::fs::write(at.join(name), content).unwrap();
        std::fs::set_permissions(at.join(name), PermissionsExt::from_mode(mode)).unwrap();
        at.join(name)
    };
    let shown = at.display();
    let true_ = Path::new("/bin/true");
    assert_eq!(problem(&at.join("no"), None), format!("the program {shown}/no does not exist"));
    assert_eq!(problem(Path::new("./no"), Some(at)), "the program ./no does not exist");
    assert_eq!(problem(at, None), format!("{shown} is a directory, not a program"));
    let plain = file("plain", b"", 0o644);
    assert_eq!(problem(&plain, None), format!("{shown}/plain is not executable (its mode is 0644)"));
    let below = plain.join("below");
    let text = format!("the program {shown}/plain/below does not exist: part of its path is not a directory");
    assert_eq!(problem(&below, None), text);
    assert_eq!(problem(true_, Some(&at.join("no"))), format!("the working directory {shown}/no does not exist"));
    assert_eq!(problem(true_, Some(&plain)), format!("the working directory {shown}/plain is not a directory"));
    let script = file("script", b"#! /no/such/shell -e\n", 0o755);
    let text = format!("/no/such/shell, the interpreter of the script {shown}/script, does not exist");
    assert_eq!(problem(&script, None), text);
    let windows = file("windows", b"#!/bin/sh\r\necho\r\n", 0o755);
    let text = format!(
        "/bin/sh\\r, the interpreter of the script {shown}/windows, does not exist: its first line ends with a carriage return"
    );
    assert_eq!(problem(&windows, None), text);
    let denied = file("denied", format!("#!{shown}/plain\n").as_bytes(), 0o755);
    let text = format!("no permission to execute {shown}/plain, the interpreter of {shown}/denied");
    assert_eq!(problem(&denied, None), text);
    let foreign = file("foreign", b"\x7fELF\x02\x02\x01", 0o755);
    let text = format!("the program {shown}/foreign is built for another kind of machine, or is damaged");
    assert_eq!(problem(&foreign, None), text);
    let null = Path::new("/dev/null");
    assert_eq!(problem(null, None), "/dev/null is not a regular file");
}

#[test]
fn a_missing_dynamic_loader_is_named() {
    let spawner = spawner();
    let problem = |program: &Path, cwd: Option<&Path>| problem_with(&spawner, program, cwd);
    // A real program with another loader's name written over its own.
    let mut program = std::fs::read("/bin/true").unwrap();
    let at = program.windows(4).position(|word| word == b"/lib").unwrap();
    program[at..at + 4].copy_from_slice(b"/LIB");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("true");
    std::fs::write(&path, program).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    let text = problem(&path, None);
    assert!(text.starts_with("/LIB"), "{text}");
    let end = format!(", the dynamic loader of {}, does not exist: it was built for another C library", path.display());
    assert!(text.ends_with(&end), "{text}");
}

#[test]
fn limits_are_named() {
    let path = Path::new("/bin/true");
    assert_eq!(explain(path, None, Errno::E2BIG), "the arguments and environment of /bin/true are too large");
    assert_eq!(explain(path, None, Errno::EAGAIN), "cannot start /bin/true: the limit of processes is reached");
    assert_eq!(explain(path, None, Errno::ENOMEM), "cannot start /bin/true: out of memory");
    assert_eq!(explain(path, None, Errno::ETXTBSY), "the program /bin/true is being written to");
    assert_eq!(explain(path, None, Errno::EIO), "cannot execute /bin/true: I/O error");
}
