//! Carriers: one runner each, following the catalog.
//!
//! - [`encode`]: a message into the PDUs of its segments (pure).
//! - [`segmentation`]: how a message's segments were made, so that what is sent later is made alike (pure).
//! - [`retry_policy`]: what follows from a carrier's answer, or from its absence (pure).
//! - [`in_flight`]: what one bind has in flight, segment by segment (pure).
//! - [`rate_controller`]: rate and congestion of one bind (pure).
//! - [`intake`]: the rate limit for inbound messages of one carrier.
//! - [`open_attempts`]: stores attempts and tracks those that are open.
//! - [`bind`]: one session: takes, submits, records, acknowledges.
//! - [`status`]: the state of a carrier, for operators.
//! - [`runner`]: keeps a carrier's binds up, refills its queue, fails over when it is away.

pub(crate) mod bind;
mod connect;
pub(crate) mod encode;
pub(crate) mod in_flight;
mod intake;
pub(crate) mod open_attempts;
pub(crate) mod rate_controller;
pub(crate) mod retry_policy;
mod runner;
pub(crate) mod segmentation;
mod status;

pub use status::{CarrierError, CarrierState, CarrierStatus, stopped};

use crate::catalog::{CarrierEntry, CarrierSettings};
use crate::engine::Shared;
use crate::recover;
use crate::supervise::supervise;
use open_attempts::OpenAttempts;
use parking_lot::Mutex;
use runner::Runner;
use status::Board;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;
use store::{CarrierNo, UnixMs};
use tokio::sync::{Notify, broadcast};
use tokio_util::sync::CancellationToken;

/// Whether a carrier is up, for routing and failover.
#[derive(Debug)]
pub(crate) struct Health {
    binds_up: AtomicUsize,
    /// When the last bind went away, Unix milliseconds; 0 while any is up.
    away_since: AtomicI64,
    /// Ends the pauses of sessions that wait for their next attempt to bind.
    reconnect: Notify,
    /// The state that operators see.
    pub(crate) board: Board,
}

impl Health {
    /// Of a carrier without sessions, away since then.
    pub(crate) fn new(away_since: UnixMs, board: Board) -> Self {
        Self {
            board,
            binds_up: AtomicUsize::new(0),
            away_since: AtomicI64::new(away_since),
            reconnect: Notify::new(),
        }
    }

    pub(crate) fn bind_up(&self) {
        self.binds_up.fetch_add(1, Ordering::AcqRel);
        self.away_since.store(0, Ordering::Release);
    }

    pub(crate) fn bind_down(&self, now: UnixMs) {
        if self.binds_up.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.away_since.store(now, Ordering::Release);
        }
    }

    pub(crate) fn binds_up(&self) -> usize {
        self.binds_up.load(Ordering::Acquire)
    }

    /// Since when no bind has been up; `None` while one is.
    fn away_since(&self) -> Option<UnixMs> {
        match self.away_since.load(Ordering::Acquire) {
            0 => None,
            since => Some(since),
        }
    }

    /// How long no bind has been up, in milliseconds; 0 while one is.
    pub(crate) fn away_ms(&self, now: UnixMs) -> i64 {
        self.away_since().map_or(0, |since| (now - since).max(0))
    }
}

/// All carriers that run.
pub(crate) struct Carriers {
    shared: Arc<Shared>,
    running: Mutex<HashMap<CarrierNo, Running>>,
    /// Ends of runners that were replaced or stopped, and may have something in flight.
    ending: Mutex<Vec<Ended>>,
    /// Changes of carriers' states.
    news: broadcast::Sender<CarrierStatus>,
}

/// Unread changes of carriers' states that are kept for a subscriber.
const NEWS_MAX: usize = 64;

/// True once a runner has ended.
type Ended = tokio::sync::watch::Receiver<bool>;

struct Running {
    entry: Arc<CarrierEntry>,
    health: Arc<Health>,
    stop: CancellationToken,
    ended: Ended,
}

