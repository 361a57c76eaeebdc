//! Answers about how things came about, as they go over the wire. The supervisor knows; this asks it, and says it.

use super::explain;
use crate::control::graph;
use crate::control::wire::{self, Graph, Why};
use crate::limits;
use crate::model::{Mono, Plan, ServiceId};
use crate::supervisor::{Link, Status, Supervisor};
use std::time::SystemTime;

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
    let since = SystemTime::now().checked_sub(now.since(link.since)).unwrap_or(SystemTime::UNIX_EPOCH);
    let origin = explain::origin(plan, link.service);
    wire::Link {
        service: explain::name(plan, link.service).to_owned(),
        since: humantime::format_rfc3339_millis(since).to_string(),
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

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::model::{Need, ServiceSpec};
    use crate::supervisor::Event;
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
}
