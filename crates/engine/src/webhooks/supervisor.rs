//! Supervises one webhook worker per endpoint of the catalog, on a thread of its own.

use super::egress::Egress;
use super::low_priority;
use super::metrics::WebhookMetrics;
use super::operate::{Change, ChangeReply};
use super::skew::Skew;
use super::worker::{self, WorkerAssignment, WorkerCommand};
use super::{Format, Limits, OperateError, Stamp, WebhookError};
use crate::catalog::{EndpointEntry, Snapshot};
use crate::engine::Shared;
use crate::public_id::PublicIds;
use crate::supervise::{cover, supervise};
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use secrecy::ExposeSecret;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use store::{AccountId, EndpointId, EndpointState, Store, StoreError, UnixMs};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinError, JoinSet};
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_util::sync::CancellationToken;

/// How often the workers are compared with the catalog in memory.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Commands of operators in one queue at most.
const COMMANDS_MAX: usize = 64;

/// What the workers share.
pub(super) struct WebhookContext {
    shared: Arc<Shared>,
    formats: HashMap<&'static str, Arc<dyn Format>>,
    limits: Limits,
    egress: Egress,
    public_ids: Arc<PublicIds>,
    /// Calls in flight beyond the first of each endpoint.
    calls: Arc<AtomicUsize>,
    /// Locked while results of an endpoint are recorded.
    recording: Mutex<HashMap<EndpointId, Arc<tokio::sync::Mutex<()>>>>,
}

