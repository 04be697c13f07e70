//! What cases begin with: requests, attempts, results and receipts in a line each.

use crate::{
    AcceptCommand, AcceptOutcome, Accepted, AccountId, Answer, AttemptId, AttemptOutcome, AttemptStart,
    BatchRange, CarrierNo, CarrierReceipt, CatalogChange, Charge, ContactBounds, DequeuedRange, Dialect,
    Endpoint, EndpointId, Event, EventKinds, EventOffset, EventWhat, Lane, MessageFilter, MessageId,
    MessageView, NewBatch, NewIdempotency, NewMessage, Next, OnCommit, Outgoing, ReceiptEffect, RecordBounds,
    RecordResults, SegmentAnswer, Statistic, StatisticsFilter, StatsKey, Store, SuppressedPolicy, UnixMs,
};
use sms::class::{Class, Kind};
use sms::phone::Msisdn;
use sms::receipt::CarrierId;
use sms::state::{MessageState, ReceiptState};

/// The moment most cases begin at: 2026-11-22 00:00 UTC.
pub const NOW: UnixMs = 1_795_305_600_000;
/// The account most cases are about.
pub const ACCOUNT: AccountId = AccountId(7);
/// The carrier most cases are about.
pub const CARRIER: CarrierNo = CarrierNo(3);
/// Where the messages of most cases wait.
pub const LANE: Lane = Lane {
    carrier: CARRIER,
    class: Class::Notice,
    account: ACCOUNT,
};

/// So many records of a kind, of any length.
pub fn record_bounds(documents_max: u64) -> RecordBounds {
    RecordBounds {
        documents_max,
        data_octets_max: u64::MAX,
    }
}

/// So many members of a list, and any number of lists.
pub fn list_bounds(list_max: u64) -> ContactBounds {
    ContactBounds {
        list_max,
        account_max: u64::MAX,
    }
}

/// A number for tests: +1 555 01xx and, beyond a hundred, ones that no carrier has either.
pub fn number(n: u64) -> Msisdn {
    Msisdn::from_u64(15_550_100_000 + n).expect("eleven digits")
}

/// A message to a number, in the lane of [`CARRIER`].
pub fn message(n: u64) -> NewMessage {
    NewMessage {
        msisdn: number(n),
        written: format!("+{}", number(n)).into(),
        params: None,
        extra: None,
        carrier: CARRIER,
        segments: 1,
        failure: None,
    }
}

/// A batch of messages to the numbers `numbers`.
pub fn batch(numbers: impl IntoIterator<Item = u64>) -> NewBatch {
    NewBatch {
        opens_session: true,
        class: Class::Notice,
        kind: Kind::Text,
        message_type: None,
        template: 42,
        text: "【Example】hello".into(),
        sender: None,
        label: 0,
        custom: None,
        due: None,
        expires_at: None,
        messages: numbers.into_iter().map(message).collect(),
    }
}

/// A batch of messages of three parts to the numbers `numbers`.
pub fn long_batch(numbers: impl IntoIterator<Item = u64>) -> NewBatch {
    let mut long = batch(numbers);
    for message in &mut long.messages {
        message.segments = 3;
    }
    long
}

/// A request of [`ACCOUNT`] at `now`.
pub fn request(now: UnixMs, batches: Vec<NewBatch>) -> AcceptCommand {
    AcceptCommand {
        account: ACCOUNT,
        dialect: Dialect::UspeedoRest,
        user: "".into(),
        now,
        batches,
        idempotency: None,
        caps: None,
        charge: Charge::Free,
        suppressed: SuppressedPolicy::Refuse,
        step: None,
        on_commit: OnCommit(None),
    }
}

/// A request id that is remembered for a minute and answered with the session.
pub fn once(key: &str) -> NewIdempotency {
    once_at(key, NOW)
}

