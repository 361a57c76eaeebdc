//! One life, from a seed: first everything may go wrong and nothing may be broken; then all behave and the system must
//! come to rest; then it is told to stop and must end in time.

use crate::dice::Dice;
use crate::faults::{Faults, strikes};
use crate::plan::{Files, HOOKS, ms, usr1};
use crate::world::{Coming, World};
use horust::model::{Kind, Mono, Readiness, RestartStrategy, ServiceId, ServiceSpec, Signal};
use horust::supervisor::{Command, Why};
use std::time::Duration;

/// Of the steps of one life so many are about trouble.
const MOST_TROUBLE: usize = 600;

/// The world of this seed, before its boot.
pub fn world(seed: u64) -> World {
    let mut dice = Dice(seed);
    let files = Files::random(&mut dice);
    let faults = Faults::random(&mut dice);
    World::new(files, faults, seed, dice)
}

/// Lives through all of it; panics where a promise is broken.
pub fn live(world: &mut World) {
    world.boot();
    trouble(world);
    let early = world.exit.is_none() && world.dice.one_in(8);
    if early {
        ends_in_trouble(world);
    }
    if world.exit.is_none() {
        world.reform();
        converge(world);
    }
    if world.exit.is_none() {
        let (asked, signal) = (world.now, world.dice.pick(&[Signal::TERM, Signal::INT]));
        world.signal(signal);
        ends_within(world, asked, longest_stop(world, ms(550)));
    }
}

fn trouble(world: &mut World) {
    let horizon = world.now.after(ms(world.dice.pick(&[300, 1000, 3000, 8000])));
    while world.now < horizon && world.exit.is_none() && world.told.len() < MOST_TROUBLE {
        let pause = world.dice.below(1200);
        world.until_steps(world.now.after(ms(pause)), MOST_TROUBLE);
        if world.exit.is_some() {
            return;
        }
        if strikes(&mut world.dice, world.faults.commands) {
            // Two at a time are one call.
            for _ in 0..world.dice.pick(&[1, 1, 2]) {
                let command = command(world);
                world.command(command);
            }
        }
        if strikes(&mut world.dice, world.faults.signals) {
            let signal = world.dice.pick(&[Signal::HUP, usr1(), Signal::QUIT, Signal::CONT]);
            world.signal(signal);
        }
        if strikes(&mut world.dice, world.faults.reloads) {
            world.later(0, Coming::Loads);
        }
        if strikes(&mut world.dice, world.faults.clock) {
            // All stands still, and then everything is late.
            world.now = world.now.after(ms(world.dice.below(20_000)));
        }
    }
}

fn command(world: &mut World) -> Command {
    let id = ServiceId(u32::try_from(world.dice.index(world.plan.services.len())).unwrap());
    match world.dice.below(60) {
        0 => Command::Shutdown,
        // Who takes it in has to tell; it must do no harm.
        1 => Command::Start(ServiceId(99)),
        n if n < 20 => Command::Start(id),
        n if n < 38 => Command::Stop(id),
        n if n < 52 => Command::Restart(id),
        _ => Command::Signal(id, usr1()),
    }
}

/// A stop while everything goes wrong; with a second signal, everything is killed.
fn ends_in_trouble(world: &mut World) {
    let asked = world.now;
    world.faults.clock = 0;
    world.signal(Signal::TERM);
    if world.dice.one_in(3) {
        let second = world.now.after(ms(world.dice.below(400)));
        world.until(second);
        world.signal(Signal::TERM);
    }
    // Each turn may come late, each service may be unkillable, and what they say can extend a stop.
    let bound = longest_stop(world, horust::limits::UNKILLABLE_AFTER + ms(5000));
    ends_within(world, asked, bound);
}

#[track_caller]
fn ends_within(world: &mut World, asked: Mono, bound: Duration) {
    world.until(asked.after(bound));
    let states = world.supervisor.snapshot();
    assert!(world.exit.is_some(), "no end within {bound:?}: {states:#?}");
}

