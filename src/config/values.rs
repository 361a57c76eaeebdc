//! The kinds of value a key may have, each read from one TOML value. A reader reports what is wrong at the value's own
//! span and goes on, so that all errors of all files are seen at once. It never looks at another key.

use super::diagnostic::{Diagnostic, Severity, Source, Span};
use super::table::Key;
use crate::model::{Condition, FailureStrategy, Growth, Kind, OnUnhealthy, RestartStrategy};
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
    pub fn invalid<T>(&mut self, span: Span, why: impl std::fmt::Display) -> Option<T> {
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

/// The candidate that `word` is most likely a misspelling of.
pub fn closest<'c>(word: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    let allowed = (word.chars().count() / 3).max(1);
    candidates
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
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
    Condition, ConditionDef { Started, Ready, Healthy, Completed, CompletedSuccessfully, Failed },
        "`started`, `ready`, `healthy`, `completed`, `completed-successfully` or `failed`", "Condition";
    OnUnhealthy, OnUnhealthyDef { Restart, Report }, "`restart` or `report`", "OnUnhealthy";
    Kind, KindDef { Daemon, Oneshot }, "`daemon` or `oneshot`", "Kind";
}
