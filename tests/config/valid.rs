//! What loads, and what it means: every key, its spellings, defaults, variables, the corpus and the sample.

use super::support::{Set, assert_page, corpus, one, warnings};
use horust::config::{Options, load, render, sample_service};
use horust::model::{
    Command, Environment, ExitCodes, FailurePolicy, FailureStrategy, Growth, Health, IdOrName, Kind, Log, LogFormat,
    Need, OnUnhealthy, Origin, Output, Plan, Precision, Probe, Process, Rate, Readiness, ResourceLimit, Restart,
    RestartStrategy, Rotation, Rounds, Scope, ServiceId, ServiceSpec, Signal, Signs, Termination,
};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn defaults() -> ServiceSpec {
    ServiceSpec {
        name: "one".into(),
        origin: Origin { file: PathBuf::new(), line: 1 },
        command: Command(vec!["/bin/a".into()]),
        kind: Kind::Daemon,
        autostart: true,
        working_directory: None,
        start_delay: Duration::ZERO,
        start_after: vec![],
        shutdown_after: vec![],
        stdout: Output::Stdout,
        stderr: Output::Stderr,
        log: None,
        process: None,
        signal_rewrite: vec![],
        required: false,
        restart: Restart {
            strategy: RestartStrategy::Never,
            backoff: Duration::ZERO,
            attempts: 0,
            growth: Growth::Linear,
            backoff_max: 300 * SECOND,
            jitter: 0.0,
            reset_after: 10 * SECOND,
            throttle: true,
        },
        readiness: Readiness::Exec,
        start_timeout: None,
        health: None,
        watchdog: None,
        failure: FailurePolicy {
            codes: ExitCodes::Successful(vec![0]),
            strategy: FailureStrategy::Ignore,
            every_failure: false,
        },
        environment: Arc::default(),
        termination: termination(Signal::TERM, 5 * SECOND),
        hooks: None,
    }
}

fn termination(signal: Signal, wait: Duration) -> Termination {
    Termination { command: None, signal, scope: Scope::Group, wait, die_if_failed: vec![] }
}

/// Compares all but the path, which is a temporary one.
fn assert_same(mut seen: ServiceSpec, wanted: ServiceSpec) {
    seen.origin.file = PathBuf::new();
    assert_eq!(seen, wanted);
}

fn rounds(probes: Vec<Probe>) -> Rounds {
    Rounds { probes, interval: SECOND, timeout: SECOND, initial_delay: Duration::ZERO, success_threshold: 1 }
}

fn probed(probe: Probe) -> Readiness {
    Readiness::Signs(Box::new(Signs { rounds: Some(rounds(vec![probe])), ..Signs::default() }))
}

fn health(probes: Vec<Probe>) -> Option<Box<Health>> {
    Some(Box::new(Health { rounds: rounds(probes), max_failed: 3, on_unhealthy: OnUnhealthy::Restart }))
}

fn words(words: &[&str]) -> Command {
    Command(words.iter().map(|word| (*word).to_owned()).collect())
}

#[test]
fn a_command_is_enough() {
    assert_same(one("command = \"/bin/a\""), defaults());
}

