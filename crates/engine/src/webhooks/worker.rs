//! The worker of one endpoint: reads events from the outbox, delivers them and records the results.

use super::breaker::{BreakerState, CircuitBreaker, jittered, ms};
use super::delivery::{self, DeliveryDone, EndpointContext, Failed, Outcome};
use super::limits::{concurrency, events_per_call};
use super::metrics::{FormatLabel, Gauges};
use super::operate::{Change, ChangeReply};
use super::plan::{Bounds, Delivery, Plan, Recording};
use super::supervisor::WebhookContext;
use super::{Format, Schedule};
use crate::catalog::EndpointEntry;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use store::{DeliveryRetry, DeliveryRetryFilter, EndpointState, RecordDelivery, Store, StoreError, UnixMs};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Events of one read.
const READ_EVENTS_MAX: usize = 128;
/// Stored retries of one read at the start.
const LOAD_CALLS_MAX: usize = 100;
/// Results that are recorded at once, without waiting for more.
const RECORD_CALLS: usize = 64;
/// How long the acked offset waits to be recorded when it moved past events that need no call.
const PLACE_EVERY: Duration = Duration::from_secs(5);
/// Delay before a retry after the store failed.
const STORE_WAIT: Duration = Duration::from_secs(1);

/// A command to a worker.
pub(super) enum WorkerCommand {
    /// The catalog has changed the endpoint.
    Replace(Arc<EndpointEntry>, Arc<dyn Format>),
    /// An operator's change of the endpoint's state.
    Change(Change, ChangeReply),
    /// Finish the calls in flight and end.
    End,
}

type Recorded = Pin<Box<dyn Future<Output = Result<Vec<DeliveryRetry>, StoreError>> + Send>>;

pub(super) struct Worker {
    context: Arc<WebhookContext>,
    endpoint_context: Arc<EndpointContext>,
    schedule: Schedule,
    calls_max: usize,
    plan: Plan,
    breaker: CircuitBreaker,
    deliveries: JoinSet<DeliveryDone>,
    recording: Option<Recorded>,
    /// When the oldest unrecorded result was added.
    dirty_since: Option<Instant>,
    /// The outbox was read to its end.
    at_end: bool,
    /// After a failure of the store: the time of the next try.
    store_again: Option<Instant>,
    gauges: Gauges,
}

/// The inputs of a worker, kept over a panic for its restart.
pub(super) struct WorkerAssignment {
    pub(super) entry: Arc<EndpointEntry>,
    pub(super) format: Arc<dyn Format>,
    /// The endpoint's stored state, if it was read after the previous worker ended.
    pub(super) known: Option<EndpointState>,
    pub(super) commands: mpsc::Receiver<WorkerCommand>,
    /// Notified when the account has new events.
    pub(super) wake: Arc<Notify>,
}

/// Runs the worker until `WorkerCommand::End`, or until the store is closed.
pub(super) async fn run(context: &Arc<WebhookContext>, assignment: &tokio::sync::Mutex<WorkerAssignment>) {
    let mut assignment = assignment.lock().await;
    let WorkerAssignment {
        entry,
        format,
        known,
        commands,
        wake,
    } = &mut *assignment;
    let id = entry.endpoint.id;
    loop {
        let command = match begin(context, entry, format, known.take()).await {
            Ok(Some(mut worker)) => worker.work(commands, wake).await,
            // The endpoint is removed in the store; the catalog follows.
            Ok(None) => commands.recv().await.unwrap_or(WorkerCommand::End),
            Err(StoreError::Closed) => WorkerCommand::End,
            Err(error) => {
                tracing::warn!(endpoint = id.0, %error, "webhook states read failed");
                match tokio::time::timeout(STORE_WAIT, commands.recv()).await {
                    Ok(command) => command.unwrap_or(WorkerCommand::End),
                    Err(_) => continue,
                }
            }
        };
        match command {
            WorkerCommand::End => break,
            WorkerCommand::Replace(next, of) => (*entry, *format) = (next, of),
            WorkerCommand::Change(change, reply) => {
                let done = change.make(context, id).await;
                // The requester may have gone.
                let _ = reply.send(done);
            }
        }
    }
    context.remove_endpoint(id);
}

