//! Optional parameters (TLVs) that operators add to what is submitted: of a carrier, a template or a signature.

use crate::hex;
use bytes::Bytes;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use smpp::tlv::{Tag, Tlvs};
use std::collections::BTreeMap;
use std::fmt;
use thiserror::Error;

/// The member of a template's or signature's details that holds its TLVs, a JSON object as [`TlvMap`].
pub const DETAIL_TLVS: &str = "tlvs";
/// Most TLVs in one place.
pub const TLVS_MAX: usize = 16;
/// Longest value of one, in octets.
pub const TLV_OCTETS_MAX: usize = 255;

/// Values by tag, which is written `"0x1400"` or `"5120"`.
pub type TlvMap = BTreeMap<String, TlvValue>;

/// Tags with their octets, in the order in which they are set.
pub type TlvList = Vec<(u16, Bytes)>;

/// The value of a TLV as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum TlvValue {
    /// Sent as it stands, in UTF-8, without a NUL at the end.
    Text(String),
    /// Any octets.
    Hex {
        /// Two digits an octet.
        hex: String,
    },
}

impl<'de> Deserialize<'de> for TlvValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = TlvValue;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text in quotes, or { hex = \"00ff\" }")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<TlvValue, E> {
                Ok(TlvValue::Text(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<TlvValue, A::Error> {
                let mut hex = None;
                while let Some(key) = map.next_key::<String>()? {
                    if key != "hex" {
                        return Err(A::Error::unknown_field(&key, &["hex"]));
                    }
                    hex = Some(map.next_value()?);
                }
                hex.map(|hex| TlvValue::Hex { hex })
                    .ok_or_else(|| A::Error::missing_field("hex"))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// What is wrong with TLVs as they are written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TlvError {
    /// The key is not a tag.
    #[error("{0:?} is not a tag like \"0x1400\" (1 to 0xFFFF)")]
    Tag(String),
    /// A tag that is set for each message.
    #[error("{0:?} is set by Postrider itself")]
    Own(String),
    /// The same tag in two spellings.
    #[error("{0:?} stands twice")]
    Twice(String),
    /// The value is not hexadecimal.
    #[error("{0:?}: the value is not hexadecimal, two digits an octet")]
    Hex(String),
    /// The value is too long.
    #[error("{tag:?}: the value has {octets} octets; there is room for {TLV_OCTETS_MAX}")]
    TooLong {
        /// Which.
        tag: String,
        /// Its length.
        octets: usize,
    },
    /// There are too many of them.
    #[error("there are {0}; at most {TLVS_MAX} are sent")]
    TooMany(usize),
}

/// Tags that are set for each message by its text: sar_msg_ref_num, sar_total_segments, sar_segment_seqnum and
/// message_payload (SMPP 3.4 section 5.3.2).
const OWN_TAGS: [u16; 4] = [0x020C, 0x020E, 0x020F, 0x0424];

/// Reads TLVs as they are written, in order of their tags.
///
/// # Errors
/// The first of what [`tlv_mistakes`] finds.
pub fn read_tlvs(written: &TlvMap) -> Result<TlvList, TlvError> {
    let (tlvs, mistakes) = read(written);
    match mistakes.into_iter().next() {
        Some(mistake) => Err(mistake),
        None => Ok(tlvs),
    }
}

/// All that is wrong with TLVs as they are written.
#[must_use]
pub fn tlv_mistakes(written: &TlvMap) -> Vec<TlvError> {
    read(written).1
}

fn read(written: &TlvMap) -> (TlvList, Vec<TlvError>) {
    let mut tlvs: TlvList = Vec::with_capacity(written.len());
    let mut mistakes = Vec::new();
    if written.len() > TLVS_MAX {
        mistakes.push(TlvError::TooMany(written.len()));
    }
    for (name, value) in written {
        let octets = match value {
            TlvValue::Text(text) => Some(text.clone().into_bytes()),
            TlvValue::Hex { hex } => hex::octets(hex),
        };
        let length = octets.as_ref().map_or(0, Vec::len);
        if length > TLV_OCTETS_MAX {
            mistakes.push(TlvError::TooLong {
                tag: name.clone(),
                octets: length,
            });
        }
        match (tag(name), octets) {
            (None, _) => mistakes.push(TlvError::Tag(name.clone())),
            (Some(tag), _) if OWN_TAGS.contains(&tag) => mistakes.push(TlvError::Own(name.clone())),
            (Some(tag), _) if tlvs.iter().any(|(other, _)| *other == tag) => {
                mistakes.push(TlvError::Twice(name.clone()));
            }
            (Some(_), None) => mistakes.push(TlvError::Hex(name.clone())),
            (Some(tag), Some(octets)) => tlvs.push((tag, octets.into())),
        }
    }
    tlvs.sort_unstable_by_key(|(tag, _)| *tag);
    (tlvs, mistakes)
}

/// The TLVs in the details of a template or signature; what does not read is left out, for `apply` has checked it.
pub(crate) fn of_details(details: &serde_json::Value) -> TlvList {
    details
        .get(DETAIL_TLVS)
        .and_then(|written| TlvMap::deserialize(written).ok())
        .and_then(|written| read_tlvs(&written).ok())
        .unwrap_or_default()
}

/// Adds TLVs to those of a PDU; of two with one tag the added one stays.
pub(crate) fn add(tlvs: &mut Tlvs, added: &[(u16, Bytes)]) {
    for (tag, value) in added {
        tlvs.set(Tag(*tag), value.clone());
    }
}

fn tag(name: &str) -> Option<u16> {
    let tag = match name.strip_prefix("0x").or_else(|| name.strip_prefix("0X")) {
        Some(hex) => u16::from_str_radix(hex, 16).ok(),
        None => name.parse().ok(),
    };
    tag.filter(|tag| *tag > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(written: serde_json::Value) -> Result<TlvList, String> {
        let written: TlvMap = serde_json::from_value(written).map_err(|error| error.to_string())?;
        read_tlvs(&written).map_err(|error| error.to_string())
    }

    #[test]
    fn texts_and_octets_are_read() {
        let read = read(json!({"0x1401": {"hex": "00fF"}, "0x1400": "1101", "9": ""})).unwrap();
        let expected: [(u16, &[u8]); 3] = [(9, b""), (0x1400, b"1101"), (0x1401, &[0, 255])];
        assert_eq!(read.len(), 3);
        for ((tag, value), expected) in read.iter().zip(expected) {
            assert_eq!((*tag, &value[..]), expected);
        }
    }

    #[test]
    fn mistakes_are_named() {
        let many: serde_json::Map<String, serde_json::Value> =
            (1..=17).map(|tag| (tag.to_string(), json!(""))).collect();
        for (written, complaint) in [
            (json!({"entity": "1"}), "\"entity\" is not a tag"),
            (json!({"0": "1"}), "\"0\" is not a tag"),
            (json!({"0x10000": "1"}), "\"0x10000\" is not a tag"),
            (json!({"0x0424": "1"}), "\"0x0424\" is set by Postrider"),
            (json!({"0x1400": "1", "5120": "1"}), "\"5120\" stands twice"),
            (
                json!({"0x1400": {"hex": "123"}}),
                "\"0x1400\": the value is not hexadecimal",
            ),
            (
                json!({"0x1400": {"hex": "é1"}}),
                "\"0x1400\": the value is not hexadecimal",
            ),
            (
                json!({"0x1400": "x".repeat(256)}),
                "\"0x1400\": the value has 256 octets",
            ),
            (
                json!({"0x1400": 5}),
                "invalid type: integer `5`, expected a text in quotes, or { hex",
            ),
            (json!({"0x1400": {"text": "5"}}), "unknown field `text`"),
            (serde_json::Value::Object(many), "there are 17"),
        ] {
            let said = read(written).unwrap_err();
            let right = said.contains(complaint)
                || complaint.contains("stands twice") && said.contains("stands twice");
            assert!(right, "{said}");
        }
    }
}
