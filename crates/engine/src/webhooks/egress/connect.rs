//! One connection to an endpoint. Every address is looked at here, right before it is connected to, so that it does
//! not matter what a name's addresses were a moment ago, nor how a URL spells an address.

use super::CallError;
use super::address::{self, Allow};
use http::Uri;
use http::uri::Scheme;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig as TlsConfig;
use tokio_rustls::rustls::pki_types::ServerName;
use tower::Service;

/// Addresses of one name that are tried at most.
const ADDRESSES_MAX: usize = 8;
/// When an address has not answered for so long, the next is tried beside it (RFC 8305 section 5).
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);

/// How long making a connection may take. A call has its own time; but a connection goes on being made when the call
/// got another meanwhile, and nobody else would end that.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(15);

/// A lookup under way.
pub(super) type Lookup = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// How names become addresses.
pub(super) trait Resolve: Send + Sync + 'static {
    /// The addresses of a name. `turn` is held until the lookup is truly over, even when nobody waits for it any more:
    /// an endpoint whose name servers hang holds one thread, not one for each call.
    fn resolve(&self, host: String, port: u16, turn: OwnedMutexGuard<()>) -> Lookup;
}

/// As the machine is set up.
pub(super) struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, host: String, port: u16, turn: OwnedMutexGuard<()>) -> Lookup {
        Box::pin(async move {
            let lookup = tokio::task::spawn_blocking(move || {
                let _turn = turn;
                (host.as_str(), port)
                    .to_socket_addrs()
                    .map(|addresses| addresses.take(ADDRESSES_MAX).collect())
            });
            lookup.await.map_err(io::Error::other)?
        })
    }
}

/// Makes the connections of one endpoint.
#[derive(Clone)]
pub(super) struct Connector {
    pub(super) allow: Arc<[Allow]>,
    pub(super) tls: Arc<TlsConfig>,
    pub(super) resolver: Arc<dyn Resolve>,
    /// Who has it may look up the name.
    pub(super) turn: Arc<Mutex<()>>,
}

impl Connector {
    async fn connect(self, uri: Uri) -> Result<TokioIo<Stream>, CallError> {
        let secure = uri.scheme() == Some(&Scheme::HTTPS);
        let host = uri.host().unwrap_or_default().to_owned();
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let addresses = self.addresses(&host, port).await?;
        for address in &addresses {
            // One of them inside is enough: a name of the public internet has no such address.
            address::check(&host, *address, &self.allow).map_err(CallError::Forbidden)?;
        }
        let tcp = first_of(addresses).await.map_err(CallError::Connect)?;
        // What is written at once is a whole request.
        tcp.set_nodelay(true).map_err(CallError::Connect)?;
        if !secure {
            return Ok(TokioIo::new(Stream(Box::new(tcp))));
        }
        let name = ServerName::try_from(bare(&host).to_owned())
            .map_err(|error| CallError::Tls(io::Error::new(io::ErrorKind::InvalidInput, error)))?;
        let tls = TlsConnector::from(self.tls).connect(name, tcp).await;
        Ok(TokioIo::new(Stream(Box::new(tls.map_err(CallError::Tls)?))))
    }

    async fn addresses(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, CallError> {
        if let Ok(address) = bare(host).parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let mut addresses = self
            .resolver
            .resolve(host.to_owned(), port, turn)
            .await
            .map_err(CallError::Resolve)?;
        addresses.truncate(ADDRESSES_MAX);
        if addresses.is_empty() {
            let none = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
            return Err(CallError::Resolve(none));
        }
        Ok(addresses)
    }
}

/// Without the brackets of an IPv6 address.
fn bare(host: &str) -> &str {
    host.strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host)
}

/// The first address that answers, each given a head start over the next.
async fn first_of(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut tries = JoinSet::new();
    let mut left = addresses.into_iter();
    let mut last = io::Error::new(io::ErrorKind::NotFound, "no address");
    loop {
        match left.next() {
            Some(address) => drop(tries.spawn(TcpStream::connect(address))),
            None if tries.is_empty() => return Err(last),
            None => {}
        }
        let answered = if left.len() == 0 {
            tries.join_next().await
        } else {
            // A timeout is no answer: the next one starts beside it.
            tokio::time::timeout(NEXT_ADDRESS_AFTER, tries.join_next())
                .await
                .unwrap_or(None)
        };
        match answered {
            Some(Ok(Ok(stream))) => return Ok(stream),
            Some(Ok(Err(error))) => last = error,
            Some(Err(error)) => last = io::Error::other(error),
            None => {}
        }
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = CallError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, CallError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connect = tokio::time::timeout(CONNECT_TIME_MAX, self.clone().connect(uri));
        Box::pin(async { connect.await.unwrap_or(Err(CallError::Timeout(CONNECT_TIME_MAX))) })
    }
}

trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A connection, with or without TLS.
pub(super) struct Stream(Box<dyn Duplex>);

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