/// Loads the endpoint's state from the store; `None` when the endpoint is gone.
async fn begin(
    context: &Arc<WebhookContext>,
    entry: &Arc<EndpointEntry>,
    format: &Arc<dyn Format>,
    known: Option<EndpointState>,
) -> Result<Option<Worker>, StoreError> {
    let id = entry.endpoint.id;
    // The store may still be recording results of the previous worker.
    drop(context.recording(id).lock_owned().await);
    let state = match known {
        Some(state) => state,
        None => {
            let states = context.store().endpoint_states().await?;
            match states.into_iter().find(|state| state.endpoint == id) {
                Some(state) => state,
                None => return Ok(None),
            }
        }
    };
    let EndpointState {
        acked_offset,
        pause,
        failing_since,
        waiting,
        ..
    } = state;
    let limits = context.limits();
    let settings = &entry.endpoint.settings;
    let bounds = Bounds {
        window_events_max: limits.window_events_max,
        waiting_events_max: limits.waiting_events_max,
        call_events_max: events_per_call(format.events_max(settings)),
    };
    let mut plan = Plan::new(bounds, acked_offset);
    let skew = context.skew();
    let (mut after, mut more) = (0, waiting > 0);
    while more {
        let rows = context
            .store()
            .delivery_retries(id, DeliveryRetryFilter::Waiting, after, LOAD_CALLS_MAX)
            .await?;
        more = rows.len() == LOAD_CALLS_MAX;
        after = rows.last().map_or(after, |row| row.no);
        let counted = skew.counted_calls(rows);
        counted.iter().for_each(|row| plan.load(row));
    }
    let calls_max = concurrency(settings, limits);
    let target = context.egress().target(&entry.endpoint.url);
    if let Err(error) = &target {
        tracing::debug!(endpoint = id.0, %error, "webhook URL rejected");
    }
    let endpoint_context = EndpointContext {
        context: Arc::clone(context),
        entry: Arc::clone(entry),
        format: Arc::clone(format),
        client: context.egress().client(calls_max),
        target,
    };
    Ok(Some(Worker {
        context: Arc::clone(context),
        endpoint_context: Arc::new(endpoint_context),
        schedule: format.schedule(settings),
        calls_max,
        plan,
        breaker: CircuitBreaker::new(
            limits,
            failing_since.map(|since| skew.counted(since)),
            pause.map(|pause| skew.counted_pause(pause)),
        ),
        deliveries: JoinSet::new(),
        recording: None,
        dirty_since: None,
        at_end: false,
        store_again: None,
        gauges: context.metrics().gauges(id),
    }))
}

impl Worker {
    /// Runs until a command arrives and all results before it are recorded.
    async fn work(&mut self, commands: &mut mpsc::Receiver<WorkerCommand>, wake: &Notify) -> WorkerCommand {
        let mut pending: Option<WorkerCommand> = None;
        loop {
            let draining = pending.is_some();
            let mut read = false;
            if self.store_again.is_some_and(|at| at <= Instant::now()) {
                self.store_again = None;
            }
            if !draining && self.store_again.is_none() {
                read = self.read_on().await;
                self.launch();
            } else if draining && self.deliveries.is_empty() {
                self.plan.flush_pending(self.context.now());
            }
            self.record(draining);
            self.show();
            if self.deliveries.is_empty()
                && self.recording.is_none()
                && let Some(command) = pending.take()
            {
                return command;
            }
            // After a full read there may be more events.
            let sleep = if read { Duration::ZERO } else { self.sleep() };
            tokio::select! {
                Some(delivered) = self.deliveries.join_next() => match delivered {
                    Ok(delivered) => self.delivered(delivered),
                    // Its events are unchanged in the store: the panic restarts this worker from there.
                    Err(error) => match error.try_into_panic() {
                        Ok(panic) => std::panic::resume_unwind(panic),
                        Err(_cancelled) => return WorkerCommand::End,
                    }
                },
                recorded = done(&mut self.recording) => {
                    self.recording = None;
                    match recorded {
                        Ok(rows) => self.plan.recorded(&self.context.skew().counted_calls(rows)),
                        // The store is closed.
                        Err(_) => return WorkerCommand::End,
                    }
                }
                command = commands.recv(), if !draining => pending = Some(command.unwrap_or(WorkerCommand::End)),
                () = wake.notified() => self.at_end = false,
                () = tokio::time::sleep(sleep) => {
                    // Polls the outbox in case a wake-up was missed.
                    self.at_end &= read;
                }
            }
        }
    }

