//! The circuit breaker of one endpoint.
//!
//! ```text
//!          a call succeeds
//!   ┌──────────────────────────────────────┬──────────────────┐
//!   ▼                                      │                  │
//! closed ──► some calls fail ──► tripped ──┴──► paused ───────┘
//!            (each has its       (one trial call at a time, at growing intervals;
//!             own schedule)       a trial does not count as a try)
//! ```
//!
//! A call that fails while others succeed is at fault itself: it is retried on its format's schedule and dead at its end.
//! When many different calls fail and none succeeds, the endpoint is at fault: retrying all of them on schedule would
//! overload it, and would end calls that it had no chance to accept.

use std::collections::HashSet;
use std::time::Duration;
use store::{EventOffset, LastError, Pause, UnixMs};

/// The shortest time between the trial calls of a tripped breaker.
const TRIAL_WAIT_MIN_MS: i64 = 1_000;

/// Which calls are allowed now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BreakerState {
    /// All calls.
    Closed,
    /// One trial call.
    HalfOpen,
    /// No call before that time.
    OpenUntil(UnixMs),
    /// No call until an operator resumes the endpoint.
    Open,
}

/// The circuit breaker of one endpoint.
#[derive(Debug)]
pub(super) struct CircuitBreaker {
    breaker_failures: usize,
    pause_after_ms: i64,
    trial_wait_max_ms: i64,
    retry_after_max_ms: i64,
    failing_since: Option<UnixMs>,
    pause: Option<Pause>,
    /// Different calls that failed since the last success, by the offset of their first event; at most `breaker_failures`.
    failed: HashSet<EventOffset>,
    next_trial: UnixMs,
    /// The end of its last `Retry-After`.
    hold_until: UnixMs,
    changed: bool,
    /// The last failure, while it is not recorded.
    last_error: Option<LastError>,
}

