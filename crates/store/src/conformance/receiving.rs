//! Receipts: matching them and what they change.

use super::Backend;
use super::awaiting::given_up;
use super::fixtures::{
    ACCOUNT, CARRIER, LANE, NOW, accepted_batch, all_counters, begun, counted, endpoint, happened, listening,
    receipt, received, recorded, result, seen, state, submitted, taken_as, waiting,
};
use crate::{
    Answer, AttemptId, CarrierNo, CarrierReceipt, EventKinds, EventWhat, MessageId, Next, ReceiptEffect,
    SegmentAnswer, Store, TimelineKind,
};
use sms::reason::Reason;
use sms::state::{MessageState, ReceiptState};

const DAY_MS: i64 = 86_400_000;

/// The common way: a receipt brings the final state and the carrier's code.
pub async fn a_receipt_ends_its_message(backend: &mut impl Backend) {
    let store = backend.store();
    accepted_batch(store, NOW, 0..3).await;
    let all = submitted(store, NOW, "id").await;
    let failed = CarrierReceipt {
        error: "027".into(),
        ..receipt("id1", ReceiptState::Undeliverable, NOW + 90)
    };
    let receipts = vec![receipt("id0", ReceiptState::Delivered, NOW + 80), failed];
    let effects = store.record_receipts(receipts).await.expect("recorded");
    let applied = |n: usize, state| ReceiptEffect::Applied { id: all[n], state };
    assert_eq!(
        effects,
        [
            applied(0, MessageState::Delivered),
            applied(1, MessageState::Undelivered)
        ]
    );
    let delivered = seen(store, all[0]).await;
    assert_eq!(
        (delivered.state, delivered.changed_at, &*delivered.error),
        (MessageState::Delivered, NOW + 80, "000")
    );
    assert_eq!(delivered.submitted_at, Some(NOW + 20));
    assert_eq!(&*seen(store, all[1]).await.error, "027");
    assert_eq!(state(store, all[2]).await, MessageState::Submitted);
}

/// A receipt that beats its answer waits, and is applied in the answer's own transaction.
pub async fn receipts_before_the_answer_are_applied_with_it(backend: &mut impl Backend) {
    let store = backend.store();
    let id = accepted_batch(store, NOW, 0..1).await.first;
    let attempt = begun(store, CARRIER, NOW, &waiting(store, LANE).await).await;
    assert_eq!(
        received(store, receipt("early", ReceiptState::Enroute, NOW + 1)).await,
        ReceiptEffect::StoredUnmatched
    );
    assert_eq!(
        received(store, receipt("early", ReceiptState::Delivered, NOW + 2)).await,
        ReceiptEffect::StoredUnmatched
    );
    let other = CarrierReceipt {
        carrier: CarrierNo(4),
        ..receipt("early", ReceiptState::Rejected, NOW + 2)
    };
    assert_eq!(received(store, other).await, ReceiptEffect::StoredUnmatched);
    assert_eq!(store.counts().await.expect("counted").unmatched_receipts, 3);

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
    assert_eq!(state(store, id).await, MessageState::Delivered);
    assert_eq!(
        store.counts().await.expect("counted").unmatched_receipts,
        1,
        "the other carrier's still waits"
    );
}

/// Unmatched receipts expire by the time they came.
pub async fn unmatched_receipts_expire(backend: &mut impl Backend) {
    let store = backend.store();
    for n in 0..5 {
        received(
            store,
            receipt(&format!("lost{n}"), ReceiptState::Delivered, NOW + n),
        )
        .await;
    }
    backend.crash().await;
    let store = backend.store();
    assert_eq!(
        store.expire_unmatched(NOW, NOW + 5).await.expect("expired"),
        0,
        "the time is that of the call, also when nothing was stored since the start"
    );
    assert_eq!(
        store.expire_unmatched(NOW + 3, NOW + 5).await.expect("expired"),
        3
    );
    assert_eq!(
        store.expire_unmatched(NOW + 3, NOW + 5).await.expect("expired"),
        0
    );
    assert_eq!(store.counts().await.expect("counted").unmatched_receipts, 2);
}

