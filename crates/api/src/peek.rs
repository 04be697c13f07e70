//! Finds one parameter in a body or a query without parsing the rest: the key and the action, before anything is allocated.
//!
//! A short body is read as it would be later. In a longer one the name is searched as text, which takes a fraction of a
//! millisecond for megabytes: what is found may stand in a value or deeper inside, so it only decides whether the body is
//! worth reading. Clients write the names in question plainly; one that is escaped in a long body is not found.

use form_urlencoded::parse;
use memchr::memmem::Finder as Search;
use serde::Deserializer as _;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// Bodies up to so many octets are read exactly.
pub const EXACT_BYTES_MAX: usize = 16 * 1024;
/// So many places of a name are looked at in a longer one.
const PLACES_MAX: usize = 16;
/// The longest value that is looked at there, in octets as written.
pub(crate) const VALUE_BYTES_MAX: usize = 1024;

/// A body without what may stand around it.
fn bare(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii()
}

/// A text among the parameters of a body, else of a query.
#[must_use]
pub fn text(body: &[u8], query: &[u8], name: &str) -> Option<String> {
    let mut found = None;
    any(body, query, name, |value| {
        found = Some(value.to_owned());
        true
    });
    found
}

/// Whether a parameter of a body, else of a query, passes.
pub fn any(body: &[u8], query: &[u8], name: &str, mut passes: impl FnMut(&str) -> bool) -> bool {
    let body = bare(body);
    let in_query = || in_form(query, name).filter(|value| !value.is_empty());
    if body.len() <= EXACT_BYTES_MAX {
        let found = if body.first() == Some(&b'{') {
            in_json(body, name)
        } else {
            in_form(body, name).map(Cow::into_owned)
        };
        let found = found.filter(|value| !value.is_empty());
        return found
            .map(Cow::Owned)
            .or_else(in_query)
            .is_some_and(|value| passes(&value));
    }
    let mut seen = false;
    let mut look = |value: Cow<'_, str>| {
        seen |= !value.is_empty();
        !value.is_empty() && passes(&value)
    };
    let passed = if body.first() == Some(&b'{') {
        json_places(body, name).any(&mut look)
    } else {
        form_places(body, name).any(&mut look)
    };
    passed || (!seen && in_query().is_some_and(|value| passes(&value)))
}

/// Whether a body is an object, a form, or nothing, without keeping anything of it.
#[must_use]
pub fn is_readable(body: &[u8]) -> bool {
    let body = bare(body);
    match body.first() {
        None => true,
        Some(b'{') => serde_json::from_slice::<IgnoredAny>(body).is_ok(),
        Some(_) => body.contains(&b'=') && std::str::from_utf8(body).is_ok(),
    }
}

fn in_form<'f>(form: &'f [u8], name: &str) -> Option<Cow<'f, str>> {
    parse(form)
        .find(|(known, _)| known == name)
        .map(|(_, value)| value)
}

fn in_json(body: &[u8], name: &str) -> Option<String> {
    let mut found = None;
    // What ends the reading early, an error or the name, makes no difference.
    let _ = serde_json::Deserializer::from_slice(body).deserialize_map(Member {
        name,
        found: &mut found,
    });
    found
}

/// Texts behind a quoted name and a colon.
fn json_places<'b>(body: &'b [u8], name: &str) -> impl Iterator<Item = Cow<'b, str>> + use<'b> {
    let quoted = format!("\"{name}\"");
    let ends = places(body, quoted.as_bytes());
    ends.filter_map(move |end| {
        let rest = body.get(end..)?.trim_ascii_start().strip_prefix(b":")?;
        let value = rest.trim_ascii_start().strip_prefix(b"\"")?;
        let value = value.get(..value.len().min(VALUE_BYTES_MAX))?;
        let end = value.iter().position(|octet| *octet == b'"')?;
        let value = std::str::from_utf8(value.get(..end)?).ok()?;
        if value.contains('\\') {
            return serde_json::from_str(&format!("\"{value}\"")).ok().map(Cow::Owned);
        }
        Some(Cow::Borrowed(value))
    })
}

/// Values of a field of a form.
fn form_places<'b>(body: &'b [u8], name: &str) -> impl Iterator<Item = Cow<'b, str>> + use<'b> {
    let field = format!("{name}=");
    let octets = field.len();
    places(body, field.as_bytes()).filter_map(move |end| {
        let begin = end.checked_sub(octets)?;
        let begins_a_field = begin == 0 || body.get(begin - 1) == Some(&b'&');
        let rest = body.get(begin..)?;
        let field = rest.split(|octet| *octet == b'&').next()?;
        if !begins_a_field || field.len() > octets + VALUE_BYTES_MAX {
            return None;
        }
        parse(field).next().map(|(_, value)| value)
    })
}

/// Where the first occurrences of a text end.
pub(crate) fn places<'b>(body: &'b [u8], text: &[u8]) -> impl Iterator<Item = usize> + use<'b> {
    let octets = text.len();
    let search = Search::new(text).into_owned();
    let mut from = 0;
    let next = move || {
        let at = from + search.find(body.get(from..)?)?;
        from = at + octets;
        Some(from)
    };
    std::iter::from_fn(next).take(PLACES_MAX)
}

