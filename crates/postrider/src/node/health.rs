//! Whether the node is alive, and whether it can take requests.

use crate::control::Standing;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use store::Store;
use store::sqlite::SqliteStore;
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
pub(crate) struct Health {
    phase: AtomicU8,
    /// Why it is not alive any more.
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

    /// Everything is up.
    pub(super) fn ready(&self) {
        self.phase.store(Phase::Ready as u8, Ordering::Release);
    }

    /// No more requests, please.
    pub(super) fn stopping(&self) {
        self.phase.store(Phase::Stopping as u8, Ordering::Release);
    }

    /// Part of the node will never work again: it is to be started anew.
    pub(super) fn failed(&self, why: &str) {
        // The first reason stays.
        let _ = self.failed.set(why.to_owned());
    }

    /// Whether the node works at all. It does while its disk is full, say: that is no reason to start it anew.
    ///
    /// # Errors
    /// Why not, in words.
    pub(super) async fn liveness(&self) -> Result<(), String> {
        if let Some(why) = self.failed.get() {
            return Err(why.clone());
        }
        // The store's own word, should it have failed just now.
        tokio::select! {
            biased;
            why = self.store.failed() => Err(why.to_string()),
            () = std::future::ready(()) => Ok(()),
        }
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

    /// What commands are told.
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
