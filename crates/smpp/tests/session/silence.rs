//! Silent peers.

use std::time::Duration;

use smpp::pdu::BindKind;
use smpp::session::{Role, Session, SessionConfig};
use smpp::{CommandId, CommandStatus, Pdu};

use super::Side;

#[test]
fn a_silent_peer_gets_an_enquire_link_and_then_the_session_closes_with_what_is_in_flight() {
    let mut side = Side::bound_esme(BindKind::Transceiver, |config| {
        config.response_timeout = Duration::from_secs(600);
    });
    side.submit(7).expect("room");
    assert_eq!(side.wait_for_deadline().as_secs(), 30);
    assert!(matches!(
        side.sent_commands()[..],
        [(CommandId::ENQUIRE_LINK, CommandStatus::ROK, _)]
    ));
    assert_eq!(side.wait_for_deadline().as_secs(), 30);
    assert_eq!(side.closed(), ("no answer to enquire_link".to_owned(), vec![7]));
}

#[test]
fn whatever_the_peer_says_shows_that_it_is_there() {
    for answer in [Pdu::EnquireLinkResp, Pdu::EnquireLink, Pdu::GenericNack] {
        let mut side = Side::bound_esme(BindKind::Transceiver, |_| {});
        side.wait(30);
        let sequence = side.sent()[0].0.sequence;
        side.wait(29);
        side.receive(&answer, CommandStatus::ROK, sequence);
        side.wait(29);
        assert!(side.session.take_closed().is_none(), "{answer:?}");
        side.wait(1);
        assert_eq!(
            side.sent().last().map(|(header, _)| header.command),
            Some(CommandId::ENQUIRE_LINK)
        );
    }
}

#[test]
fn an_active_peer_gets_no_enquire_link() {
    let mut side = Side::bound_smsc(BindKind::Transceiver, |config| {
        config.enquire_link_interval = Some(Duration::from_secs(30));
    });
    for sequence in 0..10 {
        side.wait(29);
        side.receive(&Pdu::EnquireLink, CommandStatus::ROK, sequence);
        assert_eq!(
            side.sent_commands(),
            [(CommandId::ENQUIRE_LINK_RESP, CommandStatus::ROK, sequence)]
        );
    }
}

#[test]
fn an_smsc_closes_the_session_of_a_silent_esme_without_enquire_link() {
    let mut side = Side::bound_smsc(BindKind::Transceiver, |_| {});
    assert_eq!(side.wait_for_deadline().as_secs(), 300);
    assert!(side.sent().is_empty());
    assert_eq!(side.closed().0, "the peer was silent for too long");
}

#[test]
fn no_enquire_link_is_sent_before_the_bind() {
    let session = Session::new(SessionConfig::new(Role::Esme), Duration::ZERO);
    assert_eq!(session.next_deadline(), None);
}
