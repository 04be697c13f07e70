//! Inbound messages.
//!
//! Parts of a message wait in a table, as the octets they are, until the last one has come. Those of a complete
//! message stay there for as long as parts are waited for, so that a repeated part is recognised. A part of the same
//! number with other octets belongs to a newer message, because references are reused: the parts there are of the
//! older one are then reported as they are.

use super::codes::as_count;
use super::error::Tried;
use super::id_clock::AHEAD_MS_MAX;
use super::memory::{Shared, Work};
use super::readers::ReadPriority;
use super::write_task::OverloadPolicy;
use super::{SqliteStore, find, outbox, query, suppressed};
use crate::{
    AccountId, AccountWords, CarrierNo, EventKinds, EventWhat, Inbound, InboundBody, InboundEffect,
    InboundFilter, InboundId, InboundPart, Inbox, LastTo, MessageId, MessageSpan, MessageView, NewInbound,
    StoreError, UnixMs,
};
use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row};
use sms::data_coding::Charset;
use sms::opt_out::KeywordAction;
use sms::phone::Msisdn;
use sms::segment::Reference;
use sms::state::MessageState;
use sms::user_data::{self, Binary, Coding, Content, UserData};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Messages completed, parts and messages deleted by one call each, at most.
const EXPIRED_A_STEP: usize = 2_000;
/// Inbound messages looked at by one search.
const LOOKED_AT_MAX: usize = 10_000;
/// The newest messages to a number that are looked at for one that may have been answered.
const ANSWERED_LOOK_MAX: usize = 1_000;
/// Of them at a time: the first one nearly always is it.
const ANSWERED_A_STEP: usize = 8;

/// Messages that nobody owns and that make room for one that comes, at most.
const MAKE_ROOM_MAX: usize = 256;
/// What one of them counts for: once, and once more for each 256 octets.
pub(super) const WEIGHT: &str = "1 + (length(CAST(text AS BLOB)) + coalesce(length(data), 0)) / 256";

const WHOLE: &str = "id, account, carrier, sender, recipient, text, answers, received_at, data, port";

#[async_trait]
impl Inbox for SqliteStore {
    async fn record_inbound(
        &self,
        parts: Vec<NewInbound>,
        words: Arc<AccountWords>,
    ) -> Result<Vec<InboundEffect>, StoreError> {
        self.submit_write(OverloadPolicy::Backpressure, parts.len(), move |work| {
            parts.into_iter().map(|part| record(work, part, &words)).collect()
        })
        .await
    }

    async fn inbound(&self, mut ids: Vec<InboundId>) -> Result<Vec<Inbound>, StoreError> {
        ids.sort_unstable();
        ids.dedup();
        self.readers
            .run(ReadPriority::Query, move |conn| {
                query::snapshot(conn, || {
                    ids.into_iter()
                        .filter_map(|id| whole_of(conn, id).transpose())
                        .collect::<rusqlite::Result<_>>()
                        .tried("read inbound messages")
                })
            })
            .await
    }

    async fn find_inbound(
        &self,
        filter: InboundFilter,
    ) -> Result<(Vec<Inbound>, Option<InboundId>), StoreError> {
        let since = self.shared.eras.read().cut(filter.since);
        self.readers
            .run(ReadPriority::Search, move |conn| {
                find_whole(conn, &filter, since).tried("look for inbound messages")
            })
            .await
    }

    async fn last_to(&self, request: LastTo) -> Result<Option<MessageView>, StoreError> {
        let shared = Arc::clone(&self.shared);
        self.readers
            .run(ReadPriority::Dispatch, move |conn| {
                last_to(conn, &shared, request)
            })
            .await
    }

