#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may stop at the first surprise"
)]

use super::*;
use proptest::prelude::*;
use sms::state::MessageState;
use std::collections::BTreeMap;

const BOUNDS: Bounds = Bounds {
    window_events_max: 16,
    waiting_events_max: 100,
    call_events_max: 1,
};

fn place(row: i64) -> EventPlace {
    EventPlace { row, index: 0 }
}

/// The event in row `row`: about message `message`.
fn event(row: i64, message: i64) -> Event {
    Event {
        place: place(row),
        at: row,
        what: EventWhat::Message {
            id: MessageId(message),
            state: MessageState::Submitted,
            error: "".into(),
        },
    }
}

fn accepted(row: i64, first: i64, count: u32) -> Event {
    Event {
        place: place(row),
        at: row,
        what: EventWhat::Accepted {
            first: MessageId(first),
            count,
        },
    }
}

fn plan_of(bounds: Bounds, events: Vec<Event>) -> Plan {
    let mut plan = Plan::new(bounds, EventPlace::default());
    let to = events.last().map_or(EventPlace::default(), |event| event.place);
    plan.read(events.into_iter().map(|event| (event, None)).collect(), to);
    plan
}

fn unit(plan: &mut Plan) -> Unit {
    match plan.next(0) {
        Some(Errand::New(unit)) => unit,
        other => panic!("{other:?}"),
    }
}

fn rows(unit: &Unit) -> Vec<i64> {
    unit.events.iter().map(|event| event.place.row).collect()
}

#[test]
fn the_place_waits_for_the_slowest_and_then_passes_all() {
    let mut plan = plan_of(BOUNDS, (1..=4).map(|n| event(n, n)).collect());
    let slow = unit(&mut plan);
    for _ in 0..3 {
        let quick = unit(&mut plan);
        plan.told(&quick);
    }
    assert!(
        plan.begin_recording().unwrap().told.is_none(),
        "the first is still under way"
    );
    plan.recorded(&[]);
    plan.told(&slow);
    assert_eq!(plan.begin_recording().unwrap().told, Some(place(4)));
}

#[test]
fn a_second_event_of_a_message_waits_for_the_first_and_others_do_not() {
    let mut plan = plan_of(BOUNDS, vec![event(1, 7), event(2, 7), event(3, 8)]);
    let first = unit(&mut plan);
    let other = unit(&mut plan);
    assert_eq!((rows(&first), rows(&other)), (vec![1], vec![3]));
    assert!(plan.next(0).is_none());
    plan.told(&first);
    assert_eq!(rows(&unit(&mut plan)), [2]);
}

#[test]
fn what_is_behind_a_failed_call_is_put_aside_with_no_try_used() {
    let mut plan = plan_of(BOUNDS, vec![event(1, 7), event(2, 7), event(3, 7)]);
    let first = unit(&mut plan);
    plan.failed(first, 1, 5_000, 0, "HTTP 500".into());
    assert!(plan.next(0).is_none());
    let recording = plan.begin_recording().unwrap();
    assert_eq!(recording.told, Some(place(3)));
    let aside: Vec<_> = recording
        .put_aside
        .iter()
        .map(|call| (call.tries, call.due))
        .collect();
    assert_eq!(aside, [(1, 5_000), (0, 0), (0, 0)]);
    let rows: Vec<Redelivery> = (1..)
        .zip(&recording.put_aside)
        .map(|(no, call)| numbered(no, call))
        .collect();
    plan.recorded(&rows);
    assert!(plan.next(4_999).is_none(), "the others are due, but stand behind");
    for no in 1..=3 {
        let Some(Errand::Again(again)) = plan.next(5_000) else {
            panic!("{no} is due")
        };
        assert_eq!(again.no, no);
        assert!(plan.next(5_000).is_none());
        plan.settled(no);
    }
    assert_eq!(plan.waiting(), 0);
}

