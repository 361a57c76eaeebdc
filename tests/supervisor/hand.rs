//! Start, stop and restart by hand, and what that means for others.

use crate::script::{OnStop, Script, Svc, ms};
use crate::world::{World, run};
use horust::model::{Condition, Need, RestartStrategy, ServiceId, ServiceSpec, Signal};
use horust::supervisor::{Cause, Command, Reason, Report, StopCause, Target};

const A: ServiceId = ServiceId(0);
const B: ServiceId = ServiceId(1);

fn slow_stop() -> Script {
    Script::runs().on_stop(OnStop::Exits(50, 3))
}

fn manual(spec: &mut ServiceSpec) {
    spec.autostart = false;
}

/// Something that keeps Horust up.
fn other() -> Svc {
    Svc::new("other", Script::runs())
}

#[test]
fn a_stop_by_hand_is_no_failure_and_no_restart_follows() {
    let a = Svc::new("a", slow_stop()).with(|spec| spec.restart.strategy = RestartStrategy::Always);
    let mut world = World::up(vec![a, other()]);
    world.until(100).command(Command::Stop(A));
    world.assert_reported(100, &Report::Stopping(run(0, 1), StopCause::Asked));
    world.until(60_000);
    world.assert_reported(150, &Report::Finished(A));
    assert_eq!((world.spawns(0), world.state(0)), (vec![0], "Finished"));
}

#[test]
fn what_runs_goes_on_without_what_was_stopped_and_what_starts_waits_for_it() {
    let b = Svc::new("b", Script::exits(200, 1)).then(Script::runs()).after(&[0]).with(|spec| {
        spec.restart.strategy = RestartStrategy::OnFailure;
    });
    let mut world = World::up(vec![Svc::new("a", slow_stop()), b, other()]);
    world.until(100).command(Command::Stop(A));
    assert_eq!(world.until(199).state(1), "Running");
    assert_eq!(world.until(5000).state(1), "Initial");
    world.command(Command::Start(A)).until(6000);
    assert_eq!((world.spawns(0), world.spawns(1)), (vec![0, 5000], vec![0, 5000]));
}

#[test]
fn a_start_by_hand_also_starts_what_is_needed_and_nothing_else() {
    let mut world = World::up(vec![
        Svc::new("web", Script::runs())
            .after(&[1])
            .needs(Need { required: false, ..Need::ready(ServiceId(3)) })
            .with(manual),
        Svc::new("app", Script::runs()).once(2, Condition::CompletedSuccessfully).with(manual),
        Svc::new("migrate", Script::exits(30, 0)).with(manual),
        Svc::new("cache", Script::runs()).with(manual),
        other(),
    ]);
    world.until(100).command(Command::Start(A)).until(1000);
    assert_eq!((world.spawns(2), world.spawns(1), world.spawns(0)), (vec![100], vec![130], vec![130]));
    assert_eq!(world.state(3), "Initial");
}

#[test]
fn a_start_by_hand_tries_again_what_has_failed_for_good() {
    let db = Svc::new("db", Script::exits(10, 1)).then(Script::runs());
    let mut world = World::up(vec![db, Svc::new("web", Script::runs()).after(&[0]), other()]);
    // It has been up for a moment, and failed with `db` when that did not come back.
    world.until(100);
    assert_eq!((world.state(0), world.state(1)), ("FinishedFailed", "Running"));
    world.command(Command::Stop(B)).until(200).command(Command::Start(B)).until(300);
    assert_eq!((world.spawns(0), world.spawns(1)), (vec![0, 200], vec![0, 200]));
}

#[test]
fn a_start_by_hand_ends_a_backoff_and_forgets_its_failures() {
    let a = Svc::new("a", Script::exits(10, 1)).with(|spec| {
        spec.restart.attempts = 1;
        spec.restart.backoff = ms(60_000);
    });
    let mut world = World::up(vec![a, other()]);
    world.until(1000).command(Command::Start(A)).until(2000);
    assert_eq!((world.spawns(0), world.state(0)), (vec![0, 1000], "Failed"), "one restart is left again");
}

#[test]
fn a_restart_by_hand_waits_for_the_whole_tree_and_counts_as_nothing() {
    let script = slow_stop().helper(true, OnStop::Exits(70, 0));
    let mut world = World::up(vec![Svc::new("a", script).with(|spec| spec.start_delay = ms(5)), other()]);
    world.until(100).command(Command::Restart(A)).until(1000);
    assert_eq!(world.spawns(0), [5, 225], "50 ms, then 70 ms for its helper, then its start-delay");
    assert_eq!(world.supervisor.snapshot()[0].failures, 0);
    world.command(Command::Restart(A)).command(Command::Stop(A)).until(2000);
    assert_eq!(world.state(0), "Finished", "the last word counts");
    world.command(Command::Restart(A)).until(3000);
    assert_eq!(world.state(0), "Running", "a restart of what does not run is a start");
}

