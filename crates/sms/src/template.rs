//! Message templates: a text with placeholders, parsed once and rendered many times.
//!
//! There are four equivalent spellings, because the customers of the three vendors use four: `{1}`, `%name%`,
//! `{{name}}` and `{name}`. A name is 1 to [`NAME_CHARS_MAX`] ASCII letters, digits, `_` or `-`, and does not begin
//! with `-`: "save 20%-30%" is a range, not a variable. Everything else is text: a lone brace, `{}`, `%%`, "50% off 20%
//! on", the octets of a percent-encoded link. [`unread_placeholder`] finds text that looks like a placeholder and is
//! none, so that new templates with it can be refused.
//!
//! # Positions
//! Every variable has a position, so that it can be filled by name and by position whatever its spelling:
//! - All names are numbers: positions follow the numbers. "{2} {1}" with values `a, b` is "b a". Gaps close:
//!   "{1} {3}" has two variables and takes two values.
//! - Otherwise, also when numbers and names are mixed: positions follow first appearance.
//!   "%name%, code {1}" takes the name first and the code second.

use std::collections::BTreeMap;
use std::ops::Range;

/// The longest variable name, in characters. A longer one between the marks is text.
pub const NAME_CHARS_MAX: usize = 32;

/// A template's text, split at its placeholders.
#[derive(Clone, Debug)]
pub struct Template {
    text: Box<str>,
    variables: Box<[Box<str>]>,
    /// Indices into `variables`, in the order of the names.
    by_name: Box<[usize]>,
    placeholders: Box<[Placeholder]>,
    /// Every name is a number, so that a number is a name and never a position.
    numbered: bool,
}

/// One placeholder.
#[derive(Clone, Debug)]
struct Placeholder {
    /// Its position in the text, marks included.
    span: Range<usize>,
    /// The variable's index.
    variable: usize,
}

impl Template {
    /// Parses a template. Total: every text is a template.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let found = placeholders(text);
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        let mut names: Vec<&str> = Vec::new();
        for (name, _) in &found {
            seen.entry(name).or_insert_with(|| {
                names.push(name);
                names.len() - 1
            });
        }
        let numbered = !names.is_empty() && names.iter().all(|name| number(name).is_some());
        if numbered {
            names.sort_by_key(|name| number(name));
            seen = names
                .iter()
                .enumerate()
                .map(|(position, name)| (*name, position))
                .collect();
        }
        let placeholders = found
            .iter()
            .filter_map(|(name, span)| {
                Some(Placeholder {
                    span: span.clone(),
                    variable: *seen.get(name)?,
                })
            })
            .collect();
        Self {
            text: text.into(),
            variables: names.into_iter().map(Box::from).collect(),
            by_name: seen.into_values().collect(),
            placeholders,
            numbered,
        }
    }

    /// The unchanged text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The variables' names without marks, each once, by position (see the module's introduction).
    #[must_use]
    pub fn variables(&self) -> &[Box<str>] {
        &self.variables
    }

    /// One value per variable from a list by position; surplus values are ignored.
    #[must_use]
    pub fn resolve_positional(&self, values: &[Box<str>]) -> Vec<Option<Box<str>>> {
        (0..self.variables.len())
            .map(|position| values.get(position).cloned())
            .collect()
    }

    /// One value per variable from names, given with or without marks (`code`, `%code%`, `{{code}}`, `{code}`). A
    /// number that is not the name of a variable is a position, from 1. A name has precedence over a position; of two
    /// values for the same name the last is used, as in a JSON object. Names of no variable are ignored.
    #[must_use]
    pub fn resolve_named<'a>(
        &self,
        values: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Vec<Option<Box<str>>> {
        let mut named: Vec<Option<&str>> = vec![None; self.variables.len()];
        let mut placed = named.clone();
        for (name, value) in values {
            let (slots, index) = match self.address(name) {
                Some(Address::Name(index)) => (&mut named, index),
                Some(Address::Position(index)) => (&mut placed, index),
                None => continue,
            };
            if let Some(slot) = slots.get_mut(index) {
                *slot = Some(value);
            }
        }
        named
            .into_iter()
            .zip(placed)
            .map(|(named, placed)| named.or(placed).map(Box::from))
            .collect()
    }

    /// The names in `names` that match no variable, as given.
    pub fn surplus_named<'a>(
        &self,
        names: impl IntoIterator<Item = &'a str>,
    ) -> impl Iterator<Item = &'a str> {
        names.into_iter().filter(|name| self.address(name).is_none())
    }

    /// The text with `values` (one per variable, by position) in place of the placeholders. A placeholder without a
    /// value is kept. A value is text: placeholders in it are not replaced.
    #[must_use]
    pub fn render(&self, values: &[Option<&str>]) -> String {
        let mut out = String::new();
        self.render_into(&mut out, values);
        out
    }

    /// Appends the result of [`render`](Self::render) to `out`.
    pub fn render_into(&self, out: &mut String, values: &[Option<&str>]) {
        let value_of = |place: &Placeholder| values.get(place.variable).copied().flatten();
        let filled: usize = self.placeholders.iter().filter_map(value_of).map(str::len).sum();
        out.reserve(self.text.len() + filled);
        let mut written = 0;
        for place in &self.placeholders {
            if let Some(value) = value_of(place) {
                out.push_str(&self.text[written..place.span.start]);
                out.push_str(value);
                written = place.span.end;
            }
        }
        out.push_str(&self.text[written..]);
    }

    /// The index of the variable that the name of a value refers to: by the rules of [`Self::resolve_named`].
    #[must_use]
    pub fn variable_named(&self, given: &str) -> Option<usize> {
        match self.address(given)? {
            Address::Name(index) | Address::Position(index) => Some(index),
        }
    }

    fn address(&self, given: &str) -> Option<Address> {
        let name = without_marks(given);
        let found = self.by_name.binary_search_by(|index| {
            self.variables
                .get(*index)
                .map_or("", |variable| variable)
                .cmp(name)
        });
        if let Ok(place) = found {
            return self.by_name.get(place).copied().map(Address::Name);
        }
        if self.numbered {
            return None;
        }
        let position = usize::try_from(number(name)?).ok()?.checked_sub(1)?;
        (position < self.variables.len()).then_some(Address::Position(position))
    }
}

