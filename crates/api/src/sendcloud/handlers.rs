//! From HTTP to the engine and back.

use super::answer;
use super::auth::{self, Caller};
use super::codes::{ApiError, HEADER_KEY, METHOD, NO_SUCH_INTERFACE, OK, RATE_LIMITED, REPEAT, SERVER_ERROR};
use super::entry::{admit, check_method, receive};
use super::manage::{Call, Interface};
use super::params::{Form, Params};
use super::rules::{code_of_error, rules};
use super::status::{self, StatusQuery};
use super::wire::SendRequest;
use crate::idempotency::{self, Recorded};
use crate::{Api, Limits};
use axum::extract::{Request, State};
use axum::response::Response;
use engine::Dialect;
use engine::accept::{AcceptResponse, Idempotency, Submission};
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use std::sync::Arc;

/// The space of `sendRequestId`s.
const SCOPE_FIELD: &str = "sendcloud";
/// The space of `Idempotency-Key`s.
const SCOPE_HEADER: &str = "sendcloud-header";

/// How an interface reads its parameters.
pub(super) type Reader = for<'a, 'b> fn(&'a Params<'b>, &Limits) -> Result<SendRequest<'a>, ApiError>;

/// Any of the interfaces that send.
pub(super) async fn send(api: Arc<Api>, read: Reader, request: Request) -> Response {
    let done = async {
        let (parts, form) = receive(&api, request).await?;
        try_send(&api, read, &parts, &form).await
    };
    respond(done.await)
}

async fn try_send(api: &Api, read: Reader, parts: &Parts, form: &Form) -> Result<Recorded, ApiError> {
    let admitted = admit(api, parts, form).await?;
    let (params, caller) = (&admitted.params, admitted.caller());
    let request = read(params, &api.limits)?;
    let header_key = idempotency::key(&parts.headers).map_err(|_| &HEADER_KEY)?;
    let once = once(api, caller, request.request_id, header_key);
    let has_own_id = request.request_id.is_some();
    let submission = Submission {
        account: caller.account,
        dialect: Dialect::Sendcloud,
        user: caller.sms_user.into(),
        items: vec![request.item],
        one_session: true,
        kind: request.kind,
        message_type: Some(request.message_type),
        label: request.label,
        custom: request.tag.map(Box::from),
        due: None,
        ends_at: None,
        rules: rules(request.grammar),
    };
    match api.engine.accept(submission, once).await {
        Ok((submission, AcceptResponse::New(outcome))) => {
            let body = answer::sent(&submission, &outcome, api.engine.public_ids());
            Ok(answered(body))
        }
        Ok((_, AcceptResponse::Replayed { .. })) if has_own_id => Err(ApiError::from(&REPEAT)),
        Ok((_, AcceptResponse::Replayed { answer, .. })) => {
            let first = Recorded::decode(answer).ok_or(&SERVER_ERROR)?;
            Ok(first)
        }
        Err(error) => {
            let code = code_of_error(&error);
            if *code == SERVER_ERROR {
                tracing::warn!(dialect = "sendcloud", %error, "request failed");
            }
            Err(ApiError::from(code))
        }
    }
}

/// What makes the request single. Ids of one `smsUser` do not meet those of another: two applications that both
/// count from one lose nothing.
fn once(
    api: &Api,
    caller: Caller<'_>,
    request_id: Option<&str>,
    header_key: Option<&str>,
) -> Option<Idempotency> {
    let (scope, id) = match (request_id, header_key) {
        (Some(id), _) => (SCOPE_FIELD, id),
        (None, Some(key)) => (SCOPE_HEADER, key),
        (None, None) => return None,
    };
    let ids = api.engine.public_ids().clone();
    Some(Idempotency {
        scope,
        key: format!("{}\n{id}", caller.sms_user).into_boxed_str(),
        keep_ms: i64::from(api.limits.request_id_keep_s) * 1000,
        reply: Box::new(move |submission, outcome| match scope {
            // The response to a repeat of the field is a bare 400: there is nothing to store.
            SCOPE_FIELD => Vec::new(),
            _ => Recorded::encode(StatusCode::OK, &answer::sent(submission, outcome, &ids)),
        }),
    })
}

