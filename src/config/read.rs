//! One file: its bytes, its text, its TOML, its variables. It never hangs on what is no regular file, and never reads
//! more than a service file can be. What the keys mean is none of its business.

use super::diagnostic::{Diagnostic, Layer, Place, Source, Span};
use super::syntax;
use super::template::{self, Env, Problem};
use super::values::Cx;
use crate::limits;
use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The text of a file, or what is wrong with it.
pub fn source(path: &Path, layer: Layer) -> Result<Arc<Source>, Diagnostic> {
    let cannot = |why: String| Diagnostic::error(format!("cannot read `{}`: {why}", path.display()));
    let bytes = regular_file(path, limits::SERVICE_FILE_BYTES).map_err(|error| cannot(reason(&error)))?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Arc::new(Source { path: path.to_owned(), text, layer })),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            let bytes = error.into_bytes();
            let byte = bytes.get(at).copied().unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let source = Arc::new(Source { path: path.to_owned(), text, layer });
            let message = format!("`{}` is not UTF-8: byte 0x{byte:02x} at offset {at}", path.display());
            Err(Diagnostic::error(message).at(&source, Span::from(at..at + char::REPLACEMENT_CHARACTER.len_utf8())))
        }
    }
}

/// The bytes of a regular file that holds at most `bound` of them. It waits for nobody: anything else in the file's place
/// is an error.
pub fn regular_file(path: &Path, bound: u64) -> io::Result<Vec<u8>> {
    // Without O_NONBLOCK, opening a FIFO waits for a writer: fifo(7).
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        let what = if metadata.is_dir() { "it is a directory" } else { "it is no regular file" };
        return Err(io::Error::other(what));
    }
    let size = metadata.len();
    let mut bytes = Vec::with_capacity(usize::try_from(size.min(bound)).unwrap_or(0).saturating_add(1));
    if size <= bound {
        file.take(bound.saturating_add(1)).read_to_end(&mut bytes)?;
    }
    if size > bound || bytes.len() as u64 > bound {
        return Err(io::Error::other(format!("it is larger than {bound} bytes")));
    }
    Ok(bytes)
}

/// The words of an I/O error, without its number.
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

/// What was read from one file.
pub struct Parsed<T> {
    /// Its keys.
    pub value: T,
    /// The text that all spans refer to.
    pub source: Arc<Source>,
    /// Values that could not be expanded. This has been said, and nothing further is to be said about them.
    pub failed: Vec<Place>,
}

/// Parses a file's text and hands its expanded table to `then`. All syntax errors are reported; a table that has any is
/// not handed on.
pub fn table<T>(
    source: Arc<Source>,
    env: Env<'_>,
    diagnostics: &mut Vec<Diagnostic>,
    then: impl FnOnce(DeTable<'_>, &mut Cx<'_>) -> T,
) -> Option<Parsed<T>> {
    // A variable outside a string makes a file invalid TOML, so a valid one needs no second look.
    if let Ok(table) = DeTable::parse(&source.text) {
        return Some(expand(table.into_inner(), source.clone(), env, diagnostics, then));
    }
    let mut problems = Vec::new();
    let text = template::expand_bare(&source.text, env, &mut problems);
    if !problems.is_empty() {
        diagnostics.extend(problems.into_iter().map(|problem| {
            let span = Span::from(problem.at.clone());
            of_variable(problem, &source, span)
        }));
        return None;
    }
    let source = match text {
        Some(text) => Arc::new(Source { path: source.path.clone(), text, layer: source.layer }),
        None => source,
    };
    let (table, errors) = DeTable::parse_recoverable(&source.text);
    if errors.is_empty() {
        return Some(expand(table.into_inner(), source.clone(), env, diagnostics, then));
    }
    let mut line = 0;
    for error in errors {
        let span = error.span().unwrap_or_default().into();
        // What follows an error on its line is mostly an echo of it.
        if std::mem::replace(&mut line, source.line(span)) != source.line(span) {
            diagnostics.push(syntax::explain(error.message(), &source, span));
        }
    }
    None
}

fn of_variable(problem: Problem, source: &Arc<Source>, span: Span) -> Diagnostic {
    Diagnostic::error(problem.message).at(source, span).help(problem.help)
}

/// Expands all string values (keys and comments stay) and hands the table on.
fn expand<T>(
    mut table: DeTable<'_>,
    source: Arc<Source>,
    env: Env<'_>,
    diagnostics: &mut Vec<Diagnostic>,
    then: impl FnOnce(DeTable<'_>, &mut Cx<'_>) -> T,
) -> Parsed<T> {
    let mut failed: Vec<Place> = Vec::new();
    // A NUL can only come from an escape: the environment holds none.
    if source.text.contains('$') || source.text.contains('\\') {
        for (_, value) in table.iter_mut() {
            expand_value(value, &source, env, &mut failed, diagnostics);
        }
    }
    let mut further = Vec::new();
    let value = then(table, &mut Cx { source: &source, diagnostics: &mut further, key: "" });
    further.retain(|d| d.place.as_ref().is_none_or(|place| !failed.contains(place)));
    diagnostics.append(&mut further);
    Parsed { value, source, failed }
}

fn expand_value(
    value: &mut Spanned<DeValue<'_>>,
    source: &Arc<Source>,
    env: Env<'_>,
    failed: &mut Vec<Place>,
    out: &mut Vec<Diagnostic>,
) {
    let span = Span::from(value.span());
    match value.get_mut() {
        DeValue::String(text) => {
            let mut problems = Vec::new();
            let expanded = template::expand(text, env, &mut problems);
            if !problems.is_empty() {
                failed.push(Place { source: source.clone(), span });
            }
            for problem in problems {
                let reference = text.get(problem.at.clone()).unwrap_or("");
                let place = locate(reference, problem.at.start, source, span);
                out.push(of_variable(problem, source, place));
            }
            if let Some(expanded) = expanded {
                *text = expanded.into();
            }
            if text.contains('\0') {
                let message = "a string holds a NUL, which no path, argument or variable can hold";
                out.push(Diagnostic::error(message).at(source, span));
                failed.push(Place { source: source.clone(), span });
            }
        }
        DeValue::Array(items) => items.iter_mut().for_each(|item| expand_value(item, source, env, failed, out)),
        DeValue::Table(table) => table.iter_mut().for_each(|(_, item)| expand_value(item, source, env, failed, out)),
        DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {}
    }
}

/// Finds a reference within the raw text of its string. Quotes and escapes only ever move it to the right.
fn locate(reference: &str, from: usize, source: &Source, span: Span) -> Span {
    let raw = source.slice(span);
    let from = (from..raw.len()).find(|at| raw.is_char_boundary(*at)).unwrap_or(raw.len());
    let found = raw.get(from..).and_then(|tail| tail.find(reference)).map(|at| at.saturating_add(from));
    found.map_or(span, |at| {
        let start = span.range().start.saturating_add(at);
        Span::from(start..start.saturating_add(reference.len()))
    })
}
