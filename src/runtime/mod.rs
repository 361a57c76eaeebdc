//! The shell around the supervisor: it turns the world into events and actions into the world. The main thread
//! ([`main_loop`]) alone spawns, signals and waits; the runtime ([`core`]) has the supervisor.

mod cgroups;
pub mod command;
mod control;
mod core;
mod dotenv;
mod environment;
mod explain;
#[cfg(fuzzing)]
pub mod fuzzing;
mod history;
mod launch;
mod logger;
mod main_loop;
mod memory;
mod notify;
mod output;
pub mod preflight;
mod reload;
mod report;
pub mod rescue;
mod sweep;
mod table;
mod tell;
mod usage;
mod watch;
mod web;

use crate::control::{Desk, Pids, Plans, Steps};
use crate::model::{Exit, Plan, Signal, WhenInit};
use crate::sys::exe::Image;
use crate::sys::machine::{Machine, Power};
use crate::sys::reap::Ended;
use crate::sys::signals::{self, SignalFd};
use crate::sys::wake::EventFd;
use crate::sys::{SysError, fds, process};
use crossbeam_channel::{bounded, unbounded};
use std::mem::ManuallyDrop;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// Horust's own failure: EX_SOFTWARE in sysexits(3).
const INTERNAL: u8 = 70;

pub use reload::Reader;

/// Runs all services of the plan until all is over. `again` reads it anew for a reload, which a change of `watched` files and
/// directories asks for. Returns the exit code.
pub fn supervise(plan: Plan, again: Reader, watched: Vec<PathBuf>) -> u8 {
    logger::init();
    let machine = Machine::own();
    let when_init = plan.settings.when_init;
    let end = start(plan, again, watched).unwrap_or_else(|error| {
        log::error!("{error}");
        End { code: INTERNAL, reboot: false }
    });
    let reboot = end.reboot && when_init != WhenInit::Exit;
    end_machine(machine, if reboot { WhenInit::Reboot } else { when_init });
    logger::flush();
    end.code
}

/// Ends the machine, if there is one to end.
fn end_machine(machine: Option<Machine>, how: WhenInit) {
    let power = match how {
        WhenInit::PowerOff => Power::Off,
        WhenInit::Reboot => Power::Reboot,
        WhenInit::Halt => Power::Halt,
        WhenInit::Exit => return,
    };
    if let Some(machine) = machine {
        logger::flush();
        let Err(error) = machine.end(power);
        log::error!("{error}");
    }
}

/// How the main loop has ended.
struct End {
    /// The exit code.
    code: u8,
    /// Somebody has pressed Ctrl-Alt-Delete.
    reboot: bool,
}

fn start(plan: Plan, again: Reader, watched: Vec<PathBuf>) -> Result<End, SysError> {
    let signals = prepare(!process::is_pid1())?;
    let plan = Arc::new(plan);
    let wake = Arc::new(EventFd::new()?);
    let (queue, lines) = unbounded();
    let queue = output::Lines { queue, wake: Arc::clone(&wake) };
    let (image, kept) = (Image::open(), output::Kept::default());
    // What the process has in memory at its end goes with it at once: piece by piece takes longer.
    let mut launcher = ManuallyDrop::new(launch::Launcher::new(image.path().to_owned(), &plan, queue, kept.clone()));
    let notices = match plan.services.iter().any(|spec| spec.notifies()) {
        true => Some(notify::Notices::new(Arc::clone(&wake))?),
        false => None,
    };
    launcher.notify_at(notices.as_ref().map(notify::Notices::address));
    let cgroups = cgroups::Cgroups::new(Arc::clone(&wake));
    let (event_sender, events) = bounded(crate::limits::QUEUE);
    let (action_sender, actions) = bounded(crate::limits::QUEUE);
    let (call_sender, calls) = bounded(crate::limits::CALLS);
    let (steps, event_news) = (Arc::new(Steps::default()), Arc::new(Steps::default()));
    let plans = Plans::new(Arc::clone(&plan));
    let new_plans = plans.subscribe();
    let reloader = Arc::new(reload::Reloader::new(again, call_sender.clone()));
    let by_signal = Arc::clone(&reloader);
    let outward = core::Outward {
        events: event_sender.clone(),
        steps: Arc::clone(&steps),
        event_news: Arc::clone(&event_news),
        plans,
        load: Box::new(move || by_signal.start()),
    };
    let core = Arc::new(Mutex::new(core::Core::new(Arc::clone(&plan), events.clone(), outward)));
    let orders = core::Orders { actions: action_sender, wake: Arc::clone(&wake) };
    core::start(Arc::clone(&core), core::Inward { events, calls }, orders).map_err(|e| {
        SysError::new("start", "the runtime thread", e.raw_os_error().map_or(nix::Error::EAGAIN, nix::Error::from_raw))
    })?;
    if !watched.is_empty() {
        watch::start(watched, Arc::clone(&reloader));
    }
    let pids = Arc::new(Pids::default());
    let calls = call_sender.clone();
    let orphans = Arc::default();
    let desk = Desk {
        plan: Arc::clone(&plan),
        plans: new_plans,
        calls,
        steps,
        pids: Arc::clone(&pids),
        usage: usage::usage,
        output_news: Arc::clone(&kept.news),
        read_output: Arc::new(move |asks, reply| kept.read(asks, reply)),
        event_news,
        reload: Arc::new(move |apply| reloader.reload(apply)),
        lost: usage::lost,
        orphans: Arc::clone(&orphans),
        started: std::time::SystemTime::now(),
    };
    let mut control = None;
    let settings = Arc::clone(&plan);
    let queues = main_loop::Queues { core, events: event_sender, actions, lines };
    let end = main_loop::MainLoop::new(plan, &mut launcher, &signals, &wake, queues, notices, cgroups)
        .tell_pids(pids, orphans)
        .run(&image, || control = control::open(&settings.settings, desk));
    // Whoever follows the output gets the last of it.
    launcher.finish();
    if let Some(control) = control {
        control.close();
    }
    // Until here: without a sender the runtime thread would not sleep.
    drop(call_sender);
    Ok(end)
}

/// What has to be done before the first thread and the first child, in any mode: standard streams that are there,
/// nothing inherited that a child could inherit, signals as descriptors, orphans for us.
fn prepare(job_control: bool) -> Result<SignalFd, SysError> {
    fds::ensure_std();
    fds::cloexec_from(3);
    let signals = signals::block(job_control)?;
    if !process::is_pid1()
        && let Err(error) = process::become_subreaper()
    {
        log::warn!("{error}: orphans of services go to another process");
    }
    Ok(signals)
}

/// How a process ended, in the supervisor's words.
fn exit_of(ended: Ended) -> Exit {
    match ended {
        Ended::Code(code) => Exit::Code(code),
        Ended::Signal(signal) => Signal::new(signal.into()).map_or(Exit::Code(255), Exit::Signal),
    }
}
