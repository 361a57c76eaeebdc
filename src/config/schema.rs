//! Every key, declared once: its name, other spellings, kind, default, meaning and a sample. The readers, the sample
//! page and all further documentation come from here. What a key does is decided in `lower`, not here.

use super::after::Afters;
use super::diagnostic::Span;
use super::kinds::{ListenAt, ReadyWhen, Rewrite, ServiceName, SocketAt};
use super::log::{PerTime, Times};
use super::probes::{Address, Endpoint, NotifyFd, Pattern, SocketPath};
use super::process::{Accounts, Bytes, CapabilitySets, Count, LimitIn, Microseconds, Nice, OomScore, Seconds, Umask};
use super::resources::Processors;
use super::shape::Shape;
use super::table::{Key, Table, entries, fill, normal, put, read_tables, store, table, unknown};
use super::values::{At, Codes, Cx, Fraction, Names, Occasion, Read, Secrets, Size, Variables, variable};
use crate::model::closest;
use crate::model::{
    CapSet, Command, Condition, FailureStrategy, Growth, IdOrName, Kind, LogFormat, OnUnhealthy, Output,
    RestartStrategy, Scope, Signal, WhenInit,
};
use std::collections::HashSet;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

table! {
    /// A service file.
    Main {
        /// What to run. Split into words like a shell does, but no shell runs it. An array is taken as it is.
        /// A bare program name is looked up in the service's PATH at each start.
        command: Command = "command" | "path",
            default "required", sample r#""/bin/sleep infinity""#;
        /// The service's name. Others refer to it by this, with or without `.toml`.
        name: ServiceName = "name", default "the file's name without .toml", sample r#""sample""#;
        /// A daemon keeps running and is ready once its checks pass. A oneshot is ready once it has exited successfully.
        kind: Kind = "kind", default "daemon", sample r#""daemon""#;
        /// Start it together with Horust. If false, it starts only when asked to.
        autostart: bool = "autostart", default "true", sample "true";
        /// Where it runs. The directory must exist when the service starts.
        working_directory: PathBuf = "working-directory", default "Horust's own directory", sample r#""/tmp""#;
        /// How long to wait before every start.
        start_delay: Duration = "start-delay", default "0s", sample r#""2s""#;
        /// Start only once these services are ready or have finished. An entry can also be a table that says what to
        /// wait for: `started`, `ready`, `healthy`, `completed`, `completed-successfully` or `failed`. With
        /// `required = false` it is about the order only: what fails or does not exist is not waited for.
        start_after: Afters = "start-after",
            default "none", sample r#"["database", { name = "cache", condition = "healthy", required = false }]"#;
        /// Stop only once these services have stopped. Without it, services stop in reverse start order.
        shutdown_after: Names = "shutdown-after", default "none", sample r#"["web"]"#;
        /// Where its standard output goes: STDOUT or STDERR (Horust's own), NULL, or a file to append to.
        stdout: Output = "stdout", default "STDOUT", sample r#""/var/log/sample.log""#;
        /// Where its standard error goes. May name the same file as `stdout`.
        stderr: Output = "stderr", default "STDERR", sample r#""/var/log/sample.log""#;
        /// Go on in a new file before the output file grows larger than this: FILE, then FILE.1, FILE.2 and so on.
        stdout_rotate_size: Size = "stdout-rotate-size", default "as log.rotate-size", sample r#""100MB""#;
        /// The same for standard error.
        stderr_rotate_size: Size = "stderr-rotate-size", default "as log.rotate-size", sample r#""100MB""#;
        /// Begin a new output file at each start, named after its time in seconds since 1970: FILE.1700000000.
        stdout_timestamp: bool = "stdout-should-append-timestamp-to-filename", default "false", sample "false";
        /// Whom it runs as: a name or a number. Its group and groups follow.
        user: IdOrName = "user", default "Horust's own user", sample r#""nobody""#;
        /// Its group, instead of the one that belongs to `user`.
        group: IdOrName = "group", default "the user's group", sample r#""users""#;
        /// More groups on top of the user's. Without `user`, instead of Horust's own.
        supplementary_groups: Accounts = "supplementary-groups", default "the user's groups", sample r#"["audio", 44]"#;
        /// The permissions that its new files don't get, in octal.
        umask: Umask = "umask", default "Horust's own", sample r#""0027""#;
        /// Its place when the processors are busy; with a higher number it stands back. Below Horust's own it takes
        /// CAP_SYS_NICE.
        nice: Nice = "nice", default "Horust's own", sample "10";
        /// How soon the kernel ends it when memory runs out. Below Horust's own it takes CAP_SYS_RESOURCE.
        oom_score_adj: OomScore = "oom-score-adj", default "what Horust was started with", sample "500";
        /// Programs with a set-user-ID bit or file capabilities give it no rights.
        no_new_privileges: bool = "no-new-privileges", default "false", sample "false";
        /// All capabilities that it ever has, also as an ordinary user. Names with or without `CAP_`, `all`, `none`, and
        /// `-NAME` to take one away again. `bounding` (what it can have) and `ambient` (what it has) can be given apart.
        capabilities: CapabilitySets = "capabilities",
            default "as its user has them", sample r#"["NET_BIND_SERVICE"]"#;
        /// What it gets instead of a signal that Horust receives. 0 drops the signal.
        signal_rewrite: Rewrite = "signal-rewrite", default "none", sample r#""15:3,USR1:0""#;
        /// Bring the whole system down once this service has failed for good.
        required: bool = "required", default "false", sample "false";
        /// When to run it again after it has ended.
        restart: Restart = "restart", default "", sample "";
        /// What makes it ready. Without this table: the first passing health check, or else the start of its program.
        /// All that is given must come true.
        readiness: Readiness = "readiness", default "", sample "";
        /// How to see whether it is well, once it is ready. All checks that are given must pass.
        healthiness: Healthiness = "healthiness" old "healthness", default "", sample "";
        /// A service that has to be heard of: it gets a NOTIFY_SOCKET, and says WATCHDOG=1 there (sd_notify).
        watchdog: Watchdog = "watchdog", default "", sample "";
        /// What counts as a failure, and what a service that failed for good does to the others.
        failure: Failure = "failure", default "", sample "";
        /// Its environment. USER, HOME, HOSTNAME, PATH and TERM are always set.
        /// Further keys are variables: `DATABASE_NAME = "my_db"`.
        /// If several set the same variable, the last one of these does: `keep-env`, what is always set, `re-export`,
        /// `load` in its order, `secrets`, `additional`, further keys.
        environment: EnvironmentTable = "environment", default "", sample "";
        /// How it is stopped.
        termination: Termination = "termination", default "", sample "";
        /// Commands that run beside it, as its user, in its directory and environment, with HORUST_SERVICE and
        /// HORUST_HOOK set. One at a time; a hook that fails is reported.
        hooks: Hooks = "hooks", default "", sample "";
        /// What becomes of its output on the way to `stdout` and `stderr`. Without any of this it goes straight there.
        log: Log = "log", default "", sample "";
        /// Resource limits as prlimit(1) names them, of each process. A number is both limits, `"soft:hard"` sets each.
        limits: Limits = "limits", default "", sample "";
        /// What it may use at most.
        resource_limit: ResourceLimit = "resource-limit" old "resource", default "", sample "";
    }
}

