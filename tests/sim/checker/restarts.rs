//! What the restart policy allows, worked out from the plan and from what was seen.

use super::Checker;
use horust::limits;
use horust::model::{Exit, Growth, Mono, Restart, RestartStrategy, RunId, ServiceId, ServiceSpec};
use horust::supervisor::Reason;
use std::time::Duration;

/// Of one service.
#[derive(Clone, Debug, Default)]
pub struct Restarts {
    /// Failures in a row.
    pub failures: u32,
    /// Not to be started again before this.
    pub delayed: Option<(Mono, Duration)>,
    /// Somebody has asked for a start since: delays and counts begin anew.
    excused: bool,
    /// It was started by hand since it ended.
    by_hand: bool,
}

impl Restarts {
    pub fn excuse(&mut self) {
        (self.excused, self.by_hand) = (true, true);
    }

    pub fn may_begin_after_the_end(&self) -> bool {
        self.by_hand
    }

    pub fn spawned(&mut self, run: RunId, now: Mono) {
        if let Some((since, delay)) = self.delayed.take() {
            assert!(self.excused || now.since(since) >= delay, "{run} does not wait for {delay:?}");
        }
        self.by_hand = false;
    }

    pub fn was_ready_for(&mut self, time: Duration, spec: &ServiceSpec) {
        if time >= spec.restart.reset_after {
            self.failures = 0;
        }
    }
}

fn is_bounded(policy: &Restart) -> bool {
    policy.attempts > 0 || policy.strategy == RestartStrategy::Never
}

/// The shortest and the longest delay before this restart.
fn bounds(policy: &Restart, nth: u32) -> (Duration, Duration) {
    let times = match policy.growth {
        Growth::Linear => nth,
        Growth::Constant => 1,
        Growth::Exponential => 1u32.checked_shl(nth - 1).unwrap_or(u32::MAX),
    };
    let delay = policy.backoff.saturating_mul(times).min(policy.backoff_max.max(policy.backoff));
    // A little more than f32 is exact to.
    let spread = delay.mul_f64(f64::from(policy.jitter) + 1e-6);
    (delay.saturating_sub(spread), delay + spread)
}

impl Checker {
    pub(super) fn restarting(&mut self, id: ServiceId, delay: Duration, failure: Option<&(Reason, u32)>) {
        let spec = &self.fixed.plan.services[id.index()];
        let (policy, codes) = (&spec.restart, &spec.failure.codes);
        let seen = &mut self.seen[id.index()];
        assert!(!self.stopping, "{id:?} is run again during a shutdown");
        assert!(!seen.stopped, "{id:?} is run again, and was stopped by hand");
        seen.restarts.delayed = Some((self.now, delay));
        let Some((reason, nth)) = failure else {
            assert_eq!(policy.strategy, RestartStrategy::Always, "{id:?} is run again after a success");
            assert!(delay <= limits::THROTTLE_RUN, "{id:?}: a success is not delayed");
            return;
        };
        if let (Reason::Exit(exit), Some(last)) = (reason, seen.leader_over) {
            assert_eq!(*exit, last, "{id:?} failed otherwise");
            assert!(!matches!(last, Exit::Code(code) if codes.is_success(code)), "{id:?} did not fail");
        }
        let restarts = &mut seen.restarts;
        let in_order = *nth == restarts.failures + 1 || (restarts.excused && *nth == 1);
        assert!(in_order, "{id:?}: restart {nth} after {} failures", restarts.failures);
        assert!(!is_bounded(policy) || *nth <= policy.attempts, "{id:?}: restart {nth} of {}", policy.attempts);
        let (least, most) = bounds(policy, *nth);
        assert!(delay >= least, "{id:?}: restart {nth} after {delay:?}, not {least:?} at least");
        assert!(delay <= most.max(limits::THROTTLE_RUN), "{id:?}: restart {nth} only after {delay:?}, not {most:?}");
        (restarts.failures, restarts.excused) = (*nth, false);
    }

    pub(super) fn finishes(&self, id: ServiceId) {
        let spec = &self.fixed.plan.services[id.index()];
        let seen = &self.seen[id.index()];
        if let Some(Exit::Code(code)) = seen.leader_over
            && seen.stopping.is_none()
            && seen.leaves.is_none()
            && !(seen.stopped || self.stopping || seen.finished || seen.failed.is_some())
            && seen.restarts.delayed.is_none()
            && !seen.restarts.by_hand()
        {
            assert!(spec.failure.codes.is_success(code), "{id:?} has finished, but failed with {code}");
            assert_ne!(spec.restart.strategy, RestartStrategy::Always, "{id:?} is to be run again");
        }
    }

    pub(super) fn gives_up(&self, id: ServiceId, reason: &Reason) {
        let spec = &self.fixed.plan.services[id.index()];
        let restarts = &self.seen[id.index()].restarts;
        assert!(!self.stopping, "{id:?} gives up during a shutdown");
        match reason {
            Reason::Exit(_) | Reason::Spawn(_) | Reason::Unhealthy(..) | Reason::TooLate(..) | Reason::Hook(..) => {
                let used_up = is_bounded(&spec.restart) && (restarts.failures >= spec.restart.attempts);
                let at_once = spec.failure.shuts_down_at_once();
                assert!(used_up || at_once, "{id:?} gives up after {} failures: {reason:?}", restarts.failures);
            }
            Reason::Dependency(other) => {
                assert!(self.seen[other.index()].failed.is_some(), "{id:?}: {other:?} has not failed");
            }
            Reason::DependencyOver(other) => {
                assert!(self.seen[other.index()].finished, "{id:?}: {other:?} has not finished");
            }
            Reason::DiedWith(_) => {}
            Reason::Unkillable => assert!(self.seen[id.index()].abandoned, "{id:?} could be killed"),
        }
    }
}

impl Restarts {
    fn by_hand(&self) -> bool {
        self.by_hand
    }
}
