//! Why a service is not what is wanted: the whole chain, for everything it can be doing.

use crate::script::{Answer, OnStop, Script, Svc, ms, ready, rounds};
use crate::world::World;
use horust::model::{Condition, Exit, FailureStrategy, Hook, Mono, Need, RestartStrategy, ServiceId, Sign, Signs};
use horust::supervisor::{Command, Link, Reason, StopCause, Verdict, Why};

fn chain(world: &World, id: u32) -> Vec<(u32, u64, Why)> {
    let link = |Link { service, since, why }| (service.0, since.0 / 1_000_000, why);
    world.supervisor.explain(ServiceId(id)).into_iter().map(link).collect()
}

fn at(ms: u64) -> Mono {
    Mono(ms * 1_000_000)
}

fn needs(id: u32, condition: Condition) -> Why {
    Why::Waits(Need { condition, ..Need::ready(ServiceId(id)) })
}

#[test]
fn what_is_as_wanted_needs_no_reason() {
    let mut world = World::up(vec![
        Svc::new("up", Script::runs()),
        Svc::new("well", Script::runs()).watched(|_| {}),
        Svc::new("done", Script::exits(10, 0)),
    ]);
    world.until(3000);
    assert_eq!((0..3).flat_map(|id| chain(&world, id)).collect::<Vec<_>>(), []);
    assert_eq!(world.supervisor.explain(ServiceId(9)), []);
}

#[test]
fn a_chain_leads_to_what_has_to_change_first() {
    let answers = [Answer::Fail(0), Answer::Fail(0), Answer::Never];
    let mut world = World::up(vec![
        Svc::new("web", Script::runs()).after(&[1]),
        Svc::new("app", Script::runs()).once(2, Condition::Healthy),
        Svc::new("db", Script::runs().spawn_takes(100).answers(&answers)).watched(|_| {}),
    ]);
    world.until(50);
    assert_eq!(chain(&world, 0).last(), Some(&(2, 0, Why::Executing)));
    world.until(1200);
    let not_ready = Why::NotReady {
        missing: vec![],
        asked: true,
        error: Some((at(1100), "scripted".into())),
        says: None,
        late: None,
    };
    let links = [(0, 0, needs(1, Condition::Ready)), (1, 0, needs(2, Condition::Healthy)), (2, 100, not_ready)];
    assert_eq!(chain(&world, 0), links);
    assert_eq!(world.supervisor.waiting_for(ServiceId(2)), [ServiceId(1)]);
    assert_eq!(world.supervisor.waiting_for(ServiceId(1)), [ServiceId(0)]);
    world.until(5000);
    let Why::NotReady { error, .. } = &chain(&world, 2)[0].2 else { panic!() };
    assert_eq!(error.as_ref().unwrap().1, "no answer within 1s");
}

#[test]
fn a_failure_leads_to_the_first_that_failed() {
    let mut world = World::up(vec![
        Svc::new("web", Script::runs()).after(&[1]),
        Svc::new("app", Script::runs()).after(&[2]),
        Svc::new("db", Script::exits(10, 4).spawn_takes(5)).once(3, Condition::Started),
        Svc::new("other", Script::runs()),
        Svc::new("mortal", Script::runs()).with(|spec| spec.termination.die_if_failed = vec![ServiceId(0)]),
    ]);
    world.until(10);
    // It has been up for a moment when it fails, so `app` runs on; `web` is started by hand when it has failed.
    world.until(100);
    let failed = |id, since, reason| (id, since, Why::Failed(reason));
    assert_eq!(chain(&world, 2), [failed(2, 15, Reason::Exit(Exit::Code(4)))]);
    world.command(Command::Stop(ServiceId(1))).until(101);
    assert_eq!(chain(&world, 1), [(1, 100, Why::StoppedByHand)]);
    assert_eq!(chain(&world, 0), []);
    let script = || Script::exits(10, 4).spawn_takes(5);
    let mut world = World::up(vec![
        Svc::new("web", Script::runs()).after(&[1]),
        Svc::new("app", Script::runs()).after(&[2]),
        Svc::new("db", script()).with(|spec| spec.kind = horust::model::Kind::Oneshot),
        Svc::new("mortal", Script::runs()).with(|spec| spec.termination.die_if_failed = vec![ServiceId(0)]),
    ]);
    world.until(100);
    let links = [
        failed(0, 15, Reason::Dependency(ServiceId(1))),
        failed(1, 15, Reason::Dependency(ServiceId(2))),
        failed(2, 15, Reason::Exit(Exit::Code(4))),
    ];
    assert_eq!(chain(&world, 0), links);
    let mortal = failed(3, 15, Reason::DiedWith(ServiceId(0)));
    assert_eq!(chain(&world, 3), [&[mortal][..], &links].concat());
}

