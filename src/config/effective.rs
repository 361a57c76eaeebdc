//! A service as Horust sees it, as a service file again: defaults filled in, variables replaced, all files merged. What is
//! printed loads to the same service. Secrets are left out: a value of a variable whose name says that it is one stands
//! there as that variable.

use super::schema::Main;
use super::table::{Key, Table};
use crate::model::{
    CapSet, Capabilities, Command, Environment, ExitCodes, FailurePolicy, FailureStrategy, Growth, Health, Hooks,
    IdOrName, Kind, Limit, Log, LogFormat, Need, OnUnhealthy, Output, Plan, Precision, Probe, Process, Readiness,
    ResourceLimit, Restart, RestartStrategy, Rotation, Rounds, Scope, ServiceId, ServiceSpec, Signal, Signs,
    Termination,
};
use humantime_serde::re::humantime;
use std::fmt::{Display, Write as _};
use std::path::Path;
use std::time::Duration;

/// Stands for a secret that is written into the file itself.
const HIDDEN: &str = "(hidden)";

/// Prints one service of a plan. `secrets` are variables of Horust's environment with their values, which are not to be
/// seen.
pub fn effective(plan: &Plan, spec: &ServiceSpec, secrets: &[(String, String)]) -> String {
    let mut page = Page { text: String::new(), table: Main::KEYS, plan, secrets };
    page.service(spec);
    page.text
}

/// Whether a variable of this name holds what nobody else should see.
pub fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let words =
        ["PASSWORD", "PASSWD", "PASSPHRASE", "SECRET", "SECRETS", "TOKEN", "CREDENTIAL", "CREDENTIALS", "APIKEY"];
    let short = ["PASS", "KEY", "PWD", "AUTH"];
    let mut parts = name.split('_');
    words.iter().any(|word| name.ends_with(word))
        || parts.any(|part| words.contains(&part))
        || name.rsplit_once('_').is_some_and(|(_, last)| short.contains(&last))
}

struct Page<'a> {
    text: String,
    /// The keys of the table that is being written, for the words of their defaults.
    table: &'static [Key],
    plan: &'a Plan,
    secrets: &'a [(String, String)],
}

