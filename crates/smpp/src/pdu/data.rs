//! Data in either direction (SMPP 3.4 §4.7).

use bytes::Bytes;

use super::Body;
use crate::decode::{Malformed, Reader};
use crate::encode::{EncodeError, Writer};
use crate::field::{Address, DataCoding, EsmClass, RegisteredDelivery};
use crate::octets::COctetString;
use crate::tlv::Tlvs;

/// `data_sm`: a message whose text, if any, is in `message_payload`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct DataSm {
    /// Service; at most 5 octets, usually empty.
    pub service_type: COctetString,
    /// Sender; at most 64 octets.
    pub source: Address,
    /// Recipient; at most 64 octets.
    pub destination: Address,
    /// Mode, type and features.
    pub esm_class: EsmClass,
    /// Which receipts are requested.
    pub registered_delivery: RegisteredDelivery,
    /// The alphabet of the text.
    pub data_coding: DataCoding,
    /// Optional parameters, the text among them.
    pub tlvs: Tlvs,
}

impl DataSm {
    /// The text, if there is one.
    #[must_use]
    pub fn payload(&self) -> Option<&Bytes> {
        self.tlvs.message_payload()
    }
}

impl Body for DataSm {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            service_type: reader.c_octets("service_type")?,
            source: reader.address("source_addr")?,
            destination: reader.address("destination_addr")?,
            esm_class: EsmClass(reader.u8_or_zero()),
            registered_delivery: RegisteredDelivery(reader.u8_or_zero()),
            data_coding: DataCoding(reader.u8_or_zero()),
            tlvs: Tlvs::decode(reader),
        })
    }

    fn encode(&self, writer: &mut Writer<'_>) -> Result<(), EncodeError> {
        writer.c_octets("service_type", &self.service_type, 5)?;
        writer.address("source_addr", &self.source, 64)?;
        writer.address("destination_addr", &self.destination, 64)?;
        writer.octets(&[self.esm_class.0, self.registered_delivery.0, self.data_coding.0]);
        self.tlvs.encode(writer)
    }
}

/// `data_sm_resp`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct DataSmResp {
    /// The SMSC's id of the message; at most 64 octets.
    pub message_id: COctetString,
    /// `delivery_failure_reason`, `network_error_code`, `additional_status_info_text`, `dpf_result`.
    pub tlvs: Tlvs,
}

impl Body for DataSmResp {
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
