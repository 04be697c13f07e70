//! Credentials that are checked in turn, and what becomes of rejected ones.

use super::api_error::ApiError;
use super::auth::{UCLOUD, USPEEDO};
use crate::Api;
use crate::access::parsing::NoTurn;
use crate::access::{Requester, TooMany, Turn};
use crate::serve::Client;
use engine::Dialect;

impl From<TooMany> for ApiError {
    fn from(_: TooMany) -> Self {
        Self::TooOften
    }
}

impl From<NoTurn> for ApiError {
    fn from(_: NoTurn) -> Self {
        Self::Busy
    }
}

/// A client with a key on one of the three wires.
pub(super) fn requester<'a>(client: &'a Client, dialect: Dialect, user: &'a str) -> Requester<'a> {
    Requester {
        client,
        dialect,
        family: match dialect {
            Dialect::Ucloud => UCLOUD,
            _ => USPEEDO,
        },
        user,
    }
}

/// Ends the turn of a credential that was checked: an error about the credential is counted, any other is not.
pub(super) fn checked<T>(
    api: &Api,
    requester: Requester<'_>,
    turn: Turn<'_>,
    result: Result<T, ApiError>,
) -> Result<T, ApiError> {
    api.access.checked(&api.engine, requester, turn, result, reason)
}

/// Counts a request that was refused because it was seen before: its credential is right.
pub(super) fn seen_before<T>(
    api: &Api,
    requester: Requester<'_>,
    result: Result<T, ApiError>,
) -> Result<T, ApiError> {
    if matches!(result, Err(ApiError::Replayed)) {
        api.access.replayed(&api.engine, requester);
    }
    result
}

/// Why a credential was not accepted, if that is the fault.
pub(super) const fn reason(fault: &ApiError) -> Option<&'static str> {
    match fault {
        ApiError::SignatureMissing => Some("missing"),
        ApiError::SignatureWrong => Some("wrong_secret"),
        ApiError::TimestampWrong => Some("wrong_time"),
        ApiError::KeyUnknown => Some("unknown_key"),
        _ => None,
    }
}
