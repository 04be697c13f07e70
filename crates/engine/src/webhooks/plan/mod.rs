//! Which events are delivered next, and which results are to be recorded: the state of one endpoint, without I/O and
//! without a clock.
//!
//! ```text
//!               read ahead             call                     recorded in one transaction
//!  outbox ────► window ─────► calls ──┬──► succeeded ──────────► acked (the offset advances)
//!                 │ behind another    └──► failed ──► deferred ─┐
//!                 └─────────────────────────────────────────────┴─► retries ──► calls ──► ..
//! ```
//!
//! Invariants:
//! - The recorded offset never passes an event that is neither acked nor deferred in the same transaction. A kill at any
//!   moment repeats events of the window and loses none.
//! - Events of one message are in one call, in consecutive calls, or deferred one behind the other.
//! - Events of the messages of a batch wait until the batch's acceptance is delivered or dead.

mod batches;
mod waiting;

#[cfg(test)]
mod tests;

pub(super) use waiting::Retry;

use super::Subject;
use batches::{Piece, Pieces, pieces_of};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::ops::RangeInclusive;
use store::{DeliveryRetry, Event, EventOffset, EventWhat, MessageId, NewDeliveryRetry, Retried, UnixMs};
use waiting::{Waiting, messages_of, weight};

/// Messages of a batch that are reported in one piece.
pub(super) const BATCH_MESSAGES_MAX: u32 = 1000;
/// The error of a call that was deferred behind another.
const BEHIND: &str = "not delivered yet: it waits for an earlier call";

/// Bounds of a plan.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Events in the window.
    pub(super) window_events_max: usize,
    /// Events in calls that wait.
    pub(super) waiting_events_max: usize,
    /// Events of a call.
    pub(super) call_events_max: usize,
}

/// The delivery state of one endpoint.
#[derive(Debug)]
pub(super) struct Plan {
    bounds: Bounds,
    window: VecDeque<Entry>,
    /// The number of the window's first entry, counted from the start of this plan.
    base: u64,
    read_to: EventOffset,
    acked_offset: EventOffset,
    /// The offset of the last entry taken off the window: beyond `acked_offset` when other pieces of its batch are left.
    passed: EventOffset,
    acked_recorded: EventOffset,
    /// Messages of the calls in flight that report new events.
    busy: HashSet<MessageId>,
    /// Messages of deferred calls that have no number yet.
    unnumbered: HashMap<MessageId, usize>,
    /// Batches whose acceptance those calls report.
    unnumbered_batches: Pieces<i64, usize>,
    /// Events in those calls.
    unnumbered_events: usize,
    waiting: Waiting,
    last_no: i64,
    unrecorded: Unrecorded,
    /// Calls with new events that succeeded since the last recording.
    succeeded_calls: usize,
    /// The recording in progress.
    recording: Option<Numbering>,
    retry_was_last: bool,
    trial: Trial,
    /// The last outage: no call succeeded between these times.
    outage: Option<RangeInclusive<UnixMs>>,
}

#[derive(Debug)]
struct Entry {
    event: Event,
    subject: Option<Subject>,
    at: Progress,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Pending,
    Out,
    Done,
}

#[derive(Debug, Default)]
struct Unrecorded {
    deferred: Vec<NewDeliveryRetry>,
    settled: Vec<i64>,
    /// By number: only the last state is recorded.
    retried: BTreeMap<i64, Retried>,
}

impl Unrecorded {
    fn len(&self) -> usize {
        self.deferred.len() + self.settled.len() + self.retried.len()
    }
}

/// Calls that are getting their numbers.
#[derive(Debug, Default)]
struct Numbering {
    messages: Vec<MessageId>,
    pieces: Vec<Piece>,
    events: usize,
}

/// Chooses the trial call of a tripped breaker: each time another, so that one bad call does not keep the breaker open,
/// and alternately a retry and a new one.
#[derive(Debug, Default)]
struct Trial {
    after: i64,
    new_is_next: bool,
}

/// New events for a call.
#[derive(Debug)]
pub(super) struct Unit {
    entries: Vec<u64>,
    /// The events to report, in order.
    pub(super) events: Vec<Event>,
    /// Their subjects, as far as they were read ahead.
    pub(super) subjects: Vec<Option<Subject>>,
}

/// A call to make.
#[derive(Debug)]
pub(super) enum Delivery {
    /// With new events.
    New(Unit),
    /// A deferred one.
    Retry(Retry),
}

/// Results to record in one transaction.
#[derive(Debug)]
pub(super) struct Recording {
    /// The acked offset, when it changed.
    pub(super) acked_offset: Option<EventOffset>,
    /// New deferred calls.
    pub(super) deferred: Vec<NewDeliveryRetry>,
    /// Retries that are over.
    pub(super) settled: Vec<i64>,
    /// Retries that failed.
    pub(super) retried: Vec<Retried>,
    /// The highest number before: new deferred calls get higher ones.
    pub(super) last_no: i64,
}

