//! Receipts: the data of a message that its receipt needs, and how a receipt is formatted.

use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use smpp::field::{Address, EsmClass, MessageState};
use smpp::pdu::DeliverSm;
use smpp::tlv::{NetworkErrorCode, Tlvs};
use sms::state::ReceiptState;

use super::behaviour::{Form, Receipts};
use super::ids::IdForm;

/// Characters of the message that a receipt may repeat (SMPP 3.4 Appendix B).
const EXCERPT_MAX: usize = 20;

/// Something to hand to the ESME.
#[derive(Clone, Debug)]
pub(super) enum Delivery {
    Receipt(Note),
    Inbound(Arc<Inward>),
}

/// One part of an inbound message.
#[derive(Debug)]
pub(super) struct Inward {
    pub(super) pdu: DeliverSm,
    /// Which message it is of, and which part from 0; `None` for one that was ordered.
    pub(super) of: Option<(u64, u8)>,
}

/// A receipt that has not been acknowledged.
#[derive(Clone, Debug)]
pub(super) struct Note {
    pub(super) id: u64,
    pub(super) key: Option<u64>,
    /// Sender of the message: the recipient of the receipt.
    pub(super) source: Address,
    pub(super) destination: Address,
    pub(super) submitted_at_s: u64,
    pub(super) state: ReceiptState,
    pub(super) error: ErrorCode,
    pub(super) excerpt: Option<Box<[u8]>>,
}

/// The three characters of `err`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ErrorCode([u8; 3]);

impl ErrorCode {
    /// The first three characters, filled up with zeros in front.
    pub(super) fn new(text: &str) -> Self {
        let mut octets = [b'0'; 3];
        let octets_of_text = text.as_bytes().iter().take(3);
        let start = 3 - octets_of_text.len();
        for (octet, from) in octets.iter_mut().skip(start).zip(octets_of_text) {
            *octet = *from;
        }
        Self(octets)
    }

    fn number(self) -> u16 {
        let digit = |octet: &u8| octet.checked_sub(b'0').filter(|digit| *digit < 10);
        self.0
            .iter()
            .try_fold(0, |sum, octet| Some(sum * 10 + u16::from(digit(octet)?)))
            .unwrap_or(0)
    }
}

/// The part of a text that a receipt repeats.
pub(super) fn excerpt(text: &[u8]) -> Box<[u8]> {
    text.iter().take(EXCERPT_MAX).copied().collect()
}

/// Formats receipts; caches the last date, because most receipts of a second have the same ones.
#[derive(Default)]
pub(super) struct ReceiptFormatter {
    text: Vec<u8>,
    submitted: Date,
    done: Date,
}

#[derive(Default)]
struct Date {
    second: u64,
    text: String,
}

impl Date {
    /// `YYMMDDhhmm` or `YYMMDDhhmmss`, in UTC.
    fn at(&mut self, second: u64, with_seconds: bool) -> &str {
        if self.text.is_empty() || self.second != second {
            let time = jiff::Timestamp::from_second(i64::try_from(second).unwrap_or(i64::MAX));
            self.text = time
                .map(|time| time.strftime("%y%m%d%H%M%S").to_string())
                .unwrap_or_default();
            self.second = second;
        }
        let end = if with_seconds { 12 } else { 10 };
        self.text.get(..end).unwrap_or(&self.text)
    }
}

impl ReceiptFormatter {
    /// The `deliver_sm` of a receipt that is written at `now_s`, seconds since 1970.
    pub(super) fn write(&mut self, note: &Note, ids: IdForm, receipts: &Receipts, now_s: u64) -> DeliverSm {
        let mut pdu = DeliverSm {
            source: note.destination.clone(),
            destination: note.source.clone(),
            esm_class: EsmClass::DELIVERY_RECEIPT,
            ..DeliverSm::default()
        };
        if receipts.form != Form::Tlvs {
            self.write_text(note, ids, receipts, now_s);
            pdu.short_message = Bytes::copy_from_slice(&self.text);
        }
        if receipts.form != Form::Text {
            self.write_tlvs(note, ids, &mut pdu.tlvs);
        }
        pdu
    }

