//! Moving pages from the write-ahead log into the database file, beside the writer.
//!
//! A passive checkpoint never makes the writer wait, but while the writer goes on the log never becomes empty either,
//! so its file would grow without end. Once the log is longer than allowed and nearly all of it has been moved, the
//! writer itself moves the small rest between two groups. The next group then restarts the log at the beginning of
//! the same file.

use super::SqliteConfig;
use super::error::Tried;
use super::metrics::Meters;
use super::watch::{self, Watch};
use crate::{Failure, StoreError};
use parking_lot::{Condvar, Mutex};
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// Log pages that the writer may have to move itself: a few milliseconds.
const REST_PAGES_MAX: i64 = 1_500;
/// Between two passive checkpoints at least: the longer, the more rewritten pages are moved once only.
const PAUSE: Duration = Duration::from_millis(250);

/// Signals between the writer and the checkpoint thread.
#[derive(Debug, Default)]
pub(super) struct Signal {
    written: Mutex<State>,
    changed: Condvar,
    /// Set when the writer should finish a checkpoint.
    finish: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    dirty: bool,
    closed: bool,
}

impl Signal {
    /// The writer has committed something.
    pub(super) fn committed(&self) {
        let mut state = self.written.lock();
        if !state.dirty {
            state.dirty = true;
            drop(state);
            self.changed.notify_one();
        }
    }

    /// Whether the writer should finish a checkpoint now; clears the request.
    pub(super) fn take_finish(&self) -> bool {
        self.finish.load(Ordering::Relaxed) && self.finish.swap(false, Ordering::Relaxed)
    }

    /// Ends the thread.
    pub(super) fn close(&self) {
        self.written.lock().closed = true;
        self.changed.notify_one();
    }

    /// Waits until something was written; false once closed.
    fn wait(&self) -> bool {
        let mut state = self.written.lock();
        while !state.dirty && !state.closed {
            self.changed.wait(&mut state);
        }
        state.dirty = false;
        !state.closed
    }

    /// Lets the log grow for a while; false once closed.
    fn pause(&self) -> bool {
        let mut state = self.written.lock();
        if !state.closed {
            self.changed
                .wait_while_for(&mut state, |state| !state.closed, PAUSE);
        }
        !state.closed
    }
}

/// The thread that makes passive checkpoints.
pub(super) fn spawn(
    path: &Path,
    config: &SqliteConfig,
    signal: Arc<Signal>,
    meters: Arc<Meters>,
    watch: Arc<Watch>,
    failure: Failure,
) -> Result<JoinHandle<()>, StoreError> {
    let conn = super::open::checkpointing(path, config)?;
    let wal = super::place::beside(path, "-wal");
    let wal_bytes_max = config.wal_bytes_max;
    Builder::new()
        .name("store-checkpoint".into())
        .spawn(move || {
            let _died = Died(failure.clone());
            run(&conn, &wal, wal_bytes_max, &signal, &meters, &watch, &failure);
            if watch.lost().is_some() || failure.get().is_some() {
                watch::leave_the_names_alone(&conn);
            }
        })
        .map_err(|error| StoreError::Other(format!("start the checkpoint thread: {error}")))
}

/// Without checkpoints the log grows until the disk is full.
struct Died(Failure);

impl Drop for Died {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!(thread = "store-checkpoint", "store thread panicked");
            self.0.set("the thread that makes checkpoints of the store died");
        }
    }
}

fn run(
    conn: &Connection,
    wal: &PathBuf,
    wal_bytes_max: u64,
    signal: &Signal,
    meters: &Meters,
    watch: &Watch,
    failure: &Failure,
) {
    while signal.wait() && signal.pause() && failure.get().is_none() {
        // Into a file that was cut it would write the holes, and the log would not be needed any more.
        if watch.before_checkpoint(conn).is_err() {
            continue;
        }
        match checkpoint(conn, "PASSIVE") {
            Ok(Progress { log, moved }) => {
                meters.checkpoints.fetch_add(1, Ordering::Relaxed);
                let bytes = std::fs::metadata(wal).map_or(0, |file| file.len());
                meters.wal_bytes.store(bytes, Ordering::Relaxed);
                let log_bytes = u64::try_from(log).unwrap_or(0).saturating_mul(4_096);
                if log_bytes > wal_bytes_max && log - moved < REST_PAGES_MAX {
                    signal.finish.store(true, Ordering::Relaxed);
                }
            }
            Err(error) if error.is_failed_sync() => {
                tracing::error!(%error, "checkpoint failed");
                failure.set(&error.to_string());
                return;
            }
            // The log keeps what could not be moved; the next round tries again.
            Err(error) => tracing::warn!(%error, "checkpoint failed"),
        }
    }
}

/// Pages in the log and how many of them have been moved into the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Progress {
    pub(super) log: i64,
    pub(super) moved: i64,
}

/// One checkpoint. `kind` is one of SQLite's words for them.
pub(super) fn checkpoint(conn: &Connection, kind: &'static str) -> Result<Progress, StoreError> {
    conn.query_row(&format!("PRAGMA wal_checkpoint({kind})"), [], |row| {
        Ok(Progress {
            log: row.get(1)?,
            moved: row.get(2)?,
        })
    })
    .tried("checkpoint")
}