    fn id(&self) -> u32 {
        self.endpoint_context.entry.endpoint.id.0
    }

    /// Reads events ahead, if the window has room and the breaker allows calls; false when nothing was read.
    async fn read_on(&mut self) -> bool {
        let may_wait = match self.breaker.state(self.context.now()) {
            BreakerState::Open => true,
            // A trial needs one event only.
            BreakerState::HalfOpen | BreakerState::OpenUntil(_) => self.plan.oldest().is_some(),
            BreakerState::Closed => false,
        };
        let room = self.plan.room().min(READ_EVENTS_MAX);
        // Reads in batches: a quarter of the window must be free.
        let little = room < READ_EVENTS_MAX.min(self.context.limits().window_events_max / 4);
        if may_wait || self.at_end || little {
            return false;
        }
        self.read_piece(room).await.unwrap_or_else(|error| {
            tracing::warn!(endpoint = self.id(), %error, "webhook events read failed");
            self.store_again = Some(Instant::now() + STORE_WAIT);
            false
        })
    }

    async fn read_piece(&mut self, events_max: usize) -> Result<bool, StoreError> {
        let endpoint = &self.endpoint_context.entry.endpoint;
        let from = self.plan.read_to();
        let (events, to) = self
            .context
            .store()
            .events(endpoint.account, from, endpoint.kinds, events_max)
            .await?;
        if events.is_empty() && to == from {
            self.at_end = true;
            return Ok(false);
        }
        let read = delivery::ahead(&self.context, endpoint.account, events).await?;
        self.plan.read(read, to);
        Ok(true)
    }

    /// Starts calls up to the allowed concurrency.
    fn launch(&mut self) {
        loop {
            let now = self.context.now();
            let (trial, calls_max) = match self.breaker.state(now) {
                BreakerState::Closed => (false, self.calls_max),
                BreakerState::HalfOpen => (true, 1),
                BreakerState::OpenUntil(_) | BreakerState::Open => return,
            };
            if self.deliveries.len() >= calls_max {
                return;
            }
            let permit = if self.deliveries.is_empty() {
                None
            } else {
                match self.context.permit() {
                    Some(permit) => Some(permit),
                    None => return,
                }
            };
            let delivery = if trial {
                self.plan.next_trial(now)
            } else {
                self.plan.next(now)
            };
            let Some(delivery) = delivery else { return };
            self.deliveries.spawn(delivery::deliver(
                Arc::clone(&self.endpoint_context),
                delivery,
                trial,
                permit,
            ));
        }
    }

    fn delivered(&mut self, delivered: DeliveryDone) {
        let now = self.context.now();
        match delivered.outcome {
            Outcome::Taken => {
                if let Some(since) = self.breaker.taken() {
                    tracing::info!(endpoint = self.id(), "webhook recovered");
                    self.plan.expedite(since, now);
                }
                self.over(&delivered.delivery);
            }
            Outcome::Passed => self.over(&delivered.delivery),
            Outcome::Unread(error) => {
                tracing::warn!(endpoint = self.id(), %error, "webhook events read failed");
                self.store_again = Some(Instant::now() + STORE_WAIT);
                match delivered.delivery {
                    Delivery::New(unit) => self.plan.undone(&unit),
                    Delivery::Retry(retry) => self.plan.retry_undone(retry, now),
                }
            }
            Outcome::Failed(failed) => self.failed(delivered.delivery, delivered.trial, failed, now),
        }
    }

