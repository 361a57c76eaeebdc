//! Our own program file, to run again: as the exec stage and, after a panic, in rescue mode. Opened at start, so that
//! both work when the file is replaced or removed, or when /proc goes away.

use std::convert::Infallible;
use std::ffi::{CStr, CString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;

use nix::fcntl::{AtFlags, OFlag, open};
use nix::sys::stat::Mode;

use super::{SysError, program, raw};

const SELF: &CStr = c"/proc/self/exe";

/// Our own program file.
#[derive(Debug)]
pub struct Image {
    fd: Option<OwnedFd>,
    path: CString,
}

impl Image {
    /// Call it early, before the working directory changes.
    pub fn open() -> Self {
        let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
        if let Ok(fd) = open(SELF, flags, Mode::empty()) {
            return Self { fd: Some(fd), path: SELF.to_owned() };
        }
        // Without /proc: the name that execve was given, made absolute.
        let name = raw::exec_name().unwrap_or_default();
        let path = std::path::absolute(program::as_path(&name)).ok();
        let path = path.and_then(|path| CString::new(path.into_os_string().into_vec()).ok()).unwrap_or(name);
        Self { fd: open(path.as_c_str(), flags, Mode::empty()).ok(), path }
    }

    /// A path that runs our program: /proc/self/exe, which also names a file that was removed, wherever there is a
    /// /proc.
    pub fn path(&self) -> &CStr {
        &self.path
    }

    /// Replaces this process by our program from its beginning; pid and children stay. Returns only if that failed.
    pub fn exec(&self, argv: &[CString], env: &[CString]) -> Result<Infallible, SysError> {
        if let Some(fd) = &self.fd {
            // execveat(2), Linux 3.19: by descriptor, so without any path. It fails for want of the system call only.
            let Err(_try_by_path) = nix::unistd::execveat(fd, c"", argv, env, AtFlags::AT_EMPTY_PATH);
        }
        nix::unistd::execve(&self.path, argv, env).map_err(|errno| {
            let path = program::as_path(&self.path).display().to_string();
            SysError::new("execute", path, errno)
        })
    }
}
