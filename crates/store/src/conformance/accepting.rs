//! Accepting: ids, sessions, and everything decided inside the transaction.

use super::Backend;
use super::fixtures::{
    ACCOUNT, CARRIER, LANE, NOW, accepted, accepted_batch, batch, everything, found, ids, long_batch,
    message, number, once, once_at, request, seen, state, waiting, waiting_ids,
};
use crate::{
    AcceptCommand, AcceptError, AcceptOutcome, Accepted, Account, AccountId, Caps, CatalogChange, Charge,
    MessageId, NewBatch, OnCommit, RefusedAtCommit, RefusedReason, Store, SuppressedPolicy, Suppression,
    SuppressionKind,
};
use sms::state::MessageState;
use std::sync::{Arc, Mutex};

/// Message ids increase without gaps within a request, batch after batch, and contain the time.
pub async fn ids_are_contiguous_over_a_request_and_grow(backend: &mut impl Backend) {
    let store = backend.store();
    let first = accepted(store, request(NOW, vec![batch(0..3), batch(3..5)])).await;
    assert_eq!(first.batches[0].count, 3);
    assert_eq!(first.batches[1].first, first.batches[0].first.plus(3));
    assert_eq!(first.batches[0].first.time_part(), NOW);

    let second = accepted_batch(store, NOW, 0..2).await;
    assert_eq!(
        second.first,
        first.batches[1].first.plus(2),
        "the same millisecond goes on"
    );
    let back = accepted_batch(store, NOW - 5_000, 0..1).await;
    assert_eq!(
        back.first,
        second.first.plus(2),
        "a clock that goes back does not take ids back"
    );
    let later = accepted_batch(store, NOW + 1, 0..1).await;
    assert_eq!(later.first, MessageId::first_at(NOW + 1));
}

/// A session holds the batches from the one that opens it to the next that opens one.
pub async fn sessions_begin_where_a_batch_opens_one(backend: &mut impl Backend) {
    let store = backend.store();
    let joins = |numbers: std::ops::Range<u64>| NewBatch {
        opens_session: false,
        ..batch(numbers)
    };
    let outcome = accepted(
        store,
        request(NOW, vec![joins(0..2), joins(2..3), batch(3..5), joins(5..6)]),
    )
    .await;
    let [a, b, c, d] = outcome.batches[..] else {
        panic!("four batches")
    };
    assert_eq!(
        (a.session, b.session),
        (a.first, a.first),
        "the first batch opens a session in any case"
    );
    assert_eq!((c.session, d.session), (c.first, c.first));

    let session = store
        .session(ACCOUNT, a.first, 100)
        .await
        .expect("a session is read");
    assert_eq!(
        session.iter().map(|view| view.id).collect::<Vec<_>>(),
        [ids(a), ids(b)].concat()
    );
    let session = store
        .session(ACCOUNT, c.first, 2)
        .await
        .expect("a session is read");
    assert_eq!(
        session.iter().map(|view| view.id).collect::<Vec<_>>(),
        ids(c),
        "bounded"
    );
    assert!(
        store
            .session(ACCOUNT, b.first, 100)
            .await
            .expect("read")
            .is_empty(),
        "not the first of a session"
    );
}

/// A failure that the dialect accepts is a final state at once, between messages that are sent.
pub async fn messages_that_can_only_fail_end_at_once(backend: &mut impl Backend) {
    let store = backend.store();
    let mut mixed = batch(0..4);
    mixed.messages[1].failure = Some(412);
    let outcome = accepted(store, request(NOW, vec![mixed])).await;
    let all = ids(outcome.batches[0]);
    assert_eq!(all.len(), 4);
    let failed = seen(store, all[1]).await;
    assert_eq!((failed.state, &*failed.error), (MessageState::Rejected, "412"));
    assert_eq!((failed.submitted_at, failed.attempts), (None, 0));
    assert_eq!(waiting_ids(store, LANE).await, [all[0], all[2], all[3]]);
    let queued: i64 = outcome
        .queued
        .iter()
        .map(|range| range.last.0 - range.first.0 + 1)
        .sum();
    assert_eq!(queued, 3);
    assert_eq!(store.counts().await.expect("counted").queued, 3);
}

