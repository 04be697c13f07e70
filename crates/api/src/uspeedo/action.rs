//! uSpeedo Action (the UCloud Action document): one path, the action in the JSON body, signed headers or HTTP Basic.

use super::api_error::ApiError;
use super::auth::{self, Caller, SignedHeaders};
use super::handle_action::{self, ActionRequest as Known};
use super::request_context::{Action, RequestContext};
use super::tree::Members;
use super::{boundaries, credentials, handler, wire};
use crate::Api;
use crate::access::Turn;
use crate::serve::Client;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use engine::Dialect;
use http::request::Parts;
use std::sync::Arc;

/// Fields of a query that are looked at: the SDKs send one.
const QUERY_FIELDS_MAX: usize = 64;

/// What the head of a request says of its caller.
enum Head<'t> {
    /// The caller, verified by the head alone.
    Known(Caller),
    /// A known key and a plausible signature: checked with the body, within this turn.
    Signed(Turn<'t>),
}

/// `POST /api`
pub(super) async fn answer(State(api): State<Arc<Api>>, request: Request) -> Response {
    let mut context = RequestContext::new(Dialect::UspeedoAction);
    let (head, body) = request.into_parts();
    let client = Client::of(&head.extensions);
    let result = match receive(&api, &client, &head, body, &mut context).await {
        Ok((body, shown)) => {
            let result = try_answer(&api, &mut context, &client, &head, (&body, shown)).await;
            if result.is_err() {
                context.name_from(&body, head.uri.query());
            }
            result
        }
        Err(fault) => Err(fault),
    };
    handler::respond(&context, result)
}

/// The body, and the result of the check of the head. When the head alone is enough to reject the request, only the part of
/// the body that has arrived is read, for the name of the action in the response.
async fn receive<'a>(
    api: &'a Api,
    client: &Client,
    head: &Parts,
    body: Body,
    context: &mut RequestContext,
) -> Result<(Bytes, Head<'a>), ApiError> {
    let shown = match check_head(api, client, head).await {
        Ok(shown) => shown,
        Err(fault) => {
            context.name_from(&crate::body::arrived(body).await, head.uri.query());
            return Err(fault);
        }
    };
    let body = handler::read(api, body)
        .await
        .inspect_err(|_| context.name_from(b"", head.uri.query()))?;
    Ok((body, shown))
}

/// Checks what the head alone has: all of HTTP Basic, and of a signature whether it is worth reading the body.
async fn check_head<'a>(api: &'a Api, client: &Client, head: &Parts) -> Result<Head<'a>, ApiError> {
    let dialect = Dialect::UspeedoAction;
    let turns = &api.access.turns;
    if let Some(signed) = SignedHeaders::of(&head.headers) {
        let requester = credentials::requester(client, dialect, signed.user());
        let turn = turns.turn(&api.engine, requester).await?;
        let seen = signed.credential(&api.engine.catalog()).map(drop);
        let seen = seen.and_then(|()| signed.check(api.engine.now(), api.limits.uspeedo_timestamp_window_s));
        return match seen {
            // A turn may have been waited for, and there need not be another: it is the body's as well.
            Ok(()) => Ok(Head::Signed(turn)),
            Err(fault) => credentials::checked(api, requester, turn, Err(fault)),
        };
    }
    let shown = auth::basic_shown(&head.headers);
    let user = shown.as_ref().map_or("", |shown| shown.user());
    let requester = credentials::requester(client, dialect, user);
    let turn = turns.turn(&api.engine, requester).await?;
    let seen = auth::basic(&head.headers, shown.as_ref(), &api.engine.catalog());
    let caller = credentials::checked(api, requester, turn, seen)?;
    handler::admit(api, client, dialect, &caller)?;
    Ok(Head::Known(caller))
}

async fn try_answer(
    api: &Api,
    context: &mut RequestContext,
    client: &Client,
    head: &Parts,
    (body, shown): (&[u8], Head<'_>),
) -> Result<Vec<u8>, ApiError> {
    let parsing = api.access.parsing.turn(body.len(), client).await?;
    let (caller, params) = match shown {
        Head::Known(caller) => (caller, parsing.run(|| with_basic(api, head, body))?),
        Head::Signed(turn) => {
            let (caller, params) = parsing.run(|| signed(api, client, head, (body, turn)))?;
            handler::admit(api, client, context.dialect, &caller)?;
            (caller, params)
        }
    };
    context.action = Some(action(&params)?);
    let known = Known {
        api,
        context,
        caller: &caller,
        params: &params,
    };
    let requester = credentials::requester(client, context.dialect, &caller.user);
    credentials::seen_before(
        api,
        requester,
        handle_action::handle_action(known, &head.headers).await,
    )
}

fn action(params: &Members<'_>) -> Result<Action, ApiError> {
    let named = params.get("Action").ok_or(ApiError::ActionMissing)?;
    named
        .as_text()
        .and_then(|name| Action::named(name, Dialect::UspeedoAction))
        .ok_or(ApiError::ActionUnknown)
}

/// The parameters, nested. With HTTP Basic nothing is signed, and the action may stand in the query, where the SDKs repeat
/// it.
fn with_basic<'b>(api: &Api, head: &'b Parts, body: &'b [u8]) -> Result<Members<'b>, ApiError> {
    let params = wire::parse_params(body, api.limits.uspeedo_values_max)?;
    let query = head.uri.query().unwrap_or_default().as_bytes();
    let query = Members::from_form(query, QUERY_FIELDS_MAX).unwrap_or_default();
    let params = boundaries::nest(params)?;
    Ok(params.or_from("Action", query))
}

/// Who has signed the body, and its parameters: they alone count.
fn signed<'b>(
    api: &Api,
    client: &Client,
    head: &Parts,
    (body, turn): (&'b [u8], Turn<'_>),
) -> Result<(Caller, Members<'b>), ApiError> {
    let params = wire::parse_params(body, api.limits.uspeedo_values_max)?;
    let signed = SignedHeaders::of(&head.headers).ok_or(ApiError::SignatureMissing)?;
    let requester = credentials::requester(client, Dialect::UspeedoAction, signed.user());
    let catalog = api.engine.catalog();
    let seen = signed
        .credential(&catalog)
        .and_then(|credential| signed.verify(credential, &params));
    let caller = credentials::checked(api, requester, turn, seen)?;
    Ok((caller, boundaries::nest_signed(params)?))
}

/// Any method but POST.
pub(super) async fn wrong_method(request: Request) -> Response {
    handler::wrong_method(Dialect::UspeedoAction, &request)
}
