//! Periodic work: releases delayed messages, polls the catalog, deletes old data.

use crate::carrier::Carriers;
use crate::catalog::Snapshot;
use crate::engine::{Shared, StartError};
use crate::supervise::supervise;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use store::{StoreError, UnixMs};

/// Ranges released in one commit at most.
const RELEASE_RANGES_MAX: usize = 1000;
/// Credentials that are named one by one when they are switched off.
const OPEN_LINES_MAX: usize = 20;
/// The longest the release task sleeps: a safety net, as it is woken when something is put off.
const RELEASE_SLEEP_MAX: Duration = Duration::from_secs(5);

/// Starts all tasks that go by the clock. One that panics is started again.
pub(crate) fn spawn_all(shared: &Arc<Shared>, carriers: &Arc<Carriers>) {
    spawn(shared, "release of delayed messages", release_loop);
    let followed = Arc::clone(carriers);
    spawn(shared, "catalog", move |shared| {
        catalog_loop(shared, Arc::clone(&followed))
    });
    spawn(shared, "tasks", crate::task::run);
    spawn(shared, "expiry", crate::expire::run);
    spawn(shared, "sweep", sweep_loop);
    spawn(shared, "clock", crate::clock_watch::run);
}

fn spawn<F: Future<Output = ()> + Send + 'static>(
    shared: &Arc<Shared>,
    name: &'static str,
    task: impl Fn(Arc<Shared>) -> F + Send + Sync + 'static,
) {
    let shared_too = Arc::clone(shared);
    shared.tasks.spawn(async move {
        let shared = shared_too;
        let start = |_| task(Arc::clone(&shared));
        tokio::select! {
            () = shared.cancel.cancelled() => {}
            () = supervise(name, &shared.metrics, &shared.failure, start) => {}
        }
    });
}