#[test]
fn every_key_arrives() {
    let text = r#"
name = "one"
command = ["/bin/a", "b c", ""]
kind = "oneshot"
autostart = false
working-directory = "/tmp"
start-delay = "1m 30s"
stdout = "logs/a.log"
stderr = "NULL"
user = 1000
signal-rewrite = { TERM = "QUIT", HUP = 0 }
required = true
[restart]
strategy = "on-failure"
backoff = "200ms"
attempts = 3
growth = "exponential"
backoff-max = "1h"
jitter = 0.5
reset-after = "0s"
throttle = false
[healthiness]
http-endpoint = "http://localhost:80/health"
file-path = "/run/up"
command = "test -e '/a b'"
interval = "2s"
timeout = "3s"
initial-delay = "4s"
success-threshold = 5
failure-threshold = 6
[failure]
successful-exit-code = [1, 255]
strategy = "kill-dependents"
[environment]
keep-env = true
re-export = ["TZ"]
load = ["/etc/env", "-/etc/maybe"]
secrets = { DB_PASS = "/run/secrets/db" }
additional = { A = "1" }
DATABASE_NAME = "db"
http_proxy = "x"
[termination]
signal = "SIGINT"
wait = "0s"
[resource-limit]
cpu = 1.5
memory = "100MiB"
pids-max = 7
strict = true
"#;
    let wanted = ServiceSpec {
        origin: Origin { file: PathBuf::new(), line: 3 },
        command: words(&["/bin/a", "b c", ""]),
        kind: Kind::Oneshot,
        autostart: false,
        working_directory: Some("/tmp".into()),
        start_delay: 90 * SECOND,
        stdout: Output::File("logs/a.log".into()),
        stderr: Output::Null,
        process: Some(Box::new(Process {
            user: Some(IdOrName::Id(1000)),
            resources: Some(ResourceLimit {
                cpu: Some(1500),
                memory: Some(100 << 20),
                pids_max: Some(7),
                strict: true,
            }),
            ..Process::default()
        })),
        signal_rewrite: vec![(Signal::HUP, None), (Signal::TERM, Some(Signal::QUIT))],
        required: true,
        restart: Restart {
            strategy: RestartStrategy::OnFailure,
            backoff: Duration::from_millis(200),
            attempts: 3,
            growth: Growth::Exponential,
            backoff_max: 3600 * SECOND,
            jitter: 0.5,
            reset_after: Duration::ZERO,
            throttle: false,
        },
        readiness: Readiness::Health,
        health: Some(Box::new(Health {
            rounds: Rounds {
                probes: vec![
                    Probe::Http("http://localhost:80/health".into()),
                    Probe::File("/run/up".into()),
                    Probe::Command(words(&["test", "-e", "/a b"])),
                ],
                interval: 2 * SECOND,
                timeout: 3 * SECOND,
                initial_delay: 4 * SECOND,
                success_threshold: 5,
            },
            max_failed: 6,
            on_unhealthy: OnUnhealthy::Restart,
        })),
        failure: FailurePolicy {
            codes: ExitCodes::Successful(vec![1, 255, 0]),
            strategy: FailureStrategy::KillDependents,
            every_failure: false,
        },
        environment: Arc::new(Environment {
            keep: true,
            re_export: vec!["TZ".into()],
            load: vec![("/etc/env".into(), false), ("/etc/maybe".into(), true)],
            secrets: vec![("DB_PASS".into(), "/run/secrets/db".into())],
            additional: [("A", "1"), ("DATABASE_NAME", "db"), ("http_proxy", "x")]
                .map(|(k, v)| (k.into(), v.into()))
                .into(),
        }),
        termination: termination(Signal::INT, Duration::ZERO),
        hooks: None,
        ..defaults()
    };
    assert_same(one(text), wanted);
}

#[test]
fn the_first_readmes_flat_form_loads() {
    let app = "# my-app.toml:\npath = \"/usr/bin/app.sh\"\nrestart-strategy = \"always\"\nstart-delay = \"10s\"\nstart-after = \"other.toml\"\n";
    let set = Set::new(&[("my-app.toml", app), ("other.toml", "path = \"/bin/b\"")]);
    let loaded = set.load();
    assert_eq!(loaded.diagnostics.len(), 1, "{}", set.shown(&loaded));
    assert!(loaded.diagnostics[0].message.starts_with("`restart-strategy` is an old spelling"));
    let app = &loaded.plan.services[0];
    assert_eq!(app.command, words(&["/usr/bin/app.sh"]));
    assert_eq!(app.origin.line, 2);
    assert_eq!(app.start_after, [Need::ready(ServiceId(1))]);
    assert_eq!((app.restart.strategy, app.start_delay), (RestartStrategy::Always, 10 * SECOND));
}

