//! The captured services, each with what holds for all its runs: the style of its lines, its rate, its latest output.

use super::file::Now;
use super::frame::Style;
use super::rate::Limiter;
use super::ring::Ring;
use crate::model::{Log, Plan, ServiceSpec};
use std::collections::HashMap;
use std::sync::Arc;

/// One captured service.
pub struct Service {
    spec: Arc<ServiceSpec>,
    /// How its lines are written.
    pub style: Style,
    /// How many of them.
    pub limiter: Option<Limiter>,
    /// The latest of them.
    pub ring: Ring,
    /// Whom the number of dropped lines is told by.
    pub told_by: u64,
    /// The streams of its latest run, and of what ran beside it.
    pub latest: Vec<u64>,
    /// How many streams of it are read.
    pub streams: usize,
    /// There is no such service any more.
    gone: bool,
}

/// All of them. An index stays good until its service is forgotten.
#[derive(Default)]
pub struct Services {
    all: Vec<Option<Service>>,
    free: Vec<usize>,
    by_name: HashMap<String, usize>,
}

impl Services {
    /// All of them, each with its index.
    pub fn all(&self) -> impl Iterator<Item = (usize, &Service)> {
        self.all.iter().enumerate().filter_map(|(index, service)| Some((index, service.as_ref()?)))
    }

    /// The one of this index.
    pub fn get_mut(&mut self, index: usize) -> Option<&mut Service> {
        self.all.get_mut(index)?.as_mut()
    }

    /// The one of this name.
    pub fn find(&self, name: &str) -> Option<&Service> {
        self.all.get(*self.by_name.get(name)?)?.as_ref()
    }

    /// The index of the service of a new run.
    pub fn add(&mut self, spec: &Arc<ServiceSpec>, log: &Log, now: &Now) -> usize {
        let known = self.by_name.get(&spec.name).copied();
        let index = known.or_else(|| self.free.pop()).unwrap_or(self.all.len());
        if index == self.all.len() {
            self.all.push(None);
        }
        let Some(slot) = self.all.get_mut(index) else { return index };
        let limiter = || log.rate_limit.map(|rate| Limiter::new(rate, now.mono));
        match slot {
            Some(service) => {
                service.gone = false;
                if !Arc::ptr_eq(&service.spec, spec) && service.spec.log != spec.log {
                    (service.style, service.limiter) = (Style::new(&spec.name, log, index), limiter());
                    service.ring.resize(log.buffer);
                    service.spec = Arc::clone(spec);
                }
            }
            None => {
                *slot = Some(Service {
                    spec: Arc::clone(spec),
                    style: Style::new(&spec.name, log, index),
                    limiter: limiter(),
                    ring: Ring::new(log.buffer),
                    told_by: 0,
                    latest: Vec::new(),
                    streams: 0,
                    gone: false,
                });
                self.by_name.insert(spec.name.clone(), index);
            }
        }
        index
    }

    /// These are the services now: of the others each is forgotten once its last stream has ended.
    pub fn adopt(&mut self, plan: &Plan) {
        self.all.iter_mut().flatten().for_each(|service| service.gone = true);
        for (_, spec) in plan.iter() {
            let index = self.by_name.get(&spec.name).copied();
            if let Some(service) = index.and_then(|index| self.get_mut(index)) {
                service.gone = false;
            }
        }
        (0..self.all.len()).for_each(|index| self.tidy(index));
    }

    /// Forgets the service of this index, if there is no such service and nothing of it is read any more.
    pub fn tidy(&mut self, index: usize) {
        if let Some(slot) = self.all.get_mut(index)
            && let Some(service) = slot.take_if(|service| service.gone && service.streams == 0)
        {
            self.by_name.remove(&service.spec.name);
            self.free.push(index);
        }
    }
}
