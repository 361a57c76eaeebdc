//! Health probes on a bounded pool of worker threads. It knows nothing of services or of the supervisor: a probe goes in,
//! one verdict comes out. It must never block or panic the thread that submits, and an idle pool makes no wake-up.

mod http;
mod pool;
mod socket;
#[cfg(test)]
mod tests;

pub use pool::Pool;
