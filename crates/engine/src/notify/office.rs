//! Where the workers are: a thread of their own, with what they share, and the one that hires and dismisses them as
//! the catalog changes.

use super::egress::Egress;
use super::give_way;
use super::metrics::NotifyMetrics;
use super::operate::{Change, ChangeReply};
use super::skew::Skew;
use super::worker::{self, Order, Post};
use super::{Format, Limits, NotifyError, OperateError, Stamp};
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

/// How often the catalog in memory is compared with what is being done.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Orders of operators that wait.
const ORDERS_MAX: usize = 64;

/// What the workers share.
pub(super) struct Office {
    shared: Arc<Shared>,
    formats: HashMap<&'static str, Arc<dyn Format>>,
    limits: Limits,
    egress: Egress,
    public_ids: Arc<PublicIds>,
    /// Calls under way beyond one of each endpoint.
    calls: Arc<AtomicUsize>,
    /// Held while something of an endpoint is being recorded.
    recording: Mutex<HashMap<EndpointId, Arc<tokio::sync::Mutex<()>>>>,
}

/// The right to one more call; given back when dropped.
pub(super) struct Permit(Arc<AtomicUsize>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Office {
    pub(super) fn store(&self) -> &Arc<dyn Store> {
        &self.shared.store
    }

    pub(super) fn catalog(&self) -> arc_swap::Guard<Arc<Snapshot>> {
        self.shared.catalog.load()
    }

    /// The time that waits are counted by: it does not go back.
    pub(super) fn now(&self) -> UnixMs {
        self.shared.clock.steady()
    }

    /// How far the two are apart.
    pub(super) fn skew(&self) -> Skew {
        Skew::between(self.now(), self.wall_clock())
    }

    /// What clocks show.
    pub(super) fn wall_clock(&self) -> UnixMs {
        self.shared.clock.now()
    }

    /// Held while something of an endpoint is being recorded, so that a worker that begins anew waits for what the one
    /// before it had given to the store.
    pub(super) fn recording(&self, endpoint: EndpointId) -> Arc<tokio::sync::Mutex<()>> {
        Arc::clone(self.recording.lock().entry(endpoint).or_default())
    }

    /// Forgets an endpoint that has no worker any more.
    pub(super) fn forget(&self, endpoint: EndpointId) {
        self.recording
            .lock()
            .retain(|id, held| *id != endpoint || Arc::strong_count(held) > 1);
        self.metrics().forget(endpoint);
    }

    /// Runs a loop again when it panics.
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

    pub(super) fn metrics(&self) -> &NotifyMetrics {
        &self.shared.metrics.notify
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

    /// One more call of an endpoint that has one under way already.
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

/// Whom to wake when an account has new events. Read on the store's own thread, which must never wait for this one: it
/// has the least priority.
#[derive(Default)]
struct Bells(ArcSwap<HashMap<AccountId, Vec<Arc<tokio::sync::Notify>>>>);

impl Bells {
    fn ring(&self, accounts: &[AccountId]) {
        let bells = self.0.load();
        for bell in accounts.iter().filter_map(|account| bells.get(account)).flatten() {
            bell.notify_one();
        }
    }
}

/// The loop that all webhooks are managed by, in metrics and in the log.
const WEBHOOKS: &str = "webhooks";

enum Errand {
    Change(EndpointId, Change, ChangeReply),
    Stop(oneshot::Sender<()>),
}

/// The office as the engine holds it. Dropped without [`Notify::stop`], it leaves everything as a kill would.
pub(crate) struct Notify {
    office: Arc<Office>,
    errands: mpsc::Sender<Errand>,
    cancel: CancellationToken,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Notify {
    pub(crate) fn start(
        shared: Arc<Shared>,
        public_ids: PublicIds,
        formats: Vec<Arc<dyn Format>>,
        limits: Limits,
    ) -> Result<Self, NotifyError> {
        let limits = limits.clamped();
        let authorities = match &limits.ca_file {
            Some(file) => CertificateDer::pem_file_iter(file)
                .and_then(Iterator::collect)
                .map_err(|error| NotifyError::Authorities(format!("{}: {error}", file.display())))?,
            None => Vec::new(),
        };
        let office = Arc::new(Office {
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
            .thread_name("notify-lookup")
            .build()
            .map_err(NotifyError::Thread)?;
        // The thread has the least priority: what is scraped before its first turn has the series too.
        cover(WEBHOOKS, &office.shared.metrics);
        let (errands, received) = mpsc::channel(ORDERS_MAX);
        let received = tokio::sync::Mutex::new(received);
        let cancel = CancellationToken::new();
        let (staff, ended) = (Arc::clone(&office), cancel.clone());
        let thread = std::thread::Builder::new()
            .name("notify".into())
            .spawn(move || {
                give_way::least_priority();
                runtime.block_on(async {
                    tokio::spawn(give_way::watch());
                    tokio::select! {
                        () = ended.cancelled() => {}
                        () = staff.supervise(WEBHOOKS, |panics| manage(&staff, &received, panics)) => {}
                    }
                });
                // A lookup that hangs is left to itself.
                runtime.shutdown_background();
            })
            .map_err(NotifyError::Thread)?;
        Ok(Self {
            office,
            errands,
            cancel,
            thread: Mutex::new(Some(thread)),
        })
    }

    pub(super) fn office(&self) -> &Arc<Office> {
        &self.office
    }

    /// Creates what is missing of the series of webhooks that are called.
    pub(crate) fn cover_metrics(&self, catalog: &Snapshot) {
        for entry in catalog.endpoints().filter(|entry| !entry.endpoint.url.is_empty()) {
            if let Some(format) = self.office.format(&entry.endpoint.format) {
                self.office.metrics().cover(entry.endpoint.id, format.name());
            }
        }
    }

    /// Changes how an endpoint stands: by its worker when it has one, as nobody else may then.
    pub(super) async fn change(&self, endpoint: EndpointId, change: Change) -> Result<u64, OperateError> {
        let (reply, done) = oneshot::channel();
        let errand = Errand::Change(endpoint, change, reply);
        let sent = self.errands.send(errand).await;
        match sent {
            // Its worker ended with the order in hand.
            Ok(()) => done.await.unwrap_or(Err(OperateError::Busy)),
            Err(_) => Err(StoreError::Closed.into()),
        }
    }

    /// Waits for the calls under way, for at most `grace`, and records them.
    pub(crate) async fn stop(&self, grace: Duration) {
        let (reply, done) = oneshot::channel();
        let asked = self.errands.send(Errand::Stop(reply)).await.is_ok();
        if asked && tokio::time::timeout(grace, done).await.is_err() {
            tracing::warn!(
                "some calls to endpoints did not end within the grace of {grace:?}; they are made again"
            );
        }
        self.cancel.cancel();
        let thread = self.thread.lock().take();
        if let Some(thread) = thread {
            // It ends now that it is told to; joined elsewhere all the same, as joining blocks.
            let joined = tokio::task::spawn_blocking(move || thread.join());
            if !matches!(joined.await, Ok(Ok(()))) {
                tracing::error!("the thread that calls endpoints had died");
            }
        }
    }
}

impl Drop for Notify {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

/// A worker as it was hired.
struct Hired {
    entry: Arc<EndpointEntry>,
    orders: mpsc::Sender<Order>,
    bell: Arc<tokio::sync::Notify>,
    /// It was told to end, and finishes what is under way.
    leaving: bool,
}

struct Staff {
    office: Arc<Office>,
    /// What was read of how far endpoints are is as they were left: nobody worked for them before.
    first: bool,
    workers: HashMap<EndpointId, Hired>,
    tasks: JoinSet<()>,
    endpoints: HashMap<tokio::task::Id, EndpointId>,
    bells: Arc<Bells>,
    /// The catalog that is followed; `None` when it is to be looked at anew.
    version: Option<u64>,
}

/// Follows the catalog and passes orders on, until it is told to stop.
async fn manage(office: &Arc<Office>, errands: &tokio::sync::Mutex<mpsc::Receiver<Errand>>, panics: usize) {
    let mut errands = errands.lock().await;
    let bells = Arc::new(Bells::default());
    let rung = Arc::clone(&bells);
    office
        .store()
        .on_events(Box::new(move |accounts| rung.ring(accounts)));
    let mut staff = Staff {
        office: Arc::clone(office),
        first: panics == 0,
        workers: HashMap::new(),
        tasks: JoinSet::new(),
        endpoints: HashMap::new(),
        bells,
        version: None,
    };
    let stopped = loop {
        staff.follow().await;
        tokio::select! {
            errand = errands.recv() => match errand {
                Some(Errand::Change(endpoint, change, reply)) => staff.pass(endpoint, change, reply).await,
                Some(Errand::Stop(reply)) => break Some(reply),
                None => break None,
            },
            Some(ended) = staff.tasks.join_next_with_id() => staff.ended(ended),
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    };
    for hired in staff.workers.values() {
        let _ = hired.orders.send(Order::End).await;
    }
    while staff.tasks.join_next().await.is_some() {}
    if let Some(stopped) = stopped {
        let _ = stopped.send(());
    }
}

impl Staff {
    /// Makes the workers what the catalog says.
    async fn follow(&mut self) {
        let catalog = Arc::clone(&self.office.catalog());
        if self.version == Some(catalog.version()) {
            return;
        }
        let mut wanted = HashMap::new();
        for entry in catalog.endpoints() {
            let endpoint = &entry.endpoint;
            if !endpoint.enabled || endpoint.url.is_empty() {
                continue;
            }
            match self.office.format(&endpoint.format) {
                Some(format) => drop(wanted.insert(endpoint.id, (Arc::clone(entry), Arc::clone(format)))),
                None => tracing::warn!(
                    endpoint = endpoint.id.0,
                    format = %endpoint.format,
                    "nobody knows the endpoint's format: it is not called"
                ),
            }
        }
        for (id, hired) in &mut self.workers {
            if !wanted.contains_key(id) && !hired.leaving {
                hired.leaving = true;
                let _ = hired.orders.send(Order::End).await;
            }
        }
        // Read once for all that are hired now, rather than by each.
        let mut states: HashMap<EndpointId, EndpointState> = HashMap::new();
        if wanted.keys().any(|id| !self.workers.contains_key(id)) {
            match self.office.store().endpoint_states().await {
                Ok(all) => states.extend(all.into_iter().map(|state| (state.endpoint, state))),
                Err(StoreError::Closed) => return,
                Err(error) => {
                    tracing::warn!(%error, "how far the endpoints are could not be read");
                    return;
                }
            }
        }
        for (id, (entry, format)) in wanted {
            match self.workers.get_mut(&id) {
                // Looked at again when it has gone: two must not work for one endpoint.
                Some(hired) if hired.leaving || same(&hired.entry, &entry) => {}
                Some(hired) => {
                    hired.entry = Arc::clone(&entry);
                    let _ = hired.orders.send(Order::Replace(entry, format)).await;
                }
                None => {
                    let state = states.remove(&id).filter(|_| self.first);
                    self.hire(id, entry, format, state);
                }
            }
        }
        let mut bells: HashMap<AccountId, Vec<_>> = HashMap::new();
        for hired in self.workers.values() {
            let of_account = bells.entry(hired.entry.endpoint.account).or_default();
            of_account.push(Arc::clone(&hired.bell));
            // What happened before the bell was there.
            hired.bell.notify_one();
        }
        self.bells.0.store(Arc::new(bells));
        self.version = Some(catalog.version());
    }

    fn hire(
        &mut self,
        id: EndpointId,
        entry: Arc<EndpointEntry>,
        format: Arc<dyn Format>,
        state: Option<EndpointState>,
    ) {
        let (orders, received) = mpsc::channel(ORDERS_MAX);
        let bell = Arc::new(tokio::sync::Notify::new());
        let post = Post {
            entry: Arc::clone(&entry),
            format,
            known: state,
            orders: received,
            wake: Arc::clone(&bell),
        };
        let (office, post) = (Arc::clone(&self.office), tokio::sync::Mutex::new(post));
        let work = async move {
            office
                .supervise("webhook worker", |_| worker::run(&office, &post))
                .await;
        };
        self.endpoints.insert(self.tasks.spawn(work).id(), id);
        let hired = Hired {
            entry,
            orders,
            bell,
            leaving: false,
        };
        self.workers.insert(id, hired);
    }

    /// Has an operator's change made by who works for the endpoint; by oneself when nobody does.
    async fn pass(&mut self, endpoint: EndpointId, change: Change, reply: ChangeReply) {
        match self.workers.get(&endpoint) {
            Some(hired) if hired.leaving => drop(reply.send(Err(OperateError::Busy))),
            Some(hired) => {
                if let Err(refused) = hired.orders.try_send(Order::Change(change, reply))
                    && let Order::Change(_, reply) = refused.into_inner()
                {
                    let _ = reply.send(Err(OperateError::Busy));
                }
            }
            None => {
                let _ = reply.send(change.make(&self.office, endpoint).await);
            }
        }
    }

    fn ended(&mut self, ended: Result<(tokio::task::Id, ()), JoinError>) {
        let id = ended.map_or_else(|error| error.id(), |(id, ())| id);
        let Some(endpoint) = self.endpoints.remove(&id) else {
            return;
        };
        let left = self.workers.remove(&endpoint).is_some_and(|hired| hired.leaving);
        // It may be wanted again by now. One that ended by itself had no store any more.
        if left {
            self.version = None;
        }
    }
}

/// Whether nothing about an endpoint has changed.
fn same(a: &EndpointEntry, b: &EndpointEntry) -> bool {
    a.endpoint == b.endpoint && a.secret.expose_secret() == b.secret.expose_secret()
}
