//! The engine as a whole: what is wired to what, how it starts and how it stops.

use crate::accept::{self, AcceptError, AcceptResponse, Idempotency, Submission, TimeToLive};
use crate::account_limits::AccountLimits;
use crate::carrier::{CarrierStatus, Carriers};
use crate::catalog::{CatalogError, Changes, SecretSealer, Snapshot};
use crate::clock::Clock;
use crate::clock_watch::{self, ClockLimits, ClockWatch};
use crate::failures;
use crate::log_limit::LogLimit;
use crate::manage::Numbers;
use crate::metrics::{DialectLabel, Metrics, RefusalLabel, dialect_name};
use crate::public_id::PublicIds;
use crate::pull::Pulling;
use crate::queue::{QueueLimits, Queues};
use crate::recover;
use crate::sandbox::Inbox;
use crate::schedule;
use crate::supervise::supervise;
use crate::webhooks::{self, Format, WebhookError, Webhooks};
use arc_swap::ArcSwap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use store::{
    AccountId, Dialect, Failure, MessageFilter, MessageId, MessageSpan, MessageView, Store, StoreError,
    TimelineEntry, UnixMs,
};
use thiserror::Error;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Bounds and habits of the engine. All of it stands in `config.default.toml`.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Bounds of the ready queues.
    pub queue: QueueLimits,
    /// How long a message may wait before it is sent.
    pub time_to_live: TimeToLive,
    /// How often the catalog's version is looked at.
    pub catalog_poll: Duration,
    /// How long messages are kept after they were accepted; `None`: for ever.
    pub retention: Option<Duration>,
    /// How long a message waits for its receipt before its state is unknown (a later receipt corrects that).
    pub receipt_wait: Duration,
    /// How long unmatched receipts are kept.
    pub unmatched_receipts_keep: Duration,
    /// How often old things are looked for.
    pub sweep_every: Duration,
    /// How long events are kept after every endpoint acked them: how far back a replay can go.
    pub events_keep: Duration,
    /// How long dead webhook calls are kept.
    pub dead_calls_keep: Duration,
    /// How long inbound messages are kept; `None`: for ever.
    pub inbound_keep: Option<Duration>,
    /// How long missing parts of an inbound message are waited for.
    pub inbound_parts_wait: Duration,
    /// How long tasks are kept that have ended; `None`: for ever.
    pub tasks_keep: Option<Duration>,
    /// How long counters are kept; `None`: for ever.
    pub statistics_keep: Option<Duration>,
    /// What is done about a clock that jumps.
    pub clock: ClockLimits,
    /// Bounds on what one account keeps beside its messages.
    pub account_limits: AccountLimits,
    /// Messages kept in the sandbox's inbox.
    pub inbox_messages_max: usize,
    /// Accounts that have a label of their own in metrics; 0: nothing is counted by account.
    pub metric_accounts_max: usize,
}

/// Log lines a second about errors of clients, of each kind.
const LOG_LINES_PER_S_MAX: u32 = 10;

impl Default for Settings {
    fn default() -> Self {
        Self {
            queue: QueueLimits::default(),
            time_to_live: TimeToLive::default(),
            catalog_poll: Duration::from_secs(1),
            retention: None,
            receipt_wait: Duration::from_secs(72 * 3600),
            unmatched_receipts_keep: Duration::from_secs(72 * 3600),
            sweep_every: Duration::from_secs(60),
            events_keep: Duration::from_secs(7 * 86_400),
            dead_calls_keep: Duration::from_secs(15 * 86_400),
            inbound_keep: Some(Duration::from_secs(190 * 86_400)),
            inbound_parts_wait: Duration::from_secs(600),
            tasks_keep: Some(Duration::from_secs(400 * 86_400)),
            statistics_keep: Some(Duration::from_secs(400 * 86_400)),
            clock: ClockLimits::default(),
            account_limits: AccountLimits::default(),
            inbox_messages_max: 10_000,
            metric_accounts_max: 100,
        }
    }
}

