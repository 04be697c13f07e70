//! A delivery that is no receipt: who wrote what, and which part of it this is.

use crate::catalog::{DataCoding as Habit, DefaultAlphabet, SmppSettings};
use bytes::Bytes;
use smpp::field::{Address, DataCoding, EsmClass, Ton};
use smpp::pdu::{DataSm, DeliverSm};
use smpp::tlv::Tlvs;
use sms::data_coding::Charset;
use sms::phone::carrier::NumberType;
use sms::segment::Reference;
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

/// What `data_coding` 0 ("as the SMSC likes") means in what a carrier delivers. A carrier that is sent Latin-1 under
/// its own `data_coding` is taken to use Latin-1 for everything.
pub(crate) const fn default_charset(settings: &SmppSettings) -> Charset {
    match (settings.data_coding, settings.default_alphabet) {
        (Habit::Gsm7Packed, _) => Charset::Gsm7Packed,
        (Habit::Latin1, _) | (_, DefaultAlphabet::Latin1) => Charset::Latin1,
        (_, DefaultAlphabet::Ascii) => Charset::Ascii,
        (Habit::Gsm7Unpacked | Habit::Ucs2, DefaultAlphabet::Gsm7) => Charset::Gsm7,
    }
}

/// Reads a `deliver_sm`; `default` is what `data_coding` 0 means. What cannot be read as text is kept as good as it
/// goes: the carrier offers it once.
pub(crate) fn of_deliver(pdu: &DeliverSm, default: Charset) -> Written {
    let (data, part) = body(pdu.esm_class, pdu.data_coding, pdu.payload(), &pdu.tlvs, default);
    Written {
        from: party(&pdu.source),
        to: party(&pdu.destination),
        data,
        part,
    }
}

/// Reads a `data_sm`.
pub(crate) fn of_data(pdu: &DataSm, default: Charset) -> Written {
    let none = Bytes::new();
    let payload = pdu.tlvs.message_payload().unwrap_or(&none);
    let (data, part) = body(pdu.esm_class, pdu.data_coding, payload, &pdu.tlvs, default);
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
    default: Charset,
) -> (UserData, Option<Part>) {
    let headed = if esm_class.has_udhi() {
        udh::read(payload)
    } else {
        udh::Headed::none(payload)
    };
    let sar = || {
        let sar = tlvs.sar()?;
        Part::new(Reference::Sar, sar.reference, sar.total, sar.seqnum)
    };
    // Some carriers write the parameter with 0 into every message.
    let port = tlvs.dest_port().filter(|port| *port != 0);
    let data = UserData::new(Charset::of(coding.0, default), &headed, port);
    (data, headed.part.or_else(sar))
}

#[cfg(test)]
mod tests;
