//! The OpenAPI document is held against a running Horust: each path is asked, for each status that it can have here, and
//! each answer has to be as the document says. The examples for curl in the docs are run, and there is one for each path.

use crate::control::{controlled, socket};
use crate::support::*;
use crate::web;
use nix::sys::signal::Signal;
use reqwest::Method;
use reqwest::blocking::{Client, Response};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};

/// What the document says, and what of it has been seen.
struct Document {
    all: Value,
    /// Its components, where objects have no properties that are not listed.
    strict: Value,
    seen: BTreeSet<String>,
}

impl Document {
    fn read() -> Document {
        let text = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/src/control/openapi.json")).unwrap();
        let all: Value = serde_json::from_slice(&text).unwrap();
        let mut strict = all["components"].clone();
        for schema in strict["schemas"].as_object_mut().unwrap().values_mut() {
            if schema.get("properties").is_some() {
                schema["additionalProperties"] = json!(false);
            }
        }
        Document { all, strict, seen: BTreeSet::new() }
    }

    /// The paths with their methods, as in `GET /v1/services/{name}`.
    fn operations(&self) -> Vec<(String, &Value)> {
        let paths = self.all["paths"].as_object().unwrap();
        let mut all = Vec::new();
        for (path, methods) in paths {
            for (method, what) in methods.as_object().unwrap() {
                all.push((format!("{} {path}", method.to_uppercase()), what));
            }
        }
        all
    }

    /// The operation that a request is for; a literal path comes before one with a name in it.
    fn operation(&self, method: &str, target: &str) -> Option<(String, Value)> {
        let path = target.split('?').next().unwrap();
        let fits = |template: &str| {
            let (template, path): (Vec<&str>, Vec<&str>) = (template.split('/').collect(), path.split('/').collect());
            template.len() == path.len() && template.iter().zip(path).all(|(a, b)| *a == b || a.starts_with('{'))
        };
        let all = self.operations();
        let mut fitting =
            all.iter().filter(|(name, _)| name.split_once(' ').is_some_and(|(m, t)| m == method && fits(t)));
        let best = fitting.clone().find(|(name, _)| !name.contains('{')).or_else(|| fitting.next());
        best.map(|(name, what)| (name.clone(), (*what).clone()))
    }

    #[track_caller]
    fn check(&self, schema: &Value, body: &Value) {
        let mut schema = schema.clone();
        schema["components"] = self.strict.clone();
        let validator = jsonschema::draft202012::options().should_validate_formats(true).build(&schema).unwrap();
        let errors: Vec<String> = validator.iter_errors(body).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(errors.is_empty(), "{errors:?} in {body:#}");
    }

    /// What the document says about this answer, with its references followed.
    #[track_caller]
    fn content(&mut self, method: &str, target: &str, answer: &Response) -> Value {
        let status = answer.status().as_str().to_owned();
        // What is no path at all is answered as everything else that goes wrong.
        let told = self.operation(method, target).or_else(|| self.operation("GET", "/v1/horust"));
        let (name, operation) = told.unwrap();
        let responses = &operation["responses"];
        let mut response = match responses.get(&status) {
            Some(response) => {
                self.seen.insert(format!("{name} {status}"));
                response
            }
            None => &responses["default"],
        };
        if let Some(at) = response["$ref"].as_str() {
            response = self.all.pointer(at.strip_prefix('#').unwrap()).unwrap();
        }
        let kind = answer.headers()["content-type"].to_str().unwrap().split(';').next().unwrap();
        let content = response["content"].get(kind);
        content.unwrap_or_else(|| panic!("{kind} with {status} is not told of: {method} {target}")).clone()
    }
}

/// Asks, and holds the answer against the document.
struct Asker {
    http: Client,
    document: Document,
}

impl Asker {
    fn new(socket: &Path) -> Asker {
        let http = Client::builder().unix_socket(socket).no_proxy().http1_only().timeout(LONG).build().unwrap();
        Asker { http, document: Document::read() }
    }

    fn send(&self, method: &str, target: &str) -> Response {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        self.http.request(method, format!("http://horust{target}")).send().unwrap()
    }

    #[track_caller]
    fn ask(&mut self, method: &str, target: &str, status: u16) -> Value {
        let answer = self.send(method, target);
        assert_eq!(answer.status(), status, "{method} {target}: {}", answer.text().unwrap());
        self.hold(method, target, answer)
    }

