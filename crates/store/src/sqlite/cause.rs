//! The reason that a carrier's settings give an error code, kept with the code in one text: behind it, after a
//! separator that no code has. So the code and its reason go together wherever a code goes: rows, unmatched receipts,
//! events, counters.

use sms::reason::Reason;
use std::borrow::Cow;

/// The unit separator (ASCII).
const SEPARATOR: char = '\u{1f}';
/// Octets that a meaning takes, its separator included: four digits.
const CAUSE_OCTETS: usize = 5;
/// Octets of a code that leave room for its meaning within what is kept of it.
const CODE_OCTETS_MAX: usize = 32 - CAUSE_OCTETS;

/// The text to be kept of a code and its meaning.
pub(super) fn with_cause(code: &str, cause: Option<Reason>) -> Cow<'_, str> {
    let written = code;
    let code = written.split(SEPARATOR).next().unwrap_or_default();
    match cause {
        None if code.len() == written.len() => Cow::Borrowed(written),
        None => Cow::Owned(code.to_owned()),
        Some(cause) => {
            let code = code
                .get(..code.floor_char_boundary(CODE_OCTETS_MAX))
                .unwrap_or_default();
            Cow::Owned(format!("{}{SEPARATOR}{:04}", code.trim_end(), cause.code()))
        }
    }
}

/// The reverse of [`with_cause`].
pub(super) fn split(kept: &str) -> (&str, Option<Reason>) {
    match kept.split_once(SEPARATOR) {
        None => (kept, None),
        Some((code, cause)) => (code, cause.trim_end().parse().ok().and_then(Reason::from_code)),
    }
}

/// The code alone.
pub(super) fn code_of(kept: &str) -> &str {
    split(kept).0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_code_and_its_meaning_are_kept_together(code in ".{0,40}", cause in prop::sample::select(Reason::OF_RECEIPTS)) {
            let kept = with_cause(&code, Some(cause));
            prop_assert!(kept.len() <= 32);
            let (kept_code, kept_cause) = split(&kept);
            prop_assert_eq!(kept_cause, Some(cause));
            prop_assert!(code.starts_with(kept_code));
        }

        #[test]
        fn a_code_without_a_meaning_has_none_whatever_it_is(code in ".{0,40}") {
            let kept = with_cause(&code, None);
            prop_assert_eq!(split(&kept).1, None);
        }
    }

    #[test]
    fn a_carrier_cannot_write_a_meaning() {
        assert_eq!(split(&with_cause("033\u{1f}2208", None)), ("033", None));
    }
}