    fn write_text(&mut self, note: &Note, ids: IdForm, receipts: &Receipts, now_s: u64) {
        let text = &mut self.text;
        text.clear();
        text.extend(b"id:");
        ids.write(note.id, text);
        let delivered = u8::from(note.state == ReceiptState::Delivered);
        let submitted = self.submitted.at(note.submitted_at_s, receipts.seconds);
        let done = self.done.at(now_s, receipts.seconds);
        let stat = note.state.word();
        // Writing into a vector cannot fail.
        let _ = write!(
            text,
            " sub:001 dlvrd:00{delivered} submit date:{submitted} done date:{done} stat:{stat} err:"
        );
        text.extend(note.error.0);
        text.extend(b" text:");
        text.extend(note.excerpt.as_deref().unwrap_or_default());
    }

    fn write_tlvs(&mut self, note: &Note, ids: IdForm, tlvs: &mut Tlvs) {
        self.text.clear();
        ids.write(note.id, &mut self.text);
        tlvs.set_receipted_message_id(&self.text.as_slice().into());
        tlvs.set_message_state(MessageState(note.state.as_message_state()));
        let code = note.error.number();
        if code != 0 {
            const GSM: u8 = 3;
            tlvs.set_network_error_code(NetworkErrorCode {
                network_type: GSM,
                code,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smsc::ids::Notation;

    fn note(state: ReceiptState, error: &str) -> Note {
        Note {
            id: 6699,
            key: None,
            source: Address::alphanumeric("Postrider"),
            destination: Address::international("447700900123"),
            submitted_at_s: 1_795_305_600,
            state,
            error: ErrorCode::new(error),
            excerpt: Some(excerpt(b"Your code is 123456, keep it")),
        }
    }

    const TEN_DIGITS: IdForm = IdForm {
        notation: Notation::Decimal,
        width: 10,
    };

    #[test]
    fn a_receipt_reads_as_in_appendix_b() {
        let receipts = Receipts {
            seconds: true,
            ..Receipts::default()
        };
        let pdu = ReceiptFormatter::default().write(
            &note(ReceiptState::Undeliverable, "34"),
            TEN_DIGITS,
            &receipts,
            1_795_305_661,
        );
        assert_eq!(
            String::from_utf8_lossy(&pdu.short_message),
            "id:0000006699 sub:001 dlvrd:000 submit date:261122000000 done date:261122000101 stat:UNDELIV err:034 \
             text:Your code is 123456,"
        );
        assert_eq!(
            (pdu.source.addr, pdu.destination.addr),
            ("447700900123".into(), "Postrider".into())
        );
        assert_eq!(pdu.tlvs.receipted_message_id(), Some("0000006699".into()));
        assert_eq!(pdu.tlvs.message_state(), Some(MessageState::UNDELIVERABLE));
        assert_eq!(pdu.tlvs.network_error_code().map(|error| error.code), Some(34));
        assert!(pdu.esm_class.is_delivery_receipt());
    }

    #[test]
    fn each_form_says_it_in_its_place_only() {
        let write = |form| {
            let receipts = Receipts {
                form,
                ..Receipts::default()
            };
            ReceiptFormatter::default().write(&note(ReceiptState::Delivered, "000"), TEN_DIGITS, &receipts, 0)
        };
        assert!(write(Form::Text).tlvs.is_empty());
        assert!(write(Form::Tlvs).short_message.is_empty());
        assert_eq!(
            write(Form::Tlvs).tlvs.len(),
            2,
            "a delivered message has no error code"
        );
    }

    #[test]
    fn the_products_own_reader_understands_it() {
        let pdu = ReceiptFormatter::default().write(
            &note(ReceiptState::Expired, "011"),
            TEN_DIGITS,
            &Receipts::default(),
            0,
        );
        let read = sms::receipt::parse_text(&pdu.short_message);
        assert_eq!(
            (read.id.as_deref(), read.stat.as_deref()),
            (Some("0000006699"), Some("EXPIRED"))
        );
        assert_eq!(read.err.as_deref(), Some("011"));
    }
}
