//! What makes a service ready beside its health checks, how long that may take, and what services say about themselves.

use crate::script::{Answer, OnStop, Said, Script, Svc, ms, ready, rounds};
use crate::world::{World, run};
use horust::model::{Exit, Kind, RestartStrategy, ServiceId, Sign, Signal, Signs};
use horust::supervisor::{Action, Command, Notice, Reason, Report, StopCause, Target, Watchdog};
use std::time::Duration;

const A: ServiceId = ServiceId(0);

fn notify() -> Signs {
    Signs { notify: true, ..Signs::default() }
}

pub fn said(change: impl FnOnce(&mut Notice)) -> Said {
    let mut notice = Notice::default();
    change(&mut notice);
    Said::Notice(notice)
}

fn alive() -> Said {
    said(|notice| notice.watchdog = Some(Watchdog::Alive))
}

fn slow_stop(script: Script) -> Script {
    script.on_stop(OnStop::Exits(20, 0))
}

#[test]
fn ready_is_believed_once_and_only_where_it_is_asked_for() {
    let script = Script::runs().says(300, ready()).says(400, ready());
    let asked = Svc::new("asked", script.clone()).signs(notify());
    let other = Svc::new("other", script).signs(Signs { notify_fd: Some(3), ..Signs::default() });
    let mut world = World::up(vec![asked, other, Svc::new("after", Script::runs()).after(&[0])]);
    assert_eq!(world.until(299).state(0), "Started");
    world.until(5000);
    world.assert_reported(300, &Report::Ready(run(0, 1), ms(300)));
    assert_eq!((world.state(0), world.state(1), world.spawns(2)), ("Running", "Started", vec![300]));
    assert_eq!(world.reports().iter().filter(|(_, report)| matches!(report, Report::Ready(..))).count(), 2);
}

#[test]
fn all_that_is_asked_for_must_be_there_at_the_same_time() {
    let signs = Signs { rounds: Some(rounds()), notify_fd: Some(3), log_line: Some("up".into()), ..notify() };
    let script = Script::runs().answers(&[Answer::Pass(0), Answer::Fail(0), Answer::Fail(0), Answer::Pass(0)]);
    let script = script.says(100, ready()).says(200, Said::Sign(Sign::NotifyFd)).says(1500, Said::Sign(Sign::LogLine));
    let mut world = World::up(vec![Svc::new("a", script).signs(signs)]);
    assert_eq!(world.until(2999).state(0), "Started", "the first pass was no longer true when all had been said");
    assert_eq!(world.until(3000).state(0), "Running");
}

#[test]
fn a_sign_that_comes_last_makes_it_ready_at_once_and_its_probes_are_called_off() {
    let script = Script::runs().answers(&[Answer::Pass(0), Answer::Never]).says(1500, ready());
    let mut world = World::up(vec![Svc::new("a", script).signs(Signs { rounds: Some(rounds()), ..notify() })]);
    world.until(3000);
    world.assert_reported(1500, &Report::Ready(run(0, 1), ms(1500)));
    let cancelled = world.log.iter().filter(|(_, action)| matches!(action, Action::CancelProbe(_)));
    assert_eq!(cancelled.map(|(at, _)| at.0 / 1_000_000).collect::<Vec<_>>(), [1500]);
}

#[test]
fn a_start_that_takes_too_long_is_a_failure_with_the_last_error() {
    let answers = [Answer::Fail(0), Answer::Never];
    let svc = Svc::new("a", slow_stop(Script::runs().answers(&answers))).watched(|_| {}).with(|spec| {
        spec.start_timeout = Some(ms(2500));
        spec.restart.attempts = 1;
    });
    let mut world = World::up(vec![svc, Svc::new("b", Script::runs()).after(&[0])]);
    world.end();
    // Asked at 0 and 1 s; the second answer is overdue at 2 s.
    let why = "not ready within 2s 500ms: no answer within 1s";
    world.assert_reported(2500, &Report::TooLate(run(0, 1), why.into()));
    world.assert_reported(2500, &Report::Stopping(run(0, 1), StopCause::TooLate(why.into())));
    let reason = Reason::TooLate(why.into(), Some(Exit::Code(0)));
    assert_eq!(reason.code(), 1);
    world.assert_reported(5040, &Report::GaveUp(A, reason));
    world.assert_reported(5040, &Report::GaveUp(ServiceId(1), Reason::Dependency(A)));
    assert_eq!(world.spawns(0), [0, 2520], "its second start has the same time");
}

#[test]
fn what_a_start_that_took_too_long_lacked_is_told() {
    let signs = Signs { rounds: Some(rounds()), notify_fd: Some(3), log_line: Some("up".into()), ..notify() };
    let script = Script::runs().answers(&[Answer::Fail(0)]).says(100, Said::Sign(Sign::NotifyFd));
    let svc = Svc::new("a", script).signs(signs).with(|spec| spec.start_timeout = Some(ms(500)));
    let mut world = World::up(vec![svc]);
    world.end();
    let why = "not ready within 500ms: it has not said READY=1; it has not printed its log-line; scripted";
    world.assert_reported(500, &Report::TooLate(run(0, 1), why.into()));
}

