//! Characters that people see, and those that hide, turn or end what stands beside them.

use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory};
use icu_properties::{CodePointMapData, CodePointSetData};

/// Whether nobody sees a character, or nobody knows what it is: controls, line and paragraph separators, format
/// characters (which turn the direction of a text or have no width), default-ignorable ones, private use and code points
/// that Unicode assigns to nothing (Unicode Standard sections 4.5 and 5.21).
#[must_use]
pub fn is_unseen(c: char) -> bool {
    // The braille pattern without dots is assigned, graphic and empty.
    !matches!(c, ' '..='~')
        && (c == '\u{2800}'
            || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
            || matches!(
                CodePointMapData::<GeneralCategory>::new().get(c),
                GeneralCategory::Control
                    | GeneralCategory::Format
                    | GeneralCategory::LineSeparator
                    | GeneralCategory::ParagraphSeparator
                    | GeneralCategory::PrivateUse
                    | GeneralCategory::Surrogate
                    | GeneralCategory::Unassigned
            ))
}

/// Whether a terminal or the reader of a text obeys a character rather than shows it: controls, line and paragraph
/// separators, marks of direction (Unicode Standard Annex 9). Joiners and variation selectors, which emoji and several
/// scripts are made with, are none.
#[must_use]
pub fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether there is nothing to see in a text: it is empty, or has but blanks and what [`is_unseen`].
#[must_use]
pub fn is_blank(text: &str) -> bool {
    text.chars().all(|c| c.is_whitespace() || is_unseen(c))
}

/// A text without blanks around it. Line ends and other control characters are no blanks: they stay, to be refused.
#[must_use]
pub fn trim_blanks(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() && !is_unseen(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_sees_is_told_from_what_is_printed() {
        for c in [
            '\0',
            '\t',
            '\n',
            '\r',
            '\u{1b}',
            '\u{7f}',
            '\u{85}',
            '\u{9b}',
            '\u{ad}',
            '\u{34f}',
            '\u{61c}',
            '\u{115f}',
            '\u{180e}',
            '\u{200b}',
            '\u{200d}',
            '\u{200e}',
            '\u{200f}',
            '\u{2028}',
            '\u{2029}',
            '\u{202a}',
            '\u{202e}',
            '\u{2060}',
            '\u{2066}',
            '\u{2069}',
            '\u{2800}',
            '\u{3164}',
            '\u{e000}',
            '\u{fe0f}',
            '\u{feff}',
            '\u{ffa0}',
            '\u{fff9}',
            '\u{378}',
            '\u{e0001}',
            '\u{e0100}',
            '\u{10ffff}',
        ] {
            assert!(is_unseen(c), "{c:?}");
            assert!(is_blank(&c.to_string()), "{c:?}");
        }
        for c in [
            ' ', 'a', '~', '0', '\u{a0}', 'é', 'ß', '界', '٣', '【', '\u{3000}', '😀',
        ] {
            assert!(!is_unseen(c), "{c:?}");
        }
    }

    #[test]
    fn what_is_obeyed_is_never_seen() {
        let all = (0..=0x10_ffff).filter_map(char::from_u32);
        let obeyed: Vec<char> = all.filter(|c| is_obeyed(*c)).collect();
        assert!(obeyed.iter().all(|c| is_unseen(*c)));
        assert_eq!(obeyed.len(), 65 + 3 + 7 + 4);
        assert!(!is_obeyed('\u{200d}') && !is_obeyed('\u{fe0f}'));
    }

    #[test]
    fn a_text_with_nothing_to_see_is_blank() {
        for text in ["", " ", "\u{feff}", "\r\n", "\u{3000}\u{200b}", "\0"] {
            assert!(is_blank(text), "{text:?}");
        }
        assert!(!is_blank(" a ") && !is_blank("\u{200b}.\u{200b}"));
    }

    #[test]
    fn only_blanks_are_trimmed() {
        assert_eq!(trim_blanks(" \u{a0}Acme\u{3000} "), "Acme");
        for text in ["Acme\n", "\tAcme", "\u{2028}Acme", "Acme\u{85}", "\u{feff}Acme"] {
            assert_eq!(trim_blanks(text), text);
        }
    }
}
