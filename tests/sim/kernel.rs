//! The fake kernel: processes, their numbers, signals and zombies. A number is free again once its zombie has been waited
//! for, and the lowest free one is given next, so that a signal to a stale number hits somebody else.

use crate::faults::OnStop;
use horust::model::{Exit, HookId, ProbeId, RunId, Signal};

/// A process number, from 1; and which of the processes that have had it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proc {
    pub pid: usize,
    serial: u64,
}

/// Whose process this truly is. Horust knows less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    Leader(RunId),
    /// `true`: it has left the process group.
    Other(RunId, bool),
    Hook(HookId),
    Probe(ProbeId),
    /// An exec stage that has failed and is about to exit: it was never the program.
    Nobody,
}

impl Owner {
    pub fn run(self) -> Option<RunId> {
        match self {
            Owner::Leader(run) | Owner::Other(run, _) => Some(run),
            Owner::Hook(_) | Owner::Probe(_) | Owner::Nobody => None,
        }
    }
}

#[derive(Clone, Debug)]
pub struct Process {
    pub owner: Owner,
    serial: u64,
    /// What it does about the stop signal.
    pub on_stop: OnStop,
    pub unkillable: bool,
    /// It will say WATCHDOG=1.
    pub barks: bool,
    /// A zombie.
    pub dead: Option<Exit>,
}

/// ESRCH.
#[derive(Clone, Copy, Debug)]
pub struct NoSuchProcess;

/// So many milliseconds later, and how.
pub type Ends = (u64, Exit);

#[derive(Clone, Debug, Default)]
pub struct Kernel {
    processes: Vec<Option<Process>>,
    /// How many there may be.
    pub limit: usize,
    serials: u64,
}

impl Kernel {
    pub fn new(limit: usize) -> Kernel {
        Kernel { limit, ..Kernel::default() }
    }

    /// A new process; none if there are too many (EAGAIN in fork(2)). Until its exec it has no handlers.
    pub fn fork(&mut self, owner: Owner) -> Option<Proc> {
        let free = self.processes.iter().position(Option::is_none).unwrap_or(self.processes.len());
        if free >= self.limit {
            return None;
        }
        self.serials += 1;
        let on_stop = OnStop::Ends(0, None);
        let process = Process { owner, serial: self.serials, on_stop, unkillable: false, barks: false, dead: None };
        if free == self.processes.len() {
            self.processes.push(None);
        }
        self.processes[free] = Some(process);
        Some(Proc { pid: free + 1, serial: self.serials })
    }

    /// This very process, if it is alive.
    pub fn alive(&mut self, proc: Proc) -> Option<&mut Process> {
        let process = self.processes.get_mut(proc.pid - 1)?.as_mut()?;
        Some(process).filter(|process| process.serial == proc.serial && process.dead.is_none())
    }

    pub fn end(&mut self, proc: Proc, exit: Exit) -> bool {
        self.alive(proc).map(|process| process.dead = Some(exit)).is_some()
    }

    /// kill(2): what comes of it, how many milliseconds later, for whoever has this number now. Nobody may have it.
    pub fn kill(&self, pid: usize, signal: Signal) -> Result<(Proc, Owner, Option<Ends>), NoSuchProcess> {
        let process = self.processes.get(pid - 1).and_then(Option::as_ref).ok_or(NoSuchProcess)?;
        let ends = match (signal, process.on_stop) {
            _ if process.dead.is_some() => None,
            (Signal::KILL, _) => Some((0, Exit::Signal(signal))).filter(|_| !process.unkillable),
            (Signal::TERM | Signal::INT | Signal::QUIT, OnStop::Ends(after, None)) => {
                Some((after, Exit::Signal(signal)))
            }
            (Signal::TERM | Signal::INT | Signal::QUIT, OnStop::Ends(after, Some(code))) => {
                Some((after, Exit::Code(code)))
            }
            _ => None,
        };
        Ok((Proc { pid, serial: process.serial }, process.owner, ends))
    }

    /// wait(2) for the first zombie: its number is free now.
    pub fn wait(&mut self) -> Option<(usize, Exit)> {
        let is_zombie = |process: &Option<Process>| process.as_ref().is_some_and(|process| process.dead.is_some());
        let index = self.processes.iter().position(is_zombie)?;
        Some((index + 1, self.processes[index].take()?.dead?))
    }

    /// The living processes of this run but for its main one: (pid, whether it has left the group).
    pub fn others(&self, run: RunId) -> Vec<(usize, bool)> {
        let numbered = self.processes.iter().enumerate();
        let other = |(index, process): (usize, &Option<Process>)| match process {
            Some(Process { owner: Owner::Other(of, stray), dead: None, .. }) if *of == run => Some((index + 1, *stray)),
            _ => None,
        };
        numbered.filter_map(other).collect()
    }

    /// All who are alive.
    pub fn living(&self) -> impl Iterator<Item = &Process> {
        self.processes.iter().flatten().filter(|process| process.dead.is_none())
    }

    /// All who are alive, to be changed.
    pub fn everybody(&mut self) -> Vec<(Proc, Owner)> {
        let numbered = self.processes.iter().enumerate();
        let alive = numbered.filter_map(|(index, process)| {
            let process = process.as_ref().filter(|process| process.dead.is_none())?;
            Some((Proc { pid: index + 1, serial: process.serial }, process.owner))
        });
        alive.collect()
    }
}