/// The same of a request that comes when so many milliseconds have passed.
pub fn once_at(key: &str, passed_ms: i64) -> NewIdempotency {
    NewIdempotency {
        scope: "request_id",
        key: key.into(),
        fingerprint: 1,
        keep_ms: 60_000,
        passed_ms,
        record: Box::new(|outcome| {
            let session = outcome.batches.first().map_or(0, |batch| batch.session.0);
            session.to_string().into_bytes()
        }),
    }
}

/// Accepts what must be accepted as new.
pub async fn accepted(store: &dyn Store, command: AcceptCommand) -> AcceptOutcome {
    match store.accept(command).await.expect("accepted") {
        Accepted::New(outcome) => outcome,
        Accepted::Repeat { .. } => panic!("a new request was taken for a repeat"),
    }
}

/// Accepts one batch to the numbers `numbers`.
pub async fn accepted_batch(
    store: &dyn Store,
    now: UnixMs,
    numbers: impl IntoIterator<Item = u64>,
) -> BatchRange {
    accepted(store, request(now, vec![batch(numbers)])).await.batches[0]
}

/// The ids of a batch.
pub fn ids(range: BatchRange) -> Vec<MessageId> {
    (0..i64::from(range.count)).map(|n| range.first.plus(n)).collect()
}

/// Everything that waits in a lane.
pub async fn waiting(store: &dyn Store, lane: Lane) -> Vec<Outgoing> {
    store
        .read_lane(lane, None, 100_000)
        .await
        .expect("a lane is read")
}

/// The ids of everything that waits in a lane.
pub async fn waiting_ids(store: &dyn Store, lane: Lane) -> Vec<MessageId> {
    waiting(store, lane)
        .await
        .iter()
        .map(|outgoing| outgoing.id)
        .collect()
}

/// Begins one attempt with messages that wait somewhere, taking them from their places.
pub async fn begun(store: &dyn Store, carrier: CarrierNo, now: UnixMs, messages: &[Outgoing]) -> AttemptId {
    let consumed = messages
        .iter()
        .map(|outgoing| DequeuedRange {
            key: outgoing.key,
            first: outgoing.id,
            last: outgoing.id,
        })
        .collect();
    let messages = messages.iter().map(|outgoing| outgoing.id).collect();
    let start = AttemptStart {
        carrier,
        bind: 1,
        now,
        messages,
        consumed,
    };
    store.begin_attempts(vec![start]).await.expect("attempts begin")[0].id
}

/// The answer "accepted" with an id.
pub fn taken_as(carrier_id: &str) -> SegmentAnswer {
    SegmentAnswer {
        status: 0,
        carrier_id: Some(CarrierId::new(carrier_id)),
    }
}

/// The result of an attempt of one message.
pub fn result(id: MessageId, attempt: AttemptId, now: UnixMs, answer: Answer, next: Next) -> AttemptOutcome {
    AttemptOutcome {
        id,
        attempt,
        carrier: CARRIER,
        attempts: 1,
        attempted_at: now,
        answered_at: now + 20,
        answer,
        next,
        stats_key: StatsKey::default(),
    }
}

/// Records results and closes their attempt; returns the states.
pub async fn recorded(
    store: &dyn Store,
    outcomes: Vec<AttemptOutcome>,
    closed: &[AttemptId],
) -> Vec<MessageState> {
    let results = RecordResults {
        outcomes,
        closed: closed.to_vec(),
    };
    let effects = store.record_results(results).await.expect("results are recorded");
    effects.into_iter().map(|effect| effect.state).collect()
}

/// Sends everything that waits in [`LANE`]; each message is taken by the carrier as `prefix` and its number
/// in the order of the lane.
pub async fn submitted(store: &dyn Store, now: UnixMs, prefix: &str) -> Vec<MessageId> {
    let messages = waiting(store, LANE).await;
    let attempt = begun(store, CARRIER, now, &messages).await;
    let results = messages.iter().enumerate().map(|(n, outgoing)| {
        let answer = Answer::Single(taken_as(&format!("{prefix}{n}")));
        AttemptOutcome {
            stats_key: outgoing.stats_key(),
            ..result(outgoing.id, attempt, now, answer, Next::Submitted)
        }
    });
    let states = recorded(store, results.collect(), &[attempt]).await;
    assert!(states.iter().all(|&state| state == MessageState::Submitted));
    messages.into_iter().map(|outgoing| outgoing.id).collect()
}

