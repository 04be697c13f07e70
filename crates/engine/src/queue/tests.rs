//! The ready queues against a model of the store: every message comes out exactly once and, within its lane, in order.

use super::carrier::ReadWanted;
use super::{CarrierQueue, ClassWeights, QueueLimits, consumed};
use proptest::prelude::*;
use sms::class::{Class, Kind};
use sms::phone::Msisdn;
use std::collections::HashMap;
use std::sync::Arc;
use store::{AccountId, BatchView, CarrierNo, Dialect, Lane, MessageId, Outgoing, QueuePosition, QueueSeq};

fn lane(class: Class, account: u32) -> Lane {
    Lane {
        carrier: CarrierNo(1),
        class,
        account: AccountId(account),
    }
}

fn message(lane: Lane, no: i64, id: i64) -> Outgoing {
    Outgoing {
        id: MessageId(id),
        key: QueuePosition {
            lane,
            no: QueueSeq(no),
        },
        msisdn: Msisdn::from_u64(447_700_900_123).unwrap(),
        params: None,
        segments: 1,
        reference: 0,
        batch: Arc::new(BatchView {
            accepted_at: 0,
            id: MessageId(id),
            session: MessageId(id),
            count: 1,
            account: lane.account,
            dialect: Dialect::UspeedoRest,
            user: "".into(),
            dimensions: store::DimensionsNo::default(),
            class: lane.class,
            kind: Kind::Text,
            message_type: None,
            template: 1,
            text: Arc::from("text"),
            sender: None,
            label: 0,
            custom: None,
            due: None,
            expires_at: None,
        }),
        attempts: 0,
        last_attempt: None,
        taken: None,
    }
}

fn queue(ready_messages_max: usize, lane_messages_max: usize) -> Arc<CarrierQueue> {
    let limits = QueueLimits {
        ready_messages_max,
        lane_messages_max,
        weights: ClassWeights::default(),
    };
    let queue = CarrierQueue::new(CarrierNo(1), limits, Arc::default(), Arc::default());
    Arc::new(queue)
}

/// What may happen, in any order.
#[derive(Debug, Clone)]
enum Step {
    /// A request is committed and enqueued: lane and messages.
    Commit(usize, usize),
    /// A commit that only marks the backlog (released from the delayed ones).
    Release(usize, usize),
    /// A read looks at the store.
    BeginRead,
    /// Its result comes.
    EndRead,
    /// It fails, or whoever made it is dropped before it has come.
    DropRead,
    /// A bind takes some.
    Take(usize),
    /// A bind takes some and puts them back.
    TakeAndPutBack(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..3_usize, 1..12_usize).prop_map(|(lane, count)| Step::Commit(lane, count)),
        1 => (0..3_usize, 1..4_usize).prop_map(|(lane, count)| Step::Release(lane, count)),
        2 => Just(Step::BeginRead),
        2 => Just(Step::EndRead),
        1 => Just(Step::DropRead),
        3 => (1..10_usize).prop_map(Step::Take),
        1 => (1..10_usize).prop_map(Step::TakeAndPutBack),
    ]
}

/// A store that has committed messages and never deletes them: the queue alone must know what it took.
#[derive(Default)]
struct Model {
    committed: HashMap<Lane, Vec<(i64, i64)>>,
    reads: Vec<(ReadWanted, Vec<Outgoing>)>,
    no: i64,
    id: i64,
    taken: HashMap<Lane, Vec<i64>>,
}

impl Model {
    fn commit(&mut self, lane: Lane, count: usize) -> Vec<Outgoing> {
        self.no += 1;
        (0..count)
            .map(|_| {
                self.id += 1;
                self.committed.entry(lane).or_default().push((self.no, self.id));
                message(lane, self.no, self.id)
            })
            .collect()
    }

    fn read(&self, wanted: &ReadWanted) -> Vec<Outgoing> {
        let all = self.committed.get(&wanted.lane()).cloned().unwrap_or_default();
        let after = wanted.after().map(|(no, id)| (no.0, id.0));
        let rest = all.into_iter().filter(|at| after.is_none_or(|after| *at > after));
        rest.take(wanted.messages_max())
            .map(|(no, id)| message(wanted.lane(), no, id))
            .collect()
    }

    fn took(&mut self, messages: &[Outgoing]) {
        for message in messages {
            self.taken.entry(message.key.lane).or_default().push(message.id.0);
        }
    }
}

