//! uSpeedo REST v1 (the uSpeedo REST v1 document): method and path choose the operation, HTTP Basic names the caller.

use super::api_error::ApiError;
use super::auth::Caller;
use super::handle_action::ActionRequest as Known;
use super::request_context::RequestContext;
use super::tree::Members;
use super::{auth, credentials, handler, templates, wire};
use crate::serve::Client;
use crate::{Api, Limits};
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use engine::Dialect;
use http::request::Parts;
use std::sync::Arc;

fn context() -> RequestContext {
    RequestContext::new(Dialect::UspeedoRest)
}

/// `POST /api/v1/usms/SendBatchUSMSMessage`
pub(super) async fn send(State(api): State<Arc<Api>>, request: Request) -> Response {
    let context = context();
    let result = async {
        let posted = posted(&api, request).await?;
        let params = posted.params(&api).await?;
        let Limits {
            uspeedo_recipients_max,
            uspeedo_values_max,
            ..
        } = api.limits;
        let items = wire::parse_batch(
            &params,
            context.dialect,
            uspeedo_recipients_max,
            uspeedo_values_max,
        )?;
        handler::send(&api, &context, &posted.caller, items, &posted.head.headers).await
    };
    let result = result.await;
    handler::respond(&context, result)
}

/// `GET /api/v1/usms/USMSSendReceipt?id=…&id=…`
pub(super) async fn receipts(State(api): State<Arc<Api>>, request: Request) -> Response {
    let context = context();
    let result = match caller_and_ids(&api, request).await {
        Ok((caller, sessions)) => handler::receipts(&api, &context, caller.account, &sessions).await,
        Err(fault) => Err(fault),
    };
    handler::respond(&context, result)
}

/// `POST /api/v1/usms/USMSTemplate`
pub(super) async fn create_template(State(api): State<Arc<Api>>, request: Request) -> Response {
    let context = context();
    let result = async {
        let posted = posted(&api, request).await?;
        let params = posted.params(&api).await?;
        templates::create(known(&api, &context, &posted.caller, &params)).await
    };
    let result = result.await;
    handler::respond(&context, result)
}

/// `GET /api/v1/usms/USMSTemplate?id=…&id=…`
pub(super) async fn show_templates(State(api): State<Arc<Api>>, request: Request) -> Response {
    let context = context();
    let result = caller_and_ids(&api, request)
        .await
        .and_then(|(caller, ids)| templates::show(known(&api, &context, &caller, &Members::default()), &ids));
    handler::respond(&context, result)
}

/// `PUT /api/v1/usms/USMSTemplate/{id}`
pub(super) async fn change_template(State(api): State<Arc<Api>>, request: Request) -> Response {
    let context = context();
    // An id is letters and digits: one that is percent-encoded is none.
    let id = request
        .uri()
        .path()
        .rsplit('/')
        .next()
        .unwrap_or_default()
        .to_owned();
    let result = async {
        let posted = posted(&api, request).await?;
        let params = posted.params(&api).await?;
        templates::change(known(&api, &context, &posted.caller, &params), &id).await
    };
    let result = result.await;
    handler::respond(&context, result)
}

/// `DELETE /api/v1/usms/USMSTemplate?id=…&id=…`
pub(super) async fn remove_templates(State(api): State<Arc<Api>>, request: Request) -> Response {
    let context = context();
    let result = match caller_and_ids(&api, request).await {
        Ok((caller, ids)) => {
            templates::remove(known(&api, &context, &caller, &Members::default()), &ids).await
        }
        Err(fault) => Err(fault),
    };
    handler::respond(&context, result)
}

fn known<'r>(
    api: &'r Api,
    context: &'r RequestContext,
    caller: &'r Caller,
    params: &'r Members<'r>,
) -> Known<'r> {
    Known {
        api,
        context,
        caller,
        params,
    }
}

/// Authenticates the caller by the head alone.
async fn caller_of(api: &Api, head: &Parts) -> Result<Caller, ApiError> {
    let client = Client::of(&head.extensions);
    let shown = auth::basic_shown(&head.headers);
    let user = shown.as_ref().map_or("", |shown| shown.user());
    let requester = credentials::requester(&client, Dialect::UspeedoRest, user);
    let turn = api.access.turns.turn(&api.engine, requester).await?;
    let seen = auth::basic(&head.headers, shown.as_ref(), &api.engine.catalog());
    let caller = credentials::checked(api, requester, turn, seen)?;
    handler::admit(api, &client, Dialect::UspeedoRest, &caller)?;
    Ok(caller)
}

/// A request with a body, whose caller is known.
struct Posted {
    head: Parts,
    caller: Caller,
    body: Bytes,
}

async fn posted(api: &Api, request: Request) -> Result<Posted, ApiError> {
    let (head, body) = request.into_parts();
    let caller = caller_of(api, &head).await?;
    let body = handler::read(api, body).await?;
    Ok(Posted { head, caller, body })
}

impl Posted {
    async fn params(&self, api: &Api) -> Result<Members<'_>, ApiError> {
        let client = Client::of(&self.head.extensions);
        let turn = api.access.parsing.turn(self.body.len(), &client).await?;
        let values_max = api.limits.uspeedo_values_max;
        turn.run(|| wire::parse_json(&self.body, values_max))
    }
}

/// The caller, and the ids of its query.
async fn caller_and_ids(api: &Api, request: Request) -> Result<(Caller, Vec<String>), ApiError> {
    let (head, _) = request.into_parts();
    let caller = caller_of(api, &head).await?;
    let query = head.uri.query().unwrap_or_default();
    Ok((caller, wire::parse_ids(query, api.limits.sessions_per_query_max)?))
}

/// Any other method of the paths above.
pub(super) async fn wrong_method() -> Response {
    handler::respond(&context(), Err(ApiError::Method))
}

/// Any other path below `/api/v1/usms`.
pub(super) async fn wrong_path() -> Response {
    handler::respond(&context(), Err(ApiError::Path))
}
