//! A configuration that was read again: what it changes, and that nothing more happens than has to.

use crate::ready::said;
use crate::script::{Answer, OnStop, Script, Svc, ms, ready, rounds};
use crate::world::{World, run};
use horust::model::{
    Condition, Environment, Health, Hook, Kind, Mono, Need, OnUnhealthy, Output, Readiness, RestartStrategy, ServiceId,
    ServiceSpec, Settings, Signal, Signs, every_key,
};
use horust::supervisor::{Action, Command, Event, Report, StopCause};
use std::sync::Arc;

const A: ServiceId = ServiceId(0);
const B: ServiceId = ServiceId(1);

fn runs(name: &str) -> Svc {
    Svc::new(name, Script::runs())
}

/// Something that keeps Horust up.
fn other() -> Svc {
    runs("other")
}

fn live(spec: &mut ServiceSpec) {
    spec.restart.attempts = 77;
}

fn needs_restart(spec: &mut ServiceSpec) {
    spec.command.0.push("more".into());
}

fn adopted(world: &World) -> usize {
    world.log.iter().filter(|(_, action)| matches!(action, Action::Adopt(_))).count()
}

#[test]
fn the_same_again_changes_nothing() {
    let set = || vec![runs("a"), runs("b").after(&[0])];
    let mut world = World::up(set());
    world.until(100).reload(set()).until(200);
    assert_eq!((world.spawns(0), world.spawns(1)), (vec![0], vec![0]));
    assert!(world.plan.listed.is_none());
}

#[test]
fn a_key_that_needs_no_restart_gets_none_and_the_others_do() {
    let set = |a: fn(&mut ServiceSpec)| vec![runs("a").with(a), runs("b").after(&[0])];
    let mut world = World::up(set(|_| {}));
    world.until(100).reload(set(live)).until(200);
    assert_eq!((world.spawns(0), world.spawns(1)), (vec![0], vec![0]));
    assert_eq!(world.plan.services[0].restart.attempts, 77);
    world.reload(set(needs_restart)).until(300);
    world.assert_reported(200, &Report::Stopping(run(0, 1), StopCause::Restart));
    assert_eq!((world.spawns(0), world.spawns(1)), (vec![0, 200], vec![0]), "its dependent goes on");
}

/// The public name of a state, and a world in which `a` is in it at 100 ms.
fn states() -> Vec<(&'static str, World)> {
    let failing = || Script::exits(10, 1);
    let slow = Script::runs().on_stop(OnStop::Exits(1000, 0));
    let stopping = |cause: Command| {
        move |world: &mut World| {
            world.command(cause);
        }
    };
    let nothing = |_: &mut World| {};
    type Act = Box<dyn Fn(&mut World)>;
    let cases: Vec<(&str, Svc, Act)> = vec![
        ("Initial", runs("a").with(|spec| spec.autostart = false), Box::new(nothing)),
        ("Initial", runs("a").once(2, Condition::Completed), Box::new(nothing)),
        ("Starting", runs("a").with(|spec| spec.start_delay = ms(5000)), Box::new(nothing)),
        (
            "Starting",
            Svc::new("a", Script::runs().hook(Hook::BeforeStart, Answer::Pass(500))).hooks(&[Hook::BeforeStart]),
            Box::new(nothing),
        ),
        ("Starting", Svc::new("a", Script::runs().spawn_takes(3000)), Box::new(nothing)),
        ("Started", runs("a").signs(Signs { notify: true, ..Signs::default() }), Box::new(nothing)),
        ("Running", runs("a"), Box::new(nothing)),
        ("InKilling", Svc::new("a", slow.clone()), Box::new(stopping(Command::Restart(A)))),
        ("InKilling", Svc::new("a", slow), Box::new(stopping(Command::Stop(A)))),
        (
            "InKilling",
            Svc::new("a", failing().hook(Hook::AfterStop, Answer::Pass(900)))
                .hooks(&[Hook::AfterStop])
                .with(|spec| spec.restart.attempts = 1),
            Box::new(nothing),
        ),
        (
            "Failed",
            Svc::new("a", failing()).with(|spec| {
                spec.restart.attempts = 1;
                spec.restart.backoff = ms(60_000);
            }),
            Box::new(nothing),
        ),
        ("Finished", Svc::new("a", Script::exits(10, 0)), Box::new(nothing)),
        ("Finished", runs("a"), Box::new(stopping(Command::Stop(A)))),
        ("FinishedFailed", Svc::new("a", failing()), Box::new(nothing)),
    ];
    let up = |(state, svc, act): (&'static str, Svc, Act)| {
        let mut world = World::up(vec![svc, other(), runs("third")]);
        world.until(50);
        act(&mut world);
        world.until(100);
        assert_eq!(world.state(0), state);
        (state, world)
    };
    cases.into_iter().map(up).collect()
}

