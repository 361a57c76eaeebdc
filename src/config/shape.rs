//! The shape of a kind of value, for machines: each `Read` says its own beside its words, and the JSON Schema is made of
//! them. A shape may allow more than the reader does, never less.

use super::table::Key;

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

    /// The declared keys, if it is a table.
    pub const fn keys(&self) -> &'static [Key] {
        match self {
            Shape::Table(keys) | Shape::Open(keys, ..) => keys,
            _ => &[],
        }
    }
}
