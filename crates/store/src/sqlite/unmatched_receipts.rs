//! Receipts that came before (or without) the answer that names their message.

use super::codes::{ErrorCode, ReceiptCode, receipt_key};
use super::id_clock::AHEAD_MS_MAX;
use crate::{CarrierNo, CarrierReceipt, ReceiptScope, UnixMs};
use rusqlite::{Connection, Row};
use smallvec::SmallVec;
use sms::receipt::CarrierId;
use std::collections::{BTreeMap, BTreeSet};

/// The unmatched receipts: on disk, and in memory by their keys alone. Every carrier id that comes with an answer is
/// looked up here, so a look-up must not cost a read; the few matches may.
#[derive(Debug, Default)]
pub(super) struct UnmatchedReceipts {
    /// By id, so in the order they came.
    keys: BTreeMap<i64, Keys>,
    by_key: BTreeSet<(u64, i64)>,
    journal: Vec<Change>,
    last: i64,
}

/// For going back.
#[derive(Debug, Clone)]
enum Change {
    Added(i64),
    Removed(i64, Keys),
}

/// One for each id that a receipt may mean: nearly always one.
type Keys = SmallVec<[u64; 1]>;

fn keys_of(receipt: &CarrierReceipt) -> Keys {
    receipt.ids().map(|id| receipt_key(receipt.carrier, id)).collect()
}

impl UnmatchedReceipts {
    pub(super) fn load(conn: &Connection) -> rusqlite::Result<Self> {
        let mut unmatched_receipts = Self::default();
        let mut select = conn.prepare(&format!("SELECT {COLUMNS}, id FROM unmatched_receipt"))?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            unmatched_receipts.put(row.get(COLUMNS_COUNT)?, keys_of(&receipt_from(row)?));
        }
        Ok(unmatched_receipts)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Parks one; returns how many of the oldest had to go for it.
    pub(super) fn park(
        &mut self,
        conn: &Connection,
        receipt: &CarrierReceipt,
        receipts_max: usize,
    ) -> rusqlite::Result<u64> {
        let id = self.last + 1;
        conn.prepare_cached(
            "INSERT INTO unmatched_receipt (id, carrier, carrier_id, state, error, received_at, other_ids, whole)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute((
            id,
            receipt.carrier.0,
            receipt.carrier_id.as_str(),
            ReceiptCode(receipt.state),
            ErrorCode(&receipt.error),
            receipt.received_at,
            other_ids_to_sql(&receipt.other_ids),
            receipt.scope == ReceiptScope::Message,
        ))?;
        self.put(id, keys_of(receipt));
        self.journal.push(Change::Added(id));
        let mut dropped = 0;
        while self.keys.len() > receipts_max
            && let Some(&oldest) = self.keys.keys().next()
        {
            self.remove(conn, oldest)?;
            dropped += 1;
        }
        Ok(dropped)
    }

    /// Those that may mean a carrier's id, with their numbers, in the order they came.
    pub(super) fn of(
        &self,
        conn: &Connection,
        carrier: CarrierNo,
        carrier_id: &CarrierId,
    ) -> rusqlite::Result<Vec<(i64, CarrierReceipt)>> {
        let mut found = Vec::new();
        let key = receipt_key(carrier, carrier_id);
        for &(_, id) in self.by_key.range((key, i64::MIN)..=(key, i64::MAX)) {
            let receipt = conn
                .prepare_cached(&format!("SELECT {COLUMNS} FROM unmatched_receipt WHERE id = ?1"))?
                .query_row([id], receipt_from)?;
            if receipt.carrier == carrier && receipt.ids().any(|id| id == carrier_id) {
                found.push((id, receipt));
            }
        }
        Ok(found)
    }

    /// Drops those received before `before`; returns how many. Those received while the clock was ahead of `now` wait
    /// from now on.
    pub(super) fn expire(&mut self, conn: &Connection, before: UnixMs, now: UnixMs) -> rusqlite::Result<u64> {
        conn.prepare_cached("UPDATE unmatched_receipt SET received_at = ?1 WHERE received_at > ?1 + ?2")?
            .execute((now, AHEAD_MS_MAX))?;
        let old: Vec<i64> = conn
            .prepare_cached("SELECT id FROM unmatched_receipt WHERE received_at < ?1")?
            .query_map([before], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        for &id in &old {
            self.remove(conn, id)?;
        }
        Ok(old.len() as u64)
    }

    fn put(&mut self, id: i64, keys: Keys) {
        self.by_key.extend(keys.iter().map(|&key| (key, id)));
        self.keys.insert(id, keys);
        self.last = self.last.max(id);
    }

    /// Removes one by its number.
    pub(super) fn remove(&mut self, conn: &Connection, id: i64) -> rusqlite::Result<()> {
        conn.prepare_cached("DELETE FROM unmatched_receipt WHERE id = ?1")?
            .execute([id])?;
        if let Some(keys) = self.unput(id) {
            self.journal.push(Change::Removed(id, keys));
        }
        Ok(())
    }

    fn unput(&mut self, id: i64) -> Option<Keys> {
        let keys = self.keys.remove(&id)?;
        for &key in &keys {
            self.by_key.remove(&(key, id));
        }
        Some(keys)
    }

    /// A place to go back to.
    pub(super) fn journal_len(&self) -> usize {
        self.journal.len()
    }

    /// Sets memory back; the disk does so by itself.
    pub(super) fn rollback_to(&mut self, len: usize) {
        for change in self
            .journal
            .split_off(len.min(self.journal.len()))
            .into_iter()
            .rev()
        {
            match change {
                Change::Added(id) => drop(self.unput(id)),
                Change::Removed(id, keys) => self.put(id, keys),
            }
        }
    }

    /// What was done is on stable storage.
    pub(super) fn clear_journal(&mut self) {
        self.journal.clear();
    }
}

/// The columns of [`receipt_from`], in its order.
const COLUMNS: &str = "carrier, carrier_id, state, error, received_at, other_ids, whole";
/// How many [`COLUMNS`] are.
const COLUMNS_COUNT: usize = 7;

fn receipt_from(row: &Row<'_>) -> rusqlite::Result<CarrierReceipt> {
    Ok(CarrierReceipt {
        carrier: CarrierNo(row.get(0)?),
        carrier_id: CarrierId::new(row.get_ref(1)?.as_str()?),
        other_ids: other_ids_from_sql(row.get_ref(5)?.as_str_or_null()?),
        scope: if row.get(6)? {
            ReceiptScope::Message
        } else {
            ReceiptScope::Segment
        },
        state: row.get::<_, ReceiptCode>(2)?.0,
        error: row.get_ref(3)?.as_str()?.trim_end_matches(' ').into(),
        // In the text of the error, which is applied as it was kept.
        cause: None,
        received_at: row.get(4)?,
        only_if_known: false,
    })
}

fn other_ids_to_sql(ids: &[CarrierId]) -> Option<String> {
    if ids.is_empty() {
        return None;
    }
    let ids: Vec<&str> = ids.iter().map(CarrierId::as_str).collect();
    serde_json::to_string(&ids).ok()
}

/// The reverse of [`other_ids_to_sql`]; what does not read is none.
fn other_ids_from_sql(written: Option<&str>) -> Vec<CarrierId> {
    let ids: Option<Vec<String>> = written.and_then(|written| serde_json::from_str(written).ok());
    ids.unwrap_or_default()
        .iter()
        .map(|id| CarrierId::new(id))
        .collect()
}
