//! The sender of a message.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::alphabet;
use crate::phone::MSISDN_DIGITS_MAX;
use crate::visible::{is_invisible, trim_blanks};

/// Most septets of an alphanumeric sender: the size of the address field (3GPP TS 23.040 section 9.1.2.5). A character
/// of the extension table has two.
pub const ALPHANUMERIC_SEPTETS_MAX: usize = 11;

/// Most digits of any numeric sender: SMPP's `source_addr` without its NUL (SMPP 3.4 section 5.2.8).
pub const DIGITS_MAX: usize = 20;

/// Most digits that are a short code without a further check; in use are three to eight.
const SHORT_DIGITS_MAX: usize = 8;

/// The kind of a sender address, which determines how handsets and carriers treat it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SenderKind {
    /// A name; recipients cannot reply to it.
    Alphanumeric,
    /// A number that can be dialled from anywhere.
    International,
    /// A number that only the carriers of one country know: a short code, an access code, a national number.
    Short,
}

impl SenderKind {
    /// The SMPP type of number and numbering plan that most carriers expect for the kind (SMPP 3.4 sections 5.2.5 and
    /// 5.2.6): 5/0, 1/1 and 3/0. Some need 0/0 or 0/1 for short codes; this is set in the carrier's configuration.
    #[must_use]
    pub const fn ton_npi(self) -> (u8, u8) {
        match self {
            Self::Alphanumeric => (5, 0),
            Self::International => (1, 1),
            Self::Short => (3, 0),
        }
    }
}

/// The sender of a message, spelled as in `source_addr`: a number has no plus.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Sender {
    address: Box<str>,
    kind: SenderKind,
}

/// Why a text cannot be a sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum SenderError {
    /// Only spaces.
    #[error("the sender is empty")]
    Empty,
    /// More than [`ALPHANUMERIC_SEPTETS_MAX`] septets, or more digits than the kind of number has.
    #[error(
        "the sender is too long: a name has at most 11 characters, a number at most 15 digits after + or 00, else 20"
    )]
    TooLong,
    /// A character outside the GSM alphabet, a control or invisible character, or `@` among letters that are not ASCII:
    /// in the GSM alphabet `@` is the NUL octet, which ends the address.
    #[error("the sender has a character that is not in the GSM alphabet, or cannot stand in an address")]
    Alphabet,
}

impl Sender {
    /// Parses a sender; blanks around it are dropped. Line ends and other invisible characters are no blanks: a sender
    /// that contains one is refused.
    ///
    /// Digits after `+` or `00` are an international number. Bare digits are one as well if there are 9 to 15 and they
    /// can be: not those that begin with `0`, and not those that begin with `10`, which is no area code of +1 but the
    /// start of the access codes of Chinese carriers (`106…`). All other digits are a [`Short`](SenderKind::Short)
    /// number. Anything else is a name.
    ///
    /// # Errors
    /// See [`SenderError`].
    pub fn parse(written: &str) -> Result<Self, SenderError> {
        let written = trim_blanks(written);
        if written.is_empty() {
            return Err(SenderError::Empty);
        }
        let after_prefix = written.strip_prefix('+').or_else(|| written.strip_prefix("00"));
        if let Some(number) = after_prefix.filter(|number| is_number(number) && !number.starts_with('0')) {
            return Self::bounded(number, SenderKind::International, MSISDN_DIGITS_MAX);
        }
        if is_number(written) {
            let international = (SHORT_DIGITS_MAX + 1..=MSISDN_DIGITS_MAX).contains(&written.len())
                && !written.starts_with('0')
                && !written.starts_with("10");
            let kind = if international {
                SenderKind::International
            } else {
                SenderKind::Short
            };
            return Self::bounded(written, kind, DIGITS_MAX);
        }
        let ends_the_address = written.contains('@') && !written.is_ascii();
        if ends_the_address || written.chars().any(is_invisible) {
            return Err(SenderError::Alphabet);
        }
        match alphabet::septets(written) {
            None => Err(SenderError::Alphabet),
            Some(septets) if septets > ALPHANUMERIC_SEPTETS_MAX => Err(SenderError::TooLong),
            Some(_) => Ok(Self {
                address: written.into(),
                kind: SenderKind::Alphanumeric,
            }),
        }
    }

    fn bounded(digits: &str, kind: SenderKind, digits_max: usize) -> Result<Self, SenderError> {
        if digits.len() > digits_max {
            return Err(SenderError::TooLong);
        }
        Ok(Self {
            address: digits.into(),
            kind,
        })
    }

    /// Whether two senders have the same spelling or are one number in two spellings.
    #[must_use]
    pub fn same(one: &str, other: &str) -> bool {
        one == other || Self::parse(one).is_ok_and(|one| Self::parse(other).as_ref() == Ok(&one))
    }

    /// The address as in `source_addr`, before a name is encoded: digits without plus, or the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.address
    }

    /// The octets of `source_addr`: digits and ASCII names unchanged, as SMSCs expect; other names in the GSM alphabet.
    /// Never a NUL, at most 20.
    #[must_use]
    pub fn octets(&self) -> Cow<'_, [u8]> {
        if self.address.is_ascii() {
            return Cow::Borrowed(self.address.as_bytes());
        }
        // Parsing has checked the name.
        Cow::Owned(alphabet::encode_gsm7(&self.address).unwrap_or_default())
    }

    /// The kind of the address.
    #[must_use]
    pub const fn kind(&self) -> SenderKind {
        self.kind
    }

    /// See [`SenderKind::ton_npi`].
    #[must_use]
    pub const fn ton_npi(&self) -> (u8, u8) {
        self.kind.ton_npi()
    }
}

impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.address)
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests;
