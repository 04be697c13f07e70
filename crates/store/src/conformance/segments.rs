//! Messages of several segments, each of which is taken, refused or lost by itself.

use super::Backend;
use super::fixtures::{
    CARRIER, LANE, NOW, accepted_batch, begun, ids, receipt, received, recorded, result, seen, state,
    taken_as, waiting,
};
use crate::{
    Answer, AttemptId, AttemptOutcome, CarrierReceipt, MessageId, Next, ReceiptEffect, ReceiptScope,
    SegmentAnswer, Store, TimelineKind,
};
use sms::state::{MessageState, ReceiptState};

fn refused() -> SegmentAnswer {
    SegmentAnswer {
        status: 0x58,
        carrier_id: None,
    }
}

/// What one attempt brought of a message that has had `attempts` that count.
fn outcome(
    id: MessageId,
    attempt: AttemptId,
    attempts: u8,
    segments: Vec<Option<SegmentAnswer>>,
    next: Next,
) -> AttemptOutcome {
    AttemptOutcome {
        attempts,
        ..result(id, attempt, NOW, Answer::segments(segments), next)
    }
}

const AGAIN: Next = Next::Retry {
    due: NOW + 1_000,
    carrier: CARRIER,
};

/// Takes the one message that waits; returns which of its segments the carrier has already.
async fn begun_again(store: &dyn Store) -> (AttemptId, Vec<usize>) {
    store
        .release_due(NOW + 60_000, 100, Box::new(|_| {}))
        .await
        .expect("released");
    let messages = waiting(store, LANE).await;
    assert_eq!(messages.len(), 1);
    let taken = messages[0].taken.as_deref();
    let taken = (0..255)
        .filter(|n| taken.is_some_and(|taken| taken.segments.contains(*n)))
        .collect();
    (begun(store, CARRIER, NOW, &messages).await, taken)
}

/// Segments that were taken are durable while others of the same attempt are in flight: after a kill the attempt is
/// open, and the message that is sent again names the segments that the carrier has.
pub async fn segments_taken_are_kept_while_others_are_under_way(backend: &mut impl Backend) {
    let store = backend.store();
    let id = accepted_batch(store, NOW, 0..1).await.first;
    let attempt = begun(store, CARRIER, NOW, &waiting(store, LANE).await).await;
    let part = outcome(
        id,
        attempt,
        0,
        vec![Some(taken_as("p1")), None, None],
        Next::Partly,
    );
    assert_eq!(recorded(store, vec![part], &[]).await, [MessageState::InFlight]);
    let part = outcome(
        id,
        attempt,
        0,
        vec![None, Some(taken_as("p2")), None],
        Next::Partly,
    );
    recorded(store, vec![part], &[]).await;
    let view = seen(store, id).await;
    assert_eq!((view.state, view.submitted_at), (MessageState::InFlight, None));
    assert_eq!(store.counts().await.expect("counted").in_flight, 1);
    let early = received(store, receipt("p1", ReceiptState::Delivered, NOW + 50)).await;
    assert_eq!(
        early,
        ReceiptEffect::Applied {
            id,
            state: MessageState::InFlight
        },
        "a receipt for one segment does not end the message"
    );

    backend.crash().await;
    let store = backend.store();
    let open = store.open_attempts().await.expect("read");
    assert_eq!(open.len(), 1, "the attempt is not over");
    assert_eq!(open[0].messages, [(id, 0)]);
    let lost = AttemptOutcome {
        attempts: 1,
        ..result(id, attempt, NOW, Answer::None, AGAIN)
    };
    recorded(store, vec![lost], &[attempt]).await;
    assert_eq!(state(store, id).await, MessageState::Queued);
    let (attempt, taken) = begun_again(store).await;
    assert_eq!(taken, [0, 1]);
    let rest = outcome(
        id,
        attempt,
        2,
        vec![None, None, Some(taken_as("p3"))],
        Next::Submitted,
    );
    assert_eq!(
        recorded(store, vec![rest], &[attempt]).await,
        [MessageState::Submitted]
    );
    for carrier_id in ["p2", "p3"] {
        received(store, receipt(carrier_id, ReceiptState::Delivered, NOW + 60)).await;
    }
    assert_eq!(state(store, id).await, MessageState::Delivered);
}

