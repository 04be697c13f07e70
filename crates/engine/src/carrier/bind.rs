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
//! Attempts are begun ahead, up to one more window than the carrier allows in flight, so that the window never
//! waits for a commit. That does not widen what a kill can send twice: the session itself never has more than its window
//! on the wire without a durable result, and what was begun but not written was not sent.

use super::Health;
use super::encode::{self, Profile, Texts};
use super::flight::{Flight, InFlight};
use super::pace::Pace;
use super::verdict::{self, Case, RetryPolicy, class_name};
use crate::catalog::{CarrierEntry, InDoubt, SmppSettings};
use crate::engine::Shared;
use crate::metrics::{AnswerLabel, ClassLabel, Metrics, ReceiptLabel};
use crate::queue::{CarrierQueue, consumed};
use crate::receipt;
use crate::route::Wanted;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;
use smpp::client::{Client, Events};
use smpp::pdu::{DeliverSmResp, Pdu};
use smpp::session::{CloseReason, Event, Reply, Request};
use smpp::status::{CommandStatus, StatusClass};
use sms::class::Class;
use sms::receipt::IdNotation;
use sms::state::MessageState;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use store::{
    Answer, AttemptId, AttemptOutcome, AttemptStart, CarrierNo, CarrierReceipt, Next, Outgoing, ReceiptFate,
    RecordResults, ResultFate, SegmentAnswer, StoreError, UnixMs,
};
use tokio_util::sync::CancellationToken;

/// A commit under way.
type Pending<T> = Option<Pin<Box<dyn Future<Output = T> + Send>>>;

/// Messages and the attempt that was made durable for them.
type Begun = (Vec<Outgoing>, Result<Vec<AttemptId>, StoreError>);
/// Results, what they free, and whether they are durable.
type Recorded = (RecordResults, Landing, Result<Vec<ResultFate>, StoreError>);
/// Answers to deliveries, and whether the receipts in them are durable.
type Acknowledged = (Vec<Reply>, Result<Vec<ReceiptFate>, StoreError>);

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
    beginning: Pending<Begun>,
    recording: Pending<Recorded>,
    acknowledging: Pending<Acknowledged>,
    /// After the store failed: no commit is tried before this.
    rest_until: UnixMs,
    closed: Option<CloseReason>,
    texts: Texts,
    counted: Counted,
}

/// Counters of this session, looked up once.
struct Counted {
    submitted: Counter,
    answers_ok: Counter,
    waited: [Histogram; 3],
}

impl Counted {
    fn new(metrics: &Metrics, carrier: CarrierNo) -> Self {
        let ok = AnswerLabel {
            carrier: carrier.0,
            class: class_name(StatusClass::Ok),
        };
        let waited = Class::ALL.map(|class| {
            metrics
                .accept_to_submit
                .get_or_create(&ClassLabel {
                    class: class_label(class),
                })
                .clone()
        });
        Self {
            submitted: metrics
                .submitted
                .get_or_create(&Metrics::carrier(carrier))
                .clone(),
            answers_ok: metrics.answers.get_or_create(&ok).clone(),
            waited,
        }
    }