#[test]
fn an_acceptance_that_failed_is_taken_before_anything_of_its_messages() {
    let events = vec![
        accepted(1, 100, 3),
        event(2, 101),
        event(3, 7),
        event(4, 102),
        event(5, 101),
    ];
    let mut plan = plan_of(BOUNDS, events);
    let acceptance = unit(&mut plan);
    plan.failed(acceptance, 1, 5_000, 0, "HTTP 500".into());
    let other = unit(&mut plan);
    assert_eq!(rows(&other), [3], "others go on");
    plan.told(&other);
    assert!(plan.next(0).is_none());
    let recording = plan.begin_recording().unwrap();
    assert_eq!((recording.told, recording.put_aside.len()), (Some(place(5)), 4));
    let calls: Vec<Redelivery> = (1..)
        .zip(&recording.put_aside)
        .map(|(no, call)| numbered(no, call))
        .collect();
    plan.recorded(&calls);
    // As it is, and as it is after a restart.
    let mut again = Plan::new(BOUNDS, place(5));
    calls.iter().for_each(|call| again.load(call));
    for mut plan in [plan, again] {
        assert!(plan.next(4_999).is_none(), "all are behind the acceptance");
        let mut order = Vec::new();
        while let Some(Errand::Again(call)) = plan.next(5_000) {
            order.push(call.no);
            if call.no == 1 {
                assert!(plan.next(5_000).is_none(), "it is not taken yet");
            }
            plan.settled(call.no);
        }
        assert_eq!(order, [1, 2, 3, 4]);
    }
}

#[test]
fn what_waits_for_an_acceptance_moves_up_when_that_is_given_up_on() {
    let mut plan = plan_of(BOUNDS, vec![accepted(1, 100, 3), event(2, 101)]);
    let acceptance = unit(&mut plan);
    plan.failed(acceptance, 1, 10, 0, "HTTP 500".into());
    assert!(plan.next(0).is_none());
    let recording = plan.begin_recording().unwrap();
    let calls = (1..)
        .zip(&recording.put_aside)
        .map(|(no, call)| numbered(no, call));
    plan.recorded(&calls.collect::<Vec<_>>());
    assert!(matches!(plan.next(10), Some(Errand::Again(Again { no: 1, .. }))));
    plan.failed_again(1, 2, i64::MAX, "HTTP 500".into());
    assert!(matches!(plan.next(10), Some(Errand::Again(Again { no: 2, .. }))));
}

#[test]
fn several_events_share_a_call_and_a_message_keeps_its_order_in_it() {
    let bounds = Bounds {
        call_events_max: 3,
        ..BOUNDS
    };
    let events = vec![event(1, 7), event(2, 7), event(3, 8), event(4, 8), event(5, 9)];
    let mut plan = plan_of(bounds, events);
    let first = unit(&mut plan);
    assert_eq!(rows(&first), [1, 2, 3]);
    assert_eq!(rows(&unit(&mut plan)), [5], "4 is about a message under way");
    plan.failed(first, 1, 10, 0, "".into());
    assert!(plan.next(0).is_none());
    assert_eq!(
        plan.begin_recording().unwrap().put_aside.len(),
        2,
        "4 is behind the first call"
    );
}

#[test]
fn a_batch_is_told_before_its_messages_and_a_long_one_in_pieces() {
    let mut plan = plan_of(BOUNDS, vec![accepted(1, 100, 2_500), event(2, 100), event(3, 5)]);
    let pieces: Vec<Unit> = (0..3).map(|_| unit(&mut plan)).collect();
    let ranges: Vec<_> = pieces.iter().map(|piece| piece.events[0].what.clone()).collect();
    let range = |first, count| EventWhat::Accepted {
        first: MessageId(first),
        count,
    };
    assert_eq!(ranges, [range(100, 1000), range(1100, 1000), range(2100, 500)]);
    assert_eq!(rows(&unit(&mut plan)), [3], "a message of another batch");
    assert!(plan.next(0).is_none());
    plan.told(&pieces[1]);
    assert!(plan.begin_recording().unwrap().told.is_none());
    plan.recorded(&[]);
    plan.told(&pieces[0]);
    assert_eq!(
        plan.begin_recording().unwrap().told,
        None,
        "a batch is told when all of it is"
    );
    plan.recorded(&[]);
    assert_eq!(rows(&unit(&mut plan)), [2]);
    plan.told(&pieces[2]);
    assert_eq!(plan.begin_recording().unwrap().told, Some(place(1)));
}

#[test]
fn a_stop_puts_aside_what_was_passed_over_and_nothing_is_told_twice() {
    let mut plan = plan_of(BOUNDS, vec![event(1, 7), event(2, 7), event(3, 8), event(4, 9)]);
    let (first, other) = (unit(&mut plan), unit(&mut plan));
    assert_eq!((rows(&first), rows(&other)), (vec![1], vec![3]));
    plan.told(&first);
    plan.told(&other);
    plan.settle_up(0);
    let recording = plan.begin_recording().unwrap();
    assert_eq!(recording.told, Some(place(3)), "4 is told from the log");
    assert_eq!(recording.put_aside.len(), 1);
    assert_eq!(recording.put_aside[0].events, [event(2, 7)]);
}