/// `/smsapi/timestamp/get`: the server's clock, for everybody.
pub(super) async fn timestamp(State(api): State<Arc<Api>>, request: Request) -> Response {
    #[derive(Serialize)]
    struct Info {
        timestamp: i64,
    }
    let timestamp = api.engine.now();
    let reported = || answered(answer::body_with(&OK, Info { timestamp }, 32));
    respond(check_method(request.method()).map(|()| reported()))
}

/// `/smsapi/status/query`: what became of messages.
pub(super) async fn status_query(api: Arc<Api>, request: Request) -> Response {
    let done = async {
        let (parts, form) = receive(&api, request).await?;
        try_status_query(&api, &parts, &form).await
    };
    respond(done.await)
}

async fn try_status_query(api: &Api, parts: &Parts, form: &Form) -> Result<Recorded, ApiError> {
    let admitted = admit(api, parts, form).await?;
    let (params, catalog, caller) = (&admitted.params, &admitted.catalog, admitted.caller());
    let taken = api.access.take_status_query(
        &api.engine,
        Dialect::Sendcloud,
        (auth::FAMILY, caller.sms_user),
        api.limits.sendcloud_status_per_minute_max,
    );
    taken.map_err(|_| &RATE_LIMITED)?;
    let query = StatusQuery::read(params, admitted.now)?;
    let found = query
        .run(&api.engine, catalog, caller.account)
        .await
        .map_err(|error| {
            tracing::warn!(dialect = "sendcloud", %error, "status query failed");
            &SERVER_ERROR
        })?;
    let body = status::answer(&found, caller, catalog, api.engine.public_ids());
    Ok(answered(body))
}

/// Any of the interfaces that manage and count.
pub(super) async fn manage(api: Arc<Api>, interface: Interface, request: Request) -> Response {
    let done = async {
        let (parts, form) = receive(&api, request).await?;
        try_manage(&api, interface, &parts, &form).await
    };
    respond(done.await)
}

async fn try_manage(
    api: &Api,
    interface: Interface,
    parts: &Parts,
    form: &Form,
) -> Result<Recorded, ApiError> {
    let admitted = admit(api, parts, form).await?;
    let call = Call {
        api,
        params: &admitted.params,
        headers: &parts.headers,
        caller: admitted.caller(),
        catalog: &admitted.catalog,
        now: admitted.now,
    };
    interface.answer(&call).await.map(answered)
}

/// Everything under `/smsapi/` that is no interface of ours.
pub(super) async fn unknown() -> Response {
    respond(Err(ApiError::from(&NO_SUCH_INTERFACE)))
}

fn answered(body: Vec<u8>) -> Recorded {
    Recorded {
        status: StatusCode::OK,
        body: body.into(),
    }
}

/// Business errors go with 200; only what never reaches an interface has a status of its own.
fn respond(done: Result<Recorded, ApiError>) -> Response {
    const ALLOWED: HeaderValue = HeaderValue::from_static("POST, GET");
    let refused = match done {
        Ok(answer) => return answer::response(answer.status, answer.body),
        Err(refused) => refused,
    };
    let body = answer::refusal(refused);
    if *refused.code == METHOD {
        let mut response = answer::response(StatusCode::METHOD_NOT_ALLOWED, body);
        response.headers_mut().insert(header::ALLOW, ALLOWED);
        return response;
    }
    let unknown = *refused.code == NO_SUCH_INTERFACE;
    let status = if unknown {
        StatusCode::NOT_FOUND
    } else {
        StatusCode::OK
    };
    answer::response(status, body)
}
