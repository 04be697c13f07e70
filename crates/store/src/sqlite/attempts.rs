//! Attempts: the durable intent to give messages to a carrier.

use super::codes::StateCode;
use super::error::Tried;
use super::ids_blob;
use super::memory::{OpenSpan, Work};
use super::queue;
use crate::{AttemptId, AttemptStart, BegunAttempt, CarrierNo, MessageId, OpenAttempt, StoreError};
use rusqlite::{Connection, OptionalExtension};
use sms::state::MessageState;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

pub(super) fn begin(work: &mut Work<'_>, starts: &[AttemptStart]) -> Result<Vec<BegunAttempt>, StoreError> {
    starts.iter().map(|start| begin_one(work, start)).collect()
}

fn begin_one(work: &mut Work<'_>, start: &AttemptStart) -> Result<BegunAttempt, StoreError> {
    work.memory.see(start.now);
    let attempt = AttemptId(work.memory.attempt.take());
    let mut gone = Vec::new();
    for taken in &start.consumed {
        gone.extend(queue::consume(work, taken)?);
    }
    gone.sort_unstable();
    let messages: Cow<'_, [MessageId]> = if gone.is_empty() {
        Cow::Borrowed(&start.messages)
    } else {
        let left = start.messages.iter().filter(|id| gone.binary_search(id).is_err());
        Cow::Owned(left.copied().collect())
    };
    let begun = BegunAttempt { id: attempt, gone };
    if messages.is_empty() && !begun.gone.is_empty() {
        return Ok(begun); // nothing is left to be attempted, or to be closed
    }
    work.conn
        .prepare_cached("INSERT INTO attempt (id, carrier, bind, at, ids) VALUES (?1, ?2, ?3, ?4, ?5)")
        .and_then(|mut insert| {
            let ids = ids_blob::encode(&messages);
            insert.execute((attempt.0, start.carrier.0, start.bind, start.now, ids))
        })
        .tried("begin an attempt")?;
    work.effects.opened.push((attempt, span(start.bind, &messages)));
    Ok(begun)
}

fn span(bind: u16, messages: &[MessageId]) -> OpenSpan {
    let mut messages = messages.to_vec();
    messages.sort_unstable();
    OpenSpan {
        bind,
        messages: messages.into(),
        answered: 0,
    }
}

/// Removes an attempt all of whose messages have a result.
pub(super) fn close(work: &mut Work<'_>, attempt: AttemptId) -> Result<(), StoreError> {
    work.conn
        .prepare_cached("DELETE FROM attempt WHERE id = ?1")
        .and_then(|mut delete| delete.execute([attempt.0]))
        .tried("close an attempt")?;
    work.effects.closed.push(attempt);
    Ok(())
}

/// The attempts that are not closed, with those of their messages that have no result of them.
pub(super) fn open(conn: &Connection) -> Result<Vec<OpenAttempt>, StoreError> {
    let mut attempts = all(conn)?;
    attempts.retain(|attempt| !attempt.messages.is_empty());
    Ok(attempts)
}

/// All attempts, also those that lack no result and only have not been closed.
fn all(conn: &Connection) -> Result<Vec<OpenAttempt>, StoreError> {
    let rows: Vec<(OpenAttempt, Vec<u8>)> = conn
        .prepare_cached("SELECT id, carrier, bind, at, ids FROM attempt ORDER BY id")
        .and_then(|mut select| {
            select
                .query_map([], |row| {
                    let attempt = OpenAttempt {
                        attempt: AttemptId(row.get(0)?),
                        carrier: CarrierNo(row.get(1)?),
                        bind: row.get(2)?,
                        at: row.get(3)?,
                        messages: Vec::new(),
                    };
                    Ok((attempt, row.get(4)?))
                })?
                .collect()
        })
        .tried("read open attempts")?;
    let mut attempts = Vec::with_capacity(rows.len());
    for (mut attempt, ids) in rows {
        for id in ids_blob::decode(&ids)? {
            match last_attempt(conn, id)? {
                // One that had a result may be gone by now, result and all, while others of the attempt are open.
                None if is_there(conn, id)? => attempt.messages.push((id, 0)),
                None => {}
                Some((last, attempts)) if last < attempt.attempt => attempt.messages.push((id, attempts)),
                Some(_) => {}
            }
        }
        attempts.push(attempt);
    }
    Ok(attempts)
}

fn is_there(conn: &Connection, id: MessageId) -> Result<bool, StoreError> {
    conn.prepare_cached("SELECT 1 FROM message WHERE id = ?1")
        .and_then(|mut select| select.exists([id.0]))
        .tried("look for a message")
}

/// The last attempt that a message's row has the whole result of, and how many attempts counted until then.
fn last_attempt(conn: &Connection, id: MessageId) -> Result<Option<(AttemptId, u8)>, StoreError> {
    conn.prepare_cached("SELECT attempt, attempts, state FROM message_status WHERE id = ?1")
        .and_then(|mut select| {
            select
                .query_row([id.0], |row| {
                    let attempt = AttemptId(row.get(0)?);
                    // Some of its segments are recorded, others were under way: that attempt is not over.
                    let partly = row.get::<_, StateCode>(2)?.0 == MessageState::InFlight;
                    let whole = if partly { AttemptId(attempt.0 - 1) } else { attempt };
                    Ok((whole, row.get(1)?))
                })
                .optional()
        })
        .tried("look for a message's last attempt")
}

/// The open attempts after a start. Those that lack no result any more (a kill came before they were
/// closed) are closed here.
pub(super) fn tidy(conn: &Connection) -> Result<Vec<OpenAttempt>, StoreError> {
    let (open, answered): (Vec<_>, Vec<_>) = all(conn)?
        .into_iter()
        .partition(|attempt| !attempt.messages.is_empty());
    for attempt in answered {
        conn.execute("DELETE FROM attempt WHERE id = ?1", [attempt.attempt.0])
            .tried("close an answered attempt")?;
    }
    Ok(open)
}

/// What memory holds of open attempts.
pub(super) fn spans(open: &[OpenAttempt]) -> impl Iterator<Item = (AttemptId, OpenSpan)> {
    open.iter().map(|attempt| {
        let messages: Vec<MessageId> = attempt.messages.iter().map(|&(id, _)| id).collect();
        (attempt.attempt, span(attempt.bind, &messages))
    })
}

/// Whether and where a message is in flight, for a view.
pub(super) fn in_flight(
    open: &HashMap<AttemptId, OpenSpan>,
    first: MessageId,
    last: MessageId,
) -> HashMap<MessageId, AttemptId> {
    let mut found = HashMap::new();
    for (&attempt, span) in open {
        let messages: &Arc<[MessageId]> = &span.messages;
        let start = messages.partition_point(|&id| id < first);
        let end = messages.partition_point(|&id| id <= last);
        for &id in messages.get(start..end).unwrap_or_default() {
            let newest = found.entry(id).or_insert(attempt);
            *newest = attempt.max(*newest);
        }
    }
    found
}
