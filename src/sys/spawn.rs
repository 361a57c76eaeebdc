//! Starting programs as vfork(2) does: the child shares our memory until its exec, so a start costs the same however large
//! we are. Either the program itself, or our own image as its exec stage (see `stage`) where the child has to become
//! something; or by a fork that does without the stage as far as it can (see `direct`). No waiting.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::sys::stat::Mode;

use super::direct::Direct;
pub use super::order::Setup;
pub use super::program::{NotFound, as_path, explain, find_program};
use super::raw::{self, Birth, Try};
pub use super::status::{StageStatus, StatusPipe};
use super::{SysError, order, program, status};

/// Where the stage finds its status pipe, unless the program gets a descriptor of this number: then at the next one.
const STATUS_FD: RawFd = 3;

/// What runs a script without a first line that says so (execvp(3)).
pub(super) const SHELL: &CStr = c"/bin/sh";

/// What to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// The file. For `spawn` a path, as `find_program` returns it; `spawn_staged` also takes a bare name and looks it up
    /// in the PATH of `env`, as the user and in the directory that the program will have.
    pub path: CString,
    /// The arguments, the program's own name first.
    pub argv: Vec<CString>,
    /// The whole environment, `NAME=value` each.
    pub env: Vec<CString>,
}

/// What a standard stream is connected to.
#[derive(Debug, Clone, Copy)]
pub enum Stdio<'a> {
    /// Our own stream of that number.
    Inherit,
    /// /dev/null.
    Null,
    /// An open file; it stays ours.
    Fd(BorrowedFd<'a>),
}

/// Which session and process group the child is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Session {
    /// Leader of a new session and group, without a controlling terminal.
    New,
    /// Leader of a new group in our session, as a shell's job is.
    OwnGroup,
    /// In our group.
    Inherit,
}

