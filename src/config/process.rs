//! What a process becomes before its exec: the kinds of value for it, and what of it only makes sense together.

use super::diagnostic::Span;
use super::kinds::in_any_case;
use super::resources;
use super::schema::{self, Main};
use super::shape::Shape;
use super::table::Table;
use super::values::{At, Cx, Names, Read, SIZE_PATTERN, duration_pattern, integer, parse_duration, size};
use crate::model::closest;
use crate::model::{CapSet, Capabilities, IdOrName, Limit, Process};
use std::marker::PhantomData;
use toml::de::DeValue;

/// The process part of a service; none if it asks for nothing. Takes its keys out of `main`.
pub fn lower(main: &mut Main, cx: &mut Cx<'_>) -> Option<Box<Process>> {
    let process = Process {
        user: main.user.take().map(|at| at.value),
        group: main.group.take().map(|at| at.value),
        supplementary_groups: main.supplementary_groups.take().map(|at| at.value.0),
        umask: main.umask.take().map(|at| at.value.0),
        nice: main.nice.take().map(|at| at.value.0),
        oom_score_adj: main.oom_score_adj.take().map(|at| at.value.0),
        no_new_privileges: main.no_new_privileges.take().is_some_and(|at| at.value),
        capabilities: main.capabilities.take().and_then(|at| capabilities(at, cx)),
        limits: main.limits.take().map(|at| limits(at.value)).unwrap_or_default(),
        resources: main.resource_limit.take().and_then(|at| resources::lower(at.value, cx)),
    };
    (process != Process::default()).then(|| Box::new(process))
}

fn limits(table: schema::Limits) -> Vec<(&'static str, Limit)> {
    fn limit<U>(field: Option<At<LimitIn<U>>>) -> Option<Limit> {
        field.map(|at| at.value.limit)
    }
    let all = [
        ("as", limit(table.address_space)),
        ("core", limit(table.core)),
        ("cpu", limit(table.cpu)),
        ("data", limit(table.data)),
        ("fsize", limit(table.fsize)),
        ("locks", limit(table.locks)),
        ("memlock", limit(table.memlock)),
        ("msgqueue", limit(table.msgqueue)),
        ("nice", limit(table.nice)),
        ("nofile", limit(table.nofile)),
        ("nproc", limit(table.nproc)),
        ("rss", limit(table.rss)),
        ("rtprio", limit(table.rtprio)),
        ("rttime", limit(table.rttime)),
        ("sigpending", limit(table.sigpending)),
        ("stack", limit(table.stack)),
    ];
    all.into_iter().filter_map(|(name, limit)| Some((name, limit?))).collect()
}

fn capabilities(At { value, .. }: At<CapabilitySets>, cx: &mut Cx<'_>) -> Option<Capabilities> {
    let (bounding, ambient) = match value {
        CapabilitySets::Exactly(set) => (set, set),
        CapabilitySets::Both { bounding, ambient } => {
            let set = |part: &Option<At<CapSet>>, default| part.as_ref().map_or(default, |at| at.value);
            let sets = (set(&bounding, CapSet::ALL), set(&ambient, CapSet::NONE));
            if let (Some(bounding), Some(ambient)) = (bounding, ambient)
                && let beyond = sets.1.beyond(sets.0)
                && !beyond.is_empty()
            {
                let names = beyond.join(", ");
                let error = ambient.error(format!("`ambient` holds {names}, which `bounding` does not"));
                let error = error.note(&bounding.place, "what the service can have at all");
                cx.push(error.help("add them to `bounding`, or leave `bounding` out"));
                return None;
            }
            sets
        }
    };
    Some(Capabilities { bounding, ambient: CapSet(ambient.0 & bounding.0) })
}

/// One user or group, or a list of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accounts(pub Vec<IdOrName>);

