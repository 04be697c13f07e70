//! The listener: an accept loop of our own over hyper, because `axum::serve` bounds neither how many
//! connections there are nor how long a client may take over a request.
//!
//! What holds, whatever clients do ([`ServeLimits`]):
//! - There are never more than `connections_max` connections. When there are, those on which no credential was verified
//!   make room for the next: those of addresses that have many first, the idle before those that are slow with a head,
//!   these before those that are slow with a body. Where all are known, the one idle longest does; when all are at work,
//!   the next waits.
//! - An address has at most `per_address_max` connections on which no credential was verified. The slowest of them makes
//!   room for its next.
//! - TLS handshakes keep at most half of the threads busy. An address has one of them in line at a time, and begins at most
//!   `handshakes_per_s_max` a second until a credential was verified there.
//! - All requests being read take at most [`BodyLimits`] of memory; those that hold much and send little make room.
//! - A request's head is read within `header_read_timeout_ms`, its body within `request_timeout_ms`; a client that
//!   does not read its answer is let go after `keep_alive_idle_ms` without progress.
//! - A request that is there is finished: its handler runs on when the client half-closes, and through a stop.
//!
//! One loop owns the list of connections, so that needs no lock; each connection notes in one atomic word what
//! it is doing since when, and the loop looks at all of them a few times a second. That costs a request a few
//! nanoseconds where timers of its own would cost it a few hundred.

mod addresses;
mod bodies;
mod body;
mod client;
mod connection;
mod framing;
mod handshake;
mod head;
mod listener;
mod metrics;
mod origin;
pub mod proxy;
mod room;
mod shared;
mod stream;
mod tls;
mod watch;

pub use addresses::network;
pub use bodies::BodyLimits;
pub(crate) use body::BodyError;
pub use client::Client;
#[cfg(test)]
pub(crate) use client::ClientsBehindProxy;
pub use metrics::ServeMetrics;
pub use tls::{Certificate, TlsError};

use listener::Connections;
use serde::{Deserialize, Serialize};
use shared::Shared;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// Bounds of one listener. All of it stands in `config.default.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServeLimits {
    /// Connections at once, at least 1.
    pub connections_max: usize,
    /// Connections at once from one address (for IPv6: one /64) on which no credential was verified yet, at least 1.
    pub per_address_max: usize,
    /// TLS handshakes that an address (for IPv6: one /64) may begin in a second while no credential was verified there; more of
    /// them wait. 0: any number.
    pub handshakes_per_s_max: u32,
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
    /// How long requests in flight may take once a stop is requested, in milliseconds.
    pub stop_grace_ms: u64,
}

impl Default for ServeLimits {
    fn default() -> Self {
        Self {
            connections_max: 10_000,
            per_address_max: 1024,
            handshakes_per_s_max: 200,
            header_read_timeout_ms: 10_000,
            request_timeout_ms: 30_000,
            keep_alive_idle_ms: 75_000,
            headers_max: connection::HEADERS_MAX_DEFAULT,
            header_bytes_max: 64 * 1024,
            stop_grace_ms: 10_000,
        }
    }
}

/// The settings of one listener.
#[derive(Debug, Clone, Default)]
pub struct ServeSettings {
    /// Bounds on connections.
    pub limits: ServeLimits,
    /// Bounds on the memory of requests being read.
    pub bodies: BodyLimits,
    /// The proxies that are believed when they name the client of a request in its head.
    pub trusted_proxies: proxy::TrustedProxies,
    /// The proxies that begin each connection with a preamble of PROXY protocol. Without one it is closed.
    pub proxy_protocol_from: proxy::TrustedProxies,
}

impl ServeSettings {
    /// Whether what connects from `peer` speaks for others.
    pub(crate) fn is_proxy(&self, peer: IpAddr) -> bool {
        self.trusted_proxies.contains(peer) || self.proxy_protocol_from.contains(peer)
    }
}

impl From<ServeLimits> for ServeSettings {
    fn from(limits: ServeLimits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }
}

/// How a listener came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped {
    /// Requests that were not answered within the grace and were cut.
    pub cut: usize,
}

/// Serves until `shutdown`, then stops: no more connections, requests that are there are answered within `stop_grace_ms`,
/// what is left is cut. Heads and bodies that are not there are waited for two seconds. With `tls` (see [`Certificate::acceptor`]) it speaks HTTPS.
pub async fn serve(
    listener: TcpListener,
    router: axum::Router,
    settings: impl Into<ServeSettings>,
    tls: Option<TlsAcceptor>,
    metrics: ServeMetrics,
    shutdown: CancellationToken,
) -> Stopped {
    let shared = Arc::new(Shared::new(router, settings.into(), tls, metrics));
    let mut connections = Connections::new(shared);
    connections.accept_until(&listener, &shutdown).await;
    // New connections are refused by the system from here on.
    drop(listener);
    connections.stop().await
}
