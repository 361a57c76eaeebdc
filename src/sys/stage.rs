//! The exec stage: our own image in a hidden mode, as a fresh single-threaded process that becomes what a service asks
//! for and then executes the service's program in its place. It may allocate and fail in words, which a forked child of
//! a threaded process may not. The order is what permissions dictate: cgroup → files → terminal → limits and priorities →
//! bounding set → groups → gid → uid → capabilities → no_new_privs → working directory → program. (Session, signals and
//! streams are `raw::vfork_exec`'s work, done before.) What takes no more than system calls goes without it: see `direct`.

use std::ffi::{CString, OsString};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{chdir, execve, getpgrp, tcsetpgrp};

use super::cgroup::Group;
use super::identity::Identity;
use super::order::{self, Order, Setup};
use super::program::{self, as_path, explain, find_program};
use super::raw::{self, Disposition};
use super::spawn::{SHELL, shell_argv};
use super::status::{self, Failure};
use super::{limits, oom};

/// The first argument of our image that asks for this mode.
pub const MODE: &str = "__exec-stage";

/// Exit codes of a shell for a program that was not found, and for one that can't be run.
const EXIT_NOT_FOUND: u8 = 127;
const EXIT_CANNOT_RUN: u8 = 126;

/// Runs the stage. `args` are the words after `MODE`. Returns, with an exit code, only if the program does not run.
pub fn run(mut args: impl Iterator<Item = OsString>) -> u8 {
    let Some(number) = args.next().and_then(|number| number.to_str()?.parse().ok()) else { return EXIT_CANNOT_RUN };
    // Ours, and gone with the exec: its end tells the parent that the exec took place.
    let status = raw::take_inherited(number);
    if raw::set_cloexec(number).is_err() {
        return EXIT_CANNOT_RUN;
    }
    let failure = match order::decode(args) {
        Some(order) => become_program(&order),
        None => failed("order", Errno::EINVAL, "the exec stage does not understand its order".into()),
    };
    if let Some(status) = status {
        status::report(&status, &failure);
    }
    if failure.errno == Errno::ENOENT { EXIT_NOT_FOUND } else { EXIT_CANNOT_RUN }
}

fn become_program(order: &Order) -> Failure {
    match set_up(order) {
        Ok(env) => exec(order, &env),
        Err(failure) => failure,
    }
}

/// Everything but the exec; the environment it gets.
fn set_up(order: &Order) -> Result<Vec<CString>, Failure> {
    let setup = &order.setup;
    if let Some(cgroup) = &setup.cgroup {
        // 0 is the process that writes.
        let joined = Group::at(Path::new(cgroup)).set("cgroup.procs", "0");
        joined.map_err(|error| failed("cgroup", error.errno, format!("cannot join its cgroup: {error}")))?;
    }
    for file in &setup.remove {
        let _ = std::fs::remove_file(file);
    }
    // Rust's runtime ignores it at the start of every program, and an ignored signal stays so across an exec.
    raw::set_disposition(libc::SIGPIPE, Disposition::Default).map_err(failing(
        "signals",
        "cannot reset SIGPIPE",
        "",
    ))?;
    if setup.foreground_tty {
        let what = "cannot make the program the terminal's foreground job";
        take_terminal().map_err(failing("terminal", what, ""))?;
    }
    let identity = Identity::look_up(setup)?;
    limit(setup)?;
    if let Some(capabilities) = setup.capabilities {
        capabilities.restrict()?;
    }
    identity.take_on()?;
    if let Some(capabilities) = setup.capabilities {
        capabilities.settle()?;
    }
    if setup.no_new_privs {
        prctl::set_no_new_privs().map_err(failing("no-new-privileges", "cannot set no-new-privileges", ""))?;
    }
    let own = std::env::vars_os().map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()].concat());
    let mut env: Vec<CString> = own.filter_map(|variable| CString::new(variable).ok()).collect();
    identity.introduce(setup, &mut env);
    if let Some(cwd) = &order.cwd {
        // As the user: a directory that is open to root alone must not become the service's.
        chdir(cwd.as_c_str())
            .map_err(|errno| failed("cwd", errno, explain(Path::new(""), Some(as_path(cwd)), errno)))?;
    }
    Ok(env)
}

/// Limits and priorities. With our rights, as some of them can only be lowered without.
fn limit(setup: &Setup) -> Result<(), Failure> {
    setup.limits.iter().try_for_each(limits::Limit::apply)?;
    if let Some(nice) = setup.nice {
        let what = format!("cannot set nice to {nice}");
        raw::set_nice(nice).map_err(failing("nice", &what, "CAP_SYS_NICE"))?;
        // Our session is a scheduling group of its own where autogroups are in use (sched(7)), and nice values count
        // only inside of it; this is the group's own.
        let _no_autogroups = std::fs::write("/proc/self/autogroup", nice.to_string());
    }
    setup.oom_score_adj.map_or(Ok(()), oom::set_own)?;
    if let Some(mask) = setup.umask {
        umask(Mode::from_bits_truncate(mask.into()));
    }
    Ok(())
}

/// A background group that calls tcsetpgrp(3) is stopped by SIGTTOU unless it blocks it. No terminal is no failure.
fn take_terminal() -> Result<(), Errno> {
    let Ok(tty) = open("/dev/tty", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty()) else { return Ok(()) };
    let mut stop = SigSet::empty();
    stop.add(Signal::SIGTTOU);
    stop.thread_block()?;
    let done = match tcsetpgrp(tty.as_fd(), getpgrp()) {
        Err(Errno::ENOTTY) => Ok(()),
        done => done,
    };
    stop.thread_unblock()?;
    done
}

fn exec(order: &Order, env: &[CString]) -> Failure {
    let path = match find_program(&order.program, program::path_of(env), None) {
        Ok(path) => path,
        Err(error) => return failed("exec", Errno::ENOENT, error.to_string()),
    };
    let Err(mut errno) = execve(&path, &order.argv, env);
    if errno == Errno::ENOEXEC
        && let Some(argv) = shell_argv(as_path(&path), &path, &order.argv)
    {
        Err(errno) = execve(SHELL, &argv, env);
    }
    failed("exec", errno, explain(as_path(&path), None, errno))
}

fn failed(stage: &'static str, errno: Errno, message: String) -> Failure {
    Failure { stage, errno, message }
}

/// A refusal by the kernel, and the capability it takes.
fn failing(stage: &'static str, what: &str, needs: &'static str) -> impl FnOnce(Errno) -> Failure {
    move |errno| Failure::of(stage, what, errno, needs)
}
