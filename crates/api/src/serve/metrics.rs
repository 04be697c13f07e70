//! What a listener counts.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

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
    /// Connections closed because their clients, answered already, neither closed theirs nor stopped sending.
    pub lingered: Counter,
    /// Times that a connection could not be accepted (out of file descriptors, for instance).
    pub accept_errors: Counter,
    /// Connections and requests refused because their address has all that it may have open.
    pub refused: Counter,
    /// Connections closed because a proxy that is to begin with PROXY protocol did not, or not in a way that can be read.
    pub preambles_refused: Counter,
    /// TLS handshakes done.
    pub tls_handshakes: Counter,
    /// TLS handshakes that came to nothing: no TLS, or the client left.
    pub tls_handshakes_failed: Counter,
    /// TLS handshakes that waited because their address began more than it may.
    pub tls_handshakes_paced: Counter,
    /// Bytes of requests that are being read.
    pub bodies_bytes: Gauge,
    /// Requests turned away with "busy" because there was no room for their bodies.
    pub bodies_busy: Counter,
    /// Connections closed to make room for the bodies of others.
    pub bodies_evicted: Counter,
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
            "connections_lingered",
            "HTTP connections closed because their clients, answered already, did not close them",
            self.lingered.clone(),
        );
        http.register(
            "accept_errors",
            "HTTP connections that could not be accepted",
            self.accept_errors.clone(),
        );
        http.register(
            "connections_refused",
            "HTTP connections and requests refused because their address has all it may have open",
            self.refused.clone(),
        );
        http.register(
            "preambles_refused",
            "Connections closed because a proxy did not begin them with PROXY protocol that can be read",
            self.preambles_refused.clone(),
        );
        http.register(
            "tls_handshakes",
            "TLS handshakes done",
            self.tls_handshakes.clone(),
        );
        http.register(
            "tls_handshakes_failed",
            "TLS handshakes that came to nothing: no TLS, or the client left",
            self.tls_handshakes_failed.clone(),
        );
        http.register(
            "tls_handshakes_paced",
            "TLS handshakes that waited because their address began more than it may",
            self.tls_handshakes_paced.clone(),
        );
        http.register(
            "bodies_bytes",
            "Bytes of requests that are being read",
            self.bodies_bytes.clone(),
        );
        http.register(
            "bodies_busy",
            "Requests turned away because there was no room for their bodies",
            self.bodies_busy.clone(),
        );
        http.register(
            "bodies_evicted",
            "HTTP connections closed to make room for the bodies of others",
            self.bodies_evicted.clone(),
        );
    }
}
