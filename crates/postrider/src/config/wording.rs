//! Parser messages as messages for operators: without type names of a programming language, and with the valid values.

use super::mistake::Mistake;
use std::ops::Range;

/// The kind of a value for operators, from the format's name of the type.
pub(crate) fn kind(type_str: &str) -> &str {
    match type_str {
        "string" => "a string in quotes",
        "integer" => "a whole number",
        "boolean" => "true or false",
        "float" => "a number with a fraction",
        "datetime" => "a date",
        "array" => "a list",
        "table" => "a section",
        other => other,
    }
}

/// The kind of a JSON value, as in [`kind`].
pub(crate) fn kind_of(value: &serde_json::Value) -> &'static str {
    match value {
        serde_json::Value::Null => "nothing",
        serde_json::Value::Bool(_) => "true or false",
        serde_json::Value::Number(number) if number.is_f64() && !number.is_i64() && !number.is_u64() => {
            "a number with a fraction"
        }
        serde_json::Value::Number(_) => "a whole number",
        serde_json::Value::String(_) => "a string in quotes",
        serde_json::Value::Array(_) => "a list",
        serde_json::Value::Object(_) => "a section",
    }
}

/// A complaint about the value of one key, made from the deserializer's message.
///
/// `subject` is the entry of the key (`carrier "north"`), empty for none; `value` is shown unless it is a secret.
pub(crate) fn invalid_value(
    span: &Range<usize>,
    subject: &str,
    key: &str,
    value: Option<&serde_json::Value>,
    said: &str,
) -> Mistake {
    invalid_value_within(None, span, subject, key, value, said)
}

/// The same for a number with bounds that are narrower than those of its type.
pub(crate) fn invalid_value_within(
    bounds: Option<(u32, u32)>,
    span: &Range<usize>,
    subject: &str,
    key: &str,
    value: Option<&serde_json::Value>,
    said: &str,
) -> Mistake {
    let lead = if subject.is_empty() {
        format!("`{key}`")
    } else {
        format!("{subject}: `{key}`")
    };
    let given = value.filter(|_| !is_secret(key)).map(shown);
    let meant_for = |mistake: Mistake| match &given {
        Some(given) => mistake.key(key).value(given.clone()),
        None => mistake.key(key),
    };
    let shown = given.as_deref().unwrap_or("the given value");
    if let Some(unknown) = quoted_after(said, "unknown field `") {
        let known = choices(said);
        return meant_for(unknown_key(
            span,
            &format!("{lead}: "),
            unknown,
            known.iter().map(String::as_str),
        ));
    }
    if said.starts_with("unknown variant `") {
        let known = choices(said);
        let written = quoted_after(said, "unknown variant `").unwrap_or_default();
        let shown = if is_secret(key) {
            shown.to_owned()
        } else {
            format!("{written:?}")
        };
        let meant = nearest(written, known.iter().map(String::as_str)).map(str::to_owned);
        let all = known
            .iter()
            .map(|one| format!("\"{one}\""))
            .collect::<Vec<_>>()
            .join(", ");
        let hint = meant.as_ref().map(|near| format!("; did you mean \"{near}\"?"));
        let message = format!(
            "{lead} is {shown}; it must be one of {all}{}",
            hint.unwrap_or_default()
        );
        return meant_for(Mistake::new(span, message).expected(all).meant(meant.as_deref()));
    }
    if let Some((_, expected)) = said.split_once(", expected ")
        && (said.starts_with("invalid type: ") || said.starts_with("invalid value: "))
    {
        let expected = in_words_within(bounds, expected);
        // "must be a string, not an integer", but "is 70000; it must be 0 to 65535".
        let message = match (said.starts_with("invalid type: "), value) {
            (true, Some(value)) => format!("{lead} must be {}, not {}", expected.1, kind_of(value)),
            _ => format!("{lead} is {shown}; it must be {}", expected.0),
        };
        return meant_for(Mistake::new(span, message).expected(expected.0));
    }
    if let Some((count, expected)) = said
        .strip_prefix("invalid length ")
        .and_then(|rest| rest.split_once(", expected "))
    {
        let expected = if key.ends_with("_ton_npi") {
            "a list of 2 values, type of number and numbering plan, such as [1, 1]".to_owned()
        } else {
            in_words(expected).0
        };
        let values = if count == "1" { "value" } else { "values" };
        let message = format!("{lead} has {count} {values}; it must be {expected}");
        return meant_for(Mistake::new(span, message).expected(expected));
    }
    if let Some(missing) = quoted_after(said, "missing field `") {
        return Mistake::new(span, format!("{lead} has no `{missing}`")).key(format!("{key}.{missing}"));
    }
    meant_for(Mistake::new(span, format!("{lead}: {said}")))
}

