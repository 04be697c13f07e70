//! Two other implementations decode what this crate encodes, and the reverse.
//!
//! The tests compare octets: a PDU encoded here, decoded and encoded again by the peer, must have the same octets.

use std::str::FromStr;

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use rusmpp::tokio_codec::CommandCodec;
use rusmpp::types::{COctetString as TheirString, OctetString};
use smpp::field::{
    Address, DataCoding, EsmClass, InterfaceVersion, MessageState, Npi, RegisteredDelivery, Ton,
};
use smpp::pdu::*;
use smpp::tlv::{Tag, Tlvs};
use smpp::{COctetString, CommandStatus, Pdu};
use tokio_util::codec::{Decoder, Encoder};

use super::{decode, encode};

/// Through rusmpp and back.
fn via_rusmpp(octets: &[u8]) -> Vec<u8> {
    let mut codec = CommandCodec::new();
    let mut buffer = BytesMut::from(octets);
    let command = codec
        .decode(&mut buffer)
        .expect("rusmpp reads it")
        .expect("a whole frame");
    assert!(buffer.is_empty());
    let mut out = BytesMut::new();
    codec.encode(command, &mut out).expect("rusmpp writes it");
    out.to_vec()
}

/// Through smpp34 and back; `None` if its codec for the command is not public.
fn via_smpp34(octets: &[u8]) -> Option<Vec<u8>> {
    let header = || smpp34::CommandHeader::decode(octets).expect("a header");
    macro_rules! through {
        ($pdu:ident) => {
            Some(
                smpp34::$pdu::decode(header(), octets)
                    .expect("smpp34 reads it")
                    .encode(),
            )
        };
    }
    match header().command_id {
        0x01 => through!(bind_receiver),
        0x02 => through!(bind_transmitter),
        0x09 => through!(bind_transceiver),
        0x8000_0009 => through!(bind_transceiver_resp),
        0x04 => through!(submit_sm),
        0x8000_0004 => through!(submit_sm_resp),
        0x05 => through!(deliver_sm),
        0x8000_0005 => through!(deliver_sm_resp),
        _ => None,
    }
}

/// Values that both peers have a name for: they drop or refuse others.
fn address() -> impl Strategy<Value = Address> {
    prop_oneof![
        "[1-9][0-9]{5,14}".prop_map(Address::international),
        "[A-Za-z ]{1,11}".prop_map(Address::alphanumeric),
        "[0-9]{3,6}".prop_map(|digits| Address {
            ton: Ton::NETWORK_SPECIFIC,
            npi: Npi::UNKNOWN,
            addr: digits.into()
        }),
    ]
}

fn tlvs() -> impl Strategy<Value = Tlvs> {
    (
        "[0-9A-F]{1,16}",
        0..=8_u8,
        any::<u16>(),
        prop::collection::vec(any::<u8>(), 0..20),
    )
        .prop_map(|(id, state, reference, vendor)| {
            let mut tlvs = Tlvs::new();
            tlvs.set_receipted_message_id(&COctetString::from(id));
            tlvs.set_message_state(MessageState(state));
            tlvs.set_user_message_reference(reference);
            tlvs.push(Tag(0x1400), vendor);
            tlvs
        })
}

fn message() -> impl Strategy<Value = SubmitSm> {
    let coding = prop_oneof![
        Just(DataCoding::DEFAULT),
        Just(DataCoding::LATIN1),
        Just(DataCoding::UCS2)
    ];
    let class = prop_oneof![
        Just(EsmClass::DEFAULT),
        Just(EsmClass::DELIVERY_RECEIPT),
        Just(EsmClass::STORE_AND_FORWARD.with(EsmClass::UDHI)),
    ];
    let validity = prop_oneof![
        Just(COctetString::new()),
        Just(COctetString::from("000002000000000R"))
    ];
    let text = prop::collection::vec(any::<u8>(), 0..=254).prop_map(Bytes::from);
    (
        address(),
        address(),
        class,
        coding,
        validity,
        0..=1_u8,
        text,
        tlvs(),
    )
        .prop_map(
            |(
                source,
                destination,
                esm_class,
                data_coding,
                validity_period,
                registered,
                short_message,
                tlvs,
            )| {
                SubmitSm {
                    source,
                    destination,
                    esm_class,
                    data_coding,
                    validity_period,
                    registered_delivery: RegisteredDelivery(registered),
                    short_message,
                    tlvs,
                    ..SubmitSm::default()
                }
            },
        )
}

