//! Converts between the steady clock and the system clock.
//!
//! A worker measures spans on a clock that never goes back. Stored times are shown to operators, and are read by another
//! process whose steady clock starts from its system clock; so they are stored as times of the system clock.

use store::{DeliveryRetry, LastError, Pause, RecordDelivery, UnixMs};

/// How far the steady time is ahead of the clock, because that was set back; in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Skew(i64);

impl Skew {
    pub(super) fn between(steady: UnixMs, clock: UnixMs) -> Self {
        Self(steady.saturating_sub(clock))
    }

    /// A steady time as clocks show it; never stays never.
    fn shown(self, at: UnixMs) -> UnixMs {
        Self::moved(at, self.0.saturating_neg())
    }

    /// A time that was stored, to count by.
    pub(super) fn counted(self, at: UnixMs) -> UnixMs {
        Self::moved(at, self.0)
    }

    fn moved(at: UnixMs, by: i64) -> UnixMs {
        match at {
            UnixMs::MAX => at,
            at => at.saturating_add(by).min(UnixMs::MAX - 1),
        }
    }

    pub(super) fn counted_pause(self, pause: Pause) -> Pause {
        Pause {
            since: self.counted(pause.since),
            until: pause.until.map(|until| self.counted(until)),
            ..pause
        }
    }

    pub(super) fn counted_calls(self, mut calls: Vec<DeliveryRetry>) -> Vec<DeliveryRetry> {
        for call in &mut calls {
            call.due = self.counted(call.due);
            call.first_tried_at = self.counted(call.first_tried_at);
        }
        calls
    }

    /// All times in what a worker records.
    pub(super) fn shown_delivery(self, mut done: RecordDelivery) -> RecordDelivery {
        for call in &mut done.deferred {
            call.due = self.shown(call.due);
            call.first_tried_at = self.shown(call.first_tried_at);
        }
        for call in &mut done.retried {
            call.due = self.shown(call.due);
        }
        done.pause = done.pause.map(|pause| {
            pause.map(|pause| Pause {
                since: self.shown(pause.since),
                until: pause.until.map(|until| self.shown(until)),
                ..pause
            })
        });
        done.failing_since = done.failing_since.map(|since| since.map(|at| self.shown(at)));
        done.last_error = done.last_error.map(|error| LastError {
            at: self.shown(error.at),
            ..error
        });
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_counted_from_again_and_never_stays_never() {
        let skew = Skew::between(5_000, 2_000);
        assert_eq!(skew.shown(5_500), 2_500);
        assert_eq!(skew.counted(2_500), 5_500);
        assert_eq!(skew.shown(UnixMs::MAX), UnixMs::MAX);
        assert_eq!(skew.counted(UnixMs::MAX), UnixMs::MAX);
        assert_eq!(
            skew.counted(UnixMs::MAX - 1),
            UnixMs::MAX - 1,
            "some day is no never"
        );
    }
}
