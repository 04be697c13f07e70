//! Fields of PDUs: whether a carrier's settings fit them, and the TLVs of templates and signatures.

use super::super::entry::RawEntry;
use super::Planner;
use engine::catalog::{
    DETAIL_TLVS, DataCoding, DefaultAlphabet, SmppSettings, TlvMap, TlvValue, tlv_mistakes,
};
use serde::Deserialize;
use serde_json::Value;
use sms::sender::{Sender, SenderError};

/// Octets of a `system_id`: 15 by SMPP 3.4 section 5.2.1; some carriers issue longer ones.
const SYSTEM_ID_OCTETS_MAX: usize = 64;

/// Settings of a carrier that fit no PDU, with their keys.
pub(super) fn complaints(smpp: &SmppSettings) -> Vec<(&'static str, String)> {
    let mut wrong = Vec::new();
    // SMPP 3.4 sections 5.2.1 to 5.2.7 and 5.2.11, without the final NUL.
    let texts = [
        ("system_id", &smpp.system_id, SYSTEM_ID_OCTETS_MAX),
        ("system_type", &smpp.system_type, 12),
        ("address_range", &smpp.address_range, 40),
        ("service_type", &smpp.service_type, 5),
    ];
    for (name, text, max) in texts {
        if text.len() > max {
            let why = format!("`{name}` has {} octets; at most {max} are allowed", text.len());
            wrong.push((name, why));
        } else if text.chars().any(char::is_control) {
            wrong.push((name, format!("`{name}` contains a control character")));
        }
    }
    if let Some(why) = sender_complaint(&smpp.default_sender) {
        wrong.push(("default_sender", format!("`default_sender` {why}")));
    }
    let tlvs = tlv_mistakes(&smpp.tlvs).into_iter();
    wrong.extend(tlvs.map(|error| ("tlvs", format!("`tlvs`: {error}"))));
    if smpp.data_coding == DataCoding::Gsm7Packed && smpp.default_alphabet != DefaultAlphabet::Gsm7 {
        let why =
            "`default_alphabet` must be \"gsm7\" with data_coding = \"gsm7_packed\": septets are packed";
        wrong.push(("default_alphabet", why.to_owned()));
    }
    wrong
}

/// Why a text cannot be a sender; `None` for an empty one.
pub(super) fn sender_complaint(sender: &str) -> Option<String> {
    match Sender::parse(sender) {
        Ok(_) | Err(SenderError::Empty) => None,
        Err(error) => Some(format!("is {sender:?}, which no carrier accepts: {error}")),
    }
}

impl Planner<'_> {
    /// The details of a template or signature with its TLVs as in the file; `None` when they are invalid.
    pub(super) fn details_with_tlvs(
        &mut self,
        entry: &RawEntry,
        title: &str,
        given: Option<&TlvMap>,
        stored: Option<&Value>,
    ) -> Option<Value> {
        let stored = stored.cloned().unwrap_or_default();
        let wanted = match given {
            Some(given) => given.clone(),
            None if entry.resets(DETAIL_TLVS) => TlvMap::new(),
            None => return Some(stored),
        };
        let mistakes = tlv_mistakes(&wanted);
        for error in &mistakes {
            self.complain_of(entry, DETAIL_TLVS, format!("{title}: `{DETAIL_TLVS}`: {error}"));
        }
        if !mistakes.is_empty() {
            return None;
        }
        let mut members = match stored {
            Value::Object(members) => members,
            _ => serde_json::Map::new(),
        };
        if wanted.is_empty() {
            members.remove(DETAIL_TLVS);
        } else {
            let wanted = serde_json::to_value(&wanted).unwrap_or_default();
            members.insert(DETAIL_TLVS.to_owned(), wanted);
        }
        Some(if members.is_empty() {
            Value::Null
        } else {
            Value::Object(members)
        })
    }
}

/// The TLVs in the details of a template or signature, in the notation of files.
pub(crate) fn tlvs_of(details: &Value) -> TlvMap {
    let written = details.get(DETAIL_TLVS).map(TlvMap::deserialize);
    written.and_then(Result::ok).unwrap_or_default()
}

/// The same in one line.
pub(super) fn tlvs_shown(details: &Value) -> String {
    let shown = tlvs_of(details).into_iter().map(|(tag, value)| match value {
        TlvValue::Text(text) => format!("{tag} = {text:?}"),
        TlvValue::Hex { hex } => format!("{tag} = hex {hex}"),
    });
    shown.collect::<Vec<_>>().join(", ")
}

/// Whether details hold more than files can: only the APIs set such.
pub(super) fn are_of_an_api(details: &Value) -> bool {
    match details {
        Value::Null => false,
        Value::Object(members) => members.is_empty() || members.keys().any(|key| key != DETAIL_TLVS),
        _ => true,
    }
}
