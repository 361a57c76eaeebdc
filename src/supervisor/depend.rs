//! Who waits for whom: the gate before a start, and the gate before a stop.

use super::Supervisor;
use super::event::{Action, StopCause};
use super::health::Verdict;
use super::services::{Member, Services};
use super::state::State;
use crate::canary::{self, Canary};
use crate::model::{Condition, FailureStrategy, Kind, Need, Plan, ServiceId, ServiceSpec};

/// The edges of the plan, turned round: whom to look at when a service changes.
#[derive(Clone, Debug)]
pub struct Links {
    of: Vec<Link>,
}

#[derive(Clone, Debug, Default)]
struct Link {
    /// Services that start after this one.
    dependents: Vec<ServiceId>,
    /// Those of them that are harmed if this one fails.
    needy: Vec<ServiceId>,
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
    /// This is not there yet.
    Shut(Need),
    /// This will never come.
    Never(Never),
}

/// Why a condition can't come true any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Never {
    /// The service has given up.
    Failed(ServiceId),
    /// It has finished, and so will never be healthy.
    Over(ServiceId),
    /// It was to fail, and has finished: what waits for its failure is not needed.
    Unneeded(ServiceId),
}

/// How far a condition has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Prospect {
    Met,
    NotYet,
    /// Not before somebody starts the service by hand.
    NotWanted,
    Never(Never),
}

impl Links {
    /// The reverse edges of all services of the configuration.
    pub fn new(services: &Services) -> Links {
        Links::among(services, |id| !services[id].leaves())
    }

    /// The same, with those that are being removed from it.
    pub fn with_leaving(services: &Services) -> Links {
        Links::among(services, |_| true)
    }

    fn among(services: &Services, counts: impl Fn(ServiceId) -> bool) -> Links {
        let mut of = vec![Link::default(); services.slots()];
        for id in services.ids().filter(|id| counts(*id)) {
            let spec = &services[id].spec;
            let mut add = |other: ServiceId, list: fn(&mut Link) -> &mut Vec<ServiceId>| {
                if let Some(link) = of.get_mut(other.index()) {
                    list(link).push(id);
                }
            };
            for need in &spec.start_after {
                add(need.service, |link| &mut link.dependents);
                if need.is_harmed_by_failure() {
                    add(need.service, |link| &mut link.needy);
                }
            }
            spec.shutdown_after.iter().for_each(|other| add(*other, |link| &mut link.stop_later));
            spec.termination.die_if_failed.iter().for_each(|other| add(*other, |link| &mut link.mortals));
        }
        Links { of }
    }

    /// The services that start after `id`.
    pub fn dependents(&self, id: ServiceId) -> &[ServiceId] {
        self.of.get(id.index()).map_or(&[], |link| &link.dependents)
    }

    /// The services that need `id` to be well.
    pub fn needy(&self, id: ServiceId) -> &[ServiceId] {
        self.of.get(id.index()).map_or(&[], |link| &link.needy)
    }

    /// The services that die if `id` gives up.
    pub fn mortals(&self, id: ServiceId) -> &[ServiceId] {
        self.of.get(id.index()).map_or(&[], |link| &link.mortals)
    }

    fn stop_later(&self, id: ServiceId) -> &[ServiceId] {
        self.of.get(id.index()).map_or(&[], |link| &link.stop_later)
    }
}

/// For each service how many others have to stop before it, one after the other, in a shutdown: whoever must be gone
/// first has a lower number.
pub fn stop_turns(plan: &Plan) -> Vec<u32> {
    let links = Links::new(&Services::new(plan));
    let before =
        |id: ServiceId, spec: &ServiceSpec| links.dependents(id).len().saturating_add(spec.shutdown_after.len());
    let mut awaited = vec![0; plan.services.len()];
    for (id, spec) in plan.iter() {
        awaited.get_mut(id.index()).into_iter().for_each(|count| *count = before(id, spec));
    }
    let mut turns = vec![0_u32; plan.services.len()];
    let mut free: Vec<ServiceId> = plan.ids().filter(|id| awaited.get(id.index()) == Some(&0)).collect();
    while let Some(id) = free.pop() {
        let next = turns.get(id.index()).map_or(0, |turn| turn.saturating_add(1));
        let needs = plan.services.get(id.index()).into_iter().flat_map(|spec| &spec.start_after);
        for later in needs.map(|need| need.service).chain(links.stop_later(id).iter().copied()) {
            let (Some(turn), Some(count)) = (turns.get_mut(later.index()), awaited.get_mut(later.index())) else {
                continue;
            };
            *turn = next.max(*turn);
            *count = count.saturating_sub(1);
            if *count == 0 {
                free.push(later);
            }
        }
    }
    turns
}

impl Supervisor {
    /// Whether `id` may start, as far as others are concerned.
    pub(super) fn start_gate(&self, id: ServiceId) -> Gate {
        let mut gate = Gate::Open;
        for need in &self.services[id].spec.start_after {
            match self.prospect(*need) {
                Prospect::Never(never) if need.required => return Gate::Never(never),
                Prospect::NotWanted if !need.required => {}
                Prospect::NotYet | Prospect::NotWanted if gate == Gate::Open => gate = Gate::Shut(*need),
                Prospect::Met | Prospect::NotYet | Prospect::NotWanted | Prospect::Never(_) => {}
            }
        }
        gate
    }

