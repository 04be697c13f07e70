//! uSpeedo REST v1 (the uSpeedo REST v1 document): method and path choose the operation, HTTP Basic names the caller.

use super::asked::Asked;
use super::auth::Caller;
use super::fault::Fault;
use super::perform::Request as Known;
use super::tree::Members;
use super::{auth, denied, exchange, templates, wire};
use crate::Api;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use engine::Dialect;
use http::request::Parts;
use std::sync::Arc;

fn asked() -> Asked {
    Asked::new(Dialect::UspeedoRest)
}

/// `POST /api/v1/usms/SendBatchUSMSMessage`
pub(super) async fn send(State(api): State<Arc<Api>>, request: Request) -> Response {
    let asked = asked();
    exchange::respond(&asked, try_send(&api, &asked, request).await)
}

async fn try_send(api: &Api, asked: &Asked, request: Request) -> Result<Vec<u8>, Fault> {
    let (head, body) = request.into_parts();
    let body = exchange::read(api, body).await?;
    let caller = caller_of(api, &head)?;
    let params = wire::parse_json(&body)?;
    let items = wire::parse_batch(&params, asked.dialect, api.limits.uspeedo_recipients_max)?;
    exchange::send(api, asked, &caller, items, (&head.headers, &body)).await
}

/// `GET /api/v1/usms/USMSSendReceipt?id=…&id=…`
pub(super) async fn receipts(State(api): State<Arc<Api>>, request: Request) -> Response {
    let asked = asked();
    exchange::respond(&asked, try_receipts(&api, &asked, request).await)
}

async fn try_receipts(api: &Api, asked: &Asked, request: Request) -> Result<Vec<u8>, Fault> {
    let (head, _) = request.into_parts();
    let (caller, sessions) = asked_by_ids(api, &head)?;
    exchange::receipts(api, asked, caller.account, &sessions).await
}

/// `POST /api/v1/usms/USMSTemplate`
pub(super) async fn create_template(State(api): State<Arc<Api>>, request: Request) -> Response {
    let asked = asked();
    let result = async {
        let (caller, body) = posted(&api, request).await?;
        let params = wire::parse_json(&body)?;
        templates::create(known(&api, &asked, &caller, &params)).await
    };
    let result = result.await;
    exchange::respond(&asked, result)
}

/// `GET /api/v1/usms/USMSTemplate?id=…&id=…`
pub(super) async fn show_templates(State(api): State<Arc<Api>>, request: Request) -> Response {
    let asked = asked();
    let (head, _) = request.into_parts();
    let result = asked_by_ids(&api, &head)
        .and_then(|(caller, ids)| templates::show(known(&api, &asked, &caller, &Members::default()), &ids));
    exchange::respond(&asked, result)
}

/// `PUT /api/v1/usms/USMSTemplate/{id}`
pub(super) async fn change_template(State(api): State<Arc<Api>>, request: Request) -> Response {
    let asked = asked();
    // An id is letters and digits: one that is percent-encoded is none.
    let id = request
        .uri()
        .path()
        .rsplit('/')
        .next()
        .unwrap_or_default()
        .to_owned();
    let result = async {
        let (caller, body) = posted(&api, request).await?;
        let params = wire::parse_json(&body)?;
        templates::change(known(&api, &asked, &caller, &params), &id).await
    };
    let result = result.await;
    exchange::respond(&asked, result)
}

/// `DELETE /api/v1/usms/USMSTemplate?id=…&id=…`
pub(super) async fn remove_templates(State(api): State<Arc<Api>>, request: Request) -> Response {
    let asked = asked();
    let (head, _) = request.into_parts();
    let result = match asked_by_ids(&api, &head) {
        Ok((caller, ids)) => templates::remove(known(&api, &asked, &caller, &Members::default()), &ids).await,
        Err(fault) => Err(fault),
    };
    exchange::respond(&asked, result)
}

fn known<'r>(api: &'r Api, asked: &'r Asked, caller: &'r Caller, params: &'r Members<'r>) -> Known<'r> {
    Known {
        api,
        asked,
        caller,
        params,
    }
}

/// Who asks.
fn caller_of(api: &Api, head: &Parts) -> Result<Caller, Fault> {
    auth::basic(&head.headers, &api.engine.catalog())
        .inspect_err(|fault| denied::by_headers(api, Dialect::UspeedoRest, &head.headers, *fault))
}

/// Who asks, and the body.
async fn posted(api: &Api, request: Request) -> Result<(Caller, Bytes), Fault> {
    let (head, body) = request.into_parts();
    let body = exchange::read(api, body).await?;
    Ok((caller_of(api, &head)?, body))
}

/// Who asks, and about which ids.
fn asked_by_ids(api: &Api, head: &Parts) -> Result<(Caller, Vec<String>), Fault> {
    let caller = caller_of(api, head)?;
    let query = head.uri.query().unwrap_or_default();
    Ok((caller, wire::parse_ids(query, api.limits.sessions_per_query_max)?))
}

/// Any other method of the paths above.
pub(super) async fn wrong_method() -> Response {
    exchange::respond(&asked(), Err(Fault::Method))
}

/// Any other path below `/api/v1/usms`.
pub(super) async fn wrong_path() -> Response {
    exchange::respond(&asked(), Err(Fault::Path))
}
