//! A session and its socket, before and after there is a task for them.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use super::{Buffers, Stream};
use crate::frame;
use crate::session::{CloseReason, Event, Session, SessionConfig};

/// Octets requested from the socket per read.
const READ_BYTES: usize = 64 * 1024;

/// With less room than this a new read buffer is allocated: a read that returns little costs as much as one that
/// returns much.
const READ_BYTES_MIN: usize = 16 * 1024;

/// Longest time for each part of an orderly close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// A session and the socket it runs over.
pub(crate) struct Link {
    stream: Stream,
    start: Instant,
    pub(crate) session: Session,
    pub(crate) buffers: Buffers,
    inbox: BytesMut,
    pub(crate) out: BytesMut,
    /// Written, but perhaps still in TLS.
    flushed: bool,
    /// Events that have not been passed to the user.
    pub(crate) events: Vec<Event>,
}

impl Link {
    pub(crate) fn new(stream: Stream, config: SessionConfig, buffers: Buffers) -> Self {
        Self {
            stream,
            start: Instant::now(),
            session: Session::new(config, Duration::ZERO),
            buffers,
            inbox: BytesMut::new(),
            out: BytesMut::new(),
            flushed: true,
            events: Vec::new(),
        }
    }

    /// The session's clock.
    pub(crate) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// The instant of the runtime's clock that corresponds to `at` on the session's clock.
    pub(crate) fn instant(&self, at: Duration) -> Instant {
        self.start + at
    }

    /// Waits for the next event of a session that is being opened. The caller must apply the timeout.
    pub(crate) async fn opening_event(&mut self) -> Result<Event, CloseReason> {
        loop {
            if !self.events.is_empty() {
                return Ok(self.events.remove(0));
            }
            self.stream.write_all_buf(&mut self.out).await?;
            self.stream.flush().await?;
            if let Some((reason, _)) = self.session.take_closed() {
                return Err(reason);
            }
            self.make_room();
            if self.stream.read_buf(&mut self.inbox).await? == 0 {
                return Err(CloseReason::PeerClosed);
            }
            self.take_frames(self.now());
        }
    }

    /// Writes the rest of the buffer and closes the sending side, if the peer still accepts it.
    pub(crate) async fn hang_up(&mut self) {
        let flush_and_shutdown = async {
            self.stream.write_all_buf(&mut self.out).await?;
            self.stream.shutdown().await
        };
        // The peer may have closed the connection already; then the rest is of no use.
        let _ = timeout(CLOSE_TIMEOUT, flush_and_shutdown).await;
    }

    /// After [`Self::hang_up`]: waits until the peer closes its side, too. Closing a socket with unread octets resets
    /// the connection, and the peer might lose the last PDUs.
    pub(crate) async fn linger(mut self) {
        let silence = async {
            loop {
                self.inbox.clear();
                self.make_room();
                if !matches!(self.stream.read_buf(&mut self.inbox).await, Ok(1..)) {
                    break;
                }
            }
        };
        let _ = timeout(CLOSE_TIMEOUT, silence).await;
    }

    /// Reads once, and processes the frames that are complete. Ready if there may be more to read.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, now: Duration) -> Poll<()> {
        self.make_room();
        let read = pin!(self.stream.read_buf(&mut self.inbox)).poll(cx);
        match read {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(0)) => self.session.close(CloseReason::PeerClosed),
            Poll::Ready(Ok(_)) => self.take_frames(now),
            Poll::Ready(Err(error)) => self.session.close(CloseReason::Io(error)),
        }
        Poll::Ready(())
    }

    /// Writes until the buffer is empty or the socket accepts no more.
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>) {
        match self.try_write(cx) {
            Poll::Ready(Err(error)) => self.session.close(CloseReason::Io(error)),
            Poll::Ready(Ok(())) | Poll::Pending => {}
        }
    }

    fn try_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.out.is_empty() {
            self.flushed = false;
            let written = std::task::ready!(pin!(self.stream.write_buf(&mut self.out)).poll(cx))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
        }
        if !self.flushed {
            std::task::ready!(pin!(&mut self.stream).poll_flush(cx))?;
            self.flushed = true;
        }
        Poll::Ready(Ok(()))
    }

    fn take_frames(&mut self, now: Duration) {
        let cut = frame::cut(&mut self.inbox, self.buffers.frame_bytes_max);
        for frame in cut.frames() {
            self.session.receive(&frame, now, &mut self.out, &mut self.events);
        }
        if let Some(broken) = cut.broken {
            self.session.broken(broken, &mut self.out);
        }
    }

    fn make_room(&mut self) {
        if self.inbox.capacity() - self.inbox.len() < READ_BYTES_MIN {
            self.inbox.reserve(READ_BYTES);
        }
    }
}
