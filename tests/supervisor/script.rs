//! What the processes of a service do in the fake world, and how a test writes such a service down. Plain data; the
//! world acts it out.

use horust::model::{
    Command, Condition, Exit, Health, Hook, Hooks, Need, Probe, Readiness, Rounds, ServiceId, ServiceSpec, Sign,
    Signal, Signs,
};
use horust::supervisor::{Notice, SpawnError};
use std::path::PathBuf;
use std::time::Duration;

/// SIGUSR1 by number (signal(7)).
pub fn usr1() -> Signal {
    Signal::new(10).unwrap()
}

pub const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// What a process does about a signal that asks it to end (TERM, INT, QUIT). Other signals but KILL do nothing to it.
#[derive(Clone, Copy, Debug)]
pub enum OnStop {
    /// It dies by the signal after so many milliseconds.
    Dies(u64),
    /// It exits with this code after so many milliseconds.
    Exits(u64, u8),
    Ignores,
}

/// The answer to one probe, or the end of one hook.
#[derive(Clone, Copy, Debug)]
pub enum Answer {
    Pass(u64),
    Fail(u64),
    Never,
}

/// What a program says about itself.
#[derive(Clone, Debug)]
pub enum Said {
    Notice(Notice),
    Sign(Sign),
}

/// READY=1.
pub fn ready() -> Said {
    Said::Notice(Notice { ready: true, ..Notice::default() })
}

/// A process that the main one has started.
#[derive(Clone, Copy, Debug)]
pub struct Helper {
    /// It has left the process group.
    pub stray: bool,
    pub on_stop: OnStop,
}

/// One run.
#[derive(Clone, Debug)]
pub struct Script {
    /// Milliseconds from the order to the exec.
    pub spawn_ms: u64,
    /// The exec fails.
    pub spawn_error: Option<u8>,
    /// The main process ends by itself, so long after its exec.
    pub ends: Option<(u64, Exit)>,
    pub on_stop: OnStop,
    pub helpers: Vec<Helper>,
    /// Not even SIGKILL ends the main process.
    pub unkillable: bool,
    /// How its hooks end; those that are not here pass at once.
    pub hooks: Vec<(Hook, Answer)>,
    /// What the program says about itself, and so many milliseconds after its exec.
    pub says: Vec<(u64, Said)>,
    /// One per round; the last one is repeated. Every probe of a round gets the same.
    pub answers: Vec<Answer>,
}

impl Script {
    /// Runs until it is asked to end.
    pub fn runs() -> Script {
        Script {
            spawn_ms: 0,
            spawn_error: None,
            ends: None,
            on_stop: OnStop::Dies(0),
            helpers: Vec::new(),
            unkillable: false,
            hooks: Vec::new(),
            says: Vec::new(),
            answers: vec![Answer::Pass(0)],
        }
    }

    pub fn exits(after_ms: u64, code: u8) -> Script {
        Script { ends: Some((after_ms, Exit::Code(code))), ..Script::runs() }
    }

    pub fn killed(after_ms: u64, signal: Signal) -> Script {
        Script { ends: Some((after_ms, Exit::Signal(signal))), ..Script::runs() }
    }

    pub fn unspawnable(code: u8) -> Script {
        Script { spawn_error: Some(code), ..Script::runs() }
    }

    pub fn on_stop(self, on_stop: OnStop) -> Script {
        Script { on_stop, ..self }
    }

    pub fn spawn_takes(self, spawn_ms: u64) -> Script {
        Script { spawn_ms, ..self }
    }

    pub fn helper(mut self, stray: bool, on_stop: OnStop) -> Script {
        self.helpers.push(Helper { stray, on_stop });
        self
    }

    pub fn hook(mut self, hook: Hook, ends: Answer) -> Script {
        self.hooks.push((hook, ends));
        self
    }

    pub fn says(mut self, after_ms: u64, said: Said) -> Script {
        self.says.push((after_ms, said));
        self
    }

    pub fn answers(self, answers: &[Answer]) -> Script {
        Script { answers: answers.to_vec(), ..self }
    }
}

/// The error that the fake world gives for a failed spawn.
pub fn spawn_error(code: u8) -> SpawnError {
    SpawnError { message: "scripted".into(), code }
}

/// One probe, asked each second.
pub fn rounds() -> Rounds {
    Rounds { probes: vec![Probe::File(PathBuf::from("/run/ok"))], ..Rounds::default() }
}

/// A service and what its runs do, one script a run; the last one is repeated.
#[derive(Clone, Debug)]
pub struct Svc {
    pub spec: ServiceSpec,
    pub scripts: Vec<Script>,
}

impl Svc {
    pub fn new(name: &str, script: Script) -> Svc {
        Svc { spec: ServiceSpec::new(name, vec!["program".into()]), scripts: vec![script] }
    }

    pub fn then(mut self, script: Script) -> Svc {
        self.scripts.push(script);
        self
    }

    pub fn with(mut self, change: impl FnOnce(&mut ServiceSpec)) -> Svc {
        change(&mut self.spec);
        self
    }

    pub fn after(self, ids: &[u32]) -> Svc {
        ids.iter().fold(self, |svc, id| svc.needs(Need::ready(ServiceId(*id))))
    }

    /// Starts only once this is true of that service.
    pub fn once(self, id: u32, condition: Condition) -> Svc {
        self.needs(Need { condition, ..Need::ready(ServiceId(id)) })
    }

    pub fn needs(self, need: Need) -> Svc {
        self.with(|spec| spec.start_after.push(need))
    }

    /// Watched by one probe, which also makes it ready.
    pub fn watched(self, change: impl FnOnce(&mut Health)) -> Svc {
        let mut health = Health { rounds: rounds(), ..Health::default() };
        change(&mut health);
        self.with(|spec| {
            spec.health = Some(Box::new(health));
            spec.readiness = Readiness::Health;
        })
    }

    /// With these hooks, each with a second.
    pub fn hooks(self, hooks: &[Hook]) -> Svc {
        let command = Command(vec!["hook".into()]);
        let commands = hooks.iter().map(|hook| (*hook, command.clone())).collect();
        self.with(|spec| spec.hooks = Some(Box::new(Hooks { commands, timeout: ms(1000) })))
    }

    /// Ready by these signs of its own.
    pub fn signs(self, signs: Signs) -> Svc {
        self.with(|spec| spec.readiness = Readiness::Signs(Box::new(signs)))
    }
}