proptest! {
    #[test]
    fn every_message_comes_out_once_and_in_order(steps in proptest::collection::vec(step(), 1..200)) {
        let lanes = [lane(Class::Otp, 1), lane(Class::Marketing, 1), lane(Class::Marketing, 2)];
        let queue = queue(20, 8);
        let mut model = Model::default();
        for step in steps {
            match step {
                Step::Commit(at, count) => {
                    let messages = model.commit(lanes[at], count);
                    queue.enqueue_ready(lanes[at], messages.into_iter());
                }
                Step::Release(at, count) => {
                    model.commit(lanes[at], count);
                    queue.mark_backlogged(lanes[at]);
                }
                Step::BeginRead => {
                    if let Some(wanted) = queue.next_read() {
                        let found = model.read(&wanted);
                        model.reads.push((wanted, found));
                    }
                }
                Step::EndRead => {
                    if let Some((wanted, found)) = model.reads.pop() {
                        wanted.end(found);
                    }
                }
                Step::DropRead => drop(model.reads.pop()),
                Step::Take(count) => {
                    let taken = queue.take(count, 0);
                    prop_assert!(taken.len() <= count);
                    model.took(&taken);
                }
                Step::TakeAndPutBack(count) => queue.put_back(queue.take(count, 0)),
            }
            prop_assert!(queue.ready_messages() <= 20 + 3 * 64, "the window is bounded");
        }
        // In the end everything is read and taken.
        while let Some((wanted, found)) = model.reads.pop() {
            wanted.end(found);
        }
        loop {
            let taken = queue.take(7, 0);
            model.took(&taken);
            match queue.next_read() {
                Some(wanted) => {
                    let found = model.read(&wanted);
                    wanted.end(found);
                }
                None if taken.is_empty() => break,
                None => {}
            }
        }
        for lane in lanes {
            let committed: Vec<i64> = model.committed.get(&lane).into_iter().flatten().map(|(_, id)| *id).collect();
            prop_assert_eq!(model.taken.remove(&lane).unwrap_or_default(), committed);
        }
    }
}

#[test]
fn a_code_passes_a_campaign() {
    let queue = queue(20_000, 10_000);
    let campaign = lane(Class::Marketing, 1);
    queue.enqueue_ready(
        campaign,
        (1..=5_000)
            .map(|id| message(campaign, 1, id))
            .collect::<Vec<_>>()
            .into_iter(),
    );
    let codes = lane(Class::Otp, 2);
    queue.enqueue_ready(codes, vec![message(codes, 2, 9_999)].into_iter());
    let first: Vec<_> = queue.take(2, 0).iter().map(|message| message.id.0).collect();
    assert!(
        first.contains(&9_999),
        "the code is among the first two: {first:?}"
    );
}

#[test]
fn accounts_share_a_class_fairly() {
    let queue = queue(20_000, 10_000);
    for account in [1, 2] {
        let lane = lane(Class::Notice, account);
        let count = if account == 1 { 3_000 } else { 100 };
        let messages: Vec<_> = (0..count)
            .map(|id| message(lane, i64::from(account), id))
            .collect();
        queue.enqueue_ready(lane, messages.into_iter());
    }
    let taken = queue.take(200, 0);
    let of_second = taken
        .iter()
        .filter(|message| message.key.lane.account == AccountId(2))
        .count();
    assert_eq!(
        of_second, 100,
        "the small account is through after twice its size"
    );
}

#[test]
fn taken_runs_are_named_exactly() {
    let (a, b) = (lane(Class::Notice, 1), lane(Class::Notice, 2));
    let messages = [
        message(a, 1, 10),
        message(b, 2, 20),
        message(a, 1, 11),
        message(b, 2, 22),
        message(a, 3, 12),
    ];
    let runs: Vec<_> = consumed(&messages)
        .iter()
        .map(|run| (run.key.no.0, run.first.0, run.last.0))
        .collect();
    assert_eq!(runs, [(1, 10, 11), (2, 20, 20), (2, 22, 22), (3, 12, 12)]);
}

#[test]
fn a_walk_takes_what_moves_from_behind_what_stays() {
    let queue = queue(20_000, 10_000);
    let (heavy, light) = (lane(Class::Notice, 1), lane(Class::Notice, 2));
    for (lane, from) in [(heavy, 1), (light, 2_001)] {
        let messages: Vec<_> = (from..from + 2_000).map(|id| message(lane, id, id)).collect();
        queue.enqueue_ready(lane, messages.into_iter());
    }
    // Nothing of the first account moves, and every third message of the other one.
    let moves = |message: &Outgoing| message.batch.account == AccountId(2) && message.id.0 % 3 == 0;
    let (mut places, mut moved) = (queue.walk_places(), Vec::new());
    while let Some(place) = places.pop() {
        let (taken, next) = queue.walk(place, 7, 0, moves);
        moved.extend(taken.into_iter().map(|message| message.id.0));
        places.extend(next);
    }
    assert_eq!(moved, (2_001..4_001).filter(|id| id % 3 == 0).collect::<Vec<_>>());
    assert_eq!(queue.ready_messages(), 4_000 - moved.len());
    let mut stayed: Vec<i64> = queue.take(10_000, 0).iter().map(|message| message.id.0).collect();
    assert_eq!(stayed.len(), 4_000 - moved.len());
    stayed.retain(|id| *id > 2_000);
    assert!(stayed.is_sorted(), "in order");
}

