//! Numbers that provoke outcomes: `+1000000000N` (docs/dialects/engagelab.md, "sandbox").

use super::EntryState;
use sms::phone::Msisdn;
use sms::reason::{Facts, Reason, SANDBOX_BLOCKED, SANDBOX_TOO_OFTEN, SANDBOX_UNSUBSCRIBED};
use sms::state::{MessageState, ReceiptState};

/// What becomes of a message in the sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Delivered after the usual delay: any number that is not magic.
    Delivered,
    /// Delivered after two seconds (`…00`).
    DeliveredLater,
    /// Delivered at once (`…10`).
    DeliveredAtOnce,
    /// Refused at submit with this SMPP status.
    Refused(u32),
    /// Taken, then not delivered, with this error code in the receipt.
    Undelivered(&'static str),
    /// Taken, and no receipt ever (`…03`).
    Silent,
}

impl Outcome {
    /// The outcome of a number.
    pub fn of(msisdn: Msisdn) -> Self {
        // +1 0000000 0NN: the last two digits decide.
        const BASE: u64 = 10_000_000_000;
        match msisdn.as_u64().checked_sub(BASE) {
            Some(0) => Self::DeliveredLater,
            Some(10) => Self::DeliveredAtOnce,
            // The codes of the vendor's OTP product: 5011 bad number, 5013 blacklisted, 5019 unsubscribed, 3004 too often.
            Some(1) => Self::Refused(0x0B),
            Some(11) => Self::Refused(SANDBOX_BLOCKED),
            Some(12) => Self::Refused(SANDBOX_UNSUBSCRIBED),
            Some(99) => Self::Refused(SANDBOX_TOO_OFTEN),
            Some(2) => Self::Undelivered("5012"),
            Some(18) => Self::Undelivered("5018"),
            Some(3) => Self::Silent,
            _ => Self::Delivered,
        }
    }

    /// How the message shows in the inbox.
    pub(super) fn entry_state(self) -> EntryState {
        let failed = |facts| Reason::of(facts).map_or(EntryState::Silent, EntryState::Failed);
        match self {
            Self::Delivered | Self::DeliveredLater | Self::DeliveredAtOnce => EntryState::Delivered,
            Self::Silent => EntryState::Silent,
            Self::Refused(status) => failed(Facts {
                state: MessageState::Rejected,
                attempts: 1,
                status,
                error: "",
                cause: None,
                by_receipt: false,
                is_submitted: false,
            }),
            Self::Undelivered(error) => failed(Facts {
                state: MessageState::Undelivered,
                attempts: 1,
                status: 0,
                error,
                cause: None,
                by_receipt: true,
                is_submitted: true,
            }),
        }
    }

    pub(super) fn delay_ms(self, usual_ms: u32) -> i64 {
        match self {
            Self::DeliveredLater => 2_000,
            Self::DeliveredAtOnce | Self::Refused(_) => 0,
            Self::Delivered | Self::Undelivered(_) | Self::Silent => i64::from(usual_ms),
        }
    }

    pub(super) const fn refused_with(self) -> Option<u32> {
        match self {
            Self::Refused(status) => Some(status),
            _ => None,
        }
    }

    pub(super) const fn receipt(self) -> Option<(ReceiptState, &'static str)> {
        match self {
            Self::Delivered | Self::DeliveredLater | Self::DeliveredAtOnce => {
                Some((ReceiptState::Delivered, "000"))
            }
            Self::Undelivered(error) => Some((ReceiptState::Undeliverable, error)),
            Self::Refused(_) | Self::Silent => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_distinguished_by_their_reasons() {
        let reason = |number| match Outcome::of(Msisdn::from_u64(number).unwrap()).entry_state() {
            EntryState::Failed(reason) => reason.name(),
            state => panic!("{state:?}"),
        };
        let reasons = [1, 2, 11, 12, 18, 99].map(|n| reason(10_000_000_000 + n));
        assert_eq!(
            reasons,
            [
                "carrier_refused_number",
                "phone_unreachable",
                "carrier_refused_blocked",
                "carrier_refused_unsubscribed",
                "phone_off",
                "carrier_refused_frequency",
            ]
        );
    }

    #[test]
    fn magic_numbers_do_what_the_contract_lists() {
        let of = |number| Outcome::of(Msisdn::from_u64(number).unwrap());
        assert_eq!(of(10_000_000_000), Outcome::DeliveredLater);
        assert_eq!(of(10_000_000_010), Outcome::DeliveredAtOnce);
        assert_eq!(of(10_000_000_001), Outcome::Refused(0x0B));
        assert_eq!(of(10_000_000_002), Outcome::Undelivered("5012"));
        assert_eq!(of(10_000_000_018), Outcome::Undelivered("5018"));
        assert_eq!(of(10_000_000_003), Outcome::Silent);
        assert_eq!(of(10_000_000_099), Outcome::Refused(SANDBOX_TOO_OFTEN));
        assert_eq!(of(10_000_000_055), Outcome::Delivered);
        assert_eq!(of(447_700_900_123), Outcome::Delivered);
    }
}
