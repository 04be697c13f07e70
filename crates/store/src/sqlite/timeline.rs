//! The timeline of a message: what its rows contain, and stored entries for the rest.
//!
//! The common message needs no stored entry: its id says when it was accepted, its status when it was given to which
//! carrier, what that answered and what the receipt said. Entries are stored for attempts that did not end in an
//! acceptance, for receipts that do not end a message, and before a status is overwritten.

use super::batch;
use super::cause;
use super::codes::{ErrorCode, StateCode};
use super::error::Tried;
use super::message_status::MessageStatus;
use crate::{CarrierNo, MessageId, StoreError, TimelineEntry, TimelineKind, UnixMs};
use rusqlite::{Connection, OptionalExtension, Row};
use sms::state::MessageState;

/// Entries stored of one message: a carrier that repeats itself must not fill the disk.
const STORED_ENTRIES_MAX: i64 = 100;
/// Separates the carrier's ids in a stored entry; normalised ids have no control characters.
const BETWEEN_IDS: char = '\n';

const ATTEMPT: i64 = 1;
const ANSWERED: i64 = 2;
const UNANSWERED: i64 = 3;
const REQUEUED: i64 = 4;
const RECEIPT: i64 = 5;
const STATE: i64 = 6;
const EXPIRED: i64 = 7;

/// Appends to the timeline of a message.
pub(super) fn append(
    conn: &Connection,
    message: MessageId,
    entries: impl IntoIterator<Item = TimelineEntry>,
) -> rusqlite::Result<()> {
    let last: Option<i64> = conn
        .prepare_cached("SELECT max(n) FROM message_timeline WHERE message = ?1")?
        .query_row([message.0], |row| row.get(0))?;
    let mut insert = conn.prepare_cached(
        "INSERT INTO message_timeline (message, n, at, kind, carrier, a, b, text) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    for (n, entry) in (last.map_or(0, |n| n + 1)..STORED_ENTRIES_MAX).zip(entries) {
        let at = entry.at;
        let id = message.0;
        match entry.kind {
            TimelineKind::Attempt { no, carrier, bind } => {
                insert.execute((id, n, at, ATTEMPT, carrier.0, no, bind, None::<&str>))?
            }
            TimelineKind::Answered {
                carrier,
                status,
                carrier_ids,
            } => {
                let ids = carrier_ids.join(&*BETWEEN_IDS.to_string());
                insert.execute((id, n, at, ANSWERED, carrier.0, status, None::<i64>, ids))?
            }
            TimelineKind::Unanswered { carrier } => insert.execute((
                id,
                n,
                at,
                UNANSWERED,
                carrier.0,
                None::<i64>,
                None::<i64>,
                None::<&str>,
            ))?,
            TimelineKind::Requeued { carrier, due } => {
                insert.execute((id, n, at, REQUEUED, carrier.0, due, None::<i64>, None::<&str>))?
            }
            TimelineKind::Receipt {
                carrier,
                segment,
                state,
                error,
            } => {
                let error = ErrorCode(&error);
                insert.execute((id, n, at, RECEIPT, carrier.0, segment, StateCode(state), error))?
            }
            TimelineKind::State(state) => insert.execute((
                id,
                n,
                at,
                STATE,
                None::<i64>,
                StateCode(state),
                None::<i64>,
                None::<&str>,
            ))?,
            TimelineKind::Expired { carrier, in_doubt } => {
                insert.execute((id, n, at, EXPIRED, carrier.0, in_doubt, None::<i64>, None::<&str>))?
            }
            // Known from the message's row, its attempts and its request: never stored.
            TimelineKind::Accepted
            | TimelineKind::FailedOver { .. }
            | TimelineKind::RequestIdReused { .. } => 0,
        };
    }
    Ok(())
}

/// Whether an attempt of a message had no answer.
pub(super) fn has_unanswered(conn: &Connection, message: MessageId) -> rusqlite::Result<bool> {
    conn.prepare_cached("SELECT 1 FROM message_timeline WHERE message = ?1 AND kind = ?2")?
        .exists((message.0, UNANSWERED))
}

