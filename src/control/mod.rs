//! Control: HTTP/1.1 and JSON on a unix socket, and the page and metrics over TCP. It turns requests into the supervisor's
//! commands and its answers into JSON, on a thread of its own. It knows no process and no service but by what it is told,
//! and nobody waits for it: calls go through a bounded queue, and what comes back is dropped if the client has gone.

mod alive;
mod desk;
mod events;
pub mod graph;
mod guard;
mod live;
mod logs;
mod merge;
mod metrics;
mod page;
mod patient;
mod router;
mod select;
mod server;
mod stream;
mod tally;
mod tell;
mod wait;
pub mod wire;

pub use desk::{
    Answer, Call, Calls, Desk, EventsAsked, Happening, Happenings, Lost, NoAnswer, Pids, Plans, Question, ReadOutput,
    Reload, Steps, Usage, View, moved,
};
pub use guard::Guard;
pub use server::{Door, Gate, Server, serve};
pub use tally::Tally;
