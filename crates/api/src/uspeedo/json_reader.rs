//! JSON to [`Node`]s in one pass: texts and numbers are borrowed from the body, and what is built is bounded by the number
//! of values before any of it is.
//!
//! Not `serde_json`: it hands a number's token over as a string of its own, so that a body of zeros costs a hundred times
//! its size, and it cannot stop at a number of values.

use super::tree::{Members, Node};
use std::borrow::Cow;
use thiserror::Error;

/// How deep values may be nested, as in `serde_json`. The deepest request that is served has six levels.
const DEPTH_MAX: usize = 127;

/// Why a text was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum JsonError {
    /// It is not JSON (RFC 8259), not UTF-8, names a member twice, or is nested too deep.
    #[error("not JSON, or a name stands twice, or it is nested too deep")]
    Malformed,
    /// It has more values than it may have.
    #[error("too many values")]
    TooMany,
}

/// Reads one value; nothing but blanks may follow it. Every text, number, list and object counts as one of at most
/// `values_max` values, the whole among them.
///
/// # Errors
/// [`JsonError`].
pub fn read(json: &[u8], values_max: usize) -> Result<Node<'_>, JsonError> {
    let text = std::str::from_utf8(json).map_err(|_| JsonError::Malformed)?;
    let mut reader = Reader {
        text,
        at: 0,
        values_left: values_max,
    };
    let node = reader.value(0)?;
    reader.blanks();
    if reader.at == text.len() {
        Ok(node)
    } else {
        Err(JsonError::Malformed)
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    values_left: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Passes over an octet that is there.
    fn takes(&mut self, octet: u8) -> bool {
        let there = self.peek() == Some(octet);
        self.at += usize::from(there);
        there
    }

    fn expect(&mut self, octet: u8) -> Result<(), JsonError> {
        if self.takes(octet) {
            Ok(())
        } else {
            Err(JsonError::Malformed)
        }
    }

    fn value(&mut self, depth: usize) -> Result<Node<'a>, JsonError> {
        self.values_left = self.values_left.checked_sub(1).ok_or(JsonError::TooMany)?;
        self.blanks();
        match self.peek() {
            Some(b'"') => self.string().map(Node::Text),
            Some(b'{') => self.object(depth),
            Some(b'[') => self.list(depth),
            Some(b'-' | b'0'..=b'9') => self.number().map(Node::Number),
            Some(b'n') => self.word("null", Node::Null),
            Some(b't') => self.word("true", Node::Bool(true)),
            Some(b'f') => self.word("false", Node::Bool(false)),
            _ => Err(JsonError::Malformed),
        }
    }

    fn word(&mut self, word: &str, node: Node<'a>) -> Result<Node<'a>, JsonError> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        if !rest.starts_with(word.as_bytes()) {
            return Err(JsonError::Malformed);
        }
        self.at += word.len();
        Ok(node)
    }

    /// What stands from `from` up to here.
    fn since(&self, from: usize) -> Result<&'a str, JsonError> {
        self.text.get(from..self.at).ok_or(JsonError::Malformed)
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let from = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == from {
            Err(JsonError::Malformed)
        } else {
            Ok(())
        }
    }

    /// A number as it is written: nothing of it is computed, however large it says it is.
    fn number(&mut self) -> Result<&'a str, JsonError> {
        let from = self.at;
        self.takes(b'-');
        if !self.takes(b'0') {
            self.digits()?;
        }
        if self.takes(b'.') {
            self.digits()?;
        }
        if self.takes(b'e') || self.takes(b'E') {
            let _ = self.takes(b'+') || self.takes(b'-');
            self.digits()?;
        }
        self.since(from)
    }

    fn string(&mut self) -> Result<Cow<'a, str>, JsonError> {
        let quote = self.at;
        self.expect(b'"')?;
        let mut escaped = false;
        loop {
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    // What may follow is looked at when the text is unescaped.
                    self.at += 2;
                }
                Some(0x20..) => self.at += 1,
                _ => return Err(JsonError::Malformed),
            }
        }
        self.at += 1;
        let written = self.since(quote)?;
        if escaped {
            let text = serde_json::from_str(written).map_err(|_| JsonError::Malformed)?;
            return Ok(Cow::Owned(text));
        }
        let inner = written.get(1..written.len() - 1).ok_or(JsonError::Malformed)?;
        Ok(Cow::Borrowed(inner))
    }

    fn list(&mut self, depth: usize) -> Result<Node<'a>, JsonError> {
        let depth = deeper(depth)?;
        self.expect(b'[')?;
        let mut list = Vec::new();
        self.blanks();
        if self.takes(b']') {
            return Ok(Node::List(list));
        }
        loop {
            list.push(self.value(depth)?);
            self.blanks();
            if self.takes(b']') {
                return Ok(Node::List(list));
            }
            self.expect(b',')?;
        }
    }

    fn object(&mut self, depth: usize) -> Result<Node<'a>, JsonError> {
        let depth = deeper(depth)?;
        self.expect(b'{')?;
        let mut members = Vec::new();
        self.blanks();
        if self.takes(b'}') {
            return Ok(Node::Members(Members::default()));
        }
        loop {
            self.blanks();
            let name = self.string()?;
            self.blanks();
            self.expect(b':')?;
            members.push((name, self.value(depth)?));
            self.blanks();
            if self.takes(b'}') {
                let members = Members::new(members).map_err(|_| JsonError::Malformed)?;
                return Ok(Node::Members(members));
            }
            self.expect(b',')?;
        }
    }
}

