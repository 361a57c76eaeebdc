//! A new configuration takes the place of the old one: what differs, and the least that has to be done about it. Services
//! that stay keep their ids; nothing here reads a file.

use super::Supervisor;
use super::depend::Links;
use super::event::{Action, StopCause};
use super::restart::Streak;
use super::service::Outcome;
use super::services::Member;
use super::state::State;
use crate::model::{Change, Effect, Need, Plan, RunId, ServiceId, ServiceSpec, Settings, Web, changes};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a newly read configuration changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Services that are new.
    pub added: Vec<String>,
    /// Services that are no more.
    pub removed: Vec<String>,
    /// Services whose keys have other values.
    pub changed: Vec<Changed>,
    /// Keys of `horust.toml` that have other values and can't change while Horust runs.
    pub at_next_start: Vec<&'static str>,
}

/// A service whose keys have other values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Its name.
    pub name: String,
    /// Which keys.
    pub keys: Vec<Cow<'static, str>>,
    /// Whether one of them is part of what its process is started with, so that it is run again if it runs.
    pub restart: bool,
}

impl Difference {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        *self == Difference::default()
    }
}

/// A new configuration beside the present one: all ids are those of the present one, or free.
#[derive(Debug, Default)]
struct Merged {
    /// All of its services, in load order.
    specs: Vec<(ServiceId, Arc<ServiceSpec>)>,
    stays: BTreeSet<ServiceId>,
    added: Vec<ServiceId>,
    removed: Vec<ServiceId>,
    changed: Vec<(ServiceId, Vec<Change>)>,
    /// Those that were removed before and come back before they have gone.
    back: Vec<(ServiceId, Vec<Change>)>,
}

impl Merged {
    /// What has other keys than before, and whether it has to run again for them.
    fn others(&self) -> impl Iterator<Item = (ServiceId, bool)> {
        let needs_restart = |(id, keys): &(ServiceId, Vec<Change>)| (*id, needs_restart(keys));
        self.changed.iter().chain(&self.back).map(needs_restart)
    }
}

fn needs_restart(keys: &[Change]) -> bool {
    keys.iter().any(|change| change.effect == Effect::Restart)
}

impl Supervisor {
    /// What this newly read configuration would change.
    pub fn difference(&self, plan: &Plan) -> Difference {
        let merged = self.merge(plan);
        let new: BTreeMap<ServiceId, &Arc<ServiceSpec>> = merged.specs.iter().map(|(id, spec)| (*id, spec)).collect();
        let name = |id: &ServiceId| match new.get(id) {
            Some(spec) => spec.name.clone(),
            None => self.services[*id].spec.name.clone(),
        };
        let changed = merged.changed.iter().map(|(id, keys)| Changed {
            name: name(id),
            keys: keys.iter().map(|change| change.key.clone()).collect(),
            restart: needs_restart(keys),
        });
        Difference {
            added: merged.added.iter().map(name).collect(),
            removed: merged.removed.iter().map(name).collect(),
            changed: changed.collect(),
            at_next_start: settings(&self.settings, &plan.settings).1,
        }
    }

    /// The configuration has been read again: from now on it is this. Not while everything is stopped.
    pub(super) fn on_loaded(&mut self, plan: &Plan, out: &mut Vec<Action>) {
        if !self.phase.is_up() {
            return;
        }
        let merged = self.merge(plan);
        let leaving = self.leaving(&merged);
        let old = self.take_over(&merged, plan, out);
        for (id, after) in leaving {
            self.remove(id, after, out);
        }
        for (id, restart) in merged.others() {
            if let Some(old) = old.get(&id) {
                self.change(id, old, restart, out);
            }
        }
        self.try_again(merged.changed.iter().map(|(id, _)| *id).collect());
        self.dirty.extend(self.services.ids());
    }

