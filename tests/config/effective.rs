//! `horust check --effective`: what it prints is the same service again.

use super::support::{Set, environment, one, root};
use horust::config::{Loaded, Options, effective, load, sample_service};
use horust::model::{Origin, ServiceSpec};
use std::ffi::OsString;
use std::path::PathBuf;

fn without_origin(loaded: &Loaded) -> Vec<ServiceSpec> {
    let specs = loaded.plan.services.iter().map(|spec| ServiceSpec { origin: Origin::default(), ..(**spec).clone() });
    specs.collect()
}

/// Prints all services, loads the pages, and compares.
#[track_caller]
pub fn assert_loads_again(loaded: &Loaded, env: &dyn Fn(&str) -> Option<OsString>) {
    assert!(!loaded.refused && !loaded.plan.services.is_empty());
    let again = Set::new(&[]);
    let mut paths: Vec<PathBuf> = Vec::new();
    for (i, spec) in loaded.plan.services.iter().enumerate() {
        paths.push(again.path(&format!("{i}.toml")));
        std::fs::write(&paths[i], effective(&loaded.plan, spec, &[])).unwrap();
    }
    let reloaded = load(&Options { services: &paths, config: None, skip_invalid: false, env });
    assert!(!reloaded.refused, "{}", again.shown(&reloaded));
    assert_eq!(without_origin(loaded), without_origin(&reloaded));
}

#[test]
fn every_key_survives() {
    // All keys of the sample, one of those that exclude each other at a time.
    let is_key = |line: &str| line.starts_with('#') && !line.starts_with("# ") && line.len() > 1;
    for without in ["exit-code =", "successful-exit-code ="] {
        let sample = sample_service();
        let lines = sample.lines().filter(|line| !line.starts_with(&format!("#{without}")));
        // [readiness] says it too.
        let lines = lines.filter(|line| !line.starts_with("#readiness ="));
        let all: Vec<_> = lines.map(|line| if is_key(line) { &line[1..] } else { line }).collect();
        let all = all.join("\n");
        let set =
            Set::new(&[("sample.toml", &all), ("database.toml", "command = \"x\""), ("web.toml", "command = \"y\"")]);
        assert_loads_again(&set.load(), &environment);
    }
}

#[test]
fn examples_and_odd_strings_survive() {
    let quickstart = Set::new(&[]).load_with(&[root().join("example_services/quickstart")], None, false);
    assert_loads_again(&quickstart, &environment);
    let odd = r#"command = ["/bin/a", "", "\"q\" \\ \n\t\u0001 $$HOME $1 $(x) $$", "größe"]
name = "odd"
signal-rewrite = { 33 = "RTMIN+1", INT = 0, RTMAX = 32 }
[restart]
jitter = 0.1
backoff = "1ns"
reset-after = "400days 3h 1us"
readiness = ["/bin/check me", "$$X"]
[healthiness]
file = "/tmp/a b"
[environment]
load = ["-/a b", "c"]
additional = { "a.$b" = "${HOME:-x}" }
"#;
    one(odd);
    assert_loads_again(&Set::new(&[("odd.toml", odd)]).load(), &environment);
}

#[test]
fn secrets_are_not_shown() {
    let text = r#"command = "serve --token $API_TOKEN --x ${API_TOKEN:-no}$$$API_TOKEN --short ${PIN_KEY} $WORDS_TOKEN"
[environment]
URL = "http://u:${API_TOKEN}@x/"
DB_PASSWORD = "hunter2"
EMPTY_PASSWORD = ""
PLAIN = "plain"
"#;
    let env = |name: &str| -> Option<OsString> {
        match name {
            "API_TOKEN" => Some("s3cr$t%".into()),
            "WORDS_TOKEN" => Some("two words".into()),
            "PIN_KEY" => Some("x".into()),
            _ => None,
        }
    };
    let set = Set::new(&[("a.toml", text)]);
    let services = [set.path("a.toml")];
    let loaded = load(&Options { services: &services, config: None, skip_invalid: false, env: &env });
    let secret = |name: &str| (name.to_owned(), env(name).unwrap().into_string().unwrap());
    let secrets = ["API_TOKEN", "PIN_KEY", "WORDS_TOKEN"].map(secret);
    let page = effective(&loaded.plan, &loaded.plan.services[0], &secrets);
    assert!(!page.contains("s3cr") && !page.contains("hunter2"), "{page}");
    for line in [
        r#"command = ["serve", "--token", "${API_TOKEN}", "--x", "${API_TOKEN}$$${API_TOKEN}", "--short", "${PIN_KEY}", "(hidden)", "(hidden)"]"#,
        r#"URL = "http://u:${API_TOKEN}@x/""#,
        r#"DB_PASSWORD = "(hidden)""#,
        r#"EMPTY_PASSWORD = """#,
        r#"PLAIN = "plain""#,
    ] {
        assert!(page.lines().any(|seen| seen == line), "{line} in\n{page}");
    }
    // But for what is hidden, the page is the service again.
    let page = page.replacen("(hidden)", "two", 1).replacen("(hidden)", "words", 1).replacen("(hidden)", "hunter2", 1);
    std::fs::write(set.path("a.toml"), page).unwrap();
    let again = load(&Options { services: &services, config: None, skip_invalid: false, env: &env });
    assert_eq!(without_origin(&loaded), without_origin(&again), "{}", set.shown(&again));
}
