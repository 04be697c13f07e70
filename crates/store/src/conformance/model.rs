//! Random operations against a model so simple that it cannot be wrong.
//!
//! A script is a list of numbers, each of which becomes one operation on whatever is there: so any list is a
//! script, and a failing one can be shrunk.

mod compare;
mod rng;

use super::Backend;
use super::fixtures::{ACCOUNT, CARRIER, NOW, accepted, batch, endpoint, listening, message, request};
use crate::{
    Answer, AttemptId, AttemptOutcome, AttemptStart, CarrierNo, CarrierReceipt, DequeuedRange, EventKinds,
    EventOffset, EventWhat, Lane, MessageId, NewBatch, Next, QueuePosition, ReceiptEffect, RecordResults,
    SegmentAnswer, StatsKey, UnixMs,
};
use rng::Rng;
use sms::class::Class;
use sms::receipt::CarrierId;
use sms::state::{MessageState, ReceiptState, aggregate};
use std::collections::BTreeMap;

/// A long script of its own making.
pub async fn random_operations_agree_with_the_model(backend: &mut impl Backend) {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let script: Vec<u32> = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u32
    })
    .take(300)
    .collect();
    agrees(backend, &script).await;
}

/// Runs a script on the store and on the model, and compares what they show.
pub async fn agrees(backend: &mut impl Backend, script: &[u32]) {
    let mut model = Model {
        now: NOW,
        ..Model::default()
    };
    listening(backend.store(), endpoint(1, ACCOUNT, EventKinds::ALL)).await;
    for (step, &number) in script.iter().enumerate() {
        let mut rng = Rng(number);
        let operation = rng.roll(17);
        match operation {
            0..=3 => model.accept(backend, &mut rng).await,
            4..=6 => model.begin(backend, &mut rng).await,
            7..=9 => model.record(backend, &mut rng).await,
            10..=12 => model.receive(backend, &mut rng).await,
            13 => model.release(backend, &mut rng).await,
            14 => model.expire(backend, &mut rng).await,
            15 => model.sweep(backend, &mut rng).await,
            _ => backend.crash().await,
        }
        let when = format!("after step {step} (operation {operation})");
        model.compare(backend, &when).await;
        model.compare_events(backend, &when).await;
    }
}

#[derive(Debug, Clone)]
struct ModelMessage {
    number: u64,
    lane: Lane,
    state: MessageState,
    attempts: u8,
    attempt: Option<AttemptId>,
    carrier: CarrierNo,
    /// When it ends if it still waits.
    expires_at: Option<UnixMs>,
    /// Some attempt had no answer.
    unanswered: bool,
    /// Carrier id and state of each segment.
    segments: Vec<(String, MessageState)>,
    stats_key: StatsKey,
}

impl ModelMessage {
    /// How it ends when its time does.
    fn end(&self) -> (MessageState, &'static str) {
        if self.unanswered {
            (MessageState::Unknown, crate::EXPIRED_IN_DOUBT)
        } else {
            (MessageState::Expired, crate::EXPIRED_UNSENT)
        }
    }
}

/// What a receipt says.
#[derive(Debug, Clone, Copy)]
struct ReportedReceipt {
    state: ReceiptState,
    error: &'static str,
    at: UnixMs,
}

/// What is counted of a message, also after it was deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ModelCount {
    class: Class,
    label: i64,
    segments: u8,
    state: MessageState,
    error: &'static str,
}

#[derive(Default)]
struct Model {
    now: UnixMs,
    messages: BTreeMap<MessageId, ModelMessage>,
    /// What waits, in order, with its place.
    lanes: BTreeMap<Lane, Vec<(MessageId, Option<QueuePosition>)>>,
    /// Messages that wait for their time, in the order they were delayed.
    delayed: Vec<(UnixMs, Lane, MessageId)>,
    open: BTreeMap<AttemptId, (CarrierNo, Vec<MessageId>)>,
    /// Carrier ids in the order of their answers.
    named: Vec<(CarrierNo, String, MessageId)>,
    unmatched_receipts: Vec<(CarrierNo, String, ReportedReceipt)>,
    counts: BTreeMap<MessageId, ModelCount>,
    /// Events since the last read, which ended at `read_offset`.
    happened: Vec<(UnixMs, EventWhat)>,
    read_offset: EventOffset,
}

