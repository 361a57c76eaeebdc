//! Who starts after whom, as it goes over the wire. It needs no running Horust: a plan is enough.

use super::wire::{Edge, Graph, Node};
use crate::model::{Plan, ServiceId};

/// The graph of a plan. `about` tells a service's state, and whether it is to run.
pub fn graph(plan: &Plan, about: impl Fn(ServiceId) -> (Option<String>, bool)) -> Graph {
    let mut graph = Graph::default();
    for (id, spec) in plan.iter() {
        let (state, wanted) = about(id);
        graph.nodes.push(Node { name: spec.name.clone(), state, wanted });
        for need in &spec.start_after {
            let Some(to) = plan.services.get(need.service.index()) else { continue };
            graph.edges.push(Edge {
                from: spec.name.clone(),
                to: to.name.clone(),
                condition: need.condition.to_string(),
                required: need.required,
            });
        }
    }
    graph
}
