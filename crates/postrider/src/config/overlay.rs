//! Merges a user's file into the defaults; complaints name key and line.

use super::mistake::{Mistake, Mistakes};
use super::renamed::{FormerName, present_name};
use super::wording::{is_secret, kind, notation, unknown_key};
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A merged file: the position of each key, and the mistakes.
#[derive(Debug, Default)]
pub(crate) struct Overlay {
    /// The positions of the file's keys, by path.
    places: Vec<(String, Range<usize>)>,
    /// Former names in the file, the paths that they mean, and their positions.
    former: Vec<(String, String, Range<usize>)>,
    /// Mistakes, unsorted.
    pub(crate) mistakes: Mistakes,
}

impl Overlay {
    /// The position of a key, if the file sets it.
    pub(crate) fn place(&self, path: &str) -> Option<&Range<usize>> {
        self.places
            .iter()
            .find(|(known, _)| known == path)
            .map(|(_, span)| span)
    }

    /// The former names in the file, in the order of its lines.
    pub(crate) fn former_names(&self, text: &str) -> Vec<FormerName> {
        let mut names: Vec<&(String, String, Range<usize>)> = self.former.iter().collect();
        names.sort_by_key(|(_, _, span)| span.start);
        let before = |span: &Range<usize>| text.as_bytes().get(..span.start).unwrap_or_default();
        names
            .into_iter()
            .map(|(former, present, span)| FormerName {
                line: 1 + before(span).iter().filter(|byte| **byte == b'\n').count(),
                former: former.clone(),
                present: present.clone(),
            })
            .collect()
    }
}

/// Replaces in `defaults` what `text` sets. Every key of `text` must exist in `defaults` with a value of the same
/// type, so that a misspelt name is an error and not a silent default. Invalid keys are skipped.
pub(crate) fn overlay(defaults: &mut toml::Table, text: &str) -> Overlay {
    let mut overlay = Overlay::default();
    let (parsed, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        overlay.mistakes.push(notation(text, error));
    }
    overlay.merge(defaults, parsed.get_ref(), "", &errors);
    overlay
}

impl Overlay {
    fn merge(
        &mut self,
        defaults: &mut toml::Table,
        file: &DeTable<'_>,
        prefix: &str,
        broken: &[toml::de::Error],
    ) {
        for (key, value) in file {
            let written = key.get_ref().as_ref();
            let present = present_name(prefix.trim_end_matches('.'), written);
            let name = present.unwrap_or(written);
            let path = format!("{prefix}{name}");
            if present.is_some() {
                let former = format!("{prefix}{written}");
                if file.contains_key(name) {
                    let what =
                        format!("`{former}` is the former name of `{path}`, which is set as well: remove it");
                    self.mistakes.push(Mistake::new(&key.span(), what).key(former));
                    continue;
                }
                self.former.push((former, path.clone(), key.span()));
            }
            let Some(default) = defaults.get_mut(name) else {
                let known: Vec<String> = defaults.keys().map(|key| format!("{prefix}{key}")).collect();
                let mistake = unknown_key(&key.span(), "", &path, known.iter().map(String::as_str));
                self.mistakes.push(mistake);
                continue;
            };
            self.places.push((path.clone(), key.span()));
            match (default, value.get_ref()) {
                (toml::Value::Table(inner), DeValue::Table(given)) => {
                    self.merge(inner, given, &format!("{path}."), broken);
                }
                (toml::Value::Table(_), given) => {
                    let what = format!("`{path}` is a section, not a value ({})", kind(given.type_str()));
                    self.mistakes.push(Mistake::new(&value.span(), what).key(path));
                }
                // The parser has complained about this already.
                _ if broken
                    .iter()
                    .any(|error| error.span().is_some_and(|at| touches(&at, &value.span()))) => {}
                (default, _) => match same_type(default, value, &path) {
                    Ok(value) => *default = value,
                    Err(mistake) => self.mistakes.push(*mistake),
                },
            }
        }
    }
}

fn touches(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.start <= b.end && b.start <= a.end
}

