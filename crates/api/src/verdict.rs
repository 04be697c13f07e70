//! What SendCloud and EngageLab, sister products, say of a message: their hook's codes (seed 002, last table).

use engine::MessageView;
use engine::sms::state::MessageState;

/// `ESME_RINVDSTADR`: the carrier knows no such number.
const STATUS_INVALID_DESTINATION: u32 = 0x0B;

/// Failures in delivery as the hook numbers them.
const NO_SUCH_NUMBER: u16 = 500;
const POWERED_OFF: u16 = 580;
const OTHER: u16 = 590;

/// Where a message stands in the words of these two vendors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
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

impl Verdict {
    /// The verdict on a message.
    pub(crate) fn of(message: &MessageView) -> Self {
        match message.state {
            MessageState::Queued | MessageState::InFlight | MessageState::InDoubt => Self::Requested,
            MessageState::Submitted | MessageState::Unknown => Self::Sent,
            MessageState::Delivered => Self::Delivered,
            // What never left carries the code it was accepted with.
            _ if message.attempts == 0 => match message.error.trim().parse() {
                Ok(code @ 400..=499) => Self::ProcessFailed(code),
                _ => Self::SendFailed(OTHER),
            },
            MessageState::Expired => Self::SendFailed(POWERED_OFF),
            _ if message.status == STATUS_INVALID_DESTINATION => Self::SendFailed(NO_SUCH_NUMBER),
            // Carriers' own error codes mean something else with each of them, but four digits are the sandbox's:
            // the codes of EngageLab's OTP product (contract/engagelab.md section 2).
            _ => Self::SendFailed(match message.error.trim() {
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
