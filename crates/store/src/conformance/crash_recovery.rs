//! What is left after a crash: everything that was answered, and nothing by halves.

use super::Backend;
use super::fixtures::{
    ACCOUNT, CARRIER, LANE, NOW, accepted, accepted_batch, batch, begun, everything, found, ids, long_batch,
    number, once, receipt, received, recorded, request, result, seen, state, submitted, taken_as, waiting,
    waiting_ids,
};
use crate::{
    AcceptCommand, AcceptError, Accepted, Answer, Caps, CatalogChange, MessageFilter, MessageId, Next,
    ReceiptEffect, Suppression, SuppressionKind,
};
use sms::state::{MessageState, ReceiptState};

/// Messages in each state a message can be in are as they were.
pub async fn everything_answered_survives_a_crash(backend: &mut impl Backend) {
    let store = backend.store();
    accepted_batch(store, NOW, 0..4).await;
    let sent = submitted(store, NOW, "id").await;
    received(store, receipt("id0", ReceiptState::Delivered, NOW + 50)).await;
    let later = crate::NewBatch {
        due: Some(NOW + 9_000),
        ..batch(4..6)
    };
    let scheduled = accepted(store, request(NOW + 1, vec![later])).await.batches[0];
    let queued = accepted_batch(store, NOW + 2, 6..9).await;
    let suppression = Suppression {
        account: None,
        msisdn: number(99),
        kind: SuppressionKind::Global,
    };
    let version = store
        .change_catalog(vec![CatalogChange::PutSuppression(suppression)])
        .await
        .expect("changed");
    let before = (
        store.counts().await.expect("counted"),
        store.lanes().await.expect("lanes"),
    );
    let timeline = store.timeline(sent[0]).await.expect("read");

    backend.crash().await;
    let store = backend.store();
    assert_eq!(
        (
            store.counts().await.expect("counted"),
            store.lanes().await.expect("lanes")
        ),
        before
    );
    assert_eq!(state(store, sent[0]).await, MessageState::Delivered);
    assert_eq!(state(store, sent[1]).await, MessageState::Submitted);
    assert_eq!(store.timeline(sent[0]).await.expect("read"), timeline);
    assert_eq!(waiting_ids(store, LANE).await, ids(queued));
    assert_eq!(store.next_due().await.expect("read"), Some(NOW + 9_000));
    assert_eq!(seen(store, scheduled.first).await.batch.count, 2);
    assert_eq!(store.catalog_version().await.expect("read"), version);
    let refused = store.accept(request(NOW, vec![batch(99..100)])).await;
    assert!(
        matches!(refused, Err(AcceptError::NothingLeft(_))),
        "suppressions hold"
    );

    let effect = received(store, receipt("id1", ReceiptState::Delivered, NOW + 60)).await;
    assert_eq!(
        effect,
        ReceiptEffect::Applied {
            id: sent[1],
            state: MessageState::Delivered
        }
    );
    let next = accepted_batch(store, NOW, 0..1).await;
    assert!(next.first > ids(queued)[2], "ids go on");
}

/// After a crash the open attempts name exactly the messages without a result.
pub async fn what_was_in_flight_is_listed_after_a_crash(backend: &mut impl Backend) {
    let store = backend.store();
    let all = ids(accepted_batch(store, NOW, 0..5).await);
    let messages = waiting(store, LANE).await;
    let first = begun(store, CARRIER, NOW, &messages[..3]).await;
    let second = begun(store, CARRIER, NOW, &messages[3..4]).await;
    let taken = |n: usize, attempt| {
        result(
            all[n],
            attempt,
            NOW,
            Answer::Single(taken_as(&format!("f{n}"))),
            Next::Submitted,
        )
    };
    recorded(store, vec![taken(1, first), taken(3, second)], &[]).await; // recorded, not closed
    backend.crash().await;
    let store = backend.store();
    let open = store.open_attempts().await.expect("read");
    assert_eq!(open.len(), 1, "the second lacks nothing");
    assert_eq!((open[0].attempt, open[0].bind), (first, 1));
    assert_eq!(open[0].messages, [(all[0], 0), (all[2], 0)]);
    assert_eq!(store.counts().await.expect("counted").in_flight, 2);
    assert_eq!(state(store, all[0]).await, MessageState::InFlight);
    assert_eq!(waiting_ids(store, LANE).await, [all[4]]);

    let again = begun(store, CARRIER, NOW, &waiting(store, LANE).await).await;
    assert!(again > second, "attempt ids go on");
    let doubt = |n: usize| result(all[n], first, NOW, Answer::None, Next::InDoubt);
    recorded(store, vec![doubt(0), doubt(2)], &[first]).await;
    assert_eq!(state(store, all[2]).await, MessageState::InDoubt);
}

/// A receipt that waits for its answer still waits after a crash.
pub async fn unmatched_receipts_survive_a_crash(backend: &mut impl Backend) {
    let store = backend.store();
    let id = accepted_batch(store, NOW, 0..1).await.first;
    let attempt = begun(store, CARRIER, NOW, &waiting(store, LANE).await).await;
    received(store, receipt("early", ReceiptState::Delivered, NOW + 1)).await;
    backend.crash().await;
    let store = backend.store();
    assert_eq!(store.counts().await.expect("counted").unmatched_receipts, 1);
    let answer = result(
        id,
        attempt,
        NOW,
        Answer::Single(taken_as("early")),
        Next::Submitted,
    );
    assert_eq!(
        recorded(store, vec![answer], &[attempt]).await,
        [MessageState::Delivered]
    );
}

