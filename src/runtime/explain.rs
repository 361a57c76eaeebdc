//! Why services are not what is wanted, in words: one sentence for each link of the chain. Wording only.

use super::report;
use crate::model::{Condition, Mono, Origin, Plan, ServiceId};
use crate::supervisor::{Link, Verdict, Why};
use humantime::format_duration;
use std::path::Path;
use std::time::Duration;

/// How many names are written out before the rest is counted.
const NAMES: usize = 5;

/// What is said of a service that can't be started because its last run is not over.
pub const REMAINS: &str = "processes of its last run are still there, and even SIGKILL does not end them; it can be started once they are gone";

/// One link of a chain as a sentence, without a full stop, and where its service was defined.
pub fn sentence(plan: &Plan, link: &Link, now: Mono) -> String {
    format!("{}{}", words(plan, link, now), place(plan, link.service))
}

/// The same without the place.
pub fn words(plan: &Plan, link: &Link, now: Mono) -> String {
    let Link { service, since, why } = link;
    let (name, long) = (name(plan, *service), time(now.since(*since)));
    let what = match why {
        Why::NotWanted => "is not started with Horust, and nobody has started it".to_owned(),
        Why::StoppedByHand => format!("was stopped by hand {long} ago"),
        Why::Waits(need) => {
            format!("has waited {long} until {} {}", self::name(plan, need.service), is(need.condition))
        }
        Why::Delayed { until } => format!("waits out its start-delay, {} more", time(until.since(now))),
        Why::Hook(hook) => format!("has been at its {hook} for {long}"),
        Why::Executing => format!("has been about to be executed for {long}"),
        Why::NotReady { .. } => format!("has run for {long} and is not ready: {}", lacks(why, now)),
        Why::NotHealthy { verdict, error } => {
            let verdict = match verdict {
                Verdict::Unknown | Verdict::Healthy => "is ready, and none of its health checks has passed yet",
                Verdict::Unhealthy => "is unhealthy",
            };
            format!("{verdict}{}", error.as_ref().map_or(String::new(), |error| format!(": {}", past(error, now))))
        }
        Why::StillRuns => "still runs".to_owned(),
        Why::Stopping(_) => format!("has been asked to stop {long} ago"),
        Why::Restarts { until, failure } => {
            let again = format!("is run again in {}", time(until.since(now)));
            match failure {
                None => again,
                Some((reason, count)) => {
                    let reason = report::reason_of(plan, *service, reason);
                    format!("has failed, {count} in a row: {reason}; it {again}")
                }
            }
        }
        Why::Finished => format!("has finished {long} ago"),
        Why::Failed(reason) => format!("failed {long} ago: {}", report::reason_of(plan, *service, reason)),
        Why::Remains => format!("failed {long} ago: {REMAINS}"),
    };
    format!("{name} {what}")
}

/// What a service lacks to be ready.
pub fn lacks(why: &Why, now: Mono) -> String {
    let Why::NotReady { missing, asked, error, says, late } = why else { return String::new() };
    let mut parts: Vec<String> = missing.iter().map(|sign| sign.missing().to_owned()).collect();
    if *asked {
        parts.push(match error {
            Some(error) => past(error, now),
            None => "no check has answered yet".to_owned(),
        });
    }
    parts.extend(says.as_ref().map(|says| format!("it says \"{says}\"")));
    parts.extend(late.map(|late| format!("it has {} more", time(late.since(now)))));
    parts.join("; ")
}

/// Names of services, a few of them written out.
pub fn names(plan: &Plan, ids: &[ServiceId]) -> String {
    let mut names: Vec<String> = ids.iter().take(NAMES).map(|id| name(plan, *id).to_owned()).collect();
    let more = ids.len().saturating_sub(NAMES);
    names.extend((more > 0).then(|| format!("{more} more")));
    match names.pop() {
        Some(last) if !names.is_empty() => format!("{} and {last}", names.join(", ")),
        last => last.unwrap_or_default(),
    }
}

/// Where a service was defined, in parentheses, if that is known.
pub fn place(plan: &Plan, id: ServiceId) -> String {
    origin(plan, id).map_or(String::new(), |at| format!(" ({}:{})", at.file.display(), at.line))
}

/// Where a service was defined, if that is known.
pub fn origin(plan: &Plan, id: ServiceId) -> Option<&Origin> {
    plan.services.get(id.index()).map(|spec| &spec.origin).filter(|at| at.file != Path::new(""))
}

/// The name of a service.
pub fn name(plan: &Plan, id: ServiceId) -> &str {
    plan.services.get(id.index()).map_or("?", |spec| spec.name.as_str())
}

