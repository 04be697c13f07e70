use proptest::prelude::*;
use proptest::sample::select;

use super::MessageState::{
    Cancelled, Delivered, Expired, InDoubt, InFlight, Queued, Rejected, Submitted, Undelivered, Unknown,
};
use super::*;

#[test]
fn stored_numbers_read_back_and_others_do_not() {
    for state in MessageState::ALL {
        assert_eq!(MessageState::from_u8(state.as_u8()), Some(state));
    }
    assert!((10..=u8::MAX).all(|number| MessageState::from_u8(number).is_none()));
}

#[test]
fn transitions_are_these_and_no_others() {
    let table: [(MessageState, &[MessageState]); 10] = [
        (
            Queued,
            &[InFlight, Submitted, Delivered, Rejected, Expired, Cancelled],
        ),
        (
            InFlight,
            &[Queued, InDoubt, Submitted, Delivered, Rejected, Expired],
        ),
        (
            InDoubt,
            &[
                Queued,
                Submitted,
                Delivered,
                Undelivered,
                Rejected,
                Expired,
                Unknown,
                Cancelled,
            ],
        ),
        (Submitted, &[Delivered, Undelivered, Rejected, Expired, Unknown]),
        (Delivered, &[]),
        (Undelivered, &[]),
        (Rejected, &[]),
        (Expired, &[]),
        (Unknown, &[Delivered, Undelivered, Rejected, Expired]),
        (Cancelled, &[]),
    ];
    for (from, allowed) in table {
        for next in MessageState::ALL {
            assert_eq!(from.may_become(next), allowed.contains(&next), "{from} to {next}");
        }
    }
}

#[test]
fn only_unknown_is_ever_corrected_and_only_to_a_definite_final_state() {
    for from in MessageState::ALL.into_iter().filter(|state| state.is_final()) {
        for next in MessageState::ALL
            .into_iter()
            .filter(|next| from.may_become(*next))
        {
            assert_eq!(from, Unknown);
            assert!(next.is_final() && next != Unknown && next != Cancelled);
        }
    }
}

#[test]
fn every_waiting_state_can_reach_delivery() {
    for from in MessageState::ALL.into_iter().filter(|state| !state.is_final()) {
        assert!(from.may_become(Submitted) || from.may_become(Delivered), "{from}");
    }
}

#[test]
fn segments_add_up_to_the_message() {
    let table: [(&[MessageState], MessageState); 14] = [
        (&[], Queued),
        (&[Delivered], Delivered),
        (&[Delivered, Delivered], Delivered),
        (&[Delivered, Submitted], Submitted),
        (&[Submitted, InFlight], InFlight),
        (&[Submitted, InDoubt], InDoubt),
        (&[Delivered, Undelivered], Undelivered),
        (&[Submitted, Rejected, Expired], Rejected),
        (&[Expired, Rejected], Expired),
        (&[Delivered, Unknown], Unknown),
        (&[Unknown, Submitted], Submitted),
        (&[Unknown, Undelivered], Undelivered),
        (&[Cancelled, Queued], Cancelled),
        (&[Unknown, Unknown], Unknown),
    ];
    for (segments, message) in table {
        assert_eq!(aggregate(segments), message, "{segments:?}");
    }
}

#[test]
fn receipt_words_and_values_read_back() {
    for state in ReceiptState::ALL {
        assert_eq!(ReceiptState::from_word(state.word()), Some(state));
        assert_eq!(ReceiptState::from_word(&state.word().to_lowercase()), Some(state));
        assert_eq!(
            ReceiptState::from_message_state(state.as_message_state()),
            Some(state)
        );
        assert_eq!(state.word().len(), 7);
    }
    assert_eq!(
        ReceiptState::from_word(" Delivered "),
        Some(ReceiptState::Delivered)
    );
    for nonsense in ["NONSENSE", "", " ", "-", "DELIVRDX", "UNDELIVE R"] {
        assert_eq!(ReceiptState::from_word(nonsense), None, "{nonsense:?}");
    }
    assert!((10..=u8::MAX).all(|value| ReceiptState::from_message_state(value).is_none()));
}

#[test]
fn words_that_carriers_use_beside_the_standard_are_read() {
    for (word, state, is_final) in [
        ("FAILED", Undelivered, true),
        ("failed", Undelivered, true),
        ("Undelivered", Undelivered, true),
        ("CANCELLED", Undelivered, true),
        ("rejected", Rejected, true),
        ("BUFFERED", Submitted, false),
        ("BUFFRED", Submitted, false),
        ("buffred", Submitted, false),
        ("ACKED", Submitted, false),
        ("acked", Submitted, false),
        ("EN_ROUTE", Submitted, false),
        ("En Route", Submitted, false),
        ("en-route", Submitted, false),
        ("ACCEPTED", Submitted, false),
        ("SCHEDULED", Submitted, false),
    ] {
        let read = ReceiptState::from_word(word).unwrap();
        assert_eq!(
            (read.message_state(), read.is_final()),
            (state, is_final),
            "{word}"
        );
    }
}

#[test]
fn settings_name_states_as_they_are_shown() {
    for state in ReceiptState::ALL {
        assert_eq!(ReceiptState::from_name(state.name()), Some(state));
    }
    assert_eq!(
        ReceiptState::from_name("undelivered"),
        Some(ReceiptState::Undeliverable)
    );
    assert_eq!(ReceiptState::from_name("DELIVRD"), None);
}

#[test]
fn a_receipt_is_final_exactly_when_the_state_it_gives_is() {
    for state in ReceiptState::ALL {
        assert_eq!(state.is_final(), state.message_state().is_final(), "{state}");
        let stays = state.message_state() == Submitted;
        assert!(stays || Submitted.may_become(state.message_state()), "{state}");
    }
}

proptest! {
    #[test]
    fn a_message_is_delivered_only_when_all_its_segments_are(
        segments in prop::collection::vec(select(&MessageState::ALL[..]), 1..8)
    ) {
        let message = aggregate(&segments);
        prop_assert!(segments.contains(&message));
        prop_assert_eq!(message == Delivered, segments.iter().all(|segment| *segment == Delivered));
        let failed = segments.iter().any(|segment| segment.is_failure());
        let all_final = segments.iter().all(|segment| segment.is_final());
        prop_assert_eq!(message.is_final(), failed || all_final);
    }

    #[test]
    fn no_walk_leaves_a_definite_final_state(
        walk in prop::collection::vec(select(&MessageState::ALL[..]), 0..40)
    ) {
        let mut state = Queued;
        let mut settled = None;
        for next in walk {
            if state.may_become(next) {
                state = next;
            }
            if let Some(settled) = settled {
                prop_assert_eq!(state, settled);
            } else if state.is_final() && state != Unknown {
                settled = Some(state);
            }
        }
    }
}
