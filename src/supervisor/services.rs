//! All services as data: of each, what is wanted and what is. The rules are elsewhere.

use super::event::Status;
use super::first::First;
use super::health::Verdict;
use super::restart::Streak;
use super::state::State;
use crate::model::{Exit, Mono, Plan, RunId, ServiceId, ServiceSpec};
use std::ops::{Index, IndexMut};
use std::sync::Arc;

/// One service: what is wanted, and what is.
#[derive(Clone, Debug)]
pub struct Service {
    pub spec: Arc<ServiceSpec>,
    pub wanted: bool,
    /// It must stop as soon as its stop gate opens.
    pub stop_asked: bool,
    /// In a shutdown: it has stopped, and so has all that must stop before it.
    pub gone: bool,
    /// It must stop now: this service has given up.
    pub doom: Option<ServiceId>,
    pub state: State,
    pub since: Mono,
    /// Of the current or the last run; 0 before the first.
    pub generation: u32,
    /// When the current run was ordered.
    pub started: Mono,
    pub streak: Streak,
    /// It is to run again once what it starts after, this service, is there again.
    pub renew: Option<ServiceId>,
    /// How the main process of the last run ended.
    pub last_exit: Option<Exit>,
    /// The run says that it is reading its configuration again.
    pub reloading: bool,
    /// What the run says that it is doing (`STATUS=`).
    pub says: Option<String>,
    /// How it came up for the first time.
    pub first: First,
}

impl Service {
    pub fn run(&self, id: ServiceId) -> RunId {
        RunId { service: id, generation: self.generation }
    }

    pub fn status(&self, id: ServiceId) -> Status {
        Status {
            name: self.spec.name.clone(),
            state: self.state.name(),
            since: self.since,
            run: (self.generation > 0).then(|| self.run(id)),
            wanted: self.wanted,
            failures: self.streak.failures,
            last_exit: self.last_exit,
            probe_error: self.state.probe_error().map(str::to_owned),
            health: self.spec.health.as_ref().and(self.state.verdict()).map(Verdict::name),
            reloading: self.reloading,
            says: self.says.clone(),
            reason: match &self.state {
                State::FinishedFailed { reason } => Some(reason.clone()),
                State::Initial
                | State::Delay { .. }
                | State::Preparing { .. }
                | State::Spawning { .. }
                | State::Started(_)
                | State::Running(_)
                | State::Stopping(_)
                | State::Clearing(_)
                | State::Backoff { .. }
                | State::Finished => None,
            },
        }
    }
}

/// All services. Indexed by ids that were checked when they came in, so indexing can't fail.
#[derive(Clone, Debug)]
pub struct Services(Vec<Service>);

impl Services {
    pub fn new(plan: &Plan) -> Services {
        let service = |spec: &Arc<ServiceSpec>| Service {
            wanted: spec.autostart,
            spec: Arc::clone(spec),
            stop_asked: false,
            gone: false,
            doom: None,
            state: State::Initial,
            since: Mono::default(),
            generation: 0,
            started: Mono::default(),
            streak: Streak::default(),
            renew: None,
            last_exit: None,
            reloading: false,
            says: None,
            first: First::default(),
        };
        Services(plan.services.iter().map(service).collect())
    }

    pub fn get(&self, id: ServiceId) -> Option<&Service> {
        self.0.get(id.index())
    }

    pub fn ids(&self) -> impl Iterator<Item = ServiceId> + use<> {
        (0..u32::try_from(self.0.len()).unwrap_or(u32::MAX)).map(ServiceId)
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Service> {
        self.0.iter()
    }
}

impl Index<ServiceId> for Services {
    type Output = Service;

    fn index(&self, id: ServiceId) -> &Service {
        &self.0[id.index()]
    }
}

impl IndexMut<ServiceId> for Services {
    fn index_mut(&mut self, id: ServiceId) -> &mut Service {
        &mut self.0[id.index()]
    }
}
