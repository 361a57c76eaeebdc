//! Readiness, health and watchdog: what loads, and what is said about what makes no sense.

use super::cases::Case;
use super::support::{one, warnings};
use horust::model::{Health, OnUnhealthy, Probe, Readiness, Rounds, Signs};
use std::time::Duration;

/// Broken sets, and the pages they must produce.
pub const CASES: &[Case] = &[
    (
        "addresses of probes",
        &[
            ("0.toml", "command = \"/bin/a\"\n[readiness]\ntcp = \"localhost\"\n[healthiness]\ntcp = 5432\n"),
            ("1.toml", "command = \"/bin/a\"\n[readiness]\ntcp = \"localhost:70000\"\n[healthiness]\ntcp = \":80\"\n"),
            (
                "2.toml",
                "command = \"/bin/a\"\n[readiness]\ntcp = \"::1:80\"\n[healthiness]\ntcp = \"localhost:http\"\n",
            ),
            (
                "3.toml",
                "command = \"/bin/a\"\n[readiness]\nhttp-endpoint = \"unix:/run/x.sock\"\n[healthiness]\nhttp-endpoint = \"unix:run/x.sock:/\"\n",
            ),
            (
                "4.toml",
                "command = \"/bin/a\"\n[readiness]\nunix-socket = \"x.sock\"\n[healthiness]\nunix-socket = \"/0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789/x.sock\"\n",
            ),
            (
                "5.toml",
                "command = \"/bin/a\"\n[readiness]\nlog-line = \"(open\"\nnotify-fd = 2\n[healthiness]\non-unhealthy = \"kill\"\n",
            ),
            (
                "6.toml",
                "command = \"/bin/a\"\n[readiness]\nlog-line = \"\"\nhttp-endpoint = \"https://localhost/\"\nfailure-threshold = 3\n",
            ),
        ],
        r#"
error: `tcp`: "localhost" has no port; write "127.0.0.1:5432", say
 --> 0.toml:3:7
  |
3 | tcp = "localhost"
  |       ^^^^^^^^^^^

error: `tcp` must be a host and port such as "127.0.0.1:5432", not a bare port
 --> 0.toml:5:7
  |
5 | tcp = 5432
  |       ^^^^
  |
  = help: write it as "127.0.0.1:5432"

error: `tcp`: a port is between 1 and 65535, not 70000
 --> 1.toml:3:7
  |
3 | tcp = "localhost:70000"
  |       ^^^^^^^^^^^^^^^^^

error: `tcp`: "" is no host
 --> 1.toml:5:7
  |
5 | tcp = ":80"
  |       ^^^^^

error: `tcp`: "::1:80": put the address in brackets: "[::1]:80"
 --> 2.toml:3:7
  |
3 | tcp = "::1:80"
  |       ^^^^^^^^

error: `tcp`: "http" is no port
 --> 2.toml:5:7
  |
5 | tcp = "localhost:http"
  |       ^^^^^^^^^^^^^^^^

error: `http-endpoint`: "unix:/run/x.sock" is no socket and path
 --> 3.toml:3:17
  |
3 | http-endpoint = "unix:/run/x.sock"
  |                 ^^^^^^^^^^^^^^^^^^
  |
  = help: write it as "unix:/run/sample.sock:/health"

error: `http-endpoint`: the path of a socket begins with a slash: "run/x.sock"
 --> 3.toml:5:17
  |
5 | http-endpoint = "unix:run/x.sock:/"
  |                 ^^^^^^^^^^^^^^^^^^^

error: `unix-socket`: the path of a socket begins with a slash: "x.sock"
 --> 4.toml:3:15
  |
3 | unix-socket = "x.sock"
  |               ^^^^^^^^

error: `unix-socket`: the path of a socket has at most 107 bytes
 --> 4.toml:5:15
  |
5 | unix-socket = "/0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789/x.sock"
  |               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

warning: `log-line` has no effect yet
 --> 5.toml:3:1
  |
3 | log-line = "(open"
  | ^^^^^^^^

error: `log-line`: "(open" is no regular expression: found open group without closing ')'
 --> 5.toml:3:12
  |
3 | log-line = "(open"
  |            ^^^^^^^

error: `notify-fd` must be between 3 and 255
 --> 5.toml:4:13
  |
4 | notify-fd = 2
  |             ^

error: `on-unhealthy`: unknown variant `kill`, expected `restart` or `report`
 --> 5.toml:6:16
  |
6 | on-unhealthy = "kill"
  |                ^^^^^^

warning: `log-line` has no effect yet
 --> 6.toml:3:1
  |
3 | log-line = ""
  | ^^^^^^^^

error: `log-line`: an empty expression matches every line
 --> 6.toml:3:12
  |
3 | log-line = ""
  |            ^^

error: `http-endpoint`: this build has no TLS; use an http:// address of the service itself
 --> 6.toml:4:17
  |
4 | http-endpoint = "https://localhost/"
  |                 ^^^^^^^^^^^^^^^^^^^^

error: unknown key `failure-threshold`
 --> 6.toml:5:1
  |
5 | failure-threshold = 3
  | ^^^^^^^^^^^^^^^^^
  |
  = help: `failure-threshold` belongs in the table [healthiness]

16 errors, 2 warnings
"#,
    ),
    (
        "readiness that contradicts itself",
        &[
            ("0.toml", "command = \"/bin/a\"\n[restart]\nreadiness = \"/run/up\"\n[readiness]\nnotify = true\n"),
            (
                "1.toml",
                "command = \"/bin/a\"\nkind = \"oneshot\"\n[readiness]\nnotify = true\nstart-timeout = \"1s\"\n",
            ),
            (
                "2.toml",
                "command = \"/bin/a\"\n[readiness]\nfile-path = \"/run/up\"\ninitial-delay = \"5s\"\nstart-timeout = \"5s\"\n",
            ),
            (
                "3.toml",
                "command = \"/bin/a\"\n[readiness]\nnotify-fd = 2000\nstart-timeout = \"0s\"\n[watchdog]\ntimeout = \"0s\"\n",
            ),
        ],
        r#"
error: what makes it ready is said twice
 --> 0.toml:3:13
  |
3 | readiness = "/run/up"
  |             ^^^^^^^^^
  |
 ::: 0.toml:4:1
  |
4 | [readiness]
  | ----------- by this table
  |
  = help: keep [readiness]

error: a oneshot is ready once it has exited successfully, and by nothing else
 --> 1.toml:3:1
  |
3 | [readiness]
  | ^^^^^^^^^^^
  |
  = help: keep nothing but `start-timeout` in [readiness], or remove the `kind`

error: `start-timeout` passes before the first check: `initial-delay` is as long
 --> 2.toml:5:17
  |
5 | start-timeout = "5s"
  |                 ^^^^

error: `notify-fd` must be between 3 and 255
 --> 3.toml:3:13
  |
3 | notify-fd = 2000
  |             ^^^^

error: with a `start-timeout` of zero it can never be ready
 --> 3.toml:4:17
  |
4 | start-timeout = "0s"
  |                 ^^^^

error: a watchdog with a `timeout` of zero is always too late
 --> 3.toml:6:11
  |
6 | timeout = "0s"
  |           ^^^^

6 errors
"#,
    ),
    (
        "readiness without anything to ask",
        &[(
            "0.toml",
            "command = \"/bin/a\"\n[readiness]\nnotify = true\ntimeout = \"1m\"\n[healthiness]\non-unhealthy = \"report\"\n",
        )],
        r#"
warning: [readiness] holds no check that this could be about
 --> 0.toml:4:11
  |
4 | timeout = "1m"
  |           ^^^^
  |
  = help: how long it may take to be ready is `start-timeout`

warning: [healthiness] holds no check, so nothing is watched
 --> 0.toml:5:1
  |
5 | [healthiness]
  | ^^^^^^^^^^^^^
  |
  = help: add `http-endpoint`, `tcp`, `unix-socket`, `file-path` or `command`

2 warnings
"#,
    ),
];

