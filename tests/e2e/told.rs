//! A Horust that is PID 1 tells of itself: each verb as text and as JSON, held against committed pages, and each way in
//! which a verb can fail.

use crate::control::{as_pid1, assert_code, controlled, ok, verb, wait_for_state};
use crate::snapshot::assert_snapshot;
use crate::support::*;
use std::io::Read;
use std::process::{Command, Output};

/// Services of all kinds, one for each thing that a verb may have to tell. `db` is ready once the file `ready` is there.
pub fn all_kinds() -> Builder {
    let ready = "start-after = [\"prepare\"]\n[readiness]\ncommand = \"test -e @DIR@/ready\"\ninterval = \"50ms\"\n";
    controlled()
        .bash("app", "exec sleep 1000", "start-after = [\"db\"]")
        .bash("db", "exec sleep 1000", ready)
        .bash("fails", "exit 3", "")
        .bash("prepare", "exit 0", "kind = \"oneshot\"")
        .bash("rare", "exec sleep 1000", "autostart = false")
        .bash("victim", "exec sleep 1000", "start-after = [{ name = \"fails\", condition = \"completed-successfully\" }]")
        .bash(
            "web",
            "exec sleep 1000",
            "start-after = [{ name = \"app\", condition = \"started\" }, \"db\", { name = \"rare\", required = false }]",
        )
}

/// Until all that can happen has happened.
fn settled(horust: &Horust) {
    wait_for_state(horust, "db", "Started");
    wait_for_state(horust, "victim", "FinishedFailed");
    horust.wait_until("a check has failed", |h| {
        String::from_utf8_lossy(&verb(h, &["status", "db"]).stdout).contains("last probe error")
    });
}

/// The verb as text and as JSON.
#[track_caller]
fn both(horust: &Horust, name: &str, words: &[&str]) {
    assert_snapshot(horust, &format!("{name}.txt"), &verb(horust, words));
    assert_snapshot(horust, &format!("{name}.json"), &verb(horust, &[words, &["--format", "json"]].concat()));
}

#[test]
fn each_verb_that_tells_something() {
    let Some(set) = as_pid1(all_kinds()) else { return };
    let horust = set.start();
    settled(&horust);
    both(&horust, "why", &["why"]);
    both(&horust, "why-web", &["why", "web"]);
    both(&horust, "why-rare", &["why", "rare"]);
    both(&horust, "graph", &["graph"]);
    both(&horust, "graph-app", &["graph", "app"]);
    assert_snapshot(&horust, "graph.mmd", &verb(&horust, &["graph", "--format", "mermaid"]));
    assert_snapshot(&horust, "graph.dot", &verb(&horust, &["graph", "--format", "dot"]));
    both(&horust, "status", &["status"]);
    both(&horust, "status-db", &["status", "db"]);
    both(&horust, "health", &["health"]);
    std::fs::write(horust.dir().join("ready"), "").unwrap();
    wait_for_state(&horust, "web", "Running");
    assert_timeline(&horust);
    both(&horust, "why-well", &["why", "web", "prepare", "app"]);
    ok(&verb(&horust, &["stop", "--wait", "app"]));
    both(&horust, "why-stopped", &["why", "app"]);
}

/// The chart differs from run to run, but for who was waited for.
fn assert_timeline(horust: &Horust) {
    let page = ok(&verb(horust, &["timeline"]));
    assert!(page.starts_with("all that starts with Horust was ready, or over, "), "{page}");
    let line = |name: &str| {
        page.lines().find(|line| line.trim_start_matches(['*', ' ']).starts_with(name)).unwrap().to_owned()
    };
    assert!(["app", "db", "prepare"].iter().all(|name| line(name).starts_with("* ")), "{page}");
    assert!(line("victim").ends_with("·  FinishedFailed") && line("rare").ends_with("-  Initial"), "{page}");
    assert!(line("app").contains("····") && line("db").contains("██"), "{page}");
    let chain = page.lines().last().unwrap();
    let places = ["chain: prepare (", "→ db (", "→ app ("].map(|step| chain.find(step));
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{page}");

    let json: serde_json::Value = serde_json::from_str(&ok(&verb(horust, &["timeline", "--format", "json"]))).unwrap();
    let of = |name: &str| json["services"].as_array().unwrap().iter().find(|s| s["name"] == name).unwrap();
    assert_eq!((&of("db")["waited_for"], &of("db")["critical"]), (&"prepare".into(), &true.into()));
    let phases = of("db")["phases"].as_array().unwrap();
    assert!(phases.windows(2).all(|two| two[0]["to_ms"] == two[1]["from_ms"]), "{json}");
    assert!(phases.last().unwrap()["phase"] == "ready" && phases.last().unwrap()["to_ms"].is_null(), "{json}");

    let svg = ok(&verb(horust, &["timeline", "--format", "svg"]));
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"), "{svg}");
    assert!(svg.contains("<title>db: gets ready from ") && svg.contains("font-weight=\"bold\">prepare<"), "{svg}");
}

/// What verbs have said, one after the other.
#[derive(Default)]
struct Told {
    page: String,
    last: Option<Output>,
}

impl Told {
    fn note(&mut self, line: &str, output: Output) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        self.page += &format!("$ horust {line}\n{}{}", text(&output.stdout), text(&output.stderr));
        self.page += &format!("--- exit code {}\n\n", output.status.code().unwrap());
        self.last = Some(output);
    }

    #[track_caller]
    fn assert_snapshot(self, horust: &Horust, name: &str) {
        let all = Output { stdout: self.page.into_bytes(), stderr: vec![], ..self.last.unwrap() };
        assert_snapshot(horust, name, &all);
    }
}