    #[track_caller]
    fn hold(&mut self, method: &str, target: &str, answer: Response) -> Value {
        let content = self.document.content(method, target, &answer);
        let is_json = answer.headers()["content-type"].to_str().unwrap().ends_with("json");
        let compressed = answer.headers().contains_key("content-encoding");
        let mut body = answer.bytes().unwrap().to_vec();
        if compressed {
            let zipped = std::mem::take(&mut body);
            flate2::read::GzDecoder::new(zipped.as_slice()).read_to_end(&mut body).unwrap();
        }
        let body = match is_json {
            true => serde_json::from_slice(&body).unwrap(),
            false => Value::String(String::from_utf8(body).unwrap()),
        };
        self.document.check(&content["schema"], &body);
        body
    }

    /// Follows a stream until each of these has come.
    #[track_caller]
    fn follow(&mut self, target: &str, kinds: &[&str], act: impl FnOnce()) {
        let answer = self.send("GET", target);
        let content = self.document.content("GET", target, &answer);
        act();
        let mut missing: BTreeSet<&str> = kinds.iter().copied().collect();
        let mut kind = String::new();
        let mut lines = BufReader::new(answer).lines();
        while !missing.is_empty() {
            let line = lines.next().unwrap_or_else(|| panic!("{target} ends before {missing:?}")).unwrap();
            match line.split_once(": ") {
                Some(("event", name)) => kind = name.to_owned(),
                Some(("data", data)) => {
                    let schema = content["x-events"].get(&kind).unwrap_or_else(|| panic!("no {kind} in {target}"));
                    self.document.check(schema, &serde_json::from_str(data).unwrap());
                    missing.remove(kind.as_str());
                    self.document.seen.insert(format!("{} {kind}", target.split('?').next().unwrap()));
                }
                _ => {}
            }
        }
    }
}

/// Services of all kinds; `app` waits for `gate`, and that for a file.
fn services(set: Builder) -> Builder {
    let gate = "[readiness]\ncommand = \"test -e @DIR@/go\"\ninterval = \"20ms\"\n";
    let captured = "[log]\ncapture = true\n";
    let slow = "trap 'until [ -e @DIR@/end ]; do sleep 0.01; done; exit 0' TERM\nwhile :; do sleep 1000 & wait; done";
    set.bash("gate", "exec sleep 1000", gate)
        .bash("app", "exec sleep 1000", "start-after = [\"gate\"]")
        .bash("web", "printf 'hello\\nx\\xffy\\n'; while :; do echo beat; sleep 0.05; done", captured)
        .bash("db", "exec sleep 1000", "[healthiness]\ncommand = \"true\"\ninterval = \"50ms\"\n")
        .bash("slow", slow, "[termination]\nwait = \"60s\"\n")
}