fn with(text: &str) -> horust::model::ServiceSpec {
    one(&format!("command = \"/bin/a\"\n{text}"))
}

fn signs(text: &str) -> Signs {
    match with(&format!("[readiness]\n{text}")).readiness {
        Readiness::Signs(signs) => *signs,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_kind_of_probe_stands_in_both_tables() {
    let text = "http-endpoint = \"unix:/run/x.sock:/up?a=b\"\ntcp = \"[::1]:5432\"\nunix-socket = \"/run/y.sock\"\nfile = \"/run/up\"\ncommand = \"true x\"\ninterval = \"3s\"\nsuccess-threshold = 2";
    let probes = vec![
        Probe::HttpUnix { socket: "/run/x.sock".into(), path: "/up?a=b".into() },
        Probe::Tcp("[::1]:5432".into()),
        Probe::Unix("/run/y.sock".into()),
        Probe::File("/run/up".into()),
        Probe::Command(horust::model::Command(vec!["true".into(), "x".into()])),
    ];
    let rounds = Rounds { probes, interval: Duration::from_secs(3), success_threshold: 2, ..Rounds::default() };
    assert_eq!(signs(text).rounds, Some(rounds.clone()));
    let health = with(&format!("[healthiness]\n{text}\non-unhealthy = \"report\"\nmax-failed = 0"));
    let wanted = Health { rounds, max_failed: 0, on_unhealthy: OnUnhealthy::Report };
    assert_eq!((health.readiness, health.health), (Readiness::Health, Some(Box::new(wanted))));
    for address in ["localhost:1", "127.0.0.1:65535", "db.example.org:5432", "my_db:80"] {
        let text = format!("tcp = \"{address}\"");
        assert_eq!(signs(&text).rounds.unwrap().probes, [Probe::Tcp(address.into())]);
    }
}

#[test]
fn signs_that_a_service_gives_by_itself() {
    let seen = signs("notify = true\nnotify-fd = 255\nstart-timeout = \"1m\"");
    assert_eq!(seen, Signs { notify: true, notify_fd: Some(255), ..Signs::default() });
    let spec = with("[readiness]\nstart-timeout = \"1m\"\n[watchdog]\ntimeout = \"5s\"\n[healthiness]\ntcp = \"x:1\"");
    assert_eq!(spec.readiness, Readiness::Health, "a limit is no sign");
    assert_eq!((spec.start_timeout, spec.watchdog), (Some(Duration::from_secs(60)), Some(Duration::from_secs(5))));
    assert!(spec.notifies());
    let oneshot = with("kind = \"oneshot\"\n[readiness]\nstart-timeout = \"1m\"");
    assert_eq!((oneshot.readiness, oneshot.start_timeout), (Readiness::Exec, Some(Duration::from_secs(60))));
    assert_eq!(with("[readiness]\n[watchdog]\n[healthiness]").readiness, Readiness::Exec);
}

/// Until service output is captured nothing can be found in it; a service must not wait for that in vain.
#[test]
fn a_log_line_is_checked_and_has_no_effect_yet() {
    let text = "command = \"/bin/a\"\n[readiness]\nlog-line = 'listening on \\d+$'";
    assert_eq!(warnings(text), ["`log-line` has no effect yet"]);
}
