//! Listeners: bind, serve, stop.

use anyhow::{Context, bail};
use api::serve::{ServeMetrics, ServeSettings, Stopped};
use axum::Router;
use std::io;
use std::net::SocketAddr;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// What to do when an address is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PortConflict {
    /// Fail.
    Fail,
    /// Choose a free port of the same host.
    AnyPort,
}

/// A bound listener and its address.
pub(super) struct Bound {
    listener: TcpListener,
    addr: SocketAddr,
}

/// Connections that may wait to be accepted; the system has a bound of its own (`net.core.somaxconn`). Beyond it, the
/// SYN is dropped, and a client repeats it after one second, then after two more.
const BACKLOG: u32 = 4096;

fn listen_on(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = if addr.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // A port with closing connections may be reused; one with a listener may not.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

/// Binds `addr`, the setting `name`.
pub(super) async fn bind(name: &str, addr: SocketAddr, port_conflict: PortConflict) -> anyhow::Result<Bound> {
    let listener = match listen_on(addr) {
        Ok(listener) => listener,
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && port_conflict == PortConflict::AnyPort => {
            let listener = listen_on(SocketAddr::new(addr.ip(), 0))
                .with_context(|| format!("listen on any port of {}", addr.ip()))?;
            tracing::warn!(%addr, "address in use, another port chosen");
            listener
        }
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            bail!(
                "listen on {addr} (`{name}`): the address is in use by another program; choose another port or stop that program"
            )
        }
        Err(error) => return Err(error).with_context(|| format!("listen on {addr} (`{name}`)")),
    };
    let addr = listener.local_addr().context("read the bound address")?;
    Ok(Bound { listener, addr })
}

/// A running listener.
pub(super) struct Listener {
    pub(super) addr: SocketAddr,
    stop: CancellationToken,
    pub(super) task: JoinHandle<Stopped>,
}

impl Listener {
    pub(super) fn start(
        bound: Bound,
        router: Router,
        settings: ServeSettings,
        tls: Option<tokio_rustls::TlsAcceptor>,
        metrics: ServeMetrics,
    ) -> Self {
        let stop = CancellationToken::new();
        let served = api::serve::serve(bound.listener, router, settings, tls, metrics, stop.clone());
        Self {
            addr: bound.addr,
            stop,
            task: tokio::spawn(served),
        }
    }

    pub(super) async fn stop(self) -> Stopped {
        self.stop.cancel();
        self.task.await.unwrap_or_else(|error| {
            tracing::error!(%error, "listener failed");
            Stopped { cut: 0 }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_address_is_named_or_passed_over() {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let taken = bind("api.listen", any, PortConflict::Fail).await.unwrap().addr;
        // Its listener is closed by now; this one holds the port.
        let held = bind("api.listen", taken, PortConflict::Fail).await.unwrap();
        let refused = bind("api.listen", held.addr, PortConflict::Fail)
            .await
            .err()
            .unwrap()
            .to_string();
        assert!(
            refused.contains(&held.addr.to_string()) && refused.contains("`api.listen`"),
            "{refused}"
        );
        let other = bind("api.listen", held.addr, PortConflict::AnyPort)
            .await
            .unwrap();
        assert_ne!(other.addr.port(), held.addr.port());
    }
}
