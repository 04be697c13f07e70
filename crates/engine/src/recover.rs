//! After a start: what a kill left in doubt is settled by each carrier's policy, and the queues are loaded.

use crate::catalog::{CarrierSettings, InDoubt};
use crate::engine::Shared;
use store::{Answer, AttemptOutcome, CarrierNo, Next, OpenAttempt, RecordResults, StoreError, Tally};

/// Settles attempts that were begun and have no result. Runs before anything is accepted or sent.
pub(crate) async fn settle_in_doubt(shared: &Shared) -> Result<(), StoreError> {
    let open = shared.store.open_attempts().await?;
    let mut settled = 0;
    for attempt in open {
        settled += attempt.messages.len();
        let policy = policy(shared, attempt.carrier);
        let results = settle(&attempt, policy, shared.clock.now());
        shared
            .metrics
            .in_doubt
            .get_or_create(&crate::metrics::Metrics::carrier(attempt.carrier))
            .inc_by(attempt.messages.len() as u64);
        shared.store.record_results(results).await?;
    }
    if settled > 0 {
        tracing::warn!(
            messages = settled,
            "answers to messages in flight were lost with the last run: settled by policy"
        );
    }
    Ok(())
}

fn policy(shared: &Shared, carrier: CarrierNo) -> InDoubt {
    match shared
        .catalog
        .load()
        .carrier(carrier)
        .map(|entry| entry.settings.clone())
    {
        Some(CarrierSettings::Smpp(smpp)) => smpp.in_doubt,
        // The sandbox forgets everything with its process.
        Some(CarrierSettings::Sandbox(_) | CarrierSettings::Removed) | None => InDoubt::Resend,
    }
}

fn settle(attempt: &OpenAttempt, policy: InDoubt, now: store::UnixMs) -> RecordResults {
    let next = match policy {
        InDoubt::Resend => Next::Retry {
            due: now,
            carrier: attempt.carrier,
        },
        InDoubt::Hold => Next::InDoubt,
    };
    let outcomes = attempt.messages.iter().map(|(id, attempts)| AttemptOutcome {
        id: *id,
        attempt: attempt.attempt,
        carrier: attempt.carrier,
        attempts: attempts.saturating_add(1),
        attempted_at: attempt.at,
        answered_at: now,
        answer: Answer::None,
        next,
        tally: Tally::default(),
    });
    RecordResults {
        outcomes: outcomes.collect(),
        closed: vec![attempt.attempt],
    }
}

/// Tells every queue what waits for it in the store.
pub(crate) async fn load_queues(shared: &Shared) -> Result<(), StoreError> {
    for backlog in shared.store.lanes().await? {
        tracing::info!(carrier = %backlog.lane.carrier, class = %backlog.lane.class, messages = backlog.messages, "messages wait from before");
        shared.queues.of(backlog.lane.carrier).fall_behind(backlog.lane);
    }
    Ok(())
}
