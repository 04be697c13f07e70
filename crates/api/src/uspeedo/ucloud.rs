//! UCloud Action: one path, everything among the parameters, in a query, a form or a JSON body.

use super::api_error::ApiError;
use super::auth::Caller;
use super::canon::{PUBLIC_KEY, SIGNATURE};
use super::error_texts::Language;
use super::handle_action::{self, ActionRequest as Known};
use super::request_context::{Action, RequestContext};
use super::tree::Members;
use super::{auth, boundaries, credentials, handler, wire};
use crate::access::signed::Signed;
use crate::serve::Client;
use crate::{Api, peek};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use engine::catalog::Snapshot;
use engine::{AccountId, Dialect};
use http::request::Parts;
use std::sync::Arc;

/// From so many octets on a body is searched for its key before it is read: a shorter one costs less to read than that.
const PEEKED_BYTES_MIN: usize = 1024;

/// `GET /` and `POST /`
pub(super) async fn answer(State(api): State<Arc<Api>>, request: Request) -> Response {
    let mut context = RequestContext::new(Dialect::Ucloud);
    let (head, body) = request.into_parts();
    let client = Client::of(&head.extensions);
    context.language = Language::of(&head.headers);
    let body = receive(&api, &head, body).await;
    let result = match &body {
        Ok(body) => try_answer(&api, &mut context, &client, &head, body).await,
        Err(fault) => Err(*fault),
    };
    if result.is_err() {
        context.name_from(body.as_deref().unwrap_or_default(), head.uri.query());
    }
    handler::respond(&context, result)
}

/// The body. Of a request that is signed in its query by a key that nobody has, only what has arrived of it: more would make
/// no difference.
async fn receive(api: &Api, head: &Parts, body: Body) -> Result<Bytes, ApiError> {
    let query = head.uri.query().unwrap_or_default().as_bytes();
    let signed = peek::text(b"", query, SIGNATURE).is_some();
    let key = peek::text(b"", query, PUBLIC_KEY).filter(|_| signed);
    if key.is_some_and(|key| !auth::is_known(&key, &api.engine.catalog())) {
        return Ok(crate::body::arrived(body).await);
    }
    handler::read(api, body).await
}

async fn try_answer(
    api: &Api,
    context: &mut RequestContext,
    client: &Client,
    head: &Parts,
    body: &[u8],
) -> Result<Vec<u8>, ApiError> {
    let catalog = api.engine.catalog();
    let query = head.uri.query().unwrap_or_default().as_bytes();
    if body.len() >= PEEKED_BYTES_MIN {
        let mut seen = None;
        let is_known = peek::any(body, query, PUBLIC_KEY, |key| {
            seen.get_or_insert_with(|| key.to_owned());
            auth::is_known(key, &catalog)
        });
        if !is_known {
            let user = seen.unwrap_or_default();
            let requester = credentials::requester(client, context.dialect, &user);
            let turn = api.access.turn_of(&api.engine, requester, body.len()).await?;
            return credentials::checked(api, requester, turn, Err(of_unverified(context, body, query)));
        }
    }
    let requester = credentials::requester(client, context.dialect, "");
    let request = Parameters {
        body,
        query,
        values_max: api.limits.uspeedo_values_max,
        catalog: &catalog,
        context: &mut *context,
    };
    let checked = api
        .access
        .check_credentials(&api.engine, requester, body.len(), request)
        .await;
    let (caller, params) = checked?;
    // What was signed decides, and only that.
    let named = params.get("Action").ok_or(ApiError::ActionMissing)?;
    context.action = Some(action(named.as_text(), context.dialect)?);
    let params = boundaries::nest_signed(params)?;
    handler::admit(api, client, context.dialect, &caller)?;
    check_project(api, caller.account, &params)?;
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

/// Parameters with a key and a signature among them, in a body and a query.
struct Parameters<'r, 's> {
    body: &'r [u8],
    query: &'r [u8],
    values_max: usize,
    catalog: &'s Snapshot,
    /// Where the action is noted once it is read.
    context: &'s mut RequestContext,
}

impl<'r> Signed for Parameters<'r, '_> {
    type Read = (Members<'r>, Members<'r>);
    type Verified = (Caller, Members<'r>);
    type Refusal = ApiError;

    fn read(&mut self) -> Result<Self::Read, ApiError> {
        let posted = wire::parse_params(self.body, self.values_max)?;
        let query = Members::from_form(self.query, self.values_max).map_err(|_| ApiError::Unreadable)?;
        let named = posted.get("Action").or_else(|| query.get("Action"));
        let named = named.ok_or(ApiError::ActionMissing)?;
        self.context.action = Some(action(named.as_text(), self.context.dialect)?);
        Ok((posted, query))
    }

    fn user<'p>(&self, (posted, query): &'p Self::Read) -> &'p str {
        auth::public_key(posted, query).unwrap_or_default()
    }

    fn verify(&self, (posted, query): Self::Read) -> Result<Self::Verified, ApiError> {
        auth::parameters(posted, query, self.catalog)
    }

    fn reason(fault: &ApiError) -> Option<&'static str> {
        credentials::reason(fault)
    }
}

fn action(name: Option<&str>, dialect: Dialect) -> Result<Action, ApiError> {
    name.and_then(|name| Action::named(name, dialect))
        .ok_or(ApiError::ActionUnknown)
}

/// The error of a request with an unknown key: of a short one the first in the order of the checks, of a long one the key
/// alone. Nothing of a long body is kept for that: unverified clients may send many.
fn of_unverified(context: &mut RequestContext, body: &[u8], query: &[u8]) -> ApiError {
    if body.len() > peek::EXACT_BYTES_MAX {
        return ApiError::KeyUnknown;
    }
    if !peek::is_readable(body) || Members::from_form(query, peek::EXACT_BYTES_MAX).is_err() {
        return ApiError::Unreadable;
    }
    let Some(name) = peek::text(body, query, "Action") else {
        return ApiError::ActionMissing;
    };
    match action(Some(&name), context.dialect) {
        Ok(action) => context.action = Some(action),
        Err(fault) => return fault,
    }
    match peek::text(body, query, SIGNATURE) {
        Some(_) => ApiError::KeyUnknown,
        None => ApiError::SignatureMissing,
    }
}

/// No project means the account's default one (contract section 1.4); an account without a list answers for all.
fn check_project(api: &Api, account: AccountId, params: &Members<'_>) -> Result<(), ApiError> {
    let Some(project) = params.get("ProjectId") else {
        return Ok(());
    };
    let project = project.as_text().ok_or(ApiError::Shape("ProjectId"))?;
    let catalog = api.engine.catalog();
    let known = &catalog.account(account).ok_or(ApiError::KeyUnknown)?.project_ids;
    let ours = known.is_empty() || known.iter().any(|id| **id == *project);
    ours.then_some(()).ok_or(ApiError::ProjectUnknown)
}

/// Any method but GET and POST.
pub(super) async fn wrong_method(request: Request) -> Response {
    handler::wrong_method(Dialect::Ucloud, &request)
}
