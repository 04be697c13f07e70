//! The alphabets of a text message: the GSM 7-bit default alphabet, UCS-2 and Latin-1; and the national tables that
//! handsets use ([`national`]).
//!
//! The default alphabet and its extension table are those of 3GPP TS 23.038 §6.2.1 and §6.2.1.1. National
//! language shift tables (Annex A) are not used for sending: a handset that lacks one shows the wrong letters.
//!
//! "Septets" are *unpacked* here, one per octet, as SMPP carries them with `data_coding` 0; [`pack`] makes the packed
//! form of TS 23.038 §6.1.2.1 for the few carriers that need it.

pub mod national;

/// The escape code: the next septet is from the extension table (TS 23.038 §6.2.1).
pub const ESCAPE: u8 = 0x1B;

/// The default alphabet by septet. The entry of the escape is U+001B, which no text can be encoded to.
///
/// 0x09 is the capital Ç: earlier editions of the standard contradict themselves, handsets show the capital, and so `ç`
/// is not in this alphabet.
#[rustfmt::skip]
const DEFAULT: [char; 128] = [
    '@', '£', '$', '¥', 'è', 'é', 'ù', 'ì', 'ò', 'Ç', '\n', 'Ø', 'ø', '\r', 'Å', 'å',
    'Δ', '_', 'Φ', 'Γ', 'Λ', 'Ω', 'Π', 'Ψ', 'Σ', 'Θ', 'Ξ', '\u{1B}', 'Æ', 'æ', 'ß', 'É',
    ' ', '!', '"', '#', '¤', '%', '&', '\'', '(', ')', '*', '+', ',', '-', '.', '/',
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', ':', ';', '<', '=', '>', '?',
    '¡', 'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M', 'N', 'O',
    'P', 'Q', 'R', 'S', 'T', 'U', 'V', 'W', 'X', 'Y', 'Z', 'Ä', 'Ö', 'Ñ', 'Ü', '§',
    '¿', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o',
    'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z', 'ä', 'ö', 'ñ', 'ü', 'à',
];

/// The extension table (TS 23.038 §6.2.1.1): the septet after the escape and its character. 0x0A is the page break,
/// which is the form feed of other character sets.
const EXTENSION: [(u8, char); 10] = [
    (0x0A, '\u{0C}'),
    (0x14, '^'),
    (0x28, '{'),
    (0x29, '}'),
    (0x2F, '\\'),
    (0x3C, '['),
    (0x3D, '~'),
    (0x3E, ']'),
    (0x40, '|'),
    (0x65, '€'),
];

/// The encoding of one character in the default alphabet, in one octet so that the table below stays small: a septet
/// unchanged, a septet of the extension table with the top bit set, or [`Code::NONE`].
#[derive(Clone, Copy, PartialEq, Eq)]
struct Code(u8);

impl Code {
    /// The character has no septet. (0x7F of the extension table would have the same value; it is not assigned.)
    const NONE: Self = Self(0xFF);
    const EXTENDED: u8 = 0x80;

    #[inline]
    fn of(character: char) -> Self {
        match u32::from(character) {
            // The index is below the table's length by this arm's pattern.
            low @ 0..=0xFF => CODES[low as usize],
            // The Greek capitals that Latin letters do not stand in for.
            0x394 => Self(0x10),                   // Δ
            0x3A6 => Self(0x12),                   // Φ
            0x393 => Self(0x13),                   // Γ
            0x39B => Self(0x14),                   // Λ
            0x3A9 => Self(0x15),                   // Ω
            0x3A0 => Self(0x16),                   // Π
            0x3A8 => Self(0x17),                   // Ψ
            0x3A3 => Self(0x18),                   // Σ
            0x398 => Self(0x19),                   // Θ
            0x39E => Self(0x1A),                   // Ξ
            0x20AC => Self(Self::EXTENDED | 0x65), // €
            _ => Self::NONE,
        }
    }

    /// Septets the character takes: 1, 2, or `None` if it is not in the alphabet.
    #[inline]
    fn septets(self) -> Option<usize> {
        match self {
            Self::NONE => None,
            Self(code) => Some(1 + usize::from(code >> 7)),
        }
    }
}

