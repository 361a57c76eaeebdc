//! The stop ladder of one run: who gets which signal and when, and what is left behind.

use crate::script::{Answer, OnStop, Script, Svc, ms};
use crate::world::{World, run};
use horust::model::{Hook, Kind, RestartStrategy, ServiceId, Signal};
use horust::supervisor::{Action, Command, Reason, Report, StopCause, Target, Why};

fn svc(script: Script) -> Svc {
    Svc::new("a", script).with(|spec| spec.termination.wait = ms(300))
}

/// The world at 10 ms, when it is asked to stop.
fn stopped(svc: Svc) -> World {
    let mut world = World::up(vec![svc]);
    world.until(10).signal(Signal::TERM);
    world
}

#[test]
fn the_stop_signal_comes_first_and_sigkill_exactly_after_wait() {
    let mut world = stopped(svc(Script::runs().on_stop(OnStop::Ignores)).with(|spec| {
        spec.termination.signal = Signal::INT;
    }));
    assert_eq!(world.end(), 0);
    assert_eq!(world.signals(0), [(10, Signal::INT, Target::Group), (310, Signal::KILL, Target::Tree)]);
    world.assert_reported(310, &Report::Killing(run(0, 1), ms(300)));
    assert_eq!(world.now.0, 310_000_000);
}

#[test]
fn what_ends_in_time_is_not_killed() {
    let mut world = stopped(svc(Script::runs().on_stop(OnStop::Exits(299, 0))));
    assert_eq!((world.end(), world.now.0), (0, 309_000_000));
    assert_eq!(world.signals(0).len(), 1);
}

#[test]
fn an_end_at_the_very_deadline_is_seen_before_it() {
    let mut world = stopped(svc(Script::runs().on_stop(OnStop::Exits(300, 0))));
    assert_eq!((world.end(), world.signals(0).len()), (0, 1));
}

#[test]
fn a_wait_of_zero_kills_at_once() {
    let mut world = stopped(svc(Script::runs()).with(|spec| spec.termination.wait = ms(0)));
    assert_eq!((world.end(), world.signals(0)), (0, vec![(10, Signal::KILL, Target::Tree)]));
}

#[test]
fn what_a_main_process_leaves_behind_is_stopped_before_the_run_counts_as_ended() {
    let script = Script::exits(20, 0).helper(false, OnStop::Exits(100, 0)).helper(true, OnStop::Exits(50, 0));
    let mut world = World::up(vec![svc(script).with(|spec| spec.restart.strategy = RestartStrategy::Always)]);
    world.until(119);
    assert_eq!((world.state(0), world.signals(0)), ("InKilling", vec![(20, Signal::TERM, Target::Tree)]));
    world.until(130);
    assert_eq!((world.spawns(0), world.state(0)), (vec![0, 120], "Running"), "never two runs at once");
}

#[test]
fn leftovers_that_ignore_the_stop_signal_are_killed_after_wait() {
    for (code, state) in [(0, "Finished"), (1, "FinishedFailed")] {
        let mut world = World::up(vec![svc(Script::exits(20, code).helper(true, OnStop::Ignores))]);
        world.end();
        assert_eq!(world.signals(0), [(20, Signal::TERM, Target::Tree), (320, Signal::KILL, Target::Tree)]);
        assert_eq!((world.state(0), world.now.0), (state, 320_000_000));
    }
}

#[test]
fn leftovers_with_a_wait_of_zero_are_killed_at_once() {
    let script = Script::exits(20, 0).helper(false, OnStop::Ignores);
    let mut world = World::up(vec![svc(script).with(|spec| spec.termination.wait = ms(0))]);
    world.end();
    assert_eq!((world.signals(0), world.now.0), (vec![(20, Signal::KILL, Target::Tree)], 20_000_000));
}

#[test]
fn strays_get_the_stop_signal_when_their_main_process_has_ended() {
    let script = Script::runs().helper(true, OnStop::Exits(40, 0)).helper(false, OnStop::Exits(5, 0));
    let mut world = stopped(svc(script.on_stop(OnStop::Exits(10, 0))));
    assert_eq!(world.end(), 0);
    assert_eq!(world.signals(0), [(10, Signal::TERM, Target::Group), (20, Signal::TERM, Target::Strays)]);
    assert_eq!(world.now.0, 60_000_000);
}

#[test]
fn a_tree_that_ignores_everything_takes_no_longer_than_wait() {
    let script = Script::runs().helper(false, OnStop::Ignores).helper(true, OnStop::Ignores);
    let mut world = stopped(svc(script.on_stop(OnStop::Dies(200))));
    assert_eq!((world.end(), world.now.0), (0, 310_000_000));
    assert_eq!(world.alive(), []);
}

#[test]
fn a_stop_during_the_end_of_leftovers_does_not_start_their_wait_again() {
    let mut world = World::up(vec![svc(Script::exits(20, 1).helper(true, OnStop::Ignores))]);
    world.until(200).signal(Signal::TERM);
    assert_eq!((world.end(), world.now.0), (0, 320_000_000));
    assert_eq!(world.state(0), "Finished", "it was stopped before it counted as failed");
}

#[test]
fn what_would_not_die_is_told_and_horust_goes_on() {
    let mut script = Script::runs().on_stop(OnStop::Ignores);
    script.unkillable = true;
    let mut world = stopped(svc(script));
    assert_eq!(world.end(), 0);
    world.assert_reported(5310, &Report::Unkillable(run(0, 1)));
    assert_eq!(world.alive(), [ServiceId(0)]);
}

