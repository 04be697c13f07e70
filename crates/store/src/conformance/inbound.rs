//! Inbound messages (MO).

use super::Backend;
use super::fixtures::{
    ACCOUNT, CARRIER, LANE, NOW, accepted, accepted_batch, batch, begun, ids, number, recorded, request,
    result, submitted, waiting,
};
use crate::{
    Account, AccountId, AccountWords, Answer, Caps, CarrierNo, CatalogChange, Endpoint, EndpointId,
    EventKinds, EventOffset, EventWhat, Inbound, InboundEffect, InboundFilter, InboundId, InboundPart,
    LastTo, MessageId, NewInbound, NewMessage, Next, Store, UnixMs,
};
use sms::segment::Reference;
use sms::state::MessageState;
use std::sync::Arc;

pub(super) fn wrote(text: &str) -> NewInbound {
    NewInbound {
        account: Some(ACCOUNT),
        carrier: CARRIER,
        from: number(1).digits().into(),
        to: "10690".into(),
        body: text.into(),
        answers: Some(MessageId(77)),
        received_at: NOW,
        part: None,
    }
}

fn part(number: u8, total: u8, text: &str) -> NewInbound {
    NewInbound {
        part: Some(InboundPart {
            kind: Reference::Bits16,
            reference: 300,
            number,
            total,
        }),
        ..wrote(text)
    }
}

fn no_words() -> Arc<AccountWords> {
    Arc::default()
}

async fn came(store: &dyn Store, inbound: NewInbound) -> InboundEffect {
    let effects = store
        .record_inbound(vec![inbound], no_words())
        .await
        .expect("recorded");
    assert_eq!(effects.len(), 1);
    effects[0]
}

/// The message that this part makes whole.
async fn whole(store: &dyn Store, inbound: NewInbound) -> Inbound {
    match came(store, inbound).await {
        InboundEffect::Whole(id) => read(store, id).await,
        effect => panic!("the message should be whole: {effect:?}"),
    }
}

async fn read(store: &dyn Store, id: InboundId) -> Inbound {
    let mut read = store.inbound(vec![id]).await.expect("read");
    assert_eq!(read.len(), 1, "message {id:?} is known");
    read.remove(0)
}

/// Gives an account an endpoint that subscribes to inbound messages.
async fn listening(store: &dyn Store, account: AccountId) {
    let listener = Account {
        id: account,
        name: format!("listener {account}").into(),
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
    };
    let endpoint = Endpoint {
        id: EndpointId(account.0),
        account,
        name: "listener".into(),
        format: "standard".into(),
        url: "".into(),
        kinds: EventKinds::INBOUND,
        settings: serde_json::json!({}),
        sealed_secret: vec![],
        enabled: true,
    };
    let changes = vec![
        CatalogChange::PutAccount(listener),
        CatalogChange::PutEndpoint(endpoint),
    ];
    store.change_catalog(changes).await.expect("changed");
}

/// The inbound events of an account, with their times.
async fn reported(store: &dyn Store, account: AccountId) -> Vec<(InboundId, UnixMs)> {
    let (events, _) = store
        .events(account, EventOffset::default(), EventKinds::INBOUND, 1_000)
        .await
        .expect("read");
    let id = |what: &EventWhat| match what {
        EventWhat::Inbound { id } => *id,
        other => panic!("{other:?}"),
    };
    events.iter().map(|event| (id(&event.what), event.at)).collect()
}

