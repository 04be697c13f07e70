//! The SMSC side: accepts connections, passes binds to the user for a decision, and starts the tasks of the sessions.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::{TlsAcceptor, TlsStream};

use crate::connection::{Buffers, Link, Stop, Stream, start};
use crate::octets::COctetString;
use crate::pdu::Bind;
use crate::session::{CloseReason, Event, Role, SessionConfig};
use crate::status::CommandStatus;

pub use crate::connection::{Events, Handle as ServerSession, Unsent};

/// Pause after a failed accept, which usually means that the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The bounds of a server.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Window (for `deliver_sm`), timeouts and limits of each session.
    pub session: SessionConfig,
    /// Bounds of each connection's memory.
    pub buffers: Buffers,
    /// Connections at once, bound or not; further ones are closed on accept.
    pub connections_max: usize,
    /// How long the TLS handshake and the bind may take together.
    pub bind_timeout: Duration,
    /// How long the sessions may take to drain on shutdown.
    pub drain_max: Duration,
}

impl Default for ServerConfig {
    /// 1000 connections, 10 s to bind, 5 s to drain, and the defaults of [`SessionConfig::new`] and [`Buffers`].
    fn default() -> Self {
        Self {
            session: SessionConfig::new(Role::Smsc),
            buffers: Buffers::default(),
            connections_max: 1000,
            bind_timeout: Duration::from_secs(10),
            drain_max: Duration::from_secs(5),
        }
    }
}

/// A peer that wants to bind. Dropping it closes the connection without a response.
pub struct Incoming {
    link: Link,
    config: Arc<ServerConfig>,
    shutdown: watch::Receiver<bool>,
    peer: SocketAddr,
    bind: Bind,
}

impl Incoming {
    /// The address of the peer.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// The peer's credentials and the kind of bind.
    #[must_use]
    pub fn bind(&self) -> &Bind {
        &self.bind
    }

    /// Accepts the bind as `system_id` and starts the session.
    ///
    /// # Errors
    /// [`CloseReason`] if `system_id` cannot be encoded; the peer then gets a bind response with `ESME_RSYSERR`.
    pub async fn accept(
        mut self,
        system_id: impl Into<COctetString>,
    ) -> Result<(ServerSession, Events), CloseReason> {
        let accepted = self
            .link
            .session
            .accept_bind(&system_id.into(), &mut self.link.out);
        if let Err(refusal) = accepted {
            tracing::warn!(peer = %self.peer, reason = %refusal, "bind response failed");
            self.refuse(CommandStatus::RSYSERR).await;
            return Err(CloseReason::Closed);
        }
        Ok(start(
            self.link,
            &self.config.session,
            Some(stop(self.shutdown, self.config.drain_max)),
        ))
    }

    /// Refuses the bind with `status` and closes the connection.
    pub async fn refuse(mut self, status: CommandStatus) {
        self.link.session.refuse_bind(status, &mut self.link.out);
        self.link.hang_up().await;
        self.link.linger().await;
    }
}

/// Accepts connections until `shutdown` resolves, and calls `handler` for each peer that sends a bind. Then unbinds the
/// remaining sessions, and returns when all sessions are closed and all handlers have returned.
///
/// `handler` decides whether to accept the bind and processes the session; it should return after [`Event::Closed`].
pub async fn serve<H, F>(
    listener: TcpListener,
    config: ServerConfig,
    tls: Option<TlsAcceptor>,
    shutdown: impl Future<Output = ()>,
    handler: H,
) where
    H: Fn(Incoming) -> F + Clone + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let session = SessionConfig {
        role: Role::Smsc,
        ..config.session
    };
    let permits = Arc::new(Semaphore::new(config.connections_max.min(Semaphore::MAX_PERMITS)));
    let config = Arc::new(ServerConfig { session, ..config });
    let (stopping, stopped) = watch::channel(false);
    let mut connections = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(ended) = connections.join_next() => {
                log_end(ended);
                continue;
            }
            () = &mut shutdown => break,
        };
        match accepted {
            Err(error) => {
                tracing::warn!(%error, retry_ms = ACCEPT_PAUSE.as_millis(), "accept failed");
                sleep(ACCEPT_PAUSE).await;
            }
            Ok((_, peer)) if permits.available_permits() == 0 => {
                tracing::warn!(
                    %peer,
                    connections_max = config.connections_max,
                    reason = "too many connections",
                    "connection rejected"
                );
            }
            Ok((tcp, peer)) => {
                let permit = Arc::clone(&permits).try_acquire_owned().ok();
                let pending = PendingConnection {
                    tcp,
                    peer,
                    tls: tls.clone(),
                    config: Arc::clone(&config),
                    permit,
                };
                connections.spawn(pending.run(stopped.clone(), handler.clone()));
            }
        }
    }
    drop(listener);
    // Every session watches the channel, bound or not.
    let _ = stopping.send(true);
    let grace = config.drain_max + config.session.unbind_timeout + config.bind_timeout;
    let ended = timeout(grace, async {
        while let Some(ended) = connections.join_next().await {
            log_end(ended);
        }
    });
    if ended.await.is_err() {
        tracing::warn!(
            connections = connections.len(),
            grace_ms = grace.as_millis(),
            "connections closed without unbind"
        );
        connections.shutdown().await;
    }
}

/// A connection whose bind has not arrived yet.
struct PendingConnection {
    tcp: TcpStream,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    config: Arc<ServerConfig>,
    permit: Option<OwnedSemaphorePermit>,
}

impl PendingConnection {
    async fn run<H, F>(self, shutdown: watch::Receiver<bool>, handler: H)
    where
        H: Fn(Incoming) -> F,
        F: Future<Output = ()>,
    {
        let Self {
            tcp,
            peer,
            tls,
            config,
            permit,
        } = self;
        let mut stopped = shutdown.clone();
        let opened = tokio::select! {
            opened = timeout(config.bind_timeout, open(tcp, tls, &config)) => opened,
            _ = stopped.wait_for(|stopped| *stopped) => return,
        };
        match opened {
            Ok(Ok((link, bind))) => {
                handler(Incoming {
                    link,
                    config,
                    shutdown,
                    peer,
                    bind,
                })
                .await
            }
            Ok(Err(reason)) => tracing::debug!(%peer, %reason, "connection closed before bind"),
            Err(_) => tracing::debug!(%peer, reason = "bind timeout", "connection closed before bind"),
        }
        drop(permit);
    }
}

/// TLS if configured, then everything up to the bind.
async fn open(
    tcp: TcpStream,
    tls: Option<TlsAcceptor>,
    config: &ServerConfig,
) -> Result<(Link, Bind), CloseReason> {
    tcp.set_nodelay(true)?;
    let stream = match tls {
        None => Stream::Tcp(tcp),
        Some(tls) => Stream::Tls(Box::new(TlsStream::Server(tls.accept(tcp).await?))),
    };
    let mut link = Link::new(stream, config.session.clone(), config.buffers);
    loop {
        match link.opening_event().await? {
            Event::BindRequest(bind) => return Ok((link, bind)),
            event => tracing::debug!(?event, "unexpected PDU before bind"),
        }
    }
}

/// Resolves when the server shuts down. A dropped server counts as shut down.
fn stop(mut shutdown: watch::Receiver<bool>, drain_max: Duration) -> Stop {
    Box::pin(async move {
        let _ = shutdown.wait_for(|stopped| *stopped).await;
        drain_max
    })
}

fn log_end(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "connection handler failed");
    }
}
