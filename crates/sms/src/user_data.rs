//! Inbound user data as octets: kept until all parts of a message are there, and decoded once.
//!
//! A handset splits a message into parts by octets. A surrogate pair, an escape pair or a two-octet character may cross
//! a border, so that no part can be decoded alone.

mod decode;

use crate::alphabet::national::{Language, Shifts};
use crate::data_coding::Charset;
use crate::udh::Headed;

pub use decode::{content, content_with_gaps};

/// How to decode the octets of one part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Coding {
    /// The alphabet, or binary.
    pub charset: Charset,
    /// The national tables of a GSM text.
    pub shifts: Shifts,
    /// Octets of the header in front, its length octet included: packed septets begin at the next septet boundary
    /// behind it (TS 23.040 §9.2.3.24).
    pub header_len: u8,
    /// The port of the application that the message is for. Such a message is data, in any alphabet.
    pub port: Option<u16>,
}

impl Coding {
    /// Octets in `charset`, without a header.
    #[must_use]
    pub const fn plain(charset: Charset) -> Self {
        Self {
            charset,
            shifts: Shifts::NONE,
            header_len: 0,
            port: None,
        }
    }

    /// The coding as one number, for a store: charset, locking table, single table, header and port from the lowest
    /// octet on. The format is stored and never changes.
    #[must_use]
    pub fn to_number(self) -> i64 {
        let language =
            |language: Option<Language>| language.map_or(0, |language| i64::from(language.identifier()));
        i64::from(self.charset as u8)
            | language(self.shifts.locking) << 8
            | language(self.shifts.single) << 16
            | i64::from(self.header_len) << 24
            | self.port.map_or(0, |port| i64::from(port) << 32 | 1 << 48)
    }

    /// The coding of a number of [`to_number`](Self::to_number). An invalid number is binary.
    #[must_use]
    pub fn from_number(number: i64) -> Self {
        let [
            charset,
            locking,
            single,
            header_len,
            port_low,
            port_high,
            has_port,
            _,
        ] = number.to_le_bytes();
        Self {
            charset: Charset::from_number(charset).unwrap_or(Charset::Binary),
            shifts: Shifts {
                locking: Language::from_identifier(locking),
                single: Language::from_identifier(single),
            },
            header_len,
            port: (has_port & 1 != 0).then(|| u16::from_le_bytes([port_low, port_high])),
        }
    }

    /// Whether the octets are for an application.
    #[must_use]
    pub fn is_data(self) -> bool {
        self.charset == Charset::Binary || self.port.is_some()
    }
}

/// One part of an inbound message, without its header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserData {
    /// How to read it.
    pub coding: Coding,
    /// The octets behind the header.
    pub octets: Box<[u8]>,
}

impl UserData {
    /// The part behind a header. `port` is the one of a TLV, if there is one; the header's own has precedence.
    #[must_use]
    pub fn new(charset: Charset, headed: &Headed<'_>, port: Option<u16>) -> Self {
        Self {
            coding: Coding {
                charset,
                shifts: headed.shifts,
                // A header has at most 256 octets; one of 256 leaves no text.
                header_len: u8::try_from(headed.header_len).unwrap_or(0),
                port: headed.port.or(port),
            },
            octets: headed.text.into(),
        }
    }
}

impl From<&str> for UserData {
    /// A text that needs no decoding.
    fn from(text: &str) -> Self {
        Self {
            coding: Coding::plain(Charset::Utf8),
            octets: text.as_bytes().into(),
        }
    }
}

/// Octets for an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binary {
    /// All parts, joined.
    pub octets: Box<[u8]>,
    /// The port of the application, if a part has one.
    pub port: Option<u16>,
}

impl Binary {
    /// The octets as hexadecimal digits, two lower-case ones per octet.
    #[must_use]
    pub fn hex(&self) -> String {
        const DIGITS: [char; 16] = [
            '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
        ];
        let digit = |nibble: u8| DIGITS[usize::from(nibble & 0xF)];
        self.octets
            .iter()
            .flat_map(|octet| [digit(octet >> 4), digit(*octet)])
            .collect()
    }
}

/// A whole message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A text.
    Text(Box<str>),
    /// No text.
    Binary(Binary),
}

impl From<&str> for Content {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

#[cfg(test)]
mod tests;
