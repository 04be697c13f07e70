//! Receipts that came before (or without) the answer that names their message.

use super::codes::{ErrorCode, ReceiptCode, receipt_key};
use crate::{CarrierNo, CarrierReceipt, UnixMs};
use rusqlite::{Connection, Row};
use sms::receipt::CarrierId;
use std::collections::{BTreeMap, BTreeSet};

/// The parked receipts: on disk, and in memory by their keys alone. Every carrier id that comes with an
/// answer is looked up here, so that must not cost a read; the few that are found may.
#[derive(Debug, Default)]
pub(super) struct Parked {
    /// By id, so in the order they came.
    keys: BTreeMap<i64, u64>,
    by_key: BTreeSet<(u64, i64)>,
    journal: Vec<Change>,
    last: i64,
}

/// For going back.
#[derive(Debug, Clone, Copy)]
enum Change {
    Added(i64),
    Removed(i64, u64),
}

impl Parked {
    pub(super) fn load(conn: &Connection) -> rusqlite::Result<Self> {
        let mut parked = Self::default();
        let mut select =
            conn.prepare("SELECT carrier, carrier_id, state, error, received_at, id FROM parked")?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let receipt = receipt_from(row)?;
            parked.put(row.get(5)?, receipt_key(receipt.carrier, &receipt.carrier_id));
        }
        Ok(parked)
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
            "INSERT INTO parked (id, carrier, carrier_id, state, error, received_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute((
            id,
            receipt.carrier.0,
            receipt.carrier_id.as_str(),
            ReceiptCode(receipt.state),
            ErrorCode(&receipt.error),
            receipt.received_at,
        ))?;
        self.put(id, receipt_key(receipt.carrier, &receipt.carrier_id));
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

    /// Takes those of a carrier's id, in the order they came.
    pub(super) fn take(
        &mut self,
        conn: &Connection,
        carrier: CarrierNo,
        carrier_id: &CarrierId,
    ) -> rusqlite::Result<Vec<CarrierReceipt>> {
        let mut taken = Vec::new();
        if self.keys.is_empty() {
            return Ok(taken);
        }
        let key = receipt_key(carrier, carrier_id);
        let ids: Vec<i64> = self
            .by_key
            .range((key, i64::MIN)..=(key, i64::MAX))
            .map(|&(_, id)| id)
            .collect();
        for id in ids {
            let receipt = conn
                .prepare_cached(
                    "SELECT carrier, carrier_id, state, error, received_at FROM parked WHERE id = ?1",
                )?
                .query_row([id], receipt_from)?;
            if receipt.carrier == carrier && receipt.carrier_id == *carrier_id {
                self.remove(conn, id)?;
                taken.push(receipt);
            }
        }
        Ok(taken)
    }

    /// Forgets those received before `before`; returns how many.
    pub(super) fn expire(&mut self, conn: &Connection, before: UnixMs) -> rusqlite::Result<u64> {
        let old: Vec<i64> = conn
            .prepare_cached("SELECT id FROM parked WHERE received_at < ?1")?
            .query_map([before], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        for &id in &old {
            self.remove(conn, id)?;
        }
        Ok(old.len() as u64)
    }

    fn put(&mut self, id: i64, key: u64) {
        self.keys.insert(id, key);
        self.by_key.insert((key, id));
        self.last = self.last.max(id);
    }

    fn remove(&mut self, conn: &Connection, id: i64) -> rusqlite::Result<()> {
        conn.prepare_cached("DELETE FROM parked WHERE id = ?1")?
            .execute([id])?;
        if let Some(key) = self.unput(id) {
            self.journal.push(Change::Removed(id, key));
        }
        Ok(())
    }

    fn unput(&mut self, id: i64) -> Option<u64> {
        let key = self.keys.remove(&id)?;
        self.by_key.remove(&(key, id));
        Some(key)
    }

    /// A place to go back to.
    pub(super) fn journal_len(&self) -> usize {
        self.journal.len()
    }

    /// Sets memory back; the disk does so by itself.
    pub(super) fn go_back(&mut self, len: usize) {
        for change in self
            .journal
            .split_off(len.min(self.journal.len()))
            .into_iter()
            .rev()
        {
            match change {
                Change::Added(id) => drop(self.unput(id)),
                Change::Removed(id, key) => self.put(id, key),
            }
        }
    }

    /// What was done is on stable storage.
    pub(super) fn forget_journal(&mut self) {
        self.journal.clear();
    }
}

fn receipt_from(row: &Row<'_>) -> rusqlite::Result<CarrierReceipt> {
    Ok(CarrierReceipt {
        carrier: CarrierNo(row.get(0)?),
        carrier_id: CarrierId::new(row.get_ref(1)?.as_str()?),
        state: row.get::<_, ReceiptCode>(2)?.0,
        error: row.get_ref(3)?.as_str()?.trim_end_matches(' ').into(),
        received_at: row.get(4)?,
    })
}