/// The engine could not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The store failed.
    #[error("store: {0}")]
    Store(#[from] StoreError),
    /// The catalog cannot be used.
    #[error("catalog: {0}")]
    Catalog(#[from] CatalogError),
}

/// What all parts of the engine share.
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) clock_watch: ClockWatch,
    pub(crate) sealer: SecretSealer,
    pub(crate) catalog: ArcSwap<Snapshot>,
    /// Catalog changes of this process that are not applied in memory yet.
    pub(crate) changes: Changes,
    /// How often the catalog was read as a whole since the start.
    pub(crate) whole_reads: AtomicU64,
    /// Serialises reloads of the catalog.
    pub(crate) reloading: tokio::sync::Mutex<()>,
    pub(crate) queues: Queues,
    pub(crate) metrics: Metrics,
    /// Lines about refused recipients.
    pub(crate) refusal_log: LogLimit,
    /// Lines about messages that failed.
    pub(crate) failure_log: LogLimit,
    pub(crate) settings: Settings,
    pub(crate) inbox: Arc<Inbox>,
    /// Woken when something was put off until later.
    pub(crate) delayed: tokio::sync::Notify,
    /// Woken when a task was made.
    pub(crate) tasks_changed: tokio::sync::Notify,
    /// What has failed for good, if anything has.
    pub(crate) failure: Failure,
    /// No more messages are taken from the queues, and none accepted.
    pub(crate) stopping: AtomicBool,
    /// Ends every task.
    pub(crate) cancel: CancellationToken,
    pub(crate) tasks: TaskTracker,
}

/// The engine. Cheap to share; stops by [`Engine::stop`].
pub struct Engine {
    pub(crate) shared: Arc<Shared>,
    public_ids: PublicIds,
    carriers: Arc<Carriers>,
    numbers: Numbers,
    /// Fetches of events.
    pulling: Pulling,
    /// Webhook delivery, once it is started.
    webhooks: OnceLock<Webhooks>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

impl Engine {
    /// Starts on a store: settles what a kill left in doubt, loads the queues, connects the carriers.
    pub async fn start(
        store: Arc<dyn Store>,
        sealer: SecretSealer,
        clock: Arc<dyn Clock>,
        settings: Settings,
    ) -> Result<Arc<Self>, StartError> {
        let catalog = Snapshot::compile(store.load_catalog().await?, &sealer)?;
        let public_ids = PublicIds::new(&store.id_key().await?);
        let shared = Arc::new(Shared {
            queues: Queues::new(settings.queue),
            inbox: Arc::new(Inbox::new(settings.inbox_messages_max)),
            store,
            clock,
            clock_watch: ClockWatch::default(),
            sealer,
            catalog: ArcSwap::from_pointee(catalog),
            changes: Changes::default(),
            whole_reads: AtomicU64::new(0),
            reloading: tokio::sync::Mutex::default(),
            metrics: Metrics::for_accounts(settings.metric_accounts_max),
            refusal_log: LogLimit::new(LOG_LINES_PER_S_MAX),
            failure_log: LogLimit::new(LOG_LINES_PER_S_MAX),
            settings,
            delayed: tokio::sync::Notify::new(),
            tasks_changed: tokio::sync::Notify::new(),
            failure: Failure::default(),
            stopping: AtomicBool::new(false),
            cancel: CancellationToken::new(),
            tasks: TaskTracker::new(),
        });
        schedule::warn_of_open(&shared, &shared.catalog.load());
        failures::follow(&shared);
        clock_watch::start(&shared).await?;
        recover::settle_in_doubt(&shared).await?;
        recover::load_queues(&shared).await?;
        let carriers = Arc::new(Carriers::new(Arc::clone(&shared)));
        carriers.follow_catalog();
        schedule::spawn_all(&shared, &carriers);
        Ok(Arc::new(Self {
            shared,
            public_ids,
            carriers,
            numbers: Numbers::default(),
            pulling: Pulling::default(),
            webhooks: OnceLock::new(),
        }))
    }

