//! `[log]` and the rotation keys beside it: the kinds of value they have, and what they come to together. What is captured
//! and how is decided here, once.

use super::diagnostic::Span;
use super::schema;
use super::shape::Shape;
use super::values::{At, Cx, Read, Size, parse_duration};
use crate::limits;
use crate::model::{Log, Output, Precision, Rate, Rotation};
use std::time::Duration;
use toml::de::DeValue;

/// Whether lines get a time, and which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times(pub Option<Precision>);

impl Read for Times {
    const TYPE: &'static str = "true, false, \"ms\" or \"us\"";
    const SHAPE: Shape = Shape::Any(&[Shape::Bool, Shape::Words(&["ms", "us", "µs"])]);
    fn read(value: DeValue<'_>, span: Span, cx: &mut Cx<'_>) -> Option<Self> {
        match (value.as_bool(), value.as_str()) {
            (Some(false), _) => Some(Times(None)),
            (Some(true), _) | (_, Some("ms")) => Some(Times(Some(Precision::Milliseconds))),
            (_, Some("us" | "µs")) => Some(Times(Some(Precision::Microseconds))),
            (_, Some(text)) => {
                let why = format!("\"{text}\" is no precision; write {}", Self::TYPE);
                cx.invalid(span, why)
            }
            _ => cx.refuse(&value, span),
        }
    }
}

/// Lines in a time: `1000/s`, `50/10s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PerTime(pub Rate);

impl Read for PerTime {
    const TYPE: &'static str = "a number of lines in a time, such as \"1000/s\"";
    const SHAPE: Shape = Shape::Pattern(r"\s*\+?0*[1-9][0-9]*\s*/[\s\S]+");
    fn read(value: DeValue<'_>, span: Span, cx: &mut Cx<'_>) -> Option<Self> {
        let Some(text) = value.as_str() else { return cx.refuse(&value, span) };
        match rate(text) {
            Some(rate) if rate.lines == 0 => {
                let message = format!("`{}`: with no lines at all nothing would be seen", cx.key);
                cx.push(cx.error(span, message).help("to discard output, write `stdout = \"NULL\"`"));
                None
            }
            Some(rate) => Some(PerTime(rate)),
            None => cx.invalid(span, format_args!("\"{text}\" is no rate; write \"1000/s\" or \"50/10s\", say")),
        }
    }
}

fn rate(text: &str) -> Option<Rate> {
    let (lines, per) = text.split_once('/')?;
    let per = per.trim();
    let one = if per.starts_with(|c: char| c.is_ascii_digit()) { "" } else { "1" };
    let per = parse_duration(&format!("{one}{per}")).ok().filter(|per| !per.is_zero())?;
    Some(Rate { lines: lines.trim().parse().ok()?, per })
}

/// The keys of the first Horust, outside of the table.
pub struct Keys {
    /// `stdout-rotate-size`.
    pub stdout: Option<At<Size>>,
    /// `stderr-rotate-size`.
    pub stderr: Option<At<Size>>,
    /// `stdout-should-append-timestamp-to-filename`.
    pub stamp: Option<At<bool>>,
}

/// Why a service is captured although its table asks for nothing.
#[derive(Clone, Copy)]
pub struct Wish {
    /// A line is looked for in its output.
    pub needed: bool,
    /// Somebody may want to see it.
    pub useful: bool,
}

/// How the service is captured, if it is.
pub fn lower(
    table: Option<At<schema::Log>>,
    keys: &Keys,
    streams: [&Output; 2],
    Wish { needed, useful }: Wish,
    cx: &mut Cx<'_>,
) -> Option<Log> {
    let table = table.map(|at| at.value).unwrap_or_default();
    check(&table, keys, streams, cx);
    let asked = match table.capture {
        Some(ref at) if needed => {
            if !at.value && !at.place.is_inherited() {
                let error = at.error("`log-line` is looked for in output that is captured");
                cx.push(error.help("leave `capture` out"));
            }
            true
        }
        Some(At { value, .. }) => value,
        None => needed || useful || asks(&table) || asked_by_key(keys, streams),
    };
    if !asked {
        return None;
    }
    let size = |own: &Option<At<Size>>| {
        let size = own.as_ref().or(table.rotate_size.as_ref()).map_or(0, |at| at.value.0);
        (size > 0).then_some(size)
    };
    let stdout = Rotation {
        size: size(&keys.stdout),
        age: table.rotate_age.as_ref().map(|at| at.value),
        keep: table.keep.as_ref().map(|at| at.value.get()),
        compress: table.compress.as_ref().is_some_and(|at| at.value),
        stamp: keys.stamp.as_ref().is_some_and(|at| at.value),
    };
    let stderr = Rotation { size: size(&keys.stderr), stamp: false, ..stdout.clone() };
    let buffer = table.buffer.map(|at| usize::try_from(at.value.0).unwrap_or(usize::MAX));
    let log = Log { stdout, stderr, ..Log::default() };
    Some(Log {
        format: table.format.map(|at| at.value).unwrap_or_default(),
        timestamp: table.timestamp.and_then(|at| at.value.0),
        rate_limit: table.rate_limit.map(|at| at.value.0),
        buffer: buffer.unwrap_or(log.buffer).min(limits::OUTPUT_BUFFER),
        ..log
    })
}

