//! Generated inbound messages.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use sim::smsc::inbound_number_of;
use smpp::CommandStatus;

use crate::esme::{Esme, behave, start_with, until};

#[tokio::test]
async fn inbound_messages_come_at_a_rate_and_stop() {
    let smsc = start_with("").await;
    let mut esme = Esme::bind(&smsc).await;
    let began = Instant::now();
    behave(&smsc, "mo = { per_s = 200, messages_max = 20, to = [\"10690\"] }");
    for number in 1..=20 {
        let written = esme.delivered().await;
        assert_eq!(inbound_number_of(&written.text()), Some(number));
        assert_eq!(written.pdu.destination.addr.to_string(), "10690");
        assert_eq!(
            written.pdu.source.addr.to_string(),
            (447_700_900_000 + number).to_string()
        );
        esme.acknowledge(&written);
    }
    assert!(began.elapsed() >= Duration::from_millis(95), "19 pauses of 5 ms");
    until("all are acknowledged", || {
        smsc.counts().inbound_acknowledged == 20
    })
    .await;
    let counts = smsc.counts();
    assert_eq!((counts.inbound_written, counts.receipts_waiting), (20, 0));
    let inbound = smsc.inbound();
    assert_eq!(inbound.len(), 20);
    assert!(
        inbound
            .iter()
            .all(|(_, message_counts)| message_counts.is_taken() && message_counts.parts == 1)
    );
}

#[tokio::test]
async fn long_messages_come_in_parts_and_what_was_acknowledged_may_come_again() {
    let mo_generator = "mo = { per_s = 1000, messages_max = 30, parts = [1, 3], unicode_share = 0.3, \
                  repeat_share = 0.2, repeat_after_ms = [10, 40] }";
    let smsc = start_with(mo_generator).await;
    let mut esme = Esme::bind(&smsc).await;
    let all_taken = || {
        let inbound = smsc.inbound();
        inbound.len() == 30
            && inbound
                .iter()
                .all(|(_, message_counts)| message_counts.is_taken())
    };
    let mut seen = 0;
    while !all_taken() || smsc.counts().receipts_waiting > 0 {
        let part = esme.delivered().await;
        esme.acknowledge(&part);
        seen += 1;
        until("it is acknowledged", || {
            smsc.counts().inbound_acknowledged == seen
        })
        .await;
    }
    let counts_by_message: HashMap<u64, _> = smsc.inbound().into_iter().collect();
    let parts: u64 = counts_by_message
        .values()
        .map(|message_counts| u64::from(message_counts.parts))
        .sum();
    let repeated: u64 = counts_by_message
        .values()
        .map(|message_counts| u64::from(message_counts.repeated))
        .sum();
    assert_eq!(parts + repeated, seen);
    assert!(parts > 30 && repeated > 0, "{parts} parts, {repeated} repeated");
}

#[tokio::test]
async fn what_is_not_taken_stays_with_the_carrier() {
    let smsc = start_with("mo = { per_s = 1000, messages_max = 1 }\nreceipts.retry_ms = 10").await;
    let mut esme = Esme::bind(&smsc).await;
    let written = esme.delivered().await;
    esme.refuse(&written, CommandStatus::RX_T_APPN);
    let again = esme.delivered().await;
    assert_eq!(again.text(), written.text());
    assert!(
        smsc.inbound()
            .iter()
            .all(|(_, message_counts)| !message_counts.is_taken())
    );
    drop(esme);
    let mut other = Esme::bind(&smsc).await;
    let again = other.delivered().await;
    other.acknowledge(&again);
    until("it is taken", || {
        smsc.inbound()
            .iter()
            .all(|(_, message_counts)| message_counts.is_taken())
    })
    .await;
    assert_eq!(smsc.counts().inbound_written, 1);
}
