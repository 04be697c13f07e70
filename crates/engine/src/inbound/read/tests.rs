use super::*;
use proptest::prelude::*;
use sms::user_data::{Content, content};

fn deliver(esm_class: EsmClass, data_coding: DataCoding, payload: &[u8]) -> DeliverSm {
    DeliverSm {
        source: Address::international("447700900123"),
        destination: Address::unknown("10690"),
        esm_class,
        data_coding,
        short_message: Bytes::copy_from_slice(payload),
        ..DeliverSm::default()
    }
}

fn text(written: Written) -> Box<str> {
    match content(&[written.data]) {
        Content::Text(text) => text,
        Content::Binary(binary) => binary.hex().into(),
    }
}

#[test]
fn texts_are_read_in_their_alphabet() {
    for (coding, default, payload, wanted) in [
        (DataCoding(0), Charset::Gsm7, &b"\x00hi"[..], "@hi"),
        (DataCoding(0), Charset::Latin1, &b"caf\xe9"[..], "café"),
        (
            DataCoding(0),
            Charset::Gsm7Packed,
            b"\x31\xd9\x8c\x56\xb3\xdd\x00",
            "1234567",
        ),
        (DataCoding(0x11), Charset::Latin1, b"\x00hi", "@hi"),
        (DataCoding::LATIN1, Charset::Gsm7, &b"caf\xe9"[..], "café"),
        (DataCoding(4), Charset::Gsm7, b"caf\xe9", "636166e9"),
        (DataCoding(0xE8), Charset::Gsm7, b"\0h\0i", "hi"),
        (
            DataCoding::UCS2,
            Charset::Gsm7,
            &[0x90, 0x00, 0x8b, 0xa2][..],
            "退订",
        ),
    ] {
        let written = of_deliver(&deliver(EsmClass(0), coding, payload), default);
        assert_eq!(
            (&*written.from.written, &*written.to.written),
            ("447700900123", "10690")
        );
        assert_eq!(written.part, None);
        assert_eq!(&*text(written), wanted);
    }
}

#[test]
fn data_coding_0_is_what_the_settings_say() {
    let settings = |data_coding, default_alphabet| SmppSettings {
        data_coding,
        default_alphabet,
        ..SmppSettings::default()
    };
    for (data_coding, default_alphabet, charset) in [
        (Habit::Gsm7Unpacked, DefaultAlphabet::Gsm7, Charset::Gsm7),
        (Habit::Gsm7Unpacked, DefaultAlphabet::Latin1, Charset::Latin1),
        (Habit::Gsm7Unpacked, DefaultAlphabet::Ascii, Charset::Ascii),
        (Habit::Gsm7Packed, DefaultAlphabet::Gsm7, Charset::Gsm7Packed),
        (Habit::Latin1, DefaultAlphabet::Gsm7, Charset::Latin1),
        (Habit::Ucs2, DefaultAlphabet::Gsm7, Charset::Gsm7),
        (Habit::Ucs2, DefaultAlphabet::Ascii, Charset::Ascii),
    ] {
        assert_eq!(
            default_charset(&settings(data_coding, default_alphabet)),
            charset,
            "{data_coding:?} {default_alphabet:?}"
        );
    }
}

#[test]
fn a_part_is_known_by_its_header() {
    let pdu = deliver(EsmClass(0x40), DataCoding(0), &[5, 0, 3, 7, 2, 1, b'a']);
    let written = of_deliver(&pdu, Charset::Gsm7);
    assert_eq!(written.part, Part::new(Reference::Bits8, 7, 2, 1));
    assert_eq!(&*text(written), "a");
}

#[test]
fn a_port_marks_data() {
    let mut pdu = deliver(EsmClass(0), DataCoding(0), b"a");
    pdu.tlvs.set_dest_port(0);
    assert_eq!(of_deliver(&pdu, Charset::Gsm7).data.coding.port, None);
    pdu.tlvs.set_dest_port(2948);
    assert_eq!(&*text(of_deliver(&pdu, Charset::Gsm7)), "61");
}

proptest! {
    #[test]
    fn any_delivery_is_read(
        esm_class: u8,
        coding: u8,
        payload in proptest::collection::vec(any::<u8>(), 0..255),
        default in 0..4usize,
    ) {
        let default = [Charset::Gsm7, Charset::Gsm7Packed, Charset::Latin1, Charset::Ascii][default];
        let written = of_deliver(&deliver(EsmClass(esm_class), DataCoding(coding), &payload), default);
        prop_assert!(text(written).chars().count() <= payload.len() * 3 + 1);
    }
}
