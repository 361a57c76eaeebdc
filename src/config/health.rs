//! From the keys of readiness, health and watchdog to what is asked of a service. What contradicts itself is said here.

use super::diagnostic::{Diagnostic, Place};
use super::kinds::ReadyWhen;
use super::lower::stronger;
use super::probes::{Address, Endpoint, SocketPath};
use super::schema;
use super::values::{At, Cx};
use crate::model::{Command, Health, Kind, OnUnhealthy, Probe, Readiness, Rounds, Signs};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

/// What a service is asked.
pub struct Watching {
    /// What makes it ready.
    pub readiness: Readiness,
    /// How long that may take.
    pub start_timeout: Option<Duration>,
    /// What watches it then.
    pub health: Option<Box<Health>>,
    /// How often it has to be heard of.
    pub watchdog: Option<Duration>,
}

/// The tables that say so.
pub struct Tables {
    /// `[healthiness]`
    pub healthiness: Option<At<schema::Healthiness>>,
    /// `[readiness]`
    pub readiness: Option<At<schema::Readiness>>,
    /// `[restart] readiness`
    pub ready_when: Option<At<ReadyWhen>>,
    /// `[watchdog]`
    pub watchdog: Option<At<schema::Watchdog>>,
    /// `kind`
    pub kind: Kind,
}

/// Lowers them.
pub fn lower(tables: Tables, cx: &mut Cx<'_>) -> Watching {
    let health = tables.healthiness.and_then(|at| health(at, cx)).map(Box::new);
    let start_timeout = tables.readiness.as_ref().and_then(|at| at.value.start_timeout.clone());
    if let Some(at) = start_timeout.as_ref().filter(|at| at.value.is_zero()) {
        cx.push(at.error("with a `start-timeout` of zero it can never be ready"));
    }
    let signs = tables.readiness.and_then(|at| {
        let place = at.place.clone();
        signs(at.value, cx).map(|value| At { value, place })
    });
    let readiness = readiness(signs, tables.ready_when, tables.kind, health.as_deref(), cx);
    let rounds = match &readiness {
        Readiness::Signs(signs) => signs.rounds.as_ref(),
        Readiness::Health => health.as_ref().map(|health| &health.rounds),
        Readiness::Exec => None,
    };
    if let (Some(rounds), Some(limit)) = (rounds, &start_timeout)
        && rounds.initial_delay >= limit.value
    {
        let error = limit.error("`start-timeout` passes before the first check: `initial-delay` is as long");
        cx.push(error.help("give it more time, or make `initial-delay` shorter"));
    }
    let watchdog = tables.watchdog.and_then(|at| watchdog(at.value, cx));
    Watching { readiness, start_timeout: start_timeout.map(|at| at.value), health, watchdog }
}

fn readiness(
    mut signs: Option<At<Signs>>,
    mut when: Option<At<ReadyWhen>>,
    kind: Kind,
    health: Option<&Health>,
    cx: &mut Cx<'_>,
) -> Readiness {
    if kind == Kind::Oneshot {
        // What several services inherit is not meant for the oneshots among them.
        signs = signs.filter(|at| !at.place.is_inherited());
        if let Some(at) = &signs {
            let error = at.error("a oneshot is ready once it has exited successfully, and by nothing else");
            cx.push(error.help("keep nothing but `start-timeout` in [readiness], or remove the `kind`"));
        }
    }
    stronger(&mut signs, &mut when);
    if let (Some(table), Some(when)) = (&signs, &when) {
        let error = when.error("what makes it ready is said twice");
        cx.push(error.note(&table.place, "by this table").help("keep [readiness]"));
    }
    match (signs, when) {
        (Some(signs), _) => Readiness::Signs(Box::new(signs.value)),
        (None, Some(At { value: ReadyWhen::Probe(probe), .. })) => {
            let rounds = health.map(|health| health.rounds.clone()).unwrap_or_default();
            let rounds = Some(Rounds { probes: vec![probe], ..rounds });
            Readiness::Signs(Box::new(Signs { rounds, ..Signs::default() }))
        }
        (None, Some(at)) if health.is_none() && !at.place.is_inherited() && !cx.has_errors() => {
            let warning = at.warning("there is no health check to be ready by");
            cx.push(warning.help("add one below [healthiness]; until then the service is ready once it was started"));
            Readiness::Exec
        }
        (None, _) if health.is_some() => Readiness::Health,
        (None, _) => Readiness::Exec,
    }
}

