//! Opt-out and opt-in keywords.
//!
//! A keyword is the whole message. People write it in any case, with a full stop, in full-width letters, with invisible
//! characters; a carrier adds a NUL. So messages and keywords are compared in a normal form ([`normal`]).

use icu_normalizer::ComposingNormalizerBorrowed;
use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory, GeneralCategoryGroup};
use icu_properties::{CodePointMapData, CodePointSetData};
use std::collections::HashSet;

/// The longest text that can be a keyword, in octets: longer ones are not examined.
const TEXT_OCTETS_MAX: usize = 1_024;

/// The effect of a keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeywordAction {
    /// The sender gets no more messages.
    OptOut,
    /// The sender gets messages again.
    OptIn,
}

/// The keywords of one account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    out: HashSet<String>,
    back: HashSet<String>,
}

impl Words {
    /// Keywords that unsubscribe (`out`) and that subscribe again (`back`). One that is in both unsubscribes.
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

    /// Whether there are no keywords.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.out.is_empty() && self.back.is_empty()
    }

    /// The action of the keyword that `text` is; `None` for a message that is not exactly one keyword.
    #[must_use]
    pub fn action(&self, text: &str) -> Option<KeywordAction> {
        if self.is_empty() || text.len() > TEXT_OCTETS_MAX {
            return None;
        }
        let text = normal(text);
        if self.out.contains(&text) {
            Some(KeywordAction::OptOut)
        } else {
            self.back.contains(&text).then_some(KeywordAction::OptIn)
        }
    }
}

/// The form in which keywords are compared: [`folded`], without punctuation, symbols and emoji around it. A text of
/// these alone is kept. Idempotent.
#[must_use]
pub fn normal(text: &str) -> String {
    // Needed before folding as well: folding turns a lone accent into a blank and a combining accent.
    let visible = without_invisible(text);
    let bare = folded(visible.trim_matches(is_decoration));
    let bare = bare.trim_matches(is_decoration);
    if !bare.is_empty() {
        return bare.to_owned();
    }
    let whole = folded(&visible);
    // The combining accent is no decoration.
    let bare = whole.trim_matches(is_decoration);
    if bare.is_empty() { whole } else { bare.to_owned() }
}

/// NFKC, case folded, without a dot above that folding left on an i, without control and default-ignorable characters,
/// with single blanks and none at the ends. Idempotent.
///
/// Case folding is lower, upper, lower case of each character, by the standard library's tables: for every character
/// that is at least as coarse as the full case folding of Unicode, and the dotless `ı` becomes `i`, as in a Turkish
/// word whose capitals were written on another keyboard.
pub(crate) fn folded(text: &str) -> String {
    let compose = ComposingNormalizerBorrowed::new_nfkc();
    let folded: String = compose
        .normalize(&without_invisible(text))
        .chars()
        .flat_map(char::to_lowercase)
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .collect();
    // Composition has joined a dot above with its letter where the pair has a composed form, as in "ż".
    let folded: String = compose
        .normalize(&folded)
        .chars()
        .filter(|character| *character != '\u{307}')
        .collect();
    let single = folded.split_whitespace().collect::<Vec<_>>().join(" ");
    // Composes letters and marks that the dot above had separated.
    compose.normalize(&single).into_owned()
}

/// Removes invisible characters.
fn without_invisible(text: &str) -> String {
    let ignorable = CodePointSetData::new::<DefaultIgnorableCodePoint>();
    text.chars()
        .filter(|character| !ignorable.contains(*character))
        .filter(|character| !character.is_control() || character.is_whitespace())
        .collect()
}

/// Whether a character is one of those that people, keyboards and phones put around a word: blanks, punctuation, quotes
/// that are accents, symbols, emoji with their tones and keycaps.
fn is_decoration(character: char) -> bool {
    let category = CodePointMapData::<GeneralCategory>::new().get(character);
    character.is_whitespace()
        || GeneralCategoryGroup::Punctuation.contains(category)
        || GeneralCategoryGroup::Symbol.contains(category)
        || category == GeneralCategory::EnclosingMark
        // U+FFFD stands for undecodable octets: half a character behind the word.
        || character == char::REPLACEMENT_CHARACTER
}

#[cfg(test)]
mod tests;
