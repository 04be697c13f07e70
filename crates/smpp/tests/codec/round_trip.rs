//! Encoded PDUs decode to the same value; decoding survives any octets.

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use smpp::field::{
    Address, DataCoding, EsmClass, InterfaceVersion, MessageState, Npi, RegisteredDelivery, Ton,
};
use smpp::pdu::*;
use smpp::tlv::{Tag, Tlv, Tlvs};
use smpp::{COctetString, CommandStatus, Pdu, frame};

use super::{decode, encode};

fn text(octets_max: usize) -> impl Strategy<Value = COctetString> {
    prop::collection::vec(1..=0x7F_u8, 0..=octets_max).prop_map(|octets| COctetString::from(&octets[..]))
}

fn time() -> impl Strategy<Value = COctetString> {
    prop_oneof![
        Just(COctetString::new()),
        "[0-9]{15}[R+-]".prop_map(COctetString::from)
    ]
}

fn octets(max: usize) -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..=max).prop_map(Bytes::from)
}

fn address(octets_max: usize) -> impl Strategy<Value = Address> {
    (any::<u8>(), any::<u8>(), text(octets_max)).prop_map(|(ton, npi, addr)| Address {
        ton: Ton(ton),
        npi: Npi(npi),
        addr,
    })
}

fn tlvs() -> impl Strategy<Value = Tlvs> {
    let tlv = (any::<u16>(), octets(40))
        .prop_filter("text is in short_message", |(tag, _)| {
            Tag(*tag) != Tag::MESSAGE_PAYLOAD
        })
        .prop_map(|(tag, value)| Tlv { tag: Tag(tag), value });
    prop::collection::vec(tlv, 0..4).prop_map(Tlvs::from_iter)
}

fn kind() -> impl Strategy<Value = BindKind> {
    prop_oneof![
        Just(BindKind::Transmitter),
        Just(BindKind::Receiver),
        Just(BindKind::Transceiver)
    ]
}

fn bind() -> impl Strategy<Value = Pdu> {
    (kind(), text(15), text(8), text(12), any::<[u8; 3]>(), text(40)).prop_map(
        |(kind, system_id, password, system_type, [version, ton, npi], address_range)| {
            Pdu::Bind(Bind {
                kind,
                system_id,
                password,
                system_type,
                interface_version: InterfaceVersion(version),
                addr_ton: Ton(ton),
                addr_npi: Npi(npi),
                address_range,
            })
        },
    )
}

fn submit() -> impl Strategy<Value = SubmitSm> {
    let addresses = (address(20), address(20));
    (
        text(5),
        addresses,
        any::<[u8; 7]>(),
        time(),
        time(),
        octets(254),
        tlvs(),
    )
        .prop_map(
            |(service_type, (source, destination), flags, schedule, validity, short_message, tlvs)| {
                let [
                    esm,
                    protocol_id,
                    priority_flag,
                    registered,
                    replace,
                    coding,
                    default,
                ] = flags;
                SubmitSm {
                    service_type,
                    source,
                    destination,
                    esm_class: EsmClass(esm),
                    protocol_id,
                    priority_flag,
                    schedule_delivery_time: schedule,
                    validity_period: validity,
                    registered_delivery: RegisteredDelivery(registered),
                    replace_if_present_flag: replace,
                    data_coding: DataCoding(coding),
                    sm_default_msg_id: default,
                    short_message,
                    tlvs,
                }
            },
        )
}

fn multi() -> impl Strategy<Value = Pdu> {
    let destination = prop_oneof![
        address(20).prop_map(Destination::Address),
        text(20).prop_map(Destination::DistributionList)
    ];
    (submit(), prop::collection::vec(destination, 0..5)).prop_map(|(submit, destinations)| {
        SubmitMulti {
            service_type: submit.service_type,
            source: submit.source,
            destinations,
            esm_class: submit.esm_class,
            protocol_id: submit.protocol_id,
            priority_flag: submit.priority_flag,
            schedule_delivery_time: submit.schedule_delivery_time,
            validity_period: submit.validity_period,
            registered_delivery: submit.registered_delivery,
            replace_if_present_flag: submit.replace_if_present_flag,
            data_coding: submit.data_coding,
            sm_default_msg_id: submit.sm_default_msg_id,
            short_message: submit.short_message,
            tlvs: submit.tlvs,
        }
        .into()
    })
}