#[test]
fn everything_that_a_service_can_be_doing() {
    let signs = Signs { notify: true, notify_fd: Some(3), rounds: Some(rounds()), ..Signs::default() };
    let slow = Script::runs().on_stop(OnStop::Exits(60_000, 0));
    let mut world = World::up(vec![
        Svc::new("manual", Script::runs()).with(|spec| spec.autostart = false),
        Svc::new("delayed", Script::runs()).with(|spec| spec.start_delay = ms(5000)),
        Svc::new("prepares", Script::runs().hook(Hook::BeforeStart, Answer::Never)).hooks(&[Hook::BeforeStart]),
        Svc::new("signs", Script::runs().says(10, ready()))
            .signs(signs)
            .with(|spec| spec.start_timeout = Some(ms(9000))),
        Svc::new("backs-off", Script::exits(100, 3)).with(|spec| {
            spec.restart.attempts = 3;
            spec.restart.backoff = ms(9000);
        }),
        Svc::new("again", Script::exits(100, 0)).with(|spec| {
            spec.restart.strategy = RestartStrategy::Always;
            spec.start_delay = ms(500);
        }),
        Svc::new("stopping", slow).with(|spec| spec.termination.wait = ms(60_000)),
        Svc::new("cleans", Script::exits(100, 0).hook(Hook::AfterStop, Answer::Never)).hooks(&[Hook::AfterStop]),
    ]);
    world.until(700).command(Command::Stop(ServiceId(6))).until(900);
    let sole = |id: u32| {
        let chain = chain(&world, id);
        assert_eq!(chain.len(), 1, "{chain:?}");
        (chain[0].1, chain[0].2.clone())
    };
    assert_eq!(sole(0), (0, Why::NotWanted));
    assert_eq!(sole(1), (0, Why::Delayed { until: at(5000) }));
    assert_eq!(sole(2), (0, Why::Hook(Hook::BeforeStart)));
    let lacks =
        Why::NotReady { missing: vec![Sign::NotifyFd], asked: false, error: None, says: None, late: Some(at(9000)) };
    assert_eq!(sole(3), (0, lacks));
    let failure = Some((Reason::Exit(Exit::Code(3)), 1));
    assert_eq!(sole(4), (100, Why::Restarts { until: at(9100), failure }));
    assert_eq!(sole(5), (600, Why::Delayed { until: at(1100) }), "a success counts for nothing");
    assert_eq!(sole(6), (700, Why::Stopping(StopCause::Asked)));
    assert_eq!(sole(7), (100, Why::Hook(Hook::AfterStop)));
}

#[test]
fn a_running_service_can_be_what_others_wait_for() {
    let exec = |spec: &mut horust::model::ServiceSpec| spec.readiness = horust::model::Readiness::Exec;
    let sick = Script::runs().answers(&[Answer::Fail(0)]);
    let mut world = World::up(vec![
        Svc::new("db", sick).watched(|health| health.on_unhealthy = horust::model::OnUnhealthy::Report).with(exec),
        Svc::new("by-health", Script::runs()).once(0, Condition::Healthy),
        Svc::new("by-end", Script::runs()).once(0, Condition::Completed),
        Svc::new("by-failure", Script::runs()).once(0, Condition::Failed),
    ]);
    world.until(500);
    let error = |ms| Some((at(ms), "scripted".to_owned()));
    assert_eq!(chain(&world, 0), []);
    let unknown = Why::NotHealthy { verdict: Verdict::Unknown, error: error(0) };
    assert_eq!(chain(&world, 1), [(1, 0, needs(0, Condition::Healthy)), (0, 0, unknown)]);
    assert_eq!(chain(&world, 2), [(2, 0, needs(0, Condition::Completed)), (0, 0, Why::StillRuns)]);
    assert_eq!(chain(&world, 3), [(3, 0, needs(0, Condition::Failed)), (0, 0, Why::StillRuns)]);
    world.until(3500);
    assert_eq!(chain(&world, 0), [(0, 0, Why::NotHealthy { verdict: Verdict::Unhealthy, error: error(3000) })]);
    assert_eq!(world.supervisor.waiting_for(ServiceId(0)).len(), 3);
}

/// What died with another one, which was then started again and waits for something, is no endless chain.
#[test]
fn a_chain_that_comes_back_to_itself_ends() {
    let db = Svc::new("db", Script::exits(10, 1)).with(|spec| spec.failure.strategy = FailureStrategy::KillDependents);
    let mut world = World::up(vec![db.then(Script::runs()), Svc::new("web", Script::runs()).after(&[0])]);
    world.until(100);
    let links = chain(&world, 1);
    assert_eq!(links.iter().map(|link| link.0).collect::<Vec<_>>(), [1, 0]);
}
