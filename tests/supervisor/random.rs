//! Thousands of random worlds: services, policies, scripts and signals that nobody would think of. Each step is checked
//! from inside (`check`) and from outside (`checker`); a seed that fails can be repeated exactly.

use crate::script::{Answer, OnStop, Said, Script, Svc, ms, ready, rounds, usr1};
use crate::world::World;
use horust::limits;
use horust::model::{
    Condition, Exit, FailureStrategy, Growth, Hook, Hooks, Kind, Mono, Need, OnUnhealthy, Plan, Readiness,
    RestartStrategy, Rounds, Scope, ServiceId, ServiceSpec, Settings, Sign, Signal, Signs,
};
use horust::supervisor::{Action, Command, Notice, Report, Watchdog};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::OnceLock;
use std::time::Duration;

const HOOKS: [Hook; 6] =
    [Hook::BeforeStart, Hook::AfterReady, Hook::BeforeStop, Hook::Stop, Hook::AfterStop, Hook::OnFailure];

const SEEDS: u64 = 20_000;

/// splitmix64: small, good, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.roll() % n
    }

    fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap()
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.index(from.len())]
    }
}

fn on_stop(dice: &mut Dice) -> OnStop {
    match dice.below(5) {
        0 => OnStop::Ignores,
        1 => OnStop::Exits(dice.below(300), 0),
        2 => OnStop::Exits(dice.below(50), 3),
        _ => OnStop::Dies(dice.below(20)),
    }
}

fn script(dice: &mut Dice) -> Script {
    // Everything takes some time: else a service without backoff or throttle would stop the clock.
    let ends = match dice.below(6) {
        0 | 1 => None,
        2 => Some((dice.below(40) + 2, Exit::Code(0))),
        3 => Some((dice.below(3000) + 2, Exit::Code(0))),
        4 => Some((dice.below(3000) + 2, Exit::Code(dice.pick(&[1, 7, 255])))),
        _ => Some((dice.below(500) + 2, Exit::Signal(dice.pick(&[Signal::KILL, Signal::HUP])))),
    };
    let mut script = Script { ends, ..Script::runs() }.on_stop(on_stop(dice)).spawn_takes(dice.pick(&[1, 2, 30]));
    if dice.one_in(8) {
        script.spawn_error = Some(dice.pick(&[126, 127]));
    }
    while dice.one_in(4) {
        script = script.helper(dice.one_in(2), on_stop(dice));
    }
    script.unkillable = dice.one_in(60);
    let answer = |dice: &mut Dice| match dice.below(6) {
        0 => Answer::Never,
        1 | 2 => Answer::Fail(dice.below(60) + 1),
        _ => Answer::Pass(dice.below(60) + 1),
    };
    script.answers = (0..=dice.below(12)).map(|_| answer(dice)).collect();
    for hook in HOOKS {
        if dice.one_in(2) {
            script.hooks.push((hook, answer(dice)));
        }
    }
    if dice.one_in(2) { says(dice, script) } else { script }
}

