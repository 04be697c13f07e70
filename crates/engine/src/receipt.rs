//! Receipts off the wire: what a `deliver_sm` or `data_sm` of a carrier is, and what it says.

use crate::catalog::{ReceiptFor, SmppSettings};
use crate::inbound;
use parking_lot::Mutex;
use smpp::field::{DataCoding, EsmClass};
use smpp::pdu::{DataSm, DeliverSm};
use smpp::tlv::Tlvs;
use sms::data_coding::Charset;
use sms::reason::Reason;
use sms::receipt::{IdNotation, Receipt, ReceiptCodes, ReceiptConfidence, ReceiptWords};
use sms::state::ReceiptState;
use sms::udh;
use sms::user_data::{Content, UserData, content};
use std::borrow::Cow;
use std::collections::BTreeSet;
use store::{CarrierNo, CarrierReceipt, ReceiptEffect, ReceiptScope, UnixMs};

/// What a delivery of the carrier is.
#[derive(Debug)]
pub(crate) enum Read {
    /// A receipt.
    Receipt(Receipt),
    /// It looks like a receipt and does not say that it is one: it is, if its message is known; else a person wrote it.
    Likely(Receipt),
    /// It says that it is a receipt, and names no message or no state.
    Unreadable,
    /// No receipt: a message of a person.
    Inbound,
}

/// Different unknown words of a carrier that are logged, each once.
const WORDS_LOGGED_MAX: usize = 16;
/// Letters and digits of an unknown word that are logged.
const WORD_LETTERS_MAX: usize = 16;

/// How a carrier writes receipts, by its settings.
#[derive(Debug)]
pub(crate) struct ReceiptProfile {
    notation: IdNotation,
    words: ReceiptWords,
    codes: ReceiptCodes,
    scope: ReceiptScope,
    /// What `data_coding` 0 means.
    default_charset: Charset,
    /// Unknown words that have been logged.
    logged: Mutex<BTreeSet<Box<str>>>,
}

impl ReceiptProfile {
    /// From settings; what does not read in them (`apply` refuses it) is left out.
    pub(crate) fn of(settings: &SmppSettings) -> Self {
        Self {
            notation: settings.id_notation.parse().unwrap_or(IdNotation::AsIs),
            words: settings
                .receipt_words
                .iter()
                .filter_map(|(word, state)| Some((word.as_str(), ReceiptState::from_name(state)?)))
                .collect(),
            codes: settings
                .receipt_codes
                .iter()
                .filter_map(|(code, name)| Some((code.as_str(), Reason::of_receipt_named(name)?)))
                .collect(),
            default_charset: inbound::default_charset(settings),
            scope: match settings.receipt_for {
                ReceiptFor::Part => ReceiptScope::Segment,
                ReceiptFor::Message => ReceiptScope::Message,
            },
            logged: Mutex::default(),
        }
    }

    /// How the carrier spells ids.
    pub(crate) const fn notation(&self) -> IdNotation {
        self.notation
    }

    /// Reads a `deliver_sm`.
    pub(crate) fn of_deliver(&self, pdu: &DeliverSm) -> Read {
        self.read(pdu.esm_class, pdu.data_coding, pdu.payload(), &pdu.tlvs)
    }

    /// Reads a `data_sm`.
    pub(crate) fn of_data(&self, pdu: &DataSm) -> Read {
        let none = bytes::Bytes::new();
        self.read(
            pdu.esm_class,
            pdu.data_coding,
            pdu.tlvs.message_payload().unwrap_or(&none),
            &pdu.tlvs,
        )
    }

    fn read(&self, esm_class: EsmClass, coding: DataCoding, payload: &[u8], tlvs: &Tlvs) -> Read {
        let is_intermediate = esm_class.is_intermediate_notification();
        let is_marked = esm_class.is_delivery_receipt() || is_intermediate;
        let id = tlvs.receipted_message_id();
        let packs = Charset::of(coding.0, self.default_charset) == Charset::Gsm7Packed;
        if !is_marked && id.is_none() && !packs && !has_a_colon(payload) {
            return Read::Inbound;
        }
        let state = tlvs.message_state().map(|state| state.0);
        let error = tlvs.network_error_code().map(|error| {
            let [high, low] = error.code.to_be_bytes();
            [error.network_type, high, low]
        });
        let id = id.as_ref().map(|id| id.as_bytes());
        let mut read: Option<Receipt> = None;
        for text in texts(esm_class, coding, payload, packs || is_marked) {
            let found = Receipt::read_with(&self.words, &text, id, state, error);
            let has_word = found.as_ref().is_some_and(|receipt| !receipt.word.is_empty());
            if has_word || read.is_none() {
                read = found;
            }
            if has_word {
                break;
            }
        }
        match read {
            Some(receipt) if is_intermediate => Read::Receipt(receipt.into_intermediate()),
            Some(receipt) if is_marked || receipt.confidence == ReceiptConfidence::Certain => {
                Read::Receipt(receipt)
            }
            Some(receipt) if receipt.confidence == ReceiptConfidence::Likely => Read::Likely(receipt),
            None if is_marked => Read::Unreadable,
            Some(_) | None => Read::Inbound,
        }
    }