impl Plan {
    /// Starts at an acked offset, without retries.
    pub(super) fn new(bounds: Bounds, acked_offset: EventOffset) -> Self {
        Self {
            bounds,
            window: VecDeque::new(),
            base: 0,
            read_to: acked_offset,
            acked_offset,
            passed: acked_offset,
            acked_recorded: acked_offset,
            busy: HashSet::new(),
            unnumbered: HashMap::new(),
            unnumbered_batches: Pieces::default(),
            unnumbered_events: 0,
            waiting: Waiting::default(),
            last_no: 0,
            unrecorded: Unrecorded::default(),
            succeeded_calls: 0,
            recording: None,
            retry_was_last: false,
            trial: Trial::default(),
            outage: None,
        }
    }

    /// Adds a stored retry; called in the order of the numbers.
    pub(super) fn load(&mut self, row: &DeliveryRetry) {
        self.last_no = self.last_no.max(row.no);
        self.waiting.add(row);
    }

    /// How many events may be read now.
    pub(super) fn room(&self) -> usize {
        if self.is_full() {
            return 0;
        }
        self.bounds.window_events_max.saturating_sub(self.window.len())
    }

    /// Whether so many events are deferred that no new ones are delivered.
    fn is_full(&self) -> bool {
        self.waiting_room() == 0
    }

    /// How many more events may be deferred.
    fn waiting_room(&self) -> usize {
        let waiting = self.waiting.events() + self.unnumbered_events;
        self.bounds.waiting_events_max.saturating_sub(waiting)
    }

    /// Where to read on.
    pub(super) fn read_to(&self) -> EventOffset {
        self.read_to
    }

    /// Adds the events that were read, up to an offset. A long batch is split into pieces.
    pub(super) fn read(&mut self, events: Vec<(Event, Option<Subject>)>, to: EventOffset) {
        for (event, subject) in events {
            let EventWhat::Accepted { first, count } = event.what else {
                self.push(event, subject);
                continue;
            };
            let mut at = 0;
            while at == 0 || at < count {
                let what = EventWhat::Accepted {
                    first: first.plus(i64::from(at)),
                    count: (count - at).min(BATCH_MESSAGES_MAX),
                };
                self.push(
                    Event {
                        what,
                        ..event.clone()
                    },
                    None,
                );
                at = at.saturating_add(BATCH_MESSAGES_MAX);
            }
        }
        self.read_to = to;
        self.advance();
    }

    fn push(&mut self, event: Event, subject: Option<Subject>) {
        self.window.push_back(Entry {
            event,
            subject,
            at: Progress::Pending,
        });
    }

    /// Drops the subjects that were read ahead; they are read again for the call.
    pub(super) fn drop_subjects(&mut self) {
        for entry in &mut self.window {
            entry.subject = None;
        }
    }

    /// Removes finished entries from the window and advances the acked offset.
    fn advance(&mut self) {
        while self
            .window
            .front()
            .is_some_and(|entry| entry.at == Progress::Done)
        {
            let Some(entry) = self.window.pop_front() else {
                break;
            };
            self.base += 1;
            let offset = entry.event.offset;
            self.passed = offset;
            // The pieces of a batch share an offset: it is acked when all of them are finished.
            if self.window.front().is_none_or(|next| next.event.offset != offset) {
                self.acked_offset = offset;
            }
        }
        if self.window.is_empty() {
            self.acked_offset = self.read_to;
        }
    }

    /// The time of the oldest event that is not acked.
    pub(super) fn oldest(&self) -> Option<UnixMs> {
        self.window.front().map(|entry| entry.event.at)
    }

    /// Calls that wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// When the next call that waits is due.
    pub(super) fn next_due(&self) -> Option<UnixMs> {
        self.waiting.next_due()
    }

    /// The call to make next.
    pub(super) fn next(&mut self, now: UnixMs) -> Option<Delivery> {
        if self.unrecorded.len() >= self.bounds.window_events_max {
            return None;
        }
        let due = self.waiting.due(now);
        // Alternates, so that neither retries nor new calls starve.
        if due.is_some_and(|urgent| urgent || !self.retry_was_last) {
            self.retry_was_last = true;
            return self.waiting.take_due(now).map(Delivery::Retry);
        }
        if let Some(unit) = self.pick(now) {
            self.retry_was_last = false;
            return Some(Delivery::New(unit));
        }
        self.retry_was_last = true;
        self.waiting.take_due(now).map(Delivery::Retry)
    }