    async fn expire_inbound(
        &self,
        before: UnixMs,
        delete_before: UnixMs,
        now: UnixMs,
    ) -> Result<(u64, u64), StoreError> {
        self.submit_write(OverloadPolicy::Backpressure, EXPIRED_A_STEP, move |work| {
            // The newest era is of now: an earlier one may say so of a clock that was wrong.
            work.tick(now)?;
            let made = give_up_parts(work, before, now)?;
            let before = work.memory.id_clock.eras().cut(delete_before);
            let deleted = delete_old(work.conn, before).tried("delete old inbound messages")?;
            // There are too many where the bound was lowered, or an earlier release had none.
            let dropped = make_room(work, EXPIRED_A_STEP).tried("delete messages that no account owns")?;
            Ok((made, deleted + dropped))
        })
        .await
    }
}

/// What the parts of one message have in common.
#[derive(Debug, PartialEq, Eq)]
struct Key {
    carrier: CarrierNo,
    from: Box<str>,
    to: Box<str>,
    reference: KeptReference,
    total: u8,
}

/// A reference and its kind in one number, so that those of other kinds differ.
///
/// Releases that kept the value alone may have left parts that wait: an 8-bit reference, and a 16-bit one that has no
/// 8-bit value, are kept as they were, so what comes after the upgrade makes them whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct KeptReference(u32);

impl KeptReference {
    const SMALL_BITS16: u32 = 1 << 16;
    const SAR: u32 = 2 << 16;

    fn of(part: &InboundPart) -> Self {
        let reference = u32::from(part.reference);
        Self(match part.kind {
            Reference::Bits8 => reference & 0xFF,
            Reference::Bits16 if reference > 0xFF => reference,
            Reference::Bits16 => Self::SMALL_BITS16 | reference,
            Reference::Sar => Self::SAR | reference,
        })
    }
}

/// What is stored of a part.
struct Stored {
    number: u8,
    /// Whether the message was reported already.
    whole: bool,
    touched_at: UnixMs,
    account: Option<AccountId>,
    answers: Option<MessageId>,
    data: UserData,
}

impl Stored {
    /// Whether two parts of one place in a message are the same one.
    fn is(&self, other: &Self) -> bool {
        let coded_alike = self.data.coding == other.data.coding;
        if coded_alike {
            self.data.octets == other.data.octets
        } else {
            // A part that a release before this one stored is text.
            let content = |part: &Self| user_data::content(std::slice::from_ref(&part.data));
            content(self) == content(other)
        }
    }
}

/// A message that is to be stored as it is.
struct Message {
    account: Option<AccountId>,
    carrier: CarrierNo,
    from: Box<str>,
    to: Box<str>,
    content: Content,
    answers: Option<MessageId>,
    received_at: UnixMs,
}

fn record(work: &mut Work<'_>, new: NewInbound, words: &AccountWords) -> Result<InboundEffect, StoreError> {
    work.tick(new.received_at)?;
    // A part with an impossible number, 0 or 3 of 2, is reported as it is: its message can never be complete.
    let part = new.part.filter(|part| (1..=part.total).contains(&part.number));
    let Some(part) = part else {
        let content = match new.body {
            InboundBody::Whole(content) => content,
            InboundBody::Part(data) => user_data::content(&[data]),
        };
        let message = Message {
            account: new.account,
            carrier: new.carrier,
            from: new.from,
            to: new.to,
            content,
            answers: new.answers,
            received_at: new.received_at,
        };
        return arrive(work, &message, words).map(InboundEffect::Whole);
    };
    let key = Key {
        carrier: new.carrier,
        from: new.from,
        to: new.to,
        reference: KeptReference::of(&part),
        total: part.total,
    };
    let new = Stored {
        number: part.number,
        whole: false,
        touched_at: new.received_at,
        account: new.account,
        answers: new.answers,
        data: match new.body {
            InboundBody::Part(data) => data,
            InboundBody::Whole(Content::Text(text)) => UserData::from(&*text),
            InboundBody::Whole(Content::Binary(binary)) => UserData {
                coding: Coding {
                    port: binary.port,
                    ..Coding::plain(Charset::Binary)
                },
                octets: binary.octets,
            },
        },
    };
    record_part(work, &key, new, words)
}

