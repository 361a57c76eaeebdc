//! What is wrong with a file that is no TOML, in words that tell how to mend it. The parser's own words say what it
//! expected; what was probably meant is told from the text around.

use super::diagnostic::{Diagnostic, Place, Source, Span};
use std::sync::Arc;

/// Explains one syntax error: the parser's words, and where.
pub fn explain(words: &str, source: &Arc<Source>, span: Span) -> Diagnostic {
    let text = source.slice(span).trim();
    let said = |message: &str, help: String| Diagnostic::error(message).at(source, span).help(help);
    let line = line(source, span);
    // A value that begins like a number or a boolean is told in words about those.
    let is_value = ["string values must be quoted", "invalid float", "invalid boolean", "invalid integer"];
    if is_value.iter().any(|start| words.starts_with(start)) {
        return match text {
            "" => said("there is no value", "write one behind the `=`, or leave the line out".to_owned()),
            _ => match boolean(text) {
                Some(boolean) => said("this is neither `true` nor `false`", format!("write `{boolean}`")),
                None => said("this text is not in quotes", quotes_help(text)),
            },
        };
    }
    if words.starts_with("missing escaped value") {
        let help = "write the string in single quotes, where a backslash is nothing special, or double the backslash";
        return said("there is no such escape", help.to_owned());
    }
    if words.starts_with("duplicate key") {
        return twice(source, span);
    }
    if words.starts_with("key with no value") {
        let colon = line.split_once(':').filter(|(key, _)| is_bare(key.trim()));
        let help = match colon {
            Some((key, value)) => format!("this is TOML, not YAML: {} = {}", key.trim(), quoted(value.trim())),
            None => "write it as `key = value`".to_owned(),
        };
        return said("this key has no value", help);
    }
    if words.starts_with("unexpected key or value") {
        let inside = line.matches('"').count() > 2 || line.matches('\'').count() > 2;
        let help = match inside {
            true => "a quote ends a string: write the string in the other kind of quotes, or in three of them",
            false => "one key stands on a line",
        };
        return said("there is something behind the value", help.to_owned());
    }
    if words.contains("basic string") || words.contains("literal string") {
        return unclosed_string(words, source, span);
    }
    let help = match words {
        w if w.starts_with("missing comma") => "put a comma between the values, or close the array with `]`",
        w if w.starts_with("unclosed array") => "close it with `]`",
        w if w.starts_with("unclosed table") => "close it with `]`",
        w if w.starts_with("unclosed inline table") => "close it with `}` on the same line",
        // `umask = 027` is how the rest of the world writes it.
        w if w.contains("leading zero") => "an octal number is written as 0o27, or in quotes: \"027\"",
        w if w.starts_with("invalid unquoted key") => "a name is made of letters, digits, `-` and `_`",
        _ => "",
    };
    said(&format!("invalid TOML: {words}"), help.to_owned())
}

fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" => Some(true),
        "false" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// Editors and web pages turn plain quotes into others.
fn quotes_help(text: &str) -> String {
    let plain = text.trim_matches(['\u{201c}', '\u{201d}', '\u{201e}', '\u{2018}', '\u{2019}']);
    let kind = if plain == text { "" } else { "plain " };
    format!("put it in {kind}quotes: {}", quoted(plain))
}

fn quoted(text: &str) -> String {
    let text = text.trim_matches(['"', '\'']);
    if text.contains(['"', '\\']) { format!("'{text}'") } else { format!("\"{text}\"") }
}

fn is_bare(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// The text of the line on which the span starts.
fn line(source: &Source, span: Span) -> &str {
    let (before, after) = source.text.split_at_checked(span.range().start).unwrap_or((&source.text, ""));
    let start = before.rfind('\n').map_or(0, |newline| newline.saturating_add(1));
    let end = before.len().saturating_add(after.find('\n').unwrap_or(after.len()));
    source.text.get(start..end).unwrap_or("")
}

/// A key or table that is given twice; TOML allows that to neither.
fn twice(source: &Arc<Source>, span: Span) -> Diagnostic {
    let name = source.slice(span);
    let is_table = line(source, span).trim_start().starts_with('[');
    let what = if is_table { format!("the table [{name}]") } else { format!("`{name}`") };
    let error = Diagnostic::error(format!("{what} is given twice")).at(source, span).label("again here");
    let error = error.help(if is_table { "put all its keys below one of them" } else { "keep one of them" });
    let before = source.text.get(..span.range().start).unwrap_or("");
    // The keys of the same table only.
    let section = if is_table { 0 } else { before.rfind("\n[").unwrap_or(0) };
    let first = before.get(section..).unwrap_or("").match_indices(name).map(|(at, _)| section.saturating_add(at));
    let first = first.map(|at| Span::from(at..at.saturating_add(name.len()))).find(|first| {
        let after = source.text.get(first.range().end..).unwrap_or("").trim_start();
        let text = line(source, *first).trim_start();
        if is_table {
            text.starts_with('[') && after.starts_with(']')
        } else {
            text.starts_with(name) && after.starts_with('=')
        }
    });
    match first {
        Some(first) => error.note(&Place { source: source.clone(), span: first }, "first here"),
        None => error,
    }
}

/// A string without an end. The parser points at where it gave up; the beginning tells more.
fn unclosed_string(words: &str, source: &Arc<Source>, span: Span) -> Diagnostic {
    let mark = match (words.contains("multi-line"), words.contains("literal")) {
        (true, true) => "'''",
        (true, false) => "\"\"\"",
        (false, true) => "'",
        (false, false) => "\"",
    };
    let before = source.text.get(..span.range().start).unwrap_or("");
    let start = before.rfind(mark).unwrap_or(before.len());
    let end = source
        .text
        .get(start..)
        .and_then(|rest| rest.find('\n'))
        .map_or(source.text.len(), |n| start.saturating_add(n));
    let error = Diagnostic::error("this string is never closed").at(source, Span::from(start..end));
    error.help(format!("close it with {mark}"))
}