fn deliver(message: SubmitSm) -> Pdu {
    DeliverSm {
        source: message.source,
        destination: message.destination,
        esm_class: message.esm_class,
        data_coding: message.data_coding,
        short_message: message.short_message,
        tlvs: message.tlvs,
        ..DeliverSm::default()
    }
    .into()
}

fn bind() -> impl Strategy<Value = Pdu> {
    let kind = prop_oneof![
        Just(BindKind::Transmitter),
        Just(BindKind::Receiver),
        Just(BindKind::Transceiver)
    ];
    (kind, "[a-zA-Z0-9]{1,15}", "[ -~]{0,8}", "[A-Z]{0,12}").prop_map(
        |(kind, system_id, password, system_type)| {
            let bind = Bind::new(kind, system_id, password);
            Pdu::Bind(Bind {
                system_type: system_type.into(),
                ..bind
            })
        },
    )
}

fn pdu() -> impl Strategy<Value = Pdu> {
    let id = || "[0-9a-zA-Z-]{0,64}";
    prop_oneof![
        bind(),
        message().prop_map(Pdu::from),
        message().prop_map(deliver),
        id().prop_map(|id| SubmitSmResp::new(id).into()),
        Just(DeliverSmResp::default().into()),
        "[a-zA-Z0-9]{1,15}".prop_map(|system_id| {
            let mut tlvs = Tlvs::new();
            tlvs.set_sc_interface_version(InterfaceVersion::V3_4);
            Pdu::BindResp(BindResp {
                kind: BindKind::Transceiver,
                system_id: system_id.into(),
                tlvs,
            })
        }),
    ]
}

proptest! {
    #[test]
    fn rusmpp_reads_and_writes_the_same_octets(pdu in pdu(), sequence in 1..=0x7FFF_FFFF_u32) {
        let octets = encode(&pdu, sequence);
        prop_assert_eq!(via_rusmpp(&octets), octets);
    }

    #[test]
    fn smpp34_reads_and_writes_the_same_octets(pdu in pdu(), sequence in 1..=0x7FFF_FFFF_u32) {
        let octets = encode(&pdu, sequence);
        prop_assert_eq!(via_smpp34(&octets), Some(octets));
    }
}

#[test]
fn what_rusmpp_builds_is_understood() {
    let text = |text: &str| TheirString::from_str(text).expect("short enough");
    let theirs = rusmpp::pdus::SubmitSm::builder()
        .source_addr_ton(rusmpp::values::Ton::Alphanumeric)
        .source_addr(text("Postrider"))
        .dest_addr_ton(rusmpp::values::Ton::International)
        .dest_addr_npi(rusmpp::values::Npi::Isdn)
        .destination_addr(TheirString::from_str("447700900123").expect("short enough"))
        .registered_delivery(rusmpp::values::RegisteredDelivery::request_all())
        .short_message(OctetString::from_str("hello").expect("short enough"))
        .build();
    let command = rusmpp::Command::new(rusmpp::CommandStatus::EsmeRok, 2, theirs);
    let mut octets = BytesMut::new();
    CommandCodec::new()
        .encode(command, &mut octets)
        .expect("rusmpp writes it");
    let (header, Ok(Pdu::SubmitSm(ours))) = decode(&octets) else {
        panic!("a submit_sm")
    };
    assert_eq!((header.sequence, header.status), (2, CommandStatus::ROK));
    assert_eq!(ours.source, Address::alphanumeric("Postrider"));
    assert_eq!(ours.destination, Address::international("447700900123"));
    assert!(ours.registered_delivery.wants_receipt());
    assert_eq!(ours.short_message, &b"hello"[..]);
}

#[test]
fn what_smpp34_builds_is_understood() {
    let theirs = smpp34::deliver_sm::new(
        9,
        String::new(),
        1,
        1,
        "447700900123".into(),
        5,
        0,
        "Postrider".into(),
        0x04,
        0,
        0,
        String::new(),
        String::new(),
        0,
        0,
        0,
        0,
        b"id:0A stat:DELIVRD".to_vec(),
    )
    .with_tlvs([smpp34::Tlv::from_c_string(
        smpp34::TlvTag::ReceiptedMessageId,
        "0A",
    )]);
    let (header, Ok(Pdu::DeliverSm(ours))) = decode(&theirs.encode()) else {
        panic!("a deliver_sm")
    };
    assert_eq!(header.sequence, 9);
    assert!(ours.esm_class.is_delivery_receipt());
    assert_eq!(ours.destination, Address::alphanumeric("Postrider"));
    assert_eq!(ours.tlvs.receipted_message_id(), Some(COctetString::from("0A")));
}
