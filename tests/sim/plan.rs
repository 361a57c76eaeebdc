//! Random sets of services: every policy that a service file can ask for, in mixtures that nobody would write.

use crate::dice::Dice;
use horust::model::{
    Command, Condition, FailureStrategy, Growth, Health, Hook, Hooks, Kind, Need, OnUnhealthy, Plan, Probe, Readiness,
    RestartStrategy, Rounds, Scope, ServiceId, ServiceSpec, Settings, Signal, Signs,
};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub const HOOKS: [Hook; 6] =
    [Hook::BeforeStart, Hook::AfterReady, Hook::BeforeStop, Hook::Stop, Hook::AfterStop, Hook::OnFailure];

pub const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// SIGUSR1 by number (signal(7)).
pub fn usr1() -> Signal {
    Signal::new(10).unwrap()
}

/// Service files, which people write anew while Horust runs.
pub struct Files {
    /// In load order. Ids in them are the numbers in the services' names.
    present: Vec<ServiceSpec>,
    /// Removed, and may come back.
    removed: Vec<ServiceSpec>,
    /// A random order of start, so that it is not that of the ids.
    order: Vec<ServiceId>,
    settings: Settings,
}

/// There are never more names than this.
const MOST_NAMES: u32 = 14;

fn number(spec: &ServiceSpec) -> ServiceId {
    ServiceId(spec.name[1..].parse().unwrap())
}

impl Files {
    /// 1 to 12 services; small sets more often, since most can happen in them.
    pub fn random(dice: &mut Dice) -> Files {
        let count = dice.pick(&[1, 2, 2, 3, 3, 4, 5, 6, 8, 10, 12]);
        let mut order: Vec<ServiceId> = (0..count).map(ServiceId).collect();
        (1..order.len()).rev().for_each(|i| order.swap(i, dice.index(i + 1)));
        let settings = Settings { unsuccessful_exit_finished_failed: dice.one_in(3), ..Settings::default() };
        let mut files = Files { present: vec![], removed: vec![], order, settings };
        files.present = (0..count).map(|id| files.service(dice, ServiceId(id))).collect();
        files
    }

    fn service(&self, dice: &mut Dice, id: ServiceId) -> ServiceSpec {
        let mut spec = ServiceSpec::new(format!("s{}", id.0), vec!["/program".into()]);
        self.edges(dice, &mut spec);
        ending(dice, &mut spec);
        policies(dice, &mut spec);
        if spec.kind == Kind::Daemon {
            watching(dice, &mut spec);
        }
        spec.start_timeout = maybe(dice, &[1, 30, 400, 2500]);
        spec
    }

    fn edges(&self, dice: &mut Dice, spec: &mut ServiceSpec) {
        let id = number(spec);
        let rank = self.order.iter().position(|other| *other == id).unwrap();
        edges(dice, spec, &self.order[..rank], &self.order[rank + 1..]);
        let others: Vec<ServiceId> = self.order.iter().copied().filter(|other| *other != id).collect();
        spec.termination.die_if_failed = some(dice, &others, 10);
    }

    /// Some are changed, removed, added, or have come back; at times all stays as it is.
    pub fn edit(&mut self, dice: &mut Dice) {
        for index in (0..self.present.len()).rev() {
            match dice.below(12) {
                0 => self.removed.push(self.present.remove(index)),
                1..5 => {
                    let mut spec = self.present[index].clone();
                    self.change(dice, &mut spec);
                    self.present[index] = spec;
                }
                _ => {}
            }
        }
        if !self.removed.is_empty() && dice.one_in(2) {
            let index = dice.index(self.removed.len());
            self.present.push(self.removed.remove(index));
        }
        let names = u32::try_from(self.order.len()).unwrap();
        if self.present.is_empty() || (names < MOST_NAMES && dice.one_in(3)) {
            let place = dice.index(self.order.len() + 1);
            self.order.insert(place, ServiceId(names));
            let new = self.service(dice, ServiceId(names));
            self.present.insert(dice.index(self.present.len() + 1), new);
        }
    }

