//! Reading a request's body, within a bound.

use axum::body::{Body, HttpBody as _};
use axum::response::Response;
use bytes::Bytes;
use engine::AnswerFate;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};
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

/// U+FEFF in UTF-8: what some clients put in front of their JSON (RFC 8259 section 8.1 lets a reader pass over it).
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Refuses a body that says itself that it is longer than `bytes_max` bytes. Nothing of it is read, so a client that asks
/// first (`Expect: 100-continue`) sends nothing.
pub(crate) fn check_length(body: &Body, bytes_max: usize) -> Result<(), BodyError> {
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(BodyError::TooLong);
    }
    Ok(())
}

/// Reads a whole body of at most `bytes_max` bytes, without the byte order mark it may begin with.
pub(crate) async fn read(body: Body, bytes_max: usize) -> Result<Bytes, BodyError> {
    check_length(&body, bytes_max)?;
    match Limited::new(body, bytes_max).collect().await {
        Ok(collected) => {
            let body = collected.to_bytes();
            Ok(match body.strip_prefix(BYTE_ORDER_MARK) {
                Some(rest) => body.slice_ref(rest),
                None => body,
            })
        }
        Err(error) if error.is::<LengthLimitError>() => Err(BodyError::TooLong),
        Err(_) => Err(BodyError::Broken),
    }
}

/// An answer whose fate somebody must know: [`crate::serve`] finds it in the response's extensions.
pub(crate) fn with_fate(body: Bytes, fate: &AnswerFate) -> Response {
    let body = Fated {
        body: Some(body),
        fate: fate.clone(),
    };
    let mut response = Response::new(Body::new(body));
    response.extensions_mut().insert(fate.clone());
    response
}

/// A body that says when it was taken.
struct Fated {
    body: Option<Bytes>,
    fate: AnswerFate,
}

impl hyper::body::Body for Fated {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let Some(body) = self.body.take() else {
            return Poll::Ready(None);
        };
        self.fate.taken();
        Poll::Ready(Some(Ok(Frame::data(body))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.body.as_ref().map_or(0, |body| body.len() as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A body whose length is told in its head, and of which nothing ever comes.
    struct Announced(u64);

    impl axum::body::HttpBody for Announced {
        type Data = Bytes;
        type Error = std::io::Error;

        fn poll_frame(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, Self::Error>>> {
            std::task::Poll::Pending
        }

        fn size_hint(&self) -> hyper::body::SizeHint {
            hyper::body::SizeHint::with_exact(self.0)
        }
    }

    #[tokio::test]
    async fn a_body_that_is_announced_too_long_is_refused_before_it_is_read() {
        let body = Body::new(Announced(99_999_999));
        assert_eq!(read(body, 1000).await, Err(BodyError::TooLong));
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_its_limit() {
        assert_eq!(read(Body::from("12345"), 5).await.unwrap(), "12345");
        assert_eq!(read(Body::from("123456"), 5).await, Err(BodyError::TooLong));
    }

    #[tokio::test]
    async fn a_byte_order_mark_is_passed_over() {
        for (written, read_as) in [
            ("\u{feff}{}", "{}"),
            ("\u{feff}\u{feff}", "\u{feff}"),
            ("{\u{feff}", "{\u{feff}"),
        ] {
            assert_eq!(read(Body::from(written), 50).await.unwrap(), read_as);
        }
    }
}
