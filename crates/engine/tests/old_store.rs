//! A store that an earlier release made, and left as a kill leaves it, goes on: nothing of it is lost or sent twice.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may stop at the first surprise"
)]

mod testkit;

use engine::accept::{RecipientOutcome, Refusal};
use engine::catalog::{CatalogChange, SuppressionKind};
use engine::sms::receipt::CarrierId;
use engine::sms::state::{MessageState as State, ReceiptState};
use engine::{MessageFilter, MessageId, MessageView, Settings, TaskState};
use smpp::field::{Address, EsmClass};
use smpp::pdu::{DeliverSm, SubmitSm};
use std::collections::BTreeMap;
use std::time::Duration;
use store::{Carrier, CarrierNo, CarrierReceipt, Contacts, InboundFilter, Inbox, Store};
use testkit::{ACCOUNT, Act, PLAIN, Smsc, TestEngine};

const RELEASE: &str = include_str!("fixtures/release-2026-11-28.sql");

fn number(n: u64) -> String {
    format!("+447700900{n}")
}

/// From the person whose messages the store has.
fn says(esm_class: EsmClass, payload: &[u8]) -> DeliverSm {
    DeliverSm {
        source: Address::unknown("447700900103"),
        destination: Address::unknown("10690"),
        esm_class,
        short_message: payload.to_vec().into(),
        ..DeliverSm::default()
    }
}

/// The last three digits of the number it goes to.
fn to(submit: &SubmitSm) -> u64 {
    let to = String::from_utf8_lossy(submit.destination.addr.as_bytes()).into_owned();
    to.strip_prefix("447700900").unwrap().parse().unwrap()
}

/// How often each number was sent a segment.
fn times(smsc: &Smsc) -> BTreeMap<u64, usize> {
    let mut times = BTreeMap::new();
    for submit in smsc.seen() {
        *times.entry(to(&submit)).or_default() += 1;
    }
    times
}

/// The store with its carriers at these ports, whatever else was set of them.
async fn release(ports: [u16; 2]) -> TestEngine {
    let folder = tempfile::tempdir().unwrap();
    rusqlite::Connection::open(testkit::store_in(&folder))
        .unwrap()
        .execute_batch(RELEASE)
        .unwrap();
    TestEngine::of(folder, Settings::default(), async |store| {
        let catalog = store.load_catalog().await.unwrap();
        let moved = catalog.carriers.into_iter().zip(ports).map(|(carrier, port)| {
            let mut settings = carrier.settings;
            settings["port"] = port.into();
            CatalogChange::PutCarrier(Carrier { settings, ..carrier })
        });
        store.change_catalog(moved.collect()).await.unwrap();
    })
    .await
}

async fn all(test: &TestEngine) -> BTreeMap<u64, MessageView> {
    let everything = MessageFilter {
        numbers: Vec::new(),
        states: Vec::new(),
        dialects: Vec::new(),
        template: None,
        labels: Vec::new(),
        kind: None,
        offset: 0,
        limit: 100,
        count_max: 0,
    };
    let range = MessageId(0)..=MessageId(i64::MAX);
    let (found, _) = test.engine.find(ACCOUNT, range, everything).await.unwrap();
    let key = |view: &MessageView| view.msisdn.as_u64() % 1_000;
    found.into_iter().map(|view| (key(&view), view)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_of_the_release_of_28_november_2026_goes_on() {
    let first = Smsc::start(|_, submit| Act {
        inbound: match to(submit) {
            105 => vec![
                says(EsmClass(0x40), &[5, 0, 3, 9, 2, 2, b'b']),
                says(EsmClass(0), b"START"),
            ],
            _ => Vec::new(),
        },
        ..Act::DELIVER
    })
    .await;
    let second = Smsc::start(|_, _| Act::DELIVER).await;
    let test = release([first.port, second.port]).await;

    // What waited, was put off, was scheduled, was in flight, and who is left of a task.
    let sent: Vec<u64> = [105, 106, 107, 108, 109, 110, 111, 122, 123, 124].into();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    let messages = loop {
        let messages = all(&test).await;
        let is_there = |n: &u64| messages.get(n).is_some_and(|view| view.state == State::Delivered);
        if sent.iter().all(is_there) {
            break messages;
        }
        let seen: Vec<_> = messages.iter().map(|(n, view)| (n, view.state)).collect();
        assert!(tokio::time::Instant::now() < deadline, "{seen:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let state = |n: u64| messages.get(&n).unwrap().state;
    assert_eq!(state(101), State::Delivered);
    assert_eq!(state(102), State::InDoubt, "its carrier's policy is to hold");
    assert_eq!(state(112), State::Queued, "scheduled for the year 2100");
    assert!(
        !messages.contains_key(&120),
        "the task was beyond its first members"
    );
    assert!(
        messages
            .values()
            .all(|view| view.msisdn.as_u64() % 1_000 >= 120 || view.batch.expires_at.is_none())
    );
    let once = |smsc: &Smsc| {
        times(smsc)
            .into_iter()
            .filter(|(_, times)| *times != 1)
            .collect::<Vec<_>>()
    };
    assert_eq!(once(&first), []);
    assert_eq!(once(&second), [(110, 3)], "a code of three segments");
    let task = test.store.open_tasks(9).await.unwrap();
    assert_eq!(task, [], "the task is done");
    let task = test.engine.task(ACCOUNT, 1).await.unwrap().unwrap();
    assert_eq!((task.state, task.progress.accepted), (TaskState::Done, 5));

    // A receipt for what the release had submitted.
    assert_eq!(state(100), State::Submitted);
    let id = CarrierId::new("a42b-0");
    let at = test.engine.now();
    let receipt = CarrierReceipt::new(CarrierNo(1), id, ReceiptState::Delivered, "000".into(), at);
    test.store.record_receipts(vec![receipt]).await.unwrap();
    assert_eq!(all(&test).await[&100].state, State::Delivered);
    for view in messages.values() {
        assert!(!test.engine.timeline(view.id).await.unwrap().is_empty());
    }

    // Inbound messages: stored parts, and new ones.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    loop {
        let filter = InboundFilter {
            limit: 9,
            ..InboundFilter::default()
        };
        let (inbound, _) = test.store.find_inbound(filter).await.unwrap();
        let texts: Vec<_> = inbound.iter().map(|inbound| &*inbound.text).collect();
        if texts == ["START", "ab", "STOP"] {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{texts:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let outcome = test.send(PLAIN, &[103, 104, 114].map(number)).await;
    let suppressed = |kind| RecipientOutcome::Refused(Refusal::PhoneSuppressed(kind));
    let outcomes = &outcome.items[0].outcomes;
    assert!(
        matches!(outcomes[0], RecipientOutcome::Accepted(_)),
        "START took its own STOP back: {outcomes:?}"
    );
    assert_eq!(
        outcomes[1..],
        [
            suppressed(SuppressionKind::Blocked),
            suppressed(SuppressionKind::Global)
        ]
    );
    test.until(&outcome, "delivered", |view| view.state == State::Delivered)
        .await;
}
