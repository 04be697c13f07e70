//! How sessions begin and end over a socket, and the outcome of their requests.

use std::time::Duration;

use smpp::CommandStatus;
use smpp::client::{ConnectError, Unsent};
use smpp::server::ServerConfig;
use smpp::session::{Event, Request};
use tokio::net::TcpListener;

use super::{Pair, Server, message, soon};

#[tokio::test]
async fn the_smsc_names_itself() {
    let server = Server::start(ServerConfig::default(), None).await;
    let bound = server.connect(|_| {}).await.expect("bound");
    assert_eq!(bound.resp.system_id, "smsc");
    assert_eq!(
        bound.resp.tlvs.sc_interface_version(),
        Some(smpp::field::InterfaceVersion::V3_4)
    );
    assert_eq!(bound.peer.to_string(), server.address);
}

#[tokio::test]
async fn a_refused_bind_carries_its_status() {
    let server = Server::start(ServerConfig::default(), None).await;
    let refused = server
        .connect(|config| config.bind.password = "wrong".into())
        .await;
    assert!(
        matches!(refused, Err(ConnectError::Refused(CommandStatus::RINVPASWD))),
        "{refused:?}"
    );
}

#[tokio::test]
async fn an_smsc_that_does_not_answer_the_bind_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let mut server = Server::start(ServerConfig::default(), None).await;
    server.address = listener.local_addr().expect("bound").to_string();
    let silent = server
        .connect(|config| config.bind_timeout = Duration::from_millis(20))
        .await;
    assert!(matches!(silent, Err(ConnectError::BindTimeout(_))), "{silent:?}");
    drop(listener);
    let gone = server.connect(|_| {}).await;
    assert!(matches!(gone, Err(ConnectError::Connect { .. })), "{gone:?}");
}

#[tokio::test]
async fn a_name_without_address_says_so() {
    let mut server = Server::start(ServerConfig::default(), None).await;
    server.address = "no-port-here".to_owned();
    let nowhere = server.connect(|_| {}).await;
    assert!(
        matches!(nowhere, Err(ConnectError::Resolve { .. })),
        "{nowhere:?}"
    );
}

#[tokio::test]
async fn a_connection_that_does_not_bind_is_dropped() {
    let config = ServerConfig {
        bind_timeout: Duration::from_millis(20),
        ..ServerConfig::default()
    };
    let server = Server::start(config, None).await;
    let mut idle = tokio::net::TcpStream::connect(&server.address)
        .await
        .expect("connected");
    let mut nothing = [0; 1];
    let read = soon(tokio::io::AsyncReadExt::read(&mut idle, &mut nothing)).await;
    assert_eq!(read.ok(), Some(0));
}

#[tokio::test]
async fn no_more_connections_than_allowed() {
    let config = ServerConfig {
        connections_max: 1,
        ..ServerConfig::default()
    };
    let mut server = Server::start(config, None).await;
    let first = server.connect(|_| {}).await.expect("bound");
    let (_session, mut inbox) = server.session().await;
    let second = server.connect(|_| {}).await;
    assert!(matches!(second, Err(ConnectError::Lost(_))), "{second:?}");
    first.client.unbind_and_drain(Duration::ZERO).await;
    assert_eq!(inbox.closed().await.0, "the peer unbound");
    // The slot is free as soon as the handler has returned, which the client cannot see: retry until it is.
    soon(async { while server.connect(|_| {}).await.is_err() {} }).await;
}

#[tokio::test]
async fn a_lost_connection_reports_what_is_in_doubt_and_what_was_not_sent() {
    let mut pair = Pair::new(|config| config.session.window_max = 3).await;
    pair.submit(0..6).await;
    pair.answer_next().await;
    assert_eq!(pair.client_inbox.response().await.0, 0);
    for _ in 0..3 {
        pair.session_inbox.submit().await;
    }
    pair.session.close();
    let (reason, in_flight, unsent) = pair.client_inbox.closed().await;
    assert!(
        reason.starts_with("the peer closed") || reason.starts_with("connection lost"),
        "{reason}"
    );
    assert_eq!((in_flight, unsent), (vec![1, 2, 3], vec![4, 5]));
    assert!(pair.client_inbox.is_over().await);
    assert_eq!(pair.session_inbox.closed().await.0, "closed");

    let Err(Unsent(back)) = pair.client.send_batch(vec![Request::new(9, message(9))]).await else {
        panic!("a session that is over takes nothing");
    };
    assert_eq!(back[0].token, 9);
    assert!(pair.client.is_closed());
}

