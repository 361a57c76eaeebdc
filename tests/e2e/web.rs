//! Horust over TCP: who may look, who may steer, what a browser is told, and what monitors get.

use crate::control::{ok, verb};
use crate::support::*;
use nix::sys::signal::Signal;
use serde_json::Value;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

/// Horust with these settings, that tells where it listens.
pub fn web(settings: &str) -> Builder {
    let set = horust().file("horust.toml", settings).arg("--config-path").arg("@DIR@/horust.toml");
    set.arg("--uds-folder-path").arg("@DIR@/run").env("HORUST_LOG", "info")
}

const SLEEPER: &str = "command = \"sleep 1000\"\n";

/// The address that Horust says it has for this.
pub fn address(horust: &Horust, what: &str) -> SocketAddr {
    let mut found = None;
    horust.wait_until(&format!("it says where {what} is"), |h| {
        let said = h.stderr();
        let line = said.lines().find_map(|line| line.split_once(&format!("{what} is at http://")));
        found = line.and_then(|(_, at)| at.trim_end_matches('/').parse().ok());
        found.is_some()
    });
    found.unwrap()
}

fn token(horust: &Horust) -> String {
    horust.read(&format!("run/horust-{}.token", horust.pid())).trim().to_owned()
}

/// Sends this, and returns the whole answer.
fn ask(at: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    // Who is refused may find that out before all is written.
    let _ = stream.write_all(request.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let (head, body) = answer.split_at(answer.windows(4).position(|end| end == b"\r\n\r\n").map_or(0, |at| at + 4));
    let head = String::from_utf8_lossy(head).into_owned();
    if !head.contains("content-encoding: gzip") {
        return head + &String::from_utf8_lossy(body);
    }
    let mut text = String::new();
    flate2::read::GzDecoder::new(body).read_to_string(&mut text).unwrap();
    head + &text
}

fn request(method: &str, target: &str, headers: &[&str]) -> String {
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    format!("{method} {target} HTTP/1.1\r\nconnection: close\r\n{headers}\r\n")
}

fn get(at: SocketAddr, target: &str) -> String {
    ask(at, &request("GET", target, &["host: localhost"]))
}

#[track_caller]
fn assert_status(answer: &str, status: u16) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "not {status}: {answer}");
}

