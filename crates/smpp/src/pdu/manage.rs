//! Query, cancellation and replacement of messages that the SMSC still holds (SMPP 3.4 §4.8 to §4.10).

use bytes::Bytes;

use super::Body;
use crate::decode::{Malformed, Reader};
use crate::encode::{EncodeError, Writer};
use crate::field::{Address, MessageState, RegisteredDelivery};
use crate::octets::COctetString;
use crate::tlv::Tlvs;

/// `query_sm`: requests the state of a message.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct QuerySm {
    /// The SMSC's id of the message; at most 64 octets.
    pub message_id: COctetString,
    /// The sender given at submission; at most 20 octets.
    pub source: Address,
}

impl Body for QuerySm {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            message_id: reader.c_octets("message_id")?,
            source: reader.address("source_addr")?,
        })
    }

    fn encode(&self, writer: &mut Writer<'_>) -> Result<(), EncodeError> {
        writer.c_octets("message_id", &self.message_id, 64)?;
        writer.address("source_addr", &self.source, 20)
    }
}

/// `query_sm_resp`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct QuerySmResp {
    /// The id in the request.
    pub message_id: COctetString,
    /// When the state became final: empty if it is not, else 16 characters.
    pub final_date: COctetString,
    /// The state of the message.
    pub message_state: MessageState,
    /// The network's error code, 0 if there is none.
    pub error_code: u8,
    /// Optional parameters (SMPP 5.0).
    pub tlvs: Tlvs,
}

impl Body for QuerySmResp {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            message_id: reader.c_octets_or_empty(),
            final_date: reader.c_octets_or_empty(),
            message_state: MessageState(reader.u8_or_zero()),
            error_code: reader.u8_or_zero(),
            tlvs: Tlvs::decode(reader),
        })
    }

    fn encode(&self, writer: &mut Writer<'_>) -> Result<(), EncodeError> {
        writer.c_octets("message_id", &self.message_id, 64)?;
        writer.time("final_date", &self.final_date)?;
        writer.octets(&[self.message_state.0, self.error_code]);
        self.tlvs.encode(writer)
    }
}

/// `cancel_sm`: one message by its id, or all between two addresses.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct CancelSm {
    /// Service; at most 5 octets.
    pub service_type: COctetString,
    /// The SMSC's id of the message, empty for all that match; at most 64 octets.
    pub message_id: COctetString,
    /// The sender given at submission; at most 20 octets.
    pub source: Address,
    /// The recipient, empty if `message_id` is given; at most 20 octets.
    pub destination: Address,
}

impl Body for CancelSm {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            service_type: reader.c_octets("service_type")?,
            message_id: reader.c_octets("message_id")?,
            source: reader.address("source_addr")?,
            destination: reader.address("destination_addr")?,
        })
    }

    fn encode(&self, writer: &mut Writer<'_>) -> Result<(), EncodeError> {
        writer.c_octets("service_type", &self.service_type, 5)?;
        writer.c_octets("message_id", &self.message_id, 64)?;
        writer.address("source_addr", &self.source, 20)?;
        writer.address("destination_addr", &self.destination, 20)
    }
}

/// `replace_sm`: another text for a message that is still waiting.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ReplaceSm {
    /// The SMSC's id of the message; at most 64 octets.
    pub message_id: COctetString,
    /// The sender given at submission; at most 20 octets.
    pub source: Address,
    /// When to deliver: empty to leave it unchanged, else 16 characters.
    pub schedule_delivery_time: COctetString,
    /// End of the validity: empty to leave it unchanged, else 16 characters.
    pub validity_period: COctetString,
    /// Which receipts are requested.
    pub registered_delivery: RegisteredDelivery,
    /// A predefined message of the SMSC; 0 for none.
    pub sm_default_msg_id: u8,
    /// The new text; at most 254 octets. The alphabet of the old text is kept.
    pub short_message: Bytes,
    /// Optional parameters (SMPP 5.0: `message_payload`).
    pub tlvs: Tlvs,
}

impl Body for ReplaceSm {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            message_id: reader.c_octets("message_id")?,
            source: reader.address("source_addr")?,
            schedule_delivery_time: reader.c_octets_or_empty(),
            validity_period: reader.c_octets_or_empty(),
            registered_delivery: RegisteredDelivery(reader.u8_or_zero()),
            sm_default_msg_id: reader.u8_or_zero(),
            short_message: reader.short_message()?,
            tlvs: Tlvs::decode(reader),
        })
    }

    fn encode(&self, writer: &mut Writer<'_>) -> Result<(), EncodeError> {
        super::submit::one_payload(&self.short_message, &self.tlvs)?;
        writer.c_octets("message_id", &self.message_id, 64)?;
        writer.address("source_addr", &self.source, 20)?;
        writer.time("schedule_delivery_time", &self.schedule_delivery_time)?;
        writer.time("validity_period", &self.validity_period)?;
        writer.octets(&[self.registered_delivery.0, self.sm_default_msg_id]);
        writer.short_message(&self.short_message)?;
        self.tlvs.encode(writer)
    }
}
