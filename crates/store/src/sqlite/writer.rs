//! The writer: one thread, one connection, groups of commands.
//!
//! It takes what waits, does it in one transaction, commits once and answers all. Each command has a
//! savepoint of its own, so one that fails takes nothing of its neighbours with it. Memory follows the disk:
//! see [`super::memory`].

use super::checkpoint::{self, Signal};
use super::commands::{Command, Commands, Reply};
use super::error::Tried;
use super::memory::{Effects, Mark, Memory, Shared, Work};
use super::open::Turnstile;
use super::runs::{ENTRY_BYTES, Kind, Seal, SealStep};
use super::{accept, attempts, catalog, queue, receipts, results, retention};
use crate::{Accepted, OnCommit, StoreError};
use rusqlite::Connection;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// What is left to do for a command once its group is committed, or has failed.
type Finish = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// The writing side of a store.
pub(super) struct Writer {
    conn: Connection,
    /// Absent in a tool, which changes the catalog only.
    memory: Option<Memory>,
    shared: Arc<Shared>,
    commands: Arc<Commands>,
    signal: Arc<Signal>,
    turnstile: Turnstile,
    seals: Vec<(Kind, Seal, i64)>,
    log_seq: i64,
    group_rows_max: usize,
    group_time_max: Duration,
}

/// However the thread ends, nobody waits for it in vain.
struct Abandon(Arc<Commands>, Arc<Signal>);

impl Drop for Abandon {
    fn drop(&mut self) {
        self.0.abandon();
        self.1.close();
    }
}

