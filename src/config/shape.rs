//! The shape of a kind of value, for machines: each `Read` says its own beside its words, and the JSON Schema is made of
//! them. A shape may allow more than the reader does, never less.

use super::table::Key;
use toml::de::DeValue;

/// What a value looks like. Wherever a string is allowed, one that holds a `$` is: what its variables say is known only
/// when the file is loaded.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// `true` or `false`.
    Bool,
    /// A whole number from the first to the second.
    Integer(i64, i64),
    /// A number with or without a fraction, from the first to the second (which may be infinite).
    Number(f64, f64),
    /// Any string.
    Text,
    /// A string, the whole of which matches this regular expression (ECMA 262, without look-around).
    Pattern(&'static str),
    /// The same, if the expression has to be put together first.
    Computed(fn() -> String),
    /// A string that is exactly one of these.
    Words(&'static [&'static str]),
    /// An array of at least so many values.
    List(usize, &'static Shape),
    /// One of several.
    Any(&'static [Shape]),
    /// A table of declared keys.
    Table(&'static [Key]),
    /// A table of declared keys, and of others whose names match the expression.
    Open(&'static [Key], &'static str, &'static Shape),
}

impl Shape {
    /// A string that can't be empty: a path, for example.
    pub const FILLED: Shape = Shape::Pattern(r"[\s\S]+");
    /// A string, or a list of them.
    pub const TEXTS: Shape = Shape::Any(&[Shape::Text, Shape::List(0, &Shape::Text)]);

    /// How a value of another type was probably meant; empty if nobody can tell. `raw` is its text.
    pub fn mend(&self, value: &DeValue<'_>, raw: &str, key: &str) -> String {
        match (self, value) {
            (Shape::Bool, DeValue::String(text)) => match text.to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" | "1" => "write it without quotes: true".to_owned(),
                "false" | "no" | "off" | "0" => "write it without quotes: false".to_owned(),
                _ => String::new(),
            },
            (Shape::Bool, DeValue::Integer(n)) => match n.as_str() {
                "0" => "write `false`".to_owned(),
                "1" => "write `true`".to_owned(),
                _ => String::new(),
            },
            (Shape::Integer(..) | Shape::Number(..), DeValue::String(text)) if text.trim().parse::<f64>().is_ok() => {
                format!("write it without quotes: {}", text.trim())
            }
            (Shape::Integer(..), DeValue::Float(n)) => match n.as_str().parse::<f64>() {
                Ok(n) if n.fract() == 0.0 => format!("write it as {n}"),
                _ => String::new(),
            },
            (shape, DeValue::Table(_)) if raw.starts_with('[') && shape.keys().is_empty() => {
                format!("write `{key} = ...` above the first [table]")
            }
            (Shape::Table(_) | Shape::Open(..), DeValue::Array(_)) if raw.starts_with("[[") => {
                format!("there is one such table: write [{key}]")
            }
            (Shape::Table(keys) | Shape::Open(keys, ..), DeValue::String(text)) => {
                let knows = |inner: &&Key| matches!(inner.shape, Shape::Words(words) if words.contains(&text.as_ref()));
                let inner =
                    keys.iter().find(knows).map_or("its keys".to_owned(), |inner| format!("{} = {raw}", inner.name));
                format!("write [{key}] on a line of its own, and `{inner}` below it").replace("`its keys`", "its keys")
            }
            (Shape::Any(shapes), value) => {
                shapes.iter().map(|shape| shape.mend(value, raw, key)).find(|help| !help.is_empty()).unwrap_or_default()
            }
            (shape, DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_))
                if shape.takes_any_text() =>
            {
                format!("put it in quotes: \"{raw}\"")
            }
            _ => String::new(),
        }
    }

    fn takes_any_text(&self) -> bool {
        matches!(self, Shape::Text) || matches!(self, Shape::Pattern(pattern) if pattern.starts_with(r"[\s\S]"))
    }

    /// The declared keys, if it is a table.
    pub const fn keys(&self) -> &'static [Key] {
        match self {
            Shape::Table(keys) | Shape::Open(keys, ..) => keys,
            _ => &[],
        }
    }
}