/// The segmentation is kept for as long as some segments are to be sent beside the taken ones: over a crash, receipts,
/// and attempts without a result.
pub async fn how_segments_were_made_is_kept_with_those_taken(backend: &mut impl Backend) {
    const MADE: &[u8] = &[0, 1, 2, 0xFF];
    let store = backend.store();
    let id = accepted_batch(store, NOW, 0..1).await.first;
    let mut attempt = begun(store, CARRIER, NOW, &waiting(store, LANE).await).await;
    let made_so = |answers, lost| Answer::Segments {
        answers,
        lost,
        segmentation: Some(MADE.into()),
    };
    let first = made_so(vec![Some(taken_as("m1")), Some(refused()), None], true);
    recorded(store, vec![result(id, attempt, NOW, first, AGAIN)], &[attempt]).await;
    received(store, receipt("m1", ReceiptState::Delivered, NOW + 50)).await;
    let fruitless = [
        Answer::None,
        Answer::NotSent,
        made_so(vec![None, Some(refused()), None], true),
    ];
    for answer in fruitless {
        backend.crash().await;
        let store = backend.store();
        store
            .release_due(NOW + 60_000, 100, Box::new(|_| {}))
            .await
            .expect("released");
        let messages = waiting(store, LANE).await;
        let taken = messages[0].taken.as_deref().expect("a segment was taken");
        assert_eq!(taken.segmentation.as_deref(), Some(MADE));
        assert_eq!((taken.segments.len(), taken.segments.contains(0)), (1, true));
        attempt = begun(store, CARRIER, NOW, &messages).await;
        let again = result(id, attempt, NOW, answer, AGAIN);
        recorded(store, vec![again], &[attempt]).await;
    }
    let store = backend.store();
    let (attempt, taken) = begun_again(store).await;
    assert_eq!(taken, [0]);
    let rest = made_so(vec![None, Some(taken_as("m2")), Some(taken_as("m3"))], false);
    recorded(
        store,
        vec![result(id, attempt, NOW, rest, Next::Submitted)],
        &[attempt],
    )
    .await;
    for carrier_id in ["m2", "m3"] {
        received(store, receipt(carrier_id, ReceiptState::Delivered, NOW + 60)).await;
    }
    assert_eq!(state(store, id).await, MessageState::Delivered);
}

/// An attempt and its missing answer are in the timeline once, however many late answers come in, also after a
/// receipt has ended the message.
pub async fn late_answers_repeat_nothing_in_the_timeline(backend: &mut impl Backend) {
    let lost = |answers| Answer::Segments {
        answers,
        lost: true,
        segmentation: None,
    };
    for is_ended in [false, true] {
        let store = backend.store();
        let id = accepted_batch(store, NOW, 0..1).await.first;
        let attempt = begun(store, CARRIER, NOW, &waiting(store, LANE).await).await;
        let held = result(id, attempt, NOW, lost(vec![None; 4]), Next::InDoubt);
        recorded(store, vec![held], &[attempt]).await;
        let ids = ["l1", "l2", "l3"].map(|name| format!("{name}{is_ended}"));
        for (place, carrier_id) in ids.iter().enumerate() {
            let mut answers = vec![None; 4];
            answers[place] = Some(taken_as(carrier_id));
            let at = NOW + 1_000 * (place as i64 + 1);
            let late = AttemptOutcome {
                answered_at: at,
                ..result(id, attempt, NOW, lost(answers), Next::InDoubt)
            };
            recorded(backend.store(), vec![late], &[]).await;
            if is_ended && place == 0 {
                let whole = CarrierReceipt {
                    scope: ReceiptScope::Message,
                    ..receipt(carrier_id, ReceiptState::Delivered, at)
                };
                received(backend.store(), whole).await;
            }
            backend.crash().await;
        }
        let timeline = backend.store().timeline(id).await.expect("read");
        let count = |of: fn(&TimelineKind) -> bool| timeline.iter().filter(|entry| of(&entry.kind)).count();
        let counts = [
            count(|kind| matches!(kind, TimelineKind::Attempt { .. })),
            count(|kind| matches!(kind, TimelineKind::Unanswered { .. })),
            count(|kind| matches!(kind, TimelineKind::State(MessageState::InDoubt))),
            count(|kind| matches!(kind, TimelineKind::Answered { .. })),
        ];
        assert_eq!(counts, [1, 1, 1, 3], "{timeline:?}");
    }
}

/// A segment that got a temporary refusal is sent again alone; the taken ones stay so however many tries follow.
pub async fn a_segment_refused_for_now_is_sent_again_alone(backend: &mut impl Backend) {
    let store = backend.store();
    let id = accepted_batch(store, NOW, 0..1).await.first;
    let attempt = begun(store, CARRIER, NOW, &waiting(store, LANE).await).await;
    let first = outcome(
        id,
        attempt,
        0,
        vec![Some(taken_as("r1")), Some(refused()), Some(refused())],
        AGAIN,
    );
    recorded(store, vec![first], &[attempt]).await;
    let (attempt, taken) = begun_again(store).await;
    assert_eq!(taken, [0]);
    let second = outcome(
        id,
        attempt,
        0,
        vec![None, Some(taken_as("r2")), Some(refused())],
        AGAIN,
    );
    recorded(store, vec![second], &[attempt]).await;
    backend.crash().await;
    let store = backend.store();
    let (attempt, taken) = begun_again(store).await;
    assert_eq!(taken, [0, 1]);
    let third = outcome(
        id,
        attempt,
        1,
        vec![None, None, Some(taken_as("r3"))],
        Next::Submitted,
    );
    recorded(store, vec![third], &[attempt]).await;
    for carrier_id in ["r1", "r2", "r3"] {
        received(store, receipt(carrier_id, ReceiptState::Delivered, NOW + 60)).await;
    }
    assert_eq!(state(store, id).await, MessageState::Delivered);
}

