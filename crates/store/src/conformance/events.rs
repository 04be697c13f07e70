//! The outbox: one event for each change, in its transaction, and replay from an offset.

use super::Backend;
use super::awaiting::given_up;
use super::delivering::{calls, schedule_retries};
use super::fixtures::{
    ACCOUNT, CARRIER, LANE, NOW, accepted, accepted_batch, batch, begun, endpoint, events_after, happened,
    ids, listening, receipt, received, recorded, request, result, state, submitted, taken_as, waiting,
};
use crate::{
    AccountId, Answer, AttemptOutcome, CatalogChange, DeliveryRetryFilter, Endpoint, EndpointId,
    EndpointState, Event, EventKinds, EventOffset, EventWhat, MessageId, Next, RecordDelivery, RecordResults,
    Store, UnixMs,
};
use sms::state::{MessageState, ReceiptState};

const OTHER: AccountId = AccountId(8);
const START: EventOffset = EventOffset { row: 0, index: 0 };

pub(super) fn came_to(id: MessageId, state: MessageState, error: &str) -> EventWhat {
    EventWhat::Message {
        id,
        state,
        error: error.into(),
    }
}

pub(super) fn batch_of(first: MessageId, count: u32) -> EventWhat {
    EventWhat::Accepted { first, count }
}

pub(super) async fn state_of(store: &dyn Store, id: u32) -> EndpointState {
    let states = store.endpoint_states().await.expect("states are read");
    states
        .into_iter()
        .find(|state| state.endpoint == EndpointId(id))
        .expect("the endpoint is there")
}

pub(super) async fn delivered(store: &dyn Store, id: u32, done: RecordDelivery) {
    let done = RecordDelivery {
        endpoint: Some(EndpointId(id)),
        ..done
    };
    store.record_delivery(done).await.expect("recorded");
}

/// Each state of a message logs an event, in order, with its time.
pub async fn each_step_of_a_life_is_reported(backend: &mut impl Backend) {
    let store = backend.store();
    listening(store, endpoint(1, ACCOUNT, EventKinds::ALL)).await;
    let all = ids(accepted_batch(store, NOW, 0..2).await);
    submitted(store, NOW + 10, "id").await;
    received(store, receipt("id1", ReceiptState::Enroute, NOW + 50)).await;
    received(store, receipt("id1", ReceiptState::Undeliverable, NOW + 60)).await;
    received(store, receipt("id1", ReceiptState::Undeliverable, NOW + 70)).await;
    given_up(store, NOW + 80, NOW + 80).await;
    received(store, receipt("id0", ReceiptState::Delivered, NOW + 90)).await;
    let expected = [
        (NOW, batch_of(all[0], 2)),
        (NOW + 30, came_to(all[0], MessageState::Submitted, "")),
        (NOW + 30, came_to(all[1], MessageState::Submitted, "")),
        (NOW + 60, came_to(all[1], MessageState::Undelivered, "000")),
        (NOW + 80, came_to(all[0], MessageState::Unknown, "")),
        (NOW + 90, came_to(all[0], MessageState::Delivered, "000")),
    ];
    assert_eq!(happened(store).await, expected);
}

/// A message that waits for a retry logs no event; one that is refused for good does.
pub async fn only_what_counts_is_reported(backend: &mut impl Backend) {
    let store = backend.store();
    listening(store, endpoint(1, ACCOUNT, EventKinds::ALL)).await;
    let id = accepted_batch(store, NOW, 0..1).await.first;
    let attempt = begun(store, CARRIER, NOW, &waiting(store, LANE).await).await;
    let retry = Next::Retry {
        due: NOW + 40,
        carrier: CARRIER,
    };
    recorded(
        store,
        vec![result(id, attempt, NOW, Answer::None, retry)],
        &[attempt],
    )
    .await;
    store
        .release_due(NOW + 40, 10, Box::new(|_| {}))
        .await
        .expect("released");
    let again = begun(store, CARRIER, NOW + 40, &waiting(store, LANE).await).await;
    let refused = AttemptOutcome {
        attempts: 2,
        ..result(
            id,
            again,
            NOW + 40,
            Answer::None,
            Next::Final(MessageState::Rejected),
        )
    };
    recorded(store, vec![refused.clone()], &[]).await;
    recorded(store, vec![refused], &[again]).await;
    let expected = [
        (NOW, batch_of(id, 1)),
        (NOW + 60, came_to(id, MessageState::Rejected, "")),
    ];
    assert_eq!(happened(store).await, expected);
}

