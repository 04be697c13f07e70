//! Loops that must not stop: one that panics is started again, and when that goes on the process ends.
//!
//! A node that answers `/livez` and does nothing is worse than one that is not there: nobody takes its place.

use crate::metrics::{LoopLabel, Metrics};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;
use store::Failure;
use tokio::time::Instant;

/// Panics within a span that end the process.
const PANICS_MAX: usize = 3;

/// When what panicked is started again.
#[derive(Debug, Clone, Copy)]
struct Policy {
    /// How far back panics are counted.
    span: Duration,
    /// Before the first start after a panic; doubled for each further one within the span.
    pause: Duration,
}

const POLICY: Policy = Policy {
    span: Duration::from_secs(60),
    pause: Duration::from_millis(250),
};

/// Has the restarts of a loop counted from none before it runs.
pub(crate) fn cover(name: &'static str, metrics: &Metrics) {
    drop(metrics.restarts.get_or_create(&LoopLabel { name }));
}

/// Runs what `start` makes, again after each panic; `start` gets their number. Returns when it ends by itself.
/// After the third panic within a minute it waits for ever with `failure` set: whoever runs the node ends it.
///
/// Cancel safe if what `start` makes is.
pub(crate) async fn supervise<F: Future<Output = ()>>(
    name: &'static str,
    metrics: &Metrics,
    failure: &Failure,
    start: impl FnMut(usize) -> F,
) {
    supervise_by(POLICY, name, metrics, failure, start).await;
}

async fn supervise_by<F: Future<Output = ()>>(
    policy: Policy,
    name: &'static str,
    metrics: &Metrics,
    failure: &Failure,
    mut start: impl FnMut(usize) -> F,
) {
    // There from the start, so that the first panic is an increase.
    let restarts = metrics.restarts.get_or_create(&LoopLabel { name }).clone();
    let mut recent: VecDeque<Instant> = VecDeque::new();
    for panics in 0.. {
        if ends_without_panic(start(panics)).await {
            return;
        }
        let now = Instant::now();
        recent.retain(|at| now.duration_since(*at) < policy.span);
        recent.push_back(now);
        restarts.inc();
        if recent.len() >= PANICS_MAX {
            tracing::error!(name, panics = recent.len(), "loop failed");
            failure.set(&format!(
                "{name}: panicked {PANICS_MAX} times within {:?}",
                policy.span
            ));
            return std::future::pending().await;
        }
        let exponent = u32::try_from(recent.len()).unwrap_or(1).saturating_sub(1);
        let pause = policy.pause.saturating_mul(1 << exponent.min(8));
        tracing::error!(name, retry_in_s = pause.as_secs_f64(), "loop panicked");
        tokio::time::sleep(pause).await;
    }
}

/// Runs a future to its end; false when it panicked. What the panic said is on standard error, where the runtime's own
/// hook puts it; it may hold what must not be in the log.
async fn ends_without_panic(future: impl Future<Output = ()>) -> bool {
    let mut future = pin!(future);
    poll_fn(|context| {
        // Its work in progress is dropped with it, and starts again.
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(())) => Poll::Ready(true),
            Err(_) => Poll::Ready(false),
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, reason = "what is tested is what becomes of a panic")]

    use super::*;
    use std::cell::Cell;

    const QUICK: Policy = Policy {
        span: Duration::from_secs(60),
        pause: Duration::from_millis(10),
    };

    fn restarts(metrics: &Metrics) -> u64 {
        metrics.restarts.get_or_create(&LoopLabel { name: "test" }).get()
    }

    #[tokio::test]
    async fn a_loop_that_panics_is_started_again_after_a_pause() {
        let (metrics, failure) = (Metrics::default(), Failure::default());
        let (starts, began) = (Cell::new(0), Instant::now());
        supervise_by(QUICK, "test", &metrics, &failure, |panics| {
            starts.set(starts.get() + 1);
            async move {
                tokio::time::sleep(Duration::from_millis(1)).await;
                assert_eq!(panics, 2, "a fault, twice");
            }
        })
        .await;
        assert_eq!((starts.get(), restarts(&metrics)), (3, 2));
        assert!(began.elapsed() >= QUICK.pause * 3, "growing pauses");
        assert_eq!(failure.get(), None);
    }

    #[tokio::test]
    async fn the_third_panic_within_a_minute_is_a_failure_for_good() {
        let (metrics, failure) = (Metrics::default(), Failure::default());
        let supervised = supervise_by(QUICK, "test", &metrics, &failure, |_| async { panic!("a fault") });
        let reason = tokio::select! {
            () = supervised => panic!("it never ends"),
            reason = failure.wait() => reason,
        };
        assert!(reason.starts_with("test: "), "{reason}");
        assert_eq!(restarts(&metrics), 3);
    }

    #[tokio::test]
    async fn a_panic_now_and_then_is_none() {
        let (metrics, failure) = (Metrics::default(), Failure::default());
        let policy = Policy {
            span: Duration::from_millis(40),
            pause: Duration::from_millis(1),
        };
        supervise_by(policy, "test", &metrics, &failure, |panics| async move {
            tokio::time::sleep(policy.span / 2 + Duration::from_millis(2)).await;
            assert!(panics >= 20, "a fault now and then");
        })
        .await;
        assert_eq!((restarts(&metrics), failure.get()), (20, None));
    }
}
