//! Receipts: what a carrier reports about a message it took.

use super::{CarrierNo, MessageId, UnixMs};
use sms::reason::Reason;
use sms::receipt::CarrierId;
use sms::state::{MessageState, ReceiptState};

/// One receipt, read from the wire.
#[derive(Debug, Clone)]
pub struct CarrierReceipt {
    /// Who reports.
    pub carrier: CarrierNo,
    /// The carrier's id of the segment, normalised.
    pub carrier_id: CarrierId,
    /// Other ids it may mean, tried in order after that one: the first that is known counts. At most
    /// [`sms::receipt::OTHER_IDS_MAX`].
    pub other_ids: Vec<CarrierId>,
    /// What it is about.
    pub scope: ReceiptScope,
    /// What it says.
    pub state: ReceiptState,
    /// The carrier's own error code, as written (empty when none); at most 32 octets are kept.
    pub error: Box<str>,
    /// What the carrier's settings say that code means.
    pub cause: Option<Reason>,
    /// When it came.
    pub received_at: UnixMs,
    /// It is a receipt only if one of its ids is known: otherwise nothing of it is stored
    /// ([`ReceiptEffect::Unmatched`]).
    pub only_if_known: bool,
}

impl CarrierReceipt {
    /// A receipt with one id, for the segment of that id.
    #[must_use]
    pub fn new(
        carrier: CarrierNo,
        carrier_id: CarrierId,
        state: ReceiptState,
        error: Box<str>,
        received_at: UnixMs,
    ) -> Self {
        Self {
            carrier,
            carrier_id,
            other_ids: Vec::new(),
            scope: ReceiptScope::Segment,
            state,
            error,
            cause: None,
            received_at,
            only_if_known: false,
        }
    }

    /// All ids it may mean, the most likely first.
    pub fn ids(&self) -> impl Iterator<Item = &CarrierId> {
        std::iter::once(&self.carrier_id).chain(&self.other_ids)
    }
}

/// What a receipt is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ReceiptScope {
    /// The segment with its id.
    #[default]
    Segment,
    /// The whole message of which a segment has its id: what is final ends all segments that still wait.
    Message,
}

/// What a receipt came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReceiptEffect {
    /// It changed or confirmed a message that was waiting for it.
    Applied {
        /// The message.
        id: MessageId,
        /// The message's state now.
        state: MessageState,
    },
    /// The message was in a final state already; nothing changed.
    Repeated {
        /// The message.
        id: MessageId,
    },
    /// No message is known by its ids (yet): kept until one is, or until it expires.
    StoredUnmatched,
    /// No message is known by its ids, and only then is it a receipt: nothing was kept.
    Unmatched,
}
