//! One session with a carrier.
//!
//! ```text
//! queue ─take─► begin (durable) ─► wait for a slot ─► submit ─► answer ─► record (durable) ─► slot free
//!                                            deliver ─► record (durable) ─► deliver_sm_resp
//! ```
//!
//! Each of the three durable steps has at most one commit under way; what comes meanwhile goes with the next. So the
//! batches grow with the load and with the cost of a commit, by themselves.
//!
//! Window, rate and fair turns count segments. A message of more segments than there are slots goes out as slots come
//! free: while segments wait for one, or when others of the same message are long in being answered, the answers given
//! are recorded by themselves.
//!
//! Where the carrier's policy is to send again what is in doubt, attempts are begun ahead, so that a small window does
//! not wait for commits. That does not widen what a kill can send twice: the session itself never has more than its window
//! on the wire without a durable result, and what was begun but not written was not sent.

mod answers;
mod counted;
mod deliveries;
mod results;
mod submit;
mod waiting;

use super::Health;
use super::encode::{Profile, Texts};
use super::in_flight::{Freed, InFlightWindow};
use super::intake::Intake;
use super::open_attempts::{BeginResult, OpenAttempts};
use super::rate_controller::RateController;
use super::retry_policy::RetryPolicy;
use crate::catalog::{CarrierEntry, SmppSettings};
use crate::engine::Shared;
use crate::inbound::{self, Arrived};
use crate::queue::CarrierQueue;
use crate::receipt::{Read, ReceiptProfile};
use crate::route::Wanted;
use counted::Counted;
use deliveries::{HeldReceipts, Likely};
use smpp::client::{Client, Events};
use smpp::pdu::{DeliverSmResp, Pdu};
use smpp::session::{CloseReason, Event, Reply};
use smpp::status::CommandStatus;
use sms::receipt::IdNotation;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use store::{
    AttemptOutcome, CarrierReceipt, InboundEffect, Outgoing, ReceiptEffect, ResultEffect, StoreError, UnixMs,
};
use submit::Room;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use waiting::WaitingSegments;

/// A commit under way.
type Pending<T> = Option<Pin<Box<dyn Future<Output = T> + Send>>>;

/// Results, what they free, and whether they are durable.
type ResultsStored = (Vec<StoredResult>, Freed, Result<Vec<ResultEffect>, StoreError>);
/// Answers to deliveries, and whether the receipts in them are durable.
type ReceiptsStored = (Vec<Reply>, Result<Vec<ReceiptEffect>, StoreError>);

/// Answers to inbound messages, and whether these are durable.
type InboundStored = (Vec<Reply>, Result<Vec<InboundEffect>, StoreError>);

/// What all sessions of a carrier share.
pub(crate) struct BindContext {
    pub(crate) shared: Arc<Shared>,
    pub(crate) entry: Arc<CarrierEntry>,
    pub(crate) settings: SmppSettings,
    pub(crate) profile: Profile,
    pub(crate) policy: RetryPolicy,
    pub(crate) notation: IdNotation,
    pub(crate) receipts: ReceiptProfile,
    pub(crate) queue: Arc<CarrierQueue>,
    pub(crate) open_attempts: Arc<OpenAttempts>,
    pub(crate) intake: Intake,
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
    in_flight: InFlightWindow,
    waiting: WaitingSegments,
    rate_controller: RateController,
    results: Vec<StoredResult>,
    /// What is free once `results` are durable.
    freed: Freed,
    /// When answers are recorded by themselves whose messages are not over, in milliseconds since `began`.
    partly_at: Option<i64>,
    /// The carrier has answered some submit of this session.
    any_answer: bool,
    /// A request of this session ended in doubt.
    any_doubt: bool,
    /// The carrier has taken something.
    any_taken: bool,
    /// The carrier answers as if this session were not bound: it ends, to be bound again.
    is_refused: bool,
    receipts: Receipts,
    /// Of the receipts that are being recorded: see [`Receipts::likely`].
    likely: Vec<Likely>,
    /// What looks like receipts of messages whose answers may still come.
    held: HeldReceipts,
    arrived: Inbox,
    beginning: Pending<BeginResult>,
    recording: Pending<ResultsStored>,
    acknowledging: Pending<ReceiptsStored>,
    taking: Pending<InboundStored>,
    /// When the session began: spans are counted from here, on a clock that never goes back.
    began: Instant,
    /// After the store failed: no commit is tried before this, in milliseconds since `began`.
    rest_until: i64,
    /// The grace of a stop is over.
    cut: bool,
    /// The store takes nothing any more.
    given_up: bool,
    closed: Option<CloseReason>,
    texts: Texts,
    counted: Counted,
}

/// A result on its way to the store.
#[derive(Debug, Clone)]
struct StoredResult {
    outcome: AttemptOutcome,
    /// Its message counts among those that its attempt waits for.
    closes: bool,
}