/// Whether the table asks for anything that needs the output to be read.
fn asks(table: &schema::Log) -> bool {
    table.format.as_ref().is_some_and(|at| at.value != crate::model::LogFormat::Plain)
        || table.timestamp.as_ref().is_some_and(|at| at.value.0.is_some())
        || wanted(&table.rotate_size).is_some()
        || table.rotate_age.is_some()
        || table.rate_limit.is_some()
        || table.buffer.is_some()
}

fn asked_by_key(keys: &Keys, [stdout, stderr]: [&Output; 2]) -> bool {
    let rotates = |size: &Option<At<Size>>, stream: &Output| is_file(stream) && wanted(size).is_some();
    let stamped = is_file(stdout) && keys.stamp.as_ref().is_some_and(|at| at.value);
    stamped || rotates(&keys.stdout, stdout) || rotates(&keys.stderr, stderr)
}

fn is_file(output: &Output) -> bool {
    matches!(output, Output::File(_))
}

/// What makes no sense together.
fn check(table: &schema::Log, keys: &Keys, [stdout, stderr]: [&Output; 2], cx: &mut Cx<'_>) {
    if let Some(at) = table.rotate_age.as_ref().filter(|at| at.value < Duration::from_secs(1)) {
        cx.push(at.error("`rotate-age` must be 1s or more"));
    }
    if let Some(at) = table.buffer.as_ref().filter(|at| at.value.0 > limits::OUTPUT_BUFFER as u64) {
        let most = limits::OUTPUT_BUFFER >> 20;
        cx.push(at.error(format!("`buffer` must be {most}MiB or less: it is held in memory")));
    }
    let off = table.capture.as_ref().is_some_and(|at| !at.value);
    let why = |stream: &Output, of| match (is_file(stream), off) {
        (false, _) => Some(format!("`{of}` is no file")),
        (true, true) => Some("`capture` is false".to_owned()),
        (true, false) => None,
    };
    let (out, err) = (why(stdout, "stdout"), why(stderr, "stderr"));
    idle("stdout-rotate-size", wanted(&keys.stdout), out.as_deref(), cx);
    idle("stderr-rotate-size", wanted(&keys.stderr), err.as_deref(), cx);
    let stamp = keys.stamp.as_ref().filter(|at| at.value);
    idle("stdout-should-append-timestamp-to-filename", stamp, out.as_deref(), cx);
    let nowhere = (!is_file(stdout) && !is_file(stderr)).then_some("neither `stdout` nor `stderr` is a file");
    idle("rotate-size", wanted(&table.rotate_size), nowhere, cx);
    idle("rotate-age", table.rotate_age.as_ref(), nowhere, cx);
    let rotates = table.rotate_size.is_some() || table.rotate_age.is_some() || asked_by_key(keys, [stdout, stderr]);
    let never = (!rotates).then_some("nothing says when to begin a new file; add `rotate-size`");
    idle("keep", table.keep.as_ref(), never, cx);
    idle("compress", table.compress.as_ref().filter(|at| at.value), never, cx);
}

fn wanted(size: &Option<At<Size>>) -> Option<&At<Size>> {
    size.as_ref().filter(|at| at.value.0 > 0)
}

/// Says that a key that is given does nothing, if there is a reason.
fn idle<T>(name: &str, at: Option<&At<T>>, why: Option<&str>, cx: &mut Cx<'_>) {
    if let (Some(at), Some(why)) = (at, why) {
        cx.push(at.warning(format!("`{name}` has no effect: {why}")));
    }
}
