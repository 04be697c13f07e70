//! After a start: what a kill left in doubt is settled by each carrier's policy, and the queues are loaded.

use crate::carrier::open_attempts::OpenAttempts;
use crate::carrier::retry_policy::{self, AnswerContext, RetryPolicy};
use crate::catalog::{CarrierSettings, InDoubt, SmppSettings};
use crate::engine::Shared;
use std::time::Duration;
use store::{
    Answer, AttemptOutcome, CarrierNo, MessageId, Next, OpenAttempt, RecordResults, StatsKey, StoreError,
};

/// Settles attempts that were begun and have no result. Runs before anything is accepted or sent.
pub(crate) async fn settle_in_doubt(shared: &Shared) -> Result<(), StoreError> {
    let open = shared.store.open_attempts().await?;
    let mut settled = 0;
    for attempt in open {
        settled += attempt.messages.len();
        settle_one(shared, &attempt).await?;
    }
    if settled > 0 {
        tracing::warn!(messages = settled, "in-doubt messages settled");
    }
    Ok(())
}

async fn settle_one(shared: &Shared, attempt: &OpenAttempt) -> Result<(), StoreError> {
    let policy = policy(shared, attempt.carrier);
    let results = settle(attempt, &policy, shared.clock.now());
    shared
        .metrics
        .in_doubt
        .get_or_create(&crate::metrics::Metrics::carrier(attempt.carrier))
        .inc_by(attempt.messages.len() as u64);
    shared.store.record_results(results).await?;
    Ok(())
}

/// Settles what a session left behind that panicked: with it, everything it knew of what it had in flight was lost. Of all
/// sessions that `open_attempts` is of when no `bind` is named. Of what other runners of the carrier have in flight, none.
pub(crate) async fn settle_lost(
    shared: &Shared,
    carrier: CarrierNo,
    open_attempts: &OpenAttempts,
    bind: Option<u16>,
) {
    loop {
        match try_settle_lost(shared, open_attempts, bind).await {
            Ok(0) => return,
            Ok(messages) => {
                tracing::warn!(%carrier, messages, "in-doubt messages settled");
                shared.delayed.notify_one();
                return;
            }
            Err(StoreError::Closed) => return,
            Err(error) => tracing::warn!(%error, "in-doubt messages not settled"),
        }
        tokio::time::sleep(STORE_REST).await;
    }
}

async fn try_settle_lost(
    shared: &Shared,
    open_attempts: &OpenAttempts,
    bind: Option<u16>,
) -> Result<usize, StoreError> {
    let left = open_attempts.left_open(bind).await;
    // Commands are done in order: what the session had given to the store is done once this is.
    shared.store.probe().await?;
    let open = shared.store.open_attempts().await?;
    let lost = open.into_iter().filter(|attempt| left.contains(&attempt.attempt));
    let mut settled = 0;
    for attempt in lost {
        settled += attempt.messages.len();
        settle_one(shared, &attempt).await?;
    }
    open_attempts.closed(&left);
    Ok(settled)
}

/// How long the store is left alone after it failed.
const STORE_REST: Duration = Duration::from_millis(500);

/// How a carrier treats what is in doubt.
struct DoubtPolicy {
    in_doubt: InDoubt,
    retry: RetryPolicy,
}

fn policy(shared: &Shared, carrier: CarrierNo) -> DoubtPolicy {
    let catalog = shared.catalog.load();
    match catalog.carrier(carrier).map(|entry| &entry.settings) {
        Some(CarrierSettings::Smpp(smpp)) => DoubtPolicy {
            in_doubt: smpp.in_doubt,
            retry: RetryPolicy::of(smpp),
        },
        // The sandbox keeps its state in memory only.
        Some(CarrierSettings::Sandbox(_) | CarrierSettings::Removed) | None => DoubtPolicy {
            in_doubt: InDoubt::Resend,
            retry: RetryPolicy::of(&SmppSettings::default()),
        },
    }
}

fn settle(attempt: &OpenAttempt, policy: &DoubtPolicy, now: store::UnixMs) -> RecordResults {
    let outcome = |(id, before): &(MessageId, u8)| {
        let attempts = before.saturating_add(1);
        AttemptOutcome {
            id: *id,
            attempt: attempt.attempt,
            carrier: attempt.carrier,
            attempts,
            attempted_at: attempt.at,
            answered_at: now,
            answer: Answer::None,
            next: match policy.in_doubt {
                InDoubt::Hold => Next::InDoubt,
                InDoubt::Resend => {
                    let context = AnswerContext {
                        attempts,
                        now,
                        carrier: attempt.carrier,
                        // Fail-over takes it on from there, should this carrier be away.
                        next_carrier: None,
                        partly_taken: false,
                        jitter: rand::random(),
                    };
                    retry_policy::after_lost_answer(&policy.retry, context)
                }
            },
            stats_key: StatsKey::default(),
        }
    };
    RecordResults {
        outcomes: attempt.messages.iter().map(outcome).collect(),
        closed: vec![attempt.attempt],
    }
}

/// Marks every lane with waiting messages as backlogged.
pub(crate) async fn load_queues(shared: &Shared) -> Result<(), StoreError> {
    for backlog in shared.store.lanes().await? {
        tracing::info!(carrier = %backlog.lane.carrier, class = %backlog.lane.class, messages = backlog.messages, "backlog loaded");
        shared
            .queues
            .of(backlog.lane.carrier)
            .mark_backlogged(backlog.lane);
    }
    Ok(())
}
