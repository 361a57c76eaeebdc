//! What the random lives must not become too tame for; and the diagram of the public states in DEVELOPMENT.md, which is what
//! they have shown.

use crate::docs;
use crate::lives;
use crate::plan::HOOKS;
use crate::seeds::DRAWN;
use horust::model::{Plan, ServiceId};
use horust::supervisor::Supervisor;
use std::fmt::Write;

/// The public state of each service, by id, and whose id it was.
#[derive(Debug)]
pub struct States(Vec<(String, &'static str)>);

impl States {
    pub fn new(plan: &Plan) -> States {
        States(plan.services.iter().map(|spec| (spec.name.clone(), "Initial")).collect())
    }

    /// What has changed since the last look: whose, from, and to.
    pub fn look(&mut self, supervisor: &Supervisor) -> Vec<(String, &'static str, &'static str)> {
        let mut changes = Vec::new();
        for id in (0..).map(ServiceId) {
            let status = match supervisor.status(id) {
                Some(status) => status,
                // Forgotten; or there are no more.
                None if id.index() < self.0.len() => continue,
                None => return changes,
            };
            if self.0.len() == id.index() {
                self.0.push((status.name.clone(), "Initial"));
            }
            let known = &mut self.0[id.index()];
            if known.0 != status.name {
                *known = (status.name.clone(), "Initial");
            }
            if known.1 != status.state {
                changes.push((status.name, known.1, status.state));
                known.1 = status.state;
            }
        }
        unreachable!("there are not so many services")
    }
}

#[test]
fn the_state_diagram_shows_what_happens() {
    if is_partial() {
        return;
    }
    let mut diagram = "```mermaid\nstateDiagram-v2\n    [*] --> Initial\n".to_owned();
    for (from, to) in &lives().transitions {
        writeln!(diagram, "    {from} --> {to}").unwrap();
    }
    for end in ["Finished", "FinishedFailed"] {
        writeln!(diagram, "    {end} --> [*]").unwrap();
    }
    docs::section("DEVELOPMENT.md", "states", &(diagram + "```\n"));
}

#[test]
fn the_random_lives_see_everything() {
    if is_partial() {
        return;
    }
    let kinds = &lives().kinds;
    let hooks = HOOKS.map(|hook| hook.to_string());
    let cancelled = HOOKS.map(|hook| format!("cancelled: {hook}"));
    let causes = ["Unhealthy", "TooLate", "Itself", "DiedWith", "Asked", "Restart", "Renewed", "Shutdown"];
    let reasons =
        ["Exit", "Spawn", "Unhealthy", "TooLate", "Hook", "Dependency", "DependencyOver", "DiedWith", "Unkillable"];
    let reports = ["NotNeeded", "Recovered", "Throttled", "Killing", "Unkillable", "KillAll", "HookFailed"];
    let wanted = hooks.into_iter().chain(cancelled);
    let wanted = wanted.chain(causes.map(|cause| format!("stopped: {cause}")));
    let wanted = wanted.chain(reasons.map(|reason| format!("gave up: {reason}"))).chain(reports.map(str::to_owned));
    let missing: Vec<String> = wanted.filter(|kind| !kinds.contains(kind)).collect();
    assert!(missing.is_empty(), "never seen: {missing:?}");
}

/// Whether other or fewer seeds were asked for.
fn is_partial() -> bool {
    let elsewhere = ["HORUST_SIM_SEED", "HORUST_SIM_FIRST"].iter().any(|name| std::env::var_os(name).is_some());
    elsewhere || lives().seeds < DRAWN
}
