//! The way in: a request's form, who signed it, and what is done about those who did not.
//!
//! The signature covers the parameters, so a body is needed before anybody is known. What stands between is bounded: a
//! `smsUser` that nobody has is found before a long form is decoded, and long forms are decoded a few at a time.

use super::auth::{self, Caller};
use super::codes::{
    ACCOUNT_GONE, ApiError, BODY_UNREADABLE, METHOD, NO_PERMISSION, RATE_LIMITED, SERVER_ERROR,
    SIGNATURE_MISSING, SIGNATURE_WRONG, TIMESTAMP, USER_EMPTY, USER_UNKNOWN,
};
use super::multipart;
use super::params::{Encoding, Form, Params, encoding};
use crate::access::parsing::NoTurn;
use crate::access::signed::Signed;
use crate::access::{Requester, TooMany, Turn};
use crate::body::BodyError;
use crate::serve::Client;
use crate::{Api, Limits, body};
use axum::extract::Request;
use engine::catalog::Snapshot;
use engine::{AccountId, Dialect, UnixMs};
use http::request::Parts;
use http::{Method, header};
use std::sync::Arc;

/// From so many octets on a form is looked at for its `smsUser` before it is decoded.
const PEEKED_BYTES_MIN: usize = 16 * 1024;

/// A request whose caller is known.
#[derive(Debug)]
pub(super) struct Admitted<'a> {
    pub(super) params: Params<'a>,
    /// As it was when the request came.
    pub(super) catalog: Arc<Snapshot>,
    pub(super) now: UnixMs,
    account: AccountId,
    requests_per_s_max: u32,
}

impl Admitted<'_> {
    pub(super) fn caller(&self) -> Caller<'_> {
        Caller {
            account: self.account,
            sms_user: sms_user(&self.params),
            requests_per_s_max: self.requests_per_s_max,
        }
    }
}

/// The request's head, and its body as the form it is.
pub(super) async fn receive(api: &Api, request: Request) -> Result<(Parts, Form), ApiError> {
    check_method(request.method())?;
    let (parts, body) = request.into_parts();
    let bytes_max = api.limits.body_bytes_max;
    let content_type = parts.headers.get(header::CONTENT_TYPE);
    let content_type = content_type.map(|value| value.to_str().unwrap_or("unreadable"));
    check_query(api, &parts).await?;
    let body = body::read(body, bytes_max).await.map_err(|error| match error {
        BodyError::Busy => ApiError::from(&SERVER_ERROR),
        _ => ApiError::with_limit(&BODY_UNREADABLE, bytes_max),
    })?;
    if let (Some(content_type), Ok(Encoding::Multipart)) = (content_type, encoding(content_type))
        && !body.is_empty()
    {
        let boundary = multipart::boundary(content_type)?;
        return Ok((
            parts,
            Form::Multipart {
                boundary,
                bytes_max,
                body,
            },
        ));
    }
    // Without a body nothing is encoded, whatever the head says.
    if !body.is_empty() {
        encoding(content_type)?;
    }
    Ok((parts, Form::Urlencoded(body)))
}

/// A request that is signed in its query is refused before its body is read when nobody has its `smsUser`.
async fn check_query(api: &Api, parts: &Parts) -> Result<(), ApiError> {
    let query = parts.uri.query().unwrap_or_default().as_bytes();
    let field = |name: &str| {
        let mut fields = form_urlencoded::parse(query);
        let value = fields.find(|(known, _)| known == name).map(|(_, value)| value)?;
        Some(value).filter(|value| !value.trim().is_empty())
    };
    let (Some(sms_user), Some(_)) = (field("smsUser"), field("signature")) else {
        return Ok(());
    };
    let sms_user = sms_user.trim();
    if is_known(&api.engine.catalog(), sms_user) {
        return Ok(());
    }
    let client = Client::of(&parts.extensions);
    let requester = requester(&client, sms_user);
    let turn = api.access.turns.turn(&api.engine, requester).await?;
    checked(api, requester, turn, Err(ApiError::from(&USER_UNKNOWN)))
}

fn is_known(catalog: &Snapshot, sms_user: &str) -> bool {
    catalog.credential(auth::FAMILY, sms_user).is_some()
}