#[test]
fn everybody_here_may_look_and_who_has_the_token_may_steer() {
    let horust = web("web-server = \"127.0.0.1:0\"").service("a", SLEEPER).start();
    let at = address(&horust, "the page");
    let page = get(at, "/");
    assert_status(&page, 200);
    for header in [
        "content-type: text/html; charset=utf-8",
        "content-security-policy: default-src 'none'; script-src 'self'",
        "x-content-type-options: nosniff",
        "x-frame-options: DENY",
        "referrer-policy: no-referrer",
        "cache-control: no-store",
    ] {
        assert!(page.contains(header), "{header}: {page}");
    }
    assert!(page.contains("<title>Horust"), "{page}");
    horust.wait_until("a runs", |_| get(at, "/v1/services/a").contains(r#""state":"Running""#));
    // Nobody else may read the token, and a wrong one is as good as none.
    let file = horust.dir().join(format!("run/horust-{}.token", horust.pid()));
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let token = token(&horust);
    assert_eq!(token.len(), 48);
    let restart = |header: &str| ask(at, &request("POST", "/v1/services/a/restart", &["host: localhost", header]));
    let refused = restart("x: y");
    assert_status(&refused, 401);
    assert!(refused.contains("www-authenticate: Bearer") && refused.contains("this needs the token"), "{refused}");
    for wrong in ["", "Bearer", "Bearer ", &format!("Bearer {token}x"), &format!("Bearer {}", &token[1..]), &token] {
        assert_status(&restart(&format!("authorization: {wrong}")), 401);
    }
    assert!(get(at, "/v1/services/a").contains(r#""starts":1"#));
    // What is wrong with a service file is told with its line, where a secret may stand.
    assert_status(&get(at, "/v1/plan"), 401);
    assert_status(
        &ask(at, &request("GET", "/v1/plan", &["host: localhost", &format!("authorization: Bearer {token}")])),
        200,
    );
    assert_status(&restart(&format!("authorization: Bearer {token}")), 200);
    horust.wait_until("a runs again", |_| get(at, "/v1/services/a").contains(r#""starts":2"#));
    // What a page needs to know of its own rights.
    let access = |header: &str| ask(at, &request("GET", "/v1/access", &["host: localhost", header]));
    assert!(access("x: y").contains(r#"{"reading":true,"writing":false,"token_at":""#), "{}", access("x: y"));
    let all = access(&format!("Authorization: bearer {token}"));
    assert!(all.contains(r#""writing":true"#), "{all}");
    let (done, _) = horust.stop(Signal::SIGTERM);
    done.assert_code(0);
    assert!(!file.exists(), "the token is left behind");
}

/// A stream of server-sent events: the name and the data of each.
struct Events(BufReader<TcpStream>);

impl Events {
    fn open(at: SocketAddr, target: &str) -> Events {
        let mut stream = TcpStream::connect(at).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream.write_all(format!("GET {target} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes()).unwrap();
        Events(BufReader::new(stream))
    }

    /// The next one of this name that is so.
    #[track_caller]
    fn wait_for(&mut self, name: &str, so: impl Fn(&Value) -> bool) -> Value {
        let (mut line, mut event) = (String::new(), String::new());
        loop {
            line.clear();
            assert_ne!(self.0.read_line(&mut line).unwrap(), 0, "the stream has ended");
            if let Some(name) = line.strip_prefix("event: ") {
                event = name.trim_end().to_owned();
            }
            if let Some(data) = line.strip_prefix("data: ").filter(|_| event == name) {
                let data = serde_json::from_str(data).unwrap();
                if so(&data) {
                    return data;
                }
            }
        }
    }
}

/// Who watches services is told of all of them, of each change, of what they use, and of those that a reload brings.
#[test]
fn services_can_be_watched() {
    let set = web("web-server = \"127.0.0.1:0\"").service("a", SLEEPER);
    let horust = set.service("b", "command = \"sleep 1000\"\nautostart = false").start();
    let at = address(&horust, "the page");
    let bearer = format!("authorization: Bearer {}", token(&horust));
    let act = |what: &str| assert_status(&ask(at, &request("POST", what, &["host: localhost", &bearer])), 200);
    let mut all = Events::open(at, "/v1/services?follow=true");
    let names = |list: &Value| -> Vec<String> {
        list["services"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&all.wait_for("services", |_| true)), ["a", "b"]);
    let mut some = Events::open(at, "/v1/services?follow=true&names=b");
    assert_eq!(names(&some.wait_for("services", |_| true)), ["b"]);
    all.wait_for("usage", |told| told["usage"]["a"]["processes"] == 1 && told["usage"].get("b").is_none());
    act("/v1/services/b/start");
    let changed = all.wait_for("changed", |told| told["services"][0]["state"] == "Running");
    assert_eq!(names(&changed), ["b"]);
    some.wait_for("changed", |told| told["services"][0]["state"] == "Running");
    std::fs::write(horust.dir().join("services/c.toml"), SLEEPER).unwrap();
    act("/v1/reload");
    all.wait_for("services", |list| names(list) == ["a", "b", "c"]);
    some.wait_for("services", |list| names(list) == ["b"]);
    assert!(get(at, "/v1/services?follow=true&names=x").contains("there is no service `x`"));
}

/// A page of somebody else whose name is made to lead here (DNS rebinding), or that sends requests here (CSRF).
#[test]
fn requests_that_other_sites_cause_are_refused() {
    let set = web("web-server = \"127.0.0.1:0\"\n[control]\nhosts = [\"services.example\"]").service("a", SLEEPER);
    let horust = set.start();
    let at = address(&horust, "the page");
    let bearer = format!("authorization: Bearer {}", token(&horust));
    let port = at.port();
    let host = format!("host: localhost:{port}");
    let own = format!("origin: http://localhost:{port}");
    let list = |headers: &[&str]| ask(at, &request("GET", "/v1/services", headers));
    for good in ["127.0.0.1", "[::1]:80", "LOCALHOST:1", "services.example", "Services.Example:8080", "10.1.2.3"] {
        assert_status(&list(&[&format!("host: {good}")]), 200);
    }
    for bad in
        ["evil.example", "localhost.evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost.", "@"]
    {
        let answer = list(&[&format!("host: {bad}"), &bearer]);
        assert_status(&answer, 421);
        assert!(answer.contains("is no name of this Horust"), "{answer}");
    }
    assert_status(&list(&[]), 400);
    assert_status(&list(&["host: localhost", "host: localhost"]), 400);
    assert_status(&ask(at, &request("GET", "http://evil.example/v1/services", &[&host])), 421);
    // What the browser says about who asks.
    for bad in [
        "origin: http://evil.example",
        "origin: null",
        "origin: http://localhost:1",
        "sec-fetch-site: cross-site",
        "sec-fetch-site: same-site",
    ] {
        for (method, target) in [("GET", "/v1/services"), ("GET", "/metrics"), ("POST", "/v1/services/a/stop")] {
            assert_status(&ask(at, &request(method, target, &[&host, bad, &bearer])), 403);
        }
    }
    for good in [vec![host.as_str(), &own, "sec-fetch-site: same-origin"], vec![&host, "sec-fetch-site: none"]] {
        assert_status(&list(&good), 200);
    }
    // A link leads to the page, and to nothing else; no other site may read or preflight anything.
    let link = ["sec-fetch-site: cross-site", "sec-fetch-mode: navigate"];
    assert_status(&ask(at, &request("GET", "/", &[&host, link[0], link[1]])), 200);
    assert_status(&ask(at, &request("GET", "/v1/services", &[&host, link[0], link[1]])), 403);
    let preflight = ask(at, &request("OPTIONS", "/v1/services/a/stop", &[&host, "origin: http://evil.example"]));
    assert_status(&preflight, 403);
    assert!(!list(&[&host]).contains("access-control-"));
    assert!(get(at, "/v1/services/a").contains(r#""wanted":true"#));
}

#[test]
fn where_others_can_reach_it_reading_needs_the_token_too() {
    let settings = "web-server = \"0.0.0.0:0\"\n[control]\ntoken-for-reading = true\ntoken-file = \"@DIR@/secret\"\n\
                    metrics = \"0.0.0.0:0\"\n";
    let horust = web(settings).file("secret", "a-secret-of-20-bytes\n").service("a", SLEEPER).start();
    let bearer = "authorization: Bearer a-secret-of-20-bytes";
    let local = |what| SocketAddr::from(([127, 0, 0, 1], address(&horust, what).port()));
    let (page, metrics) = (local("the page"), local("metrics"));
    for (at, public, guarded) in [
        (
            page,
            vec!["/", "/page.js", "/style.css", "/icon.svg", "/livez", "/v1/access"],
            vec!["/v1/services", "/metrics"],
        ),
        (metrics, vec!["/livez", "/startupz"], vec!["/metrics"]),
    ] {
        for path in public {
            assert_status(&get(at, path), 200);
        }
        for path in guarded {
            assert_status(&get(at, path), 401);
            assert_status(&ask(at, &request("GET", path, &["host: localhost", bearer])), 200);
        }
    }
    assert!(get(page, "/v1/access").contains(r#"{"reading":false,"writing":false,"token_at":""#));
    // Who scrapes comes by the name of the container.
    assert_status(&ask(metrics, &request("GET", "/metrics", &["host: pod-7.example:9090", bearer])), 200);
    assert!(!horust.dir().join(format!("run/horust-{}.token", horust.pid())).exists());
}

#[test]
fn monitors_have_an_address_with_nothing_else() {
    let set = web("[control]\nmetrics = \"127.0.0.1:0\"\nsocket = false");
    let horust = set.service("a", SLEEPER).start();
    let at = address(&horust, "metrics");
    for path in ["/metrics", "/livez", "/startupz"] {
        horust.wait_until(path, |_| get(at, path).starts_with("HTTP/1.1 200 "));
    }
    for path in ["/", "/v1/services", "/v1/access", "/page.js"] {
        assert_status(&get(at, path), 404);
    }
    assert_status(&ask(at, &request("POST", "/v1/shutdown", &["host: localhost"])), 403);
    assert_status(&ask(at, &request("GET", "/metrics", &["host: evil.example"])), 421);
}

#[test]
fn what_cannot_be_had_is_told_and_everything_runs() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let settings = format!("web-server = \"127.0.0.1:{port}\"\n[control]\ntoken-file = \"@DIR@/short\"");
    let horust = web(&settings).file("short", "short").bash("a", "echo up; exec sleep 1000", "").start();
    horust.wait_for("up");
    for why in [
        format!("no page at 127.0.0.1:{port}: Address already in use"),
        "short: it has fewer than 16 characters".to_owned(),
    ] {
        horust.wait_until(&why, |horust| horust.stderr().contains(&why));
    }
    drop(horust);
    // Without any token the page shows what there is, and says why nothing can be done.
    let horust =
        web("web-server = \"127.0.0.1:0\"\n[control]\ntoken-file = \"@DIR@/none\"").service("a", SLEEPER).start();
    let at = address(&horust, "the page");
    assert_status(&get(at, "/v1/services"), 200);
    let answer = ask(at, &request("POST", "/v1/services/a/stop", &["host: localhost", "authorization: Bearer "]));
    assert_status(&answer, 403);
    assert!(answer.contains("there is no token"), "{answer}");
    // And where reading needs one, there is no page at all.
    let settings = "web-server = \"127.0.0.1:0\"\n[control]\ntoken-file = \"@DIR@/none\"\ntoken-for-reading = true";
    let horust = web(settings).bash("a", "echo up; exec sleep 1000", "").start();
    horust.wait_for("up");
    assert!(horust.stderr().contains("no page at 127.0.0.1:0: reading needs a token"), "{}", horust.stderr());
}

/// The page shows the output of all services, so it is captured; and it still goes where it went.
#[test]
fn output_is_captured_for_the_page() {
    let set = web("web-server = \"127.0.0.1:0\"");
    let set = set.bash("a", "[ -p /dev/stdout ] && echo piped; exec sleep 1000", "");
    set.start().wait_for("piped");
    let set = horust().bash("a", "[ -p /dev/stdout ] || echo straight; exec sleep 1000", "");
    set.start().wait_for("straight");
}

#[test]
fn who_runs_the_container_learns_how_far_it_is() {
    let set = web("[control]\nmetrics = \"127.0.0.1:0\"");
    let set = set.bash(
        "a",
        "until [ -e go ]; do sleep 0.02; done; touch ready; while [ -e go ]; do sleep 0.02; done; exit 3",
        "[readiness]\nfile-path = \"@DIR@/ready\"\ninterval = \"20ms\"",
    );
    let set = set.service("stays", SLEEPER);
    let horust = set
        .service("once", "command = \"true\"\nkind = \"oneshot\"")
        .service("off", "command = \"x\"\nautostart = false")
        .start();
    let at = address(&horust, "metrics");
    let status = |path: &str| -> String { get(at, path).split(' ').nth(1).unwrap_or_default().to_owned() };
    let all = || ["/livez", "/readyz", "/startupz"].map(status);
    assert_eq!(all(), ["200", "503", "503"]);
    std::fs::write(horust.dir().join("go"), "").unwrap();
    horust.wait_until("all is well", |_| all() == ["200", "200", "200"]);
    std::fs::remove_file(horust.dir().join("go")).unwrap();
    horust.wait_until("a has given up, but has been up once", |_| all() == ["200", "503", "200"]);
}

/// The figures of one series, by its name and labels as they stand.
fn figure(text: &str, series: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {series} in {text}")).parse().unwrap()
}

/// What a series is about: its metric and kind, whichever service it is of.
fn about(series: &str) -> String {
    let (name, labels) = series.trim_end_matches('}').split_once('{').unwrap_or((series, ""));
    let name = ["_bucket", "_count", "_sum"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
    let kind = labels.split(',').find(|label| label.starts_with("kind=") || label.starts_with("why="));
    format!("{name} {}", kind.unwrap_or_default())
}

/// What the samples are about.
fn sampled(text: &str) -> BTreeSet<String> {
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples.map(|line| about(line.rsplit_once(' ').unwrap().0)).collect()
}

/// The metrics that are declared.
fn declared(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
}

/// Services to which all happens that is counted.
fn eventful() -> Builder {
    let worker = "trap 'exit 0' TERM; if [ -e stray ]; then (setsid sleep 0.01 &) ; fi; \
                  for i in $(seq 30); do echo line $i; done; while :; do sleep 0.05 & wait; done";
    // Reads what Horust says until it is told not to.
    let reader = "while IFS= read -r line && [ ! -e deaf ]; do printf '%s\\n' \"$line\" >&2; done; exec sleep 1000";
    let set = web("web-server = \"127.0.0.1:0\"").bash(
        "web",
        worker,
        "[healthiness]\ncommand = [\"test\", \"!\", \"-e\", \"@DIR@/sick\"]\ninterval = \"20ms\"\non-unhealthy = \"report\"\n\
         [log]\nrate-limit = \"10/h\"",
    );
    let set = set.wrapper(&["bash", "-c", &format!("exec \"$@\" 2> >({reader})"), "bash"]);
    let set = set.bash("fails", "exit 3", "autostart = false").bash("dies", "kill -9 $$", "autostart = false");
    let set = set.service("missing", "command = \"/no/such/program\"\nautostart = false");
    let talk = "command = \"/no/such/program\"\nautostart = false\n[restart]\nattempts = 1000000\nbackoff = \"1ms\"";
    let set = (0..40).fold(set, |set, n| set.service(&format!("talked-of-{n}"), talk));
    let set = set.bash(
        "hog",
        &crate::cgroup::with_memory(40, "read -r _ < <(sleep 1000)"),
        "autostart = false\n[resource-limit]\nmemory = \"16MiB\"",
    );
    set.bash(
        "full",
        "for i in 1 2 3; do echo x; done; sleep 1000",
        "stdout = \"/dev/full\"\nautostart = false\n[log]\ncapture = true",
    )
    .file("stray", "")
}

/// Each metric that there is moves when what it counts happens, and Prometheus' own parser can read all of it.
#[test]
fn metrics_move() {
    let horust = eventful().start();
    let at = address(&horust, "the page");
    let bearer = format!("authorization: Bearer {}", token(&horust));
    let act = |what: &str| assert_status(&ask(at, &request("POST", what, &["host: localhost", &bearer])), 200);
    let scrape = || get(at, "/metrics").split_once("\r\n\r\n").unwrap().1.to_owned();
    let seen = RefCell::new(BTreeSet::new());
    let read = |series: &str| {
        seen.borrow_mut().insert(about(series));
        figure(&scrape(), series)
    };
    let wait = |series: &str, at_least: f64| {
        horust.wait_until(&format!("{series} is {at_least} or more"), |_| read(series) >= at_least);
    };
    let answer = get(at, "/metrics");
    assert!(answer.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"), "{answer}");
    assert_eq!(read("horust_services"), 46.0);
    assert_eq!(read(&format!("horust_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"))), 1.0);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    assert!((read("horust_start_time_seconds") - now).abs() < 600.0);
    let state = |state: &str| format!("horust_service_state{{service=\"web\",horust_service_state=\"{state}\"}}");
    wait(&state("Running"), 1.0);
    assert_eq!(read(&state("Initial")), 0.0);
    wait("horust_service_healthy{service=\"web\"}", 1.0);
    wait("horust_service_start_duration_seconds{service=\"web\"}", 1e-6);
    wait("horust_service_probe_duration_seconds_count{service=\"web\"}", 3.0);
    wait("horust_service_processes{service=\"web\"}", 1.0);
    wait("horust_service_memory_bytes{service=\"web\"}", 100_000.0);
    wait("horust_service_cpu_seconds_total{service=\"web\"}", 0.01);
    wait("horust_output_dropped_lines_total{why=\"rate-limit\"}", 20.0);
    wait("horust_orphans_reaped_total", 1.0);
    std::fs::write(horust.dir().join("sick"), "").unwrap();
    wait("horust_service_probe_failures_total{service=\"web\"}", 1.0);
    horust.wait_until("it is not healthy", |_| read("horust_service_healthy{service=\"web\"}") == 0.0);
    assert_eq!(read("horust_service_wanted{service=\"fails\"}"), 0.0);
    act("/v1/start?names=fails,dies,missing,full,hog");
    let exits = |name: &str, kind: &str| format!("horust_service_exits_total{{service=\"{name}\",kind=\"{kind}\"}}");
    wait(&exits("fails", "code"), 1.0);
    wait(&exits("dies", "signal"), 1.0);
    wait(&exits("missing", "spawn"), 1.0);
    wait(&exits("hog", "oom"), 1.0);
    wait("horust_output_dropped_lines_total{why=\"refused\"}", 3.0);
    assert_eq!(read("horust_service_wanted{service=\"full\"}"), 1.0);
    std::fs::remove_file(horust.dir().join("sick")).unwrap();
    act("/v1/services/web/restart");
    wait(&exits("web", "success"), 1.0);
    wait("horust_service_restarts_total{service=\"web\"}", 1.0);
    let steps = read("horust_step_duration_seconds_count");
    wait("horust_step_duration_seconds_count", steps + 1.0);
    assert_eq!(read("horust_messages_dropped_total"), 0.0);
    std::fs::write(horust.dir().join("deaf"), "").unwrap();
    act("/v1/start?names=talked-of-*");
    wait("horust_messages_dropped_total", 1.0);
    // None is declared that was not looked at above, or that has no sample ever.
    let mut text = String::new();
    horust.wait_until("all have samples, which some have only while a service is ready", |h| {
        text = ok(&verb(h, &["metrics"]));
        let sampled = sampled(&text);
        declared(&text).all(|metric| sampled.iter().any(|one| one.starts_with(metric)))
    });
    assert_eq!(sampled(&text).difference(&seen.borrow()).collect::<Vec<_>>(), Vec::<&String>::new());
    assert_eq!(figure(&text, "horust_services"), 46.0);
    parsed(&text);
}

/// Has the parser of Prometheus' own Python library read it (Debian's python3-prometheus-client).
fn parsed(text: &str) {
    let script = "import sys\n\
                  from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse\n\
                  print(sum(len(family.samples) for family in parse(sys.stdin.read())))";
    let python = || Command::new("/usr/bin/python3");
    if !python().args(["-c", "import prometheus_client"]).output().is_ok_and(|out| out.status.success()) {
        return skip("needs python3-prometheus-client");
    }
    let mut child = python();
    let child = child.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = child.spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}\n{text}", String::from_utf8_lossy(&output.stderr));
    let samples: usize = String::from_utf8_lossy(&output.stdout).trim().parse().unwrap();
    assert_eq!(samples, text.lines().filter(|line| !line.starts_with('#')).count());
}