/// Goes through the members of an object up to the one with a name.
struct Member<'f> {
    name: &'f str,
    found: &'f mut Option<String>,
}

impl<'de> Visitor<'de> for Member<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            if name == self.name {
                *self.found = map.next_value()?;
                return Ok(());
            }
            map.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{prop, prop_assert, prop_assert_eq, proptest};

    /// The same body, longer than what is read exactly.
    fn long_json(members: &str) -> String {
        format!("{{\"A\":[{}0],{members}}}", "0,".repeat(EXACT_BYTES_MAX))
    }

    #[test]
    fn a_member_is_found_in_bodies_of_any_length() {
        for (members, expected) in [
            (r#""PublicKey":"k""#, Some("k")),
            (r#""PublicKey" : "k+/=""#, Some("k+/=")),
            (r#""PublicKey":"\u006b""#, Some("k")),
            (r#""Signature":"s""#, None),
        ] {
            for body in [format!("{{{members}}}"), long_json(members)] {
                assert_eq!(
                    text(body.as_bytes(), b"", "PublicKey").as_deref(),
                    expected,
                    "{members}"
                );
            }
        }
        let filler = format!("{}&", "a=1&".repeat(EXACT_BYTES_MAX));
        for body in ["PublicKey=k%2B", &format!("{filler}PublicKey=k%2B&b=1")] {
            assert_eq!(text(body.as_bytes(), b"", "PublicKey").as_deref(), Some("k+"));
        }
    }

    #[test]
    fn the_body_comes_before_the_query() {
        for body in [
            "{\"PublicKey\":\"k\"}".to_owned(),
            long_json(r#""PublicKey":"k""#),
        ] {
            assert_eq!(
                text(body.as_bytes(), b"PublicKey=q", "PublicKey").as_deref(),
                Some("k")
            );
        }
        for body in [
            "{}".to_owned(),
            "{\"PublicKey\":\"\"}".to_owned(),
            long_json(r#""x":1"#),
        ] {
            assert_eq!(
                text(body.as_bytes(), b"PublicKey=q", "PublicKey").as_deref(),
                Some("q")
            );
        }
    }

    #[test]
    fn any_of_several_places_in_a_long_body_may_be_the_one() {
        let body = long_json(r#""T":{"PublicKey":"inside"},"PublicKey":"k""#);
        assert!(any(body.as_bytes(), b"", "PublicKey", |value| value == "k"));
        let flood = long_json(&r#""PublicKey":"x","#.repeat(10_000));
        let mut looked = 0;
        assert!(!any(flood.as_bytes(), b"", "PublicKey", |_| {
            looked += 1;
            false
        }));
        assert_eq!(looked, PLACES_MAX);
    }

    #[test]
    fn what_has_no_end_is_no_value() {
        let body = format!("{}\"PublicKey\":\"{}", long_json("\"a\":1"), "x".repeat(5000));
        assert_eq!(text(body.as_bytes(), b"", "PublicKey"), None);
        let form = format!("{}PublicKey={}", "a=1&".repeat(EXACT_BYTES_MAX), "x".repeat(5000));
        assert_eq!(text(form.as_bytes(), b"", "PublicKey"), None);
        assert_eq!(text(b"\"PublicKey\"", b"", "PublicKey"), None);
    }

    proptest! {
        #[test]
        fn a_parameter_is_found_as_it_was_written(
            pairs in prop::collection::vec(("[a-z]{1,3}", ".{1,20}"), 1..5),
            at in 0_usize..5,
        ) {
            let (name, _) = &pairs[at % pairs.len()];
            let (_, first) = pairs.iter().find(|(other, _)| other == name).unwrap();
            let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish();
            prop_assert_eq!(text(form.as_bytes(), b"", name), Some(first.clone()));
            prop_assert_eq!(text(b"", form.as_bytes(), name), Some(first.clone()));
            let members: Vec<String> = pairs
                .iter()
                .map(|(name, value)| format!("\"{name}\":{}", serde_json::json!(value)))
                .collect();
            let json = format!("{{{}}}", members.join(","));
            prop_assert_eq!(text(json.as_bytes(), b"", name), Some(first.clone()));
        }

        #[test]
        fn no_body_stops_the_search(
            octets in prop::collection::vec(0_u8.., 0..200),
            begin in prop::sample::select(vec!["", "{", "{\"k\":\"", "k=", "a=1&k=%"]),
            long: bool,
        ) {
            let mut body = begin.as_bytes().to_vec();
            body.extend(if long { vec![b' '; EXACT_BYTES_MAX] } else { Vec::new() });
            body.extend(b"\"k\":\"");
            body.extend(&octets);
            let mut looked = 0;
            any(&body, &octets, "k", |_| {
                looked += 1;
                false
            });
            prop_assert!(looked <= PLACES_MAX + 1, "{}", looked);
            let _ = is_readable(&body);
        }
    }
}
