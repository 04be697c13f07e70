//! Lanes, attempts and their results.

use super::Backend;
use super::fixtures::{
    ACCOUNT, CARRIER, LANE, NOW, accepted, accepted_batch, batch, begun, ids, recorded, request, result,
    seen, state, submitted, taken_as, waiting, waiting_ids,
};
use crate::{
    Answer, AttemptOutcome, AttemptStart, CarrierNo, DequeuedRange, Lane, MessageId, NewBatch, Next,
    Released, SegmentAnswer, Store,
};
use sms::class::Class;
use sms::state::MessageState;

async fn released(store: &dyn Store, now: i64, ranges_max: usize) -> Released {
    store
        .release_due(now, ranges_max, Box::new(|_| {}))
        .await
        .expect("released")
}

/// A lane is read in the order of accepting, from any place, in any portion.
pub async fn lanes_are_read_in_order_from_any_place(backend: &mut impl Backend) {
    let store = backend.store();
    let first = accepted_batch(store, NOW, 0..5).await;
    let otp = NewBatch {
        class: Class::Otp,
        ..batch(0..1)
    };
    let second = accepted(store, request(NOW, vec![otp, batch(5..8)])).await;
    let all = [ids(first), ids(second.batches[1])].concat();
    assert_eq!(waiting_ids(store, LANE).await, all);

    let mut after = None;
    let mut read = vec![];
    loop {
        let portion = store.read_lane(LANE, after, 3).await.expect("read");
        assert!(portion.len() <= 3);
        let Some(last) = portion.last() else { break };
        after = Some((last.key.no, last.id));
        read.extend(portion.iter().map(|outgoing| outgoing.id));
    }
    assert_eq!(read, all);

    let lanes = store.lanes().await.expect("lanes");
    let lanes: Vec<_> = lanes
        .iter()
        .map(|backlog| (backlog.lane.class, backlog.messages))
        .collect();
    assert_eq!(lanes, [(Class::Otp, 1), (Class::Notice, 8)]);
    let outgoing = &waiting(store, LANE).await[6];
    assert_eq!(
        (outgoing.msisdn, outgoing.batch.id),
        (super::fixtures::number(6), second.batches[1].first)
    );
    assert_eq!((outgoing.attempts, outgoing.last_attempt), (0, None));
}

/// Messages of one batch for different carriers wait in different lanes.
pub async fn runs_of_a_carrier_are_places_of_their_own(backend: &mut impl Backend) {
    let store = backend.store();
    let other = CarrierNo(4);
    let mut mixed = batch(0..6);
    for n in [2, 3, 5] {
        mixed.messages[n].carrier = other;
    }
    let outcome = accepted(store, request(NOW, vec![mixed])).await;
    let all = ids(outcome.batches[0]);
    assert_eq!(outcome.queued.len(), 4);
    assert!(
        outcome
            .queued
            .windows(2)
            .all(|pair| pair[0].key.no < pair[1].key.no)
    );
    assert_eq!(waiting_ids(store, LANE).await, [all[0], all[1], all[4]]);
    assert_eq!(
        waiting_ids(
            store,
            Lane {
                carrier: other,
                ..LANE
            }
        )
        .await,
        [all[2], all[3], all[5]]
    );
    assert_eq!(seen(store, all[3]).await.carrier, other);
}

/// Exactly what is named is taken from a place, whatever the order of taking.
pub async fn taking_from_a_place_leaves_the_rest(backend: &mut impl Backend) {
    let store = backend.store();
    let range = accepted_batch(store, NOW, 0..10).await;
    let all = ids(range);
    let key = waiting(store, LANE).await[0].key;
    let take = |first: usize, last: usize, bind: u16| AttemptStart {
        carrier: CARRIER,
        bind,
        now: NOW,
        messages: all[first..=last].to_vec(),
        consumed: vec![DequeuedRange {
            key,
            first: all[first],
            last: all[last],
        }],
    };
    store.begin_attempts(vec![take(4, 5, 0)]).await.expect("begun");
    assert_eq!(waiting_ids(store, LANE).await, [&all[..4], &all[6..]].concat());
    store
        .begin_attempts(vec![take(8, 9, 1), take(0, 1, 0)])
        .await
        .expect("begun");
    assert_eq!(waiting_ids(store, LANE).await, [all[2], all[3], all[6], all[7]]);
    let after = store
        .read_lane(LANE, Some((key.no, all[3])), 9)
        .await
        .expect("read");
    assert_eq!(
        after.iter().map(|outgoing| outgoing.id).collect::<Vec<_>>(),
        [all[6], all[7]]
    );
    store.begin_attempts(vec![take(2, 7, 0)]).await.expect("begun"); // over the gap
    assert_eq!(waiting_ids(store, LANE).await, []);
    assert!(store.lanes().await.expect("lanes").is_empty());
}