#[test]
fn all_answers_are_as_the_document_says() {
    let horust = services(controlled()).bash("fails", "exit 3", "autostart = false").start();
    let mut api = Asker::new(&socket(&horust));
    let change = |name: &str, text: &str| std::fs::write(horust.dir().join(name), text).unwrap();

    assert_eq!(api.ask("GET", "/v1/openapi.json", 200), api.document.all);
    api.ask("GET", "/v1/access", 200);
    api.ask("GET", "/v1/horust", 200);
    api.ask("GET", "/livez", 200);
    api.ask("GET", "/metrics", 200);
    // `gate` is not ready yet.
    api.ask("GET", "/v1/wait?names=gate&for=running", 200);
    api.ask("GET", "/readyz", 503);
    api.ask("GET", "/startupz", 503);
    api.ask("GET", "/v1/health", 503);
    api.ask("GET", "/v1/wait?names=gate&timeout_ms=1", 504);
    let why = api.ask("GET", "/v1/services/app/why", 200);
    assert_eq!(why["chain"].as_array().map(Vec::len), Some(2), "{why:#}");
    api.ask("GET", "/v1/why", 200);
    api.ask("GET", "/v1/timeline", 200);
    api.ask("GET", "/v1/journal", 200);
    change("go", "");
    api.ask("GET", "/v1/wait?names=web&for=healthy", 409);
    api.ask("GET", "/v1/wait?names=gate,app,web,slow", 200);
    api.ask("GET", "/v1/wait?names=db&for=healthy", 200);
    api.ask("GET", "/readyz", 200);
    api.ask("GET", "/startupz", 200);
    api.ask("GET", "/v1/health", 200);
    api.ask("GET", "/v1/timeline", 200);
    api.ask("GET", "/v1/graph", 200);

    api.ask("POST", "/v1/services/db/stop", 200);
    api.ask("POST", "/v1/services/db/start", 200);
    api.ask("POST", "/v1/services/db/restart", 200);
    api.ask("POST", "/v1/services/db/signal?signal=CONT", 200);
    api.ask("POST", "/v1/stop?names=app", 200);
    api.ask("POST", "/v1/start?names=app,fails", 200);
    api.ask("POST", "/v1/restart?names=a*", 200);
    api.ask("POST", "/v1/signal?names=*&signal=CONT", 200);
    api.ask("GET", "/v1/wait?names=fails&for=failed", 200);
    api.ask("GET", "/v1/health", 503);
    let fails = api.ask("GET", "/v1/services/fails", 200);
    assert_eq!(fails["last_exit"]["code"], 3);
    let web = api.ask("GET", "/v1/services?names=web", 200);
    assert!(web["services"][0]["usage"]["processes"].as_u64() > Some(0), "{web:#}");
    api.ask("GET", "/v1/events", 200);
    horust.wait_until("a line is no UTF-8", |_| {
        let logs = api.ask("GET", "/v1/logs?names=web,db", 200);
        logs["lines"].as_array().unwrap().iter().any(|line| line["escaped"] == true && !logs["notes"][0].is_null())
    });
    api.ask("GET", "/v1/logs?names=db", 409);
    let restart = || drop(http_post(&horust, "/v1/services/app/restart"));
    api.follow("/v1/services?follow=true", &["services", "changed", "usage"], restart);
    api.follow("/v1/events?follow=true", &["event"], || {});
    api.follow("/v1/logs?follow=true&names=web,db", &["log", "note"], || {});

    change("services/db.toml", "command = \"sleep 1001\"\n");
    change("services/new.toml", "command = \"sleep 1000\"\n[restart]\nstrategy = \"on-failure\"\nattempts = 0\n");
    api.ask("POST", "/v1/reload?dry_run=true", 200);
    let plan = api.ask("GET", "/v1/plan", 200);
    assert_eq!((&plan["added"][0], &plan["changed"][0]["restart"]), (&"new".into(), &true.into()), "{plan:#}");
    change("services/new.toml", "command = \"sleep 1000\"\nname = \"db\"\nno-such-key = 1\n");
    let bad = api.ask("GET", "/v1/plan", 422);
    assert!(bad["errors"].as_array().unwrap().len() > 1 && bad["errors"].to_string().contains("\"text\""), "{bad:#}");
    api.ask("POST", "/v1/reload", 422);
    std::fs::remove_file(horust.dir().join("services/new.toml")).unwrap();
    api.ask("POST", "/v1/reload", 200);

    // What makes no sense, or is not there.
    for target in
        ["/v1/services?names=x", "/v1/services/x", "/v1/services/x/why", "/v1/wait?names=x", "/v1/why?names=x"]
    {
        api.ask("GET", target, 404);
    }
    for target in ["/v1/logs?names=x", "/v1/events?names=x", "/v2/services", "/v1/", "/metrics/x"] {
        api.ask("GET", target, 404);
    }
    for verb in ["start", "stop", "restart", "signal"] {
        api.ask("POST", &format!("/v1/{verb}?names=x&signal=HUP"), 404);
        api.ask("POST", &format!("/v1/services/x/{verb}?signal=HUP"), 404);
        api.ask("POST", &format!("/v1/{verb}?signal=HUP"), 400);
    }
    api.ask("POST", "/v1/services/web/dance", 404);
    for (method, target) in [
        ("GET", "/v1/services/%ff"),
        ("GET", "/v1/services/%ff/why"),
        ("POST", "/v1/services/%ff/start"),
        ("GET", "/v1/services?colour=red"),
        ("GET", "/v1/wait?for=fun"),
        ("GET", "/v1/wait?timeout_ms=-1"),
        ("GET", "/v1/logs?since=yore"),
        ("GET", "/v1/events?since=x"),
        ("POST", "/v1/services/web/signal?signal=NOPE"),
        ("POST", "/v1/reload?dry_run=maybe"),
    ] {
        api.ask(method, target, 400);
    }
    for (name, _) in Document::read().operations() {
        let (method, path) = name.split_once(' ').unwrap();
        let target = path.replace("{name}", "web").replace("{verb}", "start");
        api.ask(if method == "GET" { "POST" } else { "PUT" }, &target, 405);
    }

    // On its way out.
    api.ask("POST", "/v1/shutdown", 200);
    for target in ["/v1/start?names=web", "/v1/restart?names=web", "/v1/services/web/start", "/v1/reload"] {
        api.ask("POST", target, 409);
    }
    api.ask("GET", "/v1/plan", 409);
    change("end", "");
    let mut told = BTreeSet::new();
    for (name, operation) in api.document.operations() {
        let responses = operation["responses"].as_object().unwrap();
        told.extend(responses.keys().filter(|code| *code != "default").map(|code| format!("{name} {code}")));
        let kinds = operation["responses"]["200"]["content"]["text/event-stream"]["x-events"].as_object();
        let path = name.split(' ').next_back().unwrap();
        told.extend(kinds.into_iter().flat_map(|kinds| kinds.keys()).map(|kind| format!("{path} {kind}")));
    }
    // Of a thread that hangs, and of somebody who is thousands of events behind.
    for rare in ["GET /livez 503", "/v1/events note"] {
        assert!(told.remove(rare), "{rare}");
    }
    let missing: Vec<&String> = told.difference(&api.document.seen).collect();
    assert!(missing.is_empty(), "told of, but not seen: {missing:?}");
    horust.end().assert_code(0);
}

