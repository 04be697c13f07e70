//! uSpeedo REST v1 (seed 000): method and path choose the operation, HTTP Basic names the caller.

use super::answer::Asked;
use super::fault::Fault;
use super::{auth, exchange, wire};
use crate::Api;
use axum::extract::{Request, State};
use axum::response::Response;
use engine::Dialect;
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
    let account = auth::basic(&head.headers, &api.engine.catalog())?;
    let params = wire::parse_json(&body)?;
    let items = wire::parse_batch(&params, asked.dialect, api.limits.uspeedo_recipients_max)?;
    exchange::send(api, asked, account, items, (&head.headers, &body)).await
}

/// `GET /api/v1/usms/USMSSendReceipt?id=…&id=…`
pub(super) async fn receipts(State(api): State<Arc<Api>>, request: Request) -> Response {
    let asked = asked();
    exchange::respond(&asked, try_receipts(&api, &asked, request).await)
}

async fn try_receipts(api: &Api, asked: &Asked, request: Request) -> Result<Vec<u8>, Fault> {
    let (head, _) = request.into_parts();
    let account = auth::basic(&head.headers, &api.engine.catalog())?;
    let query = head.uri.query().unwrap_or_default();
    let sessions = wire::parse_ids(query, api.limits.sessions_per_query_max)?;
    exchange::receipts(api, asked, account, &sessions).await
}

/// Any other method of the paths above.
pub(super) async fn wrong_method() -> Response {
    exchange::respond(&asked(), Err(Fault::Method))
}

/// Any other path below `/api/v1/usms`.
pub(super) async fn wrong_path() -> Response {
    exchange::respond(&asked(), Err(Fault::Path))
}