/// A receipt of [`CARRIER`].
pub fn receipt(carrier_id: &str, state: ReceiptState, now: UnixMs) -> CarrierReceipt {
    CarrierReceipt::new(CARRIER, CarrierId::new(carrier_id), state, "000".into(), now)
}

/// Records one receipt.
pub async fn received(store: &dyn Store, receipt: CarrierReceipt) -> ReceiptEffect {
    store
        .record_receipts(vec![receipt])
        .await
        .expect("receipts are recorded")[0]
}

/// An endpoint of an account that subscribes to events of these kinds.
pub fn endpoint(id: u32, account: AccountId, kinds: EventKinds) -> Endpoint {
    Endpoint {
        id: EndpointId(id),
        account,
        name: format!("endpoint-{id}").into(),
        format: "standard".into(),
        url: "https://example.com/hook".into(),
        kinds,
        settings: serde_json::json!({"compact": true}),
        sealed_secret: vec![7, 0, 255],
        enabled: true,
    }
}

/// Puts an endpoint.
pub async fn listening(store: &dyn Store, endpoint: Endpoint) {
    store
        .change_catalog(vec![CatalogChange::PutEndpoint(endpoint)])
        .await
        .expect("an endpoint is put");
}

/// All events of an account after an offset, read in portions.
pub async fn events_after(
    store: &dyn Store,
    account: AccountId,
    mut after: EventOffset,
    kinds: EventKinds,
) -> Vec<Event> {
    let mut all = vec![];
    loop {
        let (events, next) = store
            .events(account, after, kinds, 50)
            .await
            .expect("events are read");
        let is_end = next == after;
        all.extend(events);
        after = next;
        if is_end {
            return all;
        }
    }
}

/// What happened to [`ACCOUNT`] and when, without places.
pub async fn happened(store: &dyn Store) -> Vec<(UnixMs, EventWhat)> {
    events_after(store, ACCOUNT, EventOffset::default(), EventKinds::ALL)
        .await
        .into_iter()
        .map(|event| (event.at, event.what))
        .collect()
}

/// A filter that lets all counters pass, by days of UTC.
pub fn all_counters() -> StatisticsFilter {
    StatisticsFilter {
        from: 0,
        until: NOW * 2,
        offset_minutes: 0,
        users: vec![],
        dialects: vec![],
        templates: vec![],
        labels: vec![],
        kind: None,
    }
}

/// The counters of [`ACCOUNT`] that pass a filter.
pub async fn counted(store: &dyn Store, filter: StatisticsFilter) -> Vec<Statistic> {
    store
        .statistics(ACCOUNT, filter, 100_000)
        .await
        .expect("counters are read")
}

/// One message as it stands.
pub async fn seen(store: &dyn Store, id: MessageId) -> MessageView {
    let mut views = store.messages(vec![id]).await.expect("messages are read");
    assert_eq!(views.len(), 1, "message {id} is known");
    views.remove(0)
}

/// The state of one message.
pub async fn state(store: &dyn Store, id: MessageId) -> MessageState {
    seen(store, id).await.state
}

/// A filter that lets everything pass.
pub fn everything() -> MessageFilter {
    MessageFilter {
        numbers: vec![],
        states: vec![],
        dialects: vec![],
        template: None,
        labels: vec![],
        kind: None,
        offset: 0,
        limit: 1_000,
        count_max: 100_000,
    }
}

/// All messages of [`ACCOUNT`] that pass a filter, newest first.
pub async fn found(store: &dyn Store, filter: MessageFilter) -> Vec<MessageId> {
    let all = crate::MessageSpan::ALL;
    let (views, _) = store
        .find(ACCOUNT, all, filter)
        .await
        .expect("messages are found");
    views.into_iter().map(|view| view.id).collect()
}
