//! One entry of a catalog file: its keys, their positions, and the keys that are reset to their defaults.
//!
//! Parsing is lenient: a key with an invalid value is recorded as a mistake and skipped, so that one run finds all mistakes.

use super::plan::bounds_of;
use crate::config::{Mistake, Mistakes, invalid_value_within, unknown_key};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::{Map, Value};
use std::collections::HashSet;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Resets keys of an entry to their defaults: `reset = ["weight"]`.
pub(crate) const RESET: &str = "reset";

/// An entry as parsed from TOML, before its keys are deserialized.
#[derive(Default)]
pub(crate) struct RawEntry {
    /// The position of the entry.
    pub(crate) span: Range<usize>,
    /// Its keys with their values.
    pub(crate) values: Map<String, Value>,
    /// Keys to reset to their defaults.
    resets: Vec<(String, Range<usize>)>,
    /// The position of each key, by its path: `tls.ca_file`, `events[1]`.
    places: Vec<(String, Range<usize>)>,
    /// Keys with an invalid value, already recorded as mistakes.
    failed: HashSet<String>,
    /// Whether the entry has a syntax error: keys may be missing because of it.
    damaged: bool,
}

/// An entry whose keys were deserialized as `T`, every member of which is optional.
pub(crate) struct Entry<T> {
    /// The deserialized keys.
    pub(crate) keys: T,
    pub(crate) raw: RawEntry,
}

impl RawEntry {
    /// The position of a key, else of the nearest enclosing key or of the entry.
    pub(crate) fn at(&self, key: &str) -> Range<usize> {
        let mut path = key;
        loop {
            if let Some((_, span)) = self.places.iter().find(|(known, _)| known == path) {
                return span.clone();
            }
            match path.rfind(['.', '[']) {
                Some(end) => path = path.get(..end).unwrap_or_default(),
                None => return self.span.clone(),
            }
        }
    }

    /// Whether a key is reset to its default.
    pub(crate) fn resets(&self, key: &str) -> bool {
        self.resets.iter().any(|(name, _)| name == key)
    }

    /// The keys to reset, with their positions.
    pub(crate) fn reset_keys(&self) -> impl Iterator<Item = (&str, &Range<usize>)> {
        self.resets.iter().map(|(key, span)| (key.as_str(), span))
    }

    /// Whether a missing key needs no complaint because its value is invalid.
    pub(crate) fn is_excused(&self, key: &str) -> bool {
        self.damaged || self.failed.contains(key)
    }

    /// Records that the value of a key is invalid.
    pub(crate) fn fail(&mut self, key: &str) {
        self.values.remove(key);
        self.failed.insert(key.to_owned());
    }

    /// A text value.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.values.get(key)?.as_str()
    }
}

impl<T> Entry<T> {
    /// The position of a key.
    pub(crate) fn at(&self, key: &str) -> Range<usize> {
        self.raw.at(key)
    }

    /// The value of a key after the file is applied: that of the file; the default when the file resets the key or nothing is stored;
    /// else the stored value.
    pub(crate) fn value<V>(&self, key: &str, named: Option<V>, stored: Option<V>, default: V) -> V {
        match named {
            Some(named) => named,
            None if self.raw.resets(key) => default,
            None => stored.unwrap_or(default),
        }
    }
}

/// The parsed part of a file, and its mistakes.
pub(crate) struct Reader<'t> {
    text: &'t str,
    /// Positions of syntax errors.
    broken: Vec<Range<usize>>,
    pub(crate) mistakes: Mistakes,
}

impl<'t> Reader<'t> {
    /// Parses `text` as TOML. Records syntax errors as mistakes and keeps the rest.
    pub(crate) fn parse(text: &'t str) -> (Self, Spanned<DeTable<'t>>) {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let (document, errors) = DeTable::parse_recoverable(text);
        let mut reader = Self {
            text,
            broken: Vec::new(),
            mistakes: Mistakes::default(),
        };
        for error in &errors {
            let mistake = crate::config::notation(text, error);
            let span = error.span().unwrap_or_default();
            // One error makes the parser complain about the same line more than once.
            let line = |at: usize| {
                text.as_bytes()
                    .get(..at)
                    .map_or(0, |before| before.iter().filter(|o| **o == b'\n').count())
            };
            if reader
                .broken
                .last()
                .is_none_or(|last| line(last.start) != line(span.start))
            {
                reader.mistakes.push(mistake);
            }
            reader.broken.push(span);
        }
        (reader, document)
    }

    /// Whether a key of the root table follows a header that was not parsed.
    pub(crate) fn is_stray(&self, place: usize) -> bool {
        let is_header = |at: usize| {
            let before = self.text.get(..at).unwrap_or_default();
            let begin = before.rfind('\n').map_or(0, |end| end + 1);
            let line = self.text.get(begin..).unwrap_or_default();
            line.trim_start().starts_with('[')
        };
        let mut broken = self.broken.iter().map(|at| at.start);
        !is_header(place) && broken.any(|at| at < place && is_header(at))
    }

