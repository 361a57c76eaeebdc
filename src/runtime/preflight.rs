//! What a service would meet on this machine if it were started now, for `horust check`. The same code looks that looks at
//! a start; nothing is started.

use super::environment::Base;
use crate::config;
use crate::model::{Command, Environment, IdOrName, ServiceSpec};
use crate::sys::users::{self, UserRef};
use crate::sys::{SysError, program};
use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// A program, its PATH, and the directory that it is run in.
type Lookup = (PathBuf, OsString, Option<PathBuf>);

/// This machine.
pub struct Machine {
    base: Base,
    /// What was found about programs: many services run the same one.
    programs: RefCell<HashMap<Lookup, Option<(String, String)>>>,
    /// What was found about users and groups: each answer reads the whole database.
    accounts: RefCell<HashMap<(&'static str, String), Option<String>>>,
}

impl Machine {
    /// Reads Horust's environment.
    pub fn new() -> Machine {
        Machine { base: Base::read(), programs: RefCell::default(), accounts: RefCell::default() }
    }
}

impl Default for Machine {
    fn default() -> Machine {
        Machine::new()
    }
}

impl config::Machine for Machine {
    fn program(&self, spec: &ServiceSpec, command: &Command) -> Option<(String, String)> {
        // What can't be read is told apart; the PATH is hardly in there.
        let without_files =
            || Environment { load: Vec::new(), secrets: Vec::new(), ..Environment::clone(&spec.environment) };
        let build = |environment: &Environment| self.base.build(environment, spec.user());
        let env = build(&spec.environment).or_else(|_| build(&without_files())).ok()?;
        let cwd = spec.working_directory.as_deref();
        let program = Path::new(command.program());
        if program.is_relative() && command.program().contains('/') && cwd.is_some_and(|cwd| !cwd.is_dir()) {
            return None;
        }
        let key = (program.to_owned(), env.path().to_owned(), cwd.map(Path::to_owned));
        let look = || problem(program, env.path(), cwd);
        self.programs.borrow_mut().entry(key).or_insert_with(look).clone()
    }

    fn environment(&self, spec: &ServiceSpec) -> Option<String> {
        self.base.build(&spec.environment, spec.user()).err()
    }

    fn user(&self, user: &IdOrName) -> Option<String> {
        self.account("user", user, |name| Ok(users::find(&UserRef::Name(name.to_owned()))?.is_some()))
    }

    fn group(&self, group: &IdOrName) -> Option<String> {
        self.account("group", group, |name| Ok(users::find_group(name)?.is_some()))
    }
}

impl Machine {
    fn account(
        &self,
        kind: &'static str,
        account: &IdOrName,
        is_there: impl Fn(&str) -> Result<bool, SysError>,
    ) -> Option<String> {
        // A number needs no entry.
        let IdOrName::Name(name) = account else { return None };
        let look = || match is_there(name) {
            Ok(true) => None,
            Ok(false) => Some(format!("there is no {kind} `{name}` on this machine")),
            Err(error) => Some(error.to_string()),
        };
        self.accounts.borrow_mut().entry((kind, name.clone())).or_insert_with(look).clone()
    }
}

/// Why the program can't be run, and what to do about it.
fn problem(program: &Path, path: &OsStr, cwd: Option<&Path>) -> Option<(String, String)> {
    match program::find_program(program.as_os_str(), path, cwd) {
        Ok(found) => {
            let why = program::problem(program::as_path(&found), cwd.filter(|_| program.is_relative()))?;
            Some((why, String::new()))
        }
        Err(error) => Some((error.to_string(), format!("its PATH is {}", path.display()))),
    }
}