/// `earlier` may be waited for at the start, `later` at the stop: so there is no cycle.
fn policies(dice: &mut Dice, spec: &mut ServiceSpec, earlier: &[ServiceId], later: &[ServiceId], all: &[ServiceId]) {
    let some = |dice: &mut Dice, of: &[ServiceId], odds| -> Vec<ServiceId> {
        of.iter().copied().filter(|_| dice.one_in(odds)).collect()
    };
    for id in some(dice, earlier, 3) {
        let condition = if dice.one_in(2) { Condition::Ready } else { dice.pick(&Condition::ALL) };
        spec.start_after.push(Need { service: id, condition, required: !dice.one_in(4) });
    }
    spec.shutdown_after = some(dice, later, 6);
    spec.termination.die_if_failed = some(dice, all, 10);
    spec.termination.wait = ms(dice.pick(&[0, 50, 200, 1000]));
    spec.termination.signal = dice.pick(&[Signal::TERM, Signal::TERM, Signal::INT, usr1()]);
    spec.termination.scope = dice.pick(&[Scope::Group, Scope::Group, Scope::Main, Scope::Tree]);
    let some_command = |dice: &mut Dice| dice.one_in(6).then(|| horust::model::Command(vec!["x".into()]));
    spec.termination.command = some_command(dice);
    let commands = HOOKS.into_iter().filter_map(|hook| Some((hook, some_command(dice)?)));
    let commands: Vec<_> = commands.filter(|(hook, _)| *hook != Hook::Stop).collect();
    if !commands.is_empty() {
        spec.hooks = Some(Box::new(Hooks { commands, timeout: ms(dice.pick(&[10, 45, 300])) }));
    }
    spec.autostart = !dice.one_in(12);
    spec.required = dice.one_in(25);
    spec.kind = if dice.one_in(5) { Kind::Oneshot } else { Kind::Daemon };
    spec.start_delay = ms(dice.pick(&[0, 0, 0, 100, 900]));
    let restart = &mut spec.restart;
    restart.strategy = dice.pick(&[RestartStrategy::Never, RestartStrategy::OnFailure, RestartStrategy::Always]);
    restart.attempts = dice.pick(&[0, 0, 1, 3]);
    restart.backoff = ms(dice.pick(&[0, 50, 400]));
    restart.growth = dice.pick(&[Growth::Linear, Growth::Constant, Growth::Exponential]);
    restart.jitter = dice.pick(&[0.0, 0.0, 0.5, 1.0]);
    restart.reset_after = ms(dice.pick(&[0, 500, 10_000]));
    restart.throttle = !dice.one_in(6);
    spec.failure.every_failure = dice.one_in(4);
    spec.failure.strategy = match dice.below(10) {
        0 => FailureStrategy::Shutdown,
        1 | 2 => FailureStrategy::KillDependents,
        3 | 4 => FailureStrategy::RestartDependents,
        _ => FailureStrategy::Ignore,
    };
    if dice.one_in(4) {
        let to = dice.pick(&[None, Some(Signal::QUIT), Some(usr1())]);
        spec.signal_rewrite = vec![(dice.pick(&[Signal::TERM, Signal::INT, usr1()]), to)];
    }
}

fn health(dice: &mut Dice, svc: Svc) -> Svc {
    let (interval, timeout) = (ms(dice.pick(&[0, 100, 700])), ms(dice.pick(&[20, 50, 500])));
    let (initial, threshold, most) = (ms(dice.pick(&[0, 150])), dice.pick(&[1, 1, 3]), dice.pick(&[0, 1, 3]));
    let (two, report) = (dice.one_in(3), dice.one_in(3));
    let svc = svc.watched(|health| {
        (health.rounds.interval, health.rounds.timeout, health.rounds.initial_delay) = (interval, timeout, initial);
        (health.rounds.success_threshold, health.max_failed) = (threshold, most);
        health.on_unhealthy = if report { OnUnhealthy::Report } else { OnUnhealthy::Restart };
        if two {
            health.rounds.probes.push(health.rounds.probes[0].clone());
        }
    });
    match dice.below(4) {
        0 => svc.with(|spec| spec.readiness = Readiness::Exec),
        _ => svc,
    }
}

/// Signs of its own, a limit for them, and a watchdog.
fn readiness(dice: &mut Dice, svc: Svc) -> Svc {
    let some = |dice: &mut Dice, from: &[u64]| Some(ms(dice.pick(from))).filter(|_| dice.one_in(3));
    let svc = svc.with(|spec| {
        spec.start_timeout = some(dice, &[1, 30, 400, 2500]);
        spec.watchdog = some(dice, &[100, 700]);
    });
    if !dice.one_in(3) {
        return svc;
    }
    let probed = dice.one_in(2).then(|| Rounds { interval: ms(dice.pick(&[50, 700])), ..rounds() });
    let notify = dice.one_in(2);
    let notify_fd = Some(3).filter(|_| dice.one_in(2) || (probed.is_none() && !notify));
    svc.signs(Signs { rounds: probed, notify, notify_fd, log_line: None })
}

