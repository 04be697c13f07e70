//! The text of a receipt, parsed by its keys.

use std::borrow::Cow;

/// The fields of a receipt text (SMPP 3.4 Appendix B), unchanged but trimmed; `None` if a field is missing.
///
/// Octets that are not UTF-8 are replaced: only `text` ever has any, and no decision depends on it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReceiptText<'a> {
    /// The carrier's id of the segment.
    pub id: Option<Cow<'a, str>>,
    /// How many short messages were submitted.
    pub sub: Option<Cow<'a, str>>,
    /// How many of them were delivered.
    pub dlvrd: Option<Cow<'a, str>>,
    /// When the segment was submitted; see [`CarrierDate::parse`](super::CarrierDate::parse).
    pub submit_date: Option<Cow<'a, str>>,
    /// When the segment reached its state.
    pub done_date: Option<Cow<'a, str>>,
    /// The word of the state; see [`ReceiptState::from_word`](crate::state::ReceiptState::from_word).
    pub stat: Option<Cow<'a, str>>,
    /// The carrier's own error code.
    pub err: Option<Cow<'a, str>>,
    /// The first characters of the message.
    pub text: Option<Cow<'a, str>>,
}

impl ReceiptText<'_> {
    /// Whether there is a field other than id, state and text.
    pub(super) fn has_more_than_id_and_stat(&self) -> bool {
        self.sub.is_some()
            || self.dlvrd.is_some()
            || self.submit_date.is_some()
            || self.done_date.is_some()
            || self.err.is_some()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Key {
    Id,
    Sub,
    Dlvrd,
    SubmitDate,
    DoneDate,
    Stat,
    Err,
    Text,
}

/// A blank in a key matches any number of blanks, underscores or hyphens, also none.
const KEYS: [(&[u8], Key); 8] = [
    (b"id", Key::Id),
    (b"sub", Key::Sub),
    (b"dlvrd", Key::Dlvrd),
    (b"submit date", Key::SubmitDate),
    (b"done date", Key::DoneDate),
    (b"stat", Key::Stat),
    (b"err", Key::Err),
    (b"text", Key::Text),
];

/// Parses a receipt text by its keys: in any order and case, with any of them missing, values with or without quotes.
///
/// Total: text that is no receipt has no fields. A key is recognised at the start of a word, and only the first of its
/// kind is used, so that the message in the final `text` overrides nothing. Once `id` and `stat` are known, `text` is
/// taken to be the last field and has all that follows.
#[must_use]
pub fn parse_text(text: &[u8]) -> ReceiptText<'_> {
    let mut fields = ReceiptText::default();
    let mut next = next_key(text, 0);
    while let Some(found) = next {
        let last = found.key == Key::Text && fields.id.is_some() && fields.stat.is_some();
        let (value, end) = match quoted(text, found.value_at) {
            Some(quoted) if !last => quoted,
            _ => {
                let end = if last {
                    None
                } else {
                    next_key(text, found.value_at).map(|following| following.key_at)
                };
                let end = end.unwrap_or(text.len());
                (text.get(found.value_at..end).unwrap_or_default(), end)
            }
        };
        keep(&mut fields, found.key, value);
        next = next_key(text, end);
    }
    fields
}

struct Found {
    key: Key,
    key_at: usize,
    value_at: usize,
}

/// The first key at or after `from`.
fn next_key(text: &[u8], from: usize) -> Option<Found> {
    (from..text.len()).find_map(|key_at| {
        let inside_word = key_at
            .checked_sub(1)
            .and_then(|before| text.get(before))
            .is_some_and(u8::is_ascii_alphanumeric);
        if inside_word {
            return None;
        }
        let rest = text.get(key_at..)?;
        KEYS.iter().find_map(|&(name, key)| {
            let length = key_length(rest, name)?;
            Some(Found {
                key,
                key_at,
                value_at: key_at + length,
            })
        })
    })
}

