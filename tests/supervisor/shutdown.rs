//! The end of everything: who asks for it, what each service is told, and the code Horust ends with.

use crate::script::{OnStop, Script, Svc, ms, spawn_error, usr1};
use crate::world::{World, run};
use horust::model::{FailureStrategy, ServiceId, Signal};
use horust::supervisor::{Action, Event, Report, Target, stop_turns};

fn stubborn() -> Svc {
    Svc::new("stubborn", Script::runs().on_stop(OnStop::Ignores))
}

#[test]
fn a_required_service_that_gives_up_ends_everything_with_its_code() {
    for (script, code) in [
        (Script::exits(10, 7), 7),
        (Script::killed(10, Signal::KILL), 137),
        (Script::killed(10, Signal::TERM), 143),
        (Script::unspawnable(127), 127),
        (Script::unspawnable(126), 126),
    ] {
        for strategy in [true, false] {
            let first = Svc::new("a", script.clone()).with(|spec| match strategy {
                true => spec.failure.strategy = FailureStrategy::Shutdown,
                false => spec.required = true,
            });
            let mut world = World::up(vec![first, Svc::new("b", Script::runs())]);
            assert_eq!(world.end(), code);
            assert_eq!(world.state(1), "Finished");
        }
    }
}

#[test]
fn a_required_service_ends_everything_only_once_its_restarts_are_used_up() {
    let first = Svc::new("a", Script::exits(10, 7)).with(|spec| {
        spec.required = true;
        spec.restart.attempts = 2;
        spec.restart.backoff = ms(100);
    });
    let mut world = World::up(vec![first, Svc::new("b", Script::runs())]);
    assert_eq!(world.end(), 7);
    assert_eq!((world.spawns(0), world.signals(1)[0].0), (vec![0, 110, 320], 330));
}

#[test]
fn a_second_request_kills_at_once() {
    for (first, second) in [(Signal::TERM, Signal::TERM), (Signal::INT, Signal::TERM), (Signal::TERM, Signal::INT)] {
        let mut world = World::up(vec![stubborn(), stubborn().after(&[0])]);
        world.until(10).signal(first);
        assert_eq!(world.signals(0), [], "not its turn yet");
        world.until(20).signal(second);
        assert_eq!(world.end(), 0);
        assert_eq!(world.now.0, 20_000_000);
        assert_eq!(world.signals(0), [(20, Signal::KILL, Target::Tree)]);
        assert_eq!(world.signals(1), [(10, Signal::TERM, Target::Group), (20, Signal::KILL, Target::Tree)]);
    }
}

#[test]
fn the_first_request_in_a_shutdown_by_a_service_does_not_kill() {
    let first = Svc::new("a", Script::exits(10, 7)).with(|spec| spec.required = true);
    let mut world = World::up(vec![first, stubborn()]);
    world.until(20).signal(Signal::TERM);
    world.until(30);
    assert_eq!(world.signals(1), [(10, Signal::TERM, Target::Group)]);
    world.signal(Signal::TERM);
    assert_eq!(world.end(), 7);
    assert_eq!(world.now.0, 30_000_000);
}

#[test]
fn a_stop_while_spawning_reaches_the_process_and_waits_for_its_end() {
    let mut world = World::up(vec![Svc::new("a", Script::runs().spawn_takes(100))]);
    world.until(10).signal(Signal::TERM);
    assert_eq!((world.state(0), world.exit), ("InKilling", None));
    assert_eq!(world.end(), 0);
    assert_eq!(world.signals(0), [(10, Signal::TERM, Target::Group)]);
    assert_eq!(world.state(0), "Finished");
}

#[test]
fn a_spawn_that_fails_or_succeeds_after_the_stop_changes_nothing() {
    let mut world = World::up(vec![Svc::new("a", Script::runs().spawn_takes(100)), stubborn()]);
    world.until(10).signal(Signal::TERM);
    world.tell(Event::Spawned(run(0, 1)));
    assert_eq!(world.state(0), "InKilling");
    world.tell(Event::SpawnFailed(run(0, 1), spawn_error(127)));
    assert_eq!((world.state(0), world.end()), ("Finished", 0));
}

#[test]
fn a_stop_ends_start_delays_and_backoffs_at_once() {
    let delayed = Svc::new("a", Script::runs()).with(|spec| spec.start_delay = ms(60_000));
    let failed = Svc::new("b", Script::exits(5, 1)).with(|spec| {
        spec.restart.attempts = 9;
        spec.restart.backoff = ms(60_000);
    });
    let waiting = Svc::new("c", Script::runs()).after(&[0]);
    let mut world = World::up(vec![delayed, failed, waiting]);
    world.until(10);
    assert_eq!([0, 1, 2].map(|id| world.state(id)), ["Starting", "Failed", "Initial"]);
    world.signal(Signal::TERM);
    assert_eq!((world.exit, world.spawn_order()), (Some(0), vec![1]));
    assert_eq!([0, 1, 2].map(|id| world.state(id)), ["Finished"; 3]);
}

