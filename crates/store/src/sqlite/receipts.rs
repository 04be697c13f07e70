//! Receipts: finding their message and what they change.

use super::cause;
use super::codes::{ErrorCode, StateCode, receipt_key};
use super::error::Tried;
use super::memory::Work;
use super::message_status::{Flags, MessageStatus};
use super::outbox::{self, Change};
use super::segments::{self, Segment};
use super::shared_ids;
use super::timeline;
use crate::{
    CarrierReceipt, MessageId, ReceiptEffect, ReceiptScope, StatsKey, StoreError, TimelineEntry,
    TimelineKind, UnixMs,
};
use rusqlite::functions::FunctionFlags;
use rusqlite::{CachedStatement, Connection};
use sms::receipt::CarrierId;
use sms::state::MessageState;
use std::borrow::Cow;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Messages of one id that are looked at in one place (memory, or a run): a carrier that gives many messages the same
/// id must not make each receipt dearer than the one before.
const CANDIDATES_MAX: usize = 32;
/// An id given again so much later was used again by the carrier: the newer message is meant. Messages that got one id
/// within that time share it.
pub(super) const REUSE_MS_MIN: i64 = 3_600_000;

pub(super) fn record(
    work: &mut Work<'_>,
    receipts: Vec<CarrierReceipt>,
) -> Result<Vec<ReceiptEffect>, StoreError> {
    let mut ends = Ends::prepare(work.conn)?;
    receipts
        .into_iter()
        .map(|receipt| record_one(work, &mut ends, receipt))
        .collect()
}

/// What a receipt came to for one message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Applied {
    pub(super) state: MessageState,
    pub(super) repeated: bool,
}

fn record_one(
    work: &mut Work<'_>,
    ends: &mut Ends<'_>,
    mut receipt: CarrierReceipt,
) -> Result<ReceiptEffect, StoreError> {
    work.memory.see(receipt.received_at);
    if let Cow::Owned(kept) = cause::with_cause(&receipt.error, receipt.cause) {
        receipt.error = kept.into();
    }
    let mut is_early = false;
    for carrier_id in receipt.ids() {
        match settle(work, ends, &receipt, carrier_id)? {
            Settled::Done(effect) => return Ok(effect),
            Settled::Early => is_early = true,
            Settled::Unknown => {}
        }
    }
    if receipt.only_if_known && !is_early {
        return Ok(ReceiptEffect::Unmatched);
    }
    let unmatched_receipts_max = work.memory.config.unmatched_receipts_max;
    let dropped = work
        .memory
        .unmatched_receipts
        .park(work.conn, &receipt, unmatched_receipts_max)
        .tried("park a receipt")?;
    work.shared
        .meters
        .unmatched_receipts_dropped
        .fetch_add(dropped, Ordering::Relaxed);
    Ok(ReceiptEffect::StoredUnmatched)
}

/// What a look for the message of a receipt came to.
enum Settled {
    Done(ReceiptEffect),
    /// It is about a whole message of which the carrier does not have all segments yet.
    Early,
    /// No message has that id.
    Unknown,
}

/// Applies a receipt under one of its ids, to a message that waits for it if there is one.
fn settle(
    work: &mut Work<'_>,
    ends: &mut Ends<'_>,
    receipt: &CarrierReceipt,
    carrier_id: &CarrierId,
) -> Result<Settled, StoreError> {
    let key = receipt_key(receipt.carrier, carrier_id);
    if let Some(id) = shared_ids::longest_waiting(work, key, receipt, carrier_id)?
        && let Some(applied) = apply(work, ends, id, receipt, carrier_id)?
    {
        return Ok(Settled::Done(effect(id, applied)));
    }
    let mut search = Search::new(receipt, carrier_id);
    let mut candidates = [0; CANDIDATES_MAX];
    let found = collect(&mut candidates, |take| {
        work.memory.receipts.visit_memory(key, take)
    })
    .tried("look for a carrier's id")?;
    let found = candidates.get(..found).unwrap_or_default();
    if let Some(effect) = search.look_at(work, ends, found)? {
        return Ok(Settled::Done(effect));
    }
    let oldest = receipt.received_at - work.memory.config.receipt_age_ms_max;
    let runs = work.memory.receipts.sorted_runs();
    for run in runs.iter().rev() {
        if run.flushed_at() < oldest.max(search.shared_since()) {
            continue;
        }
        let found = collect(&mut candidates, |take| run.visit(work.conn, key, take))
            .tried("look for a carrier's id")?;
        let found = candidates.get(..found).unwrap_or_default();
        if let Some(effect) = search.look_at(work, ends, found)? {
            return Ok(Settled::Done(effect));
        }
    }
    let Some((fit, id)) = search.best else {
        return Ok(Settled::Unknown);
    };
    if fit == Fit::Early {
        return Ok(Settled::Early);
    }
    let applied = apply(work, ends, id, receipt, carrier_id)?;
    Ok(applied.map_or(Settled::Unknown, |applied| {
        Settled::Done(self::effect(id, applied))
    }))
}

