//! What the supervisor is told, orders and remembers, as bytes, as few as can be: for the journal. The parts of each type are
//! listed once, for writing and for reading, so that neither can forget one. Nothing but tests and tools reads.

use super::checkpoint::{Checkpoint, Memory};
use super::event::{Action, Cause, Command, Event, Notice, Reason, Report, SpawnError, StopCause, Target, Watchdog};
use super::first::First;
use super::health::{Asking, Probing, Verdict};
use super::hooks::Clearing;
use super::service::Outcome;
use super::services::Member;
use super::shutdown::Phase;
use super::state::{Starting, State, Up};
use super::stop::{Ladder, Rung};
use crate::model::{
    Command as Program, Condition, Exit, ExitCodes, FailurePolicy, FailureStrategy, Growth, Health, Hook, HookId,
    Hooks, Kind, Mono, Need, OnUnhealthy, Oom, Plan, Probe, ProbeId, Readiness, Restart, RestartStrategy, Rounds,
    RunId, Scope, ServiceId, ServiceSpec, Settings, Sign, Signal, Signs, Termination,
};
use std::sync::Arc;
use std::time::Duration;

/// Takes bytes up.
#[derive(Clone, Debug, Default)]
pub struct Writer {
    pub bytes: Vec<u8>,
    /// Moments are told by how far they are from this one.
    pub now: Mono,
}

/// Gives them back.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    pub bytes: &'a [u8],
    /// As it was when they were written.
    pub now: Mono,
}

impl Writer {
    /// Small numbers are short: seven bits a byte, the lowest first.
    pub fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.bytes.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push((number & 0x7f) as u8);
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.bytes.extend_from_slice(text.as_bytes());
    }
}

impl Reader<'_> {
    pub fn number(&mut self) -> Option<u64> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.bytes.split_first()?;
            self.bytes = rest;
            number |= u64::from(byte & 0x7f).wrapping_shl(shift);
            if *byte < 0x80 {
                return Some(number);
            }
        }
        None
    }
}

/// Can be written, and read again.
pub trait Coded: Sized {
    fn write(&self, to: &mut Writer);

    /// None if it is not what such bytes can mean.
    fn read(from: &mut Reader) -> Option<Self>;
}

/// Whole numbers.
macro_rules! numbers {
    ($($name:ty)*) => { $(impl Coded for $name {
        fn write(&self, to: &mut Writer) {
            to.number(u64::from(*self));
        }

        fn read(from: &mut Reader) -> Option<$name> {
            from.number()?.try_into().ok()
        }
    })* };
}

numbers!(u8 u32 u64);

/// Structs by their fields, enums by the numbers of their variants and what these hold.
macro_rules! coded {
    () => {};
    // Only some fields; the others are what they are in `$base`.
    ($name:ident of $base:block { $($field:ident)* } $($more:tt)*) => {
        impl Coded for $name {
            fn write(&self, _to: &mut Writer) {
                $(self.$field.write(_to);)*
            }

            fn read(_from: &mut Reader) -> Option<$name> {
                #[allow(unused_mut, reason = "of some, nothing is of interest")]
                let mut whole = $base;
                $(whole.$field = Coded::read(_from)?;)*
                Some(whole)
            }
        }
        coded!($($more)*);
    };
    ($name:ident { $($field:ident)* } $($more:tt)*) => {
        impl Coded for $name {
            fn write(&self, to: &mut Writer) {
                let $name { $($field),* } = self;
                $($field.write(to);)*
            }

            fn read(from: &mut Reader) -> Option<$name> {
                $(let $field = Coded::read(from)?;)*
                Some($name { $($field),* })
            }
        }
        coded!($($more)*);
    };
    ($name:ident [ $($number:literal $variant:ident $(($($part:ident)*))? $({$($field:ident)*})?),* ] $($more:tt)*) => {
        impl Coded for $name {
            fn write(&self, to: &mut Writer) {
                match self {
                    $($name::$variant $(($($part),*))? $({$($field),*})? => {
                        to.number($number);
                        $($($part.write(to);)*)?
                        $($($field.write(to);)*)?
                    })*
                }
            }

            fn read(from: &mut Reader) -> Option<$name> {
                match from.number()? {
                    $($number => {
                        $($(let $part = Coded::read(from)?;)*)?
                        $($(let $field = Coded::read(from)?;)*)?
                        Some($name::$variant $(($($part),*))? $({$($field),*})?)
                    })*
                    _ => None,
                }
            }
        }
        coded!($($more)*);
    };
}

