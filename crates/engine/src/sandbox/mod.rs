//! The built-in carrier: delivers into an inbox of this process, so that what is sent can be read.
//!
//! Numbers `+1000000000N` provoke outcomes, as the vendor's own sandbox has them (docs/dialects/engagelab.md);
//! see [`magic`]. The receipt comes after a visible delay. Until then the message is in flight: a kill in between
//! makes it in doubt, and it is delivered again, into the new process's empty inbox.

mod inbox;
mod magic;
mod play;

pub use inbox::{Entry, EntryFilter, EntryState, Inbox};
pub use magic::Outcome;
pub use play::{PlayError, Played};

use crate::carrier::encode::Texts;
use crate::carrier::open_attempts::{Beginning, OpenAttempts};
use crate::catalog::SandboxSettings;
use crate::engine::Shared;
use crate::queue::{CarrierQueue, Taken};
use sms::receipt::CarrierId;
use sms::state::MessageState;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use store::{
    Answer, AttemptId, AttemptOutcome, CarrierNo, CarrierReceipt, Next, Outgoing, RecordResults,
    SegmentAnswer, StoreError, UnixMs,
};
use tokio_util::sync::CancellationToken;

/// Messages in flight at most.
const WINDOW_MAX: usize = 20_000;
/// Messages taken at once.
const TAKE_MAX: usize = 1_000;
/// Pause after the store failed.
const STORE_REST: Duration = Duration::from_millis(500);

/// A message that waits for its receipt.
struct PendingReceipt {
    message: Outgoing,
    attempt: AttemptId,
    attempted_at: UnixMs,
    outcome: Outcome,
}

/// The built-in carrier at work.
struct Sandbox {
    shared: Arc<Shared>,
    carrier: CarrierNo,
    settings: SandboxSettings,
    work: Work,
    /// By the time their answer and receipt are due.
    pending: BTreeMap<UnixMs, Vec<PendingReceipt>>,
    count: usize,
    open: std::collections::HashMap<AttemptId, u32>,
}

/// Where its messages come from, and what is known of those it has begun.
pub(crate) struct Work {
    pub(crate) queue: Arc<CarrierQueue>,
    pub(crate) open_attempts: Arc<OpenAttempts>,
}

/// Runs until stopped; what is in flight then gets its receipt at once.
pub(crate) async fn run(
    shared: Arc<Shared>,
    carrier: CarrierNo,
    settings: SandboxSettings,
    work: Work,
    stop: CancellationToken,
) {
    let mut sandbox = Sandbox {
        shared,
        carrier,
        settings,
        work,
        pending: BTreeMap::new(),
        count: 0,
        open: std::collections::HashMap::new(),
    };
    while !stop.is_cancelled() {
        let now = sandbox.shared.clock.steady();
        let due = sandbox
            .pending
            .keys()
            .next()
            .map(|due| u64::try_from(due - now).unwrap_or(0));
        let wait = due.map_or(Duration::from_secs(3600), Duration::from_millis);
        let room = WINDOW_MAX.saturating_sub(sandbox.count);
        let queue = Arc::clone(&sandbox.work.queue);
        let done = tokio::select! {
            // In this order: what comes after a change goes by it, to what takes the place of this.
            biased;
            () = stop.cancelled() => Ok(()),
            () = tokio::time::sleep(wait) => sandbox.settle_due(now.saturating_add(i64::try_from(wait.as_millis()).unwrap_or(0))).await,
            () = queue.wait_ready(), if room > 0 => sandbox.take(room.min(TAKE_MAX)).await,
        };
        if let Err(error) = done {
            tracing::error!(%error, "sandbox store write failed");
            tokio::time::sleep(STORE_REST).await;
        }
    }
    if let Err(error) = sandbox.settle_due(UnixMs::MAX).await {
        tracing::error!(%error, "sandbox receipts lost");
    }
}

