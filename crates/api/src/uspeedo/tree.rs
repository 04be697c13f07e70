//! Parameters as they arrived: the one shape in which JSON bodies, forms and query strings are signed and read.
//!
//! Not `serde_json::Value`, for three reasons: a signature covers numbers as they were written, so their
//! tokens are kept; members stand sorted by name, which is the order they are signed in; and a batch of a
//! thousand recipients is parsed without copying its strings.

use super::json_reader::{self, JsonError};
use std::borrow::Cow;

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub enum Node<'a> {
    /// JSON `null`.
    Null,
    /// JSON `true` or `false`.
    Bool(bool),
    /// A JSON number as it was written.
    Number(&'a str),
    /// A string, unescaped.
    Text(Cow<'a, str>),
    /// A JSON array.
    List(Vec<Node<'a>>),
    /// A JSON object.
    Members(Members<'a>),
}

impl Node<'_> {
    /// Whether the value says nothing: absent parameters, JSON `null`, empty strings and empty arrays are the
    /// same to every client (Go sends `null` for an empty slice, Python `[]`; contract section 1.2).
    pub fn is_blank(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Text(text) => text.is_empty(),
            Self::List(list) => list.is_empty(),
            _ => false,
        }
    }

    /// Strings, and numbers and booleans as they would be written as strings.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Number(token) => Some(token),
            Self::Bool(true) => Some("true"),
            Self::Bool(false) => Some("false"),
            _ => None,
        }
    }
}

/// Named values, sorted by name (byte order), no name twice.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Members<'a>(Vec<(Cow<'a, str>, Node<'a>)>);

/// A name stands twice where it may stand once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the name {0:?} stands twice")]
pub struct Twice(pub String);

/// Why a form was not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// It has more fields than it may have.
    #[error("too many fields")]
    TooMany,
    /// It names a field twice.
    #[error(transparent)]
    Twice(#[from] Twice),
}

/// Why dotted names were not given their structure back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NestError {
    /// One name is both a value and the beginning of others.
    #[error(transparent)]
    Twice(#[from] Twice),
    /// The numbers below a name are not 0, 1, 2 … as they are written in decimal.
    #[error("the numbers below {0:?} do not count from 0")]
    Index(String),
}

impl<'a> Members<'a> {
    /// Sorts what came in any order. A name given twice is refused: which of the two was signed, and which
    /// is meant, could only be guessed.
    pub fn new(mut members: Vec<(Cow<'a, str>, Node<'a>)>) -> Result<Self, Twice> {
        members.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let twice = members.windows(2).find_map(|pair| match pair {
            [(a, _), (b, _)] if a == b => Some(a.to_string()),
            _ => None,
        });
        match twice {
            Some(name) => Err(Twice(name)),
            None => Ok(Self(members)),
        }
    }

    /// A JSON text of at most `values_max` values; anything but an object is an error.
    ///
    /// # Errors
    /// [`JsonError`].
    pub fn from_json(json: &'a [u8], values_max: usize) -> Result<Self, JsonError> {
        match json_reader::read(json, values_max)? {
            Node::Members(members) => Ok(members),
            _ => Err(JsonError::Malformed),
        }
    }

    /// A query string or a form of at most `values_max` fields.
    ///
    /// # Errors
    /// [`FormError`].
    pub fn from_form(form: &'a [u8], values_max: usize) -> Result<Self, FormError> {
        let fields = form_urlencoded::parse(form).map(|(name, value)| (name, Node::Text(value)));
        let fields: Vec<_> = fields.take(values_max.saturating_add(1)).collect();
        if fields.len() > values_max {
            return Err(FormError::TooMany);
        }
        Ok(Self::new(fields)?)
    }

