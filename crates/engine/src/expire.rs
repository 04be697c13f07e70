//! Time to live: has the store end what expired while it waited.
//!
//! What a bind, the sandbox or a fail-over finds expired when it takes messages comes here at once. A sweep over what
//! waits ends the rest visibly, also while its carrier is away. The store decides each message inside a transaction, so
//! an attempt that was begun wins.
//!
//! While the clock is not believed ([`crate::clock_watch`]) nothing ends and nothing that seems expired is sent: what was
//! taken off a queue is kept until the clock is taken for right or is right again. In the latter case its lane is read again.

use crate::engine::Shared;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::{DequeuedRange, Lane, LaneBacklog};

/// The shortest pause between two sweeps.
const SWEEP_EVERY_MIN: Duration = Duration::from_millis(500);
/// A sweep is followed by a pause this many times as long as it took: a large backlog is looked through seldom.
const SWEEP_REST_FACTOR: u32 = 20;
/// The longest pause between two sweeps.
const SWEEP_EVERY_MAX: Duration = Duration::from_secs(60);
/// Other work goes first between the steps of a sweep.
const STEP_REST: Duration = Duration::from_millis(5);
/// Messages given to the store in one command, about.
const ENDED_A_COMMAND: i64 = 2_000;

/// Runs until the engine stops.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut next_sweep = tokio::time::Instant::now() + SWEEP_EVERY_MIN;
    loop {
        tokio::select! {
            () = shared.queues.expired().wait() => end_taken(&shared).await,
            () = tokio::time::sleep_until(next_sweep) => {
                let pause = sweep(&shared).await;
                end_taken(&shared).await;
                next_sweep = tokio::time::Instant::now() + pause;
            }
        }
    }
}

/// Ends what was found expired on being taken. What the store does not take now, the sweep ends later.
async fn end_taken(shared: &Shared) {
    // Before the look, so that it was not ahead unseen.
    let now = shared.clock.now();
    if shared.clock_watch.look(shared) {
        return;
    }
    let (runs, mut read_again) = shared.queues.expired().take();
    let mut runs = runs.into_iter().peekable();
    while runs.peek().is_some() {
        let mut room = ENDED_A_COMMAND;
        let mut piece: Vec<DequeuedRange> = Vec::new();
        while room > 0
            && let Some(run) = runs.next()
        {
            room -= run.last.0 - run.first.0 + 1;
            piece.push(run);
        }
        let mut waiting: BTreeMap<Lane, u64> = BTreeMap::new();
        for run in &piece {
            *waiting.entry(run.key.lane).or_insert(0) += (run.last.0 - run.first.0 + 1).unsigned_abs();
        }
        match shared.store.expire_queued(piece, now).await {
            Ok(ended) => {
                log(&ended);
                for lane in ended {
                    if waiting.get(&lane.lane) == Some(&lane.messages) {
                        waiting.remove(&lane.lane);
                    }
                }
                // They only seemed to have expired, by a clock that was ahead.
                read_again.extend(waiting.into_keys());
            }
            Err(error) => {
                tracing::warn!(%error, "message expiry failed");
                read_again.extend(waiting.into_keys());
                read_again.extend(runs.map(|run| run.key.lane));
                // Whoever reads the lanes again finds the same messages expired: at once, while the store still cannot write.
                tokio::time::sleep(SWEEP_EVERY_MIN).await;
                break;
            }
        }
    }
    for lane in read_again {
        shared.queues.of(lane.carrier).read_again(lane);
    }
}

/// One sweep over all that waits; the pause before the next.
async fn sweep(shared: &Shared) -> Duration {
    let began = Instant::now();
    let mut from = None;
    loop {
        let now = shared.clock.now();
        if shared.clock_watch.look(shared) {
            return SWEEP_EVERY_MIN;
        }
        match shared.store.sweep_expired(from, now).await {
            Ok(swept) => {
                log(&swept.ended);
                let Some(next) = swept.next else { break };
                from = Some(next);
                tokio::time::sleep(STEP_REST).await;
            }
            Err(error) => {
                tracing::warn!(%error, "expiry sweep failed");
                break;
            }
        }
    }
    (began.elapsed() * SWEEP_REST_FACTOR).clamp(SWEEP_EVERY_MIN, SWEEP_EVERY_MAX)
}

fn log(ended: &[LaneBacklog]) {
    for lane in ended {
        tracing::warn!(
            carrier = %lane.lane.carrier,
            class = %lane.lane.class,
            account = %lane.lane.account,
            messages = lane.messages,
            "messages expired"
        );
    }
}
