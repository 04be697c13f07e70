//! PDUs that break the specification, as peers send them, and how they are decoded.

use smpp::pdu::{DeliverSm, SubmitSmResp};
use smpp::tlv::Tag;
use smpp::{CommandStatus, Malformed, Pdu};

use super::{decode, frame};

/// The body of a deliver_sm up to and including `sm_length`, with 5 octets of text announced.
const DELIVER: &[u8] = b"\0\x01\x01447700900123\0\0\x002020\0\0\0\0\0\0\0\0\0\0\x05";

fn deliver(body: &[u8]) -> Result<DeliverSm, Malformed> {
    decode(&frame(0x05, 0, 1, body)).1.map(|pdu| match pdu {
        Pdu::DeliverSm(deliver) => deliver,
        other => panic!("{other:?} is no deliver_sm"),
    })
}

#[test]
fn long_and_non_ascii_strings_are_kept() {
    let password = "p".repeat(40);
    let body = [b"sys\xC3\xA9\0", password.as_bytes(), b"\0\0\x34\0\0\0"].concat();
    let (_, Ok(Pdu::Bind(bind))) = decode(&frame(0x09, 0, 1, &body)) else {
        panic!("a bind")
    };
    assert_eq!(bind.system_id.as_bytes(), b"sys\xC3\xA9");
    assert_eq!(bind.password, password.as_str());
    assert!(
        !format!("{bind:?}").contains("ppp"),
        "the password is not to be printed"
    );
}

#[test]
fn a_missing_nul_at_the_end_of_the_body_is_forgiven() {
    let (_, decoded) = decode(&frame(0x8000_0004, 0, 1, b"0A1B"));
    assert_eq!(decoded, Ok(SubmitSmResp::new("0A1B").into()));
}

#[test]
fn answers_may_lack_their_body_whatever_their_status() {
    for (command, status) in [
        (0x8000_0004, 0),
        (0x8000_0004, 0x58),
        (0x8000_0009, 0x0E),
        (0x8000_0003, 0x67),
    ] {
        let (header, decoded) = decode(&frame(command, status, 1, b""));
        assert_eq!(header.status, CommandStatus(status));
        assert!(decoded.is_ok(), "0x{command:X}: {decoded:?}");
    }
}

#[test]
fn trailing_fields_of_a_message_may_be_absent() {
    let whole = [DELIVER, b"hello"].concat();
    let destination_ends_at = b"\0\x01\x01447700900123\0\0\x002020\0".len();
    for end in destination_ends_at..DELIVER.len() {
        let deliver = deliver(&whole[..end]).expect("all that matters is there");
        assert_eq!(deliver.destination.addr, "2020");
        assert!(deliver.short_message.is_empty());
    }
}

#[test]
fn a_message_without_its_addresses_is_malformed() {
    let table = [
        (&b""[..], "service_type"),
        (b"\0", "source_addr"),
        (b"\0\x01\x01", "source_addr"),
        (b"\0\x01\x01447700900123\0\0", "destination_addr"),
    ];
    for (body, field) in table {
        assert_eq!(deliver(body), Err(Malformed::Truncated { field }));
    }
    assert_eq!(
        Malformed::Truncated { field: "source_addr" }.status(),
        CommandStatus::RINVCMDLEN
    );
}

#[test]
fn a_text_longer_than_its_body_is_malformed() {
    let cut_short = [DELIVER, b"hell"].concat();
    let malformed = Malformed::MessageLength {
        claimed: 5,
        available: 4,
    };
    assert_eq!(deliver(&cut_short), Err(malformed));
    assert_eq!(malformed.status(), CommandStatus::RINVMSGLEN);
}

#[test]
fn the_text_is_not_ended_by_a_nul() {
    // 0x00 is the commercial at in the GSM alphabet.
    let deliver = deliver(&[DELIVER, b"a\0b\0c"].concat()).expect("a deliver_sm");
    assert_eq!(deliver.short_message, &b"a\0b\0c"[..]);
}

#[test]
fn a_broken_optional_parameter_costs_only_what_follows_it() {
    let body = [DELIVER, b"hello\x04\x27\x00\x01\x02\x00\x1E\x00\x09abc"].concat();
    let deliver = deliver(&body).expect("a deliver_sm");
    assert_eq!(deliver.short_message, &b"hello"[..]);
    assert!(deliver.tlvs.is_broken());
    assert_eq!(deliver.tlvs.get_u8(Tag::MESSAGE_STATE), Some(2));
    assert_eq!(deliver.tlvs.len(), 1);
}

#[test]
fn the_payload_is_found_wherever_it_is() {
    let in_tlv = [&DELIVER[..DELIVER.len() - 1], b"\x00\x04\x24\x00\x03abc"].concat();
    assert_eq!(deliver(&in_tlv).expect("a deliver_sm").payload(), &b"abc"[..]);
    let in_field = [DELIVER, b"hello"].concat();
    assert_eq!(deliver(&in_field).expect("a deliver_sm").payload(), &b"hello"[..]);
}

#[test]
fn unknown_commands_and_flags_say_what_to_answer() {
    let (header, decoded) = decode(&frame(0x0001_0203, 0, 9, b"whatever"));
    assert_eq!(decoded, Err(Malformed::UnknownCommand(header.command)));
    assert_eq!(decoded.map_err(Malformed::status), Err(CommandStatus::RINVCMDID));
    let multi = b"\0\0\x002020\0\x01\x03";
    assert_eq!(decode(&frame(0x21, 0, 1, multi)).1, Err(Malformed::DestFlag(3)));
}
