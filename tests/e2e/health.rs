//! What watches a service that is ready: every kind of probe, and what follows when it fails, hangs and recovers.

use crate::client::speaks;
use crate::control::{assert_code, controlled, ok, verb, wait_for_state};
use crate::support::*;
use nix::sys::signal::Signal;
use std::fs;
use std::time::Duration;

/// A kind of patient, its address, and the probe that asks it. Each test has ports of its own.
fn patients() -> Vec<(&'static str, String, String)> {
    let free = || std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let (http, tcp) = (free(), free());
    let command = "if [ $(< state) = hung ]; then sleep 1000; fi; [ $(< state) = well ]".replace('$', "$$");
    vec![
        ("http", http.clone(), format!("http-endpoint = \"http://{http}/up\"")),
        ("http-unix", "x.sock".into(), "http-endpoint = \"unix:@DIR@/x.sock:/up\"".into()),
        ("tcp", tcp.clone(), format!("tcp = \"{tcp}\"")),
        ("unix", "x.sock".into(), "unix-socket = \"@DIR@/x.sock\"".into()),
        ("file", "up".into(), "file-path = \"@DIR@/up\"".into()),
        ("file", "up".into(), format!("command = [\"bash\", \"-c\", '{command}']")),
    ]
}

/// The patient, ready, and asked every 20 ms.
fn ready((kind, address, probe): &(&'static str, String, String), rest: &str) -> Horust {
    let steps = format!("echo began; patient {kind} {address}");
    let text = format!("[healthiness]\n{probe}\ninterval = \"20ms\"\ntimeout = \"10s\"\n{rest}");
    let horust = horust()
        .service("patient", &speaks(&steps, &text))
        .bash("after", "echo ready; exec sleep 1000", "start-after = [\"patient\"]")
        .start();
    horust.wait_for("ready");
    horust
}

fn becomes(horust: &Horust, state: &str) {
    // Renamed into place: it is never empty.
    fs::write(horust.dir().join("state.new"), state).unwrap();
    fs::rename(horust.dir().join("state.new"), horust.dir().join("state")).unwrap();
}

#[test]
fn a_sick_service_is_restarted_once_whatever_the_kind_of_probe() {
    for patient in &patients() {
        let horust = ready(patient, "failure-threshold = 2\n[restart]\nstrategy = \"on-failure\"");
        becomes(&horust, "sick");
        horust.wait_for_count("began", 2);
        horust.wait_until("it is well again", |h| h.read("state") == "well");
        let (done, _) = horust.stop(Signal::SIGTERM);
        done.assert_code(0);
        let said = done.stderr.matches("unhealthy: ").count();
        assert_eq!((done.stdout.matches("began").count(), done.stdout.matches("ready").count()), (2, 1), "{patient:?}");
        // Once when it is stopped, and once as the reason of the restart.
        assert_eq!(said, 2, "{patient:?}: {}", done.stderr);
    }
}

#[test]
fn what_is_forgiven_and_what_recovers_goes_on() {
    for patient in &patients() {
        let horust = ready(patient, "failure-threshold = 2\non-unhealthy = \"report\"");
        becomes(&horust, "sick");
        horust.wait_until("it is said to be sick", |h| h.stderr().contains("patient: unhealthy: "));
        becomes(&horust, "well");
        horust.wait_until("it is said to be well", |h| h.stderr().contains("patient: healthy again"));
        let (done, _) = horust.stop(Signal::SIGTERM);
        done.assert_code(0);
        assert_eq!(done.stderr.lines().count(), 2, "{patient:?}: {}", done.stderr);
        assert_eq!(done.stdout.matches("began").count(), 1, "{patient:?}");
    }
}

/// One that hangs fails at its timeout, and the others are asked meanwhile.
#[test]
fn a_hung_probe_times_out_and_delays_nobody() {
    for (kind, address, probe) in
        patients().iter().filter(|(kind, _, probe)| kind.starts_with("http") || probe.starts_with("command"))
    {
        let steps = format!("echo began; patient {kind} {address}");
        let watch = |timeout: &str| {
            format!(
                "[healthiness]\n{probe}\ninterval = \"20ms\"\ntimeout = \"{timeout}\"\nfailure-threshold = 0\non-unhealthy = \"report\""
            )
        };
        let horust = horust()
            .service("patient", &speaks(&steps, &watch("500ms")))
            .bash("other", "touch other.up; exec sleep 1000", "[healthiness]\nfile-path = \"@DIR@/other.up\"\ninterval = \"20ms\"\nfailure-threshold = 0\non-unhealthy = \"report\"")
            .bash("after", "echo ready; exec sleep 1000", "start-after = [\"patient\", \"other\"]")
            .start();
        horust.wait_for("ready");
        becomes(&horust, "hung");
        fs::remove_file(horust.dir().join("other.up")).unwrap();
        horust.wait_until("the other is asked", |h| h.stderr().contains("other: unhealthy: "));
        horust.wait_until("it times out", |h| {
            h.stderr().contains("patient: unhealthy: no answer within 500ms")
                || h.stderr().contains("patient: unhealthy: timed out after 500ms")
        });
        becomes(&horust, "well");
        horust.wait_until("it is asked again", |h| h.stderr().contains("patient: healthy again"));
        let (done, took) = horust.stop(Signal::SIGTERM);
        done.assert_code(0);
        assert!(took < BEFORE_KILL, "{took:?}");
        let first = done.stderr.lines().next().unwrap();
        assert!(first.contains("other: unhealthy"), "{probe}: {}", done.stderr);
    }
}

#[test]
fn a_hung_command_is_killed_with_all_that_it_has_started() {
    let probe = "sleep 1000 & sleep 1000".to_owned();
    let horust = horust()
        .bash(
            "a",
            "exec sleep 500",
            &format!("[healthiness]\ncommand = [\"bash\", \"-c\", '{probe}']\ninterval = \"20ms\"\ntimeout = \"50ms\"\nfailure-threshold = 4\non-unhealthy = \"report\"\n[restart]\nreadiness = \"true\""),
        )
        .start();
    horust.wait_until("five have timed out", |h| h.stderr().contains("a: unhealthy: no answer within 50ms"));
    let sleeping = horust.left().iter().filter(|line| line.contains("sleep 1000")).count();
    assert!(sleeping <= 6, "one round and the one before it at most: {:?}", horust.left());
    let (done, took) = horust.stop(Signal::SIGTERM);
    done.assert_code(0);
    assert!(took < Duration::from_secs(4), "{took:?}");
}

/// Horust with file systems at `dead` and `gone` whose servers do not answer, unless that can't be had.
fn beside_a_dead_file_system() -> Option<Builder> {
    if needs_root() {
        return None;
    }
    if !std::path::Path::new("/dev/fuse").exists() {
        skip("needs /dev/fuse");
        return None;
    }
    let mount = "for at in dead gone; do mkdir \"$0/$at\" && exec {fd}<>/dev/fuse && \
        mount -i -t fuse dead \"$0/$at\" -o fd=$fd,rootmode=40000,user_id=0,group_id=0 || exit; done; exec \"$@\"";
    Some(horust().wrapper(&["unshare", "--mount", "bash", "-c", mount, "@DIR@"]))
}

/// More starts that hang than are made at a time: others are started, asked and stopped meanwhile.
#[test]
fn starts_that_hang_hold_up_nobody_else_however_many_they_are() {
    let Some(mut set) = beside_a_dead_file_system() else { return };
    for n in 0..40 {
        let rest = format!("[healthiness]\nfile-path = \"@DIR@/dead/{n}/up\"\n[termination]\nwait = \"100ms\"");
        set = set.bash(&format!("stuck{n}"), "echo must not run", &rest);
    }
    let check = "[healthiness]\ncommand = [\"bash\", \"-c\", \"! test -e @DIR@/sick\"]\ninterval = \"20ms\"\nfailure-threshold = 0";
    let again = "rm -f @DIR@/sick; touch @DIR@/up; echo began; exec sleep 1000";
    let horust = set
        .bash("well", again, &format!("start-delay = \"500ms\"\n[restart]\nstrategy = \"on-failure\"\n{check}"))
        .bash(
            "late",
            "touch @DIR@/up; exec sleep 1000",
            "start-after = [\"well\"]\n[readiness]\nfile-path = \"@DIR@/up\"",
        )
        .bash("after", "echo after; exec sleep 1000", "start-after = [\"late\"]")
        .start();
    horust.wait_for("began");
    horust.wait_for("after");
    fs::write(horust.dir().join("sick"), "").unwrap();
    horust.wait_for_count("began", 2);
    let (done, took) = horust.stop(Signal::SIGTERM);
    done.assert_code(0);
    assert!(took < BEFORE_KILL, "{took:?}");
    assert!(!done.stdout.contains("must not run"), "{}", done.stdout);
}

/// A file system whose server does not answer, as that of a network mount that is gone: here one in user space, with nobody
/// there. Not the start of a service, nor a probe, nor any other service is held up by it, and everything can be stopped.
#[test]
fn a_dead_file_system_holds_up_nobody_else() {
    let Some(set) = beside_a_dead_file_system() else { return };
    // (In one of them the probe, whose thread has the lock of the directory, would keep the start from being killed.)
    let often = "interval = \"10ms\"\ntimeout = \"10ms\"\n[termination]\nwait = \"100ms\"";
    let horust = set
        .bash("file", "echo must not run", &format!("[healthiness]\nfile-path = \"@DIR@/dead/up\"\n{often}"))
        .bash(
            "asked",
            "echo asked; exec sleep 1000",
            &format!("[healthiness]\nunix-socket = \"@DIR@/gone/x\"\n{often}"),
        )
        // By then the other one has been asked more often than there are threads for it.
        .bash(
            "well",
            "touch @DIR@/up; exec sleep 1000",
            "start-delay = \"2s\"\n[healthiness]\nfile-path = \"@DIR@/up\"",
        )
        .bash("after", "echo well; exec sleep 1000", "start-after = [\"well\"]")
        .start();
    horust.wait_for("well");
    let (done, took) = horust.stop(Signal::SIGTERM);
    done.assert_code(0);
    assert!(took < BEFORE_KILL, "{took:?}: {}", done.stderr);
    assert_eq!(done.stdout, "asked\nwell\n", "{}", done.stderr);
}

/// Not well before somebody has said so: neither for people nor for programs, nor for who waits for it.
#[test]
fn what_has_not_been_answered_yet_is_unknown_wherever_it_is_told() {
    let check = "until [ -e @DIR@/go ]; do sleep 0.01; done";
    let health = format!(
        "[readiness]\ncommand = \"true\"\n[healthiness]\ncommand = [\"bash\", \"-c\", '{check}']\ntimeout = \"10m\""
    );
    let horust = controlled()
        .bash("db", "exec sleep 1000", &health)
        .bash("web", "echo web; exec sleep 1000", "start-after = [{ name = \"db\", condition = \"healthy\" }]")
        .start();
    wait_for_state(&horust, "db", "Running");
    let status = |horust: &Horust| -> serde_json::Value {
        serde_json::from_str(&ok(&verb(horust, &["status", "db", "--format", "json"]))).unwrap()
    };
    assert_eq!(status(&horust)["services"][0]["health"], "unknown");
    assert!(ok(&verb(&horust, &["status", "db"])).contains("health     unknown\n"));
    assert_code(&verb(&horust, &["health"]), 1);
    assert!(ok(&verb(&horust, &["metrics"])).contains("horust_service_healthy{service=\"db\"} 0\n"));
    let why = String::from_utf8(verb(&horust, &["why", "web"]).stdout).unwrap();
    assert!(why.contains("db is ready, and none of its health checks has passed yet"), "{why}");
    assert_eq!(horust.stdout(), "");
    fs::write(horust.dir().join("go"), "").unwrap();
    horust.wait_for("web");
    assert_eq!(status(&horust)["services"][0]["health"], "healthy");
    assert!(ok(&verb(&horust, &["metrics"])).contains("horust_service_healthy{service=\"db\"} 1\n"));
    horust.stop(Signal::SIGTERM).0.assert_code(0);
}
