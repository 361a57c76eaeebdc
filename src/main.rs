//! Picks the mode: supervise, run one command, client verb, exec stage. The only place that ends the process.

use std::process::ExitCode;

use horust::sys;

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    if args.next().is_some_and(|mode| mode == sys::stage::MODE) {
        return ExitCode::from(sys::stage::run(args));
    }
    ExitCode::SUCCESS
}