fn http_post(horust: &Horust, target: &str) -> String {
    crate::control::http(&socket(horust), "POST", target)
}

#[test]
fn refusals_at_the_web_address_are_as_the_document_says() {
    let horust = web::web("web-server = \"127.0.0.1:0\"").service("a", "command = \"sleep 1000\"\n").start();
    let at = web::address(&horust, "the page");
    let mut api = Asker::new(Path::new("/"));
    api.http = Client::builder().no_proxy().http1_only().timeout(LONG).build().unwrap();
    for (method, target, header, status) in [
        ("GET", "/v1/horust", ("x", "y"), 200),
        ("GET", "/v1/openapi.json", ("x", "y"), 200),
        ("GET", "/v1/access", ("x", "y"), 200),
        ("POST", "/v1/shutdown", ("x", "y"), 401),
        ("GET", "/v1/plan", ("authorization", "Bearer x"), 401),
        ("GET", "/v1/horust", ("origin", "http://evil.example"), 403),
        ("GET", "/v1/horust", ("host", "evil.example"), 421),
    ] {
        let request = api.http.request(Method::from_bytes(method.as_bytes()).unwrap(), format!("http://{at}{target}"));
        let answer = request.header(header.0, header.1).send().unwrap();
        assert_eq!(answer.status(), status, "{target}");
        api.hold(method, target, answer);
    }
    horust.stop(Signal::SIGTERM).0.assert_code(0);
}

/// Each example is run in a shell as it stands there, but for the place of the socket and the port.
#[test]
fn the_examples_for_curl_work() {
    if Command::new("curl").arg("--version").output().is_err() {
        return skip("needs curl");
    }
    let set = services(controlled()).file("go", "").file("end", "").env("HORUST_LOG", "info");
    let set = set.file("horust.toml", "web-server = \"127.0.0.1:0\"").arg("--config-path").arg("@DIR@/horust.toml");
    let horust = set.start();
    let (path, port) = (socket(&horust), web::address(&horust, "the page").port());
    let document = Document::read();
    let mut missing: BTreeSet<String> = document.operations().into_iter().map(|(name, _)| name).collect();
    let read = |name: &str| std::fs::read_to_string(format!("{}/docs/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    // The last one of those that use the socket ends Horust.
    let docs = read("web.md") + &read("control.md");
    let api = Asker::new(&path);
    for example in docs.lines().map(str::trim).filter(|line| line.starts_with("curl ")) {
        // The example before has changed something; one has stopped what this waits for, which ends the wait.
        for what in ["names=gate,app,web,db,slow", "names=db&for=healthy"] {
            api.send("GET", &format!("/v1/wait?{what}"));
        }
        let line = example.replace("curl ", "exec curl -sSf --max-time 60 ");
        let line = line.replace("localhost:8080", &format!("localhost:{port}"));
        let mut bash = Command::new("bash");
        bash.args(["-c", &line]).env("sock", &path).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = bash.spawn().unwrap();
        let mut answer = String::new();
        if example.contains("follow=true") {
            let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
            answer = lines.find_map(|line| Some(line.unwrap()).filter(|line| line.starts_with("data: "))).unwrap();
            child.kill().unwrap();
            child.wait().unwrap();
        } else {
            child.stdout.take().unwrap().read_to_string(&mut answer).unwrap();
            assert!(child.wait().unwrap().success(), "{example}");
        }
        assert!(!answer.is_empty(), "{example}");
        let target = example.split_once("http://horust").or_else(|| example.split_once("http://localhost:8080"));
        let (_, target) = target.unwrap_or_else(|| panic!("{example}"));
        let target = target.split(['\'', ' ']).next().unwrap();
        let method = if example.contains("-X POST") { "POST" } else { "GET" };
        let (name, _) = document.operation(method, target).unwrap_or_else(|| panic!("{example}"));
        missing.remove(&name);
    }
    assert!(missing.is_empty(), "no example for {missing:?}");
    horust.end().assert_code(0);
}
