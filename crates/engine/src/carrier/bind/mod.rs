//! One session with a carrier.
//!
//! ```text
//! queue ─take─► begin (durable) ─► submit ─► answer ─► record (durable) ─► slot free
//!                                            deliver ─► record (durable) ─► deliver_sm_resp
//! ```
//!
//! Each of the three durable steps has at most one commit under way; what comes meanwhile goes with the next. So the
//! batches grow with the load and with the cost of a commit, by themselves.
//!
//! Where the carrier's policy is to send again what is in doubt, attempts are begun ahead, so that a small window does
//! not wait for commits. That does not widen what a kill can send twice: the session itself never has more than its window
//! on the wire without a durable result, and what was begun but not written was not sent.

mod answers;
mod counted;
mod deliveries;

use super::Health;
use super::encode::{Profile, Texts};
use super::flight::Flight;
use super::pace::Pace;
use super::verdict::RetryPolicy;
use crate::catalog::{CarrierEntry, InDoubt, SmppSettings};
use crate::engine::Shared;
use crate::inbound::{self, Arrived};
use crate::queue::{CarrierQueue, consumed};
use crate::receipt::{self, Read};
use crate::route::Wanted;
use counted::Counted;
use smpp::client::{Client, Events};
use smpp::pdu::{DeliverSmResp, Pdu};
use smpp::session::{CloseReason, Event, Reply, Request};
use smpp::status::CommandStatus;
use sms::receipt::IdNotation;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use store::{
    AttemptOutcome, AttemptStart, BegunAttempt, CarrierReceipt, InboundFate, Next, Outgoing, ReceiptFate,
    RecordResults, ResultFate, SegmentAnswer, StoreError, UnixMs,
};
use tokio_util::sync::CancellationToken;

/// A commit under way.
type Pending<T> = Option<Pin<Box<dyn Future<Output = T> + Send>>>;

/// Messages and the attempt that was made durable for them.
type Begun = (Vec<Outgoing>, Result<Vec<BegunAttempt>, StoreError>);
/// Results, what they free, and whether they are durable.
type Recorded = (RecordResults, Landing, Result<Vec<ResultFate>, StoreError>);
/// Answers to deliveries, and whether the receipts in them are durable.
type Acknowledged = (Vec<Reply>, Result<Vec<ReceiptFate>, StoreError>);

/// Answers to what people wrote, and whether it is durable.
type Taken = (Vec<Reply>, Result<Vec<InboundFate>, StoreError>);

/// What all sessions of a carrier share.
pub(crate) struct BindContext {
    pub(crate) shared: Arc<Shared>,
    pub(crate) entry: Arc<CarrierEntry>,
    pub(crate) settings: SmppSettings,
    pub(crate) profile: Profile,
    pub(crate) policy: RetryPolicy,
    pub(crate) notation: IdNotation,
    pub(crate) queue: Arc<CarrierQueue>,
    pub(crate) health: Arc<Health>,
    pub(crate) stop: CancellationToken,
}

/// One session, from bound to closed.
pub(crate) struct BindSession {
    context: Arc<BindContext>,
    index: u16,
    /// False for a session that only receives.
    submits: bool,
    client: Client,
    flight: Flight,
    pace: Pace,
    outcomes: Vec<AttemptOutcome>,
    /// Slots of the window that the outcomes in `outcomes` give back, and segments they take out of flight.
    landing: Landing,
    receipts: Receipts,
    arrived: Inbox,
    beginning: Pending<Begun>,
    recording: Pending<Recorded>,
    acknowledging: Pending<Acknowledged>,
    taking: Pending<Taken>,
    /// After the store failed: no commit is tried before this.
    rest_until: UnixMs,
    closed: Option<CloseReason>,
    texts: Texts,
    counted: Counted,
}

#[derive(Debug, Default, Clone, Copy)]
struct Landing {
    slots: usize,
    segments: usize,
}

/// Receipts that wait to be recorded, with the answers they will get.
#[derive(Default)]
struct Receipts {
    records: Vec<CarrierReceipt>,
    replies: Vec<Reply>,
}

/// What people wrote that waits to be stored, with the answers it will get.
#[derive(Default)]
struct Inbox {
    parts: Vec<Arrived>,
    replies: Vec<Reply>,
}