fn record_part(
    work: &mut Work<'_>,
    key: &Key,
    new: Stored,
    words: &AccountWords,
) -> Result<InboundEffect, StoreError> {
    let conn = work.conn;
    let mut parts = key.parts(conn).tried("read the parts of a message")?;
    if let Some(there) = parts.iter().find(|part| part.number == new.number) {
        if there.is(&new) {
            return Ok(InboundEffect::Repeated);
        }
        // A new message under a reference that was used before.
        if !there.whole {
            store_message(work, &key.put_together(parts), new.touched_at)?;
        }
        key.delete_parts(conn).tried("delete the parts of a message")?;
        parts = Vec::new();
    }
    key.put(conn, &new).tried("store a part of a message")?;
    let place = parts.partition_point(|part| part.number < new.number);
    parts.insert(place, new);
    let whole = parts.len() == usize::from(key.total);
    key.touch(conn, newest(&parts), whole)
        .tried("store a part of a message")?;
    if !whole {
        return Ok(InboundEffect::Waiting);
    }
    arrive(work, &key.put_together(parts), words).map(InboundEffect::Whole)
}

impl Key {
    /// The parts that are here, in order.
    fn parts(&self, conn: &Connection) -> rusqlite::Result<Vec<Stored>> {
        conn.prepare_cached(
            "SELECT number, whole, touched_at, account, answers, text, coding, octets FROM inbound_part
             WHERE carrier = ?1 AND sender = ?2 AND recipient = ?3 AND reference = ?4 AND total = ?5
             ORDER BY number",
        )?
        .query_map(
            (self.carrier.0, &self.from, &self.to, self.reference.0, self.total),
            |row| {
                Ok(Stored {
                    number: row.get(0)?,
                    whole: row.get(1)?,
                    touched_at: row.get(2)?,
                    account: row.get::<_, Option<u32>>(3)?.map(AccountId),
                    answers: row.get::<_, Option<i64>>(4)?.map(MessageId),
                    data: match (row.get(6)?, row.get::<_, Option<Box<[u8]>>>(7)?) {
                        (Some(coding), Some(octets)) => UserData {
                            coding: Coding::from_number(coding),
                            octets,
                        },
                        // Stored by a release that decoded each part alone.
                        _ => UserData::from(&*row.get::<_, Box<str>>(5)?),
                    },
                })
            },
        )?
        .collect()
    }

    fn put(&self, conn: &Connection, part: &Stored) -> rusqlite::Result<()> {
        conn.prepare_cached(
            "INSERT INTO inbound_part (carrier, sender, recipient, reference, total, number, whole, touched_at,
                                       account, answers, text, coding, octets)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, '', ?11, ?12)",
        )?
        .execute((
            self.carrier.0,
            &self.from,
            &self.to,
            self.reference.0,
            self.total,
            part.number,
            part.whole,
            part.touched_at,
            part.account.map(|account| account.0),
            part.answers.map(|message| message.0),
            part.data.coding.to_number(),
            &part.data.octets,
        ))?;
        Ok(())
    }

    /// Lets all parts say when the newest of them came, and whether the message is whole.
    fn touch(&self, conn: &Connection, newest: UnixMs, whole: bool) -> rusqlite::Result<()> {
        conn.prepare_cached(
            "UPDATE inbound_part SET whole = ?6, touched_at = ?7
             WHERE carrier = ?1 AND sender = ?2 AND recipient = ?3 AND reference = ?4 AND total = ?5",
        )?
        .execute((
            self.carrier.0,
            &self.from,
            &self.to,
            self.reference.0,
            self.total,
            whole,
            newest,
        ))?;
        Ok(())
    }

    fn delete_parts(&self, conn: &Connection) -> rusqlite::Result<()> {
        conn.prepare_cached(
            "DELETE FROM inbound_part
             WHERE carrier = ?1 AND sender = ?2 AND recipient = ?3 AND reference = ?4 AND total = ?5",
        )?
        .execute((self.carrier.0, &self.from, &self.to, self.reference.0, self.total))?;
        Ok(())
    }

    /// The message, of the parts that are here: whose it is and what it answers says the first part that says so.
    fn put_together(&self, parts: Vec<Stored>) -> Message {
        let (account, answers) = (
            parts.iter().find_map(|part| part.account),
            parts.iter().find_map(|part| part.answers),
        );
        let received_at = newest(&parts);
        let data: Vec<(u8, UserData)> = parts.into_iter().map(|part| (part.number, part.data)).collect();
        Message {
            account,
            carrier: self.carrier,
            from: self.from.clone(),
            to: self.to.clone(),
            content: user_data::content_with_gaps(&data),
            answers,
            received_at,
        }
    }
}

