//! Time to live: what waits beyond its end ends unsent, and nothing else does.

use super::Backend;
use super::fixtures::{
    ACCOUNT, CARRIER, LANE, NOW, accepted, all_counters, batch, begun, counted, endpoint, happened, ids,
    listening, message, recorded, request, result, seen, state, taken_as, waiting, waiting_ids,
};
use crate::{
    Answer, AttemptOutcome, AttemptStart, BatchRange, CarrierNo, DequeuedRange, EXPIRED_IN_DOUBT,
    EXPIRED_UNSENT, EventKinds, EventWhat, MessageId, NewBatch, Next, Outgoing, SegmentAnswer, Store,
    TimelineKind, UnixMs,
};
use sms::state::MessageState;

/// When the batches of [`ending`] end.
const END: UnixMs = NOW + 600_000;

fn ending(numbers: impl IntoIterator<Item = u64>) -> NewBatch {
    NewBatch {
        expires_at: Some(END),
        ..batch(numbers)
    }
}

async fn accepted_ending(store: &dyn Store, numbers: impl IntoIterator<Item = u64>) -> BatchRange {
    accepted(store, request(NOW, vec![ending(numbers)])).await.batches[0]
}

/// Sweeps over all that waits; how many messages ended.
async fn swept(store: &dyn Store, now: UnixMs) -> u64 {
    let (mut from, mut ended) = (None, 0);
    loop {
        let step = store.sweep_expired(from, now).await.expect("swept");
        ended += step.ended.iter().map(|lane| lane.messages).sum::<u64>();
        let Some(next) = step.next else { return ended };
        from = Some(next);
    }
}

fn runs(messages: &[Outgoing]) -> Vec<DequeuedRange> {
    let run = |outgoing: &Outgoing| DequeuedRange {
        key: outgoing.key,
        first: outgoing.id,
        last: outgoing.id,
    };
    messages.iter().map(run).collect()
}

async fn is_unsent(store: &dyn Store, id: MessageId) -> bool {
    let view = seen(store, id).await;
    (view.state, &*view.error) == (MessageState::Expired, EXPIRED_UNSENT)
}

/// At the end of its time to live, and not before, a waiting message is dequeued, gets its final state, is counted
/// and logs an event.
pub async fn what_waits_beyond_its_end_ends(backend: &mut impl Backend) {
    let store = backend.store();
    listening(store, endpoint(1, ACCOUNT, EventKinds::ENDED)).await;
    let forever = accepted(store, request(NOW, vec![batch(0..2)])).await.batches[0];
    let short = ids(accepted_ending(store, 2..5).await);
    let longer = NewBatch {
        expires_at: Some(END + 1),
        ..batch(5..6)
    };
    let longer = accepted(store, request(NOW, vec![longer])).await.batches[0].first;
    assert_eq!(waiting(store, LANE).await[2].batch.expires_at, Some(END));
    assert_eq!(seen(store, forever.first).await.batch.expires_at, None);

    assert_eq!(swept(store, END - 1).await, 0);
    assert_eq!(
        store.sweep_expired(None, END).await.expect("swept").ended[0].lane,
        LANE
    );
    assert_eq!(swept(store, END).await, 0, "once only");
    assert_eq!(
        waiting_ids(store, LANE).await,
        [forever.first, forever.first.plus(1), longer]
    );
    assert_eq!(store.lanes().await.expect("lanes")[0].messages, 3);
    let view = seen(store, short[1]).await;
    assert_eq!(
        (
            view.state,
            &*view.error,
            view.attempts,
            view.submitted_at,
            view.changed_at
        ),
        (MessageState::Expired, EXPIRED_UNSENT, 0, None, END)
    );
    let reported: Vec<_> = happened(store).await;
    let expected: Vec<_> = short
        .iter()
        .map(|&id| {
            let what = EventWhat::Message {
                id,
                state: MessageState::Expired,
                error: EXPIRED_UNSENT.into(),
            };
            (END, what)
        })
        .collect();
    assert_eq!(reported, expected);
    let rows = counted(store, all_counters()).await;
    let rows: Vec<_> = rows
        .iter()
        .map(|row| (row.state, &*row.error, row.messages))
        .collect();
    assert_eq!(
        rows,
        [
            (MessageState::Queued, "", 3),
            (MessageState::Expired, EXPIRED_UNSENT, 3)
        ]
    );
    let timeline = store.timeline(short[0]).await.expect("read");
    let last = timeline.last().expect("an entry");
    let expected = TimelineKind::Expired {
        carrier: CARRIER,
        in_doubt: false,
    };
    assert_eq!((last.at, &last.kind), (END, &expected));
}

