//! Inbound messages over a real carrier session and a real store.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may stop at the first surprise"
)]

mod testkit;

use engine::catalog::{CatalogChange, SmppSettings};
use engine::{EventKinds, EventOffset, EventWhat, Inbound};
use smpp::field::{Address, EsmClass};
use smpp::pdu::{DeliverSm, SubmitSm};
use smpp::tlv::Sar;
use std::time::Duration;
use store::{AccountId, Endpoint, EndpointId, Events, InboundFilter, Inbox, Store};
use testkit::{ACCOUNT, Act, PLAIN, Smsc, TestEngine, numbers, smpp, until};

/// From the person the message went to.
fn says(submit: &SubmitSm, esm_class: EsmClass, payload: &[u8]) -> DeliverSm {
    DeliverSm {
        source: submit.destination.clone(),
        destination: Address::unknown("10690"),
        esm_class,
        short_message: payload.to_vec().into(),
        ..DeliverSm::default()
    }
}

async fn set_up(test: &TestEngine) {
    let account = test.engine.catalog().account(ACCOUNT).unwrap().as_ref().clone();
    let account = store::Account {
        opt_out_words: vec!["STOP".into()],
        ..account
    };
    let endpoint = Endpoint {
        id: EndpointId(1),
        account: ACCOUNT,
        name: "hook".into(),
        format: "none".into(),
        url: "".into(),
        kinds: EventKinds::INBOUND,
        settings: serde_json::Value::Null,
        sealed_secret: Vec::new(),
        enabled: true,
    };
    let changes = vec![
        CatalogChange::PutAccount(account),
        CatalogChange::PutEndpoint(endpoint),
    ];
    test.change(changes).await;
}

