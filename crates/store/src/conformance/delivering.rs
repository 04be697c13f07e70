//! What an endpoint's worker has done: kept with its calls put aside, in the order they come back.

use super::Side;
use super::given::{ACCOUNT, NOW, endpoint, listening};
use super::telling::{batch_of, came_to, delivered, expired, state_of};
use crate::{
    EndpointId, EndpointState, Event, EventKinds, EventPlace, LastError, MessageId, NewRedelivery, Pause,
    RecordDelivery, Redelivery, RedeliveryFilter, Retried, Store, UnixMs,
};
use sms::state::MessageState;

fn call(at: UnixMs, n: i64) -> NewRedelivery {
    NewRedelivery {
        events: vec![
            Event {
                place: EventPlace { row: 3, index: 9 },
                at: NOW,
                what: came_to(MessageId(n), MessageState::Undelivered, "é"),
            },
            Event {
                place: EventPlace { row: 7, index: 0 },
                at: NOW - 1,
                what: batch_of(MessageId(n + 1), 7),
            },
        ],
        tries: 1,
        due: at,
        first_tried_at: NOW,
        error: "refused".into(),
    }
}

/// Puts calls aside by when they are due and a number that their events tell.
pub(super) async fn put_aside(store: &dyn Store, id: u32, calls: &[(UnixMs, i64)]) {
    let put_aside = calls.iter().map(|&(due, n)| call(due, n)).collect();
    let done = RecordDelivery {
        put_aside,
        ..RecordDelivery::default()
    };
    delivered(store, id, done).await;
}

pub(super) async fn calls(store: &dyn Store, id: u32, filter: RedeliveryFilter) -> Vec<i64> {
    let calls = store.redeliveries(EndpointId(id), filter, 0, 100).await;
    calls
        .expect("calls are read")
        .iter()
        .map(|call| call.no)
        .collect()
}

/// What a worker has done is there after a crash: how far it is, whether it pauses, and since when it fails.
pub async fn what_a_worker_did_is_kept(side: &mut impl Side) {
    let store = side.store();
    listening(store, endpoint(1, ACCOUNT, EventKinds::ALL)).await;
    listening(store, endpoint(2, ACCOUNT, EventKinds::ALL)).await;
    let told = EventPlace { row: 12, index: 3 };
    let pause = Pause {
        since: NOW,
        until: Some(NOW + 60_000),
        reason: "answered 410".into(),
    };
    let last_error = LastError {
        at: NOW - 1,
        message: "HTTP 410 from the server".into(),
    };
    let done = RecordDelivery {
        told: Some(told),
        put_aside: vec![call(NOW + 5, 1)],
        pause: Some(Some(pause.clone())),
        failing_since: Some(Some(NOW - 5)),
        last_error: Some(last_error.clone()),
        ..RecordDelivery::default()
    };
    delivered(store, 1, done).await;
    side.crash().await;
    let store = side.store();
    let state = EndpointState {
        endpoint: EndpointId(1),
        told,
        pause: Some(pause),
        failing_since: Some(NOW - 5),
        last_error: Some(last_error.clone()),
        waiting: 1,
        dead: 0,
    };
    assert_eq!(state_of(store, 1).await, state);
    assert_eq!(state_of(store, 2).await.pause, None);

    let back = EventPlace { row: 2, index: 0 };
    let done = RecordDelivery {
        told: Some(back),
        pause: Some(None),
        failing_since: Some(None),
        ..RecordDelivery::default()
    };
    delivered(store, 1, done).await;
    delivered(store, 1, RecordDelivery::default()).await;
    let state = EndpointState {
        told: back,
        pause: None,
        failing_since: None,
        last_error: Some(last_error.clone()),
        ..state
    };
    assert_eq!(state_of(store, 1).await, state);
}

