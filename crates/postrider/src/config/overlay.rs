//! Laying a user's file over the defaults, with errors that name the key and the line.

use std::fmt;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Something is wrong at a place of a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct At {
    /// Line, from 1.
    pub(crate) line: usize,
    /// What is wrong.
    pub(crate) what: String,
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

impl std::error::Error for At {}

impl At {
    /// At the line in which `span` begins.
    pub(crate) fn new(text: &str, span: &Range<usize>, what: impl Into<String>) -> Self {
        let before = text.as_bytes().get(..span.start).unwrap_or_default();
        let line = 1 + before.iter().filter(|octet| **octet == b'\n').count();
        Self {
            line,
            what: what.into(),
        }
    }

    /// From a parser's complaint.
    pub(crate) fn parsing(text: &str, error: &toml::de::Error) -> Self {
        Self::new(text, &error.span().unwrap_or_default(), error.message())
    }
}

/// Replaces in `defaults` what `text` sets. Every key of `text` must stand in `defaults` with a value of the same
/// type: that is what makes a misspelt name an error instead of a silent default.
///
/// # Errors
/// The first thing that is wrong, with its line.
pub(crate) fn overlay(defaults: &mut toml::Table, text: &str) -> Result<(), At> {
    let parsed = DeTable::parse(text).map_err(|error| At::parsing(text, &error))?;
    lay_over(defaults, parsed.get_ref(), text, "")
}

fn lay_over(defaults: &mut toml::Table, file: &DeTable<'_>, text: &str, prefix: &str) -> Result<(), At> {
    for (key, value) in file {
        let name = key.get_ref().as_ref();
        let path = format!("{prefix}{name}");
        let Some(default) = defaults.get_mut(name) else {
            return Err(At::new(
                text,
                &key.span(),
                unknown_key(&path, prefix, name, defaults.keys()),
            ));
        };
        match (default, value.get_ref()) {
            (toml::Value::Table(inner), DeValue::Table(given)) => {
                lay_over(inner, given, text, &format!("{path}."))?;
            }
            (toml::Value::Table(_), given) => {
                let what = format!("`{path}` is a section, not a value ({})", given.type_str());
                return Err(At::new(text, &value.span(), what));
            }
            (default, _) => *default = same_type(default, value, text, &path)?,
        }
    }
    Ok(())
}

fn same_type(
    default: &toml::Value,
    given: &Spanned<DeValue<'_>>,
    text: &str,
    path: &str,
) -> Result<toml::Value, At> {
    let wrong = |what: String| At::new(text, &given.span(), format!("`{path}` {what}"));
    match (default, given.get_ref()) {
        (toml::Value::String(_), DeValue::String(value)) => {
            Ok(toml::Value::String(value.as_ref().to_owned()))
        }
        (toml::Value::Boolean(_), DeValue::Boolean(value)) => Ok(toml::Value::Boolean(*value)),
        (toml::Value::Integer(_), DeValue::Integer(value)) => {
            i64::from_str_radix(value.as_str(), value.radix())
                .map(toml::Value::Integer)
                .map_err(|_| wrong("is too large".to_owned()))
        }
        (toml::Value::Array(_), DeValue::Array(items)) => {
            // The lists there are have texts in them.
            let text_of = |item: &Spanned<DeValue<'_>>| match item.get_ref() {
                DeValue::String(value) => Ok(toml::Value::String(value.as_ref().to_owned())),
                other => {
                    let what = format!("`{path}` wants texts in quotes, not {}", kind(other.type_str()));
                    Err(At::new(text, &item.span(), what))
                }
            };
            items
                .iter()
                .map(text_of)
                .collect::<Result<_, _>>()
                .map(toml::Value::Array)
        }
        (default, value) => Err(wrong(format!(
            "wants {}, not {}",
            kind(default.type_str()),
            kind(value.type_str())
        ))),
    }
}

fn kind(type_str: &str) -> &str {
    match type_str {
        "string" => "a text in quotes",
        "integer" => "a whole number",
        "boolean" => "true or false",
        "float" => "a number with a fraction",
        "array" => "a list",
        "table" => "a section",
        other => other,
    }
}

/// The complaint about a key nobody knows, with the nearest known one.
pub(crate) fn unknown_key<'a>(
    path: &str,
    prefix: &str,
    name: &str,
    known: impl Iterator<Item = &'a String>,
) -> String {
    match nearest(name, known) {
        Some(near) => format!("unknown key `{path}`; did you mean `{prefix}{near}`?"),
        None => format!("unknown key `{path}`"),
    }
}

