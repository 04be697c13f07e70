//! Words that people send to get no more messages, or to get them again.
//!
//! A word is the whole message. People write it in any case, with a full stop, in full-width letters, with characters
//! that nobody sees; a carrier adds a NUL. So messages and words are compared in a normal form ([`normal`]).

use icu_normalizer::ComposingNormalizerBorrowed;
use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory, GeneralCategoryGroup};
use icu_properties::{CodePointMapData, CodePointSetData};
use std::collections::HashSet;

/// Octets of the longest text that can be a word: longer ones are not looked at.
const TEXT_OCTETS_MAX: usize = 1_024;

/// What a message asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wish {
    /// No more messages.
    OptOut,
    /// Messages again.
    OptIn,
}

/// The words of one account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    out: HashSet<String>,
    back: HashSet<String>,
}

impl Words {
    /// Words that unsubscribe (`out`) and that subscribe again (`back`). One that is in both unsubscribes.
    #[must_use]
    pub fn new<'a>(out: impl IntoIterator<Item = &'a str>, back: impl IntoIterator<Item = &'a str>) -> Self {
        let set = |words: &mut dyn Iterator<Item = &'a str>| -> HashSet<String> {
            words.map(normal).filter(|word| !word.is_empty()).collect()
        };
        Self {
            out: set(&mut out.into_iter()),
            back: set(&mut back.into_iter()),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.out.is_empty() && self.back.is_empty()
    }

    /// What `text` asks for; `None` for a message that is not one of the words and nothing else.
    #[must_use]
    pub fn wish(&self, text: &str) -> Option<Wish> {
        if self.is_empty() || text.len() > TEXT_OCTETS_MAX {
            return None;
        }
        let text = normal(text);
        if self.out.contains(&text) {
            Some(Wish::OptOut)
        } else {
            self.back.contains(&text).then_some(Wish::OptIn)
        }
    }
}

/// The form in which words are compared: [`folded`], punctuation, symbols and emoji around it taken off. Those alone stay
/// as they are. Applied twice it changes nothing.
#[must_use]
pub fn normal(text: &str) -> String {
    // Before as well, as an accent that stands alone is a blank and a combining one when it is folded.
    let seen = seen(text);
    let bare = folded(seen.trim_matches(is_dressing));
    let bare = bare.trim_matches(is_dressing);
    if !bare.is_empty() {
        return bare.to_owned();
    }
    let whole = folded(&seen);
    // The combining accent is no dressing.
    let bare = whole.trim_matches(is_dressing);
    if bare.is_empty() { whole } else { bare.to_owned() }
}

/// NFKC, case folded, without a dot above that folding left on an i, without control and default-ignorable characters,
/// blanks single and none around it. Applied twice it changes nothing.
///
/// Case folding is lower, upper, lower case of each character, by the standard library's tables: for every character
/// that is at least as coarse as the full case folding of Unicode, and the dotless `ı` becomes `i`, as in a Turkish
/// word whose capitals were written on another keyboard.
pub(crate) fn folded(text: &str) -> String {
    let compose = ComposingNormalizerBorrowed::new_nfkc();
    let folded: String = compose
        .normalize(&seen(text))
        .chars()
        .flat_map(char::to_lowercase)
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .collect();
    // Where a dot above has a letter with it, as in "ż", this has joined them.
    let folded: String = compose
        .normalize(&folded)
        .chars()
        .filter(|character| *character != '\u{307}')
        .collect();
    let single = folded.split_whitespace().collect::<Vec<_>>().join(" ");
    // Letter and mark between which the dot above stood.
    compose.normalize(&single).into_owned()
}

/// Without what nobody sees.
fn seen(text: &str) -> String {
    let ignorable = CodePointSetData::new::<DefaultIgnorableCodePoint>();
    text.chars()
        .filter(|character| !ignorable.contains(*character))
        .filter(|character| !character.is_control() || character.is_whitespace())
        .collect()
}

/// What people, keyboards and phones put around a word: blanks, punctuation, quotes that are accents, symbols, emoji with
/// their tones and keycaps.
fn is_dressing(character: char) -> bool {
    let category = CodePointMapData::<GeneralCategory>::new().get(character);
    character.is_whitespace()
        || GeneralCategoryGroup::Punctuation.contains(category)
        || GeneralCategoryGroup::Symbol.contains(category)
        || category == GeneralCategory::EnclosingMark
        // What could not be decoded is shown as U+FFFD: half a character behind the word.
        || character == char::REPLACEMENT_CHARACTER
}

#[cfg(test)]
mod tests;
