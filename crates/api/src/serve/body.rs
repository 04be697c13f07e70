//! A request's body with a bound on how long it may take.

use super::connection::Watch;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use thiserror::Error;
use tokio::time::Sleep;

/// A body as handlers see it: fails when it takes too long, and notes when it was not read to its end.
pub(super) struct TimedBody {
    incoming: Incoming,
    timeout: Duration,
    /// Begun with the first wait: most bodies arrive with their head and never need it.
    deadline: Option<Pin<Box<Sleep>>>,
    watch: Arc<Watch>,
    ended: bool,
}

/// Why a handler cannot have the body.
#[derive(Debug, Error)]
pub(super) enum BodyError {
    #[error("the body did not arrive within {0:?}")]
    TooSlow(Duration),
    #[error("the body could not be read")]
    Broken(#[from] hyper::Error),
}

impl TimedBody {
    pub(super) fn new(incoming: Incoming, timeout: Duration, watch: Arc<Watch>) -> Self {
        Self {
            incoming,
            timeout,
            deadline: None,
            watch,
            ended: false,
        }
    }
}

impl Body for TimedBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(cx) {
            self.ended |= frame.is_none();
            return Poll::Ready(frame.map(|frame| Ok(frame?)));
        }
        let timeout = self.timeout;
        let deadline = self
            .deadline
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        match deadline.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Some(Err(BodyError::TooSlow(timeout)))),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl Drop for TimedBody {
    fn drop(&mut self) {
        // A body of unknown length (chunked) only ends when its end was read.
        if !self.ended && !self.incoming.is_end_stream() {
            self.watch.left_unread();
        }
    }
}