table! {
    /// An entry of `start-after`
    After {
        /// The service that is waited for.
        name: String = "name", default "required", sample r#""database""#;
        /// What has to be true of it: its program runs, it is ready, its health checks pass, or it is over: either way, with
        /// success, or after a failure for good.
        condition: Condition = "condition", default "ready", sample r#""healthy""#;
        /// If false, it is about the order only: what fails or does not exist is not waited for.
        required: bool = "required", default "true", sample "true";
    }
}

table! {
    /// `[restart]`
    Restart {
        /// Which ends it is run again after: none, failures only, or all.
        strategy: RestartStrategy = "strategy", default "never", sample r#""on-failure""#;
        /// The delay before the first restart after a failure.
        backoff: Duration = "backoff", default "0s", sample r#""1s""#;
        /// How many restarts in a row after failures. 0: none for `never`, no limit for the others.
        attempts: u32 = "attempts" old "trials" old "tentatives", default "0", sample "3";
        /// How the delay grows with each attempt: 1s 2s 3s, 1s 1s 1s, or 1s 2s 4s.
        growth: Growth = "growth", default "linear", sample r#""linear""#;
        /// The delay grows no longer than this.
        backoff_max: Duration = "backoff-max", default "5m", sample r#""5m""#;
        /// Varies the delay at random by up to this part of it, 0 to 1.
        jitter: Fraction = "jitter", default "0", sample "0.1";
        /// A run that was ready for this long makes the count of attempts start afresh.
        reset_after: Duration = "reset-after" old "healthy-after", default "10s", sample r#""10s""#;
        /// Hold back a service that ends successfully at once, again and again.
        throttle: bool = "throttle", default "true", sample "true";
        /// An older way to say what [readiness] says: `health` (the checks below pass), a command that exits with 0, or a
        /// file that exists.
        readiness: ReadyWhen = "readiness" old "rediness",
            default "health if there are checks", sample r#""health""#;
    }
}

