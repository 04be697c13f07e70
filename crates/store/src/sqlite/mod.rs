//! The SQLite side of the port: one file, one writing thread, a few reading ones.
//!
//! # Writing
//! Commands wait in a bounded queue (`commands`). The writer takes what waits, runs it in one transaction with a
//! savepoint for each command, commits once (`synchronous = FULL`) and answers all (`writer`). A full disk fails the
//! group and nothing else: memory is rolled back with the transaction, and the next group tries again. Checkpoints
//! run beside the writer (`checkpoint`). Another process may change the catalog meanwhile: it gets its turn between
//! two groups ([`Mode::Tool`]).
//!
//! # Counters and the outbox
//! A change of a message's state is counted and appended to the outbox in the same transaction (`outbox`); nothing
//! else writes counters or events of messages. While a group runs both are notes in memory, which a failed command
//! takes back with its rows. Before the commit the notes are summed up: each counter they touch is written once
//! (`counters`), and the events of each account are one row (`events`, `outbox_codec`). So a group of thousands of
//! messages costs a handful of rows more. With its outcome a message carries a [`crate::StatsKey`], so a receipt is
//! counted, and its account known, without reading the batch. Events that no endpoint of an account subscribes to are
//! not logged. The acked offsets of endpoints are written by commands like all others (`delivery`); a reader of the
//! log goes from offset to offset and holds one row at a time.
//!
//! # Why there are no partitions
//! Every hot table is keyed by a time-ordered id. What is written lies at the right edge of its tree and in the
//! cache; what retention removes lies at the left edge. That is what partitions by time are for elsewhere; in SQLite
//! they would add nothing, for `DROP TABLE` walks every page just as a delete does.
//!
//! # Why there are no secondary indexes
//! An index on a random key (number, carrier id, request id) dirties a page a row once it has outgrown the cache.
//! Such keys are in the log-structured merge trees of `lsm` instead. Contacts, tasks, records and inbound messages
//! are not written for each message: they have plain indexes.
//!
//! # The files
//! They are found by one path and belong to their owner alone (`place`); a server holds a lock beside them (`lock`).
//! While they are served they are watched by name, because SQLite goes on with files that are gone (`watch`). What
//! was durable is noted beside them (`durable`), and compared at the next start with what the write-ahead log still
//! holds (`wal`, `damage`): SQLite takes a damaged log up to the damage and says nothing.
//!
//! # What memory holds
//! Three indexes' newest entries (bounded by [`SqliteConfig::memtable_entries_max`]), filters of sorted runs
//! ([`SqliteConfig::filter_bytes_max`]), unmatched receipts ([`SqliteConfig::unmatched_receipts_max`]), the last concatenation
//! references ([`SqliteConfig::reference_numbers_max`]), one number a lane, the ids of open attempts (bounded by the
//! engine's windows), the kinds of events that each account with endpoints subscribes to, the series in use (32 768
//! at most), the errors counted separately for 8 192 series and hours, and the page caches.

mod accept;
mod admission;
mod attempts;
mod awaiting;
mod batch;
mod catalog;
mod cause;
mod checkpoint;
mod codes;
mod commands;
mod config;
mod contacts;
mod counters;
mod damage;
mod deep;
mod delivery;
mod dimensions;
mod durable;
mod endpoints;
mod error;
mod events;
mod expiry;
mod find;
mod group;
mod id_clock;
mod ids_blob;
mod inbound;
mod load;
mod lock;
mod lsm;
mod maintenance;
mod memory;
mod message_status;
mod metrics;
mod open;
mod outbox;
mod outbox_codec;
mod pages;
mod place;
mod query;
mod queue;
mod readers;
mod receipts;
mod records;
mod references;
mod request_time;
mod results;
mod resync;
mod retention;
mod segments;
mod shared_ids;
mod statistics;
mod suppressed;
mod tasks;
mod timeline;
mod unmatched_receipts;
mod wal;
mod watch;
mod write_task;
mod writer;
mod wrong_times;

pub use config::SqliteConfig;
pub use deep::{DeepPart, DeepProgress};
pub use metrics::{COMMIT_SECONDS, StoreMetrics};

