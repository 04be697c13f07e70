//! Receipts off the wire: what a `deliver_sm` or `data_sm` of a carrier is, and what it says.

use smpp::field::{DataCoding, EsmClass};
use smpp::pdu::{DataSm, DeliverSm};
use smpp::tlv::Tlvs;
use sms::receipt::Receipt;
use store::ReceiptFate;

/// What a delivery of the carrier is.
#[derive(Debug)]
pub(crate) enum Read {
    /// A receipt.
    Receipt(Receipt),
    /// It says that it is a receipt, and names no message or no state.
    Unreadable,
    /// No receipt: a message of a person.
    Inbound,
}

/// Reads a `deliver_sm`.
pub(crate) fn of_deliver(pdu: &DeliverSm) -> Read {
    read(pdu.esm_class, pdu.data_coding, pdu.payload(), &pdu.tlvs)
}

/// Reads a `data_sm`.
pub(crate) fn of_data(pdu: &DataSm) -> Read {
    let none = bytes::Bytes::new();
    read(
        pdu.esm_class,
        pdu.data_coding,
        pdu.tlvs.message_payload().unwrap_or(&none),
        &pdu.tlvs,
    )
}

fn read(esm_class: EsmClass, coding: DataCoding, payload: &[u8], tlvs: &Tlvs) -> Read {
    if !(esm_class.is_delivery_receipt() || esm_class.is_intermediate_notification()) {
        return Read::Inbound;
    }
    let id = tlvs.receipted_message_id();
    let state = tlvs.message_state().map(|state| state.0);
    let error = tlvs.network_error_code().map(|error| {
        let [high, low] = error.code.to_be_bytes();
        [error.network_type, high, low]
    });
    // Some carriers send receipts in UCS-2.
    let decoded;
    let text = if coding == DataCoding::UCS2 {
        decoded = sms::alphabet::decode_ucs2(payload);
        decoded.as_bytes()
    } else {
        payload
    };
    Receipt::read(text, id.as_ref().map(|id| id.as_bytes()), state, error)
        .map_or(Read::Unreadable, Read::Receipt)
}

/// How many receipts came to what, by the name of the fate.
pub(crate) fn count_fates(fates: &[ReceiptFate]) -> Vec<(&'static str, u64)> {
    let mut counts: Vec<(&'static str, u64)> = Vec::new();
    for fate in fates {
        let name = match fate {
            ReceiptFate::Applied { .. } => "applied",
            ReceiptFate::Repeated { .. } => "repeated",
            ReceiptFate::Parked => "parked",
            _ => "other",
        };
        match counts.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count += 1,
            None => counts.push((name, 1)),
        }
    }
    counts
}
