//! All services as data: of each, what is wanted and what is. The rules are elsewhere.

use super::coded::Writer;
use super::event::{Reason, Status};
use super::first::First;
use super::health::Verdict;
use super::restart::Streak;
use super::state::State;
use crate::canary::{self, Canary};
use crate::model::{Exit, Mono, Plan, RunId, ServiceId, ServiceSpec, Settings};
use std::ops::{Index, IndexMut};
use std::sync::Arc;

/// Whether a service is part of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Member {
    /// It is.
    Stays,
    /// It was: once these runs are over it is stopped, and once it has stopped it is forgotten.
    Leaves {
        /// Those that have to be over first.
        after: Vec<RunId>,
    },
    /// It is forgotten, and another service may get its id.
    Gone,
}

/// One service: what is wanted, and what is.
#[derive(Clone, Debug)]
pub struct Service {
    pub spec: Arc<ServiceSpec>,
    pub member: Member,
    /// Services that leave, and wait for the end of its run.
    pub holds: Vec<ServiceId>,
    pub wanted: bool,
    /// It must stop as soon as its stop gate opens.
    pub stop_asked: bool,
    /// In a shutdown: it has stopped, and so has all that must stop before it.
    pub gone: bool,
    /// It must stop now: this service has given up.
    pub doom: Option<ServiceId>,
    pub state: State,
    pub since: Mono,
    /// Of the current or the last run.
    pub generation: u32,
    /// What that was before its first run: more than 0 if another service had its id before.
    pub born: u32,
    /// When the current run was ordered.
    pub started: Mono,
    pub streak: Streak,
    /// It is to run again once what it starts after, this service, is there again.
    pub renew: Option<ServiceId>,
    /// Processes of the last run that would not die are still there: no other run before they have gone.
    pub remains: bool,
    /// How the main process of the last run ended.
    pub last_exit: Option<Exit>,
    /// The run says that it is reading its configuration again.
    pub reloading: bool,
    /// What the run says that it is doing (`STATUS=`).
    pub says: Option<String>,
    /// How it came up for the first time.
    pub first: First,
    /// The trail has it as it was before this step.
    pub noted: bool,
}

impl Service {
    /// A service of which nothing has happened yet.
    pub fn new(spec: Arc<ServiceSpec>, born: u32, now: Mono) -> Service {
        Service {
            wanted: spec.autostart,
            spec,
            member: Member::Stays,
            holds: Vec::new(),
            stop_asked: false,
            gone: false,
            doom: None,
            state: State::Initial,
            since: now,
            generation: born,
            born,
            started: Mono::default(),
            streak: Streak::default(),
            renew: None,
            remains: false,
            last_exit: None,
            reloading: false,
            says: None,
            first: First::default(),
            noted: false,
        }
    }

    /// Whether a reload has removed it.
    pub fn leaves(&self) -> bool {
        matches!(self.member, Member::Leaves { .. })
    }

    pub fn run(&self, id: ServiceId) -> RunId {
        RunId { service: id, generation: self.generation }
    }