/// How the name of a value refers to a variable; holds the variable's index.
enum Address {
    Name(usize),
    Position(usize),
}

/// Whether a text has no placeholder. A signature must have none: placeholders are read in the text including the
/// signature, while values belong to those of the template, and one more would shift them all.
#[must_use]
pub fn is_plain(text: &str) -> bool {
    placeholders(text).is_empty()
}

/// The rule for placeholders, for the error of a template that breaks it.
pub const PLACEHOLDER_RULE: &str = "placeholders are {1}, {name}, {{name}} or %name%; a name is 1 to 32 ASCII letters, digits, _ or - without blanks and does not begin with -; numbers in braces begin at 1";

/// Longest distance between the marks of a placeholder, in characters.
const LOOK_CHARS_MAX: usize = 64;

/// The first text in `text` that looks like a placeholder and is none, with its marks: `{{ name }}`, `%姓名%`, `{}`,
/// `{0}` (numbers in braces begin at 1). It would be sent unchanged.
///
/// Braces look like one if a closing one follows within [`LOOK_CHARS_MAX`] characters of the same line. Percent signs
/// look like one around a single word of letters and digits; not behind a digit, where they are percentages, and not in
/// links, where they are octets.
#[must_use]
pub fn unread_placeholder(text: &str) -> Option<&str> {
    let mut from = 0;
    let mut in_link = false;
    while let Some(next) = text.get(from..).and_then(|rest| rest.find(['{', '%'])) {
        let start = from + next;
        let passed = text.get(from..start).unwrap_or_default();
        in_link = still_in_link(in_link, passed);
        match placeholder_at(text, start) {
            Some((name, end)) => {
                let written = text.get(start..end)?;
                if written.len() == name.len() + 2 && written.starts_with('{') && number(name) == Some(0) {
                    return Some(written);
                }
                let encoded = in_link && is_percent_encoding(written, text.get(end..).unwrap_or_default());
                from = if encoded { start + 1 } else { end };
            }
            None => match looks_like_one(text, start, in_link) {
                Some(written) => return Some(written),
                None => from = start + 1,
            },
        }
    }
    None
}

/// The text at `start` that looks like a placeholder, if there is one.
fn looks_like_one(text: &str, start: usize, in_link: bool) -> Option<&str> {
    let (before, rest) = text.split_at_checked(start)?;
    let (open, close) = MARKS.into_iter().find(|(open, _)| rest.starts_with(open))?;
    let inner = rest.get(open.len()..)?;
    let length = inner
        .char_indices()
        .nth(LOOK_CHARS_MAX)
        .map_or(inner.len(), |(at, _)| at);
    let found = inner.get(..length)?.find(close);
    let Some(length) = found else {
        // `{{` without `}}`: the second brace may still open a placeholder.
        return None;
    };
    let content = inner.get(..length)?;
    let end = open.len() + length + close.len();
    let looks = if open == "%" {
        let closing = start + open.len() + length;
        let is_percentage = before.trim_end().ends_with(char::is_numeric);
        !in_link && !is_percentage && placeholder_at(text, closing).is_none() && is_one_word(content)
    } else {
        !content.contains(['{', '\r', '\n'])
    };
    looks.then(|| rest.get(..end)).flatten()
}

