//! The listener against clients that behave badly, over raw sockets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests stop at the first surprise, as tests do"
)]

use api::serve::{Certificate, ServeLimits, ServeMetrics, Stopped, serve};
use axum::Router;
use axum::body::Body;
use axum::routing::{get, post};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// How long anything that must happen may take.
const SOON: Duration = Duration::from_secs(10);
/// Longer than any test: bounds that must not be what a test observes.
const NEVER_MS: u64 = 600_000;

const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

/// What the handlers of the test router share with the test.
#[derive(Default)]
struct Gate {
    open: Notify,
    began: Notify,
    finished: AtomicUsize,
}

struct Running {
    addr: SocketAddr,
    metrics: ServeMetrics,
    shutdown: CancellationToken,
    stopped: JoinHandle<Stopped>,
    gate: Arc<Gate>,
}

fn router(gate: &Arc<Gate>) -> Router {
    let held = Arc::clone(gate);
    let hold = move || async move {
        held.began.notify_one();
        held.open.notified().await;
        held.finished.fetch_add(1, Ordering::SeqCst);
        "held"
    };
    let read = |body: Body| async move {
        match axum::body::to_bytes(body, 1 << 20).await {
            Ok(bytes) => format!("read {}", bytes.len()),
            Err(_) => "unreadable".to_owned(),
        }
    };
    Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/hold", get(hold))
        .route("/read", post(read))
        .route("/ignore", post(|| async { "ignored" }))
        .route("/large", get(|| async { vec![b'x'; 64 << 20] }))
}

async fn start_with(limits: ServeLimits, tls: Option<TlsAcceptor>) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (metrics, shutdown, gate) = (
        ServeMetrics::default(),
        CancellationToken::new(),
        Arc::new(Gate::default()),
    );
    let stopped = tokio::spawn(serve(
        listener,
        router(&gate),
        limits,
        tls,
        metrics.clone(),
        shutdown.clone(),
    ));
    Running {
        addr,
        metrics,
        shutdown,
        stopped,
        gate,
    }
}

async fn start(limits: ServeLimits) -> Running {
    start_with(limits, None).await
}

/// Limits none of which is reached unless a test sets it.
fn patient() -> ServeLimits {
    ServeLimits {
        header_read_timeout_ms: NEVER_MS,
        request_timeout_ms: NEVER_MS,
        keep_alive_idle_ms: NEVER_MS,
        ..ServeLimits::default()
    }
}

impl Running {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.addr).await.unwrap()
    }

    async fn stop(self) -> Stopped {
        self.shutdown.cancel();
        timeout(SOON, self.stopped)
            .await
            .expect("the listener stops")
            .unwrap()
    }
}

async fn send(stream: &mut (impl AsyncWrite + Unpin), text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
}

/// Reads one answer with a `Content-Length`: its status line and its body.
async fn answer(stream: &mut (impl AsyncRead + Unpin)) -> (String, String) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut octet = [0];
        let n = timeout(SOON, stream.read(&mut octet))
            .await
            .expect("an answer in time")
            .unwrap();
        assert_eq!(
            n,
            1,
            "the connection ended within the head {:?}",
            String::from_utf8_lossy(&head)
        );
        head.push(octet[0]);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .unwrap_or("0");
    let mut body = vec![0; length.parse().unwrap()];
    timeout(SOON, stream.read_exact(&mut body))
        .await
        .expect("a body in time")
        .unwrap();
    (
        head.lines().next().unwrap().to_owned(),
        String::from_utf8(body).unwrap(),
    )
}

/// Waits until the other side closes; whether it did so in order or with a reset.
async fn closed(stream: &mut (impl AsyncRead + Unpin)) {
    let mut rest = Vec::new();
    let _ = timeout(SOON, stream.read_to_end(&mut rest))
        .await
        .expect("the connection is closed in time");
    assert!(rest.is_empty(), "unexpected: {}", String::from_utf8_lossy(&rest));
}

async fn assert_served(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    send(stream, GET).await;
    assert_eq!(answer(stream).await, ("http/1.1 200 ok".into(), "hello".into()));
}

#[tokio::test]
async fn requests_on_one_connection_are_answered_in_order_also_when_pipelined() {
    let running = start(patient()).await;
    let mut client = running.connect().await;
    assert_served(&mut client).await;
    // The last is not complete yet: the others are answered without waiting for it.
    let (begun, rest) = GET.split_at(7);
    send(
        &mut client,
        &format!("{GET}POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc{begun}"),
    )
    .await;
    assert_eq!(answer(&mut client).await.1, "hello");
    assert_eq!(answer(&mut client).await.1, "read 3");
    send(&mut client, rest).await;
    assert_eq!(answer(&mut client).await.1, "hello");
    drop(client);
    assert_eq!(running.stop().await, Stopped { cut: 0 });
}

