//! No chance: every sequence of events up to a length over two services, for some plans that use different parts of the
//! supervisor. What can come next follows from what was ordered; each step is checked as in the random lives.

use crate::checker::Checker;
use crate::failure::{catch, replay};
use crate::plan::ms;
use horust::model::{
    Command as Words, Condition, Exit, FailureStrategy, Health, Hook, HookId, Hooks, Kind, Mono, Need, Plan, Probe,
    ProbeId, Readiness, RestartStrategy, Rounds, RunId, ServiceId, ServiceSpec, Signal, Signs,
};
use horust::supervisor::{Action, Command, Event, Notice, SpawnError, Supervisor};
use std::path::PathBuf;
use std::sync::Arc;

const LENGTH: usize = 6;
/// Of the sequences up to this length also the rest is looked at: whether all comes to rest, and ends.
const CLOSED: usize = 3;
const A: ServiceId = ServiceId(0);
const B: ServiceId = ServiceId(1);

/// What is known of the processes of one service.
#[derive(Clone, Debug, Default)]
struct Procs {
    /// Ordered, and not executed.
    ordered: Option<RunId>,
    leader: Option<RunId>,
    /// Others, whose main process has ended.
    left: Option<RunId>,
    asked_to_stop: bool,
    hook: Option<HookId>,
    probe: Option<ProbeId>,
    ready: bool,
}

#[derive(Clone)]
struct Node {
    supervisor: Supervisor,
    checker: Checker,
    now: Mono,
    procs: [Procs; 2],
    over: bool,
}

fn ready() -> Notice {
    Notice { ready: true, ..Notice::default() }
}

impl Node {
    fn new(plan: &Plan) -> Node {
        let (supervisor, checker) = (Supervisor::new(plan, 1), Checker::new(plan));
        let mut node = Node { supervisor, checker, now: Mono(1), procs: Default::default(), over: false };
        node.tell(Event::Boot);
        node
    }

    /// All that may come next.
    fn options(&self) -> Vec<Event> {
        let mut all = Vec::new();
        for procs in &self.procs {
            if let Some(run) = procs.ordered {
                all.push(Event::Spawned(run));
                all.push(Event::SpawnFailed(run, SpawnError { message: "ENOENT".into(), code: 127 }));
            }
            if let Some(run) = procs.leader {
                all.push(Event::Exited { run, exit: Exit::Code(0), left: false });
                all.push(Event::Exited { run, exit: Exit::Code(1), left: true });
                all.push(Event::Exited { run, exit: Exit::Signal(Signal::KILL), left: false });
                all.extend((!procs.ready).then(|| Event::Notified(run, ready())));
            }
            all.extend(procs.left.map(Event::TreeEmpty));
            if let Some(hook) = procs.hook {
                all.extend([Ok(()), Err("no".to_owned())].map(|answer| Event::HookEnded(hook, answer)));
            }
            if let Some(probe) = procs.probe {
                all.extend([Ok(()), Err("no".to_owned())].map(|answer| Event::Probed(probe, answer)));
            }
        }
        for id in [A, B] {
            all.extend([Command::Start(id), Command::Stop(id), Command::Restart(id)].map(Event::Commanded));
        }
        all.push(Event::Signalled(Signal::TERM));
        all.extend(self.supervisor.next_deadline().map(|_| Event::Tick));
        all
    }

    fn tell(&mut self, event: Event) {
        let due = self.supervisor.next_deadline().filter(|_| event == Event::Tick);
        self.now = due.unwrap_or(Mono(self.now.0 + 1_000)).max(self.now);
        self.note(&event);
        self.checker.event(self.now, &event);
        let mut actions = Vec::new();
        self.supervisor.step(self.now, event, &mut actions);
        for action in &actions {
            self.checker.action(action, |_| false);
            self.obey(action);
        }
        self.checker.settled(&self.supervisor, |_| false);
    }

