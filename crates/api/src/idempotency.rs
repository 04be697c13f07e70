//! The `Idempotency-Key` header, the same on every dialect.
//!
//! A repeat of a key within `Limits::request_id_keep_s` gets the response to the first request: HTTP status and body,
//! octet for octet. Nothing is executed a second time. Where a dialect has a request id of its own, that id takes
//! precedence when both are present.
//!
//! A dialect uses this in two places: [`key`] reads the header, and [`Recorded`] is what
//! [`Idempotency::reply`](engine::accept::Idempotency::reply) gives and what
//! [`AcceptResponse::Replayed`](engine::accept::AcceptResponse) brings back.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, StatusCode};
use thiserror::Error;

/// The header.
pub const HEADER: HeaderName = HeaderName::from_static("idempotency-key");

/// Longest key in characters.
pub const KEY_CHARS_MAX: usize = 255;

/// The header cannot be used as a key. Each dialect words this itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("Idempotency-Key must be given once, with 1 to {KEY_CHARS_MAX} visible ASCII characters")]
pub struct BadKey;

/// The key of a request; `None` without the header, or with an empty one.
///
/// # Errors
/// [`BadKey`] for a key that is too long, is not ASCII text, or is given twice with different values: taking one of
/// them could send twice what the caller wanted once.
pub fn key(headers: &HeaderMap) -> Result<Option<&str>, BadKey> {
    let mut found = None;
    for value in headers.get_all(HEADER) {
        let value = value.to_str().map_err(|_| BadKey)?.trim();
        if value.len() > KEY_CHARS_MAX || found.is_some_and(|first| first != value) {
            return Err(BadKey);
        }
        found = Some(value);
    }
    Ok(found.filter(|key| !key.is_empty()))
}

/// An HTTP answer as it is kept for repeats: the status in two octets, then the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// HTTP status.
    pub status: StatusCode,
    /// Body; its content type is the dialect's own and not kept.
    pub body: Bytes,
}

impl Recorded {
    /// The form that is stored.
    pub fn encode(status: StatusCode, body: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(2 + body.len());
        out.extend_from_slice(&status.as_u16().to_be_bytes());
        out.extend_from_slice(body);
        out
    }

    /// Reads the stored form back; `None` when it is not one.
    pub fn decode(stored: Vec<u8>) -> Option<Self> {
        let status = u16::from_be_bytes(*stored.first_chunk()?);
        let status = StatusCode::from_u16(status).ok()?;
        Some(Self {
            status,
            body: Bytes::from(stored).slice(2..),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(values: &[&[u8]]) -> HeaderMap {
        values
            .iter()
            .map(|value| (HEADER, HeaderValue::from_bytes(value).unwrap()))
            .collect()
    }

    #[test]
    fn a_key_is_read_trimmed_and_an_empty_one_is_none() {
        assert_eq!(key(&headers(&[])), Ok(None));
        assert_eq!(key(&headers(&[b""])), Ok(None));
        assert_eq!(key(&headers(&[b" order-17 "])), Ok(Some("order-17")));
        assert_eq!(key(&headers(&[b"a", b"a"])), Ok(Some("a")));
    }

    #[test]
    fn a_key_that_cannot_be_trusted_is_refused() {
        assert_eq!(key(&headers(&[b"a", b"b"])), Err(BadKey));
        assert_eq!(key(&headers(&[b"\xe5\xb0\x8f"])), Err(BadKey));
        assert_eq!(
            key(&headers(&[&[b'x'; KEY_CHARS_MAX]])).unwrap().map(str::len),
            Some(KEY_CHARS_MAX)
        );
        assert_eq!(key(&headers(&[&[b'x'; KEY_CHARS_MAX + 1]])), Err(BadKey));
    }

    #[test]
    fn an_answer_survives_being_recorded() {
        let stored = Recorded::encode(StatusCode::BAD_REQUEST, b"{\"code\":1}");
        let answer = Recorded::decode(stored).unwrap();
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert_eq!(&*answer.body, b"{\"code\":1}");
        assert_eq!(Recorded::decode(vec![0]), None);
        assert_eq!(Recorded::decode(vec![0, 1]), None);
    }
}
