//! The log of events: writing it, reading it forward, and deleting old events that every endpoint has acked.

use super::codes::as_count;
use super::error::Tried;
use super::memory::Work;
use super::{delivery, outbox_codec, query};
use crate::{AccountId, Event, EventKinds, EventOffset, EventWhat, StoreError, UnixMs};
use rusqlite::{Connection, OptionalExtension};
use std::collections::HashMap;

/// Events in a row of the log: what a reader holds in memory at once.
const ROW_EVENTS_MAX: u32 = 8_192;
/// Rows looked at by one read.
const READ_ROWS_MAX: usize = 1_000;
/// Rows looked at, and events deleted, by one call of [`expire`]: a few milliseconds.
const EXPIRED_ROWS_MAX: usize = 1_000;
const EXPIRED_EVENTS_MAX: u64 = 200_000;

/// What the endpoints of an account want together, those that are switched off included.
fn wanted(conn: &Connection, account: AccountId) -> Result<EventKinds, StoreError> {
    let kinds: Vec<u8> = conn
        .prepare_cached("SELECT kinds FROM endpoint WHERE account = ?1")
        .and_then(|mut select| select.query_map([account.0], |row| row.get(0))?.collect())
        .tried("read the subscriptions of an account")?;
    Ok(kinds
        .into_iter()
        .fold(EventKinds::NONE, |all, kinds| all | EventKinds(kinds)))
}

/// Logs events of an account that happened at `at`, in order, as a row of their own, if any of its endpoints
/// subscribes to them. For rare events, and for tools; commands with many events share a row.
pub(super) fn append(
    conn: &Connection,
    account: AccountId,
    at: UnixMs,
    events: &[EventWhat],
) -> Result<(), StoreError> {
    let wanted = wanted(conn, account)?;
    let events = events.iter().filter(|what| wanted.contains(what.kind()));
    log(conn, account, events.map(|what| (at, what)))
}

/// Logs events of an account, in order, each with when it happened. They share a row, unless there are very many.
pub(super) fn log<'e>(
    conn: &Connection,
    account: AccountId,
    events: impl Iterator<Item = (UnixMs, &'e EventWhat)>,
) -> Result<(), StoreError> {
    let mut row = NewRow::default();
    for (at, what) in events {
        if row.count == ROW_EVENTS_MAX {
            std::mem::take(&mut row).insert(conn, account)?;
        }
        row.push(at, what);
    }
    row.insert(conn, account)
}

/// The accounts of the rows after one.
pub(super) fn accounts_after(conn: &Connection, row: i64) -> Result<Vec<AccountId>, StoreError> {
    // By the rows alone: the index would be read whole.
    let mut accounts: Vec<AccountId> = conn
        .prepare_cached("SELECT account FROM outbox NOT INDEXED WHERE row > ?1")
        .and_then(|mut select| {
            select
                .query_map([row], |row| row.get(0).map(AccountId))?
                .collect()
        })
        .tried("look for accounts with events")?;
    accounts.sort_unstable();
    accounts.dedup();
    Ok(accounts)
}

/// When the last row was logged; 0 when there is none.
pub(super) fn newest_at(conn: &Connection) -> rusqlite::Result<UnixMs> {
    conn.query_row(
        "SELECT coalesce((SELECT at FROM outbox ORDER BY row DESC LIMIT 1), 0)",
        [],
        |row| row.get(0),
    )
}

/// The last row of the log.
pub(super) fn last_row(conn: &Connection) -> rusqlite::Result<i64> {
    conn.prepare_cached("SELECT coalesce(max(row), 0) FROM outbox")?
        .query_row([], |row| row.get(0))
}

/// A row of the log being written.
#[derive(Default)]
struct NewRow {
    at: UnixMs,
    kinds: EventKinds,
    count: u32,
    entries: outbox_codec::Writer,
}

impl NewRow {
    fn push(&mut self, at: UnixMs, what: &EventWhat) {
        self.at = self.at.max(at);
        self.kinds = self.kinds | what.kind();
        self.count += 1;
        self.entries.push(at, what);
    }

