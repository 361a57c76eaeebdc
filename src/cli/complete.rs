//! What can come next on a command line, for the completion of shells. The scripts (`completions/`) only ask this, so that
//! they know each verb and option, and the services of the running Horust.

use super::args;
use super::client::Client;
use super::control::At;
use super::output::answer;
use crate::control::wire::Graph;
use crate::limits;
use clap::{Arg, Command, ValueEnum};
use std::ffi::OsString;

/// As first argument: complete what follows.
pub const MODE: &str = "__complete";

/// The shells that there is a script for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// GNU's.
    Bash,
    /// With `compinit`.
    Zsh,
    /// The friendly one.
    Fish,
}

impl Shell {
    /// What it has to read.
    pub fn script(self) -> &'static str {
        match self {
            Shell::Bash => include_str!("completions/bash"),
            Shell::Zsh => include_str!("completions/zsh"),
            Shell::Fish => include_str!("completions/fish"),
        }
    }
}

/// Answers with each word that the last of these may become, one a line.
pub fn run(words: impl Iterator<Item = OsString>) {
    let words: Vec<String> = words.map(|word| word.to_string_lossy().into_owned()).collect();
    let Some((last, before)) = words.split_last() else { return };
    let page: String = candidates(before, last, names).iter().map(|word| format!("{word}\n")).collect();
    answer(&page);
}

/// The services of that Horust; none if it can't be asked.
fn names(at: &At) -> Vec<String> {
    let client = Client::find_within(at, Some(limits::COMPLETION_PATIENCE));
    let graph = client.and_then(|client| client.get::<Graph>("graph", &[]));
    graph.map_or_else(|_| vec![], |graph| graph.nodes.into_iter().map(|node| node.name).collect())
}

/// What the last word may become, after these.
fn candidates(before: &[String], last: &str, names: impl Fn(&At) -> Vec<String>) -> Vec<String> {
    let mut root = args::command_line();
    root.build();
    let (mut command, mut at, mut places) = (&root, At::default(), 0);
    // The option whose value comes next.
    let mut open: Option<&Arg> = None;
    for word in before {
        let (name, value) = word.split_once('=').map_or((word.as_str(), None), |(name, value)| (name, Some(value)));
        if let Some(option) = open.take() {
            note(&mut at, option, word);
        } else if word == "--" {
            return vec![];
        } else if word.starts_with('-') {
            let option = spelt(command, name);
            match (option.filter(|option| option.get_action().takes_values()), value) {
                (Some(option), Some(value)) => note(&mut at, option, value),
                (option, _) => open = option,
            }
        } else if let Some(verb) = command.find_subcommand(word) {
            (command, places) = (verb, 0);
        } else {
            places += 1;
        }
    }
    let (head, found) = match (open, last.split_once('=')) {
        (Some(option), _) => (String::new(), values(option)),
        (None, Some((name, _))) if name.starts_with("--") => {
            let option = spelt(command, name);
            (format!("{name}="), option.map(values).unwrap_or_default())
        }
        (None, _) if last.starts_with('-') => (String::new(), options(command).flat_map(spellings).collect()),
        (None, _) => {
            let verbs = command.get_subcommands().map(|verb| verb.get_name().to_owned());
            let place = command.get_positionals().nth(places).or_else(|| command.get_positionals().last());
            let named = match place {
                Some(place) if place.get_id() == "names" => names(&at),
                Some(place) => values(place),
                None => vec![],
            };
            (String::new(), verbs.chain(named).collect())
        }
    };
    let whole = found.into_iter().map(|word| head.clone() + &word);
    whole.filter(|word| word.starts_with(last)).collect()
}

fn options(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|arg| !arg.is_positional() && !arg.is_hide_set())
}

fn spelt<'a>(command: &'a Command, name: &str) -> Option<&'a Arg> {
    options(command).find(|option| spellings(option).any(|spelling| spelling == name))
}

fn spellings(option: &Arg) -> impl Iterator<Item = String> {
    let short = option.get_short().map(|short| format!("-{short}"));
    option.get_long().map(|long| format!("--{long}")).into_iter().chain(short)
}

fn values(arg: &Arg) -> Vec<String> {
    arg.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect()
}

/// Which Horust is meant.
fn note(at: &mut At, option: &Arg, value: &str) {
    match option.get_id().as_str() {
        "uds_folder_path" => at.folder = Some(value.into()),
        "socket_path" => at.socket = Some(value.into()),
        "pid" => at.pid = value.parse().ok(),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete(line: &str) -> String {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let (last, before) = words.split_last().map_or(("", &[][..]), |(last, before)| (last.as_str(), before));
        let names = |at: &At| match &at.folder {
            Some(folder) => vec![folder.display().to_string()],
            None => ["web", "web@1", "db"].map(str::to_owned).into(),
        };
        candidates(before, last, names).join(" ")
    }

    #[test]
    fn verbs_options_values_and_services_are_completed() {
        assert_eq!(complete("sta"), "status start");
        assert!(complete("").contains("restart") && complete("").contains("check"), "{}", complete(""));
        assert_eq!(complete("status w"), "web web@1");
        assert_eq!(complete("status web db"), "db");
        assert_eq!(complete("status --uds-folder-path /x "), "/x");
        assert_eq!(complete("--uds-folder-path=/y status --format json "), "/y");
        assert_eq!(complete("status --f"), "--format");
        assert_eq!(complete("status --format "), "text json");
        assert_eq!(complete("status --format=j"), "--format=json");
        assert_eq!(complete("wait web --for h"), "healthy");
        assert_eq!(complete("logs -n 3 d"), "db");
        assert_eq!(complete("signal HUP d"), "db");
        assert_eq!(complete("completions "), "bash zsh fish");
        assert_eq!(complete("-- w"), "");
        assert_eq!(complete("no-such-verb x"), "");
    }
}