table! {
    /// `[healthiness]`
    Healthiness {
        /// An HTTP HEAD request to this URL must be answered with 2xx. `unix:/run/sample.sock:/health` asks through a
        /// socket in the file system.
        http_endpoint: Endpoint = "http-endpoint", default "none", sample r#""http://localhost:8080/health""#;
        /// A connection to this host and port must be accepted.
        tcp: Address = "tcp", default "none", sample r#""127.0.0.1:8080""#;
        /// A connection to this socket in the file system must be accepted.
        unix_socket: SocketPath = "unix-socket", default "none", sample r#""/run/sample.sock""#;
        /// This file must exist. It is removed before each start.
        file_path: PathBuf = "file-path" | "file", default "none", sample r#""/run/sample.ready""#;
        /// This command must exit with 0. It runs as the service's user, in its directory and environment.
        command: Command = "command", default "none", sample r#""/bin/true""#;
        /// The pause between two rounds of checks.
        interval: Duration = "interval", default "1s", sample r#""1s""#;
        /// A check that takes longer has failed.
        timeout: Duration = "timeout", default "1s", sample r#""1s""#;
        /// The pause before the first check of a run.
        initial_delay: Duration = "initial-delay", default "0s", sample r#""0s""#;
        /// How many rounds in a row must pass before the service counts as healthy.
        success_threshold: NonZeroU32 = "success-threshold", default "1", sample "1";
        /// With more failed rounds in a row than this, the service is stopped and counts as failed.
        failure_threshold: u32 = "failure-threshold" | "max-failed", default "3", sample "3";
        /// What happens then: `restart` stops it, and the restart policy decides; `report` only says so.
        on_unhealthy: OnUnhealthy = "on-unhealthy", default "restart", sample r#""restart""#;
    }
}

