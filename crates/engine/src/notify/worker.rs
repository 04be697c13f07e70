//! One endpoint's worker: reads on, calls, records. It waits for nobody but its own endpoint and the store.

use super::flight::{self, Desk, Failed, Landed, Outcome};
use super::health::{Health, May, jittered, ms};
use super::limits::{concurrency, events_per_call};
use super::metrics::{FormatLabel, Gauges};
use super::office::Office;
use super::operate::{Change, ChangeReply};
use super::plan::{Bounds, Errand, Plan, Recording};
use super::{Format, Schedule};
use crate::catalog::EndpointEntry;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use store::{EndpointState, RecordDelivery, Redelivery, RedeliveryFilter, Store, StoreError, UnixMs};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Events read at once.
const READ_EVENTS_MAX: usize = 128;
/// Calls that waited from before, read at once.
const LOAD_CALLS_MAX: usize = 100;
/// Done calls that are recorded without waiting for more.
const RECORD_CALLS: usize = 64;
/// How long a place that went forward by itself may wait to be recorded: nothing was told meanwhile.
const PLACE_EVERY: Duration = Duration::from_secs(5);
/// After the store failed.
const STORE_WAIT: Duration = Duration::from_secs(1);

/// What a worker is told.
pub(super) enum Order {
    /// Its endpoint is another now.
    Replace(Arc<EndpointEntry>, Arc<dyn Format>),
    /// An operator changes how it stands.
    Change(Change, ChangeReply),
    /// What is under way is finished, then nothing more is done.
    End,
}

type Recorded = Pin<Box<dyn Future<Output = Result<Vec<Redelivery>, StoreError>> + Send>>;

pub(super) struct Worker {
    office: Arc<Office>,
    desk: Arc<Desk>,
    schedule: Schedule,
    calls_max: usize,
    plan: Plan,
    health: Health,
    flights: JoinSet<Landed>,
    recording: Option<Recorded>,
    /// Since when something waits to be recorded.
    dirty_since: Option<Instant>,
    /// The log was read to its end.
    at_end: bool,
    /// The store failed: not before then.
    store_again: Option<Instant>,
    gauges: Gauges,
}

/// What a worker works with: kept when it panics, for the one that goes on.
pub(super) struct Post {
    /// Its endpoint.
    pub(super) entry: Arc<EndpointEntry>,
    /// The form of its calls.
    pub(super) format: Arc<dyn Format>,
    /// How far the endpoint is, when that was read after the last worker had ended.
    pub(super) known: Option<EndpointState>,
    /// What it is told.
    pub(super) orders: mpsc::Receiver<Order>,
    /// Wakes it when there are new events.
    pub(super) wake: Arc<Notify>,
}

/// Works for an endpoint until it is told to end, or the store is closed.
pub(super) async fn run(office: &Arc<Office>, post: &tokio::sync::Mutex<Post>) {
    let mut post = post.lock().await;
    let Post {
        entry,
        format,
        known,
        orders,
        wake,
    } = &mut *post;
    let id = entry.endpoint.id;
    loop {
        let order = match begin(office, entry, format, known.take()).await {
            Ok(Some(mut worker)) => worker.work(orders, wake).await,
            // Removed in the store; the catalog will say so too.
            Ok(None) => orders.recv().await.unwrap_or(Order::End),
            Err(StoreError::Closed) => Order::End,
            Err(error) => {
                tracing::warn!(endpoint = id.0, %error, "how far an endpoint is could not be read");
                match tokio::time::timeout(STORE_WAIT, orders.recv()).await {
                    Ok(order) => order.unwrap_or(Order::End),
                    Err(_) => continue,
                }
            }
        };
        match order {
            Order::End => break,
            Order::Replace(next, of) => (*entry, *format) = (next, of),
            Order::Change(change, reply) => {
                let done = change.make(office, id).await;
                // Nobody may be waiting any more.
                let _ = reply.send(done);
            }
        }
    }
    office.forget(id);
}

