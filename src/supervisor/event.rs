//! What the supervisor is told (events: past facts) and what it answers (actions: imperatives, and reports for people).
//! One enum each, never shared: a fact can't be mistaken for an order.

use crate::model::{Exit, Hook, HookId, Mono, Plan, ProbeId, RunId, ServiceId, Sign, Signal};
use std::sync::Arc;
use std::time::Duration;

/// A fact that has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Horust is ready to start services.
    Boot,
    /// Time has passed: look at the deadlines.
    Tick,
    /// Horust itself received this signal.
    Signalled(Signal),
    /// The program of this run has been executed.
    Spawned(RunId),
    /// It could not be.
    SpawnFailed(RunId, SpawnError),
    /// The main process of this run has ended.
    Exited {
        /// Which run.
        run: RunId,
        /// How it ended.
        exit: Exit,
        /// Whether other processes of the run are still alive.
        left: bool,
    },
    /// The last process of a run whose main process had ended before is gone.
    TreeEmpty(RunId),
    /// A probe has an answer: passed, or why not.
    Probed(ProbeId, Result<(), String>),
    /// This run has given a sign of being ready.
    Signed(RunId, Sign),
    /// This run says something about itself.
    Notified(RunId, Notice),
    /// A hook has ended: with success, or why not.
    HookEnded(HookId, Result<(), String>),
    /// Somebody has asked for something.
    Commanded(Command),
    /// The configuration has been read again, without errors. Its ids are those of its own load order.
    Loaded(Arc<Plan>),
}

/// What a run says about itself, by sd_notify(3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notice {
    /// `READY=1`.
    pub ready: bool,
    /// `STOPPING=1`.
    pub stopping: bool,
    /// `RELOADING=1`: it says `READY=1` again when it has.
    pub reloading: bool,
    /// `STATUS=`: for people.
    pub status: Option<String>,
    /// `EXTEND_TIMEOUT_USEC=`: it needs at least so long from now on.
    pub extend: Option<Duration>,
    /// `WATCHDOG=`.
    pub watchdog: Option<Watchdog>,
    /// `WATCHDOG_USEC=`: how often it will be heard of from now on.
    pub watchdog_every: Option<Duration>,
}

/// What a run says to its watchdog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watchdog {
    /// `1`: it is well.
    Alive,
    /// `trigger`: it is not.
    Trigger,
}

/// What people can ask for. A service that the supervisor does not know is ignored: who takes the wish in has to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Start it, and what it needs.
    Start(ServiceId),
    /// Stop it, and don't start it again.
    Stop(ServiceId),
    /// Stop it if it runs, and start it again.
    Restart(ServiceId),
    /// Send this signal to its main process, as it is: a rewrite is for what Horust receives.
    Signal(ServiceId, Signal),
    /// Stop everything, and end.
    Shutdown,
}

impl Command {
    /// The service that it is about.
    pub fn service(&self) -> Option<ServiceId> {
        match self {
            Command::Start(id) | Command::Stop(id) | Command::Restart(id) | Command::Signal(id, _) => Some(*id),
            Command::Shutdown => None,
        }
    }
}

/// Why a program could not be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpawnError {
    /// For people: what is wrong and with what.
    pub message: String,
    /// What a shell would report: 127 for "not found", 126 for "not executable".
    pub code: u8,
}

/// An order to the world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Run the program of this service.
    Spawn(RunId),
    /// Send a signal to processes of this run.
    Signal {
        /// Which run.
        run: RunId,
        /// What to send.
        signal: Signal,
        /// To whom.
        to: Target,
    },
    /// Run this probe; its answer is awaited until its timeout.
    StartProbe(ProbeId),
    /// The answer to this probe is of no interest any more.
    CancelProbe(ProbeId),
    /// Run this hook; its end is awaited until its timeout. It is told why, if something has failed.
    StartHook(HookId, Option<Reason>),
    /// Kill this hook; its end is of no interest any more.
    CancelHook(HookId),
    /// Read the configuration again; what comes of it is told by [`Event::Loaded`].
    Load,
    /// From here on ids mean the services of this plan.
    Adopt(Arc<Plan>),
    /// Tell people.
    Report(Report),
    /// All is over: end Horust with this code.
    Exit(u8),
}

/// Which processes of a run a signal goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The main process.
    Leader,
    /// Its process group.
    Group,
    /// Those that have left the process group.
    Strays,
    /// All of them.
    Tree,
}

