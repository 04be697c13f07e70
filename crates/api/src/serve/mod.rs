//! The listener: an accept loop of our own over hyper, because `axum::serve` bounds neither how many
//! connections there are nor how long a client may take over a request.
//!
//! What holds, whatever clients do ([`ServeLimits`]):
//! - There are never more than `connections_max` connections. When there are, the one idle longest makes room
//!   for the next; when none is idle, the slowest to send its request does; when all are at work, the next waits.
//! - A request's head is read within `header_read_timeout_ms`, its body within `request_timeout_ms`; a client that
//!   does not read its answer is let go after `keep_alive_idle_ms` without progress.
//! - A request that was begun is finished: its handler runs on when the client half-closes, and through a stop.
//!
//! One loop owns the list of connections, so there is no lock; each connection notes in one atomic word what
//! it is doing since when, and the loop looks at all of them a few times a second. That costs a request a few
//! nanoseconds where timers of its own would cost it a few hundred.

mod body;
mod client;
mod connection;
mod tls;

pub use client::{Client, network};
pub use tls::{Certificate, TlsError};

use connection::{Order, Phase, Watch};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{Id, JoinSet};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// Bounds of one listener. All of it stands in `config.default.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServeLimits {
    /// Connections at once, at least 1.
    pub connections_max: usize,
    /// How long a request's head may take, from the connection or the head's first byte on, in milliseconds.
    pub header_read_timeout_ms: u64,
    /// How long a request's body may take, in milliseconds.
    pub request_timeout_ms: u64,
    /// How long a connection is kept between requests, in milliseconds.
    pub keep_alive_idle_ms: u64,
    /// Headers of one request.
    pub headers_max: usize,
    /// Bytes of one request's head, and of what is read ahead of the handlers; at least 8192.
    pub header_bytes_max: usize,
    /// How long requests in flight may take once the listener is told to stop, in milliseconds.
    pub stop_grace_ms: u64,
}

impl Default for ServeLimits {
    fn default() -> Self {
        Self {
            connections_max: 10_000,
            header_read_timeout_ms: 10_000,
            request_timeout_ms: 30_000,
            keep_alive_idle_ms: 75_000,
            headers_max: connection::HEADERS_MAX_DEFAULT,
            header_bytes_max: 64 * 1024,
            stop_grace_ms: 10_000,
        }
    }
}

/// What a listener counts.
#[derive(Debug, Clone, Default)]
pub struct ServeMetrics {
    /// Connections now.
    pub connections: Gauge,
    /// Connections accepted.
    pub accepted: Counter,
    /// Connections closed to make room for others.
    pub evicted: Counter,
    /// Connections closed for taking too long over a request, or over an answer.
    pub timed_out: Counter,
    /// Times that a connection could not be accepted (out of file descriptors, for instance).
    pub accept_errors: Counter,
}

impl ServeMetrics {
    /// Shows the counts under `http_`.
    pub fn register(&self, registry: &mut Registry) {
        let http = registry.sub_registry_with_prefix("http");
        http.register("connections", "HTTP connections now", self.connections.clone());
        http.register(
            "connections_accepted",
            "HTTP connections accepted",
            self.accepted.clone(),
        );
        http.register(
            "connections_evicted",
            "HTTP connections closed to make room",
            self.evicted.clone(),
        );
        http.register(
            "connections_timed_out",
            "HTTP connections closed for slowness",
            self.timed_out.clone(),
        );
        http.register(
            "accept_errors",
            "HTTP connections that could not be accepted",
            self.accept_errors.clone(),
        );
    }
}

/// How a listener came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped {
    /// Connections whose requests were not finished within the grace and were cut.
    pub cut: usize,
}

/// Serves until `shutdown`, then stops: no more connections, requests in flight are finished within
/// `stop_grace_ms`, what is left is cut. With `tls` (see [`Certificate::acceptor`]) it speaks HTTPS.
pub async fn serve(
    listener: TcpListener,
    router: axum::Router,
    limits: ServeLimits,
    tls: Option<TlsAcceptor>,
    metrics: ServeMetrics,
    shutdown: CancellationToken,
) -> Stopped {
    let mut connections = Connections::new(router, limits, tls, metrics);
    connections.accept_until(&listener, &shutdown).await;
    // Who connects from here on is told at once that nobody listens.
    drop(listener);
    connections.stop().await
}