    fn waited(&self, message: &Outgoing, now: UnixMs) {
        if let Some(waited) = self.waited.get(usize::from(message.batch.class.as_u8())) {
            waited.observe(encode::waited_ms(message, now) as f64 / 1000.0);
        }
    }
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

/// How long a session that unbinds waits for what is still to be answered.
const UNBIND_DRAIN_MAX: Duration = Duration::from_secs(5);
/// How long the store is left alone after a failed commit.
const STORE_REST_MS: i64 = 500;
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
            beginning: None,
            recording: None,
            acknowledging: None,
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
        self.pace.allowance(now, self.flight.segments())
    }

    fn is_quiet(&self) -> bool {
        self.flight.is_empty()
            && self.beginning.is_none()
            && self.recording.is_none()
            && self.acknowledging.is_none()
            && self.outcomes.is_empty()
            && self.receipts.records.is_empty()
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
        if self.acknowledging.is_none() && !self.receipts.records.is_empty() {
            let Receipts { records, replies } = std::mem::take(&mut self.receipts);
            let store = Arc::clone(&self.context.shared.store);
            self.acknowledging = Some(Box::pin(async move {
                (replies, store.record_receipts(records).await)
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
        let messages = self.context.queue.take(allowance.min(GROUP_MAX));
        if messages.is_empty() {
            return;
        }
        let now = self.now();
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

    async fn begun(&mut self, messages: Vec<Outgoing>, done: Result<Vec<AttemptId>, StoreError>) {
        self.beginning = None;
        let attempt = match done.map(|attempts| attempts.into_iter().next()) {
            Ok(Some(attempt)) => attempt,
            Ok(None) => return self.context.queue.put_back(messages),
            Err(error) => {
                self.store_failed("attempts", &error);
                return self.context.queue.put_back(messages);
            }
        };
        let now = self.now();
        let mut requests = Vec::with_capacity(messages.len());
        for message in messages {
            self.counted.waited(&message, now);
            let number = encode::segment_number(&message);
            match self.context.profile.pdus(&message, number, &mut self.texts) {
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
                    self.delivered(sequence, read, Pdu::from(DeliverSmResp::default()));
                }
                Event::Data { sequence, pdu } => {
                    let read = receipt::of_data(&pdu);
                    self.delivered(sequence, read, Pdu::from(smpp::pdu::DataSmResp::default()));
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

    fn answered(&mut self, token: u64, status: CommandStatus, pdu: &Pdu) {
        let answer = self.segment_answer(status, pdu);
        if let Some(flying) = self.flight.answer(token, answer) {
            self.conclude(flying);
        }
    }

    fn segment_answer(&self, status: CommandStatus, pdu: &Pdu) -> SegmentAnswer {
        let carrier_id = match pdu {
            Pdu::SubmitSmResp(resp) if status.is_ok() => {
                let id = String::from_utf8_lossy(resp.message_id.as_bytes());
                self.context.notation.submit_id(&id)
            }
            _ => None,
        };
        SegmentAnswer {
            status: status.0,
            carrier_id,
        }
    }

    /// An answer after its deadline settles a message that was held; one that is sent again is past helping.
    fn answered_late(&mut self, token: u64, status: CommandStatus, pdu: &Pdu) {
        self.count_answer("late");
        let Some(held) = self.flight.late(token) else {
            return;
        };
        let answer = self.segment_answer(status, pdu);
        self.outcomes.push(AttemptOutcome {
            id: held.id,
            attempt: held.attempt,
            carrier: self.context.entry.no,
            attempts: held.attempts,
            attempted_at: held.attempted_at,
            answered_at: self.now(),
            answer: Answer::Single(answer),
            next: if status.is_ok() {
                Next::Submitted
            } else {
                Next::Final(MessageState::Rejected)
            },
        });
    }

    fn give_up(&mut self, token: u64, unsent: bool) {
        if let Some(flying) = self.flight.give_up(token, unsent) {
            self.conclude(flying);
        }
    }

    /// All answers to a message are known, or known not to come: decides what follows.
    fn conclude(&mut self, flying: InFlight) {
        let now = self.now();
        self.landing.slots += flying.slots;
        self.landing.segments += flying.segments();
        let (answer, next, counts) = self.decide(&flying, now);
        if next == Next::InDoubt {
            self.flight
                .hold(&flying, flying.message.attempts.saturating_add(1));
        }
        self.outcomes.push(AttemptOutcome {
            id: flying.message.id,
            attempt: flying.attempt,
            carrier: self.context.entry.no,
            attempts: flying.message.attempts.saturating_add(u8::from(counts)),
            attempted_at: flying.attempted_at,
            answered_at: now,
            answer,
            next,
        });
    }

    /// What the carrier said, what follows, and whether it counts as an attempt.
    fn decide(&mut self, flying: &InFlight, now: UnixMs) -> (Answer, Next, bool) {
        let here = self.context.entry.no;
        let some_taken = flying.answers().any(|answer| answer.status == 0);
        if flying.doubtful {
            self.context
                .shared
                .metrics
                .in_doubt
                .get_or_create(&Metrics::carrier(here))
                .inc();
            let next = match self.context.settings.in_doubt {
                InDoubt::Resend => Next::Retry {
                    due: now,
                    carrier: here,
                },
                InDoubt::Hold => Next::InDoubt,
            };
            return (Answer::None, next, true);
        }
        if flying.unsent && !some_taken {
            return (
                Answer::NotSent,
                Next::Retry {
                    due: now,
                    carrier: here,
                },
                false,
            );
        }
        let worst = flying
            .answers()
            .find(|answer| answer.status != 0)
            .map_or(CommandStatus::ROK, |answer| CommandStatus(answer.status));
        let class = if flying.unsent {
            StatusClass::Transient
        } else {
            self.context.policy.class(worst)
        };
        if class == StatusClass::Ok {
            self.counted.answers_ok.inc();
        } else {
            self.count_answer(class_name(class));
        }
        if class == StatusClass::SlowDown {
            self.pace.slow_down(now);
        }
        let counts = !matches!(class, StatusClass::SlowDown | StatusClass::Session);
        let case = Case {
            class,
            attempts: flying.message.attempts.saturating_add(u8::from(counts)),
            now,
            here,
            elsewhere: if class == StatusClass::Ok {
                None
            } else {
                self.elsewhere(&flying.message)
            },
            partly_taken: some_taken && class != StatusClass::Ok,
            jitter: rand::random(),
        };
        let next = verdict::next(&self.context.policy, case);
        // A carrier that sends no receipts has said all it will say.
        let next = if next == Next::Submitted && !self.context.settings.receipts {
            Next::Final(MessageState::Delivered)
        } else {
            next
        };
        let mut answers = flying.answers().cloned();
        let answer = match (flying.segments(), answers.next()) {
            (1, Some(only)) => Answer::Single(only),
            (_, Some(first)) => Answer::Segments(std::iter::once(first).chain(answers).collect()),
            (_, None) => Answer::None,
        };
        (answer, next, counts)
    }

    /// The carrier after this one on the message's route.
    fn elsewhere(&self, message: &Outgoing) -> Option<CarrierNo> {
        let catalog = self.context.shared.catalog.load();
        let route: Vec<CarrierNo> = catalog.routes().carriers(wanted(message)).collect();
        let here = route.iter().position(|no| *no == self.context.entry.no);
        route.into_iter().nth(here.map_or(0, |at| at + 1))
    }

    fn count_answer(&self, class: &'static str) {
        let label = AnswerLabel {
            carrier: self.context.entry.no.0,
            class,
        };
        self.context.shared.metrics.answers.get_or_create(&label).inc();
    }

    fn delivered(&mut self, sequence: u32, read: receipt::Read, answer: Pdu) {
        match read {
            receipt::Read::Receipt(read) => match self.context.notation.receipt_id(&read.id) {
                Some(carrier_id) => {
                    self.receipts.records.push(CarrierReceipt {
                        carrier: self.context.entry.no,
                        carrier_id,
                        state: read.state,
                        error: read.error,
                        received_at: self.now(),
                    });
                    self.receipts.replies.push(Reply::ok(sequence, answer));
                }
                None => self.reject(sequence, answer, "unreadable"),
            },
            receipt::Read::Unreadable => self.reject(sequence, answer, "unreadable"),
            receipt::Read::Inbound => self.reject(sequence, answer, "inbound"),
        }
    }

    /// Tells the carrier that a delivery will never be taken, so that it does not offer it for ever.
    fn reject(&mut self, sequence: u32, answer: Pdu, why: &'static str) {
        let label = ReceiptLabel {
            carrier: self.context.entry.no.0,
            fate: why,
        };
        self.context.shared.metrics.receipts.get_or_create(&label).inc();
        self.client.respond(vec![Reply {
            sequence,
            status: CommandStatus::RX_R_APPN,
            pdu: answer,
        }]);
    }

    async fn acknowledged(&mut self, mut replies: Vec<Reply>, done: Result<Vec<ReceiptFate>, StoreError>) {
        self.acknowledging = None;
        match done {
            Ok(fates) => {
                for (fate, count) in receipt::count_fates(&fates) {
                    let label = ReceiptLabel {
                        carrier: self.context.entry.no.0,
                        fate,
                    };
                    self.context
                        .shared
                        .metrics
                        .receipts
                        .get_or_create(&label)
                        .inc_by(count);
                }
            }
            Err(error) => {
                self.store_failed("receipts", &error);
                // The carrier keeps them and offers them again.
                for reply in &mut replies {
                    reply.status = CommandStatus::RX_T_APPN;
                }
            }
        }
        self.client.respond(replies);
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

const fn class_label(class: Class) -> &'static str {
    match class {
        Class::Otp => "otp",
        Class::Notice => "notice",
        Class::Marketing => "marketing",
    }
}