/// Something worth telling to people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// The program runs.
    Started(RunId),
    /// The service is Running.
    Ready(RunId, Duration),
    /// The main process of a run has ended by itself.
    Ended(RunId, Exit),
    /// The main process of a run has ended after it was asked to.
    Stopped(RunId, Exit),
    /// The service will be started again after this delay; after a failure, why, and for the n-th time in a row.
    Restarting(ServiceId, Duration, Option<(Reason, u32)>),
    /// The service ends at once again and again, and is held back.
    Throttled(ServiceId),
    /// The service has finished.
    Finished(ServiceId),
    /// The service will not start: it was to start after this one's failure, which has finished.
    NotNeeded(ServiceId, ServiceId),
    /// The service has given up.
    GaveUp(ServiceId, Reason),
    /// The service failed its health checks, or its watchdog was not heard of.
    Unhealthy(RunId, String),
    /// The service was unhealthy, and is well again.
    Recovered(RunId),
    /// The service is not ready yet after this long.
    NotReadyYet(RunId, Duration),
    /// The service took longer to start than it may.
    TooLate(RunId, String),
    /// A hook has failed.
    HookFailed(RunId, Hook, String),
    /// The service is asked to stop.
    Stopping(RunId, StopCause),
    /// The service did not stop in time and is killed.
    Killing(RunId, Duration),
    /// The service can't be killed; Horust goes on without it.
    Unkillable(RunId),
    /// What could not be killed has gone after all: the service may be started again.
    Vanished(RunId),
    /// Everything is stopped.
    Shutdown(Cause),
    /// Everything is killed: a second request to stop.
    KillAll(Signal),
    /// A signal that has no meaning now: nothing is reloaded while all is stopped.
    IgnoredSignal(Signal),
    /// Something that can't happen did; nothing was done about it.
    Bug(&'static str, RunId),
}

/// Why a service has given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Its last run ended like this.
    Exit(Exit),
    /// Its program could not be run.
    Spawn(SpawnError),
    /// It failed its health checks.
    Unhealthy(String, Option<Exit>),
    /// It took longer to start than it may.
    TooLate(String, Option<Exit>),
    /// A hook without which it can't start failed.
    Hook(Hook, String),
    /// A service that it starts after has given up.
    Dependency(ServiceId),
    /// A service that was to be healthy has finished.
    DependencyOver(ServiceId),
    /// A service that it dies with has given up.
    DiedWith(ServiceId),
    /// Processes of it would not die.
    Unkillable,
}

/// Why a run is being stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StopCause {
    /// Its main process has ended; what it left behind is stopped.
    Leftovers,
    /// It is unhealthy.
    Unhealthy(String),
    /// It took longer to start than it may.
    TooLate(String),
    /// It has said that it goes.
    Itself,
    /// A service that it dies with has given up.
    DiedWith(ServiceId),
    /// Somebody has asked for it.
    Asked,
    /// It is to run again.
    Restart,
    /// It is to run again, because this service, after which it starts, is ready again.
    Renewed(ServiceId),
    /// Everything is stopped.
    Shutdown,
}

/// Why everything is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Somebody has asked for it.
    Asked,
    /// Horust was asked to by a signal.
    Signal(Signal),
    /// A service has given up, and the system must not go on without it; the code Horust ends with.
    Service(ServiceId, u8),
}

impl StopCause {
    /// The other service that it is about.
    pub fn mentions(&self) -> Option<ServiceId> {
        match self {
            StopCause::DiedWith(other) | StopCause::Renewed(other) => Some(*other),
            StopCause::Leftovers
            | StopCause::Unhealthy(_)
            | StopCause::TooLate(_)
            | StopCause::Itself
            | StopCause::Asked
            | StopCause::Restart
            | StopCause::Shutdown => None,
        }
    }
}

impl Reason {
    /// The other service that it is about.
    pub fn mentions(&self) -> Option<ServiceId> {
        match self {
            Reason::Dependency(other) | Reason::DependencyOver(other) | Reason::DiedWith(other) => Some(*other),
            Reason::Exit(_)
            | Reason::Spawn(_)
            | Reason::Unhealthy(..)
            | Reason::TooLate(..)
            | Reason::Hook(..)
            | Reason::Unkillable => None,
        }
    }

    /// The exit code that tells this reason.
    pub fn code(&self) -> u8 {
        match self {
            Reason::Exit(exit) => exit.shell_code(),
            Reason::Spawn(error) => error.code,
            // A sick service that exited cleanly on request has failed all the same.
            Reason::Unhealthy(_, Some(exit)) | Reason::TooLate(_, Some(exit)) => exit.shell_code().max(1),
            Reason::Unhealthy(_, None)
            | Reason::TooLate(_, None)
            | Reason::Hook(..)
            | Reason::Dependency(_)
            | Reason::DependencyOver(_)
            | Reason::DiedWith(_)
            | Reason::Unkillable => 1,
        }
    }
}

/// What readers see of one service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Its name.
    pub name: String,
    /// Horust's word for its state.
    pub state: &'static str,
    /// Since when.
    pub since: Mono,
    /// The current or last run; `None` before the first.
    pub run: Option<RunId>,
    /// How often it has been started.
    pub starts: u32,
    /// Whether it is to run.
    pub wanted: bool,
    /// Consecutive restarts after failure.
    pub failures: u32,
    /// Processes of its last run that would not die are still there, so it can't be started.
    pub remains: bool,
    /// How the main process of its last run ended.
    pub last_exit: Option<Exit>,
    /// What the last round of probes that failed said, in this run.
    pub probe_error: Option<String>,
    /// What its health checks say, if it has any and is ready: unknown, healthy or unhealthy.
    pub health: Option<&'static str>,
    /// It says that it is reading its configuration again.
    pub reloading: bool,
    /// What it says that it is doing.
    pub says: Option<String>,
    /// Why it has given up.
    pub reason: Option<Reason>,
}
