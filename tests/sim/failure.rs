//! What is told of a life that breaks a promise: its seed, one line for each change, as few events as still show it, and
//! how to see it again.

use crate::checker::Checker;
use crate::states::States;
use crate::world::World;
use horust::model::{Mono, Plan};
use horust::supervisor::{Action, Event, Supervisor};
use std::cell::RefCell;
use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

/// A promise that was broken, and where in these files it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    pub what: String,
    place: String,
}

impl Broken {
    pub fn new(what: String) -> Broken {
        Broken { what, place: String::new() }
    }
}

thread_local! {
    static LAST: RefCell<Option<Broken>> = const { RefCell::new(None) };
    static QUIET: RefCell<bool> = const { RefCell::new(false) };
}

/// Runs this; what it panics with comes back instead of being printed.
pub fn catch(body: impl FnOnce()) -> Result<(), Broken> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if QUIET.with_borrow(|quiet| *quiet) {
                let place = info.location().map(|at| format!("{}:{}", at.file(), at.line())).unwrap_or_default();
                let text = {
                    let payload = info.payload();
                    let fixed = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
                    fixed.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default()
                };
                LAST.set(Some(Broken { what: text, place }));
            } else {
                usual(info);
            }
        }));
    });
    QUIET.set(true);
    let result = catch_unwind(AssertUnwindSafe(body));
    QUIET.set(false);
    result.map_err(|_| LAST.take().unwrap_or_else(|| Broken::new("a panic".to_owned())))
}

/// A life that has broken a promise.
#[derive(Debug)]
pub struct Failure {
    pub seed: u64,
    plan: Plan,
    broken: Broken,
    told: Vec<(Mono, Event)>,
}

impl Failure {
    pub fn of(world: &World, broken: Broken) -> Failure {
        Failure { seed: world.seed, plan: world.first_plan.clone(), broken, told: world.told.clone() }
    }

    /// All that helps to understand it.
    pub fn report(&self) -> String {
        let mut text = format!("seed {} fails after {} steps: {}\n", self.seed, self.told.len(), self.broken.what);
        let few = self.minimise();
        let (events, word) = match &few {
            Some(few) => (few, "as few events as show it"),
            // It is the world that shows it, not the events alone.
            None => (&self.told, "all events"),
        };
        let _ = writeln!(text, "{} ({}), and what changes with each:", word, events.len());
        let _ = writeln!(text, "{}", replay(&self.plan, self.seed, events, true).0);
        for spec in &self.plan.services {
            let _ = writeln!(text, "{spec:?}");
        }
        let _ = writeln!(text, "\nagain: HORUST_SIM_SEED={} cargo test --test sim random_lives", self.seed);
        text
    }

    /// As few events as break the same promise; none if the events alone don't.
    fn minimise(&self) -> Option<Vec<(Mono, Event)>> {
        let breaks = |events: &[(Mono, Event)]| {
            let broken = replay(&self.plan, self.seed, events, false).1;
            broken.is_some_and(|broken| broken.place == self.broken.place)
        };
        if !breaks(&self.told) {
            return None;
        }
        let mut events = self.told.clone();
        let mut size = events.len().div_ceil(2);
        loop {
            let mut at = 0;
            while at < events.len() {
                let mut fewer = events.clone();
                fewer.drain(at..(at + size).min(events.len()));
                if breaks(&fewer) { events = fewer } else { at += size }
            }
            if size == 1 {
                return Some(events);
            }
            size = size.div_ceil(2);
        }
    }
}

/// Tells the supervisor these events, without a world around it. Says what changed with each, and what broke.
pub fn replay(plan: &Plan, seed: u64, events: &[(Mono, Event)], aloud: bool) -> (String, Option<Broken>) {
    let mut text = String::new();
    let broken = catch(|| {
        let (mut supervisor, mut checker) = (Supervisor::new(plan, seed), Checker::new(plan));
        let mut states = States::new(plan);
        for (now, event) in events {
            if aloud {
                let event = match event {
                    // A plan is long; what is different about it tells more.
                    Event::Loaded(plan) => format!("Loaded: {:?}", supervisor.difference(plan)),
                    other => format!("{other:?}"),
                };
                let _ = writeln!(text, "{:>10.3} s  {event}", now.0 as f64 / 1e9);
            }
            checker.event(*now, event);
            let mut actions = Vec::new();
            supervisor.step(*now, event.clone(), &mut actions);
            for (name, old, new) in states.look(&supervisor) {
                if aloud {
                    let _ = writeln!(text, "{:14}{name}: {old} -> {new}", "");
                }
            }
            for action in &actions {
                if aloud {
                    let action = match action {
                        Action::Adopt(plan) => {
                            let names = plan.iter().map(|(id, spec)| format!("{}={}", id.0, spec.name));
                            format!("Adopt({})", names.collect::<Vec<_>>().join(" "))
                        }
                        other => format!("{other:?}"),
                    };
                    let _ = writeln!(text, "{:16}{action}", "");
                }
                checker.action(action, |_| false);
            }
            assert_eq!(supervisor.check(), Ok(()));
            checker.settled(&supervisor, |_| false);
        }
    });
    (text, broken.err())
}
