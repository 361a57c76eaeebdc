//! What is wrong with a configuration, where, and what to do about it. It knows text and places, never what a key
//! means; how findings are shown is `render`'s business.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

/// A file's path and its text, shared by all that point into it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// Its path, as given by the user.
    pub path: PathBuf,
    /// Its text, as parsed.
    pub text: String,
    /// What it overrides, and what overrides it.
    pub layer: Layer,
}

/// The files that make up a service, the weakest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// `horust.toml`, whose table `[defaults]` is for all services.
    HorustToml,
    /// `_defaults.toml`, for the services of its directory.
    Defaults,
    /// The service's file.
    #[default]
    Service,
    /// A file of its drop-in directory, by their order.
    DropIn(u32),
}

/// Bytes of a source, from `start` up to `end`. Files are bounded far below 4 GiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl From<Range<usize>> for Span {
    fn from(range: Range<usize>) -> Span {
        let clamp = |n| u32::try_from(n).unwrap_or(u32::MAX);
        Span { start: clamp(range.start), end: clamp(range.end) }
    }
}

impl Span {
    /// As indices into the source's text.
    pub fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// A span of a certain file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub source: Arc<Source>,
    /// Where in it.
    pub span: Span,
}

impl Place {
    /// Whether it is in a file that is for other services too.
    pub fn is_inherited(&self) -> bool {
        self.source.layer < Layer::Service
    }

    /// The line, from 1.
    pub fn line(&self) -> u32 {
        self.source.line(self.span)
    }

    /// The line and the column (in characters) of its first character, both from 1.
    pub fn start(&self) -> (u32, u32) {
        self.source.position(self.span.start)
    }

    /// The same of the character behind its last one.
    pub fn end(&self) -> (u32, u32) {
        self.source.position(self.span.end)
    }
}

impl Source {
    /// The line on which the span starts, from 1.
    pub fn line(&self, span: Span) -> u32 {
        let newlines = self.text.bytes().take(span.start as usize).filter(|b| *b == b'\n').count();
        u32::try_from(newlines).unwrap_or(u32::MAX).saturating_add(1)
    }

    /// The line and the column (in characters) of a byte, both from 1.
    fn position(&self, at: u32) -> (u32, u32) {
        let before = self.text.get(..at as usize).unwrap_or(&self.text);
        let line = before.rfind('\n').map_or(0, |newline| newline.saturating_add(1));
        let chars = before.get(line..).unwrap_or("").chars().count();
        let column = u32::try_from(chars).unwrap_or(u32::MAX).saturating_add(1);
        (self.line(Span { start: at, end: at }), column)
    }

    /// The text of a span.
    pub fn slice(&self, span: Span) -> &str {
        self.text.get(span.range()).unwrap_or("")
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Nothing starts.
    Error,
    /// Worth reading; does not hold the start back.
    Warning,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in one sentence.
    pub message: String,
    /// Where, unless there is no text to point at.
    pub place: Option<Place>,
    /// Written under the place.
    pub label: String,
    /// What to do; empty if there is nothing to say.
    pub help: String,
    /// Other places that matter, each with its label.
    pub notes: Vec<(Place, String)>,
}

impl Diagnostic {
    /// An error without a place.
    pub fn error(message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            severity: Severity::Error,
            message: message.into(),
            place: None,
            label: String::new(),
            help: String::new(),
            notes: Vec::new(),
        }
    }

    /// A warning without a place.
    pub fn warning(message: impl Into<String>) -> Diagnostic {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::error(message) }
    }

    /// Sets the place.
    pub fn at(self, source: &Arc<Source>, span: Span) -> Diagnostic {
        Diagnostic { place: Some(Place { source: source.clone(), span }), ..self }
    }

    /// Sets what is written under the place.
    pub fn label(self, label: impl Into<String>) -> Diagnostic {
        Diagnostic { label: label.into(), ..self }
    }

    /// Sets what to do about it.
    pub fn help(self, help: impl Into<String>) -> Diagnostic {
        Diagnostic { help: help.into(), ..self }
    }

    /// Adds another place.
    pub fn note(mut self, place: &Place, label: impl Into<String>) -> Diagnostic {
        self.notes.push((place.clone(), label.into()));
        self
    }
}