impl Page<'_> {
    fn service(&mut self, spec: &ServiceSpec) {
        // Without `..`: a new field that is forgotten here does not compile.
        let ServiceSpec {
            name,
            origin,
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
        } = spec;
        let _ = writeln!(self.text, "# From {}", origin.file.display());
        self.key("command", self.command(command));
        self.key("name", self.string(name));
        self.key(
            "kind",
            quoted(match kind {
                Kind::Daemon => "daemon",
                Kind::Oneshot => "oneshot",
            }),
        );
        self.key("autostart", autostart);
        self.some("working-directory", working_directory.as_ref().map(|path| self.path(path)));
        self.key("start-delay", duration(*start_delay));
        self.key("start-after", self.needs(start_after));
        self.key("shutdown-after", self.services(shutdown_after));
        self.key("stdout", self.output(stdout));
        self.key("stderr", self.output(stderr));
        self.rotation(log.as_deref());
        self.process(process.as_deref().unwrap_or(&Process::default()));
        let pair = |(from, to): &(Signal, Option<Signal>)| {
            format!("{}:{}", signal_name(*from), to.map_or("0".to_owned(), signal_name))
        };
        self.key("signal-rewrite", quoted(&signal_rewrite.iter().map(pair).collect::<Vec<_>>().join(",")));
        self.key("required", required);
        // A oneshot has no [readiness]; it can only be asked in the older way.
        let old = if *kind == Kind::Oneshot { readiness.signs().and_then(|signs| signs.rounds.as_ref()) } else { None };
        self.restart(restart, matches!(readiness, Readiness::Health), old);
        let signs = readiness.signs().filter(|_| old.is_none());
        if signs.is_some() || start_timeout.is_some() {
            self.header("readiness");
            self.some("start-timeout", start_timeout.map(duration));
            signs.into_iter().for_each(|signs| self.signs(signs));
        }
        if let Some(health) = health {
            self.health(health);
        }
        if let Some(timeout) = watchdog {
            self.header("watchdog");
            self.key("timeout", duration(*timeout));
        }
        self.failure(failure);
        self.environment(environment);
        self.termination(termination);
        if let Some(hooks) = hooks {
            self.hooks(hooks);
        }
        self.limits(process.as_ref().map_or(&[], |process| &process.limits));
        if let Some(limits) = spec.resources() {
            self.resources(limits);
        }
        self.log(log.as_deref());
    }

    /// The keys about output files that are not in `[log]`.
    fn rotation(&mut self, log: Option<&Log>) {
        let size = |rotation: &Rotation| rotation.size.map(|size| size.to_string());
        self.some("stdout-rotate-size", log.and_then(|log| size(&log.stdout)));
        self.some("stderr-rotate-size", log.and_then(|log| size(&log.stderr)));
        self.key("stdout-should-append-timestamp-to-filename", log.is_some_and(|log| log.stdout.stamp));
    }

    fn log(&mut self, log: Option<&Log>) {
        self.header("log");
        self.key("capture", log.is_some());
        let Some(Log { format, timestamp, stdout, stderr: _, rate_limit, buffer }) = log else { return };
        self.key(
            "format",
            quoted(match format {
                LogFormat::Plain => "plain",
                LogFormat::Prefix => "prefix",
                LogFormat::Json => "json",
            }),
        );
        match timestamp {
            None => self.key("timestamp", false),
            Some(Precision::Milliseconds) => self.key("timestamp", quoted("ms")),
            Some(Precision::Microseconds) => self.key("timestamp", quoted("us")),
        }
        self.some("rotate-age", stdout.age.map(duration));
        self.some("keep", stdout.keep.map(|keep| keep.to_string()));
        self.key("compress", stdout.compress);
        self.some(
            "rate-limit",
            rate_limit.map(|r| quoted(&format!("{}/{}", r.lines, humantime::format_duration(r.per)))),
        );
        self.key("buffer", buffer);
    }

    fn process(&mut self, process: &Process) {
        let Process {
            user,
            group,
            supplementary_groups,
            umask,
            nice,
            oom_score_adj,
            no_new_privileges,
            capabilities,
            // Tables: `limits` and `resources` write them below the main keys.
            limits: _,
            resources: _,
        } = process;
        self.some("user", user.as_ref().map(|user| self.account(user)));
        self.some("group", group.as_ref().map(|group| self.account(group)));
        let accounts = |groups: &Vec<IdOrName>| list(groups.iter().map(|group| self.account(group)));
        self.some("supplementary-groups", supplementary_groups.as_ref().map(accounts));
        self.some("umask", umask.map(|mask| format!("0o{mask:03o}")));
        self.some("nice", nice.map(|nice| nice.to_string()));
        self.some("oom-score-adj", oom_score_adj.map(|score| score.to_string()));
        self.key("no-new-privileges", no_new_privileges);
        let set = |set: CapSet| list(set.words().iter().map(|word| quoted(word)));
        let sets = |Capabilities { bounding, ambient }: Capabilities| match bounding == ambient {
            true => set(bounding),
            false => format!("{{ bounding = {}, ambient = {} }}", set(bounding), set(ambient)),
        };
        self.some("capabilities", capabilities.map(sets));
    }

    fn limits(&mut self, limits: &[(&'static str, Limit)]) {
        if limits.is_empty() {
            return;
        }
        let one = |value: u64| if value == u64::MAX { "unlimited".to_owned() } else { value.to_string() };
        self.header("limits");
        for (name, Limit { soft, hard }) in limits {
            self.key(name, quoted(&format!("{}:{}", one(*soft), one(*hard))));
        }
    }

    fn resources(&mut self, limits: &ResourceLimit) {
        let ResourceLimit { cpu, memory, pids_max, strict } = limits;
        self.header("resource-limit");
        self.some("cpu", cpu.map(|thousandths| (f64::from(thousandths) / 1000.0).to_string()));
        self.some("memory", memory.map(|bytes| bytes.to_string()));
        self.some("pids-max", pids_max.map(|pids| pids.to_string()));
        self.key("strict", strict);
    }

    fn restart(&mut self, restart: &Restart, by_health: bool, asked: Option<&Rounds>) {
        let Restart { strategy, backoff, attempts, growth, backoff_max, jitter, reset_after, throttle } = restart;
        self.header("restart");
        self.key(
            "strategy",
            quoted(match strategy {
                RestartStrategy::Never => "never",
                RestartStrategy::OnFailure => "on-failure",
                RestartStrategy::Always => "always",
            }),
        );
        self.key("backoff", duration(*backoff));
        self.key("attempts", attempts);
        self.key(
            "growth",
            quoted(match growth {
                Growth::Linear => "linear",
                Growth::Constant => "constant",
                Growth::Exponential => "exponential",
            }),
        );
        self.key("backoff-max", duration(*backoff_max));
        self.key("jitter", jitter);
        self.key("reset-after", duration(*reset_after));
        self.key("throttle", throttle);
        let probe = asked.and_then(|rounds| rounds.probes.first());
        let readiness = match probe {
            Some(Probe::File(path)) => Some(self.path(path)),
            Some(Probe::Command(command)) => Some(self.command(command)),
            Some(Probe::Http(_) | Probe::HttpUnix { .. } | Probe::Tcp(_) | Probe::Unix(_)) | None => None,
        };
        self.some("readiness", readiness.or_else(|| by_health.then(|| quoted("health"))));
    }

    fn signs(&mut self, signs: &Signs) {
        let Signs { rounds, notify, notify_fd, log_line } = signs;
        self.key("notify", notify);
        self.some("notify-fd", notify_fd.map(|number| number.to_string()));
        self.some("log-line", log_line.as_ref().map(|pattern| self.string(pattern)));
        rounds.iter().for_each(|rounds| self.rounds(rounds));
    }

    fn health(&mut self, health: &Health) {
        let Health { rounds, max_failed, on_unhealthy } = health;
        self.header("healthiness");
        self.rounds(rounds);
        self.key("failure-threshold", max_failed);
        self.key(
            "on-unhealthy",
            quoted(match on_unhealthy {
                OnUnhealthy::Restart => "restart",
                OnUnhealthy::Report => "report",
            }),
        );
    }

    fn rounds(&mut self, rounds: &Rounds) {
        let Rounds { probes, interval, timeout, initial_delay, success_threshold } = rounds;
        for probe in probes {
            match probe {
                Probe::Http(url) => self.key("http-endpoint", self.string(url)),
                Probe::HttpUnix { socket, path } => {
                    self.key("http-endpoint", self.string(&format!("unix:{}:{path}", socket.display())));
                }
                Probe::Tcp(address) => self.key("tcp", self.string(address)),
                Probe::Unix(path) => self.key("unix-socket", self.path(path)),
                Probe::File(path) => self.key("file-path", self.path(path)),
                Probe::Command(command) => self.key("command", self.command(command)),
            }
        }
        self.key("interval", duration(*interval));
        self.key("timeout", duration(*timeout));
        self.key("initial-delay", duration(*initial_delay));
        self.key("success-threshold", success_threshold);
    }

    fn failure(&mut self, failure: &FailurePolicy) {
        let FailurePolicy { codes, strategy, every_failure } = failure;
        self.header("failure");
        match codes {
            ExitCodes::Successful(codes) => self.key("successful-exit-code", list(codes)),
            ExitCodes::Failing(codes) => self.key("exit-code", list(codes)),
        }
        self.key(
            "strategy",
            quoted(match strategy {
                FailureStrategy::Ignore => "ignore",
                FailureStrategy::Shutdown => "shutdown",
                FailureStrategy::KillDependents => "kill-dependents",
                FailureStrategy::RestartDependents => "restart-dependents",
            }),
        );
        self.key("on", quoted(if *every_failure { "every-failure" } else { "given-up" }));
    }

    fn environment(&mut self, environment: &Environment) {
        let Environment { keep, re_export, load, secrets, additional } = environment;
        self.header("environment");
        self.key("keep-env", keep);
        self.key("re-export", list(re_export.iter().map(|name| self.string(name))));
        let load = load.iter().map(|(path, optional)| {
            let mark = if *optional { "-" } else { "" };
            self.string(&format!("{mark}{}", path.display()))
        });
        self.key("load", list(load.collect::<Vec<_>>()));
        if !secrets.is_empty() {
            self.text.push_str("\n[environment.secrets]\n");
        }
        for (name, path) in secrets {
            let _ = writeln!(self.text, "{} = {}", key_name(name), self.path(path));
        }
        if !additional.is_empty() {
            self.text.push_str("\n[environment.additional]\n");
        }
        for (name, value) in additional {
            let shown = self.string(value);
            // What came from Horust's environment stands there as its variable.
            let hide = is_secret(name) && shown == quoted(value) && !value.is_empty();
            let _ = writeln!(self.text, "{} = {}", key_name(name), if hide { quoted(HIDDEN) } else { shown });
        }
    }

    fn termination(&mut self, termination: &Termination) {
        let Termination { command, signal, scope, wait, die_if_failed } = termination;
        self.header("termination");
        self.some("command", command.as_ref().map(|command| self.command(command)));
        self.key("signal", quoted(&signal_name(*signal)));
        self.key("wait", duration(*wait));
        self.key("die-if-failed", self.services(die_if_failed));
        self.key(
            "scope",
            quoted(match scope {
                Scope::Group => "group",
                Scope::Main => "main",
                Scope::Tree => "tree",
            }),
        );
    }

    fn hooks(&mut self, hooks: &Hooks) {
        let Hooks { commands, timeout } = hooks;
        self.header("hooks");
        for (hook, command) in commands {
            self.key(&hook.to_string(), self.command(command));
        }
        self.key("timeout", duration(*timeout));
    }

    fn header(&mut self, table: &'static str) {
        let _ = writeln!(self.text, "\n[{table}]");
        self.table = Main::KEYS.iter().find(|key| key.name == table).map_or(&[], Key::keys);
    }

    fn key(&mut self, name: &str, value: impl Display) {
        let _ = writeln!(self.text, "{name} = {value}");
    }

    /// A key without which something holds that no value says: a comment tells it.
    fn some(&mut self, name: &str, value: Option<String>) {
        match value {
            Some(value) => self.key(name, value),
            None => {
                let default = self.table.iter().find(|key| key.name == name).map_or("none", |key| key.default);
                let _ = writeln!(self.text, "# {name}: {default}");
            }
        }
    }

    /// A string as a file has it, in which no variable is replaced but those of secrets.
    fn string(&self, text: &str) -> String {
        format!("\"{}\"", self.escaped(text))
    }

    fn escaped(&self, text: &str) -> String {
        // A short secret would be found in places where it is something else.
        let holds = |secret: &str| if secret.len() < 4 { text == secret } else { text.contains(secret) };
        let known = self.secrets.iter().filter(|(_, secret)| !secret.is_empty() && holds(secret));
        // The longest one: another may be a part of it.
        let secret = known.max_by_key(|(_, secret)| secret.len());
        match secret.and_then(|(name, secret)| Some((name, text.split_once(secret.as_str())?))) {
            Some((name, (before, after))) => format!("{}${{{name}}}{}", self.escaped(before), self.escaped(after)),
            None => escape(text, "$$"),
        }
    }

    fn path(&self, path: &Path) -> String {
        self.string(&path.to_string_lossy())
    }

    fn command(&self, command: &Command) -> String {
        // A secret that holds blanks may have been split into words, which no variable can stand for.
        let is_part = |word: &str| {
            let split = self.secrets.iter().filter(|(_, secret)| secret.contains(char::is_whitespace));
            split.into_iter().any(|(_, secret)| secret.split_whitespace().any(|part| part == word))
        };
        list(command.0.iter().map(|word| if is_part(word) { quoted(HIDDEN) } else { self.string(word) }))
    }

    fn output(&self, output: &Output) -> String {
        match output {
            Output::Stdout => quoted("STDOUT"),
            Output::Stderr => quoted("STDERR"),
            Output::Null => quoted("NULL"),
            Output::File(path) => self.path(path),
        }
    }

    fn account(&self, account: &IdOrName) -> String {
        match account {
            IdOrName::Id(id) => id.to_string(),
            IdOrName::Name(name) => self.string(name),
        }
    }

    fn needs(&self, needs: &[Need]) -> String {
        let name = |id: ServiceId| self.plan.services.get(id.index()).map_or("", |service| &service.name);
        let entries = needs.iter().map(|need| match *need == Need::ready(need.service) {
            true => quoted(name(need.service)),
            false => {
                let Need { service, condition, required } = need;
                let (name, condition) = (quoted(name(*service)), quoted(&condition.to_string()));
                format!("{{ name = {name}, condition = {condition}, required = {required} }}")
            }
        });
        list(entries)
    }

    fn services(&self, ids: &[ServiceId]) -> String {
        let names = ids.iter().filter_map(|id| self.plan.services.get(id.index()));
        list(names.map(|service| quoted(&service.name)))
    }
}

fn list(items: impl IntoIterator<Item = impl Display>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    format!("[{}]", items.join(", "))
}

fn duration(duration: Duration) -> String {
    quoted(&humantime::format_duration(duration).to_string())
}

/// A signal's name without `SIG`, or the number of one that has none.
fn signal_name(signal: Signal) -> String {
    let name = signal.to_string();
    name.strip_prefix("SIG").map_or_else(|| signal.number().to_string(), str::to_owned)
}

/// Variables are replaced in values, and not in keys.
fn key_name(name: &str) -> String {
    let bare = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
    if bare { name.to_owned() } else { format!("\"{}\"", escape(name, "$")) }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", escape(text, "$$"))
}

fn escape(text: &str, dollar: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '$' => out.push_str(dollar),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets() {
        for name in
            ["DB_PASSWORD", "PASSWORD", "password", "DB_PASS", "API_KEY", "GITHUB_TOKEN", "TOKEN_FILE", "DBSECRET"]
        {
            assert!(is_secret(name), "{name}");
        }
        for name in ["PWD", "KEYBOARD", "KEYCLOAK_URL", "PATH", "AUTHOR", "KEY", "BYPASS"] {
            assert!(!is_secret(name), "{name}");
        }
    }

    #[test]
    fn strings_of_files() {
        assert_eq!(quoted("a \"b\" \\ \n\u{7f}"), r#""a \"b\" \\ \n\u007F""#);
        assert_eq!(quoted("$A $1"), "\"$$A $$1\"");
        assert_eq!((key_name("A"), key_name("a.$b")), ("A".to_owned(), "\"a.$b\"".to_owned()));
    }
}