fn same_type(
    default: &toml::Value,
    given: &Spanned<DeValue<'_>>,
    path: &str,
) -> Result<toml::Value, Box<Mistake>> {
    let wrong = |span: &Range<usize>, what: String| Mistake::new(span, format!("`{path}` {what}")).key(path);
    match (default, given.get_ref()) {
        (toml::Value::String(_), DeValue::String(value)) => {
            Ok(toml::Value::String(value.as_ref().to_owned()))
        }
        (toml::Value::Boolean(_), DeValue::Boolean(value)) => Ok(toml::Value::Boolean(*value)),
        (toml::Value::Integer(_), DeValue::Integer(value)) => {
            i64::from_str_radix(value.as_str(), value.radix())
                .map(toml::Value::Integer)
                .map_err(|_| {
                    let mistake = wrong(&given.span(), "is too large".to_owned());
                    Box::new(mistake.value(value.to_string()))
                })
        }
        (toml::Value::Array(_), DeValue::Array(items)) => {
            // All lists of the configuration are lists of strings.
            let text_of = |item: &Spanned<DeValue<'_>>| match item.get_ref() {
                DeValue::String(value) => Ok(toml::Value::String(value.as_ref().to_owned())),
                other => {
                    let what = format!("must have strings in quotes, not {}", kind(other.type_str()));
                    Err(Box::new(wrong(&item.span(), what)))
                }
            };
            items
                .iter()
                .map(text_of)
                .collect::<Result<_, _>>()
                .map(toml::Value::Array)
        }
        (default, value) => {
            let expected = kind(default.type_str());
            let what = format!("must be {expected}, not {}", kind(value.type_str()));
            let mistake = wrong(&given.span(), what).expected(expected);
            Err(Box::new(match value {
                DeValue::Integer(number) if !is_secret(path) => mistake.value(number.to_string()),
                DeValue::String(text) if !is_secret(path) => mistake.value(format!("{text:?}")),
                _ => mistake,
            }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn defaults() -> toml::Table {
        toml::from_str(
            "[api]\nlisten = \"a\"\nbody_bytes_max = 4\n[api.tls]\ncert_file = \"\"\n[webhooks]\nallow = []\n",
        )
        .unwrap()
    }

    fn complaint(text: &str) -> String {
        overlay(&mut defaults(), text).mistakes.finish(text).to_string()
    }

    #[test]
    fn a_file_replaces_only_what_it_names() {
        let mut table = defaults();
        let overlay = overlay(&mut table, "[api]\nbody_bytes_max = 0x10");
        assert!(overlay.mistakes.is_empty());
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
            (
                "[colour]\n",
                "line 1: unknown key `colour`; there are `api`, `webhooks`",
            ),
            (
                "[api]\nlisten = 8080",
                "line 2: `api.listen` must be a string in quotes, not a whole number",
            ),
            (
                "[api]\nbody_bytes_max = \"4\"",
                "line 2: `api.body_bytes_max` must be a whole number, not a string in quotes",
            ),
            (
                "api = 3",
                "line 1: `api` is a section, not a value (a whole number)",
            ),
            (
                "[webhooks]\nallow = \"10.0.0.0/8\"",
                "line 2: `webhooks.allow` must be a list, not a string in quotes",
            ),
            (
                "[webhooks]\nallow = [\n  \"10.0.0.0/8\",\n  10,\n]",
                "line 4: `webhooks.allow` must have strings in quotes, not a whole number",
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
    fn former_names_are_accepted_and_reported_with_their_lines() {
        let mut table = defaults();
        let text = "[notify]\nallow = [\"10.0.0.0/8\"]\n";
        let overlay = overlay(&mut table, text);
        assert!(overlay.mistakes.is_empty());
        assert_eq!(table["webhooks"]["allow"].as_array().map(Vec::len), Some(1));
        let names = overlay.former_names(text);
        assert_eq!(
            names.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["line 1: `notify` is now `webhooks`; the former name is not accepted after this release"]
        );
    }

    #[test]
    fn a_setting_under_both_its_names_is_a_mistake() {
        assert_eq!(
            complaint("[webhooks]\nallow = []\n[notify]\nallow = []\n"),
            "line 3: `notify` is the former name of `webhooks`, which is set as well: remove it"
        );
    }

    #[test]
    fn all_mistakes_of_a_file_are_found_at_once() {
        assert_eq!(
            complaint("[api]\nlisten = \"a\"\nlisten = \"b\"\n"),
            "line 3: `listen` is set twice here: remove one of the two"
        );
        assert_eq!(
            complaint("[api]\nbody_bytes_max = 9\nbody_bytes_max = 8\n"),
            "line 3: `body_bytes_max` is set twice here: remove one of the two"
        );
        let message =
            complaint("[api]\nlistn = \"b\"\nbody_bytes_max = many\n[colour]\n[webhooks]\nallow = 3\n");
        let expected = [
            "line 2: unknown key `api.listn`; did you mean `api.listen`?",
            "line 3: `body_bytes_max`: a string needs quotes: body_bytes_max = \"many\"",
            "line 4: unknown key `colour`; there are `api`, `webhooks`",
            "line 6: `webhooks.allow` must be a list, not a whole number",
        ];
        assert_eq!(message, expected.join("\n  "));
    }

    proptest! {
        #[test]
        fn no_file_makes_it_panic(text in ".{0,200}") {
            let _ = overlay(&mut defaults(), &text);
        }
    }
}
