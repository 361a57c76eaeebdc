//! Program files: finding one as a shell would, and telling in plain words why one could not be run. The explanation
//! looks at files again only after a failure; a start that works pays nothing for it.

use std::ffi::{CStr, CString, OsStr};
use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::{AccessFlags, access};

/// What fork(2) means by EAGAIN.
pub(super) const TOO_MANY: &str = "the limit of processes is reached";

/// The kernel reads this much of a file to tell what it is (BINPRM_BUF_SIZE, Linux 5.1); an ELF file's program headers
/// are near its beginning as well.
const HEAD: u64 = 1024;

/// No file of that name that could be run was in any directory of the path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotFound {
    /// The name looked for.
    pub program: String,
    /// A file of that name which may not be executed.
    pub denied: Option<PathBuf>,
}

impl std::fmt::Display for NotFound {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Program {:?} not found in any of the PATH directories", self.program)?;
        match &self.denied {
            Some(path) => write!(out, " ({} is there, but may not be executed)", path.display()),
            None => Ok(()),
        }
    }
}

impl std::error::Error for NotFound {}

/// The same bytes as a path.
pub fn as_path(text: &CStr) -> &Path {
    Path::new(OsStr::from_bytes(text.to_bytes()))
}

/// The file that running `name` means. A name with a slash is taken as it is, relative to the directory in which it
/// will be run; any other is the first executable regular file of that name in `path_var`'s directories. Those that
/// are relative (an empty one is the current directory) start at `cwd`, where the exec will take place, or at ours.
pub fn find_program(name: &OsStr, path_var: &OsStr, cwd: Option<&Path>) -> Result<CString, NotFound> {
    let not_found = |denied| NotFound { program: name.to_string_lossy().into_owned(), denied };
    if name.is_empty() {
        return Err(not_found(None));
    }
    if name.as_bytes().contains(&b'/') {
        return CString::new(name.as_bytes()).map_err(|_| not_found(None));
    }
    let mut denied = None;
    for directory in path_var.as_bytes().split(|&byte| byte == b':') {
        let path = in_directory(directory, Path::new(name));
        let seen_from_here = cwd.map_or_else(|| path.clone(), |cwd| cwd.join(&path));
        if access(&seen_from_here, AccessFlags::X_OK).is_ok() {
            if seen_from_here.is_file() {
                return CString::new(path.as_os_str().as_bytes()).map_err(|_| not_found(None));
            }
        } else if denied.is_none() && seen_from_here.is_file() {
            denied = Some(path);
        }
    }
    Err(not_found(denied))
}

/// Where programs are without a PATH (execvp(3)); never the current directory.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// Where programs are in this environment.
pub(super) fn path_of(env: &[CString]) -> &OsStr {
    let path = env.iter().find_map(|variable| variable.to_bytes().strip_prefix(b"PATH="));
    path.map_or(OsStr::new(DEFAULT_PATH), OsStr::from_bytes)
}

/// The paths that `find_program` looks at, in this environment.
pub(super) fn candidates(name: &CStr, env: &[CString]) -> Vec<CString> {
    if name.is_empty() || name.to_bytes().contains(&b'/') {
        return vec![name.to_owned()];
    }
    let directories = path_of(env).as_bytes().split(|&byte| byte == b':');
    directories
        .filter_map(|directory| CString::new(in_directory(directory, as_path(name)).as_os_str().as_bytes()).ok())
        .collect()
}

/// An empty directory of a PATH is the current one.
fn in_directory(directory: &[u8], name: &Path) -> PathBuf {
    Path::new(OsStr::from_bytes(if directory.is_empty() { b"." } else { directory })).join(name)
}

/// Why `program` could not be run in `cwd`, as far as that can be seen without running it.
pub fn problem(program: &Path, cwd: Option<&Path>) -> Option<String> {
    let path = cwd.map_or_else(|| program.to_path_buf(), |cwd| cwd.join(program));
    match access(&path, AccessFlags::X_OK) {
        Ok(()) if path.is_file() => {
            let head = head(&path);
            let needed = interpreter(&head).or_else(|| loader(&head))?;
            let missing = needed.starts_with('/') && !Path::new(&needed).exists();
            if missing { explain_interpreter(&program.display().to_string(), &head) } else { None }
        }
        Ok(()) => Some(explain(program, cwd, Errno::EACCES)),
        Err(errno) => Some(explain(program, cwd, errno)),
    }
}

/// Why `program` could not be run in `cwd`, given exec's or chdir's error: in plain words and without the program's
/// arguments, which may be secrets.
pub fn explain(program: &Path, cwd: Option<&Path>, errno: Errno) -> String {
    if let Some(problem) = cwd.and_then(explain_cwd) {
        return problem;
    }
    let name = program.display();
    let path = cwd.map_or_else(|| program.to_path_buf(), |cwd| cwd.join(program));
    match errno {
        Errno::E2BIG => return format!("the arguments and environment of {name} are too large"),
        Errno::EAGAIN => return format!("cannot start {name}: {TOO_MANY}"),
        Errno::ENOMEM => return format!("cannot start {name}: out of memory"),
        Errno::ETXTBSY => return format!("the program {name} is being written to"),
        _ => {}
    }
    match path.metadata() {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => format!("the program {name} does not exist"),
        Err(error) if error.raw_os_error() == Some(libc::ENOTDIR) => {
            format!("the program {name} does not exist: part of its path is not a directory")
        }
        Err(error) => format!("the program {name} cannot be reached: {}", describe(&error)),
        Ok(data) => explain_file(&name.to_string(), &path, &data, errno),
    }
}

