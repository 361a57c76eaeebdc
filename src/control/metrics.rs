//! `/metrics`: OpenMetrics 1.0 text, written line by line. What it says comes from the tally, from the supervisor's answer
//! and from /proc; nothing is counted here.

use super::desk::{Answer, Desk, View};
use super::tally::{End, Histogram, Tally};
use super::wire::Usage;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use std::fmt::{Display, Write};
use std::sync::atomic::Ordering;
use std::time::UNIX_EPOCH;

const TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The states, in the order of a life.
const STATES: [&str; 9] =
    ["Initial", "Starting", "Started", "Running", "InKilling", "Success", "Failed", "Finished", "FinishedFailed"];

/// The page of the metrics.
pub fn page(desk: &Desk, answer: &Answer, tally: &Tally) -> Response {
    ([(header::CONTENT_TYPE, TYPE)], text(desk, answer, tally)).into_response()
}

fn text(desk: &Desk, answer: &Answer, tally: &Tally) -> String {
    let mut page = Page::default();
    horust(&mut page, desk, answer, tally);
    states(&mut page, answer);
    runs(&mut page, answer, tally);
    probes(&mut page, answer, tally);
    usage(&mut page, desk, answer);
    page.0.push_str("# EOF\n");
    page.0
}

fn horust(page: &mut Page, desk: &Desk, answer: &Answer, tally: &Tally) {
    page.family("horust_build", "info", "", "What runs here.");
    page.sample("horust_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    page.family("horust_start_time_seconds", "gauge", "seconds", "When Horust was started, since the epoch.");
    let started = desk.started.duration_since(UNIX_EPOCH).unwrap_or_default();
    page.sample("horust_start_time_seconds", &[], started.as_secs_f64());
    page.family("horust_services", "gauge", "", "How many services there are.");
    page.sample("horust_services", &[], answer.services.len());
    page.family("horust_orphans_reaped", "counter", "", "Ended processes that belonged to nobody.");
    page.sample("horust_orphans_reaped_total", &[], desk.orphans.load(Ordering::Relaxed));
    let lost = (desk.lost)();
    page.family("horust_output_dropped_lines", "counter", "", "Lines of services that were not passed on.");
    for (why, lines) in [("rate-limit", lost.limited), ("refused", lost.refused)] {
        page.sample("horust_output_dropped_lines_total", &[("why", why)], lines);
    }
    page.family("horust_messages_dropped", "counter", "", "Messages of Horust that a slow stderr did not take.");
    page.sample("horust_messages_dropped_total", &[], lost.messages);
    let help = "How long Horust took to decide, each time that something happened.";
    page.family("horust_step_duration_seconds", "histogram", "seconds", help);
    page.histogram("horust_step_duration_seconds", &[], &tally.steps);
}

fn states(page: &mut Page, answer: &Answer) {
    page.family("horust_service_state", "stateset", "", "What the service is doing.");
    for view in &answer.services {
        for state in STATES {
            let labels = [("service", view.status.name.as_str()), ("horust_service_state", state)];
            page.sample("horust_service_state", &labels, u8::from(view.status.state == state));
        }
    }
    page.family("horust_service_wanted", "gauge", "", "1 if the service is to run.");
    for view in &answer.services {
        page.of("horust_service_wanted", view, u8::from(view.status.wanted));
    }
    let help = "1 if its health checks pass. Only of services that have some, while they are ready.";
    page.family("horust_service_healthy", "gauge", "", help);
    for view in &answer.services {
        if let Some(health) = view.status.health {
            page.of("horust_service_healthy", view, u8::from(health == "healthy"));
        }
    }
}

fn runs(page: &mut Page, answer: &Answer, tally: &Tally) {
    page.family("horust_service_restarts", "counter", "", "Starts after the first, by whomever.");
    for view in &answer.services {
        let starts = view.status.run.map_or(0, |run| run.generation);
        page.of("horust_service_restarts_total", view, starts.saturating_sub(1));
    }
    let help = "Ended runs: with code 0, with another one, by a signal, for want of memory; or never executed.";
    page.family("horust_service_exits", "counter", "", help);
    for view in &answer.services {
        for end in End::ALL {
            let count = tally.service(view.id).and_then(|service| service.exits.get(end as usize)).copied();
            let labels = [("service", view.status.name.as_str()), ("kind", end.name())];
            page.sample("horust_service_exits_total", &labels, count.unwrap_or_default());
        }
    }
    let help = "How long the last start took, until the service was ready.";
    page.family("horust_service_start_duration_seconds", "gauge", "seconds", help);
    for view in &answer.services {
        if let Some(took) = tally.service(view.id).and_then(|service| service.start) {
            page.of("horust_service_start_duration_seconds", view, took.as_secs_f64());
        }
    }
}

fn probes(page: &mut Page, answer: &Answer, tally: &Tally) {
    let probed = |view: &View| tally.service(view.id).and_then(|service| Some((service, service.probes.as_deref()?)));
    page.family("horust_service_probe_failures", "counter", "", "Probes that have failed.");
    for view in &answer.services {
        if let Some((service, _)) = probed(view) {
            page.of("horust_service_probe_failures_total", view, service.probe_failures);
        }
    }
    let help = "How long a probe takes, the wait for its turn included.";
    page.family("horust_service_probe_duration_seconds", "histogram", "seconds", help);
    for view in &answer.services {
        if let Some((_, probes)) = probed(view) {
            page.histogram("horust_service_probe_duration_seconds", &[("service", &view.status.name)], probes);
        }
    }
}

fn usage(page: &mut Page, desk: &Desk, answer: &Answer) {
    let of = |view: &View| desk.pids.get(view.id).map(desk.usage);
    let all: Vec<(&View, Usage)> = answer.services.iter().filter_map(|view| Some((view, of(view)?))).collect();
    page.family("horust_service_processes", "gauge", "", "Its main process and what descends from it.");
    for (view, usage) in &all {
        page.of("horust_service_processes", view, usage.processes);
    }
    let help = "What they have in memory. What several of them share counts for each.";
    page.family("horust_service_memory_bytes", "gauge", "bytes", help);
    for (view, usage) in &all {
        page.of("horust_service_memory_bytes", view, usage.memory_bytes);
    }
    let help = "The processor time that they have had, in this run of the service.";
    page.family("horust_service_cpu_seconds", "counter", "seconds", help);
    for (view, usage) in &all {
        page.of("horust_service_cpu_seconds_total", view, std::time::Duration::from_millis(usage.cpu_ms).as_secs_f64());
    }
}

/// The text so far. Writing to a string can't fail. Names of services have no characters that would need an escape.
#[derive(Default)]
struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, unit: &str, help: &str) {
        let _ = writeln!(self.0, "# TYPE {name} {kind}");
        if !unit.is_empty() {
            let _ = writeln!(self.0, "# UNIT {name} {unit}");
        }
        let _ = writeln!(self.0, "# HELP {name} {help}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        for (i, (label, text)) in labels.iter().enumerate() {
            let _ = write!(self.0, "{}{label}=\"{text}\"", if i == 0 { "{" } else { "," });
        }
        let _ = writeln!(self.0, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    fn of(&mut self, name: &str, view: &View, value: impl Display) {
        self.sample(name, &[("service", &view.status.name)], value);
    }

    fn histogram<const N: usize>(&mut self, name: &str, labels: &[(&str, &str)], histogram: &Histogram<N>) {
        let bucket = format!("{name}_bucket");
        for (bound, count) in histogram.up_to() {
            // A bound is a float, and has to look like one.
            let bound = format!("{:?}", bound.as_secs_f64());
            self.sample(&bucket, &[labels, &[("le", &bound)]].concat(), count);
        }
        self.sample(&bucket, &[labels, &[("le", "+Inf")]].concat(), histogram.count);
        self.sample(&format!("{name}_count"), labels, histogram.count);
        self.sample(&format!("{name}_sum"), labels, histogram.sum.as_secs_f64());
    }
}
