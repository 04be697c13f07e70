//! What is in flight on one bind: from being taken off the queue until its result is durable.
//!
//! The unit of the window is the segment: each has a request of its own, whose token is made of the message's serial
//! number (never used again on the bind) and the segment's index. A message is over when each of its segments has an
//! answer, is in doubt, or will not be sent in this attempt. Before that, answers may be recorded by themselves
//! ([`InFlightWindow::record_partly`]), so that a message of more segments than the window has slots does not wait for
//! itself. An attempt (one durable record of many messages) is closed when the last of its messages is over.

use hashbrown::HashMap;
use smallvec::SmallVec;
use std::collections::VecDeque;
use store::{Answer, AttemptId, MessageId, Outgoing, SegmentAnswer, StatsKey, UnixMs};

/// Messages in flight.
#[derive(Debug, Default)]
pub(crate) struct InFlightWindow {
    messages: HashMap<u64, InFlight>,
    serial: u64,
    /// Messages held in doubt whose answers may still come late, oldest first.
    late_candidates: VecDeque<InFlight>,
    /// Messages of each attempt that have no recorded result.
    open: HashMap<AttemptId, u32>,
    /// Messages of several segments that have answers the store has not been given.
    unrecorded: Vec<u64>,
    segments: usize,
}

/// Held messages remembered for late answers.
const LATE_CANDIDATES_MAX: usize = 1000;

/// Where one segment of a message in flight stands.
#[derive(Debug, Clone)]
enum Segment {
    /// Waits to be written, or for its answer.
    Pending,
    /// The carrier took it in an earlier attempt.
    TakenBefore,
    /// Was never written, and will not be in this attempt.
    Unsent,
    /// Its answer did not come in time, or the session ended before.
    InDoubt,
    Answered {
        answer: SegmentAnswer,
        /// What it holds until its result is durable.
        holds: Freed,
        /// The store has been given it.
        recorded: bool,
    },
}

impl Segment {
    const fn answered(answer: SegmentAnswer, holds: Freed) -> Self {
        Self::Answered {
            answer,
            holds,
            recorded: false,
        }
    }
}

/// New answers of a message whose other segments are still under way.
#[derive(Debug)]
pub(crate) struct PartialResult {
    pub(crate) id: MessageId,
    pub(crate) attempt: AttemptId,
    /// Attempts that count before this one.
    pub(crate) attempts: u8,
    pub(crate) attempted_at: UnixMs,
    pub(crate) stats_key: StatsKey,
    pub(crate) answer: Answer,
    pub(crate) freed: Freed,
}

/// One message in flight.
#[derive(Debug)]
pub(crate) struct InFlight {
    serial: u64,
    pub(crate) message: Outgoing,
    pub(crate) attempt: AttemptId,
    pub(crate) attempted_at: UnixMs,
    segments: SmallVec<[Segment; 1]>,
    /// How they were made, kept with their answers; `None` when there is but one.
    segmentation: Option<Box<[u8]>>,
    pending: usize,
    /// What is to be freed once the result is durable.
    pub(crate) freed: Freed,
}

/// What a durable result frees.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Freed {
    /// Slots of the bind's window.
    pub(crate) slots: usize,
    /// Segments that no longer count as in flight.
    pub(crate) segments: usize,
}

impl Freed {
    /// What a segment holds that was written.
    const WRITTEN: Self = Self {
        slots: 1,
        segments: 1,
    };
    /// What a segment holds that was not.
    const UNWRITTEN: Self = Self {
        slots: 0,
        segments: 1,
    };
}

impl std::ops::SubAssign for Freed {
    fn sub_assign(&mut self, less: Self) {
        self.slots -= less.slots;
        self.segments -= less.segments;
    }
}

impl std::ops::AddAssign for Freed {
    fn add_assign(&mut self, more: Self) {
        self.slots += more.slots;
        self.segments += more.segments;
    }
}

impl InFlight {
    /// The answers of this attempt, in the order of the segments.
    pub(crate) fn answers(&self) -> impl Iterator<Item = &SegmentAnswer> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Answered { answer, .. } => Some(answer),
            _ => None,
        })
    }

    /// Whether the carrier has every segment, from this attempt or earlier ones.
    pub(crate) fn is_all_taken(&self) -> bool {
        self.segments.iter().all(|segment| match segment {
            Segment::Answered { answer, .. } => answer.status == 0,
            Segment::TakenBefore => true,
            _ => false,
        })
    }

    /// Whether the carrier has some segment: then the others cannot go elsewhere.
    pub(crate) fn is_partly_taken(&self) -> bool {
        self.segments.iter().any(|segment| match segment {
            Segment::Answered { answer, .. } => answer.status == 0,
            Segment::TakenBefore => true,
            _ => false,
        })
    }

    pub(crate) fn is_in_doubt(&self) -> bool {
        self.segments
            .iter()
            .any(|segment| matches!(segment, Segment::InDoubt))
    }

    /// Whether nothing of it was written in this attempt.
    pub(crate) fn is_unsent(&self) -> bool {
        self.segments
            .iter()
            .all(|segment| matches!(segment, Segment::Unsent | Segment::TakenBefore))
    }

    /// What the store is to know of the answers.
    pub(crate) fn answer(&self) -> Answer {
        match self.segments.as_slice() {
            [Segment::Answered { answer, .. }] => Answer::Single(answer.clone()),
            [Segment::Unsent] => Answer::NotSent,
            [_] => Answer::None,
            _ if self.is_unsent() => Answer::NotSent,
            _ if self.answers().next().is_none() => Answer::None,
            segments => Answer::Segments {
                answers: segments
                    .iter()
                    .map(|segment| match segment {
                        Segment::Answered { answer, .. } => Some(answer.clone()),
                        _ => None,
                    })
                    .collect(),
                lost: self.is_in_doubt(),
                segmentation: self.segmentation.clone(),
            },
        }
    }
}

