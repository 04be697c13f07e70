//! Who calls: HTTP Basic with the key pair of a generation (docs/dialects/engagelab.md).

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use engine::AccountId;
use engine::catalog::Snapshot;
use http::{HeaderMap, header};
use secrecy::ExposeSecret;
use subtle::ConstantTimeEq;

/// Generation A: `sms_user:sms_key`.
pub const FAMILY_A: &str = "engagelab";
/// Generation C: `dev_key:dev_secret`.
pub const FAMILY_C: &str = "engagelab_dev";

/// Some clients omit the padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A caller who has proved who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Whose credential it is.
    pub account: AccountId,
    /// Its public part.
    pub user: Box<str>,
    /// Requests a second that may be made with it; 0: no limit.
    pub requests_per_s_max: u32,
}

/// Why a caller is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthError {
    /// No credentials, or unreadable ones.
    Missing,
    /// A user there is not.
    Unknown,
    /// A wrong secret.
    WrongSecret,
    /// Right ones that are switched off.
    Disabled,
}

/// Finds the caller.
///
/// # Errors
/// See [`AuthError`].
pub fn authenticate(family: &str, shown: Option<Shown>, catalog: &Snapshot) -> Result<Caller, AuthError> {
    let Shown { user, secret } = shown.ok_or(AuthError::Missing)?;
    let credential = catalog.credential(family, &user).ok_or(AuthError::Unknown)?;
    let known = credential.secret.expose_secret().as_bytes();
    if !bool::from(known.ct_eq(secret.as_bytes())) || catalog.account(credential.account).is_none() {
        return Err(AuthError::WrongSecret);
    }
    if !credential.enabled {
        return Err(AuthError::Disabled);
    }
    Ok(Caller {
        account: credential.account,
        user,
        requests_per_s_max: credential.requests_per_s_max,
    })
}

/// User and secret as they were sent.
pub struct Shown {
    /// The public part of the credential.
    pub user: Box<str>,
    secret: String,
}

/// User and secret of an `Authorization: Basic` header (RFC 7617): the user has no colon, the secret may.
pub fn basic(headers: &HeaderMap) -> Option<Shown> {
    let written = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = written.trim().split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = String::from_utf8(BASE64.decode(token.trim()).ok()?).ok()?;
    let (user, secret) = pair.split_once(':')?;
    Some(Shown {
        user: Box::from(user),
        secret: secret.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn read(authorization: &str) -> Option<(String, String)> {
        let value = HeaderValue::from_str(authorization).unwrap();
        let headers = HeaderMap::from_iter([(header::AUTHORIZATION, value)]);
        basic(&headers).map(|shown| (shown.user.into(), shown.secret))
    }

    #[test]
    fn basic_credentials_are_read_as_clients_write_them() {
        let pair = |user: &str, secret: &str| Some((user.to_owned(), secret.to_owned()));
        // sms_demo:k:1, with and without padding.
        assert_eq!(read("Basic c21zX2RlbW86azox"), pair("sms_demo", "k:1"));
        assert_eq!(read("basic  dTpr "), pair("u", "k"));
        assert_eq!(read("Basic dTo="), pair("u", ""));
        assert_eq!(read("Basic dTo"), pair("u", ""));
        for unreadable in [
            "",
            "Basic",
            "Basic ",
            "Bearer dTpr",
            "Basic dQ==",
            "Basic %%%",
            "Basic /////w==",
        ] {
            assert_eq!(read(unreadable), None, "{unreadable}");
        }
    }
}
