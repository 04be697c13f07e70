//! Blocked words: words that no text may contain.

use crate::opt_out::folded;
use aho_corasick::{AhoCorasick, MatchKind};
use std::fmt;

/// The longest word, in characters.
pub const WORD_CHARS_MAX: usize = 100;
/// The most words of one list.
pub const WORDS_MAX: usize = 10_000;

/// Blocked words in a form to search for. A word matches in any case, in full-width letters, composed or not, across
/// line ends, and with invisible characters in it. In scripts with blanks between words only whole words match: "ass"
/// is not in "class". In the others (Chinese, Japanese, Korean, Thai and similar scripts) a word matches anywhere.
#[derive(Clone)]
pub struct BlockedWords {
    automaton: AhoCorasick,
}

impl BlockedWords {
    /// Words of at most [`WORD_CHARS_MAX`] characters; `None` when there are none, or more than the matcher can hold.
    #[must_use]
    pub fn new<'w>(words: impl IntoIterator<Item = &'w str>) -> Option<Self> {
        let words: Vec<String> = words
            .into_iter()
            .map(folded)
            .filter(|word| !word.is_empty())
            .collect();
        if words.is_empty() {
            return None;
        }
        // Overlapping matches are needed: a longer word that is not whole must not hide a shorter one that is.
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            .build(words);
        automaton.ok().map(|automaton| Self { automaton })
    }

    /// Whether a text contains one of the words.
    #[must_use]
    pub fn are_in(&self, text: &str) -> bool {
        let text = folded(text);
        self.automaton
            .find_overlapping_iter(&text)
            .any(|found| is_whole(&text, found.start(), found.end()))
    }
}

impl fmt::Debug for BlockedWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockedWords")
            .field("words", &self.automaton.patterns_len())
            .finish()
    }
}

/// Whether neither end of a match is inside a word.
fn is_whole(text: &str, start: usize, end: usize) -> bool {
    let (Some(before), Some(found), Some(behind)) =
        (text.get(..start), text.get(start..end), text.get(end..))
    else {
        return false;
    };
    let goes_on = |one: Option<char>, other: Option<char>| {
        one.is_some_and(is_spaced_script) && other.is_some_and(is_spaced_script)
    };
    !goes_on(before.chars().next_back(), found.chars().next())
        && !goes_on(found.chars().next_back(), behind.chars().next())
}

/// Whether a character is a letter of a script with blanks between words.
fn is_spaced_script(c: char) -> bool {
    let unspaced = matches!(u32::from(c),
        0x0e00..=0x0eff // Thai, Lao
        | 0x1000..=0x109f // Burmese
        | 0x1100..=0x11ff // Hangul, whose particles follow without a blank
        | 0x1780..=0x17ff // Khmer
        | 0x3040..=0x30ff | 0x31f0..=0x31ff // kana
        | 0x3130..=0x318f | 0xac00..=0xd7ff // Hangul
        | 0x3400..=0x9fff | 0xf900..=0xfaff | 0x2_0000..=0x3_ffff // Han
    );
    c.is_alphabetic() && !unspaced
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(words: &[&str]) -> BlockedWords {
        BlockedWords::new(words.iter().copied()).expect("there are some")
    }

    #[test]
    fn a_word_is_found_in_every_form() {
        let words = words(&["Casino", "free money", "发票", "Straße", "ARRÊT", "İPTAL", "C++"]);
        for text in [
            "casino",
            "Visit our CASINO!",
            "ＣＡＳＩＮＯ",
            "ca\u{200B}sino",
            "\u{FEFF}casino\u{AD}",
            "casino2026",
            "(casino)",
            "free  money",
            "Free\nMoney now",
            "代开发票请联系",
            "发票",
            "STRASSE",
            "straße",
            "arre\u{302}t",
            "Arrêt",
            "iptal",
            "IPTAL",
            "learn c++ now",
        ] {
            assert!(words.are_in(text), "{text:?}");
        }
        for text in [
            "",
            "casinos",
            "occasino",
            "freemoney",
            "发 票",
            "arret",
            "iptale",
            "cas ino",
            "straßen",
        ] {
            assert!(!words.are_in(text), "{text:?}");
        }
    }

    #[test]
    fn a_longer_word_that_is_not_whole_hides_no_shorter_one() {
        assert!(words(&["red line", "red"]).are_in("a red lined page"));
        assert!(words(&["b", "abc"]).are_in("b abcd"));
    }

    #[test]
    fn no_words_are_no_matcher() {
        for none in [&[][..], &["", " ", "\u{200B}"]] {
            assert!(BlockedWords::new(none.iter().copied()).is_none(), "{none:?}");
        }
    }

    proptest! {
        #[test]
        fn a_word_between_blanks_is_found_whatever_stands_around(
            word in "[a-zA-Zäß小]{1,12}", before in ".{0,20}", behind in ".{0,20}"
        ) {
            let text = format!("{before} {word} {behind}");
            prop_assert!(words(&[&word]).are_in(&text), "{:?} in {:?}", word, text);
        }
    }
}
