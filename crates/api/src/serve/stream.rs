//! The stream below hyper: what is read and written is noted in the connection's watch.

use super::framing::Framing;
use super::handshake::Bounded;
use super::watch::{Phase, Watch};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;
use tokio_rustls::server::TlsStream;

/// A stream that notes when a head begins and when an answer gets on, and that does not close over bytes the
/// client is still sending: the reset that follows such a close would overtake our answer.
pub(super) struct Watched<S> {
    stream: S,
    watch: Arc<Watch>,
    discarded_bytes: usize,
    /// The client has closed its side.
    at_end: bool,
    /// Until the next look whether a client that closed its side before the answer is gone.
    gone_wait: Option<Pin<Box<Sleep>>>,
    /// How often that was looked at.
    gone_looks: u32,
    /// Bytes of the head that is being read.
    head_bytes: usize,
    framing: Framing,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, watch: Arc<Watch>) -> Self {
        Self {
            stream,
            watch,
            discarded_bytes: 0,
            at_end: false,
            gone_wait: None,
            gone_looks: 0,
            head_bytes: 0,
            framing: Framing::new(),
        }
    }
}

/// What is read at once for somebody unknown: one less than hyper's smallest buffer, so that it never takes a larger one
/// (it doubles its buffer when one was filled, up to the bound of a head).
const UNVERIFIED_READ_BYTES: u64 = 8191;
/// What a head of somebody unknown may have without being counted among the bytes of all requests.
const HEAD_FREE_BYTES: usize = 8192;

/// The reset that follows what was written to a client that is gone comes within a second.
const GONE_LOOK_EVERY: Duration = Duration::from_millis(50);
const GONE_LOOKS: u32 = 20;

/// A stream that knows whether its other end has thrown away what was written to it.
pub(super) trait Peer {
    /// Whether it has.
    fn is_reset(&self) -> bool;
}

impl Peer for TcpStream {
    fn is_reset(&self) -> bool {
        !matches!(self.take_error(), Ok(None))
    }
}

impl Peer for TlsStream<Bounded> {
    fn is_reset(&self) -> bool {
        self.get_ref().0.socket().is_reset()
    }
}

/// How much of what a client still sends is read and thrown away before its connection is closed.
const DISCARDED_BYTES_MAX: usize = 32 * 1024 * 1024;

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        if self.framing.is_broken() {
            return Poll::Ready(Err(broken()));
        }
        let (is_verified, is_trusted) = {
            let standing = self.watch.standing();
            (standing.is_verified(), standing.is_trusted())
        };
        let read = if is_trusted {
            ready!(Pin::new(&mut self.stream).poll_read(cx, buf))
        } else {
            let mut piece = (&mut self.stream).take(UNVERIFIED_READ_BYTES);
            ready!(Pin::new(&mut piece).poll_read(cx, buf))
        };
        if self.watch.is_expected() {
            match &read {
                // A client that sends a new request has read the last response.
                Ok(()) if buf.filled().len() > before => self.watch.was_read(true),
                Ok(()) => {}
                Err(_) => self.watch.was_read(false),
            }
        }
        read?;
        let bytes = buf.filled().len() - before;
        self.at_end |= bytes == 0 && buf.remaining() > 0;
        if bytes > 0 {
            self.watch.received(bytes);
            let piece = buf.filled().get(before..).unwrap_or_default();
            match self.framing.read(piece) {
                // What came before is done first: the next read fails.
                Err(clear @ 1..) => buf.set_filled(before + clear),
                Err(_) => {
                    buf.set_filled(before);
                    return Poll::Ready(Err(broken()));
                }
                Ok(()) => {}
            }
            if let Some(head) = self.framing.unclear() {
                self.watch.has_unclear_head(head);
            }
            self.count_head(bytes, is_verified)?;
        }
        Poll::Ready(Ok(()))
    }
}

