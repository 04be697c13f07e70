//! Events: the outbox of an account, in the order of commits.
//!
//! An event is written in the transaction of the change it describes, so one cannot be there without the other. The
//! log is kept per account and read forward; each endpoint has an acked offset in it. So a million events that wait
//! cost disk and no memory, and a replay sets the offset back.

use super::{AccountId, MessageId, Review, UnixMs};
use serde::{Deserialize, Serialize};
use sms::state::MessageState;
use std::fmt;
use std::ops::BitOr;

/// Which events are meant. The stored number is a sum of the constants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventKinds(pub u8);

impl EventKinds {
    /// None.
    pub const NONE: Self = Self(0);
    /// A batch was accepted and stored.
    pub const ACCEPTED: Self = Self(1);
    /// A carrier took a message.
    pub const SUBMITTED: Self = Self(2);
    /// A message came to a final state, or a later receipt corrected that state.
    pub const ENDED: Self = Self(4);
    /// A person wrote.
    pub const INBOUND: Self = Self(8);
    /// A template or signature was reviewed.
    pub const REVIEWED: Self = Self(16);
    /// All of them.
    pub const ALL: Self = Self(31);

    /// Whether all of `kinds` are among these.
    #[must_use]
    pub const fn contains(self, kinds: Self) -> bool {
        self.0 & kinds.0 == kinds.0
    }
}

impl BitOr for EventKinds {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// An offset in an account's log: the row, and the event within it. A row holds the events that one group commit has
/// for one account (very many of them continue in the next row). Rows are numbered in commit order, with gaps, and no
/// number is reused, not even when all rows have been deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct EventOffset {
    /// The row, from 1.
    pub row: i64,
    /// The event within it, from 0.
    pub index: u32,
}

impl fmt::Display for EventOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.row, self.index)
    }
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Where it stands; with the account, what makes it single.
    pub offset: EventOffset,
    /// When it happened, Unix milliseconds. Events are in the order they were recorded: the event of an unmatched
    /// receipt comes after that of the answer that matched it.
    pub at: UnixMs,
    /// What happened.
    pub what: EventWhat,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventWhat {
    /// A batch was stored: `count` messages from `first` on.
    Accepted {
        /// The batch.
        first: MessageId,
        /// Messages in it.
        count: u32,
    },
    /// A message came to a state: [`MessageState::Submitted`] or a final one.
    Message {
        /// Which.
        id: MessageId,
        /// The state it came to; the message itself may be further on by now.
        state: MessageState,
        /// The error code, as in [`super::MessageView::error`].
        error: Box<str>,
    },
    /// A person wrote.
    Inbound {
        /// Which.
        id: InboundId,
    },
    /// A template was reviewed.
    TemplateReviewed {
        /// Its number.
        number: i64,
        /// How it ended.
        review: Review,
    },
    /// A signature was reviewed.
    SignatureReviewed {
        /// Its id.
        id: i64,
        /// How it ended.
        review: Review,
    },
}

impl EventWhat {
    /// The kind it is of.
    #[must_use]
    pub const fn kind(&self) -> EventKinds {
        match self {
            Self::Accepted { .. } => EventKinds::ACCEPTED,
            Self::Message {
                state: MessageState::Submitted,
                ..
            } => EventKinds::SUBMITTED,
            Self::Message { .. } => EventKinds::ENDED,
            Self::Inbound { .. } => EventKinds::INBOUND,
            Self::TemplateReviewed { .. } | Self::SignatureReviewed { .. } => EventKinds::REVIEWED,
        }
    }

    /// The message it is about, if it is about one: events of one message are delivered in their order.
    #[must_use]
    pub const fn message(&self) -> Option<MessageId> {
        match self {
            Self::Message { id, .. } => Some(*id),
            _ => None,
        }
    }
}

/// One inbound message: see [`super::Inbound`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InboundId(pub i64);

/// The id of an endpoint that receives events of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EndpointId(pub u32);

