//! The verbs for a running Horust: what each asks for, and the code that it ends with.

use super::ExitCode;
use super::args::Format;
use super::client::{Client, Failure};
use super::events::{self, Events};
use super::logs::{self, Logs};
use super::output::{answer, complain};
use super::reload;
use super::show;
use super::tell;
use super::timeline::{self, Chart};
use crate::config;
use crate::control::wire::{Health, Horust, Service, Services};
use crate::model::Signal;
use clap::{Args, Subcommand, ValueEnum};
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How often a terminal is told who is waited for, ...
const LOOK: Duration = Duration::from_millis(250);
/// ... in a line no longer than this, ...
const WIDTH: usize = 79;
/// ... as the running Horust tells it when time is up: 504.
const TOO_LATE: u16 = 504;

/// Which Horust.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct At {
    /// The directory of its socket.
    pub folder: Option<PathBuf>,
    /// Its pid.
    pub pid: Option<u32>,
    /// Its socket.
    pub socket: Option<PathBuf>,
}

/// A verb, for whom, and how it was called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlOptions {
    /// Which Horust.
    pub at: At,
    /// What to do.
    pub verb: ControlVerb,
    /// Called by the name of Horust 0.1's client: `status NAME` then answers as that did.
    pub horustctl: bool,
}

/// What a running Horust can be asked for.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum ControlVerb {
    /// Show what services are doing: all, several, or one in full
    Status {
        /// Names, or patterns such as `web-*`
        names: Vec<String>,
        /// How to show it
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Start services, and what they need
    Start(Act),
    /// Stop services, and don't start them again
    Stop(Act),
    /// Stop services if they run, and start them again
    Restart(Act),
    /// Send a signal to the main processes of services
    Signal {
        /// A name or a number: HUP, SIGUSR1, 10
        #[arg(value_parser = signal)]
        signal: Signal,
        /// To whom
        #[command(flatten)]
        which: Which,
    },
    /// Show what services have written, as far as it is captured and in memory
    Logs(Logs),
    /// Show what has happened to services
    Events(Events),
    /// Wait until services are ready, or whatever else is asked for
    Wait {
        /// Which ones
        #[command(flatten)]
        which: Which,
        /// For what
        #[arg(long = "for", value_enum, default_value_t)]
        goal: Goal,
        /// How long at most
        #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = config::parse_duration)]
        timeout: Duration,
        /// How to show what has become of it
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Tell whether all services are well, by the exit code: for Docker's HEALTHCHECK
    Health {
        /// How to show it
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Tell why services are not what is wanted: these, or all that are not
    Why {
        /// Names, or patterns such as `web-*`
        names: Vec<String>,
        /// How to show it
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Read the configuration again, and do the least that makes the services run by it
    Reload {
        /// Only tell what would change
        #[arg(long)]
        dry_run: bool,
        /// How to show it
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Tell what a reload would change
    Plan {
        /// How to show it
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Show which services start after which, and what they are doing
    Graph(GraphOptions),
    /// Show how services came up after Horust had started, and which of them all others waited for
    Timeline {
        /// How to show it
        #[arg(long, value_enum, default_value_t)]
        format: Chart,
    },
    /// Print what is counted and measured, in the OpenMetrics format
    Metrics,
    /// Print what those who develop Horust ask for
    Debug {
        /// The latest steps of the supervisor, to be lived again by `cargo test --test sim journal`
        #[arg(value_enum)]
        what: Inside,
    },
    /// Stop all services, and end Horust
    Shutdown,
}

/// What is of interest inside of Horust.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Inside {
    /// The latest steps.
    Journal,
}

/// What of the graph to show, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
pub struct GraphOptions {
    /// Only these, and what they start after; names, or patterns such as `web-*`
    pub names: Vec<String>,
    /// A tree for people, the languages of Mermaid and Graphviz, or JSON
    #[arg(long, value_enum, default_value_t)]
    pub format: Drawing,
    /// Read service files, or directories of them, instead of asking a running Horust
    #[arg(long, value_name = "PATH")]
    pub services_path: Vec<PathBuf>,
    /// With --services-path: Horust's own settings [default: /etc/horust/horust.toml]
    #[arg(long, value_name = "FILE", requires = "services_path")]
    pub config_path: Option<PathBuf>,
}

/// How a graph is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Drawing {
    /// A tree.
    #[default]
    Text,
    /// A flowchart of Mermaid.
    Mermaid,
    /// Graphviz.
    Dot,
    /// For programs.
    Json,
}

/// What is waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Goal {
    /// A daemon runs and says that it is ready; a oneshot has finished
    #[default]
    Ready,
    /// Its health checks pass
    Healthy,
    /// It runs no more, and will not be started again
    Stopped,
    /// Its program runs, ready or not
    Running,
    /// It is over, and has not failed for good
    Finished,
    /// It has failed for good
    Failed,
}

/// What is done with which services, and whether to wait for it.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct Act {
    #[command(flatten)]
    which: Which,
    /// Wait until it is done: until they are ready, or have stopped
    #[arg(long)]
    wait: bool,
    /// How long to wait at most
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = config::parse_duration)]
    timeout: Duration,
    /// How to show what has become of it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Which services.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct Which {
    /// Names, or patterns such as `web-*`
    #[arg(required_unless_present = "all")]
    names: Vec<String>,
    /// All services
    #[arg(long, conflicts_with = "names")]
    all: bool,
}

