//! Limits on TLS handshakes, the costliest work that an unverified client can cause: of all together, and of each address.

use super::addresses::Address;
use super::client::Client;
use super::metrics::ServeMetrics;
use super::watch::ms_since;
use crate::access::buckets::{Buckets, Rate};
use rustls::ServerConfig;
use rustls::server::Acceptor;
use std::future::{Future as _, poll_fn};
use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::PollSemaphore;

/// Octets that a client may send until the handshake is done. A hello with keys for the time after quantum computers has two
/// thousand; rustls would put together messages of 64 KiB.
const HANDSHAKE_BYTES_MAX: usize = 32 * 1024;
/// Addresses of which it is known how many handshakes they began lately.
const ADDRESSES_MAX: usize = 16 * 1024;

/// What the handshakes of a listener share.
pub(super) struct Handshakes {
    /// Threads that may do the costly part of one at once.
    turns: Arc<Semaphore>,
    /// How many an unknown address began lately.
    begun: Buckets,
    rate: Option<Rate>,
    epoch: Instant,
    metrics: ServeMetrics,
}

impl Handshakes {
    /// At most `per_s_max` a second of an address where nothing was verified; 0: any number. They take at most half of the
    /// runtime's threads. To be called within a runtime.
    pub(super) fn new(per_s_max: u32, metrics: ServeMetrics) -> Self {
        Self {
            turns: Arc::new(Semaphore::new(
                (Handle::current().metrics().num_workers() / 2).max(1),
            )),
            begun: Buckets::new(ADDRESSES_MAX),
            rate: Rate::per_second(per_s_max),
            epoch: Instant::now(),
            metrics,
        }
    }

    /// Shakes hands with a client, or with a proxy, which is `None`.
    ///
    /// # Errors
    /// When the client does not speak TLS, or leaves.
    pub(super) async fn shake(
        &self,
        stream: TcpStream,
        config: &Arc<ServerConfig>,
        client: Option<&Client>,
        address: &Address,
    ) -> io::Result<TlsStream<Bounded>> {
        let shaken = self.shake_in_turn(stream, config, client, address).await;
        match &shaken {
            Ok(_) => self.metrics.tls_handshakes.inc(),
            Err(_) => self.metrics.tls_handshakes_failed.inc(),
        };
        shaken
    }

    async fn shake_in_turn(
        &self,
        stream: TcpStream,
        config: &Arc<ServerConfig>,
        client: Option<&Client>,
        address: &Address,
    ) -> io::Result<TlsStream<Bounded>> {
        let stream = Bounded {
            stream,
            bytes_left: Some(HANDSHAKE_BYTES_MAX),
        };
        // Reading a hello costs next to nothing, and what is none goes no further.
        let hello = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
        let accept = {
            // One of each address stands in line, so that the line is as long as there are addresses.
            let _of_address = address.handshake.lock().await;
            hello.io.assert_is_there().await?;
            if let Some(client) = client.filter(|_| !address.is_known()) {
                self.pace(client.network()).await;
            }
            let _turn = self.turns.acquire().await.map_err(io::Error::other)?;
            hello.io.assert_is_there().await?;
            // The costly part of most.
            hello.into_stream(Arc::clone(config))
        };
        // In some (where keys are agreed in a second try, and in TLS 1.2) it comes later.
        let mut accept = pin!(accept);
        let mut turns = PollSemaphore::new(Arc::clone(&self.turns));
        let mut stream = poll_fn(|cx| {
            let _turn = ready!(turns.poll_acquire(cx));
            accept.as_mut().poll(cx)
        })
        .await?;
        stream.get_mut().0.bytes_left = None;
        Ok(stream)
    }

    /// Waits until an address may begin its next handshake.
    async fn pace(&self, network: IpAddr) {
        let mut is_first = true;
        loop {
            let now = i64::try_from(ms_since(self.epoch)).unwrap_or(i64::MAX);
            let Err(wait_ms) = self.begun.take(&network, self.rate, now) else {
                return;
            };
            if std::mem::take(&mut is_first) {
                self.metrics.tls_handshakes_paced.inc();
                tracing::warn!(address = %network, "TLS handshakes delayed");
            }
            tokio::time::sleep(Duration::from_millis(wait_ms.unsigned_abs())).await;
        }
    }
}

/// A client's socket, from which only so much is taken until the handshake is done.
pub(super) struct Bounded {
    stream: TcpStream,
    /// `None`: there is no bound any more.
    bytes_left: Option<usize>,
}

impl Bounded {
    pub(super) const fn socket(&self) -> &TcpStream {
        &self.stream
    }

    /// Nothing is worth doing for a client that has left.
    async fn assert_is_there(&self) -> io::Result<()> {
        let mut octet = [0];
        let mut octet = ReadBuf::new(&mut octet);
        poll_fn(|cx| match self.stream.poll_peek(cx, &mut octet) {
            Poll::Ready(Ok(0)) => Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(_)) | Poll::Pending => Poll::Ready(Ok(())),
        })
        .await
    }
}

impl AsyncRead for Bounded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if let Some(bytes_left) = &mut self.bytes_left {
            let bytes = buf.filled().len() - before;
            *bytes_left = bytes_left
                .checked_sub(bytes)
                .ok_or_else(|| io::Error::other("the handshake is too long"))?;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Bounded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