/// Where, and in what format, events of an account are sent. Part of the catalog.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Its id, unique in the store.
    pub id: EndpointId,
    /// Whose.
    pub account: AccountId,
    /// Its name, unique within the account.
    pub name: Box<str>,
    /// The form of its calls, by a name that the dialects give (`sendcloud`, `engagelab`, `standard`, ..).
    pub format: Box<str>,
    /// Where it is called; empty for one whose client pulls instead (UCloud's `PullUSMSReport`).
    pub url: Box<str>,
    /// The events it subscribes to.
    pub kinds: EventKinds,
    /// The format's own settings.
    pub settings: serde_json::Value,
    /// Its secret, sealed by the caller with the master key; empty for none.
    pub sealed_secret: Vec<u8>,
    /// False when switched off: events are logged meanwhile, and delivered once it is on again.
    pub enabled: bool,
}

/// How far an endpoint is. Kept beside the catalog, for it changes all the time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointState {
    /// Which.
    pub endpoint: EndpointId,
    /// The last event that was delivered or scheduled for a retry; those after it are still to be delivered.
    pub acked_offset: EventOffset,
    /// Why it is called no more for now.
    pub pause: Option<Pause>,
    /// Since when every call has failed.
    pub failing_since: Option<UnixMs>,
    /// Failed calls that wait for a retry.
    pub waiting: u64,
    /// Dead calls: those whose last retry failed.
    pub dead: u64,
    /// The last call that failed, however many were taken since.
    pub last_error: Option<LastError>,
}

/// A call that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastError {
    /// When.
    pub at: UnixMs,
    /// The failure, as a text for people.
    pub message: Box<str>,
}

/// Why an endpoint is not called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Since when.
    pub since: UnixMs,
    /// When it is tried again by itself; `None`: when somebody says so.
    pub until: Option<UnixMs>,
    /// As a text for people.
    pub reason: Box<str>,
}

/// A failed call that waits for its retry, or is dead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryRetry {
    /// Its number within the endpoint, in the order of the first tries.
    pub no: i64,
    /// The events it delivers, in order. Copied from the log, so it outlives it.
    pub events: Vec<Event>,
    /// Calls made so far.
    pub tries: u16,
    /// When it is due; [`i64::MAX`] for a dead one.
    pub due: UnixMs,
    /// When it was first tried.
    pub first_tried_at: UnixMs,
    /// What the last call came to, in words.
    pub error: Box<str>,
}

/// Selects retries of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryRetryFilter {
    /// Those due at a time or before, the longest due first.
    Due(UnixMs),
    /// All that are still to be tried, by number.
    Waiting,
    /// Dead ones, by number.
    Dead,
}

/// What an endpoint's worker has done. One command is one transaction.
#[derive(Debug, Clone, Default)]
pub struct RecordDelivery {
    /// Whose; a command without one is refused. Of an endpoint that has been removed nothing is recorded.
    pub endpoint: Option<EndpointId>,
    /// How far it is now, when that changed. May go back (a replay).
    pub acked_offset: Option<EventOffset>,
    /// Calls to retry from now on; their numbers are assigned in this order.
    pub deferred: Vec<NewDeliveryRetry>,
    /// Calls that are done.
    pub settled: Vec<i64>,
    /// Calls that failed again.
    pub retried: Vec<Retried>,
    /// `Some` sets or lifts the pause.
    pub pause: Option<Option<Pause>>,
    /// `Some` sets or clears [`EndpointState::failing_since`].
    pub failing_since: Option<Option<UnixMs>>,
    /// `Some` replaces [`EndpointState::last_error`].
    pub last_error: Option<LastError>,
}

/// A failed call to retry.
#[derive(Debug, Clone)]
pub struct NewDeliveryRetry {
    /// The events it delivers.
    pub events: Vec<Event>,
    /// Calls made so far; 0 for one that only waits behind another of its message.
    pub tries: u16,
    /// When it is due; [`i64::MAX`] for one that is given up at once.
    pub due: UnixMs,
    /// When it was first tried.
    pub first_tried_at: UnixMs,
    /// What the call came to, in words.
    pub error: Box<str>,
}

/// A call whose retry failed again, or that is to be retried by hand.
#[derive(Debug, Clone)]
pub struct Retried {
    /// Its number.
    pub no: i64,
    /// Calls made so far.
    pub tries: u16,
    /// When it is due; [`i64::MAX`] gives it up.
    pub due: UnixMs,
    /// What the last call came to, in words.
    pub error: Box<str>,
}
