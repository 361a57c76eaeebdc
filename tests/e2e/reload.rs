//! A running Horust reads its configuration again: by the verb, and by SIGHUP.

use crate::support::*;
use nix::sys::signal::Signal;
use std::process::{Command, Output};

const LOOP: &str = "echo up $NAME; while :; do sleep 1000 & wait; done";

fn service(name: &str, rest: &str) -> String {
    let script = LOOP.replace("$NAME", name);
    format!("command = [\"bash\", \"-c\", '''{script}''']\n{rest}\n")
}

fn set() -> Builder {
    let set = horust().arg("--uds-folder-path").arg("@DIR@/run");
    set.service("web", &service("web", "start-after = ['db']")).service("db", &service("db", ""))
}

fn write(horust: &Horust, name: &str, text: &str) {
    std::fs::write(horust.dir().join(format!("services/{name}.toml")), text).unwrap();
}

fn verb(horust: &Horust, words: &[&str]) -> Output {
    let folder = horust.dir().join("run");
    let mut command = Command::new(env!("CARGO_BIN_EXE_horust"));
    command.args(words).arg("--uds-folder-path").arg(folder).output().unwrap()
}

#[track_caller]
fn says(output: &Output, code: i32) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert_eq!(output.status.code(), Some(code), "{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout) + &text(&output.stderr)
}

#[test]
fn the_verb_applies_the_least_and_a_broken_file_changes_nothing() {
    let horust = set().start();
    horust.wait_for("up web");
    assert_eq!(says(&verb(&horust, &["plan"]), 0), "nothing has changed\n");

    write(&horust, "db", &service("db", "restart.attempts = 3"));
    write(&horust, "web", &service("web2", "start-after = ['db']"));
    write(&horust, "new", &service("new", "start-after = ['web']"));
    let plan = says(&verb(&horust, &["reload", "--dry-run"]), 0);
    assert_eq!(plan, "+ new\n~ db: restart.attempts\n~ web: command (would run again)\n");
    assert!(!horust.stdout().contains("web2"));
    assert!(says(&verb(&horust, &["reload"]), 0).contains("~ web: command (runs again)\n"));
    horust.wait_for("up web2");
    horust.wait_for("up new");

    write(&horust, "new", "command = 'x'\nno-such-key = 1\n");
    std::fs::remove_file(horust.dir().join("services/web.toml")).unwrap();
    let told = says(&verb(&horust, &["reload"]), 78);
    assert!(told.contains("no-such-key = 1") && told.contains("new.toml:2"), "{told}");
    // Its own thread writes the log.
    horust.wait_until("it is logged", |h| h.stderr().contains("not reloaded") && h.stderr().contains("no-such-key"));
    assert!(says(&verb(&horust, &["status", "web"]), 0).contains("Running"));

    std::fs::remove_file(horust.dir().join("services/new.toml")).unwrap();
    assert_eq!(says(&verb(&horust, &["reload"]), 0), "- new\n- web\n");
    horust.wait_until("both are forgotten", |h| !says(&verb(h, &["status"]), 0).contains("web"));
    assert_eq!(horust.stdout().matches("up db").count(), 1, "{}", horust.stdout());
    horust.stop(Signal::SIGTERM).0.assert_code(0);
}

#[test]
fn of_500_services_one_is_changed_and_one_runs_again() {
    let mut set = horust().arg("--uds-folder-path").arg("@DIR@/run");
    for n in 0..500 {
        set = set.service(&format!("s{n}"), "command = 'sleep 1000'\n");
    }
    let horust = set.start();
    let status = |h: &Horust| -> serde_json::Value {
        serde_json::from_slice(&verb(h, &["status", "--format", "json"]).stdout).unwrap_or_default()
    };
    let starts = |h: &Horust| -> Vec<u64> {
        let all = status(h);
        let services = all["services"].as_array().cloned().unwrap_or_default();
        let up = services.iter().filter(|one| one["state"] == "Running");
        up.map(|one| one["starts"].as_u64().unwrap()).collect()
    };
    horust.wait_until("all run", |h| starts(h).len() == 500);
    write(&horust, "s250", "command = 'sleep 1001'\n");
    assert_eq!(says(&verb(&horust, &["reload"]), 0), "~ s250: command (runs again)\n");
    horust.wait_until("it runs again", |h| starts(h).iter().sum::<u64>() == 501);
    assert_eq!(starts(&horust).iter().filter(|starts| **starts == 2).count(), 1);
}

