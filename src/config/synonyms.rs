//! What other supervisors call things, so that whoever comes from one of them is told the key meant.

use super::table::normal;

/// A key, with its table if it has one, and what it is called elsewhere.
const KNOWN: &[(&str, &[&str])] = &[
    ("command", &["cmd", "exec", "execstart", "exec-start", "program", "run", "entrypoint", "script"]),
    ("start-after", &["after", "depends-on", "depends", "dependencies", "requires", "needs", "wants"]),
    ("working-directory", &["cwd", "workdir", "working-dir", "workingdirectory", "dir", "directory", "chdir"]),
    ("user", &["uid", "run-as", "runas", "username"]),
    ("stdout", &["stdout-logfile", "standardoutput", "output", "logfile", "log-file"]),
    ("stderr", &["stderr-logfile", "standarderror", "error-log"]),
    ("stdout-rotate-size", &["stdout-logfile-maxbytes", "logfile-maxbytes"]),
    ("stderr-rotate-size", &["stderr-logfile-maxbytes"]),
    ("log", &["logging", "logs"]),
    ("log.rotate-size", &["max-size", "maxsize"]),
    (
        "log.keep",
        &["max-file", "max-files", "stdout-logfile-backups", "stderr-logfile-backups", "logfile-backups", "backups"],
    ),
    ("log.rate-limit", &["logratelimitburst", "log-rate-limit-burst"]),
    ("autostart", &["enabled", "enable", "auto-start"]),
    ("kind", &["type"]),
    ("restart.strategy", &["autorestart", "restart-policy", "restartpolicy"]),
    ("restart.attempts", &["retries", "startretries", "max-restarts", "max-retries", "startlimitburst"]),
    ("restart.backoff", &["restartsec", "restart-delay", "restart-sec", "delay"]),
    ("environment", &["env", "environ", "vars", "variables"]),
    ("environment.load", &["env-file", "environmentfile", "dotenv"]),
    ("readiness", &["readinessprobe", "startupprobe"]),
    ("readiness.start-timeout", &["timeoutstartsec", "start-period", "startup-timeout", "timeout-up"]),
    ("readiness.notify", &["sd-notify", "notifyaccess", "notify-access"]),
    ("readiness.notify-fd", &["notification-fd", "ready-notification"]),
    ("readiness.log-line", &["ready-log-line"]),
    ("watchdog.timeout", &["watchdogsec", "watchdog-sec"]),
    ("hooks.before-start", &["execstartpre", "exec-start-pre", "pre-start", "prestart"]),
    ("hooks.after-ready", &["execstartpost", "exec-start-post", "post-start", "poststart"]),
    ("hooks.before-stop", &["pre-stop", "prestop"]),
    ("hooks.after-stop", &["execstoppost", "exec-stop-post", "post-stop", "poststop"]),
    ("hooks.on-failure", &["onfailure"]),
    ("termination.command", &["execstop", "exec-stop", "stop-command", "shutdown-command"]),
    ("termination.scope", &["killmode", "kill-mode", "stopasgroup", "killasgroup"]),
    ("healthiness", &["health", "healthcheck", "health-check", "liveness", "livenessprobe", "probe"]),
    ("healthiness.failure-threshold", &["unhealthy-threshold"]),
    ("termination.signal", &["stop-signal", "stopsignal", "kill-signal", "killsignal"]),
    ("termination.wait", &["stop-timeout", "stop-grace-period", "stopwaitsecs", "timeoutstopsec", "kill-timeout"]),
    ("failure.successful-exit-code", &["exitcodes", "successexitstatus"]),
];

/// The key that a word of another supervisor stands for.
pub fn meaning(word: &str) -> Option<&'static str> {
    let word = normal(word).to_ascii_lowercase();
    KNOWN.iter().find(|(_, others)| others.contains(&word.as_str())).map(|(key, _)| *key)
}

#[cfg(test)]
mod tests {
    use super::super::schema::Main;
    use super::super::table::Table;
    use super::*;

    #[test]
    fn they_mean_keys_that_there_are_and_are_none_themselves() {
        for (key, others) in KNOWN {
            let (table, name) = key.split_once('.').unwrap_or(("", key));
            let keys = Main::KEYS.iter().find(|key| key.name == table).map_or(Main::KEYS, |table| table.keys());
            assert!(keys.iter().any(|key| key.name == name), "{key}");
            for other in *others {
                assert!(Main::KEYS.iter().all(|key| key.spellings().all(|known| known != *other)), "{other}");
            }
        }
    }
}