#[test]
fn the_first_readmes_service_table_loads() {
    let text = r#"[service]
name = "cool"
command = "fetch example.org"
working_directory = "/tmp/"
required = false
signal_rewrite = "15:3,5:10"
[failure]
exit_code = "10,20"
strategy = "kill-all"
[restart]
strategy = "always"
backoff = "10s"
trials = 3
rediness = "/tmp/cool.ready"
[healthness]
http_endpoint = "http://localhost:2020/healthcheck"
file = "/var/cool/up"
[environment]
clear = true
load = "/etc/my_db/env"
DATABASE_NAME = "My_DB"
"#;
    let set = Set::new(&[("one.toml", text)]);
    let loaded = set.load();
    let said: Vec<_> = loaded.diagnostics.iter().map(|d| d.message.as_str()).collect();
    assert_eq!(
        said,
        [
            "`trials` is an old spelling of `attempts`",
            "`rediness` is an old spelling of `readiness`",
            "`healthness` is an old spelling of `healthiness`"
        ]
    );
    let wanted = ServiceSpec {
        name: "cool".into(),
        origin: Origin { file: PathBuf::new(), line: 3 },
        command: words(&["fetch", "example.org"]),
        working_directory: Some("/tmp/".into()),
        signal_rewrite: [(15, 3), (5, 10)].map(|(a, b)| (Signal::new(a).unwrap(), Signal::new(b))).into(),
        failure: FailurePolicy {
            codes: ExitCodes::Failing(vec![10, 20]),
            strategy: FailureStrategy::Shutdown,
            every_failure: false,
        },
        restart: Restart { strategy: RestartStrategy::Always, backoff: 10 * SECOND, attempts: 3, ..defaults().restart },
        readiness: probed(Probe::File("/tmp/cool.ready".into())),
        health: health(vec![
            Probe::Http("http://localhost:2020/healthcheck".into()),
            Probe::File("/var/cool/up".into()),
        ]),
        environment: Arc::new(Environment {
            load: vec![("/etc/my_db/env".into(), false)],
            additional: vec![("DATABASE_NAME".into(), "My_DB".into())],
            ..Environment::default()
        }),
        ..defaults()
    };
    assert_same((*loaded.plan.services[0]).clone(), wanted);
}

#[test]
fn horust_toml_sets_the_default_wait_and_the_exit_flag() {
    let set = Set::new(&[
        ("a.toml", "command = \"/bin/a\""),
        ("b.toml", "command = \"/bin/b\"\n[termination]\nwait = \"1s\""),
        (
            "settings",
            "# The page\nweb-server = false\n# How long\ntimeout-before-sigkill = \"10s\"\nunsuccessful_exit_finished_failed = true\n",
        ),
        ("empty", ""),
        ("web", "web-server = \"127.0.0.1:80\""),
        ("bad", "web-sever = 1\ntimeout-before-sigkill = 3\n"),
    ]);
    let load = |config: &str| set.load_with(&[set.dir.path().to_owned()], Some(&set.path(config)), false);
    let waits = |plan: &Plan| plan.services.iter().map(|s| s.termination.wait.as_secs()).collect::<Vec<_>>();
    let loaded = load("settings");
    assert_eq!((waits(&loaded.plan), set.shown(&loaded)), (vec![10, 1], String::new()));
    assert!(loaded.plan.settings.unsuccessful_exit_finished_failed);
    let loaded = load("empty");
    assert_eq!((waits(&loaded.plan), set.shown(&loaded)), (vec![5, 1], String::new()));
    let loaded = load("web");
    assert_eq!((loaded.plan.settings.web.page, set.shown(&loaded)), ("127.0.0.1:80".parse().ok(), String::new()));
    let (bad, missing) = (load("bad"), load("missing"));
    assert!(bad.refused && missing.refused);
    assert!(set.shown(&bad).contains("did you mean `web-server`?") && set.shown(&bad).contains("2 errors"));
    assert_eq!(set.shown(&missing), "error: cannot read `missing`: No such file or directory\n\n1 error\n");
}

#[test]
fn spellings_mean_the_same() {
    let command = |rest: &str| one(&format!("command = \"/bin/a\"\n{rest}"));
    for (a, b) in [
        ("working-directory = \"/x\"", "working_directory = \"/x\""),
        ("user = \"0\"", "user = 0"),
        ("signal-rewrite = \"15:3\"", "signal-rewrite = { TERM = \"QUIT\" }"),
        ("signal-rewrite = \"SIGTERM: SIGQUIT,\"", "signal_rewrite = { 15 = 3 }"),
        ("[termination]\nsignal = \"SIGUSR1\"", "[termination]\nsignal = \"usr1\""),
        ("[termination]\nsignal = 10", "[termination]\nsignal = \"10\""),
        ("[failure]\nstrategy = \"shutdown\"", "[failure]\nstrategy = \"kill-all\""),
        ("[failure]\nexit-code = \"1, 2\"", "[failure]\nexit_code = [1, 2]"),
        ("[failure]\n", ""),
        ("[healthiness]\nfile-path = \"/f\"\nmax-failed = 1", "[healthiness]\nfile = \"/f\"\nfailure_threshold = 1"),
        ("[environment]\nclear = false", "[environment]\nkeep_env = true"),
        ("[environment]\nload = [\"/e\"]", "[environment]\nenv-file = \"/e\""),
        ("[environment.additional]\nA = \"b\"", "environment = { A = \"b\" }"),
        ("", "stdout = \"STDOUT\"\nstderr = \"STDERR\""),
    ] {
        let (mut left, mut right) = (command(a), command(b));
        (left.origin, right.origin) = (Origin::default(), Origin::default());
        assert_eq!(left, right, "{a} / {b}");
    }
    assert_eq!(warnings("command = \"x\"\n[healthness]\n"), ["`healthness` is an old spelling of `healthiness`"]);
}

