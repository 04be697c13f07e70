//! A port that can be closed and opened again.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

/// How long to wait before another try when a connection cannot be accepted, or the port not be had.
const PAUSE: Duration = Duration::from_millis(100);

/// A port. While it is closed, who connects is refused as by a host where nothing runs.
#[derive(Debug)]
pub(crate) struct Door {
    listener: Option<TcpListener>,
    address: SocketAddr,
}

impl Door {
    /// An open one.
    pub(crate) fn new(listener: TcpListener, address: SocketAddr) -> Self {
        Self {
            listener: Some(listener),
            address,
        }
    }

    /// The next who comes; nobody does while it is closed.
    pub(crate) async fn accept(&self) -> (TcpStream, SocketAddr) {
        loop {
            match self.accept_once().await {
                Ok(accepted) => return accepted,
                Err(error) => {
                    // Out of file descriptors, most likely: the listener stays good.
                    tracing::warn!(%error, "cannot accept");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    async fn accept_once(&self) -> io::Result<(TcpStream, SocketAddr)> {
        match &self.listener {
            Some(listener) => listener.accept().await,
            None => std::future::pending().await,
        }
    }

    /// Closes or opens it.
    pub(crate) async fn set_open(&mut self, open: bool) {
        self.listener = match self.listener.take() {
            Some(listener) if open => Some(listener),
            None if open => listen_again(self.address).await,
            _ => None,
        };
    }
}

/// Takes the port back. Somebody else may hold it for a moment, as the local end of a connection that is being made.
async fn listen_again(address: SocketAddr) -> Option<TcpListener> {
    const TRIES: u32 = 50;
    for _ in 0..TRIES {
        match TcpListener::bind(address).await {
            Ok(listener) => return Some(listener),
            Err(error) => tracing::debug!(%address, %error, "cannot listen yet"),
        }
        tokio::time::sleep(PAUSE).await;
    }
    tracing::error!(%address, "cannot listen again");
    None
}
