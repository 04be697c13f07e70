//! One carrier's runner: keeps its binds up, refills its queue, fails over when it is away.

use super::bind::{BindContext, BindSession, SessionEnd, wanted};
use super::connect::{self, BindError, Purpose};
use super::encode::Profile;
use super::intake::Intake;
use super::open_attempts::OpenAttempts;
use super::retry_policy::RetryPolicy;
use super::{Carriers, Health};
use crate::catalog::{CarrierEntry, CarrierSettings, SmppSettings, Snapshot};
use crate::engine::Shared;
use crate::metrics::Metrics;
use crate::queue::CarrierQueue;
use crate::receipt::ReceiptProfile;
use crate::recover;
use crate::sandbox;
use crate::supervise::supervise;
use std::sync::Arc;
use std::time::Duration;
use store::{CarrierNo, Outgoing, Store};
use tokio_util::sync::CancellationToken;

/// Runs one carrier until it is stopped.
pub(super) struct Runner {
    pub(super) shared: Arc<Shared>,
    pub(super) carriers: Arc<Carriers>,
    pub(super) entry: Arc<CarrierEntry>,
    pub(super) health: Arc<Health>,
    pub(super) open_attempts: Arc<OpenAttempts>,
    pub(super) stop: CancellationToken,
}

/// How long a failed read of the store is left alone.
const READ_RETRY: Duration = Duration::from_millis(200);
/// How often a carrier without sessions is checked.
const FAILOVER_LOOK: Duration = Duration::from_millis(500);
/// Messages of a lane looked at in one go.
const FAILOVER_BATCH: usize = 500;

impl Runner {
    pub(super) async fn run(&self) {
        let queue = self.shared.queues.of(self.entry.no);
        let refill = refill(Arc::clone(&self.shared.store), Arc::clone(&queue));
        let settings = self.entry.settings.clone();
        match settings {
            CarrierSettings::Sandbox(settings) if settings.enabled => {
                let _up = SandboxUp::new(self);
                let work = sandbox::run(
                    Arc::clone(&self.shared),
                    self.entry.no,
                    settings,
                    sandbox::Work {
                        queue,
                        open_attempts: Arc::clone(&self.open_attempts),
                    },
                    self.stop.clone(),
                );
                tokio::select! {
                    () = work => {}
                    () = refill => {}
                }
            }
            // Disabled or removed from the catalog: nothing is sent, and waiting messages go to other carriers.
            CarrierSettings::Removed | CarrierSettings::Sandbox(_) => {
                self.idle(refill, self.failover(Arc::clone(&queue), 0)).await;
            }
            CarrierSettings::Smpp(settings) if !settings.enabled => {
                let failover = self.failover(Arc::clone(&queue), settings.failover_after_s);
                self.idle(refill, failover).await;
            }
            CarrierSettings::Smpp(settings) => {
                let failover = self.failover(Arc::clone(&queue), settings.failover_after_s);
                tokio::select! {
                    () = self.binds(&settings, Arc::clone(&queue)) => {}
                    () = refill => {}
                    () = failover => {}
                }
            }
        }
    }

