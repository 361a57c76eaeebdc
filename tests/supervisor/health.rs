//! Readiness and health: which answers count, how many, and what follows.

use crate::script::{Answer, OnStop, Script, Svc, ms, rounds};
use crate::world::{World, run};
use horust::model::{Exit, OnUnhealthy, ProbeId, Readiness, Rounds, ServiceId, Signs};
use horust::supervisor::{Action, Event, Reason, Report};

use Answer::{Fail, Never, Pass};

/// Asked each second; more than three failures in a row are too many. Readiness and health count their rounds apart, so
/// the first answer is given twice.
fn answering(answers: &[Answer]) -> Svc {
    Svc::new("a", Script::runs().answers(answers).on_stop(OnStop::Exits(20, 0))).watched(|_| {})
}

fn unhealthy(world: &World) -> Vec<u64> {
    let reports = world.reports().into_iter();
    reports.filter(|(_, report)| matches!(report, Report::Unhealthy(..))).map(|(at, _)| at).collect()
}

#[test]
fn the_first_pass_makes_it_running_however_many_failed_before() {
    let mut world = World::up(vec![answering(&[Fail(0), Fail(0), Fail(0), Fail(0), Fail(0), Pass(7)])]);
    assert_eq!(world.until(5006).state(0), "Started");
    assert_eq!(world.until(5007).state(0), "Running");
    world.assert_reported(5007, &Report::Ready(run(0, 1), ms(5007)));
}

#[test]
fn success_threshold_asks_for_passes_in_a_row() {
    let svc = answering(&[Pass(0), Pass(0), Fail(0), Pass(0)]).watched(|health| health.rounds.success_threshold = 3);
    let mut world = World::up(vec![svc]);
    assert_eq!(world.until(4999).state(0), "Started");
    assert_eq!(world.until(5000).state(0), "Running");
}

#[test]
fn all_probes_of_a_round_must_pass() {
    let svc = answering(&[Pass(0)]).watched(|health| health.rounds.probes.push(health.rounds.probes[0].clone()));
    let mut world = World::up(vec![svc.with(|spec| spec.name = "two".into())]);
    world.until(0);
    let asked = world.log.iter().filter(|(_, action)| matches!(action, Action::StartProbe(_))).count();
    assert_eq!((asked, world.state(0)), (2, "Running"));
    let probe = |probe| ProbeId { run: run(0, 1), round: 1, probe, ready: false };
    let mut half = World::up(vec![
        answering(&[Never]).watched(|health| health.rounds.probes.push(health.rounds.probes[0].clone())),
    ]);
    half.until(0).tell(Event::Probed(probe(0), Ok(())));
    assert_eq!(half.state(0), "Started");
    half.tell(Event::Probed(probe(1), Ok(())));
    assert_eq!(half.state(0), "Running");
}

#[test]
fn initial_delay_and_exec_readiness_are_kept_apart() {
    let watched = answering(&[Pass(0)]).watched(|health| health.rounds.initial_delay = ms(700));
    let exec = watched.clone().with(|spec| spec.readiness = Readiness::Exec);
    let mut world = World::up(vec![watched, exec]);
    world.until(699);
    assert_eq!((world.state(0), world.state(1)), ("Started", "Running"));
    assert_eq!(world.until(700).state(0), "Running");
}

#[test]
fn flaps_under_the_threshold_are_forgiven() {
    let flapping = [Pass(0), Fail(0), Fail(0), Fail(0)].repeat(20);
    let mut world = World::up(vec![answering(&flapping)]);
    assert_eq!(world.until(70_000).state(0), "Running");
    assert_eq!(unhealthy(&world), [0u64; 0]);
}

#[test]
fn one_failure_over_the_threshold_stops_it_once_and_fails_it_even_with_exit_0() {
    let mut world = World::up(vec![answering(&[Pass(0), Fail(0)])]);
    world.end();
    assert_eq!(unhealthy(&world), [5000], "ready at 0, passed at 1 s, failed at 2, 3, 4 and 5 s");
    let reason = Reason::Unhealthy("scripted".into(), Some(Exit::Code(0)));
    assert_eq!(reason.code(), 1);
    world.assert_reported(5020, &Report::GaveUp(ServiceId(0), reason));
}

#[test]
fn until_the_first_answer_nothing_is_known() {
    let health = |world: &World| world.supervisor.snapshot()[0].health;
    let svc = answering(&[Never, Pass(0)]).with(|spec| spec.readiness = Readiness::Exec);
    let mut world = World::up(vec![svc, Svc::new("no checks", Script::runs())]);
    assert_eq!((health(&world), world.supervisor.snapshot()[1].health), (None, None), "not ready yet");
    for (at, seen) in [(0, "unknown"), (999, "unknown"), (1999, "unknown"), (2000, "healthy")] {
        assert_eq!(health(world.until(at)), Some(seen), "at {at}");
    }
}