#[test]
fn a_stop_in_the_middle_of_a_long_batch_leaves_its_other_pieces_to_be_told() {
    let mut plan = plan_of(BOUNDS, vec![accepted(1, 100, 2_500), event(2, 7)]);
    let first = unit(&mut plan);
    plan.told(&first);
    plan.settle_up(0);
    let recording = plan.begin_recording().unwrap();
    assert_eq!(recording.told, Some(place(1)));
    assert_eq!(recording.put_aside.len(), 2);
}

#[test]
fn when_too_much_waits_nothing_new_is_told() {
    let bounds = Bounds {
        waiting_events_max: 3,
        ..BOUNDS
    };
    let mut plan = plan_of(bounds, (1..=8).map(|n| event(n, n)).collect());
    for _ in 0..3 {
        let failing = unit(&mut plan);
        plan.failed(failing, 1, 100, 0, "".into());
    }
    assert!(plan.next(0).is_none());
    assert_eq!(plan.room(), 0);
    let recording = plan.begin_recording().unwrap();
    let rows: Vec<Redelivery> = (1..)
        .zip(&recording.put_aside)
        .map(|(no, call)| numbered(no, call))
        .collect();
    plan.recorded(&rows);
    assert!(plan.next(0).is_none());
    let Some(Errand::Again(again)) = plan.next(100) else {
        panic!("one is due")
    };
    plan.settled(again.no);
    assert_eq!(self::rows(&unit(&mut plan)), [4]);
}

#[test]
fn an_endpoint_in_trouble_is_tried_with_another_call_each_time() {
    let mut plan = plan_of(BOUNDS, (1..=3).map(|n| event(n, n)).collect());
    for n in 1..=3 {
        plan.load(&numbered(n, &put_aside(event(0, 100 + n), 1, 1_000_000)));
    }
    let mut tried = Vec::new();
    for _ in 0..5 {
        match plan.next_trial(0) {
            Some(Errand::Again(again)) => {
                tried.push(again.no);
                plan.failed_again(again.no, again.tries, 0, "".into());
            }
            Some(Errand::New(unit)) => {
                tried.push(-unit.events[0].place.row);
                plan.failed(unit, 0, 0, 0, "".into());
            }
            None => panic!("there is enough to try with"),
        }
    }
    assert_eq!(tried, [1, -1, 2, -2, 3]);
}

#[test]
fn what_failed_while_nothing_was_taken_goes_first_when_it_is() {
    let mut plan = plan_of(BOUNDS, vec![event(1, 1)]);
    let aside = |no, first_tried_at| Redelivery {
        first_tried_at,
        ..numbered(no, &put_aside(event(0, 100 + no), 1, 1_000_000))
    };
    plan.load(&aside(1, 10));
    plan.load(&aside(2, 60));
    plan.load(&aside(3, 50));
    plan.hurry(50, 70);
    let numbers: Vec<_> = (0..2).map(|_| plan.next(70)).collect();
    assert!(matches!(
        numbers[..],
        [
            Some(Errand::Again(Again { no: 2, .. })),
            Some(Errand::Again(Again { no: 3, .. }))
        ]
    ));
    assert!(matches!(plan.next(70), Some(Errand::New(_))));
    assert!(plan.next(70).is_none(), "the first one's time has not come");
}

fn put_aside(event: Event, tries: u16, due: UnixMs) -> NewRedelivery {
    NewRedelivery {
        events: vec![event],
        tries,
        due,
        first_tried_at: 0,
        error: "".into(),
    }
}

fn numbered(no: i64, call: &NewRedelivery) -> Redelivery {
    Redelivery {
        no,
        events: call.events.clone(),
        tries: call.tries,
        due: call.due,
        first_tried_at: call.first_tried_at,
        error: call.error.clone(),
    }
}

