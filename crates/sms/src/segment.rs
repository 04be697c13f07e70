//! Splits a text into the parts of a concatenated message.
//!
//! One part has 140 octets of user data: 160 septets or 70 UTF-16 units. The parts of a longer text use some of that
//! for the header that joins them again (3GPP TS 23.040 §9.2.3.24). A text is never split inside an escape pair or a
//! surrogate pair.

use std::ops::Deref;

use smallvec::{SmallVec, smallvec};

use crate::alphabet::{self, Alphabet, ESCAPE};

/// Parts one message can have: the header counts them in one octet, from 1.
pub const PARTS_MAX: u8 = 255;

/// How the parts of one message refer to each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Reference {
    /// A user data header with a 16-bit reference (TS 23.040 §9.2.3.24.8), 7 octets: 152 septets or 66 units per part.
    /// The default: an 8-bit reference repeats after 256 messages to one number, and parts get mixed up.
    #[default]
    Bits16,
    /// A user data header with an 8-bit reference (§9.2.3.24.1), 6 octets: 153 septets or 67 units per part.
    Bits8,
    /// The `sar_*` parameters instead of a header; the SMSC writes its own header. Most write the 8-bit one, so parts
    /// are split at 153 septets or 67 units to leave room for it.
    Sar,
}

impl Reference {
    /// Units (septets or UTF-16 units) of one of several parts.
    #[must_use]
    pub const fn part_units_max(self, alphabet: Alphabet) -> usize {
        match (self, alphabet) {
            (Self::Bits16, Alphabet::Gsm7) => 152,
            (Self::Bits16, Alphabet::Ucs2) => 66,
            (Self::Bits8 | Self::Sar, Alphabet::Gsm7) => 153,
            (Self::Bits8 | Self::Sar, Alphabet::Ucs2) => 67,
        }
    }

    /// Octets of the concatenation header in a part. With SAR parameters the SMSC writes it; most write the 8-bit one.
    #[must_use]
    pub const fn header_octets(self) -> usize {
        match self {
            Self::Bits16 => 7,
            Self::Bits8 | Self::Sar => 6,
        }
    }
}

/// Most units (septets or UTF-16 units) of a text in one part without a header.
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
    /// The number of parts it would need.
    pub parts: usize,
}

/// A text in parts, ready to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segmented {
    /// The alphabet of every part.
    pub alphabet: Alphabet,
    /// The user data of each part in order, without its header: unpacked septets or UTF-16 big-endian octets.
    /// At least one; an empty text is one empty part.
    pub parts: SmallVec<[Vec<u8>; 1]>,
}

/// Splits `text` into parts in its cheapest alphabet.
///
/// # Errors
/// [`TooLong`] if it takes more than [`PARTS_MAX`] parts.
pub fn segments(text: &str, reference: Reference) -> Result<Segmented, TooLong> {
    let alphabet = Alphabet::Gsm7;
    let Some(septets) = alphabet::encode_gsm7(text) else {
        return segments_ucs2(text, reference);
    };
    if septets.len() <= single_units_max(alphabet) {
        return Ok(Segmented {
            alphabet,
            parts: smallvec![septets],
        });
    }
    let cut = cut_septets(&septets, reference.part_units_max(alphabet));
    within_max(cut.len())?;
    Ok(Segmented {
        alphabet,
        parts: cut.into_iter().map(<[u8]>::to_vec).collect(),
    })
}

/// Splits `text` into UCS-2 parts, even if GSM-7 could encode it: for carriers that take nothing else.
///
/// # Errors
/// [`TooLong`] if it takes more than [`PARTS_MAX`] parts.
pub fn segments_ucs2(text: &str, reference: Reference) -> Result<Segmented, TooLong> {
    let alphabet = Alphabet::Ucs2;
    if utf16_units(text) <= single_units_max(alphabet) {
        return Ok(Segmented {
            alphabet,
            parts: smallvec![alphabet::encode_ucs2(text)],
        });
    }
    let units_max = reference.part_units_max(alphabet);
    let fewest = cut_text(text, |rest| fitting(rest, units_max));
    within_max(fewest.len())?;
    let whole = cut_text(text, |rest| fitting_clusters(rest, units_max));
    // An emoji is kept in one part only if that costs no further part.
    let cut = if whole.len() == fewest.len() {
        whole
    } else {
        fewest
    };
    Ok(Segmented {
        alphabet,
        parts: cut.into_iter().map(alphabet::encode_ucs2).collect(),
    })
}

/// The number of parts of [`segments`], without creating them.
///
/// # Errors
/// [`TooLong`] if it takes more than [`PARTS_MAX`] parts.
pub fn count(text: &str, reference: Reference) -> Result<u16, TooLong> {
    let Measure { alphabet, units } = measure(text);
    if units <= single_units_max(alphabet) {
        return Ok(1);
    }
    let units_max = reference.part_units_max(alphabet);
    if alphabet == Alphabet::Gsm7 && units == text.len() {
        // Plain ASCII, one septet per character: there is no pair to keep together.
        return within_max(units.div_ceil(units_max));
    }
    within_max(count_by(text, units_max, |character| {
        units_of(character, alphabet)
    }))
}