/// A complaint about an unknown key, with the most similar known one, or all of them.
pub(crate) fn unknown_key<'a>(
    span: &Range<usize>,
    lead: &str,
    name: &str,
    known: impl Iterator<Item = &'a str> + Clone,
) -> Mistake {
    let near = nearest(name, known.clone());
    let hint = near.map_or_else(
        || {
            let all: Vec<String> = known.map(|key| format!("`{key}`")).collect();
            format!("; there are {}", all.join(", "))
        },
        |near| format!("; did you mean `{near}`?"),
    );
    Mistake::new(span, format!("{lead}unknown key `{name}`{hint}"))
        .key(name)
        .meant(near)
}

/// "; did you mean X?" or "; there are A, B" for an unknown name.
pub(crate) fn hint<'a>(name: &str, known: impl Iterator<Item = &'a str> + Clone) -> (Option<String>, String) {
    const LISTED_MAX: usize = 12;
    if let Some(near) = nearest(name, known.clone()) {
        return (Some(near.to_owned()), format!("; did you mean {near:?}?"));
    }
    let mut all: Vec<String> = known.map(|known| format!("{known:?}")).collect();
    all.sort();
    let more = all.len().saturating_sub(LISTED_MAX);
    all.truncate(LISTED_MAX);
    let said = match (all.is_empty(), more) {
        (true, _) => String::new(),
        (false, 0) => format!("; there are {}", all.join(", ")),
        (false, more) => format!("; there are {} and {more} more", all.join(", ")),
    };
    (None, said)
}

/// Whether the value of a key is a secret that must not be shown.
pub(crate) fn is_secret(key: &str) -> bool {
    let last = key.rsplit('.').next().unwrap_or(key);
    ["secret", "password", "master_key", "token", "authorization"]
        .iter()
        .any(|word| last.contains(word))
        && !last.ends_with("_env")
        && !last.ends_with("_file")
}

/// A value in the notation of files, cut when long.
pub(crate) fn shown(value: &serde_json::Value) -> String {
    const CHARS_MAX: usize = 80;
    let written = value.to_string();
    match written.char_indices().nth(CHARS_MAX) {
        Some((at, _)) => format!("{}…", written.get(..at).unwrap_or_default()),
        None => written,
    }
}

