//! SendCloud: `/smsapi/*` (contract/sendcloud.md, seed 002; choices in docs/dialects/sendcloud.md).
//!
//! | module | what |
//! |---|---|
//! | [`codes`] | return codes with their texts |
//! | [`params`] | query string and form as one list |
//! | [`auth`] | signatures, the clock |
//! | [`wire`] | parameters to typed requests |
//! | `rules` | how strict the wire is; refusals to codes |
//! | `answer` | the envelope |
//! | [`status`] | the status query |
//! | `handlers` | HTTP to engine and back |

pub mod codes;
pub mod params;

mod answer;
pub mod auth;
mod handlers;
mod rules;
pub mod status;
mod vars;
pub mod wire;

use crate::Api;
use crate::per_minute::PerMinute;
use axum::Router;
use axum::extract::{Request, State};
use axum::routing::{MethodRouter, any};
use handlers::Reader;
use std::sync::Arc;

/// Its routes.
pub fn routes() -> Router<Arc<Api>> {
    let calls = Arc::new(PerMinute::default());
    let status_query = move |State(api): State<Arc<Api>>, request: Request| {
        handlers::status_query(api, Arc::clone(&calls), request)
    };
    Router::new()
        .route("/smsapi/send", sending(wire::read_send))
        .route("/smsapi/sendx", sending(wire::read_sendx))
        .route("/smsapi/sendn", sending(wire::read_sendx))
        .route("/smsapi/sendCode", sending(wire::read_send_code))
        .route("/smsapi/sendVoice", sending(wire::read_send_voice))
        .route("/smsapi/timestamp/get", any(handlers::timestamp))
        .route("/smsapi/status/query", any(status_query))
        .route("/smsapi", any(handlers::unknown))
        .route("/smsapi/", any(handlers::unknown))
        .route("/smsapi/{*rest}", any(handlers::unknown))
}

fn sending(read: Reader) -> MethodRouter<Arc<Api>> {
    any(move |State(api): State<Arc<Api>>, request: Request| handlers::send(api, read, request))
}
