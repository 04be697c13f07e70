//! Counters: what a group moves from column to column, and writing it once a group.
//!
//! A message is counted when it is accepted and moves with its state. What a group moves is noted in memory and
//! summed up before its commit, so that each counter it touches is written once, however many messages.

use super::codes::narrow;
use super::dimensions::Generations;
use super::error::Tried;
use super::memory::Work;
use crate::{AccountId, DimensionsNo, StatsKey, StoreError, UnixMs};
use rusqlite::Connection;
use sms::state::MessageState;
use std::collections::{BTreeMap, HashMap, HashSet};

const HOUR_MS: i64 = 3_600_000;
/// Different errors of a series in an hour that have counters of their own.
const ERRORS_MAX: usize = 64;
/// The error of those beyond.
const OTHER: &str = "other";
/// Sets of errors in memory, at most twice as many: one for each series in use this hour, if possible.
const ERROR_SETS_MAX: usize = 4_096;
/// Counters deleted by one command, about: a few milliseconds.
const EXPIRED_A_STEP: u64 = 2_000;

/// The hour a time is in, in hours since 1970.
pub(super) const fn hour_of(at: UnixMs) -> i64 {
    at.div_euclid(HOUR_MS)
}

/// Where a message is counted: states in which it waits are one, and only final ones have errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Column<'e> {
    pub(super) state: MessageState,
    pub(super) error: &'e str,
}

impl<'e> Column<'e> {
    /// Where an accepted message begins.
    pub(super) const QUEUED: Self = Self {
        state: MessageState::Queued,
        error: "",
    };

    pub(super) fn of(state: MessageState, error: &'e str) -> Self {
        match state {
            MessageState::Queued | MessageState::InFlight | MessageState::InDoubt => Self::QUEUED,
            MessageState::Submitted => Self { state, error: "" },
            state => Self { state, error },
        }
    }
}

/// A column with its error as an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Place {
    state: MessageState,
    error: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Move {
    stats_key: StatsKey,
    hour: i64,
    from: Option<Place>,
    to: Place,
    messages: i64,
}

/// What a group moves, in order.
#[derive(Debug, Default)]
pub(super) struct StatsDelta {
    steps: Vec<Move>,
    /// Before this nothing is changed: it belongs to earlier commands.
    fence: usize,
    /// By index; the first is the empty one.
    errors: Vec<Box<str>>,
    by_error: HashMap<Box<str>, u32>,
    last_error: (Box<str>, u32),
}

impl StatsDelta {
    /// A place to go back to.
    pub(super) fn savepoint(&mut self) -> usize {
        self.fence = self.steps.len();
        self.fence
    }

    pub(super) fn rollback_to(&mut self, savepoint: usize) {
        self.steps.truncate(savepoint);
        self.fence = savepoint;
    }

    /// Counts a message of an hour in a column, and no more in the one it was counted in.
    pub(super) fn push(&mut self, hour: i64, stats_key: StatsKey, from: Option<Column<'_>>, to: Column<'_>) {
        if stats_key.dimensions == DimensionsNo(0) {
            return; // accepted before there was counting
        }
        let new = Move {
            stats_key,
            hour,
            from: from.map(|from| self.place(from)),
            to: self.place(to),
            messages: 1,
        };
        match self.steps.get_mut(self.fence..).and_then(<[_]>::last_mut) {
            Some(last) if (Move { messages: 1, ..*last }) == new => last.messages += 1,
            _ => self.steps.push(new),
        }
    }

    fn place(&mut self, column: Column<'_>) -> Place {
        Place {
            state: column.state,
            error: self.index_of(column.error),
        }
    }

    fn index_of(&mut self, error: &str) -> u32 {
        if error.is_empty() {
            return 0;
        }
        // Nearly always the same as the time before.
        let (last, index) = &self.last_error;
        if **last == *error {
            return *index;
        }
        let index = match self.by_error.get(error) {
            Some(&index) => index,
            None => {
                if self.errors.is_empty() {
                    self.errors.push(Box::default());
                }
                let index = u32::try_from(self.errors.len()).unwrap_or(u32::MAX);
                self.errors.push(error.into());
                self.by_error.insert(error.into(), index);
                index
            }
        };
        self.last_error = (error.into(), index);
        index
    }

