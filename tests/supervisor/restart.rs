//! When a service is run again, how long that takes, and when it is given up.

use crate::script::{Script, Svc, ms, spawn_error};
use crate::world::{World, run};
use horust::model::{Exit, RestartStrategy, ServiceId, Settings, Signal};
use horust::supervisor::{Event, Reason, Report};

const STRATEGIES: [RestartStrategy; 3] = [RestartStrategy::Never, RestartStrategy::OnFailure, RestartStrategy::Always];

fn restarting(script: Script, strategy: RestartStrategy, attempts: u32, backoff: u64) -> Svc {
    Svc::new("a", script).with(|spec| {
        spec.restart.strategy = strategy;
        spec.restart.attempts = attempts;
        spec.restart.backoff = ms(backoff);
    })
}

#[test]
fn three_attempts_are_four_runs_for_every_strategy() {
    for strategy in STRATEGIES {
        let mut world = World::up(vec![restarting(Script::exits(0, 1), strategy, 3, 200)]);
        assert_eq!(world.end(), 0, "{strategy:?}");
        assert_eq!(world.spawns(0), [0, 200, 600, 1200], "{strategy:?}");
        assert_eq!(world.state(0), "FinishedFailed");
        world.assert_reported(1200, &Report::GaveUp(ServiceId(0), Reason::Exit(Exit::Code(1))));
    }
}

#[test]
fn no_attempts_are_none_for_never_and_unlimited_for_the_others() {
    for (strategy, runs) in STRATEGIES.into_iter().zip([1, 101, 101]) {
        let mut world = World::up(vec![restarting(Script::exits(500, 1), strategy, 0, 0)]);
        world.until(50_000);
        assert_eq!(world.spawns(0).len(), runs, "{strategy:?}");
    }
}

#[test]
fn after_a_success_only_always_goes_on() {
    for (strategy, runs) in STRATEGIES.into_iter().zip([1, 1, 11]) {
        let mut world = World::up(vec![restarting(Script::exits(500, 0), strategy, 3, 200)]);
        world.until(5_000);
        assert_eq!(world.spawns(0).len(), runs, "{strategy:?}");
        assert_eq!(world.state(0), if runs == 1 { "Finished" } else { "Running" });
    }
}

#[test]
fn a_signal_is_a_failure_and_listed_codes_are_not() {
    let mut world = World::up(vec![
        Svc::new("killed", Script::killed(5, Signal::KILL)),
        Svc::new("listed", Script::exits(5, 9))
            .with(|spec| spec.failure.codes = horust::model::ExitCodes::Successful(vec![9])),
        Svc::new("counted", Script::exits(5, 9))
            .with(|spec| spec.failure.codes = horust::model::ExitCodes::Failing(vec![9])),
    ]);
    world.end();
    assert_eq!([0, 1, 2].map(|id| world.state(id)), ["FinishedFailed", "Finished", "FinishedFailed"]);
}

#[test]
fn a_run_that_was_running_for_reset_after_starts_the_count_afresh() {
    for (lasts, spawns) in [(999, vec![0, 110]), (1000, vec![0, 110, 1210]), (1500, vec![0, 110, 1710])] {
        let svc = restarting(Script::exits(10, 1), RestartStrategy::OnFailure, 1, 100)
            .then(Script::exits(lasts, 1))
            .then(Script::exits(10, 1))
            .with(|spec| spec.restart.reset_after = ms(1000));
        let mut world = World::up(vec![svc]);
        world.end();
        assert_eq!(world.spawns(0), spawns, "{lasts}");
    }
}

#[test]
fn what_succeeds_at_once_is_held_to_ten_starts_a_second() {
    let mut world = World::up(vec![restarting(Script::exits(1, 0), RestartStrategy::Always, 0, 0)]);
    world.until(400);
    assert_eq!(world.spawns(0), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 109, 209, 309]);
    let said = world.reports().iter().filter(|(_, report)| matches!(report, Report::Throttled(_))).count();
    assert_eq!(said, 1, "it is said once");
}

#[test]
fn throttle_off_holds_nothing_back() {
    let svc = restarting(Script::exits(1, 0), RestartStrategy::Always, 0, 0).with(|spec| spec.restart.throttle = false);
    let mut world = World::up(vec![svc]);
    world.until(400);
    assert_eq!(world.spawns(0).len(), 401);
}

#[test]
fn failed_spawns_count() {
    let mut world = World::up(vec![restarting(Script::unspawnable(127), RestartStrategy::Always, 2, 100)]);
    world.end();
    assert_eq!(world.spawns(0), [0, 100, 300]);
    assert_eq!(world.supervisor.snapshot()[0].reason, Some(Reason::Spawn(spawn_error(127))));
}

#[test]
fn start_delay_comes_before_every_start() {
    let svc = restarting(Script::exits(10, 1), RestartStrategy::Never, 1, 200).with(|spec| spec.start_delay = ms(500));
    let mut world = World::up(vec![svc]);
    assert_eq!(world.until(499).state(0), "Starting");
    world.end();
    assert_eq!(world.spawns(0), [500, 1210]);
}

#[test]
fn facts_about_an_older_run_are_dropped() {
    let script = Script::exits(10, 1);
    let mut world = World::up(vec![restarting(script, RestartStrategy::OnFailure, 1, 100).then(Script::runs())]);
    world.until(200);
    assert_eq!((world.state(0), world.spawns(0).len()), ("Running", 2));
    let exit = Exit::Code(0);
    for old in [run(0, 1), run(0, 0), run(0, 3), run(7, 1)] {
        for event in [
            Event::Spawned(old),
            Event::SpawnFailed(old, spawn_error(127)),
            Event::Exited { run: old, exit, left: false },
            Event::Exited { run: old, exit, left: true },
            Event::TreeEmpty(old),
        ] {
            let actions = world.log.len();
            world.tell(event.clone());
            assert_eq!((world.state(0), world.log.len()), ("Running", actions), "{event:?}");
        }
    }
}

#[test]
fn the_exit_flag_tells_of_failures_but_not_of_a_clean_stop() {
    let settings = Settings { unsuccessful_exit_finished_failed: true, ..Settings::default() };
    for (script, code) in [(Script::exits(5, 1), 101), (Script::exits(5, 0), 0), (Script::runs(), 0)] {
        let mut world = World::with(vec![Svc::new("a", script)], settings.clone(), 1, 0);
        world.boot();
        world.until(100);
        if world.exit.is_none() {
            world.signal(Signal::TERM);
        }
        assert_eq!(world.end(), code);
    }
    assert_eq!(World::up(vec![Svc::new("a", Script::exits(5, 1))]).end(), 0, "without the flag");
}

/// A supervisor must also live long without a stop.
#[test]
fn a_long_life_stays_bounded() {
    let svc = Svc::new("busy", Script::exits(2, 0)).with(|spec| spec.restart.strategy = RestartStrategy::Always);
    let mut world = World::up(vec![svc]);
    world.until(60_000);
    let spawns = world.spawns(0).len();
    assert!((590..=612).contains(&spawns), "ten a second: {spawns}");
    assert_eq!(world.now.0, 60_000_000_000);
}
