//! Answers about how things came about, as they go over the wire. The supervisor knows; this asks it, and says it.

use super::explain;
use crate::control::graph;
use crate::control::wire::{self, Course, Graph, Phase, Timeline, Why};
use crate::limits;
use crate::model::{Mono, Plan, ServiceId};
use crate::supervisor::{First, Link, Milestone, Status, Supervisor};
use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

/// Why a service is not what is wanted.
pub fn why(plan: &Plan, supervisor: &Supervisor, now: Mono, id: ServiceId) -> Option<Why> {
    let status = supervisor.status(id)?;
    let mut chain = supervisor.explain(id);
    let well = chain.is_empty() || !status.wanted;
    let text = chain.first().map_or_else(|| is_well(&status, now), |link| explain::words(plan, link, now));
    let omitted = chain.len().saturating_sub(limits::WHY_LINKS);
    if omitted > 0 {
        // The last link is the one that matters most.
        let first = limits::WHY_LINKS.saturating_sub(1);
        chain.drain(first..first.saturating_add(omitted));
    }
    let waiting = supervisor.waiting_for(id);
    Some(Why {
        service: status.name,
        well,
        text,
        chain: chain.iter().map(|one| link(plan, one, now)).collect(),
        omitted,
        waiting: waiting.iter().map(|id| explain::name(plan, *id).to_owned()).collect(),
    })
}

/// What a service is that is what is wanted.
fn is_well(status: &Status, now: Mono) -> String {
    let long = explain::time(now.since(status.since));
    let name = &status.name;
    match (status.state, status.health) {
        ("Running", Some("healthy")) => format!("{name} is up: Running for {long}, and healthy"),
        ("Running", _) => format!("{name} is up: Running for {long}"),
        ("Finished", _) => format!("{name} is well: it has finished {long} ago"),
        (state, _) => format!("{name} is well: {state} for {long}"),
    }
}

fn link(plan: &Plan, link: &Link, now: Mono) -> wire::Link {
    let origin = explain::origin(plan, link.service);
    wire::Link {
        service: explain::name(plan, link.service).to_owned(),
        since: clock(now.since(link.since)),
        text: explain::words(plan, link, now),
        file: origin.map(|origin| origin.file.display().to_string()),
        line: origin.map(|origin| origin.line),
    }
}

/// Who starts after whom, and what all are doing.
pub fn graph(plan: &Plan, supervisor: &Supervisor) -> Graph {
    graph::graph(plan, |id| match supervisor.status(id) {
        Some(status) => (Some(status.state.to_owned()), status.wanted),
        None => (None, false),
    })
}

/// How all came up.
pub fn timeline(plan: &Plan, supervisor: &Supervisor, now: Mono) -> Timeline {
    let boot = supervisor.boot();
    let critical: BTreeSet<ServiceId> = supervisor.critical_chain().into_iter().collect();
    let mut timeline = Timeline { boot: clock(now.since(boot)), now_ms: ms(now, boot), ..Timeline::default() };
    let mut last = Some(boot);
    for id in plan.ids() {
        let (Some(first), Some(status)) = (supervisor.first(id), supervisor.status(id)) else { continue };
        if first.at(Milestone::Waits) == Some(boot) {
            let there = first.at(Milestone::Ready).or(first.at(Milestone::Over));
            last = last.zip(there).map(|(last, there)| last.max(there));
        }
        timeline.services.push(Course {
            name: status.name,
            state: status.state.to_owned(),
            phases: phases(&first, boot),
            critical: critical.contains(&id),
            waited_for: first.last_wait().and_then(|id| supervisor.name(id)).map(str::to_owned),
        });
    }
    timeline.ready_ms = last.map(|last| ms(last, boot));
    timeline
}

