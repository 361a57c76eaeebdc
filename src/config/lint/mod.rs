//! What `horust check` looks for beyond the errors that refuse a start: what this machine lacks, keys that do nothing,
//! services in each other's way. All of it is warnings: Horust would start. None of it runs at a start.

mod keys;
mod machine;
mod set;

pub use machine::Machine;

use super::diagnostic::Diagnostic;
use super::lower::Draft;
use super::schema::Main;
use super::values::At;
use crate::model::ServiceSpec;
use std::time::Duration;

/// What to check against.
pub struct Lint<'a> {
    /// What is there to run services with.
    pub machine: &'a dyn Machine,
    /// How long the container runtime waits before it kills.
    pub stop_timeout: Duration,
}

/// One service as it will be, and as it was written.
struct Service<'a> {
    draft: &'a Draft,
    spec: &'a ServiceSpec,
    written: &'a Main,
}

impl Service<'_> {
    /// A warning about a value, or about the whole service if nobody wrote it.
    fn warning<T>(&self, at: Option<&At<T>>, message: impl Into<String>) -> Diagnostic {
        let place = at.map_or(&self.draft.name_place, |at| &at.place);
        Diagnostic::warning(message).at(&place.source, place.span)
    }
}

/// Looks at the settings: the default of all waits.
pub fn settings(wait: Option<&At<Duration>>, lint: &Lint<'_>, diagnostics: &mut Vec<Diagnostic>) {
    diagnostics.extend(wait.and_then(|wait| keys::too_long(wait, lint.stop_timeout)));
}

/// Looks at all services that have no errors.
pub fn all(drafts: &[Draft], lint: &Lint<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let services = drafts.iter().filter(|draft| draft.broken.is_none()).filter_map(|draft| {
        let written = draft.written.as_deref()?;
        Some(Service { draft, spec: &draft.spec, written })
    });
    let services: Vec<Service<'_>> = services.collect();
    let prepared = machine::prepared(drafts);
    for service in &services {
        let before = diagnostics.len();
        machine::check(service, lint.machine, prepared.contains(&service.spec.name), diagnostics);
        keys::check(service, lint.stop_timeout, diagnostics);
        let line = |d: &Diagnostic| d.place.as_ref().map_or(0, |place| place.span.start);
        diagnostics.get_mut(before..).into_iter().for_each(|new| new.sort_by_key(line));
    }
    set::outputs(&services, diagnostics);
    set::probes(&services, diagnostics);
    set::shutdown(&services, drafts, lint.stop_timeout, diagnostics);
}