/// Takes up the work where the store says it stands.
async fn begin(
    office: &Arc<Office>,
    entry: &Arc<EndpointEntry>,
    format: &Arc<dyn Format>,
    known: Option<EndpointState>,
) -> Result<Option<Worker>, StoreError> {
    let id = entry.endpoint.id;
    // What the worker before this one had given to the store may not be done yet.
    drop(office.recording(id).lock_owned().await);
    let state = match known {
        Some(state) => state,
        None => {
            let states = office.store().endpoint_states().await?;
            match states.into_iter().find(|state| state.endpoint == id) {
                Some(state) => state,
                None => return Ok(None),
            }
        }
    };
    let EndpointState {
        told,
        pause,
        failing_since,
        waiting,
        ..
    } = state;
    let limits = office.limits();
    let settings = &entry.endpoint.settings;
    let bounds = Bounds {
        window_events_max: limits.window_events_max,
        waiting_events_max: limits.waiting_events_max,
        call_events_max: events_per_call(format.events_max(settings)),
    };
    let mut plan = Plan::new(bounds, told);
    let skew = office.skew();
    let (mut after, mut more) = (0, waiting > 0);
    while more {
        let rows = office
            .store()
            .redeliveries(id, RedeliveryFilter::Waiting, after, LOAD_CALLS_MAX)
            .await?;
        more = rows.len() == LOAD_CALLS_MAX;
        after = rows.last().map_or(after, |row| row.no);
        let counted = skew.counted_calls(rows);
        counted.iter().for_each(|row| plan.load(row));
    }
    let calls_max = concurrency(settings, limits);
    let target = office.egress().target(&entry.endpoint.url);
    if let Err(error) = &target {
        tracing::debug!(endpoint = id.0, %error, "an endpoint cannot be called");
    }
    let desk = Desk {
        office: Arc::clone(office),
        entry: Arc::clone(entry),
        format: Arc::clone(format),
        client: office.egress().client(calls_max),
        target,
    };
    Ok(Some(Worker {
        office: Arc::clone(office),
        desk: Arc::new(desk),
        schedule: format.schedule(settings),
        calls_max,
        plan,
        health: Health::new(
            limits,
            failing_since.map(|since| skew.counted(since)),
            pause.map(|pause| skew.counted_pause(pause)),
        ),
        flights: JoinSet::new(),
        recording: None,
        dirty_since: None,
        at_end: false,
        store_again: None,
        gauges: office.metrics().gauges(id),
    }))
}

impl Worker {
    /// Works until there is an order and everything before it is recorded.
    async fn work(&mut self, orders: &mut mpsc::Receiver<Order>, wake: &Notify) -> Order {
        let mut pending: Option<Order> = None;
        loop {
            let draining = pending.is_some();
            let mut read = false;
            if self.store_again.is_some_and(|at| at <= Instant::now()) {
                self.store_again = None;
            }
            if !draining && self.store_again.is_none() {
                read = self.read_on().await;
                self.launch();
            } else if draining && self.flights.is_empty() {
                self.plan.settle_up(self.office.now());
            }
            self.record(draining);
            self.show();
            if self.flights.is_empty()
                && self.recording.is_none()
                && let Some(order) = pending.take()
            {
                return order;
            }
            // After a piece of the log was read, there may be more of it.
            let sleep = if read { Duration::ZERO } else { self.sleep() };
            tokio::select! {
                Some(landed) = self.flights.join_next() => match landed {
                    Ok(landed) => self.landed(landed),
                    // What it held is in the store as it was: begin anew from there, as after a panic of one's own.
                    Err(error) => match error.try_into_panic() {
                        Ok(panic) => std::panic::resume_unwind(panic),
                        Err(_cancelled) => return Order::End,
                    }
                },
                recorded = done(&mut self.recording) => {
                    self.recording = None;
                    match recorded {
                        Ok(rows) => self.plan.recorded(&self.office.skew().counted_calls(rows)),
                        // The store is closed: nothing more can be done.
                        Err(_) => return Order::End,
                    }
                }
                order = orders.recv(), if !draining => pending = Some(order.unwrap_or(Order::End)),
                () = wake.notified() => self.at_end = false,
                () = tokio::time::sleep(sleep) => {
                    // The safety net, should a wake have been missed.
                    self.at_end &= read;
                }
            }
        }
    }

    fn id(&self) -> u32 {
        self.desk.entry.endpoint.id.0
    }

    /// Reads a piece of the log ahead, if there is room for it and it can be told; false when there was none to read.
    async fn read_on(&mut self) -> bool {
        let may_wait = match self.health.may(self.office.now()) {
            May::Nothing => true,
            // One call's worth is enough to try with.
            May::Trial | May::NothingUntil(_) => self.plan.oldest().is_some(),
            May::All => false,
        };
        let room = self.plan.room().min(READ_EVENTS_MAX);
        // Not one by one: a quarter of the window must be free.
        let little = room < READ_EVENTS_MAX.min(self.office.limits().window_events_max / 4);
        if may_wait || self.at_end || little {
            return false;
        }
        self.read_piece(room).await.unwrap_or_else(|error| {
            tracing::warn!(endpoint = self.id(), %error, "events could not be read");
            self.store_again = Some(Instant::now() + STORE_WAIT);
            false
        })
    }

