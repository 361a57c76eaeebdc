//! What the failure of a service does to those that run and need it. What is seen here is a table of docs/dependencies.md.

use crate::docs;
use crate::script::{OnStop, Script, Svc, ms};
use crate::world::{World, run};
use horust::model::{Condition, Exit, FailureStrategy, Need, RestartStrategy, ServiceId, Settings};
use horust::supervisor::{Command, Reason, Report, StopCause};
use std::fmt::Write;

const DB: ServiceId = ServiceId(0);
const WEB: ServiceId = ServiceId(1);

fn strategies() -> [(&'static str, FailureStrategy, bool); 6] {
    use FailureStrategy::*;
    [
        ("`ignore`", Ignore, false),
        ("`restart-dependents`", RestartDependents, false),
        ("`kill-dependents`", KillDependents, false),
        ("`kill-dependents`, `on = \"every-failure\"`", KillDependents, true),
        ("`shutdown`", Shutdown, false),
        ("`shutdown`, `on = \"every-failure\"`", Shutdown, true),
    ]
}

/// What happens to `db` after a second, in words.
#[derive(Clone, Copy)]
enum Fate {
    FailsAndComesBack,
    FailsForGood,
    EndsAndComesBack,
    Finishes,
    Stopped,
    Restarted,
}

const FATES: [(&str, Fate); 6] = [
    ("fails, and is run again", Fate::FailsAndComesBack),
    ("fails for good", Fate::FailsForGood),
    ("ends with success, and is run again", Fate::EndsAndComesBack),
    ("finishes", Fate::Finishes),
    ("is stopped by hand", Fate::Stopped),
    ("is restarted by hand", Fate::Restarted),
];

/// `web` runs when it happens to `db`.
fn what_web_does(strategy: FailureStrategy, every_failure: bool, fate: Fate) -> &'static str {
    let script = match fate {
        Fate::FailsAndComesBack | Fate::FailsForGood => Script::exits(1000, 7),
        Fate::EndsAndComesBack | Fate::Finishes => Script::exits(1000, 0),
        Fate::Stopped | Fate::Restarted => Script::runs(),
    };
    let db = Svc::new("db", script).then(Script::runs()).with(|spec| {
        spec.failure.strategy = strategy;
        spec.failure.every_failure = every_failure;
        spec.restart.backoff = ms(100);
        spec.restart.strategy = match fate {
            Fate::FailsAndComesBack => RestartStrategy::OnFailure,
            Fate::EndsAndComesBack => RestartStrategy::Always,
            _ => RestartStrategy::Never,
        };
    });
    let web = Svc::new("web", Script::runs().on_stop(OnStop::Exits(50, 0))).after(&[0]);
    let mut world = World::up(vec![db, web, Svc::new("other", Script::runs())]);
    world.until(1000);
    match fate {
        Fate::Stopped => drop(world.command(Command::Stop(DB))),
        Fate::Restarted => drop(world.command(Command::Restart(DB))),
        _ => {}
    }
    world.until(5000);
    match (world.exit, world.spawns(1).len(), world.state(1)) {
        (Some(7), _, _) => "everything stops, exit code 7",
        (None, 1, "Running") => "goes on",
        (None, 2, "Running") => "is run again once `db` is ready",
        (None, 1, "FinishedFailed") => "is stopped and fails",
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_strategy_against_everything_that_happens_to_a_dependency() {
    let mut table = "| `db` |".to_owned();
    strategies().iter().for_each(|(name, ..)| write!(table, " {name} |").unwrap());
    table += "\n|---|---|---|---|---|---|---|\n";
    for (what, fate) in FATES {
        write!(table, "| {what} |").unwrap();
        for (_, strategy, every) in strategies() {
            write!(table, " {} |", what_web_does(strategy, every, fate)).unwrap();
        }
        table.push('\n');
    }
    docs::section("docs/dependencies.md", "strategies", &table);
}

fn restarting(svc: Svc) -> Svc {
    svc.with(|spec| {
        spec.failure.strategy = FailureStrategy::RestartDependents;
        spec.restart.strategy = RestartStrategy::OnFailure;
    })
}

#[test]
fn a_dependent_is_run_again_when_its_own_condition_is_true_again() {
    let answers = [crate::script::Answer::Fail(0), crate::script::Answer::Pass(0)];
    let script = Script::runs().answers(&answers);
    let db = Svc::new("db", Script::exits(5000, 1).answers(&answers)).then(script).watched(|_| {});
    let db = restarting(db).with(|spec| spec.readiness = horust::model::Readiness::Exec);
    let mut world = World::up(vec![
        db,
        Svc::new("by-exec", Script::runs()).once(0, Condition::Started),
        Svc::new("by-health", Script::runs()).once(0, Condition::Healthy),
        Svc::new("by-order", Script::runs()).needs(Need { required: false, ..Need::ready(DB) }),
        Svc::new("handler", Script::runs()).once(0, Condition::Failed),
    ]);
    world.until(20_000);
    assert_eq!((world.spawns(1), world.spawns(2)), (vec![0, 5000], vec![1000, 6000]));
    assert_eq!((world.spawns(3), world.spawns(4)), (vec![0], vec![]), "these don't need it to be well");
    world.assert_reported(6000, &Report::Stopping(run(2, 1), StopCause::Renewed(DB)));
}

#[test]
fn a_chain_is_run_again_as_far_as_each_of_it_wants_it() {
    let script = || Script::runs().on_stop(OnStop::Exits(10, 0));
    let mut world = World::up(vec![
        restarting(Svc::new("db", Script::exits(1000, 1)).then(script())),
        restarting(Svc::new("app", script())).after(&[0]),
        Svc::new("web", script()).after(&[1]),
        Svc::new("cdn", script()).after(&[2]),
    ]);
    world.until(5000);
    assert_eq!((world.spawns(1), world.spawns(2), world.spawns(3)), (vec![0, 1010], vec![0, 1020], vec![0]));
    assert!(world.supervisor.snapshot().iter().all(|status| status.failures <= 1), "it counts as no failure of theirs");
}

#[test]
fn what_has_ended_by_itself_is_not_run_twice() {
    let db = restarting(Svc::new("db", Script::exits(1000, 1)).then(Script::runs())).with(|spec| {
        spec.restart.backoff = ms(500);
    });
    let failing = Svc::new("web", Script::exits(1100, 1)).then(Script::runs()).after(&[0]).with(|spec| {
        spec.restart.strategy = RestartStrategy::OnFailure;
    });
    let done = Svc::new("job", Script::exits(1200, 0)).after(&[0]);
    let mut world = World::up(vec![db, failing, done]);
    world.until(5000);
    assert_eq!((world.spawns(1), world.spawns(2)), (vec![0, 1500], vec![0]));
}

#[test]
fn a_shutdown_at_every_failure_does_not_wait_for_restarts_and_tells_the_code() {
    let db = Svc::new("db", Script::killed(100, horust::model::Signal::KILL)).with(|spec| {
        spec.failure.strategy = FailureStrategy::Shutdown;
        spec.failure.every_failure = true;
        spec.restart.strategy = RestartStrategy::Always;
    });
    let mut world = World::up(vec![db.clone(), Svc::new("web", Script::runs())]);
    assert_eq!((world.end(), world.spawns(0)), (137, vec![0]));
    let settings = Settings { unsuccessful_exit_finished_failed: true, ..Settings::default() };
    let mut flagged = World::with(vec![db], settings, 1, 0);
    flagged.boot();
    assert_eq!(flagged.end(), 101, "scripts that give the flag look for this");
}

#[test]
fn kill_dependents_at_every_failure_leaves_alone_what_dies_by_its_own_wish() {
    let db = Svc::new("db", Script::exits(100, 1)).then(Script::runs()).with(|spec| {
        spec.failure.strategy = FailureStrategy::KillDependents;
        spec.failure.every_failure = true;
        spec.restart.attempts = 1;
    });
    let mortal = Svc::new("mortal", Script::runs()).with(|spec| spec.termination.die_if_failed = vec![DB]);
    let mut world = World::up(vec![db, Svc::new("web", Script::runs()).after(&[0]), mortal]);
    world.until(1000);
    world.assert_reported(100, &Report::GaveUp(WEB, Reason::DiedWith(DB)));
    assert_eq!((world.state(0), world.state(2)), ("Running", "Running"));
}

/// A dependency that flaps for a minute with ten dependents.
#[test]
fn a_storm_of_restarts_stays_bounded_and_nothing_is_lost_or_doubled() {
    for (strategy, latency) in
        [(FailureStrategy::RestartDependents, 0), (FailureStrategy::Ignore, 3), (FailureStrategy::RestartDependents, 7)]
    {
        // It ends at once 600 times, which takes a minute, for it is held to ten starts a second; then it holds still.
        let mut db = Svc::new("db", Script::exits(40, 1).spawn_takes(2)).with(|spec| {
            spec.failure.strategy = strategy;
            spec.restart.strategy = RestartStrategy::Always;
        });
        db.scripts = vec![db.scripts[0].clone(); 600];
        let db = db.then(Script::runs());
        let mut services = vec![db];
        for n in 0..10u64 {
            let script = Script::runs().spawn_takes(1 + n).on_stop(OnStop::Exits(n * 13, 0));
            let dependent =
                if n % 2 == 0 { script } else { Script { ends: Some((n * 11 + 5, Exit::Code(1))), ..script } };
            services.push(Svc::new(&format!("web{n}"), dependent).after(&[0]).with(|spec| {
                spec.restart.strategy = RestartStrategy::Always;
                spec.restart.backoff = ms(20);
            }));
        }
        let mut world = World::with(services, Settings::default(), 1, latency);
        world.boot();
        world.until(80_000);
        let (starts, calm) = (world.spawns(0).len(), *world.spawns(0).last().unwrap());
        assert_eq!(starts, 601);
        assert!((58_000..62_000).contains(&calm), "{calm}");
        for id in 1..=10 {
            let runs = world.spawns(id);
            let fails = id % 2 == 0;
            // Each start of `db` can set off one of each dependent; those that fail by themselves go on with that.
            let most = starts + if fails { 20_000 / 20 } else { 0 };
            assert!(runs.len() <= most, "{id}: {} of {starts}", runs.len());
            if strategy == FailureStrategy::RestartDependents && !fails {
                assert!(runs.iter().any(|at| (calm..calm + 500).contains(at)), "{id} has lost its last restart");
            }
            assert!(fails || world.state(id) == "Running", "{id}: {}", world.state(id));
        }
        // (The checker has seen to it that there was never a second run of anything.)
        assert!(world.steps < 60_000, "{} steps", world.steps);
        assert!(world.log.len() < 100_000, "{} actions", world.log.len());
    }
}
