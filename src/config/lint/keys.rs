//! Keys of one service that do nothing, or hardly what was meant.

use super::Service;
use crate::config::diagnostic::Diagnostic;
use crate::config::schema;
use crate::config::values::At;
use crate::model::{FailureStrategy, Growth, Kind, OnUnhealthy, RestartStrategy, Signal};
use humantime_serde::re::humantime::format_duration;
use std::time::Duration;

pub fn check(service: &Service<'_>, stop_timeout: Duration, out: &mut Vec<Diagnostic>) {
    shell(service, out);
    health(service, out);
    restart(service, out);
    termination(service, stop_timeout, out);
    rewrite(service, out);
}

/// No shell runs a command, so what only a shell understands is passed on as it is.
fn shell(service: &Service<'_>, out: &mut Vec<Diagnostic>) {
    const SIGNS: &[&str] = &["&&", "||", "|", ";", "&", ">", ">>", "<", "2>&1", "2>", "&>"];
    let Some(at) = &service.written.command else { return };
    let place = &at.place;
    let [program, arguments @ ..] = at.value.0.as_slice() else { return };
    // An array says exactly what is passed on; find(1) and others want a `;`.
    if place.source.slice(place.span).starts_with('[') || program.ends_with("find") {
        return;
    }
    let sign = |word: &&String| SIGNS.contains(&word.as_str()) || word.starts_with("$(") || word.starts_with('`');
    if let Some(word) = arguments.iter().find(sign) {
        let message = format!("no shell runs the command: `{word}` is passed on to `{program}`");
        let help = match word.as_str() {
            "&" => "leave it out: Horust waits for no service to end before it goes on",
            ">" | ">>" | "&>" | "2>" => "write the file as `stdout` or `stderr`",
            _ => "run it with `sh -c '...'`, or write the command as an array if this is meant",
        };
        out.push(service.warning(Some(at), message).help(help));
    }
}

fn health(service: &Service<'_>, out: &mut Vec<Diagnostic>) {
    let (spec, restart) = (service.spec, &service.spec.restart);
    let no_restart = restart.strategy == RestartStrategy::Never && restart.attempts == 0;
    let acts = spec.required || spec.failure.strategy != FailureStrategy::Ignore;
    let stops = spec.health.as_ref().is_some_and(|health| health.on_unhealthy == OnUnhealthy::Restart);
    if stops && no_restart && !acts {
        let message = format!("once `{}` is unhealthy it is stopped for good", spec.name);
        let warning = service.warning(service.written.healthiness.as_ref(), message);
        out.push(warning.help("write `strategy = \"on-failure\"` below [restart] to have it started again"));
    }
}

fn restart(service: &Service<'_>, out: &mut Vec<Diagnostic>) {
    let restart = &service.spec.restart;
    if let Some(strategy) = written(service).and_then(|table| table.strategy.as_ref())
        && (service.spec.kind, restart.strategy) == (Kind::Oneshot, RestartStrategy::Always)
    {
        let message = format!("`{}` is a oneshot that runs again and again: it never finishes", service.spec.name);
        out.push(service.warning(Some(strategy), message).help("write \"on-failure\", or make it a daemon"));
    }
    let Some(table) = written(service) else { return };
    let unlimited = restart.attempts == 0 && restart.strategy != RestartStrategy::Never;
    if let Some(throttle) = table.throttle.as_ref().filter(|at| !at.value && unlimited && restart.backoff.is_zero()) {
        let message = "a service that ends at once is started as fast as the machine can, for ever";
        out.push(service.warning(Some(throttle), message).help("give it a `backoff`, or leave `throttle` on"));
    }
    if let Some(most) = table.backoff_max.as_ref().filter(|at| at.value < restart.backoff) {
        let message = format!("`backoff-max` is less than `backoff`, which is {}", format_duration(restart.backoff));
        out.push(service.warning(Some(most), message).help("the delay is `backoff`, and never grows"));
    }
    without_effect(service, table, out);
}

/// Keys about delays where there are none: one warning for all of them.
fn without_effect(service: &Service<'_>, table: &schema::Restart, out: &mut Vec<Diagnostic>) {
    let restart = &service.spec.restart;
    let never = restart.strategy == RestartStrategy::Never && restart.attempts == 0;
    let (why, help) = match (never, restart.backoff.is_zero()) {
        (true, _) => ("there are no restarts", "write a `strategy`, or a number of `attempts`"),
        (false, true) => ("there is no `backoff`", "write a `backoff`"),
        (false, false) => return,
    };
    let growth = table.growth.as_ref().filter(|at| at.value != Growth::Linear);
    let keys = [
        ("`backoff`", table.backoff.as_ref().filter(|_| never).map(At::unit)),
        ("`growth`", growth.map(At::unit)),
        ("`backoff-max`", table.backoff_max.as_ref().map(At::unit)),
        ("`jitter`", table.jitter.as_ref().map(At::unit)),
    ];
    let found: Vec<_> = keys.into_iter().filter_map(|(key, at)| Some((key, at?))).collect();
    let Some((_, first)) = found.first() else { return };
    let names: Vec<&str> = found.iter().map(|(key, _)| *key).collect();
    let have = if names.len() == 1 { "has" } else { "have" };
    let message = format!("{} {have} no effect: {why}", names.join(", "));
    out.push(service.warning(Some(first), message).help(help));
}

fn written<'a>(service: &'a Service<'_>) -> Option<&'a schema::Restart> {
    service.written.restart.as_ref().map(|at| &at.value)
}

fn termination(service: &Service<'_>, stop_timeout: Duration, out: &mut Vec<Diagnostic>) {
    let Some(table) = service.written.termination.as_ref().map(|at| &at.value) else { return };
    out.extend(table.wait.as_ref().and_then(|wait| too_long(wait, stop_timeout)));
    let stops = ["STOP", "TSTP", "TTIN", "TTOU"].into_iter().filter_map(Signal::parse);
    if let Some(signal) = table.signal.as_ref().filter(|at| stops.clone().any(|stop| stop == at.value)) {
        let message = format!("{} suspends a process: it does not end, and is killed after `wait`", signal.value);
        out.push(service.warning(Some(signal), message));
    }
}

/// A wait that is longer than the container runtime's.
pub fn too_long(wait: &At<Duration>, stop_timeout: Duration) -> Option<Diagnostic> {
    let most = format_duration(stop_timeout);
    let message = format!("a container runtime that waits {most} kills everything before this time is over");
    let help = "have it wait longer (docker: `--stop-timeout`, compose: `stop_grace_period`, Kubernetes: \
                `terminationGracePeriodSeconds`) and tell `horust check --stop-timeout`";
    (wait.value > stop_timeout).then(|| wait.warning(message).help(help))
}

fn rewrite(service: &Service<'_>, out: &mut Vec<Diagnostic>) {
    let Some(at) = &service.written.signal_rewrite else { return };
    for (from, _) in &at.value.pairs {
        if [Some(Signal::KILL), Signal::parse("STOP")].contains(&Some(*from)) {
            let message = format!("{from} can't be rewritten: no process ever gets to see it");
            out.push(service.warning(Some(at), message));
        }
    }
}
