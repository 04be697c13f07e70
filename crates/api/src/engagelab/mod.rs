//! EngageLab: `/v1/*` (docs/dialects/engagelab.md).
//!
//! Two generations of the vendor's API share the paths. A is `/v1/send` and what belongs to it, C `/v1/messages`,
//! `/v1/template-configs` and `/v1/sign-configs`.
//!
//! | module | what |
//! |---|---|
//! | [`codes`], `display_texts` | codes, HTTP statuses and their texts; other texts |
//! | [`auth`] | HTTP Basic |
//! | `recipients` | the list `to` |
//! | [`send`], [`messages`] | bodies to typed requests |
//! | `answer` | the bodies of answers |
//! | `query`, `fields`, `content` | query strings, fields of bodies, what may stand in a template |
//! | [`status`], [`statistics`] | what became of messages; how many (A) |
//! | [`templates`], [`signs`], [`labels`] | what accounts manage (A) |
//! | [`template_configs`], [`sign_configs`], `scheduled` | what accounts manage (C) |
//! | `manage` | paths and verbs of these |
//! | [`hook`], [`callback`] | the webhook formats (A, C) |
//! | `handlers` | HTTP to engine and back |

mod answer;
pub mod auth;
pub mod callback;
pub mod codes;
mod content;
mod display_texts;
mod fields;
#[cfg(test)]
mod fixtures;
mod handlers;
pub mod hook;
pub mod labels;
mod manage;
pub mod messages;
mod query;
mod recipients;
mod scheduled;
pub mod send;
pub mod sign_configs;
pub mod signs;
pub mod statistics;
pub mod status;
pub mod template_configs;
pub mod templates;

use crate::Api;
use crate::days;
use axum::Router;
use axum::extract::{Request, State};
use axum::routing::any;
use engine::UnixMs;
use engine::webhooks::Format;
use jiff::tz::Offset;
use manage::Interface;
use std::sync::Arc;

/// Its routes.
pub fn routes() -> Router<Arc<Api>> {
    let status = move |State(api): State<Arc<Api>>, request: Request| handlers::status(api, request);
    let managing = Interface::PATHS
        .into_iter()
        .fold(Router::new(), |router, (path, interface, verbs)| {
            let manage = move |State(api): State<Arc<Api>>, request: Request| {
                manage::handle(api, interface, verbs, request)
            };
            router.route(path, any(manage))
        });
    managing
        .route("/v1/send", any(handlers::send))
        .route("/v1/messages", any(handlers::messages))
        .route("/v1/status", any(status))
        .route("/v1", any(handlers::unknown))
        .route("/v1/", any(handlers::unknown))
        .route("/v1/{*rest}", any(handlers::unknown))
}

/// The forms of calls that this wire has.
pub fn formats() -> Vec<Arc<dyn Format>> {
    vec![Arc::new(hook::SmsHook), Arc::new(callback::Callback)]
}

/// A moment as generation A writes it, with no colon in the zone: `2022-11-14T14:27:48+0800`.
fn moment(at: UnixMs, zone: Offset) -> String {
    days::at(at, zone).strftime("%Y-%m-%dT%H:%M:%S%z").to_string()
}

/// The setting of an endpoint that is the engine's: how many calls are made at once.
const CONCURRENCY: &str = "concurrency";

/// An endpoint's own settings of its format. Nothing set up is everything as it comes; serde alone would take an array
/// for settings, by position.
fn settings<T: serde::de::DeserializeOwned + Default>(settings: &serde_json::Value) -> Result<T, String> {
    match settings {
        serde_json::Value::Null => Ok(T::default()),
        serde_json::Value::Object(settings) => {
            let own = settings.iter().filter(|(name, _)| *name != CONCURRENCY);
            let own = own.map(|(name, value)| (name.clone(), value.clone())).collect();
            serde_json::from_value(serde_json::Value::Object(own)).map_err(|error| error.to_string())
        }
        _ => Err("settings are a table".to_owned()),
    }
}