/// The services of a world, `a` changed.
fn changed(world: &World, change: impl FnOnce(&mut ServiceSpec)) -> Vec<Svc> {
    let mut set: Vec<Svc> = world
        .plan
        .services
        .iter()
        .map(|spec| Svc { spec: ServiceSpec::clone(spec), scripts: vec![Script::runs()] })
        .collect();
    change(&mut set[0].spec);
    set
}

/// In whatever state a service is, a change that needs no restart gives it none, and one that does gives it one if it runs.
/// What has failed is tried again; what was stopped, or has finished, is left alone.
#[test]
fn each_state_meets_each_class_of_change() {
    for restart in [false, true] {
        for (nth, (state, mut world)) in states().into_iter().enumerate() {
            let (before, wanted) = (world.spawns(0).len(), world.supervisor.snapshot()[0].wanted);
            let set = changed(&world, if restart { needs_restart } else { live });
            world.reload(set).until(30_000);
            let more = world.spawns(0).len() - before;
            let expected = match (state, nth) {
                // Not wanted, or waits for what does not end.
                ("Initial", _) => 0,
                // Delayed, or at its hook: it starts once, by the new keys.
                ("Starting", 2 | 3) => 1,
                ("Starting" | "Started" | "Running", _) => usize::from(restart),
                ("InKilling", 7) => 1,
                ("InKilling", 8) => 0,
                // Its run has failed with the old keys.
                ("InKilling" | "Failed" | "FinishedFailed", _) => 1,
                ("Finished", _) => 0,
                other => panic!("{other:?}"),
            };
            assert_eq!(more, expected, "{state} ({nth}), restart: {restart}");
            let now = &world.supervisor.snapshot()[0];
            assert_eq!(now.wanted, wanted, "{state} ({nth})");
            let up = ["Running", "Started"].contains(&now.state);
            assert_eq!(up, !(["Initial", "Finished"].contains(&state) || nth == 8), "{state} ({nth}): {}", now.state);
            assert!(world.plan.services[0].restart.attempts == 77 || restart);
        }
    }
}

#[test]
fn each_state_can_be_removed_and_comes_back() {
    for comes_back in [false, true] {
        for (nth, (state, mut world)) in states().into_iter().enumerate() {
            let all = changed(&world, |_| {});
            let rest = all[1..].iter().cloned().map(|mut svc| {
                svc.spec.start_after.clear();
                svc
            });
            world.reload(rest.collect());
            let mut all = all;
            all[0].spec.autostart = true;
            if comes_back {
                world.reload(all);
            }
            world.until(30_000);
            let alive = world.alive().contains(&A);
            assert_eq!(world.state(0), if comes_back { world.state(0) } else { "gone" }, "{state} ({nth})");
            let waits = nth == 1;
            assert_eq!(alive, comes_back && !waits, "{state} ({nth})");
            assert_eq!(world.find("a").is_some(), comes_back);
            world.signal(Signal::TERM);
            assert_eq!(world.end(), 0);
        }
    }
}

