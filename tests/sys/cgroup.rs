//! Groups of a real cgroup v2, below our own group. Without one that we may write to there is nothing to test.

use std::time::Duration;

use horust::sys::cgroup::{Emptiness, Group, Own};
use horust::sys::reap::Ended;
use horust::sys::spawn::{Setup, StageStatus};
use horust::sys::subtree::Subtree;

use super::common::*;

const KILLED: Ended = Ended::Signal(9);

/// A name that no other test uses, if there is a cgroup v2 to write to.
fn name(test: &str) -> Option<(String, Group)> {
    let name = format!("test-{test}-{}x", std::process::id());
    let own = match Own::find() {
        Ok(own) => own.group,
        Err(why) => {
            println!("nothing to test: {why}");
            return None;
        }
    };
    if let Err(error) = own.child(&name).create() {
        println!("nothing to test: {error}");
        return None;
    }
    own.child(&name).remove();
    Some((name, own))
}

fn claim(name: &str) -> Subtree {
    Subtree::claim(name, &[], DEADLINE).unwrap()
}

/// A shell in this group, and a child of it in a session of its own.
fn two_in(group: &Group) -> (u32, Guard) {
    group.create().unwrap();
    let spawner = spawner();
    let setup = Setup { cgroup: Some(group.path().display().to_string()), ..Setup::default() };
    let (pid, mut pipe) = spawner.spawn_staged(&request(&sh("setsid sleep 60 & wait")), &setup).unwrap();
    let guard = Guard(pid);
    assert_eq!(settled(&mut pipe), StageStatus::Executed);
    until("both are in the group", || (group.members(9).len() == 2).then_some(()));
    (pid, guard)
}

#[test]
fn a_group_is_joined_before_the_exec_and_tells_when_it_is_empty() {
    let Some((name, own)) = name("join") else { return };
    let group = own.child(&name);
    let (pid, _guard) = two_in(&group);
    assert!(group.processes().unwrap().contains(&pid));
    let emptiness = Emptiness::of(&group).unwrap();
    assert!(!emptiness.look() && !group.remove());
    let quiet = horust::sys::poll::wait_changes(&[], &[std::os::fd::AsFd::as_fd(&emptiness)], Some(Duration::ZERO));
    assert_eq!(quiet.unwrap(), [false]);
    group.kill();
    assert_eq!(wait(pid), KILLED);
    until("it is empty", || {
        let fd = std::os::fd::AsFd::as_fd(&emptiness);
        assert_eq!(horust::sys::poll::wait_changes(&[], &[fd], Some(DEADLINE)).unwrap(), [true]);
        emptiness.look().then_some(())
    });
    until("it is removed", || group.remove().then_some(()));
    assert!(emptiness.look() && group.members(9).is_empty());
}

/// Where there is no `cgroup.kill`.
#[test]
fn all_are_killed_one_by_one() {
    let Some((name, own)) = name("single") else { return };
    let group = own.child(&name);
    let (pid, _guard) = two_in(&group);
    group.kill_one_by_one();
    assert_eq!(wait(pid), KILLED);
    until("it is removed", || group.remove().then_some(()));
}

#[test]
fn a_group_that_is_not_there_is_an_error() {
    let setup = Setup { cgroup: Some("/nowhere/at all".into()), ..Setup::default() };
    let (ended, _, status) = run_staged(&spawner(), &program(&["/bin/true"]), None, &setup);
    assert_eq!(ended, Ended::Code(127));
    let message =
        "cannot join its cgroup: cannot write \"0\" to /nowhere/at all/cgroup.procs: No such file or directory";
    let failed = StageStatus::Failed { stage: "cgroup".into(), message: message.into(), errno: libc::ENOENT };
    assert_eq!(status, failed);
}

#[test]
fn neighbours_live_beside_each_other_and_take_all_with_them() {
    let Some((name, own)) = name("neighbours") else { return };
    let (first, second) = (claim(&name), claim(&name));
    assert_eq!(first.leaf("a").path(), own.path().join(&name).join("a.service"));
    assert_eq!(second.leaf("a").path(), own.path().join(format!("{name}-2")).join("a.service"));
    let (pid, _guard) = two_in(&second.leaf("a"));
    first.release(DEADLINE);
    assert!(!own.path().join(&name).exists() && second.leaf("a").members(9).contains(&pid));
    second.release(DEADLINE);
    assert_eq!(wait(pid), KILLED);
    assert!(!own.path().join(format!("{name}-2")).exists());
}

#[test]
fn what_predecessors_left_is_killed() {
    let Some((name, own)) = name("left") else { return };
    let (first, second) = (claim(&name), claim(&name));
    let (a, _guard_a) = two_in(&first.leaf("a"));
    let (b, _guard_b) = two_in(&second.leaf("b"));
    // As if they had died: the locks are gone, the groups are not.
    drop((first, second));
    let third = claim(&name);
    assert_eq!(third.leftovers(), ["a", "b"]);
    assert_eq!((wait(a), wait(b)), (KILLED, KILLED));
    assert!(!own.path().join(format!("{name}-2")).exists());
    third.release(DEADLINE);
    assert!(!own.path().join(&name).exists());
}

/// Somebody else may have a group of that name.
#[test]
fn groups_that_are_not_ours_are_left_alone() {
    let Some((name, own)) = name("foreign") else { return };
    let foreign = own.child(&name);
    foreign.create().unwrap();
    let (pid, _guard) = two_in(&foreign.child("workers"));
    let subtree = claim(&name);
    assert!(subtree.leaf("a").path().starts_with(own.path().join(format!("{name}-2"))));
    subtree.release(DEADLINE);
    assert!(foreign.child("workers").members(9).contains(&pid));
    foreign.kill();
    assert_eq!(wait(pid), KILLED);
    until("it is removed", || foreign.remove().then_some(()));
}
