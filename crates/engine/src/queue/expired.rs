//! What was taken off the ready queues after its time to live had ended, until the store ends it.

use super::consumed;
use parking_lot::Mutex;
use store::{ConsumedQueue, Outgoing};
use tokio::sync::Notify;

/// Runs kept at most. What is beyond that is not lost: it still waits in the store, where the sweep for expired messages
/// finds it.
const RUNS_MAX: usize = 10_000;

/// Runs of messages that expired before they could be sent.
#[derive(Debug, Default)]
pub struct ExpiredRuns {
    runs: Mutex<Vec<ConsumedQueue>>,
    arrived: Notify,
}

impl ExpiredRuns {
    pub(super) fn push(&self, messages: &[Outgoing]) {
        if messages.is_empty() {
            return;
        }
        let more = consumed(messages);
        let mut runs = self.runs.lock();
        let room = RUNS_MAX.saturating_sub(runs.len());
        runs.extend(more.into_iter().take(room));
        drop(runs);
        self.arrived.notify_one();
    }

    /// Everything there is.
    pub fn take(&self) -> Vec<ConsumedQueue> {
        std::mem::take(&mut *self.runs.lock())
    }

    /// Waits until there may be something.
    pub async fn wait(&self) {
        self.arrived.notified().await;
    }
}
