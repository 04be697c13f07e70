//! How a session begins, and which side may send what when.

use smpp::field::InterfaceVersion;
use smpp::pdu::{Bind, BindKind, BindResp, DeliverSm, Outbind, QuerySm, SubmitSm};
use smpp::session::{Event, Refusal, Role, SessionConfig, State};
use smpp::{CommandId, CommandStatus, Pdu};

use super::Side;

#[test]
fn a_refused_bind_reports_its_status_and_ends_the_session() {
    for nack in [false, true] {
        let mut side = Side::new(SessionConfig::new(Role::Esme));
        side.session
            .bind(Bind::new(BindKind::Receiver, "esme", "pw"), &mut side.out)
            .expect("open");
        let sequence = side.sent()[0].0.sequence;
        let resp = if nack {
            Pdu::GenericNack
        } else {
            Pdu::BindResp(BindResp::new(BindKind::Receiver))
        };
        side.receive(&resp, CommandStatus::RINVPASWD, sequence);
        assert!(matches!(
            side.take_events()[..],
            [Event::BindRefused(CommandStatus::RINVPASWD)]
        ));
        assert_eq!(side.closed().0, "bind refused: ESME_RINVPASWD (0xE)");
    }
}

#[test]
fn an_answer_to_another_bind_does_not_bind() {
    let mut side = Side::new(SessionConfig::new(Role::Esme));
    side.session
        .bind(Bind::new(BindKind::Receiver, "esme", "pw"), &mut side.out)
        .expect("open");
    side.receive(
        &Pdu::BindResp(BindResp::new(BindKind::Receiver)),
        CommandStatus::ROK,
        77,
    );
    assert!(matches!(side.take_events()[..], [Event::Unmatched(_)]));
    assert_eq!(side.session.state(), State::Open);
}

#[test]
fn an_esme_of_the_old_protocol_is_spared_optional_parameters() {
    for (version, tlvs) in [
        (InterfaceVersion::V3_3, 0),
        (InterfaceVersion(0), 0),
        (InterfaceVersion::V3_4, 1),
    ] {
        let mut side = Side::new(SessionConfig::new(Role::Smsc));
        let bind = Bind {
            interface_version: version,
            ..Bind::new(BindKind::Transceiver, "esme", "pw")
        };
        side.receive(&bind.into(), CommandStatus::ROK, 5);
        side.session
            .accept_bind(&"smsc".into(), &mut side.out)
            .expect("a bind waits");
        let sent = side.sent();
        let [(header, Pdu::BindResp(resp))] = &sent[..] else {
            panic!("{sent:?}")
        };
        assert_eq!((header.sequence, resp.tlvs.len()), (5, tlvs), "{version:?}");
        assert_eq!(side.session.state(), State::Bound(BindKind::Transceiver));
    }
}

#[test]
fn a_second_bind_is_refused_and_the_first_stays() {
    let mut side = Side::bound_smsc(BindKind::Transmitter, |_| {});
    side.receive(
        &Bind::new(BindKind::Receiver, "esme", "pw").into(),
        CommandStatus::ROK,
        2,
    );
    assert_eq!(
        side.sent_commands(),
        [(CommandId::BIND_RECEIVER_RESP, CommandStatus::RALYBND, 2)]
    );
    assert_eq!(side.session.state(), State::Bound(BindKind::Transmitter));
}

#[test]
fn after_a_refused_bind_the_esme_may_try_again() {
    let mut side = Side::new(SessionConfig::new(Role::Smsc));
    side.receive(
        &Bind::new(BindKind::Transceiver, "esme", "no").into(),
        CommandStatus::ROK,
        1,
    );
    side.session.refuse_bind(CommandStatus::RINVPASWD, &mut side.out);
    side.receive(
        &Bind::new(BindKind::Transceiver, "esme", "pw").into(),
        CommandStatus::ROK,
        2,
    );
    assert_eq!(
        side.sent_commands(),
        [(CommandId::BIND_TRANSCEIVER_RESP, CommandStatus::RINVPASWD, 1)]
    );
    assert!(matches!(
        side.take_events()[..],
        [Event::BindRequest(_), Event::BindRequest(_)]
    ));
}

