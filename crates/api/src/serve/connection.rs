//! One connection: what it is doing since when, and the task that serves it.

use super::body::TimedBody;
use super::{Client, ServeLimits};
use axum::Router;
use engine::AnswerFate;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tower::Service as _;

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Between requests; perhaps still writing an answer.
    Idle = 0,
    /// Reading a request's head (or still shaking hands).
    Head = 1,
    /// A handler has the request.
    Work = 2,
    /// Our side is closed; reading what the client still sends.
    Closing = 3,
}

impl Phase {
    const fn from_bits(bits: u64) -> Self {
        match bits {
            0 => Self::Idle,
            1 => Self::Head,
            2 => Self::Work,
            _ => Self::Closing,
        }
    }
}

/// What the listener tells a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Finish the request in flight, then close.
    Leave = 1,
    /// Close now.
    Drop = 2,
}

/// What the listener and a connection know of each other.
#[derive(Debug)]
pub(super) struct Watch {
    epoch: Instant,
    /// The phase in the upper two bits, since when (milliseconds of the epoch) in the others.
    phase: AtomicU64,
    order: AtomicU8,
    told: Notify,
    /// Set when a handler answered without reading its request to the end.
    unread: AtomicBool,
    /// The last answer, when somebody must know whether it was read.
    fate: Mutex<Option<AnswerFate>>,
    /// Whether there is one: looked at with each read and write.
    fated: AtomicBool,
}

const PHASE_SHIFT: u32 = 62;

/// Milliseconds since `epoch`.
pub(super) fn ms_since(epoch: Instant) -> u64 {
    u64::try_from(epoch.elapsed().as_millis()).unwrap_or(u64::MAX >> 2)
}

impl Watch {
    pub(super) fn new(epoch: Instant) -> Self {
        let watch = Self {
            epoch,
            phase: AtomicU64::new(0),
            order: AtomicU8::new(0),
            told: Notify::new(),
            unread: AtomicBool::new(false),
            fate: Mutex::new(None),
            fated: AtomicBool::new(false),
        };
        watch.enter(Phase::Head);
        watch
    }

    /// The phase, and since when.
    pub(super) fn phase(&self) -> (Phase, u64) {
        let word = self.phase.load(Ordering::Relaxed);
        (
            Phase::from_bits(word >> PHASE_SHIFT),
            word & !(u64::MAX << PHASE_SHIFT),
        )
    }

    fn enter(&self, phase: Phase) {
        let since_ms = ms_since(self.epoch) & !(u64::MAX << PHASE_SHIFT);
        self.phase
            .store((phase as u64) << PHASE_SHIFT | since_ms, Ordering::Relaxed);
    }

    pub(super) fn tell(&self, order: Order) {
        self.order.store(order as u8, Ordering::Release);
        self.told.notify_one();
    }

    /// Waits for the listener's next order.
    async fn order(&self) -> Order {
        self.told.notified().await;
        if self.order.load(Ordering::Acquire) == Order::Drop as u8 {
            Order::Drop
        } else {
            Order::Leave
        }
    }

    /// Somebody must know whether this answer is read.
    fn expect(&self, fate: AnswerFate) {
        fate.follow();
        *self.fate.lock().unwrap_or_else(PoisonError::into_inner) = Some(fate);
        self.fated.store(true, Ordering::Release);
    }

    fn is_expected(&self) -> bool {
        self.fated.load(Ordering::Acquire)
    }

    /// The last answer was read, as far as can be known; or it was not.
    fn was_read(&self, read: bool) {
        if !self.fated.swap(false, Ordering::AcqRel) {
            return;
        }
        let fate = self.fate.lock().unwrap_or_else(PoisonError::into_inner).take();
        match fate {
            Some(fate) if read => fate.sent(),
            Some(fate) => fate.lost(),
            None => {}
        }
    }

    /// All that was to be written is.
    fn flushed(&self) {
        if let Some(fate) = &*self.fate.lock().unwrap_or_else(PoisonError::into_inner) {
            fate.flushed();
        }
    }

    pub(super) fn left_unread(&self) {
        self.unread.store(true, Ordering::Relaxed);
    }
}

/// How many headers a request may have unless configured otherwise: hyper's own bound.
pub(super) const HEADERS_MAX_DEFAULT: usize = 100;

