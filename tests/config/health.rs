//! Readiness, health and watchdog: what loads, and what is said about what makes no sense.

use super::support::one;
use horust::model::{Command, FailureStrategy, Health, Hook, OnUnhealthy, Probe, Readiness, Rounds, Scope, Signs};
use std::time::Duration;

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

#[test]
fn a_log_line_is_looked_for_in_output_that_is_captured_for_it() {
    let spec = with("[readiness]\nlog-line = 'listening on \\d+$'");
    let signs = Signs { log_line: Some(r"listening on \d+$".into()), ..Signs::default() };
    assert_eq!(spec.readiness, Readiness::Signs(Box::new(signs)));
    assert_eq!(spec.log, Some(Box::default()));
    assert_eq!(with("[readiness]\nnotify = true").log, None);
}

#[test]
fn hooks_and_how_a_service_is_stopped() {
    let spec = with(
        "[hooks]\nafter-stop = \"b c\"\nbefore-start = [\"a\"]\ntimeout = \"5s\"\n[termination]\ncommand = \"stop it\"\nscope = \"main\"\nwait = \"2s\"\n[failure]\nstrategy = \"restart-dependents\"\non = \"every-failure\"",
    );
    let command = |words: &[&str]| Command(words.iter().map(|word| (*word).to_owned()).collect());
    let (five, two) = (Duration::from_secs(5), Duration::from_secs(2));
    assert_eq!(spec.hook(Hook::BeforeStart), Some((&command(&["a"]), five)));
    assert_eq!(spec.hook(Hook::AfterStop), Some((&command(&["b", "c"]), five)));
    assert_eq!(spec.hook(Hook::Stop), Some((&command(&["stop", "it"]), two)));
    assert_eq!(spec.hook(Hook::OnFailure), None);
    assert_eq!(spec.termination.scope, Scope::Main);
    assert_eq!((spec.failure.strategy, spec.failure.every_failure), (FailureStrategy::RestartDependents, true));
    assert_eq!(with("[hooks]\ntimeout = \"1s\"").hooks, None);
}
