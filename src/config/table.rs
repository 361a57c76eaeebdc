//! What a table of keys is and how one is read: each key found by any of its spellings, twice-given and unknown ones
//! reported. The keys themselves are in `schema`.

use super::diagnostic::Span;
use super::schema::{HorustToml, Main};
use super::shape::Shape;
use super::synonyms;
use super::values::{At, Cx, Read};
use crate::model::closest;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

/// What is known about a key apart from its value.
#[derive(Debug)]
pub struct Key {
    /// The canonical spelling. Underscores for hyphens are always accepted.
    pub name: &'static str,
    /// Other spellings, as good as the first.
    pub aliases: &'static [&'static str],
    /// Spellings that are accepted with a warning.
    pub old: &'static [&'static str],
    /// What kind of value it takes, in words.
    pub kind: &'static str,
    /// The same for machines.
    pub shape: Shape,
    /// What holds without it, in words.
    pub default: &'static str,
    /// What it means. The lines of a doc comment.
    pub doc: &'static str,
    /// A value for the sample, as TOML.
    pub sample: &'static str,
    /// Horust reads and checks it, but does not act on it yet.
    pub without_effect: bool,
}

impl Key {
    /// The keys below it, if it is a table.
    pub fn keys(&self) -> &'static [Key] {
        self.shape.keys()
    }

    /// All its spellings.
    pub fn spellings(&self) -> impl Iterator<Item = &'static str> + '_ {
        std::iter::once(self.name).chain(self.aliases.iter().copied()).chain(self.old.iter().copied())
    }
}

/// A table of declared keys.
pub trait Table: Default {
    /// Its keys, in the order in which they are documented.
    const KEYS: &'static [Key];
    /// Reads the value of the key of this canonical name; the span of an earlier value if there is one.
    fn put(&mut self, name: &'static str, value: DeValue<'_>, span: Span, cx: &mut Cx<'_>) -> Option<Span>;
    /// Takes over the keys that it lacks from a `weaker` file's table.
    fn inherit(&mut self, weaker: &Self);
}

/// Declares a table: the struct of what was read and the list of what can be.
macro_rules! table {
    ($(#[doc = $about:literal])+ $table:ident { $(
        $(#[doc = $doc:literal])+
        $field:ident: $type:ty = $name:literal $(| $alias:literal)* $(old $old:literal)*,
        default $default:literal, sample $sample:literal $(, $without_effect:ident)?;
    )+ }) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug, Default)]
        pub struct $table { $( $(#[doc = $doc])+ pub $field: Option<At<$type>>, )+ }

        impl Table for $table {
            const KEYS: &'static [Key] = &[ $( Key {
                name: $name,
                aliases: &[$($alias),*],
                old: &[$($old),*],
                kind: <$type as Read>::TYPE,
                shape: <$type as Read>::SHAPE,
                default: $default,
                doc: concat!($($doc, "\n"),+),
                sample: $sample,
                without_effect: false $(|| stringify!($without_effect).len() > 0)?,
            } ),+ ];

            fn put(&mut self, name: &'static str, value: DeValue<'_>, span: Span, cx: &mut Cx<'_>) -> Option<Span> {
                match name {
                    $( $name => store(&mut self.$field, value, span, cx), )+
                    _ => None,
                }
            }

            fn inherit(&mut self, weaker: &Self) {
                $( fill(&mut self.$field, &weaker.$field); )+
            }
        }
    };
}

/// Lets tables stand where values do.
macro_rules! read_tables {
    ($($table:ty),+) => { $(
        impl Read for $table {
            const TYPE: &'static str = "a table";
            const SHAPE: Shape = Shape::Table(<$table as Table>::KEYS);
            fn read(value: DeValue<'_>, span: Span, cx: &mut Cx<'_>) -> Option<Self> {
                let entries = entries::<Self>(value, span, cx)?;
                let mut table = Self::default();
                for (key, value) in entries {
                    if let Err((key, _)) = put(&mut table, key, value, cx) {
                        unknown(&key, <Self as Table>::KEYS, cx);
                    }
                }
                Some(table)
            }
            fn fill(&mut self, weaker: &Self) {
                self.inherit(weaker);
            }
        }
    )+ };
}

pub(super) fn store<T: Read>(
    field: &mut Option<At<T>>,
    value: DeValue<'_>,
    span: Span,
    cx: &mut Cx<'_>,
) -> Option<Span> {
    if let Some(earlier) = field {
        return Some(earlier.place.span);
    }
    *field = T::read(value, span, cx).map(|value| cx.at(value, span));
    None
}

pub(super) fn fill<T: Read>(field: &mut Option<At<T>>, weaker: &Option<At<T>>) {
    match (field, weaker) {
        (Some(own), Some(weaker)) => own.value.fill(&weaker.value),
        (missing, Some(weaker)) => *missing = Some(weaker.clone()),
        (_, None) => {}
    }
}

