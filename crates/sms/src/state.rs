//! The state of a message, and the state that a carrier's receipt reports.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The state of one message, or of one of its segments. The numbers are stored and never change.
///
/// ```text
/// Queued ─► InFlight ─► Submitted ─► Delivered | Undelivered | Rejected | Expired | Unknown
///    ▲         │  └──► InDoubt ──┘
///    └─────────┴──────────┘
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum MessageState {
    /// Accepted and stored; waits for its scheduled time, its turn or a retry.
    Queued = 0,
    /// An attempt is recorded; the carrier has not responded yet.
    InFlight = 1,
    /// The carrier's response is missing: it may have the message or not. The carrier's policy decides.
    InDoubt = 2,
    /// The carrier accepted the message; a receipt is pending.
    Submitted = 3,
    /// The handset has the message. Final.
    Delivered = 4,
    /// The carrier could not deliver to the recipient. Final.
    Undelivered = 5,
    /// The carrier or this node refused the message. Final.
    Rejected = 6,
    /// Its validity ended before it was delivered. Final.
    Expired = 7,
    /// The carrier does not report the state, or no receipt came. Final, unless a definite receipt comes later.
    Unknown = 8,
    /// Withdrawn before it was sent. Final.
    Cancelled = 9,
}

impl MessageState {
    /// All states; `ALL[s.as_u8() as usize] == s`.
    pub const ALL: [Self; 10] = [
        Self::Queued,
        Self::InFlight,
        Self::InDoubt,
        Self::Submitted,
        Self::Delivered,
        Self::Undelivered,
        Self::Rejected,
        Self::Expired,
        Self::Unknown,
        Self::Cancelled,
    ];

    /// The number the state is stored as.
    #[must_use]
    pub const fn as_u8(self) -> u8 {
        self as u8
    }

    /// The state stored as `number`; `None` for an unknown number.
    #[must_use]
    pub fn from_u8(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// Whether the state is final: the batch may be closed and the outcome reported.
    ///
    /// [`Unknown`](Self::Unknown) is final, because clients wait for the batch to close and the carrier may never
    /// report more. It is the one final state that a later definite receipt corrects (see
    /// [`may_become`](Self::may_become)).
    #[must_use]
    pub const fn is_final(self) -> bool {
        match self {
            Self::Queued | Self::InFlight | Self::InDoubt | Self::Submitted => false,
            Self::Delivered
            | Self::Undelivered
            | Self::Rejected
            | Self::Expired
            | Self::Unknown
            | Self::Cancelled => true,
        }
    }

    /// Whether the message certainly was not, and will not be, delivered.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        matches!(
            self,
            Self::Undelivered | Self::Rejected | Self::Expired | Self::Cancelled
        )
    }

    /// Whether a message in this state may change to `next`.
    ///
    /// No change is no transition: a repeated receipt changes nothing, so `s.may_become(s)` is always false.
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        use MessageState::{
            Cancelled, Delivered, Expired, InDoubt, InFlight, Queued, Rejected, Submitted, Undelivered,
            Unknown,
        };
        match self {
            // `Rejected`: no route is left, or a check at sending time refuses it. `Submitted` and `Delivered`: an
            // earlier attempt that was in doubt has succeeded, and no second copy is needed. A failure of that attempt,
            // though, must not end a message that will be retried.
            Queued => matches!(
                next,
                InFlight | Submitted | Delivered | Rejected | Expired | Cancelled
            ),
            // Back to `Queued` on a temporary error. A request in flight when the session is lost is `InDoubt`.
            // `Delivered` as above.
            InFlight => matches!(
                next,
                Queued | InDoubt | Submitted | Delivered | Rejected | Expired
            ),
            // `Queued` by the policy `resend`; `Submitted` and `Rejected` by a late response; the rest by a receipt for
            // the message, or by an operator who resolves a held message.
            InDoubt => matches!(
                next,
                Queued | Submitted | Delivered | Undelivered | Rejected | Expired | Unknown | Cancelled
            ),
            Submitted => matches!(next, Delivered | Undelivered | Rejected | Expired | Unknown),
            // Only a definite receipt corrects it: `Unknown` reported no outcome, so nothing is revoked.
            Unknown => matches!(next, Delivered | Undelivered | Rejected | Expired),
            Delivered | Undelivered | Rejected | Expired | Cancelled => false,
        }
    }

    /// The state's name in configuration, metrics and the admin API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::InFlight => "in_flight",
            Self::InDoubt => "in_doubt",
            Self::Submitted => "submitted",
            Self::Delivered => "delivered",
            Self::Undelivered => "undelivered",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Unknown => "unknown",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for MessageState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The state of a message whose segments have the states `segments`, in their order.
