//! What is told next, and what is to be recorded: the bookkeeping of one endpoint, without I/O and without a clock.
//!
//! ```text
//!            read ahead                     made                  recorded together
//!  log ────► window ─────────► calls ──┬──► taken ─────────────► told (the place goes forward)
//!              │ behind another        └──► failed ──► put aside ─┐
//!              └──────────────────────────────────────────────────┴─► waiting ──► calls ──► ..
//! ```
//!
//! What holds:
//! - The recorded place never passes an event that is neither told nor put aside in the same transaction. So a kill
//!   at any moment costs repeats of what was in the window, and no event.
//! - Events of one message are in one call, or one call after the other, or one put aside behind the other.
//! - Events of the messages of a batch wait until the batch's acceptance was taken or given up on.

mod batches;
mod waiting;

#[cfg(test)]
mod tests;

pub(super) use waiting::Again;

use super::Subject;
use batches::{Piece, Pieces, pieces_of};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::ops::RangeInclusive;
use store::{Event, EventPlace, EventWhat, MessageId, NewRedelivery, Redelivery, Retried, UnixMs};
use waiting::{Waiting, messages_of, weight};

/// Messages of a batch that are told in one piece.
pub(super) const BATCH_MESSAGES_MAX: u32 = 1000;
/// What a call put aside behind another says.
const BEHIND: &str = "not told yet: it waited for an earlier call";

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

/// The bookkeeping of one endpoint.
#[derive(Debug)]
pub(super) struct Plan {
    bounds: Bounds,
    window: VecDeque<Entry>,
    /// The number of the window's first entry, counted from the start of this plan.
    base: u64,
    read_to: EventPlace,
    told: EventPlace,
    /// The place of the last entry taken off the window: beyond `told` when other pieces of its batch are left.
    passed: EventPlace,
    told_recorded: EventPlace,
    /// Messages of the calls under way that tell new events.
    busy: HashSet<MessageId>,
    /// Messages of calls put aside that have no number yet.
    unnumbered: HashMap<MessageId, usize>,
    /// Batches whose acceptance those calls tell.
    unnumbered_batches: Pieces<i64, usize>,
    /// Events in those calls.
    unnumbered_events: usize,
    waiting: Waiting,
    last_no: i64,
    unrecorded: Unrecorded,
    /// Calls with new events that were taken since something was recorded.
    told_calls: usize,
    /// What is being recorded.
    recording: Option<Numbering>,
    again_was_last: bool,
    trial: Trial,
    /// Between these times the endpoint took nothing, and then it did again.
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
    put_aside: Vec<NewRedelivery>,
    settled: Vec<i64>,
    /// By number: only how it stands last is recorded.
    retried: BTreeMap<i64, Retried>,
}

impl Unrecorded {
    fn len(&self) -> usize {
        self.put_aside.len() + self.settled.len() + self.retried.len()
    }
}

/// Calls that are getting their numbers.
#[derive(Debug, Default)]
struct Numbering {
    messages: Vec<MessageId>,
    pieces: Vec<Piece>,
    events: usize,
}

/// Which call an endpoint in trouble is tried with: each time another, so that one it cannot take does not keep it
/// in trouble, and in turns one that waits and a new one.
#[derive(Debug, Default)]
struct Trial {
    after: i64,
    new_is_next: bool,
}

/// New events for a call.
#[derive(Debug)]
pub(super) struct Unit {
    entries: Vec<u64>,
    /// What is told, in order.
    pub(super) events: Vec<Event>,
    /// What was read of it ahead.
    pub(super) subjects: Vec<Option<Subject>>,
}

/// A call to make.
#[derive(Debug)]
pub(super) enum Errand {
    /// With new events.
    New(Unit),
    /// One put aside.
    Again(Again),
}

/// What to record, in one command.
#[derive(Debug)]
pub(super) struct Recording {
    /// How far everything is told, when that changed.
    pub(super) told: Option<EventPlace>,
    /// Calls put aside.
    pub(super) put_aside: Vec<NewRedelivery>,
    /// Calls done.
    pub(super) settled: Vec<i64>,
    /// Calls that failed again.
    pub(super) retried: Vec<Retried>,
    /// The highest number there was before: those put aside get higher ones.
    pub(super) last_no: i64,
}

