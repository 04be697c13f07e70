//! Each value of the kind its column has, and all that a start reads.

use super::{DeepPart, Reading};
use crate::StoreError;
use crate::sqlite::counters::Counters;
use crate::sqlite::error::Tried;
use crate::sqlite::load;
use crate::sqlite::outbox::Wanted;
use crate::sqlite::suppressed::Suppressed;
use crate::sqlite::unmatched_receipts::UnmatchedReceipts;
use rusqlite::types::ValueRef;
use std::sync::Arc;

/// Single values that every store has: see the migrations.
const KEYS: [&str; 13] = [
    "id_key",
    "catalog_version",
    "queue_seq_reserved",
    "attempt_reserved",
    "id_floor",
    "probe",
    "statistics_floor",
    "contact_last",
    "inbound_last",
    "inbound_unassigned",
    "unentered_next",
    "unentered_last",
    "suppression_version",
];
const TRIED: &str = "read the values through";

pub(super) fn check(reading: &Reading<'_>, part: &mut DeepPart) -> Result<(), StoreError> {
    let conn = reading.conn;
    let mut select = conn
        .prepare(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name",
        )
        .tried(TRIED)?;
    let tables: Vec<String> = select
        .query_map([], |row| row.get(0))
        .and_then(Iterator::collect)
        .tried(TRIED)?;
    let mut looked_at = 0;
    for table in &tables {
        if let Err(error) = check_table(reading, part, table, &mut looked_at) {
            part.problem(format!("table {table} could not be read to its end: {error}"));
        }
    }
    for key in KEYS {
        let has = conn
            .prepare_cached("SELECT 1 FROM meta WHERE key = ?1")
            .and_then(|mut select| select.exists([key]))
            .tried(TRIED)?;
        if !has {
            part.problem(format!("the store's {key} is missing"));
        }
    }
    part.looked_at = format!("{looked_at} rows of {} tables", tables.len());
    for (what, error) in of_a_start(reading) {
        part.problem(format!("a start could not read {what}: {error}"));
    }
    Ok(())
}

fn check_table(
    reading: &Reading<'_>,
    part: &mut DeepPart,
    table: &str,
    looked_at: &mut u64,
) -> Result<(), StoreError> {
    let conn = reading.conn;
    // The names come from the schema of this program.
    let mut columns = conn
        .prepare("SELECT name, upper(type), \"notnull\" FROM pragma_table_info(?1)")
        .tried(TRIED)?;
    let columns: Vec<(String, String, bool)> = columns
        .query_map([table], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .and_then(Iterator::collect)
        .tried(TRIED)?;
    let mut select = conn.prepare(&format!("SELECT * FROM {table}")).tried(TRIED)?;
    let mut rows = select.query([]).tried(TRIED)?;
    while let Some(row) = rows.next().tried(TRIED)? {
        *looked_at += 1;
        reading.report(part.name, *looked_at, 0);
        for (n, (column, kind, not_null)) in columns.iter().enumerate() {
            let value = row.get_ref(n).tried(TRIED)?;
            if !fits(value, kind, *not_null) {
                let first = row.get_ref(0).ok().and_then(|value| value.as_i64().ok());
                let first = first.map_or_else(String::new, |first| format!(" {first}"));
                part.problem(format!(
                    "row{first} of table {table} has something else in {column} than belongs there"
                ));
            }
        }
    }
    Ok(())
}

/// Whether a value is of its column's kind, as SQLite reads the names of kinds; a column without one takes all.
fn fits(value: ValueRef<'_>, kind: &str, not_null: bool) -> bool {
    let is = |names: &[&str]| kind.is_empty() || names.iter().any(|name| kind.contains(name));
    match value {
        ValueRef::Null => !not_null,
        ValueRef::Integer(_) => is(&["INT"]),
        ValueRef::Real(_) => false,
        ValueRef::Text(text) => is(&["TEXT", "CHAR"]) && std::str::from_utf8(text).is_ok(),
        ValueRef::Blob(_) => is(&["BLOB"]),
    }
}

/// What a start reads beside messages and indexes.
fn of_a_start(reading: &Reading<'_>) -> Vec<(&'static str, StoreError)> {
    let (conn, config) = (reading.conn, reading.config);
    let reads = [
        ("its key", load::id_key(conn).map(drop)),
        (
            "what waits and what is in flight",
            load::tool_within(conn, config, Arc::default()).map(drop),
        ),
        (
            "unmatched receipts",
            UnmatchedReceipts::load(conn).tried(TRIED).map(drop),
        ),
        ("suppressions", Suppressed::load(conn).tried(TRIED).map(drop)),
        (
            "subscriptions of webhooks",
            Wanted::load(conn).tried(TRIED).map(drop),
        ),
        (
            "which counters are kept",
            Counters::load(conn).tried(TRIED).map(drop),
        ),
        ("the last numbers given", load::last_numbers(conn)),
    ];
    let failed = reads
        .into_iter()
        .filter_map(|(what, read)| Some((what, read.err()?)));
    failed.collect()
}
