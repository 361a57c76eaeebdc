//! Every condition against everything that a dependency can do. What is seen here is the table of docs/dependencies.md.

use crate::docs;
use crate::script::{Answer, OnStop, Script, Svc, ms};
use crate::world::World;
use horust::model::{Condition, Health, Need, OnUnhealthy, Readiness, RestartStrategy, ServiceId};
use horust::supervisor::{Command, Reason, Report};
use std::fmt::Write;

const DB: ServiceId = ServiceId(0);

/// What `db` does, in words; a service that has come so far after a second; and what is done by hand after half of it.
fn situations() -> Vec<(&'static str, Svc, Option<Command>)> {
    let db = |script| Svc::new("db", script);
    let slow = Script::runs().answers(&[Answer::Never]);
    let reported = |health: &mut Health| (health.max_failed, health.on_unhealthy) = (0, OnUnhealthy::Report);
    let restarts = |svc: Svc| {
        svc.with(|spec| {
            spec.restart.strategy = RestartStrategy::OnFailure;
            spec.restart.backoff = ms(60_000);
        })
    };
    vec![
        ("is being started", db(Script::runs().spawn_takes(60_000)), None),
        ("runs, and is not ready yet", db(slow.clone()).watched(|_| {}), None),
        ("is ready, and no health check has answered yet", db(slow).watched(|_| {}).with(exec), None),
        ("is ready and healthy", db(Script::runs()).watched(|_| {}), None),
        ("is ready and unhealthy", db(Script::runs().answers(&[Answer::Fail(0)])).watched(reported).with(exec), None),
        ("has finished", db(Script::exits(500, 0).spawn_takes(200)), None),
        ("has failed and will be run again", restarts(db(Script::exits(0, 1))), None),
        ("could not be run and will be tried again", restarts(db(Script::unspawnable(127))), None),
        ("has failed for good", db(Script::exits(500, 1).spawn_takes(200)), None),
        ("was stopped by hand", db(Script::runs().spawn_takes(60_000)), Some(Command::Stop(DB))),
        ("is being restarted by hand", db(Script::runs().on_stop(OnStop::Exits(4000, 0))), Some(Command::Restart(DB))),
        ("was restarted by hand, and is well again", db(Script::runs()).watched(|_| {}), Some(Command::Restart(DB))),
        ("is not started with Horust", db(Script::runs()).with(|spec| spec.autostart = false), None),
    ]
}

fn exec(spec: &mut horust::model::ServiceSpec) {
    spec.readiness = Readiness::Exec;
}

/// What `web` has done about it. It comes to look at `db` only now, as a service that was started by hand does.
fn what_web_does(db: &Svc, by_hand: Option<Command>, condition: Condition, required: bool) -> &'static str {
    let web = Svc::new("web", Script::runs()).needs(Need { service: DB, condition, required });
    // Held back by a third service until `db` has come as far as it should.
    let hold = Svc::new("hold", Script::exits(1000, 0));
    let mut world = World::up(vec![db.clone(), web.once(2, Condition::Completed), hold]);
    if let Some(command) = by_hand {
        world.until(500).command(command);
    }
    let decided_early = world.until(999).state(1);
    let state = world.until(1001).state(1);
    assert!(decided_early == "Initial" || decided_early == state, "what is decided stays so");
    match state {
        "Running" => "starts",
        "Initial" => "waits",
        "FinishedFailed" => "fails",
        "Finished" => "is not needed",
        other => panic!("{other}"),
    }
}