/// It said that it would run again, and never did: it was held back by what was removed with it, failed meanwhile, and was
/// back in the configuration before its end.
#[test]
fn what_fails_while_it_is_away_goes_by_its_restart_policy_once_it_is_back() {
    let failing = || Script::exits(100, 1);
    let leftovers = Svc::new("a", failing().helper(false, OnStop::Exits(500, 0)));
    let hook = Svc::new("a", failing().hook(Hook::AfterStop, Answer::Pass(500))).hooks(&[Hook::AfterStop]);
    let sick =
        Svc::new("a", Script::runs().answers(&[Answer::Pass(0), Answer::Fail(0)]).on_stop(OnStop::Exits(500, 0)))
            .watched(|health| (health.max_failed, health.rounds.interval) = (0, ms(100)));
    // It goes by itself, and how it ends is not known yet when it is back.
    let itself = Svc::new("a", Script::exits(400, 1).says(50, said(|notice| notice.stopping = true)));
    for a in [leftovers, hook, sick, itself] {
        let a = a.then(Script::runs()).with(|spec| {
            spec.restart.attempts = 1;
            (spec.autostart, spec.shutdown_after) = (false, vec![B]);
        });
        let set = || vec![a.clone(), Svc::new("user", Script::runs().on_stop(OnStop::Exits(5000, 0))), other()];
        let mut world = World::up(set());
        world.command(Command::Start(A)).until(50).reload(vec![other()]).until(300);
        assert_eq!(world.state(0), "InKilling");
        world.reload(set()).until(2000);
        assert_eq!((world.spawns(0).len(), world.state(0)), (2, "Running"));
    }
}

#[test]
fn removed_services_stop_in_order_and_are_forgotten() {
    let slow = || Script::runs().on_stop(OnStop::Exits(50, 0));
    let chain =
        vec![Svc::new("db", slow()), Svc::new("app", slow()).after(&[0]), Svc::new("web", slow()).after(&[1]), other()];
    let mut world = World::up(chain);
    world.until(100).reload(vec![other()]);
    assert_eq!(world.supervisor.snapshot().len(), 4, "they are there until they have stopped");
    world.until(500);
    let stops: Vec<_> =
        world.reports().into_iter().filter(|(_, report)| matches!(report, Report::Stopping(..))).collect();
    let stop = |at, id| (at, Report::Stopping(run(id, 1), StopCause::Asked));
    assert_eq!(stops, [stop(100, 2), stop(150, 1), stop(200, 0)]);
    let names: Vec<String> = world.supervisor.snapshot().into_iter().map(|status| status.name).collect();
    assert_eq!(names, ["other"]);
    assert_eq!(world.plan.ids().collect::<Vec<_>>(), [ServiceId(3)]);
}

/// The run that is about to be replaced still uses what is removed.
#[test]
fn what_is_removed_goes_after_the_run_that_used_it() {
    let slow = || Script::runs().on_stop(OnStop::Exits(50, 0));
    let mut world = World::up(vec![Svc::new("old", slow()), Svc::new("web", slow()).after(&[0])]);
    world.until(100).reload(vec![Svc::new("new", slow()), Svc::new("web", slow()).after(&[0]).with(needs_restart)]);
    world.until(500);
    let (old, web, new) = (A, B, world.find("new").unwrap());
    world.assert_reported(100, &Report::Stopping(run(web.0, 1), StopCause::Restart));
    world.assert_reported(150, &Report::Stopping(run(old.0, 1), StopCause::Asked));
    assert_eq!((world.spawns(new.0), world.spawns(web.0)), (vec![100], vec![0, 150]));
}

#[test]
fn added_services_start_in_order_unless_they_are_not_to() {
    let mut world = World::up(vec![other()]);
    let db = Svc::new("db", Script::runs().spawn_takes(40));
    let manual = runs("manual").with(|spec| spec.autostart = false);
    world.until(100).reload(vec![runs("web").after(&[1]), db, manual, other()]).until(500);
    let id = |name: &str| world.find(name).unwrap().0;
    assert_eq!(id("other"), 0, "who stays keeps its id");
    assert_eq!(
        (world.spawns(id("db")), world.spawns(id("web")), world.spawns(id("manual"))),
        (vec![100], vec![140], vec![])
    );
    let names: Vec<String> = world.supervisor.snapshot().into_iter().map(|status| status.name).collect();
    assert_eq!(names, ["web", "db", "manual", "other"], "in load order");
}

