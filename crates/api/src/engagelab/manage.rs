//! The interfaces that manage and count (docs/dialects/engagelab.md): their paths and verbs, and what they have in
//! common.

use super::answer::{self, RenderedResponse};
use super::auth::Caller;
use super::codes::{ApiError, Code, a, config};
use super::handlers::{self, check_method};
use super::{labels, sign_configs, signs, statistics, template_configs, templates};
use crate::Api;
use crate::idempotency::Recorded;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use engine::catalog::Snapshot;
use engine::manage::ManageError;
use engine::{AccountId, Engine, StoreError, UnixMs};
use http::request::Parts;
use http::{Method, StatusCode};
use serde::Serialize;
use std::sync::Arc;

/// What a path stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Interface {
    Templates,
    Template,
    TemplateSubmit,
    Signs,
    Sign,
    Labels,
    Label,
    StatsDay,
    TemplateConfigs,
    TemplateConfig,
    SignConfigs,
    SignConfig,
}

impl Interface {
    /// Where each is, and by which verbs. The page on statistics names one path in its table and another in its example.
    pub(super) const PATHS: [(&'static str, Self, &'static str); 13] = [
        ("/v1/templates", Self::Templates, "GET, POST"),
        ("/v1/templates/{id}", Self::Template, "GET, PUT, DELETE"),
        ("/v1/templates/{id}/submit", Self::TemplateSubmit, "POST"),
        ("/v1/signs", Self::Signs, "GET, POST"),
        ("/v1/signs/{id}", Self::Sign, "GET, PUT"),
        ("/v1/labels", Self::Labels, "GET, POST"),
        ("/v1/labels/{id}", Self::Label, "GET, PUT, DELETE"),
        ("/v1/stats_day", Self::StatsDay, "GET"),
        ("/v1/data/stats_day", Self::StatsDay, "GET"),
        ("/v1/template-configs", Self::TemplateConfigs, "GET, POST"),
        (
            "/v1/template-configs/{id}",
            Self::TemplateConfig,
            "GET, PUT, DELETE",
        ),
        ("/v1/sign-configs", Self::SignConfigs, "GET, POST"),
        ("/v1/sign-configs/{id}", Self::SignConfig, "GET, PUT, DELETE"),
    ];

    const fn generation(self) -> Generation {
        match self {
            Self::TemplateConfigs | Self::TemplateConfig | Self::SignConfigs | Self::SignConfig => {
                Generation::C
            }
            _ => Generation::A,
        }
    }

    /// Handles a request; `None` for a verb that the resource does not have.
    async fn answer(self, verb: &Method, call: &Call<'_>) -> Option<Result<Vec<u8>, ApiError>> {
        let get = matches!(*verb, Method::GET | Method::HEAD);
        Some(match (self, verb) {
            (Self::Templates, _) if get => templates::list(call),
            (Self::Templates, &Method::POST) => templates::add(call).await,
            (Self::Template, _) if get => templates::get(call),
            (Self::Template, &Method::PUT) => templates::change(call).await,
            (Self::Template, &Method::DELETE) => templates::remove(call).await,
            (Self::TemplateSubmit, &Method::POST) => templates::submit(call).await,
            (Self::Signs, _) if get => signs::list(call),
            (Self::Signs, &Method::POST) => signs::add(call).await,
            (Self::Sign, _) if get => signs::get(call),
            (Self::Sign, &Method::PUT) => signs::change(call).await,
            (Self::Labels, _) if get => labels::list(call).await,
            (Self::Labels, &Method::POST) => labels::add(call).await,
            (Self::Label, _) if get => labels::get(call).await,
            (Self::Label, &Method::PUT) => labels::change(call).await,
            (Self::Label, &Method::DELETE) => labels::remove(call).await,
            (Self::StatsDay, _) if get => statistics::by_day(call).await,
            (Self::TemplateConfigs, _) if get => Ok(template_configs::list(call)),
            (Self::TemplateConfigs, &Method::POST) => template_configs::add(call).await,
            (Self::TemplateConfig, _) if get => template_configs::get(call),
            (Self::TemplateConfig, &Method::PUT) => template_configs::change(call).await,
            (Self::TemplateConfig, &Method::DELETE) => template_configs::remove(call).await,
            (Self::SignConfigs, _) if get => Ok(sign_configs::list(call)),
            (Self::SignConfigs, &Method::POST) => sign_configs::add(call).await,
            (Self::SignConfig, _) if get => sign_configs::get(call),
            (Self::SignConfig, &Method::PUT) => sign_configs::change(call).await,
            (Self::SignConfig, &Method::DELETE) => sign_configs::remove(call).await,
            _ => return None,
        })
    }
}