fn multi_resp() -> impl Strategy<Value = Pdu> {
    let unsuccess = (address(20), any::<u32>()).prop_map(|(address, status)| Unsuccess {
        address,
        status: CommandStatus(status),
    });
    (text(64), prop::collection::vec(unsuccess, 0..4), tlvs()).prop_map(|(message_id, unsuccess, tlvs)| {
        SubmitMultiResp {
            message_id,
            unsuccess,
            tlvs,
        }
        .into()
    })
}

fn deliver() -> impl Strategy<Value = Pdu> {
    submit().prop_map(|submit| {
        DeliverSm {
            service_type: submit.service_type,
            source: submit.source,
            destination: submit.destination,
            esm_class: submit.esm_class,
            protocol_id: submit.protocol_id,
            priority_flag: submit.priority_flag,
            registered_delivery: submit.registered_delivery,
            data_coding: submit.data_coding,
            short_message: submit.short_message,
            tlvs: submit.tlvs,
        }
        .into()
    })
}

fn data() -> impl Strategy<Value = Pdu> {
    (text(5), address(64), address(64), any::<[u8; 3]>(), tlvs()).prop_map(
        |(service_type, source, destination, [esm, registered, coding], tlvs)| {
            DataSm {
                service_type,
                source,
                destination,
                esm_class: EsmClass(esm),
                registered_delivery: RegisteredDelivery(registered),
                data_coding: DataCoding(coding),
                tlvs,
            }
            .into()
        },
    )
}

fn management() -> impl Strategy<Value = Pdu> {
    let ids = (text(64), address(20), address(20));
    (
        ids,
        text(5),
        time(),
        time(),
        any::<[u8; 2]>(),
        octets(254),
        tlvs(),
    )
        .prop_flat_map(
            |(
                (message_id, source, destination),
                service_type,
                first,
                second,
                [a, b],
                short_message,
                tlvs,
            )| {
                let query: Pdu = QuerySm {
                    message_id: message_id.clone(),
                    source: source.clone(),
                }
                .into();
                let cancel: Pdu = CancelSm {
                    service_type,
                    message_id: message_id.clone(),
                    source: source.clone(),
                    destination,
                }
                .into();
                let replace: Pdu = ReplaceSm {
                    message_id: message_id.clone(),
                    source,
                    schedule_delivery_time: first.clone(),
                    validity_period: second,
                    registered_delivery: RegisteredDelivery(a),
                    sm_default_msg_id: b,
                    short_message,
                    tlvs: tlvs.clone(),
                }
                .into();
                let answer: Pdu = QuerySmResp {
                    message_id,
                    final_date: first,
                    message_state: MessageState(a),
                    error_code: b,
                    tlvs,
                }
                .into();
                prop_oneof![Just(query), Just(cancel), Just(replace), Just(answer)]
            },
        )
}

fn answers() -> impl Strategy<Value = Pdu> {
    (kind(), text(15), text(64), tlvs()).prop_flat_map(|(kind, system_id, message_id, tlvs)| {
        prop_oneof![
            Just(Pdu::BindResp(BindResp {
                kind,
                system_id: system_id.clone(),
                tlvs: tlvs.clone()
            })),
            Just(
                Outbind {
                    system_id: system_id.clone(),
                    password: COctetString::new()
                }
                .into()
            ),
            Just(
                SubmitSmResp {
                    message_id: message_id.clone(),
                    tlvs: tlvs.clone()
                }
                .into()
            ),
            Just(
                DeliverSmResp {
                    message_id: message_id.clone(),
                    tlvs: tlvs.clone()
                }
                .into()
            ),
            Just(DataSmResp { message_id, tlvs }.into()),
        ]
    })
}