/// Of many concurrent requests with one id exactly one is stored; the others get its answer.
pub async fn a_request_is_stored_once_among_concurrent_repeats(backend: &mut impl Backend) {
    let store = backend.store();
    let repeat = |n: u64| AcceptCommand {
        idempotency: Some(crate::NewIdempotency {
            fingerprint: n % 2,
            ..once("the one")
        }),
        ..request(NOW, vec![batch(n..n + 1)])
    };
    let answers = tokio::join!(
        store.accept(repeat(0)),
        store.accept(repeat(1)),
        store.accept(repeat(2)),
        store.accept(repeat(3)),
        store.accept(repeat(4)),
        store.accept(repeat(5)),
    );
    let answers = [answers.0, answers.1, answers.2, answers.3, answers.4, answers.5];
    let mut new = vec![];
    let mut repeats = vec![];
    for answer in answers {
        match answer.expect("answered") {
            Accepted::New(outcome) => new.push(outcome.batches[0].session),
            Accepted::Repeat { answer, same_body } => repeats.push((answer, same_body)),
        }
    }
    assert_eq!(new.len(), 1, "stored once");
    assert!(
        repeats
            .iter()
            .all(|(answer, _)| *answer == new[0].to_string().into_bytes())
    );
    assert_eq!(
        repeats.iter().filter(|(_, same_body)| *same_body).count(),
        2,
        "two more had that body"
    );
    assert_eq!(found(store, everything()).await, new);
}

/// A request id may be used again when its time is over.
pub async fn a_request_id_expires_after_its_time(backend: &mut impl Backend) {
    let store = backend.store();
    let again = |now| AcceptCommand {
        idempotency: Some(once_at("again", now)),
        ..request(now, vec![batch(0..1)])
    };
    let first = accepted(store, again(NOW)).await;
    let repeat = store.accept(again(NOW + 59_999)).await.expect("answered");
    assert!(matches!(repeat, Accepted::Repeat { same_body: true, .. }));
    let second = accepted(store, again(NOW + 60_000)).await;
    assert_ne!(first.batches[0].first, second.batches[0].first);
}

/// The same request id of another account, or in another scope, is another request.
pub async fn request_ids_of_accounts_and_scopes_are_apart(backend: &mut impl Backend) {
    let store = backend.store();
    let base = || request(NOW, vec![batch(0..1)]);
    accepted(
        store,
        AcceptCommand {
            idempotency: Some(once("key")),
            ..base()
        },
    )
    .await;
    let other = AcceptCommand {
        account: AccountId(8),
        idempotency: Some(once("key")),
        ..base()
    };
    accepted(store, other).await;
    let scope = crate::NewIdempotency {
        scope: "header",
        ..once("key")
    };
    accepted(
        store,
        AcceptCommand {
            idempotency: Some(scope),
            ..base()
        },
    )
    .await;
    let repeat = AcceptCommand {
        idempotency: Some(once("key")),
        ..base()
    };
    assert!(matches!(store.accept(repeat).await, Ok(Accepted::Repeat { .. })));
}

/// An account with a balance, for cases about paying.
fn account(balance_name: &str) -> Account {
    Account {
        id: ACCOUNT,
        name: balance_name.into(),
        balance: None,
        weight: 1,
        caps: Caps::default(),
        may_send: true,
        senders: vec![],
        blocked_words: Vec::new(),
        project_ids: vec![],
        auto_approve: false,
        repeats_with_other_content: Default::default(),
        inbound_to: vec![],
        opt_out_words: vec![],
        opt_in_words: None,
    }
}

async fn balance(store: &dyn Store) -> Option<i64> {
    store.load_catalog().await.expect("the catalog is read").accounts[0].balance
}