table! {
    /// `[readiness]`
    Readiness {
        /// An HTTP HEAD request to this URL must be answered with 2xx. `unix:/run/sample.sock:/health` asks through a
        /// socket in the file system.
        http_endpoint: Endpoint = "http-endpoint", default "none", sample r#""unix:/run/sample.sock:/health""#;
        /// A connection to this host and port must be accepted.
        tcp: Address = "tcp", default "none", sample r#""127.0.0.1:8080""#;
        /// A connection to this socket in the file system must be accepted.
        unix_socket: SocketPath = "unix-socket", default "none", sample r#""/run/sample.sock""#;
        /// This file must exist. It is removed before each start.
        file_path: PathBuf = "file-path" | "file", default "none", sample r#""/run/sample.ready""#;
        /// This command must exit with 0. It runs as the service's user, in its directory and environment.
        command: Command = "command", default "none", sample r#""/bin/true""#;
        /// It says READY=1 by itself (sd_notify). It gets a NOTIFY_SOCKET for that.
        notify: bool = "notify", default "false", sample "true";
        /// It writes a newline to this descriptor, as programs made for s6 do.
        notify_fd: NotifyFd = "notify-fd", default "none", sample "3";
        /// It prints a line that this regular expression matches. Its output is captured for that (see [log]).
        log_line: Pattern = "log-line", default "none", sample r#"'listening on port \d+'"#;
        /// How long it may take from its start until it is ready (a oneshot: until it has finished). A service that
        /// takes longer is stopped and has failed.
        start_timeout: Duration = "start-timeout", default "none", sample r#""1m""#;
        /// The pause between two rounds of checks.
        interval: Duration = "interval", default "1s", sample r#""1s""#;
        /// A single check that takes longer has failed, and is made again.
        timeout: Duration = "timeout", default "1s", sample r#""1s""#;
        /// The pause before the first check of a run.
        initial_delay: Duration = "initial-delay", default "0s", sample r#""0s""#;
        /// How many rounds in a row must pass.
        success_threshold: NonZeroU32 = "success-threshold", default "1", sample "1";
    }
}

table! {
    /// `[watchdog]`
    Watchdog {
        /// A service that is ready and does not say WATCHDOG=1 for so long is stopped and has failed.
        timeout: Duration = "timeout", default "none", sample r#""30s""#;
    }
}

table! {
    /// `[failure]`
    Failure {
        /// These exit codes are successes, as 0 is.
        successful_exit_code: Codes = "successful-exit-code", default "[0]", sample "[0, 1, 255]";
        /// Only these exit codes are failures. Give this or `successful-exit-code`.
        exit_code: Codes = "exit-code", default "all but 0", sample r#""10,20""#;
        /// What to do once it has failed for good: nothing, stop everything, or stop the services that start after it.
        /// `restart-dependents`: whenever it has failed and is ready again, those are run again too.
        strategy: FailureStrategy = "strategy", default "ignore", sample r#""ignore""#;
        /// When to do that: once it has `given-up`, its restarts used up, or at `every-failure`.
        on: Occasion = "on", default "given-up", sample r#""given-up""#;
    }
}

table! {
    /// `[environment]`
    Environment {
        /// Pass on Horust's whole environment.
        keep_env: bool = "keep-env", default "false", sample "false";
        /// The opposite of `keep-env`: give one of them.
        clear: bool = "clear", default "true", sample "true";
        /// Pass on these of Horust's variables.
        re_export: Names = "re-export", default "none", sample r#"["TZ", "LANG"]"#;
        /// Files with lines NAME=value, read at each start. With a leading `-` a file may be missing. A relative path
        /// starts at Horust's own directory. A `$` in them is a dollar sign.
        load: Names = "load" | "env-file", default "none", sample r#"["-/etc/default/sample"]"#;
        /// Variables whose values stand in files, read by Horust at each start, without the line end. It never shows them.
        secrets: Secrets = "secrets", default "none", sample r#"{ DB_PASSWORD = "/run/secrets/db" }"#;
        /// More variables.
        additional: Variables = "additional", default "none", sample r#"{ RUST_LOG = "info" }"#;
    }
}