#[test]
fn there_is_no_second_copy_of_what_would_not_die() {
    let mut script = Script::runs().on_stop(OnStop::Ignores).answers(&[Answer::Pass(0), Answer::Fail(0)]);
    script.unkillable = true;
    let first = svc(script).watched(|health| health.max_failed = 0);
    let first = first.with(|spec| spec.restart.strategy = RestartStrategy::Always);
    let mut world = World::up(vec![first, Svc::new("b", Script::runs())]);
    world.until(60_000);
    let why = StopCause::Unhealthy("scripted".into());
    world.assert_reported(2000, &Report::Stopping(run(0, 1), why));
    world.assert_reported(7300, &Report::GaveUp(ServiceId(0), Reason::Unkillable));
    assert_eq!(world.spawns(0), [0]);
}

/// A service that ignores every signal, beside one that keeps Horust up, in a world where it has been given up.
fn unkillable() -> World {
    let mut script = Script::runs().on_stop(OnStop::Ignores);
    script.unkillable = true;
    let mut world = World::up(vec![svc(script), Svc::new("b", Script::runs())]);
    world.until(100).command(Command::Stop(ServiceId(0))).until(60_000);
    assert_eq!((world.state(0), world.alive()), ("FinishedFailed", vec![ServiceId(0), ServiceId(1)]));
    world
}

#[test]
fn what_would_not_die_is_started_by_hand_only_once_it_has_gone() {
    for command in [Command::Start(ServiceId(0)), Command::Restart(ServiceId(0))] {
        let mut world = unkillable();
        world.command(command).until(70_000);
        assert_eq!(world.spawns(0), [0], "{command:?}");
        let status = world.supervisor.status(ServiceId(0)).unwrap();
        assert!(status.remains && status.state == "FinishedFailed", "{command:?}: {status:?}");
        assert_eq!(world.supervisor.explain(ServiceId(0))[0].why, Why::Remains, "{command:?}");

        world.release(run(0, 1)).until(80_000);
        world.assert_reported(70_000, &Report::Vanished(run(0, 1)));
        assert_eq!(world.spawns(0), [0], "{command:?}: nobody has asked for it since");
        assert_eq!(world.supervisor.explain(ServiceId(0))[0].why, Why::Failed(Reason::Unkillable), "{command:?}");
        world.command(command).until(90_000);
        assert_eq!((world.spawns(0), world.state(0)), (vec![0, 80_000], "Running"), "{command:?}");
    }
}

/// What needs it fails with it at once, and says so: it does not wait for a disk that may never come back.
#[test]
fn what_needs_a_service_that_would_not_die_fails_with_it() {
    let mut script = Script::runs().on_stop(OnStop::Ignores);
    script.unkillable = true;
    let after = Svc::new("web", Script::runs()).with(|spec| spec.autostart = false).after(&[0]);
    let mut world = World::up(vec![svc(script), after, Svc::new("c", Script::runs())]);
    world.until(100).command(Command::Stop(ServiceId(0))).until(60_000);
    world.command(Command::Start(ServiceId(1))).until(60_100);
    assert_eq!((world.spawns(1), world.state(1)), (vec![], "FinishedFailed"));
    let chain: Vec<Why> = world.supervisor.explain(ServiceId(1)).into_iter().map(|link| link.why).collect();
    assert_eq!(chain, [Why::Failed(Reason::Dependency(ServiceId(0))), Why::Remains]);
}

#[test]
fn a_reload_does_not_start_a_second_copy_of_what_would_not_die_either() {
    let other = || Svc::new("b", Script::runs());
    let again = || svc(Script::runs()).with(|spec| spec.kind = Kind::Oneshot);
    // With other keys, and after it was removed and has come back.
    for reloads in [vec![vec![again(), other()]], vec![vec![other()], vec![again(), other()]]] {
        let mut world = unkillable();
        let count = reloads.len();
        for services in reloads {
            let next = world.now.0 / 1_000_000 + 1000;
            world.reload(services).until(next);
        }
        let id = world.find("a").unwrap();
        assert_eq!((id, world.spawns(0), world.spawns(2)), (ServiceId(0), vec![0], vec![]), "{count}");
        assert_eq!(world.supervisor.explain(id)[0].why, Why::Remains, "{count}");
        world.release(run(0, 1)).until(70_000).command(Command::Start(id)).until(80_000);
        assert_eq!((world.spawns(0), world.state(0)), (vec![0, 70_000], "Running"), "{count}");
    }
}

/// Found by the simulation: a hook that had ended was cancelled once more, by the SIGKILL that came in the same step.
#[test]
fn a_hook_that_has_ended_is_not_cancelled() {
    for ends in [Answer::Pass(5), Answer::Fail(5)] {
        let script = Script::runs().hook(Hook::BeforeStop, ends);
        let svc = Svc::new("a", script).hooks(&[Hook::BeforeStop]).with(|spec| spec.termination.wait = ms(0));
        let mut world = stopped(svc);
        world.end();
        let cancelled = world.log.iter().filter(|(_, action)| matches!(action, Action::CancelHook(_))).count();
        assert_eq!(cancelled, 0, "{ends:?}");
    }
}

/// The same, where the main process ends while the hook still runs: it is cancelled, but only once.
#[test]
fn a_hook_is_cancelled_once() {
    let script = Script::exits(15, 0).helper(true, OnStop::Dies(0)).hook(Hook::BeforeStop, Answer::Never);
    let mut world =
        stopped(Svc::new("a", script).hooks(&[Hook::BeforeStop]).with(|spec| spec.termination.wait = ms(0)));
    world.end();
    let cancelled = world.log.iter().filter(|(_, action)| matches!(action, Action::CancelHook(_))).count();
    assert_eq!(cancelled, 1);
}
