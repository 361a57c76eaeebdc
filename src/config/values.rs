//! The kinds of value a key may have, each read from one TOML value. A reader reports what is wrong at the value's own
//! span and goes on, so that all errors of all files are seen at once. It never looks at another key.

use super::diagnostic::{Diagnostic, Severity, Source, Span};
use super::table::Key;
use crate::model::{Command, FailureStrategy, Growth, IdOrName, Kind, Output, Probe, RestartStrategy, Signal};
use humantime_serde::re::humantime;
use serde::Deserialize;
use serde::de::IntoDeserializer;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use toml::Spanned;
use toml::de::DeValue;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub span: Span,
}

/// What a reader needs: the file it is in, and where findings go.
pub struct Cx<'a> {
    /// The file.
    pub source: &'a Arc<Source>,
    /// All findings so far.
    pub diagnostics: &'a mut Vec<Diagnostic>,
    /// The key whose value is being read.
    pub key: &'static str,
}

impl Cx<'_> {
    /// An error in this file, to be completed and pushed.
    pub fn error(&self, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(message).at(self.source, span)
    }

    /// A warning in this file, to be completed and pushed.
    pub fn warning(&self, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic::warning(message).at(self.source, span)
    }

    /// Keeps a finding.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// Whether this file has errors so far.
    pub fn has_errors(&self) -> bool {
        let here = |d: &&Diagnostic| d.place.as_ref().is_some_and(|place| Arc::ptr_eq(&place.source, self.source));
        self.diagnostics.iter().rev().take_while(here).any(|d| d.severity == Severity::Error)
    }

    /// Reports a value that is not what its key wants.
    pub fn refuse<T: Read>(&mut self, value: &DeValue<'_>, span: Span) -> Option<T> {
        let found = value.type_str();
        let message = format!("`{}` must be {}, not {} {found}", self.key, T::TYPE, article(found));
        self.push(self.error(span, message).label(format!("this is {} {found}", article(found))));
        None
    }

    /// Reports a value of the right type that makes no sense, with the reason.
    fn invalid<T>(&mut self, span: Span, why: impl std::fmt::Display) -> Option<T> {
        let message = format!("`{}`: {why}", self.key);
        self.push(self.error(span, message));
        None
    }
}

fn article(word: &str) -> &'static str {
    if word.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}

/// A kind of value.
pub trait Read: Sized {
    /// What it is, with its article, for messages and the documentation.
    const TYPE: &'static str;
    /// The keys it has, if it is a table.
    const KEYS: &'static [Key] = &[];
    /// Reads it, or reports why not.
    fn read(value: DeValue<'_>, span: Span, cx: &mut Cx<'_>) -> Option<Self>;
}

impl Read for bool {
    const TYPE: &'static str = "true or false";
    fn read(value: DeValue<'_>, span: Span, cx: &mut Cx<'_>) -> Option<Self> {
        value.as_bool().or_else(|| cx.refuse(&value, span))
    }
}

impl Read for String {
    const TYPE: &'static str = "a string";
    fn read(value: DeValue<'_>, span: Span, cx: &mut Cx<'_>) -> Option<Self> {
        match value {
            DeValue::String(text) => Some(text.into_owned()),
            other => cx.refuse(&other, span),
        }
    }
}

/// An integer as `i64`; `None` if it is none or does not fit.
fn integer(value: &DeValue<'_>) -> Option<i64> {
    value.as_integer().and_then(|n| i64::from_str_radix(n.as_str(), n.radix()).ok())
}

impl Read for u32 {
    const TYPE: &'static str = "a whole number, 0 or more";
    fn read(value: DeValue<'_>, span: Span, cx: &mut Cx<'_>) -> Option<Self> {
        if value.is_integer() {
            let fits = integer(&value).and_then(|n| u32::try_from(n).ok());
            if fits.is_none() {
                cx.push(cx.error(span, format!("`{}` must be between 0 and {}", cx.key, u32::MAX)));
            }
            return fits;
        }
        cx.refuse(&value, span)
    }
}

/// A number with or without a fraction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Number(pub f32);

impl Read for Number {
    const TYPE: &'static str = "a number";
    fn read(value: DeValue<'_>, span: Span, cx: &mut Cx<'_>) -> Option<Self> {
        let text = value.as_float().map(|f| f.as_str()).or_else(|| value.as_integer().map(|n| n.as_str()));
        text.and_then(|t| t.parse().ok()).map(Number).or_else(|| cx.refuse(&value, span))
    }
}