/// A message of one part is complete at once, and logs an event of its account.
pub async fn a_message_of_one_part_is_reported_at_once(backend: &mut impl Backend) {
    let store = backend.store();
    listening(store, ACCOUNT).await;
    let first = whole(store, wrote("hello")).await;
    let expected = Inbound {
        id: first.id,
        account: Some(ACCOUNT),
        carrier: CARRIER,
        from: number(1).digits().into(),
        to: "10690".into(),
        text: "hello".into(),
        binary: None,
        answers: Some(MessageId(77)),
        received_at: NOW,
    };
    assert_eq!(first, expected);
    let again = whole(store, wrote("hello")).await;
    assert!(again.id > first.id, "people may write the same twice");
    let unassigned = NewInbound {
        account: None,
        answers: None,
        ..wrote("to whom?")
    };
    let unassigned = whole(store, unassigned).await;
    assert_eq!((unassigned.account, unassigned.answers), (None, None));
    let late = NewInbound {
        received_at: NOW - 5_000,
        ..wrote("late")
    };
    let late = whole(store, late).await;
    assert!(late.id > unassigned.id, "ids are in the order of recording");
    backend.crash().await;
    let store = backend.store();
    let later = NewInbound {
        received_at: NOW + 5_000,
        ..wrote("later")
    };
    let later = whole(store, later).await;
    assert!(
        later.id >= InboundId(MessageId::first_at(NOW + 5_000).0),
        "ids contain the time"
    );
    let known = store
        .inbound(vec![later.id, InboundId(1), first.id, later.id])
        .await
        .expect("read");
    assert_eq!(known, [first.clone(), later.clone()]);
    let expected = [
        (first.id, NOW),
        (again.id, NOW),
        (late.id, NOW - 5_000),
        (later.id, NOW + 5_000),
    ];
    assert_eq!(reported(store, ACCOUNT).await, expected);
}

/// Parts come in any order, over any time; the last one makes the message whole.
pub async fn parts_in_any_order_make_a_message(backend: &mut impl Backend) {
    let store = backend.store();
    listening(store, ACCOUNT).await;
    let third = NewInbound {
        account: None,
        answers: None,
        received_at: NOW + 10,
        ..part(3, 3, " three")
    };
    assert_eq!(came(store, third).await, InboundEffect::Waiting);
    backend.crash().await;
    let store = backend.store();
    let first = NewInbound {
        received_at: NOW + 20,
        answers: None,
        ..part(1, 3, "one")
    };
    assert_eq!(came(store, first).await, InboundEffect::Waiting);
    // Others of which each differs in one thing.
    let others = vec![
        NewInbound {
            from: "447700900001".into(),
            ..part(2, 3, "x")
        },
        NewInbound {
            to: "10691".into(),
            ..part(2, 3, "x")
        },
        NewInbound {
            carrier: CarrierNo(4),
            ..part(2, 3, "x")
        },
        part(2, 4, "x"),
        NewInbound {
            part: Some(InboundPart {
                kind: Reference::Bits16,
                reference: 301,
                number: 2,
                total: 3,
            }),
            ..wrote("x")
        },
    ];
    let effects = store.record_inbound(others, no_words()).await.expect("recorded");
    assert_eq!(effects, [InboundEffect::Waiting; 5]);
    assert_eq!(reported(store, ACCOUNT).await, []);

    let second = NewInbound {
        received_at: NOW + 30,
        ..part(2, 3, " two")
    };
    let message = whole(store, second).await;
    assert_eq!(&*message.text, "one two three");
    assert_eq!(
        (message.account, message.answers),
        (Some(ACCOUNT), Some(MessageId(77)))
    );
    assert_eq!(message.received_at, NOW + 30);
    backend.crash().await;
    let store = backend.store();
    assert_eq!(read(store, message.id).await, message);
    assert_eq!(reported(store, ACCOUNT).await, [(message.id, NOW + 30)]);

    let at_once = vec![part(2, 2, "b"), part(1, 2, "a"), wrote("c")];
    let effects = store.record_inbound(at_once, no_words()).await.expect("recorded");
    assert!(
        matches!(
            effects[..],
            [
                InboundEffect::Waiting,
                InboundEffect::Whole(_),
                InboundEffect::Whole(_)
            ]
        ),
        "{effects:?}"
    );
}

/// Four parts make their message in every order, each sent twice.
pub async fn parts_make_a_message_in_every_order(backend: &mut impl Backend) {
    let store = backend.store();
    const TEXTS: [&str; 4] = ["a", "b", "c", "d"];
    for order in 0..24 {
        let mut left = vec![1, 2, 3, 4u8];
        let mut rest = order;
        let mut parts = vec![];
        for sides in [4, 3, 2, 1] {
            let number = left.remove(rest % sides);
            rest /= sides;
            let part = NewInbound {
                part: Some(InboundPart {
                    kind: Reference::Bits16,
                    reference: u16::try_from(order).expect("small"),
                    number,
                    total: 4,
                }),
                ..wrote(TEXTS[usize::from(number) - 1])
            };
            parts.extend([part.clone(), part]);
        }
        let effects = store.record_inbound(parts, no_words()).await.expect("recorded");
        let expected = [InboundEffect::Waiting, InboundEffect::Repeated].repeat(3);
        assert_eq!(effects[..6], expected);
        let [InboundEffect::Whole(id), InboundEffect::Repeated] = effects[6..] else {
            panic!("order {order}: {effects:?}");
        };
        assert_eq!(&*read(store, id).await.text, "abcd");
    }
}

