//! What is in flight on one bind: from being taken off the queue until its result is durable.
//!
//! Every message has a serial number, never used again on the bind; the token of each of its segments' requests is made
//! of that and the segment. An attempt (one durable record of many messages) is closed when the last of its messages
//! has a result.

use hashbrown::HashMap;
use std::collections::VecDeque;
use store::{AttemptId, MessageId, Outgoing, SegmentAnswer, Tally, UnixMs};

/// Messages in flight.
#[derive(Debug, Default)]
pub(crate) struct Flight {
    flying: HashMap<u64, InFlight>,
    serial: u64,
    /// Held messages whose answer may still come late, oldest first.
    held: VecDeque<Held>,
    /// Messages of each attempt that have no recorded result.
    open: HashMap<AttemptId, u32>,
    segments: usize,
}

/// A message in doubt that is held: a late answer still settles it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held {
    serial: u64,
    pub(crate) id: MessageId,
    pub(crate) attempt: AttemptId,
    pub(crate) attempts: u8,
    pub(crate) attempted_at: UnixMs,
    pub(crate) tally: Tally,
}

/// Held messages remembered for a late answer.
const HELD_MAX: usize = 1000;

/// One message in flight.
#[derive(Debug)]
pub(crate) struct InFlight {
    serial: u64,
    pub(crate) message: Outgoing,
    pub(crate) attempt: AttemptId,
    pub(crate) attempted_at: UnixMs,
    answers: Vec<Option<SegmentAnswer>>,
    answered: u8,
    /// Slots of the bind's window to give back once the result is durable.
    pub(crate) slots: usize,
    /// Some segment's answer will never come.
    pub(crate) doubtful: bool,
    /// Some segment was never written.
    pub(crate) unsent: bool,
}

impl InFlight {
    /// The answers that came, in the order of the segments.
    pub(crate) fn answers(&self) -> impl Iterator<Item = &SegmentAnswer> {
        self.answers.iter().flatten()
    }

    pub(crate) fn segments(&self) -> usize {
        self.answers.len()
    }
}

const SEGMENT_BITS: u32 = 8;

impl Flight {
    /// Puts a message on its way; returns its serial number.
    pub(crate) fn depart(
        &mut self,
        message: Outgoing,
        attempt: AttemptId,
        segments: usize,
        now: UnixMs,
    ) -> u64 {
        *self.open.entry(attempt).or_default() += 1;
        self.segments += segments;
        self.serial += 1;
        let flying = InFlight {
            serial: self.serial,
            message,
            attempt,
            attempted_at: now,
            answers: vec![None; segments],
            answered: 0,
            slots: 0,
            doubtful: false,
            unsent: false,
        };
        self.flying.insert(self.serial, flying);
        self.serial
    }

    /// Remembers a message that is held in doubt, in case its answer comes late. Messages of several segments are
    /// not: one late answer says too little of them.
    pub(crate) fn hold(&mut self, flying: &InFlight, attempts: u8) {
        if flying.segments() != 1 {
            return;
        }
        if self.held.len() >= HELD_MAX {
            self.held.pop_front();
        }
        self.held.push_back(Held {
            serial: flying.serial,
            id: flying.message.id,
            attempt: flying.attempt,
            attempts,
            attempted_at: flying.attempted_at,
            tally: flying.message.tally(),
        });
    }

    /// The held message a late answer belongs to.
    pub(crate) fn late(&mut self, token: u64) -> Option<Held> {
        let at = self
            .held
            .iter()
            .position(|held| held.serial == token >> SEGMENT_BITS)?;
        self.held.remove(at)
    }

    /// The token of one segment of a message.
    pub(crate) const fn token(serial: u64, segment: usize) -> u64 {
        serial << SEGMENT_BITS | segment as u64
    }

    /// An answer came for a token. Gives the message back when that was the last one missing.
    pub(crate) fn answer(&mut self, token: u64, answer: SegmentAnswer) -> Option<InFlight> {
        self.settle(token, Some(answer), false)
    }

    /// No answer will come for a token. Gives the message back when that was the last one missing.
    pub(crate) fn give_up(&mut self, token: u64, unsent: bool) -> Option<InFlight> {
        self.settle(token, None, unsent)
    }

    /// A verdict of our own for a segment that never left: it holds no slot of the window.
    pub(crate) fn answer_unsent(&mut self, token: u64, answer: SegmentAnswer) -> Option<InFlight> {
        let mut landed = self.settle(token, Some(answer), false);
        let flying = landed
            .as_mut()
            .or_else(|| self.flying.get_mut(&(token >> SEGMENT_BITS)));
        if let Some(flying) = flying {
            flying.slots = flying.slots.saturating_sub(1);
        }
        landed
    }

    fn settle(&mut self, token: u64, answer: Option<SegmentAnswer>, unsent: bool) -> Option<InFlight> {
        let serial = token >> SEGMENT_BITS;
        let segment = (token & ((1 << SEGMENT_BITS) - 1)) as usize;
        let flying = self.flying.get_mut(&serial)?;
        let place = flying.answers.get_mut(segment)?;
        if place.is_some() {
            return None;
        }
        if !unsent {
            flying.slots += 1;
        }
        match answer {
            Some(answer) => *place = Some(answer),
            None if unsent => flying.unsent = true,
            None => flying.doubtful = true,
        }
        flying.answered = flying.answered.saturating_add(1);
        if usize::from(flying.answered) < flying.answers.len() {
            return None;
        }
        self.flying.remove(&serial)
    }

    /// Everything that is still in flight, when the session is over.
    pub(crate) fn abandon(&mut self) -> Vec<InFlight> {
        self.flying.drain().map(|(_, flying)| flying).collect()
    }

    /// A message's result is about to be recorded: returns its attempt when that was the last message of it.
    pub(crate) fn close(&mut self, attempt: AttemptId) -> Option<AttemptId> {
        let open = self.open.get_mut(&attempt)?;
        *open -= 1;
        if *open == 0 {
            self.open.remove(&attempt);
            return Some(attempt);
        }
        None
    }

    /// A result was not recorded after all.
    pub(crate) fn reopen(&mut self, attempt: AttemptId) {
        *self.open.entry(attempt).or_default() += 1;
    }

    /// Results of a message are durable: its segments no longer count.
    pub(crate) fn landed(&mut self, segments: usize) {
        self.segments = self.segments.saturating_sub(segments);
    }

    /// Segments in flight or waiting for their result to be durable.
    pub(crate) fn segments(&self) -> usize {
        self.segments
    }

    /// True when nothing is in flight and every result is durable.
    pub(crate) fn is_empty(&self) -> bool {
        self.flying.is_empty() && self.segments == 0
    }
}
