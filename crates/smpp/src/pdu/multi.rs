//! One message to many recipients (SMPP 3.4 §4.5).

use bytes::Bytes;

use super::Body;
use super::submit::one_payload;
use crate::decode::{Malformed, Reader};
use crate::encode::{EncodeError, Writer};
use crate::field::{Address, DataCoding, EsmClass, RegisteredDelivery};
use crate::octets::COctetString;
use crate::status::CommandStatus;
use crate::tlv::Tlvs;

/// The most destinations in one `submit_multi` (SMPP 3.4 §5.2.24).
const DESTINATIONS_MAX: usize = 254;

/// `dest_flag` of an address (SMPP 3.4 §5.2.25).
const FLAG_ADDRESS: u8 = 1;
/// `dest_flag` of a distribution list.
const FLAG_LIST: u8 = 2;

/// A destination of a [`SubmitMulti`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// One recipient; at most 20 octets.
    Address(Address),
    /// A list kept by the SMSC; at most 20 octets.
    DistributionList(COctetString),
}

/// `submit_multi`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct SubmitMulti {
    /// Service; at most 5 octets, usually empty.
    pub service_type: COctetString,
    /// Sender; at most 20 octets.
    pub source: Address,
    /// Recipients; at most 254.
    pub destinations: Vec<Destination>,
    /// Mode, type and features.
    pub esm_class: EsmClass,
    /// GSM protocol identifier.
    pub protocol_id: u8,
    /// 0 lowest to 3 highest.
    pub priority_flag: u8,
    /// When to deliver: empty for immediately, else 16 characters.
    pub schedule_delivery_time: COctetString,
    /// End of the validity: empty for the SMSC's default, else 16 characters.
    pub validity_period: COctetString,
    /// Which receipts are requested.
    pub registered_delivery: RegisteredDelivery,
    /// Must be 0.
    pub replace_if_present_flag: u8,
    /// The alphabet of the text.
    pub data_coding: DataCoding,
    /// A predefined message of the SMSC; 0 for none.
    pub sm_default_msg_id: u8,
    /// The text, user data header included; at most 254 octets.
    pub short_message: Bytes,
    /// Optional parameters.
    pub tlvs: Tlvs,
}

impl Body for SubmitMulti {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            service_type: reader.c_octets("service_type")?,
            source: reader.address("source_addr")?,
            destinations: {
                let count = reader.u8("number_of_dests")?;
                (0..count)
                    .map(|_| Destination::decode(reader))
                    .collect::<Result<_, _>>()?
            },
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
        writer.u8(count(
            "number_of_dests",
            self.destinations.len(),
            DESTINATIONS_MAX,
        )?);
        for destination in &self.destinations {
            destination.encode(writer)?;
        }
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

impl Destination {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        match reader.u8("dest_flag")? {
            FLAG_ADDRESS => Ok(Self::Address(reader.address("destination_addr")?)),
            FLAG_LIST => Ok(Self::DistributionList(reader.c_octets("dl_name")?)),
            unknown => Err(Malformed::DestFlag(unknown)),
        }
    }

    fn encode(&self, writer: &mut Writer<'_>) -> Result<(), EncodeError> {
        match self {
            Self::Address(address) => {
                writer.u8(FLAG_ADDRESS);
                writer.address("destination_addr", address, 20)
            }
            Self::DistributionList(name) => {
                writer.u8(FLAG_LIST);
                writer.c_octets("dl_name", name, 20)
            }
        }
    }
}

/// `submit_multi_resp`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct SubmitMultiResp {
    /// The SMSC's id of the message; at most 64 octets.
    pub message_id: COctetString,
    /// The recipients that were not accepted; at most 255.
    pub unsuccess: Vec<Unsuccess>,
    /// Optional parameters (SMPP 5.0).
    pub tlvs: Tlvs,
}

/// A recipient that was not accepted (SMPP 3.4 §4.5.2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsuccess {
    /// The recipient.
    pub address: Address,
    /// Why it was not accepted.
    pub status: CommandStatus,
}

impl Body for SubmitMultiResp {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            message_id: reader.c_octets_or_empty(),
            unsuccess: {
                let count = reader.u8_or_zero();
                (0..count)
                    .map(|_| Unsuccess::decode(reader))
                    .collect::<Result<_, _>>()?
            },
            tlvs: Tlvs::decode(reader),
        })
    }

    fn encode(&self, writer: &mut Writer<'_>) -> Result<(), EncodeError> {
        writer.c_octets("message_id", &self.message_id, 64)?;
        writer.u8(count("no_unsuccess", self.unsuccess.len(), usize::from(u8::MAX))?);
        for unsuccess in &self.unsuccess {
            writer.address("destination_addr", &unsuccess.address, 20)?;
            writer.octets(&unsuccess.status.0.to_be_bytes());
        }
        self.tlvs.encode(writer)
    }
}

impl Unsuccess {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let address = reader.address("destination_addr")?;
        let status = reader.array().ok_or(Malformed::Truncated {
            field: "error_status_code",
        })?;
        Ok(Self {
            address,
            status: CommandStatus(u32::from_be_bytes(status)),
        })
    }
}

fn count(field: &'static str, len: usize, max: usize) -> Result<u8, EncodeError> {
    let too_long = EncodeError::TooLong { field, len, max };
    if len > max {
        return Err(too_long);
    }
    u8::try_from(len).map_err(|_| too_long)
}
