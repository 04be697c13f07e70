//! The kinds of ids that `status` accepts.

use store::MessageId;

/// An id, classified by its format.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum MessageQuery<'a> {
    /// The number of a message.
    Message(MessageId),
    /// A session number: a UUID.
    Session(&'a str),
    /// A phone number in any notation.
    Number(&'a str),
    /// `<ms>_<account>_<n>_<template>_<tag>`, with or without `$<number>`.
    Public {
        /// The part that all recipients of the request have in common.
        prefix: &'a str,
        /// The recipient as written, when given.
        number: Option<&'a str>,
    },
}

/// Minimum and maximum number of digits of a phone number.
const NUMBER_DIGITS_MIN: usize = 7;
const NUMBER_DIGITS_MAX: usize = 17;

impl<'a> MessageQuery<'a> {
    /// Classifies `id`; `None` when it has no known format.
    pub(super) fn read(id: &'a str) -> Option<Self> {
        let id = id.trim();
        let digits = id.chars().filter(char::is_ascii_digit).count();
        let is_plain = !id.is_empty() && digits == id.len();
        // The number of a message has 19 digits; a phone number at most 15, and 2 for its prefix.
        let only_number = id
            .chars()
            .all(|c| c.is_ascii_digit() || matches!(c, '+' | ' ' | '-' | '.' | '(' | ')' | '/' | '\u{a0}'));
        if only_number && (NUMBER_DIGITS_MIN..=NUMBER_DIGITS_MAX).contains(&digits) {
            return Some(Self::Number(id));
        }
        if is_plain {
            return id.parse().ok().map(|number| Self::Message(MessageId(number)));
        }
        let digits = id.bytes().filter(u8::is_ascii_hexdigit).count();
        if digits == 32 && id.bytes().all(|octet| octet.is_ascii_hexdigit() || octet == b'-') {
            return Some(Self::Session(id));
        }
        let (prefix, number) = match id.split_once('$') {
            Some((prefix, number)) => (prefix, Some(number)),
            None => (id, None),
        };
        (prefix.split('_').count() == 5).then_some(Self::Public { prefix, number })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_classified_by_their_format() {
        let cases = [
            (
                "1884160000000000001",
                Some(MessageQuery::Message(MessageId(1_884_160_000_000_000_001))),
            ),
            (
                "fbcb8979-ec63-4db6-87b9-b40dd32b570f",
                Some(MessageQuery::Session("fbcb8979-ec63-4db6-87b9-b40dd32b570f")),
            ),
            (
                " 1458113381893_15_3_11_1ainnq$+12673800456 ",
                Some(MessageQuery::Public {
                    prefix: "1458113381893_15_3_11_1ainnq",
                    number: Some("+12673800456"),
                }),
            ),
            (
                "1458113381893_15_3_11_1ainnq",
                Some(MessageQuery::Public {
                    prefix: "1458113381893_15_3_11_1ainnq",
                    number: None,
                }),
            ),
            ("+447700900123", Some(MessageQuery::Number("+447700900123"))),
            (
                " 0044 7700 900-123 ",
                Some(MessageQuery::Number("0044 7700 900-123")),
            ),
            ("(44)7700900123", Some(MessageQuery::Number("(44)7700900123"))),
            ("447700900123", Some(MessageQuery::Number("447700900123"))),
            ("07700900123", Some(MessageQuery::Number("07700900123"))),
            ("", None),
            ("hello", None),
            ("99999999999999999999999", None),
        ];
        for (id, expected) in cases {
            assert_eq!(MessageQuery::read(id), expected, "{id}");
        }
    }
}