/// The octets of the key `name` and its colon at the start of `text`; `None` if it is not there.
fn key_length(text: &[u8], name: &[u8]) -> Option<usize> {
    let mut rest = text;
    for &expected in name {
        if expected == b' ' {
            rest = skip(rest, |octet| matches!(octet, b' ' | b'_' | b'-'));
        } else {
            let (first, after) = rest.split_first()?;
            if !first.eq_ignore_ascii_case(&expected) {
                return None;
            }
            rest = after;
        }
    }
    let rest = skip(rest, |octet| octet == b' ').strip_prefix(b":")?;
    Some(text.len() - rest.len())
}

/// A quoted value at `at`, and where it ends; `None` if it is not quoted or the quotes do not close.
fn quoted(text: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let rest = skip(text.get(at..)?, |octet| octet == b' ');
    let (&quote, inside) = rest.split_first()?;
    if !matches!(quote, b'"' | b'\'') {
        return None;
    }
    let length = inside.iter().position(|&octet| octet == quote)?;
    let end = text.len() - inside.len() + length + 1;
    Some((inside.get(..length)?, end))
}

fn skip(text: &[u8], skipped: impl Fn(u8) -> bool) -> &[u8] {
    let length = text.iter().take_while(|octet| skipped(**octet)).count();
    text.get(length..).unwrap_or_default()
}

fn keep<'a>(fields: &mut ReceiptText<'a>, key: Key, value: &'a [u8]) {
    let field = match key {
        Key::Id => &mut fields.id,
        Key::Sub => &mut fields.sub,
        Key::Dlvrd => &mut fields.dlvrd,
        Key::SubmitDate => &mut fields.submit_date,
        Key::DoneDate => &mut fields.done_date,
        Key::Stat => &mut fields.stat,
        Key::Err => &mut fields.err,
        Key::Text => &mut fields.text,
    };
    if field.is_some() {
        return;
    }
    let value = if key == Key::Text {
        value
    } else {
        without_separator(value)
    };
    *field = Some(match String::from_utf8_lossy(value.trim_ascii()) {
        Cow::Borrowed(value) => Cow::Borrowed(value.trim_matches('\0')),
        Cow::Owned(value) => Cow::Owned(value.trim_matches('\0').to_owned()),
    });
}

