//! From HTTP to the engine and back.

use super::answer::{self, RenderedResponse};
use super::auth::{self, AuthError, Caller};
use super::codes::{ApiError, Code, a, c};
use super::recipients::Entries;
use super::status::StatusQuery;
use super::{messages, send};
use crate::access::{Requester, TooMany};
use crate::body::{self, BodyError};
use crate::idempotency::{self, Recorded};
use crate::serve::Client;
use crate::{Api, Limits};
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use engine::Dialect;
use engine::accept::{AcceptError, AcceptResponse, Idempotency, Outcome, Submission};
use engine::sms::class::Kind;
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode, header};
use std::sync::Arc;

/// The space of `request_id`s.
const SCOPE_FIELD: &str = "engagelab";
/// The space of `Idempotency-Key`s on `/v1/send`.
const SCOPE_HEADER_A: &str = "engagelab-header";
/// The space of `Idempotency-Key`s on `/v1/messages`.
const SCOPE_HEADER_C: &str = "engagelab-dev-header";

/// `POST /v1/send`.
pub(super) async fn send(State(api): State<Arc<Api>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let done = async {
        check_method(&parts, "POST", &a::METHOD)?;
        let caller = authenticate_a(&api, &parts).await?;
        let body = read_body(&api.limits, body, [&a::TOO_LARGE, &a::BAD_REQUEST, &a::BUSY]).await?;
        try_send(&api, &caller, &parts, &body).await
    };
    respond(done.await, "POST")
}

async fn try_send(api: &Api, caller: &Caller, parts: &Parts, body: &Bytes) -> Result<Recorded, ApiError> {
    let request = send::read(body, &api.limits)?;
    let header_key = idempotency::key(&parts.headers);
    let header_key = header_key.map_err(|error| ApiError::saying(&a::BAD_REQUEST, error.to_string()))?;
    let submission = Submission {
        account: caller.account,
        dialect: Dialect::EngagelabA,
        user: Arc::from(&*caller.user),
        items: vec![request.item],
        one_session: true,
        kind: Kind::Text,
        message_type: None,
        label: request.label,
        custom: request.custom,
        due: None,
        ends_at: None,
        rules: send::rules(),
    };
    let (entries, request_id, ids) = (
        request.entries,
        request.request_id,
        api.engine.public_ids().clone(),
    );
    let key = match (&request_id, header_key) {
        (Some(id), _) => Some((SCOPE_FIELD, &**id)),
        (None, Some(key)) => Some((SCOPE_HEADER_A, key)),
        (None, None) => None,
    };
    let once = key.map(|(scope, id)| once(&api.limits, caller, scope, id));
    let render = move |submission: &Submission, outcome: &Outcome| {
        answer::sent(submission, outcome, &entries, request_id.as_deref(), &ids)
    };
    accept(
        api,
        submission,
        once,
        render,
        answer::code_of_error_a,
        &a::SERVER_ERROR,
    )
    .await
}

/// `POST /v1/messages`.
pub(super) async fn messages(State(api): State<Arc<Api>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let done = async {
        check_method(&parts, "POST", &c::METHOD)?;
        let caller = authenticate_c(&api, &parts).await?;
        let body = read_body(&api.limits, body, [&c::TOO_LARGE, &c::NOT_JSON, &c::BUSY]).await?;
        try_messages(&api, &caller, &parts, &body).await
    };
    respond(done.await, "POST")
}

async fn try_messages(api: &Api, caller: &Caller, parts: &Parts, body: &Bytes) -> Result<Recorded, ApiError> {
    let request = messages::read(body, api.engine.now(), &api.limits)?;
    let key = idempotency::key(&parts.headers);
    let key = key.map_err(|error| ApiError::saying(&c::PARAMETERS, error.to_string()))?;
    let submission = Submission {
        account: caller.account,
        dialect: Dialect::EngagelabC,
        user: Arc::from(&*caller.user),
        items: vec![request.item],
        one_session: true,
        kind: Kind::Text,
        message_type: None,
        label: 0,
        custom: request.custom,
        due: request.due,
        ends_at: None,
        rules: messages::rules(),
    };
    let once = key.map(|key| once(&api.limits, caller, SCOPE_HEADER_C, key));
    let entries: Entries = request.entries;
    let render =
        move |submission: &Submission, outcome: &Outcome| answer::planned(submission, outcome, &entries);
    accept(
        api,
        submission,
        once,
        render,
        answer::code_of_error_c,
        &c::SERVER_ERROR,
    )
    .await
}