    async fn read_piece(&mut self, events_max: usize) -> Result<bool, StoreError> {
        let endpoint = &self.desk.entry.endpoint;
        let from = self.plan.read_to();
        let (events, to) = self
            .office
            .store()
            .events(endpoint.account, from, endpoint.kinds, events_max)
            .await?;
        if events.is_empty() && to == from {
            self.at_end = true;
            return Ok(false);
        }
        let read = flight::ahead(&self.office, endpoint.account, events).await?;
        self.plan.read(read, to);
        Ok(true)
    }

    /// Makes the calls there is room for.
    fn launch(&mut self) {
        loop {
            let now = self.office.now();
            let (trial, calls_max) = match self.health.may(now) {
                May::All => (false, self.calls_max),
                May::Trial => (true, 1),
                May::NothingUntil(_) | May::Nothing => return,
            };
            if self.flights.len() >= calls_max {
                return;
            }
            let permit = if self.flights.is_empty() {
                None
            } else {
                match self.office.permit() {
                    Some(permit) => Some(permit),
                    None => return,
                }
            };
            let errand = if trial {
                self.plan.next_trial(now)
            } else {
                self.plan.next(now)
            };
            let Some(errand) = errand else { return };
            self.flights
                .spawn(flight::fly(Arc::clone(&self.desk), errand, trial, permit));
        }
    }

    fn landed(&mut self, landed: Landed) {
        let now = self.office.now();
        match landed.outcome {
            Outcome::Taken => {
                if let Some(since) = self.health.taken() {
                    tracing::info!(endpoint = self.id(), "the endpoint takes calls again");
                    self.plan.hurry(since, now);
                }
                self.over(&landed.errand);
            }
            Outcome::Passed => self.over(&landed.errand),
            Outcome::Unread(error) => {
                tracing::warn!(endpoint = self.id(), %error, "what an event is about could not be read");
                self.store_again = Some(Instant::now() + STORE_WAIT);
                match landed.errand {
                    Errand::New(unit) => self.plan.undone(&unit),
                    Errand::Again(again) => self.plan.undone_again(again, now),
                }
            }
            Outcome::Failed(failed) => self.failed(landed.errand, landed.trial, failed, now),
        }
    }

    fn over(&mut self, errand: &Errand) {
        match errand {
            Errand::New(unit) => self.plan.told(unit),
            Errand::Again(again) => self.plan.settled(again.no),
        }
    }

    fn failed(&mut self, errand: Errand, trial: bool, failed: Failed, now: UnixMs) {
        if self.health.is_failing() {
            tracing::debug!(endpoint = self.id(), reason = %failed.words, "webhook call failed");
        } else {
            // Once until a call is taken: people see what is wrong before the endpoint is paused.
            tracing::warn!(endpoint = self.id(), reason = %failed.words, "webhook is failing");
        }
        let was_in_trouble = self.health.in_trouble();
        let was_paused = self.health.is_paused();
        if failed.gone {
            self.health.gone(now, &failed.words);
        } else {
            let jitter = rand::random_range(-1.0..=1.0);
            self.health.failed(now, failed.first, &failed.words, jitter);
        }
        let retry_after = failed
            .retry_after
            .map(|asked| asked.wait(self.office.wall_clock()));
        if let Some(wait) = retry_after {
            self.health.hold(now, wait);
        }
        if self.health.in_trouble() && !was_in_trouble {
            self.plan.forget_subjects();
        }
        if self.health.is_paused() && !was_paused {
            tracing::warn!(endpoint = self.id(), "the endpoint is paused: it takes no calls");
        }
        let before = match &errand {
            Errand::New(_) => 0,
            Errand::Again(again) => again.tries,
        };
        // A call that found out how the endpoint is has not used up a try of its own.
        let (tries, due) = if failed.hopeless {
            (before.saturating_add(1), i64::MAX)
        } else if trial || failed.gone {
            (before, now)
        } else {
            let tries = before.saturating_add(1);
            (tries, self.due(tries, now, retry_after))
        };
        if due == i64::MAX {
            let label = FormatLabel {
                format: self.desk.format.name(),
            };
            self.office.metrics().given_up.get_or_create(&label).inc();
            tracing::warn!(
                endpoint = self.id(),
                tries,
                "a call was given up; it can be resent by hand"
            );
        }
        match errand {
            Errand::New(unit) => self.plan.failed(unit, tries, due, now, failed.words),
            Errand::Again(again) => self.plan.failed_again(again.no, tries, due, failed.words),
        }
    }