/// Segments are charged in the transaction; what fails at once is free; what is not covered is refused whole.
pub async fn a_balance_is_charged_and_never_overdrawn(backend: &mut impl Backend) {
    let store = backend.store();
    let changes = vec![
        CatalogChange::PutAccount(account("payer")),
        CatalogChange::SetBalance(ACCOUNT, Some(10)),
    ];
    store.change_catalog(changes).await.expect("changed");
    let prepaid = |numbers: std::ops::Range<u64>| AcceptCommand {
        charge: Charge::Prepaid,
        ..request(NOW, vec![batch(numbers)])
    };
    let mut dear = prepaid(0..3);
    dear.batches[0].messages[0].segments = 4;
    dear.batches[0].messages[1].failure = Some(400);
    accepted(store, dear).await;
    assert_eq!(balance(store).await, Some(5));

    let refused = store.accept(prepaid(0..6)).await;
    assert!(
        matches!(
            refused,
            Err(AcceptError::Balance {
                balance: 5,
                needed: 6
            })
        ),
        "{refused:?}"
    );
    assert_eq!(balance(store).await, Some(5));
    assert_eq!(
        found(store, everything()).await.len(),
        3,
        "nothing of the refused request is there"
    );

    let (a, b, c) = tokio::join!(
        store.accept(prepaid(0..3)),
        store.accept(prepaid(0..3)),
        store.accept(prepaid(0..3))
    );
    let stored = [a, b, c].into_iter().filter(Result::is_ok).count();
    assert_eq!((stored, balance(store).await), (1, Some(2)), "one of three fits");

    accepted(
        store,
        AcceptCommand {
            charge: Charge::Free,
            ..prepaid(0..9)
        },
    )
    .await;
    store
        .change_catalog(vec![CatalogChange::SetBalance(ACCOUNT, None)])
        .await
        .expect("changed");
    accepted(store, prepaid(0..9)).await;
    assert_eq!(
        balance(store).await,
        None,
        "an account without a balance is not counted"
    );
}

pub(super) fn capped(
    now: i64,
    numbers: std::ops::Range<u64>,
    per_minute_max: u32,
    per_day_max: u32,
) -> AcceptCommand {
    AcceptCommand {
        caps: Some(Caps {
            per_minute_max,
            per_day_max,
        }),
        ..request(now, vec![batch(numbers)])
    }
}

fn reasons(outcome: &AcceptOutcome) -> Vec<(u32, RefusedReason)> {
    outcome
        .refused
        .iter()
        .map(|refused| (refused.message, refused.reason))
        .collect()
}

/// The caps count what a number got within exactly the last minute and the last day.
pub async fn caps_hold_within_rolling_windows(backend: &mut impl Backend) {
    let store = backend.store();
    let minute = 60_000;
    let day = 86_400_000;
    accepted(store, capped(NOW, 0..1, 1, 3)).await;
    let refused = store.accept(capped(NOW + minute - 1, 0..1, 1, 3)).await;
    let expected = RefusedAtCommit {
        batch: 0,
        message: 0,
        reason: RefusedReason::PerMinute,
    };
    assert!(
        matches!(&refused, Err(AcceptError::NothingLeft(all)) if *all == [expected]),
        "{refused:?}"
    );
    accepted(store, capped(NOW + minute, 0..1, 1, 3)).await;
    let third = accepted(store, capped(NOW + 2 * minute, 0..2, 1, 3)).await;
    assert_eq!(reasons(&third), [], "another number has caps of its own");

    let at_day = store.accept(capped(NOW + day - 1, 0..1, 1, 3)).await;
    assert!(
        matches!(&at_day, Err(AcceptError::NothingLeft(all)) if all[0].reason == RefusedReason::PerDay),
        "{at_day:?}"
    );
    let fourth = accepted(store, capped(NOW + day, 0..1, 1, 3)).await;
    assert_eq!(fourth.batches[0].count, 1, "the first one is a day old");
    let other = AcceptCommand {
        account: AccountId(8),
        ..capped(NOW + day, 0..1, 1, 3)
    };
    assert_eq!(
        accepted(store, other).await.batches[0].count,
        1,
        "another account has caps of its own"
    );
}

