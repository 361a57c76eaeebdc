//! The kinds of value that are about processes: commands, streams, users, signals, addresses. Like `values`, each reader
//! sees one value and never another key.

use super::diagnostic::Span;
use super::shape::Shape;
use super::values::{Cx, Names, Read, integer};
use crate::model::closest;
use crate::model::{Command, ControlSocket, IdOrName, Output, Probe, Signal};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use toml::de::DeValue;

impl Read for Command {
    const TYPE: &'static str = "a string or an array of strings";
    const SHAPE: Shape = Shape::Any(&[Shape::Pattern(r"[\s\S]*\S[\s\S]*"), Shape::List(1, &Shape::Text)]);
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
                let help = if why == BLANK && written.contains('$') { "its variables may be empty" } else { "" };
                cx.push(cx.error(span, message).help(help));
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
        Some(mut words) => {
            words.shrink_to_fit();
            Ok(words)
        }
    }
}

impl Read for Output {
    const TYPE: &'static str = "\"STDOUT\", \"STDERR\", \"NULL\" or a path";
    const SHAPE: Shape = Shape::FILLED;
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
    const TYPE: &'static str = "a name or an id";
    const SHAPE: Shape = Shape::Any(&[Shape::Integer(0, u32::MAX as i64 - 1), Shape::FILLED]);
    fn read(value: DeValue<'_>, span: Span, cx: &mut Cx<'_>) -> Option<Self> {
        let id = match &value {
            DeValue::Integer(_) => integer(&value).and_then(|n| n.try_into().ok()),
            DeValue::String(text) if text.is_empty() => return cx.invalid(span, "a name can't be empty"),
            DeValue::String(text) if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().ok(),
            DeValue::String(text) => return Some(IdOrName::Name(text.to_string())),
            other => return cx.refuse(other, span),
        };
        // The last number means "no change" to setresuid(2): such a service would keep Horust's rights.
        match id.filter(|id| *id != u32::MAX) {
            Some(id) => Some(IdOrName::Id(id)),
            None => cx.invalid(span, format_args!("an id must be between 0 and {}", u32::MAX - 1)),
        }
    }
}

impl Read for Signal {
    const TYPE: &'static str = "a signal's name or number";
    const SHAPE: Shape = Shape::Any(&[Shape::Integer(1, 64), Shape::Computed(signal_pattern)]);
    fn read(value: DeValue<'_>, span: Span, cx: &mut Cx<'_>) -> Option<Self> {
        match &value {
            DeValue::String(text) => signal(text, span, cx),
            DeValue::Integer(n) => signal(&n.to_string(), span, cx),
            other => cx.refuse(other, span),
        }
    }
}

/// An expression for one of these words in any case.
pub fn in_any_case<'n>(words: impl IntoIterator<Item = &'n &'n str>) -> String {
    let letter = |c: char| match c.is_ascii_alphabetic() {
        true => format!("[{}{}]", c.to_ascii_uppercase(), c.to_ascii_lowercase()),
        false => c.to_string(),
    };
    let words: Vec<String> = words.into_iter().map(|word| word.chars().map(letter).collect()).collect();
    words.join("|")
}

/// A name in any case, with or without `SIG`, or a number.
fn signal_pattern() -> String {
    let names = in_any_case(Signal::names().iter().chain(&["IOT", "CLD", "POLL"]));
    let realtime = r"[Rr][Tt]([Mm][Ii][Nn](\+[0-9]+)?|[Mm][Aa][Xx](-[0-9]+)?)";
    format!(r"\s*(([Ss][Ii][Gg])?({}|{realtime})|\+?0*([1-9]|[1-5][0-9]|6[0-4]))\s*", names)
}

fn target_pattern() -> String {
    format!(r"\s*0\s*|{}", signal_pattern())
}

fn rewrite_pattern() -> String {
    let pair = format!("{}:({})", signal_pattern(), target_pattern());
    format!(r"\s*|[\s,]*{pair}(,[\s,]*{pair})*[\s,]*")
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
pub struct Rewrite {
    /// The pairs.
    pub pairs: Vec<(Signal, Option<Signal>)>,
    /// Written as a table, so that pairs of a weaker file stay beside these.
    is_table: bool,
}

impl Read for Rewrite {
    const TYPE: &'static str = "pairs such as \"15:3,5:10\" or { TERM = \"QUIT\" }";
    const SHAPE: Shape = Shape::Any(&[
        Shape::Computed(rewrite_pattern),
        Shape::Open(&[], "[A-Za-z0-9 +-]+", &Shape::Any(&[Shape::Integer(0, 64), Shape::Computed(target_pattern)])),
    ]);
    fn read(value: DeValue<'_>, span: Span, cx: &mut Cx<'_>) -> Option<Self> {
        let mut pairs: Vec<(String, String, Span)> = Vec::new();
        let is_table = value.is_table();
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
        Some(Rewrite { pairs: rewrite, is_table })
    }
    fn fill(&mut self, weaker: &Self) {
        let taken = |from: Signal| self.pairs.iter().any(|own| own.0 == from);
        let added: Vec<_> = weaker.pairs.iter().copied().filter(|(from, _)| self.is_table && !taken(*from)).collect();
        self.pairs.extend(added);
    }
}

/// A service's name. Whether it is allowed is told in `lower`, where names that come from files are looked at too.
#[derive(Clone, Debug)]
pub struct ServiceName(pub String);

impl Read for ServiceName {
    const TYPE: &'static str = String::TYPE;
    const SHAPE: Shape = Shape::Pattern("[A-Za-z0-9._@-]+");
    fn read(value: DeValue<'_>, span: Span, cx: &mut Cx<'_>) -> Option<Self> {
        String::read(value, span, cx).map(ServiceName)
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
    const SHAPE: Shape = Command::SHAPE;
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

/// Where to listen for TCP, if at all. Without an address it is this port of the loopback interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenAt<const PORT: u16>(pub Option<SocketAddr>);

impl<const PORT: u16> Read for ListenAt<PORT> {
    const TYPE: &'static str = "true, false or an address such as \"127.0.0.1:8080\"";
    const SHAPE: Shape = Shape::Any(&[Shape::Bool, Shape::Pattern(r"\S+:[0-9]+")]);
    fn read(value: DeValue<'_>, span: Span, cx: &mut Cx<'_>) -> Option<Self> {
        match &value {
            DeValue::Boolean(on) => Some(ListenAt(on.then_some(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), PORT)))),
            DeValue::String(text) => match text.parse() {
                Ok(at) => Some(ListenAt(Some(at))),
                Err(_) => cx.invalid(span, format_args!("\"{text}\" is no address and port")),
            },
            other => cx.refuse(other, span),
        }
    }
}

/// `socket` of `[control]`: whether, and possibly where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketAt(pub ControlSocket);

impl Read for SocketAt {
    const TYPE: &'static str = "true, false or a path";
    const SHAPE: Shape = Shape::Any(&[Shape::Bool, Shape::Pattern("/.+")]);
    fn read(value: DeValue<'_>, span: Span, cx: &mut Cx<'_>) -> Option<Self> {
        match &value {
            DeValue::Boolean(true) => Some(SocketAt(ControlSocket::Default)),
            DeValue::Boolean(false) => Some(SocketAt(ControlSocket::Off)),
            DeValue::String(text) if text.starts_with('/') => Some(SocketAt(ControlSocket::At(text.as_ref().into()))),
            DeValue::String(text) => cx.invalid(span, format_args!("\"{text}\" is no path that begins with `/`")),
            other => cx.refuse(other, span),
        }
    }
}