fn broken() -> io::Error {
    io::Error::other("chunks that cannot be read, or too much beside them")
}

impl<S> Watched<S> {
    /// Notes that a head begins or goes on. A long one of somebody unknown needs room, as a body does.
    fn count_head(&mut self, bytes: usize, is_verified: bool) -> io::Result<()> {
        match self.watch.phase().0 {
            Phase::Idle => {
                self.watch.enter(Phase::Head);
                self.head_bytes = bytes;
            }
            Phase::Head => self.head_bytes += bytes,
            _ => return Ok(()),
        }
        if is_verified || self.head_bytes <= HEAD_FREE_BYTES {
            return Ok(());
        }
        self.watch.take(bytes).map_err(|_| {
            self.watch.found_no_room();
            self.watch.ask_for_room();
            self.watch.cut();
            io::Error::other("no room for so long a head just now")
        })
    }
}

impl<S: AsyncRead + AsyncWrite + Peer + Unpin> Watched<S> {
    fn wrote(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        // A slow client that does read its answer is not idle.
        if matches!(written, Poll::Ready(Err(_))) {
            self.watch.was_read(false);
        }
        if matches!(written, Poll::Ready(Ok(1..))) && self.watch.phase().0 == Phase::Idle {
            self.watch.enter(Phase::Idle);
        }
        written
    }

    /// Waits until it is known whether the client has read the answer: who closes with something unread in its hands, or
    /// is gone, resets the connection.
    fn poll_read_by_peer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut scratch = [0_u8; 1024];
        while !self.at_end {
            let mut buf = ReadBuf::new(&mut scratch);
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buf)) {
                Ok(()) if buf.filled().is_empty() => {
                    // Closed after the answer, and not by a reset.
                    self.watch.was_read(!self.stream.is_reset());
                    return Poll::Ready(());
                }
                Ok(()) => {}
                Err(_) => {
                    self.watch.was_read(false);
                    return Poll::Ready(());
                }
            }
        }
        // It closed its side before: either that was all it wanted to say, or it is gone. The reset of one that is gone
        // comes as soon as the answer gets there.
        loop {
            if self.stream.is_reset() {
                self.watch.was_read(false);
                return Poll::Ready(());
            }
            if self.gone_looks >= GONE_LOOKS {
                self.watch.was_read(true);
                return Poll::Ready(());
            }
            let wait = self
                .gone_wait
                .get_or_insert_with(|| Box::pin(tokio::time::sleep(GONE_LOOK_EVERY)));
            ready!(wait.as_mut().poll(cx));
            self.gone_wait = None;
            self.gone_looks += 1;
        }
    }

    /// Reads until the client closes too. The listener ends it after a while.
    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut scratch = [0_u8; 8192];
        while self.discarded_bytes < DISCARDED_BYTES_MAX {
            let mut buf = ReadBuf::new(&mut scratch);
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buf)) {
                Ok(()) if !buf.filled().is_empty() => self.discarded_bytes += buf.filled().len(),
                _ => break,
            }
        }
        Poll::Ready(())
    }
}

impl<S: AsyncRead + AsyncWrite + Peer + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.wrote(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.wrote(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = ready!(Pin::new(&mut self.stream).poll_flush(cx));
        if self.watch.is_expected() {
            match &flushed {
                Ok(()) => self.watch.flushed(),
                Err(_) => self.watch.was_read(false),
            }
        }
        Poll::Ready(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.watch.phase().0 != Phase::Closing {
            self.watch.enter(Phase::Closing);
        }
        let shut = ready!(Pin::new(&mut self.stream).poll_shutdown(cx));
        if shut.is_err() {
            self.watch.was_read(false);
        }
        shut?;
        if self.watch.is_expected() {
            ready!(self.poll_read_by_peer(cx));
        }
        if self.watch.is_unread() {
            ready!(self.poll_discard(cx));
        }
        Poll::Ready(Ok(()))
    }
}
