//! Waiting for what can only be looked at, in tests and in the developer's tool.

use std::thread::sleep;
use std::time::{Duration, Instant};

/// Looks again after each pause until the condition is true, or the limit is over. Whether it was true.
pub fn polled(limit: Duration, pause: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        sleep(pause);
    }
}
