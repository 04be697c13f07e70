//! Results on their way to the store, and what they free once they are durable.

use super::{BindSession, GROUP_MAX, StoredResult};
use crate::carrier::in_flight::Freed;
use std::sync::Arc;
use store::{Answer, AttemptOutcome, Next, RecordResults, ResultFate, StoreError};

impl BindSession {
    /// Gives the store the answers to segments whose messages are not over: segments wait for their slots.
    pub(super) fn record_partly(&mut self) {
        let now = self.now();
        for part in self.in_flight.record_partly() {
            self.freed += part.freed;
            self.results.push(StoredResult {
                closes: false,
                outcome: AttemptOutcome {
                    id: part.id,
                    attempt: part.attempt,
                    carrier: self.context.entry.no,
                    attempts: part.attempts,
                    attempted_at: part.attempted_at,
                    answered_at: now,
                    answer: Answer::Segments(part.answers),
                    next: Next::Partly,
                    tally: part.tally,
                },
            });
        }
    }

    pub(super) fn record(&mut self) {
        let mut results = std::mem::take(&mut self.results);
        let mut freed = std::mem::take(&mut self.freed);
        if results.len() > GROUP_MAX {
            self.results = results.split_off(GROUP_MAX);
            // What the second half frees is free with it, not before.
            self.freed = freed;
            freed = Freed::default();
        }
        let closed = results
            .iter()
            .filter(|result| result.closes)
            .filter_map(|result| self.in_flight.close(result.outcome.attempt))
            .collect();
        let command = RecordResults {
            outcomes: results.iter().map(|result| result.outcome.clone()).collect(),
            closed,
        };
        let store = Arc::clone(&self.context.shared.store);
        self.recording = Some(Box::pin(async move {
            let done = store.record_results(command).await;
            (results, freed, done)
        }));
    }

    pub(super) fn recorded(
        &mut self,
        results: Vec<StoredResult>,
        freed: Freed,
        done: Result<Vec<ResultFate>, StoreError>,
    ) {
        self.recording = None;
        match done {
            Ok(_) => {
                self.in_flight.release(freed);
                self.client.release(freed.slots);
                if results
                    .iter()
                    .any(|result| matches!(result.outcome.next, Next::Retry { .. }))
                {
                    self.context.shared.delayed.notify_one();
                }
            }
            Err(error) => {
                self.store_failed("results", &error);
                // Nothing of it was recorded: the same goes again, ahead of what came since. Slots stay taken.
                self.freed += freed;
                self.record_later(results);
            }
        }
    }

    /// Keeps results for the next try; their attempts are open again.
    pub(super) fn record_later(&mut self, results: Vec<StoredResult>) {
        for result in results.iter().filter(|result| result.closes) {
            self.in_flight.reopen(result.outcome.attempt);
        }
        let newer = std::mem::replace(&mut self.results, results);
        self.results.extend(newer);
    }
}