    /// The changes of each counter.
    fn sums(&self) -> HashMap<Counter<'_>, (i64, i64)> {
        let mut sums = HashMap::new();
        let mut add = |of: &Move, place: Place, messages: i64| {
            let index = usize::try_from(place.error).unwrap_or(usize::MAX);
            let counter = Counter {
                hour: of.hour,
                dimensions: of.stats_key.dimensions,
                country: of.stats_key.country,
                state: place.state,
                error: self.errors.get(index).map_or("", |error| error),
            };
            let sum = sums.entry(counter).or_insert((0, 0));
            sum.0 += messages;
            sum.1 += messages * i64::from(of.stats_key.segments);
        };
        for one in &self.steps {
            if let Some(from) = one.from {
                add(one, from, -one.messages);
            }
            add(one, one.to, one.messages);
        }
        sums.retain(|_, sum| *sum != (0, 0));
        sums
    }
}

/// The key of a counter without its account, which follows from the series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Counter<'e> {
    hour: i64,
    dimensions: DimensionsNo,
    country: u16,
    state: MessageState,
    error: &'e str,
}

/// The writer's memory of counters.
#[derive(Debug)]
pub(super) struct Counters {
    /// Counters of hours before this are gone and stay so.
    floor: i64,
    /// The errors with counters of their own, by series and hour. Only grows until it is full, so that a message is
    /// subtracted from the counter to which it was added.
    errors: Generations<(DimensionsNo, i64), HashSet<Box<str>>>,
}

impl Counters {
    pub(super) fn load(conn: &Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            floor: conn.query_row(
                "SELECT value FROM meta WHERE key = 'statistics_floor'",
                [],
                |row| row.get(0),
            )?,
            errors: Generations::new(ERROR_SETS_MAX),
        })
    }

    /// What [`flush`] wrote was taken back.
    pub(super) fn taken_back(&mut self) {
        self.errors.clear();
    }

    /// Counters of hours before `floor` have gone. Where a clock was ahead the floor goes back with it.
    pub(super) fn set_floor(&mut self, floor: Option<i64>) {
        self.floor = floor.unwrap_or(self.floor);
    }

    /// The error under which one is counted.
    fn kept<'e>(
        &mut self,
        conn: &Connection,
        account: AccountId,
        dimensions: DimensionsNo,
        hour: i64,
        error: &'e str,
    ) -> rusqlite::Result<&'e str> {
        if error.is_empty() {
            return Ok(error);
        }
        let key = (dimensions, hour);
        if self.errors.get(&key).is_none() {
            let known = conn
                .prepare_cached(
                    "SELECT DISTINCT error FROM message_stats WHERE account = ?1 AND hour = ?2 AND dimensions = ?3
                     AND error <> '' AND error <> ?4",
                )?
                .query_map((account.0, hour, dimensions.0, OTHER), |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?;
            self.errors.insert(key, known);
        }
        let Some(known) = self.errors.get(&key) else {
            return Ok(OTHER);
        };
        if known.contains(error) {
            Ok(error)
        } else if known.len() < ERRORS_MAX {
            known.insert(error.into());
            Ok(error)
        } else {
            Ok(OTHER)
        }
    }
}

