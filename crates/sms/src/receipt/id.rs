//! The carrier's id of a segment, made comparable.
//!
//! A carrier sends the id of a segment twice, in `submit_sm_resp` and in the receipt, and may spell it differently:
//! SMPP 3.3 has hexadecimal ids, 3.4 made them text, and since then one system responds in hexadecimal and reports in
//! decimal, pads to ten digits on one side, or changes case.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::cut;

/// Most octets kept of a carrier's id. SMPP allows 64; HTTP carriers use longer ones.
pub const CARRIER_ID_OCTETS_MAX: usize = 128;

/// A carrier's id of a segment, in the one spelling that is stored and compared.
///
/// Unique per carrier only, and not for ever: carriers reuse ids after a while.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CarrierId(Box<str>);

impl CarrierId {
    /// The id spelled `normalised`, which comes from [`as_str`](Self::as_str) or a store; ids from the wire go
    /// through an [`IdNotation`]. Kept to [`CARRIER_ID_OCTETS_MAX`] octets.
    #[must_use]
    pub fn new(normalised: &str) -> Self {
        Self(cut(normalised, CARRIER_ID_OCTETS_MAX).into())
    }

    /// The id's spelling.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A short key for indexes: FNV-1a over the id's octets, 64 bits.
    ///
    /// Stored, so it never changes. Two ids may have the same key: a lookup by key must compare the id.
    #[must_use]
    pub fn key(&self) -> u64 {
        const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
        const PRIME: u64 = 0x0000_0100_0000_01b3;
        self.0.bytes().fold(OFFSET_BASIS, |hash, octet| {
            (hash ^ u64::from(octet)).wrapping_mul(PRIME)
        })
    }
}

impl fmt::Display for CarrierId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// How a carrier spells its ids.
///
/// In every notation case, leading zeros, and spaces, quotes and NULs around the id are ignored: no carrier uses them
/// to distinguish two of its segments. An id that is invalid in its notation (letters in `decimal`, more than 128 bits)
/// is compared as text by the same rules, so one irregular id is still found.
///
/// The stored spelling is the one of the submission, which the carrier's support needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum IdNotation {
    /// The same text on both sides.
    #[default]
    AsIs,
    /// Hexadecimal on both sides, with or without `0x`.
    Hex,
    /// Decimal on both sides.
    Decimal,
    /// Hexadecimal in `submit_sm_resp`, decimal in the receipt.
    HexSubmitDecimalReceipt,
    /// Decimal in `submit_sm_resp`, hexadecimal in the receipt.
    DecimalSubmitHexReceipt,
}

/// The base of an id.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Base {
    Text,
    Hex,
    Decimal,
}

impl IdNotation {
    /// All notations.
    pub const ALL: [Self; 5] = [
        Self::AsIs,
        Self::Hex,
        Self::Decimal,
        Self::HexSubmitDecimalReceipt,
        Self::DecimalSubmitHexReceipt,
    ];

    /// The id in a `submit_sm_resp`, spelled `written`; `None` if it is empty, which is allowed.
    #[must_use]
    pub fn submit_id(&self, written: &str) -> Option<CarrierId> {
        normalise(written, self.submit_base(), self.submit_base())
    }

    /// The id in a receipt, spelled `written`, equal to the [`submit_id`](Self::submit_id) of the same segment; `None`
    /// if it is empty.
    #[must_use]
    pub fn receipt_id(&self, written: &str) -> Option<CarrierId> {
        normalise(written, self.receipt_base(), self.submit_base())
    }

    /// The ids of the segment that a receipt may mean: from its parameter `receipted_message_id` and from its text,
    /// each as written; `None` if there is none.
    ///
    /// If both are there and are the same number in two bases, that number is the id. Else each is tried in the
    /// notation of receipts, then in that of responses: by SMPP 3.4 (section 5.3.2.12) the parameter carries the id of
    /// the response, but not every carrier follows it. An id in the text alone is read in the notation of receipts
    /// only: in the other one it could be the id of another segment.
    #[must_use]
    pub fn receipt_ids(&self, parameter: Option<&str>, text: Option<&str>) -> Option<ReceiptIds> {
        if let (Some(parameter), Some(text)) = (parameter, text)
            && let Some(first) = self.in_two_bases(parameter, text)
        {
            return Some(ReceiptIds {
                first,
                others: Vec::new(),
            });
        }
        let differs = self.submit_base() != self.receipt_base();
        let as_answered = |written: Option<&str>| {
            let written = written.filter(|_| differs)?;
            self.submit_id(written)
        };
        let mut ids = [
            parameter.and_then(|written| self.receipt_id(written)),
            text.and_then(|written| self.receipt_id(written)),
            as_answered(parameter),
            as_answered(parameter.and(text)),
        ]
        .into_iter()
        .flatten();
        let mut found = ReceiptIds {
            first: ids.next()?,
            others: Vec::new(),
        };
        for id in ids {
            if id != found.first && !found.others.contains(&id) {
                found.others.push(id);
            }
        }
        Some(found)
    }

