//! SendCloud: `/smsapi/*` (docs/dialects/sendcloud.md).
//!
//! | module | what |
//! |---|---|
//! | [`codes`] | return codes with their texts |
//! | [`params`] | query string and form as one list |
//! | `multipart` | a form in parts |
//! | [`auth`] | signatures, the clock |
//! | [`wire`] | parameters to typed requests |
//! | `rules` | how strict the wire is; refusals to codes |
//! | `answer` | the envelope |
//! | `failures` | how messages fail after they were accepted |
//! | `display_texts` | the vendor's texts other than those of return codes |
//! | [`status`] | the status query |
//! | `manage` | the interfaces that manage and count |
//! | [`templates`], [`signatures`], [`labels`], [`contacts`], [`members`], [`tasks`], [`statistics`] | each family of them |
//! | [`fields`], `local` | their parameters one by one, their dates |
//! | [`hook`] | SMSHook: the webhook format |
//! | `handlers` | HTTP to engine and back |

pub mod codes;
pub mod params;

mod answer;
pub mod auth;
pub mod contacts;
mod display_texts;
mod entry;
mod failures;
pub mod fields;
mod handlers;
pub mod hook;
pub mod labels;
mod local;
mod manage;
pub mod members;
mod multipart;
mod rules;
pub mod signatures;
pub mod statistics;
pub mod status;
pub mod tasks;
pub mod templates;
mod vars;
pub mod wire;

use crate::Api;
use axum::Router;
use axum::extract::{Request, State};
use axum::routing::{MethodRouter, any};
use handlers::Reader;
use manage::Interface;
use std::sync::Arc;

/// Its routes.
pub fn routes() -> Router<Arc<Api>> {
    let status_query =
        move |State(api): State<Arc<Api>>, request: Request| handlers::status_query(api, request);
    let managing = Interface::PATHS
        .into_iter()
        .fold(Router::new(), |router, (path, interface)| {
            let manage = move |State(api): State<Arc<Api>>, request: Request| {
                handlers::manage(api, interface, request)
            };
            router.route(path, any(manage))
        });
    managing
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
