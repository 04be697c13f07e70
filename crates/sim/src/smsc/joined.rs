//! Long messages put together as a handset does, for drivers that never use a number twice.

use smpp::field::DataCoding;
use sms::alphabet;

use super::part::Anatomy;

/// What the parts that were taken for one number came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// Parts the message has.
    pub total: u8,
    /// Of these, parts that were never taken.
    pub missing: u8,
    /// Parts that were taken though the same part had been taken before.
    pub repeated: u32,
    /// Parts that did not fit the first one: another reference, another number of parts, another alphabet, or another text
    /// in the same place. A handset would show two messages, or a wrong one.
    pub mismatched: u32,
    /// The whole text; `None` while a part is missing.
    pub text: Option<String>,
}

/// A message that has some of its parts and lacks others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partly {
    /// Whom it is to.
    pub number: u64,
    /// Parts that were taken.
    pub taken: usize,
    /// Parts that were not, so far.
    pub missing: usize,
}

/// The parts of the message to one number.
#[derive(Debug)]
pub(super) struct Assembly {
    reference: u16,
    data_coding: DataCoding,
    parts: Vec<Option<Box<[u8]>>>,
    repeated: u32,
    mismatched: u32,
}

impl Assembly {
    /// Of a message whose first taken part is this one.
    pub(super) fn new(anatomy: &Anatomy<'_>, data_coding: DataCoding) -> Self {
        let total = anatomy.part.map_or(1, |part| part.total.max(1));
        let mut assembly = Self {
            reference: anatomy.part.map_or(0, |part| part.reference),
            data_coding,
            parts: vec![None; usize::from(total)],
            repeated: 0,
            mismatched: 0,
        };
        assembly.put(anatomy);
        assembly
    }

    /// Another part was taken for the same number.
    pub(super) fn add(&mut self, anatomy: &Anatomy<'_>, data_coding: DataCoding) {
        let total = anatomy.part.map_or(1, |part| usize::from(part.total.max(1)));
        let reference = anatomy.part.map_or(0, |part| part.reference);
        if (reference, total, data_coding) != (self.reference, self.parts.len(), self.data_coding) {
            self.mismatched += 1;
            return;
        }
        self.put(anatomy);
    }

    fn put(&mut self, anatomy: &Anatomy<'_>) {
        let at = anatomy
            .part
            .map_or(0, |part| usize::from(part.number).wrapping_sub(1));
        match self.parts.get_mut(at) {
            None => self.mismatched += 1,
            Some(Some(known)) if **known == *anatomy.text => self.repeated += 1,
            Some(Some(_)) => self.mismatched += 1,
            Some(place) => *place = Some(anatomy.text.into()),
        }
    }

    pub(super) fn is_whole(&self) -> bool {
        self.missing() == 0
    }

    /// Parts that were never taken.
    fn missing(&self) -> usize {
        self.parts.iter().filter(|part| part.is_none()).count()
    }

    /// `None` if it is whole.
    pub(super) fn partly(&self, number: u64) -> Option<Partly> {
        let missing = self.missing();
        let partly = Partly {
            number,
            taken: self.parts.len() - missing,
            missing,
        };
        (missing > 0).then_some(partly)
    }

    pub(super) fn joined(&self) -> Joined {
        let missing = self.missing();
        let text = (missing == 0).then(|| {
            let octets: Vec<u8> = self
                .parts
                .iter()
                .flatten()
                .flat_map(|part| part.iter().copied())
                .collect();
            match self.data_coding {
                DataCoding::UCS2 => alphabet::decode_ucs2(&octets),
                DataCoding::LATIN1 => alphabet::decode_latin1(&octets),
                _ => alphabet::decode_gsm7(&octets),
            }
        });
        Joined {
            total: u8::try_from(self.parts.len()).unwrap_or(u8::MAX),
            missing: u8::try_from(missing).unwrap_or(u8::MAX),
            repeated: self.repeated,
            mismatched: self.mismatched,
            text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smsc::part::Part;

    fn part(reference: u16, total: u8, number: u8, text: &'static [u8]) -> Anatomy<'static> {
        Anatomy {
            part: Some(Part {
                reference,
                total,
                number,
            }),
            text,
        }
    }

    #[test]
    fn parts_in_any_order_make_one_text_and_repeats_are_counted() {
        let coding = DataCoding::DEFAULT;
        let mut assembly = Assembly::new(&part(7, 3, 2, b" and "), coding);
        assembly.add(&part(7, 3, 3, b"two"), coding);
        let partly = Partly {
            number: 9,
            taken: 2,
            missing: 1,
        };
        assert_eq!(assembly.partly(9), Some(partly));
        assert_eq!((assembly.joined().missing, assembly.joined().text), (1, None));
        assembly.add(&part(7, 3, 3, b"two"), coding);
        assembly.add(&part(7, 3, 1, b"one"), coding);
        assert!(assembly.is_whole() && assembly.partly(9).is_none());
        let joined = assembly.joined();
        assert_eq!(joined.text.as_deref(), Some("one and two"));
        assert_eq!((joined.total, joined.repeated, joined.mismatched), (3, 1, 0));
    }

    #[test]
    fn what_a_handset_could_not_join_is_counted() {
        let coding = DataCoding::DEFAULT;
        let mut assembly = Assembly::new(&part(7, 2, 1, b"one"), coding);
        assembly.add(&part(8, 2, 2, b"two"), coding);
        assembly.add(&part(7, 3, 2, b"two"), coding);
        assembly.add(&part(7, 2, 1, b"uno"), coding);
        assembly.add(&part(7, 2, 2, b"two"), DataCoding::UCS2);
        let joined = assembly.joined();
        assert_eq!((joined.mismatched, joined.missing), (4, 1));
    }

    #[test]
    fn a_character_cut_in_two_is_whole_again() {
        let coding = DataCoding::UCS2;
        let mut assembly = Assembly::new(&part(1, 2, 1, &[0x4F]), coding);
        assembly.add(&part(1, 2, 2, &[0x60]), coding);
        assert_eq!(assembly.joined().text.as_deref(), Some("\u{4F60}"));
    }
}