coded! {
    RunId { service generation }
    ProbeId { run round probe ready }
    HookId { run hook }
    Need { service condition required }
    SpawnError { message code }
    Notice { ready stopping reloading status extend watchdog watchdog_every }
    Ladder { cause rung until wait exit }
    Clearing { hook outcome until }
    Probing { phase round passes failures verdict error }
    Starting { probing given late nag }
    Up { since probing watchdog late hook }
    Checkpoint { now boot random phase services }
    Memory {
        member holds born wanted stop_asked gone state since run started failures quick renew remains last_exit reloading
        says first
    }
    // How a service came up decides nothing.
    First of { First::default() } {}

    // Of the configuration, what the supervisor decides by. What is run, and with which rights and secrets, it is not told.
    Plan { services listed settings }
    Settings of { Settings::default() } { unsuccessful_exit_finished_failed }
    ServiceSpec of { ServiceSpec::new("", vec!["/program".to_owned()]) } {
        name kind autostart start_delay start_after shutdown_after signal_rewrite required restart readiness start_timeout
        health watchdog failure termination hooks
    }
    Program of { Program(vec!["/program".to_owned()]) } {}
    Probe of { Probe::Command(Program(vec!["/probe".to_owned()])) } {}
    Signs { rounds notify notify_fd log_line }
    Health { rounds max_failed on_unhealthy }
    Restart { strategy backoff attempts growth backoff_max jitter reset_after throttle }
    FailurePolicy { codes strategy every_failure }
    Termination { command signal scope wait die_if_failed }
    Hooks { commands timeout }
    Rounds { probes interval timeout initial_delay success_threshold }

    Event [
        0 Boot, 1 Tick, 2 Signalled(signal), 3 Spawned(run), 4 SpawnFailed(run error), 5 Exited { run exit left },
        6 TreeEmpty(run), 7 Probed(probe answer), 8 Signed(run sign), 9 Notified(run notice), 10 HookEnded(hook answer),
        11 Commanded(command), 12 Loaded(plan)
    ]
    Command [0 Start(id), 1 Stop(id), 2 Restart(id), 3 Signal(id signal), 4 Shutdown]
    Action [
        0 Spawn(run), 1 Signal { run signal to }, 2 StartProbe(id), 3 CancelProbe(id), 4 StartHook(id reason),
        5 CancelHook(id), 6 Load, 7 Adopt(plan), 8 Report(report), 9 Exit(code)
    ]
    Target [0 Leader, 1 Group, 2 Strays, 3 Tree]
    Report [
        0 Started(run), 1 Ready(run after), 2 Ended(run exit), 3 Stopped(run exit), 4 Restarting(id delay failure),
        5 Throttled(id), 6 Finished(id), 7 NotNeeded(id other), 8 GaveUp(id reason), 9 Unhealthy(run why), 10 Recovered(run),
        11 NotReadyYet(run after), 12 TooLate(run why), 13 HookFailed(run hook why), 14 Stopping(run cause),
        15 Killing(run after), 16 Unkillable(run), 17 Vanished(run), 18 Shutdown(cause), 19 KillAll(signal),
        20 IgnoredSignal(signal), 21 Bug(what run)
    ]
    Reason [
        0 Exit(exit), 1 Spawn(error), 2 Unhealthy(why exit), 3 TooLate(why exit), 4 Hook(hook why), 5 Dependency(id),
        6 DependencyOver(id), 7 DiedWith(id), 8 Unkillable
    ]
    StopCause [
        0 Leftovers, 1 Unhealthy(why), 2 TooLate(why), 3 Itself, 4 DiedWith(id), 5 Asked, 6 Restart, 7 Renewed(id), 8 Shutdown
    ]
    Cause [0 Asked, 1 Signal(signal), 2 Service(id code)]
    Watchdog [0 Alive, 1 Trigger]
    Exit [0 Code(code), 1 Signal(signal), 2 OutOfMemory(oom)]
    Oom [0 Limit, 1 Shared, 2 Watched]
    Sign [0 Notify, 1 NotifyFd, 2 LogLine]
    Hook [0 BeforeStart, 1 AfterReady, 2 BeforeStop, 3 Stop, 4 AfterStop, 5 OnFailure]
    Phase [0 Up, 1 Stopping { cause asked }, 2 Killing(cause), 3 Over]
    Member [0 Stays, 1 Leaves { after }, 2 Gone]
    State [
        0 Initial, 1 Delay { until }, 2 Preparing { until }, 3 Spawning { late }, 4 Started(starting), 5 Running(up),
        6 Stopping(ladder), 7 Clearing(clearing), 8 Backoff { until failure }, 9 Finished, 10 FinishedFailed { reason }
    ]
    Outcome [0 Success, 1 Failure(reason), 2 Stopped, 3 Renewed, 4 GivenUp(reason)]
    Rung [0 Itself, 1 Leave, 2 Command, 3 Told, 4 Asked(whom), 5 Killed]
    Verdict [0 Unknown, 1 Healthy, 2 Unhealthy]
    Asking [0 Off, 1 Resting(until), 2 Answers(count until)]
    Condition [0 Started, 1 Ready, 2 Healthy, 3 Completed, 4 CompletedSuccessfully, 5 Failed]
    Kind [0 Daemon, 1 Oneshot]
    Readiness [0 Exec, 1 Health, 2 Signs(signs)]
    OnUnhealthy [0 Restart, 1 Report]
    RestartStrategy [0 Never, 1 OnFailure, 2 Always]
    Growth [0 Linear, 1 Constant, 2 Exponential]
    ExitCodes [0 Successful(codes), 1 Failing(codes)]
    FailureStrategy [0 Ignore, 1 Shutdown, 2 KillDependents, 3 RestartDependents]
    Scope [0 Group, 1 Main, 2 Tree]
}

