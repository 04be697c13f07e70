//! User data headers of inbound messages: the part of a long message, the national tables, and the application port (TS
//! 23.040 §9.2.3.24).

use crate::alphabet::national::{Language, Shifts};
use crate::segment::Reference;

/// The position of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Part {
    /// The kind of the reference: references of two kinds with the same value are different messages.
    pub kind: Reference,
    /// The reference of all parts of the message.
    pub reference: u16,
    /// The number of the part, 1..=`total`.
    pub number: u8,
    /// The number of parts, at least 2.
    pub total: u8,
}

impl Part {
    /// The part with these values of a header or of parameters; `None` if they are not one of several parts: a total of
    /// 0 or 1, a number of 0 or above the total.
    #[must_use]
    pub fn new(kind: Reference, reference: u16, total: u8, number: u8) -> Option<Self> {
        (total > 1 && (1..=total).contains(&number)).then_some(Self {
            kind,
            reference,
            number,
            total,
        })
    }
}

/// The contents of a payload with a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Headed<'a> {
    /// The part, if the header has one.
    pub part: Option<Part>,
    /// The national tables in the header.
    pub shifts: Shifts,
    /// The port of the application (§9.2.3.24.3 and §9.2.3.24.4), if the message is not for a person.
    pub port: Option<u16>,
    /// Octets of the header, its length octet included.
    pub header_len: usize,
    /// What follows the header.
    pub text: &'a [u8],
}

impl<'a> Headed<'a> {
    /// A payload without a header.
    #[must_use]
    pub const fn none(payload: &'a [u8]) -> Self {
        Self {
            part: None,
            shifts: Shifts::NONE,
            port: None,
            header_len: 0,
            text: payload,
        }
    }
}

/// Information elements with a reference of 8 and of 16 bits.
const CONCAT_8: u8 = 0x00;
const CONCAT_16: u8 = 0x08;
/// Application ports of 8 and of 16 bits: destination, then originator.
const PORTS_8: u8 = 0x04;
const PORTS_16: u8 = 0x05;
/// National language tables, one octet each (§9.2.3.24.15 and §9.2.3.24.16).
const SINGLE_SHIFT: u8 = 0x24;
const LOCKING_SHIFT: u8 = 0x25;

/// Reads the header in front of a payload. A header that is longer than the payload is ignored: all of the payload is
/// text, so that a carrier that sets the indicator by mistake does not lose the message. Unknown elements are skipped.
#[must_use]
pub fn read(payload: &[u8]) -> Headed<'_> {
    let none = Headed::none(payload);
    let Some((&len, after)) = payload.split_first() else {
        return none;
    };
    let Some((mut elements, text)) = after.split_at_checked(usize::from(len)) else {
        return none;
    };
    let mut headed = Headed {
        header_len: usize::from(len) + 1,
        text,
        ..none
    };
    while let [id, len, rest @ ..] = elements {
        let Some((value, next)) = rest.split_at_checked(usize::from(*len)) else {
            break;
        };
        match (*id, value) {
            (CONCAT_8, &[reference, total, number]) => {
                headed.part = Part::new(Reference::Bits8, u16::from(reference), total, number);
            }
            (CONCAT_16, &[high, low, total, number]) => {
                let reference = u16::from_be_bytes([high, low]);
                headed.part = Part::new(Reference::Bits16, reference, total, number);
            }
            (PORTS_8, &[destination, _]) => headed.port = Some(u16::from(destination)),
            (PORTS_16, &[high, low, _, _]) => headed.port = Some(u16::from_be_bytes([high, low])),
            (SINGLE_SHIFT, &[language]) => headed.shifts.single = Language::from_identifier(language),
            (LOCKING_SHIFT, &[language]) => headed.shifts.locking = Language::from_identifier(language),
            _ => {}
        }
        elements = next;
    }
    headed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::udh;
    use proptest::prelude::*;

    #[test]
    fn other_elements_are_passed_over() {
        // Port addressing (5) before the reference.
        let payload = [11, 5, 4, 0x23, 0xf4, 0, 0, 0, 3, 7, 2, 1, b'x'];
        let read = read(&payload);
        assert_eq!(
            (read.part, read.header_len),
            (Part::new(Reference::Bits8, 7, 2, 1), 12)
        );
        assert_eq!((read.port, read.text), (Some(0x23f4), &b"x"[..]));
    }

    #[test]
    fn national_tables_and_ports_are_named() {
        let payload = [12, 0x24, 1, 1, 0x25, 1, 13, 4, 2, 200, 201, 0x24, 0, b'x'];
        let read = read(&payload);
        let shifts = Shifts {
            locking: Some(Language::Urdu),
            single: Some(Language::Turkish),
        };
        assert_eq!(
            (read.shifts, read.port, read.text),
            (shifts, Some(200), &b"x"[..])
        );
        assert_eq!(
            super::read(&[3, 0x24, 1, 99, b'x']).shifts,
            Shifts::NONE,
            "a reserved language"
        );
    }

    #[test]
    fn a_header_longer_than_the_payload_is_text() {
        for payload in [&[][..], &[1], &[200, 0, 3, 1, 2, 1]] {
            assert_eq!((read(payload).part, read(payload).text), (None, payload));
        }
    }

    #[test]
    fn one_part_alone_is_no_part() {
        assert_eq!(read(&[5, 0, 3, 9, 1, 1, b'x']).part, None);
        assert_eq!(read(&[5, 0, 3, 9, 2, 0, b'x']).part, None);
        assert_eq!(read(&[5, 0, 3, 9, 2, 3, b'x']).part, None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(number: u16, total in 2u8.., at in 0u8.., text: Vec<u8>, wide: bool) {
            let seq = at % total + 1;
            let reference = if wide { Reference::Bits16 } else { Reference::Bits8 };
            let header = udh(reference, number, total, seq);
            let payload: Vec<u8> = header.iter().copied().chain(text.iter().copied()).collect();
            let read = read(&payload);
            let number = if wide { number } else { number & 0xff };
            prop_assert_eq!(read.part, Part::new(reference, number, total, seq));
            prop_assert_eq!(read.text, &text[..]);
        }

        #[test]
        fn any_octets_are_survived(payload: Vec<u8>) {
            let read = read(&payload);
            prop_assert!(read.header_len + read.text.len() == payload.len());
        }
    }
}
