//! Parameters as `multipart/form-data` (RFC 7578): read as they come in, within the bound of a body.

use super::codes::{BODY_UNREADABLE, FILE_PART, NOT_MULTIPART, PARAMETERS, Refused, SERVER_ERROR};
use super::params::PARAMS_MAX;
use crate::body::BodyError;
use axum::body::Body;
use http::header;
use multer::{Constraints, Error, Field, Multipart, SizeLimit};

/// Reads all fields of a body, decoded by the charset each of them names, else as UTF-8.
///
/// # Errors
/// When it is longer than `bytes_max` octets, ends early, is malformed, holds a file, or has more fields than a request
/// may have parameters.
pub(super) async fn read(
    content_type: &str,
    body: Body,
    bytes_max: usize,
) -> Result<Vec<(String, String)>, Refused> {
    let boundary = multer::parse_boundary(content_type).map_err(|_| &NOT_MULTIPART)?;
    let whole = SizeLimit::new().whole_stream(bytes_max as u64);
    let constraints = Constraints::new().size_limit(whole);
    let mut parts = Multipart::with_constraints(body.into_data_stream(), boundary, constraints);
    let mut fields = Vec::new();
    while let Some(part) = parts
        .next_field()
        .await
        .map_err(|error| refused(&error, bytes_max))?
    {
        if is_file(&part) {
            return Err(Refused::from(&FILE_PART));
        }
        if fields.len() == PARAMS_MAX {
            return Err(Refused::from(&PARAMETERS));
        }
        let name = part.name().ok_or(&NOT_MULTIPART)?.to_owned();
        let value = part.text().await.map_err(|error| refused(&error, bytes_max))?;
        fields.push((name, value));
    }
    Ok(fields)
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

fn refused(error: &Error, bytes_max: usize) -> Refused {
    match error {
        Error::StreamReadFailed(source) if BodyError::of(&**source) == BodyError::Busy => {
            Refused::from(&SERVER_ERROR)
        }
        Error::StreamSizeExceeded { .. }
        | Error::FieldSizeExceeded { .. }
        | Error::StreamReadFailed(_)
        | Error::IncompleteStream
        | Error::IncompleteHeaders
        | Error::IncompleteFieldData { .. } => Refused::with_limit(&BODY_UNREADABLE, bytes_max),
        _ => Refused::from(&NOT_MULTIPART),
    }
}
