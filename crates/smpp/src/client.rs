//! The ESME side: connects, binds, and starts the task of the session.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rustls_pki_types::ServerName;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::{TlsConnector, TlsStream};

use crate::connection::{Buffers, Link, Stream, start};
use crate::encode::EncodeError;
use crate::pdu::{Bind, BindResp};
use crate::session::{CloseReason, Event, Refusal, Role, SessionConfig};
use crate::status::CommandStatus;

pub use crate::connection::{Events, Handle as Client, Unsent};

/// What to connect to, the bind to send, and the bounds of the session.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// `host:port`. All addresses of the host are tried in turn.
    pub address: String,
    /// The bind to send: kind, credentials, system type, interface version and address range.
    pub bind: Bind,
    /// Window, timeouts and limits of the session.
    pub session: SessionConfig,
    /// Bounds of the connection's memory.
    pub buffers: Buffers,
    /// How long resolving, connecting and the TLS handshake may take together.
    pub connect_timeout: Duration,
    /// How long the answer to the bind may take.
    pub bind_timeout: Duration,
}

impl ClientConfig {
    /// A configuration with the defaults: 10 s to connect, 10 s to bind, and those of [`SessionConfig::new`] and
    /// [`Buffers::default`].
    pub fn new(address: impl Into<String>, bind: Bind) -> Self {
        Self {
            address: address.into(),
            bind,
            session: SessionConfig::new(Role::Esme),
            buffers: Buffers::default(),
            connect_timeout: Duration::from_secs(10),
            bind_timeout: Duration::from_secs(10),
        }
    }
}

/// How to reach the SMSC.
#[derive(Clone)]
pub enum Transport {
    /// Plain TCP.
    Tcp,
    /// TLS over TCP.
    Tls {
        /// The trusted roots and the client certificate.
        connector: TlsConnector,
        /// The name that the SMSC's certificate must have.
        server_name: ServerName<'static>,
    },
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp => f.write_str("Tcp"),
            Self::Tls { server_name, .. } => f.debug_tuple("Tls").field(server_name).finish(),
        }
    }
}

/// Why no session was established.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The host name could not be resolved, or has no address.
    #[error("cannot resolve {address}")]
    Resolve {
        /// The `host:port` that was looked up.
        address: String,
        /// The resolver's error.
        source: io::Error,
    },
    /// No address accepted a connection. The fields are those of the last attempt.
    #[error("cannot connect to {address}")]
    Connect {
        /// The last address that was tried.
        address: SocketAddr,
        /// The socket's error.
        source: io::Error,
    },
    /// The TLS handshake failed.
    #[error("TLS handshake failed")]
    Tls(#[source] io::Error),
    /// Resolving, connecting and the TLS handshake took too long.
    #[error("not connected within {0:?}")]
    ConnectTimeout(Duration),
    /// The SMSC did not answer the bind in time.
    #[error("bind not answered within {0:?}")]
    BindTimeout(Duration),
    /// The SMSC refused the bind. [`CommandStatus::class`] says whether a retry can succeed.
    #[error("bind refused: {0}")]
    Refused(CommandStatus),
    /// A field of the bind exceeds a bound of the protocol.
    #[error("the bind cannot be encoded")]
    Bind(#[from] EncodeError),
    /// The connection was lost before the bind response arrived.
    #[error("connection lost while binding")]
    Lost(#[source] CloseReason),
}

/// A session that is bound.
#[derive(Debug)]
pub struct Bound {
    /// Sends requests and responses.
    pub client: Client,
    /// The events of the session.
    pub events: Events,
    /// The bind response: the SMSC's `system_id` and interface version.
    pub resp: BindResp,
    /// The address of the SMSC.
    pub peer: SocketAddr,
}

/// Connects and binds.
///
/// # Errors
/// [`ConnectError`] if no session was bound; no connection is left open then.
pub async fn connect(config: ClientConfig, transport: &Transport) -> Result<Bound, ConnectError> {
    let dialled = timeout(config.connect_timeout, dial(&config.address, transport)).await;
    let (stream, peer) = dialled.map_err(|_| ConnectError::ConnectTimeout(config.connect_timeout))??;
    let session = SessionConfig {
        role: Role::Esme,
        ..config.session
    };
    let mut link = Link::new(stream, session.clone(), config.buffers);
    let bound = timeout(config.bind_timeout, bind(&mut link, config.bind)).await;
    let resp = bound.map_err(|_| ConnectError::BindTimeout(config.bind_timeout))??;
    let (client, events) = start(link, &session, None);
    Ok(Bound {
        client,
        events,
        resp,
        peer,
    })
}

async fn dial(address: &str, transport: &Transport) -> Result<(Stream, SocketAddr), ConnectError> {
    let resolve = |source| ConnectError::Resolve {
        address: address.to_owned(),
        source,
    };
    let (tcp, peer) = {
        let mut last = resolve(io::ErrorKind::NotFound.into());
        let mut connected = None;
        for address in lookup_host(address).await.map_err(resolve)? {
            match TcpStream::connect(address).await {
                Ok(tcp) => {
                    connected = Some((tcp, address));
                    break;
                }
                Err(source) => last = ConnectError::Connect { address, source },
            }
        }
        connected.ok_or(last)?
    };
    tcp.set_nodelay(true).map_err(|source| ConnectError::Connect {
        address: peer,
        source,
    })?;
    match transport {
        Transport::Tcp => Ok((Stream::Tcp(tcp), peer)),
        Transport::Tls {
            connector,
            server_name,
        } => {
            let tls = connector
                .connect(server_name.clone(), tcp)
                .await
                .map_err(ConnectError::Tls)?;
            Ok((Stream::Tls(Box::new(TlsStream::Client(tls))), peer))
        }
    }
}

async fn bind(link: &mut Link, bind: Bind) -> Result<BindResp, ConnectError> {
    if let Err(refusal) = link.session.bind(bind, &mut link.out) {
        return Err(match refusal {
            Refusal::Encode(error) => ConnectError::Bind(error),
            Refusal::BindState(_) | Refusal::WindowFull => ConnectError::Lost(CloseReason::Closed),
        });
    }
    loop {
        match link.opening_event().await.map_err(ConnectError::Lost)? {
            Event::Bound(resp) => return Ok(resp),
            Event::BindRefused(status) => return Err(ConnectError::Refused(status)),
            event => tracing::debug!(?event, "unexpected PDU before bind"),
        }
    }
}
