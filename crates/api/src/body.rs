//! Reading a request's body, within a bound.

use crate::serve;
use axum::body::{Body, HttpBody as _};
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use engine::AnswerTracker;
use http_body_util::BodyExt;
use hyper::body::{Frame, SizeHint};
use std::error::Error;
use std::future::Future as _;
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
    /// There is no room for it just now.
    #[error("there is no room for the body just now")]
    Busy,
}

impl BodyError {
    /// What became of a body that was read until `error`.
    pub(crate) fn of(error: &(dyn Error + 'static)) -> Self {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if let Some(serve::BodyError::NoRoom) = error.downcast_ref() {
                return Self::Busy;
            }
            cause = error.source();
        }
        Self::Broken
    }
}

/// U+FEFF in UTF-8: what some clients put in front of their JSON (RFC 8259 section 8.1 lets a reader pass over it).
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Refuses a body whose declared length exceeds `bytes_max` bytes. Nothing of it is read, so a client that waits for
/// `100 Continue` sends nothing.
pub(crate) fn check_length(body: &Body, bytes_max: usize) -> Result<(), BodyError> {
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(BodyError::TooLong);
    }
    Ok(())
}

/// Reads a whole body of at most `bytes_max` bytes, without the byte order mark it may begin with.
///
/// Pieces are put together as they come: each of them is a part of a buffer of 8 KiB and more, so that kept as they are
/// pieces of one byte would hold thousands of times their length.
pub(crate) async fn read(mut body: Body, bytes_max: usize) -> Result<Bytes, BodyError> {
    check_length(&body, bytes_max)?;
    let Some(first) = next(&mut body).await? else {
        return Ok(Bytes::new());
    };
    if first.len() > bytes_max {
        return Err(BodyError::TooLong);
    }
    // Most bodies come in one piece, with their head.
    let whole = if body.is_end_stream() {
        first
    } else {
        rest(first, body, bytes_max).await?
    };
    Ok(match whole.strip_prefix(BYTE_ORDER_MARK) {
        Some(rest) => whole.slice_ref(rest),
        None => whole,
    })
}

/// Room that is added at least when a body goes on.
const ROOM_BYTES_MIN: usize = 16 * 1024;

async fn rest(first: Bytes, mut body: Body, bytes_max: usize) -> Result<Bytes, BodyError> {
    let mut whole = BytesMut::with_capacity(first.len());
    let mut piece = first;
    loop {
        if whole.len() + piece.len() > bytes_max {
            return Err(BodyError::TooLong);
        }
        if whole.capacity() - whole.len() < piece.len() {
            // Half as much again, as long as bytes come: what is announced reserves nothing.
            let more = piece.len().max(whole.len() / 2).max(ROOM_BYTES_MIN);
            let announced =
                usize::try_from(body.size_hint().upper().unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
            whole.reserve(more.min(piece.len().saturating_add(announced)));
        }
        whole.extend_from_slice(&piece);
        // Its buffer can be used again from here on.
        drop(piece);
        piece = match next(&mut body).await? {
            Some(piece) => piece,
            None => return Ok(whole.freeze()),
        };
    }
}

/// The next piece of a body; `None` at its end.
async fn next(body: &mut Body) -> Result<Option<Bytes>, BodyError> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| BodyError::of(&error))?;
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// The beginning of a body as far as it has arrived with its head: nothing is waited for.
pub(crate) async fn arrived(mut body: Body) -> Bytes {
    let mut first = std::pin::pin!(body.frame());
    let polled = std::future::poll_fn(|cx| Poll::Ready(first.as_mut().poll(cx))).await;
    match polled {
        Poll::Ready(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
        _ => Bytes::new(),
    }
}

/// A response whose delivery `tracker` follows: [`crate::serve`] finds the tracker in the response's extensions.
pub(crate) fn with_tracker(body: Bytes, tracker: &AnswerTracker) -> Response {
    let body = Fated {
        body: Some(body),
        tracker: tracker.clone(),
    };
    let mut response = Response::new(Body::new(body));
    response.extensions_mut().insert(tracker.clone());
    response
}

/// A body that says when it was taken.
struct Fated {
    body: Option<Bytes>,
    tracker: AnswerTracker,
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
        self.tracker.taken();
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

    /// A body with a declared length of which nothing ever arrives.
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
    async fn what_has_arrived_of_a_body_is_had_without_waiting() {
        assert_eq!(arrived(Body::from("12345")).await, "12345");
        assert_eq!(arrived(Body::new(Announced(1000))).await, "");
        assert_eq!(arrived(Body::empty()).await, "");
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_its_limit() {
        assert_eq!(read(Body::from("12345"), 5).await.unwrap(), "12345");
        assert_eq!(read(Body::from("123456"), 5).await, Err(BodyError::TooLong));
    }

    #[tokio::test]
    async fn a_body_in_pieces_is_put_together() {
        let pieces = |count: usize, piece: &'static str| {
            let pieces = (0..count).map(move |_| Ok::<_, std::io::Error>(piece));
            Body::from_stream(futures_util::stream::iter(pieces))
        };
        let whole = read(pieces(40_000, "ab"), 80_000).await.unwrap();
        assert_eq!(whole, "ab".repeat(40_000));
        assert_eq!(read(pieces(40_000, "ab"), 79_999).await, Err(BodyError::TooLong));
        assert_eq!(read(pieces(2, ""), 0).await.unwrap(), "");
        let broken = [Ok("abc"), Err(std::io::Error::other("gone"))];
        let broken = Body::from_stream(futures_util::stream::iter(broken));
        assert_eq!(read(broken, 10).await, Err(BodyError::Broken));
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
