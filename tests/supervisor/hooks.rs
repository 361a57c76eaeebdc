//! Hooks and the stop command: when they run, how long, and what follows when they fail, hang or are called off.

use crate::script::{Answer, OnStop, Script, Svc, ms};
use crate::world::{World, run};
use horust::model::{Command, Exit, Hook, HookId, RestartStrategy, Scope, ServiceId, Signal};
use horust::supervisor::{Action, Reason, Report, Target};

use Answer::{Fail, Never, Pass};
use Hook::{AfterReady, AfterStop, BeforeStart, BeforeStop, OnFailure, Stop};

const A: ServiceId = ServiceId(0);
const ALL: [Hook; 5] = [BeforeStart, AfterReady, BeforeStop, AfterStop, OnFailure];

fn slow_stop() -> Script {
    Script::runs().on_stop(OnStop::Exits(50, 0))
}

fn cancelled(world: &World) -> Vec<(u64, Hook)> {
    let cancelled = world.log.iter().filter_map(|(at, action)| match action {
        Action::CancelHook(HookId { hook, .. }) => Some((at.0 / 1_000_000, *hook)),
        _ => None,
    });
    cancelled.collect()
}

fn hook_failed(hook: Hook, why: &str) -> Report {
    Report::HookFailed(run(0, 1), hook, why.into())
}

#[test]
fn each_has_its_time_in_a_life_and_what_comes_next_waits() {
    let script = slow_stop().hook(BeforeStart, Pass(10)).hook(AfterReady, Pass(20)).hook(BeforeStop, Pass(30));
    let a = Svc::new("a", script.hook(AfterStop, Pass(40)).spawn_takes(5)).hooks(&ALL);
    let mut world = World::up(vec![a, Svc::new("b", Script::runs()).after(&[0])]);
    world.until(9);
    assert_eq!((world.state(0), world.spawns(0)), ("Starting", vec![]));
    world.until(100);
    assert_eq!((world.spawns(0), world.spawns(1)), (vec![10], vec![15]), "nobody waits for after-ready");
    world.signal(Signal::TERM);
    assert_eq!(world.end(), 0);
    assert_eq!(world.hooks(0), [(0, BeforeStart), (15, AfterReady), (100, BeforeStop), (180, AfterStop)]);
    assert_eq!(world.signals(0), [(130, Signal::TERM, Target::Group)]);
    assert_eq!(world.now.0, 220_000_000);
}

#[test]
fn a_failed_before_start_is_a_failed_start() {
    let failing = Script::runs().hook(BeforeStart, Fail(10));
    let a = Svc::new("a", failing).hooks(&ALL).with(|spec| {
        spec.restart.attempts = 1;
        spec.restart.backoff = ms(100);
    });
    let mut world = World::up(vec![a, Svc::new("b", Script::runs()).after(&[0])]);
    world.end();
    let reason = Reason::Hook(BeforeStart, "scripted".into());
    assert_eq!(reason.code(), 1);
    world.assert_reported(10, &hook_failed(BeforeStart, "scripted"));
    world.assert_reported(120, &Report::GaveUp(A, reason.clone()));
    world.assert_reported(120, &Report::GaveUp(ServiceId(1), Reason::Dependency(A)));
    assert_eq!(world.spawn_order(), [0u32; 0]);
    let twice =
        [(0, BeforeStart), (10, AfterStop), (10, OnFailure), (110, BeforeStart), (120, AfterStop), (120, OnFailure)];
    assert_eq!(world.hooks(0), twice);
    let told = world.log.iter().filter(
        |(_, action)| matches!(action, Action::StartHook(HookId { hook: OnFailure, .. }, Some(why)) if *why == reason),
    );
    assert_eq!(told.count(), 2, "on-failure is told why");
}