fn signs(table: schema::Readiness, cx: &mut Cx<'_>) -> Option<Signs> {
    let asked = Asked {
        probes: probes(table.http_endpoint, table.tcp, table.unix_socket, table.file_path, table.command),
        interval: table.interval,
        timeout: table.timeout,
        initial_delay: table.initial_delay,
        success_threshold: table.success_threshold,
    };
    let rounds = match rounds(asked, cx) {
        Ok(rounds) => Some(rounds),
        Err(idle) => {
            if let Some(place) = idle.filter(|place| !place.is_inherited() && !cx.has_errors()) {
                let warning = Diagnostic::warning("[readiness] holds no check that this could be about");
                let warning = warning.at(&place.source, place.span);
                cx.push(warning.help("how long it may take to be ready is `start-timeout`"));
            }
            None
        }
    };
    let notify = table.notify.is_some_and(|at| at.value);
    let notify_fd = table.notify_fd.map(|at| at.value.0);
    let log_line = table.log_line.map(|at| at.value.0);
    let signs = Signs { rounds, notify, notify_fd, log_line };
    (signs != Signs::default()).then_some(signs)
}

fn health(At { value: table, place }: At<schema::Healthiness>, cx: &mut Cx<'_>) -> Option<Health> {
    let asked = Asked {
        probes: probes(table.http_endpoint, table.tcp, table.unix_socket, table.file_path, table.command),
        interval: table.interval,
        timeout: table.timeout,
        initial_delay: table.initial_delay,
        success_threshold: table.success_threshold,
    };
    match rounds(asked, cx) {
        Ok(rounds) => Some(Health {
            rounds,
            max_failed: table.failure_threshold.map_or(3, |at| at.value),
            on_unhealthy: table.on_unhealthy.map_or(OnUnhealthy::Restart, |at| at.value),
        }),
        Err(idle) => {
            let idle = idle.is_some() || table.failure_threshold.is_some() || table.on_unhealthy.is_some();
            if idle && !place.is_inherited() && !cx.has_errors() {
                let warning = Diagnostic::warning("[healthiness] holds no check, so nothing is watched");
                let warning = warning.at(&place.source, place.span);
                cx.push(warning.help("add `http-endpoint`, `tcp`, `unix-socket`, `file-path` or `command`"));
            }
            None
        }
    }
}

fn watchdog(table: schema::Watchdog, cx: &mut Cx<'_>) -> Option<Duration> {
    let timeout = table.timeout?;
    if timeout.value.is_zero() {
        cx.push(timeout.error("a watchdog with a `timeout` of zero is always too late"));
    }
    Some(timeout.value)
}

fn probes(
    http: Option<At<Endpoint>>,
    tcp: Option<At<Address>>,
    unix: Option<At<SocketPath>>,
    file: Option<At<PathBuf>>,
    command: Option<At<Command>>,
) -> Vec<Probe> {
    let mut probes = Vec::new();
    probes.extend(http.map(|at| at.value.0));
    probes.extend(tcp.map(|at| Probe::Tcp(at.value.0)));
    probes.extend(unix.map(|at| Probe::Unix(at.value.0)));
    probes.extend(file.map(|at| Probe::File(at.value)));
    probes.extend(command.map(|at| Probe::Command(at.value)));
    probes
}

/// The keys that both tables have.
struct Asked {
    probes: Vec<Probe>,
    interval: Option<At<Duration>>,
    timeout: Option<At<Duration>>,
    initial_delay: Option<At<Duration>>,
    success_threshold: Option<At<NonZeroU32>>,
}

/// The rounds; if there is nothing to ask, the place of a key that is about nothing.
fn rounds(asked: Asked, cx: &mut Cx<'_>) -> Result<Rounds, Option<Place>> {
    let Asked { probes, interval, timeout, initial_delay, success_threshold } = asked;
    if let Some(at) = timeout.as_ref().filter(|at| at.value.is_zero()) {
        cx.push(at.error("with a `timeout` of zero no check can pass"));
    }
    if let Some(at) = interval.as_ref().filter(|at| at.value.is_zero()) {
        cx.push(at.error("with an `interval` of zero the checks would never rest"));
    }
    if probes.is_empty() {
        let durations = [timeout, interval, initial_delay].map(|key| key.map(|at| at.place));
        return Err(durations.into_iter().flatten().next().or(success_threshold.map(|at| at.place)));
    }
    let rounds = Rounds::default();
    Ok(Rounds {
        probes,
        interval: interval.map_or(rounds.interval, |at| at.value),
        timeout: timeout.map_or(rounds.timeout, |at| at.value),
        initial_delay: initial_delay.map_or(rounds.initial_delay, |at| at.value),
        success_threshold: success_threshold.map_or(rounds.success_threshold, |at| at.value.get()),
    })
}