/// An id may be used again, a run's number not.
#[test]
fn ids_are_used_again_and_runs_are_counted_on() {
    let mut world = World::up(vec![other(), runs("a")]);
    for n in 0..1000 {
        world.until(100 * (n + 1)).reload(vec![other(), runs(&format!("n{n}"))]).until(100 * (n + 1) + 50);
    }
    assert!(world.plan.services.len() <= 3, "{}", world.plan.services.len());
    let last = world.find("n999").unwrap();
    let status = world.supervisor.status(last).unwrap();
    assert_eq!(status.starts, 1);
    assert!(status.run.unwrap().generation > 300);
    assert_eq!(world.spawns(0), [0]);
}

#[test]
fn what_has_failed_is_tried_again_together_with_what_failed_with_it() {
    let set = |script: Script, change: fn(&mut ServiceSpec)| {
        vec![Svc::new("db", script).with(change), runs("app").after(&[0]), runs("web").after(&[1]), other()]
    };
    let mut world = World::up(set(Script::unspawnable(127), |_| {}));
    world.until(100);
    assert_eq!(
        (world.state(0), world.state(1), world.state(2)),
        ("FinishedFailed", "FinishedFailed", "FinishedFailed")
    );
    world.reload(set(Script::runs(), |_| {})).until(200);
    assert_eq!(world.state(0), "FinishedFailed", "nothing about it has changed");
    world.reload(set(Script::runs(), needs_restart)).until(300);
    assert_eq!((world.state(0), world.state(1), world.state(2)), ("Running", "Running", "Running"));
}

#[test]
fn dependencies_hold_as_they_are_now() {
    let set = |on: u32| vec![runs("never").with(|spec| spec.autostart = false), other(), runs("web").after(&[on])];
    let mut world = World::up(set(0));
    assert_eq!(world.until(100).state(2), "Initial");
    world.reload(set(1)).until(200);
    assert_eq!(world.spawns(2), [100]);
    world.reload(set(0)).until(300);
    assert_eq!(world.state(2), "Running", "a gate is for starts");
    let fails = |spec: &mut ServiceSpec| spec.autostart = true;
    let bad = Svc::new("never", Script::unspawnable(127)).with(fails);
    world.reload(vec![bad, other(), runs("web").after(&[0]), runs("more").after(&[0])]).until(400);
    assert_eq!((world.state(0), world.state(2), world.state(3)), ("FinishedFailed", "Running", "FinishedFailed"));
}

#[test]
fn a_stop_goes_by_the_rules_that_hold_now() {
    let set = |signal, wait| {
        let script = Script::runs().on_stop(OnStop::Ignores);
        vec![
            Svc::new("a", script).with(move |spec| (spec.termination.signal, spec.termination.wait) = (signal, wait)),
            other(),
        ]
    };
    let mut world = World::up(set(Signal::TERM, ms(60_000)));
    world.until(100).reload(set(Signal::INT, ms(50_000))).command(Command::Stop(A)).until(200);
    assert_eq!(world.signals(0).iter().map(|(at, signal, _)| (*at, *signal)).collect::<Vec<_>>(), [(100, Signal::INT)]);
    world.reload(set(Signal::INT, ms(300))).until(600);
    assert_eq!(world.signals(0).last().map(|(at, signal, _)| (*at, *signal)), Some((500, Signal::KILL)));
}

/// It was killed after 300 ms, and the message spoke of a minute.
#[test]
fn a_wait_that_gets_longer_during_a_stop_is_neither_kept_nor_claimed() {
    let set = |wait| {
        let script = Script::runs().on_stop(OnStop::Ignores);
        vec![Svc::new("a", script).with(move |spec| spec.termination.wait = wait), other()]
    };
    let mut world = World::up(set(ms(300)));
    world.until(100).command(Command::Stop(A)).until(200).reload(set(ms(60_000))).until(1000);
    world.assert_reported(400, &Report::Killing(run(0, 1), ms(300)));
}