    /// The id that is written once in hexadecimal and once in decimal; `None` if it is not, or if the notation of
    /// responses has no base.
    fn in_two_bases(self, one: &str, other: &str) -> Option<CarrierId> {
        let base = self.submit_base();
        if matches!(base, Base::Text) {
            return None;
        }
        let (one, other) = (trim(one), trim(other));
        let same = |hex, decimal| {
            let value = hex_number(hex)?;
            (number(decimal, 10)? == value).then_some(value)
        };
        let value = same(one, other).or_else(|| same(other, one))?;
        Some(CarrierId::new(&spelled(value, base)))
    }

    const fn submit_base(self) -> Base {
        match self {
            Self::AsIs => Base::Text,
            Self::Hex | Self::HexSubmitDecimalReceipt => Base::Hex,
            Self::Decimal | Self::DecimalSubmitHexReceipt => Base::Decimal,
        }
    }

    const fn receipt_base(self) -> Base {
        match self {
            Self::AsIs => Base::Text,
            Self::Hex | Self::DecimalSubmitHexReceipt => Base::Hex,
            Self::Decimal | Self::HexSubmitDecimalReceipt => Base::Decimal,
        }
    }

    /// The notation's name in a carrier's configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AsIs => "as_is",
            Self::Hex => "hex",
            Self::Decimal => "decimal",
            Self::HexSubmitDecimalReceipt => "hex_submit_decimal_receipt",
            Self::DecimalSubmitHexReceipt => "decimal_submit_hex_receipt",
        }
    }
}

/// The ids that a receipt may mean: see [`IdNotation::receipt_ids`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptIds {
    /// The most likely.
    pub first: CarrierId,
    /// Further ids to try, in order; at most [`OTHER_IDS_MAX`], without duplicates.
    pub others: Vec<CarrierId>,
}

/// Most ids tried after the first.
pub const OTHER_IDS_MAX: usize = 3;

/// Reads `written` in the base `from` and spells it in the base `to`; as text if it is not a number.
fn normalise(written: &str, from: Base, to: Base) -> Option<CarrierId> {
    let written = trim(written);
    if written.is_empty() {
        return None;
    }
    let value = match from {
        Base::Text => None,
        Base::Hex => hex_number(written),
        Base::Decimal => number(written, 10),
    };
    let spelled = match value {
        Some(value) => spelled(value, to),
        None => without_padding(written).to_ascii_lowercase(),
    };
    Some(CarrierId::new(&spelled))
}

fn spelled(value: u128, base: Base) -> String {
    match base {
        Base::Hex => format!("{value:x}"),
        Base::Decimal | Base::Text => value.to_string(),
    }
}

/// The value of hexadecimal digits, with or without `0x`.
fn hex_number(written: &str) -> Option<u128> {
    let digits = written
        .strip_prefix("0x")
        .or_else(|| written.strip_prefix("0X"))
        .unwrap_or(written);
    number(digits, 16)
}

/// The value of digits in `radix`; unlike `from_str_radix` alone this accepts no sign.
fn number(digits: &str, radix: u32) -> Option<u128> {
    if digits.starts_with('+') {
        None
    } else {
        u128::from_str_radix(digits, radix).ok()
    }
}

/// Removes leading zeros, but never the last character.
fn without_padding(id: &str) -> &str {
    let padded = id.trim_start_matches('0');
    if padded.is_empty() { "0" } else { padded }
}

/// Removes the characters that carriers leave around an id.
pub(super) fn trim(written: &str) -> &str {
    written.trim_matches(|c: char| c.is_whitespace() || matches!(c, '\0' | '"' | '\''))
}

/// The text is not the name of an [`IdNotation`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "an id notation is one of as_is, hex, decimal, hex_submit_decimal_receipt, decimal_submit_hex_receipt"
)]
pub struct UnknownNotation;

impl FromStr for IdNotation {
    type Err = UnknownNotation;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|notation| notation.name() == name)
            .ok_or(UnknownNotation)
    }
}