/// An attempt that was begun before the end is not undone by it, whatever comes of it.
pub async fn an_attempt_under_way_wins(backend: &mut impl Backend) {
    let store = backend.store();
    let all = ids(accepted_ending(store, 0..4).await);
    let messages = waiting(store, LANE).await;
    let attempt = begun(store, CARRIER, END - 1, &messages[1..3]).await;
    assert_eq!(swept(store, END).await, 2);
    let direct = store.expire_queued(runs(&messages), END).await.expect("ended");
    assert!(direct.is_empty(), "nothing of it waits any more: {direct:?}");
    assert_eq!(state(store, all[1]).await, MessageState::InFlight);
    assert!(is_unsent(store, all[0]).await && is_unsent(store, all[3]).await);
    let outcomes = [1, 2].map(|n| {
        let answer = Answer::Single(taken_as(&format!("c{n}")));
        result(all[n], attempt, END - 1, answer, Next::Submitted)
    });
    assert_eq!(
        recorded(store, outcomes.to_vec(), &[attempt]).await,
        [MessageState::Submitted; 2]
    );
    assert_eq!(swept(store, END + 1).await, 0);
}

/// A message that expires while it is dequeued is no part of the attempt, and `gone` names it.
pub async fn an_attempt_has_only_what_still_waits(backend: &mut impl Backend) {
    let store = backend.store();
    let all = ids(accepted_ending(store, 0..3).await);
    let stays = ids(accepted(store, request(NOW, vec![batch(3..5)])).await.batches[0]);
    let messages = waiting(store, LANE).await;
    assert_eq!(swept(store, END).await, 3);
    let start = |messages: &[Outgoing]| AttemptStart {
        carrier: CARRIER,
        bind: 0,
        now: END,
        messages: messages.iter().map(|outgoing| outgoing.id).collect(),
        consumed: runs(messages),
    };
    let starts = vec![
        start(&messages[1..4]),
        start(&messages[..1]),
        start(&messages[4..]),
    ];
    let attempts = store.begin_attempts(starts).await.expect("begun");
    let gone: Vec<_> = attempts.iter().map(|attempt| attempt.gone.clone()).collect();
    assert_eq!(gone, [vec![all[1], all[2]], vec![all[0]], vec![]]);
    let mut left = messages[1..4].to_vec();
    attempts[0].retain(&mut left);
    assert_eq!(
        left.iter().map(|outgoing| outgoing.id).collect::<Vec<_>>(),
        [stays[0]]
    );
    let open = store.open_attempts().await.expect("read");
    let open: Vec<_> = open
        .iter()
        .map(|attempt| (attempt.attempt, attempt.messages.clone()))
        .collect();
    assert_eq!(
        open,
        [
            (attempts[0].id, vec![(stays[0], 0)]),
            (attempts[2].id, vec![(stays[1], 0)])
        ]
    );
    assert_eq!(store.counts().await.expect("counted").in_flight, 2);
    assert!(is_unsent(store, all[0]).await);
}

fn throttled() -> Answer {
    Answer::Single(SegmentAnswer {
        status: 0x58,
        carrier_id: None,
    })
}

/// One segment was taken, and the answer to the other was lost.
fn partly_lost() -> Answer {
    Answer::Segments {
        answers: vec![Some(taken_as("s1")), None],
        lost: true,
        segmentation: None,
    }
}

/// A retry that would be due at the end, or after it, ends its message at once; an earlier one waits.
pub async fn a_retry_beyond_the_end_ends_at_once(backend: &mut impl Backend) {
    let store = backend.store();
    listening(store, endpoint(1, ACCOUNT, EventKinds::ENDED)).await;
    let all = ids(accepted_ending(store, 0..5).await);
    let attempt = begun(store, CARRIER, NOW, &waiting(store, LANE).await).await;
    let other = CarrierNo(4);
    let retry = |n: usize, answer, due| {
        let next = Next::Retry { due, carrier: other };
        result(all[n], attempt, NOW, answer, next)
    };
    let not_sent = AttemptOutcome {
        attempts: 0,
        ..retry(2, Answer::NotSent, END)
    };
    let outcomes = vec![
        retry(0, throttled(), END - 1),
        retry(1, throttled(), END),
        not_sent,
        retry(3, Answer::None, END + 5),
        retry(4, partly_lost(), END + 5),
    ];
    let states = recorded(store, outcomes, &[attempt]).await;
    use MessageState::{Expired, Queued, Unknown};
    assert_eq!(states, [Queued, Expired, Expired, Unknown, Unknown]);
    assert_eq!(store.counts().await.expect("counted").delayed, 1);
    assert!(is_unsent(store, all[1]).await && is_unsent(store, all[2]).await);
    let view = seen(store, all[1]).await;
    assert_eq!((view.status, view.attempts), (0x58, 1));
    assert_eq!(&*seen(store, all[3]).await.error, EXPIRED_IN_DOUBT);
    assert_eq!(happened(store).await.len(), 4);
    for (n, in_doubt) in [(1, false), (2, false), (3, true), (4, true)] {
        let timeline = store.timeline(all[n]).await.expect("read");
        let ends = timeline.iter().filter(|entry| {
            entry.kind
                == TimelineKind::Expired {
                    carrier: other,
                    in_doubt,
                }
        });
        assert_eq!(ends.count(), 1, "{timeline:?}");
    }
}