/// A syntax error: the parser's message in words for operators.
pub(crate) fn notation(text: &str, error: &toml::de::Error) -> Mistake {
    let span = error.span().unwrap_or_default();
    let said = error.message();
    if said == "duplicate key" {
        let key = text.get(span.clone()).unwrap_or_default().trim();
        let message = format!("`{key}` is set twice here: remove one of the two");
        return Mistake::new(&span, message).key(key);
    }
    let start = span.start.min(text.len());
    let line_start = text
        .get(..start)
        .and_then(|before| before.rfind('\n'))
        .map_or(0, |at| at + 1);
    let line = text
        .get(line_start..)
        .unwrap_or_default()
        .lines()
        .next()
        .unwrap_or_default()
        .trim();
    if let Some((key, value)) = line.split_once('=') {
        let (key, value) = (key.trim(), value.split('#').next().unwrap_or_default().trim());
        let is_word = !value.is_empty() && !value.contains(['"', '\'', '[', ']', '{', '}', '=']);
        let is_key = !key.is_empty()
            && key
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
        if is_word && is_key {
            let shown = if is_secret(key) { "…" } else { value };
            let expected = format!("{key} = \"{shown}\"");
            let message = format!("`{key}`: a string needs quotes: {expected}");
            let mistake = Mistake::new(&span, message).key(key).expected(expected);
            return if is_secret(key) {
                mistake
            } else {
                mistake.value(value)
            };
        }
        if is_key && value.is_empty() {
            return Mistake::new(&span, format!("`{key}` has no value")).key(key);
        }
    }
    let what = match said.split_once(", expected ") {
        Some((what, "nothing")) => what.to_owned(),
        _ => said.to_owned(),
    };
    Mistake::new(&span, format!("invalid TOML: {what}"))
}

/// As [`in_words`], with the bounds of a number.
fn in_words_within(bounds: Option<(u32, u32)>, expected: &str) -> (String, String) {
    let is_number =
        expected.starts_with(['u', 'i']) && expected.trim_start_matches(['u', 'i']).parse::<u8>().is_ok();
    match bounds.filter(|_| is_number) {
        Some((min, max)) => (
            format!("{min} to {max}"),
            format!("a whole number from {min} to {max}"),
        ),
        None => in_words(expected),
    }
}

/// The expectation of a deserializer: as a value ("0 to 65535") and as a kind of value ("a whole number from 0 to 65535").
fn in_words(expected: &str) -> (String, String) {
    let both = |words: &str| (words.to_owned(), words.to_owned());
    let range = |min: String, max: String| {
        (
            format!("{min} to {max}"),
            format!("a whole number from {min} to {max}"),
        )
    };
    match expected {
        "u8" => range("0".to_owned(), u8::MAX.to_string()),
        "u16" => range("0".to_owned(), u16::MAX.to_string()),
        "u32" => range("0".to_owned(), u32::MAX.to_string()),
        "u64" | "usize" | "u128" => (
            "a whole number that is not negative".to_owned(),
            "a whole number that is not negative".to_owned(),
        ),
        "i8" => range(i8::MIN.to_string(), i8::MAX.to_string()),
        "i16" => range(i16::MIN.to_string(), i16::MAX.to_string()),
        "i32" => range(i32::MIN.to_string(), i32::MAX.to_string()),
        "i64" | "isize" | "i128" => both("a whole number"),
        "f32" | "f64" => both("a number"),
        "a boolean" => both("true or false"),
        "a string" | "a borrowed string" | "string or table" | "variant identifier" | "string or map"
        | "a character" | "path string" | "identifier" => both("a string in quotes"),
        "a sequence" => both("a list"),
        "a map" => both("a section"),
        _ => {
            if let Some(size) = expected.strip_prefix("a tuple of size ") {
                return both(&format!("a list of {size} values"));
            }
            // serde's message about a list that is longer than a fixed length.
            if expected == "fewer elements in array" {
                return both("a shorter list");
            }
            if expected.starts_with("struct ") {
                return both("a section");
            }
            if expected.contains("enum") || expected.contains("variant") {
                return both("a string in quotes");
            }
            both(expected)
        }
    }
}

fn quoted_after<'a>(said: &'a str, lead: &str) -> Option<&'a str> {
    said.strip_prefix(lead)?.split('`').next()
}

