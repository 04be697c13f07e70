//! Events: the log, the endpoints it is told to, and how far each of them is.

use super::error::Tried;
use super::{SqliteStore, event_blob};
use crate::{
    AccountId, Endpoint, EndpointId, EndpointState, Event, EventKinds, EventListener, EventPlace, EventWhat,
    RecordDelivery, Redelivery, RedeliveryFilter, StoreError, UnixMs,
};
use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row};

/// Events in a row of the log: what a reader holds in memory at once.
const ROW_EVENTS_MAX: u32 = 8_192;

/// All endpoints, by id.
pub(super) fn endpoints(conn: &Connection) -> Result<Vec<Endpoint>, StoreError> {
    conn.prepare_cached(
        "SELECT id, account, name, format, url, kinds, settings, sealed_secret, enabled FROM endpoint
         ORDER BY id",
    )
    .and_then(|mut select| select.query_map([], endpoint_from)?.collect())
    .tried("read the endpoints")
}

fn endpoint_from(row: &Row<'_>) -> rusqlite::Result<Endpoint> {
    Ok(Endpoint {
        id: EndpointId(row.get(0)?),
        account: AccountId(row.get(1)?),
        name: row.get(2)?,
        format: row.get(3)?,
        url: row.get(4)?,
        kinds: EventKinds(row.get(5)?),
        settings: serde_json::from_str(row.get_ref(6)?.as_str()?).map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(6, rusqlite::types::Type::Text, Box::new(error))
        })?,
        sealed_secret: row.get(7)?,
        enabled: row.get(8)?,
    })
}

/// Adds or replaces an endpoint. One that is new, or comes to another account, begins at the end of that
/// account's log.
pub(super) fn put_endpoint(conn: &Connection, endpoint: &Endpoint) -> Result<(), StoreError> {
    let account: Option<i64> = conn
        .prepare_cached("SELECT account FROM endpoint WHERE id = ?1")
        .and_then(|mut select| select.query_row([endpoint.id.0], |row| row.get(0)).optional())
        .tried("look for an endpoint")?;
    if account.is_some_and(|account| account != i64::from(endpoint.account.0)) {
        remove_endpoint(conn, endpoint.id)?;
    }
    conn.prepare_cached(
        "INSERT INTO endpoint (id, account, name, format, url, kinds, settings, sealed_secret, enabled)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT (id) DO UPDATE SET name = excluded.name, format = excluded.format, url = excluded.url,
             kinds = excluded.kinds, settings = excluded.settings, sealed_secret = excluded.sealed_secret,
             enabled = excluded.enabled",
    )
    .and_then(|mut put| {
        put.execute((
            endpoint.id.0,
            endpoint.account.0,
            &endpoint.name,
            &endpoint.format,
            &endpoint.url,
            endpoint.kinds.0,
            endpoint.settings.to_string(),
            &endpoint.sealed_secret,
            endpoint.enabled,
        ))
    })
    .tried("change an endpoint")?;
    let end = end_of_log(conn, endpoint.account)?;
    conn.prepare_cached(
        "INSERT INTO endpoint_state (endpoint, told_row, told_index) VALUES (?1, ?2, ?3)
         ON CONFLICT (endpoint) DO NOTHING",
    )
    .and_then(|mut put| put.execute((endpoint.id.0, end.row, end.index)))
    .map(drop)
    .tried("begin to tell an endpoint")
}

/// Removes an endpoint with its state and all that waits for it.
pub(super) fn remove_endpoint(conn: &Connection, id: EndpointId) -> Result<(), StoreError> {
    for sql in [
        "DELETE FROM redelivery WHERE endpoint = ?1",
        "DELETE FROM endpoint_state WHERE endpoint = ?1",
        "DELETE FROM endpoint WHERE id = ?1",
    ] {
        conn.prepare_cached(sql)
            .and_then(|mut delete| delete.execute([id.0]))
            .tried("remove an endpoint")?;
    }
    Ok(())
}