#[tokio::test]
async fn a_head_that_does_not_end_is_cut_off_in_time() {
    let running = start(ServeLimits {
        header_read_timeout_ms: 100,
        ..patient()
    })
    .await;
    let mut silent = running.connect().await;
    let mut slow = running.connect().await;
    send(&mut slow, "GET / HTTP/1.1\r\nHost:").await;
    let mut second = running.connect().await;
    assert_served(&mut second).await;
    send(&mut second, "GET / HTTP/1.1\r\n").await;
    closed(&mut silent).await;
    closed(&mut slow).await;
    closed(&mut second).await;
    assert_eq!(running.metrics.timed_out.get(), 3);
}

#[tokio::test]
async fn an_idle_connection_is_closed_in_time() {
    let running = start(ServeLimits {
        keep_alive_idle_ms: 100,
        ..patient()
    })
    .await;
    let mut client = running.connect().await;
    assert_served(&mut client).await;
    closed(&mut client).await;
    assert_eq!(running.metrics.timed_out.get(), 1);
}

#[tokio::test]
async fn a_full_listener_closes_the_connection_idle_longest() {
    let running = start(ServeLimits {
        connections_max: 3,
        ..patient()
    })
    .await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = running.connect().await;
        assert_served(&mut client).await;
        clients.push(client);
        // Idle times are counted in milliseconds: the next one's begins later than this one's.
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    assert_served(&mut clients[0]).await;
    let mut fourth = running.connect().await;
    assert_served(&mut fourth).await;
    closed(&mut clients[1]).await;
    assert_served(&mut clients[0]).await;
    assert_served(&mut clients[2]).await;
    assert_eq!(running.metrics.evicted.get(), 1);
}

#[tokio::test]
async fn slow_heads_cannot_fill_the_listener() {
    let running = start(ServeLimits {
        connections_max: 4,
        ..patient()
    })
    .await;
    let mut slow = Vec::new();
    for _ in 0..4 {
        let mut client = running.connect().await;
        send(&mut client, "GET / HTTP/1.1\r\nX-Slow: ").await;
        slow.push(client);
    }
    let mut honest = running.connect().await;
    assert_served(&mut honest).await;
    assert_eq!(running.metrics.evicted.get(), 1);
    assert_eq!(running.metrics.connections.get(), 4);
}

#[tokio::test]
async fn when_all_are_at_work_the_next_waits_its_turn() {
    let running = start(ServeLimits {
        connections_max: 1,
        ..patient()
    })
    .await;
    let mut first = running.connect().await;
    send(&mut first, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n").await;
    timeout(SOON, running.gate.began.notified()).await.unwrap();
    let mut second = running.connect().await;
    send(&mut second, GET).await;
    let mut octet = [0];
    let early = timeout(Duration::from_millis(300), second.read(&mut octet)).await;
    assert!(early.is_err(), "the second was served beside the first");
    running.gate.open.notify_one();
    assert_eq!(answer(&mut first).await.1, "held");
    // The first is idle now and makes room.
    assert_eq!(answer(&mut second).await.1, "hello");
    closed(&mut first).await;
}

#[tokio::test]
async fn heads_beyond_their_bounds_are_answered_431() {
    let running = start(ServeLimits {
        headers_max: 20,
        header_bytes_max: 8192,
        ..patient()
    })
    .await;
    let long = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(1 << 20));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(21));
    for head in [long, many] {
        let mut client = running.connect().await;
        // The listener need not read it all before it answers.
        send(&mut client, &head).await;
        let (status, _) = answer(&mut client).await;
        assert!(status.starts_with("http/1.1 431"), "{status}");
    }
    let mut garbage = running.connect().await;
    send(&mut garbage, "\x16\x03\x01 not http\r\n\r\n").await;
    let (status, _) = answer(&mut garbage).await;
    assert!(status.starts_with("http/1.1 400"), "{status}");
}

