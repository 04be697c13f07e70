//! Reasons why a recipient was refused or a message failed: one stable code, one name and one sentence for each cause.
//!
//! Codes and names are part of the public interface (webhooks, `postrider status --json`, metrics, logs): a code never
//! gets a second meaning. `docs/errors.md` lists all of them with what to do.

use crate::state::MessageState;
use std::fmt;

macro_rules! reasons {
    ($($name:ident = $code:literal, $text:literal, $sentence:literal;)+) => {
        /// Why a recipient was refused (1000 to 1999), or why an accepted message failed, is in doubt or has an unknown
        /// outcome (2000 to 2999).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        #[repr(u16)]
        pub enum Reason {
            $(#[doc = $sentence] $name = $code,)+
        }

        impl Reason {
            /// All reasons, by code.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The name in snake_case, the same in JSON, metrics and logs.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }

            /// One English sentence for people.
            #[must_use]
            pub const fn sentence(self) -> &'static str {
                match self {
                    $(Self::$name => $sentence,)+
                }
            }
        }
    };
}

reasons! {
    NumberMissing = 1001, "number_missing", "The recipient has no phone number.";
    NumberInvalid = 1002, "number_invalid", "The recipient is not a phone number in a form that this API accepts.";
    NumberDuplicate = 1003, "number_duplicate", "The same number stands earlier in the request.";
    BlockedGlobally = 1101, "blocked_globally", "The number is blocked for all accounts.";
    BlockedByAccount = 1102, "blocked_by_account", "The number is on the account's block list.";
    Unsubscribed = 1103, "unsubscribed", "The recipient unsubscribed from the account's messages.";
    Suppressed = 1104, "suppressed", "The number is on a suppression list.";
    LimitPerMinute = 1201, "limit_per_minute", "The number has had as many messages within a minute as the account allows.";
    LimitPerDay = 1202, "limit_per_day", "The number has had as many messages within a day as the account allows.";
    BalanceTooLow = 1203, "balance_too_low", "The account's balance does not cover the request.";
    AccountSuspended = 1204, "account_suspended", "The account may not send.";
    AccountUnknown = 1205, "account_unknown", "The account does not exist any more.";
    TemplateUnknown = 1301, "template_unknown", "The account has no such template.";
    TemplateNotApproved = 1302, "template_not_approved", "The template is not approved.";
    SenderInvalid = 1303, "sender_invalid", "The sender is malformed, cannot be sent, or is not one of the account's.";
    SignatureInvalid = 1304, "signature_invalid", "The account has no such signature, or it is not approved.";
    ValueMissing = 1305, "value_missing", "A variable of the template has no value.";
    ValueSurplus = 1306, "value_surplus", "There are more values than the template has variables.";
    ValueTooLong = 1307, "value_too_long", "A value is longer than this API allows.";
    ValueHasLink = 1308, "value_has_link", "A value contains a link, which this API does not allow.";
    TextTooLong = 1309, "text_too_long", "The text is longer than may be sent.";
    ContentForbidden = 1310, "content_forbidden", "The text contains a word that may not be sent.";
    RecipientDataInvalid = 1311, "recipient_data_invalid", "The data given with the recipient is malformed.";
    NoRoute = 1401, "no_route", "No route leads to a carrier for this number, class and kind of message.";
    RefusedInternalError = 1901, "refused_internal_error", "The recipient was refused because of an internal error.";
    CarrierRefusedNumber = 2001, "carrier_refused_number", "The carrier refused the recipient's number.";
    CarrierRefusedSender = 2002, "carrier_refused_sender", "The carrier refused the sender.";
    CarrierRefusedContent = 2003, "carrier_refused_content", "The carrier refused the length or the coding of the text.";
    CarrierRefusedBlocked = 2004, "carrier_refused_blocked", "The carrier refused the message: the number is on its block list.";
    CarrierRefusedUnsubscribed = 2005, "carrier_refused_unsubscribed", "The carrier refused the message: the recipient unsubscribed.";
    CarrierRefusedFrequency = 2006, "carrier_refused_frequency", "The carrier refused the message: the number has had too many messages.";
    CarrierRefused = 2010, "carrier_refused", "The carrier refused the message.";
    CarrierFailed = 2011, "carrier_failed", "The carrier did not accept the message in any of the attempts allowed.";
    CarrierCongested = 2012, "carrier_congested", "The carrier was too busy for the message in every attempt.";
    CarrierSession = 2013, "carrier_session", "The carrier does not allow this connection to send.";
    NoAnswer = 2101, "no_answer", "The carrier's answer was lost, and no attempt is left: it may have the message or not.";
    InDoubt = 2102, "in_doubt", "The carrier's answer was lost: it may have the message or not, and the carrier's policy holds the message.";
    NotDelivered = 2201, "not_delivered", "The network reported that the message could not be delivered.";
    RejectedByNetwork = 2202, "rejected_by_network", "The network reported that it rejected the message.";
    ExpiredAtCarrier = 2203, "expired_at_carrier", "The network reported that the message expired before it was delivered.";
    UnknownAtCarrier = 2204, "unknown_at_carrier", "The network reported that it does not know what became of the message.";
    PhoneUnreachable = 2205, "phone_unreachable", "The network reported that the phone could not be reached.";
    PhoneOff = 2206, "phone_off", "The network reported that the phone is switched off or suspended.";
    NumberNotAssigned = 2207, "number_not_assigned", "The network reported that the number does not exist.";
    NumberOutOfService = 2208, "number_out_of_service", "The network reported that the number is out of service or suspended.";
    BlockedByNetwork = 2209, "blocked_by_network", "The network reported that it blocks messages to the number.";
    PhoneBusy = 2210, "phone_busy", "The network reported that the phone was busy.";
    PhoneNotAnswered = 2211, "phone_not_answered", "The network reported that the phone was not answered.";
    ContentComplained = 2212, "content_complained", "The network reported complaints about the content of the message.";
    PhoneFaulty = 2213, "phone_faulty", "The network reported that the phone is out of order.";
    PhoneOutOfCoverage = 2214, "phone_out_of_coverage", "The network reported that the phone was out of coverage.";
    NoReceipt = 2301, "no_receipt", "The carrier took the message, and no delivery receipt came in time.";
    ExpiredBeforeSent = 2302, "expired_before_sent", "The message's time to live ended before a carrier took it.";
    Cancelled = 2303, "cancelled", "The message was cancelled before it was sent.";
    ExpiredInDoubt = 2304, "expired_in_doubt", "The message's time to live ended while the answer to an attempt was missing: it may have been delivered.";
    InternalError = 2901, "internal_error", "The message failed because of an internal error.";
}

