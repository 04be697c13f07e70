//! The rate control of one bind: the rate agreed with the carrier, and backoff on congestion.
//!
//! The rate is a token bucket of a tenth of a second. Congestion (`ESME_RTHROTTLED`, `ESME_RMSGQFUL`) takes from the
//! window, and time gives it back (AIMD), so that the bind settles just below the carrier's capacity. The reduction depends
//! on how rare congestion is: a carrier that throttles most segments gets a pause and half of the window; after one
//! throttled answer in hundreds, a tenth less is enough.

/// Rate and congestion of one bind. Time is given in milliseconds of a clock that never goes back.
#[derive(Debug, Clone)]
pub(crate) struct RateController {
    /// Segments a second agreed with the carrier; 0: no limit.
    rate_max: f64,
    /// Segments in flight agreed with the carrier.
    window_max: f64,
    /// Segments in flight allowed now, 1..=window_max.
    window: f64,
    /// Segments that may go out now, when there is a rate.
    tokens: f64,
    updated_at: i64,
    stopped_until: i64,
    /// Answers since the last throttled one.
    fine: u32,
}

/// The reaction to a throttled answer.
struct Backoff {
    /// Applies after at least so many answers without throttling.
    fine_min: u32,
    /// What is left of the window.
    keep: f64,
    /// How long nothing goes out, in milliseconds.
    rest_ms: i64,
}

/// The rarest first.
const BACKOFFS: [Backoff; 3] = [
    Backoff {
        fine_min: 100,
        keep: 0.9,
        rest_ms: 0,
    },
    Backoff {
        fine_min: 10,
        keep: 0.75,
        rest_ms: 50,
    },
    Backoff {
        fine_min: 0,
        keep: 0.5,
        rest_ms: 200,
    },
];
/// How much of the full window opens again, a second.
const RECOVERY_PER_S: f64 = 0.5;

impl RateController {
    pub(crate) fn new(rate_per_s_max: u32, window_max: u16, now: i64) -> Self {
        let window = f64::from(window_max.max(1));
        Self {
            rate_max: f64::from(rate_per_s_max),
            window_max: window,
            window,
            tokens: 0.0,
            updated_at: now,
            stopped_until: 0,
            fine: 0,
        }
    }

    /// Segments that may be given to the bind now, with `in_flight` of them there already. The rate counts what is
    /// written ([`Self::spent`]); `waiting` segments have a claim on it before others.
    pub(crate) fn allowance(&mut self, now: i64, in_flight: usize, waiting: usize) -> usize {
        self.refresh(now);
        if now < self.stopped_until {
            return 0;
        }
        let room = (self.window as usize).max(1).saturating_sub(in_flight);
        if self.rate_max > 0.0 {
            room.min((self.tokens as usize).saturating_sub(waiting))
        } else {
            room
        }
    }

    /// Whether less than half of the agreed window is open.
    pub(crate) fn is_slowed(&self) -> bool {
        self.window < self.window_max / 2.0
    }

    /// Segments were written.
    pub(crate) fn spent(&mut self, segments: usize) {
        if self.rate_max > 0.0 {
            self.tokens -= segments as f64;
        }
    }

    /// The carrier throttled a segment.
    pub(crate) fn slow_down(&mut self, now: i64) {
        self.refresh(now);
        // One burst of refusals is one sign, not many.
        if now < self.stopped_until {
            return;
        }
        let fine = std::mem::take(&mut self.fine);
        if let Some(backoff) = BACKOFFS.iter().find(|backoff| fine >= backoff.fine_min) {
            self.window = (self.window * backoff.keep).max(1.0);
            self.stopped_until = now + backoff.rest_ms;
        }
    }

    /// The carrier gave another answer.
    pub(crate) fn answered(&mut self) {
        self.fine = self.fine.saturating_add(1);
    }

    /// When something may go out again, if nothing may now for want of time rather than of answers.
    pub(crate) fn wake_at(&self, now: i64) -> Option<i64> {
        if now < self.stopped_until {
            return Some(self.stopped_until);
        }
        if self.rate_max > 0.0 && self.tokens < 1.0 {
            let wait_ms = ((1.0 - self.tokens) / self.rate_max * 1000.0).ceil() as i64;
            return Some(now + wait_ms.max(1));
        }
        None
    }

    fn refresh(&mut self, now: i64) {
        let elapsed_s = (now - self.updated_at).max(0) as f64 / 1000.0;
        self.updated_at = now;
        let burst = (self.rate_max / 10.0).max(1.0);
        self.tokens = (self.tokens + elapsed_s * self.rate_max).min(burst);
        if now >= self.stopped_until {
            self.window = (self.window + self.window_max * RECOVERY_PER_S * elapsed_s).min(self.window_max);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_bounds_what_is_in_flight() {
        let mut rate_controller = RateController::new(0, 10, 0);
        assert_eq!(rate_controller.allowance(0, 0, 0), 10);
        assert_eq!(rate_controller.allowance(0, 7, 0), 3);
        assert_eq!(rate_controller.allowance(0, 12, 0), 0);
        assert_eq!(rate_controller.wake_at(0), None, "only answers help");
    }

    #[test]
    fn a_rate_is_kept_over_time() {
        let mut rate_controller = RateController::new(100, 1000, 0);
        let mut sent = 0;
        for now in 0..10_000 {
            let now_allowed = rate_controller.allowance(now, 0, 0);
            rate_controller.spent(now_allowed);
            sent += now_allowed;
        }
        assert!(
            (990..=1010).contains(&sent),
            "{sent} in ten seconds at 100 a second"
        );
        assert!(rate_controller.wake_at(10_000).is_some());
    }

    #[test]
    fn a_rare_refusal_costs_little() {
        let mut rate_controller = RateController::new(0, 50, 0);
        let mut least = f64::MAX;
        // Ten seconds of 0.3 % throttled answers at 1000 a second.
        for now in 0..10_000 {
            if now % 333 == 0 {
                rate_controller.slow_down(now);
            } else {
                rate_controller.answered();
            }
            if now > 5_000 {
                least = least.min(rate_controller.allowance(now, 0, 0) as f64);
            }
        }
        assert!(least >= 40.0, "{least} of 50");
    }

    #[test]
    fn a_carrier_that_throttles_most_answers_gets_few_segments() {
        let mut rate_controller = RateController::new(0, 100, 0);
        for now in 0..10_000 {
            if rate_controller.allowance(now, 0, 0) > 0 {
                rate_controller.slow_down(now);
                rate_controller.answered();
            }
        }
        assert!(rate_controller.allowance(10_000, 0, 0) <= 20);
    }

    #[test]
    fn congestion_halves_once_a_burst_and_recovers() {
        let mut rate_controller = RateController::new(0, 100, 0);
        for _ in 0..50 {
            rate_controller.slow_down(1_000);
        }
        assert_eq!(rate_controller.allowance(1_000, 0, 0), 0);
        assert_eq!(rate_controller.wake_at(1_000), Some(1_200));
        let after = rate_controller.allowance(1_200, 0, 0);
        assert!((50..=60).contains(&after), "{after}");
        assert_eq!(rate_controller.allowance(10_000, 0, 0), 100);
    }
}
