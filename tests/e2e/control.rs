//! A running Horust is asked and steered: by its verbs, and by whoever speaks HTTP on its socket.

use crate::support::*;
use nix::sys::signal::Signal;
use nix::sys::socket::{Backlog, listen};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// Horust with a control socket below its directory.
pub fn controlled() -> Builder {
    horust().arg("--uds-folder-path").arg("@DIR@/run")
}

/// A service that says so when it starts, and that it has had USR1.
fn talker(set: Builder, name: &str) -> Builder {
    set.bash(name, &format!("trap 'echo usr1 {name}' USR1\necho up {name}\nwhile :; do sleep 1000 & wait; done"), "")
}

pub fn as_pid1(set: Builder) -> Option<Builder> {
    (!needs_root()).then(|| set.pid1())
}

pub fn socket(horust: &Horust) -> PathBuf {
    let folder = horust.dir().join("run");
    let mut found = None;
    horust.wait_until("its socket is there", |_| {
        let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        found = entries.map(|entry| entry.path()).find(|path| UnixStream::connect(path).is_ok());
        found.is_some()
    });
    found.unwrap()
}

/// Runs a verb, and returns what it said.
pub fn verb(horust: &Horust, words: &[&str]) -> Output {
    socket(horust);
    horust.binary().args(words).arg("--uds-folder-path").arg(horust.dir().join("run")).output().unwrap()
}

pub fn verb_at(folder: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_horust"));
    command.args(words).arg("--uds-folder-path").arg(folder).output().unwrap()
}

#[track_caller]
pub fn ok(output: &Output) -> String {
    assert_code(output, 0)
}

#[track_caller]
pub fn assert_code(output: &Output, code: i32) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert_eq!(output.status.code(), Some(code), "{}{}", text(&output.stdout), text(&output.stderr));
    text(if code == 0 || code == 3 { &output.stdout } else { &output.stderr })
}

fn json(horust: &Horust, name: &str) -> serde_json::Value {
    let output = verb(horust, &["status", name, "--format", "json"]);
    let all: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    all["services"][0].clone()
}

pub fn wait_for_state(horust: &Horust, name: &str, state: &str) {
    horust.wait_until(&format!("{name} is {state}"), |h| json(h, name)["state"] == state);
}

/// A request over a connection of its own: the whole answer.
fn ask(path: &Path, request: &str) -> String {
    ask_over(UnixStream::connect(path).unwrap(), request)
}

