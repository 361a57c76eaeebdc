//! Deadlines as data: at most one per service, the earliest it has. Nothing here knows what the time is.

use crate::model::{Mono, ServiceId};
use std::collections::BTreeSet;

/// One ordered set of deadlines.
#[derive(Clone, Debug, Default)]
pub struct Timers {
    due: BTreeSet<(Mono, ServiceId)>,
    armed: Vec<Option<Mono>>,
}

impl Timers {
    /// Room for this many services, none armed.
    pub fn new(services: usize) -> Timers {
        Timers { due: BTreeSet::new(), armed: vec![None; services] }
    }

    /// Room for so many, if there is not.
    pub fn grow(&mut self, services: usize) {
        let more = services.max(self.armed.len());
        self.armed.resize(more, None);
    }

    /// Replaces the deadline of `id`.
    pub fn arm(&mut self, id: ServiceId, at: Option<Mono>) {
        let Some(slot) = self.armed.get_mut(id.index()) else { return };
        if *slot == at {
            return;
        }
        if let Some(old) = slot.take() {
            self.due.remove(&(old, id));
        }
        if let Some(at) = at {
            self.due.insert((at, id));
            *slot = Some(at);
        }
    }

    /// The deadline of `id`.
    pub fn armed(&self, id: ServiceId) -> Option<Mono> {
        self.armed.get(id.index()).copied().flatten()
    }

    /// The earliest deadline.
    pub fn next(&self) -> Option<Mono> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Takes one service whose deadline has come.
    pub fn pop_due(&mut self, now: Mono) -> Option<ServiceId> {
        let (at, id) = *self.due.first().filter(|(at, _)| *at <= now)?;
        self.due.remove(&(at, id));
        if let Some(slot) = self.armed.get_mut(id.index()) {
            *slot = None;
        }
        Some(id)
    }
}
