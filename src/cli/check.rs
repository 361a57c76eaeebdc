//! `horust check`: loads a configuration as a start would, looks at more than a start does, and says what it found. It
//! starts nothing.

use super::ExitCode;
use super::args::{CheckOptions, Format};
use super::output::{answer, colour, complain};
use crate::config::{self, Lint, Loaded, Options, Severity};
use crate::runtime::preflight::Machine;
use std::cell::RefCell;

/// Checks directories and files. Answers on standard output.
pub fn run(options: &CheckOptions) -> ExitCode {
    let secrets = RefCell::new(Vec::new());
    let env = |name: &str| {
        let value = std::env::var_os(name);
        if let Some(text) = value.as_ref().and_then(|value| value.to_str()).filter(|_| config::is_secret(name)) {
            secrets.borrow_mut().push((name.to_owned(), text.to_owned()));
        }
        value
    };
    let skip_invalid = options.effective.is_some();
    let (services, config) = (options.paths.as_slice(), options.config.as_deref());
    let sources = Options { services, config, skip_invalid, env: &env };
    if let Some(name) = &options.effective {
        let loaded = config::load(&sources);
        complain(&config::render(&loaded.diagnostics, colour(&std::io::stderr())));
        return show(name, &loaded, &secrets.borrow(), options.strict);
    }
    let lint = Lint { machine: &Machine::new(), stop_timeout: options.stop_timeout };
    let loaded = config::check(&sources, &lint);
    answer(&match options.format {
        Format::Json => config::json(&loaded.diagnostics),
        Format::Text => page(&loaded),
    });
    code(&loaded, options.strict)
}

fn code(loaded: &Loaded, strict: bool) -> ExitCode {
    let any = |severity| loaded.diagnostics.iter().any(|d| d.severity == severity);
    match loaded.refused || any(Severity::Error) {
        true => ExitCode::Configuration,
        false if strict && any(Severity::Warning) => ExitCode::Warnings,
        false => ExitCode::Ok,
    }
}

fn page(loaded: &Loaded) -> String {
    let page = config::render(&loaded.diagnostics, colour(&std::io::stdout()));
    let count = loaded.plan.services.len();
    match loaded.refused {
        true => page,
        false => format!("{page}{count} service{} can be started\n", if count == 1 { "" } else { "s" }),
    }
}

/// `--effective`: prints one service.
fn show(name: &str, loaded: &Loaded, secrets: &[(String, String)], strict: bool) -> ExitCode {
    let services = &loaded.plan.services;
    let find = |name: &str| services.iter().find(|service| service.name == name);
    let code = code(loaded, strict);
    match find(name).or_else(|| find(name.strip_suffix(".toml")?)) {
        Some(service) => answer(&config::effective(&loaded.plan, service, secrets)),
        // It may be one of those with errors, which have been told.
        None if code == ExitCode::Configuration => {}
        None => {
            let names: Vec<&str> = services.iter().map(|service| service.name.as_str()).collect();
            complain(&format!("there is no service `{name}`; there is: {}\n", names.join(", ")));
            return ExitCode::Usage;
        }
    }
    code
}
