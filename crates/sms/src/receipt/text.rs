//! The text of a receipt, read by its keys.

use std::borrow::Cow;

/// The fields of a receipt text (SMPP 3.4 Appendix B), each as written and trimmed; `None` where it is missing.
///
/// Octets that are not UTF-8 are replaced: only `text` ever has any, and nothing is decided by it.
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
    /// When it reached its state.
    pub done_date: Option<Cow<'a, str>>,
    /// The state's word; see [`ReceiptState::from_word`](crate::state::ReceiptState::from_word).
    pub stat: Option<Cow<'a, str>>,
    /// The carrier's own error code.
    pub err: Option<Cow<'a, str>>,
    /// The first characters of the message.
    pub text: Option<Cow<'a, str>>,
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

/// A blank in a key stands for any number of blanks, underscores or hyphens, also none.
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

/// Reads a receipt text by its keys: in any order and case, with any of them missing, values in quotes or not.
///
/// Total: text that is no receipt gives no fields. A key counts where a word begins, and the first of its
/// kind counts, so that what a message says about itself in the final `text` overrides nothing. Once `id` and
/// `stat` are known, `text` is taken to be the last field and keeps all that follows.
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

/// How many octets the key `name` and its colon take at the beginning of `text`; `None` if it is not there.
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

/// A value in quotes at `at`, and where it ends; `None` when it is not in quotes or they do not close.
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

/// Drops the comma, semicolon or bar some carriers put between fields.
fn without_separator(value: &[u8]) -> &[u8] {
    let value = value.trim_ascii();
    value
        .strip_suffix(b",")
        .or_else(|| value.strip_suffix(b";"))
        .or_else(|| value.strip_suffix(b"|"))
        .unwrap_or(value)
}
