//! Visible characters, and those that are invisible or change the characters beside them.

use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory};
use icu_properties::{CodePointMapData, CodePointSetData};

/// Whether a character is invisible or unassigned: controls, line and paragraph separators, format characters (which
/// change the direction of a text or have no width), default-ignorable ones, private use and code points that Unicode
/// does not assign (Unicode Standard sections 4.5 and 5.21).
#[must_use]
pub fn is_invisible(c: char) -> bool {
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

/// Whether a terminal interprets a character instead of showing it: controls, line and paragraph separators, marks of
/// direction (Unicode Standard Annex 9). Joiners and variation selectors, which are parts of emoji and several scripts,
/// are not among them.
#[must_use]
pub fn is_display_control(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether a text has no visible character: it is empty, or has only blanks and invisible characters ([`is_invisible`]).
#[must_use]
pub fn is_blank(text: &str) -> bool {
    text.chars().all(|c| c.is_whitespace() || is_invisible(c))
}

/// A text without blanks around it. Line ends and other control characters are no blanks: they stay, so that they are
/// refused.
#[must_use]
pub fn trim_blanks(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() && !is_invisible(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invisible_characters_are_distinguished_from_printed_ones() {
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
            assert!(is_invisible(c), "{c:?}");
            assert!(is_blank(&c.to_string()), "{c:?}");
        }
        for c in [
            ' ', 'a', '~', '0', '\u{a0}', 'é', 'ß', '界', '٣', '【', '\u{3000}', '😀',
        ] {
            assert!(!is_invisible(c), "{c:?}");
        }
    }

    #[test]
    fn every_display_control_is_invisible() {
        let all = (0..=0x10_ffff).filter_map(char::from_u32);
        let controls: Vec<char> = all.filter(|c| is_display_control(*c)).collect();
        assert!(controls.iter().all(|c| is_invisible(*c)));
        assert_eq!(controls.len(), 65 + 3 + 7 + 4);
        assert!(!is_display_control('\u{200d}') && !is_display_control('\u{fe0f}'));
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
