//! How messages are answered.

use std::time::{Duration, Instant};

use sim::smsc::{CountBy, IdForm, Ids, MessageCounts, Notation, SmscConfig, key_of, key_of_number};
use smpp::CommandStatus;
use smpp::pdu::BindKind;
use smpp::session::Event;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::esme::{Esme, NUMBER, behave, start, start_with, until};

const NO_RECEIPTS: &str = "receipts.enabled = false";

fn many(count: u64) -> impl Iterator<Item = (u64, String)> {
    (0..count).map(|token| (token, format!("4477009{token:05}")))
}

#[tokio::test]
async fn every_message_is_taken_once_and_counted() {
    let smsc = start_with(NO_RECEIPTS).await;
    let mut esme = Esme::bind(&smsc).await;
    esme.submit_all(many(500)).await;
    let mut ids = std::collections::HashSet::new();
    for expected in 0..500 {
        let answered = esme.answered().await;
        assert_eq!((answered.token, answered.status), (expected, CommandStatus::ROK));
        assert!(ids.insert(answered.id), "ids are unique");
    }
    let counts = smsc.counts();
    assert_eq!(
        (counts.submitted, counts.taken, counts.messages, counts.duplicates),
        (500, 500, 500, 0)
    );
    let key = key_of(b"447700900007", b"message 000007");
    assert_eq!(
        smsc.message_counts(key),
        Some(MessageCounts {
            submitted: 1,
            taken: 1,
            acknowledged: 0
        })
    );
    assert!(counts.window_seen_max <= 500);
}

#[tokio::test]
async fn a_message_sent_twice_is_a_duplicate() {
    let config = SmscConfig {
        count_by: CountBy::Destination,
        ..SmscConfig::default()
    };
    let smsc = start(config).await;
    behave(&smsc, NO_RECEIPTS);
    let mut esme = Esme::bind(&smsc).await;
    for token in 0..3 {
        esme.submit(token, NUMBER).await;
        esme.answered().await;
    }
    assert_eq!((smsc.counts().messages, smsc.counts().duplicates), (1, 2));
    let key = key_of_number(NUMBER.as_bytes());
    assert_eq!(smsc.taken_more_than(1).keys().copied().collect::<Vec<_>>(), [key]);
}

#[tokio::test]
async fn answers_wait_as_configured_and_may_overtake_each_other() {
    let smsc = start_with("answers.delay_ms = [1, 120]\nreceipts.enabled = false").await;
    let mut esme = Esme::bind(&smsc).await;
    let began = Instant::now();
    esme.submit_all(many(50)).await;
    let mut order = Vec::new();
    for _ in 0..50 {
        order.push(esme.answered().await.token);
    }
    assert!(
        began.elapsed() >= Duration::from_millis(50),
        "half of the longest delay at least"
    );
    assert!(!order.is_sorted(), "{order:?}");
    assert!(smsc.counts().window_seen_max > 1);
}

#[tokio::test]
async fn numbers_are_refused_by_prefix() {
    let smsc = start_with(
        r#"
        receipts.enabled = false
        [[rules]]
        prefix = "4477"
        status = "RTHROTTLED"
        times_per_message_max = 1
        [[rules]]
        prefix = "1555"
        status = 0x411
        "#,
    )
    .await;
    let mut esme = Esme::bind(&smsc).await;
    let mut statuses = Vec::new();
    for (token, number) in [
        (1, NUMBER),
        (1, NUMBER),
        (2, "15550100"),
        (2, "15550100"),
        (3, "33"),
    ] {
        esme.submit(token, number).await;
        statuses.push(esme.answered().await.status.0);
    }
    assert_eq!(statuses, [0x58, 0, 0x411, 0x411, 0]);
    let refused = smsc.counts().refused_with;
    assert_eq!(refused.get("ESME_RTHROTTLED (0x58)"), Some(&1));
    assert_eq!(refused.get("command_status 0x411"), Some(&2));
}

#[tokio::test]
async fn a_sender_that_is_too_fast_is_throttled() {
    let smsc = start_with("limits.rate_per_s_max = 100\nreceipts.enabled = false").await;
    let mut esme = Esme::bind(&smsc).await;
    esme.submit_all(many(500)).await;
    let mut throttled = 0;
    for _ in 0..500 {
        throttled += u32::from(esme.answered().await.status == CommandStatus::RTHROTTLED);
    }
    // A hundred pass in each second that is touched, and on a busy machine that may be some.
    assert!((100..=400).contains(&throttled), "{throttled}");
}

#[tokio::test]
async fn a_window_that_is_too_large_is_throttled() {
    let smsc = start_with("limits.window_max = 10\nanswers.delay_ms = 50\nreceipts.enabled = false").await;
    let mut esme = Esme::bind(&smsc).await;
    esme.submit_all(many(15)).await;
    let mut throttled = Vec::new();
    for _ in 0..15 {
        let answered = esme.answered().await;
        if answered.status == CommandStatus::RTHROTTLED {
            throttled.push(answered.token);
        }
    }
    assert_eq!(throttled, [10, 11, 12, 13, 14]);
}

#[tokio::test]
async fn a_full_queue_is_answered_with_an_error() {
    let smsc = start_with("limits.queue_max = 5\nreceipts.delay_ms = 60000").await;
    let mut esme = Esme::bind(&smsc).await;
    esme.submit_all(many(8)).await;
    let mut statuses = Vec::new();
    for _ in 0..8 {
        statuses.push(esme.answered().await.status);
    }
    let (first, last) = statuses.split_at(5);
    assert_eq!(
        (first, last),
        (&[CommandStatus::ROK; 5][..], &[CommandStatus::RMSGQFUL; 3][..])
    );
}