/// How long a session that unbinds waits for what is still to be answered.
const UNBIND_DRAIN_MAX: Duration = Duration::from_secs(5);
/// How long the store is left alone after a failed commit.
const STORE_REST_MS: i64 = 500;
/// Segments begun ahead at most: a code waits behind them, and a wide window is never short of work.
const AHEAD_MAX: usize = 100;
/// Results or receipts that go into one commit at most.
const GROUP_MAX: usize = 4096;

impl BindSession {
    pub(crate) fn new(context: Arc<BindContext>, index: u16, submits: bool, client: Client) -> Self {
        let now = context.shared.clock.now();
        let counted = Counted::new(&context.shared.metrics, context.entry.no);
        let pace = Pace::new(context.settings.rate_per_s_max, context.settings.window_max, now);
        Self {
            context,
            index,
            submits,
            client,
            flight: Flight::default(),
            pace,
            outcomes: Vec::new(),
            landing: Landing::default(),
            receipts: Receipts::default(),
            arrived: Inbox::default(),
            beginning: None,
            recording: None,
            acknowledging: None,
            taking: None,
            rest_until: 0,
            closed: None,
            texts: Texts::default(),
            counted,
        }
    }

    /// Runs until the session is over and everything that came of it is durable.
    pub(crate) async fn run(mut self, mut events: Events) -> CloseReason {
        let stop = self.context.stop.clone();
        let cancel = self.context.shared.cancel.clone();
        let (mut unbinding, mut cut) = (false, false);
        loop {
            self.start_commits();
            if self.is_done() {
                return self.closed.take().unwrap_or(CloseReason::Closed);
            }
            let stopping = stop.is_cancelled();
            if stopping && !unbinding && self.closed.is_none() && self.is_quiet() {
                unbinding = true;
                let client = self.client.clone();
                // The session reports its end as `Closed`, however the unbind goes.
                self.context
                    .shared
                    .tasks
                    .spawn(async move { client.unbind_and_drain(UNBIND_DRAIN_MAX).await });
            }
            let allowance = if stopping || unbinding {
                0
            } else {
                self.allowance()
            };
            let wake = self.wake();
            tokio::select! {
                batch = events.next(), if self.closed.is_none() => self.take_in(batch),
                (results, landing, done) = pending(&mut self.recording) => self.recorded(results, landing, done),
                (replies, done) = pending(&mut self.acknowledging) => self.acknowledged(replies, done).await,
                (replies, done) = pending(&mut self.taking) => self.taken(replies, done),
                (messages, done) = pending(&mut self.beginning) => self.begun(messages, done).await,
                () = self.context.queue.wait_ready(), if allowance > 0 => self.begin(allowance),
                () = stop.cancelled(), if !stopping => {}
                () = cancel.cancelled(), if !cut => {
                    // The grace is over: what is in flight is in doubt, and that is recorded before the store closes.
                    cut = true;
                    self.client.close();
                }
                () = tokio::time::sleep(wake) => {}
            }
        }
    }

    fn now(&self) -> UnixMs {
        self.context.shared.clock.now()
    }

    /// Segments that may be begun now.
    fn allowance(&mut self) -> usize {
        let now = self.now();
        if !self.submits || self.beginning.is_some() || self.closed.is_some() || now < self.rest_until {
            return 0;
        }
        let ahead = match self.context.settings.in_doubt {
            InDoubt::Resend if !self.pace.is_slowed() => {
                usize::from(self.context.settings.window_max).min(AHEAD_MAX)
            }
            // What was begun is held after a kill, whether it was written or not: no more of it than needed.
            _ => 0,
        };
        self.pace
            .allowance(now, self.flight.segments().saturating_sub(ahead))
    }

    fn is_quiet(&self) -> bool {
        self.flight.is_empty()
            && self.beginning.is_none()
            && self.recording.is_none()
            && self.acknowledging.is_none()
            && self.outcomes.is_empty()
            && self.receipts.records.is_empty()
            && self.taking.is_none()
            && self.arrived.parts.is_empty()
    }

    fn is_done(&self) -> bool {
        self.closed.is_some() && self.is_quiet()
    }

    /// How long nothing can happen by itself.
    fn wake(&self) -> Duration {
        const IDLE: Duration = Duration::from_secs(3600);
        let now = self.now();
        let rest = (now < self.rest_until).then_some(self.rest_until);
        let pace = self.submits.then(|| self.pace.wake_at(now)).flatten();
        match rest.into_iter().chain(pace).min() {
            Some(at) => Duration::from_millis(u64::try_from(at - now).unwrap_or(0).max(1)),
            None => IDLE,
        }
    }

