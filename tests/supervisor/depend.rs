//! Who waits for whom: the order of starts and stops, and what the failure of one service does to the others.

use crate::script::{OnStop, Script, Svc, ms};
use crate::world::World;
use horust::model::{FailureStrategy, Kind, RestartStrategy, ServiceId, ServiceSpec, Signal};
use horust::supervisor::{Reason, Report, StopCause};

fn oneshot(spec: &mut ServiceSpec) {
    spec.kind = Kind::Oneshot;
}

fn slow_stop() -> Script {
    Script::runs().on_stop(OnStop::Exits(50, 0))
}

#[track_caller]
fn assert_gave_up(world: &World, at: u64, id: u32, reason: Reason) {
    world.assert_reported(at, &Report::GaveUp(ServiceId(id), reason));
}

#[test]
fn a_chain_of_100_starts_in_order_and_stops_in_reverse() {
    // Each starts after the next one in the file, so that the order can't come from the file.
    let link = |id: u32| {
        let svc = Svc::new(&format!("s{id}"), Script::runs().spawn_takes(1).on_stop(OnStop::Dies(2)));
        if id < 99 { svc.after(&[id + 1]) } else { svc }
    };
    let mut world = World::up((0..100).map(link).collect());
    world.until(1000);
    assert_eq!(world.spawn_order(), (0..100).rev().collect::<Vec<u32>>());
    assert_eq!(world.spawns(0), [99]);
    world.signal(Signal::TERM);
    assert_eq!(world.end(), 0);
    assert_eq!(world.stop_order(), (0..100).collect::<Vec<u32>>());
    assert_eq!(world.now.0, 1_200_000_000, "each is asked as soon as the one before is gone");
}

#[test]
fn a_diamond_waits_for_both_sides() {
    let mut world = World::up(vec![
        Svc::new("top", slow_stop()),
        Svc::new("left", slow_stop()).after(&[0]),
        Svc::new("right", slow_stop().spawn_takes(100)).after(&[0]),
        Svc::new("bottom", slow_stop()).after(&[1, 2]),
    ]);
    world.until(500).signal(Signal::TERM);
    world.end();
    assert_eq!((world.spawns(1), world.spawns(2), world.spawns(3)), (vec![0], vec![0], vec![100]));
    assert_eq!(world.signals(3)[0].0, 500);
    assert_eq!((world.signals(1)[0].0, world.signals(2)[0].0, world.signals(0)[0].0), (550, 550, 600));
}

#[test]
fn a_oneshot_lets_others_start_once_it_is_done_and_a_daemon_once_it_runs() {
    for (kind, at) in [(Kind::Oneshot, 300), (Kind::Daemon, 0)] {
        let first = Svc::new("first", Script::exits(300, 0)).with(|spec| spec.kind = kind);
        let mut world = World::up(vec![first, Svc::new("then", Script::runs()).after(&[0])]);
        world.until(1000);
        assert_eq!(world.spawns(1), [at], "{kind:?}");
    }
}

#[test]
fn a_failed_dependency_fails_its_dependents_at_once_and_says_why() {
    let mut world = World::up(vec![
        Svc::new("c", Script::runs()).after(&[1]),
        Svc::new("b", Script::runs()).after(&[2]),
        Svc::new("a", Script::exits(10, 1)).with(oneshot),
        Svc::new("other", Script::runs()),
    ]);
    world.until(1000);
    assert_gave_up(&world, 10, 1, Reason::Dependency(ServiceId(2)));
    assert_gave_up(&world, 10, 0, Reason::Dependency(ServiceId(1)));
    assert_eq!((world.spawn_order(), world.state(3)), (vec![2, 3], "Running"));
}

#[test]
fn a_failed_dependency_fails_at_once_what_waits_out_its_start_delay() {
    let mut world = World::up(vec![
        Svc::new("a", Script::exits(10, 1)),
        Svc::new("b", Script::runs()).after(&[0]).with(|spec| spec.start_delay = ms(60_000)),
    ]);
    assert_eq!(world.until(9).state(1), "Starting");
    world.until(100);
    assert_gave_up(&world, 10, 1, Reason::Dependency(ServiceId(0)));
}

#[test]
fn a_failed_dependency_fails_at_once_what_waits_for_its_restart() {
    let mut world = World::up(vec![
        Svc::new("a", Script::exits(10, 1)),
        Svc::new("b", Script::exits(5, 1)).after(&[0]).with(|spec| {
            spec.restart.attempts = 3;
            spec.restart.backoff = ms(60_000);
        }),
    ]);
    assert_eq!(world.until(9).state(1), "Failed");
    world.until(100);
    assert_gave_up(&world, 10, 1, Reason::Dependency(ServiceId(0)));
}

#[test]
fn a_failed_dependency_leaves_alone_what_runs() {
    let mut world = World::up(vec![
        Svc::new("a", Script::exits(10, 1)), //
        Svc::new("b", Script::runs()).after(&[0]),
    ]);
    assert_eq!(world.until(100).state(1), "Running");
    assert_eq!(world.signals(1), []);
}