#[test]
fn over_http_errors_are_422_and_a_shutdown_is_409() {
    let slow = "trap 'until [ -e @DIR@/go ]; do sleep 0.01; done; exit 0' TERM\necho up slow\nwhile :; do sleep 1000 & wait; done";
    let horust = set().bash("slow", slow, "[termination]\nwait = \"60s\"\n").start();
    horust.wait_for("up web");
    horust.wait_for("up slow");
    let path = crate::control::socket(&horust);
    let ask = |method: &str, target: &str| crate::control::http(&path, method, target);
    write(&horust, "web", "command = 3\n");
    for (method, target) in [("POST", "/v1/reload"), ("POST", "/v1/reload?dry_run=true"), ("GET", "/v1/plan")] {
        let answer = ask(method, target);
        assert!(answer.starts_with("HTTP/1.1 422") && answer.contains("\"applied\":false"), "{answer}");
        assert!(answer.contains("web.toml"), "{answer}");
    }
    assert!(ask("POST", "/v1/reload?dry_run=maybe").starts_with("HTTP/1.1 400"));
    assert!(ask("GET", "/v1/reload").starts_with("HTTP/1.1 405"));
    write(&horust, "web", &service("web", ""));
    assert!(ask("POST", "/v1/shutdown").starts_with("HTTP/1.1 200"));
    for target in ["/v1/reload", "/v1/services/web/start", "/v1/restart?names=*"] {
        let answer = ask("POST", target);
        assert!(answer.starts_with("HTTP/1.1 409") && answer.contains("application/problem+json"), "{answer}");
    }
    std::fs::write(horust.dir().join("go"), "").unwrap();
    horust.end().assert_code(0);
}

#[test]
fn hup_reloads_also_as_pid_1() {
    let set = if needs_root() { set() } else { set().pid1() };
    let horust = set.start();
    horust.wait_for("up web");
    write(&horust, "db", "nonsense");
    horust.signal(Signal::SIGHUP);
    horust.wait_until("it is refused", |h| h.stderr().contains("not reloaded"));
    write(&horust, "db", &service("db2", ""));
    horust.signal(Signal::SIGHUP);
    horust.wait_for("up db2");
    assert_eq!(horust.stdout().matches("up web").count(), 1, "{}", horust.stdout());
    horust.stop(Signal::SIGTERM).0.assert_code(0);
}

/// Output is captured for the page, and whether there is one only changes with the next start.
#[test]
fn a_change_of_the_web_server_runs_no_service_again() {
    let (page, none) = ("web-server = \"127.0.0.1:0\"\n", "web-server = false\n");
    for (old, new) in [(page, none), (none, page)] {
        let horust = set().file("horust.toml", old).arg("--config-path").arg("@DIR@/horust.toml").start();
        horust.wait_for("up web");
        std::fs::write(horust.dir().join("horust.toml"), new).unwrap();
        let told = says(&verb(&horust, &["reload"]), 0);
        assert_eq!(told, "! web-server of horust.toml takes effect at the next start of Horust\n");
        // Nor does a service that is new differ from the others.
        write(&horust, "new", &service("new", ""));
        assert!(says(&verb(&horust, &["reload"]), 0).starts_with("+ new\n"));
        horust.wait_for("up new");
        assert_eq!(verb(&horust, &["logs", "new"]).status.code(), Some(i32::from(old == none)));
        horust.stop(Signal::SIGTERM).0.assert_code(0);
    }
}

/// Ids are used again: what has happened to a service that is gone must not be told of the one that has its id now.
#[test]
fn events_keep_the_names_of_those_that_are_gone() {
    let horust = set().start();
    horust.wait_for("up web");
    std::fs::remove_file(horust.dir().join("services/web.toml")).unwrap();
    assert_eq!(says(&verb(&horust, &["reload"]), 0), "- web\n");
    horust.wait_until("it is forgotten", |h| !says(&verb(h, &["status"]), 0).contains("web"));
    write(&horust, "other", &service("other", ""));
    assert_eq!(says(&verb(&horust, &["reload"]), 0), "+ other\n");
    horust.wait_for("up other");
    let named = |words: &[&str]| -> Vec<String> {
        let text = says(&verb(&horust, words), 0);
        let events = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        events.filter_map(|event| Some(event["service"].as_str()?.to_owned())).collect()
    };
    let all = named(&["events", "--format", "json"]);
    for name in ["db", "web", "other"] {
        assert!(all.iter().any(|other| other == name), "{name} in {all:?}");
    }
    let of_other = named(&["events", "--format", "json", "other"]);
    assert!(!of_other.is_empty() && of_other.iter().all(|name| name == "other"), "{of_other:?}");
    assert_eq!(all.iter().filter(|name| *name == "other").count(), of_other.len(), "{all:?}");
    horust.stop(Signal::SIGTERM).0.assert_code(0);
}
