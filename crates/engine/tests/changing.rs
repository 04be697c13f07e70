//! What changes while messages wait: nothing of what waits may be lost or stand still.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may stop at the first surprise"
)]

mod testkit;

use engine::CarrierNo;
use engine::catalog::{CarrierSettings, InDoubt, SmppSettings, SuppressionKind};
use engine::manage::{NewTemplate, Then};
use engine::queue::QueueLimits;
use engine::sms::class::Class;
use engine::sms::phone::Msisdn;
use engine::sms::state::MessageState as State;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use store::{Carrier, CatalogChange, Position, Store};
use testkit::{ACCOUNT, Act, PLAIN, Smsc, TestEngine, numbers, smpp};

fn carrier_1(settings: SmppSettings) -> CatalogChange {
    CatalogChange::PutCarrier(Carrier {
        no: CarrierNo(1),
        name: "carrier-1".into(),
        settings: serde_json::to_value(CarrierSettings::Smpp(Box::new(settings))).unwrap(),
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_carrier_changed_again_and_again_over_a_backlog_sends_all_of_it() {
    let smsc = Smsc::start(|_, _| Act::DELIVER).await;
    // Small lanes: nearly everything is read from the store, so a change often meets a read under way.
    let queue = QueueLimits {
        lane_messages_max: 8,
        ready_messages_max: 16,
        ..QueueLimits::default()
    };
    let test = TestEngine::with_queue(vec![smpp(smsc.port)], queue).await;
    let outcome = test.send(PLAIN, &numbers(4_000)).await;
    for rate in 0..60 {
        let settings = SmppSettings {
            rate_per_s_max: 100_000 + rate,
            ..smpp(smsc.port)
        };
        test.change(vec![carrier_1(settings)]).await;
        tokio::time::sleep(std::time::Duration::from_millis(rate as u64 % 7)).await;
    }
    test.until(&outcome, "delivered", |message| {
        matches!(message.state, State::Delivered | State::Submitted)
    })
    .await;
    assert_eq!(smsc.times().len(), 4_000);
}

fn new_template(name: String) -> NewTemplate {
    NewTemplate {
        name: name.into(),
        unique_name: true,
        class: Class::Notice,
        text: "Hello".into(),
        signature: None,
        position: Position::Front,
        remark: "".into(),
        details: serde_json::Value::Null,
        then: Then::Keep,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_catalog_never_goes_back_and_shows_what_was_made_however_many_change_it() {
    let test = TestEngine::start(vec![]).await;
    let before = test.engine.catalog().templates_of(ACCOUNT).count();
    let done = Arc::new(AtomicBool::new(false));
    let (watched, over) = (test.engine.clone(), Arc::clone(&done));
    let watch = tokio::task::spawn_blocking(move || {
        let mut newest = 0;
        while !over.load(Ordering::Relaxed) {
            let version = watched.catalog().version();
            assert!(version >= newest, "{version} after {newest}");
            newest = version;
        }
    });
    let clients = (0..8).map(|client| {
        let engine = test.engine.clone();
        tokio::spawn(async move {
            for n in 0..40 {
                let new = new_template(format!("client {client}, {n}"));
                let made = engine.add_template(ACCOUNT, new).await.unwrap();
                let catalog = engine.catalog();
                assert!(
                    catalog.template_by_number(ACCOUNT, made.number).is_some(),
                    "what was made is there once that is said"
                );
                // As the signal and the command do.
                engine.reload_catalog().await.unwrap();
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
    done.store(true, Ordering::Relaxed);
    watch.await.unwrap();
    assert_eq!(
        test.engine.catalog().templates_of(ACCOUNT).count(),
        before + 8 * 40
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn templates_are_made_while_numbers_unsubscribe_and_balances_move() {
    let test = TestEngine::start(vec![]).await;
    let before = test.engine.catalog().version();
    let done = Arc::new(AtomicBool::new(false));
    let (engine, over) = (test.engine.clone(), Arc::clone(&done));
    let replies = tokio::spawn(async move {
        let mut count = 0;
        while !over.load(Ordering::Relaxed) {
            let number = Msisdn::from_u64(447_700_000_000 + count).unwrap();
            let kind = SuppressionKind::Unsubscribed;
            engine.suppress(ACCOUNT, vec![number], kind).await.unwrap();
            count += 1;
        }
        count
    });
    let clients = (0..8).map(|client| {
        let engine = test.engine.clone();
        tokio::spawn(async move {
            for n in 0..10 {
                let new = new_template(format!("client {client}, {n}"));
                engine.add_template(ACCOUNT, new).await.unwrap();
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
    done.store(true, Ordering::Relaxed);
    assert!(replies.await.unwrap() > 0);
    assert_eq!(
        test.store.catalog_version().await.unwrap(),
        before + 80,
        "one version for each template, none for a reply"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_go_elsewhere_goes_past_what_cannot() {
    let port = testkit::away().await;
    let second = Smsc::start(|_, _| Act::DELIVER).await;
    let test = TestEngine::start(vec![smpp(port), smpp(second.port)]).await;
    let account = test.engine.catalog().account(ACCOUNT).unwrap().as_ref().clone();
    let other = engine::AccountId(2);
    let route = |position, rule| store::Route { position, rule };
    // The account with most of the turns has no other carrier.
    let only_here = serde_json::json!({"accounts": ["heavy"], "carriers": ["carrier-1"]});
    let anywhere = serde_json::json!({"carriers": ["carrier-1", "carrier-2"]});
    let of_other = test
        .engine
        .catalog()
        .template_by_number(ACCOUNT, PLAIN)
        .unwrap()
        .template
        .clone();
    let of_other = store::Template {
        account: other,
        number: 77,
        ut_id: "UT77".into(),
        ..of_other
    };
    let changes = vec![
        CatalogChange::PutAccount(store::Account {
            id: other,
            name: "heavy".into(),
            weight: 1000,
            ..account
        }),
        CatalogChange::PutTemplate(of_other),
        CatalogChange::ReplaceRoutes(vec![route(0, only_here), route(1, anywhere)]),
    ];
    test.change(changes).await;
    let heavy = engine::accept::Submission {
        account: other,
        ..testkit::submission(77, &numbers(3_000))
    };
    test.engine.accept(heavy, None).await.unwrap();
    let outcome = test.send(PLAIN, &numbers(400)).await;
    let began = std::time::Instant::now();
    test.until(&outcome, "delivered", |message| message.state == State::Delivered)
        .await;
    assert_eq!(second.times().len(), 400, "and nothing of the other account");
    assert!(
        began.elapsed() < std::time::Duration::from_secs(30),
        "not one message a round"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_carrier_that_is_away_fails_over_however_often_it_is_changed() {
    let port = testkit::away().await;
    let second = Smsc::start(|_, _| Act::DELIVER).await;
    let test = Arc::new(TestEngine::start(vec![smpp(port), smpp(second.port)]).await);
    let changing = tokio::spawn({
        let test = Arc::clone(&test);
        async move {
            for rate in 0.. {
                let settings = SmppSettings {
                    rate_per_s_max: 100_000 + rate,
                    ..smpp(port)
                };
                test.change(vec![carrier_1(settings)]).await;
                // Well before messages would go elsewhere.
                tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            }
        }
    });
    let outcome = test.send(PLAIN, &numbers(20)).await;
    test.until(&outcome, "delivered", |message| message.state == State::Delivered)
        .await;
    assert!(!changing.is_finished(), "it is changed all the time");
    changing.abort();
    assert_eq!(second.times().len(), 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_carrier_changed_during_a_stop_takes_nothing_more() {
    let smsc = Smsc::start(|_, _| Act {
        late_ms: 1_500,
        ..Act::DELIVER
    })
    .await;
    let narrow = SmppSettings {
        window_max: 1,
        in_doubt: InDoubt::Hold,
        ..smpp(smsc.port)
    };
    let test = TestEngine::start(vec![narrow.clone()]).await;
    let outcome = test.send(PLAIN, &numbers(2)).await;
    smsc.until_seen(1).await;
    let engine = Arc::clone(&test.engine);
    let stop = tokio::spawn(async move { engine.stop(Duration::from_secs(20)).await });
    testkit::until("stop that has begun", || test.engine.is_stopping()).await;
    let changed = SmppSettings {
        rate_per_s_max: 1_000,
        ..narrow
    };
    test.change(vec![carrier_1(changed)]).await;
    stop.await.unwrap().unwrap();
    assert_eq!(smsc.seen().len(), 1, "the second waits for the next start");
    let test = test.restart().await;
    test.until(&outcome, "delivered", |message| message.state == State::Delivered)
        .await;
    assert!(smsc.times().values().all(|times| *times == 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_waits_for_what_a_carrier_had_in_flight_when_it_was_changed() {
    let smsc = Smsc::start(|_, _| Act {
        late_ms: 1_500,
        ..Act::DELIVER
    })
    .await;
    let holding = SmppSettings {
        in_doubt: InDoubt::Hold,
        ..smpp(smsc.port)
    };
    let test = TestEngine::start(vec![holding.clone()]).await;
    let outcome = test.send(PLAIN, &numbers(1)).await;
    smsc.until_seen(1).await;
    let changed = SmppSettings {
        rate_per_s_max: 1_000,
        ..holding
    };
    test.change(vec![carrier_1(changed)]).await;
    let test = test.restart().await;
    test.until(&outcome, "delivered", |message| message.state == State::Delivered)
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_accepted_after_a_change_goes_by_it() {
    let (one, other) = (
        Smsc::start(|_, _| Act::DELIVER).await,
        Smsc::start(|_, _| Act::DELIVER).await,
    );
    // Many sessions, so that some have not ended yet when the next message comes.
    let settings = |port| SmppSettings {
        binds: 16,
        ..smpp(port)
    };
    let test = TestEngine::start(vec![settings(one.port)]).await;
    for turn in 0..60 {
        let smsc = if turn % 2 == 0 { &other } else { &one };
        test.change(vec![carrier_1(settings(smsc.port))]).await;
        let before = smsc.seen().len();
        let outcome = test.send(PLAIN, &numbers(1)).await;
        test.until(&outcome, "delivered", |message| message.state == State::Delivered)
            .await;
        assert_eq!(smsc.seen().len(), before + 1, "turn {turn}");
    }
}
