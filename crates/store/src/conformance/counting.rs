//! Counters: every message in one column, and a column for every message.

use super::Backend;
use super::fixtures::{
    ACCOUNT, CARRIER, LANE, NOW, accepted, accepted_batch, all_counters, batch, begun, counted, everything,
    receipt, received, recorded, request, result, seen, submitted, taken_as, waiting,
};
use crate::{
    AcceptCommand, AccountId, Answer, AttemptOutcome, CarrierReceipt, Dialect, DimensionsNo, MessageFilter,
    MessageId, MessageView, NewBatch, Next, RecordResults, Statistic, StatisticsFilter, StatsKey, Store,
};
use sms::class::{Class, Kind};
use sms::phone::Msisdn;
use sms::state::{MessageState, ReceiptState};
use std::collections::BTreeMap;

const HOUR_MS: i64 = 3_600_000;

/// State, error and how many.
fn columns(rows: &[Statistic]) -> Vec<(MessageState, &str, u64)> {
    rows.iter()
        .map(|row| (row.state, &*row.error, row.messages))
        .collect()
}

/// Messages by the days in which they were accepted (UTC).
pub(super) async fn day_counts(store: &dyn Store) -> BTreeMap<i64, u64> {
    let filter = crate::StatisticsFilter {
        until: i64::from(u32::MAX) * 4_000,
        ..all_counters()
    };
    let mut days = BTreeMap::new();
    for row in counted(store, filter).await {
        *days.entry(i64::from(row.day)).or_insert(0) += row.messages;
    }
    days
}

/// What the counters have to be, from the messages themselves.
async fn recounted(store: &dyn Store) -> BTreeMap<(DimensionsNo, u16, MessageState, String), (u64, u64)> {
    let range = crate::MessageSpan::ALL;
    let filter = MessageFilter {
        limit: 100_000,
        ..everything()
    };
    let (views, _) = store.find(ACCOUNT, range, filter).await.expect("found");
    let mut counts = BTreeMap::new();
    for view in views {
        let (state, error) = match view.state {
            MessageState::Queued | MessageState::InFlight | MessageState::InDoubt => {
                (MessageState::Queued, String::new())
            }
            MessageState::Submitted => (view.state, String::new()),
            _ => (view.state, view.error.to_string()),
        };
        let country = view.msisdn.country_code().unwrap_or(0);
        let count = counts
            .entry((view.batch.dimensions, country, state, error))
            .or_insert((0, 0));
        count.0 += 1;
        count.1 += u64::from(view.segments);
    }
    counts
}

/// The same from the counters; the series by what they stand for.
async fn as_counted(
    store: &dyn Store,
    dimensions: &[DimensionsNo],
) -> BTreeMap<(DimensionsNo, u16, MessageState, String), (u64, u64)> {
    let rows = counted(store, all_counters()).await;
    let key = |row: &Statistic| {
        let label = usize::try_from(row.dimensions.label).expect("small");
        (dimensions[label], row.country, row.state, row.error.to_string())
    };
    rows.iter()
        .map(|row| (key(row), (row.messages, row.segments)))
        .collect()
}

