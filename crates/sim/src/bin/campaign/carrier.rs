//! Carriers for a campaign: simulators with a thread of their own, on ports that stay theirs.

use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc;
use std::thread::JoinHandle;

use anyhow::{Context, anyhow};
use sim::smsc::{Smsc, SmscConfig, SmscHandle};

/// A simulated carrier.
#[derive(Debug)]
pub(crate) struct Carrier {
    pub(crate) smsc: SmscHandle,
    thread: Option<JoinHandle<anyhow::Result<()>>>,
}

impl Carrier {
    pub(crate) fn start(config: SmscConfig) -> anyhow::Result<Self> {
        let listener = listen()?;
        let (started, starts) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("carrier".into())
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()?;
                runtime.block_on(async {
                    let smsc = Smsc::start(config, tokio::net::TcpListener::from_std(listener)?)?;
                    started.send(smsc.clone())?;
                    smsc.stopped().await;
                    Ok(())
                })
            })?;
        let smsc = starts.recv().context("the carrier did not start")?;
        Ok(Self {
            smsc,
            thread: Some(thread),
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.smsc.local_addr()
    }

    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        self.smsc.stop().await;
        let thread = self.thread.take().map(JoinHandle::join);
        thread
            .transpose()
            .map_err(|_| anyhow!("the carrier's thread failed"))?
            .unwrap_or(Ok(()))
    }
}

fn listen() -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(free_address()?)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// An address that nobody listens on, below the ports that connections get by themselves: a process that is killed and
/// started again must find it free.
pub(crate) fn free_address() -> anyhow::Result<SocketAddr> {
    const PORTS: std::ops::Range<u16> = 20_000..32_000;
    const TRIES: usize = 100;
    (0..TRIES)
        .map(|_| SocketAddr::from(([127, 0, 0, 1], rand::random_range(PORTS))))
        .find(|address| TcpListener::bind(address).is_ok())
        .context("no free port")
}
