//! uSpeedo Action (the UCloud Action document): one path, the action in the JSON body, signed headers or HTTP Basic.

use super::asked::{Action, Asked};
use super::auth::{self, Caller, SignedHeaders};
use super::fault::Fault;
use super::perform::{self, Request as Known};
use super::tree::Members;
use super::{boundaries, denied, exchange, wire};
use crate::Api;
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

/// `POST /api`
pub(super) async fn answer(State(api): State<Arc<Api>>, request: Request) -> Response {
    let mut asked = Asked::new(Dialect::UspeedoAction);
    let (head, body) = request.into_parts();
    let client = Client::of(&head.extensions);
    let mut result = match receive(&api, &head, body, &mut asked).await {
        Ok(body) => {
            let result = try_answer(&api, &mut asked, &client, &head, &body).await;
            if result.is_err() {
                asked.name_from(&body, head.uri.query());
            }
            result
        }
        Err(fault) => Err(fault),
    };
    if let Err(fault) = &mut result {
        *fault = denied::by_headers(&api, &client, asked.dialect, &head.headers, *fault).await;
    }
    exchange::respond(&asked, result)
}

/// The body, unless the head alone tells that the request is not let in. Then only what has arrived of the body is looked at,
/// for the name of the action in the answer.
async fn receive(api: &Api, head: &Parts, body: Body, asked: &mut Asked) -> Result<Bytes, Fault> {
    let window_s = api.limits.uspeedo_timestamp_window_s;
    let seen = auth::check_headers(&head.headers, &api.engine.catalog(), api.engine.now(), window_s);
    if let Err(fault) = seen {
        asked.name_from(&crate::body::arrived(body).await, head.uri.query());
        return Err(fault);
    }
    exchange::read(api, body)
        .await
        .inspect_err(|_| asked.name_from(b"", head.uri.query()))
}

async fn try_answer(
    api: &Api,
    asked: &mut Asked,
    client: &Client,
    head: &Parts,
    body: &[u8],
) -> Result<Vec<u8>, Fault> {
    let turn = api
        .access
        .parsing
        .turn(body.len(), client)
        .await
        .map_err(|_| Fault::Busy)?;
    let (caller, params) = turn.run(|| authenticate(api, head, body))?;
    exchange::admit(api, client, asked.dialect, &caller)?;
    asked.action = Some(action(&params)?);
    let known = Known {
        api,
        asked,
        caller: &caller,
        params: &params,
    };
    perform::perform(known, &head.headers).await
}

fn action(params: &Members<'_>) -> Result<Action, Fault> {
    let named = params.get("Action").ok_or(Fault::ActionMissing)?;
    named
        .as_text()
        .and_then(|name| Action::named(name, Dialect::UspeedoAction))
        .ok_or(Fault::ActionUnknown)
}

/// Who asks, and the parameters, nested. Where the body is signed, it alone counts. With HTTP Basic nothing is signed, and
/// the action may stand in the query, where the SDKs repeat it.
fn authenticate<'b>(api: &Api, head: &'b Parts, body: &'b [u8]) -> Result<(Caller, Members<'b>), Fault> {
    let catalog = api.engine.catalog();
    let values_max = api.limits.uspeedo_values_max;
    let Some(signed) = SignedHeaders::of(&head.headers) else {
        let caller = auth::basic(&head.headers, &catalog)?;
        let params = wire::parse_params(body, values_max)?;
        let query = head.uri.query().unwrap_or_default().as_bytes();
        let query = Members::from_form(query, QUERY_FIELDS_MAX).unwrap_or_default();
        let params = boundaries::nest(params)?;
        return Ok((caller, params.or_from("Action", query)));
    };
    let credential = signed.credential(&catalog)?;
    let params = wire::parse_params(body, values_max)?;
    let caller = signed.verify(credential, &params)?;
    Ok((caller, boundaries::nest_signed(params)?))
}

/// Any method but POST.
pub(super) async fn wrong_method(request: Request) -> Response {
    exchange::wrong_method(Dialect::UspeedoAction, &request)
}
