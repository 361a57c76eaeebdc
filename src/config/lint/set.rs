//! Services in each other's way: one output file, one check, or a chain of stops that takes too long.

use super::Service;
use crate::config::diagnostic::{Diagnostic, Place};
use crate::config::lower::Draft;
use crate::config::values::At;
use crate::model::{Kind, Output, ServiceSpec};
use humantime_serde::re::humantime::format_duration;
use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

/// Two services that write one file tear each other's lines.
pub fn outputs(services: &[Service<'_>], out: &mut Vec<Diagnostic>) {
    let mut seen = Seen::default();
    for service in services {
        let written = service.written;
        let streams = [(&service.spec.stdout, &written.stdout), (&service.spec.stderr, &written.stderr)];
        for (output, at) in streams {
            let Output::File(path) = output else { continue };
            if !path.starts_with("/dev") && !path.starts_with("/proc") {
                let message =
                    |other: &str, this: &str| format!("`{this}` and `{other}` write to one file: `{}`", path.display());
                seen.look(service, shown(path), at.as_ref(), message, "each needs a file of its own", out);
            }
        }
    }
}

/// Two services with the same check: one of them is not looked at. A file is even removed at each start of either.
pub fn probes(services: &[Service<'_>], out: &mut Vec<Diagnostic>) {
    let mut seen = Seen::default();
    for service in services {
        let Some(table) = service.written.healthiness.as_ref().map(|at| &at.value) else { continue };
        let message = |other: &str, this: &str| format!("`{this}` and `{other}` are checked at one address");
        let help = "check each at its own";
        if let Some(at) = &table.http_endpoint {
            seen.look(service, format!("{:?}", at.value.0), Some(at), message, help, out);
        }
        if let Some(at) = &table.tcp {
            seen.look(service, at.value.0.clone(), Some(at), message, help, out);
        }
        if let Some(at) = &table.unix_socket {
            seen.look(service, shown(&at.value.0), Some(at), message, help, out);
        }
        if let Some(at) = &table.file_path {
            let message = |other: &str, this: &str| format!("`{this}` and `{other}` are checked by one file");
            let help = "each start of one of them removes it: give each a file of its own";
            seen.look(service, shown(&at.value), Some(at), message, help, out);
        }
    }
}

/// Who was the first with something.
#[derive(Default)]
struct Seen<'a>(HashMap<String, (&'a str, Option<Place>)>);

impl<'a> Seen<'a> {
    fn look<T>(
        &mut self,
        service: &Service<'a>,
        what: String,
        at: Option<&At<T>>,
        message: impl Fn(&str, &str) -> String,
        help: &str,
        out: &mut Vec<Diagnostic>,
    ) {
        let place = at.map(|at| at.place.clone());
        let name = service.spec.name.as_str();
        match self.0.get(&what) {
            Some((first, _)) if *first == name => {}
            Some((first, at_first)) => {
                let mut warning = service.warning(at, message(first, name)).label("here").help(help);
                // What both inherit stands in one place.
                if let Some(first) = at_first.as_ref().filter(|first| place.as_ref() != Some(*first)) {
                    warning = warning.note(first, "first here");
                }
                out.push(warning);
            }
            None => {
                self.0.insert(what, (name, place));
            }
        }
    }
}

fn shown(path: &Path) -> String {
    // `a/./b` and `a//b` are `a/b`.
    path.components().collect::<std::path::PathBuf>().to_string_lossy().into_owned()
}

