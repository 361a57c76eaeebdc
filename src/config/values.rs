//! The kinds of value a key may have, each read from one TOML value. A reader reports what is wrong at the value's own
//! span and goes on, so that all errors of all files are seen at once. It never looks at another key.

use super::diagnostic::{Diagnostic, Place, Severity, Source, Span};
use super::shape::Shape;
use crate::model::closest;
use crate::model::{
    Condition, FailureStrategy, Growth, Kind, LogFormat, OnUnhealthy, RestartStrategy, Scope, WhenInit,
};
use humantime_serde::re::humantime;
use std::num::NonZeroU32;
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
    /// Where it stands: in one of the files that make up the service.
    pub place: Place,
}

impl<T> At<T> {
    /// An error at this place, to be completed and pushed.
    pub fn error(&self, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(message).at(&self.place.source, self.place.span)
    }

    /// A warning at this place, to be completed and pushed.
    pub fn warning(&self, message: impl Into<String>) -> Diagnostic {
        Diagnostic::warning(message).at(&self.place.source, self.place.span)
    }
}

impl<T> At<T> {
    /// Its place alone.
    pub fn unit(&self) -> At<()> {
        At { value: (), place: self.place.clone() }
    }
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
    /// A place in this file.
    pub fn place(&self, span: Span) -> Place {
        Place { source: self.source.clone(), span }
    }

    /// A value with its place in this file.
    pub fn at<T>(&self, value: T, span: Span) -> At<T> {
        At { value, place: self.place(span) }
    }

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

    /// Whether there are errors so far.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|d| d.severity == Severity::Error)
    }

    /// Reports a value that is not what its key wants.
    pub fn refuse<T: Read>(&mut self, value: &DeValue<'_>, span: Span) -> Option<T> {
        let found = value.type_str();
        let message = format!("`{}` must be {}, not {} {found}", self.key, T::TYPE, article(found));
        let help = T::SHAPE.mend(value, self.source.slice(span), self.key);
        self.push(self.error(span, message).label(format!("this is {} {found}", article(found))).help(help));
        None
    }

    /// Reports a string that is none of the words its key knows.
    pub fn no_such_word<T: Read>(&mut self, text: &str, span: Span) -> Option<T> {
        let error = self.error(span, format!("`{}` must be {}, not \"{text}\"", self.key, T::TYPE));
        let words = if let Shape::Words(words) = T::SHAPE { words } else { &[] };
        let close = closest(&text.to_ascii_lowercase(), words.iter().copied());
        self.push(error.help(close.map_or_else(String::new, |close| format!("did you mean `{close}`?"))));
        None
    }

    /// Reports a number that is too small or too large.
    pub fn out_of_range<T>(&mut self, span: Span, range: &str) -> Option<T> {
        self.push(self.error(span, format!("`{}` must be {range}", self.key)));
        None
    }

    /// Reports a value of the right type that makes no sense, with the reason.
    pub fn invalid<T>(&mut self, span: Span, why: impl std::fmt::Display) -> Option<T> {
        self.mended(span, why, "")
    }

    /// The same, and what to do about it.
    pub fn mended<T>(&mut self, span: Span, why: impl std::fmt::Display, help: impl Into<String>) -> Option<T> {
        let message = format!("`{}`: {why}", self.key);
        self.push(self.error(span, message).help(help));
        None
    }
}

fn article(word: &str) -> &'static str {
    if word.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}

/// A kind of value.
pub trait Read: Clone {
    /// What it is, with its article, for messages and the documentation.
    const TYPE: &'static str;
    /// The same for machines: editors check files against the JSON Schema that is made of the shapes. It must allow all
    /// that `read` does, and should refuse what `read` refuses for its type or its form.
    const SHAPE: Shape;
    /// Reads it, or reports why not.
    fn read(value: DeValue<'_>, span: Span, cx: &mut Cx<'_>) -> Option<Self>;
    /// Takes over what it lacks from a `weaker` file's value of the same key. Only tables lack anything.
    fn fill(&mut self, _weaker: &Self) {}
}

impl Read for bool {
    const TYPE: &'static str = "true or false";
    const SHAPE: Shape = Shape::Bool;
    fn read(value: DeValue<'_>, span: Span, cx: &mut Cx<'_>) -> Option<Self> {
        value.as_bool().or_else(|| cx.refuse(&value, span))
    }
}

impl Read for String {
    const TYPE: &'static str = "a string";
    const SHAPE: Shape = Shape::Text;
    fn read(value: DeValue<'_>, span: Span, cx: &mut Cx<'_>) -> Option<Self> {
        match value {
            DeValue::String(text) => Some(text.into_owned()),
            other => cx.refuse(&other, span),
        }
    }
}

/// An integer as `i64`; `None` if it is none or does not fit.
pub fn integer(value: &DeValue<'_>) -> Option<i64> {
    value.as_integer().and_then(|n| i64::from_str_radix(n.as_str(), n.radix()).ok())
}

