//! Cutting a text into the parts of a concatenated message.
//!
//! One part carries 140 octets of user data: 160 septets or 70 UTF-16 units. Parts of a longer text each give some of
//! that to the header that joins them again (3GPP TS 23.040 §9.2.3.24). A cut never falls into an escape pair or a
//! surrogate pair.

use std::ops::Deref;

use smallvec::{SmallVec, smallvec};

use crate::alphabet::{self, Alphabet};

/// Parts one message can have: the header counts them in one octet, from 1.
pub const PARTS_MAX: u8 = 255;

/// How the parts of one message name each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Reference {
    /// A user data header with a 16-bit reference (TS 23.040 §9.2.3.24.8), 7 octets: 152 septets or 66 units a part.
    /// The default: an 8-bit reference comes round after 256 messages to one number, and parts get mixed.
    #[default]
    Bits16,
    /// A user data header with an 8-bit reference (§9.2.3.24.1), 6 octets: 153 septets or 67 units a part.
    Bits8,
    /// No header from us: the SMSC is told by the `sar_*` parameters and writes its own. Most write the 8-bit one,
    /// so parts are cut at 153 septets or 67 units to leave it room.
    Sar,
}

impl Reference {
    /// Units (septets or UTF-16 units) that one of several parts holds.
    #[must_use]
    pub const fn part_units_max(self, alphabet: Alphabet) -> usize {
        match (self, alphabet) {
            (Self::Bits16, Alphabet::Gsm7) => 152,
            (Self::Bits16, Alphabet::Ucs2) => 66,
            (Self::Bits8 | Self::Sar, Alphabet::Gsm7) => 153,
            (Self::Bits8 | Self::Sar, Alphabet::Ucs2) => 67,
        }
    }
}

/// Units (septets or UTF-16 units) that a text may have to go out as one part without a header.
#[must_use]
pub const fn single_units_max(alphabet: Alphabet) -> usize {
    match alphabet {
        Alphabet::Gsm7 => 160,
        Alphabet::Ucs2 => 70,
    }
}

/// The text would need more than [`PARTS_MAX`] parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the text needs {parts} parts; a message has at most {PARTS_MAX}")]
pub struct TooLong {
    /// Parts it would need.
    pub parts: usize,
}

/// A text made ready to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segmented {
    /// The alphabet of every part.
    pub alphabet: Alphabet,
    /// The user data of each part in order, without its header: unpacked septets or UTF-16 big-endian octets.
    /// At least one; an empty text is one empty part.
    pub parts: SmallVec<[Vec<u8>; 1]>,
}

/// Cuts `text` into parts.
///
/// # Errors
/// [`TooLong`] if it takes more than [`PARTS_MAX`] parts.
pub fn segments(text: &str, reference: Reference) -> Result<Segmented, TooLong> {
    let Measure { alphabet, units } = measure(text);
    if units <= single_units_max(alphabet) {
        return Ok(Segmented {
            alphabet,
            parts: smallvec![encode(text, alphabet)],
        });
    }
    let parts_needed = count_parts(text, alphabet, reference)?;
    let mut parts = SmallVec::with_capacity(usize::from(parts_needed));
    let units_max = reference.part_units_max(alphabet);
    let mut rest = text;
    while !rest.is_empty() {
        let (part, behind) = rest.split_at(fitting(rest, alphabet, units_max));
        parts.push(encode(part, alphabet));
        rest = behind;
    }
    Ok(Segmented { alphabet, parts })
}

/// How many parts [`segments`] would make.
///
/// # Errors
/// [`TooLong`] if it takes more than [`PARTS_MAX`] parts.
pub fn count(text: &str, reference: Reference) -> Result<u16, TooLong> {
    let Measure { alphabet, units } = measure(text);
    if units <= single_units_max(alphabet) {
        return Ok(1);
    }
    count_parts(text, alphabet, reference)
}

/// Parts that a customer pays for: 160 septets or 70 units, beyond that 153 or 67 a part, whatever reference the
/// route uses. Plain division, as customers check it; a cut that spares a pair is not charged. Saturates.
#[must_use]
pub fn billed_count(text: &str) -> u16 {
    let Measure { alphabet, units } = measure(text);
    if units <= single_units_max(alphabet) {
        return 1;
    }
    let parts = units.div_ceil(Reference::Bits8.part_units_max(alphabet));
    u16::try_from(parts).unwrap_or(u16::MAX)
}

struct Measure {
    alphabet: Alphabet,
    units: usize,
}

fn measure(text: &str) -> Measure {
    match alphabet::septets(text) {
        Some(units) => Measure {
            alphabet: Alphabet::Gsm7,
            units,
        },
        None => Measure {
            alphabet: Alphabet::Ucs2,
            units: text.encode_utf16().count(),
        },
    }
}

fn encode(text: &str, alphabet: Alphabet) -> Vec<u8> {
    match alphabet {
        Alphabet::Gsm7 => alphabet::encode_gsm7(text).unwrap_or_default(),
        Alphabet::Ucs2 => alphabet::encode_ucs2(text),
    }
}

/// Units of one character, which a cut must keep together.
fn units_of(character: char, alphabet: Alphabet) -> usize {
    match alphabet {
        Alphabet::Gsm7 => alphabet::septets_of(character).unwrap_or(1),
        Alphabet::Ucs2 => character.len_utf16(),
    }
}

/// Octets (of UTF-8) at the start of `text` that make at most `units_max` units.
fn fitting(text: &str, alphabet: Alphabet, units_max: usize) -> usize {
    let mut units = 0;
    for (at, character) in text.char_indices() {
        units += units_of(character, alphabet);
        if units > units_max {
            return at;
        }
    }
    text.len()
}

fn count_parts(text: &str, alphabet: Alphabet, reference: Reference) -> Result<u16, TooLong> {
    let units_max = reference.part_units_max(alphabet);
    let mut parts: usize = 1;
    let mut units = 0;
    for character in text.chars() {
        let more = units_of(character, alphabet);
        units += more;
        if units > units_max {
            parts += 1;
            units = more;
        }
    }
    match u8::try_from(parts) {
        Ok(parts) => Ok(u16::from(parts)),
        Err(_) => Err(TooLong { parts }),
    }
}

/// A user data header of at most 7 octets; reads as a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Udh {
    octets: [u8; 7],
    len: u8,
}

impl Deref for Udh {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.octets.get(..usize::from(self.len)).unwrap_or_default()
    }
}

/// The concatenation header of part `seq` (from 1) of `total`, with its length octet (TS 23.040 §9.2.3.24).
/// An 8-bit reference takes the low octet of `number`; for [`Reference::Sar`] the header is empty.
#[must_use]
pub const fn udh(reference: Reference, number: u16, total: u8, seq: u8) -> Udh {
    let [high, low] = number.to_be_bytes();
    match reference {
        Reference::Bits16 => Udh {
            octets: [6, 8, 4, high, low, total, seq],
            len: 7,
        },
        Reference::Bits8 => Udh {
            octets: [5, 0, 3, low, total, seq, 0],
            len: 6,
        },
        Reference::Sar => Udh {
            octets: [0; 7],
            len: 0,
        },
    }
}