/// Of a message that may have been delivered by an attempt without an answer nobody knows what came of it; one that
/// is held is left to whoever settles it.
pub async fn what_is_in_doubt_ends_as_unknown(backend: &mut impl Backend) {
    let store = backend.store();
    let all = ids(accepted_ending(store, 0..4).await);
    let attempt = begun(store, CARRIER, NOW, &waiting(store, LANE).await).await;
    let again = Next::Retry {
        due: NOW + 10,
        carrier: CARRIER,
    };
    let outcomes = vec![
        result(all[0], attempt, NOW, Answer::None, again),
        result(all[1], attempt, NOW, Answer::None, Next::InDoubt),
        result(all[2], attempt, NOW, throttled(), again),
        result(all[3], attempt, NOW, partly_lost(), again),
    ];
    recorded(store, outcomes, &[attempt]).await;
    store
        .release_due(NOW + 10, 10, Box::new(|_| {}))
        .await
        .expect("released");
    // A later attempt that was refused does not take the doubt away.
    let second = begun(store, CARRIER, NOW + 10, &waiting(store, LANE).await).await;
    let refused = |n: usize| AttemptOutcome {
        attempts: 2,
        ..result(all[n], second, NOW + 10, throttled(), again)
    };
    let refused_segment = SegmentAnswer {
        status: 0x58,
        carrier_id: None,
    };
    let half = AttemptOutcome {
        answer: Answer::segments(vec![None, Some(refused_segment)]),
        ..refused(3)
    };
    recorded(store, vec![refused(0), refused(2), half], &[second]).await;
    store
        .release_due(NOW + 20, 10, Box::new(|_| {}))
        .await
        .expect("released");
    assert_eq!(swept(store, END).await, 3);
    assert_eq!(state(store, all[3]).await, MessageState::Unknown);
    let timeline = store.timeline(all[3]).await.expect("read");
    let unanswered = TimelineKind::Unanswered { carrier: CARRIER };
    let lost = timeline.iter().filter(|entry| entry.kind == unanswered);
    assert_eq!(lost.count(), 1, "{timeline:?}");
    let view = seen(store, all[0]).await;
    assert_eq!(
        (view.state, &*view.error, view.attempts),
        (MessageState::Unknown, EXPIRED_IN_DOUBT, 2)
    );
    assert_eq!(state(store, all[1]).await, MessageState::InDoubt);
    assert!(is_unsent(store, all[2]).await);
}

/// A schedule is waited for, and the end may come before it: then there.
pub async fn what_waits_for_its_time_is_never_put_off_beyond_its_end(backend: &mut impl Backend) {
    let store = backend.store();
    let later = NewBatch {
        due: Some(END + 9_000),
        expires_at: Some(END + 10_000),
        ..batch(0..1)
    };
    let cut_short = NewBatch {
        due: Some(END + 9_000),
        ..ending(1..2)
    };
    let outcome = accepted(store, request(NOW, vec![later, cut_short])).await;
    let (later, cut_short) = (outcome.batches[0].first, outcome.batches[1].first);
    assert_eq!(store.next_due().await.expect("read"), Some(END));
    for (at, ended) in [(END, 1), (END + 9_999, 0), (END + 10_000, 1)] {
        store
            .release_due(at, 10, Box::new(|_| {}))
            .await
            .expect("released");
        assert_eq!(swept(store, at).await, ended, "at {at}");
    }
    assert!(is_unsent(store, later).await && is_unsent(store, cut_short).await);
}

/// However much has expired, a step ends a bounded piece, and the steps together end all.
pub async fn a_sweep_goes_in_steps(backend: &mut impl Backend) {
    let store = backend.store();
    let singles = (0..2_500).map(|n| {
        let mut one = ending([]);
        one.messages.push(message(n));
        one
    });
    accepted(store, request(NOW, singles.collect())).await;
    accepted_ending(store, 0..2_500).await;
    let stays = accepted(store, request(NOW, vec![batch(0..1)])).await.batches[0].first;
    let step = store.sweep_expired(None, END).await.expect("swept");
    let ended: u64 = step.ended.iter().map(|lane| lane.messages).sum();
    assert!((1..=2_000).contains(&ended) && step.next.is_some(), "{ended}");
    assert_eq!(ended + swept(store, END).await, 5_000);
    assert_eq!(waiting_ids(store, LANE).await, [stays]);
}

/// What has ended stays so over a crash, and what waits still ends after one.
pub async fn ends_survive_a_crash(backend: &mut impl Backend) {
    let early = NewBatch {
        expires_at: Some(NOW + 5),
        ..batch(0..1)
    };
    let early = accepted(backend.store(), request(NOW, vec![early])).await.batches[0].first;
    let late = accepted_ending(backend.store(), 1..2).await.first;
    assert_eq!(swept(backend.store(), NOW + 5).await, 1);
    backend.crash().await;
    let store = backend.store();
    assert!(is_unsent(store, early).await);
    assert_eq!(waiting_ids(store, LANE).await, [late]);
    assert_eq!(swept(store, END).await, 1);
    assert!(is_unsent(store, late).await);
}
