//! How texts are encoded for one carrier: the characters, and where a text is split.
//!
//! The same value counts the parts when a message is accepted and splits the text when it is sent, so the billed parts
//! are those that are sent.

use smallvec::{SmallVec, smallvec};

use crate::alphabet::{self, Alphabet};
use crate::segment::{self, Reference, TooLong};

/// Octets of user data in one short message (3GPP TS 23.040 section 9.2.3.24).
const OCTETS_MAX: usize = 140;

/// The characters that a carrier takes for texts that they can encode; other texts are UCS-2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Preferred {
    /// The GSM 7-bit alphabet, for `data_coding` 0: nearly every SMSC.
    #[default]
    Gsm7,
    /// ASCII, if that is what `data_coding` 0 means. The SMSC converts it to septets, so texts of the GSM alphabet are
    /// split as it will split them: 160 septets alone, 152 or 153 per part.
    AsciiByDefault,
    /// Latin-1, if that is what `data_coding` 0 means. Texts of the GSM alphabet are split as those in ASCII, texts
    /// with other letters as [`Latin1`](Self::Latin1).
    Latin1ByDefault,
    /// Latin-1 under `data_coding` 3, one octet per character: 140 alone, 133 or 134 per part.
    Latin1,
    /// UCS-2 always.
    Ucs2,
}

/// The characters of an encoded text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Charset {
    /// GSM 7-bit, one septet per octet.
    Gsm7,
    /// ASCII.
    Ascii,
    /// ISO 8859-1.
    Latin1,
    /// UTF-16 big-endian.
    Ucs2,
}

/// What determines the parts of a text at one carrier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Encoding {
    /// The characters that the carrier takes.
    pub preferred: Preferred,
    /// How the carrier joins parts, which determines the room in a part.
    pub reference: Reference,
}

/// A text split into the parts of one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// The characters of every part.
    pub charset: Charset,
    /// The user data of each part in order, without header; GSM septets are not packed. At least one; an empty text is
    /// one empty part.
    pub parts: SmallVec<[Vec<u8>; 1]>,
}

/// The unit in which a text is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    /// Septets over the air: a character of the extension table has two.
    Septet,
    Octet,
    Utf16,
}

impl Encoding {
    /// Splits `text` into its parts.
    ///
    /// # Errors
    /// [`TooLong`] if it takes more than [`segment::PARTS_MAX`] parts.
    pub fn cut(self, text: &str) -> Result<Encoded, TooLong> {
        if self.preferred == Preferred::Gsm7 {
            let cut = segment::segments(text, self.reference)?;
            return Ok(Encoded {
                charset: match cut.alphabet {
                    Alphabet::Gsm7 => Charset::Gsm7,
                    Alphabet::Ucs2 => Charset::Ucs2,
                },
                parts: cut.parts,
            });
        }
        let (charset, unit) = self.shape(text);
        if charset == Charset::Ucs2 {
            let cut = segment::segments_ucs2(text, self.reference)?;
            return Ok(Encoded {
                charset,
                parts: cut.parts,
            });
        }
        // Both are the first code points of Unicode: one octet per character.
        let encode = |part: &str| alphabet::encode_latin1(part).unwrap_or_default();
        let cost = |character| unit.cost(character);
        if text.chars().map(cost).sum::<usize>() <= unit.single_max() {
            return Ok(Encoded {
                charset,
                parts: smallvec![encode(text)],
            });
        }
        let parts = segment::cut_by(text, unit.part_max(self.reference), cost);
        segment::within_max(parts.len())?;
        Ok(Encoded {
            charset,
            parts: parts.into_iter().map(encode).collect(),
        })
    }

    /// The number of parts of [`Self::cut`], without creating them: 1 to [`segment::PARTS_MAX`].
    ///
    /// # Errors
    /// [`TooLong`] if there would be more.
    pub fn count(self, text: &str) -> Result<u16, TooLong> {
        if self.preferred == Preferred::Gsm7 {
            return segment::count(text, self.reference);
        }
        let (_, unit) = self.shape(text);
        let units: usize = text.chars().map(|character| unit.cost(character)).sum();
        if units <= unit.single_max() {
            return Ok(1);
        }
        let units_max = unit.part_max(self.reference);
        segment::within_max(segment::count_by(text, units_max, |character| {
            unit.cost(character)
        }))
    }

    /// For preferences other than GSM 7-bit.
    fn shape(self, text: &str) -> (Charset, Unit) {
        let is_gsm7 = || alphabet::septets(text).is_some();
        let is_latin1 = || text.chars().all(|character| u32::from(character) <= 0xFF);
        match self.preferred {
            Preferred::AsciiByDefault if text.is_ascii() => (Charset::Ascii, Unit::Septet),
            Preferred::Latin1ByDefault if is_latin1() && is_gsm7() => (Charset::Latin1, Unit::Septet),
            Preferred::Latin1ByDefault | Preferred::Latin1 if is_latin1() => (Charset::Latin1, Unit::Octet),
            _ => (Charset::Ucs2, Unit::Utf16),
        }
    }
}

impl Unit {
    fn cost(self, character: char) -> usize {
        match self {
            // An ASCII character outside the GSM alphabet (the grave accent) becomes one other character.
            Self::Septet => alphabet::septets_of(character).unwrap_or(1),
            Self::Octet => 1,
            Self::Utf16 => character.len_utf16(),
        }
    }

    const fn single_max(self) -> usize {
        match self {
            Self::Septet => segment::single_units_max(Alphabet::Gsm7),
            Self::Octet => OCTETS_MAX,
            Self::Utf16 => segment::single_units_max(Alphabet::Ucs2),
        }
    }

    const fn part_max(self, reference: Reference) -> usize {
        match self {
            Self::Septet => reference.part_units_max(Alphabet::Gsm7),
            Self::Octet => OCTETS_MAX - reference.header_octets(),
            Self::Utf16 => reference.part_units_max(Alphabet::Ucs2),
        }
    }
}

#[cfg(test)]
mod tests;
