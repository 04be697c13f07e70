//! Parameters as `multipart/form-data` (RFC 7578).
//!
//! The whole body is there before anything is decoded, so that it counts as other bodies do, and an `smsUser` that nobody
//! has is found first.

use super::codes::{ApiError, BODY_UNREADABLE, FILE_PART, NOT_MULTIPART, PARAMETERS, SERVER_ERROR};
use super::params::PARAMS_MAX;
use crate::peek::{self, VALUE_BYTES_MAX};
use axum::body::Body;
use bytes::Bytes;
use http::header;
use memchr::memmem;
use multer::{Error, Field, Multipart};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// The longest head of a part that is looked at behind a name, in octets.
const HEAD_BYTES_MAX: usize = 1024;

/// The line between the parts, as a `Content-Type` names it.
///
/// # Errors
/// When it names none.
pub(super) fn boundary(content_type: &str) -> Result<String, ApiError> {
    multer::parse_boundary(content_type).map_err(|_| ApiError::from(&NOT_MULTIPART))
}

/// All fields of a body, decoded by the charset each of them names, else as UTF-8.
///
/// # Errors
/// When it ends early (`bytes_max` is named then), is malformed, holds a file, or has more fields than a request may have parameters.
pub(super) fn fields(
    boundary: &str,
    body: &Bytes,
    bytes_max: usize,
) -> Result<Vec<(String, String)>, ApiError> {
    let whole = Body::from(body.clone()).into_data_stream();
    let read = pin!(read(Multipart::new(whole, boundary), bytes_max));
    // All of it is there: nothing is waited for.
    match read.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(fields) => fields,
        Poll::Pending => Err(ApiError::from(&SERVER_ERROR)),
    }
}

async fn read(mut parts: Multipart<'_>, bytes_max: usize) -> Result<Vec<(String, String)>, ApiError> {
    let mut fields = Vec::new();
    while let Some(part) = parts
        .next_field()
        .await
        .map_err(|error| refused(&error, bytes_max))?
    {
        if is_file(&part) {
            return Err(ApiError::from(&FILE_PART));
        }
        if fields.len() == PARAMS_MAX {
            return Err(ApiError::from(&PARAMETERS));
        }
        let name = part.name().ok_or(&NOT_MULTIPART)?.to_owned();
        let value = part.text().await.map_err(|error| refused(&error, bytes_max))?;
        fields.push((name, value));
    }
    Ok(fields)
}

/// Values of parts with a name, searched as text: what is found may stand in another part.
pub(super) fn values_of<'b>(body: &'b [u8], name: &str) -> impl Iterator<Item = &'b str> + use<'b> {
    peek::places(body, name.as_bytes()).filter_map(|end| {
        let rest = body.get(end..)?;
        let head = rest.get(..rest.len().min(HEAD_BYTES_MAX))?;
        let value = rest.get(memmem::find(head, b"\r\n\r\n")? + 4..)?;
        let value = value.get(..value.len().min(VALUE_BYTES_MAX))?;
        let value = value.get(..memmem::find(value, b"\r\n")?)?;
        std::str::from_utf8(value).ok()
    })
}

/// Whether a part is a file: its disposition names one, even with an empty name, as browsers do where none was chosen.
fn is_file(part: &Field<'_>) -> bool {
    let disposition = part.headers().get(header::CONTENT_DISPOSITION);
    let mut params = disposition
        .map_or(&b""[..], |value| value.as_bytes())
        .split(|b| *b == b';');
    params.any(|param| {
        let name = param.trim_ascii_start().first_chunk::<8>();
        name.is_some_and(|name| name.eq_ignore_ascii_case(b"filename"))
    })
}

fn refused(error: &Error, bytes_max: usize) -> ApiError {
    match error {
        Error::IncompleteStream | Error::IncompleteHeaders | Error::IncompleteFieldData { .. } => {
            ApiError::with_limit(&BODY_UNREADABLE, bytes_max)
        }
        _ => ApiError::from(&NOT_MULTIPART),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_value_is_found_without_decoding_the_rest() {
        let part = |name: &str, value: &str| {
            format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        };
        let body = part("x", "smsUser") + &part("smsUser", "nobody") + &part("a", &"x".repeat(100_000));
        let found: Vec<_> = values_of(body.as_bytes(), "smsUser").collect();
        assert!(found.contains(&"nobody"), "{found:?}");
        let flood = "smsUser".repeat(10_000);
        assert_eq!(values_of(flood.as_bytes(), "smsUser").count(), 0);
    }

    proptest! {
        #[test]
        fn no_body_stops_the_search_or_the_reading(body in prop::collection::vec(any::<u8>(), 0..300), at in 0_usize..300) {
            let mut octets = body;
            octets.splice(at.min(octets.len())..at.min(octets.len()), *b"smsUser\"\r\n\r\nu\r\n--b");
            prop_assert!(values_of(&octets, "smsUser").all(|value| value.len() <= VALUE_BYTES_MAX));
            let _ = fields("b", &Bytes::from(octets), 1000);
        }
    }
}
