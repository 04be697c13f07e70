//! Reading a request's body, within a bound.

use axum::body::Body;
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use thiserror::Error;

/// A body could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum BodyError {
    /// It is longer than the limit; what follows was not read.
    #[error("the body is longer than the limit")]
    TooLong,
    /// The connection ended, or its framing broke, before the body did.
    #[error("the body ended early")]
    Broken,
}

/// Reads a whole body of at most `bytes_max` bytes.
pub(crate) async fn read(body: Body, bytes_max: usize) -> Result<Bytes, BodyError> {
    match Limited::new(body, bytes_max).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(BodyError::TooLong),
        Err(_) => Err(BodyError::Broken),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_is_read_up_to_its_limit() {
        assert_eq!(read(Body::from("12345"), 5).await.unwrap(), "12345");
        assert_eq!(read(Body::from("123456"), 5).await, Err(BodyError::TooLong));
    }
}
