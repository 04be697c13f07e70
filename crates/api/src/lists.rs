//! Lists in one parameter of a query. The vendors document `;` in some places and `,` in others, and callers write
//! either, or blanks, everywhere.

use engine::sms::phone::{self, Grammar};

/// Entries that have no blank in them, separated by semicolons, commas or blanks. Empty ones are passed over.
pub(crate) fn entries(list: &str) -> impl Iterator<Item = &str> {
    list.split(|c: char| is_separator(c) || c.is_whitespace())
        .filter(|entry| !entry.is_empty())
}

/// Message ids. What stands behind the `$` of one is a number as its caller wrote it, which may be grouped by blanks: a
/// blank ends an id only where another one begins.
pub(crate) fn message_ids(list: &str) -> Vec<&str> {
    let mut ids = Vec::new();
    for piece in pieces(list) {
        let mut start = 0;
        for (at, word) in words(piece) {
            if at > start && word.contains('$') {
                ids.extend(piece.get(start..at).map(str::trim));
                start = at;
            }
        }
        ids.extend(piece.get(start..));
    }
    ids
}

/// Phone numbers. One that is grouped by blanks is one; blanks separate where the whole is no number.
pub(crate) fn numbers(list: &str, grammar: Grammar) -> Vec<&str> {
    let mut numbers = Vec::new();
    for piece in pieces(list) {
        if phone::parse(piece, grammar).is_ok() {
            numbers.push(piece);
        } else {
            numbers.extend(piece.split_whitespace());
        }
    }
    numbers
}

const fn is_separator(c: char) -> bool {
    matches!(c, ';' | ',')
}

/// What stands between semicolons and commas, without blanks around it.
fn pieces(list: &str) -> impl Iterator<Item = &str> {
    list.split(is_separator)
        .map(str::trim)
        .filter(|piece| !piece.is_empty())
}

/// The words of a text with where they begin.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split_whitespace()
        .map(|word| (word.as_ptr() as usize - text.as_ptr() as usize, word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn entries_stand_between_semicolons_commas_and_blanks() {
        for list in ["1;2;3", "1,2,3", "1 2 3", " 1 ; 2,3 ;", ";1,, 2 ;;3", "1\t2\n3"] {
            assert_eq!(entries(list).collect::<Vec<_>>(), ["1", "2", "3"], "{list:?}");
        }
        assert_eq!(entries(" ;, ").count(), 0);
    }

    #[test]
    fn ids_keep_the_blanks_of_their_numbers() {
        for (list, expected) in [
            ("p$1;q$2", vec!["p$1", "q$2"]),
            ("p$1, q$2", vec!["p$1", "q$2"]),
            ("p$1 q$2  r$3", vec!["p$1", "q$2", "r$3"]),
            ("p$138 0013 8000;q$2", vec!["p$138 0013 8000", "q$2"]),
            ("p$138 0013 8000 q$2", vec!["p$138 0013 8000", "q$2"]),
            // An unencoded plus arrives as a blank.
            ("p$ 447700900123 q$2", vec!["p$ 447700900123", "q$2"]),
            ("x p$1", vec!["x", "p$1"]),
            (" ; ", vec![]),
        ] {
            assert_eq!(message_ids(list), expected, "{list:?}");
        }
    }

    #[test]
    fn numbers_keep_their_blanks_where_the_whole_is_a_number() {
        let read = |list| numbers(list, Grammar::SendCloudInternational);
        for (list, expected) in [
            ("13800138000;13900139000", vec!["13800138000", "13900139000"]),
            ("13800138000 13900139000", vec!["13800138000", "13900139000"]),
            (
                "138 0013 8000,+44 7700 900123",
                vec!["138 0013 8000", "+44 7700 900123"],
            ),
            ("+15550100 +15550101", vec!["+15550100", "+15550101"]),
            ("x y", vec!["x", "y"]),
        ] {
            assert_eq!(read(list), expected, "{list:?}");
        }
    }

    proptest! {
        #[test]
        fn no_entry_is_empty_or_begins_with_a_blank(list in "[a-z0-9$+;, \u{a0}\u{3000}]{0,40}") {
            let ids = message_ids(&list);
            let numbers = numbers(&list, Grammar::EngageLabA);
            for entry in entries(&list).chain(ids).chain(numbers) {
                prop_assert!(!entry.is_empty() && entry.trim() == entry, "{:?}", entry);
            }
        }
    }
}