    /// The entries of `[[name]]` in a table. A single `[name]` is accepted, with a mistake.
    pub(crate) fn entries<'d>(
        &mut self,
        table: &'d DeTable<'t>,
        name: &str,
        written: &str,
    ) -> Vec<(Range<usize>, &'d DeTable<'t>)> {
        let Some(value) = table.get(name) else {
            return Vec::new();
        };
        let not_tables = |span: &Range<usize>| {
            Mistake::new(
                span,
                format!("`{name}` is a list of entries: start each with [[{written}]]"),
            )
            .key(name)
        };
        match value.get_ref() {
            DeValue::Array(items) => items
                .iter()
                .filter_map(|item| match item.get_ref() {
                    DeValue::Table(table) => Some((item.span(), table)),
                    _ => {
                        self.mistakes.push(not_tables(&item.span()));
                        None
                    }
                })
                .collect(),
            DeValue::Table(table) => {
                self.mistakes.push(not_tables(&value.span()));
                vec![(value.span(), table)]
            }
            _ => {
                self.mistakes.push(not_tables(&value.span()));
                Vec::new()
            }
        }
    }

    /// An entry with its keys unparsed. `nested` are the lists of entries within it.
    pub(crate) fn raw(
        &mut self,
        span: Range<usize>,
        table: &DeTable<'t>,
        nested: &[&str],
        subject: &str,
    ) -> RawEntry {
        let mut entry = RawEntry {
            damaged: self.is_damaged(span.start),
            span,
            ..RawEntry::default()
        };
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            if nested.contains(&name) {
                continue;
            }
            if name == RESET {
                self.resets(&mut entry, value, subject);
                continue;
            }
            entry.places.push((name.to_owned(), key.span()));
            let (begin, end) = (value.span().start, value.span().end);
            if self.broken.iter().any(|at| at.start <= end && begin <= at.end) {
                // The parser has complained about this already.
                entry.fail(name);
                continue;
            }
            match json(value, name, &mut entry.places) {
                Ok(value) => {
                    entry.values.insert(name.to_owned(), value);
                }
                Err((span, path, why)) => {
                    let mistake = Mistake::new(&span, format!("{subject}: `{path}` {why}")).key(path);
                    self.mistakes.push(mistake);
                    entry.fail(name);
                }
            }
        }
        entry
    }

    fn resets(&mut self, entry: &mut RawEntry, value: &Spanned<DeValue<'t>>, subject: &str) {
        let wrong = |span: &Range<usize>| {
            let message =
                format!("{subject}: `{RESET}` must be a list of keys, such as {RESET} = [\"weight\"]");
            Mistake::new(span, message).key(RESET)
        };
        let DeValue::Array(items) = value.get_ref() else {
            return self.mistakes.push(wrong(&value.span()));
        };
        for item in items.iter() {
            match item.get_ref().as_str() {
                Some(key) => entry.resets.push((key.to_owned(), item.span())),
                None => self.mistakes.push(wrong(&item.span())),
            }
        }
    }

    /// Deserializes an entry's keys as `T`. `may_reset` are the keys that have a default.
    pub(crate) fn read<T>(&mut self, mut raw: RawEntry, subject: &str, may_reset: &[&str]) -> Entry<T>
    where
        T: Default + DeserializeOwned,
    {
        let known = keys_of::<T>();
        if let Ok(keys) = read_as::<T>(&raw.values) {
            self.check_resets(&raw, subject, known, may_reset);
            return Entry { keys, raw };
        }
        for (key, value) in raw.values.clone() {
            if !known.contains(&key.as_str()) {
                let names = known.iter().copied().chain(std::iter::once(RESET));
                let mistake = unknown_key(&raw.at(&key), &format!("{subject}: "), &key, names);
                self.mistakes.push(mistake);
                raw.values.remove(&key);
                continue;
            }
            let alone = Map::from_iter([(key.clone(), value.clone())]);
            if let Err(error) = read_as::<T>(&alone) {
                self.mistakes.push(at_path(&raw, subject, &value, &error));
                raw.fail(&key);
            }
        }
        self.check_resets(&raw, subject, known, may_reset);
        let keys = read_as::<T>(&raw.values).unwrap_or_default();
        Entry { keys, raw }
    }

    fn check_resets(&mut self, raw: &RawEntry, subject: &str, known: &[&str], may_reset: &[&str]) {
        for (key, span) in raw.reset_keys() {
            if let Some(mistake) = reset_mistake(raw, span, subject, key, known, may_reset) {
                self.mistakes.push(mistake);
            }
        }
    }

    /// Whether there is a syntax error between the header at `start` and the next one.
    fn is_damaged(&self, start: usize) -> bool {
        if self.broken.is_empty() {
            return false;
        }
        let rest = self.text.get(start..).unwrap_or_default();
        let next = rest
            .match_indices("\n[")
            .next()
            .map_or(self.text.len(), |(at, _)| start + at);
        self.broken.iter().any(|at| (start..=next).contains(&at.start))
    }
}

