//! The operations listener: `/livez`, `/readyz`, `/metrics`.

use super::exposition::Format;
use super::health::Health;
use super::metrics::Metrics;
use super::page::Pages;
use api::serve::{BodyLimits, ServeLimits, ServeSettings};
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::sync::Arc;

/// Concurrent connections: a few scrapers.
pub(super) const CONNECTIONS_MAX: usize = 64;
/// Bytes of a request head, and of all bodies, which are not read.
const HEADER_BYTES_MAX: usize = 8192;
const BODIES: BodyLimits = BodyLimits {
    bytes_max: 64 * 1024,
    per_address_bytes_max: 64 * 1024,
};

/// Its limits: those of the APIs, except for these.
pub(super) fn settings(apis: &ServeLimits) -> ServeSettings {
    ServeSettings {
        limits: ServeLimits {
            connections_max: CONNECTIONS_MAX,
            per_address_max: CONNECTIONS_MAX / 2,
            header_bytes_max: HEADER_BYTES_MAX,
            ..apis.clone()
        },
        bodies: BODIES,
        ..ServeSettings::default()
    }
}

pub(super) fn router(health: Arc<Health>, metrics: Metrics) -> Router {
    let pages = Arc::new(Pages::new(move || {
        let metrics = metrics.clone();
        async move { metrics.text().await }
    }));
    Router::new()
        .route("/livez", get(livez).with_state(Arc::clone(&health)))
        .route("/readyz", get(readyz).with_state(health))
        .route("/metrics", get(metrics_text).with_state(pages))
}

/// Alive unless the node needs a restart: a full disk is no reason for one.
async fn livez(State(health): State<Arc<Health>>) -> Response {
    match health.liveness().await {
        Ok(()) => "ok\n".into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

async fn readyz(State(health): State<Arc<Health>>) -> Response {
    match health.readiness().await {
        Ok(()) => "ok\n".into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

async fn metrics_text(State(pages): State<Arc<Pages>>, headers: HeaderMap) -> Response {
    let format = Format::negotiate(&headers);
    match pages.page(format).await {
        Ok(page) => ([(header::CONTENT_TYPE, format.content_type())], page).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}