/// How a session ended.
#[derive(Debug)]
pub(crate) struct SessionEnd {
    pub(crate) reason: CloseReason,
    /// It was of no use: what was submitted was lost and nothing was answered, or the carrier would have none of it.
    pub(crate) is_useless: bool,
}

/// Receipts that wait to be recorded, with the answers they will get.
#[derive(Default)]
struct Receipts {
    records: Vec<CarrierReceipt>,
    replies: Vec<Reply>,
    /// Those that only look like receipts.
    likely: Vec<Likely>,
}

/// Inbound messages that wait to be stored, with their answers.
#[derive(Default)]
struct Inbox {
    parts: Vec<Arrived>,
    replies: Vec<Reply>,
}

/// How long a session that unbinds waits for what is still to be answered.
const UNBIND_DRAIN_MAX: Duration = Duration::from_secs(5);
/// How long the store is left alone after a failed commit.
const STORE_REST_MS: i64 = 500;
/// Segments begun ahead at most, so that a wide window is never short of work.
const AHEAD_MAX: usize = 100;
/// Codes begun beyond that at most, to pass what waits of long texts.
const CODES_AHEAD_MAX: usize = 16;
/// Results or receipts that go into one commit at most.
const GROUP_MAX: usize = 4096;

impl BindSession {
    pub(crate) fn new(context: Arc<BindContext>, index: u16, submits: bool, client: Client) -> Self {
        let counted = Counted::new(&context.shared.metrics, context.entry.no);
        let rate_controller =
            RateController::new(context.settings.rate_per_s_max, context.settings.window_max, 0);
        Self {
            context,
            index,
            submits,
            client,
            in_flight: InFlightWindow::default(),
            waiting: WaitingSegments::default(),
            rate_controller,
            results: Vec::new(),
            freed: Freed::default(),
            partly_at: None,
            any_answer: false,
            any_doubt: false,
            any_taken: false,
            is_refused: false,
            receipts: Receipts::default(),
            likely: Vec::new(),
            held: HeldReceipts::default(),
            arrived: Inbox::default(),
            beginning: None,
            recording: None,
            acknowledging: None,
            taking: None,
            began: Instant::now(),
            rest_until: 0,
            cut: false,
            given_up: false,
            closed: None,
            texts: Texts::default(),
            counted,
        }
    }

    /// Runs until the session is over and everything that came of it is durable.
    pub(crate) async fn run(mut self, mut events: Events) -> SessionEnd {
        let stop = self.context.stop.clone();
        let cancel = self.context.shared.cancel.clone();
        let mut unbinding = false;
        loop {
            self.start_commits();
            self.submit_waiting().await;
            if self.given_up {
                self.client.close();
            }
            if self.given_up || self.is_done() {
                return SessionEnd {
                    reason: self.closed.take().unwrap_or(CloseReason::Closed),
                    is_useless: self.any_doubt && !self.any_answer || self.is_refused && !self.any_taken,
                };
            }
            let stopping = stop.is_cancelled() || self.is_refused;
            // A refused session waits for its own submits only: deliveries may never cease.
            let quiet = self.is_quiet() || self.is_refused && self.is_idle();
            if stopping && !unbinding && self.closed.is_none() && quiet {
                unbinding = true;
                let client = self.client.clone();
                // The session reports its end as `Closed`, however the unbind goes.
                self.context
                    .shared
                    .tasks
                    .spawn(async move { client.unbind_and_drain(UNBIND_DRAIN_MAX).await });
            }
            let room = if stopping || unbinding {
                Room::None
            } else {
                self.room()
            };
            if self.submits {
                let written = self.in_flight.segments().saturating_sub(self.waiting.len());
                self.context.health.board.in_flight(self.index, written);
            }
            let wake = self.wake();
            let queue = Arc::clone(&self.context.queue);
            tokio::select! {
                batch = events.next(), if self.closed.is_none() => self.take_in(batch),
                (results, freed, done) = pending(&mut self.recording) => self.recorded(results, freed, done),
                (replies, done) = pending(&mut self.acknowledging) => self.acknowledged(replies, done).await,
                (replies, done) = pending(&mut self.taking) => self.taken(replies, done),
                done = pending(&mut self.beginning) => self.attempt_opened(done),
                () = room.wait(&queue) => self.begin(room),
                () = stop.cancelled(), if !stopping => {}
                () = cancel.cancelled(), if !self.cut => {
                    // The grace is over: what is in flight is in doubt, and that is recorded before the store closes.
                    self.cut = true;
                    self.client.close();
                }
                () = tokio::time::sleep(wake) => {}
            }
        }
    }

    fn now(&self) -> UnixMs {
        self.context.shared.clock.now()
    }

