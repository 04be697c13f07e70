//! Single parameters by their type. Pure; as lenient as [`wire`](super::wire) is, and no more.

use super::api_error::ApiError;
use super::tree::{Members, Node};
use base64::engine::general_purpose::GeneralPurpose;
use base64::engine::{DecodePaddingMode, GeneralPurposeConfig};
use base64::{Engine as _, alphabet};
use engine::sms::visible::is_display_control;
use std::ops::RangeInclusive;

/// Most rows of a page: nothing is documented.
pub const ROWS_MAX: i64 = 1000;
/// Highest page: nothing is documented.
const PAGE_MAX: i64 = 1_000_000;
/// Base64 as clients produce it: with padding or without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A text, or a number or boolean as its text. `None` when it is not given or blank.
pub fn text<'m>(params: &'m Members<'_>, name: &'static str) -> Result<Option<&'m str>, ApiError> {
    params
        .get(name)
        .map(|node| node.as_text().ok_or(ApiError::Shape(name)))
        .transpose()
}

/// A text that must be given.
pub fn required<'m>(params: &'m Members<'_>, name: &'static str) -> Result<&'m str, ApiError> {
    text(params, name)?.ok_or(ApiError::Missing(name))
}

/// A text of so many characters.
pub fn bounded<'m>(
    params: &'m Members<'_>,
    name: &'static str,
    chars_max: usize,
) -> Result<Option<&'m str>, ApiError> {
    match text(params, name)? {
        Some(text) if text.chars().count() > chars_max => Err(ApiError::Value(name)),
        text => Ok(text),
    }
}

/// A name of at most so many characters. Names are shown in lists: what is obeyed rather than shown, such as line ends
/// and marks of direction, is no part of one.
pub fn name<'m>(
    params: &'m Members<'_>,
    name: &'static str,
    chars_max: usize,
) -> Result<Option<&'m str>, ApiError> {
    match bounded(params, name, chars_max)? {
        Some(text) if text.contains(is_display_control) => Err(ApiError::Value(name)),
        text => Ok(text),
    }
}

/// A whole number within a range, as a number or as its text.
pub fn integer(
    params: &Members<'_>,
    name: &'static str,
    range: RangeInclusive<i64>,
) -> Result<Option<i64>, ApiError> {
    let Some(text) = text(params, name)? else {
        return Ok(None);
    };
    let number = text.trim_ascii().parse().map_err(|_| ApiError::Shape(name))?;
    if range.contains(&number) {
        Ok(Some(number))
    } else {
        Err(ApiError::Value(name))
    }
}

/// A whole number that must be given.
pub fn required_integer(
    params: &Members<'_>,
    name: &'static str,
    range: RangeInclusive<i64>,
) -> Result<i64, ApiError> {
    integer(params, name, range)?.ok_or(ApiError::Missing(name))
}

/// A boolean, as `true` or its text. `1` and `0` are what PHP's clients make of one (contract section 1.2), and
/// `True` what Python's HTTP libraries do (section 1.3).
pub fn flag(params: &Members<'_>, name: &'static str) -> Result<Option<bool>, ApiError> {
    match text(params, name)? {
        None => Ok(None),
        Some("1") => Ok(Some(true)),
        Some("0") => Ok(Some(false)),
        Some(word) if word.eq_ignore_ascii_case("true") => Ok(Some(true)),
        Some(word) if word.eq_ignore_ascii_case("false") => Ok(Some(false)),
        Some(_) => Err(ApiError::Shape(name)),
    }
}

/// Texts: a list, or one alone. At least one, at most `max`.
pub fn texts(params: &Members<'_>, name: &'static str, max: usize) -> Result<Vec<String>, ApiError> {
    let texts = match params.get(name).ok_or(ApiError::Missing(name))? {
        Node::List(list) => list
            .iter()
            .map(|node| node.as_text().map(str::to_owned))
            .collect(),
        one => one.as_text().map(|one| vec![one.to_owned()]),
    };
    within(texts.ok_or(ApiError::Shape(name))?, name, max)
}