#[test]
fn health_checks_change_while_they_go_on() {
    let set = |change: fn(&mut Health)| vec![Svc::new("a", Script::runs()).watched(change), other()];
    let mut world = World::up(set(|health| health.rounds.interval = ms(60_000)));
    world.until(10_000).reload(set(|health| health.rounds.interval = ms(100))).until(10_450);
    let probes = |world: &World| world.log.iter().filter(|(_, action)| matches!(action, Action::StartProbe(_))).count();
    assert_eq!((world.spawns(0), probes(&world)), (vec![0], 6));
    assert_eq!(world.supervisor.snapshot()[0].health, Some("healthy"));
    world.reload(vec![runs("a"), other()]).until(20_000);
    assert_eq!((probes(&world), world.supervisor.snapshot()[0].health), (6, None));
}

/// Answers to probes that were asked by the old keys don't count.
#[test]
fn a_round_under_way_is_given_up() {
    let set = |second: bool, script: Script| {
        vec![
            Svc::new("a", script).watched(|health| {
                health.max_failed = 0;
                health.rounds.timeout = ms(900);
                if second {
                    health.rounds.probes.push(health.rounds.probes[0].clone());
                }
            }),
            other(),
        ]
    };
    let answers = [Answer::Pass(0), Answer::Fail(500), Answer::Pass(0)];
    let mut world = World::up(set(true, Script::runs().answers(&answers)));
    world.until(2200).reload(set(false, Script::runs())).until(60_000);
    let cancelled = world.log.iter().filter(|(_, action)| matches!(action, Action::CancelProbe(_)));
    let cancelled: Vec<Mono> = cancelled.map(|(at, _)| *at).collect();
    assert_eq!(cancelled, vec![Mono(2_200_000_000); 2], "both of them, by their old numbers");
    assert_eq!(world.spawns(0), [0]);
}

#[test]
fn what_makes_it_ready_changes_while_it_starts() {
    let never = || Script::runs().answers(&[Answer::Fail(0)]);
    let asked = Signs { rounds: Some(rounds()), ..Signs::default() };
    let mut world = World::up(vec![Svc::new("a", never()).signs(asked.clone()), other()]);
    assert_eq!(world.until(5000).state(0), "Started");
    world.reload(vec![Svc::new("a", never()), other()]).until(5001);
    assert_eq!((world.state(0), world.spawns(0)), ("Running", vec![0]));

    let late =
        |timeout| Svc::new("a", never()).signs(asked.clone()).with(move |spec| spec.start_timeout = Some(ms(timeout)));
    let mut world = World::up(vec![late(10_000), other()]);
    world.until(5000).reload(vec![late(20_000), other()]);
    assert_eq!(world.until(15_000).state(0), "Started");
    world.reload(vec![late(16_000), other()]);
    assert_eq!(world.until(17_000).state(0), "FinishedFailed");

    // What the process has to be given for it takes another one.
    let mut world = World::up(vec![runs("a"), other()]);
    let says = Svc::new("a", Script::runs().says(10, ready())).signs(Signs { notify: true, ..Signs::default() });
    world.until(100).reload(vec![says, other()]).until(200);
    assert_eq!((world.state(0), world.spawns(0)), ("Running", vec![0, 100]));
}

#[test]
fn nothing_is_reloaded_while_all_is_stopped() {
    let slow = Script::runs().on_stop(OnStop::Exits(500, 0));
    let mut world = World::up(vec![Svc::new("a", slow)]);
    world.until(100).signal(Signal::TERM);
    world.reload(vec![runs("b")]);
    assert_eq!((world.end(), adopted(&world)), (0, 0));
}

#[test]
fn a_shutdown_stops_what_is_leaving_as_well() {
    let slow = || Script::runs().on_stop(OnStop::Exits(300, 0));
    let mut world = World::up(vec![Svc::new("db", slow()), Svc::new("web", slow()).after(&[0]), other()]);
    world.until(100).reload(vec![other()]).until(200).signal(Signal::TERM);
    assert_eq!(world.end(), 0);
    assert_eq!(world.now, Mono(700_000_000), "`web` first, then `db`");
}