impl Plan {
    /// From a place on, with nothing waiting.
    pub(super) fn new(bounds: Bounds, told: EventPlace) -> Self {
        Self {
            bounds,
            window: VecDeque::new(),
            base: 0,
            read_to: told,
            told,
            passed: told,
            told_recorded: told,
            busy: HashSet::new(),
            unnumbered: HashMap::new(),
            unnumbered_batches: Pieces::default(),
            unnumbered_events: 0,
            waiting: Waiting::default(),
            last_no: 0,
            unrecorded: Unrecorded::default(),
            told_calls: 0,
            recording: None,
            again_was_last: false,
            trial: Trial::default(),
            outage: None,
        }
    }

    /// A call that waits from before; in the order of their numbers.
    pub(super) fn load(&mut self, row: &Redelivery) {
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

    /// Whether so much waits that nothing new is told.
    fn is_full(&self) -> bool {
        self.waiting_room() == 0
    }

    /// How many more events may be put aside.
    fn waiting_room(&self) -> usize {
        let waiting = self.waiting.events() + self.unnumbered_events;
        self.bounds.waiting_events_max.saturating_sub(waiting)
    }

    /// Where to read on.
    pub(super) fn read_to(&self) -> EventPlace {
        self.read_to
    }

    /// Takes in what was read, up to a place. A long batch is told in pieces.
    pub(super) fn read(&mut self, events: Vec<(Event, Option<Subject>)>, to: EventPlace) {
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

    /// What was read of events that are not told soon is read again then.
    pub(super) fn forget_subjects(&mut self) {
        for entry in &mut self.window {
            entry.subject = None;
        }
    }

    /// Takes off the window what is done, and moves the place.
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
            let place = entry.event.place;
            self.passed = place;
            // The pieces of a batch share a place: it is told when all of them are.
            if self.window.front().is_none_or(|next| next.event.place != place) {
                self.told = place;
            }
        }
        if self.window.is_empty() {
            self.told = self.read_to;
        }
    }

    /// When the oldest event happened that is not told yet.
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
    pub(super) fn next(&mut self, now: UnixMs) -> Option<Errand> {
        if self.unrecorded.len() >= self.bounds.window_events_max {
            return None;
        }
        let due = self.waiting.due(now);
        // In turns, so that calls which fail again and again do not keep new ones from being made, nor the other way.
        if due.is_some_and(|urgent| urgent || !self.again_was_last) {
            self.again_was_last = true;
            return self.waiting.take_due(now).map(Errand::Again);
        }
        if let Some(unit) = self.pick(now) {
            self.again_was_last = false;
            return Some(Errand::New(unit));
        }
        self.again_was_last = true;
        self.waiting.take_due(now).map(Errand::Again)
    }

    /// The call to try an endpoint in trouble with.
    pub(super) fn next_trial(&mut self, now: UnixMs) -> Option<Errand> {
        if self.unrecorded.len() >= self.bounds.window_events_max {
            return None;
        }
        let new_first = std::mem::take(&mut self.trial.new_is_next);
        if new_first && let Some(unit) = self.pick(now) {
            return Some(Errand::New(unit));
        }
        if let Some(again) = self.waiting.take_next(self.trial.after) {
            self.trial.after = again.no;
            self.trial.new_is_next = true;
            return Some(Errand::Again(again));
        }
        self.pick(now).map(Errand::New)
    }