#[test]
fn a_dependency_that_restarts_is_waited_for() {
    let first = Svc::new("a", Script::exits(10, 1).spawn_takes(20)).then(Script::runs()).with(|spec| {
        spec.restart.attempts = 1;
        spec.restart.backoff = ms(500);
    });
    let second = Svc::new("b", Script::exits(5, 1)).then(Script::runs()).after(&[0]).with(|spec| {
        spec.restart.attempts = 1;
        spec.restart.backoff = ms(50);
    });
    let mut world = World::up(vec![first, second]);
    world.until(2000);
    assert_eq!((world.spawns(0), world.spawns(1)), (vec![0, 530], vec![20, 530]));
}

#[test]
fn kill_dependents_stops_what_starts_after_it_and_nothing_else() {
    let mut world = World::up(vec![
        Svc::new("a", Script::exits(100, 1)).with(|spec| spec.failure.strategy = FailureStrategy::KillDependents),
        Svc::new("b", slow_stop()).after(&[0]).with(|spec| spec.restart.strategy = RestartStrategy::Always),
        Svc::new("c", Script::runs()).after(&[1]),
        Svc::new("d", Script::runs()),
    ]);
    world.until(1000);
    let cause = StopCause::DiedWith(ServiceId(0));
    world.assert_reported(100, &Report::Stopping(crate::world::run(1, 1), cause));
    assert_gave_up(&world, 150, 1, Reason::DiedWith(ServiceId(0)));
    assert_eq!((world.state(2), world.state(3)), ("Running", "Running"));
    assert_eq!(world.spawns(1), [0], "what died with another is not started again");
}

#[test]
fn kill_dependents_waits_until_the_service_has_given_up() {
    let first = Svc::new("a", Script::exits(100, 1)).then(Script::runs()).with(|spec| {
        spec.failure.strategy = FailureStrategy::KillDependents;
        spec.restart.attempts = 1;
    });
    let mut world = World::up(vec![first, Svc::new("b", Script::runs()).after(&[0])]);
    assert_eq!(world.until(1000).state(1), "Running");
}

#[test]
fn die_if_failed_works_whatever_the_service_is_doing() {
    let mortal = |svc: Svc| svc.with(|spec| spec.termination.die_if_failed = vec![ServiceId(0)]);
    let mut world = World::up(vec![
        Svc::new("a", Script::exits(100, 1)),
        mortal(Svc::new("running", Script::runs())),
        mortal(Svc::new("delayed", Script::runs()).with(|spec| spec.start_delay = ms(60_000))),
        mortal(Svc::new("backing-off", Script::exits(5, 1)).with(|spec| {
            spec.restart.attempts = 3;
            spec.restart.backoff = ms(60_000);
        })),
        mortal(Svc::new("spawning", Script::runs().spawn_takes(5000))),
        mortal(Svc::new("done", Script::exits(5, 0))),
        mortal(Svc::new("never-wanted", Script::runs()).with(|spec| spec.autostart = false)),
    ]);
    world.until(200);
    for id in 1..=4 {
        assert_gave_up(&world, 100, id, Reason::DiedWith(ServiceId(0)));
    }
    assert_eq!((world.state(5), world.state(6)), ("Finished", "Initial"));
}

#[test]
fn shutdown_after_comes_on_top_of_the_reverse_order() {
    let mut world = World::up(vec![
        Svc::new("log", slow_stop()).with(|spec| spec.shutdown_after = vec![ServiceId(1)]),
        Svc::new("db", slow_stop()),
        Svc::new("web", slow_stop()).after(&[1]),
    ]);
    world.until(100).signal(Signal::TERM);
    world.end();
    assert_eq!([2, 1, 0].map(|id| world.signals(id)[0].0), [100, 150, 200]);
}

/// The order must not break where a service in the middle has already finished.
#[test]
fn a_finished_oneshot_between_two_services_keeps_their_stop_order() {
    let mut world = World::up(vec![
        Svc::new("db", slow_stop()),
        Svc::new("migrate", Script::exits(10, 0)).after(&[0]).with(oneshot),
        Svc::new("web", slow_stop()).after(&[1]),
        Svc::new("log", slow_stop()).with(|spec| spec.shutdown_after = vec![ServiceId(1)]),
    ]);
    world.until(100).signal(Signal::TERM);
    world.end();
    assert_eq!([2, 0, 3].map(|id| world.signals(id)[0].0), [100, 150, 150]);
}

#[test]
fn what_is_not_wanted_is_not_started_and_does_not_keep_horust_up() {
    let mut world = World::up(vec![
        Svc::new("a", Script::runs()).with(|spec| spec.autostart = false),
        Svc::new("b", Script::runs()).after(&[0]),
        Svc::new("c", Script::exits(10, 0)),
    ]);
    assert_eq!(world.end(), 0);
    assert_eq!((world.spawn_order(), world.now.0), (vec![2], 10_000_000));
}
