//! A request's body with bounds on how long it may take and on what all bodies take together.

use super::watch::{Phase, Watch};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use thiserror::Error;
use tokio::time::{Instant, Sleep};

/// A body as handlers see it: fails when it takes too long or there is no room for it, and notes when it was not read to
/// its end.
pub(super) struct TimedBody {
    incoming: Incoming,
    timeout: Duration,
    /// Begun with the first wait: most bodies arrive with their head and never need it.
    deadline: Option<Pin<Box<Sleep>>>,
    watch: Arc<Watch>,
    ended: bool,
    /// What has arrived and waits for room.
    stuck: Option<Stuck>,
    /// When it was first waited for, in milliseconds of the watch's epoch.
    waits_since_ms: Option<u64>,
}

struct Stuck {
    frame: Bytes,
    watch: Arc<Watch>,
    until: Instant,
    retry: Pin<Box<Sleep>>,
}

impl Drop for Stuck {
    fn drop(&mut self) {
        self.watch.has_waited();
    }
}

/// How long a piece of a body waits for room, and how often it looks. Others are sent off meanwhile, which takes them a few
/// milliseconds.
const ROOM_WAIT: Duration = Duration::from_secs(1);
const ROOM_LOOK_EVERY: Duration = Duration::from_millis(10);

/// Why a handler cannot have the body.
#[derive(Debug, Error)]
pub(crate) enum BodyError {
    #[error("the body did not arrive within {0:?}")]
    TooSlow(Duration),
    #[error("there is no room for the body just now")]
    NoRoom,
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
            stuck: None,
            waits_since_ms: None,
        }
    }

    /// A handler waits for more of the body: until it comes, that is all the connection does.
    fn waits(&mut self) {
        if self.stuck.is_some() {
            // It is not slow: there is no room for what it has sent, and it waits a second at most.
            let now_ms = self.watch.now_ms();
            self.waits_since_ms = Some(now_ms);
            self.watch.enter_since(Phase::Body, now_ms);
            return;
        }
        if self.watch.phase().0 == Phase::Work {
            // A body that comes in pieces has been waited for since the first wait.
            let since_ms = *self.waits_since_ms.get_or_insert_with(|| self.watch.now_ms());
            self.watch.enter_since(Phase::Body, since_ms);
        }
    }

    /// The handler goes on. False when the connection is to be closed as it is: then the handler must not.
    fn goes_on(&self) -> bool {
        self.watch.phase().0 != Phase::Body || self.watch.enter(Phase::Work)
    }

    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        while let Some(stuck) = &mut self.stuck {
            if self.watch.take(stuck.frame.len()).is_ok() {
                let frame = std::mem::take(&mut stuck.frame);
                self.stuck = None;
                return Poll::Ready(Some(Ok(Frame::data(frame))));
            }
            if Instant::now() >= stuck.until {
                self.watch.found_no_room();
                return Poll::Ready(Some(Err(BodyError::NoRoom)));
            }
            self.watch.ask_for_room();
            ready!(stuck.retry.as_mut().poll(cx));
            stuck.retry.as_mut().reset(Instant::now() + ROOM_LOOK_EVERY);
        }
        Poll::Pending
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.stuck.is_some() {
            return self.poll_room(cx);
        }
        match Pin::new(&mut self.incoming).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                let frame = match frame.into_data() {
                    Ok(data) => data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                };
                if self.watch.take(frame.len()).is_ok() {
                    return Poll::Ready(Some(Ok(Frame::data(frame))));
                }
                if !self.watch.may_wait() {
                    self.watch.found_no_room();
                    return Poll::Ready(Some(Err(BodyError::NoRoom)));
                }
                self.stuck = Some(Stuck {
                    frame,
                    watch: Arc::clone(&self.watch),
                    until: Instant::now() + ROOM_WAIT,
                    retry: Box::pin(tokio::time::sleep(ROOM_LOOK_EVERY)),
                });
                return self.poll_room(cx);
            }
            Poll::Ready(ended) => {
                self.ended |= ended.is_none();
                return Poll::Ready(ended.map(|frame| Ok(frame?)));
            }
            Poll::Pending => {}
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
}

impl Body for TimedBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let polled = self.poll_next(cx);
        match &polled {
            Poll::Pending => self.waits(),
            // The connection ends at its next turn, and the handler with it.
            Poll::Ready(_) if !self.goes_on() => return Poll::Pending,
            Poll::Ready(_) => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.stuck.is_none() && self.incoming.is_end_stream()
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
        self.goes_on();
    }
}