/// At least one, at most `max`.
pub fn within(texts: Vec<String>, name: &'static str, max: usize) -> Result<Vec<String>, ApiError> {
    match texts.len() {
        0 => Err(ApiError::Missing(name)),
        n if n > max => Err(ApiError::Value(name)),
        _ => Ok(texts),
    }
}

/// Octets behind Base64, whose lines may be wrapped.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let unwrapped: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    BASE64.decode(unwrapped).ok()
}

/// `Page`, from 0, and `NumPerPage`, of lists and statistics.
pub fn page(params: &Members<'_>) -> Result<(usize, usize), ApiError> {
    let page = required_integer(params, "Page", 0..=PAGE_MAX)?;
    let rows = required_integer(params, "NumPerPage", 1..=ROWS_MAX)?;
    Ok((
        usize::try_from(page).unwrap_or_default(),
        usize::try_from(rows).unwrap_or_default(),
    ))
}

/// `OrderType`; true is descending.
pub fn descending(params: &Members<'_>) -> Result<bool, ApiError> {
    match required(params, "OrderType")? {
        order if order.eq_ignore_ascii_case("asc") => Ok(false),
        order if order.eq_ignore_ascii_case("desc") => Ok(true),
        _ => Err(ApiError::Value("OrderType")),
    }
}