#[test]
fn an_exec_that_hangs_is_too_late_as_well_and_one_in_time_is_not() {
    let timed = |script| Svc::new("a", script).with(|spec| spec.start_timeout = Some(ms(100)));
    let mut world = World::up(vec![timed(Script::runs().spawn_takes(60_000)), timed(Script::runs().spawn_takes(99))]);
    world.until(50_000);
    world.assert_reported(100, &Report::TooLate(run(0, 1), "not ready within 100ms".into()));
    assert_eq!((world.state(0), world.state(1)), ("FinishedFailed", "Running"));
}

#[test]
fn a_oneshot_has_its_start_timeout_for_its_whole_run() {
    let job = |script| {
        Svc::new("job", script).with(|spec| {
            spec.kind = Kind::Oneshot;
            spec.start_timeout = Some(ms(500));
        })
    };
    let long = job(Script::exits(60_000, 0).says(400, said(|notice| notice.extend = Some(ms(400)))));
    let mut world = World::up(vec![job(Script::exits(499, 0)), job(Script::exits(60_000, 0)), long]);
    world.end();
    world.assert_reported(500, &Report::TooLate(run(1, 1), "not finished within 500ms".into()));
    world.assert_reported(800, &Report::TooLate(run(2, 1), "not finished within 500ms".into()));
    assert_eq!([0, 1, 2].map(|id| world.state(id)), ["Finished", "FinishedFailed", "FinishedFailed"]);
}

#[test]
fn more_time_can_be_asked_for_at_the_start_and_at_the_stop() {
    let more = |to| said(move |notice: &mut Notice| notice.extend = Some(ms(to)));
    let script = Script::runs().says(80, more(1000)).says(90, more(1)).says(900, ready());
    let script = script.says(2050, more(400)).on_stop(OnStop::Exits(440, 0));
    let svc = Svc::new("a", script).signs(notify()).with(|spec| {
        spec.start_timeout = Some(ms(100));
        spec.termination.wait = ms(100);
    });
    let mut world = World::up(vec![svc]);
    assert_eq!(world.until(2000).state(0), "Running");
    world.signal(Signal::TERM);
    world.end();
    assert_eq!(world.signals(0), [(2000, Signal::TERM, Target::Group)], "it ended at 2.44 s, before 2.45 s");
}

#[test]
fn a_service_that_is_not_ready_is_mentioned_once() {
    let never = Svc::new("a", Script::runs()).signs(notify());
    let timed = never.clone().with(|spec| spec.start_timeout = Some(ms(600_000)));
    let mut world = World::up(vec![never, timed]);
    world.until(300_000);
    let said: Vec<_> =
        world.reports().into_iter().filter(|(_, report)| matches!(report, Report::NotReadyYet(..))).collect();
    assert_eq!(said, [(30_000, Report::NotReadyYet(run(0, 1), ms(30_000)))]);
}

#[test]
fn a_watchdog_that_is_not_heard_of_is_a_failure() {
    let script = slow_stop(Script::runs().says(0, alive()).says(1400, ready()).says(2300, alive()).says(3200, alive()));
    let svc = Svc::new("a", script).signs(notify()).with(|spec| {
        spec.watchdog = Some(ms(1000));
        spec.restart.attempts = 1;
    });
    let mut world = World::up(vec![svc]);
    world.until(4219);
    let why = "no WATCHDOG=1 within 1s";
    world.assert_reported(4200, &Report::Unhealthy(run(0, 1), why.into()));
    assert_eq!(world.spawns(0), [0]);
    world.end();
    world.assert_reported(8440, &Report::GaveUp(A, Reason::Unhealthy(why.into(), Some(Exit::Code(0)))));
}

#[test]
fn a_watchdog_can_be_set_and_pulled_by_the_service() {
    let often = said(|notice| notice.watchdog_every = Some(ms(50)));
    let pulled = said(|notice| notice.watchdog = Some(Watchdog::Trigger));
    let watched = |script| Svc::new("a", script).with(|spec| spec.watchdog = Some(ms(60_000)));
    let mut world = World::up(vec![
        watched(Script::runs().says(100, often)),
        watched(Script::runs().says(100, pulled.clone())),
        Svc::new("has none", Script::runs().says(100, pulled)),
    ]);
    world.until(1000);
    world.assert_reported(150, &Report::Unhealthy(run(0, 1), "no WATCHDOG=1 within 50ms".into()));
    world.assert_reported(100, &Report::Unhealthy(run(1, 1), "it says WATCHDOG=trigger".into()));
    assert_eq!(world.state(2), "Running");
}