/// The idempotency scope and key of a request, before its response is rendered.
struct IdempotencyKey {
    scope: &'static str,
    key: Box<str>,
    keep_ms: i64,
}

/// Ids of one user do not meet those of another: two applications that both count from one lose nothing.
fn once(limits: &Limits, caller: &Caller, scope: &'static str, id: &str) -> IdempotencyKey {
    IdempotencyKey {
        scope,
        key: format!("{}\n{id}", caller.user).into_boxed_str(),
        keep_ms: i64::from(limits.request_id_keep_s) * 1000,
    }
}

/// Submits to the engine and renders the response. The response to the first request is stored for repeats.
async fn accept(
    api: &Api,
    submission: Submission,
    idempotency_key: Option<IdempotencyKey>,
    render: impl Fn(&Submission, &Outcome) -> RenderedResponse + Send + Sync + 'static,
    code_of_error: fn(&AcceptError) -> &'static Code,
    server_error: &'static Code,
) -> Result<Recorded, ApiError> {
    let render = Arc::new(render);
    let once = idempotency_key.map(|idempotency_key| {
        let render = Arc::clone(&render);
        Idempotency {
            scope: idempotency_key.scope,
            key: idempotency_key.key,
            keep_ms: idempotency_key.keep_ms,
            reply: Box::new(move |submission, outcome| {
                let (status, body) = render(submission, outcome);
                Recorded::encode(status, &body)
            }),
        }
    });
    match api.engine.accept(submission, once).await {
        Ok((submission, AcceptResponse::New(outcome))) => {
            let (status, body) = render(&submission, &outcome);
            Ok(Recorded {
                status,
                body: body.into(),
            })
        }
        Ok((_, AcceptResponse::Replayed { answer, .. })) => {
            Recorded::decode(answer).ok_or_else(|| server_error.into())
        }
        Err(error) => {
            let code = code_of_error(&error);
            if code.status.is_server_error() {
                tracing::warn!(dialect = "engagelab", %error, "request failed");
            }
            Err(ApiError::from(code))
        }
    }
}

/// `GET /v1/status`.
pub(super) async fn status(api: Arc<Api>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    respond(try_status(&api, &parts).await, "GET")
}

async fn try_status(api: &Api, parts: &Parts) -> Result<Recorded, ApiError> {
    check_method(parts, "GET", &a::METHOD)?;
    let caller = authenticate_a(api, parts).await?;
    let taken = api.access.take_status_query(
        &api.engine,
        Dialect::EngagelabA,
        (auth::FAMILY_A, &caller.user),
        api.limits.engagelab_status_per_minute_max,
    );
    taken.map_err(|wait_ms| ApiError::after(&a::TOO_OFTEN, wait_ms))?;
    let query = StatusQuery::read(parts.uri.query().unwrap_or_default())?;
    let found = query.run(&api.engine, &caller).await.map_err(|error| {
        tracing::warn!(dialect = "engagelab", %error, "status query failed");
        &a::SERVER_ERROR
    })?;
    let body = query.answer(&found, &caller, &api.engine.catalog(), api.engine.public_ids());
    Ok(Recorded {
        status: StatusCode::OK,
        body: body.into(),
    })
}

/// Everything under `/v1/` that is no interface of ours.
pub(super) async fn unknown() -> Response {
    respond(Err(ApiError::from(&a::NOT_FOUND)), "")
}

