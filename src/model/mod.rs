//! Plain data that every part speaks: ids, time, signals, exits, service specs. No serde, no I/O, nothing of ours.

mod depend;
mod exit;
mod id;
mod signal;
mod spec;
mod time;

pub use depend::{Condition, Need};
pub use exit::Exit;
pub use id::{ProbeId, RunId, ServiceId};
pub use signal::Signal;
pub use spec::{
    Command, Environment, ExitCodes, FailurePolicy, FailureStrategy, Growth, Health, IdOrName, Kind, Origin, Output,
    Plan, Probe, Process, Readiness, Restart, RestartStrategy, ServiceSpec, Settings, Termination,
};
pub use time::Mono;