/// Removes the endpoints of an account.
pub(super) fn remove_endpoints_of(conn: &Connection, account: AccountId) -> Result<(), StoreError> {
    let ids: Vec<u32> = conn
        .prepare_cached("SELECT id FROM endpoint WHERE account = ?1")
        .and_then(|mut select| select.query_map([account.0], |row| row.get(0))?.collect())
        .tried("look for the endpoints of an account")?;
    ids.into_iter()
        .try_for_each(|id| remove_endpoint(conn, EndpointId(id)))
}

/// What the endpoints of an account want together, those that are switched off included.
fn wanted(conn: &Connection, account: AccountId) -> Result<EventKinds, StoreError> {
    let kinds: Vec<u8> = conn
        .prepare_cached("SELECT kinds FROM endpoint WHERE account = ?1")
        .and_then(|mut select| select.query_map([account.0], |row| row.get(0))?.collect())
        .tried("look for what an account wants to be told")?;
    Ok(kinds
        .into_iter()
        .fold(EventKinds::NONE, |all, kinds| all | EventKinds(kinds)))
}

/// Logs events of an account that happened at `at`, in order, as a row of their own, as far as any of its
/// endpoints wants them. For what is told seldom, and by tools; commands that tell much share a row.
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
        .prepare_cached("SELECT account FROM event NOT INDEXED WHERE row > ?1")
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

/// The last row of the log.
pub(super) fn last_row(conn: &Connection) -> Result<i64, StoreError> {
    let last: Option<i64> = conn
        .prepare_cached("SELECT row FROM event ORDER BY row DESC LIMIT 1")
        .and_then(|mut select| select.query_row([], |row| row.get(0)).optional())
        .tried("look for the end of the events")?;
    Ok(last.unwrap_or(0))
}

/// A row of the log being written.
#[derive(Default)]
struct NewRow {
    at: UnixMs,
    kinds: EventKinds,
    count: u32,
    entries: event_blob::Writer,
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
            "INSERT INTO event (account, at, kinds, count, entries)
             VALUES (?1, max(?2, coalesce((SELECT at FROM event ORDER BY row DESC LIMIT 1), ?2)), ?3, ?4, ?5)",
        )
        .and_then(|mut insert| {
            insert.execute((account.0, self.at, self.kinds.0, self.count, self.entries.finish()))
        })
        .map(drop)
        .tried("log events")
    }
}

/// The last event of an account; the beginning when there is none.
fn end_of_log(conn: &Connection, account: AccountId) -> Result<EventPlace, StoreError> {
    let last: Option<(i64, u32)> = conn
        .prepare_cached("SELECT row, count FROM event WHERE account = ?1 ORDER BY row DESC LIMIT 1")
        .and_then(|mut select| {
            select
                .query_row([account.0], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()
        })
        .tried("look for the end of an account's events")?;
    Ok(last.map_or(EventPlace::default(), |(row, count)| EventPlace {
        row,
        index: count.saturating_sub(1),
    }))
}

#[async_trait]
impl crate::Events for SqliteStore {
    async fn events(
        &self,
        _account: AccountId,
        _after: EventPlace,
        _kinds: EventKinds,
        _events_max: usize,
    ) -> Result<(Vec<Event>, EventPlace), StoreError> {
        Err(StoreError::Other("not kept yet".into()))
    }

    async fn place_before(&self, _account: AccountId, _at: UnixMs) -> Result<EventPlace, StoreError> {
        Err(StoreError::Other("not kept yet".into()))
    }

    async fn endpoint_states(&self) -> Result<Vec<EndpointState>, StoreError> {
        Err(StoreError::Other("not kept yet".into()))
    }

    async fn record_delivery(&self, _done: RecordDelivery) -> Result<(), StoreError> {
        Err(StoreError::Other("not kept yet".into()))
    }

    async fn redeliveries(
        &self,
        _endpoint: EndpointId,
        _filter: RedeliveryFilter,
        _after: i64,
        _calls_max: usize,
    ) -> Result<Vec<Redelivery>, StoreError> {
        Err(StoreError::Other("not kept yet".into()))
    }

    async fn expire_events(&self, _before: UnixMs, _dead_before: UnixMs) -> Result<bool, StoreError> {
        Err(StoreError::Other("not kept yet".into()))
    }

    fn on_events(&self, _listener: EventListener) {}
}