/// An endpoint's worker that makes calls in an order of chance, and what the store holds of it.
struct World {
    bounds: Bounds,
    log: Vec<Event>,
    plan: Plan,
    out: Vec<Errand>,
    recording: Option<Recording>,
    now: UnixMs,
    told: EventPlace,
    aside: BTreeMap<i64, Redelivery>,
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
            plan: Plan::new(bounds, EventPlace::default()),
            out: Vec::new(),
            recording: None,
            now: 0,
            told: EventPlace::default(),
            aside: BTreeMap::new(),
            dead: Vec::new(),
            next_no: 1,
            taken: Vec::new(),
        }
    }

    fn events_of(&self, errand: &Errand) -> Vec<Event> {
        match errand {
            Errand::New(unit) => unit.events.clone(),
            Errand::Again(again) => self.aside[&again.no].events.clone(),
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Read => {
                let from = self.plan.read_to();
                let after = self.log.iter().filter(|event| event.place > from);
                let events: Vec<_> = after.take(self.plan.room().min(5)).cloned().collect();
                let to = events.last().map_or(from, |event| event.place);
                self.plan
                    .read(events.into_iter().map(|event| (event, None)).collect(), to);
            }
            Step::Call if self.out.len() < 6 => self.out.extend(self.plan.next(self.now)),
            Step::Trial if self.out.is_empty() => self.out.extend(self.plan.next_trial(self.now)),
            Step::Take(n) => {
                if let Some(errand) = self.land(n) {
                    self.taken.extend(self.events_of(&errand));
                    match errand {
                        Errand::New(unit) => self.plan.told(&unit),
                        Errand::Again(again) => self.plan.settled(again.no),
                    }
                }
            }
            Step::Fail(n) => self.fail(n, self.now + 10),
            Step::GiveUp(n) => self.fail(n, i64::MAX),
            Step::Undo(n) => match self.land(n) {
                Some(Errand::New(unit)) => self.plan.undone(&unit),
                Some(Errand::Again(again)) => self.plan.undone_again(again, self.now),
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
                self.plan.settle_up(self.now);
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

    fn land(&mut self, n: usize) -> Option<Errand> {
        (!self.out.is_empty()).then(|| self.out.remove(n % self.out.len()))
    }

    fn fail(&mut self, n: usize, due: UnixMs) {
        match self.land(n) {
            Some(Errand::New(unit)) => self.plan.failed(unit, 1, due, self.now, "".into()),
            Some(Errand::Again(again)) => self.plan.failed_again(again.no, again.tries + 1, due, "".into()),
            None => {}
        }
    }

    /// One transaction.
    fn record(&mut self) {
        let Some(recording) = self.recording.take() else {
            return;
        };
        self.told = recording.told.unwrap_or(self.told);
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
        for call in recording.put_aside {
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
        self.plan = Plan::new(self.bounds, self.told);
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
            if self.told == self.log.last().map_or(EventPlace::default(), |event| event.place)
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
    let mut last: BTreeMap<MessageId, EventPlace> = BTreeMap::new();
    let mut seen: HashSet<EventPlace> = HashSet::new();
    for event in taken {
        let Some(message) = event.what.message() else {
            continue;
        };
        if !seen.insert(event.place) {
            continue;
        }
        let last = last.entry(message).or_default();
        prop_assert!(*last < event.place, "{} came after {}", event.place, last);
        *last = event.place;
    }
    Ok(())
}

/// Nothing of a message is taken before its acceptance was, unless that was given up on.
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
            .filter(|piece| piece.place < event.place && has(piece, message))
        {
            let before = world.taken[..at].iter().any(|taken| taken == *piece);
            prop_assert!(
                before,
                "{} came before the acceptance {}",
                event.place,
                piece.place
            );
        }
    }
    Ok(())
}

fn all_told(world: &World) -> Result<(), TestCaseError> {
    for event in &world.log {
        let told = world
            .taken
            .iter()
            .chain(&world.dead)
            .any(|told| told.place == event.place);
        prop_assert!(told, "{} was never told", event.place);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn whatever_fails_every_message_is_told_in_order_and_once(
        log in log(), steps in prop::collection::vec(step(), 0..400), call_events_max in 1_usize..5,
    ) {
        let mut world = World::new(Bounds { call_events_max, ..BOUNDS }, log);
        for step in steps {
            if !matches!(step, Step::Kill) {
                world.step(step);
            }
        }
        world.finish();
        all_told(&world)?;
        in_order(&world.taken)?;
        accepted_first(&world)?;
        let mut messages: Vec<_> =
            world.taken.iter().filter(|event| event.what.message().is_some()).map(|event| event.place).collect();
        messages.sort_unstable();
        let count = messages.len();
        messages.dedup();
        prop_assert_eq!(messages.len(), count, "without a kill nothing is told twice, not even over a stop");
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
        all_told(&world)?;
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
        all_told(&world)?;
    }
}