/// The entries of a status's last attempt, unless they are stored.
pub(super) fn of_attempt(outcome: &MessageStatus) -> Result<Vec<TimelineEntry>, StoreError> {
    if outcome.flags.in_timeline() || outcome.attempt.0 == 0 {
        return Ok(Vec::new());
    }
    let carrier = outcome.carrier;
    let segments = outcome.segments()?;
    let carrier_ids = match &outcome.carrier_id {
        Some(id) => vec![id.clone()],
        None => segments
            .into_iter()
            .map(|s| s.carrier_id)
            .filter(|id| !id.is_empty())
            .collect(),
    };
    // Some segments are under way: the attempt is not counted yet, and nothing follows so far.
    let partly = outcome.state == MessageState::InFlight;
    let no = outcome.attempts.saturating_add(u8::from(partly));
    let (bind, status) = (outcome.bind, outcome.status);
    let mut entries = vec![
        TimelineEntry {
            at: outcome.attempted_at,
            kind: TimelineKind::Attempt { no, carrier, bind },
        },
        TimelineEntry {
            at: outcome.answered_at,
            kind: TimelineKind::Answered {
                carrier,
                status,
                carrier_ids,
            },
        },
    ];
    if !partly {
        entries.push(TimelineEntry {
            at: outcome.answered_at,
            kind: TimelineKind::State(MessageState::Submitted),
        });
    }
    Ok(entries)
}

/// The entries of a status's receipts.
pub(super) fn of_receipts(outcome: &MessageStatus) -> Result<Vec<TimelineEntry>, StoreError> {
    let carrier = outcome.carrier;
    let mut entries = Vec::new();
    if outcome.flags.by_receipt() && outcome.segments.is_none() {
        let kind = TimelineKind::Receipt {
            carrier,
            segment: 1,
            state: outcome.state,
            error: cause::code_of(&outcome.error).into(),
        };
        entries.push(TimelineEntry {
            at: outcome.changed_at,
            kind,
        });
    }
    for (segment, n) in outcome.segments()?.into_iter().zip(1u8..) {
        // A segment that was refused at once has had an answer, not a receipt.
        if segment.state.is_final() && !segment.carrier_id.is_empty() {
            let kind = TimelineKind::Receipt {
                carrier,
                segment: n,
                state: segment.state,
                error: cause::code_of(&segment.error).into(),
            };
            entries.push(TimelineEntry { at: segment.at, kind });
        }
    }
    entries.sort_by_key(|entry| entry.at);
    if outcome.flags.by_receipt() {
        entries.push(TimelineEntry {
            at: outcome.changed_at,
            kind: TimelineKind::State(outcome.state),
        });
    }
    Ok(entries)
}

