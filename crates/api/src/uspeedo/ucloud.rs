//! UCloud Action: one path, everything among the parameters, in a query, a form or a JSON body.

use super::asked::{Action, Asked};
use super::canon::{PUBLIC_KEY, SIGNATURE};
use super::fault::Fault;
use super::perform::{self, Request as Known};
use super::tree::Members;
use super::words::Language;
use super::{auth, denied, exchange, wire};
use crate::Api;
use axum::extract::{Request, State};
use axum::response::Response;
use engine::{AccountId, Dialect};
use http::request::Parts;
use std::sync::Arc;

/// `GET /` and `POST /`
pub(super) async fn answer(State(api): State<Arc<Api>>, request: Request) -> Response {
    let mut asked = Asked::new(Dialect::Ucloud);
    let (head, body) = request.into_parts();
    asked.language = Language::of(&head.headers);
    let body = exchange::read(&api, body).await;
    let result = match &body {
        Ok(body) => try_answer(&api, &mut asked, &head, body).await,
        Err(fault) => Err(*fault),
    };
    if let Err(fault) = &result {
        let query = head.uri.query().unwrap_or_default().as_bytes();
        let key = wire::member(body.as_deref().unwrap_or_default(), query, PUBLIC_KEY);
        denied::by_key(
            &api,
            Dialect::Ucloud,
            auth::UCLOUD,
            key.as_deref().unwrap_or_default(),
            *fault,
        );
        asked.name_from(body.as_deref().unwrap_or_default(), head.uri.query());
    }
    exchange::respond(&asked, result)
}

async fn try_answer(api: &Api, asked: &mut Asked, head: &Parts, body: &[u8]) -> Result<Vec<u8>, Fault> {
    let catalog = api.engine.catalog();
    let query = head.uri.query().unwrap_or_default().as_bytes();
    if auth::is_stranger(wire::member(body, query, PUBLIC_KEY).as_deref(), &catalog) {
        return Err(of_a_stranger(asked, body, query));
    }
    let posted = wire::parse_params(body)?;
    let query = Members::from_form(query).map_err(|_| Fault::Unreadable)?;
    let named = posted.get("Action").or_else(|| query.get("Action"));
    asked.action = Some(action(
        named.ok_or(Fault::ActionMissing)?.as_text(),
        asked.dialect,
    )?);
    let (caller, params) = auth::parameters(posted, &query, &catalog)?;
    // What was signed decides, and only that.
    let named = params.get("Action").ok_or(Fault::ActionMissing)?;
    asked.action = Some(action(named.as_text(), asked.dialect)?);
    let params = params.nested().map_err(|_| Fault::Unreadable)?;
    check_project(api, caller.account, &params)?;
    // A GET request has no body to tell from another's.
    let told = if body.is_empty() {
        head.uri.query().unwrap_or_default().as_bytes()
    } else {
        body
    };
    let known = Known {
        api,
        asked,
        caller: &caller,
        params: &params,
    };
    perform::perform(known, (&head.headers, told)).await
}

fn action(name: Option<&str>, dialect: Dialect) -> Result<Action, Fault> {
    name.and_then(|name| Action::named(name, dialect))
        .ok_or(Fault::ActionUnknown)
}

/// What is wrong with a request whose key nobody has, in the order in which requests are looked at. Nothing of its body is
/// kept for that: strangers may send long ones.
fn of_a_stranger(asked: &mut Asked, body: &[u8], query: &[u8]) -> Fault {
    if !wire::is_readable(body) || Members::from_form(query).is_err() {
        return Fault::Unreadable;
    }
    let Some(name) = wire::member(body, query, "Action") else {
        return Fault::ActionMissing;
    };
    match action(Some(&name), asked.dialect) {
        Ok(action) => asked.action = Some(action),
        Err(fault) => return fault,
    }
    match wire::member(body, query, SIGNATURE) {
        Some(_) => Fault::KeyUnknown,
        None => Fault::SignatureMissing,
    }
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
pub(super) async fn wrong_method(request: Request) -> Response {
    exchange::wrong_method(Dialect::Ucloud, &request)
}
