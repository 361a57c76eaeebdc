//! The runtime thread: feeds the supervisor with events and the time, and hands out its actions. It waits for nothing
//! but the next event or deadline, and touches no process.

use super::report;
use super::tell;
use crate::chaos;
use crate::control::{Answer, Call, Question, Steps, View};
use crate::healthcheck::Pool;
use crate::limits;
use crate::model::{Mono, Plan, Probe, ProbeId, ServiceId};
use crate::supervisor::{Action, Event, Supervisor};
use crate::sys::process::mono_now;
use crate::sys::users;
use crate::sys::wake::EventFd;
use crossbeam_channel::{Receiver, Select, Sender};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

/// How the runtime thread reaches the others.
pub struct Outward {
    /// To the main thread. It never blocks on us, so sending to it may block.
    pub actions: Sender<Vec<Action>>,
    /// Wakes the main thread for them.
    pub wake: Arc<EventFd>,
    /// For the answers of probes.
    pub events: Sender<Vec<Event>>,
    /// Told of each step while somebody watches.
    pub steps: Arc<Steps>,
}

/// What comes to the runtime thread.
pub struct Inward {
    /// What has happened.
    pub events: Receiver<Vec<Event>>,
    /// What people ask for. A queue of its own: however many ask, facts come first.
    pub calls: Receiver<Call>,
}

/// Starts the thread. If it ends, however it does, the main thread finds the channel closed.
pub fn start(plan: Arc<Plan>, inward: Inward, outward: Outward) -> io::Result<()> {
    let body = move || {
        let wake = Arc::clone(&outward.wake);
        let _ = catch_unwind(AssertUnwindSafe(move || Core::new(plan, outward).run(&inward)));
        wake.wake();
    };
    std::thread::Builder::new().name("runtime".into()).spawn(body).map(|_| ())
}

struct Core {
    plan: Arc<Plan>,
    supervisor: Supervisor,
    outward: Outward,
    pool: Option<Pool>,
    /// Answers of probes that the pool did not take.
    refused: Vec<Event>,
}

impl Core {
    fn new(plan: Arc<Plan>, outward: Outward) -> Core {
        let supervisor = Supervisor::new(&plan, mono_now());
        Core { plan, supervisor, outward, pool: None, refused: Vec::new() }
    }

    fn run(&mut self, inward: &Inward) {
        let mut batch = vec![Event::Boot];
        let mut calls = Vec::new();
        loop {
            let mut actions = Vec::new();
            // A mere question changes nothing, and must not make those look again who wait for a change.
            let changed = !batch.is_empty() || calls.iter().any(|call: &Call| !call.commands.is_empty());
            for event in batch.drain(..) {
                self.supervisor.step(Mono(mono_now()), event, &mut actions);
            }
            for command in calls.iter_mut().flat_map(|call: &mut Call| call.commands.drain(..)) {
                self.supervisor.step(Mono(mono_now()), Event::Commanded(command), &mut actions);
            }
            if !self.carry_out(actions) {
                return;
            }
            for call in calls.drain(..) {
                self.reply(call.question);
            }
            if changed && self.outward.steps.receiver_count() > 0 {
                self.outward.steps.send_modify(|count| *count = count.wrapping_add(1));
            }
            if !self.refused.is_empty() {
                batch = std::mem::take(&mut self.refused);
                continue;
            }
            self.wait(inward);
            chaos::point("runtime");
            // What has come meanwhile is one batch with it: one wake-up for main instead of many.
            batch = inward.events.try_iter().take(limits::QUEUE).flatten().collect();
            calls.extend(inward.calls.try_iter().take(limits::CALLS));
            if batch.is_empty() && calls.is_empty() {
                batch.push(Event::Tick);
            }
        }
    }

    /// Sleeps until there is something to do.
    fn wait(&self, inward: &Inward) {
        let mut select = Select::new();
        select.recv(&inward.events);
        select.recv(&inward.calls);
        match self.supervisor.next_deadline() {
            None => drop(select.ready()),
            Some(at) => drop(select.ready_timeout(at.since(Mono(mono_now())))),
        }
    }

    /// Answers a question. Whoever has asked may be gone.
    fn reply(&self, question: Question) {
        match question {
            Question::Services(of, reply) => drop(reply.send(self.answer(&of))),
            Question::Why(of, reply) => {
                let why = |id: &ServiceId| tell::why(&self.plan, &self.supervisor, Mono(mono_now()), *id);
                drop(reply.send(of.iter().filter_map(why).collect()));
            }
            Question::Graph(reply) => drop(reply.send(tell::graph(&self.plan, &self.supervisor))),
            Question::Timeline(reply) => drop(reply.send(tell::timeline(&self.supervisor, Mono(mono_now())))),
        }
    }

    fn answer(&self, of: &[ServiceId]) -> Answer {
        let view = |id: &ServiceId| {
            let status = self.supervisor.status(*id)?;
            Some(View {
                id: *id,
                reason: status.reason.as_ref().map(|reason| report::reason_of(&self.plan, *id, reason)),
                last_exit: status.last_exit.map(|exit| (exit, report::ended(&self.plan, *id, exit))),
                status,
            })
        };
        let services = of.iter().filter_map(view).collect();
        Answer { now: Mono(mono_now()), up: self.supervisor.is_up(), services }
    }

    /// Keeps what concerns this thread and sends the rest to main. False once main is gone.
    fn carry_out(&mut self, mut actions: Vec<Action>) -> bool {
        actions.retain(|action| match action {
            Action::Report(report) => {
                report::log(&self.plan, &self.supervisor, Mono(mono_now()), report);
                false
            }
            Action::StartProbe(id) => !self.submit(*id),
            Action::CancelProbe(id) => matches!(probe(&self.plan, *id), Some((Probe::Command(_), _))),
            Action::Spawn(_)
            | Action::Signal { .. }
            | Action::StartHook(..)
            | Action::CancelHook(_)
            | Action::Exit(_) => true,
        });
        if actions.is_empty() {
            return true;
        }
        let sent = self.outward.actions.send(actions).is_ok();
        self.outward.wake.wake();
        sent
    }

    /// Gives a probe to the pool. False if it is a command, which only main may run.
    fn submit(&mut self, id: ProbeId) -> bool {
        let Some((probe, timeout)) = probe(&self.plan, id) else { return true };
        if matches!(probe, Probe::Command(_)) {
            return false;
        }
        let events = &self.outward.events;
        let pool = self.pool.get_or_insert_with(|| {
            users::static_nss();
            let events = events.clone();
            Pool::new(move |id, answer| {
                let _ = events.send(vec![Event::Probed(id, answer)]);
            })
        });
        if let Err(why) = pool.submit(id, probe, timeout) {
            // Not sent to ourselves: the channel may be full, and only this thread empties it.
            self.refused.push(Event::Probed(id, Err(why)));
        }
        true
    }
}

/// The probe of this id, and its timeout.
pub fn probe(plan: &Plan, id: ProbeId) -> Option<(&Probe, Duration)> {
    let spec = plan.services.get(id.run.service.index())?;
    let rounds = spec.rounds(id.ready)?;
    let probe = rounds.probes.get(usize::try_from(id.probe).ok()?);
    probe.map(|probe| (probe, rounds.timeout))
}