#[test]
fn a_lane_of_another_carrier_is_dropped_when_it_is_empty() {
    let queue = queue(20_000, 10_000);
    let own = lane(Class::Notice, 1);
    let foreign = Lane {
        carrier: CarrierNo(2),
        ..own
    };
    let back = message(foreign, 1, 1);
    for account in 1..100 {
        let lane = lane(Class::Otp, account);
        let foreign = Lane {
            carrier: CarrierNo(2),
            ..lane
        };
        queue
            .accept_failover(message(foreign, 1, i64::from(account)))
            .unwrap();
        queue.enqueue_ready(
            lane,
            std::iter::once(message(lane, 2, 1_000 + i64::from(account))),
        );
    }
    assert_eq!(queue.take(1_000, 0).len(), 198);
    assert_eq!(
        queue.lanes(),
        99,
        "its own are kept: they know how far they were read"
    );
    queue.put_back(vec![back]);
    assert_eq!(queue.take(1, 0).len(), 1);
    queue.accept_failover(message(foreign, 1, 1)).unwrap();
    let place = queue.walk_places().pop().unwrap();
    assert_eq!(queue.walk(place, 10, 0, |_| true).0.len(), 1);
    assert_eq!(queue.lanes(), 99);
}

#[test]
fn what_has_expired_is_left_to_be_ended() {
    let limits = QueueLimits::default();
    let expired = Arc::new(super::ExpiredRuns::default());
    let queue = CarrierQueue::new(CarrierNo(1), limits, Arc::default(), Arc::clone(&expired));
    let lane = lane(Class::Otp, 1);
    let ending = |id: i64, expires_at| {
        let mut message = message(lane, 1, id);
        Arc::get_mut(&mut message.batch).unwrap().expires_at = expires_at;
        message
    };
    let ends = [Some(50), Some(50), None, Some(51), Some(49), Some(60)];
    let messages: Vec<_> = (1..).zip(ends).map(|(id, end)| ending(id, end)).collect();
    queue.enqueue_ready(lane, messages.into_iter());
    let ids = |messages: Vec<Outgoing>| -> Vec<i64> { messages.iter().map(|message| message.id.0).collect() };
    // At the end itself it is over; what is alive makes up the number.
    assert_eq!(ids(queue.take(2, 50)), [3, 4]);
    assert_eq!(ids(queue.take_codes(9, 50)), [6]);
    assert_eq!(queue.ready_messages(), 0);
    let runs: Vec<_> = expired
        .take()
        .0
        .iter()
        .map(|run| (run.first.0, run.last.0))
        .collect();
    assert_eq!(runs, [(1, 2), (5, 5)]);
    assert!(expired.take().0.is_empty());
}

#[test]
fn a_lane_that_is_read_again_has_all_that_waits_again_also_after_a_read_that_was_under_way() {
    let queue = queue(100, 100);
    let lane = lane(Class::Otp, 1);
    let waiting = || (1..=5).map(|id| message(lane, id, id)).collect::<Vec<_>>();
    queue.enqueue_ready(lane, waiting().into_iter());
    assert_eq!(queue.take(2, 0).len(), 2);
    queue.mark_backlogged(lane);
    let under_way = queue.next_read().unwrap();
    assert_eq!(under_way.after(), Some((QueueSeq(5), MessageId(5))));
    queue.read_again(lane);
    assert_eq!(queue.ready_messages(), 0);
    under_way.end(vec![message(lane, 6, 6)]);
    assert_eq!(
        queue.ready_messages(),
        0,
        "what is before it would be passed over"
    );
    let again = queue.next_read().unwrap();
    assert_eq!(again.after(), None);
    again.end(waiting());
    let taken: Vec<i64> = queue.take(9, 0).iter().map(|message| message.id.0).collect();
    assert_eq!(taken, [1, 2, 3, 4, 5]);
    assert!(queue.next_read().is_none());
}