/// The number of parts of at most `units_max` units for `text`, filled one after the other.
pub(crate) fn count_by(text: &str, units_max: usize, cost: impl Fn(char) -> usize) -> usize {
    let mut parts = 1;
    let mut filled = 0;
    for character in text.chars() {
        let more = cost(character);
        filled += more;
        if filled > units_max {
            parts += 1;
            filled = more;
        }
    }
    parts
}

/// The parts that [`count_by`] counts.
pub(crate) fn cut_by(text: &str, units_max: usize, cost: impl Fn(char) -> usize) -> Vec<&str> {
    cut_text(text, |rest| fitting_by(rest, units_max, &cost))
}

/// Parts by the formula of price lists: 160 septets or 70 units, beyond that 153 or 67 per part, by plain division.
/// Saturates. The charge is for the parts that are sent: see [`crate::encoding::Encoding::count`].
#[must_use]
pub fn billed_count(text: &str) -> u16 {
    let Measure { alphabet, units } = measure(text);
    if units <= single_units_max(alphabet) {
        return 1;
    }
    let parts = units.div_ceil(Reference::Bits8.part_units_max(alphabet));
    u16::try_from(parts).unwrap_or(u16::MAX)
}

pub(crate) fn within_max(parts: usize) -> Result<u16, TooLong> {
    match u8::try_from(parts) {
        Ok(within) => Ok(u16::from(within)),
        Err(_) => Err(TooLong { parts }),
    }
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
            units: utf16_units(text),
        },
    }
}

fn utf16_units(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

/// Units of one character, which must stay in one part.
fn units_of(character: char, alphabet: Alphabet) -> usize {
    match alphabet {
        Alphabet::Gsm7 => alphabet::septets_of(character).unwrap_or(1),
        Alphabet::Ucs2 => character.len_utf16(),
    }
}

/// Slices of at most `units_max` septets; none ends in an escape.
fn cut_septets(septets: &[u8], units_max: usize) -> Vec<&[u8]> {
    let mut parts = Vec::with_capacity(septets.len().div_ceil(units_max));
    let mut rest = septets;
    while let Some((full, behind)) = rest.split_at_checked(units_max) {
        let (part, behind) = match full.split_last() {
            Some((&ESCAPE, before)) => (before, &rest[before.len()..]),
            _ => (full, behind),
        };
        parts.push(part);
        rest = behind;
    }
    if !rest.is_empty() {
        parts.push(rest);
    }
    parts
}

/// Slices of `text`, each of the length that `fit` returns for the rest.
fn cut_text(text: &str, fit: impl Fn(&str) -> usize) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (part, behind) = rest.split_at(fit(rest));
        parts.push(part);
        rest = behind;
    }
    parts
}

/// Octets (of UTF-8) at the start of `text` that make at most `units_max` UTF-16 units.
fn fitting(text: &str, units_max: usize) -> usize {
    fitting_by(text, units_max, char::len_utf16)
}

fn fitting_by(text: &str, units_max: usize, cost: impl Fn(char) -> usize) -> usize {
    let mut units = 0;
    for (at, character) in text.char_indices() {
        units += cost(character);
        if units > units_max {
            return at;
        }
    }
    text.len()
}

/// As [`fitting`], but ends before a cluster that it would split, if anything is before it.
///
/// Clusters here are those whose split is visible on a phone that shows the parts separately: flags, joined and toned
/// emoji, letters with combining accents. The full rules of Unicode (UAX #29) would need their tables.
fn fitting_clusters(text: &str, units_max: usize) -> usize {
    let most = fitting(text, units_max);
    if most == text.len() {
        return most;
    }
    let mut whole = 0;
    let mut before = None;
    let mut half_flag = false;
    for (at, character) in text.char_indices().take_while(|(at, _)| *at <= most) {
        let second_half = half_flag && is_flag_half(character);
        half_flag = is_flag_half(character) && !second_half;
        if !(second_half || before == Some(ZERO_WIDTH_JOINER) || extends_cluster(character)) {
            whole = at;
        }
        before = Some(character);
    }
    if whole == 0 { most } else { whole }
}

const ZERO_WIDTH_JOINER: char = '\u{200D}';

/// One of the two regional indicators that make a flag.
fn is_flag_half(character: char) -> bool {
    matches!(character, '\u{1F1E6}'..='\u{1F1FF}')
}

/// Whether a character belongs to the one before it: accents, variation selectors, skin tones, the tags of a region's
/// flag.
fn extends_cluster(character: char) -> bool {
    matches!(
        character,
        '\u{300}'..='\u{36F}'
            | ZERO_WIDTH_JOINER
            | '\u{20D0}'..='\u{20FF}'
            | '\u{FE00}'..='\u{FE0F}'
            | '\u{1F3FB}'..='\u{1F3FF}'
            | '\u{E0020}'..='\u{E007F}'
    )
}

/// A user data header of at most 7 octets; dereferences to a slice.
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

#[cfg(test)]
mod tests;