fn bare() -> impl Strategy<Value = Pdu> {
    prop_oneof![
        Just(Pdu::Unbind),
        Just(Pdu::UnbindResp),
        Just(Pdu::GenericNack),
        Just(Pdu::EnquireLink),
        Just(Pdu::EnquireLinkResp),
        Just(Pdu::CancelSmResp),
        Just(Pdu::ReplaceSmResp),
    ]
}

fn alert() -> impl Strategy<Value = Pdu> {
    (address(64), address(64), tlvs())
        .prop_map(|(source, esme, tlvs)| AlertNotification { source, esme, tlvs }.into())
}

fn pdu() -> impl Strategy<Value = Pdu> {
    prop_oneof![
        bind(),
        submit().prop_map(Pdu::from),
        multi(),
        multi_resp(),
        deliver(),
        data(),
        management(),
        answers(),
        bare(),
        alert(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn what_is_encoded_is_decoded_to_the_same(pdu in pdu(), sequence in any::<u32>()) {
        let (header, decoded) = decode(&encode(&pdu, sequence));
        prop_assert_eq!((header.command, header.sequence), (pdu.command(), sequence));
        prop_assert_eq!(decoded, Ok(pdu));
    }

    #[test]
    fn a_run_of_pdus_is_read_as_it_was_written(pdus in prop::collection::vec(pdu(), 1..8)) {
        let mut stream = BytesMut::new();
        for pdu in &pdus {
            stream.extend_from_slice(&encode(pdu, 1));
        }
        let cut = frame::cut(&mut stream, 1 << 20);
        let read: Result<Vec<Pdu>, _> = cut.frames().map(|frame| Pdu::decode(&frame)).collect();
        prop_assert_eq!(read, Ok(pdus));
    }

    /// Truncated, extended and flipped octets must neither panic nor be read past their frame.
    #[test]
    fn mutated_pdus_are_survived(
        pdu in pdu(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        keep in any::<prop::sample::Index>(),
        tail in prop::collection::vec(any::<u8>(), 0..16),
    ) {
        let mut octets = encode(&pdu, 1);
        octets.truncate(16 + keep.index(octets.len() - 15));
        octets.extend_from_slice(&tail);
        for (at, value) in flips {
            let at = at.index(octets.len());
            octets[at] = value;
        }
        // Repairs the length, so that the body is decoded, and the command, so that it is one with a body.
        let length = (octets.len() as u32).to_be_bytes();
        octets[..4].copy_from_slice(&length);
        octets[4..8].copy_from_slice(&pdu.command().0.to_be_bytes());
        let (_, decoded) = decode(&octets);
        if let Ok(decoded) = decoded {
            prop_assert_eq!(decoded.command(), pdu.command());
        }
    }

    #[test]
    fn arbitrary_octets_are_survived(octets in prop::collection::vec(any::<u8>(), 0..200), command in 0..0x22_u32) {
        let mut buffer = BytesMut::from(&octets[..]);
        let before = buffer.len();
        let cut = frame::cut(&mut buffer, 4096);
        let taken: usize = cut.frames().map(|frame| 16 + frame.body().len()).sum();
        prop_assert_eq!(taken + buffer.len(), before);
        for command in [command, command | 0x8000_0000, 0x102, 0x103, 0x8000_0103] {
            let _ = decode(&super::frame(command, 0, 1, &octets));
        }
    }

    /// A PDU that was decoded leniently and is within the bounds survives encoding and decoding without change.
    #[test]
    fn decoding_is_stable(octets in prop::collection::vec(any::<u8>(), 0..120), command in 1..10_u32) {
        if let (_, Ok(first)) = decode(&super::frame(command, 0, 1, &octets))
            && let Ok(written) = first.to_bytes(CommandStatus::ROK, 1)
            && !is_broken(&first)
        {
            prop_assert_eq!(decode(&written).1, Ok(first));
        }
    }
}

fn is_broken(pdu: &Pdu) -> bool {
    match pdu {
        Pdu::SubmitSm(pdu) => pdu.tlvs.is_broken(),
        Pdu::DeliverSm(pdu) => pdu.tlvs.is_broken(),
        Pdu::ReplaceSm(pdu) => pdu.tlvs.is_broken(),
        _ => false,
    }
}