    /// Writes the row, if anything is in it.
    fn insert(self, conn: &Connection, account: AccountId) -> Result<(), StoreError> {
        if self.count == 0 {
            return Ok(());
        }
        conn.prepare_cached(
            "INSERT INTO outbox (account, at, kinds, count, entries)
             VALUES (?1, max(?2, coalesce((SELECT at FROM outbox ORDER BY row DESC LIMIT 1), ?2)), ?3, ?4, ?5)",
        )
        .and_then(|mut insert| {
            insert.execute((account.0, self.at, self.kinds.0, self.count, self.entries.finish()))
        })
        .map(drop)
        .tried("log events")
    }
}

/// The last event of an account; the beginning when there is none.
pub(super) fn end_of_log(conn: &Connection, account: AccountId) -> Result<EventOffset, StoreError> {
    end_before(conn, account, i64::MAX)
}

/// The last event of an account in rows before one; the beginning when there is none.
fn end_before(conn: &Connection, account: AccountId, row: i64) -> Result<EventOffset, StoreError> {
    let last: Option<(i64, u32)> = conn
        .prepare_cached(
            "SELECT row, count FROM outbox WHERE account = ?1 AND row < ?2 ORDER BY row DESC LIMIT 1",
        )
        .and_then(|mut select| {
            select
                .query_row((account.0, row), |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()
        })
        .tried("look for the end of an account's events")?;
    Ok(last.map_or(EventOffset::default(), |(row, count)| EventOffset {
        row,
        index: count.saturating_sub(1),
    }))
}

/// Events of an account after a place, and how far was looked.
pub(super) fn read(
    conn: &Connection,
    account: AccountId,
    after: EventOffset,
    kinds: EventKinds,
    events_max: usize,
) -> Result<(Vec<Event>, EventOffset), StoreError> {
    let mut select = conn
        .prepare_cached(
            "SELECT row, count, CASE WHEN kinds & ?3 THEN entries END FROM outbox
             WHERE account = ?1 AND row >= ?2 ORDER BY row LIMIT ?4",
        )
        .tried("read events")?;
    let mut rows = select
        .query((account.0, after.row, kinds.0, as_count(READ_ROWS_MAX)))
        .tried("read events")?;
    let mut found = Vec::new();
    let mut looked = after;
    while let Some(row) = rows.next().tried("read events")? {
        let (no, count, entries) = (|| {
            let entries = row.get_ref(2)?.as_blob_or_null()?;
            Ok((row.get(0)?, row.get::<_, u32>(1)?, entries))
        })()
        .tried("read events")?;
        for event in outbox_codec::Reader::new(no, entries.unwrap_or_default()) {
            let event = event?;
            if event.offset <= after {
                continue;
            }
            looked = event.offset;
            if kinds.contains(event.what.kind()) {
                found.push(event);
                if found.len() >= events_max {
                    return Ok((found, looked));
                }
            }
        }
        looked = looked.max(EventOffset {
            row: no,
            index: count.saturating_sub(1),
        });
    }
    Ok((found, looked))
}

/// The place before the first event of an account at or after a time; the end when there is none.
pub(super) fn offset_before(
    conn: &Connection,
    account: AccountId,
    at: UnixMs,
) -> Result<EventOffset, StoreError> {
    query::snapshot(conn, || {
        let first = first_row_at(conn, account, at).tried("look for a time in the events")?;
        let mut select = conn
            .prepare_cached("SELECT row, entries FROM outbox WHERE account = ?1 AND row >= ?2 ORDER BY row")
            .tried("look for a time in the events")?;
        let mut rows = select
            .query((account.0, first))
            .tried("look for a time in the events")?;
        let mut before = end_before(conn, account, first)?;
        while let Some(row) = rows.next().tried("look for a time in the events")? {
            let no = row.get(0).tried("look for a time in the events")?;
            let entries = row.get_ref(1).and_then(|entries| Ok(entries.as_blob()?));
            for event in outbox_codec::Reader::new(no, entries.tried("look for a time in the events")?) {
                let event = event?;
                if event.at >= at {
                    return Ok(before);
                }
                before = event.offset;
            }
        }
        Ok(before)
    })
}

/// The first row of an account in which there may be an event at or after a time: rows are searched by halves,
/// for their times grow with them.
fn first_row_at(conn: &Connection, account: AccountId, at: UnixMs) -> rusqlite::Result<i64> {
    let mut next = conn
        .prepare_cached("SELECT row, at FROM outbox WHERE account = ?1 AND row >= ?2 ORDER BY row LIMIT 1")?;
    let (mut from, mut to) = (0, last_row(conn)? + 1);
    while from < to {
        let middle = from + (to - from) / 2;
        let found: Option<(i64, UnixMs)> = next
            .query_row((account.0, middle), |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        match found {
            Some((row, row_at)) if row_at < at => from = row + 1,
            _ => to = middle,
        }
    }
    Ok(from)
}

/// Deletes a piece of the events logged before `before` that no endpoint waits for, and of the calls that died before
/// `dead_before`. True while there is more.
pub(super) fn expire(work: &mut Work<'_>, before: UnixMs, dead_before: UnixMs) -> Result<bool, StoreError> {
    let more_calls = delivery::expire(work.conn, dead_before)?;
    let after = work.effects.event_sweep.unwrap_or(work.memory.event_sweep);
    let mut acked_offsets: HashMap<AccountId, Vec<(EventKinds, EventOffset)>> = HashMap::new();
    for (account, kinds, offset) in delivery::endpoint_offsets(work.conn)? {
        acked_offsets.entry(account).or_default().push((kinds, offset));
    }
    let rows = old_rows(work.conn, after, before).tried("look for old events")?;
    let mut delete = work
        .conn
        .prepare_cached("DELETE FROM outbox WHERE row = ?1")
        .tried("delete old events")?;
    let (mut deleted, mut last) = (0, None);
    for row in &rows {
        if deleted >= EXPIRED_EVENTS_MAX {
            break;
        }
        last = Some(row.no);
        let end = EventOffset {
            row: row.no,
            index: row.count.saturating_sub(1),
        };
        let is_waited_for = acked_offsets.get(&row.account).is_some_and(|endpoints| {
            let waits = |(kinds, acked_offset): &(EventKinds, EventOffset)| {
                kinds.0 & row.kinds.0 != 0 && *acked_offset < end
            };
            endpoints.iter().any(waits)
        });
        if !is_waited_for {
            delete.execute([row.no]).tried("delete old events")?;
            deleted += u64::from(row.count);
        }
    }
    // Rows that wait are looked at again by the next sweep.
    let more = rows.len() == EXPIRED_ROWS_MAX || deleted >= EXPIRED_EVENTS_MAX;
    work.effects.event_sweep = Some(last.filter(|_| more).unwrap_or(0));
    Ok(more || more_calls)
}

/// A row of the log without its events.
struct OldRow {
    no: i64,
    account: AccountId,
    kinds: EventKinds,
    count: u32,
}

fn old_rows(conn: &Connection, after: i64, before: UnixMs) -> rusqlite::Result<Vec<OldRow>> {
    let mut select = conn.prepare_cached(
        "SELECT row, account, kinds, count, at FROM outbox NOT INDEXED WHERE row > ?1 ORDER BY row",
    )?;
    let mut rows = select.query([after])?;
    let mut old = Vec::new();
    while old.len() < EXPIRED_ROWS_MAX
        && let Some(row) = rows.next()?
        && row.get::<_, UnixMs>(4)? < before
    {
        old.push(OldRow {
            no: row.get(0)?,
            account: AccountId(row.get(1)?),
            kinds: EventKinds(row.get(2)?),
            count: row.get(3)?,
        });
    }
    Ok(old)
}
