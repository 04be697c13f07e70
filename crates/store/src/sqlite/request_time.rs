//! The time for which idempotency records are kept.
//!
//! It goes on as time passes while a node runs, and never jumps with the machine's clock: an id that was used a
//! second ago is known, whatever the clock says by now. A jump is a *leap*: its row says from which request on which
//! sum of leaps holds, and what was used before ends that much later, or earlier. A clock that jumps back and is set
//! right adds up to nothing.
//!
//! While no node runs a pause cannot be distinguished from a clock that was set. So a pause counts as a leap: a
//! client that retried all the time that a node was away gets the answer of its first attempt.

use crate::UnixMs;
use rusqlite::Connection;

/// What the clock goes on by more or less than this while time passes is no leap: clocks are corrected by so much, and
/// commands wait for the writer. Ids are remembered that much shorter or longer.
const SLACK_MS: i64 = 60_000;
/// Leaps kept at most. Beyond them ids go by the clock until the next start, which deletes those no id needs.
const LEAPS_MAX: usize = 1_024;

/// From this request on the clock is ahead of the time that has passed by the sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Leap {
    first_request: i64,
    sum_ms: i64,
}

/// What is looked at when a request comes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    /// What the clock says.
    pub(super) now: UnixMs,
    /// Milliseconds that have passed since some moment of this process.
    pub(super) passed_ms: i64,
}

impl Moment {
    fn ahead_ms(self) -> i64 {
        self.now.saturating_sub(self.passed_ms)
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct RequestTime {
    /// The oldest first; of several from one request on the last counts.
    leaps: Vec<Leap>,
    /// By what the clock was ahead of the time that has passed, at the start and after each leap.
    base_ms: Option<i64>,
    /// When the last request before this process came, by the clock that there was last; `None` when that is not known.
    newest_at: Option<UnixMs>,
    /// Requests before this one are of releases that kept no leaps.
    known_from: i64,
    /// What the clock said with the last request.
    now: UnixMs,
}

/// For [`RequestTime::rollback_to`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Savepoint {
    leaps: usize,
    base_ms: Option<i64>,
}

impl RequestTime {
    /// Drops leaps that no request needs any more. `at` says when a request came.
    pub(super) fn load(conn: &Connection, at: impl Fn(i64) -> UnixMs) -> rusqlite::Result<Self> {
        conn.execute(
            "DELETE FROM idempotency_leap WHERE NOT EXISTS (SELECT 1 FROM idempotency_record)
                OR first_request < (SELECT max(first_request) FROM idempotency_leap
                                    WHERE first_request <= (SELECT min(id) FROM idempotency_record))",
            [],
        )?;
        let leaps: Vec<Leap> = conn
            .prepare("SELECT first_request, sum_ms FROM idempotency_leap ORDER BY first_request")?
            .query_map([], |row| {
                Ok(Leap {
                    first_request: row.get(0)?,
                    sum_ms: row.get(1)?,
                })
            })?
            .collect::<rusqlite::Result<_>>()?;
        let newest: Option<i64> =
            conn.query_row("SELECT max(id) FROM idempotency_record", [], |row| row.get(0))?;
        let known_from: i64 = conn.query_row(
            "SELECT coalesce(max(value), 0) FROM meta WHERE key = 'idempotency_leaps_from'",
            [],
            |row| row.get(0),
        )?;
        let mut time = Self {
            leaps,
            base_ms: None,
            newest_at: None,
            known_from,
            now: 0,
        };
        time.newest_at = newest.and_then(|id| time.ends_at(id, at(id)));
        Ok(time)
    }

    /// A request came. A leap that is noticed with it must be stored with what comes of the request, whose id is after
    /// `last_request`.
    pub(super) fn look(&mut self, moment: Moment, last_request: i64) -> Option<Leap> {
        self.now = moment.now;
        let ahead_ms = moment.ahead_ms();
        let at_start = self.newest_at.map_or(ahead_ms, |at| at - moment.passed_ms);
        let leap_ms = ahead_ms.saturating_sub(self.base_ms.unwrap_or(at_start));
        if leap_ms.abs() <= SLACK_MS {
            self.base_ms.get_or_insert(ahead_ms);
            return None;
        }
        self.base_ms = Some(ahead_ms);
        if self.leaps.len() >= LEAPS_MAX {
            return None;
        }
        let leap = Leap {
            first_request: last_request + 1,
            sum_ms: self.sum_ms().saturating_add(leap_ms),
        };
        self.leaps.push(leap);
        Some(leap)
    }

    /// What the clock said with the last request, in Unix milliseconds.
    pub(super) fn now(&self) -> UnixMs {
        self.now
    }

    /// Until when by the clock of now the id of a request is remembered that was to be until `expires_at` by the clock
    /// of then; `None` for a request of an earlier release.
    pub(super) fn ends_at(&self, request: i64, expires_at: UnixMs) -> Option<UnixMs> {
        let before = self.leaps.partition_point(|leap| leap.first_request <= request);
        let then = before.checked_sub(1).and_then(|place| self.leaps.get(place));
        let since_ms = self.sum_ms().saturating_sub(then.map_or(0, |leap| leap.sum_ms));
        (request >= self.known_from).then(|| expires_at.saturating_add(since_ms))
    }

    fn sum_ms(&self) -> i64 {
        self.leaps.last().map_or(0, |leap| leap.sum_ms)
    }

    pub(super) fn savepoint(&self) -> Savepoint {
        Savepoint {
            leaps: self.leaps.len(),
            base_ms: self.base_ms,
        }
    }

    /// Leaps noticed since were not stored.
    pub(super) fn rollback_to(&mut self, savepoint: Savepoint) {
        self.leaps.truncate(savepoint.leaps);
        self.base_ms = savepoint.base_ms;
    }
}

/// Stores a leap, within the transaction of the request that it was noticed with.
pub(super) fn store(conn: &Connection, leap: Leap) -> rusqlite::Result<()> {
    conn.execute(
        "INSERT INTO idempotency_leap (first_request, sum_ms) VALUES (?1, ?2)
         ON CONFLICT (first_request) DO UPDATE SET sum_ms = excluded.sum_ms",
        (leap.first_request, leap.sum_ms),
    )
    .map(drop)
}