    fn start_commits(&mut self) {
        if self.now() < self.rest_until {
            return;
        }
        if self.recording.is_none() && !self.outcomes.is_empty() {
            let mut outcomes = std::mem::take(&mut self.outcomes);
            if outcomes.len() > GROUP_MAX {
                self.outcomes = outcomes.split_off(GROUP_MAX);
            }
            let closed = outcomes
                .iter()
                .filter_map(|outcome| self.flight.close(outcome.attempt))
                .collect();
            self.record(RecordResults { outcomes, closed });
        }
        // Receipts follow the results that came before them: a receipt whose answer the store does not know yet is
        // looked for in all it has, and parked.
        let results_first = self.outcomes.is_empty();
        if self.acknowledging.is_none() && results_first && !self.receipts.records.is_empty() {
            let Receipts { records, replies } = std::mem::take(&mut self.receipts);
            let store = Arc::clone(&self.context.shared.store);
            self.acknowledging = Some(Box::pin(async move {
                (replies, store.record_receipts(records).await)
            }));
        }
        if self.taking.is_none() && !self.arrived.parts.is_empty() {
            let Inbox { parts, replies } = std::mem::take(&mut self.arrived);
            let shared = Arc::clone(&self.context.shared);
            self.taking = Some(Box::pin(async move {
                (replies, inbound::record(&shared, parts).await)
            }));
        }
    }

    fn record(&mut self, results: RecordResults) {
        let landing = std::mem::take(&mut self.landing);
        let store = Arc::clone(&self.context.shared.store);
        self.recording = Some(Box::pin(async move {
            let done = store.record_results(results.clone()).await;
            (results, landing, done)
        }));
    }

    fn recorded(
        &mut self,
        results: RecordResults,
        landing: Landing,
        done: Result<Vec<ResultFate>, StoreError>,
    ) {
        self.recording = None;
        match done {
            Ok(_) => {
                self.flight.landed(landing.segments);
                self.client.release(landing.slots);
                if results
                    .outcomes
                    .iter()
                    .any(|outcome| matches!(outcome.next, Next::Retry { .. }))
                {
                    self.context.shared.delayed.notify_one();
                }
            }
            Err(error) => {
                self.store_failed("results", &error);
                // Nothing of it was recorded: the same goes again, ahead of what came since. Slots stay taken.
                self.landing.slots += landing.slots;
                self.landing.segments += landing.segments;
                self.record_later(results);
            }
        }
    }

    /// Keeps results for the next try; their attempts are open again.
    fn record_later(&mut self, results: RecordResults) {
        for outcome in &results.outcomes {
            self.flight.reopen(outcome.attempt);
        }
        let newer = std::mem::replace(&mut self.outcomes, results.outcomes);
        self.outcomes.extend(newer);
    }

    fn store_failed(&mut self, what: &str, error: &StoreError) {
        tracing::error!(carrier = %self.context.entry.name, bind = self.index, %error, "the store did not take {what}");
        self.rest_until = self.now() + STORE_REST_MS;
    }

    /// Takes messages and makes their attempt durable.
    fn begin(&mut self, allowance: usize) {
        let now = self.now();
        let messages = self.context.queue.take(allowance.min(GROUP_MAX), now);
        if messages.is_empty() {
            return;
        }
        let start = AttemptStart {
            carrier: self.context.entry.no,
            bind: self.index,
            now,
            messages: messages.iter().map(|message| message.id).collect(),
            consumed: consumed(&messages),
        };
        let store = Arc::clone(&self.context.shared.store);
        self.beginning = Some(Box::pin(async move {
            (messages, store.begin_attempts(vec![start]).await)
        }));
    }

