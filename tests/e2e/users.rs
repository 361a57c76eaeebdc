//! Rights: a service's user, and Horust itself with few of its own.

use crate::support::*;
use nix::sys::signal::Signal;
use nix::unistd::User;

fn ids(status: &str, field: &str) -> Vec<u32> {
    status_field(status, field).split_whitespace().map(|n| n.parse().unwrap()).collect()
}

/// Horust 0.1 set the uid only: the service kept root's groups.
#[test]
fn a_user_by_name_sets_uid_gid_and_groups() {
    if needs_root() {
        return;
    }
    let nobody = User::from_name("nobody").unwrap().unwrap();
    // Horust itself has groups that must not reach the service.
    let done = horust()
        .wrapper(&["setpriv", "--groups", "0,4,24"])
        .bash("who", "cat /proc/self/status; echo $USER:$HOME", "user = \"nobody\"")
        .run();
    done.assert_code(0);
    let (uid, gid) = (nobody.uid.as_raw(), nobody.gid.as_raw());
    assert_eq!(ids(&done.stdout, "Uid"), [uid; 4]);
    assert_eq!(ids(&done.stdout, "Gid"), [gid; 4]);
    assert_eq!(ids(&done.stdout, "Groups"), [gid]);
    assert_eq!(status_field(&done.stdout, "CapEff").trim_start_matches('0'), "");
    assert!(done.stdout.ends_with(&format!("nobody:{}\n", nobody.dir.display())), "{}", done.stdout);
}

#[test]
fn a_numeric_user_need_not_be_known() {
    if needs_root() {
        return;
    }
    let done = horust().bash("who", "cat /proc/self/status", "user = \"54321\"").run();
    done.assert_code(0);
    assert_eq!(ids(&done.stdout, "Uid"), [54321; 4]);
    assert!(!ids(&done.stdout, "Gid").contains(&0) || ids(&done.stdout, "Groups").is_empty(), "{}", done.stdout);
}

/// s6-overlay#634, #600 and #397: an unknown user, a read-only root, a `/run` that is root's and executes nothing, no new
/// privileges.
#[test]
fn horust_itself_as_an_unknown_user_on_a_read_only_root() {
    if needs_root() {
        return;
    }
    let script = "mount -o remount,bind,ro / && mount -t tmpfs -o mode=755,noexec none /run && exec \
                  setpriv --reuid 12345 --regid 12345 --clear-groups --no-new-privs --bounding-set=-all \"$@\"";
    let horust = horust()
        .copied()
        .wrapper(&["unshare", "--mount", "bash", "-c", script, "bash"])
        .bash("who", "echo uid $(id -u); touch /run/x 2>/dev/null || echo run is not ours; touch /x 2>/dev/null || echo read-only; trap 'echo bye; exit 0' TERM; echo up; while true; do sleep 1000 & wait; done", "")
        .bash("ends", "exit 0", "")
        .start();
    horust.wait_for("up");
    let (done, _) = horust.stop(Signal::SIGTERM);
    done.assert_code(0);
    assert_eq!(done.stdout, "uid 12345\nrun is not ours\nread-only\nup\nbye\n");
}

#[test]
fn an_ordinary_user_cannot_give_rights_to_a_service() {
    if needs_root() {
        return;
    }
    let done = horust()
        .copied()
        .wrapper(&["setpriv", "--reuid", "12345", "--regid", "12345", "--clear-groups"])
        .arg("--unsuccessful-exit-finished-failed")
        .service("root", "command = \"echo must not run\"\nuser = \"root\"\n")
        .run();
    done.assert_code(101);
    assert_eq!(done.stdout, "");
    assert!(done.stderr.to_lowercase().contains("not permitted"), "{}", done.stderr);
}
