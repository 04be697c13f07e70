//! The acked offset of each endpoint, and the retries of its failed calls.

use super::codes::as_count;
use super::error::Tried;
use super::memory::Work;
use super::readers::ReadPriority;
use super::write_task::OverloadPolicy;
use super::{SqliteStore, events, outbox_codec};
use crate::{
    AccountId, DeliveryRetry, DeliveryRetryFilter, EndpointId, EndpointState, Event, EventKinds,
    EventListener, EventOffset, FailedListener, LastError, Pause, RecordDelivery, StoreError, UnixMs,
};
use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row};

/// The due time of a dead call.
const NEVER: UnixMs = i64::MAX;
/// Dead calls deleted by one command.
const EXPIRED_CALLS_MAX: i64 = 500;

const STATE: &str = "s.endpoint, s.acked_row, s.acked_index, s.pause_since, s.pause_until, s.pause_reason, \
                     s.failing_since, s.waiting, s.dead, s.last_error, s.last_error_at";

fn state_from(row: &Row<'_>) -> rusqlite::Result<EndpointState> {
    let paused_since: Option<UnixMs> = row.get(3)?;
    Ok(EndpointState {
        endpoint: EndpointId(row.get(0)?),
        acked_offset: EventOffset {
            row: row.get(1)?,
            index: row.get(2)?,
        },
        pause: match paused_since {
            Some(since) => Some(Pause {
                since,
                until: row.get(4)?,
                reason: row.get(5)?,
            }),
            None => None,
        },
        failing_since: row.get(6)?,
        waiting: row.get(7)?,
        dead: row.get(8)?,
        last_error: match row.get(9)? {
            Some(message) => Some(LastError {
                at: row.get(10)?,
                message,
            }),
            None => None,
        },
    })
}

/// The state of every endpoint of the catalog, by id.
fn states(conn: &Connection) -> rusqlite::Result<Vec<EndpointState>> {
    conn.prepare_cached(&format!(
        "SELECT {STATE} FROM endpoint_state s ORDER BY s.endpoint"
    ))?
    .query_map([], state_from)?
    .collect()
}

/// The kinds of events and the acked offset of each endpoint.
pub(super) fn endpoint_offsets(
    conn: &Connection,
) -> Result<Vec<(AccountId, EventKinds, EventOffset)>, StoreError> {
    conn.prepare_cached(
        "SELECT e.account, e.kinds, s.acked_row, s.acked_index
         FROM endpoint e JOIN endpoint_state s ON s.endpoint = e.id",
    )
    .and_then(|mut select| {
        select
            .query_map([], |row| {
                let (row_no, index) = (row.get(2)?, row.get(3)?);
                let acked_offset = EventOffset { row: row_no, index };
                Ok((AccountId(row.get(0)?), EventKinds(row.get(1)?), acked_offset))
            })?
            .collect()
    })
    .tried("read the states of endpoints")
}

/// Records what a worker has done. An endpoint that has been removed meanwhile has nothing to record.
fn record(work: &mut Work<'_>, done: RecordDelivery) -> Result<(), StoreError> {
    let endpoint = done
        .endpoint
        .ok_or_else(|| StoreError::Other("a delivery of no endpoint".into()))?;
    let found = work
        .conn
        .prepare_cached(&format!(
            "SELECT {STATE}, s.next_seq FROM endpoint_state s WHERE s.endpoint = ?1"
        ))
        .and_then(|mut select| {
            select
                .query_row([endpoint.0], |row| Ok((state_from(row)?, row.get(11)?)))
                .optional()
        })
        .tried("read the state of an endpoint")?;
    let Some((mut state, mut next_no)) = found else {
        return Ok(());
    };
    for &no in &done.settled {
        settle(work.conn, &mut state, no).tried("delete a delivered retry")?;
    }
    for call in &done.retried {
        retry(work, &mut state, call).tried("reschedule a retry")?;
    }
    for call in &done.deferred {
        schedule_retry(work.conn, &mut state, next_no, call).tried("schedule a retry")?;
        next_no += 1;
    }
    state.acked_offset = done.acked_offset.unwrap_or(state.acked_offset);
    state.pause = done.pause.unwrap_or(state.pause);
    state.failing_since = done.failing_since.unwrap_or(state.failing_since);
    if done.last_error.is_some() {
        state.last_error = done.last_error;
    }
    write(work.conn, &state, next_no).tried("record the state of an endpoint")
}

