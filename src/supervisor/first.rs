//! How each service came up for the first time: a few moments, written down once. Nothing is ever decided by them.

use super::Supervisor;
use super::state::State;
use crate::model::{Kind, Mono, ServiceId};

/// What begins at a moment that is written down, in the order in which it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Milestone {
    /// It is wanted, and waits for others.
    Waits,
    /// It waits out its `start-delay`.
    Delayed,
    /// Its `before-start` runs.
    Prepares,
    /// Its program is being executed.
    Executes,
    /// Its program runs, and is not ready; that of a oneshot until it has finished.
    Starts,
    /// Its first run has ended before it was ready; from then on the next ones count as well.
    Retries,
    /// It is ready; a oneshot has finished.
    Ready,
    /// That has ended, or it will never be.
    Over,
}

impl Milestone {
    /// All of them, in order.
    pub const ALL: [Milestone; 8] = [
        Milestone::Waits,
        Milestone::Delayed,
        Milestone::Prepares,
        Milestone::Executes,
        Milestone::Starts,
        Milestone::Retries,
        Milestone::Ready,
        Milestone::Over,
    ];
}

/// How one service came up for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct First {
    reached: [Mono; Milestone::ALL.len()],
    last_wait: Option<ServiceId>,
}

/// No clock gets there.
const NEVER: Mono = Mono(u64::MAX);

impl Default for First {
    fn default() -> First {
        First { reached: [NEVER; Milestone::ALL.len()], last_wait: None }
    }
}

impl First {
    /// When it got there.
    pub fn at(&self, milestone: Milestone) -> Option<Mono> {
        self.reached.get(milestone as usize).copied().filter(|at| *at != NEVER)
    }

    /// What it waited for until it could start, of several the last one.
    pub fn last_wait(&self) -> Option<ServiceId> {
        self.last_wait
    }

    /// This service is no more; another one may get its id.
    pub(super) fn forget(&mut self, id: ServiceId) {
        self.last_wait = self.last_wait.filter(|needed| *needed != id);
    }

    /// It is wanted, and waits for this one, if for any.
    pub(super) fn waits(&mut self, now: Mono, needed: Option<ServiceId>) {
        self.reach(Milestone::Waits, now);
        if needed.is_some() && !self.has_begun() {
            self.last_wait = needed;
        }
    }

    fn has_begun(&self) -> bool {
        self.at(Milestone::Prepares).or(self.at(Milestone::Executes)).or(self.at(Milestone::Over)).is_some()
    }

    /// Each milestone once, and none after a later one.
    fn reach(&mut self, milestone: Milestone, now: Mono) {
        let later = self.reached.get(milestone as usize..);
        if later.is_some_and(|later| later.iter().all(|at| *at == NEVER))
            && let Some(slot) = self.reached.get_mut(milestone as usize)
        {
            *slot = now;
        }
    }

    /// The service is in this state now.
    pub(super) fn note(&mut self, state: &State, kind: Kind, wanted: bool, now: Mono) {
        let ready = self.at(Milestone::Ready).is_some();
        match state {
            State::Delay { .. } => self.reach(Milestone::Delayed, now),
            State::Preparing { .. } => self.reach(Milestone::Prepares, now),
            State::Spawning { .. } => self.reach(Milestone::Executes, now),
            State::Started(_) => self.reach(Milestone::Starts, now),
            State::Running(_) if kind == Kind::Oneshot => self.reach(Milestone::Starts, now),
            State::Running(_) => self.reach(Milestone::Ready, now),
            // Whether a run that ends was a success is known once it has ended.
            State::Stopping(_) | State::Clearing(_) if ready => self.reach(Milestone::Over, now),
            State::Stopping(_) | State::Clearing(_) => {}
            State::Initial | State::Backoff { .. } if ready => self.reach(Milestone::Over, now),
            State::Initial | State::Backoff { .. } if self.has_begun() => self.reach(Milestone::Retries, now),
            State::Initial | State::Backoff { .. } => {}
            State::Finished => {
                if wanted && self.has_begun() {
                    self.reach(Milestone::Ready, now);
                }
                self.reach(Milestone::Over, now);
            }
            State::FinishedFailed { .. } => self.reach(Milestone::Over, now),
        }
    }
}

impl Supervisor {
    /// When services could start for the first time.
    pub fn boot(&self) -> Mono {
        self.boot
    }

    /// How a service came up for the first time.
    pub fn first(&self, id: ServiceId) -> Option<First> {
        self.services.get(id).map(|service| service.first)
    }

    /// Of the services that start with Horust the one that was ready last, and before it what it waited for, and so on:
    /// from the first to the last. To be up earlier, one of them has to be.
    pub fn critical_chain(&self) -> Vec<ServiceId> {
        let from_boot = |id: &ServiceId| self.services[*id].first.at(Milestone::Waits) == Some(self.boot);
        let ready = |id: ServiceId| self.services[id].first.at(Milestone::Ready).map(|at| (at, id));
        let last = self.services.ids().filter(from_boot).filter_map(ready).max_by_key(|(at, _)| *at);
        let mut chain = Vec::new();
        let mut next = last.map(|(_, id)| id);
        let mut seen = vec![false; self.services.slots()];
        while let Some(id) = next {
            if seen.get_mut(id.index()).is_none_or(|seen| std::mem::replace(seen, true)) {
                break;
            }
            chain.push(id);
            next = self.services.get(id).and_then(|service| service.first.last_wait);
        }
        chain.reverse();
        chain
    }
}
