//! Requests and their responses, in time, late, or missing.

use smpp::pdu::{BindKind, DataSmResp, DeliverSmResp, SubmitSmResp};
use smpp::session::{Event, Refusal, Reply, Slots};
use smpp::{CommandId, CommandStatus, Malformed, Pdu};

use super::{Side, responses, timeouts};

#[test]
fn answers_may_come_in_any_order_and_once() {
    let mut side = Side::bound_esme(BindKind::Transceiver, |_| {});
    let sequences: Vec<u32> = (0..3).map(|token| side.submit(token).expect("room")).collect();
    for sequence in [sequences[2], sequences[0], sequences[1], sequences[1]] {
        side.answer(sequence);
    }
    let events = side.take_events();
    assert_eq!(responses(&events), [2, 0, 1]);
    assert!(matches!(events.last(), Some(Event::Unmatched(header)) if header.sequence == sequences[1]));
}

#[test]
fn the_window_is_enforced_and_an_answer_makes_room() {
    let mut side = Side::bound_esme(BindKind::Transceiver, |config| config.window_max = 2);
    let first = side.submit(1).expect("room");
    side.submit(2).expect("room");
    assert_eq!(side.submit(3), Err(Refusal::WindowFull));
    assert!(side.out.is_empty(), "nothing of a refused request is written");
    side.answer(first);
    assert_eq!(side.session.take_freed(), 1);
    assert!(side.submit(3).is_ok());
    assert_eq!((side.session.window_free(), side.session.in_flight()), (0, 2));
}

#[test]
fn with_slots_on_release_an_answer_makes_no_room() {
    let mut side = Side::bound_esme(BindKind::Transceiver, |config| {
        config.window_max = 2;
        config.slots = Slots::OnRelease;
    });
    let first = side.submit(1).expect("room");
    side.submit(2).expect("room");
    side.answer(first);
    assert_eq!(side.submit(3), Err(Refusal::WindowFull));
    // Only the slots of answered requests can be released: that of the second is still in flight.
    side.session.release(9);
    assert_eq!(side.session.window_free(), 1);
    assert!(side.submit(3).is_ok());
    assert_eq!(side.submit(4), Err(Refusal::WindowFull));
}

#[test]
fn with_slots_on_release_a_timed_out_request_keeps_its_slot_until_released() {
    let mut side = Side::bound_esme(BindKind::Transceiver, |config| {
        config.window_max = 1;
        config.slots = Slots::OnRelease;
        config.enquire_link_interval = None;
    });
    let sequence = side.submit(1).expect("room");
    side.wait(60);
    assert_eq!(timeouts(&side.take_events()), [1]);
    assert_eq!(side.submit(2), Err(Refusal::WindowFull));
    side.session.release(1);
    assert!(side.submit(2).is_ok());
    // The late response frees no slot: it was released with the timeout.
    side.answer(sequence);
    assert!(matches!(
        side.take_events()[..],
        [Event::LateResponse { token: 1, .. }]
    ));
    assert_eq!(side.session.window_free(), 0);
}

#[test]
fn unanswered_requests_time_out_in_order_and_late_answers_are_reported() {
    let mut side = Side::bound_esme(BindKind::Transceiver, |config| {
        config.enquire_link_interval = None
    });
    let first = side.submit(1).expect("room");
    side.wait(10);
    side.submit(2).expect("room");
    assert_eq!(side.wait_for_deadline().as_secs(), 50);
    assert_eq!(timeouts(&side.take_events()), [1]);
    assert_eq!(side.wait_for_deadline().as_secs(), 10);
    assert_eq!(timeouts(&side.take_events()), [2]);
    assert_eq!(side.session.next_deadline(), None);
    side.answer(first);
    side.answer(first);
    let events = side.take_events();
    assert!(
        matches!(
            events[..],
            [Event::LateResponse { token: 1, .. }, Event::Unmatched(_)]
        ),
        "late once, then unmatched: {events:?}"
    );
}

#[test]
fn a_late_answer_is_unmatched_after_its_grace() {
    let mut side = Side::bound_esme(BindKind::Transceiver, |config| {
        config.enquire_link_interval = None;
        config.late_grace = std::time::Duration::from_secs(5);
    });
    let sequence = side.submit(1).expect("room");
    side.wait(60);
    side.wait(5);
    side.take_events();
    side.answer(sequence);
    assert!(matches!(side.take_events()[..], [Event::Unmatched(_)]));
}