impl Reason {
    /// The stable number.
    #[must_use]
    pub const fn code(self) -> u16 {
        self as u16
    }

    /// The reason with that number; `None` for an unknown number.
    #[must_use]
    pub fn from_code(code: u16) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.code() == code)
    }

    /// The reasons that a carrier's settings may map an error code of its receipts to.
    pub const OF_RECEIPTS: &'static [Self] = &[
        Self::NotDelivered,
        Self::RejectedByNetwork,
        Self::ExpiredAtCarrier,
        Self::PhoneUnreachable,
        Self::PhoneOff,
        Self::NumberNotAssigned,
        Self::NumberOutOfService,
        Self::BlockedByNetwork,
        Self::PhoneBusy,
        Self::PhoneNotAnswered,
        Self::ContentComplained,
        Self::PhoneFaulty,
        Self::PhoneOutOfCoverage,
    ];

    /// The reason of [`OF_RECEIPTS`](Self::OF_RECEIPTS) with that name.
    #[must_use]
    pub fn of_receipt_named(name: &str) -> Option<Self> {
        Self::OF_RECEIPTS
            .iter()
            .copied()
            .find(|reason| reason.name() == name)
    }

    /// Whether it is a reason to refuse a recipient before anything is stored.
    #[must_use]
    pub const fn is_refusal(self) -> bool {
        self.code() < 2000
    }

    /// Why an accepted message is in its state; `None` for states that need no reason.
    #[must_use]
    pub fn of(facts: Facts<'_>) -> Option<Self> {
        let Facts { state, error, .. } = facts;
        Some(match state {
            MessageState::Queued
            | MessageState::InFlight
            | MessageState::Submitted
            | MessageState::Delivered => {
                return None;
            }
            MessageState::InDoubt => Self::InDoubt,
            MessageState::Cancelled => Self::Cancelled,
            MessageState::Undelivered | MessageState::Rejected | MessageState::Expired
                if facts.cause.is_some() =>
            {
                return facts.cause;
            }
            MessageState::Unknown if facts.by_receipt => Self::UnknownAtCarrier,
            MessageState::Unknown if error.trim() == Self::ExpiredInDoubt.name() => Self::ExpiredInDoubt,
            MessageState::Unknown if facts.is_submitted => Self::NoReceipt,
            MessageState::Unknown => Self::NoAnswer,
            // A message that was never submitted to a carrier has the code that it was accepted with.
            MessageState::Rejected if facts.attempts == 0 => Self::of_processing(error),
            MessageState::Expired if facts.by_receipt => Self::ExpiredAtCarrier,
            MessageState::Expired => Self::ExpiredBeforeSent,
            MessageState::Undelivered | MessageState::Rejected if facts.by_receipt => {
                Self::of_receipt(state, error)
            }
            MessageState::Undelivered | MessageState::Rejected if facts.status != 0 => {
                Self::of_status(facts.status)
            }
            MessageState::Undelivered | MessageState::Rejected if !error.trim().is_empty() => {
                Self::of_receipt(state, error)
            }
            MessageState::Undelivered | MessageState::Rejected if facts.is_submitted => Self::NotDelivered,
            MessageState::Undelivered | MessageState::Rejected => Self::NoAnswer,
        })
    }

    /// The reason of a code of a failure in processing (410 to 469): such a message is accepted and fails at once.
    fn of_processing(error: &str) -> Self {
        match error.trim().parse::<u16>() {
            Ok(410) => Self::BlockedGlobally,
            Ok(420) => Self::BlockedByAccount,
            Ok(430) => Self::Unsubscribed,
            Ok(440) => Self::ContentForbidden,
            Ok(450) => Self::ValueMissing,
            Ok(460) => Self::TextTooLong,
            _ => Self::InternalError,
        }
    }

    /// The reason in a receipt of a message that was not delivered. Error codes differ between networks, but four
    /// digits are those of EngageLab's OTP product, which the built-in sandbox uses.
    fn of_receipt(state: MessageState, error: &str) -> Self {
        match (error.trim(), state) {
            ("5012", _) => Self::PhoneUnreachable,
            ("5018", _) => Self::PhoneOff,
            (_, MessageState::Rejected) => Self::RejectedByNetwork,
            _ => Self::NotDelivered,
        }
    }

    /// The reason in a `command_status` (SMPP 3.4 section 5.1.3) that ended a message.
    fn of_status(status: u32) -> Self {
        match status {
            0x0B | 0x33 | 0x34 | 0x50 | 0x51 => Self::CarrierRefusedNumber,
            0x0A | 0x48 | 0x49 => Self::CarrierRefusedSender,
            0x01 | 0x104 => Self::CarrierRefusedContent,
            0x14 | 0x58 => Self::CarrierCongested,
            0x08 | 0x45 | 0x64 | 0xFE | 0xFF | 0x102 => Self::CarrierFailed,
            0x04 | 0x05 | 0x0D | 0x0E | 0x0F | 0x53 | 0x100 | 0x101 | 0x103 => Self::CarrierSession,
            SANDBOX_BLOCKED => Self::CarrierRefusedBlocked,
            SANDBOX_UNSUBSCRIBED => Self::CarrierRefusedUnsubscribed,
            SANDBOX_TOO_OFTEN => Self::CarrierRefusedFrequency,
            _ => Self::CarrierRefused,
        }
    }
}