/// Receipts that came for segments while others waited count as soon as the last one is taken.
pub async fn receipts_of_segments_count_once_all_are_taken(backend: &mut impl Backend) {
    let store = backend.store();
    for (reported, ends) in [
        (ReceiptState::Delivered, MessageState::Submitted),
        (ReceiptState::Undeliverable, MessageState::Undelivered),
    ] {
        let id = accepted_batch(store, NOW, 0..1).await.first;
        let attempt = begun(store, CARRIER, NOW, &waiting(store, LANE).await).await;
        let first = outcome(id, attempt, 0, vec![Some(taken_as("e1")), Some(refused())], AGAIN);
        recorded(store, vec![first], &[attempt]).await;
        received(store, receipt("e1", reported, NOW + 40)).await;
        assert_eq!(state(store, id).await, MessageState::Queued);
        let (attempt, _) = begun_again(store).await;
        let second = outcome(id, attempt, 1, vec![None, Some(taken_as("e2"))], Next::Submitted);
        assert_eq!(recorded(store, vec![second], &[attempt]).await, [ends]);
    }
}

/// What another carrier took of a message says nothing of what the next one has.
pub async fn segments_belong_to_the_carrier_that_took_them(backend: &mut impl Backend) {
    let store = backend.store();
    let id = accepted_batch(store, NOW, 0..1).await.first;
    let attempt = begun(store, CARRIER, NOW, &waiting(store, LANE).await).await;
    let other = crate::CarrierNo(CARRIER.0 + 1);
    let first = AttemptOutcome {
        carrier: other,
        ..outcome(id, attempt, 0, vec![Some(taken_as("o1")), Some(refused())], AGAIN)
    };
    recorded(store, vec![first], &[attempt]).await;
    let (attempt, taken) = begun_again(store).await;
    assert!(taken.is_empty());
    let all = vec![Some(taken_as("n1")), Some(taken_as("n2"))];
    let second = outcome(id, attempt, 1, all, Next::Submitted);
    recorded(store, vec![second], &[attempt]).await;
    for carrier_id in ["n1", "n2"] {
        received(store, receipt(carrier_id, ReceiptState::Delivered, NOW + 60)).await;
    }
    assert_eq!(state(store, id).await, MessageState::Delivered);
}

/// A message that is held because the answer to one of its segments was lost stays so, whatever receipts of the others
/// say, until one of them failed; a receipt for the whole message settles it.
pub async fn a_message_held_for_one_segment_stays_held(backend: &mut impl Backend) {
    let store = backend.store();
    let all = ids(accepted_batch(store, NOW, 0..3).await);
    let attempt = begun(store, CARRIER, NOW, &waiting(store, LANE).await).await;
    let held = |n: usize| {
        let answers = vec![
            None,
            Some(taken_as(&format!("h{n}"))),
            Some(taken_as(&format!("i{n}"))),
        ];
        let answer = Answer::Segments {
            answers,
            lost: true,
            segmentation: None,
        };
        result(all[n], attempt, NOW, answer, Next::InDoubt)
    };
    recorded(store, vec![held(0), held(1), held(2)], &[attempt]).await;
    for carrier_id in ["h0", "i0", "h1"] {
        received(store, receipt(carrier_id, ReceiptState::Delivered, NOW + 50)).await;
    }
    for id in &all {
        assert_eq!(state(store, *id).await, MessageState::InDoubt);
    }
    received(store, receipt("i1", ReceiptState::Undeliverable, NOW + 60)).await;
    assert_eq!(state(store, all[1]).await, MessageState::Undelivered);
    let whole = CarrierReceipt {
        scope: ReceiptScope::Message,
        ..receipt("h2", ReceiptState::Delivered, NOW + 60)
    };
    received(store, whole).await;
    assert_eq!(state(store, all[2]).await, MessageState::Delivered);
    let late = result(
        all[0],
        attempt,
        NOW,
        Answer::segments(vec![Some(taken_as("late")), None, None]),
        Next::Submitted,
    );
    recorded(store, vec![late], &[]).await;
    received(store, receipt("late", ReceiptState::Delivered, NOW + 70)).await;
    assert_eq!(state(store, all[0]).await, MessageState::Delivered);
}