/// Each message is counted where it is, with its segments and its country.
pub async fn a_message_is_counted_where_it_is(backend: &mut impl Backend) {
    let store = backend.store();
    let mut new = batch(0..4);
    new.messages[0].segments = 3;
    new.messages[3].msisdn = Msisdn::from_u64(447_700_900_123).expect("a number");
    accepted(store, request(NOW, vec![new])).await;
    let rows = counted(store, all_counters()).await;
    let reported: Vec<_> = rows
        .iter()
        .map(|row| (row.country, row.state, row.messages, row.segments))
        .collect();
    assert_eq!(
        reported,
        [(1, MessageState::Queued, 3, 5), (44, MessageState::Queued, 1, 1)]
    );
    let dimensions = &rows[0].dimensions;
    assert_eq!((dimensions.account, &*dimensions.user), (ACCOUNT, ""));
    assert_eq!((dimensions.class, dimensions.kind), (Class::Notice, Kind::Text));
    assert_eq!((dimensions.template, dimensions.label), (42, 0));
    assert_eq!(dimensions.dialect, Dialect::UspeedoRest);
    assert_eq!(i64::from(rows[0].day), NOW / 86_400_000);

    submitted(store, NOW, "id").await;
    let coded = |carrier_id, state, error: &str| CarrierReceipt {
        error: error.into(),
        ..receipt(carrier_id, state, NOW + 50)
    };
    received(store, coded("id0", ReceiptState::Delivered, "000")).await;
    received(store, coded("id1", ReceiptState::Unknown, "9")).await;
    received(store, coded("id2", ReceiptState::Rejected, "44")).await;
    let rows = counted(store, all_counters()).await;
    let expected = [
        (MessageState::Delivered, "000", 1),
        (MessageState::Rejected, "44", 1),
        (MessageState::Unknown, "9", 1),
        (MessageState::Submitted, "", 1),
    ];
    assert_eq!(columns(&rows), expected);
    assert_eq!((rows[0].segments, rows[1].segments), (3, 1));

    received(store, coded("id1", ReceiptState::Delivered, "")).await;
    received(store, coded("id1", ReceiptState::Delivered, "")).await;
    let expected = [
        (MessageState::Delivered, "", 1),
        (MessageState::Delivered, "000", 1),
        (MessageState::Rejected, "44", 1),
        (MessageState::Submitted, "", 1),
    ];
    assert_eq!(columns(&counted(store, all_counters()).await), expected);
}

/// What is common to batches has one number, for the accept, the queue and the messages alike.
pub async fn the_same_series_has_the_same_number(backend: &mut impl Backend) {
    let store = backend.store();
    let accept = async |store: &dyn Store, user: &str, template: i64| {
        let new = NewBatch {
            template,
            ..batch(0..1)
        };
        let command = AcceptCommand {
            user: user.into(),
            ..request(NOW, vec![new])
        };
        accepted(store, command).await.batches[0]
    };
    let first = accept(store, "anna", 1).await;
    let same = accept(store, "anna", 1).await;
    let others = [accept(store, "ben", 1).await, accept(store, "anna", 2).await];
    assert_ne!(first.dimensions, DimensionsNo(0));
    assert_eq!(first.dimensions, same.dimensions);
    assert!(others.iter().all(|other| other.dimensions != first.dimensions));
    assert_ne!(others[0].dimensions, others[1].dimensions);
    let queued = waiting(store, LANE).await;
    let expected = StatsKey {
        dimensions: first.dimensions,
        country: 1,
        segments: 1,
    };
    assert_eq!(queued[0].stats_key(), expected);
    let view = seen(store, first.first).await;
    assert_eq!(
        (&*view.batch.user, view.batch.dimensions),
        ("anna", first.dimensions)
    );

    backend.crash().await;
    let store = backend.store();
    assert_eq!(accept(store, "anna", 1).await.dimensions, first.dimensions);
    assert_eq!(accept(store, "ben", 1).await.dimensions, others[0].dimensions);
}

/// A message that fails at once is counted with its code.
pub async fn a_message_that_fails_at_once_is_counted(backend: &mut impl Backend) {
    let store = backend.store();
    let mut new = batch(0..3);
    new.messages[1].failure = Some(412);
    accepted(store, request(NOW, vec![new])).await;
    assert_eq!(
        columns(&counted(store, all_counters()).await),
        [(MessageState::Queued, "", 2), (MessageState::Rejected, "412", 1)]
    );
}

