//! The meanings of a carrier's own error codes.

use super::Receipt;
use crate::reason::Reason;
use crate::state::same_word;

/// The meanings of error codes and words in a carrier's receipts that report a failure.
///
/// A numeric code is the same with any padding (`33`, `033`) and in both bases (`0x21`). A code without a network type
/// (`27`) also means that code of any network type (`3:27`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReceiptCodes(Vec<(Box<str>, Reason)>);

impl ReceiptCodes {
    /// The meaning of a receipt's code, or else of its word; `None` if neither is known, and for a receipt that reports
    /// no failure.
    #[must_use]
    pub fn cause(&self, receipt: &Receipt) -> Option<Reason> {
        if self.0.is_empty() || !receipt.state.message_state().is_failure() {
            return None;
        }
        let find = |is_meant: &dyn Fn(&str) -> bool| {
            let found = self.0.iter().find(|(code, _)| is_meant(code));
            found.map(|&(_, reason)| reason)
        };
        let error = receipt.error.trim();
        let by_code = (!error.is_empty())
            .then(|| find(&|code| same_code(code, error)))
            .flatten();
        by_code.or_else(|| {
            let word = receipt.word.trim();
            (!word.is_empty())
                .then(|| find(&|code| same_word(code, word)))
                .flatten()
        })
    }
}

impl<C: Into<Box<str>>> FromIterator<(C, Reason)> for ReceiptCodes {
    fn from_iter<I: IntoIterator<Item = (C, Reason)>>(codes: I) -> Self {
        let codes = codes.into_iter().map(|(code, reason)| (code.into(), reason));
        Self(codes.collect())
    }
}

/// Whether the code of the settings is the one of the receipt.
fn same_code(set: &str, given: &str) -> bool {
    let set = set.trim();
    let same = |one: &str, other: &str| {
        one.eq_ignore_ascii_case(other) || number(one).is_some_and(|value| number(other) == Some(value))
    };
    same(set, given)
        || given
            .split_once(':')
            .is_some_and(|(_network, code)| same(set, code))
}

fn number(code: &str) -> Option<u64> {
    let (digits, radix) = match code.strip_prefix("0x").or_else(|| code.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None => (code, 10),
    };
    if digits.starts_with('+') {
        None
    } else {
        u64::from_str_radix(digits, radix).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn codes() -> ReceiptCodes {
        [
            ("033", Reason::NumberOutOfService),
            ("0x34", Reason::ContentComplained),
            ("3:27", Reason::PhoneOff),
            ("1B", Reason::PhoneBusy),
            ("ABSENT", Reason::PhoneOutOfCoverage),
            ("undeliv", Reason::NumberNotAssigned),
        ]
        .into_iter()
        .collect()
    }

    fn cause(text: &str, error: Option<[u8; 3]>) -> Option<Reason> {
        codes().cause(&Receipt::read(text.as_bytes(), None, None, error).unwrap())
    }

    #[test]
    fn codes_are_found_however_they_are_written() {
        for (text, error, expected) in [
            (
                "id:1 stat:EXPIRED err:033",
                None,
                Some(Reason::NumberOutOfService),
            ),
            ("id:1 stat:EXPIRED err:33", None, Some(Reason::NumberOutOfService)),
            (
                "id:1 stat:EXPIRED err:0x21",
                None,
                Some(Reason::NumberOutOfService),
            ),
            ("id:1 stat:REJECTD err:052", None, Some(Reason::ContentComplained)),
            ("id:1 stat:REJECTD err:1b", None, Some(Reason::PhoneBusy)),
            ("id:1 stat:EXPIRED", Some([3, 0, 27]), Some(Reason::PhoneOff)),
            ("id:1 stat:EXPIRED", Some([1, 0, 27]), None),
            (
                "id:1 stat:EXPIRED",
                Some([1, 0, 33]),
                Some(Reason::NumberOutOfService),
            ),
            ("id:1 stat:UNDELIV err:999", None, Some(Reason::NumberNotAssigned)),
            ("id:1 stat:EXPIRED err:999", None, None),
            ("id:1 stat:EXPIRED err:", None, None),
            ("id:1 stat:DELIVRD err:033", None, None),
            ("id:1 stat:ENROUTE err:033", None, None),
            ("id:1 stat:UNKNOWN err:033", None, None),
        ] {
            assert_eq!(cause(text, error), expected, "{text} {error:?}");
        }
    }

    #[test]
    fn a_word_of_the_carriers_own_has_a_meaning_too() {
        let words = [("absent", crate::state::ReceiptState::Undeliverable)];
        let receipt = Receipt::read_with(
            &words.into_iter().collect(),
            b"id:1 stat:ABSENT err:000",
            None,
            None,
            None,
        );
        assert_eq!(codes().cause(&receipt.unwrap()), Some(Reason::PhoneOutOfCoverage));
    }

    proptest! {
        #[test]
        fn any_code_is_looked_for(code in ".{0,40}", error in ".{0,40}") {
            let codes: ReceiptCodes = [(code.as_str(), Reason::PhoneOff)].into_iter().collect();
            let text = format!("id:1 stat:REJECTD err:{error}");
            if let Some(receipt) = Receipt::read(text.as_bytes(), None, None, None) {
                let _ = codes.cause(&receipt);
            }
        }

        #[test]
        fn a_number_is_one_code_however_it_is_written(code: u32, padding in "0{0,4}") {
            for written in [format!("{padding}{code}"), format!("0x{padding}{code:X}")] {
                prop_assert!(same_code(&written, &code.to_string()));
                prop_assert!(same_code(&code.to_string(), &written));
            }
        }
    }
}