    /// Finds the ids of a new configuration's services, and what is different about them.
    fn merge(&self, plan: &Plan) -> Merged {
        let names = self.services.ids().map(|id| (self.services[id].spec.name.as_str(), id));
        let left = self.services.remaining().map(|(id, service)| (service.spec.name.as_str(), id));
        let known: BTreeMap<&str, ServiceId> = left.chain(names).collect();
        let mentioned = self.mentioned();
        let more = (self.services.slots()..).filter_map(|slot| u32::try_from(slot).ok()).map(ServiceId);
        let mut free = self.services.free().filter(|id| !mentioned.contains(id)).chain(more);
        let mut ids: BTreeMap<ServiceId, ServiceId> = BTreeMap::new();
        for (loaded, spec) in plan.iter() {
            ids.extend(known.get(spec.name.as_str()).copied().or_else(|| free.next()).map(|id| (loaded, id)));
        }
        let mut merged = Merged { stays: ids.values().copied().collect(), ..Merged::default() };
        for (loaded, spec) in plan.iter() {
            let Some(id) = ids.get(&loaded).copied() else { continue };
            let mut spec = renumbered(spec, &ids);
            match self.services.get(id) {
                None => merged.added.push(id),
                Some(old) => {
                    if old.spec == spec {
                        spec = Arc::clone(&old.spec);
                    }
                    let keys = changes(&old.spec, &spec);
                    if old.leaves() {
                        merged.added.push(id);
                        merged.back.push((id, keys));
                    } else if !keys.is_empty() {
                        merged.changed.push((id, keys));
                    }
                }
            }
            merged.specs.push((id, spec));
        }
        let gone = self.services.ids().filter(|id| !merged.stays.contains(id) && !self.services[*id].leaves());
        merged.removed = gone.collect();
        merged
    }

    /// Services that are a reason for what another one does: their names are still wanted.
    fn mentioned(&self) -> BTreeSet<ServiceId> {
        let of = self.services.iter().map(|service| [service.state.mentions(), service.renew, service.doom]);
        of.flatten().flatten().collect()
    }

    /// Those that are not in the new configuration, each with the runs that must be over before it is stopped.
    fn leaving(&self, merged: &Merged) -> Vec<(ServiceId, Vec<RunId>)> {
        let leaving: Vec<ServiceId> = self.services.ids().filter(|id| !merged.stays.contains(id)).collect();
        if leaving.is_empty() {
            return Vec::new();
        }
        let restarts: BTreeSet<ServiceId> = merged.others().filter(|(_, restart)| *restart).map(|(id, _)| id).collect();
        let ends = |id: &ServiceId| {
            let is_stopped = matches!(self.services[*id].state, State::Stopping(_) | State::Clearing(_));
            is_stopped || restarts.contains(id) || !merged.stays.contains(id)
        };
        let links = Links::with_leaving(&self.services);
        leaving.into_iter().map(|id| (id, self.first_to_stop(id, &links, &ends))).collect()
    }

    /// The runs of those that stand on `id`, directly or through others that do not run, as far as they end.
    fn first_to_stop(&self, id: ServiceId, links: &Links, ends: &impl Fn(&ServiceId) -> bool) -> Vec<RunId> {
        let mut first: Vec<RunId> = match &self.services[id].member {
            Member::Leaves { after } => after.iter().copied().filter(|run| ends(&run.service)).collect(),
            Member::Stays | Member::Gone => Vec::new(),
        };
        first.retain(|run| self.is_current(*run));
        let mut seen: BTreeSet<ServiceId> = first.iter().map(|run| run.service).chain([id]).collect();
        let mut next = vec![id];
        while let Some(id) = next.pop() {
            for other in links.dependents(id).iter().chain(&self.services[id].spec.shutdown_after) {
                let Some(service) = self.services.get(*other).filter(|_| seen.insert(*other)) else { continue };
                match service.state.is_live() {
                    true if ends(other) => first.push(service.run(*other)),
                    true => {}
                    false => next.push(*other),
                }
            }
        }
        first
    }