#[test]
fn what_is_not_allowed_in_a_state_is_answered_and_reported() {
    let submit = || Pdu::from(SubmitSm::default());
    let deliver = || Pdu::from(DeliverSm::default());
    let invalid = CommandStatus::RINVBNDSTS;
    let table = [
        (
            Side::new(SessionConfig::new(Role::Smsc)),
            submit(),
            CommandId::SUBMIT_SM_RESP,
        ),
        (
            Side::bound_smsc(BindKind::Receiver, |_| {}),
            submit(),
            CommandId::SUBMIT_SM_RESP,
        ),
        (
            Side::bound_smsc(BindKind::Transceiver, |_| {}),
            deliver(),
            CommandId::DELIVER_SM_RESP,
        ),
        (
            Side::bound_esme(BindKind::Transmitter, |_| {}),
            deliver(),
            CommandId::DELIVER_SM_RESP,
        ),
        (
            Side::bound_esme(BindKind::Transceiver, |_| {}),
            submit(),
            CommandId::SUBMIT_SM_RESP,
        ),
        (
            Side::bound_esme(BindKind::Transceiver, |_| {}),
            Bind::new(BindKind::Receiver, "x", "y").into(),
            CommandId::BIND_RECEIVER_RESP,
        ),
        (
            Side::bound_esme(BindKind::Transceiver, |_| {}),
            Outbind::default().into(),
            CommandId::GENERIC_NACK,
        ),
    ];
    for (mut side, pdu, answer) in table {
        side.receive(&pdu, CommandStatus::ROK, 9);
        assert_eq!(side.sent_commands(), [(answer, invalid, 9)], "{pdu:?}");
        assert!(matches!(side.take_events()[..], [Event::Rejected { status, .. }] if status == invalid));
        assert!(side.session.take_closed().is_none());
    }
}

#[test]
fn what_this_side_may_not_send_is_refused_before_it_leaves() {
    let mut side = Side::bound_esme(BindKind::Receiver, |_| {});
    assert_eq!(side.submit(1), Err(Refusal::BindState(CommandId::SUBMIT_SM)));
    assert!(side.out.is_empty());
    assert_eq!(side.session.window_free(), 10);
}

#[test]
fn an_unknown_command_is_nacked_with_its_own_sequence_number() {
    let mut side = Side::bound_smsc(BindKind::Transceiver, |_| {});
    let octets = [&[0, 0, 0, 20, 0, 1, 2, 3, 0, 0, 0, 0, 0xFF, 0, 0, 7][..], b"what"].concat();
    side.receive_octets(&octets);
    assert_eq!(
        side.sent_commands(),
        [(CommandId::GENERIC_NACK, CommandStatus::RINVCMDID, 0xFF00_0007)]
    );
    side.receive(&QuerySm::default().into(), CommandStatus::ROK, 8);
    assert!(matches!(
        side.take_events()[..],
        [Event::Rejected { .. }, Event::Request { sequence: 8, .. }]
    ));
}

#[test]
fn a_connection_the_smsc_opened_may_ask_for_a_bind() {
    let mut side = Side::new(SessionConfig::new(Role::Esme));
    let outbind = Outbind {
        system_id: "smsc".into(),
        password: "pw".into(),
    };
    side.receive(&outbind.into(), CommandStatus::ROK, 1);
    assert!(matches!(&side.take_events()[..], [Event::Outbind(outbind)] if outbind.system_id == "smsc"));
    assert!(
        side.session
            .bind(Bind::new(BindKind::Receiver, "esme", "pw"), &mut side.out)
            .is_ok()
    );
}
