//! Every key of a service, changed in a running Horust: it gets another run or none, as docs/reload.md says, and the new
//! value holds.

use crate::control::{ok, verb, wait_for_state};
use crate::support::*;
use horust::model::{Effect, every_key};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;

/// How a new value is seen. `@NAME@` is the service.
#[derive(Clone, Copy)]
enum See {
    /// In nothing that could be seen from outside; that it is read and held against the old one is seen all the same.
    Nothing,
    /// The new run says so about itself.
    Fact(&'static str),
    /// On Horust's standard output: a regular expression.
    Out(&'static str),
    /// A file that begins with this is there.
    File(&'static str),
    /// Its output can be read again.
    Logs,
    /// It starts for the first time.
    Starts,
    /// It is in this state from now on.
    Becomes(&'static str),
    /// It is in this state once it has ended with 7.
    Ended(&'static str),
    /// Once it has ended with 7, there is `seen/NAME`.
    EndedMark,
    /// Once it is stopped, there is `seen/NAME`.
    StoppedMark,
}

use See::*;

/// A key, what stands in the file before and after the change, and how that is seen.
const KEYS: &[(&str, &str, &str, See)] = &[
    ("command", "", "", Fact("args changed")),
    ("kind", "kind = 'daemon'", "kind = 'oneshot'", Nothing),
    ("working-directory", "", "working-directory = '/usr'", Fact("cwd /usr")),
    ("stdout", "", "stdout = '@DIR@/log/@NAME@'", File("log/@NAME@")),
    ("stderr", "", "stderr = '@DIR@/log/@NAME@'", File("log/@NAME@")),
    ("user", "", "user = 'nobody'", Fact("uid 65534")),
    ("group", "", "group = 4", Fact("gid 4")),
    ("supplementary-groups", "", "supplementary-groups = [4321]", Fact("groups 0 4321")),
    ("umask", "umask = '0022'", "umask = '0027'", Fact("umask 0027")),
    ("nice", "", "nice = 11", Fact("nice 11")),
    ("oom-score-adj", "", "oom-score-adj = 432", Fact("score 432")),
    ("no-new-privileges", "", "no-new-privileges = true", Fact("NoNewPrivs: 1")),
    ("capabilities", "", "capabilities = ['KILL']", Fact("CapEff: 0000000000000020")),
    ("limits.nofile", "limits.nofile = 500", "limits.nofile = 501", Fact("nofile 501")),
    // What they do takes a kernel of its own: `cargo xtask test vm`.
    ("resource-limit.cpu", "", "resource-limit.cpu = 1.0", Nothing),
    ("resource-limit.memory", "", "resource-limit.memory = '512MiB'", Nothing),
    ("resource-limit.pids-max", "", "resource-limit.pids-max = 500", Nothing),
    (
        "resource-limit.strict",
        "resource-limit.memory = '512MiB'",
        "resource-limit = { memory = '512MiB', strict = true }",
        Nothing,
    ),
    ("readiness.notify", "", "readiness.notify = true", Fact("env NOTIFY_SOCKET=")),
    ("readiness.notify-fd", "", "readiness.notify-fd = 3", Fact("fd3 pipe:")),
    ("readiness.log-line", "readiness.log-line = 'no'", "readiness.log-line = 'first of'", Becomes("Running")),
    ("watchdog.timeout", "watchdog.timeout = '1h'", "watchdog.timeout = '2h'", Fact("env WATCHDOG_USEC=7200000000")),
    ("environment.keep-env", "", "environment.keep-env = true", Fact("env KEPT=yes")),
    ("environment.re-export", "", "environment.re-export = ['KEPT']", Fact("env KEPT=yes")),
    ("environment.load", "", "environment.load = '@DIR@/variables'", Fact("env LOADED=yes")),
    ("environment.secrets", "", "environment.secrets = { SECRET = '@DIR@/secret' }", Fact("env SECRET=hush")),
    ("environment.OTHER", "environment.OTHER = 'old'", "environment.OTHER = 'new'", Fact("env OTHER=new")),
    ("log.capture", "", "log.capture = true", Logs),
    ("log.format", "log.format = 'plain'", "log.format = 'prefix'", Out(r"@NAME@ \| first of @NAME@")),
    ("log.timestamp", PREFIX, "log = { format = 'prefix', timestamp = true }", Out(r"\d:\d\d.* first of @NAME@")),
    ("stdout-rotate-size", FILE, "stdout-rotate-size = '10'\nstdout = '@DIR@/log/@NAME@'", File("log/@NAME@.1")),
    ("stderr-rotate-size", ERRORS, "stderr-rotate-size = '10'\nstderr = '@DIR@/log/@NAME@'", File("log/@NAME@.1")),
    ("log.rotate-age", FILE, "log.rotate-age = '1h'\nstdout = '@DIR@/log/@NAME@'", Nothing),
    ("log.keep", ROTATED, "log = { rotate-size = '10', keep = 5 }\nstdout = '@DIR@/log/@NAME@'", Nothing),
    (
        "log.compress",
        ROTATED,
        "log = { rotate-size = '10', compress = true }\nstdout = '@DIR@/log/@NAME@'",
        File("log/@NAME@.gz"),
    ),
    (
        "stdout-should-append-timestamp-to-filename",
        FILE,
        "stdout-should-append-timestamp-to-filename = true\nstdout = '@DIR@/log/@NAME@'",
        File("log/@NAME@.1"),
    ),
    ("log.rate-limit", "log.rate-limit = '1/h'", "log.rate-limit = '1000/s'", Out("second of @NAME@")),
    ("log.buffer", "log = { capture = true, buffer = 1 }", "log.capture = true", Logs),
    ("autostart", "autostart = false", "autostart = true", Starts),
    (
        "start-delay",
        "restart.strategy = 'always'",
        "start-delay = '1h'\nrestart.strategy = 'always'",
        Ended("Starting"),
    ),
    ("start-after", "", "start-after = ['command']", Nothing),
    ("shutdown-after", "", "shutdown-after = ['command']", Nothing),
    ("signal-rewrite", "", "signal-rewrite = '15:3'", Nothing),
    ("required", "", "required = true", Nothing),
    ("restart.strategy", "", "restart.strategy = 'always'", Ended("Running")),
    ("restart.backoff", "restart.attempts = 1", "restart = { attempts = 1, backoff = '1h' }", Ended("Failed")),
    ("restart.attempts", "", "restart.attempts = 1", Ended("Running")),
    ("restart.growth", "", "restart.growth = 'constant'", Nothing),
    ("restart.backoff-max", "restart.attempts = 1", "restart = { attempts = 1, backoff-max = '1h' }", Nothing),
    ("restart.jitter", "", "restart.jitter = 0.5", Nothing),
    ("restart.reset-after", "", "restart.reset-after = '1s'", Nothing),
    ("restart.throttle", "", "restart.throttle = false", Nothing),
    (
        "restart.readiness",
        "healthiness = { command = 'false', failure-threshold = 9000 }",
        READY_BY_FILE,
        Becomes("Running"),
    ),
    (
        "readiness.start-timeout",
        "readiness = { command = 'false', start-timeout = '1h' }",
        "readiness = { command = 'false', start-timeout = '1ms' }",
        FAILED,
    ),
    (
        "healthiness.failure-threshold",
        SICK,
        "healthiness = { command = 'false', failure-threshold = 0, interval = '20ms' }\nreadiness.command = 'true'",
        FAILED,
    ),
    (
        "healthiness.on-unhealthy",
        REPORTED,
        "healthiness = { command = 'false', failure-threshold = 0, interval = '20ms' }\nreadiness.command = 'true'",
        FAILED,
    ),
    ("failure.successful-exit-code", "", "failure.successful-exit-code = [0, 7]", Ended("Finished")),
    ("failure.exit-code", "failure.exit-code = [8]", "failure.exit-code = [7]", Ended("FinishedFailed")),
    ("failure.strategy", "", "failure.strategy = 'kill-dependents'", Nothing),
    ("failure.on", "", "failure.on = 'every-failure'", Nothing),
    ("termination.command", "", "termination.command = 'touch @DIR@/seen/@NAME@'", StoppedMark),
    ("termination.signal", "", "termination.signal = 'HUP'", StoppedMark),
    ("termination.wait", "", "termination.wait = '9s'", Nothing),
    ("termination.die-if-failed", "", "termination.die-if-failed = ['command']", Nothing),
    ("termination.scope", "", "termination.scope = 'tree'", Nothing),
    (
        "hooks.before-start",
        "restart.strategy = 'always'",
        "hooks.before-start = 'touch @DIR@/seen/@NAME@'\nrestart.strategy = 'always'",
        EndedMark,
    ),
    (
        "hooks.after-ready",
        "restart.strategy = 'always'",
        "hooks.after-ready = 'touch @DIR@/seen/@NAME@'\nrestart.strategy = 'always'",
        EndedMark,
    ),
    ("hooks.before-stop", "", "hooks.before-stop = 'touch @DIR@/seen/@NAME@'", StoppedMark),
    ("hooks.after-stop", "", "hooks.after-stop = 'touch @DIR@/seen/@NAME@'", StoppedMark),
    ("hooks.on-failure", "", "hooks.on-failure = 'touch @DIR@/seen/@NAME@'", EndedMark),
    (
        "hooks.timeout",
        "hooks = { on-failure = 'true', timeout = '1s' }",
        "hooks = { on-failure = 'true', timeout = '2s' }",
        Nothing,
    ),
];

/// The same of keys that `[readiness]` and `[healthiness]` both have.
const PROBES: &[(&str, &str, &str, See)] = &[
    ("http-endpoint", "http-endpoint = '@HTTP@/no'", "http-endpoint = '@HTTP@/yes'", READY),
    ("tcp", "tcp = '127.0.0.1:1'", "tcp = '@TCP@'", READY),
    ("unix-socket", "unix-socket = '/no'", "unix-socket = '@DIR@/socket'", READY),
    ("file-path", "file-path = '@DIR@/no'", "file-path = '@DIR@/later'", READY),
    ("command", "command = 'false'", "command = 'true'", READY),
    (
        "interval",
        "command = 'test -e @DIR@/later', interval = '1h'",
        "command = 'test -e @DIR@/later', interval = '20ms'",
        READY,
    ),
    ("timeout", "command = 'true'", "command = 'true', timeout = '9s'", Nothing),
    ("initial-delay", "command = 'true', initial-delay = '1h'", "command = 'true'", READY),
    ("success-threshold", "command = 'true', success-threshold = 9000", "command = 'true'", READY),
];

const READY: See = Becomes("Running");
const FAILED: See = Becomes("FinishedFailed");
const PREFIX: &str = "log.format = 'prefix'";
const FILE: &str = "log.capture = true\nstdout = '@DIR@/log/@NAME@'";
const ERRORS: &str = "log.capture = true\nstderr = '@DIR@/log/@NAME@'";
const ROTATED: &str = "log.rotate-size = '10'\nstdout = '@DIR@/log/@NAME@'";
const READY_BY_FILE: &str =
    "healthiness = { command = 'false', failure-threshold = 9000 }\nrestart.readiness = '@DIR@/later'";
const SICK: &str =
    "healthiness = { command = 'false', failure-threshold = 9000, interval = '20ms' }\nreadiness.command = 'true'";
const REPORTED: &str = "healthiness = { command = 'false', failure-threshold = 0, interval = '20ms', on-unhealthy = 'report' }\nreadiness.command = 'true'";

/// Tells what it is, and lives until it is told to end.
const SCRIPT: &str = "\
trap 'exit 0' TERM QUIT; trap 'exit 7' USR2; trap 'touch @DIR@/seen/@NAME@; exit 0' HUP
{ echo args $ARGS; echo cwd $(pwd); echo uid $(id -u); echo gid $(id -g); echo groups $(id -G); echo umask $(umask)
  echo nice $(nice); echo score $(cat /proc/self/oom_score_adj); echo nofile $(ulimit -n); echo fd3 $(readlink /proc/$$/fd/3)
  grep -E '^(NoNewPrivs|CapEff):' /proc/self/status | tr '\\t' ' '; env | sed 's/^/env /'; } > @DIR@/facts/@NAME@.new
mv @DIR@/facts/@NAME@.new @DIR@/facts/@NAME@
echo first of @NAME@; echo second of @NAME@; echo third of @NAME@ >&2; echo fourth of @NAME@ >&2
while :; do sleep 1000 & wait $!; done";

struct Row {
    key: String,
    old: String,
    new: String,
    see: See,
}

fn rows() -> Vec<Row> {
    let keys = KEYS.iter().map(|&(key, old, new, see)| Row { key: key.into(), old: old.into(), new: new.into(), see });
    // Who is sick at first is not to be given up before the change.
    let tables = [("readiness", ""), ("healthiness", ", failure-threshold = 9000")];
    let probes = tables.into_iter().flat_map(|(table, more)| {
        PROBES.iter().map(move |&(key, old, new, see)| Row {
            key: format!("{table}.{key}"),
            old: format!("{table} = {{ {old}{more} }}"),
            new: format!("{table} = {{ {new}{more} }}"),
            see,
        })
    });
    keys.chain(probes).collect()
}

fn name(key: &str) -> String {
    key.replace('.', "-")
}

fn service(key: &str, rest: &str, changed: bool) -> String {
    let args = if changed && key == "command" { "changed" } else { "old" };
    // Horust's own expansion is kept off it.
    let script = SCRIPT.replace("$ARGS", args).replace('$', "$$");
    format!("command = ['bash', '-c', '''\n{script}\n''']\n{rest}\n").replace("@NAME@", &name(key))
}

/// Answers 200 to who asks for `/yes`, and 404 to others.
fn answer(listener: TcpListener) {
    let serve = move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = [0; 1024];
            let read = stream.read(&mut head).unwrap_or(0);
            let status = if String::from_utf8_lossy(&head[..read]).contains(" /yes ") { "200 OK" } else { "404 No" };
            let _ = stream.write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").as_bytes());
        }
    };
    std::thread::Builder::new().spawn(serve).unwrap();
}

/// Each service as its status says.
fn status(horust: &Horust) -> BTreeMap<String, Value> {
    let all: Value = serde_json::from_str(&ok(&verb(horust, &["status", "--format", "json"]))).unwrap();
    let named = |one: &Value| (one["name"].as_str().unwrap().to_owned(), one.clone());
    all["services"].as_array().unwrap().iter().map(named).collect()
}

#[test]
fn each_key_gets_another_run_or_none_and_its_new_value_holds() {
    if needs_root() {
        return;
    }
    let rows = rows();
    let (http, tcp) = (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let at = [
        ("@HTTP@", format!("http://{}", http.local_addr().unwrap())),
        ("@TCP@", tcp.local_addr().unwrap().to_string()),
    ];
    answer(http);
    let fill = |text: &str| at.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
    let set =
        crate::control::controlled().env("KEPT", "yes").file("variables", "LOADED=yes\n").file("secret", "hush\n");
    let set =
        rows.iter().fold(set, |set, row| set.service(&name(&row.key), &fill(&service(&row.key, &row.old, false))));
    let dir = set.dir().to_owned();
    for below in ["facts", "seen", "log"] {
        std::fs::create_dir(dir.join(below)).unwrap();
        std::fs::set_permissions(dir.join(below), PermissionsExt::from_mode(0o777)).unwrap();
    }
    let _socket = UnixListener::bind(dir.join("socket")).unwrap();
    let horust = set.start();
    let fact = |key: &str| horust.read(&format!("facts/{}", name(key)));
    for Row { key, .. } in rows.iter().filter(|row| !matches!(row.see, Starts)) {
        horust.wait_until(key, |_| !fact(key).is_empty());
    }
    let before = status(&horust);

    for Row { key, new, .. } in &rows {
        let text = fill(&service(key, new, true)).replace("@DIR@", &dir.display().to_string());
        std::fs::write(dir.join(format!("services/{}.toml", name(key))), text).unwrap();
    }
    // Some files are removed before each start of those that wait for them.
    std::fs::write(dir.join("later"), "").unwrap();
    let told: Value = serde_json::from_str(&ok(&verb(&horust, &["reload", "--format", "json"]))).unwrap();
    let told: BTreeMap<&str, &Value> =
        told["changed"].as_array().unwrap().iter().map(|one| (one["name"].as_str().unwrap(), one)).collect();
    let effects: BTreeMap<_, Effect> = every_key().into_iter().map(|one| (one.key, one.effect)).collect();
    let another = |key: &str| {
        // Names of limits and variables are not listed one by one.
        effects.get(key).copied().unwrap_or(Effect::Restart) == Effect::Restart
    };
    for Row { key, .. } in &rows {
        let change = told.get(name(key).as_str()).unwrap_or_else(|| panic!("{key} has not changed"));
        assert!(change["keys"].as_array().unwrap().iter().any(|one| one == key), "{key}: {change}");
        assert_eq!(change["restart"], another(key), "{key}: {change}");
    }
    let missing: Vec<_> = effects.keys().filter(|key| !rows.iter().any(|row| row.key == **key)).collect();
    assert!(missing.is_empty(), "there is no row for {missing:?}");

    let starts = |all: &BTreeMap<String, Value>, key: &str| all[&name(key)]["starts"].as_u64().unwrap();
    let more = |key: &str, see: &See| u64::from(another(key) || matches!(see, Starts));
    horust.wait_until("those that have to run again do", |h| {
        let now = status(h);
        rows.iter().all(|Row { key, see, .. }| starts(&now, key) >= starts(&before, key) + more(key, see))
    });
    for Row { key, see, .. } in &rows {
        see_it(&horust, key, see);
        let now = status(&horust);
        let (old, new) = (&before[&name(key)], &now[&name(key)]);
        match see {
            Ended(_) | EndedMark | StoppedMark => {}
            Becomes("FinishedFailed") => assert_eq!(new["starts"], 1, "{key}"),
            _ => {
                assert_eq!(starts(&now, key), starts(&before, key) + more(key, see), "{key}");
                assert_eq!(new["pid"] != old["pid"], more(key, see) == 1, "{key}: {old} {new}");
            }
        }
    }
    horust.stop(Signal::SIGTERM).0.assert_code(0);
}

#[track_caller]
fn see_it(horust: &Horust, key: &str, see: &See) {
    let name = name(key);
    let fill = |text: &str| text.replace("@NAME@", &name);
    let wait = |holds: &dyn Fn() -> bool| horust.wait_until(&format!("the new {key} holds"), |_| holds());
    let there = |begin: &str| {
        let (folder, begin) = begin.rsplit_once('/').unwrap();
        let files = std::fs::read_dir(horust.dir().join(folder)).unwrap();
        files.flatten().any(|file| file.file_name().to_string_lossy().starts_with(begin))
    };
    let mark = || there(&format!("seen/{name}"));
    let end = || {
        assert!(!mark(), "{key}");
        ok(&verb(horust, &["signal", "USR2", &name]));
    };
    match see {
        Nothing | Starts => {}
        Fact(text) => wait(&|| horust.read(&format!("facts/{name}")).contains(&fill(text))),
        Out(pattern) => {
            let pattern = regex_lite::Regex::new(&fill(pattern)).unwrap();
            wait(&|| pattern.is_match(&horust.stdout()));
        }
        File(begin) => wait(&|| there(&fill(begin))),
        Logs => wait(&|| {
            let output = verb(horust, &["logs", &name]);
            output.status.success() && String::from_utf8_lossy(&output.stdout).contains(&fill("second of @NAME@"))
        }),
        Becomes(state) => wait_for_state(horust, &name, state),
        Ended(state) => {
            let before = status(horust)[&name].clone();
            end();
            wait(&|| {
                let now = status(horust)[&name].clone();
                now["state"] == *state && now["pid"] != before["pid"]
            });
        }
        EndedMark => {
            end();
            wait(&mark);
        }
        StoppedMark => {
            assert!(!mark(), "{key}");
            ok(&verb(horust, &["stop", "--wait", &name]));
            wait(&mark);
        }
    }
}