/// The longest that the stop of everything may take: each service its waits and hooks, one after the other. What a service
/// has said can extend its stop by half a second.
fn longest_stop(world: &World, more: Duration) -> Duration {
    let hooks = |spec: &ServiceSpec| HOOKS.into_iter().filter_map(|hook| Some(spec.hook(hook)?.1)).sum::<Duration>();
    let stop = |spec: &ServiceSpec| spec.termination.wait + hooks(spec) + more;
    world.plan.services.iter().map(|spec| stop(spec)).sum()
}

/// The system comes to rest within a time that the plan bounds.
fn converge(world: &mut World) {
    let one = |spec: &ServiceSpec| {
        let restart = spec.restart.backoff_max.max(spec.restart.backoff) * 2 + spec.start_delay;
        restart * (spec.restart.attempts + 1) + spec.start_timeout.unwrap_or_default() + ms(3000)
    };
    let bound = world.plan.services.iter().map(|spec| one(spec)).sum::<Duration>();
    let bound = bound + longest_stop(world, ms(550)) * 2;
    let (restless, end) = (restless(world), world.now.after(bound));
    while world.exit.is_none() && world.now < end {
        world.until(world.now.after(ms(500)));
        if unrest(world, &restless).is_none() {
            return;
        }
    }
    let unrest = unrest(world, &restless).filter(|_| world.exit.is_none());
    assert!(unrest.is_none(), "after {bound:?}: {}", unrest.unwrap_or_default());
}

/// Who has not come to rest.
fn unrest(world: &World, restless: &[bool]) -> Option<String> {
    world.plan.ids().zip(world.supervisor.snapshot()).find_map(|(id, status)| {
        let chain = world.supervisor.explain(id);
        let excused = restless[id.index()] || chain.iter().any(|link| restless[link.service.index()]);
        let rests = match status.state {
            "Running" | "Finished" | "FinishedFailed" => true,
            "Initial" => chain.last().is_some_and(|link| rests(world, link.service, &link.why)),
            _ => false,
        };
        let told = || format!("{id:?} does not come to rest: {} because of {chain:#?}", status.state);
        (!rests && !excused).then(told)
    })
}

/// What one may wait for and still be at rest: somebody else has to act.
fn rests(world: &World, id: ServiceId, why: &Why) -> bool {
    let spec = &world.plan.services[id.index()];
    match why {
        Why::NotWanted | Why::StoppedByHand | Why::StillRuns | Why::Finished => true,
        Why::NotHealthy { .. } => spec.health.is_none(),
        _ => false,
    }
}

/// Services that go on starting and ending even if all behave, and those that go along with them.
fn restless(world: &World) -> Vec<bool> {
    let by_itself = |spec: &ServiceSpec| {
        let oneshot = spec.kind == Kind::Oneshot;
        let unlimited = spec.restart.strategy != RestartStrategy::Never && spec.restart.attempts == 0;
        // With no time to be well for, every run that gets ready wipes the count.
        let forever = unlimited || (spec.restart.attempts > 0 && spec.restart.reset_after.is_zero());
        let slow = oneshot || spec.readiness != Readiness::Exec;
        let late = spec.start_timeout.is_some_and(|timeout| slow || timeout < ms(30));
        (oneshot && spec.restart.strategy == RestartStrategy::Always) || (late && forever)
    };
    let mut restless: Vec<bool> = world.plan.services.iter().map(|spec| by_itself(spec)).collect();
    for _ in 0..restless.len() {
        for (id, spec) in world.plan.iter() {
            let of = spec.start_after.iter().map(|need| need.service);
            let along = of.chain(spec.termination.die_if_failed.iter().copied());
            restless[id.index()] |= along.into_iter().any(|other| restless[other.index()]);
        }
    }
    restless
}
