//! What a carrier's settings say of its receipts.

use engine::catalog::SmppSettings;
use sms::state::ReceiptState;

/// Words of a carrier's own at most.
const WORDS_MAX: usize = 64;
/// Octets of a word that are compared.
const WORD_OCTETS_MAX: usize = 32;
/// What `receipt_words` may say of a word.
const STATES: [&str; 7] = [
    "delivered",
    "undelivered",
    "expired",
    "rejected",
    "deleted",
    "unknown",
    "enroute",
];

/// Each key that cannot be as it is, and why.
pub(super) fn complaints(smpp: &SmppSettings) -> Vec<(&'static str, String)> {
    let mut wrong = Vec::new();
    let mut about_words = |why| wrong.push(("receipt_words", format!("`receipt_words`: {why}")));
    if smpp.receipt_words.len() > WORDS_MAX {
        about_words(format!(
            "{} words; there is room for {WORDS_MAX}",
            smpp.receipt_words.len()
        ));
    }
    for (word, state) in &smpp.receipt_words {
        if !word.bytes().any(|octet| octet.is_ascii_alphanumeric()) || word.len() > WORD_OCTETS_MAX {
            about_words(format!(
                "{word:?} is no word of a receipt: letters and digits, at most {WORD_OCTETS_MAX} octets"
            ));
        }
        if ReceiptState::from_name(state).is_none() {
            about_words(format!(
                "{state:?}, the meaning of {word:?}, is not one of {}",
                STATES.join(", ")
            ));
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(words: &[(&str, &str)]) -> Vec<(&'static str, String)> {
        complaints(&SmppSettings {
            receipt_words: words
                .iter()
                .map(|(word, state)| ((*word).to_owned(), (*state).to_owned()))
                .collect(),
            ..SmppSettings::default()
        })
    }

    #[test]
    fn words_have_letters_and_mean_states() {
        for state in STATES {
            assert_eq!(with(&[("FAILED", state)]), []);
        }
        for (word, state) in [
            ("", "delivered"),
            ("--", "delivered"),
            ("WEIRD", "DELIVRD"),
            ("WEIRD", ""),
        ] {
            let wrong = with(&[(word, state)]);
            assert_eq!(wrong.len(), 1, "{word:?} {state:?}: {wrong:?}");
            assert!(
                wrong[0]
                    .1
                    .contains(&format!("{:?}", if state == "delivered" { word } else { state }))
            );
        }
    }

    #[test]
    fn there_are_not_too_many_words() {
        let words: Vec<String> = (0..=WORDS_MAX).map(|n| format!("W{n}")).collect();
        let words: Vec<(&str, &str)> = words.iter().map(|word| (word.as_str(), "delivered")).collect();
        assert_eq!(with(&words).len(), 1);
    }
}