/// Whose words an answer is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Generation {
    A,
    C,
}

impl Generation {
    const fn method(self) -> &'static Code {
        match self {
            Self::A => &a::METHOD,
            Self::C => &config::METHOD,
        }
    }

    /// For a body that is too large, that is broken, or for which there is no room just now.
    const fn body_codes(self) -> [&'static Code; 3] {
        match self {
            Self::A => [&a::TOO_LARGE, &a::BAD_REQUEST, &a::BUSY],
            Self::C => [&config::TOO_LARGE, &config::PARAMETERS, &config::BUSY],
        }
    }

    async fn authenticate(self, api: &Api, parts: &Parts) -> Result<Caller, ApiError> {
        match self {
            Self::A => handlers::authenticate_a(api, parts).await,
            Self::C => handlers::authenticate_c(api, parts).await,
        }
    }
}

/// An authenticated request.
#[derive(Debug)]
pub(super) struct Call<'a> {
    api: &'a Api,
    caller: Caller,
    /// As it was when the request came.
    pub(super) catalog: Arc<Snapshot>,
    /// What stands for `{id}` in the path.
    pub(super) id: &'a str,
    /// The query string.
    pub(super) query: &'a str,
    /// The body; empty where the verb has none.
    pub(super) body: Bytes,
}

impl Call<'_> {
    pub(super) fn engine(&self) -> &Engine {
        &self.api.engine
    }

    pub(super) fn account(&self) -> AccountId {
        self.caller.account
    }

    pub(super) fn now(&self) -> UnixMs {
        self.engine().now()
    }
}

/// Answers a request to one of the interfaces.
pub(super) async fn handle(
    api: Arc<Api>,
    interface: Interface,
    verbs: &'static str,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let generation = interface.generation();
    let done = async {
        check_method(&parts, verbs, generation.method())?;
        let caller = generation.authenticate(&api, &parts).await?;
        let body = if matches!(parts.method, Method::POST | Method::PUT) {
            handlers::read_body(&api.limits, body, generation.body_codes()).await?
        } else {
            Bytes::new()
        };
        let call = Call {
            api: &api,
            caller,
            catalog: api.engine.catalog(),
            // `/v1/templates/{id}/submit`: the fourth piece, the first being what is before the first slash.
            id: parts.uri.path().split('/').nth(3).unwrap_or_default(),
            query: parts.uri.query().unwrap_or_default(),
            body,
        };
        let answered = interface.answer(&parts.method, &call).await;
        let (status, body): RenderedResponse = match answered {
            Some(body) => (StatusCode::OK, body?),
            None => return Err(ApiError::from(generation.method())),
        };
        Ok(Recorded {
            status,
            body: body.into(),
        })
    };
    handlers::respond(done.await, verbs)
}

/// Octets of an entry of an answer, about.
const ENTRY_BYTES: usize = 256;

/// Generation A: one thing.
pub(super) fn one(result: impl Serialize) -> Vec<u8> {
    #[derive(Serialize)]
    struct One<T> {
        result: T,
    }
    answer::write(&One { result }, ENTRY_BYTES)
}

/// Generation A: a piece of a list.
pub(super) fn many<T: Serialize>(result: Vec<T>, total: u64) -> Vec<u8> {
    #[derive(Serialize)]
    struct Many<T> {
        result: Vec<T>,
        total: u64,
        count: usize,
    }
    let count = result.len();
    answer::write(&Many { result, total, count }, ENTRY_BYTES * count)
}

/// Generation A: success without a result.
pub(super) fn nothing() -> Vec<u8> {
    #[derive(Serialize)]
    struct Nothing {}
    one(Nothing {})
}

/// Generation C: an object or an array as it is.
pub(super) fn bare(result: impl Serialize, entries: usize) -> Vec<u8> {
    answer::write(&result, ENTRY_BYTES * entries)
}

/// Generation C: success without a result.
pub(super) fn success() -> Vec<u8> {
    #[derive(Serialize)]
    struct Success {
        code: u32,
        message: &'static str,
    }
    bare(
        Success {
            code: 0,
            message: "success",
        },
        0,
    )
}

/// Generation A: a change that came to nothing for a reason the wire has no code for.
pub(super) fn not_stored_a(error: &ManageError) -> ApiError {
    match error {
        ManageError::Store(error) => store_failed_a(error),
        other => failed(other, &a::SERVER_ERROR),
    }
}

