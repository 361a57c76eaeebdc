//! From the keys of one file to one service: defaults are filled in, and what only makes sense together is checked.
//! References to other services stay names here; `graph` resolves them.

use super::after::Waits;
use super::compose::Lowering;
use super::diagnostic::{Place, Source, Span};
use super::health::{self, Watching};
use super::kinds::{ReadyWhen, ServiceName};
use super::log;
use super::process;
use super::schema::{self, Main};
use super::values::{At, Codes, Cx, Names, Occasion};
use crate::model::{
    Environment, ExitCodes, FailurePolicy, FailureStrategy, Growth, Hook, Hooks, Kind, Origin, Output, Restart,
    RestartStrategy, Scope, ServiceSpec, Signal, Termination,
};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// A service whose references are still names.
#[derive(Debug)]
pub struct Draft {
    /// Its file.
    pub source: Arc<Source>,
    /// Why it can't be used, if there are errors in its files: it takes part in finding further ones, and in nothing else.
    pub broken: Option<String>,
    /// All but its references.
    pub spec: ServiceSpec,
    /// Its keys as they were written, if somebody wants to look at them.
    pub written: Option<Box<Main>>,
    /// Where its name is written; the start of the file if it isn't.
    pub name_place: Place,
    /// `start-after`.
    pub start_after: Vec<Waits>,
    /// `shutdown-after`.
    pub shutdown_after: Vec<At<String>>,
    /// `die-if-failed`.
    pub die_if_failed: Vec<At<String>>,
}

/// The name of the service in this file, as long as nothing else says it.
pub fn stem(source: &Source) -> String {
    let name = source.path.file_name().unwrap_or_default().to_string_lossy();
    name.strip_suffix(".toml").unwrap_or(&name).to_owned()
}

/// Lowers one file. What is wrong is in `cx`; without a command, whose absence is an error, the service has none.
pub fn lower(mut main: Main, Lowering { wait, captured, .. }: Lowering, cx: &mut Cx<'_>) -> Draft {
    let process = process::lower(&mut main, cx);
    let At { value: name, place: name_place } = name(main.name, cx);
    let environment = main.environment.map_or_else(Environment::of_most, |at| Arc::new(environment(at, cx)));
    let (restart, ready_when) = restart(main.restart.map(|at| at.value).unwrap_or_default());
    let tables = health::Tables {
        healthiness: main.healthiness,
        readiness: main.readiness,
        ready_when,
        watchdog: main.watchdog,
        kind: main.kind.as_ref().map_or(Kind::Daemon, |at| at.value),
    };
    let Watching { readiness, start_timeout, health, watchdog } = health::lower(tables, cx);
    let failure = failure(main.failure.map(|at| at.value).unwrap_or_default(), cx);
    let termination = main.termination.map(|at| at.value).unwrap_or_default();
    let origin = main.command.as_ref().map_or_else(|| cx.place(Span::default()), |at| at.place.clone());
    let stdout = or(main.stdout, Output::Stdout);
    let stderr = or(main.stderr, Output::Stderr);
    let rotation =
        log::Keys { stdout: main.stdout_rotate_size, stderr: main.stderr_rotate_size, stamp: main.stdout_timestamp };
    let seeks = readiness.signs().is_some_and(|signs| signs.log_line.is_some());
    let wish = log::Wish { needed: seeks, useful: captured };
    let log = log::lower(main.log, &rotation, [&stdout, &stderr], wish, cx).map(Box::new);
    let spec = ServiceSpec {
        name,
        origin: Origin { file: origin.source.path.clone(), line: origin.line() },
        command: or(main.command, crate::model::Command(Vec::new())),
        kind: or(main.kind, Kind::Daemon),
        autostart: or(main.autostart, true),
        working_directory: main.working_directory.map(|at| at.value),
        start_delay: or(main.start_delay, Duration::ZERO),
        start_after: Vec::new(),
        shutdown_after: Vec::new(),
        stdout,
        stderr,
        log,
        process,
        signal_rewrite: main.signal_rewrite.map(|at| at.value.pairs).unwrap_or_default(),
        required: or(main.required, false),
        restart,
        readiness,
        start_timeout,
        health,
        watchdog,
        failure,
        environment,
        termination: Termination {
            command: termination.command.map(|at| at.value),
            scope: or(termination.scope, Scope::Group),
            signal: or(termination.signal, Signal::TERM),
            wait: or(termination.wait, wait),
            die_if_failed: Vec::new(),
        },
        hooks: main.hooks.and_then(|at| hooks(at.value, cx)),
    };
    Draft {
        broken: None,
        written: None,
        source: cx.source.clone(),
        spec,
        name_place,
        start_after: main.start_after.map(|at| at.value.0).unwrap_or_default(),
        shutdown_after: names(main.shutdown_after),
        die_if_failed: names(termination.die_if_failed),
    }
}

fn or<T>(field: Option<At<T>>, default: T) -> T {
    field.map_or(default, |at| at.value)
}

fn names(field: Option<At<Names>>) -> Vec<At<String>> {
    field.map(|at| at.value.0).unwrap_or_default()
}

