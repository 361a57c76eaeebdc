//! What `horust check` warns of beyond a start's errors, word for word, on a machine that the tests make up.

use super::broken::assert_pages;
use super::support::environment;
use horust::config::{Lint, Machine, Options, check};
use horust::model::{Command, IdOrName, ServiceSpec};
use std::time::Duration;

/// Whatever is called `missing` is not there.
struct MadeUp;

impl Machine for MadeUp {
    fn program(&self, _: &ServiceSpec, command: &Command) -> Option<(String, String)> {
        let program = command.program();
        let there = program.starts_with('/') || program == "sleep";
        (!there).then(|| (format!("Program {program:?} not found"), "its PATH is /bin".to_owned()))
    }

    fn environment(&self, spec: &ServiceSpec) -> Option<String> {
        let missing =
            spec.environment.load.iter().find(|(path, optional)| path.starts_with("/missing") && !optional)?;
        Some(format!("cannot read the environment file {}", missing.0.display()))
    }

    fn user(&self, user: &IdOrName) -> Option<String> {
        (*user == IdOrName::Name("missing".to_owned())).then(|| "there is no user `missing` on this machine".to_owned())
    }

    fn group(&self, group: &IdOrName) -> Option<String> {
        (*group == IdOrName::Name("missing".to_owned()))
            .then(|| "there is no group `missing` on this machine".to_owned())
    }
}

#[test]
fn check_warns_word_for_word() {
    assert_pages("checks", |set, config| {
        let services = [set.dir.path().to_owned()];
        let options = Options { services: &services, config, skip_invalid: false, env: &environment };
        check(&options, &Lint { machine: &MadeUp, stop_timeout: Duration::from_secs(10) })
    });
}