impl Read for Accounts {
    const TYPE: &'static str = "a name or an id, or a list of them";
    const SHAPE: Shape = Shape::Any(&[IdOrName::SHAPE, Shape::List(0, &IdOrName::SHAPE)]);
    fn read(value: DeValue<'_>, span: Span, cx: &mut Cx<'_>) -> Option<Self> {
        match value {
            DeValue::Array(items) => {
                let read = |item: toml::Spanned<DeValue<'_>>| {
                    let span = Span::from(item.span());
                    IdOrName::read(item.into_inner(), span, cx)
                };
                let all: Vec<_> = items.into_iter().map(read).collect();
                all.into_iter().collect::<Option<_>>().map(Accounts)
            }
            DeValue::String(_) | DeValue::Integer(_) => IdOrName::read(value, span, cx).map(|one| Accounts(vec![one])),
            other => cx.refuse(&other, span),
        }
    }
}

const OCTAL: &str = "write three octal digits, such as \"027\": from 000 to 777";

/// A file mode creation mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Umask(pub u16);

impl Read for Umask {
    const TYPE: &'static str = "an octal number such as \"0027\"";
    const SHAPE: Shape = Shape::Any(&[Shape::Integer(0, 0o777), Shape::Pattern("(0o)?0*[0-7]{1,3}")]);
    fn read(value: DeValue<'_>, span: Span, cx: &mut Cx<'_>) -> Option<Self> {
        let mask = match &value {
            DeValue::String(text) => {
                let digits = text.strip_prefix("0o").unwrap_or(text);
                // `from_str_radix` takes a sign.
                let all_digits = digits.bytes().all(|b| b.is_ascii_digit());
                if all_digits { u16::from_str_radix(digits, 8).ok() } else { None }
            }
            // Up to 7 both ways of reading it come to the same.
            DeValue::Integer(n) if n.radix() != 8 && !matches!(integer(&value), Some(0..=7)) => {
                let message = format!("`{}` must be {}, not a decimal one", cx.key, Self::TYPE);
                let octal = n.as_str().bytes().all(|b| matches!(b, b'0'..=b'7'));
                let help = if octal { format!("write it as \"{n:0>4}\" or 0o{n}") } else { OCTAL.to_owned() };
                cx.push(cx.error(span, message).help(help));
                return None;
            }
            DeValue::Integer(_) => integer(&value).and_then(|n| n.try_into().ok()),
            other => return cx.refuse(other, span),
        };
        match mask.filter(|mask| *mask <= 0o777) {
            Some(mask) => Some(Umask(mask)),
            None => {
                let message = format!("`{}`: {} is no file mode creation mask", cx.key, cx.source.slice(span));
                cx.push(cx.error(span, message).help(OCTAL));
                None
            }
        }
    }
}

/// A nice value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nice(pub i8);

impl Read for Nice {
    const TYPE: &'static str = "a number from -20 (first) to 19 (last)";
    const SHAPE: Shape = Shape::Integer(-20, 19);
    fn read(value: DeValue<'_>, span: Span, cx: &mut Cx<'_>) -> Option<Self> {
        within::<Self>(&value, span, cx)?.try_into().ok().map(Nice)
    }
}

/// An OOM score adjustment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OomScore(pub i16);

impl Read for OomScore {
    const TYPE: &'static str = "a number from -1000 (never) to 1000 (first)";
    const SHAPE: Shape = Shape::Integer(-1000, 1000);
    fn read(value: DeValue<'_>, span: Span, cx: &mut Cx<'_>) -> Option<Self> {
        within::<Self>(&value, span, cx)?.try_into().ok().map(OomScore)
    }
}

/// A whole number within the bounds of its shape.
fn within<T: Read>(value: &DeValue<'_>, span: Span, cx: &mut Cx<'_>) -> Option<i64> {
    let (from, to) = if let Shape::Integer(from, to) = T::SHAPE { (from, to) } else { (i64::MIN, i64::MAX) };
    if !value.is_integer() {
        return cx.refuse::<T>(value, span).and(None);
    }
    let number = integer(value).filter(|number| (from..=to).contains(number));
    number.or_else(|| cx.out_of_range(span, &format!("between {from} and {to}")))
}