/// A carrier that sends a part again, because it did not see the answer, makes no second message.
pub async fn a_part_that_comes_again_is_known(backend: &mut impl Backend) {
    let store = backend.store();
    listening(store, ACCOUNT).await;
    assert_eq!(came(store, part(1, 2, "one ")).await, InboundEffect::Waiting);
    assert_eq!(came(store, part(1, 2, "one ")).await, InboundEffect::Repeated);
    let message = whole(store, part(2, 2, "two")).await;
    assert_eq!(&*message.text, "one two");
    for _ in 0..2 {
        let store = backend.store();
        let effects = store
            .record_inbound(vec![part(2, 2, "two"), part(1, 2, "one ")], no_words())
            .await
            .expect("recorded");
        assert_eq!(effects, [InboundEffect::Repeated; 2]);
        backend.crash().await;
    }
    let store = backend.store();
    let single = part(1, 1, "one of one");
    let first = whole(store, single.clone()).await;
    assert_eq!(came(store, single).await, InboundEffect::Repeated);
    assert_eq!(
        reported(store, ACCOUNT).await,
        [(message.id, NOW), (first.id, NOW)]
    );
}

/// References are reused: a part with another text under a known reference begins a new message, and the parts of the
/// older one are reported as they are.
pub async fn a_reference_is_used_again(backend: &mut impl Backend) {
    let store = backend.store();
    listening(store, ACCOUNT).await;
    came(store, part(1, 2, "one ")).await;
    let first = whole(store, part(2, 2, "two")).await;
    assert_eq!(came(store, part(1, 2, "new ")).await, InboundEffect::Waiting);
    let second = whole(store, part(2, 2, "two")).await;
    assert_eq!(&*second.text, "new two");
    // Half of a message, then another one under the same reference.
    assert_eq!(came(store, part(2, 2, "half")).await, InboundEffect::Waiting);
    backend.crash().await;
    let store = backend.store();
    assert_eq!(came(store, part(2, 2, "whole")).await, InboundEffect::Waiting);
    let third = whole(store, part(1, 2, "a ")).await;
    assert_eq!(&*third.text, "a whole");
    let ids: Vec<InboundId> = reported(store, ACCOUNT)
        .await
        .iter()
        .map(|reported| reported.0)
        .collect();
    let texts: Vec<String> = store
        .inbound(ids)
        .await
        .expect("read")
        .iter()
        .map(|message| message.text.to_string())
        .collect();
    assert_eq!(texts, ["one two", "new two", "half", "a whole"]);
    assert!(first.id < second.id && second.id < third.id);
}

/// A part whose number or total is impossible is reported as it is.
pub async fn a_part_with_an_impossible_number_is_reported_as_it_is(backend: &mut impl Backend) {
    let store = backend.store();
    for (number, total) in [(0, 2), (3, 2), (1, 0), (0, 0)] {
        let message = whole(store, part(number, total, "odd")).await;
        assert_eq!(&*message.text, "odd");
    }
    let many: Vec<NewInbound> = (1..=255).map(|n| part(n, 255, "x")).collect();
    let effects = store.record_inbound(many, no_words()).await.expect("recorded");
    let Some(InboundEffect::Whole(id)) = effects.last() else {
        panic!("255 parts are a message: {:?}", effects.last());
    };
    assert_eq!(read(store, *id).await.text.len(), 255);
}

