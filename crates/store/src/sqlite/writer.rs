//! The writer: one thread, one connection, groups of commands.
//!
//! It takes what waits, does it in one transaction, commits once and answers all: see [`super::group`].

use super::checkpoint::{self, Signal};
use super::commands::{Command, Commands};
use super::error::{FailedSync, Tried};
use super::group::GroupCommit;
use super::lock::WriterLock;
use super::maintenance::Maintenance;
use super::memory::{Shared, WriterState};
use super::watch::{self, Watch};
use crate::{Failure, StoreError};
use rusqlite::Connection;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// The writing side of a store.
pub(super) struct Writer {
    conn: Connection,
    /// Absent in a tool, which changes the catalog only.
    memory: Option<WriterState>,
    shared: Arc<Shared>,
    commands: Arc<Commands>,
    signal: Arc<Signal>,
    writer_lock: WriterLock,
    /// Absent in a tool.
    watch: Option<Arc<Watch>>,
    maintenance: Maintenance,
    log_seq: i64,
    group_rows_max: usize,
    group_time_max: Duration,
    /// What a receipt took in the last group that had some.
    receipt_cost: Duration,
    /// The last group ended so.
    failed_sync: Option<StoreError>,
}

/// However the thread ends, no command waits for it in vain; after a panic the store has failed for good. Its
/// connection is closed after this: then the log may go, and is not watched any more.
struct Abandon(Arc<Commands>, Arc<Signal>, Failure, Option<Arc<Watch>>);

impl Drop for Abandon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!(thread = "store-write", "store thread panicked");
            self.2.set("the thread that writes to the store died");
        }
        self.0.abandon();
        self.1.close();
        if let Some(watch) = &self.3 {
            watch.stop();
        }
    }
}

impl Writer {
    pub(super) fn new(
        conn: Connection,
        memory: Option<WriterState>,
        shared: Arc<Shared>,
        commands: Arc<Commands>,
        signal: Arc<Signal>,
        (writer_lock, watch): (WriterLock, Option<Arc<Watch>>),
        config: &super::SqliteConfig,
    ) -> Result<Self, StoreError> {
        let log_seq = conn
            .query_row("SELECT coalesce(max(seq), 0) FROM receipt_log", [], |row| {
                row.get(0)
            })
            .tried("read the receipt log")?;
        Ok(Self {
            conn,
            memory,
            shared,
            commands,
            signal,
            writer_lock,
            watch,
            maintenance: Maintenance::default(),
            log_seq,
            group_rows_max: config.group_rows_max,
            group_time_max: Duration::from_millis(config.group_ms_max),
            receipt_cost: Duration::ZERO,
            failed_sync: None,
        })
    }

    /// Serves until the queue is closed and empty.
    pub(super) fn run(mut self, failure: Failure) {
        let _abandon = Abandon(
            Arc::clone(&self.commands),
            Arc::clone(&self.signal),
            failure.clone(),
            self.watch.clone(),
        );
        let mut healthy = true;
        loop {
            self.plan(false);
            let first = match self.commands.take() {
                Some(command) => Some(command),
                // Nothing waits: time for what else there is to do, unless that has just failed.
                None if healthy && self.plan(true) => None,
                None => match self.commands.wait() {
                    Some(command) => Some(command),
                    None => break,
                },
            };
            healthy = self.turn(first);
            if let Some(error) = &self.failed_sync {
                // Before anything else: no checkpoint is to begin.
                failure.set(&error.to_string());
            } else {
                self.signal.committed();
            }
            if self.failed_sync.is_none() && self.signal.take_finish() {
                self.finish_checkpoint();
            }
            if let Some(error) = self.failed_sync.take() {
                // What the next sync says is worth nothing: the log is written again when the store is opened.
                failure.set(&error.to_string());
                break;
            }
        }
        self.close(&failure);
    }

    /// Plans maintenance; true when it needs a group of its own.
    fn plan(&mut self, wait: bool) -> bool {
        let Some(memory) = &mut self.memory else {
            return false;
        };
        self.maintenance.plan(memory, &self.shared, self.log_seq, wait);
        self.maintenance.are_due(memory, self.commands.is_closed())
    }

    /// One group, in a server after the tools that want to write, in a tool in its turn.
    fn turn(&mut self, first: Option<Command>) -> bool {
        if self.memory.is_some() {
            self.writer_lock.yield_to_tools();
            return self.group(first);
        }
        if let Err(error) = self.writer_lock.take() {
            if let Some(command) = first {
                command.refuse(error);
            }
            return false;
        }
        let done = self.group(first);
        self.writer_lock.leave();
        done
    }