    /// A receipt as the store takes it; `None` when it names no message.
    pub(crate) fn record(
        &self,
        read: Receipt,
        carrier: CarrierNo,
        received_at: UnixMs,
    ) -> Option<CarrierReceipt> {
        let ids = read.ids(self.notation)?;
        let cause = self.codes.cause(&read);
        Some(CarrierReceipt {
            carrier,
            carrier_id: ids.first,
            other_ids: ids.others,
            scope: self.scope,
            state: read.state,
            error: read.error,
            cause,
            received_at,
            only_if_known: false,
        })
    }

    /// The word, or a part of it, if it is one that has not been logged. Only letters and digits: it may be anything.
    pub(crate) fn to_be_logged(&self, unknown_word: &str) -> Option<Box<str>> {
        let word: Box<str> = unknown_word
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .take(WORD_LETTERS_MAX)
            .collect::<String>()
            .into();
        let mut logged = self.logged.lock();
        (logged.len() < WORDS_LOGGED_MAX && logged.insert(word.clone())).then_some(word)
    }
}

/// The texts that a receipt may have, the likeliest first. Some carriers send receipts in UCS-2, some give them the
/// `data_coding` of the message and write plain octets, some set the indicator and write no header, and some pack septets.
fn texts<'a>(
    esm_class: EsmClass,
    coding: DataCoding,
    payload: &'a [u8],
    packed: bool,
) -> impl Iterator<Item = Cow<'a, [u8]>> {
    let whole = udh::Headed::none(payload);
    let headed = esm_class.has_udhi().then(|| udh::read(payload));
    let readings = headed.into_iter().chain([whole]);
    readings.flat_map(move |headed| {
        let decoded = move |charset| match content(&[UserData::new(charset, &headed, None)]) {
            Content::Text(text) => Some(Cow::Owned(text.into_string().into_bytes())),
            Content::Binary(_) => None,
        };
        let plain = std::iter::once(Cow::Borrowed(headed.text));
        let wide = is_ucs2(coding).then_some(Charset::Ucs2);
        let packed = packed.then_some(Charset::Gsm7Packed);
        let first = wide.into_iter().filter_map(decoded);
        first.chain(plain).chain(packed.into_iter().filter_map(decoded))
    })
}

/// No receipt's text is without one, unless it is packed; nearly all inbound messages are.
fn has_a_colon(payload: &[u8]) -> bool {
    payload.contains(&b':')
}

/// Whether a text is in UCS-2 (3GPP TS 23.038 section 4): 8, the class groups with that alphabet, and the group of
/// waiting messages in it.
const fn is_ucs2(coding: DataCoding) -> bool {
    match coding.0 >> 4 {
        0b0000 => coding.0 == DataCoding::UCS2.0,
        0b0001..=0b0111 => coding.0 & 0b0010_0000 == 0 && coding.0 & 0b1100 == 0b1000,
        0b1110 => true,
        _ => false,
    }
}

/// Counts receipts by the name of their effect.
pub(crate) fn count_effects(effects: &[ReceiptEffect]) -> Vec<(&'static str, u64)> {
    let mut counts: Vec<(&'static str, u64)> = Vec::new();
    for effect in effects {
        let name = match effect {
            ReceiptEffect::Applied { .. } => "applied",
            ReceiptEffect::Repeated { .. } => "repeated",
            ReceiptEffect::StoredUnmatched => "stored_unmatched",
            ReceiptEffect::Unmatched => "unmatched",
            _ => "other",
        };
        match counts.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count += 1,
            None => counts.push((name, 1)),
        }
    }
    counts
}

#[cfg(test)]
mod tests;