#[test]
fn nothing_is_run_again_during_a_shutdown() {
    let first = Svc::new("a", Script::exits(50, 1)).with(|spec| {
        spec.restart.strategy = horust::model::RestartStrategy::Always;
    });
    let mut world = World::up(vec![first, stubborn().after(&[0])]);
    world.until(10).signal(Signal::TERM);
    assert_eq!(world.end(), 0);
    assert_eq!((world.spawns(0), world.state(0)), (vec![0], "Finished"));
    assert_eq!(world.now.0, 5_010_000_000, "the other one took its `wait`");
}

#[test]
fn a_rewritten_stop_signal_is_what_the_service_gets() {
    let rewrite = |to| Svc::new("a", Script::runs()).with(|spec| spec.signal_rewrite = vec![(Signal::TERM, to)]);
    let mut world = World::up(vec![rewrite(Some(Signal::QUIT))]);
    world.until(10).signal(Signal::TERM);
    assert_eq!((world.end(), world.signals(0)), (0, vec![(10, Signal::QUIT, Target::Group)]));
    let mut dropped = World::up(vec![rewrite(None)]);
    dropped.until(10).signal(Signal::TERM);
    assert_eq!((dropped.end(), dropped.signals(0)), (0, vec![(5010, Signal::KILL, Target::Tree)]));
    let mut other = World::up(vec![rewrite(None)]);
    other.until(10).signal(Signal::INT);
    assert_eq!((other.end(), other.signals(0)), (0, vec![(10, Signal::TERM, Target::Group)]));
}

#[test]
fn a_shutdown_by_a_service_rewrites_nothing() {
    let first = Svc::new("a", Script::exits(10, 7)).with(|spec| spec.required = true);
    let second = Svc::new("b", Script::runs()).with(|spec| spec.signal_rewrite = vec![(Signal::TERM, None)]);
    let mut world = World::up(vec![first, second]);
    assert_eq!((world.end(), world.signals(1)), (7, vec![(10, Signal::TERM, Target::Group)]));
}

#[test]
fn usr1_is_forwarded_to_the_main_process_of_what_is_alive() {
    let mut world = World::up(vec![
        Svc::new("plain", Script::runs()),
        Svc::new("rewritten", Script::runs()).with(|spec| spec.signal_rewrite = vec![(usr1(), Some(Signal::HUP))]),
        Svc::new("dropped", Script::runs()).with(|spec| spec.signal_rewrite = vec![(usr1(), None)]),
        Svc::new("done", Script::exits(5, 0)),
        Svc::new("waiting", Script::runs()).with(|spec| spec.start_delay = ms(60_000)),
    ]);
    world.until(10).signal(usr1());
    assert_eq!(world.signals(0), [(10, usr1(), Target::Leader)]);
    assert_eq!(world.signals(1), [(10, Signal::HUP, Target::Leader)]);
    assert_eq!([2, 3, 4].map(|id| world.signals(id).len()), [0; 3]);
    assert_eq!(world.state(0), "Running");
}

#[test]
fn hup_reads_the_configuration_again_unless_all_is_being_stopped() {
    let mut world = World::up(vec![Svc::new("a", Script::runs())]);
    world.until(10).signal(Signal::HUP);
    let loads = |world: &World| world.log.iter().filter(|(_, action)| *action == Action::Load).count();
    assert_eq!((world.signals(0), world.state(0), world.exit, loads(&world)), (vec![], "Running", None, 1));
    world.until(20).signal(Signal::TERM);
    world.signal(Signal::HUP);
    world.assert_reported(20, &Report::IgnoredSignal(Signal::HUP));
    assert_eq!(loads(&world), 1);
}

#[test]
fn no_services_are_an_end() {
    assert_eq!(World::up(vec![]).exit, Some(0));
}

#[test]
fn a_clean_stop_is_finished_and_no_failure() {
    for script in [Script::runs(), Script::runs().on_stop(OnStop::Exits(5, 3)), Script::runs().on_stop(OnStop::Ignores)]
    {
        let mut world = World::up(vec![Svc::new("a", script).with(|spec| spec.required = true)]);
        world.until(10).signal(Signal::TERM);
        assert_eq!((world.end(), world.state(0)), (0, "Finished"));
        assert!(!world.reports().iter().any(|(_, report)| matches!(report, Report::GaveUp(ServiceId(0), _))));
    }
}

/// What a rescue goes by, which has no supervisor.
#[test]
fn the_order_of_stops_as_turns() {
    let later = |of: &'static [u32]| {
        move |spec: &mut horust::model::ServiceSpec| spec.shutdown_after = of.iter().copied().map(ServiceId).collect()
    };
    let world = World::new(vec![
        Svc::new("db", Script::runs()),
        Svc::new("cache", Script::runs()).after(&[0]),
        Svc::new("web", Script::runs()).after(&[0, 1]),
        Svc::new("alone", Script::runs()),
        Svc::new("logs", Script::runs()).with(later(&[0, 3])),
    ]);
    assert_eq!(stop_turns(&world.plan), [2, 1, 0, 0, 3]);
    let mut without_web = world.plan.clone();
    without_web.listed = Some([4, 3, 1, 0].map(ServiceId).to_vec());
    assert_eq!(stop_turns(&without_web), [1, 0, 0, 0, 2], "what is no part of the configuration holds up nobody");
}