pub(super) fn ms(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

impl CircuitBreaker {
    /// From the stored state.
    pub(super) fn new(limits: &super::Limits, failing_since: Option<UnixMs>, pause: Option<Pause>) -> Self {
        Self {
            breaker_failures: limits.breaker_failures,
            pause_after_ms: ms(limits.pause_after),
            trial_wait_max_ms: ms(limits.trial_wait_max),
            retry_after_max_ms: ms(limits.retry_after_max),
            failing_since,
            next_trial: pause.as_ref().and_then(|pause| pause.until).unwrap_or(0),
            pause,
            failed: HashSet::new(),
            hold_until: 0,
            changed: false,
            last_error: None,
        }
    }

    /// Whether only trial calls are allowed.
    pub(super) fn is_tripped(&self) -> bool {
        self.pause.is_some() || self.failed.len() >= self.breaker_failures
    }

    pub(super) fn is_paused(&self) -> bool {
        self.pause.is_some()
    }

    /// Which calls are allowed at `now`.
    pub(super) fn state(&self, now: UnixMs) -> BreakerState {
        if self.pause.as_ref().is_some_and(|pause| pause.until.is_none()) {
            return BreakerState::Open;
        }
        let from = if self.is_tripped() {
            self.next_trial.max(self.hold_until)
        } else {
            self.hold_until
        };
        if now < from {
            BreakerState::OpenUntil(from)
        } else if self.is_tripped() {
            BreakerState::HalfOpen
        } else {
            BreakerState::Closed
        }
    }

    /// A call succeeded. When that closes a tripped breaker, returns since when every call had failed.
    pub(super) fn taken(&mut self) -> Option<UnixMs> {
        let was_tripped = self.is_tripped();
        self.failed.clear();
        // An operator's pause stays: the call was in flight when it came.
        if self.pause.as_ref().is_some_and(|pause| pause.until.is_some()) {
            self.pause = None;
            self.changed = true;
        }
        self.changed |= self.failing_since.is_some();
        self.failing_since.take().filter(|_| was_tripped)
    }

    /// A call failed; `first` is the offset of its first event, `words` the reason. `jitter` is from -1 to 1.
    pub(super) fn failed(&mut self, now: UnixMs, first: EventOffset, words: &str, jitter: f64) {
        self.last_error = Some(LastError {
            at: now,
            message: words.into(),
        });
        let since = *self.failing_since.get_or_insert_with(|| {
            self.changed = true;
            now
        });
        if self.failed.len() < self.breaker_failures {
            self.failed.insert(first);
        }
        if !self.is_tripped() {
            return;
        }
        let age = now.saturating_sub(since);
        // Half of the outage so far: 16 calls in the first ten minutes, then one every five.
        let wait = (age / 2).clamp(TRIAL_WAIT_MIN_MS, self.trial_wait_max_ms);
        self.next_trial = now.saturating_add(jittered(wait, 10, jitter));
        match &mut self.pause {
            // By an operator, or after 410.
            Some(Pause { until: None, .. }) => {}
            Some(pause) => {
                pause.until = Some(self.next_trial);
                self.changed = true;
            }
            None if age >= self.pause_after_ms => {
                self.pause = Some(Pause {
                    since: now,
                    until: Some(self.next_trial),
                    reason: format!(
                        "every call has failed for {}; the last one: {words}",
                        spelled(age)
                    )
                    .into(),
                });
                self.changed = true;
            }
            None => {}
        }
    }

    /// The endpoint wants no more calls (410).
    pub(super) fn gone(&mut self, now: UnixMs, words: &str) {
        self.last_error = Some(LastError {
            at: now,
            message: words.into(),
        });
        self.pause = Some(Pause {
            since: now,
            until: None,
            reason: format!("the endpoint wants no more calls: {words}").into(),
        });
        self.changed = true;
    }

    /// The endpoint sent `Retry-After`.
    pub(super) fn hold(&mut self, now: UnixMs, wait: Duration) {
        self.hold_until = now.saturating_add(ms(wait).min(self.retry_after_max_ms));
    }

    /// The pause, and since when every call has failed, if one of them changed since the last call of this.
    pub(super) fn change(&mut self) -> Option<(Option<Pause>, Option<UnixMs>)> {
        std::mem::take(&mut self.changed).then(|| (self.pause.clone(), self.failing_since))
    }

    /// Whether no call has succeeded since one failed.
    pub(super) fn is_failing(&self) -> bool {
        self.failing_since.is_some()
    }

    /// The last error that is not recorded yet.
    pub(super) fn take_last_error(&mut self) -> Option<LastError> {
        self.last_error.take()
    }

    pub(super) fn has_changed(&self) -> bool {
        self.changed || self.last_error.is_some()
    }
}

/// A wait spread by up to `percent` of it; `jitter` is from -1 to 1.
pub(super) fn jittered(wait_ms: i64, percent: u8, jitter: f64) -> i64 {
    let spread = wait_ms as f64 * f64::from(percent.min(100)) / 100.0;
    wait_ms.saturating_add((spread * jitter.clamp(-1.0, 1.0)) as i64)
}

fn spelled(age_ms: i64) -> String {
    let minutes = age_ms / 60_000;
    match minutes {
        0 => format!("{} s", age_ms / 1000),
        1..120 => format!("{minutes} min"),
        _ => format!("{} h", minutes / 60),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, reason = "a test may stop at the first surprise")]

    use super::super::Limits;
    use super::*;
    use proptest::prelude::*;

    fn offset(row: i64) -> EventOffset {
        EventOffset { row, index: 0 }
    }

    fn breaker() -> CircuitBreaker {
        CircuitBreaker::new(&Limits::default(), None, None)
    }

    #[test]
    fn one_call_that_fails_repeatedly_does_not_trip_the_breaker() {
        let mut breaker = breaker();
        for hour in 0..100 {
            breaker.failed(hour * 3_600_000, offset(1), "HTTP 500", 0.0);
        }
        assert_eq!(breaker.state(100 * 3_600_000), BreakerState::Closed);
        assert!(!breaker.is_paused());
    }

    #[test]
    fn an_hour_away_costs_some_thirty_calls_and_one_pause_that_is_lifted_by_the_first_taken() {
        let mut breaker = breaker();
        let (mut now, mut calls, mut paused_at) = (0, 0, None);
        while now < 3_600_000 {
            match breaker.state(now) {
                BreakerState::Closed | BreakerState::HalfOpen => {
                    calls += 1;
                    breaker.failed(now, offset(calls), "no connection", 0.0);
                }
                BreakerState::OpenUntil(until) => now = until,
                BreakerState::Open => panic!("it is not paused by hand"),
            }
            if breaker.is_paused() {
                paused_at.get_or_insert(now);
            }
        }
        assert!((20..45).contains(&calls), "{calls}");
        let paused_at = paused_at.unwrap_or_default();
        assert!((600_000..900_000).contains(&paused_at), "{paused_at}");
        let Some((Some(pause), Some(0))) = breaker.change() else {
            panic!("it is paused")
        };
        assert!(pause.reason.contains("no connection"), "{}", pause.reason);
        assert_eq!(breaker.taken(), Some(0));
        assert_eq!(breaker.change(), Some((None, None)));
        assert_eq!(breaker.state(now), BreakerState::Closed);
        assert_eq!(breaker.taken(), None, "it was closed already");
        assert_eq!(breaker.change(), None);
        breaker.failed(now, offset(1), "HTTP 500", 0.0);
        assert_eq!(breaker.taken(), None, "one failure does not trip it");
    }

    #[test]
    fn a_pause_outlives_a_restart_and_one_made_by_hand_ends_by_hand() {
        let pause = |until| Pause {
            since: 5,
            until,
            reason: "away".into(),
        };
        let mut breaker = CircuitBreaker::new(&Limits::default(), Some(1), Some(pause(Some(100))));
        assert_eq!(breaker.state(99), BreakerState::OpenUntil(100));
        assert_eq!(breaker.state(100), BreakerState::HalfOpen);
        assert_eq!(breaker.taken(), Some(1));
        assert_eq!(breaker.state(100), BreakerState::Closed);
        let mut breaker = CircuitBreaker::new(&Limits::default(), None, Some(pause(None)));
        breaker.failed(200, offset(1), "", 0.0);
        breaker.taken();
        assert_eq!(breaker.state(1_000_000_000), BreakerState::Open);
        breaker.gone(7, "HTTP 410");
        assert_eq!(breaker.state(1_000_000_000), BreakerState::Open);
    }

    #[test]
    fn retry_after_is_respected_up_to_its_bound() {
        let mut breaker = breaker();
        breaker.hold(1000, Duration::from_secs(20));
        assert_eq!(breaker.state(20_999), BreakerState::OpenUntil(21_000));
        assert_eq!(breaker.state(21_000), BreakerState::Closed);
        breaker.hold(0, Duration::from_secs(3_600));
        assert_eq!(
            breaker.state(0),
            BreakerState::OpenUntil(3_600_000),
            "longer than between trials"
        );
        breaker.hold(0, Duration::from_secs(u64::MAX));
        assert_eq!(breaker.state(0), BreakerState::OpenUntil(86_400_000));
    }

    proptest! {
        #[test]
        fn a_trial_comes_within_the_longest_wait(age in 0_i64..1_000_000_000, jitter in -1.0_f64..1.0) {
            let mut breaker = CircuitBreaker::new(&Limits::default(), Some(0), None);
            for n in 0..10 {
                breaker.failed(age, offset(n), "", jitter);
            }
            let BreakerState::OpenUntil(until) = breaker.state(age) else { panic!("it is tripped") };
            prop_assert!((age + 900..=age + 330_000).contains(&until), "{} after {}", until, age);
        }

        #[test]
        fn jitter_stays_within_its_percentage(wait in 0_i64..1_000_000_000, percent: u8, jitter in -2.0_f64..2.0) {
            let spread = wait * i64::from(percent.min(100)) / 100 + 1;
            prop_assert!((wait - spread..=wait + spread).contains(&jittered(wait, percent, jitter)));
        }
    }
}