/// How long a connection that was asked to go may take to send what it has begun to send.
const LEAVE_MS_MAX: u64 = 2_000;
/// From when on a head that is still incomplete makes its connection the next to go when room is needed.
const SLOW_HEAD_MS: u64 = 500;
/// Pauses after an accept that failed for want of something (file descriptors, memory).
const ACCEPT_RETRY_MS: std::ops::RangeInclusive<u64> = 10..=1_000;

struct Connections {
    router: axum::Router,
    limits: ServeLimits,
    tls: Option<TlsAcceptor>,
    metrics: ServeMetrics,
    epoch: Instant,
    tasks: JoinSet<()>,
    open: HashMap<Id, Open>,
    /// Accepted when there was no room: the next to be served.
    waiting: Option<(TcpStream, SocketAddr)>,
}

/// The loop's side of a connection.
struct Open {
    watch: Arc<Watch>,
    /// When it was asked to go.
    leaving_since_ms: Option<u64>,
}

impl Connections {
    fn new(
        router: axum::Router,
        limits: ServeLimits,
        tls: Option<TlsAcceptor>,
        metrics: ServeMetrics,
    ) -> Self {
        Self {
            router,
            limits,
            tls,
            metrics,
            epoch: Instant::now(),
            tasks: JoinSet::new(),
            open: HashMap::new(),
            waiting: None,
        }
    }

    fn now_ms(&self) -> u64 {
        connection::ms_since(self.epoch)
    }

    /// How often connections are looked at: often enough for the shortest bound, seldom enough to cost nothing.
    fn look_every(&self) -> Duration {
        let limits = &self.limits;
        let shortest = limits
            .header_read_timeout_ms
            .min(limits.keep_alive_idle_ms)
            .min(LEAVE_MS_MAX);
        Duration::from_millis((shortest / 8).clamp(5, 250))
    }

