//! Direct starts: what the child finds, how it ends, what is wrong when there is none.

use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;

use horust::sys::Errno;
use horust::sys::process::{PidFd, group_exists, kill_group, kill_pid};
use horust::sys::reap::Ended;
use horust::sys::spawn::{Program, Request, Session, Stdio, find_program};
use horust::sys::tree;

use super::common::*;

#[test]
fn a_child_has_an_empty_mask_and_default_dispositions() {
    let spawner = spawner();
    // The parent's are neither: Rust ignores SIGPIPE, and this blocks the rest in this thread.
    let _queue = horust::sys::signals::block(false).unwrap();
    let own = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    assert_ne!(field(&own, "SigIgn"), "0000000000000000");
    assert_ne!(field(&own, "SigBlk"), "0000000000000000");
    let (ended, status) = run(&spawner, &program(&["/bin/cat", "/proc/self/status"]));
    assert_eq!(ended, Ended::Code(0));
    for name in ["SigBlk", "SigIgn", "SigCgt", "SigPnd"] {
        assert_eq!(field(&status, name), "0000000000000000", "{name}");
    }
}

#[test]
fn a_child_has_its_streams_and_nothing_else() {
    let spawner = spawner();
    let script = "for n in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19; do
        [ -e /proc/$$/fd/$n ] && echo $n; done; readlink /proc/$$/fd/0; readlink /proc/$$/fd/1";
    let (_, text) = run(&spawner, &sh(script));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[..4], ["0", "1", "2", "/dev/null"]);
    assert!(lines[4].starts_with("pipe:"), "{text}");
    assert_eq!(lines.len(), 5);
}

#[test]
fn streams_can_be_swapped() {
    let spawner = spawner();
    let own = |n: u8| std::fs::read_link(format!("/proc/self/fd/{n}")).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    let program = sh(&format!("x=$(readlink /proc/$$/fd/0 /proc/$$/fd/1); echo \"$x\" > {}", file.path().display()));
    let (stdin, stdout) = (std::io::stdin(), std::io::stdout());
    let stdio = [Stdio::Fd(stdout.as_fd()), Stdio::Fd(stdin.as_fd()), Stdio::Inherit];
    assert_eq!(wait(spawner.spawn(&Request { stdio, ..request(&program) }).unwrap()), Ended::Code(0));
    let text = std::fs::read_to_string(file.path()).unwrap();
    let seen: Vec<&str> = text.lines().collect();
    assert_eq!(seen, [own(1).to_str().unwrap(), own(0).to_str().unwrap()]);
}

#[test]
fn sessions_and_groups() {
    let spawner = spawner();
    let program = program(&["/bin/sleep", "60"]);
    let own = tree::stat(std::process::id()).unwrap();
    for session in [Session::New, Session::OwnGroup, Session::Inherit] {
        let pid = spawner.spawn(&Request { session, ..request(&program) }).unwrap();
        let _guard = Guard(pid);
        let stat = tree::stat(pid).unwrap();
        let expected = match session {
            Session::New => (pid, pid),
            Session::OwnGroup => (own.session, pid),
            Session::Inherit => (own.session, own.pgrp),
        };
        assert_eq!((stat.session, stat.pgrp), expected, "{session:?}");
        assert_eq!(stat.ppid, std::process::id());
        if session == Session::Inherit {
            kill_pid(pid, libc::SIGKILL).unwrap();
        } else {
            assert!(group_exists(pid));
            kill_group(pid, libc::SIGKILL).unwrap();
        }
        assert_eq!(wait(pid), Ended::Signal(9));
        assert!(!group_exists(pid));
    }
}

#[test]
fn all_exit_codes() {
    let spawner = spawner();
    for code in 0..=255 {
        let program = sh(&format!("exit {code}"));
        assert_eq!(wait(spawner.spawn(&request(&program)).unwrap()), Ended::Code(code));
    }
}

#[test]
fn all_deadly_signals() {
    let spawner = spawner();
    // The C library's own two, 32 and 33, and real-time signals included.
    let harmless = [libc::SIGCHLD, libc::SIGCONT, libc::SIGURG, libc::SIGWINCH];
    let stopping = [libc::SIGSTOP, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];
    let program = program(&["/bin/sleep", "60"]);
    for signo in (1..=64).filter(|signo| !harmless.contains(signo) && !stopping.contains(signo)) {
        let pid = spawner.spawn(&request(&program)).unwrap();
        let _guard = Guard(pid);
        let pidfd = PidFd::open(pid).unwrap();
        pidfd.signal(signo).unwrap();
        assert_eq!(wait(pid), Ended::Signal(u8::try_from(signo).unwrap()));
        assert_eq!(pidfd.signal(signo).unwrap_err().errno, Errno::ESRCH);
    }
}

