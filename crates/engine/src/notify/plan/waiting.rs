//! Calls put aside, as far as memory must know them: when each is due, and which ones stand behind which.
//!
//! The calls of a message are made in the order of their numbers, so each message has a queue of them, and only a call
//! that stands first in all its queues may be made. A call that tells the acceptance of a batch stands before all later
//! calls about its messages. What the calls tell stays in the store.

use super::batches::{Piece, Pieces, pieces_of};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ops::{RangeBounds, RangeInclusive};
use store::{Event, EventWhat, MessageId, Redelivery, UnixMs};

/// Calls of one endpoint that are to be tried again.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    calls: BTreeMap<i64, Call>,
    queues: HashMap<MessageId, VecDeque<i64>>,
    /// By the number of the call that tells the acceptance: the calls that stand behind it.
    batches: Pieces<i64, Vec<i64>>,
    /// By due time: those that stand first in all their queues and are not under way.
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
    /// Whose acceptance it tells.
    pieces: Box<[Piece]>,
    /// In how many of its queues another stands before it, and how many acceptances it waits for.
    behind: usize,
    /// Failed while the endpoint took nothing at all, and now it does again.
    urgent: bool,
}

/// A call that is made now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::notify) struct Again {
    pub(in crate::notify) no: i64,
    /// Calls made before.
    pub(in crate::notify) tries: u16,
}

/// The messages that events are about, each once.
pub(super) fn messages_of(events: &[Event]) -> Box<[MessageId]> {
    let mut messages: Vec<MessageId> = events.iter().filter_map(|event| event.what.message()).collect();
    messages.sort_unstable();
    messages.dedup();
    messages.into()
}

/// What an event weighs: a batch as much as its messages.
pub(super) fn weight(event: &Event) -> usize {
    match event.what {
        EventWhat::Accepted { count, .. } => usize::try_from(count).unwrap_or(usize::MAX).max(1),
        _ => 1,
    }
}

impl Waiting {
    /// Another call, with a number above all others.
    pub(super) fn add(&mut self, row: &Redelivery) {
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

    /// Takes the call due longest.
    pub(super) fn take_due(&mut self, now: UnixMs) -> Option<Again> {
        let (due, no) = *self.ready.first()?;
        if due > now {
            return None;
        }
        self.take(due, no)
    }

    /// Takes the call with the next number after `after`, due or not, from the start again when there is none.
    pub(super) fn take_next(&mut self, after: i64) -> Option<Again> {
        let next = |all: &mut dyn Iterator<Item = &(UnixMs, i64)>| all.copied().min_by_key(|(_, no)| *no);
        let (due, no) = next(&mut self.ready.iter().filter(|(_, no)| *no > after))
            .or_else(|| next(&mut self.ready.iter()))?;
        self.take(due, no)
    }

    fn take(&mut self, due: UnixMs, no: i64) -> Option<Again> {
        self.ready.remove(&(due, no));
        let tries = self.calls.get(&no)?.tries;
        Some(Again { no, tries })
    }

    /// A call that was taken is to be made again.
    pub(super) fn put_back(&mut self, no: i64, tries: u16, due: UnixMs) {
        if let Some(call) = self.calls.get_mut(&no) {
            (call.tries, call.due, call.urgent) = (tries, due, false);
            self.ready.insert((due, no));
        }
    }

    /// A call that was taken is over; those behind it move up.
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
            debug_assert_eq!(queue.front(), Some(&no), "only who stands first is ever taken");
            queue.retain(|other| *other != no);
            let Some(first) = queue.front().copied() else {
                self.queues.remove(message);
                continue;
            };
            self.move_up(first);
        }
    }

    /// One that a call stood behind is gone.
    fn move_up(&mut self, no: i64) {
        if let Some(call) = self.calls.get_mut(&no) {
            call.behind -= 1;
            if call.behind == 0 {
                self.ready.insert((call.due, no));
            }
        }
    }

    /// Makes due at `now`, in the order of the numbers, those of `numbers` that were first tried in `outage`: that they
    /// failed said nothing about them.
    pub(super) fn hurry(
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
