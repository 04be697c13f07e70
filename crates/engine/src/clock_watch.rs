//! Watches the machine's clock: is it right at the start, does it jump while the engine runs.
//!
//! What a wrong clock gives is right again with the clock, but what was deleted because it seemed old is gone. So after a
//! jump ahead, and at a start long after the newest that the store has, nothing is deleted or ended for its age for
//! a while: long enough for a time service to correct the clock, or for a person to see the line in the log.

use crate::engine::Shared;
use crate::metrics::DirectionLabel;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::UnixMs;
use thiserror::Error;

/// How often the clock is compared with the time that has passed.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// After a correction that failed: the store may be unable to write for a while.
const CORRECT_AGAIN: Duration = Duration::from_secs(5);
/// At a start that is so long after the newest that the store has, nothing is deleted for a while.
const IDLE_MS_MAX: i64 = 86_400_000;
/// A clock that is so far ahead of the newest that the store has is not believed.
const UNUSED_MS_MAX: i64 = 400 * 86_400_000;
/// 2025-01-01, before the first release: no clock says an earlier time rightly.
const EARLIEST: UnixMs = 1_735_689_600_000;
/// 2035-01-01: a clock that says a later time is more likely wrong than right with this release.
const LATEST: UnixMs = 2_051_222_400_000;

/// What is done about a clock that jumps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockLimits {
    /// A clock that goes on by so much more or less than time passes has jumped.
    pub jump: Duration,
    /// How long nothing is deleted for its age after a jump ahead.
    pub hold: Duration,
}

impl Default for ClockLimits {
    fn default() -> Self {
        Self {
            jump: Duration::from_secs(60),
            hold: Duration::from_secs(3600),
        }
    }
}

/// Why the clock is not believed at a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum WrongClock {
    /// It says a time at which this program cannot run.
    #[error("the clock says {}, which cannot be right", day(*.now))]
    Impossible {
        /// What it says.
        now: UnixMs,
    },
    /// The store was not used for longer than stores rest.
    #[error(
        "the clock says {}, {} days after the newest that the store has ({})",
        day(*.now), (.now - .newest) / 86_400_000, day(*.newest)
    )]
    Ahead {
        /// What it says.
        now: UnixMs,
        /// The newest time in the store.
        newest: UnixMs,
    },
}

/// What a clock is doubted for by which a node starts all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DoubtfulClock {
    /// It is behind the store.
    #[error("the clock is {} s behind the newest that the store has: it is wrong, or was wrong then", .ms / 1000)]
    Behind {
        /// By how much.
        ms: i64,
    },
    /// The store was not used for longer than is usual: for so long, or the clock is ahead.
    #[error("the store has nothing of the last {} days: is the clock right?", .ms / 86_400_000)]
    Rested {
        /// How long.
        ms: i64,
    },
}

/// Whether there is something odd about a clock that says `now`, by a store whose newest time is `newest` (0: empty).
#[must_use]
pub fn doubt(now: UnixMs, newest: UnixMs, limits: &ClockLimits) -> Option<DoubtfulClock> {
    let ahead = now.saturating_sub(newest);
    if newest <= 0 {
        None
    } else if ahead < -millis(limits.jump) {
        Some(DoubtfulClock::Behind { ms: -ahead })
    } else if ahead > IDLE_MS_MAX && !limits.hold.is_zero() {
        Some(DoubtfulClock::Rested { ms: ahead })
    } else {
        None
    }
}

fn day(at: UnixMs) -> String {
    jiff::Timestamp::from_millisecond(at)
        .map_or_else(|_| format!("{at} ms"), |at| at.strftime("%Y-%m-%d").to_string())
}

/// Whether a node may start by this clock on a store whose newest time is `newest` (0: empty). A clock that is behind the
/// store is believed, for it is more likely that it was wrong then: [`start`] says so.
///
/// # Errors
/// When it cannot be right, or the store would have rested for more than 400 days.
pub fn check(now: UnixMs, newest: UnixMs) -> Result<(), WrongClock> {
    if !(EARLIEST..LATEST).contains(&now) {
        return Err(WrongClock::Impossible { now });
    }
    if newest > 0 && now.saturating_sub(newest) > UNUSED_MS_MAX {
        return Err(WrongClock::Ahead { now, newest });
    }
    Ok(())
}

/// What the clock has done.
#[derive(Debug, Default)]
pub(crate) struct ClockWatch {
    state: Mutex<State>,
    set_back: tokio::sync::Notify,
}

#[derive(Debug, Default)]
struct State {
    /// The clock less the time that has passed, when it was looked at last.
    base: Option<i64>,
    /// The sum of jumps that are not taken for right yet, in milliseconds.
    unconfirmed: i64,
    /// When they are, by the time that passes.
    confirmed_at: Option<UnixMs>,
}

