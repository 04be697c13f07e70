//! The runs that numbers, carriers' ids and request ids are found in, against the rows they lead to.

use super::sums::Sum;
use super::{DeepPart, Reading};
use crate::sqlite::codes::{Number, StateCode, capped_key, number_key, receipt_key, request_key};
use crate::sqlite::error::Tried;
use crate::sqlite::load;
use crate::sqlite::lsm::{Index, Kind, SortedRun, read_log};
use crate::sqlite::message_status::{self, MessageStatus};
use crate::{AccountId, MessageId, StoreError};
use rusqlite::Connection;
use sms::receipt::CarrierId;
use sms::state::MessageState;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

const TRIED: &str = "read the indexes through";

/// Ids of so many milliseconds are compared together.
const BUCKET_MS: i64 = 3_600_000;

fn bucket(id: i64) -> i64 {
    (id >> MessageId::COUNTER_BITS).div_euclid(BUCKET_MS)
}

pub(super) fn check(reading: &Reading<'_>, part: &mut DeepPart) -> Result<(), StoreError> {
    let conn = reading.conn;
    let mut entries = 0;
    let mut numbers = BTreeMap::new();
    let mut sealed_last = 0;
    for (kind, what) in [
        (Kind::Number, "numbers"),
        (Kind::Receipt, "carriers' ids"),
        (Kind::Request, "request ids"),
    ] {
        // One filter at a time.
        for run in SortedRun::load_all(conn, kind, 0).tried(TRIED)? {
            let of_run = run.check(conn, |key, id| {
                if kind == Kind::Number && id >= reading.whole_from {
                    let sum: &mut Sum = numbers.entry(bucket(id)).or_default();
                    sum.add(&[key, id.cast_unsigned()], 1);
                }
            });
            match of_run.tried(TRIED) {
                Ok(wrong) => wrong
                    .into_iter()
                    .for_each(|wrong| part.problem(format!("run {} of {what}: {wrong}", run.no()))),
                Err(error) => part.problem(format!("run {} of {what} cannot be read: {error}", run.no())),
            }
            entries += run.entries() as u64;
            reading.report(part.name, entries, 0);
            if kind == Kind::Number {
                sealed_last = sealed_last.max(run.last_id());
            }
        }
    }
    numbers_of_rows(reading, part, sealed_last, &numbers)?;
    let receipts = receipts(reading, part)?;
    let requests = requests(reading, part)?;
    part.looked_at = format!(
        "{entries} sealed entries, {receipts} messages that wait for receipts, {requests} request ids"
    );
    Ok(())
}

/// Compares what the number index has with the numbers of messages, by hours.
fn numbers_of_rows(
    reading: &Reading<'_>,
    part: &mut DeepPart,
    sealed_last: i64,
    indexed: &BTreeMap<i64, Sum>,
) -> Result<(), StoreError> {
    let mut select = reading
        .conn
        .prepare(
            "SELECT m.id, m.msisdn, m.failure IS NULL AND b.capped, b.account
             FROM message m JOIN batch b ON b.first_id = (SELECT max(first_id) FROM batch WHERE first_id <= m.id)
             WHERE m.id BETWEEN ?1 AND ?2 ORDER BY m.id",
        )
        .tried(TRIED)?;
    let mut rows = select.query((reading.whole_from, sealed_last)).tried(TRIED)?;
    let mut stored: BTreeMap<i64, Sum> = BTreeMap::new();
    let mut looked_at = 0;
    while let Some(row) = rows.next().tried(TRIED)? {
        looked_at += 1;
        reading.report(part.name, looked_at, 0);
        let id: i64 = row.get(0).tried(TRIED)?;
        // Values that are no numbers are reported with the messages.
        let Ok(number) = row.get::<_, Number>(1) else {
            continue;
        };
        let sum = stored.entry(bucket(id)).or_default();
        sum.add(&[number_key(number.0), id.cast_unsigned()], 1);
        if row.get(2).tried(TRIED)? {
            let account = AccountId(row.get(3).tried(TRIED)?);
            sum.add(&[capped_key(account, number.0), id.cast_unsigned()], 1);
        }
    }
    let hours: std::collections::BTreeSet<i64> = stored.keys().chain(indexed.keys()).copied().collect();
    for hour in hours {
        let (rows, entries) = (
            stored.get(&hour).copied().unwrap_or_default(),
            indexed.get(&hour).copied().unwrap_or_default(),
        );
        if rows != entries {
            part.problem(format!(
                "of the messages of the hour that begins at {} the index of numbers has {} entries for {}, or others than \
                 their numbers",
                crate::sqlite::damage::format_time(hour * BUCKET_MS),
                entries.count,
                rows.count
            ));
        }
    }
    Ok(())
}

