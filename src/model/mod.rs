//! Plain data that every part speaks: ids, time, signals, exits, service specs. No serde, no I/O, nothing of ours.

mod exit;
mod id;
mod logging;
mod process;
mod resource;
mod signal;
mod spec;
mod time;

pub use exit::{Exit, Oom};
pub use id::{ProbeId, RunId, ServiceId};
pub use logging::{Log, LogFormat, Precision, Rate, Rotation};
pub use process::{CapSet, Capabilities, IdOrName, Limit, Process};
pub use resource::ResourceLimit;
pub use signal::Signal;
pub use spec::{
    Command, Environment, ExitCodes, FailurePolicy, FailureStrategy, Growth, Health, Kind, Origin, Output, Plan, Probe,
    Readiness, Restart, RestartStrategy, ServiceSpec, Settings, Termination,
};
pub use time::Mono;