    /// Other keys for one of them: few, or none of its old ones.
    fn change(&self, dice: &mut Dice, spec: &mut ServiceSpec) {
        match dice.below(8) {
            0 => *spec = self.service(dice, number(spec)),
            1 => self.edges(dice, spec),
            2 => ending(dice, spec),
            3 => spec.termination.wait = ms(dice.pick(&[0, 50, 200, 1000])),
            4 => spec.command.0 = vec!["/program".into(), dice.below(4).to_string()],
            5 => spec.start_timeout = maybe(dice, &[1, 30, 400, 2500]),
            6 => {
                let mut other = ServiceSpec::new(spec.name.clone(), vec![]);
                policies(dice, &mut other);
                (spec.restart, spec.failure) = (other.restart, other.failure);
                (spec.autostart, spec.required) = (other.autostart, other.required);
            }
            _ if spec.kind == Kind::Daemon => watching(dice, spec),
            _ => {}
        }
    }

    /// What comes of reading them: ids are places in the load order, and what names nobody is left out.
    pub fn plan(&self) -> Plan {
        let ids: BTreeMap<ServiceId, ServiceId> = self.present.iter().map(number).zip((0..).map(ServiceId)).collect();
        let known = |list: &[ServiceId]| list.iter().filter_map(|id| ids.get(id).copied()).collect();
        let service = |spec: &ServiceSpec| {
            let mut new = spec.clone();
            let needs = spec.start_after.iter();
            new.start_after =
                needs.filter_map(|need| Some(Need { service: *ids.get(&need.service)?, ..*need })).collect();
            new.shutdown_after = known(&spec.shutdown_after);
            new.termination.die_if_failed = known(&spec.termination.die_if_failed);
            Arc::new(new)
        };
        Plan { services: self.present.iter().map(service).collect(), settings: self.settings.clone(), listed: None }
    }
}

fn some(dice: &mut Dice, of: &[ServiceId], odds: u64) -> Vec<ServiceId> {
    of.iter().copied().filter(|_| dice.one_in(odds)).collect()
}

fn maybe(dice: &mut Dice, from: &[u64]) -> Option<Duration> {
    Some(ms(dice.pick(from))).filter(|_| dice.one_in(3))
}

/// `earlier` may be waited for at the start, `later` at the stop: so there is no cycle.
fn edges(dice: &mut Dice, spec: &mut ServiceSpec, earlier: &[ServiceId], later: &[ServiceId]) {
    spec.start_after.clear();
    for id in some(dice, earlier, 3) {
        let condition = if dice.one_in(2) { Condition::Ready } else { dice.pick(&Condition::ALL) };
        spec.start_after.push(Need { service: id, condition, required: !dice.one_in(4) });
    }
    spec.shutdown_after = some(dice, later, 6);
}

fn ending(dice: &mut Dice, spec: &mut ServiceSpec) {
    let command = |dice: &mut Dice| dice.one_in(6).then(|| Command(vec!["/hook".into()]));
    let termination = &mut spec.termination;
    termination.wait = ms(dice.pick(&[0, 50, 200, 1000]));
    termination.signal = dice.pick(&[Signal::TERM, Signal::TERM, Signal::INT, usr1()]);
    termination.scope = dice.pick(&[Scope::Group, Scope::Group, Scope::Main, Scope::Tree]);
    termination.command = command(dice);
    let commands: Vec<_> = HOOKS.into_iter().filter_map(|hook| Some((hook, command(dice)?))).collect();
    let commands: Vec<_> = commands.into_iter().filter(|(hook, _)| *hook != Hook::Stop).collect();
    spec.hooks = None;
    if !commands.is_empty() {
        spec.hooks = Some(Box::new(Hooks { commands, timeout: ms(dice.pick(&[10, 45, 300])) }));
    }
    spec.signal_rewrite.clear();
    if dice.one_in(4) {
        let to = dice.pick(&[None, Some(Signal::QUIT), Some(usr1())]);
        spec.signal_rewrite = vec![(dice.pick(&[Signal::TERM, Signal::INT, usr1()]), to)];
    }
}

