//! Service output: capture, framing into lines, prefix and JSON, memory, rotation. One thread serves all captured services;
//! it starts with the first. Nobody waits for it but the end of Horust, and that not for long. What is not captured never
//! comes here: those services write straight to where their output goes.

mod core;
mod file;
mod frame;
#[cfg(fuzzing)]
pub mod fuzzing;
mod json;
mod places;
mod rate;
mod relay;
mod ring;
mod series;
mod services;
mod sink;
mod source;
mod stdio;
mod tidy;

use crate::limits;
use crate::model::{Ask, Plan, Reading, RunId, ServiceSpec};
use crossbeam_channel::{Receiver, Sender, bounded};
use nix::sys::eventfd::{EfdFlags, EventFd};
use std::io;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime};

/// Lines dropped since the start: for their rate, and because nobody took them. Counted where they are dropped, on the one
/// thread there is; read by others.
static DROPPED: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(0)];

/// Lines that were dropped since the start: for their rate, and because the place that they were to go to refused them.
pub fn dropped() -> (u64, u64) {
    let [limited, refused] = &DROPPED;
    (limited.load(Ordering::Relaxed), refused.load(Ordering::Relaxed))
}

fn count_limited() {
    let [limited, _] = &DROPPED;
    limited.fetch_add(1, Ordering::Relaxed);
}

fn count_refused(lines: u64) {
    let [_, refused] = &DROPPED;
    refused.fetch_add(lines, Ordering::Relaxed);
}

/// Panics after which the thread is given up.
const PANICS: usize = 100;

/// The streams of a new run, to be captured.
pub struct Attach {
    /// Whose. It has a [`crate::model::Log`].
    pub spec: Arc<ServiceSpec>,
    /// The reading end of its standard output, non-blocking.
    pub stdout: OwnedFd,
    /// The same for standard error.
    pub stderr: OwnedFd,
    /// When it was started.
    pub started: SystemTime,
    /// The first line of it that this expression matches is reported, as this run's.
    pub awaited: Option<(RunId, String)>,
}

/// Takes the runs whose awaited line has come. Must not wait.
pub type OnLine = Box<dyn Fn(RunId) + Send>;

/// Is told that there is more to be read. Must not wait.
pub type OnOutput = Box<dyn Fn() + Send>;

/// Takes what was read of each service that was asked for; none of those that were never captured. Must not wait.
pub type Reply = Box<dyn FnOnce(Vec<Option<Reading>>) + Send>;

/// What the thread is asked for.
enum Request {
    Attach(Box<Attach>),
    Adopt(Arc<Plan>),
    Read { asks: Vec<Ask>, reply: Reply },
    Finish { by: Instant, done: Sender<()> },
}

/// The way to the logger thread.
pub struct Logger {
    requests: Sender<Request>,
    bell: Bell,
}

/// Wakes the thread; once more when it is dropped, after the queue: then nobody will ask any more.
struct Bell(Arc<EventFd>);

impl Bell {
    fn ring(&self) {
        // The only error there is, a full counter, means that it is awake.
        let _ = self.0.write(1);
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        self.ring();
    }
}

impl Logger {
    /// Starts the thread.
    pub fn start(on_line: OnLine, on_output: OnOutput) -> io::Result<Logger> {
        let wake = Arc::new(EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?);
        let (sender, requests) = bounded(limits::LOG_REQUESTS);
        let mut core = core::Core::new(requests, Arc::clone(&wake), on_line, on_output)?;
        let body = move || {
            // A panic must not close the pipes of services, which would end them.
            for _ in 0..PANICS {
                match catch_unwind(AssertUnwindSafe(|| core.run())) {
                    Ok(()) => return,
                    Err(_) => log::error!("bug: the logger has failed; it goes on (please report this)"),
                }
            }
        };
        std::thread::Builder::new().name("output".into()).stack_size(256 << 10).spawn(body)?;
        Ok(Logger { requests: sender, bell: Bell(wake) })
    }

    /// Captures the streams of a new run. False if the thread has not come to as many starts as may wait for it.
    pub fn attach(&self, attach: Attach) -> bool {
        let sent = self.requests.try_send(Request::Attach(Box::new(attach))).is_ok();
        self.bell.ring();
        sent
    }

    /// These are the services now. What is kept of others is forgotten once they have ended; or, if the thread has too much
    /// to do, the next time.
    pub fn adopt(&self, plan: &Arc<Plan>) {
        let _ = self.requests.try_send(Request::Adopt(Arc::clone(plan)));
        self.bell.ring();
    }

    /// Reads what services have written, as far as it is still in memory. False if too many wait for that.
    pub fn read(&self, asks: Vec<Ask>, reply: Reply) -> bool {
        let sent = self.requests.try_send(Request::Read { asks, reply }).is_ok();
        self.bell.ring();
        sent
    }

    /// Waits until everything that was written is passed on, within a bounded time. After that nothing is captured, but it can
    /// be read still.
    pub fn finish(&self) {
        let (done, wait): (Sender<()>, Receiver<()>) = bounded(1);
        let by = Instant::now().checked_add(limits::OUTPUT_FLUSH).unwrap_or_else(Instant::now);
        if self.requests.send_timeout(Request::Finish { by, done }, limits::OUTPUT_FLUSH).is_ok() {
            self.bell.ring();
            // Its own bound is kept by the thread; a disk that hangs is not waited for.
            let _ = wait.recv_timeout(limits::OUTPUT_FLUSH.saturating_add(limits::LOG_FLUSH));
        }
    }
}