    /// New events for one call, the oldest that can be told. Puts aside on the way what is behind another.
    fn pick(&mut self, now: UnixMs) -> Option<Unit> {
        let (mut entries, mut weighs, mut full) = (Vec::new(), 0, false);
        let mut behind = Vec::new();
        // Messages an earlier event of which has to be told first, in another call.
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
            self.put_aside(events.to_vec(), 0, now, now, BEHIND.into());
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

    fn put_aside(&mut self, events: Vec<Event>, tries: u16, due: UnixMs, now: UnixMs, error: Box<str>) {
        if due < i64::MAX {
            for message in messages_of(&events) {
                *self.unnumbered.entry(message).or_default() += 1;
            }
            for piece in pieces_of(&events) {
                *self.unnumbered_batches.entry(piece, 0) += 1;
            }
            self.unnumbered_events += events.len();
        }
        self.unrecorded.put_aside.push(NewRedelivery {
            events,
            tries,
            due,
            first_tried_at: now,
            error,
        });
    }

    /// New events are told.
    pub(super) fn told(&mut self, unit: &Unit) {
        self.told_calls += 1;
        self.set(unit, Progress::Done);
    }

    /// New events could not be told: they are tried again at `due` ([`i64::MAX`]: never).
    pub(super) fn failed(&mut self, unit: Unit, tries: u16, due: UnixMs, now: UnixMs, error: Box<str>) {
        // Behind the ones that came first: before the window lets later ones of the same messages pass.
        self.put_aside(unit.events.clone(), tries, due, now, error);
        self.set(&unit, Progress::Done);
    }

    /// No call was made: as if nothing had been taken.
    pub(super) fn undone(&mut self, unit: &Unit) {
        self.set(unit, Progress::Pending);
    }

    /// A call that waited is done, or is not there any more.
    pub(super) fn settled(&mut self, no: i64) {
        self.waiting.remove(no);
        self.unrecorded.retried.remove(&no);
        self.unrecorded.settled.push(no);
    }

    /// A call failed again: it is tried again at `due` ([`i64::MAX`]: never).
    pub(super) fn failed_again(&mut self, no: i64, tries: u16, due: UnixMs, error: Box<str>) {
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

    /// No call was made: it is due again at `due`.
    pub(super) fn undone_again(&mut self, again: Again, due: UnixMs) {
        self.waiting.put_back(again.no, again.tries, due);
    }

    /// The endpoint takes calls again: what failed since it took none is due at once.
    pub(super) fn hurry(&mut self, since: UnixMs, now: UnixMs) {
        self.waiting.hurry(&(since..=now), .., now);
        self.trial = Trial::default();
        // Calls that failed a moment ago have no number yet: they follow when they are recorded.
        self.outage = Some(since..=now);
    }

    /// Nothing is under way, and for now nothing more is told: what was passed over is put aside, so that the place can
    /// pass what was told after it, and none of that is told twice.
    pub(super) fn settle_up(&mut self, now: UnixMs) {
        let last = self.window.iter().rfind(|entry| entry.at == Progress::Done);
        let last = last.map_or(self.passed, |entry| entry.event.place);
        let mut left = Vec::new();
        for entry in &mut self.window {
            if entry.at == Progress::Pending && entry.event.place <= last {
                entry.at = Progress::Done;
                left.push(entry.event.clone());
            }
        }
        for event in left {
            self.put_aside(vec![event], 0, now, now, BEHIND.into());
        }
        self.advance();
    }

    /// How many calls wait to be recorded.
    pub(super) fn unrecorded(&self) -> usize {
        let told_calls = if self.place_changed() { self.told_calls } else { 0 };
        self.unrecorded.len() + told_calls
    }

    /// Whether the place alone waits to be recorded.
    pub(super) fn place_changed(&self) -> bool {
        self.told != self.told_recorded
    }

    /// What to record now. One at a time: until [`Plan::recorded`], there is nothing.
    pub(super) fn begin_recording(&mut self) -> Option<Recording> {
        if self.recording.is_some() {
            return None;
        }
        let Unrecorded {
            put_aside,
            settled,
            retried,
        } = std::mem::take(&mut self.unrecorded);
        let mut numbering = Numbering::default();
        for call in put_aside.iter().filter(|call| call.due < i64::MAX) {
            numbering.messages.extend(messages_of(&call.events));
            numbering.pieces.extend(pieces_of(&call.events));
            numbering.events += call.events.len();
        }
        self.recording = Some(numbering);
        let told = self.place_changed().then_some(self.told);
        self.told_recorded = self.told;
        self.told_calls = 0;
        Some(Recording {
            told,
            put_aside,
            settled,
            retried: retried.into_values().collect(),
            last_no: self.last_no,
        })
    }

    /// It is recorded; the calls put aside have these numbers.
    pub(super) fn recorded(&mut self, rows: &[Redelivery]) {
        for row in rows {
            self.load(row);
        }
        if let (Some(first), Some(outage)) = (rows.first(), &self.outage) {
            self.waiting.hurry(outage, first.no.., *outage.end());
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