/// [`Code`]s of U+0000 to U+00FF, from the two tables above.
const CODES: [Code; 256] = {
    let mut codes = [Code::NONE; 256];
    let mut septet = 0;
    while septet < DEFAULT.len() {
        let character = DEFAULT[septet] as usize;
        if character < codes.len() && septet != ESCAPE as usize {
            codes[character] = Code(septet as u8);
        }
        septet += 1;
    }
    let mut row = 0;
    while row < EXTENSION.len() {
        let (septet, character) = EXTENSION[row];
        if (character as usize) < codes.len() {
            codes[character as usize] = Code(Code::EXTENDED | septet);
        }
        row += 1;
    }
    codes
};

/// The alphabet of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Alphabet {
    /// The GSM 7-bit default alphabet with its extension table.
    Gsm7,
    /// UCS-2, in practice UTF-16 big-endian: handsets read surrogate pairs.
    Ucs2,
}

/// The cheapest alphabet that can encode all of `text`: one character outside GSM-7 makes the whole text UCS-2.
#[must_use]
pub fn detect(text: &str) -> Alphabet {
    match septets(text) {
        Some(_) => Alphabet::Gsm7,
        None => Alphabet::Ucs2,
    }
}

/// The septets of `text` (an extension character has two), or `None` if it is not GSM-7 text.
#[must_use]
pub fn septets(text: &str) -> Option<usize> {
    let seen = text.bytes().fold(0, |seen, octet| seen | ascii_code(octet));
    if seen < Code::EXTENDED {
        return Some(text.len());
    }
    text.chars()
        .try_fold(0, |sum, character| Some(sum + septets_of(character)?))
}

/// The septet of an ASCII octet, or a value with the top bit set if one octet is not one septet. Most texts are plain
/// ASCII, and every message sent is encoded here: one table look-up per octet, and one test at the end.
#[inline]
fn ascii_code(octet: u8) -> u8 {
    CODES[usize::from(octet)].0 | (octet & 0x80)
}

/// The septets of one character: 1, 2, or `None` if it is not in the alphabet.
#[inline]
pub(crate) fn septets_of(character: char) -> Option<usize> {
    Code::of(character).septets()
}

/// `text` as unpacked septets, extension characters as an [`ESCAPE`] pair; `None` if it is not GSM-7 text.
#[must_use]
pub fn encode_gsm7(text: &str) -> Option<Vec<u8>> {
    let mut seen = 0;
    let plain: Vec<u8> = text
        .bytes()
        .map(ascii_code)
        .inspect(|code| seen |= code)
        .collect();
    if seen < Code::EXTENDED {
        return Some(plain);
    }
    let mut septets = plain;
    septets.clear();
    for character in text.chars() {
        match Code::of(character) {
            Code::NONE => return None,
            Code(septet) if septet < Code::EXTENDED => septets.push(septet),
            Code(extended) => septets.extend([ESCAPE, extended & !Code::EXTENDED]),
        }
    }
    Some(septets)
}

/// The text of unpacked septets. Total: the top bit of an octet is ignored; an unassigned extension code yields the
/// default table's character; an escape at the end, or before another escape (reserved for a further table), is a space
/// (TS 23.038 §6.2.1 and §6.2.1.1).
#[must_use]
pub fn decode_gsm7(septets: &[u8]) -> String {
    let mut text = String::with_capacity(septets.len());
    let mut septets = septets.iter().map(|octet| octet & 0x7F);
    while let Some(septet) = septets.next() {
        text.push(if septet == ESCAPE {
            septets.next().map_or(' ', extension_character)
        } else {
            DEFAULT[usize::from(septet)]
        });
    }
    text
}

fn extension_character(septet: u8) -> char {
    match EXTENSION.iter().find(|(code, _)| *code == septet) {
        Some((_, character)) => *character,
        None if septet == ESCAPE => ' ',
        None => DEFAULT[usize::from(septet & 0x7F)],
    }
}

/// Zero bits between a user data header of `header_octets` and the first septet, so that the text starts on a septet
/// boundary (TS 23.040 §9.2.3.24); 0 to 6.
#[must_use]
pub const fn fill_bits(header_octets: usize) -> usize {
    // An octet has one bit more than a septet: n octets end n bits after a boundary.
    (7 - header_octets % 7) % 7
}

/// Septets in the packed form of TS 23.038 §6.1.2.1: eight in seven octets, low bits first, after `fill_bits` zero bits
/// (0 to 7; see [`fill_bits`]). Spare bits at the end are zero.
#[must_use]
pub fn pack(septets: &[u8], fill_bits: usize) -> Vec<u8> {
    let mut bits = fill_bits & 7;
    let mut octets = Vec::with_capacity((septets.len() * 7 + 7).div_ceil(8));
    let mut held: u16 = 0;
    for septet in septets {
        held |= u16::from(septet & 0x7F) << bits;
        bits += 7;
        if bits >= 8 {
            octets.push((held & 0xFF) as u8);
            held >>= 8;
            bits -= 8;
        }
    }
    if bits > 0 {
        octets.push((held & 0xFF) as u8);
    }
    octets
}

