//! The peers of the program under test, each with a thread and a port of its own.

use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc;
use std::thread::JoinHandle;

use anyhow::{Context, anyhow};
use sim::sink::{Sink, SinkConfig, SinkHandle};
use sim::smsc::{Smsc, SmscConfig, SmscHandle};

/// A thread with a runtime of its own.
type Thread = JoinHandle<anyhow::Result<()>>;

/// A simulated carrier.
#[derive(Debug)]
pub(crate) struct Carrier {
    pub(crate) smsc: SmscHandle,
    thread: Thread,
}

impl Carrier {
    /// Starts it on a free port.
    pub(crate) fn start(config: SmscConfig) -> anyhow::Result<Self> {
        Self::start_at(config, free_address()?)
    }

    /// Starts it where another one was.
    pub(crate) fn start_at(config: SmscConfig, address: SocketAddr) -> anyhow::Result<Self> {
        let start = |listener| Ok(Smsc::start(config, listener)?);
        let (smsc, thread) = start_beside("carrier", address, start, async |smsc| smsc.stopped().await)?;
        Ok(Self { smsc, thread })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.smsc.local_addr()
    }

    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.smsc.stop().await;
        join(self.thread)
    }
}

/// A webhook endpoint.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) sink: SinkHandle,
    thread: Thread,
}

impl Endpoint {
    /// Starts it on a free port.
    pub(crate) fn start(config: SinkConfig) -> anyhow::Result<Self> {
        Self::start_at(config, free_address()?)
    }

    /// Starts it where another one was.
    pub(crate) fn start_at(config: SinkConfig, address: SocketAddr) -> anyhow::Result<Self> {
        let start = |listener| Ok(Sink::start(config, listener)?);
        let (sink, thread) = start_beside("endpoint", address, start, async |sink| sink.stopped().await)?;
        Ok(Self { sink, thread })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.sink.local_addr()
    }

    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.sink.stop().await;
        join(self.thread)
    }
}

/// Starts something on a thread of its own.
fn start_beside<H: Clone + Send + 'static>(
    name: &str,
    address: SocketAddr,
    start: impl FnOnce(tokio::net::TcpListener) -> anyhow::Result<H> + Send + 'static,
    stopped: impl AsyncFnOnce(H) + Send + 'static,
) -> anyhow::Result<(H, Thread)> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let (started, starts) = mpsc::channel();
    let thread = std::thread::Builder::new().name(name.into()).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let handle = start(tokio::net::TcpListener::from_std(listener)?)?;
            if started.send(handle.clone()).is_ok() {
                stopped(handle).await;
            }
            Ok(())
        })
    })?;
    let handle = starts
        .recv()
        .with_context(|| format!("the {name} did not start"))?;
    Ok((handle, thread))
}

fn join(thread: Thread) -> anyhow::Result<()> {
    thread.join().map_err(|_| anyhow!("a thread failed"))?
}

/// An unused address, below the range of ephemeral ports: a process that is killed and started again must find it free.
pub(crate) fn free_address() -> anyhow::Result<SocketAddr> {
    const PORTS: std::ops::Range<u16> = 20_000..32_000;
    const TRIES: usize = 100;
    (0..TRIES)
        .map(|_| SocketAddr::from(([127, 0, 0, 1], rand::random_range(PORTS))))
        .find(|address| TcpListener::bind(address).is_ok())
        .context("no free port")
}