fn policies(dice: &mut Dice, spec: &mut ServiceSpec) {
    spec.autostart = !dice.one_in(12);
    spec.required = dice.one_in(25);
    spec.kind = if dice.one_in(5) { Kind::Oneshot } else { Kind::Daemon };
    spec.start_delay = ms(dice.pick(&[0, 0, 0, 100, 900]));
    let restart = &mut spec.restart;
    restart.strategy = dice.pick(&[RestartStrategy::Never, RestartStrategy::OnFailure, RestartStrategy::Always]);
    restart.attempts = dice.pick(&[0, 0, 1, 3]);
    restart.backoff = ms(dice.pick(&[0, 50, 400]));
    restart.backoff_max = ms(dice.pick(&[100, 2000]));
    restart.growth = dice.pick(&[Growth::Linear, Growth::Constant, Growth::Exponential]);
    restart.jitter = dice.pick(&[0.0, 0.0, 0.5, 1.0]);
    restart.reset_after = ms(dice.pick(&[0, 500, 10_000]));
    // Without either it would spin.
    restart.throttle = restart.backoff.is_zero() || !dice.one_in(6);
    spec.failure.every_failure = dice.one_in(4);
    spec.failure.strategy = match dice.below(10) {
        0 => FailureStrategy::Shutdown,
        1 | 2 => FailureStrategy::KillDependents,
        3 | 4 => FailureStrategy::RestartDependents,
        _ => FailureStrategy::Ignore,
    };
}

fn rounds(dice: &mut Dice) -> Rounds {
    let (file, command) = (Probe::File(PathBuf::from("/run/ok")), Probe::Command(Command(vec!["/probe".into()])));
    let probes = match dice.below(4) {
        0 => vec![command],
        1 => vec![file, command],
        _ => vec![file],
    };
    Rounds {
        probes,
        interval: ms(dice.pick(&[100, 700])),
        timeout: ms(dice.pick(&[20, 50, 500])),
        initial_delay: ms(dice.pick(&[0, 0, 150])),
        success_threshold: dice.pick(&[1, 1, 3]),
    }
}

/// Readiness, health checks and a watchdog.
fn watching(dice: &mut Dice, spec: &mut ServiceSpec) {
    (spec.health, spec.readiness) = (None, Readiness::Exec);
    if dice.one_in(3) {
        let on_unhealthy = if dice.one_in(3) { OnUnhealthy::Report } else { OnUnhealthy::Restart };
        let max_failed = dice.pick(&[0, 1, 3]);
        spec.health = Some(Box::new(Health { rounds: rounds(dice), max_failed, on_unhealthy }));
        spec.readiness = Readiness::Health;
    }
    spec.watchdog = maybe(dice, &[100, 700]);
    if dice.one_in(5) {
        let mut rounds = dice.one_in(2).then(|| rounds(dice));
        // It must not be longer than a start may take.
        rounds.iter_mut().for_each(|rounds| rounds.initial_delay = Duration::ZERO);
        let notify = dice.one_in(2);
        let notify_fd = Some(3).filter(|_| dice.one_in(2) || (rounds.is_none() && !notify));
        let log_line = dice.one_in(4).then(|| "up".to_owned());
        spec.readiness = Readiness::Signs(Box::new(Signs { rounds, notify, notify_fd, log_line }));
    }
}

#[test]
fn sets_of_one_to_twelve_services_are_drawn() {
    let sizes = |seed| Files::random(&mut Dice(seed)).plan().services.len();
    let drawn: std::collections::BTreeSet<usize> = (0..1000).map(sizes).collect();
    assert_eq!((drawn.first(), drawn.last()), (Some(&1), Some(&12)), "{drawn:?}");
}
