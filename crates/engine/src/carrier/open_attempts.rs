//! Stores attempts for messages taken off a queue, and tracks the open attempts of a carrier's sessions. Both outlive a
//! session that panics.

use crate::queue::Taken;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use store::{AttemptId, AttemptStart, CarrierNo, Outgoing, Store, StoreError, UnixMs};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

/// The attempts of one runner's sessions that are not known to be closed. A session that takes the place of one that
/// panicked settles those, and none of a runner that was replaced and still waits for answers.
#[derive(Debug)]
pub(crate) struct OpenAttempts {
    /// With the index of their session.
    open: Mutex<HashMap<AttemptId, u16>>,
    /// Attempts that were with the store when their sessions were dropped.
    left: Mutex<Vec<JoinHandle<()>>>,
    tasks: TaskTracker,
}

impl OpenAttempts {
    pub(crate) fn new(tasks: TaskTracker) -> Self {
        Self {
            open: Mutex::default(),
            left: Mutex::default(),
            tasks,
        }
    }

    /// Notes that these attempts have all their results.
    pub(crate) fn closed(&self, attempts: &[AttemptId]) {
        if attempts.is_empty() {
            return;
        }
        let mut open = self.open.lock();
        for attempt in attempts {
            open.remove(attempt);
        }
    }

    /// The attempts that sessions which are no more left open: of the one with this index, or of all of them when none
    /// is named. What was with the store when they ended is waited for.
    pub(crate) async fn left_open(&self, index: Option<u16>) -> Vec<AttemptId> {
        let left = std::mem::take(&mut *self.left.lock());
        for beginning in left {
            // An error is a panic: nothing was begun.
            let _ = beginning.await;
        }
        let open = self.open.lock();
        open.iter()
            .filter(|(_, of)| index.is_none_or(|index| index == **of))
            .map(|(&attempt, _)| attempt)
            .collect()
    }
}

/// An attempt and what is in it, or nothing when all of it was gone.
pub(crate) type BeginResult = Result<Option<(AttemptId, Vec<Outgoing>)>, StoreError>;

/// An attempt on its way to the store. Its messages are in a stored attempt or back in their queue, however this ends: when
/// it is dropped after its first poll, it runs on as a task until the store has answered.
pub(crate) struct Beginning {
    pending: Option<Pin<Box<dyn Future<Output = BeginResult> + Send>>>,
    polled: bool,
    open_attempts: Arc<OpenAttempts>,
}

impl Beginning {
    /// An attempt of the session `index` of `carrier` to give it what was taken.
    pub(crate) fn new(
        store: &Arc<dyn Store>,
        open_attempts: &Arc<OpenAttempts>,
        (carrier, index): (CarrierNo, u16),
        taken: Taken,
        now: UnixMs,
    ) -> Self {
        let start = AttemptStart {
            carrier,
            bind: index,
            now,
            messages: taken.ids(),
            consumed: taken.consumed(),
        };
        let (store, noted) = (Arc::clone(store), Arc::clone(open_attempts));
        let pending = Box::pin(async move {
            let attempts = store.begin_attempts(vec![start]).await?;
            let Some(attempt) = attempts.into_iter().next() else {
                return Ok(None);
            };
            let mut messages = taken.into_messages();
            attempt.retain(&mut messages);
            if messages.is_empty() {
                return Ok(None);
            }
            noted.open.lock().insert(attempt.id, index);
            Ok(Some((attempt.id, messages)))
        });
        Self {
            pending: Some(pending),
            polled: false,
            open_attempts: Arc::clone(open_attempts),
        }
    }
}

impl Future for Beginning {
    type Output = BeginResult;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<BeginResult> {
        self.polled = true;
        let Some(pending) = &mut self.pending else {
            return Poll::Pending; // it has given its result
        };
        let result = ready!(pending.as_mut().poll(context));
        self.pending = None;
        Poll::Ready(result)
    }
}

impl Drop for Beginning {
    fn drop(&mut self) {
        let Some(pending) = self.pending.take().filter(|_| self.polled) else {
            return;
        };
        // Without a runtime nobody sends any more either.
        if let Ok(runtime) = Handle::try_current() {
            let on_its_own = async move {
                if let Err(error) = pending.await {
                    tracing::warn!(%error, "delivery attempt not stored");
                }
            };
            let left = self.open_attempts.tasks.spawn_on(on_its_own, &runtime);
            self.open_attempts.left.lock().push(left);
        }
    }
}