impl Writer {
    pub(super) fn new(
        conn: Connection,
        memory: Option<Memory>,
        shared: Arc<Shared>,
        commands: Arc<Commands>,
        signal: Arc<Signal>,
        turnstile: Turnstile,
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
            turnstile,
            seals: Vec::new(),
            log_seq,
            group_rows_max: config.group_rows_max,
            group_time_max: Duration::from_millis(config.group_ms_max),
        })
    }

    /// Serves until the queue is closed and empty.
    pub(super) fn run(mut self) {
        let _abandon = Abandon(Arc::clone(&self.commands), Arc::clone(&self.signal));
        let mut healthy = true;
        loop {
            self.freeze();
            let first = match self.commands.take() {
                Some(command) => Some(command),
                // Nothing waits: time for what else there is to do, unless that has just failed.
                None if healthy && self.has_chores() => None,
                None => match self.commands.wait() {
                    Some(command) => Some(command),
                    None => break,
                },
            };
            self.sorted(false);
            healthy = self.turn(first);
            self.signal.committed();
            if self.signal.take_finish() {
                self.finish_checkpoint();
            }
        }
        self.close();
    }

    /// Begins to seal indexes that are full.
    fn freeze(&mut self) {
        let Some(memory) = &mut self.memory else { return };
        let log_seq = self.log_seq;
        let numbers = || self.shared.numbers.write().freeze_if_full();
        let frozen = [
            (Kind::Number, numbers()),
            (Kind::Receipt, memory.receipts.freeze_if_full()),
            (Kind::Request, memory.requests.freeze_if_full()),
        ];
        self.seals.extend(
            frozen
                .into_iter()
                .filter_map(|(kind, seal)| Some((kind, seal?, log_seq))),
        );
    }

    /// Whether a group without commands has something to do: pages to write, or old ones to delete.
    fn has_chores(&mut self) -> bool {
        self.sorted(true);
        let writable = self.seals.iter().any(|(_, seal, _)| seal.is_writable());
        writable
            || self
                .memory
                .as_ref()
                .is_some_and(|memory| !memory.dropped.is_empty())
    }

    /// Takes over what has been sorted.
    fn sorted(&mut self, wait: bool) {
        let Some(memory) = &mut self.memory else { return };
        for (kind, seal, _) in &mut self.seals {
            match kind {
                Kind::Number => self.shared.numbers.write().poll(seal, wait),
                Kind::Receipt => memory.receipts.poll(seal, wait),
                Kind::Request => memory.requests.poll(seal, wait),
            }
        }
    }

    /// One group, in a server after the tools that want to write, in a tool in its turn.
    fn turn(&mut self, first: Option<Command>) -> bool {
        if self.memory.is_some() {
            self.turnstile.let_tools_pass();
            return self.group(first);
        }
        if let Err(error) = self.turnstile.take() {
            if let Some(command) = first {
                command.refuse(error);
            }
            return false;
        }
        let done = self.group(first);
        self.turnstile.leave();
        done
    }

    /// One group, from its first command (none: only chores) to its answers; false when it failed.
    fn group(&mut self, first: Option<Command>) -> bool {
        let started = Instant::now();
        let mut effects = Effects::default();
        let mut finishes: Vec<Finish> = Vec::new();
        let Self {
            conn,
            memory,
            shared,
            commands,
            ..
        } = self;
        let mut rows = 0;
        let mut count = 0u64;

        if let Err(error) = conn
            .prepare_cached("BEGIN IMMEDIATE")
            .and_then(|mut begin| begin.execute([]))
        {
            let error = super::error::store_error("begin a transaction", &error);
            tracing::error!(%error, "the store cannot write");
            shared.meters.groups_failed.fetch_add(1, Ordering::Relaxed);
            if let Some(command) = first {
                command.refuse(error);
            }
            return false;
        }
        let mut group = Group {
            conn,
            memory: memory.as_mut(),
            shared,
            effects: &mut effects,
            failed: None,
        };
        let start = group.start();
        let mut next = first;
        while let Some(command) = next {
            count += 1;
            rows += command.rows();
            finishes.push(group.run(command));
            if group.failed.is_some()
                || rows >= self.group_rows_max
                || started.elapsed() >= self.group_time_max
            {
                break;
            }
            next = commands.take();
        }
        let ended = group.end(&start, &self.seals, self.log_seq);
        if ended.is_ok() {
            shared.meters.commands.fetch_add(count, Ordering::Relaxed);
            shared.meters.rows.fetch_add(rows as u64, Ordering::Relaxed);
        } else {
            shared.meters.groups_failed.fetch_add(1, Ordering::Relaxed);
        }
        let committed = match ended {
            Ok(ended) => {
                self.log_seq += i64::from(ended.logged);
                self.sealed(ended.steps);
                Ok(())
            }
            Err(error) => {
                tracing::error!(%error, "a group of commands could not be committed");
                Err(error)
            }
        };
        for finish in finishes {
            finish(committed.clone());
        }
        committed.is_ok()
    }

    /// What was written of seals is on stable storage.
    fn sealed(&mut self, steps: Vec<(Kind, SealStep)>) {
        let Some(memory) = &mut self.memory else { return };
        for (kind, step) in steps {
            let Some(place) = self.seals.iter().position(|(other, ..)| *other == kind) else {
                continue;
            };
            let Some((_, seal, _)) = self.seals.get_mut(place) else {
                continue;
            };
            let done = match kind {
                Kind::Number => self.shared.numbers.write().committed(seal, step),
                Kind::Receipt => memory.receipts.committed(seal, step),
                Kind::Request => memory.requests.committed(seal, step),
            };
            if done {
                self.seals.swap_remove(place);
                self.shared.meters.runs.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Moves the rest of the log, so that the next group begins it anew.
    fn finish_checkpoint(&self) {
        // Readers that are in the middle of something would be waited for: rather try again later.
        let waited = self.conn.busy_timeout(Duration::from_millis(5));
        if let Err(error) = waited
            .tried("set the lock wait")
            .and(checkpoint::checkpoint(&self.conn, "RESTART"))
        {
            tracing::debug!(%error, "the log could not be restarted");
        }
        let wait_max = self
            .memory
            .as_ref()
            .map_or(5_000, |memory| memory.config.lock_wait_ms_max);
        if let Err(error) = self.conn.busy_timeout(Duration::from_millis(wait_max)) {
            tracing::warn!(%error, "the lock wait could not be set");
        }
    }

    /// The last thing: the log goes into the file, so that the next start finds a short one.
    fn close(self) {
        if let Err(error) = checkpoint::checkpoint(&self.conn, "TRUNCATE") {
            tracing::debug!(%error, "the log was left as it is");
        }
        if let Err((_, error)) = self.conn.close() {
            tracing::warn!(%error, "the store could not be closed in order");
        }
    }
}

/// Where a group began.
struct Start {
    mark: Option<Mark>,
    reserved: Result<(), StoreError>,
}

/// What a committed group leaves to do.
struct Ended {
    steps: Vec<(Kind, SealStep)>,
    logged: bool,
}

/// A group while it runs.
struct Group<'g> {
    conn: &'g Connection,
    memory: Option<&'g mut Memory>,
    shared: &'g Shared,
    effects: &'g mut Effects,
    /// SQLite has rolled everything back by itself: nothing of the group counts.
    failed: Option<StoreError>,
}

impl<'g> Group<'g> {
    fn work(&mut self) -> Option<Work<'_>> {
        let memory = self.memory.as_deref_mut()?;
        Some(Work {
            conn: self.conn,
            memory,
            shared: self.shared,
            effects: self.effects,
        })
    }

    /// Prepares memory for the group.
    fn start(&mut self) -> Start {
        let conn = self.conn;
        let Some(work) = &mut self.work() else {
            return Start {
                mark: None,
                reserved: Ok(()),
            };
        };
        let mark = Some(work.mark());
        let memory = &mut *work.memory;
        let reserved = (|| {
            memory.suppressed.refresh(conn)?;
            memory.queue_no = memory.queue_no.reserve(conn)?;
            memory.attempt = memory.attempt.reserve(conn)?;
            Ok(())
        })();
        let reserved = reserved.tried("prepare a group");
        self.failed = reserved.clone().err();
        Start { mark, reserved }
    }

    /// Does one command within a savepoint of its own.
    fn run(&mut self, command: Command) -> Finish {
        match command {
            Command::Accept(mut command, reply) => {
                let result = self.attempt(|work| accept::accept(work, &mut command));
                let on_commit = command.on_commit;
                Box::new(move |committed| {
                    let result = committed.map_err(Into::into).and(result);
                    if let (Ok(Accepted::New(outcome)), OnCommit(Some(run))) = (&result, on_commit) {
                        run(outcome);
                    }
                    let _gone = reply.send(result);
                })
            }
            Command::ReleaseDue {
                now,
                ranges_max,
                on_release,
                reply,
            } => {
                let result = self.attempt(|work| queue::release(work, now, ranges_max));
                Box::new(move |committed| {
                    let result = committed.and(result);
                    if let Ok(released) = &result {
                        on_release(released);
                    }
                    let _gone = reply.send(result);
                })
            }
            Command::BeginAttempts(starts, reply) => {
                answer(reply, self.attempt(|work| attempts::begin(work, &starts)))
            }
            Command::RecordResults(results, reply) => {
                answer(reply, self.attempt(|work| results::record(work, &results)))
            }
            Command::RecordReceipts(receipts, reply) => {
                answer(reply, self.attempt(|work| receipts::record(work, receipts)))
            }
            Command::ExpireParked(before, reply) => answer(
                reply,
                self.attempt(|work| {
                    work.memory
                        .parked
                        .expire(work.conn, before)
                        .tried("expire parked receipts")
                }),
            ),
            Command::ExpireMessages(before, reply) => answer(
                reply,
                self.attempt(|work| retention::expire_messages(work, before)),
            ),
            Command::ChangeCatalog(changes, reply) => answer(reply, self.change_catalog(&changes)),
            Command::Probe(reply) => answer(reply, self.probe()),
        }
    }

    /// Runs what needs memory, which a tool has not.
    fn attempt<T, E: From<StoreError>>(
        &mut self,
        run: impl FnOnce(&mut Work<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let conn = self.conn;
        let Some(mut work) = self.work() else {
            return Err(StoreError::Other(
                "the store was opened by a tool, which may only change the catalog".into(),
            )
            .into());
        };
        let mark = work.mark();
        let result = within_savepoint(conn, || run(&mut work));
        if result.is_err() {
            work.go_back(&mark);
            self.notice_rollback();
        }
        result
    }

    fn change_catalog(&mut self, changes: &[crate::CatalogChange]) -> Result<u64, StoreError> {
        let conn = self.conn;
        let suppressed = self.memory.as_deref_mut().map(|memory| &mut memory.suppressed);
        let result = within_savepoint(conn, || catalog::change(conn, changes, suppressed));
        if result.is_err() {
            self.notice_rollback();
        }
        result
    }

    fn probe(&mut self) -> Result<(), StoreError> {
        self.conn
            .execute("UPDATE meta SET value = value + 1 WHERE key = 'probe'", [])
            .map(drop)
            .tried("write a probe")
    }

    /// On some errors (a full disk) SQLite ends the whole transaction.
    fn notice_rollback(&mut self) {
        if self.conn.is_autocommit() {
            self.failed = Some(StoreError::Unwritable("the transaction was rolled back".into()));
        }
    }

    /// Commits the group, or takes all of it back.
    fn end(mut self, start: &Start, seals: &[(Kind, Seal, i64)], log_seq: i64) -> Result<Ended, StoreError> {
        let result = match self.failed.take() {
            Some(error) => Err(error),
            None => self.finish(start, seals, log_seq),
        };
        match &result {
            Ok(_) => {
                if let Some(work) = &mut self.work() {
                    work.apply();
                }
            }
            Err(_) => {
                if !self.conn.is_autocommit()
                    && let Err(error) = self.conn.execute_batch("ROLLBACK")
                {
                    tracing::error!(%error, "a failed transaction could not be rolled back");
                }
                if let (Some(work), Some(mark)) = (&mut self.work(), &start.mark) {
                    work.go_back(mark);
                    work.memory.queue_no.forget_reserved();
                    work.memory.attempt.forget_reserved();
                }
            }
        }
        result
    }

    fn finish(
        &mut self,
        start: &Start,
        seals: &[(Kind, Seal, i64)],
        log_seq: i64,
    ) -> Result<Ended, StoreError> {
        start.reserved.clone()?;
        let mut ended = Ended {
            steps: Vec::new(),
            logged: false,
        };
        let conn = self.conn;
        let mut run_gone = false;
        if let Some(work) = &mut self.work() {
            if let Some(mark) = &start.mark {
                ended.logged = log_receipts(work, mark, log_seq + 1).tried("log receipt keys")?;
            }
            run_gone = retention::housekeep(work)?;
        }
        for (kind, seal, logged) in seals.iter().filter(|(_, seal, _)| seal.is_writable()) {
            let step = seal.write_step(conn).tried("seal a run")?;
            if matches!((kind, &step), (Kind::Receipt, SealStep::Done(_))) {
                conn.execute("DELETE FROM receipt_log WHERE seq <= ?1", [logged])
                    .tried("clear the receipt log")?;
            }
            ended.steps.push((*kind, step));
        }
        let began = Instant::now();
        conn.prepare_cached("COMMIT")
            .and_then(|mut commit| commit.execute([]))
            .tried("commit")?;
        self.shared.meters.committed(began.elapsed());
        if run_gone && let Some(work) = &mut self.work() {
            work.memory.dropped.pop_front();
            self.shared.meters.runs.fetch_sub(1, Ordering::Relaxed);
        }
        Ok(ended)
    }
}

/// Runs a command so that its failure leaves nothing behind.
fn within_savepoint<T, E: From<StoreError>>(
    conn: &Connection,
    run: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    let execute = |sql| {
        conn.prepare_cached(sql)
            .and_then(|mut statement| statement.execute([]))
            .tried(sql)
    };
    execute("SAVEPOINT command")?;
    let result = run().and_then(|value| execute("RELEASE command").map(|_| value).map_err(E::from));
    if result.is_err() && !conn.is_autocommit() {
        for sql in ["ROLLBACK TO command", "RELEASE command"] {
            if let Err(error) = execute(sql) {
                tracing::error!(%error, "a failed command could not be taken back");
            }
        }
    }
    result
}

fn answer<T: Send + 'static>(reply: Reply<T>, result: Result<T, StoreError>) -> Finish {
    Box::new(move |committed| {
        let _gone = reply.send(committed.and(result));
    })
}

/// Makes the group's receipt keys durable: one row, for they are in no sealed run yet.
fn log_receipts(work: &mut Work<'_>, mark: &Mark, seq: i64) -> rusqlite::Result<bool> {
    let entries = work.memory.receipts.recent().entries_from(mark.receipts());
    if entries.is_empty() {
        return Ok(false);
    }
    let mut bytes = Vec::with_capacity(entries.len() * ENTRY_BYTES);
    bytes.extend(entries.iter().flat_map(|entry| entry.to_bytes()));
    work.conn
        .prepare_cached("INSERT INTO receipt_log (seq, entries) VALUES (?1, ?2)")?
        .execute((seq, bytes))?;
    Ok(true)
}
