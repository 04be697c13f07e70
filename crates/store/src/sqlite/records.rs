//! Records.

use super::SqliteStore;
use super::error::Tried;
use super::pages::{Wanted, walk};
use super::readers::ReadPriority;
use super::write_task::OverloadPolicy;
use crate::{
    AccountId, Page, Record, RecordBounds, RecordFilter, RecordKind, RecordRefusal, Records, StoreError,
};
use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row};

#[async_trait]
impl Records for SqliteStore {
    async fn add_record(
        &self,
        record: Record,
        bounds: RecordBounds,
    ) -> Result<Result<Record, RecordRefusal>, StoreError> {
        self.submit_write(OverloadPolicy::Shed, 1, move |work| {
            add(work.conn, record, bounds).tried("make a record")
        })
        .await
    }

    async fn change_record(&self, record: Record) -> Result<Result<Record, RecordRefusal>, StoreError> {
        self.submit_write(OverloadPolicy::Shed, 1, move |work| {
            change(work.conn, record).tried("change a record")
        })
        .await
    }

    async fn remove_record(&self, account: AccountId, kind: RecordKind, id: i64) -> Result<bool, StoreError> {
        self.submit_write(OverloadPolicy::Shed, 1, move |work| {
            work.conn
                .prepare_cached("DELETE FROM record WHERE id = ?1 AND account = ?2 AND kind = ?3")
                .and_then(|mut delete| delete.execute((id, account.0, kind as u8)))
                .map(|removed| removed > 0)
                .tried("remove a record")
        })
        .await
    }

    async fn record(
        &self,
        account: AccountId,
        kind: RecordKind,
        id: i64,
    ) -> Result<Option<Record>, StoreError> {
        self.readers
            .run(ReadPriority::Query, move |conn| {
                conn.prepare_cached(
                    "SELECT id, name, created_at, updated_at, body, data FROM record
                     WHERE id = ?1 AND account = ?2 AND kind = ?3",
                )
                .and_then(|mut select| {
                    select
                        .query_row((id, account.0, kind as u8), |row| {
                            Ok(Record {
                                data: row.get(5)?,
                                ..without_data(row, account, kind)?
                            })
                        })
                        .optional()
                })
                .tried("read a record")
            })
            .await
    }

    async fn records(
        &self,
        account: AccountId,
        kind: RecordKind,
        filter: RecordFilter,
    ) -> Result<Page<Record>, StoreError> {
        self.readers
            .run(ReadPriority::Search, move |conn| {
                let wanted = Wanted::new(filter.name_contains.as_deref().unwrap_or_default());
                conn.prepare_cached(
                    "SELECT id, name, created_at, updated_at, body FROM record
                     WHERE account = ?1 AND kind = ?2 ORDER BY id",
                )
                .and_then(|mut select| {
                    let params = (account.0, kind as u8);
                    let place = (filter.offset, filter.limit);
                    walk(&mut select, params, "name", &wanted, place, |row| {
                        without_data(row, account, kind)
                    })
                })
                .tried("read records")
            })
            .await
    }
}

fn without_data(row: &Row<'_>, account: AccountId, kind: RecordKind) -> rusqlite::Result<Record> {
    Ok(Record {
        id: row.get(0)?,
        account,
        kind,
        name: row.get(1)?,
        created_at: row.get(2)?,
        updated_at: row.get(3)?,
        body: row.get(4)?,
        data: Vec::new(),
    })
}

/// Whether another record of the account and kind has its name.
fn is_taken(conn: &Connection, record: &Record, but: i64) -> rusqlite::Result<bool> {
    if record.name.is_empty() {
        return Ok(false);
    }
    // The condition on the name lets the index be used, which has no empty ones.
    conn.prepare_cached(
        "SELECT 1 FROM record WHERE account = ?1 AND kind = ?2 AND name = ?3 AND name <> '' AND id <> ?4",
    )?
    .exists((record.account.0, record.kind as u8, &record.name, but))
}

fn add(
    conn: &Connection,
    record: Record,
    bounds: RecordBounds,
) -> rusqlite::Result<Result<Record, RecordRefusal>> {
    if is_taken(conn, &record, 0)? {
        return Ok(Err(RecordRefusal::NameTaken));
    }
    let records: u64 = conn
        .prepare_cached("SELECT count(*) FROM record WHERE account = ?1 AND kind = ?2")?
        .query_row((record.account.0, record.kind as u8), |row| row.get(0))?;
    if records >= bounds.documents_max {
        return Ok(Err(RecordRefusal::Full));
    }
    let octets = record.data.len() as u64;
    if octets > 0 && data_octets(conn, record.account)?.saturating_add(octets) > bounds.data_octets_max {
        return Ok(Err(RecordRefusal::NoRoom));
    }
    let id = conn
        .prepare_cached(
            "INSERT INTO record (account, kind, name, created_at, updated_at, body, data)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .insert((
            record.account.0,
            record.kind as u8,
            &record.name,
            record.created_at,
            record.updated_at,
            &record.body,
            &record.data,
        ))?;
    Ok(Ok(Record { id, ..record }))
}

/// Octets of the data of all records of an account. Triggers of the schema keep the sum.
fn data_octets(conn: &Connection, account: AccountId) -> rusqlite::Result<u64> {
    let octets = conn
        .prepare_cached("SELECT data_octets FROM account_usage WHERE account = ?1")?
        .query_row([account.0], |row| row.get(0))
        .optional()?;
    Ok(octets.unwrap_or(0))
}

fn change(conn: &Connection, record: Record) -> rusqlite::Result<Result<Record, RecordRefusal>> {
    let key = (record.id, record.account.0, record.kind as u8);
    let created_at = conn
        .prepare_cached("SELECT created_at FROM record WHERE id = ?1 AND account = ?2 AND kind = ?3")?
        .query_row(key, |row| row.get(0))
        .optional()?;
    let Some(created_at) = created_at else {
        return Ok(Err(RecordRefusal::None));
    };
    if is_taken(conn, &record, record.id)? {
        return Ok(Err(RecordRefusal::NameTaken));
    }
    conn.prepare_cached("UPDATE record SET name = ?2, updated_at = ?3, body = ?4, data = ?5 WHERE id = ?1")?
        .execute((
            record.id,
            &record.name,
            record.updated_at,
            &record.body,
            &record.data,
        ))?;
    Ok(Ok(Record { created_at, ..record }))
}