    fn note(&mut self, event: &Event) {
        match event {
            Event::Spawned(run) => {
                let procs = &mut self.procs[run.service.index()];
                (procs.ordered, procs.leader, procs.ready) = (None, Some(*run), false);
            }
            Event::SpawnFailed(run, _) => self.procs[run.service.index()].ordered = None,
            Event::Exited { run, left, .. } => {
                let procs = &mut self.procs[run.service.index()];
                (procs.leader, procs.probe, procs.left) = (None, None, left.then_some(*run));
            }
            Event::TreeEmpty(run) => self.procs[run.service.index()].left = None,
            Event::HookEnded(id, _) => self.procs[id.run.service.index()].hook = None,
            Event::Probed(id, _) => self.procs[id.run.service.index()].probe = None,
            Event::Notified(run, _) => self.procs[run.service.index()].ready = true,
            Event::Boot
            | Event::Tick
            | Event::Signalled(_)
            | Event::Signed(..)
            | Event::Commanded(_)
            | Event::Loaded(_) => {}
        }
    }

    fn obey(&mut self, action: &Action) {
        match action {
            Action::Spawn(run) => {
                self.procs[run.service.index()] = Procs { ordered: Some(*run), ..Procs::default() };
            }
            Action::Signal { run, .. } => self.procs[run.service.index()].asked_to_stop = true,
            Action::StartHook(id, _) => self.procs[id.run.service.index()].hook = Some(*id),
            Action::CancelHook(id) => self.procs[id.run.service.index()].hook = None,
            Action::StartProbe(id) => self.procs[id.run.service.index()].probe = Some(*id),
            Action::CancelProbe(id) => self.procs[id.run.service.index()].probe = None,
            Action::Exit(_) => self.over = true,
            // Nobody has written other files.
            Action::Load | Action::Adopt(_) | Action::Report(_) => {}
        }
    }

    /// Everything goes well from now on: what comes next, if anything does.
    fn good(&self) -> Option<Event> {
        for procs in &self.procs {
            let well = procs.hook.map(|hook| Event::HookEnded(hook, Ok(())));
            let well = well.or(procs.probe.map(|probe| Event::Probed(probe, Ok(()))));
            let exit = Exit::Signal(Signal::TERM);
            let gone = procs.leader.filter(|_| procs.asked_to_stop);
            let well = well.or(gone.map(|run| Event::Exited { run, exit, left: false }));
            let said = procs.leader.filter(|_| !procs.ready).map(|run| Event::Notified(run, ready()));
            let event = procs.ordered.map(Event::Spawned).or(procs.left.map(Event::TreeEmpty)).or(well).or(said);
            if event.is_some() {
                return event;
            }
        }
        self.supervisor.next_deadline().map(|_| Event::Tick)
    }

    /// All comes to rest, and then to an end.
    fn close(mut self) {
        for _ in 0..40 {
            let Some(event) = self.good().filter(|_| !self.over) else { break };
            self.tell(event);
        }
        for status in self.supervisor.snapshot().iter().filter(|_| !self.over) {
            let rests = ["Initial", "Running", "Finished", "FinishedFailed"].contains(&status.state);
            assert!(rests, "{} does not come to rest: {}", status.name, status.state);
        }
        if !self.over {
            self.tell(Event::Signalled(Signal::TERM));
        }
        for _ in 0..40 {
            let Some(event) = self.good().filter(|_| !self.over) else { break };
            self.tell(event);
        }
        assert!(self.over, "no end: {:?}", self.supervisor.snapshot());
    }
}

/// Goes on from here in every way; returns how many sequences there were.
fn every(node: &Node, length: usize, path: &mut Vec<(Mono, Event)>) -> u64 {
    if length <= CLOSED {
        node.clone().close();
    }
    if length == LENGTH || node.over {
        return 0;
    }
    let mut count = 0;
    for event in node.options() {
        let mut next = node.clone();
        path.push((Mono(0), event.clone()));
        next.tell(event);
        path.last_mut().unwrap().0 = next.now;
        count += 1 + every(&next, length + 1, path);
        path.pop();
    }
    count
}