/// How hyper is to speak.
pub(super) fn protocol(limits: &ServeLimits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        // A client may close its sending side and still wait for the answer; a request begun is finished.
        .half_close(true)
        // Else an answer waits for as long as an unfinished next request lies in the buffer behind it.
        .pipeline_flush(false)
        .max_header_size(limits.header_bytes_max)
        .max_buf_size(limits.header_bytes_max.max(8192))
        // The listener watches the time itself.
        .header_read_timeout(None);
    // hyper keeps room for its own default on the stack, for any other number on the heap.
    if limits.headers_max != HEADERS_MAX_DEFAULT {
        builder.max_headers(limits.headers_max);
    }
    builder
}

/// Serves one connection to its end.
pub(super) async fn run(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    router: Router,
    protocol: http1::Builder,
    body_timeout: Duration,
    watch: Arc<Watch>,
    client: Client,
) {
    let Some(tls) = tls else {
        return speak(stream, router, protocol, body_timeout, watch, client).await;
    };
    let shaken = tokio::select! {
        shaken = tls.accept(stream) => shaken,
        // Either order: there is no request yet.
        _ = watch.order() => return,
    };
    match shaken {
        Ok(stream) => speak(stream, router, protocol, body_timeout, watch, client).await,
        Err(error) => tracing::debug!(%error, "TLS handshake failed"),
    }
}

async fn speak<S: AsyncRead + AsyncWrite + Peer + Unpin>(
    stream: S,
    router: Router,
    protocol: http1::Builder,
    body_timeout: Duration,
    watch: Arc<Watch>,
    client: Client,
) {
    let service = service_fn(|request: Request<Incoming>| {
        watch.enter(Phase::Work);
        let watched = Arc::clone(&watch);
        let mut request =
            request.map(|body| axum::body::Body::new(TimedBody::new(body, body_timeout, Arc::clone(&watch))));
        request.extensions_mut().insert(client.clone());
        let answer = router.clone().call(request);
        async move {
            let answer = answer.await;
            if let Ok(answer) = &answer
                && let Some(fate) = answer.extensions().get::<AnswerFate>()
            {
                watched.expect(fate.clone());
            }
            watched.enter(Phase::Idle);
            answer
        }
    });
    let io = TokioIo::new(Watched {
        stream,
        watch: Arc::clone(&watch),
        discarded_bytes: 0,
        at_end: false,
        gone_wait: None,
        gone_looks: 0,
    });
    let mut connection = protocol.serve_connection(io, service);
    let ended = loop {
        tokio::select! {
            biased;
            ended = &mut connection => break ended,
            order = watch.order() => match order {
                Order::Leave => Pin::new(&mut connection).graceful_shutdown(),
                Order::Drop => {
                    // While our side is still open, nobody can say how much of an answer went out.
                    watch.was_read(watch.phase().0 == Phase::Closing);
                    return;
                }
            },
        }
    };
    let Err(error) = ended else { return };
    watch.was_read(false);
    tracing::debug!(%error, "connection ended");
    // After an error (a head that cannot be read) hyper has answered what it could, but has not closed.
    watch.left_unread();
    let mut io = connection.into_parts().io.into_inner();
    tokio::select! {
        _ = io.shutdown() => {}
        () = async { while watch.order().await != Order::Drop {} } => {}
    }
}

/// A stream that notes when a head begins and when an answer gets on, and that does not close over bytes the
/// client is still sending: the reset that follows such a close would overtake our answer.
struct Watched<S> {
    stream: S,
    watch: Arc<Watch>,
    discarded_bytes: usize,
    /// The client has closed its side.
    at_end: bool,
    /// Until the next look whether a client that closed its side before the answer is gone.
    gone_wait: Option<Pin<Box<Sleep>>>,
    /// How often that was looked at.
    gone_looks: u32,
}

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

impl Peer for TlsStream<TcpStream> {
    fn is_reset(&self) -> bool {
        self.get_ref().0.is_reset()
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
        let read = ready!(Pin::new(&mut self.stream).poll_read(cx, buf));
        if self.watch.is_expected() {
            match &read {
                // Who asks on has read.
                Ok(()) if buf.filled().len() > before => self.watch.was_read(true),
                Ok(()) => {}
                Err(_) => self.watch.was_read(false),
            }
        }
        read?;
        self.at_end |= buf.filled().len() == before && buf.remaining() > 0;
        if buf.filled().len() > before && self.watch.phase().0 == Phase::Idle {
            self.watch.enter(Phase::Head);
        }
        Poll::Ready(Ok(()))
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
        if self.watch.unread.load(Ordering::Relaxed) {
            ready!(self.poll_discard(cx));
        }
        Poll::Ready(Ok(()))
    }
}
