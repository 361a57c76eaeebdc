//! Plain data that every part speaks: ids, time, signals, exits, service specs. No serde, no I/O, nothing of ours.

mod change;
mod depend;
mod exit;
mod health;
mod hook;
mod id;
mod logging;
mod process;
mod resource;
mod signal;
mod spec;
mod spelling;
mod time;
mod transcript;

pub use change::{Change, Effect, changes, every_key};
pub use depend::{Condition, Need};
pub use exit::{Exit, Oom};
pub use health::{Health, OnUnhealthy, Probe, Readiness, Rounds, Sign, Signs};
pub use hook::{Hook, Hooks};
pub use id::{HookId, ProbeId, RunId, ServiceId};
pub use logging::{Log, LogFormat, Precision, Rate, Rotation};
pub use process::{CapSet, Capabilities, IdOrName, Limit, Process};
pub use resource::ResourceLimit;
pub use signal::Signal;
pub use spec::{
    Command, ControlSocket, Environment, ExitCodes, FailurePolicy, FailureStrategy, Growth, Kind, Origin, Output, Plan,
    Restart, RestartStrategy, Scope, ServiceSpec, Settings, Termination, Web, WhenInit,
};
pub use spelling::{closest, no_service};
pub use time::Mono;
pub use transcript::{Ask, Piece, Reading, Start, Stream, escaped, unescaped};
