//! `--watch`: whatever an editor does to the files, the services follow.

use crate::support::*;
use nix::sys::signal::Signal;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;

/// A service that says this when it starts.
fn says(text: &str) -> String {
    format!("command = [\"bash\", \"-c\", \"echo {text}; exec sleep 1000\"]\n")
}

#[test]
fn files_are_followed_however_they_change() {
    let settings = "[control]\nsocket = false\n";
    let set = horust().service("web", &says("one")).service("db", &says("db")).file("horust.toml", settings);
    let horust = set.arg("--watch").arg("--config-path").arg("@DIR@/horust.toml").start();
    let services = horust.dir().join("services");
    let path = |name: &str| services.join(name);
    horust.wait_for("one");
    horust.wait_for("db");
    // Written in place.
    fs::write(path("web.toml"), says("two")).unwrap();
    horust.wait_for("two");
    // Written beside it, and put in its place.
    fs::write(path(".web.toml.swp"), "nonsense").unwrap();
    fs::write(path("web.toml~"), says("three")).unwrap();
    fs::rename(path("web.toml~"), path("web.toml")).unwrap();
    horust.wait_for("three");
    // Written by and by: half of it is not valid, and nobody looks before it is closed unless something else has changed.
    let four = says("four");
    let (first, second) = four.split_at(20);
    let mut half = File::create(path("web.toml")).unwrap();
    half.write_all(first.as_bytes()).unwrap();
    fs::write(path("new.toml"), says("new")).unwrap();
    horust.wait_until("it is told", |h| h.stderr().contains("not reloaded, all stays as it was"));
    half.write_all(second.as_bytes()).unwrap();
    drop(half);
    horust.wait_for("four");
    horust.wait_for("new");
    // Drop-ins, the directory of which is new.
    fs::create_dir(path("web.toml.d")).unwrap();
    fs::write(path("web.toml.d/more.toml"), says("five")).unwrap();
    horust.wait_for("five");
    fs::write(path("web.toml.d/more.toml"), says("six")).unwrap();
    horust.wait_for("six");
    // All of them, as another branch has them.
    fs::rename(&services, horust.dir().join("old")).unwrap();
    fs::create_dir(&services).unwrap();
    fs::write(path("web.toml"), says("seven")).unwrap();
    horust.wait_for("seven");
    fs::write(path("web.toml"), says("eight")).unwrap();
    horust.wait_for("eight");
    // What has not changed has not run again.
    assert_eq!(horust.stdout().matches("db").count(), 1, "{}", horust.stdout());
    assert_eq!(horust.stderr().matches("watch").count(), 0, "{}", horust.stderr());
    // And the settings, which have defaults for all.
    let defaults = "[control]\nsocket = false\n[defaults]\nenvironment = { TOLD = 'nine' }\n";
    fs::write(path("web.toml"), "command = [\"bash\", \"-c\", \"echo $$TOLD; exec sleep 1000\"]\n").unwrap();
    fs::write(horust.dir().join("horust.toml"), defaults).unwrap();
    horust.wait_for("nine");
    horust.stop(Signal::SIGTERM).0.assert_code(0);
}

/// Kubernetes keeps a volume of a ConfigMap so: each file is a link into `..data`, which is a link that is replaced.
#[test]
fn links_are_followed() {
    let horust = horust().service("db", &says("db")).arg("--watch").start();
    let services = horust.dir().join("services");
    let version = |name: &str, text: &str| {
        fs::create_dir(services.join(name)).unwrap();
        fs::write(services.join(name).join("web.toml"), says(text)).unwrap();
        symlink(name, services.join("..data_tmp")).unwrap();
        fs::rename(services.join("..data_tmp"), services.join("..data")).unwrap();
    };
    horust.wait_for("db");
    version("..1", "one");
    symlink("..data/web.toml", services.join("web.toml")).unwrap();
    horust.wait_for("one");
    version("..2", "two");
    horust.wait_for("two");
    horust.stop(Signal::SIGTERM).0.assert_code(0);
}

#[test]
fn nobody_is_woken_while_nothing_changes() {
    let horust = horust().service("web", &says("up")).arg("--watch").start();
    horust.wait_for("up");
    let switches = || sum_of_threads(horust.pid(), "voluntary_ctxt_switches");
    let (mut before, mut since) = (switches(), std::time::Instant::now());
    // The end of `reset-after` (10 s) is a wake-up.
    horust.wait_until("eleven seconds without a wake-up", |_| {
        if switches() != before {
            (before, since) = (switches(), std::time::Instant::now());
        }
        since.elapsed() >= std::time::Duration::from_secs(11)
    });
    horust.stop(Signal::SIGTERM).0.assert_code(0);
}
