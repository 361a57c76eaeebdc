//! `horust -- COMMAND ARGS…`: runs one command as a container's init does: every signal is passed on to it, orphans are
//! reaped, and its exit code is ours. No supervisor, no thread.

use super::environment::c_word;
use super::{INTERNAL, exit_of, launch, logger, prepare, sweep};
use crate::model::Exit;
use crate::sys::exe::Image;
use crate::sys::reap::{self, Reaped};
use crate::sys::signals::SignalFd;
use crate::sys::spawn::{
    Program, Request, Session, Setup, Spawner, StageStatus, StatusPipe, Stdio, as_path, explain, find_program,
};
use crate::sys::{poll, process};
use std::ffi::{CString, OsStr, OsString};
use std::io::IsTerminal;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;

/// A command that could not be run: the code, and why.
type Failure = (u8, String);

/// Runs the command. Returns its exit code (128 + n if a signal ended it), or 127 or 126 if it could not be run.
pub fn run(argv: &[OsString]) -> u8 {
    logger::init();
    let code = supervise(argv).unwrap_or_else(|(code, why)| {
        log::error!("Failed spawning the process: {why}");
        code
    });
    logger::flush();
    code
}

fn supervise(argv: &[OsString]) -> Result<u8, Failure> {
    let internal = |error: crate::sys::SysError| (INTERNAL, error.to_string());
    let signals = prepare(false).map_err(internal)?;
    let (pid, mut stage) = start(argv)?;
    let exit = wait(&signals, pid);
    sweep::all(&signals);
    match stage.as_mut().map(StatusPipe::read) {
        Some(StageStatus::Failed { message, errno, .. }) => Err((launch::code(nix::Error::from_raw(errno)), message)),
        Some(StageStatus::Pending | StageStatus::Executed) | None => Ok(exit.shell_code()),
    }
}

fn start(argv: &[OsString]) -> Result<(u32, Option<StatusPipe>), Failure> {
    let cannot = |why: String| (126, why);
    let words = argv.iter().map(|word| c_word(word)).collect::<Result<Vec<_>, _>>().map_err(cannot)?;
    let name = argv.first().map_or(OsStr::new(""), OsString::as_os_str);
    let path_var = std::env::var_os("PATH").unwrap_or_default();
    let path =
        find_program(name, &path_var, None).map_err(|e| (if e.denied.is_some() { 126 } else { 127 }, e.to_string()))?;
    let env = std::env::vars_os()
        .filter_map(|(name, value)| CString::new([name.as_bytes(), b"=", value.as_bytes()].concat()).ok());
    let program = Program { path, argv: words, env: env.collect() };
    let request =
        Request { program: &program, stdio: [Stdio::Inherit; 3], more: None, cwd: None, session: Session::OwnGroup };
    let spawner = Spawner::new(Image::open().path().to_owned());
    // A group of its own gets Ctrl-C only if it is the terminal's foreground one, which the exec stage can make it.
    if std::io::stdin().is_terminal() {
        let setup = Setup { foreground_tty: true, ..Setup::default() };
        let (pid, stage) = spawner.spawn_staged(&request, &setup).map_err(|e| (126, e.to_string()))?;
        return Ok((pid, Some(stage)));
    }
    let pid =
        spawner.spawn(&request).map_err(|e| (launch::code(e.errno), explain(as_path(&program.path), None, e.errno)))?;
    Ok((pid, None))
}

/// Passes on signals and reaps, until the command has ended.
fn wait(signals: &SignalFd, command: u32) -> Exit {
    loop {
        loop {
            match reap::next() {
                Ok(Reaped::Dead(pid, ended)) if pid == command => return exit_of(ended),
                Ok(Reaped::Dead(..)) => {}
                Ok(Reaped::None) => break,
                Ok(Reaped::NoChildren) | Err(_) => return Exit::Code(INTERNAL),
            }
        }
        let _ = poll::wait(&[signals.as_fd()]);
        while let Some(info) = signals.read() {
            if info.signo != libc::SIGCHLD {
                // It has not been waited for, so its pid is still its own.
                let _ = process::kill_pid(command, info.signo);
            }
        }
    }
}