/// Status with which the built-in sandbox refuses a blocked number. The sandbox's own statuses are above all that
/// carriers use (0x400 to 0x4FF, SMPP 3.4 section 5.1.3); their last digits are the codes of EngageLab's OTP product.
pub const SANDBOX_BLOCKED: u32 = 0xFFFF_5013;
/// Status with which the built-in sandbox refuses an unsubscribed number.
pub const SANDBOX_UNSUBSCRIBED: u32 = 0xFFFF_5019;
/// Status with which the built-in sandbox refuses a number that had too many messages.
pub const SANDBOX_TOO_OFTEN: u32 = 0xFFFF_3004;

/// The name of one of the sandbox's own statuses.
#[must_use]
pub const fn sandbox_status_name(status: u32) -> Option<&'static str> {
    match status {
        SANDBOX_BLOCKED => Some("SANDBOX_BLOCKED"),
        SANDBOX_UNSUBSCRIBED => Some("SANDBOX_UNSUBSCRIBED"),
        SANDBOX_TOO_OFTEN => Some("SANDBOX_TOO_OFTEN"),
        _ => None,
    }
}

/// The stored facts that determine the reason of a message.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The state of the message.
    pub state: MessageState,
    /// Attempts so far.
    pub attempts: u8,
    /// `command_status` of the last response; 0 if there is none or it was a success.
    pub status: u32,
    /// The receipt's error code, or the decimal code of a failure in processing.
    pub error: &'a str,
    /// The reason that the carrier's settings map the receipt's error code to; one of [`Reason::OF_RECEIPTS`].
    pub cause: Option<Reason>,
    /// Whether a receipt set the state.
    pub by_receipt: bool,
    /// Whether a carrier accepted the message.
    pub is_submitted: bool,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests;
