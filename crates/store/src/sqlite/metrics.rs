//! What can be watched.

use crate::CarrierNo;
use parking_lot::Mutex;
use sms::class::Class;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the commit histogram's buckets in seconds; one more bucket holds what took longer.
pub const COMMIT_SECONDS: [f64; 9] = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 1.0];

/// A moment's figures. Those that only grow count since the store was opened.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct StoreMetrics {
    /// Commands that wait for the writer now.
    pub commands_waiting: u64,
    /// Commands done.
    pub commands: u64,
    /// Accepts refused because too much waited.
    pub busy: u64,
    /// Groups committed.
    pub groups: u64,
    /// Groups that could not be committed.
    pub groups_failed: u64,
    /// Rows (messages, results, receipts …) of committed groups.
    pub rows: u64,
    /// Commits by how long `COMMIT` (the fsync) took: one count for each of [`COMMIT_SECONDS`], and one above.
    pub commit_buckets: [u64; COMMIT_SECONDS.len() + 1],
    /// Seconds spent in `COMMIT`.
    pub commit_seconds: f64,
    /// The longest `COMMIT` in seconds.
    pub commit_seconds_max: f64,
    /// Size of the write-ahead log in octets.
    pub wal_bytes: u64,
    /// Checkpoints that moved something.
    pub checkpoints: u64,
    /// Receipts that wait for their message now.
    pub unmatched_receipts: u64,
    /// Unmatched receipts dropped because there were too many.
    pub unmatched_receipts_dropped: u64,
    /// Inbound messages that nobody owned, dropped because there were too many.
    pub unassigned_inbound_dropped: u64,
    /// Sealed runs of all indexes.
    pub runs: u64,
    /// Series (what is common to batches and counted apart) in memory; at most 32 768, others are read when they
    /// come back.
    pub dimensions: u64,
    /// 1 when the store's files are not those that were opened: nothing is stored any more.
    pub lost: u64,
    /// Names (hard links) of the store's file, as of the last look; 0 before the first. More than one is refused at a start.
    pub names: u64,
    /// Lines of the record of damage that are not acknowledged, as of the start.
    pub damaged: u64,
    /// How far new ids are ahead of the machine's clock, in milliseconds: 0 unless that was set back (or, below 0, went
    /// ahead by more than a year).
    pub ids_ahead_ms: i64,
    /// Messages whose time to live ended before they were sent, by the carrier they waited for and class.
    pub expired: Vec<(CarrierNo, Class, u64)>,
}

/// The counters behind [`StoreMetrics`].
#[derive(Debug, Default)]
pub(super) struct Meters {
    pub(super) commands: AtomicU64,
    pub(super) busy: AtomicU64,
    pub(super) groups_failed: AtomicU64,
    pub(super) rows: AtomicU64,
    pub(super) wal_bytes: AtomicU64,
    pub(super) checkpoints: AtomicU64,
    pub(super) unmatched_receipts: AtomicU64,
    pub(super) unmatched_receipts_dropped: AtomicU64,
    pub(super) unassigned_inbound_dropped: AtomicU64,
    pub(super) delayed: AtomicU64,
    pub(super) runs: AtomicU64,
    pub(super) dimensions: AtomicU64,
    pub(super) lost: AtomicU64,
    pub(super) names: AtomicU64,
    pub(super) damaged: AtomicU64,
    /// How far ids are ahead of the machine's clock.
    pub(super) ids_ahead_ms: AtomicI64,
    /// The newest time that the store knew when it was opened.
    pub(super) newest_at_open: AtomicI64,
    /// See [`crate::Store::hold_deletes`].
    pub(super) deletes_held: AtomicBool,
    commits: Mutex<Commits>,
    expired: Mutex<BTreeMap<(CarrierNo, Class), u64>>,
}

#[derive(Debug, Default)]
struct Commits {
    buckets: [u64; COMMIT_SECONDS.len() + 1],
    total: Duration,
    longest: Duration,
}

impl Meters {
    /// One commit took so long.
    pub(super) fn committed(&self, took: Duration) {
        let bucket = COMMIT_SECONDS.partition_point(|&bound| bound < took.as_secs_f64());
        let mut commits = self.commits.lock();
        if let Some(count) = commits.buckets.get_mut(bucket) {
            *count += 1;
        }
        commits.total += took;
        commits.longest = commits.longest.max(took);
    }

    /// Messages have expired.
    pub(super) fn count_expired(&self, expired: &[(CarrierNo, Class, u64)]) {
        if expired.is_empty() {
            return;
        }
        let mut all = self.expired.lock();
        for &(carrier, class, messages) in expired {
            *all.entry((carrier, class)).or_insert(0) += messages;
        }
    }

    pub(super) fn snapshot(&self, commands_waiting: usize) -> StoreMetrics {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let commits = self.commits.lock();
        StoreMetrics {
            commands_waiting: commands_waiting as u64,
            commands: read(&self.commands),
            busy: read(&self.busy),
            groups: commits.buckets.iter().sum(),
            groups_failed: read(&self.groups_failed),
            rows: read(&self.rows),
            commit_buckets: commits.buckets,
            commit_seconds: commits.total.as_secs_f64(),
            commit_seconds_max: commits.longest.as_secs_f64(),
            wal_bytes: read(&self.wal_bytes),
            checkpoints: read(&self.checkpoints),
            unmatched_receipts: read(&self.unmatched_receipts),
            unmatched_receipts_dropped: read(&self.unmatched_receipts_dropped),
            unassigned_inbound_dropped: read(&self.unassigned_inbound_dropped),
            runs: read(&self.runs),
            dimensions: read(&self.dimensions),
            lost: read(&self.lost),
            names: read(&self.names),
            damaged: read(&self.damaged),
            ids_ahead_ms: self.ids_ahead_ms.load(Ordering::Relaxed),
            expired: {
                let expired = self.expired.lock();
                expired.iter().map(|(&(no, class), &n)| (no, class, n)).collect()
            },
        }
    }
}
