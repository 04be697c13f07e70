//! A carrier's own words for states.

use std::borrow::Cow;

use crate::state::{ReceiptState, same_word};

/// The states of words in a carrier's receipts, with precedence over [`ReceiptState::from_word`]. Words are compared
/// without case, blanks, hyphens and underscores.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReceiptWords(Vec<(Box<str>, ReceiptState)>);

impl ReceiptWords {
    fn own(&self, word: &str) -> Option<ReceiptState> {
        self.0
            .iter()
            .find(|(known, _)| same_word(known, word))
            .map(|&(_, state)| state)
    }

    /// The state of a receipt whose text has this word (empty if it has none) and whose parameter `message_state` has
    /// this value; an unknown word or value as the error, `None` if there is neither.
    ///
    /// The carrier's own meaning of the word has precedence, then the parameter (whose standard word the carrier may
    /// have redefined), then the word.
    pub(super) fn resolve<'w>(
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
