//! How long a receipt is waited for: from the submission on, whenever the message was accepted.

use super::Backend;
use super::fixtures::{
    CARRIER, LANE, NOW, accepted, accepted_batch, batch, begun, receipt, received, recorded, request, result,
    seen, submitted, taken_as, waiting,
};
use crate::{Answer, AttemptOutcome, MessageId, NewBatch, Next, ReceiptEffect, Store, UnixMs};
use sms::state::{MessageState, ReceiptState};

const DAY_MS: i64 = 86_400_000;

/// Gives up on receipts until there is nothing more to do; the messages that ended.
pub(super) async fn given_up(store: &dyn Store, submitted_before: UnixMs, now: UnixMs) -> Vec<MessageId> {
    let mut all = vec![];
    loop {
        let (ended, more) = store
            .give_up_receipts(submitted_before, now)
            .await
            .expect("given up");
        all.extend(ended);
        if !more {
            return all;
        }
    }
}

/// Accepts messages now for a time days ahead; releases and submits them when it has come.
async fn submitted_after(store: &dyn Store, days: i64, numbers: std::ops::Range<u64>) -> Vec<MessageId> {
    let due = NOW + days * DAY_MS;
    let later = NewBatch {
        due: Some(due),
        ..batch(numbers)
    };
    accepted(store, request(NOW, vec![later])).await;
    store
        .release_due(due, 100, Box::new(|_| {}))
        .await
        .expect("released");
    submitted(store, due, &format!("{days}-")).await
}

/// How long a receipt is waited for counts from the submission on, however long before a message was accepted.
pub async fn a_receipt_is_awaited_from_the_submission_on(backend: &mut impl Backend) {
    let store = backend.store();
    let ten = submitted_after(store, 10, 0..3).await;
    let twenty = submitted_after(store, 20, 3..5).await;
    received(
        store,
        receipt("10-1", ReceiptState::Delivered, NOW + 10 * DAY_MS + 50),
    )
    .await;
    let waited = |days: i64, ms: i64| {
        let now = NOW + days * DAY_MS + ms;
        (now - 3 * DAY_MS, now)
    };
    for (before, now) in [waited(11, 0), waited(13, 0)] {
        assert_eq!(
            given_up(store, before, now).await,
            [],
            "three days have not passed"
        );
    }
    let (before, now) = waited(13, 5_000);
    assert_eq!(given_up(store, before, now).await, [ten[0], ten[2]]);
    assert_eq!(seen(store, ten[0]).await.changed_at, now);
    let (before, now) = waited(14, 0);
    assert_eq!(given_up(store, before, now).await, [], "each ends once");
    let (before, now) = waited(24, 0);
    assert_eq!(given_up(store, before, now).await, twenty);
}

/// A restart neither shortens nor lengthens the wait for a receipt.
pub async fn the_wait_for_receipts_goes_on_over_a_restart(backend: &mut impl Backend) {
    let all = submitted_after(backend.store(), 10, 0..2).await;
    backend.crash().await;
    let submitted_at = NOW + 10 * DAY_MS;
    let early = given_up(backend.store(), submitted_at, submitted_at + 60_000).await;
    assert_eq!(early, [], "a minute after the restart");
    backend.crash().await;
    let later = submitted_at + 4 * DAY_MS;
    assert_eq!(given_up(backend.store(), later - 3 * DAY_MS, later).await, all);
}

/// What a receipt that is not final settles (the answer was lost) is waited for as well.
pub async fn what_a_receipt_confirms_is_awaited_too(backend: &mut impl Backend) {
    let store = backend.store();
    let id = accepted_batch(store, NOW, 0..1).await.first;
    let attempt = begun(store, CARRIER, NOW, &waiting(store, LANE).await).await;
    let answer = result(id, attempt, NOW, Answer::None, Next::InDoubt);
    assert_eq!(
        recorded(store, vec![answer], &[attempt]).await,
        [MessageState::InDoubt]
    );
    let answered = AttemptOutcome {
        answered_at: NOW + 70_000,
        ..result(
            id,
            attempt,
            NOW,
            Answer::Single(taken_as("late")),
            Next::Submitted,
        )
    };
    recorded(store, vec![answered], &[]).await;
    assert_eq!(given_up(store, NOW + DAY_MS, NOW + 2 * DAY_MS).await, [id]);
}

/// A receipt finds its message however long before the submission the message was accepted, wherever the key of the
/// carrier's id has got to.
pub async fn receipts_find_what_was_accepted_long_ago(backend: &mut impl Backend) {
    let due = NOW + 20 * DAY_MS;
    let later = NewBatch {
        due: Some(due),
        ..batch(0..200)
    };
    accepted(backend.store(), request(NOW, vec![later])).await;
    backend
        .store()
        .release_due(due, 100, Box::new(|_| {}))
        .await
        .expect("released");
    let all = submitted(backend.store(), due, "id").await;
    backend.crash().await;
    for (n, &id) in all.iter().enumerate() {
        let reported = receipt(&format!("id{n}"), ReceiptState::Delivered, due + DAY_MS);
        let effect = received(backend.store(), reported).await;
        let state = MessageState::Delivered;
        assert_eq!(effect, ReceiptEffect::Applied { id, state }, "{n}");
    }
}
