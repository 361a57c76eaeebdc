//! Who waits for whom: the gate before a start, and the gate before a stop.

use super::Supervisor;
use super::event::{Action, StopCause};
use super::service::State;
use crate::model::{Kind, Plan, ServiceId};

/// The edges of the plan, turned round: whom to look at when a service changes.
#[derive(Clone, Debug)]
pub struct Links {
    of: Vec<Link>,
}

#[derive(Clone, Debug, Default)]
struct Link {
    /// Services that start after this one.
    dependents: Vec<ServiceId>,
    /// Services that stop only once this one has stopped (their `shutdown-after`).
    stop_later: Vec<ServiceId>,
    /// Services that die if this one gives up.
    mortals: Vec<ServiceId>,
}

/// Whether a service may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// All it needs is there.
    Open,
    /// Something it needs is not there yet.
    Shut,
    /// Something it needs will never come.
    Failed(ServiceId),
}

impl Links {
    /// The reverse edges of this plan.
    pub fn new(plan: &Plan) -> Links {
        let mut of = vec![Link::default(); plan.services.len()];
        for (id, spec) in plan.ids().zip(&plan.services) {
            let mut each = |ids: &[ServiceId], list: fn(&mut Link) -> &mut Vec<ServiceId>| {
                for other in ids {
                    if let Some(link) = of.get_mut(other.index()) {
                        list(link).push(id);
                    }
                }
            };
            each(&spec.start_after, |link| &mut link.dependents);
            each(&spec.shutdown_after, |link| &mut link.stop_later);
            each(&spec.termination.die_if_failed, |link| &mut link.mortals);
        }
        Links { of }
    }

    /// The services that start after `id`.
    pub fn dependents(&self, id: ServiceId) -> &[ServiceId] {
        self.of.get(id.index()).map_or(&[], |link| &link.dependents)
    }

    /// The services that die if `id` gives up.
    pub fn mortals(&self, id: ServiceId) -> &[ServiceId] {
        self.of.get(id.index()).map_or(&[], |link| &link.mortals)
    }

    fn stop_later(&self, id: ServiceId) -> &[ServiceId] {
        self.of.get(id.index()).map_or(&[], |link| &link.stop_later)
    }
}

impl Supervisor {
    /// Whether `id` may start, as far as others are concerned.
    pub(super) fn start_gate(&self, id: ServiceId) -> Gate {
        let mut gate = Gate::Open;
        for needed in &self.services[id].spec.start_after {
            match self.services[*needed].state {
                State::FinishedFailed { .. } => return Gate::Failed(*needed),
                State::Finished => {}
                State::Running { .. } if self.services[*needed].spec.kind == Kind::Daemon => {}
                State::Running { .. }
                | State::Initial
                | State::Delay { .. }
                | State::Spawning
                | State::Started { .. }
                | State::Stopping { .. }
                | State::Backoff { .. } => gate = Gate::Shut,
            }
        }
        gate
    }

    /// Whether `id` may be stopped in the course of a shutdown: the reverse of the start order, and `shutdown-after`.
    /// That one of those has finished is not enough: through it, others that still live may stand on this service.
    pub(super) fn stop_gate_open(&self, id: ServiceId) -> bool {
        let first = self.links.dependents(id).iter().chain(&self.services[id].spec.shutdown_after);
        first.copied().all(|other| self.services[other].gone)
    }

    /// Takes `id` one step further in a shutdown, if its turn has come.
    pub(super) fn stop_in_turn(&mut self, id: ServiceId, out: &mut Vec<Action>) {
        if self.services[id].gone || !self.stop_gate_open(id) {
            return;
        }
        if !self.services[id].state.is_live() {
            self.services[id].gone = true;
            self.dirty.extend(&self.services[id].spec.start_after);
            self.dirty.extend(self.links.stop_later(id));
        } else if self.services[id].stop_asked {
            self.services[id].stop_asked = false;
            self.stop(id, StopCause::Shutdown, out);
        }
    }

    /// `id` has changed its state: those whose gates depend on it are looked at again.
    pub(super) fn touch_neighbours(&mut self, id: ServiceId) {
        match self.phase.is_up() {
            true => self.dirty.extend(self.links.dependents(id)),
            // In a shutdown the others hear of it once it is gone.
            false => self.dirty.push_back(id),
        }
    }

    /// `id` has given up: what dies with it is marked, by whichever side asked for it.
    pub(super) fn doom_dependents(&mut self, id: ServiceId, kill_dependents: bool) {
        let also = if kill_dependents { self.links.dependents(id) } else { &[] };
        for other in self.links.mortals(id).iter().chain(also) {
            self.services[*other].doom.get_or_insert(id);
            self.dirty.push_back(*other);
        }
    }
}