    /// The table of docs/dependencies.md, a row a line.
    fn prospect(&self, Need { service: id, condition, .. }: Need) -> Prospect {
        let service = &self.services[id];
        let when = |met| if met { Prospect::Met } else { Prospect::NotYet };
        match &service.state {
            State::Initial | State::Finished if !service.wanted => Prospect::NotWanted,
            State::Initial
            | State::Delay { .. }
            | State::Preparing { .. }
            | State::Spawning { .. }
            | State::Stopping(_)
            | State::Clearing(_)
            | State::Backoff { .. } => Prospect::NotYet,
            State::Started(_) => when(condition == Condition::Started),
            State::Running(up) => when(match condition {
                Condition::Started => true,
                Condition::Ready => service.spec.kind == Kind::Daemon,
                Condition::Healthy => up.probing.verdict() == Verdict::Healthy,
                Condition::Completed | Condition::CompletedSuccessfully | Condition::Failed => false,
            }),
            State::Finished => match condition {
                Condition::Healthy => Prospect::Never(Never::Over(id)),
                Condition::Failed => Prospect::Never(Never::Unneeded(id)),
                Condition::Started | Condition::Ready | Condition::Completed | Condition::CompletedSuccessfully => {
                    Prospect::Met
                }
            },
            State::FinishedFailed { .. } => match condition {
                Condition::Completed | Condition::Failed => Prospect::Met,
                Condition::Started | Condition::Ready | Condition::Healthy | Condition::CompletedSuccessfully => {
                    Prospect::Never(Never::Failed(id))
                }
            },
        }
    }

    /// Whether `id` may be stopped in the course of a shutdown: the reverse of the start order, and `shutdown-after`.
    /// That one of those has finished is not enough: through it, others that still live may stand on this service.
    pub(super) fn stop_gate_open(&self, id: ServiceId) -> bool {
        if let Member::Leaves { after } = &self.services[id].member {
            return canary::sings(Canary::EarlyRemoval) || after.iter().all(|run| !self.is_current(*run));
        }
        let first = self.links.dependents(id).iter().chain(&self.services[id].spec.shutdown_after);
        first.copied().skip(usize::from(canary::sings(Canary::EarlyStop))).all(|other| self.services[other].gone)
    }

    /// Takes `id` one step further in a shutdown, if its turn has come.
    pub(super) fn stop_in_turn(&mut self, id: ServiceId, out: &mut Vec<Action>) {
        if self.services[id].gone || !self.stop_gate_open(id) {
            return;
        }
        if !self.services[id].state.is_live() {
            self.services[id].gone = true;
            self.dirty.extend(self.services[id].spec.start_after.iter().map(|need| need.service));
            self.dirty.extend(self.links.stop_later(id));
        } else if self.services[id].stop_asked {
            self.services[id].stop_asked = false;
            let spawning = matches!(self.services[id].state, State::Spawning { .. });
            if !(spawning && canary::sings(Canary::ForgottenStop)) {
                self.stop(id, StopCause::Shutdown, out);
            }
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

    /// `id` has given up: what dies with it by its own wish is marked.
    pub(super) fn doom_mortals(&mut self, id: ServiceId) {
        for other in self.links.mortals(id) {
            self.services[*other].doom.get_or_insert(id);
            self.dirty.push_back(*other);
        }
    }

    /// `id` has failed: its strategy marks those that need it.
    pub(super) fn act_on_dependents(&mut self, id: ServiceId, strategy: FailureStrategy) {
        for other in self.links.needy(id) {
            let service = &mut self.services[*other];
            match strategy {
                FailureStrategy::KillDependents => {
                    service.doom.get_or_insert(id);
                    self.dirty.push_back(*other);
                }
                // Those that have not begun will begin with what is then there.
                FailureStrategy::RestartDependents if service.state.has_program() => service.renew = Some(id),
                FailureStrategy::RestartDependents | FailureStrategy::Ignore | FailureStrategy::Shutdown => {}
            }
        }
    }

    /// Runs `id` again, if it was marked and what it needs is there again.
    pub(super) fn renew_in_turn(&mut self, id: ServiceId, out: &mut Vec<Action>) {
        let service = &self.services[id];
        let Some(needed) = service.renew else { return };
        let mut needs = service.spec.start_after.iter().filter(|need| need.service == needed);
        if needs.all(|need| self.prospect(*need) == Prospect::Met) {
            self.services[id].renew = None;
            self.renew(id, needed, out);
        }
    }

    fn renew(&mut self, id: ServiceId, because: ServiceId, out: &mut Vec<Action>) {
        let service = &self.services[id];
        if !service.state.has_program() || matches!(service.state, State::Stopping(_)) {
            // It is about to begin anew, or to end for good.
            return;
        }
        if service.spec.failure.strategy == FailureStrategy::RestartDependents {
            self.act_on_dependents(id, FailureStrategy::RestartDependents);
        }
        self.stop(id, StopCause::Renewed(because), out);
    }
}
