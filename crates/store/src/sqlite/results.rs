//! Results of attempts.

use super::error::Tried;
use super::expiry::End;
use super::memory::Work;
use super::message_status::{Flags, MessageStatus};
use super::outbox::{self, Change};
use super::receipts::Ends;
use super::segments::{self, Segment};
use super::{attempts, batch, codes::receipt_key, queue, receipts, timeline};
use crate::{
    Answer, AttemptId, AttemptOutcome, CarrierNo, DimensionsNo, Lane, MessageId, Next, RecordResults,
    ResultEffect, SegmentAnswer, StoreError, TimelineEntry, TimelineKind, UnixMs,
};
use rusqlite::CachedStatement;
use sms::receipt::CarrierId;
use sms::state::MessageState;

pub(super) fn record(work: &mut Work<'_>, results: &RecordResults) -> Result<Vec<ResultEffect>, StoreError> {
    let mut recording = Recording {
        insert: MessageStatus::inserting(work.conn).tried("prepare to record results")?,
        binds: Vec::new(),
        retries: None,
    };
    let mut effects = Vec::with_capacity(results.outcomes.len());
    for outcome in &results.outcomes {
        effects.push(ResultEffect {
            state: recording.one(work, outcome)?,
        });
    }
    recording.flush(work)?;
    for &attempt in &results.closed {
        attempts::close(work, attempt)?;
    }
    Ok(effects)
}

/// What lasts over the results of a command.
struct Recording<'c> {
    insert: CachedStatement<'c>,
    /// The binds of the attempts met so far, with how many results each got here. Few: results come in
    /// runs of one attempt.
    binds: Vec<(AttemptId, u16, u64)>,
    retries: Option<Retries>,
}

/// Neighbours that are to be tried again together.
#[derive(Clone, Copy)]
struct Retries {
    due: UnixMs,
    lane: Lane,
    first: MessageId,
    last: MessageId,
    /// The last message of their batch: a range does not go beyond it.
    batch_last: MessageId,
    attempts: u8,
    attempt: AttemptId,
}

impl Recording<'_> {
    fn one(&mut self, work: &mut Work<'_>, result: &AttemptOutcome) -> Result<MessageState, StoreError> {
        work.memory.see(result.answered_at);
        let partly = result.next == Next::Partly;
        let bind = self.bind(work, result.attempt, u64::from(!partly));
        let end = expired_by(work, result)?;
        let mut outcome = outcome_of(result, end, bind);
        if outcome.stats_key.dimensions == DimensionsNo(0) {
            outcome.stats_key = batch::stats_key_of(work.conn, result.id)?;
        }
        // Nearly always the first and only one.
        let inserted = result.attempts <= 1 && outcome.insert(&mut self.insert).tried("record a result")?;
        let earlier = if inserted {
            None
        } else {
            match overwrite(work, result, end, &mut outcome)? {
                Overwritten::Stands => return Ok(outcome.state),
                Overwritten::Replaced(earlier) => earlier,
            }
        };
        let is_late = earlier.as_ref().is_some_and(|earlier| is_late(result, earlier));
        let earlier = earlier.as_ref().map(|earlier| (earlier.state, &*earlier.error));
        let change = Change {
            id: result.id,
            stats_key: outcome.stats_key,
            from: earlier.unwrap_or((MessageState::Queued, "")),
            to: (outcome.state, &outcome.error),
            at: result.answered_at,
        };
        outbox::changed(work, change)?;
        if outcome.flags.in_timeline() {
            timeline::append(
                work.conn,
                result.id,
                timeline_of(result, end, outcome.bind, is_late),
            )
            .tried("store an attempt in the timeline")?;
        }
        if let Next::Retry { due, carrier } = result.next {
            match end {
                None => self.retry(work, result, due, carrier)?,
                Some(_) => {
                    let class = work.batch_of(result.id)?.class;
                    work.effects.expired.push((carrier, class, 1));
                }
            }
        }
        let mut last = None;
        for id in carrier_ids(&result.answer) {
            // Some carriers give all parts of a message one id.
            if last.replace(id) == Some(id) {
                continue;
            }
            let key = receipt_key(result.carrier, id);
            let before = work.memory.receipts.memtable().push(key, result.id.0);
            work.memory
                .shared_ids
                .note(key, before.map(MessageId), result.id, result.attempted_at);
        }
        if result.next == Next::Submitted && outcome.segments.is_some() {
            outcome.state = settle_segments(work, &outcome)?;
        }
        if work.memory.unmatched_receipts.len() == 0 {
            return Ok(outcome.state);
        }
        apply_unmatched(work, result, outcome.state)
    }

    /// The bind of an attempt, which has got so many `results` more.
    fn bind(&mut self, work: &Work<'_>, attempt: AttemptId, results: u64) -> u16 {
        if let Some((_, bind, all)) = self.binds.iter_mut().rev().find(|(id, ..)| *id == attempt) {
            *all += results;
            return *bind;
        }
        let bind = work.shared.open.read().get(&attempt).map_or(0, |span| span.bind);
        self.binds.push((attempt, bind, results));
        bind
    }

    fn retry(
        &mut self,
        work: &mut Work<'_>,
        result: &AttemptOutcome,
        due: UnixMs,
        carrier: CarrierNo,
    ) -> Result<(), StoreError> {
        if let Some(retries) = &mut self.retries
            && retries.last.plus(1) == result.id
            && result.id <= retries.batch_last
            && (retries.due, retries.lane.carrier) == (due, carrier)
            && (retries.attempts, retries.attempt) == (result.attempts, result.attempt)
        {
            retries.last = result.id;
            return Ok(());
        }
        self.flush(work)?;
        let (lane, batch) = work.lane_of(result.id, carrier)?;
        self.retries = Some(Retries {
            due,
            lane,
            first: result.id,
            last: result.id,
            batch_last: batch.last,
            attempts: result.attempts,
            attempt: result.attempt,
        });
        Ok(())
    }

    /// Writes what is left, and notes in memory how many results each attempt got.
    fn flush(&mut self, work: &mut Work<'_>) -> Result<(), StoreError> {
        if let Some(r) = self.retries.take() {
            queue::delay(work, r.due, r.lane, r.first, r.last, r.attempts, Some(r.attempt))?;
        }
        work.effects.answered.extend(
            self.binds
                .drain(..)
                .map(|(attempt, _, results)| (attempt, results)),
        );
        Ok(())
    }
}

