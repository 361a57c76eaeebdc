//! TOML text in, a `Plan` and diagnostics out. All errors of all files are found in one go; nothing is dropped
//! silently. It reads files, but never the environment (that comes through a closure), and it starts nothing.

mod after;
mod compose;
mod diagnostic;
mod effective;
mod files;
#[cfg(fuzzing)]
pub mod fuzzing;
mod graph;
mod health;
mod json_schema;
mod kinds;
mod lint;
mod log;
mod lower;
mod probes;
mod process;
mod read;
mod reference;
mod render;
mod resources;
mod sample;
mod schema;
mod settings;
mod shape;
mod synonyms;
mod syntax;
mod table;
mod template;
mod values;

pub use diagnostic::{Diagnostic, Place, Severity, Source, Span};
pub use effective::{effective, is_secret};
pub use json_schema::{FileKind, json_schema};
pub use kinds::split_command;
pub use lint::{Lint, Machine};
pub use read::{reason, regular_file};
pub use reference::reference;
pub use render::{findings, from_findings, json, render};
pub use sample::sample_service;
pub use template::Env;
pub use values::parse_duration;

use crate::model::{Need, Plan, ServiceId, ServiceSpec, Settings, Web};
use lower::Draft;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Where the services are when nothing else is said.
pub const DEFAULT_SERVICES: &str = "/etc/horust/services";

/// What to load.
pub struct Options<'a> {
    /// Directories or files; none means [`DEFAULT_SERVICES`].
    pub services: &'a [PathBuf],
    /// `horust.toml`, if the user named one.
    pub config: Option<&'a Path>,
    /// Go on with the valid services.
    pub skip_invalid: bool,
    /// Looks up the variables that the files mention.
    pub env: Env<'a>,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The services and settings. Without services if [`refused`](Loaded::refused).
    pub plan: Plan,
    /// Everything to tell the user, in the order of the files.
    pub diagnostics: Vec<Diagnostic>,
    /// There are errors that forbid a start.
    pub refused: bool,
    /// The directories and files that were looked at: those of services, and then the settings.
    pub paths: Vec<PathBuf>,
}

/// Loads everything.
pub fn load(options: &Options<'_>) -> Loaded {
    load_for(options, None)
}

/// Loads everything; if it is said, for a Horust that has the page or not, whatever the settings have come to say about that:
/// what is captured for the page alone stays so until the next start.
pub fn load_for(options: &Options<'_>, has_page: Option<bool>) -> Loaded {
    load_and(options, None, has_page)
}

/// Loads everything, and looks for what is likely to go wrong with it on this machine.
pub fn check(options: &Options<'_>, lint: &Lint<'_>) -> Loaded {
    load_and(options, Some(lint), None)
}

fn load_and(options: &Options<'_>, lint: Option<&Lint<'_>>, has_page: Option<bool>) -> Loaded {
    let mut diagnostics = Vec::new();
    let settings = settings::load(options.config, options.env, &mut diagnostics);
    let mut paths = match options.services {
        [] => vec![PathBuf::from(DEFAULT_SERVICES)],
        named => named.to_vec(),
    };
    let files = files::discover(&paths, &mut diagnostics);
    paths.push(settings::path(options.config).to_owned());
    let mut refused = errors(&diagnostics) > 0;
    let wait = settings.timeout_before_sigkill.as_ref().map_or(Duration::from_secs(5), |at| at.value);
    let web_server = settings.web_server.as_ref().and_then(|at| at.value.0);
    let everywhere = settings.defaults.map(|at| at.value).unwrap_or_default();
    let captured = has_page.unwrap_or(web_server.is_some());
    let lowering = compose::Lowering { wait, captured, keep_written: lint.is_some() };
    let mut composer = compose::Composer::new(everywhere, lowering, options.env);
    let mut drafts = Vec::with_capacity(files.len());
    let mut invalid = HashSet::new();
    for file in files {
        match composer.service(&file, &mut diagnostics) {
            Ok(draft) => drafts.push(draft),
            Err(name) => {
                invalid.insert(name);
            }
        }
    }
    let unusable = graph::link(&mut drafts, &invalid, &mut diagnostics);
    if let Some(lint) = lint {
        lint::settings(settings.timeout_before_sigkill.as_ref(), lint, &mut diagnostics);
        lint::all(&drafts, lint, &mut diagnostics);
    }
    say_once(&mut diagnostics);
    let control = settings.control.map(|at| at.value).unwrap_or_default();
    let plan_settings = Settings {
        unsuccessful_exit_finished_failed: settings.unsuccessful_exit_finished_failed.is_some_and(|at| at.value),
        socket: control.socket.map_or_else(Default::default, |at| at.value.0),
        socket_group: control.group.map(|at| at.value),
        when_init: settings.shutdown.and_then(|at| at.value.when_init).map_or_else(Default::default, |at| at.value),
        web: Web {
            page: web_server,
            metrics: control.metrics.and_then(|at| at.value.0),
            token_file: control.token_file.map(|at| at.value),
            token_for_reading: control.token_for_reading.is_some_and(|at| at.value),
            hosts: control.hosts.map(|at| at.value.0.into_iter().map(|name| name.value).collect()).unwrap_or_default(),
        },
    };
    let mut services = Vec::new();
    if errors(&diagnostics) == 0 {
        services = drafts.into_iter().map(|draft| Arc::new(draft.spec)).collect();
    } else if options.skip_invalid && !refused {
        services = leave_out(drafts, unusable, &invalid, &mut diagnostics);
        refused = services.is_empty();
    } else {
        refused = true;
    }
    // `collect` has reused the list of drafts, whose entries are a hundred times as large.
    services.shrink_to_fit();
    Loaded { plan: Plan { services, listed: None, settings: plan_settings }, diagnostics, refused, paths }
}