fn ask_over(mut stream: UnixStream, request: &str) -> String {
    stream.set_read_timeout(Some(LONG)).unwrap();
    // Who is refused may find that out before all is written.
    let _ = stream.write_all(request.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

pub fn http(path: &Path, method: &str, target: &str) -> String {
    ask(path, &format!("{method} {target} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n"))
}

#[test]
fn services_are_shown_stopped_and_started() {
    let set = talker(talker(controlled(), "web"), "db").service("fails", "command = \"bash -c 'exit 3'\"\n");
    let horust = set.start();
    horust.wait_for("up web");
    horust.wait_for("up db");
    wait_for_state(&horust, "fails", "FinishedFailed");
    let table = ok(&verb(&horust, &["status"]));
    let line = |name: &str| table.lines().find(|l| l.starts_with(name)).unwrap_or_default().to_owned();
    assert!(table.starts_with("NAME "), "{table}");
    assert!(line("web").contains("Running") && line("db").contains("Running"), "{table}");
    assert!(line("fails").contains("FinishedFailed") && line("fails").contains("exited with code 3"), "{table}");

    let card = ok(&verb(&horust, &["status", "web"]));
    let pid = json(&horust, "web")["pid"].to_string();
    assert!(card.starts_with("web\n") && card.contains(&format!("pid        {pid}")), "{card}");
    let web = json(&horust, "web");
    assert!(web["usage"]["memory_bytes"].as_u64() > Some(100_000) && web["usage"]["processes"] == 2, "{web}");
    assert_eq!((&web["wanted"], &web["starts"], &web["last_exit"]), (&true.into(), &1.into(), &().into()));
    let fails = json(&horust, "fails");
    assert_eq!(fails["last_exit"]["code"], 3);

    ok(&verb(&horust, &["stop", "web"]));
    wait_for_state(&horust, "web", "Finished");
    let card = assert_code(&verb(&horust, &["status", "web"]), 3);
    assert!(card.contains("killed by SIGTERM") && card.contains("not to run"), "{card}");
    assert_eq!(json(&horust, "db")["state"], "Running");
    ok(&verb(&horust, &["start", "web.toml"]));
    horust.wait_for_count("up web", 2);
    ok(&verb(&horust, &["restart", "w*", "db"]));
    horust.wait_for_count("up web", 3);
    horust.wait_for_count("up db", 2);
    wait_for_state(&horust, "db", "Running");
    ok(&verb(&horust, &["signal", "USR1", "--all"]));
    horust.wait_for("usr1 web");
    horust.wait_for("usr1 db");
    assert_code(&verb(&horust, &["signal", "USR1", "fails"]), 3);
    let (done, _) = horust.stop(Signal::SIGTERM);
    done.assert_code(0);
    assert_eq!(done.stderr.lines().filter(|line| !line.contains("fails")).count(), 0, "{}", done.stderr);
}

#[test]
fn pid_1_is_steered_from_outside_and_ends_when_told_to() {
    let Some(set) = as_pid1(talker(controlled(), "web")) else { return };
    let horust = set.start();
    horust.wait_for("up web");
    assert!(socket(&horust).ends_with("horust-1.sock"));
    ok(&verb(&horust, &["restart", "web"]));
    horust.wait_for_count("up web", 2);
    assert_eq!(json(&horust, "web")["starts"], 2);
    ok(&verb(&horust, &["shutdown"]));
    let dir = horust.dir().to_owned();
    let done = horust.end();
    done.assert_code(0);
    assert_eq!(done.stderr, "");
    assert!(!dir.join("run/horust-1.sock").exists());
}

/// Who stops the only service does not want to be thrown out of the container.
#[test]
fn horust_stays_up_while_its_only_service_is_stopped_by_hand() {
    let horust = talker(controlled(), "web").start();
    horust.wait_for("up web");
    ok(&verb(&horust, &["stop", "--all"]));
    wait_for_state(&horust, "web", "Finished");
    ok(&verb(&horust, &["start", "web"]));
    horust.wait_for_count("up web", 2);
    ok(&verb(&horust, &["shutdown"]));
    horust.end().assert_code(0);
}

#[test]
fn the_socket_is_gone_after_a_natural_exit_and_a_stale_one_is_replaced() {
    let set = controlled().bash("once", "until [ -e @DIR@/go ]; do sleep 0.01; done", "");
    let run = set.dir().join("run");
    std::fs::create_dir(&run).unwrap();
    // The next Horust in this namespace of process ids is its PID 1.
    let Some(set) = as_pid1(set) else { return };
    drop(UnixListener::bind(run.join("horust-1.sock")).unwrap());
    let horust = set.start();
    let path = socket(&horust);
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // Somebody who is connected and says nothing keeps nobody from ending.
    let _silent = UnixStream::connect(&path).unwrap();
    std::fs::write(horust.dir().join("go"), "").unwrap();
    let done = horust.end();
    done.assert_code(0);
    assert_eq!(done.stderr, "");
    assert!(!path.exists());
}

#[test]
fn a_socket_that_can_not_be_had_is_no_reason_not_to_supervise() {
    // A file where the directory should be: not even root can make it.
    let set = horust().file("file", "").arg("--uds-folder-path").arg("@DIR@/file/run");
    let done = set.bash("a", "echo hello", "").run();
    done.assert_code(0);
    assert_eq!(done.stdout, "hello\n");
    assert_eq!(done.stderr.matches("no control socket").count(), 1, "{}", done.stderr);
    // Nobody has asked for a socket here.
    let set = horust().file("horust.toml", "[control]\nsocket = false\n").arg("--config-path").arg("@DIR@/horust.toml");
    let done = set.bash("a", "ls /proc/$PPID/task | wc -l", "").run();
    assert_eq!((done.stdout.as_str(), done.stderr.as_str()), ("2\n", ""));
}

/// connect(2) waits for ever where others wait already: who hangs must not take those along who ask how it is, nor the next
/// Horust that finds its socket.
#[test]
fn nobody_queues_up_before_a_socket_that_accepts_nobody() {
    let set = horust()
        .file("horust.toml", "[control]\nsocket = \"@DIR@/full.sock\"\n")
        .arg("--config-path")
        .arg("@DIR@/horust.toml");
    let path = set.dir().join("full.sock");
    let listener = UnixListener::bind(&path).unwrap();
    listen(&listener, Backlog::new(0).unwrap()).unwrap();
    let _first = UnixStream::connect(&path).unwrap();
    let mut status = Command::new("timeout");
    let status = status.args(["30", env!("CARGO_BIN_EXE_horust"), "status", "--socket-path"]).arg(&path).output();
    let said = assert_code(&status.unwrap(), 69);
    assert!(said.contains("full.sock does not answer"), "{said}");
    let done = set.bash("a", "echo hello", "").run();
    done.assert_code(0);
    assert_eq!(done.stdout, "hello\n");
    assert!(
        done.stderr.contains("no control socket") && done.stderr.contains("somebody listens there"),
        "{}",
        done.stderr
    );
}

#[test]
fn failures_have_codes_of_their_own() {
    let horust = talker(controlled(), "web").start();
    horust.wait_for("up web");
    for words in [["status", "nope"], ["start", "nope"], ["stop", "n*"], ["restart", "nope"]] {
        let said = assert_code(&verb(&horust, &words), 4);
        assert!(said.contains(&format!("there is no service `{}`", words[1])), "{said}");
    }
    assert_code(&verb(&horust, &["signal", "NOPE", "web"]), 64);
    assert_code(&verb(&horust, &["stop"]), 64);
    assert_code(&verb_at(&horust.dir().join("nowhere"), &["status"]), 69);
    let path = socket(&horust);
    // Two that live, and none of them is PID 1: which one?
    let _other = UnixListener::bind(path.with_file_name("horust-999999999.sock")).unwrap();
    let said = assert_code(&verb(&horust, &["status"]), 64);
    assert!(said.contains("horust-999999999.sock") && said.contains(path.to_str().unwrap()), "{said}");
    let pid = horust.pid().to_string();
    ok(&verb(&horust, &["status", "--pid", &pid]));
    std::fs::remove_file(path.with_file_name("horust-999999999.sock")).unwrap();
    horust.signal(Signal::SIGKILL);
    let mut horust = horust;
    horust.wait_exit();
    let gone = assert_code(&verb_at(path.parent().unwrap(), &["status"]), 69);
    assert!(gone.contains("no Horust answers"), "{gone}");
}

/// Scripts around Horust 0.1 read this line.
#[test]
fn horustctl_answers_as_it_always_did() {
    let horust = talker(controlled(), "web").start();
    horust.wait_for("up web");
    socket(&horust);
    let link = horust.dir().join("horustctl");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_horust"), &link).unwrap();
    let ctl = |words: &[&str]| {
        Command::new(&link).arg("--uds-folder-path").arg(horust.dir().join("run")).args(words).output()
    };
    assert_eq!(ok(&ctl(&["status", "web.toml"]).unwrap()), "Current status for 'web.toml' is: 'RUNNING'.\n");
    assert_code(&ctl(&["status", "nope"]).unwrap(), 4);
    assert_code(&ctl(&[]).unwrap(), 64);
    assert!(ok(&ctl(&["status"]).unwrap()).starts_with("NAME"));
}

#[test]
fn a_stop_during_the_start_and_a_start_during_the_stop() {
    let slow = "trap 'sleep 0.3; exit 0' TERM\necho up\nwhile :; do sleep 1000 & wait; done";
    let never = "[readiness]\ncommand = \"false\"\ninterval = \"100ms\"\n";
    let set = controlled().bash("slow", slow, "").bash("starting", "echo starting; exec sleep 1000", never);
    let horust = set.start();
    horust.wait_for("starting");
    wait_for_state(&horust, "starting", "Started");
    ok(&verb(&horust, &["stop", "starting"]));
    wait_for_state(&horust, "starting", "Finished");
    horust.wait_for("up\n");
    ok(&verb(&horust, &["stop", "slow"]));
    assert_eq!(json(&horust, "slow")["state"], "InKilling");
    ok(&verb(&horust, &["start", "slow"]));
    horust.wait_for_count("up\n", 2);
    wait_for_state(&horust, "slow", "Running");
    assert_eq!(json(&horust, "slow")["starts"], 2);
}

#[test]
fn a_chain_is_restarted_in_its_order() {
    let set = talker(talker(controlled(), "a"), "unrelated");
    let follow = |set: Builder, name: &str, after: &str| {
        set.bash(name, &format!("echo up {name}; exec sleep 1000"), &format!("start-after = [\"{after}\"]"))
    };
    let horust = follow(follow(set, "b", "a"), "c", "b").start();
    horust.wait_for("up c");
    ok(&verb(&horust, &["restart", "c", "b", "a"]));
    horust.wait_for_count("up c", 2);
    ["a", "b", "c"].iter().for_each(|name| wait_for_state(&horust, name, "Running"));
    let since = |name: &str| json(&horust, name)["since"].as_str().unwrap().to_owned();
    let since = ["a", "b", "c"].map(since);
    assert!(since.is_sorted(), "{since:?}");
    assert_eq!(["a", "b", "c"].map(|name| json(&horust, name)["starts"].as_u64().unwrap()), [2, 2, 2]);
    assert_eq!(json(&horust, "unrelated")["starts"], 1);
}

/// Eight clients at once ask for whatever comes to their minds: every request is answered, no service ever runs twice,
/// and all are well in the end. They go on for `HORUST_VERBS_SECONDS`, if there are such.
#[test]
fn random_verbs_from_many_clients() {
    let only_once = "exec 9>@DIR@/NAME.lock\nflock -n 9 || echo NAME twice\necho up NAME\nexec sleep 1000";
    let names = ["a", "b", "c", "d"];
    let mut set = controlled();
    for (at, name) in names.iter().enumerate() {
        let after = if at == 0 { String::new() } else { format!("start-after = [\"{}\"]", names[at - 1]) };
        set = set.bash(name, &only_once.replace("NAME", name), &after);
    }
    let horust = set.start();
    horust.wait_for("up d");
    let path = socket(&horust);
    let seconds = std::env::var("HORUST_VERBS_SECONDS").map_or(0, |seconds| seconds.parse().unwrap());
    let (since, at_least) = (Instant::now(), Duration::from_secs(seconds));
    let client = |client: usize| {
        let mut dice = client * 7919 + 17;
        let mut asked = 0;
        while asked < 200 || since.elapsed() < at_least {
            asked += 1;
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let name = ["a", "b", "c", "d", "*"][(dice >> 33) % 5];
            let verb = ["start", "stop", "restart", "signal", "status"][(dice >> 40) % 5];
            let answer = match verb {
                "signal" => http(&path, "POST", &format!("/v1/signal?names={name}&signal=CONT")),
                "status" => http(&path, "GET", &format!("/v1/services?names={name}")),
                verb => http(&path, "POST", &format!("/v1/{verb}?names={name}")),
            };
            assert!(answer.starts_with("HTTP/1.1 200"), "{verb} {name}: {answer}");
        }
    };
    std::thread::scope(|scope| (0..8).for_each(|number| drop(scope.spawn(move || client(number)))));
    ok(&verb(&horust, &["start", "--all"]));
    for name in names {
        wait_for_state(&horust, name, "Running");
    }
    let (done, took) = horust.stop(Signal::SIGTERM);
    done.assert_code(0);
    assert!(!done.stdout.contains("twice") && took < BEFORE_KILL, "{took:?}\n{}", done.stdout);
}

#[test]
fn strangers_are_refused_and_members_of_the_group_are_not() {
    if needs_root() {
        return;
    }
    let settings = "[control]\ngroup = 1234\n";
    let set = talker(controlled(), "web").file("horust.toml", settings).arg("--config-path").arg("@DIR@/horust.toml");
    let horust = set.copied().start();
    horust.wait_for("up web");
    let path = socket(&horust);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    let as_user = |ids: &[&str]| {
        let mut command = Command::new("setpriv");
        command.args(ids).arg(horust.dir().join("horust")).arg("status").arg("--socket-path").arg(&path);
        command.output().unwrap()
    };
    let stranger = ["--reuid=4321", "--regid=4321", "--clear-groups"];
    let said = assert_code(&as_user(&stranger), 1);
    assert!(said.contains("no permission to use"), "{said}");
    // Whatever the mode of the file becomes, the kernel's word on who connects counts.
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o666)).unwrap();
    let said = assert_code(&as_user(&stranger), 1);
    assert!(said.contains("user 4321 may not use the control socket"), "{said}");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o660)).unwrap();
    ok(&as_user(&["--reuid=4321", "--regid=1234", "--clear-groups"]));
    ok(&as_user(&["--reuid=4321", "--regid=4321", "--groups=1234,99"]));
}

