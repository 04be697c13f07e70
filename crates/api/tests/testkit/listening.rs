//! The dialects behind a listener, for tests that need a socket.

use super::TestNode;
use api::serve::{ServeLimits, ServeMetrics, ServeSettings, Stopped, serve};
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A listener on a free port, until it is stopped or dropped.
pub(crate) struct Listening {
    pub(crate) address: SocketAddr,
    pub(crate) metrics: ServeMetrics,
    shutdown: CancellationToken,
    serving: JoinHandle<Stopped>,
}

impl TestNode {
    /// Listens with the limits of the default configuration.
    pub(crate) async fn listen(&self) -> Listening {
        self.listen_with(ServeLimits::default()).await
    }

    /// Listens with others.
    pub(crate) async fn listen_with(&self, settings: impl Into<ServeSettings>) -> Listening {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let (settings, metrics) = (settings.into(), ServeMetrics::default());
        let serving = tokio::spawn(serve(
            listener,
            self.router.clone(),
            settings,
            None,
            metrics.clone(),
            shutdown.clone(),
        ));
        Listening {
            address,
            metrics,
            shutdown,
            serving,
        }
    }
}

impl Listening {
    /// Stops, once all requests are answered.
    pub(crate) async fn stop(mut self) {
        self.shutdown.cancel();
        (&mut self.serving).await.unwrap();
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}