    /// The trial call of a tripped breaker.
    pub(super) fn next_trial(&mut self, now: UnixMs) -> Option<Delivery> {
        if self.unrecorded.len() >= self.bounds.window_events_max {
            return None;
        }
        let new_first = std::mem::take(&mut self.trial.new_is_next);
        if new_first && let Some(unit) = self.pick(now) {
            return Some(Delivery::New(unit));
        }
        if let Some(retry) = self.waiting.take_next(self.trial.after) {
            self.trial.after = retry.no;
            self.trial.new_is_next = true;
            return Some(Delivery::Retry(retry));
        }
        self.pick(now).map(Delivery::New)
    }

    /// New events for one call, the oldest that can be reported. Defers events that are behind a deferred call.
    fn pick(&mut self, now: UnixMs) -> Option<Unit> {
        let (mut entries, mut weighs, mut full) = (Vec::new(), 0, false);
        let mut behind = Vec::new();
        // Messages with an earlier event that must be reported first, in another call.
        let mut held: HashSet<MessageId> = HashSet::new();
        let mut batches: Vec<(MessageId, MessageId)> = Vec::new();
        // Batches whose acceptance is in this call.
        let mut picked: Vec<(MessageId, MessageId)> = Vec::new();
        let mut room = self.waiting_room();
        if room == 0 {
            return None;
        }
        for (n, entry) in (self.base..).zip(&mut self.window) {
            let range = match entry.event.what {
                EventWhat::Accepted { first, count } => Some((first, first.plus(i64::from(count)))),
                _ => None,
            };
            match entry.at {
                Progress::Done => continue,
                Progress::Out => {
                    batches.extend(range);
                    continue;
                }
                Progress::Pending => {}
            }
            if let Some(id) = entry.event.what.message() {
                let unsaid = batches.iter().any(|(from, to)| (*from..*to).contains(&id));
                if unsaid || self.busy.contains(&id) || held.contains(&id) {
                    held.insert(id);
                    continue;
                }
                if self.waiting.has(id)
                    || self.unnumbered.contains_key(&id)
                    || self.unnumbered_batches.has(id)
                {
                    let accepted_now = picked.iter().any(|(from, to)| (*from..*to).contains(&id));
                    if room > 0 && !accepted_now {
                        room -= 1;
                        entry.at = Progress::Done;
                        behind.push(entry.event.clone());
                    } else {
                        held.insert(id);
                    }
                    continue;
                }
            }
            let weight = weight(&entry.event);
            full = full
                || entries.len() >= self.bounds.call_events_max
                || !entries.is_empty() && weighs + weight > BATCH_MESSAGES_MAX as usize;
            if full {
                break;
            }
            weighs += weight;
            picked.extend(range);
            entries.push(n);
        }
        for events in behind.chunks(self.bounds.call_events_max) {
            self.defer(events.to_vec(), 0, now, now, BEHIND.into());
        }
        let unit = (!entries.is_empty()).then(|| self.take(entries));
        self.advance();
        unit
    }

    fn take(&mut self, entries: Vec<u64>) -> Unit {
        let (mut events, mut subjects) = (Vec::new(), Vec::new());
        for n in &entries {
            if let Some(entry) = entry_mut(&mut self.window, self.base, *n) {
                entry.at = Progress::Out;
                events.push(entry.event.clone());
                subjects.push(entry.subject.take());
            }
        }
        self.busy.extend(messages_of(&events));
        Unit {
            entries,
            events,
            subjects,
        }
    }

    fn set(&mut self, unit: &Unit, at: Progress) {
        for n in &unit.entries {
            if let Some(entry) = entry_mut(&mut self.window, self.base, *n) {
                entry.at = at;
            }
        }
        for message in messages_of(&unit.events) {
            self.busy.remove(&message);
        }
        self.advance();
    }

    fn defer(&mut self, events: Vec<Event>, tries: u16, due: UnixMs, now: UnixMs, error: Box<str>) {
        if due < i64::MAX {
            for message in messages_of(&events) {
                *self.unnumbered.entry(message).or_default() += 1;
            }
            for piece in pieces_of(&events) {
                *self.unnumbered_batches.entry(piece, 0) += 1;
            }
            self.unnumbered_events += events.len();
        }
        self.unrecorded.deferred.push(NewDeliveryRetry {
            events,
            tries,
            due,
            first_tried_at: now,
            error,
        });
    }

    /// A call with new events succeeded.
    pub(super) fn succeeded(&mut self, unit: &Unit) {
        self.succeeded_calls += 1;
        self.set(unit, Progress::Done);
    }

    /// A call with new events failed: it is retried at `due` ([`i64::MAX`]: never).
    pub(super) fn failed(&mut self, unit: Unit, tries: u16, due: UnixMs, now: UnixMs, error: Box<str>) {
        // Deferred before the window lets later events of the same messages pass.
        self.defer(unit.events.clone(), tries, due, now, error);
        self.set(&unit, Progress::Done);
    }

