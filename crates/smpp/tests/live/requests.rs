//! Requests, responses and the window between them.

use std::time::Duration;

use smpp::field::{EsmClass, Ton};
use smpp::pdu::{BindKind, DeliverSmResp, Pdu, QuerySm, QuerySmResp, SubmitMulti, SubmitSm, SubmitSmResp};
use smpp::session::{Event, Refusal, Reply, Request, Slots};
use smpp::{CommandId, CommandStatus};

use super::{Pair, message};

#[tokio::test]
async fn a_message_arrives_and_its_answer_comes_back() {
    let mut pair = Pair::new(|_| {}).await;
    pair.submit(7..8).await;
    let (sequence, received) = pair.session_inbox.submit().await;
    assert_eq!(received, message(7));
    assert_eq!(received.source.ton, Ton::ALPHANUMERIC);
    pair.session
        .respond(vec![Reply::ok(sequence, SubmitSmResp::new("0A1B"))]);
    let event = pair.client_inbox.next().await;
    let Event::Response {
        token: 7,
        status,
        pdu: Pdu::SubmitSmResp(resp),
    } = event
    else {
        panic!("{event:?}")
    };
    assert!(status.is_ok());
    assert_eq!(resp.message_id, "0A1B");
}

#[tokio::test]
async fn the_window_is_never_exceeded_and_answers_make_room() {
    let mut pair = Pair::new(|config| config.session.window_max = 2).await;
    pair.submit(0..5).await;
    assert_eq!(pair.client.window_free(), 0);
    let before = pair.round_trip().await;
    let mut sequences: Vec<u32> = before
        .iter()
        .filter_map(|event| {
            if let Event::Submit { sequence, .. } = event {
                Some(*sequence)
            } else {
                None
            }
        })
        .collect();
    assert_eq!((sequences.len(), before.len()), (2, 2), "no more than the window");
    // Responds in reverse order.
    pair.answer(sequences.pop().expect("two"));
    pair.answer(sequences.pop().expect("two"));
    let mut tokens = vec![
        pair.client_inbox.response().await.0,
        pair.client_inbox.response().await.0,
    ];
    assert_eq!(tokens, [1, 0]);
    for _ in 2..5 {
        pair.answer_next().await;
        tokens.push(pair.client_inbox.response().await.0);
    }
    assert_eq!(tokens[2..], [2, 3, 4]);
    assert_eq!(pair.client.window_free(), 2);
}

#[tokio::test]
async fn with_slots_on_release_nothing_leaves_until_results_are_released() {
    let mut pair = Pair::new(|config| {
        config.session.window_max = 2;
        config.session.slots = Slots::OnRelease;
    })
    .await;
    pair.submit(0..3).await;
    pair.answer_next().await;
    pair.answer_next().await;
    assert_eq!(pair.client_inbox.response().await.0, 0);
    assert_eq!(pair.client_inbox.response().await.0, 1);
    assert!(pair.round_trip().await.is_empty(), "answered, but not released");
    pair.client.release(2);
    assert_eq!(
        pair.client.window_free(),
        1,
        "one is queued and has a slot coming"
    );
    pair.answer_next().await;
    assert_eq!(pair.client_inbox.response().await.0, 2);
}

#[tokio::test]
async fn an_unanswered_request_times_out_and_a_late_answer_is_reported() {
    let mut pair = Pair::new(|config| {
        config.session.window_max = 1;
        config.session.response_timeout = Duration::from_millis(30);
    })
    .await;
    pair.submit(1..2).await;
    let (sequence, _) = pair.session_inbox.submit().await;
    assert!(matches!(
        pair.client_inbox.next().await,
        Event::TimedOut { token: 1 }
    ));
    pair.answer(sequence);
    let late = pair.client_inbox.next().await;
    let Event::LateResponse {
        token: 1,
        status,
        pdu: Pdu::SubmitSmResp(resp),
    } = late
    else {
        panic!("{late:?}")
    };
    assert!(status.is_ok() && resp.message_id == sequence.to_string().as_str());
}

#[tokio::test]
async fn an_error_answer_carries_its_status() {
    let mut pair = Pair::new(|_| {}).await;
    pair.submit(1..2).await;
    let (sequence, _) = pair.session_inbox.submit().await;
    pair.session.respond(vec![Reply::error(
        sequence,
        CommandId::SUBMIT_SM,
        CommandStatus::RTHROTTLED,
    )]);
    assert_eq!(pair.client_inbox.response().await, (1, CommandStatus::RTHROTTLED));
}