impl Read for Duration {
    const TYPE: &'static str = "a duration such as \"10s\"";
    fn read(value: DeValue<'_>, span: Span, cx: &mut Cx<'_>) -> Option<Self> {
        let help = match value {
            DeValue::String(text) => match humantime::parse_duration(&text) {
                Ok(duration) => return Some(duration),
                Err(_) if text.trim_start().starts_with('-') => {
                    return cx.invalid(span, format_args!("a duration can't be negative: \"{text}\""));
                }
                Err(error) => return cx.invalid(span, format_args!("\"{text}\" is no duration: {error}")),
            },
            DeValue::Integer(n) => format!("give it a unit: write it as \"{n}s\""),
            DeValue::Float(_) => "give it a unit: write it as \"500ms\", say".to_owned(),
            other => return cx.refuse(&other, span),
        };
        let message = format!("`{}` must be {}, not a bare number", cx.key, Self::TYPE);
        cx.push(cx.error(span, message).help(help));
        None
    }
}

impl Read for PathBuf {
    const TYPE: &'static str = "a path";
    fn read(value: DeValue<'_>, span: Span, cx: &mut Cx<'_>) -> Option<Self> {
        match value {
            DeValue::String(text) if text.is_empty() => cx.invalid(span, "a path can't be empty"),
            DeValue::String(text) => Some(text.into_owned().into()),
            other => cx.refuse(&other, span),
        }
    }
}

/// One string, or a list of strings.
#[derive(Clone, Debug, Default)]
pub struct Names(pub Vec<At<String>>);

impl Read for Names {
    const TYPE: &'static str = "a string or a list of strings";
    fn read(value: DeValue<'_>, span: Span, cx: &mut Cx<'_>) -> Option<Self> {
        match value {
            DeValue::String(text) => Some(Names(vec![At { value: text.into_owned(), span }])),
            DeValue::Array(items) => {
                let items = items.into_iter().filter_map(|item| {
                    let span = Span::from(item.span());
                    match item.into_inner() {
                        DeValue::String(text) => Some(At { value: text.into_owned(), span }),
                        other => cx.refuse::<Names>(&other, span).and(None),
                    }
                });
                Some(Names(items.collect()))
            }
            other => cx.refuse(&other, span),
        }
    }
}

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

/// The candidate that `word` is most likely a misspelling of.
pub fn closest<'c>(word: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    let allowed = (word.chars().count() / 3).max(1);
    candidates
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
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

/// Exit codes: a list, one number, or a string such as "10,20".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Codes(pub Vec<u8>);

impl Read for Codes {
    const TYPE: &'static str = "a list of exit codes";
    fn read(value: DeValue<'_>, span: Span, cx: &mut Cx<'_>) -> Option<Self> {
        let numbers: Vec<(Option<i64>, Span)> = match &value {
            DeValue::Integer(_) => vec![(integer(&value), span)],
            DeValue::String(text) => text.split(',').map(|n| (n.trim().parse().ok(), span)).collect(),
            DeValue::Array(items) => items.iter().map(|n| (integer(n.get_ref()), n.span().into())).collect(),
            other => return cx.refuse(other, span),
        };
        let mut codes = Vec::with_capacity(numbers.len());
        for (number, span) in numbers {
            match number.and_then(|n| u8::try_from(n).ok()) {
                Some(code) => codes.push(code),
                None => return cx.invalid(span, "an exit code is a number between 0 and 255"),
            }
        }
        Some(Codes(codes))
    }
}

/// A size in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub u64);

impl Read for Size {
    const TYPE: &'static str = "a size such as \"10MiB\"";
    fn read(value: DeValue<'_>, span: Span, cx: &mut Cx<'_>) -> Option<Self> {
        let text = match &value {
            DeValue::String(text) => text.to_string(),
            DeValue::Integer(n) => n.to_string(),
            other => return cx.refuse(other, span),
        };
        size(&text)
            .map(Size)
            .or_else(|| cx.invalid(span, format_args!("\"{text}\" is no size; write \"500KB\" or \"10 MiB\", say")))
    }
}

fn size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    let unit: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1_000,
        "m" | "mb" => 1_000_000,
        "g" | "gb" => 1_000_000_000,
        "ki" | "kib" => 1 << 10,
        "mi" | "mib" => 1 << 20,
        "gi" | "gib" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit)
}

