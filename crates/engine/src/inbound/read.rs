//! A delivery that is no receipt: who wrote what, and which part of it this is.

use crate::catalog::DataCoding as Habit;
use smpp::field::{DataCoding, EsmClass};
use smpp::pdu::{DataSm, DeliverSm};
use smpp::tlv::Tlvs;
use sms::udh::{self, Part};

/// One part of what a person wrote.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Written {
    /// Who, as the carrier writes it.
    pub(crate) from: Box<str>,
    /// To which number or code, as the carrier writes it.
    pub(crate) to: Box<str>,
    pub(crate) text: Box<str>,
    /// Present when it is one of several.
    pub(crate) part: Option<Part>,
}

/// Reads a `deliver_sm`. What cannot be read as text is kept as good as it goes: the carrier offers it once.
pub(crate) fn of_deliver(pdu: &DeliverSm, habit: Habit) -> Written {
    Written {
        from: address(pdu.source.addr.as_bytes()),
        to: address(pdu.destination.addr.as_bytes()),
        ..text(pdu.esm_class, pdu.data_coding, pdu.payload(), &pdu.tlvs, habit)
    }
}

/// Reads a `data_sm`.
pub(crate) fn of_data(pdu: &DataSm, habit: Habit) -> Written {
    let none = bytes::Bytes::new();
    let payload = pdu.tlvs.message_payload().unwrap_or(&none);
    Written {
        from: address(pdu.source.addr.as_bytes()),
        to: address(pdu.destination.addr.as_bytes()),
        ..text(pdu.esm_class, pdu.data_coding, payload, &pdu.tlvs, habit)
    }
}

fn address(octets: &[u8]) -> Box<str> {
    String::from_utf8_lossy(octets).trim().into()
}

fn text(esm_class: EsmClass, coding: DataCoding, payload: &[u8], tlvs: &Tlvs, habit: Habit) -> Written {
    let headed = if esm_class.has_udhi() {
        udh::read(payload)
    } else {
        udh::Headed {
            part: None,
            header_len: 0,
            text: payload,
        }
    };
    let sar = || {
        let sar = tlvs.sar()?;
        Part::new(sar.reference, sar.total, sar.seqnum)
    };
    Written {
        from: Box::default(),
        to: Box::default(),
        text: decoded(coding, &headed, habit).into(),
        part: headed.part.or_else(sar),
    }
}

fn decoded(coding: DataCoding, headed: &udh::Headed<'_>, habit: Habit) -> String {
    use sms::alphabet::{decode_gsm7, decode_latin1, decode_ucs2, fill_bits, unpack};
    match coding {
        DataCoding::UCS2 => decode_ucs2(headed.text),
        DataCoding::LATIN1 => decode_latin1(headed.text),
        DataCoding::IA5 => String::from_utf8_lossy(headed.text).into_owned(),
        // 0 is "as the SMSC likes": the habit that the carrier's messages go out with is the best guess.
        _ => match habit {
            Habit::Gsm7Packed => {
                let fill = fill_bits(headed.header_len);
                let septets = (headed.text.len() * 8).saturating_sub(fill) / 7;
                decode_gsm7(&unpack(headed.text, fill, septets))
            }
            Habit::Latin1 => decode_latin1(headed.text),
            Habit::Gsm7Unpacked | Habit::Ucs2 => decode_gsm7(headed.text),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use smpp::field::Address;

    fn deliver(esm_class: EsmClass, data_coding: DataCoding, payload: &[u8]) -> DeliverSm {
        DeliverSm {
            source: Address::international("447700900123"),
            destination: Address::unknown("10690"),
            esm_class,
            data_coding,
            short_message: bytes::Bytes::copy_from_slice(payload),
            ..DeliverSm::default()
        }
    }

    #[test]
    fn texts_are_read_in_their_alphabet() {
        for (coding, habit, payload, text) in [
            (DataCoding(0), Habit::Gsm7Unpacked, &b"\x00hi"[..], "@hi"),
            (DataCoding(0), Habit::Latin1, &b"caf\xe9"[..], "café"),
            (DataCoding::LATIN1, Habit::Gsm7Unpacked, &b"caf\xe9"[..], "café"),
            (
                DataCoding::UCS2,
                Habit::Gsm7Unpacked,
                &[0x90, 0x00, 0x8b, 0xa2][..],
                "退订",
            ),
        ] {
            let written = of_deliver(&deliver(EsmClass(0), coding, payload), habit);
            assert_eq!(&*written.text, text);
            assert_eq!((&*written.from, &*written.to), ("447700900123", "10690"));
            assert_eq!(written.part, None);
        }
    }

    #[test]
    fn a_part_is_known_by_its_header() {
        let pdu = deliver(EsmClass(0x40), DataCoding(0), &[5, 0, 3, 7, 2, 1, b'a']);
        let written = of_deliver(&pdu, Habit::Gsm7Unpacked);
        assert_eq!((&*written.text, written.part), ("a", Part::new(7, 2, 1)));
    }
}