impl Which {
    fn words(&self) -> String {
        if self.all { "*".to_owned() } else { self.names.join(",") }
    }
}

impl ControlVerb {
    /// Whether a program reads what is told.
    fn is_json(&self) -> bool {
        let format = match self {
            ControlVerb::Start(act) | ControlVerb::Stop(act) | ControlVerb::Restart(act) => act.format,
            ControlVerb::Status { format, .. }
            | ControlVerb::Wait { format, .. }
            | ControlVerb::Health { format }
            | ControlVerb::Why { format, .. }
            | ControlVerb::Reload { format, .. }
            | ControlVerb::Plan { format } => *format,
            ControlVerb::Logs(logs) => logs.format,
            ControlVerb::Events(events) => events.format,
            ControlVerb::Graph(graph) => return graph.format == Drawing::Json,
            ControlVerb::Timeline { format } => return *format == Chart::Json,
            ControlVerb::Signal { .. } | ControlVerb::Metrics | ControlVerb::Shutdown | ControlVerb::Debug { .. } => {
                Format::Text
            }
        };
        format == Format::Json
    }
}

fn signal(text: &str) -> Result<Signal, String> {
    Signal::parse(text).ok_or_else(|| "there is no such signal".to_owned())
}

/// Carries out a verb. What goes wrong is told as an answer would be: for people, or for programs.
pub fn run(options: &ControlOptions) -> ExitCode {
    let done = match &options.verb {
        ControlVerb::Graph(graph) if !graph.services_path.is_empty() => tell::graph_of_files(graph),
        _ => Client::find(&options.at).and_then(|client| carry_out(&client, options)),
    };
    done.unwrap_or_else(|Failure { code, text, .. }| {
        complain(&match options.verb.is_json() {
            true => {
                let text = show::json(&text);
                format!("{{\n  \"detail\": {},\n  \"exit_code\": {}\n}}\n", text.trim_end(), code.number())
            }
            false => format!("horust: {text}\n"),
        });
        code
    })
}

fn carry_out(client: &Client, options: &ControlOptions) -> Result<ExitCode, Failure> {
    match &options.verb {
        ControlVerb::Status { names, format: Format::Text } if options.horustctl && names.len() == 1 => {
            let services: Services = client.get("services", &[("names", &names.concat())])?;
            for service in services.services {
                answer(&show::as_horustctl(&names.concat(), &service));
            }
            Ok(ExitCode::Ok)
        }
        ControlVerb::Status { names, format } => status(client, names, *format),
        ControlVerb::Start(todo) => act(client, "start", todo, Goal::Ready),
        ControlVerb::Stop(todo) => act(client, "stop", todo, Goal::Stopped),
        ControlVerb::Restart(todo) => act(client, "restart", todo, Goal::Ready),
        ControlVerb::Logs(options) => logs::run(client, options),
        ControlVerb::Events(options) => events::run(client, options),
        ControlVerb::Wait { which, goal, timeout, format } => wait(client, &which.words(), *goal, *timeout, *format),
        ControlVerb::Health { format } => health(client, *format),
        ControlVerb::Signal { signal, which } => {
            let query = [("names", which.words()), ("signal", signal.number().to_string())];
            let query = query.each_ref().map(|(name, value)| (*name, value.as_str()));
            let services: Services = client.post("signal", &query)?;
            // Of a pattern nobody expects that all it fits are running. Who had run and has no pid any more is who died of it.
            let ran = |service: &Service| {
                service.pid.is_some() || matches!(service.state.as_str(), "Started" | "Running" | "InKilling")
            };
            let named = |service: &&Service| which.names.contains(&service.name) && !ran(service);
            let idle: Vec<&str> = services.services.iter().filter(named).map(|s| s.name.as_str()).collect();
            match idle.is_empty() {
                true => Ok(ExitCode::Ok),
                false => Err(Failure::new(ExitCode::NotRunning, format!("not running: {}", idle.join(", ")))),
            }
        }
        ControlVerb::Why { names, format } => tell::why(client, names, *format),
        ControlVerb::Graph(options) => tell::graph(client, options),
        ControlVerb::Timeline { format } => timeline::run(client, *format),
        ControlVerb::Reload { dry_run, format } => reload::reload(client, *dry_run, *format),
        ControlVerb::Plan { format } => reload::plan(client, *format),
        ControlVerb::Metrics => print(client, "/metrics"),
        ControlVerb::Debug { what: Inside::Journal } => print(client, "/v1/journal"),
        ControlVerb::Shutdown => client.post::<Horust>("shutdown", &[]).map(|_| ExitCode::Ok),
    }
}

