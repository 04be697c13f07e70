//! From HTTP to the engine and back.

use super::answer;
use super::auth::{self, Caller};
use super::codes::{
    ACCOUNT_GONE, BODY_UNREADABLE, HEADER_KEY, METHOD, NO_PERMISSION, NO_SUCH_INTERFACE, OK, RATE_LIMITED,
    REPEAT, Refused, SERVER_ERROR, SIGNATURE_MISSING, SIGNATURE_WRONG, USER_EMPTY, USER_UNKNOWN,
};
use super::manage::{Call, Interface};
use super::multipart;
use super::params::{Encoding, Form, Params, encoding};
use super::rules::{code_of_error, rules};
use super::status::{self, StatusQuery};
use super::wire::SendRequest;
use crate::body::BodyError;
use crate::idempotency::{self, Recorded};
use crate::per_minute::PerMinute;
use crate::{Api, Limits, body};
use axum::body::HttpBody as _;
use axum::extract::{Request, State};
use axum::response::Response;
use engine::accept::{Once, Reply, Submission};
use engine::catalog::Snapshot;
use engine::{Dialect, UnixMs};
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode, header};
use serde::Serialize;
use std::sync::Arc;

/// The space of `sendRequestId`s.
const SCOPE_FIELD: &str = "sendcloud";
/// The space of `Idempotency-Key`s.
const SCOPE_HEADER: &str = "sendcloud-header";

/// How an interface reads its parameters.
pub(super) type Reader = for<'a, 'b> fn(&'a Params<'b>, &Limits) -> Result<SendRequest<'a>, Refused>;

/// Any of the interfaces that send.
pub(super) async fn send(api: Arc<Api>, read: Reader, request: Request) -> Response {
    let done = async {
        let (parts, form) = receive(&api, request).await?;
        try_send(&api, read, &parts, &form).await
    };
    respond(done.await)
}

async fn try_send(api: &Api, read: Reader, parts: &Parts, form: &Form) -> Result<Recorded, Refused> {
    let params = read_params(parts, form)?;
    let catalog = api.engine.catalog();
    let caller = caller_of(api, &params, &catalog, api.engine.now())?;
    let request = read(&params, &api.limits)?;
    let header_key = idempotency::key(&parts.headers).map_err(|_| &HEADER_KEY)?;
    let once = once(api, &params, caller, request.request_id, header_key);
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
        Ok((submission, Reply::New(outcome))) => {
            let body = answer::sent(&submission, &outcome, api.engine.public_ids());
            Ok(answered(body))
        }
        Ok((_, Reply::Repeat { .. })) if has_own_id => Err(Refused::from(&REPEAT)),
        Ok((_, Reply::Repeat { answer, .. })) => {
            let first = Recorded::decode(answer).ok_or(&SERVER_ERROR)?;
            Ok(first)
        }
        Err(error) => {
            let code = code_of_error(&error);
            if *code == SERVER_ERROR {
                tracing::warn!(%error, "a SendCloud request was not accepted");
            }
            Err(Refused::from(code))
        }
    }
}

/// Who calls; who is not let in is counted and logged.
fn caller_of<'a>(
    api: &Api,
    params: &'a Params<'_>,
    catalog: &Snapshot,
    now: UnixMs,
) -> Result<Caller<'a>, Refused> {
    auth::authenticate(params, catalog, now, &api.limits).inspect_err(|refused| {
        let reasons = [
            (&USER_EMPTY, "missing"),
            (&SIGNATURE_MISSING, "missing"),
            (&USER_UNKNOWN, "unknown_key"),
            (&ACCOUNT_GONE, "unknown_key"),
            (&SIGNATURE_WRONG, "wrong_secret"),
            (&NO_PERMISSION, "disabled"),
        ];
        let known = reasons.iter().find(|(code, _)| *code == refused.code);
        let reason = known.map_or("wrong_time", |(_, reason)| *reason);
        let user = params.get("smsUser").unwrap_or_default();
        api.engine.denied(Dialect::Sendcloud, reason, auth::FAMILY, user);
    })
}

/// What makes the request single. Ids of one `smsUser` do not meet those of another: two applications that both
/// count from one lose nothing.
fn once(
    api: &Api,
    params: &Params<'_>,
    caller: Caller<'_>,
    request_id: Option<&str>,
    header_key: Option<&str>,
) -> Option<Once> {
    let (scope, id) = match (request_id, header_key) {
        (Some(id), _) => (SCOPE_FIELD, id),
        (None, Some(key)) => (SCOPE_HEADER, key),
        (None, None) => return None,
    };
    let ids = api.engine.public_ids().clone();
    Some(Once {
        scope,
        key: format!("{}\n{id}", caller.sms_user).into_boxed_str(),
        fingerprint: fingerprint(params),
        keep_ms: i64::from(api.limits.request_id_keep_s) * 1000,
        reply: Box::new(move |submission, outcome| match scope {
            // A repeat of the field is told 400 and nothing else: there is nothing to keep.
            SCOPE_FIELD => Vec::new(),
            _ => Recorded::encode(StatusCode::OK, &answer::sent(submission, outcome, &ids)),
        }),
    })
}