/// A retry due at or after the end of the message's time to live ends it at once.
fn expired_by(work: &mut Work<'_>, result: &AttemptOutcome) -> Result<Option<End>, StoreError> {
    let Next::Retry { due, .. } = result.next else {
        return Ok(None);
    };
    if !work.batch_of(result.id)?.is_expired(due) {
        return Ok(None);
    }
    let in_doubt = result.answer.is_lost();
    Ok(Some(if in_doubt {
        End { in_doubt }
    } else {
        End::of(work.conn, result.id)?
    }))
}

/// A clock that is set back makes a receipt seem earlier than its message by so much at most.
const CLOCK_MS_MAX: i64 = 60_000;

/// The row for a result; `end` says that it is not to be tried again as it was to be.
fn outcome_of(result: &AttemptOutcome, end: Option<End>, bind: u16) -> MessageStatus {
    let (carrier_id, segments) = match &result.answer {
        Answer::Single(answer) => (single_id(answer), None),
        Answer::Segments { answers, .. } => match answers.as_slice() {
            [answer] => (answer.as_ref().and_then(single_id), None),
            // Of segments none of which was taken there is nothing to wait for.
            answers if !answers.iter().flatten().any(|answer| answer.status == 0) => (None, None),
            answers => (None, Some(segments_of(&[], answers, result))),
        },
        Answer::None | Answer::NotSent => (None, None),
    };
    let (state, flags) = match result.next {
        Next::Partly => (MessageState::InFlight, Flags::NONE),
        Next::Submitted => (MessageState::Submitted, Flags::NONE),
        Next::Final(state) => (state, Flags::IN_TIMELINE),
        Next::Retry { .. } => (end.map_or(MessageState::Queued, End::state), Flags::IN_TIMELINE),
        Next::InDoubt => (MessageState::InDoubt, Flags::IN_TIMELINE),
    };
    MessageStatus {
        id: result.id,
        state,
        flags,
        carrier: match result.next {
            Next::Retry { carrier, .. } if matches!(result.answer, Answer::NotSent) => carrier,
            _ => result.carrier,
        },
        bind,
        attempts: result.attempts,
        attempt: result.attempt,
        attempted_at: result.attempted_at,
        answered_at: result.answered_at,
        changed_at: result.answered_at,
        status: status_of(&result.answer),
        carrier_id,
        error: end.map_or("", End::error).into(),
        segments,
        stats_key: result.stats_key,
    }
}

fn single_id(answer: &SegmentAnswer) -> Option<Box<str>> {
    answer.carrier_id.as_ref().map(|id| id.as_str().into())
}

