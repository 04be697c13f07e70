//! Times that were set while the machine's clock was ahead, corrected once it is right: what waits for one of them
//! would wait until the clock comes there again, and what is kept for a time after it would be kept as long.
//!
//! Each step goes on where the one before it ended, and what was corrected says so in its row (`batch.ttl_from`,
//! `event.written_at`): so a correction may be repeated, interrupted, or followed by another one.
//!
//! Not here: ids and acceptance times, of which eras take care ([`super::id_clock`]); receipts that are awaited
//! ([`super::awaiting`]) or unmatched ([`super::unmatched_receipts`]), and parts of inbound messages, which their sweeps look
//! after.

use super::SqliteStore;
use super::codes::as_count;
use super::error::Tried;
use super::id_clock::AHEAD_MS_MAX;
use super::memory::Work;
use super::write_task::OverloadPolicy;
use crate::{MessageId, StoreError, UnixMs};
use rusqlite::{Connection, OptionalExtension};

/// Rows corrected by one command, of each kind.
const ROWS_A_STEP: usize = 1_000;
/// Rows looked at by one command, of each kind: a few milliseconds of the writer.
const LOOKED_AT_A_STEP: usize = 10_000;

/// `?1`: what the clock says, `?2`: a time later than this was set by a clock that was ahead, `?3`: rows at most.
///
/// What is found here has an index by its time, or is a row an endpoint. A pause that is rightly longer ends early,
/// which costs one call more. A dead call has the last due time there is.
const CORRECTIONS: [&str; 6] = [
    "UPDATE delivery_retry SET due = ?1 WHERE (endpoint, seq) IN
        (SELECT r.endpoint, r.seq FROM endpoint_state s CROSS JOIN delivery_retry r INDEXED BY delivery_retry_by_due
         WHERE r.endpoint = s.endpoint AND r.due > ?2 AND r.due < 9223372036854775807 LIMIT ?3)",
    "UPDATE endpoint_state SET pause_until = ?1 WHERE endpoint IN
        (SELECT endpoint FROM endpoint_state WHERE pause_until > ?2 LIMIT ?3)",
    "UPDATE delivery_retry SET dead_at = ?1 WHERE (endpoint, seq) IN
        (SELECT endpoint, seq FROM delivery_retry WHERE dead_at > ?2 LIMIT ?3)",
    "UPDATE endpoint_state SET pause_since = ?1 WHERE endpoint IN
        (SELECT endpoint FROM endpoint_state WHERE pause_since > ?2 LIMIT ?3)",
    "UPDATE endpoint_state SET failing_since = ?1 WHERE endpoint IN
        (SELECT endpoint FROM endpoint_state WHERE failing_since > ?2 LIMIT ?3)",
    "UPDATE task SET ended_at = ?1 WHERE id IN (SELECT id FROM task WHERE ended_at > ?2 LIMIT ?3)",
];

/// Where a correction goes on; `None`: that kind is done.
#[derive(Debug, Clone, Copy)]
struct Cursor {
    /// Whether any of [`CORRECTIONS`] may find more.
    by_statement: bool,
    /// After this due time and number.
    delayed: Option<(UnixMs, i64)>,
    /// From this first id on.
    batches: Option<MessageId>,
    events: bool,
}

impl Cursor {
    fn at_start(now: UnixMs) -> Self {
        Self {
            by_statement: true,
            delayed: Some((now.saturating_add(AHEAD_MS_MAX), i64::MAX)),
            batches: Some(MessageId(i64::MIN)),
            events: true,
        }
    }

    fn is_done(&self) -> bool {
        !self.by_statement && self.delayed.is_none() && self.batches.is_none() && !self.events
    }
}

impl SqliteStore {
    pub(super) async fn correct(&self, now: UnixMs) -> Result<u64, StoreError> {
        let mut corrected = 0;
        let mut cursor = Cursor::at_start(now);
        while !cursor.is_done() {
            let (rows, next) = self
                .submit_write(OverloadPolicy::Backpressure, ROWS_A_STEP, move |work| {
                    step(work, cursor, now)
                })
                .await?;
            corrected += rows;
            cursor = next;
        }
        Ok(corrected)
    }
}

/// One step of each kind that is not done; the rows that were corrected, and where to go on.
fn step(work: &mut Work<'_>, mut cursor: Cursor, now: UnixMs) -> Result<(u64, Cursor), StoreError> {
    work.tick(now)?;
    let mut corrected = 0;
    if cursor.by_statement {
        cursor.by_statement = false;
        for correction in CORRECTIONS {
            let rows = work
                .conn
                .prepare_cached(correction)
                .and_then(|mut update| update.execute((now, now + AHEAD_MS_MAX, as_count(ROWS_A_STEP))))
                .tried("correct a time of a wrong clock")?;
            corrected += rows;
            cursor.by_statement |= rows >= ROWS_A_STEP;
        }
    }
    if let Some(after) = cursor.delayed {
        let (rows, next) = retries(work.conn, after, now).tried("correct when another attempt is due")?;
        corrected += rows;
        cursor.delayed = next;
    }
    if let Some(from) = cursor.batches {
        let (rows, next) = lifetimes(work, from, now).tried("correct the ends of messages")?;
        corrected += rows;
        cursor.batches = next;
    }
    if cursor.events {
        let rows = events(work.conn, now).tried("correct the times of events")?;
        corrected += rows;
        cursor.events = rows >= ROWS_A_STEP;
    }
    Ok((corrected as u64, cursor))
}

