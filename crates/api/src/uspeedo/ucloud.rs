//! UCloud Action: one path, everything among the parameters, in a query, a form or a JSON body.

use super::asked::{Action, Asked};
use super::fault::Fault;
use super::perform::{self, Request as Known};
use super::tree::Members;
use super::words::Language;
use super::{auth, exchange, wire};
use crate::Api;
use axum::extract::{Request, State};
use axum::response::Response;
use engine::{AccountId, Dialect};
use std::sync::Arc;

/// `GET /` and `POST /`
pub(super) async fn answer(State(api): State<Arc<Api>>, request: Request) -> Response {
    let mut asked = Asked::new(Dialect::Ucloud);
    let result = try_answer(&api, &mut asked, request).await;
    exchange::respond(&asked, result)
}

async fn try_answer(api: &Api, asked: &mut Asked, request: Request) -> Result<Vec<u8>, Fault> {
    let (head, body) = request.into_parts();
    asked.language = Language::of(&head.headers);
    let body = exchange::read(api, body).await?;
    let posted = wire::parse_params(&body)?;
    let query = head.uri.query().unwrap_or_default();
    let query = Members::from_form(query.as_bytes()).map_err(|_| Fault::Unreadable)?;
    let params = posted.and(&query);
    let named = params.get("Action").ok_or(Fault::ActionMissing)?;
    asked.action = Some(
        named
            .as_text()
            .and_then(|name| Action::named(name, asked.dialect))
            .ok_or(Fault::ActionUnknown)?,
    );
    let caller = auth::parameters(&posted, &query, &api.engine.catalog())?;
    let params = params.nested().map_err(|_| Fault::Unreadable)?;
    check_project(api, caller.account, &params)?;
    // A GET request has no body to tell from another's.
    let told = if body.is_empty() {
        head.uri.query().unwrap_or_default().as_bytes()
    } else {
        &body
    };
    let known = Known {
        api,
        asked,
        caller: &caller,
        params: &params,
    };
    perform::perform(known, (&head.headers, told)).await
}

/// No project means the account's default one (contract section 1.4); an account without a list answers for all.
fn check_project(api: &Api, account: AccountId, params: &Members<'_>) -> Result<(), Fault> {
    let Some(project) = params.get("ProjectId") else {
        return Ok(());
    };
    let project = project.as_text().ok_or(Fault::Shape("ProjectId"))?;
    let catalog = api.engine.catalog();
    let known = &catalog.account(account).ok_or(Fault::KeyUnknown)?.project_ids;
    let ours = known.is_empty() || known.iter().any(|id| **id == *project);
    ours.then_some(()).ok_or(Fault::ProjectUnknown)
}

/// Any method but GET and POST.
pub(super) async fn wrong_method() -> Response {
    exchange::respond(&Asked::new(Dialect::Ucloud), Err(Fault::Method))
}
