//! Parameters as they arrived: the one shape in which JSON bodies, forms and query strings are signed and read.
//!
//! Not `serde_json::Value`, for three reasons: a signature covers numbers as they were written, so their
//! tokens are kept; members stand sorted by name, which is the order they are signed in; and a batch of a
//! thousand recipients is parsed without copying its strings.

use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub enum Node<'a> {
    /// JSON `null`.
    Null,
    /// JSON `true` or `false`.
    Bool(bool),
    /// A JSON number as it was written, except that an exponent reads `e+5` however it was spelled.
    Number(Box<str>),
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

    /// A JSON text; anything but an object is an error.
    pub fn from_json(json: &'a [u8]) -> Result<Self, serde_json::Error> {
        match serde_json::from_slice(json)? {
            Node::Members(members) => Ok(members),
            _ => Err(de::Error::custom("not an object")),
        }
    }

    /// A query string or a form.
    pub fn from_form(form: &'a [u8]) -> Result<Self, Twice> {
        Self::new(
            form_urlencoded::parse(form)
                .map(|(name, value)| (name, Node::Text(value)))
                .collect(),
        )
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
    pub fn and(mut self, others: &Self) -> Self {
        let missing: Vec<_> = others
            .0
            .iter()
            .filter(|(name, _)| !self.names(name))
            .cloned()
            .collect();
        if !missing.is_empty() {
            self.0.extend(missing);
            self.0.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        }
        self
    }

    /// Gives dotted names their structure back: `PhoneNumbers.0`, `TaskContent.0.Target.2.Phone`
    /// (contract section 1.3). Numbers among names make lists, in the order of the numbers; gaps close.
    /// Without dotted names nothing changes.
    pub fn nested(self) -> Result<Self, Twice> {
        if !self.0.iter().any(|(name, _)| name.contains('.')) {
            return Ok(self);
        }
        let flat: Vec<(Cow<'a, str>, Node<'a>)> = self.0;
        let paths: Vec<(&str, &Node<'a>)> = flat.iter().map(|(path, node)| (path.as_ref(), node)).collect();
        branch(&paths, 0)
    }
}

/// How many dots a name may have: `TaskContent.0.Target.0.TemplateParams.0` has five.
const DOTS_MAX: usize = 8;

/// The members under paths that share a prefix, which is cut off. Sorted paths with one prefix stand together.
fn branch<'a>(paths: &[(&str, &Node<'a>)], depth: usize) -> Result<Members<'a>, Twice> {
    let mut members: Vec<(Cow<'a, str>, Node<'a>)> = Vec::new();
    let mut rest = paths;
    while let Some((&(path, node), after)) = rest.split_first() {
        let Some((name, _)) = path.split_once('.').filter(|_| depth < DOTS_MAX) else {
            members.push((Cow::Owned(path.to_owned()), node.clone()));
            rest = after;
            continue;
        };
        let below = |path: &str| path.strip_prefix(name).is_some_and(|tail| tail.starts_with('.'));
        let run = rest.partition_point(|(path, _)| below(path));
        let (same, others) = rest.split_at(run);
        rest = others;
        let cut: Vec<(&str, &Node<'a>)> = same
            .iter()
            .filter_map(|(path, node)| Some((path.get(name.len() + 1..)?, *node)))
            .collect();
        members.push((
            Cow::Owned(name.to_owned()),
            list_or_members(branch(&cut, depth + 1)?),
        ));
    }
    Members::new(members)
}