/// Garbage, huge requests, clients that send a byte now and then, that read nothing, that say nothing, and more of them
/// than have room: supervision goes on, and a client that behaves is served as soon as there is room.
#[test]
fn bad_clients_disturb_nobody() {
    let set = talker(controlled(), "web").bash("beat", "echo beat; sleep 0.15", "[restart]\nstrategy = \"always\"\n");
    let horust = set.start();
    horust.wait_for("up web");
    let path = socket(&horust);
    let bad = ask(&path, "\0\x01\x02nonsense\r\n\r\n");
    assert!(bad.is_empty() || bad.starts_with("HTTP/1.1 400"), "{bad}");
    let huge = format!("GET /v1/services HTTP/1.1\r\nhost: h\r\nx: {}\r\n\r\n", "x".repeat(1 << 20));
    let answer = UnixStream::connect(&path).and_then(|mut stream| {
        let _ = stream.write_all(huge.as_bytes());
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map(|_| answer)
    });
    assert!(answer.as_ref().map_or(true, |text| text.is_empty() || text.contains(" 431 ")), "{answer:?}");
    let many: String = (0..1000).map(|n| format!("x{n}: y\r\n")).collect();
    let answer = ask(&path, &format!("GET /v1/services HTTP/1.1\r\nhost: h\r\n{many}\r\n"));
    assert!(answer.is_empty() || answer.contains(" 431 "), "{answer}");
    let body = ask(
        &path,
        "POST /v1/start?names=web HTTP/1.1\r\nhost: h\r\ncontent-length: 9999999999\r\nconnection: close\r\n\r\nx",
    );
    assert!(body.starts_with("HTTP/1.1 200"), "{body}");
    assert!(http(&path, "GET", "/v1/services/%00%ff/../x").starts_with("HTTP/1.1 4"));
    // Silent ones, and ones that send their request byte by byte, take all the room ...
    let mut silent: Vec<UnixStream> = (0..64).map(|_| UnixStream::connect(&path).unwrap()).collect();
    for stream in silent.iter_mut().step_by(2) {
        stream.write_all(b"GET /v1/serv").unwrap();
    }
    // ... so that there is none left, which is said ...
    let full = http(&path, "GET", "/v1/services");
    assert!(full.starts_with("HTTP/1.1 503") && full.contains("too many clients"), "{full}");
    let beats = horust.stdout().matches("beat").count();
    horust.wait_for_count("beat", beats + 3);
    // ... until they have been waited for long enough, whatever they send.
    let since = Instant::now();
    horust.wait_until("there is room again", |_| {
        for stream in silent.iter_mut().step_by(2) {
            let _ = stream.write_all(b"x");
        }
        http(&path, "GET", "/v1/services").starts_with("HTTP/1.1 200")
    });
    assert!(since.elapsed() < Duration::from_secs(30), "{:?}", since.elapsed());
    let (done, _) = horust.stop(Signal::SIGTERM);
    done.assert_code(0);
    assert_eq!(done.stderr, "");
}