/// What is looked up by key is known after a crash: request ids, caps, numbers.
pub async fn requests_caps_and_numbers_survive_a_crash(backend: &mut impl Backend) {
    let store = backend.store();
    let caps = Some(Caps {
        per_minute_max: 1,
        per_day_max: 0,
    });
    let command = || AcceptCommand {
        idempotency: Some(once("kept")),
        caps,
        ..request(NOW, vec![batch(0..2)])
    };
    let first = accepted(store, command()).await.batches[0];
    backend.crash().await;
    let store = backend.store();
    match store.accept(command()).await.expect("answered") {
        Accepted::Repeat { answer, same_body } => {
            assert_eq!(
                (answer, same_body),
                (first.session.to_string().into_bytes(), true)
            );
        }
        Accepted::New(_) => panic!("a repeat was taken for new"),
    }
    let refused = store
        .accept(AcceptCommand {
            caps,
            ..request(NOW + 9, vec![batch(0..1)])
        })
        .await;
    assert!(matches!(refused, Err(AcceptError::NothingLeft(_))));
    let by_number = MessageFilter {
        numbers: vec![number(1)],
        ..everything()
    };
    assert_eq!(found(store, by_number).await, [first.first.plus(1)]);
}

/// However much comes after it, and over restarts, a message is found by its number, its carrier's id and
/// its request id.
pub async fn what_is_found_by_key_stays_found_as_it_ages(backend: &mut impl Backend) {
    let rounds = 12i64;
    let size = 50u64;
    let mut batches = vec![];
    for round in 0..rounds {
        let now = NOW + round * 1_000;
        let store = backend.store();
        let command = AcceptCommand {
            idempotency: Some(crate::NewIdempotency {
                keep_ms: 86_400_000,
                ..once(&format!("r{round}"))
            }),
            ..request(now, vec![batch(0..size)])
        };
        batches.push(accepted(store, command).await.batches[0]);
        submitted(store, now, &format!("{round}-")).await;
        if round % 5 == 4 {
            backend.crash().await;
        }
    }
    let store = backend.store();
    let now = NOW + rounds * 1_000;
    for (round, range) in batches.iter().enumerate() {
        let one = range.first.plus(7);
        let effect = received(
            store,
            receipt(&format!("{round}-7"), ReceiptState::Delivered, now),
        )
        .await;
        assert_eq!(
            effect,
            ReceiptEffect::Applied {
                id: one,
                state: MessageState::Delivered
            },
            "round {round}"
        );
        let again = AcceptCommand {
            idempotency: Some(once(&format!("r{round}"))),
            ..request(now, vec![batch(0..1)])
        };
        assert!(
            matches!(store.accept(again).await, Ok(Accepted::Repeat { .. })),
            "round {round}"
        );
    }
    let mut expected: Vec<MessageId> = batches.iter().map(|range| range.first.plus(13)).collect();
    expected.reverse();
    let by_number = MessageFilter {
        numbers: vec![number(13)],
        ..everything()
    };
    assert_eq!(found(store, by_number).await, expected);
    assert_eq!(
        received(store, receipt("99-7", ReceiptState::Delivered, now)).await,
        ReceiptEffect::StoredUnmatched
    );
}

/// No id is assigned twice, not even when nothing is left that has one.
pub async fn ids_go_on_after_everything_was_deleted(backend: &mut impl Backend) {
    let store = backend.store();
    let all = ids(accepted_batch(store, NOW, 0..3).await);
    submitted(store, NOW, "id").await;
    for n in 0..3 {
        received(
            store,
            receipt(&format!("id{n}"), ReceiptState::Delivered, NOW + 50),
        )
        .await;
    }
    while store.expire_messages(i64::MAX, NOW + 60).await.expect("expired") {}
    assert_eq!(found(store, everything()).await, []);
    backend.crash().await;
    let store = backend.store();
    let next = accepted_batch(store, NOW - 3_600_000, 0..1).await;
    assert!(next.first > all[2]);
    assert_eq!(seen(store, next.first).await.batch.account, ACCOUNT);
}

/// A burst to one number, faster than the clock, is counted on after a crash, also behind messages of one part.
pub async fn references_go_on_after_a_crash(backend: &mut impl Backend) {
    let mut references = vec![];
    for round in 0..4 {
        for _ in 0..20 {
            let outcome = accepted(backend.store(), request(NOW + round, vec![long_batch([1])])).await;
            references.extend(outcome.references.iter().map(|(_, reference)| *reference));
        }
        accepted_batch(backend.store(), NOW + round, [1, 1, 2]).await;
        backend.crash().await;
    }
    assert_eq!(references.len(), 80);
    let low: std::collections::HashSet<u8> = references.iter().map(|reference| *reference as u8).collect();
    assert_eq!(low.len(), references.len(), "{references:?}");

    let read: Vec<u16> = waiting(backend.store(), LANE)
        .await
        .iter()
        .filter(|outgoing| outgoing.segments > 1)
        .map(|outgoing| outgoing.reference)
        .collect();
    assert_eq!(read, references);

    let later = NOW + 300 * 60_000;
    let next = accepted(backend.store(), request(later, vec![long_batch([1])])).await;
    let minutes = (later / 60_000) as u16;
    assert_eq!(
        next.references[0].1, minutes,
        "what waited long begins at the clock"
    );
}
