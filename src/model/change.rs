//! What differs between two versions of a service, key by key, and what it takes for each to come into force. Every
//! structure is taken apart without `..`: a new field that is forgotten here does not compile.

use super::{
    Environment, FailurePolicy, Health, Hook, Hooks, Log, Origin, Probe, Process, Readiness, ResourceLimit, Restart,
    Rotation, Rounds, ServiceSpec, Signs, Termination,
};
use std::borrow::Cow;
use std::mem::discriminant;

/// What it takes for a changed key to come into force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// Nothing: Horust goes by the new value from then on.
    Live,
    /// Another run: it is part of what a process is started with.
    Restart,
}

/// A key that has another value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// As in a service file, with its table: `restart.backoff`.
    pub key: Cow<'static, str>,
    /// What it takes.
    pub effect: Effect,
}

/// The keys whose values differ, in the order of a service file. Where it was defined does not count.
pub fn changes(old: &ServiceSpec, new: &ServiceSpec) -> Vec<Change> {
    let mut differ = Differ { all: false, changes: Vec::new() };
    differ.service(old, new);
    differ.changes
}

/// Every key that [`changes`] can tell of. Names of variables and of limits are not among them.
pub fn every_key() -> Vec<Change> {
    let mut differ = Differ { all: true, changes: Vec::new() };
    let nothing = ServiceSpec::new("", Vec::new());
    differ.service(&nothing, &nothing);
    differ.changes
}

struct Differ {
    /// What is the same counts, too.
    all: bool,
    changes: Vec<Change>,
}

/// The keys of a table of probes.
struct ProbeKeys {
    http_endpoint: &'static str,
    tcp: &'static str,
    unix_socket: &'static str,
    file_path: &'static str,
    command: &'static str,
    interval: &'static str,
    timeout: &'static str,
    initial_delay: &'static str,
    success_threshold: &'static str,
}

const READINESS: ProbeKeys = ProbeKeys {
    http_endpoint: "readiness.http-endpoint",
    tcp: "readiness.tcp",
    unix_socket: "readiness.unix-socket",
    file_path: "readiness.file-path",
    command: "readiness.command",
    interval: "readiness.interval",
    timeout: "readiness.timeout",
    initial_delay: "readiness.initial-delay",
    success_threshold: "readiness.success-threshold",
};

const HEALTHINESS: ProbeKeys = ProbeKeys {
    http_endpoint: "healthiness.http-endpoint",
    tcp: "healthiness.tcp",
    unix_socket: "healthiness.unix-socket",
    file_path: "healthiness.file-path",
    command: "healthiness.command",
    interval: "healthiness.interval",
    timeout: "healthiness.timeout",
    initial_delay: "healthiness.initial-delay",
    success_threshold: "healthiness.success-threshold",
};

impl Differ {
    fn note(&mut self, key: impl Into<Cow<'static, str>>, effect: Effect, differs: bool) {
        let key = key.into();
        // Two streams share most of the keys about their files.
        if (differs || self.all) && !self.changes.iter().any(|change| change.key == key) {
            self.changes.push(Change { key, effect });
        }
    }

    fn live<T: PartialEq>(&mut self, key: &'static str, old: &T, new: &T) {
        self.note(key, Effect::Live, old != new);
    }

    fn restart<T: PartialEq>(&mut self, key: &'static str, old: &T, new: &T) {
        self.note(key, Effect::Restart, old != new);
    }

    fn service(&mut self, old: &ServiceSpec, new: &ServiceSpec) {
        let ServiceSpec {
            // It is by this that the two belong together.
            name: _,
            origin: Origin { file: _, line: _ },
            command,
            kind,
            autostart,
            working_directory,
            start_delay,
            start_after,
            shutdown_after,
            stdout,
            stderr,
            log,
            process,
            signal_rewrite,
            required,
            restart,
            readiness,
            start_timeout,
            health,
            watchdog,
            failure,
            environment,
            termination,
            hooks,
        } = old;
        self.restart("command", command, &new.command);
        self.restart("kind", kind, &new.kind);
        self.live("autostart", autostart, &new.autostart);
        self.restart("working-directory", working_directory, &new.working_directory);
        self.live("start-delay", start_delay, &new.start_delay);
        self.live("start-after", start_after, &new.start_after);
        self.live("shutdown-after", shutdown_after, &new.shutdown_after);
        self.restart("stdout", stdout, &new.stdout);
        self.restart("stderr", stderr, &new.stderr);
        self.process(process.as_deref(), new.process.as_deref());
        self.live("signal-rewrite", signal_rewrite, &new.signal_rewrite);
        self.live("required", required, &new.required);
        self.restarts(restart, &new.restart);
        // That it is ready once it is healthy need not be written down if there are checks.
        let by_health = matches!(readiness, Readiness::Health) != matches!(new.readiness, Readiness::Health);
        self.note("restart.readiness", Effect::Live, by_health && health.is_some() == new.health.is_some());
        self.signs(readiness.signs(), new.readiness.signs());
        self.live("readiness.start-timeout", start_timeout, &new.start_timeout);
        self.health(health.as_deref(), new.health.as_deref());
        // The process was told how often it has to be heard of.
        self.restart("watchdog.timeout", watchdog, &new.watchdog);
        self.failure(failure, &new.failure);
        self.environment(environment, &new.environment);
        self.termination(termination, &new.termination);
        self.hooks(hooks.as_deref(), new.hooks.as_deref());
        self.log(log.as_deref(), new.log.as_deref());
    }