fn specs(a: impl FnOnce(&mut ServiceSpec), b: impl FnOnce(&mut ServiceSpec)) -> Plan {
    let spec = |name: &str| {
        let mut spec = ServiceSpec::new(name, vec!["/program".into()]);
        spec.restart.backoff = ms(100);
        spec
    };
    let (mut first, mut second) = (spec("a"), spec("b"));
    a(&mut first);
    b(&mut second);
    Plan { services: vec![Arc::new(first), Arc::new(second)], ..Plan::default() }
}

fn hooks(of: &[Hook]) -> Option<Box<Hooks>> {
    let commands = of.iter().map(|hook| (*hook, Words(vec!["/hook".into()]))).collect();
    Some(Box::new(Hooks { commands, timeout: ms(300) }))
}

fn after(condition: Condition, required: bool) -> Vec<Need> {
    vec![Need { service: A, condition, required }]
}

fn plans() -> Vec<(&'static str, Plan)> {
    let restarted = specs(
        |a| {
            (a.restart.strategy, a.restart.attempts) = (RestartStrategy::OnFailure, 2);
            a.failure.strategy = FailureStrategy::RestartDependents;
        },
        |b| {
            b.start_after = after(Condition::Ready, true);
            b.restart.strategy = RestartStrategy::Always;
        },
    );
    let oneshot = specs(
        |a| {
            a.kind = Kind::Oneshot;
            a.hooks = hooks(&[Hook::BeforeStart, Hook::AfterStop]);
            a.failure.strategy = FailureStrategy::KillDependents;
        },
        |b| {
            b.start_after = after(Condition::CompletedSuccessfully, true);
            b.hooks = hooks(&[Hook::BeforeStop]);
            b.termination.wait = ms(0);
        },
    );
    let notified = specs(
        |a| {
            a.readiness = Readiness::Signs(Box::new(Signs { notify: true, ..Signs::default() }));
            (a.start_timeout, a.start_delay) = (Some(ms(500)), ms(50));
            a.restart.attempts = 1;
        },
        |b| {
            b.start_after = after(Condition::Started, false);
            b.termination.die_if_failed = vec![A];
            b.hooks = hooks(&[Hook::BeforeStart]);
        },
    );
    let watched = specs(
        |a| {
            let rounds = Rounds { probes: vec![Probe::File(PathBuf::from("/ok"))], ..Rounds::default() };
            a.health = Some(Box::new(Health { rounds, max_failed: 0, ..Health::default() }));
            a.readiness = Readiness::Health;
            a.required = true;
        },
        |b| {
            b.start_after = after(Condition::Healthy, true);
            b.shutdown_after = vec![];
            b.autostart = false;
        },
    );
    vec![("restarted", restarted), ("oneshot", oneshot), ("notified", notified), ("watched", watched)]
}

#[test]
fn every_sequence_up_to_six_events_keeps_every_promise() {
    let lives = |(name, plan): &(&'static str, Plan)| -> u64 {
        let (mut path, mut count) = (Vec::new(), 0);
        let broken = catch(|| count = every(&Node::new(plan), 0, &mut path));
        if let Err(broken) = broken {
            path.insert(0, (Mono(1), Event::Boot));
            let told = replay(plan, 1, &path, true).0;
            panic!("{name}: {}\n{told}", broken.what);
        }
        println!("{name}: {count} sequences of up to {LENGTH} events");
        count
    };
    let plans = plans();
    let counts: Vec<u64> = std::thread::scope(|scope| {
        let threads: Vec<_> = plans.iter().map(|plan| scope.spawn(move || lives(plan))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    let all: u64 = counts.iter().sum();
    println!("{all} sequences in all");
    // What can come next has not become less.
    assert!(all > 1_000_000, "{all} sequences");
}