/// The inbound messages reported as events, once there are so many.
async fn reported(test: &TestEngine, count: usize) -> Vec<Inbound> {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        let (events, _) = test
            .store
            .events(ACCOUNT, EventOffset::default(), EventKinds::INBOUND, 100)
            .await
            .unwrap();
        if events.len() >= count {
            let ids = events.iter().filter_map(|event| match event.what {
                EventWhat::Inbound { id } => Some(id),
                _ => None,
            });
            return test.engine.inbound(ids.collect()).await.unwrap();
        }
        assert!(tokio::time::Instant::now() < deadline, "{events:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_goes_to_the_account_that_wrote_last_and_is_reported() {
    let smsc = Smsc::start(|_, submit| Act {
        inbound: vec![
            says(submit, EsmClass(0), b"thanks"),
            says(submit, EsmClass(0x40), &[5, 0, 3, 9, 2, 2, b'b']),
            says(submit, EsmClass(0x40), &[5, 0, 3, 9, 2, 1, b'a']),
            says(submit, EsmClass(0x40), &[5, 0, 3, 9, 2, 1, b'a']),
        ],
        ..Act::DELIVER
    })
    .await;
    let test = TestEngine::start(vec![smpp(smsc.port)]).await;
    set_up(&test).await;
    let outcome = test.send(PLAIN, &numbers(1)).await;
    let inbound = reported(&test, 2).await;
    let message = test.session(&outcome).await[0].id;
    let texts: Vec<_> = inbound.iter().map(|inbound| &*inbound.text).collect();
    assert_eq!(texts, ["thanks", "ab"]);
    for inbound in &inbound {
        assert_eq!(
            (inbound.account, inbound.answers, &*inbound.to),
            (Some(ACCOUNT), Some(message), "10690")
        );
        assert_eq!(format!("+{}", inbound.from), numbers(1)[0]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_carrier_that_floods_has_a_rate_and_its_receipts_have_none() {
    const EACH: usize = 200;
    let smsc = Smsc::start(|_, submit| Act {
        inbound: (0..EACH)
            .flat_map(|n| {
                // Only looks like a receipt, and there is no such message.
                let like = format!(
                    "id:none{n} sub:001 dlvrd:001 submit date:2611220504 done date:2611220505 stat:DELIVRD err:000 text:a"
                );
                [
                    says(submit, EsmClass(0), b"hello"),
                    says(submit, EsmClass(0), like.as_bytes()),
                ]
            })
            .collect(),
        ..Act::DELIVER
    })
    .await;
    let test = TestEngine::start(vec![SmppSettings {
        inbound_per_s_max: 10,
        ..smpp(smsc.port)
    }])
    .await;
    set_up(&test).await;
    let outcome = test.send(PLAIN, &numbers(1)).await;
    let came = |result| {
        let label = engine::metrics::ReceiptLabel { carrier: 1, result };
        test.engine.metrics().inbound.get_or_create(&label).get()
    };
    until("all decided", || {
        came("whole") + came("throttled") == 2 * EACH as u64
    })
    .await;
    assert!(
        came("throttled") > EACH as u64,
        "{}: of both kinds",
        came("throttled")
    );
    assert!(came("whole") >= 10, "{}: what the rate allows", came("whole"));
    let delivered = |message: &engine::MessageView| message.state == sms::state::MessageState::Delivered;
    test.until(&outcome, "delivered", delivered).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn references_of_other_kinds_tie_other_messages() {
    let sar = |submit: &SubmitSm, seqnum, payload: &[u8]| {
        let mut pdu = says(submit, EsmClass(0), payload);
        pdu.tlvs.set_sar(Sar {
            reference: 11,
            total: 2,
            seqnum,
        });
        pdu
    };
    let smsc = Smsc::start(move |_, submit| Act {
        inbound: vec![
            says(submit, EsmClass(0x40), &[5, 0, 3, 11, 2, 1, b'a']),
            says(submit, EsmClass(0x40), &[6, 8, 4, 0, 11, 2, 2, b'd']),
            sar(submit, 1, b"e"),
            says(submit, EsmClass(0x40), &[5, 0, 3, 11, 2, 2, b'b']),
            says(submit, EsmClass(0x40), &[6, 8, 4, 0, 11, 2, 1, b'c']),
            sar(submit, 2, b"f"),
        ],
        ..Act::DELIVER
    })
    .await;
    let test = TestEngine::start(vec![smpp(smsc.port)]).await;
    set_up(&test).await;
    test.send(PLAIN, &numbers(1)).await;
    let inbound = reported(&test, 3).await;
    let texts: Vec<_> = inbound.iter().map(|inbound| &*inbound.text).collect();
    assert_eq!(texts, ["ab", "cd", "ef"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_word_alone_unsubscribes_who_sends_it() {
    let smsc = Smsc::start(|_, submit| Act {
        inbound: vec![says(submit, EsmClass(0), b" stop ")],
        ..Act::DELIVER
    })
    .await;
    let test = TestEngine::start(vec![smpp(smsc.port)]).await;
    set_up(&test).await;
    test.send(PLAIN, &numbers(1)).await;
    reported(&test, 1).await;
    let suppressed = test.store.suppressions(None, 10).await.unwrap();
    assert_eq!(suppressed.len(), 1);
    assert_eq!(
        (suppressed[0].account, suppressed[0].kind),
        (Some(ACCOUNT), store::SuppressionKind::Unsubscribed)
    );
    let again = test.send(PLAIN, &numbers(1)).await;
    assert_eq!(again.accepted(), 0, "who unsubscribed gets nothing more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_that_an_account_claims_is_its_own_in_every_form() {
    let forms = [
        "447700900555",
        "+447700900555",
        "00447700900555",
        "07700900555",
        "7700900555",
    ];
    let unknown_numbers = ["447700900556", "900555", "10690"];
    let to = |submit: &SubmitSm, to: &str| DeliverSm {
        destination: Address::unknown(to),
        ..says(submit, EsmClass(0), to.as_bytes())
    };
    let smsc = Smsc::start(move |_, submit| Act {
        inbound: forms
            .iter()
            .chain(&unknown_numbers)
            .map(|form| to(submit, form))
            .collect(),
        ..Act::DELIVER
    })
    .await;
    let test = TestEngine::start(vec![SmppSettings {
        country_code: "44".to_owned(),
        ..smpp(smsc.port)
    }])
    .await;
    let first = test.engine.catalog().account(ACCOUNT).unwrap().as_ref().clone();
    let other = store::Account {
        id: AccountId(2),
        name: "other".into(),
        inbound_to: vec!["+44 7700 900555".into()],
        ..first
    };
    test.change(vec![CatalogChange::PutAccount(other)]).await;
    test.send(PLAIN, &numbers(1)).await;
    let filter = InboundFilter {
        limit: 100,
        ..InboundFilter::default()
    };
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    let found = loop {
        let (found, _) = test.store.find_inbound(filter.clone()).await.unwrap();
        if found.len() == forms.len() + unknown_numbers.len() {
            break found;
        }
        assert!(tokio::time::Instant::now() < deadline, "{found:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    for one in found {
        let claimed = forms.contains(&&*one.to);
        let owner = if claimed { AccountId(2) } else { ACCOUNT };
        assert_eq!(one.account, Some(owner), "{}", one.to);
        assert_eq!(
            one.answers.is_some(),
            !claimed,
            "it answers a message of the first account"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_that_are_fetched_are_given_once() {
    let smsc = Smsc::start(|_, _| Act::DELIVER).await;
    let test = TestEngine::start(vec![smpp(smsc.port)]).await;
    let engine = &test.engine;
    let keep = Duration::from_secs(72 * 3600);
    assert!(
        engine
            .pull(ACCOUNT, "pull", keep, 10, |_| true)
            .await
            .unwrap()
            .is_none()
    );
    let endpoint = Endpoint {
        id: EndpointId(7),
        account: ACCOUNT,
        name: "pull".into(),
        format: "pull".into(),
        url: "".into(),
        kinds: EventKinds::ENDED,
        settings: serde_json::Value::Null,
        sealed_secret: Vec::new(),
        enabled: true,
    };
    test.store
        .change_catalog(vec![CatalogChange::PutEndpoint(endpoint)])
        .await
        .unwrap();
    engine.reload_catalog().await.unwrap();
    let outcome = test.send(PLAIN, &numbers(25)).await;
    test.until(&outcome, "ended", |message| message.state.is_final())
        .await;
    let mut fetched = Vec::new();
    for expected in [10, 10, 5, 0] {
        // What was not read is given again, whether nobody sent it or the connection failed at it.
        let (unsent, tracker) = engine
            .pull(ACCOUNT, "pull", keep, 10, |_| true)
            .await
            .unwrap()
            .unwrap();
        drop(tracker);
        let (unread, tracker) = engine
            .pull(ACCOUNT, "pull", keep, 10, |_| true)
            .await
            .unwrap()
            .unwrap();
        tracker.taken();
        tracker.lost();
        let (payloads, tracker) = engine
            .pull(ACCOUNT, "pull", keep, 10, |_| true)
            .await
            .unwrap()
            .unwrap();
        tracker.taken();
        assert_eq!(payloads.len(), expected);
        let events = |payloads: &[engine::webhooks::EventPayload]| {
            payloads
                .iter()
                .map(|payload| payload.event.offset)
                .collect::<Vec<_>>()
        };
        assert_eq!(events(&unsent), events(&payloads));
        assert_eq!(events(&unread), events(&payloads));
        fetched.extend(payloads.iter().filter_map(|payload| payload.event.what.message()));
    }
    fetched.sort_unstable();
    let sent: Vec<_> = test
        .session(&outcome)
        .await
        .iter()
        .map(|message| message.id)
        .collect();
    assert_eq!(fetched, sent);
}
