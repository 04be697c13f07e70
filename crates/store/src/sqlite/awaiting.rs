//! Messages whose receipt is awaited, in the order of their submission.
//!
//! The id of a message has the time of its acceptance, which may be weeks before its submission. So each group enters
//! the messages that it made `Submitted` in a log keyed by that time: one row for many messages, an octet or two
//! each. The sweep reads the log from its old end. A row is a hint: the message's own row says whether it still waits
//! and since when.

use super::codes::{StateCode, as_count};
use super::error::Tried;
use super::id_clock::AHEAD_MS_MAX;
use super::ids_blob;
use super::memory::Work;
use super::outbox::{self, Change};
use super::timeline;
use crate::{MessageId, StatsKey, StoreError, TimelineEntry, TimelineKind, UnixMs};
use rusqlite::{Connection, OptionalExtension};
use sms::state::MessageState;

/// Messages in one row at most: about as many octets, which fit a page.
const IDS_A_ROW: usize = 1_000;
/// Submissions that are entered in one row lie within so many milliseconds.
const ROW_SPAN_MS: i64 = 1_000;
/// Messages looked at by one call of [`overdue`].
const LOOKED_AT_MAX: usize = 50_000;
/// Messages ended by one command: a few milliseconds.
const GIVEN_UP_MAX: usize = 2_000;
/// The counter in a row's id.
const COUNTER_MAX: i64 = (1 << MessageId::COUNTER_BITS) - 1;

/// Enters what the group has submitted, within its transaction.
pub(super) fn log(work: &mut Work<'_>) -> rusqlite::Result<()> {
    let submitted = std::mem::take(&mut work.effects.submitted);
    enter(work.conn, &submitted)
}

fn enter(conn: &Connection, submitted: &[(UnixMs, MessageId)]) -> rusqlite::Result<()> {
    if submitted.is_empty() {
        return Ok(());
    }
    let mut insert = conn.prepare_cached(
        "INSERT INTO awaiting_receipt (id, ids)
         VALUES (coalesce((SELECT max(id) FROM awaiting_receipt WHERE id BETWEEN ?1 AND ?1 + ?2), ?1 - 1) + 1, ?3)",
    )?;
    let mut ids = Vec::new();
    for near in submitted.chunk_by(|(a, _), (b, _)| a.div_euclid(ROW_SPAN_MS) == b.div_euclid(ROW_SPAN_MS)) {
        for piece in near.chunks(IDS_A_ROW) {
            let at = piece.iter().map(|(at, _)| *at).max().unwrap_or(0);
            ids.clear();
            ids.extend(piece.iter().map(|(_, id)| *id));
            insert.execute((first_row(at), COUNTER_MAX, ids_blob::encode(&ids)))?;
        }
    }
    Ok(())
}

/// The first row of a millisecond; a time outside the range of an id is cut to that range.
fn first_row(at: UnixMs) -> i64 {
    const MS_MAX: i64 = (i64::MAX >> MessageId::COUNTER_BITS) - 1;
    MessageId::first_at(at.clamp(0, MS_MAX)).0
}

/// When the newest submission was entered; 0 when there is none.
pub(super) fn newest_at(conn: &Connection) -> rusqlite::Result<UnixMs> {
    conn.query_row("SELECT coalesce(max(id), 0) FROM awaiting_receipt", [], |row| {
        row.get(0)
    })
    .map(|id| MessageId(id).time_part())
}

/// What a look at the old end of the log came to.
#[derive(Debug, Default)]
pub(super) struct Overdue {
    /// Messages that have waited too long.
    waiting: Vec<MessageId>,
    /// Messages to be entered (again), with when they were submitted.
    enter: Vec<(UnixMs, MessageId)>,
    /// Rows that have been seen through.
    rows: Vec<i64>,
    /// How far the messages of an older store have been entered.
    unentered_next: Option<i64>,
    /// Whether there may be more.
    pub(super) more: bool,
}

impl Overdue {
    /// Whether there is nothing to write.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.enter.is_empty() && self.unentered_next.is_none()
    }

    /// How much there is to write.
    pub(super) fn len(&self) -> usize {
        self.waiting.len() + self.rows.len() + self.enter.len() / 100
    }

    fn is_full(&self, looked_at: usize) -> bool {
        looked_at >= LOOKED_AT_MAX || self.waiting.len() >= GIVEN_UP_MAX
    }
}

/// Looks for messages submitted before `before` that still wait for a receipt: a bounded piece.
pub(super) fn overdue(conn: &Connection, before: UnixMs, now: UnixMs) -> Result<Overdue, StoreError> {
    if let Some(found) = unentered(conn).tried("look for messages of an older store")? {
        return Ok(found);
    }
    let mut found = Overdue::default();
    let mut looked_at = 0;
    let (first, last) = (0, first_row(before) - 1);
    look_through(conn, (first, last), &mut found, &mut looked_at, |found, waits| {
        if waits.since < before || waits.since > now {
            found.waiting.push(waits.id);
        } else {
            // Given to a carrier once more since.
            found.enter.push((waits.since, waits.id));
        }
    })?;
    // Entered while the clock was ahead: they wait from now on.
    let ahead = (first_row(now.saturating_add(AHEAD_MS_MAX)), i64::MAX);
    look_through(conn, ahead, &mut found, &mut looked_at, |found, waits| {
        found.enter.push((now, waits.id));
    })?;
    found.enter.sort_unstable();
    Ok(found)
}

