//! Picks the mode: supervise, run one command, client verb, exec stage. The only place that ends the process.

use horust::cli::{self, Invocation, output};

fn main() -> std::process::ExitCode {
    let code = match cli::parse(std::env::args_os()) {
        Invocation::Check { paths, config } => cli::check::run(&paths, config.as_deref()),
        Invocation::SampleService => {
            output::answer(&horust::config::sample_service());
            cli::ExitCode::Ok
        }
        Invocation::Print { text, to_stdout, code } => {
            if to_stdout {
                output::answer(&text)
            } else {
                output::complain(&text)
            }
            code
        }
        Invocation::Supervise(_) | Invocation::Command(_) => cli::ExitCode::Internal,
    };
    code.into()
}
