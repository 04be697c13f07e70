//! Runs commands on a store that no node serves.

use super::{Answer, NodeCommand};
use crate::config::{Config, MasterKey};
use crate::review::store_review;
use anyhow::Context;
use engine::Engine;
use engine::catalog::{EndpointEntry, Snapshot};
use engine::clock::{Clock, SystemClock};
use engine::task::TaskError;
use std::sync::Arc;
use std::time::Duration;
use store::sqlite::{Mode, SqliteConfig, SqliteStore};
use store::{
    Contacts, DeliveryRetry, DeliveryRetryFilter, EndpointId, Events, Pause, RecordDelivery, Retried, Store,
    TaskState,
};

/// Dead calls that are rescheduled per step.
const CALLS_A_STEP: usize = 100;

/// Runs a command.
pub(super) async fn perform(
    config: &Config,
    store: &Arc<SqliteStore>,
    command: &NodeCommand,
) -> anyhow::Result<Answer> {
    let now = SystemClock.now();
    match command {
        NodeCommand::Pause { endpoint, reason } => {
            let pause = Pause {
                since: now,
                until: None,
                reason: reason.clone(),
            };
            let done = RecordDelivery {
                pause: Some(Some(pause)),
                ..of(*endpoint)
            };
            record(store, done).await
        }
        NodeCommand::Resume { endpoint } => {
            let done = RecordDelivery {
                pause: Some(None),
                failing_since: Some(None),
                ..of(*endpoint)
            };
            record(store, done).await
        }
        NodeCommand::Replay { endpoint, since } => {
            let catalog = store.load_catalog().await.context("read the catalog")?;
            let Some(found) = catalog.endpoints.iter().find(|found| found.id == *endpoint) else {
                return Ok(unknown());
            };
            let acked_offset = store.offset_before(found.account, *since).await;
            let done = RecordDelivery {
                acked_offset: Some(acked_offset.context("find the time in the outbox")?),
                ..of(*endpoint)
            };
            record(store, done).await
        }
        NodeCommand::Resend {
            endpoint,
            call: Some(no),
        } => resend_one(store, *endpoint, *no).await,
        NodeCommand::Resend { endpoint, call: None } => {
            resend_all(store, *endpoint, config.webhooks.waiting_events_max).await
        }
        NodeCommand::Test { endpoint } => test(config, store, *endpoint).await,
        NodeCommand::Carriers => {
            let sealer = MasterKey::find(&config.secrets)?.sealer();
            let catalog = store.load_catalog().await.context("read the catalog")?;
            let snapshot = Snapshot::compile(catalog, &sealer).context("read the catalog")?;
            let mut carriers: Vec<_> = snapshot
                .carriers()
                .map(|entry| engine::stopped_carrier(entry, now))
                .collect();
            carriers.sort_unstable_by_key(|carrier| carrier.no);
            for backlog in store.lanes().await.context("read the queues")? {
                let of = |carrier: &&mut engine::CarrierStatus| carrier.no == backlog.lane.carrier;
                if let Some(carrier) = carriers.iter_mut().find(of) {
                    carrier.queued += backlog.messages;
                }
            }
            Ok(Answer::Carriers(carriers))
        }
        NodeCommand::Standing => Ok(Answer::Failed("no node serves this store".to_owned())),
        NodeCommand::Send(_) => Ok(Answer::Failed(
            "no node serves this store: start one with `postrider serve` or `postrider dev`".to_owned(),
        )),
        // The next start loads it.
        NodeCommand::ReloadCatalog => Ok(Answer::Done(1)),
        NodeCommand::Reconnect { .. } => Ok(Answer::Failed(
            "no node serves this store: its carriers are bound when one starts".to_owned(),
        )),
        NodeCommand::PlayInbound { .. } => Ok(Answer::Failed(
            "no node serves this store: start `postrider dev` first".to_owned(),
        )),
        NodeCommand::Cancel { account, task } => {
            if store
                .task(*account, *task)
                .await
                .context("read the task")?
                .is_none()
            {
                return Ok(Answer::Done(0));
            }
            let changed = store.change_task(*task, TaskState::Cancelled, None, Box::default(), now);
            let changed = changed.await.context("cancel the task")?;
            Ok(Answer::Done(u64::from(changed.is_some())))
        }
        NodeCommand::EndTask {
            account,
            task,
            ends_at,
        } => {
            let known = store.task(*account, *task).await.context("read the task")?;
            let Some(known) = known else {
                return Ok(Answer::Done(0));
            };
            if ends_at.is_some_and(|end| end <= known.due.max(now)) {
                return Ok(Answer::Failed(TaskError::EndsTooEarly.to_string()));
            }
            let changed = store.set_task_end(*task, *ends_at).await;
            let changed = changed.context("set the task's end")?;
            Ok(Answer::Done(u64::from(changed.is_some())))
        }
        NodeCommand::ReviewQualification {
            account,
            qualification,
            from,
            to,
            reason,
        } => {
            let done = store_review(&**store, (*account, *qualification), (*from, *to), reason, now);
            done.await.map(Answer::Done)
        }
    }
}

