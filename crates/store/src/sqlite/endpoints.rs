//! Endpoints, a part of the catalog: where events of accounts are sent.

use super::error::Tried;
use super::events;
use crate::{AccountId, Endpoint, EndpointId, EventKinds, StoreError};
use rusqlite::{Connection, OptionalExtension, Row};

/// All endpoints, by id.
pub(super) fn all(conn: &Connection) -> Result<Vec<Endpoint>, StoreError> {
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
pub(super) fn put(conn: &Connection, endpoint: &Endpoint) -> Result<(), StoreError> {
    let account: Option<i64> = conn
        .prepare_cached("SELECT account FROM endpoint WHERE id = ?1")
        .and_then(|mut select| select.query_row([endpoint.id.0], |row| row.get(0)).optional())
        .tried("look for an endpoint")?;
    if account.is_some_and(|account| account != i64::from(endpoint.account.0)) {
        remove(conn, endpoint.id)?;
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
    let end = events::end_of_log(conn, endpoint.account)?;
    conn.prepare_cached(
        "INSERT INTO endpoint_state (endpoint, acked_row, acked_index) VALUES (?1, ?2, ?3)
         ON CONFLICT (endpoint) DO NOTHING",
    )
    .and_then(|mut put| put.execute((endpoint.id.0, end.row, end.index)))
    .map(drop)
    .tried("store the state of an endpoint")
}

/// Removes an endpoint with its state and all that waits for it.
pub(super) fn remove(conn: &Connection, id: EndpointId) -> Result<(), StoreError> {
    for sql in [
        "DELETE FROM delivery_retry WHERE endpoint = ?1",
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
pub(super) fn remove_all_of(conn: &Connection, account: AccountId) -> Result<(), StoreError> {
    let ids: Vec<u32> = conn
        .prepare_cached("SELECT id FROM endpoint WHERE account = ?1")
        .and_then(|mut select| select.query_map([account.0], |row| row.get(0))?.collect())
        .tried("look for the endpoints of an account")?;
    ids.into_iter().try_for_each(|id| remove(conn, EndpointId(id)))
}
