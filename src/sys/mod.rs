//! Linux, and nothing of ours: this folder knows processes, signals, file descriptors and users, never services. It
//! imports nothing from the crate, so bounds come in as arguments, and the only `unsafe` of the program is in `raw`.

pub mod capabilities;
pub mod cgroup;
mod direct;
pub mod exe;
pub mod fds;
mod identity;
pub mod limits;
pub mod machine;
pub mod memory;
pub mod notify;
pub mod oom;
mod order;
pub mod peer;
pub mod poll;
pub mod process;
pub mod program;
mod raw;
pub mod reap;
pub mod signals;
pub mod spawn;
pub mod stage;
pub mod status;
pub mod subtree;
pub mod tree;
pub mod users;
pub mod wake;

pub use nix::errno::Errno;

/// A system call that failed: what was tried, on what, and the kernel's reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot {op} {target}: {}", .errno.desc())]
pub struct SysError {
    /// What was tried, as a verb: `open`, `start`, `signal`.
    pub op: &'static str,
    /// What it was tried on.
    pub target: String,
    /// The kernel's reason.
    pub errno: Errno,
}

impl SysError {
    pub(crate) fn new(op: &'static str, target: impl Into<String>, errno: Errno) -> Self {
        Self { op, target: target.into(), errno }
    }

    /// For `map_err`: the target's text is made only when there is an error.
    pub(crate) fn on<T: ToString + ?Sized>(op: &'static str, target: &T) -> impl FnOnce(Errno) -> Self {
        move |errno| Self { op, target: target.to_string(), errno }
    }
}