    /// The new configuration takes the place of the old one. Returns what those that stay were before.
    fn take_over(
        &mut self,
        merged: &Merged,
        plan: &Plan,
        out: &mut Vec<Action>,
    ) -> BTreeMap<ServiceId, Arc<ServiceSpec>> {
        let mut old = BTreeMap::new();
        let leaving: Vec<ServiceId> = self.services.ids().filter(|id| !merged.stays.contains(id)).collect();
        for (id, spec) in &merged.specs {
            let Some(service) = self.services.get(*id) else {
                self.services.put(*id, Arc::clone(spec), self.now);
                continue;
            };
            let ready = service.state.is_ready();
            if service.spec.rounds(ready) != spec.rounds(ready) {
                // Under the numbers that they have had so far.
                self.cancel_probes(*id, out);
            }
            let service = &mut self.services[*id];
            old.insert(*id, std::mem::replace(&mut service.spec, Arc::clone(spec)));
            service.member = Member::Stays;
        }
        for id in &leaving {
            self.services[*id].member = Member::Leaves { after: Vec::new() };
        }
        self.services.list(merged.specs.iter().map(|(id, _)| *id).chain(leaving));
        self.links = Links::new(&self.services);
        self.timers.grow(self.services.slots());
        self.settings = settings(&self.settings, &plan.settings).0;
        out.push(Action::Adopt(Arc::new(self.services.plan(self.settings.clone()))));
        for (id, _) in &merged.back {
            self.come_back(*id);
        }
        old
    }

    /// `id` is in the configuration again, before it has gone. Unless it was already stopped for good, it is as if it had
    /// never been away.
    fn come_back(&mut self, id: ServiceId) {
        let service = &self.services[id];
        let goes_on = match &service.state {
            // What follows a stop of its own is decided when it has ended.
            State::Stopping(ladder) if ladder.cause == StopCause::Itself && ladder.exit.is_none() => true,
            State::Stopping(ladder) => ladder.outcome(&service.spec, ladder.exit).goes_on(),
            State::Clearing(clearing) => clearing.outcome.goes_on(),
            State::Spawning { .. } | State::Started(_) | State::Running(_) => true,
            State::Initial
            | State::Delay { .. }
            | State::Preparing { .. }
            | State::Backoff { .. }
            | State::Finished
            | State::FinishedFailed { .. } => false,
        };
        if goes_on || service.spec.autostart {
            self.want(id);
        }
    }

    /// `id` is not in the configuration any more.
    fn remove(&mut self, id: ServiceId, after: Vec<RunId>, out: &mut Vec<Action>) {
        for run in &after {
            let holds = &mut self.services[run.service].holds;
            if !holds.contains(&id) {
                holds.push(id);
            }
        }
        let service = &mut self.services[id];
        (service.wanted, service.doom, service.renew) = (false, None, None);
        service.member = Member::Leaves { after };
        if let State::Preparing { .. } = service.state {
            // Nobody stands on it yet, and its program must not be started any more.
            self.stop(id, StopCause::Asked, out);
        }
    }

    /// Takes `id`, which leaves, one step further, if its turn has come.
    pub(super) fn leave_in_turn(&mut self, id: ServiceId, out: &mut Vec<Action>) {
        if !self.services[id].state.is_live() {
            self.forget(id);
        } else if self.stop_gate_open(id) {
            self.stop(id, StopCause::Asked, out);
        }
    }

    fn forget(&mut self, id: ServiceId) {
        if self.services[id].state.awaits_start() {
            self.set_state(id, State::Finished);
        }
        let service = &mut self.services[id];
        (service.member, service.says) = (Member::Gone, None);
        self.forgotten = true;
    }

    /// Services that have been forgotten are not in the plan any more.
    pub(super) fn tidy(&mut self, out: &mut Vec<Action>) {
        if std::mem::take(&mut self.forgotten) {
            let ids = self.services.ids();
            self.services.list(ids);
            out.push(Action::Adopt(Arc::new(self.services.plan(self.settings.clone()))));
        }
    }

