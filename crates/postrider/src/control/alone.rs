//! Orders done on a store that no node serves.

use super::{Answer, Order};
use crate::config::{Config, MasterKey};
use crate::review::settle;
use anyhow::Context;
use engine::Engine;
use engine::catalog::{EndpointEntry, Snapshot};
use engine::clock::{Clock, SystemClock};
use engine::task::TaskError;
use std::sync::Arc;
use std::time::Duration;
use store::sqlite::{Mode, SqliteConfig, SqliteStore};
use store::{
    Contacts, EndpointId, Events, Pause, RecordDelivery, Redelivery, RedeliveryFilter, Retried, Store,
    TaskState,
};

/// Calls made due by one command.
const CALLS_A_STEP: usize = 100;

/// Does it.
pub(super) async fn perform(
    config: &Config,
    store: &Arc<SqliteStore>,
    order: &Order,
) -> anyhow::Result<Answer> {
    let now = SystemClock.now();
    match order {
        Order::Pause { endpoint, reason } => {
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
        Order::Resume { endpoint } => {
            let done = RecordDelivery {
                pause: Some(None),
                failing_since: Some(None),
                ..of(*endpoint)
            };
            record(store, done).await
        }
        Order::Replay { endpoint, since } => {
            let catalog = store.load_catalog().await.context("read the catalog")?;
            let Some(found) = catalog.endpoints.iter().find(|found| found.id == *endpoint) else {
                return Ok(unknown());
            };
            let told = store.place_before(found.account, *since).await;
            let done = RecordDelivery {
                told: Some(told.context("look for the time in the events")?),
                ..of(*endpoint)
            };
            record(store, done).await
        }
        Order::Resend {
            endpoint,
            call: Some(no),
        } => resend_one(store, *endpoint, *no).await,
        Order::Resend { endpoint, call: None } => {
            resend_all(store, *endpoint, config.webhooks.waiting_events_max).await
        }
        Order::Test { endpoint } => test(config, store, *endpoint).await,
        Order::Carriers => {
            let vault = MasterKey::find(&config.secrets)?.vault();
            let catalog = store.load_catalog().await.context("read the catalog")?;
            let snapshot = Snapshot::compile(catalog, &vault).context("read the catalog")?;
            let mut carriers: Vec<_> = snapshot
                .carriers()
                .map(|entry| engine::stopped_carrier(entry, now))
                .collect();
            carriers.sort_unstable_by_key(|carrier| carrier.no);
            for backlog in store.lanes().await.context("read what waits")? {
                let of = |carrier: &&mut engine::CarrierStatus| carrier.no == backlog.lane.carrier;
                if let Some(carrier) = carriers.iter_mut().find(of) {
                    carrier.queued += backlog.messages;
                }
            }
            Ok(Answer::Carriers(carriers))
        }
        Order::Standing => Ok(Answer::Failed("no node serves this store".to_owned())),
        Order::Send(_) => Ok(Answer::Failed(
            "no node serves this store: start one with `postrider serve` or `postrider dev`".to_owned(),
        )),
        // The next start reads it.
        Order::TakeOver => Ok(Answer::Done(1)),
        Order::Reconnect { .. } => Ok(Answer::Failed(
            "no node serves this store: its carriers are bound when one starts".to_owned(),
        )),
        Order::PlayInbound { .. } => Ok(Answer::Failed(
            "no node serves this store: start `postrider dev` first".to_owned(),
        )),
        Order::Cancel { account, task } => {
            if store
                .task(*account, *task)
                .await
                .context("read the task")?
                .is_none()
            {
                return Ok(Answer::Done(0));
            }
            let changed = store.change_task(*task, TaskState::Cancelled, None, Box::default(), now);
            let changed = changed.await.context("call the task off")?;
            Ok(Answer::Done(u64::from(changed.is_some())))
        }
        Order::EndTask {
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
        Order::Judge {
            account,
            qualification,
            from,
            to,
            reason,
        } => {
            let done = settle(&**store, (*account, *qualification), (*from, *to), reason, now);
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
    Answer::Failed("there is no such webhook".to_owned())
}

async fn record(store: &SqliteStore, done: RecordDelivery) -> anyhow::Result<Answer> {
    store.record_delivery(done).await.context("change the webhook")?;
    Ok(Answer::Done(1))
}

/// Makes one call due that was given up on.
async fn resend_one(store: &SqliteStore, endpoint: EndpointId, no: i64) -> anyhow::Result<Answer> {
    let mut found = dead(store, endpoint, no.saturating_sub(1), 1).await?;
    found.retain(|call| call.no == no);
    match found.pop() {
        Some(call) => record(store, resent(endpoint, vec![call])).await,
        None => Ok(Answer::Failed(format!(
            "the webhook has given up on no call {no}"
        ))),
    }
}

/// Makes all calls due that were given up on, as far as there is room for their events among those that wait.
async fn resend_all(store: &SqliteStore, endpoint: EndpointId, events_max: usize) -> anyhow::Result<Answer> {
    let states = store
        .endpoint_states()
        .await
        .context("read how far webhooks are")?;
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
) -> anyhow::Result<Vec<Redelivery>> {
    let calls = store.redeliveries(endpoint, RedeliveryFilter::Dead, after, calls_max);
    calls.await.context("read the webhook's calls")
}

/// Due at once, with all their tries.
fn resent(endpoint: EndpointId, calls: Vec<Redelivery>) -> RecordDelivery {
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

/// Calls an endpoint as a node would: by an engine of its own, on an empty store that goes away again.
async fn test(config: &Config, store: &SqliteStore, endpoint: EndpointId) -> anyhow::Result<Answer> {
    let vault = MasterKey::find(&config.secrets)?.vault();
    let catalog = store.load_catalog().await.context("read the catalog")?;
    let snapshot = Snapshot::compile(catalog, &vault).context("read the catalog")?;
    let Some(entry) = snapshot.endpoint(endpoint) else {
        return Ok(unknown());
    };
    let folder = Folder::make()?;
    let path = folder.0.join("empty.db");
    let opened =
        tokio::task::spawn_blocking(move || SqliteStore::open(&path, Mode::Serve, SqliteConfig::default()));
    let empty = Arc::new(opened.await?.context("make a store to call from")?);
    let engine = Engine::start(
        empty as _,
        vault,
        Arc::new(SystemClock),
        engine::Settings::default(),
    )
    .await?;
    engine.start_notify(api::formats(), config.webhooks.limits())?;
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

/// A folder for a moment.
struct Folder(std::path::PathBuf);

impl Folder {
    fn make() -> anyhow::Result<Self> {
        let name = format!("postrider-{}-{:016x}", std::process::id(), rand::random::<u64>());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).with_context(|| format!("make the folder {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is an empty store in the system's folder for such things.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
