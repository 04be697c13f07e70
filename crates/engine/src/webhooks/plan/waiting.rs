//! The retries of one endpoint, as far as memory must know them: when each is due, and which one is behind which.
//!
//! The calls of a message are made in the order of their numbers, so each message has a queue of them, and a call is
//! ready when it is first in all its queues. A call that reports the acceptance of a batch is before all later calls
//! about its messages. The events of the calls stay in the store.

use super::batches::{Piece, Pieces, pieces_of};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ops::{RangeBounds, RangeInclusive};
use store::{DeliveryRetry, Event, EventWhat, MessageId, UnixMs};

/// The retries of one endpoint.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    calls: BTreeMap<i64, Call>,
    queues: HashMap<MessageId, VecDeque<i64>>,
    /// By the number of the call that reports the acceptance: the calls behind it.
    batches: Pieces<i64, Vec<i64>>,
    /// By due time: calls that are first in all their queues and not in flight.
    ready: BTreeSet<(UnixMs, i64)>,
    events: usize,
}

#[derive(Debug)]
struct Call {
    due: UnixMs,
    tries: u16,
    first_tried_at: UnixMs,
    events: usize,
    messages: Box<[MessageId]>,
    /// The batches whose acceptance it reports.
    pieces: Box<[Piece]>,
    /// In how many of its queues another call is before it, plus the acceptances that it waits for.
    behind: usize,
    /// It failed in an outage that is over: it goes before new calls.
    urgent: bool,
}

/// A retry that is made now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::webhooks) struct Retry {
    pub(in crate::webhooks) no: i64,
    /// Calls made before.
    pub(in crate::webhooks) tries: u16,
}

/// The messages that events are about, each once.
pub(super) fn messages_of(events: &[Event]) -> Box<[MessageId]> {
    let mut messages: Vec<MessageId> = events.iter().filter_map(|event| event.what.message()).collect();
    messages.sort_unstable();
    messages.dedup();
    messages.into()
}

/// The weight of an event in messages: a batch counts all of its.
pub(super) fn weight(event: &Event) -> usize {
    match event.what {
        EventWhat::Accepted { count, .. } => usize::try_from(count).unwrap_or(usize::MAX).max(1),
        _ => 1,
    }
}

impl Waiting {
    /// Another call, with a number above all others.
    pub(super) fn add(&mut self, row: &DeliveryRetry) {
        let messages = messages_of(&row.events);
        let mut behind = 0;
        for message in &messages {
            let queue = self.queues.entry(*message).or_default();
            behind += usize::from(!queue.is_empty());
            queue.push_back(row.no);
            for (_, waiting) in self.batches.of(*message) {
                // Once for each piece, however many of its messages the call is about.
                if waiting.last() != Some(&row.no) {
                    waiting.push(row.no);
                    behind += 1;
                }
            }
        }
        let pieces: Box<[Piece]> = pieces_of(&row.events).collect();
        for piece in &pieces {
            self.batches.entry(*piece, row.no);
        }
        let call = Call {
            due: row.due,
            tries: row.tries,
            first_tried_at: row.first_tried_at,
            events: row.events.len(),
            messages,
            pieces,
            behind,
            urgent: false,
        };
        if behind == 0 {
            self.ready.insert((call.due, row.no));
        }
        self.events += call.events;
        self.calls.insert(row.no, call);
    }

    /// Whether a call about this message, or about its acceptance, waits or is under way.
    pub(super) fn has(&self, message: MessageId) -> bool {
        self.queues.contains_key(&message) || self.batches.has(message)
    }

    /// Events in all calls.
    pub(super) fn events(&self) -> usize {
        self.events
    }

    pub(super) fn len(&self) -> usize {
        self.calls.len()
    }

    /// When the next call is due.
    pub(super) fn next_due(&self) -> Option<UnixMs> {
        self.ready.first().map(|(due, _)| *due)
    }

    /// Whether a call is due, and if so, whether it goes before everything else.
    pub(super) fn due(&self, now: UnixMs) -> Option<bool> {
        let (due, no) = self.ready.first()?;
        (*due <= now).then(|| self.calls.get(no).is_some_and(|call| call.urgent))
    }

    /// Takes the call with the earliest due time.
    pub(super) fn take_due(&mut self, now: UnixMs) -> Option<Retry> {
        let (due, no) = *self.ready.first()?;
        if due > now {
            return None;
        }
        self.take(due, no)
    }

    /// Takes the call with the next number after `after`, due or not, from the start again when there is none.
    pub(super) fn take_next(&mut self, after: i64) -> Option<Retry> {
        let next = |all: &mut dyn Iterator<Item = &(UnixMs, i64)>| all.copied().min_by_key(|(_, no)| *no);
        let (due, no) = next(&mut self.ready.iter().filter(|(_, no)| *no > after))
            .or_else(|| next(&mut self.ready.iter()))?;
        self.take(due, no)
    }

    fn take(&mut self, due: UnixMs, no: i64) -> Option<Retry> {
        self.ready.remove(&(due, no));
        let tries = self.calls.get(&no)?.tries;
        Some(Retry { no, tries })
    }

    /// A call that was taken is to be made again.
    pub(super) fn put_back(&mut self, no: i64, tries: u16, due: UnixMs) {
        if let Some(call) = self.calls.get_mut(&no) {
            (call.tries, call.due, call.urgent) = (tries, due, false);
            self.ready.insert((due, no));
        }
    }

    /// Removes a call that was taken; the calls behind it move up.
    pub(super) fn remove(&mut self, no: i64) {
        let Some(call) = self.calls.remove(&no) else {
            return;
        };
        self.events -= call.events;
        for piece in &call.pieces {
            for behind in self.batches.remove(*piece, no).unwrap_or_default() {
                self.move_up(behind);
            }
        }
        for message in &call.messages {
            let Some(queue) = self.queues.get_mut(message) else {
                continue;
            };
            debug_assert_eq!(
                queue.front(),
                Some(&no),
                "only the first call of a queue is taken"
            );
            queue.retain(|other| *other != no);
            let Some(first) = queue.front().copied() else {
                self.queues.remove(message);
                continue;
            };
            self.move_up(first);
        }
    }

    /// A call before this one is gone.
    fn move_up(&mut self, no: i64) {
        if let Some(call) = self.calls.get_mut(&no) {
            call.behind -= 1;
            if call.behind == 0 {
                self.ready.insert((call.due, no));
            }
        }
    }

    /// Makes the calls of `numbers` that were first tried in `outage` due at `now`, in the order of the numbers: their
    /// failures were the endpoint's.
    pub(super) fn expedite(
        &mut self,
        outage: &RangeInclusive<UnixMs>,
        numbers: impl RangeBounds<i64>,
        now: UnixMs,
    ) {
        for (no, call) in self.calls.range_mut(numbers) {
            if !outage.contains(&call.first_tried_at) {
                continue;
            }
            call.urgent = true;
            if self.ready.remove(&(call.due, *no)) {
                self.ready.insert((now, *no));
            }
            call.due = now;
        }
    }
}
