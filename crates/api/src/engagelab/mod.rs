//! EngageLab: `/v1/send` and `/v1/status` (generation A), `/v1/messages` (generation C)
//! (contract/engagelab.md, seed 003; choices in docs/dialects/engagelab.md).
//!
//! | module | what |
//! |---|---|
//! | [`codes`] | codes, HTTP statuses and texts |
//! | [`auth`] | HTTP Basic |
//! | `recipients` | the list `to` |
//! | [`send`], [`messages`] | bodies to typed requests |
//! | `answer` | the bodies of answers |
//! | [`status`] | the status query |
//! | `handlers` | HTTP to engine and back |

mod answer;
pub mod auth;
pub mod codes;
mod handlers;
pub mod messages;
mod recipients;
pub mod send;
pub mod status;

use crate::Api;
use crate::per_minute::PerMinute;
use axum::Router;
use axum::extract::{Request, State};
use axum::routing::any;
use std::sync::Arc;

/// Its routes.
pub fn routes() -> Router<Arc<Api>> {
    let calls = Arc::new(PerMinute::default());
    let status = move |State(api): State<Arc<Api>>, request: Request| {
        handlers::status(api, Arc::clone(&calls), request)
    };
    Router::new()
        .route("/v1/send", any(handlers::send))
        .route("/v1/messages", any(handlers::messages))
        .route("/v1/status", any(status))
        .route("/v1", any(handlers::unknown))
        .route("/v1/{*rest}", any(handlers::unknown))
}
