//! Rows of the `message_status` table.

use super::codes::{ErrorCode, StateCode};
use super::segments::{self, Segment};
use crate::{AttemptId, CarrierNo, MessageId, StatsKey, StoreError, UnixMs};
use rusqlite::{CachedStatement, Connection, OptionalExtension, Row};
use sms::state::MessageState;

/// Always set, so that flags take one octet whatever else they say (0 and 1 would take none).
const PRESENT: u8 = 64;
/// The timeline has the last attempt and its result; otherwise the row of the status has them.
const IN_TIMELINE: u8 = 1;
/// A receipt brought the state, at `changed_at` (messages of one segment).
const BY_RECEIPT: u8 = 2;

/// What a row says besides its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Flags(u8);

impl Flags {
    pub(super) const NONE: Self = Self(PRESENT);
    pub(super) const IN_TIMELINE: Self = Self(PRESENT | IN_TIMELINE);
    /// For the receipt's statement, which only adds.
    pub(super) const BY_RECEIPT_BIT: u8 = BY_RECEIPT;

    pub(super) fn in_timeline(self) -> bool {
        self.0 & IN_TIMELINE != 0
    }

    pub(super) fn by_receipt(self) -> bool {
        self.0 & BY_RECEIPT != 0
    }

    pub(super) fn with_receipt(self) -> Self {
        Self(self.0 | BY_RECEIPT)
    }
}

/// What came of a message so far.
#[derive(Debug, Clone)]
pub(super) struct MessageStatus {
    pub(super) id: MessageId,
    pub(super) state: MessageState,
    pub(super) flags: Flags,
    pub(super) carrier: CarrierNo,
    pub(super) bind: u16,
    pub(super) attempts: u8,
    pub(super) attempt: AttemptId,
    pub(super) attempted_at: UnixMs,
    pub(super) answered_at: UnixMs,
    pub(super) changed_at: UnixMs,
    pub(super) status: u32,
    /// The carrier's id of a message of one segment.
    pub(super) carrier_id: Option<Box<str>>,
    pub(super) error: Box<str>,
    /// Messages of more than one segment, as [`segments::encode`] writes them.
    pub(super) segments: Option<Vec<u8>>,
    /// By which it is counted.
    pub(super) stats_key: StatsKey,
}

/// The columns of [`MessageStatus::from_row`], in its order.
pub(super) const COLUMNS: &str = "o.id, o.state, o.flags, o.carrier, o.bind, o.attempts, o.attempt, \
     o.attempted_at, o.answered_in, o.changed_at, o.command_status, o.carrier_id, o.error, o.segments, o.stats_key";
/// How many [`COLUMNS`] are.
pub(super) const COLUMNS_COUNT: usize = 15;

const INSERT: &str = "INSERT OR IGNORE INTO message_status (id, state, flags, carrier, bind, attempts, attempt, \
     attempted_at, answered_in, changed_at, command_status, carrier_id, error, segments, stats_key) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)";
const REPLACE: &str = "INSERT OR REPLACE INTO message_status (id, state, flags, carrier, bind, attempts, attempt, \
     attempted_at, answered_in, changed_at, command_status, carrier_id, error, segments, stats_key) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)";

impl MessageStatus {
    /// From the columns of a row from `at` on; `None` when the join found none.
    pub(super) fn from_row(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Self>> {
        let Some(id) = row.get::<_, Option<i64>>(at)? else {
            return Ok(None);
        };
        let attempted_at: i64 = row.get(at + 7)?;
        Ok(Some(Self {
            id: MessageId(id),
            state: row.get::<_, StateCode>(at + 1)?.0,
            flags: Flags(row.get(at + 2)?),
            carrier: CarrierNo(row.get(at + 3)?),
            bind: row.get(at + 4)?,
            attempts: row.get(at + 5)?,
            attempt: AttemptId(row.get(at + 6)?),
            attempted_at,
            answered_at: attempted_at.saturating_add(row.get(at + 8)?),
            changed_at: row.get(at + 9)?,
            status: row.get(at + 10)?,
            carrier_id: row.get(at + 11)?,
            error: row.get_ref(at + 12)?.as_str()?.trim_end_matches(' ').into(),
            segments: row.get(at + 13)?,
            stats_key: StatsKey::from_i64(row.get(at + 14)?),
        }))
    }

    /// The row of a message, if it has one.
    pub(super) fn read(conn: &Connection, id: MessageId) -> rusqlite::Result<Option<Self>> {
        conn.prepare_cached(&format!("SELECT {COLUMNS} FROM message_status o WHERE o.id = ?1"))?
            .query_row([id.0], |row| Self::from_row(row, 0))
            .optional()
            .map(Option::flatten)
    }

    /// What [`Self::insert`] needs, prepared once for many.
    pub(super) fn inserting(conn: &Connection) -> rusqlite::Result<CachedStatement<'_>> {
        conn.prepare_cached(INSERT)
    }

    /// Writes the row if the message has none; false when it has one.
    pub(super) fn insert(&self, inserting: &mut CachedStatement<'_>) -> rusqlite::Result<bool> {
        self.write(inserting).map(|rows| rows == 1)
    }

    /// Writes the row in place of the one that may be there.
    pub(super) fn replace(&self, conn: &Connection) -> rusqlite::Result<()> {
        self.write(&mut conn.prepare_cached(REPLACE)?).map(drop)
    }

    fn write(&self, statement: &mut CachedStatement<'_>) -> rusqlite::Result<usize> {
        statement.execute((
            self.id.0,
            StateCode(self.state),
            self.flags.0,
            self.carrier.0,
            self.bind,
            self.attempts,
            self.attempt.0,
            self.attempted_at,
            self.answered_at.saturating_sub(self.attempted_at),
            self.changed_at,
            self.status,
            self.carrier_id.as_deref(),
            ErrorCode(&self.error),
            self.segments.as_deref(),
            self.stats_key.to_i64(),
        ))
    }

    /// The segments of a message of more than one.
    pub(super) fn segments(&self) -> Result<Vec<Segment>, StoreError> {
        self.segments
            .as_deref()
            .map(segments::decode)
            .transpose()
            .map(Option::unwrap_or_default)
    }
}
