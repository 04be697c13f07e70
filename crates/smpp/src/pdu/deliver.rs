//! Delivery of a message or a receipt to the ESME (SMPP 3.4 §4.6).

use bytes::Bytes;

use super::Body;
use super::submit::{one_payload, payload};
use crate::decode::{Malformed, Reader};
use crate::encode::{EncodeError, Writer};
use crate::field::{Address, DataCoding, EsmClass, RegisteredDelivery};
use crate::octets::COctetString;
use crate::tlv::Tlvs;

/// `deliver_sm`: an inbound message, or a delivery receipt (see [`EsmClass::is_delivery_receipt`]).
///
/// The fields that are on the wire but "unused" in this PDU (two times, the replace flag and the predefined message)
/// are skipped when decoding and empty when encoding.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct DeliverSm {
    /// Service; at most 5 octets, usually empty.
    pub service_type: COctetString,
    /// Sender (of a receipt: the recipient of the message it is about); at most 20 octets.
    pub source: Address,
    /// Recipient; at most 20 octets.
    pub destination: Address,
    /// Mode, type and features.
    pub esm_class: EsmClass,
    /// GSM protocol identifier.
    pub protocol_id: u8,
    /// 0 lowest to 3 highest.
    pub priority_flag: u8,
    /// Whether the SMSC requests an acknowledgement from the user.
    pub registered_delivery: RegisteredDelivery,
    /// The alphabet of the text.
    pub data_coding: DataCoding,
    /// The text, user data header included; at most 254 octets.
    pub short_message: Bytes,
    /// Optional parameters.
    pub tlvs: Tlvs,
}

impl DeliverSm {
    /// The text: `short_message`, or `message_payload` if that is empty.
    #[must_use]
    pub fn payload(&self) -> &Bytes {
        payload(&self.short_message, &self.tlvs)
    }
}

impl Body for DeliverSm {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let service_type = reader.c_octets("service_type")?;
        let source = reader.address("source_addr")?;
        let destination = reader.address("destination_addr")?;
        let [esm_class, protocol_id, priority_flag] =
            [reader.u8_or_zero(), reader.u8_or_zero(), reader.u8_or_zero()];
        let _schedule_delivery_time = reader.c_octets_or_empty();
        let _validity_period = reader.c_octets_or_empty();
        let registered_delivery = RegisteredDelivery(reader.u8_or_zero());
        let _replace_if_present_flag = reader.u8_or_zero();
        let data_coding = DataCoding(reader.u8_or_zero());
        let _sm_default_msg_id = reader.u8_or_zero();
        Ok(Self {
            service_type,
            source,
            destination,
            esm_class: EsmClass(esm_class),
            protocol_id,
            priority_flag,
            registered_delivery,
            data_coding,
            short_message: reader.short_message()?,
            tlvs: Tlvs::decode(reader),
        })
    }

    fn encode(&self, writer: &mut Writer<'_>) -> Result<(), EncodeError> {
        one_payload(&self.short_message, &self.tlvs)?;
        writer.c_octets("service_type", &self.service_type, 5)?;
        writer.address("source_addr", &self.source, 20)?;
        writer.address("destination_addr", &self.destination, 20)?;
        let [schedule_delivery_time, validity_period] = [0, 0];
        writer.octets(&[
            self.esm_class.0,
            self.protocol_id,
            self.priority_flag,
            schedule_delivery_time,
            validity_period,
        ]);
        let [replace_if_present_flag, sm_default_msg_id] = [0, 0];
        writer.octets(&[
            self.registered_delivery.0,
            replace_if_present_flag,
            self.data_coding.0,
            sm_default_msg_id,
        ]);
        writer.short_message(&self.short_message)?;
        self.tlvs.encode(writer)
    }
}

/// `deliver_sm_resp`. Its `message_id` is unused, and is written as an empty string.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct DeliverSmResp {
    /// Empty in every conforming response (SMPP 3.4 §4.6.2).
    pub message_id: COctetString,
    /// Optional parameters (SMPP 5.0).
    pub tlvs: Tlvs,
}

impl Body for DeliverSmResp {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            message_id: reader.c_octets_or_empty(),
            tlvs: Tlvs::decode(reader),
        })
    }

    fn encode(&self, writer: &mut Writer<'_>) -> Result<(), EncodeError> {
        writer.c_octets("message_id", &self.message_id, 64)?;
        self.tlvs.encode(writer)
    }
}
