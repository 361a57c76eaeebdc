//! The supervisor's keeper: feeds it with events and the time, and hands out its actions. The main thread calls it and
//! sleeps for it; nothing here waits, and nothing touches a process.

use super::report;
use crate::chaos;
use crate::control::{Answer, Call, Question, Steps, View};
use crate::healthcheck::Pool;
use crate::limits;
use crate::model::{Mono, Plan, Probe, ProbeId, ServiceId};
use crate::supervisor::{Action, Event, Supervisor};
use crate::sys::process::mono_now;
use crate::sys::users;
use crate::sys::wake::EventFd;
use crossbeam_channel::{Receiver, Sender};
use std::sync::Arc;
use std::time::Duration;

/// How it and the other threads reach each other.
pub struct Around {
    /// For the answers of probes.
    pub answers: Sender<Event>,
    /// Wakes the main thread for them.
    pub wake: Arc<EventFd>,
    /// What people ask for.
    pub calls: Receiver<Call>,
    /// Told of each step while somebody watches.
    pub steps: Arc<Steps>,
}

/// The supervisor and what is around it.
pub struct Core {
    plan: Arc<Plan>,
    supervisor: Supervisor,
    around: Around,
    pool: Option<Pool>,
}

impl Core {
    /// Nothing has happened yet.
    pub fn new(plan: Arc<Plan>, around: Around) -> Core {
        let supervisor = Supervisor::new(&plan, mono_now());
        Core { plan, supervisor, around, pool: None }
    }

    /// When [`turn`](Core::turn) must be called at the latest.
    pub fn next_deadline(&self) -> Option<Mono> {
        self.supervisor.next_deadline()
    }

    /// Takes in what has happened and what people ask for, facts first. What main has to do about it is appended to
    /// `actions`; what has come of it here, and is to be taken in next, to `events`.
    pub fn turn(&mut self, events: &mut Vec<Event>, actions: &mut Vec<Action>) {
        chaos::point("supervisor");
        let mut calls: Vec<Call> = self.around.calls.try_iter().take(limits::CALLS).collect();
        let now = Mono(mono_now());
        let due = self.next_deadline().is_some_and(|at| at <= now);
        if events.is_empty() && due {
            events.push(Event::Tick);
        }
        // A mere question changes nothing, and must not make those look again who wait for a change.
        let changed = !events.is_empty() || calls.iter().any(|call| !call.commands.is_empty());
        for event in events.drain(..) {
            self.supervisor.step(now, event, actions);
        }
        for command in calls.iter_mut().flat_map(|call| call.commands.drain(..)) {
            self.supervisor.step(now, Event::Commanded(command), actions);
        }
        self.carry_out(now, actions, events);
        for call in calls {
            self.reply(call.question);
        }
        if changed && self.around.steps.receiver_count() > 0 {
            self.around.steps.send_modify(|count| *count = count.wrapping_add(1));
        }
    }

    /// Answers a question. Whoever has asked may be gone.
    fn reply(&self, question: Question) {
        match question {
            Question::Services(of, reply) => drop(reply.send(self.answer(&of))),
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

    /// Keeps what concerns us of the actions and leaves the rest to main.
    fn carry_out(&mut self, now: Mono, actions: &mut Vec<Action>, events: &mut Vec<Event>) {
        actions.retain(|action| match action {
            Action::Report(report) => {
                report::log(&self.plan, &self.supervisor, now, report);
                false
            }
            Action::StartProbe(id) => match self.submit(*id) {
                Ok(is_command) => is_command,
                Err(why) => {
                    events.push(Event::Probed(*id, Err(why)));
                    false
                }
            },
            Action::CancelProbe(id) => matches!(probe(&self.plan, *id), Some((Probe::Command(_), _))),
            Action::Spawn(_)
            | Action::Signal { .. }
            | Action::StartHook(..)
            | Action::CancelHook(_)
            | Action::Exit(_) => true,
        });
    }

    /// Gives a probe to the pool. True if it is a command, which only main may run. An error is its answer.
    fn submit(&mut self, id: ProbeId) -> Result<bool, String> {
        let Some((probe, timeout)) = probe(&self.plan, id) else { return Ok(false) };
        if matches!(probe, Probe::Command(_)) {
            return Ok(true);
        }
        let Around { answers, wake, .. } = &self.around;
        let pool = self.pool.get_or_insert_with(|| {
            users::static_nss();
            let (answers, wake) = (answers.clone(), Arc::clone(wake));
            Pool::new(move |id, answer| {
                let _ = answers.send(Event::Probed(id, answer));
                wake.wake();
            })
        });
        pool.submit(id, probe, timeout).map(|()| false)
    }
}

/// The probe of this id, and its timeout.
pub fn probe(plan: &Plan, id: ProbeId) -> Option<(&Probe, Duration)> {
    let spec = plan.services.get(id.run.service.index())?;
    let rounds = spec.rounds(id.ready)?;
    let probe = rounds.probes.get(usize::try_from(id.probe).ok()?);
    probe.map(|probe| (probe, rounds.timeout))
}
