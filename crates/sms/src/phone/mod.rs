//! Phone numbers: the parser of what clients write ([`parse`]) and the international number ([`Msisdn`]).
//!
//! A number is read by the grammar of the dialect it came in. Only the country code is checked: it must be one that
//! E.164 assigns, which changes about once in ten years. No check covers whether the number is in use or its length
//! fits its country, since no table in this crate is as current as the carriers'.

pub mod carrier;
mod country;
mod grammar;
mod plain;

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

pub use grammar::{Grammar, PhoneError, parse, possible_numbers};
pub use plain::{Plain, plain};

/// Most digits of an international number (ITU-T E.164 section 6.2.1).
pub const MSISDN_DIGITS_MAX: usize = 15;

/// An international phone number: the digits of E.164, country code first, without any prefix.
///
/// 1 to [`MSISDN_DIGITS_MAX`] digits, the first not zero. The lower bound admits a short code that a handset replied
/// to; [`parse`] requires more digits. The order is the numeric one, so the numbers of a country are *not* one range:
/// compare prefixes with [`has_prefix`](Self::has_prefix).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Msisdn(u64);

impl Msisdn {
    const VALUE_MAX: u64 = 10u64.pow(MSISDN_DIGITS_MAX as u32) - 1;

    /// The number with exactly these ASCII digits; `None` for anything else in the text, a leading zero, or a
    /// length outside 1 to [`MSISDN_DIGITS_MAX`].
    #[must_use]
    pub fn from_digits(digits: &str) -> Option<Self> {
        if digits.starts_with('0') || digits.len() > MSISDN_DIGITS_MAX {
            return None;
        }
        ascii_number(digits).map(Self)
    }

    /// The number whose digits, read as one integer, are `value`; `None` for zero and above fifteen digits.
    #[must_use]
    pub const fn from_u64(value: u64) -> Option<Self> {
        if value >= 1 && value <= Self::VALUE_MAX {
            Some(Self(value))
        } else {
            None
        }
    }

    /// The digits as one integer: the stored form of a number.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// The digits, without plus.
    #[must_use]
    pub fn digits(self) -> String {
        self.0.to_string()
    }

    /// The number as logs show it: a plus, the first digits, stars, the last digits (`+44770*****23`).
    #[must_use]
    pub fn masked(self) -> String {
        format!("+{}", mask(&self.digits()))
    }

    /// The number of digits: 1 to [`MSISDN_DIGITS_MAX`].
    #[must_use]
    pub const fn digit_count(self) -> usize {
        self.0.ilog10() as usize + 1
    }

    /// Whether the digits begin with `prefix`. The empty prefix matches every number, and text that is not ASCII digits
    /// matches none. Does not allocate.
    #[must_use]
    pub fn has_prefix(&self, prefix: &str) -> bool {
        if prefix.is_empty() {
            return true;
        }
        // No number begins with a zero, so equal values mean equal digits.
        !prefix.starts_with('0')
            && ascii_number(prefix).is_some_and(|value| self.leading(prefix.len()) == Some(value))
    }

    /// The first `count` digits as an integer; `None` when there are fewer.
    fn leading(self, count: usize) -> Option<u64> {
        let dropped = self.digit_count().checked_sub(count)?;
        Some(self.0 / 10u64.pow(u32::try_from(dropped).ok()?))
    }

    /// The ITU country calling code the number begins with (ITU-T E.164, list of assigned codes), or `None`
    /// for a number in no assigned code.
    #[must_use]
    pub fn country_code(self) -> Option<u16> {
        country::of(self).map(|country| country.code)
    }

    /// The ISO 3166-1 alpha-2 code of the country that administers the number's calling code, upper case.
    ///
    /// A dependent territory that shares its parent's code counts as the parent (Åland is `FI`). `None` if several
    /// countries share the code, such as +1, and for codes without a country (+800, +87x, +88x).
    #[must_use]
    pub fn country_iso(self) -> Option<&'static str> {
        country::of(self).and_then(|country| country.iso)
    }

    /// Whether this is a number of mainland China (+86); Hong Kong, Macao and Taiwan have codes of their own.
    #[must_use]
    pub fn is_mainland_china(self) -> bool {
        self.has_prefix("86")
    }

    /// Whether this is a mobile number of mainland China: `86`, then eleven digits that begin `13` to `19`.
    #[must_use]
    pub fn is_mainland_china_mobile(self) -> bool {
        self.digit_count() == 13 && matches!(self.leading(4), Some(8613..=8619))
    }
}

/// A written number, for logs: its digits, masked like those of [`Msisdn::masked`], and nothing else of the text. At
/// most [`MSISDN_DIGITS_MAX`] digits are read.
#[must_use]
pub fn masked(written: &str) -> String {
    let digits: String = written
        .chars()
        .filter(char::is_ascii_digit)
        .take(MSISDN_DIGITS_MAX)
        .collect();
    let plus = if written.trim_start().starts_with('+') {
        "+"
    } else {
        ""
    };
    format!("{plus}{}", mask(&digits))
}

fn mask(digits: &str) -> String {
    let count = digits.len();
    let (head, tail) = if count < 7 {
        (count / 3, 0)
    } else {
        (((count + 3) / 3).min(5), (count / 5).min(2))
    };
    let first = digits.get(..head).unwrap_or_default();
    let last = digits.get(count - tail..).unwrap_or_default();
    format!("{first}{}{last}", "*".repeat(count - head - tail))
}