#[test]
fn report_says_so_once_and_again_when_it_is_well() {
    let answers = [&[Pass(0)][..], &[Fail(0); 10], &[Pass(0); 3], &[Fail(0); 5], &[Pass(0)]].concat();
    let svc = answering(&answers).watched(|health| {
        health.on_unhealthy = OnUnhealthy::Report;
        health.rounds.success_threshold = 2;
    });
    let mut world = World::up(vec![svc.with(|spec| spec.readiness = Readiness::Exec)]);
    world.until(60_000);
    // One round a second from 0 on: ten failures from 1 to 10 s, passes from 11 to 13 s, failures from 14 to 18 s.
    assert_eq!(unhealthy(&world), [4000, 17_000]);
    world.assert_reported(12_000, &Report::Recovered(run(0, 1)));
    world.assert_reported(20_000, &Report::Recovered(run(0, 1)));
    assert_eq!((world.spawns(0), world.signals(0)), (vec![0], vec![]));
    assert_eq!(world.reports().len(), 6, "{:?}", world.reports());
}

#[test]
fn what_is_asked_before_it_is_ready_may_differ_from_what_is_asked_then() {
    let signs = Signs { rounds: Some(Rounds { interval: ms(100), ..rounds() }), ..Signs::default() };
    let svc = answering(&[Fail(0), Fail(0), Pass(0), Fail(0)]).watched(|health| health.rounds.initial_delay = ms(5000));
    let mut world = World::up(vec![svc.signs(signs)]);
    world.until(12_000);
    world.assert_reported(200, &Report::Ready(run(0, 1), ms(200)));
    assert_eq!(unhealthy(&world), [11_200], "it begins anew at 5.2 s, and passes once at 7.2 s");
}

#[test]
fn an_unhealthy_service_is_run_again_and_counted_afresh() {
    let svc = answering(&[Pass(0), Fail(0)]).with(|spec| {
        spec.restart.attempts = 1;
        spec.restart.backoff = ms(80);
    });
    let mut world = World::up(vec![svc]);
    world.end();
    assert_eq!((world.spawns(0), unhealthy(&world)), (vec![0, 5100], vec![5000, 10_100]));
}

#[test]
fn no_answer_in_time_is_a_failure_and_is_cancelled() {
    let mut world = World::up(vec![answering(&[Pass(0), Never])]);
    world.end();
    assert_eq!(unhealthy(&world), [9000], "asked at 2, 4, 6 and 8 s, each time for a second");
    let cancelled = world.log.iter().filter(|(_, action)| matches!(action, Action::CancelProbe(_))).count();
    assert_eq!(cancelled, 4);
}

#[test]
fn an_answer_counts_only_for_its_own_round_and_run() {
    let mut world = World::up(vec![answering(&[Never])]);
    world.until(2500);
    let asked = ProbeId { run: run(0, 1), round: 2, probe: 0, ready: false };
    for stale in [
        ProbeId { round: 1, ..asked },
        ProbeId { round: 3, ..asked },
        ProbeId { ready: true, ..asked },
        ProbeId { run: run(0, 2), ..asked },
        ProbeId { run: run(5, 1), ..asked },
    ] {
        world.tell(Event::Probed(stale, Ok(())));
        assert_eq!(world.state(0), "Started", "{stale:?}");
    }
    world.tell(Event::Probed(asked, Ok(())));
    assert_eq!(world.state(0), "Running");
}

#[test]
fn an_answer_after_the_end_changes_nothing() {
    let mut world = World::up(vec![answering(&[Pass(500)]), Svc::new("b", Script::runs())]);
    world.until(100).tell(Event::Exited { run: run(0, 1), exit: Exit::Code(0), left: false });
    assert_eq!(world.state(0), "Finished");
    assert!(world.log.iter().any(|(_, action)| matches!(action, Action::CancelProbe(_))), "nobody waits for it");
    assert_eq!(world.until(600).state(0), "Finished");
}

#[test]
fn what_is_never_ready_holds_back_its_dependents_and_can_be_stopped() {
    let mut world = World::up(vec![answering(&[Never]), Svc::new("b", Script::runs()).after(&[0])]);
    world.until(60_000).signal(horust::model::Signal::TERM);
    assert_eq!(world.end(), 0);
    assert_eq!(world.spawn_order(), [0]);
}
