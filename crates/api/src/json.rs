//! JSON as callers write it: text where a number is meant, numbers where a text is meant.
//!
//! Values are looked at as they stand in the request ([`RawValue`]), so that nothing is converted twice, a
//! number keeps its digits (`0123` in quotes, 19-digit ids), and depth costs nothing.

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// What a JSON value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RawJson<'a> {
    /// `null`.
    Null,
    /// A text, unescaped.
    Text(Cow<'a, str>),
    /// A number, as it is written.
    Number(&'a str),
    /// `true` or `false`, as it is written.
    Boolean(&'a str),
    /// An array, as it is written.
    Array(&'a str),
    /// An object, as it is written.
    Object(&'a str),
}

impl<'a> RawJson<'a> {
    /// Reads a value; `None` for a text that is not Unicode (half of a surrogate pair).
    pub(crate) fn read(raw: &'a RawValue) -> Option<Self> {
        let raw = raw.get().trim_ascii();
        Some(match raw.bytes().next()? {
            b'"' => Self::Text(unescape(raw)?),
            b'[' => Self::Array(raw),
            b'{' => Self::Object(raw),
            b't' | b'f' => Self::Boolean(raw),
            b'n' => Self::Null,
            _ => Self::Number(raw),
        })
    }

    /// The value where a text is meant: numbers and booleans as they are written.
    pub(crate) fn into_text(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Text(text) => Some(text),
            Self::Number(raw) | Self::Boolean(raw) => Some(Cow::Borrowed(raw)),
            Self::Null | Self::Array(_) | Self::Object(_) => None,
        }
    }

    /// The value where a whole number is meant: also as a text of digits.
    pub(crate) fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Text(text) => text.trim_ascii().parse().ok(),
            Self::Number(raw) => raw.parse().ok(),
            _ => None,
        }
    }
}

/// The text of a JSON string that is known to be well-formed but for its surrogates.
fn unescape(raw: &str) -> Option<Cow<'_, str>> {
    if raw.contains('\\') {
        return serde_json::from_str(raw).ok().map(Cow::Owned);
    }
    raw.strip_prefix('"')?.strip_suffix('"').map(Cow::Borrowed)
}

/// The members of a JSON object, in the order written, names repeated where the caller repeats them.
#[derive(Debug, Default)]
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some((name, value)) = map.next_entry::<&RawValue, &RawValue>()? {
            let name = unescape(name.get()).ok_or_else(|| A::Error::custom("a name that is not Unicode"))?;
            members.push((name, value));
        }
        Ok(Members(members))
    }
}

/// Reads a JSON object into a structure. serde alone would take an array for one, by position.
/// `None` when it is malformed, is no object, or names a field twice.
pub(crate) fn structure<'a, T: Deserialize<'a>>(json: &'a str) -> Option<T> {
    json.trim_ascii_start()
        .starts_with('{')
        .then(|| serde_json::from_str(json).ok())?
}

/// What an array as the value of a member means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrays {
    /// Nothing: it is malformed.
    Refused,
    /// Its first entry; nothing when it is empty.
    First,
}

/// Reads an object of texts, such as the values of variables: numbers and booleans count as written, `null` as not
/// given. `None` when it is malformed.
///
/// The whole may be `null` or `[]`, which is what PHP makes of an array without entries.
pub(crate) fn texts(raw: &RawValue, arrays: Arrays) -> Option<Vec<(Box<str>, Box<str>)>> {
    let members: Members<'_> = match RawJson::read(raw)? {
        RawJson::Object(object) => serde_json::from_str(object).ok()?,
        RawJson::Null => Members::default(),
        RawJson::Array(array) if is_empty_array(array) => Members::default(),
        _ => return None,
    };
    let mut texts = Vec::with_capacity(members.0.len());
    for (name, value) in members.0 {
        let value = match RawJson::read(value)? {
            RawJson::Array(array) if arrays == Arrays::First => {
                let entries: Vec<&RawValue> = serde_json::from_str(array).ok()?;
                entries
                    .first()
                    .map_or(Some(RawJson::Null), |first| RawJson::read(first))?
            }
            value => value,
        };
        if value != RawJson::Null {
            texts.push((Box::from(name), Box::from(value.into_text()?)));
        }
    }
    Some(texts)
}

/// Reads an object that is kept as it is written; `Some(None)` for `null` and for `[]` (see [`texts`]).
/// `None` when it is malformed or longer than `bytes_max`.
pub(crate) fn object(raw: &RawValue, bytes_max: usize) -> Option<Option<Box<str>>> {
    match RawJson::read(raw)? {
        RawJson::Null => Some(None),
        RawJson::Array(array) if is_empty_array(array) => Some(None),
        RawJson::Object(object) if object.len() <= bytes_max => Some(Some(Box::from(object))),
        _ => None,
    }
}

