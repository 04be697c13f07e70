//! A group: commands that share a transaction.
//!
//! Each command has a savepoint of its own, so one that fails takes nothing of its neighbours with it. The answer to
//! a command is sent only after the commit. Memory follows the disk: see [`super::memory`].

use super::commands::{Command, Reply};
use super::error::{FailedSync, Tried};
use super::lsm::ENTRY_BYTES;
use super::maintenance::{Done, Maintenance};
use super::memory::{Effects, Savepoint, Shared, Work, WriterState};
use super::outbox::{self, Appended, Wanted};
use super::watch::Watch;
use super::{accept, attempts, awaiting, catalog, damage, queue, receipts, results, retention};
use crate::{Accepted, CatalogChange, OnCommit, StoreError};
use rusqlite::Connection;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// What is left to do for a command once its group is committed, or has failed.
pub(super) type Completion = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// A group while it runs.
pub(super) struct GroupCommit<'g> {
    conn: &'g Connection,
    memory: Option<&'g mut WriterState>,
    shared: &'g Shared,
    maintenance: &'g mut Maintenance,
    /// Absent in a tool.
    watch: Option<&'g Watch>,
    /// What it said before the group.
    log_was_short: bool,
    effects: Effects,
    /// Where memory goes back to if the group fails.
    savepoint: Option<Savepoint>,
    completions: Vec<Completion>,
    rows: usize,
    appended: Appended,
    /// Why nothing of the group counts.
    failed: Option<StoreError>,
}

/// How a group ended.
pub(super) struct Ended {
    pub(super) committed: bool,
    /// Whether a row of the receipt log was written.
    pub(super) logged: bool,
    /// A sync that failed: there must be no other group.
    pub(super) failed_sync: Option<StoreError>,
}

impl<'g> GroupCommit<'g> {
    /// Begins the transaction.
    pub(super) fn begin(
        conn: &'g Connection,
        memory: Option<&'g mut WriterState>,
        shared: &'g Shared,
        maintenance: &'g mut Maintenance,
        watch: Option<&'g Watch>,
    ) -> Result<Self, StoreError> {
        let log_was_short = watch.map_or(Ok(false), |watch| watch.before_group(conn))?;
        execute(conn, "BEGIN IMMEDIATE")?;
        let mut group = Self {
            conn,
            memory,
            shared,
            maintenance,
            watch,
            log_was_short,
            effects: Effects::default(),
            savepoint: None,
            completions: Vec::new(),
            rows: 0,
            appended: Appended::default(),
            failed: None,
        };
        if let Some(mut work) = group.work() {
            let savepoint = work.savepoint();
            let prepared = prepare(&mut work);
            group.savepoint = Some(savepoint);
            match prepared.tried("prepare a group") {
                Ok(true) => group.maintenance.look_for_removed_lists(),
                Ok(false) => {}
                Err(error) => group.failed = Some(error),
            }
        }
        Ok(group)
    }

