//! The listener for those who run a node: `/livez`, `/readyz`, `/metrics`.

use super::exposition::{self, Format};
use super::health::Health;
use super::metrics::Metrics;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::sync::Arc;

/// Its routes.
pub(super) fn router(health: Arc<Health>, metrics: Metrics) -> Router {
    Router::new()
        .route("/livez", get(livez).with_state(Arc::clone(&health)))
        .route("/readyz", get(readyz).with_state(health))
        .route("/metrics", get(metrics_text).with_state(metrics))
}

/// Alive is what works at all: a node whose disk is full must not be restarted for that.
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

async fn metrics_text(State(metrics): State<Metrics>, headers: HeaderMap) -> Response {
    let format = Format::asked_for(&headers);
    match metrics.text().await {
        Ok(text) => {
            let text = match format {
                Format::Classic => exposition::classic(&text),
                Format::OpenMetrics => text,
            };
            ([(header::CONTENT_TYPE, format.content_type())], text).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}
