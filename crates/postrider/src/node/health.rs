//! Liveness and readiness of the node.

use crate::control::Standing;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use store::Store;
use store::sqlite::SqliteStore;
use tokio::sync::Mutex;

/// How long the result of a probe is cached: a probe costs an fsync, and any client may request it.
const PROBE_GOOD_FOR: Duration = Duration::from_secs(1);
/// Without an answer of the store in this time the node is not ready.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Starting = 0,
    Ready = 1,
    Stopping = 2,
}

/// The state behind the probes.
pub(crate) struct Health {
    phase: AtomicU8,
    /// Why the node is not alive.
    failed: OnceLock<String>,
    store: Arc<SqliteStore>,
    probed: Mutex<Option<(Instant, Result<(), String>)>>,
}

impl Health {
    pub(super) fn new(store: Arc<SqliteStore>) -> Self {
        Self {
            phase: AtomicU8::new(Phase::Starting as u8),
            failed: OnceLock::new(),
            store,
            probed: Mutex::default(),
        }
    }

    /// The node is started.
    pub(super) fn ready(&self) {
        self.phase.store(Phase::Ready as u8, Ordering::Release);
    }

    /// The node is stopping and accepts no more requests.
    pub(super) fn stopping(&self) {
        self.phase.store(Phase::Stopping as u8, Ordering::Release);
    }

    /// A part of the node has failed permanently: the node must be restarted.
    pub(super) fn failed(&self, why: &str) {
        // The first reason is kept.
        let _ = self.failed.set(why.to_owned());
    }

    /// Whether the node is alive. A full disk, for example, is no reason to restart it.
    ///
    /// # Errors
    /// Why it is not.
    pub(super) async fn liveness(&self) -> Result<(), String> {
        if let Some(why) = self.failed.get() {
            return Err(why.clone());
        }
        // The store may have failed since.
        tokio::select! {
            biased;
            why = self.store.failed() => Err(why.to_string()),
            () = std::future::ready(()) => Ok(()),
        }
    }

    /// Whether the node accepts requests.
    ///
    /// # Errors
    /// Why it does not.
    pub(super) async fn readiness(&self) -> Result<(), String> {
        match self.phase.load(Ordering::Acquire) {
            phase if phase == Phase::Starting as u8 => return Err("starting".to_owned()),
            phase if phase == Phase::Stopping as u8 => return Err("stopping".to_owned()),
            _ => {}
        }
        // Held during the probe: concurrent requests share its result.
        let mut probed = self.probed.lock().await;
        if let Some((at, result)) = &*probed
            && at.elapsed() < PROBE_GOOD_FOR
        {
            return result.clone();
        }
        let result = match tokio::time::timeout(PROBE_TIMEOUT, self.store.probe()).await {
            Ok(Ok(())) => match self.store.metrics().names {
                0 | 1 => Ok(()),
                names => Err(format!(
                    "the store has {names} names (hard links), and the next start would refuse it: remove all but one"
                )),
            },
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("the store did not answer within {PROBE_TIMEOUT:?}")),
        };
        *probed = Some((Instant::now(), result.clone()));
        result
    }

    /// The readiness for commands.
    pub(crate) async fn standing(&self) -> Standing {
        let unready = match self.liveness().await {
            Ok(()) => self.readiness().await.err(),
            Err(why) => Some(why),
        };
        Standing {
            unready,
            passing: self.phase.load(Ordering::Acquire) != Phase::Ready as u8,
            lost: self.store.metrics().lost > 0,
        }
    }
}
