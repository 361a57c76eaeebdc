//! The user database and the machine's name. Read-only: changing who we are is the exec stage's business.

use std::path::PathBuf;
use std::sync::Once;

use nix::errno::Errno;
use nix::unistd::{Group, Uid, User};

use super::{SysError, raw};

/// A user as somebody names one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserRef {
    /// By number, with or without an entry in the user database.
    Id(u32),
    /// By name, which needs an entry.
    Name(String),
}

/// A group as somebody names one.
pub type GroupRef = UserRef;

impl std::fmt::Display for UserRef {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Id(id) => write!(out, "{id}"),
            Self::Name(name) => write!(out, "{name}"),
        }
    }
}

impl std::str::FromStr for UserRef {
    type Err = std::convert::Infallible;

    /// A number is an id.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(text.parse().map_or_else(|_| Self::Name(text.to_owned()), Self::Id))
    }
}

/// An entry of the user database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserInfo {
    /// The login name.
    pub name: String,
    /// The user's number.
    pub uid: u32,
    /// The primary group's number.
    pub gid: u32,
    /// The home directory.
    pub home: PathBuf,
    /// The login shell.
    pub shell: PathBuf,
}

/// Makes a static glibc read users, groups and hosts from the files (and hosts by DNS) alone. Otherwise it loads the
/// modules that nsswitch.conf names with dlopen, and a static program with a part of another glibc in it crashes.
/// `find` calls it by itself; call it at the start of every mode that resolves host names. Elsewhere it does nothing.
pub fn static_nss() {
    static ONCE: Once = Once::new();
    ONCE.call_once(raw::nss_files_only);
}

/// The user's entry; none if there is no such user, or nothing to look it up in.
pub fn lookup(user: &UserRef) -> Option<UserInfo> {
    find(user).ok().flatten()
}

/// As `lookup`, but a database that can't be read is an error and not "no such user".
pub fn find(user: &UserRef) -> Result<Option<UserInfo>, SysError> {
    static_nss();
    let found = match user {
        UserRef::Id(id) => User::from_uid(Uid::from_raw(*id)),
        UserRef::Name(name) => User::from_name(name),
    };
    let found = found_or_not(found, || format!("user {user}"))?;
    Ok(found.map(|entry| UserInfo {
        name: entry.name,
        uid: entry.uid.as_raw(),
        gid: entry.gid.as_raw(),
        home: entry.dir,
        shell: entry.shell,
    }))
}

/// A group's number; none if there is no group of this name.
pub fn find_group(name: &str) -> Result<Option<u32>, SysError> {
    static_nss();
    let found = found_or_not(Group::from_name(name), || format!("group {name}"))?;
    Ok(found.map(|entry| entry.gid.as_raw()))
}

/// How various C libraries say "not found" (getpwnam(3)); ENOENT is also what an image without the file gives.
fn found_or_not<T>(answer: Result<Option<T>, Errno>, what: impl FnOnce() -> String) -> Result<Option<T>, SysError> {
    match answer {
        Err(Errno::ENOENT | Errno::ESRCH | Errno::EBADF | Errno::EPERM) => Ok(None),
        answer => answer.map_err(|errno| SysError::new("look up", what(), errno)),
    }
}

/// Our effective user id.
pub fn current_uid() -> u32 {
    Uid::effective().as_raw()
}

/// The machine's name; empty if it has none that is text.
pub fn hostname() -> String {
    let name = nix::unistd::gethostname().unwrap_or_default();
    name.to_str().unwrap_or_default().trim().to_owned()
}