/// The services that stop one after another, and take the longest if each uses its whole `wait`. Said once, and only if
/// somebody has thought about how long a stop may take: with defaults alone it would be said of every set.
pub fn shutdown(services: &[Service<'_>], drafts: &[Draft], most: Duration, out: &mut Vec<Diagnostic>) {
    let specs: Vec<&ServiceSpec> = drafts.iter().map(|draft| &draft.spec).collect();
    let mut chain = longest(&specs);
    chain.retain(|id| specs.get(*id).is_some_and(|spec| !stop_time(spec).is_zero()));
    let waits: Vec<Duration> = chain.iter().filter_map(|id| specs.get(*id)).map(|spec| stop_time(spec)).collect();
    let total = waits.iter().fold(Duration::ZERO, |sum, wait| sum.saturating_add(*wait));
    if total <= most || waits.len() < 2 || waits.iter().any(|wait| *wait > most) {
        return;
    }
    let names: Vec<&str> = chain.iter().filter_map(|id| specs.get(*id)).map(|spec| spec.name.as_str()).collect();
    let of_chain = services.iter().filter(|service| names.contains(&service.spec.name.as_str()));
    let wait =
        |service: &&Service<'_>| service.written.termination.as_ref().is_some_and(|table| table.value.wait.is_some());
    let Some(service) = of_chain.filter(wait).max_by_key(|service| service.spec.termination.wait) else { return };
    let at = service.written.termination.as_ref().and_then(|table| table.value.wait.as_ref());
    let shown = |(name, wait): (&&str, &Duration)| format!("`{name}` ({})", format_duration(*wait));
    let mut steps: Vec<String> = names.iter().zip(&waits).take(6).map(shown).collect();
    if names.len() > steps.len() {
        steps.push("...".to_owned());
    }
    let message = format!(
        "a container runtime that waits {} may kill before all have stopped: that can take {}",
        format_duration(most),
        format_duration(total)
    );
    let label = "the longest wait of them";
    let help = format!("they stop one after another: {}", steps.join(", then "));
    out.push(service.warning(at, message).label(label).help(help));
}

/// How long its stop may take. A oneshot has mostly ended by then.
fn stop_time(spec: &ServiceSpec) -> Duration {
    if spec.kind == Kind::Oneshot { Duration::ZERO } else { spec.termination.wait }
}

/// The path through the order of stops on which the waits add up to most. Without services that are part of a cycle.
fn longest(specs: &[&ServiceSpec]) -> Vec<usize> {
    let mut before: Vec<Vec<usize>> = vec![Vec::new(); specs.len()];
    let mut after: Vec<usize> = vec![0; specs.len()];
    let mut edge = |first: usize, then: usize| {
        if let (Some(list), Some(count)) = (before.get_mut(first), after.get_mut(then)) {
            list.push(then);
            *count = count.saturating_add(1);
        }
    };
    for (id, spec) in specs.iter().enumerate() {
        // Who starts after another stops before it.
        spec.start_after.iter().for_each(|other| edge(id, other.service.index()));
        spec.shutdown_after.iter().for_each(|other| edge(other.index(), id));
    }
    // The longest sum up to each service, and who comes before it on that path.
    let wait = |id: usize| specs.get(id).map_or(Duration::ZERO, |spec| stop_time(spec));
    let mut sums: Vec<(Duration, Option<usize>)> = (0..specs.len()).map(|id| (wait(id), None)).collect();
    let mut free: Vec<usize> = (0..specs.len()).filter(|id| after.get(*id) == Some(&0)).collect();
    while let Some(id) = free.pop() {
        let so_far = sums.get(id).map_or(Duration::ZERO, |(sum, _)| *sum);
        for then in before.get(id).into_iter().flatten().copied() {
            let sum = so_far.saturating_add(wait(then));
            if let Some(known) = sums.get_mut(then).filter(|known| known.0 < sum) {
                *known = (sum, Some(id));
            }
            if let Some(count) = after.get_mut(then) {
                *count = count.saturating_sub(1);
                free.extend((*count == 0).then_some(then));
            }
        }
    }
    let mut at = (0..specs.len()).max_by_key(|id| sums.get(*id).map(|(sum, _)| *sum));
    let mut path = Vec::new();
    while let Some(id) = at.filter(|_| path.len() < specs.len()) {
        path.push(id);
        at = sums.get(id).and_then(|(_, before)| *before);
    }
    path.reverse();
    path
}
