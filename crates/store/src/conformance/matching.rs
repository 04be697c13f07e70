//! Which message a receipt is about: several ids in one receipt, several messages of one id, one receipt for all segments,
//! and what only looks like a receipt.

use super::Backend;
use super::fixtures::{
    CARRIER, LANE, NOW, accepted_batch, begun, ids, receipt, received, recorded, result, seen, state,
    submitted, taken_as, waiting,
};
use super::receiving::submitted_segments;
use crate::{Answer, AttemptOutcome, CarrierReceipt, Next, ReceiptEffect, ReceiptScope};
use sms::receipt::CarrierId;
use sms::state::{MessageState, ReceiptState};

const DAY_MS: i64 = 86_400_000;

/// A carrier that gives many messages one id: each receipt goes to the one that has waited longest, and to none twice.
pub async fn receipts_of_one_id_go_to_each_message_once(backend: &mut impl Backend) {
    const MESSAGES: u64 = 100;
    let mut all = vec![];
    for n in 0..MESSAGES {
        let store = backend.store();
        let id = accepted_batch(store, NOW + n as i64, 0..1).await.first;
        let attempt = begun(store, CARRIER, NOW + n as i64, &waiting(store, LANE).await).await;
        let answer = result(
            id,
            attempt,
            NOW + n as i64,
            Answer::Single(taken_as("same")),
            Next::Submitted,
        );
        recorded(store, vec![answer], &[attempt]).await;
        all.push(id);
    }
    for (n, &id) in all.iter().enumerate() {
        let reported = if n % 3 == 0 {
            ReceiptState::Undeliverable
        } else {
            ReceiptState::Delivered
        };
        let effect = received(backend.store(), receipt("same", reported, NOW + 500)).await;
        let state = reported.message_state();
        assert_eq!(effect, ReceiptEffect::Applied { id, state }, "{n}");
    }
    let more = received(
        backend.store(),
        receipt("same", ReceiptState::Delivered, NOW + 600),
    )
    .await;
    assert!(matches!(more, ReceiptEffect::Repeated { .. }), "{more:?}");
}

/// The same over a restart: as many receipts as messages end them all, in whatever order.
pub async fn receipts_of_one_id_end_all_messages_over_a_restart(backend: &mut impl Backend) {
    let mut all = vec![];
    for n in 0..20 {
        let store = backend.store();
        let id = accepted_batch(store, NOW + n, 0..1).await.first;
        let attempt = begun(store, CARRIER, NOW + n, &waiting(store, LANE).await).await;
        let answer = result(
            id,
            attempt,
            NOW + n,
            Answer::Single(taken_as("same")),
            Next::Submitted,
        );
        recorded(store, vec![answer], &[attempt]).await;
        all.push(id);
    }
    for n in 0..all.len() {
        if n % 7 == 3 {
            backend.crash().await;
        }
        let effect = received(
            backend.store(),
            receipt("same", ReceiptState::Delivered, NOW + 500),
        )
        .await;
        assert!(matches!(effect, ReceiptEffect::Applied { .. }), "{n}: {effect:?}");
    }
    for id in all {
        assert_eq!(state(backend.store(), id).await, MessageState::Delivered);
    }
}

/// Two receipts under one id that both beat their answers: one for each message.
pub async fn early_receipts_of_one_id_go_to_one_message_each(backend: &mut impl Backend) {
    let store = backend.store();
    let all = ids(accepted_batch(store, NOW, 0..2).await);
    let attempt = begun(store, CARRIER, NOW, &waiting(store, LANE).await).await;
    received(store, receipt("same", ReceiptState::Delivered, NOW + 1)).await;
    received(store, receipt("same", ReceiptState::Expired, NOW + 2)).await;
    let answers = all.iter().map(|&id| {
        result(
            id,
            attempt,
            NOW,
            Answer::Single(taken_as("same")),
            Next::Submitted,
        )
    });
    let states = recorded(store, answers.collect(), &[attempt]).await;
    assert_eq!(states, [MessageState::Delivered, MessageState::Expired]);
    assert_eq!(store.counts().await.expect("counted").unmatched_receipts, 0);
}

/// A receipt that came long before a message was given to the carrier is not about it, whatever its id.
pub async fn a_receipt_from_before_the_attempt_is_another_messages(backend: &mut impl Backend) {
    let store = backend.store();
    received(store, receipt("again0", ReceiptState::Rejected, NOW)).await;
    accepted_batch(store, NOW + DAY_MS, 0..1).await;
    let id = submitted(store, NOW + DAY_MS, "again").await[0];
    assert_eq!(state(store, id).await, MessageState::Submitted);
}

