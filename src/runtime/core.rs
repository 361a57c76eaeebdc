//! The runtime: feeds the supervisor with events and the time, and hands out its actions. A thread of its own does so at
//! deadlines, for questions, and with what other threads have seen; it waits for nothing else, and touches no process. What
//! main brings while that thread sleeps main hands in itself, which saves waking two threads between the end of a process
//! and the start of the next.

use super::explain;
use super::history::History;
use super::report;
use super::tell;
use crate::chaos;
use crate::control::{Answer, Call, EventsAsked, Plans, Question, Steps, Tally, View, moved};
use crate::healthcheck::Pool;
use crate::limits;
use crate::model::{Kind, Mono, Plan, Probe, ProbeId, ServiceId};
use crate::supervisor::{Action, Difference, Event, Supervisor};
use crate::sys::process::mono_now;
use crate::sys::users;
use crate::sys::wake::EventFd;
use crossbeam_channel::{Receiver, Select, Sender};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use std::time::Duration;
use tokio::sync::oneshot;

/// How the runtime reaches the others.
pub struct Outward {
    /// For the answers of probes.
    pub events: Sender<Vec<Event>>,
    /// Told of each step while somebody watches.
    pub steps: Arc<Steps>,
    /// Told of each event while somebody watches.
    pub event_news: Arc<Steps>,
    /// Told of each new plan.
    pub plans: Plans,
    /// Has the configuration read again, elsewhere.
    pub load: Box<dyn Fn() + Send>,
}

/// What comes to the thread.
pub struct Inward {
    /// What has happened.
    pub events: Receiver<Vec<Event>>,
    /// What people ask for. A queue of its own: however many ask, facts come first.
    pub calls: Receiver<Call>,
}

/// To the main thread.
pub struct Orders {
    /// It never blocks on us, so sending to it may block.
    pub actions: Sender<Vec<Action>>,
    /// Wakes it for them.
    pub wake: Arc<EventFd>,
}

/// Starts the thread. If it ends, however it does, the main thread finds the channel of its orders closed.
pub fn start(core: Arc<Mutex<Core>>, inward: Inward, orders: Orders) -> io::Result<()> {
    let body = move || {
        let wake = Arc::clone(&orders.wake);
        let _ = catch_unwind(AssertUnwindSafe(move || run(&core, &inward, &orders)));
        wake.wake();
    };
    std::thread::Builder::new().name("runtime".into()).spawn(body).map(|_| ())
}

