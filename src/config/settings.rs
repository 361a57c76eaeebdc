//! `horust.toml`: Horust's own settings. A missing or empty file means defaults, unless the user named the file.

use super::diagnostic::{Diagnostic, Span};
use super::read;
use super::schema::HorustToml;
use super::template::Env;
use super::values::{Cx, Read};
use std::path::Path;
use toml::de::DeValue;

/// Where it is when nothing else is said.
pub const DEFAULT_PATH: &str = "/etc/horust/horust.toml";

/// Reads it.
pub fn load(named: Option<&Path>, env: Env<'_>, diagnostics: &mut Vec<Diagnostic>) -> HorustToml {
    let path = named.unwrap_or(Path::new(DEFAULT_PATH));
    if named.is_none() && !path.exists() {
        return HorustToml::default();
    }
    let source = match read::source(path) {
        Ok(source) if source.text.trim().is_empty() => return HorustToml::default(),
        Ok(source) => source,
        Err(diagnostic) => {
            diagnostics.push(diagnostic);
            return HorustToml::default();
        }
    };
    let settings = read::table(source, env, diagnostics, |entries, source, diagnostics| {
        let mut cx = Cx { source, diagnostics, key: "" };
        let settings = HorustToml::read(DeValue::Table(entries), Span::default(), &mut cx)?;
        if let Some(at) = settings.web_server.as_ref().filter(|at| at.value.0) {
            cx.push(cx.warning(at.span, "`web-server` has no effect yet"));
        }
        Some(settings)
    });
    settings.unwrap_or_default()
}