/// A carrier may send the final receipt as often as it likes.
pub async fn a_repeated_receipt_changes_nothing(backend: &mut impl Backend) {
    let store = backend.store();
    accepted_batch(store, NOW, 0..1).await;
    let id = submitted(store, NOW, "id").await[0];
    received(store, receipt("id0", ReceiptState::Delivered, NOW + 50)).await;
    for state in [
        ReceiptState::Delivered,
        ReceiptState::Expired,
        ReceiptState::Enroute,
        ReceiptState::Unknown,
    ] {
        let effect = received(store, receipt("id0", state, NOW + 70)).await;
        assert_eq!(effect, ReceiptEffect::Repeated { id }, "{state}");
    }
    let view = seen(store, id).await;
    assert_eq!((view.state, view.changed_at), (MessageState::Delivered, NOW + 50));
}

/// "Unknown" is the one end that a later receipt corrects.
pub async fn an_unknown_state_is_replaced_by_a_definite_one(backend: &mut impl Backend) {
    let store = backend.store();
    accepted_batch(store, NOW, 0..1).await;
    let id = submitted(store, NOW, "id").await[0];
    let unknown = received(store, receipt("id0", ReceiptState::Unknown, NOW + 50)).await;
    assert_eq!(
        unknown,
        ReceiptEffect::Applied {
            id,
            state: MessageState::Unknown
        }
    );
    let definite = received(store, receipt("id0", ReceiptState::Delivered, NOW + 60)).await;
    assert_eq!(
        definite,
        ReceiptEffect::Applied {
            id,
            state: MessageState::Delivered
        }
    );
    let timeline = store.timeline(id).await.expect("read");
    let reported: Vec<_> = timeline
        .iter()
        .filter_map(|entry| match &entry.kind {
            TimelineKind::Receipt { state, .. } => Some((entry.at, *state)),
            _ => None,
        })
        .collect();
    assert_eq!(
        reported,
        [
            (NOW + 50, MessageState::Unknown),
            (NOW + 60, MessageState::Delivered)
        ]
    );
}

/// A receipt that is not final confirms, and is remembered.
pub async fn intermediate_receipts_are_in_the_timeline(backend: &mut impl Backend) {
    let store = backend.store();
    accepted_batch(store, NOW, 0..1).await;
    let id = submitted(store, NOW, "id").await[0];
    let effect = received(store, receipt("id0", ReceiptState::Enroute, NOW + 50)).await;
    assert_eq!(
        effect,
        ReceiptEffect::Applied {
            id,
            state: MessageState::Submitted
        }
    );
    let view = seen(store, id).await;
    assert_eq!((view.state, view.changed_at), (MessageState::Submitted, NOW + 20));
    let timeline = store.timeline(id).await.expect("read");
    assert!(
        timeline
            .iter()
            .any(|entry| matches!(entry.kind, TimelineKind::Receipt { segment: 1, .. }))
    );
}

/// Submits one message as segments with these carrier ids.
pub(super) async fn submitted_segments(store: &dyn Store, carrier_ids: &[&str]) -> MessageId {
    let id = accepted_batch(store, NOW, 0..1).await.first;
    let attempt: AttemptId = begun(store, CARRIER, NOW, &waiting(store, LANE).await).await;
    let answers = carrier_ids.iter().map(|id| Some(taken_as(id))).collect();
    let answer = result(id, attempt, NOW, Answer::segments(answers), Next::Submitted);
    assert_eq!(
        recorded(store, vec![answer], &[attempt]).await,
        [MessageState::Submitted]
    );
    id
}

/// A message of several segments is delivered with the last of them and fails with the first.
pub async fn segments_are_put_together(backend: &mut impl Backend) {
    let store = backend.store();
    let id = submitted_segments(store, &["s1", "s2", "s3"]).await;
    for (carrier_id, reported) in [
        ("s2", MessageState::Submitted),
        ("s1", MessageState::Submitted),
        ("s3", MessageState::Delivered),
    ] {
        let effect = received(store, receipt(carrier_id, ReceiptState::Delivered, NOW + 60)).await;
        assert_eq!(
            effect,
            ReceiptEffect::Applied { id, state: reported },
            "{carrier_id}"
        );
    }
    assert_eq!(
        received(store, receipt("s2", ReceiptState::Delivered, NOW + 61)).await,
        ReceiptEffect::Repeated { id }
    );
    assert_eq!(state(store, id).await, MessageState::Delivered);

    let id = submitted_segments(store, &["t1", "t2"]).await;
    let failed = received(store, receipt("t2", ReceiptState::Expired, NOW + 70)).await;
    assert_eq!(
        failed,
        ReceiptEffect::Applied {
            id,
            state: MessageState::Expired
        }
    );
    let rest = received(store, receipt("t1", ReceiptState::Delivered, NOW + 71)).await;
    assert_eq!(rest, ReceiptEffect::Repeated { id });
    let timeline = store.timeline(id).await.expect("read");
    let reported: Vec<_> = timeline
        .iter()
        .filter_map(|entry| match &entry.kind {
            TimelineKind::Receipt { segment, state, .. } => Some((*segment, *state)),
            _ => None,
        })
        .collect();
    assert_eq!(
        reported,
        [(2, MessageState::Expired), (1, MessageState::Delivered)],
        "both are in the timeline"
    );
}

