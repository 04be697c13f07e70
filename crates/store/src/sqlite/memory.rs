//! The writer's state in memory, and what a group would change of it.
//!
//! Memory follows the disk: what a command would change is noted in [`Effects`] and applied after the commit, or
//! rolled back with the command. Only the indexes and the unmatched receipts change at once, because later commands
//! of the same group must see it; both can be set back to a [`Savepoint`].

use super::counters::{Column, Counters, StatsDelta, hour_of};
use super::dimensions::DimensionsMap;
use super::error::Tried;
use super::id_clock::{self, Eras, IdClock};
use super::lsm::{Index, Kind, SortedRun};
use super::outbox::{Noted, Wanted};
use super::receipts::Noting;
use super::references::References;
use super::request_time::{self, RequestTime};
use super::shared_ids::SharedIds;
use super::suppressed::Suppressed;
use super::unmatched_receipts::UnmatchedReceipts;
use super::{SqliteConfig, metrics::Meters};
use crate::{
    AccountId, AttemptId, CarrierNo, DimensionsNo, EventListener, FailedListener, Lane, MessageId, QueueSeq,
    StatsDimensions, StatsKey, StoreError, UnixMs,
};
use parking_lot::{Mutex, RwLock};
use rusqlite::Connection;
use sms::class::Class;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// What readers see of the writer's memory.
pub(super) struct Shared {
    /// Numbers to messages.
    pub(super) numbers: RwLock<Index>,
    /// How many messages wait in each lane.
    pub(super) lanes: Mutex<HashMap<Lane, u64>>,
    /// Attempts that are not closed.
    pub(super) open: RwLock<HashMap<AttemptId, OpenSpan>>,
    /// Which times ids stand for.
    pub(super) eras: RwLock<Eras>,
    /// Counters.
    pub(super) meters: Arc<Meters>,
    /// Called after events were logged.
    pub(super) listener: Mutex<Option<EventListener>>,
    pub(super) failed_listener: Mutex<Option<FailedListener>>,
}

/// An attempt that is not closed.
#[derive(Debug, Clone)]
pub(super) struct OpenSpan {
    pub(super) bind: u16,
    /// In order of ids.
    pub(super) messages: Arc<[MessageId]>,
    /// Messages with a result.
    pub(super) answered: u64,
}

impl OpenSpan {
    /// Messages without a result.
    pub(super) fn waiting(&self) -> u64 {
        (self.messages.len() as u64).saturating_sub(self.answered)
    }
}

/// Numbers that are never given twice, not even after a restart: the row of `meta` says from where on none
/// was given, and is moved in large steps.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reserved {
    next: i64,
    reserved: i64,
    key: &'static str,
}

/// Far more numbers than a group can use.
const RESERVE_STEP: i64 = 1 << 24;

impl Reserved {
    pub(super) fn load(conn: &Connection, key: &'static str) -> rusqlite::Result<Self> {
        let next = conn.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0))?;
        Ok(Self {
            next,
            reserved: next,
            key,
        })
    }

    /// Called within each group before anything is taken.
    pub(super) fn reserve(self, conn: &Connection) -> rusqlite::Result<Self> {
        if self.next + RESERVE_STEP / 2 < self.reserved {
            return Ok(self);
        }
        let reserved = self.next + RESERVE_STEP;
        conn.execute("UPDATE meta SET value = ?1 WHERE key = ?2", (reserved, self.key))?;
        Ok(Self { reserved, ..self })
    }

    /// The mark was not committed: the next group writes it again.
    pub(super) fn discard_reserved(&mut self) {
        self.reserved = self.next;
    }

    pub(super) fn take(&mut self) -> i64 {
        self.next += 1;
        self.next
    }
}

/// A span of messages of one batch with what their lane needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct BatchSpan {
    pub(super) first: MessageId,
    pub(super) last: MessageId,
    pub(super) class: Class,
    pub(super) account: AccountId,
    pub(super) expires_at: Option<UnixMs>,
}

impl BatchSpan {
    /// Whether what waits of it until `at` is over then.
    pub(super) fn is_expired(&self, at: UnixMs) -> bool {
        self.expires_at.is_some_and(|end| end <= at)
    }
}