table! {
    /// `[termination]`
    Termination {
        /// Run this first. If it succeeds, the signal follows only once `wait` has passed; if it fails, at once.
        command: Command = "command", default "none", sample r#""/bin/true""#;
        /// The signal that asks it to end: a name or a number.
        signal: Signal = "signal", default "TERM", sample r#""TERM""#;
        /// Who gets the signal: its process `group`, its `main` process alone, or the whole `tree`. What is left of it
        /// once its main process has ended gets it in any case.
        scope: Scope = "scope", default "group", sample r#""group""#;
        /// How long to wait for its end. Then all that is left of it is killed.
        wait: Duration = "wait", default "timeout-before-sigkill of horust.toml, 5s", sample r#""5s""#;
        /// Stop this service if one of these has failed for good.
        die_if_failed: Names = "die-if-failed", default "none", sample r#"["database"]"#;
    }
}

table! {
    /// `[log]`
    Log {
        /// Read its output, line by line, also if nothing else here asks for that. False: never.
        capture: bool = "capture", default "true if anything else is set", sample "true";
        /// Lines as they are, with `name | ` before each, or as JSON objects with `ts`, `service`, `stream` and `msg`.
        /// Lines that are JSON objects stay so and get the fields that they lack.
        format: LogFormat = "format", default "plain", sample r#""prefix""#;
        /// The time before each line, in UTC: `"ms"` or `"us"` (or true for `"ms"`). JSON always has one.
        timestamp: Times = "timestamp", default "false", sample r#""ms""#;
        /// Go on in a new file before the output file grows larger than this: FILE, then FILE.1, FILE.2 and so on.
        rotate_size: Size = "rotate-size", default "never", sample r#""10MB""#;
        /// Go on in a new file with the first line after the output file has become this old.
        rotate_age: Duration = "rotate-age", default "never", sample r#""1day""#;
        /// How many files there may be, the one being written included. The oldest is removed.
        keep: NonZeroU32 = "keep", default "all", sample "5";
        /// Compress files that are complete: FILE.1 becomes FILE.1.gz.
        compress: bool = "compress", default "false", sample "true";
        /// Lines in a time. Further lines are dropped, and their number is told.
        rate_limit: PerTime = "rate-limit", default "none", sample r#""1000/s""#;
        /// How much of its latest output is kept in memory.
        buffer: Size = "buffer", default "1MiB", sample r#""1MiB""#;
    }
}

table! {
    /// `{ bounding = [...], ambient = [...] }`
    CapabilityTable {
        /// What it can have at all, whatever it executes.
        bounding: CapSet = "bounding", default "all", sample r#"["all", "-NET_RAW"]"#;
        /// What it has from the start.
        ambient: CapSet = "ambient", default "none", sample r#"["NET_BIND_SERVICE"]"#;
    }
}

table! {
    /// `[hooks]`
    Hooks {
        /// Before each start. If it fails, the start has failed.
        before_start: Command = "before-start", default "none", sample r#""/bin/true""#;
        /// Once it is ready.
        after_ready: Command = "after-ready", default "none", sample r#""/bin/true""#;
        /// Before it is asked to stop; the stop waits for it.
        before_stop: Command = "before-stop", default "none", sample r#""/bin/true""#;
        /// Once nothing of a run is left. What comes next waits for it.
        after_stop: Command = "after-stop", default "none", sample r#""/bin/true""#;
        /// After that, if the run has failed. HORUST_REASON says why.
        on_failure: Command = "on-failure", default "none", sample r#""/bin/true""#;
        /// How long each may take. Then it is killed, with all of its process group, and has failed.
        timeout: Duration = "timeout", default "30s", sample r#""30s""#;
    }
}

