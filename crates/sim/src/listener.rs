//! A port that can be closed and opened again.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

/// Milliseconds until the next try when a connection cannot be accepted or the port cannot be bound.
const RETRY_MS: u64 = 100;

/// A port. While it is closed, connects are refused as by a host where nothing runs.
#[derive(Debug)]
pub(crate) struct Listener {
    listener: Option<TcpListener>,
    address: SocketAddr,
}

impl Listener {
    /// Starts open.
    pub(crate) fn new(listener: TcpListener, address: SocketAddr) -> Self {
        Self {
            listener: Some(listener),
            address,
        }
    }

    /// The next connection; never returns while the port is closed.
    pub(crate) async fn accept(&self) -> (TcpStream, SocketAddr) {
        loop {
            match self.accept_once().await {
                Ok(accepted) => return accepted,
                Err(error) => {
                    // Out of file descriptors, most likely: the listener stays good.
                    tracing::warn!(%error, retry_ms = RETRY_MS, "accept failed");
                    tokio::time::sleep(Duration::from_millis(RETRY_MS)).await;
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

/// Binds the port again. For a moment it may be the local end of a connection that is being made.
async fn listen_again(address: SocketAddr) -> Option<TcpListener> {
    const TRIES: u32 = 50;
    for _ in 0..TRIES {
        match TcpListener::bind(address).await {
            Ok(listener) => return Some(listener),
            Err(error) => tracing::debug!(%address, %error, retry_ms = RETRY_MS, "listen failed"),
        }
        tokio::time::sleep(Duration::from_millis(RETRY_MS)).await;
    }
    tracing::error!(%address, tries = TRIES, "listen retries exhausted");
    None
}