use crate::Failure;
use crate::{
    AcceptCommand, AcceptError, Accepted, AccountId, AttemptStart, BegunAttempt, CarrierReceipt, Catalog,
    CatalogChange, CatalogExpectation, Counts, DequeuedRange, ExpirySweep, Lane, LaneBacklog, MessageFilter,
    MessageId, MessageSpan, MessageView, OnRelease, OpenAttempt, Outgoing, QueueSeq, ReceiptEffect,
    RecordResults, Released, ResultEffect, Store, StoreError, Suppression, SuppressionEntry, SweptExpired,
    TemplateVersion, TimelineEntry, UnixMs,
};
use async_trait::async_trait;
use catalog::Condition;
use checkpoint::Signal;
use commands::{Command, Commands, Reply};
use lock::{ServerLock, WriterLock};
use memory::Shared;
use metrics::Meters;
use write_task::OverloadPolicy;

use parking_lot::Mutex;
use readers::{ReadPool, ReadPriority};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;
use tokio::sync::oneshot;
use watch::Watch;

/// Reads octets as a write-ahead log and as a note beside the store, as a start does: for tests that try any octets.
#[cfg(feature = "conformance")]
pub fn read_as_log_and_note(octets: &[u8]) {
    let walked = wal::walk(&mut std::io::Cursor::new(octets));
    assert!(
        walked.is_ok_and(|walked| walked.committed <= walked.right && walked.bytes == octets.len() as u64)
    );
    let _none = durable::Note::from_slice(octets);
}

/// What a process opens a store for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// To serve: everything is allowed, and no other process may serve from the same store.
    Serve,
    /// To look at it and to change the catalog, beside a server or without one.
    Tool,
}

/// A store in one SQLite file.
pub struct SqliteStore {
    commands: Arc<Commands>,
    readers: ReadPool,
    shared: Arc<Shared>,
    meters: Arc<Meters>,
    id_key: [u8; 32],
    find_rows_max: usize,
    failure: Failure,
    threads: Mutex<Threads>,
}

#[derive(Default)]
struct Threads {
    writer: Option<JoinHandle<()>>,
    checkpoints: Option<JoinHandle<()>>,
    watch: Option<(Arc<Watch>, JoinHandle<durable::Notes>)>,
    /// Let go of last.
    lock: Option<Arc<ServerLock>>,
}

impl SqliteStore {
    /// Opens the store at `path`, makes it when there is none, and brings its schema up to date.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when another process serves from it, [`StoreError::NewerSchema`] when a newer program
    /// made it, [`StoreError::Foreign`] when another program's data is in it, [`StoreError::Other`] when the file has
    /// several names, is gone although it was there, or lacks what was durable and that is not acknowledged, and for
    /// other errors of SQLite.
    pub fn open(path: &Path, mode: Mode, config: SqliteConfig) -> Result<Self, StoreError> {
        let config = config.clamped();
        let path = &open::resolved(path)?;
        // Before anything is written beside it or into it.
        let schema = open::schema_version(path)?;
        let lock = match mode {
            Mode::Serve => Some(Arc::new(ServerLock::take(path)?)),
            Mode::Tool => None,
        };
        let found = match mode {
            Mode::Serve => {
                place::tighten(path, &config);
                Some(damage::look(path, schema)?)
            }
            Mode::Tool => damage::look_unless_served(path, schema)?,
        };
        let lock_wait_max = Duration::from_millis(config.lock_wait_ms_max);
        if mode == Mode::Serve {
            resync::write_log_again(path, &WriterLock::open(path, lock_wait_max)?)?;
        }
        let mut conn = open::writing(path, &config)?;
        open::migrate(&mut conn, path, mode)?;
        let id_key = load::id_key(&conn)?;
        let notes = found
            .map(|found| damage::settle(path, found, &conn, &id_key))
            .transpose()?;

        let meters = Arc::new(Meters::default());
        let damaged = damage::lines(&place::beside(path, ".damaged")).len();
        meters.damaged.store(damaged as u64, Ordering::Relaxed);
        let (shared, memory) = match mode {
            Mode::Serve => {
                let (shared, memory) = load::serve(&conn, &config, Arc::clone(&meters))?;
                (Arc::new(shared), Some(memory))
            }
            Mode::Tool => (Arc::new(load::tool(&conn, &config, Arc::clone(&meters))?), None),
        };
        let commands = Arc::new(Commands::new(&config, Arc::clone(&meters)));
        let signal = Arc::new(Signal::default());
        let failure = Failure::default();
        let watch = match &lock {
            Some(lock) => {
                let mark = damage::mark_in(&conn)?;
                let (lock, meters) = (Arc::clone(lock), Arc::clone(&meters));
                Some(Arc::new(Watch::begin(path, &mut conn, mark, lock, meters)?))
            }
            None => None,
        };
        let readers = ReadPool::open(path, &config, watch.as_ref(), &failure)?;
        let checkpoints = match &watch {
            Some(watch) => Some(checkpoint::spawn(
                path,
                &config,
                Arc::clone(&signal),
                Arc::clone(&meters),
                Arc::clone(watch),
                failure.clone(),
            )?),
            None => None,
        };
        let writer_lock = WriterLock::open(path, lock_wait_max)?;
        let (shared_too, commands_too) = (Arc::clone(&shared), Arc::clone(&commands));
        let writer = writer::Writer::new(
            conn,
            memory,
            shared_too,
            commands_too,
            signal,
            (writer_lock, watch.clone()),
            &config,
        )?;
        let watch = match (watch, notes) {
            (Some(watch), Some(notes)) => {
                let thread = watch::spawn(
                    Arc::clone(&watch),
                    notes,
                    Arc::clone(&commands),
                    &config,
                    failure.clone(),
                )?;
                Some((watch, thread))
            }
            _ => None,
        };
        let writer_failure = failure.clone();
        let writer = Builder::new()
            .name("store-write".into())
            .spawn(move || writer.run(writer_failure))
            .map_err(|error| StoreError::Other(format!("start the writing thread: {error}")))?;
        Ok(Self {
            commands,
            readers,
            shared,
            meters,
            id_key,
            find_rows_max: config.find_rows_max,
            failure,
            threads: Mutex::new(Threads {
                writer: Some(writer),
                checkpoints,
                watch,
                lock,
            }),
        })
    }