fn is(condition: Condition) -> &'static str {
    match condition {
        Condition::Started => "runs",
        Condition::Ready => "is ready",
        Condition::Healthy => "is healthy",
        Condition::Completed => "is over",
        Condition::CompletedSuccessfully => "has finished",
        Condition::Failed => "has failed for good",
    }
}

fn past((at, error): &(Mono, String), now: Mono) -> String {
    format!("{error}, {} ago", time(now.since(*at)))
}

/// A time as exactly as a person wants to know it.
pub fn time(duration: Duration) -> String {
    let exact = match duration.as_secs() {
        0 => Duration::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)),
        1..60 => Duration::from_millis(
            duration.as_secs().saturating_mul(1000).saturating_add(u64::from(duration.subsec_millis() / 100 * 100)),
        ),
        seconds => Duration::from_secs(seconds),
    };
    format_duration(exact).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Need, ServiceSpec, Sign};
    use crate::supervisor::{Reason, SpawnError};
    use std::sync::Arc;

    const DB: ServiceId = ServiceId(0);

    fn plan() -> Plan {
        let spec = |name: &str, line| {
            let origin = Origin { file: format!("/etc/{name}.toml").into(), line };
            Arc::new(ServiceSpec { origin, ..ServiceSpec::new(name, vec!["x".into()]) })
        };
        let mut plan = Plan { services: vec![spec("db", 3)], ..Plan::default() };
        plan.services.extend((0..7).map(|n| spec(&format!("web{n}"), 1)));
        plan
    }

    #[test]
    fn each_link_is_a_sentence() {
        let error = Some((Mono(58_500_000_000), "connection refused".to_owned()));
        let not_ready = |missing: &[Sign], says: Option<&str>, late| Why::NotReady {
            missing: missing.to_vec(),
            asked: late,
            error: error.clone().filter(|_| says.is_none()),
            says: says.map(str::to_owned),
            late: late.then_some(Mono(70_000_000_000)),
        };
        let failed = Reason::Spawn(SpawnError { message: "no such program".into(), code: 127 });
        let until = Mono(61_250_000_000);
        for (why, words) in [
            (Why::NotWanted, "db is not started with Horust, and nobody has started it"),
            (
                Why::Waits(Need { condition: Condition::Healthy, ..Need::ready(ServiceId(1)) }),
                "db has waited 59s until web0 is healthy",
            ),
            (
                not_ready(&[], None, true),
                "db has run for 59s and is not ready: connection refused, 1s 500ms ago; it has 10s more",
            ),
            (
                not_ready(&[Sign::Notify, Sign::LogLine], Some("hi"), false),
                "db has run for 59s and is not ready: it has not said READY=1; it has not printed its log-line; it says \"hi\"",
            ),
            (
                not_ready(&[], Some("hi"), true),
                "db has run for 59s and is not ready: no check has answered yet; it says \"hi\"; it has 10s more",
            ),
            (
                Why::NotHealthy { verdict: Verdict::Unhealthy, error: error.clone() },
                "db is unhealthy: connection refused, 1s 500ms ago",
            ),
            (
                Why::Restarts { until, failure: Some((failed.clone(), 3)) },
                "db has failed, 3 in a row: no such program; it is run again in 1s 200ms",
            ),
            (Why::Failed(failed), "db failed 59s ago: no such program"),
            (
                Why::Remains,
                "db failed 59s ago: processes of its last run are still there, and even SIGKILL does not end them; it can be \
                 started once they are gone",
            ),
        ] {
            let link = Link { service: DB, since: Mono(1_000_000_000), why };
            assert_eq!(sentence(&plan(), &link, Mono(60_000_000_000)), format!("{words} (/etc/db.toml:3)"));
        }
    }

    #[test]
    fn many_names_are_counted() {
        let ids = |count: u32| (1..=count).map(ServiceId).collect::<Vec<_>>();
        assert_eq!(names(&plan(), &ids(1)), "web0");
        assert_eq!(names(&plan(), &ids(2)), "web0 and web1");
        assert_eq!(names(&plan(), &ids(7)), "web0, web1, web2, web3, web4 and 2 more");
    }

    #[test]
    fn times_are_as_exact_as_they_are_of_use() {
        for (ms, words) in [(0, "0s"), (12, "12ms"), (59_990, "59s 900ms"), (61_234, "1m 1s"), (3_600_000, "1h")] {
            assert_eq!(time(Duration::from_millis(ms)), words);
        }
    }
}