/// Writes what the group has moved: within its transaction, after its last command.
pub(super) fn flush(work: &mut Work<'_>) -> Result<(), StoreError> {
    let stats_delta = std::mem::take(&mut work.effects.stats_delta);
    let memory = &mut *work.memory;
    let floor = work.effects.counters_floor.unwrap_or(memory.counters.floor);
    // In the order of the table.
    let mut changes: BTreeMap<(AccountId, Counter<'_>), (i64, i64)> = BTreeMap::new();
    for (mut counter, (messages, segments)) in stats_delta.sums() {
        if counter.hour < floor {
            continue;
        }
        let Some(account) = memory
            .dimensions
            .account_of(work.conn, counter.dimensions)
            .tried("look for a series")?
        else {
            continue;
        };
        counter.error = memory
            .counters
            .kept(
                work.conn,
                account,
                counter.dimensions,
                counter.hour,
                counter.error,
            )
            .tried("look for the errors counted apart")?;
        let sum = changes.entry((account, counter)).or_default();
        sum.0 += messages;
        sum.1 += segments;
    }
    let mut upsert = work
        .conn
        .prepare_cached(
            "INSERT INTO message_stats (account, hour, dimensions, country, state, error, messages, segments)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT DO UPDATE SET messages = messages + excluded.messages,
                                       segments = segments + excluded.segments",
        )
        .tried("prepare to count")?;
    for ((account, counter), (messages, segments)) in changes {
        upsert
            .execute((
                account.0,
                counter.hour,
                counter.dimensions.0,
                counter.country,
                counter.state.as_u8(),
                counter.error,
                messages,
                segments,
            ))
            .tried("count")?;
    }
    work.effects.stats_delta = stats_delta;
    Ok(())
}

/// Deletes a piece of the counters of hours before `before`, and series that were not used since; how many counters,
/// and whether there are more.
pub(super) fn expire(work: &mut Work<'_>, before: UnixMs) -> Result<(u64, bool), StoreError> {
    let before = hour_of(before);
    work.conn
        .execute(
            "UPDATE meta SET value = ?1 WHERE key = 'statistics_floor'",
            [before],
        )
        .tried("delete counters")?;
    // What is before this may be gone: `check --deep` compares what is not, also where the clock was ahead.
    work.conn
        .execute(
            "INSERT INTO meta (key, value) VALUES ('counters_swept_before', ?1)
             ON CONFLICT (key) DO UPDATE SET value = max(value, ?1)",
            [before],
        )
        .tried("delete counters")?;
    work.effects.counters_floor = Some(before);
    let deleted = delete_counters(work.conn, before).tried("delete counters")?;
    if deleted >= EXPIRED_A_STEP {
        return Ok((deleted, true));
    }
    let dimensions = work
        .conn
        .prepare_cached("DELETE FROM stats_dimensions WHERE no IN (SELECT no FROM stats_dimensions WHERE hour < ?1 LIMIT ?2)")
        .and_then(|mut delete| delete.execute((before, EXPIRED_A_STEP)))
        .tried("delete series")?;
    if dimensions > 0 {
        work.memory.dimensions.clear();
    }
    Ok((deleted, dimensions as u64 == EXPIRED_A_STEP))
}

fn delete_counters(conn: &Connection, before: i64) -> rusqlite::Result<u64> {
    let mut next_account =
        conn.prepare_cached("SELECT account FROM message_stats WHERE account > ?1 ORDER BY account LIMIT 1")?;
    // Whole hours, as many as are needed for a piece.
    let mut hour_after = conn.prepare_cached(
        "SELECT hour FROM message_stats WHERE account = ?1 AND hour < ?2 ORDER BY hour LIMIT 1 OFFSET ?3",
    )?;
    let mut delete = conn.prepare_cached("DELETE FROM message_stats WHERE account = ?1 AND hour <= ?2")?;
    let (mut account, mut deleted) = (-1i64, 0);
    while deleted < EXPIRED_A_STEP
        && let Some(row) = next_account.query([account])?.next()?
    {
        account = row.get(0)?;
        let last = match hour_after.query((account, before, EXPIRED_A_STEP))?.next()? {
            Some(row) => row.get(0)?,
            None => before - 1,
        };
        deleted += delete.execute((account, last))? as u64;
    }
    Ok(deleted)
}

/// A state as a counter's row has it.
pub(super) fn state_from(code: i64) -> Result<MessageState, StoreError> {
    let code: u8 = narrow(code, "a counter's state")?;
    MessageState::from_u8(code).ok_or_else(|| StoreError::Damaged(format!("a counter's state {code}")))
}
