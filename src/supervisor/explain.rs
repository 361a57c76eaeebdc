//! Why a service is not what the user wants: the chain of reasons, from the service to what has to change first. Facts only;
//! the words are the caller's.

use super::Supervisor;
use super::depend::Gate;
use super::event::{Reason, StopCause};
use super::health::Verdict;
use super::state::State;
use crate::canary::{self, Canary};
use crate::model::{Condition, Hook, Kind, Mono, Need, ServiceId, Sign};

/// One service of the chain. The next one is what it waits for, or what it has failed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Which service.
    pub service: ServiceId,
    /// Since when it is so.
    pub since: Mono,
    /// What it is.
    pub why: Why,
}

/// What a service is doing instead of what is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// It is not started with Horust, and nobody has asked for it.
    NotWanted,
    /// Somebody has stopped it.
    StoppedByHand,
    /// It waits until this is true of another service.
    Waits(Need),
    /// It waits out its `start-delay`.
    Delayed {
        /// Until then.
        until: Mono,
    },
    /// One of its hooks runs.
    Hook(Hook),
    /// Its program is being executed.
    Executing,
    /// It runs, and is not ready.
    NotReady {
        /// The signs that it has not given.
        missing: Vec<Sign>,
        /// Its checks have not passed.
        asked: bool,
        /// Why the last of them that failed did, and when.
        error: Option<(Mono, String)>,
        /// What it says that it is doing.
        says: Option<String>,
        /// When that is a failure.
        late: Option<Mono>,
    },
    /// It is ready, and not healthy, as far as is known.
    NotHealthy {
        /// What is known.
        verdict: Verdict,
        /// Why the last check that failed did, and when.
        error: Option<(Mono, String)>,
    },
    /// It runs, but is to be over.
    StillRuns,
    /// It is being stopped.
    Stopping(StopCause),
    /// It will be run again.
    Restarts {
        /// Then.
        until: Mono,
        /// Why it failed, for the how-manieth time in a row; none after a success.
        failure: Option<(Reason, u32)>,
    },
    /// It has finished.
    Finished,
    /// It has failed for good.
    Failed(Reason),
    /// Processes of its last run would not die, and are still there.
    Remains,
}

impl Why {
    /// The service that has to change first, and what of it.
    fn leads_to(&self) -> Option<(ServiceId, Option<Condition>)> {
        if let Why::Waits(need) = self {
            return Some((need.service, Some(need.condition)));
        }
        if let Why::Failed(Reason::Dependency(other) | Reason::DependencyOver(other) | Reason::DiedWith(other))
        | Why::Stopping(StopCause::DiedWith(other)) = self
        {
            return Some((*other, Some(Condition::Ready)));
        }
        None
    }
}

impl Supervisor {
    /// Why `id` is not what the user wants; nothing if it is.
    pub fn explain(&self, id: ServiceId) -> Vec<Link> {
        let mut chain: Vec<Link> = Vec::new();
        let mut seen = vec![false; self.services.slots()];
        let mut next = Some((id, None));
        while let Some((id, condition)) = next {
            let Some(service) = self.services.get(id) else { break };
            let Some(why) = self.why(id, condition) else { break };
            next = why.leads_to();
            // What failed with another one may wait for itself, once that has been started again by hand.
            chain.push(Link { service: id, since: service.since, why });
            if seen.get_mut(id.index()).is_none_or(|seen| std::mem::replace(seen, true)) {
                break;
            }
        }
        chain
    }

    /// The services that wait for `id`, and for nothing before it.
    pub fn waiting_for(&self, id: ServiceId) -> Vec<ServiceId> {
        let waits = |other: &&ServiceId| match self.why(**other, None) {
            Some(Why::Waits(need)) => need.service == id,
            _ => false,
        };
        self.links.dependents(id).iter().filter(waits).copied().collect()
    }

    /// Why this is not true of `id`; or why it is not up.
    fn why(&self, id: ServiceId, condition: Option<Condition>) -> Option<Why> {
        let service = self.services.get(id)?;
        Some(match &service.state {
            State::Initial if !service.wanted => Why::NotWanted,
            State::Initial => match self.start_gate(id) {
                Gate::Shut(Need { condition: Condition::Healthy, .. }) if canary::sings(Canary::FalseCause) => {
                    Why::NotWanted
                }
                Gate::Shut(need) => Why::Waits(need),
                Gate::Open | Gate::Never(_) => Why::Executing,
            },
            State::Delay { until } => Why::Delayed { until: *until },
            State::Preparing { .. } => Why::Hook(Hook::BeforeStart),
            State::Spawning { .. } => Why::Executing,
            State::Started(_) if condition == Some(Condition::Started) => return None,
            State::Started(starting) => {
                let awaited = service.spec.readiness.awaited();
                Why::NotReady {
                    missing: awaited.filter(|sign| !starting.given.contains(sign)).collect(),
                    asked: !starting.probing.has_passed(service.spec.rounds(false)),
                    error: starting.probing.error().cloned(),
                    says: service.says.clone(),
                    late: starting.late,
                }
            }
            State::Running(up) => {
                let (verdict, error) = (up.probing.verdict(), up.probing.error().cloned());
                match condition {
                    Some(Condition::Healthy) if verdict != Verdict::Healthy => Why::NotHealthy { verdict, error },
                    None if verdict == Verdict::Unhealthy => Why::NotHealthy { verdict, error },
                    Some(Condition::Completed | Condition::CompletedSuccessfully | Condition::Failed) => Why::StillRuns,
                    Some(Condition::Ready) if service.spec.kind == Kind::Oneshot => Why::StillRuns,
                    Some(Condition::Started | Condition::Ready | Condition::Healthy) | None => return None,
                }
            }
            State::Stopping(ladder) => Why::Stopping(ladder.cause.clone()),
            State::Clearing(clearing) => Why::Hook(clearing.hook),
            State::Backoff { until, failure } => {
                let failure = failure.clone().map(|reason| (reason, service.streak.failures));
                Why::Restarts { until: *until, failure }
            }
            State::Finished if !service.wanted => Why::StoppedByHand,
            State::Finished => match condition {
                Some(Condition::Healthy | Condition::Failed) => Why::Finished,
                _ => return None,
            },
            State::FinishedFailed { .. } if service.remains => Why::Remains,
            State::FinishedFailed { reason } => Why::Failed(reason.clone()),
        })
    }
}