#[test]
fn what_stops_by_itself_gets_its_wait_and_is_judged_by_its_end() {
    let stopping = said(|notice| notice.stopping = true);
    let svc = |script: Script| {
        Svc::new("a", script.says(100, stopping.clone())).with(|spec| {
            spec.termination.wait = ms(500);
            spec.restart.strategy = RestartStrategy::OnFailure;
        })
    };
    let mut world = World::up(vec![
        svc(Script::exits(400, 0)),
        svc(Script::exits(400, 1)).then(Script::runs()),
        svc(Script::runs()).then(Script::runs()),
        Svc::new("b", Script::exits(150, 1)).then(Script::runs()).after(&[0]).with(|spec| spec.restart.attempts = 1),
    ]);
    world.until(399);
    assert_eq!((world.state(0), world.state(3)), ("InKilling", "Initial"), "it is no longer ready");
    world.until(1000);
    assert_eq!(world.signals(0), []);
    assert_eq!((world.state(0), world.spawns(1), world.spawns(3)), ("Finished", vec![0, 400], vec![0, 400]));
    assert_eq!(world.signals(2), [(600, Signal::KILL, Target::Tree)]);
    assert_eq!(world.spawns(2), [0, 600], "it had to be killed, which is a failure");
}

/// In one message with it, or in one of the same moment.
#[test]
fn what_stops_by_itself_gets_the_time_that_it_asks_for_in_the_same_breath() {
    let both = said(|notice| (notice.stopping, notice.extend) = (true, Some(ms(800))));
    let svc = |ends| {
        let script = Script::exits(ends, 0).says(100, both.clone());
        Svc::new("a", script).with(|spec| spec.termination.wait = ms(500))
    };
    let mut world = World::up(vec![svc(899), svc(901)]);
    world.end();
    assert_eq!((world.signals(0), world.state(0)), (vec![], "Finished"));
    assert_eq!(world.signals(1), [(900, Signal::KILL, Target::Tree)]);
}

#[test]
fn what_is_left_behind_by_a_service_that_stops_itself_is_asked_to_stop() {
    let script = Script::exits(200, 0).helper(false, OnStop::Exits(30, 0)).helper(true, OnStop::Exits(30, 0));
    let mut world = World::up(vec![Svc::new("a", script.says(100, said(|notice| notice.stopping = true)))]);
    world.end();
    assert_eq!(world.signals(0), [(200, Signal::TERM, Target::Tree)]);
    assert_eq!(world.now.0, 230_000_000);
}

/// Who says that it stops, and asks for all the time there is, is stopped all the same once somebody else wants that.
#[test]
fn what_stops_by_itself_for_ever_is_asked_to_when_it_is_to_stop() {
    let svc = |on_stop| {
        let script = Script::runs().on_stop(on_stop).says(100, said(|notice| notice.stopping = true));
        let script = script.says(110, said(|notice| notice.extend = Some(Duration::MAX)));
        Svc::new("a", script).with(|spec| spec.termination.wait = ms(500))
    };
    let other = Svc::new("other", Script::runs());
    let mut world = World::up(vec![svc(OnStop::Exits(20, 0)), svc(OnStop::Ignores), other]);
    world.until(10_000).command(Command::Stop(A));
    world.until(20_000).signal(Signal::TERM);
    assert_eq!(world.end(), 0);
    assert_eq!(world.signals(0), [(10_000, Signal::TERM, Target::Group)]);
    assert_eq!(world.signals(1), [(20_000, Signal::TERM, Target::Group), (20_500, Signal::KILL, Target::Tree)]);
    world.assert_reported(10_020, &Report::Finished(A));
}

#[test]
fn its_status_is_shown_until_its_end() {
    let status = |text: &str| {
        let text = text.to_owned();
        said(move |notice: &mut Notice| notice.status = Some(text))
    };
    let script = Script::exits(500, 1).says(100, status("warming up")).says(200, status("")).says(300, status("x"));
    // What waits for its next run says nothing any more.
    let svc = Svc::new("a", script).then(Script::runs()).with(|spec| {
        spec.restart.attempts = 1;
        spec.restart.backoff = ms(1000);
    });
    let mut world = World::up(vec![svc]);
    for (at, seen) in [(99, None), (100, Some("warming up")), (200, None), (300, Some("x")), (600, None), (1600, None)]
    {
        assert_eq!(world.until(at).supervisor.snapshot()[0].says.as_deref(), seen, "at {at}");
    }
}

#[test]
fn what_an_old_run_says_is_not_believed_of_a_new_one() {
    let script = Script::exits(50, 1).says(200, ready());
    let svc = Svc::new("a", script).then(Script::runs()).signs(notify()).with(|spec| spec.restart.attempts = 1);
    let mut world = World::up(vec![svc]);
    assert_eq!(world.until(1000).state(0), "Started");
}