    /// Rows of its commands so far.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Whether it cannot be committed any more.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.is_some()
    }

    fn work(&mut self) -> Option<Work<'_>> {
        let memory = self.memory.as_deref_mut()?;
        Some(Work {
            conn: self.conn,
            memory,
            shared: self.shared,
            effects: &mut self.effects,
        })
    }

    /// Does one command within a savepoint of its own. Once the group has failed nothing is done any more: SQLite may have
    /// ended its transaction, and a savepoint outside of one commits by itself.
    pub(super) fn run(&mut self, command: Command) {
        if let Some(error) = &self.failed {
            return command.refuse(error.clone());
        }
        self.rows += command.rows();
        let completion = self.done(command);
        self.completions.push(completion);
    }

    fn done(&mut self, command: Command) -> Completion {
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
            Command::GiveUpReceipts(overdue, now, reply) => {
                answer(reply, self.attempt(|work| awaiting::give_up(work, &overdue, now)))
            }
            Command::ExpireUnmatched { before, now, reply } => answer(
                reply,
                self.attempt(|work| {
                    work.tick(now)?;
                    work.memory
                        .unmatched_receipts
                        .expire(work.conn, before, now)
                        .tried("expire unmatched receipts")
                }),
            ),
            Command::ExpireMessages { before, now, reply } => answer(
                reply,
                self.attempt(|work| retention::expire_messages(work, before, now)),
            ),
            Command::ChangeCatalog(condition, changes, reply) => {
                self.maintenance.look_for_removed_lists();
                answer(reply, self.change_catalog(&condition, &changes))
            }
            Command::WriteTask(task) => {
                self.maintenance.look_for_removed_lists();
                task.run(self)
            }
            Command::Probe(reply) => answer(reply, self.probe()),
        }
    }

    /// Runs what needs memory, which a tool has not.
    pub(super) fn attempt<T, E: FailedSync>(
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
        let savepoint = work.savepoint();
        let (result, failed) = within_savepoint(conn, || run(&mut work));
        if result.is_err() {
            work.rollback_to(&savepoint);
        }
        self.failed = self.failed.take().or(failed);
        result
    }

    fn change_catalog(
        &mut self,
        condition: &catalog::Condition,
        changes: &[CatalogChange],
    ) -> Result<Option<u64>, StoreError> {
        let conn = self.conn;
        let memory = self.memory.as_deref_mut();
        let (result, failed) = within_savepoint(conn, || catalog::change(conn, condition, changes, memory));
        self.failed = self.failed.take().or(failed);
        if let Some(memory) = self.memory.as_deref_mut()
            && changes.iter().any(outbox::changes_what_is_wanted)
        {
            // For the commands that follow, as it is now: whatever came of the changes.
            match Wanted::load(conn).tried("read the subscriptions of endpoints") {
                Ok(wanted) => memory.wanted = wanted,
                Err(error) => self.failed = self.failed.take().or(Some(error)),
            }
        }
        result
    }

    fn probe(&mut self) -> Result<(), StoreError> {
        let (result, failed) = within_savepoint(self.conn, || {
            execute(self.conn, "UPDATE meta SET value = value + 1 WHERE key = 'probe'")
        });
        self.failed = self.failed.take().or(failed);
        result
    }

    /// Commits the group or takes all of it back, and answers its commands.
    pub(super) fn end(mut self, log_seq: i64) -> Ended {
        let result = match self.failed.take() {
            Some(error) => Err(error),
            None => self.commit(log_seq),
        };
        let meters = &self.shared.meters;
        let mut failed = Vec::new();
        // Committed, but into files that are gone: the commands are refused.
        let mut lost = None;
        let (committed, logged) = match result {
            Ok((done, logged, durable_mark)) => {
                lost = self.watch.and_then(|watch| {
                    let now = self.memory.as_ref().map_or(0, |memory| memory.now);
                    watch
                        .after_commit(self.conn, self.log_was_short, durable_mark, now)
                        .err()
                });
                failed = std::mem::take(&mut self.effects.failed);
                if lost.is_some() {
                    // Listeners are not called: after the next start they would find nothing of these messages.
                    failed.clear();
                    self.appended.accounts.clear();
                }
                if let Some(mut work) = self.work() {
                    work.apply();
                }
                if let Some(memory) = self.memory {
                    self.maintenance.committed(memory, self.shared, done);
                    memory.event_row = memory.event_row.max(self.appended.row);
                }
                meters
                    .commands
                    .fetch_add(self.completions.len() as u64, Ordering::Relaxed);
                meters.rows.fetch_add(self.rows as u64, Ordering::Relaxed);
                (Ok(()), logged)
            }
            Err(error) => {
                tracing::error!(%error, "group commit failed");
                self.appended.accounts.clear();
                meters.groups_failed.fetch_add(1, Ordering::Relaxed);
                self.take_back();
                (Err(error), false)
            }
        };
        let answer = lost.map_or(committed.clone(), Err);
        for completion in self.completions {
            completion(answer.clone());
        }
        if !failed.is_empty()
            && let Some(listener) = &*self.shared.failed_listener.lock()
        {
            listener(&failed);
        }
        if !self.appended.accounts.is_empty()
            && let Some(listener) = &*self.shared.listener.lock()
        {
            listener(&self.appended.accounts);
        }
        Ended {
            committed: committed.is_ok(),
            logged,
            failed_sync: committed.err().filter(StoreError::is_failed_sync),
        }
    }

    fn commit(&mut self, log_seq: i64) -> Result<(Done, bool, Option<i64>), StoreError> {
        let mut done = Done::default();
        let mut durable_mark = None;
        let mut logged = false;
        if let Some(memory) = self.memory.as_deref_mut() {
            let mut work = Work {
                conn: self.conn,
                memory,
                shared: self.shared,
                effects: &mut self.effects,
            };
            if let Some(savepoint) = &self.savepoint {
                logged = log_receipts(&mut work, savepoint, log_seq).tried("log receipt keys")?;
            }
            awaiting::log(&mut work).tried("log submissions")?;
            self.appended = outbox::flush(&mut work)?;
            done = self.maintenance.work(&mut work)?;
            durable_mark = self.watch.and_then(|watch| watch.mark_due(work.memory.now));
            if let Some(durable_mark) = durable_mark {
                damage::set_mark(work.conn, durable_mark).tried("mark what is durable")?;
            }
        }
        let began = Instant::now();
        execute(self.conn, "COMMIT")?;
        self.shared.meters.committed(began.elapsed());
        Ok((done, logged, durable_mark))
    }

    fn take_back(&mut self) {
        if !self.conn.is_autocommit()
            && let Err(error) = execute(self.conn, "ROLLBACK")
        {
            tracing::error!(%error, "rollback failed");
        }
        self.maintenance.failed();
        let savepoint = self.savepoint;
        if let (Some(mut work), Some(savepoint)) = (self.work(), savepoint) {
            work.rollback_to(&savepoint);
            work.memory.queue_seq.discard_reserved();
            work.memory.attempt.discard_reserved();
            work.memory.wanted.taken_back();
            work.memory.counters.taken_back();
        }
    }
}