/// Pauses before another attempt, in the order in which they are due. Schedules set by clients are among them and
/// stay. A pause that is rightly longer ends early, which costs one attempt more.
fn retries(
    conn: &Connection,
    after: (UnixMs, i64),
    now: UnixMs,
) -> rusqlite::Result<(usize, Option<(UnixMs, i64)>)> {
    let mut select = conn.prepare_cached(
        "SELECT due, seq, attempts > 0 FROM delayed WHERE (due, seq) > (?1, ?2) ORDER BY due, seq LIMIT ?3",
    )?;
    let mut rows = select.query((after.0, after.1, as_count(LOOKED_AT_A_STEP)))?;
    let (mut looked_at, mut last, mut wrong) = (0, after, Vec::new());
    while wrong.len() < ROWS_A_STEP
        && let Some(row) = rows.next()?
    {
        looked_at += 1;
        last = (row.get(0)?, row.get(1)?);
        if row.get(2)? {
            wrong.push(last);
        }
    }
    drop(rows);
    let mut update = conn.prepare_cached("UPDATE delayed SET due = ?3 WHERE due = ?1 AND seq = ?2")?;
    for (due, no) in &wrong {
        update.execute((due, no, now))?;
    }
    let more = looked_at == LOOKED_AT_A_STEP || wrong.len() == ROWS_A_STEP;
    Ok((wrong.len(), more.then_some(last)))
}

/// A message accepted while the clock was ahead lives as long as it was to live, but from now on. One that is scheduled
/// for later than the clock said lives from then on, whatever the clock said.
fn lifetimes(
    work: &mut Work<'_>,
    from: MessageId,
    now: UnixMs,
) -> rusqlite::Result<(usize, Option<MessageId>)> {
    let eras = work.memory.id_clock.eras();
    let mut ahead = eras.accepted_in(&(now + AHEAD_MS_MAX..UnixMs::MAX));
    // The oldest first.
    ahead.reverse();
    work.memory.batch = None;
    let mut select = work.conn.prepare_cached(
        "SELECT first_id, coalesce(ttl_from, accepted_at, first_id >> 20) AS since, expires_at, due
         FROM batch WHERE first_id BETWEEN ?1 AND ?2 ORDER BY first_id LIMIT ?3",
    )?;
    let mut update = work
        .conn
        .prepare_cached("UPDATE batch SET expires_at = ?2, ttl_from = ?3 WHERE first_id = ?1")?;
    let (mut looked_at, mut corrected) = (0, 0);
    for ids in ahead {
        let (first, last) = (from.max(*ids.start()), *ids.end());
        let room = LOOKED_AT_A_STEP - looked_at;
        let mut rows = select.query((first.0, last.0, as_count(room)))?;
        while let Some(row) = rows.next()? {
            let id: i64 = row.get(0)?;
            let (since, due): (UnixMs, Option<UnixMs>) = (row.get(1)?, row.get(3)?);
            let expires_at: Option<UnixMs> = row.get(2)?;
            looked_at += 1;
            if let Some(expires_at) = expires_at
                && since > now + AHEAD_MS_MAX
                && due.is_none_or(|due| due <= since)
            {
                update.execute((id, now + (expires_at - since), now))?;
                corrected += 1;
            }
            if looked_at == LOOKED_AT_A_STEP || corrected == ROWS_A_STEP {
                return Ok((corrected, Some(MessageId(id).plus(1))));
            }
        }
    }
    Ok((corrected, None))
}

/// The times of rows of the log of events grow with them, so those of a wrong clock are the last rows. The first of them
/// are lowered first: then the times grow after each step. Returns how many were.
fn events(conn: &Connection, now: UnixMs) -> rusqlite::Result<usize> {
    let Some(first) = first_event_after(conn, now + AHEAD_MS_MAX)? else {
        return Ok(0);
    };
    let before: Option<UnixMs> = conn
        .prepare_cached("SELECT at FROM outbox WHERE row < ?1 ORDER BY row DESC LIMIT 1")?
        .query_row([first], |row| row.get(0))
        .optional()?;
    let at = before.map_or(now, |before| before.max(now));
    conn.prepare_cached(
        "UPDATE outbox SET written_at = coalesce(written_at, at), at = ?2 WHERE row IN
             (SELECT row FROM outbox NOT INDEXED WHERE row >= ?1 ORDER BY row LIMIT ?3)",
    )?
    .execute((first, at, as_count(ROWS_A_STEP)))
}

/// The first row of the log of events with a time later than this, found by halving.
fn first_event_after(conn: &Connection, at: UnixMs) -> rusqlite::Result<Option<i64>> {
    let ends: (Option<i64>, Option<i64>) = conn.query_row(
        "SELECT (SELECT min(row) FROM outbox), (SELECT max(row) FROM outbox)",
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let (Some(mut low), Some(mut high)) = ends else {
        return Ok(None);
    };
    let mut at_or_after =
        conn.prepare_cached("SELECT row, at FROM outbox WHERE row >= ?1 ORDER BY row LIMIT 1")?;
    let mut read = |row: i64| at_or_after.query_row([row], |row| Ok((row.get(0)?, row.get(1)?)));
    let (_, newest): (i64, UnixMs) = read(high)?;
    if newest <= at {
        return Ok(None);
    }
    while low < high {
        let middle = low + (high - low) / 2;
        let (row, its): (i64, UnixMs) = read(middle)?;
        if its > at {
            high = middle;
        } else {
            low = row + 1;
        }
    }
    read(low).map(|(row, _)| Some(row))
}