#[tokio::test]
async fn a_client_that_half_closes_still_gets_its_answer() {
    let running = start(patient()).await;
    let mut client = running.connect().await;
    send(&mut client, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n").await;
    client.shutdown().await.unwrap();
    timeout(SOON, running.gate.began.notified()).await.unwrap();
    running.gate.open.notify_one();
    assert_eq!(answer(&mut client).await.1, "held");
    closed(&mut client).await;
}

#[tokio::test]
async fn a_request_is_finished_although_its_client_went_away() {
    let running = start(patient()).await;
    let mut client = running.connect().await;
    send(&mut client, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n").await;
    timeout(SOON, running.gate.began.notified()).await.unwrap();
    drop(client);
    running.gate.open.notify_one();
    let gate = Arc::clone(&running.gate);
    assert_eq!(running.stop().await, Stopped { cut: 0 });
    assert_eq!(gate.finished.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_body_that_does_not_end_fails_its_request_alone() {
    let running = start(ServeLimits {
        request_timeout_ms: 100,
        ..patient()
    })
    .await;
    let mut client = running.connect().await;
    send(
        &mut client,
        "POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc",
    )
    .await;
    assert_eq!(
        answer(&mut client).await,
        ("http/1.1 200 ok".into(), "unreadable".into())
    );
    closed(&mut client).await;
}

#[tokio::test]
async fn an_answer_is_readable_although_the_body_was_not_read() {
    let running = start(patient()).await;
    for path in ["/ignore", "/read"] {
        let mut client = running.connect().await;
        // Far more than socket buffers hold: a close over it would reset the connection under the answer.
        let body = "x".repeat(8 << 20);
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        send(&mut client, &head).await;
        send(&mut client, &body).await;
        let (status, text) = answer(&mut client).await;
        assert_eq!(
            (status.as_str(), text.len()),
            ("http/1.1 200 ok", if path == "/ignore" { 7 } else { 10 })
        );
        client.shutdown().await.unwrap();
        closed(&mut client).await;
    }
}

#[tokio::test]
async fn a_chunked_body_is_read_and_the_connection_kept() {
    let running = start(patient()).await;
    let mut client = running.connect().await;
    send(
        &mut client,
        "POST /read HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
    )
    .await;
    assert_eq!(answer(&mut client).await.1, "read 2");
    assert_served(&mut client).await;
}

#[tokio::test]
async fn a_client_that_does_not_read_its_answer_is_let_go() {
    let running = start(ServeLimits {
        keep_alive_idle_ms: 200,
        ..patient()
    })
    .await;
    let mut client = running.connect().await;
    send(&mut client, "GET /large HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let gone = async {
        while running.metrics.connections.get() != 0 || running.metrics.timed_out.get() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, gone).await.expect("the connection is let go");
}

#[tokio::test]
async fn stopping_finishes_what_was_begun_and_closes_what_is_idle() {
    let running = start(patient()).await;
    let mut idle = running.connect().await;
    assert_served(&mut idle).await;
    let mut fresh = running.connect().await;
    let mut busy = running.connect().await;
    send(&mut busy, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n").await;
    timeout(SOON, running.gate.began.notified()).await.unwrap();
    running.shutdown.cancel();
    closed(&mut idle).await;
    closed(&mut fresh).await;
    let refused = TcpStream::connect(running.addr).await;
    assert!(refused.is_err(), "a stopping listener takes nobody");
    running.gate.open.notify_one();
    assert_eq!(answer(&mut busy).await.1, "held");
    closed(&mut busy).await;
    assert_eq!(running.stop().await, Stopped { cut: 0 });
}

#[tokio::test]
async fn stopping_cuts_what_takes_longer_than_its_grace() {
    let running = start(ServeLimits {
        stop_grace_ms: 100,
        ..patient()
    })
    .await;
    let mut busy = running.connect().await;
    send(&mut busy, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n").await;
    timeout(SOON, running.gate.began.notified()).await.unwrap();
    assert_eq!(running.stop().await, Stopped { cut: 1 });
    closed(&mut busy).await;
}

struct Identity {
    chain: String,
    key: String,
    der: rustls::pki_types::CertificateDer<'static>,
}

fn identity() -> Identity {
    let made = rcgen::generate_simple_self_signed(vec!["sms.example".to_owned()]).unwrap();
    Identity {
        chain: made.cert.pem(),
        key: made.signing_key.serialize_pem(),
        der: made.cert.der().clone(),
    }
}

/// Shakes hands trusting one certificate alone.
async fn connect_tls(
    running: &Running,
    trusted: &Identity,
) -> std::io::Result<impl AsyncRead + AsyncWrite + Unpin> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(trusted.der.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    connector
        .connect("sms.example".try_into().unwrap(), running.connect().await)
        .await
}

#[tokio::test]
async fn https_is_served_and_a_new_certificate_is_shown_to_new_connections() {
    let (old, new) = (identity(), identity());
    let certificate = Certificate::from_pem(old.chain.as_bytes(), old.key.as_bytes()).unwrap();
    let limits = ServeLimits {
        header_read_timeout_ms: 500,
        ..patient()
    };
    let running = start_with(limits, Some(certificate.acceptor().unwrap())).await;
    let mut before = connect_tls(&running, &old).await.unwrap();
    assert_served(&mut before).await;

    assert!(
        certificate
            .replace(new.chain.as_bytes(), old.key.as_bytes())
            .is_err(),
        "not its key"
    );
    assert!(
        certificate.replace(b"", old.key.as_bytes()).is_err(),
        "no certificate"
    );
    certificate
        .replace(new.chain.as_bytes(), new.key.as_bytes())
        .unwrap();
    assert!(connect_tls(&running, &old).await.is_err());
    let mut after = connect_tls(&running, &new).await.unwrap();
    assert_served(&mut after).await;
    assert_served(&mut before).await;

    let mut silent = running.connect().await;
    closed(&mut silent).await;
    drop((before, after));
    assert_eq!(running.stop().await, Stopped { cut: 0 });
}