#[tokio::test]
async fn an_unbind_lets_what_is_in_flight_be_answered_first() {
    let mut pair = Pair::new(|config| config.session.window_max = 2).await;
    pair.submit(0..4).await;
    let (first, _) = pair.session_inbox.submit().await;
    let (second, _) = pair.session_inbox.submit().await;
    let client = pair.client.clone();
    let unbound = tokio::spawn(async move { client.unbind_and_drain(Duration::from_secs(10)).await });
    pair.answer(second);
    pair.answer(first);
    assert_eq!(pair.client_inbox.response().await.0, 1);
    assert_eq!(pair.client_inbox.response().await.0, 0);
    soon(unbound).await.expect("no panic");
    let (reason, in_flight, unsent) = pair.client_inbox.closed().await;
    assert_eq!((reason.as_str(), in_flight), ("unbound", vec![]));
    // Whether the queue moved up before or after the unbind arrived, every request has an outcome.
    let arrived = loop {
        match pair.session_inbox.next().await {
            Event::Closed { reason, .. } => break reason.to_string(),
            Event::Submit { .. } => panic!("nothing leaves while draining"),
            _ => {}
        }
    };
    assert_eq!((arrived.as_str(), unsent), ("the peer unbound", vec![2, 3]));
}

#[tokio::test]
async fn an_unbind_does_not_wait_for_ever() {
    let mut pair = Pair::new(|_| {}).await;
    pair.submit(1..2).await;
    pair.session_inbox.submit().await;
    soon(pair.client.unbind_and_drain(Duration::from_millis(20))).await;
    let (reason, in_flight, _) = pair.client_inbox.closed().await;
    assert_eq!((reason.as_str(), in_flight), ("unbound", vec![1]));
}

#[tokio::test]
async fn a_server_that_shuts_down_unbinds_its_sessions() {
    let mut pair = Pair::new(|_| {}).await;
    pair.submit(1..2).await;
    let (sequence, _) = pair.session_inbox.submit().await;
    pair.server.stop.take();
    pair.answer(sequence);
    assert_eq!(pair.client_inbox.response().await.0, 1);
    assert_eq!(pair.client_inbox.closed().await.0, "the peer unbound");
    assert_eq!(pair.session_inbox.closed().await.0, "unbound");
    soon(pair.server.task).await.expect("the server has returned");
}

#[tokio::test]
async fn dropping_the_events_closes_the_connection() {
    let mut pair = Pair::new(|_| {}).await;
    drop(pair.client_inbox);
    soon(pair.client.closed()).await;
    let (reason, ..) = pair.session_inbox.closed().await;
    assert!(
        reason.starts_with("the peer closed") || reason.starts_with("connection lost"),
        "{reason}"
    );
}

#[tokio::test]
async fn dropping_the_last_handle_unbinds() {
    let mut pair = Pair::new(|_| {}).await;
    let other = pair.client.clone();
    drop(pair.client);
    assert!(!other.is_closed(), "one is left");
    drop(other);
    assert_eq!(pair.client_inbox.closed().await.0, "unbound");
    assert_eq!(pair.session_inbox.closed().await.0, "the peer unbound");
}

#[tokio::test]
async fn a_peer_that_stays_silent_is_given_up() {
    let mut server = Server::start(ServerConfig::default(), None).await;
    // Accepts the bind by hand, and then sends nothing, not even an enquire_link_resp.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    server.address = listener.local_addr().expect("bound").to_string();
    let mute = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.expect("a connection");
        let mut bind = [0; 256];
        let _ = tokio::io::AsyncReadExt::read(&mut socket, &mut bind).await;
        let resp = [&[0, 0, 0, 17, 0x80, 0, 0, 9, 0, 0, 0, 0][..], &bind[12..16], &[0]].concat();
        tokio::io::AsyncWriteExt::write_all(&mut socket, &resp)
            .await
            .expect("still there");
        std::future::pending::<()>().await;
    });
    let bound = server
        .connect(|config| {
            config.session.enquire_link_interval = Some(Duration::from_millis(10));
            config.session.enquire_link_timeout = Duration::from_millis(10);
        })
        .await
        .expect("bound");
    let mut inbox = super::Inbox::new(bound.events);
    assert_eq!(inbox.closed().await.0, "no answer to enquire_link");
    mute.abort();
}