const ERRORS: [&str; 3] = ["7", "000", "too long for an err field"];

const CARRIERS: [CarrierNo; 2] = [CARRIER, CarrierNo(4)];
/// So few that they come again, and so many that not each one does.
const CARRIER_IDS: u32 = 60;

impl Model {
    async fn accept(&mut self, backend: &mut impl Backend, rng: &mut Rng) {
        self.now += i64::from(rng.roll(3));
        let class = if rng.chance(3) { Class::Otp } else { Class::Notice };
        let due = rng.chance(4).then(|| self.now + i64::from(rng.roll(40)));
        let expires_at = rng.chance(3).then(|| self.now + i64::from(rng.roll(80)));
        let numbers: Vec<u64> = (0..=rng.roll(5)).map(|_| u64::from(rng.roll(9))).collect();
        let mut new = NewBatch {
            class,
            due,
            expires_at,
            messages: numbers.iter().map(|&n| message(n)).collect(),
            ..batch([])
        };
        for message in &mut new.messages {
            message.carrier = CARRIERS[rng.pick(2)];
            message.failure = rng.chance(6).then_some(412);
            message.segments = 1 + u8::from(rng.chance(3));
        }
        new.label = i64::from(rng.roll(2));
        let label = new.label;
        let plan: Vec<_> = new
            .messages
            .iter()
            .map(|message| (message.carrier, message.failure, message.segments))
            .collect();
        let range = accepted(backend.store(), request(self.now, vec![new]))
            .await
            .batches[0];
        assert_eq!(range.count as usize, plan.len());
        self.happened.push((
            self.now,
            EventWhat::Accepted {
                first: range.first,
                count: range.count,
            },
        ));
        for (n, (carrier, failure, segments)) in plan.into_iter().enumerate() {
            let id = range.first.plus(n as i64);
            let lane = Lane {
                carrier,
                class,
                account: ACCOUNT,
            };
            let state = if failure.is_some() {
                MessageState::Rejected
            } else {
                MessageState::Queued
            };
            let message = ModelMessage {
                number: numbers[n],
                lane,
                state,
                attempts: 0,
                attempt: None,
                carrier,
                expires_at,
                unanswered: false,
                segments: vec![],
                stats_key: StatsKey {
                    dimensions: range.dimensions,
                    country: 1,
                    segments,
                },
            };
            self.messages.insert(id, message);
            let count = ModelCount {
                class,
                label,
                segments,
                state: MessageState::Queued,
                error: "",
            };
            self.counts.insert(id, count);
            self.came_to(id, self.now, state, failure.map_or("", |_| "412"));
            // Nothing is put off beyond its end.
            let due = due.map(|due| expires_at.map_or(due, |end| due.min(end)));
            match (failure, due) {
                (Some(_), _) => {}
                (None, Some(due)) if due > self.now => self.delayed.push((due, lane, id)),
                (None, _) => self.lanes.entry(lane).or_default().push((id, None)),
            }
        }
    }

    async fn begin(&mut self, backend: &mut impl Backend, rng: &mut Rng) {
        let lanes: Vec<Lane> = self
            .lanes
            .iter()
            .filter(|(_, w)| !w.is_empty())
            .map(|(&lane, _)| lane)
            .collect();
        if lanes.is_empty() {
            return;
        }
        let lane = lanes[rng.pick(lanes.len())];
        let waiting = self.lanes.get_mut(&lane).expect("there");
        let places: BTreeMap<MessageId, QueuePosition> = super::fixtures::waiting(backend.store(), lane)
            .await
            .into_iter()
            .map(|outgoing| (outgoing.id, outgoing.key))
            .collect();
        let from = rng.pick(waiting.len());
        let count = (1 + rng.pick(4)).min(waiting.len() - from);
        let taken: Vec<MessageId> = waiting.drain(from..from + count).map(|(id, _)| id).collect();
        let carrier = CARRIERS[rng.pick(2)];
        let consumed = taken
            .iter()
            .map(|&id| DequeuedRange {
                key: places[&id],
                first: id,
                last: id,
            })
            .collect();
        let start = AttemptStart {
            carrier,
            bind: 1,
            now: self.now,
            messages: taken.clone(),
            consumed,
        };
        let attempt = backend.store().begin_attempts(vec![start]).await.expect("begun")[0].id;
        for id in &taken {
            self.messages.get_mut(id).expect("there").state = MessageState::InFlight;
        }
        self.open.insert(attempt, (carrier, taken));
    }

