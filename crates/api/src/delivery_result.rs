//! What SendCloud and EngageLab, sister products, say of a message: their hook's codes (the SendCloud document, last table).

use engine::sms::reason::Reason;
use engine::sms::state::MessageState;
use engine::{MessageView, Statistic};

/// `ESME_RINVDSTADR`: the carrier knows no such number.
const STATUS_INVALID_DESTINATION: u32 = 0x0B;

/// Failures in delivery as the hook numbers them.
const NO_SUCH_NUMBER: u16 = 500;
const OUT_OF_SERVICE: u16 = 510;
const BLACKLISTED: u16 = 520;
const BUSY: u16 = 530;
const NOT_ANSWERED: u16 = 540;
const COMPLAINED: u16 = 550;
const HANDSET_FAULTY: u16 = 560;
const OUT_OF_COVERAGE: u16 = 570;
const POWERED_OFF: u16 = 580;
const OTHER: u16 = 590;
/// Failures in processing that messages are accepted with.
const PROCESSING: [&str; 6] = ["410", "420", "430", "440", "450", "460"];

/// Whether an expired message ended here, before a carrier had it.
pub(crate) fn is_unsent(error: &str) -> bool {
    error.trim() == Reason::ExpiredBeforeSent.name()
}

/// Where a message stands in the words of these two vendors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DeliveryResult {
    /// It waits for its turn, or for a carrier's answer.
    Requested,
    /// A carrier has it; no receipt yet, or none that says anything.
    Sent,
    /// The handset has it.
    Delivered,
    /// It failed before it left: 410 to 460.
    ProcessFailed(u16),
    /// The carrier failed: 500 to 590.
    SendFailed(u16),
}

impl DeliveryResult {
    /// The result of a message as it is now.
    pub(crate) fn of(message: &MessageView) -> Self {
        Self::at(message, message.state, &message.error)
    }

    /// The result of a message in the state that an event reports; the message itself may have a later state by now.
    pub(crate) fn at(message: &MessageView, state: MessageState, error: &str) -> Self {
        // What a carrier's settings say of a code belongs to the state that the message has now.
        if state == message.state
            && let Some(delivery_result) = Self::of_cause(state, message.cause)
        {
            return delivery_result;
        }
        Self::classify(state, error, message.attempts == 0, message.status)
    }

    /// The result of messages that were counted together.
    pub(crate) fn of_statistic(statistic: &Statistic) -> Self {
        Self::of_cause(statistic.state, statistic.cause)
            .unwrap_or_else(|| Self::counted(statistic.state, &statistic.error))
    }

    /// What follows from a carrier's settings (`receipt_codes`) for a message that failed.
    fn of_cause(state: MessageState, cause: Option<Reason>) -> Option<Self> {
        if !state.is_failure() {
            return None;
        }
        let code = match cause? {
            Reason::NumberNotAssigned => NO_SUCH_NUMBER,
            Reason::NumberOutOfService => OUT_OF_SERVICE,
            Reason::BlockedByNetwork => BLACKLISTED,
            Reason::PhoneBusy => BUSY,
            Reason::PhoneNotAnswered => NOT_ANSWERED,
            Reason::ContentComplained => COMPLAINED,
            Reason::PhoneFaulty => HANDSET_FAULTY,
            Reason::PhoneOutOfCoverage => OUT_OF_COVERAGE,
            Reason::PhoneOff | Reason::PhoneUnreachable => POWERED_OFF,
            _ => return None,
        };
        Some(Self::SendFailed(code))
    }

    /// The result of messages of which only state and error were counted. A carrier that refuses with one of
    /// [`PROCESSING`] as its own error code is taken for a failure in processing.
    pub(crate) fn counted(state: MessageState, error: &str) -> Self {
        let never_left = state == MessageState::Rejected && PROCESSING.contains(&error.trim());
        Self::classify(state, error, never_left, 0)
    }

    fn classify(state: MessageState, error: &str, never_left: bool, status: u32) -> Self {
        match state {
            MessageState::Queued | MessageState::InFlight | MessageState::InDoubt => Self::Requested,
            MessageState::Submitted | MessageState::Unknown => Self::Sent,
            MessageState::Delivered => Self::Delivered,
            // Its time to live ended here: neither the phone nor a carrier is at fault.
            MessageState::Expired if is_unsent(error) => Self::SendFailed(OTHER),
            // What never left carries the code it was accepted with.
            _ if never_left => match error.trim().parse() {
                Ok(code @ 400..=499) => Self::ProcessFailed(code),
                _ => Self::SendFailed(OTHER),
            },
            MessageState::Expired => Self::SendFailed(POWERED_OFF),
            _ if status == STATUS_INVALID_DESTINATION => Self::SendFailed(NO_SUCH_NUMBER),
            // Carriers' own error codes mean something else with each of them, but four digits are the sandbox's:
            // the codes of EngageLab's OTP product (docs/dialects/engagelab.md).
            _ => Self::SendFailed(match error.trim() {
                "5012" | "5018" => POWERED_OFF,
                "5011" | "5020" => NO_SUCH_NUMBER,
                _ => OTHER,
            }),
        }
    }

    /// The hook's code; 0 while nothing is known.
    pub(crate) const fn code(self) -> u16 {
        match self {
            Self::Requested | Self::Sent => 0,
            Self::Delivered => 200,
            Self::ProcessFailed(code) | Self::SendFailed(code) => code,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_the_hook_is_reached_by_some_cause() {
        let mut codes: Vec<u16> = Reason::OF_RECEIPTS
            .iter()
            .filter_map(|cause| DeliveryResult::of_cause(MessageState::Undelivered, Some(*cause)))
            .map(DeliveryResult::code)
            .collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes, [500, 510, 520, 530, 540, 550, 560, 570, 580]);
        let delivered = DeliveryResult::of_cause(MessageState::Delivered, Some(Reason::PhoneBusy));
        assert_eq!(delivered, None);
        assert_eq!(DeliveryResult::of_cause(MessageState::Expired, None), None);
    }

    #[test]
    fn counted_messages_are_classified_by_state_and_error() {
        for (state, error, expected) in [
            (MessageState::Queued, "", DeliveryResult::Requested),
            (MessageState::Submitted, "", DeliveryResult::Sent),
            (MessageState::Unknown, "", DeliveryResult::Sent),
            (MessageState::Delivered, "", DeliveryResult::Delivered),
            (MessageState::Rejected, "410", DeliveryResult::ProcessFailed(410)),
            (MessageState::Rejected, "460", DeliveryResult::ProcessFailed(460)),
            (MessageState::Rejected, "069", DeliveryResult::SendFailed(590)),
            (MessageState::Rejected, "", DeliveryResult::SendFailed(590)),
            (MessageState::Undelivered, "420", DeliveryResult::SendFailed(590)),
            (MessageState::Undelivered, "5011", DeliveryResult::SendFailed(500)),
            (
                MessageState::Undelivered,
                "other",
                DeliveryResult::SendFailed(590),
            ),
            (MessageState::Expired, "", DeliveryResult::SendFailed(580)),
            (
                MessageState::Expired,
                "expired_before_sent",
                DeliveryResult::SendFailed(590),
            ),
            (MessageState::Unknown, "expired_in_doubt", DeliveryResult::Sent),
        ] {
            assert_eq!(
                DeliveryResult::counted(state, error),
                expected,
                "{state:?} {error}"
            );
        }
    }
}