/// The events of messages that fail at once come after that of their batch.
pub async fn messages_that_fail_at_once_are_reported(backend: &mut impl Backend) {
    let store = backend.store();
    listening(store, endpoint(1, ACCOUNT, EventKinds::ALL)).await;
    let mut one = batch(0..3);
    one.messages[1].failure = Some(412);
    let ranges = accepted(store, request(NOW, vec![one, batch(3..4)]))
        .await
        .batches;
    let expected = [
        (NOW, batch_of(ranges[0].first, 3)),
        (
            NOW,
            came_to(ranges[0].first.plus(1), MessageState::Rejected, "412"),
        ),
        (NOW, batch_of(ranges[1].first, 1)),
    ];
    assert_eq!(happened(store).await, expected);
}

/// The event of a receipt that came before its answer comes after that of the answer.
pub async fn an_unmatched_receipt_is_reported_after_its_answer(backend: &mut impl Backend) {
    let store = backend.store();
    listening(store, endpoint(1, ACCOUNT, EventKinds::SUBMITTED)).await;
    listening(store, endpoint(2, ACCOUNT, EventKinds::ENDED)).await;
    let id = accepted_batch(store, NOW, 0..1).await.first;
    received(store, receipt("early0", ReceiptState::Delivered, NOW + 5)).await;
    let attempt = begun(store, CARRIER, NOW, &waiting(store, LANE).await).await;
    let answer = result(
        id,
        attempt,
        NOW,
        Answer::Single(taken_as("early0")),
        Next::Submitted,
    );
    recorded(store, vec![answer], &[attempt]).await;
    let expected = [
        (NOW + 20, came_to(id, MessageState::Submitted, "")),
        (NOW + 5, came_to(id, MessageState::Delivered, "000")),
    ];
    assert_eq!(happened(store).await, expected);
}

/// A message of several segments ends once.
pub async fn segments_are_reported_as_their_message(backend: &mut impl Backend) {
    let store = backend.store();
    listening(store, endpoint(1, ACCOUNT, EventKinds::ENDED)).await;
    let id = accepted_batch(store, NOW, 0..1).await.first;
    let attempt = begun(store, CARRIER, NOW, &waiting(store, LANE).await).await;
    let answer = Answer::segments(vec![Some(taken_as("a")), Some(taken_as("b"))]);
    recorded(
        store,
        vec![result(id, attempt, NOW, answer, Next::Submitted)],
        &[attempt],
    )
    .await;
    received(store, receipt("b", ReceiptState::Delivered, NOW + 50)).await;
    assert_eq!(happened(store).await, []);
    received(store, receipt("a", ReceiptState::Delivered, NOW + 60)).await;
    received(store, receipt("a", ReceiptState::Delivered, NOW + 70)).await;
    let expected = [(NOW + 60, came_to(id, MessageState::Delivered, "000"))];
    assert_eq!(happened(store).await, expected);
}

/// Nothing is logged that no endpoint of the account wants; one that is switched off still does.
pub async fn only_what_an_endpoint_wants_is_logged(backend: &mut impl Backend) {
    let store = backend.store();
    let off = Endpoint {
        enabled: false,
        ..endpoint(1, ACCOUNT, EventKinds::ACCEPTED)
    };
    accepted_batch(store, NOW, 0..1).await;
    listening(store, off).await;
    listening(store, endpoint(2, OTHER, EventKinds::ALL)).await;
    let first = accepted_batch(store, NOW + 1, 0..1).await.first;
    submitted(store, NOW + 1, "id").await;
    listening(store, endpoint(3, ACCOUNT, EventKinds::ENDED)).await;
    received(store, receipt("id0", ReceiptState::Delivered, NOW + 50)).await;
    store
        .change_catalog(vec![CatalogChange::RemoveEndpoint(EndpointId(1))])
        .await
        .expect("removed");
    accepted_batch(store, NOW + 60, 0..1).await;
    received(store, receipt("id1", ReceiptState::Delivered, NOW + 70)).await;
    let appended = happened(store).await;
    let [accepted, ended @ ..] = appended.as_slice() else {
        panic!("no event was logged")
    };
    assert_eq!(*accepted, (NOW + 1, batch_of(first, 1)));
    let ended: Vec<UnixMs> = ended.iter().map(|(at, _)| *at).collect();
    assert_eq!(ended, [NOW + 50, NOW + 70], "both were wanted by then");
    assert_eq!(events_after(store, OTHER, START, EventKinds::ALL).await, []);
}