/// The second message to a number in one request counts the first; what is left stays contiguous.
pub async fn caps_count_within_one_request(backend: &mut impl Backend) {
    let store = backend.store();
    let mut twice = capped(NOW, 0..3, 1, 0);
    twice.batches[0].messages.insert(1, message(0));
    twice.batches.push(NewBatch {
        opens_session: false,
        ..batch(2..4)
    });
    let outcome = accepted(store, twice).await;
    let refused: Vec<_> = outcome
        .refused
        .iter()
        .map(|refused| (refused.batch, refused.message))
        .collect();
    assert_eq!(refused, [(0, 1), (1, 0)]);
    assert_eq!(
        outcome
            .batches
            .iter()
            .map(|range| range.count)
            .collect::<Vec<_>>(),
        [3, 1]
    );
    assert_eq!(outcome.batches[1].first, outcome.batches[0].first.plus(3));
    assert_eq!(found(store, everything()).await.len(), 4);

    let failed = {
        let mut failing = capped(NOW, 9..10, 1, 0);
        failing.batches[0].messages[0].failure = Some(412);
        failing
    };
    accepted(store, failed).await;
    accepted(store, capped(NOW, 9..10, 1, 0)).await; // what failed at once was not sent and does not count
    let nothing = store.accept(capped(NOW, 9..10, 1, 0)).await;
    assert!(matches!(nothing, Err(AcceptError::NothingLeft(_))));
}

/// A suppressed number is refused or fails with its kind's code, for the account or for all.
pub async fn suppressed_numbers_are_refused_or_fail(backend: &mut impl Backend) {
    let store = backend.store();
    let suppression = |account, n, kind| Suppression {
        account,
        msisdn: number(n),
        kind,
    };
    let global = suppression(None, 0, SuppressionKind::Global);
    let changes = vec![
        CatalogChange::PutSuppression(global),
        CatalogChange::PutSuppression(suppression(Some(ACCOUNT), 1, SuppressionKind::Unsubscribed)),
        CatalogChange::PutSuppression(suppression(Some(AccountId(8)), 2, SuppressionKind::Blocked)),
    ];
    store.change_catalog(changes).await.expect("changed");

    let refused = accepted(store, request(NOW, vec![batch(0..4)])).await;
    assert_eq!(
        reasons(&refused),
        [
            (0, RefusedReason::Suppressed(SuppressionKind::Global)),
            (1, RefusedReason::Suppressed(SuppressionKind::Unsubscribed)),
        ]
    );
    assert_eq!(refused.batches[0].count, 2);

    let failing = AcceptCommand {
        suppressed: SuppressedPolicy::Fail,
        ..request(NOW, vec![batch(0..4)])
    };
    let failed = accepted(store, failing).await;
    let all = ids(failed.batches[0]);
    let mut errors = vec![];
    for &id in &all {
        errors.push(seen(store, id).await.error.to_string());
    }
    assert_eq!(errors, ["410", "430", "", ""]);
    assert_eq!(state(store, all[0]).await, MessageState::Rejected);

    store
        .change_catalog(vec![CatalogChange::RemoveSuppression(global)])
        .await
        .expect("changed");
    let open = accepted(store, request(NOW, vec![batch(0..1)])).await;
    assert_eq!(open.batches[0].count, 1);
}

/// A request whose recipients are all refused, before it came here or here, leaves nothing behind: the same id with a
/// better body is done. Whether any number is suppressed makes no difference.
pub async fn a_request_of_which_nothing_is_left_is_not_recorded(backend: &mut impl Backend) {
    let store = backend.store();
    let with_id = |key: &str, batches| AcceptCommand {
        idempotency: Some(once(key)),
        ..request(NOW, batches)
    };
    for (round, suppressed) in [("before", false), ("after", true)] {
        if suppressed {
            let suppression = Suppression {
                account: None,
                msisdn: number(7),
                kind: SuppressionKind::Global,
            };
            let change = vec![CatalogChange::PutSuppression(suppression)];
            store.change_catalog(change).await.expect("changed");
            let refused = store.accept(with_id("refused here", vec![batch(7..8)])).await;
            assert!(matches!(refused, Err(AcceptError::NothingLeft(refused)) if refused.len() == 1));
            let better = store.accept(with_id("refused here", vec![batch(0..1)])).await;
            assert!(matches!(better, Ok(Accepted::New(_))), "{better:?}");
        }
        let none = store.accept(with_id(round, vec![])).await;
        assert!(
            matches!(&none, Err(AcceptError::NothingLeft(refused)) if refused.is_empty()),
            "{round}: {none:?}"
        );
        let better = store.accept(with_id(round, vec![batch(0..1)])).await;
        assert!(matches!(better, Ok(Accepted::New(_))), "{round}: {better:?}");
        let repeat = store.accept(with_id(round, vec![])).await;
        assert!(
            matches!(repeat, Ok(Accepted::Repeat { .. })),
            "what was done is remembered, whatever the repeat has left: {repeat:?}"
        );
    }
}

