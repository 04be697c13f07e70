//! A group: commands that share a transaction.
//!
//! Each command has a savepoint of its own, so one that fails takes nothing of its neighbours with it. What
//! a command was told is told only after the commit. Memory follows the disk: see [`super::memory`].

use super::chores::{Chores, Done};
use super::commands::{Command, Reply};
use super::error::{FailedSync, Tried};
use super::memory::{Effects, Mark, Memory, Shared, Work};
use super::runs::ENTRY_BYTES;
use super::telling::{self, Told, Wanted};
use super::watch::Watch;
use super::{accept, attempts, awaiting, catalog, damage, queue, receipts, results, retention};
use crate::{Accepted, CatalogChange, OnCommit, StoreError};
use rusqlite::Connection;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// What is left to do for a command once its group is committed, or has failed.
pub(super) type Finish = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// A group while it runs.
pub(super) struct Group<'g> {
    conn: &'g Connection,
    memory: Option<&'g mut Memory>,
    shared: &'g Shared,
    chores: &'g mut Chores,
    /// Absent in a tool.
    watch: Option<&'g Watch>,
    /// What it said before the group.
    log_was_short: bool,
    effects: Effects,
    /// Where memory goes back to if the group fails.
    mark: Option<Mark>,
    finishes: Vec<Finish>,
    rows: usize,
    told: Told,
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

impl<'g> Group<'g> {
    /// Begins the transaction.
    pub(super) fn begin(
        conn: &'g Connection,
        memory: Option<&'g mut Memory>,
        shared: &'g Shared,
        chores: &'g mut Chores,
        watch: Option<&'g Watch>,
    ) -> Result<Self, StoreError> {
        let log_was_short = watch.map_or(Ok(false), |watch| watch.before_group(conn))?;
        execute(conn, "BEGIN IMMEDIATE")?;
        let mut group = Self {
            conn,
            memory,
            shared,
            chores,
            watch,
            log_was_short,
            effects: Effects::default(),
            mark: None,
            finishes: Vec::new(),
            rows: 0,
            told: Told::default(),
            failed: None,
        };
        if let Some(mut work) = group.work() {
            let mark = work.mark();
            let prepared = prepare(&mut work);
            group.mark = Some(mark);
            match prepared.tried("prepare a group") {
                Ok(true) => group.chores.look_for_removed_lists(),
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
        let finish = self.done(command);
        self.finishes.push(finish);
    }

    fn done(&mut self, command: Command) -> Finish {
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
            Command::ExpireParked { before, now, reply } => answer(
                reply,
                self.attempt(|work| {
                    work.tick(now)?;
                    work.memory
                        .parked
                        .expire(work.conn, before, now)
                        .tried("expire parked receipts")
                }),
            ),
            Command::ExpireMessages { before, now, reply } => answer(
                reply,
                self.attempt(|work| retention::expire_messages(work, before, now)),
            ),
            Command::ChangeCatalog(condition, changes, reply) => {
                self.chores.look_for_removed_lists();
                answer(reply, self.change_catalog(&condition, &changes))
            }
            Command::Errand(errand) => {
                self.chores.look_for_removed_lists();
                errand.run(self)
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
        let mark = work.mark();
        let (result, failed) = within_savepoint(conn, || run(&mut work));
        if result.is_err() {
            work.go_back(&mark);
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
            && changes.iter().any(telling::changes_what_is_wanted)
        {
            // For the commands that follow, as it is now: whatever came of the changes.
            match Wanted::load(conn).tried("read what endpoints want") {
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
        // Committed, but into files that are gone: nobody is told that it is stored.
        let mut lost = None;
        let (committed, logged) = match result {
            Ok((done, logged, mark)) => {
                lost = self.watch.and_then(|watch| {
                    let now = self.memory.as_ref().map_or(0, |memory| memory.now);
                    watch.after_commit(self.conn, self.log_was_short, mark, now).err()
                });
                failed = std::mem::take(&mut self.effects.failed);
                if lost.is_some() {
                    // Whoever looked for what he is told of would find nothing of it after the next start.
                    failed.clear();
                    self.told.accounts.clear();
                }
                if let Some(mut work) = self.work() {
                    work.apply();
                }
                if let Some(memory) = self.memory {
                    self.chores.committed(memory, self.shared, done);
                    memory.event_row = memory.event_row.max(self.told.row);
                }
                meters
                    .commands
                    .fetch_add(self.finishes.len() as u64, Ordering::Relaxed);
                meters.rows.fetch_add(self.rows as u64, Ordering::Relaxed);
                (Ok(()), logged)
            }
            Err(error) => {
                tracing::error!(%error, "a group of commands could not be committed");
                self.told.accounts.clear();
                meters.groups_failed.fetch_add(1, Ordering::Relaxed);
                self.take_back();
                (Err(error), false)
            }
        };
        let answer = lost.map_or(committed.clone(), Err);
        for finish in self.finishes {
            finish(answer.clone());
        }
        if !failed.is_empty()
            && let Some(listener) = &*self.shared.failed_listener.lock()
        {
            listener(&failed);
        }
        if !self.told.accounts.is_empty()
            && let Some(listener) = &*self.shared.listener.lock()
        {
            listener(&self.told.accounts);
        }
        Ended {
            committed: committed.is_ok(),
            logged,
            failed_sync: committed.err().filter(StoreError::is_failed_sync),
        }
    }

    fn commit(&mut self, log_seq: i64) -> Result<(Done, bool, Option<i64>), StoreError> {
        let mut done = Done::default();
        let mut mark = None;
        let mut logged = false;
        if let Some(memory) = self.memory.as_deref_mut() {
            let mut work = Work {
                conn: self.conn,
                memory,
                shared: self.shared,
                effects: &mut self.effects,
            };
            if let Some(mark) = &self.mark {
                logged = log_receipts(&mut work, mark, log_seq).tried("log receipt keys")?;
            }
            awaiting::log(&mut work).tried("log submissions")?;
            self.told = telling::flush(&mut work)?;
            done = self.chores.work(&mut work)?;
            mark = self.watch.and_then(|watch| watch.mark_due(work.memory.now));
            if let Some(mark) = mark {
                damage::set_mark(work.conn, mark).tried("mark what is durable")?;
            }
        }
        let began = Instant::now();
        execute(self.conn, "COMMIT")?;
        self.shared.meters.committed(began.elapsed());
        Ok((done, logged, mark))
    }

    fn take_back(&mut self) {
        if !self.conn.is_autocommit()
            && let Err(error) = execute(self.conn, "ROLLBACK")
        {
            tracing::error!(%error, "a failed transaction could not be rolled back");
        }
        self.chores.failed();
        let mark = self.mark;
        if let (Some(mut work), Some(mark)) = (self.work(), mark) {
            work.go_back(&mark);
            work.memory.queue_no.forget_reserved();
            work.memory.attempt.forget_reserved();
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
    work.memory.queue_no = work.memory.queue_no.reserve(work.conn)?;
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
pub(super) fn answer<T: Send + 'static>(reply: Reply<T>, result: Result<T, StoreError>) -> Finish {
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

#[cfg(test)]
mod tests;