pub(super) async fn authenticate_a(api: &Api, parts: &Parts) -> Result<Caller, ApiError> {
    // The page knows one answer for all of them.
    authenticate(
        api,
        Dialect::EngagelabA,
        auth::FAMILY_A,
        parts,
        |_| &a::UNAUTHORIZED,
        &a::TOO_OFTEN,
    )
    .await
}

/// The codes of callers are those of sending in both families of generation C.
pub(super) async fn authenticate_c(api: &Api, parts: &Parts) -> Result<Caller, ApiError> {
    let code = |denied| match denied {
        AuthError::Missing | AuthError::Unknown | AuthError::WrongSecret => &c::UNAUTHORIZED,
        AuthError::Disabled => &c::DISABLED,
    };
    authenticate(
        api,
        Dialect::EngagelabC,
        auth::FAMILY_C,
        parts,
        code,
        &c::TOO_OFTEN,
    )
    .await
}

/// Who calls. Who is not let in is counted and logged, and waits where that is called for.
async fn authenticate(
    api: &Api,
    dialect: Dialect,
    family: &'static str,
    parts: &Parts,
    code: impl Fn(AuthError) -> &'static Code,
    too_often: &'static Code,
) -> Result<Caller, ApiError> {
    let client = Client::of(&parts.extensions);
    let shown = auth::basic(&parts.headers);
    let user = shown
        .as_ref()
        .map_or_else(Box::default, |shown| shown.user.clone());
    let requester = Requester {
        client: &client,
        dialect,
        family,
        user: &user,
    };
    let turn = api.access.turns.turn(&api.engine, requester).await;
    let turn = turn.map_err(|TooMany| ApiError::from(too_often))?;
    let denied = match auth::authenticate(family, shown, &api.engine.catalog()) {
        Ok(caller) => {
            drop(turn);
            let admitted = api
                .access
                .admit(&api.engine, requester, caller.requests_per_s_max);
            admitted.map_err(|wait_ms| ApiError::after(too_often, wait_ms))?;
            return Ok(caller);
        }
        Err(denied) => denied,
    };
    let reason = match denied {
        AuthError::Missing => "missing",
        AuthError::Unknown => "unknown_key",
        AuthError::WrongSecret => "wrong_secret",
        AuthError::Disabled => "disabled",
    };
    api.access.refuse(&api.engine, requester, turn, reason);
    Err(ApiError::from(code(denied)))
}

/// Whether a method is among those of an interface. HEAD goes the way of GET, without its body.
pub(super) fn check_method(
    parts: &Parts,
    allowed: &'static str,
    otherwise: &'static Code,
) -> Result<(), ApiError> {
    let requested = match parts.method {
        Method::HEAD => Method::GET,
        ref other => other.clone(),
    };
    if allowed.split(", ").any(|verb| *verb == *requested.as_str()) {
        Ok(())
    } else {
        Err(ApiError::from(otherwise))
    }
}

/// The whole body; otherwise the code for one that is too large, that is broken, or for which there is no room just now.
pub(super) async fn read_body(
    limits: &Limits,
    body: axum::body::Body,
    [too_large, broken, busy]: [&'static Code; 3],
) -> Result<Bytes, ApiError> {
    body::read(body, limits.body_bytes_max)
        .await
        .map_err(|error| match error {
            BodyError::TooLong => ApiError::from(too_large),
            BodyError::Broken => ApiError::from(broken),
            BodyError::Busy => ApiError::from(busy),
        })
}

pub(super) fn respond(done: Result<Recorded, ApiError>, allowed: &'static str) -> Response {
    let mut retry_after_s = 0;
    let (status, body) = match done {
        Ok(answer) => (answer.status, answer.body),
        Err(refused) => {
            retry_after_s = refused.retry_after_s;
            let (status, body) = answer::refusal(&refused);
            (status, body.into())
        }
    };
    let mut response = answer::response(status, body);
    if retry_after_s > 0 {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(retry_after_s));
    }
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response
            .headers_mut()
            .insert(header::ALLOW, HeaderValue::from_static(allowed));
    }
    response
}