/// Members whose names are all numbers are a list.
fn list_or_members(members: Members<'_>) -> Node<'_> {
    let numbers: Option<Vec<u32>> = members
        .0
        .iter()
        .map(|(name, _)| {
            name.bytes()
                .all(|b| b.is_ascii_digit())
                .then(|| name.parse().ok())?
        })
        .collect();
    let Some(numbers) = numbers else {
        return Node::Members(members);
    };
    let mut list: Vec<(u32, Node<'_>)> = numbers
        .into_iter()
        .zip(members.0.into_iter().map(|(_, node)| node))
        .collect();
    list.sort_by_key(|(number, _)| *number);
    Node::List(list.into_iter().map(|(_, node)| node).collect())
}

/// The name under which `serde_json` hands a number's token to a visitor when it keeps tokens
/// (feature `arbitrary_precision`); `numbers_keep_their_tokens` would notice a change.
const NUMBER_TOKEN: &str = "$serde_json::private::Number";

impl<'de> Deserialize<'de> for Node<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Node<'de>, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node<'de>, E> {
        Ok(Node::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node<'de>, E> {
        Ok(Node::Number(value.to_string().into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node<'de>, E> {
        Ok(Node::Number(value.to_string().into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node<'de>, E> {
        Ok(Node::Number(value.to_string().into()))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_string<E>(self, value: String) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Owned(value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node<'de>, A::Error> {
        let mut list = Vec::new();
        while let Some(node) = seq.next_element()? {
            list.push(node);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node<'de>, A::Error> {
        let mut members = Vec::new();
        while let Some(name) = map.next_key_seed(Name)? {
            let node = map.next_value()?;
            members.push((name, node));
        }
        match members.as_slice() {
            [(name, Node::Text(token))] if name == NUMBER_TOKEN && is_number(token) => {
                Ok(Node::Number(Box::from(token.as_ref())))
            }
            _ => Members::new(members)
                .map(Node::Members)
                .map_err(de::Error::custom),
        }
    }
}

/// Keeps a client from writing a number's private name around any text it likes.
fn is_number(token: &str) -> bool {
    token.starts_with(|c: char| c == '-' || c.is_ascii_digit())
        && token
            .bytes()
            .all(|b| b.is_ascii_digit() || matches!(b, b'-' | b'+' | b'.' | b'e' | b'E'))
}

/// A member's name, borrowed where it can be.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Cow<'de, str>, D::Error> {
        deserializer.deserialize_str(NameVisitor)
    }
}

struct NameVisitor;

impl<'de> Visitor<'de> for NameVisitor {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(json: &str) -> Members<'_> {
        Members::from_json(json.as_bytes()).unwrap()
    }

    #[test]
    fn numbers_keep_their_tokens() {
        let parsed = members(r#"{"a":42.0,"b":42,"c":-0,"d":123456789012345678901234567890,"e":1.50}"#);
        let tokens: Vec<_> = parsed.iter().map(|(_, node)| node.as_text().unwrap()).collect();
        assert_eq!(
            tokens,
            ["42.0", "42", "-0", "123456789012345678901234567890", "1.50"]
        );
    }

    #[test]
    fn a_numbers_private_name_around_a_text_is_an_object() {
        let parsed = members(r#"{"a":{"$serde_json::private::Number":"x"}}"#);
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
        assert!(Members::from_json(br#"{"a":1,"a":1}"#).is_err());
        assert!(Members::from_json(br#"{"a":[{"b":1,"b":2}]}"#).is_err());
        assert_eq!(Members::from_form(b"a=1&a=2").unwrap_err(), Twice("a".into()));
    }

    #[test]
    fn nesting_without_end_is_refused() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(Members::from_json(deep.as_bytes()).is_err());
    }

    #[test]
    fn dotted_names_mean_the_same_as_nested_ones() {
        let dotted = members(
            r#"{"Action":"x","TaskContent.0.TemplateId":"UT","TaskContent.0.Target.10.Phone":"c",
               "TaskContent.0.Target.2.Phone":"b","TaskContent.0.Target.0.Phone":"a",
               "TaskContent.0.Target.0.TemplateParams.0":"1","TaskContent.0.Target.0.TemplateParams.1":"2"}"#,
        );
        let nested = members(
            r#"{"Action":"x","TaskContent":[{"TemplateId":"UT","Target":[
                {"Phone":"a","TemplateParams":["1","2"]},{"Phone":"b"},{"Phone":"c"}]}]}"#,
        );
        assert_eq!(dotted.nested().unwrap(), nested);
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