/// A command that fails takes its events with it, and leaves those of its neighbours.
pub async fn events_go_with_the_command_that_failed(backend: &mut impl Backend) {
    let store = backend.store();
    listening(store, endpoint(1, ACCOUNT, EventKinds::ENDED)).await;
    let all = ids(accepted_batch(store, NOW, 0..3).await);
    let attempt = begun(store, CARRIER, NOW, &waiting(store, LANE).await).await;
    let refused = |id| {
        result(
            id,
            attempt,
            NOW,
            Answer::None,
            Next::Final(MessageState::Rejected),
        )
    };
    let nobody = result(
        MessageId(5),
        attempt,
        NOW,
        Answer::None,
        Next::Retry {
            due: NOW + 1,
            carrier: CARRIER,
        },
    );
    let command = |outcomes| RecordResults {
        outcomes,
        closed: vec![],
    };
    // All wait before the first is done, as far as they can: they may share a group.
    let (first, failed, last) = tokio::join!(
        store.record_results(command(vec![refused(all[0])])),
        store.record_results(command(vec![refused(all[1]), nobody])),
        store.record_results(command(vec![refused(all[2])])),
    );
    assert!(first.is_ok() && failed.is_err() && last.is_ok());
    assert_eq!(state(store, all[1]).await, MessageState::InFlight);
    let expected = [all[0], all[2]].map(|id| (NOW + 20, came_to(id, MessageState::Rejected, "")));
    assert_eq!(happened(store).await, expected);

    recorded(store, vec![refused(all[1])], &[attempt]).await;
    assert_eq!(happened(store).await.len(), 3, "its time comes later");
}

/// After a crash the log is as it was, and goes on.
pub async fn events_survive_a_crash(backend: &mut impl Backend) {
    let store = backend.store();
    listening(store, endpoint(1, ACCOUNT, EventKinds::ALL)).await;
    accepted_batch(store, NOW, 0..4).await;
    submitted(store, NOW, "id").await;
    let before = events_after(store, ACCOUNT, START, EventKinds::ALL).await;
    assert_eq!(before.len(), 5);
    backend.crash().await;
    let store = backend.store();
    assert_eq!(events_after(store, ACCOUNT, START, EventKinds::ALL).await, before);
    received(store, receipt("id2", ReceiptState::Delivered, NOW + 50)).await;
    let after = events_after(store, ACCOUNT, before[4].offset, EventKinds::ALL).await;
    assert_eq!(after.len(), 1, "it is still known who wants what");
    assert!(after[0].offset > before[4].offset);
}

/// Read in portions of any size, from any place, and by kind, the log is the same.
pub async fn events_are_read_in_portions(backend: &mut impl Backend) {
    let store = backend.store();
    listening(store, endpoint(1, ACCOUNT, EventKinds::ALL)).await;
    for n in 0..3 {
        accepted_batch(store, NOW + n, 0..3).await;
        submitted(store, NOW + n, &format!("{n}-")).await;
    }
    let all = events_after(store, ACCOUNT, START, EventKinds::ALL).await;
    assert_eq!(all.len(), 12);
    assert!(all.is_sorted_by(|a, b| a.offset < b.offset));
    for kinds in [
        EventKinds::ALL,
        EventKinds::ACCEPTED,
        EventKinds::SUBMITTED | EventKinds::ENDED,
        EventKinds::NONE,
    ] {
        for portion in [1, 2, 5, 100] {
            for start in [START, all[1].offset, all[7].offset, all[11].offset] {
                let (mut found, mut after) = (vec![], start);
                loop {
                    let read = store.events(ACCOUNT, after, kinds, portion);
                    let (events, next) = read.await.expect("events are read");
                    assert!(events.len() <= portion && next >= after);
                    let is_end = next == after;
                    found.extend(events);
                    after = next;
                    if is_end {
                        break;
                    }
                }
                let expected = all
                    .iter()
                    .filter(|event| event.offset > start && kinds.contains(event.what.kind()));
                let expected: Vec<Event> = expected.cloned().collect();
                assert_eq!(found, expected, "{kinds:?} from {start} in portions of {portion}");
                assert_eq!(after, all[11].offset, "the end was seen");
            }
        }
    }
}