const SEGMENT_BITS: u32 = 8;

/// The token of one segment of a message.
const fn token(serial: u64, index: usize) -> u64 {
    serial << SEGMENT_BITS | index as u64
}

/// The message of a token.
pub(crate) const fn serial_of(token: u64) -> u64 {
    token >> SEGMENT_BITS
}

const fn index_of(token: u64) -> usize {
    (token & ((1 << SEGMENT_BITS) - 1)) as usize
}

impl InFlightWindow {
    /// Puts a message of `total` segments in flight, made as `segmentation` says. Gives the tokens of those that are to
    /// be sent, with their indexes: all that no earlier attempt has given to the carrier.
    pub(crate) fn insert(
        &mut self,
        message: Outgoing,
        attempt: AttemptId,
        total: usize,
        segmentation: Option<Box<[u8]>>,
        now: UnixMs,
    ) -> SmallVec<[(usize, u64); 1]> {
        *self.open.entry(attempt).or_default() += 1;
        self.serial += 1;
        let serial = self.serial;
        // Cut into another number of segments than the carrier has some of, and how is not known: all goes again.
        let taken = message
            .taken
            .as_deref()
            .map(|taken| taken.segments)
            .filter(|taken| usize::from(taken.total()) == total);
        let mut segments: SmallVec<[Segment; 1]> = (0..total)
            .map(|index| match taken {
                Some(taken) if taken.contains(index) => Segment::TakenBefore,
                _ => Segment::Pending,
            })
            .collect();
        if !segments.iter().any(|segment| matches!(segment, Segment::Pending)) {
            // Recorded as taken whole and yet to be sent: no way leads here, but a message must never be stuck in flight.
            segments
                .iter_mut()
                .for_each(|segment| *segment = Segment::Pending);
        }
        let tokens: SmallVec<[(usize, u64); 1]> = segments
            .iter()
            .enumerate()
            .filter(|(_, segment)| matches!(segment, Segment::Pending))
            .map(|(index, _)| (index, token(serial, index)))
            .collect();
        self.segments += tokens.len();
        let in_flight = InFlight {
            serial,
            message,
            attempt,
            attempted_at: now,
            pending: tokens.len(),
            segments,
            segmentation,
            freed: Freed {
                slots: 0,
                segments: tokens.len(),
            },
        };
        self.messages.insert(serial, in_flight);
        tokens
    }

    /// Whether the time to live of a message in flight has ended before the carrier has answered, or failed to answer,
    /// any of its segments in this attempt.
    pub(crate) fn is_expired(&self, serial: u64, now: UnixMs) -> bool {
        self.messages.get(&serial).is_some_and(|in_flight| {
            in_flight.message.is_expired(now)
                && !in_flight
                    .segments
                    .iter()
                    .any(|segment| matches!(segment, Segment::Answered { .. } | Segment::InDoubt))
        })
    }

    /// How many segments of a message wait to be written or answered.
    pub(crate) fn pending(&self, serial: u64) -> usize {
        self.messages
            .get(&serial)
            .map_or(0, |in_flight| in_flight.pending)
    }

    /// An answer came. Gives the message back when it is over.
    pub(crate) fn answer(&mut self, token: u64, answer: SegmentAnswer) -> Option<InFlight> {
        self.settle(token, Segment::answered(answer, Freed::WRITTEN), 1)
    }

    /// No answer came in time, or ever will. Gives the message back when it is over, and what is free at once while it is
    /// not: that the segment is in doubt is what an attempt without a result says already, and the message's other
    /// segments may be waiting for its slot.
    pub(crate) fn in_doubt(&mut self, token: u64) -> (Option<InFlight>, Freed) {
        let pending = self.pending(serial_of(token));
        let over = self.settle(token, Segment::InDoubt, 1);
        let mut freed = Freed::default();
        if let Some(in_flight) = self.messages.get_mut(&serial_of(token))
            && in_flight.pending < pending
        {
            in_flight.freed -= Freed::WRITTEN;
            freed = Freed::WRITTEN;
        }
        (over, freed)
    }

