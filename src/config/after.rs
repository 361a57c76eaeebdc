//! The entries of `start-after`: a name, or a table that says what has to be true of the service. Names are resolved in
//! `graph`.

use super::diagnostic::Span;
use super::schema::After;
use super::shape::Shape;
use super::table::Table;
use super::values::{At, Cx, Read};
use crate::model::Condition;
use toml::de::DeValue;

/// One entry, as it was written.
#[derive(Clone, Debug)]
pub struct Waits {
    /// The name of the other service, and where it stands.
    pub name: At<String>,
    /// What has to be true of it.
    pub condition: Condition,
    /// If not, it is about the order only.
    pub required: bool,
}

/// One entry, or a list of them.
#[derive(Clone, Debug, Default)]
pub struct Afters(pub Vec<Waits>);

/// A name, or a table.
const ENTRY: Shape = Shape::Any(&[Shape::Text, Shape::Table(After::KEYS)]);

impl Read for Afters {
    const TYPE: &'static str = "a name, a table such as { name = \"db\", condition = \"healthy\" }, or a list of these";
    const SHAPE: Shape = Shape::Any(&[Shape::Text, Shape::Table(After::KEYS), Shape::List(0, &ENTRY)]);
    fn read(value: DeValue<'_>, span: Span, cx: &mut Cx<'_>) -> Option<Self> {
        match value {
            DeValue::Array(items) => {
                let entries = items.into_iter().filter_map(|item| {
                    let span = Span::from(item.span());
                    entry(item.into_inner(), span, cx)
                });
                Some(Afters(entries.collect()))
            }
            one => Some(Afters(entry(one, span, cx).into_iter().collect())),
        }
    }
}

fn entry(value: DeValue<'_>, span: Span, cx: &mut Cx<'_>) -> Option<Waits> {
    match value {
        DeValue::String(name) => {
            Some(Waits { name: cx.at(name.into_owned(), span), condition: Condition::Ready, required: true })
        }
        DeValue::Table(_) => {
            let before = cx.diagnostics.len();
            let After { name, condition, required } = After::read(value, span, cx)?;
            if name.is_none() && cx.diagnostics.len() == before {
                cx.push(cx.error(span, "an entry of `start-after` needs the `name` of a service"));
            }
            Some(Waits {
                name: name?,
                condition: condition.map_or(Condition::Ready, |at| at.value),
                required: required.is_none_or(|at| at.value),
            })
        }
        other => {
            // The entry before may have been a table with keys of its own.
            cx.key = "start-after";
            cx.refuse::<Afters>(&other, span).and(None)
        }
    }
}
