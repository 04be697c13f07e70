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
pub(crate) enum Written<'a> {
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

impl<'a> Written<'a> {
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
pub(crate) struct Members<'a>(pub(crate) Vec<(Cow<'a, str>, &'a RawValue)>);

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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Written<'_> {
        Written::read(serde_json::from_str::<&RawValue>(json).unwrap()).unwrap()
    }

    #[test]
    fn values_are_told_apart_and_keep_what_is_written() {
        assert_eq!(read("null"), Written::Null);
        assert_eq!(read(r#""a b""#), Written::Text("a b".into()));
        assert_eq!(read(r#""\u5c0f\"""#), Written::Text("小\"".into()));
        assert_eq!(read("1234567890123456789012"), Written::Number("1234567890123456789012"));
        assert_eq!(read("-1.50"), Written::Number("-1.50"));
        assert_eq!(read("true").into_text().as_deref(), Some("true"));
        assert_eq!(read(r#"[ 1 ]"#), Written::Array("[ 1 ]"));
        assert_eq!(read(r#"{"a":1}"#), Written::Object(r#"{"a":1}"#));
        assert!(Written::read(serde_json::from_str(r#""\ud800""#).unwrap()).is_none());
    }

    #[test]
    fn whole_numbers_are_read_from_numbers_and_texts() {
        for (json, expected) in
            [("2336", Some(2336)), (r#""2336""#, Some(2336)), (r#"" 7 ""#, Some(7)), ("2336.0", None), ("1e3", None),
             ("true", None), (r#""x""#, None), ("99999999999999999999", None)]
        {
            assert_eq!(read(json).as_integer(), expected, "{json}");
        }
    }

    #[test]
    fn members_come_in_order_with_their_values_as_written() {
        let members: Members<'_> = serde_json::from_str(r#"{"b":1,"\u0061":[2],"b":null}"#).unwrap();
        let seen: Vec<_> = members.0.iter().map(|(name, value)| (&**name, value.get())).collect();
        assert_eq!(seen, [("b", "1"), ("a", "[2]"), ("b", "null")]);
        assert!(serde_json::from_str::<Members<'_>>("[1]").is_err());
    }

    #[test]
    fn depth_costs_nothing() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(200_000), "]".repeat(200_000));
        let members: Members<'_> = serde_json::from_str(&deep).unwrap();
        assert!(matches!(Written::read(members.0[0].1), Some(Written::Array(_))));
    }
}
