//! What is reported about messages, when, and over which session.

use smpp::CommandStatus;
use smpp::field::MessageState;
use smpp::pdu::BindKind;
use smpp::session::Event;

use crate::esme::{Esme, NUMBER, behave, start_with, until};

#[tokio::test]
async fn a_receipt_follows_and_is_counted_when_acknowledged() {
    let smsc = start_with("").await;
    let mut esme = Esme::bind(&smsc).await;
    esme.submit(1, NUMBER).await;
    let id = esme.answered().await.id;
    let receipt = esme.delivered().await;
    assert_eq!((receipt.id(), receipt.stat()), (id, "DELIVRD".to_owned()));
    assert_eq!(receipt.pdu.tlvs.message_state(), Some(MessageState::DELIVERED));
    assert_eq!(smsc.counts().receipts_waiting, 1);
    esme.acknowledge(&receipt);
    until("the receipt is acknowledged", || {
        smsc.counts().receipts_acknowledged == 1
    })
    .await;
    assert_eq!(smsc.counts().receipts_waiting, 0);
}

#[tokio::test]
async fn an_early_receipt_beats_its_answer_over_the_same_session() {
    let smsc = start_with("receipts.early_share = 1.0").await;
    let mut esme = Esme::bind(&smsc).await;
    esme.submit(1, NUMBER).await;
    let receipt = esme.delivered().await;
    assert_eq!(esme.answered().await.id, receipt.id());
}

#[tokio::test]
async fn an_early_receipt_beats_its_answer_over_another_session() {
    let smsc = start_with("receipts = { early_share = 1.0, early_lead_ms = 500 }").await;
    let mut sender = Esme::bind_as(&smsc, BindKind::Transmitter).await;
    let mut receiver = Esme::bind_as(&smsc, BindKind::Receiver).await;
    sender.submit(1, NUMBER).await;
    let receipt = receiver.delivered().await;
    receiver.acknowledge(&receipt);
    until("the receipt is acknowledged", || {
        smsc.counts().receipts_acknowledged == 1
    })
    .await;
    assert_eq!(sender.answered().await.id, receipt.id());
}

#[tokio::test]
async fn receipts_are_late_doubled_or_missing_as_configured() {
    let smsc = start_with(
        r#"
        receipts = { late_delay_ms = 1000 }
        rules = [
            { prefix = "1", receipt = "late" },
            { prefix = "2", receipt = "twice" },
            { prefix = "3", receipt = "never" },
            { prefix = "4", states = ["ENROUTE", "UNDELIV"], error = "034" },
        ]
        "#,
    )
    .await;
    let mut esme = Esme::bind(&smsc).await;
    let mut ids = Vec::new();
    for token in 1..=4 {
        esme.submit(token, &format!("{token}5550100")).await;
    }
    let mut stats = Vec::new();
    while ids.len() < 4 || stats.len() < 5 {
        match esme.next().await {
            Event::Response { token, .. } => ids.push(token),
            Event::Deliver { sequence, pdu } => {
                let receipt = crate::esme::Delivered { sequence, pdu };
                esme.acknowledge(&receipt);
                stats.push((receipt.pdu.source.addr.to_string(), receipt.stat()));
            }
            other => panic!("{other:?}"),
        }
    }
    let of = |first: char| -> Vec<(usize, &str)> {
        let places = stats
            .iter()
            .enumerate()
            .filter(|(_, (number, _))| number.starts_with(first));
        places.map(|(at, (_, stat))| (at, stat.as_str())).collect()
    };
    assert_eq!(of('2').len(), 2, "doubled");
    assert_eq!(of('3').len(), 0, "missing");
    assert_eq!(of('1'), [(4, "DELIVRD")], "late: after all others");
    let stats_of_4: Vec<&str> = of('4').into_iter().map(|(_, stat)| stat).collect();
    assert_eq!(stats_of_4, ["ENROUTE", "UNDELIV"]);
    until("all are acknowledged", || {
        smsc.counts().receipts_acknowledged == 5
    })
    .await;
    assert_eq!(smsc.counts().receipts_planned, 5);
}

#[tokio::test]
async fn receipts_come_out_of_order() {
    let smsc = start_with("receipts = { shuffled = true, delay_ms = 50 }").await;
    let mut esme = Esme::bind(&smsc).await;
    esme.submit_all((0..100).map(|token| (token, NUMBER.to_owned())))
        .await;
    let mut receipts = Vec::new();
    while receipts.len() < 100 {
        if let Event::Deliver { sequence, pdu } = esme.next().await {
            let receipt = crate::esme::Delivered { sequence, pdu };
            esme.acknowledge(&receipt);
            receipts.push(receipt.id().parse::<u64>().unwrap());
        }
    }
    assert!(!receipts.is_sorted());
    receipts.sort_unstable();
    receipts.dedup();
    assert_eq!(receipts.len(), 100);
}