fn explain_cwd(cwd: &Path) -> Option<String> {
    let name = cwd.display();
    match cwd.metadata() {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {
            Some(format!("the working directory {name} does not exist"))
        }
        Err(error) => Some(format!("the working directory {name} cannot be reached: {}", describe(&error))),
        Ok(data) if !data.is_dir() => Some(format!("the working directory {name} is not a directory")),
        Ok(_) if access(cwd, AccessFlags::X_OK).is_err() => {
            Some(format!("the working directory {name} may not be entered: permission denied"))
        }
        Ok(_) => None,
    }
}

fn explain_file(name: &str, path: &Path, data: &Metadata, errno: Errno) -> String {
    if data.is_dir() {
        return format!("{name} is a directory, not a program");
    }
    if !data.is_file() {
        return format!("{name} is not a regular file");
    }
    if errno == Errno::EACCES {
        return explain_denied(name, path, data);
    }
    let head = head(path);
    if errno == Errno::ENOENT
        && let Some(problem) = explain_interpreter(name, &head)
    {
        return problem;
    }
    if errno == Errno::ENOEXEC && is_elf(&head) {
        return format!("the program {name} is built for another kind of machine, or is damaged");
    }
    format!("cannot execute {name}: {}", errno.desc())
}

fn explain_denied(name: &str, path: &Path, data: &Metadata) -> String {
    let mode = data.permissions().mode() & 0o7777;
    if mode & 0o111 == 0 {
        return format!("{name} is not executable (its mode is {mode:04o})");
    }
    if statvfs(path).is_ok_and(|system| system.flags().contains(FsFlags::ST_NOEXEC)) {
        return format!("{name} is on a file system that is mounted noexec");
    }
    if access(path, AccessFlags::X_OK).is_err() {
        return format!(
            "no permission to execute {name} (mode {mode:04o}, owner {}, group {}; run by user {})",
            data.uid(),
            data.gid(),
            super::users::current_uid()
        );
    }
    // The file itself is fine, so it is what its first line names.
    match interpreter(&head(path)) {
        Some(interpreter) => format!("no permission to execute {interpreter}, the interpreter of {name}"),
        None => format!("no permission to execute {name}"),
    }
}

/// ENOENT for a file that is there is about what should run it.
fn explain_interpreter(name: &str, head: &[u8]) -> Option<String> {
    if let Some(interpreter) = interpreter(head) {
        let hint = if interpreter.ends_with('\r') { ": its first line ends with a carriage return" } else { "" };
        let shown = interpreter.escape_debug();
        return Some(format!("{shown}, the interpreter of the script {name}, does not exist{hint}"));
    }
    let loader = loader(head)?;
    Some(format!("{loader}, the dynamic loader of {name}, does not exist: it was built for another C library"))
}

/// What follows `#!` (execve(2)): the interpreter, without its argument.
fn interpreter(head: &[u8]) -> Option<String> {
    let line = head.strip_prefix(b"#!")?.split(|&byte| byte == b'\n').next()?;
    let word = line.split(|byte| matches!(byte, b' ' | b'\t')).find(|word| !word.is_empty())?;
    Some(String::from_utf8_lossy(word).into_owned())
}

/// Whether a file begins as ELF files do.
pub(super) fn is_elf(head: &[u8]) -> bool {
    head.starts_with(b"\x7fELF")
}

/// The PT_INTERP of a 64-bit little-endian ELF file (elf(5)): the dynamic loader that its C library needs.
fn loader(head: &[u8]) -> Option<String> {
    if !is_elf(head) || head.get(4..6)? != [2, 1] {
        return None;
    }
    let number = |at: usize, length: usize| -> Option<usize> {
        let bytes = head.get(at..at.checked_add(length)?)?;
        bytes.iter().rev().try_fold(0_usize, |sum, &byte| Some(sum.checked_mul(256)? | usize::from(byte)))
    };
    let (table, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
    for entry in 0..count {
        let at = table.checked_add(entry.checked_mul(size)?)?;
        if number(at, 4)? == 3 {
            let (offset, length) = (number(at.checked_add(8)?, 8)?, number(at.checked_add(32)?, 8)?);
            let text = head.get(offset..offset.checked_add(length)?)?;
            return Some(String::from_utf8_lossy(text).trim_end_matches('\0').to_owned());
        }
    }
    None
}

/// The beginning of a file; empty if it can't be read.
pub(super) fn head(path: &Path) -> Vec<u8> {
    let mut head = Vec::new();
    if let Ok(file) = File::open(path) {
        let _as_far_as_it_went = file.take(HEAD).read_to_end(&mut head);
    }
    head
}

fn describe(error: &std::io::Error) -> &'static str {
    error.raw_os_error().map_or("unknown error", |code| Errno::from_raw(code).desc())
}
