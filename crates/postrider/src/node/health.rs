//! Whether the node is alive, and whether it can take requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};
use store::Store;
use tokio::sync::Mutex;

/// How long a probe's result is good for: a probe is an fsync, and anybody may ask.
const PROBE_GOOD_FOR: Duration = Duration::from_secs(1);
/// A store that does not answer in this time is not one to send requests to.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Starting = 0,
    Ready = 1,
    Stopping = 2,
}

/// What the probes ask.
pub(super) struct Health {
    phase: AtomicU8,
    store: Arc<dyn Store>,
    probed: Mutex<Option<(Instant, Result<(), String>)>>,
}

impl Health {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            phase: AtomicU8::new(Phase::Starting as u8),
            store,
            probed: Mutex::default(),
        }
    }

    /// Everything is up.
    pub(super) fn ready(&self) {
        self.phase.store(Phase::Ready as u8, Ordering::Release);
    }

    /// No more requests, please.
    pub(super) fn stopping(&self) {
        self.phase.store(Phase::Stopping as u8, Ordering::Release);
    }

    /// Whether requests can be taken.
    ///
    /// # Errors
    /// Why not, in words.
    pub(super) async fn readiness(&self) -> Result<(), String> {
        match self.phase.load(Ordering::Acquire) {
            phase if phase == Phase::Starting as u8 => return Err("starting".to_owned()),
            phase if phase == Phase::Stopping as u8 => return Err("stopping".to_owned()),
            _ => {}
        }
        // Held over the probe: those who ask meanwhile share its result.
        let mut probed = self.probed.lock().await;
        if let Some((at, result)) = &*probed
            && at.elapsed() < PROBE_GOOD_FOR
        {
            return result.clone();
        }
        let result = match tokio::time::timeout(PROBE_TIMEOUT, self.store.probe()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("the store did not answer within {PROBE_TIMEOUT:?}")),
        };
        *probed = Some((Instant::now(), result.clone()));
        result
    }
}