#[test]
fn waiting_for_services() {
    let ready = "[readiness]\ncommand = \"test -e @DIR@/ready\"\ninterval = \"50ms\"\n";
    let set = controlled().bash("web", "echo up; exec sleep 1000", ready).service("fails", "command = \"false\"\n");
    let job = "until [ -e @DIR@/go ]; do sleep 0.01; done";
    let horust = set.bash("job", job, "kind = \"oneshot\"").start();
    horust.wait_for("up");
    let late = assert_code(&verb(&horust, &["wait", "web", "--timeout", "100ms"]), 1);
    assert!(late.contains("not ready within 100ms: web: Started"), "{late}");
    let never = assert_code(&verb(&horust, &["wait", "fails"]), 1);
    assert!(never.contains("fails will not be ready: exited with code 1"), "{never}");
    let never = assert_code(&verb(&horust, &["wait", "web", "--for", "healthy"]), 1);
    assert!(never.contains("no health checks"), "{never}");
    ok(&verb(&horust, &["wait", "fails", "--for", "stopped"]));
    ok(&verb(&horust, &["wait", "fails", "--for", "failed"]));
    ok(&verb(&horust, &["wait", "web", "job", "--for", "running"]));
    let never = assert_code(&verb(&horust, &["wait", "fails", "--for", "finished"]), 1);
    assert!(never.contains("fails will not be finished: exited with code 1"), "{never}");
    assert_code(&verb(&horust, &["wait", "job", "--for", "finished", "--timeout", "50ms"]), 1);
    let file = |name: &str| std::fs::write(horust.dir().join(name), "").unwrap();
    std::thread::scope(|scope| {
        let waits = ["web", "job"].map(|name| scope.spawn(|| verb(&horust, &["wait", name])));
        assert_code(&verb(&horust, &["wait", "job", "--timeout", "50ms"]), 1);
        file("ready");
        file("go");
        waits.into_iter().for_each(|wait| drop(ok(&wait.join().unwrap())));
    });
    ok(&verb(&horust, &["wait", "job", "--for", "finished"]));
    for goal in ["failed", "running"] {
        let never = assert_code(&verb(&horust, &["wait", "job", "--for", goal]), 1);
        assert!(never.contains(&format!("job will not be {goal}: it has finished")), "{never}");
    }
    assert_eq!(json(&horust, "web")["state"], "Running");
    ok(&verb(&horust, &["restart", "--wait", "web"]));
    let web = json(&horust, "web");
    assert_eq!((&web["state"], &web["starts"]), (&"Running".into(), &2.into()));
    ok(&verb(&horust, &["stop", "--wait", "web"]));
    assert_eq!(json(&horust, "web")["state"], "Finished");
    // Nobody holds up the end, and who waits then is told.
    ok(&verb(&horust, &["start", "--wait", "web"]));
    std::thread::scope(|scope| {
        // Before the signal: then there is somebody to connect to.
        let stream = UnixStream::connect(socket(&horust)).unwrap();
        let request = "GET /v1/wait?names=web&for=stopped HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        let wait = scope.spawn(move || ask_over(stream, request));
        // It is stopped, or Horust has ended before that was noticed.
        horust.signal(Signal::SIGTERM);
        let answer = wait.join().unwrap();
        assert!(answer.contains(" 200 ") || answer.contains(" 503 ") || answer.is_empty(), "{answer}");
    });
    horust.end().assert_code(0);
}