#[test]
fn settings_that_can_change_do_and_the_others_are_told() {
    let mut world = World::up(vec![Svc::new("a", Script::unspawnable(127)), other()]);
    let mut read = world.until(10).plan.clone();
    read.settings = Settings {
        unsuccessful_exit_finished_failed: true,
        socket: horust::model::ControlSocket::Off,
        ..Settings::default()
    };
    for _ in 0..2 {
        assert_eq!(world.supervisor.difference(&read).at_next_start, ["control.socket"]);
        world.tell(Event::Loaded(Arc::new(read.clone())));
    }
    world.signal(Signal::TERM);
    assert_eq!(world.end(), 101);
}

#[test]
fn a_service_that_starts_with_horust_from_now_on_starts_unless_it_was_stopped() {
    let set = |start| {
        vec![
            other(),
            runs("a").with(move |spec| spec.autostart = start),
            runs("b").with(move |spec| spec.autostart = start),
        ]
    };
    let mut world = World::up(set(false));
    world.until(10).command(Command::Stop(ServiceId(2))).until(20).reload(set(true)).until(100);
    assert_eq!((world.state(1), world.state(2)), ("Running", "Finished"));
    world.reload(set(false)).until(200);
    assert_eq!(world.state(1), "Running");
}

#[test]
fn the_difference_names_services_and_keys() {
    let mut world = World::up(vec![runs("a"), runs("b").after(&[0]), runs("c")]);
    world.until(100);
    let set = vec![
        runs("d"),
        runs("b").once(0, Condition::Started).with(|spec| {
            spec.stdout = Output::Null;
            spec.environment =
                Arc::new(Environment { additional: vec![("X".into(), "1".into())], ..Environment::default() });
        }),
        runs("c").watched(|health| health.on_unhealthy = OnUnhealthy::Report).with(|spec| {
            spec.readiness = Readiness::Exec;
            spec.restart.strategy = RestartStrategy::Always;
            spec.origin.line = 99;
        }),
    ];
    let plan = World::new(set).plan;
    let difference = world.supervisor.difference(&plan);
    assert_eq!((difference.added, difference.removed), (vec!["d".to_owned()], vec!["a".to_owned()]));
    let changed: Vec<_> = difference.changed.iter().map(|c| (c.name.as_str(), c.keys.join(" "), c.restart)).collect();
    let c = "restart.strategy healthiness.file-path healthiness.on-unhealthy".to_owned();
    assert_eq!(changed, [("b", "start-after stdout environment.X".to_owned(), true), ("c", c, false)]);
    assert!(world.supervisor.difference(&world.plan).is_empty());
    let elsewhere: Vec<Svc> = ["a", "b", "c"].map(|name| runs(name).with(|spec| spec.origin.line = 9)).into();
    let elsewhere = World::new(
        elsewhere.into_iter().enumerate().map(|(n, svc)| if n == 1 { svc.after(&[0]) } else { svc }).collect(),
    );
    assert!(world.supervisor.difference(&elsewhere.plan).is_empty(), "where it stands is no key");
    let keys = every_key();
    assert!(keys.iter().enumerate().all(|(n, one)| keys[..n].iter().all(|other| other.key != one.key)));
}

/// `restart-dependents` has marked it for a run; now it does not depend on that any more.
#[test]
fn a_dependency_that_is_gone_restarts_nobody() {
    let db = || {
        Svc::new("db", Script::exits(100, 1)).then(Script::runs().spawn_takes(500)).with(|spec| {
            spec.restart.strategy = RestartStrategy::Always;
            spec.failure.strategy = horust::model::FailureStrategy::RestartDependents;
        })
    };
    let mut world = World::up(vec![db(), runs("web").after(&[0])]);
    world.until(200).reload(vec![db(), runs("web")]).until(1000);
    assert_eq!((world.state(0), world.spawns(1)), ("Running", vec![0]));
}

#[test]
fn a_oneshot_becomes_a_daemon_by_another_run() {
    let set = |kind| vec![runs("a").with(move |spec| spec.kind = kind), runs("b").needs(Need::ready(A))];
    let mut world = World::up(set(Kind::Oneshot));
    assert_eq!(world.until(100).state(1), "Initial");
    world.reload(set(Kind::Daemon)).until(200);
    assert_eq!((world.spawns(0), world.spawns(1)), (vec![0, 100], vec![100]));
}
