//! The restart policy: how a run counted, and what follows. Decisions only; the states are set in `service.rs`.

use crate::limits;
use crate::model::{Exit, ExitCodes, Growth, Restart, RestartStrategy};
use std::time::Duration;

/// What follows the end of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing: it is over.
    Over,
    /// Another run after this delay.
    Again(Duration),
}

/// How often in a row a service has failed, and ended at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Streak {
    /// Consecutive restarts after failure.
    pub failures: u32,
    /// Consecutive runs that ended at once.
    pub quick: u32,
}

/// Whether this end of a process is a success.
pub fn is_success(exit: Exit, codes: &ExitCodes) -> bool {
    match exit {
        Exit::Code(code) => codes.is_success(code),
        Exit::Signal(_) | Exit::OutOfMemory(_) => false,
    }
}

impl Streak {
    /// A run has succeeded: that neither counts nor is delayed.
    pub fn after_success(self, policy: &Restart) -> Next {
        match policy.strategy {
            RestartStrategy::Always => Next::Again(Duration::ZERO),
            RestartStrategy::Never | RestartStrategy::OnFailure => Next::Over,
        }
    }

    /// A run has failed: counts it, and tells the delay before the next. `noise` is from -1 to 1.
    pub fn after_failure(&mut self, policy: &Restart, noise: f64) -> Next {
        let bounded = policy.attempts > 0 || policy.strategy == RestartStrategy::Never;
        if bounded && self.failures >= policy.attempts {
            return Next::Over;
        }
        self.failures = self.failures.saturating_add(1);
        Next::Again(delay(policy, self.failures, noise))
    }

    /// Counts a run that took `lasted`, and tells whether the service must be held back.
    pub fn throttled(&mut self, policy: &Restart, lasted: Duration) -> bool {
        self.quick = if lasted < limits::THROTTLE_RUN { self.quick.saturating_add(1) } else { 0 };
        policy.throttle && self.quick >= limits::THROTTLE_COUNT
    }
}

/// The delay before restart number `attempt`, from 1.
fn delay(policy: &Restart, attempt: u32, noise: f64) -> Duration {
    let grown = match policy.growth {
        Growth::Linear => policy.backoff.saturating_mul(attempt),
        Growth::Constant => policy.backoff,
        Growth::Exponential => policy.backoff.saturating_mul(2u32.saturating_pow(attempt.saturating_sub(1))),
    };
    // The default maximum must not cut a longer `backoff` that somebody has asked for.
    let capped = grown.min(policy.backoff_max.max(policy.backoff));
    if policy.jitter == 0.0 {
        return capped;
    }
    let factor = (1.0 + noise * f64::from(policy.jitter)).max(0.0);
    Duration::try_from_secs_f64(capped.as_secs_f64() * factor).unwrap_or(capped)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(strategy: RestartStrategy, attempts: u32) -> Restart {
        Restart { strategy, attempts, backoff: Duration::from_millis(200), ..Restart::default() }
    }

    fn delays(policy: &Restart, most: usize) -> Vec<u64> {
        let mut streak = Streak::default();
        let again = || match streak.after_failure(policy, 0.0) {
            Next::Over => None,
            Next::Again(delay) => u64::try_from(delay.as_millis()).ok(),
        };
        std::iter::from_fn(again).take(most).collect()
    }

    #[test]
    fn attempts_bound_every_strategy() {
        for strategy in [RestartStrategy::Never, RestartStrategy::OnFailure, RestartStrategy::Always] {
            assert_eq!(delays(&policy(strategy, 3), 9), [200, 400, 600], "{strategy:?}");
        }
    }

    #[test]
    fn without_attempts_never_stops_at_once_and_the_others_go_on() {
        assert_eq!(delays(&policy(RestartStrategy::Never, 0), 9), [0u64; 0]);
        assert_eq!(delays(&policy(RestartStrategy::OnFailure, 0), 2000).len(), 2000);
        assert_eq!(delays(&policy(RestartStrategy::Always, 0), 2000).len(), 2000);
    }

    #[test]
    fn growth_is_capped_but_never_below_the_backoff_asked_for() {
        let grown = |growth, backoff_max| {
            let base = policy(RestartStrategy::Always, 0);
            delays(&Restart { growth, backoff_max: Duration::from_millis(backoff_max), ..base }, 4)
        };
        assert_eq!(grown(Growth::Constant, 9000), [200, 200, 200, 200]);
        assert_eq!(grown(Growth::Exponential, 9000), [200, 400, 800, 1600]);
        assert_eq!(grown(Growth::Exponential, 500), [200, 400, 500, 500]);
        assert_eq!(grown(Growth::Linear, 100), [200, 200, 200, 200]);
    }

    #[test]
    fn jitter_stays_within_its_fraction() {
        let policy = Restart { jitter: 0.5, ..policy(RestartStrategy::Always, 0) };
        for (noise, ms) in [(-1.0, 100), (0.0, 200), (1.0, 300)] {
            assert_eq!(delay(&policy, 1, noise), Duration::from_millis(ms));
        }
    }

    #[test]
    fn a_service_that_ends_at_once_is_held_back_from_the_tenth_time_on() {
        let mut streak = Streak::default();
        let policy = policy(RestartStrategy::Always, 0);
        let held: Vec<bool> = (0..11).map(|_| streak.throttled(&policy, Duration::from_millis(1))).collect();
        assert_eq!(held.iter().position(|h| *h), Some(9));
        assert!(!streak.throttled(&policy, Duration::from_secs(1)));
        assert!(!streak.throttled(&policy, Duration::from_millis(1)));
        let off = Restart { throttle: false, ..policy };
        assert!((0..100).all(|_| !streak.throttled(&off, Duration::ZERO)));
    }
}