/// One receipt for a whole long message, under the id of any of its parts or the one that all share.
pub async fn one_receipt_may_end_a_message_of_several_segments(backend: &mut impl Backend) {
    let store = backend.store();
    let whole = |carrier_id: &str, state, at| CarrierReceipt {
        scope: ReceiptScope::Message,
        ..receipt(carrier_id, state, at)
    };
    for (n, (parts, named)) in [
        (["a1", "a2", "a3"], "a3"),
        (["b1", "b2", "b3"], "b1"),
        (["c1", "c2", "c3"], "c2"),
        (["same", "same", "same"], "same"),
    ]
    .into_iter()
    .enumerate()
    {
        let reported = [ReceiptState::Delivered, ReceiptState::Undeliverable][n % 2];
        let id = submitted_segments(store, &parts).await;
        let on_the_way = received(store, whole(named, ReceiptState::Enroute, NOW + 50)).await;
        let state = MessageState::Submitted;
        assert_eq!(on_the_way, ReceiptEffect::Applied { id, state }, "{named}");
        let effect = received(store, whole(named, reported, NOW + 60)).await;
        let state = reported.message_state();
        assert_eq!(effect, ReceiptEffect::Applied { id, state }, "{named}");
        assert_eq!(seen(store, id).await.state, state);
        let again = received(store, whole(named, reported, NOW + 61)).await;
        assert_eq!(again, ReceiptEffect::Repeated { id }, "{named}");
    }
    // One that beats the answers.
    let id = accepted_batch(store, NOW, 0..1).await.first;
    let attempt = begun(store, CARRIER, NOW, &waiting(store, LANE).await).await;
    received(store, whole("e2", ReceiptState::Delivered, NOW + 1)).await;
    let answers = vec![Some(taken_as("e1")), Some(taken_as("e2"))];
    let answer = result(id, attempt, NOW, Answer::segments(answers), Next::Submitted);
    assert_eq!(
        recorded(store, vec![answer], &[attempt]).await,
        [MessageState::Delivered]
    );
}

/// A receipt for a whole message that comes while some of its segments wait for their answers is kept until they have
/// them, whichever id it has.
pub async fn one_receipt_waits_for_all_segments_of_its_message(backend: &mut impl Backend) {
    for (parts, named) in [(["f1", "f2"], "f1"), (["g", "g"], "g")] {
        let store = backend.store();
        let id = accepted_batch(store, NOW, 0..1).await.first;
        let attempt = begun(store, CARRIER, NOW, &waiting(store, LANE).await).await;
        let [first, second] = parts.map(|part| Some(taken_as(part)));
        let partly = AttemptOutcome {
            attempts: 0,
            ..result(
                id,
                attempt,
                NOW,
                Answer::segments(vec![first, None]),
                Next::Partly,
            )
        };
        recorded(store, vec![partly], &[]).await;
        let whole = CarrierReceipt {
            scope: ReceiptScope::Message,
            only_if_known: true,
            ..receipt(named, ReceiptState::Delivered, NOW + 5)
        };
        assert_eq!(
            received(store, whole).await,
            ReceiptEffect::StoredUnmatched,
            "{named}"
        );
        backend.crash().await;
        let store = backend.store();
        let rest = result(
            id,
            attempt,
            NOW,
            Answer::segments(vec![None, second]),
            Next::Submitted,
        );
        let reported = recorded(store, vec![rest], &[attempt]).await;
        assert_eq!(reported, [MessageState::Delivered], "{named}");
        assert_eq!(store.counts().await.expect("counted").unmatched_receipts, 0);
    }
}

/// Of the ids that a receipt may mean the first that is known counts; one that comes early is found by any of them.
pub async fn a_receipt_is_found_by_any_of_its_ids(backend: &mut impl Backend) {
    let with = |others: &[&str], first: &str, at| CarrierReceipt {
        other_ids: others.iter().map(|id| CarrierId::new(id)).collect(),
        ..receipt(first, ReceiptState::Delivered, at)
    };
    accepted_batch(backend.store(), NOW, 0..3).await;
    let all = submitted(backend.store(), NOW, "id").await;
    let delivered = |id| ReceiptEffect::Applied {
        id,
        state: MessageState::Delivered,
    };
    let store = backend.store();
    let second = received(store, with(&["odd", "id1"], "none", NOW + 30)).await;
    assert_eq!(second, delivered(all[1]));
    let first = received(store, with(&["id2"], "id0", NOW + 31)).await;
    assert_eq!(first, delivered(all[0]), "the first that is known");
    assert_eq!(state(store, all[2]).await, MessageState::Submitted);

    let id = accepted_batch(store, NOW + 40, 0..1).await.first;
    let attempt = begun(store, CARRIER, NOW + 40, &waiting(store, LANE).await).await;
    let early = received(store, with(&["e1", "e2"], "e0", NOW + 41)).await;
    assert_eq!(early, ReceiptEffect::StoredUnmatched);
    backend.crash().await;
    let store = backend.store();
    let answer = result(
        id,
        attempt,
        NOW + 40,
        Answer::Single(taken_as("e2")),
        Next::Submitted,
    );
    assert_eq!(
        recorded(store, vec![answer], &[attempt]).await,
        [MessageState::Delivered]
    );
    assert_eq!(store.counts().await.expect("counted").unmatched_receipts, 0);
}

/// What may be a receipt, or something that a person wrote, is one only if its message is known.
pub async fn what_only_looks_like_a_receipt_leaves_nothing(backend: &mut impl Backend) {
    let store = backend.store();
    accepted_batch(store, NOW, 0..1).await;
    let id = submitted(store, NOW, "id").await[0];
    let looks = |carrier_id: &str| CarrierReceipt {
        only_if_known: true,
        ..receipt(carrier_id, ReceiptState::Delivered, NOW + 50)
    };
    let effects = store
        .record_receipts(vec![looks("other"), looks("id0"), looks("id0"), looks("id1")])
        .await
        .expect("recorded");
    let state = MessageState::Delivered;
    assert_eq!(
        effects,
        [
            ReceiptEffect::Unmatched,
            ReceiptEffect::Applied { id, state },
            ReceiptEffect::Repeated { id },
            ReceiptEffect::Unmatched,
        ]
    );
    assert_eq!(store.counts().await.expect("counted").unmatched_receipts, 0);
}
