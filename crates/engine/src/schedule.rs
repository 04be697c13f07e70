//! What happens by the clock: delayed messages are released, the catalog is looked at, old things are forgotten.

use crate::carrier::Carriers;
use crate::catalog::Snapshot;
use crate::engine::{Shared, StartError};
use std::sync::Arc;
use std::time::Duration;
use store::MessageId;

/// Ranges released in one commit at most.
const RELEASE_RANGES_MAX: usize = 1000;
/// The longest the release task sleeps: a safety net, as it is woken when something is put off.
const RELEASE_SLEEP_MAX: Duration = Duration::from_secs(5);
/// How often old things are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// Starts all tasks that go by the clock.
pub(crate) fn spawn_all(shared: &Arc<Shared>, carriers: &Arc<Carriers>) {
    spawn(shared, release_loop(Arc::clone(shared)));
    spawn(shared, catalog_loop(Arc::clone(shared), Arc::clone(carriers)));
    spawn(shared, sweep_loop(Arc::clone(shared)));
}

fn spawn(shared: &Arc<Shared>, task: impl Future<Output = ()> + Send + 'static) {
    let cancel = shared.cancel.clone();
    shared.tasks.spawn(async move {
        tokio::select! {
            () = cancel.cancelled() => {}
            () = task => {}
        }
    });
}

/// Moves delayed messages (schedules, retries) into their lanes when their time comes.
async fn release_loop(shared: Arc<Shared>) {
    loop {
        let handed = Arc::clone(&shared);
        let on_release = Box::new(move |released: &store::Released| {
            for backlog in &released.lanes {
                handed.queues.of(backlog.lane.carrier).fall_behind(backlog.lane);
            }
        });
        let sleep = match shared
            .store
            .release_due(shared.clock.now(), RELEASE_RANGES_MAX, on_release)
            .await
        {
            Ok(released) if released.more => continue,
            Ok(released) => released.next_due.map_or(RELEASE_SLEEP_MAX, |due| {
                let wait = u64::try_from(due - shared.clock.now()).unwrap_or(0).max(1);
                Duration::from_millis(wait).min(RELEASE_SLEEP_MAX)
            }),
            Err(error) => {
                tracing::error!(%error, "delayed messages could not be released");
                Duration::from_millis(500)
            }
        };
        tokio::select! {
            () = shared.delayed.notified() => {}
            () = tokio::time::sleep(sleep) => {}
        }
    }
}

/// Looks at the catalog's version and takes over a new one.
async fn catalog_loop(shared: Arc<Shared>, carriers: Arc<Carriers>) {
    loop {
        tokio::time::sleep(shared.settings.catalog_poll).await;
        match shared.store.catalog_version().await {
            Ok(version) if version != shared.catalog.load().version() => {
                if let Err(error) = reload_catalog(&shared, &carriers).await {
                    tracing::error!(%error, "the new catalog cannot be used; the old one stands");
                }
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "the catalog's version could not be read"),
        }
    }
}

/// Takes over the stored catalog.
pub(crate) async fn reload_catalog(shared: &Arc<Shared>, carriers: &Arc<Carriers>) -> Result<(), StartError> {
    let snapshot = Snapshot::compile(shared.store.load_catalog().await?, &shared.vault)?;
    tracing::info!(version = snapshot.version(), "catalog taken over");
    shared.catalog.store(Arc::new(snapshot));
    carriers.follow_catalog();
    Ok(())
}

/// Forgets what is too old, a bounded piece at a time.
async fn sweep_loop(shared: Arc<Shared>) {
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        let now = shared.clock.now();
        let parked_keep_ms = i64::try_from(shared.settings.parked_keep.as_millis()).unwrap_or(i64::MAX);
        match shared
            .store
            .expire_parked(now.saturating_sub(parked_keep_ms))
            .await
        {
            Ok(0) => {}
            Ok(count) => tracing::warn!(count, "receipts nobody waited for were forgotten"),
            Err(error) => tracing::warn!(%error, "old receipts could not be forgotten"),
        }
        let Some(retention) = shared.settings.retention else {
            continue;
        };
        let keep_ms = i64::try_from(retention.as_millis()).unwrap_or(i64::MAX);
        let before = MessageId::first_at(now.saturating_sub(keep_ms).max(0));
        loop {
            match shared.store.expire_messages(before).await {
                // Other work goes first: this only eats what time is left.
                Ok(true) => tokio::time::sleep(Duration::from_millis(20)).await,
                Ok(false) => break,
                Err(error) => {
                    tracing::warn!(%error, "old messages could not be forgotten");
                    break;
                }
            }
        }
    }
}
