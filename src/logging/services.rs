//! The captured services, each with what holds for all its runs: the style of its lines, its rate, its latest output.

use super::file::Now;
use super::frame::Style;
use super::rate::Limiter;
use super::ring::Ring;
use crate::model::{Log, ServiceSpec};
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
}

/// All of them. An index stays good.
#[derive(Default)]
pub struct Services {
    all: Vec<Service>,
    by_name: HashMap<String, usize>,
}

impl Services {
    /// All of them.
    pub fn all(&self) -> &[Service] {
        &self.all
    }

    /// The one of this index.
    pub fn get_mut(&mut self, index: usize) -> Option<&mut Service> {
        self.all.get_mut(index)
    }

    /// The one of this name.
    pub fn find(&self, name: &str) -> Option<&Service> {
        self.all.get(*self.by_name.get(name)?)
    }

    /// The index of the service of a new run.
    pub fn add(&mut self, spec: &Arc<ServiceSpec>, log: &Log, now: &Now) -> usize {
        let known = self.by_name.get(&spec.name).copied();
        let index = known.unwrap_or(self.all.len());
        match self.all.get_mut(index) {
            Some(service) if Arc::ptr_eq(&service.spec, spec) || service.spec.log == spec.log => {}
            Some(service) => {
                service.style = Style::new(&spec.name, log, index);
                service.limiter = log.rate_limit.map(|rate| Limiter::new(rate, now.mono));
                service.spec = Arc::clone(spec);
            }
            None => {
                self.all.push(Service {
                    spec: Arc::clone(spec),
                    style: Style::new(&spec.name, log, index),
                    limiter: log.rate_limit.map(|rate| Limiter::new(rate, now.mono)),
                    ring: Ring::new(log.buffer),
                    told_by: 0,
                    latest: Vec::new(),
                });
                self.by_name.insert(spec.name.clone(), index);
            }
        }
        index
    }
}
