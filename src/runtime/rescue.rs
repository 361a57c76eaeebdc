//! Rescue: our own image in a hidden mode, for when Horust itself has failed. It takes the place of the broken process,
//! pid and children included, stops what runs in order, and ends. It knows what its arguments say and no more: no plan,
//! no threads but the one that writes messages, nothing that could have broken before.

use super::sweep;
use super::table::Run;
use crate::limits;
use crate::model::{Mono, Plan, Scope, WhenInit};
use crate::supervisor::stop_turns;
use crate::sys::exe::Image;
use crate::sys::machine::Machine;
use crate::sys::reap::{self, Reaped};
use crate::sys::signals::SignalFd;
use crate::sys::{SysError, poll, process};
use std::ffi::{CString, OsString};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

/// The first argument of our image that asks for this mode.
pub const MODE: &str = "__rescue";

/// What becomes of the machine, as the first word of the arguments.
const ENDS: [(&str, WhenInit); 4] = [
    ("poweroff", WhenInit::PowerOff),
    ("reboot", WhenInit::Reboot),
    ("halt", WhenInit::Halt),
    ("exit", WhenInit::Exit),
];

/// A run that has to be stopped. As an argument: `TURN:GROUP:LEADER:SIGNAL:WAIT_MS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charge {
    /// All of the lower turns have stopped before it is told.
    turn: u32,
    /// Its process group.
    group: u32,
    /// Its main process, if that alone is to be told; else 0.
    leader: u32,
    signal: i32,
    /// How long it may take before it is killed.
    wait: Duration,
}

/// What the runs of this plan need to be stopped in the order of a shutdown.
pub fn charges<'a>(plan: &Plan, runs: impl Iterator<Item = &'a Run>) -> Vec<Charge> {
    let turns = stop_turns(plan);
    let charge = |run: &Run| {
        let index = run.id.service.index();
        let termination = plan.services.get(index).map(|spec| &spec.termination);
        let alone = termination.is_some_and(|how| how.scope == Scope::Main) && run.exit.is_none();
        Charge {
            turn: turns.get(index).copied().unwrap_or(0),
            group: run.pid,
            leader: if alone { run.leader } else { 0 },
            signal: termination.map_or(libc::SIGTERM, |how| how.signal.number().into()),
            wait: termination.map_or(Duration::ZERO, |how| how.wait),
        }
    };
    runs.map(charge).collect()
}

/// Becomes the rescue. Returns, with the reason, only if that can't be: then there is no order left to keep.
pub fn enter(image: &Image, when_init: WhenInit, charges: &[Charge]) -> SysError {
    let end = ENDS.iter().find(|(_, end)| *end == when_init).map(|(word, _)| (*word).to_owned());
    let words = end.into_iter().chain(charges.iter().map(Charge::to_string)).map(CString::new);
    let argv: Vec<CString> =
        [Ok(c"horust".to_owned()), CString::new(MODE)].into_iter().chain(words).flatten().collect();
    let variable =
        |(name, value): (OsString, OsString)| CString::new([name.as_bytes(), b"=", value.as_bytes()].concat());
    let env: Vec<CString> = std::env::vars_os().filter_map(|pair| variable(pair).ok()).collect();
    let Err(error) = image.exec(&argv, &env);
    error
}

/// Runs the rescue. `args` are the words after `MODE`. Returns the exit code, with no process left behind.
pub fn run(mut args: impl Iterator<Item = OsString>) -> u8 {
    super::logger::init();
    let end = args.next().and_then(|word| ENDS.iter().find(|(end, _)| word == *end));
    let mut charges: Vec<Charge> = args.filter_map(|word| Charge::parse(word.to_str()?)).collect();
    charges.sort_by_key(|charge| charge.turn);
    log::error!("Horust itself has failed; all services are being stopped");
    match super::prepare(!process::is_pid1()) {
        Ok(signals) => {
            let mut hurry = false;
            for turn in charges.chunk_by(|one, other| one.turn == other.turn) {
                stop(&signals, turn, &mut hurry);
            }
            sweep::all(&signals);
        }
        Err(error) => log::error!("{error}"),
    }
    super::end_machine(Machine::own(), end.map_or(WhenInit::default(), |(_, end)| *end));
    super::logger::flush();
    super::INTERNAL
}

/// Stops these at the same time. Returns when nobody is left of them, or nothing can be done any more.
fn stop(signals: &SignalFd, charges: &[Charge], hurry: &mut bool) {
    let start = Mono(process::mono_now());
    let mut left: Vec<(Charge, Mono)> = charges.iter().map(|charge| (*charge, start.after(charge.wait))).collect();
    charges.iter().for_each(Charge::tell);
    let last = left.iter().map(|(_, kill_at)| *kill_at).max().unwrap_or(start).after(limits::LEFTOVER_KILL);
    loop {
        while let Ok(Reaped::Dead(..)) = reap::next() {}
        left.retain(|(charge, _)| process::group_exists(charge.group));
        let now = Mono(process::mono_now());
        if left.is_empty() || now >= last {
            return;
        }
        for (charge, kill_at) in &mut left {
            if *hurry || *kill_at <= now {
                let _ = process::kill_group(charge.group, libc::SIGKILL);
                // Once is enough for all that is in the group now; what it forks meanwhile gets the next one.
                *kill_at = now.after(limits::LEFTOVER_GRACE);
            }
        }
        let next = left.iter().map(|(_, kill_at)| *kill_at).min().unwrap_or(last);
        let _ = poll::wait_timeout(&[signals.as_fd()], next.since(now));
        while let Some(info) = signals.read() {
            *hurry |= matches!(info.signo, libc::SIGTERM | libc::SIGINT);
        }
    }
}

impl Charge {
    fn tell(&self) {
        let _ = match self.leader {
            0 => process::kill_group(self.group, self.signal),
            leader => process::kill_pid(leader, self.signal),
        };
    }

    fn parse(word: &str) -> Option<Charge> {
        let mut parts = word.split(':');
        let mut next = || parts.next();
        Some(Charge {
            turn: next()?.parse().ok()?,
            group: next()?.parse().ok()?,
            leader: next()?.parse().ok()?,
            signal: next()?.parse().ok()?,
            wait: Duration::from_millis(next()?.parse().ok()?),
        })
    }
}

impl std::fmt::Display for Charge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Charge { turn, group, leader, signal, wait } = self;
        write!(f, "{turn}:{group}:{leader}:{signal}:{}", wait.as_millis())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_charge_survives_the_way_over_the_command_line() {
        let charge = Charge { turn: 3, group: 17, leader: 0, signal: 3, wait: Duration::from_millis(1500) };
        assert_eq!(charge.to_string(), "3:17:0:3:1500");
        assert_eq!(Charge::parse("3:17:0:3:1500"), Some(charge));
        for nonsense in ["", "x", "1:2:3", "1:2:3:4:-5", "1:-2:3:4:5"] {
            assert_eq!(Charge::parse(nonsense), None, "{nonsense}");
        }
    }
}
