//! Plain data that every part speaks: ids, time, signals, exits, service specs. No serde, no I/O, nothing of ours.

mod depend;
mod exit;
mod health;
mod id;
mod signal;
mod spec;
mod time;

pub use depend::{Condition, Need};
pub use exit::Exit;
pub use health::{Health, OnUnhealthy, Probe, Readiness, Rounds, Sign, Signs};
pub use id::{ProbeId, RunId, ServiceId};
pub use signal::Signal;
pub use spec::{
    Command, Environment, ExitCodes, FailurePolicy, FailureStrategy, Growth, IdOrName, Kind, Origin, Output, Plan,
    Process, Restart, RestartStrategy, ServiceSpec, Settings, Termination,
};
pub use time::Mono;