    /// Keys of `id` have changed: the least is done that makes them count.
    fn change(&mut self, id: ServiceId, old: &ServiceSpec, restart: bool, out: &mut Vec<Action>) {
        let service = &mut self.services[id];
        let needs = &service.spec.start_after;
        service.renew = service.renew.filter(|needed| needs.iter().any(|need| need.service == *needed));
        match &mut service.state {
            State::Initial if service.spec.autostart && !old.autostart => service.wanted = true,
            State::Backoff { .. } => {
                // It has failed with the old keys; perhaps it does not with the new ones.
                service.streak = Streak::default();
                self.await_gate(id);
            }
            State::Preparing { .. } | State::Spawning { .. } | State::Started(_) | State::Running(_) if restart => {
                service.streak = Streak::default();
                self.stop(id, StopCause::Restart, out);
            }
            State::Spawning { .. } | State::Started(_) | State::Running(_) => self.adapt(id, old, out),
            State::Stopping(ladder) => {
                if restart && matches!(ladder.cause, StopCause::Unhealthy(_) | StopCause::TooLate(_)) {
                    ladder.cause = StopCause::Restart;
                }
                if old.termination.wait != service.spec.termination.wait {
                    self.hurry(id);
                }
            }
            State::Clearing(clearing) => {
                if restart && matches!(clearing.outcome, Outcome::Failure(_)) {
                    clearing.outcome = Outcome::Renewed;
                }
            }
            State::Initial
            | State::Delay { .. }
            | State::Preparing { .. }
            | State::Finished
            | State::FinishedFailed { .. } => {}
        }
    }

    /// What has failed for good is tried again if its keys have changed, and so is what has failed with it.
    fn try_again(&mut self, mut mended: BTreeSet<ServiceId>) {
        loop {
            let again = |id: &ServiceId| match &self.services[*id].state {
                State::FinishedFailed { .. } if self.services[*id].remains => false,
                State::FinishedFailed { reason } => {
                    mended.contains(id) || reason.mentions().is_some_and(|other| mended.contains(&other))
                }
                State::Initial
                | State::Delay { .. }
                | State::Preparing { .. }
                | State::Spawning { .. }
                | State::Started(_)
                | State::Running(_)
                | State::Stopping(_)
                | State::Clearing(_)
                | State::Backoff { .. }
                | State::Finished => false,
            };
            let again: Vec<ServiceId> = self.services.ids().filter(again).collect();
            if again.is_empty() {
                return;
            }
            for id in again {
                self.services[id].streak = Streak::default();
                self.await_gate(id);
                mended.insert(id);
            }
        }
    }
}

/// The same service in other numbers.
fn renumbered(spec: &Arc<ServiceSpec>, ids: &BTreeMap<ServiceId, ServiceId>) -> Arc<ServiceSpec> {
    let id = |old: ServiceId| ids.get(&old).copied().unwrap_or(old);
    let needs = spec.start_after.iter().map(|need| need.service);
    let all = needs.chain(spec.shutdown_after.iter().copied()).chain(spec.termination.die_if_failed.iter().copied());
    let mut spec = Arc::clone(spec);
    if all.into_iter().any(|old| id(old) != old) {
        let spec = Arc::make_mut(&mut spec);
        spec.start_after.iter_mut().for_each(|Need { service, .. }| *service = id(*service));
        spec.shutdown_after.iter_mut().for_each(|other| *other = id(*other));
        spec.termination.die_if_failed.iter_mut().for_each(|other| *other = id(*other));
    }
    spec
}

/// The settings that hold from now on, and the keys of those that can't before the next start.
fn settings(now: &Settings, new: &Settings) -> (Settings, Vec<&'static str>) {
    let Settings { unsuccessful_exit_finished_failed, socket, socket_group, when_init, web } = new;
    let Web { page, metrics, token_file, token_for_reading, hosts } = web;
    let later = [
        ("control.socket", *socket != now.socket),
        ("control.group", *socket_group != now.socket_group),
        ("shutdown.when-init", *when_init != now.when_init),
        ("web-server", *page != now.web.page),
        ("control.metrics", *metrics != now.web.metrics),
        ("control.token-file", *token_file != now.web.token_file),
        ("control.token-for-reading", *token_for_reading != now.web.token_for_reading),
        ("control.hosts", *hosts != now.web.hosts),
    ];
    let later = later.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key);
    let settings = Settings { unsuccessful_exit_finished_failed: *unsuccessful_exit_finished_failed, ..now.clone() };
    (settings, later.collect())
}