/// A word of letters and digits of any script, alone or with blanks on both sides.
fn is_one_word(content: &str) -> bool {
    let word = content.trim();
    let permitted = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    let blanks = [
        content.starts_with(char::is_whitespace),
        content.ends_with(char::is_whitespace),
    ];
    !word.is_empty() && word.chars().all(permitted) && blanks[0] == blanks[1]
}

/// Whether `text` has a web link, `http://` or `https://` in any case. Vendors refuse these in variables.
#[must_use]
pub fn contains_link(text: &str) -> bool {
    text.match_indices("://").any(|(at, _)| {
        let before = &text.as_bytes()[..at];
        ends_with(before, b"http") || ends_with(before, b"https")
    })
}

fn ends_with(octets: &[u8], word: &[u8]) -> bool {
    let start = octets.len().checked_sub(word.len());
    start
        .and_then(|start| octets.get(start..))
        .is_some_and(|end| end.eq_ignore_ascii_case(word))
}

/// The number that a name is, if it is all digits. 32 digits fit into `u128`.
fn number(name: &str) -> Option<u128> {
    let digits = !name.is_empty() && name.bytes().all(|octet| octet.is_ascii_digit());
    digits.then(|| name.parse().ok()).flatten()
}

/// Pairs of marks, longest first: otherwise `{{` would be read as `{`.
const MARKS: [(&str, &str); 3] = [("{{", "}}"), ("{", "}"), ("%", "%")];

fn without_marks(given: &str) -> &str {
    MARKS
        .iter()
        .find_map(|(open, close)| given.strip_prefix(open)?.strip_suffix(close))
        .unwrap_or(given)
}

/// All placeholders of `text` from left to right: name, and span with marks.
fn placeholders(text: &str) -> Vec<(&str, Range<usize>)> {
    let mut found = Vec::new();
    let mut from = 0;
    let mut in_link = false;
    while let Some(next) = text.get(from..).and_then(|rest| rest.find(['{', '%'])) {
        let start = from + next;
        in_link = still_in_link(in_link, &text[from..start]);
        match placeholder_at(text, start) {
            Some((name, end)) if !(in_link && is_percent_encoding(&text[start..end], &text[end..])) => {
                found.push((name, start..end));
                from = end;
            }
            _ => from = start + 1,
        }
    }
    found
}

/// Whether a link is still open behind `passed`. A link is a run of printable ASCII with "://" in it.
fn still_in_link(open_before: bool, passed: &str) -> bool {
    match passed.rfind(|character: char| !character.is_ascii_graphic()) {
        Some(end) => passed[end..].contains("://"),
        None => open_before || passed.contains("://"),
    }
}

/// Whether `%…%` is percent encoding: in a link, `%E4%BD%A0` is three octets and no variable "E4", namely a name that
/// begins with two hexadecimal digits, and two more behind it. (`%id%` and `{1}` are placeholders in a link as
/// elsewhere.)
fn is_percent_encoding(marked: &str, behind: &str) -> bool {
    let octet = |text: &str| {
        text.as_bytes()
            .first_chunk()
            .is_some_and(|pair: &[u8; 2]| pair.iter().all(u8::is_ascii_hexdigit))
    };
    marked.strip_prefix('%').is_some_and(octet) && octet(behind)
}

/// The placeholder that starts at `start`: its name and where it ends.
fn placeholder_at(text: &str, start: usize) -> Option<(&str, usize)> {
    let rest = text.get(start..)?;
    MARKS.iter().find_map(|(open, close)| {
        let inner = rest.strip_prefix(open)?;
        let name = leading_name(inner)?;
        let end = start + open.len() + name.len() + close.len();
        inner.get(name.len()..)?.starts_with(close).then_some((name, end))
    })
}

/// The name at the start of `text`, if its length is permitted.
fn leading_name(text: &str) -> Option<&str> {
    let permitted = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'_' || octet == b'-';
    // One character more than permitted shows that a name is too long; a long run is not scanned repeatedly.
    let length = text
        .bytes()
        .take(NAME_CHARS_MAX + 1)
        .take_while(|octet| permitted(*octet))
        .count();
    let sound = (1..=NAME_CHARS_MAX).contains(&length) && !text.starts_with('-');
    if sound { text.get(..length) } else { None }
}

#[cfg(test)]
mod tests;
