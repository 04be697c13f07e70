//! What a message looks like to its carrier, over a real session and a real store.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests stop at the first surprise, as tests do"
)]

mod testkit;

use engine::CarrierNo;
use engine::accept::{AcceptResponse, Outcome, RecipientOutcome, Refusal, Values};
use engine::catalog::{CatalogChange, DataCoding, Linking, LongText, SmppSettings};
use engine::sms::state::MessageState as State;
use smpp::CommandStatus;
use smpp::pdu::{Bind, SubmitSm};
use smpp::server::{self, Incoming, ServerConfig};
use smpp::tlv::Tag;
use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::Store;
use testkit::{Act, CODE, Smsc, TestEngine, numbers, smpp, submission};
use tokio::net::TcpListener;

/// Sends one text to one number.
async fn send(test: &TestEngine, text: &str) -> Outcome {
    let mut one = submission(CODE, &numbers(1));
    one.items[0].values = Values::Positional(vec![text.into()]);
    match test.engine.accept(one, None).await.unwrap().1 {
        AcceptResponse::New(outcome) => outcome,
        AcceptResponse::Replayed { .. } => panic!("no request id was given"),
    }
}

/// What ties a part to the others of its message.
fn reference(linking: Linking, part: &SubmitSm) -> u16 {
    let header = &part.short_message;
    match linking {
        Linking::Udh16 => u16::from_be_bytes([header[3], header[4]]),
        Linking::Udh8 => u16::from(header[3]),
        Linking::Sar => part.tlvs.sar().unwrap().reference,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_messages_to_one_number_never_share_a_reference_also_after_a_restart() {
    for linking in [Linking::Udh16, Linking::Udh8, Linking::Sar] {
        let smsc = Smsc::start(|_, _| Act::DELIVER).await;
        let mut test = TestEngine::start(vec![SmppSettings {
            linking,
            ..smpp(smsc.port)
        }])
        .await;
        for _ in 0..3 {
            for n in 0..20 {
                let outcome = send(&test, &format!("{n}{}", "x".repeat(200))).await;
                test.until(&outcome, "delivered", |message| message.state == State::Delivered)
                    .await;
            }
            test = test.restart().await;
        }
        let seen = smsc.seen();
        assert_eq!(seen.len(), 120);
        let all: HashSet<u16> = seen.iter().map(|part| reference(linking, part)).collect();
        assert_eq!(all.len(), 60, "{linking:?}");
        for parts in seen.chunks(2) {
            assert_eq!(reference(linking, &parts[0]), reference(linking, &parts[1]));
        }
        test.engine.stop(Duration::from_secs(5)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_sent_again_keeps_its_reference_on_any_carrier_and_after_a_restart() {
    let refusals = Arc::new(AtomicU64::new(4));
    let left = Arc::clone(&refusals);
    let first = Smsc::start(move |_, _| {
        if left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
            .is_ok()
        {
            Act::refuse(CommandStatus::RINVSRCADR)
        } else {
            Act::DELIVER
        }
    })
    .await;
    let second = Smsc::start(|_, _| Act::refuse(CommandStatus::RSYSERR)).await;
    let settings = |port| SmppSettings {
        attempts_max: 200,
        ..smpp(port)
    };
    let test = TestEngine::start(vec![settings(first.port), settings(second.port)]).await;
    // Both parts are refused here for their sender, go to the second carrier, fail there, and wait for their retry.
    let outcome = send(&test, &"x".repeat(200)).await;
    test.until(&outcome, "tried by both", |message| message.attempts >= 2)
        .await;
    let test = test.restart().await;
    test.until(&outcome, "tried after the restart", |message| {
        message.attempts >= 3
    })
    .await;
    let seen: Vec<SubmitSm> = first.seen().into_iter().chain(second.seen()).collect();
    assert!(seen.len() >= 6);
    let references: HashSet<u16> = seen.iter().map(|part| reference(Linking::Udh16, part)).collect();
    assert_eq!(references.len(), 1);
    test.engine.stop(Duration::from_secs(5)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_billed_is_what_is_sent_on_every_carrier() {
    // Codes begin with 13 characters of their template.
    let texts = [
        "x".repeat(148),
        "中".repeat(121),
        "中".repeat(57),
        "ç".repeat(140),
        "x".repeat(700),
    ];
    for data_coding in [
        DataCoding::Gsm7Unpacked,
        DataCoding::Gsm7Packed,
        DataCoding::Latin1,
        DataCoding::Ucs2,
    ] {
        for linking in [Linking::Udh16, Linking::Udh8, Linking::Sar] {
            let smsc = Smsc::start(|_, _| Act::DELIVER).await;
            let test = TestEngine::start(vec![SmppSettings {
                data_coding,
                linking,
                ..smpp(smsc.port)
            }])
            .await;
            for text in &texts {
                let before = smsc.seen().len();
                let outcome = send(&test, text).await;
                let messages = test
                    .until(&outcome, "delivered", |message| message.state == State::Delivered)
                    .await;
                let sent = smsc.seen().len() - before;
                assert_eq!(
                    usize::from(messages[0].segments),
                    sent,
                    "{data_coding:?} {linking:?} {} characters",
                    text.chars().count()
                );
            }
            test.engine.stop(Duration::from_secs(5)).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_text_in_one_pdu_is_billed_in_parts() {
    let smsc = Smsc::start(|_, _| Act::DELIVER).await;
    let test = TestEngine::start(vec![SmppSettings {
        long_text: LongText::MessagePayload,
        ..smpp(smsc.port)
    }])
    .await;
    let outcome = send(&test, &"x".repeat(300)).await;
    let messages = test
        .until(&outcome, "delivered", |message| message.state == State::Delivered)
        .await;
    assert_eq!(messages[0].segments, 3);
    let seen = smsc.seen();
    assert_eq!(seen.len(), 1);
    assert!(seen[0].short_message.is_empty());
    assert_eq!(seen[0].tlvs.message_payload().unwrap().len(), 313);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_carrier_that_needs_more_parts_than_were_billed_gets_them() {
    let away = Smsc::start(|_, _| Act::refuse(CommandStatus::RINVSRCADR)).await;
    let smsc = Smsc::start(|_, _| Act::DELIVER).await;
    let test = TestEngine::start(vec![
        smpp(away.port),
        SmppSettings {
            data_coding: DataCoding::Ucs2,
            ..smpp(smsc.port)
        },
    ])
    .await;
    let outcome = send(&test, &"x".repeat(100)).await;
    let messages = test
        .until(&outcome, "delivered", |message| message.state == State::Delivered)
        .await;
    assert_eq!(messages[0].segments, 1, "billed for the carrier of its route");
    let seen = smsc.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(
        reference(Linking::Udh16, &seen[0]),
        reference(Linking::Udh16, &seen[1])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_that_no_address_holds_is_refused_when_it_is_accepted() {
    let smsc = Smsc::start(|_, _| Act::DELIVER).await;
    let test = TestEngine::start(vec![smpp(smsc.port)]).await;
    for (sender, taken) in [
        ("\u{e9}@1", false),
        ("A\u{e7}me", false),
        ("\u{90ae}\u{9a7f}", false),
        ("Ac\u{200b}me", false),
        ("\u{202e}Acme", false),
        ("Acme\u{2066}", false),
        ("Acme\u{200f}", false),
        ("\u{feff}Acme", false),
        ("Ac\u{ad}me", false),
        ("Acme\u{fe0f}", false),
        ("Acme\n", false),
        ("Acme\0", false),
        ("\u{1b}[31m", false),
        ("\u{200b}", false),
        ("\u{661}\u{662}\u{663}\u{664}", false),
        ("[Postrider]", false),
        ("Caf\u{e9}", true),
        (" Acme ", true),
        ("+44770090055", true),
    ] {
        let mut one = submission(CODE, &numbers(1));
        one.items[0].sender = Some(sender.into());
        one.rules.sender_chars_max = 20;
        let AcceptResponse::New(outcome) = test.engine.accept(one, None).await.unwrap().1 else {
            panic!("no request id was given")
        };
        let result = outcome.items[0].outcomes[0];
        if taken {
            assert!(matches!(result, RecipientOutcome::Accepted(_)), "{sender:?}");
        } else {
            assert_eq!(
                result,
                RecipientOutcome::Refused(Refusal::SenderInvalid),
                "{sender:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stored_sender_that_no_address_holds_ends_its_message_at_once() {
    let smsc = Smsc::start(|_, _| Act::DELIVER).await;
    let test = TestEngine::start(vec![SmppSettings {
        default_sender: "\u{90ae}\u{9a7f}".to_owned(),
        ..smpp(smsc.port)
    }])
    .await;
    let outcome = send(&test, "1").await;
    let messages = test
        .until(&outcome, "ended", |message| message.state.is_final())
        .await;
    assert_eq!(messages[0].state, State::Rejected);
    assert_eq!(messages[0].attempts, 1, "no attempt more can change it");
    assert_eq!(smsc.seen().len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tlvs_of_templates_and_signatures_go_with_their_messages() {
    let smsc = Smsc::start(|_, _| Act::DELIVER).await;
    let test = TestEngine::start(vec![SmppSettings {
        tlvs: [("0x1400", "of the carrier"), ("0x1500", "of the carrier")]
            .map(|(tag, text)| (tag.to_owned(), engine::catalog::TlvValue::Text(text.to_owned())))
            .into(),
        ..smpp(smsc.port)
    }])
    .await;
    let mut catalog = test.store.load_catalog().await.unwrap();
    let mut template = catalog.templates.remove(1);
    assert_eq!(template.number, CODE);
    template.details = serde_json::json!({"usms": {}, "tlvs": {"0x1401": "of the template"}});
    template.signature = Some(9);
    let signature = engine::catalog::Signature {
        account: template.account,
        id: 9,
        text: "Shop".into(),
        review: engine::catalog::Review::Approved,
        reason: "".into(),
        details: serde_json::json!({"tlvs": {"0x1400": "of the signature", "0x1401": "of the signature"}}),
        created_at: 0,
        updated_at: 0,
    };
    let changes = vec![
        CatalogChange::PutSignature(signature),
        CatalogChange::PutTemplate(template.clone()),
    ];
    test.change(changes).await;
    let sent = async |text: &str| {
        let before = smsc.seen().len();
        let outcome = send(&test, text).await;
        test.until(&outcome, "delivered", |message| message.state == State::Delivered)
            .await;
        let submit = smsc.seen().remove(before);
        [0x1400, 0x1401, 0x1500].map(|tag| {
            let value = submit.tlvs.get(Tag(tag));
            value
                .map(|value| String::from_utf8_lossy(value).into_owned())
                .unwrap_or_default()
        })
    };
    assert_eq!(
        sent("1").await,
        ["of the signature", "of the template", "of the carrier"]
    );
    // A signature named with the request is known by its brackets.
    template.signature = None;
    template.text = "[Shop]code %code%".into();
    template.details = serde_json::Value::Null;
    test.change(vec![CatalogChange::PutTemplate(template)]).await;
    assert_eq!(
        sent("2").await,
        ["of the signature", "of the signature", "of the carrier"]
    );
}

/// An SMSC that answers binds with the statuses given, the last one for ever, and remembers them.
async fn refusing(statuses: Vec<CommandStatus>) -> (u16, Arc<Mutex<Vec<Bind>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let binds = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&binds);
    let serve = server::serve(
        listener,
        ServerConfig::default(),
        None,
        std::future::pending(),
        move |incoming: Incoming| {
            let (seen, statuses) = (Arc::clone(&seen), statuses.clone());
            async move {
                let n = {
                    let mut seen = seen.lock().unwrap();
                    seen.push(incoming.bind().clone());
                    seen.len() - 1
                };
                let status = statuses.get(n).or(statuses.last()).copied().unwrap();
                if status != CommandStatus::ROK {
                    return incoming.refuse(status).await;
                }
                if let Ok((_smsc, mut events)) = incoming.accept("smsc").await {
                    while events.next().await.is_some() {}
                }
            }
        },
    );
    tokio::spawn(serve);
    (port, binds)
}

async fn wait_for(what: &str, pass: impl Fn() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while !pass() {
        assert!(tokio::time::Instant::now() < deadline, "not {what} in time");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_password_is_not_tried_again_until_a_reconnect_is_requested() {
    for (statuses, tries) in [
        (vec![CommandStatus::RINVPASWD], 1),
        (vec![CommandStatus::RINVSYSID], 1),
        // The first may be an SMSC that is starting.
        (vec![CommandStatus::RBINDFAIL], 2),
    ] {
        let first = statuses[0];
        let mut answers = statuses.clone();
        answers.resize(tries, first);
        answers.push(CommandStatus::ROK);
        let (port, binds) = refusing(answers).await;
        let test = TestEngine::start(vec![smpp(port)]).await;
        let seen = || binds.lock().unwrap().len();
        wait_for("tried", || seen() == tries).await;
        // Longer than the usual pauses of one and two seconds.
        tokio::time::sleep(Duration::from_millis(2_600)).await;
        assert_eq!(seen(), tries, "{first}");
        assert_eq!(test.engine.reconnect("nobody"), None);
        wait_for("bound", || {
            test.engine.reconnect("carrier-1") == Some(1) && test.engine.binds_up() == [(CarrierNo(1), 1)]
        })
        .await;
        assert_eq!(seen(), tries + 1);
        test.engine.stop(Duration::from_secs(5)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bind_request_has_the_fields_that_the_carrier_wants() {
    let (port, binds) = refusing(vec![CommandStatus::ROK]).await;
    let test = TestEngine::start(vec![SmppSettings {
        system_id: "a-name-of-twenty-four-oct".to_owned(),
        address_range: "^4477".to_owned(),
        bind_addr_ton: 1,
        bind_addr_npi: 1,
        ..smpp(port)
    }])
    .await;
    wait_for("bound", || test.engine.binds_up() == [(CarrierNo(1), 1)]).await;
    let bind = binds.lock().unwrap()[0].clone();
    assert_eq!(bind.system_id.as_bytes(), b"a-name-of-twenty-four-oct");
    assert_eq!(
        (bind.addr_ton.0, bind.addr_npi.0, bind.address_range.as_bytes()),
        (1, 1, &b"^4477"[..])
    );
}