/// `capabilities`, as written.
#[derive(Clone, Debug)]
pub enum CapabilitySets {
    /// These, and no others ever.
    Exactly(CapSet),
    /// What it can have, and what it has.
    Both {
        /// What it can have; all if none.
        bounding: Option<At<CapSet>>,
        /// What it has without being root; nothing if none.
        ambient: Option<At<CapSet>>,
    },
}

impl Read for CapabilitySets {
    const TYPE: &'static str = "a list of capabilities, or { bounding = [...], ambient = [...] }";
    const SHAPE: Shape = Shape::Any(&[CapSet::SHAPE, Shape::Table(schema::CapabilityTable::KEYS)]);
    fn read(value: DeValue<'_>, span: Span, cx: &mut Cx<'_>) -> Option<Self> {
        match value {
            DeValue::Table(_) => {
                let sets = schema::CapabilityTable::read(value, span, cx)?;
                Some(CapabilitySets::Both { bounding: sets.bounding, ambient: sets.ambient })
            }
            DeValue::String(_) | DeValue::Array(_) => CapSet::read(value, span, cx).map(CapabilitySets::Exactly),
            other => cx.refuse(&other, span),
        }
    }
}

impl Read for CapSet {
    const TYPE: &'static str = "a list of capabilities, \"all\" or \"none\"";
    const SHAPE: Shape = Shape::Any(&[CAPABILITY, Shape::List(0, &CAPABILITY)]);
    fn read(value: DeValue<'_>, span: Span, cx: &mut Cx<'_>) -> Option<Self> {
        if !matches!(value, DeValue::String(_) | DeValue::Array(_)) {
            return cx.refuse(&value, span);
        }
        let mut set = CapSet::NONE;
        let mut good = true;
        for at in Names::read(value, span, cx)?.0 {
            let text = &at.value;
            let upper = text.trim().to_ascii_uppercase();
            let (less, name) = upper.strip_prefix('-').map_or((false, upper.as_str()), |name| (true, name));
            match capability(name) {
                Some(CapSet(bits)) if less => set.0 &= !bits,
                Some(CapSet(bits)) => set.0 |= bits,
                None => {
                    good = false;
                    let names = || CapSet::names().iter().copied();
                    let begun = || names().find(|known| name.len() > 2 && known.starts_with(bare(name)));
                    let help = match closest(bare(name), names()).or_else(begun) {
                        Some(close) => format!("did you mean \"{close}\"?"),
                        None => "capabilities(7) lists them; \"NET_BIND_SERVICE\" is one".to_owned(),
                    };
                    cx.push(at.error(format!("`{}`: there is no capability `{text}`", cx.key)).help(help));
                }
            }
        }
        good.then_some(set)
    }
}

const CAPABILITY: Shape = Shape::Computed(|| {
    let (named, sets) = (in_any_case(CapSet::names()), in_any_case(&["ALL", "NONE"]));
    format!(r"\s*-?(([Cc][Aa][Pp]_)?({named})|{sets})\s*")
});

fn capability(name: &str) -> Option<CapSet> {
    match name {
        "ALL" => Some(CapSet::ALL),
        "NONE" => Some(CapSet::NONE),
        name => CapSet::named(bare(name)),
    }
}

fn bare(name: &str) -> &str {
    name.strip_prefix("CAP_").unwrap_or(name)
}

/// A resource limit whose numbers are of the kind `U`.
#[derive(Clone, Copy, Debug)]
pub struct LimitIn<U> {
    limit: Limit,
    unit: PhantomData<U>,
}

