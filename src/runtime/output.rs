//! Where a service's standard streams go: straight to a file or to Horust's own streams, or, captured, into pipes whose
//! other ends the logger thread reads. Nothing here waits for it.

use super::launch::cannot;
use crate::control::{NoAnswer, Steps, moved};
use crate::logging::{Attach, Logger};
use crate::model::{Ask, Limit, Output, Plan, Reading, RunId, ServiceSpec};
use crate::supervisor::SpawnError;
use crate::sys::fds;
use crate::sys::spawn::Stdio;
use crate::sys::wake::EventFd;
use crossbeam_channel::Sender;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::{AccessFlags, access, pipe2};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

/// Descriptors of ours for each captured service: two pipes, two files.
const EACH: usize = 4;
/// And for everything else.
const OTHERS: usize = 128;

/// The descriptors of one start; kept until after it.
pub struct Streams {
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
}

/// Tells main whose awaited line has come: at most one for each run, so that the queue needs no other bound.
#[derive(Clone)]
pub struct Lines {
    /// To main.
    pub queue: Sender<RunId>,
    /// Wakes it.
    pub wake: Arc<EventFd>,
}

impl Lines {
    fn came(&self, run: RunId) {
        // If nobody takes it any more, all is over.
        let _ = self.queue.send(run);
        self.wake.wake();
    }
}

/// The logger, once there is one, and how its readers hear of more.
#[derive(Clone, Default)]
pub struct Kept {
    logger: Arc<OnceLock<Logger>>,
    /// Moves when there is more to be read, while somebody watches.
    pub news: Arc<Steps>,
}

impl Kept {
    /// Reads what is in memory. What was never captured is in no memory.
    pub fn read(&self, asks: Vec<Ask>, reply: Box<dyn FnOnce(Vec<Option<Reading>>) + Send>) -> Result<(), NoAnswer> {
        match self.logger.get() {
            None => reply(asks.iter().map(|_| None).collect()),
            Some(logger) if logger.read(asks, reply) => {}
            Some(_) => return Err(NoAnswer::Busy),
        }
        Ok(())
    }
}

/// Connects services to the logger, which starts with the first that is captured.
pub struct Outputs {
    kept: Kept,
    lines: Lines,
    /// What our limit of open files was, and services are to have, if it had to be raised.
    pub nofile: Option<Limit>,
}

impl Outputs {
    /// Nothing is connected yet. If the captured services need more descriptors than we may have, we allow ourselves more.
    pub fn new(plan: &Arc<Plan>, lines: Lines, kept: Kept) -> Outputs {
        let mut outputs = Outputs { kept, lines, nofile: None };
        outputs.adopt(plan);
        outputs
    }

    /// These are the services now.
    pub fn adopt(&mut self, plan: &Arc<Plan>) {
        if let Some(logger) = self.kept.logger.get() {
            logger.adopt(plan);
        }
        let captured = plan.iter().filter(|(_, spec)| spec.log.is_some()).count();
        let needed = captured.saturating_mul(EACH).saturating_add(OTHERS) as u64;
        let raise = || {
            let (soft, hard) = fds::nofile().ok().filter(|(soft, _)| *soft < needed)?;
            fds::set_nofile_soft(needed.min(hard)).ok().map(|()| Limit { soft, hard })
        };
        let raised = if captured > 0 { raise() } else { None };
        // What it was at first.
        self.nofile = self.nofile.take().or(raised);
    }

    /// Opens what a new run of the service writes to; or, without a run, what runs beside it.
    pub fn open(&self, spec: &Arc<ServiceSpec>, run: Option<RunId>) -> Result<Streams, SpawnError> {
        if spec.log.is_some() {
            return self.capture(spec, run);
        }
        let stdout = file(&spec.stdout)?;
        let stderr = match spec.stderr == spec.stdout {
            true => None,
            false => file(&spec.stderr)?,
        };
        Ok(Streams { stdout, stderr })
    }