///
/// The handset shows a message only when it has every segment, so the message is delivered only when all are. The first
/// failed segment, in the order of the message, determines the failure, at once: the text cannot be read whatever the
/// other states. A segment that is [`Unknown`](MessageState::Unknown) yields to a definite failure and to segments that
/// are not final. Otherwise the least advanced segment determines the state. Without segments the message is
/// [`Queued`](MessageState::Queued).
#[must_use]
pub fn aggregate(segments: &[MessageState]) -> MessageState {
    use MessageState::{Delivered, Queued, Unknown};
    if let Some(&failure) = segments.iter().find(|s| s.is_failure()) {
        return failure;
    }
    // The least advanced of the segments that are not final: the numbers of these states rise with their order.
    if let Some(&waiting) = segments.iter().filter(|s| !s.is_final()).min() {
        return waiting;
    }
    if segments.contains(&Unknown) {
        Unknown
    } else if segments.is_empty() {
        Queued
    } else {
        Delivered
    }
}

/// The state that a receipt reports, in the terms of SMPP.
///
/// SMPP 3.4 section 5.2.28 with the two that version 5.0 (section 4.7.15) adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptState {
    /// Under way. Not final.
    Enroute,
    /// The handset has the message.
    Delivered,
    /// Its validity ended.
    Expired,
    /// Deleted at the carrier.
    Deleted,
    /// Cannot be delivered.
    Undeliverable,
    /// Accepted on the recipient's behalf, as by customer service. Not final: `Delivered` may follow.
    Accepted,
    /// The carrier does not know.
    Unknown,
    /// Refused by the carrier.
    Rejected,
    /// Waits at the carrier for its time (5.0). Not final.
    Scheduled,
    /// Not sent by the carrier, on purpose (5.0).
    Skipped,
}

impl ReceiptState {
    /// All states.
    pub const ALL: [Self; 10] = [
        Self::Enroute,
        Self::Delivered,
        Self::Expired,
        Self::Deleted,
        Self::Undeliverable,
        Self::Accepted,
        Self::Unknown,
        Self::Rejected,
        Self::Scheduled,
        Self::Skipped,
    ];