#[test]
fn health_is_an_exit_code() {
    let check = "[healthiness]\ncommand = \"test ! -e @DIR@/sick\"\ninterval = \"50ms\"\non-unhealthy = \"report\"\n";
    let set = controlled().bash("web", "exec sleep 1000", check).bash("job", "exit 0", "kind = \"oneshot\"");
    let horust = set.bash("crashes", "until [ -e @DIR@/crash ]; do sleep 0.01; done; exit 9", "").start();
    horust.wait_until("healthy", |h| verb(h, &["health"]).status.success());
    assert_eq!(ok(&verb(&horust, &["health"])), "healthy\n");
    std::fs::write(horust.dir().join("sick"), "").unwrap();
    horust.wait_until("unhealthy", |h| !verb(h, &["health"]).status.success());
    let output = verb(&horust, &["health"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("web: unhealthy: "), "{output:?}");
    let answer = http(&socket(&horust), "GET", "/v1/health");
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("\"healthy\":false"), "{answer}");
    std::fs::remove_file(horust.dir().join("sick")).unwrap();
    horust.wait_until("healthy again", |h| verb(h, &["health"]).status.success());
    std::fs::write(horust.dir().join("crash"), "").unwrap();
    wait_for_state(&horust, "crashes", "FinishedFailed");
    let output = verb(&horust, &["health", "--format", "json"]);
    let health: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(health["troubles"][0]["service"], "crashes");
    ok(&verb(&horust, &["shutdown"]));
    horust.end().assert_code(0);
}

/// Who is dead of a signal before its answer is put together had been running; it was told to be `not running`.
#[test]
fn a_deadly_signal_is_no_failure() {
    let restart = "command = \"sleep 1000\"\n[restart]\nstrategy = \"always\"\nbackoff = \"0s\"\nthrottle = false\n";
    let horust = controlled().service("s", restart).start();
    horust.wait_until("it is asked", |h| verb(h, &["status", "s"]).status.success());
    for _ in 0..40 {
        ok(&verb(&horust, &["wait", "s"]));
        ok(&verb(&horust, &["signal", "KILL", "s"]));
    }
    horust.stop(Signal::SIGTERM).0.assert_code(0);
}