/// The writer's own memory.
pub(super) struct WriterState {
    pub(super) config: SqliteConfig,
    pub(super) id_key: [u8; 32],
    pub(super) last_id: MessageId,
    pub(super) last_request: i64,
    pub(super) queue_seq: Reserved,
    pub(super) attempt: Reserved,
    pub(super) receipts: Index,
    pub(super) requests: Index,
    pub(super) unmatched_receipts: UnmatchedReceipts,
    pub(super) shared_ids: SharedIds,
    pub(super) references: References,
    pub(super) suppressed: Suppressed,
    pub(super) noting: Noting,
    pub(super) wanted: Wanted,
    pub(super) dimensions: DimensionsMap,
    pub(super) counters: Counters,
    /// The last row of the log of events that the listener was called for.
    pub(super) event_row: i64,
    /// Where the sweep of old events goes on.
    pub(super) event_sweep: i64,
    /// The batch looked at last: results of one batch come together.
    pub(super) batch: Option<BatchSpan>,
    /// What the clock said last: what housekeeping goes by.
    pub(super) now: UnixMs,
    /// Whether `now` is of this process, and not the newest time that the store knew when it was opened.
    pub(super) now_is_fresh: bool,
    /// When `now` went ahead by more than it does while a node runs.
    pub(super) jumped: Option<Instant>,
    /// What ids begin with.
    pub(super) id_clock: IdClock,
    /// How long request ids are remembered.
    pub(super) request_time: RequestTime,
    /// Where the sweep of old messages goes on.
    pub(super) sweep: MessageId,
    /// Runs taken out of their indexes whose pages are to be deleted.
    pub(super) dropped: VecDeque<Arc<SortedRun>>,
    /// Requests stored since old ones were last deleted.
    pub(super) requests_since_purge: usize,
}

impl WriterState {
    /// The next message id: time-ordered, above all given before. See [`Work::tick`].
    pub(super) fn next_id(&self) -> MessageId {
        self.last_id.plus(1).max(self.id_clock.first())
    }

    pub(super) fn next_request(&mut self) -> i64 {
        self.last_request = (self.last_request + 1).max(self.id_clock.first().0);
        self.last_request
    }

    pub(super) fn next_queue_seq(&mut self) -> QueueSeq {
        QueueSeq(self.queue_seq.take())
    }

    /// Whether things may be deleted because they seem old. Whoever watches the clock has some seconds to see a jump
    /// ([`crate::Store::hold_deletes`]).
    pub(super) fn believes_the_clock(&mut self) -> bool {
        const NOTICED_WITHIN: Duration = Duration::from_secs(5);
        if self.jumped.is_some_and(|at| at.elapsed() > NOTICED_WITHIN) {
            self.jumped = None;
        }
        self.now_is_fresh && self.jumped.is_none()
    }

    /// The clock says `now`. Commands come a little out of order; what is further back is a clock that was set back.
    pub(super) fn see(&mut self, now: UnixMs) {
        const OUT_OF_ORDER_MS: i64 = 10_000;
        /// Releases of due messages carry the time every few seconds.
        const AHEAD_MS_MAX: i64 = 3_600_000;
        if self.now_is_fresh && now > self.now + AHEAD_MS_MAX {
            self.jumped = Some(Instant::now());
        }
        if now > self.now || now < self.now - OUT_OF_ORDER_MS || !self.now_is_fresh {
            self.now = now;
            self.now_is_fresh = true;
        }
    }
}

/// What a group changes of memory once it is committed.
#[derive(Debug, Default)]
pub(super) struct Effects {
    pub(super) lanes: Vec<(Lane, i64)>,
    pub(super) opened: Vec<(AttemptId, OpenSpan)>,
    pub(super) answered: Vec<(AttemptId, u64)>,
    pub(super) closed: Vec<AttemptId>,
    pub(super) delayed: i64,
    /// Messages whose time to live ended before they were sent.
    pub(super) expired: Vec<(CarrierNo, Class, u64)>,
    pub(super) requests: usize,
    /// Runs that lead to nothing any more, by their numbers.
    pub(super) dropped: Vec<(Kind, i64)>,
    /// What is counted. Written before the commit, as are the events.
    pub(super) stats_delta: StatsDelta,
    pub(super) events: Vec<Noted>,
    /// Messages that failed, at most [`crate::FAILED_MAX`].
    pub(super) failed: Vec<MessageId>,
    /// Messages that a carrier took, and when. Written before the commit.
    pub(super) submitted: Vec<(UnixMs, MessageId)>,
    /// Series whose rows were written.
    pub(super) dimensions: Vec<(StatsDimensions, DimensionsNo)>,
    /// Counters of hours before this have gone.
    pub(super) counters_floor: Option<i64>,
    /// Where the sweep of old events goes on.
    pub(super) event_sweep: Option<i64>,
    /// Where the sweep of old messages goes on.
    pub(super) sweep: Option<MessageId>,
}

