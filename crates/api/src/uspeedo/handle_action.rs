//! Executes the actions of the two Action wires, once the caller and the action are known.

use super::api_error::ApiError;
use super::auth::Caller;
use super::request_context::{Action, RequestContext};
use super::tree::Members;
use super::{blacklist, files, handler, qualifications, reports, signatures, statistics, templates, wire};
use crate::Api;
use engine::Engine;
use http::HeaderMap;

/// A request whose caller is known.
#[derive(Debug, Clone, Copy)]
pub(super) struct ActionRequest<'r> {
    /// What every handler shares.
    pub(super) api: &'r Api,
    /// What its answer depends on.
    pub(super) context: &'r RequestContext,
    /// Its caller.
    pub(super) caller: &'r Caller,
    /// Its parameters, dotted names nested.
    pub(super) params: &'r Members<'r>,
}

impl ActionRequest<'_> {
    /// The engine.
    pub(super) fn engine(&self) -> &Engine {
        &self.api.engine
    }
}

/// Executes an action, once; the body of the response.
pub(super) async fn handle_action(
    request: ActionRequest<'_>,
    headers: &HeaderMap,
) -> Result<Vec<u8>, ApiError> {
    let seen = handler::see(request.api, request.context, request.caller, headers)?;
    let done = act(request, headers).await;
    if let (Err(_), Some(seen)) = (&done, seen) {
        // A fault says that nothing was done.
        seen.discard();
    }
    done
}

async fn act(request: ActionRequest<'_>, headers: &HeaderMap) -> Result<Vec<u8>, ApiError> {
    let ActionRequest {
        api,
        context,
        caller,
        params,
    } = request;
    let recipients_max = api.limits.uspeedo_recipients_max;
    let items = match context.action.ok_or(ApiError::ActionMissing)? {
        Action::SendBatch => wire::parse_batch(
            params,
            context.dialect,
            recipients_max,
            api.limits.uspeedo_values_max,
        )?,
        Action::Send => wire::parse_single(params, recipients_max)?,
        Action::GetReceipt => {
            let sessions = wire::parse_sessions(params, api.limits.sessions_per_query_max)?;
            return handler::receipts(api, context, caller.account, &sessions).await;
        }
        Action::CreateTemplate => return templates::create(request).await,
        Action::QueryTemplate => return templates::query(request),
        Action::UpdateTemplate => return templates::update(request).await,
        Action::DeleteTemplate => return templates::delete(request).await,
        Action::CreateSignature => return signatures::create(request).await,
        Action::QuerySignature => return signatures::query(request),
        Action::UpdateSignature => return signatures::update(request).await,
        Action::DeleteSignature => return signatures::delete(request).await,
        Action::AddQualification => return qualifications::add(request).await,
        Action::UpdateQualification => return qualifications::update(request).await,
        Action::QueryQualification => return qualifications::query(request).await,
        Action::GetQualification => return qualifications::list(request).await,
        Action::DeleteQualification => return qualifications::delete(request).await,
        Action::UploadFile => return files::upload(request).await,
        Action::GetStatistics => return statistics::by_country(request).await,
        Action::GetTemplateStatistics => return statistics::by_template(request).await,
        Action::CreateBlacklist => return blacklist::create(request).await,
        Action::AddBackfill => return reports::backfill(request).await,
        Action::ReportStatus => return reports::status(request).await,
        Action::PullReport => return reports::pull(request).await,
    };
    handler::send(api, context, caller, items, headers).await
}