/// The search for the message that a receipt means, from the newest on.
struct Search<'r> {
    receipt: &'r CarrierReceipt,
    carrier_id: &'r CarrierId,
    /// When the newest message of that id was given to the carrier.
    newest_at: Option<UnixMs>,
    /// The newest of those that fit best, of which none waits.
    best: Option<(Fit, MessageId)>,
}

impl<'r> Search<'r> {
    const fn new(receipt: &'r CarrierReceipt, carrier_id: &'r CarrierId) -> Self {
        Self {
            receipt,
            carrier_id,
            newest_at: None,
            best: None,
        }
    }

    /// Since when messages share their id with the newest.
    fn shared_since(&self) -> UnixMs {
        self.newest_at.map_or(UnixMs::MIN, |at| at - REUSE_MS_MIN)
    }

    /// Looks at candidates, the newest first; applies the receipt to the one of them that has waited longest.
    fn look_at(
        &mut self,
        work: &mut Work<'_>,
        ends: &mut Ends<'_>,
        candidates: &[i64],
    ) -> Result<Option<ReceiptEffect>, StoreError> {
        if let (&[only], None) = (candidates, self.newest_at)
            && let Some(applied) = end_at_once(work, ends, MessageId(only), self.receipt, self.carrier_id)?
        {
            return Ok(Some(effect(MessageId(only), applied)));
        }
        let mut waiting = None;
        for &id in candidates {
            let id = MessageId(id);
            let outcome = MessageStatus::read(work.conn, id).tried("read the message of a receipt")?;
            let Some(outcome) = outcome else { continue };
            let Some(fit) = Fit::of(&outcome, self.receipt, self.carrier_id)? else {
                continue;
            };
            self.newest_at.get_or_insert(outcome.attempted_at);
            if outcome.attempted_at < self.shared_since() {
                continue;
            }
            if fit == Fit::Waits {
                waiting = Some(id);
            } else if self.best.is_none_or(|(best, _)| fit > best) {
                self.best = Some((fit, id));
            }
        }
        let Some(id) = waiting else { return Ok(None) };
        let applied = apply(work, ends, id, self.receipt, self.carrier_id)?;
        Ok(applied.map(|applied| effect(id, applied)))
    }
}

/// What a message has to do with a receipt that names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    /// It has ended: the receipt is a repeated one, or another message's of the same id.
    Known,
    /// It has ended, and the receipt adds to what was known.
    Corrected,
    /// The receipt is about the whole message, and the carrier does not have all of it yet.
    Early,
    /// It waits for a receipt.
    Waits,
}

impl Fit {
    /// `None` when the receipt does not name the message by that id.
    pub(super) fn of(
        outcome: &MessageStatus,
        receipt: &CarrierReceipt,
        carrier_id: &CarrierId,
    ) -> Result<Option<Self>, StoreError> {
        if outcome.carrier != receipt.carrier {
            return Ok(None);
        }
        let reported = receipt.state.message_state();
        let of_state = |state: MessageState| match state {
            state if !state.is_final() => Self::Waits,
            state if state.may_become(reported) => Self::Corrected,
            _ => Self::Known,
        };
        if outcome.segments.is_none() {
            let is_named = outcome.carrier_id.as_deref() == Some(carrier_id.as_str());
            return Ok(is_named.then(|| of_state(outcome.state)));
        }
        let segments = outcome.segments()?;
        let named = segments
            .iter()
            .filter(|segment| *segment.carrier_id == *carrier_id.as_str());
        let fit = named.map(|segment| of_state(segment.state)).max();
        // What is in doubt may have been taken, and a receipt for all of it says that it was.
        if receipt.scope == ReceiptScope::Message
            && reported.is_final()
            && !outcome.state.is_final()
            && outcome.state != MessageState::InDoubt
            && segments
                .iter()
                .any(|segment| segment.state == MessageState::Queued)
        {
            return Ok(fit.map(|_| Self::Early));
        }
        // A segment that still waits of a message that has failed by another one.
        let bound = if outcome.state.is_final() {
            Self::Corrected
        } else {
            Self::Waits
        };
        Ok(fit.map(|fit| fit.min(bound)))
    }
}

