//! Delivery receipts: the state of one segment, as a carrier reports it.
//!
//! A receipt has up to two sources of it: optional parameters, and a text whose layout SMPP 3.4 Appendix B gives as an
//! example only and every carrier varies. [`Receipt::read`] takes the parameters if they are there and the text
//! ([`parse_text`]) for the rest; [`IdNotation`] makes the ids comparable with the one of the submit response, and
//! [`ReceiptWords`] are a carrier's own words for states.

mod codes;
mod date;
mod id;
mod text;
mod words;

pub use codes::ReceiptCodes;
pub use date::CarrierDate;
pub use id::{CARRIER_ID_OCTETS_MAX, CarrierId, IdNotation, OTHER_IDS_MAX, ReceiptIds, UnknownNotation};
pub use text::{ReceiptText, parse_text};
pub use words::ReceiptWords;

use crate::state::ReceiptState;

/// Most octets kept of a carrier's error code; Appendix B gives it three.
pub const ERROR_OCTETS_MAX: usize = 32;

/// One receipt, as read from a `deliver_sm` or `data_sm`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The carrier's id of the segment in the parameter `receipted_message_id`, unchanged; not empty, at most
    /// [`CARRIER_ID_OCTETS_MAX`] octets. At least one of this and `text_id` is set.
    pub parameter_id: Option<Box<str>>,
    /// The id in the text, likewise, if it differs from that of the parameter. Compare both through
    /// [`IdNotation::receipt_ids`].
    pub text_id: Option<Box<str>>,
    /// The reported state. An unknown word is not final: it reads as [`ReceiptState::Enroute`].
    pub state: ReceiptState,
    /// The unknown word, or the unknown value of the parameter; at most [`ERROR_OCTETS_MAX`] octets.
    pub unknown_word: Option<Box<str>>,
    /// The word in the text, unchanged, at most [`ERROR_OCTETS_MAX`] octets; empty if there is none.
    pub word: Box<str>,
    /// The carrier's own error code; empty if there is none, at most [`ERROR_OCTETS_MAX`] octets. From the parameter it
    /// is `<network type>:<code>` in decimal (`3:27`), from the text it is unchanged (`027`).
    pub error: Box<str>,
    /// When the segment reached its state, by the carrier's clock.
    pub done_date: Option<CarrierDate>,
    /// How certain it is that this is a receipt, judging by the contents alone.
    pub confidence: ReceiptConfidence,
}

/// How certain it is that a delivery is a receipt, by its contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReceiptConfidence {
    /// A person may have written it: it has an id and an unknown word, and no other field of a receipt.
    Doubtful,
    /// It has the form of a receipt, which a person could imitate: it is a receipt if the id is known.
    Likely,
    /// It has both parameters, which SMPP 3.4 (sections 5.3.2.12 and 5.3.2.35) gives to receipts only.
    Certain,
}

impl Receipt {
    /// [`read_with`](Self::read_with) without words of the carrier's own.
    #[must_use]
    pub fn read(
        text: &[u8],
        receipted_message_id: Option<&[u8]>,
        message_state: Option<u8>,
        network_error_code: Option<[u8; 3]>,
    ) -> Option<Self> {
        let words = ReceiptWords::default();
        Self::read_with(
            &words,
            text,
            receipted_message_id,
            message_state,
            network_error_code,
        )
    }

    /// Reads a receipt from its text and its optional parameters: `receipted_message_id` (0x001E), `message_state`
    /// (0x0427) and `network_error_code` (0x0423). If both have a state, a word of the carrier's own has precedence,
    /// then the parameter.
    ///
    /// `None` if there is no id, or no state: such a delivery could not be applied to any segment.
    #[must_use]
    pub fn read_with(
        words: &ReceiptWords,
        text: &[u8],
        receipted_message_id: Option<&[u8]>,
        message_state: Option<u8>,
        network_error_code: Option<[u8; 3]>,
    ) -> Option<Self> {
        let text = parse_text(text);
        let parameter = receipted_message_id.map(String::from_utf8_lossy);
        let parameter_id = parameter.as_deref().and_then(kept_id);
        let text_id = text
            .id
            .as_deref()
            .and_then(kept_id)
            .filter(|id| Some(id) != parameter_id.as_ref());
        if parameter_id.is_none() && text_id.is_none() {
            return None;
        }
        let word = text.stat.as_deref().unwrap_or_default();
        let said = words.resolve(word, message_state)?;
        let confidence = if parameter_id.is_some() && message_state.is_some() {
            ReceiptConfidence::Certain
        } else if said.is_ok() || text.has_more_than_id_and_stat() {
            ReceiptConfidence::Likely
        } else {
            ReceiptConfidence::Doubtful
        };
        let (state, unknown_word) = match said {
            Ok(state) => (state, None),
            Err(unknown) => (
                ReceiptState::Enroute,
                Some(cut(&unknown, ERROR_OCTETS_MAX).into()),
            ),
        };
        let error = match network_error_code {
            Some([network, high, low]) => format!("{network}:{}", u16::from_be_bytes([high, low])).into(),
            None => text
                .err
                .as_deref()
                .map_or_else(Box::default, |err| cut(err, ERROR_OCTETS_MAX).into()),
        };
        Some(Self {
            parameter_id,
            text_id,
            state,
            unknown_word,
            word: cut(word, ERROR_OCTETS_MAX).into(),
            error,
            done_date: text.done_date.as_deref().and_then(CarrierDate::parse),
            confidence,
        })
    }

