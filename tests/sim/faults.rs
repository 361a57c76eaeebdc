//! What goes wrong in one life, and how often: each seed draws a subset of all faults, and a weight for each. And what a
//! process does, drawn when it is executed.

use crate::dice::Dice;
use crate::plan::ms;
use horust::model::{Exit, Oom, Sign, Signal};
use horust::supervisor::{Notice, SpawnError, Watchdog};

/// Each is "one in so many"; 0 is never. Times are the longest, in milliseconds.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// The kernel refuses to start a process: EAGAIN, ENOMEM, ENOENT, EACCES.
    pub spawn: u64,
    /// The exec stage fails, and later than the fork.
    pub exec: u64,
    /// The exec never takes place.
    pub stuck: u64,
    /// Only six processes at a time: numbers are used again at once.
    pub few_pids: bool,
    /// A process ends by itself with an error, or by a signal.
    pub crash: u64,
    /// ... or with success.
    pub exit: u64,
    /// Whatever ends by itself does so at once.
    pub hasty: bool,
    /// It does nothing about the stop signal.
    pub deaf: u64,
    /// Not even SIGKILL ends it.
    pub unkillable: u64,
    /// The kernel refuses a signal: EPERM, since the process has become another user's.
    pub kill: u64,
    /// It leaves others behind, some in a session of their own.
    pub orphans: u64,
    /// It never says that it is ready, or its probes fail.
    pub unready: u64,
    /// A probe never answers.
    pub hang: u64,
    /// It says odd things.
    pub talk: u64,
    /// A hook fails, or hangs.
    pub hook: u64,
    /// Turns of the main thread and of the runtime thread come late, so that facts coalesce.
    pub slow_main: u64,
    pub slow_runtime: u64,
    /// All stands still for a while (SIGSTOP, a suspended machine), or the clock is told wrongly for a step.
    pub clock: u64,
    /// People steer by hand, and send signals to Horust.
    pub commands: u64,
    pub signals: u64,
    /// Service files are written anew, and read again.
    pub reloads: u64,
}

impl Faults {
    pub fn random(dice: &mut Dice) -> Faults {
        let mut odds = |from: &[u64]| if dice.one_in(2) { 0 } else { dice.pick(from) };
        Faults {
            spawn: odds(&[3, 10, 30]),
            exec: odds(&[3, 10, 30]),
            stuck: odds(&[10, 40]),
            few_pids: odds(&[1]) == 1,
            crash: odds(&[1, 2, 3, 8]),
            exit: odds(&[1, 2, 3, 8]),
            hasty: odds(&[0, 0, 1]) == 1,
            deaf: odds(&[1, 3, 8]),
            unkillable: odds(&[20, 60]),
            orphans: odds(&[2, 4, 10]),
            unready: odds(&[2, 5, 10]),
            hang: odds(&[3, 10]),
            talk: odds(&[1, 2, 4]),
            hook: odds(&[2, 4, 10]),
            slow_main: odds(&[1, 10, 60]),
            slow_runtime: odds(&[1, 10, 60]),
            clock: odds(&[20, 100]),
            commands: odds(&[1, 2, 5]),
            signals: odds(&[2, 5]),
            reloads: odds(&[1, 2, 5]),
            kill: odds(&[10, 40]),
        }
    }
}

/// Whether a fault strikes.
pub fn strikes(dice: &mut Dice, odds: u64) -> bool {
    odds > 0 && dice.one_in(odds)
}

/// What a process does about a signal that asks it to end (TERM, INT, QUIT). Other signals but KILL do nothing to it.
#[derive(Clone, Copy, Debug)]
pub enum OnStop {
    /// It ends so long after it, in milliseconds, like this; by the signal if none.
    Ends(u64, Option<u8>),
    Ignores,
}

