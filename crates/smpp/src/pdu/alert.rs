//! A subscriber has become available (SMPP 3.4 §4.12).

use super::Body;
use crate::decode::{Malformed, Reader};
use crate::encode::{EncodeError, Writer};
use crate::field::Address;
use crate::tlv::Tlvs;

/// `alert_notification`; has no response.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct AlertNotification {
    /// The subscriber that has become available; at most 64 octets.
    pub source: Address,
    /// The ESME that requested the notification; at most 64 octets.
    pub esme: Address,
    /// `ms_availability_status`.
    pub tlvs: Tlvs,
}

impl Body for AlertNotification {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            source: reader.address("source_addr")?,
            esme: reader.address("esme_addr")?,
            tlvs: Tlvs::decode(reader),
        })
    }

    fn encode(&self, writer: &mut Writer<'_>) -> Result<(), EncodeError> {
        writer.address("source_addr", &self.source, 64)?;
        writer.address("esme_addr", &self.esme, 64)?;
        self.tlvs.encode(writer)
    }
}
