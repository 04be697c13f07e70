//! Who a message says it is from.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::alphabet;
use crate::phone::MSISDN_DIGITS_MAX;
use crate::visible::{is_unseen, trim_blanks};

/// Most septets of an alphanumeric sender: what the address field holds (3GPP TS 23.040 section 9.1.2.5).
/// A character of the extension table takes two.
pub const ALPHANUMERIC_SEPTETS_MAX: usize = 11;

/// Most digits of any numeric sender: SMPP's `source_addr` without its NUL (SMPP 3.4 section 5.2.8).
pub const DIGITS_MAX: usize = 20;

/// Most digits that are taken for a short code without looking further; in use are three to eight.
const SHORT_DIGITS_MAX: usize = 8;

/// What kind of address a sender is, and so what handsets and carriers do with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SenderKind {
    /// A name; cannot be answered.
    Alphanumeric,
    /// A number that can be dialled from anywhere.
    International,
    /// A number only the carriers of one country know: a short code, an access code, a national number.
    Short,
}

impl SenderKind {
    /// The SMPP type of number and numbering plan most carriers expect for the kind (SMPP 3.4 sections 5.2.5
    /// and 5.2.6): 5/0, 1/1 and 3/0. Some want 0/0 or 0/1 for short codes; a carrier's configuration then
    /// says so.
    #[must_use]
    pub const fn ton_npi(self) -> (u8, u8) {
        match self {
            Self::Alphanumeric => (5, 0),
            Self::International => (1, 1),
            Self::Short => (3, 0),
        }
    }
}

/// Who a message says it is from, spelled as it stands in `source_addr`: a number has no plus.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Sender {
    address: Box<str>,
    kind: SenderKind,
}

/// Why a text cannot be a sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum SenderError {
    /// There is nothing but spaces.
    #[error("the sender is empty")]
    Empty,
    /// More than [`ALPHANUMERIC_SEPTETS_MAX`] septets, or more digits than the kind of number has.
    #[error(
        "the sender is too long: a name has at most 11 characters, a number at most 15 digits after + or 00, else 20"
    )]
    TooLong,
    /// A character outside the GSM alphabet, a control or invisible character, or `@` among letters that are not ASCII:
    /// in the GSM alphabet it is the octet that ends the address.
    #[error("the sender has a character that is not in the GSM alphabet, or cannot stand in an address")]
    Alphabet,
}

impl Sender {
    /// Reads a sender; blanks around it are dropped. Line ends and other characters that nobody sees are no blanks: a
    /// sender with one anywhere is refused.
    ///
    /// Digits after `+` or `00` are an international number. Bare digits are one as well if there are 9 to 15
    /// and they can be: not those that begin with `0`, and not those that begin with `10`, which no area code of
    /// +1 does and the access codes of Chinese carriers (`106…`) do. All other digits are a
    /// [`Short`](SenderKind::Short) number. Anything else is a name.
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
        if ends_the_address || written.chars().any(is_unseen) {
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

    /// Whether two senders are written alike or are one number in two spellings.
    #[must_use]
    pub fn same(one: &str, other: &str) -> bool {
        one == other || Self::parse(one).is_ok_and(|one| Self::parse(other).as_ref() == Ok(&one))
    }

    /// The address as it stands in `source_addr`, before a name is encoded: digits without plus, or the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.address
    }

    /// The octets of `source_addr`: digits and names of ASCII characters as they are, which is what SMSCs read; other
    /// names in the GSM alphabet. Never a NUL, at most 20.
    #[must_use]
    pub fn octets(&self) -> Cow<'_, [u8]> {
        if self.address.is_ascii() {
            return Cow::Borrowed(self.address.as_bytes());
        }
        // Checked when it was parsed.
        Cow::Owned(alphabet::encode_gsm7(&self.address).unwrap_or_default())
    }

    /// What kind of address it is.
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