/// A message none of whose segments was taken was never submitted; one with some taken was.
pub async fn segments_that_were_refused_are_not_waited_for(backend: &mut impl Backend) {
    let store = backend.store();
    let refused = || SegmentAnswer {
        status: 0x0b,
        carrier_id: None,
    };
    let cases = [
        (vec![refused(), refused()], None),
        (vec![taken_as("half"), refused()], Some(NOW + 20)),
    ];
    for (answers, submitted_at) in cases {
        let id = accepted_batch(store, NOW, 0..1).await.first;
        let attempt = begun(store, CARRIER, NOW, &waiting(store, LANE).await).await;
        let next = Next::Final(MessageState::Rejected);
        let answer = result(
            id,
            attempt,
            NOW,
            Answer::segments(answers.into_iter().map(Some).collect()),
            next,
        );
        assert_eq!(
            recorded(store, vec![answer], &[attempt]).await,
            [MessageState::Rejected]
        );
        let view = seen(store, id).await;
        assert_eq!((view.status, view.submitted_at), (0x0b, submitted_at));
    }
    let late = received(store, receipt("half", ReceiptState::Delivered, NOW + 60)).await;
    assert!(matches!(late, ReceiptEffect::Repeated { .. }), "{late:?}");
}

/// A carrier that gives all segments one id reports them one by one under it.
pub async fn segments_of_one_id_are_counted(backend: &mut impl Backend) {
    let store = backend.store();
    let id = submitted_segments(store, &["same", "same"]).await;
    let first = received(store, receipt("same", ReceiptState::Delivered, NOW + 60)).await;
    assert_eq!(
        first,
        ReceiptEffect::Applied {
            id,
            state: MessageState::Submitted
        }
    );
    let second = received(store, receipt("same", ReceiptState::Delivered, NOW + 61)).await;
    assert_eq!(
        second,
        ReceiptEffect::Applied {
            id,
            state: MessageState::Delivered
        }
    );
}

/// When a carrier's id comes again, it is the newer message that is meant.
pub async fn a_carriers_id_used_again_names_the_newer_message(backend: &mut impl Backend) {
    let store = backend.store();
    accepted_batch(store, NOW, 0..1).await;
    let older = submitted(store, NOW, "id").await[0];
    accepted_batch(store, NOW + DAY_MS, 0..1).await;
    let newer = submitted(store, NOW + DAY_MS, "id").await[0];
    let effect = received(store, receipt("id0", ReceiptState::Delivered, NOW + DAY_MS + 9)).await;
    assert_eq!(
        effect,
        ReceiptEffect::Applied {
            id: newer,
            state: MessageState::Delivered
        }
    );
    assert_eq!(state(store, older).await, MessageState::Submitted);
}

/// Two carriers may give out the same id.
pub async fn carriers_do_not_share_their_ids(backend: &mut impl Backend) {
    let store = backend.store();
    accepted_batch(store, NOW, 0..1).await;
    let id = submitted(store, NOW, "id").await[0];
    let other = CarrierReceipt {
        carrier: CarrierNo(4),
        ..receipt("id0", ReceiptState::Rejected, NOW + 50)
    };
    assert_eq!(received(store, other).await, ReceiptEffect::StoredUnmatched);
    assert_eq!(state(store, id).await, MessageState::Submitted);
}

/// Error codes are kept as written, to 32 octets, whatever their length.
pub async fn error_codes_are_kept_to_their_bound(backend: &mut impl Backend) {
    let store = backend.store();
    let codes = [
        "",
        "8",
        "000",
        "DELIVRD_TO_HANDSET",
        "0123456789012345678901234567890123456789",
    ];
    accepted_batch(store, NOW, 0..codes.len() as u64).await;
    let all = submitted(store, NOW, "id").await;
    for (n, code) in codes.iter().enumerate() {
        let carrier_id = format!("id{n}");
        let reported = CarrierReceipt {
            error: (*code).into(),
            ..receipt(&carrier_id, ReceiptState::Delivered, NOW + 50)
        };
        received(store, reported).await;
        let kept = seen(store, all[n]).await.error;
        assert_eq!(&*kept, &code[..code.len().min(32)]);
    }
}