/// Over what a retry does not change.
pub(super) fn fingerprint(params: &Params<'_>) -> u64 {
    const CHANGING: [&str; 3] = ["signature", "timestamp", "sendRequestId"];
    let kept = params.iter().filter(|(name, _)| !CHANGING.contains(name));
    idempotency::fingerprint(kept.flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]))
}

/// `/smsapi/timestamp/get`: the server's clock, for everybody.
pub(super) async fn timestamp(State(api): State<Arc<Api>>, request: Request) -> Response {
    #[derive(Serialize)]
    struct Info {
        timestamp: i64,
    }
    let timestamp = api.engine.now();
    let told = || answered(answer::body_with(&OK, Info { timestamp }, 32));
    respond(check_method(request.method()).map(|()| told()))
}

/// `/smsapi/status/query`: what became of messages.
pub(super) async fn status_query(api: Arc<Api>, calls: Arc<PerMinute>, request: Request) -> Response {
    let done = async {
        let (parts, form) = receive(&api, request).await?;
        try_status_query(&api, &calls, &parts, &form).await
    };
    respond(done.await)
}

async fn try_status_query(
    api: &Api,
    calls: &PerMinute,
    parts: &Parts,
    form: &Form,
) -> Result<Recorded, Refused> {
    let params = read_params(parts, form)?;
    let (catalog, now) = (api.engine.catalog(), api.engine.now());
    let caller = caller_of(api, &params, &catalog, now)?;
    if !calls.admits(caller.sms_user, now, api.limits.sendcloud_status_per_minute_max) {
        return Err(Refused::from(&RATE_LIMITED));
    }
    let query = StatusQuery::read(&params, now)?;
    let found = query
        .run(&api.engine, &catalog, caller.account)
        .await
        .map_err(|error| {
            tracing::warn!(%error, "a SendCloud status query failed");
            &SERVER_ERROR
        })?;
    let body = status::answer(&found, caller, &catalog, api.engine.public_ids());
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
) -> Result<Recorded, Refused> {
    let params = read_params(parts, form)?;
    let (catalog, now) = (api.engine.catalog(), api.engine.now());
    let caller = caller_of(api, &params, &catalog, now)?;
    let call = Call {
        api,
        params: &params,
        headers: &parts.headers,
        caller,
        catalog: &catalog,
        now,
    };
    interface.answer(&call).await.map(answered)
}

/// Everything under `/smsapi/` that is no interface of ours.
pub(super) async fn unknown() -> Response {
    respond(Err(Refused::from(&NO_SUCH_INTERFACE)))
}

/// The request's head, and its body as the form it is.
async fn receive(api: &Api, request: Request) -> Result<(Parts, Form), Refused> {
    check_method(request.method())?;
    let (parts, body) = request.into_parts();
    let bytes_max = api.limits.body_bytes_max;
    let content_type = parts.headers.get(header::CONTENT_TYPE);
    let content_type = content_type.map(|value| value.to_str().unwrap_or("unreadable"));
    if let (Some(content_type), Ok(Encoding::Multipart)) = (content_type, encoding(content_type))
        && !body.is_end_stream()
    {
        body::check_length(&body, bytes_max).map_err(|_| Refused::with_limit(&BODY_UNREADABLE, bytes_max))?;
        let fields = multipart::read(content_type, body, bytes_max).await?;
        return Ok((parts, Form::Multipart(fields)));
    }
    let body = body::read(body, bytes_max).await.map_err(|error| match error {
        BodyError::Busy => Refused::from(&SERVER_ERROR),
        BodyError::TooLong | BodyError::Broken => Refused::with_limit(&BODY_UNREADABLE, bytes_max),
    })?;
    // Without a body nothing is encoded, whatever the head says.
    if !body.is_empty() {
        encoding(content_type)?;
    }
    Ok((parts, Form::Urlencoded(body)))
}

fn read_params<'a>(parts: &'a Parts, form: &'a Form) -> Result<Params<'a>, Refused> {
    Params::read_form(parts.uri.query(), form)
}

/// POST as the page has it, GET as it had it before and as queries still have it; HEAD must not send.
fn check_method(method: &Method) -> Result<(), Refused> {
    let taken = matches!(*method, Method::POST | Method::GET);
    if taken {
        Ok(())
    } else {
        Err(Refused::from(&METHOD))
    }
}

fn answered(body: Vec<u8>) -> Recorded {
    Recorded {
        status: StatusCode::OK,
        body: body.into(),
    }
}

/// Business errors go with 200; only what never reaches an interface has a status of its own.
fn respond(done: Result<Recorded, Refused>) -> Response {
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