    /// The value under a name, unless it is blank.
    pub fn get(&self, name: &str) -> Option<&Node<'a>> {
        let at = self
            .0
            .binary_search_by(|(known, _)| known.as_ref().cmp(name))
            .ok()?;
        self.0
            .get(at)
            .map(|(_, node)| node)
            .filter(|node| !node.is_blank())
    }

    /// Whether a name is given at all, blank or not.
    pub fn names(&self, name: &str) -> bool {
        self.0
            .binary_search_by(|(known, _)| known.as_ref().cmp(name))
            .is_ok()
    }

    /// All members in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Node<'a>)> {
        self.0.iter().map(|(name, node)| (name.as_ref(), node))
    }

    /// These and others; where both have a name, these win.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        let own = self.0.len();
        for (name, node) in others.0 {
            let known = self.0.get(..own).unwrap_or_default();
            if known.binary_search_by(|(known, _)| known.cmp(&name)).is_err() {
                self.0.push((name, node));
            }
        }
        if self.0.len() > own {
            self.0.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        }
        self
    }

    /// These, and of others the one member with a name, unless it is given here.
    #[must_use]
    pub fn or_from(mut self, name: &str, others: Self) -> Self {
        if self.get(name).is_none() {
            let found = others.0.into_iter().find(|(known, _)| known == name);
            self.0.retain(|(known, _)| known != name);
            self.0.extend(found);
            self.0.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        }
        self
    }

    /// Gives dotted names their structure back: `PhoneNumbers.0`, `TaskContent.0.Target.2.Phone`
    /// (contract section 1.3). Numbers among names make lists. They count from 0 without gaps, as all of the vendors'
    /// clients write them: a signature has nothing between a name and its value, so that in `PhoneNumbers.04` the 4 may
    /// have been signed as the first digit of a value. Without dotted names nothing changes. No value is copied.
    ///
    /// # Errors
    /// [`NestError`].
    pub fn nested(self) -> Result<Self, NestError> {
        if !self.0.iter().any(|(name, _)| name.contains('.')) {
            return Ok(self);
        }
        let paths: Vec<Path<'a>> = self
            .0
            .into_iter()
            .map(|(name, node)| Path { name, from: 0, node })
            .collect();
        branch(paths, 0)
    }
}

/// How many dots a name may have: `TaskContent.0.Target.0.TemplateParams.0` has five.
const DOTS_MAX: usize = 8;

/// A dotted name, of which the first `from` octets were dealt with, and its value.
struct Path<'a> {
    name: Cow<'a, str>,
    from: usize,
    node: Node<'a>,
}

impl<'a> Path<'a> {
    fn rest(&self) -> &str {
        self.name.get(self.from..).unwrap_or_default()
    }

    /// The next `octets` of the name, borrowed where the name is.
    fn part(&self, octets: usize) -> Cow<'a, str> {
        let range = self.from..self.from + octets;
        match &self.name {
            Cow::Borrowed(name) => Cow::Borrowed(name.get(range).unwrap_or_default()),
            Cow::Owned(name) => Cow::Owned(name.get(range).unwrap_or_default().to_owned()),
        }
    }
}

/// The members under paths that share what was dealt with of them. Sorted paths with one prefix stand together.
fn branch(paths: Vec<Path<'_>>, depth: usize) -> Result<Members<'_>, NestError> {
    let mut members = Vec::new();
    let mut paths = paths.into_iter().peekable();
    while let Some(mut path) = paths.next() {
        let dot = path.rest().find('.').filter(|_| depth < DOTS_MAX);
        let Some(octets) = dot else {
            let name = path.part(path.rest().len());
            members.push((name, path.node));
            continue;
        };
        let name = path.part(octets);
        let below = |other: &Path<'_>| {
            let tail = other.rest().strip_prefix(&*name);
            tail.is_some_and(|tail| tail.starts_with('.'))
        };
        path.from += octets + 1;
        let mut same = vec![path];
        while let Some(mut other) = paths.next_if(below) {
            other.from += octets + 1;
            same.push(other);
        }
        let below = list_or_members(branch(same, depth + 1)?);
        let below = below.ok_or_else(|| NestError::Index(name.to_string()))?;
        members.push((name, below));
    }
    Ok(Members::new(members)?)
}

