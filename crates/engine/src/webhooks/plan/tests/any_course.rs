//! What holds of a plan whatever is called, answered and stopped, in any order.

use super::*;
use proptest::prelude::*;

/// An endpoint's worker that makes calls in an order of chance, and what the store holds of it.
struct World {
    bounds: Bounds,
    log: Vec<Event>,
    plan: Plan,
    out: Vec<Delivery>,
    recording: Option<Recording>,
    now: UnixMs,
    acked_offset: EventOffset,
    aside: BTreeMap<i64, DeliveryRetry>,
    dead: Vec<Event>,
    next_no: i64,
    /// What the endpoint took, in order.
    taken: Vec<Event>,
}

/// One step of it; the number chooses among what can be done.
#[derive(Debug, Clone, Copy)]
enum Step {
    Read,
    Call,
    Trial,
    Take(usize),
    Fail(usize),
    GiveUp(usize),
    Undo(usize),
    BeginToRecord,
    Record,
    Wait,
    Kill,
    /// An end in order.
    Stop,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Read),
        6 => Just(Step::Call),
        1 => Just(Step::Trial),
        4 => (0_usize..8).prop_map(Step::Take),
        4 => (0_usize..8).prop_map(Step::Fail),
        1 => (0_usize..8).prop_map(Step::GiveUp),
        1 => (0_usize..8).prop_map(Step::Undo),
        2 => Just(Step::BeginToRecord),
        2 => Just(Step::Record),
        3 => Just(Step::Wait),
        1 => Just(Step::Kill),
        1 => Just(Step::Stop),
    ]
}

impl World {
    fn new(bounds: Bounds, log: Vec<Event>) -> Self {
        Self {
            bounds,
            log,
            plan: Plan::new(bounds, EventOffset::default()),
            out: Vec::new(),
            recording: None,
            now: 0,
            acked_offset: EventOffset::default(),
            aside: BTreeMap::new(),
            dead: Vec::new(),
            next_no: 1,
            taken: Vec::new(),
        }
    }

    fn events_of(&self, delivery: &Delivery) -> Vec<Event> {
        match delivery {
            Delivery::New(unit) => unit.events.clone(),
            Delivery::Retry(retry) => self.aside[&retry.no].events.clone(),
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Read => {
                let from = self.plan.read_to();
                let after = self.log.iter().filter(|event| event.offset > from);
                let events: Vec<_> = after.take(self.plan.room().min(5)).cloned().collect();
                let to = events.last().map_or(from, |event| event.offset);
                self.plan
                    .read(events.into_iter().map(|event| (event, None)).collect(), to);
            }
            Step::Call if self.out.len() < 6 => self.out.extend(self.plan.next(self.now)),
            Step::Trial if self.out.is_empty() => self.out.extend(self.plan.next_trial(self.now)),
            Step::Take(n) => {
                if let Some(delivery) = self.land(n) {
                    self.taken.extend(self.events_of(&delivery));
                    match delivery {
                        Delivery::New(unit) => self.plan.succeeded(&unit),
                        Delivery::Retry(retry) => self.plan.settled(retry.no),
                    }
                }
            }
            Step::Fail(n) => self.fail(n, self.now + 10),
            Step::GiveUp(n) => self.fail(n, i64::MAX),
            Step::Undo(n) => match self.land(n) {
                Some(Delivery::New(unit)) => self.plan.undone(&unit),
                Some(Delivery::Retry(retry)) => self.plan.retry_undone(retry, self.now),
                None => {}
            },
            Step::BeginToRecord => {
                if let Some(recording) = self.plan.begin_recording() {
                    self.recording = Some(recording);
                }
            }
            Step::Record => self.record(),
            Step::Wait => self.now += 7,
            Step::Kill => self.kill(),
            Step::Stop => {
                self.record();
                while !self.out.is_empty() {
                    self.step(Step::Take(0));
                }
                self.plan.flush_pending(self.now);
                self.step(Step::BeginToRecord);
                self.record();
                self.kill();
            }
            Step::Call | Step::Trial => {}
        }
        // What memory holds is bounded, whatever happens.
        assert!(
            self.plan.window.len() <= self.bounds.window_events_max + 5,
            "the window, and the second pieces of five batches"
        );
        let waiting = self.plan.waiting.events() + self.plan.unnumbered_events;
        assert!(
            waiting
                <= self.bounds.waiting_events_max
                    + 6 * self.bounds.call_events_max
                    + self.bounds.window_events_max,
            "what waits: {waiting}"
        );
    }

    fn land(&mut self, n: usize) -> Option<Delivery> {
        (!self.out.is_empty()).then(|| self.out.remove(n % self.out.len()))
    }

    fn fail(&mut self, n: usize, due: UnixMs) {
        match self.land(n) {
            Some(Delivery::New(unit)) => self.plan.failed(unit, 1, due, self.now, "".into()),
            Some(Delivery::Retry(retry)) => self.plan.retry_failed(retry.no, retry.tries + 1, due, "".into()),
            None => {}
        }
    }

