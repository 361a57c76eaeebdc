//! The supervisor's reports as lines for people. Wording only.

use super::explain;
use crate::model::{Exit, Mono, Oom, Plan, RunId, ServiceId};
use crate::supervisor::{Cause, Link, Reason, Report, StopCause, Supervisor};
use humantime::format_duration;
use log::{debug, error, info, warn};

/// Logs one report. What led to it is asked of the supervisor.
pub fn log(plan: &Plan, supervisor: &Supervisor, now: Mono, report: &Report) {
    let name = |id: ServiceId| plan.services.get(id.index()).map_or("?", |spec| spec.name.as_str());
    let of = |run: &RunId| name(run.service);
    match report {
        Report::Started(run) => debug!("{}: started", of(run)),
        Report::Ready(run, after) => info!("{}: ready after {:.1} ms", of(run), after.as_secs_f64() * 1e3),
        Report::Ended(run, exit) => info!("{}: {}", of(run), ended(plan, run.service, *exit)),
        Report::Restarting(id, delay, None) => debug!("{}: starts again in {}", name(*id), format_duration(*delay)),
        Report::Restarting(id, delay, Some((reason, count))) => {
            let (why, delay) = (reason_of(plan, *id, reason), format_duration(*delay));
            warn!("{}: {why}; restart {count} in {delay}", name(*id));
        }
        Report::Throttled(id) => warn!("{}: ends at once again and again; held to ten starts a second", name(*id)),
        Report::Finished(id) => info!("{}: finished", name(*id)),
        Report::NotNeeded(id, other) => info!("{}: not needed: {} has not failed", name(*id), name(*other)),
        Report::GaveUp(id, reason) => {
            let (why, place) = (reason_of(plan, *id, reason), explain::place(plan, *id));
            let chain = supervisor.explain(*id);
            let cause = chain.get(1..).and_then(<[Link]>::last).map(|link| explain::sentence(plan, link, now));
            let cause = cause.map_or(String::new(), |cause| format!("; {cause}"));
            error!("{}: failed for good: {why}{place}{cause}", name(*id));
        }
        Report::Recovered(run) => warn!("{}: healthy again", of(run)),
        Report::NotReadyYet(run, after) => {
            let chain = supervisor.explain(run.service);
            let lacks = chain.first().map_or(String::new(), |link| explain::lacks(&link.why, now));
            let (place, waiting) = (explain::place(plan, run.service), supervisor.waiting_for(run.service));
            let waiting = match waiting.is_empty() {
                true => String::new(),
                false => format!("; waited for by {}", explain::names(plan, &waiting)),
            };
            warn!("{}: not ready after {}: {lacks}{place}{waiting}", of(run), explain::time(*after));
        }
        Report::TooLate(run, why) => warn!("{}: {why}", of(run)),
        Report::HookFailed(run, hook, why) => warn!("{}: its {hook} failed: {why}", of(run)),
        Report::Unhealthy(run, why) => warn!("{}: unhealthy: {why}", of(run)),
        Report::Stopping(run, StopCause::Renewed(other)) => {
            info!("{}: run again, because {} is back", of(run), name(*other));
        }
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
        Report::Shutdown(Cause::Asked) => info!("asked to end: stopping all services"),
        Report::Shutdown(Cause::Signal(signal)) => info!("{signal}: stopping all services"),
        Report::Shutdown(Cause::Service(id, code)) => {
            error!("{} has failed: stopping all services, exit code {code}", name(*id));
        }
        Report::KillAll(signal) => warn!("a second {signal}: killing all services"),
        Report::IgnoredSignal(signal) => warn!("{signal}: reloading is not supported yet; nothing was done"),
        Report::Bug(what, run) => error!("bug: {what}: {} (please report this)", of(run)),
    }
}

/// The end of a run, with the limit that it came up against.
pub fn ended(plan: &Plan, id: ServiceId, exit: Exit) -> String {
    let memory = || plan.services.get(id.index())?.resources()?.memory;
    let limit = match exit {
        Exit::OutOfMemory(Oom::Limit | Oom::Watched) => memory(),
        Exit::OutOfMemory(Oom::Shared) | Exit::Code(_) | Exit::Signal(_) => None,
    };
    limit.map_or_else(|| exit.to_string(), |bytes| format!("{exit} (limit {})", size(bytes)))
}

/// A number of bytes as a person would write it.
fn size(bytes: u64) -> String {
    let units = [(1 << 30, "GiB"), (1_000_000_000, "GB"), (1 << 20, "MiB"), (1_000_000, "MB"), (1 << 10, "KiB")];
    match units.into_iter().find(|(unit, _)| bytes > 0 && bytes.is_multiple_of(*unit)) {
        Some((unit, name)) => format!("{} {name}", bytes / unit),
        None => format!("{bytes} bytes"),
    }
}

/// A reason in words.
pub fn reason_of(plan: &Plan, id: ServiceId, reason: &Reason) -> String {
    let name = |id: &ServiceId| plan.services.get(id.index()).map_or("?", |spec| spec.name.as_str());
    match reason {
        Reason::Exit(exit) => ended(plan, id, *exit),
        Reason::Spawn(error) => error.message.clone(),
        Reason::Unhealthy(why, _) => format!("was unhealthy: {why}"),
        Reason::TooLate(why, _) => why.clone(),
        Reason::Hook(hook, why) => format!("its {hook} failed: {why}"),
        Reason::Dependency(other) => format!("starts after {}, which has failed", name(other)),
        Reason::DependencyOver(other) => format!("waits for {} to be healthy, which has finished", name(other)),
        Reason::DiedWith(other) => format!("depends on {}, which has failed", name(other)),
        Reason::Unkillable => "has processes that even SIGKILL does not end".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_as_they_are_written() {
        for (bytes, text) in [
            (64 << 20, "64 MiB"),
            (1 << 30, "1 GiB"),
            (3 << 29, "1536 MiB"),
            (500_000_000, "500 MB"),
            (100_000, "100000 bytes"),
            (100 << 10, "100 KiB"),
            (0, "0 bytes"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}
