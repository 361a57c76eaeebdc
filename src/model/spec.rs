//! What the user wants, resolved: names are ids, durations are durations, defaults are filled in.

use super::{
    Health, Hook, Hooks, IdOrName, Log, Need, Probe, Process, Readiness, ResourceLimit, Rounds, ServiceId, Signal,
};
// `core` has the address and none of the sockets.
use core::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// All services of one configuration, and Horust's own settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Indexed by [`ServiceId`]. After a reload some may be of services that are no more.
    pub services: Vec<Arc<ServiceSpec>>,
    /// The ids of those that there are, in load order; if none, all in the order of their ids.
    pub listed: Option<Vec<ServiceId>>,
    /// `horust.toml`.
    pub settings: Settings,
}

impl Plan {
    /// The ids of all services that there are, in load order.
    pub fn ids(&self) -> impl Iterator<Item = ServiceId> + '_ {
        let all = 0..u32::try_from(self.services.len()).unwrap_or(u32::MAX);
        let all = all.filter(|_| self.listed.is_none()).map(ServiceId);
        self.listed.iter().flatten().copied().chain(all)
    }

    /// All services that there are, in load order.
    pub fn iter(&self) -> impl Iterator<Item = (ServiceId, &Arc<ServiceSpec>)> {
        self.ids().filter_map(|id| Some((id, self.get(id)?)))
    }

    /// The service of this id.
    pub fn get(&self, id: ServiceId) -> Option<&Arc<ServiceSpec>> {
        self.services.get(id.index())
    }
}

/// Horust's own settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Exit with 101 if any service ended FinishedFailed by itself.
    pub unsuccessful_exit_finished_failed: bool,
    /// Where the control socket lies.
    pub socket: ControlSocket,
    /// Whose members may use it, beside root and Horust's own user.
    pub socket_group: Option<IdOrName>,
    /// What becomes of the machine when Horust was its init.
    pub when_init: WhenInit,
    /// Where else Horust can be reached.
    pub web: Web,
}

/// Horust as it is reached by TCP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Web {
    /// Where the page and the whole API are.
    pub page: Option<SocketAddr>,
    /// Where only metrics and health are.
    pub metrics: Option<SocketAddr>,
    /// Where the token stands; else one is made up.
    pub token_file: Option<PathBuf>,
    /// Who only looks needs it too.
    pub token_for_reading: bool,
    /// Names under which browsers reach the page.
    pub hosts: Vec<String>,
}

/// What the init of a machine, not of a container, does once all has stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenInit {
    /// Switches the machine off.
    #[default]
    PowerOff,
    /// Starts it anew.
    Reboot,
    /// Stops it, with the power on.
    Halt,
    /// Ends, which is a kernel panic.
    Exit,
}

/// Where the control socket lies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ControlSocket {
    /// In the directory where everybody looks for it.
    #[default]
    Default,
    /// `horust-PID.sock` in this directory.
    Folder(PathBuf),
    /// Here.
    At(PathBuf),
    /// There is none.
    Off,
}

/// Where a service was defined, for messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Its file.
    pub file: PathBuf,
    /// The line of `command`, from 1.
    pub line: u32,
}

/// One service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceSpec {
    /// Unique, `[A-Za-z0-9._@-]+`.
    pub name: String,
    /// Where it was defined.
    pub origin: Origin,
    /// What to run.
    pub command: Command,
    /// A daemon is ready when its probes say so; a oneshot when it has exited successfully.
    pub kind: Kind,
    /// Start it with Horust; else only when asked.
    pub autostart: bool,
    /// Where it runs; Horust's own directory if none.
    pub working_directory: Option<PathBuf>,
    /// Waited before every start.
    pub start_delay: Duration,
    /// What has to be true of other services first.
    pub start_after: Vec<Need>,
    /// Services that must have stopped before this one is stopped, on top of the reverse of the start order.
    pub shutdown_after: Vec<ServiceId>,
    /// Standard output.
    pub stdout: Output,
    /// Standard error.
    pub stderr: Output,
    /// How both are captured. Without it they go straight to where they go.
    pub log: Option<Box<Log>>,
    /// What its process becomes before the exec. Most ask for nothing, and are started without the exec stage.
    pub process: Option<Box<Process>>,
    /// What it gets when Horust receives a signal: (received, sent); `None` drops it.
    pub signal_rewrite: Vec<(Signal, Option<Signal>)>,
    /// If it has given up, bring the system down.
    pub required: bool,
    /// When to run it again.
    pub restart: Restart,
    /// What makes it Running after its exec.
    pub readiness: Readiness,
    /// How long a start may take: until it is ready, or, of a oneshot, until it has finished.
    pub start_timeout: Option<Duration>,
    /// What watches it once Running.
    pub health: Option<Box<Health>>,
    /// Once Running, it has to say `WATCHDOG=1` at least this often.
    pub watchdog: Option<Duration>,
    /// What counts as failure, and what it does to the others.
    pub failure: FailurePolicy,
    /// Its environment.
    pub environment: Arc<Environment>,
    /// How it is stopped.
    pub termination: Termination,
    /// What runs beside it.
    pub hooks: Option<Box<Hooks>>,
}

