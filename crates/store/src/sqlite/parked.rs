//! Receipts that came before (or without) the answer that names their message.

use super::codes::{ErrorCode, ReceiptCode, receipt_key};
use crate::{CarrierNo, CarrierReceipt, UnixMs};
use rusqlite::Connection;
use sms::receipt::CarrierId;
use std::collections::{BTreeMap, HashMap};

/// The parked receipts, on disk and mirrored in memory: every carrier id that comes with an answer is
/// looked up here, so that must not cost a read.
#[derive(Debug, Default)]
pub(super) struct Parked {
    receipts: BTreeMap<i64, CarrierReceipt>,
    by_key: HashMap<u64, Vec<i64>>,
    journal: Vec<Change>,
    last: i64,
}

/// For going back.
#[derive(Debug)]
enum Change {
    Added(i64),
    Removed(i64, CarrierReceipt),
}

impl Parked {
    pub(super) fn load(conn: &Connection) -> rusqlite::Result<Self> {
        let mut parked = Self::default();
        let mut select = conn
            .prepare("SELECT id, carrier, carrier_id, state, error, received_at FROM parked ORDER BY id")?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let receipt = CarrierReceipt {
                carrier: CarrierNo(row.get(1)?),
                carrier_id: CarrierId::new(row.get_ref(2)?.as_str()?),
                state: row.get::<_, ReceiptCode>(3)?.0,
                error: row.get_ref(4)?.as_str()?.trim_end_matches(' ').into(),
                received_at: row.get(5)?,
            };
            parked.put(row.get(0)?, receipt);
        }
        Ok(parked)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.receipts.len()
    }

    /// Parks one; returns how many of the oldest had to go for it.
    pub(super) fn park(
        &mut self,
        conn: &Connection,
        receipt: CarrierReceipt,
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
        self.put(id, receipt);
        self.journal.push(Change::Added(id));
        let mut dropped = 0;
        while self.receipts.len() > receipts_max
            && let Some(&oldest) = self.receipts.keys().next()
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
        if self.receipts.is_empty() {
            return Ok(Vec::new());
        }
        let Some(ids) = self.by_key.get(&receipt_key(carrier, carrier_id)) else {
            return Ok(Vec::new());
        };
        let same = |receipt: &CarrierReceipt| {
            receipt.carrier == carrier && receipt.carrier_id.as_str() == carrier_id.as_str()
        };
        let ids: Vec<i64> = ids
            .iter()
            .copied()
            .filter(|id| self.receipts.get(id).is_some_and(same))
            .collect();
        let mut taken = Vec::with_capacity(ids.len());
        for id in ids {
            taken.extend(self.remove(conn, id)?);
        }
        Ok(taken)
    }

    /// Forgets those received before `before`; returns how many.
    pub(super) fn expire(&mut self, conn: &Connection, before: UnixMs) -> rusqlite::Result<u64> {
        let old: Vec<i64> = self
            .receipts
            .iter()
            .filter(|(_, r)| r.received_at < before)
            .map(|(&id, _)| id)
            .collect();
        for &id in &old {
            self.remove(conn, id)?;
        }
        Ok(old.len() as u64)
    }

    fn put(&mut self, id: i64, receipt: CarrierReceipt) {
        let ids = self
            .by_key
            .entry(receipt_key(receipt.carrier, &receipt.carrier_id))
            .or_default();
        // Going back puts one among others that came later.
        let place = ids.partition_point(|&other| other < id);
        ids.insert(place, id);
        self.receipts.insert(id, receipt);
        self.last = self.last.max(id);
    }

    fn remove(&mut self, conn: &Connection, id: i64) -> rusqlite::Result<Option<CarrierReceipt>> {
        conn.prepare_cached("DELETE FROM parked WHERE id = ?1")?
            .execute([id])?;
        let receipt = self.unput(id);
        if let Some(receipt) = &receipt {
            self.journal.push(Change::Removed(id, receipt.clone()));
        }
        Ok(receipt)
    }

    fn unput(&mut self, id: i64) -> Option<CarrierReceipt> {
        let receipt = self.receipts.remove(&id)?;
        let key = receipt_key(receipt.carrier, &receipt.carrier_id);
        if let Some(ids) = self.by_key.get_mut(&key) {
            if let Ok(place) = ids.binary_search(&id) {
                ids.remove(place);
            }
            if ids.is_empty() {
                self.by_key.remove(&key);
            }
        }
        Some(receipt)
    }

    /// A place to go back to.
    pub(super) fn journal_len(&self) -> usize {
        self.journal.len()
    }

    /// Sets memory back; the disk does so by itself.
    pub(super) fn go_back(&mut self, len: usize) {
        while self.journal.len() > len {
            match self.journal.pop() {
                Some(Change::Added(id)) => drop(self.unput(id)),
                Some(Change::Removed(id, receipt)) => self.put(id, receipt),
                None => return,
            }
        }
    }

    /// What was done is on stable storage.
    pub(super) fn forget_journal(&mut self) {
        self.journal.clear();
    }
}
