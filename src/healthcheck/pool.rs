//! The pool: threads that are started when there is work for them and then kept, asleep in `recv`. Those in the place
//! of others that are held up end when nobody has been for a while. It must not decide what a verdict means.

use super::http::Http;
use super::socket;
use crate::chaos;
use crate::limits;
use crate::model::{Probe, ProbeId, ServiceId};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use std::collections::HashMap;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

/// How long a worker that does not stay waits for work, or for somebody to be held up.
const IDLE: Duration = if cfg!(test) { Duration::from_secs(1) } else { limits::PROBE_IDLE };

type Report = dyn Fn(ProbeId, Result<(), String>) + Send + Sync;

/// Runs probes. Dropping it lets its threads end once they have finished what they are at.
pub struct Pool {
    jobs: Sender<Job>,
    waiting: Receiver<Job>,
    shared: Arc<Shared>,
}

/// What the workers share.
struct Shared {
    report: Box<Report>,
    http: Http,
    /// Threads that are there.
    workers: AtomicUsize,
    /// Probes submitted and not yet reported.
    outstanding: AtomicUsize,
    busy: Mutex<Busy>,
    /// When each probe of the file system or with a name, that has not been reported, should have been: a dead network mount
    /// keeps it for ever, a dead name server for half a minute.
    looks: Mutex<HashMap<Question, Instant>>,
    #[cfg(test)]
    broken: std::sync::atomic::AtomicBool,
}

/// Those of the threads that have a probe.
#[derive(Default)]
struct Busy {
    /// Since when each of them has had it.
    since: Vec<(ThreadId, Instant)>,
    /// When one of them was last seen to be held up.
    held_up: Option<Instant>,
}

/// A probe, whatever the run and the round.
type Question = (ServiceId, bool, u32);

struct Job {
    id: ProbeId,
    probe: Probe,
    timeout: Duration,
    deadline: Instant,
}

impl Pool {
    /// A pool that hands each verdict to `report`, on a worker thread. No thread is started before the first probe.
    pub fn new(report: impl Fn(ProbeId, Result<(), String>) + Send + Sync + 'static) -> Pool {
        let (jobs, waiting) = bounded(limits::PROBE_QUEUE);
        let shared = Shared {
            report: Box::new(report),
            http: Http::default(),
            workers: AtomicUsize::new(0),
            busy: Mutex::default(),
            outstanding: AtomicUsize::new(0),
            looks: Mutex::default(),
            #[cfg(test)]
            broken: false.into(),
        };
        Pool { jobs, waiting, shared: Arc::new(shared) }
    }

    /// Starts one probe and returns at once. Its verdict is reported once, at the latest when `timeout` has passed; only a
    /// look at a file on a dead network mount, or for a name while the name server is dead, can take longer, and until it is
    /// back there is no other. The text of a failed one is meant for a person.
    ///
    /// The error says why the probe was not taken: it has failed then, and nothing more is reported. It is returned because
    /// a report from this thread could wait for this thread. A command is never taken: it is a child process, and only the
    /// main thread starts those.
    pub fn submit(&self, id: ProbeId, probe: &Probe, timeout: Duration) -> Result<(), String> {
        if let Probe::Command(command) = probe {
            return Err(format!("{} is a command; commands don't run on this pool", command.program()));
        }
        let now = Instant::now();
        let deadline = now.checked_add(timeout).unwrap_or(now);
        if let Some(path) = place(probe) {
            let mut looks = self.shared.looks();
            if *looks.entry(question(id)).or_insert(deadline) < now {
                return Err(format!("the last look at {} has not come back", path.display()));
            }
        }
        let outstanding = self.shared.outstanding.fetch_add(1, Ordering::SeqCst).saturating_add(1);
        let taken = match self.shared.ensure_worker(&self.waiting, outstanding) {
            Err(e) => Err(format!("cannot start a thread for probes: {e}")),
            Ok(()) => self.jobs.try_send(Job { id, probe: probe.clone(), timeout, deadline }).map_err(|e| match e {
                TrySendError::Full(_) => "too many probes waiting".to_owned(),
                TrySendError::Disconnected(_) => "the probe workers are gone".to_owned(),
            }),
        };
        if taken.is_err() {
            self.shared.outstanding.fetch_sub(1, Ordering::SeqCst);
            let mut looks = self.shared.looks();
            if looks.get(&question(id)) == Some(&deadline) {
                looks.remove(&question(id));
            }
        }
        taken
    }

    #[cfg(test)]
    pub(super) fn workers(&self) -> usize {
        self.shared.workers.load(Ordering::SeqCst)
    }

    #[cfg(test)]
    pub(super) fn break_next_probe(&self) {
        self.shared.broken.store(true, Ordering::SeqCst);
    }
}

