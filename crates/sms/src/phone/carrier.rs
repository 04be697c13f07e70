//! Numbers as carriers hand them over: international, with a prefix in front, or as they are dialled in the country.

use super::{MSISDN_DIGITS_MAX, Msisdn};

/// Prefixes in front of national numbers (ITU-T E.164, national trunk prefixes) where they are not `0`: by calling code.
/// Where it is empty, a leading zero is part of the number.
const TRUNK_PREFIXES: [(u16, &str); 7] = [
    (1, "1"),
    (7, "8"),
    (36, "06"),
    (39, ""),
    (375, "80"),
    (378, ""),
    (993, "8"),
];
/// Prefixes in front of international numbers where they are not `00`.
const INTERNATIONAL_PREFIXES: [(u16, &str); 2] = [(1, "011"), (7, "810")];
/// Fewest digits of a national number without its prefix that is taken for one: shorter ones are codes.
const NATIONAL_DIGITS_MIN: usize = 7;

/// What a carrier says of a number (SMPP 3.4 §5.2.5, `ton`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NumberType {
    /// National (2).
    National,
    /// International (1), or anything else: what most carriers say of every number.
    #[default]
    Other,
}

/// The international numbers that `written` may stand for, the likeliest first: at most two, none for a name or for what
/// has no international reading. `country` is the calling code of the country whose national numbers the carrier
/// uses.
#[must_use]
pub fn readings(written: &str, kind: NumberType, country: Option<u16>) -> Vec<Msisdn> {
    let Some((digits, plus)) = plain(written) else {
        return Vec::new();
    };
    let marked = digits.strip_prefix("00").or_else(|| {
        let (_, prefix) = INTERNATIONAL_PREFIXES
            .into_iter()
            .find(|(code, _)| Some(*code) == country)?;
        let rest = digits.strip_prefix(prefix)?;
        (rest.len() > NATIONAL_DIGITS_MIN).then_some(rest)
    });
    if let Some(number) = marked.and_then(Msisdn::from_digits) {
        return vec![number];
    }
    let international = Msisdn::from_digits(&digits);
    if let (Some(number), true) = (international, plus) {
        return vec![number];
    }
    let national = country.and_then(|country| national(&digits, country));
    let readings = match (international, national) {
        (Some(international), Some(national)) if is_national(&digits, kind, international, country) => {
            [Some(national), Some(international)]
        }
        both => [both.0, both.1],
    };
    let mut readings: Vec<Msisdn> = readings.into_iter().flatten().collect();
    readings.dedup();
    readings
}

/// Whether digits that can be read either way are rather a national number.
fn is_national(digits: &str, kind: NumberType, international: Msisdn, country: Option<u16>) -> bool {
    match kind {
        // Some say "national" and write the country's code all the same.
        NumberType::National => {
            international.country_code() != country || digits.len() < NATIONAL_DIGITS_MIN + 3
        }
        NumberType::Other => international.country_code().is_none(),
    }
}

/// A number as it is dialled within a country.
fn national(digits: &str, country: u16) -> Option<Msisdn> {
    let trunk = TRUNK_PREFIXES
        .into_iter()
        .find(|(code, _)| *code == country)
        .map_or("0", |(_, trunk)| trunk);
    let (rest, dialled) = match digits.strip_prefix(trunk) {
        Some(rest) if !trunk.is_empty() => (rest, true),
        _ => (digits, digits.starts_with('0')),
    };
    let long_enough = rest.len() >= NATIONAL_DIGITS_MIN || (dialled && rest.len() >= 5);
    // A zero that is left is part of the number in Italy, and a mistake elsewhere.
    let sound = trunk.is_empty() || !rest.starts_with('0');
    (long_enough && sound)
        .then(|| Msisdn::from_digits(&format!("{country}{rest}")))
        .flatten()
}

/// How `written` may be named by people who mean the same number or code, the nearest first: as it is, its digits, its
/// international readings, and those of `country` as they are dialled there. Without case and separators.
#[must_use]
pub fn names(written: &str, kind: NumberType, country: Option<u16>) -> Vec<String> {
    let mut names = vec![name(written)];
    for number in readings(written, kind, country) {
        names.push(number.digits());
        if let Some(country) = country
            && let Some(rest) = number.digits().strip_prefix(&country.to_string())
        {
            let trunk = TRUNK_PREFIXES
                .into_iter()
                .find(|(code, _)| *code == country)
                .map_or("0", |(_, trunk)| trunk);
            names.push(format!("{trunk}{rest}"));
            if rest.len() >= NATIONAL_DIGITS_MIN {
                names.push(rest.to_owned());
            }
        }
    }
    names
}

/// A number or code as it is compared: digits without separators, `+` or `00`; a name in lower case.
#[must_use]
pub fn name(written: &str) -> String {
    match plain(written) {
        Some((digits, _)) => match digits.strip_prefix("00") {
            Some(rest) if Msisdn::from_digits(rest).is_some() => rest.to_owned(),
            _ => digits,
        },
        None => written.trim().to_lowercase(),
    }
}

