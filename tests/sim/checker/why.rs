//! Whether what `why` says is true.

use super::Checker;
use horust::supervisor::{Link, Status, Supervisor, Why};

impl Checker {
    /// Holds the explanation of each service against what was seen.
    pub(super) fn explained(&self, supervisor: &Supervisor, status: &[Option<Status>]) {
        for id in self.fixed.plan.ids() {
            let chain = supervisor.explain(id);
            let Some(status_of) = &status[id.index()] else { continue };
            let well = match status_of.state {
                "Running" => status_of.health != Some("unhealthy"),
                "Finished" => status_of.wanted,
                _ => false,
            };
            assert_eq!(chain.is_empty(), well, "{id:?} is {}, and why is {chain:?}", status_of.state);
            for (nth, link) in chain.iter().enumerate() {
                assert!(self.is_true(link, status), "{id:?}: not true: {link:?}");
                let next = chain.get(nth + 1).map(|link| link.service);
                if let Why::Waits(need) = &link.why {
                    let again = chain[..nth].iter().any(|other| other.service == link.service);
                    assert!(
                        again || next == Some(need.service),
                        "{id:?}: nothing is said of what it waits for: {chain:?}"
                    );
                }
            }
        }
    }

    fn is_true(&self, Link { service: id, since, why }: &Link, status: &[Option<Status>]) -> bool {
        let seen = &self.seen[id.index()];
        let Some(status) = &status[id.index()] else { return false };
        let state = status.state;
        *since <= self.now
            && match why {
                Why::NotWanted => state == "Initial" && !status.wanted,
                Why::StoppedByHand => state == "Finished" && !status.wanted,
                Why::Waits(need) => {
                    let asked = self.fixed.plan.services[id.index()].start_after.contains(need);
                    state == "Initial" && asked && !self.is_met(*need)
                }
                Why::Delayed { .. } => state == "Starting" && !seen.program,
                Why::Hook(hook) => seen.hook.is_some_and(|running| running.hook == *hook),
                Why::Executing => state == "Starting" && seen.program && !seen.started,
                Why::NotReady { missing, .. } => {
                    seen.started && seen.ready.is_none() && missing.iter().all(|sign| !seen.signs.contains(sign))
                }
                Why::NotHealthy { .. } => seen.ready.is_some() && (seen.sick || !seen.well),
                Why::StillRuns => seen.ready.is_some() && seen.program,
                Why::Stopping(_) => state == "InKilling" && seen.program && seen.ready.is_none(),
                Why::Restarts { until, failure } => {
                    let delayed = seen.restarts.delayed.map(|(at, delay)| at.after(delay));
                    let nth = failure.as_ref().map(|(_, nth)| *nth);
                    delayed.is_some_and(|at| at >= *until) && nth.is_none_or(|nth| nth == seen.restarts.failures)
                }
                Why::Finished => seen.finished,
                Why::Failed(reason) => seen.failed.as_ref() == Some(reason) && !seen.remains,
                Why::Remains => seen.failed.is_some() && seen.remains,
            }
    }
}