fn segments_of(recorded: &[Segment], answers: &[Option<SegmentAnswer>], result: &AttemptOutcome) -> Vec<u8> {
    let ended = matches!(result.next, Next::Final(_));
    let segmentation = match &result.answer {
        Answer::Segments { segmentation, .. } if !ended => segmentation.as_deref(),
        _ => None,
    };
    let merged = segments::merge(recorded, answers, result.answered_at, ended);
    segments::encode(&merged, segmentation)
}

fn answers_of(answer: &Answer) -> impl Iterator<Item = &SegmentAnswer> {
    let (single, segments) = match answer {
        Answer::Single(answer) => (Some(answer), [].as_slice()),
        Answer::Segments { answers, .. } => (None, answers.as_slice()),
        Answer::None | Answer::NotSent => (None, [].as_slice()),
    };
    single.into_iter().chain(segments.iter().flatten())
}

/// The status of the first segment that failed, or 0.
fn status_of(answer: &Answer) -> u32 {
    answers_of(answer)
        .map(|answer| answer.status)
        .find(|&status| status != 0)
        .unwrap_or(0)
}

fn carrier_ids(answer: &Answer) -> impl Iterator<Item = &CarrierId> {
    answers_of(answer).filter_map(|answer| answer.carrier_id.as_ref())
}

/// What came of writing over an earlier result.
enum Overwritten {
    /// That one stands: it ended the message, or belongs to a later attempt.
    Stands,
    /// What was there, if anything was.
    Replaced(Option<MessageStatus>),
}

/// Overwrites the row of an earlier result. The part of its timeline that would be lost is appended first.
fn overwrite(
    work: &mut Work<'_>,
    result: &AttemptOutcome,
    end: Option<End>,
    outcome: &mut MessageStatus,
) -> Result<Overwritten, StoreError> {
    let earlier = MessageStatus::read(work.conn, result.id).tried("read an earlier result")?;
    if let Some(earlier) = &earlier {
        let ended = earlier.state.is_final() && !earlier.state.may_become(outcome.state);
        if ended || earlier.attempt > outcome.attempt {
            let timeline = timeline_of(result, end, outcome.bind, is_late(result, earlier));
            timeline::append(work.conn, result.id, timeline).tried("store a late result in the timeline")?;
            outcome.state = earlier.state;
            return Ok(Overwritten::Stands);
        }
        keep_segments(result, earlier, outcome)?;
        if is_late(result, earlier) {
            // An attempt that was closed is not known by its bind any more.
            outcome.bind = earlier.bind;
        }
        let lost = timeline::of_attempt(earlier)?;
        if !lost.is_empty() && earlier.attempt != outcome.attempt {
            timeline::append(work.conn, result.id, lost).tried("store an earlier attempt in the timeline")?;
        }
    }
    outcome.replace(work.conn).tried("record a result")?;
    Ok(Overwritten::Replaced(earlier))
}

/// Keeps what was recorded before of the segments that the same carrier took: in this attempt, or in an earlier one.
fn keep_segments(
    result: &AttemptOutcome,
    earlier: &MessageStatus,
    outcome: &mut MessageStatus,
) -> Result<(), StoreError> {
    if earlier.segments.is_none() || earlier.carrier != outcome.carrier {
        return Ok(());
    }
    outcome.segments = match &result.answer {
        Answer::Segments { answers, .. } if answers.len() > 1 => {
            Some(segments_of(&earlier.segments()?, answers, result))
        }
        Answer::None | Answer::NotSent => earlier.segments.clone(),
        Answer::Single(_) | Answer::Segments { .. } => None,
    };
    Ok(())
}

/// Receipts may have come for segments while others of the message were still on their way: once all are taken, they
/// count.
fn settle_segments(work: &mut Work<'_>, outcome: &MessageStatus) -> Result<MessageState, StoreError> {
    let segments = outcome.segments()?;
    let state = segments::state_of(&segments);
    if !state.is_final() {
        return Ok(outcome.state);
    }
    let decided = segments
        .iter()
        .filter(|segment| segment.state == state)
        .max_by_key(|segment| segment.at);
    let mut settled = outcome.clone();
    settled.state = state;
    settled.flags = settled.flags.with_receipt();
    if let Some(segment) = decided {
        settled.error = segment.error.clone();
    }
    settled.replace(work.conn).tried("record a result")?;
    let change = Change {
        id: outcome.id,
        stats_key: outcome.stats_key,
        from: (outcome.state, &outcome.error),
        to: (settled.state, &settled.error),
        at: settled.changed_at,
    };
    outbox::changed(work, change)?;
    Ok(state)
}

/// Whether an answer came after its attempt had a result: held in doubt, say.
fn is_late(result: &AttemptOutcome, earlier: &MessageStatus) -> bool {
    earlier.attempt == result.attempt && earlier.state != MessageState::InFlight
}