/// When the newest of the parts came.
fn newest(parts: &[Stored]) -> UnixMs {
    parts.iter().map(|part| part.touched_at).max().unwrap_or(0)
}

/// Stores a complete message, and applies its keyword.
fn arrive(work: &mut Work<'_>, message: &Message, words: &AccountWords) -> Result<InboundId, StoreError> {
    let id = store_message(work, message, message.received_at)?;
    if let (Some(account), Content::Text(text)) = (message.account, &message.content)
        && let Some(action) = words.get(&account).and_then(|words| words.action(text))
        && let Some(msisdn) = Msisdn::from_digits(&message.from)
    {
        match action {
            KeywordAction::OptOut => suppressed::opt_out(work, account, msisdn, id)?,
            KeywordAction::OptIn => suppressed::opt_in(work, account, msisdn)?,
        }
    }
    Ok(id)
}

/// Stores a message, which is an event of its account at `at`.
fn store_message(work: &mut Work<'_>, message: &Message, at: UnixMs) -> Result<InboundId, StoreError> {
    let first = work.memory.id_clock.first_of(message.received_at);
    let id = store(work.conn, message, first).tried("store an inbound message")?;
    if let Some(account) = message.account {
        outbox::append(work, account, at, EventKinds::INBOUND, || EventWhat::Inbound {
            id,
        });
    } else {
        count_unassigned(work.conn, id)
            .and_then(|()| make_room(work, MAKE_ROOM_MAX))
            .tried("bound messages that no account owns")?;
    }
    Ok(id)
}

/// Counts a message that no account owns.
fn count_unassigned(conn: &Connection, id: InboundId) -> rusqlite::Result<()> {
    conn.prepare_cached(&format!(
        "UPDATE meta SET value = value + (SELECT {WEIGHT} FROM inbound WHERE id = ?1) WHERE key = 'inbound_unassigned'"
    ))?
    .execute([id.0])?;
    Ok(())
}

/// Subtracts messages that no account owned.
fn uncount_unassigned(conn: &Connection, weight: i64) -> rusqlite::Result<()> {
    if weight > 0 {
        conn.prepare_cached("UPDATE meta SET value = value - ?1 WHERE key = 'inbound_unassigned'")?
            .execute([weight])?;
    }
    Ok(())
}

/// Deletes the oldest messages that no account owns while there are too many, `rows_max` at most; how many.
fn make_room(work: &mut Work<'_>, rows_max: usize) -> rusqlite::Result<u64> {
    let conn = work.conn;
    let counted: i64 = conn
        .prepare_cached("SELECT value FROM meta WHERE key = 'inbound_unassigned'")?
        .query_row([], |row| row.get(0))?;
    let over = counted.saturating_sub(as_count(work.memory.config.unassigned_inbound_max));
    if over <= 0 {
        return Ok(0);
    }
    let mut delete = conn.prepare_cached(&format!(
        "DELETE FROM inbound WHERE id =
             (SELECT id FROM inbound INDEXED BY inbound_unassigned WHERE account IS NULL ORDER BY id LIMIT 1)
         RETURNING {WEIGHT}"
    ))?;
    let (mut weight, mut dropped) = (0, 0);
    while weight < over
        && dropped < rows_max
        && let Some(one) = delete.query_row([], |row| row.get::<_, i64>(0)).optional()?
    {
        (weight, dropped) = (weight + one, dropped + 1);
    }
    uncount_unassigned(conn, weight)?;
    let meters = &work.shared.meters;
    meters
        .unassigned_inbound_dropped
        .fetch_add(dropped as u64, Ordering::Relaxed);
    Ok(dropped as u64)
}