    /// The schema of the store at `path`; `None` when there is no store.
    ///
    /// # Errors
    /// When the file cannot be read or is no store.
    pub fn schema_version(path: &Path) -> Result<Option<u32>, StoreError> {
        open::schema_version(&open::resolved(path)?)
    }

    /// The path of the store with all links followed: what lies beside the store lies beside that. `path` itself when it leads
    /// nowhere.
    #[must_use]
    pub fn resolved_path(path: &Path) -> PathBuf {
        open::resolved(path).unwrap_or_else(|_| path.to_owned())
    }

    /// What other users of the machine may do with the store's files and its folder and should not, each in a sentence.
    #[must_use]
    pub fn open_to_others(path: &Path, config: &SqliteConfig) -> Vec<String> {
        place::open_to_others(path, config)
    }

    /// Reads the store at `path` through, beside a node or without one, and reports part by part what is
    /// inconsistent. `progress` is called as it goes on. SQLite keeps no checksums: a text or a name that was changed
    /// into another one is not detected.
    ///
    /// # Errors
    /// When there is no store or it has another schema than this program's; what cannot be read is a problem of its
    /// part.
    pub fn check_deep(
        path: &Path,
        config: &SqliteConfig,
        progress: &dyn Fn(DeepProgress),
    ) -> Result<Vec<DeepPart>, StoreError> {
        deep::check(path, config, progress)
    }

    /// Whether a node would start on the store at `path`, which none serves: all that a start reads is read, and nothing is
    /// changed. Returns the newest time in it, as [`Store::newest_at`] does.
    ///
    /// # Errors
    /// Why it would not.
    pub fn would_start(path: &Path, config: &SqliteConfig) -> Result<UnixMs, StoreError> {
        deep::would_start(path, config)
    }

