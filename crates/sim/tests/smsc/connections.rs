//! What goes wrong with connections.

use std::collections::HashSet;

use sim::smsc::{CountBy, Garbage, Order, SmscConfig};
use smpp::CommandStatus;
use smpp::client::ConnectError;
use smpp::session::{CloseReason, Event};

use crate::esme::{Esme, NUMBER, behave, start, start_with, until};

fn numbered(count: u64) -> impl Iterator<Item = (u64, String)> {
    (0..count).map(|token| (token, format!("999{token:09}")))
}

#[tokio::test]
async fn a_connection_is_cut_in_the_middle_of_a_window() {
    let config = SmscConfig {
        seed: 1,
        count_by: CountBy::Destination,
        ..SmscConfig::default()
    };
    let smsc = start(config).await;
    behave(
        &smsc,
        "faults.disconnect_after = [40, 60]\nreceipts.enabled = false",
    );
    let esme = Esme::bind(&smsc).await;
    esme.submit_all(numbered(300)).await;
    let (events, reason, in_flight) = esme.rest().await;
    assert!(
        matches!(reason, CloseReason::PeerClosed | CloseReason::Io(_)),
        "{reason:?}"
    );

    let answered = |event: &Event| matches!(event, Event::Response { .. });
    let answers = events.iter().filter(|event| answered(event)).count();
    assert_eq!(answers + in_flight.len(), 300);
    let counts = smsc.counts();
    assert_eq!(counts.cuts, 1);
    let doubtful: HashSet<u64> = in_flight.into_iter().collect();
    let taken: HashSet<u64> = smsc
        .counts_by_message()
        .into_iter()
        .filter(|(_, message_counts)| message_counts.taken > 0)
        .map(|(key, _)| key)
        .collect();
    let taken_in_doubt = taken
        .iter()
        .filter(|key| doubtful.contains(&(*key % 1_000_000_000)))
        .count();
    assert!(
        taken_in_doubt > 0,
        "some were taken that the client cannot know of"
    );
    assert!(taken.len() < 300, "and some were not");
}

#[tokio::test]
async fn a_number_can_cut_the_connection() {
    let smsc = start_with("[[rules]]\nprefix = \"4477\"\ninstead = \"disconnect_untaken\"").await;
    let mut esme = Esme::bind(&smsc).await;
    esme.submit(1, "15550100").await;
    esme.answered().await;
    esme.submit(2, NUMBER).await;
    let (_, _, in_flight) = esme.rest().await;
    assert_eq!((in_flight, smsc.counts().taken), (vec![2], 1));
}

#[tokio::test]
async fn a_connection_is_cut_after_a_time_and_the_time_starts_again() {
    let smsc = start_with("faults.disconnect_after_ms = [20, 40]").await;
    for _ in 0..2 {
        let (_, reason, _) = Esme::bind(&smsc).await.rest().await;
        assert!(
            matches!(reason, CloseReason::PeerClosed | CloseReason::Io(_)),
            "{reason:?}"
        );
    }
    assert_eq!(smsc.counts().cuts, 2);
}

#[tokio::test]
async fn garbage_comes_and_the_session_goes_on() {
    let smsc = start_with("faults.garbage_after = 1\nreceipts.enabled = false").await;
    let mut esme = Esme::bind(&smsc).await;
    let mut odd = 0;
    for token in 0..20 {
        esme.submit(token, NUMBER).await;
        loop {
            match esme.next().await {
                Event::Response { status, .. } => break assert_eq!(status, CommandStatus::ROK),
                Event::Rejected { .. } | Event::Unmatched(_) | Event::Deliver { .. } => odd += 1,
                other => panic!("{other:?}"),
            }
        }
    }
    assert!(odd >= 19, "{odd}");
    assert_eq!(smsc.counts().garbage, 20);
}

#[tokio::test]
async fn each_garbage_can_be_ordered_and_a_broken_length_ends_the_session() {
    let smsc = start_with("").await;
    let mut esme = Esme::bind(&smsc).await;
    for kind in Garbage::HARMLESS {
        smsc.control(Order::Garbage {
            system_id: None,
            kind,
        })
        .unwrap();
        let event = esme.next().await;
        let expected = match kind {
            Garbage::UnknownCommand | Garbage::BrokenBody => matches!(event, Event::Rejected { .. }),
            Garbage::UnknownResponse => matches!(event, Event::Unmatched(_)),
            _ => matches!(event, Event::Deliver { .. }),
        };
        assert!(expected, "{kind:?}: {event:?}");
    }
    smsc.control(Order::Garbage {
        system_id: None,
        kind: Garbage::BrokenLength,
    })
    .unwrap();
    let (_, reason, _) = esme.rest().await;
    assert!(matches!(reason, CloseReason::BrokenLength(_)), "{reason:?}");
}

#[tokio::test]
async fn a_slow_peer_that_writes_octet_by_octet_is_still_understood() {
    let smsc =
        start_with("faults = { read_pause_ms = 2, write_octets_max = 3 }\nreceipts.enabled = false").await;
    let mut esme = Esme::bind(&smsc).await;
    esme.submit_all(numbered(5)).await;
    for token in 0..5 {
        assert_eq!(esme.answered().await.token, token);
    }
}

#[tokio::test]
async fn a_carrier_that_leaves_refuses_connections_until_it_returns() {
    let smsc = start_with("").await;
    let esme = Esme::bind(&smsc).await;
    smsc.control(Order::Leave).unwrap();
    esme.rest().await;
    until("the port is closed", || {
        std::net::TcpStream::connect(smsc.local_addr()).is_err()
    })
    .await;
    let bind = smpp::pdu::Bind::new(smpp::pdu::BindKind::Transceiver, "esme", "secret");
    assert!(matches!(
        Esme::try_bind(&smsc, bind).await,
        Err(ConnectError::Connect { .. })
    ));
    smsc.control(Order::Return).unwrap();
    until("the port is open", || {
        std::net::TcpStream::connect(smsc.local_addr()).is_ok()
    })
    .await;
    let mut esme = Esme::bind(&smsc).await;
    esme.submit(1, NUMBER).await;
    assert_eq!(esme.answered().await.status, CommandStatus::ROK);
}

#[tokio::test]
async fn a_session_can_be_unbound_in_good_order() {
    let smsc = start_with("").await;
    let esme = Esme::bind(&smsc).await;
    smsc.control(Order::Unbind {
        system_id: Some("esme".into()),
    })
    .unwrap();
    let (_, reason, _) = esme.rest().await;
    assert!(matches!(reason, CloseReason::PeerUnbound), "{reason:?}");
}

#[tokio::test]
async fn it_sends_enquire_link() {
    let smsc = start_with("faults.enquire_link_ms = 5").await;
    let mut esme = Esme::bind(&smsc).await;
    esme.submit(1, NUMBER).await;
    assert_eq!(
        esme.answered().await.status,
        CommandStatus::ROK,
        "answering is the client's own business"
    );
    assert_eq!(smsc.counts().unmatched, 0);
}

#[tokio::test]
async fn stopping_ends_every_session() {
    let smsc = start_with("").await;
    let esme = Esme::bind(&smsc).await;
    smsc.stop().await;
    esme.rest().await;
    assert_eq!(smsc.counts().binds_up, 0);
}