    fn process(&mut self, old: Option<&Process>, new: Option<&Process>) {
        let nothing = Process::default();
        let Process {
            user,
            group,
            supplementary_groups,
            umask,
            nice,
            oom_score_adj,
            no_new_privileges,
            capabilities,
            limits,
            resources,
        } = old.unwrap_or(&nothing);
        let new = new.unwrap_or(&nothing);
        self.restart("user", user, &new.user);
        self.restart("group", group, &new.group);
        self.restart("supplementary-groups", supplementary_groups, &new.supplementary_groups);
        self.restart("umask", umask, &new.umask);
        self.restart("nice", nice, &new.nice);
        self.restart("oom-score-adj", oom_score_adj, &new.oom_score_adj);
        self.restart("no-new-privileges", no_new_privileges, &new.no_new_privileges);
        self.restart("capabilities", capabilities, &new.capabilities);
        let names = limits.iter().chain(&new.limits).map(|(name, _)| *name);
        for name in names {
            let one = |limits: &[(&'static str, super::Limit)]| limits.iter().find(|(n, _)| *n == name).copied();
            self.note(format!("limits.{name}"), Effect::Restart, one(limits) != one(&new.limits));
        }
        self.resources(resources.as_ref(), new.resources.as_ref());
    }

    fn resources(&mut self, old: Option<&ResourceLimit>, new: Option<&ResourceLimit>) {
        let nothing = ResourceLimit::default();
        let ResourceLimit { cpu, memory, pids_max, strict } = old.unwrap_or(&nothing);
        let new = new.unwrap_or(&nothing);
        self.restart("resource-limit.cpu", cpu, &new.cpu);
        self.restart("resource-limit.memory", memory, &new.memory);
        self.restart("resource-limit.pids-max", pids_max, &new.pids_max);
        self.restart("resource-limit.strict", strict, &new.strict);
    }

    fn restarts(&mut self, old: &Restart, new: &Restart) {
        let Restart { strategy, backoff, attempts, growth, backoff_max, jitter, reset_after, throttle } = old;
        self.live("restart.strategy", strategy, &new.strategy);
        self.live("restart.backoff", backoff, &new.backoff);
        self.live("restart.attempts", attempts, &new.attempts);
        self.live("restart.growth", growth, &new.growth);
        self.live("restart.backoff-max", backoff_max, &new.backoff_max);
        self.live("restart.jitter", jitter, &new.jitter);
        self.live("restart.reset-after", reset_after, &new.reset_after);
        self.live("restart.throttle", throttle, &new.throttle);
    }

    fn signs(&mut self, old: Option<&Signs>, new: Option<&Signs>) {
        let nothing = Signs::default();
        let Signs { rounds, notify, notify_fd, log_line } = old.unwrap_or(&nothing);
        let new = new.unwrap_or(&nothing);
        self.rounds(&READINESS, rounds.as_ref(), new.rounds.as_ref());
        // What the process gets for it, and where its output goes, is decided at its start.
        self.restart("readiness.notify", notify, &new.notify);
        self.restart("readiness.notify-fd", notify_fd, &new.notify_fd);
        self.restart("readiness.log-line", log_line, &new.log_line);
    }

    fn rounds(&mut self, keys: &ProbeKeys, old: Option<&Rounds>, new: Option<&Rounds>) {
        let nothing = Rounds::default();
        let Rounds { probes, interval, timeout, initial_delay, success_threshold } = old.unwrap_or(&nothing);
        let new = new.unwrap_or(&nothing);
        for key in [keys.http_endpoint, keys.tcp, keys.unix_socket, keys.file_path, keys.command] {
            let is_it = |probe: &&Probe| probe_key(keys, probe) == key;
            let differs = !probes.iter().filter(is_it).eq(new.probes.iter().filter(is_it));
            self.note(key, Effect::Live, differs);
        }
        self.live(keys.interval, interval, &new.interval);
        self.live(keys.timeout, timeout, &new.timeout);
        self.live(keys.initial_delay, initial_delay, &new.initial_delay);
        self.live(keys.success_threshold, success_threshold, &new.success_threshold);
    }

    fn health(&mut self, old: Option<&Health>, new: Option<&Health>) {
        let nothing = Health::default();
        let Health { rounds, max_failed, on_unhealthy } = old.unwrap_or(&nothing);
        let new = new.unwrap_or(&nothing);
        self.rounds(&HEALTHINESS, Some(rounds), Some(&new.rounds));
        self.live("healthiness.failure-threshold", max_failed, &new.max_failed);
        self.live("healthiness.on-unhealthy", on_unhealthy, &new.on_unhealthy);
    }

    fn failure(&mut self, old: &FailurePolicy, new: &FailurePolicy) {
        let FailurePolicy { codes, strategy, every_failure } = old;
        let same_kind = discriminant(codes) == discriminant(&new.codes);
        let successful = |codes: &super::ExitCodes| matches!(codes, super::ExitCodes::Successful(_));
        let lists = |list: bool| codes != &new.codes && (!same_kind || successful(codes) == list);
        self.note("failure.successful-exit-code", Effect::Live, lists(true));
        self.note("failure.exit-code", Effect::Live, lists(false));
        self.live("failure.strategy", strategy, &new.strategy);
        self.live("failure.on", every_failure, &new.every_failure);
    }

    fn environment(&mut self, old: &Environment, new: &Environment) {
        let Environment { keep, re_export, load, secrets, additional } = old;
        self.restart("environment.keep-env", keep, &new.keep);
        self.restart("environment.re-export", re_export, &new.re_export);
        self.restart("environment.load", load, &new.load);
        self.restart("environment.secrets", secrets, &new.secrets);
        for (name, _) in additional.iter().chain(&new.additional) {
            // The last one of the same name counts.
            let value = |all: &[(String, String)]| all.iter().rfind(|(n, _)| n == name).cloned();
            self.note(format!("environment.{name}"), Effect::Restart, value(additional) != value(&new.additional));
        }
    }

    fn termination(&mut self, old: &Termination, new: &Termination) {
        let Termination { command, signal, scope, wait, die_if_failed } = old;
        self.live("termination.command", command, &new.command);
        self.live("termination.signal", signal, &new.signal);
        self.live("termination.wait", wait, &new.wait);
        self.live("termination.die-if-failed", die_if_failed, &new.die_if_failed);
        self.live("termination.scope", scope, &new.scope);
    }

    fn hooks(&mut self, old: Option<&Hooks>, new: Option<&Hooks>) {
        let nothing = Hooks { commands: Vec::new(), timeout: std::time::Duration::ZERO };
        let Hooks { commands, timeout } = old.unwrap_or(&nothing);
        let both = old.is_some() && new.is_some();
        let new = new.unwrap_or(&nothing);
        for (hook, key) in [
            (Hook::BeforeStart, "hooks.before-start"),
            (Hook::AfterReady, "hooks.after-ready"),
            (Hook::BeforeStop, "hooks.before-stop"),
            (Hook::AfterStop, "hooks.after-stop"),
            (Hook::OnFailure, "hooks.on-failure"),
        ] {
            let of = |hooks: &[(Hook, super::Command)]| hooks.iter().find(|(other, _)| *other == hook).cloned();
            self.note(key, Effect::Live, of(commands) != of(&new.commands));
        }
        self.note("hooks.timeout", Effect::Live, both && *timeout != new.timeout);
    }

    fn log(&mut self, old: Option<&Log>, new: Option<&Log>) {
        self.restart("log.capture", &old.is_some(), &new.is_some());
        let nothing = Log::default();
        let Log { format, timestamp, stdout, stderr, rate_limit, buffer } = old.unwrap_or(&nothing);
        let new = new.unwrap_or(&nothing);
        self.restart("log.format", format, &new.format);
        self.restart("log.timestamp", timestamp, &new.timestamp);
        self.rotation("stdout-rotate-size", stdout, &new.stdout);
        self.rotation("stderr-rotate-size", stderr, &new.stderr);
        self.restart("log.rate-limit", rate_limit, &new.rate_limit);
        self.restart("log.buffer", buffer, &new.buffer);
    }

    fn rotation(&mut self, size_key: &'static str, old: &Rotation, new: &Rotation) {
        let Rotation { size, age, keep, compress, stamp } = old;
        self.restart(size_key, size, &new.size);
        self.restart("log.rotate-age", age, &new.age);
        self.restart("log.keep", keep, &new.keep);
        self.restart("log.compress", compress, &new.compress);
        self.restart("stdout-should-append-timestamp-to-filename", stamp, &new.stamp);
    }
}

fn probe_key(keys: &ProbeKeys, probe: &Probe) -> &'static str {
    match probe {
        Probe::Http(_) | Probe::HttpUnix { .. } => keys.http_endpoint,
        Probe::Tcp(_) => keys.tcp,
        Probe::Unix(_) => keys.unix_socket,
        Probe::File(_) => keys.file_path,
        Probe::Command(_) => keys.command,
    }
}