/// Of two keys that exclude each other, the one in the file that overrides the other one's. What remains of both is a
/// mistake within one file.
pub(super) fn stronger<A, B>(one: &mut Option<At<A>>, other: &mut Option<At<B>>) {
    let layer = |place: &Place| place.source.layer;
    match (&one, &other) {
        (Some(a), Some(b)) if layer(&a.place) < layer(&b.place) => *one = None,
        (Some(a), Some(b)) if layer(&a.place) > layer(&b.place) => *other = None,
        _ => {}
    }
}

fn name(field: Option<At<ServiceName>>, cx: &mut Cx<'_>) -> At<String> {
    let written = field.is_some();
    let at = match field {
        Some(At { value: ServiceName(value), place }) => At { value, place },
        None => cx.at(stem(cx.source), Span::default()),
    };
    let name = &at.value;
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._@-".contains(&b);
    if name.is_empty() || !name.bytes().all(allowed) {
        let error = at.error(format!("`{name}` can't be the name of a service"));
        let help = "a name is made of letters, digits, `.`, `_`, `@` and `-`";
        cx.push(error.help(if written {
            help
        } else {
            "the name comes from the file; give another with `name = \"...\"`"
        }));
    }
    at
}

fn restart(table: schema::Restart) -> (Restart, Option<At<ReadyWhen>>) {
    let restart = Restart {
        strategy: or(table.strategy, RestartStrategy::Never),
        backoff: or(table.backoff, Duration::ZERO),
        attempts: or(table.attempts, 0),
        growth: or(table.growth, Growth::Linear),
        backoff_max: or(table.backoff_max, Duration::from_secs(300)),
        jitter: table.jitter.map_or(0.0, |at| at.value.0),
        reset_after: or(table.reset_after, Duration::from_secs(10)),
        throttle: or(table.throttle, true),
    };
    (restart, table.readiness)
}

fn failure(mut table: schema::Failure, cx: &mut Cx<'_>) -> FailurePolicy {
    stronger(&mut table.successful_exit_code, &mut table.exit_code);
    let codes = match (table.successful_exit_code, table.exit_code) {
        (Some(successful), Some(failing)) => {
            let error = failing.error("`exit-code` and `successful-exit-code` exclude each other");
            let error = error.label("the only failures").note(&successful.place, "the successes");
            cx.push(error.help("keep one of them"));
            ExitCodes::Failing(Vec::new())
        }
        (None, Some(At { value: Codes(codes), .. })) => ExitCodes::Failing(codes),
        (Some(At { value: Codes(mut codes), .. }), None) => {
            if !codes.contains(&0) {
                codes.push(0);
            }
            ExitCodes::Successful(codes)
        }
        (None, None) => ExitCodes::Successful(vec![0]),
    };
    let every_failure = table.on.is_some_and(|at| at.value == Occasion::EveryFailure);
    FailurePolicy { codes, strategy: or(table.strategy, FailureStrategy::Ignore), every_failure }
}

fn hooks(table: schema::Hooks, cx: &mut Cx<'_>) -> Option<Box<Hooks>> {
    if let Some(at) = table.timeout.as_ref().filter(|at| at.value.is_zero()) {
        cx.push(at.error("with a `timeout` of zero no hook can succeed"));
    }
    let all = [
        (Hook::BeforeStart, table.before_start),
        (Hook::AfterReady, table.after_ready),
        (Hook::BeforeStop, table.before_stop),
        (Hook::AfterStop, table.after_stop),
        (Hook::OnFailure, table.on_failure),
    ];
    let commands: Vec<_> = all.into_iter().filter_map(|(hook, command)| Some((hook, command?.value))).collect();
    let timeout = or(table.timeout, Duration::from_secs(30));
    (!commands.is_empty()).then(|| Box::new(Hooks { commands, timeout }))
}

fn environment(At { value: table, .. }: At<schema::EnvironmentTable>, cx: &mut Cx<'_>) -> Environment {
    let mut keys = table.keys;
    stronger(&mut keys.keep_env, &mut keys.clear);
    if let (Some(keep), Some(clear)) = (&keys.keep_env, &keys.clear)
        && keep.value == clear.value
    {
        let error = clear.error("`clear` and `keep-env` contradict each other");
        cx.push(error.note(&keep.place, "`keep-env` is its opposite").help("keep one of them"));
    }
    let load = names(keys.load).into_iter().map(|At { value, .. }| match value.strip_prefix('-') {
        Some(optional) => (PathBuf::from(optional), true),
        None => (PathBuf::from(value), false),
    });
    let mut additional = keys.additional.map(|at| at.value.0).unwrap_or_default();
    additional.extend(table.direct);
    Environment {
        keep: keys.keep_env.map(|at| at.value).or(keys.clear.map(|at| !at.value)).unwrap_or(false),
        re_export: names(keys.re_export).into_iter().map(|name| name.value).collect(),
        load: load.collect(),
        secrets: keys.secrets.map(|at| at.value.0).unwrap_or_default(),
        additional,
    }
}