/// Parts whose others never come are reported as they are, and old messages expire.
pub async fn parts_that_never_come_are_given_up(backend: &mut impl Backend) {
    let store = backend.store();
    listening(store, ACCOUNT).await;
    let at = |received_at, new| NewInbound { received_at, ..new };
    came(store, at(NOW, part(3, 3, "end"))).await;
    came(store, at(NOW + 50, part(1, 3, "begin "))).await;
    let other = NewInbound {
        to: "10691".into(),
        ..part(1, 2, "young")
    };
    came(store, at(NOW + 100, other.clone())).await;
    assert_eq!(
        store
            .expire_inbound(NOW + 50, 0, NOW + 100)
            .await
            .expect("expired"),
        (0, 0),
        "one came at that time"
    );
    backend.crash().await;
    let store = backend.store();
    assert_eq!(
        store
            .expire_inbound(NOW + 51, 0, NOW + 100)
            .await
            .expect("expired"),
        (1, 0)
    );
    assert_eq!(
        store
            .expire_inbound(NOW + 51, 0, NOW + 100)
            .await
            .expect("expired"),
        (0, 0)
    );
    let listed = reported(store, ACCOUNT).await;
    assert_eq!(listed.len(), 1);
    let message = read(store, listed[0].0).await;
    assert_eq!((&*message.text, message.received_at), ("begin end", NOW + 50));

    // A part that comes after all is a message of its own in the end.
    assert_eq!(
        came(store, at(NOW + 60, part(2, 3, "middle"))).await,
        InboundEffect::Waiting
    );
    let rest = NewInbound {
        part: Some(InboundPart {
            kind: Reference::Bits16,
            reference: 300,
            number: 2,
            total: 2,
        }),
        ..other
    };
    let young = whole(store, at(NOW + 120, rest.clone())).await;
    assert_eq!(
        store
            .expire_inbound(NOW + 110, 0, NOW + 120)
            .await
            .expect("expired"),
        (1, 0)
    );
    let last = reported(store, ACCOUNT).await[2].0;
    assert_eq!(&*read(store, last).await.text, "middle");

    // For as long as parts are waited for, those of whole messages are known.
    assert_eq!(
        came(store, at(NOW + 130, rest.clone())).await,
        InboundEffect::Repeated
    );
    assert_eq!(
        store
            .expire_inbound(NOW + 121, 0, NOW + 130)
            .await
            .expect("expired"),
        (0, 0)
    );
    assert_eq!(came(store, at(NOW + 130, rest)).await, InboundEffect::Waiting);

    assert_eq!(
        store
            .expire_inbound(0, NOW + 50, NOW + 130)
            .await
            .expect("expired"),
        (0, 0)
    );
    let (_, deleted) = store
        .expire_inbound(0, NOW + 121, NOW + 130)
        .await
        .expect("expired");
    assert_eq!(deleted, 3);
    let known = store
        .inbound(vec![message.id, young.id, last])
        .await
        .expect("read");
    assert_eq!(known, []);
    backend.crash().await;
    let next = whole(backend.store(), at(NOW, wrote("next"))).await;
    assert!(next.id > last, "ids are not given twice");
}

async fn last_to(store: &dyn Store, n: u64, since: UnixMs, carrier: Option<CarrierNo>) -> Option<MessageId> {
    let request = LastTo {
        msisdn: number(n),
        since,
        carrier,
    };
    store.last_to(request).await.expect("read").map(|view| view.id)
}

