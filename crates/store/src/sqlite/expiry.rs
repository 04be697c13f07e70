//! Time to live: what waits beyond its end is taken off and ends, unsent.
//!
//! Whoever takes a message off its lane decides what becomes of it, inside the writer's transaction: an attempt that
//! was begun wins, and a message that expired is no part of an attempt that begins later. Only lanes are looked
//! through: what waits for its time (`delayed`) is never put off beyond its end.

use super::batch;
use super::codes::ClassCode;
use super::error::Tried;
use super::memory::Work;
use super::message_status::{Flags, MessageStatus};
use super::outbox::{self, Change};
use super::queue::{self, Piece};
use super::timeline;
use crate::{
    AccountId, AttemptId, CarrierNo, DequeuedRange, EXPIRED_IN_DOUBT, EXPIRED_UNSENT, ExpirySweep, Lane,
    LaneBacklog, MessageId, QueuePosition, QueueSeq, StoreError, TimelineEntry, TimelineKind, UnixMs,
};
use rusqlite::{Connection, Row};
use sms::state::MessageState;
use std::collections::BTreeMap;

/// Ranges looked at by one step: a few milliseconds.
const RANGES_A_STEP: usize = 2_000;
/// Messages ended by one step: a few milliseconds of the writer.
const ENDED_A_STEP: i64 = 2_000;

/// How a message ends whose time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    /// An earlier attempt had no answer.
    pub(super) in_doubt: bool,
}

impl End {
    /// How a message ends that has waited for its first or another attempt.
    pub(super) fn of(conn: &Connection, id: MessageId) -> Result<Self, StoreError> {
        let in_doubt = timeline::has_unanswered(conn, id).tried("look for attempts without an answer")?;
        Ok(Self { in_doubt })
    }

    pub(super) const fn state(self) -> MessageState {
        if self.in_doubt {
            MessageState::Unknown
        } else {
            MessageState::Expired
        }
    }

    pub(super) const fn error(self) -> &'static str {
        if self.in_doubt {
            EXPIRED_IN_DOUBT
        } else {
            EXPIRED_UNSENT
        }
    }

    pub(super) const fn entry(self, at: UnixMs, carrier: CarrierNo) -> TimelineEntry {
        let kind = TimelineKind::Expired {
            carrier,
            in_doubt: self.in_doubt,
        };
        TimelineEntry { at, kind }
    }
}

/// Ends what waits of these runs and has expired; how much, by lane.
pub(super) fn expire(
    work: &mut Work<'_>,
    runs: &[DequeuedRange],
    now: UnixMs,
) -> Result<Vec<LaneBacklog>, StoreError> {
    work.memory.see(now);
    let mut ended: BTreeMap<Lane, u64> = BTreeMap::new();
    for run in runs {
        // All messages of a place are of one batch.
        if !work.batch_of(run.first)?.is_expired(now) {
            continue;
        }
        let lane = run.key.lane;
        for piece in queue::take_out(work, run)? {
            for id in (piece.first.0..=piece.last.0).map(MessageId) {
                if end_waiting(work, id, &piece, lane.carrier, now)? {
                    *ended.entry(lane).or_insert(0) += 1;
                }
            }
        }
    }
    for (lane, messages) in &ended {
        work.effects.expired.push((lane.carrier, lane.class, *messages));
    }
    let ended = ended.into_iter();
    Ok(ended
        .map(|(lane, messages)| LaneBacklog { lane, messages })
        .collect())
}

/// Ends one message that was taken off its place; false when something else has ended it, or sent it, before.
fn end_waiting(
    work: &mut Work<'_>,
    id: MessageId,
    piece: &Piece,
    carrier: CarrierNo,
    now: UnixMs,
) -> Result<bool, StoreError> {
    // One that was never tried has no row yet.
    let earlier = match piece.last_attempt {
        None => None,
        Some(_) => MessageStatus::read(work.conn, id).tried("read an earlier result")?,
    };
    let from = earlier
        .as_ref()
        .map_or(MessageState::Queued, |earlier| earlier.state);
    if from.is_final() || from == MessageState::Submitted {
        return Ok(false);
    }
    let end = match &earlier {
        None => End { in_doubt: false },
        Some(_) => End::of(work.conn, id)?,
    };
    let outcome = match earlier {
        Some(earlier) => MessageStatus {
            state: end.state(),
            flags: Flags::IN_TIMELINE,
            changed_at: now,
            error: end.error().into(),
            ..earlier
        },
        None => never_tried(work, id, carrier, end, now)?,
    };
    outcome.replace(work.conn).tried("store that a message expired")?;
    timeline::append(work.conn, id, [end.entry(now, carrier)])
        .tried("store a message's end in the timeline")?;
    let change = Change {
        id,
        stats_key: outcome.stats_key,
        from: (from, ""),
        to: (outcome.state, &outcome.error),
        at: now,
    };
    outbox::changed(work, change)?;
    Ok(true)
}

