//! What services have written and what has happened to them: read again, followed, and lost with a word on it.

use crate::control::{assert_code, controlled, http, ok, socket, verb, wait_for_state};
use crate::support::*;
use nix::sys::signal::Signal;
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

const CAPTURED: &str = "log.capture = true\n";

/// A service that writes what it is told to, in each of its runs.
fn puppet(set: Builder, name: &str) -> Builder {
    let again = PUPPET.replacen("mkfifo", "[ -e \"tell-$NAME\" ] || mkfifo", 1);
    set.bash(name, &format!("NAME={name}; {again}"), CAPTURED)
}

/// A verb that goes on; what it says goes into a file below the directory of Horust.
struct Following {
    child: Child,
    file: String,
}

impl Following {
    fn new(horust: &Horust, file: &str, words: &[&str]) -> Following {
        socket(horust);
        let out = File::create(horust.dir().join(file)).unwrap();
        let folder = horust.dir().join("run");
        let mut command = Command::new(env!("CARGO_BIN_EXE_horust"));
        command.args(words).arg("--uds-folder-path").arg(folder).stderr(out.try_clone().unwrap()).stdout(out);
        Following { child: command.spawn().unwrap(), file: file.to_owned() }
    }

    #[track_caller]
    fn wait_for(&self, horust: &Horust, text: &str) {
        horust.wait_until(&format!("{text:?} in {}", horust.read(&self.file)), |h| h.read(&self.file).contains(text));
    }

