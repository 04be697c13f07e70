//! The steps that all three wires share: read the body, call the engine, send the response.

use super::api_error::ApiError;
use super::auth::{self, Caller};
use super::error_texts::Thing;
use super::receipts::Receipts;
use super::request_context::{Action, RequestContext};
use super::rules;
use super::{answer, credentials};
use crate::Api;
use crate::access::replays::{Remembered, Replays, Seen};
use crate::body::BodyError;
use crate::idempotency::{self, Recorded};
use crate::serve::Client;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use engine::accept::{AcceptError, AcceptResponse, Idempotency, Item};
use engine::manage::ManageError;
use engine::{AccountId, Dialect, StoreError, dialect_name};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

/// The whole body, if it is no longer than it may be.
pub(super) async fn read(api: &Api, body: Body) -> Result<Bytes, ApiError> {
    crate::body::read(body, api.limits.body_bytes_max)
        .await
        .map_err(|error| match error {
            BodyError::Busy => ApiError::Busy,
            BodyError::TooLong | BodyError::Broken => ApiError::Unreadable,
        })
}

/// Notes that a caller has shown who it is, and takes one of its requests.
pub(super) fn admit(api: &Api, client: &Client, dialect: Dialect, caller: &Caller) -> Result<(), ApiError> {
    let requester = credentials::requester(client, dialect, &caller.user);
    let admitted = api
        .access
        .admit(&api.engine, requester, caller.requests_per_s_max);
    admitted.map_err(|_| ApiError::TooOften)
}

/// A signed request that acts, held against those that were seen within the window.
#[derive(Debug)]
pub(super) struct SeenOnce<'a> {
    replays: &'a Replays,
    request: Remembered,
}

impl SeenOnce<'_> {
    /// Nothing was done: it may come again.
    pub(super) fn discard(self) {
        self.replays.discard(self.request);
    }
}

/// Whether a request may act: whether it was not seen before, where a window is set and the request signed. Queries may come
/// as often as they like.
pub(super) fn see<'a>(
    api: &'a Api,
    context: &RequestContext,
    caller: &Caller,
    headers: &HeaderMap,
) -> Result<Option<SeenOnce<'a>>, ApiError> {
    let (family, replays) = match context.dialect {
        Dialect::Ucloud => (auth::UCLOUD, &api.access.ucloud_replays),
        _ => (auth::USPEEDO, &api.access.uspeedo_replays),
    };
    let (Some(replays), Some(signature)) = (replays, caller.signature) else {
        return Ok(None);
    };
    let Some(action) = context.action.filter(|action| !action.is_repeated()) else {
        return Ok(None);
    };
    let id = match action {
        // What is sent is kept by its id. Nothing else is.
        Action::Send | Action::SendBatch => idempotency::key(headers).unwrap_or_default(),
        _ => None,
    };
    let request = (family, &*caller.user, signature);
    match replays.see(&request, id, api.engine.passed_ms()) {
        Seen::First(request) => Ok(Some(SeenOnce { replays, request })),
        Seen::SameId => Ok(None),
        Seen::Again => Err(ApiError::Replayed),
    }
}

/// Has the engine accept what can be accepted; the answer's body.
pub(super) async fn send(
    api: &Api,
    context: &RequestContext,
    caller: &Caller,
    items: Vec<Item>,
    headers: &HeaderMap,
) -> Result<Vec<u8>, ApiError> {
    let once = once(api, context, headers)?;
    let submission = rules::submission(caller, context.dialect, items);
    match api.engine.accept(submission, once).await {
        Ok((submission, AcceptResponse::New(outcome))) => Ok(answer::sent(
            context,
            api.engine.public_ids(),
            &submission,
            &outcome,
        )),
        Ok((_, AcceptResponse::Replayed { answer, .. })) => Recorded::decode(answer)
            .map(|recorded| recorded.body.into())
            .ok_or(ApiError::Store),
        Err(error) => {
            if let AcceptError::Store(source) = &error {
                tracing::warn!(dialect = dialect_name(context.dialect), request = context.uuid, error = %source, "request failed");
            }
            Err(ApiError::from(&error))
        }
    }
}

/// The request's `Idempotency-Key`, under which a repeat gets the response to the first request.
fn once(api: &Api, context: &RequestContext, headers: &HeaderMap) -> Result<Option<Idempotency>, ApiError> {
    let key = idempotency::key(headers).map_err(|_| ApiError::Value("Idempotency-Key"))?;
    let Some(key) = key else { return Ok(None) };
    let (ids, context) = (api.engine.public_ids().clone(), context.clone());
    Ok(Some(Idempotency {
        // A response is rendered for one wire, so the wires do not share their keys.
        scope: match context.dialect {
            Dialect::UspeedoRest => "uspeedo_rest/header",
            Dialect::UspeedoAction => "uspeedo_action/header",
            _ => "ucloud/header",
        },
        key: key.into(),
        keep_ms: i64::from(api.limits.request_id_keep_s) * 1000,
        reply: Box::new(move |submission, outcome| {
            Recorded::encode(StatusCode::OK, &answer::sent(&context, &ids, submission, outcome))
        }),
    }))
}

/// The store failed while something was read or written that is not a message.
pub(super) fn store_failed(context: &RequestContext, source: &StoreError) -> ApiError {
    let fault = ApiError::from(source);
    if fault == ApiError::Store {
        tracing::warn!(dialect = dialect_name(context.dialect), request = context.uuid, error = %source, "request failed");
    }
    fault
}

/// A template or signature could not be changed.
pub(super) fn refused(context: &RequestContext, error: &ManageError, thing: Thing) -> ApiError {
    let fault = ApiError::of(error, thing);
    if fault == ApiError::Store {
        tracing::warn!(dialect = dialect_name(context.dialect), request = context.uuid, %error, "request failed");
    }
    fault
}

/// What became of the messages of sessions; the answer's body.
pub(super) async fn receipts(
    api: &Api,
    context: &RequestContext,
    account: AccountId,
    sessions: &[String],
) -> Result<Vec<u8>, ApiError> {
    let mut answer = Receipts::new(context);
    for session_no in sessions {
        let messages = match api.engine.public_ids().read_session(account, session_no) {
            None => Vec::new(),
            Some(first) => {
                let found = api
                    .engine
                    .session(account, first, api.limits.uspeedo_recipients_max)
                    .await;
                found.map_err(|source| store_failed(context, &source))?
            }
        };
        answer.add(session_no, &messages);
    }
    Ok(answer.finish())
}

/// What another method than an Action wire's gets.
pub(super) fn wrong_method(dialect: Dialect, request: &Request) -> Response {
    let mut context = RequestContext::new(dialect);
    context.name_from(b"", request.uri().query());
    respond(&context, Err(ApiError::Method))
}

/// Sends an answer off. Its status is 200, whatever it says.
pub(super) fn respond(context: &RequestContext, result: Result<Vec<u8>, ApiError>) -> Response {
    let body = result.unwrap_or_else(|fault| {
        tracing::debug!(
            dialect = dialect_name(context.dialect),
            request = context.uuid,
            ?fault,
            "request rejected"
        );
        answer::refused(context, fault)
    });
    let mut response = match context.tracker.get() {
        Some(tracker) => crate::body::with_tracker(body.into(), tracker),
        None => Response::new(Body::from(body)),
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let name = match context.dialect {
        Dialect::Ucloud => HeaderName::from_static("x-ucloud-request-uuid"),
        _ => HeaderName::from_static("x-speedo-request-uuid"),
    };
    if let Ok(uuid) = HeaderValue::from_str(&context.uuid) {
        headers.insert(name, uuid);
    }
    response
}
