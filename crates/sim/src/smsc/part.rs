//! Which part of which message a `submit_sm` is, and how to count it.

use serde::{Deserialize, Serialize};
use smpp::pdu::SubmitSm;

use crate::seed::mix;

/// Which part of a long message something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Part {
    /// The same in all parts of one message.
    pub reference: u16,
    /// How many parts there are.
    pub total: u8,
    /// Which one this is, from 1.
    pub number: u8,
}

/// The key by which messages are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CountBy {
    /// Recipient and text. Parts of a long message count for themselves.
    #[default]
    DestinationAndText,
    /// Recipient alone, for drivers that never use a number twice. Only first parts count.
    Destination,
    /// Recipient and part, for drivers that never use a number twice: each part counts for itself, the first under the
    /// recipient's number, and the parts of a message are joined ([`super::SmscHandle::joined`]).
    DestinationAndPart,
    /// The first number of 6 to 19 digits in the text, for drivers that number their texts. Only first parts count;
    /// texts without such a number count as one.
    NumberInText,
}

/// A message taken apart.
pub(super) struct Anatomy<'a> {
    pub(super) part: Option<Part>,
    /// The text without its header.
    pub(super) text: &'a [u8],
}

impl<'a> Anatomy<'a> {
    pub(super) fn of(pdu: &'a SubmitSm) -> Self {
        let payload = pdu.payload();
        if pdu.esm_class.has_udhi()
            && let Some((header, text)) = split_header(payload)
        {
            return Self {
                part: concatenation(header),
                text,
            };
        }
        let part = pdu.tlvs.sar().map(|sar| Part {
            reference: sar.reference,
            total: sar.total,
            number: sar.seqnum,
        });
        Self { part, text: payload }
    }

    /// What the message counts as; `None` if it does not count for itself.
    pub(super) fn key(&self, count_by: CountBy, destination: &[u8]) -> Option<u64> {
        let first = self.part.is_none_or(|part| part.number == 1);
        match count_by {
            CountBy::DestinationAndText => Some(key_of(destination, self.text)),
            CountBy::Destination => first.then(|| key_of_number(destination)),
            CountBy::DestinationAndPart => {
                let number = self
                    .part
                    .map_or(0, |part| u64::from(part.number.saturating_sub(1)));
                Some(key_of_number(destination) ^ number << PART_SHIFT)
            }
            CountBy::NumberInText => first.then(|| number_in(self.text)),
        }
    }
}

/// Where the part stands in a key: no number of E.164 reaches so far.
const PART_SHIFT: u32 = 56;

/// What a text to a recipient counts as under [`CountBy::DestinationAndText`]: `text` as on the wire, without header.
#[must_use]
pub fn key_of(destination: &[u8], text: &[u8]) -> u64 {
    let number = key_of_number(destination);
    text.chunks(8)
        .fold(mix(number ^ text.len() as u64), |sum, chunk| {
            let mut octets = [0; 8];
            for (octet, from) in octets.iter_mut().zip(chunk) {
                *octet = *from;
            }
            mix(sum ^ u64::from_le_bytes(octets))
        })
}

/// What a recipient counts as under [`CountBy::Destination`]: the digits of the number as an integer.
#[must_use]
pub fn key_of_number(destination: &[u8]) -> u64 {
    let digits = destination.iter().filter(|octet| octet.is_ascii_digit());
    digits.fold(0, |sum, digit| {
        sum.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'))
    })
}

fn number_in(text: &[u8]) -> u64 {
    let runs = text.split(|octet| !octet.is_ascii_digit());
    runs.into_iter()
        .find(|run| (6..=19).contains(&run.len()))
        .map_or(0, key_of_number)
}

/// The user data header without its length octet, and what follows (TS 23.040 §9.2.3.24).
fn split_header(payload: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = payload.split_first()?;
    rest.split_at_checked(usize::from(*length))
}

/// The concatenation element of a header, with an 8-bit reference (0x00) or a 16-bit one (0x08).
fn concatenation(mut header: &[u8]) -> Option<Part> {
    while let Some(([identifier, length], rest)) = header.split_first_chunk::<2>() {
        let (data, rest) = rest.split_at_checked(usize::from(*length))?;
        match (identifier, data) {
            (0x00, [reference, total, number]) => {
                return Some(Part {
                    reference: u16::from(*reference),
                    total: *total,
                    number: *number,
                });
            }
            (0x08, [high, low, total, number]) => {
                let reference = u16::from_be_bytes([*high, *low]);
                return Some(Part {
                    reference,
                    total: *total,
                    number: *number,
                });
            }
            _ => header = rest,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use smpp::field::EsmClass;

    fn submit(esm_class: EsmClass, payload: &'static [u8]) -> SubmitSm {
        SubmitSm {
            esm_class,
            short_message: payload.into(),
            ..SubmitSm::default()
        }
    }

    #[test]
    fn parts_are_read_from_both_headers_and_from_parameters() {
        let part = |reference| {
            Some(Part {
                reference,
                total: 3,
                number: 2,
            })
        };
        let bits8 = submit(EsmClass::UDHI, &[5, 0, 3, 7, 3, 2, b'h', b'i']);
        assert_eq!(Anatomy::of(&bits8).part, part(7));
        assert_eq!(Anatomy::of(&bits8).text, b"hi");
        let bits16 = submit(EsmClass::UDHI, &[8, 0x24, 0, 0x08, 4, 1, 0, 3, 2]);
        assert_eq!(Anatomy::of(&bits16).part, part(256));
        let mut sar = submit(EsmClass::DEFAULT, b"hi");
        sar.tlvs.set_sar(smpp::tlv::Sar {
            reference: 9,
            total: 3,
            seqnum: 2,
        });
        assert_eq!(Anatomy::of(&sar).part, part(9));
        assert_eq!(Anatomy::of(&submit(EsmClass::DEFAULT, b"\x05\x00hi")).part, None);
        assert_eq!(
            Anatomy::of(&submit(EsmClass::UDHI, b"\x09hi")).part,
            None,
            "a header that leads out"
        );
    }

    #[test]
    fn a_part_sent_again_under_another_reference_counts_as_the_same() {
        let once = submit(EsmClass::UDHI, &[5, 0, 3, 7, 3, 2, b'h', b'i']);
        let again = submit(EsmClass::UDHI, &[5, 0, 3, 8, 3, 2, b'h', b'i']);
        let key = |pdu: &SubmitSm| Anatomy::of(pdu).key(CountBy::DestinationAndText, b"447700900123");
        assert_eq!(key(&once), key(&again));
        assert_ne!(key(&once), Some(key_of(b"447700900124", b"hi")));
    }

    #[test]
    fn only_first_parts_count_when_the_text_does_not() {
        let second = submit(EsmClass::UDHI, &[5, 0, 3, 7, 3, 2, b'h', b'i']);
        assert_eq!(
            Anatomy::of(&second).key(CountBy::Destination, b"447700900123"),
            None
        );
        let whole = submit(EsmClass::DEFAULT, b"Your code is 12345678, for 2 minutes");
        let key = |count_by| Anatomy::of(&whole).key(count_by, b"+447700900123");
        assert_eq!(key(CountBy::Destination), Some(447_700_900_123));
        assert_eq!(key(CountBy::NumberInText), Some(12_345_678));
    }
}