/// Why a key cannot be reset, if so.
pub(crate) fn reset_mistake(
    raw: &RawEntry,
    span: &Range<usize>,
    subject: &str,
    key: &str,
    known: &[&str],
    may_reset: &[&str],
) -> Option<Mistake> {
    if !known.contains(&key) {
        let mistake = unknown_key(
            span,
            &format!("{subject}: `{RESET}`: "),
            key,
            may_reset.iter().copied(),
        );
        return Some(mistake);
    }
    let why = if !may_reset.contains(&key) {
        "has no default"
    } else if raw.values.contains_key(key) {
        "is set as well: remove one of the two"
    } else {
        return None;
    };
    Some(Mistake::new(span, format!("{subject}: `{RESET}`: `{key}` {why}")).key(key))
}

/// A mistake in the value of a key, or within it.
pub(crate) fn at_path(raw: &RawEntry, subject: &str, value: &Value, error: &ReadError) -> Mistake {
    let path = error.path().to_string();
    let within = path
        .find(['.', '['])
        .and_then(|at| path.get(at..))
        .unwrap_or_default();
    let pointer = within.replace(['.', '['], "/").replace(']', "");
    let value = value.pointer(&pointer);
    let said = error.inner().message();
    invalid_value_within(bounds_of(&path), &raw.at(&path), subject, &path, value, said)
}

/// An invalid value and its path in the entry.
pub(crate) type ReadError = serde_path_to_error::Error<toml::de::Error>;

/// Deserializes members as a type. Absent ones (`null`) are left out, since TOML has no null.
///
/// # Errors
/// The first member that is invalid.
pub(crate) fn read_as<T: DeserializeOwned>(members: &Map<String, Value>) -> Result<T, ReadError> {
    serde_path_to_error::deserialize(toml::Value::Table(toml_table(members)))
}

fn toml_table(members: &Map<String, Value>) -> toml::Table {
    let members = members.iter();
    members
        .filter_map(|(name, value)| Some((name.clone(), toml_value(value)?)))
        .collect()
}

/// A JSON value as TOML; `None` for what TOML cannot express.
pub(crate) fn toml_value(value: &Value) -> Option<toml::Value> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(yes) => toml::Value::Boolean(*yes),
        Value::Number(number) => match number.as_i64() {
            Some(number) => toml::Value::Integer(number),
            None => toml::Value::Float(number.as_f64()?),
        },
        Value::String(text) => toml::Value::String(text.clone()),
        Value::Array(items) => toml::Value::Array(items.iter().filter_map(toml_value).collect()),
        Value::Object(members) => toml::Value::Table(toml_table(members)),
    })
}

/// The names of the members of a type, in the order of declaration.
pub(crate) fn keys_of<'de, T: Deserialize<'de>>() -> &'static [&'static str] {
    struct Fields<'a>(&'a mut &'static [&'static str]);
    impl<'de> Deserializer<'de> for Fields<'_> {
        type Error = serde::de::value::Error;

        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
            Err(serde::de::Error::custom(
                "only the names of the members are needed",
            ))
        }

        fn deserialize_struct<V: Visitor<'de>>(
            self,
            _: &'static str,
            fields: &'static [&'static str],
            visitor: V,
        ) -> Result<V::Value, Self::Error> {
            *self.0 = fields;
            self.deserialize_any(visitor)
        }

        forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
            unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
        }
    }
    let mut fields: &'static [&'static str] = &[];
    let _ = T::deserialize(Fields(&mut fields));
    fields
}

/// A TOML value as JSON; records the position of each part.
fn json(
    value: &Spanned<DeValue<'_>>,
    path: &str,
    places: &mut Vec<(String, Range<usize>)>,
) -> Result<Value, (Range<usize>, String, &'static str)> {
    let wrong = |why| Err((value.span(), path.to_owned(), why));
    Ok(match value.get_ref() {
        DeValue::String(text) => Value::String(text.as_ref().to_owned()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => number.into(),
            Err(_) => return wrong("is too large a number"),
        },
        DeValue::Boolean(yes) => (*yes).into(),
        DeValue::Float(number) => {
            let read = number
                .as_str()
                .parse()
                .ok()
                .and_then(serde_json::Number::from_f64);
            match read {
                Some(number) => Value::Number(number),
                None => return wrong("is not a finite number"),
            }
        }
        DeValue::Datetime(_) => return wrong("is a date; write it as a string in quotes"),
        DeValue::Array(items) => {
            let mut read = Vec::with_capacity(items.len());
            for (at, item) in items.iter().enumerate() {
                let path = format!("{path}[{at}]");
                places.push((path.clone(), item.span()));
                read.push(json(item, &path, places)?);
            }
            Value::Array(read)
        }
        DeValue::Table(table) => {
            let mut read = Map::new();
            for (key, item) in table {
                let path = format!("{path}.{}", key.get_ref());
                places.push((path.clone(), key.span()));
                read.insert(key.get_ref().as_ref().to_owned(), json(item, &path, places)?);
            }
            Value::Object(read)
        }
    })
}

#[cfg(test)]
mod tests;
