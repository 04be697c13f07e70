//! Disturbances under load: the catalog changes every few seconds, and two carriers throttle in turn.

use std::time::{Duration, Instant};

use anyhow::Context;
use sim::seed::{Question, Seed};
use sim::smsc::{Order, SmscHandle};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::carriers::THROTTLED;
use crate::node::Operator;

/// Pause between two changes, in milliseconds.
const PAUSE_MS: (u64, u64) = (1_000, 3_000);

/// Seconds of load that may pass for each change on average: a pause, and an `apply` on a busy machine.
const SECONDS_A_CHANGE_MAX: u64 = 6;

/// What was changed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes {
    /// Editions of the catalog that were applied.
    pub(crate) catalog: u64,
    /// Why some were not.
    pub(crate) failed: Vec<String>,
    /// How often each carrier was throttled.
    pub(crate) throttled: [u64; THROTTLED],
    /// How long it went on.
    pub(crate) lasted: Duration,
}

impl Changes {
    /// How many changes there must be at least to call it every few seconds.
    pub(crate) fn catalog_min(&self) -> u64 {
        (self.lasted.as_secs() / SECONDS_A_CHANGE_MAX).max(1)
    }
}

/// Changes under way.
pub(crate) struct Disturbances {
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<Changes>>,
}

impl Disturbances {
    /// Starts. `carriers` are throttled in turn to `per_s` messages a second and bind.
    pub(super) fn begin(operator: Operator, carriers: Vec<SmscHandle>, seed: Seed, per_s: u32) -> Self {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            let began = Instant::now();
            let mut changes = Changes::default();
            let done = go_on(operator, &carriers, seed, per_s, &stopped, &mut changes).await;
            for carrier in &carriers {
                throttle(carrier, 0)?;
            }
            changes.lasted = began.elapsed();
            done.map(|()| changes)
        });
        Self { stop, task }
    }

    /// Stops; what was changed.
    pub(super) async fn end(self) -> anyhow::Result<Changes> {
        self.stop.cancel();
        self.task.await?
    }
}

async fn go_on(
    mut operator: Operator,
    carriers: &[SmscHandle],
    seed: Seed,
    per_s: u32,
    stop: &CancellationToken,
    changes: &mut Changes,
) -> anyhow::Result<()> {
    for edition in 1_u64.. {
        let turn = usize::try_from(edition)? % THROTTLED;
        for (at, carrier) in carriers.iter().enumerate().take(THROTTLED) {
            throttle(carrier, if at == turn { per_s } else { 0 })?;
        }
        if let Some(times) = changes.throttled.get_mut(turn) {
            *times += 1;
        }
        let applied = tokio::task::spawn_blocking(move || {
            let applied = operator.change_catalog(edition);
            (operator, applied)
        });
        let (back, applied) = applied.await.context("applying a catalog")?;
        operator = back;
        match applied {
            Ok(()) => changes.catalog += 1,
            Err(error) => changes.failed.push(error.to_string()),
        }
        let pause = seed
            .roll(Question::Driver, edition, 100)
            .within(PAUSE_MS.0, PAUSE_MS.1);
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(Duration::from_millis(pause)) => {}
        }
    }
    Ok(())
}

/// Lets a carrier take so many messages a second and bind; 0: any number.
fn throttle(carrier: &SmscHandle, per_s: u32) -> anyhow::Result<()> {
    let mut behaviour = carrier.behaviour();
    behaviour.limits.rate_per_s_max = per_s;
    carrier.control(Order::Behave(Box::new(behaviour)))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_few_seconds_is_a_number() {
        let lasted = |seconds| Changes {
            lasted: Duration::from_secs(seconds),
            ..Changes::default()
        };
        assert_eq!(
            [0, 5, 12, 60].map(|seconds| lasted(seconds).catalog_min()),
            [1, 1, 2, 10]
        );
    }
}
