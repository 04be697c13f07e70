//! Octets written by hand from the tables of SMPP 3.4 §4, and the values they stand for.

use bytes::Bytes;
use smpp::field::{
    Address, DataCoding, EsmClass, InterfaceVersion, MessageState, Npi, RegisteredDelivery, Ton,
};
use smpp::pdu::*;
use smpp::tlv::{Tag, Tlvs};
use smpp::{COctetString, CommandStatus, Header, Pdu};

use super::{decode, encode, frame};

fn bind(kind: BindKind) -> Pdu {
    Pdu::Bind(Bind {
        kind,
        system_id: "SMPP3TEST".into(),
        password: "secret08".into(),
        system_type: "SUBMIT1".into(),
        interface_version: InterfaceVersion::V3_4,
        addr_ton: Ton::INTERNATIONAL,
        addr_npi: Npi::ISDN,
        address_range: COctetString::new(),
    })
}

fn receipt() -> Pdu {
    Pdu::DeliverSm(DeliverSm {
        source: Address::international("447700900123"),
        destination: Address::alphanumeric("Postrider"),
        esm_class: EsmClass::DELIVERY_RECEIPT,
        short_message: Bytes::from_static(b"id:0A stat:DELIVRD"),
        tlvs: Tlvs::new()
            .with(Tag::RECEIPTED_MESSAGE_ID, &b"0A\0"[..])
            .with(Tag::MESSAGE_STATE, &[2][..]),
        ..DeliverSm::default()
    })
}

fn submit() -> SubmitSm {
    SubmitSm {
        service_type: "CMT".into(),
        source: Address {
            ton: Ton::NETWORK_SPECIFIC,
            npi: Npi::UNKNOWN,
            addr: "2020".into(),
        },
        destination: Address::international("447700900123"),
        esm_class: EsmClass::STORE_AND_FORWARD.with(EsmClass::UDHI),
        protocol_id: 0x41,
        priority_flag: 1,
        schedule_delivery_time: COctetString::new(),
        validity_period: "000002000000000R".into(),
        registered_delivery: RegisteredDelivery::FINAL,
        replace_if_present_flag: 1,
        data_coding: DataCoding::UCS2,
        sm_default_msg_id: 7,
        short_message: Bytes::from_static(b"\x05\x00\x03\x2A\x02\x01\x00H\x00i"),
        tlvs: Tlvs::new()
            .with(Tag::USER_MESSAGE_REFERENCE, &[0x12, 0x34][..])
            .with(Tag(0x1401), &b"77"[..]),
    }
}