    async fn record(&mut self, backend: &mut impl Backend, rng: &mut Rng) {
        let attempts: Vec<AttemptId> = self.open.keys().copied().collect();
        if attempts.is_empty() {
            return;
        }
        let attempt = attempts[rng.pick(attempts.len())];
        let (carrier, waiting) = self.open.get_mut(&attempt).expect("open");
        let carrier = *carrier;
        let count = 1 + rng.pick(waiting.len());
        let answered: Vec<MessageId> = waiting.drain(..count).collect();
        let closed = if waiting.is_empty() { vec![attempt] } else { vec![] };
        if waiting.is_empty() {
            self.open.remove(&attempt);
        }
        let mut outcomes = vec![];
        let mut expected = vec![];
        for id in answered {
            let (answer, next) = self.answer(rng);
            let attempts = self.messages[&id].attempts + 1;
            outcomes.push(AttemptOutcome {
                id,
                attempt,
                carrier,
                attempts,
                attempted_at: self.now,
                answered_at: self.now,
                answer: answer.clone(),
                next,
                stats_key: self.messages[&id].stats_key,
            });
            expected.push(self.answered(id, attempt, carrier, &answer, next));
        }
        let effects = backend
            .store()
            .record_results(RecordResults { outcomes, closed })
            .await
            .expect("recorded");
        assert_eq!(
            effects.into_iter().map(|effect| effect.state).collect::<Vec<_>>(),
            expected
        );
    }

    fn answer(&self, rng: &mut Rng) -> (Answer, Next) {
        let taken = |rng: &mut Rng| SegmentAnswer {
            status: 0,
            carrier_id: Some(CarrierId::new(&format!("c{}", rng.roll(CARRIER_IDS)))),
        };
        let refused = SegmentAnswer {
            status: 0x58,
            carrier_id: None,
        };
        let due = self.now + i64::from(rng.roll(20));
        let retry = Next::Retry {
            due,
            carrier: CARRIERS[rng.pick(2)],
        };
        match rng.roll(8) {
            0..=3 => (Answer::Single(taken(rng)), Next::Submitted),
            4 => (
                Answer::segments(vec![Some(taken(rng)), Some(taken(rng))]),
                Next::Submitted,
            ),
            5 => (Answer::Single(refused), retry),
            6 => (Answer::Single(refused), Next::Final(MessageState::Rejected)),
            _ => (Answer::None, if rng.chance(2) { retry } else { Next::InDoubt }),
        }
    }

