//! Starts as somebody or something else: by what a forked child does itself, and by the exec stage, Horust's own program. What
//! changes the user needs root; without it, only what may be done then.

use std::os::unix::fs::PermissionsExt;

use horust::sys::limits::Limit;
use horust::sys::reap::Ended;
use horust::sys::spawn::{Setup, Spawner, StageStatus};
use horust::sys::users::{UserRef, current_uid, lookup};

use super::common::*;

fn user(user: UserRef) -> Setup {
    Setup { user: Some(user), set_user: true, set_home: true, ..Setup::default() }
}

fn name(name: &str) -> Setup {
    user(UserRef::Name(name.into()))
}

/// By the forked child alone, and by the stage, as there is a file to remove.
fn both(setup: Setup) -> [Setup; 2] {
    let remove = vec!["/no/such/file".into()];
    [setup.clone(), Setup { remove, ..setup }]
}

fn failure(status: StageStatus) -> (String, String, i32) {
    match status {
        StageStatus::Failed { stage, message, errno } => (stage, message, errno),
        StageStatus::Pending | StageStatus::Executed => panic!("{status:?}"),
    }
}

/// Needs root; says so if there is none.
fn is_root() -> bool {
    let root = current_uid() == 0;
    if !root {
        println!("not root: nothing to test");
    }
    root
}

#[test]
fn without_orders_it_is_a_plain_start() {
    let spawner = spawner();
    let wanted = program(&["cat", "/proc/self/status"]);
    let (ended, status, stage) = run_staged(&spawner, &wanted, None, &Setup::default());
    assert_eq!((ended, stage), (Ended::Code(0), StageStatus::Executed));
    for name in ["SigBlk", "SigIgn", "SigCgt"] {
        assert_eq!(field(&status, name), "0000000000000000", "{name}");
    }
    assert_eq!(field(&status, "Uid").split(' ').next().unwrap(), current_uid().to_string());
    let script = "for n in 0 1 2 3 4 5 6 7 8 9; do [ -e /proc/$$/fd/$n ] && echo $n; done; env; exit 9";
    let (ended, text, _) = run_staged(&spawner, &sh(script), None, &Setup::default());
    assert_eq!(ended, Ended::Code(9));
    assert!(text.starts_with("0\n1\n2\n"), "{text}");
    assert!(text.contains("\nLC_ALL=C\n") && !text.contains("\nHOME="), "{text}");
}

#[test]
fn a_user_brings_its_groups_and_home() {
    if !is_root() {
        return;
    }
    let spawner = spawner();
    let nobody = lookup(&UserRef::Name("nobody".into())).unwrap();
    let mut wanted = sh("cat /proc/self/status; echo \"$USER $HOME\"; pwd");
    wanted.env.push(c("HOME=/root"));
    let (uid, gid) = (nobody.uid, nobody.gid);
    for setup in both(name("nobody")) {
        let (ended, text, stage) = run_staged(&spawner, &wanted, Some("/tmp"), &setup);
        assert_eq!((ended, stage), (Ended::Code(0), StageStatus::Executed));
        assert_eq!(field(&text, "Uid"), format!("{uid} {uid} {uid} {uid}"));
        assert_eq!(field(&text, "Gid"), format!("{gid} {gid} {gid} {gid}"));
        assert_eq!(field(&text, "Groups"), gid.to_string());
        assert_eq!(field(&text, "CapEff"), "0000000000000000");
        assert!(text.ends_with(&format!("nobody {}\n/tmp\n", nobody.home.display())), "{text}");
    }
    // By number it is the same user.
    let wanted = program(&["/bin/cat", "/proc/self/status"]);
    let (_, text, _) = run_staged(&spawner, &wanted, None, &user(UserRef::Id(uid)));
    assert_eq!(field(&text, "Gid"), format!("{gid} {gid} {gid} {gid}"));
}