/// The value of ASCII digits; `None` for an empty text, any other character, or more than 19 digits.
fn ascii_number(digits: &str) -> Option<u64> {
    // 19 digits always fit. `str::parse` alone would also take a plus sign.
    let plain = (1..=19).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    if plain { digits.parse().ok() } else { None }
}

impl fmt::Display for Msisdn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Msisdn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Msisdn({})", self.0)
    }
}

/// As a text of digits: fifteen digits would survive as a JSON number, but readers treat numbers as quantities.
impl Serialize for Msisdn {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Msisdn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let digits = String::deserialize(deserializer)?;
        Self::from_digits(&digits).ok_or_else(|| {
            de::Error::custom("a phone number is 1 to 15 digits, country code first, without plus")
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(digits: &str) -> Msisdn {
        Msisdn::from_digits(digits).unwrap()
    }

    #[test]
    fn only_one_to_fifteen_plain_digits_are_a_number() {
        for digits in [
            "",
            "0",
            "086",
            "+86",
            "86 1",
            "1234567890123456",
            "\u{ff11}\u{ff12}",
            "12a",
            "-1",
        ] {
            assert_eq!(Msisdn::from_digits(digits), None, "{digits:?}");
        }
        for digits in ["1", "10086", "447700900123", "999999999999999"] {
            assert_eq!(number(digits).digits(), digits);
        }
        assert_eq!(Msisdn::from_u64(0), None);
        assert_eq!(Msisdn::from_u64(1_000_000_000_000_000), None);
        assert_eq!(
            Msisdn::from_u64(999_999_999_999_999),
            Some(number("999999999999999"))
        );
    }

    #[test]
    fn country_codes_are_found_by_their_own_length() {
        for (digits, code, iso) in [
            ("15550123", Some(1), None),
            ("10000000001", Some(1), None),
            ("8613800138000", Some(86), Some("CN")),
            ("85255311111", Some(852), Some("HK")),
            ("886912345678", Some(886), Some("TW")),
            ("447700900123", Some(44), Some("GB")),
            ("923700056581", Some(92), Some("PK")),
            ("55212345780", Some(55), Some("BR")),
            ("77011234567", Some(7), Some("KZ")),
            ("79161234567", Some(7), Some("RU")),
            ("7", Some(7), None),
            ("20123456789", Some(20), Some("EG")),
            ("2111234567", Some(211), Some("SS")),
            ("88213123456", Some(882), None),
            ("80012345678", Some(800), None),
            ("99912345678", None, None),
            ("2141234567", None, None),
            ("2", None, None),
            ("86", Some(86), Some("CN")),
        ] {
            assert_eq!(
                (number(digits).country_code(), number(digits).country_iso()),
                (code, iso),
                "{digits}"
            );
        }
    }

    #[test]
    fn mainland_china_is_plus_86_alone() {
        for (digits, mainland, mobile) in [
            ("8613800138000", true, true),
            ("8619900138000", true, true),
            ("8612900138000", true, false),
            ("861380013800", true, false),
            ("86138001380001", true, false),
            ("861012345678", true, false),
            ("85255311111", false, false),
            ("85361234567", false, false),
            ("886912345678", false, false),
        ] {
            assert_eq!(number(digits).is_mainland_china(), mainland, "{digits}");
            assert_eq!(number(digits).is_mainland_china_mobile(), mobile, "{digits}");
        }
    }

    proptest! {
        #[test]
        fn a_number_has_exactly_the_prefixes_its_text_has(digits in "[1-9][0-9]{0,14}", other in "[0-9a+]{0,20}") {
            let number = number(&digits);
            prop_assert_eq!(number.has_prefix(&other), digits.starts_with(&other));
            for length in 0..=digits.len() {
                prop_assert!(number.has_prefix(&digits[..length]));
            }
        }

        #[test]
        fn a_number_reads_back_from_its_digits_and_its_stored_value(digits in "[1-9][0-9]{0,14}") {
            let number = number(&digits);
            prop_assert_eq!(number.to_string(), digits.clone());
            prop_assert_eq!(number.digit_count(), digits.len());
            prop_assert_eq!(Msisdn::from_u64(number.as_u64()), Some(number));
        }

        #[test]
        fn a_country_code_is_a_prefix_of_its_number(digits in "[1-9][0-9]{0,14}") {
            let number = number(&digits);
            if let Some(code) = number.country_code() {
                prop_assert!(number.has_prefix(&code.to_string()));
            } else {
                prop_assert_eq!(number.country_iso(), None);
            }
        }
    }

    #[test]
    fn a_masked_number_keeps_its_ends() {
        let masked_msisdn = |digits: &str| Msisdn::from_digits(digits).unwrap().masked();
        assert_eq!(masked_msisdn("447700900123"), "+44770*****23");
        assert_eq!(masked_msisdn("8613800138000"), "+86138******00");
        assert_eq!(masked_msisdn("10690"), "+1****");
        for (written, expected) in [
            ("+44 7700 900-123", "+44770*****23"),
            ("0044(7700)900123", "00447*******23"),
            ("call me at home", ""),
            ("", ""),
            ("12", "**"),
        ] {
            assert_eq!(masked(written), expected, "{written}");
        }
        for count in 1..=MSISDN_DIGITS_MAX {
            let digits = "1".repeat(count);
            let stars = masked_msisdn(&digits).matches('*').count();
            assert!(stars >= count.min(4).min(count / 2), "{count}: {stars}");
        }
    }
}