    /// One group, from its first command (none: only maintenance) to its answers; false when it failed.
    fn group(&mut self, first: Option<Command>) -> bool {
        let started = Instant::now();
        let Self {
            conn,
            memory,
            shared,
            commands,
            maintenance,
            watch,
            ..
        } = self;
        let mut group = match GroupCommit::begin(conn, memory.as_mut(), shared, maintenance, watch.as_deref())
        {
            Ok(group) => group,
            Err(error) => {
                // The watch reports files that are gone.
                if watch.as_ref().is_none_or(|watch| watch.lost().is_none()) {
                    tracing::error!(%error, "transaction not started");
                }
                shared.meters.groups_failed.fetch_add(1, Ordering::Relaxed);
                self.failed_sync = error.failed_sync();
                if let Some(command) = first {
                    command.refuse(error);
                }
                return false;
            }
        };
        let mut next = first;
        // Receipts go last: one that overtook its answer on another session finds it. Otherwise it would be looked
        // for in all sorted runs and then stored as unmatched.
        let mut receipts = Vec::new();
        let mut receipt_rows = 0u32;
        while let Some(command) = next {
            if matches!(command, Command::RecordReceipts(..)) {
                receipt_rows += u32::try_from(command.rows()).unwrap_or(u32::MAX);
                receipts.push(command);
            } else {
                group.run(command);
            }
            let ahead = self.receipt_cost.saturating_mul(receipt_rows);
            let full = group.rows() + receipt_rows as usize >= self.group_rows_max
                || started.elapsed() + ahead >= self.group_time_max;
            next = if full || group.has_failed() {
                None
            } else {
                commands.take()
            };
        }
        let receipts_began = Instant::now();
        for command in receipts {
            group.run(command);
        }
        if let Some(cost) = receipts_began.elapsed().checked_div(receipt_rows) {
            self.receipt_cost = cost;
        }
        let ended = group.end(self.log_seq + 1);
        self.log_seq += i64::from(ended.logged);
        self.failed_sync = ended.failed_sync;
        ended.committed
    }

    /// Moves the rest of the log, so that the next group restarts it.
    fn finish_checkpoint(&mut self) {
        if let Some(watch) = &self.watch
            && watch.before_checkpoint(&self.conn).is_err()
        {
            return;
        }
        // Readers that are in the middle of something would be waited for: rather try again later.
        let waited = self.conn.busy_timeout(Duration::from_millis(5));
        if let Err(error) = waited
            .tried("set the lock wait")
            .and(checkpoint::checkpoint(&self.conn, "RESTART"))
        {
            self.failed_sync = error.failed_sync();
            tracing::debug!(%error, "write-ahead log not restarted");
        }
        let wait_max = self
            .memory
            .as_ref()
            .map_or(5_000, |memory| memory.config.lock_wait_ms_max);
        if let Err(error) = self.conn.busy_timeout(Duration::from_millis(wait_max)) {
            tracing::warn!(%error, "lock wait not set");
        }
    }

    /// The last thing: the log goes into the file, so that the next start finds a short one. Not after a failure: what the log
    /// holds may not be durable, and is for the next start to see to.
    fn close(self, failure: &Failure) {
        if let Some(watch) = &self.watch {
            watch.stop();
        }
        // Not by a tool: a server beside it would have to wait.
        let is_lost = self.watch.as_ref().is_some_and(|watch| watch.lost().is_some());
        if is_lost || failure.get().is_some() {
            watch::leave_the_names_alone(&self.conn);
        } else if self.memory.is_some()
            && let Err(error) = checkpoint::checkpoint(&self.conn, "TRUNCATE")
        {
            tracing::debug!(%error, "last checkpoint failed");
            if error.is_failed_sync() {
                failure.set(&error.to_string());
                watch::leave_the_names_alone(&self.conn);
            }
        }
        if let Err((_, error)) = self.conn.close() {
            tracing::warn!(%error, "store not closed cleanly");
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::Store;
    use crate::conformance::fixtures::{NOW, accepted, batch, request};
    use crate::sqlite::{Mode, SqliteConfig, SqliteStore};

    /// What its connections would move on being closed may be in the kernel's memory alone.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_log_of_a_store_that_has_failed_is_left_to_the_next_start() {
        for has_failed in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("p.db");
            let store = SqliteStore::open(&path, Mode::Serve, SqliteConfig::default()).unwrap();
            accepted(&store, request(NOW, vec![batch(0..50)])).await;
            store.next_due().await.unwrap();
            if has_failed {
                store.failure.set("a sync failed");
            }
            store.close().await.unwrap();
            let log = std::fs::metadata(folder.path().join("p.db-wal"));
            assert_eq!(log.is_ok_and(|log| log.len() > 0), has_failed);
            let store = SqliteStore::open(&path, Mode::Serve, SqliteConfig::default()).unwrap();
            assert_eq!(store.counts().await.unwrap().queued, 50);
        }
    }
}
