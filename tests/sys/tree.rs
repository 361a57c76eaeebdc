//! The process tree as /proc shows it.

use std::os::unix::fs::PermissionsExt;

use horust::sys::process::{kill_pid, number_in_use};
use horust::sys::reap::Ended;
use horust::sys::tree::{self, ProcId, Table};

use super::common::*;

#[test]
fn a_name_full_of_parentheses_is_read_past() {
    let spawner = spawner();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a) (b) R 1");
    std::fs::copy("/bin/sleep", &path).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    let pid = spawner.spawn(&request(&program(&[path.to_str().unwrap(), "60"]))).unwrap();
    let _guard = Guard(pid);
    // The parent goes on as soon as the old memory is let go of, a moment before the name changes.
    let comm = || std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap();
    until("the new name", || (comm() == "a) (b) R 1\n").then_some(()));
    let stat = tree::stat(pid).unwrap();
    assert_eq!((stat.ppid, stat.pgrp, stat.session), (std::process::id(), pid, pid));
    assert!(stat.starttime > 0 && !stat.is_dead());
    kill_pid(pid, libc::SIGKILL).unwrap();
    until("death", || tree::stat(pid).filter(tree::Stat::is_dead));
    wait(pid);
    assert_eq!(tree::stat(pid), None);
}

#[test]
fn a_grandchild_in_a_session_of_its_own_is_a_descendant() {
    let spawner = spawner();
    let script = "setsid sh -c 'sleep 60 & wait' & sleep 60 & wait";
    let pid = spawner.spawn(&request(&sh(script))).unwrap();
    let _guard = Guard(pid);
    let found = until("four descendants", || {
        let found = tree::descendants(pid, 100);
        let fled = found.iter().filter(|id| tree::stat(id.pid).is_some_and(|stat| stat.session != pid)).count();
        (found.len() == 3 && fled == 2).then_some(found)
    });
    assert!(found.iter().all(|id| id.pid != pid && tree::alive(*id)));
    assert_eq!(tree::descendants(pid, 2).len(), 2);
    assert_eq!(tree::descendants(found[0].pid, 0), []);
    let table = Table::read(|_| false).unwrap();
    let mut listed = table.descendants(pid, 100);
    listed.sort();
    let mut expected = found.clone();
    expected.sort();
    assert_eq!(listed, expected);
    assert_eq!(Table::read(|other| other == pid).unwrap().descendants(pid, 100).len(), 3);
    assert!(tree::children_of_self().unwrap().contains(&pid));
    // Everybody by himself, deepest last; then nobody is left alive, whoever reaps them.
    for id in &found {
        assert!(tree::signal(*id, libc::SIGKILL).unwrap());
        until("death", || (!tree::alive(*id)).then_some(()));
        assert!(!tree::signal(*id, libc::SIGKILL).unwrap());
    }
    kill_pid(pid, libc::SIGKILL).ok();
    wait(pid);
    assert_eq!(tree::descendants(pid, 100), []);
}

#[test]
fn a_pid_with_another_start_time_is_a_stranger() {
    let spawner = spawner();
    let pid = spawner.spawn(&request(&program(&["/bin/sleep", "60"]))).unwrap();
    let _guard = Guard(pid);
    let id = tree::identify(pid).unwrap();
    let stranger = ProcId { starttime: id.starttime - 1, ..id };
    assert!(tree::alive(id) && !tree::alive(stranger));
    assert!(!tree::signal(stranger, libc::SIGKILL).unwrap());
    assert!(tree::alive(id));
    assert!(tree::signal(id, libc::SIGTERM).unwrap());
    assert_eq!(wait(pid), Ended::Signal(15));
    assert!(!tree::signal(id, libc::SIGTERM).unwrap());
}

/// Guards the short cut that asks whether a run left anything: it must see a session without the leader's process group.
#[test]
fn a_reaped_leaders_number_stays_in_use_while_its_session_has_members() {
    let spawner = spawner();
    let (_, said) = run(&spawner, &program(&["/bin/bash", "-c", "set -m; sleep 60 >/dev/null & echo $$ $!"]));
    let numbers: Vec<u32> = said.split_whitespace().map(|word| word.parse().unwrap()).collect();
    let (leader, left) = (numbers[0], numbers[1]);
    let _guard = Guard(left);
    let fd = std::fs::File::open("/dev/null").unwrap();
    assert_ne!(tree::stat(left).unwrap().pgrp, leader, "it has a group of its own");
    assert!(number_in_use(&fd, leader));
    kill_pid(left, libc::SIGKILL).unwrap();
    until("the session's end", || (!number_in_use(&fd, leader)).then_some(()));
}