/// One start.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// What to run.
    pub program: &'a Program,
    /// Its stdin, stdout and stderr.
    pub stdio: [Stdio<'a>; 3],
    /// One more descriptor, from 3 on: which, and its number there.
    pub more: Option<(BorrowedFd<'a>, RawFd)>,
    /// Its working directory; ours if none.
    pub cwd: Option<&'a CStr>,
    /// Its session.
    pub session: Session,
}

/// Starts programs. Holds what is the same for each.
pub struct Spawner {
    image: CString,
    null: Option<OwnedFd>,
    /// Signals that we ignore.
    ignored: Vec<i32>,
}

impl Spawner {
    /// `image` is the path by which our own program is run as the exec stage: `Image::path`. Call it when nothing more changes
    /// about which signals are ignored.
    pub fn new(image: CString) -> Self {
        Self {
            image,
            // An image without /dev/null still gets its supervisor; only starts that need it fail.
            null: open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty()).ok(),
            ignored: raw::ignored_signals(),
        }
    }

    /// Starts the program itself. When this returns its exec can no longer fail, or nothing has happened: on error there
    /// is no child. The error's number says why; `explain` says it in words. (The kernel lets us go on when the child
    /// gives up our memory: its name changes, and its copies of our descriptors close, a few microseconds later.)
    pub fn spawn(&self, request: &Request<'_>) -> Result<u32, SysError> {
        let program = request.program;
        let failed = |errno| SysError::new("start", as_path(&program.path).display().to_string(), errno);
        let mut streams = Vec::new();
        let _copies = self.connect(&mut streams, &request.stdio)?;
        streams.extend(request.more.map(|(fd, number)| (fd.as_raw_fd(), number)));
        let birth = Birth { cwd: request.cwd, ..self.birth(request, &program.path, &program.argv, &streams) };
        match raw::vfork_exec(&birth) {
            Err(Errno::ENOEXEC) => {
                let path = request.cwd.map_or(Path::new(""), as_path).join(as_path(&program.path));
                let argv = shell_argv(&path, &program.path, &program.argv).ok_or_else(|| failed(Errno::ENOEXEC))?;
                raw::vfork_exec(&Birth { path: SHELL, argv: &argv, ..birth }).map_err(failed)
            }
            done => done.map_err(failed),
        }
    }

    /// Starts the program as somebody or something else, if need be by our own image as its exec stage. There is a child when this returns; whether the program runs
    /// is what the pipe tells.
    pub fn spawn_staged(&self, request: &Request<'_>, setup: &Setup) -> Result<(u32, StatusPipe), SysError> {
        let failed = |errno| SysError::new("start", "the exec stage", errno);
        let (reader, writer) = status::pipe()?;
        let mut streams = Vec::new();
        let _copies = self.connect(&mut streams, &request.stdio)?;
        // After the streams, as one of their descriptors may have this very number. The pipe's own is no stream's.
        let (mut status, mut writer, mut more) = (STATUS_FD, writer, None);
        if let Some((fd, number)) = request.more {
            status = status.saturating_add(i32::from(number == status));
            // Both come from above the numbers they go to, so neither overwrites the other.
            let above = status.max(number);
            writer = copy_above(writer.as_fd(), above).map_err(failed)?;
            let fd = more.insert(copy_above(fd, above).map_err(failed)?);
            streams.push((fd.as_raw_fd(), number));
        }
        streams.push((writer.as_raw_fd(), status));
        let argv = order::encode(request, setup, status);
        let stage = self.birth(request, &self.image, &argv, &streams);
        let pid = match Direct::of(request.program, setup) {
            Some(Direct { changes, paths, env }) => {
                let (cwd, argv) = (request.cwd, &request.program.argv);
                raw::fork_exec(&Try { status, changes: &changes, cwd, paths: &paths, argv, env: &env, stage: &stage })
            }
            None => raw::vfork_exec(&stage),
        };
        Ok((pid.map_err(failed)?, reader))
    }

    /// A child in our directory.
    fn birth<'a>(
        &'a self,
        request: &Request<'a>,
        path: &'a CStr,
        argv: &'a [CString],
        streams: &'a [(RawFd, RawFd)],
    ) -> Birth<'a> {
        let (session, env) = (request.session, &request.program.env);
        Birth { ignored: &self.ignored, session, streams, cwd: None, path, argv, env }
    }

    /// Connects 0 to 2; all other descriptors of ours are close-on-exec. Keep what it returns until after the spawn.
    fn connect(&self, streams: &mut Vec<(RawFd, RawFd)>, stdio: &[Stdio<'_>; 3]) -> Result<Vec<OwnedFd>, SysError> {
        let failed = |errno| SysError::new("connect", "standard streams", errno);
        let mut copies = Vec::new();
        for (number, stream) in (0..).zip(stdio) {
            let from = match stream {
                Stdio::Inherit => continue,
                Stdio::Fd(fd) => *fd,
                Stdio::Null => match &self.null {
                    Some(null) => null.as_fd(),
                    None => return Err(SysError::new("open", "/dev/null", Errno::ENOENT)),
                },
            };
            if from.as_raw_fd() <= 2 && from.as_raw_fd() != number {
                // One of our own streams under another number. The child connects them in order, so this one may be
                // overwritten before its turn comes (stdout and stderr swapped): use a copy above them, which is
                // where this function, by F_DUPFD_CLOEXEC with 3, puts it.
                let copy = from.try_clone_to_owned();
                let copy = copy.map_err(|error| failed(Errno::from_raw(error.raw_os_error().unwrap_or(0))))?;
                streams.push((copy.as_raw_fd(), number));
                copies.push(copy);
            } else {
                streams.push((from.as_raw_fd(), number));
            }
        }
        Ok(copies)
    }
}

/// Another descriptor for the same, of a number above `number`.
fn copy_above(fd: BorrowedFd<'_>, number: RawFd) -> Result<OwnedFd, Errno> {
    let copy = fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(number.saturating_add(1)))?;
    Ok(raw::own_fd(copy))
}

/// The arguments for a shell that is to run a file which the kernel can't, as execvp(3) does. None for binaries, which
/// a shell would take for a script all the same.
pub(super) fn shell_argv(seen_from_here: &Path, path: &CStr, argv: &[CString]) -> Option<Vec<CString>> {
    let head = program::head(seen_from_here);
    if program::is_elf(&head) || head.contains(&0) {
        return None;
    }
    // A relative path may begin with a dash, and the shell would take it for options.
    let path = if path.to_bytes().starts_with(b"-") {
        CString::new([b"./", path.to_bytes()].concat()).ok()?
    } else {
        path.to_owned()
    };
    Some([SHELL.to_owned(), path].into_iter().chain(argv.iter().skip(1).cloned()).collect())
}
