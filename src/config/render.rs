//! Findings as a person reads them, like a compiler's, and as a program does: JSON. It writes nowhere: the caller prints
//! what it gets.

use super::diagnostic::{Diagnostic, Place, Severity};
use annotate_snippets::{
    AnnotationKind, Group, Level, Renderer, Snippet, normalize_untrusted_str, renderer::DecorStyle,
};
use serde::Serialize;
use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

/// All findings as a person reads them, with a count at the end. Empty if there are none.
pub fn render(diagnostics: &[Diagnostic], colour: bool) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() }.decor_style(DecorStyle::Ascii);
    let mut page = String::new();
    for diagnostic in diagnostics {
        page.push_str(&renderer.render(&[group(diagnostic)]));
        page.push_str("\n\n");
    }
    let count = |severity| diagnostics.iter().filter(|d| d.severity == severity).count();
    let counts = [(count(Severity::Error), "error"), (count(Severity::Warning), "warning")];
    let mut separator = "";
    for (n, what) in counts.into_iter().filter(|(n, _)| *n > 0) {
        let plural = if n == 1 { "" } else { "s" };
        let _ = write!(page, "{separator}{n} {what}{plural}");
        separator = ", ";
    }
    if !page.is_empty() {
        page.push('\n');
    }
    page
}

fn group(diagnostic: &Diagnostic) -> Group<'_> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(&diagnostic.message);
    let mut group = match &diagnostic.place {
        Some(place) => title.element(snippet(place, &diagnostic.label, AnnotationKind::Primary)),
        None => Group::with_title(title),
    };
    for (place, label) in &diagnostic.notes {
        let same_file = diagnostic.place.as_ref().is_some_and(|p| Arc::ptr_eq(&p.source, &place.source));
        let kind = if same_file { AnnotationKind::Context } else { AnnotationKind::Primary };
        group = group.element(snippet(place, label, kind));
    }
    if !diagnostic.help.is_empty() {
        group = group.element(Level::HELP.message(normalize_untrusted_str(&diagnostic.help)));
    }
    group
}

/// The lines around a place, so that a large file is not handed to the renderer whole.
fn snippet<'a>(
    place: &'a Place,
    label: &'a str,
    kind: AnnotationKind,
) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let text = place.source.text.as_str();
    let Range { start, end } = place.span.range();
    let first = text.get(..start).and_then(|t| t.rfind('\n')).map_or(0, |newline| newline.saturating_add(1));
    let last = text.get(end..).and_then(|t| t.find('\n')).map_or(text.len(), |n| end.saturating_add(n));
    let span = start.saturating_sub(first)..end.saturating_sub(first);
    let annotation = kind.span(span).label((!label.is_empty()).then_some(label));
    Snippet::source(text.get(first..last).unwrap_or(""))
        .path(place.source.path.to_string_lossy())
        .line_start(place.line() as usize)
        .annotation(annotation)
}

/// One finding for a program. What does not apply is null.
#[derive(Serialize)]
struct Record<'a> {
    severity: &'static str,
    message: &'a str,
    #[serde(flatten)]
    place: Where,
    label: Option<&'a str>,
    help: Option<&'a str>,
    notes: Vec<Note<'a>>,
}

/// Another place that matters.
#[derive(Serialize)]
struct Note<'a> {
    message: &'a str,
    #[serde(flatten)]
    place: Where,
}

/// Lines and columns count from 1, columns in characters; the end is behind the last character.
#[derive(Serialize, Default)]
struct Where {
    file: Option<String>,
    line: Option<u32>,
    column: Option<u32>,
    end_line: Option<u32>,
    end_column: Option<u32>,
}

impl From<&Place> for Where {
    fn from(place: &Place) -> Where {
        let ((line, column), (end_line, end_column)) = (place.start(), place.end());
        Where {
            file: Some(place.source.path.to_string_lossy().into_owned()),
            line: Some(line),
            column: Some(column),
            end_line: Some(end_line),
            end_column: Some(end_column),
        }
    }
}

/// All findings as one JSON array, an object on each line.
pub fn json(diagnostics: &[Diagnostic]) -> String {
    let mut page = "[".to_owned();
    for (i, diagnostic) in diagnostics.iter().enumerate() {
        let record = Record {
            severity: match diagnostic.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            },
            message: &diagnostic.message,
            place: diagnostic.place.as_ref().map(Where::from).unwrap_or_default(),
            label: filled(&diagnostic.label),
            help: filled(&diagnostic.help),
            notes: diagnostic.notes.iter().map(|(place, label)| Note { message: label, place: place.into() }).collect(),
        };
        page.push_str(if i == 0 { "\n" } else { ",\n" });
        page.push_str(&serde_json::to_string(&record).unwrap_or_default());
    }
    page.push_str(if diagnostics.is_empty() { "]\n" } else { "\n]\n" });
    page
}

fn filled(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}
