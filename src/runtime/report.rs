//! The supervisor's reports as lines for people. Wording only.

use crate::model::{Plan, RunId, ServiceId};
use crate::supervisor::{Cause, Reason, Report, StopCause};
use humantime::format_duration;
use log::{debug, error, info, warn};
use std::path::Path;

/// Logs one report.
pub fn log(plan: &Plan, report: &Report) {
    let name = |id: ServiceId| plan.services.get(id.index()).map_or("?", |spec| spec.name.as_str());
    let of = |run: &RunId| name(run.service);
    match report {
        Report::Started(run) => debug!("{}: started", of(run)),
        Report::Ready(run, after) => info!("{}: ready after {:.1} ms", of(run), after.as_secs_f64() * 1e3),
        Report::Ended(run, exit) => info!("{}: {exit}", of(run)),
        Report::Restarting(id, delay, None) => debug!("{}: starts again in {}", name(*id), format_duration(*delay)),
        Report::Restarting(id, delay, Some((reason, count))) => {
            let (why, delay) = (explain(plan, reason), format_duration(*delay));
            warn!("{}: {why}; restart {count} in {delay}", name(*id));
        }
        Report::Throttled(id) => warn!("{}: ends at once again and again; held to ten starts a second", name(*id)),
        Report::Finished(id) => info!("{}: finished", name(*id)),
        Report::NotNeeded(id, other) => info!("{}: not needed: {} has not failed", name(*id), name(*other)),
        Report::GaveUp(id, reason) => {
            let place = plan.services.get(id.index()).map(|spec| &spec.origin);
            let place = place.filter(|at| at.file != Path::new(""));
            let place = place.map_or(String::new(), |at| format!(" ({}:{})", at.file.display(), at.line));
            error!("{}: failed for good: {}{place}", name(*id), explain(plan, reason));
        }
        Report::Recovered(run) => warn!("{}: healthy again", of(run)),
        Report::NotReadyYet(run, after) => warn!("{}: not ready after {}", of(run), format_duration(*after)),
        Report::TooLate(run, why) => warn!("{}: {why}", of(run)),
        Report::Unhealthy(run, why) => warn!("{}: unhealthy: {why}", of(run)),
        Report::Stopping(run, StopCause::DiedWith(other)) => {
            warn!("{}: stopped, because {} has failed", of(run), name(*other));
        }
        Report::Stopping(
            run,
            StopCause::Leftovers
            | StopCause::Unhealthy(_)
            | StopCause::TooLate(_)
            | StopCause::Itself
            | StopCause::Asked
            | StopCause::Restart
            | StopCause::Shutdown,
        ) => {
            debug!("{}: is asked to stop", of(run));
        }
        Report::Killing(run, wait) => warn!("{}: did not stop within {}: killed", of(run), format_duration(*wait)),
        Report::Unkillable(run) => {
            error!("{}: has processes that even SIGKILL does not end; going on without", of(run))
        }
        Report::Shutdown(Cause::Signal(signal)) => info!("{signal}: stopping all services"),
        Report::Shutdown(Cause::Service(id, code)) => {
            error!("{} has failed: stopping all services, exit code {code}", name(*id));
        }
        Report::KillAll(signal) => warn!("a second {signal}: killing all services"),
        Report::IgnoredSignal(signal) => warn!("{signal}: reloading is not supported yet; nothing was done"),
        Report::Bug(what, run) => error!("bug: {what}: {} (please report this)", of(run)),
    }
}

/// A reason in words.
fn explain(plan: &Plan, reason: &Reason) -> String {
    let name = |id: &ServiceId| plan.services.get(id.index()).map_or("?", |spec| spec.name.as_str());
    match reason {
        Reason::Exit(exit) => exit.to_string(),
        Reason::Spawn(error) => error.message.clone(),
        Reason::Unhealthy(why, _) => format!("was unhealthy: {why}"),
        Reason::TooLate(why, _) => why.clone(),
        Reason::Dependency(other) => format!("starts after {}, which has failed", name(other)),
        Reason::DependencyOver(other) => format!("waits for {} to be healthy, which has finished", name(other)),
        Reason::DiedWith(other) => format!("depends on {}, which has failed", name(other)),
        Reason::Unkillable => "has processes that even SIGKILL does not end".to_owned(),
    }
}
