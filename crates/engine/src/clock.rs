//! Time as an argument: whole scenarios run on a paused clock.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};
use store::UnixMs;

/// Where the engine takes the time from.
pub trait Clock: Send + Sync + 'static {
    /// Unix milliseconds, UTC.
    fn now(&self) -> UnixMs;
}

/// The machine's clock.
#[derive(Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> UnixMs {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }
}

/// A clock that moves only when told to.
#[derive(Debug)]
pub struct PausedClock(AtomicI64);

impl PausedClock {
    /// Standing at `now`.
    pub fn at(now: UnixMs) -> Self {
        Self(AtomicI64::new(now))
    }

    /// Moves on by `ms`.
    pub fn advance(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for PausedClock {
    fn now(&self) -> UnixMs {
        self.0.load(Ordering::SeqCst)
    }
}