/// What a program says; among it, READY.
fn says(dice: &mut Dice, mut script: Script) -> Script {
    if !dice.one_in(5) {
        script = script.says(dice.below(500), ready()).says(dice.below(500), Said::Sign(Sign::NotifyFd));
    }
    while dice.one_in(2) {
        let mut notice = Notice::default();
        match dice.below(8) {
            0 => notice.stopping = true,
            1 => notice.extend = Some(ms(dice.below(500))),
            2 => notice.watchdog = Some(Watchdog::Trigger),
            3 => notice.watchdog_every = Some(ms(300)),
            4 => notice.ready = true,
            5 => notice.status = Some("busy".into()),
            _ => notice.watchdog = Some(Watchdog::Alive),
        }
        script = script.says(dice.below(3000), Said::Notice(notice));
    }
    script
}

fn world(seed: u64) -> (World, Dice) {
    let mut dice = Dice(seed);
    let count = dice.pick(&[1, 2, 3, 4, 5, 6, 7, 8]);
    let all: Vec<ServiceId> = (0..count).map(ServiceId).collect();
    // A random order of start, so that it is not that of the ids.
    let mut order = all.clone();
    (1..order.len()).rev().for_each(|i| order.swap(i, dice.index(i + 1)));
    let service = |id: &ServiceId| {
        let rank = order.iter().position(|other| other == id).unwrap();
        let mut svc = Svc::new(&format!("s{}", id.0), script(&mut dice));
        while dice.one_in(2) {
            svc = svc.then(script(&mut dice));
        }
        svc = svc.with(|spec| policies(&mut dice, spec, &order[..rank], &order[rank + 1..], &all));
        let svc = if dice.one_in(3) { health(&mut dice, svc) } else { svc };
        if dice.one_in(2) { readiness(&mut dice, svc) } else { svc }
    };
    let services = all.iter().map(service).collect();
    let settings = Settings { unsuccessful_exit_finished_failed: dice.one_in(3), ..Settings::default() };
    let latency = dice.pick(&[0, 1, 4]);
    (World::with(services, settings, seed, latency), dice)
}

/// The longest that the stop of everything may take: each service its `wait`, one after the other, plus what the fake
/// world itself takes for its facts to arrive, and the patience with what SIGKILL does not end.
fn longest_stop(plan: &Plan) -> Duration {
    // What a script says, at most 3 s after its exec, can extend a stop by half a second.
    let hooks = |spec: &ServiceSpec| HOOKS.into_iter().filter_map(|hook| Some(spec.hook(hook)?.1)).sum::<Duration>();
    let stop = |spec: &ServiceSpec| spec.termination.wait + ms(3500) + limits::UNKILLABLE_AFTER + ms(50);
    plan.services.iter().map(|spec| stop(spec) + hooks(spec)).sum()
}

/// One random life, from boot to the end.
fn live(seed: u64) -> World {
    let (mut world, mut dice) = world(seed);
    world.boot();
    let mut at = 0;
    let by_hand = dice.one_in(2);
    while dice.one_in(2) {
        at += dice.below(2500);
        world.until(at);
        if world.exit.is_none() {
            world.signal(dice.pick(&[Signal::HUP, usr1(), Signal::QUIT, Signal::CONT]));
        }
        let count = u64::try_from(world.plan.services.len()).unwrap();
        if by_hand && world.exit.is_none() && dice.one_in(2) {
            let id = ServiceId(u32::try_from(dice.below(count)).unwrap());
            let signal = Command::Signal(id, usr1());
            world.command(dice.pick(&[Command::Start(id), Command::Stop(id), Command::Restart(id), signal]));
        }
    }
    world.until(at + dice.below(4000));
    let asked = world.now;
    let stop = dice.pick(&[Signal::TERM, Signal::INT]);
    if world.exit.is_none() {
        world.signal(stop);
    }
    if world.exit.is_none() && dice.one_in(4) {
        world.until(asked.0 / 1_000_000 + dice.below(400));
    }
    if world.exit.is_none() && dice.one_in(4) {
        world.signal(dice.pick(&[Signal::TERM, Signal::INT]));
    }
    world.end();
    let took = world.now.since(asked);
    assert!(took <= longest_stop(&world.plan), "the stop took {took:?}");
    // What was stopped by hand is waited for as well.
    let idle = |id: &ServiceId| world.state(id.0) == "Initial" || (by_hand && world.state(id.0) == "Finished");
    for id in world.plan.ids().filter(|id| !["Finished", "FinishedFailed"].contains(&world.state(id.0))) {
        let spec = &world.plan.services[id.index()];
        let waits = !spec.autostart || spec.start_after.iter().any(|need| idle(&need.service));
        assert!(world.state(id.0) == "Initial" && waits, "{id:?} is left over: {}", world.state(id.0));
    }
    world
}

