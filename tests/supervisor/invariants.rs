//! The supervisor's own checks of what must always be true: a memory in which one thing is wrong does not pass.

use crate::script::{Script, Svc};
use crate::world::World;
use horust::model::{Mono, ServiceId, Signal};
use horust::supervisor::{
    Asking, Broken, Cause, Checkpoint, Phase, Probing, Reason, Starting, State, Supervisor, Up, Verdict,
};

/// Of two services that run, the second one after the first.
fn pair() -> (World, Checkpoint) {
    let mut world = World::up(vec![Svc::new("db", Script::runs()), Svc::new("web", Script::runs()).after(&[0])]);
    world.until(100);
    let memory = world.supervisor.checkpoint();
    (world, memory)
}

/// What is found wrong once the memory has been changed like this.
fn found(change: impl Fn(&mut Checkpoint)) -> Option<(&'static str, u32)> {
    let (world, mut memory) = pair();
    change(&mut memory);
    Supervisor::resume(&world.plan, memory).check().err().map(|Broken(what, id)| (what, id.0))
}

fn stopping() -> Phase {
    Phase::Stopping { cause: Cause::Signal(Signal::TERM), asked: true }
}

#[test]
fn a_sound_memory_passes() {
    assert_eq!(found(|_| {}), None);
}

#[test]
fn a_live_service_has_a_run() {
    let never_ran = |memory: &mut Checkpoint| memory.services[1].run.generation = 0;
    assert_eq!(found(never_ran), Some(("a live service has a run", 1)));
}

#[test]
fn nothing_runs_beside_what_would_not_die() {
    let remains = |memory: &mut Checkpoint| memory.services[0].remains = true;
    assert_eq!(found(remains), Some(("no run begins beside one that would not die", 0)));
}

#[test]
fn somebody_asks_whether_a_service_is_ready() {
    let probing =
        Probing { phase: Asking::Off, round: 0, passes: 0, failures: 0, verdict: Verdict::Unknown, error: None };
    let forgotten = |memory: &mut Checkpoint| {
        memory.services[0].state =
            State::Started(Starting { probing: probing.clone(), given: vec![], late: None, nag: None });
    };
    assert_eq!(found(forgotten), Some(("a service that is not ready is asked whether it is", 0)));
}

#[test]
fn nobody_waits_without_a_reason() {
    let waits = |memory: &mut Checkpoint| memory.services[1].state = State::Initial;
    assert_eq!(found(waits), Some(("a wanted service waits only at a shut gate", 1)));
    let for_the_impossible = |memory: &mut Checkpoint| {
        memory.services[1].state = State::Initial;
        memory.services[0].state = State::FinishedFailed { reason: Reason::Unkillable };
    };
    assert_eq!(found(for_the_impossible), Some(("nothing waits for what can't come", 1)));
}

#[test]
fn a_shutdown_goes_on() {
    let held_up = |memory: &mut Checkpoint| {
        memory.phase = stopping();
        memory.services[1].state = State::Finished;
    };
    assert_eq!(found(held_up), Some(("what has stopped lets others stop", 1)));
    let not_told = |memory: &mut Checkpoint| {
        memory.phase = stopping();
        memory.services[1].stop_asked = true;
    };
    assert_eq!(found(not_told), Some(("a service is stopped once its turn has come", 1)));
    // Its turn comes when the other one has gone.
    let later = |memory: &mut Checkpoint| {
        memory.phase = stopping();
        memory.services[0].stop_asked = true;
    };
    assert_eq!(found(later), None);
}

#[test]
fn deadlines_are_part_of_the_memory() {
    let (world, mut memory) = pair();
    assert_eq!(Supervisor::resume(&world.plan, memory.clone()).next_deadline(), None);
    let State::Running(Up { late, .. }) = &mut memory.services[1].state else { panic!("it runs") };
    *late = Some(Mono(700));
    memory.services[0].state = State::Backoff { until: Mono(500), failure: None };
    let resumed = Supervisor::resume(&world.plan, memory);
    assert_eq!((resumed.next_deadline(), resumed.name(ServiceId(1))), (Some(Mono(500)), Some("web")));
    assert_eq!(resumed.name(ServiceId(2)), None);
}
