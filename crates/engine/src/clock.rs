//! Time as an argument: whole scenarios run on a paused clock.

use parking_lot::Mutex;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use store::UnixMs;

/// Where the engine takes the time from.
pub trait Clock: Send + Sync + 'static {
    /// Unix milliseconds, UTC.
    fn now(&self) -> UnixMs;

    /// The same, but never going back: for pauses and other spans, which must not become longer because the machine's
    /// clock was set back. What goes on from here is compared with it only; what is stored or shown is [`Clock::now`].
    fn steady(&self) -> UnixMs {
        self.now()
    }

    /// Milliseconds that have passed since some moment, whatever is done to the clock: shows that it jumped.
    fn monotonic(&self) -> UnixMs {
        self.steady()
    }
}

/// Of this process.
static STEADY: Steady = Steady(Mutex::new(None));

/// A time that goes on with the monotonic clock, and ahead with the machine's.
#[derive(Debug, Default)]
struct Steady(Mutex<Option<(UnixMs, Instant)>>);

impl Steady {
    fn at(&self, now: UnixMs, monotonic: Instant) -> UnixMs {
        let mut base = self.0.lock();
        let went_on = base.map(|(at, since)| {
            let passed = monotonic.saturating_duration_since(since).as_millis();
            at.saturating_add(i64::try_from(passed).unwrap_or(i64::MAX))
        });
        match went_on {
            Some(steady) if steady > now => steady,
            _ => {
                *base = Some((now, monotonic));
                now
            }
        }
    }
}

/// The machine's clock.
#[derive(Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> UnixMs {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }

    fn steady(&self) -> UnixMs {
        STEADY.at(self.now(), Instant::now())
    }

    fn monotonic(&self) -> UnixMs {
        static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
        i64::try_from(BEGAN.elapsed().as_millis()).unwrap_or(i64::MAX)
    }
}

/// A clock that moves only by calls of its methods.
#[derive(Debug)]
pub struct PausedClock {
    now: AtomicI64,
    /// How far it was set back.
    back: AtomicI64,
    /// How far it was set ahead.
    ahead: AtomicI64,
}

impl PausedClock {
    /// Standing at `now`.
    pub fn at(now: UnixMs) -> Self {
        Self {
            now: AtomicI64::new(now),
            back: AtomicI64::new(0),
            ahead: AtomicI64::new(0),
        }
    }

    /// Moves on by `ms`.
    pub fn advance(&self, ms: i64) {
        self.now.fetch_add(ms, Ordering::SeqCst);
    }

    /// Is set ahead by `ms`: no time passes.
    pub fn set_ahead(&self, ms: i64) {
        self.ahead.fetch_add(ms, Ordering::SeqCst);
        self.advance(ms);
    }

    /// Is set back by `ms`, as a machine's clock may be: no time passes.
    pub fn set_back(&self, ms: i64) {
        self.back.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for PausedClock {
    fn now(&self) -> UnixMs {
        self.steady() - self.back.load(Ordering::SeqCst)
    }

    fn steady(&self) -> UnixMs {
        self.now.load(Ordering::SeqCst)
    }

    fn monotonic(&self) -> UnixMs {
        self.steady() - self.ahead.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_steady_time_goes_on_when_the_clock_is_set_back_and_ahead_when_it_is_set_ahead() {
        let (steady, start) = (Steady::default(), Instant::now());
        let after = |ms| start + Duration::from_millis(ms);
        assert_eq!(steady.at(1_000_000, after(0)), 1_000_000);
        assert_eq!(steady.at(1_000_500, after(500)), 1_000_500);
        assert_eq!(
            steady.at(400_600, after(600)),
            1_000_600,
            "set back by ten minutes"
        );
        assert_eq!(steady.at(400_900, after(900)), 1_000_900);
        assert_eq!(steady.at(9_000_000, after(1_000)), 9_000_000, "set ahead");
        assert_eq!(steady.at(1_001_500, after(1_500)), 9_000_500);
    }
}