    fn over(&mut self, delivery: &Delivery) {
        match delivery {
            Delivery::New(unit) => self.plan.succeeded(unit),
            Delivery::Retry(retry) => self.plan.settled(retry.no),
        }
    }

    fn failed(&mut self, delivery: Delivery, trial: bool, failed: Failed, now: UnixMs) {
        if self.breaker.is_failing() {
            tracing::debug!(endpoint = self.id(), reason = %failed.words, "webhook call failed");
        } else {
            // Warns once until a call succeeds, before the endpoint is paused.
            tracing::warn!(endpoint = self.id(), reason = %failed.words, "webhook failing");
        }
        let was_tripped = self.breaker.is_tripped();
        let was_paused = self.breaker.is_paused();
        if failed.gone {
            self.breaker.gone(now, &failed.words);
        } else {
            let jitter = rand::random_range(-1.0..=1.0);
            self.breaker.failed(now, failed.first, &failed.words, jitter);
        }
        let retry_after = failed
            .retry_after
            .map(|requested| requested.wait(self.context.wall_clock()));
        if let Some(wait) = retry_after {
            self.breaker.hold(now, wait);
        }
        if self.breaker.is_tripped() && !was_tripped {
            self.plan.drop_subjects();
        }
        if self.breaker.is_paused() && !was_paused {
            tracing::warn!(endpoint = self.id(), "webhook paused");
        }
        let before = match &delivery {
            Delivery::New(_) => 0,
            Delivery::Retry(retry) => retry.tries,
        };
        // A trial does not count as a try.
        let (tries, due) = if failed.permanent {
            (before.saturating_add(1), i64::MAX)
        } else if trial || failed.gone {
            (before, now)
        } else {
            let tries = before.saturating_add(1);
            (tries, self.due(tries, now, retry_after))
        };
        if due == i64::MAX {
            let label = FormatLabel {
                format: self.endpoint_context.format.name(),
            };
            self.context.metrics().given_up.get_or_create(&label).inc();
            tracing::warn!(endpoint = self.id(), tries, "webhook call dead");
        }
        match delivery {
            Delivery::New(unit) => self.plan.failed(unit, tries, due, now, failed.words),
            Delivery::Retry(retry) => self.plan.retry_failed(retry.no, tries, due, failed.words),
        }
    }

    /// When a call that failed `tries` times is due again; [`i64::MAX`] when its schedule is exhausted.
    fn due(&self, tries: u16, now: UnixMs, retry_after: Option<Duration>) -> UnixMs {
        let Some(wait) = self.schedule.waits.get(usize::from(tries).saturating_sub(1)) else {
            return i64::MAX;
        };
        let jitter = rand::random_range(-1.0..=1.0);
        let wait = jittered(ms(*wait), self.schedule.jitter_percent, jitter);
        let requested = retry_after.map_or(0, |requested| {
            ms(requested.min(self.context.limits().retry_after_max))
        });
        now.saturating_add(wait.max(requested)).min(i64::MAX - 1)
    }

