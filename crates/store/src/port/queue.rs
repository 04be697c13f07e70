//! The queue: lanes of waiting messages.
//!
//! A lane is what waits for one carrier, of one class, from one account. Lanes are kept apart so that
//! a carrier that is away blocks nobody else, and so that fairness needs no search. What waits is kept as *ranges* of ids: a batch of
//! a thousand is one row, and taking some of it moves the range's start.

use super::{AccountId, AttemptId, BatchView, CarrierNo, MessageId, QueueSeq, StatsKey, UnixMs};
use sms::class::Class;
use sms::phone::Msisdn;
use sms::reason::Reason;
use std::sync::Arc;

/// One lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lane {
    /// The carrier it waits for: the first of its route.
    pub carrier: CarrierNo,
    /// Traffic class.
    pub class: Class,
    /// Whose.
    pub account: AccountId,
}

/// One place in a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueuePosition {
    /// The lane.
    pub lane: Lane,
    /// The place.
    pub no: QueueSeq,
}

/// A range of messages waiting at one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueuedRange {
    /// Where.
    pub key: QueuePosition,
    /// First message.
    pub first: MessageId,
    /// Last message, inclusive.
    pub last: MessageId,
    /// Index of the command's batch the range came from (for [`super::OnCommit`]).
    pub batch: u32,
}

/// One message ready to be submitted, with all that is needed for it.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Its id.
    pub id: MessageId,
    /// The place it is taken from.
    pub key: QueuePosition,
    /// The number.
    pub msisdn: Msisdn,
    /// Values for the batch's pattern (JSON array of strings).
    pub params: Option<Box<str>>,
    /// What is common to its batch.
    pub batch: Arc<BatchView>,
    /// SMS parts it was accepted as.
    pub segments: u8,
    /// What ties its parts together should it be sent as several: given when it was accepted as such, so the same
    /// over retries, carriers and restarts, else [`MessageId::derived_reference`].
    pub reference: u16,
    /// Attempts made before.
    pub attempts: u8,
    /// The attempt it was last part of, when it is sent again.
    pub last_attempt: Option<AttemptId>,
    /// What the lane's carrier has taken of it in earlier attempts. `None`: no segment.
    pub taken: Option<Box<TakenSegments>>,
}

/// What a carrier has of a message of several segments: only the others are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenSegments {
    /// Which segments.
    pub segments: SegmentSet,
    /// See [`super::Answer::Segments`]: the others must be made alike.
    pub segmentation: Option<Box<[u8]>>,
}

/// Some of the at most 255 segments of a message, by their index from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentSet {
    bits: [u64; 4],
    /// Segments the message has.
    total: u8,
}

impl SegmentSet {
    /// No segment of a message of `total`.
    #[must_use]
    pub const fn none(total: u8) -> Self {
        Self { bits: [0; 4], total }
    }

    /// Segments the message has, in the set or not.
    #[must_use]
    pub const fn total(&self) -> u8 {
        self.total
    }

    /// Adds a segment; indexes at or beyond [`Self::total`] are ignored.
    pub fn insert(&mut self, index: usize) {
        if index < usize::from(self.total)
            && let Some(word) = self.bits.get_mut(index / 64)
        {
            *word |= 1 << (index % 64);
        }
    }

    /// Whether a segment is in the set.
    #[must_use]
    pub fn contains(&self, index: usize) -> bool {
        self.bits
            .get(index / 64)
            .is_some_and(|word| word & 1 << (index % 64) != 0)
    }

    /// Segments in the set.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bits.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether no segment is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bits == [0; 4]
    }
}

/// The error of a message that ended because its time to live did, before any carrier had it. Distinguishes it from
/// one that a carrier's receipt ended as expired.
pub const EXPIRED_UNSENT: &str = Reason::ExpiredBeforeSent.name();
/// The error of a message whose time to live ended before it could be sent again, while an earlier attempt had no
/// answer: nobody knows whether it was delivered.
pub const EXPIRED_IN_DOUBT: &str = Reason::ExpiredInDoubt.name();

/// Where a sweep for expired messages goes on: the next message to look at.
pub type ExpirySweep = (QueuePosition, MessageId);

/// What one step of a sweep for expired messages came to.
#[derive(Debug, Clone, Default)]
pub struct SweptExpired {
    /// What ended, by the lane it waited in.
    pub ended: Vec<LaneBacklog>,
    /// Where to go on; `None` when all that waits in lanes was looked at.
    pub next: Option<ExpirySweep>,
}

impl Outgoing {
    /// Whether it must not be sent any more.
    #[must_use]
    pub fn is_expired(&self, now: UnixMs) -> bool {
        self.batch.is_expired(now)
    }

    /// Segments that are still to be sent, at least 1: what it costs of a window, a rate and a fair turn.
    #[must_use]
    pub fn segments_left(&self) -> usize {
        let taken = self.taken.as_ref().map_or(0, |taken| taken.segments.len());
        usize::from(self.segments).saturating_sub(taken).max(1)
    }

    /// By which it is counted.
    #[must_use]
    pub fn stats_key(&self) -> StatsKey {
        StatsKey {
            dimensions: self.batch.dimensions,
            country: self.msisdn.country_code().unwrap_or(0),
            segments: self.segments,
        }
    }
}

/// How much waits in a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneBacklog {
    /// The lane.
    pub lane: Lane,
    /// Messages waiting.
    pub messages: u64,
}

/// What [`super::Store::release_due`] moved.
#[derive(Debug, Clone, Default)]
pub struct Released {
    /// Lanes that got messages, with how many.
    pub lanes: Vec<LaneBacklog>,
    /// True when more is due already.
    pub more: bool,
    /// When the next one is due.
    pub next_due: Option<UnixMs>,
}

/// Runs on the store's own thread right after a release was committed, in commit order with
/// [`super::OnCommit`]; it must be short and must not call the store.
pub type OnRelease = Box<dyn FnOnce(&Released) + Send>;
