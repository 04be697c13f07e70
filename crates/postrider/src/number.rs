//! A phone number as an operator types it.

use sms::phone::Msisdn;
use sms::phone::carrier::{NumberType, readings};
use store::Catalog;

/// Fewest digits of what is taken for a number.
const DIGITS_MIN: usize = 7;

/// The international numbers that a text can mean: `+44…`, `0044…`, `(44)…` or digits with the country code first, with
/// blanks, hyphens, dots and parentheses; national numbers (`07700…`) by the countries given. Empty for what is none.
pub(crate) fn read(written: &str, countries: &[u16]) -> Vec<Msisdn> {
    let written = written.trim();
    let has_plus = written.starts_with('+') || written.starts_with("(+");
    let only_number = written
        .chars()
        .all(|c| c.is_ascii_digit() || matches!(c, '+' | ' ' | '-' | '.' | '(' | ')' | '/' | '\u{a0}'));
    let digits: String = written.chars().filter(char::is_ascii_digit).collect();
    if !only_number || digits.len() < DIGITS_MIN {
        return Vec::new();
    }
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
    fn a_number_is_read_in_every_form_people_write_it() {
        let expected = vec![Msisdn::from_digits("447700900123").unwrap()];
        for written in [
            "+447700900123",
            " +44 7700 900-123 ",
            "00447700900123",
            "447700900123",
            "(44)7700900123",
            "(+44) 7700 900 123",
            "07700 900123",
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
}