/// Calls put aside come back the longest due first, whole, and are counted.
pub async fn calls_put_aside_come_when_they_are_due(side: &mut impl Side) {
    let store = side.store();
    listening(store, endpoint(1, ACCOUNT, EventKinds::ALL)).await;
    listening(store, endpoint(2, ACCOUNT, EventKinds::ALL)).await;
    put_aside(store, 1, &[(NOW + 30, 10), (NOW + 10, 20)]).await;
    put_aside(store, 2, &[(NOW, 30)]).await;
    put_aside(store, 1, &[(NOW + 20, 40), (NOW + 10, 50), (i64::MAX, 60)]).await;
    side.crash().await;
    let store = side.store();
    assert!(calls(store, 1, RedeliveryFilter::Due(NOW + 9)).await.is_empty());
    assert_eq!(calls(store, 1, RedeliveryFilter::Due(NOW + 20)).await, [2, 4, 3]);
    assert_eq!(
        calls(store, 1, RedeliveryFilter::Due(i64::MAX)).await,
        [2, 4, 3, 1]
    );
    assert_eq!(calls(store, 1, RedeliveryFilter::Waiting).await, [1, 2, 3, 4]);
    assert_eq!(calls(store, 1, RedeliveryFilter::Dead).await, [5]);
    assert_eq!(calls(store, 2, RedeliveryFilter::Waiting).await, [1]);
    let read = store.redeliveries(EndpointId(1), RedeliveryFilter::Waiting, 1, 2);
    let read = read.await.expect("calls are read");
    let new = call(NOW + 10, 20);
    let expected = Redelivery {
        no: 2,
        events: new.events,
        tries: 1,
        due: NOW + 10,
        first_tried_at: NOW,
        error: "refused".into(),
    };
    assert_eq!(read[0], expected);
    assert_eq!(read.len(), 2);

    let retried = |no, due| Retried {
        no,
        tries: 7,
        due,
        error: "timed out".into(),
    };
    let done = RecordDelivery {
        settled: vec![2, 77],
        retried: vec![
            retried(3, NOW + 99),
            retried(4, i64::MAX),
            retried(5, NOW + 1),
            retried(2, NOW),
        ],
        ..RecordDelivery::default()
    };
    delivered(store, 1, done).await;
    assert_eq!(calls(store, 1, RedeliveryFilter::Due(NOW + 99)).await, [5, 1, 3]);
    assert_eq!(calls(store, 1, RedeliveryFilter::Dead).await, [4]);
    let state = state_of(store, 1).await;
    assert_eq!((state.waiting, state.dead), (3, 1));
    let dead = store.redeliveries(EndpointId(1), RedeliveryFilter::Dead, 0, 9);
    let dead = dead.await.expect("calls are read").remove(0);
    assert_eq!((dead.tries, &*dead.error), (7, "timed out"));

    put_aside(store, 1, &[(NOW + 500, 1)]).await;
    assert_eq!(
        calls(store, 1, RedeliveryFilter::Waiting).await,
        [1, 3, 5, 6],
        "no number twice"
    );
}

/// Calls that were given up on are forgotten in time; those that wait are not.
pub async fn calls_given_up_on_are_forgotten_in_time(side: &mut impl Side) {
    let store = side.store();
    listening(store, endpoint(1, ACCOUNT, EventKinds::ALL)).await;
    put_aside(store, 1, &[(NOW + 10, 1), (NOW + 7_000, 2), (NOW + 10, 3)]).await;
    let give_up = |no| Retried {
        no,
        tries: 9,
        due: i64::MAX,
        error: "gone".into(),
    };
    let done = RecordDelivery {
        retried: vec![give_up(1), give_up(2)],
        ..RecordDelivery::default()
    };
    delivered(store, 1, done).await;
    expired(store, 0, NOW + 10).await;
    assert_eq!(calls(store, 1, RedeliveryFilter::Dead).await, [1, 2]);
    expired(store, 0, NOW + 5_000).await;
    assert_eq!(
        calls(store, 1, RedeliveryFilter::Dead).await,
        [2],
        "given up on later"
    );
    expired(store, 0, NOW + 90_000).await;
    let state = state_of(store, 1).await;
    assert_eq!((state.waiting, state.dead), (1, 0));
    assert_eq!(calls(store, 1, RedeliveryFilter::Waiting).await, [3]);
}