#[test]
fn a_number_without_an_entry_is_its_own_group() {
    if !is_root() {
        return;
    }
    let spawner = spawner();
    let id = (54_321..).find(|&id| lookup(&UserRef::Id(id)).is_none()).unwrap();
    let wanted = sh("cat /proc/self/status; echo \"$USER $HOME\"");
    for setup in both(user(UserRef::Id(id))) {
        let (ended, text, _) = run_staged(&spawner, &wanted, None, &setup);
        assert_eq!(ended, Ended::Code(0));
        assert_eq!(field(&text, "Uid"), format!("{id} {id} {id} {id}"));
        assert_eq!(field(&text, "Gid"), format!("{id} {id} {id} {id}"));
        assert_eq!(field(&text, "Groups"), id.to_string());
        assert!(text.ends_with(&format!("{id} /\n")), "{text}");
    }
}

#[test]
fn an_unknown_user_is_said() {
    let spawner = spawner();
    let wanted = program(&["/bin/true"]);
    let (ended, _, stage) = run_staged(&spawner, &wanted, None, &name("no such one"));
    assert_eq!(ended, Ended::Code(126));
    assert_eq!(failure(stage), ("user".into(), "there is no user \"no such one\"".into(), libc::EINVAL));
}

#[test]
fn what_root_may_see_the_user_may_not() {
    if !is_root() {
        return;
    }
    let spawner = spawner();
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().to_str().unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o700)).unwrap();
    std::fs::copy("/bin/true", folder.path().join("tool")).unwrap();
    for setup in both(name("nobody")) {
        let (_, _, stage) = run_staged(&spawner, &program(&["/bin/true"]), Some(at), &setup);
        let message = format!("the working directory {at} may not be entered: permission denied");
        assert_eq!(failure(stage), ("cwd".into(), message, libc::EACCES));
        // The same for the search of its program.
        let mut wanted = program(&["tool"]);
        wanted.env = vec![c(format!("PATH={at}"))];
        assert_eq!(run_staged(&spawner, &wanted, None, &Setup { user: None, ..setup.clone() }).0, Ended::Code(0));
        let (ended, _, stage) = run_staged(&spawner, &wanted, None, &setup);
        assert_eq!(ended, Ended::Code(127));
        let message = r#"Program "tool" not found in any of the PATH directories"#;
        assert_eq!(failure(stage), ("exec".into(), message.into(), libc::ENOENT));
    }
}

#[test]
fn oneself_needs_no_privilege_and_others_do() {
    if !is_root() {
        return;
    }
    let spawner = spawner();
    // As a user without an entry, the stage runs a second one: for itself, with a stranger's group; then for root.
    let (id, image) = (54_322, env!("CARGO_BIN_EXE_horust"));
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let copy = folder.path().join("horust");
    std::fs::copy(image, &copy).unwrap();
    let run_as = |inner: &str| {
        let words = [copy.to_str().unwrap(), "__exec-stage", "9", inner, "--", "id", "id", "-u"];
        run_staged(&spawner, &program(&words), None, &user(UserRef::Id(id)))
    };
    // Without the status pipe that its order names, a stage does nothing.
    assert_eq!(run_as(&format!("user={id}")).0, Ended::Code(126));
    let run_as = |inner: &str| {
        let script = format!("exec {} __exec-stage 9 {inner} -- id id -u 9>/dev/null", copy.display());
        run_staged(&spawner, &sh(&script), None, &user(UserRef::Id(id)))
    };
    let (ended, text, _) = run_as(&format!("user={id}"));
    assert_eq!((ended, text), (Ended::Code(0), format!("{id}\n")));
    assert_eq!(run_as("user=root").0, Ended::Code(126));
}

#[test]
fn a_failing_exec_is_said_with_its_reason() {
    let spawner = spawner();
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().to_str().unwrap();
    let path = folder.path().join("script");
    std::fs::write(&path, "#!/no/shell\n").unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    let (ended, _, stage) = run_staged(&spawner, &program(&["./script"]), Some(at), &Setup::default());
    assert_eq!(ended, Ended::Code(127));
    let message = "/no/shell, the interpreter of the script ./script, does not exist";
    assert_eq!(failure(stage), ("exec".into(), message.into(), libc::ENOENT));
    std::fs::write(&path, "exit 5\n").unwrap();
    let (ended, _, stage) = run_staged(&spawner, &program(&["./script"]), Some(at), &Setup::default());
    assert_eq!((ended, stage), (Ended::Code(5), StageStatus::Executed));
    let (_, _, stage) = run_staged(&spawner, &program(&["/bin/true"]), Some("/nowhere"), &Setup::default());
    let message = "the working directory /nowhere does not exist";
    assert_eq!(failure(stage), ("cwd".into(), message.into(), libc::ENOENT));
}