    async fn begun(&mut self, mut messages: Vec<Outgoing>, done: Result<Vec<BegunAttempt>, StoreError>) {
        self.beginning = None;
        let attempt = match done.map(|attempts| attempts.into_iter().next()) {
            Ok(Some(begun)) => {
                begun.retain(&mut messages);
                begun.id
            }
            Ok(None) => return self.context.queue.put_back(messages),
            Err(error) => {
                self.store_failed("attempts", &error);
                return self.context.queue.put_back(messages);
            }
        };
        if messages.is_empty() {
            return;
        }
        let now = self.now();
        let mut requests = Vec::with_capacity(messages.len());
        for message in messages {
            self.counted.waited(&message, now);
            let reference = message.reference;
            match self
                .context
                .profile
                .pdus(&message, reference, now, &mut self.texts)
            {
                Ok(pdus) => {
                    let serial = self.flight.depart(message, attempt, pdus.len(), now);
                    requests.extend(
                        pdus.into_iter()
                            .enumerate()
                            .map(|(at, pdu)| Request::new(Flight::token(serial, at), pdu)),
                    );
                }
                Err(_too_long) => {
                    // Checked when it was accepted; a carrier with shorter segments can still make it too long.
                    let serial = self.flight.depart(message, attempt, 1, now);
                    let answer = SegmentAnswer {
                        status: CommandStatus::RINVMSGLEN.0,
                        carrier_id: None,
                    };
                    if let Some(flying) = self.flight.answer_unsent(Flight::token(serial, 0), answer) {
                        self.conclude(flying);
                    }
                }
            }
        }
        self.pace.spent(requests.len());
        self.counted.submitted.inc_by(requests.len() as u64);
        // An error means that the session has ended; its `Closed` event names what did not leave.
        if let Err(unsent) = self.client.send_batch(requests).await {
            for request in unsent.0 {
                self.give_up(request.token, true);
            }
        }
    }

    fn take_in(&mut self, batch: Option<Vec<Event>>) {
        let Some(batch) = batch else {
            // The session ended without saying so: everything it had is in doubt.
            self.close(CloseReason::Closed);
            return;
        };
        for event in batch {
            match event {
                Event::Response { token, status, pdu } => self.answered(token, status, &pdu),
                Event::TimedOut { token } => self.give_up(token, false),
                Event::Refused { token, why } => {
                    tracing::warn!(carrier = %self.context.entry.name, %why, "a message could not be put into a PDU");
                    let answer = SegmentAnswer {
                        status: CommandStatus::RSUBMITFAIL.0,
                        carrier_id: None,
                    };
                    if let Some(flying) = self.flight.answer_unsent(token, answer) {
                        self.conclude(flying);
                    }
                }
                Event::LateResponse { token, status, pdu } => self.answered_late(token, status, &pdu),
                Event::Deliver { sequence, pdu } => {
                    let read = receipt::of_deliver(&pdu);
                    let answer = Pdu::from(DeliverSmResp::default());
                    match read {
                        Read::Inbound => {
                            let written = inbound::of_deliver(&pdu, self.context.settings.data_coding);
                            self.arrived(sequence, written, answer);
                        }
                        read => self.delivered(sequence, read, answer),
                    }
                }
                Event::Data { sequence, pdu } => {
                    let read = receipt::of_data(&pdu);
                    let answer = Pdu::from(smpp::pdu::DataSmResp::default());
                    match read {
                        Read::Inbound => {
                            let written = inbound::of_data(&pdu, self.context.settings.data_coding);
                            self.arrived(sequence, written, answer);
                        }
                        read => self.delivered(sequence, read, answer),
                    }
                }
                Event::Closed {
                    reason,
                    in_flight,
                    unsent,
                } => {
                    for token in in_flight {
                        self.give_up(token, false);
                    }
                    for token in unsent {
                        self.give_up(token, true);
                    }
                    self.close(reason);
                }
                Event::Rejected { header, status, .. } => {
                    tracing::warn!(carrier = %self.context.entry.name, ?header, %status, "a PDU of the carrier was refused");
                }
                _ => {}
            }
        }
    }

    fn close(&mut self, reason: CloseReason) {
        for mut flying in self.flight.abandon() {
            flying.doubtful = true;
            self.conclude(flying);
        }
        self.closed = Some(reason);
    }
}

/// Waits for a commit under way; for ever when there is none.
async fn pending<T>(commit: &mut Pending<T>) -> T {
    match commit {
        Some(commit) => commit.await,
        None => std::future::pending().await,
    }
}

pub(crate) fn wanted(message: &Outgoing) -> Wanted<'_> {
    Wanted {
        msisdn: message.msisdn,
        account: message.batch.account,
        class: message.batch.class,
        kind: message.batch.kind,
        sender: message.batch.sender.as_deref(),
    }
}