    async fn accept_until(&mut self, listener: &TcpListener, shutdown: &CancellationToken) {
        let mut look = tokio::time::interval(self.look_every());
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut retry_ms = *ACCEPT_RETRY_MS.start();
        let mut retry_at: Option<Instant> = None;
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                Some(ended) = self.tasks.join_next_with_id(), if !self.tasks.is_empty() => {
                    self.ended(ended.map_or_else(|error| error.id(), |(id, ())| id));
                }
                _ = look.tick() => self.look(),
                accepted = listener.accept(), if self.waiting.is_none() && retry_at.is_none() => match accepted {
                    Ok((stream, peer)) => {
                        retry_ms = *ACCEPT_RETRY_MS.start();
                        self.accepted(stream, peer);
                    }
                    Err(error) if is_about_one_client(&error) => {}
                    Err(error) => {
                        tracing::warn!(%error, retry_ms, "cannot accept connections");
                        self.metrics.accept_errors.inc();
                        self.make_room();
                        retry_at = Some(Instant::now() + Duration::from_millis(retry_ms));
                        retry_ms = (retry_ms * 2).min(*ACCEPT_RETRY_MS.end());
                    }
                },
                () = tokio::time::sleep_until(retry_at.unwrap_or(self.epoch)), if retry_at.is_some() => {
                    retry_at = None;
                }
            }
        }
    }

    fn accepted(&mut self, stream: TcpStream, peer: SocketAddr) {
        self.metrics.accepted.inc();
        // Answers are written whole: waiting for more to fill a packet would only delay them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection ended before it was served");
            return;
        }
        if self.open.len() < self.limits.connections_max.max(1) {
            self.open(stream, peer);
        } else {
            self.waiting = Some((stream, peer));
            self.make_room();
        }
    }

    fn open(&mut self, stream: TcpStream, peer: SocketAddr) {
        let watch = Arc::new(Watch::new(self.epoch));
        let task = connection::run(
            stream,
            self.tls.clone(),
            self.router.clone(),
            connection::protocol(&self.limits),
            Duration::from_millis(self.limits.request_timeout_ms),
            Arc::clone(&watch),
            Client::new(peer.ip()),
        );
        let id = self.tasks.spawn(task).id();
        self.open.insert(
            id,
            Open {
                watch,
                leaving_since_ms: None,
            },
        );
        self.metrics.connections.set(self.open.len() as i64);
    }

    fn ended(&mut self, id: Id) {
        self.open.remove(&id);
        self.metrics.connections.set(self.open.len() as i64);
        if let Some((stream, peer)) = self.waiting.take() {
            self.open(stream, peer);
        }
    }

    /// Asks the connection that is missed least to go: the longest idle, else the slowest with its head.
    fn make_room(&mut self) {
        let now_ms = self.now_ms();
        // One that goes already makes all the room that is needed, unless a last request keeps it.
        let goes = |open: &Open| open.leaving_since_ms.is_some() && open.watch.phase().0 != Phase::Work;
        if self.open.values().any(goes) {
            return;
        }
        let rank = |open: &Open| match open.watch.phase() {
            (Phase::Idle, since_ms) => Some((0, since_ms)),
            (Phase::Head, since_ms) if since_ms + SLOW_HEAD_MS <= now_ms => Some((1, since_ms)),
            _ => None,
        };
        let ranked = self
            .open
            .values_mut()
            .filter_map(|open| Some((rank(open)?, open)));
        let Some((_, open)) = ranked.min_by_key(|(rank, _)| *rank) else {
            return;
        };
        self.metrics.evicted.inc();
        open.leaving_since_ms = Some(now_ms);
        open.watch.tell(if open.watch.phase().0 == Phase::Head {
            Order::Drop
        } else {
            Order::Leave
        });
    }

    /// Sends off whoever takes longer than allowed.
    fn look(&mut self) {
        let now_ms = self.now_ms();
        for open in self.open.values_mut() {
            let (phase, since_ms) = open.watch.phase();
            let for_ms = now_ms.saturating_sub(since_ms);
            let overdue = match phase {
                Phase::Idle => for_ms >= self.limits.keep_alive_idle_ms,
                Phase::Head => for_ms >= self.limits.header_read_timeout_ms,
                Phase::Work => false,
                Phase::Closing => for_ms >= LEAVE_MS_MAX,
            };
            match open.leaving_since_ms {
                // Being asked does not help against a client that does not read.
                Some(since_ms) if phase != Phase::Work && now_ms.saturating_sub(since_ms) >= LEAVE_MS_MAX => {
                    open.watch.tell(Order::Drop);
                }
                None if overdue => {
                    self.metrics.timed_out.inc();
                    open.leaving_since_ms = Some(now_ms);
                    open.watch.tell(if phase == Phase::Idle {
                        Order::Leave
                    } else {
                        Order::Drop
                    });
                }
                _ => {}
            }
        }
        if self.waiting.is_some() {
            self.make_room();
        }
    }

    async fn stop(mut self) -> Stopped {
        self.waiting = None;
        let now_ms = self.now_ms();
        for open in self.open.values_mut() {
            open.leaving_since_ms.get_or_insert(now_ms);
            open.watch.tell(Order::Leave);
        }
        let grace = tokio::time::sleep(Duration::from_millis(self.limits.stop_grace_ms));
        tokio::pin!(grace);
        let mut look = tokio::time::interval(self.look_every());
        while !self.tasks.is_empty() {
            tokio::select! {
                Some(ended) = self.tasks.join_next_with_id() => {
                    self.ended(ended.map_or_else(|error| error.id(), |(id, ())| id));
                }
                _ = look.tick() => self.look(),
                () = &mut grace => break,
            }
        }
        let cut = self.tasks.len();
        self.tasks.shutdown().await;
        self.metrics.connections.set(0);
        Stopped { cut }
    }
}

/// Errors of `accept` that are one client's own and say nothing about the next.
fn is_about_one_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}
