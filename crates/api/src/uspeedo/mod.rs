//! uSpeedo and UCloud: three wires of one family (`docs/dialects/uspeedo.md`, `docs/dialects/ucloud.md`).
//!
//! | wire | path | key travels in | module |
//! |---|---|---|---|
//! | uSpeedo REST v1 | `/api/v1/usms/*` | HTTP Basic | [`rest`] |
//! | uSpeedo Action | `/api` | signed headers, or HTTP Basic | [`action`] |
//! | UCloud Action | `/` | the parameters, signed | [`ucloud`] |
//!
//! A request to send goes through [`wire`] (parsing), [`auth`] with [`canon`] (authentication), [`rules`] (strictness), the
//! engine, and [`answer`] or [`receipts`]; what ends it early is an [`api_error::ApiError`]. `handle_action` chooses the
//! module of any other action: [`templates`], [`signatures`], [`qualifications`], [`files`], [`statistics`], [`blacklist`],
//! [`reports`]. The webhook formats are in [`push`]. The vendors' texts are in [`error_texts`].
//!
//! Everything is answered with HTTP 200: the vendors' clients drop the body of any other status (contract
//! section 2.5).

mod action;
pub mod answer;
pub mod api_error;
pub mod auth;
pub mod blacklist;
pub mod boundaries;
pub mod canon;
mod credentials;
pub mod error_texts;
pub mod files;
mod handle_action;
mod handler;
pub mod json_reader;
pub mod params;
pub mod push;
pub mod qualifications;
pub mod receipts;
pub mod reports;
pub mod request_context;
mod rest;
pub mod rules;
pub mod signatures;
pub mod statistics;
pub mod templates;
pub mod tree;
mod ucloud;
pub mod wire;

use crate::Api;
use axum::Router;
use axum::routing::{any, get, post, put};
use std::sync::Arc;

/// The paths of all three wires.
pub fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route(
            "/api/v1/usms/SendBatchUSMSMessage",
            post(rest::send).fallback(rest::wrong_method),
        )
        .route(
            "/api/v1/usms/USMSSendReceipt",
            get(rest::receipts).fallback(rest::wrong_method),
        )
        .route(
            "/api/v1/usms/USMSTemplate",
            post(rest::create_template)
                .get(rest::show_templates)
                .delete(rest::remove_templates)
                .fallback(rest::wrong_method),
        )
        .route(
            "/api/v1/usms/USMSTemplate/{id}",
            put(rest::change_template).fallback(rest::wrong_method),
        )
        .route("/api/v1/usms/{*path}", any(rest::wrong_path))
        .route("/api", post(action::answer).fallback(action::wrong_method))
        .route("/api/", post(action::answer).fallback(action::wrong_method))
        .route(
            "/",
            get(ucloud::answer)
                .post(ucloud::answer)
                .fallback(ucloud::wrong_method),
        )
}
