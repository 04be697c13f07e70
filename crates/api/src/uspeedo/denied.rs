//! Requests whose credentials are not accepted: counted, logged, and answered later where there were many.

use super::auth::{self, USPEEDO};
use super::fault::Fault;
use crate::Api;
use crate::access::{Answered, Failure};
use crate::serve::Client;
use engine::Dialect;
use http::HeaderMap;

/// Notes a request with credentials in its headers that was not let in, and waits where that is called for; what it is told.
/// Other faults are not its business.
pub(super) async fn by_headers(
    api: &Api,
    client: &Client,
    dialect: Dialect,
    headers: &HeaderMap,
    fault: Fault,
) -> Fault {
    if reason(fault).is_none() {
        return fault;
    }
    let user = auth::user(headers).unwrap_or_default();
    by_key(api, client, dialect, USPEEDO, &user, fault).await
}

/// The same for a request that names its key otherwise.
pub(super) async fn by_key(
    api: &Api,
    client: &Client,
    dialect: Dialect,
    family: &'static str,
    user: &str,
    fault: Fault,
) -> Fault {
    let Some(reason) = reason(fault) else { return fault };
    let failure = Failure {
        client,
        dialect,
        reason,
        family,
        user,
    };
    match api.access.failures.note(&api.engine, failure).await {
        Answered::AsItIs => fault,
        Answered::TooMany => Fault::TooOften,
    }
}

const fn reason(fault: Fault) -> Option<&'static str> {
    match fault {
        Fault::SignatureMissing => Some("missing"),
        Fault::SignatureWrong => Some("wrong_secret"),
        Fault::TimestampWrong => Some("wrong_time"),
        Fault::Replayed => Some("replayed"),
        Fault::KeyUnknown => Some("unknown_key"),
        _ => None,
    }
}
