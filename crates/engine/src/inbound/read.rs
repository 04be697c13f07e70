//! A delivery that is no receipt: who wrote what, and which part of it this is.

use crate::catalog::DataCoding as Habit;
use bytes::Bytes;
use smpp::field::{Address, DataCoding, EsmClass, Ton};
use smpp::pdu::{DataSm, DeliverSm};
use smpp::tlv::Tlvs;
use sms::data_coding::Charset;
use sms::phone::carrier::NumberType;
use sms::udh::{self, Part};
use sms::user_data::UserData;

/// A number, code or name as the carrier writes it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Party {
    pub(crate) written: Box<str>,
    pub(crate) kind: NumberType,
}

/// One part of what a person wrote.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) from: Party,
    pub(crate) to: Party,
    pub(crate) data: UserData,
    /// Present when it is one of several.
    pub(crate) part: Option<Part>,
}

/// Reads a `deliver_sm`. What cannot be read as text is kept as good as it goes: the carrier offers it once.
pub(crate) fn of_deliver(pdu: &DeliverSm, habit: Habit) -> Written {
    let (data, part) = body(pdu.esm_class, pdu.data_coding, pdu.payload(), &pdu.tlvs, habit);
    Written {
        from: party(&pdu.source),
        to: party(&pdu.destination),
        data,
        part,
    }
}

/// Reads a `data_sm`.
pub(crate) fn of_data(pdu: &DataSm, habit: Habit) -> Written {
    let none = Bytes::new();
    let payload = pdu.tlvs.message_payload().unwrap_or(&none);
    let (data, part) = body(pdu.esm_class, pdu.data_coding, payload, &pdu.tlvs, habit);
    Written {
        from: party(&pdu.source),
        to: party(&pdu.destination),
        data,
        part,
    }
}

fn party(address: &Address) -> Party {
    Party {
        written: String::from_utf8_lossy(address.addr.as_bytes())
            .trim_matches(|character: char| character.is_whitespace() || character == '\0')
            .into(),
        kind: match address.ton {
            Ton::NATIONAL => NumberType::National,
            _ => NumberType::Other,
        },
    }
}

fn body(
    esm_class: EsmClass,
    coding: DataCoding,
    payload: &[u8],
    tlvs: &Tlvs,
    habit: Habit,
) -> (UserData, Option<Part>) {
    let headed = if esm_class.has_udhi() {
        udh::read(payload)
    } else {
        udh::Headed::none(payload)
    };
    let sar = || {
        let sar = tlvs.sar()?;
        Part::new(sar.reference, sar.total, sar.seqnum)
    };
    // Some carriers write the parameter with 0 into every message.
    let port = tlvs.dest_port().filter(|port| *port != 0);
    let data = UserData::new(Charset::of(coding.0, default_charset(habit)), &headed, port);
    (data, headed.part.or_else(sar))
}

/// 0 is "as the SMSC likes": the form in which the carrier's messages go out is the best guess.
fn default_charset(habit: Habit) -> Charset {
    match habit {
        Habit::Gsm7Packed => Charset::Gsm7Packed,
        Habit::Latin1 => Charset::Latin1,
        Habit::Gsm7Unpacked | Habit::Ucs2 => Charset::Gsm7,
    }
}

#[cfg(test)]
mod tests {
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
        for (coding, habit, payload, wanted) in [
            (DataCoding(0), Habit::Gsm7Unpacked, &b"\x00hi"[..], "@hi"),
            (DataCoding(0), Habit::Latin1, &b"caf\xe9"[..], "café"),
            (
                DataCoding(0),
                Habit::Gsm7Packed,
                b"\x31\xd9\x8c\x56\xb3\xdd\x00",
                "1234567",
            ),
            (DataCoding(0x11), Habit::Latin1, b"\x00hi", "@hi"),
            (DataCoding::LATIN1, Habit::Gsm7Unpacked, &b"caf\xe9"[..], "café"),
            (DataCoding(4), Habit::Gsm7Unpacked, b"caf\xe9", "636166e9"),
            (DataCoding(0xE8), Habit::Gsm7Unpacked, b"\0h\0i", "hi"),
            (
                DataCoding::UCS2,
                Habit::Gsm7Unpacked,
                &[0x90, 0x00, 0x8b, 0xa2][..],
                "退订",
            ),
        ] {
            let written = of_deliver(&deliver(EsmClass(0), coding, payload), habit);
            assert_eq!(
                (&*written.from.written, &*written.to.written),
                ("447700900123", "10690")
            );
            assert_eq!(written.part, None);
            assert_eq!(&*text(written), wanted);
        }
    }

    #[test]
    fn a_part_is_known_by_its_header() {
        let pdu = deliver(EsmClass(0x40), DataCoding(0), &[5, 0, 3, 7, 2, 1, b'a']);
        let written = of_deliver(&pdu, Habit::Gsm7Unpacked);
        assert_eq!(written.part, Part::new(7, 2, 1));
        assert_eq!(&*text(written), "a");
    }

    #[test]
    fn a_port_marks_data() {
        let mut pdu = deliver(EsmClass(0), DataCoding(0), b"a");
        pdu.tlvs.set_dest_port(0);
        assert_eq!(of_deliver(&pdu, Habit::Gsm7Unpacked).data.coding.port, None);
        pdu.tlvs.set_dest_port(2948);
        assert_eq!(&*text(of_deliver(&pdu, Habit::Gsm7Unpacked)), "61");
    }

    proptest! {
        #[test]
        fn any_delivery_is_read(
            esm_class: u8,
            coding: u8,
            payload in proptest::collection::vec(any::<u8>(), 0..255),
            habit in 0..4usize,
        ) {
            let habit = [Habit::Gsm7Unpacked, Habit::Gsm7Packed, Habit::Latin1, Habit::Ucs2][habit];
            let written = of_deliver(&deliver(EsmClass(esm_class), DataCoding(coding), &payload), habit);
            prop_assert!(text(written).chars().count() <= payload.len() * 3 + 1);
        }
    }
}