fn print(client: &Client, path: &str) -> Result<ExitCode, Failure> {
    answer(&client.text(path)?);
    Ok(ExitCode::Ok)
}

fn act(client: &Client, verb: &str, act: &Act, goal: Goal) -> Result<ExitCode, Failure> {
    let words = act.which.words();
    let services: Services = client.post(verb, &[("names", &words)])?;
    if act.wait { wait(client, &words, goal, act.timeout, act.format) } else { done(&services, act.format) }
}

fn done(services: &Services, format: Format) -> Result<ExitCode, Failure> {
    if format == Format::Json {
        answer(&show::json(services));
    }
    Ok(ExitCode::Ok)
}

/// Waits. Who looks at a terminal meanwhile sees for whom.
fn wait(client: &Client, words: &str, goal: Goal, timeout: Duration, format: Format) -> Result<ExitCode, Failure> {
    let goal = match goal {
        Goal::Ready => "ready",
        Goal::Healthy => "healthy",
        Goal::Stopped => "stopped",
        Goal::Running => "running",
        Goal::Finished => "finished",
        Goal::Failed => "failed",
    };
    let (start, watched, mut shown) = (Instant::now(), io::stderr().is_terminal(), false);
    let ended = loop {
        let left = if shown { timeout.saturating_sub(start.elapsed()) } else { timeout };
        let for_now = if watched { left.min(LOOK) } else { left };
        let timeout_ms = for_now.as_millis().to_string();
        match client.get("wait", &[("names", words), ("for", goal), ("timeout_ms", &timeout_ms)]) {
            Err(failure) if watched && failure.status == TOO_LATE => {
                let missing = failure.text.split_once(": ").map_or("", |(_, missing)| missing);
                if for_now == left {
                    let text = format!("not {goal} within {}: {missing}", humantime::format_duration(timeout));
                    break Err(Failure { text, ..failure });
                }
                let line = format!("waiting for {} s: {missing}", start.elapsed().as_secs());
                complain(&format!("\r\x1b[K{}", line.chars().take(WIDTH).collect::<String>()));
                shown = true;
            }
            ended => break ended,
        }
    };
    if shown {
        complain("\r\x1b[K");
    }
    done(&ended?, format)
}

fn health(client: &Client, format: Format) -> Result<ExitCode, Failure> {
    let health: Health = client.get_whatever_the_status("health")?;
    match format {
        Format::Json => answer(&show::json(&health)),
        Format::Text => answer(&show::health(&health)),
    }
    Ok(if health.healthy { ExitCode::Ok } else { ExitCode::Failed })
}

fn status(client: &Client, names: &[String], format: Format) -> Result<ExitCode, Failure> {
    let words = names.join(",");
    let query = [("names", words.as_str())];
    let query = if names.is_empty() { &[][..] } else { &query[..] };
    let services: Services = client.get("services", query)?;
    match (format, services.services.as_slice()) {
        (Format::Json, _) => answer(&show::json(&services)),
        (Format::Text, [one]) if is_plain(names) => answer(&show::card(one, &logs::latest(client, &one.name))),
        (Format::Text, several) => answer(&show::table(several)),
    }
    // Who asks for one wants to know whether it runs.
    let one = services.services.first().filter(|_| is_plain(names));
    Ok(if one.is_none_or(Service::is_live) { ExitCode::Ok } else { ExitCode::NotRunning })
}

/// Whether one service was asked for, and by its name.
fn is_plain(names: &[String]) -> bool {
    matches!(names, [name] if !name.contains(['*', '?', ',']))
}
