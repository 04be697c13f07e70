//! PDUs that are not encoded, because a peer that keeps to the specification could not decode them.

use bytes::{Bytes, BytesMut};
use smpp::field::Address;
use smpp::pdu::{Bind, BindKind, Destination, SubmitMulti, SubmitSm, SubmitSmResp};
use smpp::tlv::{Tag, Tlvs};
use smpp::{CommandStatus, EncodeError, Limits, Pdu};

fn refused(pdu: impl Into<Pdu>) -> EncodeError {
    pdu.into()
        .to_bytes(CommandStatus::ROK, 1)
        .expect_err("out of bounds")
}

fn submit() -> SubmitSm {
    SubmitSm {
        destination: Address::international("447700900123"),
        ..SubmitSm::default()
    }
}

#[test]
fn each_bound_is_kept_and_the_value_at_the_bound_is_sent() {
    let with_text = |len: usize| SubmitSm {
        short_message: Bytes::from(vec![b'x'; len]),
        ..submit()
    };
    assert!(Pdu::from(with_text(254)).to_bytes(CommandStatus::ROK, 1).is_ok());
    assert_eq!(
        refused(with_text(255)),
        EncodeError::TooLong {
            field: "short_message",
            len: 255,
            max: 254
        }
    );

    let to = |len: usize| SubmitSm {
        destination: Address::international("1".repeat(len)),
        ..submit()
    };
    assert!(Pdu::from(to(20)).to_bytes(CommandStatus::ROK, 1).is_ok());
    assert_eq!(
        refused(to(21)),
        EncodeError::TooLong {
            field: "destination_addr",
            len: 21,
            max: 20
        }
    );

    let id = |len: usize| SubmitSmResp::new("a".repeat(len));
    assert!(Pdu::from(id(64)).to_bytes(CommandStatus::ROK, 1).is_ok());
    assert_eq!(
        refused(id(65)),
        EncodeError::TooLong {
            field: "message_id",
            len: 65,
            max: 64
        }
    );

    let many = |len: usize| SubmitMulti {
        destinations: vec![Destination::DistributionList("x".into()); len],
        ..SubmitMulti::default()
    };
    assert!(Pdu::from(many(254)).to_bytes(CommandStatus::ROK, 1).is_ok());
    assert_eq!(
        refused(many(255)),
        EncodeError::TooLong {
            field: "number_of_dests",
            len: 255,
            max: 254
        }
    );

    let parameter = |len: usize| {
        let mut tlvs = Tlvs::new();
        tlvs.set_message_payload(vec![b'x'; len]);
        SubmitSm { tlvs, ..submit() }
    };
    assert!(
        Pdu::from(parameter(65535))
            .to_bytes(CommandStatus::ROK, 1)
            .is_ok()
    );
    assert_eq!(
        refused(parameter(65536)),
        EncodeError::TooLong {
            field: "message_payload",
            len: 65536,
            max: 65535
        }
    );
}

#[test]
fn credentials_may_be_longer_only_where_that_is_wanted() {
    let bind = Pdu::from(Bind::new(BindKind::Transceiver, "esme", "twelve-chars"));
    let mut out = BytesMut::from(&b"before"[..]);
    let strict = bind.encode(CommandStatus::ROK, 1, &Limits::SPEC, &mut out);
    assert_eq!(
        strict,
        Err(EncodeError::TooLong {
            field: "password",
            len: 12,
            max: 8
        })
    );
    assert_eq!(out, &b"before"[..], "nothing of a refused PDU is left behind");
    assert!(
        bind.encode(CommandStatus::ROK, 1, &Limits::LENIENT, &mut out)
            .is_ok()
    );
}

#[test]
fn strings_are_ascii_without_nul() {
    for addr in [&b"44\x0077"[..], b"caf\xE9"] {
        let submit = SubmitSm {
            source: Address::alphanumeric(addr),
            ..submit()
        };
        assert_eq!(refused(submit), EncodeError::NotText { field: "source_addr" });
    }
}

#[test]
fn times_are_empty_or_sixteen_characters() {
    let submit = SubmitSm {
        validity_period: "0000020000000".into(),
        ..submit()
    };
    assert_eq!(
        refused(submit),
        EncodeError::TimeLength {
            field: "validity_period",
            len: 13
        }
    );
}

#[test]
fn a_message_has_one_payload() {
    let submit = SubmitSm {
        short_message: Bytes::from_static(b"a"),
        tlvs: Tlvs::new().with(Tag::MESSAGE_PAYLOAD, &b"b"[..]),
        ..submit()
    };
    assert_eq!(refused(submit), EncodeError::TwoPayloads);
}