/// What all lives have seen.
#[derive(Debug, Default)]
pub struct Lives {
    pub transitions: BTreeSet<(&'static str, &'static str)>,
    pub steps: usize,
    /// The kinds of reports, causes of stops and hooks.
    kinds: BTreeSet<String>,
}

/// All seeds, once for all tests of this binary.
pub fn lives() -> &'static Lives {
    static LIVES: OnceLock<Lives> = OnceLock::new();
    LIVES.get_or_init(|| {
        let mut lives = Lives::default();
        for seed in 0..SEEDS {
            let world = catch_unwind(AssertUnwindSafe(|| live(seed))).unwrap_or_else(|panic| {
                println!("seed {seed} fails");
                resume_unwind(panic)
            });
            lives.transitions.extend(&world.transitions);
            lives.steps += world.steps;
            lives.kinds.extend(world.log.iter().filter_map(|(_, action)| kind(action)));
        }
        lives
    })
}

/// The first words of what an action is about.
fn kind(action: &Action) -> Option<String> {
    let word = |text: String| text.split(['(', ' ']).next().unwrap().to_owned();
    match action {
        Action::Report(Report::Stopping(_, cause)) => Some(format!("stopped: {}", word(format!("{cause:?}")))),
        Action::Report(Report::GaveUp(_, reason)) => Some(format!("gave up: {}", word(format!("{reason:?}")))),
        Action::Report(report) => Some(word(format!("{report:?}"))),
        Action::StartHook(id, _) => Some(id.hook.to_string()),
        Action::CancelHook(id) => Some(format!("cancelled: {}", id.hook)),
        _ => None,
    }
}

/// What the random worlds must not become too tame for.
#[test]
fn the_random_lives_see_everything() {
    let kinds = &lives().kinds;
    let hooks = HOOKS.map(|hook| hook.to_string());
    let cancelled = HOOKS.map(|hook| format!("cancelled: {hook}"));
    let causes = ["Unhealthy", "TooLate", "Itself", "DiedWith", "Asked", "Restart", "Renewed", "Shutdown"];
    let reasons =
        ["Exit", "Spawn", "Unhealthy", "TooLate", "Hook", "Dependency", "DependencyOver", "DiedWith", "Unkillable"];
    let reports = ["NotNeeded", "Recovered", "Throttled", "Killing", "Unkillable", "KillAll", "HookFailed"];
    let wanted = hooks.into_iter().chain(cancelled);
    let wanted = wanted.chain(causes.map(|cause| format!("stopped: {cause}")));
    let wanted = wanted.chain(reasons.map(|reason| format!("gave up: {reason}"))).chain(reports.map(str::to_owned));
    let missing: Vec<String> = wanted.filter(|kind| !kinds.contains(kind)).collect();
    assert!(missing.is_empty(), "never seen: {missing:?}");
}

#[test]
fn thousands_of_random_lives_keep_every_promise() {
    let lives = lives();
    println!("{SEEDS} seeds, {} steps", lives.steps);
    assert!(lives.steps > 500_000, "{} steps: the random worlds have become too tame", lives.steps);
}

#[test]
fn the_same_seed_gives_the_same_actions() {
    for seed in 0..SEEDS / 20 {
        let (one, two) = (live(seed), live(seed));
        assert!(one.log == two.log && one.exit == two.exit, "seed {seed} is not deterministic");
    }
}

/// The other checks are about what happens until a stop; a supervisor must also live long without one.
#[test]
fn a_long_life_stays_bounded() {
    let svc = Svc::new("busy", Script::exits(2, 0)).with(|spec| spec.restart.strategy = RestartStrategy::Always);
    let mut world = World::up(vec![svc]);
    world.until(60_000);
    let spawns = world.spawns(0).len();
    assert!((590..=612).contains(&spawns), "ten a second: {spawns}");
    assert_eq!(world.now, Mono(60_000_000_000));
}
