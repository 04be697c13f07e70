//! Who is asking: HTTP Basic, four signed headers, or a key and a signature among the parameters
//! (contract section 1).

use super::api_error::ApiError;
use super::canon::{self, Covers, PUBLIC_KEY, SIGNATURE, SIGNATURE_BYTES};
use super::tree::Members;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use engine::catalog::{CredentialEntry, Snapshot};
use engine::{AccountId, UnixMs};
use http::{HeaderMap, header};
use secrecy::{ExposeSecret, SecretString};
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// The family of keys both uSpeedo wires take.
pub const USPEEDO: &str = "uspeedo";
/// The family of keys UCloud's wire takes.
pub const UCLOUD: &str = "ucloud";

/// A caller with a verified credential.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The account.
    pub account: AccountId,
    /// The public part of its credential.
    pub user: Arc<str>,
    /// Requests a second that may be made with it; 0: no limit.
    pub requests_per_s_max: u32,
    /// The request's signature; `None` where nothing is signed (HTTP Basic).
    pub signature: Option<[u8; SIGNATURE_BYTES]>,
}

impl Caller {
    fn new(entry: &CredentialEntry, key: &str, signature: Option<[u8; SIGNATURE_BYTES]>) -> Self {
        Self {
            account: entry.account,
            user: key.into(),
            requests_per_s_max: entry.requests_per_s_max,
            signature,
        }
    }
}

/// What an `Authorization: Basic` header shows.
pub struct Shown {
    key: String,
    secret: SecretString,
}

impl Shown {
    /// The public part of the credential, as it was sent.
    pub fn user(&self) -> &str {
        &self.key
    }
}

/// `ACCESSKEY_ID:ACCESSKEY_SECRET` of a head, unless there is none that can be read.
pub fn basic_shown(headers: &HeaderMap) -> Option<Shown> {
    let written = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    basic_pair(written).map(|(key, secret)| Shown { key, secret })
}

/// HTTP Basic, as [`basic_shown`] has read it.
pub fn basic(headers: &HeaderMap, shown: Option<&Shown>, catalog: &Snapshot) -> Result<Caller, ApiError> {
    if !headers.contains_key(header::AUTHORIZATION) {
        return Err(ApiError::SignatureMissing);
    }
    let shown = shown.ok_or(ApiError::SignatureWrong)?;
    let entry = enabled(catalog, USPEEDO, &shown.key)?;
    same_secret(&shown.secret, &entry.secret)
        .then(|| Caller::new(entry, &shown.key, None))
        .ok_or(ApiError::SignatureWrong)
}

/// Key and secret of an `Authorization` header.
fn basic_pair(header: &str) -> Option<(String, SecretString)> {
    let (scheme, encoded) = header.trim().split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let encoded = encoded.trim();
    let decoded = STANDARD
        .decode(encoded)
        .or_else(|_| STANDARD_NO_PAD.decode(encoded))
        .ok()?;
    let pair = String::from_utf8(decoded).ok()?;
    let (key, secret) = pair.split_once(':')?;
    // `echo` without `-n` leaves a newline behind the secret.
    Some((
        key.to_owned(),
        SecretString::from(secret.trim_end_matches(['\r', '\n'])),
    ))
}

fn same_secret(given: &SecretString, known: &SecretString) -> bool {
    given
        .expose_secret()
        .as_bytes()
        .ct_eq(known.expose_secret().as_bytes())
        .into()
}

/// The four headers of a signed uSpeedo request, without the nonce: it is neither signed nor bound to anything,
/// and no rule about it is documented (contract section 1.2).
#[derive(Debug, Clone, Copy)]
pub struct SignedHeaders<'h> {
    key: &'h str,
    signature: &'h str,
    timestamp: &'h str,
}

impl<'h> SignedHeaders<'h> {
    /// Those of a request; `None` when it names no key this way.
    pub fn of(headers: &'h HeaderMap) -> Option<Self> {
        let text = |name: &str| {
            headers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .map(str::trim)
        };
        Some(Self {
            key: text("x-access-key-id")?,
            signature: text("x-signature").unwrap_or_default(),
            timestamp: text("x-timestamp").unwrap_or_default(),
        })
    }

