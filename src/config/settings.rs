//! `horust.toml`: Horust's own settings. A missing or empty file means defaults, unless the user named the file.

use super::diagnostic::{Diagnostic, Layer, Span};
use super::read;
use super::schema::HorustToml;
use super::template::Env;
use super::values::{Cx, Read};
use std::path::Path;
use toml::de::DeValue;

/// Where it is when nothing else is said.
const DEFAULT_PATH: &str = "/etc/horust/horust.toml";

/// Where it is.
pub fn path(named: Option<&Path>) -> &Path {
    named.unwrap_or(Path::new(DEFAULT_PATH))
}

/// Reads it.
pub fn load(named: Option<&Path>, env: Env<'_>, diagnostics: &mut Vec<Diagnostic>) -> HorustToml {
    let path = path(named);
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
        check_reach(&settings, cx);
        Some(settings)
    });
    settings.and_then(|parsed| parsed.value).unwrap_or_default()
}

/// Services run what their files say, so their state is nobody's business but the machine's: whoever opens it to others
/// has to say who they are.
fn check_reach(settings: &HorustToml, cx: &mut Cx<'_>) {
    let Some(at) = &settings.web_server else { return };
    let Some(address) = at.value.0.filter(|address| !address.ip().to_canonical().is_loopback()) else { return };
    let control = settings.control.as_ref().map(|at| &at.value);
    let guarded = control.and_then(|control| control.token_for_reading.as_ref()).is_some_and(|at| at.value);
    if !guarded {
        let message =
            format!("`web-server`: anybody who can reach {address} could look at the services and their output");
        let help = "add `token-for-reading = true` to [control], or listen at 127.0.0.1";
        cx.push(at.error(message).help(help));
    }
}