/// Members are a list when a name among them begins as a number does; `None` when they then are not 0, 1, 2 … in decimal.
fn list_or_members(members: Members<'_>) -> Option<Node<'_>> {
    let begins_as_number = |name: &str| {
        let unsigned = name.trim_start_matches(['+', '-', ' ']);
        unsigned.starts_with(char::is_numeric)
    };
    if !members.iter().any(|(name, _)| begins_as_number(name)) {
        return Some(Node::Members(members));
    }
    let indices: Option<Vec<u32>> = members.iter().map(|(name, _)| index(name)).collect();
    let mut list: Vec<_> = indices?
        .into_iter()
        .zip(members.0.into_iter().map(|(_, node)| node))
        .collect();
    list.sort_unstable_by_key(|(index, _)| *index);
    let counts = (0..).zip(&list).all(|(expected, (index, _))| expected == *index);
    counts.then(|| Node::List(list.into_iter().map(|(_, node)| node).collect()))
}

/// A number in the one way in which it is written in decimal: no sign, no zeros before it.
fn index(name: &str) -> Option<u32> {
    let plain = name.bytes().all(|b| b.is_ascii_digit()) && (name == "0" || !name.starts_with('0'));
    name.parse().ok().filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(json: &str) -> Members<'_> {
        Members::from_json(json.as_bytes(), 1 << 20).unwrap()
    }

    #[test]
    fn what_another_library_calls_a_number_in_private_is_an_object() {
        let parsed = members(r#"{"a":{"$serde_json::private::Number":"1"}}"#);
        assert!(matches!(parsed.get("a"), Some(Node::Members(_))), "{parsed:?}");
    }

    #[test]
    fn plain_strings_are_not_copied() {
        let parsed = members(r#"{"a":"plain","b":"\u4f60"}"#);
        assert!(matches!(
            parsed.get("a"),
            Some(Node::Text(Cow::Borrowed("plain")))
        ));
        assert_eq!(parsed.get("b").unwrap().as_text(), Some("你"));
    }

    #[test]
    fn a_name_given_twice_is_refused_at_any_depth() {
        assert!(Members::from_json(br#"{"a":1,"a":1}"#, 10).is_err());
        assert!(Members::from_json(br#"{"a":[{"b":1,"b":2}]}"#, 10).is_err());
        assert_eq!(
            Members::from_form(b"a=1&a=2", 10).unwrap_err(),
            FormError::Twice(Twice("a".into()))
        );
    }

    #[test]
    fn fields_of_a_form_are_bounded() {
        assert!(Members::from_form(b"a=1&b=2&c", 3).is_ok());
        assert_eq!(
            Members::from_form(b"a=1&b=2&c", 2).unwrap_err(),
            FormError::TooMany
        );
    }

    #[test]
    fn of_two_members_of_one_name_the_first_ones_wins() {
        let both = members(r#"{"b":1,"d":1}"#).and(members(r#"{"a":2,"b":2,"c":2,"d":2,"e":2}"#));
        assert_eq!(both, members(r#"{"a":2,"b":1,"c":2,"d":1,"e":2}"#));
    }

    #[test]
    fn dotted_names_mean_the_same_as_nested_ones() {
        let dotted = members(
            r#"{"Action":"x","TaskContent.0.TemplateId":"UT","TaskContent.0.Target.2.Phone":"c",
               "TaskContent.0.Target.1.Phone":"b","TaskContent.0.Target.0.Phone":"a",
               "TaskContent.0.Target.0.TemplateParams.0":"1","TaskContent.0.Target.0.TemplateParams.1":"2"}"#,
        );
        let nested = members(
            r#"{"Action":"x","TaskContent":[{"TemplateId":"UT","Target":[
                {"Phone":"a","TemplateParams":["1","2"]},{"Phone":"b"},{"Phone":"c"}]}]}"#,
        );
        assert_eq!(dotted.nested().unwrap(), nested);
    }

    #[test]
    fn the_numbers_of_a_list_count_from_0_and_are_written_in_one_way() {
        for wrong in [
            "04",
            "00",
            "01",
            "1",
            "2",
            "4294967296",
            "99999999999999999999",
            "+0",
            "-0",
            "-1",
            " 0",
            "0x0",
            "0a",
            "٠",
            "0 ",
        ] {
            for at in [format!("a.{wrong}"), format!("b.0.a.{wrong}.c")] {
                let json = format!(r#"{{"{at}":"x"}}"#);
                let error = members(&json).nested().unwrap_err();
                assert_eq!(error, NestError::Index("a".into()), "{at}");
            }
        }
        for wrong in [
            r#"{"a.0":1,"a.2":1}"#,
            r#"{"a.0":1,"a.01":1}"#,
            r#"{"a.0":1,"a.x":1}"#,
            r#"{"a.1":1,"a.2":1}"#,
        ] {
            assert!(members(wrong).nested().is_err(), "{wrong}");
        }
        let twelve: Vec<String> = (0..12).map(|n| format!(r#""a.{n}":{n}"#)).collect();
        let json = format!("{{{}}}", twelve.join(","));
        assert_eq!(
            members(&json).nested().unwrap(),
            members(r#"{"a":[0,1,2,3,4,5,6,7,8,9,10,11]}"#)
        );
    }

    #[test]
    fn a_value_that_is_a_list_and_a_text_at_once_is_refused() {
        assert!(members(r#"{"a":"x","a.0":"y"}"#).nested().is_err());
    }

    #[test]
    fn a_name_with_dots_without_end_costs_no_stack() {
        let json = format!(r#"{{"{}":1}}"#, "a.".repeat(200_000));
        assert!(members(&json).nested().is_ok());
    }

    #[test]
    fn blank_values_count_as_absent() {
        let parsed = members(r#"{"a":null,"b":"","c":[],"d":0,"e":false,"f":{}}"#);
        let present: Vec<_> = parsed
            .iter()
            .map(|(name, _)| name)
            .filter(|name| parsed.get(name).is_some())
            .collect();
        assert_eq!(present, ["d", "e", "f"]);
    }
}