    /// Whether the key is one that may ask at all: a look at the headers alone, before a body is read.
    pub fn credential<'c>(&self, catalog: &'c Snapshot) -> Result<&'c CredentialEntry, ApiError> {
        enabled(catalog, USPEEDO, self.key)
    }

    /// The public part of the credential, as it was sent.
    pub const fn user(&self) -> &'h str {
        self.key
    }

    /// Whether the timestamp is at most `window_s` seconds before or after `now`, and the signature may be one.
    pub fn check(&self, now: UnixMs, window_s: u32) -> Result<(), ApiError> {
        if !canon::is_signature(self.signature) {
            return Err(ApiError::SignatureWrong);
        }
        let at: i64 = self.timestamp.parse().map_err(|_| ApiError::TimestampWrong)?;
        let apart_s = (now / 1000).abs_diff(at);
        if apart_s > u64::from(window_s) {
            return Err(ApiError::TimestampWrong);
        }
        Ok(())
    }

    /// Whether the body was signed with the credential's secret. The timestamp is not covered by the signature.
    pub fn verify(&self, credential: &CredentialEntry, body: &Members<'_>) -> Result<Caller, ApiError> {
        canon::verify(body, Covers::Body, &credential.secret, self.signature)
            .map(|signature| Caller::new(credential, self.key, Some(signature)))
            .ok_or(ApiError::SignatureWrong)
    }
}

/// The key that parameters of UCloud's wire name.
pub fn public_key<'p>(body: &'p Members<'_>, query: &'p Members<'_>) -> Option<&'p str> {
    let named = body.get(PUBLIC_KEY).or_else(|| query.get(PUBLIC_KEY));
    named.and_then(|node| node.as_text())
}

/// UCloud: key and signature among the parameters; the caller, and the parameters that the signature covers. A client may
/// repeat parameters in the query and sign the body alone, or split them over both and sign them all: either verifies, and
/// what only stands in an unsigned query is not there.
pub fn parameters<'m>(
    body: Members<'m>,
    query: Members<'m>,
    catalog: &Snapshot,
) -> Result<(Caller, Members<'m>), ApiError> {
    let text = |name: &str| {
        let named = body.get(name).or_else(|| query.get(name));
        named.and_then(|node| node.as_text())
    };
    let signature = text(SIGNATURE).ok_or(ApiError::SignatureMissing)?.to_owned();
    let key = text(PUBLIC_KEY).ok_or(ApiError::KeyUnknown)?;
    let entry = enabled(catalog, UCLOUD, key)?;
    let mut caller = Caller::new(entry, key, None);
    if !canon::is_signature(&signature) {
        return Err(ApiError::SignatureWrong);
    }
    let verify = |params: &Members<'_>| canon::verify(params, Covers::Parameters, &entry.secret, &signature);
    let of_body = body.names(PUBLIC_KEY).then(|| verify(&body)).flatten();
    if of_body.is_some() {
        caller.signature = of_body;
        return Ok((caller, body));
    }
    let all = body.and(query);
    caller.signature = Some(verify(&all).ok_or(ApiError::SignatureWrong)?);
    Ok((caller, all))
}

/// Whether somebody may ask UCloud's wire with this key.
pub fn is_known(key: &str, catalog: &Snapshot) -> bool {
    enabled(catalog, UCLOUD, key).is_ok()
}

fn enabled<'c>(catalog: &'c Snapshot, family: &str, key: &str) -> Result<&'c CredentialEntry, ApiError> {
    catalog
        .credential(family, key)
        .filter(|entry| entry.enabled)
        .ok_or(ApiError::KeyUnknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(header: &str) -> Option<(String, String)> {
        basic_pair(header).map(|(key, secret)| (key, secret.expose_secret().to_owned()))
    }

    #[test]
    fn a_basic_header_is_read_as_clients_write_it() {
        let expected = Some(("id".to_owned(), "a:b".to_owned()));
        assert_eq!(pair("Basic aWQ6YTpi"), expected);
        assert_eq!(pair("basic  aWQ6YTpi "), expected);
        assert_eq!(
            pair("Basic aWQ6YTpiCg=="),
            expected,
            "a newline behind the secret"
        );
        assert_eq!(pair("Basic aWQ6YTpiCg"), expected, "no padding");
        for wrong in [
            "",
            "Basic",
            "Bearer aWQ6YTpi",
            "Basic ?",
            "Basic aWQ=",
            "Basic //79",
        ] {
            assert_eq!(pair(wrong), None, "{wrong}");
        }
    }
}