    /// The catalog of the store at `path`, which exists and has this program's schema; beside a node or without one. Nothing is
    /// changed.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn look_at_catalog(path: &Path, config: &SqliteConfig) -> Result<Catalog, StoreError> {
        let config = config.clone().clamped();
        catalog::load(&open::looking(&open::resolved(path)?, &config)?)
    }

    /// What a start would find missing in the store at `path`; `None` also where a node serves it, and where there is no store. Nothing is changed and nothing noted: that is for whoever serves it.
    ///
    /// # Errors
    /// When the store or its log cannot be read.
    pub fn would_lack(path: &Path) -> Result<Option<String>, StoreError> {
        let path = open::resolved(path)?;
        if ServerLock::is_held(&path) {
            return Ok(None);
        }
        if open::schema_version(&path)?.is_none() {
            return damage::missing_at_start(&path, 0, None);
        }
        let conn = open::looking(&path, &SqliteConfig::default())?;
        damage::missing_at_start(&path, damage::mark_in(&conn)?, Some(&load::id_key(&conn)?))
    }

    /// What is known to be missing or damaged and not acknowledged yet, a line each, and the file that records it,
    /// which an operator removes.
    #[must_use]
    pub fn damage(path: &Path) -> (PathBuf, Vec<String>) {
        let record = place::beside(&Self::resolved_path(path), ".damaged");
        let lines = damage::lines(&record);
        (record, lines)
    }

    /// The newest schema this program knows.
    #[must_use]
    pub fn known_schema_version() -> u32 {
        open::known_version()
    }

    /// Brings the schema of the store at `path` up to date and returns its version; makes the store when
    /// there is none.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when a server holds a store that would have to change,
    /// [`StoreError::NewerSchema`] when a newer program made it.
    pub fn migrate(path: &Path) -> Result<u32, StoreError> {
        let path = &open::resolved(path)?;
        let schema = open::schema_version(path)?;
        let found = damage::look_unless_served(path, schema)?;
        let mut conn = open::writing(path, &SqliteConfig::default())?;
        let version = open::migrate(&mut conn, path, Mode::Tool)?;
        if let Some(found) = found {
            damage::settle(path, found, &conn, &load::id_key(&conn)?)?;
        }
        Ok(version)
    }

    /// A moment's figures.
    #[must_use]
    pub fn metrics(&self) -> StoreMetrics {
        self.meters.snapshot(self.commands.len())
    }

    async fn command<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, StoreError> {
        self.command_of(OverloadPolicy::Backpressure, command).await
    }

    async fn command_of<T>(
        &self,
        overload: OverloadPolicy,
        command: impl FnOnce(Reply<T>) -> Command,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        match overload {
            OverloadPolicy::Shed => self.commands.offer(command(reply))?,
            OverloadPolicy::Backpressure => self.commands.send(command(reply)).await?,
        }
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Stops all threads, and returns them to be joined.
    fn stop(&self) -> Stopping {
        self.commands.close();
        let mut threads = self.readers.close();
        let mut own = self.threads.lock();
        threads.extend(own.writer.take());
        threads.extend(own.checkpoints.take());
        Stopping {
            threads,
            watch: own.watch.take(),
            lock: own.lock.take(),
        }
    }
}

/// A store on its way out.
struct Stopping {
    threads: Vec<JoinHandle<()>>,
    /// Ended by the writer, before that closes the store; its notes are needed once all is closed.
    watch: Option<(Arc<Watch>, JoinHandle<durable::Notes>)>,
    lock: Option<Arc<ServerLock>>,
}

impl Stopping {
    fn wait(mut self) {
        let watch = self.watch.take();
        for thread in std::mem::take(&mut self.threads) {
            let name = thread.thread().name().unwrap_or_default().to_owned();
            if thread.join().is_err() {
                tracing::error!(thread = %name, "store thread panicked");
            }
        }
        if let Some((watch, thread)) = watch {
            watch.stop();
            match thread.join() {
                Ok(mut notes) => watch.write_last(&mut notes),
                Err(_) => tracing::error!(thread = "store-watch", "store thread panicked"),
            }
        }
        if let Some(lock) = self.lock {
            lock.let_go();
        }
    }
}