    pub fn status(&self, id: ServiceId) -> Status {
        Status {
            name: self.spec.name.clone(),
            state: self.state.name(),
            since: self.since,
            run: (self.generation > self.born).then(|| self.run(id)),
            starts: self.generation.saturating_sub(self.born),
            wanted: self.wanted,
            failures: self.streak.failures,
            remains: self.remains,
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
pub struct Services {
    /// By id.
    all: Vec<Service>,
    /// Those that are not forgotten, in load order.
    listed: Vec<ServiceId>,
    /// What is noted for the journal, if that is kept.
    pub trail: Option<Trail>,
}

/// What the services were before this step that it has touched.
#[derive(Clone, Debug, Default)]
pub struct Trail {
    /// Whether it is of interest.
    pub on: bool,
    pub touched: Vec<ServiceId>,
    pub before: Writer,
}

impl Services {
    pub fn new(plan: &Plan) -> Services {
        let gone = |spec: &Arc<ServiceSpec>| Service {
            member: Member::Gone,
            ..Service::new(Arc::clone(spec), 0, Mono::default())
        };
        let all = plan.services.iter().map(gone).collect();
        let mut services = Services { all, listed: plan.ids().collect(), trail: None };
        for id in services.ids() {
            services[id].member = Member::Stays;
        }
        services
    }

    /// The service of this id, unless it is forgotten.
    pub fn get(&self, id: ServiceId) -> Option<&Service> {
        self.all.get(id.index()).filter(|service| service.member != Member::Gone)
    }

    /// The ids of all that are not forgotten, in load order.
    pub fn ids(&self) -> impl Iterator<Item = ServiceId> + use<> {
        self.listed.clone().into_iter()
    }

    /// All that are not forgotten.
    pub fn iter(&self) -> impl Iterator<Item = &Service> {
        self.listed.iter().filter_map(|id| self.get(*id))
    }

    /// All, forgotten ones included.
    pub fn all(&self) -> impl Iterator<Item = (ServiceId, &Service)> {
        (0..).map(ServiceId).zip(&self.all)
    }

    /// How many ids there are, those of forgotten services included.
    pub fn slots(&self) -> usize {
        self.all.len()
    }

    /// The ids of forgotten services, but for those of which something may still be alive.
    pub fn free(&self) -> impl Iterator<Item = ServiceId> {
        let ids = (0..).map(ServiceId).zip(&self.all);
        ids.filter(|(_, service)| service.member == Member::Gone && !service.remains).map(|(id, _)| id)
    }

    /// Forgotten services of which something is still there: who comes back by such a name gets its id again.
    pub fn remaining(&self) -> impl Iterator<Item = (ServiceId, &Service)> {
        self.all().filter(|(_, service)| service.member == Member::Gone && service.remains)
    }

    /// The service, forgotten or not, whose run this is, if that would not die and has not gone since.
    pub fn with_remains(&mut self, run: RunId) -> Option<&mut Service> {
        self.touch(run.service);
        let service = self.all.get_mut(run.service.index());
        service.filter(|service| service.remains && service.generation == run.generation)
    }

    /// A service gets this id: the next new one, or that of a forgotten service, whose runs go on being counted.
    pub fn put(&mut self, id: ServiceId, spec: Arc<ServiceSpec>, now: Mono) {
        let old = self.all.get(id.index());
        let born = old.map_or(0, |old| old.generation);
        let remains = old.is_some_and(|old| old.remains);
        let mut service = Service { remains, ..Service::new(spec, born, now) };
        if remains {
            service.state = State::FinishedFailed { reason: Reason::Unkillable };
        }
        self.all.iter_mut().for_each(|other| other.first.forget(id));
        match self.all.get_mut(id.index()) {
            Some(slot) => *slot = service,
            None => self.all.push(service),
        }
    }

    /// It is about to be changed.
    #[inline(never)]
    fn touch(&mut self, id: ServiceId) {
        if let Some(trail) = self.trail.as_mut().filter(|trail| trail.on)
            && let Some(service) = self.all.get_mut(id.index())
            && !std::mem::replace(&mut service.noted, true)
            && !(service.streak.failures > 1 && canary::sings(Canary::WrongMemory))
        {
            trail.touched.push(id);
            service.note(id, &mut trail.before);
        }
    }

    /// A step begins at this time.
    pub fn begin(&mut self, now: Mono, on: bool) {
        let Some(trail) = &mut self.trail else { return };
        for id in trail.touched.drain(..) {
            self.all.get_mut(id.index()).into_iter().for_each(|service| service.noted = false);
        }
        trail.before.bytes.clear();
        (trail.before.now, trail.on) = (now, on);
    }

    /// This is the load order now. Forgotten services are left out.
    pub fn list(&mut self, ids: impl IntoIterator<Item = ServiceId>) {
        self.listed = ids.into_iter().collect();
        self.listed.retain(|id| self.all.get(id.index()).is_some_and(|service| service.member != Member::Gone));
    }

    /// All of it as a plan.
    pub fn plan(&self, settings: Settings) -> Plan {
        let in_order = self.listed.len() == self.all.len() && self.listed.is_sorted();
        let listed = (!in_order).then(|| self.listed.clone());
        Plan { services: self.all.iter().map(|service| Arc::clone(&service.spec)).collect(), listed, settings }
    }
}

impl Index<ServiceId> for Services {
    type Output = Service;

    fn index(&self, id: ServiceId) -> &Service {
        &self.all[id.index()]
    }
}

impl IndexMut<ServiceId> for Services {
    fn index_mut(&mut self, id: ServiceId) -> &mut Service {
        self.touch(id);
        &mut self.all[id.index()]
    }
}