/// Removes the comma, semicolon or bar that some carriers put between fields.
fn without_separator(value: &[u8]) -> &[u8] {
    let value = value.trim_ascii();
    value
        .strip_suffix(b",")
        .or_else(|| value.strip_suffix(b";"))
        .or_else(|| value.strip_suffix(b"|"))
        .unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A text's fields in the order of Appendix B; a missing one as `-`.
    fn fields(text: &str) -> [String; 8] {
        let read = parse_text(text.as_bytes());
        let all = [
            read.id,
            read.sub,
            read.dlvrd,
            read.submit_date,
            read.done_date,
            read.stat,
            read.err,
            read.text,
        ];
        all.map(|field| field.map_or_else(|| "-".to_owned(), Cow::into_owned))
    }

    #[test]
    fn the_layouts_carriers_use_are_read() {
        for (text, expected) in [
            (
                "id:0123456789 sub:001 dlvrd:001 submit date:2611220930 done date:2611220931 stat:DELIVRD err:000 text:Your code is 1",
                [
                    "0123456789",
                    "001",
                    "001",
                    "2611220930",
                    "2611220931",
                    "DELIVRD",
                    "000",
                    "Your code is 1",
                ],
            ),
            (
                "ID:abc-1 SUB:001 DLVRD:000 SUBMIT DATE:261122093000 DONE DATE:261122093100 STAT:undeliv ERR:1B Text:",
                [
                    "abc-1",
                    "001",
                    "000",
                    "261122093000",
                    "261122093100",
                    "undeliv",
                    "1B",
                    "",
                ],
            ),
            (
                "stat:EXPIRED id:7 err:",
                ["7", "-", "-", "-", "-", "EXPIRED", "", "-"],
            ),
            (
                "text:hello world err:5 stat:REJECTD id:9",
                ["9", "-", "-", "-", "-", "REJECTD", "5", "hello world"],
            ),
            (
                "id:\"0A 1\" stat:\"DELIVRD\"",
                ["0A 1", "-", "-", "-", "-", "DELIVRD", "-", "-"],
            ),
            (
                "id:'77',stat:DELIVRD",
                ["77", "-", "-", "-", "-", "DELIVRD", "-", "-"],
            ),
            (
                "id:\"77 stat:DELIVRD",
                ["\"77", "-", "-", "-", "-", "DELIVRD", "-", "-"],
            ),
            (
                "id: 77 ; stat : DELIVRD | err:0",
                ["77", "-", "-", "-", "-", "DELIVRD", "0", "-"],
            ),
            (
                "id:1\r\nsubmit_date:2611220930\ndonedate:2611220931\nstat:ACCEPTD",
                ["1", "-", "-", "2611220930", "2611220931", "ACCEPTD", "-", "-"],
            ),
            (
                "id:5 stat:DELIVRD\0",
                ["5", "-", "-", "-", "-", "DELIVRD", "-", "-"],
            ),
            ("", ["-"; 8]),
            ("Hello, how are you?", ["-"; 8]),
            ("void:1 avid:2 status:3", ["-"; 8]),
        ] {
            assert_eq!(fields(text), expected, "{text:?}");
        }
    }

    #[test]
    fn what_a_message_says_overrides_nothing() {
        let read = fields("id:1 stat:UNDELIV text:id:2 stat:DELIVRD err:9 \"quoted\" rest");
        assert_eq!(read[0], "1");
        assert_eq!(read[5], "UNDELIV");
        assert_eq!(read[6], "-");
        assert_eq!(read[7], "id:2 stat:DELIVRD err:9 \"quoted\" rest");
        let read = fields("id:1 id:2 stat:UNDELIV stat:DELIVRD");
        assert_eq!((read[0].as_str(), read[5].as_str()), ("1", "UNDELIV"));
    }

    #[test]
    fn octets_that_are_not_text_affect_only_their_own_field() {
        let read = parse_text(b"id:42 stat:DELIVRD err:000 text:\xFF\xFEcaf\xE9");
        assert_eq!(read.id.as_deref(), Some("42"));
        assert_eq!(read.stat.as_deref(), Some("DELIVRD"));
        assert!(read.text.is_some_and(|text| text.contains("caf")));
    }

    proptest! {
        #[test]
        fn reading_is_total(text in prop::collection::vec(any::<u8>(), 0..300)) {
            let read = parse_text(&text);
            prop_assert!(read.id.is_none_or(|id| id.len() <= 3 * text.len()));
        }

        #[test]
        fn reading_near_receipts_is_total(text in "((id|sub|stat|text|ERR|submit date|done date|dlvrd|[a-z]{0,3})[ :\"',;]{0,3}){0,30}") {
            let read = parse_text(text.as_bytes());
            prop_assert!(text.contains(':') || read == ReceiptText::default());
        }

        #[test]
        fn the_order_and_the_case_of_the_keys_do_not_matter(
            id in "[0-9a-fA-F]{1,16}",
            stat in "[A-Z]{7}",
            err in "[0-9A-F]{3}",
            text in "[a-z]{0,20}",
            order in Just([0_usize, 1, 2, 3]).prop_shuffle(),
            upper in any::<bool>()
        ) {
            let keys = if upper { ["ID", "STAT", "ERR", "TEXT"] } else { ["id", "stat", "err", "text"] };
            let values = [&id, &stat, &err, &text];
            // After `id` and `stat`, `text` must be the last field: it has all that follows.
            let mut order = order;
            let position = |field| order.iter().position(|at| *at == field);
            if position(3) > position(0) && position(3) > position(1) {
                order.sort_by_key(|field| *field == 3);
            }
            let written = order.map(|at| format!("{}:{}", keys[at], values[at])).join(" ");
            let read = parse_text(written.as_bytes());
            prop_assert_eq!(read.id.as_deref(), Some(id.as_str()));
            prop_assert_eq!(read.stat.as_deref(), Some(stat.as_str()));
            prop_assert_eq!(read.err.as_deref(), Some(err.as_str()));
            prop_assert_eq!(read.text.as_deref(), Some(text.as_str()));
        }
    }
}
