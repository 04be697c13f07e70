//! What all connections of a listener share.

use super::addresses::{Address, Addresses};
use super::bodies::Bodies;
use super::handshake::Handshakes;
use super::{ServeMetrics, ServeSettings, connection};
use axum::Router;
use hyper::server::conn::http1;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;

pub(super) struct Shared {
    pub(super) router: Router,
    pub(super) settings: ServeSettings,
    pub(super) protocol: http1::Builder,
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) handshakes: Handshakes,
    pub(super) metrics: ServeMetrics,
    pub(super) addresses: Arc<Addresses>,
    pub(super) bodies: Bodies,
    pub(super) room_requests: RoomRequests,
}

impl Shared {
    pub(super) fn new(
        router: Router,
        settings: ServeSettings,
        tls: Option<TlsAcceptor>,
        metrics: ServeMetrics,
    ) -> Self {
        Self {
            router,
            protocol: connection::protocol(&settings.limits),
            tls,
            addresses: Arc::default(),
            bodies: Bodies::new(settings.bodies, metrics.bodies_bytes.clone()),
            room_requests: RoomRequests::default(),
            handshakes: Handshakes::new(settings.limits.handshakes_per_s_max, metrics.clone()),
            metrics,
            settings,
        }
    }
}

/// Requests of connections to the listener, which alone may close other connections.
#[derive(Debug, Default)]
pub(super) struct RoomRequests {
    room: AtomicBool,
    saturated: Mutex<Vec<Arc<Address>>>,
    any: Notify,
    /// Refused by connections themselves.
    pub(super) refused: AtomicU64,
}

/// Saturated addresses that are stored until the listener looks: it looks at once, so there are few.
const SATURATED_MAX: usize = 64;

impl RoomRequests {
    /// There is no room for the bytes of a request.
    pub(super) fn room(&self) {
        if !self.room.swap(true, Ordering::AcqRel) {
            self.any.notify_one();
        }
    }

    /// An address has more open than it may have.
    pub(super) fn saturated(&self, address: &Arc<Address>) {
        let mut saturated = self.saturated.lock().unwrap_or_else(PoisonError::into_inner);
        if saturated.len() < SATURATED_MAX && !saturated.iter().any(|known| Arc::ptr_eq(known, address)) {
            saturated.push(Arc::clone(address));
            self.any.notify_one();
        }
    }

    /// Waits for a request.
    pub(super) async fn any(&self) {
        self.any.notified().await;
    }

    /// Whether room is requested; resets the request.
    pub(super) fn take_room(&self) -> bool {
        self.room.swap(false, Ordering::AcqRel)
    }

    /// The addresses that have too much open.
    pub(super) fn take_saturated(&self) -> Vec<Arc<Address>> {
        std::mem::take(&mut *self.saturated.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