table! {
    /// `[limits]`
    Limits {
        /// Open files. Unlimited is the most that the kernel allows.
        nofile: LimitIn<Count> = "nofile", default "Horust's own", sample r#""1024:65536""#;
        /// Processes and threads of its user.
        nproc: LimitIn<Count> = "nproc", default "Horust's own", sample "4096";
        /// The size of a core dump. 0: none is written.
        core: LimitIn<Bytes> = "core", default "Horust's own", sample "0";
        /// Processor time.
        cpu: LimitIn<Seconds> = "cpu", default "Horust's own", sample r#""1h""#;
        /// Data segment and heap.
        data: LimitIn<Bytes> = "data", default "Horust's own", sample r#""1GiB""#;
        /// The size of a file that it writes.
        fsize: LimitIn<Bytes> = "fsize", default "Horust's own", sample r#""unlimited""#;
        /// Memory that is kept from being swapped.
        memlock: LimitIn<Bytes> = "memlock", default "Horust's own", sample r#""64KiB""#;
        /// Address space.
        address_space: LimitIn<Bytes> = "as", default "Horust's own", sample r#""4GiB""#;
        /// Resident memory. Linux ignores it; see [resource-limit].
        rss: LimitIn<Bytes> = "rss", default "Horust's own", sample r#""1GiB""#;
        /// The main thread's stack.
        stack: LimitIn<Bytes> = "stack", default "Horust's own", sample r#""8MiB:64MiB""#;
        /// File locks.
        locks: LimitIn<Count> = "locks", default "Horust's own", sample r#""unlimited""#;
        /// Queued signals of its user.
        sigpending: LimitIn<Count> = "sigpending", default "Horust's own", sample "4096";
        /// POSIX message queues of its user.
        msgqueue: LimitIn<Bytes> = "msgqueue", default "Horust's own", sample r#""800KiB""#;
        /// How far it may raise its priority by itself: 20 minus the least nice value.
        nice: LimitIn<Count> = "nice", default "Horust's own", sample "0";
        /// The highest real-time priority that it may take.
        rtprio: LimitIn<Count> = "rtprio", default "Horust's own", sample "0";
        /// Real-time processor time without a pause.
        rttime: LimitIn<Microseconds> = "rttime", default "Horust's own", sample r#""200ms""#;
    }
}

table! {
    /// `[resource-limit]`: for the service and all that it starts, together.
    ResourceLimit {
        /// How much processor time it gets, in processors: 0.5 is half of one, 2 is two.
        cpu: Processors = "cpu", default "no limit", sample "0.5";
        /// How much memory it may use. If it needs more, all of it is killed, and reported as out of memory. Swap is
        /// not given to it.
        memory: Size = "memory", default "no limit", sample r#""100MiB""#;
        /// How many processes and threads it may have at once.
        pids_max: NonZeroU32 = "pids-max", default "no limit", sample "100";
        /// Where there is no cgroup v2 that Horust may write to, do not start it. Otherwise Horust looks at its memory
        /// every second, does not enforce the other two, and says so when it starts.
        strict: bool = "strict", default "false", sample "false";
    }
}

read_tables!(
    After,
    Restart,
    Readiness,
    Healthiness,
    Watchdog,
    Failure,
    Termination,
    Hooks,
    Log,
    CapabilityTable,
    Limits,
    ResourceLimit,
    Control,
    Shutdown
);

table! {
    /// `[control]`: how `horust status` and the other verbs, browsers and monitors reach Horust.
    Control {
        /// Where it is, or whether there is one. By default it is `/var/run/horust/horust-PID.sock`;
        /// `--uds-folder-path` names another directory.
        socket: SocketAt = "socket", default "true", sample r#""/run/horust.sock""#;
        /// The group whose members may use it, beside root and Horust's own user.
        group: IdOrName = "group", default "none", sample r#""adm""#;
        /// An address with nothing but `/metrics`, `/livez`, `/readyz` and `/startupz`, for Prometheus and for whoever
        /// runs the container. `true` is `127.0.0.1:9090`. The control socket and `web-server` have them as well.
        metrics: ListenAt<9090> = "metrics", default "false", sample r#""0.0.0.0:9090""#;
        /// A file with the token that the page at `web-server` asks for before it starts or stops anything: at least
        /// 16 characters. Without it Horust makes one up at each start: `horust-PID.token` beside the control socket,
        /// for those who may use the socket.
        token_file: PathBuf = "token-file", default "a new token", sample r#""/run/secrets/horust-token""#;
        /// Who only looks needs the token as well. A `web-server` that others than this machine can reach has to have
        /// it so.
        token_for_reading: bool = "token-for-reading", default "false", sample "true";
        /// Names under which browsers reach `web-server`, beside `localhost` and addresses. Others are refused: any
        /// web page could have a name of its own lead to this address.
        hosts: Names = "hosts", default "[]", sample r#"["services.example.com"]"#;
    }
}

