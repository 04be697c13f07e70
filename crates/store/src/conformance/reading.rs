//! Reading back: views, sessions, searches, timelines, counts.

use super::Backend;
use super::fixtures::{
    ACCOUNT, CARRIER, LANE, NOW, accepted, accepted_batch, batch, begun, everything, found, ids, message,
    number, receipt, received, recorded, request, result, seen, submitted, taken_as, waiting,
};
use crate::{
    AcceptCommand, AccountId, Answer, AttemptOutcome, CarrierNo, Counts, Dialect, MessageFilter, MessageId,
    NewBatch, NewMessage, Next, SegmentAnswer, TimelineKind,
};
use sms::class::{Class, Kind};
use sms::state::{MessageState, ReceiptState};

/// Everything that was given comes back.
pub async fn messages_come_back_as_they_were_accepted(backend: &mut impl Backend) {
    let store = backend.store();
    let rich = NewMessage {
        written: "00 1 555 0100007".into(),
        params: Some(r#"["a","b"]"#.into()),
        extra: Some(r#"{"user_id":"u1"}"#.into()),
        segments: 3,
        carrier: CarrierNo(4),
        ..message(7)
    };
    let plain = NewMessage {
        written: number(8).digits().into(),
        ..message(8)
    };
    let full = NewBatch {
        class: Class::Otp,
        kind: Kind::Voice,
        message_type: Some(2),
        template: -3,
        text: "code {1} and {2}".into(),
        sender: Some("Example".into()),
        label: 99,
        custom: Some(r#"{"k":1}"#.into()),
        due: Some(NOW + 5),
        messages: vec![rich, plain],
        ..batch([])
    };
    let command = AcceptCommand {
        dialect: Dialect::EngagelabC,
        ..request(NOW, vec![full])
    };
    let range = accepted(store, command).await.batches[0];
    let view = seen(store, range.first).await;
    assert_eq!(
        (view.msisdn, &*view.written, view.segments),
        (number(7), "00 1 555 0100007", 3)
    );
    assert_eq!(view.params.as_deref(), Some(r#"["a","b"]"#));
    assert_eq!(view.extra.as_deref(), Some(r#"{"user_id":"u1"}"#));
    assert_eq!(
        (view.carrier, view.state, view.changed_at),
        (CarrierNo(4), MessageState::Queued, NOW)
    );
    let b = &view.batch;
    assert_eq!(
        (b.id, b.session, b.count, b.account),
        (range.first, range.session, 2, ACCOUNT)
    );
    assert_eq!(
        (b.dialect, b.class, b.kind, b.message_type),
        (Dialect::EngagelabC, Class::Otp, Kind::Voice, Some(2))
    );
    assert_eq!(
        (b.template, &*b.text, b.label, b.due),
        (-3, "code {1} and {2}", 99, Some(NOW + 5))
    );
    assert_eq!(
        (b.sender.as_deref(), b.custom.as_deref()),
        (Some("Example"), Some(r#"{"k":1}"#))
    );
    let plain = seen(store, range.first.plus(1)).await;
    assert_eq!((&*plain.written, plain.params), (&*number(8).digits(), None));

    let unknown = vec![
        range.first.plus(1),
        MessageId(5),
        range.first,
        range.first.plus(99),
    ];
    let views = store.messages(unknown).await.expect("read");
    assert_eq!(
        views.iter().map(|view| view.id).collect::<Vec<_>>(),
        ids(range),
        "in order, unknown ones left out"
    );
    assert!(store.messages(vec![]).await.expect("read").is_empty());
}

/// Another account's session is as good as none.
pub async fn a_session_belongs_to_its_account(backend: &mut impl Backend) {
    let store = backend.store();
    let range = accepted_batch(store, NOW, 0..2).await;
    assert_eq!(
        store.session(ACCOUNT, range.first, 9).await.expect("read").len(),
        2
    );
    assert!(
        store
            .session(AccountId(8), range.first, 9)
            .await
            .expect("read")
            .is_empty()
    );
    assert!(
        store
            .session(ACCOUNT, MessageId(1), 9)
            .await
            .expect("read")
            .is_empty()
    );
    assert!(
        store
            .session(ACCOUNT, range.first, 0)
            .await
            .expect("read")
            .is_empty()
    );
}

/// Each part of the filter leaves out what it does not name, in any combination.
pub async fn messages_are_found_by_what_the_filter_names(backend: &mut impl Backend) {
    let store = backend.store();
    let voice = NewBatch {
        kind: Kind::Voice,
        template: 43,
        label: 5,
        ..batch(0..2)
    };
    let a = ids(accepted(store, request(NOW, vec![batch(0..2)])).await.batches[0]);
    let b = ids(accepted(
        store,
        AcceptCommand {
            dialect: Dialect::Sendcloud,
            ..request(NOW + 10, vec![voice])
        },
    )
    .await
    .batches[0]);
    let other = AcceptCommand {
        account: AccountId(8),
        ..request(NOW + 20, vec![batch(0..2)])
    };
    accepted(store, other).await;
    submitted(store, NOW + 30, "id").await;
    received(store, receipt("id0", ReceiptState::Delivered, NOW + 40)).await;

    let newest = |mut ids: Vec<MessageId>| {
        ids.sort();
        ids.reverse();
        ids
    };
    let none = everything;
    let cases: Vec<(MessageFilter, Vec<MessageId>)> = vec![
        (none(), newest([a.clone(), b.clone()].concat())),
        (
            MessageFilter {
                numbers: vec![number(0)],
                ..none()
            },
            vec![b[0], a[0]],
        ),
        (
            MessageFilter {
                numbers: vec![number(1), number(0)],
                kind: Some(Kind::Text),
                ..none()
            },
            newest(a.clone()),
        ),
        (
            MessageFilter {
                numbers: vec![number(9)],
                ..none()
            },
            vec![],
        ),
        (
            MessageFilter {
                states: vec![MessageState::Delivered],
                ..none()
            },
            vec![a[0]],
        ),
        (
            MessageFilter {
                states: vec![MessageState::Submitted],
                template: Some(43),
                ..none()
            },
            newest(b.clone()),
        ),
        (
            MessageFilter {
                dialects: vec![Dialect::Sendcloud],
                ..none()
            },
            newest(b.clone()),
        ),
        (
            MessageFilter {
                dialects: vec![Dialect::Ucloud],
                ..none()
            },
            vec![],
        ),
        (
            MessageFilter {
                labels: vec![4, 5],
                ..none()
            },
            newest(b.clone()),
        ),
        (
            MessageFilter {
                template: Some(42),
                ..none()
            },
            newest(a.clone()),
        ),
        (
            MessageFilter {
                kind: Some(Kind::Voice),
                numbers: vec![number(1)],
                ..none()
            },
            vec![b[1]],
        ),
    ];
    for (filter, expected) in cases {
        let described = format!("{filter:?}");
        assert_eq!(found(store, filter).await, expected, "{described}");
    }
    let range = crate::MessageSpan::Accepted(NOW + 1..NOW + 12);
    let (views, count) = store
        .find(ACCOUNT, range.clone(), everything())
        .await
        .expect("found");
    assert_eq!(
        (views.iter().map(|view| view.id).collect::<Vec<_>>(), count),
        (newest(b.clone()), 2)
    );
    let by_number = MessageFilter {
        numbers: vec![number(1)],
        ..everything()
    };
    let (views, _) = store.find(ACCOUNT, range, by_number).await.expect("found");
    assert_eq!(views.iter().map(|view| view.id).collect::<Vec<_>>(), [b[1]]);
    let (part, _) = store
        .find(ACCOUNT, (a[1]..=b[0]).into(), everything())
        .await
        .expect("found");
    assert_eq!(
        part.iter().map(|view| view.id).collect::<Vec<_>>(),
        [b[0], a[1]],
        "a range may cut batches"
    );
}

/// Pages come newest first and the count goes on beyond them, up to its bound.
pub async fn a_search_is_counted_and_paged(backend: &mut impl Backend) {
    let store = backend.store();
    let mut all = vec![];
    for n in 0..6 {
        all.extend(ids(accepted_batch(store, NOW + n, 0..5).await));
    }
    all.reverse();
    let range = crate::MessageSpan::ALL;
    for states in [vec![], vec![MessageState::Queued]] {
        for (offset, limit) in [(0, 4), (4, 4), (9, 2), (28, 10), (40, 10)] {
            let filter = MessageFilter {
                offset,
                limit,
                states: states.clone(),
                ..everything()
            };
            let (views, count) = store.find(ACCOUNT, range.clone(), filter).await.expect("found");
            let offset = usize::try_from(offset).expect("small");
            let page: Vec<MessageId> = all.iter().copied().skip(offset).take(limit).collect();
            assert_eq!(
                views.iter().map(|view| view.id).collect::<Vec<_>>(),
                page,
                "{offset} {limit}"
            );
            assert_eq!(count, 30);
        }
        let bounded = MessageFilter {
            limit: 3,
            count_max: 12,
            states,
            ..everything()
        };
        assert_eq!(
            store
                .find(ACCOUNT, range.clone(), bounded)
                .await
                .expect("found")
                .1,
            12
        );
    }
}

/// The timeline of a message that was refused, retried on another carrier and delivered has all these steps.
pub async fn the_timeline_has_every_step(backend: &mut impl Backend) {
    let store = backend.store();
    let id = accepted_batch(store, NOW, 0..1).await.first;
    let other = CarrierNo(4);
    let first = begun(store, CARRIER, NOW + 10, &waiting(store, LANE).await).await;
    let throttled = Answer::Single(SegmentAnswer {
        status: 0x58,
        carrier_id: None,
    });
    let retry = result(
        id,
        first,
        NOW + 10,
        throttled,
        Next::Retry {
            due: NOW + 100,
            carrier: other,
        },
    );
    recorded(store, vec![retry], &[first]).await;
    store
        .release_due(NOW + 100, 9, Box::new(|_| {}))
        .await
        .expect("released");
    let lane = crate::Lane {
        carrier: other,
        ..LANE
    };
    let second = begun(store, other, NOW + 110, &waiting(store, lane).await).await;
    let taken = result(
        id,
        second,
        NOW + 110,
        Answer::Single(taken_as("x1")),
        Next::Submitted,
    );
    recorded(
        store,
        vec![AttemptOutcome {
            attempts: 2,
            carrier: other,
            ..taken
        }],
        &[second],
    )
    .await;
    let end = crate::CarrierReceipt {
        carrier: other,
        ..receipt("x1", ReceiptState::Delivered, NOW + 200)
    };
    received(store, end).await;

    let timeline = store.timeline(id).await.expect("read");
    let kinds: Vec<_> = timeline
        .iter()
        .map(|entry| (entry.at - NOW, entry.kind.clone()))
        .collect();
    let receipt = TimelineKind::Receipt {
        carrier: other,
        segment: 1,
        state: MessageState::Delivered,
        error: "000".into(),
    };
    let answered = |carrier, status, ids: &[&str]| TimelineKind::Answered {
        carrier,
        status,
        carrier_ids: ids.iter().map(|&id| id.into()).collect(),
    };
    assert_eq!(
        kinds,
        [
            (0, TimelineKind::Accepted),
            (
                10,
                TimelineKind::Attempt {
                    no: 1,
                    carrier: CARRIER,
                    bind: 1
                }
            ),
            (30, answered(CARRIER, 0x58, &[])),
            (
                30,
                TimelineKind::Requeued {
                    carrier: other,
                    due: NOW + 100
                }
            ),
            (
                110,
                TimelineKind::Attempt {
                    no: 2,
                    carrier: other,
                    bind: 1
                }
            ),
            (130, answered(other, 0, &["x1"])),
            (130, TimelineKind::State(MessageState::Submitted)),
            (200, receipt),
            (200, TimelineKind::State(MessageState::Delivered)),
        ]
    );
    assert!(store.timeline(MessageId(1)).await.expect("read").is_empty());
}

/// The counts go with the messages.
pub async fn counts_follow_the_messages(backend: &mut impl Backend) {
    let store = backend.store();
    let later = NewBatch {
        due: Some(NOW + 1_000),
        ..batch(0..4)
    };
    accepted(store, request(NOW, vec![batch(0..3), later])).await;
    received(store, receipt("nobody", ReceiptState::Delivered, NOW)).await;
    let counts = || async { store.counts().await.expect("counted") };
    assert_eq!(
        counts().await,
        Counts {
            queued: 3,
            delayed: 4,
            in_flight: 0,
            unmatched_receipts: 1
        }
    );
    let messages = waiting(store, LANE).await;
    begun(store, CARRIER, NOW, &messages[..2]).await;
    assert_eq!(
        counts().await,
        Counts {
            queued: 1,
            delayed: 4,
            in_flight: 2,
            unmatched_receipts: 1
        }
    );
    store
        .release_due(NOW + 1_000, 9, Box::new(|_| {}))
        .await
        .expect("released");
    assert_eq!(
        counts().await,
        Counts {
            queued: 5,
            delayed: 0,
            in_flight: 2,
            unmatched_receipts: 1
        }
    );
}

/// A message that another carrier than the one it waited for was given says so, before that attempt.
pub async fn a_move_to_another_carrier_is_in_the_timeline(backend: &mut impl Backend) {
    let store = backend.store();
    let id = accepted_batch(store, NOW, 0..1).await.first;
    let other = CarrierNo(4);
    let attempt = begun(store, other, NOW + 10, &waiting(store, LANE).await).await;
    let taken = result(
        id,
        attempt,
        NOW + 10,
        Answer::Single(taken_as("x1")),
        Next::Submitted,
    );
    let taken = AttemptOutcome {
        carrier: other,
        ..taken
    };
    recorded(store, vec![taken], &[attempt]).await;
    backend.crash().await;
    let timeline = backend.store().timeline(id).await.expect("read");
    let kinds: Vec<_> = timeline.iter().map(|entry| entry.kind.clone()).collect();
    let moved = TimelineKind::FailedOver {
        from: CARRIER,
        to: other,
    };
    assert_eq!(kinds[..2], [TimelineKind::Accepted, moved]);
    assert!(matches!(kinds[2], TimelineKind::Attempt { carrier, .. } if carrier == other));
    assert_eq!(kinds.len(), 5, "{kinds:?}");
}