    fn answered(
        &mut self,
        id: MessageId,
        attempt: AttemptId,
        carrier: CarrierNo,
        answer: &Answer,
        next: Next,
    ) -> MessageState {
        let answers: Vec<SegmentAnswer> = match answer {
            Answer::Single(one) => vec![one.clone()],
            Answer::Segments { answers, .. } => answers.iter().flatten().cloned().collect(),
            Answer::None | Answer::NotSent => vec![],
        };
        let names: Vec<String> = answers
            .iter()
            .filter_map(|a| a.carrier_id.as_ref())
            .map(|id| id.as_str().to_owned())
            .collect();
        let message = self.messages.get_mut(&id).expect("there");
        message.attempts += 1;
        message.attempt = Some(attempt);
        message.unanswered |= matches!(answer, Answer::None);
        message.carrier = carrier;
        message.segments = names
            .iter()
            .map(|name| (name.clone(), MessageState::Submitted))
            .collect();
        message.state = match next {
            Next::Partly => unreachable!("the model has no messages that are half sent"),
            Next::Submitted => MessageState::Submitted,
            Next::Final(state) => state,
            Next::InDoubt => MessageState::InDoubt,
            Next::Retry { due, .. } if message.expires_at.is_some_and(|end| end <= due) => message.end().0,
            Next::Retry { due, carrier } => {
                self.delayed.push((
                    due,
                    Lane {
                        carrier,
                        ..message.lane
                    },
                    id,
                ));
                MessageState::Queued
            }
        };
        let (state, (_, error)) = (message.state, message.end());
        let error = if matches!(next, Next::Retry { .. }) {
            error
        } else {
            ""
        };
        self.came_to(id, self.now, state, error);
        for name in &names {
            self.named.push((carrier, name.clone(), id));
        }
        for name in names {
            for unmatched_receipts in std::mem::take(&mut self.unmatched_receipts) {
                let (other, unmatched_name, reported_receipt) = &unmatched_receipts;
                if *other == carrier
                    && *unmatched_name == name
                    && self.fit(id, &name, *reported_receipt) > Some(0)
                {
                    self.apply(id, &name, *reported_receipt);
                } else {
                    self.unmatched_receipts.push(unmatched_receipts);
                }
            }
        }
        self.messages[&id].state
    }

    /// How well a receipt fits a message: 2 for one that waits for it, 1 for one that it corrects, 0 for one that it
    /// changes nothing of; `None` when it does not name it. (A later attempt gives a message other names.)
    fn fit(&self, id: MessageId, name: &str, reported_receipt: ReportedReceipt) -> Option<u8> {
        let message = self.messages.get(&id)?;
        let reported = reported_receipt.state.message_state();
        let named = message.segments.iter().filter(|(has, _)| has == name);
        let fit = named.map(|(_, state)| match state {
            state if !state.is_final() => 2,
            state if state.may_become(reported) => 1,
            _ => 0,
        });
        let bound = if message.state.is_final() { 1 } else { 2 };
        fit.max().map(|fit| fit.min(bound))
    }

    /// What a receipt does to a message that has a segment of that name.
    fn apply(&mut self, id: MessageId, name: &str, reported_receipt: ReportedReceipt) -> ReceiptEffect {
        let message = self.messages.get_mut(&id).expect("there");
        let was_final = message.state.is_final();
        let reported = reported_receipt.state.message_state();
        let waits =
            |(other, state): &&mut (String, MessageState)| other == name && state.may_become(reported);
        let Some((_, state)) = message
            .segments
            .iter_mut()
            .find(waits)
            .filter(|_| reported.is_final())
        else {
            return if was_final {
                ReceiptEffect::Repeated { id }
            } else {
                ReceiptEffect::Applied {
                    id,
                    state: message.state,
                }
            };
        };
        *state = reported;
        let states: Vec<MessageState> = message.segments.iter().map(|(_, state)| *state).collect();
        let together = aggregate(&states);
        let changed = message.state.may_become(together);
        if changed {
            message.state = together;
            self.came_to(id, reported_receipt.at, together, reported_receipt.error);
        }
        let message = &self.messages[&id];
        if was_final && !changed {
            ReceiptEffect::Repeated { id }
        } else {
            ReceiptEffect::Applied {
                id,
                state: message.state,
            }
        }
    }

    /// Counts a message in its present state and expects an event, unless the state is the same as before.
    fn came_to(&mut self, id: MessageId, at: UnixMs, state: MessageState, error: &'static str) {
        let waits = matches!(
            state,
            MessageState::Queued | MessageState::InFlight | MessageState::InDoubt
        );
        let state = if waits { MessageState::Queued } else { state };
        let error = if state.is_final() { error } else { "" };
        let count = self.counts.get_mut(&id).expect("counted");
        if (count.state, count.error) == (state, error) {
            return;
        }
        (count.state, count.error) = (state, error);
        if !waits {
            let error = error.into();
            self.happened.push((at, EventWhat::Message { id, state, error }));
        }
    }