fn write(conn: &Connection, state: &EndpointState, next_no: i64) -> rusqlite::Result<()> {
    let pause = state.pause.as_ref();
    conn.prepare_cached(
        "UPDATE endpoint_state SET acked_row = ?2, acked_index = ?3, pause_since = ?4, pause_until = ?5,
             pause_reason = ?6, failing_since = ?7, waiting = ?8, dead = ?9, next_seq = ?10,
             last_error = ?11, last_error_at = ?12
         WHERE endpoint = ?1",
    )?
    .execute((
        state.endpoint.0,
        state.acked_offset.row,
        state.acked_offset.index,
        pause.map(|pause| pause.since),
        pause.and_then(|pause| pause.until),
        pause.map(|pause| &*pause.reason),
        state.failing_since,
        state.waiting,
        state.dead,
        next_no,
        state.last_error.as_ref().map(|error| &*error.message),
        state.last_error.as_ref().map(|error| error.at),
    ))
    .map(drop)
}

/// Adds a call to the count of waiting or dead ones, or subtracts it.
fn count(state: &mut EndpointState, due: UnixMs, change: i64) {
    let calls = if due == NEVER {
        &mut state.dead
    } else {
        &mut state.waiting
    };
    *calls = calls.saturating_add_signed(change);
}

fn schedule_retry(
    conn: &Connection,
    state: &mut EndpointState,
    no: i64,
    call: &crate::NewDeliveryRetry,
) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "INSERT INTO delivery_retry (endpoint, seq, due, tries, first_tried_at, dead_at, error, events)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute((
        state.endpoint.0,
        no,
        call.due,
        call.tries,
        call.first_tried_at,
        (call.due == NEVER).then_some(call.first_tried_at),
        &call.error,
        outbox_codec::encode(&call.events),
    ))?;
    count(state, call.due, 1);
    Ok(())
}

fn settle(conn: &Connection, state: &mut EndpointState, no: i64) -> rusqlite::Result<()> {
    let due: Option<UnixMs> = conn
        .prepare_cached("DELETE FROM delivery_retry WHERE endpoint = ?1 AND seq = ?2 RETURNING due")?
        .query_row((state.endpoint.0, no), |row| row.get(0))
        .optional()?;
    if let Some(due) = due {
        count(state, due, -1);
    }
    Ok(())
}