#[tokio::test]
async fn a_message_may_never_be_answered() {
    let smsc = start_with("[[rules]]\nprefix = \"4477\"\ninstead = \"silence\"").await;
    let mut esme = Esme::bind_as(&smsc, BindKind::Transmitter).await;
    esme.submit(1, NUMBER).await;
    esme.submit(2, "15550100").await;
    assert_eq!(esme.answered().await.token, 2);
    assert_eq!((smsc.counts().unanswered, smsc.counts().taken), (1, 2));
}

#[tokio::test]
async fn a_hanging_carrier_says_nothing_until_it_wakes_up() {
    let smsc = start_with(NO_RECEIPTS).await;
    let mut esme = Esme::bind(&smsc).await;
    behave(&smsc, "faults.hanging = true\nreceipts.enabled = false");
    esme.submit(1, NUMBER).await;
    behave(&smsc, "faults.reading_paused = true\nreceipts.enabled = false");
    esme.submit(2, NUMBER).await;
    behave(&smsc, NO_RECEIPTS);
    // What was read while it hung is lost, what was not read is not. Which of both happened to the first is a race
    // between the order and the message.
    let first = esme.answered().await;
    if first.token == 1 {
        assert_eq!(esme.answered().await.token, 2);
    } else {
        assert_eq!((first.token, smsc.counts().submitted), (2, 1));
    }
}

#[tokio::test]
async fn ids_are_written_as_configured_on_both_ways() {
    let answer = IdForm {
        notation: Notation::Hex,
        width: 0,
    };
    let receipt = IdForm {
        notation: Notation::Decimal,
        width: 10,
    };
    let ids = Ids {
        answer,
        receipt,
        first: 0xBEEF,
    };
    let smsc = start(SmscConfig {
        ids,
        ..SmscConfig::default()
    })
    .await;
    let mut esme = Esme::bind(&smsc).await;
    esme.submit(1, NUMBER).await;
    assert_eq!(esme.answered().await.id, "beef");
    assert_eq!(esme.delivered().await.id(), "0000048879");
}

#[tokio::test]
async fn the_same_seed_meets_the_same_faults() {
    let script = "receipts.enabled = false\n[[rules]]\nshare = 0.3\nstatus = \"RSYSERR\"";
    let mut runs = Vec::new();
    for binds in [1, 3] {
        let smsc = start_with(script).await;
        let mut refused = Vec::new();
        let mut esmes = Vec::new();
        for _ in 0..binds {
            esmes.push(Esme::bind(&smsc).await);
        }
        for token in 0..200 {
            let esme = &mut esmes[token % binds];
            esme.submit(token as u64, NUMBER).await;
            if !esme.answered().await.status.is_ok() {
                refused.push(token);
            }
        }
        runs.push(refused);
    }
    assert_eq!(runs[0], runs[1], "whichever way the messages went");
    assert!((30..90).contains(&runs[0].len()), "{}", runs[0].len());
}

#[tokio::test]
async fn a_message_on_a_receiver_is_refused() {
    let smsc = start_with("").await;
    let mut esme = Esme::bind_as(&smsc, BindKind::Receiver).await;
    esme.submit(1, NUMBER).await;
    let refused = matches!(esme.next().await, Event::Refused { .. });
    assert!(refused, "the client does not even send it");
    until("nothing was submitted", || smsc.counts().submitted == 0).await;
}

/// A PDU of these octets. No client of ours writes what the addresses below are.
fn pdu(command: u32, body: &[u8]) -> Vec<u8> {
    let length = 16 + body.len() as u32;
    let header = [length, command, 0, 1];
    let mut octets: Vec<u8> = header.iter().flat_map(|field| field.to_be_bytes()).collect();
    octets.extend(body);
    octets
}

#[tokio::test]
async fn an_address_that_no_receipt_could_have_is_refused() {
    let smsc = start_with("").await;
    let mut stream = TcpStream::connect(smsc.local_addr()).await.unwrap();
    let mut status_of = async |octets: Vec<u8>| {
        stream.write_all(&octets).await.unwrap();
        let length = stream.read_u32().await.unwrap();
        let mut rest = vec![0; length as usize - 4];
        stream.read_exact(&mut rest).await.unwrap();
        CommandStatus(u32::from_be_bytes(rest[4..8].try_into().unwrap()))
    };
    assert_eq!(
        status_of(pdu(0x2, b"esme\0secret\0\0\x34\0\0\0")).await,
        CommandStatus::ROK
    );
    let long = "4".repeat(21);
    for (source, destination, status) in [
        ("10690", NUMBER, CommandStatus::ROK),
        ("10690", &long[1..], CommandStatus::ROK),
        ("10690", &*long, CommandStatus::RINVDSTADR),
        ("10690", "", CommandStatus::RINVDSTADR),
        (&*long, NUMBER, CommandStatus::RINVSRCADR),
        ("", NUMBER, CommandStatus::ROK),
    ] {
        let body = format!("\0\x01\x01{source}\0\x01\x01{destination}\0\0\0\0\0\0\x01\0\0\0\x02hi");
        let answered = status_of(pdu(0x4, body.as_bytes())).await;
        assert_eq!(answered, status, "{source:?} to {destination:?}");
    }
    until("what was taken is reported", || {
        let counts = smsc.counts();
        (counts.taken, counts.receipts_planned) == (3, 3)
    })
    .await;
}
