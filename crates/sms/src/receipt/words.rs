//! A carrier's own words for states.

use std::borrow::Cow;

use crate::state::{ReceiptState, same_word};

/// What words of a carrier's receipts mean, beside and before [`ReceiptState::from_word`]. Words are the same
/// whatever their case and their blanks, hyphens and underscores.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReceiptWords(Vec<(Box<str>, ReceiptState)>);

impl ReceiptWords {
    fn own(&self, word: &str) -> Option<ReceiptState> {
        self.0
            .iter()
            .find(|(known, _)| same_word(known, word))
            .map(|&(_, state)| state)
    }

    /// What a receipt says whose text has this word (empty when it has none) and whose parameter `message_state` has
    /// this value; the word or value that nobody knows as the error, `None` when there is neither.
    ///
    /// The carrier's own meaning of the word counts most, then the parameter (for the standard word of which the
    /// carrier may have a meaning of its own, too), then the word.
    pub(super) fn judge<'w>(
        &self,
        word: &'w str,
        message_state: Option<u8>,
    ) -> Option<Result<ReceiptState, Cow<'w, str>>> {
        let word = word.trim();
        if !word.is_empty()
            && let Some(state) = self.own(word)
        {
            return Some(Ok(state));
        }
        if let Some(state) = message_state.and_then(ReceiptState::from_message_state) {
            return Some(Ok(self.own(state.word()).unwrap_or(state)));
        }
        if !word.is_empty() {
            return Some(ReceiptState::from_word(word).ok_or(Cow::Borrowed(word)));
        }
        message_state.map(|value| Err(Cow::Owned(value.to_string())))
    }
}

impl<W: Into<Box<str>>> FromIterator<(W, ReceiptState)> for ReceiptWords {
    fn from_iter<I: IntoIterator<Item = (W, ReceiptState)>>(words: I) -> Self {
        Self(
            words
                .into_iter()
                .map(|(word, state)| (word.into(), state))
                .collect(),
        )
    }
}