fn of(endpoint: EndpointId) -> RecordDelivery {
    RecordDelivery {
        endpoint: Some(endpoint),
        ..RecordDelivery::default()
    }
}

fn unknown() -> Answer {
    Answer::Failed("no such webhook".to_owned())
}

async fn record(store: &SqliteStore, done: RecordDelivery) -> anyhow::Result<Answer> {
    store.record_delivery(done).await.context("change the webhook")?;
    Ok(Answer::Done(1))
}

/// Reschedules one dead call.
async fn resend_one(store: &SqliteStore, endpoint: EndpointId, no: i64) -> anyhow::Result<Answer> {
    let mut found = dead(store, endpoint, no.saturating_sub(1), 1).await?;
    found.retain(|call| call.no == no);
    match found.pop() {
        Some(call) => record(store, resent(endpoint, vec![call])).await,
        None => Ok(Answer::Failed(format!("the webhook has no dead call {no}"))),
    }
}

/// Reschedules all dead calls, up to the limit of waiting events.
async fn resend_all(store: &SqliteStore, endpoint: EndpointId, events_max: usize) -> anyhow::Result<Answer> {
    let states = store
        .endpoint_states()
        .await
        .context("read the states of webhooks")?;
    let Some(state) = states.iter().find(|state| state.endpoint == endpoint) else {
        return Ok(unknown());
    };
    let mut room = (events_max as u64).saturating_sub(state.waiting);
    let (mut count, mut after) = (0, 0);
    while room > 0 {
        let mut calls = dead(store, endpoint, after, CALLS_A_STEP).await?;
        calls.truncate(usize::try_from(room).unwrap_or(usize::MAX));
        let Some(last) = calls.last() else { break };
        let events: usize = calls.iter().map(|call| call.events.len()).sum();
        room = room.saturating_sub(events.max(1) as u64);
        (count, after) = (count + calls.len() as u64, last.no);
        record(store, resent(endpoint, calls)).await?;
    }
    Ok(Answer::Done(count))
}

async fn dead(
    store: &SqliteStore,
    endpoint: EndpointId,
    after: i64,
    calls_max: usize,
) -> anyhow::Result<Vec<DeliveryRetry>> {
    let calls = store.delivery_retries(endpoint, DeliveryRetryFilter::Dead, after, calls_max);
    calls.await.context("read the webhook's calls")
}

/// Due at once, with all attempts.
fn resent(endpoint: EndpointId, calls: Vec<DeliveryRetry>) -> RecordDelivery {
    let due = SystemClock.now();
    let retried = calls.into_iter().map(|call| Retried {
        no: call.no,
        tries: 0,
        due,
        error: call.error,
    });
    RecordDelivery {
        retried: retried.collect(),
        ..of(endpoint)
    }
}

/// Calls an endpoint as a node would: with an engine of its own on a temporary empty store.
async fn test(config: &Config, store: &SqliteStore, endpoint: EndpointId) -> anyhow::Result<Answer> {
    let sealer = MasterKey::find(&config.secrets)?.sealer();
    let catalog = store.load_catalog().await.context("read the catalog")?;
    let snapshot = Snapshot::compile(catalog, &sealer).context("read the catalog")?;
    let Some(entry) = snapshot.endpoint(endpoint) else {
        return Ok(unknown());
    };
    let folder = Folder::make()?;
    let path = folder.0.join("empty.db");
    let opened =
        tokio::task::spawn_blocking(move || SqliteStore::open(&path, Mode::Serve, SqliteConfig::default()));
    let empty = Arc::new(opened.await?.context("create a temporary store")?);
    let engine = Engine::start(
        empty as _,
        sealer,
        Arc::new(SystemClock),
        engine::Settings::default(),
    )
    .await?;
    engine.start_webhooks(api::formats(), config.webhooks.limits())?;
    let probed = probe(&engine, entry).await;
    engine.stop(Duration::from_secs(1)).await?;
    Ok(probed)
}

async fn probe(engine: &Engine, entry: &EndpointEntry) -> Answer {
    match engine.probe_endpoint(entry).await {
        Ok(()) => Answer::Done(1),
        Err(error) => Answer::Failed(error.to_string()),
    }
}

/// A temporary directory.
struct Folder(std::path::PathBuf);

impl Folder {
    fn make() -> anyhow::Result<Self> {
        let name = format!("postrider-{}-{:016x}", std::process::id(), rand::random::<u64>());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).with_context(|| format!("create the directory {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // On failure an empty store remains in the system's temporary directory.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
