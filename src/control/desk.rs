//! Where requests are handed in: the one way from the control thread to the rest of Horust. Everything here is bounded,
//! and no other thread ever waits for this one.

use super::wire;
use crate::model::{Exit, Mono, Plan, ServiceId};
use crate::supervisor::{Command, Status};
use crossbeam_channel::{Sender, TrySendError};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::sync::{oneshot, watch};

/// What the runtime thread is asked for. It answers after the commands have been carried out, in so far as that is its
/// own part.
pub struct Call {
    /// Carried out first, in this order and at one moment.
    pub commands: Vec<Command>,
    /// Answered after that.
    pub question: Question,
}

/// What somebody wants to know, with the place where the answer goes.
pub enum Question {
    /// What these services are doing.
    Services(Vec<ServiceId>, oneshot::Sender<Answer>),
    /// Why these are not what is wanted.
    Why(Vec<ServiceId>, oneshot::Sender<Vec<wire::Why>>),
    /// Who waits for whom.
    Graph(oneshot::Sender<wire::Graph>),
    /// How they came up.
    Timeline(oneshot::Sender<wire::Timeline>),
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
    /// How its last run ended, and in words.
    pub last_exit: Option<(Exit, String)>,
}

/// To the runtime thread.
pub type Calls = Sender<Call>;

/// Counts the steps of the supervisor while somebody watches.
pub type Steps = watch::Sender<u64>;

/// What processes use: asked for by the control thread, of main processes.
pub type Usage = fn(u32) -> wire::Usage;

/// The main process of each service, or 0. Written by the main thread, read by this one.
pub struct Pids(Box<[AtomicU32]>);

impl Pids {
    /// For all services of the plan.
    pub fn new(plan: &Plan) -> Pids {
        Pids(plan.services.iter().map(|_| AtomicU32::new(0)).collect())
    }

    /// The service's main process has begun, or, with 0, ended.
    pub fn set(&self, id: ServiceId, pid: u32) {
        if let Some(slot) = self.0.get(id.index()) {
            slot.store(pid, Ordering::Relaxed);
        }
    }

    /// The service's main process.
    pub fn get(&self, id: ServiceId) -> Option<u32> {
        self.0.get(id.index()).map(|slot| slot.load(Ordering::Relaxed)).filter(|pid| *pid != 0)
    }
}

/// All that the handlers of requests have.
pub struct Desk {
    /// The services.
    pub plan: Arc<Plan>,
    /// To the runtime thread.
    pub calls: Calls,
    /// Says that something may have changed.
    pub steps: Arc<Steps>,
    /// Main processes.
    pub pids: Arc<Pids>,
    /// What they use.
    pub usage: Usage,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// Too many calls wait.
    Busy,
    /// Horust ends.
    Ending,
}

impl Desk {
    /// Hands in a call and awaits the answer.
    pub async fn call(&self, commands: Vec<Command>, of: Vec<ServiceId>) -> Result<Answer, NoAnswer> {
        let (reply, answer) = oneshot::channel();
        self.hand_in(Call { commands, question: Question::Services(of, reply) })?;
        answer.await.map_err(|_| NoAnswer::Ending)
    }

    /// Asks for something that changes nothing.
    pub async fn ask<T>(&self, question: impl FnOnce(oneshot::Sender<T>) -> Question) -> Result<T, NoAnswer> {
        let (reply, answer) = oneshot::channel();
        self.hand_in(Call { commands: Vec::new(), question: question(reply) })?;
        answer.await.map_err(|_| NoAnswer::Ending)
    }

    fn hand_in(&self, call: Call) -> Result<(), NoAnswer> {
        self.calls.try_send(call).map_err(|error| match error {
            TrySendError::Full(_) => NoAnswer::Busy,
            TrySendError::Disconnected(_) => NoAnswer::Ending,
        })
    }
}
