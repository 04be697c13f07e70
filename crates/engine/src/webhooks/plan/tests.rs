#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may stop at the first surprise"
)]

mod any_course;

use super::*;
use sms::state::MessageState;
use std::collections::BTreeMap;

const BOUNDS: Bounds = Bounds {
    window_events_max: 16,
    waiting_events_max: 100,
    call_events_max: 1,
};

fn offset(row: i64) -> EventOffset {
    EventOffset { row, index: 0 }
}

/// The event in row `row`: about message `message`.
fn event(row: i64, message: i64) -> Event {
    Event {
        offset: offset(row),
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
        offset: offset(row),
        at: row,
        what: EventWhat::Accepted {
            first: MessageId(first),
            count,
        },
    }
}

fn plan_of(bounds: Bounds, events: Vec<Event>) -> Plan {
    let mut plan = Plan::new(bounds, EventOffset::default());
    let to = events.last().map_or(EventOffset::default(), |event| event.offset);
    plan.read(events.into_iter().map(|event| (event, None)).collect(), to);
    plan
}

fn unit(plan: &mut Plan) -> Unit {
    match plan.next(0) {
        Some(Delivery::New(unit)) => unit,
        other => panic!("{other:?}"),
    }
}

fn rows(unit: &Unit) -> Vec<i64> {
    unit.events.iter().map(|event| event.offset.row).collect()
}

#[test]
fn the_place_waits_for_the_slowest_and_then_passes_all() {
    let mut plan = plan_of(BOUNDS, (1..=4).map(|n| event(n, n)).collect());
    let slow = unit(&mut plan);
    for _ in 0..3 {
        let quick = unit(&mut plan);
        plan.succeeded(&quick);
    }
    assert!(
        plan.begin_recording().unwrap().acked_offset.is_none(),
        "the first is still under way"
    );
    plan.recorded(&[]);
    plan.succeeded(&slow);
    assert_eq!(plan.begin_recording().unwrap().acked_offset, Some(offset(4)));
}

#[test]
fn a_second_event_of_a_message_waits_for_the_first_and_others_do_not() {
    let mut plan = plan_of(BOUNDS, vec![event(1, 7), event(2, 7), event(3, 8)]);
    let first = unit(&mut plan);
    let other = unit(&mut plan);
    assert_eq!((rows(&first), rows(&other)), (vec![1], vec![3]));
    assert!(plan.next(0).is_none());
    plan.succeeded(&first);
    assert_eq!(rows(&unit(&mut plan)), [2]);
}

