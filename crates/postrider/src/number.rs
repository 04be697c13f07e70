//! Phone numbers on the command line.

use sms::phone::carrier::{NumberType, readings};
use sms::phone::{Msisdn, Plain, plain, possible_numbers};
use std::str::FromStr;
use store::Catalog;

/// Minimum number of digits of a number.
const DIGITS_MIN: usize = 7;

/// The possible international numbers of a text: `+44…`, `0044…`, `(44)…` or digits with the country code first, in any
/// notation that [`plain`] accepts; national numbers (`07700…`) for the countries given. Empty when it is no number.
pub(crate) fn read(written: &str, countries: &[u16]) -> Vec<Msisdn> {
    let Some(Plain { digits, has_plus }) = plain(written).filter(|plain| plain.digits.len() >= DIGITS_MIN)
    else {
        return Vec::new();
    };
    if let Some(international) = digits.strip_prefix("00") {
        return Msisdn::from_digits(international).into_iter().collect();
    }
    if has_plus || !digits.starts_with('0') {
        return Msisdn::from_digits(&digits).into_iter().collect();
    }
    let mut found = Vec::new();
    for country in countries {
        for number in readings(&digits, NumberType::National, Some(*country)) {
            if !found.contains(&number) {
                found.push(number);
            }
        }
    }
    found
}

/// The possible numbers of a recipient: those of [`read`], and those of the APIs, for which eleven digits that
/// begin with 13 to 19 are a number of mainland China.
pub(crate) fn recipients(written: &str, countries: &[u16]) -> Vec<Msisdn> {
    let mut found = read(written, countries);
    for number in possible_numbers(written) {
        if !found.contains(&number) {
            found.push(number);
        }
    }
    found
}

/// An integer of a command line.
///
/// # Errors
/// When it is not an integer, or out of range.
pub(crate) fn whole<T: FromStr>(written: &str) -> Result<T, &'static str> {
    let written = written.trim();
    let digits = written.strip_prefix('-').unwrap_or(written);
    if digits.is_empty() || !digits.bytes().all(|octet| octet.is_ascii_digit()) {
        return Err("it must be a whole number");
    }
    written.parse().map_err(|_| "the number is out of range")
}

/// The countries of the carriers' national numbers.
pub(crate) fn countries(catalog: &Catalog) -> Vec<u16> {
    let mut countries: Vec<u16> = catalog
        .carriers
        .iter()
        .filter_map(|carrier| carrier.settings.get("country_code")?.as_str()?.parse().ok())
        .collect();
    countries.sort_unstable();
    countries.dedup();
    countries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_parsed_in_every_common_notation() {
        let expected = vec![Msisdn::from_digits("447700900123").unwrap()];
        for written in [
            "+447700900123",
            " +44 7700 900-123 ",
            "00447700900123",
            "447700900123",
            "(44)7700900123",
            "(+44) 7700 900 123",
            "07700 900123",
            "+44 (0)7700 900123",
        ] {
            assert_eq!(read(written, &[44]), expected, "{written}");
        }
        for none in [
            "",
            "12345",
            "hello",
            "1884160000000000001",
            "+44x7700900123",
            "07700900123_1",
        ] {
            assert!(read(none, &[44]).is_empty(), "{none}");
        }
        assert!(read("07700900123", &[]).is_empty(), "of no known country");
    }

    #[test]
    fn a_number_is_read_in_the_notations_that_it_is_looked_for_in() {
        let expected = Msisdn::from_digits("447700900123").unwrap();
        for written in [
            "+447700900123",
            "447700900123",
            "00447700900123",
            "(44)7700900123",
            "(+44) 7700 900 123",
            "(0044) 7700-900-123",
            "+44 (0)7700 900123",
            "+44.7700.900.123",
            "+44/7700/900123",
            "+44\u{a0}7700\u{a0}900123",
            "44  7700--900123",
            "tel:+44-7700-900-123",
        ] {
            assert_eq!(read(written, &[]), [expected], "{written}");
            assert_eq!(
                possible_numbers(written).collect::<Vec<_>>(),
                [expected],
                "{written}"
            );
        }
        for none in ["+", "4+47700900123", "44x7700900123", "447700900123,1", "(44"] {
            assert_eq!(read(none, &[]), [], "{none}");
            assert_eq!(possible_numbers(none).next(), None, "{none}");
        }
    }

    #[test]
    fn a_recipient_is_also_what_the_apis_make_of_it() {
        let number = |digits: &str| Msisdn::from_digits(digits).unwrap();
        assert!(recipients("13800138000", &[]).contains(&number("8613800138000")));
        assert_eq!(recipients("+447700900123", &[]), [number("447700900123")]);
        assert_eq!(recipients("nobody", &[]), []);
    }

    #[test]
    fn a_whole_number_is_complained_of_in_words() {
        assert_eq!(whole::<usize>(" 12 "), Ok(12));
        for (written, why) in [
            ("x", "it must be a whole number"),
            ("", "it must be a whole number"),
            ("1.5", "it must be a whole number"),
            ("-1", "the number is out of range"),
            ("99999999999999999999999", "the number is out of range"),
        ] {
            assert_eq!(whole::<usize>(written), Err(why), "{written}");
        }
    }
}
