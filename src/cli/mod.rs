//! The command line: what was asked for, and the verbs that need no supervisor. It never ends the process: `main` does,
//! with the exit code that it gets from here.

mod args;
pub mod check;
mod client;
pub mod complete;
pub mod control;
mod events;
mod exit_code;
mod graph;
mod http;
mod logs;
pub mod output;
mod reload;
mod show;
mod stream;
mod svg;
mod tell;
mod timeline;

pub use args::{CheckOptions, CommandOptions, Format, Invocation, SuperviseOptions, command_line, parse};
pub use control::{At, ControlOptions, ControlVerb};
pub use exit_code::ExitCode;