#[test]
fn every_condition_against_everything_a_dependency_does() {
    let mut table = "| `db` |".to_owned();
    Condition::ALL.iter().for_each(|condition| write!(table, " `{condition}` |").unwrap());
    table += " any, `required = false` |\n|---|---|---|---|---|---|---|---|\n";
    for (what, db, by_hand) in situations() {
        write!(table, "| {what} |").unwrap();
        let mut optional: Vec<String> = Vec::new();
        for condition in Condition::ALL {
            let does = what_web_does(&db, by_hand, condition, true);
            write!(table, " {does} |").unwrap();
            let without = what_web_does(&db, by_hand, condition, false);
            // Order only: it starts where it would have, and where it would have failed or not been needed.
            let decided = ["fails", "is not needed"].contains(&does);
            assert!(without == does || (without == "starts" && (decided || does == "waits")), "{what}: {condition}");
            optional.push(without.to_owned());
        }
        optional.sort();
        optional.dedup();
        let optional = if optional.len() == 1 { optional[0].clone() } else { "as required".to_owned() };
        writeln!(table, " {optional} |").unwrap();
    }
    docs::section("docs/dependencies.md", "conditions", &table);
}

#[test]
fn what_can_not_come_is_decided_at_the_moment_it_is_known() {
    for (condition, code, reason) in [
        (Condition::Started, 1, Some(Reason::Dependency(DB))),
        (Condition::CompletedSuccessfully, 1, Some(Reason::Dependency(DB))),
        (Condition::Healthy, 0, Some(Reason::DependencyOver(DB))),
        (Condition::Failed, 0, None),
    ] {
        let db = Svc::new("db", Script::exits(70, code).spawn_takes(30).answers(&[Answer::Never])).watched(|_| {});
        // A gate that is shut for another reason does not hold the decision back.
        let web = Svc::new("web", Script::runs()).once(2, Condition::Ready).once(0, condition);
        let slow = Svc::new("slow", Script::runs().spawn_takes(60_000));
        let mut world = World::up(vec![db, web, slow]);
        world.until(99);
        assert_eq!(world.state(1), "Initial", "{condition}");
        world.until(100);
        match reason {
            Some(reason) => world.assert_reported(100, &Report::GaveUp(ServiceId(1), reason)),
            None => {
                world.assert_reported(100, &Report::NotNeeded(ServiceId(1), DB));
                assert_eq!(world.state(1), "Finished");
            }
        }
        assert_eq!(world.spawn_order(), [0, 2]);
    }
}

#[test]
fn a_handler_of_a_failure_runs_when_it_comes_and_kill_dependents_spares_it() {
    let db = Svc::new("db", Script::exits(100, 7))
        .with(|spec| spec.failure.strategy = horust::model::FailureStrategy::KillDependents);
    let mut world = World::up(vec![
        db,
        Svc::new("alert", Script::exits(5, 0)).once(0, Condition::Failed),
        Svc::new("after", Script::exits(5, 0)).once(0, Condition::Completed),
        Svc::new("web", Script::runs()).once(0, Condition::Started),
    ]);
    assert_eq!(world.end(), 0);
    assert_eq!((world.spawns(1), world.spawns(2)), (vec![100], vec![100]));
    assert_eq!([1, 2, 3].map(|id| world.state(id)), ["Finished", "Finished", "FinishedFailed"]);
}

#[test]
fn healthy_waits_for_the_first_passing_check_and_for_as_many_as_are_asked_for() {
    let answers = [Answer::Fail(0), Answer::Pass(0)];
    let db = Svc::new("db", Script::runs().answers(&answers))
        .watched(|health| health.rounds.success_threshold = 2)
        .with(exec);
    let mut world = World::up(vec![db, Svc::new("web", Script::runs()).once(0, Condition::Healthy)]);
    world.until(5000);
    assert_eq!(world.spawns(1), [2000], "failed at 0 s, passed at 1 and 2 s");
}

#[test]
fn order_only_waits_for_what_is_on_its_way() {
    let optional = Need { required: false, ..Need::ready(DB) };
    let db = Svc::new("db", Script::exits(10, 1)).then(Script::runs().spawn_takes(50)).with(|spec| {
        spec.restart.attempts = 1;
        spec.restart.backoff = ms(500);
    });
    let web = Svc::new("web", Script::exits(5, 1)).then(Script::runs()).needs(optional).with(|spec| {
        spec.restart.attempts = 1;
        spec.restart.backoff = ms(100);
    });
    let mut world = World::up(vec![db, web]);
    world.until(2000);
    assert_eq!(world.spawns(1), [0, 560], "its second start waits for the second start of db");
}
