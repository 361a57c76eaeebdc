//! How the answers of a running Horust are shown: tables and cards for people, JSON for programs.

use crate::control::wire::{Health, LogLine, Service, Trouble, Usage};
use serde::Serialize;
use std::fmt::Write as _;
use std::time::Duration;

/// As it came over the wire, on several lines.
pub fn json(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).map_or_else(|error| format!("{error}\n"), |text| text + "\n")
}

/// The line of Horust 0.1's `horustctl status NAME`.
pub fn as_horustctl(name: &str, service: &Service) -> String {
    format!("Current status for '{name}' is: '{}'.\n", service.state.to_ascii_uppercase())
}

/// Whether all is well, and what is not.
pub fn health(health: &Health) -> String {
    if health.healthy {
        return "healthy\n".to_owned();
    }
    let mut page =
        if health.up { "unhealthy\n".to_owned() } else { "unhealthy: all services are being stopped\n".to_owned() };
    for Trouble { service, why } in &health.troubles {
        let _ = writeln!(page, "{service}: {why}");
    }
    page
}

/// Several services, a line each.
pub fn table(services: &[Service]) -> String {
    let head = ["NAME", "STATE", "FOR", "PID", "STARTS", "MEMORY", "CPU", "HEALTH", ""].map(str::to_owned);
    let row = |service: &Service| {
        let usage = |show: fn(&Usage) -> String| service.usage.as_ref().map_or(String::new(), show);
        [
            service.name.clone(),
            service.state.clone(),
            time(service.for_ms),
            service.pid.map_or(String::new(), |pid| pid.to_string()),
            service.starts.to_string(),
            usage(|usage| size(usage.memory_bytes)),
            usage(|usage| time(usage.cpu_ms)),
            service.health.clone().unwrap_or_default(),
            remark(service),
        ]
    };
    let rows: Vec<_> = std::iter::once(head).chain(services.iter().map(row)).collect();
    columns(&rows)
}

/// What one has to know of it beside its state.
fn remark(service: &Service) -> String {
    let error = || service.last_probe_error.clone().filter(|_| service.health.as_deref() != Some("healthy"));
    service.reason.clone().or_else(error).or_else(|| service.says.clone()).unwrap_or_default()
}

/// Columns as wide as their widest cell; empty ones are left out.
fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |at: usize| rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max();
    let filled = |at: usize| rows.iter().skip(1).filter_map(|row| row.get(at)).any(|cell| !cell.is_empty());
    let widths: Vec<usize> = (0..N).map(|at| width(at).unwrap_or(0)).collect();
    let shown: Vec<bool> = (0..N).map(|at| at < 3 || filled(at)).collect();
    let mut page = String::new();
    for row in rows {
        let mut line = String::new();
        for ((cell, width), _) in row.iter().zip(&widths).zip(&shown).filter(|(_, shown)| **shown) {
            let _ = write!(line, "{cell:width$}  ");
        }
        page.push_str(line.trim_end());
        page.push('\n');
    }
    page
}

/// One service in full, with its latest output.
pub fn card(service: &Service, output: &[LogLine]) -> String {
    let wanted = if service.wanted { "to run" } else { "not to run" };
    let mut lines = vec![
        ("state", format!("{}, for {}", service.state, time(service.for_ms))),
        ("wanted", wanted.to_owned()),
        ("since", service.since.clone()),
        ("starts", starts(service)),
    ];
    let mut add = |label, value: Option<String>| lines.extend(value.map(|value| (label, value)));
    add("pid", service.pid.map(|pid| pid.to_string()));
    add("processes", service.usage.map(|usage| usage.processes.to_string()));
    add("memory", service.usage.map(|usage| size(usage.memory_bytes)));
    add("cpu", service.usage.map(|usage| time(usage.cpu_ms)));
    let ready = || (service.state == "Running").then(|| "ready".to_owned());
    add("readiness", service.lacks.as_ref().map(|lacks| format!("not ready: {lacks}")).or_else(ready));
    add("health", service.health.clone());
    add("last probe error", service.last_probe_error.clone());
    add("says", service.says.clone());
    add("reloading", service.reloading.then(|| "yes".to_owned()));
    add("last exit", service.last_exit.as_ref().map(|exit| exit.text.clone()));
    add("failed because", service.reason.clone());
    let width = lines.iter().map(|(label, _)| label.len()).max().unwrap_or(0);
    let mut page = format!("{}\n", service.name);
    for (label, value) in lines {
        let _ = writeln!(page, "  {label:width$}  {value}");
    }
    if !output.is_empty() {
        page.push_str("  latest output\n");
    }
    for LogLine { text, .. } in output {
        // What would steer a terminal has no business in a card.
        let _ = writeln!(page, "    {}", text.replace('\t', " ").replace(char::is_control, ""));
    }
    page
}

fn starts(service: &Service) -> String {
    match service.failures {
        0 => service.starts.to_string(),
        failures => format!("{}, the last {failures} after a failure", service.starts),
    }
}

/// A time that people can take in at a glance: its two largest units.
fn time(ms: u64) -> String {
    let rounded = match ms {
        0..1_000 => ms,
        1_000..60_000 => ms - ms % 100,
        60_000..3_600_000 => ms - ms % 1_000,
        3_600_000..86_400_000 => ms - ms % 60_000,
        _ => ms - ms % 3_600_000,
    };
    humantime::format_duration(Duration::from_millis(rounded)).to_string()
}

/// An amount of memory with three digits.
fn size(bytes: u64) -> String {
    let mut rest = bytes;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if rest < 10_000 {
            return format!("{rest} {unit}");
        }
        rest /= 1024;
    }
    format!("{rest} TiB")
}