#[test]
fn readiness_is_health_a_command_or_a_file() {
    let readiness = |value: &str| {
        one(&format!("command = \"x\"\n[restart]\nreadiness = {value}\n[healthiness]\nfile = \"/f\"")).readiness
    };
    assert_eq!(readiness("\"health\""), Readiness::Health);
    assert_eq!(readiness("\"/run/x.ready\""), probed(Probe::File("/run/x.ready".into())));
    assert_eq!(readiness("\"/bin/check me\""), probed(Probe::Command(words(&["/bin/check", "me"]))));
    assert_eq!(readiness("\"check\""), probed(Probe::Command(words(&["check"]))));
    assert_eq!(readiness("[\"/bin/check\"]"), probed(Probe::Command(words(&["/bin/check"]))));
}

#[test]
fn names_refer_to_services_with_or_without_toml() {
    let set = Set::new(&[
        (
            "a.toml",
            "name = \"web\"\ncommand = \"x\"\nstart-after = [\"b.toml\", \"b\", \"c\"]\n[termination]\ndie-if-failed = [\"c.toml\"]",
        ),
        ("b.toml", "command = \"x\"\nshutdown-after = \"c\""),
        ("c.toml", "command = \"x\""),
        (".hidden.toml", "nonsense"),
        ("notes.txt", "nonsense"),
    ]);
    let services = set.services();
    let names: Vec<_> = services.iter().map(|service| service.name.as_str()).collect();
    assert_eq!(names, ["web", "b", "c"]);
    assert_eq!(services[0].start_after, [1, 2].map(|id| Need::ready(ServiceId(id))));
    assert_eq!(services[0].termination.die_if_failed, [ServiceId(2)]);
    assert_eq!(services[1].shutdown_after, [ServiceId(2)]);
}

#[test]
fn variables_expand_in_values_only_and_change_no_structure() {
    let text = "# $UNSET ${\ncommand = \"$HOME/a ${UNSET:-b c} $1 $(x) $$N ${UNSET:-${N}}\" # $UNSET\nuser = \"$EVIL\"\n[restart]\nattempts = ${N}\n[environment]\nA = '${UNSET:-ldap:///x ldapi:///}'\n";
    let spec = one(text);
    assert_eq!(spec.command, words(&["/root/a", "b", "c", "$1", "$(x)", "$N", "3"]));
    assert_eq!(spec.user(), Some(&IdOrName::Name("x\"\nuser = \"root".into())));
    assert_eq!(spec.restart.attempts, 3);
    assert_eq!(spec.environment.additional, [("A".to_owned(), "ldap:///x ldapi:///".to_owned())]);
}

#[test]
fn the_sample_is_the_committed_page_loads_and_names_every_key() {
    let page = sample_service();
    assert_page("example_services/sample_service.toml", &page);
    let mut wanted = defaults();
    let seen = one(&page);
    (wanted.command, wanted.origin.line) = (words(&["/bin/sleep", "infinity"]), seen.origin.line);
    assert_same(seen, wanted);

    // Every key works with its `#` taken away. Two of them exclude each other, and two say the same.
    let is_key = |line: &str| line.starts_with('#') && !line.starts_with("# ") && line.len() > 1;
    let doubled = ["#exit-code =", "#readiness ="];
    let all = page.lines().filter(|line| !doubled.iter().any(|key| line.starts_with(key)));
    let all: Vec<_> = all.map(|line| if is_key(line) { &line[1..] } else { line }).collect();
    let all = all.join("\n");
    let set = Set::new(&[("sample.toml", &all), ("database.toml", "command = \"x\""), ("web.toml", "command = \"x\"")]);
    let loaded = set.load();
    assert!(!loaded.refused, "{}", set.shown(&loaded));
    assert!(loaded.diagnostics.iter().all(|d| d.message.ends_with("has no effect yet")), "{}", set.shown(&loaded));
}

