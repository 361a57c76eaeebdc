//! One service from all files that have a say in it. From the weakest: `[defaults]` of `horust.toml`, `_defaults.toml`
//! of its directory, its own file, its drop-ins. Tables are merged key by key, any other value is replaced. Each file is
//! read by itself, so that aliases are settled and all errors found where they stand; then the strongest is filled up
//! from the weaker ones.

use super::diagnostic::{Diagnostic, Layer, Severity, Source, Span};
use super::errors;
use super::files::{DEFAULTS, ServiceFile};
use super::lower::{self, Draft};
use super::read::{self, Parsed};
use super::schema::{Defaults, Main};
use super::table::Table;
use super::template::Env;
use super::values::Cx;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use toml::de::DeTable;

/// What several services have in common.
pub struct Composer<'a> {
    env: Env<'a>,
    lowering: Lowering,
    /// `[defaults]`.
    everywhere: Main,
    directories: HashMap<PathBuf, Inherited>,
}

/// What all services of one directory inherit, `[defaults]` included.
struct Inherited {
    main: Main,
    /// The file that says so, if it has errors. They have been reported.
    broken: Option<PathBuf>,
}

/// How drafts are made of keys.
#[derive(Clone, Copy)]
pub struct Lowering {
    /// The default of `termination.wait`.
    pub wait: Duration,
    /// Somebody may want to see their output.
    pub captured: bool,
    /// They keep their keys as they were written.
    pub keep_written: bool,
}

/// The keys of one file of a service.
struct Keys {
    main: Main,
    /// It has a `command`, be it a wrong one.
    has_command: bool,
}

impl<'a> Composer<'a> {
    /// `everywhere` is `[defaults]`.
    pub fn new(everywhere: Defaults, lowering: Lowering, env: Env<'a>) -> Composer<'a> {
        Composer { env, lowering, everywhere: everywhere.0, directories: HashMap::new() }
    }

    /// Loads one service. If its file can't be understood at all: the name that it would have.
    pub fn service(&mut self, file: &ServiceFile, diagnostics: &mut Vec<Diagnostic>) -> Result<Draft, String> {
        let mut found = Vec::new();
        let lowering = self.lowering;
        let own = keys(&file.path, Layer::Service, self.env, &mut found);
        let mut drop_ins = Vec::with_capacity(file.drop_ins.len());
        for (i, path) in file.drop_ins.iter().enumerate() {
            let layer = Layer::DropIn(u32::try_from(i).unwrap_or(u32::MAX));
            drop_ins.extend(keys(path, layer, self.env, &mut found));
        }
        let inherited = self.inherited(&file.path, diagnostics);
        let draft = own.ok_or(None).and_then(|own| merge(own, drop_ins, inherited, lowering, &mut found));
        found.sort_by_key(place);
        let inherits = |path: &Path| Some(format!("`{}`, from which it inherits, has errors", path.display()));
        let error = found.iter().find(|d| d.severity == Severity::Error).map(|d| &d.place);
        let broken = match (error, &inherited.broken) {
            (Some(Some(place)), _) if place.is_inherited() => inherits(&place.source.path),
            (Some(_), _) => Some("its file has errors".to_owned()),
            (None, Some(path)) => inherits(path),
            (None, None) => None,
        };
        diagnostics.append(&mut found);
        let stem = || lower::stem(&Source { path: file.path.clone(), ..Source::default() });
        draft.map(|draft| Draft { broken, ..draft }).map_err(|name| name.unwrap_or_else(stem))
    }

    /// What the service in this file inherits. The defaults of a directory are read when its first service is.
    fn inherited(&mut self, path: &Path, diagnostics: &mut Vec<Diagnostic>) -> &Inherited {
        let directory = path.parent().unwrap_or(Path::new(""));
        let read = || defaults(directory, &self.everywhere, self.env, diagnostics);
        self.directories.entry(directory.to_owned()).or_insert_with(read)
    }
}

/// Findings are told in the order of the files, from the weakest, and within a file from its top.
fn place(diagnostic: &Diagnostic) -> Option<(Layer, u32)> {
    diagnostic.place.as_ref().map(|place| (place.source.layer, place.span.start))
}

/// Reads the defaults of a directory, and fills them up from those for all directories.
fn defaults(directory: &Path, everywhere: &Main, env: Env<'_>, diagnostics: &mut Vec<Diagnostic>) -> Inherited {
    let path = directory.join(DEFAULTS);
    if path.symlink_metadata().is_err() {
        return Inherited { main: everywhere.clone(), broken: None };
    }
    let mut found = Vec::new();
    let source = read::source(&path, Layer::Defaults).map_err(|error| found.push(error)).ok();
    let read = source.and_then(|source| read::table(source, env, &mut found, Main::defaults));
    let mut main = read.map(|parsed| parsed.value.0).unwrap_or_default();
    main.inherit(everywhere);
    found.sort_by_key(place);
    let broken = (errors(&found) > 0).then_some(path);
    diagnostics.append(&mut found);
    Inherited { main, broken }
}

/// Reads the keys of a service's file, or of a drop-in.
fn keys(path: &Path, layer: Layer, env: Env<'_>, found: &mut Vec<Diagnostic>) -> Option<Parsed<Keys>> {
    let source = read::source(path, layer).map_err(|error| found.push(error)).ok()?;
    read::table(source, env, found, |entries, cx| Keys {
        has_command: has_command(&entries),
        main: Main::read(entries, cx),
    })
}

fn has_command(entries: &DeTable<'_>) -> bool {
    let service = entries.get("service").map(|service| service.get_ref());
    let below = |key| service.is_some_and(|service| service.get(key).is_some());
    ["command", "path"].into_iter().any(|key| entries.contains_key(key) || below(key))
}

/// Merges all files of a service. An error is the name of one whose values could not be expanded: further errors about
/// it would only be echoes.
fn merge(
    own: Parsed<Keys>,
    drop_ins: Vec<Parsed<Keys>>,
    inherited: &Inherited,
    lowering: Lowering,
    found: &mut Vec<Diagnostic>,
) -> Result<Draft, Option<String>> {
    let Parsed { value: mut keys, source, mut failed } = own;
    for stronger in drop_ins {
        let weaker = std::mem::replace(&mut keys, stronger.value);
        keys.main.inherit(&weaker.main);
        keys.has_command |= weaker.has_command;
        failed.extend(stronger.failed);
    }
    keys.main.inherit(&inherited.main);
    let mut cx = Cx { source: &source, diagnostics: found, key: "" };
    if !keys.has_command {
        cx.push(no_command(&source));
    }
    let name = keys.main.name.as_ref().map(|at| at.value.0.clone());
    let said = cx.diagnostics.len();
    let written = lowering.keep_written.then(|| Box::new(keys.main.clone()));
    let draft = Draft { written, ..lower::lower(keys.main, lowering, &mut cx) };
    let new = found.split_off(said).into_iter();
    found.extend(new.filter(|d| d.place.as_ref().is_none_or(|place| !failed.contains(place))));
    if failed.is_empty() { Ok(draft) } else { Err(name) }
}

fn no_command(source: &Arc<Source>) -> Diagnostic {
    if source.text.trim().is_empty() {
        let error = Diagnostic::error(format!("`{}` is empty", source.path.display()));
        return error.help("a service needs a `command`");
    }
    let error = Diagnostic::error("there is no `command`, so nothing to run").at(source, Span::default());
    error.help("add `command = \"...\"` above the first [table]")
}
