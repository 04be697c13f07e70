//! Where a message stands, and what a carrier's receipt says about that.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where one message, or one segment of it, stands. The numbers are stored and never change.
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
    /// Accepted and stored; waits for its time, its turn or another try.
    Queued = 0,
    /// An attempt is recorded; the carrier has not answered yet.
    InFlight = 1,
    /// The carrier's answer never came: it may have the message or not. The carrier's policy decides.
    InDoubt = 2,
    /// The carrier took the message; a receipt is awaited.
    Submitted = 3,
    /// The handset has it. Final.
    Delivered = 4,
    /// The carrier gave up on the recipient. Final.
    Undelivered = 5,
    /// The carrier, or we, refused it. Final.
    Rejected = 6,
    /// Its validity ended before it was delivered. Final.
    Expired = 7,
    /// The carrier will not say, or its receipt never came. Final, until a definite receipt still comes.
    Unknown = 8,
    /// Withdrawn before it left. Final.
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

    /// The state stored as `number`; `None` for a number no state has.
    #[must_use]
    pub fn from_u8(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// Whether the message's way ends here: its batch may be closed and its outcome reported.
    ///
    /// [`Unknown`](Self::Unknown) counts, because somebody waits for the batch to close and the carrier may
    /// never say more; it is the one final state that a later definite receipt corrects (see
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

    /// Whether a message that stands here may next stand at `next`.
    ///
    /// Staying is no transition: a repeated receipt changes nothing, so `s.may_become(s)` is always false.
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        use MessageState::{
            Cancelled, Delivered, Expired, InDoubt, InFlight, Queued, Rejected, Submitted, Undelivered,
            Unknown,
        };
        match self {
            // `Rejected`: no route is left, or a check made at sending time refuses it. `Submitted` and
            // `Delivered`: an earlier attempt that was in doubt turns out well, and no second copy need leave.
            // Its bad news, though, must not end a message that is to be tried again.
            Queued => matches!(
                next,
                InFlight | Submitted | Delivered | Rejected | Expired | Cancelled
            ),
            // Back to `Queued` on a temporary error. A window lost with its session leaves `InDoubt`.
            // `Delivered` as above.
            InFlight => matches!(
                next,
                Queued | InDoubt | Submitted | Delivered | Rejected | Expired
            ),
            // `Queued` by the policy `resend`; `Submitted` and `Rejected` by an answer that came late; the rest
            // by a receipt that names the message, or by an operator who settles what is held.
            InDoubt => matches!(
                next,
                Queued | Submitted | Delivered | Undelivered | Rejected | Expired | Unknown | Cancelled
            ),
            Submitted => matches!(next, Delivered | Undelivered | Rejected | Expired | Unknown),
            // Only a definite receipt corrects it: `Unknown` said that nothing was known, so nothing is taken back.
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

/// Where a message stands when its segments stand at `segments`, given in their order.
///
/// The handset shows nothing whole until it has every segment, so the message is delivered only when all are.
/// The first segment that failed, in the order of the message, decides how the message failed, at once: whatever
/// the others do, the text will not be read. A segment that is [`Unknown`](MessageState::Unknown) gives way to a
/// definite failure and to segments that are still under way. Else the segment least far along tells where
/// the message waits. Without segments the message is [`Queued`](MessageState::Queued).
#[must_use]
pub fn aggregate(segments: &[MessageState]) -> MessageState {
    use MessageState::{Delivered, Queued, Unknown};
    if let Some(&failure) = segments.iter().find(|s| s.is_failure()) {
        return failure;
    }
    // The least far along of those still waiting: the numbers of the waiting states rise along the way.
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

/// What a receipt says: the state in the carrier's own words.
///
/// SMPP 3.4 section 5.2.28 with the two that version 5.0 (section 4.7.15) adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptState {
    /// Under way. Not final.
    Enroute,
    /// The handset has it.
    Delivered,
    /// Its validity ended.
    Expired,
    /// Deleted at the carrier.
    Deleted,
    /// Cannot be delivered.
    Undeliverable,
    /// Taken on the recipient's behalf, as by a customer service desk. Not final: `Delivered` may follow.
    Accepted,
    /// The carrier does not know.
    Unknown,
    /// Refused by the carrier.
    Rejected,
    /// Waits at the carrier for its time (5.0). Not final.
    Scheduled,
    /// Left out by the carrier on purpose (5.0).
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

    /// The state a receipt text's `stat` word means, whatever its case and its blanks, hyphens and underscores;
    /// `None` for a word outside the known ones.
    ///
    /// Beside the seven-letter words of SMPP 3.4 Appendix B these are full words, which some carriers do not cut,
    /// spellings that are met, and words of gateways that keep to no standard: `FAILED` is an end, `BUFFERED` and
    /// `ACKED` are none.
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

    /// The state that settings name: [`name`](Self::name), or `undelivered`, as messages have it.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        if name == MessageState::Undelivered.name() {
            return Some(Self::Undeliverable);
        }
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// The word a receipt text carries for the state, seven letters.
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

    /// The state the `message_state` parameter (0x0427) gives as `value`; `None` for a reserved value.
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

    /// Whether no further receipt is to be expected.
    #[must_use]
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Enroute | Self::Accepted | Self::Scheduled)
    }

    /// The message state the receipt gives; a receipt that is not final says no more than
    /// [`Submitted`](MessageState::Submitted).
    #[must_use]
    pub const fn message_state(self) -> MessageState {
        match self {
            Self::Enroute | Self::Accepted | Self::Scheduled => MessageState::Submitted,
            Self::Delivered => MessageState::Delivered,
            Self::Expired => MessageState::Expired,
            // Deleted or skipped at the carrier: it was taken and will not arrive.
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

/// Whether two words are the same but for case and what is neither letter nor digit.
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