    /// When a call that failed so often is due again; [`i64::MAX`] for never.
    fn due(&self, tries: u16, now: UnixMs, retry_after: Option<Duration>) -> UnixMs {
        let Some(wait) = self.schedule.waits.get(usize::from(tries).saturating_sub(1)) else {
            return i64::MAX;
        };
        let jitter = rand::random_range(-1.0..=1.0);
        let wait = jittered(ms(*wait), self.schedule.jitter_percent, jitter);
        let asked = retry_after.map_or(0, |asked| ms(asked.min(self.office.limits().retry_after_max)));
        now.saturating_add(wait.max(asked)).min(i64::MAX - 1)
    }

    /// Begins to record what is done, when it is time.
    fn record(&mut self, at_once: bool) {
        let calls = self.plan.unrecorded();
        let told_something = calls > 0 || self.health.has_changed();
        if !told_something && !self.plan.place_changed() {
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
        let (pause, failing_since) = self.health.change().unzip();
        let Recording {
            told,
            put_aside,
            settled,
            retried,
            last_no,
        } = recording;
        let done = RecordDelivery {
            endpoint: Some(self.desk.entry.endpoint.id),
            told,
            put_aside,
            settled,
            retried,
            pause,
            failing_since,
            last_error: self.health.take_last_error(),
        };
        // What is stored is shown, and goes on with the next start by the clock of then.
        let done = self.office.skew().shown_delivery(done);
        self.dirty_since = None;
        // A task of its own: it goes on when this worker does not, and the next one waits for it.
        let (store, turn) = (
            Arc::clone(self.office.store()),
            self.office.recording(self.desk.entry.endpoint.id),
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
        if self.plan.unrecorded() > 0 || self.health.has_changed() {
            self.office.limits().record_every
        } else {
            PLACE_EVERY
        }
    }

    /// How long there is nothing to do unless something happens.
    fn sleep(&self) -> Duration {
        let now = self.office.now();
        let until =
            |at: UnixMs| Duration::from_millis(u64::try_from(at.saturating_sub(now)).unwrap_or(0).max(1));
        let mut sleep = self.office.limits().poll;
        match self.health.may(now) {
            May::All => {
                if let Some(due) = self.plan.next_due().filter(|due| *due > now) {
                    sleep = sleep.min(until(due));
                }
            }
            May::NothingUntil(at) => sleep = sleep.min(until(at)),
            May::Trial | May::Nothing => {}
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
            .set(i64::try_from(self.flights.len()).unwrap_or(i64::MAX));
        let behind = self
            .plan
            .oldest()
            .map_or(0, |at| (self.office.wall_clock() - at).max(0) / 1000);
        self.gauges.behind_seconds.set(behind);
        self.gauges
            .waiting
            .set(i64::try_from(self.plan.waiting()).unwrap_or(i64::MAX));
        self.gauges.paused.set(i64::from(self.health.is_paused()));
    }
}

/// The end of what is being recorded; never, when nothing is.
async fn done(recording: &mut Option<Recorded>) -> Result<Vec<Redelivery>, StoreError> {
    match recording {
        Some(recording) => recording.await,
        None => std::future::pending().await,
    }
}

/// Records, however often the store has to be asked, and gives the calls put aside back with their numbers.
async fn record(
    store: Arc<dyn Store>,
    done: RecordDelivery,
    last_no: i64,
) -> Result<Vec<Redelivery>, StoreError> {
    let Some(id) = done.endpoint else {
        return Ok(Vec::new());
    };
    let waiting = done.put_aside.iter().filter(|call| call.due < i64::MAX).count();
    loop {
        match store.record_delivery(done.clone()).await {
            Ok(()) => break,
            Err(StoreError::Closed) => return Err(StoreError::Closed),
            Err(error) => {
                tracing::warn!(endpoint = id.0, %error, "what an endpoint was told could not be recorded")
            }
        }
        tokio::time::sleep(STORE_WAIT).await;
    }
    loop {
        if waiting == 0 {
            return Ok(Vec::new());
        }
        match store
            .redeliveries(id, RedeliveryFilter::Waiting, last_no, waiting)
            .await
        {
            Ok(rows) => return Ok(rows),
            Err(StoreError::Closed) => return Err(StoreError::Closed),
            Err(error) => tracing::warn!(endpoint = id.0, %error, "calls put aside could not be read"),
        }
        tokio::time::sleep(STORE_WAIT).await;
    }
}