#[test]
fn a_hook_that_hangs_is_killed_at_its_timeout() {
    for hook in ALL {
        let script = Script::exits(5000, 1).hook(hook, Never);
        let a = Svc::new("a", script).hooks(&ALL).watched(|_| {});
        let mut world = World::up(vec![a]);
        if hook == BeforeStop {
            world.until(3000).signal(Signal::TERM);
        }
        world.end();
        let began = world.hooks(0).iter().find(|(_, other)| *other == hook).unwrap().0;
        assert_eq!(cancelled(&world), [(began + 1000, hook)]);
        world.assert_reported(began + 1000, &hook_failed(hook, "took longer than 1s"));
    }
}

#[test]
fn a_failed_hook_other_than_before_start_is_reported_and_nothing_else() {
    let script = Script::exits(100, 1).hook(AfterReady, Fail(1)).hook(AfterStop, Fail(1)).hook(OnFailure, Fail(1));
    let mut world = World::up(vec![Svc::new("a", script).hooks(&ALL)]);
    world.end();
    for (at, hook) in [(1, AfterReady), (101, AfterStop), (102, OnFailure)] {
        world.assert_reported(at, &hook_failed(hook, "scripted"));
    }
    world.assert_reported(102, &Report::GaveUp(A, Reason::Exit(Exit::Code(1))));
}

#[test]
fn a_restart_waits_for_what_is_done_after_the_last_run() {
    let script = Script::exits(100, 1).hook(AfterStop, Pass(30)).hook(OnFailure, Pass(40));
    let a = Svc::new("a", script).then(Script::exits(100, 0)).hooks(&[AfterStop, OnFailure]);
    let mut world = World::up(vec![a.with(|spec| spec.restart.attempts = 1)]);
    world.end();
    assert_eq!(world.spawns(0), [0, 170]);
    assert_eq!(world.hooks(0), [(100, AfterStop), (130, OnFailure), (270, AfterStop)], "a success is no failure");
}

#[test]
fn after_ready_is_called_off_when_the_run_ends_or_is_stopped() {
    let a = Svc::new("a", Script::exits(100, 0).hook(AfterReady, Pass(500))).hooks(&[AfterReady]);
    let b = Svc::new("b", slow_stop().hook(AfterReady, Pass(500))).hooks(&[AfterReady]);
    let mut world = World::up(vec![a, b]);
    world.until(200).signal(Signal::TERM);
    assert_eq!(world.end(), 0);
    assert_eq!(cancelled(&world), [(100, AfterReady), (200, AfterReady)]);
}

#[test]
fn a_stop_before_the_start_ends_the_hook_and_cleans_up() {
    let script = Script::runs().hook(BeforeStart, Never).hook(AfterStop, Pass(20));
    let mut world = World::up(vec![Svc::new("a", script).hooks(&ALL)]);
    world.until(100).signal(Signal::TERM);
    assert_eq!(world.end(), 0);
    assert_eq!(
        (cancelled(&world), world.hooks(0)),
        (vec![(100, BeforeStart)], vec![(0, BeforeStart), (100, AfterStop)])
    );
    assert_eq!((world.now.0, world.spawns(0)), (120_000_000, vec![]));
}

#[test]
fn a_dependency_that_goes_while_before_start_runs_is_waited_for() {
    let db = Svc::new("db", Script::exits(50, 1)).then(Script::runs()).with(|spec| {
        spec.restart.attempts = 1;
        spec.restart.backoff = ms(200);
    });
    let web = Svc::new("web", Script::runs().hook(BeforeStart, Pass(100))).hooks(&[BeforeStart, AfterStop]).after(&[0]);
    let mut world = World::up(vec![db, web]);
    world.until(1000);
    assert_eq!(world.hooks(1), [(0, BeforeStart), (100, AfterStop), (250, BeforeStart)]);
    assert_eq!(world.spawns(1), [350]);
}

#[test]
fn a_second_signal_skips_all_hooks() {
    let script = slow_stop().hook(BeforeStop, Never).hook(AfterStop, Never);
    let starting = Svc::new("starting", Script::runs().hook(BeforeStart, Never)).hooks(&ALL);
    let ending = Svc::new("ending", Script::exits(5, 1).hook(AfterStop, Never)).hooks(&ALL);
    let mut world = World::up(vec![Svc::new("a", script).hooks(&ALL), starting, ending]);
    world.until(100).signal(Signal::TERM);
    world.until(200).signal(Signal::INT);
    assert_eq!((world.end(), world.now.0), (0, 200_000_000));
    assert_eq!(world.signals(0), [(200, Signal::KILL, Target::Tree)]);
    assert_eq!(world.hooks(0).last(), Some(&(100, BeforeStop)));
}