#[tokio::test]
async fn a_receipt_goes_over_any_session_of_its_system_id() {
    let smsc = start_with("receipts.delay_ms = 30").await;
    let mut sender = Esme::bind(&smsc).await;
    sender.submit(1, NUMBER).await;
    let id = sender.answered().await.id;
    let mut other = Esme::bind_as(&smsc, BindKind::Receiver).await;
    sender.client.close();
    let receipt = other.delivered().await;
    assert_eq!(receipt.id(), id);
}

#[tokio::test]
async fn what_is_not_acknowledged_comes_again_over_the_next_session() {
    let smsc = start_with("receipts.window_max = 3").await;
    let mut first = Esme::bind(&smsc).await;
    first
        .submit_all((0..5).map(|token| (token, NUMBER.to_owned())))
        .await;
    let mut seen = Vec::new();
    while seen.len() < 3 {
        if let Event::Deliver { sequence, pdu } = first.next().await {
            seen.push(crate::esme::Delivered { sequence, pdu });
        }
    }
    first.acknowledge(&seen[0]);
    until("one is acknowledged", || smsc.counts().receipts_acknowledged == 1).await;
    first.client.close();
    until("the session is gone", || smsc.counts().binds_up == 0).await;
    assert_eq!(smsc.counts().receipts_waiting, 4);

    let mut second = Esme::bind_as(&smsc, BindKind::Receiver).await;
    let mut again = Vec::new();
    for _ in 0..4 {
        let receipt = second.delivered().await;
        second.acknowledge(&receipt);
        again.push(receipt.id());
    }
    assert_eq!(
        again[..2],
        [seen[1].id(), seen[2].id()],
        "first what was in doubt, in its order"
    );
    until("all are acknowledged", || {
        smsc.counts().receipts_acknowledged == 5
    })
    .await;
    assert!(smsc.counts().receipts_in_doubt >= 2);
}

#[tokio::test]
async fn a_receipt_answered_with_an_error_comes_again() {
    let smsc = start_with("receipts.retry_ms = 20").await;
    let mut esme = Esme::bind(&smsc).await;
    esme.submit(1, NUMBER).await;
    esme.answered().await;
    let receipt = esme.delivered().await;
    esme.refuse(&receipt, CommandStatus::RX_T_APPN);
    let again = esme.delivered().await;
    assert_eq!(again.text(), receipt.text());
    esme.acknowledge(&again);
    until("it is acknowledged", || smsc.counts().receipts_acknowledged == 1).await;
    assert_eq!(smsc.counts().receipts_refused, 1);
}

#[tokio::test]
async fn a_receipt_that_is_not_answered_comes_again() {
    let smsc = start_with("receipts.timeout_ms = 30").await;
    let mut esme = Esme::bind(&smsc).await;
    esme.submit(1, NUMBER).await;
    esme.answered().await;
    let receipt = esme.delivered().await;
    assert_eq!(esme.delivered().await.id(), receipt.id());
    behave(&smsc, "");
    assert!(smsc.counts().receipts_in_doubt >= 1);
}

#[tokio::test]
async fn receipts_are_written_in_the_configured_form() {
    let smsc = start_with("receipts = { form = \"tlvs\", states = [\"REJECTD\"], error = \"011\" }").await;
    let mut esme = Esme::bind(&smsc).await;
    esme.submit(1, NUMBER).await;
    let id = esme.answered().await.id;
    let receipt = esme.delivered().await;
    assert!(receipt.pdu.short_message.is_empty());
    assert_eq!(receipt.pdu.tlvs.receipted_message_id(), Some(id.into()));
    assert_eq!(receipt.pdu.tlvs.message_state(), Some(MessageState::REJECTED));
    assert_eq!(
        receipt.pdu.tlvs.network_error_code().map(|error| error.code),
        Some(11)
    );
}

#[tokio::test]
async fn another_simulator_takes_the_place_of_one_as_it_was() {
    let smsc = start_with("").await;
    smsc.keep_past();
    let mut esme = Esme::bind(&smsc).await;
    esme.submit(1, "15550100").await;
    esme.answered().await;
    let acknowledged = esme.delivered().await;
    esme.acknowledge(&acknowledged);
    until("the first receipt is acknowledged", || {
        smsc.counts().receipts_acknowledged == 1
    })
    .await;
    esme.submit(2, "15550101").await;
    esme.answered().await;
    let owed = esme.delivered().await;
    let then = std::time::Instant::now();
    esme.acknowledge(&owed);
    esme.submit(3, "15550102").await;
    esme.answered().await;
    esme.delivered().await;
    until("the second receipt is acknowledged", || {
        smsc.counts().receipts_acknowledged == 2
    })
    .await;
    let past = smsc.past();
    assert_eq!((past.taken().count(), past.acknowledged().count()), (3, 2));

    let other = start_with("").await;
    other.restore(&past.until(then), "esme");
    assert_eq!(other.counts().taken, 2);
    let mut esme = Esme::bind(&other).await;
    let again = esme.delivered().await;
    assert_eq!(again.id(), owed.id());
    esme.acknowledge(&again);
    until("nothing is owed any more", || {
        other.counts().receipts_waiting == 0
    })
    .await;
}