/// A store that is dropped without [`Store::close`] leaves undone what waits; what was answered is safe.
impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.commands.abandon();
        self.stop().wait();
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn accept(&self, command: AcceptCommand) -> Result<Accepted, AcceptError> {
        let (reply, answer) = oneshot::channel();
        self.commands.offer(Command::Accept(Box::new(command), reply))?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    async fn read_lane(
        &self,
        lane: Lane,
        after: Option<(QueueSeq, MessageId)>,
        messages_max: usize,
    ) -> Result<Vec<Outgoing>, StoreError> {
        self.readers
            .run(ReadPriority::Dispatch, move |conn| {
                query::read_lane(conn, lane, after, messages_max)
            })
            .await
    }

    async fn lanes(&self) -> Result<Vec<LaneBacklog>, StoreError> {
        let mut lanes: Vec<LaneBacklog> = {
            let lanes = self.shared.lanes.lock();
            lanes
                .iter()
                .map(|(&lane, &messages)| LaneBacklog { lane, messages })
                .collect()
        };
        lanes.sort_by_key(|backlog| backlog.lane);
        Ok(lanes)
    }

    async fn release_due(
        &self,
        now: UnixMs,
        ranges_max: usize,
        on_release: OnRelease,
    ) -> Result<Released, StoreError> {
        self.command(|reply| Command::ReleaseDue {
            now,
            ranges_max,
            on_release,
            reply,
        })
        .await
    }

    async fn next_due(&self) -> Result<Option<UnixMs>, StoreError> {
        self.readers.run(ReadPriority::Dispatch, queue::next_due).await
    }

    async fn begin_attempts(&self, starts: Vec<AttemptStart>) -> Result<Vec<BegunAttempt>, StoreError> {
        self.command(|reply| Command::BeginAttempts(starts, reply)).await
    }

    async fn expire_queued(
        &self,
        runs: Vec<DequeuedRange>,
        now: UnixMs,
    ) -> Result<Vec<LaneBacklog>, StoreError> {
        let messages: i64 = runs.iter().map(|run| run.last.0 - run.first.0 + 1).sum();
        let rows = usize::try_from(messages).unwrap_or_default();
        self.submit_write(OverloadPolicy::Backpressure, rows, move |work| {
            expiry::expire(work, &runs, now)
        })
        .await
    }

    async fn sweep_expired(
        &self,
        from: Option<ExpirySweep>,
        now: UnixMs,
    ) -> Result<SweptExpired, StoreError> {
        let looked = self
            .readers
            .run(ReadPriority::Search, move |conn| {
                query::snapshot(conn, || expiry::look(conn, from, now))
            })
            .await?;
        let ended = match looked.expired {
            none if none.is_empty() => Vec::new(),
            expired => self.expire_queued(expired, now).await?,
        };
        Ok(SweptExpired {
            ended,
            next: looked.next,
        })
    }

    async fn record_results(&self, results: RecordResults) -> Result<Vec<ResultEffect>, StoreError> {
        self.command(|reply| Command::RecordResults(results, reply)).await
    }

    async fn open_attempts(&self) -> Result<Vec<OpenAttempt>, StoreError> {
        self.readers
            .run(ReadPriority::Dispatch, |conn| {
                query::snapshot(conn, || attempts::open(conn))
            })
            .await
    }

    async fn record_receipts(&self, receipts: Vec<CarrierReceipt>) -> Result<Vec<ReceiptEffect>, StoreError> {
        self.command(|reply| Command::RecordReceipts(receipts, reply))
            .await
    }

    async fn give_up_receipts(
        &self,
        submitted_before: UnixMs,
        now: UnixMs,
    ) -> Result<(Vec<MessageId>, bool), StoreError> {
        let overdue = self
            .readers
            .run(ReadPriority::Search, move |conn| {
                query::snapshot(conn, || awaiting::overdue(conn, submitted_before, now))
            })
            .await?;
        let more = overdue.more;
        if overdue.is_empty() {
            return Ok((Vec::new(), more));
        }
        let ended = self
            .command(|reply| Command::GiveUpReceipts(overdue, now, reply))
            .await?;
        Ok((ended, more))
    }

    async fn expire_unmatched(&self, before: UnixMs, now: UnixMs) -> Result<u64, StoreError> {
        self.command(|reply| Command::ExpireUnmatched { before, now, reply })
            .await
    }

    async fn messages(&self, ids: Vec<MessageId>) -> Result<Vec<MessageView>, StoreError> {
        let shared = Arc::clone(&self.shared);
        self.readers
            .run(ReadPriority::Query, move |conn| {
                query::messages(conn, &shared, ids)
            })
            .await
    }

    async fn session(
        &self,
        account: AccountId,
        first: MessageId,
        messages_max: usize,
    ) -> Result<Vec<MessageView>, StoreError> {
        let shared = Arc::clone(&self.shared);
        self.readers
            .run(ReadPriority::Query, move |conn| {
                query::session(conn, &shared, account, first, messages_max)
            })
            .await
    }

    async fn find(
        &self,
        account: AccountId,
        span: MessageSpan,
        filter: MessageFilter,
    ) -> Result<(Vec<MessageView>, u64), StoreError> {
        let shared = Arc::clone(&self.shared);
        let rows_max = self.find_rows_max;
        self.readers
            .run(ReadPriority::Search, move |conn| {
                find::find(conn, &shared, account, &span, &filter, rows_max)
            })
            .await
    }

    async fn timeline(&self, id: MessageId) -> Result<Vec<TimelineEntry>, StoreError> {
        self.readers
            .run(ReadPriority::Query, move |conn| {
                query::snapshot(conn, || timeline::timeline(conn, id))
            })
            .await
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        let queued = self.shared.lanes.lock().values().sum();
        let in_flight = self
            .shared
            .open
            .read()
            .values()
            .map(memory::OpenSpan::waiting)
            .sum();
        Ok(Counts {
            queued,
            delayed: self.meters.delayed.load(Ordering::Relaxed),
            in_flight,
            unmatched_receipts: self.meters.unmatched_receipts.load(Ordering::Relaxed),
        })
    }

    async fn load_catalog(&self) -> Result<Catalog, StoreError> {
        self.readers.run(ReadPriority::Query, catalog::load).await
    }

    async fn catalog_version(&self) -> Result<u64, StoreError> {
        self.readers.run(ReadPriority::Dispatch, catalog::version).await
    }

    async fn change_catalog(&self, changes: Vec<CatalogChange>) -> Result<u64, StoreError> {
        self.command(|reply| Command::ChangeCatalog(Condition::None, changes, reply))
            .await?
            .ok_or_else(|| StoreError::Other("the catalog was changed, but to no version".into()))
    }

    async fn change_catalog_at(
        &self,
        version: u64,
        changes: Vec<CatalogChange>,
    ) -> Result<Option<u64>, StoreError> {
        self.command_of(OverloadPolicy::Shed, |reply| {
            Command::ChangeCatalog(Condition::AtVersion(version), changes, reply)
        })
        .await
    }

    async fn change_catalog_if(
        &self,
        expected: Vec<CatalogExpectation>,
        changes: Vec<CatalogChange>,
    ) -> Result<Option<u64>, StoreError> {
        self.command_of(OverloadPolicy::Shed, |reply| {
            Command::ChangeCatalog(Condition::Expected(expected), changes, reply)
        })
        .await
    }

    async fn template_versions(
        &self,
        number: i64,
        versions_max: usize,
    ) -> Result<Vec<TemplateVersion>, StoreError> {
        self.readers
            .run(ReadPriority::Query, move |conn| {
                catalog::template_versions(conn, number, versions_max)
            })
            .await
    }

    async fn suppressions(
        &self,
        after: Option<Suppression>,
        suppressions_max: usize,
    ) -> Result<Vec<Suppression>, StoreError> {
        self.readers
            .run(ReadPriority::Search, move |conn| {
                suppressed::list(conn, after, suppressions_max)
            })
            .await
    }

    async fn suppression_entries(
        &self,
        msisdn: Option<sms::phone::Msisdn>,
        after: Option<Suppression>,
        suppressions_max: usize,
    ) -> Result<Vec<SuppressionEntry>, StoreError> {
        self.readers
            .run(ReadPriority::Search, move |conn| {
                suppressed::entries(conn, msisdn, after, suppressions_max)
            })
            .await
    }

    async fn id_key(&self) -> Result<[u8; 32], StoreError> {
        Ok(self.id_key)
    }

    async fn expire_messages(&self, before: UnixMs, now: UnixMs) -> Result<bool, StoreError> {
        self.command(|reply| Command::ExpireMessages { before, now, reply })
            .await
    }

    async fn correct_times(&self, now: UnixMs) -> Result<u64, StoreError> {
        self.correct(now).await
    }

    fn newest_at(&self) -> UnixMs {
        self.meters.newest_at_open.load(Ordering::Relaxed)
    }

    fn hold_deletes(&self, hold: bool) {
        self.meters.deletes_held.store(hold, Ordering::Relaxed);
    }

    async fn probe(&self) -> Result<(), StoreError> {
        self.command(Command::Probe).await
    }

    async fn failed(&self) -> Arc<str> {
        self.failure.wait().await
    }

    async fn close(&self) -> Result<(), StoreError> {
        let stopping = self.stop();
        // That takes as long as what waits: not on a thread that serves others.
        tokio::task::spawn_blocking(|| stopping.wait())
            .await
            .map_err(|error| StoreError::Other(format!("wait for the store's threads: {error}")))
    }
}
