//! The supervisor's reports in words: as lines for people, and as events for readers. Wording only.

use super::explain;
use crate::model::{Exit, Mono, Oom, Plan, ServiceId};
use crate::supervisor::{Cause, Link, Reason, Report, StopCause, Supervisor};
use humantime::format_duration;
use log::Level;

/// The service that it is about, if it is about one.
pub fn about(report: &Report) -> Option<ServiceId> {
    match report {
        Report::Started(run)
        | Report::Ready(run, _)
        | Report::Ended(run, _)
        | Report::Stopped(run, _)
        | Report::Recovered(run)
        | Report::NotReadyYet(run, _)
        | Report::TooLate(run, _)
        | Report::HookFailed(run, ..)
        | Report::Unhealthy(run, _)
        | Report::Stopping(run, _)
        | Report::Killing(run, _)
        | Report::Unkillable(run)
        | Report::Vanished(run)
        | Report::Bug(_, run) => Some(run.service),
        Report::Restarting(id, ..)
        | Report::Throttled(id)
        | Report::Finished(id)
        | Report::NotNeeded(id, _)
        | Report::GaveUp(id, _) => Some(*id),
        Report::Shutdown(_) | Report::KillAll(_) | Report::IgnoredSignal(_) => None,
    }
}

/// Its kind in a word, for programs.
pub fn kind(report: &Report) -> &'static str {
    match report {
        Report::Started(_) => "started",
        Report::Ready(..) => "ready",
        Report::Ended(..) | Report::Stopped(..) => "exited",
        Report::Restarting(..) => "restarting",
        Report::Throttled(_) => "throttled",
        Report::Finished(_) => "finished",
        Report::NotNeeded(..) => "not-needed",
        Report::GaveUp(..) => "failed",
        Report::Recovered(_) => "recovered",
        Report::NotReadyYet(..) => "not-ready",
        Report::TooLate(..) => "too-late",
        Report::HookFailed(..) => "hook-failed",
        Report::Unhealthy(..) => "unhealthy",
        Report::Stopping(..) => "stopping",
        Report::Killing(..) => "killing",
        Report::Unkillable(_) => "unkillable",
        Report::Vanished(_) => "vanished",
        Report::Shutdown(_) => "shutdown",
        Report::KillAll(_) => "kill-all",
        Report::IgnoredSignal(_) => "ignored-signal",
        Report::Bug(..) => "bug",
    }
}

/// How much it matters.
pub fn level(report: &Report) -> Level {
    match report {
        Report::GaveUp(..) | Report::Unkillable(_) | Report::Shutdown(Cause::Service(..)) | Report::Bug(..) => {
            Level::Error
        }
        Report::Restarting(_, _, Some(_))
        | Report::Throttled(_)
        | Report::Recovered(_)
        | Report::NotReadyYet(..)
        | Report::TooLate(..)
        | Report::HookFailed(..)
        | Report::Unhealthy(..)
        | Report::Stopping(_, StopCause::DiedWith(_))
        | Report::Killing(..)
        | Report::Vanished(_)
        | Report::KillAll(_)
        | Report::IgnoredSignal(_) => Level::Warn,
        Report::Ready(..)
        | Report::Ended(..)
        | Report::Finished(_)
        | Report::NotNeeded(..)
        | Report::Stopping(_, StopCause::Renewed(_))
        | Report::Shutdown(Cause::Asked | Cause::Signal(_)) => Level::Info,
        Report::Started(_)
        | Report::Stopped(..)
        | Report::Restarting(_, _, None)
        | Report::Stopping(
            _,
            StopCause::Leftovers
            | StopCause::Unhealthy(_)
            | StopCause::TooLate(_)
            | StopCause::Itself
            | StopCause::Asked
            | StopCause::Restart
            | StopCause::Shutdown,
        ) => Level::Debug,
    }
}

/// Logs one report, whose words these are.
pub fn log(plan: &Plan, report: &Report, words: &str) {
    match about(report) {
        Some(id) => log::log!(level(report), "{}: {words}", name(plan, id)),
        None => log::log!(level(report), "{words}"),
    }
}

/// The report in words, without the service that it is about. What led to it is asked of the supervisor, so this is for
/// the moment at which it happens.
pub fn full_words(plan: &Plan, supervisor: &Supervisor, now: Mono, report: &Report) -> String {
    match report {
        Report::GaveUp(id, _) => {
            let chain = supervisor.explain(*id);
            let cause = chain.get(1..).and_then(<[Link]>::last).map(|link| explain::sentence(plan, link, now));
            let cause = cause.map_or(String::new(), |cause| format!("; {cause}"));
            format!("{}{}{cause}", words(plan, report), explain::place(plan, *id))
        }
        Report::NotReadyYet(run, _) => {
            let chain = supervisor.explain(run.service);
            let lacks = chain.first().map_or(String::new(), |link| explain::lacks(&link.why, now));
            let (place, waiting) = (explain::place(plan, run.service), supervisor.waiting_for(run.service));
            let waiting = match waiting.is_empty() {
                true => String::new(),
                false => format!("; waited for by {}", explain::names(plan, &waiting)),
            };
            format!("{}: {lacks}{place}{waiting}", words(plan, report))
        }
        _ => words(plan, report),
    }
}