/// The digits of a number, and whether a plus was in front; `None` for what holds anything but digits and the
/// separators that people put between them.
fn plain(written: &str) -> Option<(String, bool)> {
    // "+44 (0)7700 …": the zero is only for those who dial within the country.
    let written = written.trim().replace("(0)", "");
    let digits = written.trim_start_matches('+');
    let plus = digits.len() < written.len();
    let digits: String = digits
        .chars()
        .filter(|character| !matches!(character, ' ' | '-' | '.' | '/' | '(' | ')' | '\u{A0}'))
        .collect();
    let is_number = (1..=2 * MSISDN_DIGITS_MAX).contains(&digits.len())
        && digits.bytes().all(|octet| octet.is_ascii_digit());
    is_number.then_some((digits, plus))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(written: &str, kind: NumberType, country: Option<u16>) -> Vec<String> {
        readings(written, kind, country)
            .into_iter()
            .map(Msisdn::digits)
            .collect()
    }

    #[test]
    fn numbers_come_in_any_form() {
        use NumberType::{National, Other};
        for (written, kind, country, numbers) in [
            ("447700900123", Other, None, &["447700900123"][..]),
            ("+447700900123", Other, None, &["447700900123"]),
            ("+44 7700 900-123", Other, None, &["447700900123"]),
            ("+44 (0)7700 900123", Other, None, &["447700900123"]),
            ("00447700900123", Other, None, &["447700900123"]),
            ("+00447700900123", Other, None, &["447700900123"]),
            ("00447700900123", National, Some(44), &["447700900123"]),
            ("+447700900123", National, Some(44), &["447700900123"]),
            ("07700900123", Other, Some(44), &["447700900123"]),
            ("07700900123", National, Some(44), &["447700900123"]),
            ("07700900123", Other, None, &[]),
            ("7700900123", National, Some(44), &["447700900123", "7700900123"]),
            ("7700900123", Other, Some(44), &["7700900123", "447700900123"]),
            (
                "447700900123",
                National,
                Some(44),
                &["447700900123", "44447700900123"],
            ),
            (
                "447700900123",
                Other,
                Some(44),
                &["447700900123", "44447700900123"],
            ),
            (
                "13800138000",
                National,
                Some(86),
                &["8613800138000", "13800138000"],
            ),
            ("15550100001", Other, Some(1), &["15550100001"]),
            ("5550100001", National, Some(1), &["15550100001", "5550100001"]),
            ("011447700900123", Other, Some(1), &["447700900123"]),
            ("89161234567", Other, Some(7), &["79161234567", "89161234567"]),
            ("810447700900123", Other, Some(7), &["447700900123"]),
            ("06301234567", Other, Some(36), &["36301234567"]),
            ("0612345678", Other, Some(39), &["390612345678"]),
            ("3123456789", National, Some(39), &["393123456789", "3123456789"]),
            ("10086", Other, Some(86), &["10086"]),
            ("Bank", Other, Some(44), &[]),
            ("12a", Other, None, &[]),
            ("", Other, Some(44), &[]),
            ("0", Other, Some(44), &[]),
            ("000", Other, Some(44), &[]),
            ("1234567890123456", Other, None, &[]),
        ] {
            assert_eq!(
                read(written, kind, country),
                numbers,
                "{written} {kind:?} {country:?}"
            );
        }
    }

    #[test]
    fn a_number_has_the_names_that_people_give_it() {
        let named = |written, country, name_of: &str| {
            names(written, NumberType::Other, country).contains(&name(name_of))
        };
        for written in ["447700900123", "+447700900123", "00447700900123", "07700900123"] {
            for entry in [
                "447700900123",
                "+44 7700 900123",
                "0044 7700 900123",
                "07700 900123",
                "7700900123",
            ] {
                assert!(named(written, Some(44), entry), "{written} as {entry}");
            }
        }
        assert!(named("10690", None, "10690") && named("+10690", Some(44), "10690"));
        assert!(named("SHOP", None, " shop "));
        assert!(
            !named("44123", Some(44), "123"),
            "a code is not a national number"
        );
        assert!(!named("447700900124", Some(44), "447700900123"));
    }

    proptest! {
        #[test]
        fn any_text_has_at_most_two_readings(written in any::<String>(), country in 0..1000u16, national: bool) {
            let kind = if national { NumberType::National } else { NumberType::Other };
            prop_assert!(readings(&written, kind, Some(country)).len() <= 2);
            prop_assert!(names(&written, kind, Some(country)).len() <= 7);
        }

        #[test]
        fn an_international_number_is_itself(digits in "[1-9][0-9]{7,14}") {
            let itself = Msisdn::from_digits(&digits).unwrap();
            for written in [digits.clone(), format!("+{digits}"), format!("00{digits}")] {
                prop_assert_eq!(readings(&written, NumberType::Other, None), vec![itself]);
            }
        }
    }
}