fn deeper(depth: usize) -> Result<usize, JsonError> {
    if depth < DEPTH_MAX {
        Ok(depth + 1)
    } else {
        Err(JsonError::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    const MANY: usize = 1 << 20;

    /// Whether it is the same value over another representation. Numbers with an exponent are taken for the same.
    fn same(node: &Node<'_>, value: &Value) -> bool {
        match (node, value) {
            (Node::Null, Value::Null) => true,
            (Node::Bool(one), Value::Bool(other)) => one == other,
            // It rewrites exponents.
            (Node::Number(one), Value::Number(other)) => {
                one.contains(['e', 'E']) || *one == other.to_string()
            }
            (Node::Text(one), Value::String(other)) => one == other,
            (Node::List(one), Value::Array(other)) => {
                one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
            }
            (Node::Members(one), Value::Object(other)) => {
                let alike =
                    |(name, node): (&str, &Node<'_>)| other.get(name).is_some_and(|value| same(node, value));
                one.iter().count() == other.len() && one.iter().all(alike)
            }
            _ => false,
        }
    }

    #[test]
    fn numbers_keep_their_tokens_however_large() {
        for number in [
            "0",
            "-0",
            "42.0",
            "1.50",
            "1E5",
            "1e999999999",
            "-1.5e-3",
            &"9".repeat(100_000),
        ] {
            assert_eq!(read(number.as_bytes(), 1), Ok(Node::Number(number)));
        }
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in [
            "",
            " ",
            "{",
            "}",
            "[",
            "[1,]",
            "[,1]",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{a:1}",
            "{1:1}",
            "[1 2]",
            "01",
            "-",
            "+1",
            ".5",
            "1.",
            "1e",
            "1e+",
            "0x1",
            "NaN",
            "nul",
            "True",
            "\"",
            "\"\\\"",
            "\"\\x\"",
            "\"\\ud800\"",
            "\"\t\"",
            "\"\u{0}\"",
            "1 1",
            "{\"a\":1}x",
            "'a'",
            "[1]]",
            "\u{feff}1",
            "{\"a\":1,\"a\":1}",
        ] {
            assert_eq!(read(text.as_bytes(), MANY), Err(JsonError::Malformed), "{text}");
        }
        assert_eq!(read(b"\"\xff\"", MANY), Err(JsonError::Malformed));
    }

    #[test]
    fn the_number_of_values_is_bounded_before_they_are_built() {
        let zeros = format!("[{}0]", "0,".repeat(2_000_000));
        assert_eq!(read(zeros.as_bytes(), 1000), Err(JsonError::TooMany));
        assert!(read(b"[0,{\"a\":[]}]", 4).is_ok());
        assert_eq!(read(b"[0,{\"a\":[]}]", 3), Err(JsonError::TooMany));
    }

    #[test]
    fn depth_is_bounded() {
        let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(read(deep(DEPTH_MAX).as_bytes(), MANY).is_ok());
        for depth in [DEPTH_MAX, DEPTH_MAX + 1] {
            let of_serde_json = serde_json::from_str::<Value>(&deep(depth));
            assert_eq!(of_serde_json.is_ok(), depth == DEPTH_MAX);
        }
        assert_eq!(
            read(deep(DEPTH_MAX + 1).as_bytes(), MANY),
            Err(JsonError::Malformed)
        );
        assert_eq!(
            read("[".repeat(1_000_000).as_bytes(), MANY),
            Err(JsonError::Malformed)
        );
    }

    proptest! {
        #[test]
        fn it_reads_what_another_reader_reads(text in "([\\[\\]{},:\"\\\\ 0-9eE.+a-u-]|\"[a-c]\":|\\PC){0,24}") {
            let ours = read(text.as_bytes(), MANY);
            match (ours, serde_json::from_str::<Value>(&text)) {
                (Ok(node), Ok(value)) => prop_assert!(same(&node, &value), "{node:?} {value:?}"),
                // A name that stands twice is ours alone to refuse.
                (Err(_), Ok(value)) => prop_assert!(value.to_string().len() < text.len(), "{text}"),
                (Ok(node), Err(error)) => prop_assert!(false, "{text} {node:?} {error}"),
                (Err(_), Err(_)) => {}
            }
        }

        #[test]
        fn it_reads_what_another_writer_writes(texts in prop::collection::vec(".{0,12}", 0..12), number: i64, real: f64) {
            let value = serde_json::json!({"texts": texts, "n": [number, real, null, true], "o": {"in": texts}});
            for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
                let node = read(text.as_bytes(), MANY).unwrap();
                prop_assert!(same(&node, &value), "{}", text);
            }
        }
    }
}