fn retry(work: &Work<'_>, state: &mut EndpointState, call: &crate::Retried) -> rusqlite::Result<()> {
    let was: Option<(UnixMs, UnixMs)> = work
        .conn
        .prepare_cached("SELECT due, first_tried_at FROM delivery_retry WHERE endpoint = ?1 AND seq = ?2")?
        .query_row((state.endpoint.0, call.no), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((due, first_tried_at)) = was else {
        return Ok(());
    };
    // The last try came after it was due; how long after is not stored.
    let tried_at = first_tried_at.max(if due == NEVER { 0 } else { due });
    let dead_at = (call.due == NEVER).then(|| tried_at.max(work.memory.now));
    work.conn
        .prepare_cached(
            "UPDATE delivery_retry SET due = ?3, tries = ?4, error = ?5, dead_at = ?6
             WHERE endpoint = ?1 AND seq = ?2",
        )?
        .execute((
            state.endpoint.0,
            call.no,
            call.due,
            call.tries,
            &call.error,
            dead_at,
        ))?;
    count(state, due, -1);
    count(state, call.due, 1);
    Ok(())
}

const CALL: &str =
    "SELECT seq, events, tries, due, first_tried_at, error FROM delivery_retry WHERE endpoint = ?1";

/// Retries of an endpoint.
fn calls(
    conn: &Connection,
    endpoint: EndpointId,
    filter: DeliveryRetryFilter,
    after: i64,
    calls_max: usize,
) -> Result<Vec<DeliveryRetry>, StoreError> {
    let (sql, from) = match filter {
        DeliveryRetryFilter::Due(at) => (
            format!("{CALL} AND due <= ?2 ORDER BY due, seq LIMIT ?3"),
            at.min(NEVER - 1),
        ),
        DeliveryRetryFilter::Waiting => (
            format!("{CALL} AND seq > ?2 AND due < {NEVER} ORDER BY seq LIMIT ?3"),
            after,
        ),
        DeliveryRetryFilter::Dead => (
            format!("{CALL} AND seq > ?2 AND due = {NEVER} ORDER BY seq LIMIT ?3"),
            after,
        ),
    };
    let calls: Vec<(DeliveryRetry, Vec<u8>)> = conn
        .prepare_cached(&sql)
        .and_then(|mut select| {
            select
                .query_map((endpoint.0, from, as_count(calls_max)), |row| {
                    let call = DeliveryRetry {
                        no: row.get(0)?,
                        events: Vec::new(),
                        tries: row.get(2)?,
                        due: row.get(3)?,
                        first_tried_at: row.get(4)?,
                        error: row.get(5)?,
                    };
                    Ok((call, row.get(1)?))
                })?
                .collect()
        })
        .tried("read retries")?;
    calls
        .into_iter()
        .map(|(call, events)| {
            let events = outbox_codec::decode(&events)?;
            Ok(DeliveryRetry { events, ..call })
        })
        .collect()
}

/// Deletes a piece of the calls that died before a time; true while there are more.
pub(super) fn expire(conn: &Connection, before: UnixMs) -> Result<bool, StoreError> {
    let delete = || {
        let gone: Vec<u32> = conn
            .prepare_cached(
                "DELETE FROM delivery_retry WHERE (endpoint, seq) IN
                     (SELECT endpoint, seq FROM delivery_retry WHERE dead_at < ?1 LIMIT ?2)
                 RETURNING endpoint",
            )?
            .query_map((before, EXPIRED_CALLS_MAX), |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        let mut update =
            conn.prepare_cached("UPDATE endpoint_state SET dead = max(dead - 1, 0) WHERE endpoint = ?1")?;
        for endpoint in &gone {
            update.execute([endpoint])?;
        }
        Ok(as_count(gone.len()) == EXPIRED_CALLS_MAX)
    };
    delete().tried("delete dead calls")
}

#[async_trait]
impl crate::Events for SqliteStore {
    async fn events(
        &self,
        account: AccountId,
        after: EventOffset,
        kinds: EventKinds,
        events_max: usize,
    ) -> Result<(Vec<Event>, EventOffset), StoreError> {
        self.readers
            .run(ReadPriority::Outbox, move |conn| {
                events::read(conn, account, after, kinds, events_max)
            })
            .await
    }

    async fn offset_before(&self, account: AccountId, at: UnixMs) -> Result<EventOffset, StoreError> {
        self.readers
            .run(ReadPriority::Outbox, move |conn| {
                events::offset_before(conn, account, at)
            })
            .await
    }

    async fn endpoint_states(&self) -> Result<Vec<EndpointState>, StoreError> {
        self.readers
            .run(ReadPriority::Outbox, |conn| {
                states(conn).tried("read the states of endpoints")
            })
            .await
    }

    async fn record_delivery(&self, done: RecordDelivery) -> Result<(), StoreError> {
        let rows = 1 + done.deferred.len() + done.settled.len() + done.retried.len();
        self.submit_write(OverloadPolicy::Backpressure, rows, |work| record(work, done))
            .await
    }

    async fn delivery_retries(
        &self,
        endpoint: EndpointId,
        filter: DeliveryRetryFilter,
        after: i64,
        calls_max: usize,
    ) -> Result<Vec<DeliveryRetry>, StoreError> {
        self.readers
            .run(ReadPriority::Outbox, move |conn| {
                calls(conn, endpoint, filter, after, calls_max)
            })
            .await
    }

    async fn expire_events(&self, before: UnixMs, dead_before: UnixMs) -> Result<bool, StoreError> {
        self.submit_write(OverloadPolicy::Backpressure, 1_000, move |work| {
            events::expire(work, before, dead_before)
        })
        .await
    }

    fn on_events(&self, listener: EventListener) {
        *self.shared.listener.lock() = Some(listener);
    }

    fn on_failed(&self, listener: FailedListener) {
        *self.shared.failed_listener.lock() = Some(listener);
    }
}