/// The callbacks run in the order of the queue positions, and only for what was stored.
pub async fn after_commit_callbacks_run_in_commit_order(backend: &mut impl Backend) {
    let store = backend.store();
    let handed: Arc<Mutex<Vec<i64>>> = Arc::default();
    let hand = |n: u64| {
        let handed = Arc::clone(&handed);
        let over = move |outcome: &AcceptOutcome| {
            handed
                .lock()
                .expect("not poisoned")
                .extend(outcome.queued.iter().map(|range| range.key.no.0));
        };
        AcceptCommand {
            on_commit: OnCommit(Some(Box::new(over))),
            ..request(NOW, vec![batch(n..n + 2)])
        }
    };
    let (a, b, c, d) = tokio::join!(
        store.accept(hand(0)),
        store.accept(hand(1)),
        store.accept(AcceptCommand {
            caps: Some(Caps {
                per_minute_max: 1,
                per_day_max: 0
            }),
            ..hand(2)
        }),
        store.accept(hand(3)),
    );
    assert!([a, b, c, d].iter().all(Result::is_ok));
    {
        let handed = handed.lock().expect("not poisoned");
        assert_eq!(handed.len(), 4);
        assert!(handed.is_sorted(), "{handed:?}");
    }
    let refused = AcceptCommand {
        charge: Charge::Prepaid,
        ..hand(4)
    };
    let account = CatalogChange::PutAccount(account("poor"));
    store
        .change_catalog(vec![account, CatalogChange::SetBalance(ACCOUNT, Some(1))])
        .await
        .expect("changed");
    assert!(store.accept(refused).await.is_err());
    assert_eq!(
        handed.lock().expect("not poisoned").len(),
        4,
        "nothing stored, no callback"
    );
    assert_eq!(waiting_ids(store, LANE).await.len(), 8);
    assert_eq!(CARRIER, LANE.carrier);
}

/// Long messages to one number have references that differ in their low octet too, over batches and requests. The
/// callback gets the same references as a later read. A message of one part has no reference of its own.
pub async fn long_messages_to_a_number_have_references_of_their_own(backend: &mut impl Backend) {
    let store = backend.store();
    let mut reported = vec![];
    for n in 0..20 {
        let mut mixed = long_batch([1, 2, 3, 1]);
        mixed.messages.insert(0, message(1));
        let failing = crate::NewMessage {
            failure: Some(412),
            segments: 2,
            ..message(1)
        };
        mixed.messages.push(failing);
        let outcome = accepted(store, request(NOW + n, vec![mixed, long_batch([2])])).await;
        let long: Vec<_> = outcome.references.iter().map(|(id, _)| *id).collect();
        let (first, second) = (ids(outcome.batches[0]), ids(outcome.batches[1]));
        assert_eq!(long, [&first[1..5], &second[..]].concat());
        reported.extend(outcome.references);
    }
    let waiting = waiting(store, LANE).await;
    for (id, reference) in &reported {
        let read = waiting.iter().find(|outgoing| outgoing.id == *id);
        assert_eq!(read.map(|outgoing| outgoing.reference), Some(*reference));
    }
    for n in 1..=3 {
        let of_number: Vec<u16> = waiting
            .iter()
            .filter(|outgoing| outgoing.msisdn == number(n) && outgoing.segments > 1)
            .map(|outgoing| outgoing.reference & 0xFF)
            .collect();
        let different: std::collections::HashSet<_> = of_number.iter().collect();
        assert_eq!(different.len(), of_number.len(), "number {n}: {of_number:?}");
        assert!(of_number.len() >= 20);
    }
    let short = waiting
        .iter()
        .find(|outgoing| outgoing.segments == 1)
        .expect("one part");
    assert_eq!(short.reference, short.id.derived_reference());
}
