//! The way in: a request's form, who signed it, and what is done about those who did not.
//!
//! The signature covers the parameters, so a body is needed before anybody is known. What stands between is bounded: a
//! `smsUser` that nobody has is found before a long form is decoded, and long forms are decoded a few at a time.

use super::auth::{self, Caller};
use super::codes::{
    ACCOUNT_GONE, BODY_UNREADABLE, METHOD, NO_PERMISSION, RATE_LIMITED, Refused, SERVER_ERROR,
    SIGNATURE_MISSING, SIGNATURE_WRONG, TIMESTAMP, USER_EMPTY, USER_UNKNOWN,
};
use super::multipart;
use super::params::{Encoding, Form, Params, encoding};
use crate::access::{Answered, Failure};
use crate::body::BodyError;
use crate::idempotency::Recorded;
use crate::serve::Client;
use crate::{Api, body};
use axum::body::HttpBody as _;
use axum::extract::Request;
use engine::catalog::Snapshot;
use engine::{AccountId, Dialect, UnixMs};
use http::request::Parts;
use http::{Method, header};
use std::sync::Arc;

/// From so many octets on a form is looked at for its `smsUser` before it is decoded.
const PEEKED_BYTES_MIN: usize = 16 * 1024;

/// Why a request ends early.
#[derive(Debug)]
pub(super) enum Ended {
    /// It is refused.
    Refused(Refused),
    /// So are its credentials.
    Denied { refused: Refused, sms_user: Box<str> },
}

impl<R: Into<Refused>> From<R> for Ended {
    fn from(refused: R) -> Self {
        Self::Refused(refused.into())
    }
}

/// A request whose caller is known.
#[derive(Debug)]
pub(super) struct Admitted<'a> {
    pub(super) params: Params<'a>,
    /// As it was when the request came.
    pub(super) catalog: Arc<Snapshot>,
    pub(super) now: UnixMs,
    account: AccountId,
}

impl Admitted<'_> {
    pub(super) fn caller(&self) -> Caller<'_> {
        Caller {
            account: self.account,
            sms_user: self.params.get("smsUser").unwrap_or_default(),
        }
    }
}

/// The request's head, and its body as the form it is.
pub(super) async fn receive(api: &Api, request: Request) -> Result<(Parts, Form), Ended> {
    check_method(request.method())?;
    let (parts, body) = request.into_parts();
    let bytes_max = api.limits.body_bytes_max;
    let content_type = parts.headers.get(header::CONTENT_TYPE);
    let content_type = content_type.map(|value| value.to_str().unwrap_or("unreadable"));
    check_query(api, &parts)?;
    if let (Some(content_type), Ok(Encoding::Multipart)) = (content_type, encoding(content_type))
        && !body.is_end_stream()
    {
        body::check_length(&body, bytes_max).map_err(|_| Refused::with_limit(&BODY_UNREADABLE, bytes_max))?;
        let fields = multipart::read(content_type, body, bytes_max).await?;
        return Ok((parts, Form::Multipart(fields)));
    }
    let body = body::read(body, bytes_max).await.map_err(|error| match error {
        BodyError::Busy => Refused::from(&SERVER_ERROR),
        _ => Refused::with_limit(&BODY_UNREADABLE, bytes_max),
    })?;
    // Without a body nothing is encoded, whatever the head says.
    if !body.is_empty() {
        encoding(content_type)?;
    }
    Ok((parts, Form::Urlencoded(body)))
}

/// A request that is signed in its query is refused before its body is read when nobody has its `smsUser`.
fn check_query(api: &Api, parts: &Parts) -> Result<(), Ended> {
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
    match api.engine.catalog().credential(auth::FAMILY, sms_user) {
        Some(_) => Ok(()),
        None => Err(denied(&USER_UNKNOWN, sms_user)),
    }
}

/// Reads the parameters and checks who signed them.
pub(super) async fn admit<'a>(api: &Api, parts: &'a Parts, form: &'a Form) -> Result<Admitted<'a>, Ended> {
    let client = Client::of(&parts.extensions);
    let (catalog, now) = (api.engine.catalog(), api.engine.now());
    let query = parts.uri.query();
    if let Form::Urlencoded(body) = form
        && body.len() >= PEEKED_BYTES_MIN
    {
        let of_query = query.unwrap_or_default().as_bytes();
        let is_known = |user: &str| catalog.credential(auth::FAMILY, user.trim()).is_some();
        let mut seen = None;
        let known = crate::peek::any(body, of_query, "smsUser", |user| {
            seen.get_or_insert_with(|| Box::<str>::from(user.trim()));
            is_known(user)
        });
        if !known {
            return Err(match seen {
                Some(sms_user) => denied(&USER_UNKNOWN, &sms_user),
                None => denied(&USER_EMPTY, ""),
            });
        }
    }
    let turn = api
        .access
        .parsing
        .turn(form.bytes(), &client)
        .await
        .map_err(|_| &SERVER_ERROR)?;
    let (params, seen) = turn.run(|| {
        let params = Params::read_form(query, form)?;
        let seen = auth::authenticate(&params, &catalog, now, &api.limits).map(|caller| caller.account);
        Ok::<_, Refused>((params, seen))
    })?;
    let account = seen.map_err(|refused| Ended::Denied {
        refused,
        sms_user: params.get("smsUser").unwrap_or_default().into(),
    })?;
    client.verified();
    let sms_user = params.get("smsUser").unwrap_or_default();
    let rate = catalog
        .credential(auth::FAMILY, sms_user)
        .map_or(0, |entry| entry.requests_per_s_max);
    let key = (auth::FAMILY, sms_user);
    let taken = api
        .access
        .take_request(&api.engine, Dialect::Sendcloud, key, rate);
    taken.map_err(|_| &RATE_LIMITED)?;
    Ok(Admitted {
        params,
        catalog,
        now,
        account,
    })
}

fn denied(code: &'static super::codes::Code, sms_user: &str) -> Ended {
    Ended::Denied {
        refused: Refused::from(code),
        sms_user: sms_user.into(),
    }
}

/// Counts and logs who is not let in, and waits where that is called for. Nothing of the request is held by then.
pub(super) async fn settle(
    api: &Api,
    client: &Client,
    done: Result<Recorded, Ended>,
) -> Result<Recorded, Refused> {
    let (refused, sms_user) = match done {
        Ok(answer) => return Ok(answer),
        Err(Ended::Refused(refused)) => return Err(refused),
        Err(Ended::Denied { refused, sms_user }) => (refused, sms_user),
    };
    let failure = Failure {
        client,
        dialect: Dialect::Sendcloud,
        reason: reason(refused),
        family: auth::FAMILY,
        user: &sms_user,
    };
    Err(match api.access.failures.note(&api.engine, failure).await {
        Answered::AsItIs => refused,
        Answered::TooMany => Refused::from(&RATE_LIMITED),
    })
}

fn reason(refused: Refused) -> &'static str {
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
pub(super) fn check_method(method: &Method) -> Result<(), Refused> {
    let taken = matches!(*method, Method::POST | Method::GET);
    if taken {
        Ok(())
    } else {
        Err(Refused::from(&METHOD))
    }
}
