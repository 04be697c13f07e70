//! Signals: SIGTERM and SIGINT stop, a second one at once; SIGHUP reloads.

use anyhow::Context;
use std::process;
use std::time::{Duration, Instant};
use tokio::signal::unix::{self, SignalKind};

/// The exit code when a second signal ends the process: 128 and SIGINT, as shells count.
const CUT_SHORT: i32 = 130;

/// A signal this soon after the first stop signal belongs to it: `timeout` and terminals signal a process and its group, and so
/// one process twice.
const SAME_SIGNAL: Duration = Duration::from_millis(250);

/// The meaning of a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    Stop,
    Reload,
}

/// The process's signals.
pub(super) struct Signals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
    hangup: unix::Signal,
}

impl Signals {
    pub(super) fn new() -> anyhow::Result<Self> {
        let on = |kind| unix::signal(kind).context("listen for signals");
        Ok(Self {
            terminate: on(SignalKind::terminate())?,
            interrupt: on(SignalKind::interrupt())?,
            hangup: on(SignalKind::hangup())?,
        })
    }

    pub(super) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::Stop,
            _ = self.interrupt.recv() => Signal::Stop,
            _ = self.hangup.recv() => Signal::Reload,
        }
    }

    /// After a short delay, the next stop signal ends the process at once. Accepted messages are always on stable
    /// storage, so this costs only a recovery at the next start.
    pub(super) fn exit_on_next(mut self) {
        tokio::spawn(async move {
            let first = Instant::now();
            while self.next().await == Signal::Reload || first.elapsed() < SAME_SIGNAL {}
            tracing::warn!("second signal, exiting");
            process::exit(CUT_SHORT);
        });
    }
}

/// Listens from now on; the returned future resolves with the first SIGTERM or SIGINT.
pub(crate) fn shutdown_signal() -> anyhow::Result<impl Future<Output = ()>> {
    let mut signals = Signals::new()?;
    Ok(async move { while signals.next().await == Signal::Reload {} })
}
