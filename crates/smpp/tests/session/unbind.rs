//! How a session ends.

use std::time::Duration;

use bytes::BytesMut;
use smpp::frame::BrokenLength;
use smpp::pdu::{BindKind, DeliverSmResp};
use smpp::session::{CloseReason, Event, Refusal, Reply, State};
use smpp::{CommandId, CommandStatus, Pdu};

use super::{Side, responses};

fn unbind(side: &mut Side, drain_seconds: u64) {
    side.session.unbind(
        side.now + Duration::from_secs(drain_seconds),
        side.now,
        &mut side.out,
    );
}

#[test]
fn an_idle_session_unbinds_at_once() {
    let mut side = Side::bound_esme(BindKind::Transceiver, |_| {});
    unbind(&mut side, 10);
    let sequence = side.sent()[0].0.sequence;
    assert_eq!(side.session.state(), State::Unbinding(BindKind::Transceiver));
    side.receive(&Pdu::UnbindResp, CommandStatus::ROK, sequence);
    assert_eq!(side.closed(), ("unbound".to_owned(), vec![]));
}

#[test]
fn the_unbind_waits_until_everything_is_answered_both_ways() {
    let mut side = Side::bound_esme(BindKind::Transceiver, |_| {});
    let sequence = side.submit(1).expect("room");
    side.deliver(50);
    unbind(&mut side, 10);
    assert_eq!(
        side.submit(2),
        Err(Refusal::BindState(CommandId::SUBMIT_SM)),
        "nothing new leaves"
    );
    side.answer(sequence);
    assert_eq!(responses(&side.take_events()), [1]);
    assert!(side.sent().is_empty(), "the delivery is not answered yet");
    side.reply(&Reply::ok(50, DeliverSmResp::default()));
    let commands: Vec<CommandId> = side.sent().iter().map(|(header, _)| header.command).collect();
    assert_eq!(commands, [CommandId::DELIVER_SM_RESP, CommandId::UNBIND]);
}

#[test]
fn what_is_not_answered_while_draining_is_in_doubt() {
    let mut side = Side::bound_esme(BindKind::Transceiver, |_| {});
    side.submit(1).expect("room");
    unbind(&mut side, 10);
    assert_eq!(side.wait_for_deadline().as_secs(), 10);
    assert!(matches!(
        side.sent_commands()[..],
        [(CommandId::UNBIND, CommandStatus::ROK, _)]
    ));
    assert_eq!(side.wait_for_deadline().as_secs(), 5);
    assert_eq!(side.closed(), ("unbound without answer".to_owned(), vec![1]));
}

#[test]
fn an_answer_that_crosses_the_unbind_still_counts() {
    let mut side = Side::bound_esme(BindKind::Transceiver, |_| {});
    let sequence = side.submit(1).expect("room");
    unbind(&mut side, 0);
    let unbind = side.sent()[0].0.sequence;
    side.answer(sequence);
    side.deliver(50);
    assert_eq!(
        side.sent_commands(),
        [(CommandId::DELIVER_SM_RESP, CommandStatus::RX_T_APPN, 50)]
    );
    side.receive(&Pdu::UnbindResp, CommandStatus::ROK, unbind);
    assert_eq!(responses(&side.take_events()), [1]);
    assert_eq!(side.closed(), ("unbound".to_owned(), vec![]));
}

#[test]
fn an_unbind_of_the_peer_is_answered_and_ends_the_session() {
    let mut side = Side::bound_esme(BindKind::Transceiver, |_| {});
    side.submit(1).expect("room");
    side.receive(&Pdu::Unbind, CommandStatus::ROK, 60);
    assert_eq!(
        side.sent_commands(),
        [(CommandId::UNBIND_RESP, CommandStatus::ROK, 60)]
    );
    assert_eq!(side.closed(), ("the peer unbound".to_owned(), vec![1]));
    side.deliver(61);
    assert!(side.take_events().is_empty(), "a closed session reports no event");
}

#[test]
fn a_lost_session_reports_what_is_in_doubt_in_the_order_sent() {
    let mut side = Side::bound_esme(BindKind::Transceiver, |_| {});
    let sequences: Vec<u32> = (0..4).map(|token| side.submit(token).expect("room")).collect();
    side.answer(sequences[1]);
    side.session.close(CloseReason::PeerClosed);
    side.session.close(CloseReason::Closed);
    assert_eq!(
        side.closed(),
        ("the peer closed the connection".to_owned(), vec![0, 2, 3])
    );
    assert!(side.session.take_closed().is_none(), "the end is returned once");
}

#[test]
fn a_broken_length_is_nacked_and_ends_the_session() {
    let mut side = Side::bound_smsc(BindKind::Transceiver, |_| {});
    let mut out = BytesMut::new();
    side.session.broken(BrokenLength { length: 3, max: 64 }, &mut out);
    side.out = out;
    assert_eq!(
        side.sent_commands(),
        [(CommandId::GENERIC_NACK, CommandStatus::RINVCMDLEN, 0)]
    );
    assert_eq!(
        side.closed().0,
        "broken frame: command_length 3 is outside 16..=64"
    );
}

#[test]
fn timed_out_requests_do_not_hold_up_the_unbind() {
    let mut side = Side::bound_esme(BindKind::Transceiver, |config| {
        config.enquire_link_interval = None
    });
    side.submit(1).expect("room");
    unbind(&mut side, 300);
    side.wait(60);
    assert!(matches!(side.take_events()[..], [Event::TimedOut { token: 1 }]));
    assert!(matches!(side.sent_commands()[..], [(CommandId::UNBIND, ..)]));
}

#[test]
fn a_peer_that_hangs_up_instead_of_answering_the_unbind_is_no_loss() {
    let mut side = Side::bound_esme(BindKind::Transceiver, |_| {});
    unbind(&mut side, 10);
    side.session.close(CloseReason::PeerClosed);
    assert_eq!(side.closed(), ("unbound without answer".to_owned(), vec![]));
}