/// Reads the parameters and checks who signed them.
pub(super) async fn admit<'a>(api: &Api, parts: &'a Parts, form: &'a Form) -> Result<Admitted<'a>, ApiError> {
    let client = Client::of(&parts.extensions);
    let (catalog, now) = (api.engine.catalog(), api.engine.now());
    let query = parts.uri.query();
    if form.bytes() >= PEEKED_BYTES_MIN {
        let mut seen = None;
        let known = form.any_sms_user(query, |user| {
            seen.get_or_insert_with(|| Box::<str>::from(user.trim()));
            is_known(&catalog, user.trim())
        });
        if !known {
            let refused = ApiError::from(match &seen {
                Some(_) => &USER_UNKNOWN,
                None => &USER_EMPTY,
            });
            let requester = requester(&client, seen.as_deref().unwrap_or_default());
            let turn = api.access.turn_of(&api.engine, requester, form.bytes()).await?;
            return checked(api, requester, turn, Err(refused));
        }
    }
    let request = SignedForm {
        query,
        form,
        catalog: &catalog,
        now,
        limits: &api.limits,
    };
    let nobody = requester(&client, "");
    let checked = api
        .access
        .check_credentials(&api.engine, nobody, form.bytes(), request)
        .await;
    let (params, account, requests_per_s_max) = checked?;
    let requester = requester(&client, sms_user(&params));
    let admitted = api.access.admit(&api.engine, requester, requests_per_s_max);
    admitted.map_err(|_| &RATE_LIMITED)?;
    Ok(Admitted {
        params,
        catalog,
        now,
        account,
        requests_per_s_max,
    })
}

/// A form with an `smsUser` and a signature among its parameters, or in the query.
struct SignedForm<'r, 's> {
    query: Option<&'r str>,
    form: &'r Form,
    catalog: &'s Snapshot,
    now: UnixMs,
    limits: &'s Limits,
}

impl<'r> Signed for SignedForm<'r, '_> {
    type Read = Params<'r>;
    /// With the account, and the requests a second that may be made with the credential.
    type Verified = (Params<'r>, AccountId, u32);
    type Refusal = ApiError;

    fn read(&mut self) -> Result<Params<'r>, ApiError> {
        Params::read_form(self.query, self.form)
    }

    fn user<'p>(&self, params: &'p Params<'r>) -> &'p str {
        sms_user(params)
    }

    fn verify(&self, params: Params<'r>) -> Result<Self::Verified, ApiError> {
        let caller = auth::authenticate(&params, self.catalog, self.now, self.limits)?;
        let (account, requests_per_s_max) = (caller.account, caller.requests_per_s_max);
        Ok((params, account, requests_per_s_max))
    }

    fn reason(refused: &ApiError) -> Option<&'static str> {
        Some(reason(*refused))
    }
}

fn sms_user<'p>(params: &'p Params<'_>) -> &'p str {
    params.get("smsUser").unwrap_or_default()
}

fn requester<'a>(client: &'a Client, sms_user: &'a str) -> Requester<'a> {
    Requester {
        client,
        dialect: Dialect::Sendcloud,
        family: auth::FAMILY,
        user: sms_user,
    }
}

impl From<TooMany> for ApiError {
    fn from(_: TooMany) -> Self {
        Self::from(&RATE_LIMITED)
    }
}

impl From<NoTurn> for ApiError {
    fn from(_: NoTurn) -> Self {
        Self::from(&SERVER_ERROR)
    }
}

/// Ends the turn of a credential that was checked: a rejected one is counted.
fn checked<T>(
    api: &Api,
    requester: Requester<'_>,
    turn: Turn<'_>,
    result: Result<T, ApiError>,
) -> Result<T, ApiError> {
    api.access
        .checked(&api.engine, requester, turn, result, SignedForm::reason)
}

fn reason(refused: ApiError) -> &'static str {
    let reasons = [
        (&USER_EMPTY, "missing"),
        (&SIGNATURE_MISSING, "missing"),
        (&USER_UNKNOWN, "unknown_key"),
        (&ACCOUNT_GONE, "unknown_key"),
        (&SIGNATURE_WRONG, "wrong_secret"),
        (&NO_PERMISSION, "disabled"),
        (&TIMESTAMP, "wrong_time"),
    ];
    let known = reasons.iter().find(|(code, _)| *code == refused.code);
    known.map_or("missing", |(_, reason)| *reason)
}

/// POST as the page has it, GET as it had it before and as queries still have it; HEAD must not send.
pub(super) fn check_method(method: &Method) -> Result<(), ApiError> {
    let taken = matches!(*method, Method::POST | Method::GET);
    if taken {
        Ok(())
    } else {
        Err(ApiError::from(&METHOD))
    }
}