impl Read for u32 {
    const TYPE: &'static str = "a whole number, 0 or more";
    const SHAPE: Shape = Shape::Integer(0, u32::MAX as i64);
    fn read(value: DeValue<'_>, span: Span, cx: &mut Cx<'_>) -> Option<Self> {
        if value.is_integer() {
            let fits = integer(&value).and_then(|n| u32::try_from(n).ok());
            return fits.or_else(|| cx.out_of_range(span, &format!("between 0 and {}", u32::MAX)));
        }
        cx.refuse(&value, span)
    }
}

/// A number with or without a fraction, 0 or more.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Number(pub f32);

impl Read for Number {
    const TYPE: &'static str = "a number";
    const SHAPE: Shape = Shape::Number(0.0, f64::INFINITY);
    fn read(value: DeValue<'_>, span: Span, cx: &mut Cx<'_>) -> Option<Self> {
        let text = value.as_float().map(|f| f.as_str()).or_else(|| value.as_integer().map(|n| n.as_str()));
        match text.and_then(|text| text.parse::<f32>().ok()) {
            Some(number) if number >= 0.0 && number.is_finite() => Some(Number(number)),
            Some(_) => cx.out_of_range(span, "0 or more"),
            None => cx.refuse(&value, span),
        }
    }
}

/// A part of something, 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fraction(pub f32);

impl Read for Fraction {
    const TYPE: &'static str = "a number from 0 to 1";
    const SHAPE: Shape = Shape::Number(0.0, 1.0);
    fn read(value: DeValue<'_>, span: Span, cx: &mut Cx<'_>) -> Option<Self> {
        if !(value.is_float() || value.is_integer()) {
            return cx.refuse(&value, span);
        }
        let text = value.as_float().map(|f| f.as_str()).or_else(|| value.as_integer().map(|n| n.as_str()));
        let number = text.and_then(|text| text.parse().ok()).filter(|number| (0.0..=1.0).contains(number));
        number.map(Fraction).or_else(|| cx.out_of_range(span, "between 0 and 1"))
    }
}

impl Read for NonZeroU32 {
    const TYPE: &'static str = "a whole number, 1 or more";
    const SHAPE: Shape = Shape::Integer(1, u32::MAX as i64);
    fn read(value: DeValue<'_>, span: Span, cx: &mut Cx<'_>) -> Option<Self> {
        if !value.is_integer() {
            return cx.refuse(&value, span);
        }
        NonZeroU32::new(u32::read(value, span, cx)?).or_else(|| cx.out_of_range(span, "1 or more"))
    }
}

