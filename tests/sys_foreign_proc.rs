//! `sys` under a /proc that belongs to another pid namespace. In a file of its own, for it waits for a child by itself.

#![allow(clippy::unwrap_used)] // a test

use horust::sys::{process, tree};

#[test]
fn a_foreign_proc_is_none() {
    // This very test once more, as PID 1 of a namespace of its own, with its parent's /proc.
    if process::is_pid1() {
        assert_eq!(tree::stat(1), None);
        assert_eq!(tree::children_of_self(), None);
        assert_eq!(tree::descendants(1, 9), []);
        assert!(tree::Table::read(|_| false).is_none());
        return;
    }
    let own = std::env::current_exe().unwrap();
    #[allow(clippy::disallowed_types)] // nobody else waits for it by its pid
    let unshared = std::process::Command::new("unshare")
        .args(["--pid", "--fork", own.to_str().unwrap(), "--exact", "a_foreign_proc_is_none"])
        .output()
        .unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&unshared.stdout), String::from_utf8_lossy(&unshared.stderr));
    if !unshared.status.success() && stderr.contains("unshare failed") {
        return; // no permission for namespaces
    }
    assert!(unshared.status.success() && stdout.contains("1 passed"), "{stdout}{stderr}");
}
