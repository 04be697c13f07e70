//! The JSON inside parameters: `vars`, `tos`, `code`, `tag`.

use crate::json::{self, Arrays, RawJson};
use engine::accept::Values;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Reads `vars`: a JSON object of texts; numbers and booleans count as written, `null` as not given.
///
/// `null` and `[]`, which is what PHP makes of an array without entries, are no variables.
/// `None` when it is malformed.
pub(super) fn read_values(written: &str) -> Option<Values> {
    let written = unmarked(written);
    let strict = serde_json::from_str(written).ok().and_then(values);
    strict.or_else(|| serde_json::from_str(&requote(written)?).ok().and_then(values))
}

fn values(vars: &RawValue) -> Option<Values> {
    json::texts(vars, Arrays::Refused).map(|texts| {
        if texts.is_empty() {
            Values::None
        } else {
            Values::Named(texts)
        }
    })
}

/// A text without the byte order mark that files of some editors begin with.
fn unmarked(written: &str) -> &str {
    written.trim_start_matches('\u{feff}')
}

/// One element of `tos`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct To {
    /// As written.
    pub(super) phone: Box<str>,
    /// Its variables.
    pub(super) values: Values,
}

/// Both members are obligatory; `vars` may be `{}`.
#[derive(Deserialize)]
struct ToParts<'a> {
    #[serde(borrow)]
    phone: &'a RawValue,
    #[serde(borrow)]
    vars: &'a RawValue,
}

/// Reads `tos`, the recipients of `sendx`. `None` when it is malformed.
pub(super) fn read_tos(written: &str) -> Option<Vec<To>> {
    let written = unmarked(written);
    tos(written).or_else(|| tos(&requote(written)?))
}

fn tos(written: &str) -> Option<Vec<To>> {
    let elements: Vec<&RawValue> = serde_json::from_str(written).ok()?;
    let read = |element: &RawValue| {
        let to: ToParts<'_> = json::structure(element.get())?;
        let phone = RawJson::read(to.phone)?.into_text()?;
        Some(To {
            phone: Box::from(phone.trim()),
            values: values(to.vars)?,
        })
    };
    elements.into_iter().map(read).collect()
}

/// Reads `code`: bare digits as every client sends them, or the page's sample `{"code":"123456"}`.
/// `None` when it is not four to six digits.
pub(super) fn read_code(written: &str) -> Option<Box<str>> {
    #[derive(Deserialize)]
    struct Sample<'a> {
        #[serde(borrow)]
        code: &'a RawValue,
    }
    let sample = || {
        let sample: Sample<'_> = json::structure(written)?;
        RawJson::read(sample.code)?
            .into_text()
            .map(|code| code.into_owned())
    };
    let code: Cow<'_, str> = if written.starts_with('{') {
        sample()?.into()
    } else {
        written.into()
    };
    let digits = (4..=6).contains(&code.len()) && code.bytes().all(|octet| octet.is_ascii_digit());
    digits.then(|| Box::from(code))
}

/// Whether a text is a JSON object.
pub(super) fn is_object(written: &str) -> bool {
    serde_json::from_str::<&RawValue>(written).is_ok_and(|raw| raw.get().trim_ascii_start().starts_with('{'))
}