    /// Fails over waiting messages, until the carrier is stopped.
    async fn idle(&self, refill: impl Future<Output = ()>, failover: impl Future<Output = ()>) {
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = refill => {}
            () = failover => {}
        }
    }

    async fn binds(&self, settings: &SmppSettings, queue: Arc<CarrierQueue>) {
        let password = match connect::password(settings, &self.entry.name, &self.shared.sealer) {
            Ok(password) => password,
            Err(error) => {
                tracing::error!(carrier = %self.entry.name, %error, "carrier password unusable");
                self.health
                    .board
                    .failed(&error.to_string(), self.shared.clock.now());
                self.health.board.waits(0, None);
                return self.stop.cancelled().await;
            }
        };
        let receipts = ReceiptProfile::of(settings);
        let context = Arc::new(BindContext {
            shared: Arc::clone(&self.shared),
            entry: Arc::clone(&self.entry),
            settings: settings.clone(),
            profile: Profile::of(settings),
            policy: RetryPolicy::of(settings),
            notation: receipts.notation(),
            receipts,
            queue,
            open_attempts: Arc::clone(&self.open_attempts),
            intake: Intake::new(settings.inbound_per_s_max),
            health: Arc::clone(&self.health),
            stop: self.stop.clone(),
        });
        let sessions = (0..settings.binds.max(1)).flat_map(|index| {
            Purpose::of(settings.bind)
                .iter()
                .map(move |purpose| (index, *purpose))
        });
        let mut running = tokio::task::JoinSet::new();
        for (index, purpose) in sessions {
            running.spawn(supervised(Arc::clone(&context), password.clone(), index, purpose));
        }
        while let Some(ended) = running.join_next().await {
            if let Err(error) = ended {
                tracing::error!(carrier = %self.entry.name, %error, "session task failed");
            }
        }
    }

    /// Moves messages to the next carriers of their routes while the carrier is away for longer than `after_s`.
    async fn failover(&self, queue: Arc<CarrierQueue>, after_s: u32) {
        let after_ms = i64::from(after_s) * 1000;
        loop {
            // First of all: a runner may be new because its carrier was changed.
            if self.health.away_ms(self.shared.clock.steady()) >= after_ms.max(1) {
                while self.health.binds_up() == 0 && self.fail_over(&queue).await {}
            }
            tokio::time::sleep(FAILOVER_LOOK).await;
        }
    }

    /// Moves ready messages to their next carriers, in turns between the lanes; false when none was moved.
    async fn fail_over(&self, queue: &CarrierQueue) -> bool {
        let catalog = self.shared.catalog.load_full();
        let mut failed_over = 0;
        // Carriers that have no room: what would go there stays for the next round.
        let mut full: Vec<CarrierNo> = Vec::new();
        let mut places = queue.walk_places();
        while !places.is_empty() && self.health.binds_up() == 0 {
            let mut next_places = Vec::with_capacity(places.len());
            for place in places {
                let (messages, next) =
                    queue.walk(place, FAILOVER_BATCH, self.shared.clock.now(), |message| {
                        self.next_carrier(&catalog, message)
                            .is_some_and(|no| !full.contains(&no))
                    });
                let taken = messages.len();
                let kept = self.move_to_next_carriers(&catalog, messages, &mut full);
                failed_over += taken - kept.len();
                queue.put_back(kept);
                next_places.extend(next);
                tokio::task::yield_now().await;
            }
            places = next_places;
        }
        if failed_over > 0 {
            tracing::warn!(carrier = %self.entry.name, messages = failed_over, "failover");
        }
        failed_over > 0
    }

    /// Moves messages to the queues of their next carriers; returns those without room there.
    fn move_to_next_carriers(
        &self,
        catalog: &Snapshot,
        messages: Vec<Outgoing>,
        full: &mut Vec<CarrierNo>,
    ) -> Vec<Outgoing> {
        let mut kept = Vec::new();
        for mut message in messages {
            let Some(no) = self.next_carrier(catalog, &message) else {
                kept.push(message);
                continue;
            };
            message.taken = None;
            if let Err(message) = self.shared.queues.of(no).accept_failover(message) {
                full.push(no);
                kept.push(message);
            }
        }
        kept
    }

    /// The carrier that a message goes to instead of this one, if there is one that is up.
    fn next_carrier(&self, catalog: &Snapshot, message: &Outgoing) -> Option<CarrierNo> {
        // A carrier that has some of a message must get the rest: elsewhere parts would arrive twice. One that is gone
        // for good never will.
        let removed = matches!(self.entry.settings, CarrierSettings::Removed);
        if message.taken.is_some() && !removed {
            return None;
        }
        catalog
            .routes()
            .carriers(wanted(message))
            .find(|no| *no != self.entry.no && self.carriers.is_up(*no))
    }
}

/// The sandbox is up for as long as this exists, however it ends.
struct SandboxUp<'a>(&'a Runner);

impl<'a> SandboxUp<'a> {
    fn new(runner: &'a Runner) -> Self {
        runner.health.bind_up();
        Self(runner)
    }
}

impl Drop for SandboxUp<'_> {
    fn drop(&mut self) {
        self.0.health.bind_down(self.0.shared.clock.steady());
    }
}

/// Keeps one session up, over panics too.
async fn supervised(
    context: Arc<BindContext>,
    password: secrecy::SecretString,
    index: u16,
    purpose: Purpose,
) {
    let (shared, context) = (&context.shared, &context);
    let start = |panics| {
        let password = password.clone();
        async move {
            if panics > 0 {
                let submits = purpose != Purpose::Receive;
                let now = context.shared.clock.now();
                context
                    .health
                    .board
                    .lost(index, submits, "part of the program panicked", now);
            }
            if panics > 0 && purpose != Purpose::Receive {
                let (shared, open_attempts) = (&context.shared, &context.open_attempts);
                recover::settle_lost(shared, context.entry.no, open_attempts, Some(index)).await;
            }
            keep_up(Arc::clone(context), password, index, purpose).await;
        }
    };
    supervise("session", &shared.metrics, &shared.failure, start).await;
}

/// A session that is up counts for as long as this exists, however it ends.
struct Up<'a> {
    context: &'a BindContext,
    submits: bool,
}