/// What a group needs before its first command; true when another process has written since the last one.
fn prepare(work: &mut Work<'_>) -> rusqlite::Result<bool> {
    let written = work.memory.suppressed.refresh(work.conn)?;
    if written || work.memory.wanted.is_stale() {
        work.memory.wanted = Wanted::load(work.conn)?;
    }
    work.memory.queue_seq = work.memory.queue_seq.reserve(work.conn)?;
    work.memory.attempt = work.memory.attempt.reserve(work.conn)?;
    Ok(written)
}

fn execute(conn: &Connection, sql: &str) -> Result<(), StoreError> {
    conn.prepare_cached(sql)
        .and_then(|mut statement| statement.execute([]))
        .map(drop)
        .tried(sql)
}

/// Runs a command so that its failure leaves nothing behind; says when that could not be achieved, which
/// fails the whole group.
fn within_savepoint<T, E: FailedSync>(
    conn: &Connection,
    run: impl FnOnce() -> Result<T, E>,
) -> (Result<T, E>, Option<StoreError>) {
    let result = execute(conn, "SAVEPOINT command")
        .map_err(E::from)
        .and_then(|()| run())
        .and_then(|value| execute(conn, "RELEASE command").map(|()| value).map_err(E::from));
    let Err(error) = &result else {
        return (result, None);
    };
    if let Some(failed) = error.failed_sync() {
        return (result, Some(failed));
    }
    if conn.is_autocommit() {
        // On some errors (a full disk) SQLite ends the whole transaction by itself.
        return (
            result,
            Some(StoreError::Unwritable("the transaction was rolled back".into())),
        );
    }
    let back = execute(conn, "ROLLBACK TO command").and_then(|()| execute(conn, "RELEASE command"));
    (result, back.err())
}

/// Answers when the group is committed, or has failed.
pub(super) fn answer<T: Send + 'static>(reply: Reply<T>, result: Result<T, StoreError>) -> Completion {
    Box::new(move |committed| {
        let _gone = reply.send(committed.and(result));
    })
}

/// Makes the group's receipt keys durable: one row, for they are in no sealed run yet.
fn log_receipts(work: &mut Work<'_>, savepoint: &Savepoint, seq: i64) -> rusqlite::Result<bool> {
    let entries = work.memory.receipts.memtable().entries_from(savepoint.receipts());
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

#[cfg(test)]
mod tests;