fn never_tried(
    work: &Work<'_>,
    id: MessageId,
    carrier: CarrierNo,
    end: End,
    now: UnixMs,
) -> Result<MessageStatus, StoreError> {
    Ok(MessageStatus {
        id,
        state: end.state(),
        flags: Flags::IN_TIMELINE,
        carrier,
        bind: 0,
        attempts: 0,
        attempt: AttemptId(0),
        attempted_at: now,
        answered_at: now,
        changed_at: now,
        status: 0,
        carrier_id: None,
        error: end.error().into(),
        segments: None,
        stats_key: batch::stats_key_of(work.conn, id)?,
    })
}

/// What one step of a sweep has seen.
pub(super) struct Looked {
    /// What has expired.
    pub(super) expired: Vec<DequeuedRange>,
    /// Where to go on.
    pub(super) next: Option<ExpirySweep>,
}

/// Looks through what waits in lanes, from `from` on.
pub(super) fn look(conn: &Connection, from: Option<ExpirySweep>, now: UnixMs) -> Result<Looked, StoreError> {
    let mut select = conn
        .prepare_cached(
            "SELECT carrier, class, account, seq, first_id, last_id,
                    (SELECT expires_at FROM batch WHERE batch.first_id <= queue.first_id
                     ORDER BY batch.first_id DESC LIMIT 1)
             FROM queue WHERE (carrier, class, account, seq, first_id) >= (?1, ?2, ?3, ?4, ?5)
             ORDER BY carrier, class, account, seq, first_id LIMIT ?6",
        )
        .tried("look for what has expired")?;
    let start = from.map_or((0, 0, 0, i64::MIN, i64::MIN), |(key, first)| {
        let lane = key.lane;
        (
            lane.carrier.0,
            lane.class.as_u8(),
            lane.account.0,
            key.no.0,
            first.0,
        )
    });
    let (carrier, class, account, no, first) = start;
    let rows_max = super::codes::as_count(RANGES_A_STEP + 1);
    let mut rows = select
        .query((carrier, class, account, no, first, rows_max))
        .tried("look for what has expired")?;
    let mut expired = Vec::new();
    let (mut looked_at, mut room) = (0, ENDED_A_STEP);
    while let Some(row) = rows.next().tried("look for what has expired")? {
        let (mut run, expires_at) = run_from(row).tried("look for what has expired")?;
        if looked_at == RANGES_A_STEP || room == 0 {
            let next = Some((run.key, run.first));
            return Ok(Looked { expired, next });
        }
        looked_at += 1;
        if expires_at.is_none_or(|end| end > now) {
            continue;
        }
        let whole_last = run.last;
        run.last = whole_last.min(run.first.plus(room - 1));
        room -= run.last.0 - run.first.0 + 1;
        expired.push(run);
        if run.last < whole_last {
            let next = Some((run.key, run.last.plus(1)));
            return Ok(Looked { expired, next });
        }
    }
    Ok(Looked { expired, next: None })
}

fn run_from(row: &Row<'_>) -> rusqlite::Result<(DequeuedRange, Option<UnixMs>)> {
    let lane = Lane {
        carrier: CarrierNo(row.get(0)?),
        class: row.get::<_, ClassCode>(1)?.0,
        account: AccountId(row.get(2)?),
    };
    let run = DequeuedRange {
        key: QueuePosition {
            lane,
            no: QueueSeq(row.get(3)?),
        },
        first: MessageId(row.get(4)?),
        last: MessageId(row.get(5)?),
    };
    Ok((run, row.get(6)?))
}
