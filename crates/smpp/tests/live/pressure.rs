//! Many messages, small bounds, slow users: nothing is lost, nothing grows, nothing stalls.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use smpp::connection::Buffers;
use smpp::pdu::{DeliverSm, DeliverSmResp, SubmitSmResp};
use smpp::server::ServerConfig;
use smpp::session::{Event, Reply, Request, Slots};

use super::{Pair, message, soon};

const TINY: Buffers = Buffers {
    queue_max: 1,
    events_max: 1,
    frame_bytes_max: 65536,
    write_bytes_max: 1,
};

#[tokio::test]
async fn a_full_queue_makes_the_sender_wait() {
    let mut pair = Pair::new(|config| {
        config.session.window_max = 2;
        config.buffers = TINY;
    })
    .await;
    // Two in flight and two in the queue, which is never shorter than the window.
    pair.submit(0..4).await;
    let arrived = pair.round_trip().await;
    let Some(Event::Submit { sequence, .. }) = arrived.first() else {
        panic!("{arrived:?}")
    };
    let client = pair.client.clone();
    let mut more = pin!(client.send_batch(vec![Request::new(4, message(4))]));
    let waits = poll_fn(|cx| Poll::Ready(more.as_mut().poll(cx).is_pending())).await;
    assert!(waits, "the queue is full");
    pair.answer(*sequence);
    assert_eq!(pair.client_inbox.response().await.0, 0);
    soon(more).await.expect("room after one was answered");
}

#[tokio::test]
async fn traffic_both_ways_through_tiny_buffers_does_not_stall() {
    const MESSAGES: u64 = 2000;
    let server = ServerConfig {
        buffers: TINY,
        ..ServerConfig::default()
    };
    let pair = Pair::with(server, |config| {
        config.buffers = TINY;
        config.session.slots = Slots::OnRelease;
        config.session.window_max = 7;
    })
    .await;
    let Pair {
        client,
        mut client_inbox,
        session,
        mut session_inbox,
        ..
    } = pair;

    let submitter = client.clone();
    let submitting = tokio::spawn(async move {
        for token in 0..MESSAGES {
            submitter
                .send_batch(vec![Request::new(token, message(token))])
                .await
                .expect("open");
        }
    });
    let deliverer = session.clone();
    let delivering = tokio::spawn(async move {
        for token in 0..MESSAGES {
            deliverer
                .send_batch(vec![Request::new(token, DeliverSm::default())])
                .await
                .expect("open");
        }
    });
    let serving = tokio::spawn(async move {
        let (mut submitted, mut delivered) = (0, 0);
        while submitted < MESSAGES || delivered < MESSAGES {
            match session_inbox.next().await {
                Event::Submit { sequence, .. } => {
                    submitted += 1;
                    session.respond(vec![Reply::ok(sequence, SubmitSmResp::new("1"))]);
                }
                Event::Response { .. } => delivered += 1,
                other => panic!("{other:?}"),
            }
        }
        (session, session_inbox)
    });
    let (mut answered, mut received) = (Vec::new(), 0);
    while (answered.len() as u64) < MESSAGES || received < MESSAGES {
        match client_inbox.next().await {
            Event::Response { token, status, .. } => {
                assert!(status.is_ok());
                answered.push(token);
                client.release(1);
            }
            Event::Deliver { sequence, .. } => {
                received += 1;
                client.respond(vec![Reply::ok(sequence, DeliverSmResp::default())]);
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(answered.iter().copied().eq(0..MESSAGES), "in order, each once");
    soon(submitting).await.expect("all handed in");
    soon(delivering).await.expect("all handed in");
    soon(serving).await.expect("all served");
    assert_eq!(client.window_free(), 7);
}

#[tokio::test]
async fn a_user_who_takes_no_events_stops_the_reading_and_loses_nothing() {
    const DELIVERIES: u64 = 20_000;
    let mut config = ServerConfig::default();
    config.session.window_max = 20_000;
    config.buffers.queue_max = 20_000;
    let mut pair = Pair::with(config, |config| {
        config.buffers.events_max = 16;
        config.session.inbound_max = 20_000;
    })
    .await;
    let deliver = DeliverSm {
        short_message: vec![b'x'; 200].into(),
        ..DeliverSm::default()
    };
    let requests = (0..DELIVERIES)
        .map(|token| Request::new(token, deliver.clone()))
        .collect();
    soon(pair.session.send_batch(requests))
        .await
        .expect("room for all");
    // Everything waits in the mailbox, the driver and the kernel; now the events are taken one by one.
    for _ in 0..DELIVERIES {
        match pair.client_inbox.next().await {
            Event::Deliver { sequence, .. } => {
                pair.client
                    .respond(vec![Reply::ok(sequence, DeliverSmResp::default())]);
            }
            other => panic!("{other:?}"),
        }
    }
    for token in 0..DELIVERIES {
        assert_eq!(pair.session_inbox.response().await.0, token);
    }
}

#[tokio::test]
async fn a_handle_may_be_used_from_many_tasks() {
    const TASKS: u64 = 8;
    const EACH: u64 = 200;
    let pair = Pair::new(|config| config.session.window_max = 50).await;
    let Pair {
        client,
        mut client_inbox,
        session,
        mut session_inbox,
        ..
    } = pair;
    let senders: Vec<_> = (0..TASKS)
        .map(|task| {
            let client = client.clone();
            tokio::spawn(async move {
                for chunk in 0..EACH / 10 {
                    let first = task * EACH + chunk * 10;
                    let batch = (first..first + 10).map(|token| Request::new(token, message(token)));
                    client.send_batch(batch.collect()).await.expect("open");
                }
            })
        })
        .collect();
    let serving = tokio::spawn(async move {
        for _ in 0..TASKS * EACH {
            let (sequence, _) = session_inbox.submit().await;
            session.respond(vec![Reply::ok(sequence, SubmitSmResp::new("1"))]);
        }
        (session, session_inbox)
    });
    let mut tokens = Vec::new();
    for _ in 0..TASKS * EACH {
        tokens.push(client_inbox.response().await.0);
    }
    tokens.sort_unstable();
    assert!(tokens.into_iter().eq(0..TASKS * EACH));
    for sender in senders {
        soon(sender).await.expect("no panic");
    }
    soon(serving).await.expect("no panic");
}
