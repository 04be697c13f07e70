//! Attempts: what was given to a carrier, and what it answered.

use super::{AttemptId, CarrierNo, MessageId, QueuePosition, StatsKey, UnixMs};
use sms::receipt::CarrierId;
use sms::state::MessageState;

/// Messages about to leave through one bind. Durable before the first octet of them is written.
#[derive(Debug, Clone)]
pub struct AttemptStart {
    /// The carrier they go to (may differ from the lane's after a failover).
    pub carrier: CarrierNo,
    /// Which bind of the carrier.
    pub bind: u16,
    /// When.
    pub now: UnixMs,
    /// The messages, in the order they are taken from their places.
    pub messages: Vec<MessageId>,
    /// What is taken off the queue.
    pub consumed: Vec<DequeuedRange>,
}

/// An attempt that was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BegunAttempt {
    /// Its id.
    pub id: AttemptId,
    /// Messages of the start that waited no longer at the place named for them (they expired meanwhile, or were taken
    /// before): not part of the attempt, and never to be sent by it. Nearly always empty.
    pub gone: Vec<MessageId>,
}

impl BegunAttempt {
    /// Drops what is not part of the attempt.
    pub fn retain(&self, messages: &mut Vec<super::Outgoing>) {
        if !self.gone.is_empty() {
            messages.retain(|message| self.gone.binary_search(&message.id).is_err());
        }
    }
}

/// A run of messages taken from one place in a lane.
///
/// Runs may be taken from a place in any order (two binds of a carrier, or another carrier after a
/// failover, take from the same batch), so the store removes exactly this run and keeps what is left on
/// either side of it waiting. It never takes the order of calls for the order of ids: what was not named
/// stays queued, or a kill between two calls would lose it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DequeuedRange {
    /// The place.
    pub key: QueuePosition,
    /// First message taken.
    pub first: MessageId,
    /// Last message taken, inclusive.
    pub last: MessageId,
}

/// A group of results from one or more attempts.
#[derive(Debug, Clone, Default)]
pub struct RecordResults {
    /// One for each message.
    pub outcomes: Vec<AttemptOutcome>,
    /// Attempts all of whose messages now have an outcome recorded (by this call or before).
    pub closed: Vec<AttemptId>,
}

/// What came of giving one message to a carrier.
#[derive(Debug, Clone)]
pub struct AttemptOutcome {
    /// The message.
    pub id: MessageId,
    /// The attempt it was part of.
    pub attempt: AttemptId,
    /// The carrier.
    pub carrier: CarrierNo,
    /// How many attempts the message has had, this one included.
    pub attempts: u8,
    /// When it was given to the carrier.
    pub attempted_at: UnixMs,
    /// When the answer (or its absence) was known.
    pub answered_at: UnixMs,
    /// What the carrier said.
    pub answer: Answer,
    /// What follows.
    pub next: Next,
    /// By which it is counted. With [`StatsKey::default`] the store looks the key up, which costs two reads (messages
    /// left in doubt by a kill).
    pub stats_key: StatsKey,
}

/// A carrier's answer to one message.
#[derive(Debug, Clone)]
pub enum Answer {
    /// What is new of each segment of a message of several, in order: its answer, or `None` for a segment that was not
    /// written, whose answer never came, or that an earlier result says was taken. What was recorded as taken stays so.
    Segments {
        /// One a segment.
        answers: Vec<Option<SegmentAnswer>>,
        /// Whether the answer to one of them was lost, so that the carrier may have it.
        lost: bool,
        /// How the segments were made, in the engine's notation: a handset joins only what was cut alike. Kept while
        /// some have been taken and others have not, at most 255 octets.
        segmentation: Option<Box<[u8]>>,
    },
    /// A message of one segment: the common case, without a list.
    Single(SegmentAnswer),
    /// No answer came: the session ended or the deadline passed.
    None,
    /// It was never written (the session ended before): not an attempt at all.
    NotSent,
}

impl Answer {
    /// The answers to the segments of a message of several, none of which was lost.
    #[must_use]
    pub const fn segments(answers: Vec<Option<SegmentAnswer>>) -> Self {
        Self::Segments {
            answers,
            lost: false,
            segmentation: None,
        }
    }

    /// Whether the carrier may have something that it has not answered.
    #[must_use]
    pub const fn is_lost(&self) -> bool {
        matches!(self, Self::None | Self::Segments { lost: true, .. })
    }
}

/// The answer to one segment.
#[derive(Debug, Clone)]
pub struct SegmentAnswer {
    /// SMPP `command_status`, 0 for accepted.
    pub status: u32,
    /// The id by which the carrier's receipts will name it, normalised; absent when it gave none.
    pub carrier_id: Option<CarrierId>,
}

/// What follows from an attempt.
///
/// The store ends a message instead of letting it wait for a [`Next::Retry`] that is due at or after the end of its
/// time to live ([`super::NewBatch::expires_at`]); [`ResultEffect::state`] has the state it came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Some segments have an answer, others of the same attempt are still to be written or answered: the attempt stays
    /// open, and the answers given are durable, so that their window slots may be used again.
    /// [`AttemptOutcome::attempts`] does not count this attempt yet.
    Partly,
    /// The carrier took it: wait for receipts.
    Submitted,
    /// It ends here, in a final state.
    Final(MessageState),
    /// It waits again, for `carrier`, until `due`. [`AttemptOutcome::attempts`] says whether the attempt counts.
    Retry {
        /// When it may be tried again.
        due: UnixMs,
        /// In whose lane it waits then.
        carrier: CarrierNo,
    },
    /// Nobody knows whether the carrier has it, and the carrier's policy is to hold.
    InDoubt,
}

/// What recording a result came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResultEffect {
    /// The message's state now: an unmatched receipt may have ended it already.
    pub state: MessageState,
}

/// An attempt that was begun and has messages without an outcome.
#[derive(Debug, Clone)]
pub struct OpenAttempt {
    /// The attempt.
    pub attempt: AttemptId,
    /// Its carrier.
    pub carrier: CarrierNo,
    /// Its bind.
    pub bind: u16,
    /// When it began.
    pub at: UnixMs,
    /// The messages without an outcome of this attempt, with the attempts they had before it.
    pub messages: Vec<(MessageId, u8)>,
}