impl Coded for () {
    fn write(&self, _: &mut Writer) {}

    fn read(_: &mut Reader) -> Option<()> {
        Some(())
    }
}

impl Coded for bool {
    fn write(&self, to: &mut Writer) {
        to.number(u64::from(*self));
    }

    fn read(from: &mut Reader) -> Option<bool> {
        Some(from.number()? != 0)
    }
}

impl Coded for i32 {
    fn write(&self, to: &mut Writer) {
        to.number(u64::from(self.cast_unsigned()));
    }

    fn read(from: &mut Reader) -> Option<i32> {
        u32::read(from).map(u32::cast_signed)
    }
}

impl Coded for f32 {
    fn write(&self, to: &mut Writer) {
        to.number(u64::from(self.to_bits()));
    }

    fn read(from: &mut Reader) -> Option<f32> {
        u32::read(from).map(f32::from_bits)
    }
}

impl Coded for Mono {
    fn write(&self, to: &mut Writer) {
        // Most moments are shortly before or after.
        let far = self.0.wrapping_sub(to.now.0).cast_signed();
        to.number((far.wrapping_shl(1) ^ (far >> 63)).cast_unsigned());
    }

    fn read(from: &mut Reader) -> Option<Mono> {
        let number = from.number()?;
        let far = (number >> 1) ^ (number & 1).wrapping_neg();
        Some(Mono(from.now.0.wrapping_add(far)))
    }
}

impl Coded for Duration {
    fn write(&self, to: &mut Writer) {
        // In units of which most are whole.
        let nanos = u64::try_from(self.as_nanos()).unwrap_or(u64::MAX);
        match nanos % 1_000_000 {
            0 => to.number((nanos / 1_000_000).wrapping_shl(1)),
            _ => to.number(nanos.wrapping_shl(1) | 1),
        }
    }

    fn read(from: &mut Reader) -> Option<Duration> {
        let number = from.number()?;
        Some(match number & 1 {
            0 => Duration::from_millis(number >> 1),
            _ => Duration::from_nanos(number >> 1),
        })
    }
}

impl Coded for ServiceId {
    fn write(&self, to: &mut Writer) {
        self.0.write(to);
    }

    fn read(from: &mut Reader) -> Option<ServiceId> {
        u32::read(from).map(ServiceId)
    }
}

impl Coded for Signal {
    fn write(&self, to: &mut Writer) {
        self.number().write(to);
    }

    fn read(from: &mut Reader) -> Option<Signal> {
        Signal::new(u8::read(from)?.into())
    }
}

impl Coded for &'static str {
    fn write(&self, to: &mut Writer) {
        to.text(self);
    }

    fn read(from: &mut Reader) -> Option<&'static str> {
        String::read(from).map(|text| &*text.leak())
    }
}

impl Coded for String {
    fn write(&self, to: &mut Writer) {
        to.text(self);
    }

    fn read(from: &mut Reader) -> Option<String> {
        let length = usize::try_from(from.number()?).ok()?;
        let (text, rest) = from.bytes.split_at_checked(length)?;
        from.bytes = rest;
        String::from_utf8(text.to_owned()).ok()
    }
}

impl<T: Coded> Coded for Option<T> {
    fn write(&self, to: &mut Writer) {
        self.is_some().write(to);
        self.iter().for_each(|some| some.write(to));
    }

    fn read(from: &mut Reader) -> Option<Option<T>> {
        Some(if bool::read(from)? { Some(T::read(from)?) } else { None })
    }
}

impl<E: Coded> Coded for Result<(), E> {
    fn write(&self, to: &mut Writer) {
        self.is_err().write(to);
        self.as_ref().err().into_iter().for_each(|error| error.write(to));
    }

    fn read(from: &mut Reader) -> Option<Result<(), E>> {
        Some(if bool::read(from)? { Err(E::read(from)?) } else { Ok(()) })
    }
}

impl<T: Coded> Coded for Vec<T> {
    fn write(&self, to: &mut Writer) {
        to.number(self.len() as u64);
        self.iter().for_each(|one| one.write(to));
    }

    fn read(from: &mut Reader) -> Option<Vec<T>> {
        (0..from.number()?).map(|_| T::read(from)).collect()
    }
}

impl<A: Coded, B: Coded> Coded for (A, B) {
    fn write(&self, to: &mut Writer) {
        self.0.write(to);
        self.1.write(to);
    }

    fn read(from: &mut Reader) -> Option<(A, B)> {
        Some((A::read(from)?, B::read(from)?))
    }
}

impl<T: Coded> Coded for Box<T> {
    fn write(&self, to: &mut Writer) {
        T::write(self, to);
    }

    fn read(from: &mut Reader) -> Option<Box<T>> {
        T::read(from).map(Box::new)
    }
}

impl<T: Coded> Coded for Arc<T> {
    fn write(&self, to: &mut Writer) {
        T::write(self, to);
    }

    fn read(from: &mut Reader) -> Option<Arc<T>> {
        T::read(from).map(Arc::new)
    }
}