impl Read for Duration {
    const TYPE: &'static str = "a duration such as \"10s\"";
    const SHAPE: Shape = Shape::Computed(duration_pattern);
    fn read(value: DeValue<'_>, span: Span, cx: &mut Cx<'_>) -> Option<Self> {
        let help = match value {
            DeValue::String(text) => match humantime::parse_duration(&text) {
                Ok(duration) => return Some(duration),
                Err(_) if text.trim_start().starts_with('-') => {
                    return cx.invalid(span, format_args!("a duration can't be negative: \"{text}\""));
                }
                Err(humantime::DurationError::NumberOverflow) => {
                    return cx.invalid(span, format_args!("\"{text}\" is too long, or finer than a nanosecond"));
                }
                Err(error) => {
                    let why = format_args!("\"{text}\" is no duration: {error}");
                    return cx.mended(span, why, "write it as \"500ms\", \"10s\" or \"1h 30m\", say");
                }
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

/// A duration as service files have it.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| error.to_string())
}

/// As humantime reads it.
pub fn duration_pattern() -> String {
    let units = "ns|nsec|nanos|us|µs|usec|ms|msec|millis|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?|\
                 w|wks?|weeks?|M|months?|y|yrs?|years?";
    format!(r"\s*(([0-9]\s*)+(\.\s*([0-9]\s*)+)?({units})\s*)+")
}

impl Read for PathBuf {
    const TYPE: &'static str = "a path";
    const SHAPE: Shape = Shape::FILLED;
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
    const SHAPE: Shape = Shape::TEXTS;
    fn read(value: DeValue<'_>, span: Span, cx: &mut Cx<'_>) -> Option<Self> {
        match value {
            DeValue::String(text) => Some(Names(vec![cx.at(text.into_owned(), span)])),
            DeValue::Array(items) => {
                let items = items.into_iter().filter_map(|item| {
                    let span = Span::from(item.span());
                    match item.into_inner() {
                        DeValue::String(text) => Some(cx.at(text.into_owned(), span)),
                        other => cx.refuse::<Names>(&other, span).and(None),
                    }
                });
                Some(Names(items.collect()))
            }
            other => cx.refuse(&other, span),
        }
    }
}

/// Exit codes: a list, one number, or a string such as "10,20".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Codes(pub Vec<u8>);

impl Read for Codes {
    const TYPE: &'static str = "a list of exit codes";
    const SHAPE: Shape = Shape::Any(&[
        Shape::Integer(0, 255),
        Shape::Pattern(r"\s*[0-9]+\s*(,\s*[0-9]+\s*)*"),
        Shape::List(0, &Shape::Integer(0, 255)),
    ]);
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
                None => {
                    let message = format!("`{}`: an exit code is a number between 0 and 255", cx.key);
                    let text = cx.source.slice(span).starts_with(['"', '\'']) && value.is_array();
                    cx.push(cx.error(span, message).help(if text { "write it without quotes" } else { "" }));
                    return None;
                }
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
    const SHAPE: Shape = Shape::Any(&[Shape::Integer(0, i64::MAX), Shape::Pattern(SIZE_PATTERN)]);
    fn read(value: DeValue<'_>, span: Span, cx: &mut Cx<'_>) -> Option<Self> {
        let text = match &value {
            DeValue::String(text) => text.to_string(),
            DeValue::Integer(n) => n.to_string(),
            other => return cx.refuse(other, span),
        };
        size(&text).map(Size).or_else(|| {
            cx.invalid(
                span,
                format_args!("\"{text}\" is no size that Horust knows; write \"500KB\" or \"10 MiB\", say"),
            )
        })
    }
}

/// As `size` reads it.
pub const SIZE_PATTERN: &str = r"\s*[0-9]+\s*([kKmMgG][iI]?)?[bB]?\s*";

/// A size in bytes, with its unit.
pub fn size(text: &str) -> Option<u64> {
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
    const SHAPE: Shape = Shape::Open(&[], "[^=]+", &Shape::Text);
    fn read(value: DeValue<'_>, span: Span, cx: &mut Cx<'_>) -> Option<Self> {
        let DeValue::Table(table) = value else { return cx.refuse(&value, span) };
        Some(Variables(table.into_iter().filter_map(|(name, value)| variable(name, value, cx)).collect()))
    }
    fn fill(&mut self, weaker: &Self) {
        self.0.extend_from_slice(&weaker.0);
    }
}

/// Variables and the files that hold their values.
#[derive(Clone, Debug, Default)]
pub struct Secrets(pub Vec<(String, PathBuf)>);

impl Read for Secrets {
    const TYPE: &'static str = "a table of NAME = \"/path/of/a/file\"";
    const SHAPE: Shape = Shape::Open(&[], "[^=]+", &Shape::FILLED);
    fn read(value: DeValue<'_>, span: Span, cx: &mut Cx<'_>) -> Option<Self> {
        let DeValue::Table(table) = value else { return cx.refuse(&value, span) };
        let secrets = table.into_iter().filter_map(|(name, value)| {
            let span = value.span().into();
            let (name, path) = variable(name, value, cx)?;
            match path.is_empty() {
                true => cx.invalid(span, format_args!("the path of `{name}` can't be empty")),
                false => Some((name, path.into())),
            }
        });
        Some(Secrets(secrets.collect()))
    }
    fn fill(&mut self, weaker: &Self) {
        self.0.extend_from_slice(&weaker.0);
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

/// When a failure strategy acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// Once the service has given up.
    GivenUp,
    /// At each failure.
    EveryFailure,
}

/// Enums whose values are words: each word stands here once, with the value it means. Further spellings load silently.
macro_rules! words {
    (@list $last:literal) => { concat!(" or `", $last, "`") };
    (@list $next:literal $($rest:literal)+) => { concat!(", `", $next, "`", words!(@list $($rest)+)) };
    ($($type:ident { $first:literal $(| $also:literal)* => $value:ident
        $(, $word:literal $(| $alias:literal)* => $variant:ident)+ })*) => { $(
        impl Read for $type {
            const TYPE: &'static str = concat!("`", $first, "`", words!(@list $($word)+));
            const SHAPE: Shape = Shape::Words(&[$first, $($also,)* $($word, $($alias,)*)+]);
            fn read(value: DeValue<'_>, span: Span, cx: &mut Cx<'_>) -> Option<Self> {
                match value.as_str() {
                    Some($first $(| $also)*) => Some($type::$value),
                    $(Some($word $(| $alias)*) => Some($type::$variant),)+
                    Some(text) => cx.no_such_word(text, span),
                    None => cx.refuse(&value, span),
                }
            }
        }
    )* };
}

words! {
    RestartStrategy { "never" => Never, "on-failure" => OnFailure, "always" => Always }
    Growth { "linear" => Linear, "constant" => Constant, "exponential" => Exponential }
    FailureStrategy { "ignore" => Ignore, "shutdown" | "kill-all" => Shutdown, "kill-dependents" => KillDependents,
        "restart-dependents" => RestartDependents
    }
    Occasion { "given-up" => GivenUp, "every-failure" => EveryFailure }
    Scope { "group" => Group, "main" => Main, "tree" => Tree }
    WhenInit { "poweroff" => PowerOff, "reboot" => Reboot, "halt" => Halt, "exit" => Exit }
    Kind { "daemon" => Daemon, "oneshot" => Oneshot }
    Condition {
        "started" => Started, "ready" => Ready, "healthy" => Healthy, "completed" => Completed,
        "completed-successfully" => CompletedSuccessfully, "failed" => Failed
    }
    OnUnhealthy { "restart" => Restart, "report" => Report }
    LogFormat { "plain" => Plain, "prefix" => Prefix, "json" => Json }
}
