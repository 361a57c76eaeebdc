//! `rate-limit`: so many lines in a time. What is too much is counted, and the count is told once in a while.

use crate::model::Rate;
use std::time::{Duration, Instant};

/// The count of dropped lines is told no more often than this.
const TELL: Duration = Duration::from_secs(1);

/// See above.
pub struct Limiter {
    rate: Rate,
    since: Instant,
    passed: u32,
    dropped: u64,
    tell_at: Option<Instant>,
}

impl Limiter {
    /// One that has seen nothing yet.
    pub fn new(rate: Rate, now: Instant) -> Limiter {
        Limiter { rate, since: now, passed: 0, dropped: 0, tell_at: None }
    }

    /// Whether one more line may pass.
    pub fn allows(&mut self, now: Instant) -> bool {
        if now.duration_since(self.since) >= self.rate.per {
            (self.since, self.passed) = (now, 0);
        }
        if self.passed < self.rate.lines {
            self.passed = self.passed.saturating_add(1);
            return true;
        }
        self.dropped = self.dropped.saturating_add(1);
        super::count_limited();
        self.tell_at.get_or_insert(now.checked_add(self.rate.per.max(TELL)).unwrap_or(now));
        false
    }

    /// When the count of dropped lines is to be told, if any were.
    pub fn due(&self) -> Option<Instant> {
        self.tell_at
    }

    /// The count since it was told last, as words; it counts as told now.
    pub fn tell(&mut self) -> Option<String> {
        self.tell_at = None;
        let dropped = std::mem::take(&mut self.dropped);
        let lines = if dropped == 1 { "line was" } else { "lines were" };
        let Rate { lines: limit, per } = self.rate;
        (dropped > 0).then(|| {
            format!("{dropped} {lines} dropped: the rate limit is {limit} in {}", humantime::format_duration(per))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_pass_in_a_time_and_the_rest_is_counted() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut limiter = Limiter::new(Rate { lines: 3, per: Duration::from_millis(100) }, start);
        let passed = |limiter: &mut Limiter, ms| (0..5).filter(|_| limiter.allows(at(ms))).count();
        assert_eq!(passed(&mut limiter, 0), 3);
        assert_eq!(passed(&mut limiter, 99), 0);
        assert_eq!(passed(&mut limiter, 100), 3);
        assert_eq!(limiter.due(), Some(at(1000)));
        assert_eq!(limiter.tell().unwrap(), "9 lines were dropped: the rate limit is 3 in 100ms");
        assert_eq!((limiter.due(), limiter.tell()), (None, None));
    }
}