    /// The state of a receipt text's `stat` word, compared without case, blanks, hyphens and underscores; `None` for an
    /// unknown word.
    ///
    /// In addition to the seven-letter words of SMPP 3.4 Appendix B these are full words, which some carriers do not
    /// truncate, other spellings in use, and words of gateways that follow no standard: `FAILED` is final, `BUFFERED`
    /// and `ACKED` are not.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        const WORDS: [(&str, ReceiptState); 45] = [
            ("DELIVRD", ReceiptState::Delivered),
            ("UNDELIV", ReceiptState::Undeliverable),
            ("EXPIRED", ReceiptState::Expired),
            ("REJECTD", ReceiptState::Rejected),
            ("ACCEPTD", ReceiptState::Accepted),
            ("ENROUTE", ReceiptState::Enroute),
            ("UNKNOWN", ReceiptState::Unknown),
            ("DELETED", ReceiptState::Deleted),
            ("SCHEDLD", ReceiptState::Scheduled),
            ("SKIPPED", ReceiptState::Skipped),
            ("DELIVERED", ReceiptState::Delivered),
            ("DELIVER", ReceiptState::Delivered),
            ("DELIVERD", ReceiptState::Delivered),
            ("DELIVRED", ReceiptState::Delivered),
            ("DELIVD", ReceiptState::Delivered),
            ("UNDELIVERABLE", ReceiptState::Undeliverable),
            ("UNDELIVERED", ReceiptState::Undeliverable),
            ("UNDELIVRD", ReceiptState::Undeliverable),
            ("UNDELIVD", ReceiptState::Undeliverable),
            ("UNDLVRD", ReceiptState::Undeliverable),
            ("FAILED", ReceiptState::Undeliverable),
            ("FAIL", ReceiptState::Undeliverable),
            ("FAILURE", ReceiptState::Undeliverable),
            ("EXPIRD", ReceiptState::Expired),
            ("REJECTED", ReceiptState::Rejected),
            ("REJECT", ReceiptState::Rejected),
            ("REJCTD", ReceiptState::Rejected),
            ("CANCELED", ReceiptState::Deleted),
            ("CANCELLED", ReceiptState::Deleted),
            ("ACCEPTED", ReceiptState::Accepted),
            ("ACCEPT", ReceiptState::Accepted),
            ("ACKED", ReceiptState::Accepted),
            ("ACK", ReceiptState::Accepted),
            ("ENROUT", ReceiptState::Enroute),
            ("INROUTE", ReceiptState::Enroute),
            ("BUFFERED", ReceiptState::Enroute),
            ("BUFFERD", ReceiptState::Enroute),
            ("BUFFRED", ReceiptState::Enroute),
            ("BUFFRD", ReceiptState::Enroute),
            ("QUEUED", ReceiptState::Enroute),
            ("PENDING", ReceiptState::Enroute),
            ("SENT", ReceiptState::Enroute),
            ("SUBMITTED", ReceiptState::Enroute),
            ("SUBMITD", ReceiptState::Enroute),
            ("SCHEDULED", ReceiptState::Scheduled),
        ];
        WORDS
            .iter()
            .find(|(known, _)| same_word(known, word))
            .map(|&(_, state)| state)
    }

    /// The state with this name in settings: [`name`](Self::name), or `undelivered`, the name in message states.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        if name == MessageState::Undelivered.name() {
            return Some(Self::Undeliverable);
        }
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// The seven-letter word of the state in a receipt text.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Enroute => "ENROUTE",
            Self::Delivered => "DELIVRD",
            Self::Expired => "EXPIRED",
            Self::Deleted => "DELETED",
            Self::Undeliverable => "UNDELIV",
            Self::Accepted => "ACCEPTD",
            Self::Unknown => "UNKNOWN",
            Self::Rejected => "REJECTD",
            Self::Scheduled => "SCHEDLD",
            Self::Skipped => "SKIPPED",
        }
    }

    /// The state of the `message_state` parameter (0x0427) with this `value`; `None` for a reserved value.
    #[must_use]
    pub const fn from_message_state(value: u8) -> Option<Self> {
        match value {
            0 => Some(Self::Scheduled),
            1 => Some(Self::Enroute),
            2 => Some(Self::Delivered),
            3 => Some(Self::Expired),
            4 => Some(Self::Deleted),
            5 => Some(Self::Undeliverable),
            6 => Some(Self::Accepted),
            7 => Some(Self::Unknown),
            8 => Some(Self::Rejected),
            9 => Some(Self::Skipped),
            _ => None,
        }
    }

    /// The value of the `message_state` parameter (0x0427) for the state.
    #[must_use]
    pub const fn as_message_state(self) -> u8 {
        match self {
            Self::Scheduled => 0,
            Self::Enroute => 1,
            Self::Delivered => 2,
            Self::Expired => 3,
            Self::Deleted => 4,
            Self::Undeliverable => 5,
            Self::Accepted => 6,
            Self::Unknown => 7,
            Self::Rejected => 8,
            Self::Skipped => 9,
        }
    }

    /// Whether no further receipt is expected.
    #[must_use]
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Enroute | Self::Accepted | Self::Scheduled)
    }

    /// The message state of the receipt; a receipt that is not final yields no more than
    /// [`Submitted`](MessageState::Submitted).
    #[must_use]
    pub const fn message_state(self) -> MessageState {
        match self {
            Self::Enroute | Self::Accepted | Self::Scheduled => MessageState::Submitted,
            Self::Delivered => MessageState::Delivered,
            Self::Expired => MessageState::Expired,
            // Deleted or skipped at the carrier: accepted, but never delivered.
            Self::Deleted | Self::Skipped | Self::Undeliverable => MessageState::Undelivered,
            Self::Unknown => MessageState::Unknown,
            Self::Rejected => MessageState::Rejected,
        }
    }

    /// The state's name in metrics and the admin API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Enroute => "enroute",
            Self::Delivered => "delivered",
            Self::Expired => "expired",
            Self::Deleted => "deleted",
            Self::Undeliverable => "undeliverable",
            Self::Accepted => "accepted",
            Self::Unknown => "unknown",
            Self::Rejected => "rejected",
            Self::Scheduled => "scheduled",
            Self::Skipped => "skipped",
        }
    }
}

/// Whether two words are equal without case and without characters that are neither letters nor digits.
pub(crate) fn same_word(one: &str, other: &str) -> bool {
    fn letters(word: &str) -> impl Iterator<Item = u8> + '_ {
        word.bytes()
            .filter(|octet| octet.is_ascii_alphanumeric() || !octet.is_ascii())
            .map(|octet| octet.to_ascii_uppercase())
    }
    letters(one).eq(letters(other))
}

impl fmt::Display for ReceiptState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests;