    /// The receipt as an intermediate notification (SMPP 3.4 section 5.2.12), which is never final.
    #[must_use]
    pub fn into_intermediate(self) -> Self {
        let state = if self.state.is_final() {
            ReceiptState::Enroute
        } else {
            self.state
        };
        Self { state, ..self }
    }

    /// The ids of the segment in the submit response; `None` if none is left after trimming.
    #[must_use]
    pub fn ids(&self, notation: IdNotation) -> Option<ReceiptIds> {
        notation.receipt_ids(self.parameter_id.as_deref(), self.text_id.as_deref())
    }
}

/// An id without the characters that carriers leave around it, truncated; `None` if nothing is left.
fn kept_id(written: &str) -> Option<Box<str>> {
    let id = id::trim(written);
    (!id.is_empty()).then(|| cut(id, CARRIER_ID_OCTETS_MAX).into())
}

/// The longest prefix of `text` that has at most `octets_max` octets and ends between characters.
fn cut(text: &str, octets_max: usize) -> &str {
    text.get(..text.floor_char_boundary(octets_max)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &[u8] =
        b"id:0000000031 sub:001 dlvrd:000 submit date:2611220930 done date:2611220931 stat:UNDELIV err:027 text:hi";

    #[test]
    fn the_text_alone_is_enough() {
        let receipt = Receipt::read(TEXT, None, None, None).unwrap();
        assert_eq!(
            (receipt.parameter_id, receipt.text_id.as_deref()),
            (None, Some("0000000031"))
        );
        assert_eq!(receipt.state, ReceiptState::Undeliverable);
        assert_eq!(
            (&*receipt.word, receipt.confidence),
            ("UNDELIV", ReceiptConfidence::Likely)
        );
        assert_eq!(&*receipt.error, "027");
        assert_eq!(receipt.done_date, CarrierDate::parse("2611220931"));
    }

    #[test]
    fn parameters_count_more_than_the_text() {
        let receipt = Receipt::read(TEXT, Some(b"1F\0"), Some(2), Some([3, 0x01, 0x02])).unwrap();
        assert_eq!(receipt.parameter_id.as_deref(), Some("1F"));
        assert_eq!(receipt.text_id.as_deref(), Some("0000000031"));
        assert_eq!(receipt.state, ReceiptState::Delivered);
        assert_eq!(receipt.confidence, ReceiptConfidence::Certain);
        assert_eq!(&*receipt.error, "3:258");
        assert!(receipt.done_date.is_some());
    }

    #[test]
    fn parameters_alone_are_enough() {
        let receipt = Receipt::read(b"", Some(b"1F"), Some(5), None).unwrap();
        assert_eq!(
            (receipt.parameter_id.as_deref(), receipt.state, &*receipt.error),
            (Some("1F"), ReceiptState::Undeliverable, "")
        );
    }

    #[test]
    fn an_empty_or_reserved_parameter_leaves_the_word_to_the_text() {
        let receipt = Receipt::read(TEXT, Some(b"\0"), Some(77), None).unwrap();
        assert_eq!(
            (receipt.text_id.as_deref(), receipt.state),
            (Some("0000000031"), ReceiptState::Undeliverable)
        );
    }

    #[test]
    fn an_unknown_word_is_not_final() {
        for (text, parameter, unknown) in [
            (&b"id:1 stat:WEIRD"[..], None, "WEIRD"),
            (b"id:1 stat:WEIRD", Some(77), "WEIRD"),
            (b"id:1", Some(77), "77"),
        ] {
            let receipt = Receipt::read(text, None, parameter, None).unwrap();
            assert!(!receipt.state.is_final(), "{unknown}");
            assert_eq!(receipt.unknown_word.as_deref(), Some(unknown));
        }
    }

    #[test]
    fn a_carriers_own_words_count_most() {
        let words: ReceiptWords = [
            ("WEIRD", ReceiptState::Delivered),
            ("Acked", ReceiptState::Delivered),
            ("unknown", ReceiptState::Enroute),
        ]
        .into_iter()
        .collect();
        let state = |text: &[u8], parameter| {
            Receipt::read_with(&words, text, None, parameter, None)
                .unwrap()
                .state
        };
        assert_eq!(state(b"id:1 stat:weird", None), ReceiptState::Delivered);
        assert_eq!(state(b"id:1 stat:ACKED", Some(6)), ReceiptState::Delivered);
        assert_eq!(state(b"id:1 stat:UNKNOWN", None), ReceiptState::Enroute);
        assert_eq!(state(b"id:1", Some(7)), ReceiptState::Enroute);
        assert_eq!(state(b"id:1 stat:EXPIRED", Some(2)), ReceiptState::Delivered);
    }

    #[test]
    fn an_intermediate_notification_is_never_the_end() {
        for state in ReceiptState::ALL {
            let text = format!("id:1 stat:{}", state.word());
            let receipt = Receipt::read(text.as_bytes(), None, None, None).unwrap();
            assert!(!receipt.into_intermediate().state.is_final(), "{state}");
        }
    }

    #[test]
    fn a_receipt_is_distinguished_from_what_a_person_may_have_written() {
        for (text, id, state, confidence) in [
            (&b"id:1 stat:DELIVRD"[..], None, None, ReceiptConfidence::Likely),
            (b"id:1 stat:WEIRD err:000", None, None, ReceiptConfidence::Likely),
            (
                b"my id: 5, stat: fine thanks",
                None,
                None,
                ReceiptConfidence::Doubtful,
            ),
            (b"", Some(&b"1"[..]), Some(2), ReceiptConfidence::Certain),
            (b"id:1 stat:DELIVRD", None, Some(2), ReceiptConfidence::Likely),
            (b"stat:DELIVRD", Some(b"1"), None, ReceiptConfidence::Likely),
        ] {
            let read = Receipt::read(text, id, state, None).unwrap();
            assert_eq!(read.confidence, confidence, "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn without_an_id_or_a_state_there_is_no_receipt() {
        assert_eq!(Receipt::read(b"stat:DELIVRD", None, None, None), None);
        assert_eq!(Receipt::read(b"id: stat:DELIVRD", None, None, None), None);
        assert_eq!(Receipt::read(b"id:1", None, None, None), None);
        assert_eq!(Receipt::read(b"id:1 stat:", None, None, None), None);
        assert_eq!(Receipt::read(b"", Some(b"1"), None, Some([3, 0, 1])), None);
        assert_eq!(Receipt::read(b"STOP", None, None, None), None);
    }

    #[test]
    fn ids_and_errors_are_bounded() {
        let text = format!("id:{} stat:DELIVRD err:{}", "7".repeat(500), "\u{e9}".repeat(500));
        let receipt = Receipt::read(text.as_bytes(), None, None, None).unwrap();
        assert_eq!(receipt.text_id.unwrap().len(), CARRIER_ID_OCTETS_MAX);
        assert_eq!(receipt.error.len(), ERROR_OCTETS_MAX);
    }

    proptest! {
        #[test]
        fn reading_is_total_and_bounded(
            text in prop::collection::vec(any::<u8>(), 0..200),
            id in prop::option::of(prop::collection::vec(any::<u8>(), 0..200)),
            state in any::<Option<u8>>(),
            error in any::<Option<[u8; 3]>>()
        ) {
            if let Some(receipt) = Receipt::read(&text, id.as_deref(), state, error) {
                for id in [&receipt.parameter_id, &receipt.text_id].into_iter().flatten() {
                    prop_assert!(!id.is_empty() && id.len() <= CARRIER_ID_OCTETS_MAX);
                }
                for text in [&receipt.error, &receipt.word] {
                    prop_assert!(text.len() <= ERROR_OCTETS_MAX);
                }
                for notation in IdNotation::ALL {
                    let ids = receipt.ids(notation).unwrap();
                    prop_assert!(ids.others.len() <= OTHER_IDS_MAX);
                    prop_assert!(!ids.others.contains(&ids.first));
                }
                prop_assert!(!receipt.into_intermediate().state.is_final());
            }
        }
    }
}