/// A message that waits for a receipt.
struct Waits {
    id: MessageId,
    since: UnixMs,
}

/// Looks at the messages of a range of rows, from its beginning; gives those that wait to `take`.
fn look_through(
    conn: &Connection,
    (first, last): (i64, i64),
    found: &mut Overdue,
    looked_at: &mut usize,
    mut take: impl FnMut(&mut Overdue, Waits),
) -> Result<(), StoreError> {
    const TRIED: &str = "look for messages without a receipt";
    let mut rows = conn
        .prepare_cached("SELECT id, ids FROM awaiting_receipt WHERE id BETWEEN ?1 AND ?2 ORDER BY id")
        .tried(TRIED)?;
    let mut state = conn
        .prepare_cached("SELECT attempted_at FROM message_status WHERE id = ?1 AND state = ?2")
        .tried(TRIED)?;
    let mut rows = rows.query((first, last)).tried(TRIED)?;
    while let Some(row) = rows.next().tried(TRIED)? {
        if found.is_full(*looked_at) {
            found.more = true;
            break;
        }
        let blob = row.get_ref(1).tried(TRIED)?;
        let blob = blob
            .as_blob()
            .map_err(|_| StoreError::Damaged("a list of messages without a receipt".into()))?;
        for id in ids_blob::decode(blob)? {
            let since = state
                .query_row((id.0, StateCode(MessageState::Submitted)), |row| row.get(0))
                .optional()
                .tried(TRIED)?;
            if let Some(since) = since {
                take(found, Waits { id, since });
            }
            *looked_at += 1;
        }
        found.rows.push(row.get(0).tried(TRIED)?);
    }
    Ok(())
}

/// The next piece of the messages of an older store; `None` when all have been entered.
fn unentered(conn: &Connection) -> rusqlite::Result<Option<Overdue>> {
    let mark = |key: &str| -> rusqlite::Result<i64> {
        conn.prepare_cached("SELECT value FROM meta WHERE key = ?1")?
            .query_row([key], |row| row.get(0))
    };
    let (next, last) = (mark("unentered_next")?, mark("unentered_last")?);
    if next > last {
        return Ok(None);
    }
    let mut found = Overdue {
        more: true,
        ..Overdue::default()
    };
    let mut select = conn.prepare_cached(
        "SELECT id, state, attempted_at FROM message_status WHERE id BETWEEN ?1 AND ?2 ORDER BY id LIMIT ?3",
    )?;
    let mut rows = select.query((next, last, as_count(LOOKED_AT_MAX)))?;
    let (mut looked_at, mut seen) = (0, next);
    while let Some(row) = rows.next()? {
        let id = row.get(0)?;
        (looked_at, seen) = (looked_at + 1, id);
        if row.get::<_, StateCode>(1)?.0 == MessageState::Submitted {
            found.enter.push((row.get(2)?, MessageId(id)));
        }
    }
    found.enter.sort_unstable();
    found.unentered_next = Some(if looked_at == LOOKED_AT_MAX { seen } else { last } + 1);
    Ok(Some(found))
}

/// Ends messages whose receipts never came, and moves the log on; those that a receipt has ended meanwhile are left
/// alone.
pub(super) fn give_up(
    work: &mut Work<'_>,
    overdue: &Overdue,
    now: UnixMs,
) -> Result<Vec<MessageId>, StoreError> {
    let conn = work.conn;
    let mut find = conn
        .prepare_cached("SELECT stats_key, error FROM message_status WHERE id = ?1 AND state = ?2")
        .tried("give up on receipts")?;
    let mut update = conn
        .prepare_cached("UPDATE message_status SET state = ?2, changed_at = ?3 WHERE id = ?1")
        .tried("give up on receipts")?;
    let (unknown, submitted) = (
        StateCode(MessageState::Unknown),
        StateCode(MessageState::Submitted),
    );
    let mut ended = Vec::with_capacity(overdue.waiting.len());
    for &id in &overdue.waiting {
        let waited: Option<(i64, String)> = find
            .query_row((id.0, submitted), |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()
            .tried("give up on a receipt")?;
        let Some((stats_key, error)) = waited else {
            continue;
        };
        update
            .execute((id.0, unknown, now))
            .tried("give up on a receipt")?;
        let kind = TimelineKind::State(MessageState::Unknown);
        timeline::append(conn, id, [TimelineEntry { at: now, kind }])
            .tried("store a message's end in the timeline")?;
        let change = Change {
            id,
            stats_key: StatsKey::from_i64(stats_key),
            from: (MessageState::Submitted, ""),
            to: (MessageState::Unknown, error.trim_end_matches(' ')),
            at: now,
        };
        outbox::changed(work, change)?;
        ended.push(id);
    }
    move_on(conn, overdue).tried("move on in the log of submissions")?;
    Ok(ended)
}

fn move_on(conn: &Connection, overdue: &Overdue) -> rusqlite::Result<()> {
    let mut delete = conn.prepare_cached("DELETE FROM awaiting_receipt WHERE id = ?1")?;
    for row in &overdue.rows {
        delete.execute([row])?;
    }
    enter(conn, &overdue.enter)?;
    if let Some(next) = overdue.unentered_next {
        conn.execute("UPDATE meta SET value = ?1 WHERE key = 'unentered_next'", [next])?;
    }
    Ok(())
}