    /// Starts webhook delivery to each endpoint of the catalog that has a URL and one of these formats, on a thread of
    /// the lowest priority.
    ///
    /// # Errors
    /// When it was called before, or the thread cannot be had.
    pub fn start_webhooks(
        &self,
        formats: Vec<Arc<dyn Format>>,
        limits: webhooks::Limits,
    ) -> Result<(), WebhookError> {
        if self.webhooks.get().is_some() {
            return Err(WebhookError::Started);
        }
        let shared = Arc::clone(&self.shared);
        let webhooks = Webhooks::start(shared, self.public_ids.clone(), formats, limits)?;
        // Of two callers at once, one loses: what it started ends when it is dropped here.
        self.webhooks.set(webhooks).map_err(|_| WebhookError::Started)
    }

    pub(crate) fn webhooks(&self) -> Option<&Webhooks> {
        self.webhooks.get()
    }

    /// Accepts what can be accepted of a submission. When this returns, it is on stable storage.
    ///
    /// Returns the submission with the response, because answers echo the request.
    ///
    /// # Errors
    /// When nothing of the request was looked at, for a reason that is not in its recipients.
    pub async fn accept(
        &self,
        submission: Submission,
        idempotency: Option<Idempotency>,
    ) -> Result<(Arc<Submission>, AcceptResponse), AcceptError> {
        if self.is_stopping() {
            return Err(AcceptError::Stopping);
        }
        accept::accept(&self.shared, submission, idempotency, None).await
    }

    pub(crate) fn pulling(&self) -> &Pulling {
        &self.pulling
    }

    pub(crate) fn wake_tasks(&self) {
        self.shared.tasks_changed.notify_one();
    }

    /// The present catalog.
    pub fn catalog(&self) -> Arc<Snapshot> {
        self.shared.catalog.load_full()
    }

    /// How often the catalog was read as a whole since the start. Changes that this process makes to templates and
    /// signatures are applied without a read.
    pub fn catalog_reads(&self) -> u64 {
        self.shared.whole_reads.load(Ordering::Relaxed)
    }

    /// Reads the catalog again now, rather than at the next look.
    pub async fn reload_catalog(&self) -> Result<(), StartError> {
        schedule::reload_catalog(&self.shared, &self.carriers).await
    }

    /// Reads the catalog again unless the present one is at `version` or later.
    pub(crate) async fn catalog_since(&self, version: u64) -> Result<(), StartError> {
        schedule::catalog_since(&self.shared, &self.carriers, version).await
    }

    pub(crate) fn numbers(&self) -> &Numbers {
        &self.numbers
    }

    /// Its bounds and habits.
    pub fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// The makers of public ids.
    pub fn public_ids(&self) -> &PublicIds {
        &self.public_ids
    }

    /// The time.
    pub fn now(&self) -> UnixMs {
        self.shared.clock.now()
    }

    /// Milliseconds that have passed, whatever is done to the clock: see [`Clock::monotonic`].
    pub fn passed_ms(&self) -> i64 {
        self.shared.clock.monotonic()
    }

    /// The time that spans are counted by: see [`Clock::steady`].
    pub fn steady(&self) -> UnixMs {
        self.shared.clock.steady()
    }

    /// Messages of a session, in the order of their ids.
    pub async fn session(
        &self,
        account: AccountId,
        first: MessageId,
        messages_max: usize,
    ) -> Result<Vec<MessageView>, StoreError> {
        self.shared.store.session(account, first, messages_max).await
    }

    /// Messages of an account in a span of time or a range of ids, newest first, and how many there are.
    pub async fn find(
        &self,
        account: AccountId,
        span: impl Into<MessageSpan>,
        filter: MessageFilter,
    ) -> Result<(Vec<MessageView>, u64), StoreError> {
        self.shared.store.find(account, span.into(), filter).await
    }

    /// The timeline of one message.
    pub async fn timeline(&self, id: MessageId) -> Result<Vec<TimelineEntry>, StoreError> {
        self.shared.store.timeline(id).await
    }

    /// What the sandbox delivered.
    pub fn inbox(&self) -> &Arc<Inbox> {
        &self.shared.inbox
    }

    /// What is counted.
    pub fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    /// Brings series and gauges up to date with the catalog, before a scrape.
    pub fn cover_metrics(&self) {
        let shared = &self.shared;
        let catalog = shared.catalog.load();
        shared.metrics.cover(&catalog, &shared.queues);
        if let Some(webhooks) = self.webhooks.get() {
            webhooks.cover_metrics(&catalog);
        }
    }

