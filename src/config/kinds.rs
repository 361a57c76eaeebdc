//! The kinds of value that are about processes: commands, streams, users, signals, addresses. Like `values`, each reader
//! sees one value and never another key.

use super::diagnostic::Span;
use super::values::{Cx, Names, Read, closest};
use crate::model::{Command, IdOrName, Output, Probe, Signal};
use std::path::PathBuf;
use toml::de::DeValue;

impl Read for Command {
    const TYPE: &'static str = "a string or an array of strings";
    fn read(value: DeValue<'_>, span: Span, cx: &mut Cx<'_>) -> Option<Self> {
        let words = match value {
            DeValue::String(text) => split_command(&text),
            DeValue::Array(_) => {
                let words: Vec<_> = Names::read(value, span, cx)?.0.into_iter().map(|word| word.value).collect();
                if words.first().is_none_or(|program| program.trim().is_empty()) { Err(BLANK) } else { Ok(words) }
            }
            other => return cx.refuse(&other, span),
        };
        match words {
            Ok(words) => Some(Command(words)),
            Err(why) => {
                // Scripts around Horust 0.1 look for these words.
                let written = cx.source.slice(span);
                let message = format!("Failed spawning the process: Invalid command: {written}: {why}");
                cx.push(cx.error(span, message));
                None
            }
        }
    }
}

const BLANK: &str = "it names no program";

/// Splits a command into words as a POSIX shell would, without any of its expansions.
pub fn split_command(text: &str) -> Result<Vec<String>, &'static str> {
    match shlex::split(text) {
        None => Err("a quote is never closed, or it ends in a backslash"),
        Some(words) if words.first().is_none_or(String::is_empty) => Err(BLANK),
        Some(words) => Ok(words),
    }
}

impl Read for Output {
    const TYPE: &'static str = "\"STDOUT\", \"STDERR\", \"NULL\" or a path";
    fn read(value: DeValue<'_>, span: Span, cx: &mut Cx<'_>) -> Option<Self> {
        let path = match value.as_str() {
            Some("STDOUT") => return Some(Output::Stdout),
            Some("STDERR") => return Some(Output::Stderr),
            Some("NULL") => return Some(Output::Null),
            Some(text) => text.to_ascii_uppercase(),
            None => return cx.refuse(&value, span),
        };
        if ["STDOUT", "STDERR", "NULL"].contains(&path.as_str()) {
            let message = format!("`{}`: this is a file of that name in Horust's directory", cx.key);
            cx.push(cx.warning(span, message).help(format!("did you mean \"{path}\"?")));
        }
        PathBuf::read(value, span, cx).map(Output::File)
    }
}

impl Read for IdOrName {
    const TYPE: &'static str = "a user's name or id";
    fn read(value: DeValue<'_>, span: Span, cx: &mut Cx<'_>) -> Option<Self> {
        let text = match &value {
            DeValue::String(text) => text.as_ref(),
            DeValue::Integer(_) => return u32::read(value, span, cx).map(IdOrName::Id),
            other => return cx.refuse(other, span),
        };
        if text.is_empty() {
            return cx.invalid(span, "a user's name can't be empty");
        }
        if !text.bytes().all(|b| b.is_ascii_digit()) {
            return Some(IdOrName::Name(text.to_owned()));
        }
        match text.parse() {
            Ok(id) => Some(IdOrName::Id(id)),
            Err(_) => cx.invalid(span, format_args!("an id must be between 0 and {}", u32::MAX)),
        }
    }
}

impl Read for Signal {
    const TYPE: &'static str = "a signal's name or number";
    fn read(value: DeValue<'_>, span: Span, cx: &mut Cx<'_>) -> Option<Self> {
        match &value {
            DeValue::String(text) => signal(text, span, cx),
            DeValue::Integer(n) => signal(&n.to_string(), span, cx),
            other => cx.refuse(other, span),
        }
    }
}