/// A receipt that never comes leaves a message unknown, until it still comes.
pub async fn messages_without_a_receipt_are_given_up(backend: &mut impl Backend) {
    let store = backend.store();
    accepted_batch(store, NOW, 0..4).await;
    let old = submitted(store, NOW, "old").await;
    received(store, receipt("old1", ReceiptState::Delivered, NOW + 50)).await;
    let segments = submitted_segments(store, &["s1", "s2"]).await;
    accepted_batch(store, NOW + 1_000, 0..1).await;
    let new = submitted(store, NOW + 1_000, "new").await[0];

    let ended = given_up(store, NOW + 1_000, NOW + 5_000).await;
    assert_eq!(ended, [old[0], old[2], old[3], segments]);
    let view = seen(store, old[0]).await;
    assert_eq!(
        (view.state, view.changed_at),
        (MessageState::Unknown, NOW + 5_000)
    );
    assert_eq!(state(store, old[1]).await, MessageState::Delivered);
    assert_eq!(state(store, new).await, MessageState::Submitted);
    let timeline = store.timeline(old[0]).await.expect("read");
    assert_eq!(
        timeline.last().map(|entry| &entry.kind),
        Some(&TimelineKind::State(MessageState::Unknown))
    );

    let late = received(store, receipt("old0", ReceiptState::Delivered, NOW + 6_000)).await;
    assert_eq!(
        late,
        ReceiptEffect::Applied {
            id: old[0],
            state: MessageState::Delivered
        }
    );
    for (carrier_id, reported) in [("s1", MessageState::Unknown), ("s2", MessageState::Delivered)] {
        received(store, receipt(carrier_id, ReceiptState::Delivered, NOW + 6_000)).await;
        assert_eq!(state(store, segments).await, reported, "{carrier_id}");
    }
}

/// The reason that a carrier's settings give an error code is stored with the code, also while the receipt is
/// unmatched, and is counted separately.
pub async fn what_an_error_code_means_is_kept_beside_it(backend: &mut impl Backend) {
    let meant = |carrier_id: &str, error: &str, cause| CarrierReceipt {
        error: error.into(),
        cause,
        ..receipt(carrier_id, ReceiptState::Undeliverable, NOW + 50)
    };
    let cause = Some(Reason::NumberOutOfService);
    let store = backend.store();
    listening(store, endpoint(1, ACCOUNT, EventKinds::ENDED)).await;
    accepted_batch(store, NOW, 0..3).await;
    let all = submitted(store, NOW, "id").await;
    received(store, meant("id0", "033", cause)).await;
    received(store, meant("id1", "033", None)).await;
    received(store, meant("id2", &"7".repeat(40), cause)).await;
    let last = accepted_batch(store, NOW, 0..1).await.first;
    let attempt = begun(store, CARRIER, NOW, &waiting(store, LANE).await).await;
    received(store, meant("late", "8", cause)).await;
    backend.crash().await;
    let store = backend.store();
    let answer = result(
        last,
        attempt,
        NOW,
        Answer::Single(taken_as("late")),
        Next::Submitted,
    );
    recorded(store, vec![answer], &[attempt]).await;
    for (id, error, cause) in [(all[0], "033", cause), (all[1], "033", None), (last, "8", cause)] {
        let view = seen(store, id).await;
        assert_eq!((&*view.error, view.cause), (error, cause));
        let entries = store.timeline(id).await.expect("read");
        let in_timeline = entries.iter().any(
            |entry| matches!(&entry.kind, TimelineKind::Receipt { error: shown, .. } if **shown == *error),
        );
        assert!(in_timeline, "{entries:?}");
    }
    let long = seen(store, all[2]).await;
    assert!(long.error.len() < 32 && long.error.starts_with("7777"));
    assert_eq!(long.cause, cause);
    for (_, event) in happened(store).await {
        if let EventWhat::Message { error, .. } = event {
            assert!(error.bytes().all(|octet| octet.is_ascii_digit()), "{error:?}");
        }
    }
    let rows = counted(store, all_counters()).await;
    let with_code = |cause| {
        let row = rows.iter().find(|row| &*row.error == "033" && row.cause == cause);
        row.map(|row| row.messages)
    };
    assert_eq!((with_code(cause), with_code(None)), (Some(1), Some(1)));
}
