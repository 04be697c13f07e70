//! Decodes the octets of all parts to a text.

use super::{Binary, Coding, Content, UserData};
use crate::alphabet::{self, ESCAPE, national};
use crate::data_coding::Charset;
use encoding_rs::{EUC_JP, EUC_KR, Encoding, ISO_2022_JP, ISO_8859_5, ISO_8859_8, SHIFT_JIS};

/// U+FEFF at the start of UTF-16, and its octets in the other byte order.
const BOM: [u8; 2] = [0xFE, 0xFF];
const BOM_LITTLE_ENDIAN: [u8; 2] = [0xFF, 0xFE];
/// Octets of user data in one part, header included (TS 23.040 §9.2.3.24.1).
const PART_OCTETS: usize = 140;
const CARRIAGE_RETURN: u8 = 0x0D;
/// U+FEFF in UTF-8.
const BOM_UTF_8: [u8; 3] = [0xEF, 0xBB, 0xBF];
/// A full part has at least this many septets beside its header, of any length.
const PART_SEPTETS_MIN: usize = 140;

/// The content of a message of these parts, in order. Total; a text has at most three characters per octet.
///
/// If any part is data, all of the message is. Adjacent parts of equal coding are joined before they are decoded.
#[must_use]
pub fn content(parts: &[UserData]) -> Content {
    if parts.iter().any(|part| part.coding.is_data()) {
        return binary(parts.iter());
    }
    Content::Text(text(parts).into())
}

/// As [`content`], of numbered parts, in order, some of which may be missing: the parts on both sides of a gap are
/// decoded separately.
#[must_use]
pub fn content_with_gaps(parts: &[(u8, UserData)]) -> Content {
    if parts.iter().any(|(_, part)| part.coding.is_data()) {
        return binary(parts.iter().map(|(_, part)| part));
    }
    let text: String = parts
        .chunk_by(|(a, _), (b, _)| a.checked_add(1) == Some(*b))
        .map(|group| text(&group.iter().map(|(_, part)| part.clone()).collect::<Vec<_>>()))
        .collect();
    Content::Text(text.into())
}

fn binary<'a>(parts: impl Iterator<Item = &'a UserData> + Clone) -> Content {
    let octets: Vec<u8> = parts.clone().flat_map(|part| &part.octets).copied().collect();
    Content::Binary(Binary {
        octets: octets.into(),
        port: parts.into_iter().find_map(|part| part.coding.port),
    })
}

fn text(parts: &[UserData]) -> String {
    let same = |a: &UserData, b: &UserData| {
        a.coding.charset == b.coding.charset && a.coding.shifts == b.coding.shifts
    };
    parts.chunk_by(same).map(run).collect()
}

/// Parts of one alphabet.
fn run(parts: &[UserData]) -> String {
    let Some(Coding { charset, shifts, .. }) = parts.first().map(|part| part.coding) else {
        return String::new();
    };
    let joined = || -> Vec<u8> { parts.iter().flat_map(|part| &part.octets).copied().collect() };
    if let Some(text) = marked_utf8(charset, parts) {
        return text;
    }
    match charset {
        Charset::Gsm7 if parts.len() > 1 && parts.iter().all(ends_with_a_nul) => {
            national::decode(&without_last_octets(parts), shifts)
        }
        Charset::Gsm7 => national::decode(&joined(), shifts),
        Charset::Gsm7Packed => national::decode(&unpacked(parts), shifts),
        Charset::Utf8 => String::from_utf8_lossy(&joined()).into_owned(),
        Charset::Ucs2 => utf16(parts, joined()),
        Charset::Ascii => without_nul(ascii(&joined())),
        Charset::Latin1 | Charset::Binary => without_nul(alphabet::decode_latin1(&joined())),
        Charset::Cyrillic => without_nul(lossy(&joined(), ISO_8859_5)),
        Charset::Hebrew => without_nul(lossy(&joined(), ISO_8859_8)),
        Charset::Japanese => without_nul(first_without_error(&joined(), &[SHIFT_JIS, EUC_JP])),
        Charset::JapaneseExtended => without_nul(first_without_error(&joined(), &[EUC_JP, SHIFT_JIS])),
        Charset::Korean => without_nul(lossy(&joined(), EUC_KR)),
    }
}

/// The text of UTF-8 with a byte order mark, with any one-octet or mixed alphabet that the carrier declares.
fn marked_utf8(charset: Charset, parts: &[UserData]) -> Option<String> {
    if matches!(charset, Charset::Gsm7Packed | Charset::Ucs2 | Charset::Binary) {
        return None;
    }
    let octets = || parts.iter().flat_map(|part| &part.octets);
    if !octets().take(BOM_UTF_8.len()).eq(&BOM_UTF_8) {
        return None;
    }
    let text = String::from_utf8(octets().copied().collect()).ok()?;
    Some(without_nul(without_marks(text)))
}

/// Whether a part of the GSM alphabet ends in a NUL that is no letter, if all others do so as well: a phone fills all
/// parts but the last.
fn ends_with_a_nul(part: &UserData) -> bool {
    part.octets.ends_with(&[0]) && part.octets.len() < PART_SEPTETS_MIN
}

