//! Submission of a message to the SMSC (SMPP 3.4 §4.4).

use bytes::Bytes;

use super::Body;
use crate::decode::{Malformed, Reader};
use crate::encode::{EncodeError, Writer};
use crate::field::{Address, DataCoding, EsmClass, RegisteredDelivery};
use crate::octets::COctetString;
use crate::status::CommandStatus;
use crate::tlv::{Tag, Tlvs};

/// `submit_sm`: one message to one recipient.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct SubmitSm {
    /// Service; at most 5 octets, usually empty.
    pub service_type: COctetString,
    /// Sender; at most 20 octets.
    pub source: Address,
    /// Recipient; at most 20 octets.
    pub destination: Address,
    /// Mode, type and features.
    pub esm_class: EsmClass,
    /// GSM protocol identifier.
    pub protocol_id: u8,
    /// 0 lowest to 3 highest.
    pub priority_flag: u8,
    /// When to deliver: empty for immediately, else 16 characters (see [`crate::time`]).
    pub schedule_delivery_time: COctetString,
    /// End of the validity: empty for the SMSC's default, else 16 characters (see [`crate::time`]).
    pub validity_period: COctetString,
    /// Which receipts are requested.
    pub registered_delivery: RegisteredDelivery,
    /// 1 to replace a waiting message with the same service type and addresses.
    pub replace_if_present_flag: u8,
    /// The alphabet of the text.
    pub data_coding: DataCoding,
    /// A predefined message of the SMSC; 0 for none.
    pub sm_default_msg_id: u8,
    /// The text, user data header included; at most 254 octets. Longer ones go into `message_payload`.
    pub short_message: Bytes,
    /// Optional parameters.
    pub tlvs: Tlvs,
}

impl SubmitSm {
    /// The text: `short_message`, or `message_payload` if that is empty.
    #[must_use]
    pub fn payload(&self) -> &Bytes {
        payload(&self.short_message, &self.tlvs)
    }
}

/// The text of a message PDU.
pub(super) fn payload<'a>(short_message: &'a Bytes, tlvs: &'a Tlvs) -> &'a Bytes {
    if short_message.is_empty() {
        tlvs.message_payload().unwrap_or(short_message)
    } else {
        short_message
    }
}

/// Rejects text in both fields (SMPP 3.4 §5.3.2.32).
pub(super) fn one_payload(short_message: &Bytes, tlvs: &Tlvs) -> Result<(), EncodeError> {
    if !short_message.is_empty() && tlvs.get(Tag::MESSAGE_PAYLOAD).is_some() {
        return Err(EncodeError::TwoPayloads);
    }
    Ok(())
}

impl Body for SubmitSm {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            service_type: reader.c_octets("service_type")?,
            source: reader.address("source_addr")?,
            destination: reader.address("destination_addr")?,
            esm_class: EsmClass(reader.u8_or_zero()),
            protocol_id: reader.u8_or_zero(),
            priority_flag: reader.u8_or_zero(),
            schedule_delivery_time: reader.c_octets_or_empty(),
            validity_period: reader.c_octets_or_empty(),
            registered_delivery: RegisteredDelivery(reader.u8_or_zero()),
            replace_if_present_flag: reader.u8_or_zero(),
            data_coding: DataCoding(reader.u8_or_zero()),
            sm_default_msg_id: reader.u8_or_zero(),
            short_message: reader.short_message()?,
            tlvs: Tlvs::decode(reader),
        })
    }

    fn encode(&self, writer: &mut Writer<'_>) -> Result<(), EncodeError> {
        one_payload(&self.short_message, &self.tlvs)?;
        writer.c_octets("service_type", &self.service_type, 5)?;
        writer.address("source_addr", &self.source, 20)?;
        writer.address("destination_addr", &self.destination, 20)?;
        writer.octets(&[self.esm_class.0, self.protocol_id, self.priority_flag]);
        writer.time("schedule_delivery_time", &self.schedule_delivery_time)?;
        writer.time("validity_period", &self.validity_period)?;
        writer.octets(&[
            self.registered_delivery.0,
            self.replace_if_present_flag,
            self.data_coding.0,
            self.sm_default_msg_id,
        ]);
        writer.short_message(&self.short_message)?;
        self.tlvs.encode(writer)
    }
}

/// `submit_sm_resp`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct SubmitSmResp {
    /// The SMSC's id of the message; at most 64 octets. Some SMSCs leave it empty even on success.
    pub message_id: COctetString,
    /// Optional parameters (SMPP 5.0; `congestion_state` and vendors' own).
    pub tlvs: Tlvs,
}

impl SubmitSmResp {
    /// A response with the SMSC's id of the message.
    pub fn new(message_id: impl Into<COctetString>) -> Self {
        Self {
            message_id: message_id.into(),
            tlvs: Tlvs::new(),
        }
    }

    /// SMPP 3.4 §4.4.2: an error response has no body.
    pub(super) fn encode_unless_bare_error(
        &self,
        status: CommandStatus,
        writer: &mut Writer<'_>,
    ) -> Result<(), EncodeError> {
        if !status.is_ok() && self.message_id.is_empty() && self.tlvs.is_empty() {
            return Ok(());
        }
        self.encode(writer)
    }
}

impl Body for SubmitSmResp {
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
