//! `horust.toml`: Horust's own settings. A missing or empty file means defaults, unless the user named the file.

use super::diagnostic::{Diagnostic, Layer, Span};
use super::read;
use super::schema::HorustToml;
use super::template::Env;
use super::values::Read;
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
    let source = match read::source(path, Layer::HorustToml) {
        Ok(source) => source,
        Err(diagnostic) => {
            diagnostics.push(diagnostic);
            return HorustToml::default();
        }
    };
    let settings = read::table(source, env, diagnostics, |entries, cx| {
        let settings = HorustToml::read(DeValue::Table(entries), Span::default(), cx)?;
        if let Some(at) = settings.web_server.as_ref().filter(|at| at.value.0) {
            cx.push(at.warning("`web-server` has no effect yet"));
        }
        Some(settings)
    });
    settings.and_then(|parsed| parsed.value).unwrap_or_default()
}