/// The names in backticks after "expected".
fn choices(said: &str) -> Vec<String> {
    let expected = said
        .rsplit_once(", expected ")
        .map_or("", |(_, expected)| expected);
    expected
        .split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

/// The most similar known name, if it is similar enough.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let known: Vec<&str> = known.filter(|candidate| !candidate.is_empty()).collect();
    if name.is_empty() {
        return None;
    }
    if let Some(same) = known
        .iter()
        .find(|candidate| candidate.to_lowercase() == name.to_lowercase())
    {
        return Some(same);
    }
    // A missing unit or bound: `window` for `window_max`.
    let longer = known
        .iter()
        .filter(|candidate| candidate.starts_with(name) || name.starts_with(**candidate));
    if let Some(near) = longer.min_by_key(|candidate| candidate.len()) {
        return Some(near);
    }
    let (distance, near) = known
        .iter()
        .map(|candidate| (strsim::osa_distance(name, candidate), *candidate))
        .min()?;
    // With more than a third of the letters different it is another word.
    let length = name.chars().count().max(near.chars().count());
    let slips = length.div_ceil(3).max(if length > 2 { 2 } else { 1 });
    (distance <= slips).then_some(near)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde_json::json;

    #[derive(Debug, Default, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    #[allow(dead_code, reason = "only the error of the deserializer is checked")]
    struct Sample {
        port: u16,
        weight: Option<u32>,
        on: bool,
        text: String,
        list: Vec<String>,
        pair: (u8, u8),
        kind: Option<Kind>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        One,
        Other,
    }

    fn said(key: &str, value: serde_json::Value) -> String {
        let table = crate::apply::entry::toml_value(&json!({ key: value.clone() })).unwrap();
        let error = table.try_into::<Sample>().unwrap_err();
        invalid_value(&(0..0), "carrier \"n\"", key, Some(&value), error.message()).message
    }

    #[test]
    fn no_type_of_a_programming_language_is_in_what_is_said() {
        let cases = [
            (
                said("port", json!(70000)),
                "carrier \"n\": `port` is 70000; it must be 0 to 65535",
            ),
            (
                said("port", json!(-1)),
                "carrier \"n\": `port` is -1; it must be 0 to 65535",
            ),
            (
                said("port", json!("x")),
                "carrier \"n\": `port` must be a whole number from 0 to 65535, not a string in quotes",
            ),
            (
                said("weight", json!(1.5)),
                "carrier \"n\": `weight` must be a whole number from 0 to 4294967295, not a number with a fraction",
            ),
            (
                said("on", json!("yes")),
                "carrier \"n\": `on` must be true or false, not a string in quotes",
            ),
            (
                said("text", json!(7)),
                "carrier \"n\": `text` must be a string in quotes, not a whole number",
            ),
            (
                said("list", json!("a")),
                "carrier \"n\": `list` must be a list, not a string in quotes",
            ),
            (
                said("pair", json!([1])),
                "carrier \"n\": `pair` has 1 value; it must be a list of 2 values",
            ),
            (
                said("kind", json!("othr")),
                "carrier \"n\": `kind` is \"othr\"; it must be one of \"one\", \"other\"; did you mean \"other\"?",
            ),
        ];
        for (said, expected) in cases {
            assert_eq!(said, expected);
        }
    }

    #[test]
    fn a_secret_is_not_repeated() {
        let error = serde_json::from_value::<Sample>(json!({ "text": 4711 })).unwrap_err();
        let mistake = invalid_value(&(0..0), "", "password", Some(&json!(4711)), &error.to_string());
        assert!(
            mistake.value.is_none() && !mistake.message.contains("4711"),
            "{mistake:?}"
        );
    }

    #[test]
    fn the_nearest_name_is_found_but_no_other_word() {
        let known = ["window_max", "weight", "listen", "per_minute_max"];
        let near = |name| nearest(name, known.into_iter());
        assert_eq!(near("window"), Some("window_max"));
        assert_eq!(near("wieght"), Some("weight"));
        assert_eq!(near("Listen"), Some("listen"));
        assert_eq!(near("per_minute"), Some("per_minute_max"));
        assert_eq!(near("colour"), None);
        assert_eq!(near(""), None);
    }
}
