//! Whether an endpoint is well: from single calls that fail to an endpoint that is paused.
//!
//! ```text
//!          a call is taken
//!   ┌──────────────────────────────────────┬──────────────────┐
//!   ▼                                      │                  │
//! well ──► some calls fail ──► in trouble ─┴──► paused (seen) ┘
//!          (each has its       (one call at a time, at growing intervals,
//!           own schedule)       and no retry is used up by it)
//! ```
//!
//! A call that fails while others are taken has itself to blame: it is tried by its format's schedule and given up on
//! at its end. When many different calls fail and none is taken, the endpoint is to blame: trying all of them by their
//! schedules would hammer it, and would give up on calls that it never had a chance to take.

use std::collections::HashSet;
use std::time::Duration;
use store::{EventPlace, LastError, Pause, UnixMs};

/// The shortest time between calls to an endpoint in trouble.
const TRIAL_WAIT_MIN_MS: i64 = 1_000;

/// What the endpoint may be given now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum May {
    /// Whatever there is.
    All,
    /// One call.
    Trial,
    /// Nothing before that time.
    NothingUntil(UnixMs),
    /// Nothing until somebody says so.
    Nothing,
}

/// How an endpoint is.
#[derive(Debug)]
pub(super) struct Health {
    breaker_failures: usize,
    pause_after_ms: i64,
    trial_wait_max_ms: i64,
    retry_after_max_ms: i64,
    failing_since: Option<UnixMs>,
    pause: Option<Pause>,
    /// Different calls that failed since the last one was taken, by their first events; no more than it takes.
    failed: HashSet<EventPlace>,
    next_trial: UnixMs,
    /// It asked to be left alone until then.
    hold_until: UnixMs,
    changed: bool,
    /// The last call that failed and is not recorded yet.
    last_error: Option<LastError>,
}