/// The entries of a value that should be a table.
pub fn entries<'v, T: Read>(value: DeValue<'v>, span: Span, cx: &mut Cx<'_>) -> Option<DeTable<'v>> {
    match value {
        DeValue::Table(entries) => Some(entries),
        other => cx.refuse::<T>(&other, span).and(None),
    }
}

type Entry<'v> = (Spanned<DeString<'v>>, Spanned<DeValue<'v>>);

/// Reads one entry into its table; hands it back if no key of the table has this name.
pub fn put<'v, T: Table>(
    table: &mut T,
    key: Spanned<DeString<'v>>,
    value: Spanned<DeValue<'v>>,
    cx: &mut Cx<'_>,
) -> Result<(), Entry<'v>> {
    let Some(known) = find(key.get_ref(), T::KEYS) else { return Err((key, value)) };
    let at = Span::from(key.span());
    let (name, written) = (known.name, key.get_ref().as_ref());
    if known.old.contains(&normal(written).as_ref()) {
        let message = format!("`{written}` is an old spelling of `{name}`");
        cx.push(cx.warning(at, message).label(format!("write `{name}`")));
    }
    if known.without_effect {
        cx.push(cx.warning(at, format!("`{written}` has no effect yet")));
    }
    let span = Span::from(value.span());
    cx.key = name;
    if let Some(earlier) = table.put(name, value.into_inner(), span, cx) {
        let (first, second) = if earlier < at { (earlier, at) } else { (at, earlier) };
        let error = cx.error(second, format!("`{name}` is given twice")).label("again here");
        cx.push(error.note(&cx.place(first), "first here").help("keep one of them"));
    }
    Ok(())
}

/// Snake case is accepted wherever kebab case is canonical.
pub(super) fn normal(key: &str) -> std::borrow::Cow<'_, str> {
    if key.contains('_') { key.replace('_', "-").into() } else { key.into() }
}

fn find(key: &str, keys: &'static [Key]) -> Option<&'static Key> {
    let key = normal(key);
    let key = key.as_ref();
    keys.iter().find(|k| k.name == key || k.aliases.contains(&key) || k.old.contains(&key))
}

/// Whether these are the keys of the same table. The addresses of constants don't tell.
pub fn is(one: &[Key], other: &[Key]) -> bool {
    one.iter().map(|key| key.name).eq(other.iter().map(|key| key.name))
}

/// Reports a key that no table `keys` has, with the likeliest intention.
pub fn unknown(key: &Spanned<DeString<'_>>, keys: &'static [Key], cx: &mut Cx<'_>) {
    let written = key.get_ref();
    let word = normal(written).to_ascii_lowercase();
    let elsewhere = || {
        if is(keys, <HorustToml as Table>::KEYS) && find(&word, Main::KEYS).is_some() {
            return Some(format!(
                "`{written}` belongs to services: write it below [defaults] to give it to all of them"
            ));
        }
        if find(&word, Main::KEYS).is_some() && !is(keys, Main::KEYS) {
            return Some(format!("`{written}` belongs to the service itself: move it above the first [table]"));
        }
        if find(&word, HorustToml::KEYS).is_some() && !is(keys, HorustToml::KEYS) {
            return Some(format!(
                "`{written}` is a setting of Horust itself: `horust.toml`, given with `--config-path`"
            ));
        }
        let table = Main::KEYS.iter().find(|table| find(&word, table.keys()).is_some())?;
        (!is(table.keys(), keys)).then(|| format!("`{written}` belongs in the table [{}]", table.name))
    };
    let here = |name: &str| keys.iter().any(|key| key.name == name);
    let meaning = synonyms::meaning(&word).map(|key| key.split_once('.').unwrap_or(("", key)));
    let synonym = || match meaning? {
        (_, name) if here(name) => Some(format!("did you mean `{name}`?")),
        (table, name) if here(table) => Some(format!("did you mean `{name}` in the table [{table}]?")),
        _ => None,
    };
    let synonym_elsewhere = || match meaning? {
        ("", name) => Some(format!("did you mean `{name}`, above the first [table]?")),
        (table, name) => Some(format!("did you mean `{name}` in the table [{table}]?")),
    };
    let close = || closest(&word, keys.iter().flat_map(Key::spellings)).map(|close| format!("did you mean `{close}`?"));
    let help = synonym().or_else(close).or_else(elsewhere).or_else(synonym_elsewhere).unwrap_or_else(|| known(keys));
    cx.push(cx.error(key.span().into(), format!("unknown key `{written}`")).help(help));
}

/// What there is to choose from.
fn known(keys: &'static [Key]) -> String {
    if is(keys, Main::KEYS) {
        return "`horust --sample-service` shows all keys".to_owned();
    }
    let names: Vec<String> = keys.iter().map(|key| format!("`{}`", key.name)).collect();
    format!("the keys of this table are {}", names.join(", "))
}

pub(super) use {read_tables, table};
