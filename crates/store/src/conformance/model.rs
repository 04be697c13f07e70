//! Random operations against a model so simple that it cannot be wrong.
//!
//! A script is a list of numbers, each of which becomes one operation on whatever is there: so any list is a
//! script, and a failing one can be shrunk.

mod compare;
mod dice;

use super::Side;
use super::given::{ACCOUNT, CARRIER, NOW, accepted, batch, endpoint, listening, message, request};
use crate::{
    Answer, AttemptId, AttemptOutcome, AttemptStart, CarrierNo, CarrierReceipt, ConsumedQueue, EventKinds,
    EventPlace, EventWhat, Lane, MessageId, NewBatch, Next, QueueKey, ReceiptFate, RecordResults,
    SegmentAnswer, Tally, UnixMs,
};
use dice::Dice;
use sms::class::Class;
use sms::receipt::CarrierId;
use sms::state::{MessageState, ReceiptState, aggregate};
use std::collections::BTreeMap;

/// A long script of its own making.
pub async fn random_operations_agree_with_the_model(side: &mut impl Side) {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let script: Vec<u32> = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u32
    })
    .take(300)
    .collect();
    agrees(side, &script).await;
}

/// Runs a script on the store and on the model, and compares what they show.
pub async fn agrees(side: &mut impl Side, script: &[u32]) {
    let mut model = Model {
        now: NOW,
        ..Model::default()
    };
    listening(side.store(), endpoint(1, ACCOUNT, EventKinds::ALL)).await;
    for (step, &number) in script.iter().enumerate() {
        let mut dice = Dice(number);
        let operation = dice.roll(17);
        match operation {
            0..=3 => model.accept(side, &mut dice).await,
            4..=6 => model.begin(side, &mut dice).await,
            7..=9 => model.record(side, &mut dice).await,
            10..=12 => model.receive(side, &mut dice).await,
            13 => model.release(side, &mut dice).await,
            14 => model.expire(side, &mut dice).await,
            15 => model.sweep(side, &mut dice).await,
            _ => side.crash().await,
        }
        let when = format!("after step {step} (operation {operation})");
        model.compare(side, &when).await;
        model.compare_telling(side, &when).await;
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
    tally: Tally,
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
struct Heard {
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
    lanes: BTreeMap<Lane, Vec<(MessageId, Option<QueueKey>)>>,
    /// What waits for its time, in the order it was put aside.
    delayed: Vec<(UnixMs, Lane, MessageId)>,
    open: BTreeMap<AttemptId, (CarrierNo, Vec<MessageId>)>,
    /// Carrier ids in the order they were told.
    named: Vec<(CarrierNo, String, MessageId)>,
    parked: Vec<(CarrierNo, String, Heard)>,
    counts: BTreeMap<MessageId, ModelCount>,
    /// What has happened since events were last read, up to `told`.
    happened: Vec<(UnixMs, EventWhat)>,
    told: EventPlace,
}

const ERRORS: [&str; 3] = ["7", "000", "too long for an err field"];

const CARRIERS: [CarrierNo; 2] = [CARRIER, CarrierNo(4)];
/// So few that they come again, and so many that not each one does.
const CARRIER_IDS: u32 = 60;

impl Model {
    async fn accept(&mut self, side: &mut impl Side, dice: &mut Dice) {
        self.now += i64::from(dice.roll(3));
        let class = if dice.chance(3) { Class::Otp } else { Class::Notice };
        let due = dice.chance(4).then(|| self.now + i64::from(dice.roll(40)));
        let expires_at = dice.chance(3).then(|| self.now + i64::from(dice.roll(80)));
        let numbers: Vec<u64> = (0..=dice.roll(5)).map(|_| u64::from(dice.roll(9))).collect();
        let mut new = NewBatch {
            class,
            due,
            expires_at,
            messages: numbers.iter().map(|&n| message(n)).collect(),
            ..batch([])
        };
        for message in &mut new.messages {
            message.carrier = CARRIERS[dice.pick(2)];
            message.failure = dice.chance(6).then_some(412);
            message.segments = 1 + u8::from(dice.chance(3));
        }
        new.label = i64::from(dice.roll(2));
        let label = new.label;
        let plan: Vec<_> = new
            .messages
            .iter()
            .map(|message| (message.carrier, message.failure, message.segments))
            .collect();
        let range = accepted(side.store(), request(self.now, vec![new])).await.batches[0];
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
                tally: Tally {
                    series: range.series,
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

    async fn begin(&mut self, side: &mut impl Side, dice: &mut Dice) {
        let lanes: Vec<Lane> = self
            .lanes
            .iter()
            .filter(|(_, w)| !w.is_empty())
            .map(|(&lane, _)| lane)
            .collect();
        if lanes.is_empty() {
            return;
        }
        let lane = lanes[dice.pick(lanes.len())];
        let waiting = self.lanes.get_mut(&lane).expect("there");
        let places: BTreeMap<MessageId, QueueKey> = super::given::waiting(side.store(), lane)
            .await
            .into_iter()
            .map(|outgoing| (outgoing.id, outgoing.key))
            .collect();
        let from = dice.pick(waiting.len());
        let count = (1 + dice.pick(4)).min(waiting.len() - from);
        let taken: Vec<MessageId> = waiting.drain(from..from + count).map(|(id, _)| id).collect();
        let carrier = CARRIERS[dice.pick(2)];
        let consumed = taken
            .iter()
            .map(|&id| ConsumedQueue {
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
        let attempt = side.store().begin_attempts(vec![start]).await.expect("begun")[0].id;
        for id in &taken {
            self.messages.get_mut(id).expect("there").state = MessageState::InFlight;
        }
        self.open.insert(attempt, (carrier, taken));
    }

    async fn record(&mut self, side: &mut impl Side, dice: &mut Dice) {
        let attempts: Vec<AttemptId> = self.open.keys().copied().collect();
        if attempts.is_empty() {
            return;
        }
        let attempt = attempts[dice.pick(attempts.len())];
        let (carrier, waiting) = self.open.get_mut(&attempt).expect("open");
        let carrier = *carrier;
        let count = 1 + dice.pick(waiting.len());
        let answered: Vec<MessageId> = waiting.drain(..count).collect();
        let closed = if waiting.is_empty() { vec![attempt] } else { vec![] };
        if waiting.is_empty() {
            self.open.remove(&attempt);
        }
        let mut outcomes = vec![];
        let mut expected = vec![];
        for id in answered {
            let (answer, next) = self.answer(dice);
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
                tally: self.messages[&id].tally,
            });
            expected.push(self.answered(id, attempt, carrier, &answer, next));
        }
        let fates = side
            .store()
            .record_results(RecordResults { outcomes, closed })
            .await
            .expect("recorded");
        assert_eq!(
            fates.into_iter().map(|fate| fate.state).collect::<Vec<_>>(),
            expected
        );
    }

    fn answer(&self, dice: &mut Dice) -> (Answer, Next) {
        let taken = |dice: &mut Dice| SegmentAnswer {
            status: 0,
            carrier_id: Some(CarrierId::new(&format!("c{}", dice.roll(CARRIER_IDS)))),
        };
        let refused = SegmentAnswer {
            status: 0x58,
            carrier_id: None,
        };
        let due = self.now + i64::from(dice.roll(20));
        let retry = Next::Retry {
            due,
            carrier: CARRIERS[dice.pick(2)],
        };
        match dice.roll(8) {
            0..=3 => (Answer::Single(taken(dice)), Next::Submitted),
            4 => (
                Answer::segments(vec![Some(taken(dice)), Some(taken(dice))]),
                Next::Submitted,
            ),
            5 => (Answer::Single(refused), retry),
            6 => (Answer::Single(refused), Next::Final(MessageState::Rejected)),
            _ => (Answer::None, if dice.chance(2) { retry } else { Next::InDoubt }),
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
            for parked in std::mem::take(&mut self.parked) {
                let (other, parked_name, heard) = &parked;
                if *other == carrier && *parked_name == name && self.fit(id, &name, *heard) > Some(0) {
                    self.apply(id, &name, *heard);
                } else {
                    self.parked.push(parked);
                }
            }
        }
        self.messages[&id].state
    }

    /// How well a receipt fits a message: 2 for one that waits for it, 1 for one that it corrects, 0 for one that it
    /// changes nothing of; `None` when it does not name it. (A later attempt gives a message other names.)
    fn fit(&self, id: MessageId, name: &str, heard: Heard) -> Option<u8> {
        let message = self.messages.get(&id)?;
        let told = heard.state.message_state();
        let named = message.segments.iter().filter(|(has, _)| has == name);
        let fit = named.map(|(_, state)| match state {
            state if !state.is_final() => 2,
            state if state.may_become(told) => 1,
            _ => 0,
        });
        let bound = if message.state.is_final() { 1 } else { 2 };
        fit.max().map(|fit| fit.min(bound))
    }

    /// What a receipt does to a message that has a segment of that name.
    fn apply(&mut self, id: MessageId, name: &str, heard: Heard) -> ReceiptFate {
        let message = self.messages.get_mut(&id).expect("there");
        let was_final = message.state.is_final();
        let told = heard.state.message_state();
        let waits = |(other, state): &&mut (String, MessageState)| other == name && state.may_become(told);
        let Some((_, state)) = message
            .segments
            .iter_mut()
            .find(waits)
            .filter(|_| told.is_final())
        else {
            return if was_final {
                ReceiptFate::Repeated { id }
            } else {
                ReceiptFate::Applied {
                    id,
                    state: message.state,
                }
            };
        };
        *state = told;
        let states: Vec<MessageState> = message.segments.iter().map(|(_, state)| *state).collect();
        let together = aggregate(&states);
        let changed = message.state.may_become(together);
        if changed {
            message.state = together;
            self.came_to(id, heard.at, together, heard.error);
        }
        let message = &self.messages[&id];
        if was_final && !changed {
            ReceiptFate::Repeated { id }
        } else {
            ReceiptFate::Applied {
                id,
                state: message.state,
            }
        }
    }

    /// Counts a message where it is now, and tells so, unless it is where it was.
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

    async fn receive(&mut self, side: &mut impl Side, dice: &mut Dice) {
        let mut receipts = vec![];
        let mut heards = vec![];
        for _ in 0..=dice.roll(3) {
            let carrier = CARRIERS[dice.pick(2)];
            let name = format!("c{}", dice.roll(CARRIER_IDS));
            let state = ReceiptState::ALL[dice.pick(ReceiptState::ALL.len())];
            let error = ERRORS[dice.pick(ERRORS.len())];
            let at = self.now;
            let heard = Heard { state, error, at };
            let carrier_id = CarrierId::new(&name);
            receipts.push(CarrierReceipt::new(carrier, carrier_id, state, error.into(), at));
            heards.push((carrier, name, heard));
        }
        let fates = side.store().record_receipts(receipts).await.expect("recorded");
        for ((carrier, name, heard), fate) in heards.into_iter().zip(fates) {
            let fits = |id: MessageId| {
                let is_here = self.messages.get(&id).is_some_and(|has| has.carrier == carrier);
                is_here.then(|| self.fit(id, &name, heard)).flatten()
            };
            let named = self
                .named
                .iter()
                .filter(|(other, has, _)| *other == carrier && *has == name);
            let best = named.filter_map(|&(.., id)| fits(id)).max();
            let expected = match fate {
                ReceiptFate::Applied { id, .. } | ReceiptFate::Repeated { id } => {
                    assert_eq!(fits(id), best, "it goes to one that waits, if one does");
                    assert!(best.is_some());
                    self.apply(id, &name, heard)
                }
                _ => {
                    assert_eq!(best, None);
                    self.parked.push((carrier, name, heard));
                    ReceiptFate::Parked
                }
            };
            assert_eq!(fate, expected);
        }
    }

    async fn release(&mut self, side: &mut impl Side, dice: &mut Dice) {
        self.now += i64::from(dice.roll(30));
        while side
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
        due.sort_by_key(|(due, ..)| *due); // stable: then in the order they were put aside
        for (_, lane, id) in due {
            self.lanes.entry(lane).or_default().push((id, None));
        }
    }

    /// Ends what waits in lanes beyond its end.
    async fn sweep(&mut self, side: &mut impl Side, dice: &mut Dice) {
        self.now += i64::from(dice.roll(30));
        let (mut from, mut ended) = (None, 0);
        loop {
            let step = side.store().sweep_expired(from, self.now).await.expect("swept");
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

    async fn expire(&mut self, side: &mut impl Side, dice: &mut Dice) {
        let before = self.now - 100 - i64::from(dice.roll(50));
        while side
            .store()
            .expire_messages(before, self.now)
            .await
            .expect("expired")
        {}
        self.messages
            .retain(|&id, message| id.time_part() >= before || !message.state.is_final());
    }
}
