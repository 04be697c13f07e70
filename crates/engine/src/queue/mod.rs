//! The ready queues: a bounded window, in memory, of what waits in the store.
//!
//! Each carrier has one [`CarrierQueue`] of lanes (one a class and account). A message gets in in two ways:
//!
//! - **enqueued**: right after its commit, when its lane holds everything that waits and has room;
//! - **read**: from the store, in order, when the lane has a *backlog*.
//!
//! The first come in commit order, on the store's own thread, and a place (`QueueSeq`) is given in commit order too;
//! so `loaded_to` is exactly what a lane has seen, and nothing is taken twice or passed over (see
//! [`lane::LaneQueue`]).
//!
//! Taking is fair: classes by weight, then accounts by weight ([`fair`]).

mod carrier;
mod expired;
mod fair;
mod lane;
mod taken;
#[cfg(test)]
mod tests;
mod walk;

pub use carrier::CarrierQueue;
pub use expired::ExpiredRuns;
pub use fair::ClassWeights;
pub(crate) use taken::Taken;

use parking_lot::RwLock;
use std::collections::HashMap;
use std::sync::Arc;
use store::{AccountId, CarrierNo, DequeuedRange, Outgoing};

/// Bounds of the ready queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueLimits {
    /// Messages ready in memory for one carrier.
    pub ready_messages_max: usize,
    /// Messages ready in memory for one lane.
    pub lane_messages_max: usize,
    /// How classes share a carrier.
    pub weights: ClassWeights,
}

impl Default for QueueLimits {
    fn default() -> Self {
        Self {
            ready_messages_max: 20_000,
            lane_messages_max: 10_000,
            weights: ClassWeights::default(),
        }
    }
}

/// The ready queues of all carriers.
#[derive(Debug)]
pub struct Queues {
    limits: QueueLimits,
    carriers: RwLock<HashMap<CarrierNo, Arc<CarrierQueue>>>,
    shares: RwLock<Arc<HashMap<AccountId, u16>>>,
    expired: Arc<ExpiredRuns>,
}

impl Queues {
    /// Empty ones.
    pub fn new(limits: QueueLimits) -> Self {
        Self {
            limits,
            carriers: RwLock::default(),
            shares: RwLock::default(),
            expired: Arc::default(),
        }
    }

    /// The queue of a carrier, made when there is none yet: messages may wait for a carrier that no longer,
    /// or not yet, runs.
    pub fn of(&self, carrier: CarrierNo) -> Arc<CarrierQueue> {
        if let Some(queue) = self.carriers.read().get(&carrier) {
            return Arc::clone(queue);
        }
        let mut carriers = self.carriers.write();
        let queue = carriers.entry(carrier).or_insert_with(|| {
            Arc::new(CarrierQueue::new(
                carrier,
                self.limits,
                Arc::clone(&self.shares.read()),
                Arc::clone(&self.expired),
            ))
        });
        Arc::clone(queue)
    }

    /// What was taken after its time to live had ended, of all carriers.
    pub fn expired(&self) -> &ExpiredRuns {
        &self.expired
    }

    /// All queues there are.
    pub fn all(&self) -> Vec<Arc<CarrierQueue>> {
        self.carriers.read().values().cloned().collect()
    }

    /// Sets the accounts' shares (1..=1000; accounts not named have 1).
    pub fn set_shares(&self, shares: HashMap<AccountId, u16>) {
        let shares = Arc::new(shares);
        *self.shares.write() = Arc::clone(&shares);
        for queue in self.carriers.read().values() {
            queue.set_shares(Arc::clone(&shares));
        }
    }
}

/// The runs of consecutive ids taken from each place.
fn consumed(messages: &[Outgoing]) -> Vec<DequeuedRange> {
    let mut runs: Vec<DequeuedRange> = Vec::new();
    for message in messages {
        // Lanes are taken from in turns, so a run of the same place is seldom far back.
        let open = runs
            .iter_mut()
            .rev()
            .take(16)
            .find(|run| run.key == message.key && run.last.plus(1) == message.id);
        match open {
            Some(run) => run.last = message.id,
            None => runs.push(DequeuedRange {
                key: message.key,
                first: message.id,
                last: message.id,
            }),
        }
    }
    runs
}
