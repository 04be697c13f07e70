//! uSpeedo Action (the UCloud Action document): one path, the action in the JSON body, signed headers or HTTP Basic.

use super::asked::{Action, Asked};
use super::auth::{self, Caller, SignedHeaders};
use super::fault::Fault;
use super::perform::{self, Request as Known};
use super::tree::Members;
use super::{denied, exchange, wire};
use crate::Api;
use axum::extract::{Request, State};
use axum::response::Response;
use engine::Dialect;
use http::HeaderMap;
use http::request::Parts;
use std::sync::Arc;

/// `POST /api`
pub(super) async fn answer(State(api): State<Arc<Api>>, request: Request) -> Response {
    let mut asked = Asked::new(Dialect::UspeedoAction);
    let (head, body) = request.into_parts();
    let body = exchange::read(&api, body).await;
    let result = match &body {
        Ok(body) => try_answer(&api, &mut asked, &head, body).await,
        Err(fault) => Err(*fault),
    };
    if let Err(fault) = &result {
        denied::by_headers(&api, Dialect::UspeedoAction, &head.headers, *fault);
        asked.name_from(body.as_deref().unwrap_or_default(), head.uri.query());
    }
    exchange::respond(&asked, result)
}

async fn try_answer(api: &Api, asked: &mut Asked, head: &Parts, body: &[u8]) -> Result<Vec<u8>, Fault> {
    let (caller, params) = authenticate(api, &head.headers, body)?;
    let params = params.nested().map_err(|_| Fault::Unreadable)?;
    let query = Members::from_form(head.uri.query().unwrap_or_default().as_bytes()).unwrap_or_default();
    asked.action = Some(action(&params, &query)?);
    let known = Known {
        api,
        asked,
        caller: &caller,
        params: &params,
    };
    perform::perform(known, (&head.headers, body)).await
}

/// The body's own, else the one the SDKs repeat in the query (which is not signed).
fn action(params: &Members<'_>, query: &Members<'_>) -> Result<Action, Fault> {
    let named = params
        .get("Action")
        .or_else(|| query.get("Action"))
        .ok_or(Fault::ActionMissing)?;
    named
        .as_text()
        .and_then(|name| Action::named(name, Dialect::UspeedoAction))
        .ok_or(Fault::ActionUnknown)
}

/// Who asks, and the parameters: a key that is not known costs no parsing.
fn authenticate<'b>(api: &Api, headers: &HeaderMap, body: &'b [u8]) -> Result<(Caller, Members<'b>), Fault> {
    let catalog = api.engine.catalog();
    let Some(signed) = SignedHeaders::of(headers) else {
        return Ok((auth::basic(headers, &catalog)?, wire::parse_params(body)?));
    };
    let credential = signed.credential(&catalog)?;
    let params = wire::parse_params(body)?;
    let window_s = api.limits.uspeedo_timestamp_window_s;
    Ok((
        signed.verify(credential, &params, api.engine.now(), window_s)?,
        params,
    ))
}

/// Any method but POST.
pub(super) async fn wrong_method(request: Request) -> Response {
    exchange::wrong_method(Dialect::UspeedoAction, &request)
}
