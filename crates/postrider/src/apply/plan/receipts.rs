//! Checks a carrier's settings about receipts.

use engine::catalog::SmppSettings;
use sms::reason::Reason;
use sms::state::ReceiptState;

/// Entries of `receipt_words`.
const WORDS_MAX: usize = 64;
/// Entries of `receipt_codes`.
const CODES_MAX: usize = 512;
/// Octets of a word that are compared.
const WORD_OCTETS_MAX: usize = 32;
/// Meanings that `receipt_words` may give a word.
const STATES: [&str; 7] = [
    "delivered",
    "undelivered",
    "expired",
    "rejected",
    "deleted",
    "unknown",
    "enroute",
];

/// Each invalid key, and why.
pub(super) fn complaints(smpp: &SmppSettings) -> Vec<(&'static str, String)> {
    let mut wrong = Vec::new();
    let mut about_words = |why| wrong.push(("receipt_words", format!("`receipt_words`: {why}")));
    if smpp.receipt_words.len() > WORDS_MAX {
        about_words(format!(
            "{} words; at most {WORDS_MAX} are allowed",
            smpp.receipt_words.len()
        ));
    }
    for (word, state) in &smpp.receipt_words {
        if !word.bytes().any(|octet| octet.is_ascii_alphanumeric()) || word.len() > WORD_OCTETS_MAX {
            about_words(format!(
                "{word:?} is not a word of a receipt: it must be letters and digits, at most {WORD_OCTETS_MAX} octets"
            ));
        }
        if ReceiptState::from_name(state).is_none() {
            about_words(format!(
                "{state:?}, the meaning of {word:?}, is not one of {}",
                STATES.join(", ")
            ));
        }
    }
    wrong.extend(code_complaints(smpp).map(|why| ("receipt_codes", format!("`receipt_codes`: {why}"))));
    wrong
}

fn code_complaints(smpp: &SmppSettings) -> impl Iterator<Item = String> {
    let codes = &smpp.receipt_codes;
    let too_many =
        (codes.len() > CODES_MAX).then(|| format!("{} codes; at most {CODES_MAX} are allowed", codes.len()));
    let each = codes.iter().flat_map(|(code, name)| {
        let code_wrong = (code.trim().is_empty() || code.len() > WORD_OCTETS_MAX).then(|| {
            format!("{code:?} is not a code or word of a receipt: it must have 1 to {WORD_OCTETS_MAX} octets")
        });
        let name_wrong = Reason::of_receipt_named(name).is_none().then(|| {
            let names: Vec<&str> = Reason::OF_RECEIPTS.iter().map(|reason| reason.name()).collect();
            format!(
                "{name:?}, the meaning of {code:?}, is not one of {}",
                names.join(", ")
            )
        });
        code_wrong.into_iter().chain(name_wrong)
    });
    too_many.into_iter().chain(each)
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
    fn codes_mean_reasons_of_receipts() {
        let with = |code: &str, name: &str| {
            complaints(&SmppSettings {
                receipt_codes: [(code.to_owned(), name.to_owned())].into(),
                ..SmppSettings::default()
            })
        };
        for reason in Reason::OF_RECEIPTS {
            assert_eq!(with("033", reason.name()), []);
        }
        for (code, name) in [
            ("", "phone_off"),
            ("033", "no_route"),
            ("033", "510"),
            (&"x".repeat(33), "phone_off"),
        ] {
            let wrong = with(code, name);
            assert_eq!(
                (wrong.len(), wrong[0].0),
                (1, "receipt_codes"),
                "{code:?} {name:?}: {wrong:?}"
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