/// From each milestone to the next one.
fn phases(first: &First, boot: Mono) -> Vec<Phase> {
    let reached = Milestone::ALL.into_iter().filter_map(|milestone| Some((milestone, first.at(milestone)?)));
    let reached: Vec<(Milestone, Mono)> = reached.collect();
    let mut phases = Vec::new();
    for (at, (milestone, from)) in reached.iter().enumerate() {
        let phase = match milestone {
            Milestone::Waits => "waiting",
            Milestone::Delayed => "delayed",
            Milestone::Prepares => "preparing",
            Milestone::Executes => "executing",
            Milestone::Starts => "starting",
            Milestone::Retries => "retrying",
            Milestone::Ready => "ready",
            Milestone::Over => continue,
        };
        let to_ms = reached.get(at.saturating_add(1)).map(|(_, to)| ms(*to, boot));
        phases.push(Phase { phase: phase.to_owned(), from_ms: ms(*from, boot), to_ms });
    }
    phases
}

/// Milliseconds since the boot, to the microsecond.
fn ms(at: Mono, boot: Mono) -> f64 {
    (at.since(boot).as_secs_f64() * 1e6).round() / 1e3
}

/// The time so long ago.
fn clock(ago: Duration) -> String {
    let then = SystemTime::now().checked_sub(ago).unwrap_or(SystemTime::UNIX_EPOCH);
    humantime::format_rfc3339_millis(then).to_string()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::model::{Need, ServiceSpec};
    use crate::supervisor::{Action, Event};
    use std::sync::Arc;

    #[test]
    fn a_long_chain_keeps_its_beginning_and_its_end() {
        let spec = |at: u32| {
            let start_after = at.checked_sub(1).map(|before| Need::ready(ServiceId(before))).into_iter().collect();
            Arc::new(ServiceSpec { start_after, ..ServiceSpec::new(format!("s{at}"), vec!["x".into()]) })
        };
        let plan = Plan { services: (0..1000).map(spec).collect(), ..Plan::default() };
        let mut supervisor = Supervisor::new(&plan, 1);
        supervisor.step(Mono(0), Event::Boot, &mut Vec::new());
        let why = why(&plan, &supervisor, Mono(0), ServiceId(999)).unwrap();
        assert_eq!((why.chain.len(), why.omitted, why.well), (16, 984, false));
        assert_eq!((why.chain[14].service.as_str(), why.chain[15].service.as_str()), ("s985", "s0"));
        assert_eq!(why.text, "s999 has waited 0s until s998 is ready");
        assert_eq!(super::why(&plan, &supervisor, Mono(0), ServiceId(500)).unwrap().waiting, ["s501"]);
        assert!(super::why(&plan, &supervisor, Mono(0), ServiceId(1000)).is_none());
    }

    /// Ids are no places in a list: what has been removed leaves a gap.
    #[test]
    fn the_timeline_knows_services_by_their_ids_after_a_reload() {
        let spec = |name: &str, autostart, after: &[u32]| {
            let start_after = after.iter().map(|id| Need::ready(ServiceId(*id))).collect();
            Arc::new(ServiceSpec { autostart, start_after, ..ServiceSpec::new(name, vec!["x".into()]) })
        };
        let services = vec![spec("gone", false, &[]), spec("a", true, &[]), spec("b", true, &[1])];
        let mut supervisor = Supervisor::new(&Plan { services, ..Plan::default() }, 1);
        let mut actions = Vec::new();
        supervisor.step(Mono(0), Event::Boot, &mut actions);
        let read = Plan { services: vec![spec("a", true, &[]), spec("b", true, &[0])], ..Plan::default() };
        supervisor.step(Mono(2_000_000), Event::Loaded(Arc::new(read)), &mut actions);
        let adopted = actions.iter().rev().find_map(|action| match action {
            Action::Adopt(plan) => Some(Arc::clone(plan)),
            _ => None,
        });
        let told = timeline(&adopted.unwrap(), &supervisor, Mono(3_000_000));
        let names: Vec<&str> = told.services.iter().map(|course| course.name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(told.services[1].waited_for.as_deref(), Some("a"));
    }
}