fn errors(diagnostics: &[Diagnostic]) -> usize {
    diagnostics.iter().filter(|d| d.severity == Severity::Error).count()
}

/// An error in what several services inherit is found with each of them, but said once.
fn say_once(diagnostics: &mut Vec<Diagnostic>) {
    let mut said = HashSet::new();
    diagnostics.retain(|d| {
        let place = d.place.as_ref().filter(|place| place.is_inherited());
        place.is_none_or(|place| said.insert((Arc::as_ptr(&place.source), place.span, d.message.clone())))
    });
}

/// `--skip-invalid`: the services that can be used, and a loud word about each of the others. Who starts after one that
/// is left out is left out too.
fn leave_out(
    drafts: Vec<Draft>,
    mut unusable: graph::Unusable,
    invalid: &HashSet<String>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<Arc<ServiceSpec>> {
    let name = |id: ServiceId| drafts.get(id.index()).map_or("?", |draft| draft.spec.name.as_str());
    loop {
        let out = |id: &ServiceId| unusable.get(id.index()).is_some_and(Option::is_some);
        let next = drafts.iter().zip(&unusable).map(|(draft, why)| {
            let needs =
                || draft.spec.start_after.iter().filter(|need| need.required).map(|need| need.service).find(out);
            why.clone().or_else(|| Some(format!("it starts after `{}`, which is left out", name(needs()?))))
        });
        let next: Vec<_> = next.collect();
        if next == unusable {
            break;
        }
        unusable = next;
    }
    let mut left_out: Vec<_> = invalid.iter().map(|name| (name.as_str(), "its file has errors")).collect();
    left_out.sort_unstable();
    left_out.extend(drafts.iter().zip(&unusable).filter_map(|(d, why)| Some((d.spec.name.as_str(), why.as_deref()?))));
    let left_out = left_out.into_iter().map(|(name, why)| Diagnostic::warning(format!("`{name}` is left out: {why}")));
    diagnostics.extend(left_out);
    let mut kept = 0..;
    let number = |why: &Option<String>| if why.is_none() { kept.next().map(ServiceId) } else { None };
    let renumbered: Vec<Option<ServiceId>> = unusable.iter().map(number).collect();
    let renumber = |ids: &mut Vec<ServiceId>| {
        *ids = ids.iter().filter_map(|id| renumbered.get(id.index()).copied().flatten()).collect();
    };
    let usable = drafts.into_iter().zip(&unusable).filter(|(_, why)| why.is_none());
    usable
        .map(|(mut draft, _)| {
            draft.spec.start_after = draft
                .spec
                .start_after
                .iter()
                .filter_map(|need| {
                    let service = renumbered.get(need.service.index()).copied().flatten()?;
                    Some(Need { service, ..*need })
                })
                .collect();
            renumber(&mut draft.spec.shutdown_after);
            renumber(&mut draft.spec.termination.die_if_failed);
            Arc::new(draft.spec)
        })
        .collect()
}