/// Generation C: the same.
pub(super) fn not_stored_c(error: &ManageError) -> ApiError {
    match error {
        ManageError::Store(error) => store_failed_c(error),
        other => failed(other, &config::SERVER_ERROR),
    }
}

/// Generation A: a read or a write of the store failed.
pub(super) fn store_failed_a(error: &StoreError) -> ApiError {
    failed(
        error,
        if is_busy(error) {
            &a::BUSY
        } else {
            &a::SERVER_ERROR
        },
    )
}

/// Generation C: the same.
pub(super) fn store_failed_c(error: &StoreError) -> ApiError {
    failed(
        error,
        if is_busy(error) {
            &config::BUSY
        } else {
            &config::SERVER_ERROR
        },
    )
}

const fn is_busy(error: &StoreError) -> bool {
    matches!(error, StoreError::Busy { .. })
}

fn failed(error: &dyn std::fmt::Display, code: &'static Code) -> ApiError {
    tracing::warn!(dialect = "engagelab", %error, "request failed");
    ApiError::from(code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engagelab::{
        labels::LabelFields, sign_configs::SignConfigFields, signs::SignFields, statistics::StatisticsQuery,
        template_configs::TemplateConfigFields, templates::ListTemplates, templates::TemplateFields,
    };
    use proptest::prelude::*;

    /// Every field and parameter these interfaces read.
    const NAMES: [&str; 27] = [
        "template_name",
        "template_type",
        "template_content",
        "country_codes",
        "add_signature",
        "sign_id",
        "sign_position",
        "sign_name",
        "label_name",
        "msg_type",
        "approval_status",
        "offset",
        "limit",
        "start_date",
        "end_date",
        "time_zone",
        "template_ids",
        "sms_users",
        "label_ids",
        "aggregate_by",
        "aggregate",
        "send_date",
        "phone",
        "sms_ids",
        "status",
        "sub_status",
        "unknown",
    ];

    fn values() -> impl Strategy<Value = String> {
        prop_oneof![
            "\\PC{0,40}",
            "[0-9;,-]{0,24}",
            "[0-9]{4}-[0-9]{2}-[0-9]{2}",
            "(https?://|www\\.|【|test|%[a-z]%| ){0,12}",
        ]
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        prop_oneof![
            values().prop_map(serde_json::Value::from),
            any::<i64>().prop_map(serde_json::Value::from),
            (-2_i64..4).prop_map(serde_json::Value::from),
            any::<bool>().prop_map(serde_json::Value::from),
            Just(serde_json::Value::Null),
            Just(serde_json::json!([1])),
            Just(serde_json::json!({ "a": 1 })),
        ]
    }

    proptest! {
        #[test]
        fn no_body_makes_a_reader_panic(
            fields in prop::collection::btree_map(prop::sample::select(&NAMES[..]), json(), 0..12),
            cut in 0_usize..400,
        ) {
            let body = serde_json::to_vec(&fields).unwrap();
            for body in [&body[..], &body[..cut.min(body.len())]] {
                let refusals = [
                    TemplateFields::read(body).err(),
                    SignFields::read(body).err(),
                    LabelFields::read(body).err(),
                ];
                for refused in refusals.into_iter().flatten() {
                    prop_assert!((30_000..40_000).contains(&refused.code.code), "{refused:?}");
                    prop_assert_eq!(refused.code.status, StatusCode::BAD_REQUEST);
                }
                for refused in [TemplateConfigFields::read(body).err(), SignConfigFields::read(body).err()] {
                    prop_assert!(refused.is_none_or(|refused| refused.code.code == 400));
                }
            }
        }

        #[test]
        fn no_query_makes_a_reader_panic(
            pairs in prop::collection::btree_map(prop::sample::select(&NAMES[..]), values(), 0..12),
        ) {
            let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish();
            let refusals = [
                ListTemplates::read(&query).err(),
                StatisticsQuery::read(&query).err(),
                super::super::status::StatusQuery::read(&query).err(),
            ];
            for refused in refusals.into_iter().flatten() {
                prop_assert!((30_000..40_000).contains(&refused.code.code), "{refused:?}");
            }
        }
    }

    #[test]
    fn every_path_is_there_once_and_has_its_verbs() {
        let mut paths: Vec<_> = Interface::PATHS.iter().map(|(path, ..)| *path).collect();
        paths.sort_unstable();
        paths.dedup();
        assert_eq!(paths.len(), Interface::PATHS.len());
        for (path, _, verbs) in Interface::PATHS {
            for verb in verbs.split(", ") {
                assert!(["GET", "POST", "PUT", "DELETE"].contains(&verb), "{path} {verb}");
            }
        }
    }
}
