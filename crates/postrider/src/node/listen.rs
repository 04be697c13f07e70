//! Listeners: binding their addresses, serving, stopping.

use anyhow::{Context, bail};
use api::serve::{ServeMetrics, ServeSettings, Stopped};
use axum::Router;
use std::io;
use std::net::SocketAddr;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// What happens when an address is taken already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WhenTaken {
    /// It is an error.
    Fail,
    /// Any free port of the same host will do.
    AnyPort,
}

/// A listener and where it is.
pub(super) struct Bound {
    listener: TcpListener,
    addr: SocketAddr,
}

/// How many connections may wait to be accepted; the system has a bound of its own (`net.core.somaxconn`). Of more, the
/// greeting is dropped, and a client repeats it after one second, then after two more.
const BACKLOG: u32 = 4096;

fn listen_on(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = if addr.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // A port whose last connections are still being taken down may be used again; one that is listened on may not.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

/// Binds `addr`, which stands in the configuration as `name`.
pub(super) async fn bind(name: &str, addr: SocketAddr, when_taken: WhenTaken) -> anyhow::Result<Bound> {
    let listener = match listen_on(addr) {
        Ok(listener) => listener,
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && when_taken == WhenTaken::AnyPort => {
            let listener = listen_on(SocketAddr::new(addr.ip(), 0))
                .with_context(|| format!("listen on any port of {}", addr.ip()))?;
            tracing::warn!(taken = %addr, "the address is taken; another port is used");
            listener
        }
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            bail!(
                "listen on {addr} (`{name}`): another program has it; choose another port or stop that program"
            )
        }
        Err(error) => return Err(error).with_context(|| format!("listen on {addr} (`{name}`)")),
    };
    let addr = listener.local_addr().context("ask for the bound address")?;
    Ok(Bound { listener, addr })
}

/// A listener at work.
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
            tracing::error!(%error, "a listener had died");
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
        let taken = bind("api.listen", any, WhenTaken::Fail).await.unwrap().addr;
        // Its listener is gone by now; hold the port with one of our own.
        let held = bind("api.listen", taken, WhenTaken::Fail).await.unwrap();
        let refused = bind("api.listen", held.addr, WhenTaken::Fail)
            .await
            .err()
            .unwrap()
            .to_string();
        assert!(
            refused.contains(&held.addr.to_string()) && refused.contains("`api.listen`"),
            "{refused}"
        );
        let other = bind("api.listen", held.addr, WhenTaken::AnyPort).await.unwrap();
        assert_ne!(other.addr.port(), held.addr.port());
    }
}