impl Sandbox {
    async fn take(&mut self, max: usize) -> Result<(), StoreError> {
        // Receipts are due by a clock that does not go back.
        let (now, from) = (self.shared.clock.now(), self.shared.clock.steady());
        let Work { queue, open_attempts } = &self.work;
        let taken = Taken::of(queue, queue.take(max, now));
        if taken.is_empty() {
            return Ok(());
        }
        let session = (self.carrier, 0);
        let beginning = Beginning::new(&self.shared.store, open_attempts, session, taken, now);
        let Some((attempt, messages)) = beginning.await? else {
            return Ok(());
        };
        self.open.insert(attempt, messages.len() as u32);
        for message in messages {
            let outcome = Outcome::of(message.msisdn);
            self.shared
                .inbox
                .push(entry(&message, outcome.entry_state(), now));
            let delay = outcome.delay_ms(self.settings.receipt_delay_ms);
            self.count += 1;
            let pending = PendingReceipt {
                message,
                attempt,
                attempted_at: now,
                outcome,
            };
            self.pending.entry(from + delay).or_default().push(pending);
        }
        Ok(())
    }

    /// Records answers and receipts that are due.
    async fn settle_due(&mut self, now: UnixMs) -> Result<(), StoreError> {
        let later = self.pending.split_off(&now.saturating_add(1));
        let due: Vec<PendingReceipt> = std::mem::replace(&mut self.pending, later)
            .into_values()
            .flatten()
            .collect();
        if due.is_empty() {
            return Ok(());
        }
        let at = self.shared.clock.now();
        // Receipts first: they are stored as unmatched, and applied in the transaction that records the answers. A kill
        // in between leaves the message in doubt, never half done.
        let receipts: Vec<CarrierReceipt> = due
            .iter()
            .filter_map(|pending| self.receipt(pending, at))
            .collect();
        let outcomes: Vec<AttemptOutcome> = due.iter().map(|pending| self.outcome(pending, at)).collect();
        let mut closed = Vec::new();
        for pending in &due {
            if let Some(open) = self.open.get_mut(&pending.attempt) {
                *open -= 1;
                if *open == 0 {
                    closed.push(pending.attempt);
                }
            }
        }
        let recorded = async {
            if !receipts.is_empty() {
                self.shared.store.record_receipts(receipts).await?;
            }
            self.shared
                .store
                .record_results(RecordResults {
                    outcomes,
                    closed: closed.clone(),
                })
                .await
        };
        match recorded.await {
            Ok(_) => {
                self.count -= due.len();
                self.work.open_attempts.closed(&closed);
                for attempt in closed {
                    self.open.remove(&attempt);
                }
                Ok(())
            }
            Err(error) => {
                for pending in &due {
                    if let Some(open) = self.open.get_mut(&pending.attempt) {
                        *open += 1;
                    }
                }
                self.pending
                    .entry(self.shared.clock.steady())
                    .or_default()
                    .extend(due);
                Err(error)
            }
        }
    }

    fn receipt(&self, pending: &PendingReceipt, at: UnixMs) -> Option<CarrierReceipt> {
        let (state, error) = pending.outcome.receipt()?;
        let carrier_id = carrier_id(pending);
        Some(CarrierReceipt::new(
            self.carrier,
            carrier_id,
            state,
            Box::from(error),
            at,
        ))
    }

    fn outcome(&self, pending: &PendingReceipt, at: UnixMs) -> AttemptOutcome {
        let refused = pending.outcome.refused_with();
        AttemptOutcome {
            id: pending.message.id,
            attempt: pending.attempt,
            carrier: self.carrier,
            attempts: pending.message.attempts.saturating_add(1),
            attempted_at: pending.attempted_at,
            answered_at: at,
            answer: Answer::Single(SegmentAnswer {
                status: refused.unwrap_or(0),
                carrier_id: refused.is_none().then(|| carrier_id(pending)),
            }),
            next: if refused.is_some() {
                Next::Final(MessageState::Rejected)
            } else {
                Next::Submitted
            },
            stats_key: pending.message.stats_key(),
        }
    }
}

fn carrier_id(pending: &PendingReceipt) -> CarrierId {
    CarrierId::new(&format!("{:x}", pending.message.id.0))
}

fn entry(message: &Outgoing, state: EntryState, now: UnixMs) -> Entry {
    let text = Texts::default().of(message).into_owned();
    Entry {
        no: 0,
        message: Some(message.id),
        msisdn: Some(message.msisdn),
        to: format!("+{}", message.msisdn),
        from: message.batch.sender.as_deref().unwrap_or_default().to_owned(),
        segments: sms::segment::count(&text, sms::segment::Reference::default()).unwrap_or(255),
        text,
        class: Some(message.batch.class),
        kind: message.batch.kind,
        time: now,
        state,
    }
}