/// Service files of real projects. They are not part of this repository.
#[test]
fn the_corpus_loads_or_is_refused_for_the_known_reason() {
    let Some(corpus) = corpus() else { return };
    let set = |_: &str| -> Option<OsString> { Some("1".into()) };
    let mut seen = 0;
    for (file, wanted) in corpus {
        // Dependencies on files of the same project: empty stand-ins.
        let text = std::fs::read_to_string(&file).unwrap();
        let directory = tempfile::tempdir().unwrap();
        for word in text.lines().filter(|l| l.starts_with("start-after")).flat_map(|l| l.split('"').skip(1).step_by(2))
        {
            std::fs::write(directory.path().join(word), "command = \"x\"").unwrap();
        }
        let paths = [file, directory.path().to_owned()];
        let paths = if directory.path().read_dir().unwrap().next().is_some() { &paths[..] } else { &paths[..1] };
        let loaded = load(&Options { services: paths, config: None, skip_invalid: false, env: &set });
        let said = render(&loaded.diagnostics, false);
        match wanted.as_str() {
            "load" => assert!(!loaded.refused, "{said}"),
            wanted if wanted.starts_with("refuse: no command") => {
                assert!(said.contains("there is no `command`"), "{said}");
                let set = Set::new(&[("_defaults.toml", &text), ("a.toml", "command = \"x\"")]);
                let service = &set.services()[0];
                assert_eq!(service.restart.backoff, Duration::from_secs(5));
            }
            wanted => {
                let word =
                    wanted.strip_prefix("refuse: unknown variant `").and_then(|rest| rest.strip_suffix('`')).unwrap();
                assert!(said.contains("must be") && said.contains(&format!("not \"{word}\"")), "{wanted}: {said}");
            }
        }
        seen += 1;
    }
    assert_eq!(seen, 88);
}

/// The documents say what holds without a key. Writing just that must change nothing.
#[test]
fn the_documented_defaults_are_those_that_hold() {
    // There has to be a check and a captured output, or the keys about them say nothing.
    let asked = [("[healthiness]", "file-path = \"/x\""), ("[log]", "capture = true")];
    let service = |table: &str, line: &str| {
        let below = asked.map(|(head, ask)| if table == head { String::new() } else { format!("{head}\n{ask}\n") });
        let ask = asked.iter().find(|(head, _)| table == *head).map_or("", |(_, ask)| ask);
        let text = format!("command = \"/bin/a\"\n{table}\n{line}\n{ask}\n{}", below.concat());
        let set = Set::new(&[("one.toml", &text)]);
        ServiceSpec { origin: Origin::default(), ..set.services().remove(0) }
    };
    let plain = service("", "");
    let page = sample_service();
    let (mut table, mut default, mut tested) = ("", "", 0);
    for line in page.lines() {
        if line.starts_with('[') {
            table = line;
        } else if let Some((_, said)) = line.split_once(" Default: ").filter(|_| line.starts_with("# ")) {
            default = said.trim_end_matches(" No effect yet.").trim_end_matches('.');
        } else if let Some((key, sample)) = line.strip_prefix('#').and_then(|line| line.split_once(" = "))
            && !line.starts_with("# ")
            && !default.contains(' ')
            && !["none", "never", "all"].contains(&default)
            && key != "capture"
        {
            let text = sample.starts_with('"') && !["true", "false"].contains(&default);
            let value = if text { format!("\"{default}\"") } else { default.to_owned() };
            assert_eq!(service(table, &format!("{key} = {value}")), plain, "{table} {key} = {value}");
            tested += 1;
        }
    }
    assert!(tested >= 20, "{tested}");
}

