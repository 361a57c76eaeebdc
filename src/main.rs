//! Picks the mode: supervise, run one command, client verb, exec stage. The only place that ends the process.

use horust::cli::{self, ExitCode, Invocation, output};
use horust::model::ControlSocket;
use horust::{config, runtime, sys};

fn main() -> std::process::ExitCode {
    let mut args = std::env::args_os().skip(1);
    match args.next() {
        Some(mode) if mode == sys::stage::MODE => return sys::stage::run(args).into(),
        Some(mode) if mode == runtime::rescue::MODE => return runtime::rescue::run(args).into(),
        Some(mode) if mode == cli::complete::MODE => {
            cli::complete::run(args);
            return std::process::ExitCode::SUCCESS;
        }
        _ => {}
    }
    let code = match cli::parse(std::env::args_os()) {
        Invocation::Supervise(options) => supervise(options),
        Invocation::Command(command) => ExitCode::Of(runtime::command::run(&command.argv)),
        Invocation::Check(options) => cli::check::run(&options),
        Invocation::Control(options) => cli::control::run(&options),
        Invocation::Schema(kind) => {
            output::answer(&config::json_schema(kind));
            ExitCode::Ok
        }
        Invocation::Completions(shell) => {
            output::answer(shell.script());
            ExitCode::Ok
        }
        Invocation::SampleService => {
            output::answer(&config::sample_service());
            ExitCode::Ok
        }
        Invocation::Print { text, to_stdout, code } => {
            if to_stdout {
                output::answer(&text)
            } else {
                output::complain(&text)
            }
            code
        }
    };
    code.into()
}

fn supervise(options: cli::SuperviseOptions) -> ExitCode {
    sys::process::small_heap();
    let watch = options.watch;
    let read = move |has_page| {
        let mut loaded = options.load(has_page);
        if let Some(folder) = &options.uds_folder {
            loaded.plan.settings.socket = ControlSocket::Folder(folder.clone());
        }
        loaded
    };
    let loaded = read(None);
    let page = config::render(&loaded.diagnostics, output::colour(&std::io::stderr()));
    output::complain(&page);
    match loaded.refused {
        true => ExitCode::Configuration,
        false => {
            let has_page = loaded.plan.settings.web.page.is_some();
            let watched = if watch { loaded.paths } else { vec![] };
            ExitCode::Of(runtime::supervise(loaded.plan, Box::new(move || read(Some(has_page))), watched))
        }
    }
}
