//! What a service would meet on this machine if it were started now, for `horust check`. The same code looks that looks at
//! a start; nothing is started.

use super::environment::Base;
use crate::config;
use crate::model::{Command, IdOrName, ServiceSpec};
use crate::sys::program;
use crate::sys::users::{self, UserRef};
use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::Path;

/// This machine.
pub struct Machine {
    base: Base,
    /// What was found about users: each answer reads the whole database.
    users: RefCell<HashMap<String, Option<String>>>,
}

impl Machine {
    /// Reads Horust's environment.
    pub fn new() -> Machine {
        Machine { base: Base::read(), users: RefCell::default() }
    }
}

impl Default for Machine {
    fn default() -> Machine {
        Machine::new()
    }
}

impl config::Machine for Machine {
    fn program(&self, spec: &ServiceSpec, command: &Command) -> Option<String> {
        // Without an environment there is no PATH; that was said already.
        let env = self.base.build(&spec.environment, spec.user()).ok()?;
        let cwd = spec.working_directory.as_deref();
        let program = Path::new(command.program());
        if program.is_relative() && cwd.is_some_and(|cwd| !cwd.is_dir()) {
            return None;
        }
        match program::find_program(OsStr::new(command.program()), env.path(), cwd) {
            Ok(path) => program::problem(program::as_path(&path), cwd.filter(|_| program.is_relative())),
            Err(error) => Some(error.to_string()),
        }
    }

    fn environment(&self, spec: &ServiceSpec) -> Option<String> {
        self.base.build(&spec.environment, spec.user()).err()
    }

    fn user(&self, user: &IdOrName) -> Option<String> {
        // A number needs no entry.
        let IdOrName::Name(name) = user else { return None };
        let look = || match users::find(&UserRef::Name(name.clone())) {
            Ok(Some(_)) => None,
            Ok(None) => Some(format!("there is no user `{name}` on this machine")),
            Err(error) => Some(error.to_string()),
        };
        self.users.borrow_mut().entry(name.clone()).or_insert_with(look).clone()
    }
}