    /// How it ended.
    fn end(mut self) -> Option<i32> {
        let mut code = None;
        wait_until("it ends", || {
            code = self.child.try_wait().unwrap();
            code.is_some()
        });
        code.unwrap().code()
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until Horust has read what the service wrote.
fn written(horust: &Horust, name: &str, text: &str) {
    horust.wait_until(&format!("{name} has written {text:?}"), |h| {
        String::from_utf8_lossy(&verb(h, &["logs", name]).stdout).contains(text)
    });
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

#[test]
fn output_is_read_again() {
    let set = puppet(puppet(controlled(), "web"), "db").bash("quiet", "exec sleep 1000", "");
    let horust = set.start();
    horust.tell("web", r"one\ntwo\n");
    written(&horust, "web", "two\n");
    horust.tell("db", r"hello\n");
    written(&horust, "db", "hello\n");
    horust.tell("web", r"three\nno end");
    written(&horust, "web", "three\n");
    assert_eq!(ok(&verb(&horust, &["logs", "web"])), "one\ntwo\nthree\n");
    // Several: in the order of time, each with its name.
    assert_eq!(ok(&verb(&horust, &["logs"])), "web | one\nweb | two\ndb | hello\nweb | three\n");
    assert_eq!(ok(&verb(&horust, &["logs", "-n", "2", "*"])), "db | hello\nweb | three\n");
    assert_eq!(ok(&verb(&horust, &["logs", "-n", "0"])), "");
    assert_eq!(ok(&verb(&horust, &["logs", "--since", "1h", "db.toml"])), "hello\n");
    assert_eq!(ok(&verb(&horust, &["logs", "--since", "2100-01-01T00:00:00Z"])), "");
    let json = lines(&ok(&verb(&horust, &["logs", "web", "--format", "json"])));
    let (first, third) = (&json[0], &json[2]);
    assert_eq!((&first["service"], &first["stream"], &first["text"]), (&"web".into(), &"stdout".into(), &"one".into()));
    let time = third["ts"].as_str().unwrap();
    assert_eq!(ok(&verb(&horust, &["logs", "web", "--since", time])), "three\n");
    assert_eq!(ok(&verb(&horust, &["logs", "web", "-n", "1", "-t"])), format!("{time} three\n"));
    // The card shows the end of it.
    assert!(ok(&verb(&horust, &["status", "web"])).ends_with("  latest output\n    one\n    two\n    three\n"));
    // A run's last line is one, even without an end.
    ok(&verb(&horust, &["restart", "--wait", "web"]));
    horust.tell("web", r"new run\n");
    written(&horust, "web", "new run\n");
    assert_eq!(ok(&verb(&horust, &["logs", "web", "-n", "2"])), "no end\nnew run\n");
    assert_code(&verb(&horust, &["logs", "--since", "yesterday"]), 64);
    let answer = http(&socket(&horust), "GET", "/v1/logs?since=yesterday");
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("no duration such as 10m"), "{answer}");
}

#[test]
fn who_is_not_captured_is_told_how_to_be() {
    let horust = puppet(controlled(), "web").bash("quiet", "exec sleep 1000", "").start();
    horust.tell("web", r"one\n");
    written(&horust, "web", "one\n");
    let said = assert_code(&verb(&horust, &["logs", "nope"]), 4);
    assert!(said.contains("there is no service `nope`"), "{said}");
    let said = assert_code(&verb(&horust, &["logs", "quiet"]), 1);
    let file = horust.dir().join("services/quiet.toml");
    let advice = format!(
        "`quiet` is not captured, so none of its output is kept: write `capture = true` below `[log]` in {}\n",
        file.display()
    );
    assert_eq!(said, format!("horust: {advice}"));
    assert_eq!(assert_code(&verb(&horust, &["logs", "-f", "quiet"]), 1), said);
    let both = verb(&horust, &["logs", "quiet", "web"]);
    assert_eq!(ok(&both), "web | one\n");
    assert_eq!(String::from_utf8_lossy(&both.stderr), said);
    // Of a pattern nobody expects that all it fits are captured.
    assert_eq!(verb(&horust, &["logs", "*"]).stderr, b"");
    let none = controlled().bash("a", "exec sleep 1000", "").bash("b", "exec sleep 1000", "").start();
    let said = assert_code(&verb(&none, &["logs"]), 1);
    assert!(said.contains("no service is captured") && said.contains("[defaults.log]"), "{said}");
}

/// Bytes that are no text, and lines that are longer than what is read at once, come out as they went in.
#[test]
fn any_bytes_come_back_as_they_were() {
    let script = "head -c 200000 /dev/urandom | tr -d '\\n' >bytes; printf '\\n' >>bytes; \
                  printf 'back\\\\slash \\377\\n' >>bytes; cat bytes; echo done; exec sleep 1000";
    let horust = controlled().bash("web", script, CAPTURED).start();
    written(&horust, "web", "done\n");
    let mut bytes = std::fs::read(horust.dir().join("bytes")).unwrap();
    bytes.extend(b"done\n");
    assert!(verb(&horust, &["logs", "web"]).stdout == bytes);
    let json = lines(&ok(&verb(&horust, &["logs", "web", "--format", "json"])));
    assert!(json.len() > 4, "{}", json.len());
    assert_eq!((&json[0]["partial"], &json[0]["escaped"]), (&true.into(), &true.into()));
    let [.., binary, done] = json.as_slice() else { panic!() };
    assert_eq!((&binary["text"], &binary["escaped"]), (&r"back\\slash \xff".into(), &true.into()));
    assert_eq!((&done["text"], done.get("escaped"), done.get("partial")), (&"done".into(), None, None));
}

#[test]
fn output_is_followed_over_a_restart_to_the_end() {
    let last = "trap 'echo going; exit 0' TERM; echo up; while :; do sleep 1000 & wait; done";
    let horust = puppet(controlled(), "web").bash("db", last, CAPTURED).start();
    written(&horust, "db", "up\n");
    horust.tell("web", r"before\n");
    written(&horust, "web", "before\n");
    let web = Following::new(&horust, "web.out", &["logs", "-f", "-n", "1", "web"]);
    let all = Following::new(&horust, "all.out", &["logs", "--follow", "--format", "json"]);
    web.wait_for(&horust, "before\n");
    all.wait_for(&horust, "\"before\"");
    horust.tell("web", r"first run\n");
    web.wait_for(&horust, "first run\n");
    ok(&verb(&horust, &["restart", "--wait", "web"]));
    horust.tell("web", r"second run\n");
    web.wait_for(&horust, "second run\n");
    all.wait_for(&horust, "\"second run\"");
    // The end of everything, too: what services write as they stop, and then no more.
    ok(&verb(&horust, &["shutdown"]));
    assert_eq!((web.end(), all.end()), (Some(0), Some(0)));
    assert_eq!(horust.read("web.out"), "before\nfirst run\nsecond run\n");
    let all = lines(&horust.read("all.out"));
    let texts: Vec<&str> = all.iter().map(|line| line["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["up", "before", "first run", "second run", "going"]);
    horust.end().assert_code(0);
}

/// A service that was not captured before, as it had not run.
#[test]
fn the_first_run_is_followed_from_its_first_line() {
    let late = format!("{CAPTURED}autostart = false");
    let set = controlled().bash("late", "echo hello; exec sleep 1000", &late);
    let horust = set.bash("other", "exec sleep 1000", "").start();
    let follow = Following::new(&horust, "late.out", &["logs", "-f", "late"]);
    horust.wait_until("it follows", |_| std::fs::read_to_string(format!("/proc/{}/wchan", follow.child.id())).is_ok());
    ok(&verb(&horust, &["start", "late"]));
    follow.wait_for(&horust, "hello\n");
    let mut horust = horust;
    horust.signal(Signal::SIGKILL);
    horust.wait_exit();
    // It did not say good-bye.
    assert_eq!(follow.end(), Some(69));
}

/// One who reads nothing holds up nobody, loses what does not stay in memory, and is told of that.
#[test]
fn a_slow_follower_loses_lines_and_hears_how_much() {
    let flood = format!("NAME=web; {}", PUPPET.replace(r#"printf "$text""#, "seq -f 'line %.0f' 1 300000; echo $text"));
    let set = controlled().bash("web", &flood, &format!("{CAPTURED}stdout = \"NULL\"\n"));
    let horust = puppet(set, "db").start();
    let path = socket(&horust);
    let mut slow = get(&path, "/v1/logs?follow=true&names=web", "");
    let mut head = String::new();
    slow.read_line(&mut head).unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    horust.tell("web", "over");
    written(&horust, "web", "over\n");
    horust.tell("db", r"well\n");
    written(&horust, "db", "well\n");
    // Now it reads.
    let (mut numbers, mut lost) = (Vec::new(), 0);
    let mut name = String::new();
    for line in slow.lines().map(Result::unwrap) {
        let Some((field, value)) = line.split_once(": ") else { continue };
        match (field, name.as_str()) {
            ("event", _) => name = value.to_owned(),
            ("data", "note") => lost += serde_json::from_str::<Value>(value).unwrap()["lost"].as_u64().unwrap(),
            ("data", "log") => {
                let text = serde_json::from_str::<Value>(value).unwrap()["text"].as_str().unwrap().to_owned();
                if text == "over" {
                    break;
                }
                numbers.push(text.strip_prefix("line ").unwrap().parse::<u64>().unwrap());
            }
            _ => {}
        }
    }
    let all: u64 = (1..=300_000).map(|n| format!("line {n}\n").len() as u64).sum();
    let read: u64 = numbers.iter().map(|n| format!("line {n}\n").len() as u64).sum();
    // In order, none twice, and what is not there is counted to the byte.
    assert!(numbers.is_sorted_by(|a, b| a < b));
    assert_eq!((lost + read, lost > 0, numbers.last()), (all, true, Some(&300_000)));
}

/// As a browser would.
fn get(path: &Path, target: &str, headers: &str) -> BufReader<UnixStream> {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    let _ = stream.write_all(format!("GET {target} HTTP/1.1\r\nhost: h\r\n{headers}\r\n").as_bytes());
    BufReader::new(stream)
}

/// The data of the next event of this name.
fn next(stream: &mut BufReader<UnixStream>, name: &str) -> (String, Value) {
    let (mut event, mut id) = (String::new(), String::new());
    loop {
        let mut line = String::new();
        assert!(stream.read_line(&mut line).unwrap() > 0, "the end instead of {name}");
        match line.trim_end().split_once(": ") {
            Some(("event", value)) => event = value.to_owned(),
            Some(("id", value)) => id = value.to_owned(),
            Some(("data", value)) if event == name => return (id, serde_json::from_str(value).unwrap()),
            _ => {}
        }
    }
}

/// More want to follow than may: those who may all get each line, and who wants something else gets it.
#[test]
fn a_crowd_follows() {
    let horust = puppet(controlled(), "web").start();
    horust.tell("web", r"start\n");
    written(&horust, "web", "start\n");
    let path = socket(&horust);
    let mut crowd = Vec::new();
    for _ in 0..60 {
        let mut stream = get(&path, "/v1/logs?follow=true&names=web", "");
        let mut head = String::new();
        stream.read_line(&mut head).unwrap();
        match head.starts_with("HTTP/1.1 200") {
            true => crowd.push(stream),
            false => assert!(head.starts_with("HTTP/1.1 503"), "{head}"),
        }
    }
    assert_eq!(crowd.len(), 48);
    let said = assert_code(&verb(&horust, &["events", "-f"]), 1);
    assert!(said.contains("48 clients follow already"), "{said}");
    for round in 0..20 {
        horust.tell("web", &format!("round {round}\\n"));
        for stream in &mut crowd {
            while next(stream, "log").1["text"] != format!("round {round}") {}
        }
    }
    ok(&verb(&horust, &["status", "web"]));
    // When they go, there is room again.
    drop(crowd);
    horust.wait_until("room", |_| {
        let mut line = String::new();
        get(&path, "/v1/events?follow=true", "").read_line(&mut line).unwrap();
        line.starts_with("HTTP/1.1 200")
    });
    horust.stop(Signal::SIGTERM).0.assert_code(0);
}

/// Once nobody follows any more, nothing wakes anybody.
#[test]
fn who_has_gone_costs_nothing() {
    let horust = puppet(controlled(), "web").start();
    horust.tell("web", r"start\n");
    written(&horust, "web", "start\n");
    let path = socket(&horust);
    let follow = Following::new(&horust, "out", &["logs", "-f"]);
    follow.wait_for(&horust, "start\n");
    let mut events = get(&path, "/v1/events?follow=true", "");
    next(&mut events, "event");
    drop((follow, events));
    let switches = || sum_of_threads(horust.pid(), "voluntary_ctxt_switches");
    // The end of `reset-after` (10 s) is a wake-up, and so would be a comment for who follows (15 s).
    let (mut before, mut since) = (switches(), Instant::now());
    horust.wait_until("seventeen seconds without a wake-up", |_| {
        if switches() != before {
            (before, since) = (switches(), Instant::now());
        }
        since.elapsed() >= Duration::from_secs(17)
    });
    horust.stop(Signal::SIGTERM).0.assert_code(0);
}

fn kinds(events: &[Value], name: &str) -> Vec<String> {
    let of = |event: &&Value| event["service"] == name;
    events.iter().filter(of).map(|event| event["kind"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn events_come_in_their_order() {
    let set = controlled()
        .bash("crash", "exit 3", "[restart]\nattempts = 1\nstrategy = \"on-failure\"\n")
        .bash("web", "exec sleep 1000", "")
        .bash("job", "exit 0", "kind = \"oneshot\"");
    let horust = set.start();
    wait_for_state(&horust, "crash", "FinishedFailed");
    wait_for_state(&horust, "job", "Finished");
    ok(&verb(&horust, &["restart", "--wait", "web"]));
    let events = lines(&ok(&verb(&horust, &["events", "--format", "json"])));
    let numbers: Vec<u64> = events.iter().map(|event| event["seq"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    let crash = ["started", "ready", "exited", "restarting", "started", "ready", "exited", "failed"];
    assert_eq!(kinds(&events, "crash"), crash);
    assert_eq!(kinds(&events, "web"), ["started", "ready", "stopping", "exited", "started", "ready"]);
    assert_eq!(kinds(&events, "job"), ["started", "ready", "exited", "finished"]);
    let text = ok(&verb(&horust, &["events", "crash"]));
    assert!(text.lines().count() == 8 && text.contains("crash: exited with code 3; restart 1 in"), "{text}");
    assert!(text.lines().last().unwrap().contains("crash: failed for good: exited with code 3"), "{text}");
    assert_eq!(ok(&verb(&horust, &["events", "-n", "1", "c*"])).lines().count(), 1);
    let last = numbers.len().to_string();
    assert_eq!(ok(&verb(&horust, &["events", "--since", &last])), "");
    assert_code(&verb(&horust, &["events", "nope"]), 4);
    // To the end. The last event of before shows that the follower is connected.
    let before = (numbers.len() - 1).to_string();
    let follow = Following::new(&horust, "events", &["events", "-f", "--since", &before, "--format", "json"]);
    follow.wait_for(&horust, "\n");
    let path = socket(&horust);
    let mut raw = get(&path, "/v1/events?follow=true", "");
    while next(&mut raw, "event").0 != last {}
    horust.signal(Signal::SIGTERM);
    assert_eq!(follow.end(), Some(0));
    let events = &lines(&horust.read("events"))[1..];
    assert_eq!((&events[0]["kind"], &events[0]["service"]), (&"shutdown".into(), &Value::Null));
    assert_eq!(kinds(events, "web"), ["stopping", "exited", "finished"]);
    let mut rest = String::new();
    raw.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("\"shutdown\"") && rest.ends_with("0\r\n\r\n"), "{rest}");
    horust.end().assert_code(0);
}

/// Who comes back goes on where it was; what is not kept any more is counted; and who comes from before Horust's restart
/// begins anew.
#[test]
fn events_are_resumed() {
    // Each run is three events.
    let often = "[restart]\nstrategy = \"always\"\nthrottle = false\n";
    let gate = "[ -e @DIR@/stop ] && exec sleep 1000; exit 0";
    let horust = controlled().bash("busy", gate, often).start();
    let path = socket(&horust);
    let mut stream = get(&path, "/v1/events?follow=true", "");
    let (id, first) = next(&mut stream, "event");
    assert_eq!((id.as_str(), &first["seq"]), ("1", &1.into()));
    for _ in 0..5 {
        next(&mut stream, "event");
    }
    drop(stream);
    let mut stream = get(&path, "/v1/events?follow=true&since=1", "Last-Event-ID: 6\r\n");
    assert_eq!(next(&mut stream, "event").0, "7");
    drop(stream);
    let newest = |horust: &Horust| {
        let last = ok(&verb(horust, &["events", "-n", "1", "--format", "json"]));
        lines(&last)[0]["seq"].as_u64().unwrap()
    };
    horust.wait_until("more than are kept", |h| newest(h) > 4300);
    std::fs::write(horust.dir().join("stop"), "").unwrap();
    wait_for_state(&horust, "busy", "Running");
    horust.wait_until("it lasts", |h| ok(&verb(h, &["events", "-n", "1"])).contains("ready"));
    let newest = newest(&horust);
    let answer = http(&path, "GET", "/v1/events?since=6");
    let body: Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert_eq!((body["lost"].as_u64(), body["events"].as_array().unwrap().len()), (Some(newest - 4096 - 6), 4096));
    let mut stream = get(&path, "/v1/events?follow=true", "Last-Event-ID: 6\r\n");
    assert_eq!(next(&mut stream, "note").1["lost"].as_u64(), Some(newest - 4096 - 6));
    assert_eq!(next(&mut stream, "event").1["seq"].as_u64(), Some(newest - 4095));
    let mut stream = get(&path, "/v1/events?follow=true", "Last-Event-ID: 999999999\r\n");
    assert_eq!(next(&mut stream, "event").1["seq"].as_u64(), Some(newest - 4095));
    horust.stop(Signal::SIGTERM).0.assert_code(0);
}

#[test]
fn the_card_says_what_a_service_lacks() {
    let never = format!("{CAPTURED}[readiness]\ncommand = \"false\"\ninterval = \"50ms\"\n");
    let never = never.replace("log.capture = true", "[log]\ncapture = true");
    let script = "printf 'a\\033[31mred\\tone\\n'; exec sleep 1000";
    let horust = controlled().bash("slow", script, &never).bash("web", "exec sleep 1000", "").start();
    written(&horust, "slow", "one\n");
    horust.wait_until("a check has failed", |h| {
        String::from_utf8_lossy(&verb(h, &["status", "slow"]).stdout)
            .contains("not ready: the command of the check exited with code 1")
    });
    let card = ok(&verb(&horust, &["status", "slow"]));
    assert!(card.ends_with("  latest output\n    a[31mred one\n"), "{card}");
    let card = ok(&verb(&horust, &["status", "web"]));
    assert!(card.contains("readiness  ready\n") && !card.contains("output"), "{card}");
}