#[test]
fn what_is_behind_a_failed_call_gets_a_retry_with_no_try_used() {
    let mut plan = plan_of(BOUNDS, vec![event(1, 7), event(2, 7), event(3, 7)]);
    let first = unit(&mut plan);
    plan.failed(first, 1, 5_000, 0, "HTTP 500".into());
    assert!(plan.next(0).is_none());
    let recording = plan.begin_recording().unwrap();
    assert_eq!(recording.acked_offset, Some(offset(3)));
    let aside: Vec<_> = recording
        .deferred
        .iter()
        .map(|call| (call.tries, call.due))
        .collect();
    assert_eq!(aside, [(1, 5_000), (0, 0), (0, 0)]);
    let rows: Vec<DeliveryRetry> = (1..)
        .zip(&recording.deferred)
        .map(|(no, call)| numbered(no, call))
        .collect();
    plan.recorded(&rows);
    assert!(plan.next(4_999).is_none(), "the others are due, but stand behind");
    for no in 1..=3 {
        let Some(Delivery::Retry(retry)) = plan.next(5_000) else {
            panic!("{no} is due")
        };
        assert_eq!(retry.no, no);
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
    plan.succeeded(&other);
    assert!(plan.next(0).is_none());
    let recording = plan.begin_recording().unwrap();
    assert_eq!(
        (recording.acked_offset, recording.deferred.len()),
        (Some(offset(5)), 4)
    );
    let calls: Vec<DeliveryRetry> = (1..)
        .zip(&recording.deferred)
        .map(|(no, call)| numbered(no, call))
        .collect();
    plan.recorded(&calls);
    // As it is, and as it is after a restart.
    let mut retry = Plan::new(BOUNDS, offset(5));
    calls.iter().for_each(|call| retry.load(call));
    for mut plan in [plan, retry] {
        assert!(plan.next(4_999).is_none(), "all are behind the acceptance");
        let mut order = Vec::new();
        while let Some(Delivery::Retry(call)) = plan.next(5_000) {
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
fn what_waits_for_an_acceptance_moves_up_when_that_is_dead() {
    let mut plan = plan_of(BOUNDS, vec![accepted(1, 100, 3), event(2, 101)]);
    let acceptance = unit(&mut plan);
    plan.failed(acceptance, 1, 10, 0, "HTTP 500".into());
    assert!(plan.next(0).is_none());
    let recording = plan.begin_recording().unwrap();
    let calls = (1..)
        .zip(&recording.deferred)
        .map(|(no, call)| numbered(no, call));
    plan.recorded(&calls.collect::<Vec<_>>());
    assert!(matches!(
        plan.next(10),
        Some(Delivery::Retry(Retry { no: 1, .. }))
    ));
    plan.retry_failed(1, 2, i64::MAX, "HTTP 500".into());
    assert!(matches!(
        plan.next(10),
        Some(Delivery::Retry(Retry { no: 2, .. }))
    ));
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
        plan.begin_recording().unwrap().deferred.len(),
        2,
        "4 is behind the first call"
    );
}

#[test]
fn a_batch_is_reported_before_its_messages_and_a_long_one_in_pieces() {
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
    plan.succeeded(&pieces[1]);
    assert!(plan.begin_recording().unwrap().acked_offset.is_none());
    plan.recorded(&[]);
    plan.succeeded(&pieces[0]);
    assert_eq!(
        plan.begin_recording().unwrap().acked_offset,
        None,
        "a batch is acked when all its pieces are"
    );
    plan.recorded(&[]);
    assert_eq!(rows(&unit(&mut plan)), [2]);
    plan.succeeded(&pieces[2]);
    assert_eq!(plan.begin_recording().unwrap().acked_offset, Some(offset(1)));
}

#[test]
fn a_stop_schedules_a_retry_of_what_was_passed_over_and_nothing_is_reported_twice() {
    let mut plan = plan_of(BOUNDS, vec![event(1, 7), event(2, 7), event(3, 8), event(4, 9)]);
    let (first, other) = (unit(&mut plan), unit(&mut plan));
    assert_eq!((rows(&first), rows(&other)), (vec![1], vec![3]));
    plan.succeeded(&first);
    plan.succeeded(&other);
    plan.flush_pending(0);
    let recording = plan.begin_recording().unwrap();
    assert_eq!(
        recording.acked_offset,
        Some(offset(3)),
        "4 is read from the outbox again"
    );
    assert_eq!(recording.deferred.len(), 1);
    assert_eq!(recording.deferred[0].events, [event(2, 7)]);
}

#[test]
fn a_stop_in_the_middle_of_a_long_batch_leaves_its_other_pieces_to_be_reported() {
    let mut plan = plan_of(BOUNDS, vec![accepted(1, 100, 2_500), event(2, 7)]);
    let first = unit(&mut plan);
    plan.succeeded(&first);
    plan.flush_pending(0);
    let recording = plan.begin_recording().unwrap();
    assert_eq!(recording.acked_offset, Some(offset(1)));
    assert_eq!(recording.deferred.len(), 2);
}

#[test]
fn when_too_much_waits_nothing_new_is_delivered() {
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
    let rows: Vec<DeliveryRetry> = (1..)
        .zip(&recording.deferred)
        .map(|(no, call)| numbered(no, call))
        .collect();
    plan.recorded(&rows);
    assert!(plan.next(0).is_none());
    let Some(Delivery::Retry(retry)) = plan.next(100) else {
        panic!("one is due")
    };
    plan.settled(retry.no);
    assert_eq!(self::rows(&unit(&mut plan)), [4]);
}

#[test]
fn an_endpoint_with_a_tripped_breaker_is_tried_with_another_call_each_time() {
    let mut plan = plan_of(BOUNDS, (1..=3).map(|n| event(n, n)).collect());
    for n in 1..=3 {
        plan.load(&numbered(n, &new_retry(event(0, 100 + n), 1, 1_000_000)));
    }
    let mut tried = Vec::new();
    for _ in 0..5 {
        match plan.next_trial(0) {
            Some(Delivery::Retry(retry)) => {
                tried.push(retry.no);
                plan.retry_failed(retry.no, retry.tries, 0, "".into());
            }
            Some(Delivery::New(unit)) => {
                tried.push(-unit.events[0].offset.row);
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
    let aside = |no, first_tried_at| DeliveryRetry {
        first_tried_at,
        ..numbered(no, &new_retry(event(0, 100 + no), 1, 1_000_000))
    };
    plan.load(&aside(1, 10));
    plan.load(&aside(2, 60));
    plan.load(&aside(3, 50));
    plan.expedite(50, 70);
    let numbers: Vec<_> = (0..2).map(|_| plan.next(70)).collect();
    assert!(matches!(
        numbers[..],
        [
            Some(Delivery::Retry(Retry { no: 2, .. })),
            Some(Delivery::Retry(Retry { no: 3, .. }))
        ]
    ));
    assert!(matches!(plan.next(70), Some(Delivery::New(_))));
    assert!(plan.next(70).is_none(), "the first one's time has not come");
}

#[test]
fn what_failed_a_moment_before_the_endpoint_takes_calls_again_goes_first_too() {
    let mut plan = plan_of(BOUNDS, (1..=4).map(|n| event(n, n)).collect());
    let [first, second, third] = [(); 3].map(|()| unit(&mut plan));
    plan.failed(first, 1, 1_000_000, 50, "HTTP 500".into());
    let being_recorded = plan.begin_recording().unwrap().deferred;
    plan.failed(second, 1, 1_000_000, 60, "HTTP 500".into());
    plan.expedite(50, 70);
    plan.failed(third, 1, 1_000_000, 80, "HTTP 500".into());
    plan.recorded(&[numbered(1, &being_recorded[0])]);
    let recorded_next = plan.begin_recording().unwrap().deferred;
    plan.recorded(&[numbered(2, &recorded_next[0]), numbered(3, &recorded_next[1])]);
    for no in 1..=2 {
        let Some(Delivery::Retry(retry)) = plan.next(80) else {
            panic!("{no} goes before what is new")
        };
        assert_eq!(retry.no, no);
    }
    assert!(matches!(plan.next(80), Some(Delivery::New(_))));
    assert!(plan.next(80).is_none(), "the third has itself to blame");
}

fn new_retry(event: Event, tries: u16, due: UnixMs) -> NewDeliveryRetry {
    NewDeliveryRetry {
        events: vec![event],
        tries,
        due,
        first_tried_at: 0,
        error: "".into(),
    }
}

fn numbered(no: i64, call: &NewDeliveryRetry) -> DeliveryRetry {
    DeliveryRetry {
        no,
        events: call.events.clone(),
        tries: call.tries,
        due: call.due,
        first_tried_at: call.first_tried_at,
        error: call.error.clone(),
    }
}