#[test]
fn a_relative_program_starts_in_its_working_directory() {
    let spawner = spawner();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("here"), "#!/bin/sh\npwd\necho $0 $1\n").unwrap();
    std::fs::set_permissions(folder.path().join("here"), PermissionsExt::from_mode(0o755)).unwrap();
    let (cwd, output) = (c(folder.path().to_str().unwrap()), Output::new());
    let program = program(&["./here", "you are"]);
    let stdio = [Stdio::Null, Stdio::Fd(output.writer.as_fd()), Stdio::Inherit];
    let pid = spawner.spawn(&Request { stdio, cwd: Some(&cwd), ..request(&program) }).unwrap();
    assert_eq!(output.text(), format!("{}\n./here you are\n", folder.path().display()));
    assert_eq!(wait(pid), Ended::Code(0));
}

#[test]
fn a_script_without_a_first_line_runs_in_a_shell_and_a_binary_does_not() {
    let spawner = spawner();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let script = path("-e", b"echo \"$1|$2\"; exit 3\n");
    let (ended, text) = run(&spawner, &program(&[&script, "a b", "c"]));
    assert_eq!((ended, text.as_str()), (Ended::Code(3), "a b|c\n"));
    // A name that begins like an option.
    let (cwd, relative) = (c(folder.path().to_str().unwrap()), Program { path: c("-e"), ..sh("") });
    let pid = spawner.spawn(&Request { cwd: Some(&cwd), ..request(&relative) }).unwrap();
    assert_eq!(wait(pid), Ended::Code(3));
    for content in [&b"\x7fELF\x02\x01\x01"[..], b"echo\0\x01\x02"] {
        let binary = program(&[&path("binary", content)]);
        assert_eq!(spawner.spawn(&request(&binary)).unwrap_err().errno, Errno::ENOEXEC);
    }
}

#[test]
fn a_failed_start_leaves_no_child() {
    let spawner = spawner();
    let error = spawner.spawn(&request(&program(&["/nowhere/at/all"]))).unwrap_err();
    assert_eq!(error.to_string(), "cannot start /nowhere/at/all: No such file or directory");
    let (cwd, fine) = (c("/nowhere"), program(&["/bin/true"]));
    let error = spawner.spawn(&Request { cwd: Some(&cwd), ..request(&fine) }).unwrap_err();
    assert_eq!(error.errno, Errno::ENOENT);
    let large = Program { argv: vec![c("true"), c("x".repeat(1 << 20))], ..fine };
    assert_eq!(spawner.spawn(&request(&large)).unwrap_err().errno, Errno::E2BIG);
}

#[test]
fn programs_are_found_as_a_shell_finds_them() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    for (directory, mode) in [(&first, 0o644), (&second, 0o755)] {
        std::fs::create_dir(directory).unwrap();
        std::fs::write(directory.join("tool"), "").unwrap();
        std::fs::set_permissions(directory.join("tool"), PermissionsExt::from_mode(mode)).unwrap();
        std::fs::create_dir(directory.join("folder")).unwrap();
    }
    let find = |name: &str, path: &str| find_program(name.as_ref(), path.as_ref(), Some(folder.path()));
    let both = format!("{}:{}", first.display(), second.display());
    // What may not be executed is passed over, and so are directories.
    assert_eq!(find("tool", &both).unwrap(), c(second.join("tool").to_str().unwrap()));
    let text = |name, path: &str| find(name, path).unwrap_err().to_string();
    assert_eq!(text("folder", &both), r#"Program "folder" not found in any of the PATH directories"#);
    let denied = format!(
        r#"Program "tool" not found in any of the PATH directories ({}/tool is there, but may not be executed)"#,
        first.display()
    );
    assert_eq!(text("tool", first.to_str().unwrap()), denied);
    assert!(find("", &both).is_err());
    // Relative directories start where the program will run, and the answer is as relative as they are.
    assert_eq!(find("tool", "nothing:second").unwrap(), c("second/tool"));
    assert_eq!(find("a/b", "").unwrap(), c("a/b"));
    assert_eq!(find_program("tool".as_ref(), "".as_ref(), Some(&second)).unwrap(), c("./tool"));
}

#[test]
fn pids_that_mean_many_are_refused() {
    assert_eq!(kill_pid(0, 0).unwrap_err().errno, Errno::ESRCH);
    assert_eq!(kill_pid(u32::MAX, 0).unwrap_err().errno, Errno::ESRCH);
    assert_eq!(kill_group(0, 0).unwrap_err().errno, Errno::ESRCH);
    assert_eq!(kill_group(1, 0).unwrap_err().errno, Errno::EINVAL);
    assert_eq!(horust::sys::reap::reap(0).unwrap_err().errno, Errno::ECHILD);
    assert_eq!(horust::sys::reap::reap(u32::MAX).unwrap_err().errno, Errno::ECHILD);
}
