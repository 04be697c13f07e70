//! Reading messages back.

use super::attempts::in_flight;
use super::batch;
use super::cause;
use super::codes::{Number, as_count, written_from_sql};
use super::error::Tried;
use super::memory::Shared;
use super::message_status::{self, MessageStatus};
use super::segments;
use crate::{
    AccountId, AttemptId, BatchView, CarrierNo, Lane, MessageId, MessageView, Outgoing, QueuePosition,
    QueueSeq, StoreError,
};
use rusqlite::{Connection, Row};
use sms::phone::Msisdn;
use sms::state::MessageState;
use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// A message with its outcome, without its batch.
pub(super) struct MessageRow {
    pub(super) id: MessageId,
    pub(super) msisdn: Msisdn,
    carrier: CarrierNo,
    segments: u8,
    written: Box<str>,
    params: Option<Box<str>>,
    extra: Option<Box<str>>,
    outcome: Option<MessageStatus>,
}

impl MessageRow {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        let at = message_status::COLUMNS_COUNT;
        let msisdn = row.get::<_, Number>(at + 1)?.0;
        Ok(Self {
            outcome: MessageStatus::from_row(row, 0)?,
            id: MessageId(row.get(at)?),
            msisdn,
            carrier: CarrierNo(row.get(at + 2)?),
            segments: row.get(at + 3)?,
            written: written_from_sql(row.get_ref(at + 4)?, msisdn)?,
            params: row.get(at + 5)?,
            extra: row.get(at + 6)?,
        })
    }

    /// The state now; `attempt` is the open attempt that holds the message.
    pub(super) fn state(&self, attempt: Option<AttemptId>) -> MessageState {
        let Some(outcome) = &self.outcome else {
            return if attempt.is_some() {
                MessageState::InFlight
            } else {
                MessageState::Queued
            };
        };
        let again = attempt.is_some_and(|attempt| attempt > outcome.attempt);
        if again && !outcome.state.is_final() {
            MessageState::InFlight
        } else {
            outcome.state
        }
    }

    pub(super) fn view(self, batch: Arc<BatchView>, attempt: Option<AttemptId>) -> MessageView {
        let state = self.state(attempt);
        let (id, accepted_at) = (self.id, batch.accepted_at);
        let view = MessageView {
            id,
            batch,
            msisdn: self.msisdn,
            written: self.written,
            params: self.params,
            extra: self.extra,
            segments: self.segments,
            state,
            carrier: self.carrier,
            attempts: 0,
            submitted_at: None,
            changed_at: accepted_at,
            status: 0,
            error: Box::default(),
            cause: None,
            by_receipt: false,
        };
        let Some(outcome) = self.outcome else { return view };
        // Given to a carrier, and not taken back since.
        let waits = matches!(
            outcome.state,
            MessageState::Queued | MessageState::InFlight | MessageState::InDoubt
        );
        let taken = !waits
            && (outcome.carrier_id.is_some() || outcome.segments.is_some() || !outcome.flags.in_timeline());
        let (error, cause) = match cause::split(&outcome.error) {
            (_, None) => (outcome.error, None),
            (code, cause) => (code.into(), cause),
        };
        MessageView {
            carrier: outcome.carrier,
            attempts: outcome.attempts,
            submitted_at: taken.then_some(outcome.answered_at),
            changed_at: outcome.changed_at,
            status: outcome.status,
            error,
            cause,
            by_receipt: outcome.flags.by_receipt(),
            ..view
        }
    }
}

/// Reads messages of a range with their outcomes, oldest first, at most `messages_max`.
pub(super) fn rows(
    conn: &Connection,
    range: RangeInclusive<MessageId>,
    messages_max: usize,
) -> Result<Vec<MessageRow>, StoreError> {
    rows_ordered(conn, range, messages_max, "m.id")
}

/// Reads messages of a range with their outcomes, newest first, at most `messages_max`.
pub(super) fn rows_backwards(
    conn: &Connection,
    range: RangeInclusive<MessageId>,
    messages_max: usize,
) -> Result<Vec<MessageRow>, StoreError> {
    rows_ordered(conn, range, messages_max, "m.id DESC")
}

fn rows_ordered(
    conn: &Connection,
    range: RangeInclusive<MessageId>,
    messages_max: usize,
    order: &'static str,
) -> Result<Vec<MessageRow>, StoreError> {
    let sql = format!(
        "SELECT {}, m.id, m.msisdn, m.carrier, m.segments, m.written, m.params, m.extra
         FROM message m LEFT JOIN message_status o ON o.id = m.id
         WHERE m.id BETWEEN ?1 AND ?2 ORDER BY {order} LIMIT ?3",
        message_status::COLUMNS
    );
    conn.prepare_cached(&sql)
        .and_then(|mut select| {
            let params = (range.start().0, range.end().0, as_count(messages_max));
            select.query_map(params, MessageRow::from_row)?.collect()
        })
        .tried("read messages")
}

