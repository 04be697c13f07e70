//! Ids and the machine's clock.
//!
//! Ids of messages, requests and inbound messages begin with a time, and never go back. As long as the machine's clock
//! does not go back either, that time is the machine's. When the clock is set back behind the ids that were given, ids
//! go on from the last one, ahead of the clock by a fixed offset: an *era* begins. Its row says from which id on which
//! offset holds, so a time is read back from an id to the millisecond, and a span of time is one range of ids in each
//! era, without an index. Only a clock that jumps makes eras: nearly always there is one, with an offset of 0.
//!
//! The offset ends when the clock passes the last id. A clock that jumps ahead by more than [`FOLLOW_MS_MAX`] is not
//! followed: ids stay behind it by an offset of the other sign, so that they are not used up by a clock that lies.

use crate::{MessageId, UnixMs};
use rusqlite::Connection;
use smallvec::SmallVec;
use std::ops::{Range, RangeInclusive};

/// A clock that is behind the last id by no more than this is waited for: commands reach the writer a little out of
/// order, and clocks are corrected by so much. Until then ids count on within a millisecond.
const SLACK_MS: i64 = 5_000;
/// Ids follow a clock that goes ahead by no more than this: a store may be unused for a year.
const FOLLOW_MS_MAX: i64 = 400 * 86_400_000;
/// 2200-01-01: what a first id may begin with at most. Ids end in 2248.
const TIME_MAX: UnixMs = 7_258_118_400_000;
/// What is dated further ahead of the clock than this was written while the clock was wrong.
pub(super) const AHEAD_MS_MAX: i64 = 3_600_000;
/// Eras kept at most. Once there are so many, a clock that is set back is waited for.
const ERAS_MAX: usize = 1_024;

/// Ids whose time part is ahead of the machine's clock by the same offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Era {
    first: MessageId,
    offset_ms: i64,
}

impl Era {
    /// Before the first row.
    const PLAIN: Self = Self {
        first: MessageId(i64::MIN),
        offset_ms: 0,
    };

    fn at(self, id: MessageId) -> UnixMs {
        id.time_part() - self.offset_ms
    }

    /// What the clock said when it began.
    fn began_at(self) -> UnixMs {
        self.at(self.first)
    }

    fn first_at(self, at: UnixMs) -> MessageId {
        MessageId::first_at(at.saturating_add(self.offset_ms))
    }
}

/// A few ranges of ids, the newest first.
pub(super) type IdRanges = SmallVec<[RangeInclusive<MessageId>; 1]>;

/// The eras of a store, the oldest first. Empty: ids and clock were always one.
#[derive(Debug, Clone, Default)]
pub(super) struct Eras(Vec<Era>);

impl Eras {
    pub(super) fn load(conn: &Connection) -> rusqlite::Result<Self> {
        let mut eras: Vec<Era> = conn
            .prepare("SELECT first_id, offset_ms FROM id_era ORDER BY first_id DESC LIMIT ?1")?
            .query_map([super::codes::as_count(ERAS_MAX)], |row| {
                Ok(Era {
                    first: MessageId(row.get(0)?),
                    offset_ms: row.get(1)?,
                })
            })?
            .collect::<rusqlite::Result<_>>()?;
        eras.reverse();
        Ok(Self(eras))
    }

    /// How far ids given last are ahead of the clock, in milliseconds.
    pub(super) fn ahead_ms(&self) -> i64 {
        self.newest().offset_ms
    }

    fn newest(&self) -> Era {
        self.0.last().copied().unwrap_or(Era::PLAIN)
    }

    fn era_of(&self, id: MessageId) -> Era {
        let newest = self.newest();
        if id >= newest.first {
            return newest;
        }
        let after = self.0.partition_point(|era| era.first <= id);
        let before = after.checked_sub(1).and_then(|index| self.0.get(index));
        before.copied().unwrap_or(Era::PLAIN)
    }

    /// What the machine's clock said when an id was given, in Unix milliseconds.
    pub(super) fn accepted_at(&self, id: MessageId) -> UnixMs {
        self.era_of(id).at(id)
    }

    /// The ids given while the clock said a time of `span`.
    pub(super) fn accepted_in(&self, span: &Range<UnixMs>) -> IdRanges {
        self.pieces()
            .filter_map(|piece| piece.within(span.start, span.end))
            .collect()
    }

    /// The ids given from `since` on, as far as that can be believed now: what was given while the clock was ahead of
    /// where it is today is not among them. The newest era has no end, for ids of now may be ahead by the slack.
    pub(super) fn given_since(&self, since: UnixMs, now: UnixMs) -> IdRanges {
        let newest = self.newest();
        if self.0.is_empty() || newest.began_at() <= since {
            // Whatever an earlier era holds was given before this one began, or by a clock that was wrong.
            return SmallVec::from_elem(newest.first_at(since).max(newest.first)..=MessageId(i64::MAX), 1);
        }
        self.pieces()
            .filter_map(|piece| {
                let until = match piece.is_newest() {
                    true => i64::MAX,
                    false => now.min(self.not_after(&piece)).saturating_add(1),
                };
                piece.within(since, until)
            })
            .collect()
    }

    /// The first id that was not assigned before `before`, as far as that is known: see [`Self::believed_at`].
    pub(super) fn cut(&self, before: UnixMs) -> MessageId {
        let mut pieces: SmallVec<[Piece; 4]> = self.pieces().collect();
        pieces.reverse();
        pieces
            .iter()
            .filter(|piece| self.not_after(piece) >= before)
            .find_map(|piece| piece.within(before, i64::MAX))
            .map_or_else(|| self.newest().first_at(before), |ids| *ids.start())
    }

