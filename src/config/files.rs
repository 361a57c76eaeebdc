//! Which files make up a configuration: the service files of directories, each with its drop-ins. It lists directories
//! and looks into no file.

use super::diagnostic::Diagnostic;
use super::{errors, read};
use crate::limits;
use crate::model::closest;
use std::collections::{BTreeSet, HashSet};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// The keys that all services of a directory inherit.
pub const DEFAULTS: &str = "_defaults.toml";

/// One service file.
#[derive(Debug)]
pub struct ServiceFile {
    /// Where it is.
    pub path: PathBuf,
    /// What is laid over it, the weakest first.
    pub drop_ins: Vec<PathBuf>,
}

/// The files to load, each once.
pub fn discover(paths: &[PathBuf], diagnostics: &mut Vec<Diagnostic>) -> Vec<ServiceFile> {
    let shown: Vec<_> = paths.iter().map(|path| format!("`{}`", path.display())).collect();
    let first = paths.first().map(|path| path.display().to_string()).unwrap_or_default();
    let help = format!("create one with `horust --sample-service > {}/my-service.toml`", first.trim_end_matches('/'));
    let mut files = Vec::new();
    let before = diagnostics.len();
    for path in paths {
        match path.metadata() {
            Ok(metadata) if metadata.is_dir() => directory(path, &mut files, diagnostics),
            Ok(_) => files.push(single(path, diagnostics)),
            Err(error) => {
                let message = format!("cannot read `{}`: {}", path.display(), read::reason(&error));
                diagnostics.push(Diagnostic::error(message).help(help.as_str()));
            }
        }
    }
    if paths.len() > 1 {
        let mut seen = HashSet::new();
        files.retain(|file| seen.insert(file.path.clone()));
    }
    if files.is_empty() && errors(diagnostics.get(before..).unwrap_or_default()) == 0 {
        let message = format!("no service files (*.toml) in {}", shown.join(", "));
        diagnostics.push(Diagnostic::error(message).help(help));
    }
    let count: usize = files.iter().map(|file| file.drop_ins.len().saturating_add(1)).sum();
    if count > limits::SERVICES {
        let message = format!("{count} service files are more than {} can be", limits::SERVICES);
        diagnostics.push(Diagnostic::error(message));
        files.clear();
    }
    files
}

/// A file that was named itself.
fn single(path: &Path, diagnostics: &mut Vec<Diagnostic>) -> ServiceFile {
    let beside = drop_in_directory(path);
    let drop_ins = if beside.exists() { toml_files(&beside, diagnostics) } else { Vec::new() };
    ServiceFile { path: path.to_owned(), drop_ins }
}

fn drop_in_directory(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".d");
    name.into()
}

/// The service files of a directory, sorted. Their drop-in directories are found on the way.
fn directory(path: &Path, files: &mut Vec<ServiceFile>, diagnostics: &mut Vec<Diagnostic>) {
    let mut names = list(path, diagnostics);
    names.sort();
    let (services, others): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| is_toml(name) && name != DEFAULTS);
    let is_drop_in = |name: &OsString| name.as_encoded_bytes().ends_with(b".toml.d");
    let mut unclaimed: BTreeSet<OsString> = others.into_iter().filter(is_drop_in).collect();
    for name in &services {
        let path = path.join(name);
        let beside = drop_in_directory(&path);
        let claimed = beside.file_name().is_some_and(|name| unclaimed.remove(name));
        let drop_ins = if claimed { toml_files(&beside, diagnostics) } else { Vec::new() };
        files.push(ServiceFile { path, drop_ins });
    }
    diagnostics.extend(unclaimed.iter().map(|name| orphan(path, name, &services)));
}

/// A drop-in directory that belongs to no service.
fn orphan(directory: &Path, name: &OsStr, services: &[OsString]) -> Diagnostic {
    let name = name.to_string_lossy();
    let service = name.trim_end_matches(".d");
    let shown = directory.join(&*name);
    if service == DEFAULTS {
        let message = format!("`{}` has no effect: drop-ins are for services", shown.display());
        return Diagnostic::warning(message).help(format!("write these keys into `{DEFAULTS}`"));
    }
    let message = format!("`{}` has no effect: there is no `{service}` beside it", shown.display());
    let stem = service.trim_end_matches(".toml");
    match closest(stem, services.iter().filter_map(|name| name.to_str()?.strip_suffix(".toml"))) {
        Some(close) => Diagnostic::warning(message).help(format!("did you mean `{close}.toml.d`?")),
        None => Diagnostic::warning(message),
    }
}

/// The TOML files of a directory, sorted.
fn toml_files(directory: &Path, diagnostics: &mut Vec<Diagnostic>) -> Vec<PathBuf> {
    let mut names = list(directory, diagnostics);
    names.retain(|name| is_toml(name));
    names.sort();
    names.into_iter().map(|name| directory.join(name)).collect()
}

fn is_toml(name: &OsStr) -> bool {
    name.as_encoded_bytes().ends_with(b".toml") && !name.as_encoded_bytes().starts_with(b".")
}

/// The names in a directory, but for hidden ones.
fn list(directory: &Path, diagnostics: &mut Vec<Diagnostic>) -> Vec<OsString> {
    let names = directory.read_dir().and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect());
    names.unwrap_or_else(|error| {
        let message = format!("cannot read `{}`: {}", directory.display(), read::reason(&error));
        diagnostics.push(Diagnostic::error(message));
        Vec::new()
    })
}