/// The batches met while reading, so that each is read once.
#[derive(Default)]
pub(super) struct Batches {
    last: Option<Arc<BatchView>>,
}

impl Batches {
    /// The batch of a message.
    pub(super) fn of(&mut self, conn: &Connection, id: MessageId) -> Result<Arc<BatchView>, StoreError> {
        if let Some(batch) = &self.last
            && (batch.id..=batch::last_of(batch)).contains(&id)
        {
            return Ok(Arc::clone(batch));
        }
        let batch = batch::of(conn, id)?
            .map(Arc::new)
            .ok_or_else(|| StoreError::Damaged(format!("message {id} is in no batch")))?;
        self.last = Some(Arc::clone(&batch));
        Ok(batch)
    }
}

/// A read transaction, so that a message and its batch are of one moment.
pub(super) fn snapshot<T>(
    conn: &Connection,
    read: impl FnOnce() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let snapshot = conn.unchecked_transaction().tried("begin to read")?;
    let found = read()?;
    snapshot.finish().tried("end reading")?;
    Ok(found)
}

/// Messages by id, in the order of the ids; unknown ones are left out.
pub(super) fn messages(
    conn: &Connection,
    shared: &Shared,
    mut ids: Vec<MessageId>,
) -> Result<Vec<MessageView>, StoreError> {
    ids.sort_unstable();
    ids.dedup();
    let (Some(&first), Some(&last)) = (ids.first(), ids.last()) else {
        return Ok(Vec::new());
    };
    // Before the snapshot: what is answered between the two is then seen in its new state.
    let open_attempts = in_flight(&shared.open.read(), first, last);
    snapshot(conn, || {
        let mut batches = Batches::default();
        let mut views = Vec::with_capacity(ids.len());
        for run in ids.chunk_by(|a, b| a.plus(1) == *b) {
            let (Some(&first), Some(&last)) = (run.first(), run.last()) else {
                continue;
            };
            for row in rows(conn, first..=last, run.len())? {
                let batch = batches.of(conn, row.id)?;
                let attempt = open_attempts.get(&row.id).copied();
                views.push(row.view(batch, attempt));
            }
        }
        Ok(views)
    })
}

/// All messages of a session, at most `messages_max`.
pub(super) fn session(
    conn: &Connection,
    shared: &Shared,
    account: AccountId,
    first: MessageId,
    messages_max: usize,
) -> Result<Vec<MessageView>, StoreError> {
    let open = &shared.open;
    snapshot(conn, || {
        let batches: Vec<Arc<BatchView>> = batches_of_session(conn, account, first)?;
        let Some(last) = batches.last().map(|batch| batch::last_of(batch)) else {
            return Ok(Vec::new());
        };
        let open_attempts = in_flight(&open.read(), first, last);
        let mut views = Vec::new();
        for batch in batches {
            let left = messages_max - views.len();
            if left == 0 {
                break;
            }
            for row in rows(conn, batch.id..=batch::last_of(&batch), left)? {
                let attempt = open_attempts.get(&row.id).copied();
                views.push(row.view(Arc::clone(&batch), attempt));
            }
        }
        Ok(views)
    })
}

fn batches_of_session(
    conn: &Connection,
    account: AccountId,
    first: MessageId,
) -> Result<Vec<Arc<BatchView>>, StoreError> {
    let sql = format!(
        "SELECT {} FROM batch WHERE first_id >= ?1 ORDER BY first_id",
        batch::COLUMNS
    );
    let mut select = conn.prepare_cached(&sql).tried("read the batches of a session")?;
    let rows = select
        .query_map([first.0], batch::view_from)
        .tried("read the batches of a session")?;
    let mut batches = Vec::new();
    for row in rows {
        let batch = row.tried("read the batches of a session")?;
        if batch.session != first || batch.account != account {
            break;
        }
        batches.push(Arc::new(batch));
    }
    Ok(batches)
}

