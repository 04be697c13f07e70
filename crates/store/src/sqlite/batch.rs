//! Rows of the `batch` table.

use super::codes::{ClassCode, KindCode, Number, narrow};
use super::error::Tried;
use super::memory::BatchSpan;
use crate::{AccountId, BatchView, Dialect, DimensionsNo, MessageId, StatsKey, StoreError, UnixMs};
use rusqlite::{Connection, OptionalExtension, Row};
use std::sync::Arc;

/// The columns of [`view_from`], in its order.
pub(super) const COLUMNS: &str = "first_id, session, messages, account, dialect, class, kind, template, label, due, sender, custom, text, \
     user, dimensions, expires_at, message_type, accepted_at";

/// The last message of a batch.
pub(super) fn last_of(batch: &BatchView) -> MessageId {
    batch.id.plus(i64::from(batch.count) - 1)
}

/// A batch from a row of [`COLUMNS`].
pub(super) fn view_from(row: &Row<'_>) -> rusqlite::Result<BatchView> {
    let dialect: u8 = row.get(4)?;
    let id = MessageId(row.get(0)?);
    let accepted_at: Option<UnixMs> = row.get(17)?;
    Ok(BatchView {
        id,
        accepted_at: accepted_at.unwrap_or(id.time_part()),
        session: MessageId(row.get(1)?),
        count: row.get(2)?,
        account: AccountId(row.get(3)?),
        dialect: Dialect::from_u8(dialect)
            .ok_or(rusqlite::Error::IntegralValueOutOfRange(4, i64::from(dialect)))?,
        class: row.get::<_, ClassCode>(5)?.0,
        kind: row.get::<_, KindCode>(6)?.0,
        message_type: row.get(16)?,
        template: row.get(7)?,
        label: row.get(8)?,
        due: row.get(9)?,
        sender: row.get(10)?,
        custom: row.get(11)?,
        text: Arc::from(row.get_ref(12)?.as_str()?),
        user: Arc::from(row.get_ref(13)?.as_str()?),
        dimensions: DimensionsNo(row.get(14)?),
        expires_at: row.get(15)?,
    })
}

/// The batch of a message: the last one that begins at or before it.
pub(super) fn of(conn: &Connection, id: MessageId) -> Result<Option<BatchView>, StoreError> {
    conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM batch WHERE first_id <= ?1 ORDER BY first_id DESC LIMIT 1"
    ))
    .and_then(|mut select| select.query_row([id.0], view_from).optional())
    .map(|batch| batch.filter(|batch| id <= last_of(batch)))
    .tried("read a batch")
}

/// When a message was accepted.
pub(super) fn accepted_at(conn: &Connection, id: MessageId) -> rusqlite::Result<UnixMs> {
    let stored: Option<Option<UnixMs>> = conn
        .prepare_cached("SELECT accepted_at FROM batch WHERE first_id <= ?1 ORDER BY first_id DESC LIMIT 1")?
        .query_row([id.0], |row| row.get(0))
        .optional()?;
    Ok(stored.flatten().unwrap_or(id.time_part()))
}

/// By which a message is counted, from its own rows; no series when it was accepted before there was counting.
pub(super) fn stats_key_of(conn: &Connection, id: MessageId) -> Result<StatsKey, StoreError> {
    conn.prepare_cached(
        "SELECT m.msisdn, m.segments,
                (SELECT dimensions FROM batch WHERE first_id <= m.id ORDER BY first_id DESC LIMIT 1)
         FROM message m WHERE m.id = ?1",
    )
    .and_then(|mut select| {
        select
            .query_row([id.0], |row| {
                Ok(StatsKey {
                    dimensions: DimensionsNo(row.get::<_, Option<u32>>(2)?.unwrap_or(0)),
                    country: row.get::<_, Number>(0)?.0.country_code().unwrap_or(0),
                    segments: row.get(1)?,
                })
            })
            .optional()
    })
    .map(Option::unwrap_or_default)
    .tried("look for what a message is counted by")
}

/// Where a batch lies and whose it is.
pub(super) fn span_of(conn: &Connection, id: MessageId) -> Result<BatchSpan, StoreError> {
    let row: Option<(i64, i64, ClassCode, i64, Option<i64>)> = conn
        .prepare_cached(
            "SELECT first_id, messages, class, account, expires_at FROM batch WHERE first_id <= ?1
             ORDER BY first_id DESC LIMIT 1",
        )
        .and_then(|mut select| {
            select
                .query_row([id.0], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
                })
                .optional()
        })
        .tried("look for a message's batch")?;
    let unknown = || StoreError::Other(format!("message {id} is in no batch"));
    let (first, messages, class, account, expires_at) = row.ok_or_else(unknown)?;
    let span = BatchSpan {
        first: MessageId(first),
        last: MessageId(first + messages - 1),
        class: class.0,
        account: AccountId(narrow(account, "an account's number")?),
        expires_at,
    };
    if id > span.last { Err(unknown()) } else { Ok(span) }
}
