//! The arguments, declared once: parsing, `--help` and usage errors come from here. Nothing is carried out here.

use super::ExitCode;
use super::complete::Shell;
use super::control::{At, ControlOptions, ControlVerb};
use crate::config::{self, FileKind, Loaded};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, CommandFactory, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// An init and process supervisor for containers.
#[derive(Parser)]
#[command(name = "horust", version, disable_help_subcommand = true)]
#[command(subcommand_value_name = "VERB", subcommand_help_heading = "Verbs")]
struct Args {
    /// A directory of service files (*.toml) or one such file; may be given several times
    /// [default: /etc/horust/services]
    #[arg(long, value_name = "PATH")]
    services_path: Vec<PathBuf>,
    /// Horust's own settings [default: /etc/horust/horust.toml]
    #[arg(long, value_name = "FILE")]
    config_path: Option<PathBuf>,
    /// The directory of the control socket [default: /var/run/horust]
    #[arg(long, value_name = "DIR", global = true)]
    uds_folder_path: Option<PathBuf>,
    /// For verbs: the Horust with this pid, if there are several
    #[arg(long, value_name = "PID", global = true)]
    pid: Option<u32>,
    /// For verbs: the control socket itself
    #[arg(long, value_name = "SOCKET", global = true, conflicts_with_all = ["uds_folder_path", "pid"])]
    socket_path: Option<PathBuf>,
    /// Exit with 101 if any service failed for good
    #[arg(long)]
    unsuccessful_exit_finished_failed: bool,
    /// Start the valid services even if others are not
    #[arg(long)]
    skip_invalid: bool,
    /// Reload whenever one of these files has changed: for development
    #[arg(long)]
    watch: bool,
    /// Print a service file that explains every key
    #[arg(long, exclusive = true)]
    sample_service: bool,
    /// Run this command instead of services, and exit with its code
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Subcommand)]
enum Verb {
    /// Check service files without starting anything
    Check {
        /// Directories or files [default: /etc/horust/services]
        paths: Vec<PathBuf>,
        /// Horust's own settings [default: /etc/horust/horust.toml]
        #[arg(long, value_name = "FILE")]
        config_path: Option<PathBuf>,
        /// Exit with 1 if there are warnings
        #[arg(long)]
        strict: bool,
        /// How to show what was found
        #[arg(long, value_enum, default_value_t)]
        format: Format,
        /// Print this service as Horust sees it: defaults filled in, variables replaced, secrets hidden
        #[arg(long, value_name = "NAME", conflicts_with = "format")]
        effective: Option<String>,
        /// How long the container runtime waits before it kills
        #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = config::parse_duration)]
        stop_timeout: Duration,
    },
    /// Print the JSON Schema of a kind of file, for editors
    Schema {
        /// A service file, one that completes others (a drop-in, _defaults.toml), or horust.toml
        #[arg(value_enum, default_value_t)]
        of: SchemaOf,
    },
    /// Print what makes a shell complete verbs, options, and the services of the running Horust
    Completions {
        /// Which shell
        #[arg(value_enum)]
        shell: Shell,
    },
    #[command(flatten)]
    Control(ControlVerb),
}

/// How findings are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// The kinds of file that have a schema.
#[derive(Clone, Copy, Default, ValueEnum)]
enum SchemaOf {
    #[default]
    Service,
    DropIn,
    Settings,
}

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
pub enum Invocation {
    /// Supervise services.
    Supervise(SuperviseOptions),
    /// Run one command.
    Command(CommandOptions),
    /// `horust check`.
    Check(CheckOptions),
    /// A verb for a running Horust.
    Control(ControlOptions),
    /// `horust schema`.
    Schema(FileKind),
    /// `horust completions`.
    Completions(Shell),
    /// `--sample-service`.
    SampleService,
    /// Say this and end: help, version, or what is wrong with the arguments.
    Print {
        /// What to say.
        text: String,
        /// To standard output, else to standard error.
        to_stdout: bool,
        /// How to end.
        code: ExitCode,
    },
}

/// How to supervise services.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct SuperviseOptions {
    /// Where the services are; the default directory if empty.
    pub services: Vec<PathBuf>,
    /// `horust.toml`, if named.
    pub config: Option<PathBuf>,
    /// Where the control socket goes.
    pub uds_folder: Option<PathBuf>,
    /// Exit with 101 if any service failed for good.
    pub unsuccessful_exit_finished_failed: bool,
    /// Start the valid services even if others are not.
    pub skip_invalid: bool,
    /// Reload when a file has changed.
    pub watch: bool,
}

/// What to check, and how to answer.
#[derive(Debug, PartialEq, Eq)]
pub struct CheckOptions {
    /// Where the services are; the default directory if empty.
    pub paths: Vec<PathBuf>,
    /// `horust.toml`, if named.
    pub config: Option<PathBuf>,
    /// Warnings have an exit code of their own.
    pub strict: bool,
    /// How to show what was found.
    pub format: Format,
    /// Print this service instead.
    pub effective: Option<String>,
    /// How long the container runtime waits before it kills.
    pub stop_timeout: Duration,
}

/// One command, with the other flags it came with.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct CommandOptions {
    /// The program and its arguments, untouched. Never empty.
    pub argv: Vec<OsString>,
    /// The flags before `--`.
    pub options: SuperviseOptions,
}