fn told_to_stop(script: Script) -> World {
    let svc = Svc::new("a", script).with(|spec| {
        spec.termination.command = Some(Command(vec!["stop".into()]));
        spec.termination.wait = ms(300);
    });
    let mut world = World::up(vec![svc]);
    world.until(100).signal(Signal::TERM);
    assert_eq!(world.end(), 0);
    assert_eq!(world.hooks(0), [(100, Stop)]);
    world
}

#[test]
fn a_stop_command_that_works_needs_no_signal() {
    let world = told_to_stop(Script::exits(150, 0).hook(Stop, Pass(10)));
    assert_eq!((world.signals(0), world.now.0), (vec![], 150_000_000));
    // It may also end while the command still runs.
    let world = told_to_stop(Script::exits(150, 0).hook(Stop, Never));
    assert_eq!((world.signals(0), cancelled(&world)), (vec![], vec![(150, Stop)]));
}

#[test]
fn after_a_stop_command_that_worked_the_signal_waits_and_after_one_that_failed_it_does_not() {
    let kill = |at| (at, Signal::KILL, Target::Tree);
    let deaf = Script::runs().on_stop(OnStop::Ignores);
    for (ends, asked) in [(Pass(10), 400), (Fail(10), 110), (Never, 400)] {
        let world = told_to_stop(deaf.clone().hook(Stop, ends));
        assert_eq!(world.signals(0), [(asked, Signal::TERM, Target::Group), kill(asked + 300)], "{ends:?}");
    }
}

#[test]
fn what_is_left_when_the_main_process_ends_during_the_stop_command_gets_the_signal() {
    let script = Script::exits(150, 0).helper(false, OnStop::Exits(20, 0)).hook(Stop, Never);
    let world = told_to_stop(script);
    assert_eq!(world.signals(0), [(150, Signal::TERM, Target::Tree)]);
    assert_eq!(world.now.0, 170_000_000);
}

#[test]
fn the_scope_says_who_gets_the_signal_first() {
    let script = || slow_stop().helper(false, OnStop::Exits(80, 0)).helper(true, OnStop::Exits(80, 0));
    for (scope, first, then) in [
        (Scope::Group, Target::Group, Some(Target::Strays)),
        (Scope::Main, Target::Leader, Some(Target::Tree)),
        (Scope::Tree, Target::Tree, None),
    ] {
        let mut world = World::up(vec![Svc::new("a", script()).with(|spec| spec.termination.scope = scope)]);
        world.until(100).signal(Signal::TERM);
        world.end();
        let mut wanted = vec![(100, Signal::TERM, first)];
        wanted.extend(then.map(|to| (150, Signal::TERM, to)));
        assert_eq!(world.signals(0), wanted, "{scope:?}");
        // A group that got it with its main process has had its 80 ms; what gets it later takes longer.
        let end = if scope == Scope::Tree { 180 } else { 230 };
        assert_eq!(world.now.0 / 1_000_000, end, "{scope:?}");
    }
}

#[test]
fn hooks_of_a_service_that_restarts_at_once_never_overlap() {
    let script = Script::exits(3, 0).hook(AfterReady, Pass(50)).hook(AfterStop, Pass(7)).hook(BeforeStart, Pass(7));
    let svc = Svc::new("a", script).hooks(&ALL).with(|spec| {
        spec.restart.strategy = RestartStrategy::Always;
        spec.restart.throttle = false;
    });
    let mut world = World::up(vec![svc]);
    world.until(10_000);
    let hooks = world.hooks(0);
    assert!(hooks.len() > 1500, "{}", hooks.len());
    assert!(hooks.windows(2).all(|pair| pair[0].0 <= pair[1].0 && pair[0].1 != pair[1].1));
}
