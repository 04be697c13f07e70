use super::*;
use proptest::prelude::*;
use std::collections::HashSet;

fn facts(state: MessageState) -> Facts<'static> {
    Facts {
        state,
        attempts: 1,
        status: 0,
        error: "",
        cause: None,
        by_receipt: false,
        is_submitted: false,
    }
}

#[test]
fn codes_and_names_are_unique_and_each_reason_has_a_sentence() {
    let codes: HashSet<u16> = Reason::ALL.iter().map(|reason| reason.code()).collect();
    let names: HashSet<&str> = Reason::ALL.iter().map(|reason| reason.name()).collect();
    assert_eq!((codes.len(), names.len()), (Reason::ALL.len(), Reason::ALL.len()));
    assert!(Reason::ALL.is_sorted(), "by code");
    for &reason in Reason::ALL {
        assert_eq!(Reason::from_code(reason.code()), Some(reason));
        let name = reason.name();
        assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{name}");
        let sentence = reason.sentence();
        assert!(
            sentence.ends_with('.') && sentence.starts_with(char::is_uppercase),
            "{sentence}"
        );
    }
    assert_eq!(Reason::from_code(0), None);
}

#[test]
fn a_failure_before_submission_gets_its_reason_from_the_code() {
    for (error, reason) in [
        ("410", Reason::BlockedGlobally),
        ("420", Reason::BlockedByAccount),
        ("430", Reason::Unsubscribed),
        ("440", Reason::ContentForbidden),
        ("450", Reason::ValueMissing),
        ("460", Reason::TextTooLong),
        ("", Reason::InternalError),
    ] {
        let facts = Facts {
            attempts: 0,
            error,
            ..facts(MessageState::Rejected)
        };
        assert_eq!(Reason::of(facts), Some(reason), "{error}");
    }
}

#[test]
fn a_carriers_refusal_gets_its_reason_from_the_status() {
    for (status, reason) in [
        (0x0B, Reason::CarrierRefusedNumber),
        (0x0A, Reason::CarrierRefusedSender),
        (0x01, Reason::CarrierRefusedContent),
        (0x08, Reason::CarrierFailed),
        (0x58, Reason::CarrierCongested),
        (0x400, Reason::CarrierRefused),
        (SANDBOX_BLOCKED, Reason::CarrierRefusedBlocked),
        (SANDBOX_UNSUBSCRIBED, Reason::CarrierRefusedUnsubscribed),
        (SANDBOX_TOO_OFTEN, Reason::CarrierRefusedFrequency),
    ] {
        for state in [MessageState::Rejected, MessageState::Undelivered] {
            let facts = Facts {
                status,
                ..facts(state)
            };
            assert_eq!(Reason::of(facts), Some(reason), "0x{status:X}");
        }
    }
}

#[test]
fn a_receipt_is_distinguished_from_a_refusal_and_from_silence() {
    let by = |state, by_receipt, is_submitted, error| {
        Reason::of(Facts {
            by_receipt,
            is_submitted,
            error,
            ..facts(state)
        })
    };
    use MessageState::{Expired, Rejected, Undelivered, Unknown};
    for (state, by_receipt, is_submitted, error, reason) in [
        (Undelivered, true, true, "", Reason::NotDelivered),
        (Undelivered, true, true, "069", Reason::NotDelivered),
        (Undelivered, true, true, "5012", Reason::PhoneUnreachable),
        (Undelivered, true, true, "5018", Reason::PhoneOff),
        (Rejected, true, true, "", Reason::RejectedByNetwork),
        (Expired, true, true, "", Reason::ExpiredAtCarrier),
        (Expired, false, false, "", Reason::ExpiredBeforeSent),
        (Unknown, true, true, "", Reason::UnknownAtCarrier),
        (Unknown, false, true, "", Reason::NoReceipt),
        (Unknown, false, false, "", Reason::NoAnswer),
        (Undelivered, false, false, "", Reason::NoAnswer),
    ] {
        assert_eq!(
            by(state, by_receipt, is_submitted, error),
            Some(reason),
            "{state} {by_receipt} {is_submitted} {error}"
        );
    }
}

#[test]
fn what_a_carriers_settings_say_of_an_error_code_counts_for_failures_alone() {
    for &cause in Reason::OF_RECEIPTS {
        assert!((2200..2300).contains(&cause.code()), "{cause}");
        for state in MessageState::ALL {
            let facts = Facts {
                cause: Some(cause),
                error: "5012",
                by_receipt: true,
                is_submitted: true,
                ..facts(state)
            };
            let by_receipt = matches!(
                state,
                MessageState::Undelivered | MessageState::Rejected | MessageState::Expired
            );
            assert_eq!(Reason::of(facts) == Some(cause), by_receipt, "{state} {cause}");
        }
    }
}

#[test]
fn what_has_not_failed_needs_no_reason() {
    for state in [
        MessageState::Queued,
        MessageState::InFlight,
        MessageState::Submitted,
        MessageState::Delivered,
    ] {
        assert_eq!(Reason::of(facts(state)), None, "{state}");
    }
    assert_eq!(Reason::of(facts(MessageState::InDoubt)), Some(Reason::InDoubt));
    assert_eq!(
        Reason::of(facts(MessageState::Cancelled)),
        Some(Reason::Cancelled)
    );
}

proptest! {
    /// Every failure has a reason, with any stored facts.
    #[test]
    fn every_failure_has_a_reason(
        state in 0_u8..10, attempts: u8, status: u32, error in ".{0,8}", by_receipt: bool, is_submitted: bool,
    ) {
        let Some(state) = MessageState::from_u8(state) else { return Ok(()) };
        let facts = Facts { state, attempts, status, error: &error, cause: None, by_receipt, is_submitted };
        prop_assert_eq!(
            Reason::of(facts).is_some(),
            state.is_failure() || matches!(state, MessageState::Unknown | MessageState::InDoubt)
        );
    }
}

/// The page has a row for each reason, under its number and name, with a meaning and what to do, and no others.
#[test]
fn the_error_catalogue_lists_every_reason() {
    let page = include_str!("../../../../docs/errors.md");
    let mut listed = Vec::new();
    for line in page.lines() {
        let cells: Vec<&str> = line
            .trim()
            .trim_matches('|')
            .split(" | ")
            .map(str::trim)
            .collect();
        let Some(Ok(code)) = cells.first().map(|cell| cell.parse::<u16>()) else {
            continue;
        };
        let Ok([name, meaning, advice]) = <[&str; 3]>::try_from(&cells[1..]) else {
            panic!("{line} has not four cells");
        };
        assert!(meaning.len() > 10 && advice.len() > 5, "{line}");
        listed.push((code, name.trim_matches('`').to_owned()));
    }
    let reasons: Vec<(u16, String)> = Reason::ALL
        .iter()
        .map(|reason| (reason.code(), reason.name().to_owned()))
        .collect();
    assert_eq!(listed, reasons);
}