table! {
    /// `[shutdown]`: how all of it ends.
    Shutdown {
        /// What happens to the machine once all has stopped, if Horust is its init: not that of a container, where this
        /// does nothing. `exit` only ends, which the kernel takes for a crash. Ctrl-Alt-Delete stops all services and
        /// reboots, whatever stands here but `exit`.
        when_init: WhenInit = "when-init", default "poweroff", sample r#""poweroff""#;
    }
}

table! {
    /// `horust.toml`
    HorustToml {
        /// A page in the browser to look at and to steer the services, and the API behind it. `true` is
        /// `127.0.0.1:8080`. The output of all services is captured for it, unless they say `capture = false`.
        /// See docs/web.md for who may do what there.
        web_server: ListenAt<8080> = "web-server", default "false", sample "true";
        /// How long a service may take to end once it was asked to, unless it has a `wait` of its own.
        timeout_before_sigkill: Duration = "timeout-before-sigkill", default "5s", sample r#""5s""#;
        /// Exit with 101 if any service failed for good by itself.
        unsuccessful_exit_finished_failed: bool = "unsuccessful-exit-finished-failed", default "false", sample "false";
        /// How verbs, browsers and monitors reach Horust.
        control: Control = "control", default "", sample "";
        /// How all of it ends.
        shutdown: Shutdown = "shutdown", default "", sample "";
        /// What holds for every service: any key or table of a service file, but for `name` and `command`. A file
        /// `_defaults.toml` beside the services overrides it, a service's own file overrides both.
        defaults: Defaults = "defaults", default "", sample "";
    }
}

read_tables!(HorustToml);

/// `[defaults]`: the keys of a service file, but for those that make no sense for several services.
#[derive(Clone, Debug, Default)]
pub struct Defaults(pub Main);

impl Read for Defaults {
    const TYPE: &'static str = "a table";
    const SHAPE: Shape = Shape::Table(Main::KEYS);
    fn read(value: DeValue<'_>, span: Span, cx: &mut Cx<'_>) -> Option<Self> {
        entries::<Self>(value, span, cx).map(|entries| Main::defaults(entries, cx))
    }
}

/// `[environment]`: its declared keys, and every other key as a variable.
#[derive(Clone, Debug, Default)]
pub struct EnvironmentTable {
    /// The declared keys.
    pub keys: Environment,
    /// `KEY = "value"`.
    pub direct: Vec<(String, String)>,
}

impl Read for EnvironmentTable {
    const TYPE: &'static str = "a table";
    const SHAPE: Shape = Shape::Open(Environment::KEYS, "[A-Za-z0-9_]+", &Shape::Text);
    fn read(value: DeValue<'_>, span: Span, cx: &mut Cx<'_>) -> Option<Self> {
        let mut table = EnvironmentTable::default();
        for (key, value) in entries::<Self>(value, span, cx)? {
            let Err((key, value)) = put(&mut table.keys, key, value, cx) else { continue };
            if is_variable(key.get_ref()) {
                table.direct.extend(variable(key, value, cx));
            } else {
                unknown(&key, Environment::KEYS, cx);
            }
        }
        table.warn_of_masked(cx);
        Some(table)
    }
    /// A variable replaces the one of its name, however each of them is written.
    fn fill(&mut self, weaker: &Self) {
        let names: HashSet<&str> = self.plain().chain(self.secrets()).collect();
        let mut weaker = weaker.clone();
        let lists = [weaker.keys.additional.as_mut().map(|at| &mut at.value.0), Some(&mut weaker.direct)];
        lists.into_iter().flatten().for_each(|list| list.retain(|(name, _)| !names.contains(name.as_str())));
        let secrets = weaker.keys.secrets.as_mut().map(|at| &mut at.value.0);
        secrets.into_iter().for_each(|list| list.retain(|(name, _)| !names.contains(name.as_str())));
        self.keys.inherit(&weaker.keys);
        self.direct.append(&mut weaker.direct);
    }
}