    /// Milliseconds since the session began.
    fn elapsed_ms(&self) -> i64 {
        i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    /// Nothing is in flight, and all results are durable.
    fn is_idle(&self) -> bool {
        self.in_flight.is_empty()
            && self.beginning.is_none()
            && self.recording.is_none()
            && self.results.is_empty()
    }

    fn is_quiet(&self) -> bool {
        self.is_idle()
            && self.acknowledging.is_none()
            && self.receipts.records.is_empty()
            && self.held.is_empty()
            && self.taking.is_none()
            && self.arrived.parts.is_empty()
    }

    fn is_done(&self) -> bool {
        self.closed.is_some() && self.is_quiet()
    }

    /// How long nothing can happen by itself.
    fn wake(&self) -> Duration {
        const IDLE: Duration = Duration::from_secs(3600);
        let now = self.elapsed_ms();
        let rest = (now < self.rest_until).then_some(self.rest_until);
        let rate_controller = self.submits.then(|| self.rate_controller.wake_at(now)).flatten();
        let held = self
            .acknowledging
            .is_none()
            .then(|| self.held.wake_at())
            .flatten();
        let partly = (rest.is_none() && self.recording.is_none())
            .then_some(self.partly_at)
            .flatten();
        match rest
            .into_iter()
            .chain(rate_controller)
            .chain(held)
            .chain(partly)
            .min()
        {
            Some(at) => Duration::from_millis(u64::try_from(at - now).unwrap_or(0).max(1)),
            None => IDLE,
        }
    }

    fn start_commits(&mut self) {
        if self.elapsed_ms() < self.rest_until {
            return;
        }
        if self.recording.is_none() {
            if self.partly_at().is_some_and(|at| at <= self.elapsed_ms()) {
                self.record_partly();
            }
            if !self.results.is_empty() {
                self.record();
            }
        }
        self.look_again_at_held();
        // Receipts are recorded after the results before them: without its answer in the store, a receipt costs a search
        // and is stored as unmatched.
        let results_first = self.results.is_empty();
        if self.acknowledging.is_none() && results_first && !self.receipts.records.is_empty() {
            let Receipts {
                records,
                replies,
                likely,
            } = std::mem::take(&mut self.receipts);
            self.likely = likely;
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

    fn store_failed(&mut self, what: &str, error: &StoreError) {
        tracing::error!(carrier = %self.context.entry.name, bind = self.index, what, %error, "store write failed");
        self.rest_until = self.elapsed_ms() + STORE_REST_MS;
        // Closed it never comes back; and at the end of a stop nobody waits any longer. What is not recorded is in doubt, and
        // the next start settles it.
        self.given_up |= self.cut || matches!(error, StoreError::Closed);
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
                Event::TimedOut { token } => self.lost(token),
                Event::Refused { token, why } => {
                    tracing::warn!(carrier = %self.context.entry.name, %why, "submit_sm encoding failed");
                    self.refuse(token, CommandStatus::RSUBMITFAIL);
                }
                Event::LateResponse { token, status, pdu } => self.answered_late(token, status, &pdu),
                Event::Deliver { sequence, pdu } => {
                    let read = self.context.receipts.of_deliver(&pdu);
                    let answer = Pdu::from(DeliverSmResp::default());
                    match read {
                        Read::Inbound => {
                            let written =
                                inbound::of_deliver(&pdu, inbound::default_charset(&self.context.settings));
                            self.arrived(sequence, written, answer);
                        }
                        Read::Likely(receipt) => {
                            let written =
                                inbound::of_deliver(&pdu, inbound::default_charset(&self.context.settings));
                            self.likely(sequence, receipt, written, answer);
                        }
                        read => self.delivered(sequence, read, answer),
                    }
                }
                Event::Data { sequence, pdu } => {
                    let read = self.context.receipts.of_data(&pdu);
                    let answer = Pdu::from(smpp::pdu::DataSmResp::default());
                    match read {
                        Read::Inbound => {
                            let written =
                                inbound::of_data(&pdu, inbound::default_charset(&self.context.settings));
                            self.arrived(sequence, written, answer);
                        }
                        Read::Likely(receipt) => {
                            let written =
                                inbound::of_data(&pdu, inbound::default_charset(&self.context.settings));
                            self.likely(sequence, receipt, written, answer);
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
                        self.lost(token);
                    }
                    for token in unsent {
                        let over = self.in_flight.unsent(token);
                        self.settled(over);
                    }
                    self.close(reason);
                }
                Event::Rejected { header, status, .. } => {
                    tracing::warn!(carrier = %self.context.entry.name, ?header, %status, "PDU rejected");
                }
                _ => {}
            }
        }
    }

    fn close(&mut self, reason: CloseReason) {
        // Not acknowledged: the carrier offers them again.
        self.held = HeldReceipts::default();
        self.closed = Some(reason);
        self.give_back_waiting();
        for left in self.in_flight.abandon() {
            self.any_doubt |= left.is_in_doubt();
            self.conclude(left);
        }
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
