//! Many lives: each is lived twice and must be the same both times; the first that breaks a promise is told in full.

use crate::dice::Dice;
use crate::failure::{self, Failure};
use crate::life;
use crate::world::World;
use horust::supervisor::{Action, Report};
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

/// The diagram of the states shows what the seeds below this one have seen.
pub const DRAWN: u64 = 13_000;

/// What all lives have seen.
#[derive(Debug, Default)]
pub struct Seen {
    pub seeds: u64,
    pub steps: u64,
    /// Of the seeds that are drawn.
    pub transitions: BTreeSet<(&'static str, &'static str)>,
    /// The kinds of reports, causes of stops and hooks.
    pub kinds: BTreeSet<String>,
}

/// Lives through one seed twice.
pub fn seed(seed: u64) -> Result<World, Box<Failure>> {
    let mut world = life::world(seed);
    if let Err(broken) = failure::catch(|| life::live(&mut world)) {
        return Err(Box::new(Failure::of(&world, broken)));
    }
    let mut again = life::world(seed);
    again.checked = false;
    // The second one is put away and goes on from what it remembers.
    again.resume_at = Some(Dice(!seed).index(world.told.len()));
    let lived = failure::catch(|| life::live(&mut again));
    let broken = match lived {
        Err(broken) => Some(broken),
        Ok(()) if again.log != world.log || again.exit != world.exit => {
            let differs = again.log.iter().zip(&world.log).find(|(one, two)| one != two);
            let at = again.resume_at.unwrap_or_default();
            Some(failure::Broken::new(format!("another life of the same seed, resumed at {at}: {differs:?}")))
        }
        Ok(()) => None,
    };
    match broken {
        Some(broken) => Err(Box::new(Failure::of(&again, broken))),
        None => Ok(world),
    }
}

/// Lives through seeds from `first` on, on all processors, until they have taken so many steps.
pub fn many(first: u64, steps: u64) -> Result<Seen, Box<Failure>> {
    let (next, taken, stop) = (AtomicU64::new(first), AtomicU64::new(0), AtomicBool::new(false));
    let all = Mutex::new((Seen::default(), None::<Box<Failure>>));
    let begun = Instant::now();
    let worker = || {
        let mut mine = Seen::default();
        while !stop.load(Ordering::Relaxed) && taken.load(Ordering::Relaxed) < steps {
            match seed(next.fetch_add(1, Ordering::Relaxed)) {
                Ok(world) => {
                    let before = taken.fetch_add(world.told.len() as u64, Ordering::Relaxed);
                    mine.add(&world);
                    progress(before, world.told.len() as u64, begun);
                }
                Err(failure) => {
                    stop.store(true, Ordering::Relaxed);
                    let mut all = all.lock().unwrap();
                    // Of several the lowest seed, so that the answer does not depend on who was first.
                    if all.1.as_ref().is_none_or(|other| other.seed > failure.seed) {
                        all.1 = Some(failure);
                    }
                }
            }
        }
        all.lock().unwrap().0.merge(mine);
    };
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        (0..threads).for_each(|_| drop(scope.spawn(worker)));
    });
    let (seen, failure) = all.into_inner().unwrap();
    let seconds = begun.elapsed().as_secs_f64();
    let rate = seen.steps as f64 / seconds.max(0.001);
    println!("{} seeds, {} steps, each twice, in {seconds:.1} s: {rate:.0} steps a second", seen.seeds, seen.steps);
    failure.map_or(Ok(seen), Err)
}

fn progress(before: u64, more: u64, begun: Instant) {
    const EACH: u64 = 10_000_000;
    if before / EACH != (before + more) / EACH {
        println!("{} steps after {:.0} s", before + more, begun.elapsed().as_secs_f64());
    }
}

impl Seen {
    fn add(&mut self, world: &World) {
        self.seeds += 1;
        self.steps += world.told.len() as u64;
        // Which seeds are the last ones depends on the threads; the diagram must not.
        if world.seed < DRAWN {
            self.transitions.extend(&world.transitions);
        }
        // Which kinds there are is known after some.
        if self.seeds < 3000 {
            self.kinds.extend(world.log.iter().filter_map(|(_, action)| kind(action)));
        }
    }

    fn merge(&mut self, other: Seen) {
        self.seeds += other.seeds;
        self.steps += other.steps;
        self.transitions.extend(other.transitions);
        self.kinds.extend(other.kinds);
    }
}

/// The first words of what an action is about.
fn kind(action: &Action) -> Option<String> {
    let word = |text: String| text.split(['(', ' ']).next().unwrap().to_owned();
    match action {
        Action::Report(Report::Stopping(_, cause)) => Some(format!("stopped: {}", word(format!("{cause:?}")))),
        Action::Report(Report::GaveUp(_, reason)) => Some(format!("gave up: {}", word(format!("{reason:?}")))),
        Action::Report(report) => Some(word(format!("{report:?}"))),
        Action::StartHook(id, _) => Some(id.hook.to_string()),
        Action::CancelHook(id) => Some(format!("cancelled: {}", id.hook)),
        _ => None,
    }
}