impl SuperviseOptions {
    /// Loads the configuration they name, as [`config::load_for`] does.
    pub fn load(&self, has_page: Option<bool>) -> Loaded {
        let env = |name: &str| std::env::var_os(name);
        let (services, config) = (self.services.as_slice(), self.config.as_deref());
        let options = config::Options { services, config, skip_invalid: self.skip_invalid, env: &env };
        let mut loaded = config::load_for(&options, has_page);
        loaded.plan.settings.unsuccessful_exit_finished_failed |= self.unsuccessful_exit_finished_failed;
        loaded
    }
}

/// All verbs and options.
pub fn command_line() -> Command {
    Args::command()
}

/// Understands the arguments, the program's name first.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Invocation {
    let args: Vec<OsString> = args.into_iter().collect();
    let name = args.first().map(Path::new).and_then(Path::file_name);
    let horustctl = name.is_some_and(|name| name == "horustctl");
    if args.last().is_some_and(|last| last == "--") {
        return usage("error: a command is missing after `--`\n".to_owned());
    }
    if let Some(invocation) = quick(&args).filter(|_| !horustctl) {
        return invocation;
    }
    let args = match Args::try_parse_from(args) {
        Ok(args) => args,
        Err(error) => {
            let text = error.render().to_string();
            return match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                    Invocation::Print { text, to_stdout: true, code: ExitCode::Ok }
                }
                _ => usage(text + misplaced_command(&error)),
            };
        }
    };
    if let Some(why) = misplaced(&args, horustctl) {
        return usage(format!("error: {why}\n\nFor more information, try '--help'.\n"));
    }
    let at = At { folder: args.uds_folder_path.clone(), pid: args.pid, socket: args.socket_path };
    let options = SuperviseOptions {
        services: args.services_path,
        config: args.config_path,
        uds_folder: args.uds_folder_path,
        unsuccessful_exit_finished_failed: args.unsuccessful_exit_finished_failed,
        skip_invalid: args.skip_invalid,
        watch: args.watch,
    };
    match args.verb {
        Some(Verb::Check { paths, config_path: config, strict, format, effective, stop_timeout }) => {
            Invocation::Check(CheckOptions { paths, config, strict, format, effective, stop_timeout })
        }
        Some(Verb::Schema { of: SchemaOf::Service }) => Invocation::Schema(FileKind::Service),
        Some(Verb::Schema { of: SchemaOf::DropIn }) => Invocation::Schema(FileKind::Part),
        Some(Verb::Schema { of: SchemaOf::Settings }) => Invocation::Schema(FileKind::Settings),
        Some(Verb::Completions { shell }) => Invocation::Completions(shell),
        Some(Verb::Control(verb)) => Invocation::Control(ControlOptions { at, verb, horustctl }),
        None if args.sample_service => Invocation::SampleService,
        None if args.command.is_empty() => Invocation::Supervise(options),
        None => command(args.command, options),
    }
}

/// The forms in which containers start Horust, understood without clap: its first use costs a tenth of a millisecond and
/// half a megabyte of touched pages. Whatever is not exactly such a form is left to it.
fn quick(args: &[OsString]) -> Option<Invocation> {
    let mut options = SuperviseOptions::default();
    let mut rest = args.get(1..)?.iter();
    while let Some(arg) = rest.next() {
        let value =
            |value: Option<&OsString>| value.filter(|v| !v.as_encoded_bytes().starts_with(b"-")).map(PathBuf::from);
        match arg.to_str()? {
            "--services-path" => options.services.push(value(rest.next())?),
            "--uds-folder-path" if options.uds_folder.is_none() => options.uds_folder = Some(value(rest.next())?),
            "--" => return Some(command(rest.cloned().collect(), options)),
            _ => return None,
        }
    }
    Some(Invocation::Supervise(options))
}

/// What does not go together: a verb takes no options of a start, and a start none of a verb.
fn misplaced(args: &Args, horustctl: bool) -> Option<&'static str> {
    let at_start = !args.services_path.is_empty()
        || args.config_path.is_some()
        || args.unsuccessful_exit_finished_failed
        || args.skip_invalid
        || args.watch
        || !args.command.is_empty();
    let at_socket = args.pid.is_some() || args.socket_path.is_some();
    match &args.verb {
        Some(_) if at_start => Some("what starts Horust cannot be used with a verb"),
        Some(Verb::Control(_)) => None,
        Some(_) if at_socket || args.uds_folder_path.is_some() => Some("this verb reaches no running Horust"),
        Some(_) => None,
        None if horustctl => Some("horustctl needs a verb, such as `status`"),
        None if at_socket => Some("`--pid` and `--socket-path` go with a verb, such as `status`"),
        None => None,
    }
}

fn usage(text: String) -> Invocation {
    Invocation::Print { text, to_stdout: false, code: ExitCode::Usage }
}

/// A hint for who forgot the `--`.
fn misplaced_command(error: &clap::Error) -> &'static str {
    match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(arg)) if error.kind() == ErrorKind::UnknownArgument && !arg.starts_with('-') => {
            "To run a command, write it after `--`: horust -- COMMAND\n"
        }
        _ => "",
    }
}

/// A single argument that holds blanks is a whole command line, as it was for the first Horust.
fn command(mut argv: Vec<OsString>, options: SuperviseOptions) -> Invocation {
    if let [line] = argv.as_slice()
        && let Some(line) = line.to_str().filter(|line| line.contains(char::is_whitespace))
    {
        match config::split_command(line) {
            Ok(words) => argv = words.into_iter().map(OsString::from).collect(),
            Err(why) => return usage(format!("Failed spawning the process: Invalid command: {line}: {why}\n")),
        }
    }
    Invocation::Command(CommandOptions { argv, options })
}