/// Taking what has been taken before changes nothing of what waits elsewhere.
pub async fn what_was_taken_is_not_taken_twice(backend: &mut impl Backend) {
    let store = backend.store();
    accepted_batch(store, NOW, 0..2).await;
    let rest = accepted_batch(store, NOW, 2..4).await;
    let messages = waiting(store, LANE).await;
    begun(store, CARRIER, NOW, &messages[..2]).await;
    begun(store, CARRIER, NOW, &messages[..2]).await;
    assert_eq!(waiting_ids(store, LANE).await, ids(rest));
    assert_eq!(store.lanes().await.expect("lanes")[0].messages, 2);
}

/// A retry waits until its time, then in the lane of the carrier it is for, with what it has behind it.
pub async fn retries_wait_for_their_time_and_carrier(backend: &mut impl Backend) {
    let store = backend.store();
    let all = ids(accepted_batch(store, NOW, 0..4).await);
    let messages = waiting(store, LANE).await;
    let attempt = begun(store, CARRIER, NOW, &messages).await;
    let other = CarrierNo(4);
    let throttled = || {
        Answer::Single(SegmentAnswer {
            status: 0x58,
            carrier_id: None,
        })
    };
    let retry =
        |n: usize, due, carrier| result(all[n], attempt, NOW, throttled(), Next::Retry { due, carrier });
    let outcomes = vec![
        retry(0, NOW + 1_000, CARRIER),
        retry(1, NOW + 1_000, CARRIER),
        retry(2, NOW + 500, other),
        retry(3, NOW + 1_000, CARRIER),
    ];
    assert_eq!(
        recorded(store, outcomes, &[attempt]).await,
        [MessageState::Queued; 4]
    );
    assert_eq!(waiting_ids(store, LANE).await, []);
    let counts = store.counts().await.expect("counted");
    assert_eq!((counts.queued, counts.delayed, counts.in_flight), (0, 4, 0));
    assert_eq!(store.next_due().await.expect("read"), Some(NOW + 500));
    assert_eq!(
        (state(store, all[0]).await, seen(store, all[0]).await.status),
        (MessageState::Queued, 0x58)
    );

    let early = released(store, NOW + 499, 10).await;
    assert!(early.lanes.is_empty() && !early.more);
    let one = released(store, NOW + 1_000, 1).await;
    assert_eq!(
        one.lanes
            .iter()
            .map(|l| (l.lane.carrier, l.messages))
            .collect::<Vec<_>>(),
        [(other, 1)]
    );
    assert!(one.more);
    let rest = released(store, NOW + 1_000, 10).await;
    assert_eq!(
        (rest.lanes[0].messages, rest.more, rest.next_due),
        (3, false, None)
    );
    let again = waiting(store, LANE).await;
    assert_eq!(
        again.iter().map(|outgoing| outgoing.id).collect::<Vec<_>>(),
        [all[0], all[1], all[3]]
    );
    assert!(
        again
            .iter()
            .all(|outgoing| (outgoing.attempts, outgoing.last_attempt) == (1, Some(attempt)))
    );
    assert_eq!(
        waiting_ids(
            store,
            Lane {
                carrier: other,
                ..LANE
            }
        )
        .await,
        [all[2]]
    );

    let second = begun(store, CARRIER, NOW + 1_000, &again[..1]).await;
    let taken = AttemptOutcome {
        attempts: 2,
        ..result(
            all[0],
            second,
            NOW + 1_000,
            Answer::Single(taken_as("late")),
            Next::Submitted,
        )
    };
    assert_eq!(
        recorded(store, vec![taken], &[second]).await,
        [MessageState::Submitted]
    );
    let view = seen(store, all[0]).await;
    assert_eq!(
        (view.attempts, view.status, view.submitted_at),
        (2, 0, Some(NOW + 1_020))
    );
}

/// A batch with a time is in no lane before it, and one whose time has passed is queued at once.
pub async fn schedules_wait_for_their_time(backend: &mut impl Backend) {
    let store = backend.store();
    let later = NewBatch {
        due: Some(NOW + 60_000),
        ..batch(0..3)
    };
    let past = NewBatch {
        due: Some(NOW),
        ..batch(3..4)
    };
    let outcome = accepted(store, request(NOW, vec![later, past])).await;
    assert_eq!(outcome.queued.len(), 1);
    assert_eq!(waiting_ids(store, LANE).await, ids(outcome.batches[1]));
    assert_eq!(store.next_due().await.expect("read"), Some(NOW + 60_000));
    assert_eq!(state(store, outcome.batches[0].first).await, MessageState::Queued);

    let (notify, notified) = tokio::sync::oneshot::channel();
    let on_release = Box::new(move |released: &Released| {
        let _gone = notify.send(released.lanes.clone());
    });
    let released = store
        .release_due(NOW + 60_000, 100, on_release)
        .await
        .expect("released");
    assert_eq!(notified.await.expect("notified"), released.lanes);
    assert_eq!(released.lanes[0].messages, 3);
    let waiting = waiting_ids(store, LANE).await;
    assert_eq!(
        waiting,
        [ids(outcome.batches[1]), ids(outcome.batches[0])].concat(),
        "behind what waits"
    );
    assert_eq!(store.next_due().await.expect("read"), None);
}