/// Octets of user data in one short message, its header included (3GPP TS 23.040 §9.2.3.24).
const USER_DATA_OCTETS_MAX: usize = 140;
const CARRIAGE_RETURN: u8 = 0x0D;

/// Septets in the packed form behind a header of `header_octets` (0: none), for receivers that know the number of
/// octets and not of septets, as over SMPP. They start on a septet boundary ([`fill_bits`]). Seven spare bits at the
/// end would read as one more `@`, so they hold a carriage return (TS 23.038 §6.1.2.3.1).
///
/// By the same section a text that itself ends in a carriage return on an octet boundary gets another one, as receivers
/// take the last one for padding. Where the user data is full there is no room for it, and that carriage return is
/// lost.
#[must_use]
pub fn pack_user_data(septets: &[u8], header_octets: usize) -> Vec<u8> {
    if septets.is_empty() {
        // Fill bits alone would read as an `@`.
        return Vec::new();
    }
    let fill_bits = fill_bits(header_octets);
    let mut octets = pack(septets, fill_bits);
    let bits_over = (fill_bits + septets.len() * 7) % 8;
    let has_room = header_octets + octets.len() < USER_DATA_OCTETS_MAX;
    match (bits_over, septets.last()) {
        (1, Some(_)) => {
            if let Some(last) = octets.last_mut() {
                *last |= CARRIAGE_RETURN << 1;
            }
        }
        (0, Some(&CARRIAGE_RETURN)) if has_room => octets.push(CARRIAGE_RETURN),
        _ => {}
    }
    octets
}

/// The first `septets_max` septets of a packed string that starts after `fill_bits` (0 to 7) bits; fewer if the octets
/// hold fewer.
///
/// The count is needed because seven spare bits at the end look like one more `@`. TP-UDL has the count (TS 23.040
/// §9.2.3.16), an SMPP `sm_length` has not.
#[must_use]
pub fn unpack(octets: &[u8], fill_bits: usize, septets_max: usize) -> Vec<u8> {
    let fill_bits = fill_bits & 7;
    let stored = (octets.len() * 8).saturating_sub(fill_bits) / 7;
    let wanted = stored.min(septets_max);
    let mut septets = Vec::with_capacity(wanted);
    let mut held: u16 = 0;
    let mut bits = 0;
    let mut skip = fill_bits;
    for octet in octets {
        held |= u16::from(*octet >> skip) << bits;
        bits += 8 - skip;
        skip = 0;
        while bits >= 7 {
            if septets.len() == wanted {
                return septets;
            }
            septets.push((held & 0x7F) as u8);
            held >>= 7;
            bits -= 7;
        }
    }
    septets
}

/// `text` as UTF-16 big-endian octets.
#[must_use]
pub fn encode_ucs2(text: &str) -> Vec<u8> {
    let mut octets = Vec::with_capacity(text.len() * 2);
    octets.extend(text.encode_utf16().flat_map(u16::to_be_bytes));
    octets
}

/// The text of UTF-16 big-endian octets. Total: a lone surrogate or a lone last octet becomes U+FFFD.
#[must_use]
pub fn decode_ucs2(octets: &[u8]) -> String {
    let (pairs, rest) = octets.as_chunks::<2>();
    let mut text: String = char::decode_utf16(pairs.iter().map(|pair| u16::from_be_bytes(*pair)))
        .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect();
    if !rest.is_empty() {
        text.push(char::REPLACEMENT_CHARACTER);
    }
    text
}

/// `text` as ISO 8859-1 (SMPP `data_coding` 3); `None` if a character is beyond U+00FF.
#[must_use]
pub fn encode_latin1(text: &str) -> Option<Vec<u8>> {
    text.chars()
        .map(|character| u8::try_from(u32::from(character)).ok())
        .collect()
}

/// The text of ISO 8859-1 octets.
#[must_use]
pub fn decode_latin1(octets: &[u8]) -> String {
    octets.iter().map(|octet| char::from(*octet)).collect()
}

#[cfg(test)]
pub(crate) mod tests;
