//! Receipts: what a carrier reports about a message it took.

use super::{CarrierNo, MessageId, UnixMs};
use sms::receipt::CarrierId;
use sms::state::{MessageState, ReceiptState};

/// One receipt, read from the wire.
#[derive(Debug, Clone)]
pub struct CarrierReceipt {
    /// Who reports.
    pub carrier: CarrierNo,
    /// The carrier's id of the segment, normalised.
    pub carrier_id: CarrierId,
    /// What it says.
    pub state: ReceiptState,
    /// The carrier's own error code, as written (empty when none); at most 32 octets are kept.
    pub error: Box<str>,
    /// When it came.
    pub received_at: UnixMs,
}

/// What a receipt came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReceiptFate {
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
    /// No message is known by that id (yet): kept until one is, or until it expires.
    Parked,
}
