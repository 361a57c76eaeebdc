//! What a service needs of the machine it is checked on: programs, users, directories, files. What another service may
//! prepare first is not missed.

use super::Service;
use crate::config::diagnostic::Diagnostic;
use crate::config::kinds::ReadyWhen;
use crate::config::lower::Draft;
use crate::config::read::reason;
use crate::model::{Command, IdOrName, Kind, Output, Probe, ServiceSpec};
use std::collections::HashSet;
use std::path::Path;

/// Answers for the machine. Each answer is why not; none if all is well.
pub trait Machine {
    /// Whether the service can run this command, found in its own `PATH`: why not, and what to do about it.
    fn program(&self, spec: &ServiceSpec, command: &Command) -> Option<(String, String)>;
    /// Whether the environment of the service can be made: its files are there and can be read.
    fn environment(&self, spec: &ServiceSpec) -> Option<String>;
    /// Whether there is such a user.
    fn user(&self, user: &IdOrName) -> Option<String>;
    /// Whether there is such a group.
    fn group(&self, group: &IdOrName) -> Option<String>;
}

/// What a shell does by itself, and no program.
const BUILTINS: &[&str] = &["cd", "exec", "export", "source", ".", "ulimit", "umask", "set", "trap", "eval", "alias"];

pub fn check(service: &Service<'_>, machine: &dyn Machine, prepared: bool, out: &mut Vec<Diagnostic>) {
    programs(service, machine, out);
    accounts(service, machine, out);
    if prepared {
        return;
    }
    if let Some(directory) = &service.spec.working_directory
        && let Some(why) = no_directory(directory)
    {
        out.push(service.warning(service.written.working_directory.as_ref(), why).help("the service can't start"));
    }
    if let Some(why) = machine.environment(service.spec) {
        let table = service.written.environment.as_ref();
        let files = table.and_then(|table| table.value.keys.load.as_ref());
        let help = "a leading `-` makes a file optional";
        out.push(service.warning(files, why).help(if files.is_some() { help } else { "" }));
    }
    for (output, at) in
        [(&service.spec.stdout, &service.written.stdout), (&service.spec.stderr, &service.written.stderr)]
    {
        if let Output::File(path) = output
            && let Some(why) = path.parent().filter(|parent| *parent != Path::new("")).and_then(no_directory)
        {
            out.push(service.warning(at.as_ref(), why).help("make the directory, or the service can't start"));
        }
    }
    let written = service.written;
    let health = written.healthiness.as_ref().and_then(|table| table.value.file_path.as_ref());
    let ready = written.readiness.as_ref().and_then(|table| table.value.file_path.as_ref());
    for path in health.into_iter().chain(ready) {
        let parent = path.value.parent().filter(|parent| *parent != Path::new(""));
        if let Some(why) = parent.and_then(no_directory) {
            let help = "unless the service makes it, the file can't be made either, and the check never passes";
            out.push(service.warning(Some(path), why).help(help));
        }
    }
}

fn accounts(service: &Service<'_>, machine: &dyn Machine, out: &mut Vec<Diagnostic>) {
    let written = service.written;
    let mut missing = Vec::new();
    missing.extend(written.user.as_ref().and_then(|at| Some((machine.user(&at.value)?, at.unit()))));
    missing.extend(written.group.as_ref().and_then(|at| Some((machine.group(&at.value)?, at.unit()))));
    if let Some(at) = &written.supplementary_groups {
        missing.extend(at.value.0.iter().filter_map(|group| Some((machine.group(group)?, at.unit()))));
    }
    for (why, at) in missing {
        out.push(service.warning(Some(&at), why).help("make it in the image, or give its number"));
    }
}

fn programs(service: &Service<'_>, machine: &dyn Machine, out: &mut Vec<Diagnostic>) {
    let written = service.written;
    let health = written.healthiness.as_ref().and_then(|table| table.value.command.as_ref());
    let ready = written.readiness.as_ref().and_then(|table| table.value.command.as_ref());
    for at in written.command.iter().chain(health).chain(ready) {
        if let Some((why, help)) = machine.program(service.spec, &at.value) {
            out.push(service.warning(Some(at), why).help(shell_help(&at.value).unwrap_or(help)));
        }
    }
    let ready = written.restart.as_ref().and_then(|table| table.value.readiness.as_ref());
    if let Some(at) = ready
        && let ReadyWhen::Probe(Probe::Command(command)) = &at.value
        && let Some((why, help)) = machine.program(service.spec, command)
    {
        out.push(service.warning(Some(at), why).help(shell_help(command).unwrap_or(help)));
    }
}

/// What to do if it was meant for a shell.
fn shell_help(command: &Command) -> Option<String> {
    let program = command.program();
    if program.contains('=') {
        return Some("no shell runs the command: write variables below [environment]".to_owned());
    }
    if BUILTINS.contains(&program) {
        let instead = if program == "cd" { "set `working-directory`, or " } else { "" };
        return Some(format!("`{program}` is the shell's own: {instead}run it with `sh -c`"));
    }
    program.starts_with('~').then(|| "no shell runs the command: write `$HOME` for `~`".to_owned())
}

fn no_directory(path: &Path) -> Option<String> {
    match path.metadata() {
        Ok(metadata) if metadata.is_dir() => None,
        Ok(_) => Some(format!("`{}` is not a directory", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Some(format!("the directory `{}` does not exist", path.display()))
        }
        Err(error) => Some(format!("the directory `{}` can't be reached: {}", path.display(), reason(&error))),
    }
}

/// The names of services that start after a oneshot, which may prepare directories and files for them.
pub fn prepared(drafts: &[Draft]) -> HashSet<String> {
    let mut prepared: Vec<bool> = drafts.iter().map(|draft| draft.spec.kind == Kind::Oneshot).collect();
    let mut names = HashSet::new();
    // A chain of services needs a round for each of its links at most; most sets need two.
    loop {
        let mut changed = false;
        for (id, draft) in drafts.iter().enumerate() {
            let by_another =
                draft.spec.start_after.iter().any(|after| prepared.get(after.service.index()) == Some(&true));
            if by_another && names.insert(draft.spec.name.clone()) {
                changed = true;
                prepared.get_mut(id).into_iter().for_each(|slot| *slot = true);
            }
        }
        if !changed {
            return names;
        }
    }
}