/// Logs what has led to a failure of Horust, as far as that can be had.
pub fn log_journal(core: &Mutex<Core>) {
    let core = match core.try_lock() {
        Ok(core) => Some(core),
        Err(TryLockError::Poisoned(core)) => Some(core.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    };
    let log = |mut core: MutexGuard<'_, Core>| core.journal().lines().for_each(|line| log::error!("journal: {line}"));
    let _ = catch_unwind(AssertUnwindSafe(|| core.map(log)));
}

/// Takes turns until main is gone, or has failed in one of its own.
fn run(core: &Mutex<Core>, inward: &Inward, orders: &Orders) {
    let (mut patience, mut alone) = (None, false);
    while !alone {
        wait(inward, patience);
        chaos::point("runtime");
        let Ok(mut core) = core.lock() else { return };
        let calls = inward.calls.try_iter().take(limits::CALLS).collect();
        core.turn(Vec::new(), calls, &mut |actions| {
            alone |= orders.actions.send(actions).is_err();
            orders.wake.wake();
        });
        patience = core.sleep(Sleeper::Thread);
    }
}

/// Sleeps until there is something to do.
fn wait(inward: &Inward, patience: Option<Duration>) {
    let mut select = Select::new();
    select.recv(&inward.events);
    select.recv(&inward.calls);
    match patience {
        None => drop(select.ready()),
        Some(patience) => drop(select.ready_timeout(patience)),
    }
}

/// A call whose commands have been carried out.
enum Taken {
    /// This is to be answered.
    Question(Question),
    /// The difference is to be told.
    Reload(oneshot::Sender<Option<Difference>>, Option<Difference>),
}

/// The supervisor, and what is around it.
pub struct Core {
    plan: Arc<Plan>,
    supervisor: Supervisor,
    history: History,
    events: Receiver<Vec<Event>>,
    outward: Outward,
    pool: Option<Pool>,
    /// Answers of probes that the pool did not take.
    refused: Vec<Event>,
    /// For `/metrics`.
    tally: Tally,
    clock: Clock,
    /// When main and the thread wake up by themselves.
    alarms: [Option<Mono>; 2],
}

/// Who sleeps until a deadline.
#[derive(Clone, Copy)]
pub enum Sleeper {
    /// Main, after a turn of its own, until a deadline that is sooner than the thread knows.
    Main,
    /// The thread.
    Thread,
}

/// The time by which services are judged. It stands still while Horust does (SIGSTOP, a container that is frozen), so that
/// nobody is late who could not act, or was not heard.
#[derive(Default)]
struct Clock {
    /// How far it is behind.
    behind: Duration,
    /// When Horust has stood still last.
    stood: Option<Mono>,
}

impl Clock {
    fn now(&self) -> Mono {
        Mono(mono_now().saturating_sub(u64::try_from(self.behind.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// Something was to be done at that time, and is only now. Whoever had something to say when Horust stood still gets the
    /// time for it; not again and again, or nothing would ever be late where processors are always busy.
    fn is_late_for(&mut self, alarm: Mono) {
        let late = self.now().since(alarm);
        if late < limits::OVERSLEPT {
            return;
        }
        let now = Mono(mono_now());
        let again = self.stood.is_some_and(|stood| now.since(stood) < limits::OVERSLEPT_AGAIN);
        let more = if again { Duration::ZERO } else { limits::OVERSLEPT };
        self.behind = self.behind.saturating_add(late).saturating_add(more);
        self.stood = Some(now);
    }
}

impl Core {
    /// Nothing has happened yet.
    pub fn new(plan: Arc<Plan>, events: Receiver<Vec<Event>>, outward: Outward) -> Core {
        let mut supervisor = Supervisor::new(&plan, mono_now());
        supervisor.keep_journal(limits::JOURNAL);
        let history = History::new(Arc::clone(&outward.event_news));
        let (refused, tally, clock) = (Vec::new(), Tally::default(), Clock::default());
        Core { plan, supervisor, history, events, outward, pool: None, refused, tally, clock, alarms: [None; 2] }
    }

    /// Takes in what was sent here, after it what is `brought`, and then the calls. What main is to do goes to `order`.
    pub fn turn(&mut self, brought: Vec<Event>, calls: Vec<Call>, order: &mut dyn FnMut(Vec<Action>)) {
        chaos::point("turn");
        let begun = Mono(mono_now());
        for alarm in &mut self.alarms {
            if let Some(rung) = alarm.take_if(|alarm| *alarm <= self.clock.now()) {
                self.clock.is_late_for(rung);
            }
        }
        // One batch: one wake-up for main instead of many.
        let mut batch: Vec<Event> = self.events.try_iter().take(limits::QUEUE).flatten().chain(brought).collect();
        if batch.is_empty() && calls.is_empty() {
            batch.push(Event::Tick);
        }
        // A mere question changes nothing, and must not make those look again who wait for a change.
        let mut changed = !batch.is_empty() || calls.iter().any(|call: &Call| !call.commands.is_empty());
        let mut actions = Vec::new();
        self.step(batch, begun, &mut actions);
        let mut questions = Vec::new();
        let mut reloads = Vec::new();
        for call in calls {
            match self.take(call, &mut actions) {
                Taken::Question(question) => questions.push(question),
                Taken::Reload(reply, difference) => {
                    changed = true;
                    reloads.push((reply, difference));
                }
            }
        }
        self.carry_out(actions, order);
        while !self.refused.is_empty() {
            let (refused, mut actions) = (std::mem::take(&mut self.refused), Vec::new());
            self.step(refused, begun, &mut actions);
            self.carry_out(actions, order);
        }
        questions.into_iter().for_each(|question| self.reply(question));
        // Whoever hears of it finds the new services.
        reloads.into_iter().for_each(|(reply, difference)| drop(reply.send(difference)));
        if changed {
            moved(&self.outward.steps);
        }
        self.tally.steps.add(Mono(mono_now()).since(begun));
    }

    fn step(&mut self, events: Vec<Event>, at: Mono, actions: &mut Vec<Action>) {
        for event in events {
            self.tally.happened(at, &event);
            self.supervisor.step(self.clock.now(), event, actions);
        }
    }

    /// For how long who has just taken a turn may sleep.
    pub fn sleep(&mut self, who: Sleeper) -> Option<Duration> {
        let [main, thread] = &mut self.alarms;
        let next = self.supervisor.next_deadline();
        let alarm = match who {
            Sleeper::Main => {
                *main = next.filter(|next| thread.is_none_or(|thread| *next < thread));
                *main
            }
            Sleeper::Thread => {
                *thread = next;
                next
            }
        };
        alarm.map(|at| at.since(self.clock.now()))
    }

    /// Carries out the commands of a call; its question is left over.
    fn take(&mut self, call: Call, actions: &mut Vec<Action>) -> Taken {
        let Call { plan, commands, mut question } = call;
        // An id that somebody has read from an older plan may be another service's by now.
        let still = |supervisor: &Supervisor, id: ServiceId| {
            supervisor.name(id).is_some_and(|name| plan.get(id).is_some_and(|spec| spec.name == name))
        };
        for command in commands {
            if command.service().is_none_or(|id| still(&self.supervisor, id)) {
                self.supervisor.step(self.clock.now(), Event::Commanded(command), actions);
            }
        }
        match &mut question {
            Question::Services(of, _)
            | Question::Why(of, _)
            | Question::Events(EventsAsked { of: Some(of), .. }, _) => of.retain(|id| still(&self.supervisor, *id)),
            Question::Events(..)
            | Question::Graph(_)
            | Question::Timeline(_)
            | Question::Journal(_)
            | Question::Figures(_)
            | Question::Reload { .. } => {}
        }
        let Question::Reload { read, apply, reply } = question else { return Taken::Question(question) };
        let difference = self.supervisor.is_up().then(|| self.supervisor.difference(&read));
        if apply && difference.is_some() {
            self.supervisor.step(self.clock.now(), Event::Loaded(read), actions);
        }
        Taken::Reload(reply, difference)
    }

    /// Answers a question. Whoever has asked may be gone.
    fn reply(&mut self, question: Question) {
        match question {
            Question::Services(of, reply) => drop(reply.send(self.answer(&of))),
            Question::Events(asked, reply) => {
                drop(reply.send(self.history.read(&self.plan, Mono(mono_now()), &asked)));
            }
            Question::Why(of, reply) => {
                let why = |id: &ServiceId| tell::why(&self.plan, &self.supervisor, self.clock.now(), *id);
                drop(reply.send(of.iter().filter_map(why).collect()));
            }
            Question::Graph(reply) => drop(reply.send(tell::graph(&self.plan, &self.supervisor))),
            Question::Timeline(reply) => {
                drop(reply.send(tell::timeline(&self.plan, &self.supervisor, self.clock.now())));
            }
            Question::Journal(reply) => drop(reply.send(self.journal())),
            // Has been taken before.
            Question::Reload { reply, .. } => drop(reply),
            Question::Figures(reply) => {
                let all: Vec<ServiceId> = self.plan.ids().collect();
                drop(reply.send((self.answer(&all), self.tally.clone())));
            }
        }
    }

    /// The journal as `tests/sim/journal.rs` reads it: lines of hexadecimal digits.
    fn journal(&mut self) -> String {
        let mut text = concat!("horust ", env!("CARGO_PKG_VERSION"), "\n").to_owned();
        for line in self.supervisor.journal().chunks(limits::JOURNAL_LINE) {
            let half = |byte| char::from_digit(u32::from(byte), 16);
            text.extend(line.iter().flat_map(|byte| [half(byte >> 4), half(byte & 15)]).flatten());
            text.push('\n');
        }
        text
    }

    fn answer(&self, of: &[ServiceId]) -> Answer {
        let now = self.clock.now();
        let view = |id: &ServiceId| {
            let status = self.supervisor.status(*id)?;
            Some(View {
                id: *id,
                lacks: self.lacks(*id, status.state, now),
                reason: status.reason.as_ref().map(|reason| match status.remains {
                    true => explain::REMAINS.to_owned(),
                    false => report::reason_of(&self.plan, *id, reason),
                }),
                last_exit: status.last_exit.map(|exit| (exit, report::ended(&self.plan, *id, exit))),
                status,
            })
        };
        let services = of.iter().filter_map(view).collect();
        Answer { now, up: self.supervisor.is_up(), services }
    }

    /// What a service that runs lacks to be ready.
    fn lacks(&self, id: ServiceId, state: &str, now: Mono) -> Option<String> {
        let oneshot = self.plan.services.get(id.index()).is_some_and(|spec| spec.kind == Kind::Oneshot);
        match state {
            "Started" => {
                let link = self.supervisor.explain(id).into_iter().next()?;
                Some(explain::lacks(&link.why, now)).filter(|lacks| !lacks.is_empty())
            }
            "Running" if oneshot => Some("it has not finished".to_owned()),
            _ => None,
        }
    }

    /// Does what concerns the runtime itself; the rest is main's.
    fn carry_out(&mut self, mut actions: Vec<Action>, order: &mut dyn FnMut(Vec<Action>)) {
        let (now, at) = (self.clock.now(), Mono(mono_now()));
        actions.iter().for_each(|action| self.tally.ordered(at, action));
        actions.retain(|action| match action {
            Action::Report(report) => {
                self.history.add(&self.plan, &self.supervisor, now, at, report);
                false
            }
            Action::StartProbe(id) => !self.submit(*id),
            Action::Load => {
                (self.outward.load)();
                false
            }
            Action::Adopt(plan) => {
                self.history.rename(&self.plan, plan);
                self.tally.rename(&self.plan, plan);
                self.plan = Arc::clone(plan);
                self.outward.plans.send_replace(Arc::clone(plan));
                true
            }
            Action::CancelProbe(id) => matches!(probe(&self.plan, *id), Some((Probe::Command(_), _))),
            Action::Spawn(_)
            | Action::Signal { .. }
            | Action::StartHook(..)
            | Action::CancelHook(_)
            | Action::Exit(_) => true,
        });
        if !actions.is_empty() {
            order(actions);
        }
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