/// Whether a key leads to a row.
fn leads_to(index: &Index, conn: &Connection, key: u64, id: i64) -> Result<bool, StoreError> {
    let mut found = false;
    let mut take = |candidate: i64| {
        found = candidate == id;
        Ok(if found {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        })
    };
    index.visit(conn, key, i64::MIN, &mut take).tried(TRIED)?;
    Ok(found)
}

/// Each message that waits for a receipt is found by what its carrier called it.
fn receipts(reading: &Reading<'_>, part: &mut DeepPart) -> Result<u64, StoreError> {
    let conn = reading.conn;
    let mut index = Index::load(
        conn,
        Kind::Receipt,
        reading.config.memtable_entries_max,
        reading.config.filter_bytes_max,
    )
    .tried(TRIED)?;
    read_log(conn, |entry| {
        index.memtable().push(entry.key, entry.id);
    })
    .tried(TRIED)?;
    let newest: i64 = conn
        .query_row(
            "SELECT coalesce(max(id), 0) >> 20 FROM awaiting_receipt",
            [],
            |row| row.get(0),
        )
        .tried(TRIED)?;
    // Runs that are older have gone.
    let oldest = newest - reading.config.receipt_age_ms_max;
    let mut select = conn
        .prepare(&format!(
            "SELECT {} FROM message_status o WHERE o.state = ?1 AND o.attempted_at > ?2 ORDER BY o.id",
            message_status::COLUMNS
        ))
        .tried(TRIED)?;
    let mut rows = select
        .query((StateCode(MessageState::Submitted), oldest))
        .tried(TRIED)?;
    let mut looked_at = 0;
    while let Some(row) = rows.next().tried(TRIED)? {
        looked_at += 1;
        reading.report(part.name, looked_at, 0);
        let Ok(Some(outcome)) = MessageStatus::from_row(row, 0) else {
            continue;
        };
        let segments = outcome.segments().unwrap_or_default();
        let waiting = segments
            .iter()
            .filter(|segment| segment.state == MessageState::Submitted);
        let ids = outcome
            .carrier_id
            .iter()
            .chain(waiting.map(|segment| &segment.carrier_id));
        for carrier_id in ids.filter(|id| !id.is_empty()) {
            let key = receipt_key(outcome.carrier, &CarrierId::new(carrier_id));
            if !leads_to(&index, conn, key, outcome.id.0)? {
                part.problem(format!("message {} would not be found by a receipt", outcome.id));
                break;
            }
        }
    }
    Ok(looked_at)
}

/// Each request that must be done once is found by its id.
fn requests(reading: &Reading<'_>, part: &mut DeepPart) -> Result<u64, StoreError> {
    let conn = reading.conn;
    let id_key = load::id_key(conn)?;
    let mut index = Index::load(
        conn,
        Kind::Request,
        reading.config.memtable_entries_max,
        reading.config.filter_bytes_max,
    )
    .tried(TRIED)?;
    load::push_requests(conn, &mut index, &id_key).tried(TRIED)?;
    let mut select = conn
        .prepare("SELECT id, account, scope, key FROM idempotency_record ORDER BY id")
        .tried(TRIED)?;
    let mut rows = select.query([]).tried(TRIED)?;
    let mut looked_at = 0;
    while let Some(row) = rows.next().tried(TRIED)? {
        looked_at += 1;
        reading.report(part.name, looked_at, 0);
        let id: i64 = row.get(0).tried(TRIED)?;
        let account = AccountId(row.get(1).tried(TRIED)?);
        let (Ok(scope), Ok(key)) = (row.get::<_, String>(2), row.get::<_, String>(3)) else {
            part.problem(format!("request {id} cannot be read"));
            continue;
        };
        if !leads_to(&index, conn, request_key(&id_key, account, &scope, &key), id)? {
            part.problem(format!(
                "request {id} would be done again, for its id is not found"
            ));
        }
    }
    Ok(looked_at)
}
