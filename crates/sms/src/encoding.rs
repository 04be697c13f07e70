//! How one carrier takes texts: in which characters a text goes out, and where it is cut.
//!
//! The same value counts a text when it is accepted and cuts it when it is sent, so what is billed is what is sent.

use smallvec::{SmallVec, smallvec};

use crate::alphabet::{self, Alphabet};
use crate::segment::{self, Reference, TooLong};

/// Octets of user data in one short message (3GPP TS 23.040 section 9.2.3.24).
const OCTETS_MAX: usize = 140;

/// The characters a carrier takes texts in as long as they hold the text; UCS-2 takes the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Preferred {
    /// The GSM 7-bit alphabet, for `data_coding` 0: nearly every SMSC.
    #[default]
    Gsm7,
    /// ASCII, where that is what `data_coding` 0 means. The SMSC makes septets of it, so texts of the GSM alphabet are
    /// cut as it will cut them: 160 septets alone, 152 or 153 a part.
    AsciiByDefault,
    /// Latin-1, where that is what `data_coding` 0 means. Texts of the GSM alphabet are cut as those in ASCII, texts
    /// with other letters as [`Latin1`](Self::Latin1).
    Latin1ByDefault,
    /// Latin-1 under `data_coding` 3, an octet a character: 140 alone, 133 or 134 a part.
    Latin1,
    /// UCS-2 always.
    Ucs2,
}

/// The characters a text goes out in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Charset {
    /// GSM 7-bit, a septet an octet.
    Gsm7,
    /// ASCII.
    Ascii,
    /// ISO 8859-1.
    Latin1,
    /// UTF-16 big-endian.
    Ucs2,
}

/// What decides the parts of a text at one carrier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Encoding {
    /// In which characters it takes texts.
    pub preferred: Preferred,
    /// How it ties parts together, and so what a part has room for.
    pub reference: Reference,
}

/// A text cut into the parts of one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// The characters of every part.
    pub charset: Charset,
    /// The user data of each part in order, without header; GSM septets are not packed. At least one; an empty text is
    /// one empty part.
    pub parts: SmallVec<[Vec<u8>; 1]>,
}

/// What a text is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    /// Septets over the air: a character of the extension table takes two.
    Septet,
    Octet,
    Utf16,
}

impl Encoding {
    /// Cuts `text` into its parts.
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
        // Both are the first code points of Unicode: an octet a character.
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

    /// How many parts [`Self::cut`] would make, without making them: 1 to [`segment::PARTS_MAX`].
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

    /// For a preference beside GSM 7-bit.
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
            // What ASCII has and GSM has not (the grave accent) becomes some one character.
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
