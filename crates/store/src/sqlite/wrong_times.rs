//! Times that were set while the machine's clock was ahead, brought back once it is right: what waits for one of them
//! would wait until the clock comes there again, and what is kept for a time after it would be kept as long.
//!
//! Not here: ids and acceptance times, of which eras take care ([`super::id_clock`]); receipts that are awaited
//! ([`super::awaiting`]) or parked ([`super::parked`]), and parts of inbound messages, which their sweeps look after.

use super::SqliteStore;
use super::codes::as_count;
use super::errand::Caller;
use super::error::Tried;
use super::id_clock::AHEAD_MS_MAX;
use super::memory::Work;
use crate::{MessageId, StoreError, UnixMs};
use rusqlite::Connection;

/// Rows corrected by one command, of each kind.
const ROWS_A_STEP: usize = 1_000;

/// `?1`: what the clock says, `?2`: a time later than this was set by a clock that was ahead, `?3`: rows at most.
///
/// Times that people asked for (schedules of messages and tasks) are none of these. A pause that is rightly longer ends
/// early, which costs one attempt or call more.
const CORRECTIONS: [&str; 7] = [
    "UPDATE delayed SET due = ?1 WHERE (due, no) IN
        (SELECT due, no FROM delayed WHERE due > ?2 AND attempts > 0 LIMIT ?3)",
    "UPDATE redelivery SET due = ?1 WHERE (endpoint, no) IN
        (SELECT endpoint, no FROM redelivery WHERE due > ?2 AND given_up_at IS NULL LIMIT ?3)",
    "UPDATE endpoint_state SET pause_until = ?1 WHERE endpoint IN
        (SELECT endpoint FROM endpoint_state WHERE pause_until > ?2 LIMIT ?3)",
    "UPDATE redelivery SET given_up_at = ?1 WHERE (endpoint, no) IN
        (SELECT endpoint, no FROM redelivery WHERE given_up_at > ?2 LIMIT ?3)",
    "UPDATE endpoint_state SET pause_since = ?1 WHERE endpoint IN
        (SELECT endpoint FROM endpoint_state WHERE pause_since > ?2 LIMIT ?3)",
    "UPDATE endpoint_state SET failing_since = ?1 WHERE endpoint IN
        (SELECT endpoint FROM endpoint_state WHERE failing_since > ?2 LIMIT ?3)",
    "UPDATE task SET ended_at = ?1 WHERE id IN (SELECT id FROM task WHERE ended_at > ?2 LIMIT ?3)",
];

/// How far the log of events has been looked through, backwards.
#[derive(Debug, Clone, Copy)]
struct Step {
    events_below: i64,
    corrected: u64,
    more: bool,
}

impl SqliteStore {
    pub(super) async fn correct(&self, now: UnixMs) -> Result<u64, StoreError> {
        let mut corrected = 0;
        let mut events_below = i64::MAX;
        loop {
            let step = self
                .errand(Caller::Engine, ROWS_A_STEP, move |work| {
                    step(work, events_below, now)
                })
                .await?;
            corrected += step.corrected;
            events_below = step.events_below;
            if !step.more {
                return Ok(corrected);
            }
        }
    }
}

fn step(work: &mut Work<'_>, events_below: i64, now: UnixMs) -> Result<Step, StoreError> {
    work.tick(now)?;
    let mut step = Step {
        events_below,
        corrected: 0,
        more: false,
    };
    let mut add = |rows: usize| {
        step.corrected += rows as u64;
        step.more |= rows >= ROWS_A_STEP;
    };
    for correction in CORRECTIONS {
        let rows = work
            .conn
            .prepare_cached(correction)
            .and_then(|mut update| update.execute((now, now + AHEAD_MS_MAX, as_count(ROWS_A_STEP))))
            .tried("correct a time of a wrong clock")?;
        add(rows);
    }
    add(lifetimes(work, now).tried("correct the ends of messages")?);
    let events = events(work.conn, events_below, now).tried("correct the times of events")?;
    add(events.len());
    step.events_below = events.last().copied().unwrap_or(0);
    Ok(step)
}

/// A message accepted while the clock was ahead lives as long as it was to live, but from now on.
fn lifetimes(work: &mut Work<'_>, now: UnixMs) -> rusqlite::Result<usize> {
    let ahead = work
        .memory
        .id_clock
        .eras()
        .accepted_in(&(now + AHEAD_MS_MAX..UnixMs::MAX));
    work.memory.batch = None;
    let mut corrected = 0;
    for ids in ahead {
        let (MessageId(first), MessageId(last)) = ids.into_inner();
        corrected += work
            .conn
            .prepare_cached(
                "UPDATE batch SET expires_at = ?1 + expires_at - coalesce(accepted_at, first_id >> 20)
                 WHERE first_id IN (SELECT first_id FROM batch WHERE first_id BETWEEN ?2 AND ?3
                     AND expires_at > coalesce(accepted_at, first_id >> 20) LIMIT ?4)",
            )?
            .execute((now, first, last, as_count(ROWS_A_STEP)))?;
    }
    Ok(corrected)
}

/// The times of rows of the log of events grow with them, so that those of a wrong clock are the newest. Returns the
/// rows that were corrected, the newest first.
fn events(conn: &Connection, below: i64, now: UnixMs) -> rusqlite::Result<Vec<i64>> {
    let newest: Vec<(i64, UnixMs)> = conn
        .prepare_cached("SELECT row, at FROM event NOT INDEXED WHERE row < ?1 ORDER BY row DESC LIMIT ?2")?
        .query_map((below, as_count(ROWS_A_STEP)), |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .collect::<rusqlite::Result<_>>()?;
    let wrong = newest.into_iter().take_while(|(_, at)| *at > now + AHEAD_MS_MAX);
    let mut update = conn.prepare_cached("UPDATE event SET at = ?2 WHERE row = ?1")?;
    wrong
        .map(|(row, _)| update.execute((row, now)).map(|_| row))
        .collect()
}