/// What waits in a lane after a place.
pub(super) fn read_lane(
    conn: &Connection,
    lane: Lane,
    after: Option<(QueueSeq, MessageId)>,
    messages_max: usize,
) -> Result<Vec<Outgoing>, StoreError> {
    snapshot(conn, || {
        let mut select = conn
            .prepare_cached(
                "SELECT seq, first_id, last_id, attempts, last_attempt FROM queue
                 WHERE carrier = ?1 AND class = ?2 AND account = ?3 AND seq >= ?4 ORDER BY seq, first_id",
            )
            .tried("read a lane")?;
        let (after_no, after_id) = after.map_or((i64::MIN, i64::MIN), |(no, id)| (no.0, id.0));
        let mut ranges = select
            .query((lane.carrier.0, lane.class.as_u8(), lane.account.0, after_no))
            .tried("read a lane")?;
        let mut batches = Batches::default();
        let mut found = Vec::new();
        while found.len() < messages_max
            && let Some(range) = ranges.next().tried("read a lane")?
        {
            let range = Range::from_row(range).tried("read a lane")?;
            let first = if range.no.0 == after_no {
                range.first.0.max(after_id.saturating_add(1))
            } else {
                range.first.0
            };
            if first <= range.last.0 {
                range.read(
                    conn,
                    lane,
                    MessageId(first),
                    messages_max,
                    &mut batches,
                    &mut found,
                )?;
            }
        }
        Ok(found)
    })
}

struct Range {
    no: QueueSeq,
    first: MessageId,
    last: MessageId,
    attempts: u8,
    last_attempt: Option<AttemptId>,
}

impl Range {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            no: QueueSeq(row.get(0)?),
            first: MessageId(row.get(1)?),
            last: MessageId(row.get(2)?),
            attempts: row.get(3)?,
            last_attempt: row.get::<_, Option<i64>>(4)?.map(AttemptId),
        })
    }

    fn read(
        &self,
        conn: &Connection,
        lane: Lane,
        first: MessageId,
        messages_max: usize,
        batches: &mut Batches,
        found: &mut Vec<Outgoing>,
    ) -> Result<(), StoreError> {
        let batch = batches.of(conn, first)?;
        let key = QueuePosition { lane, no: self.no };
        let mut select = conn
            .prepare_cached(
                "SELECT id, msisdn, params, segments, reference FROM message
                 WHERE id BETWEEN ?1 AND ?2 ORDER BY id LIMIT ?3",
            )
            .tried("read what waits")?;
        let left = as_count(messages_max - found.len());
        let rows = select
            .query_map((first.0, self.last.0, left), |row| {
                let id = MessageId(row.get(0)?);
                Ok(Outgoing {
                    id,
                    key,
                    msisdn: row.get::<_, Number>(1)?.0,
                    params: row.get(2)?,
                    batch: Arc::clone(&batch),
                    segments: row.get(3)?,
                    reference: row
                        .get::<_, Option<u16>>(4)?
                        .unwrap_or_else(|| id.derived_reference()),
                    attempts: self.attempts,
                    last_attempt: self.last_attempt,
                    taken: None,
                })
            })
            .tried("read what waits")?;
        let start = found.len();
        for row in rows {
            found.push(row.tried("read what waits")?);
        }
        // Only what has been tried before can be there in part.
        if self.last_attempt.is_some()
            && let Some(new) = found.get_mut(start..)
        {
            mark_taken(conn, lane.carrier, new)?;
        }
        Ok(())
    }
}

/// Notes which segments the carrier has taken of messages that are tried again; `messages` are in the order of their ids.
fn mark_taken(conn: &Connection, carrier: CarrierNo, messages: &mut [Outgoing]) -> Result<(), StoreError> {
    let (Some(first), Some(last)) = (messages.first(), messages.last()) else {
        return Ok(());
    };
    let mut select = conn
        .prepare_cached(
            "SELECT id, segments FROM message_status WHERE id BETWEEN ?1 AND ?2 AND carrier = ?3 AND segments IS NOT NULL",
        )
        .tried("read segments taken")?;
    let rows: Vec<(i64, Vec<u8>)> = select
        .query_map((first.id.0, last.id.0, carrier.0), |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .and_then(Iterator::collect)
        .tried("read segments taken")?;
    for (id, blob) in rows {
        let taken = segments::taken(&blob)?;
        if let Ok(at) = messages.binary_search_by_key(&id, |message| message.id.0)
            && let Some(message) = messages.get_mut(at)
        {
            message.taken = taken.map(Box::new);
        }
    }
    Ok(())
}

/// The open attempts that hold messages of a range, for views made one by one.
pub(super) fn open_attempts(
    shared: &Shared,
    range: &RangeInclusive<MessageId>,
) -> HashMap<MessageId, AttemptId> {
    in_flight(&shared.open.read(), *range.start(), *range.end())
}