/// Whether a message has a use for a receipt.
pub(super) fn is_waited_for(
    work: &Work<'_>,
    id: MessageId,
    receipt: &CarrierReceipt,
    carrier_id: &CarrierId,
) -> Result<bool, StoreError> {
    let outcome = MessageStatus::read(work.conn, id).tried("read the message of a receipt")?;
    let fit = outcome
        .map(|outcome| Fit::of(&outcome, receipt, carrier_id))
        .transpose()?;
    Ok(matches!(fit.flatten(), Some(Fit::Waits | Fit::Corrected)))
}

type Take<'t> = &'t mut dyn FnMut(i64) -> rusqlite::Result<ControlFlow<()>>;

/// Collects as many ids as there is room for; returns how many.
fn collect(
    candidates: &mut [i64; CANDIDATES_MAX],
    visit: impl FnOnce(Take<'_>) -> rusqlite::Result<ControlFlow<()>>,
) -> rusqlite::Result<usize> {
    let mut places = candidates.iter_mut();
    let mut found = 0;
    let mut take = |id| {
        let Some(place) = places.next() else {
            return Ok(ControlFlow::Break(()));
        };
        *place = id;
        found += 1;
        Ok(ControlFlow::Continue(()))
    };
    let _enough = visit(&mut take)?;
    Ok(found)
}

fn effect(id: MessageId, applied: Applied) -> ReceiptEffect {
    if applied.repeated {
        ReceiptEffect::Repeated { id }
    } else {
        ReceiptEffect::Applied {
            id,
            state: applied.state,
        }
    }
}

/// Applies a receipt to a message; `None` when the message is not the one that the receipt names by that id.
pub(super) fn apply(
    work: &mut Work<'_>,
    ends: &mut Ends<'_>,
    id: MessageId,
    receipt: &CarrierReceipt,
    carrier_id: &CarrierId,
) -> Result<Option<Applied>, StoreError> {
    if let Some(applied) = end_at_once(work, ends, id, receipt, carrier_id)? {
        return Ok(Some(applied));
    }
    let reported = receipt.state.message_state();
    let Some(outcome) = MessageStatus::read(work.conn, id).tried("read the message of a receipt")? else {
        return Ok(None);
    };
    if outcome.carrier != receipt.carrier {
        return Ok(None);
    }
    if outcome.segments.is_some() {
        return to_segments(work, outcome, receipt, carrier_id, reported);
    }
    if outcome.carrier_id.as_deref() != Some(carrier_id.as_str()) {
        return Ok(None);
    }
    to_whole(work, outcome, receipt, reported).map(Some)
}

/// The common case: the receipt is final, and the message has one segment and waits; `None` when it is not that.
fn end_at_once(
    work: &mut Work<'_>,
    ends: &mut Ends<'_>,
    id: MessageId,
    receipt: &CarrierReceipt,
    carrier_id: &CarrierId,
) -> Result<Option<Applied>, StoreError> {
    let reported = receipt.state.message_state();
    if !reported.is_final() {
        return Ok(None);
    }
    let stats_key = ends
        .end(&work.memory.noting, id, receipt, carrier_id)
        .tried("record a receipt")?;
    let Some(stats_key) = stats_key else {
        return Ok(None);
    };
    let change = Change {
        id,
        stats_key,
        from: (MessageState::Submitted, ""),
        to: (reported, ErrorCode(&receipt.error).kept()),
        at: receipt.received_at,
    };
    outbox::changed(work, change)?;
    Ok(Some(Applied {
        state: reported,
        repeated: false,
    }))
}

/// Brings a value out of a row that a statement changes: the SQL function `noting(value, result)` keeps its first
/// argument here and returns its second. `RETURNING` would do the same by way of a temporary table, which makes a
/// message's whole life dearer by four tenths; a statement that reads first, by one.
#[derive(Debug)]
pub(super) struct Noting(Arc<AtomicI64>);

impl Noting {
    pub(super) fn install(conn: &Connection) -> rusqlite::Result<Self> {
        let kept = Arc::new(AtomicI64::new(0));
        let keep = Arc::clone(&kept);
        let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DIRECTONLY;
        conn.create_scalar_function("noting", 2, flags, move |call| {
            keep.store(call.get(0)?, Ordering::Relaxed);
            call.get::<i64>(1)
        })?;
        Ok(Self(kept))
    }

    /// Of the row changed last.
    fn kept(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The common case in one statement, prepared once for many receipts: the message has one segment, is submitted
/// and ends here.
pub(super) struct Ends<'c>(CachedStatement<'c>);

impl<'c> Ends<'c> {
    pub(super) fn prepare(conn: &'c Connection) -> Result<Self, StoreError> {
        conn.prepare_cached(
            "UPDATE message_status SET state = ?4, flags = flags | noting(stats_key, ?5), changed_at = ?6, error = ?7
             WHERE id = ?1 AND carrier = ?2 AND carrier_id = ?3 AND state = ?8",
        )
        .map(Self)
        .tried("prepare to record receipts")
    }

    /// Ends the message, if that is all there is to it; returns by what it is counted.
    fn end(
        &mut self,
        noting: &Noting,
        id: MessageId,
        receipt: &CarrierReceipt,
        carrier_id: &CarrierId,
    ) -> rusqlite::Result<Option<StatsKey>> {
        let changed = self.0.execute((
            id.0,
            receipt.carrier.0,
            carrier_id.as_str(),
            StateCode(receipt.state.message_state()),
            Flags::BY_RECEIPT_BIT,
            receipt.received_at,
            ErrorCode(&receipt.error),
            StateCode(MessageState::Submitted),
        ))?;
        Ok((changed == 1).then(|| StatsKey::from_i64(noting.kept())))
    }
}

/// A message's outcome was overwritten: counts and logs the change from its state before.
fn changed(
    work: &mut Work<'_>,
    outcome: &MessageStatus,
    state: MessageState,
    error: &str,
    at: UnixMs,
) -> Result<(), StoreError> {
    let change = Change {
        id: outcome.id,
        stats_key: outcome.stats_key,
        from: (state, error),
        to: (outcome.state, &outcome.error),
        at,
    };
    outbox::changed(work, change)
}

/// A receipt for a message of one segment, in the uncommon cases: not final, repeated, or a correction.
fn to_whole(
    work: &mut Work<'_>,
    mut outcome: MessageStatus,
    receipt: &CarrierReceipt,
    reported: MessageState,
) -> Result<Applied, StoreError> {
    if !outcome.state.may_become(reported) {
        // Not the end (the carrier may repeat it), or the same or another end than the one known.
        append_receipt(work, outcome.id, receipt, 1, reported)?;
        return Ok(Applied {
            state: outcome.state,
            repeated: outcome.state.is_final(),
        });
    }
    if outcome.flags.by_receipt() {
        let earlier = timeline::of_receipts(&outcome)?;
        timeline::append(work.conn, outcome.id, earlier).tried("store an earlier receipt in the timeline")?;
    }
    let (state, error) = (outcome.state, outcome.error.clone());
    outcome.state = reported;
    outcome.changed_at = receipt.received_at;
    if reported.is_final() {
        outcome.flags = outcome.flags.with_receipt();
        outcome.error = ErrorCode(&receipt.error).kept().into();
    } else {
        append_receipt(work, outcome.id, receipt, 1, reported)?;
    }
    outcome.replace(work.conn).tried("record a receipt")?;
    changed(work, &outcome, state, &error, receipt.received_at)?;
    Ok(Applied {
        state: reported,
        repeated: false,
    })
}

/// A receipt for one segment of several, or for all of them.
fn to_segments(
    work: &mut Work<'_>,
    mut outcome: MessageStatus,
    receipt: &CarrierReceipt,
    carrier_id: &CarrierId,
    reported: MessageState,
) -> Result<Option<Applied>, StoreError> {
    let mut segments = outcome.segments()?;
    let named = |segment: &Segment| *segment.carrier_id == *carrier_id.as_str();
    let waits = |segment: &Segment| reported.is_final() && segment.state.may_become(reported);
    // Carriers that give all segments one id report each of them under it: the first that still waits.
    let place = segments
        .iter()
        .position(|segment| named(segment) && waits(segment))
        .or_else(|| segments.iter().position(named));
    let Some(place) = place else { return Ok(None) };
    let number = u8::try_from(place + 1).unwrap_or(u8::MAX);
    let was_final = outcome.state.is_final();
    let is_in_doubt = outcome.state == MessageState::InDoubt;
    let mut ended = false;
    for (at, segment) in segments.iter_mut().enumerate() {
        let is_meant = match receipt.scope {
            ReceiptScope::Segment => at == place,
            // A receipt cannot be about segments that the carrier has not taken.
            ReceiptScope::Message => was_given(segment.state) || is_in_doubt,
        };
        let is_doubtful = is_in_doubt && segment.state == MessageState::Queued && reported.is_final();
        if is_meant && (waits(segment) || is_doubtful) {
            segment.state = reported;
            segment.at = receipt.received_at;
            segment.error = ErrorCode(&receipt.error).kept().into();
            ended = true;
        }
    }
    if !ended {
        append_receipt(work, outcome.id, receipt, number, reported)?;
        return Ok(Some(Applied {
            state: outcome.state,
            repeated: was_final,
        }));
    }
    let segmentation = outcome.segments.as_deref().and_then(segments::segmentation);
    outcome.segments = Some(segments::encode(&segments, segmentation));
    let state = segments::state_of(&segments);
    let (state_before, error_before) = (outcome.state, outcome.error.clone());
    // While segments are still to be sent or answered, the message does not end: the last result settles it. Held in
    // doubt, it stays so until its end is known: nothing is to be sent.
    let waits = match state_before {
        MessageState::Queued | MessageState::InFlight => true,
        MessageState::InDoubt => !state.is_final(),
        _ => false,
    };
    let is_changed = !waits && state_before.may_become(state);
    if is_changed {
        outcome.state = state;
        outcome.changed_at = receipt.received_at;
        outcome.flags = outcome.flags.with_receipt();
        outcome.error = ErrorCode(&receipt.error).kept().into();
    }
    outcome.replace(work.conn).tried("record a receipt")?;
    changed(work, &outcome, state_before, &error_before, receipt.received_at)?;
    Ok(Some(Applied {
        state: outcome.state,
        repeated: was_final && !is_changed,
    }))
}

/// Whether the carrier has, or may have, what stands there.
const fn was_given(state: MessageState) -> bool {
    matches!(
        state,
        MessageState::Submitted | MessageState::InDoubt | MessageState::Unknown
    )
}

fn append_receipt(
    work: &Work<'_>,
    id: MessageId,
    receipt: &CarrierReceipt,
    segment: u8,
    reported: MessageState,
) -> Result<(), StoreError> {
    let kind = TimelineKind::Receipt {
        carrier: receipt.carrier,
        segment,
        state: reported,
        error: receipt.error.clone(),
    };
    timeline::append(
        work.conn,
        id,
        [TimelineEntry {
            at: receipt.received_at,
            kind,
        }],
    )
    .tried("store a receipt in the timeline")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_brought_out_of_the_row_that_changes_and_of_no_other() {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY, flags, stats_key); INSERT INTO t VALUES (1, 4, 77), (2, 4, 88);")
            .unwrap();
        let noting = Noting::install(&conn).unwrap();
        let update = "UPDATE t SET flags = flags | noting(stats_key, 2) WHERE id = ?1 AND flags = 4";
        for (id, changed, kept) in [(2, 1, 88), (3, 0, 88), (1, 1, 77), (1, 0, 77)] {
            assert_eq!(conn.execute(update, [id]).unwrap(), changed);
            assert_eq!(noting.kept(), kept);
        }
        let flags: i64 = conn
            .query_row("SELECT sum(flags) FROM t", [], |row| row.get(0))
            .unwrap();
        assert_eq!(flags, 12);
    }
}