    /// One transaction.
    fn record(&mut self) {
        let Some(recording) = self.recording.take() else {
            return;
        };
        self.acked_offset = recording.acked_offset.unwrap_or(self.acked_offset);
        for no in recording.settled {
            self.aside.remove(&no);
        }
        for retried in recording.retried {
            if retried.due == i64::MAX {
                self.dead.extend(self.aside.remove(&retried.no).unwrap().events);
            } else {
                let call = self.aside.get_mut(&retried.no).unwrap();
                (call.tries, call.due) = (retried.tries, retried.due);
            }
        }
        for call in recording.deferred {
            if call.due == i64::MAX {
                self.dead.extend(call.events);
            } else {
                self.aside.insert(self.next_no, numbered(self.next_no, &call));
            }
            self.next_no += 1;
        }
        let new: Vec<_> = self
            .aside
            .range(recording.last_no + 1..)
            .map(|(_, call)| call.clone())
            .collect();
        self.plan.recorded(&new);
    }

    fn kill(&mut self) {
        self.out.clear();
        self.recording = None;
        self.plan = Plan::new(self.bounds, self.acked_offset);
        self.aside.values().for_each(|call| self.plan.load(call));
    }

    /// Everything is taken from now on.
    fn finish(&mut self) {
        for _ in 0..10_000 {
            for step in [
                Step::Read,
                Step::Call,
                Step::Take(0),
                Step::BeginToRecord,
                Step::Record,
                Step::Wait,
            ] {
                self.step(step);
            }
            if self.acked_offset
                == self
                    .log
                    .last()
                    .map_or(EventOffset::default(), |event| event.offset)
                && self.aside.is_empty()
            {
                return;
            }
        }
        panic!("it does not come to an end: {:?}", self.plan);
    }
}

fn log() -> impl Strategy<Value = Vec<Event>> {
    prop::collection::vec((0_i64..6, 0..10), 1..60).prop_map(|all| {
        (1..)
            .zip(all)
            .map(|(row, (message, kind))| match kind {
                0 => accepted(row, message * 1000, 1_500),
                _ => event(row, message * 1000),
            })
            .collect()
    })
}

/// First takings of each message's events are in order.
fn in_order(taken: &[Event]) -> Result<(), TestCaseError> {
    let mut last: BTreeMap<MessageId, EventOffset> = BTreeMap::new();
    let mut seen: HashSet<EventOffset> = HashSet::new();
    for event in taken {
        let Some(message) = event.what.message() else {
            continue;
        };
        if !seen.insert(event.offset) {
            continue;
        }
        let last = last.entry(message).or_default();
        prop_assert!(*last < event.offset, "{} came after {}", event.offset, last);
        *last = event.offset;
    }
    Ok(())
}

/// Nothing of a message is taken before its acceptance was, unless that is dead.
fn accepted_first(world: &World) -> Result<(), TestCaseError> {
    let pieces: Vec<&Event> = world
        .taken
        .iter()
        .filter(|event| event.what.message().is_none())
        .collect();
    let has = |piece: &Event, message: MessageId| match piece.what {
        EventWhat::Accepted { first, count } => first <= message && message < first.plus(i64::from(count)),
        _ => false,
    };
    for (at, event) in world.taken.iter().enumerate() {
        let Some(message) = event.what.message() else {
            continue;
        };
        for piece in pieces
            .iter()
            .filter(|piece| piece.offset < event.offset && has(piece, message))
        {
            let before = world.taken[..at].iter().any(|taken| taken == *piece);
            prop_assert!(
                before,
                "{} came before the acceptance {}",
                event.offset,
                piece.offset
            );
        }
    }
    Ok(())
}

fn all_reported(world: &World) -> Result<(), TestCaseError> {
    for event in &world.log {
        let reported = world
            .taken
            .iter()
            .chain(&world.dead)
            .any(|event_of| event_of.offset == event.offset);
        prop_assert!(reported, "{} was never reported", event.offset);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn whatever_fails_every_message_is_reported_in_order_and_once(
        log in log(), steps in prop::collection::vec(step(), 0..400), call_events_max in 1_usize..5,
    ) {
        let mut world = World::new(Bounds { call_events_max, ..BOUNDS }, log);
        for step in steps {
            if !matches!(step, Step::Kill) {
                world.step(step);
            }
        }
        world.finish();
        all_reported(&world)?;
        in_order(&world.taken)?;
        accepted_first(&world)?;
        let mut messages: Vec<_> =
            world.taken.iter().filter(|event| event.what.message().is_some()).map(|event| event.offset).collect();
        messages.sort_unstable();
        let count = messages.len();
        messages.dedup();
        prop_assert_eq!(messages.len(), count, "without a kill nothing is reported twice, not even over a stop");
    }

    #[test]
    fn kills_at_any_moment_lose_nothing(
        log in log(), steps in prop::collection::vec(step(), 0..400), call_events_max in 1_usize..5,
    ) {
        let mut world = World::new(Bounds { call_events_max, ..BOUNDS }, log);
        for step in steps {
            world.step(step);
        }
        world.finish();
        all_reported(&world)?;
    }

    #[test]
    fn little_room_for_what_waits_stops_nothing(
        log in log(), steps in prop::collection::vec(step(), 0..400),
    ) {
        let mut world = World::new(Bounds { waiting_events_max: 4, ..BOUNDS }, log);
        for step in steps {
            world.step(step);
        }
        world.finish();
        all_reported(&world)?;
    }
}
