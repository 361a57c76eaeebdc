//! The journal of a real Horust, lived again by the simulation's supervisor: the same events lead to the same actions.

use crate::control::{controlled, ok, verb, wait_for_state};
use crate::replay::{live_again, parse, tell};
use crate::support::*;
use horust::supervisor::{Action, Event, Step, Story};

#[track_caller]
fn journal(horust: &Horust) -> Story {
    let text = ok(&verb(horust, &["debug", "journal"]));
    let story = parse(&text).unwrap_or_else(|| panic!("this is no journal: {text}"));
    live_again(&story).unwrap_or_else(|differs| panic!("{}\n{differs}", tell(&story)));
    story
}

fn count(story: &Story, is: fn(&Step) -> bool) -> usize {
    story.steps.iter().filter(|step| is(step)).count()
}

#[test]
fn what_has_happened_is_lived_again() {
    let horust = controlled()
        .bash("db", "exec sleep 1000", "[readiness]\ncommand = \"test -e @DIR@/ready\"\ninterval = \"20ms\"\n")
        .bash("web", "exec sleep 1000", "start-after = [\"db\"]\n[hooks]\nafter-ready = \"touch @DIR@/hook\"\n")
        .bash("fails", "exit 3", "[restart]\nattempts = 3\nbackoff = \"10ms\"\njitter = 0.5\n")
        .bash("rare", "exec sleep 1000", "autostart = false")
        .start();
    wait_for_state(&horust, "fails", "FinishedFailed");
    std::fs::write(horust.dir().join("ready"), "").unwrap();
    wait_for_state(&horust, "web", "Running");
    let story = journal(&horust);
    assert_eq!(
        story.plan.services.iter().map(|spec| spec.name.as_str()).collect::<Vec<_>>(),
        ["db", "fails", "rare", "web"]
    );
    assert_eq!(story.steps[0].event, Event::Boot, "{}", tell(&story));
    assert_eq!(count(&story, |step| matches!(step.event, Event::Exited { .. })), 4, "{}", tell(&story));

    ok(&verb(&horust, &["restart", "--wait", "db"]));
    ok(&verb(&horust, &["start", "--wait", "rare"]));
    let story = journal(&horust);
    assert_eq!(count(&story, |step| matches!(step.event, Event::Commanded(_))), 2, "{}", tell(&story));

    // It does not lead into another plan: it begins anew.
    std::fs::write(horust.dir().join("services/new.toml"), "command = \"sleep 1000\"\n").unwrap();
    ok(&verb(&horust, &["reload"]));
    wait_for_state(&horust, "new", "Running");
    ok(&verb(&horust, &["stop", "--wait", "web"]));
    let story = journal(&horust);
    assert!(story.plan.services.iter().any(|spec| spec.name == "new"));
    assert_eq!(count(&story, |step| matches!(step.event, Event::Boot | Event::Loaded(_))), 0);
    assert_eq!(count(&story, |step| matches!(step.event, Event::Commanded(_))), 1, "{}", tell(&story));
}

#[test]
fn only_the_latest_steps_are_kept() {
    const RUNS: usize = 300;
    let flaps = format!("[restart]\nattempts = {RUNS}\nbackoff = \"0s\"\nthrottle = false\n");
    let horust = controlled()
        .bash("bystander", "exec sleep 1000", "")
        .service("flaps", &format!("command = \"/bin/false\"\n{flaps}"))
        .start();
    wait_for_state(&horust, "flaps", "FinishedFailed");
    let story = journal(&horust);
    let is_start = |step: &Step| step.actions.iter().flatten().any(|action| matches!(action, Action::Spawn(_)));
    let starts = count(&story, is_start);
    assert!((30..RUNS).contains(&starts), "{starts} starts are kept of {RUNS}");
    assert!(story.steps[0].event != Event::Boot);
    assert!(ok(&verb(&horust, &["debug", "journal"])).len() < 24 << 10);
}