/// A command: words as they go to execve(2). Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command(pub Vec<String>);

impl Command {
    /// The program, as written: a path, or a bare name for `PATH` lookup.
    pub fn program(&self) -> &str {
        self.0.first().map_or("", String::as_str)
    }
}

/// When a service counts as ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Ready once Running.
    Daemon,
    /// Ready once it has exited successfully.
    Oneshot,
}

/// Where an output stream goes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Output {
    /// Horust's own standard output.
    Stdout,
    /// Horust's own standard error.
    Stderr,
    /// `/dev/null`.
    Null,
    /// Appended to this file, created with mode 0640.
    File(PathBuf),
}

/// The restart policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Restart {
    /// After which ends to run again.
    pub strategy: RestartStrategy,
    /// The unit of delay after a failure.
    pub backoff: Duration,
    /// Bound of consecutive restarts after failure; 0: none for `never`, unlimited for the others.
    pub attempts: u32,
    /// How the delay grows with the attempts made.
    pub growth: Growth,
    /// The delay never grows beyond this (or `backoff`, if that is more).
    pub backoff_max: Duration,
    /// Fraction, 0 to 1, by which the delay is varied at random.
    pub jitter: f32,
    /// The count of attempts starts afresh once a run has been Running for this long.
    pub reset_after: Duration,
    /// Hold back a service that "succeeds" at once again and again.
    pub throttle: bool,
}

/// `jitter` is a number, always.
impl Eq for Restart {}

impl Default for Restart {
    fn default() -> Restart {
        Restart {
            strategy: RestartStrategy::Never,
            backoff: Duration::ZERO,
            attempts: 0,
            growth: Growth::Linear,
            backoff_max: Duration::from_secs(300),
            jitter: 0.0,
            reset_after: Duration::from_secs(10),
            throttle: true,
        }
    }
}

/// After which ends a service is run again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestartStrategy {
    /// Only within `attempts`.
    Never,
    /// After a failure.
    OnFailure,
    /// After every end.
    Always,
}

/// How a delay grows with the number of attempts made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Growth {
    /// `backoff × attempts`.
    Linear,
    /// `backoff`.
    Constant,
    /// `backoff × 2^(attempts - 1)`.
    Exponential,
}

/// What a failure is, and what it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailurePolicy {
    /// Which exit codes are a success.
    pub codes: ExitCodes,
    /// What happens to the others.
    pub strategy: FailureStrategy,
    /// It happens at each failure, not only once the service has given up.
    pub every_failure: bool,
}

/// Which exit codes are a success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExitCodes {
    /// Exactly these.
    Successful(Vec<u8>),
    /// All but these.
    Failing(Vec<u8>),
}

/// What a failed service does to the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureStrategy {
    /// Nothing.
    Ignore,
    /// Everything is stopped.
    Shutdown,
    /// The services that start after it are stopped.
    KillDependents,
    /// They are run again once it is ready again, whenever it has failed.
    RestartDependents,
}

/// The environment of a service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// Pass on Horust's whole environment.
    pub keep: bool,
    /// Pass on these of Horust's variables.
    pub re_export: Vec<String>,
    /// dotenv files read at each start, in order; `true` marks one that may be missing.
    pub load: Vec<(PathBuf, bool)>,
    /// Variables and the files that hold their values, read at each start. Only the paths are ever known here.
    pub secrets: Vec<(String, PathBuf)>,
    /// Set last.
    pub additional: Vec<(String, String)>,
}

