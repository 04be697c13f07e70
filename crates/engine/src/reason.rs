//! The reason of a message as clients and operators get it: see [`sms::reason`] and docs/errors.md.

use serde::Serialize;
use smpp::status::CommandStatus;
use sms::reason::{Facts, Reason, sandbox_status_name};
use sms::state::MessageState;
use store::MessageView;

/// Why a message failed, is in doubt, or has an unknown end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReasonView {
    /// The stable number, 2000 to 2999, or 1000 to 1999 for messages that were accepted and failed at once.
    pub code: u16,
    /// The stable name in snake_case.
    pub name: &'static str,
    /// The carrier's last `command_status`, unless that was 0 or none.
    pub carrier_status: Option<u32>,
    /// The name that SMPP gives that status; `None` for carriers' own codes.
    pub carrier_status_name: Option<&'static str>,
    /// One English sentence, with the network's error code when there is one.
    pub message: String,
    #[serde(skip)]
    reason: ReasonCode,
}

/// The reason behind a [`ReasonView`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ReasonCode(Reason);

impl ReasonView {
    /// The reason of a message as it is now; `None` for one that needs none.
    #[must_use]
    pub fn of(message: &MessageView) -> Option<Self> {
        Self::at(message, message.state, &message.error)
    }

    /// The reason of a message in a state that an event gives; by now the message may be further on.
    #[must_use]
    pub fn at(message: &MessageView, state: MessageState, error: &str) -> Option<Self> {
        // A later receipt corrects an unknown end: what is stored of it belongs to the later state.
        let is_present = state == message.state;
        let reason = Reason::of(Facts {
            state,
            attempts: message.attempts,
            status: if is_present { message.status } else { 0 },
            error,
            cause: if is_present { message.cause } else { None },
            by_receipt: is_present && message.by_receipt,
            is_submitted: message.submitted_at.is_some(),
        })?;
        Some(Self::new(reason, message.status, error))
    }

    fn new(reason: Reason, status: u32, error: &str) -> Self {
        let carrier_status = Some(status).filter(|&status| status != 0);
        let error = error.trim();
        let sentence = reason.sentence();
        let message = match carrier_status {
            Some(status) => with_detail(sentence, &described(status)),
            None if is_of_receipt(reason) && !error.bytes().all(|octet| octet == b'0') => {
                with_detail(sentence, &format!("network error {error}"))
            }
            None => sentence.to_owned(),
        };
        Self {
            code: reason.code(),
            name: reason.name(),
            carrier_status,
            carrier_status_name: carrier_status.and_then(status_name),
            message,
            reason: ReasonCode(reason),
        }
    }

    /// The reason itself.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        self.reason.0
    }
}

/// The name of a carrier's `command_status`; `None` for a code of the carrier's own.
#[must_use]
pub fn status_name(status: u32) -> Option<&'static str> {
    CommandStatus(status)
        .name()
        .or_else(|| sandbox_status_name(status))
}

/// The status with its name and meaning, as far as SMPP defines them.
#[must_use]
pub fn described(status: u32) -> String {
    let name = status_name(status).unwrap_or("command_status");
    match CommandStatus(status).meaning() {
        Some(meaning) => format!("{name} 0x{status:X}: {meaning}"),
        None => format!("{name} 0x{status:X}"),
    }
}

fn is_of_receipt(reason: Reason) -> bool {
    (2200..2300).contains(&reason.code())
}

fn with_detail(sentence: &str, detail: &str) -> String {
    format!("{} ({detail}).", sentence.trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_has_what_the_carrier_said() {
        let refused = ReasonView::new(Reason::CarrierRefusedNumber, 0x0B, "");
        assert_eq!(
            refused.message,
            "The carrier refused the recipient's number (ESME_RINVDSTADR 0xB: destination address is invalid)."
        );
        assert_eq!(refused.carrier_status_name, Some("ESME_RINVDSTADR"));
        let own = ReasonView::new(Reason::CarrierRefused, 0x411, "");
        assert_eq!(
            own.message,
            "The carrier refused the message (command_status 0x411)."
        );
        assert_eq!((own.carrier_status, own.carrier_status_name), (Some(0x411), None));
        let undelivered = ReasonView::new(Reason::NotDelivered, 0, "069");
        assert_eq!(
            undelivered.message,
            "The network reported that the message could not be delivered (network error 069)."
        );
        assert_eq!(undelivered.carrier_status, None);
        let silent = ReasonView::new(Reason::NotDelivered, 0, "000");
        assert_eq!(silent.message, Reason::NotDelivered.sentence());
    }
}
