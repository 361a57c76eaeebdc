//! What must always be true, checked after each step in debug builds and tests. Checks only; it mends nothing.

use super::Supervisor;
use super::depend::Gate;
use super::state::State;
use crate::model::ServiceId;

/// An invariant that does not hold, and for which service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken(pub &'static str, pub ServiceId);

impl Supervisor {
    /// Checks all invariants.
    pub fn check(&self) -> Result<(), Broken> {
        let mut active = 0usize;
        for id in self.services.ids() {
            let service = &self.services[id];
            let state = &service.state;
            active = active.saturating_add(usize::from(state.is_active()));
            let broken = |what| Err(Broken(what, id));
            if state.is_live() && service.generation == 0 {
                return broken("a live service has a run");
            }
            if service.remains && (state.is_live() || state.awaits_start()) {
                return broken("no run begins beside one that would not die");
            }
            match (state, self.timers.armed(id)) {
                (
                    State::Delay { .. }
                    | State::Preparing { .. }
                    | State::Backoff { .. }
                    | State::Stopping(_)
                    | State::Clearing(_),
                    None,
                ) => {
                    return broken("a state that ends by itself has a deadline");
                }
                (State::Initial | State::Finished | State::FinishedFailed { .. }, Some(_)) => {
                    return broken("a state that waits for others has no deadline");
                }
                (state, armed) if state.deadline() != armed => return broken("timers are armed as the state says"),
                (State::Started(_), None) if service.spec.readiness.awaited().next().is_none() => {
                    return broken("a service that is not ready is asked whether it is");
                }
                _ => {}
            }
            if service.wanted && state.awaits_start() && self.phase.is_up() {
                match self.start_gate(id) {
                    Gate::Never(_) => return broken("nothing waits for what can't come"),
                    Gate::Open if *state == State::Initial => {
                        return broken("a wanted service waits only at a shut gate");
                    }
                    Gate::Open | Gate::Shut(_) => {}
                }
            }
            if self.phase.cause().is_some() && !state.is_live() && self.stop_gate_open(id) && !service.gone {
                return broken("what has stopped lets others stop");
            }
            if service.stop_asked && self.stop_gate_open(id) && state.is_live() {
                return broken("a service is stopped once its turn has come");
            }
        }
        match active == self.active {
            true => Ok(()),
            false => Err(Broken("active services are counted", ServiceId(0))),
        }
    }
}