/// The report in words, as far as they hold at any time.
pub fn words(plan: &Plan, report: &Report) -> String {
    match report {
        Report::Started(_) => "started".to_owned(),
        Report::Ready(_, after) => format!("ready after {:.1} ms", after.as_secs_f64() * 1e3),
        Report::Ended(run, exit) | Report::Stopped(run, exit) => ended(plan, run.service, *exit),
        Report::Restarting(_, delay, None) => format!("starts again in {}", format_duration(*delay)),
        Report::Restarting(id, delay, Some((reason, count))) => {
            format!("{}; restart {count} in {}", reason_of(plan, *id, reason), format_duration(*delay))
        }
        Report::Throttled(_) => "ends at once again and again; held to ten starts a second".to_owned(),
        Report::Finished(_) => "finished".to_owned(),
        Report::NotNeeded(_, other) => format!("not needed: {} has not failed", name(plan, *other)),
        Report::GaveUp(id, reason) => format!("failed for good: {}", reason_of(plan, *id, reason)),
        Report::Recovered(_) => "healthy again".to_owned(),
        Report::NotReadyYet(_, after) => format!("not ready after {}", explain::time(*after)),
        Report::TooLate(_, why) => why.clone(),
        Report::HookFailed(_, hook, why) => format!("its {hook} failed: {why}"),
        Report::Unhealthy(_, why) => format!("unhealthy: {why}"),
        Report::Stopping(_, cause) => stopping(plan, cause),
        Report::Killing(_, wait) => format!("did not stop within {}: killed", format_duration(*wait)),
        Report::Unkillable(_) => "has processes that even SIGKILL does not end; going on without".to_owned(),
        Report::Vanished(_) => "the processes that even SIGKILL did not end are gone now".to_owned(),
        Report::Shutdown(Cause::Asked) => "asked to end: stopping all services".to_owned(),
        Report::Shutdown(Cause::Signal(signal)) => format!("{signal}: stopping all services"),
        Report::Shutdown(Cause::Service(id, code)) => {
            format!("{} has failed: stopping all services, exit code {code}", name(plan, *id))
        }
        Report::KillAll(signal) => format!("a second {signal}: killing all services"),
        Report::IgnoredSignal(signal) => format!("{signal}: not reloaded: all services are being stopped"),
        Report::Bug(what, run) => format!("bug: {what}: {run} (please report this)"),
    }
}

fn stopping(plan: &Plan, cause: &StopCause) -> String {
    match cause {
        StopCause::Leftovers => "what it left behind is asked to stop".to_owned(),
        StopCause::Unhealthy(_) => "asked to stop, because it is unhealthy".to_owned(),
        StopCause::TooLate(_) => "asked to stop, because it is too late".to_owned(),
        StopCause::Itself => "says that it stops".to_owned(),
        StopCause::DiedWith(other) => format!("stopped, because {} has failed", name(plan, *other)),
        StopCause::Asked => "asked to stop".to_owned(),
        StopCause::Restart => "asked to stop, to be run again".to_owned(),
        StopCause::Renewed(other) => format!("run again, because {} is back", name(plan, *other)),
        StopCause::Shutdown => "asked to stop, with everything".to_owned(),
    }
}

fn name(plan: &Plan, id: ServiceId) -> &str {
    plan.services.get(id.index()).map_or("?", |spec| spec.name.as_str())
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
    let name = |id: &ServiceId| name(plan, *id);
    match reason {
        Reason::Exit(exit) => ended(plan, id, *exit),
        Reason::Spawn(error) => error.message.clone(),
        Reason::Unhealthy(why, _) => format!("was unhealthy: {why}"),
        Reason::TooLate(why, _) => why.clone(),
        Reason::Hook(hook, why) => format!("its {hook} failed: {why}"),
        Reason::Dependency(other) => format!("starts after {}, which has failed", name(other)),
        Reason::DependencyOver(other) => format!("waits for {} to be healthy, which has finished", name(other)),
        Reason::DiedWith(other) => format!("depends on {}, which has failed", name(other)),
        Reason::Unkillable => "had processes that even SIGKILL did not end".to_owned(),
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
