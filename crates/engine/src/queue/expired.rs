//! What was taken off the ready queues after its time to live had ended, until the store ends it.

use super::consumed;
use parking_lot::Mutex;
use std::collections::BTreeSet;
use store::{DequeuedRange, Lane, Outgoing};
use tokio::sync::Notify;

/// Runs kept at most. What is beyond that is not lost: it still waits in the store, where the sweep for expired messages
/// finds it.
const RUNS_MAX: usize = 10_000;

#[derive(Debug, Default)]
struct Kept {
    runs: Vec<DequeuedRange>,
    /// Of what was beyond the bound.
    lanes: BTreeSet<Lane>,
}

/// Runs of messages that expired before they could be sent.
#[derive(Debug, Default)]
pub struct ExpiredRuns {
    kept: Mutex<Kept>,
    arrived: Notify,
}

impl ExpiredRuns {
    pub(super) fn push(&self, messages: &[Outgoing]) {
        if messages.is_empty() {
            return;
        }
        let more = consumed(messages);
        let mut kept = self.kept.lock();
        for run in more {
            if kept.runs.len() < RUNS_MAX {
                kept.runs.push(run);
            } else {
                kept.lanes.insert(run.key.lane);
            }
        }
        drop(kept);
        self.arrived.notify_one();
    }

    /// Everything there is, and the lanes of what was beyond the bound.
    pub fn take(&self) -> (Vec<DequeuedRange>, BTreeSet<Lane>) {
        let kept = std::mem::take(&mut *self.kept.lock());
        (kept.runs, kept.lanes)
    }

    /// Waits until there may be something.
    pub async fn wait(&self) {
        self.arrived.notified().await;
    }
}
