//! Fields of JSON bodies that say what a template, a signature or a label is to be.

use crate::json::RawJson;
use engine::sms::visible::is_display_control;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A value is of another kind than its field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FieldError;

/// A text; numbers count as written, `null` as not given.
pub(super) fn text<'a>(field: Option<&'a RawValue>) -> Result<Option<Cow<'a, str>>, FieldError> {
    match read(field)? {
        None => Ok(None),
        Some(value @ (RawJson::Text(_) | RawJson::Number(_))) => Ok(value.into_text()),
        Some(_) => Err(FieldError),
    }
}

/// A whole number, also as a text of digits.
pub(super) fn integer(field: Option<&RawValue>) -> Result<Option<i64>, FieldError> {
    match read(field)? {
        None => Ok(None),
        Some(value) => value.as_integer().map(Some).ok_or(FieldError),
    }
}

/// A truth, also as a text or as 0 or 1.
pub(super) fn boolean(field: Option<&RawValue>) -> Result<Option<bool>, FieldError> {
    let Some(written) = read(field)?.map(RawJson::into_text) else {
        return Ok(None);
    };
    match written.as_deref() {
        Some("true" | "1") => Ok(Some(true)),
        Some("false" | "0" | "") => Ok(Some(false)),
        _ => Err(FieldError),
    }
}

/// A name of so many characters, without blanks around it. Names are shown in lists: what is obeyed rather than shown,
/// such as line ends and marks of direction, is no part of one.
pub(super) fn name(
    field: Option<&RawValue>,
    chars: std::ops::RangeInclusive<usize>,
) -> Result<Option<Box<str>>, FieldError> {
    let Some(written) = text(field)? else {
        return Ok(None);
    };
    let name = written.trim();
    if chars.contains(&name.chars().count()) && !name.chars().any(is_display_control) {
        Ok(Some(name.into()))
    } else {
        Err(FieldError)
    }
}

fn read(field: Option<&RawValue>) -> Result<Option<RawJson<'_>>, FieldError> {
    let Some(raw) = field else { return Ok(None) };
    match RawJson::read(raw) {
        None => Err(FieldError),
        Some(RawJson::Null) => Ok(None),
        Some(value) => Ok(Some(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn raw(json: &str) -> &RawValue {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn values_are_read_as_callers_write_them() {
        for (json, expected) in [
            ("\"a\"", Ok(Some("a"))),
            ("17", Ok(Some("17"))),
            ("null", Ok(None)),
            ("true", Err(FieldError)),
            ("[]", Err(FieldError)),
            ("{}", Err(FieldError)),
            ("\"\\ud800\"", Err(FieldError)),
        ] {
            let read = text(Some(raw(json)));
            assert_eq!(
                read.as_ref().map(Option::as_deref),
                expected.as_ref().copied(),
                "{json}"
            );
        }
        for (json, expected) in [
            ("2", Ok(Some(2))),
            ("\"2\"", Ok(Some(2))),
            ("null", Ok(None)),
            ("2.5", Err(FieldError)),
            ("\"x\"", Err(FieldError)),
            ("true", Err(FieldError)),
        ] {
            assert_eq!(integer(Some(raw(json))), expected, "{json}");
        }
        for (json, expected) in [
            ("true", Ok(Some(true))),
            ("1", Ok(Some(true))),
            ("\"true\"", Ok(Some(true))),
            ("false", Ok(Some(false))),
            ("0", Ok(Some(false))),
            ("null", Ok(None)),
            ("2", Err(FieldError)),
            ("\"yes\"", Err(FieldError)),
            ("[]", Err(FieldError)),
        ] {
            assert_eq!(boolean(Some(raw(json))), expected, "{json}");
        }
        assert_eq!(
            (text(None), integer(None), boolean(None)),
            (Ok(None), Ok(None), Ok(None))
        );
    }

    #[test]
    fn names_are_counted_in_characters_without_the_blanks_around_them() {
        let name = |json: &str| name(Some(raw(json)), 2..=3);
        assert_eq!(name("\" 小明 \""), Ok(Some("小明".into())));
        assert_eq!(name("\"abc\""), Ok(Some("abc".into())));
        for wrong in [
            "\"a\"",
            "\"abcd\"",
            "\"  \"",
            "\"a\\u0000b\"",
            "\"a\\nb\"",
            "\"a\\u202eb\"",
            "[]",
        ] {
            assert_eq!(name(wrong), Err(FieldError), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_value_panics(json in prop_oneof![".{0,40}", "\"(\\\\[nu\"]|[a-z0-9]){0,12}\"", "-?[0-9.eE+]{1,30}"]) {
            if let Ok(raw) = serde_json::from_str::<&RawValue>(&json) {
                let field = Some(raw);
                let _ = (text(field), integer(field), boolean(field), name(field, 1..=8));
            }
        }
    }
}
