//! Peers that send invalid PDUs.

use bytes::Bytes;
use smpp::pdu::DeliverSm;
use smpp::session::{Event, Request};
use smpp::{CommandId, CommandStatus, Malformed};

use super::Pair;

/// A deliver_sm with sequence 99 that ends before its addresses.
const MALFORMED: &[u8] = &[0, 0, 0, 17, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 99, 0];

#[tokio::test]
async fn a_malformed_delivery_is_answered_and_the_session_goes_on() {
    let mut pair = Pair::new(|_| {}).await;
    pair.session.send_raw(MALFORMED);
    let event = pair.client_inbox.next().await;
    let Event::Rejected {
        header,
        status,
        malformed: Some(Malformed::Truncated { .. }),
    } = event
    else {
        panic!("{event:?}");
    };
    assert_eq!((header.sequence, status), (99, CommandStatus::RINVCMDLEN));
    let event = pair.session_inbox.next().await;
    let Event::Unmatched(answer) = event else {
        panic!("{event:?}")
    };
    assert_eq!(
        (answer.command, answer.status),
        (CommandId::DELIVER_SM_RESP, CommandStatus::RINVCMDLEN)
    );
    pair.submit(1..2).await;
    pair.answer_next().await;
    assert_eq!(pair.client_inbox.response().await.0, 1);
}

#[tokio::test]
async fn an_unknown_command_is_nacked_and_the_session_goes_on() {
    let mut pair = Pair::new(|_| {}).await;
    pair.client
        .send_raw(&[0, 0, 0, 20, 0, 0, 1, 0x11, 0, 0, 0, 0, 0, 0, 0, 5, 1, 2, 3, 4][..]);
    assert!(matches!(pair.session_inbox.next().await, Event::Rejected { .. }));
    let event = pair.client_inbox.next().await;
    let Event::Unmatched(nack) = event else {
        panic!("{event:?}")
    };
    assert_eq!(
        (nack.command, nack.status, nack.sequence),
        (CommandId::GENERIC_NACK, CommandStatus::RINVCMDID, 5)
    );
    assert!(pair.round_trip().await.is_empty());
}

#[tokio::test]
async fn a_broken_length_is_nacked_and_ends_the_session() {
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0, 0, 0, 3], &[0xFF; 64]] {
        let mut pair = Pair::new(|_| {}).await;
        pair.submit(1..2).await;
        pair.session_inbox.submit().await;
        pair.session.send_raw(garbage);
        let (reason, in_flight, _) = pair.client_inbox.closed().await;
        assert!(reason.starts_with("broken frame"), "{reason}");
        assert_eq!(in_flight, [1]);
        let event = pair.session_inbox.next().await;
        let Event::Unmatched(nack) = event else {
            panic!("{event:?}")
        };
        assert_eq!(
            (nack.command, nack.status),
            (CommandId::GENERIC_NACK, CommandStatus::RINVCMDLEN),
            "{garbage:?}"
        );
        assert_eq!(
            pair.session_inbox.closed().await.0,
            "the peer closed the connection"
        );
    }
}

#[tokio::test]
async fn a_pdu_in_many_pieces_is_read_as_one() {
    let mut pair = Pair::new(|_| {}).await;
    for octet in MALFORMED {
        pair.session.send_raw(vec![*octet]);
        // Forces each octet into a TCP segment of its own, as far as the kernel permits.
        tokio::task::yield_now().await;
    }
    assert!(
        matches!(pair.client_inbox.next().await, Event::Rejected { header, .. } if header.sequence == 99)
    );
}

#[tokio::test]
async fn a_delivery_with_the_longest_message_payload_is_read() {
    let mut pair = Pair::new(|_| {}).await;
    let text = Bytes::from(vec![b'a'; usize::from(u16::MAX)]);
    let mut delivery = DeliverSm::default();
    delivery.tlvs.set_message_payload(text.clone());
    pair.session
        .send_batch(vec![Request::new(1, delivery)])
        .await
        .unwrap();
    let event = pair.client_inbox.next().await;
    let Event::Deliver { pdu, .. } = event else {
        panic!("{event:?}");
    };
    assert_eq!(pdu.payload(), &text[..]);
}