fn signal(text: &str, span: Span, cx: &mut Cx<'_>) -> Option<Signal> {
    let found = Signal::parse(text);
    if found.is_none() {
        let name = text.trim().to_ascii_uppercase();
        let name = name.strip_prefix("SIG").unwrap_or(&name);
        let help = match closest(name, Signal::names().iter().copied()) {
            Some(close) => format!("did you mean \"{close}\"?"),
            None => "write a name such as \"TERM\" or \"SIGTERM\", or a number from 1 to 64".to_owned(),
        };
        cx.push(cx.error(span, format!("`{}`: there is no signal `{text}`", cx.key)).help(help));
    }
    found
}

/// Pairs of a signal received and the one sent instead; `None` drops it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rewrite(pub Vec<(Signal, Option<Signal>)>);

impl Read for Rewrite {
    const TYPE: &'static str = "pairs such as \"15:3,5:10\" or { TERM = \"QUIT\" }";
    fn read(value: DeValue<'_>, span: Span, cx: &mut Cx<'_>) -> Option<Self> {
        let mut pairs: Vec<(String, String, Span)> = Vec::new();
        match value {
            DeValue::String(text) => {
                for pair in text.split(',').filter(|pair| !pair.trim().is_empty()) {
                    let Some((from, to)) = pair.split_once(':') else {
                        return cx.invalid(span, format_args!("`{pair}` is no pair such as `15:3`"));
                    };
                    pairs.push((from.to_owned(), to.to_owned(), span));
                }
            }
            DeValue::Table(table) => {
                for (from, to) in table {
                    let span = Span::from(to.span());
                    let to = match to.into_inner() {
                        DeValue::String(text) => text.into_owned(),
                        DeValue::Integer(n) => n.to_string(),
                        other => return cx.refuse(&other, span),
                    };
                    pairs.push((from.into_inner().into_owned(), to, span));
                }
            }
            other => return cx.refuse(&other, span),
        }
        let mut rewrite: Vec<(Signal, Option<Signal>)> = Vec::with_capacity(pairs.len());
        for (from, to, span) in pairs {
            let from = signal(&from, span, cx)?;
            let to = if to.trim() == "0" { None } else { Some(signal(&to, span, cx)?) };
            if rewrite.iter().any(|(other, _)| *other == from) {
                return cx.invalid(span, format_args!("{from} is rewritten twice"));
            }
            rewrite.push((from, to));
        }
        Some(Rewrite(rewrite))
    }
}

/// `[restart] readiness`: what makes the service ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadyWhen {
    /// The health probes.
    Health,
    /// A probe of its own.
    Probe(Probe),
}

impl Read for ReadyWhen {
    const TYPE: &'static str = "\"health\", a command, or the path of a file";
    fn read(value: DeValue<'_>, span: Span, cx: &mut Cx<'_>) -> Option<Self> {
        match value.as_str() {
            Some("health") => Some(ReadyWhen::Health),
            // A command that is a single absolute path needs an argument, or the array form, to be told from a file.
            Some(text) if text.starts_with('/') && !text.contains(char::is_whitespace) => {
                Some(ReadyWhen::Probe(Probe::File(text.into())))
            }
            None if !value.is_array() => cx.refuse(&value, span),
            _ => Command::read(value, span, cx).map(|command| ReadyWhen::Probe(Probe::Command(command))),
        }
    }
}

/// `web-server`: whether, and possibly where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WebServer(pub bool);

impl Read for WebServer {
    const TYPE: &'static str = "true, false or an address such as \"127.0.0.1:8080\"";
    fn read(value: DeValue<'_>, span: Span, cx: &mut Cx<'_>) -> Option<Self> {
        match &value {
            DeValue::Boolean(on) => Some(WebServer(*on)),
            DeValue::String(text) if text.parse::<std::net::SocketAddr>().is_ok() => Some(WebServer(true)),
            DeValue::String(text) => cx.invalid(span, format_args!("\"{text}\" is no address and port")),
            other => cx.refuse(other, span),
        }
    }
}