    /// Counts a request with missing or wrong credentials.
    pub fn denied(&self, dialect: Dialect, reason: &'static str) {
        let dialect = dialect_name(dialect);
        let label = RefusalLabel { dialect, reason };
        self.shared.metrics.denied.get_or_create(&label).inc();
    }

    /// Counts a request that was turned away because its credential had made as many as it may, in all or of its kind.
    pub fn over_rate(&self, dialect: Dialect) {
        let dialect = dialect_name(dialect);
        let label = DialectLabel { dialect };
        self.shared.metrics.over_rate.get_or_create(&label).inc();
    }

    /// Counts an answer to such a request that is held back.
    pub fn denial_delayed(&self, dialect: Dialect) {
        let dialect = dialect_name(dialect);
        let label = DialectLabel { dialect };
        self.shared.metrics.denials_delayed.get_or_create(&label).inc();
    }

    /// The store, for readiness and tools.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.shared.store
    }

    /// The state of every carrier, by number, with what waits for it.
    ///
    /// # Errors
    /// When the store could not be read.
    pub async fn carrier_statuses(&self) -> Result<Vec<CarrierStatus>, StoreError> {
        let mut statuses = self.carriers.statuses();
        for backlog in self.shared.store.lanes().await? {
            let of = |status: &&mut CarrierStatus| status.no == backlog.lane.carrier;
            if let Some(status) = statuses.iter_mut().find(of) {
                status.queued += backlog.messages;
            }
        }
        Ok(statuses)
    }

    /// Subscribes to changes of carriers' states.
    pub fn watch_carriers(&self) -> tokio::sync::broadcast::Receiver<CarrierStatus> {
        self.carriers.watch()
    }

    /// Sessions up, by carrier.
    pub fn binds_up(&self) -> Vec<(store::CarrierNo, usize)> {
        self.carriers.binds_up()
    }

    /// Lets every session of a carrier that waits for its next attempt to bind try at once: see
    /// [`crate::catalog::SmppSettings::bind_rejected_pause_s`]. `None` when no carrier has that name, else how many of
    /// its sessions are up already.
    pub fn reconnect(&self, carrier: &str) -> Option<usize> {
        self.carriers.reconnect(carrier)
    }

    /// Why the engine or its store can never work again; waits for ever while all is well. Whoever runs the engine ends
    /// the process then: what was accepted is in the store, and the next start goes on from there. Cancel safe.
    pub async fn failed(&self) -> Arc<str> {
        tokio::select! {
            why = self.shared.failure.wait() => why,
            why = self.shared.store.failed() => why,
        }
    }

    /// Runs what `start` makes, again after a panic, as the engine's own loops: see [`Engine::failed`].
    pub async fn supervise<F: Future<Output = ()>>(&self, name: &'static str, mut start: impl FnMut() -> F) {
        supervise(name, &self.shared.metrics, &self.shared.failure, |_| start()).await;
    }

    /// True once [`Engine::stop`] was called.
    pub fn is_stopping(&self) -> bool {
        self.shared.stopping.load(Ordering::Acquire)
    }

    /// Stops in order: nothing new is accepted, sent or delivered, windows and webhook calls drain for at most `grace`,
    /// results are recorded, sessions unbind, the store closes.
    pub async fn stop(&self, grace: Duration) -> Result<(), StoreError> {
        self.shared.stopping.store(true, Ordering::Release);
        let stop_webhooks = async {
            if let Some(webhooks) = self.webhooks.get() {
                webhooks.stop(grace).await;
            }
        };
        tokio::join!(self.carriers.drain(grace), stop_webhooks);
        if let Err(error) = self.pulling.settle(&*self.shared.store).await {
            tracing::warn!(%error, "pull offset write failed");
        }
        self.shared.cancel.cancel();
        self.shared.tasks.close();
        if tokio::time::timeout(grace, self.shared.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!(grace_s = grace.as_secs(), "shutdown timed out");
        }
        self.shared.store.close().await
    }
}