/// A command that fails takes back what it counted, and leaves what its neighbours did.
pub async fn counts_go_with_the_command_that_failed(backend: &mut impl Backend) {
    let store = backend.store();
    let range = accepted_batch(store, NOW, 0..3).await;
    let queued = waiting(store, LANE).await;
    let attempt = begun(store, CARRIER, NOW, &queued).await;
    let refused = |n: usize| AttemptOutcome {
        stats_key: queued[n].stats_key(),
        ..result(
            queued[n].id,
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
    let balance = AcceptCommand {
        caps: Some(crate::Caps {
            per_minute_max: 1,
            per_day_max: 0,
        }),
        ..request(NOW, vec![batch(0..2)])
    };
    let (first, failed, last, _) = tokio::join!(
        store.record_results(command(vec![refused(0)])),
        store.record_results(command(vec![refused(1), nobody])),
        store.record_results(command(vec![refused(2)])),
        store.accept(balance),
    );
    assert!(first.is_ok() && failed.is_err() && last.is_ok());
    let counts = as_counted(store, &[range.dimensions]).await;
    assert_eq!(counts, recounted(store).await);
    assert_eq!(
        counts[&(range.dimensions, 1, MessageState::Rejected, String::new())],
        (2, 2)
    );
}

/// Of very many errors of a series in an hour the first 64 have counters of their own, and a message is subtracted
/// from the counter to which it was added.
pub async fn errors_are_distinguished_up_to_a_bound(backend: &mut impl Backend) {
    let store = backend.store();
    accepted_batch(store, NOW, 0..80).await;
    submitted(store, NOW, "id").await;
    for n in 0..80 {
        let coded = CarrierReceipt {
            error: format!("E{n:02}").into(),
            ..receipt(&format!("id{n}"), ReceiptState::Unknown, NOW + 50)
        };
        received(store, coded).await;
        if n == 40 {
            side_is_as_it_was(store, 41).await;
        }
    }
    backend.crash().await;
    let store = backend.store();
    let rows = counted(store, all_counters()).await;
    assert_eq!(rows.len(), 65);
    let other = rows.iter().find(|row| &*row.error == "other").expect("there");
    assert_eq!(other.messages, 16);

    for n in 0..80 {
        received(
            store,
            receipt(&format!("id{n}"), ReceiptState::Delivered, NOW + 60),
        )
        .await;
    }
    assert_eq!(
        columns(&counted(store, all_counters()).await),
        [(MessageState::Delivered, "other", 80)],
        "no new error gets a counter"
    );
}

async fn side_is_as_it_was(store: &dyn Store, unknown: usize) {
    let rows = counted(store, all_counters()).await;
    let apart = rows.iter().filter(|row| row.state == MessageState::Unknown);
    assert_eq!(apart.count(), unknown);
}

/// Counters are summed up by the days of any zone, and only those that the filter names.
pub async fn counters_are_found_by_what_the_filter_names(backend: &mut impl Backend) {
    let store = backend.store();
    let one = async |now: i64, user: &str, template: i64, label: i64, kind: Kind, dialect: Dialect| {
        let new = NewBatch {
            template,
            label,
            kind,
            ..batch(0..1)
        };
        let command = AcceptCommand {
            user: user.into(),
            dialect,
            ..request(now, vec![new])
        };
        accepted(store, command).await;
    };
    one(NOW, "anna", 1, 5, Kind::Text, Dialect::UspeedoRest).await;
    one(NOW + HOUR_MS, "ben", 1, 6, Kind::Text, Dialect::UspeedoRest).await;
    one(
        NOW + 23 * HOUR_MS,
        "anna",
        2,
        5,
        Kind::Voice,
        Dialect::UspeedoRest,
    )
    .await;
    one(NOW + 24 * HOUR_MS, "anna", 2, 7, Kind::Text, Dialect::Sendcloud).await;
    let other = AcceptCommand {
        account: AccountId(8),
        ..request(NOW, vec![batch(0..1)])
    };
    accepted(store, other).await;

    let today = i32::try_from(NOW / 86_400_000).expect("a day");
    let days = async |filter: StatisticsFilter| {
        let rows = counted(store, filter).await;
        let days = rows.iter().map(|row| (row.day - today, row.messages));
        days.collect::<Vec<_>>()
    };
    let all = all_counters;
    assert_eq!(days(all()).await, [(0, 1), (0, 1), (0, 1), (1, 1)]);
    let east = StatisticsFilter {
        offset_minutes: 8 * 60,
        ..all()
    };
    assert_eq!(days(east).await, [(0, 1), (0, 1), (1, 1), (1, 1)]);
    let west = StatisticsFilter {
        offset_minutes: -90,
        ..all()
    };
    assert_eq!(days(west).await, [(-1, 1), (-1, 1), (0, 1), (0, 1)]);
    let hour = StatisticsFilter {
        from: NOW + HOUR_MS + 5,
        until: NOW + 23 * HOUR_MS + 5,
        ..all()
    };
    assert_eq!(days(hour).await, [(0, 1), (0, 1)], "whole hours");
    let anna = StatisticsFilter {
        users: vec!["anna".into()],
        ..all()
    };
    assert_eq!(days(anna.clone()).await, [(0, 1), (0, 1), (1, 1)]);
    let templates = StatisticsFilter {
        templates: vec![1, 9],
        ..all()
    };
    assert_eq!(days(templates.clone()).await, [(0, 1), (0, 1)]);
    let labels = StatisticsFilter {
        labels: vec![6, 7],
        ..all()
    };
    assert_eq!(days(labels).await, [(0, 1), (1, 1)]);
    let voice = StatisticsFilter {
        kind: Some(Kind::Voice),
        ..all()
    };
    assert_eq!(days(voice).await, [(0, 1)]);
    let dialects = StatisticsFilter {
        dialects: vec![Dialect::Sendcloud],
        ..all()
    };
    assert_eq!(days(dialects).await, [(1, 1)]);
    let both = StatisticsFilter {
        users: anna.users,
        ..templates
    };
    assert_eq!(days(both).await, [(0, 1)]);
    let first = store.statistics(ACCOUNT, all(), 3).await.expect("read");
    assert_eq!(first, counted(store, all()).await[..3]);
}

/// Old hours go, and a receipt that comes then brings nothing back.
pub async fn old_counters_expire(backend: &mut impl Backend) {
    let store = backend.store();
    let old = accepted_batch(store, NOW, 0..3).await;
    submitted(store, NOW, "old").await;
    let label = NewBatch {
        label: 9,
        ..batch(0..2)
    };
    let kept = accepted(store, request(NOW + 5 * HOUR_MS, vec![label]))
        .await
        .batches[0];
    submitted(store, NOW + 5 * HOUR_MS, "new").await;
    let until = NOW + 3 * HOUR_MS;
    assert_eq!(store.expire_statistics(until).await.expect("expired"), 2);
    assert_eq!(store.expire_statistics(until).await.expect("expired"), 0);
    for name in ["old0", "new0"] {
        received(store, receipt(name, ReceiptState::Delivered, until)).await;
    }
    backend.crash().await;
    let store = backend.store();
    received(store, receipt("old1", ReceiptState::Delivered, until)).await;
    let rows = counted(store, all_counters()).await;
    let expected = [
        (MessageState::Submitted, "", 1),
        (MessageState::Delivered, "000", 1),
    ];
    assert_eq!(columns(&rows), expected);
    assert!(rows.iter().all(|row| row.dimensions.label == 9));

    let again = accepted_batch(store, NOW + 6 * HOUR_MS, 0..1).await;
    assert!(
        again.dimensions > kept.dimensions,
        "the number of {old:?} is not given again"
    );
    // Earlier is too early, whatever a clock says: nothing is counted where counters have gone.
    assert_eq!(counted(store, all_counters()).await.len(), 3);
}

/// Counters outlive the messages they count.
pub async fn counters_outlive_their_messages(backend: &mut impl Backend) {
    let store = backend.store();
    accepted_batch(store, NOW, 0..3).await;
    submitted(store, NOW, "id").await;
    received(store, receipt("id0", ReceiptState::Delivered, NOW + 50)).await;
    let before = counted(store, all_counters()).await;
    while store.expire_messages(i64::MAX, NOW + 60).await.expect("expired") {}
    assert_eq!(counted(store, all_counters()).await, before);
    received(store, receipt("id1", ReceiptState::Delivered, NOW + 60)).await;
    assert_eq!(
        columns(&counted(store, all_counters()).await),
        [
            (MessageState::Submitted, "", 1),
            (MessageState::Delivered, "000", 2)
        ]
    );
}

/// After lives of all kinds the counters are what a recount of all messages finds.
pub async fn counters_equal_a_recount(backend: &mut impl Backend) {
    let store = backend.store();
    let mut dimensions = vec![];
    for label in 0..3i64 {
        let now = NOW + label * 1_000;
        let mut new = NewBatch {
            label,
            ..batch(0..40)
        };
        for (n, message) in new.messages.iter_mut().enumerate() {
            message.segments = 1 + u8::try_from(n % 4).expect("small");
            message.failure = (n % 7 == 6).then_some(430);
        }
        dimensions.push(accepted(store, request(now, vec![new])).await.batches[0].dimensions);
        let queued = waiting(store, LANE).await;
        let attempt = begun(store, CARRIER, now, &queued).await;
        let outcomes = queued.iter().enumerate().map(|(n, outgoing)| {
            let taken = taken_as(&format!("{label}-{n}"));
            let (answer, next) = match n % 6 {
                0 => (Answer::None, Next::InDoubt),
                1 => (Answer::None, Next::Final(MessageState::Rejected)),
                2 => (
                    Answer::None,
                    Next::Retry {
                        due: now + 500,
                        carrier: CARRIER,
                    },
                ),
                3 => (
                    Answer::segments(vec![Some(taken.clone()), Some(taken)]),
                    Next::Submitted,
                ),
                _ => (Answer::Single(taken), Next::Submitted),
            };
            AttemptOutcome {
                stats_key: outgoing.stats_key(),
                ..result(outgoing.id, attempt, now, answer, next)
            }
        });
        recorded(store, outcomes.collect(), &[attempt]).await;
        for n in (0..queued.len()).filter(|n| n % 5 != 0) {
            let coded = CarrierReceipt {
                error: ["", "000", "12"][n % 3].into(),
                ..receipt(
                    &format!("{label}-{n}"),
                    ReceiptState::ALL[n % ReceiptState::ALL.len()],
                    now + 90,
                )
            };
            received(store, coded).await;
        }
    }
    let counts = as_counted(store, &dimensions).await;
    assert_eq!(counts, recounted(store).await);
    let total: u64 = counts.values().map(|(messages, _)| messages).sum();
    assert_eq!(total, 120);
    backend.crash().await;
    let store = backend.store();
    assert_eq!(as_counted(store, &dimensions).await, recounted(store).await);
}

/// A message whose results have no `StatsKey`, such as one left in doubt by a kill, is counted by its own rows: in
/// doubt first, and then by each later state.
pub async fn a_message_without_a_stats_key_is_counted_by_its_own_rows(backend: &mut impl Backend) {
    let store = backend.store();
    let mut new = batch(0..1);
    new.messages[0].segments = 3;
    new.messages[0].msisdn = Msisdn::from_u64(447_700_900_123).expect("a number");
    let accepted = accepted(store, request(NOW, vec![new])).await.batches[0];
    let (id, dimensions) = (accepted.first, [accepted.dimensions]);
    let attempt = begun(store, CARRIER, NOW, &waiting(store, LANE).await).await;
    backend.crash().await;
    let store = backend.store();
    let in_doubt = result(id, attempt, NOW, Answer::None, Next::InDoubt);
    assert_eq!(in_doubt.stats_key, StatsKey::default());
    recorded(store, vec![in_doubt], &[attempt]).await;
    assert_eq!(as_counted(store, &dimensions).await, recounted(store).await);
    // The answer, late.
    let answer = Answer::Single(taken_as("a"));
    let late = result(id, attempt, NOW + 10, answer, Next::Submitted);
    recorded(store, vec![late], &[]).await;
    assert_eq!(as_counted(store, &dimensions).await, recounted(store).await);
    received(store, receipt("a", ReceiptState::Delivered, NOW + 50)).await;
    let view: MessageView = seen(store, id).await;
    assert_eq!(view.state, MessageState::Delivered);
    let counts = as_counted(store, &dimensions).await;
    assert_eq!(counts, recounted(store).await);
    let delivered = (dimensions[0], 44, MessageState::Delivered, view.error.to_string());
    assert_eq!(counts, BTreeMap::from([(delivered, (1, 3))]));
}
