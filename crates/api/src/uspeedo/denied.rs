//! Requests whose credentials are not accepted, counted and logged for operators.

use super::auth::{self, USPEEDO};
use super::fault::Fault;
use crate::Api;
use engine::Dialect;
use http::HeaderMap;

/// Notes a request with credentials in its headers that was not let in; other faults are not its business.
pub(super) fn by_headers(api: &Api, dialect: Dialect, headers: &HeaderMap, fault: Fault) {
    let Some(reason) = reason(fault) else { return };
    let user = auth::user(headers).unwrap_or_default();
    api.engine.denied(dialect, reason, USPEEDO, &user);
}

/// The same for a request that names its key otherwise.
pub(super) fn by_key(api: &Api, dialect: Dialect, family: &str, key: &str, fault: Fault) {
    if let Some(reason) = reason(fault) {
        api.engine.denied(dialect, reason, family, key);
    }
}

const fn reason(fault: Fault) -> Option<&'static str> {
    match fault {
        Fault::SignatureMissing => Some("missing"),
        Fault::SignatureWrong => Some("wrong_secret"),
        Fault::KeyUnknown => Some("unknown_key"),
        _ => None,
    }
}