    /// What the clock said when an id was given, but no later than what it said when it was set right.
    pub(super) fn believed_at(&self, id: MessageId) -> UnixMs {
        let at = self.accepted_at(id);
        match self.pieces().find(|piece| id >= piece.era.first) {
            Some(piece) => at.min(self.not_after(&piece)),
            None => at,
        }
    }

    /// The eras with where they end, the newest first.
    fn pieces(&self) -> impl Iterator<Item = Piece> {
        let plain = std::iter::once(Era::PLAIN);
        let mut next = None;
        plain.chain(self.0.iter().copied()).rev().map(move |era| {
            let piece = Piece { era, next };
            next = Some(era.first);
            piece
        })
    }

    /// What was given in an era was given before this time. A later era that began at an earlier time says so, for ids
    /// are in order: the clock had been ahead. Unless it was that later era that lied: then the clock was ahead again
    /// afterwards.
    fn not_after(&self, piece: &Piece) -> UnixMs {
        let Some(end) = piece.ended_at() else {
            return i64::MAX;
        };
        let later = self.0.iter().rev().take_while(|era| era.first > piece.era.first);
        let contradict = later.map(|era| era.began_at()).take_while(|began| *began < end);
        contradict.min().unwrap_or(i64::MAX)
    }
}

/// An era with the first id of the next.
#[derive(Debug, Clone, Copy)]
struct Piece {
    era: Era,
    next: Option<MessageId>,
}

impl Piece {
    fn is_newest(&self) -> bool {
        self.next.is_none()
    }

    /// What the clock said when its last ids were given; `None` for the newest.
    fn ended_at(&self) -> Option<UnixMs> {
        self.next.map(|next| self.era.at(next.plus(-1)))
    }

    /// Its ids given from `from` on and before `until`.
    fn within(&self, from: UnixMs, until: UnixMs) -> Option<RangeInclusive<MessageId>> {
        let first = self.era.first.max(self.era.first_at(from));
        let mut last = match until {
            i64::MAX => MessageId(i64::MAX),
            until => self.era.first_at(until).plus(-1),
        };
        if let Some(next) = self.next {
            last = last.min(next.plus(-1));
        }
        (first <= last).then_some(first..=last)
    }
}

/// The time that the next ids begin with.
#[derive(Debug)]
pub(super) struct IdClock {
    eras: Eras,
    /// The time part of what is given now.
    ms: i64,
    /// Of the newest id of any kind.
    newest_ms: i64,
}

impl IdClock {
    /// `newest_ms` is the time part of the newest id of any kind, 0 when none was given.
    pub(super) fn new(eras: Eras, newest_ms: i64) -> Self {
        // No id may have been given since the newest era began: the next one begins after it all the same.
        let newest_ms = newest_ms.max(eras.newest().first.time_part());
        Self {
            eras,
            ms: newest_ms,
            newest_ms,
        }
    }

    pub(super) fn eras(&self) -> &Eras {
        &self.eras
    }

    /// The first id of what is given now.
    pub(super) fn first(&self) -> MessageId {
        MessageId::first_at(self.ms)
    }

    /// The first id of what came at `at`, a little ago perhaps.
    pub(super) fn first_of(&self, at: UnixMs) -> MessageId {
        self.eras.newest().first_at(at.clamp(0, TIME_MAX))
    }

    /// How far ids are ahead of the clock, in milliseconds.
    pub(super) fn ahead_ms(&self) -> i64 {
        self.eras.ahead_ms()
    }

    /// The clock says `now`; `given_ms` is the time part of the last id of messages. An era that begins must be stored
    /// with what is given in it.
    pub(super) fn tick(&mut self, now: UnixMs, given_ms: i64) -> Option<Era> {
        let now = now.clamp(0, TIME_MAX);
        self.newest_ms = self.newest_ms.max(given_ms);
        let last = self.newest_ms;
        let offset = self.ahead_ms();
        let ms = now + offset;
        let follows = |ms: i64| last == 0 || ms - last <= FOLLOW_MS_MAX;
        // An offset of seconds lasts until the clock has passed the last id; a longer one is given up for one of seconds.
        let reached = if offset > SLACK_MS { last - SLACK_MS } else { last };
        let comes_back = offset != 0 && now > reached && follows(now);
        let goes_on = ms + SLACK_MS >= last && follows(ms);
        let full = self.eras.0.len() >= ERAS_MAX;
        if full || (goes_on && !comes_back) {
            self.ms = if follows(ms) { ms } else { last };
            self.newest_ms = last.max(self.ms);
            return None;
        }
        let behind = last + 1 - now;
        let offset_ms = if follows(now) { behind.max(0) } else { behind };
        self.ms = now + offset_ms;
        self.newest_ms = self.ms;
        let era = Era {
            first: MessageId::first_at(self.ms),
            offset_ms,
        };
        self.eras.0.push(era);
        Some(era)
    }

    /// For [`Self::rollback_to`].
    pub(super) fn eras_len(&self) -> usize {
        self.eras.0.len()
    }

    /// Eras that began since were not stored; true when there were any.
    pub(super) fn rollback_to(&mut self, eras_len: usize) -> bool {
        let some = self.eras.0.len() > eras_len;
        self.eras.0.truncate(eras_len);
        some
    }
}

/// Stores an era, within the transaction of what is given in it.
pub(super) fn store(conn: &Connection, era: Era) -> rusqlite::Result<()> {
    conn.execute(
        "INSERT INTO id_era (first_id, offset_ms) VALUES (?1, ?2)",
        (era.first.0, era.offset_ms),
    )?;
    tracing::warn!(ids_ahead_ms = era.offset_ms, "clock jumped");
    Ok(())
}

#[cfg(test)]
mod tests;