/// Every way in which a verb can fail at a Horust that answers, and where none does.
#[test]
fn each_failure_of_a_verb() {
    let Some(set) = as_pid1(all_kinds()) else { return };
    let horust = set.start();
    settled(&horust);
    let nowhere = horust.dir().join("nowhere").display().to_string();
    let mut told = Told::default();
    for line in [
        "status wbe",
        "start wbe",
        "stop n*",
        "restart nope web",
        "signal HUP wbe",
        "logs wbe",
        "events wbe",
        "why wbe",
        "graph wbe",
        "wait wbe",
        "signal HUP rare",
        "signal HUPP web",
        "stop",
        "wait db --timeout 50ms",
        "start --wait --timeout 50ms web",
        "wait victim",
        "wait web --for healthy",
        "wait prepare --for failed",
        "logs web",
    ] {
        told.note(line, verb(&horust, &line.split(' ').collect::<Vec<_>>()));
    }
    told.assert_snapshot(&horust, "failures.txt");
    let mut command = Command::new(env!("CARGO_BIN_EXE_horust"));
    let gone = command.args(["status", "--uds-folder-path", &nowhere]).output().unwrap();
    assert_snapshot(&horust, "failure-no-horust.txt", &gone);
}

/// The same for programs, and for who may not ask: nothing on standard output, and an object on standard error.
#[test]
fn each_failure_as_json() {
    let Some(set) = as_pid1(all_kinds().copied()) else { return };
    let horust = set.start();
    settled(&horust);
    let mut told = Told::default();
    let mut note = |line: &str, output: Output| {
        if line.contains("json") {
            assert!(output.stdout.is_empty(), "{line}");
            let problem: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
            assert_eq!(problem["exit_code"], output.status.code().unwrap(), "{line}");
        }
        told.note(line, output);
    };
    for line in [
        "status wbe --format json",
        "start wbe --format json",
        "stop wbe --format json",
        "restart wbe --format json",
        "wait wbe --format json",
        "why wbe --format json",
        "logs wbe --format json",
        "events wbe --format json",
        "graph wbe --format json",
        "wait db --timeout 50ms --format json",
        "wait * --timeout 50ms --format json",
        "start --wait --timeout 50ms web --format json",
        "wait web --for healthy --format json",
        "logs web --format json",
    ] {
        note(line, verb(&horust, &line.split(' ').collect::<Vec<_>>()));
    }
    let socket = crate::control::socket(&horust);
    let verbs = ["status", "health", "why", "plan", "reload", "timeline", "graph", "events", "logs", "wait web"];
    let stranger = ["--reuid=4321", "--regid=4321", "--clear-groups"];
    for line in verbs.into_iter().flat_map(|line| [line.to_owned(), format!("{line} --format json")]) {
        let mut command = Command::new("setpriv");
        command.args(stranger).arg(horust.dir().join("horust")).args(line.split(' '));
        note(&format!("{line} (as a stranger)"), command.arg("--socket-path").arg(&socket).output().unwrap());
    }
    let nowhere = horust.dir().join("nowhere").display().to_string();
    for line in ["status --format json", "wait web --format json", "reload --format json"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_horust"));
        command.args(line.split(' ')).args(["--uds-folder-path", &nowhere]);
        note(&format!("{line} (where none is)"), command.output().unwrap());
    }
    told.assert_snapshot(&horust, "failures-json.txt");
}

/// Who looks at a terminal is shown who is waited for, in a line that is gone in the end.
#[test]
fn a_terminal_shows_who_is_waited_for() {
    let set = all_kinds();
    let horust = set.start();
    settled(&horust);
    let pty = nix::pty::openpty(None, None).unwrap();
    let mut command = horust.binary();
    command.args(["wait", "web", "db", "app", "--uds-folder-path"]).arg(horust.dir().join("run"));
    let mut wait = command.stderr(pty.slave).spawn().unwrap();
    drop(command);
    let (mut terminal, mut seen) = (std::fs::File::from(pty.master), String::new());
    // At its end there is no terminal any more: EIO.
    let mut read = |until: &str| {
        while !seen.contains(until) {
            let mut some = [0; 1024];
            let Ok(count @ 1..) = terminal.read(&mut some) else { break };
            seen.push_str(&String::from_utf8_lossy(&some[..count]));
        }
        seen.clone()
    };
    let shown = read("more");
    assert!(shown.contains("\r\x1b[Kwaiting for 0 s: app: Initial, and 2 more"), "{shown:?}");
    std::fs::write(horust.dir().join("ready"), "").unwrap();
    let all = read("\0");
    assert!(all.ends_with("\r\x1b[K"), "{all:?}");
    assert!(wait.wait().unwrap().success());
}

#[test]
fn the_graph_of_files_needs_no_running_horust() {
    let set = all_kinds();
    let graph = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_horust"));
        command.args(["graph", "--services-path"]).arg(set.dir().join("services")).args(words).output().unwrap()
    };
    let tree = ok(&graph(&[]));
    assert!(tree.contains("web\n├── app  [started]\n│   └── db\n│       └── prepare\n"), "{tree}");
    assert!(tree.contains("rare  (not started with Horust)  [not required]\n"), "{tree}");
    let some: serde_json::Value = serde_json::from_str(&ok(&graph(&["d*", "--format", "json"]))).unwrap();
    let names: Vec<&str> = some["nodes"].as_array().unwrap().iter().map(|n| n["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["db", "prepare"]);
    assert!(assert_code(&graph(&["nope"]), 4).contains("there is no service `nope`"));
    std::fs::write(set.dir().join("services/bad.toml"), "command = 3\n").unwrap();
    assert!(assert_code(&graph(&[]), 78).contains("bad.toml"));
}