/// Messages of an attempt are in flight until each has a result.
pub async fn an_attempt_is_open_until_its_results_are_recorded(backend: &mut impl Backend) {
    let store = backend.store();
    let all = ids(accepted_batch(store, NOW, 0..3).await);
    let messages = waiting(store, LANE).await;
    let attempt = begun(store, CARRIER, NOW + 5, &messages).await;
    assert_eq!(state(store, all[0]).await, MessageState::InFlight);
    assert_eq!(store.counts().await.expect("counted").in_flight, 3);

    let part = result(
        all[1],
        attempt,
        NOW + 5,
        Answer::Single(taken_as("b")),
        Next::Submitted,
    );
    recorded(store, vec![part], &[]).await;
    let open = store.open_attempts().await.expect("read");
    assert_eq!(open.len(), 1);
    assert_eq!(
        (open[0].attempt, open[0].carrier, open[0].bind, open[0].at),
        (attempt, CARRIER, 1, NOW + 5)
    );
    assert_eq!(open[0].messages, [(all[0], 0), (all[2], 0)]);
    assert_eq!(state(store, all[1]).await, MessageState::Submitted);
    assert_eq!(store.counts().await.expect("counted").in_flight, 2);

    let doubt = result(all[0], attempt, NOW + 5, Answer::None, Next::InDoubt);
    let refused = SegmentAnswer {
        status: 0x0b,
        carrier_id: None,
    };
    let last = result(
        all[2],
        attempt,
        NOW + 5,
        Answer::Single(refused),
        Next::Final(MessageState::Rejected),
    );
    let states = recorded(store, vec![doubt, last], &[attempt]).await;
    assert_eq!(states, [MessageState::InDoubt, MessageState::Rejected]);
    assert!(store.open_attempts().await.expect("read").is_empty());
    assert_eq!(store.counts().await.expect("counted").in_flight, 0);
    let view = seen(store, all[2]).await;
    assert_eq!(
        (view.state, view.status, view.submitted_at),
        (MessageState::Rejected, 0x0b, None)
    );
}

/// The answer to an earlier attempt that comes after a later one's does not replace it.
pub async fn a_late_result_does_not_undo_a_later_attempt(backend: &mut impl Backend) {
    let store = backend.store();
    let id = accepted_batch(store, NOW, 0..1).await.first;
    let first = begun(store, CARRIER, NOW, &waiting(store, LANE).await).await;
    let lost = result(
        id,
        first,
        NOW,
        Answer::None,
        Next::Retry {
            due: NOW + 1,
            carrier: CARRIER,
        },
    );
    recorded(store, vec![lost], &[first]).await;
    released(store, NOW + 1, 10).await;
    let second = begun(store, CARRIER, NOW + 1, &waiting(store, LANE).await).await;
    assert!(second > first);
    assert_eq!(store.open_attempts().await.expect("read")[0].messages, [(id, 1)]);
    let taken = result(
        id,
        second,
        NOW + 1,
        Answer::Single(taken_as("second")),
        Next::Submitted,
    );
    recorded(store, vec![AttemptOutcome { attempts: 2, ..taken }], &[second]).await;
    let late = result(id, first, NOW, Answer::Single(taken_as("first")), Next::Submitted);
    assert_eq!(recorded(store, vec![late], &[]).await, [MessageState::Submitted]);
    assert_eq!(seen(store, id).await.attempts, 2);
}

/// A message that was never written to the carrier waits again, and no attempt is counted.
pub async fn a_message_that_was_not_sent_waits_again(backend: &mut impl Backend) {
    let store = backend.store();
    let id = accepted_batch(store, NOW, 0..1).await.first;
    let attempt = begun(store, CARRIER, NOW, &waiting(store, LANE).await).await;
    let back = AttemptOutcome {
        attempts: 0,
        ..result(
            id,
            attempt,
            NOW,
            Answer::NotSent,
            Next::Retry {
                due: NOW,
                carrier: CARRIER,
            },
        )
    };
    recorded(store, vec![back], &[attempt]).await;
    let view = seen(store, id).await;
    assert_eq!(
        (view.state, view.attempts, view.submitted_at),
        (MessageState::Queued, 0, None)
    );
    released(store, NOW, 10).await;
    assert_eq!(waiting(store, LANE).await[0].attempts, 0);
    let sent: Vec<MessageId> = submitted(store, NOW, "a").await;
    assert_eq!(sent, [id]);
    assert_eq!(seen(store, id).await.batch.account, ACCOUNT);
}