pub(super) fn ms(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

impl Health {
    /// As it was left.
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

    /// Whether one call at a time is all it gets.
    pub(super) fn in_trouble(&self) -> bool {
        self.pause.is_some() || self.failed.len() >= self.breaker_failures
    }

    pub(super) fn is_paused(&self) -> bool {
        self.pause.is_some()
    }

    /// What it may be given.
    pub(super) fn may(&self, now: UnixMs) -> May {
        if self.pause.as_ref().is_some_and(|pause| pause.until.is_none()) {
            return May::Nothing;
        }
        let from = if self.in_trouble() {
            self.next_trial.max(self.hold_until)
        } else {
            self.hold_until
        };
        if now < from {
            May::NothingUntil(from)
        } else if self.in_trouble() {
            May::Trial
        } else {
            May::All
        }
    }

    /// A call was taken. When that ends a time of trouble, since when every call had failed.
    pub(super) fn taken(&mut self) -> Option<UnixMs> {
        let was_in_trouble = self.in_trouble();
        self.failed.clear();
        // Somebody else's pause stays: this was on its way when it came.
        if self.pause.as_ref().is_some_and(|pause| pause.until.is_some()) {
            self.pause = None;
            self.changed = true;
        }
        self.changed |= self.failing_since.is_some();
        self.failing_since.take().filter(|_| was_in_trouble)
    }

    /// A call, known by its first event, failed with these words. `jitter` is from -1 to 1.
    pub(super) fn failed(&mut self, now: UnixMs, first: EventPlace, words: &str, jitter: f64) {
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
        if !self.in_trouble() {
            return;
        }
        let age = now.saturating_sub(since);
        // Half as long again as it has been away: 16 calls in the first ten minutes, then one each five.
        let wait = (age / 2).clamp(TRIAL_WAIT_MIN_MS, self.trial_wait_max_ms);
        self.next_trial = now.saturating_add(jittered(wait, 10, jitter));
        match &mut self.pause {
            // By hand, or because it is gone.
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

    /// The endpoint says that it wants no more calls.
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

    /// The endpoint asks to be left alone for a while.
    pub(super) fn hold(&mut self, now: UnixMs, wait: Duration) {
        self.hold_until = now.saturating_add(ms(wait).min(self.retry_after_max_ms));
    }

    /// What has changed since it was last asked: the pause, and since when every call has failed.
    pub(super) fn change(&mut self) -> Option<(Option<Pause>, Option<UnixMs>)> {
        std::mem::take(&mut self.changed).then(|| (self.pause.clone(), self.failing_since))
    }

    /// Whether no call was taken since one failed.
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

    fn place(row: i64) -> EventPlace {
        EventPlace { row, index: 0 }
    }

    fn health() -> Health {
        Health::new(&Limits::default(), None, None)
    }

    #[test]
    fn one_call_that_fails_again_and_again_is_no_trouble_of_the_endpoint() {
        let mut health = health();
        for hour in 0..100 {
            health.failed(hour * 3_600_000, place(1), "HTTP 500", 0.0);
        }
        assert_eq!(health.may(100 * 3_600_000), May::All);
        assert!(!health.is_paused());
    }

    #[test]
    fn an_hour_away_costs_some_thirty_calls_and_one_pause_that_is_lifted_by_the_first_taken() {
        let mut health = health();
        let (mut now, mut calls, mut paused_at) = (0, 0, None);
        while now < 3_600_000 {
            match health.may(now) {
                May::All | May::Trial => {
                    calls += 1;
                    health.failed(now, place(calls), "no connection", 0.0);
                }
                May::NothingUntil(until) => now = until,
                May::Nothing => panic!("nobody said so"),
            }
            if health.is_paused() {
                paused_at.get_or_insert(now);
            }
        }
        assert!((20..45).contains(&calls), "{calls}");
        let paused_at = paused_at.unwrap_or_default();
        assert!((600_000..900_000).contains(&paused_at), "{paused_at}");
        let Some((Some(pause), Some(0))) = health.change() else {
            panic!("it is paused")
        };
        assert!(pause.reason.contains("no connection"), "{}", pause.reason);
        assert_eq!(health.taken(), Some(0));
        assert_eq!(health.change(), Some((None, None)));
        assert_eq!(health.may(now), May::All);
        assert_eq!(health.taken(), None, "it was well already");
        assert_eq!(health.change(), None);
        health.failed(now, place(1), "HTTP 500", 0.0);
        assert_eq!(health.taken(), None, "one that fails is no trouble");
    }

    #[test]
    fn a_pause_outlives_a_restart_and_one_made_by_hand_ends_by_hand() {
        let pause = |until| Pause {
            since: 5,
            until,
            reason: "away".into(),
        };
        let mut health = Health::new(&Limits::default(), Some(1), Some(pause(Some(100))));
        assert_eq!(health.may(99), May::NothingUntil(100));
        assert_eq!(health.may(100), May::Trial);
        assert_eq!(health.taken(), Some(1));
        assert_eq!(health.may(100), May::All);
        let mut health = Health::new(&Limits::default(), None, Some(pause(None)));
        health.failed(200, place(1), "", 0.0);
        health.taken();
        assert_eq!(health.may(1_000_000_000), May::Nothing);
        health.gone(7, "HTTP 410");
        assert_eq!(health.may(1_000_000_000), May::Nothing);
    }

    #[test]
    fn who_asks_to_be_left_alone_is_within_reason() {
        let mut health = health();
        health.hold(1000, Duration::from_secs(20));
        assert_eq!(health.may(20_999), May::NothingUntil(21_000));
        assert_eq!(health.may(21_000), May::All);
        health.hold(0, Duration::from_secs(3_600));
        assert_eq!(
            health.may(0),
            May::NothingUntil(3_600_000),
            "longer than between trials"
        );
        health.hold(0, Duration::from_secs(u64::MAX));
        assert_eq!(health.may(0), May::NothingUntil(86_400_000));
    }

    proptest! {
        #[test]
        fn a_trial_comes_within_the_longest_wait(age in 0_i64..1_000_000_000, jitter in -1.0_f64..1.0) {
            let mut health = Health::new(&Limits::default(), Some(0), None);
            for n in 0..10 {
                health.failed(age, place(n), "", jitter);
            }
            let May::NothingUntil(until) = health.may(age) else { panic!("it is in trouble") };
            prop_assert!((age + 900..=age + 330_000).contains(&until), "{} after {}", until, age);
        }

        #[test]
        fn jitter_stays_within_its_percentage(wait in 0_i64..1_000_000_000, percent: u8, jitter in -2.0_f64..2.0) {
            let spread = wait * i64::from(percent.min(100)) / 100 + 1;
            prop_assert!((wait - spread..=wait + spread).contains(&jittered(wait, percent, jitter)));
        }
    }
}
