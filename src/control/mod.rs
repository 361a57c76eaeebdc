//! Control: HTTP/1.1 and JSON on a unix socket. It turns requests into the supervisor's commands and its answers into
//! JSON, on a thread of its own. It knows no process and no service but by what it is told, and nobody waits for it:
//! calls go through a bounded queue, and what comes back is dropped if the client has gone.

mod desk;
mod events;
pub mod graph;
mod logs;
mod merge;
mod patient;
mod router;
mod select;
mod server;
mod stream;
mod tell;
mod wait;
pub mod wire;

pub use desk::{
    Answer, Call, Calls, Desk, EventsAsked, Happening, Happenings, NoAnswer, Pids, Plans, Question, ReadOutput, Reload,
    Steps, Usage, View, moved,
};
pub use server::{Gate, Server, serve};