/// Moves delayed messages (schedules, retries) into their lanes when their time comes.
async fn release_loop(shared: Arc<Shared>) {
    loop {
        let handed = Arc::clone(&shared);
        let on_release = Box::new(move |released: &store::Released| {
            for backlog in &released.lanes {
                handed
                    .queues
                    .of(backlog.lane.carrier)
                    .mark_backlogged(backlog.lane);
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
                tracing::error!(%error, "delayed release failed");
                Duration::from_millis(500)
            }
        };
        tokio::select! {
            () = shared.delayed.notified() => {}
            () = tokio::time::sleep(sleep) => {}
        }
    }
}

/// Polls the catalog's version and applies a new one.
async fn catalog_loop(shared: Arc<Shared>, carriers: Arc<Carriers>) {
    loop {
        tokio::time::sleep(shared.settings.catalog_poll).await;
        match shared.store.catalog_version().await {
            Ok(version) if version > shared.catalog.load().version() => {
                if let Err(error) = catalog_since(&shared, &carriers, version).await {
                    tracing::error!(%error, "catalog rejected");
                }
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "catalog version read failed"),
        }
    }
}

/// Applies the stored catalog.
pub(crate) async fn reload_catalog(shared: &Arc<Shared>, carriers: &Arc<Carriers>) -> Result<(), StartError> {
    let turn = shared.reloading.lock().await;
    reload(shared, carriers, &turn).await
}

/// Applies the stored catalog unless the present one is at `version` or a later one: all that wait for one version wait
/// for one reload.
pub(crate) async fn catalog_since(
    shared: &Arc<Shared>,
    carriers: &Arc<Carriers>,
    version: u64,
) -> Result<(), StartError> {
    if shared.catalog.load().version() >= version {
        return Ok(());
    }
    let turn = shared.reloading.lock().await;
    if follow_changes(shared, version, &turn).await {
        return Ok(());
    }
    reload(shared, carriers, &turn).await
}

/// How often, a millisecond apart, it is checked whether an earlier change is known, before the catalog is read as a whole.
const TURNS_MAX: usize = 500;

/// Applies the changes of this process, up to `version`; false when another process has changed something in between, or
/// when more than templates and signatures were changed.
async fn follow_changes(shared: &Shared, version: u64, _turn: &tokio::sync::MutexGuard<'_, ()>) -> bool {
    let mut turns = 0;
    loop {
        let present = shared.catalog.load();
        if present.version() >= version {
            return true;
        }
        match shared.changes.take(present.version() + 1) {
            Some(changes) => match present.with(&changes) {
                Some(next) => {
                    tracing::debug!(version = next.version(), "catalog updated");
                    shared.catalog.store(Arc::new(next));
                }
                None => return false,
            },
            // It was committed before this one, and its task has not recorded it yet.
            None if turns < TURNS_MAX && shared.changes.are_under_way() => {
                turns += 1;
                match turns {
                    1..8 => tokio::task::yield_now().await,
                    _ => tokio::time::sleep(Duration::from_millis(1)).await,
                }
            }
            None => return false,
        }
    }
}

/// One at a time (`_turn` is the proof), so that an older catalog never replaces a newer one. Dropped at any await, it
/// has changed nothing.
async fn reload(
    shared: &Arc<Shared>,
    carriers: &Arc<Carriers>,
    _turn: &tokio::sync::MutexGuard<'_, ()>,
) -> Result<(), StartError> {
    shared.whole_reads.fetch_add(1, Ordering::Relaxed);
    let catalog = shared.store.load_catalog().await?;
    let before = shared.catalog.load().version();
    if catalog.version < before {
        // Only a store that was put back to an earlier state would have that.
        tracing::warn!(version = catalog.version, before, "older catalog ignored");
        return Ok(());
    }
    // Opening secrets and parsing templates takes as long as there are many: not on a thread that serves others.
    let compiling = Arc::clone(shared);
    let snapshot = tokio::task::spawn_blocking(move || Snapshot::compile(catalog, &compiling.sealer));
    let snapshot = snapshot
        .await
        .map_err(|error| StoreError::Other(format!("compile the catalog: {error}")))??;
    tracing::info!(version = snapshot.version(), "catalog applied");
    if snapshot.open_to_all() != shared.catalog.load().open_to_all() {
        warn_of_open(shared, &snapshot);
    }
    shared.catalog.store(Arc::new(snapshot));
    carriers.follow_catalog();
    Ok(())
}

/// Logs the credentials that are disabled because their secret or key is empty.
pub(crate) fn warn_of_open(shared: &Shared, snapshot: &Snapshot) {
    let open = snapshot.open_to_all();
    shared.metrics.open_credentials.set(open.len() as i64);
    for credential in open.iter().take(OPEN_LINES_MAX) {
        let account = snapshot.account(credential.account);
        tracing::error!(
            account = account.map_or("(removed)", |account| &*account.name),
            family = &*credential.family,
            key = &*credential.key,
            "credential disabled"
        );
    }
    if open.len() > OPEN_LINES_MAX {
        tracing::error!(credentials = open.len(), "credentials disabled");
    }
}

/// Ends and deletes what is too old, a bounded piece at a time.
async fn sweep_loop(shared: Arc<Shared>) {
    let settings = shared.settings.clone();
    loop {
        tokio::time::sleep(settings.sweep_every).await;
        if shared.clock_watch.look(&shared) {
            continue;
        }
        let now = shared.clock.now();
        delete_unmatched_receipts(&shared, now).await;
        give_up_receipts(&shared, ms_before(now, settings.receipt_wait)).await;
        if let Some(retention) = settings.retention {
            delete_old_messages(&shared, ms_before(now, retention)).await;
        }
        delete_old_events(&shared, now).await;
        sweep_inbound(&shared, now).await;
        if let Some(keep) = settings.tasks_keep {
            delete_old_tasks(&shared, ms_before(now, keep)).await;
        }
        if let Some(keep) = settings.statistics_keep
            && let Err(error) = shared.store.expire_statistics(ms_before(now, keep)).await
        {
            tracing::warn!(%error, "statistics expiry failed");
        }
    }
}

/// Other work goes first: sweeping only takes what time is left.
const SWEEP_PAUSE: Duration = Duration::from_millis(20);

fn ms_before(now: UnixMs, span: Duration) -> UnixMs {
    let ms = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    now.saturating_sub(ms).max(0)
}

async fn delete_unmatched_receipts(shared: &Shared, now: UnixMs) {
    let before = ms_before(now, shared.settings.unmatched_receipts_keep);
    match shared.store.expire_unmatched(before, now).await {
        Ok(0) => {}
        Ok(count) => tracing::warn!(count, "unmatched receipts dropped"),
        Err(error) => tracing::warn!(%error, "unmatched receipts expiry failed"),
    }
}

/// Every message ends: one whose receipt has not come within its time since it was submitted ends as unknown.
async fn give_up_receipts(shared: &Shared, submitted_before: UnixMs) {
    let mut ended = 0;
    loop {
        let now = shared.clock.now();
        match shared.store.give_up_receipts(submitted_before, now).await {
            Ok((given_up, more)) => {
                ended += given_up.len();
                if !more {
                    break;
                }
                tokio::time::sleep(SWEEP_PAUSE).await;
            }
            Err(error) => {
                tracing::warn!(%error, "receipt timeout failed");
                break;
            }
        }
    }
    if ended > 0 {
        tracing::warn!(messages = ended, "receipts overdue");
    }
}

async fn delete_old_events(shared: &Shared, now: UnixMs) {
    let before = ms_before(now, shared.settings.events_keep);
    let dead_before = ms_before(now, shared.settings.dead_calls_keep);
    loop {
        match shared.store.expire_events(before, dead_before).await {
            Ok(true) => tokio::time::sleep(SWEEP_PAUSE).await,
            Ok(false) => return,
            Err(error) => return tracing::warn!(%error, "event expiry failed"),
        }
    }
}

/// Reports inbound messages without their missing parts after a time, and deletes old ones.
async fn sweep_inbound(shared: &Shared, now: UnixMs) {
    let before = ms_before(now, shared.settings.inbound_parts_wait);
    let delete_before = shared
        .settings
        .inbound_keep
        .map_or(0, |keep| ms_before(now, keep));
    loop {
        match shared.store.expire_inbound(before, delete_before, now).await {
            Ok((0, 0)) => return,
            Ok((incomplete, _)) => {
                if incomplete > 0 {
                    tracing::warn!(messages = incomplete, "inbound messages incomplete");
                }
                tokio::time::sleep(SWEEP_PAUSE).await;
            }
            Err(error) => return tracing::warn!(%error, "inbound expiry failed"),
        }
    }
}

async fn delete_old_tasks(shared: &Shared, before: UnixMs) {
    loop {
        match shared.store.expire_tasks(before).await {
            Ok(0) => return,
            Ok(_) => tokio::time::sleep(SWEEP_PAUSE).await,
            Err(error) => return tracing::warn!(%error, "task expiry failed"),
        }
    }
}

async fn delete_old_messages(shared: &Shared, before: UnixMs) {
    loop {
        match shared.store.expire_messages(before, shared.clock.now()).await {
            Ok(true) => tokio::time::sleep(SWEEP_PAUSE).await,
            Ok(false) => return,
            Err(error) => return tracing::warn!(%error, "message retention failed"),
        }
    }
}
