//! Numbers without the separators that people and networks put between the digits.

use super::MSISDN_DIGITS_MAX;

/// The prefix of a number in a URI (RFC 3966).
const URI_SCHEME: &str = "tel:";

/// The digits of a written number, prefixes included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plain {
    /// One to thirty ASCII digits.
    pub digits: String,
    /// Whether a plus is in front: the country code comes first.
    pub has_plus: bool,
}

/// Parses a number as people, their files and carriers write it: grouped by blanks (also no-break ones), hyphens, dots,
/// slashes and parentheses, with or without a plus in front, as a `tel:` URI. `None` if there is any other character.
/// Every reader of numbers outside the grammar of a dialect uses this rule.
#[must_use]
pub fn plain(written: &str) -> Option<Plain> {
    // "+44 (0)7700 …": the zero is only dialled within the country.
    let written = written.trim().replace("(0)", "");
    let number = match written.split_at_checked(URI_SCHEME.len()) {
        Some((scheme, number)) if scheme.eq_ignore_ascii_case(URI_SCHEME) => number,
        _ => &written,
    };
    // "(+44) 7700 …"
    let number = number.strip_prefix('(').unwrap_or(number);
    let digits = number.trim_start_matches('+');
    let has_plus = digits.len() < number.len();
    let digits: String = digits
        .chars()
        .filter(|character| !matches!(character, ' ' | '-' | '.' | '/' | '(' | ')' | '\u{a0}'))
        .collect();
    let is_number = (1..=2 * MSISDN_DIGITS_MAX).contains(&digits.len())
        && digits.bytes().all(|octet| octet.is_ascii_digit());
    is_number.then_some(Plain { digits, has_plus })
}

#[cfg(test)]
mod tests {
    use super::super::Grammar;
    use super::super::carrier::{NumberType, readings};
    use super::super::{Msisdn, parse, possible_numbers};
    use proptest::prelude::*;
    use proptest::sample::select;

    #[test]
    fn every_reader_takes_the_same_notations() {
        let expected = Msisdn::from_digits("447700900123").unwrap();
        for written in [
            "+447700900123",
            "447700900123",
            "00447700900123",
            "(44)7700900123",
            "(+44) 7700 900 123",
            "(0044) 7700 900 123",
            "+44 (0)7700 900123",
            "+44.7700.900.123",
            "+44/7700/900123",
            "+44\u{a0}7700\u{a0}900123",
            "44  7700--900123",
            " tel:+44-7700-900-123 ",
        ] {
            assert_eq!(
                possible_numbers(written).collect::<Vec<_>>(),
                [expected],
                "{written}"
            );
            assert_eq!(
                readings(written, NumberType::Other, None),
                [expected],
                "{written}"
            );
        }
        for none in [
            "",
            "+",
            "44x7700900123",
            "4+47700900123",
            "447700900123,1",
            "nobody",
        ] {
            assert_eq!(possible_numbers(none).next(), None, "{none}");
            assert_eq!(readings(none, NumberType::Other, None), [], "{none}");
        }
    }

    proptest! {
        #[test]
        fn what_a_grammar_takes_is_among_the_possible_numbers(
            written in "[(]?[+]?0{0,2}[0-9]{1,4}[)]?[ -]?[0-9]{3,10}[ -]?[0-9]{0,3}",
            grammar in select(&Grammar::ALL[..])
        ) {
            if let Ok(number) = parse(&written, grammar) {
                prop_assert!(possible_numbers(&written).any(|possible| possible == number), "{}", written);
            }
        }
    }
}
