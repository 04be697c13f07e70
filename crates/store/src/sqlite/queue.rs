//! Lanes and what waits for its time.

use super::codes::ClassCode;
use super::error::Tried;
use super::memory::Work;
use crate::{
    AccountId, AttemptId, CarrierNo, DequeuedRange, Lane, LaneBacklog, MessageId, QueueSeq, Released,
    StoreError, UnixMs,
};
use rusqlite::OptionalExtension;
use std::collections::BTreeMap;

/// How many messages a range holds.
fn count(first: MessageId, last: MessageId) -> i64 {
    last.0 - first.0 + 1
}

/// Puts a run of messages at the end of a lane.
pub(super) fn enqueue(
    work: &mut Work<'_>,
    lane: Lane,
    first: MessageId,
    last: MessageId,
    attempts: u8,
    last_attempt: Option<AttemptId>,
) -> Result<QueueSeq, StoreError> {
    let no = work.memory.next_queue_seq();
    insert(work, lane, no, (first, last), attempts, last_attempt)?;
    work.effects.lanes.push((lane, count(first, last)));
    Ok(no)
}

fn insert(
    work: &Work<'_>,
    lane: Lane,
    no: QueueSeq,
    (first, last): (MessageId, MessageId),
    attempts: u8,
    last_attempt: Option<AttemptId>,
) -> Result<(), StoreError> {
    work.conn
        .prepare_cached(
            "INSERT INTO queue (carrier, class, account, seq, first_id, last_id, attempts, last_attempt)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )
        .and_then(|mut insert| {
            insert.execute((
                lane.carrier.0,
                lane.class.as_u8(),
                lane.account.0,
                no.0,
                first.0,
                last.0,
                attempts,
                last_attempt.map(|attempt| attempt.0),
            ))
        })
        .tried("put messages in a lane")?;
    Ok(())
}

/// Puts a run of messages aside until `due`.
pub(super) fn delay(
    work: &mut Work<'_>,
    due: UnixMs,
    lane: Lane,
    first: MessageId,
    last: MessageId,
    attempts: u8,
    last_attempt: Option<AttemptId>,
) -> Result<(), StoreError> {
    let no = work.memory.next_queue_seq();
    work.conn
        .prepare_cached(
            "INSERT INTO delayed (due, seq, carrier, class, account, first_id, last_id, attempts, last_attempt)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )
        .and_then(|mut insert| {
            insert.execute((
                due,
                no.0,
                lane.carrier.0,
                lane.class.as_u8(),
                lane.account.0,
                first.0,
                last.0,
                attempts,
                last_attempt.map(|attempt| attempt.0),
            ))
        })
        .tried("put messages aside")?;
    work.effects.delayed += count(first, last);
    Ok(())
}

/// A row of the queue within a place, or a part of one.
pub(super) struct Piece {
    pub(super) first: MessageId,
    pub(super) last: MessageId,
    pub(super) attempts: u8,
    pub(super) last_attempt: Option<AttemptId>,
}

/// Takes exactly the run `taken` from its place; what is left on either side stays. What is not there (any
/// more) is not taken twice: it is returned.
pub(super) fn consume(work: &mut Work<'_>, taken: &DequeuedRange) -> Result<Vec<MessageId>, StoreError> {
    let lane = taken.key.lane;
    let whole = work
        .conn
        .prepare_cached(
            "DELETE FROM queue WHERE carrier = ?1 AND class = ?2 AND account = ?3 AND seq = ?4 AND first_id = ?5
                                 AND last_id = ?6",
        )
        .and_then(|mut delete| {
            delete.execute((
                lane.carrier.0,
                lane.class.as_u8(),
                lane.account.0,
                taken.key.no.0,
                taken.first.0,
                taken.last.0,
            ))
        })
        .tried("take messages from a lane")?;
    if whole == 1 {
        work.effects.lanes.push((lane, -count(taken.first, taken.last)));
        return Ok(Vec::new());
    }
    let pieces = take_out(work, taken)?;
    let there: i64 = pieces.iter().map(|piece| count(piece.first, piece.last)).sum();
    if there == count(taken.first, taken.last) {
        return Ok(Vec::new());
    }
    let is_there = |id: &MessageId| pieces.iter().any(|piece| (piece.first..=piece.last).contains(id));
    Ok((taken.first.0..=taken.last.0)
        .map(MessageId)
        .filter(|id| !is_there(id))
        .collect())
}

/// Takes what is there of a run out of its place, and returns it.
pub(super) fn take_out(work: &mut Work<'_>, run: &DequeuedRange) -> Result<Vec<Piece>, StoreError> {
    let mut pieces = pieces(work, run)?;
    for piece in &mut pieces {
        cut(work, run, piece)?;
        piece.first = piece.first.max(run.first);
        piece.last = piece.last.min(run.last);
    }
    Ok(pieces)
}

/// The rows of a place that hold some of the run.
fn pieces(work: &Work<'_>, taken: &DequeuedRange) -> Result<Vec<Piece>, StoreError> {
    let lane = taken.key.lane;
    let mut select = work
        .conn
        .prepare_cached(
            "SELECT first_id, last_id, attempts, last_attempt FROM queue
             WHERE carrier = ?1 AND class = ?2 AND account = ?3 AND seq = ?4 AND first_id <= ?5
             ORDER BY first_id DESC",
        )
        .tried("look into a lane")?;
    let rows = select
        .query_map(
            (
                lane.carrier.0,
                lane.class.as_u8(),
                lane.account.0,
                taken.key.no.0,
                taken.last.0,
            ),
            |row| {
                Ok(Piece {
                    first: MessageId(row.get(0)?),
                    last: MessageId(row.get(1)?),
                    attempts: row.get(2)?,
                    last_attempt: row.get::<_, Option<i64>>(3)?.map(AttemptId),
                })
            },
        )
        .tried("look into a lane")?;
    let mut pieces = Vec::new();
    for piece in rows {
        let piece = piece.tried("look into a lane")?;
        if piece.last < taken.first {
            break; // rows of a place do not overlap: those before end even earlier
        }
        pieces.push(piece);
    }
    Ok(pieces)
}

fn cut(work: &mut Work<'_>, taken: &DequeuedRange, piece: &Piece) -> Result<(), StoreError> {
    let lane = taken.key.lane;
    let no = taken.key.no;
    work.conn
        .prepare_cached(
            "DELETE FROM queue WHERE carrier = ?1 AND class = ?2 AND account = ?3 AND seq = ?4 AND first_id = ?5",
        )
        .and_then(|mut delete| {
            delete.execute((lane.carrier.0, lane.class.as_u8(), lane.account.0, no.0, piece.first.0))
        })
        .tried("take messages from a lane")?;
    for (first, last) in [
        (piece.first, taken.first.plus(-1)),
        (taken.last.plus(1), piece.last),
    ] {
        if first <= last {
            insert(work, lane, no, (first, last), piece.attempts, piece.last_attempt)?;
        }
    }
    let taken = count(piece.first.max(taken.first), piece.last.min(taken.last));
    work.effects.lanes.push((lane, -taken));
    Ok(())
}

/// A row of what waits for its time.
struct Due {
    due: UnixMs,
    no: i64,
    lane: Lane,
    first: MessageId,
    last: MessageId,
    attempts: u8,
    last_attempt: Option<AttemptId>,
}

/// Moves what is due into its lanes, in the order it became due.
pub(super) fn release(work: &mut Work<'_>, now: UnixMs, ranges_max: usize) -> Result<Released, StoreError> {
    work.memory.see(now);
    let due = read_due(work, now, ranges_max)?;
    let mut lanes = BTreeMap::new();
    for range in &due {
        enqueue(
            work,
            range.lane,
            range.first,
            range.last,
            range.attempts,
            range.last_attempt,
        )?;
        let released = count(range.first, range.last);
        work.effects.delayed -= released;
        *lanes.entry(range.lane).or_insert(0) += released.unsigned_abs();
    }
    if let Some(last) = due.last() {
        work.conn
            .prepare_cached("DELETE FROM delayed WHERE (due, seq) <= (?1, ?2)")
            .and_then(|mut delete| delete.execute((last.due, last.no)))
            .tried("release what is due")?;
    }
    let next_due = next_due(work.conn)?;
    Ok(Released {
        lanes: lanes
            .into_iter()
            .map(|(lane, messages)| LaneBacklog { lane, messages })
            .collect(),
        more: next_due.is_some_and(|due| due <= now),
        next_due,
    })
}

fn read_due(work: &Work<'_>, now: UnixMs, ranges_max: usize) -> Result<Vec<Due>, StoreError> {
    work.conn
        .prepare_cached(
            "SELECT due, seq, carrier, class, account, first_id, last_id, attempts, last_attempt FROM delayed
             WHERE due <= ?1 ORDER BY due, seq LIMIT ?2",
        )
        .and_then(|mut select| {
            select
                .query_map((now, super::codes::as_count(ranges_max)), |row| {
                    Ok(Due {
                        due: row.get(0)?,
                        no: row.get(1)?,
                        lane: Lane {
                            carrier: CarrierNo(row.get(2)?),
                            class: row.get::<_, ClassCode>(3)?.0,
                            account: AccountId(row.get(4)?),
                        },
                        first: MessageId(row.get(5)?),
                        last: MessageId(row.get(6)?),
                        attempts: row.get(7)?,
                        last_attempt: row.get::<_, Option<i64>>(8)?.map(AttemptId),
                    })
                })?
                .collect()
        })
        .tried("read what is due")
}

/// When the next delayed message is due.
pub(super) fn next_due(conn: &rusqlite::Connection) -> Result<Option<UnixMs>, StoreError> {
    conn.prepare_cached("SELECT due FROM delayed ORDER BY due, seq LIMIT 1")
        .and_then(|mut select| select.query_row([], |row| row.get(0)).optional())
        .tried("read the next due time")
}