    /// Hands the reading ends to the logger before the start: if that fails, it sees the end of two empty pipes.
    fn capture(&self, spec: &Arc<ServiceSpec>, run: Option<RunId>) -> Result<Streams, SpawnError> {
        let logger = match self.kept.logger.get() {
            Some(logger) => logger,
            None => {
                let (lines, news) = (self.lines.clone(), Arc::clone(&self.kept.news));
                let started = Logger::start(Box::new(move |run| lines.came(run)), Box::new(move || moved(&news)));
                let logger = started.map_err(|e| cannot(format!("cannot start the thread that reads output: {e}")))?;
                self.kept.logger.get_or_init(|| logger)
            }
        };
        for output in [&spec.stdout, &spec.stderr] {
            reachable(output)?;
        }
        let pipe = || -> Result<(OwnedFd, OwnedFd), Errno> {
            let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
            fcntl(&read, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
            Ok((read, write))
        };
        let failed = |errno: Errno| cannot(format!("cannot open a pipe for its output: {}", errno.desc()));
        let ((stdout, out), (stderr, err)) = (pipe().map_err(failed)?, pipe().map_err(failed)?);
        if spec.user().is_some() {
            // Many programs open /dev/stdout or /dev/stderr, which is this pipe, by its name; as another user they may not.
            // Nobody but the service's own processes can reach it there.
            let anybody = Mode::S_IRUSR | Mode::S_IWUSR | Mode::S_IWGRP | Mode::S_IWOTH;
            fchmod(&out, anybody).and_then(|()| fchmod(&err, anybody)).map_err(failed)?;
        }
        let line = spec.readiness.signs().and_then(|signs| signs.log_line.clone());
        let awaited = run.zip(line);
        let attach = Attach { spec: Arc::clone(spec), stdout, stderr, started: SystemTime::now(), awaited };
        match logger.attach(attach) {
            true => Ok(Streams { stdout: Some(out), stderr: Some(err) }),
            false => Err(cannot("the thread that reads output does not answer".to_owned())),
        }
    }

    /// Waits, within a bounded time, until what services have written is where it should be.
    pub fn finish(&self) {
        if let Some(logger) = self.kept.logger.get() {
            logger.finish();
        }
    }
}

impl Streams {
    /// As a start wants them: stdin, stdout, stderr.
    pub fn stdio<'a>(&'a self, spec: &ServiceSpec) -> [Stdio<'a>; 3] {
        let both = self.stdout.as_ref().filter(|_| spec.stderr == spec.stdout);
        let stderr = self.stderr.as_ref().or(both);
        [Stdio::Null, stream(&spec.stdout, self.stdout.as_ref()), stream(&spec.stderr, stderr)]
    }
}

fn stream<'a>(output: &Output, open: Option<&'a OwnedFd>) -> Stdio<'a> {
    match (open, output) {
        (Some(fd), _) => Stdio::Fd(fd.as_fd()),
        (None, Output::Stdout) => Stdio::Fd(STDOUT.as_fd()),
        (None, Output::Stderr) => Stdio::Fd(STDERR.as_fd()),
        (None, Output::Null | Output::File(_)) => Stdio::Null,
    }
}

static STDOUT: std::sync::LazyLock<std::io::Stdout> = std::sync::LazyLock::new(std::io::stdout);
static STDERR: std::sync::LazyLock<std::io::Stderr> = std::sync::LazyLock::new(std::io::stderr);

fn problem(path: &Path) -> impl Fn(Errno) -> SpawnError {
    move |errno| cannot(format!("cannot open the output file {}: {}", path.display(), errno.desc()))
}

/// Opens an output file for appending. Without O_NONBLOCK a named pipe that nobody reads would block PID 1 (fifo(7));
/// the service gets a file that blocks again.
fn file(output: &Output) -> Result<Option<OwnedFd>, SpawnError> {
    let Output::File(path) = output else { return Ok(None) };
    let flags =
        OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_APPEND | OFlag::O_CLOEXEC | OFlag::O_NOCTTY | OFlag::O_NONBLOCK;
    let fd = open(path, flags, Mode::from_bits_truncate(0o640)).map_err(problem(path))?;
    fcntl(&fd, FcntlArg::F_SETFL(OFlag::O_APPEND)).map_err(problem(path))?;
    Ok(Some(fd))
}

/// Whether the logger will be able to write there: which of its files is written to, only it knows.
fn reachable(output: &Output) -> Result<(), SpawnError> {
    let Output::File(path) = output else { return Ok(()) };
    let directory = path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
    let result = match path.metadata() {
        Ok(metadata) if metadata.is_dir() => Err(Errno::EISDIR),
        Ok(_) => access(path, AccessFlags::W_OK),
        Err(_) if directory.is_file() => Err(Errno::ENOTDIR),
        Err(_) => access(directory, AccessFlags::W_OK | AccessFlags::X_OK),
    };
    result.map_err(problem(path))
}