/// Python's notation of dictionaries and lists as JSON: single quotes to double ones, `u` in front of them dropped.
///
/// The service's own sample for `sendx` sent what Python prints, so its reader took that; as a second try it can
/// change the meaning of nothing that is JSON. `None` when there is nothing to change.
fn requote(written: &str) -> Option<String> {
    if !written.contains('\'') {
        return None;
    }
    let mut out = String::with_capacity(written.len() + 8);
    let mut quote = None;
    let mut chars = written.chars().peekable();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None, 'u') if chars.peek().is_some_and(|next| matches!(next, '\'' | '"')) => {}
            (None, '\'' | '"') => {
                quote = Some(c);
                out.push('"');
            }
            (Some(open), _) if c == open => {
                quote = None;
                out.push('"');
            }
            (Some(_), '\\') => match chars.next() {
                Some('\'') => out.push('\''),
                Some(escaped) => out.extend(['\\', escaped]),
                None => out.push('\\'),
            },
            (Some(_), '"') => out.push_str("\\\""),
            _ => out.push(c),
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(pairs: &[(&str, &str)]) -> Option<Values> {
        Some(Values::Named(
            pairs
                .iter()
                .map(|(name, value)| (Box::from(*name), Box::from(*value)))
                .collect(),
        ))
    }

    #[test]
    fn variables_are_read_as_all_clients_write_them() {
        for (written, expected) in [
            (r#"{"name": "lucy"}"#, named(&[("name", "lucy")])),
            ("\u{feff}{\"name\": \"lucy\"}", named(&[("name", "lucy")])),
            (r#"{"%money%": "100"}"#, named(&[("%money%", "100")])),
            (r#"{"name": "\u5c0f\u660e"}"#, named(&[("name", "小明")])),
            (r#"{"n": 7, "yes": true}"#, named(&[("n", "7"), ("yes", "true")])),
            (r#"{"n": null, "m": "x"}"#, named(&[("m", "x")])),
            (
                r#"{'name': u'lu"cy', "it": 'o\'k'}"#,
                named(&[("name", "lu\"cy"), ("it", "o'k")]),
            ),
            ("{}", Some(Values::None)),
            (" [] ", Some(Values::None)),
            ("null", Some(Values::None)),
            ("[1]", None),
            ("[\"a\"]", None),
            ("\"text\"", None),
            ("7", None),
            (r#"{"n": {"m": "x"}}"#, None),
            (r#"{"n": ["x"]}"#, None),
            (r#"{"n": "x""#, None),
            (r#"{"n": "\ud800"}"#, None),
            ("lucy", None),
        ] {
            assert_eq!(read_values(written), expected, "{written}");
        }
    }

    #[test]
    fn tos_needs_phone_and_vars_of_every_element() {
        let to = |phone: &str, values: Option<Values>| To {
            phone: Box::from(phone),
            values: values.unwrap(),
        };
        let two = [
            to("13800138000", named(&[("%n%", "1")])),
            to("13900139000", Some(Values::None)),
        ];
        let json = r#"[{"phone":"13800138000","vars":{"%n%":"1"}},{"phone":"13900139000","vars":{}}]"#;
        assert_eq!(read_tos(json).unwrap(), two);
        let python =
            "[{'phone': '13800138000', 'vars': {'%n%': '1'}}, {'phone': u'13900139000', 'vars': {}}]";
        assert_eq!(read_tos(python).unwrap(), two);
        assert_eq!(
            read_tos(r#"[{"phone":13800138000,"vars":{}}]"#).unwrap()[0].phone,
            Box::from("13800138000")
        );
        for malformed in [
            "{}",
            "[{}]",
            r#"[{"phone":"1"}]"#,
            r#"[{"vars":{}}]"#,
            r#"[{"phone":["1"],"vars":{}}]"#,
            r#"[{"phone":"1","vars":"x"}]"#,
            r#"[["1",{}]]"#,
            "[1]",
            "x",
        ] {
            assert_eq!(read_tos(malformed), None, "{malformed}");
        }
    }

    #[test]
    fn a_code_is_four_to_six_digits_bare_or_as_in_the_sample() {
        for (written, expected) in [
            ("4826", Some("4826")),
            ("048265", Some("048265")),
            (r#"{"code": "123456"}"#, Some("123456")),
            (r#"{"code":1234}"#, Some("1234")),
            ("123", None),
            ("1234567", None),
            ("12a4", None),
            ("１２３４", None),
            (r#"{"code":"x"}"#, None),
            ("{}", None),
        ] {
            assert_eq!(read_code(written).as_deref(), expected, "{written}");
        }
    }

    #[test]
    fn a_tag_must_be_an_object() {
        assert!(is_object(r#"{"key1": "value1"}"#) && is_object("{}"));
        for other in ["", "x", "[]", "\"{}\"", "{", "{}{}", "null"] {
            assert!(!is_object(other), "{other}");
        }
    }
}