impl ClockWatch {
    /// Looks at the clock; whether nothing may be deleted for its age now.
    pub(crate) fn look(&self, shared: &Shared) -> bool {
        let limits = shared.settings.clock;
        let (now, passed) = (shared.clock.now(), shared.clock.monotonic());
        let mut state = self.state.lock();
        let drift = state.base.map_or(0, |base| now - passed - base);
        state.base = Some(now - passed);
        if drift.abs() > millis(limits.jump) {
            state.jumped(drift, passed + millis(limits.hold));
            let direction = if drift > 0 { "forward" } else { "back" };
            shared
                .metrics
                .clock_jumps
                .get_or_create(&DirectionLabel { direction })
                .inc();
            tracing::error!(
                seconds = drift / 1000,
                unconfirmed_s = state.unconfirmed / 1000,
                "system clock jumped"
            );
            if drift < 0 {
                self.set_back.notify_one();
            }
        }
        state.settle(millis(limits.jump), passed);
        let held = state.unconfirmed > 0;
        if held != (shared.metrics.deletes_held.get() != 0) {
            shared.metrics.deletes_held.set(i64::from(held));
            shared.store.hold_deletes(held);
            match held {
                true => tracing::warn!(hold_s = limits.hold.as_secs(), "deletes held"),
                false => tracing::info!("deletes resumed"),
            }
        }
        held
    }
}

impl State {
    fn jumped(&mut self, drift: i64, confirmed_at: UnixMs) {
        self.unconfirmed = self.unconfirmed.saturating_add(drift);
        self.confirmed_at = Some(confirmed_at);
    }

    /// Jumps that took each other back, and those of long ago, count no more.
    fn settle(&mut self, jump_ms: i64, passed: UnixMs) {
        if self.unconfirmed.abs() <= jump_ms || self.confirmed_at.is_some_and(|at| at <= passed) {
            self.unconfirmed = 0;
            self.confirmed_at = None;
        }
    }
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// Compares the clock with the newest that the store has, before anything goes by it.
///
/// # Errors
/// When the store fails.
pub(crate) async fn start(shared: &Arc<Shared>) -> Result<(), store::StoreError> {
    let (now, newest) = (shared.clock.now(), shared.store.newest_at());
    let limits = shared.settings.clock;
    match doubt(now, newest, &limits) {
        Some(DoubtfulClock::Behind { ms }) => {
            let corrected = shared.store.correct_times(now).await?;
            tracing::error!(seconds = ms / 1000, corrected, "system clock behind store");
        }
        Some(DoubtfulClock::Rested { ms }) => {
            tracing::warn!(days = ms / 86_400_000, "system clock far ahead of store");
            let mut state = shared.clock_watch.state.lock();
            state.jumped(ms, shared.clock.monotonic() + millis(limits.hold));
        }
        None => {}
    }
    shared.clock_watch.look(shared);
    Ok(())
}

/// Runs until the engine stops.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut again = None;
    loop {
        tokio::select! {
            () = shared.clock_watch.set_back.notified() => again = correct(&shared).await,
            () = tokio::time::sleep(LOOK_EVERY) => {
                shared.clock_watch.look(&shared);
                if again.is_some_and(|at| at <= Instant::now()) {
                    again = correct(&shared).await;
                }
            }
        }
    }
}

/// What was set while the clock was ahead does not wait until it comes there again. When to try again, if that could not be
/// stored.
async fn correct(shared: &Shared) -> Option<Instant> {
    match shared.store.correct_times(shared.clock.now()).await {
        Ok(0) => None,
        Ok(corrected) => {
            tracing::warn!(corrected, "stored times corrected");
            None
        }
        Err(error) => {
            tracing::warn!(%error, "stored times not corrected");
            Some(Instant::now() + CORRECT_AGAIN)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;
    const NOW: UnixMs = 1_795_305_600_000;

    #[test]
    fn a_clock_that_cannot_be_right_is_refused_and_a_store_may_rest_for_a_year() {
        for (now, newest) in [
            (NOW, 0),
            (NOW, NOW - 366 * DAY),
            (NOW, NOW + 10 * 365 * DAY),
            (EARLIEST, 0),
        ] {
            assert_eq!(check(now, newest), Ok(()), "{now} {newest}");
        }
        for now in [0, EARLIEST - 1, LATEST, i64::MAX] {
            assert_eq!(check(now, NOW), Err(WrongClock::Impossible { now }));
        }
        let (now, newest) = (NOW + 401 * DAY, NOW);
        let refused = check(now, newest).unwrap_err();
        assert_eq!(refused, WrongClock::Ahead { now, newest });
        assert!(refused.to_string().contains("401 days after"), "{refused}");
    }

    #[test]
    fn jumps_count_until_they_are_taken_back_or_confirmed() {
        let mut state = State::default();
        state.jumped(10 * DAY, 3_600_000);
        state.settle(60_000, 1_000);
        assert_eq!(state.unconfirmed, 10 * DAY);
        state.jumped(-10 * DAY + 500, 3_700_000);
        state.settle(60_000, 2_000);
        assert_eq!(
            (state.unconfirmed, state.confirmed_at),
            (0, None),
            "it is right again"
        );
        state.jumped(DAY, 3_600_000);
        state.settle(60_000, 3_600_000);
        assert_eq!(state.unconfirmed, 0, "it stayed where it is");
    }
}
