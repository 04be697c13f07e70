//! How fast one bind may go: a rate agreed with the carrier, and what the carrier says while it runs.
//!
//! The rate is a token bucket of a tenth of a second. Congestion (`ESME_RTHROTTLED`, `ESME_RMSGQFUL`) halves the
//! allowance and stops the bind for a moment; every quiet tenth of a second after that adds a little back (AIMD),
//! so that the bind settles just below what the carrier takes.

use store::UnixMs;

/// Rate and congestion of one bind. Time is given in Unix milliseconds.
#[derive(Debug, Clone)]
pub(crate) struct Pace {
    /// Segments a second agreed with the carrier; 0: no limit.
    rate_max: f64,
    /// Segments in flight agreed with the carrier.
    window_max: f64,
    /// Segments in flight allowed now, 1..=window_max.
    window: f64,
    /// Segments that may go out now, when there is a rate.
    tokens: f64,
    updated_at: UnixMs,
    stopped_until: UnixMs,
}

/// How long a bind rests after the carrier asked it to slow down.
const REST_MS: i64 = 200;
/// How fast the window opens again, a second.
const RECOVERY_PER_S: f64 = 0.25;

impl Pace {
    pub(crate) fn new(rate_per_s_max: u32, window_max: u16, now: UnixMs) -> Self {
        let window = f64::from(window_max.max(1));
        Self {
            rate_max: f64::from(rate_per_s_max),
            window_max: window,
            window,
            tokens: 0.0,
            updated_at: now,
            stopped_until: 0,
        }
    }

    /// Segments that may be given to the bind now, with `in_flight` of them there already.
    pub(crate) fn allowance(&mut self, now: UnixMs, in_flight: usize) -> usize {
        self.refresh(now);
        if now < self.stopped_until {
            return 0;
        }
        let room = (self.window as usize).max(1).saturating_sub(in_flight);
        if self.rate_max > 0.0 {
            room.min(self.tokens as usize)
        } else {
            room
        }
    }

    /// Whether the carrier asked to slow down and the window is not what was agreed yet.
    pub(crate) fn is_slowed(&self) -> bool {
        self.window < self.window_max
    }

    /// Segments were given to the bind.
    pub(crate) fn spent(&mut self, segments: usize) {
        if self.rate_max > 0.0 {
            // May go below zero: a long message goes out whole and is paid off.
            self.tokens -= segments as f64;
        }
    }

    /// The carrier asked to slow down.
    pub(crate) fn slow_down(&mut self, now: UnixMs) {
        self.refresh(now);
        // One burst of refusals is one sign, not many.
        if now >= self.stopped_until {
            self.window = (self.window / 2.0).max(1.0);
            self.stopped_until = now + REST_MS;
        }
    }

    /// When something may go out again, if nothing may now for want of time rather than of answers.
    pub(crate) fn wake_at(&self, now: UnixMs) -> Option<UnixMs> {
        if now < self.stopped_until {
            return Some(self.stopped_until);
        }
        if self.rate_max > 0.0 && self.tokens < 1.0 {
            let wait_ms = ((1.0 - self.tokens) / self.rate_max * 1000.0).ceil() as i64;
            return Some(now + wait_ms.max(1));
        }
        None
    }

    fn refresh(&mut self, now: UnixMs) {
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
        let mut pace = Pace::new(0, 10, 0);
        assert_eq!(pace.allowance(0, 0), 10);
        assert_eq!(pace.allowance(0, 7), 3);
        assert_eq!(pace.allowance(0, 12), 0);
        assert_eq!(pace.wake_at(0), None, "only answers help");
    }

    #[test]
    fn a_rate_is_kept_over_time() {
        let mut pace = Pace::new(100, 1000, 0);
        let mut sent = 0;
        for now in 0..10_000 {
            let now_allowed = pace.allowance(now, 0);
            pace.spent(now_allowed);
            sent += now_allowed;
        }
        assert!(
            (990..=1010).contains(&sent),
            "{sent} in ten seconds at 100 a second"
        );
        assert!(pace.wake_at(10_000).is_some());
    }

    #[test]
    fn congestion_halves_once_a_burst_and_recovers() {
        let mut pace = Pace::new(0, 100, 0);
        for _ in 0..50 {
            pace.slow_down(1_000);
        }
        assert_eq!(pace.allowance(1_000, 0), 0);
        assert_eq!(pace.wake_at(1_000), Some(1_200));
        let after = pace.allowance(1_200, 0);
        assert!((50..=60).contains(&after), "{after}");
        assert_eq!(pace.allowance(10_000, 0), 100);
    }
}