    async fn receive(&mut self, backend: &mut impl Backend, rng: &mut Rng) {
        let mut receipts = vec![];
        let mut reported_receipts = vec![];
        for _ in 0..=rng.roll(3) {
            let carrier = CARRIERS[rng.pick(2)];
            let name = format!("c{}", rng.roll(CARRIER_IDS));
            let state = ReceiptState::ALL[rng.pick(ReceiptState::ALL.len())];
            let error = ERRORS[rng.pick(ERRORS.len())];
            let at = self.now;
            let reported_receipt = ReportedReceipt { state, error, at };
            let carrier_id = CarrierId::new(&name);
            receipts.push(CarrierReceipt::new(carrier, carrier_id, state, error.into(), at));
            reported_receipts.push((carrier, name, reported_receipt));
        }
        let effects = backend.store().record_receipts(receipts).await.expect("recorded");
        for ((carrier, name, reported_receipt), effect) in reported_receipts.into_iter().zip(effects) {
            let fits = |id: MessageId| {
                let is_here = self.messages.get(&id).is_some_and(|has| has.carrier == carrier);
                is_here.then(|| self.fit(id, &name, reported_receipt)).flatten()
            };
            let named = self
                .named
                .iter()
                .filter(|(other, has, _)| *other == carrier && *has == name);
            let best = named.filter_map(|&(.., id)| fits(id)).max();
            let expected = match effect {
                ReceiptEffect::Applied { id, .. } | ReceiptEffect::Repeated { id } => {
                    assert_eq!(fits(id), best, "it goes to one that waits, if one does");
                    assert!(best.is_some());
                    self.apply(id, &name, reported_receipt)
                }
                _ => {
                    assert_eq!(best, None);
                    self.unmatched_receipts.push((carrier, name, reported_receipt));
                    ReceiptEffect::StoredUnmatched
                }
            };
            assert_eq!(effect, expected);
        }
    }

    async fn release(&mut self, backend: &mut impl Backend, rng: &mut Rng) {
        self.now += i64::from(rng.roll(30));
        while backend
            .store()
            .release_due(self.now, 3, Box::new(|_| {}))
            .await
            .expect("released")
            .more
        {}
        let (mut due, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut self.delayed)
            .into_iter()
            .partition(|(due, ..)| *due <= self.now);
        self.delayed = rest;
        due.sort_by_key(|(due, ..)| *due); // stable: then in the order they were delayed
        for (_, lane, id) in due {
            self.lanes.entry(lane).or_default().push((id, None));
        }
    }

    /// Ends what waits in lanes beyond its end.
    async fn sweep(&mut self, backend: &mut impl Backend, rng: &mut Rng) {
        self.now += i64::from(rng.roll(30));
        let (mut from, mut ended) = (None, 0);
        loop {
            let step = backend
                .store()
                .sweep_expired(from, self.now)
                .await
                .expect("swept");
            ended += step.ended.iter().map(|lane| lane.messages).sum::<u64>();
            let Some(next) = step.next else { break };
            from = Some(next);
        }
        let mut over = vec![];
        for waiting in self.lanes.values_mut() {
            waiting.retain(|(id, _)| {
                let ends = self.messages[id].expires_at.is_some_and(|end| end <= self.now);
                over.extend(ends.then_some(*id));
                !ends
            });
        }
        assert_eq!(ended, over.len() as u64);
        for id in over {
            let message = self.messages.get_mut(&id).expect("there");
            let (state, error) = message.end();
            message.state = state;
            self.came_to(id, self.now, state, error);
        }
    }

    async fn expire(&mut self, backend: &mut impl Backend, rng: &mut Rng) {
        let before = self.now - 100 - i64::from(rng.roll(50));
        while backend
            .store()
            .expire_messages(before, self.now)
            .await
            .expect("expired")
        {}
        self.messages
            .retain(|&id, message| id.time_part() >= before || !message.state.is_final());
    }
}
