//! Receipts as carriers send them: over a real carrier session and a real store.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may stop at the first surprise"
)]

mod testkit;

use engine::accept::{AcceptResponse, Outcome, Values};
use engine::catalog::ReceiptFor;
use engine::sms::state::MessageState;
use smpp::field::{DataCoding, EsmClass};
use smpp::pdu::DeliverSm;
use smpp::tlv::Tag;
use std::sync::{Arc, OnceLock};
use store::{InboundFilter, Inbox};
use testkit::{Act, CODE, PLAIN, Smsc, TestEngine, numbers, smpp, submission};

const DATES: &str = "sub:001 dlvrd:001 submit date:2611220930 done date:2611220931";

/// What the carrier delivers about the n-th submit, given the id that it answered.
type Report = fn(u64, &str) -> Vec<DeliverSm>;

/// A carrier that answers with ids of its own and delivers what `report` says.
async fn reporting(report: Report) -> Smsc {
    let port = Arc::new(OnceLock::new());
    let known = Arc::clone(&port);
    let smsc = Smsc::start(move |n, _| Act {
        receipt: None,
        inbound: report(n, &format!("{:x}-{n:x}", known.get().unwrap())),
        ..Act::DELIVER
    })
    .await;
    port.set(smsc.port).unwrap();
    smsc
}

fn delivery(esm_class: u8, text: impl Into<Vec<u8>>) -> DeliverSm {
    DeliverSm {
        esm_class: EsmClass(esm_class),
        short_message: text.into().into(),
        ..DeliverSm::default()
    }
}

async fn inbound_texts(test: &TestEngine) -> Vec<Box<str>> {
    let filter = InboundFilter {
        limit: 100,
        ..InboundFilter::default()
    };
    let (found, _) = test.store.find_inbound(filter).await.unwrap();
    found.into_iter().map(|inbound| inbound.text).collect()
}

async fn ends(test: &TestEngine, outcome: &Outcome, state: MessageState) {
    test.until(outcome, state.name(), |message| message.state == state)
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receipts_without_their_mark_are_receipts_and_a_person_stays_a_person() {
    let smsc = reporting(|n, id| {
        let text = format!("id:{id} {DATES} stat:DELIVRD err:000 text:Hello");
        let header = [3, 0x70, 1, 0];
        let receipt = match n {
            0 => delivery(0, text),
            1 => delivery(0x40, [&header[..], text.as_bytes()].concat()),
            2 => delivery(0x44, [&header[..], text.as_bytes()].concat()),
            3 => DeliverSm {
                data_coding: DataCoding(0x18),
                ..delivery(0, text.bytes().flat_map(|octet| [0, octet]).collect::<Vec<u8>>())
            },
            _ => {
                let mut pdu = delivery(0, "");
                pdu.tlvs.push(Tag(0x001e), format!("{id}\0").into_bytes());
                pdu.tlvs.push(Tag(0x0427), vec![2_u8]);
                pdu
            }
        };
        let person = delivery(0, "id:somebody-else stat:DELIVRD err:000");
        vec![person, receipt]
    })
    .await;
    let test = TestEngine::start(vec![smpp(smsc.port)]).await;
    let outcome = test.send(PLAIN, &numbers(5)).await;
    ends(&test, &outcome, MessageState::Delivered).await;
    // Each was acknowledged as what it is, so the carrier does not offer it again.
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
    while inbound_texts(&test).await.len() < 5 {
        assert!(tokio::time::Instant::now() < deadline);
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    for text in inbound_texts(&test).await {
        assert_eq!(&*text, "id:somebody-else stat:DELIVRD err:000");
    }
}

/// Sends a text of three parts to one number.
async fn send_long(test: &TestEngine) -> Outcome {
    let mut long = submission(CODE, &numbers(1));
    long.items[0].values = Values::Positional(vec!["x".repeat(300).into()]);
    let AcceptResponse::New(outcome) = test.engine.accept(long, None).await.unwrap().1 else {
        panic!("no id given")
    };
    outcome
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_receipt_ends_a_long_message_where_the_carrier_sends_one() {
    for (last, stat, state) in [
        (true, "DELIVRD", MessageState::Delivered),
        (false, "UNDELIV", MessageState::Undelivered),
    ] {
        let smsc = if last {
            reporting(|n, id| {
                let text = format!("id:{id} {DATES} stat:DELIVRD err:000");
                (n % 3 == 2).then(|| delivery(4, text)).into_iter().collect()
            })
            .await
        } else {
            reporting(|n, id| {
                let text = format!("id:{id} {DATES} stat:UNDELIV err:000");
                (n % 3 == 0).then(|| delivery(4, text)).into_iter().collect()
            })
            .await
        };
        let settings = engine::catalog::SmppSettings {
            receipt_for: ReceiptFor::Message,
            ..smpp(smsc.port)
        };
        let test = TestEngine::start(vec![settings]).await;
        let outcome = send_long(&test).await;
        ends(&test, &outcome, state).await;
        assert_eq!(smsc.seen().len(), 3, "{stat}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn words_end_a_message_only_if_they_say_so() {
    let smsc = reporting(|n, id| {
        let word = ["BUFFERED", "BUFFRED", "ACKED", "WEIRD", "ENROUTE"][n as usize % 5];
        let first = delivery(4, format!("id:{id} {DATES} stat:{word} err:000"));
        let notification = delivery(0x20, format!("id:{id} {DATES} stat:DELIVRD err:000"));
        let last = delivery(4, format!("id:{id} {DATES} stat:kaputt err:001"));
        vec![first, notification, last]
    })
    .await;
    let settings = engine::catalog::SmppSettings {
        receipt_words: [("KAPUTT".to_owned(), "undelivered".to_owned())].into(),
        ..smpp(smsc.port)
    };
    let test = TestEngine::start(vec![settings]).await;
    let outcome = test.send(PLAIN, &numbers(5)).await;
    let messages = test
        .until(&outcome, "ended", |message| message.state.is_final())
        .await;
    for message in messages {
        assert_eq!(
            (message.state, &*message.error),
            (MessageState::Undelivered, "001")
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_carriers_codes_mean_what_its_settings_say() {
    let smsc = reporting(|n, id| {
        let (stat, err) = [
            ("UNDELIV", "033"),
            ("REJECTD", "052"),
            ("UNDELIV", "034"),
            ("DELIVRD", "033"),
        ][n as usize];
        vec![delivery(4, format!("id:{id} {DATES} stat:{stat} err:{err}"))]
    })
    .await;
    let settings = engine::catalog::SmppSettings {
        receipt_codes: [
            ("33".to_owned(), "number_out_of_service".to_owned()),
            ("0x34".to_owned(), "content_complained".to_owned()),
        ]
        .into(),
        ..smpp(smsc.port)
    };
    let test = TestEngine::start(vec![settings]).await;
    let outcome = test.send(PLAIN, &numbers(4)).await;
    let messages = test
        .until(&outcome, "ended", |message| message.state.is_final())
        .await;
    let seen: Vec<_> = messages
        .iter()
        .map(|message| {
            (
                &*message.error,
                engine::ReasonView::of(message).map(|reason| reason.name),
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("033", Some("number_out_of_service")),
            ("052", Some("content_complained")),
            ("034", Some("not_delivered")),
            ("033", None),
        ]
    );
}