/// A URL that an HTTP probe can ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(pub String);

impl Read for Endpoint {
    const TYPE: &'static str = "a URL such as \"http://localhost:8080/health\"";
    fn read(value: DeValue<'_>, span: Span, cx: &mut Cx<'_>) -> Option<Self> {
        let DeValue::String(text) = value else { return cx.refuse(&value, span) };
        let text = text.into_owned();
        match reqwest::Url::parse(&text) {
            Ok(url) if url.scheme() == "https" => {
                cx.invalid(span, "this build has no TLS; use an http:// address of the service itself")
            }
            Ok(url) if url.scheme() == "http" && url.port() == Some(0) => cx.invalid(span, "port 0 can't be reached"),
            Ok(url) if url.scheme() == "http" => Some(Endpoint(text)),
            Ok(_) | Err(_) if !text.starts_with("http:") && !text.starts_with("https:") => {
                let message = format!("`{}`: \"{text}\" does not start with `http://`", cx.key);
                cx.push(cx.error(span, message).help(format!("write it as {}", Self::TYPE)));
                None
            }
            Ok(_) => cx.refuse(&DeValue::String(text.into()), span),
            Err(error) => cx.invalid(span, format_args!("\"{text}\" is no URL: {error}")),
        }
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

/// Variables and their values.
#[derive(Clone, Debug, Default)]
pub struct Variables(pub Vec<(String, String)>);

impl Read for Variables {
    const TYPE: &'static str = "a table of NAME = \"value\"";
    fn read(value: DeValue<'_>, span: Span, cx: &mut Cx<'_>) -> Option<Self> {
        let DeValue::Table(table) = value else { return cx.refuse(&value, span) };
        Some(Variables(table.into_iter().filter_map(|(name, value)| variable(name, value, cx)).collect()))
    }
}

/// One variable. Only what no environment can hold is refused as a name.
pub fn variable(
    name: Spanned<std::borrow::Cow<'_, str>>,
    value: Spanned<DeValue<'_>>,
    cx: &mut Cx<'_>,
) -> Option<(String, String)> {
    let (at, span) = (Span::from(name.span()), Span::from(value.span()));
    let name = name.into_inner().into_owned();
    if name.is_empty() || name.contains(['=', '\0']) {
        cx.push(cx.error(at, format!("`{}` can't be the name of a variable", name.escape_debug())));
        return None;
    }
    let (text, help) = match value.into_inner() {
        DeValue::String(text) => return Some((name, text.into_owned())),
        DeValue::Integer(n) => (n.to_string(), true),
        DeValue::Boolean(b) => (b.to_string(), true),
        other => (other.type_str().to_owned(), false),
    };
    let error = cx.error(span, format!("the value of the variable `{name}` must be a string"));
    cx.push(if help { error.help(format!("write it as \"{text}\"")) } else { error });
    None
}

/// Enums read by serde, so that an unknown word lists the known ones.
macro_rules! words {
    ($($type:ty, $def:ident { $($(#[$attribute:meta])* $variant:ident),+ }, $words:literal, $path:literal;)*) => { $(
        #[derive(Deserialize)]
        #[serde(remote = $path, rename_all = "kebab-case")]
        enum $def { $($(#[$attribute])* $variant),+ }

        impl Read for $type {
            const TYPE: &'static str = $words;
            fn read(value: DeValue<'_>, span: Span, cx: &mut Cx<'_>) -> Option<Self> {
                let Some(text) = value.as_str() else { return cx.refuse(&value, span) };
                let word: Result<_, serde::de::value::Error> = $def::deserialize(text.into_deserializer());
                word.or_else(|error| cx.invalid(span, error).ok_or(())).ok()
            }
        }
    )* };
}

words! {
    RestartStrategy, RestartStrategyDef { Never, OnFailure, Always },
        "`never`, `on-failure` or `always`", "RestartStrategy";
    Growth, GrowthDef { Linear, Constant, Exponential },
        "`linear`, `constant` or `exponential`", "Growth";
    FailureStrategy, FailureStrategyDef { Ignore, #[serde(alias = "kill-all")] Shutdown, KillDependents },
        "`ignore`, `shutdown` or `kill-dependents`", "FailureStrategy";
    Kind, KindDef { Daemon, Oneshot }, "`daemon` or `oneshot`", "Kind";
}