#[test]
fn output_is_captured_if_anything_asks_for_it() {
    let log = |rest: &str| one(&format!("command = \"/bin/a\"\nstdout = \"/tmp/a.log\"\n{rest}")).log.map(|log| *log);
    let rotation = |size| Rotation { size, ..Rotation::default() };
    let both = |rotation: Rotation| Log { stdout: rotation.clone(), stderr: rotation, ..Log::default() };
    for rest in ["", "log = {}", "log.format = \"plain\"", "log.timestamp = false", "stdout-rotate-size = 0"] {
        assert_eq!(log(rest), None, "{rest}");
    }
    assert_eq!(log("log.capture = false\nlog.format = \"json\""), None);
    assert_eq!(log("log.capture = true"), Some(Log::default()));
    assert_eq!(log("log.format = \"prefix\""), Some(Log { format: LogFormat::Prefix, ..Log::default() }));
    let timestamp = |timestamp| Some(Log { timestamp: Some(timestamp), ..Log::default() });
    assert_eq!(log("log.timestamp = true"), timestamp(Precision::Milliseconds));
    assert_eq!(log("log.timestamp = \"us\""), timestamp(Precision::Microseconds));
    assert_eq!(log("log.rotate-size = \"1k\""), Some(both(rotation(Some(1000)))));
    let stdout = Log { stdout: rotation(Some(50_000)), ..Log::default() };
    assert_eq!(log("stdout-rotate-size = \"50 KB\""), Some(stdout));
    let own = Log { stdout: rotation(Some(7)), stderr: rotation(Some(1000)), ..Log::default() };
    assert_eq!(log("stdout_rotate_size = 7\nlog.rotate-size = \"1kB\""), Some(own));
    let stamped = Rotation { stamp: true, ..Rotation::default() };
    let stamped = Log { stdout: stamped, ..Log::default() };
    assert_eq!(log("stdout-should-append-timestamp-to-filename = true"), Some(stamped));
    let all = Rotation { age: Some(60 * SECOND), keep: Some(3), compress: true, ..rotation(None) };
    assert_eq!(log("log = { rotate-age = \"1m\", keep = 3, compress = true }"), Some(both(all)));
    let rate = |lines, per| Some(Log { rate_limit: Some(Rate { lines, per }), ..Log::default() });
    assert_eq!(log("log.rate-limit = \"1000/s\""), rate(1000, SECOND));
    assert_eq!(log("log.rate-limit = \" 5 / 10s \""), rate(5, 10 * SECOND));
    assert_eq!(log("log.rate-limit = \"60/m\""), rate(60, 60 * SECOND));
    assert_eq!(log("log.buffer = \"64KiB\""), Some(Log { buffer: 64 << 10, ..Log::default() }));
}

#[test]
fn a_page_for_others_needs_a_token_for_reading() {
    let set = Set::new(&[
        ("a.toml", "command = \"/bin/a\""),
        ("quiet.toml", "command = \"/bin/b\"\n[log]\ncapture = false"),
        ("on", "web-server = true"),
        ("open", "\n# For all\nweb-server = \"0.0.0.0:8080\"\n[control]\nhosts = [\"a.example\"]\n"),
        ("mapped", "web-server = \"[::ffff:127.0.0.1]:80\""),
        (
            "guarded",
            "web-server = \"[::]:80\"\n[control]\ntoken-for-reading = true\ntoken-file = \"/run/secrets/t\"\nhosts = \"h.example\"\nmetrics = true\n",
        ),
    ]);
    let load = |config: &str| set.load_with(&[set.dir.path().to_owned()], Some(&set.path(config)), false);
    let loaded = load("on");
    assert_eq!(loaded.plan.settings.web.page, "127.0.0.1:8080".parse().ok());
    // What is shown there has to be captured, unless somebody does not want that.
    assert_eq!(loaded.plan.services.iter().map(|s| s.log.is_some()).collect::<Vec<_>>(), [true, false]);
    assert!(load("mapped").diagnostics.is_empty());
    let refused = load("open");
    assert!(refused.refused && refused.plan.services.is_empty());
    assert_eq!(
        set.shown(&refused),
        "error: `web-server`: anybody who can reach 0.0.0.0:8080 could look at the services and their output\n \
         --> open:3:14\n  |\n3 | web-server = \"0.0.0.0:8080\"\n  |              ^^^^^^^^^^^^^^\n  |\n  = help: add \
         `token-for-reading = true` to [control], or listen at 127.0.0.1\n\n1 error\n"
    );
    let loaded = load("guarded");
    assert_eq!(set.shown(&loaded), "");
    let web = &loaded.plan.settings.web;
    assert!(web.token_for_reading && web.hosts == ["h.example"], "{web:?}");
    assert_eq!(web.token_file, Some("/run/secrets/t".into()));
    assert_eq!((web.page, web.metrics), ("[::]:80".parse().ok(), "127.0.0.1:9090".parse().ok()));
}
