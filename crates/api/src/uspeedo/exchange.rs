//! What all three wires do around their own words: read a body, ask the engine, send the answer off.

use super::asked::{Action, Asked};
use super::auth::{self, Caller};
use super::fault::Fault;
use super::receipts::Receipts;
use super::rules;
use super::words::Thing;
use super::{answer, denied};
use crate::Api;
use crate::access::replays::{Remembered, Replays, Seen};
use crate::body::BodyError;
use crate::idempotency::{self, Recorded};
use crate::serve::Client;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use engine::accept::{AcceptError, Item, Once, Reply};
use engine::manage::ManageError;
use engine::{AccountId, Dialect, StoreError};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

/// The whole body, if it is no longer than it may be.
pub(super) async fn read(api: &Api, body: Body) -> Result<Bytes, Fault> {
    crate::body::read(body, api.limits.body_bytes_max)
        .await
        .map_err(|error| match error {
            BodyError::Busy => Fault::Busy,
            BodyError::TooLong | BodyError::Broken => Fault::Unreadable,
        })
}

/// Notes that a caller has shown who it is, and takes one of its requests.
pub(super) fn admit(api: &Api, client: &Client, dialect: Dialect, caller: &Caller) -> Result<(), Fault> {
    let asker = denied::asker(client, dialect, &caller.user);
    let admitted = api.access.admit(&api.engine, asker, caller.requests_per_s_max);
    admitted.map_err(|_| Fault::TooOften)
}

/// A signed request that acts, held against those that were seen within the window.
#[derive(Debug)]
pub(super) struct SeenOnce<'a> {
    replays: &'a Replays,
    request: Remembered,
}

impl SeenOnce<'_> {
    /// Nothing was done: it may come again.
    pub(super) fn forget(self) {
        self.replays.forget(self.request);
    }
}

/// Whether a request may act: whether it was not seen before, where a window is set and the request signed. Queries may come
/// as often as they like.
pub(super) fn see<'a>(
    api: &'a Api,
    asked: &Asked,
    caller: &Caller,
    headers: &HeaderMap,
) -> Result<Option<SeenOnce<'a>>, Fault> {
    let (family, replays) = match asked.dialect {
        Dialect::Ucloud => (auth::UCLOUD, &api.access.ucloud_replays),
        _ => (auth::USPEEDO, &api.access.uspeedo_replays),
    };
    let (Some(replays), Some(signature)) = (replays, caller.signature) else {
        return Ok(None);
    };
    let Some(action) = asked.action.filter(|action| !action.is_asked_again()) else {
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
        Seen::Again => Err(Fault::Replayed),
    }
}

/// Has the engine accept what can be accepted; the answer's body.
pub(super) async fn send(
    api: &Api,
    asked: &Asked,
    caller: &Caller,
    items: Vec<Item>,
    headers: &HeaderMap,
) -> Result<Vec<u8>, Fault> {
    let once = once(api, asked, headers)?;
    let submission = rules::submission(caller, asked.dialect, items);
    match api.engine.accept(submission, once).await {
        Ok((submission, Reply::New(outcome))) => Ok(answer::sent(
            asked,
            api.engine.public_ids(),
            &submission,
            &outcome,
        )),
        Ok((_, Reply::Repeat { answer, .. })) => Recorded::decode(answer)
            .map(|recorded| recorded.body.into())
            .ok_or(Fault::Store),
        Err(error) => {
            if let AcceptError::Store(source) = &error {
                tracing::error!(dialect = ?asked.dialect, request = asked.uuid, %source, "request not stored");
            }
            Err(Fault::from(&error))
        }
    }
}

/// The request's `Idempotency-Key`, under which a repeat is told what the first was told.
fn once(api: &Api, asked: &Asked, headers: &HeaderMap) -> Result<Option<Once>, Fault> {
    let key = idempotency::key(headers).map_err(|_| Fault::Value("Idempotency-Key"))?;
    let Some(key) = key else { return Ok(None) };
    let (ids, asked) = (api.engine.public_ids().clone(), asked.clone());
    Ok(Some(Once {
        // An answer is worded in one wire's words, so the wires do not share their keys.
        scope: match asked.dialect {
            Dialect::UspeedoRest => "uspeedo_rest/header",
            Dialect::UspeedoAction => "uspeedo_action/header",
            _ => "ucloud/header",
        },
        key: key.into(),
        keep_ms: i64::from(api.limits.request_id_keep_s) * 1000,
        reply: Box::new(move |submission, outcome| {
            Recorded::encode(StatusCode::OK, &answer::sent(&asked, &ids, submission, outcome))
        }),
    }))
}

/// The store failed while something was read or written that is not a message.
pub(super) fn store_failed(asked: &Asked, source: &StoreError) -> Fault {
    let fault = Fault::from(source);
    if fault == Fault::Store {
        tracing::error!(dialect = ?asked.dialect, request = asked.uuid, %source, "the store failed");
    }
    fault
}

/// A template or signature could not be changed.
pub(super) fn refused(asked: &Asked, error: &ManageError, thing: Thing) -> Fault {
    let fault = Fault::of(error, thing);
    if fault == Fault::Store {
        tracing::error!(dialect = ?asked.dialect, request = asked.uuid, %error, "not changed");
    }
    fault
}

/// What became of the messages of sessions; the answer's body.
pub(super) async fn receipts(
    api: &Api,
    asked: &Asked,
    account: AccountId,
    sessions: &[String],
) -> Result<Vec<u8>, Fault> {
    let mut answer = Receipts::new(asked);
    for session_no in sessions {
        let messages = match api.engine.public_ids().read_session(account, session_no) {
            None => Vec::new(),
            Some(first) => {
                let found = api
                    .engine
                    .session(account, first, api.limits.uspeedo_recipients_max)
                    .await;
                found.map_err(|source| store_failed(asked, &source))?
            }
        };
        answer.add(session_no, &messages);
    }
    Ok(answer.finish())
}

/// What another method than an Action wire's gets.
pub(super) fn wrong_method(dialect: Dialect, request: &Request) -> Response {
    let mut asked = Asked::new(dialect);
    asked.name_from(b"", request.uri().query());
    respond(&asked, Err(Fault::Method))
}

/// Sends an answer off. Its status is 200, whatever it says.
pub(super) fn respond(asked: &Asked, result: Result<Vec<u8>, Fault>) -> Response {
    let body = result.unwrap_or_else(|fault| {
        tracing::debug!(dialect = ?asked.dialect, request = asked.uuid, ?fault, "request refused");
        answer::refused(asked, fault)
    });
    let mut response = match asked.fate.get() {
        Some(fate) => crate::body::with_fate(body.into(), fate),
        None => Response::new(Body::from(body)),
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let name = match asked.dialect {
        Dialect::Ucloud => HeaderName::from_static("x-ucloud-request-uuid"),
        _ => HeaderName::from_static("x-speedo-request-uuid"),
    };
    if let Ok(uuid) = HeaderValue::from_str(&asked.uuid) {
        headers.insert(name, uuid);
    }
    response
}