    /// A segment was not written. Gives the message back when it is over.
    pub(crate) fn unsent(&mut self, token: u64) -> Option<InFlight> {
        self.settle(token, Segment::Unsent, 0)
    }

    /// An answer of our own for a segment that cannot be sent: it holds no slot of the window.
    pub(crate) fn refuse_unsent(&mut self, token: u64, answer: SegmentAnswer) -> Option<InFlight> {
        self.settle(token, Segment::answered(answer, Freed::UNWRITTEN), 0)
    }

    fn settle(&mut self, token: u64, segment: Segment, slots: usize) -> Option<InFlight> {
        let serial = serial_of(token);
        let in_flight = self.messages.get_mut(&serial)?;
        let place = in_flight.segments.get_mut(index_of(token))?;
        if !matches!(place, Segment::Pending) {
            return None;
        }
        let is_answer = matches!(segment, Segment::Answered { .. });
        *place = segment;
        in_flight.freed.slots += slots;
        in_flight.pending -= 1;
        if in_flight.pending == 0 {
            return self.messages.remove(&serial);
        }
        if is_answer {
            self.note_unrecorded(serial);
        }
        None
    }

    fn note_unrecorded(&mut self, serial: u64) {
        if self.unrecorded.last() != Some(&serial) {
            self.unrecorded.push(serial);
        }
    }

    /// An answer after its deadline. Gives a message back that was held for it; one still in flight takes it in.
    pub(crate) fn late(&mut self, token: u64, answer: SegmentAnswer) -> Option<InFlight> {
        // It held nothing any more.
        let answered = Segment::answered(answer, Freed::default());
        let serial = serial_of(token);
        if let Some(in_flight) = self.messages.get_mut(&serial) {
            if let Some(place @ Segment::InDoubt) = in_flight.segments.get_mut(index_of(token)) {
                *place = answered;
                self.note_unrecorded(serial);
            }
            return None;
        }
        let at = self
            .late_candidates
            .iter()
            .position(|held| held.serial == serial)?;
        let mut held = self.late_candidates.remove(at)?;
        match held.segments.get_mut(index_of(token)) {
            Some(place @ Segment::InDoubt) => {
                *place = answered;
                Some(held)
            }
            _ => {
                self.late_candidates.insert(at, held);
                None
            }
        }
    }

    /// Remembers a message that is held in doubt, in case its answers come late.
    pub(crate) fn hold(&mut self, mut message: InFlight) {
        if self.late_candidates.len() >= LATE_CANDIDATES_MAX {
            self.late_candidates.pop_front();
        }
        message.freed = Freed::default();
        self.late_candidates.push_back(message);
    }

    /// The answers that the store has not been given of messages whose other segments are under way.
    pub(crate) fn record_partly(&mut self) -> Vec<PartialResult> {
        let mut results = Vec::new();
        for serial in self.unrecorded.drain(..) {
            let Some(in_flight) = self.messages.get_mut(&serial) else {
                continue;
            };
            let mut freed = Freed::default();
            let mut is_new = false;
            let mut answers = Vec::with_capacity(in_flight.segments.len());
            for segment in &mut in_flight.segments {
                answers.push(match segment {
                    Segment::Answered {
                        answer,
                        holds,
                        recorded,
                    } if !*recorded => {
                        *recorded = true;
                        is_new = true;
                        freed += *holds;
                        Some(answer.clone())
                    }
                    _ => None,
                });
            }
            if !is_new {
                continue;
            }
            in_flight.freed -= freed;
            results.push(PartialResult {
                id: in_flight.message.id,
                attempt: in_flight.attempt,
                attempts: in_flight.message.attempts,
                attempted_at: in_flight.attempted_at,
                stats_key: in_flight.message.stats_key(),
                answer: Answer::Segments {
                    answers,
                    lost: false,
                    segmentation: in_flight.segmentation.clone(),
                },
                freed,
            });
        }
        results
    }

    /// Whether some answers could be recorded before their messages are over.
    pub(crate) fn has_unrecorded(&self) -> bool {
        !self.unrecorded.is_empty()
    }

    /// Everything that is still in flight, when the session is over: what has no answer is in doubt.
    pub(crate) fn abandon(&mut self) -> Vec<InFlight> {
        let left = self.messages.drain().map(|(_, mut in_flight)| {
            for segment in &mut in_flight.segments {
                if matches!(segment, Segment::Pending) {
                    *segment = Segment::InDoubt;
                }
            }
            in_flight
        });
        left.collect()
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

    /// Results are durable: their segments no longer count.
    pub(crate) fn release(&mut self, freed: Freed) {
        self.segments = self.segments.saturating_sub(freed.segments);
    }

    /// Segments in flight or waiting for their result to be durable, those included that wait to be written.
    pub(crate) fn segments(&self) -> usize {
        self.segments
    }

    /// True when nothing is in flight and every result is durable.
    pub(crate) fn is_empty(&self) -> bool {
        self.messages.is_empty() && self.segments == 0
    }
}