fn without_last_octets(parts: &[UserData]) -> Vec<u8> {
    let bare = parts.iter().filter_map(|part| part.octets.split_last());
    bare.flat_map(|(_, before)| before).copied().collect()
}

/// Some carriers end a text with a NUL, which is a letter only in the GSM alphabet.
fn without_nul(mut text: String) -> String {
    text.retain(|character| character != '\0');
    text
}

fn ascii(octets: &[u8]) -> String {
    match std::str::from_utf8(octets) {
        Ok(text) => text.to_owned(),
        Err(_) => alphabet::decode_latin1(octets),
    }
}

fn lossy(octets: &[u8], encoding: &'static Encoding) -> String {
    encoding.decode_without_bom_handling(octets).0.into_owned()
}

/// The meaning of "JIS" depends on the carrier. ISO-2022-JP is recognised by its escapes; of the others, the first that
/// decodes without an error is used.
fn first_without_error(octets: &[u8], encodings: &[&'static Encoding; 2]) -> String {
    const ESCAPES: [&[u8]; 2] = [b"\x1b$", b"\x1b("];
    if ESCAPES
        .iter()
        .any(|escape| octets.windows(2).any(|pair| pair == *escape))
    {
        return lossy(octets, ISO_2022_JP);
    }
    encodings
        .iter()
        .find_map(|encoding| encoding.decode_without_bom_handling_and_without_replacement(octets))
        .map_or_else(|| lossy(octets, encodings[0]), |text| text.into_owned())
}

/// The septets of packed parts. Each part is packed on its own.
fn unpacked(parts: &[UserData]) -> Vec<u8> {
    let mut septets: Vec<u8> = Vec::new();
    let each: Vec<Vec<u8>> = parts
        .iter()
        .map(|part| {
            let fill = alphabet::fill_bits(part.coding.header_len.into());
            alphabet::unpack(&part.octets, fill, usize::MAX)
        })
        .collect();
    for (at, (part, read)) in parts.iter().zip(&each).enumerate() {
        septets.extend_from_slice(without_padding(part, read, each.get(at + 1)));
    }
    septets
}

/// The septets of a part without the padding of its last octet; `next` are those of the following part.
fn without_padding<'a>(part: &UserData, septets: &'a [u8], next: Option<&Vec<u8>>) -> &'a [u8] {
    let Some((last, before)) = septets.split_last() else {
        return septets;
    };
    if ends_on_an_octet(part, septets.len()) && matches!(*last, 0 | CARRIAGE_RETURN) {
        let is_padding = match next {
            None => true,
            // A part without room for one more septet ends in a letter, unless the escape pair that did not fit was
            // moved to the next part.
            Some(next) => !is_full(part) || next.first() == Some(&ESCAPE),
        };
        return if is_padding { before } else { septets };
    }
    // A text that itself ends in a carriage return on an octet boundary has another one behind it.
    if ends_on_an_octet(part, before.len()) && septets.ends_with(&[CARRIAGE_RETURN; 2]) {
        return before;
    }
    septets
}

/// Whether the last of `septets` ends where the part's last octet does: then the seven bits may be spare ones, zero or
/// a carriage return (TS 23.038 §6.1.2.3.1).
fn ends_on_an_octet(part: &UserData, septets: usize) -> bool {
    septets > 0 && (alphabet::fill_bits(part.coding.header_len.into()) + septets * 7).is_multiple_of(8)
}

fn is_full(part: &UserData) -> bool {
    usize::from(part.coding.header_len) + part.octets.len() >= PART_OCTETS
}

/// UTF-16 in either byte order. A byte order mark determines it, and is no letter; nor is a NUL, nor half of one.
fn utf16(parts: &[UserData], joined: Vec<u8>) -> String {
    let text = utf16_joined(&joined);
    // If each part ended with a NUL of one octet, the joined octets are shifted: a NUL indicates that.
    let ended = |part: &UserData| part.octets.len() % 2 == 1 && part.octets.ends_with(&[0]);
    let text = if parts.len() > 1 && text.contains('\0') && parts.iter().all(ended) {
        utf16_joined(&without_last_octets(parts))
    } else {
        text
    };
    without_nul(text)
}

fn utf16_joined(octets: &[u8]) -> String {
    let octets = match octets {
        [before @ .., 0] if octets.len() % 2 == 1 => before,
        all => all,
    };
    if octets.starts_with(&BOM_LITTLE_ENDIAN) {
        let swapped: Vec<u8> = octets
            .chunks(2)
            .flat_map(|unit| unit.iter().rev().copied())
            .collect();
        return without_marks(alphabet::decode_ucs2(&swapped));
    }
    let text = alphabet::decode_ucs2(octets);
    if octets.starts_with(&BOM) {
        return without_marks(text);
    }
    text
}

/// A sender that writes a byte order mark writes one in each part.
fn without_marks(mut text: String) -> String {
    text.retain(|character| character != '\u{FEFF}');
    text
}
