//! Removing what is old, from the left edge of the tables and a bounded piece at a time.

use super::accept;
use super::codes::{StateCode, as_count};
use super::error::Tried;
use super::lsm::{Kind, SortedRun};
use super::memory::Work;
use crate::{MessageId, StoreError, UnixMs};
use rusqlite::Connection;
use std::sync::atomic::Ordering;

/// Messages looked at by one call: a few milliseconds.
const MESSAGES_A_STEP: usize = 4_000;
/// Requests looked at by one piece of housekeeping, which comes after half as many new ones.
const REQUESTS_A_STEP: usize = 512;
/// Pages of a dropped run deleted with one group.
const PAGES_A_STEP: i64 = 64;

/// Deletes a piece of the messages accepted before `before` that are in a final state; true while there are more to
/// look at.
pub(super) fn expire_messages(work: &mut Work<'_>, before: UnixMs, now: UnixMs) -> Result<bool, StoreError> {
    work.tick(now)?;
    let before = work.memory.id_clock.eras().cut(before);
    let start = work.effects.sweep.unwrap_or(work.memory.sweep);
    let looked = look(work.conn, start, before).tried("look for old messages")?;
    for run in looked.chunk_by(|a, b| a.1 == b.1) {
        if let (Some(&(first, true)), Some(&(last, _))) = (run.first(), run.last()) {
            delete_messages(work.conn, first, last).tried("delete old messages")?;
        }
    }
    let more = looked.len() == MESSAGES_A_STEP;
    let end = match looked.last() {
        Some(&(last, _)) if more => last + 1,
        _ => before.0,
    };
    delete_batches(work.conn, start.0, end).tried("delete old batches")?;
    drop_empty_runs(work, end).tried("look for runs without messages")?;
    // What is before this may be gone; `check --deep` compares what is not. Earlier releases did not say.
    work.conn
        .execute(
            "INSERT INTO meta (key, value)
             VALUES ('swept_before', max(?1, (SELECT value FROM meta WHERE key = 'id_floor')))
             ON CONFLICT (key) DO UPDATE SET value = max(value, ?1)",
            [end],
        )
        .tried("remember what may be gone")?;
    // Ids are never reused, not even when no message is left that has the last one.
    let floor = work.memory.last_id.0;
    work.conn
        .execute(
            "UPDATE meta SET value = max(value, ?1) WHERE key = 'id_floor'",
            [floor],
        )
        .tried("remember the last id")?;
    // Messages kept because they were not final are looked at again by the next sweep.
    work.effects.sweep = Some(if more { MessageId(end) } else { MessageId(0) });
    Ok(more)
}

/// Messages from `start` on below `before`, each with whether it may go.
fn look(conn: &Connection, start: MessageId, before: MessageId) -> rusqlite::Result<Vec<(i64, bool)>> {
    conn.prepare_cached(
        "SELECT m.id, o.state FROM message m LEFT JOIN message_status o ON o.id = m.id
         WHERE m.id >= ?1 AND m.id < ?2 ORDER BY m.id LIMIT ?3",
    )?
    .query_map((start.0, before.0, as_count(MESSAGES_A_STEP)), |row| {
        let state: Option<StateCode> = row.get(1)?;
        Ok((row.get(0)?, state.is_some_and(|state| state.0.is_final())))
    })?
    .collect()
}

fn delete_messages(conn: &Connection, first: i64, last: i64) -> rusqlite::Result<()> {
    for sql in [
        "DELETE FROM message WHERE id BETWEEN ?1 AND ?2",
        "DELETE FROM message_status WHERE id BETWEEN ?1 AND ?2",
        "DELETE FROM message_timeline WHERE message BETWEEN ?1 AND ?2",
        "DELETE FROM reused_request_id WHERE first_message BETWEEN ?1 AND ?2",
    ] {
        conn.prepare_cached(sql)?.execute((first, last))?;
    }
    Ok(())
}

/// Deletes batches that begin within a range of ids already looked through and have no message left; also
/// the one that began before it, whose messages reached into it.
fn delete_batches(conn: &Connection, start: i64, end: i64) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "DELETE FROM batch
         WHERE first_id >= coalesce((SELECT max(first_id) FROM batch WHERE first_id <= ?1), ?1)
           AND first_id < ?2
           AND NOT EXISTS (SELECT 1 FROM message m
                           WHERE m.id BETWEEN batch.first_id AND batch.first_id + batch.messages - 1)",
    )?
    .execute((start, end))?;
    Ok(())
}

/// Lets go of runs of numbers none of whose messages is left.
fn drop_empty_runs(work: &mut Work<'_>, before: i64) -> rusqlite::Result<()> {
    let sorted_runs = work.with_index(Kind::Number, |index| index.sorted_runs());
    let mut left = work
        .conn
        .prepare_cached("SELECT 1 FROM message WHERE id BETWEEN ?1 AND ?2 LIMIT 1")?;
    for run in sorted_runs.iter().filter(|run| run.last_id() < before) {
        if !left.exists((run.first_id(), run.last_id()))? {
            work.effects.dropped.push((Kind::Number, run.no()));
        }
    }
    Ok(())
}

/// Lets go of runs of a kind that are old.
fn drop_old_runs(work: &mut Work<'_>, kind: Kind, is_old: impl Fn(&SortedRun) -> bool) {
    let sorted_runs = work.with_index(kind, |index| index.sorted_runs());
    let old = sorted_runs.iter().filter(|run| is_old(run));
    work.effects.dropped.extend(old.map(|run| (kind, run.no())));
}

/// What is done beside the commands of a group; true when the oldest dropped run is gone with it.
pub(super) fn housekeep(work: &mut Work<'_>) -> Result<bool, StoreError> {
    let believed =
        work.memory.believes_the_clock() && !work.shared.meters.deletes_held.load(Ordering::Relaxed);
    if believed && work.memory.requests_since_purge >= REQUESTS_A_STEP / 2 {
        work.memory.requests_since_purge = 0;
        purge_requests(work)?;
    }
    if let Some(run) = work.memory.dropped.front() {
        return run
            .delete_step(work.conn, PAGES_A_STEP)
            .map(|more| !more)
            .tried("delete an old run");
    }
    if !believed {
        return Ok(false);
    }
    let oldest = work.memory.now - work.memory.config.receipt_age_ms_max;
    drop_old_runs(work, Kind::Receipt, |run| run.flushed_at() < oldest);
    Ok(false)
}

/// Deletes requests at the left edge that need not be remembered any longer.
fn purge_requests(work: &mut Work<'_>) -> Result<(), StoreError> {
    let now = work.memory.request_time.now();
    let oldest: Vec<(i64, bool)> = work
        .conn
        .prepare_cached("SELECT id, expires_at FROM idempotency_record ORDER BY id LIMIT ?1")
        .and_then(|mut select| {
            select
                .query_map([as_count(REQUESTS_A_STEP)], |row| {
                    let (id, expires_at) = (row.get(0)?, row.get(1)?);
                    Ok((id, accept::request_ends_at(work, id, expires_at) <= now))
                })?
                .collect()
        })
        .tried("look for old requests")?;
    let Some(&(last, _)) = oldest.iter().take_while(|(_, expired)| *expired).last() else {
        return Ok(());
    };
    work.conn
        .prepare_cached("DELETE FROM idempotency_record WHERE id <= ?1")
        .and_then(|mut delete| delete.execute([last]))
        .tried("delete old requests")?;
    drop_old_runs(work, Kind::Request, |run| run.last_id() <= last);
    Ok(())
}