#[tokio::test]
async fn deliveries_wait_for_the_clients_answer() {
    let mut pair = Pair::new(|_| {}).await;
    let receipt = smpp::pdu::DeliverSm {
        esm_class: EsmClass::DELIVERY_RECEIPT,
        short_message: "id:1 stat:DELIVRD".into(),
        ..smpp::pdu::DeliverSm::default()
    };
    let requests = vec![Request::new(8, receipt.clone()), Request::new(9, receipt.clone())];
    pair.session.send_batch(requests).await.expect("not over yet");
    let mut sequences = Vec::new();
    while sequences.len() < 2 {
        let event = pair.client_inbox.next().await;
        let Event::Deliver { sequence, pdu } = event else {
            panic!("{event:?}")
        };
        assert_eq!(pdu, receipt);
        sequences.push(sequence);
    }
    pair.client.respond(vec![
        Reply::error(sequences[1], CommandId::DELIVER_SM, CommandStatus::RX_T_APPN),
        Reply::ok(sequences[0], DeliverSmResp::default()),
    ]);
    assert_eq!(pair.session_inbox.response().await, (9, CommandStatus::RX_T_APPN));
    assert_eq!(pair.session_inbox.response().await, (8, CommandStatus::ROK));
}

#[tokio::test]
async fn other_requests_have_their_own_answers() {
    let mut pair = Pair::new(|_| {}).await;
    let query = QuerySm {
        message_id: "9".into(),
        ..QuerySm::default()
    };
    let requests = vec![
        Request::new(1, query.clone()),
        Request::new(2, SubmitMulti::default()),
    ];
    pair.client.send_batch(requests).await.expect("not over yet");
    let event = pair.session_inbox.next().await;
    let Event::Request {
        sequence,
        pdu: Pdu::QuerySm(received),
    } = event
    else {
        panic!("{event:?}")
    };
    assert_eq!(received, query);
    let resp = QuerySmResp {
        message_id: "9".into(),
        ..QuerySmResp::default()
    };
    pair.session.respond(vec![Reply::ok(sequence, resp.clone())]);
    let event = pair.client_inbox.next().await;
    assert!(matches!(event, Event::Response { token: 1, pdu: Pdu::QuerySmResp(got), .. } if got == resp));
    let event = pair.session_inbox.next().await;
    let Event::Request { sequence, pdu } = event else {
        panic!("{event:?}")
    };
    pair.session.respond(vec![Reply::error(
        sequence,
        pdu.command(),
        CommandStatus::RCNTSUBDL,
    )]);
    assert_eq!(pair.client_inbox.response().await, (2, CommandStatus::RCNTSUBDL));
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_and_takes_no_slot() {
    let mut pair = Pair::new(|config| {
        config.session.window_max = 1;
        config.bind.kind = BindKind::Transmitter;
    })
    .await;
    let too_long = SubmitSm {
        short_message: vec![b'x'; 255].into(),
        ..message(1)
    };
    let delivery = smpp::pdu::DeliverSm::default();
    pair.client
        .send_batch(vec![
            Request::new(1, too_long),
            Request::new(2, delivery),
            Request::new(3, message(3)),
        ])
        .await
        .expect("not over yet");
    assert!(matches!(
        pair.client_inbox.next().await,
        Event::Refused {
            token: 1,
            why: Refusal::Encode(_)
        }
    ));
    assert!(matches!(
        pair.client_inbox.next().await,
        Event::Refused {
            token: 2,
            why: Refusal::BindState(CommandId::DELIVER_SM)
        }
    ));
    pair.answer_next().await;
    assert_eq!(pair.client_inbox.response().await.0, 3);
    assert_eq!(pair.client.window_free(), 1);
}

#[tokio::test]
async fn an_answer_that_cannot_be_encoded_becomes_a_system_error() {
    let mut pair = Pair::new(|_| {}).await;
    pair.submit(1..2).await;
    let (sequence, _) = pair.session_inbox.submit().await;
    pair.session
        .respond(vec![Reply::ok(sequence, SubmitSmResp::new("x".repeat(65)))]);
    assert_eq!(pair.client_inbox.response().await, (1, CommandStatus::RSYSERR));
}