#[test]
fn an_answer_of_the_wrong_kind_is_no_answer() {
    let mut side = Side::bound_esme(BindKind::Transceiver, |_| {});
    let sequence = side.submit(1).expect("room");
    side.receive(&DataSmResp::default().into(), CommandStatus::ROK, sequence);
    assert!(matches!(side.take_events()[..], [Event::Unmatched(_)]));
    side.answer(sequence);
    assert_eq!(responses(&side.take_events()), [1]);
}

#[test]
fn a_nack_answers_the_request_it_names() {
    let mut side = Side::bound_esme(BindKind::Transceiver, |_| {});
    let sequence = side.submit(1).expect("room");
    side.receive(&Pdu::GenericNack, CommandStatus::RINVCMDLEN, 0);
    side.receive(&Pdu::GenericNack, CommandStatus::RTHROTTLED, sequence);
    assert!(matches!(
        side.take_events()[..],
        [
            Event::Unmatched(_),
            Event::Response {
                token: 1,
                status: CommandStatus::RTHROTTLED,
                pdu: Pdu::GenericNack
            }
        ]
    ));
}

#[test]
fn an_empty_success_is_a_success_without_id() {
    let mut side = Side::bound_esme(BindKind::Transceiver, |_| {});
    let sequence = side.submit(1).expect("room");
    let mut octets = vec![0, 0, 0, 16, 0x80, 0, 0, 4, 0, 0, 0, 0];
    octets.extend_from_slice(&sequence.to_be_bytes());
    side.receive_octets(&octets);
    let events = side.take_events();
    let [
        Event::Response {
            token: 1,
            status,
            pdu: Pdu::SubmitSmResp(resp),
        },
    ] = &events[..]
    else {
        panic!("{events:?}");
    };
    assert!(status.is_ok() && *resp == SubmitSmResp::default());
}

#[test]
fn requests_of_the_peer_are_answered_by_the_user_alone() {
    let mut side = Side::bound_esme(BindKind::Transceiver, |_| {});
    side.deliver(41);
    side.deliver(42);
    assert!(side.sent().is_empty());
    assert_eq!(side.session.unanswered(), 2);
    side.reply(&Reply::error(42, CommandId::DELIVER_SM, CommandStatus::RX_T_APPN));
    side.reply(&Reply::ok(41, DeliverSmResp::default()));
    assert_eq!(
        side.sent_commands(),
        [
            (CommandId::DELIVER_SM_RESP, CommandStatus::RX_T_APPN, 42),
            (CommandId::DELIVER_SM_RESP, CommandStatus::ROK, 41)
        ]
    );
    assert_eq!(side.session.unanswered(), 0);
}

#[test]
fn too_many_unanswered_requests_are_turned_away_with_the_protocols_busy() {
    let mut esme = Side::bound_esme(BindKind::Transceiver, |config| config.inbound_max = 1);
    esme.deliver(1);
    esme.deliver(2);
    assert_eq!(
        esme.sent_commands(),
        [(CommandId::DELIVER_SM_RESP, CommandStatus::RX_T_APPN, 2)]
    );
    esme.reply(&Reply::ok(1, DeliverSmResp::default()));
    esme.deliver(3);
    assert!(matches!(
        esme.take_events().last(),
        Some(Event::Deliver { sequence: 3, .. })
    ));

    let mut smsc = Side::bound_smsc(BindKind::Transceiver, |config| config.inbound_max = 0);
    smsc.receive(&smpp::pdu::SubmitSm::default().into(), CommandStatus::ROK, 2);
    assert_eq!(
        smsc.sent_commands(),
        [(CommandId::SUBMIT_SM_RESP, CommandStatus::RTHROTTLED, 2)]
    );
}

#[test]
fn a_malformed_request_is_answered_and_the_next_is_read() {
    let mut side = Side::bound_esme(BindKind::Transceiver, |_| {});
    let cut_short = [&[0, 0, 0, 17, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 3][..], b"\0"].concat();
    side.receive_octets(&cut_short);
    side.deliver(4);
    assert_eq!(
        side.sent_commands(),
        [(CommandId::DELIVER_SM_RESP, CommandStatus::RINVCMDLEN, 3)]
    );
    let events = side.take_events();
    let malformed = Some(Malformed::Truncated { field: "source_addr" });
    assert!(
        matches!(&events[..], [Event::Rejected { malformed: why, .. }, Event::Deliver { .. }] if *why == malformed),
        "{events:?}"
    );
    assert_eq!(side.session.unanswered(), 1);
}
