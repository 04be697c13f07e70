//! Results on their way to the store, and what they free once they are durable.

use super::{BindSession, GROUP_MAX, StoredResult};
use crate::carrier::in_flight::Freed;
use std::sync::Arc;
use store::{AttemptOutcome, Next, RecordResults, ResultEffect, StoreError};

/// How long an answered segment may wait for those of its message that are under way before it is recorded by itself and
/// its slot is free. Nearly all messages are over sooner, and so cost one result.
const PARTLY_MS_MAX: i64 = 100;

impl BindSession {
    /// When answers to segments are to be recorded whose messages are not over, in milliseconds since the session began;
    /// `None` when there are none.
    pub(super) fn partly_at(&mut self) -> Option<i64> {
        if !self.in_flight.has_unrecorded() {
            self.partly_at = None;
        } else if !self.waiting.is_empty() {
            // Segments wait for their slots.
            return Some(self.elapsed_ms());
        } else if self.partly_at.is_none() {
            self.partly_at = Some(self.elapsed_ms() + PARTLY_MS_MAX);
        }
        self.partly_at
    }

    /// Gives the store the answers to segments whose messages are not over.
    pub(super) fn record_partly(&mut self) {
        self.partly_at = None;
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
                    answer: part.answer,
                    next: Next::Partly,
                    stats_key: part.stats_key,
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
        let closed: Vec<_> = results
            .iter()
            .filter(|result| result.closes)
            .filter_map(|result| self.in_flight.close(result.outcome.attempt))
            .collect();
        let command = RecordResults {
            outcomes: results.iter().map(|result| result.outcome.clone()).collect(),
            closed: closed.clone(),
        };
        let (store, open_attempts) = (
            Arc::clone(&self.context.shared.store),
            Arc::clone(&self.context.open_attempts),
        );
        self.recording = Some(Box::pin(async move {
            let done = store.record_results(command).await;
            if done.is_ok() {
                open_attempts.closed(&closed);
            }
            (results, freed, done)
        }));
    }

    pub(super) fn recorded(
        &mut self,
        results: Vec<StoredResult>,
        freed: Freed,
        done: Result<Vec<ResultEffect>, StoreError>,
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