/// A place to go back to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Savepoint {
    numbers: usize,
    receipts: usize,
    requests: usize,
    unmatched_receipts: usize,
    lanes: usize,
    opened: usize,
    answered: usize,
    closed: usize,
    delayed: i64,
    expired: usize,
    stored_requests: usize,
    dropped: usize,
    stats_delta: usize,
    events: usize,
    failed: usize,
    submitted: usize,
    dimensions: usize,
    counters_floor: Option<i64>,
    event_sweep: Option<i64>,
    sweep: Option<MessageId>,
    eras: usize,
    request_time: request_time::Savepoint,
}

impl Savepoint {
    /// Where the receipt keys of the group begin.
    pub(super) fn receipts(&self) -> usize {
        self.receipts
    }
}

/// What a command works with.
pub(super) struct Work<'w> {
    pub(super) conn: &'w Connection,
    pub(super) memory: &'w mut WriterState,
    pub(super) shared: &'w Shared,
    pub(super) effects: &'w mut Effects,
}

impl Work<'_> {
    /// Remembers how things are now.
    pub(super) fn savepoint(&mut self) -> Savepoint {
        Savepoint {
            numbers: self.shared.numbers.read().memtable_len(),
            receipts: self.memory.receipts.memtable_len(),
            requests: self.memory.requests.memtable_len(),
            unmatched_receipts: self.memory.unmatched_receipts.journal_len(),
            lanes: self.effects.lanes.len(),
            opened: self.effects.opened.len(),
            answered: self.effects.answered.len(),
            closed: self.effects.closed.len(),
            delayed: self.effects.delayed,
            expired: self.effects.expired.len(),
            stored_requests: self.effects.requests,
            dropped: self.effects.dropped.len(),
            stats_delta: self.effects.stats_delta.savepoint(),
            events: self.effects.events.len(),
            failed: self.effects.failed.len(),
            submitted: self.effects.submitted.len(),
            dimensions: self.effects.dimensions.len(),
            counters_floor: self.effects.counters_floor,
            event_sweep: self.effects.event_sweep,
            sweep: self.effects.sweep,
            eras: self.memory.id_clock.eras_len(),
            request_time: self.memory.request_time.savepoint(),
        }
    }

    /// Sets memory back to how it was. Numbers that were given stay given: gaps do no harm.
    pub(super) fn rollback_to(&mut self, savepoint: &Savepoint) {
        self.shared.numbers.write().memtable().truncate(savepoint.numbers);
        self.memory.receipts.memtable().truncate(savepoint.receipts);
        self.memory.requests.memtable().truncate(savepoint.requests);
        self.memory
            .unmatched_receipts
            .rollback_to(savepoint.unmatched_receipts);
        self.memory.batch = None;
        self.effects.lanes.truncate(savepoint.lanes);
        self.effects.opened.truncate(savepoint.opened);
        self.effects.answered.truncate(savepoint.answered);
        self.effects.closed.truncate(savepoint.closed);
        self.effects.delayed = savepoint.delayed;
        self.effects.expired.truncate(savepoint.expired);
        self.effects.requests = savepoint.stored_requests;
        self.effects.dropped.truncate(savepoint.dropped);
        self.effects.stats_delta.rollback_to(savepoint.stats_delta);
        self.effects.events.truncate(savepoint.events);
        self.effects.failed.truncate(savepoint.failed);
        self.effects.submitted.truncate(savepoint.submitted);
        self.effects.counters_floor = savepoint.counters_floor;
        self.effects.event_sweep = savepoint.event_sweep;
        self.memory
            .dimensions
            .roll_back(self.effects.dimensions.drain(savepoint.dimensions..));
        self.effects.sweep = savepoint.sweep;
        self.memory.request_time.rollback_to(savepoint.request_time);
        if self.memory.id_clock.rollback_to(savepoint.eras) {
            self.show_eras();
        }
    }

    /// The clock says `now`: ids that are given next begin with it, or go on from the last ones when it was set back.
    pub(super) fn tick(&mut self, now: UnixMs) -> Result<(), StoreError> {
        let first = !self.memory.now_is_fresh;
        self.memory.see(now);
        let era = self.memory.id_clock.tick(now, self.memory.last_id.time_part());
        if let Some(era) = era {
            id_clock::store(self.conn, era).tried("note that the clock has jumped")?;
            self.show_eras();
        }
        if first || era.is_some() {
            // Made while the clock was ahead: they are as old as now, and no younger.
            self.memory
                .receipts
                .lower_flushed_at(self.conn, now)
                .tried("correct the times of runs")?;
        }
        Ok(())
    }

    fn show_eras(&self) {
        let clock = &self.memory.id_clock;
        *self.shared.eras.write() = clock.eras().clone();
        self.shared
            .meters
            .ids_ahead_ms
            .store(clock.ahead_ms(), Ordering::Relaxed);
    }

    /// Counts a message in a column of the hour in which it was accepted.
    pub(super) fn count(
        &mut self,
        id: MessageId,
        stats_key: StatsKey,
        from: Option<Column<'_>>,
        to: Column<'_>,
    ) {
        let hour = hour_of(self.memory.id_clock.eras().accepted_at(id));
        self.effects.stats_delta.push(hour, stats_key, from, to);
    }

    /// The group is committed: memory follows.
    pub(super) fn apply(&mut self) {
        let effects = std::mem::take(self.effects);
        if !effects.lanes.is_empty() {
            let mut lanes = self.shared.lanes.lock();
            for (lane, change) in effects.lanes {
                let waiting = lanes.entry(lane).or_insert(0);
                *waiting = waiting.saturating_add_signed(change);
                if *waiting == 0 {
                    lanes.remove(&lane);
                }
            }
        }
        if !(effects.opened.is_empty() && effects.answered.is_empty() && effects.closed.is_empty()) {
            let mut open = self.shared.open.write();
            open.extend(effects.opened);
            for (attempt, answered) in effects.answered {
                if let Some(span) = open.get_mut(&attempt) {
                    span.answered += answered;
                }
            }
            for attempt in effects.closed {
                open.remove(&attempt);
            }
        }
        let meters = &self.shared.meters;
        let delayed = meters
            .delayed
            .load(Ordering::Relaxed)
            .saturating_add_signed(effects.delayed);
        meters.delayed.store(delayed, Ordering::Relaxed);
        meters.count_expired(&effects.expired);
        meters
            .unmatched_receipts
            .store(self.memory.unmatched_receipts.len() as u64, Ordering::Relaxed);
        self.memory.unmatched_receipts.clear_journal();
        self.memory.requests_since_purge += effects.requests;
        self.memory.sweep = effects.sweep.unwrap_or(self.memory.sweep);
        self.memory.counters.set_floor(effects.counters_floor);
        self.memory.event_sweep = effects.event_sweep.unwrap_or(self.memory.event_sweep);
        meters
            .dimensions
            .store(self.memory.dimensions.len() as u64, Ordering::Relaxed);
        for (kind, no) in effects.dropped {
            let run = self.with_index(kind, |index| index.remove(no));
            self.memory.dropped.extend(run);
        }
    }

    /// The lane of a message, should it wait for `carrier`.
    pub(super) fn lane_of(
        &mut self,
        id: MessageId,
        carrier: CarrierNo,
    ) -> Result<(Lane, BatchSpan), StoreError> {
        let span = self.batch_of(id)?;
        Ok((
            Lane {
                carrier,
                class: span.class,
                account: span.account,
            },
            span,
        ))
    }

    /// The batch of a message.
    pub(super) fn batch_of(&mut self, id: MessageId) -> Result<BatchSpan, StoreError> {
        if let Some(span) = self.memory.batch
            && (span.first..=span.last).contains(&id)
        {
            return Ok(span);
        }
        let span = super::batch::span_of(self.conn, id)?;
        self.memory.batch = Some(span);
        Ok(span)
    }

    /// The index of a kind; numbers are shared with readers.
    pub(super) fn with_index<T>(&mut self, kind: Kind, run: impl FnOnce(&mut Index) -> T) -> T {
        match kind {
            Kind::Number => run(&mut self.shared.numbers.write()),
            Kind::Receipt => run(&mut self.memory.receipts),
            Kind::Request => run(&mut self.memory.requests),
        }
    }
}