    /// No call was made: the events are pending again.
    pub(super) fn undone(&mut self, unit: &Unit) {
        self.set(unit, Progress::Pending);
    }

    /// A retry is over: it succeeded, or it is gone from the store.
    pub(super) fn settled(&mut self, no: i64) {
        self.waiting.remove(no);
        self.unrecorded.retried.remove(&no);
        self.unrecorded.settled.push(no);
    }

    /// A retry failed: it is due again at `due` ([`i64::MAX`]: never).
    pub(super) fn retry_failed(&mut self, no: i64, tries: u16, due: UnixMs, error: Box<str>) {
        if due < i64::MAX {
            self.waiting.put_back(no, tries, due);
        } else {
            self.waiting.remove(no);
        }
        let retried = Retried {
            no,
            tries,
            due,
            error,
        };
        self.unrecorded.retried.insert(no, retried);
    }

    /// No call was made for a retry: it is due again at `due`.
    pub(super) fn retry_undone(&mut self, retry: Retry, due: UnixMs) {
        self.waiting.put_back(retry.no, retry.tries, due);
    }

    /// The breaker closed: calls that failed during the outage are due at once.
    pub(super) fn expedite(&mut self, since: UnixMs, now: UnixMs) {
        self.waiting.expedite(&(since..=now), .., now);
        self.trial = Trial::default();
        // Calls without a number yet follow when they are recorded.
        self.outage = Some(since..=now);
    }

    /// Defers the pending events before the last finished one, so that the acked offset can pass it. Called when no call is
    /// in flight and the worker ends: without it, events after a pending one would be delivered twice.
    pub(super) fn flush_pending(&mut self, now: UnixMs) {
        let last = self.window.iter().rfind(|entry| entry.at == Progress::Done);
        let last = last.map_or(self.passed, |entry| entry.event.offset);
        let mut left = Vec::new();
        for entry in &mut self.window {
            if entry.at == Progress::Pending && entry.event.offset <= last {
                entry.at = Progress::Done;
                left.push(entry.event.clone());
            }
        }
        for event in left {
            self.defer(vec![event], 0, now, now, BEHIND.into());
        }
        self.advance();
    }

    /// How many results wait to be recorded.
    pub(super) fn unrecorded(&self) -> usize {
        let succeeded_calls = if self.offset_changed() {
            self.succeeded_calls
        } else {
            0
        };
        self.unrecorded.len() + succeeded_calls
    }

    /// Whether the acked offset has changed since the last recording.
    pub(super) fn offset_changed(&self) -> bool {
        self.acked_offset != self.acked_recorded
    }

    /// The results to record now; `None` until [`Plan::recorded`] when a recording is in progress.
    pub(super) fn begin_recording(&mut self) -> Option<Recording> {
        if self.recording.is_some() {
            return None;
        }
        let Unrecorded {
            deferred,
            settled,
            retried,
        } = std::mem::take(&mut self.unrecorded);
        let mut numbering = Numbering::default();
        for call in deferred.iter().filter(|call| call.due < i64::MAX) {
            numbering.messages.extend(messages_of(&call.events));
            numbering.pieces.extend(pieces_of(&call.events));
            numbering.events += call.events.len();
        }
        self.recording = Some(numbering);
        let acked_offset = self.offset_changed().then_some(self.acked_offset);
        self.acked_recorded = self.acked_offset;
        self.succeeded_calls = 0;
        Some(Recording {
            acked_offset,
            deferred,
            settled,
            retried: retried.into_values().collect(),
            last_no: self.last_no,
        })
    }

    /// The recording is durable; the deferred calls have these numbers.
    pub(super) fn recorded(&mut self, rows: &[DeliveryRetry]) {
        for row in rows {
            self.load(row);
        }
        if let (Some(first), Some(outage)) = (rows.first(), &self.outage) {
            self.waiting.expedite(outage, first.no.., *outage.end());
        }
        let Numbering {
            messages,
            pieces,
            events,
        } = self.recording.take().unwrap_or_default();
        for piece in pieces {
            if let Some(count) = self.unnumbered_batches.get_mut(piece, 0) {
                *count -= 1;
                if *count == 0 {
                    self.unnumbered_batches.remove(piece, 0);
                }
            }
        }
        self.unnumbered_events -= events;
        for message in messages {
            if let Some(count) = self.unnumbered.get_mut(&message) {
                *count -= 1;
                if *count == 0 {
                    self.unnumbered.remove(&message);
                }
            }
        }
    }
}

fn entry_mut(window: &mut VecDeque<Entry>, base: u64, n: u64) -> Option<&mut Entry> {
    let at = usize::try_from(n.checked_sub(base)?).ok()?;
    window.get_mut(at)
}