/// What the numbers of a limit are.
pub trait Unit: Clone {
    /// In words, with an example.
    const TYPE: &'static str;
    /// Reads one that is no plain number.
    fn parse(text: &str) -> Option<u64>;
    /// The expression for those.
    fn pattern() -> String;
}

/// Of files, processes, …
#[derive(Clone, Copy, Debug)]
pub enum Count {}
/// Bytes.
#[derive(Clone, Copy, Debug)]
pub enum Bytes {}
/// Seconds.
#[derive(Clone, Copy, Debug)]
pub enum Seconds {}
/// Microseconds.
#[derive(Clone, Copy, Debug)]
pub enum Microseconds {}

impl Unit for Count {
    const TYPE: &'static str = "a number, \"soft:hard\" or \"unlimited\"";
    fn parse(_: &str) -> Option<u64> {
        None
    }
    fn pattern() -> String {
        "[0-9]+".to_owned()
    }
}

impl Unit for Bytes {
    const TYPE: &'static str = "a size such as \"64MiB\", \"soft:hard\" or \"unlimited\"";
    fn parse(text: &str) -> Option<u64> {
        size(text)
    }
    fn pattern() -> String {
        SIZE_PATTERN.to_owned()
    }
}

impl Unit for Seconds {
    const TYPE: &'static str = "a duration such as \"90s\", \"soft:hard\" or \"unlimited\"";
    fn parse(text: &str) -> Option<u64> {
        let duration = parse_duration(text).ok()?;
        // A part of a second would be none.
        Some(duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0)))
    }
    fn pattern() -> String {
        duration_pattern()
    }
}

impl Unit for Microseconds {
    const TYPE: &'static str = "a duration such as \"200ms\", \"soft:hard\" or \"unlimited\"";
    fn parse(text: &str) -> Option<u64> {
        parse_duration(text).ok()?.as_micros().try_into().ok()
    }
    fn pattern() -> String {
        duration_pattern()
    }
}

impl<U: Unit> Read for LimitIn<U> {
    const TYPE: &'static str = U::TYPE;
    const SHAPE: Shape = Shape::Any(&[
        Shape::Integer(0, i64::MAX),
        Shape::Computed(|| {
            let one = format!(r"\s*([0-9]+|unlimited|infinity|{})\s*", U::pattern());
            format!("{one}(:{one})?")
        }),
    ]);
    fn read(value: DeValue<'_>, span: Span, cx: &mut Cx<'_>) -> Option<Self> {
        let (soft, hard) = match &value {
            DeValue::String(text) => match text.split_once(':') {
                Some((soft, hard)) => (one::<U>(soft), one::<U>(hard)),
                None => (one::<U>(text), one::<U>(text)),
            },
            DeValue::Integer(_) => {
                let number = integer(&value).and_then(|number| number.try_into().ok());
                (number, number)
            }
            other => return cx.refuse(other, span),
        };
        let (Some(soft), Some(hard)) = (soft, hard) else {
            let written = cx.source.slice(span);
            let error = cx.error(span, format!("`{}`: {written} is no limit", cx.key));
            // How Docker and setrlimit(2) write it.
            let help = match written.trim_matches(['"', '\'']) {
                "-1" => "write \"unlimited\"".to_owned(),
                _ => format!("a limit is {}", U::TYPE),
            };
            cx.push(error.help(help));
            return None;
        };
        if soft > hard {
            let error = cx.error(span, format!("`{}`: the soft limit is above the hard one", cx.key));
            cx.push(error.help("the soft limit is what holds; write it first, and no higher than the hard one"));
            return None;
        }
        Some(LimitIn { limit: Limit { soft, hard }, unit: PhantomData })
    }
}

fn one<U: Unit>(text: &str) -> Option<u64> {
    match text.trim() {
        "unlimited" | "infinity" => Some(u64::MAX),
        number if number.bytes().all(|b| b.is_ascii_digit()) => number.parse().ok(),
        other => U::parse(other),
    }
}