/// The last id given to an inbound message.
pub(super) fn last_id(conn: &Connection) -> rusqlite::Result<i64> {
    let select = "SELECT value FROM meta WHERE key = 'inbound_last'";
    conn.query_row(select, [], |row| row.get(0))
}

fn store(conn: &Connection, message: &Message, MessageId(first): MessageId) -> rusqlite::Result<InboundId> {
    let id: i64 = conn
        .prepare_cached(
            "UPDATE meta SET value = max(value + 1, ?1) WHERE key = 'inbound_last' RETURNING value",
        )?
        .query_row([first], |row| row.get(0))?;
    let (text, binary) = match &message.content {
        Content::Text(text) => (&**text, None),
        Content::Binary(binary) => ("", Some(binary)),
    };
    conn.prepare_cached(
        "INSERT INTO inbound (id, account, carrier, sender, recipient, answers, received_at, text, data, port)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?
    .execute((
        id,
        message.account.map(|account| account.0),
        message.carrier.0,
        &message.from,
        &message.to,
        message.answers.map(|message| message.0),
        message.received_at,
        text,
        binary.map(|binary| &binary.octets),
        binary.and_then(|binary| binary.port),
    ))?;
    Ok(InboundId(id))
}

fn whole_of(conn: &Connection, id: InboundId) -> rusqlite::Result<Option<Inbound>> {
    conn.prepare_cached(&format!("SELECT {WHOLE} FROM inbound WHERE id = ?1"))?
        .query_row([id.0], whole_from)
        .optional()
}

fn whole_from(row: &Row<'_>) -> rusqlite::Result<Inbound> {
    Ok(Inbound {
        id: InboundId(row.get(0)?),
        account: row.get::<_, Option<u32>>(1)?.map(AccountId),
        carrier: CarrierNo(row.get(2)?),
        from: row.get(3)?,
        to: row.get(4)?,
        text: row.get(5)?,
        answers: row.get::<_, Option<i64>>(6)?.map(MessageId),
        received_at: row.get(7)?,
        binary: match row.get(8)? {
            Some(octets) => Some(Binary {
                octets,
                port: row.get(9)?,
            }),
            None => None,
        },
    })
}

/// A number without what says that it is an international one.
fn bare(number: &str) -> &str {
    let digits = number.trim_start_matches('+');
    digits.strip_prefix("00").unwrap_or(digits)
}

/// Back from the newest, by the ids, which are in order of time: who looks for one number looks at all there are.
fn find_whole(
    conn: &Connection,
    filter: &InboundFilter,
    since: MessageId,
) -> rusqlite::Result<(Vec<Inbound>, Option<InboundId>)> {
    let mut select = conn.prepare_cached(&format!(
        "SELECT {WHOLE} FROM inbound WHERE id >= ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3"
    ))?;
    let before = filter.before.map_or(i64::MAX, |before| before.0);
    let mut rows = select.query((since.0, before, as_count(LOOKED_AT_MAX)))?;
    let (mut found, mut looked_at, mut last) = (Vec::new(), 0, None);
    while found.len() < filter.limit
        && let Some(row) = rows.next()?
    {
        let one = whole_from(row)?;
        (looked_at, last) = (looked_at + 1, Some(one.id));
        if filter.account.is_none_or(|account| one.account == Some(account))
            && filter
                .number
                .as_deref()
                .is_none_or(|number| *one.from == *number || *one.to == *number || bare(&one.to) == number)
        {
            found.push(one);
        }
    }
    let more = found.len() == filter.limit || looked_at == LOOKED_AT_MAX;
    Ok((found, last.filter(|_| more)))
}

/// Reports the parts there are of messages whose missing parts have not come since `before`, and deletes the parts of
/// those that were reported before it; how many were reported.
fn give_up_parts(work: &mut Work<'_>, before: UnixMs, now: UnixMs) -> Result<u64, StoreError> {
    let conn = work.conn;
    let mut made = 0;
    let ahead = now.saturating_add(AHEAD_MS_MAX);
    let mut keys = untouched(conn, i64::MIN..before).tried("look for parts that wait")?;
    // Those came while the clock was wrong.
    keys.extend(untouched(conn, ahead..i64::MAX).tried("look for parts of a wrong time")?);
    for key in keys {
        let parts = key.parts(conn).tried("read the parts of a message")?;
        if parts.iter().any(|part| !part.whole) {
            store_message(work, &key.put_together(parts), now)?;
            made += 1;
        }
        key.delete_parts(conn).tried("delete the parts of a message")?;
    }
    Ok(made)
}

/// Messages the newest part of which came within a span of time.
fn untouched(conn: &Connection, span: Range<UnixMs>) -> rusqlite::Result<Vec<Key>> {
    // All parts of a message say the same time, so they come one after the other.
    let mut keys: Vec<Key> = conn
        .prepare_cached(
            "SELECT carrier, sender, recipient, reference, total FROM inbound_part
             WHERE touched_at >= ?1 AND touched_at < ?2
             ORDER BY touched_at, carrier, sender, recipient, reference, total LIMIT ?3",
        )?
        .query_map((span.start, span.end, as_count(EXPIRED_A_STEP)), |row| {
            Ok(Key {
                carrier: CarrierNo(row.get(0)?),
                from: row.get(1)?,
                to: row.get(2)?,
                reference: KeptReference(row.get(3)?),
                total: row.get(4)?,
            })
        })?
        .collect::<rusqlite::Result<_>>()?;
    keys.dedup();
    Ok(keys)
}

/// Deletes complete messages with ids below `before`; how many.
fn delete_old(conn: &Connection, before: MessageId) -> rusqlite::Result<u64> {
    let mut delete = conn.prepare_cached(&format!(
        "DELETE FROM inbound WHERE id IN (SELECT id FROM inbound WHERE id < ?1 ORDER BY id LIMIT ?2)
         RETURNING iif(account IS NULL, {WEIGHT}, 0)"
    ))?;
    let mut rows = delete.query((before.0, as_count(EXPIRED_A_STEP)))?;
    let (mut deleted, mut weight) = (0, 0);
    while let Some(row) = rows.next()? {
        (deleted, weight) = (deleted + 1, weight + row.get::<_, i64>(0)?);
    }
    uncount_unassigned(conn, weight)?;
    Ok(deleted)
}

/// The newest message to a number that its reader may have answered.
fn last_to(conn: &Connection, shared: &Shared, request: LastTo) -> Result<Option<MessageView>, StoreError> {
    let since = MessageSpan::Accepted(request.since..UnixMs::MAX);
    let ranges = find::id_ranges(shared, &since);
    let ids = find::by_numbers(conn, shared, &ranges, &[request.msisdn], ANSWERED_LOOK_MAX)?;
    for step in ids.chunks(ANSWERED_A_STEP) {
        let views = query::messages(conn, shared, step.to_vec())?;
        let answered = views.into_iter().rev().find(|view| {
            view.msisdn == request.msisdn
                && request.carrier.is_none_or(|carrier| carrier == view.carrier)
                && has_left(view)
        });
        if answered.is_some() {
            return Ok(answered);
        }
    }
    Ok(None)
}

/// Whether a message has been given to a carrier: what still waits, or failed before, nobody has read.
fn has_left(view: &MessageView) -> bool {
    view.submitted_at.is_some() || matches!(view.state, MessageState::InFlight | MessageState::InDoubt)
}

#[cfg(test)]
mod tests;