impl Carriers {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            running: Mutex::default(),
            ending: Mutex::default(),
            news: broadcast::channel(NEWS_MAX).0,
        }
    }

    /// Starts, restarts and stops runners so that they are those of the catalog.
    pub(crate) fn follow_catalog(self: &Arc<Self>) {
        let catalog = self.shared.catalog.load_full();
        let shares = catalog
            .accounts()
            .map(|account| (account.id, account.weight))
            .collect();
        self.shared.queues.set_shares(shares);
        let mut wanted: HashMap<CarrierNo, Arc<CarrierEntry>> = catalog
            .carriers()
            .map(|entry| (entry.no, Arc::clone(entry)))
            .collect();
        // Messages may still wait for a carrier that was taken out of the catalog.
        for queue in self.shared.queues.all() {
            wanted
                .entry(queue.carrier())
                .or_insert_with(|| Arc::new(removed(queue.carrier())));
        }
        // A carrier that changes while it is away has been away for as long as before: else its messages would not go to
        // other carriers as long as somebody goes on changing it.
        let mut away: HashMap<CarrierNo, UnixMs> = HashMap::new();
        let mut running = self.running.lock();
        // From here on a stop ends what runs: nothing is begun beside it.
        if self.shared.stopping.load(Ordering::Acquire) {
            return;
        }
        self.ending
            .lock()
            .retain(|ended| !*ended.borrow() && ended.has_changed().is_ok());
        running.retain(|no, carrier| {
            let same = wanted.get(no).is_some_and(|entry| *entry == carrier.entry);
            if !same {
                tracing::info!(carrier = %carrier.entry.name, "carrier runner stopping");
                away.extend(carrier.health.away_since().map(|since| (*no, since)));
                carrier.stop.cancel();
                self.ending.lock().push(carrier.ended.clone());
            }
            same
        });
        for (no, entry) in wanted {
            running
                .entry(no)
                .or_insert_with(|| self.run(&entry, away.get(&no).copied()));
        }
    }

    fn run(self: &Arc<Self>, entry: &Arc<CarrierEntry>, away_since: Option<UnixMs>) -> Running {
        let stop = self.shared.cancel.child_token();
        let now = self.shared.clock.now();
        let board = Board::new(entry, now, self.news.clone());
        let away_since = away_since.unwrap_or_else(|| self.shared.clock.steady());
        let health = Arc::new(Health::new(away_since, board));
        let (end, ended) = tokio::sync::watch::channel(false);
        let runner = Runner {
            shared: Arc::clone(&self.shared),
            carriers: Arc::clone(self),
            entry: Arc::clone(entry),
            health: Arc::clone(&health),
            open_attempts: Arc::new(OpenAttempts::new(self.shared.tasks.clone())),
            stop: stop.clone(),
        };
        self.shared.tasks.spawn(async move {
            let shared = Arc::clone(&runner.shared);
            let start = |panics| {
                let runner = &runner;
                async move {
                    if panics > 0 {
                        recover::settle_lost(&runner.shared, runner.entry.no, &runner.open_attempts, None)
                            .await;
                    }
                    runner.run().await;
                }
            };
            supervise("carrier", &shared.metrics, &shared.failure, start).await;
            // The receiver may be gone with a carrier that was replaced.
            let _ = end.send(true);
        });
        Running {
            entry: Arc::clone(entry),
            health,
            stop,
            ended,
        }
    }

    /// Lets every carrier finish what is in flight, for at most `grace`.
    pub(crate) async fn drain(&self, grace: Duration) {
        let ending: Vec<Ended> = {
            let running = self.running.lock();
            for carrier in running.values() {
                carrier.stop.cancel();
            }
            let ended = running.values().map(|carrier| carrier.ended.clone());
            ended.chain(std::mem::take(&mut *self.ending.lock())).collect()
        };
        let all = async {
            for mut ended in ending {
                // An error means that the runner has ended without a word.
                let _ = ended.wait_for(|ended| *ended).await;
            }
        };
        if tokio::time::timeout(grace, all).await.is_err() {
            tracing::warn!(grace_s = grace.as_secs(), "carrier drain timed out");
        }
    }

    /// Lets every session of a carrier that waits for its next attempt to bind try at once; `None` when no carrier has
    /// that name, else its sessions that are up.
    pub(crate) fn reconnect(&self, name: &str) -> Option<usize> {
        let running = self.running.lock();
        let carrier = running.values().find(|carrier| &*carrier.entry.name == name)?;
        carrier.health.reconnect.notify_waiters();
        Some(carrier.health.binds_up())
    }

    /// Whether a carrier can take messages now.
    pub(crate) fn is_up(&self, no: CarrierNo) -> bool {
        self.running
            .lock()
            .get(&no)
            .is_some_and(|carrier| carrier.health.binds_up() > 0)
    }

    /// The state of every carrier, by number; what waits in the store is not counted here.
    pub(crate) fn statuses(&self) -> Vec<CarrierStatus> {
        let running = self.running.lock();
        let mut statuses: Vec<_> = running
            .values()
            .map(|carrier| carrier.health.board.status())
            .collect();
        statuses.sort_unstable_by_key(|status| status.no);
        statuses
    }

    /// Subscribes to changes of carriers' states.
    pub(crate) fn watch(&self) -> broadcast::Receiver<CarrierStatus> {
        self.news.subscribe()
    }

    /// Sessions up, by carrier.
    pub(crate) fn binds_up(&self) -> Vec<(CarrierNo, usize)> {
        let running = self.running.lock();
        let mut up: Vec<_> = running
            .iter()
            .map(|(no, carrier)| (*no, carrier.health.binds_up()))
            .collect();
        up.sort_unstable_by_key(|(no, _)| *no);
        up
    }
}

fn removed(no: CarrierNo) -> CarrierEntry {
    CarrierEntry {
        no,
        name: format!("(removed {no})").into(),
        settings: CarrierSettings::Removed,
    }
}
