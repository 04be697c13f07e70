//! Delivery receipts: what a carrier says became of one segment.
//!
//! A receipt says it twice at most: in optional parameters, and in a text whose layout SMPP 3.4 Appendix B
//! gives as an example only and every carrier varies. [`Receipt::read`] takes the parameters where they are
//! there and the text ([`parse_text`]) for the rest; [`IdNotation`] makes the id comparable with the one the
//! carrier answered on submission.

mod date;
mod id;
mod text;

pub use date::CarrierDate;
pub use id::{CARRIER_ID_OCTETS_MAX, CarrierId, IdNotation, UnknownNotation};
pub use text::{ReceiptText, parse_text};

use crate::state::ReceiptState;

/// Most octets kept of a carrier's error code; Appendix B gives it three.
pub const ERROR_OCTETS_MAX: usize = 32;

/// One receipt, as read from a `deliver_sm` or `data_sm`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The carrier's id of the segment as the receipt spells it, not empty, at most
    /// [`CARRIER_ID_OCTETS_MAX`] octets. To be compared, it goes through [`IdNotation::receipt_id`].
    pub id: Box<str>,
    /// What it says. [`ReceiptState::Unknown`] also for a word nobody knows.
    pub state: ReceiptState,
    /// The carrier's own error code; empty when none, at most [`ERROR_OCTETS_MAX`] octets. From the parameter
    /// it is `<network type>:<code>` in decimal (`3:27`), from the text it is as written (`027`).
    pub error: Box<str>,
    /// When the segment reached its state, by the carrier's clock.
    pub done_date: Option<CarrierDate>,
}

impl Receipt {
    /// Reads a receipt from its text and its optional parameters: `receipted_message_id` (0x001E),
    /// `message_state` (0x0427) and `network_error_code` (0x0423). Where both speak, the parameter counts.
    ///
    /// `None` when neither names a segment, or neither says anything of its state: then it is no receipt that
    /// could be applied to anything.
    #[must_use]
    pub fn read(
        text: &[u8],
        receipted_message_id: Option<&[u8]>,
        message_state: Option<u8>,
        network_error_code: Option<[u8; 3]>,
    ) -> Option<Self> {
        let text = parse_text(text);
        let parameter = receipted_message_id.map(String::from_utf8_lossy);
        let id = parameter
            .as_deref()
            .map(id::trim)
            .filter(|id| !id.is_empty())
            .or_else(|| text.id.as_deref().map(id::trim).filter(|id| !id.is_empty()))?;
        let state = message_state
            .and_then(ReceiptState::from_message_state)
            .or_else(|| {
                // A word we do not know still ends the waiting: `Unknown` is shown, and corrected if more comes.
                text.stat
                    .as_deref()
                    .map(|word| ReceiptState::from_word(word).unwrap_or(ReceiptState::Unknown))
            })?;
        let error = match network_error_code {
            Some([network, high, low]) => format!("{network}:{}", u16::from_be_bytes([high, low])).into(),
            None => text
                .err
                .as_deref()
                .map_or_else(Box::default, |err| cut(err, ERROR_OCTETS_MAX).into()),
        };
        Some(Self {
            id: cut(id, CARRIER_ID_OCTETS_MAX).into(),
            state,
            error,
            done_date: text.done_date.as_deref().and_then(CarrierDate::parse),
        })
    }
}

/// The longest beginning of `text` that has at most `octets_max` octets and ends between characters.
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
        assert_eq!(&*receipt.id, "0000000031");
        assert_eq!(receipt.state, ReceiptState::Undeliverable);
        assert_eq!(&*receipt.error, "027");
        assert_eq!(receipt.done_date, CarrierDate::parse("2611220931"));
    }

    #[test]
    fn parameters_count_more_than_the_text() {
        let receipt = Receipt::read(TEXT, Some(b"1F\0"), Some(2), Some([3, 0x01, 0x02])).unwrap();
        assert_eq!(&*receipt.id, "1F");
        assert_eq!(receipt.state, ReceiptState::Delivered);
        assert_eq!(&*receipt.error, "3:258");
        assert!(receipt.done_date.is_some());
    }

    #[test]
    fn parameters_alone_are_enough() {
        let receipt = Receipt::read(b"", Some(b"1F"), Some(5), None).unwrap();
        assert_eq!(
            (&*receipt.id, receipt.state, &*receipt.error),
            ("1F", ReceiptState::Undeliverable, "")
        );
    }

    #[test]
    fn an_empty_or_reserved_parameter_leaves_the_word_to_the_text() {
        let receipt = Receipt::read(TEXT, Some(b"\0"), Some(77), None).unwrap();
        assert_eq!(
            (&*receipt.id, receipt.state),
            ("0000000031", ReceiptState::Undeliverable)
        );
    }

    #[test]
    fn a_word_nobody_knows_is_unknown() {
        let receipt = Receipt::read(b"id:1 stat:WEIRD", None, None, None).unwrap();
        assert_eq!(receipt.state, ReceiptState::Unknown);
    }

    #[test]
    fn without_an_id_or_a_state_there_is_no_receipt() {
        assert_eq!(Receipt::read(b"stat:DELIVRD", None, None, None), None);
        assert_eq!(Receipt::read(b"id: stat:DELIVRD", None, None, None), None);
        assert_eq!(Receipt::read(b"id:1", None, None, None), None);
        assert_eq!(Receipt::read(b"", Some(b"1"), None, Some([3, 0, 1])), None);
        assert_eq!(Receipt::read(b"STOP", None, None, None), None);
    }

    #[test]
    fn ids_and_errors_are_bounded() {
        let text = format!("id:{} stat:DELIVRD err:{}", "7".repeat(500), "\u{e9}".repeat(500));
        let receipt = Receipt::read(text.as_bytes(), None, None, None).unwrap();
        assert_eq!(receipt.id.len(), CARRIER_ID_OCTETS_MAX);
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
                prop_assert!(!receipt.id.is_empty() && receipt.id.len() <= CARRIER_ID_OCTETS_MAX);
                prop_assert!(receipt.error.len() <= ERROR_OCTETS_MAX);
            }
        }
    }
}
