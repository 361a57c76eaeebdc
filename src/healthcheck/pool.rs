//! The pool: threads that are started when there is work for them and then kept, asleep in `recv`. It must not decide what
//! a verdict means.

use super::http::Http;
use super::socket;
use crate::chaos;
use crate::limits;
use crate::model::{Probe, ProbeId, ServiceId};
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use std::collections::HashMap;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

type Report = dyn Fn(ProbeId, Result<(), String>) + Send + Sync;

/// Runs probes. Dropping it lets its threads end once they have finished what they are at.
pub struct Pool {
    jobs: Sender<Job>,
    waiting: Receiver<Job>,
    shared: Arc<Shared>,
    workers: AtomicUsize,
}

/// What the workers share.
struct Shared {
    report: Box<Report>,
    http: Http,
    /// Probes submitted and not yet reported.
    outstanding: AtomicUsize,
    /// When each probe of the file system that has not been reported should have been: a dead network mount keeps it for ever.
    looks: Mutex<HashMap<Question, Instant>>,
    #[cfg(test)]
    broken: std::sync::atomic::AtomicBool,
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
            outstanding: AtomicUsize::new(0),
            looks: Mutex::default(),
            #[cfg(test)]
            broken: false.into(),
        };
        Pool { jobs, waiting, shared: Arc::new(shared), workers: AtomicUsize::new(0) }
    }

    /// Starts one probe and returns at once. Its verdict is reported once, at the latest when `timeout` has passed; only a
    /// look at a file on a dead network mount can take longer, and until it is back that file is not looked at again. The
    /// text of a failed one is meant for a person.
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
        let taken = match self.ensure_worker(outstanding) {
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

    /// One worker for each outstanding probe, up to the limit, and as many again for those that are stuck. Fewer will do if
    /// the system has no thread left, but none won't.
    fn ensure_worker(&self, outstanding: usize) -> io::Result<()> {
        let workers = self.workers.load(Ordering::SeqCst);
        if outstanding <= workers || workers >= limits::PROBE_WORKERS.saturating_add(self.stuck(workers)) {
            return Ok(());
        }
        let (jobs, shared) = (self.waiting.clone(), Arc::clone(&self.shared));
        let body = move || {
            for job in jobs {
                shared.work(job);
            }
        };
        match thread::Builder::new().name(format!("probe-{workers}")).spawn(body) {
            Ok(_detached) => {
                self.workers.fetch_add(1, Ordering::SeqCst);
                Ok(())
            }
            Err(_) if workers > 0 => Ok(()),
            Err(e) => Err(e),
        }
    }

    /// How many of so many workers don't count, because they have not come back from the file system in time.
    fn stuck(&self, workers: usize) -> usize {
        if workers < limits::PROBE_WORKERS {
            return 0;
        }
        let now = Instant::now();
        self.shared.looks().values().filter(|late| **late < now).count().min(limits::PROBE_WORKERS)
    }

    #[cfg(test)]
    pub(super) fn workers(&self) -> usize {
        self.workers.load(Ordering::SeqCst)
    }

    #[cfg(test)]
    pub(super) fn break_next_probe(&self) {
        self.shared.broken.store(true, Ordering::SeqCst);
    }
}

impl Shared {
    fn work(&self, job: Job) {
        let verdict = panic::catch_unwind(AssertUnwindSafe(|| self.probe(&job))).unwrap_or_else(|_| {
            // The HTTP client keeps a thread of its own; if that is what broke, a new client mends it.
            self.http.forget();
            Err("the probe broke; this is a bug in Horust".to_owned())
        });
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

    fn finish(&self, id: ProbeId, verdict: Result<(), String>) {
        self.looks().remove(&question(id));
        self.outstanding.fetch_sub(1, Ordering::SeqCst);
        (self.report)(id, verdict);
    }
}

fn question(id: ProbeId) -> Question {
    (id.run.service, id.ready, id.probe)
}

/// What a probe asks the file system for, which knows no deadline.
fn place(probe: &Probe) -> Option<&Path> {
    match probe {
        Probe::File(path) | Probe::Unix(path) | Probe::HttpUnix { socket: path, .. } => Some(path),
        Probe::Http(_) | Probe::Tcp(_) | Probe::Command(_) => None,
    }
}

/// An I/O error in a sentence: without the error number, beginning small.
pub(super) fn plain(e: &io::Error) -> String {
    let text = e.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}