/// One line per PDU: name, command id, value, body.
fn table() -> Vec<(&'static str, u32, Pdu, Vec<u8>)> {
    let bind_body = b"SMPP3TEST\0secret08\0SUBMIT1\0\x34\x01\x01\0".to_vec();
    let version = || Tlvs::new().with(Tag::SC_INTERFACE_VERSION, &[0x34][..]);
    let resp = |kind| {
        Pdu::BindResp(BindResp {
            kind,
            system_id: "SMSC".into(),
            tlvs: version(),
        })
    };
    let resp_body = b"SMSC\0\x02\x10\x00\x01\x34".to_vec();
    let submit_body: Vec<u8> = [
        &b"CMT\0\x03\x002020\0\x01\x01447700900123\0\x43\x41\x01\x00000002000000000R\0"[..],
        b"\x01\x01\x08\x07\x0A\x05\x00\x03\x2A\x02\x01\x00H\x00i",
        b"\x02\x04\x00\x02\x12\x34\x14\x01\x00\x0277",
    ]
    .concat();
    let receipt_body: Vec<u8> = [
        &b"\0\x01\x01447700900123\0\x05\x00Postrider\0\x04\0\0\0\0\0\0\0\0\x12id:0A stat:DELIVRD"[..],
        b"\x00\x1E\x00\x030A\0\x04\x27\x00\x01\x02",
    ]
    .concat();
    vec![
        ("bind_receiver", 0x01, bind(BindKind::Receiver), bind_body.clone()),
        (
            "bind_transmitter",
            0x02,
            bind(BindKind::Transmitter),
            bind_body.clone(),
        ),
        ("bind_transceiver", 0x09, bind(BindKind::Transceiver), bind_body),
        (
            "bind_receiver_resp",
            0x8000_0001,
            resp(BindKind::Receiver),
            resp_body.clone(),
        ),
        (
            "bind_transmitter_resp",
            0x8000_0002,
            resp(BindKind::Transmitter),
            resp_body.clone(),
        ),
        (
            "bind_transceiver_resp",
            0x8000_0009,
            resp(BindKind::Transceiver),
            resp_body,
        ),
        (
            "outbind",
            0x0B,
            Outbind {
                system_id: "SMSC".into(),
                password: "pw".into(),
            }
            .into(),
            b"SMSC\0pw\0".to_vec(),
        ),
        ("unbind", 0x06, Pdu::Unbind, vec![]),
        ("unbind_resp", 0x8000_0006, Pdu::UnbindResp, vec![]),
        ("generic_nack", 0x8000_0000, Pdu::GenericNack, vec![]),
        ("enquire_link", 0x15, Pdu::EnquireLink, vec![]),
        ("enquire_link_resp", 0x8000_0015, Pdu::EnquireLinkResp, vec![]),
        ("submit_sm", 0x04, submit().into(), submit_body),
        (
            "submit_sm_resp",
            0x8000_0004,
            SubmitSmResp::new("0A1B").into(),
            b"0A1B\0".to_vec(),
        ),
        ("deliver_sm", 0x05, receipt(), receipt_body),
        (
            "deliver_sm_resp",
            0x8000_0005,
            DeliverSmResp::default().into(),
            b"\0".to_vec(),
        ),
        (
            "submit_multi",
            0x21,
            SubmitMulti {
                source: Address::unknown("2020"),
                destinations: vec![
                    Destination::Address(Address::international("447700900123")),
                    Destination::DistributionList("friends".into()),
                ],
                short_message: Bytes::from_static(b"hi"),
                ..SubmitMulti::default()
            }
            .into(),
            b"\0\0\x002020\0\x02\x01\x01\x01447700900123\0\x02friends\0\0\0\0\0\0\0\0\0\0\x02hi".to_vec(),
        ),
        (
            "submit_multi_resp",
            0x8000_0021,
            SubmitMultiResp {
                message_id: "9".into(),
                unsuccess: vec![Unsuccess {
                    address: Address::international("447700900123"),
                    status: CommandStatus::RINVDSTADR,
                }],
                tlvs: Tlvs::new(),
            }
            .into(),
            b"9\0\x01\x01\x01447700900123\0\x00\x00\x00\x0B".to_vec(),
        ),
        (
            "data_sm",
            0x0103,
            DataSm {
                source: Address::unknown("2020"),
                destination: Address::international("447700900123"),
                registered_delivery: RegisteredDelivery::FINAL,
                tlvs: Tlvs::new().with(Tag::MESSAGE_PAYLOAD, &b"hi"[..]),
                ..DataSm::default()
            }
            .into(),
            b"\0\0\x002020\0\x01\x01447700900123\0\0\x01\0\x04\x24\x00\x02hi".to_vec(),
        ),
        (
            "data_sm_resp",
            0x8000_0103,
            DataSmResp {
                message_id: "9".into(),
                tlvs: Tlvs::new(),
            }
            .into(),
            b"9\0".to_vec(),
        ),
        (
            "query_sm",
            0x03,
            QuerySm {
                message_id: "9".into(),
                source: Address::unknown("2020"),
            }
            .into(),
            b"9\0\0\x002020\0".to_vec(),
        ),
        (
            "query_sm_resp",
            0x8000_0003,
            QuerySmResp {
                message_id: "9".into(),
                final_date: "261122235959000+".into(),
                message_state: MessageState::EXPIRED,
                error_code: 5,
                tlvs: Tlvs::new(),
            }
            .into(),
            b"9\x00261122235959000+\0\x03\x05".to_vec(),
        ),
        (
            "cancel_sm",
            0x08,
            CancelSm {
                message_id: "9".into(),
                source: Address::unknown("2020"),
                destination: Address::international("447700900123"),
                ..CancelSm::default()
            }
            .into(),
            b"\x009\0\0\x002020\0\x01\x01447700900123\0".to_vec(),
        ),
        ("cancel_sm_resp", 0x8000_0008, Pdu::CancelSmResp, vec![]),
        (
            "replace_sm",
            0x07,
            ReplaceSm {
                message_id: "9".into(),
                source: Address::unknown("2020"),
                registered_delivery: RegisteredDelivery::FAILURE,
                short_message: Bytes::from_static(b"new"),
                ..ReplaceSm::default()
            }
            .into(),
            b"9\0\0\x002020\0\0\0\x02\0\x03new".to_vec(),
        ),
        ("replace_sm_resp", 0x8000_0007, Pdu::ReplaceSmResp, vec![]),
        (
            "alert_notification",
            0x0102,
            AlertNotification {
                source: Address::international("447700900123"),
                esme: Address::unknown("2020"),
                tlvs: Tlvs::new().with(Tag::MS_AVAILABILITY_STATUS, &[0][..]),
            }
            .into(),
            b"\x01\x01447700900123\0\0\x002020\0\x04\x22\x00\x01\0".to_vec(),
        ),
    ]
}

#[test]
fn every_pdu_is_encoded_as_the_specification_lays_it_out() {
    for (name, command, pdu, body) in table() {
        assert_eq!(
            encode(&pdu, 0x0102_0304),
            frame(command, 0, 0x0102_0304, &body),
            "{name}"
        );
        assert_eq!(pdu.command().name(), Some(name));
    }
}

#[test]
fn every_pdu_is_decoded_as_the_specification_lays_it_out() {
    for (name, command, pdu, body) in table() {
        let (header, decoded) = decode(&frame(command, 0, 7, &body));
        assert_eq!(
            header,
            Header {
                command: pdu.command(),
                status: CommandStatus::ROK,
                sequence: 7
            }
        );
        assert_eq!(decoded.as_ref(), Ok(&pdu), "{name}");
    }
}

#[test]
fn an_error_answer_has_no_body_where_the_specification_says_so() {
    let table = [
        (Pdu::SubmitSmResp(SubmitSmResp::default()), &b""[..]),
        (Pdu::BindResp(BindResp::new(BindKind::Transceiver)), b""),
        (Pdu::DeliverSmResp(DeliverSmResp::default()), b"\0"),
        (Pdu::SubmitSmResp(SubmitSmResp::new("9")), b"9\0"),
    ];
    for (pdu, body) in table {
        let encoded = pdu
            .to_bytes(CommandStatus::RTHROTTLED, 1)
            .expect("within the bounds");
        assert_eq!(
            encoded,
            frame(pdu.command().0, 0x58, 1, body),
            "{}",
            pdu.command()
        );
    }
}
