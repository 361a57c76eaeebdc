//! How services came up for the first time: what is written down of it, and which of them the last one waited for.

use crate::script::{Answer, Script, Svc, ms};
use crate::world::World;
use horust::model::{Hook, Kind, Mono, Plan, RestartStrategy, ServiceId, ServiceSpec};
use horust::supervisor::{Command, Event, Milestone, Supervisor};
use std::sync::Arc;

/// What was reached, and at which millisecond.
fn course(world: &World, id: u32) -> Vec<(Milestone, u64)> {
    let first = world.supervisor.first(ServiceId(id)).unwrap();
    Milestone::ALL.into_iter().filter_map(|milestone| Some((milestone, first.at(milestone)?.0 / 1_000_000))).collect()
}

fn critical(world: &World) -> Vec<u32> {
    world.supervisor.critical_chain().into_iter().map(|id| id.0).collect()
}

#[test]
fn each_phase_of_the_first_start_is_known() {
    use Milestone::*;
    let slow = Script::runs().spawn_takes(10).hook(Hook::BeforeStart, Answer::Pass(30)).answers(&[Answer::Pass(200)]);
    let mut world = World::up(vec![
        Svc::new("job", Script::exits(50, 0)).with(|spec| spec.kind = Kind::Oneshot),
        Svc::new("db", slow).after(&[0]).watched(|_| {}).hooks(&[Hook::BeforeStart]).with(|s| s.start_delay = ms(100)),
        Svc::new("web", Script::runs()).after(&[0, 1]),
        Svc::new("fast", Script::runs()),
        Svc::new("rare", Script::runs()).with(|spec| spec.autostart = false),
        Svc::new("broken", Script::exits(5, 1)).after(&[3]),
    ]);
    world.until(1000);
    assert_eq!(course(&world, 0), [(Waits, 0), (Executes, 0), (Starts, 0), (Ready, 50), (Over, 50)]);
    let db = [(Waits, 0), (Delayed, 50), (Prepares, 150), (Executes, 180), (Starts, 190), (Ready, 390)];
    assert_eq!(course(&world, 1), db);
    assert_eq!(course(&world, 2), [(Waits, 0), (Executes, 390), (Ready, 390)]);
    assert_eq!(course(&world, 3), [(Waits, 0), (Executes, 0), (Ready, 0)]);
    assert_eq!(course(&world, 4), []);
    assert_eq!(course(&world, 5), [(Waits, 0), (Executes, 0), (Ready, 0), (Over, 5)]);
    assert_eq!(critical(&world), [0, 1, 2]);
    // What comes later, and what somebody starts by hand, is no part of the boot.
    world.command(Command::Start(ServiceId(4))).until(2000);
    world.command(Command::Restart(ServiceId(1))).until(3000);
    assert_eq!(course(&world, 1), [&db[..], &[(Over, 2000)]].concat());
    assert_eq!(course(&world, 4), [(Waits, 1000), (Executes, 1000), (Ready, 1000)]);
    assert_eq!(critical(&world), [0, 1, 2]);
}

#[test]
fn a_service_whose_first_run_fails_is_followed_until_it_is_ready() {
    use Milestone::*;
    let again = |spec: &mut horust::model::ServiceSpec| {
        (spec.restart.strategy, spec.restart.backoff) = (RestartStrategy::OnFailure, ms(100));
    };
    let mut world = World::up(vec![
        Svc::new("db", Script::exits(20, 1).answers(&[Answer::Never])).then(Script::runs()).watched(|_| {}).with(again),
        Svc::new("web", Script::runs()).after(&[0]),
        Svc::new("stopped", Script::runs().answers(&[Answer::Never])).watched(|_| {}),
    ]);
    world.until(50);
    assert_eq!(course(&world, 0), [(Waits, 0), (Executes, 0), (Starts, 0), (Retries, 20)]);
    assert!(critical(&world).is_empty());
    world.until(1000);
    assert_eq!(course(&world, 0), [(Waits, 0), (Executes, 0), (Starts, 0), (Retries, 20), (Ready, 120)]);
    assert_eq!(critical(&world), [0, 1]);
    world.command(Command::Stop(ServiceId(2))).until(2000);
    assert_eq!(course(&world, 2), [(Waits, 0), (Executes, 0), (Starts, 0), (Over, 1000)]);
}

/// The clock counts from the start of the machine, which is no time at which a service began to wait.
#[test]
fn what_has_not_started_waits_since_the_boot_of_horust() {
    let spec = ServiceSpec { autostart: false, ..ServiceSpec::new("a", vec!["true".into()]) };
    let plan = Plan { services: vec![Arc::new(spec)], ..Plan::default() };
    let mut supervisor = Supervisor::new(&plan, 1);
    supervisor.step(Mono(5_000_000_000), Event::Boot, &mut Vec::new());
    assert_eq!(supervisor.status(ServiceId(0)).unwrap().since, Mono(5_000_000_000));
}