/// What a result adds to the timeline of its message. The attempt and its missing answer come with its first result,
/// not again when it `is_late`.
fn timeline_of(result: &AttemptOutcome, end: Option<End>, bind: u16, is_late: bool) -> Vec<TimelineEntry> {
    let mut timeline = entries_of(result, end, bind);
    if is_late {
        timeline.retain(|entry| {
            !matches!(
                entry.kind,
                TimelineKind::Attempt { .. }
                    | TimelineKind::Unanswered { .. }
                    | TimelineKind::State(MessageState::InDoubt)
            )
        });
    }
    timeline
}

fn entries_of(result: &AttemptOutcome, end: Option<End>, bind: u16) -> Vec<TimelineEntry> {
    let carrier = result.carrier;
    let at = result.answered_at;
    let mut timeline = Vec::with_capacity(4);
    if matches!(result.answer, Answer::NotSent) {
        // Nothing was written: a session that flaps must not fill the timeline.
        if let (Some(end), Next::Retry { carrier, .. }) = (end, result.next) {
            timeline.push(end.entry(at, carrier));
        }
        return timeline;
    }
    let attempt = TimelineKind::Attempt {
        no: result.attempts,
        carrier,
        bind,
    };
    timeline.push(TimelineEntry {
        at: result.attempted_at,
        kind: attempt,
    });
    if answers_of(&result.answer).next().is_some() {
        let kind = TimelineKind::Answered {
            carrier,
            status: status_of(&result.answer),
            carrier_ids: carrier_ids(&result.answer).map(|id| id.as_str().into()).collect(),
        };
        timeline.push(TimelineEntry { at, kind });
    }
    if result.answer.is_lost() {
        let kind = TimelineKind::Unanswered { carrier };
        timeline.push(TimelineEntry { at, kind });
    }
    let next = match result.next {
        Next::Partly => return timeline,
        Next::Submitted => TimelineKind::State(MessageState::Submitted),
        Next::Final(state) => TimelineKind::State(state),
        Next::Retry { due, carrier } => TimelineKind::Requeued { carrier, due },
        Next::InDoubt => TimelineKind::State(MessageState::InDoubt),
    };
    timeline.push(match (end, result.next) {
        (Some(end), Next::Retry { carrier, .. }) => end.entry(at, carrier),
        _ => TimelineEntry { at, kind: next },
    });
    timeline
}

/// Applies the receipts that were here before the answer. Those that the message has no use for stay: another message
/// may get the same id.
fn apply_unmatched(
    work: &mut Work<'_>,
    result: &AttemptOutcome,
    mut state: MessageState,
) -> Result<MessageState, StoreError> {
    let mut ends = Ends::prepare(work.conn)?;
    for id in &ids_of(work, result)? {
        let unmatched_receipts = work
            .memory
            .unmatched_receipts
            .of(work.conn, result.carrier, id)
            .tried("look for unmatched receipts")?;
        // Nothing is reported of a message before it was given to the carrier, but clocks are set. Some segments of
        // several may have been given to it in an earlier attempt.
        let oldest = match result.answer {
            Answer::Segments { .. } => UnixMs::MIN,
            _ => result.attempted_at - CLOCK_MS_MAX,
        };
        for (no, receipt) in unmatched_receipts
            .iter()
            .filter(|(_, receipt)| receipt.received_at >= oldest)
        {
            if !receipts::is_waited_for(work, result.id, receipt, id)? {
                continue;
            }
            if let Some(applied) = receipts::apply(work, &mut ends, result.id, receipt, id)? {
                state = applied.state;
            }
            work.memory
                .unmatched_receipts
                .remove(work.conn, *no)
                .tried("take an unmatched receipt")?;
        }
    }
    Ok(state)
}

/// All ids by which receipts name a message after a result: those of segments that were answered before as well, for one
/// receipt may be about all of them.
fn ids_of(work: &Work<'_>, result: &AttemptOutcome) -> Result<Vec<CarrierId>, StoreError> {
    if matches!(result.answer, Answer::Segments { .. })
        && let Some(outcome) = MessageStatus::read(work.conn, result.id).tried("read a result")?
        && outcome.segments.is_some()
    {
        let mut ids: Vec<CarrierId> = outcome
            .segments()?
            .iter()
            .filter(|segment| !segment.carrier_id.is_empty())
            .map(|segment| CarrierId::new(&segment.carrier_id))
            .collect();
        ids.dedup();
        return Ok(ids);
    }
    Ok(carrier_ids(&result.answer).cloned().collect())
}