/// Everything known about a message, oldest first; empty when there is no such message.
pub(super) fn timeline(conn: &Connection, id: MessageId) -> Result<Vec<TimelineEntry>, StoreError> {
    let found: Option<(Option<u16>, u16)> = conn
        .prepare_cached("SELECT failure, carrier FROM message WHERE id = ?1")
        .and_then(|mut select| {
            select
                .query_row([id.0], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()
        })
        .tried("read a message")?;
    let Some((failure, carrier)) = found else {
        return Ok(Vec::new());
    };
    let outcome = MessageStatus::read(conn, id).tried("read an outcome")?;
    let stored = read_stored(conn, id)?;
    let is_receipt = |entry: &TimelineEntry| matches!(entry.kind, TimelineKind::Receipt { .. });

    // Put together in an order that is right where times are equal, then sorted by time.
    let accepted_at = batch::accepted_at(conn, id).tried("read when a message was accepted")?;
    let mut timeline = vec![TimelineEntry {
        at: accepted_at,
        kind: TimelineKind::Accepted,
    }];
    let (receipts, attempts): (Vec<_>, Vec<_>) = stored.into_iter().partition(is_receipt);
    timeline.extend(attempts);
    if let Some(outcome) = &outcome {
        timeline.extend(of_attempt(outcome)?);
        timeline.extend(receipts);
        timeline.extend(of_receipts(outcome)?);
        if failure.is_some() {
            timeline.push(TimelineEntry {
                at: outcome.changed_at,
                kind: TimelineKind::State(outcome.state),
            });
        }
    }
    timeline.extend(reused_request_id(conn, id).tried("look for a request id that was used again")?);
    timeline.sort_by_key(|entry| entry.at);
    // A late answer stores the entry of its attempt a second time.
    let is_attempt = |entry: &TimelineEntry| matches!(entry.kind, TimelineKind::Attempt { .. });
    timeline.dedup_by(|entry, before| is_attempt(entry) && entry == before);
    Ok(with_failovers(timeline, CarrierNo(carrier)))
}

/// Whether the id of a message's request was used again with other content.
fn reused_request_id(conn: &Connection, id: MessageId) -> rusqlite::Result<Option<TimelineEntry>> {
    let found: Option<(i64, u32, UnixMs)> = conn
        .prepare_cached(
            "SELECT last_message, times, last_at FROM reused_request_id
             WHERE first_message <= ?1 ORDER BY first_message DESC LIMIT 1",
        )?
        .query_row([id.0], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let of_it = found.filter(|(last, _, _)| *last >= id.0);
    Ok(of_it.map(|(_, times, at)| TimelineEntry {
        at,
        kind: TimelineKind::RequestIdReused { times },
    }))
}

/// Inserts failovers: where a message went to another carrier than the one it waited for, which is at first that of
/// its route, later that of the last retry. Failovers are not stored: they follow from the carrier of the next
/// attempt.
fn with_failovers(timeline: Vec<TimelineEntry>, first: CarrierNo) -> Vec<TimelineEntry> {
    let mut awaited = first;
    let mut whole = Vec::with_capacity(timeline.len());
    for entry in timeline {
        match entry.kind {
            TimelineKind::Attempt { carrier, .. } => {
                if carrier != awaited {
                    let kind = TimelineKind::FailedOver {
                        from: awaited,
                        to: carrier,
                    };
                    whole.push(TimelineEntry { at: entry.at, kind });
                }
                awaited = carrier;
            }
            TimelineKind::Requeued { carrier, .. } => awaited = carrier,
            _ => {}
        }
        whole.push(entry);
    }
    whole
}

fn read_stored(conn: &Connection, id: MessageId) -> Result<Vec<TimelineEntry>, StoreError> {
    conn.prepare_cached(
        "SELECT at, kind, carrier, a, b, text FROM message_timeline WHERE message = ?1 ORDER BY n",
    )
    .and_then(|mut select| select.query_map([id.0], entry_from)?.collect())
    .tried("read the timeline of a message")
}

fn entry_from(row: &Row<'_>) -> rusqlite::Result<TimelineEntry> {
    let at: UnixMs = row.get(0)?;
    let carrier = || row.get(2).map(CarrierNo);
    let kind = match row.get::<_, i64>(1)? {
        ATTEMPT => TimelineKind::Attempt {
            no: row.get(3)?,
            carrier: carrier()?,
            bind: row.get(4)?,
        },
        ANSWERED => TimelineKind::Answered {
            carrier: carrier()?,
            status: row.get(3)?,
            carrier_ids: {
                let ids = row.get_ref(5)?.as_str()?;
                ids.split(BETWEEN_IDS)
                    .filter(|id| !id.is_empty())
                    .map(Into::into)
                    .collect()
            },
        },
        UNANSWERED => TimelineKind::Unanswered { carrier: carrier()? },
        REQUEUED => TimelineKind::Requeued {
            carrier: carrier()?,
            due: row.get(3)?,
        },
        RECEIPT => TimelineKind::Receipt {
            carrier: carrier()?,
            segment: row.get(3)?,
            state: row.get::<_, StateCode>(4)?.0,
            error: cause::code_of(row.get_ref(5)?.as_str()?.trim_end_matches(' ')).into(),
        },
        STATE => TimelineKind::State(row.get::<_, StateCode>(3)?.0),
        EXPIRED => TimelineKind::Expired {
            carrier: carrier()?,
            in_doubt: row.get(3)?,
        },
        other => return Err(rusqlite::Error::IntegralValueOutOfRange(1, other)),
    };
    Ok(TimelineEntry { at, kind })
}
