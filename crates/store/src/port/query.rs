//! Reading back: messages, their batch and their timeline.

use super::{AccountId, BatchId, CarrierNo, Dialect, DimensionsNo, MessageId, UnixMs};
use sms::class::{Class, Kind};
use sms::phone::Msisdn;
use sms::reason::Reason;
use sms::state::MessageState;
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

/// What is common to the messages of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchView {
    /// The batch: its first message.
    pub id: BatchId,
    /// The first message of its session.
    pub session: MessageId,
    /// Messages in it.
    pub count: u32,
    /// When it was accepted, by the machine's clock then. The id only orders: its time may differ.
    pub accepted_at: UnixMs,
    /// Whose.
    pub account: AccountId,
    /// The wire it came on.
    pub dialect: Dialect,
    /// The public part of the credential it came with; empty when there was none.
    pub user: Arc<str>,
    /// By which its messages are counted.
    pub dimensions: DimensionsNo,
    /// Traffic class.
    pub class: Class,
    /// Text or voice.
    pub kind: Kind,
    /// The kind of message that the request named, by the number of its dialect; `None` where it named none, and in
    /// batches of earlier releases.
    pub message_type: Option<u8>,
    /// Number of the template (negative: built in; 0: none).
    pub template: i64,
    /// Pattern or final text.
    pub text: Arc<str>,
    /// Source address that the request named.
    pub sender: Option<Box<str>>,
    /// Label number, 0 for none.
    pub label: i64,
    /// The caller's own data (JSON text).
    pub custom: Option<Box<str>>,
    /// When it is to be sent, when not at once.
    pub due: Option<UnixMs>,
    /// When what still waits of it ends unsent; `None` for never.
    pub expires_at: Option<UnixMs>,
}

impl BatchView {
    /// Whether what still waits of the batch is over at `now`: it must not be sent any more.
    #[must_use]
    pub fn is_expired(&self, now: UnixMs) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }
}

/// One message with its present state.
#[derive(Debug, Clone)]
pub struct MessageView {
    /// Its id.
    pub id: MessageId,
    /// Its batch.
    pub batch: Arc<BatchView>,
    /// The number.
    pub msisdn: Msisdn,
    /// The number as written by the caller.
    pub written: Box<str>,
    /// Values for the pattern (JSON array of strings).
    pub params: Option<Box<str>>,
    /// Per-recipient data of the caller (JSON object).
    pub extra: Option<Box<str>>,
    /// Parts it is sent as.
    pub segments: u8,
    /// State now.
    pub state: MessageState,
    /// The carrier last tried, or the one it waits for.
    pub carrier: CarrierNo,
    /// Attempts so far.
    pub attempts: u8,
    /// When a carrier took it.
    pub submitted_at: Option<UnixMs>,
    /// When the state last changed.
    pub changed_at: UnixMs,
    /// Carrier status of the last answer (SMPP `command_status`), 0 when none or fine.
    pub status: u32,
    /// Error code: the receipt's own, or the decimal code of a failure in processing.
    pub error: Box<str>,
    /// What the carrier's settings said that the receipt's error code means, when it came.
    pub cause: Option<Reason>,
    /// Whether a receipt brought the state.
    pub by_receipt: bool,
}

/// One segment of a message as the carrier knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentView {
    /// The carrier's id, normalised.
    pub carrier_id: Box<str>,
    /// Its state.
    pub state: MessageState,
    /// The carrier's error code.
    pub error: Box<str>,
}

/// Where to look for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageSpan {
    /// Among these ids.
    Ids(RangeInclusive<MessageId>),
    /// Accepted within this span of time, by [`BatchView::accepted_at`].
    Accepted(Range<UnixMs>),
}

impl MessageSpan {
    /// Everywhere.
    pub const ALL: Self = Self::Ids(RangeInclusive::new(MessageId(0), MessageId(i64::MAX)));

    /// Whether a message lies in it.
    #[must_use]
    pub fn contains(&self, message: &MessageView) -> bool {
        match self {
            Self::Ids(ids) => ids.contains(&message.id),
            Self::Accepted(span) => span.contains(&message.batch.accepted_at),
        }
    }
}

impl From<RangeInclusive<MessageId>> for MessageSpan {
    fn from(ids: RangeInclusive<MessageId>) -> Self {
        Self::Ids(ids)
    }
}

impl From<Range<UnixMs>> for MessageSpan {
    fn from(span: Range<UnixMs>) -> Self {
        Self::Accepted(span)
    }
}

/// Which messages to find.
#[derive(Debug, Clone)]
pub struct MessageFilter {
    /// Only these numbers (empty: all); answered from the number runs.
    pub numbers: Vec<Msisdn>,
    /// Only these states (empty: all).
    pub states: Vec<MessageState>,
    /// Only these dialects (empty: all).
    pub dialects: Vec<Dialect>,
    /// Only this template.
    pub template: Option<i64>,
    /// Only these labels (empty: all).
    pub labels: Vec<i64>,
    /// Only this kind.
    pub kind: Option<Kind>,
    /// How many matches to skip.
    pub offset: u64,
    /// How many to return at most.
    pub limit: usize,
    /// Counting of matches stops here.
    pub count_max: u64,
}

/// One entry of a message's timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimelineEntry {
    /// When.
    pub at: UnixMs,
    /// What.
    pub kind: TimelineKind,
}

/// What can be in a message's timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TimelineKind {
    /// Accepted and stored.
    Accepted,
    /// Given to a carrier.
    Attempt {
        /// Which attempt it was.
        no: u8,
        /// To whom.
        carrier: CarrierNo,
        /// Through which bind.
        bind: u16,
    },
    /// The carrier answered.
    Answered {
        /// Who.
        carrier: CarrierNo,
        /// `command_status` of the first segment that failed, or 0.
        status: u32,
        /// The carrier's ids of the segments it took.
        carrier_ids: Vec<Box<str>>,
    },
    /// No answer came.
    Unanswered {
        /// Who owed it.
        carrier: CarrierNo,
    },
    /// It went to another carrier than the one it waited for: that one was away. The time is that of the next attempt.
    FailedOver {
        /// The carrier it waited for.
        from: CarrierNo,
        /// The carrier it went to.
        to: CarrierNo,
    },
    /// It waits to be tried again.
    Requeued {
        /// For whom.
        carrier: CarrierNo,
        /// Until when.
        due: UnixMs,
    },
    /// A receipt came.
    Receipt {
        /// From whom.
        carrier: CarrierNo,
        /// Segment, from 1.
        segment: u8,
        /// The state it reported.
        state: MessageState,
        /// The carrier's error code.
        error: Box<str>,
    },
    /// The id of its request was used again with other content: nothing was sent for that. The time is that of the last.
    RequestIdReused {
        /// How often.
        times: u32,
    },
    /// The message came to a state.
    State(MessageState),
    /// Its time to live ended while it waited, and it was not sent (again).
    Expired {
        /// The carrier it waited for.
        carrier: CarrierNo,
        /// An earlier attempt had no answer, so a copy may have been delivered: the message ends as
        /// [`MessageState::Unknown`], otherwise as [`MessageState::Expired`].
        in_doubt: bool,
    },
}

/// How many messages are where. Approximate for `queued` right after a start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Waiting in lanes.
    pub queued: u64,
    /// Waiting for their time (schedules and retries).
    pub delayed: u64,
    /// Given to a carrier, no answer recorded.
    pub in_flight: u64,
    /// Receipts that wait for their message.
    pub unmatched_receipts: u64,
}