/// A reply belongs to the newest message that was sent to the number.
pub async fn a_reply_belongs_to_the_newest_message(backend: &mut impl Backend) {
    let store = backend.store();
    assert_eq!(last_to(store, 1, 0, None).await, None);
    let old = ids(accepted_batch(store, NOW, 1..4).await);
    submitted(store, NOW, "a").await;
    let new = ids(accepted_batch(store, NOW + 1_000, 1..3).await);
    submitted(store, NOW + 1_000, "b").await;
    let in_flight = ids(accepted_batch(store, NOW + 2_000, 2..3).await);
    begun(store, CARRIER, NOW + 2_000, &waiting(store, LANE).await).await;
    // Nobody has read what still waits, failed before it was sent, or was refused by the carrier.
    let failing = NewMessage {
        failure: Some(430),
        ..super::fixtures::message(1)
    };
    let failed = crate::NewBatch {
        messages: vec![failing],
        ..batch(0..0)
    };
    accepted(store, request(NOW + 3_000, vec![failed])).await;
    let refused = accepted_batch(store, NOW + 3_000, 1..2).await.first;
    let attempt = begun(store, CARRIER, NOW + 3_000, &waiting(store, LANE).await).await;
    let refusal = Answer::Single(crate::SegmentAnswer {
        status: 11,
        carrier_id: None,
    });
    let next = Next::Final(MessageState::Rejected);
    recorded(
        store,
        vec![result(refused, attempt, NOW + 3_000, refusal, next)],
        &[attempt],
    )
    .await;
    accepted_batch(store, NOW + 4_000, 1..4).await;

    for _ in 0..2 {
        let store = backend.store();
        assert_eq!(last_to(store, 1, NOW, None).await, Some(new[0]));
        assert_eq!(last_to(store, 1, NOW + 1_001, None).await, None, "too old");
        assert_eq!(last_to(store, 1, NOW + 1_000, None).await, Some(new[0]));
        assert_eq!(last_to(store, 2, NOW, None).await, Some(in_flight[0]));
        assert_eq!(last_to(store, 3, NOW, None).await, Some(old[2]));
        assert_eq!(last_to(store, 9, 0, None).await, None);
        assert_eq!(last_to(store, 1, NOW, Some(CARRIER)).await, Some(new[0]));
        assert_eq!(last_to(store, 1, NOW, Some(CarrierNo(4))).await, None);
        backend.crash().await;
    }

    // Through another carrier, and for another account.
    let store = backend.store();
    let attempt = begun(store, CarrierNo(4), NOW + 5_000, &waiting(store, LANE).await[..1]).await;
    let newest = store.open_attempts().await.expect("read");
    let newest = newest
        .iter()
        .find(|open| open.attempt == attempt)
        .expect("open")
        .messages[0]
        .0;
    let mut outcome = result(
        newest,
        attempt,
        NOW + 5_000,
        Answer::Single(super::fixtures::taken_as("c0")),
        Next::Submitted,
    );
    outcome.carrier = CarrierNo(4);
    recorded(store, vec![outcome], &[attempt]).await;
    assert_eq!(last_to(store, 1, NOW, None).await, Some(newest));
    assert_eq!(last_to(store, 1, NOW, Some(CarrierNo(4))).await, Some(newest));
    assert_eq!(last_to(store, 1, NOW, Some(CARRIER)).await, Some(new[0]));
}

/// Inbound messages are found by account, number and time, the newest first, in pages.
pub async fn inbound_messages_are_found(backend: &mut impl Backend) {
    let store = backend.store();
    let mut all = Vec::new();
    for n in 0..6_u64 {
        let inbound = NewInbound {
            account: (n != 4).then_some(ACCOUNT),
            from: number(n % 2).digits().into(),
            received_at: NOW + i64::try_from(n).expect("small") * 10,
            ..wrote(&format!("text {n}"))
        };
        all.push(whole(store, inbound).await);
    }
    all.reverse();
    let find =
        async |store: &dyn Store, filter: InboundFilter| store.find_inbound(filter).await.expect("read");
    let everything = || InboundFilter {
        limit: 10,
        ..InboundFilter::default()
    };
    assert_eq!(find(store, everything()).await, (all.clone(), None));
    let piece = InboundFilter {
        limit: 4,
        ..everything()
    };
    let (first, next) = find(store, piece.clone()).await;
    assert_eq!((&first[..], next), (&all[..4], Some(all[3].id)));
    let rest = InboundFilter {
        before: next,
        ..piece
    };
    assert_eq!(find(store, rest).await, (all[4..].to_vec(), None));
    let of = |keep: fn(&Inbound) -> bool| -> Vec<Inbound> {
        all.iter().filter(|one| keep(one)).cloned().collect()
    };
    let ours = InboundFilter {
        account: Some(ACCOUNT),
        ..everything()
    };
    assert_eq!(find(store, ours).await.0, of(|one| one.account == Some(ACCOUNT)));
    let by = |number: &str| InboundFilter {
        number: Some(number.into()),
        ..everything()
    };
    let one = number(1);
    assert_eq!(
        find(store, by(&one.digits())).await.0,
        of(|one| *one.from == *number(1).digits())
    );
    assert_eq!(find(store, by("10690")).await.0, all);
    assert_eq!(find(store, by("10691")).await.0, []);
    let since = InboundFilter {
        since: NOW + 30,
        ..everything()
    };
    assert_eq!(find(store, since).await.0, all[..3]);
}