fn is_empty_array(array: &str) -> bool {
    serde_json::from_str::<[&RawValue; 0]>(array).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> RawJson<'_> {
        RawJson::read(serde_json::from_str::<&RawValue>(json).unwrap()).unwrap()
    }

    #[test]
    fn values_are_distinguished_and_keep_what_is_written() {
        assert_eq!(read("null"), RawJson::Null);
        assert_eq!(read(r#""a b""#), RawJson::Text("a b".into()));
        assert_eq!(read(r#""\u5c0f\"""#), RawJson::Text("小\"".into()));
        assert_eq!(
            read("1234567890123456789012"),
            RawJson::Number("1234567890123456789012")
        );
        assert_eq!(read("-1.50"), RawJson::Number("-1.50"));
        assert_eq!(read("true").into_text().as_deref(), Some("true"));
        assert_eq!(read(r#"[ 1 ]"#), RawJson::Array("[ 1 ]"));
        assert_eq!(read(r#"{"a":1}"#), RawJson::Object(r#"{"a":1}"#));
        assert!(RawJson::read(serde_json::from_str(r#""\ud800""#).unwrap()).is_none());
    }

    #[test]
    fn whole_numbers_are_read_from_numbers_and_texts() {
        for (json, expected) in [
            ("2336", Some(2336)),
            (r#""2336""#, Some(2336)),
            (r#"" 7 ""#, Some(7)),
            ("2336.0", None),
            ("1e3", None),
            ("true", None),
            (r#""x""#, None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(read(json).as_integer(), expected, "{json}");
        }
    }

    #[test]
    fn members_come_in_order_with_their_values_as_written() {
        let members: Members<'_> = serde_json::from_str(r#"{"b":1,"\u0061":[2],"b":null}"#).unwrap();
        let seen: Vec<_> = members
            .0
            .iter()
            .map(|(name, value)| (&**name, value.get()))
            .collect();
        assert_eq!(seen, [("b", "1"), ("a", "[2]"), ("b", "null")]);
        assert!(serde_json::from_str::<Members<'_>>("[1]").is_err());
    }

    #[test]
    fn a_structure_is_read_from_an_object_only() {
        #[derive(Deserialize)]
        struct One {
            n: u8,
        }
        assert_eq!(structure::<One>(" {\"n\":1} ").map(|one| one.n), Some(1));
        for other in ["[1]", "{\"n\":1,\"n\":1}", "{}", "", "{"] {
            assert!(structure::<One>(other).is_none(), "{other}");
        }
    }

    #[test]
    fn texts_are_read_as_callers_write_them() {
        let of = |json: &str, arrays| texts(serde_json::from_str(json).unwrap(), arrays);
        let one = |value: &str| Some(vec![(Box::from("sp"), Box::from(value))]);
        for (json, refused, first) in [
            (r#"{"sp":"a"}"#, one("a"), one("a")),
            (r#"{"sp":7.50}"#, one("7.50"), one("7.50")),
            (r#"{"sp":null}"#, Some(vec![]), Some(vec![])),
            (r#"{"sp":["a","b"]}"#, None, one("a")),
            (r#"{"sp":[]}"#, None, Some(vec![])),
            (r#"{"sp":[[]]}"#, None, None),
            (r#"{"sp":{}}"#, None, None),
            ("{}", Some(vec![]), Some(vec![])),
            (" [ ] ", Some(vec![]), Some(vec![])),
            ("null", Some(vec![]), Some(vec![])),
            ("[1]", None, None),
            ("7", None, None),
        ] {
            assert_eq!(of(json, Arrays::Refused), refused, "{json}");
            assert_eq!(of(json, Arrays::First), first, "{json}");
        }
    }

    #[test]
    fn objects_are_kept_as_written_within_their_bound() {
        let of = |json: &str| object(serde_json::from_str(json).unwrap(), 10);
        assert_eq!(of(r#"{ "k":"v"}"#), Some(Some(r#"{ "k":"v"}"#.into())));
        assert_eq!(of(r#"{ "k": "v"}"#), None);
        assert_eq!(
            (of("null"), of("[]"), of("[1]"), of("7")),
            (Some(None), Some(None), None, None)
        );
    }

    #[test]
    fn depth_costs_nothing() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(200_000), "]".repeat(200_000));
        let members: Members<'_> = serde_json::from_str(&deep).unwrap();
        assert!(matches!(RawJson::read(members.0[0].1), Some(RawJson::Array(_))));
    }
}