impl Environment {
    /// That of a service that asks for nothing: one for all of them.
    pub fn of_most() -> Arc<Environment> {
        static OF_MOST: LazyLock<Arc<Environment>> = LazyLock::new(Arc::default);
        Arc::clone(&OF_MOST)
    }
}

/// How a service is stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Termination {
    /// Run before any signal is sent; if it succeeds, the signal waits as long as SIGKILL does after that.
    pub command: Option<Command>,
    /// Sent first.
    pub signal: Signal,
    /// To whom.
    pub scope: Scope,
    /// Between that signal and SIGKILL.
    pub wait: Duration,
    /// If one of these has given up, stop this service.
    pub die_if_failed: Vec<ServiceId>,
}

/// Which processes of a service get its stop signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The process group of its main process.
    Group,
    /// Its main process alone.
    Main,
    /// All of them.
    Tree,
}

impl ExitCodes {
    /// Whether a process that exited with `code` succeeded.
    pub fn is_success(&self, code: u8) -> bool {
        match self {
            ExitCodes::Successful(codes) => codes.contains(&code),
            ExitCodes::Failing(codes) => !codes.contains(&code),
        }
    }
}

impl FailurePolicy {
    /// Whether a single failure stops everything.
    pub fn shuts_down_at_once(&self) -> bool {
        self.every_failure && self.strategy == FailureStrategy::Shutdown
    }
}

impl ServiceSpec {
    /// Whose rights it runs with; Horust's own if none.
    pub fn user(&self) -> Option<&IdOrName> {
        self.process.as_ref().and_then(|process| process.user.as_ref())
    }

    /// What it may use of the machine.
    pub fn resources(&self) -> Option<&ResourceLimit> {
        self.process.as_ref().and_then(|process| process.resources.as_ref())
    }

    /// The rounds that matter to it: for staying healthy once it is ready, or for becoming so.
    pub fn rounds(&self, ready: bool) -> Option<&Rounds> {
        match &self.readiness {
            Readiness::Exec | Readiness::Signs(_) if ready => self.health.as_ref().map(|health| &health.rounds),
            Readiness::Health => self.health.as_ref().map(|health| &health.rounds),
            Readiness::Signs(signs) => signs.rounds.as_ref(),
            Readiness::Exec => None,
        }
    }

    /// All its probes.
    pub fn probes(&self) -> impl Iterator<Item = &Probe> {
        let signs = self.readiness.signs().and_then(|signs| signs.rounds.as_ref());
        let health = self.health.as_ref().map(|health| &health.rounds);
        signs.into_iter().chain(health).flat_map(|rounds| &rounds.probes)
    }

    /// The command of this hook, and how long it may take.
    pub fn hook(&self, hook: Hook) -> Option<(&Command, Duration)> {
        if hook == Hook::Stop {
            return self.termination.command.as_ref().map(|command| (command, self.termination.wait));
        }
        let hooks = self.hooks.as_ref()?;
        let command = hooks.commands.iter().find(|(other, _)| *other == hook);
        command.map(|(_, command)| (command, hooks.timeout))
    }

    /// Whether it gets a NOTIFY_SOCKET.
    pub fn notifies(&self) -> bool {
        self.watchdog.is_some() || self.readiness.signs().is_some_and(|signs| signs.notify)
    }

    /// A service with defaults in everything but its name and command.
    pub fn new(name: impl Into<String>, command: Vec<String>) -> ServiceSpec {
        ServiceSpec {
            name: name.into(),
            origin: Origin::default(),
            command: Command(command),
            kind: Kind::Daemon,
            autostart: true,
            working_directory: None,
            start_delay: Duration::ZERO,
            start_after: Vec::new(),
            shutdown_after: Vec::new(),
            stdout: Output::Stdout,
            stderr: Output::Stderr,
            log: None,
            process: None,
            signal_rewrite: Vec::new(),
            required: false,
            restart: Restart::default(),
            readiness: Readiness::Exec,
            start_timeout: None,
            health: None,
            watchdog: None,
            failure: FailurePolicy {
                codes: ExitCodes::Successful(vec![0]),
                strategy: FailureStrategy::Ignore,
                every_failure: false,
            },
            environment: Environment::of_most(),
            termination: Termination {
                command: None,
                signal: Signal::TERM,
                scope: Scope::Group,
                wait: Duration::from_secs(5),
                die_if_failed: Vec::new(),
            },
            hooks: None,
        }
    }
}
