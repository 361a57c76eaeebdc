//! Findings as a person reads them, like a compiler's, and as a program does: JSON. It writes nowhere: the caller prints
//! what it gets.

use super::diagnostic::{Diagnostic, Place, Severity, Source, Span};
use annotate_snippets::{
    AnnotationKind, Group, Level, Renderer, Snippet, normalize_untrusted_str, renderer::DecorStyle,
};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::ops::Range;
use std::path::PathBuf;
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
        let same_file = diagnostic.place.as_ref().is_some_and(|p| p.source.path == place.source.path);
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
    let Range { start: first, end: last } = lines(place);
    let span = start.saturating_sub(first)..end.saturating_sub(first);
    let annotation = kind.span(span).label((!label.is_empty()).then_some(label));
    Snippet::source(text.get(first..last).unwrap_or(""))
        .path(place.source.path.to_string_lossy())
        .line_start(place.line() as usize)
        .annotation(annotation)
}

/// The lines that a place is on, as bytes of the text.
fn lines(place: &Place) -> Range<usize> {
    let text = place.source.text.as_str();
    let Range { start, end } = place.span.range();
    let first = text.get(..start).and_then(|t| t.rfind('\n')).map_or(0, |newline| newline.saturating_add(1));
    let last = text.get(end..).and_then(|t| t.find('\n')).map_or(text.len(), |n| end.saturating_add(n));
    first..last
}

/// One finding for a program. What does not apply is null.
#[derive(Serialize, Deserialize)]
struct Record {
    severity: Grade,
    message: String,
    #[serde(flatten)]
    place: Where,
    label: Option<String>,
    help: Option<String>,
    notes: Vec<Note>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Grade {
    Error,
    Warning,
}

/// Another place that matters.
#[derive(Serialize, Deserialize)]
struct Note {
    message: String,
    #[serde(flatten)]
    place: Where,
}

/// Lines and columns count from 1, columns in characters; the end is behind the last character.
#[derive(Serialize, Deserialize, Default)]
struct Where {
    file: Option<String>,
    line: Option<u32>,
    column: Option<u32>,
    end_line: Option<u32>,
    end_column: Option<u32>,
    /// These lines, for who can't read the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

impl Where {
    fn of(place: &Place, with_text: bool) -> Where {
        let ((line, column), (end_line, end_column)) = (place.start(), place.end());
        Where {
            file: Some(place.source.path.to_string_lossy().into_owned()),
            line: Some(line),
            column: Some(column),
            end_line: Some(end_line),
            end_column: Some(end_column),
            text: with_text.then(|| place.source.text.get(lines(place)).unwrap_or_default().to_owned()),
        }
    }

    /// A place in a file of which nothing else is known.
    fn place(&self) -> Option<Place> {
        let (file, text) = (self.file.as_ref()?, self.text.as_ref()?);
        let (line, end_line) = (self.line?, self.end_line?);
        let above = usize::try_from(line.saturating_sub(1)).unwrap_or(0).min(text_bound());
        let mut starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at.saturating_add(1)));
        let last = starts.nth(usize::try_from(end_line.saturating_sub(line)).ok()?)?;
        let byte = |from: usize, column: u32| {
            let before = usize::try_from(column.saturating_sub(1)).unwrap_or(0);
            let rest = text.get(from..).unwrap_or_default();
            let offset = rest.char_indices().nth(before).map_or(rest.len(), |(at, _)| at);
            above.saturating_add(from).saturating_add(offset)
        };
        let span = Span::from(byte(0, self.column?)..byte(last, self.end_column?));
        let text = "\n".repeat(above) + text;
        Some(Place { source: Arc::new(Source { path: PathBuf::from(file), text, ..Source::default() }), span })
    }
}

/// No file has more lines than this.
fn text_bound() -> usize {
    usize::try_from(crate::limits::SERVICE_FILE_BYTES).unwrap_or(usize::MAX)
}

impl Record {
    fn of(diagnostic: &Diagnostic, with_text: bool) -> Record {
        let note =
            |(place, label): &(Place, String)| Note { message: label.clone(), place: Where::of(place, with_text) };
        Record {
            severity: match diagnostic.severity {
                Severity::Error => Grade::Error,
                Severity::Warning => Grade::Warning,
            },
            message: diagnostic.message.clone(),
            place: diagnostic.place.as_ref().map(|place| Where::of(place, with_text)).unwrap_or_default(),
            label: filled(&diagnostic.label),
            help: filled(&diagnostic.help),
            notes: diagnostic.notes.iter().map(note).collect(),
        }
    }

    fn diagnostic(self) -> Diagnostic {
        Diagnostic {
            severity: match self.severity {
                Grade::Error => Severity::Error,
                Grade::Warning => Severity::Warning,
            },
            message: self.message,
            place: self.place.place(),
            label: self.label.unwrap_or_default(),
            help: self.help.unwrap_or_default(),
            notes: self.notes.into_iter().filter_map(|note| Some((note.place.place()?, note.message))).collect(),
        }
    }
}

/// All findings as one JSON array, an object on each line.
pub fn json(diagnostics: &[Diagnostic]) -> String {
    let mut page = "[".to_owned();
    for (i, diagnostic) in diagnostics.iter().enumerate() {
        page.push_str(if i == 0 { "\n" } else { ",\n" });
        page.push_str(&serde_json::to_string(&Record::of(diagnostic, false)).unwrap_or_default());
    }
    page.push_str(if diagnostics.is_empty() { "]\n" } else { "\n]\n" });
    page
}

/// The same for who can't read the files: each with the lines that it points at.
pub fn findings<'a>(diagnostics: impl IntoIterator<Item = &'a Diagnostic>) -> Vec<serde_json::Value> {
    diagnostics.into_iter().filter_map(|one| serde_json::to_value(Record::of(one, true)).ok()).collect()
}

/// What [`findings`] has made, to be shown. What can't be understood is left out.
pub fn from_findings(findings: &[serde_json::Value]) -> Vec<Diagnostic> {
    let records = findings.iter().filter_map(|finding| serde_json::from_value::<Record>(finding.clone()).ok());
    records.map(Record::diagnostic).collect()
}

fn filled(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}