impl Shared {
    /// One worker for each outstanding probe, up to the limit, and one more for each that a probe holds up. Fewer will do if
    /// the system has no thread left, but none won't.
    fn ensure_worker(self: &Arc<Self>, jobs: &Receiver<Job>, outstanding: usize) -> io::Result<()> {
        let workers = self.workers.load(Ordering::SeqCst);
        let stays = workers < limits::PROBE_WORKERS;
        if outstanding <= workers || (!stays && workers >= limits::PROBE_WORKERS.saturating_add(self.held_up())) {
            return Ok(());
        }
        // If another one has been quicker, that one will do.
        let more = workers.saturating_add(1);
        if self.workers.compare_exchange(workers, more, Ordering::SeqCst, Ordering::SeqCst).is_err() {
            return Ok(());
        }
        let (jobs, shared) = (jobs.clone(), Arc::clone(self));
        let started = thread::Builder::new().name(format!("probe-{workers}")).spawn(move || shared.serve(&jobs, stays));
        match started {
            Ok(_detached) => Ok(()),
            Err(e) => {
                self.workers.fetch_sub(1, Ordering::SeqCst);
                if workers > 0 { Ok(()) } else { Err(e) }
            }
        }
    }

    /// How many workers don't count, because nobody answers them, or because they don't come back from the file system.
    fn held_up(&self) -> usize {
        let (now, mut busy) = (Instant::now(), self.busy());
        let held_up =
            |(_, since): &&(ThreadId, Instant)| now.saturating_duration_since(*since) >= limits::PROBE_HELD_UP;
        let count = busy.since.iter().filter(held_up).count();
        if count > 0 {
            busy.held_up = Some(now);
        }
        count.min(limits::PROBE_WORKERS_MOST.saturating_sub(limits::PROBE_WORKERS))
    }

    /// What a worker does; one that does not stay, as long as others are held up and a while longer.
    fn serve(self: &Arc<Self>, jobs: &Receiver<Job>, stays: bool) {
        loop {
            let job = match stays {
                true => jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
                false => jobs.recv_timeout(IDLE),
            };
            let Ok(job) = job else { break };
            // It may be held up itself, and others wait. If no more can be started, fewer will do.
            let _ = self.ensure_worker(jobs, self.outstanding.load(Ordering::SeqCst));
            self.work(job);
            if !stays && self.held_up() == 0 && self.busy().held_up.is_none_or(|last| last.elapsed() >= IDLE) {
                break;
            }
        }
        self.workers.fetch_sub(1, Ordering::SeqCst);
    }

    fn work(&self, job: Job) {
        let me = thread::current().id();
        self.busy().since.push((me, Instant::now()));
        let verdict = panic::catch_unwind(AssertUnwindSafe(|| self.probe(&job))).unwrap_or_else(|_| {
            // The HTTP client keeps a thread of its own; if that is what broke, a new client mends it.
            self.http.forget();
            Err("the probe broke; this is a bug in Horust".to_owned())
        });
        self.busy().since.retain(|(other, _)| *other != me);
        // A report that panics costs its verdict, never the worker.
        let _ = panic::catch_unwind(AssertUnwindSafe(|| self.finish(job.id, verdict)));
    }

    fn probe(&self, job: &Job) -> Result<(), String> {
        let timed_out = || format!("timed out after {}", humantime::format_duration(job.timeout));
        // It has waited for a worker inside its own timeout.
        if Instant::now() >= job.deadline {
            return Err(timed_out());
        }
        chaos::point("probe");
        #[cfg(test)]
        assert!(!self.broken.swap(false, Ordering::SeqCst), "broken on purpose");
        let in_time = |answer: Result<(), Option<String>>| answer.map_err(|e| e.unwrap_or_else(timed_out));
        match &job.probe {
            Probe::Http(url) => in_time(self.http.probe(url, job.deadline)),
            Probe::HttpUnix { socket, path } => in_time(socket::http(socket, path, job.deadline)),
            Probe::Tcp(address) => in_time(socket::tcp(address, job.deadline)),
            Probe::Unix(path) => in_time(socket::unix(path)),
            Probe::File(path) => match path.metadata() {
                Ok(_) => Ok(()),
                Err(e) if e.kind() == io::ErrorKind::NotFound => Err(format!("{} does not exist", path.display())),
                Err(e) => Err(format!("cannot look at {}: {}", path.display(), plain(&e))),
            },
            Probe::Command(_) => Err("commands don't run on this pool".to_owned()),
        }
    }

    fn looks(&self) -> MutexGuard<'_, HashMap<Question, Instant>> {
        self.looks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn busy(&self) -> MutexGuard<'_, Busy> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn finish(&self, id: ProbeId, verdict: Result<(), String>) {
        self.looks().remove(&question(id));
        self.outstanding.fetch_sub(1, Ordering::SeqCst);
        (self.report)(id, verdict);
    }
}

fn question(id: ProbeId) -> Question {
    (id.run.service, id.ready, id.probe)
}

/// What a probe asks the file system or the resolver for, neither of which knows a deadline.
fn place(probe: &Probe) -> Option<&Path> {
    match probe {
        Probe::File(path) | Probe::Unix(path) | Probe::HttpUnix { socket: path, .. } => Some(path),
        Probe::Tcp(address) => Some(Path::new(address)),
        Probe::Http(_) | Probe::Command(_) => None,
    }
}

/// An I/O error in a sentence: without the error number, beginning small.
pub(super) fn plain(e: &io::Error) -> String {
    let text = e.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}