/// A replay begins before the first event of a time.
pub async fn a_replay_begins_at_a_time(backend: &mut impl Backend) {
    let store = backend.store();
    assert_eq!(store.offset_before(ACCOUNT, NOW).await.expect("found"), START);
    listening(store, endpoint(1, ACCOUNT, EventKinds::ALL)).await;
    listening(store, endpoint(2, OTHER, EventKinds::ALL)).await;
    for n in 0..20 {
        accepted_batch(store, NOW + n * 1_000, 0..2).await;
        let other = crate::AcceptCommand {
            account: OTHER,
            ..request(NOW + n * 1_000, vec![batch(0..1)])
        };
        accepted(store, other).await;
        submitted(store, NOW + n * 1_000, &format!("{n}-")).await;
    }
    let all = events_after(store, ACCOUNT, START, EventKinds::ALL).await;
    assert_eq!(all.len(), 60);
    for at in (NOW - 500..NOW + 21_000).step_by(499) {
        let offset = store.offset_before(ACCOUNT, at).await.expect("found");
        let again = events_after(store, ACCOUNT, offset, EventKinds::ALL).await;
        let expected: Vec<Event> = all.iter().skip_while(|event| event.at < at).cloned().collect();
        assert_eq!(again, expected, "from {at}");
    }
}

/// A new endpoint begins at the end of the log; one that changes keeps its offset; one that is removed leaves
/// nothing.
pub async fn an_endpoint_begins_at_the_end(backend: &mut impl Backend) {
    let store = backend.store();
    listening(store, endpoint(1, ACCOUNT, EventKinds::ALL)).await;
    accepted_batch(store, NOW, 0..1).await;
    submitted(store, NOW, "id").await;
    let first = events_after(store, ACCOUNT, START, EventKinds::ALL).await;
    listening(store, endpoint(2, ACCOUNT, EventKinds::ALL)).await;
    assert_eq!(state_of(store, 1).await.acked_offset, START);
    let begins_at = state_of(store, 2).await.acked_offset;
    assert_eq!(begins_at, first[1].offset);
    received(store, receipt("id0", ReceiptState::Delivered, NOW + 50)).await;
    let new = events_after(store, ACCOUNT, begins_at, EventKinds::ALL).await;
    assert_eq!(new.len(), 1);

    listening(store, endpoint(2, ACCOUNT, EventKinds::ENDED)).await;
    assert_eq!(state_of(store, 2).await.acked_offset, begins_at, "as it was");
    listening(store, endpoint(2, OTHER, EventKinds::ENDED)).await;
    assert_eq!(
        state_of(store, 2).await.acked_offset,
        START,
        "another account's log"
    );
    let catalog = store.load_catalog().await.expect("read");
    assert_eq!(
        catalog.endpoints,
        [
            endpoint(1, ACCOUNT, EventKinds::ALL),
            endpoint(2, OTHER, EventKinds::ENDED)
        ]
    );
    let of_the_same_name = Endpoint {
        id: EndpointId(3),
        ..endpoint(1, ACCOUNT, EventKinds::ALL)
    };
    let refused = store
        .change_catalog(vec![CatalogChange::PutEndpoint(of_the_same_name)])
        .await;
    assert!(refused.is_err(), "names are unique within an account");

    schedule_retries(store, 1, &[(NOW, 0)]).await;
    store
        .change_catalog(vec![
            CatalogChange::RemoveEndpoint(EndpointId(1)),
            CatalogChange::RemoveAccount(OTHER),
        ])
        .await
        .expect("removed");
    assert_eq!(store.endpoint_states().await.expect("read"), []);
    assert_eq!(store.load_catalog().await.expect("read").endpoints, []);
    listening(store, endpoint(1, ACCOUNT, EventKinds::ALL)).await;
    assert!(calls(store, 1, DeliveryRetryFilter::Waiting).await.is_empty());
    // What a worker still has to say of one that is gone is not held against it.
    delivered(store, 9, RecordDelivery::default()).await;
}

pub(super) async fn expired(store: &dyn Store, before: UnixMs, dead_before: UnixMs) {
    while store
        .expire_events(before, dead_before)
        .await
        .expect("events expire")
    {}
}

