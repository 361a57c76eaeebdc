//! TOML text in, a `Plan` and diagnostics out. All errors of all files are found in one go; nothing is dropped
//! silently. It reads files, but never the environment (that comes through a closure), and it starts nothing.

mod after;
mod diagnostic;
mod graph;
mod health;
mod kinds;
mod lower;
mod probes;
mod read;
mod sample;
mod schema;
mod settings;
mod table;
mod template;
mod values;

pub use diagnostic::{Diagnostic, Place, Severity, Source, Span, render};
pub use kinds::split_command;
pub use sample::sample_service;
pub use template::Env;

use crate::limits;
use crate::model::{Need, Plan, ServiceId, ServiceSpec, Settings};
use lower::Draft;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use values::{At, Cx};

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
}

/// Loads everything.
pub fn load(options: &Options<'_>) -> Loaded {
    let mut diagnostics = Vec::new();
    let settings = settings::load(options.config, options.env, &mut diagnostics);
    let files = discover(options.services, &mut diagnostics);
    let mut refused = errors(&diagnostics) > 0;
    let wait = settings.timeout_before_sigkill.map_or(Duration::from_secs(5), |at| at.value);
    let mut drafts = Vec::with_capacity(files.len());
    let mut invalid = HashSet::new();
    for file in files {
        let from = diagnostics.len();
        match service(&file, wait, options.env, &mut diagnostics) {
            Ok(draft) => drafts.push(draft),
            Err(name) => {
                invalid.insert(name);
            }
        }
        let place = |d: &Diagnostic| d.place.as_ref().map_or(0, |place| place.span.start);
        diagnostics.get_mut(from..).into_iter().for_each(|new| new.sort_by_key(place));
    }
    let unusable = graph::link(&mut drafts, &invalid, &mut diagnostics);
    let plan_settings = Settings {
        unsuccessful_exit_finished_failed: settings.unsuccessful_exit_finished_failed.is_some_and(|at| at.value),
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
    Loaded { plan: Plan { services, settings: plan_settings }, diagnostics, refused }
}

fn errors(diagnostics: &[Diagnostic]) -> usize {
    diagnostics.iter().filter(|d| d.severity == Severity::Error).count()
}

/// The files to load, each once.
fn discover(paths: &[PathBuf], diagnostics: &mut Vec<Diagnostic>) -> Vec<PathBuf> {
    let default = [PathBuf::from(DEFAULT_SERVICES)];
    let paths = if paths.is_empty() { &default } else { paths };
    let shown: Vec<_> = paths.iter().map(|path| format!("`{}`", path.display())).collect();
    let first = paths.first().map(|path| path.display().to_string()).unwrap_or_default();
    let help = format!("create one with `horust --sample-service > {}/my-service.toml`", first.trim_end_matches('/'));
    let mut files = Vec::new();
    let before = diagnostics.len();
    for path in paths {
        match path.metadata() {
            Ok(metadata) if metadata.is_dir() => directory(path, &mut files, diagnostics),
            Ok(_) => files.push(path.clone()),
            Err(error) => {
                let message = format!("cannot read `{}`: {}", path.display(), read::reason(&error));
                diagnostics.push(Diagnostic::error(message).help(help.as_str()));
            }
        }
    }
    if paths.len() > 1 {
        let mut seen = HashSet::new();
        files.retain(|file| seen.insert(file.clone()));
    }
    if files.is_empty() && errors(diagnostics.get(before..).unwrap_or_default()) == 0 {
        let message = format!("no service files (*.toml) in {}", shown.join(", "));
        diagnostics.push(Diagnostic::error(message).help(help));
    }
    if files.len() > limits::SERVICES {
        let message = format!("{} service files are more than {} can be", files.len(), limits::SERVICES);
        diagnostics.push(Diagnostic::error(message));
        files.clear();
    }
    files
}

/// The service files of a directory, sorted.
fn directory(path: &Path, files: &mut Vec<PathBuf>, diagnostics: &mut Vec<Diagnostic>) {
    let cannot = |error: std::io::Error| {
        Diagnostic::error(format!("cannot read `{}`: {}", path.display(), read::reason(&error)))
    };
    let from = files.len();
    let entries = match path.read_dir() {
        Ok(entries) => entries,
        Err(error) => return diagnostics.push(cannot(error)),
    };
    for entry in entries {
        let file = match entry {
            Ok(entry) => entry.file_name(),
            Err(error) => return diagnostics.push(cannot(error)),
        };
        let name = file.as_encoded_bytes();
        if name == b"_defaults.toml" {
            let message = format!("`{}` is not supported yet: it has no effect", path.join(&file).display());
            diagnostics.push(Diagnostic::warning(message));
        } else if name.ends_with(b".toml") && !name.starts_with(b".") {
            files.push(path.join(file));
        }
    }
    files.get_mut(from..).into_iter().for_each(<[PathBuf]>::sort);
}

/// Loads one file. If it can't be understood at all: the name that its service would have.
fn service(path: &Path, wait: Duration, env: Env<'_>, diagnostics: &mut Vec<Diagnostic>) -> Result<Draft, String> {
    let before = errors(diagnostics);
    let mut name = None;
    let draft = match read::source(path) {
        Ok(source) => read::table(source, env, diagnostics, |entries, source, diagnostics| {
            let mut cx = Cx { source, diagnostics, key: "" };
            let written = entries.contains_key("command") || entries.contains_key("path");
            let in_service = || {
                entries
                    .get("service")
                    .is_some_and(|service| service.get_ref().get("command").or(service.get_ref().get("path")).is_some())
            };
            if !written && !in_service() {
                let error = cx.error(Span::default(), "there is no `command`, so nothing to run");
                cx.push(error.help("add `command = \"...\"` above the first [table]"));
            }
            let main = schema::Main::read(entries, &mut cx);
            name = main.name.as_ref().map(|At { value, .. }| value.clone());
            Some(lower::lower(main, wait, &mut cx))
        }),
        Err(diagnostic) => {
            diagnostics.push(diagnostic);
            None
        }
    };
    let stem = || lower::stem(&Source { path: path.to_owned(), text: String::new() });
    let broken = errors(diagnostics) > before;
    draft.map(|draft| Draft { broken, ..draft }).ok_or_else(|| name.unwrap_or_else(stem))
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
