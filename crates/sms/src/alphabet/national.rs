//! National language shift tables (3GPP TS 23.038 §6.2.1.2 and Annex A).
//!
//! A user data header names the tables: a *single* shift table replaces the extension table behind the escape, a
//! *locking* shift table replaces the default alphabet (TS 23.040 §9.2.3.24.15 and §9.2.3.24.16).

mod tables;

use super::{DEFAULT, ESCAPE, decode_gsm7, extension_character};
use tables::Table;

/// A language with shift tables of its own. The number is the National Language Identifier of TS 23.038 §6.2.1.2.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Language {
    /// Both tables.
    Turkish = 1,
    /// A single shift table only.
    Spanish = 2,
    /// Both tables.
    Portuguese = 3,
    /// Bengali and Assamese, both tables.
    Bengali = 4,
    /// Both tables.
    Gujarati = 5,
    /// Both tables.
    Hindi = 6,
    /// Both tables.
    Kannada = 7,
    /// Both tables.
    Malayalam = 8,
    /// Both tables.
    Oriya = 9,
    /// Both tables.
    Punjabi = 10,
    /// Both tables.
    Tamil = 11,
    /// Both tables.
    Telugu = 12,
    /// Both tables.
    Urdu = 13,
}

impl Language {
    /// All languages, by identifier.
    pub const ALL: [Self; 13] = [
        Self::Turkish,
        Self::Spanish,
        Self::Portuguese,
        Self::Bengali,
        Self::Gujarati,
        Self::Hindi,
        Self::Kannada,
        Self::Malayalam,
        Self::Oriya,
        Self::Punjabi,
        Self::Tamil,
        Self::Telugu,
        Self::Urdu,
    ];

    /// The language with this identifier; `None` for a reserved one, which means the default tables (TS 23.040
    /// §9.2.3.24.15: a receiver that does not know a language ignores the element).
    #[must_use]
    pub fn from_identifier(identifier: u8) -> Option<Self> {
        Self::ALL.get(usize::from(identifier).checked_sub(1)?).copied()
    }

    /// Its identifier, 1 to 13.
    #[must_use]
    pub const fn identifier(self) -> u8 {
        self as u8
    }

    /// Its locking shift table; Spanish has none.
    const fn locking(self) -> Option<&'static Table> {
        Some(match self {
            Self::Turkish => &tables::TURKISH_LOCKING,
            Self::Spanish => return None,
            Self::Portuguese => &tables::PORTUGUESE_LOCKING,
            Self::Bengali => &tables::BENGALI_LOCKING,
            Self::Gujarati => &tables::GUJARATI_LOCKING,
            Self::Hindi => &tables::HINDI_LOCKING,
            Self::Kannada => &tables::KANNADA_LOCKING,
            Self::Malayalam => &tables::MALAYALAM_LOCKING,
            Self::Oriya => &tables::ORIYA_LOCKING,
            Self::Punjabi => &tables::PUNJABI_LOCKING,
            Self::Tamil => &tables::TAMIL_LOCKING,
            Self::Telugu => &tables::TELUGU_LOCKING,
            Self::Urdu => &tables::URDU_LOCKING,
        })
    }

    /// Its single shift table.
    const fn single(self) -> &'static Table {
        match self {
            Self::Turkish => &tables::TURKISH_SINGLE,
            Self::Spanish => &tables::SPANISH_SINGLE,
            Self::Portuguese => &tables::PORTUGUESE_SINGLE,
            Self::Bengali => &tables::BENGALI_SINGLE,
            Self::Gujarati => &tables::GUJARATI_SINGLE,
            Self::Hindi => &tables::HINDI_SINGLE,
            Self::Kannada => &tables::KANNADA_SINGLE,
            Self::Malayalam => &tables::MALAYALAM_SINGLE,
            Self::Oriya => &tables::ORIYA_SINGLE,
            Self::Punjabi => &tables::PUNJABI_SINGLE,
            Self::Tamil => &tables::TAMIL_SINGLE,
            Self::Telugu => &tables::TELUGU_SINGLE,
            Self::Urdu => &tables::URDU_SINGLE,
        }
    }
}

/// The tables of one message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Shifts {
    /// Replaces the default alphabet.
    pub locking: Option<Language>,
    /// Replaces the extension table.
    pub single: Option<Language>,
}

impl Shifts {
    /// The default alphabet with its extension table.
    pub const NONE: Self = Self {
        locking: None,
        single: None,
    };

    /// The character of a code outside an escape pair. A code that a locking table leaves unassigned is U+FFFD: the
    /// default alphabet's character would be of another script.
    fn plain(self, septet: u8) -> char {
        match self.locking.and_then(Language::locking) {
            Some(table) => assigned(table, septet).unwrap_or(char::REPLACEMENT_CHARACTER),
            None => DEFAULT[usize::from(septet & 0x7F)],
        }
    }

    /// The character of a code behind the escape. An unassigned code yields the character outside the pair; a second
    /// escape is reserved for a further table and shown as a space (TS 23.038 §6.2.1.1).
    fn escaped(self, septet: u8) -> char {
        if septet == ESCAPE {
            return ' ';
        }
        match self.single {
            Some(language) => assigned(language.single(), septet).unwrap_or_else(|| self.plain(septet)),
            None => match extension_character(septet) {
                // Not assigned: the character of the current table, which need not be the default one.
                character if character == DEFAULT[usize::from(septet & 0x7F)] => self.plain(septet),
                character => character,
            },
        }
    }
}

fn assigned(table: &Table, septet: u8) -> Option<char> {
    match table[usize::from(septet & 0x7F)] {
        0 => None,
        value => char::from_u32(u32::from(value)),
    }
}

/// The text of unpacked septets that were encoded with `shifts`. Total, as [`decode_gsm7`] is: at most one character
/// per octet, the top bit of an octet ignored, an escape at the end is a space.
#[must_use]
pub fn decode(septets: &[u8], shifts: Shifts) -> String {
    if shifts == Shifts::NONE {
        return decode_gsm7(septets);
    }
    let mut text = String::with_capacity(septets.len() * 2);
    let mut septets = septets.iter().map(|octet| octet & 0x7F);
    while let Some(septet) = septets.next() {
        text.push(if septet == ESCAPE {
            septets.next().map_or(' ', |next| shifts.escaped(next))
        } else {
            shifts.plain(septet)
        });
    }
    text
}

/// `text` as unpacked septets with `shifts`; `None` if a character is in neither table. Slow (it searches the tables):
/// for tests and for simulators of handsets.
#[must_use]
pub fn encode(text: &str, shifts: Shifts) -> Option<Vec<u8>> {
    let mut septets = Vec::with_capacity(text.len());
    for character in text.chars() {
        let mut codes = (0..0x80u8).filter(|code| *code != ESCAPE);
        if let Some(code) = codes.clone().find(|code| shifts.plain(*code) == character)
            && character != char::REPLACEMENT_CHARACTER
        {
            septets.push(code);
        } else {
            let code =
                codes.find(|code| shifts.escaped(*code) == character && shifts.plain(*code) != character)?;
            septets.extend([ESCAPE, code]);
        }
    }
    Some(septets)
}

#[cfg(test)]
mod tests;