#[test]
fn a_start_during_the_stop_follows_it() {
    let mut world = World::up(vec![Svc::new("a", slow_stop()), other()]);
    world.until(100).command(Command::Stop(A)).until(120).command(Command::Start(A)).until(1000);
    assert_eq!(world.spawns(0), [0, 150]);
}

#[test]
fn what_waits_can_be_stopped_and_started() {
    let mut world = World::up(vec![
        Svc::new("slow", Script::runs().spawn_takes(60_000)),
        Svc::new("b", Script::runs()).after(&[0]),
        Svc::new("delayed", Script::runs()).with(|spec| spec.start_delay = ms(60_000)),
    ]);
    world.until(10).command(Command::Stop(B)).command(Command::Stop(ServiceId(2))).until(70_000);
    assert_eq!((world.state(1), world.state(2)), ("Finished", "Finished"));
    world.command(Command::Start(B)).until(70_001);
    assert_eq!(world.state(1), "Running");
}

#[test]
fn nothing_is_started_by_hand_during_a_shutdown() {
    let mut world = World::up(vec![Svc::new("a", slow_stop()), Svc::new("b", Script::runs()).with(manual)]);
    world.until(100).signal(Signal::TERM);
    world.command(Command::Start(B)).command(Command::Restart(A)).command(Command::Start(ServiceId(9)));
    assert_eq!(world.end(), 0);
    assert_eq!(world.spawn_order(), [0]);
}

#[test]
fn what_dies_with_another_can_be_started_again() {
    let b = Svc::new("b", Script::runs()).with(|spec| spec.termination.die_if_failed = vec![A]);
    let mut world = World::up(vec![Svc::new("a", Script::exits(10, 1)).then(Script::runs()), b, other()]);
    world.until(100);
    world.assert_reported(10, &Report::GaveUp(B, Reason::DiedWith(A)));
    world.command(Command::Start(B)).until(200);
    assert_eq!(world.state(1), "Running");
}

/// Who stops the only service of a container does not want to be thrown out of it.
#[test]
fn horust_stays_up_while_something_is_stopped_by_hand() {
    let mut world = World::up(vec![Svc::new("a", slow_stop())]);
    world.until(100).command(Command::Stop(A)).until(60_000);
    assert_eq!((world.state(0), world.exit), ("Finished", None));
    world.command(Command::Start(A)).until(61_000);
    assert_eq!(world.state(0), "Running");
    world.command(Command::Shutdown);
    assert_eq!(world.end(), 0);
    world.assert_reported(61_000, &Report::Shutdown(Cause::Asked));
}

#[test]
fn what_was_stopped_by_hand_holds_up_no_shutdown() {
    let mut world = World::up(vec![Svc::new("a", slow_stop()), other()]);
    world.until(100).command(Command::Stop(A)).until(200).command(Command::Shutdown).command(Command::Shutdown);
    assert_eq!(world.end(), 0);
}

#[test]
fn a_signal_by_hand_is_sent_as_it_is_to_what_runs() {
    let usr1 = Signal::parse("USR1").unwrap();
    let rewrites = |spec: &mut ServiceSpec| spec.signal_rewrite = vec![(usr1, None)];
    let mut world =
        World::up(vec![Svc::new("a", slow_stop()).with(rewrites), Svc::new("b", Script::runs()).with(manual)]);
    world.until(100).command(Command::Signal(A, usr1)).command(Command::Signal(B, usr1));
    world.command(Command::Signal(ServiceId(9), usr1)).until(200);
    assert_eq!(world.signals(0), [(100, usr1, Target::Leader)]);
    assert_eq!(world.signals(1), []);
}

#[test]
fn what_was_stopped_by_hand_and_is_not_needed_holds_up_nobody_who_is_started_by_hand() {
    let mut world = World::up(vec![
        Svc::new("web", Script::runs()).once(1, Condition::Started).with(manual),
        Svc::new("alert", Script::runs()).once(2, Condition::Failed),
        Svc::new("job", Script::exits(300, 0)),
        other(),
    ]);
    world.until(100).command(Command::Stop(B)).until(1000).command(Command::Start(A)).until(2000);
    world.assert_reported(1000, &Report::NotNeeded(B, ServiceId(2)));
    assert_eq!((world.spawns(0), world.spawns(1)), (vec![1000], vec![]));
}