    /// Starts recording results, if they have waited long enough or `at_once` is set.
    fn record(&mut self, at_once: bool) {
        let calls = self.plan.unrecorded();
        let has_results = calls > 0 || self.breaker.has_changed();
        if !has_results && !self.plan.offset_changed() {
            self.dirty_since = None;
            return;
        }
        let since = *self.dirty_since.get_or_insert_with(Instant::now);
        let wait = self.record_wait();
        if self.recording.is_some() || !(at_once || calls >= RECORD_CALLS || since.elapsed() >= wait) {
            return;
        }
        let Some(recording) = self.plan.begin_recording() else {
            return;
        };
        let (pause, failing_since) = self.breaker.change().unzip();
        let Recording {
            acked_offset,
            deferred,
            settled,
            retried,
            last_no,
        } = recording;
        let done = RecordDelivery {
            endpoint: Some(self.endpoint_context.entry.endpoint.id),
            acked_offset,
            deferred,
            settled,
            retried,
            pause,
            failing_since,
            last_error: self.breaker.take_last_error(),
        };
        // Stored times are those of the system clock.
        let done = self.context.skew().shown_delivery(done);
        self.dirty_since = None;
        // A separate task, so that it survives a panic of this worker; the next worker waits for it.
        let (store, turn) = (
            Arc::clone(self.context.store()),
            self.context.recording(self.endpoint_context.entry.endpoint.id),
        );
        let recording = tokio::spawn(async move {
            let _turn = turn.lock_owned().await;
            record(store, done, last_no).await
        });
        self.recording = Some(Box::pin(async move {
            match recording.await {
                Ok(recorded) => recorded,
                Err(error) => match error.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    Err(_cancelled) => Err(StoreError::Closed),
                },
            }
        }));
    }

    fn record_wait(&self) -> Duration {
        if self.plan.unrecorded() > 0 || self.breaker.has_changed() {
            self.context.limits().record_every
        } else {
            PLACE_EVERY
        }
    }

    /// The time until the next timer: a due retry, the breaker, a recording or the poll.
    fn sleep(&self) -> Duration {
        let now = self.context.now();
        let until =
            |at: UnixMs| Duration::from_millis(u64::try_from(at.saturating_sub(now)).unwrap_or(0).max(1));
        let mut sleep = self.context.limits().poll;
        match self.breaker.state(now) {
            BreakerState::Closed => {
                if let Some(due) = self.plan.next_due().filter(|due| *due > now) {
                    sleep = sleep.min(until(due));
                }
            }
            BreakerState::OpenUntil(at) => sleep = sleep.min(until(at)),
            BreakerState::HalfOpen | BreakerState::Open => {}
        }
        if let Some(since) = self.dirty_since.filter(|_| self.recording.is_none()) {
            sleep = sleep.min(self.record_wait().saturating_sub(since.elapsed()));
        }
        if let Some(at) = self.store_again {
            sleep = sleep.min(at.saturating_duration_since(Instant::now()));
        }
        sleep
    }

    fn show(&self) {
        self.gauges
            .under_way
            .set(i64::try_from(self.deliveries.len()).unwrap_or(i64::MAX));
        let behind = self
            .plan
            .oldest()
            .map_or(0, |at| (self.context.wall_clock() - at).max(0) / 1000);
        self.gauges.lag_seconds.set(behind);
        self.gauges
            .waiting
            .set(i64::try_from(self.plan.waiting()).unwrap_or(i64::MAX));
        self.gauges.paused.set(i64::from(self.breaker.is_paused()));
    }
}

/// Waits for the recording in progress; for ever when there is none.
async fn done(recording: &mut Option<Recorded>) -> Result<Vec<DeliveryRetry>, StoreError> {
    match recording {
        Some(recording) => recording.await,
        None => std::future::pending().await,
    }
}

/// Records results, retrying until the store accepts them, and returns the new retries with their numbers.
async fn record(
    store: Arc<dyn Store>,
    done: RecordDelivery,
    last_no: i64,
) -> Result<Vec<DeliveryRetry>, StoreError> {
    let Some(id) = done.endpoint else {
        return Ok(Vec::new());
    };
    let waiting = done.deferred.iter().filter(|call| call.due < i64::MAX).count();
    loop {
        match store.record_delivery(done.clone()).await {
            Ok(()) => break,
            Err(StoreError::Closed) => return Err(StoreError::Closed),
            Err(error) => {
                tracing::warn!(endpoint = id.0, %error, "webhook results write failed")
            }
        }
        tokio::time::sleep(STORE_WAIT).await;
    }
    loop {
        if waiting == 0 {
            return Ok(Vec::new());
        }
        match store
            .delivery_retries(id, DeliveryRetryFilter::Waiting, last_no, waiting)
            .await
        {
            Ok(rows) => return Ok(rows),
            Err(StoreError::Closed) => return Err(StoreError::Closed),
            Err(error) => tracing::warn!(endpoint = id.0, %error, "webhook retries read failed"),
        }
        tokio::time::sleep(STORE_WAIT).await;
    }
}
