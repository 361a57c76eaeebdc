//! The way around the exec stage: what takes system calls alone a forked child does by itself, without starting our own image
//! first, which costs more than all else of a start. Whatever fails there, for the stage to say why: the child executes it then.
//!
//! It is a fork, not a vfork: with the rights of another user a child must not share our memory, and whoever that user is must
//! not be able to hold us up by stopping it, or by a file system of its own that never answers.

use std::ffi::CString;

use super::identity::Identity;
use super::limits::Limit;
use super::order::Setup;
use super::program;
use super::raw::Change;
use super::spawn::Program;

/// What the child does.
pub(super) struct Direct {
    /// Becoming what the setup asks for.
    pub changes: Vec<Change>,
    /// Where the program may be.
    pub paths: Vec<CString>,
    /// Its environment.
    pub env: Vec<CString>,
}

impl Direct {
    /// None: it takes the exec stage.
    pub fn of(program: &Program, setup: &Setup) -> Option<Direct> {
        // All by name, so that no later setting is forgotten here.
        let Setup {
            // What files are written or removed for, and what takes a look at what we are.
            cgroup,
            remove,
            foreground_tty,
            nice,
            oom_score_adj,
            capabilities,
            // System calls, after a look at the user database.
            user: _,
            set_user: _,
            set_home: _,
            group: _,
            groups: _,
            only_groups: _,
            limits,
            umask,
            no_new_privs,
        } = setup;
        let files = cgroup.is_some() || !remove.is_empty() || *foreground_tty || oom_score_adj.is_some();
        // System calls of 32-bit machines have 16-bit users.
        if files || nice.is_some() || capabilities.is_some() || cfg!(not(target_pointer_width = "64")) {
            return None;
        }
        let identity = Identity::look_up(setup).ok()?;
        let mut changes = limits.iter().map(Limit::change).collect::<Option<Vec<_>>>()?;
        changes.extend(umask.map(|mask| Change::Umask(mask.into())));
        changes.extend(identity.changes()?);
        changes.extend(no_new_privs.then_some(Change::NoNewPrivs));
        let mut env = program.env.clone();
        identity.introduce(setup, &mut env);
        let paths = program::candidates(&program.path, &env);
        Some(Direct { changes, paths, env })
    }
}
