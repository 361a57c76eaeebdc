//! Where requests are handed in: the one way from the control thread to the rest of Horust. Everything here is bounded,
//! and no other thread ever waits for this one.

use super::tally::Tally;
use super::wire;
use crate::model::{Ask, Exit, Mono, Plan, Reading, ServiceId};
use crate::supervisor::{Command, Difference, Status};
use crossbeam_channel::{Sender, TrySendError};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;
use tokio::sync::{oneshot, watch};

/// What the runtime thread is asked for. It answers after the commands have been carried out, in so far as that is its
/// own part.
pub struct Call {
    /// What the ids in it mean: by now they may mean other services.
    pub plan: Arc<Plan>,
    /// Carried out first, in this order and at one moment.
    pub commands: Vec<Command>,
    /// Answered after that.
    pub question: Question,
}

/// What somebody wants to know, with the place where the answer goes.
pub enum Question {
    /// What these services are doing.
    Services(Vec<ServiceId>, oneshot::Sender<Answer>),
    /// What has happened to services.
    Events(EventsAsked, oneshot::Sender<Happenings>),
    /// Why these are not what is wanted.
    Why(Vec<ServiceId>, oneshot::Sender<Vec<wire::Why>>),
    /// Who waits for whom.
    Graph(oneshot::Sender<wire::Graph>),
    /// How they came up.
    Timeline(oneshot::Sender<wire::Timeline>),
    /// What this newly read configuration changes.
    Reload {
        /// As it was read.
        read: Arc<Plan>,
        /// Whether it is to be done, too.
        apply: bool,
        /// None if all services are being stopped.
        reply: oneshot::Sender<Option<Difference>>,
    },
    /// The journal, as text.
    Journal(oneshot::Sender<String>),
    /// The same of all services, and what has been counted.
    Figures(oneshot::Sender<(Answer, Tally)>),
}

/// The answer.
pub struct Answer {
    /// When it was given.
    pub now: Mono,
    /// Whether services may start; else the commands had no effect.
    pub up: bool,
    /// Those that were asked about.
    pub services: Vec<View>,
}

/// One service as readers see it.
pub struct View {
    /// Which one.
    pub id: ServiceId,
    /// The supervisor's view.
    pub status: Status,
    /// Why it has given up, in words.
    pub reason: Option<String>,
    /// What it lacks to be ready, in words, while it runs and is not.
    pub lacks: Option<String>,
    /// How its last run ended, and in words.
    pub last_exit: Option<(Exit, String)>,
}

/// Which events somebody wants to know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventsAsked {
    /// Those after this one; all that are kept if none.
    pub after: Option<u64>,
    /// Those of these services, in ascending order; of all, and of Horust itself, if none.
    pub of: Option<Vec<ServiceId>>,
    /// Of these so many of the latest.
    pub last: Option<usize>,
}

/// Some of the events that were asked for.
pub struct Happenings {
    /// The oldest first.
    pub events: Vec<Happening>,
    /// All up to this one have been looked at.
    pub next: u64,
    /// The latest that there is.
    pub newest: u64,
    /// How many were asked for but are not kept any more.
    pub lost: u64,
}

/// Something that has happened.
pub struct Happening {
    /// Its number.
    pub seq: u64,
    /// When.
    pub at: SystemTime,
    /// To which service, if it was one.
    pub service: Option<String>,
    /// What, for programs.
    pub kind: &'static str,
    /// What, for people.
    pub text: String,
}

/// To the runtime thread.
pub type Calls = Sender<Call>;

/// Counts what somebody may want to hear of, such as the steps of the supervisor, while somebody watches.
pub type Steps = watch::Sender<u64>;

/// Counts one more, if somebody watches.
pub fn moved(steps: &Steps) {
    if steps.receiver_count() > 0 {
        steps.send_modify(|count| *count = count.wrapping_add(1));
    }
}

/// Asks for what services have written. The answer is given on a thread that must not be held up; none for a service that
/// has never been captured.
pub type ReadOutput =
    Arc<dyn Fn(Vec<Ask>, Box<dyn FnOnce(Vec<Option<Reading>>) + Send>) -> Result<(), NoAnswer> + Send + Sync>;

/// What processes use: asked for by the control thread, of main processes.
pub type Usage = fn(u32) -> wire::Usage;

/// What was dropped since the start.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lost {
    /// Lines of services, for their `rate-limit`.
    pub limited: u64,
    /// Lines of services that the place they were to go to did not take.
    pub refused: u64,
    /// Horust's own messages.
    pub messages: u64,
}

/// What services go by now.
pub type Plans = watch::Sender<Arc<Plan>>;

/// Reads the configuration again, and, if it is told to, has it come into force. It takes its time: never call it where
/// others would have to wait for it.
pub type Reload = Arc<dyn Fn(bool) -> Result<wire::Reload, NoAnswer> + Send + Sync>;