/// Old events that every endpoint has acked expire; events that an endpoint still waits for stay, however old.
pub async fn old_events_expire_when_they_were_acked(backend: &mut impl Backend) {
    let store = backend.store();
    listening(store, endpoint(1, ACCOUNT, EventKinds::ACCEPTED)).await;
    listening(store, endpoint(2, ACCOUNT, EventKinds::SUBMITTED)).await;
    for n in 0..4 {
        accepted_batch(store, NOW + n * 1_000, 0..2).await;
        submitted(store, NOW + n * 1_000, &format!("{n}-")).await;
    }
    let all = events_after(store, ACCOUNT, START, EventKinds::ALL).await;
    assert_eq!(all.len(), 12);
    let left = async || {
        let left = events_after(store, ACCOUNT, START, EventKinds::ALL).await;
        left.iter()
            .map(|event| all.iter().position(|one| one == event).expect("known"))
            .collect::<Vec<usize>>()
    };
    let acked = |offset| RecordDelivery {
        acked_offset: Some(offset),
        ..RecordDelivery::default()
    };
    expired(store, NOW + 100_000, 0).await;
    assert_eq!(left().await.len(), 12, "no endpoint has acked");

    // The first endpoint has acked all events, the second those of the first batch and half of the second.
    delivered(store, 1, acked(all[9].offset)).await;
    delivered(store, 2, acked(all[4].offset)).await;
    expired(store, NOW + 2_000, 0).await;
    assert_eq!(left().await, [4, 5, 6, 7, 8, 9, 10, 11], "what is not old stays");
    expired(store, NOW + 100_000, 0).await;
    assert_eq!(left().await, [4, 5, 7, 8, 10, 11]);

    store
        .change_catalog(vec![CatalogChange::RemoveEndpoint(EndpointId(2))])
        .await
        .expect("removed");
    expired(store, NOW + 100_000, 0).await;
    assert!(left().await.is_empty());
}

/// A row of the log has a number that none had before, even when all are gone.
pub async fn places_are_never_given_twice(backend: &mut impl Backend) {
    let store = backend.store();
    listening(store, endpoint(1, ACCOUNT, EventKinds::ALL)).await;
    accepted_batch(store, NOW, 0..1).await;
    let last = events_after(store, ACCOUNT, START, EventKinds::ALL).await[0].offset;
    let done = RecordDelivery {
        acked_offset: Some(last),
        ..RecordDelivery::default()
    };
    delivered(store, 1, done).await;
    expired(store, NOW + 1, 0).await;
    assert_eq!(events_after(store, ACCOUNT, START, EventKinds::ALL).await, []);
    backend.crash().await;
    let store = backend.store();
    accepted_batch(store, NOW + 5, 0..1).await;
    let new = events_after(store, ACCOUNT, last, EventKinds::ALL).await;
    assert_eq!(new.len(), 1, "it is after the acked offset");
}

/// Whoever listens is woken after each commit that logged something, with the accounts it is of.
pub async fn a_listener_is_woken_with_the_accounts(backend: &mut impl Backend) {
    let store = backend.store();
    listening(store, endpoint(1, ACCOUNT, EventKinds::ACCEPTED)).await;
    listening(store, endpoint(2, OTHER, EventKinds::ACCEPTED)).await;
    let (send, mut woken) = tokio::sync::mpsc::unbounded_channel();
    store.on_events(Box::new(|_| panic!("another has taken its place")));
    store.on_events(Box::new(move |accounts| {
        send.send(accounts.to_vec()).expect("somebody listens");
    }));
    accepted_batch(store, NOW, 0..1).await;
    assert_eq!(woken.recv().await, Some(vec![ACCOUNT]));
    submitted(store, NOW, "id").await; // which nobody wants
    let other = crate::AcceptCommand {
        account: OTHER,
        ..request(NOW, vec![batch(0..1)])
    };
    accepted(store, other).await;
    assert_eq!(woken.recv().await, Some(vec![OTHER]));
}

/// The listener gets the messages that failed, at once or later, after their commit, and no others.
pub async fn a_listener_receives_which_messages_failed(backend: &mut impl Backend) {
    let store = backend.store();
    let (send, mut failed) = tokio::sync::mpsc::unbounded_channel();
    store.on_failed(Box::new(move |ids| {
        send.send(ids.to_vec()).expect("somebody listens");
    }));
    let mut one = batch(0..3);
    one.messages[1].failure = Some(412);
    let range = accepted(store, request(NOW, vec![one])).await.batches[0];
    assert_eq!(failed.recv().await, Some(vec![range.first.plus(1)]));
    let sent = submitted(store, NOW, "id").await;
    received(store, receipt("id0", ReceiptState::Delivered, NOW + 50)).await;
    received(store, receipt("id1", ReceiptState::Undeliverable, NOW + 60)).await;
    assert_eq!(failed.recv().await, Some(vec![sent[1]]));
}
