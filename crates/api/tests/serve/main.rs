//! The listener against clients that behave badly, over raw sockets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests stop at the first surprise, as tests do"
)]

mod connections;
mod framing;
mod handshakes;
mod proxies;
mod tls;
mod unverified;

use api::serve::{Client, ServeLimits, ServeMetrics, ServeSettings, Stopped, serve};
use axum::body::Body;
use axum::routing::{get, post};
use axum::{Extension, Router};
use futures_util::StreamExt as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
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
    accepts_begun: AtomicUsize,
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
    let accepting = Arc::clone(gate);
    let accept = move |body: Body| async move {
        if axum::body::to_bytes(body, 1 << 20).await.is_ok() {
            accepting.accepts_begun.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let read = |body: Body| async move {
        match axum::body::to_bytes(body, 1 << 20).await {
            Ok(bytes) => format!("read {}", bytes.len()),
            Err(_) => "unreadable".to_owned(),
        }
    };
    let largest = |body: Body| async move {
        let (mut body, mut largest) = (body.into_data_stream(), 0);
        while let Some(Ok(piece)) = body.next().await {
            largest = largest.max(piece.len());
        }
        largest.to_string()
    };
    Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/hold", get(hold))
        .route("/accept", post(accept))
        .route("/read", post(read))
        .route("/largest", post(largest))
        .route(
            "/known",
            get(|Extension(client): Extension<Client>| async move { client.is_verified().to_string() }),
        )
        .route(
            "/login",
            get(|Extension(client): Extension<Client>| async move { client.verified() }),
        )
        .route(
            "/whoami",
            get(|Extension(client): Extension<Client>| async move { client.address().to_string() }),
        )
        .route("/ignore", post(|| async { "ignored" }))
        .route("/large", get(|| async { vec![b'x'; 64 << 20] }))
}

async fn start_with(settings: impl Into<ServeSettings>, tls: Option<TlsAcceptor>) -> Running {
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
        settings.into(),
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

async fn start(settings: impl Into<ServeSettings>) -> Running {
    start_with(settings, None).await
}

/// Limits none of which is reached unless a test sets it.
fn lenient_limits() -> ServeLimits {
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

    /// From 127.0.0.`last`.
    async fn connect_from(&self, last: u8) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from(([127, 0, 0, last], 0))).unwrap();
        socket.connect(self.addr).await.unwrap()
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

/// Has time pass for all at once. To be called where all tasks share one thread.
async fn pass(ms: u64) {
    // What has arrived is looked at before.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    tokio::time::pause();
    tokio::time::advance(Duration::from_millis(ms)).await;
    tokio::time::resume();
}

/// Waits until something is so.
async fn until(what: &str, is_so: impl Fn() -> bool) {
    let so = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, so).await.unwrap_or_else(|_| panic!("{what}"));
}