/// `AccountId` picks a channel at the vendor; here the key decides the account, and any whole number above 0 is
/// taken, as a number or a string (docs/dialects/uspeedo.md).
pub fn check_account_id(params: &Members<'_>) -> Result<(), ApiError> {
    const NAME: &str = "AccountId";
    let written = match params.get(NAME) {
        None => return Ok(()),
        // A client that holds numbers as floats writes `42.0`.
        Some(Node::Number(token)) => match token.split_once('.') {
            Some((whole, fraction)) if fraction.bytes().all(|b| b == b'0') => whole,
            _ => token,
        },
        Some(Node::Text(text)) => text.trim_ascii(),
        Some(_) => return Err(ApiError::Value(NAME)),
    };
    let digits = written.bytes().all(|b| b.is_ascii_digit());
    let above_0 = digits && written.parse::<i64>().is_ok_and(|id| id > 0);
    above_0.then_some(()).ok_or(ApiError::Value(NAME))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const X: &str = "X";

    fn with<T>(json: &str, read: impl Fn(&Members<'_>) -> T) -> T {
        let body = format!(r#"{{"X":{json}}}"#);
        read(&Members::from_json(body.as_bytes(), 1 << 20).unwrap())
    }

    #[test]
    fn whole_numbers_are_read_from_numbers_and_texts_within_their_range() {
        for (json, expected) in [
            ("1", Ok(Some(1))),
            (r#"" 3 ""#, Ok(Some(3))),
            ("null", Ok(None)),
            (r#""""#, Ok(None)),
            ("[]", Ok(None)),
            ("0", Err(ApiError::Value(X))),
            ("4", Err(ApiError::Value(X))),
            ("1.0", Err(ApiError::Shape(X))),
            (r#""one""#, Err(ApiError::Shape(X))),
            ("true", Err(ApiError::Shape(X))),
            ("[1]", Err(ApiError::Shape(X))),
            ("{}", Err(ApiError::Shape(X))),
            ("99999999999999999999", Err(ApiError::Shape(X))),
        ] {
            assert_eq!(with(json, |params| integer(params, X, 1..=3)), expected, "{json}");
        }
        assert_eq!(
            with("null", |params| required_integer(params, X, 1..=3)),
            Err(ApiError::Missing(X))
        );
    }

    #[test]
    fn an_account_id_is_a_whole_number_above_0() {
        let check = |json: &str| {
            let body = format!(r#"{{"AccountId":{json}}}"#);
            check_account_id(&Members::from_json(body.as_bytes(), 1 << 20).unwrap())
        };
        for taken in [
            "1",
            r#""1""#,
            r#"" 10001 ""#,
            "60000011",
            "42.0",
            "9223372036854775807",
            "null",
            r#""""#,
            "[]",
        ] {
            assert_eq!(check(taken), Ok(()), "{taken}");
        }
        for refused in [
            "0",
            "0.0",
            "-1",
            "-1.0",
            "1.5",
            "1e3",
            r#""1.0""#,
            "9223372036854775808",
            r#""0""#,
            r#""-1""#,
            r#""+1""#,
            r#""abc""#,
            r#""1a""#,
            r#"" ""#,
            "true",
            "[1]",
            "{}",
        ] {
            assert_eq!(check(refused), Err(ApiError::Value("AccountId")), "{refused}");
        }
    }

    #[test]
    fn booleans_are_read_as_clients_write_them() {
        for (json, expected) in [
            ("true", Ok(Some(true))),
            (r#""false""#, Ok(Some(false))),
            (r#""True""#, Ok(Some(true))),
            ("1", Ok(Some(true))),
            (r#""0""#, Ok(Some(false))),
            ("null", Ok(None)),
            (r#""yes""#, Err(ApiError::Shape(X))),
            ("2", Err(ApiError::Shape(X))),
            ("[true]", Err(ApiError::Shape(X))),
        ] {
            assert_eq!(with(json, |params| flag(params, X)), expected, "{json}");
        }
    }

    #[test]
    fn texts_are_a_list_or_one_alone() {
        for (json, expected) in [
            (r#"["a",2]"#, Ok(vec!["a".to_owned(), "2".to_owned()])),
            (r#""a""#, Ok(vec!["a".to_owned()])),
            (r#"["a","b","c"]"#, Err(ApiError::Value(X))),
            ("[]", Err(ApiError::Missing(X))),
            ("[null]", Err(ApiError::Shape(X))),
            ("[[]]", Err(ApiError::Shape(X))),
            (r#"{"a":"b"}"#, Err(ApiError::Shape(X))),
        ] {
            assert_eq!(with(json, |params| texts(params, X, 2)), expected, "{json}");
        }
    }

    #[test]
    fn base64_comes_padded_wrapped_or_bare() {
        for text in ["aGVsbG8=", "aGVsbG8", "aGVs\r\nbG8=\n"] {
            assert_eq!(decode(text).as_deref(), Some(b"hello".as_slice()), "{text:?}");
        }
        for text in ["?", "aGVsbG8-", "a"] {
            assert_eq!(decode(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_name_has_nothing_in_it_that_is_obeyed() {
        for (json, is_name) in [
            (r#""a b""#, true),
            (r#""❤️""#, true),
            (r#""a\u001b[31m""#, false),
            (r#""a\nb""#, false),
            (r#""\u202ea""#, false),
            (r#""a\u2067""#, false),
        ] {
            with(json, |params| {
                assert_eq!(name(params, X, 9).is_ok(), is_name, "{json}")
            });
        }
    }

    proptest! {
        /// Whatever is given, reading it is an answer: a value within its bounds, or a fault about that parameter.
        #[test]
        fn any_value_is_read_or_blamed(value in ".{0,12}", number in any::<i64>(), nested in any::<bool>()) {
            let value = serde_json::json!(value);
            let json = if nested { format!("[{value}]") } else { value.to_string() };
            let about_x = |fault| matches!(fault, ApiError::Shape(X) | ApiError::Value(X) | ApiError::Missing(X));
            for json in [json, number.to_string()] {
                with(&json, |params| {
                    match integer(params, X, -5..=5) {
                        Ok(number) => prop_assert!(number.is_none_or(|n| (-5..=5).contains(&n))),
                        Err(fault) => prop_assert!(about_x(fault)),
                    }
                    match bounded(params, X, 5) {
                        Ok(text) => prop_assert!(text.is_none_or(|t| t.chars().count() <= 5)),
                        Err(fault) => prop_assert!(about_x(fault)),
                    }
                    prop_assert!(flag(params, X).map_or_else(about_x, |_| true));
                    prop_assert!(texts(params, X, 3).map_or_else(about_x, |texts| texts.len() == 1));
                    Ok(())
                })?;
            }
        }

        #[test]
        fn octets_survive_base64(octets in prop::collection::vec(any::<u8>(), 0..100)) {
            prop_assert_eq!(decode(&BASE64.encode(&octets)), Some(octets));
        }

        #[test]
        fn reading_base64_never_panics(text in ".*") {
            let _ = decode(&text);
        }
    }
}