impl EnvironmentTable {
    fn plain(&self) -> impl Iterator<Item = &str> {
        let additional = self.keys.additional.iter().flat_map(|at| &at.value.0);
        additional.chain(&self.direct).map(|(name, _)| name.as_str())
    }

    fn secrets(&self) -> impl Iterator<Item = &str> {
        self.keys.secrets.iter().flat_map(|at| &at.value.0).map(|(name, _)| name.as_str())
    }

    fn warn_of_masked(&self, cx: &mut Cx<'_>) {
        let Some(secrets) = &self.keys.secrets else { return };
        let plain: HashSet<&str> = self.plain().collect();
        for name in self.secrets().filter(|name| plain.contains(name)) {
            let warning = secrets.warning(format!("`{name}` is also a plain variable, which replaces the secret"));
            cx.push(warning.help("keep one of them"));
        }
    }
}

/// Whether a key of `[environment]` is meant as a variable, and not as a misspelled key.
fn is_variable(key: &str) -> bool {
    let shaped = key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let known = || Environment::KEYS.iter().flat_map(Key::spellings);
    shaped && (key.bytes().any(|b| b.is_ascii_uppercase()) || closest(&normal(key), known()).is_none())
}

/// Keys of the first Horust that have moved into a table: (old key, table, key).
pub const MOVED: &[(&str, &str, &str)] = &[("restart-strategy", "restart", "strategy")];

impl Main {
    /// Reads a whole service file. The keys of a table `[service]` are main keys too.
    pub fn read(entries: DeTable<'_>, cx: &mut Cx<'_>) -> Main {
        let mut main = Main::default();
        for (key, value) in entries {
            let span = value.span();
            match value.into_inner() {
                DeValue::Table(inner) if key.get_ref() == "service" => {
                    inner.into_iter().for_each(|(key, value)| main.entry(key, value, cx));
                }
                value => main.entry(key, Spanned::new(span, value), cx),
            }
        }
        main
    }

    /// Reads keys that several services inherit.
    pub fn defaults(entries: DeTable<'_>, cx: &mut Cx<'_>) -> Defaults {
        let mut main = Main::read(entries, cx);
        let refused = [
            ("name", main.name.take().map(|at| at.place.span)),
            ("command", main.command.take().map(|at| at.place.span)),
        ];
        for (key, span) in refused.into_iter().filter_map(|(key, span)| Some((key, span?))) {
            let error = cx.error(span, format!("`{key}` can't be a default: each service has its own"));
            cx.push(error.help(format!("move `{key}` into the file of the service that it is meant for")));
        }
        Defaults(main)
    }

    fn entry(&mut self, key: Spanned<DeString<'_>>, value: Spanned<DeValue<'_>>, cx: &mut Cx<'_>) {
        let Err((key, value)) = put(self, key, value, cx) else { return };
        let span = Span::from(key.span());
        let Some((old, table, name)) = MOVED.iter().find(|(old, ..)| *old == normal(key.get_ref())) else {
            return unknown(&key, Main::KEYS, cx);
        };
        let message = format!("`{old}` is an old spelling of `{name}` in the table [{table}]");
        cx.push(cx.warning(span, message).label(format!("write `{name}` below [{table}]")));
        let restart = self.restart.get_or_insert_with(|| cx.at(Restart::default(), span));
        let _ = put(&mut restart.value, Spanned::new(key.span(), DeString::from(*name)), value, cx);
    }
}