impl OnStop {
    pub fn random(dice: &mut Dice, faults: &Faults) -> OnStop {
        match strikes(dice, faults.deaf) {
            true if dice.one_in(2) => OnStop::Ignores,
            true => OnStop::Ends(dice.below(1500), Some(dice.pick(&[0, 3]))),
            false => OnStop::Ends(dice.below(20), Some(0).filter(|_| dice.one_in(2))),
        }
    }
}

/// What a program says about itself.
#[derive(Clone, Debug)]
pub enum Said {
    Notice(Notice),
    Sign(Sign),
}

/// The life of one process after its exec.
#[derive(Clone, Debug)]
pub struct Behaviour {
    pub ends: Option<(u64, Exit)>,
    pub on_stop: OnStop,
    /// What it starts: one that has left its process group, or not.
    pub children: Vec<bool>,
    pub says: Vec<(u64, Said)>,
    pub unkillable: bool,
}

impl Behaviour {
    /// As a program should be.
    pub fn good() -> Behaviour {
        let ready = Notice { ready: true, ..Notice::default() };
        let signs = [Sign::NotifyFd, Sign::LogLine].map(|sign| (1, Said::Sign(sign)));
        let says = std::iter::once((1, Said::Notice(ready))).chain(signs).collect();
        Behaviour { ends: None, on_stop: OnStop::Ends(0, None), children: vec![], says, unkillable: false }
    }

    pub fn random(dice: &mut Dice, faults: &Faults) -> Behaviour {
        let mut behaviour = Behaviour::good();
        let moments: &[u64] = if faults.hasty { &[2] } else { &[2, 40, 600, 3000] };
        // Everything takes some time: else a service without backoff or throttle would stop the clock.
        if strikes(dice, faults.crash) {
            let by_signal = Exit::Signal(dice.pick(&[Signal::KILL, Signal::HUP, Signal::TERM]));
            let code = Exit::Code(dice.pick(&[1, 7, 255]));
            let exit = dice.pick(&[code, code, by_signal, Exit::OutOfMemory(Oom::Limit)]);
            behaviour.ends = Some((dice.pick(moments) + dice.below(30), exit));
        } else if strikes(dice, faults.exit) {
            behaviour.ends = Some((dice.pick(moments) + dice.below(30), Exit::Code(0)));
        }
        behaviour.on_stop = OnStop::random(dice, faults);
        behaviour.unkillable = strikes(dice, faults.unkillable);
        while strikes(dice, faults.orphans) && behaviour.children.len() < 3 {
            behaviour.children.push(dice.one_in(2));
        }
        behaviour.says.iter_mut().for_each(|(at, _)| *at = dice.below(40));
        if strikes(dice, faults.unready) {
            behaviour.says.retain(|_| dice.one_in(2));
            behaviour.says.iter_mut().for_each(|(at, _)| *at = dice.below(1000));
        }
        while strikes(dice, faults.talk) && behaviour.says.len() < 12 {
            behaviour.says.push((dice.below(3000), talk(dice)));
        }
        behaviour
    }
}

fn talk(dice: &mut Dice) -> Said {
    let mut notice = Notice::default();
    match dice.below(11) {
        0 => notice.stopping = true,
        1 => notice.extend = Some(ms(dice.below(500))),
        2 => notice.watchdog = Some(Watchdog::Trigger),
        3 => notice.watchdog_every = Some(ms(300)),
        4 => notice.ready = true,
        5 => notice.status = Some("busy".into()),
        6 => notice.reloading = true,
        7 => notice.status = Some(String::new()),
        8 => return Said::Sign(dice.pick(&[Sign::NotifyFd, Sign::LogLine])),
        _ => notice.watchdog = Some(Watchdog::Alive),
    }
    Said::Notice(notice)
}

/// What the kernel says to a start, and what a shell would report.
pub fn refusal(dice: &mut Dice) -> SpawnError {
    let (message, code) = dice.pick(&[("EAGAIN", 126), ("ENOMEM", 126), ("ENOENT", 127), ("EACCES", 126)]);
    SpawnError { message: message.to_owned(), code }
}