/// Pids in the first of the pieces below; each further one has twice as many.
const PIECE: usize = 16;
/// Enough for a million services.
const PIECES: usize = 17;

/// The main process of each service, or 0. Written by the main thread, read by this one. It grows with the highest id,
/// without moving what is there.
#[derive(Default)]
pub struct Pids([OnceLock<Box<[AtomicU32]>>; PIECES]);

impl Pids {
    /// The service's main process has begun, or, with 0, ended.
    pub fn set(&self, id: ServiceId, pid: u32) {
        let (piece, size, at) = place(id);
        let Some(piece) = self.0.get(piece) else { return };
        let piece = piece.get_or_init(|| (0..size).map(|_| AtomicU32::new(0)).collect());
        if let Some(slot) = piece.get(at) {
            slot.store(pid, Ordering::Relaxed);
        }
    }

    /// The service's main process.
    pub fn get(&self, id: ServiceId) -> Option<u32> {
        let (piece, _, at) = place(id);
        let slot = self.0.get(piece)?.get()?.get(at)?;
        Some(slot.load(Ordering::Relaxed)).filter(|pid| *pid != 0)
    }
}

/// In which piece the pid of a service is, how many that piece has, and where in it.
fn place(id: ServiceId) -> (usize, usize, usize) {
    let (mut piece, mut size, mut at) = (0usize, PIECE, id.index());
    while at >= size {
        (at, size, piece) = (at.saturating_sub(size), size.saturating_mul(2), piece.saturating_add(1));
    }
    (piece, size, at)
}

/// All that the handlers of requests have.
#[derive(Clone)]
pub struct Desk {
    /// The services, as they were when the request came: its ids mean these.
    pub plan: Arc<Plan>,
    /// What they are by now.
    pub plans: watch::Receiver<Arc<Plan>>,
    /// To the runtime thread.
    pub calls: Calls,
    /// Says that something may have changed.
    pub steps: Arc<Steps>,
    /// Main processes.
    pub pids: Arc<Pids>,
    /// What they use.
    pub usage: Usage,
    /// What they have written.
    pub read_output: ReadOutput,
    /// Says that they may have written something.
    pub output_news: Arc<Steps>,
    /// Says that there is an event.
    pub event_news: Arc<Steps>,
    /// Reads the configuration again.
    pub reload: Reload,
    /// What was dropped.
    pub lost: fn() -> Lost,
    /// Ended processes that belonged to nobody, counted by the main thread.
    pub orphans: Arc<AtomicU64>,
    /// When Horust was started.
    pub started: SystemTime,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// Too many calls wait.
    Busy,
    /// All services are being stopped: it is too late for that.
    Stopping,
    /// Horust ends.
    Ending,
}

impl Desk {
    /// The same with the services that there are now.
    pub fn now(self: &Arc<Desk>) -> Arc<Desk> {
        let plan = Arc::clone(&self.plans.borrow());
        if Arc::ptr_eq(&plan, &self.plan) {
            return Arc::clone(self);
        }
        Arc::new(Desk { plan, ..Desk::clone(self) })
    }

    /// Hands in a call and awaits the answer.
    pub async fn call(&self, commands: Vec<Command>, of: Vec<ServiceId>) -> Result<Answer, NoAnswer> {
        let (reply, answer) = oneshot::channel();
        let plan = Arc::clone(&self.plan);
        self.hand_in(Call { plan, commands, question: Question::Services(of, reply) })?;
        answer.await.map_err(|_| NoAnswer::Ending)
    }

    /// Asks for output.
    pub async fn output(&self, asks: Vec<Ask>) -> Result<Vec<Option<Reading>>, NoAnswer> {
        let (reply, answer) = oneshot::channel();
        // Whoever has asked may be gone.
        (self.read_output)(asks, Box::new(move |readings| drop(reply.send(readings))))?;
        answer.await.map_err(|_| NoAnswer::Ending)
    }

    /// Asks for something that changes nothing.
    pub async fn ask<T>(&self, question: impl FnOnce(oneshot::Sender<T>) -> Question) -> Result<T, NoAnswer> {
        let (reply, answer) = oneshot::channel();
        let plan = Arc::clone(&self.plan);
        self.hand_in(Call { plan, commands: Vec::new(), question: question(reply) })?;
        answer.await.map_err(|_| NoAnswer::Ending)
    }

    /// What all services are doing, and what has been counted.
    pub async fn figures(&self) -> Result<(Answer, Tally), NoAnswer> {
        self.ask(Question::Figures).await
    }

    fn hand_in(&self, call: Call) -> Result<(), NoAnswer> {
        self.calls.try_send(call).map_err(|error| match error {
            TrySendError::Full(_) => NoAnswer::Busy,
            TrySendError::Disconnected(_) => NoAnswer::Ending,
        })
    }
}