/// Permits one more call in flight, until it is dropped.
pub(super) struct Permit(Arc<AtomicUsize>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl WebhookContext {
    pub(super) fn store(&self) -> &Arc<dyn Store> {
        &self.shared.store
    }

    pub(super) fn catalog(&self) -> arc_swap::Guard<Arc<Snapshot>> {
        self.shared.catalog.load()
    }

    /// The clock for spans of time; it never goes back.
    pub(super) fn now(&self) -> UnixMs {
        self.shared.clock.steady()
    }

    /// The difference between [`Self::now`] and [`Self::wall_clock`].
    pub(super) fn skew(&self) -> Skew {
        Skew::between(self.now(), self.wall_clock())
    }

    /// The system clock, for times that are stored or shown.
    pub(super) fn wall_clock(&self) -> UnixMs {
        self.shared.clock.now()
    }

    /// The lock that is held while results of an endpoint are recorded: a restarted worker waits for the store to finish
    /// the results of the worker before it.
    pub(super) fn recording(&self, endpoint: EndpointId) -> Arc<tokio::sync::Mutex<()>> {
        Arc::clone(self.recording.lock().entry(endpoint).or_default())
    }

    /// Removes the state and the gauges of an endpoint whose worker has ended.
    pub(super) fn remove_endpoint(&self, endpoint: EndpointId) {
        self.recording
            .lock()
            .retain(|id, held| *id != endpoint || Arc::strong_count(held) > 1);
        self.metrics().remove_endpoint(endpoint);
    }

    /// Restarts a loop after a panic.
    pub(super) async fn supervise<F: Future<Output = ()>>(
        &self,
        name: &'static str,
        start: impl FnMut(usize) -> F,
    ) {
        supervise(name, &self.shared.metrics, &self.shared.failure, start).await;
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(super) fn egress(&self) -> &Egress {
        &self.egress
    }

    pub(super) fn metrics(&self) -> &WebhookMetrics {
        &self.shared.metrics.webhooks
    }

    pub(super) fn format(&self, name: &str) -> Option<&Arc<dyn Format>> {
        self.formats.get(name)
    }

    pub(super) fn stamp(&self) -> Stamp {
        Stamp {
            now: self.wall_clock(),
            random: rand::random(),
            public_ids: Arc::clone(&self.public_ids),
        }
    }

    /// A permit for another call of an endpoint that has one in flight; `None` at `calls_max`.
    pub(super) fn permit(&self) -> Option<Permit> {
        let calls_max = self.limits.calls_max;
        self.calls
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |calls| {
                (calls < calls_max).then_some(calls + 1)
            })
            .ok()
            .map(|_| Permit(Arc::clone(&self.calls)))
    }
}

/// The workers to wake when an account has new events. The store's writer thread reads it and must not wait for the
/// webhook thread, which has the lowest priority.
#[derive(Default)]
struct AccountWakers(ArcSwap<HashMap<AccountId, Vec<Arc<tokio::sync::Notify>>>>);

impl AccountWakers {
    fn wake(&self, accounts: &[AccountId]) {
        let wakers = self.0.load();
        for waker in accounts
            .iter()
            .filter_map(|account| wakers.get(account))
            .flatten()
        {
            waker.notify_one();
        }
    }
}

/// The name of the supervisor's loop in metrics and logs.
const WEBHOOKS: &str = "webhooks";

enum SupervisorRequest {
    Change(EndpointId, Change, ChangeReply),
    Stop(oneshot::Sender<()>),
}

/// The running webhook thread. Dropped without [`Webhooks::stop`], it cancels all calls, as a kill does.
pub(crate) struct Webhooks {
    context: Arc<WebhookContext>,
    requests: mpsc::Sender<SupervisorRequest>,
    cancel: CancellationToken,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Webhooks {
    pub(crate) fn start(
        shared: Arc<Shared>,
        public_ids: PublicIds,
        formats: Vec<Arc<dyn Format>>,
        limits: Limits,
    ) -> Result<Self, WebhookError> {
        let limits = limits.clamped();
        let authorities = match &limits.ca_file {
            Some(file) => CertificateDer::pem_file_iter(file)
                .and_then(Iterator::collect)
                .map_err(|error| WebhookError::Authorities(format!("{}: {error}", file.display())))?,
            None => Vec::new(),
        };
        let context = Arc::new(WebhookContext {
            formats: formats
                .into_iter()
                .map(|format| (format.name(), format))
                .collect(),
            egress: Egress::new(&limits.allow, &authorities, limits.request_bytes_max),
            limits,
            public_ids: Arc::new(public_ids),
            calls: Arc::default(),
            recording: Mutex::default(),
            shared,
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .thread_name("webhook-lookup")
            .build()
            .map_err(WebhookError::Thread)?;
        // The thread may not run before the first scrape, which must have the series too.
        cover(WEBHOOKS, &context.shared.metrics);
        let (requests, received) = mpsc::channel(COMMANDS_MAX);
        let received = tokio::sync::Mutex::new(received);
        let cancel = CancellationToken::new();
        let (on_thread, ended) = (Arc::clone(&context), cancel.clone());
        let thread = std::thread::Builder::new()
            .name("webhooks".into())
            .spawn(move || {
                low_priority::least_priority();
                runtime.block_on(async {
                    tokio::spawn(low_priority::watch());
                    tokio::select! {
                        () = ended.cancelled() => {}
                        () = on_thread.supervise(WEBHOOKS, |panics| manage(&on_thread, &received, panics)) => {}
                    }
                });
                // Does not wait for a name lookup that hangs.
                runtime.shutdown_background();
            })
            .map_err(WebhookError::Thread)?;
        Ok(Self {
            context,
            requests,
            cancel,
            thread: Mutex::new(Some(thread)),
        })
    }

    pub(super) fn context(&self) -> &Arc<WebhookContext> {
        &self.context
    }

    /// Creates the missing metric series of the webhooks in the catalog.
    pub(crate) fn cover_metrics(&self, catalog: &Snapshot) {
        for entry in catalog.endpoints().filter(|entry| !entry.endpoint.url.is_empty()) {
            if let Some(format) = self.context.format(&entry.endpoint.format) {
                self.context.metrics().cover(entry.endpoint.id, format.name());
            }
        }
    }

    /// Applies an operator's change to an endpoint. Its worker does it, if it has one.
    pub(super) async fn change(&self, endpoint: EndpointId, change: Change) -> Result<u64, OperateError> {
        let (reply, done) = oneshot::channel();
        let request = SupervisorRequest::Change(endpoint, change, reply);
        let sent = self.requests.send(request).await;
        match sent {
            // The worker ended before it handled the command.
            Ok(()) => done.await.unwrap_or(Err(OperateError::Busy)),
            Err(_) => Err(StoreError::Closed.into()),
        }
    }

    /// Waits at most `grace` for the calls in flight and records their results.
    pub(crate) async fn stop(&self, grace: Duration) {
        let (reply, done) = oneshot::channel();
        let requested = self.requests.send(SupervisorRequest::Stop(reply)).await.is_ok();
        if requested && tokio::time::timeout(grace, done).await.is_err() {
            tracing::warn!(grace_s = grace.as_secs(), "webhook drain timed out");
        }
        self.cancel.cancel();
        let thread = self.thread.lock().take();
        if let Some(thread) = thread {
            // Joining blocks, so it is not done on a runtime thread.
            let joined = tokio::task::spawn_blocking(move || thread.join());
            if !matches!(joined.await, Ok(Ok(()))) {
                tracing::error!("webhook thread panicked");
            }
        }
    }
}

impl Drop for Webhooks {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

/// A running worker.
struct WorkerHandle {
    entry: Arc<EndpointEntry>,
    commands: mpsc::Sender<WorkerCommand>,
    waker: Arc<tokio::sync::Notify>,
    /// It got `WorkerCommand::End` and finishes its calls in flight.
    leaving: bool,
}

struct WorkerSupervisor {
    context: Arc<WebhookContext>,
    /// No worker has run before in this process, so the endpoint states that are read at the start are current.
    first: bool,
    workers: HashMap<EndpointId, WorkerHandle>,
    tasks: JoinSet<()>,
    endpoints: HashMap<tokio::task::Id, EndpointId>,
    wakers: Arc<AccountWakers>,
    /// The catalog version that the workers match; `None` forces a comparison.
    version: Option<u64>,
}

/// Matches the workers to the catalog and forwards commands, until a stop request.
async fn manage(
    context: &Arc<WebhookContext>,
    requests: &tokio::sync::Mutex<mpsc::Receiver<SupervisorRequest>>,
    panics: usize,
) {
    let mut requests = requests.lock().await;
    let wakers = Arc::new(AccountWakers::default());
    let waking = Arc::clone(&wakers);
    context
        .store()
        .on_events(Box::new(move |accounts| waking.wake(accounts)));
    let mut supervisor = WorkerSupervisor {
        context: Arc::clone(context),
        first: panics == 0,
        workers: HashMap::new(),
        tasks: JoinSet::new(),
        endpoints: HashMap::new(),
        wakers,
        version: None,
    };
    let stopped = loop {
        supervisor.follow().await;
        tokio::select! {
            request = requests.recv() => match request {
                Some(SupervisorRequest::Change(endpoint, change, reply)) => supervisor.pass(endpoint, change, reply).await,
                Some(SupervisorRequest::Stop(reply)) => break Some(reply),
                None => break None,
            },
            Some(ended) = supervisor.tasks.join_next_with_id() => supervisor.ended(ended),
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    };
    for handle in supervisor.workers.values() {
        let _ = handle.commands.send(WorkerCommand::End).await;
    }
    while supervisor.tasks.join_next().await.is_some() {}
    if let Some(stopped) = stopped {
        let _ = stopped.send(());
    }
}

impl WorkerSupervisor {
    /// Starts, replaces and ends workers to match the catalog.
    async fn follow(&mut self) {
        let catalog = Arc::clone(&self.context.catalog());
        if self.version == Some(catalog.version()) {
            return;
        }
        let mut wanted = HashMap::new();
        for entry in catalog.endpoints() {
            let endpoint = &entry.endpoint;
            if !endpoint.enabled || endpoint.url.is_empty() {
                continue;
            }
            match self.context.format(&endpoint.format) {
                Some(format) => drop(wanted.insert(endpoint.id, (Arc::clone(entry), Arc::clone(format)))),
                None => tracing::warn!(
                    endpoint = endpoint.id.0,
                    format = %endpoint.format,
                    "webhook format unknown"
                ),
            }
        }
        for (id, handle) in &mut self.workers {
            if !wanted.contains_key(id) && !handle.leaving {
                handle.leaving = true;
                let _ = handle.commands.send(WorkerCommand::End).await;
            }
        }
        // Read once for all new workers, rather than by each.
        let mut states: HashMap<EndpointId, EndpointState> = HashMap::new();
        if wanted.keys().any(|id| !self.workers.contains_key(id)) {
            match self.context.store().endpoint_states().await {
                Ok(all) => states.extend(all.into_iter().map(|state| (state.endpoint, state))),
                Err(StoreError::Closed) => return,
                Err(error) => {
                    tracing::warn!(%error, "webhook states read failed");
                    return;
                }
            }
        }
        for (id, (entry, format)) in wanted {
            match self.workers.get_mut(&id) {
                // An ending worker is replaced after its end: an endpoint never has two workers.
                Some(handle) if handle.leaving || same(&handle.entry, &entry) => {}
                Some(handle) => {
                    handle.entry = Arc::clone(&entry);
                    let _ = handle.commands.send(WorkerCommand::Replace(entry, format)).await;
                }
                None => {
                    let state = states.remove(&id).filter(|_| self.first);
                    self.spawn_worker(id, entry, format, state);
                }
            }
        }
        let mut wakers: HashMap<AccountId, Vec<_>> = HashMap::new();
        for handle in self.workers.values() {
            let of_account = wakers.entry(handle.entry.endpoint.account).or_default();
            of_account.push(Arc::clone(&handle.waker));
            // Events may have been appended before the waker was registered.
            handle.waker.notify_one();
        }
        self.wakers.0.store(Arc::new(wakers));
        self.version = Some(catalog.version());
    }

    fn spawn_worker(
        &mut self,
        id: EndpointId,
        entry: Arc<EndpointEntry>,
        format: Arc<dyn Format>,
        state: Option<EndpointState>,
    ) {
        let (commands, received) = mpsc::channel(COMMANDS_MAX);
        let waker = Arc::new(tokio::sync::Notify::new());
        let assignment = WorkerAssignment {
            entry: Arc::clone(&entry),
            format,
            known: state,
            commands: received,
            wake: Arc::clone(&waker),
        };
        let (context, assignment) = (Arc::clone(&self.context), tokio::sync::Mutex::new(assignment));
        let work = async move {
            context
                .supervise("webhook worker", |_| worker::run(&context, &assignment))
                .await;
        };
        self.endpoints.insert(self.tasks.spawn(work).id(), id);
        let handle = WorkerHandle {
            entry,
            commands,
            waker,
            leaving: false,
        };
        self.workers.insert(id, handle);
    }

    /// Forwards an operator's change to the worker of the endpoint, or applies it here if there is none.
    async fn pass(&mut self, endpoint: EndpointId, change: Change, reply: ChangeReply) {
        match self.workers.get(&endpoint) {
            Some(handle) if handle.leaving => drop(reply.send(Err(OperateError::Busy))),
            Some(handle) => {
                if let Err(refused) = handle.commands.try_send(WorkerCommand::Change(change, reply))
                    && let WorkerCommand::Change(_, reply) = refused.into_inner()
                {
                    let _ = reply.send(Err(OperateError::Busy));
                }
            }
            None => {
                let _ = reply.send(change.make(&self.context, endpoint).await);
            }
        }
    }

    fn ended(&mut self, ended: Result<(tokio::task::Id, ()), JoinError>) {
        let id = ended.map_or_else(|error| error.id(), |(id, ())| id);
        let Some(endpoint) = self.endpoints.remove(&id) else {
            return;
        };
        let left = self
            .workers
            .remove(&endpoint)
            .is_some_and(|handle| handle.leaving);
        // The catalog may want it again. A worker that ended by itself found the store closed.
        if left {
            self.version = None;
        }
    }
}

/// Whether two catalog entries of an endpoint are equal.
fn same(a: &EndpointEntry, b: &EndpointEntry) -> bool {
    a.endpoint == b.endpoint && a.secret.expose_secret() == b.secret.expose_secret()
}
