//! Turns a service spec into a start that `sys` can carry out: words, environment, streams. Nothing here waits.

use super::environment::{Base, Env, c_word};
use super::output::{Kept, Lines, Outputs};
use crate::model::{self, CapSet, Command, Hook, IdOrName, Plan, Probe, Process, RunId, ServiceSpec};
use crate::supervisor::SpawnError;
use crate::sys::limits::Limit;
use crate::sys::oom::Score;
use crate::sys::spawn::{Program, Request, Session, Setup, Spawner, StatusPipe, Stdio, explain, find_program};
use crate::sys::users::UserRef;
use crate::sys::{capabilities, spawn};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::pipe2;
use std::borrow::Cow;
use std::ffi::{CString, OsStr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;
use std::sync::Arc;

/// The shell's code for "there, but can't be run" and "not there".
const CANNOT_RUN: u8 = 126;
const NOT_FOUND: u8 = 127;

/// A process that has been started.
pub struct Started {
    /// Its pid.
    pub pid: u32,
    /// Tells whether its exec takes place, if that is still open.
    pub stage: Option<StatusPipe>,
    /// Where it writes a newline once it is ready.
    pub newline: Option<OwnedFd>,
}

/// Starts programs for services.
pub struct Launcher {
    spawner: Spawner,
    base: Base,
    outputs: Outputs,
    score: Score,
    /// Where services say what they are doing.
    notify: Option<String>,
}

/// What one start needs, whether of a service or of one of its probes.
struct Job<'a> {
    spec: &'a ServiceSpec,
    command: &'a Command,
    stdio: [Stdio<'a>; 3],
    cgroup: Option<&'a Path>,
    /// One more descriptor, and its number there.
    more: Option<(BorrowedFd<'a>, RawFd)>,
    /// Variables that only the service itself gets.
    own: Vec<(&'static str, String)>,
    /// Files that are removed first. By the exec stage: they may lie where the answer never comes.
    remove: Vec<String>,
}

impl Launcher {
    /// Reads Horust's environment and prepares what every start has in common.
    pub fn new(image: CString, plan: &Arc<Plan>, lines: Lines, kept: Kept) -> Launcher {
        let outputs = Outputs::new(plan, lines, kept);
        let (spawner, base, score) = (Spawner::new(image), Base::read(), Score::read());
        Launcher { spawner, base, outputs, score, notify: None }
    }

    /// These are the services now.
    pub fn adopt(&mut self, plan: &Arc<Plan>) {
        self.outputs.adopt(plan);
    }

    /// Sets what services find in `NOTIFY_SOCKET`.
    pub fn notify_at(&mut self, address: Option<&str>) {
        self.notify = address.map(str::to_owned);
    }

    /// Starts this run of the service, in this cgroup.
    pub fn service(&self, spec: &Arc<ServiceSpec>, run: RunId, cgroup: Option<&Path>) -> Result<Started, SpawnError> {
        let streams = self.outputs.open(spec, Some(run))?;
        let newline = spec.readiness.signs().and_then(|signs| signs.notify_fd);
        let newline = newline.map(|number| pipe().map(|(reader, writer)| (reader, writer, number))).transpose()?;
        let more = newline.as_ref().map(|(_, writer, number)| (writer.as_fd(), *number));
        let (stdio, own) = (streams.stdio(spec), self.own_variables(spec));
        // A file left from the last run must not make this one look ready. If it can't be removed, probes say so.
        let remove = probe_files(spec).map(str::to_owned).collect();
        let started = self.start(&Job { spec, command: &spec.command, stdio, cgroup, more, own, remove })?;
        Ok(Started { newline: newline.map(|(reader, ..)| reader), ..started })
    }

    /// sd_notify(3) and sd_watchdog_enabled(3). There is no `WATCHDOG_PID`: nobody knows it before the start.
    fn own_variables(&self, spec: &ServiceSpec) -> Vec<(&'static str, String)> {
        let mut own = Vec::new();
        if let Some(address) = self.notify.as_ref().filter(|_| spec.notifies()) {
            own.push(("NOTIFY_SOCKET", address.clone()));
            own.extend(spec.watchdog.map(|every| ("WATCHDOG_USEC", every.as_micros().to_string())));
        }
        own
    }

    /// Starts a hook of the service: its user, directory, environment and streams.
    pub fn hook(
        &self,
        spec: &Arc<ServiceSpec>,
        hook: Hook,
        command: &Command,
        reason: Option<String>,
    ) -> Result<Started, SpawnError> {
        let streams = self.outputs.open(spec, None)?;
        let mut own = vec![("HORUST_SERVICE", spec.name.clone()), ("HORUST_HOOK", hook.to_string())];
        own.extend(reason.map(|reason| ("HORUST_REASON", reason)));
        self.start(&Job {
            spec,
            command,
            stdio: streams.stdio(spec),
            cgroup: None,
            more: None,
            own,
            remove: Vec::new(),
        })
    }

    /// Waits, within a bounded time, until what services have written is where it should be.
    pub fn finish(&self) {
        self.outputs.finish();
    }

    /// Starts a command probe of the service: its user, directory and environment, but no output.
    pub fn probe(&self, spec: &ServiceSpec, command: &Command) -> Result<Started, SpawnError> {
        self.start(&Job {
            spec,
            command,
            stdio: [Stdio::Null; 3],
            cgroup: None,
            more: None,
            own: Vec::new(),
            remove: Vec::new(),
        })
    }

    fn start(&self, job: &Job<'_>) -> Result<Started, SpawnError> {
        let spec = job.spec;
        let mut env = self.base.build(&spec.environment, spec.user()).map_err(cannot)?;
        job.own.iter().for_each(|(name, value)| env.set(name, value));
        let words = job.command.0.iter().map(|word| c_word(OsStr::new(word)));
        let argv = words.collect::<Result<Vec<_>, _>>().map_err(cannot)?;
        let cwd = spec.working_directory.as_deref();
        let cwd_c = cwd.map(|path| c_word(path.as_os_str())).transpose().map_err(cannot)?;
        let name = OsStr::new(job.command.program());
        let mut program = Program { path: c_word(name).map_err(cannot)?, argv, env: env.to_c().map_err(cannot)? };
        let cwd_c = cwd_c.as_deref();
        let request =
            |program| Request { program, stdio: job.stdio, more: job.more, cwd: cwd_c, session: Session::New };
        let process = match self.outputs.nofile {
            None if spec.process.is_none() && !job.remove.is_empty() => Some(Cow::Owned(Process::default())),
            None => spec.process.as_deref().map(Cow::Borrowed),
            // Ours was raised for the pipes of captured services.
            Some(limit) => Some(Cow::Owned(with_nofile(spec.process.as_deref(), limit))),
        };
        let started = match &process {
            Some(process) => {
                let setup = Setup { remove: job.remove.clone(), ..setup(process, &env, job.cgroup)? };
                let started = self.spawner.spawn_staged(&request(&program), &setup);
                let (pid, stage) = started.map_err(|error| cannot(error.to_string()))?;
                Started { pid, stage: Some(stage), newline: None }
            }
            None => {
                program.path = find_program(name, env.path(), cwd)
                    .map_err(|e| failed(if e.denied.is_some() { CANNOT_RUN } else { NOT_FOUND }, e.to_string()))?;
                let started = self.spawner.spawn(&request(&program));
                let pid =
                    started.map_err(|e| failed(code(e.errno), explain(spawn::as_path(&program.path), cwd, e.errno)))?;
                Started { pid, stage: None, newline: None }
            }
        };
        if spec.process.as_ref().is_none_or(|process| process.oom_score_adj.is_none()) {
            self.score.pass_on(started.pid);
        }
        Ok(started)
    }
}

/// The same with this limit of open files, unless it has one of its own.
fn with_nofile(process: Option<&Process>, limit: model::Limit) -> Process {
    let mut process = process.cloned().unwrap_or_default();
    if !process.limits.iter().any(|(name, _)| *name == "nofile") {
        process.limits.push(("nofile", limit));
    }
    process
}

/// What the exec stage has to do for this service.
fn setup(process: &Process, env: &Env, cgroup: Option<&Path>) -> Result<Setup, SpawnError> {
    let account = |one: &IdOrName| match one {
        IdOrName::Id(id) => UserRef::Id(*id),
        IdOrName::Name(name) => UserRef::Name(name.clone()),
    };
    if let Some(wanted) = process.capabilities {
        let missing = wanted.ambient.beyond(CapSet(capabilities::own()));
        if !missing.is_empty() {
            return Err(cannot(format!(
                "cannot give capabilities that Horust itself does not have: {}",
                missing.join(", ")
            )));
        }
    }
    let limits = process.limits.iter();
    let not_text = || cannot("the path of its cgroup is not text".to_owned());
    Ok(Setup {
        cgroup: cgroup.map(|path| path.to_str().map(str::to_owned).ok_or_else(not_text)).transpose()?,
        remove: Vec::new(),
        user: process.user.as_ref().map(account),
        set_user: process.user.is_some() && !env.user_given,
        set_home: process.user.is_some() && !env.home_given,
        group: process.group.as_ref().map(account),
        groups: process.supplementary_groups.iter().flatten().map(account).collect(),
        only_groups: process.user.is_none() && process.supplementary_groups.is_some(),
        foreground_tty: false,
        limits: limits
            .map(|(name, limit)| Limit { name: (*name).into(), soft: limit.soft, hard: limit.hard })
            .collect(),
        nice: process.nice,
        oom_score_adj: process.oom_score_adj,
        umask: process.umask,
        capabilities: process
            .capabilities
            .map(|wanted| capabilities::Capabilities { bounding: wanted.bounding.0, ambient: wanted.ambient.0 }),
        no_new_privs: process.no_new_privileges,
    })
}

/// A pipe for a newline: what is read here, and what is written there.
fn pipe() -> Result<(OwnedFd, OwnedFd), SpawnError> {
    let cannot = |errno: Errno| cannot(format!("cannot open a pipe: {}", errno.desc()));
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC).map_err(cannot)?;
    fcntl(&reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map_err(cannot)?;
    Ok((reader, writer))
}

/// An exec stage that failed, in the supervisor's words.
pub fn stage_failed(message: &str, errno: i32) -> SpawnError {
    match message.contains("not found in any of the PATH") {
        true => failed(NOT_FOUND, message.to_owned()),
        false => failed(code(Errno::from_raw(errno)), message.to_owned()),
    }
}

/// The exit code by which a shell tells this error of exec.
pub fn code(errno: Errno) -> u8 {
    if errno == Errno::ENOENT { NOT_FOUND } else { CANNOT_RUN }
}

/// A start that failed before there was a process.
pub fn cannot(why: String) -> SpawnError {
    failed(CANNOT_RUN, why)
}

fn failed(code: u8, why: String) -> SpawnError {
    SpawnError { message: format!("Failed spawning the process: {why}"), code }
}

/// The files that its probes look for. (They come from a file in UTF-8.)
fn probe_files(spec: &ServiceSpec) -> impl Iterator<Item = &str> {
    spec.probes().filter_map(|probe| match probe {
        Probe::File(path) => path.to_str(),
        Probe::Http(_) | Probe::HttpUnix { .. } | Probe::Tcp(_) | Probe::Unix(_) | Probe::Command(_) => None,
    })
}
