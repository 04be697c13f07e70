//! Recorded deliveries of an endpoint and their scheduled retries, in the order they become due.

use super::Backend;
use super::events::{batch_of, came_to, delivered, expired, state_of};
use super::fixtures::{ACCOUNT, NOW, endpoint, listening};
use crate::{
    DeliveryRetry, DeliveryRetryFilter, EndpointId, EndpointState, Event, EventKinds, EventOffset, LastError,
    MessageId, NewDeliveryRetry, Pause, RecordDelivery, Retried, Store, UnixMs,
};
use sms::state::MessageState;

fn call(at: UnixMs, n: i64) -> NewDeliveryRetry {
    NewDeliveryRetry {
        events: vec![
            Event {
                offset: EventOffset { row: 3, index: 9 },
                at: NOW,
                what: came_to(MessageId(n), MessageState::Undelivered, "é"),
            },
            Event {
                offset: EventOffset { row: 7, index: 0 },
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

/// Schedules retries: for each its due time and the number that its event carries.
pub(super) async fn schedule_retries(store: &dyn Store, id: u32, calls: &[(UnixMs, i64)]) {
    let deferred = calls.iter().map(|&(due, n)| call(due, n)).collect();
    let done = RecordDelivery {
        deferred,
        ..RecordDelivery::default()
    };
    delivered(store, id, done).await;
}

pub(super) async fn calls(store: &dyn Store, id: u32, filter: DeliveryRetryFilter) -> Vec<i64> {
    let calls = store.delivery_retries(EndpointId(id), filter, 0, 100).await;
    calls
        .expect("calls are read")
        .iter()
        .map(|call| call.no)
        .collect()
}

/// What a worker has done is there after a crash: how far it is, whether it pauses, and since when it fails.
pub async fn what_a_worker_did_is_kept(backend: &mut impl Backend) {
    let store = backend.store();
    listening(store, endpoint(1, ACCOUNT, EventKinds::ALL)).await;
    listening(store, endpoint(2, ACCOUNT, EventKinds::ALL)).await;
    let acked_offset = EventOffset { row: 12, index: 3 };
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
        acked_offset: Some(acked_offset),
        deferred: vec![call(NOW + 5, 1)],
        pause: Some(Some(pause.clone())),
        failing_since: Some(Some(NOW - 5)),
        last_error: Some(last_error.clone()),
        ..RecordDelivery::default()
    };
    delivered(store, 1, done).await;
    backend.crash().await;
    let store = backend.store();
    let state = EndpointState {
        endpoint: EndpointId(1),
        acked_offset,
        pause: Some(pause),
        failing_since: Some(NOW - 5),
        last_error: Some(last_error.clone()),
        waiting: 1,
        dead: 0,
    };
    assert_eq!(state_of(store, 1).await, state);
    assert_eq!(state_of(store, 2).await.pause, None);

    let back = EventOffset { row: 2, index: 0 };
    let done = RecordDelivery {
        acked_offset: Some(back),
        pause: Some(None),
        failing_since: Some(None),
        ..RecordDelivery::default()
    };
    delivered(store, 1, done).await;
    delivered(store, 1, RecordDelivery::default()).await;
    let state = EndpointState {
        acked_offset: back,
        pause: None,
        failing_since: None,
        last_error: Some(last_error.clone()),
        ..state
    };
    assert_eq!(state_of(store, 1).await, state);
}

/// Scheduled retries come back in the order of their due times, complete, and are counted.
pub async fn scheduled_retries_come_when_they_are_due(backend: &mut impl Backend) {
    let store = backend.store();
    listening(store, endpoint(1, ACCOUNT, EventKinds::ALL)).await;
    listening(store, endpoint(2, ACCOUNT, EventKinds::ALL)).await;
    schedule_retries(store, 1, &[(NOW + 30, 10), (NOW + 10, 20)]).await;
    schedule_retries(store, 2, &[(NOW, 30)]).await;
    schedule_retries(store, 1, &[(NOW + 20, 40), (NOW + 10, 50), (i64::MAX, 60)]).await;
    backend.crash().await;
    let store = backend.store();
    assert!(
        calls(store, 1, DeliveryRetryFilter::Due(NOW + 9))
            .await
            .is_empty()
    );
    assert_eq!(
        calls(store, 1, DeliveryRetryFilter::Due(NOW + 20)).await,
        [2, 4, 3]
    );
    assert_eq!(
        calls(store, 1, DeliveryRetryFilter::Due(i64::MAX)).await,
        [2, 4, 3, 1]
    );
    assert_eq!(calls(store, 1, DeliveryRetryFilter::Waiting).await, [1, 2, 3, 4]);
    assert_eq!(calls(store, 1, DeliveryRetryFilter::Dead).await, [5]);
    assert_eq!(calls(store, 2, DeliveryRetryFilter::Waiting).await, [1]);
    let read = store.delivery_retries(EndpointId(1), DeliveryRetryFilter::Waiting, 1, 2);
    let read = read.await.expect("calls are read");
    let new = call(NOW + 10, 20);
    let expected = DeliveryRetry {
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
    assert_eq!(
        calls(store, 1, DeliveryRetryFilter::Due(NOW + 99)).await,
        [5, 1, 3]
    );
    assert_eq!(calls(store, 1, DeliveryRetryFilter::Dead).await, [4]);
    let state = state_of(store, 1).await;
    assert_eq!((state.waiting, state.dead), (3, 1));
    let dead = store.delivery_retries(EndpointId(1), DeliveryRetryFilter::Dead, 0, 9);
    let dead = dead.await.expect("calls are read").remove(0);
    assert_eq!((dead.tries, &*dead.error), (7, "timed out"));

    schedule_retries(store, 1, &[(NOW + 500, 1)]).await;
    assert_eq!(
        calls(store, 1, DeliveryRetryFilter::Waiting).await,
        [1, 3, 5, 6],
        "no number twice"
    );
}

/// Dead deliveries expire; those that wait do not.
pub async fn dead_calls_expire(backend: &mut impl Backend) {
    let store = backend.store();
    listening(store, endpoint(1, ACCOUNT, EventKinds::ALL)).await;
    schedule_retries(store, 1, &[(NOW + 10, 1), (NOW + 7_000, 2), (NOW + 10, 3)]).await;
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
    assert_eq!(calls(store, 1, DeliveryRetryFilter::Dead).await, [1, 2]);
    expired(store, 0, NOW + 5_000).await;
    assert_eq!(
        calls(store, 1, DeliveryRetryFilter::Dead).await,
        [2],
        "died later"
    );
    expired(store, 0, NOW + 90_000).await;
    let state = state_of(store, 1).await;
    assert_eq!((state.waiting, state.dead), (1, 0));
    assert_eq!(calls(store, 1, DeliveryRetryFilter::Waiting).await, [3]);
}