#[test]
fn the_limit_of_open_files_and_odd_arguments_pass_through() {
    let spawner = spawner();
    let limits = vec![Limit { name: "nofile".into(), soft: 77, hard: 78 }];
    let words =
        ["sh", "-c", "ulimit -Sn; ulimit -Hn; printf '<%s>' \"$@\"", "--", "uid=1", "", "--", "a\nb", "\u{fe}=x"];
    let with_tty = Setup { foreground_tty: true, limits: limits.clone(), ..Setup::default() };
    for setup in [Setup { limits, ..Setup::default() }, with_tty] {
        let (ended, text, _) = run_staged(&spawner, &program(&words), None, &setup);
        assert_eq!((ended, text.as_str()), (Ended::Code(0), "77\n78\n<uid=1><><--><a\nb><\u{fe}=x>"));
    }
}

#[test]
fn an_order_that_can_not_be_carried_out_is_said() {
    let spawner = spawner();
    let problem = |setup: &Setup| {
        let (ended, _, stage) = run_staged(&spawner, &program(&["/bin/true"]), None, setup);
        assert_eq!(ended, Ended::Code(126));
        let (stage, message, _) = failure(stage);
        format!("{stage}: {message}")
    };
    let limits = vec![Limit { name: "files".into(), soft: 1, hard: 1 }];
    let text = "limits: cannot set the limit files to 1: there is no such limit";
    assert_eq!(problem(&Setup { limits, ..Setup::default() }), text);
    assert_eq!(problem(&name("a\0b")), "order: the exec stage does not understand its order");
    let group = Some(UserRef::Name("no such one".into()));
    assert_eq!(problem(&Setup { group, ..Setup::default() }), "groups: there is no group \"no such one\"");
}

/// setresuid(2) takes it, succeeds, and changes nothing: the service would run with our rights.
#[test]
fn the_number_that_means_no_change_is_refused() {
    if !is_root() {
        return;
    }
    let spawner = spawner();
    let wanted = program(&["/bin/true"]);
    let (own_group, last) = (Some(UserRef::Id(0)), UserRef::Id(u32::MAX));
    let setup = Setup { group: own_group, ..user(last.clone()) };
    let (_, _, stage) = run_staged(&spawner, &wanted, None, &setup);
    assert_eq!(failure(stage).1, "cannot change to user 4294967295: Invalid argument");
    let (_, _, stage) = run_staged(&spawner, &wanted, None, &Setup { group: Some(last), ..Setup::default() });
    assert_eq!(failure(stage).1, "cannot change to group 4294967295: Invalid argument");
}

/// A start costs half as much without the stage: what takes system calls alone must not get it. Here it can't be had at all, and
/// if it is needed then that is what is said.
#[test]
fn what_takes_system_calls_alone_goes_without_the_stage() {
    let _turn = spawner();
    let spawner = Spawner::new(c("/no/such/image"));
    let limits = vec![Limit { name: "core".into(), soft: 0, hard: 0 }];
    let setup = Setup { umask: Some(0o77), limits, no_new_privs: true, ..Setup::default() };
    let wanted = program(&["sh", "-c", "umask; ulimit -c; grep NoNewPrivs /proc/self/status; pwd"]);
    let (ended, text, stage) = run_staged(&spawner, &wanted, Some("/tmp"), &setup);
    assert_eq!((ended, stage), (Ended::Code(0), StageStatus::Executed));
    assert_eq!(text, "0077\n0\nNoNewPrivs:\t1\n/tmp\n");
    let (ended, _, stage) = run_staged(&spawner, &program(&["no-such-program"]), None, &setup);
    assert_eq!(ended, Ended::Code(127));
    let message = "cannot start the exec stage: No such file or directory";
    assert_eq!(failure(stage), ("exec".into(), message.into(), libc::ENOENT));
}