/// The known name that is nearest to `name`, when it is near enough to be meant.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a String>) -> Option<&'a str> {
    let known: Vec<&str> = known.map(String::as_str).collect();
    // A forgotten unit or bound: `window` for `window_max`.
    let longer = known
        .iter()
        .filter(|candidate| candidate.starts_with(name) || name.starts_with(**candidate));
    if let Some(near) = longer.min_by_key(|candidate| candidate.len()) {
        return Some(near);
    }
    let (distance, near) = known
        .iter()
        .map(|candidate| (edits(name, candidate), *candidate))
        .min()?;
    // With more than a third of the letters wrong it is another word; two letters changing places count as two.
    let length = name.len().max(near.len());
    let slips = length.div_ceil(3).max(if length > 2 { 2 } else { 1 });
    (distance <= slips).then_some(near)
}

/// Letters to insert, remove or replace to come from `a` to `b` (Levenshtein).
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut left = i + 1;
        let mut above_left = i;
        let mut next = vec![left];
        for (to, above) in b.iter().zip(row.iter().skip(1)) {
            let replaced = above_left + usize::from(from != *to);
            left = replaced.min(above + 1).min(left + 1);
            above_left = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn defaults() -> toml::Table {
        toml::from_str(
            "[api]\nlisten = \"a\"\nbody_bytes_max = 4\n[api.tls]\ncert_file = \"\"\n[notify]\nallow = []\n",
        )
        .unwrap()
    }

    fn complaint(text: &str) -> String {
        overlay(&mut defaults(), text).unwrap_err().to_string()
    }

    #[test]
    fn a_file_replaces_only_what_it_names() {
        let mut table = defaults();
        overlay(&mut table, "[api]\nbody_bytes_max = 0x10").unwrap();
        assert_eq!(table["api"]["body_bytes_max"].as_integer(), Some(16));
        assert_eq!(table["api"]["listen"].as_str(), Some("a"));
    }

    #[test]
    fn complaints_name_the_line_the_key_and_the_nearest_known_one() {
        let cases = [
            (
                "[api]\n\nlistn = \"b\"",
                "line 3: unknown key `api.listn`; did you mean `api.listen`?",
            ),
            (
                "[api]\nbody_bytes = 1",
                "line 2: unknown key `api.body_bytes`; did you mean `api.body_bytes_max`?",
            ),
            (
                "[api.tsl]\ncert_file=\"\"",
                "line 1: unknown key `api.tsl`; did you mean `api.tls`?",
            ),
            ("[colour]\n", "line 1: unknown key `colour`"),
            (
                "[api]\nlisten = 8080",
                "line 2: `api.listen` wants a text in quotes, not a whole number",
            ),
            (
                "[api]\nbody_bytes_max = \"4\"",
                "line 2: `api.body_bytes_max` wants a whole number, not a text in quotes",
            ),
            ("api = 3", "line 1: `api` is a section, not a value (integer)"),
            (
                "[notify]\nallow = \"10.0.0.0/8\"",
                "line 2: `notify.allow` wants a list, not a text in quotes",
            ),
            (
                "[notify]\nallow = [\n  \"10.0.0.0/8\",\n  10,\n]",
                "line 4: `notify.allow` wants texts in quotes, not a whole number",
            ),
            (
                "[api]\nbody_bytes_max = 99999999999999999999",
                "line 2: `api.body_bytes_max` is too large",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(complaint(text), expected);
        }
        assert!(
            complaint("[api\n").starts_with("line 1: "),
            "{}",
            complaint("[api\n")
        );
    }

    #[test]
    fn distance_counts_letters() {
        assert_eq!(edits("", ""), 0);
        assert_eq!(edits("listen", "listn"), 1);
        assert_eq!(edits("kitten", "sitting"), 3);
    }

    proptest! {
        #[test]
        fn distance_is_a_distance(a in "[a-c]{0,6}", b in "[a-c]{0,6}", c in "[a-c]{0,6}") {
            prop_assert_eq!(edits(&a, &b), edits(&b, &a));
            prop_assert_eq!(edits(&a, &b) == 0, a == b);
            prop_assert!(edits(&a, &c) <= edits(&a, &b) + edits(&b, &c));
        }

        #[test]
        fn no_file_makes_it_panic(text in ".{0,200}") {
            let _ = overlay(&mut defaults(), &text);
        }
    }
}
