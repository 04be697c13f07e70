//! Numbers as carriers write them: international, with a prefix in front, or as they are dialled in the country.

use super::{Msisdn, Plain, plain};

/// Prefixes in front of national numbers (ITU-T E.164, national trunk prefixes) other than `0`, by calling code. If the
/// prefix is empty, a leading zero is part of the number.
const TRUNK_PREFIXES: [(u16, &str); 7] = [
    (1, "1"),
    (7, "8"),
    (36, "06"),
    (39, ""),
    (375, "80"),
    (378, ""),
    (993, "8"),
];
/// Prefixes in front of international numbers other than `00`, by calling code.
const INTERNATIONAL_PREFIXES: [(u16, &str); 2] = [(1, "011"), (7, "810")];
/// Fewest digits of a national number without its prefix: shorter ones are short codes.
const NATIONAL_DIGITS_MIN: usize = 7;

/// The type of number that a carrier declares (SMPP 3.4 §5.2.5, `ton`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NumberType {
    /// National (2).
    National,
    /// International (1), or anything else: what most carriers declare for every number.
    #[default]
    Other,
}

/// The international numbers that `written` may mean, the likeliest first: at most two, none for a name or for digits
/// without an international reading. `country` is the calling code of the country whose national numbers the carrier
/// uses.
#[must_use]
pub fn readings(written: &str, kind: NumberType, country: Option<u16>) -> Vec<Msisdn> {
    let Some(Plain { digits, has_plus }) = plain(written) else {
        return Vec::new();
    };
    let mut readings = plain_readings(&digits, has_plus, kind, country);
    match readings.first() {
        Some(number) => {
            if let Some(other) = without_trunk_prefix(*number) {
                // Likelier than a national number that begins with a country code and a zero.
                readings.truncate(1);
                readings.push(other);
            }
        }
        // As dialled in North America, whose carriers write the numbers of all countries in this form.
        None => readings.extend(digits.strip_prefix("011").and_then(long_number)),
    }
    readings
}

fn plain_readings(digits: &str, plus: bool, kind: NumberType, country: Option<u16>) -> Vec<Msisdn> {
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
    let international = Msisdn::from_digits(digits);
    if let (Some(number), true) = (international, plus) {
        return vec![number];
    }
    let national = country.and_then(|country| national(digits, country));
    let readings = match (international, national) {
        (Some(international), Some(national)) if is_national(digits, kind, international, country) => {
            [Some(national), Some(international)]
        }
        both => [both.0, both.1],
    };
    let mut readings: Vec<Msisdn> = readings.into_iter().flatten().collect();
    readings.dedup();
    readings
}

fn long_number(digits: &str) -> Option<Msisdn> {
    Msisdn::from_digits(digits).filter(|_| digits.len() > NATIONAL_DIGITS_MIN)
}

/// An international number without the zero that is only dialled within the country. In some countries numbers begin
/// with a zero, so this is never the first reading.
fn without_trunk_prefix(number: Msisdn) -> Option<Msisdn> {
    let code = number.country_code()?;
    let digits = number.digits();
    let rest = digits.strip_prefix(&code.to_string())?.strip_prefix('0')?;
    let sound = trunk_prefix(code) == "0" && !rest.starts_with('0') && rest.len() >= NATIONAL_DIGITS_MIN;
    sound
        .then(|| Msisdn::from_digits(&format!("{code}{rest}")))
        .flatten()
}

/// The prefix that is dialled before national numbers of a country.
fn trunk_prefix(country: u16) -> &'static str {
    TRUNK_PREFIXES
        .into_iter()
        .find(|(code, _)| *code == country)
        .map_or("0", |(_, trunk)| trunk)
}

/// Whether digits with two readings are rather a national number.
fn is_national(digits: &str, kind: NumberType, international: Msisdn, country: Option<u16>) -> bool {
    match kind {
        // Some carriers declare "national" and still write the country code.
        NumberType::National => {
            international.country_code() != country || digits.len() < NATIONAL_DIGITS_MIN + 3
        }
        NumberType::Other => international.country_code().is_none(),
    }
}

/// A number as it is dialled within a country.
fn national(digits: &str, country: u16) -> Option<Msisdn> {
    let trunk = trunk_prefix(country);
    let (rest, dialled) = match digits.strip_prefix(trunk) {
        Some(rest) if !trunk.is_empty() => (rest, true),
        _ => (digits, digits.starts_with('0')),
    };
    let long_enough = rest.len() >= NATIONAL_DIGITS_MIN || (dialled && rest.len() >= 5);
    // In Italy a remaining zero is part of the number; elsewhere it is an error.
    let sound = trunk.is_empty() || !rest.starts_with('0');
    (long_enough && sound)
        .then(|| Msisdn::from_digits(&format!("{country}{rest}")))
        .flatten()
}

/// The spellings under which people may look for the number or code `written`, the nearest first: unchanged, its
/// digits, its international readings, and those of `country` as they are dialled there. Without case and separators.
#[must_use]
pub fn names(written: &str, kind: NumberType, country: Option<u16>) -> Vec<String> {
    let mut names = vec![name(written)];
    for number in readings(written, kind, country) {
        names.push(number.digits());
        if let Some(country) = country
            && let Some(rest) = number.digits().strip_prefix(&country.to_string())
        {
            let trunk = trunk_prefix(country);
            names.push(format!("{trunk}{rest}"));
            if rest.len() >= NATIONAL_DIGITS_MIN {
                names.push(rest.to_owned());
            }
        }
    }
    names
}

/// A number or code in the form for comparison: digits without separators, `+` or `00`; a name in lower case.
#[must_use]
pub fn name(written: &str) -> String {
    match plain(written) {
        Some(Plain { digits, .. }) => match digits.strip_prefix("00") {
            Some(rest) if Msisdn::from_digits(rest).is_some() => rest.to_owned(),
            _ => digits,
        },
        None => written.trim().to_lowercase(),
    }
}

#[cfg(test)]
mod tests;
