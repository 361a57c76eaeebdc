//! `horust check`: loads a configuration as a start would, and says what it found. It starts nothing.

use super::ExitCode;
use super::output::{answer, colour};
use crate::config::{self, Options};
use std::path::{Path, PathBuf};

/// Checks these directories and files (the default directory if none) and answers on standard output.
pub fn run(paths: &[PathBuf], config: Option<&Path>) -> ExitCode {
    let env = |name: &str| std::env::var_os(name);
    let loaded = config::load(&Options { services: paths, config, skip_invalid: false, env: &env });
    answer(&config::render(&loaded.diagnostics, colour(&std::io::stdout())));
    if loaded.refused {
        return ExitCode::Configuration;
    }
    let count = loaded.plan.services.len();
    answer(&format!("{count} service{} can be started\n", if count == 1 { "" } else { "s" }));
    ExitCode::Ok
}