impl<'a> Up<'a> {
    fn new(context: &'a BindContext, submits: bool) -> Self {
        if submits {
            context.health.bind_up();
        }
        let label = Metrics::carrier(context.entry.no);
        context.shared.metrics.binds.get_or_create(&label).inc();
        Self { context, submits }
    }
}

impl Drop for Up<'_> {
    fn drop(&mut self) {
        let label = Metrics::carrier(self.context.entry.no);
        self.context.shared.metrics.binds.get_or_create(&label).dec();
        if self.submits {
            self.context.health.bind_down(self.context.shared.clock.steady());
        }
        // The session may have been woken for messages that it did not take any more.
        self.context.queue.wake_next();
    }
}

/// Keeps one session up: binds, runs it, binds again, with growing pauses while it fails.
async fn keep_up(context: Arc<BindContext>, password: secrecy::SecretString, index: u16, purpose: Purpose) {
    let (name, settings) = (&context.entry.name, &context.settings);
    let first = Duration::from_secs(u64::from(settings.reconnect_s.max(1)));
    let mut pause = first;
    let longest = Duration::from_secs(u64::from(settings.reconnect_s_max.max(1)));
    let rejected_pause = Duration::from_secs(u64::from(settings.bind_rejected_pause_s));
    let mut unexplained = false;
    loop {
        let mut wait = None;
        let bound = tokio::select! {
            () = context.stop.cancelled() => return,
            bound = connect::bind(settings, &password, purpose) => bound,
        };
        match bound {
            Ok((client, events)) => {
                tracing::info!(carrier = %name, bind = index, "session bound");
                let bound_at = tokio::time::Instant::now();
                let submits = purpose != Purpose::Receive;
                let _up = Up::new(&context, submits);
                let board = &context.health.board;
                board.bound(index, submits, context.shared.clock.now());
                let SessionEnd { reason, is_useless } =
                    BindSession::new(Arc::clone(&context), index, submits, client)
                        .run(events)
                        .await;
                board.lost(index, submits, &reason.to_string(), context.shared.clock.now());
                if context.stop.is_cancelled() {
                    tracing::info!(carrier = %name, bind = index, %reason, "session closed");
                } else {
                    tracing::warn!(carrier = %name, bind = index, %reason, "session lost");
                }
                // A carrier that binds and drops what it is given is not bound again and again: its pauses go on growing.
                if !is_useless && bound_at.elapsed() >= first {
                    pause = first;
                }
            }
            Err(error) => {
                let board = &context.health.board;
                // The text has the causes already.
                board.failed(&error.to_string(), context.shared.clock.now());
                // One refusal without a reason may pass: an SMSC that is starting says so too.
                let rejected = error.is_rejection() || unexplained && error.is_unexplained();
                unexplained = error.is_unexplained();
                if rejected && rejected_pause > pause {
                    wait = Some(rejected_pause);
                    tracing::error!(
                        carrier = %name, bind = index, %error, retry_in_s = rejected_pause.as_secs(),
                        "bind rejected"
                    );
                } else {
                    tracing::warn!(
                        carrier = %name, bind = index, %error, retry_in_s = pause.as_secs(),
                        "bind failed"
                    );
                }
                if matches!(error, BindError::Tls(_)) {
                    pause = longest;
                }
            }
        }
        if context.stop.is_cancelled() {
            return;
        }
        // Up to a quarter more, so that all sessions of all nodes do not come back at once.
        let jittered = wait.unwrap_or(pause).mul_f64(1.0 + 0.25 * rand::random::<f64>());
        let wait_ms = i64::try_from(jittered.as_millis()).unwrap_or(i64::MAX);
        let next_try = context.shared.clock.now().saturating_add(wait_ms);
        context.health.board.waits(index, Some(next_try));
        tokio::select! {
            () = context.stop.cancelled() => return,
            () = context.health.reconnect.notified() => {
                unexplained = false;
                pause = first;
            }
            () = tokio::time::sleep(jittered) => {}
        }
        pause = (pause * 2).min(longest);
    }
}

/// Reads lanes that are behind, for as long as the carrier runs. Dropped at any point, it leaves every lane to be
/// read by the next one.
async fn refill(store: Arc<dyn Store>, queue: Arc<CarrierQueue>) {
    loop {
        let Some(wanted) = queue.next_read() else {
            queue.wait_refill().await;
            continue;
        };
        let read = store.read_lane(wanted.lane(), wanted.after(), wanted.messages_max());
        match read.await {
            Ok(messages) => wanted.end(messages),
            Err(error) => {
                tracing::error!(%error, "lane read failed");
                drop(wanted);
                tokio::time::sleep(READ_RETRY).await;
            }
        }
    }
}

#[cfg(test)]
mod tests;