impl fmt::Display for IdNotation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Serialize for IdNotation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for IdNotation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::IdNotation::{AsIs, Decimal, DecimalSubmitHexReceipt, Hex, HexSubmitDecimalReceipt};
    use super::*;

    #[test]
    fn both_sides_of_a_submission_compare_equal() {
        for (notation, submitted, reported, stored) in [
            (AsIs, "0000012345", "12345", "12345"),
            (AsIs, "A1B2-c3", "a1b2-C3", "a1b2-c3"),
            (AsIs, "00AB", "ab", "ab"),
            (AsIs, " 7f3a ", "\"7F3A\"", "7f3a"),
            (AsIs, "id\0", "'id'", "id"),
            (AsIs, "0000", "0", "0"),
            (Hex, "0x1F", "000000001f", "1f"),
            (Hex, "00001F", "0X1f", "1f"),
            (Decimal, "0000000031", "31", "31"),
            (HexSubmitDecimalReceipt, "1F", "31", "1f"),
            (HexSubmitDecimalReceipt, "0000ABCDEF", "0011259375", "abcdef"),
            (
                HexSubmitDecimalReceipt,
                "FFFFFFFFFFFFFFFF",
                "18446744073709551615",
                "ffffffffffffffff",
            ),
            (DecimalSubmitHexReceipt, "31", "0000001F", "31"),
            (DecimalSubmitHexReceipt, "0011259375", "abcdef", "11259375"),
            // Invalid in its notation on both sides: compared as text.
            (HexSubmitDecimalReceipt, "MSG-001", "msg-001", "msg-001"),
            (Decimal, "12-34", "012-34", "12-34"),
            (Decimal, "+12", "+12", "+12"),
        ] {
            let submit_id = notation.submit_id(submitted).unwrap();
            assert_eq!(submit_id.as_str(), stored, "{notation} {submitted:?}");
            assert_eq!(
                notation.receipt_id(reported),
                Some(submit_id),
                "{notation} {reported:?}"
            );
        }
    }

    #[test]
    fn notations_that_convert_read_the_same_digits_differently() {
        assert_ne!(
            HexSubmitDecimalReceipt.submit_id("31"),
            HexSubmitDecimalReceipt.receipt_id("31")
        );
        assert_ne!(AsIs.submit_id("1F"), AsIs.receipt_id("31"));
    }

    #[test]
    fn two_ids_of_a_receipt_are_read_in_each_notation_they_may_have() {
        let ids = |notation: IdNotation, parameter, text| {
            let ids = notation.receipt_ids(parameter, text).unwrap();
            let all = std::iter::once(&ids.first).chain(&ids.others);
            all.map(CarrierId::as_str).collect::<Vec<_>>().join(" ")
        };
        for (notation, parameter, text, expected) in [
            // One number in two bases: certain.
            (HexSubmitDecimalReceipt, Some("10"), Some("16"), "10"),
            (HexSubmitDecimalReceipt, Some("16"), Some("10"), "10"),
            (HexSubmitDecimalReceipt, Some("0x0010"), Some("0000000016"), "10"),
            (DecimalSubmitHexReceipt, Some("16"), Some("10"), "16"),
            (Hex, Some("16"), Some("10"), "10"),
            (Decimal, Some("10"), Some("16"), "16"),
            // Each in the notation of receipts, then in that of responses.
            (HexSubmitDecimalReceipt, Some("10"), None, "a 10"),
            (HexSubmitDecimalReceipt, None, Some("10"), "a"),
            (DecimalSubmitHexReceipt, Some("10"), None, "16 10"),
            (HexSubmitDecimalReceipt, Some("20"), Some("30"), "14 1e 20 30"),
            (AsIs, Some("31"), Some("1F"), "31 1f"),
            (
                AsIs,
                Some("a-long-id-1"),
                Some("a-long-id"),
                "a-long-id-1 a-long-id",
            ),
            (AsIs, Some("0001F"), Some("1f"), "1f"),
            (Hex, Some("1F"), None, "1f"),
        ] {
            assert_eq!(
                ids(notation, parameter, text),
                expected,
                "{notation} {parameter:?} {text:?}"
            );
        }
        assert_eq!(AsIs.receipt_ids(None, None), None);
        assert_eq!(AsIs.receipt_ids(Some("\0"), Some(" ")), None);
    }

    #[test]
    fn an_absent_id_is_none() {
        for notation in IdNotation::ALL {
            for written in ["", " ", "\0", "\"\"", "\t\r\n"] {
                assert_eq!(notation.submit_id(written), None);
                assert_eq!(notation.receipt_id(written), None);
            }
        }
    }

    #[test]
    fn names_read_back_and_others_are_refused() {
        for notation in IdNotation::ALL {
            assert_eq!(notation.to_string().parse(), Ok(notation));
        }
        assert_eq!("HEX".parse::<IdNotation>(), Err(UnknownNotation));
    }

    #[test]
    fn the_stored_key_never_changes() {
        // Published vectors of FNV-1a, 64 bits.
        for (id, key) in [
            ("", 0xcbf2_9ce4_8422_2325),
            ("a", 0xaf63_dc4c_8601_ec8c),
            ("foobar", 0x8594_4171_f739_67e8),
        ] {
            assert_eq!(CarrierId::new(id).key(), key, "{id}");
        }
    }

    #[test]
    fn a_long_id_is_cut_between_characters() {
        let id = CarrierId::new(&"\u{e9}".repeat(CARRIER_ID_OCTETS_MAX));
        assert_eq!(id.as_str(), "\u{e9}".repeat(CARRIER_ID_OCTETS_MAX / 2));
        let id = CarrierId::new(&format!("x{}", "\u{e9}".repeat(CARRIER_ID_OCTETS_MAX)));
        assert_eq!(id.as_str().len(), CARRIER_ID_OCTETS_MAX - 1);
    }

    proptest! {
        #[test]
        fn padding_case_and_notation_never_part_the_two_sides(
            value in any::<u64>(), padding in "0{0,12}", upper in any::<bool>()
        ) {
            let hex = if upper { format!("{padding}{value:X}") } else { format!("{padding}{value:x}") };
            let decimal = format!("{padding}{value}");
            for (notation, submitted, reported) in [
                (AsIs, format!("{value:x}"), hex.clone()),
                (Hex, format!("{value:x}"), hex.clone()),
                (Decimal, value.to_string(), decimal.clone()),
                (HexSubmitDecimalReceipt, hex.clone(), value.to_string()),
                (DecimalSubmitHexReceipt, decimal, format!("{value:x}")),
            ] {
                prop_assert_eq!(notation.submit_id(&submitted), notation.receipt_id(&reported));
            }
        }

        #[test]
        fn a_number_in_two_bases_is_one_id(value in any::<u64>(), padding in "0{0,6}", swapped in any::<bool>()) {
            let (hex, decimal) = (format!("{padding}{value:X}"), format!("{padding}{value}"));
            for (notation, answered) in [
                (Hex, &hex),
                (Decimal, &decimal),
                (HexSubmitDecimalReceipt, &hex),
                (DecimalSubmitHexReceipt, &decimal),
            ] {
                let (parameter, text) = if swapped { (&decimal, &hex) } else { (&hex, &decimal) };
                let ids = notation.receipt_ids(Some(parameter), Some(text)).unwrap();
                prop_assert_eq!(Some(ids.first), notation.submit_id(answered));
                prop_assert_eq!(ids.others.len(), 0);
            }
        }

        #[test]
        fn ids_of_a_receipt_are_bounded_and_tried_once(
            parameter in any::<Option<String>>(), text in any::<Option<String>>(), notation in select(&IdNotation::ALL[..])
        ) {
            if let Some(ids) = notation.receipt_ids(parameter.as_deref(), text.as_deref()) {
                prop_assert!(ids.others.len() <= OTHER_IDS_MAX);
                let mut all = ids.others.clone();
                all.push(ids.first);
                all.sort();
                all.dedup();
                prop_assert_eq!(all.len(), ids.others.len() + 1);
            }
        }

        #[test]
        fn different_numbers_stay_different(one in any::<u64>(), other in any::<u64>()) {
            prop_assume!(one != other);
            for notation in [Hex, Decimal, AsIs] {
                prop_assert_ne!(notation.submit_id(&format!("{one}")), notation.submit_id(&format!("{other}")));
            }
        }

        #[test]
        fn normalising_is_total_and_settles_at_once(written in any::<String>(), notation in select(&IdNotation::ALL[..])) {
            if let Some(id) = notation.submit_id(&written) {
                prop_assert!(!id.as_str().is_empty());
                prop_assert_eq!(CarrierId::new(id.as_str()), id);
            }
            if let Some(id) = notation.receipt_id(&written) {
                prop_assert!(!id.as_str().is_empty() && id.as_str().len() <= CARRIER_ID_OCTETS_MAX);
            }
        }
    }
}
