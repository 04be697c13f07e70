//! Opening a session (SMPP 3.4 §4.1).

use std::fmt;

use super::Body;
use crate::command::CommandId;
use crate::decode::{Malformed, Reader};
use crate::encode::{EncodeError, Writer};
use crate::field::{Address, InterfaceVersion, Npi, Ton};
use crate::octets::COctetString;
use crate::status::CommandStatus;
use crate::tlv::Tlvs;

/// The direction of messages over a session, from the ESME's point of view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BindKind {
    /// The ESME submits.
    Transmitter,
    /// The ESME receives messages and receipts.
    Receiver,
    /// The ESME submits and receives.
    Transceiver,
}

impl BindKind {
    /// The command id of the request.
    #[must_use]
    pub const fn command(self) -> CommandId {
        match self {
            Self::Transmitter => CommandId::BIND_TRANSMITTER,
            Self::Receiver => CommandId::BIND_RECEIVER,
            Self::Transceiver => CommandId::BIND_TRANSCEIVER,
        }
    }

    /// The command id of the response.
    #[must_use]
    pub const fn response(self) -> CommandId {
        match self {
            Self::Transmitter => CommandId::BIND_TRANSMITTER_RESP,
            Self::Receiver => CommandId::BIND_RECEIVER_RESP,
            Self::Transceiver => CommandId::BIND_TRANSCEIVER_RESP,
        }
    }

    /// Whether the ESME may submit.
    #[must_use]
    pub const fn transmits(self) -> bool {
        matches!(self, Self::Transmitter | Self::Transceiver)
    }

    /// Whether the SMSC may deliver.
    #[must_use]
    pub const fn receives(self) -> bool {
        matches!(self, Self::Receiver | Self::Transceiver)
    }
}

/// `bind_transmitter`, `bind_receiver` and `bind_transceiver`. Its `Debug` form hides the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Bind {
    /// Which of the three operations.
    pub kind: BindKind,
    /// The name of the ESME; at most 15 octets by specification, see [`crate::Limits`].
    pub system_id: COctetString,
    /// At most 8 octets by specification, see [`crate::Limits`].
    pub password: COctetString,
    /// The type of the ESME's system; at most 12 octets, often empty.
    pub system_type: COctetString,
    /// The protocol version of the ESME.
    pub interface_version: InterfaceVersion,
    /// Type of number of `address_range`.
    pub addr_ton: Ton,
    /// Numbering plan of `address_range`.
    pub addr_npi: Npi,
    /// The numbers that the ESME serves; at most 40 octets, often empty.
    pub address_range: COctetString,
}

impl Bind {
    /// A bind with the mandatory credentials, for version 3.4.
    pub fn new(
        kind: BindKind,
        system_id: impl Into<COctetString>,
        password: impl Into<COctetString>,
    ) -> Self {
        Self {
            kind,
            system_id: system_id.into(),
            password: password.into(),
            system_type: COctetString::new(),
            interface_version: InterfaceVersion::V3_4,
            addr_ton: Ton::UNKNOWN,
            addr_npi: Npi::UNKNOWN,
            address_range: COctetString::new(),
        }
    }

    pub(super) fn decode(kind: BindKind, reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            kind,
            system_id: reader.c_octets("system_id")?,
            password: reader.c_octets_or_empty(),
            system_type: reader.c_octets_or_empty(),
            interface_version: InterfaceVersion(reader.u8_or_zero()),
            addr_ton: Ton(reader.u8_or_zero()),
            addr_npi: Npi(reader.u8_or_zero()),
            address_range: reader.c_octets_or_empty(),
        })
    }

    pub(super) fn encode(&self, writer: &mut Writer<'_>) -> Result<(), EncodeError> {
        writer.c_octets("system_id", &self.system_id, writer.limits.system_id_octets_max)?;
        writer.c_octets("password", &self.password, writer.limits.password_octets_max)?;
        writer.c_octets("system_type", &self.system_type, 12)?;
        writer.octets(&[self.interface_version.0, self.addr_ton.0, self.addr_npi.0]);
        writer.c_octets("address_range", &self.address_range, 40)
    }
}

impl fmt::Debug for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address_range = Address {
            ton: self.addr_ton,
            npi: self.addr_npi,
            addr: self.address_range.clone(),
        };
        f.debug_struct("Bind")
            .field("kind", &self.kind)
            .field("system_id", &self.system_id)
            .field("system_type", &self.system_type)
            .field("interface_version", &self.interface_version)
            .field("address_range", &address_range)
            .finish_non_exhaustive()
    }
}

/// The response to a [`Bind`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindResp {
    /// The operation that is answered.
    pub kind: BindKind,
    /// The name of the SMSC; at most 15 octets by specification, see [`crate::Limits`].
    pub system_id: COctetString,
    /// `sc_interface_version`; in SMPP 5.0 also `congestion_state`.
    pub tlvs: Tlvs,
}

impl BindResp {
    /// A response without name and parameters.
    #[must_use]
    pub const fn new(kind: BindKind) -> Self {
        Self {
            kind,
            system_id: COctetString::new(),
            tlvs: Tlvs::new(),
        }
    }

    pub(super) fn decode(kind: BindKind, reader: &mut Reader<'_>) -> Self {
        Self {
            kind,
            system_id: reader.c_octets_or_empty(),
            tlvs: Tlvs::decode(reader),
        }
    }

    /// SMPP 3.4 §4.1.2: an error response has no body.
    pub(super) fn encode_unless_bare_error(
        &self,
        status: CommandStatus,
        writer: &mut Writer<'_>,
    ) -> Result<(), EncodeError> {
        if !status.is_ok() && self.system_id.is_empty() && self.tlvs.is_empty() {
            return Ok(());
        }
        writer.c_octets("system_id", &self.system_id, writer.limits.system_id_octets_max)?;
        self.tlvs.encode(writer)
    }
}

/// `outbind`: the SMSC has opened the connection and wants the ESME to bind as a receiver (SMPP 3.4 §4.1.7). Its
/// `Debug` form hides the password.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Outbind {
    /// The name of the SMSC; at most 15 octets by specification.
    pub system_id: COctetString,
    /// At most 8 octets by specification.
    pub password: COctetString,
}

impl Body for Outbind {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            system_id: reader.c_octets("system_id")?,
            password: reader.c_octets_or_empty(),
        })
    }

    fn encode(&self, writer: &mut Writer<'_>) -> Result<(), EncodeError> {
        writer.c_octets("system_id", &self.system_id, writer.limits.system_id_octets_max)?;
        writer.c_octets("password", &self.password, writer.limits.password_octets_max)
    }
}

impl fmt::Debug for Outbind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbind")
            .field("system_id", &self.system_id)
            .finish_non_exhaustive()
    }
}
