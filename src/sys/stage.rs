//! The exec stage: our own image in a hidden mode, as a fresh single-threaded process that becomes what a service asks
//! for and then executes the service's program in its place. It may allocate and fail in words, which a forked child of
//! a threaded process may not. The order is what permissions dictate: cgroup → terminal → limits → groups → gid → uid → working
//! directory → program. (Session, signals and streams are posix_spawn's work, done before.)

use std::ffi::{CString, OsStr, OsString};
use std::os::fd::{AsFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::stat::Mode;
use nix::unistd::{Gid, Uid, chdir, execve, getpgrp, initgroups, setgroups, setresgid, setresuid, tcsetpgrp};

use super::cgroup::Group;
use super::program::{as_path, explain, find_program};
use super::raw::{self, Disposition};
use super::spawn::{Request, SHELL, Setup, shell_argv};
use super::users::{self, UserInfo, UserRef};
use super::{fds, status};

/// The first argument of our image that asks for this mode.
pub const MODE: &str = "__exec-stage";

/// Exit codes of a shell for a program that was not found, and for one that can't be run.
const EXIT_NOT_FOUND: u8 = 127;
const EXIT_CANNOT_RUN: u8 = 126;

/// Where programs are without a PATH (execvp(3)); never the current directory.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// Why the stage ends without its exec.
struct Failure {
    stage: &'static str,
    errno: i32,
    message: String,
}

/// What `encode` said.
#[derive(Default)]
struct Order {
    status: RawFd,
    cgroup: Option<PathBuf>,
    user: Option<UserRef>,
    set_user: bool,
    set_home: bool,
    foreground_tty: bool,
    nofile_soft: Option<u64>,
    cwd: Option<CString>,
    program: OsString,
    argv: Vec<CString>,
}

/// The argument vector that asks our image for this. The environment is passed as it is.
pub(super) fn encode(request: &Request<'_>, setup: &Setup, status: RawFd) -> Vec<CString> {
    let mut words: Vec<Vec<u8>> = vec![b"horust".to_vec(), MODE.into(), status.to_string().into_bytes()];
    if let Some(cgroup) = &setup.cgroup {
        words.push([b"cgroup=", cgroup.as_os_str().as_bytes()].concat());
    }
    match &setup.user {
        Some(UserRef::Id(id)) => words.push(format!("uid={id}").into_bytes()),
        Some(UserRef::Name(name)) => words.push(format!("user={name}").into_bytes()),
        None => {}
    }
    for (wanted, word) in
        [(setup.set_user, "set-user"), (setup.set_home, "set-home"), (setup.foreground_tty, "foreground-tty")]
    {
        if wanted {
            words.push(word.into());
        }
    }
    if let Some(soft) = setup.nofile_soft {
        words.push(format!("nofile={soft}").into_bytes());
    }
    if let Some(cwd) = request.cwd {
        words.push([b"cwd=", cwd.to_bytes()].concat());
    }
    words.push(b"--".to_vec());
    // A NUL can only be in a user's name, and no user has such a name.
    let words = words.into_iter().map(|word| CString::new(word).unwrap_or_else(|_| c"user=?".to_owned()));
    words.chain([request.program.path.clone()]).chain(request.program.argv.iter().cloned()).collect()
}

/// Runs the stage. `args` are the words after `MODE`. Returns, with an exit code, only if the program does not run.
pub fn run(args: impl Iterator<Item = OsString>) -> u8 {
    let Some(order) = decode(args) else { return EXIT_CANNOT_RUN };
    // Ours, and gone with the exec: its end tells the parent that the exec took place.
    let status = raw::take_inherited(order.status);
    if raw::set_cloexec(order.status).is_err() {
        return EXIT_CANNOT_RUN;
    }
    let failure = become_program(&order);
    if let Some(status) = status {
        status::report(&status, failure.stage, failure.errno, &failure.message);
    }
    if failure.errno == libc::ENOENT { EXIT_NOT_FOUND } else { EXIT_CANNOT_RUN }
}

fn decode(mut args: impl Iterator<Item = OsString>) -> Option<Order> {
    let mut order = Order { status: args.next()?.to_str()?.parse().ok()?, ..Order::default() };
    for word in args.by_ref() {
        let (key, value) = match word.as_bytes().iter().position(|&byte| byte == b'=') {
            Some(at) => (word.as_bytes().get(..at)?, word.as_bytes().get(at.checked_add(1)?..)?),
            None => (word.as_bytes(), &b""[..]),
        };
        let text = || std::str::from_utf8(value).ok();
        match key {
            b"cgroup" => order.cgroup = Some(PathBuf::from(OsStr::from_bytes(value))),
            b"uid" => order.user = Some(UserRef::Id(text()?.parse().ok()?)),
            b"user" => order.user = Some(UserRef::Name(text()?.to_owned())),
            b"set-user" => order.set_user = true,
            b"set-home" => order.set_home = true,
            b"foreground-tty" => order.foreground_tty = true,
            b"nofile" => order.nofile_soft = Some(text()?.parse().ok()?),
            b"cwd" => order.cwd = Some(CString::new(value).ok()?),
            b"--" => break,
            _ => return None,
        }
    }
    order.program = args.next()?;
    order.argv = args.map(|word| CString::new(word.into_vec()).ok()).collect::<Option<_>>()?;
    Some(order)
}

fn become_program(order: &Order) -> Failure {
    match set_up(order) {
        Ok(env) => exec(order, &env),
        Err(failure) => failure,
    }
}

/// Everything but the exec; the environment it gets.
fn set_up(order: &Order) -> Result<Vec<(OsString, OsString)>, Failure> {
    if let Some(cgroup) = &order.cgroup {
        // 0 is the process that writes.
        Group::at(cgroup).set("cgroup.procs", "0").map_err(|error| Failure {
            stage: "cgroup",
            errno: error.errno as i32,
            message: format!("cannot join its cgroup: {error}"),
        })?;
    }
    // Rust's runtime ignores it at the start of every program, and an ignored signal stays so across an exec.
    raw::set_disposition(libc::SIGPIPE, Disposition::Default).map_err(failing("signals", "cannot reset SIGPIPE"))?;
    if order.foreground_tty {
        take_terminal().map_err(failing("terminal", "cannot make the program the terminal's foreground job"))?;
    }
    if let Some(soft) = order.nofile_soft {
        fds::set_nofile_soft(soft).map_err(|error| Failure {
            stage: "limits",
            errno: error.errno as i32,
            message: error.to_string(),
        })?;
    }
    let mut env: Vec<(OsString, OsString)> = std::env::vars_os().collect();
    if let Some(user) = &order.user {
        let target = resolve(user)?;
        switch_to(&target)?;
        if order.set_user {
            set(&mut env, "USER", OsStr::new(&target.name));
        }
        if order.set_home {
            set(&mut env, "HOME", target.home.as_os_str());
        }
    }
    if let Some(cwd) = &order.cwd {
        // As the user: a directory that is open to root alone must not become the service's.
        chdir(cwd.as_c_str()).map_err(|errno| Failure {
            stage: "cwd",
            errno: errno as i32,
            message: explain(Path::new(""), Some(as_path(cwd)), errno),
        })?;
    }
    Ok(env)
}

/// The user's record. A number without an entry gets itself as its group: what user-private groups (the default of every
/// useradd) have, and never root's group, in which images keep writable files. Its home is `/`.
fn resolve(user: &UserRef) -> Result<UserInfo, Failure> {
    let failed = |errno: Errno, message| Failure { stage: "user", errno: errno as i32, message };
    match (users::find(user), user) {
        (Ok(Some(found)), _) => Ok(found),
        (Ok(None), UserRef::Id(id)) => Ok(UserInfo {
            name: id.to_string(),
            uid: *id,
            gid: if Uid::current().as_raw() == *id { Gid::current().as_raw() } else { *id },
            home: "/".into(),
            shell: "/bin/sh".into(),
        }),
        (Ok(None), UserRef::Name(_)) => Err(failed(Errno::EINVAL, format!("there is no user {user}"))),
        (Err(error), _) => Err(failed(error.errno, error.to_string())),
    }
}

fn switch_to(user: &UserInfo) -> Result<(), Failure> {
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    let groups = match CString::new(user.name.as_str()) {
        // A number without an entry is in no group but its own.
        Ok(name) if name.as_bytes().iter().any(|byte| !byte.is_ascii_digit()) => initgroups(&name, gid),
        _ => setgroups(&[gid]),
    };
    match groups {
        // Without CAP_SETGID, and already that user: it goes on with the groups that we were given. There is nobody
        // less privileged to become, and no other way to run as oneself in an unprivileged container.
        Err(Errno::EPERM) if is_already(uid) => return Ok(()),
        done => done.map_err(failing("groups", &format!("cannot take on the groups of user {}", user.name)))?,
    }
    setresgid(gid, gid, gid).map_err(failing("gid", &format!("cannot change to group {gid}")))?;
    // All three, so that there is no way back; from root this also drops every capability (capabilities(7)).
    setresuid(uid, uid, uid).map_err(failing("uid", &format!("cannot change to user {}", user.name)))
}

fn is_already(uid: Uid) -> bool {
    nix::unistd::getresuid().is_ok_and(|own| own.real == uid && own.effective == uid && own.saved == uid)
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

fn exec(order: &Order, env: &[(OsString, OsString)]) -> Failure {
    let path_var = env.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.as_os_str());
    let path = match find_program(&order.program, path_var.unwrap_or(OsStr::new(DEFAULT_PATH)), None) {
        Ok(path) => path,
        Err(error) => return Failure { stage: "exec", errno: libc::ENOENT, message: error.to_string() },
    };
    let env: Vec<CString> = env
        .iter()
        .filter_map(|(name, value)| CString::new([name.as_bytes(), b"=", value.as_bytes()].concat()).ok())
        .collect();
    let Err(mut errno) = execve(&path, &order.argv, &env);
    if errno == Errno::ENOEXEC
        && let Some(argv) = shell_argv(as_path(&path), &path, &order.argv)
    {
        Err(errno) = execve(SHELL, &argv, &env);
    }
    Failure { stage: "exec", errno: errno as i32, message: explain(as_path(&path), None, errno) }
}

fn set(env: &mut Vec<(OsString, OsString)>, name: &str, value: &OsStr) {
    env.retain(|(existing, _)| existing != name);
    env.push((name.into(), value.to_owned()));
}

fn failing(stage: &'static str, what: &str) -> impl FnOnce(Errno) -> Failure {
    let message = what.to_owned();
    move |errno| Failure { stage, errno: errno as i32, message: format!("{message}: {}", errno.desc()) }
}
